"""Head office's views made again from the entries it keeps: one till's epoch after the other, each in one transaction.

Whoever reads meanwhile sees each till's figures as they were or as they are, never half; ingest goes on, and a batch of the
very till that is being made again waits for it. A run that was cut off goes on where it was, and several processes
may share one. Keeps R02 (everything derived comes from entries alone) and J11.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import psycopg

from oppet.base.errors import RefusedError
from oppet.base.words import N_
from oppet.drivers.hq_rows import COLUMNS, Rows, See
from oppet.drivers.journal_sqlite import statements
from oppet.drivers.pg import Pool
from oppet.drivers.shelf_pg import SUMS, Connection, add_sums, chunk_entries, copy_rows, unseen
from oppet.journal.entry import Entry, parse

__all__ = ["VIEWS", "NoSuchViewError", "Step", "rebuild"]

VIEWS: Final = (*COLUMNS, *SUMS)
AT_ONCE = 20_000  # lines of receipts written together
WAIT_S = 0.2
_OPTIONS = "-c synchronous_commit=on -c timezone=UTC -c jit=off"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_sql = statements("hq_rebuild")


class NoSuchViewError(RefusedError):
    sentence = N_("There is no view “{name}”. There are: {names}, {sums}.")


class Step(msgspec.Struct, frozen=True):
    """How far a run is."""

    run: int
    entries_left: int
    epochs_left: int


def rebuild(dsn: str, see: See, views: Sequence[str] = VIEWS) -> Generator[Step, None, None]:
    """Make these views again; say how far it is before the first till and after each. Raises DatabaseAwayError."""
    for name in views:
        if name not in VIEWS:
            raise NoSuchViewError(name=name, names=", ".join(COLUMNS), sums=", ".join(SUMS))
    asked = {"views": sorted(set(views))}
    pool = Pool(dsn, "oppet rebuild", _OPTIONS)
    try:
        with pool.transaction() as transaction:
            found = transaction.connection.execute(_sql["unfinished"], asked).fetchone()
            found = found or transaction.connection.execute(_sql["begin"], asked).fetchone()
        assert found is not None, "a run was begun"
        run: int = found[0]
        yield (step := _left(pool, run))
        while step.epochs_left:
            if not _one_epoch(pool, run, see, asked["views"]):
                time.sleep(WAIT_S)  # the rest is in other hands just now
            yield (step := _left(pool, run))
        with pool.transaction() as transaction:
            transaction.connection.execute(_sql["end"], {"run": run})
    finally:
        pool.close()


def _left(pool: Pool, run: int) -> Step:
    with pool.transaction() as transaction:
        row = transaction.connection.execute(_sql["left"], {"run": run}).fetchone()
    assert row is not None, "a sum is always there"
    return Step(run, *row)


def _one_epoch(pool: Pool, run: int, see: See, views: Sequence[str]) -> bool:
    with pool.transaction() as transaction:
        connection = transaction.connection
        row = connection.execute(_sql["take"], {"run": run}).fetchone()
        if row is None:
            return False
        names = dict(zip(("store", "till", "epoch"), row, strict=True)) | {"run": run}
        for (stream_id,) in connection.execute(_sql["histories"], names).fetchall():
            _one_history(connection, names | {"stream_id": stream_id}, see, views)
        connection.execute(_sql["done"], names)
    return True


def _one_history(connection: Connection, names: dict[str, Any], see: See, views: Sequence[str]) -> None:
    for view in views:
        connection.execute(
            f"DELETE FROM {view} WHERE store_id = %(store)s AND stream_id = %(stream_id)s".encode(),  # noqa: S608 - names of ours
            names,
        )
    first, number, lines = 1, 0, 0
    pieces: list[_Piece] = []
    while chunks := connection.execute(_sql["chunks"], names | {"first": first}).fetchall():
        for last_seq, received, data in chunks:
            pieces.append(_Piece([parse(raw) for raw in chunk_entries(data)], _ms(received), number))
            rows = pieces[-1].rows = see(pieces[-1].entries, pieces[-1].received, number)
            first, number, lines = last_seq + 1, rows.last_number, lines + len(rows.line)
            if lines > AT_ONCE:
                _write(connection, names, see, pieces, views)
                pieces, lines = [], 0
    _write(connection, names, see, pieces, views)
    connection.execute(_sql["number"], names | {"last_number": number})


class _Piece:
    """A chunk's entries as they were seen, so that they can be seen again alone."""

    __slots__ = ("before", "entries", "received", "rows")

    def __init__(self, entries: list[Entry], received: int, before: int) -> None:
        self.entries, self.received, self.before, self.rows = entries, received, before, Rows()


def _write(
    connection: Connection, names: dict[str, Any], see: See, pieces: Sequence[_Piece], views: Sequence[str]
) -> None:
    """All of them at once; where that fails, each alone, so that only what cannot be written is left out (R21)."""
    together = Rows()
    for piece in pieces:
        together.add(piece.rows)
    try:
        with connection.transaction():
            _put(connection, names, together, views)
        return
    except (psycopg.DataError, psycopg.IntegrityError):
        pass
    for piece in pieces:
        rows = see(piece.entries, piece.received, piece.before)
        try:
            with connection.transaction():
                _put(connection, names, rows, views)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            alone = Rows()
            alone.quarantine.append(unseen(piece.entries, str(error).partition("\n")[0]))
            _put(connection, names, alone, views)


def _put(connection: Connection, names: dict[str, Any], rows: Rows, views: Sequence[str]) -> None:
    copy_rows(connection, names["store"], names["stream_id"], rows, [view for view in views if view in COLUMNS])
    add_sums(connection, names, rows, [view for view in views if view in SUMS])


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
