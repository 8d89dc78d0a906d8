"""Tenders against services that keep books of their own: law 3 holds, whatever falls."""

from __future__ import annotations

import pytest

from oppet.rehearsal.world import World, run
from tests.rehearsal.seeds import SEEDS


@pytest.mark.parametrize("seed", SEEDS)
def test_pt1_pt2_pt3_pt4_pt6_law_3_holds_where_it_once_broke(seed: int) -> None:
    assert run(seed).broken == ()


def test_pt1_pt2_pt3_pt4_pt6_law_3_holds_over_some_hundred_tenders_and_every_kind_of_fault() -> None:
    results = [run(seed) for seed in range(1, 13)]
    assert [result.broken for result in results if result.broken] == []
    assert sum(result.tenders for result in results) >= 300
    fallen = {name for result in results for name in result.faults}
    wanted = {"power cut", "disk fails", "till killed", "terminal restarted", "acquirer away", "swish away", "line cut"}
    assert wanted <= fallen
    assert {"approved", "declined", "not_found", "partial", "accepted_at_risk"} <= {
        name for result in results for name in result.outcomes
    }


def test_a_seed_gives_the_same_run_twice() -> None:
    assert run(7) == run(7)


def test_nothing_is_checked_by_nobody() -> None:
    world = World(3)
    world.live(40)
    world.settle()
    assert min(world.laws.checked.values()) > 0
    assert len(world.laws.checked) >= 7
