"""How a journal's SQLite file is opened: one writer at a time, hardened against a hostile file, errors made ours.

What is written and read is `journal_file.py`'s and `journal_reader.py`'s. Keeps J5 (one journal, one writer) and J6
(durable before told: WAL with synchronous=FULL; see docs/rules-journal.md).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from functools import cache
from pathlib import Path

import apsw

from oppet.base.errors import UnavailableError
from oppet.journal.chain import WHY
from oppet.journal.entry import NOTHING, Head
from oppet.journal.errors import (
    DiskFailedError,
    DiskFullError,
    DiskReadOnlyError,
    JournalDamagedError,
    JournalFromFutureError,
    JournalInUseError,
    NotAJournalError,
)

__all__ = [
    "APPLICATION_ID",
    "FORMAT",
    "begin_file",
    "check_file",
    "connect",
    "lock",
    "rewrite_log",
    "statements",
    "translated",
    "use_wal",
]

APPLICATION_ID = 0xD6707074  # "Öppt" as SQLite's application id: a signed 32-bit number in the header
FORMAT = 1  # of the tables, not of the entries: those carry their own version
_LARGEST_VALUE = 64 << 20  # a view is derived from a day's entries; nothing else comes near
_CHUNK = 65_536
_WAL_PAGES = 1000  # 4 MB: commits overwrite it in place, which costs a third of growing it

_SQL = Path(__file__).parent / "sql"
_MARK = "-- name: "


@cache
def _schema() -> str:
    return (_SQL / "journal_schema.sql").read_text(encoding="utf-8")


@cache
def statements(name: str) -> dict[str, str]:
    """The named statements of `sql/<name>.sql`: each from a line `-- name: word` to the next."""
    found: dict[str, str] = {}
    for part in (_SQL / f"{name}.sql").read_text(encoding="utf-8").split(_MARK)[1:]:
        word, _, text = part.partition("\n")
        found[word.strip()] = "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip()
    return found


def lock(path: Path) -> int:
    """Take `<path>.lock` for this process and give its handle. Raises JournalInUseError at once."""
    try:
        handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _from_os(error, path) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            raise JournalInUseError(path=str(path)) from None
        raise _from_os(error, path) from error
    return handle


def connect(path: Path, vfs: str | None, *, create: bool) -> apsw.Connection:
    """Open for writing, exclusively. Raises apsw.Error; the caller translates it."""
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
    connection = apsw.Connection(str(path), flags=flags, vfs=vfs)
    connection.limit(apsw.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE)
    connection.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    connection.pragma("mmap_size", 0)
    connection.pragma("cell_size_check", 1)
    connection.pragma("locking_mode", "exclusive")  # no shared memory file, and no reader can hold the WAL back
    connection.pragma("synchronous", "full")
    connection.wal_autocheckpoint(_WAL_PAGES)
    return connection


def begin_file(connection: apsw.Connection, till: str, epoch: int, base: Head | None = None) -> None:
    """Make the tables in a file that has none, durably and in one step: a power cut leaves a journal or nothing."""
    with connection:
        connection.pragma("application_id", APPLICATION_ID - (1 << 32))
        connection.pragma("user_version", FORMAT)
        connection.execute(_schema())
        meta = [("till", till), ("epoch", str(epoch))]
        meta += [("base", f"{base.seq} {base.digest}")] if base is not None else []
        connection.executemany(statements("journal")["put_meta"], meta)
    use_wal(connection)


def use_wal(connection: apsw.Connection) -> None:
    """Turn to the write-ahead log and keep its file between runs."""
    connection.pragma("journal_mode", "wal")
    yes = ctypes.c_int(1)
    connection.file_control("main", apsw.SQLITE_FCNTL_PERSIST_WAL, ctypes.addressof(yes))


def rewrite_log(path: Path, vfs: str | None) -> None:
    """Write the log's bytes over themselves and sync them. Raises apsw.Error; the caller translates it.

    After an fsync that failed, the operating system shows bytes that are not on the disk, and calls the next fsync good. SQLite
    would copy them into the database as if a torn page could be mended from the log. Written again they are dirty again, and
    this sync means what it says.
    """
    log = f"{path}-wal"
    if not Path(log).is_file():
        return
    file = apsw.VFSFile(vfs or "", log, [apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_READWRITE, 0])
    try:
        size = file.xFileSize()
        for offset in range(0, size, _CHUNK):
            file.xWrite(file.xRead(min(_CHUNK, size - offset), offset), offset)
        file.xSync(apsw.SQLITE_SYNC_NORMAL)
    finally:
        file.xClose()


def check_file(connection: apsw.Connection, path: Path) -> tuple[str, int, Head]:
    """Give till, epoch and what the first entry follows on, of a file with a journal's tables.

    Raises NotAJournalError, JournalFromFutureError.
    """
    if connection.pragma("application_id") != APPLICATION_ID - (1 << 32):
        raise NotAJournalError(path=str(path), why="it is another program's database")
    version = connection.pragma("user_version")
    if version > FORMAT:
        raise JournalFromFutureError(path=str(path), version=version, known=FORMAT)
    blank = apsw.Connection(":memory:")
    blank.execute(_schema())
    schema = statements("journal")["schema"]
    if list(connection.execute(schema)) != list(blank.execute(schema)):
        raise NotAJournalError(path=str(path), why="its tables are not a journal's")
    meta = dict(connection.execute(statements("journal")["meta"]))
    epoch = str(meta.get("epoch"))
    if not epoch.isdecimal() or len(epoch) > 9 or "till" not in meta:
        raise NotAJournalError(path=str(path), why="it names no till and epoch")
    seq, _, base = str(meta.get("base", f"0 {NOTHING}")).partition(" ")
    if not seq.isdecimal() or len(seq) > 15 or len(base) != len(NOTHING):
        raise NotAJournalError(path=str(path), why="what it follows on cannot be read")
    return str(meta["till"]), int(epoch), Head(int(seq), base)


def translated(error: apsw.Error, number: int, path: Path, till: str, epoch: int, seq: int) -> Exception:
    """Our leaf for what SQLite and, with `number`, the operating system said."""
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return JournalInUseError(path=str(path))
    if isinstance(error, apsw.NotADBError):
        return NotAJournalError(path=str(path), why="it is no SQLite file")
    if isinstance(error, apsw.FullError) or number == errno.ENOSPC:
        return DiskFullError(till=till, epoch=epoch, seq=seq)
    if isinstance(error, apsw.ReadOnlyError) or number == errno.EROFS:
        return DiskReadOnlyError(till=till, epoch=epoch, seq=seq)
    if isinstance(error, apsw.CorruptError):
        return JournalDamagedError(till=till, epoch=epoch, seq=seq + 1, why=WHY["unreadable file"])
    return DiskFailedError(till=till, epoch=epoch, seq=seq, why=str(error) or type(error).__name__)


def _from_os(error: OSError, path: Path) -> UnavailableError:
    if error.errno == errno.ENOSPC:
        return DiskFullError(till="?", epoch=0, seq=0)
    if error.errno == errno.EROFS:
        return DiskReadOnlyError(till="?", epoch=0, seq=0)
    return DiskFailedError(till="?", epoch=0, seq=0, why=f"{error.strerror}: {path.name}.lock")
