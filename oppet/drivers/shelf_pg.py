"""Head office's shelf: entries and their views in PostgreSQL, in one transaction with the head that they move.

A batch is counted when its stream's head moves, and only then: the same batch twice, in other pieces or from two
senders at once adds nothing (R01, R02). The one lock is the row of that till's epoch; no row is shared between tills
(R10). What the entries mean is handed in (`figures/views.py`); when that fails, the entries are kept all the same and what
went wrong is written beside them (R21). Keeps K1 and K4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Final

import msgspec
import psycopg
import zstandard
from psycopg.rows import TupleRow

from oppet.base.clock import Clock, utc_text
from oppet.drivers.hq_rows import (
    COLUMNS,
    LOST_DAY,
    NULL,
    Rows,
    See,
    copy_bytes,
    copy_statement,
    hour_of,
    insert_lists,
    insert_statement,
    safe_text,
)
from oppet.drivers.hq_schema import DatabaseAwayError
from oppet.drivers.journal_sqlite import statements
from oppet.drivers.pg import Pool
from oppet.journal.entry import NOTHING, Entry, Head
from oppet.sync.certificates import Standing
from oppet.sync.keeper import Believed, Branch
from oppet.sync.messages import LARGEST_PLAIN, AsOf, pack

__all__ = ["SUMS", "PgShelf", "add_sums", "chunk_entries", "copy_rows", "stream_id_of", "unseen"]

_OPTIONS = "-c synchronous_commit=on -c lock_timeout=15s -c statement_timeout=120s -c timezone=UTC -c jit=off"
_sql = statements("hq_shelf")
_copies = {table: copy_statement(table) for table in COLUMNS}
_inserts = {table: insert_statement(table) for table in COLUMNS}
SUMS: Final = ("hour_sale", "hour_group", "asked_tender", "path_state", "obeyed")
FEW = 300  # lines of receipts in one piece: up to here waiting for COPY's answers costs more than COPY saves
Connection = psycopg.Connection[TupleRow]


def stream_id_of(till: str, epoch: int, branch: str) -> int:
    """The number a history has in every table: the first 8 bytes of a digest, so that nobody has to hand out numbers."""
    return int.from_bytes(sha256(f"{till}\n{epoch}\n{branch}".encode()).digest()[:8], "big", signed=True)


def chunk_entries(data: bytes) -> list[bytes]:
    """The exact entries of a chunk."""
    return zstandard.ZstdDecompressor(max_window_size=LARGEST_PLAIN).decompress(data, LARGEST_PLAIN).split(b"\n")


class PgShelf:
    """A `sync.keeper.Shelf`. Threads and processes may share a database; each call holds one connection."""

    def __init__(self, dsn: str, see: See, clock: Clock) -> None:
        self._see = see
        self._clock = clock
        self._pool = Pool(dsn, "oppet ingest", _OPTIONS)

    @contextmanager
    def stream(self, standing: Standing) -> Iterator[_Held]:
        """Hold one epoch's histories; what was put in is durable when the block has ended. Raises DatabaseAwayError."""
        with self._pool.transaction() as transaction:
            held = _Held(transaction.connection, standing, self._clock.now())
            held.lock()
            yield held
            self._finish(held)

    def stand(self, standing: Standing) -> None:
        """An epoch was countersigned or revoked: say so beside what it sold."""
        with self._pool.transaction() as transaction:
            transaction.connection.execute(_sql["lock"], _standing(standing))  # the first row first, as everybody does
            transaction.connection.execute(_sql["stand"], _standing(standing))

    def close(self) -> None:
        self._pool.close()

    def _finish(self, held: _Held) -> None:
        try:
            held.write(self._see)
            return
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            why = str(error).partition("\n")[0]
        held.again()
        held.write(lambda _entries, _received, last: Rows(last), why)


class _Held:
    """A `sync.keeper.Stream`: what is there is asked for, what is new is gathered until the end."""

    def __init__(self, connection: Connection, standing: Standing, now: int) -> None:
        self._connection = connection
        self._standing = standing
        self._now = now
        self._names = _standing(standing) | {"received": utc_text(now)}
        self._branches: dict[str, Branch] = {}
        self._ids: dict[str, int] = {}
        self._numbers: dict[str, int] = {}  # the last receipt of each branch
        self._stands = True
        self._new: list[tuple[str, Head, Believed]] = []
        self._as_of: AsOf | None = None
        self._last = ""  # the branch something was put on

    def lock(self) -> None:
        """Take the epoch's row, and read where its histories end."""
        rows = self._locked()
        if not rows:
            self._begin("", Head(0, NOTHING))
            rows = self._locked()
        self._branches.clear()
        for stream_id, name, base_seq, base, head_seq, head, number, provisional, revoked in rows:
            self._branches[name] = Branch(name, Head(base_seq, base), Head(head_seq, head))
            self._ids[name], self._numbers[name] = stream_id, number
            if (provisional, revoked) != (self._names["provisional"], self._names["revoked"]):
                self._stands = False

    def _locked(self) -> list[TupleRow]:
        with self._connection.pipeline():
            self._connection.execute(_sql["lock"], self._names)
            return self._connection.execute(_sql["branches"], self._names).fetchall()

    def branches(self) -> Sequence[Branch]:
        return [branch for branch in self._branches.values() if branch.name or branch.head.seq]

    def digests(self, branch: str, first: int, last: int) -> Sequence[str]:
        asked = self._of(branch) | {"first": first, "last": last}
        found: list[str] = []
        for begins, data in self._connection.execute(_sql["chunks"], asked):
            entries = chunk_entries(data)
            found += [sha256(entry).hexdigest() for entry in entries[max(0, first - begins) : last - begins + 1]]
        assert len(found) == last - first + 1, (branch, first, last, len(found))
        return found

    def signed(self, branch: str) -> tuple[Head, bytes] | None:
        row = self._connection.execute(_sql["signed"], self._of(branch)).fetchone()
        return None if row is None else (Head(row[0], row[1]), bytes(row[2]))

    def extend(self, branch: str, base: Head, believed: Believed) -> None:
        known = self._branches.get(branch)
        assert (base if known is None else known.head) == believed.after, (branch, base, believed.after)
        self._branches[branch] = Branch(branch, base, believed.head)
        self._new.append((branch, base, believed))
        self._last = branch

    def heard(self, as_of: AsOf) -> None:
        self._as_of = as_of

    # --- writing -----------------------------------------------------------------------------------------------------

    def write(self, see: See, failed: str = "") -> None:
        """Everything gathered, in the transaction that holds the lock; durable when this returns."""
        pieces = []
        for branch, base, believed in self._new:
            if branch not in self._ids:
                self._begin(branch, base)
            rows = see(believed.parsed, self._now, self._numbers.get(branch, 0))
            if failed:
                rows.quarantine.append(unseen(believed.parsed, failed))
            self._numbers[branch] = rows.last_number
            pieces.append((branch, believed, rows))
            if len(rows.line) > FEW:
                copy_rows(self._connection, self._standing.store, self._ids[branch], rows)
        with self._connection.pipeline():
            if (
                not pieces
            ):  # a beat promises nothing: what it answers for was durable before, and its own word may be lost
                self._connection.execute("SET LOCAL synchronous_commit = off")
            for branch, believed, rows in pieces:
                self._add(branch, believed, rows)
            if self._as_of is not None:
                self._connection.execute(_sql["heard"], self._of(self._spoken_of()) | _as_of(self._as_of))
            if not self._stands:
                self._connection.execute(_sql["stand"], self._names)
            self._connection.commit()

    def _add(self, branch: str, believed: Believed, rows: Rows) -> None:
        """The rest, in line one behind the other: nothing is waited for but the commit."""
        execute, names = self._connection.execute, self._of(branch)
        execute(_sql["add_chunk"], names | _chunk(believed))
        execute(_sql["move_head"], names | _moved(believed, rows.last_number))
        add_sums(self._connection, names, rows)
        if len(rows.line) <= FEW:
            for table, statement in _inserts.items():
                if more := getattr(rows, table):
                    execute(statement, names | insert_lists(table, more))

    def again(self) -> None:
        """The views could not be written: take the lock once more. Raises DatabaseAwayError when somebody came first."""
        self._connection.rollback()
        before = {branch: believed.after for branch, _, believed in reversed(self._new)}
        self._ids.clear()
        self.lock()
        for name, after in before.items():
            known = self._branches.get(name)
            if known is not None and known.head != after:
                raise DatabaseAwayError(why="another sender came first")

    def _begin(self, branch: str, base: Head) -> None:
        self._ids[branch] = stream_id_of(self._standing.till, self._standing.epoch, branch)
        values = self._of(branch) | {"branch": branch, "seq": base.seq, "digest": base.digest}
        self._connection.execute(_sql["begin_branch"], values)

    def _of(self, branch: str) -> dict[str, Any]:
        return self._names | {"stream_id": self._ids[branch]}

    def _spoken_of(self) -> str:
        """The history that the till's word is about: the one it just sent, else the one that goes on furthest."""
        assert self._as_of is not None
        if self._last:
            return self._last
        place = Head(self._as_of.seq, self._as_of.digest)
        for branch in self._branches.values():
            if branch.head == place:
                return branch.name
        for branch in self._branches.values():
            inside = branch.base.seq < place.seq < branch.head.seq
            if inside and self.digests(branch.name, place.seq, place.seq)[0] == place.digest:
                return branch.name
        return ""


def copy_rows(
    connection: Connection, store: str, stream_id: int, rows: Rows, tables: Iterable[str] = tuple(COLUMNS)
) -> None:
    """COPY what there is for these tables."""
    with connection.cursor() as cursor:
        for table in tables:
            if more := getattr(rows, table):
                with cursor.copy(_copies[table]) as copy:
                    copy.write(copy_bytes(table, store, stream_id, more))


def add_sums(connection: Connection, names: dict[str, Any], rows: Rows, tables: Iterable[str] = SUMS) -> None:
    """Add to the hours, move tenders on. `names` has store and stream_id."""
    for table in tables:
        if sums := getattr(rows, table):
            more = msgspec.json.encode(list(sums.values())).decode()
            connection.execute(_sql[f"add_{table}"], names | {"rows": more})


def _standing(standing: Standing) -> dict[str, Any]:
    return {
        "store": standing.store,
        "till": standing.till,
        "epoch": standing.epoch,
        "provisional": standing.provisional,
        "revoked": safe_text(standing.revoked),
    }


def _as_of(as_of: AsOf) -> dict[str, Any]:
    return {
        "as_of": as_of.time if hour_of(as_of.time) else None,
        "as_of_seq": as_of.seq,
        "signature": bytes.fromhex(as_of.signature),
    }


def _chunk(believed: Believed) -> dict[str, Any]:
    first, last = believed.parsed[0].time, believed.parsed[-1].time
    return {
        "day": (hour_of(first) or (LOST_DAY,))[0],
        "first": believed.after.seq + 1,
        "last": believed.head.seq,
        "after": believed.after.digest,
        "digest": believed.head.digest,
        "signature": believed.signature,
        "first_time": safe_text(first),
        "last_time": safe_text(last),
        "bytes": sum(map(len, believed.entries)) + len(believed.entries) - 1,
        "data": believed.packed or pack(believed.entries),
    }


def _moved(believed: Believed, last_number: int) -> dict[str, Any]:
    head, said = believed.head, believed.parsed[-1].time
    time = said if hour_of(said) else None
    return {"last": head.seq, "digest": head.digest, "head_time": time, "last_number": last_number}


def unseen(entries: Sequence[Entry], why: str) -> tuple[object, ...]:
    """A whole piece whose views could not be written: kept, not counted, and one row says so."""
    return (
        LOST_DAY, entries[0].seq, 1, NULL, "", "", "views", safe_text(f"{entries[0].seq}–{entries[-1].seq}: {why}"), "nothing", 0
    )  # fmt: skip
