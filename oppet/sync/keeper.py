"""The keeper: takes other machines' journals, believes nothing it has not checked, acknowledges only what is on its disk.

One class for every hop: the store node, a neighbour till's keeper and HQ differ in their shelf alone. It decides; the
shelf (a driver, or a fake) stores. Contiguous, idempotent, resumable. A second, different entry at the same place is a
fork: both histories are stored, acknowledged and counted, nothing waits (design §2, Keepers).
Keeps K1 (acknowledged is on disk), K3 (contiguous), K4 (idempotent), K5 (a fork is kept), K6 (nothing unsigned is kept).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from hashlib import sha256
from typing import Protocol

import msgspec

from oppet.base.clock import Clock, utc_text
from oppet.base.signing import Signer, Verifier
from oppet.journal.chain import LARGEST_ENTRY, UNREADABLE
from oppet.journal.entry import NOTHING, VERSION, Entry, Head, parse, signed_bytes
from oppet.sync.certificates import Standing
from oppet.sync.errors import ForgedBatchError
from oppet.sync.messages import Ack, Answer, AsOf, Batch, Proof, ack_bytes, as_of_bytes, unpack

__all__ = ["Alarm", "Believed", "Branch", "Keeper", "Shelf", "Stream", "believe", "sign_ack"]


class Branch(msgspec.Struct, frozen=True):
    """One history of an epoch: the first has name "" and begins at nothing; a fork is named by its first entry's digest."""

    name: str
    base: Head  # what it follows on; its own first entry is base.seq + 1
    head: Head


class Believed:
    """Entries whose chain and signature were checked: exact bytes, envelopes, digests."""

    __slots__ = ("after", "digests", "entries", "packed", "parsed", "signature")

    def __init__(
        self,
        after: Head,
        entries: Sequence[bytes],
        parsed: Sequence[Entry],
        digests: Sequence[str],
        signature: bytes,
        packed: bytes = b"",
    ) -> None:
        self.after = after
        self.entries = entries
        self.parsed = parsed
        self.digests = digests
        self.signature = signature  # over `head`
        self.packed = packed  # all the entries as they travelled; empty for a part of a batch

    @property
    def head(self) -> Head:
        return Head(self.after.seq + len(self.entries), self.digests[-1]) if self.entries else self.after

    def beyond(self, seq: int) -> Believed:
        """The part behind entry `seq`, which is one of ours or `after`."""
        skip = seq - self.after.seq
        if skip == 0:
            return self
        after = Head(seq, self.digests[skip - 1])
        return Believed(after, self.entries[skip:], self.parsed[skip:], self.digests[skip:], self.signature)


class Stream(Protocol):
    """One epoch of one till on a shelf, held by one caller at a time."""

    def branches(self) -> Sequence[Branch]:
        """Every history that is here, the first one first; empty when nothing is."""
        ...

    def digests(self, branch: str, first: int, last: int) -> Sequence[str]:
        """Digests of a branch's own entries `first`…`last`; all of them are there."""
        ...

    def extend(self, branch: str, base: Head, believed: Believed) -> None:
        """Put entries behind the branch's head; a branch that is not there begins on `base`. Durable when the
        stream is let go. Raises UnavailableError."""
        ...

    def signed(self, branch: str) -> tuple[Head, bytes] | None:
        """The last signed place of a branch that was here when the stream was taken, and the till's signature."""
        ...

    def heard(self, as_of: AsOf) -> None:
        """Remember the till's latest word on where its journal ends."""
        ...


class Shelf(Protocol):
    """Where a keeper stores: SQLite in a store, PostgreSQL at HQ, a dict in a test."""

    def stream(self, standing: Standing) -> AbstractContextManager[Stream]:
        """Hold one stream; leaving the block without an error makes everything durable. Raises UnavailableError."""
        ...


class Alarm(Protocol):
    """Called for what a bad cable does not explain: a fork, a forged batch. Never for a loss, a repeat or a gap."""

    def __call__(self, about: str, **facts: object) -> None: ...


Known = Callable[[str, int], Standing | None]


class Keeper:
    def __init__(self, name: str, signer: Signer, shelf: Shelf, known: Known, clock: Clock, alarm: Alarm) -> None:
        self.name = name
        self._signer = signer
        self._shelf = shelf
        self._known = known
        self._clock = clock
        self._alarm = alarm

    def receive(self, batch: Batch) -> Answer:
        """Keep what is new in a batch, and say up to where the sender's history is here.

        Raises BatchMalformedError (torn on the way: no alarm), ForgedBatchError and PackedBombError (an attack: the
        caller counts and alarms), UnavailableError (our own disk: nothing is acknowledged).
        """
        return self.take(batch)[0]

    def take(self, batch: Batch) -> tuple[Answer, int]:
        """As `receive`, and how many of the entries were new here."""
        standing = self._known(batch.till, batch.epoch)
        if standing is None:
            return Answer("stranger"), 0
        believed = believe(batch, standing.public_key)
        if batch.as_of is not None:
            _check_as_of(batch, batch.as_of, standing.public_key)
        forked = None
        with self._shelf.stream(standing) as stream:
            branches = {branch.name: branch for branch in stream.branches()}
            branch = _holding(stream, branches, believed.after)
            if branch is None:
                branch, joined = _best_mark(stream, branches, batch)
            else:
                branch, joined, forked = _put(stream, branches, branch, believed)
                if batch.as_of is not None and batch.as_of.seq <= joined.seq:
                    stream.heard(batch.as_of)  # everything up to that moment is here
            ahead = max(branch.head.seq - joined.seq, 0) and branch.head.seq
            proof = _proof(stream, branches, branch.name, ahead=bool(ahead))
            known = branches.get(branch.name, Branch(branch.name, branch.base, branch.base))
        # From here on it is on the disk (K1).
        if forked is not None:
            self._alarm("fork", till=batch.till, epoch=batch.epoch, seq=forked.seq, branch=forked.digest)
        status = "kept" if joined == believed.head else "behind"
        ack = sign_ack(self._signer, self.name, batch, branch.name, joined, utc_text(self._clock.now()))
        return Answer(status, ack, ahead, proof=proof), branch.head.seq - known.head.seq


def believe(batch: Batch, public_key: bytes) -> Believed:
    """Check that the entries are this till's, follow on each other and on `after`, and that `last` is signed (K6).

    Raises BatchMalformedError, PackedBombError, ForgedBatchError.
    """
    entries = unpack(batch)
    seq, before = batch.after
    till, epoch = batch.till, batch.epoch
    parsed, digests = [], []
    for data in entries:
        seq += 1
        try:
            entry = parse(data)
        except UNREADABLE:
            raise ForgedBatchError(till=till, epoch=epoch, seq=seq, why="its bytes are no entry") from None
        if entry.prev != before or entry.seq != seq:
            raise ForgedBatchError(till=till, epoch=epoch, seq=seq, why="it does not follow on the one before it")
        if entry.till != till or entry.epoch != epoch:
            raise ForgedBatchError(till=till, epoch=epoch, seq=seq, why="it is another till's or epoch's")
        if entry.v > VERSION or len(data) > LARGEST_ENTRY:
            raise ForgedBatchError(till=till, epoch=epoch, seq=seq, why="it is newer or larger than any entry")
        before = sha256(data).hexdigest()
        parsed.append(entry)
        digests.append(before)
    signature = b""
    if entries:
        if before != batch.last[1]:
            raise ForgedBatchError(till=till, epoch=epoch, seq=seq, why="it is not the entry announced as the last")
        with suppress(ValueError):  # no hex is no signature
            signature = bytes.fromhex(batch.signature)
        if not Verifier(public_key).good(signature, signed_bytes(till, epoch, Head(seq, before))):
            raise ForgedBatchError(till=till, epoch=epoch, seq=seq, why="the till's key did not sign it")
    return Believed(Head(*batch.after), entries, parsed, digests, signature, batch.packed)


def _proof(stream: Stream, branches: dict[str, Branch], mine: str, *, ahead: bool) -> Proof | None:
    """What shows the sender that its epoch goes on elsewhere: on another branch; on its own only where there is no other.

    A fork's own branch may be ahead of nothing but the sender's marks, which lie far apart.
    """
    names = [name for name in branches if name != mine] if mine else [mine] if ahead else []
    for name in names:
        if name in branches and (signed := stream.signed(name)) is not None:
            head, signature = signed
            return Proof(head.seq, head.digest, signature.hex())
    return None


def sign_ack(signer: Signer, keeper: str, batch: Batch, branch: str, head: Head, time: str) -> Ack:
    """The keeper's word; the caller owes that `head` is durable."""
    unsigned = Ack(keeper, batch.till, batch.epoch, branch, head.seq, head.digest, time, "")
    return msgspec.structs.replace(unsigned, signature=signer.sign(ack_bytes(unsigned)).hex())


def _check_as_of(batch: Batch, as_of: AsOf, public_key: bytes) -> None:
    said = as_of_bytes(batch.till, batch.epoch, Head(as_of.seq, as_of.digest), as_of.time)
    if not Verifier(public_key).good(bytes.fromhex(as_of.signature), said):
        raise ForgedBatchError(till=batch.till, epoch=batch.epoch, seq=as_of.seq, why="the till's key did not date it")


def _holding(stream: Stream, branches: dict[str, Branch], place: Head) -> Branch | None:
    """The branch on which `place` lies, the longest first; an empty place lies on the first history, there or not."""
    if place.seq == 0:
        return branches.get("", Branch("", Head(0, NOTHING), Head(0, NOTHING))) if place.digest == NOTHING else None
    for branch in branches.values():
        if place == branch.head:
            return branch
    for branch in branches.values():
        inside = branch.base.seq < place.seq < branch.head.seq
        if inside and stream.digests(branch.name, place.seq, place.seq)[0] == place.digest:
            return branch
    return None


def _best_mark(stream: Stream, branches: dict[str, Branch], batch: Batch) -> tuple[Branch, Head]:
    """The last of the sender's marks that is here; nothing when none is."""
    for mark in batch.marks:
        place = Head(*mark)
        branch = _holding(stream, branches, place)
        if branch is not None:
            return branch, place
    nothing = Head(0, NOTHING)
    return branches.get("", Branch("", nothing, nothing)), nothing


def _put(
    stream: Stream, branches: dict[str, Branch], branch: Branch, believed: Believed
) -> tuple[Branch, Head, Head | None]:
    """Walk the part that is here already, and store the rest where it belongs.

    Gives the branch the sender is on, the sender's last entry that is here now, and the first entry of a new fork.
    """
    place = believed.after  # up to here the sender's history is on `branch`
    while True:
        last = min(branch.head.seq, believed.head.seq)
        ours = stream.digests(branch.name, place.seq + 1, last) if place.seq < last else ()
        for known, sent in zip(ours, believed.beyond(place.seq).digests, strict=False):
            if known != sent:
                break
            place = Head(place.seq + 1, sent)
        if place.seq == believed.head.seq:
            return branch, place, None
        rest = believed.beyond(place.seq)
        if place == branch.head:
            stream.extend(branch.name, branch.base, rest)
            return Branch(branch.name, branch.base, rest.head), rest.head, None
        first = Head(place.seq + 1, rest.digests[0])  # the first differing entry names the branch
        known_fork = branches.get(first.digest)
        if known_fork is None:
            stream.extend(first.digest, place, rest)
            return Branch(first.digest, place, rest.head), rest.head, first
        branch, place = known_fork, first
