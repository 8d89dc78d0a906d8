"""A chain in one process: the same seed is the same run, the laws hold, and what survives reaches head office."""

from __future__ import annotations

import pytest

from oppet.drivers.faulty_disk import PowerCutError
from oppet.journal.entry import NOTHING, Head
from oppet.sim.disks import Disk, Log
from oppet.sim.laws import Laws
from oppet.sim.schedule import Size, make, with_steps
from oppet.sim.verb import sized
from oppet.sim.world import EDGES, World, run
from tests.sim.seeds import SEEDS


def test_the_same_seed_gives_the_same_run_to_the_last_entry() -> None:
    def digests(seed: int) -> list[str]:
        world = World(make(seed, Size(1, 2, 600)))
        world.run()
        return sorted(world.laws.hq_seen)

    assert digests(4711) == digests(4711)
    assert digests(4711) != digests(4712)


def test_r01_a_calm_day_reaches_head_office_whole() -> None:
    schedule = make(7, Size(2, 2, 600))
    calm = with_steps(schedule, [step for step in schedule.steps if step.what == "deed"])
    found = run(calm)
    assert found.broken == ()
    assert found.faults == {}
    assert found.lost == 0
    assert found.sales > 50


@pytest.mark.parametrize("seed", range(50, 58))
def test_k1_k3_k4_k5_k6_r01_the_laws_hold_in_a_bad_hour(seed: int) -> None:
    found = run(make(seed, Size(1, 2, 1_200)))
    assert found.broken == ()
    assert sum(found.faults.values()) > 20


@pytest.mark.parametrize(("seed", "size", "what"), SEEDS, ids=[f"{seed}" for seed, _, _ in SEEDS])
def test_a_seed_that_once_failed_holds(seed: int, size: Size, what: str) -> None:
    assert run(make(seed, size)).broken == (), what


def test_several_stores_share_one_head_office() -> None:
    found = run(make(3, Size(3, 2, 600)))
    assert found.broken == ()


def test_nearly_every_edge_of_the_state_tables_is_taken_by_a_few_hours() -> None:
    """The share is measured over a long run (docs/simulation.md); here the tables are shown to be watched."""
    covered = set(run(make(2, Size(1, 2, 1_800))).covered)
    wanted = {(table, edge) for table, edges in EDGES.items() for edge in edges}
    assert len(covered & wanted) > len(wanted) // 3


def test_the_laws_see_an_entry_that_no_till_wrote() -> None:
    laws = Laws("HQ", lambda: 0)
    disk = Disk("HQ", laws.stored)
    log = Log(("S01-K1", 1, ""), Head(0, NOTHING))
    disk.commit([(log, [b'{"prev":"' + b"0" * 64 + b'"}'], ["f" * 64], None)])
    assert [broken.law for broken in laws.broken] == ["4"]


def test_a_power_cut_takes_what_a_lying_disk_only_remembered() -> None:
    disk = Disk("S01-node", lambda *_: None)
    log = Log(("S01-K1", 1, ""), Head(0, NOTHING))
    disk.commit([(log, [b"a"], ["a" * 64], None)])
    disk.lying = True
    disk.commit([(log, [b"b"], ["b" * 64], None)])
    disk.cut(0, after=True)
    with pytest.raises(PowerCutError):
        disk.commit([(log, [b"c"], ["c" * 64], None)])
    assert disk.power_cut() == 2
    assert log.entries == [b"a"]


@pytest.mark.parametrize("seed", [16, 24, 32])
def test_k1_k12_r04_the_laws_hold_on_real_files_whose_power_is_cut_inside_a_commit(seed: int) -> None:
    found = run(make(seed, Size(1, 2, 1_200, real_files=True)))
    assert found.broken == ()
    assert found.real_files
    assert found.faults["power cut inside a write"] > 0


def test_the_same_seed_gives_the_same_run_on_real_files() -> None:
    def entries(seed: int) -> tuple[int, dict[str, int], list[str]]:
        world = World(make(seed, Size(1, 2, 600, real_files=True)))
        try:
            world.run()
            return world.laws.entries, dict(world.faults), sorted(world.laws.hq_seen)
        finally:
            world.close()

    assert entries(16) == entries(16)


def test_a_run_on_real_files_leaves_none_behind() -> None:
    world = World(make(8, Size(1, 1, 60, real_files=True)))
    folder = world.folder
    assert folder is not None
    assert any(folder.rglob("*.journal"))
    world.close()
    assert not folder.exists()


def test_every_eighth_seed_is_on_real_files() -> None:
    on_files = [seed for seed in range(32) if sized(seed, Size(), 8).real_files]
    assert on_files == [0, 8, 16, 24]
    assert not sized(8, Size(), 0).real_files
