"""A schedule is a list from a seed, survives a file, and is made smaller while it still fails."""

from __future__ import annotations

import msgspec

from oppet.sim.schedule import FAULTS, Schedule, Size, make, smaller
from oppet.sim.thief import BLOWS, LIES


def test_a_schedule_comes_back_from_its_file() -> None:
    schedule = make(5, Size(2, 2, 900))
    assert msgspec.json.decode(msgspec.json.encode(schedule), type=Schedule) == schedule
    assert [step.at for step in schedule.steps] == sorted(step.at for step in schedule.steps)


def test_every_kind_of_fault_is_drawn() -> None:
    drawn = {
        step.what.partition(" ")[0] if step.what.startswith("weather") else step.what
        for step in make(1, Size(2, 3, 60_000)).steps
    }
    assert drawn >= set(FAULTS)
    assert FAULTS["thief"][2] == len(BLOWS)
    assert FAULTS["answer"][2] == len(LIES)


def test_a_failing_schedule_is_made_as_small_as_it_goes() -> None:
    schedule = make(9, Size(1, 2, 1_800))
    needed = {schedule.steps[11], schedule.steps[60]}
    asked = 0

    def fails(candidate: Schedule) -> bool:
        nonlocal asked
        asked += 1
        return needed <= set(candidate.steps)

    found = smaller(schedule, fails, 1_000)
    assert set(found.steps) == needed
    assert asked < 200
