"""A keeper's shelf as journal files: one ordinary file for each history of each epoch, so that every audit tool reads it.

`<till>.<epoch>.journal` is the first history, `<till>.<epoch>.<digest16>.journal` a fork's own part, which begins on its base. One
caller at a time holds a stream; only so many files are open at once. A file that a failed disk left is read again before it is used,
and one that is damaged is set aside by name, never deleted: its till sends again what is missing (K12).
Whether bytes are believed is `sync/keeper.py`'s. Keeps K1 (what a held stream took is on the disk when it is let go).
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from oppet.base.canonical import digest
from oppet.base.clock import Clock
from oppet.base.errors import OppetError, UnavailableError, UntrustedError
from oppet.base.words import N_
from oppet.drivers import files
from oppet.drivers.clock import SystemClock
from oppet.drivers.disk import free_bytes
from oppet.drivers.journal_file import JournalFile
from oppet.journal.entry import NOTHING, Entry, Head, parse
from oppet.journal.errors import JournalExistsError
from oppet.sync.certificates import Standing
from oppet.sync.keeper import Alarm, Believed, Branch, Known
from oppet.sync.messages import AsOf

__all__ = ["FileShelf", "KeptSource", "Listed"]

_NAME = re.compile(r"([A-Za-z0-9-]{1,40})\.([0-9]{1,9})(?:\.([0-9a-f]{16}))?\.journal")
_START = Head(0, NOTHING)
LARGEST_AS_OF = 16 << 20  # bytes
Place = tuple[str, int]


class NotThisHistoryError(UntrustedError):
    sentence = N_("The kept journal {path} is another till's than its name says.")


class KeptDamagedError(UnavailableError):
    sentence = N_("What was kept of till {till}, epoch {epoch} is damaged and set aside. The till sends it again.")


class Listed(msgspec.Struct, frozen=True):
    """One history on the shelf, as lists and health show it."""

    till: str
    epoch: int
    branch: str  # "" is the first history
    base: Head
    head: Head
    last_time: str  # of the last entry, by the till's clock; "" where there is none
    as_of: AsOf | None
    heard: int  # instant the till was last heard; 0 since this process began


class _History:
    """One file: what is known of it whether it is open or not."""

    __slots__ = ("as_of", "base", "head", "journal", "last_time", "path", "unsure")

    def __init__(self, path: Path, base: Head) -> None:
        self.path = path
        self.base = self.head = base
        self.journal: JournalFile | None = None
        self.last_time = ""
        self.as_of: AsOf | None = None
        self.unsure = False  # closed after its disk failed: the head is what was known before


class _Kept:
    """One epoch of one till: its histories, held by one caller at a time."""

    __slots__ = ("heard", "histories", "key", "lock", "place", "version")

    def __init__(self, place: Place) -> None:
        self.place = place
        self.lock = threading.RLock()
        self.histories: dict[str, _History] = {}
        self.key: bytes | None = None
        self.heard = 0
        self.version = 0


class FileShelf:
    """`known` says whose key checks a file when it is opened; `alarm` hears of one that is damaged."""

    def __init__(
        self,
        folder: Path,
        known: Known,
        clock: Clock | None = None,
        alarm: Alarm | None = None,
        *,
        most_open: int = 64,
        vfs: str | None = None,
    ) -> None:
        self.folder = files.folder(folder)
        self._known, self._clock, self._alarm = known, clock or SystemClock(), alarm
        self._most_open, self._vfs = most_open, vfs
        self._guard = threading.Lock()  # over the tables below; never held while a disk is waited for
        self._kept: dict[Place, _Kept] = {}
        self._open: OrderedDict[tuple[Place, str], None] = OrderedDict()
        self._watchers: list[Callable[[str, int, str], None]] = []
        self._as_of_file = self.folder / "as_of.json"
        self._dated = False  # something was heard that is not in that file
        self.damaged: list[str] = []  # files set aside in this run
        try:
            self._scan()
        except BaseException:
            self.close()  # whoever tries again in this process finds no file locked by us
            raise

    # --- a keeper's side ------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def stream(self, standing: Standing) -> Iterator[_Held]:
        """Hold one stream. Raises UnavailableError; then nothing of the block counts."""
        kept = self._stream_of((standing.till, standing.epoch))
        with kept.lock:
            kept.key = standing.public_key
            for name, history in list(kept.histories.items()):
                if history.unsure or (history.journal is not None and history.journal.broken):
                    self.journal(kept, name)  # what a failed disk left is read before anybody is told a head
            held = _Held(self, kept)
            yield held
            kept.heard = self._clock.now()
        for branch in held.grown:
            for watcher in self._watchers:
                watcher(standing.till, standing.epoch, branch)
        self._dated |= held.dated

    def watch(self, watcher: Callable[[str, int, str], None]) -> None:
        """Call (till, epoch, branch) after a history grew and is durable; quick, in the keeper's thread."""
        self._watchers.append(watcher)

    # --- a reader's side ------------------------------------------------------------------------------------------

    def streams(self) -> list[Listed]:
        """Every history here, in order; of a held one as it was before."""
        with self._guard:
            kept = sorted(self._kept.items())
        return [
            Listed(*place, name, one.base, one.head, one.last_time, one.as_of, stream.heard)
            for place, stream in kept
            for name, one in sorted(stream.histories.items())
            if one.head.seq > one.base.seq
        ]

    def source(self, till: str, epoch: int, branch: str = "") -> KeptSource:
        """A history as a relay sends it on: a fork's from its first entry, through what it branched off."""
        return KeptSource(self, till, epoch, branch)

    def read(self, till: str, epoch: int, branch: str = "", first: int = 1, last: int | None = None) -> Iterator[Entry]:
        """Envelopes of a whole history from `first` to `last`, as they stand when each is reached."""
        source = self.source(till, epoch, branch)
        while first <= (source.head.seq if last is None else min(last, source.head.seq)):
            most = 500 if last is None else min(500, last - first + 1)
            for data in source.pieces(first, most, 4 << 20):
                yield parse(data)
                first += 1

    def first_at(self, till: str, epoch: int, branch: str, time: str) -> int:
        """The first entry at or after this UTC text, reckoned as if the till's clock never ran backwards."""
        source = self.source(till, epoch, branch)
        low, high = 1, source.head.seq + 1
        while low < high:
            middle = (low + high) // 2
            if parse(source.pieces(middle, 1, 1)[0]).time < time:
                low = middle + 1
            else:
                high = middle
        return low

    def save_view(self, till: str, epoch: int, branch: str, name: str, seq: int, data: bytes) -> None:
        """Keep what was derived from a history's entries up to `seq` beside them; it can be thrown away."""
        with self.opened(till, epoch, branch) as journal:
            journal.save_view(name, seq, journal.digest_at(seq), data)

    def load_view(self, till: str, epoch: int, branch: str, name: str) -> tuple[int, bytes] | None:
        """The saved view and how far it goes, or None if there is none that these entries gave."""
        with self.opened(till, epoch, branch) as journal:
            found = journal.load_view(name)
        return None if found is None else (found[0], found[2])

    def branches(self, till: str, epoch: int) -> list[str]:
        """The names of an epoch's histories, the first one's first."""
        with self._guard:
            kept = self._kept.get((till, epoch))
        return [] if kept is None else sorted(kept.histories)

    def history(self, till: str, epoch: int, branch: str) -> _History | None:
        """What is known of one history without touching the disk."""
        with self._guard:
            kept = self._kept.get((till, epoch))
        return None if kept is None else kept.histories.get(branch)

    @contextlib.contextmanager
    def opened(self, till: str, epoch: int, branch: str) -> Iterator[JournalFile]:
        """Hold one file open for a moment. Raises KeyError for a history that is not here, UnavailableError."""
        with self._guard:
            kept = self._kept[till, epoch]
        with kept.lock:
            yield self.journal(kept, branch)

    def remember(self) -> None:
        """Write down what the tills last said of themselves, for a quiet moment: losing it is harmless."""
        if not self._dated:
            return
        self._dated = False
        said = {f"{one.till}.{one.epoch}.{one.branch}": one.as_of for one in self.streams() if one.as_of is not None}
        with contextlib.suppress(UnavailableError):
            files.write(self._as_of_file, msgspec.json.encode(said))

    def free_bytes(self) -> int:
        """What the disk has left."""
        return free_bytes(self.folder)

    def close(self) -> None:
        """Close every file. Twice does no harm."""
        self.remember()
        with self._guard:
            kept = list(self._kept.values())
        for stream in kept:
            with stream.lock:
                for history in stream.histories.values():
                    self._close(history)
        with self._guard:
            self._open.clear()

    # --- behind both ----------------------------------------------------------------------------------------------

    def journal(self, kept: _Kept, branch: str) -> JournalFile:
        """A history's file, open and sound; the caller holds the stream. Raises KeyError, UnavailableError."""
        history = kept.histories[branch]
        journal = history.journal
        try:
            if journal is None:
                self._make_room()
                journal = history.journal = self._opened(kept, history)
            elif journal.broken:
                journal.recover()
                _note(history, journal)
        except UntrustedError as error:
            self._close(history)
            kept.histories = {name: one for name, one in kept.histories.items() if name != branch}
            self._set_aside(history.path, str(error))
            raise KeptDamagedError(till=kept.place[0], epoch=kept.place[1]) from error
        with self._guard:
            self._open[kept.place, branch] = None
            self._open.move_to_end((kept.place, branch))
        return journal

    def begin(self, kept: _Kept, branch: str, base: Head) -> JournalFile:
        """Make a history's empty file; the caller holds the stream. Raises UnavailableError."""
        till, epoch = kept.place
        name = f"{till}.{epoch}.{branch[:16]}.journal" if branch else f"{till}.{epoch}.journal"
        history = _History(self.folder / name, base)
        self._make_room()
        follows = base if branch else None
        try:
            journal = JournalFile.create(history.path, till, epoch, base=follows, vfs=self._vfs)
        except JournalExistsError:  # begun before a power cut, and nothing was put into it
            journal = JournalFile.open(history.path, vfs=self._vfs, public_key=kept.key)
            if (journal.base, journal.head) != (base, base):
                journal.close()
                self._set_aside(history.path, "it is in the way of another history")
                raise KeptDamagedError(till=till, epoch=epoch) from None
        journal.public_key = kept.key
        history.journal = journal
        kept.histories = {**kept.histories, branch: history}  # readers list without the lock
        with self._guard:
            self._open[kept.place, branch] = None
        return journal

    def _opened(self, kept: _Kept, history: _History) -> JournalFile:
        key = kept.key
        if key is None:
            standing = self._known(*kept.place)
            key = kept.key = standing.public_key if standing is not None else None
        journal = JournalFile.open(history.path, vfs=self._vfs, public_key=key)
        _note(history, journal)
        return journal

    def _stream_of(self, place: Place) -> _Kept:
        with self._guard:
            return self._kept.setdefault(place, _Kept(place))

    def _make_room(self) -> None:
        """Close the file unused longest whose stream nobody holds."""
        with self._guard:
            places = list(self._open) if len(self._open) >= self._most_open else []
        for place, branch in places:
            kept = self._kept[place]
            if not kept.lock.acquire(blocking=False):
                continue
            try:
                history = kept.histories[branch]
                self._close(history)
                with self._guard:
                    self._open.pop((place, branch), None)
                    if len(self._open) < self._most_open:
                        return
            finally:
                kept.lock.release()

    @staticmethod
    def _close(history: _History) -> None:
        journal, history.journal = history.journal, None
        if journal is not None:
            history.unsure = journal.broken
            journal.close()

    def _scan(self) -> None:
        """Find what is here and read each file once: heads, the last signature, the unsigned tail."""
        found: dict[Place, list[tuple[str, Path]]] = {}
        for path in sorted(self.folder.iterdir()):
            match = _NAME.fullmatch(path.name)
            if match is not None and path.stat().st_size:
                found.setdefault((match[1], int(match[2])), []).append((match[3] or "", path))
        said = self._read_as_of()
        for place, paths in found.items():
            kept = self._stream_of(place)
            for short, path in paths:
                self._find(kept, short, path)
            for name, history in kept.histories.items():
                as_of = said.get(f"{place[0]}.{place[1]}.{name}")
                if as_of is not None and as_of.seq <= history.head.seq:
                    history.as_of = as_of

    def _find(self, kept: _Kept, short: str, path: Path) -> None:
        history = _History(path, _START)
        try:
            self._make_room()
            history.journal = journal = self._opened(kept, history)
            if (journal.till, journal.epoch) != kept.place:
                raise NotThisHistoryError(path=str(path))
            name = journal.digest_at(journal.base.seq + 1) if short and journal.head != journal.base else ""
        except UnavailableError:
            self._close(history)
            raise
        except OppetError as error:
            self._close(history)
            self._set_aside(path, str(error))
            return
        if name[:16] != short:
            self._close(history)  # a fork that nothing was put into
            return
        kept.histories[name] = history
        self._open[kept.place, name] = None

    def _set_aside(self, path: Path, why: str) -> None:
        number = 1
        while (aside := path.with_name(f"{path.name}.damaged{number}")).exists():
            number += 1
        for end in ("", "-wal"):
            old = path.with_name(path.name + end)
            if old.exists():
                old.replace(aside.with_name(aside.name + end))
        self.damaged.append(aside.name)
        if self._alarm is not None:
            self._alarm("kept journal damaged", file=aside.name, why=why)

    def _read_as_of(self) -> dict[str, AsOf]:
        with contextlib.suppress(OppetError, msgspec.MsgspecError, ValueError):
            return msgspec.json.decode(files.read(self._as_of_file, LARGEST_AS_OF), type=dict[str, AsOf])
        return {}  # the tills say it again with their next batch


class _Held:
    """A stream as the keeper holds it."""

    def __init__(self, shelf: FileShelf, kept: _Kept) -> None:
        self._shelf, self._kept = shelf, kept
        self.grown: list[str] = []
        self.dated = False

    def branches(self) -> Sequence[Branch]:
        kept = sorted(self._kept.histories.items())
        return [Branch(name, one.base, one.head) for name, one in kept if one.head.seq > one.base.seq]

    def digests(self, branch: str, first: int, last: int) -> Sequence[str]:
        journal = self._shelf.journal(self._kept, branch)
        found: list[str] = []
        while len(found) <= last - first:
            pieces = journal.pieces(first + len(found), last - first - len(found) + 1, 4 << 20)
            assert pieces, "the keeper asks for what is here"
            found.extend(map(digest, pieces))
        return found

    def extend(self, branch: str, base: Head, believed: Believed) -> None:
        shelf, kept = self._shelf, self._kept
        is_new = branch not in kept.histories
        journal = shelf.begin(kept, branch, base) if is_new else shelf.journal(kept, branch)
        assert journal.head == believed.after, "entries join on the head"
        journal.keep(believed.entries, believed.head, believed.signature)
        history = kept.histories[branch]
        history.last_time = believed.parsed[-1].time
        history.head = journal.head
        self.grown.append(branch)

    def signed(self, branch: str) -> tuple[Head, bytes] | None:
        journal = self._shelf.journal(self._kept, branch)
        found = journal.signature(1, journal.head.seq)
        return None if found is None else (Head(found[0], journal.digest_at(found[0])), found[1])

    def heard(self, as_of: AsOf) -> None:
        for name, one in self._kept.histories.items():
            if not one.base.seq < as_of.seq <= one.head.seq:
                continue
            if self._shelf.journal(self._kept, name).digest_at(as_of.seq) != as_of.digest:
                continue
            if one.as_of is None or one.as_of.time < as_of.time:
                one.as_of = as_of
                self.dated = True


class KeptSource:
    """A kept history as a sender reads it (`sync/sender.py`): what a fork follows on comes from the history it left."""

    def __init__(self, shelf: FileShelf, till: str, epoch: int, branch: str) -> None:
        self.till, self.epoch, self.branch = till, epoch, branch
        self.own_key = b""
        self._shelf = shelf
        self._parent: KeptSource | None = None

    @property
    def head(self) -> Head:
        history = self._history()
        return _START if history is None else history.head

    @property
    def base(self) -> Head:
        history = self._history()
        return _START if history is None else history.base

    def digest_at(self, seq: int) -> str:
        """Raises KeyError."""
        head, base = self.head, self.base
        if seq in (head.seq, base.seq):
            return head.digest if seq == head.seq else base.digest
        if seq < base.seq:
            return self._left().digest_at(seq)
        with self._shelf.opened(self.till, self.epoch, self.branch) as journal:
            return journal.digest_at(seq)

    def pieces(self, first: int, most: int, most_bytes: int) -> Sequence[bytes]:
        base = self.base.seq
        found: list[bytes] = []
        if first <= base:
            found = list(self._left().pieces(first, min(most, base - first + 1), most_bytes))
            most_bytes -= sum(map(len, found))
            if first + len(found) <= base or len(found) == most or most_bytes <= 0:
                return found
        with self._shelf.opened(self.till, self.epoch, self.branch) as journal:
            found += journal.pieces(first + len(found), most - len(found), most_bytes)
        return found

    def signature(self, first: int, last: int) -> tuple[int, bytes] | None:
        base = self.base.seq
        if last > base:
            with self._shelf.opened(self.till, self.epoch, self.branch) as journal:
                own = journal.signature(max(first, base + 1), last)
            if own is not None:
                return own
        return self._left().signature(first, min(last, base)) if first <= base else None

    def as_of(self) -> AsOf | None:
        history = self._history()
        return None if history is None else history.as_of

    def _history(self) -> _History | None:
        return self._shelf.history(self.till, self.epoch, self.branch)

    def _left(self) -> KeptSource:
        """The history on which this one's base lies. Raises KeyError while that is not here."""
        if self._parent is None:
            self._parent = self._find_parent()
        return self._parent

    def _find_parent(self) -> KeptSource:
        base = self.base
        for name in self._shelf.branches(self.till, self.epoch):
            other = KeptSource(self._shelf, self.till, self.epoch, name)
            if name != self.branch and other.base.seq < base.seq <= other.head.seq:
                with contextlib.suppress(KeyError):
                    if other.digest_at(base.seq) == base.digest:
                        return other
        raise KeyError(base.seq)


def _note(history: _History, journal: JournalFile) -> None:
    """What the file says now."""
    history.base, history.head, history.unsure = journal.base, journal.head, False
    if journal.head.seq > journal.base.seq:
        history.last_time = parse(journal.raw(journal.head.seq)).time
