"""A schedule: everything that happens to a chain, as a list of small steps made from one seed; and how it is made smaller.

A run is a function of its schedule: each step carries its own chance, so a schedule with steps left out is still a
schedule. That is what lets a failure be minimised and kept in a file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import msgspec

from oppet.sim.network import FATES
from oppet.sim.thief import BLOWS, LIES

__all__ = ["Schedule", "Size", "Step", "make", "smaller"]

MINUTE = 60_000
TEMPERS = (1, 1, 2, 5)  # how far apart faults lie: what goes wrong deep inside needs some peace to get there
DEED_MS = 20_000  # between two deeds at one till, on average


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing at one moment: what, to whom, and two numbers that say how."""

    at: int  # ms since the run began
    what: str
    who: str
    arg: int = 0
    more: int = 0


class Size(msgspec.Struct, frozen=True):
    """How large a chain, for how long, and on which disks."""

    stores: int = 1
    tills: int = 2
    seconds: int = 3_600
    real_files: bool = False


class Schedule(msgspec.Struct, frozen=True):
    """What a run is made from, and what a failing one is kept as."""

    seed: int
    size: Size
    steps: tuple[Step, ...]


# what → (weight, on whom, first number up to, second number up to)
FAULTS: dict[str, tuple[int, str, int, int]] = {
    "weather": (34, "scope", 600, 6 * MINUTE),
    "cut": (4, "scope", 1000, 12 * MINUTE),
    "crash": (16, "machine", 12, 2 * MINUTE),
    "disk fails": (5, "machine", 4, 2),
    "disk full": (3, "machine", 1, 2 * MINUTE),
    "disk lies": (2, "machine", 1, 6 * MINUTE),
    "disk lost": (2, "machine", 1, 5 * MINUTE),
    "image": (5, "machine", 1, 1),
    "restored": (2, "machine", 1, 10 * MINUTE),
    "clone": (2, "till", 1, 20 * MINUTE),
    "clock": (3, "till", 2, 30 * MINUTE),
    "unit": (12, "till", 3, 3),
    "unit dead": (4, "till", 3, 3 * MINUTE),
    "printer": (4, "till", 1, 3 * MINUTE),
    "revoked": (1, "till", 1, 1),
    "countersign": (3, "store", 1, 1),
    "renewed": (1, "store", 1, 1),
    "enrol": (1, "store", 6, 1),
    "newer": (2, "till", 1, 1),
    "thief": (14, "chain", len(BLOWS), 1 << 30),
    "answer": (5, "chain", len(LIES), 1),
}


def make(seed: int, size: Size) -> Schedule:
    """The schedule of a seed: deeds at every till, and faults everywhere, as dense as a bad week in an hour."""
    chance = Random(seed)
    stores = [f"S{number:02d}" for number in range(1, size.stores + 1)]
    tills = [f"{store}-K{number}" for store in stores for number in range(1, size.tills + 1)]
    nodes = [f"{store}-node" for store in stores]
    scopes = [*tills, *nodes, *(f"{net} {store}" for store in stores for net in ("lan", "wan")), "hq"]
    whom = {
        "scope": scopes,
        "machine": [*tills, *tills, *nodes, "hq"],
        "till": tills,
        "store": stores,
        "chain": ["chain"],
    }
    steps: list[Step] = []
    for till in tills:
        at = chance.randrange(DEED_MS)
        while at < size.seconds * 1_000:
            steps.append(Step(at, "deed", till, chance.randrange(1 << 30)))
            at += chance.randrange(1, 2 * DEED_MS)
    names = list(FAULTS)
    weights = [FAULTS[name][0] for name in names]
    between = max(DEED_MS // max(len(tills), 1), 2_000) * chance.choice(TEMPERS)
    at = chance.randrange(2 * between)
    calm = 0
    while at < size.seconds * 1_000:
        if chance.random() < 0.01:
            calm = at + chance.randrange(5 * MINUTE)  # a while without faults: most of what goes wrong shows after it
        if at >= calm:
            name = chance.choices(names, weights)[0]
            _, scope, most, longest = FAULTS[name]
            steps.append(
                _fault(name, at, chance.choice(whom[scope]), chance.randrange(most), chance.randrange(longest), chance)
            )
        at += chance.randrange(1, 2 * between)
    return Schedule(seed, size, tuple(sorted(steps, key=lambda step: step.at)))


def _fault(name: str, at: int, who: str, arg: int, more: int, chance: Random) -> Step:
    if name == "weather":
        return Step(at, f"weather {chance.choice([fate for fate in FATES if fate != 'cut'])}", who, arg, more)
    return Step(at, name, who, arg, more)


def smaller(schedule: Schedule, fails: Callable[[Schedule], bool], tries: int) -> Schedule:
    """Leave out as many steps as can be left out while `fails` still says so: by halves, then ever finer."""
    steps = list(schedule.steps)
    size = len(steps) // 2
    while size and tries > 0:
        start, cut = 0, False
        while start < len(steps) and tries > 0:
            rest = [*steps[:start], *steps[start + size :]]
            tries -= 1
            if rest and fails(with_steps(schedule, rest)):
                steps, cut = rest, True
            else:
                start += size
        if not cut or size > len(steps) // 2:
            size //= 2
    return with_steps(schedule, steps)


def with_steps(schedule: Schedule, steps: Sequence[Step]) -> Schedule:
    """The same chain, other steps."""
    return msgspec.structs.replace(schedule, steps=tuple(steps))
