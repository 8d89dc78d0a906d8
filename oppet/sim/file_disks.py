"""A simulated machine's disk on real files: tills' journals and a keeper's shelf as SQLite writes them, over a faulty platter.

The programs are `drivers/journal_file.py` and `drivers/shelf_files.py` themselves; what goes wrong under them is
`drivers/faulty_disk.py`'s, so a power cut falls inside a commit and leaves torn and missing sectors. What the programs were
told is durable is remembered in `Log`s, entry by entry as the driver reads it back, and the laws are held against those. A
history that comes back shorter than that breaks law 1, unless the disk had lied. A node's own rulings and the papers are
not on files.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, cast

import apsw

from oppet.base.canonical import digest
from oppet.base.clock import Clock
from oppet.base.errors import RefusedError, UntrustedError
from oppet.base.signing import Signer
from oppet.drivers.faulty_disk import FaultyDisk
from oppet.drivers.journal_file import JournalFile
from oppet.drivers.journal_sqlite import connect
from oppet.drivers.shelf_files import FileShelf
from oppet.drivers.upload import JournalSource
from oppet.journal.entry import NOTHING, Entry, Head, body_of, parse, signed_bytes
from oppet.journal.errors import DiskFailedError
from oppet.journal.kinds import Body, CopyMade, Receipt
from oppet.sim.disks import PLENTY, Disk, Kept, Log, SimJournal, Stored, StreamKey
from oppet.sync.certificates import Standing
from oppet.sync.keeper import Alarm, Known, Shelf, Stream
from oppet.sync.sender import Source

__all__ = ["FileDisk", "FileJournal"]

PORTION = 500
OPERATIONS = 4  # writes and syncs of a small commit, about
_MOST_OPEN = 6  # of a keeper's files: fewer than there are, so that they are closed and opened again


class _Stream(Protocol):
    """What a history on a file says of itself; a till's own and a kept one alike."""

    @property
    def head(self) -> Head: ...
    def digest_at(self, seq: int) -> str: ...
    def pieces(self, first: int, most: int, most_bytes: int) -> Sequence[bytes]: ...
    def signature(self, first: int, last: int) -> tuple[int, bytes] | None: ...


class FileDisk(Disk):
    """`another` makes a disk of the same kind for a copy of this one; `wrong` hears of a law that broke."""

    on_files = True

    def __init__(
        self,
        name: str,
        stored: Stored,
        folder: Path,
        seed: int,
        wrong: Callable[[str, str], None],
        another: Callable[[str], FileDisk],
    ) -> None:
        self.platter = FaultyDisk(seed, name)
        self.folder = folder
        self.shelf_files: FileShelf | None = None
        self._own: dict[StreamKey, JournalFile] = {}
        self._wrong, self._another = wrong, another
        self._known: Known = lambda *_: None
        self._counting_losses = False
        super().__init__(name, stored)
        (folder / "own").mkdir(parents=True)
        (folder / "kept").mkdir()

    # --- moods

    @property
    def full(self) -> bool:
        return self.platter.free is not None

    @full.setter
    def full(self, full: bool) -> None:
        self.platter.full_after(0 if full else None)

    @property
    def lying(self) -> bool:
        return self.platter.lying

    @lying.setter
    def lying(self, lying: bool) -> None:
        self.platter.lying = lying

    @property
    def troubled(self) -> bool:
        return self._writing or self.platter.failed

    @troubled.setter
    def troubled(self, troubled: bool) -> None:
        self._writing = troubled
        if not troubled:
            self.platter.failed = False

    def honest(self) -> None:
        super().honest()
        self.platter.honest()

    def fail(self, times: int, *, after: bool) -> None:
        if after:
            self.platter.fail_sync_at(*(self.platter.syncs + place for place in range(1, times + 1)))
        else:
            self.platter.failing_writes = times

    def cut(self, commits: int, *, after: bool) -> None:
        """Cut the power at some write or sync about so many commits from now."""
        later = OPERATIONS * commits + self.platter.chance.randrange(1, 2 * OPERATIONS) + after
        self.platter.cut_at(self.platter.operations + later)

    def calm(self) -> None:
        super().calm()
        self.platter.calm()

    def power_cut(self) -> int:
        lost = super().power_cut()
        lied = self.platter.lied
        self.platter.end_life()
        self._close()
        self.platter.restart()
        return lost + (self._take_stock() if lied else 0)

    def close(self) -> None:
        """The machine is gone, and its files are no concern of anybody."""
        self.platter.end_life()
        self._close()
        self.platter.unregister()
        shutil.rmtree(self.folder)

    def image(self, name: str = "") -> Disk:
        other = self._another(name or self.name)
        other.take(super().image(), self)
        return other

    def take(self, told: Disk, origin: FileDisk) -> None:
        """Become a copy of a disk: its files as they look now."""
        self.journals, self.shelf, self.papers, self.post = told.journals, told.shelf, told.papers, told.post
        shown = origin.platter.shown()
        for part in ("own", "kept"):
            for path in sorted((origin.folder / part).iterdir()):
                if path.suffix not in (".lock", ".new"):
                    data = shown.get(str(path))
                    (self.folder / part / path.name).write_bytes(path.read_bytes() if data is None else data)

    # --- the till's side

    def journal(self, till: str, epoch: int, signer: Signer) -> SimJournal:
        self.journals.setdefault((till, epoch), Log((till, epoch, ""), Head(0, NOTHING)))
        return cast(SimJournal, FileJournal(self, self.own((till, epoch)), signer))

    def own(self, key: StreamKey) -> JournalFile:
        """The open file of one of this machine's own journals. Raises what opening one raises."""
        file = self._own.get(key)
        if file is None:
            path = self.folder / "own" / f"{key[0]}-{key[1]}.journal"
            log = self.journals[key]
            try:
                if log.entries:
                    file = JournalFile.open(path, vfs=self.platter.vfs_name)
                else:
                    file = JournalFile.open_or_create(path, *key, vfs=self.platter.vfs_name)
            except (UntrustedError, RefusedError) as error:
                if self._counting_losses:
                    raise
                self._wrong("1", f"{self.name}: {log.owner} cannot be read after a power cut: {error}")
                raise DiskFailedError(till=key[0], epoch=key[1], seq=log.head.seq, why=str(error)) from error
            self._own[key] = file
            self.match(log, file)
        return file

    def own_source(self, till: str, epoch: int, signer: Signer, now: Callable[[], int]) -> Source:
        file = self.own((till, epoch))
        if file.broken and epoch != max(number for _, number in self.journals):  # a register recovers its own
            file.recover()
            self.match(self.journals[till, epoch], file)
        return JournalSource(file, signer, now)

    # --- the keeper's side

    def keeper_shelf(self, known: Known, clock: Clock, alarm: Alarm) -> Shelf:
        """As a keeper's start does: every file is read once."""
        self._known = known
        if self.shelf_files is not None:
            self.shelf_files.close()
        self.shelf_files = FileShelf(
            self.folder / "kept", known, clock, alarm, most_open=_MOST_OPEN, vfs=self.platter.vfs_name
        )
        for key in {(one.till, one.epoch): None for one in self.shelf_files.streams()} | dict.fromkeys(self.shelf):
            self.match_kept(key)
        return self

    @property
    def files(self) -> FileShelf:
        if self.shelf_files is None:  # its keeper's last start failed on this disk
            raise DiskFailedError(till="?", epoch=0, seq=0, why="the shelf is not open")
        return self.shelf_files

    @contextmanager
    def stream(self, standing: Standing) -> Iterator[Stream]:
        key = standing.till, standing.epoch
        self.troubled = True
        with self.files.stream(standing) as held:
            self.match_kept(key)  # what a commit that failed left there after all
            yield held
        self.match_kept(key)
        self.troubled = False

    def kept_source(self, till: str, epoch: int, branch: str) -> Source:
        return self.files.source(till, epoch, branch)

    # --- what was told

    def match_kept(self, key: StreamKey) -> None:
        """Take note of what the shelf says it has of one epoch."""
        files, kept = self.files, self.shelf.get(key, Kept())
        names = files.branches(*key)
        for source in sorted((files.source(*key, name) for name in names), key=lambda one: (one.base.seq, one.branch)):
            if source.head.seq > source.base.seq:
                self.shelf[key] = kept
                log = kept.branches.setdefault(source.branch, Log((*key, source.branch), source.base))
                self.match(log, source)
        for name, log in list(kept.branches.items()):
            if name not in names or not log.entries:
                self._shorter(log, 0)
                del kept.branches[name]

    def match(self, log: Log, file: _Stream) -> None:
        """Take note of what a file has more than was known; less, or something else, is a law broken."""
        head = file.head
        if head == log.head:
            return
        if head.seq <= log.head.seq or file.digest_at(log.head.seq) != log.head.digest:
            self._shorter(log, max(0, head.seq - log.base.seq))
            if log.head != head:
                self._wrong("4", f"{self.name}: {log.owner} has another entry {head.seq} than was written")
            return
        first = log.head.seq + 1
        entries = list(_all(file, first, head.seq))
        digests = [digest(data) for data in entries]
        log.entries.extend(entries)
        log.digests.extend(digests)
        log.on_platter = len(log.entries)
        signed = file.signature(first, head.seq)
        if signed is not None:
            log.signed[signed[0]] = signed[1]
        for seq, data in enumerate(entries, first):
            name = _printed_as(body_of(parse(data)))
            if name is not None:
                log.receipts[name] = seq
        self._stored(self, log, first, entries, digests)

    def same(self) -> list[str]:
        """Read every history back through the drivers: which are not what was told."""
        wrong = [
            f"{self.name}: {log.owner}"
            for key, log in sorted(self.journals.items())
            if log.entries != list(_all(self.own(key), 1, log.head.seq))
        ]
        for key, kept in sorted(self.shelf.items()):
            for name, log in sorted(kept.branches.items()):
                if log.entries != list(_all(self.files.source(*key, name), log.base.seq + 1, log.head.seq)):
                    wrong.append(f"{self.name}: kept {log.owner}")
        return wrong

    # --- behind them

    def _shorter(self, log: Log, count: int) -> None:
        if count < len(log.entries) and not self._counting_losses:
            self._wrong(
                "1", f"{self.name}: {log.owner} was durable to entry {log.head.seq} and has {log.base.seq + count}"
            )
        log.cut_back(count)

    def _take_stock(self) -> int:
        """After a disk that lied: how many entries are gone. One that damaged what it keeps is exchanged for an empty one."""
        before = self._count()
        full, lying = self.full, self.lying
        self.full = self.lying = False
        self._counting_losses = True
        try:
            if not self._sound():
                self._wipe()
            for key in sorted(self.journals):
                if self.journals[key].entries:
                    self.own(key)
            self.keeper_shelf(self._known, _Still(), _unheard)
            if self.same():
                self._wipe()
        except (UntrustedError, RefusedError):
            self._wipe()
        finally:
            self._counting_losses = False
            self.full, self.lying = full, lying
        return before - self._count()

    def _sound(self) -> bool:
        """Whether SQLite finds nothing wrong in any page of any journal, derived ones included."""
        for path in sorted(self.folder.rglob("*.journal")):
            try:
                db = connect(path, self.platter.vfs_name, create=False)
                try:
                    if path.stat().st_size and db.pragma("integrity_check") != "ok":
                        return False
                finally:
                    db.close(force=True)
            except apsw.Error:
                return False
        return True

    def _wipe(self) -> None:
        self._close()
        self.platter.end_life()
        self.platter.platters.clear()
        for part in ("own", "kept"):
            shutil.rmtree(self.folder / part)
            (self.folder / part).mkdir()
        self.journals.clear()
        self.shelf.clear()
        self.papers.clear()

    def _count(self) -> int:
        logs = [*self.journals.values(), *(log for kept in self.shelf.values() for log in kept.branches.values())]
        return sum(len(log.entries) for log in logs)

    def _close(self) -> None:
        for file in self._own.values():
            file.close()
        self._own.clear()
        if self.shelf_files is not None:
            self.shelf_files.close()
            self.shelf_files = None


class FileJournal:
    """A till's own journal as its register holds it: the driver, and a note of what it said is durable."""

    def __init__(self, disk: FileDisk, file: JournalFile, signer: Signer) -> None:
        self.disk = disk
        self.till, self.epoch = file.till, file.epoch
        self.log = disk.journals[file.till, file.epoch]
        self._file, self._signer = file, signer

    @property
    def head(self) -> Head:
        return self._file.head

    @property
    def broken(self) -> bool:
        return self._file.broken

    def append(self, instant: int, bodies: Sequence[Body], signer: Signer | None) -> list[tuple[int, Body]]:
        self.disk.troubled = True
        written = self._file.append(instant, bodies, signer)
        self.disk.match(self.log, self._file)
        self.disk.troubled = False
        return written

    def add_raw(self, data: bytes, said: str) -> None:
        """An entry of a newer version's kind, as another program of ours may have left it."""
        head = Head(self.head.seq + 1, said)
        self._file.keep([data], head, self._signer.sign(signed_bytes(self.till, self.epoch, head)))
        self.disk.match(self.log, self._file)

    def recover(self) -> Head:
        head = self._file.recover()
        self.disk.match(self.log, self._file)
        return head

    def read(self, first: int = 1, last: int | None = None) -> Iterator[Entry]:
        return self._file.read(first, last)

    def raw(self, seq: int) -> bytes:
        return self._file.raw(seq)

    def load_view(self, name: str) -> tuple[int, str, bytes] | None:
        return self._file.load_view(name)

    def save_view(self, name: str, seq: int, said: str, data: bytes) -> None:
        self._file.save_view(name, seq, said, data)

    def find_receipt(self, series: str, number: int) -> int | None:
        return self._file.find_receipt(series, number)

    def free_bytes(self) -> int:
        return 0 if self.disk.full else PLENTY


def _unheard(about: str, **facts: object) -> None:
    """A disk that lied damages what it keeps; nobody is told while losses are counted."""


class _Still:
    """No time passes while losses are counted."""

    def now(self) -> int:
        return 0

    def counter(self) -> int:
        return 0


def _all(file: _Stream, first: int, last: int) -> Iterator[bytes]:
    while first <= last:
        for data in file.pieces(first, min(PORTION, last - first + 1), 4 << 20):
            yield data
            first += 1


def _printed_as(body: Body | None) -> tuple[str, int] | None:
    if isinstance(body, Receipt):
        return "training" if body.kind == "training" else "normal", body.number
    return ("copy", body.copy) if isinstance(body, CopyMade) else None
