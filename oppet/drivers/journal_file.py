"""The journal on disk: one till's entries, written once, durable before anybody is told.

A group of entries is one transaction: wholly there after a crash or wholly not (R04, R11). A disk that fails leaves the
object broken until `recover` has read the truth from the disk again, because after a failed fsync nobody else knows it.
Judging a whole chain is `journal/chain.py`'s, opening the SQLite file `journal_sqlite.py`'s.
Keeps J1, J2 (no number twice), J3, J4 (what is signed), J5, J6 and J7 (bounds) of docs/rules-journal.md.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

import apsw

from oppet.base.canonical import digest
from oppet.base.signing import Signer, Verifier
from oppet.drivers.disk import free_bytes, make_durable
from oppet.drivers.journal_sqlite import (
    begin_file,
    check_file,
    connect,
    lock,
    rewrite_log,
    statements,
    translated,
    use_wal,
)
from oppet.journal.chain import LARGEST_ENTRY, UNREADABLE, WHY, Owner, check, owner_of
from oppet.journal.entry import NOTHING, VERSION, Entry, Head, parse, seal, signed_bytes
from oppet.journal.errors import (
    EntryTooLargeError,
    JournalBrokenError,
    JournalDamagedError,
    JournalExistsError,
    JournalMissingError,
    NotAJournalError,
)
from oppet.journal.kinds import Body, CopyMade, EpochOpened, PostOpened, Receipt

__all__ = ["JournalFile"]

LAST = (1 << 63) - 1


class JournalFile:
    """One open journal: a till's own, or a keeper's copy of another's (a fork's copy begins on `base`, not on nothing).

    One thread writes; others may read meanwhile.
    """

    till: str
    epoch: int
    head: Head  # the last durable entry
    base: Head  # what the first entry follows on
    signed_seq: int  # the last number a signature covers
    broken: bool  # nothing works until `recover`

    def __init__(self, path: Path, vfs: str | None, public_key: bytes | None) -> None:
        """Not for callers: `create` and `open` are."""
        self.path = path
        self.till, self.epoch, self.head, self.signed_seq, self.broken = "?", 0, Head(0, NOTHING), 0, True
        self.public_key = public_key
        self.base = Head(0, NOTHING)
        self._vfs = vfs
        self._guard = threading.RLock()
        self._sql = statements("journal")
        self._lock = self._locked()
        self._db: apsw.Connection | None = None
        self._add_entry = self._sql["add_entry"]

    @classmethod
    def create(cls, path: Path, till: str, epoch: int, *, base: Head | None = None, vfs: str | None = None) -> Self:
        """Make an empty journal, durably; with `base`, for the part of a forked history that differs.

        Raises JournalExistsError unless what is there holds nothing at all.
        """
        if epoch < 1 or not till:
            raise AssertionError((till, epoch))
        journal = cls(path, vfs, None)
        try:
            with journal._translating():
                journal._db = db = connect(path, vfs, create=True)
                if db.execute("SELECT count(*) FROM sqlite_schema").get:
                    raise JournalExistsError(path=str(path))
                begin_file(db, till, epoch, base)
            make_durable(path.parent)
            journal._read_again()
        except NotAJournalError:
            journal.close()
            raise JournalExistsError(path=str(path)) from None
        except BaseException:
            journal.close()
            raise
        return journal

    @classmethod
    def open_or_create(cls, path: Path, till: str, epoch: int, *, vfs: str | None = None) -> Self:
        """For a first start that may have been cut off: what holds nothing at all becomes an empty journal.

        Only for an epoch whose key has signed nothing yet: a journal that lost its entries must never begin again.
        """
        try:
            return cls.create(path, till, epoch, vfs=vfs)
        except JournalExistsError:
            return cls.open(path, vfs=vfs)

    @classmethod
    def open(cls, path: Path, *, vfs: str | None = None, public_key: bytes | None = None) -> Self:
        """Open and check what is there: tables, head, last signature and the unsigned tail.

        The epoch's public key is the first entry's unless it is given. Raises JournalMissingError, NotAJournalError,
        JournalFromFutureError, JournalInUseError, JournalDamagedError, or a disk's UnavailableError.
        """
        if not path.is_file():
            raise JournalMissingError(path=str(path))
        if path.stat().st_size == 0:
            raise NotAJournalError(path=str(path), why="it holds zero bytes")
        journal = cls(path, vfs, public_key)
        try:
            journal.recover()
        except BaseException:
            journal.close()
            raise
        return journal

    def append(self, instant: int, bodies: Sequence[Body], signer: Signer | None) -> list[tuple[int, Body]]:
        """Seal `bodies` behind the head and make them durable in one commit; give each its number.

        With a signer the new head is signed, and through it every entry before it.
        Raises EntryTooLargeError with nothing done; a disk's UnavailableError leaves the journal broken (`recover`).
        """
        with self._guard:
            return self._append(instant, bodies, signer)

    def _append(self, instant: int, bodies: Sequence[Body], signer: Signer | None) -> list[tuple[int, Body]]:
        self._open_db()
        execute = self._execute
        head, rows, receipts = self.head, [], []
        for body in bodies:
            data, head = seal(head, self.till, self.epoch, instant, body)
            if len(data) > LARGEST_ENTRY:
                raise EntryTooLargeError(till=self.till, epoch=self.epoch, bytes=len(data), largest=LARGEST_ENTRY)
            rows.append((head.seq, data.decode()))
            if isinstance(body, Receipt):
                receipts.append(("training" if body.kind == "training" else "normal", body.number, head.seq))
            elif isinstance(body, CopyMade):
                receipts.append(("copy", body.copy, head.seq))
        public_key = self.public_key or (_stated_key(bodies[0]) if bodies else None)
        signature = None
        if signer is not None:
            assert signer.public == public_key, "an epoch is signed with the key its first entry names"
            signature = signer.sign(signed_bytes(self.till, self.epoch, head))
        try:
            if len(rows) == 1 and signature is None and not receipts:
                execute(self._add_entry, rows[0])  # its own transaction: the path of a scan
            else:
                self._commit(execute, head, rows, signature, receipts)
        except BaseException as error:
            self.broken = True
            if isinstance(error, apsw.Error):
                raise self._translated(error) from error
            raise
        self.head, self.public_key = head, public_key
        if signature is not None:
            self.signed_seq = head.seq
        return [(seq, body) for (seq, _), body in zip(rows, bodies, strict=True)]

    def _commit(
        self,
        execute: Callable[..., object],
        head: Head,
        rows: list[tuple[int, str]],
        signature: bytes | None,
        receipts: list[tuple[str, int, int]],
    ) -> None:
        sql = self._sql
        execute("BEGIN IMMEDIATE")
        for row in rows:
            execute(self._add_entry, row)
        if signature is not None:
            execute(sql["add_signature"], (head.seq, signature))
        for receipt in receipts:
            execute(sql["add_receipt"], receipt)
        execute("COMMIT")

    def keep(self, entries: Sequence[bytes], head: Head, signature: bytes) -> None:
        """Put another machine's entries behind the head as they are, and the signature over `head`, in one commit.

        The caller has checked them (`sync/keeper.py`). Receipts are not indexed: this is a copy, not a till's journal.
        Raises a disk's UnavailableError; the journal is then broken (`recover`).
        """
        with self._guard:
            self._open_db()
            assert self.head.seq + len(entries) == head.seq, "entries join on the head"
            rows = [(self.head.seq + place, data.decode()) for place, data in enumerate(entries, 1)]
            try:
                self._commit(self._execute, head, rows, signature, [])
            except BaseException as error:
                self.broken = True
                if isinstance(error, apsw.Error):
                    raise self._translated(error) from error
                raise
            if self.public_key is None and self.base.seq == 0:
                opened = owner_of(self.raw(1))
                self.public_key = None if opened is None else opened.public_key
            self.head, self.signed_seq = head, head.seq

    def pieces(self, first: int, most: int, most_bytes: int) -> list[bytes]:
        """Exact bytes from entry `first` on: at least one where there is one, at most `most`, about `most_bytes` in all."""
        found: list[bytes] = []
        size = 0
        for _, data in self._rows(first, first + most - 1):
            size += len(data)
            if found and size > most_bytes:
                break
            found.append(data)
        return found

    def signature(self, first: int, last: int) -> tuple[int, bytes] | None:
        """The furthest signed place in `first`…`last` and its signature."""
        with self._guard, self._translating():
            row = self._open_db().execute(self._sql["signature_between"], (first, last)).get
        return None if row is None else (int(row[0]), bytes(row[1]))

    def recover(self) -> Head:
        """Open the file again and believe only what the disk holds. Raises what `open` raises; then still broken."""
        with self._guard:
            return self._recover()

    def _recover(self) -> Head:
        self._close_db()
        if self._lock is None:
            self._lock = self._locked()
        with self._translating():
            rewrite_log(self.path, self._vfs)
            self._db = db = connect(self.path, self._vfs, create=False)
            check_file(db, self.path)
            use_wal(db)
            # Rewrites every page of the log into the file and syncs it: what we read from here on is on the disk even
            # if an fsync failed before and the operating system only still remembers the bytes.
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
        return self._read_again()

    def read(self, first: int = 1, last: int | None = None) -> Iterator[Entry]:
        """The envelopes from `first` to `last`, both included, as they stand when each is reached."""
        for seq, data in self._rows(first, LAST if last is None else last):
            yield self._parse(seq, data)

    def _rows(self, first: int, last: int) -> Iterator[tuple[int, bytes]]:
        """Rows in portions, so that no statement stays open while entries are appended."""
        while first <= last:
            with self._guard, self._translating():
                rows = self._open_db().execute(self._sql["some_entries"], (first, last)).fetchall()
            if not rows:
                return
            for seq, data in rows:
                assert isinstance(seq, int)
                if not isinstance(data, bytes):  # the column allows no such thing: the page is damaged
                    raise self._damaged(seq, WHY["unreadable"])
                yield seq, data
                first = seq + 1

    def raw(self, seq: int) -> bytes:
        """The exact bytes of entry `seq`. Raises KeyError."""
        with self._guard, self._translating():
            data = self._open_db().execute(self._sql["entry"], (seq,)).get
        if data is None:
            raise KeyError(seq)
        return bytes(data)

    def digest_at(self, seq: int) -> str:
        """The digest of entry `seq`. Raises KeyError."""
        head = self.head
        if seq in (head.seq, self.base.seq):
            return head.digest if seq == head.seq else self.base.digest
        return digest(self.raw(seq))

    def save_view(self, name: str, seq: int, digest: str, data: bytes) -> None:
        """Keep what was derived from the entries up to `seq`; it can be thrown away."""
        with self._guard, self._translating():
            self._open_db().execute(self._sql["put_view"], (name, seq, digest, data))

    def load_view(self, name: str) -> tuple[int, str, bytes] | None:
        """The saved view, or None if there is none or it was not derived from the entries that are here."""
        with self._guard, self._translating():
            row = self._open_db().execute(self._sql["view"], (name,)).get
        if row is None:
            return None
        seq, said, data = row
        if not isinstance(seq, int) or not isinstance(data, bytes) or not 0 <= seq <= self.head.seq:
            return None
        return (seq, said, data) if said == (digest(self.raw(seq)) if seq else NOTHING) else None

    def find_receipt(self, series: str, number: int) -> int | None:
        """The entry that holds receipt `number` of `series` (normal | training | copy)."""
        with self._guard, self._translating():
            seq = self._open_db().execute(self._sql["receipt"], (series, number)).get
        return None if seq is None else int(seq)

    def free_bytes(self) -> int:
        """What the disk has left for this journal; works on a broken one too."""
        return free_bytes(self.path)

    def checkpoint(self) -> None:
        """Fold the log into the file; for a quiet moment, the next commit costs less. Never needed for safety."""
        db = self._open_db()
        with self._translating():
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def copy(self, path: Path) -> None:
        """Write a whole copy to `path`, durably, for an auditor; a plain file copy of a running till may be torn.

        Raises JournalExistsError, or a disk's UnavailableError for the copy: the journal itself stays well.
        """
        db = self._open_db()
        if path.exists():
            raise JournalExistsError(path=str(path))
        try:
            target = apsw.Connection(str(path))
            try:
                with target.backup("main", db, "main") as backup:
                    backup.step(-1)
            finally:
                target.close()
        except apsw.Error as error:
            raise self._translated(error) from error
        make_durable(path.parent)

    def close(self) -> None:
        """Let go of the file and its lock; twice does no harm."""
        try:
            self._close_db()
        finally:
            if self._lock is not None:
                self._lock()
                self._lock = None

    def _locked(self) -> weakref.finalize[[int], Self] | None:
        """The file's lock, let go by calling it, or with the last word of us: nobody holds a journal that is forgotten."""
        return weakref.finalize(self, os.close, lock(self.path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- behind the calls -------------------------------------------------------------------------------------------

    def _open_db(self) -> apsw.Connection:
        if self.broken or self._db is None:
            raise JournalBrokenError(till=self.till, epoch=self.epoch, seq=self.head.seq)
        return self._db

    def _close_db(self) -> None:
        db, self._db = self._db, None
        if db is None:
            return
        with contextlib.suppress(apsw.Error):
            if self.broken:  # what is half known is left as it is
                db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            db.close(force=True)
        self.broken = True

    @contextlib.contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except apsw.Error as error:
            self.broken = True
            raise self._translated(error) from error

    def _translated(self, error: apsw.Error) -> Exception:
        number = self._db.system_errno if self._db is not None and isinstance(error, apsw.IOError) else 0
        return translated(error, number, self.path, self.till, self.epoch, self.head.seq)

    def _read_again(self) -> Head:
        """Take till, epoch, head and key from the file, checking all that hangs on the last signature."""
        with self._translating():
            db = self._db
            assert db is not None
            self._execute = db.cursor().execute  # one cursor for all that is written: a scan's microseconds
            self.till, self.epoch, self.base = check_file(db, self.path)
            last = db.execute(self._sql["last_entry"]).get
            signed = db.execute(self._sql["last_signature"]).get
            first = db.execute(self._sql["entry"], (1,)).get
        if last is not None and not isinstance(last[1], bytes):
            raise self._damaged(last[0], WHY["unreadable"])
        self.head = self.base if last is None else Head(last[0], digest(last[1]))
        self.signed_seq, signature = (0, b"") if signed is None else signed
        if first is not None:
            opened = owner_of(first)
            self.public_key = self.public_key or (None if opened is None else opened.public_key)
        if self.signed_seq > self.head.seq:
            raise self._damaged(self.head.seq + 1, WHY["truncated"])
        self.broken = False
        try:
            self._check_tail(signature)
        except BaseException:
            self.broken = True
            raise
        return self.head

    def _check_tail(self, signature: bytes) -> None:
        head = self.base
        if self.signed_seq:
            try:
                head = Head(self.signed_seq, digest(self.raw(self.signed_seq)))
            except KeyError:
                raise self._damaged(self.signed_seq, WHY["missing"]) from None
            good = self.public_key is not None and Verifier(self.public_key).good(
                signature, signed_bytes(self.till, self.epoch, head)
            )
            if not good:
                raise self._damaged(head.seq, WHY["signature"])
        owner = Owner(self.till, self.epoch)
        finding = check(self._rows(head.seq + 1, LAST), iter(()), owner, head, None, self.signed_seq).finding
        if finding is not None:
            raise self._damaged(finding.seq, finding.why)

    def _parse(self, seq: int, data: bytes) -> Entry:
        try:
            entry = parse(data)
        except UNREADABLE:
            raise self._damaged(seq, WHY["unreadable"]) from None
        if entry.v > VERSION:
            raise self._damaged(seq, WHY["future"])
        if (entry.till, entry.epoch, entry.seq) != (self.till, self.epoch, seq):
            raise self._damaged(seq, WHY["reordered"])
        return entry

    def _damaged(self, seq: int, why: str) -> JournalDamagedError:
        return JournalDamagedError(till=self.till, epoch=self.epoch, seq=seq, why=why)


def _stated_key(body: Body) -> bytes | None:
    """The key an epoch is opened with."""
    if not isinstance(body, EpochOpened | PostOpened) or len(body.public_key) != 64:
        return None
    try:
        return bytes.fromhex(body.public_key)
    except ValueError:
        return None
