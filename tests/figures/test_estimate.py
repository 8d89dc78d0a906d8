"""The estimate of what is not reported: exact where all is known, wider where less is, silent where nothing can be said."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oppet.figures.estimate import COVERAGE, HOURS, Lagging, Past, Reference, fill, least_days, quantile
from tests.hq.trade import SHAPE, TODAY, hidden, hide, kind_of, trade

HISTORY = trade()
STORES = sorted(HISTORY)


def test_q2_nothing_is_estimated_where_all_is_known() -> None:
    hole = hide(HISTORY, dict.fromkeys(STORES[:5], 15.0), 15.0)
    guess = hole.missing(STORES)
    assert guess is not None
    assert (guess.likely_ore, guess.low_ore, guess.high_ore) == (0, 0, 0)
    assert hide(HISTORY, {}, 15.0).missing(STORES) == guess


@given(st.sets(st.sampled_from(STORES), min_size=1, max_size=20), st.integers(0, 22), st.integers(1, 24))
@settings(max_examples=25, deadline=None)
def test_q2_what_is_missing_is_never_below_nothing(lagging: set[str], until: int, moment: int) -> None:
    guess = hide(HISTORY, dict.fromkeys(lagging, float(until)), float(moment)).missing(lagging)
    assert guess is not None
    assert 0 <= guess.low_ore <= guess.likely_ore <= guess.high_ore


def test_q1_the_more_is_known_the_narrower() -> None:
    """In the hour that is known to, and in the number of stores that are silent."""
    by_hour, by_stores = [], []
    for until in (0, 9, 12, 15, 17):
        guess = hide(HISTORY, dict.fromkeys(STORES[:8], float(until)), 18.0).missing(STORES)
        assert guess is not None
        by_hour.append(guess.high_ore - guess.low_ore)
    for many in (25, 12, 6, 3, 1):
        guess = hide(HISTORY, dict.fromkeys(STORES[:many], 10.0), 18.0).missing(STORES)
        assert guess is not None
        by_stores.append(guess.high_ore - guess.low_ore)
    assert by_hour == sorted(by_hour, reverse=True)
    assert by_stores == sorted(by_stores, reverse=True)


def test_q1_the_parts_of_a_sum_are_the_same_hole() -> None:
    """A banner, an hour: each has its own interval, and the expectation adds up."""
    hole = hide(HISTORY, dict.fromkeys(STORES[:6], 12.0), 18.0)
    whole = hole.missing(STORES)
    parts = [hole.missing(STORES[:3]), hole.missing(STORES[3:])]
    hours = [hole.missing(STORES, [hour]) for hour in range(12, 18)]
    assert whole is not None
    likely = [part.likely_ore for part in parts if part is not None]
    assert len(likely) == 2
    assert sum(likely) == pytest.approx(whole.likely_ore, rel=0.05)
    assert sum(hour.likely_ore for hour in hours if hour is not None) == pytest.approx(whole.likely_ore, rel=0.05)
    assert sum(part.high_ore for part in parts if part is not None) > whole.high_ore  # chance evens out in a sum


@pytest.mark.parametrize("scale", [2, 100, 1000])
def test_q1_another_currency_is_the_same_interval(scale: int) -> None:
    small = hide(HISTORY, dict.fromkeys(STORES[:4], 11.5), 17.25)
    times = {
        store: {day: [value * scale for value in hours] for day, hours in days.items()}
        for store, days in HISTORY.items()
    }
    large = hide(times, dict.fromkeys(STORES[:4], 11.5), 17.25)
    one, other = small.missing(STORES), large.missing(STORES)
    assert one is not None
    assert other is not None
    assert other.low_ore == pytest.approx(one.low_ore * scale, abs=scale)
    assert other.high_ore == pytest.approx(one.high_ore * scale, abs=scale)


def test_q3_too_little_history_is_said_and_no_number_made_up() -> None:
    young = {store: {day: hours for day, hours in days.items() if day >= TODAY - 30} for store, days in HISTORY.items()}
    assert hide(young, dict.fromkeys(STORES[:3], 10.0), 18.0).missing(STORES) is None
    enough = {
        store: {day: hours for day, hours in days.items() if day >= TODAY - 35} for store, days in HISTORY.items()
    }
    guess = hide(enough, dict.fromkeys(STORES[:3], 10.0), 18.0).missing(STORES)
    assert guess is not None
    assert guess.days >= least_days(COVERAGE) == 19


def test_q3_a_store_that_opened_last_week_is_named_and_nothing_expected_of_it() -> None:
    history = {store: dict(days) for store, days in HISTORY.items()}
    history["S01"] = {day: hours for day, hours in history["S01"].items() if day > TODAY - 7}
    together = {day: list(hours) for day, hours in history["S02"].items() if day < TODAY}
    reference = Reference(1, history["S02"][TODAY], Past(together, kind_of))
    lagging = [
        Lagging(store, 10.0, [0.0] * HOURS, Past({d: h for d, h in history[store].items() if d < TODAY}, kind_of))
        for store in ("S01", "S03")
    ]
    hole = fill(TODAY, 18.0, reference, lagging)
    assert hole.strangers == {"S01"}
    assert hole.missing(["S01", "S03"]) == hole.missing(["S03"])


def test_q1_closed_hours_expect_nothing() -> None:
    shut = frozenset(range(HOURS))
    past = Past({day: hours for day, hours in HISTORY["S01"].items() if day < TODAY}, kind_of)
    reference = Reference(0, [0.0] * HOURS, Past({}, kind_of))
    hole = fill(TODAY, 18.0, reference, [Lagging("S01", 9.0, [0.0] * HOURS, past, shut)])
    guess = hole.missing(["S01"])
    assert guess is not None
    assert guess.high_ore == 0
    night = hide(HISTORY, {"S01": 0.0}, 6.0).missing(["S01"])
    assert night is not None
    assert night.high_ore == 0


def test_q1_a_bad_day_for_all_is_expected_of_the_silent_store_too() -> None:
    history = {store: dict(days) for store, days in HISTORY.items()}
    for store in STORES:
        history[store][TODAY] = [0.4 * value for value in history[store][TODAY]]
    usual, bad = (hide(each, {"S05": 10.0}, 18.0).missing(["S05"]) for each in (HISTORY, history))
    assert usual is not None
    assert bad is not None
    assert bad.likely_ore == pytest.approx(0.4 * usual.likely_ore, rel=0.1)


def test_q1_the_intervals_hold_what_they_say_on_made_up_trade() -> None:
    """120 days of another chain, each with its own stores silent: about nine in ten hold."""
    history, rng = trade(stores=16, days=240, seed=7), Random(9)
    held = []
    for day in range(TODAY - 119, TODAY + 1):
        until = {
            store: float(rng.choice((0, 10, 14, 17))) for store in rng.sample(sorted(history), rng.choice((1, 4, 8)))
        }
        guess = hide(history, until, 18.0, day).missing(until)
        assert guess is not None
        held.append(guess.low_ore <= hidden(history, until, 18.0, day) <= guess.high_ore)
    assert 0.84 <= sum(held) / len(held) <= 0.96


def test_q1_a_quantile_is_what_a_new_value_stays_under() -> None:
    values = [float(value) for value in range(1, 20)]
    assert quantile(values, 0.05) == 1.0
    assert quantile(values, 0.5) == 10.0
    assert quantile(values, 0.95) == 19.0
    assert SHAPE[3] == 0
