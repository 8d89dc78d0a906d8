"""Head office's schema: migrations forwards only, one file after the other, each once, and months made ahead.

Many processes may start at once: an advisory lock lets one of them migrate while the others wait. A file is applied in
one transaction with the row that records it. What the files must keep stands at the top of the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from hashlib import sha256
from pathlib import Path

import psycopg
from psycopg.rows import TupleRow

from oppet.base.errors import UnavailableError
from oppet.base.words import N_

__all__ = [
    "AHEAD_MONTHS",
    "DatabaseAwayError",
    "SchemaNewerError",
    "applied",
    "connect",
    "files",
    "make_months",
    "migrate",
]

_SQL = Path(__file__).with_name("sql")
LOCK = 0x6F70706574  # "oppet": one migration at a time in one database
AHEAD_MONTHS = 3
BEHIND_MONTHS = 2  # a store may have been alone for 14 days

Connection = psycopg.Connection[TupleRow]


class DatabaseAwayError(UnavailableError):
    sentence = N_("Head office's database does not answer ({why}). Nothing is lost: tills and stores send again.")


class SchemaNewerError(UnavailableError):
    sentence = N_(
        "Migration {name} was applied to head office's database with other contents than this version's. "
        "Install the version that made it, or a later one."
    )


def files() -> list[tuple[str, str]]:
    """Every migration of this version, in order: its name and its text."""
    return [
        (path.stem, path.read_text(encoding="utf-8")) for path in sorted(_SQL.glob("hq_[0-9][0-9][0-9][0-9]_*.sql"))
    ]


@contextmanager
def connect(dsn: str, *, autocommit: bool = True) -> Iterator[Connection]:
    """A connection for a while. Raises DatabaseAwayError."""
    try:
        connection = psycopg.connect(dsn, autocommit=autocommit, connect_timeout=10, application_name="oppet")
    except psycopg.OperationalError as error:
        raise DatabaseAwayError(why=str(error)) from error
    try:
        yield connection
    except psycopg.OperationalError as error:
        raise DatabaseAwayError(why=str(error)) from error
    finally:
        connection.close()


def migrate(dsn: str, today: date | None = None) -> list[str]:
    """Bring the database to this version and make the months around `today` (the database's own when not given).

    Gives the names applied now. Raises DatabaseAwayError, SchemaNewerError. Run by `oppet hq migrate` and by every
    HQ process that starts; when there is nothing to do it costs two queries.
    """
    with connect(dsn) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migration ("
            "name text PRIMARY KEY, digest text NOT NULL, applied timestamptz NOT NULL DEFAULT now())"
        )
        before = applied(connection)
        done = []
        for name, text in files():
            digest = sha256(text.encode()).hexdigest()
            if name in before:
                if before[name] != digest:
                    raise SchemaNewerError(name=name)
                continue
            with connection.transaction():
                connection.execute(text.encode())
                connection.execute("INSERT INTO migration(name, digest) VALUES (%s, %s)", (name, digest))
            done.append(name)
        make_months(connection, today)
        return done


def applied(connection: Connection) -> dict[str, str]:
    """What was applied to this database, and the digest of each file then."""
    return dict(connection.execute("SELECT name, digest FROM migration").fetchall())


def make_months(connection: Connection, today: date | None = None) -> int:
    """Make the partitions of the months around today. Gives how many were new. Needs the migration lock."""
    if today is None:
        today = connection.execute("SELECT current_date").fetchone()[0]  # type: ignore[index]
    first, last = _month(today, -BEHIND_MONTHS), _month(today, AHEAD_MONTHS)
    with connection.transaction():
        made = connection.execute("SELECT make_partitions(%s, %s)", (first, last)).fetchone()
    return 0 if made is None else int(made[0])


def _month(day: date, months: int) -> date:
    number = day.year * 12 + day.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)
