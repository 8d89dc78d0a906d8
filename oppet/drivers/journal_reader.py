"""Reading a journal that may be damaged or hostile: never a byte is written, beside it or in it.

A copied file is read as it is; a write-ahead log copied with it is read too, in memory. A long journal is checked in
ranges by as many processes as there are cores, in bounded memory. What is wrong is `journal/chain.py`'s to say.
Keeps J7 (bounds), J9 (the first wrong thing is named) and J10 (checking changes nothing).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import multiprocessing
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Self, cast
from urllib.parse import quote

import apsw
import msgspec

from oppet.base.canonical import digest
from oppet.drivers.journal_sqlite import APPLICATION_ID, FORMAT, statements
from oppet.journal.chain import (
    UNREADABLE,
    WHY,
    Checked,
    Extra,
    Finding,
    Owner,
    Row,
    check,
    check_anchor,
    owner_of,
)
from oppet.journal.entry import NOTHING, Head, parse
from oppet.journal.errors import JournalFromFutureError, JournalInUseError, JournalMissingError, NotAJournalError

__all__ = ["JournalReader", "Verdict", "first_difference", "verify_file"]

RANGE = 50_000  # entries a process takes at a time: a second or two
SMALLEST = 100  # bytes of an entry in a file; real ones are four times that
ALONE = 40_000  # a journal this short is checked before another process would have started
_LARGEST_VALUE = 2 << 20


class Verdict(msgspec.Struct, frozen=True):
    """What a whole file was found to be."""

    owner: Owner | None
    finding: Finding | None
    entries: int
    signatures: int
    head: Head
    signed_seq: int
    extras: tuple[object, ...] = ()


class JournalReader:
    """A journal opened for reading only, whatever state it is in."""

    def __init__(self, path: Path, *, in_use: bool = False) -> None:
        """`in_use`: read it although its till goes on writing; what is read then may be torn, and is read again by whoever asked.

        Raises JournalMissingError, NotAJournalError, JournalFromFutureError, JournalInUseError.
        """
        self.path = path
        self._sql = statements("journal_read")
        _look_at(path, in_use=in_use)
        try:
            self._db = _open(path)
            self._tables()
        except apsw.Error as error:
            raise NotAJournalError(path=str(path), why=_why(error)) from None
        self.owner = owner_of(self.raw(1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close(force=True)

    def rows(self, first: int | None = None) -> Generator[Row]:
        """Places and bytes in order of place, from `first` or from whatever comes first, to the end.

        A last row of (None, None) says that the file cannot be read any further.
        """
        cursor = self._db.cursor()
        try:
            yield from cast(
                "Iterator[Row]", cursor.execute(self._sql["rows"], (-(1 << 63) if first is None else first,))
            )
        except apsw.Error:
            yield None, None
        finally:
            with contextlib.suppress(apsw.Error):
                cursor.close(force=True)

    def raw(self, seq: int) -> bytes | None:
        """The bytes in place `seq`; None if there are none or they cannot be read."""
        with contextlib.closing(self.rows(seq)) as rows:
            place, data = next(rows, (None, None))
        return data if place == seq else None

    def signatures(self, after: int) -> Generator[tuple[int, bytes]]:
        """Signed numbers behind `after` and their signatures; one of another length than 64 comes empty."""
        with contextlib.suppress(apsw.Error):
            for seq, signature in self._db.execute(self._sql["signatures"], (after,)):
                if isinstance(seq, int) and isinstance(signature, bytes):
                    yield seq, signature

    def signed_until(self, seq: int) -> int:
        """The last signed number up to `seq`."""
        with contextlib.suppress(apsw.Error):
            found = self._db.execute(self._sql["signed_until"], (seq,)).get
            return found if isinstance(found, int) and found > 0 else 0
        return 0

    def ends(self) -> tuple[int, int]:
        """The lowest and highest place; (1, 0) in an empty journal, (1, 1) if that cannot be read."""
        try:
            first, last = self._db.execute(self._sql["ends"]).get
        except apsw.Error:
            return 1, 1
        return (first, last) if isinstance(first, int) and isinstance(last, int) else (1, int(last is not None))

    def strays(self) -> bool:
        """Whether an entry stands in a place that is no number: only in a file whose table was remade."""
        with contextlib.suppress(apsw.Error):
            return self.remade and bool(self._db.execute(self._sql["strays"]).get)
        return False

    def _tables(self) -> None:
        if self._db.pragma("application_id") != APPLICATION_ID - (1 << 32):
            raise NotAJournalError(path=str(self.path), why="it is another program's database")
        version = self._db.pragma("user_version")
        if version > FORMAT:
            raise JournalFromFutureError(path=str(self.path), version=version, known=FORMAT)
        tables = {name: (kind, str(sql)) for name, kind, sql in self._db.execute(self._sql["tables"])}
        for name in ("entries", "signatures"):
            kind, sql = tables.get(name, ("", ""))
            odd = kind != "table" or sql.upper().startswith("CREATE VIRTUAL")
            if odd or self._db.execute(self._sql["odd_columns"], (name,)).get:
                raise NotAJournalError(path=str(self.path), why="its tables are not a journal's")
        self.remade = "INTEGER PRIMARY KEY" not in tables["entries"][1].upper()


def verify_file(
    path: Path,
    public_key: bytes | None = None,
    anchors: Sequence[Head] = (),
    extra: Callable[[], Extra] | None = None,
    progress: Callable[[int, int], None] | None = None,
    processes: int | None = None,
) -> Verdict:
    """Check the whole chain and every signature, with the key given or else the one the file states.

    `extra` makes a check that sees every entry of a range; its reports are in the verdict, in order. `progress` is told
    entries done and entries in all. Raises what JournalReader raises: then there was nothing to check.
    """
    try:
        verdict = _verify(path, public_key, anchors, extra, progress, processes or os.cpu_count() or 1)
    finally:
        _look_at(path)  # a till that started meanwhile is no finding
    return verdict


def first_difference(one: JournalReader, other: JournalReader, last: int) -> int | None:
    """The first number up to `last` where two whole chains part; by halves, for one digest covers all before it."""
    low, high = 1, last
    if not last or one.raw(last) == other.raw(last):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if one.raw(middle) == other.raw(middle) else (low, middle)
    return low


def _verify(
    path: Path,
    public_key: bytes | None,
    anchors: Sequence[Head],
    extra: Callable[[], Extra] | None,
    progress: Callable[[int, int], None] | None,
    processes: int,
) -> Verdict:
    with JournalReader(path) as reader:
        first, last = reader.ends()
        owner, finding = _owner(reader, last)
        if owner is None:
            return Verdict(None, finding, 0, 0, Head(0, NOTHING), 0)
        if public_key is not None:
            owner = msgspec.structs.replace(owner, public_key=public_key)
        most = path.stat().st_size // SMALLEST + RANGE  # whoever claims more leaves a gap that one walk finds
        whole = last if first == 1 and last <= most and not reader.remade else 0
        ranges = [(start, start + RANGE - 1) for start in range(1, whole, RANGE)] or [(1, 0)]
        parts = list(_walk(path, owner, ranges, last, extra, progress, processes if last > ALONE else 1))
        finding = finding or next((part.finding for part in parts if part.finding), None)
        head, signed_seq = parts[-1].head, parts[-1].signed_seq
        if finding is None and reader.strays():
            finding = Finding("number", owner.till, owner.epoch, head.seq + 1, WHY["number place"], signed_seq)
        for anchor in anchors:
            finding = finding or check_anchor(owner, anchor, reader.raw(anchor.seq), head, signed_seq)
    entries = sum(part.entries for part in parts)
    signatures = sum(part.signatures for part in parts)
    return Verdict(owner, finding, entries, signatures, head, signed_seq, tuple(part.extra for part in parts))


def _walk(
    path: Path,
    owner: Owner,
    ranges: list[tuple[int, int]],
    total: int,
    extra: Callable[[], Extra] | None,
    progress: Callable[[int, int], None] | None,
    processes: int,
) -> Iterator[Checked]:
    """Check ranges side by side and give them in order, up to the first with something wrong."""
    final = len(ranges) - 1
    if processes == 1 or not final:
        for number, (first, last) in enumerate(ranges):
            checked = _check_range(path, owner, first, None if number == final else last, extra)
            if progress:
                progress(checked.head.seq, total)
            yield checked
            if checked.finding:
                return
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: list[Future[Checked]] = [
            pool.submit(_check_range, path, owner, first, None if number == final else last, extra)
            for number, (first, last) in enumerate(ranges)
        ]
        for future in waiting:
            checked = future.result()
            if progress:
                progress(checked.head.seq, total)
            yield checked
            if checked.finding:
                pool.shutdown(wait=False, cancel_futures=True)
                return


def _check_range(path: Path, owner: Owner, first: int, last: int | None, extra: Callable[[], Extra] | None) -> Checked:
    with JournalReader(path) as reader, contextlib.closing(reader.rows(first - 1 if first > 1 else None)) as rows:
        start = None
        if first > 1:
            place, data = next(rows, (None, None))
            start = Head(first - 1, digest(data) if place == first - 1 and data is not None else "")
        signed_seq = reader.signed_until(first - 1)
        watch = extra() if extra else None
        with contextlib.closing(reader.signatures(first - 1)) as signatures:
            return check(rows, signatures, owner, start, last, signed_seq, watch)


def _owner(reader: JournalReader, last: int) -> tuple[Owner | None, Finding | None]:
    """Whose journal it is; where the first entry does not say, at least what is wrong with it."""
    if reader.owner is not None or not last:
        return reader.owner, None
    data = reader.raw(1)
    word = "missing" if data is None else "opens nothing"
    till, epoch = "?", 0
    for _, some in (next(reader.rows(), (0, None)),):
        with contextlib.suppress(*UNREADABLE, TypeError):
            entry = parse(some)  # type: ignore[arg-type]  # None is no entry either
            till, epoch = entry.till, entry.epoch
    kind = {"missing": "missing", "opens nothing": "changed"}[word]
    return None, Finding(kind, till, epoch, 1, WHY[word], 0)


def _open(path: Path) -> apsw.Connection:
    """Open without a lock, a shared memory file or a checkpoint; the log, if one was copied too, is read in memory."""
    log = Path(f"{path}-wal")
    whole = not log.is_file() or log.stat().st_size == 0
    name = f"file:{quote(str(path.absolute()))}?mode=ro" + ("&immutable=1" if whole else "")
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    db = apsw.Connection(name, flags=flags, vfs=None if whole else "unix-none")
    db.limit(apsw.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE)
    db.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    db.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)
    db.pragma("locking_mode", "exclusive")
    db.pragma("cell_size_check", 1)
    db.pragma("mmap_size", 0)
    try:
        db.pragma("application_id")
    except apsw.CorruptError:
        db.config(apsw.SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1)  # half a file: read what is there; nothing can be written
    return db


def _look_at(path: Path, *, in_use: bool = False) -> None:
    """Refuse what cannot be a journal, and one that is not at rest unless that is known."""
    if not path.is_file():
        raise JournalMissingError(path=str(path))
    if path.stat().st_size == 0:
        raise NotAJournalError(path=str(path), why="it holds zero bytes")
    if in_use:
        return
    try:
        handle = os.open(f"{path}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno == errno.EWOULDBLOCK:
            raise JournalInUseError(path=str(path)) from None
    finally:
        os.close(handle)


def _why(error: apsw.Error) -> str:
    if isinstance(error, apsw.NotADBError):
        return "it is no SQLite file"
    if isinstance(error, apsw.CantOpenError):
        return "it cannot be opened for reading"
    return f"SQLite cannot read it ({error})"
