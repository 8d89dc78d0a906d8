"""What travels between a sender and a keeper: the batch, the acknowledgement, and what each signs.

A batch is "here are entries n+1…m of till T, epoch E", zstd inside a small JSON header; the answer says "of your
history I have up to k, digest h", signed after the keeper's own fsync. An empty batch asks where to go on. Everything
read here may be hostile: sizes are bounded before anything is unpacked. Keeps K2 (bounds) of docs/rules-sync.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import zstandard
from msgspec import Meta

from oppet.base import canonical
from oppet.journal.entry import Head
from oppet.sync.errors import BatchMalformedError, BatchTooLargeError, PackedBombError

__all__ = [
    "BATCH_PATH",
    "INTRODUCE_PATH",
    "LARGEST_BATCH",
    "LARGEST_PLAIN",
    "MOST_ENTRIES",
    "MOST_MARKS",
    "NO_PAPERS",
    "WHO_PATH",
    "Ack",
    "Answer",
    "AsOf",
    "Batch",
    "KeeperInfo",
    "Paper",
    "Proof",
    "ack_bytes",
    "as_of_bytes",
    "decode_batch",
    "encode_batch",
    "pack",
    "unpack",
]

BATCH_PATH = "/keep/1/batch"
INTRODUCE_PATH = "/keep/1/introduce"
WHO_PATH = "/keep/1/who"

MAGIC = b"OPB1"
LARGEST_BATCH = 2 << 20  # bytes on the wire
LARGEST_HEADER = 16 << 10
LARGEST_PLAIN = 16 << 20  # bytes of entries when unpacked
MOST_ENTRIES = 20_000
MOST_MARKS = 40  # powers of two back from the head: enough for 2^40 entries

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,40}\Z")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Key = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Signature = Annotated[str, Meta(pattern=r"^[0-9a-f]{128}\Z")]
Number = Annotated[int, Meta(ge=0, lt=1 << 53)]
Epoch = Annotated[int, Meta(ge=1, le=999_999_999)]
Time = Annotated[str, Meta(pattern=r"^[0-9TZ:.-]{24}\Z")]
Place = tuple[Number, Digest]  # a Head as it travels


class Paper(msgspec.Struct, frozen=True, omit_defaults=True):
    """A signed document: its exact text, and who signed it (`certificates.py` says what it may be)."""

    kind: Annotated[str, Meta(max_length=40)]
    text: Annotated[str, Meta(max_length=4096)]
    signatures: Annotated[tuple[tuple[Key, Signature], ...], Meta(max_length=8)] = ()


NO_PAPERS: tuple[Paper, ...] = ()


class KeeperInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a keeper is and what proves that it is the one."""

    name: Name
    place: Annotated[
        str, Meta(pattern=r"^(store|till|hq)\Z")
    ]  # where it stands: only `store` and `till` are in the store
    url: Annotated[str, Meta(max_length=200)]
    public_key: Key
    tls: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?\Z")] = ""  # SHA-256 of its TLS certificate


class AsOf(msgspec.Struct, frozen=True):
    """The till's own word that at `time` its journal ended here: what completeness is reckoned from."""

    seq: Number
    digest: Digest
    time: Time
    signature: Signature


class Batch(msgspec.Struct, frozen=True, omit_defaults=True):
    """Entries after.seq+1 … last.seq of one history, in `packed`; none when `last` is `after`."""

    till: Name
    epoch: Epoch
    after: Place  # what the sender holds before the first entry sent
    last: Place
    signature: str = ""  # hex, over `last` as `journal/entry.py` signs a head; empty with an empty batch
    as_of: AsOf | None = None
    marks: Annotated[tuple[Place, ...], Meta(max_length=MOST_MARKS)] = ()  # places of this history, latest first
    v: int = 1
    packed: bytes = b""  # beside the header, not in it

    @property
    def count(self) -> int:
        return self.last[0] - self.after[0]


class Ack(msgspec.Struct, frozen=True):
    """The keeper's signed word, after its own fsync, that it has a history up to here."""

    keeper: Name
    till: Name
    epoch: Epoch
    branch: Annotated[
        str, Meta(pattern=r"^([0-9a-f]{64})?\Z")
    ]  # digest of the first differing entry; "" for the first history
    seq: Number
    digest: Digest
    time: Time
    signature: Signature


class Proof(msgspec.Struct, frozen=True):
    """A place in another history of the epoch, as the till's own key signed it: what makes "your disk is old" believable."""

    seq: Number
    digest: Digest
    signature: Signature


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """`kept`: up to ack. `behind`: the batch joins nowhere; go on after `ack`. `stranger`: show your certificate."""

    status: Annotated[str, Meta(pattern=r"^(kept|behind|stranger)\Z")]
    ack: Ack | None = None
    ahead: Number = 0  # the keeper's last number on this branch, where it is beyond the ack
    papers: tuple[Paper, ...] = ()  # revocations and certificates that go down
    proof: Proof | None = None  # with `ahead`, or with an ack on a branch


_header = msgspec.json.Decoder(Batch)


def ack_bytes(ack: Ack) -> bytes:
    """The bytes a keeper signs."""
    text = f"oppet ack 1\n{ack.keeper}\n{ack.till}\n{ack.epoch}\n{ack.branch}\n{ack.seq}\n{ack.digest}\n{ack.time}\n"
    return text.encode()


def as_of_bytes(till: str, epoch: int, head: Head, time: str) -> bytes:
    """The bytes a till signs to say that at `time` its journal ended at `head`."""
    return f"oppet journal as of 1\n{till}\n{epoch}\n{head.seq}\n{head.digest}\n{time}\n".encode()


def pack(entries: Sequence[bytes]) -> bytes:
    """Entries as they travel: one a line (a sealed entry holds no raw newline), zstd with a checksum."""
    if not entries:
        return b""
    return zstandard.ZstdCompressor(level=1, write_checksum=True).compress(b"\n".join(entries))  # one per call: threads


def unpack(batch: Batch) -> list[bytes]:
    """The entries of a batch. Raises BatchMalformedError for a torn frame, PackedBombError for one too large."""
    if not batch.packed:
        return []
    try:
        size = zstandard.frame_content_size(batch.packed)
        if size > LARGEST_PLAIN:
            raise PackedBombError(till=batch.till, epoch=batch.epoch, largest=LARGEST_PLAIN)
        if size < 0:  # unknown: our packer always states it
            raise BatchMalformedError(why="its size when unpacked is not stated")
        # The stated size is what is allocated; a frame that lies about it fails.
        plain = zstandard.ZstdDecompressor(max_window_size=LARGEST_PLAIN).decompress(batch.packed, max_output_size=size)
    except zstandard.ZstdError as error:
        raise BatchMalformedError(why=str(error)) from None
    entries = plain.split(b"\n")
    if len(entries) != batch.count:
        raise BatchMalformedError(why=f"{len(entries)} entries where {batch.count} were announced")
    return entries


def encode_batch(batch: Batch) -> bytes:
    """A batch as it travels: magic, length of the header in four bytes, header, packed entries."""
    header = canonical.encode(msgspec.structs.replace(batch, packed=b""))
    return b"".join((MAGIC, len(header).to_bytes(4, "big"), header, batch.packed))


def decode_batch(data: bytes) -> Batch:
    """Read what came over the wire, unpacking nothing. Raises BatchTooLargeError, BatchMalformedError."""
    if len(data) > LARGEST_BATCH:
        raise BatchTooLargeError(bytes=len(data), largest=LARGEST_BATCH)
    if data[:4] != MAGIC or len(data) < 8:
        raise BatchMalformedError(why="it does not begin as a batch")
    end = 8 + int.from_bytes(data[4:8], "big")
    if end > 8 + LARGEST_HEADER or end > len(data):
        raise BatchMalformedError(why="its header is cut off or too long")
    try:
        batch = _header.decode(data[8:end])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BatchMalformedError(why=str(error)) from None
    if batch.packed:
        raise BatchMalformedError(why="entries in the header")
    count = batch.count
    if batch.v > 1:
        raise BatchMalformedError(why=f"version {batch.v} is newer than this keeper")
    if not 0 <= count <= MOST_ENTRIES or (count == 0) != (end == len(data)):
        raise BatchMalformedError(why=f"{count} entries announced")
    if count == 0 and batch.after != batch.last:
        raise BatchMalformedError(why="no entries, and two ends")
    return msgspec.structs.replace(batch, packed=data[end:])
