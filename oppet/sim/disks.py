"""Disks under a virtual clock: what a program was told is durable, what truly is, and a power cut at any write.

A commit is whole or not there, as SQLite's is (what tears inside one is in the runs on real files: `file_disks.py`). A
disk that lies calls a commit durable and keeps it in a cache: the next power cut takes it. Nothing here ever removes an
entry by itself; only a fault does. Gives the till its journal and the keeper its shelf, so both run unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from oppet.base.clock import Clock
from oppet.base.signing import Signer
from oppet.drivers.faulty_disk import PowerCutError
from oppet.journal.entry import NOTHING, Entry, Head, parse, seal, signed_bytes
from oppet.journal.errors import DiskFailedError, DiskFullError, JournalBrokenError
from oppet.journal.kinds import Body, CopyMade, Receipt
from oppet.sync.certificates import Standing
from oppet.sync.keeper import Alarm, Believed, Branch, Known, Shelf
from oppet.sync.messages import AsOf, Paper
from oppet.sync.sender import Source, as_of

__all__ = ["Disk", "Kept", "KeptSource", "Log", "OwnSource", "SimJournal", "SimShelf", "Stored"]

StreamKey = tuple[str, int]
Stored = Callable[["Disk", "Log", int, Sequence[bytes], Sequence[str]], None]  # disk, log, first number, bytes, digests
PLENTY = 10**12


class Log:
    """One append-only history on a disk: exact bytes, digests, the signatures that came with them."""

    __slots__ = ("base", "digests", "entries", "on_platter", "owner", "receipts", "signed", "views")

    def __init__(self, owner: tuple[str, int, str], base: Head) -> None:
        self.owner = owner  # till, epoch, branch
        self.base = base
        self.entries: list[bytes] = []
        self.digests: list[str] = [base.digest]
        self.signed: dict[int, bytes] = {}
        self.on_platter = 0  # how many entries a power cut leaves
        self.views: dict[str, tuple[int, str, bytes]] = {}
        self.receipts: dict[tuple[str, int], int] = {}

    @property
    def head(self) -> Head:
        return Head(self.base.seq + len(self.entries), self.digests[-1])

    def digest_at(self, seq: int) -> str:
        place = seq - self.base.seq
        if not 0 <= place < len(self.digests):
            raise KeyError(seq)
        return self.digests[place]

    def holds(self, head: Head) -> bool:
        """Whether this very entry is here, as the program was told."""
        place = head.seq - self.base.seq
        return 0 <= place < len(self.digests) and self.digests[place] == head.digest

    def cut_back(self, count: int) -> None:
        """Lose everything behind the first `count` entries."""
        del self.entries[count:], self.digests[count + 1 :]
        last = self.base.seq + count
        self.signed = {seq: said for seq, said in self.signed.items() if seq <= last}
        self.views = {name: view for name, view in self.views.items() if view[0] <= last}
        self.receipts = {name: seq for name, seq in self.receipts.items() if seq <= last}
        self.on_platter = min(self.on_platter, count)

    def copy(self) -> Log:
        """The same history on another disk."""
        other = Log(self.owner, self.base)
        other.entries, other.digests, other.signed = list(self.entries), list(self.digests), dict(self.signed)
        other.views, other.receipts = dict(self.views), dict(self.receipts)
        other.on_platter = len(other.entries)
        return other


class Kept:
    """What a keeper has of one epoch: its histories by branch, and the till's last word on its end."""

    __slots__ = ("branches", "heard")

    def __init__(self) -> None:
        self.branches: dict[str, Log] = {}
        self.heard: AsOf | None = None

    def copy(self) -> Kept:
        other = Kept()
        other.branches = {name: log.copy() for name, log in self.branches.items()}
        other.heard = self.heard
        return other


class Disk:
    """One machine's disk. `cut` arms a power cut some writes from now; `fails`, `full` and `lying` are its other moods."""

    on_files = False

    def __init__(self, name: str, stored: Stored) -> None:
        self.name = name
        self.journals: dict[StreamKey, Log] = {}
        self.shelf: dict[StreamKey, Kept] = {}
        self.papers: list[Paper] = []
        self.post = Log((name, 1, ""), Head(0, NOTHING))  # what a node wrote about its own rulings
        self.lying = False
        self.full = False
        self.fails: list[bool] = []  # coming commits that fail; True: the bytes are there all the same
        self.commits = 0
        self.troubled = False  # a write has failed, and none has succeeded since
        self._stored = stored
        self._cut_in: int | None = None
        self._cut_after = False
        self._cached: list[Log] = []  # what a lying sync left in the cache

    # --- moods

    def cut(self, commits: int, *, after: bool) -> None:
        """Cut the power at the commit so many from now: before a byte of it is there, or right after all of it is."""
        self._cut_in, self._cut_after = commits, after

    def fail(self, times: int, *, after: bool) -> None:
        """Let the coming commits fail; with `after` their bytes are there all the same."""
        self.fails.extend([after] * times)

    def calm(self) -> None:
        """No power cut is coming any more, and no commit fails."""
        self._cut_in = None
        self.fails.clear()

    def power_cut(self) -> int:
        """What a power cut leaves: gives how many entries only the cache held."""
        lost = 0
        for log in self._cached:
            lost += len(log.entries) - log.on_platter
            log.cut_back(log.on_platter)
        for kept in self.shelf.values():
            for name in [name for name, log in kept.branches.items() if name and not log.entries]:
                del kept.branches[name]
        self._cached.clear()
        self._cut_in = None
        return lost

    def image(self, name: str = "") -> Disk:
        """A copy as it is now: a backup, or a disk that was cloned into another machine."""
        other = Disk(name or self.name, self._stored)
        other.journals = {key: log.copy() for key, log in self.journals.items()}
        other.shelf = {key: kept.copy() for key, kept in self.shelf.items()}
        other.papers = list(self.papers)
        other.post = self.post.copy()
        return other

    def close(self) -> None:
        """The machine is gone for good."""

    # --- what programs open on it

    def journal(self, till: str, epoch: int, signer: Signer) -> SimJournal:  # noqa: ARG002 - a real file's wants one
        """A till's own journal. May raise a disk's UnavailableError."""
        return SimJournal(self, till, epoch)

    def own_source(self, till: str, epoch: int, signer: Signer, now: Callable[[], int]) -> Source:
        """One of this machine's own journals, as its senders read it."""
        return OwnSource(self, till, epoch, signer, now)

    def keeper_shelf(self, known: Known, clock: Clock, alarm: Alarm) -> Shelf:  # noqa: ARG002
        """A keeper's shelf, as after a start. May raise a disk's UnavailableError."""
        return SimShelf(self)

    def kept_source(self, till: str, epoch: int, branch: str) -> Source:
        """One kept history, as a keeper sends it on."""
        return KeptSource(self.shelf[till, epoch], till, epoch, branch)

    def same(self) -> list[str]:
        """What reads otherwise than it was written."""
        return []

    # --- writing

    def commit(self, changes: Sequence[tuple[Log, Sequence[bytes], Sequence[str], tuple[int, bytes] | None]]) -> None:
        """Put entries behind their logs' heads, all or none. Raises a disk's UnavailableError, or the power goes."""
        till, epoch, _ = changes[0][0].owner
        self.commits += 1
        seq = changes[0][0].head.seq
        self.troubled = True
        if self.full:
            raise DiskFullError(till=till, epoch=epoch, seq=seq)
        fails = self.fails.pop(0) if self.fails else None
        if fails is False:
            raise DiskFailedError(till=till, epoch=epoch, seq=seq, why="a write failed")
        cut = False
        if self._cut_in is not None:
            self._cut_in -= 1
            cut = self._cut_in < 0
            if cut and not self._cut_after:
                raise PowerCutError(self.name)
        for log, entries, digests, signature in changes:
            first = log.head.seq + 1
            log.entries.extend(entries)
            log.digests.extend(digests)
            if signature is not None:
                log.signed[signature[0]] = signature[1]
            if self.lying:
                if log not in self._cached:
                    self._cached.append(log)
            else:
                log.on_platter = len(log.entries)
            self._stored(self, log, first, entries, digests)
        self.troubled = bool(fails)
        if cut:
            raise PowerCutError(self.name)
        if fails:
            raise DiskFailedError(till=till, epoch=epoch, seq=seq, why="a sync failed")

    def honest(self) -> None:
        """The cache reaches the platter after all."""
        self.lying = False
        for log in self._cached:
            log.on_platter = len(log.entries)
        self._cached.clear()


class SimJournal:
    """A till's own journal on such a disk: what `drivers/journal_file.py` is on a real one."""

    def __init__(self, disk: Disk, till: str, epoch: int) -> None:
        self.disk = disk
        self.till, self.epoch = till, epoch
        self.broken = False
        self.log = disk.journals.setdefault((till, epoch), Log((till, epoch, ""), Head(0, NOTHING)))
        self.head = self.log.head

    def append(self, instant: int, bodies: Sequence[Body], signer: Signer | None) -> list[tuple[int, Body]]:
        if self.broken:
            raise JournalBrokenError(till=self.till, epoch=self.epoch, seq=self.head.seq)
        log = self.log
        head, entries, digests = log.head, [], []
        written, found = [], []
        for body in bodies:
            data, head = seal(head, self.till, self.epoch, instant, body)
            entries.append(data)
            digests.append(head.digest)
            written.append((head.seq, body))
            if isinstance(body, Receipt):
                found.append((("training" if body.kind == "training" else "normal", body.number), head.seq))
            elif isinstance(body, CopyMade):
                found.append((("copy", body.copy), head.seq))
        signature = None
        if signer is not None:
            signature = head.seq, signer.sign(signed_bytes(self.till, self.epoch, head))
        log.receipts.update(found)  # an index: a commit that fails is found by its number being beyond the head
        try:
            self.disk.commit([(log, entries, digests, signature)])
        except BaseException:
            self.broken = True
            raise
        self.head = log.head
        return written

    def add_raw(self, data: bytes, digest: str) -> None:
        """An entry of a newer version's kind, as another program of ours may have left it."""
        self.disk.commit([(self.log, [data], [digest], None)])

    def recover(self) -> Head:
        self.head = self.log.head
        self.log.receipts = {name: seq for name, seq in self.log.receipts.items() if seq <= self.head.seq}
        self.broken = False
        return self.head

    def read(self, first: int = 1, last: int | None = None) -> Iterator[Entry]:
        entries = self.log.entries
        for place in range(first - 1, len(entries) if last is None else min(last, len(entries))):
            yield parse(entries[place])

    def raw(self, seq: int) -> bytes:
        return self.log.entries[seq - 1]

    def load_view(self, name: str) -> tuple[int, str, bytes] | None:
        view = self.log.views.get(name)
        return view if view is not None and view[0] <= self.head.seq else None

    def save_view(self, name: str, seq: int, digest: str, data: bytes) -> None:
        self.log.views[name] = (seq, digest, data)

    def find_receipt(self, series: str, number: int) -> int | None:
        seq = self.log.receipts.get((series, number))
        return seq if seq is not None and seq <= self.head.seq else None

    def free_bytes(self) -> int:
        return 0 if self.disk.full else PLENTY


class OwnSource:
    """A till's own journal as its senders read it: the till can sign any place in it."""

    def __init__(self, disk: Disk, till: str, epoch: int, signer: Signer, now: Callable[[], int]) -> None:
        self.till, self.epoch, self.own_key = till, epoch, signer.public
        self._log = disk.journals[till, epoch]
        self._signer = signer
        self._now = now

    @property
    def head(self) -> Head:
        return self._log.head

    def digest_at(self, seq: int) -> str:
        return self._log.digest_at(seq)

    def pieces(self, first: int, most: int, most_bytes: int) -> Sequence[bytes]:
        return _pieces(self._log.entries[first - 1 : first - 1 + most], most_bytes)

    def signature(self, first: int, last: int) -> tuple[int, bytes] | None:
        assert first <= last, "a place to sign"
        head = Head(last, self._log.digest_at(last))
        return last, self._signer.sign(signed_bytes(self.till, self.epoch, head))

    def as_of(self) -> AsOf | None:
        return as_of(self._signer, self.till, self.epoch, self.head, self._now())


class KeptSource:
    """One kept history, as a keeper sends it on: it can sign nothing, so it goes from one signed place to the next."""

    def __init__(self, kept: Kept, till: str, epoch: int, branch: str) -> None:
        self.till, self.epoch, self.branch = till, epoch, branch
        self.own_key = b""
        self._kept = kept

    def _log_of(self, seq: int) -> Log:
        """Where entry `seq` of this history stands: on its own branch, or on one that it parted from."""
        log = self._kept.branches[self.branch]
        while seq <= log.base.seq:
            log = next(
                other
                for other in self._kept.branches.values()
                if other is not log and other.base.seq < log.base.seq and other.holds(log.base)
            )
        return log

    @property
    def head(self) -> Head:
        return self._kept.branches[self.branch].head

    def digest_at(self, seq: int) -> str:
        return self._log_of(max(seq, 1)).digest_at(seq)

    def pieces(self, first: int, most: int, most_bytes: int) -> Sequence[bytes]:
        found: list[bytes] = []
        last = min(self.head.seq, first + most - 1)
        seq, log = last, self._log_of(last)
        while seq >= first:
            low = max(first, log.base.seq + 1)
            found[:0] = log.entries[low - log.base.seq - 1 : seq - log.base.seq]
            seq = low - 1
            if seq >= first:
                log = self._log_of(seq)
        return _pieces(found, most_bytes)

    def signature(self, first: int, last: int) -> tuple[int, bytes] | None:
        for seq in range(last, first - 1, -1):
            said = self._log_of(seq).signed.get(seq)
            if said is not None:
                return seq, said
        return None

    def as_of(self) -> AsOf | None:
        return self._kept.heard


def _pieces(entries: Sequence[bytes], most_bytes: int) -> Sequence[bytes]:
    size = 0
    for place, data in enumerate(entries):
        size += len(data)
        if place and size > most_bytes:
            return entries[:place]
    return entries


class SimShelf:
    """A keeper's shelf on such a disk: what the block left without an error is one commit."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk

    @contextmanager
    def stream(self, standing: Standing) -> Iterator[_Held]:
        key = (standing.till, standing.epoch)
        kept = self.disk.shelf.get(key)
        held = _Held(kept if kept is not None else Kept(), standing)
        yield held
        if held.changes:
            self.disk.shelf.setdefault(key, held.kept)
            for log in held.begun:
                held.kept.branches[log.owner[2]] = log
            try:
                self.disk.commit(held.changes)
            except BaseException:
                for log in held.begun:
                    if not log.entries:
                        del held.kept.branches[log.owner[2]]
                raise
        if held.as_of is not None and key in self.disk.shelf:
            held.kept.heard = held.as_of


class _Held:
    def __init__(self, kept: Kept, standing: Standing) -> None:
        self.kept = kept
        self.standing = standing
        self.changes: list[tuple[Log, Sequence[bytes], Sequence[str], tuple[int, bytes] | None]] = []
        self.begun: list[Log] = []
        self.as_of: AsOf | None = None

    def branches(self) -> Sequence[Branch]:
        return [Branch(name, log.base, log.head) for name, log in sorted(self.kept.branches.items())]

    def digests(self, branch: str, first: int, last: int) -> Sequence[str]:
        log = self.kept.branches[branch]
        return log.digests[first - log.base.seq : last + 1 - log.base.seq]

    def signed(self, branch: str) -> tuple[Head, bytes] | None:
        log = self.kept.branches[branch]
        seq = max(log.signed, default=0)
        return (Head(seq, log.digest_at(seq)), log.signed[seq]) if seq else None

    def extend(self, branch: str, base: Head, believed: Believed) -> None:
        log = self.kept.branches.get(branch)
        if log is None:
            log = Log((self.standing.till, self.standing.epoch, branch), base)
            self.begun.append(log)
        self.changes.append((log, believed.entries, believed.digests, (believed.head.seq, believed.signature)))

    def heard(self, as_of: AsOf) -> None:
        self.as_of = as_of
