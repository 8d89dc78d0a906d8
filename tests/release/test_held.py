"""New canaries are old news before they count."""

from oppet.release.held import Held, counting, pace_digest
from oppet.release.rings import MINUTE_MS
from tests.release.chain import a_canary, a_pace

FIRST = a_pace()
LATER = a_pace(dwell_min=700)
DAYS = 4320 * MINUTE_MS


def test_rl5_a_new_root_counts_after_the_hold_of_the_one_before() -> None:
    assert counting(FIRST, []) == FIRST
    assert counting(FIRST, [Held(2, LATER, DAYS - 1)]) == FIRST
    assert counting(FIRST, [Held(2, LATER, DAYS)]) == LATER


def test_rl5_a_short_hold_in_the_new_root_shortens_nothing_for_itself() -> None:
    quick = a_pace(hold_min=1440)
    assert counting(FIRST, [Held(2, quick, 1440 * MINUTE_MS)]) == FIRST
    assert counting(FIRST, [Held(2, quick, DAYS), Held(3, LATER, 1440 * MINUTE_MS)]) == LATER


def test_rl5_a_pace_that_no_root_may_set_never_counts() -> None:
    everybody = a_pace(canaries=tuple(a_canary(f"S{n:03d}", f"S{n:03d}-K1") for n in range(100)))
    assert counting(FIRST, [Held(2, everybody, 10 * DAYS), Held(3, LATER, DAYS)]) == LATER


def test_rl5_a_pace_is_named_by_its_content() -> None:
    assert pace_digest(FIRST) == pace_digest(a_pace())
    assert pace_digest(FIRST) != pace_digest(LATER)
