"""What head office reads back: one entry with its proof, a history's entries, where each history ends, what waits for a person.

Nothing here changes anything. An entry is given as its exact bytes with the links up to the next place the till signed,
so that whoever holds the till's certificate can check it without believing the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

from oppet.base.errors import RefusedError
from oppet.base.words import N_
from oppet.drivers.journal_sqlite import statements
from oppet.drivers.pg import Pool, Transaction
from oppet.drivers.shelf_pg import chunk_entries
from oppet.journal.entry import Head

__all__ = [
    "Chunk", "ClashingNumber", "DoubleReturn", "HqRead", "KeptEntry", "NoEntryError", "OpenCase", "Quarantined", "StreamState",
]  # fmt: skip

_sql = statements("hq_read")
MOST = 500
CHUNKS_AT_ONCE = 16
EVER = "0001-01-01"


class NoEntryError(RefusedError):
    sentence = N_("Head office has no entry {seq} of till {till}, epoch {epoch}.")


class StreamState(msgspec.Struct, frozen=True):
    """One history as HQ has it."""

    store: str
    till: str
    epoch: int
    branch: str
    stream_id: int
    base_seq: int
    head_seq: int
    head_time: datetime | None
    as_of: datetime | None  # everything up to this moment is here
    as_of_seq: int
    heard: datetime | None
    began: datetime
    provisional: bool
    revoked: str


class KeptEntry(msgspec.Struct, frozen=True):
    """One entry and what proves it: `links` are the entries behind it up to the signed one, itself included there."""

    store: str
    till: str
    epoch: int
    branch: str  # the history it stands in, which may be the one a fork left
    seq: int
    data: bytes
    digest: str
    before: str  # digest of the entry before
    signed: Head  # the head the till signed, at or behind this entry
    signature: bytes
    links: tuple[bytes, ...]  # exact entries seq+1 … signed.seq
    received: datetime
    last_seq: int  # of its history: is there a next one

    @property
    def holds(self) -> bool:
        """Whether the links lead from this entry to the signed head; the signature itself is the caller's to check."""
        digest = self.digest
        for raw in self.links:
            if f'"prev":"{digest}"'.encode() not in raw:
                return False
            digest = sha256(raw).hexdigest()
        return digest == self.signed.digest


class Chunk(msgspec.Struct, frozen=True):
    first_seq: int
    last_seq: int
    after: str
    digest: str
    signature: bytes
    received: datetime
    entries: list[bytes]


class Quarantined(msgspec.Struct, frozen=True):
    store: str
    till: str
    epoch: int
    branch: str
    seq: int
    time: datetime | None
    kind: str
    place: str
    reason: str  # a key of hq.quarantine.REASONS
    detail: str
    counted: str
    total_ore: int


class OpenCase(msgspec.Struct, frozen=True):
    store: str
    till: str
    epoch: int
    branch: str
    seq: int
    time: datetime
    number: int
    about: str
    sale: int
    amount_ore: int


class ClashingNumber(msgspec.Struct, frozen=True):
    store: str
    till: str
    epoch: int
    number: int
    times: int
    time: datetime
    branches: list[str]
    seqs: list[int]


class DoubleReturn(msgspec.Struct, frozen=True):
    store: str
    till: str  # whose receipt it was
    epoch: int
    number: int
    line: int
    sold_milli: int
    returned_milli: int
    returned_ore: int
    times: int
    time: datetime


class HqRead:
    """Every method raises DatabaseAwayError."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def streams(self, store: str = "") -> list[StreamState]:
        """Every history, of one store or of all: what completeness and health are reckoned from."""
        return [StreamState(*row) for row in self._rows("streams", store=store)]

    def entry(self, store: str, till: str, epoch: int, branch: str, seq: int) -> KeptEntry:
        """One entry of a history; what a fork shares with the history it left is found there. Raises NoEntryError."""
        asked = {"store": store, "till": till, "epoch": epoch, "branch": branch}
        with self._pool.transaction() as transaction:
            name, stream_id, head = self._holding(transaction, asked, seq)
            row = _all(transaction, "chunk_with", asked | {"stream_id": stream_id, "seq": seq})
        if not row or row[0][1] < seq:
            raise NoEntryError(till=till, epoch=epoch, seq=seq)
        chunk = _chunk(row[0])
        place = seq - chunk.first_seq
        data = chunk.entries[place]
        before = chunk.after if place == 0 else sha256(chunk.entries[place - 1]).hexdigest()
        return KeptEntry(
            store, till, epoch, name, seq, data, sha256(data).hexdigest(), before, Head(chunk.last_seq, chunk.digest),
            chunk.signature, tuple(chunk.entries[place + 1 :]), chunk.received, head,
        )  # fmt: skip

    def _holding(self, transaction: Transaction, asked: dict[str, Any], seq: int) -> tuple[str, int, int]:
        """The history that holds `seq` on the way to this branch: its name, number and head."""
        histories = {row[0]: row for row in _all(transaction, "histories", asked)}
        name = asked["branch"]
        for _ in histories:
            if name not in histories:
                break
            _, stream_id, base, head = histories[name]
            if base < seq <= head:
                return name, stream_id, head
            if seq > head or name == "":
                break
            name = self._parent(transaction, asked, name, base, histories)
        raise NoEntryError(till=asked["till"], epoch=asked["epoch"], seq=seq)

    def _parent(
        self, transaction: Transaction, asked: dict[str, Any], name: str, base: int, histories: dict[str, Any]
    ) -> str:
        """The history a fork left: the one that has the entry it follows on."""
        follows = _all(transaction, "stream", asked | {"branch": name})[0][2]
        for other, stream_id, begins, head in histories.values():
            if other == name or not begins < base <= head:
                continue
            chunk = _chunk(_all(transaction, "chunk_with", asked | {"stream_id": stream_id, "seq": base})[0])
            if sha256(chunk.entries[base - chunk.first_seq]).hexdigest() == follows:
                return str(other)
        return ""

    def chunks(self, store: str, stream_id: int, first: int = 1) -> Iterator[Chunk]:
        """A history's own entries from the chunk that begins at or behind `first`, in order, a few chunks at a time."""
        while True:
            rows = self._rows("chunks_from", store=store, stream_id=stream_id, first=first, most=CHUNKS_AT_ONCE)
            for row in rows:
                yield _chunk(row)
            if len(rows) < CHUNKS_AT_ONCE:
                return
            first = rows[-1][1] + 1

    def quarantine(self, store: str = "", since: str = EVER, most: int = MOST) -> list[Quarantined]:
        """What waits for a person, the latest days first."""
        return [Quarantined(*row) for row in self._rows("quarantine", store=store, since=since, most=most)]

    def open_cases(self, store: str = "", since: str = EVER, most: int = MOST) -> list[OpenCase]:
        """What tills opened and nobody settled."""
        return [OpenCase(*row) for row in self._rows("open_cases", store=store, since=since, most=most)]

    def clashing_numbers(self, store: str = "", most: int = MOST) -> list[ClashingNumber]:
        """Receipt numbers that two histories of one epoch used (K5)."""
        return [ClashingNumber(*row) for row in self._rows("clashing_numbers", store=store, most=most)]

    def double_returns(self, store: str = "", most: int = MOST) -> list[DoubleReturn]:
        """Lines of which more came back than was sold (R17)."""
        return [DoubleReturn(*row) for row in self._rows("double_returns", store=store, most=most)]

    def _rows(self, word: str, **asked: object) -> list[tuple[Any, ...]]:
        with self._pool.transaction() as transaction:
            return _all(transaction, word, asked)


def _all(transaction: Transaction, word: str, asked: dict[str, Any]) -> list[tuple[Any, ...]]:
    return transaction.connection.execute(_sql[word], asked).fetchall()


def _chunk(row: tuple[Any, ...]) -> Chunk:
    first, last, after, digest, signature, received, data = row
    return Chunk(first, last, after, digest, signature, received, chunk_entries(data))
