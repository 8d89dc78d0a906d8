"""The till refuses to be first: a table of what it must have seen and waited for."""

import pytest

from oppet.release.health import Evidence
from oppet.release.rings import (
    HOUR_MS,
    INSTALL,
    MINUTE_MS,
    NOTHING,
    REFUSE,
    WAIT,
    Here,
    judge,
    ring_of,
    sound_pace,
    wave_ms,
)
from oppet.release.terms import EmergencyPace, Pace, Software
from tests.release.chain import IMAGE, a_canary, a_pace, a_release, a_till

GOOD = Evidence(tills=3, stores=2)
LONG = 1000 * HOUR_MS


@pytest.mark.parametrize(
    ("software", "here", "why"),
    [
        (a_release(1), a_till(installed=2), "older"),
        (a_release(), a_till(floor=3), "below_floor"),
        (a_release(role="node"), a_till(), "wrong_role"),
        (a_release(hw="arm64"), a_till(), "wrong_hardware"),
        (a_release(), a_till(schema=2), "schema"),
        (a_release(fiscal="2"), a_till(), "fiscal"),
        (a_release(1), a_till(), "disagree"),  # the same number, other bytes
    ],
)
def test_rl3_what_can_never_be_taken_is_refused_however_long_one_waits(
    software: Software, here: Here, why: str
) -> None:
    verdict = judge(software, here, a_pace(), software.release, GOOD, LONG)
    assert (verdict.do, verdict.why) == (REFUSE, why)


def test_rl3_a_change_of_regulated_functions_names_what_it_replaces() -> None:
    assert judge(a_release(fiscal="2", fiscal_from="1"), a_till(), a_pace(), 2, GOOD, LONG).do == INSTALL


def test_rl3_what_runs_already_is_nothing_to_do() -> None:
    assert judge(a_release(1, image="00" * 32), a_till(), a_pace(), 1, GOOD, 0).do == NOTHING


@pytest.mark.parametrize(
    ("here", "chosen", "evidence", "dwelt_ms", "why"),
    [
        (a_till(frozen=True), 2, GOOD, LONG, "frozen"),
        (a_till(), None, GOOD, LONG, "not_chosen"),
        (a_till(), 1, GOOD, LONG, "not_chosen"),
        (a_till(), 3, GOOD, LONG, "not_chosen"),
        (a_till(clock_believed=False), 2, GOOD, LONG, "clock"),
        (a_till(), 2, Evidence(tills=4, stores=2, ill="S01-K1"), LONG, "canary_ill"),
        (a_till(), 2, Evidence(), LONG, "no_evidence"),
        (a_till(), 2, Evidence(tills=2, stores=2), LONG, "no_evidence"),
        (a_till(), 2, Evidence(tills=4, stores=1), LONG, "no_evidence"),
        (a_till(), 2, GOOD, 600 * MINUTE_MS - 1, "dwell"),
        (a_till(), 2, GOOD, 600 * MINUTE_MS, "wave"),
        (a_till(quiet=False), 2, GOOD, LONG, "open_hours"),
    ],
)
def test_rl4_what_a_till_waits_for(here: Here, chosen: int | None, evidence: Evidence, dwelt_ms: int, why: str) -> None:
    verdict = judge(a_release(), here, a_pace(), chosen, evidence, dwelt_ms)
    assert (verdict.do, verdict.why) == (WAIT, why)


def test_rl4_its_turn_comes_with_its_stores_wave_and_not_a_millisecond_before() -> None:
    here, pace = a_till(), a_pace()
    turn = 600 * MINUTE_MS + wave_ms(IMAGE, here.store, 125)
    assert judge(a_release(), here, pace, 2, GOOD, turn - 1).why == "wave"
    assert judge(a_release(), here, pace, 2, GOOD, turn).do == INSTALL


def test_rl4_a_canary_is_pinned_with_name_epoch_and_key_and_needs_no_evidence_but_a_choice() -> None:
    canary = a_till("S01")
    assert judge(a_release(), canary, a_pace(), 2, Evidence(), 0).do == INSTALL
    assert judge(a_release(), canary, a_pace(), None, Evidence(), 0).why == "not_chosen"
    for other in (a_till("S01", epoch=2), a_till("S01", key="ff" * 32), a_till("S03", till="S01-K1")):
        assert ring_of(other, a_pace()) == "wave"


def test_rl4_an_emergency_is_quicker_and_still_has_a_pace() -> None:
    here, pace, evidence = a_till(), a_pace(), Evidence(tills=4, stores=2)
    assert judge(a_release(), here, pace, 2, Evidence(), LONG, emergency=True).why == "no_evidence"
    assert judge(a_release(), here, pace, 2, evidence, 29 * MINUTE_MS, emergency=True).why == "dwell"
    assert judge(a_release(), here, pace, 2, evidence, 30 * MINUTE_MS, emergency=True).why == "wave"
    turn = 30 * MINUTE_MS + wave_ms(IMAGE, here.store, 125)
    assert judge(a_release(), here, pace, 2, evidence, turn, emergency=True).do == INSTALL


def test_rl4_no_hour_takes_more_than_its_share_of_the_stores() -> None:
    pace = a_pace()
    for image in (f"{number:064x}" for number in range(20)):
        turns = sorted(wave_ms(image, f"S{number:03d}", pace.stores_permille_per_hour) for number in range(800))
        for start in turns:
            within = sum(start <= turn < start + HOUR_MS for turn in turns)
            assert within <= 800 * 125 // 1000 * 1.35  # drawn by a digest: about a hundred, never a multiple of it


@pytest.mark.parametrize(
    ("pace", "why"),
    [
        (a_pace(), ""),
        (a_pace(canaries=tuple(a_canary(f"S{n:03d}", f"S{n:03d}-K1") for n in range(17))), "too_many_canaries"),
        (a_pace(stores=2), "too_many_canaries"),  # both stores of two would go first
        (a_pace(canaries=(a_canary("S01", "S01-K1"),) * 2), "malformed"),
        (a_pace(dwell_min=59), "too_new_pace"),
        (a_pace(hold_min=1439), "too_new_pace"),
        (a_pace(stores_permille_per_hour=126), "too_new_pace"),
        (a_pace(evidence_stores=1), "too_new_pace"),
        (a_pace(emergency=EmergencyPace(14, 125, 4, 2)), "too_new_pace"),
        (a_pace(emergency=EmergencyPace(30, 1000, 4, 2)), "too_new_pace"),
        (
            a_pace(
                stores=2, canaries=(a_canary("S01", "S01-K1"),), dwell_min=1, hold_min=1, stores_permille_per_hour=1000
            ),
            "",
        ),
        (a_pace(stores=1, canaries=(a_canary("S01", "S01-K1"),), dwell_min=1), ""),
    ],
)
def test_rl5_from_fifty_stores_on_no_root_makes_the_ring_large_or_the_pace_quick(pace: Pace, why: str) -> None:
    assert sound_pace(pace) == why
