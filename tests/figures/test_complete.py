"""Who is complete to when: from tills' own words, and never from silence."""

from __future__ import annotations

import pytest

from oppet.base.clock import parse_utc
from oppet.drivers.hq_sales import StoreRow, StreamRow
from oppet.figures.complete import Till, hour_of_day, store_held, tills_of

NOW = parse_utc("2026-11-20T13:33:40.000Z")
MOMENT = parse_utc("2026-11-20T13:32:00.000Z")
STORE = StoreRow("S01", "Storgatan", "Nära", False)
MINUTE = 60_000


def never(_: int) -> bool:
    return False


def always(_: int) -> bool:
    return True


def stream(till: str, as_of: int | None, heard: int | None = None, **more: object) -> StreamRow:
    fields: dict[str, object] = {
        "store": "S01", "stream": hash((till, more.get("epoch"), more.get("branch"))), "till": till, "epoch": 1, "branch": "",
        "head": 9, "head_at": as_of, "as_of": as_of, "heard": heard if heard is not None else as_of, "provisional": False,
        "revoked": "",
    }  # fmt: skip
    return StreamRow(**(fields | more))  # type: ignore[arg-type]


def till(name: str, until: int, state: str = "running", heard: int = 0) -> Till:
    return Till("S01", name, 1, until, heard or until, state, False, 1, 0)


def test_q4_a_store_whose_tills_all_spoke_is_complete() -> None:
    assert store_held(STORE, [till("S01-K1", NOW), till("S01-K2", MOMENT)], MOMENT, NOW, always) is None


def test_q4_one_silent_till_is_named_and_the_others_are_not_blamed() -> None:
    held = store_held(STORE, [till("S01-K1", NOW), till("S01-K2", NOW - 60 * MINUTE)], MOMENT, NOW, never)
    assert held is not None
    assert (held.why, held.tills, held.of, held.since) == ("till", ("S01-K2",), 2, NOW - 60 * MINUTE)


def test_q4_a_store_that_nobody_answers_in_is_silent_since_its_first_gap() -> None:
    held = store_held(STORE, [till("S01-K1", NOW - 88 * MINUTE), till("S01-K2", NOW - 87 * MINUTE)], MOMENT, NOW, never)
    assert held is not None
    assert (held.why, held.since) == ("silent", NOW - 88 * MINUTE)


def test_q4_a_store_that_sends_old_entries_is_catching_up() -> None:
    held = store_held(STORE, [till("S01-K1", NOW - 24 * MINUTE, heard=NOW - 10_000)], MOMENT, NOW, never)
    assert held is not None
    assert held.why == "behind"


@pytest.mark.parametrize("state", ["stopped", "closed", "revoked"])
def test_q4_a_till_that_ended_holds_nobody_back(state: str) -> None:
    assert (
        store_held(STORE, [till("S01-K1", NOW), till("S01-K2", NOW - 600 * MINUTE, state)], MOMENT, NOW, always) is None
    )


def test_q4_a_store_with_every_till_stopped_may_be_selling_in_the_dark() -> None:
    """The tills stopped last night and nobody has heard of them since: at noon that is no peace."""
    stopped = [till("S01-K1", NOW - 17 * 60 * MINUTE, "stopped")]
    held = store_held(STORE, stopped, MOMENT, NOW, always)
    assert held is not None
    assert held.why == "dark"
    assert store_held(STORE, stopped, MOMENT, NOW, never) is None
    assert store_held(STORE._replace(closed=True), stopped, MOMENT, NOW, always) is None


def test_q4_the_latest_epoch_speaks_for_its_till_and_the_furthest_branch_for_its_epoch() -> None:
    rows = [
        stream("S01-K1", NOW - 600 * MINUTE, stream=1),
        stream("S01-K1", NOW - 5 * MINUTE, epoch=2, stream=2),
        stream("S01-K1", NOW, epoch=2, branch="ab" * 32, stream=3),
    ]
    found = tills_of(rows, {})
    assert [(one.till, one.epoch, one.until, one.epochs, one.branches) for one in found] == [("S01-K1", 2, NOW, 2, 1)]


def test_q4_a_clock_that_is_ahead_proves_nothing_about_what_is_to_come() -> None:
    found = tills_of([stream("S01-K1", NOW + 60 * MINUTE, NOW - 30 * MINUTE)], {})
    assert found[0].until == NOW - 30 * MINUTE


def test_q4_what_the_last_entry_says_is_believed() -> None:
    rows = [stream("S01-K1", NOW, stream=1), stream("S01-K2", NOW, stream=2), stream("S01-K3", None, None, stream=3)]
    states = [(one.state, one.until) for one in tills_of(rows, {1: "till_stopped", 2: "epoch_closed", 3: ""})]
    assert states == [("stopped", NOW), ("closed", NOW), ("running", 0)]


def test_q4_a_moment_stands_on_its_own_days_clock() -> None:
    assert hour_of_day(NOW, "2026-11-20") == pytest.approx(14 + 33 / 60 + 40 / 3600)
    assert hour_of_day(NOW, "2026-11-21") == 0.0
    assert hour_of_day(NOW, "2026-11-19") == 24.0
