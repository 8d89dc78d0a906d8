"""The simulated chain: honest releases arrive, thieves reach what they may and no more, and a seed gives one run."""

from __future__ import annotations

import pytest

from oppet.release import intake
from oppet.rollout.thieves import COLUMNS, LOOT, NONE, PACE, reach
from oppet.rollout.world import Scale, run

SMALL = Scale(stores=30, tills=2, hours=60)


def test_rl4_an_honest_release_goes_out_by_canaries_and_waves() -> None:
    result = run(1, Scale(30, 2, 72, faults=False), frozenset(), dormant=False)
    assert result.broken == ()
    hours = result.reached["honest"]
    assert len(hours) > 15
    assert hours[0] < 12 < hours[-1]
    assert (result.checked["5 its turn"] > 10, result.installed.get("poison", 0)) == (True, 0)


@pytest.mark.parametrize("column", ["vendor", "chain", "nodes"])
def test_rl1_rl3_rl4_rl5_a_thief_without_both_reaches_nobody(column: str) -> None:
    result = run(5, SMALL, COLUMNS[column], dormant=True)
    assert result.broken == ()
    assert result.reach == NONE
    assert (result.reached["poison"], bool(result.deeds), bool(result.refused)) == ([], True, True)


def test_rl4_a_thief_with_both_reaches_canaries_and_one_that_lies_still_the_others_at_the_pace() -> None:
    loud = run(2, SMALL, COLUMNS["both"], dormant=False)
    assert loud.broken == ()
    assert 0 < len(loud.reached["poison"]) <= 3
    still = run(2, SMALL, COLUMNS["both"], dormant=True)
    assert (still.broken, still.reach) == ((), PACE)


def test_a_seed_is_one_run_and_the_intake_is_left_as_it_was() -> None:
    before = dict(vars(intake))
    assert run(9, Scale(10, 2, 24)) == run(9, Scale(10, 2, 24))
    assert vars(intake) == before


def test_only_both_reach_anybody() -> None:
    assert reach(frozenset(LOOT) - {"vendor-root", "vendor-targets"}, dormant=True) == NONE
    assert reach(frozenset(LOOT) - {"chain-root", "chain-online"}, dormant=True) == NONE
    assert [name for name, loot in COLUMNS.items() if reach(loot, dormant=False) != NONE] == [
        "both",
        "both-and-canaries",
        "both-and-roots",
    ]
