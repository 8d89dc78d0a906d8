"""A whole till on a disk as bad as real ones may be, its power cut at any write (R04, R05, R11, R23).

Outside the till the world goes on: what the printer put out is out, what the control unit registered is registered. After each cut the till
starts on what the disk kept and must agree with both. `make faults` runs 1 000 seeded points, `make test` a share of them.
"""

from __future__ import annotations

import gc
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from oppet.base.errors import OppetError, UnavailableError
from oppet.drivers.faulty_disk import FaultyDisk, PowerCutError
from oppet.drivers.journal_reader import verify_file
from oppet.fiscal.series import believe_series
from oppet.journal.kinds import CodeUnknown, CopyMade, Receipt, ReceiptPrinted
from oppet.register.till import Till
from oppet.sale.rights import Staff
from tests.register.world import BEER, BREAD, COLA, CRISPS, MILK, World

# A machine without power complains once more when Python clears it away: nobody is there to hear it.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def clear_away() -> Iterator[None]:
    """Clear dead machines away before the test ends, so that their last complaint falls into no other test."""
    yield
    hook = sys.unraisablehook
    sys.unraisablehook = lambda said: None if said.exc_type is PowerCutError else hook(said)
    gc.collect()
    sys.unraisablehook = hook


MANAGER = Staff(3, "manager")
SHORT, LONG = 150, 1000
WORDS = ("ok", "ok", "ok", "ok", "busy", "silent_registered", "silent_unregistered")


def trade(till: Till, chance: Random) -> None:
    """One thing a till does; refusals are part of the day."""
    state = till.desk.state
    till.desk.ready()
    if not state.staff:
        till.sign_in(MANAGER)
    if not till.desk.state.float_set:
        till.drawer.set_float(50_000)
    what = chance.random()
    if what < 0.1:
        till.drawer.x()
    elif what < 0.15:
        till.drawer.z()
    elif what < 0.25 and till.desk.state.numbers.get("normal"):
        till.checkout.copy(chance.randint(1, till.desk.state.numbers["normal"]))
    elif what < 0.3:
        till.drawer.open("växel")
    else:
        for _ in range(chance.randint(1, 4)):
            till.selling.pick(chance.choice((MILK, BREAD, COLA, CRISPS, BEER)), 1000 * chance.randint(1, 3))
        if till.desk.basket().age_needed():
            till.selling.check_age(passed=True)
        if what > 0.9:
            till.selling.park()
            return
        if what > 0.8:
            till.checkout.pay("card", 500)
        till.checkout.pay("cash", 1_000_000)


def live(world: World, chance: Random, plan: bool, deeds: int = 40) -> None:
    """Start and trade until the power goes or the deeds are done; what the disk refuses is tried again."""
    till = world.start()
    for _ in range(deeds):
        if plan and chance.random() < 0.1:
            world.units[0].plan = [chance.choice(WORDS) for _ in range(2)]
        with suppress(OppetError):
            trade(till, chance)
        world.clock.pass_ms(1_000)


def on_paper(world: World) -> set[tuple[str, int]]:
    found = set()
    for paper in world.paths[0].printed:
        number = re.search(r"(\d+)$", paper.name)
        if number and not paper.name.startswith(("X", "Z")):
            found.add(("copy" if paper.name.lower().startswith("kopia") else "normal", int(number[1])))
    return found


def judge(world: World) -> None:
    """The laws, held against what is outside the till."""
    entries = world.entries()
    assert world.journal is not None
    world.journal.close()
    verdict = verify_file(world.path, processes=1)
    assert verdict.finding is None, verdict.finding
    assert believe_series([entry for entry, _ in entries]) == []
    receipts = {b.number: b for _, b in entries if isinstance(b, Receipt) and b.kind != "training"}
    copies = {b.copy: b for _, b in entries if isinstance(b, CopyMade)}
    for series, number in on_paper(world):
        assert number in (copies if series == "copy" else receipts), (
            f"{series} {number} is on paper and not in the journal"
        )
    unknown = {(b.receipt_type, b.receipt_id) for _, b in entries if isinstance(b, CodeUnknown)}
    told = {("normal", n) for n in receipts} | {("kopia", n) for n in copies}
    registered = {key for unit in world.units for key in unit.registered}
    assert told <= registered, "a receipt that no control unit registered"
    assert registered - told <= unknown, "a control unit registered what the journal does not know"
    twice = [key for key, count in Counter(k for unit in world.units for k in unit.registered).items() if count > 1]
    assert set(twice) == set(), "one receipt in two control units"
    for number, receipt in receipts.items():
        unit = next(unit for unit in world.units if ("normal", number) in unit.registered)
        assert unit.unit == receipt.unit
        assert unit.registered["normal", number] == receipt.code
        assert sum(unit.totals["normal", number]) == receipt.total_ore
    printed = Counter((b.series, b.number) for _, b in entries if isinstance(b, ReceiptPrinted))
    assert all(count == 1 for count in printed.values())


def cut_once(folder: Path, seed: int) -> tuple[int, World]:
    """Trade on a disk whose power goes at a seeded operation, start again on what it kept, trade on, judge."""
    chance = Random(seed)
    disk = FaultyDisk(seed)
    world = World(folder / "before", vfs=disk.vfs_name)
    world.folder.mkdir(parents=True)
    disk.cut_at(chance.randint(1, 450))
    with suppress(PowerCutError):
        live(world, chance, plan=True)
        disk.cut()
    reached = disk.operations
    survivors = disk.survivors(world.path, folder / "after")
    world.journal = None
    world.folder, world.vfs = survivors.parent, None
    world.units[0].plan = []
    live(world, chance, plan=False, deeds=6)
    judge(world)
    return reached, world


@pytest.mark.parametrize("part", range(5))
def test_r04_the_power_is_cut_at_a_seeded_write_and_every_printed_receipt_is_there(tmp_path: Path, part: int) -> None:
    for seed in range(part * SHORT // 5, (part + 1) * SHORT // 5):
        cut_once(tmp_path / str(seed), seed)


@pytest.mark.long
@pytest.mark.faults
@pytest.mark.parametrize("part", range(10))
def test_r23_a_thousand_seeded_cuts_lose_nothing_and_register_nothing_twice(tmp_path: Path, part: int) -> None:
    for seed in range(10_000 + part * LONG // 10, 10_000 + (part + 1) * LONG // 10):
        cut_once(tmp_path / str(seed), seed)


@pytest.mark.parametrize("seed", range(12))
def test_r05_a_disk_that_fails_and_recovers_loses_nothing(tmp_path: Path, seed: int) -> None:
    chance = Random(seed)
    disk = FaultyDisk(seed)
    world = World(tmp_path, vfs=disk.vfs_name)
    till = world.start()
    disk.fail_sync_at(*chance.sample(range(20, 400), 12))
    refused = 0
    for deed in range(60):
        if deed == 30:
            disk.full_after(3_000)
        if deed == 40:
            disk.full_after(None)
        if deed == 45:
            disk.read_only = True
        if deed == 50:
            disk.read_only = False
        try:
            trade(till, chance)
        except UnavailableError:
            refused += 1
        except OppetError:
            pass
        world.clock.pass_ms(1_000)
    assert refused, "the disk never failed: this test would prove nothing"
    survivors = disk.survivors(world.path, tmp_path / "after")
    world.journal = None
    world.folder, world.vfs = survivors.parent, None
    live(world, chance, plan=False, deeds=3)
    judge(world)
