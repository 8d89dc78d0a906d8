"""PT8: a path that is slow or away is seen soon, shown without flapping, tried ever more seldom and left for one that works."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oppet.payments.board import (
    CLOSED,
    HALF_OPEN,
    OPEN,
    PAUSE_MS,
    PathHealth,
    Tempo,
    choose,
    order,
)
from oppet.payments.paths import DOWN, SLOW, UNSEEN, WORKING, PathNow
from tests.register.services import FakeService

TEMPO = Tempo()
PROMISE_MS = 5_000


def a_path(at: int = 0) -> PathHealth:
    """One that was seen to work."""
    health = PathHealth("S01/K3/card-1")
    health.probed(True, 40, at)
    return health


def a_fallen_path(at: int = 0) -> PathHealth:
    health = a_path(at)
    health.probed(False, 1_000, at + 2_000, "host")
    health.probed(False, 1_000, at + 2_500, "host")
    return health


# --- what is shown


def test_pt8_what_nobody_asked_is_unknown_and_one_probe_tells() -> None:
    health = PathHealth("S01/K3/card-1")
    assert health.now(0) == PathNow(UNSEEN)
    assert health.next_probe_ms(0) == 0
    health.probed(True, 40, 100, offline=True)
    assert health.now(100) == PathNow(WORKING, "", True)
    away = PathHealth("S01/K3/card-1")
    away.probed(False, 40, 100, "no answer")
    assert away.now(100) == PathNow(DOWN, "no answer")


def test_pt8_one_lost_probe_is_chance_and_two_are_a_cut_cable() -> None:
    health = a_path()
    health.probed(False, 1_000, 3_000, "no answer")
    assert health.now(3_000).state == WORKING
    assert health.next_probe_ms(3_000) <= 500
    health.probed(False, 1_000, 4_000, "no answer")
    assert health.now(4_000) == PathNow(DOWN, "no answer")


def test_pt8_a_failure_that_nothing_contradicts_is_believed_alone() -> None:
    health = a_path()
    health.answered("silent", 150_000, 3_000)
    assert health.now(4_499).state == WORKING
    assert health.now(4_500) == PathNow(DOWN, "silent")


def test_pt8_a_cut_line_is_shown_within_five_seconds_of_the_cut_whenever_it_is_cut() -> None:
    """A driver that probes as it is told, each probe of a dead line taking a second."""
    for cut in range(10_000, 14_000, 173):
        health, at = a_path(), 0
        while health.now(at).state != DOWN:
            assert at <= cut + PROMISE_MS
            at += 50
            if health.next_probe_ms(at) == 0:
                took = 1_000 if at >= cut else 30
                health.probed(at < cut, took, at + took)
                at += took


def test_pt8_a_path_that_comes_back_is_shown_after_two_probes_or_one_real_answer() -> None:
    probed = a_fallen_path()
    probed.probed(True, 40, 6_000)
    assert probed.now(6_000).state == DOWN
    assert probed.next_probe_ms(6_000) == TEMPO.confirm_ms
    probed.probed(True, 40, 6_500)
    assert probed.now(6_500) == PathNow(WORKING)
    answered = a_fallen_path()
    answered.answered("answered", 9_000, 6_000)
    assert answered.now(6_000) == PathNow(WORKING)


def test_pt8_a_declined_card_is_a_path_that_works_and_a_refusing_line_is_not() -> None:
    health = a_path()
    for at in range(1_000, 9_000, 1_000):
        health.answered("answered", 5_000, at)
    assert health.now(9_000).state == WORKING
    health.answered("refused", 700, 10_000, "host away")
    health.answered("refused", 700, 11_000, "host away")
    assert health.now(11_000) == PathNow(DOWN, "host away")


def test_pt8_slow_is_shown_after_two_slow_answers_and_gone_after_two_quick_ones() -> None:
    health = a_path()
    health.probed(True, 4_000, 2_000)
    assert health.now(2_000).state == WORKING
    health.probed(True, 4_000, 4_000)
    assert health.now(4_000) == PathNow(SLOW, "slow")
    assert health.next_probe_ms(4_000) > TEMPO.every_ms, "a slow service is not asked more"
    health.probed(True, 40, 14_000)
    assert health.now(14_000).state == SLOW
    health.probed(True, 40, 24_000)
    assert health.now(24_000) == PathNow(WORKING)


def test_pt8_an_exchange_with_a_customer_in_it_may_take_longer_than_a_probe() -> None:
    health = a_path()
    for at in (20_000, 40_000):
        health.answered("answered", 20_000, at)
    assert health.now(40_000).state == WORKING
    for at in (100_000, 160_000):
        health.answered("answered", 60_000, at)
    assert health.now(160_000).state == SLOW


def test_pt8_a_path_that_fails_now_and_then_is_unsteady_and_not_chosen_first() -> None:
    health = a_path()
    for at in range(1_000, 7_000, 1_000):
        health.probed(at % 2_000 == 0, 40, at, "no answer")
    assert health.now(6_000) == PathNow(SLOW, "unsteady")
    for at in range(7_000, 17_000, 1_000):
        health.probed(True, 40, at)
    assert health.now(16_000) == PathNow(WORKING)


def test_pt8_old_knowledge_fades_to_unknown_good_or_bad() -> None:
    for health in (a_path(), a_fallen_path()):
        assert health.now(2_500 + TEMPO.fade_ms + 1) == PathNow(UNSEEN)
        assert health.next_probe_ms(2_500 + TEMPO.fade_ms + 1) == 0
        assert health.may_try(2_500 + TEMPO.fade_ms + 1)


# --- the circuit breaker


def test_pt8_the_breaker_opens_tries_one_and_closes() -> None:
    health = a_fallen_path()
    assert (health.breaker(2_500), health.may_try(2_500)) == (OPEN, False)
    wait = health.next_probe_ms(2_500)
    assert PAUSE_MS[0] <= wait <= PAUSE_MS[0] * 3 // 2
    at = 2_500 + wait
    assert (health.breaker(at), health.may_try(at)) == (HALF_OPEN, True)
    health.tried(at)
    assert not health.may_try(at + 1), "one at a time"
    assert health.may_try(at + TEMPO.try_ms), "a try that nothing came of is forgotten"
    health.answered("answered", 4_000, at + 4_000)
    assert (health.breaker(at + 4_000), health.may_try(at + 4_000)) == (CLOSED, True)


def test_pt8_a_path_that_falls_again_at_once_goes_on_with_long_pauses() -> None:
    health, at = a_fallen_path(), 2_500
    waits = []
    for _ in range(6):
        waits.append(health.next_probe_ms(at))
        at += waits[-1]
        health.tried(at)
        health.probed(False, 1_000, at, "no answer")
    assert all(pause <= wait <= pause * 3 // 2 for pause, wait in zip(PAUSE_MS, waits, strict=False))
    health.answered("answered", 500, at)
    assert health.may_try(at)
    for later in (at + 3_000, at + 3_500):
        health.probed(False, 1_000, later, "no answer")
    assert health.next_probe_ms(at + 3_500) >= PAUSE_MS[-1]


def test_pt8_no_two_tills_try_at_the_same_moment() -> None:
    """23 December: 610 terminals lose their host in the same second."""
    waits = []
    for till in range(610):
        health = PathHealth(f"S{till // 10:02d}/K{till % 10}/card-1")
        for at in (0, 500):
            health.probed(False, 400, at, "host")
        waits.append(health.next_probe_ms(500))
    busiest = max(sum(start <= wait < start + 100 for wait in waits) for start in range(2_000, 3_000, 100))
    assert busiest < 610 // 6


# --- whatever it is told


@dataclass(frozen=True)
class Told:
    after: int
    what: str
    took: int


TOLD = st.builds(
    Told,
    st.integers(0, 120_000) | st.integers(0, 3_000),
    st.sampled_from(["probe_ok", "probe_failed", "answered", "silent", "refused", "tried"]),
    st.integers(0, 60_000),
)
HISTORY = st.lists(TOLD, max_size=40)


def tell(health: PathHealth, one: Told, at: int) -> None:
    if one.what == "tried":
        health.tried(at)
    elif one.what.startswith("probe"):
        health.probed(one.what == "probe_ok", one.took, at, "x" * 500, offline=one.took % 2 == 0)
    else:
        health.answered(one.what, one.took, at, "")


def after(history: list[Told]) -> tuple[PathHealth, int]:
    health, at = PathHealth("S01/K3/card-1"), 0
    for one in history:
        at += one.after
        tell(health, one, at)
    return health, at


@given(HISTORY)
def test_pt8_a_failure_is_shown_in_time_after_any_history(history: list[Told]) -> None:
    health, at = after(history)
    health.answered("silent", 1_000, at)
    assert health.now(at + TEMPO.doubt_ms).state == DOWN


@given(HISTORY)
def test_pt8_one_failure_alone_never_shows_a_working_path_as_down(history: list[Told]) -> None:
    health, at = after(history)
    health.answered("answered", 40, at)
    health.probed(False, 400, at + 400)
    assert health.now(at + 400).state != DOWN
    health.probed(True, 40, at + 900)
    assert health.now(at + 10_000).state != DOWN


@given(HISTORY, st.integers(0, 300_000))
def test_pt8_what_is_shown_is_bounded_and_fades(history: list[Told], later: int) -> None:
    health, at = after(history)
    now = health.now(at + later)
    assert now.state in (WORKING, SLOW, DOWN, UNSEEN)
    assert len(now.why) <= 80
    if later > TEMPO.fade_ms:
        assert now == PathNow(UNSEEN)
    assert health.now(at + later) == now, "looking changes nothing"
    longest = max(TEMPO.try_ms, PAUSE_MS[-1] * 3 // 2, TEMPO.slow_every_ms)
    assert 0 <= health.next_probe_ms(at + later) <= longest < TEMPO.fade_ms


@given(HISTORY, st.integers(60_000, 900_000))
def test_pt3_a_dead_path_sees_a_bounded_decaying_number_of_tries(history: list[Told], dead_ms: int) -> None:
    health, start = after(history)
    at, tries = start, []
    while at < start + dead_ms:
        wait = health.next_probe_ms(at)
        at += max(wait, 1)
        if not health.may_try(at):
            continue
        health.tried(at)
        assert health.breaker(at) == CLOSED or not health.may_try(at + 1)
        tries.append(at)
        health.probed(False, 1_000, at + 1_000)
        at += 1_000
    assert len(tries) <= 8 + dead_ms // PAUSE_MS[-1] + 1
    assert health.now(at).state == DOWN


@given(HISTORY)
def test_pt8_it_is_never_shown_as_back_by_less_than_two_probes(history: list[Told]) -> None:
    health, at = PathHealth("S01/K3/card-1"), 0
    run = 0
    for one in history:
        at += one.after
        before = health.now(at).state
        tell(health, one, at)
        run = run + 1 if one.what == "probe_ok" else run if one.what == "tried" else 0
        if before == DOWN and health.now(at).state in (WORKING, SLOW):
            assert one.what == "answered" or run >= 2


# --- which one to take


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (PathNow(WORKING), PathNow(SLOW)),
        (PathNow(SLOW), PathNow(DOWN, "host", offline=True)),
        (PathNow(DOWN, "host", offline=True), PathNow(UNSEEN)),
        (PathNow(UNSEEN), PathNow(DOWN)),
    ],
)
def test_pt8_the_better_path_is_taken_whatever_the_settings_order(first: PathNow, second: PathNow) -> None:
    one, two = FakeService("card-1"), FakeService("card-2")
    for paths in ([(one, first), (two, second)], [(two, second), (one, first)]):
        assert [path.name for path, _ in order(paths, "card")] == ["card-1", "card-2"]
        assert choose(paths, "card") is one


def test_pt8_equal_paths_stand_as_in_the_settings_and_other_means_are_left_out() -> None:
    paths = [(FakeService(name, means), PathNow(WORKING)) for name, means in
             (("card-2", "card"), ("swish", "swish"), ("card-1", "card"))]  # fmt: skip
    assert [path.name for path, _ in order(paths, "card")] == ["card-2", "card-1"]
    assert [path.name for path, _ in order(paths)] == ["card-2", "swish", "card-1"]


def test_pt8_a_customers_telephone_is_taken_at_its_word_only_where_swish_itself_is_away() -> None:
    swish, alone = FakeService("swish", "swish"), FakeService("swish-alone", "swish", by_hand=True)
    assert choose([(alone, PathNow(WORKING)), (swish, PathNow(SLOW))], "swish") is swish
    assert choose([(alone, PathNow(WORKING)), (swish, PathNow(DOWN))], "swish") is alone
    assert choose([(swish, PathNow(DOWN))], "swish") is None
    assert choose([], "card") is None
