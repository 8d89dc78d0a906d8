"""Views are thrown away and made again from entries: the same numbers, whatever happens meanwhile (J11, R02)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from oppet.drivers.hq_rebuild import VIEWS as NAMES
from oppet.drivers.hq_rebuild import NoSuchViewError, rebuild
from oppet.figures.views import Views
from tests.hq.sold import VIEWS, Office, a_day, chained, changed, clear, dump, envelopes, one, renamed
from tests.sync.chain import History


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> History:
    return a_day(tmp_path_factory.mktemp("till"), sales=10)


@pytest.fixture
def office(dsn: str, day: History) -> Iterator[Office]:
    """Three tills: a good one, one with bad content and a wrong clock, one with a fork."""
    clear(dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute("DELETE FROM rebuild")
    office = Office(dsn)
    office.take(day, [1, 3, 30, 31, 32, 80])

    def spoil(place: int, envelope: dict[str, Any]) -> None:
        if envelope["kind"] == "receipt" and place % 3 == 0:
            envelope["body"]["total_ore"] += 1
        if place > 70:
            envelope["time"] = "2199-01-01T00:00:00.000Z"

    office.take(renamed([*changed(day, spoil).entries], "S02-K1", 1), [50])
    forked = renamed(day.entries, "S02-K2", 1)
    office.take(forked, [40, 60])
    other = [
        e | ({"time": "2026-11-22T23:10:00.000Z"} if place >= 70 else {}) for place, e in enumerate(envelopes(forked))
    ]
    office.take(chained(other, "S02-K2"))
    yield office
    office.close()


def all_of(dsn: str, **more: Any) -> list[int]:
    return [step.epochs_left for step in rebuild(dsn, Views().see, **more)]


def test_r02_views_made_again_are_the_same_to_the_row(office: Office) -> None:
    before = dump(office.dsn)
    assert all(before[view] for view in ("receipt", "line", "hour_group", "quarantine", "z_report"))
    assert all_of(office.dsn) == [3, 2, 1, 0]
    assert dump(office.dsn) == before
    with psycopg.connect(office.dsn) as connection:
        for view in VIEWS:
            connection.execute(f"TRUNCATE {view}".encode())
    assert dump(office.dsn) != before
    all_of(office.dsn)
    assert dump(office.dsn) == before
    assert one(office.dsn, "SELECT count(*) FROM rebuild WHERE ended IS NULL") == 0


def test_r02_one_view_alone_is_made_again_and_the_others_are_left(office: Office) -> None:
    before = dump(office.dsn)
    with psycopg.connect(office.dsn) as connection:
        connection.execute("DELETE FROM hour_group")
        connection.execute("UPDATE receipt SET total_ore = total_ore + 1")
    all_of(office.dsn, views=["hour_group"])
    after = dump(office.dsn)
    assert after["hour_group"] == before["hour_group"]
    assert after["receipt"] != before["receipt"]
    all_of(office.dsn, views=["receipt"])
    assert dump(office.dsn) == before


def test_r02_a_run_that_was_cut_off_goes_on_where_it_was(office: Office) -> None:
    before = dump(office.dsn)
    with psycopg.connect(office.dsn) as connection:
        for view in VIEWS:
            connection.execute(f"DELETE FROM {view}".encode())
    steps = rebuild(office.dsn, Views().see)
    assert [next(steps).epochs_left, next(steps).epochs_left] == [3, 2]
    steps.close()
    assert all_of(office.dsn) == [2, 1, 0], "the same run"
    assert dump(office.dsn) == before


def test_r02_two_processes_share_a_run_and_ingest_goes_on(office: Office, day: History) -> None:
    late = renamed(day.entries, "S03-K1", 1)
    before = dump(office.dsn)
    works = [threading.Thread(target=all_of, args=(office.dsn,)) for _ in range(2)]
    for work in works:
        work.start()
    office.take(late, list(range(10, late.head.seq, 10)))
    for work in works:
        work.join()
    with psycopg.connect(office.dsn) as connection:
        for view in VIEWS:
            rows = connection.execute(f"SELECT count(*) FROM {view} WHERE store_id <> 'S03'".encode()).fetchone()
            assert rows == (len(before[view]),)
    after = dump(office.dsn)
    all_of(office.dsn)
    assert dump(office.dsn) == after


def test_r21_what_could_not_be_written_then_is_counted_when_the_mistake_is_mended(dsn: str, day: History) -> None:
    clear(dsn)

    def broken(entries: Any, received: int, last: int) -> Any:
        rows = Views().see(entries, received, last)
        if any(entry.kind == "receipt" and entry.seq > 40 for entry in entries):
            rows.receipt.append(("no day",) * 14)
        return rows

    office = Office(dsn, broken)
    cuts = list(range(20, day.head.seq, 20))
    office.take(day, cuts)
    assert one(dsn, "SELECT count(*) FROM quarantine WHERE reason = 'views'") > 0
    partly = dump(dsn)
    for _ in rebuild(dsn, broken):
        pass
    assert {view: rows for view, rows in dump(dsn).items() if view != "quarantine"} == {
        view: rows for view, rows in partly.items() if view != "quarantine"
    }
    all_of(dsn)
    mended = dump(dsn)
    clear(dsn)
    good = Office(dsn)
    good.take(day, cuts)
    assert dump(dsn) == mended
    assert one(dsn, "SELECT count(*) FROM quarantine") == 0
    office.close()
    good.close()


def test_a_view_that_is_none_is_refused_with_the_names_there_are(dsn: str) -> None:
    with pytest.raises(NoSuchViewError) as refused:
        next(rebuild(dsn, Views().see, ["sums"]))
    assert all(name in str(refused.value) for name in NAMES)
