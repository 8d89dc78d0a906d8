"""One entry: its exact bytes, its place in the chain, and the head that a signature covers.

Leaves writing to `drivers/journal_file.py` and judging a whole chain to `chain.py`.
Keeps J1 (each entry carries the digest of the one before) and J3 (stored as the exact signed bytes).
"""

from __future__ import annotations

import msgspec

from oppet.base import canonical
from oppet.base.clock import utc_text
from oppet.journal.kinds import KINDS, Body, kind_of

__all__ = ["NOTHING", "VERSION", "Entry", "Head", "body_of", "parse", "seal", "signed_bytes"]

VERSION = 1
NOTHING = "0" * 64  # what the first entry of an epoch carries as the digest before it

_KIND_NAMES = {body: kind for kind, body in KINDS.items()}


class _Sealed(msgspec.Struct, frozen=True):
    v: int
    till: str
    epoch: int
    seq: int
    time: str
    kind: str
    prev: str
    body: Body


class Entry(msgspec.Struct, frozen=True):
    """An envelope as read; `body` stays raw until somebody asks what it says."""

    v: int
    till: str
    epoch: int
    seq: int
    time: str  # UTC, milliseconds
    kind: str
    prev: str  # digest of the entry before
    body: msgspec.Raw


class Head(msgspec.Struct, frozen=True):
    """The end of a chain: the number and digest of its last entry. An empty chain has number 0."""

    seq: int
    digest: str


_entry_decoder = msgspec.json.Decoder(Entry)
_body_decoders = {kind: msgspec.json.Decoder(body) for kind, body in KINDS.items()}


def seal(head: Head, till: str, epoch: int, instant: int, body: Body) -> tuple[bytes, Head]:
    """Give the bytes of the next entry and the head after it."""
    kind = _KIND_NAMES[type(body)]
    data = canonical.encode(_Sealed(VERSION, till, epoch, head.seq + 1, utc_text(instant), kind, head.digest, body))
    return data, Head(head.seq + 1, canonical.digest(data))


def parse(data: bytes) -> Entry:
    """Read an envelope. Raises msgspec.DecodeError for bytes that are none."""
    return _entry_decoder.decode(data)


def body_of(entry: Entry) -> Body | None:
    """What the entry says, or None for a kind this version does not know. Raises msgspec.DecodeError."""
    decoder = _body_decoders.get(entry.kind)
    return None if decoder is None else decoder.decode(entry.body)


def signed_bytes(till: str, epoch: int, head: Head) -> bytes:
    """The bytes a signature covers: the head, and through it the whole chain before it."""
    return f"oppet journal head 1\n{till}\n{epoch}\n{head.seq}\n{head.digest}\n".encode()


assert kind_of(Body) not in KINDS, "the base class is no kind"
