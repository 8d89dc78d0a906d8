"""Bugs planted into the rules of what comes down, one at a time, and the process that looks for each with `oppet rollout`'s own runs.

A bug is a list of replacements in one module's source; each must fit exactly once. `python -m tests.rollout.planted MOST NAME…` looks for
every named bug in a fork of its own, from its first seed on, and prints what it found as JSON; no name looks for all.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from importlib import import_module

from tests.sim.planted import Bug as Source
from tests.sim.planted import plant

__all__ = ["BUGS", "Bug"]

RINGS, AGREE, HEALTH, HELD, INTAKE = (
    "oppet.release.rings", "oppet.release.agree", "oppet.release.health", "oppet.release.held", "oppet.release.intake",
)  # fmt: skip


@dataclass(frozen=True)
class Bug:
    """Where it is planted, which word of law 5 finds it, and with which thief it shows soonest."""

    module: str
    changes: tuple[tuple[str, str], ...]
    law: str
    thief: str = "both-and-canaries"
    seed: int = 1
    hours: int = 96
    quick: bool = True


BUGS: dict[str, Bug] = {
    "one repository is skipped": Bug(
        AGREE,
        (("ours, theirs = vendor.get(name), chain.get(name)", "ours, theirs = chain.get(name), chain.get(name)"),),
        "5 both",
        "chain",
    ),
    "digests are not compared": Bug(
        AGREE,
        (
            (
                "same = (ours.name, ours.length, ours.hashes, ours.custom) == (",
                "same = ours.name == theirs.name or (ours.name, ours.length, ours.hashes, ours.custom) == (",
            ),
        ),
        "5 both",
        "vendor",
        seed=6,
        quick=False,
    ),
    "an older release is taken": Bug(
        RINGS,
        (("if software.release < here.installed:", "if software.release < 0:"),),
        "5 older",
        "head-office",
    ),
    "a store's freeze is ignored": Bug(
        RINGS, (("if here.frozen:", "if here.store == here.till:"),), "5 frozen", "nobody"
    ),
    "what was chosen is ignored": Bug(
        RINGS, (("if software.release != chosen:", "if software.release == chosen == 0:"),), "5 chosen"
    ),
    "an ill canary is ignored": Bug(
        RINGS,
        (("if evidence.ill:", "if evidence.ill == here.till:"), (" and not evidence.ill\n", "\n")),
        "5 ill",
        "nobody",
        seed=6,
        hours=120,
        quick=False,
    ),
    "no wave": Bug(
        RINGS,
        (("wave = dwell + wave_ms(software.image, here.store, asked.stores_permille_per_hour)", "wave = dwell"),),
        "5 pace",
        "nobody",
    ),
    "a store's wave comes from what is signed": Bug(
        RINGS,
        (("wave_ms(software.image, here.store, asked", "wave_ms(software.image, software.version, asked"),),
        "5 pace",
        "nobody",
        quick=False,
    ),
    "no dwell": Bug(RINGS, (("dwell = asked.dwell_min * MINUTE_MS", "dwell = 0"),), "5 pace", "nobody"),
    "an emergency has no pace": Bug(
        RINGS,
        (('if ring_of(here, pace) != "canary" and (', 'if ring_of(here, pace) != "canary" and not emergency and ('),),
        "5 evidence",
    ),
    "a canary is known by its store": Bug(
        RINGS,
        (
            (
                "any((c.store, c.till, c.epoch, c.key) == mine for c in pace.canaries)",
                "any(c.store == mine[0] for c in pace.canaries)",
            ),
        ),
        "5 evidence",
        "nobody",
    ),
    "a root may name any number of canaries": Bug(
        RINGS,
        (('        return "too_many_canaries"\n    if pace.stores > 1', "        pass\n    if pace.stores > 1"),),
        "5 evidence",
        "both-and-roots",
        seed=3,
        hours=144,
        quick=False,
    ),
    "new canaries count at once": Bug(
        HELD,
        (("one.ms >= now.hold_min * MINUTE_MS:", "one.ms >= 0:"),),
        "5",
        "both-and-roots",
        seed=3,
        quick=False,
    ),
    "a pace that no root may set counts": Bug(
        RINGS,
        (('    return "" if slow else "too_new_pace"', '    return ""'),),
        "5",
        "both-and-roots",
        seed=3,
        hours=144,
        quick=False,
    ),
    "a canary that spoke often counts often": Bug(
        HEALTH,
        (("well[statement.till] = statement.store", "well[one.signature] = statement.store"),),
        "5 evidence",
        "nobody",
    ),
    "strangers are counted": Bug(
        HEALTH,
        (
            (
                "    if canary is None or canary.store != statement.store:\n        return None\n",
                "    if canary is None or canary.store != statement.store:\n        return statement\n",
            ),
        ),
        "5",
        "both",
        quick=False,
    ),
    "a signature is not looked at": Bug(
        HEALTH,
        (("return statement if good else None", "return statement if good or canary else None"),),
        "5",
        "both",
        quick=False,
    ),
    "a word about other bytes counts": Bug(
        HEALTH,
        (
            (
                "if statement is None or statement.image != image:\n            strangers",
                "if statement is None:\n            strangers",
            ),
        ),
        "5",
        "both",
        quick=False,
    ),
    "an hour's run is no condition": Bug(
        HEALTH,
        (("elif statement.sales >= pace.evidence_sales and statement.running_min >= pace.evidence_min:", "else:"),),
        "5",
        "nobody",
    ),
    "dwell by the clock on the wall": Bug(
        INTAKE,
        (
            (
                "        at = self._hands.counter()\n        gone, self._at = min(max(at - self._at, 0), GAP_MS), at",
                "        at = self._hands.now()\n        gone, self._at = max(at - self._at, 0), at",
            ),
        ),
        "5 pace",
        "nobody",
    ),
    "evidence is counted before it is good": Bug(
        INTAKE,
        (
            (
                'FETCH_FOR: Final = frozenset({"dwell", "wave", "open_hours"})',
                'FETCH_FOR: Final = frozenset({"dwell", "wave", "open_hours", "no_evidence", "not_chosen"})',
            ),
        ),
        "5 pace",
        "nobody",
    ),
}


def look(name: str, most: int) -> dict[str, object]:
    """Plant the bug, then run seeds until a law breaks."""
    bug = BUGS[name]
    plant(Source(bug.module, bug.changes, bug.law))
    world, thieves = import_module("oppet.rollout.world"), import_module("oppet.rollout.thieves")
    scale = world.Scale(40, 2, bug.hours)
    loot = thieves.COLUMNS.get(bug.thief, frozenset())
    began = time.process_time()
    for seed in range(bug.seed, bug.seed + most):
        result = world.run(seed, scale, loot, dormant=False)
        if result.broken:
            law = result.broken[0]
            spent = round(time.process_time() - began, 2)
            return {"seed": seed, "law": law.law, "what": law.what, "cpu_s": spent}
    return {"seed": None, "cpu_s": round(time.process_time() - began, 2)}


def main() -> None:
    """Look for each in a fork: what one bug has imported, no other sees."""
    most, names = int(sys.argv[1]), sys.argv[2:] or list(BUGS)
    found: dict[str, object] = {}
    for name in names:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            with os.fdopen(writing, "w") as out:
                json.dump(look(name, most), out)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as came:
            said = came.read()
        os.waitpid(child, 0)
        found[name] = json.loads(said) if said else {"failed": "it does not fit, or it did not start"}
        print(name, found[name], file=sys.stderr, flush=True)
    print(json.dumps(found, ensure_ascii=False))


if __name__ == "__main__":
    main()
