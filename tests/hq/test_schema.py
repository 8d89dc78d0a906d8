"""Head office's schema: forwards only, made once whoever starts, and last week's code runs on it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import date
from typing import Any

import psycopg
import pytest

from oppet.drivers import hq_schema
from oppet.drivers.hq_read import HqRead
from oppet.drivers.hq_rebuild import rebuild
from oppet.drivers.hq_schema import DatabaseAwayError, SchemaNewerError, files, migrate
from oppet.drivers.pg import Pool
from oppet.figures.views import Views
from tests.hq.conftest import a_database
from tests.hq.sold import Office, a_day, changed, dump, one
from tests.sync.chain import History


@pytest.fixture
def empty(server: Any) -> Iterator[str]:
    yield a_database(server, "schema_empty")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute('DROP DATABASE "schema_empty" WITH (FORCE)')


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> History:
    return a_day(tmp_path_factory.mktemp("till"), sales=6)


def test_j11_many_processes_starting_at_once_migrate_once(empty: str) -> None:
    done: list[list[str]] = []
    works = [threading.Thread(target=lambda: done.append(migrate(empty))) for _ in range(4)]
    for work in works:
        work.start()
    for work in works:
        work.join()
    assert sorted(map(len, done)) == [0, 0, 0, len(files())]
    assert migrate(empty) == []
    assert one(empty, "SELECT count(*) FROM migration") == len(files())


def test_j11_a_migration_that_was_another_is_not_run_over(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(empty)
    name, text = files()[0]
    monkeypatch.setattr(hq_schema, "files", lambda: [(name, text + "-- other")])
    with pytest.raises(SchemaNewerError):
        migrate(empty)
    with pytest.raises(DatabaseAwayError):
        migrate("host=/nowhere/at/all connect_timeout=1")


def test_j11_last_week_s_code_runs_on_this_week_s_tables(empty: str, day: History) -> None:
    """A column and a table more are no trouble: every statement names its columns."""
    migrate(empty)
    with psycopg.connect(empty) as connection:
        for table in (
            "stream",
            "chunk",
            "receipt",
            "line",
            "tender",
            "hour_sale",
            "hour_group",
            "z_report",
            "quarantine",
        ):
            connection.execute(f"ALTER TABLE {table} ADD COLUMN next_week integer NOT NULL DEFAULT 7".encode())
        connection.execute("INSERT INTO migration(name, digest) VALUES ('hq_9999_next_week', 'x')")
    assert migrate(empty) == []
    office = Office(empty)
    office.take(day, [40, 41])
    office.take(day)
    pool = Pool(empty)
    assert HqRead(pool).entry("S01", day.till, 1, "", 41).data == day.entries[40]
    pool.close()
    before = dump(empty)
    assert [step.epochs_left for step in rebuild(empty, Views().see)] == [1, 0]
    assert dump(empty) == before
    office.close()


def test_j11_this_week_s_code_takes_in_before_the_new_migrations_ran(
    empty: str, day: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = files()
    monkeypatch.setattr(hq_schema, "files", lambda: everything[:1])
    assert len(migrate(empty)) == 1
    office = Office(empty)
    office.take(day)
    before = dump(empty)
    monkeypatch.undo()
    assert len(migrate(empty)) == len(everything) - 1
    assert dump(empty) == before | {"asked_tender": [], "path_state": [], "obeyed": []}
    office.close()


def test_j11_later_migrations_only_add() -> None:
    for name, text in files()[1:]:
        code = re.sub(r"--.*", "", text)
        wrong = re.findall(
            r"\b(DROP\s+(?:TABLE|COLUMN)|RENAME|ALTER\s+COLUMN\s+\w+\s+(?:TYPE|SET\s+NOT\s+NULL))\b",
            code,
            re.IGNORECASE,
        )
        assert wrong == [], name
        for added in re.findall(r"ADD\s+COLUMN\s+([^;,]+)", code, re.IGNORECASE):
            assert "NOT NULL" not in added or "DEFAULT" in added, (name, added)


def test_every_growing_table_is_ready_to_be_spread(dsn: str) -> None:
    """store_id first in the key and in it the day, partitioned by month, every unique index with store_id, no foreign key."""
    with psycopg.connect(dsn) as connection:
        growing = {name for (name,) in connection.execute("SELECT name FROM growing")}
        partitioned: dict[str, str] = dict(
            connection.execute(
                "SELECT partrelid::regclass::text, pg_get_partkeydef(partrelid) FROM pg_partitioned_table"
            ).fetchall()
        )
        assert partitioned == dict.fromkeys(growing, "RANGE (day)")
        for table in (*growing, "stream"):
            keys = connection.execute(
                "SELECT i.indisprimary, array_agg(a.attname ORDER BY k.n) FROM pg_index i"
                " CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k(att, n)"
                " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.att"
                " WHERE i.indrelid = %s::regclass AND i.indisunique GROUP BY i.indexrelid, i.indisprimary",
                (table,),
            ).fetchall()
            assert keys
            for _, columns in keys:
                assert columns[0] == "store_id", table
                assert table == "stream" or "day" in columns, table
        crossing = connection.execute(
            "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid::regclass::text = ANY(%s)",
            ([*growing, "stream"],),
        ).fetchone()
        assert crossing == (0,)
        listed = connection.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'line'::regclass"
        ).fetchall()
        assert ("line_other",) in listed
        assert len(listed) == 1 + hq_schema.AHEAD_MONTHS + hq_schema.BEHIND_MONTHS + 1


def test_months_made_later_take_over_what_waited_for_them(empty: str, day: History) -> None:
    migrate(empty, date(2020, 5, 31))
    office = Office(empty)
    office.take(changed(day, lambda place, e: e.update(time="2026-12-24T10:00:00.000Z") if place > 45 else None))
    before = dump(empty)
    assert one(empty, "SELECT count(DISTINCT tableoid::regclass) FROM receipt") == 1
    migrate(empty, date(2026, 12, 1))
    assert dump(empty) == before
    where = one(
        empty, "SELECT array_agg(DISTINCT tableoid::regclass::text ORDER BY tableoid::regclass::text) FROM receipt"
    )
    assert where == ["receipt_2026_11", "receipt_2026_12"]
    office.close()
