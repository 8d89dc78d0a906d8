"""Whether the till believes its clock, and what waits when it does not (R18)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oppet.base.clock import parse_utc, utc_text
from oppet.goods.article import Price
from oppet.goods.catalogue import Catalogue
from oppet.journal.kinds import ClockDoubted, Receipt, TimeConfirmed
from oppet.register.errors import ClockInDoubtError, NotPossibleNowError
from oppet.register.timekeeping import DAY_MS, REST_MS, STEP_MS, Timekeeper
from oppet.sale.errors import NeedsApprovalError
from tests.register.acts import refused
from tests.register.world import ALVA, BO, MILK, SUNDAY, FakeClock, World, a_till, an_article, goods

YEAR_MS = 365 * DAY_MS
WRONG = {
    "a day back": -DAY_MS,
    "a day ahead": DAY_MS,
    "a year back": -YEAR_MS,
    "a year ahead": YEAR_MS,
    "ten minutes": 600_000,
}


def dated() -> Catalogue:
    """An article whose price changes tomorrow, and changed yesterday."""
    prices = (Price("2026-01-01", 1_000), Price("2026-11-21", 2_000), Price("2026-11-23", 3_000))
    return Catalogue("t", "2026-11-01", (an_article("1", "Mjölk", 1, prices=prices),))


@given(st.integers(0, 10**13), st.lists(st.integers(0, 10**7), max_size=20), st.integers(-STEP_MS, STEP_MS))
def test_r18_a_clock_that_runs_with_the_counter_is_never_doubted(start: int, steps: list[int], slip: int) -> None:
    keeper = Timekeeper(start)
    reading, counter = start, 0
    for step in steps:
        reading, counter = reading + step, counter + step
        if reading - start <= REST_MS:
            assert keeper.judge(reading, counter) is None
    if steps and reading - start <= REST_MS:
        assert keeper.judge(reading + slip, counter) is None


@given(st.integers(STEP_MS + 1, 10**12), st.booleans(), st.integers(0, 10**9))
def test_r18_a_clock_that_leaps_is_doubted_until_it_is_right_again(leap: int, ahead: bool, passed: int) -> None:
    keeper = Timekeeper(SUNDAY)
    assert keeper.judge(SUNDAY, 0) is None
    wrong = SUNDAY + passed + (leap if ahead else -leap)
    doubt = keeper.judge(wrong, passed)
    assert doubt is not None
    assert not doubt.earliest <= wrong <= doubt.latest
    assert keeper.believed(passed) == SUNDAY + passed
    assert keeper.judge(SUNDAY + passed, passed) is None


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_r18_while_running_a_wrong_clock_moves_no_price_and_the_sale_goes_on(tmp_path: Path, wrong: int) -> None:
    till, world = a_till(tmp_path, catalogue=dated())
    till.selling.pick("1")
    world.clock.instant += wrong
    line = till.selling.pick("1")
    assert line.unit_ore == 2_000, "neither yesterday's nor tomorrow's price"
    assert till.checkout.pay("card", 4_000).kind == "done", "the sale in flight goes on"
    refused(ClockInDoubtError, lambda: till.selling.pick("1"), lambda: till.selling.begin("sale"))
    assert len(world.bodies(ClockDoubted)) == 1, "a doubt is told once"
    refused(NeedsApprovalError, lambda: till.desk.confirm_time(SUNDAY, None))
    till.desk.confirm_time(SUNDAY, BO)
    assert till.selling.pick("1").unit_ore == 2_000
    assert till.checkout.pay("card", 2_000).kind == "done"
    assert world.units[0].requests[0].minute == world.units[0].requests[1].minute == "202611221000"
    for entry, body in world.entries():
        if isinstance(body, Receipt):
            assert entry.time.startswith("2026-11-22T09:0"), "no receipt is dated by a clock in doubt"
    (confirmed,) = world.bodies(TimeConfirmed)
    assert isinstance(confirmed, TimeConfirmed)
    assert (confirmed.by, confirmed.offset_ms) == (3, -wrong)
    again = world.start()
    again.sign_in(ALVA)
    assert again.selling.pick("1").unit_ore == 2_000, "what a supervisor said holds over a restart"


@pytest.mark.parametrize("wrong", [-DAY_MS, -YEAR_MS, YEAR_MS], ids=["a day back", "a year back", "a year ahead"])
def test_r18_at_the_start_a_wrong_clock_waits_for_a_supervisor(tmp_path: Path, wrong: int) -> None:
    till, world = a_till(tmp_path, catalogue=dated())
    till.selling.pick("1")
    till.stop()
    world.clock.instant += wrong
    again = world.start()
    again.sign_in(ALVA)
    assert again.selling.pick("1").unit_ore == 2_000
    assert again.checkout.pay("card", 4_000).kind == "done", "the basket that was open is sold at believed prices"
    refused(ClockInDoubtError, lambda: again.selling.pick("1"))
    again.desk.confirm_time(SUNDAY, BO)
    assert again.selling.pick("1").unit_ore == 2_000
    assert all(entry.time.startswith("2026-11-22T09:") for entry, _ in world.entries())


def test_r18_a_first_start_before_its_price_file_was_made_is_doubted(tmp_path: Path) -> None:
    world = World(tmp_path, clock=FakeClock(parse_utc("2026-10-01T09:00:00.000Z")))
    till = world.start()
    till.sign_in(ALVA)
    refused(ClockInDoubtError, lambda: till.selling.pick(MILK))
    till.desk.confirm_time(SUNDAY, BO)
    till.drawer.set_float(50_000)
    till.selling.pick(MILK)


@pytest.mark.parametrize("made", ["", "soon", "2026-13-45", "9999", "2026-11-22"])
def test_g8_a_price_file_with_a_strange_date_does_not_stop_the_till(tmp_path: Path, made: str) -> None:
    catalogue = goods()
    catalogue.made = made
    till, world = a_till(tmp_path, catalogue=catalogue)
    till.selling.pick(MILK)
    world.clock.instant = parse_utc("2026-11-21T23:30:00.000Z")


def test_r18_half_an_hour_past_local_midnight_is_the_price_files_day(tmp_path: Path) -> None:
    catalogue = goods()
    catalogue.made = "2026-07-02"
    till, _ = a_till(tmp_path, catalogue=catalogue, clock=FakeClock(parse_utc("2026-07-01T22:30:00.000Z")))
    till.selling.pick(MILK)


def test_r18_a_doubt_that_passes_by_itself_is_told_again_when_it_comes_again(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    for _ in range(2):
        world.clock.instant += DAY_MS
        refused(ClockInDoubtError, lambda: till.selling.pick(MILK), lambda: till.selling.pick(MILK))
        world.clock.instant -= DAY_MS
        till.selling.pick(MILK)
        till.checkout.pay("card", 1_690)
    assert len(world.bodies(ClockDoubted)) == 2


def test_t1_a_clock_set_back_a_little_never_steps_entries_back(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    for step in (0, -60_000, 1_000, -200_000, 100_000):
        world.clock.instant += step
        world.clock.ticks += max(0, step)
        till.selling.pick(MILK)
        till.checkout.pay("card", 1_690)
    times = [entry.time for entry, _ in world.entries()]
    assert times == sorted(times)
    assert till.desk.state.time == times[-1] == utc_text(parse_utc(times[-1]))


@pytest.mark.parametrize(
    "instant", [0, -1, 10**30, -(10**30), parse_utc("2025-12-31T00:00:00.000Z"), parse_utc("2100-01-01T00:00:00.000Z")]
)
def test_s9_nobody_confirms_a_time_of_nonsense(tmp_path: Path, instant: int) -> None:
    till, world = a_till(tmp_path)
    refused(NotPossibleNowError, lambda: till.desk.confirm_time(instant, BO))
    assert world.bodies(TimeConfirmed) == []
    till.selling.pick(MILK)


def test_r18_prices_begin_and_end_with_their_minute(tmp_path: Path) -> None:
    prices = (Price("2026-01-01", 1_000), Price("2026-11-22T10:05", 500, "2026-11-22T10:10"))
    till, world = a_till(
        tmp_path, catalogue=Catalogue("t", "2026-11-01", (an_article("1", "Bulle", 1, prices=prices),))
    )
    seen = []
    for _ in range(4):
        seen.append(till.selling.pick("1").unit_ore)
        world.clock.pass_ms(4 * 60_000)
    assert seen == [1_000, 1_000, 500, 1_000]


@pytest.mark.parametrize("reading", [DAY_MS, 0])
def test_r18_a_clock_is_judged_from_its_first_reading_on(reading: int) -> None:
    keeper = Timekeeper(DAY_MS)
    before = keeper.judged
    keeper.judge(reading, 0)
    assert (before, keeper.judged) == (False, True)
