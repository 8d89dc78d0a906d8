"""`oppet rollout`: releases going out to a chain with a thief, from seeds, side by side in processes; exit code 1 when law 5 broke.

Every run is one seed; a failure is run again by its seed alone, with the same size of chain.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import partial
from itertools import count, islice
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from oppet.rollout.thieves import COLUMNS
from oppet.rollout.world import Result, Scale, run

__all__ = ["Sum", "rollout"]

MOST_FAILURES = 10
TOLD_EVERY_S = 20.0
Column = Literal[
    "any",
    "nobody",
    "vendor",
    "chain",
    "both",
    "head-office",
    "nodes",
    "both-and-canaries",
    "both-and-roots",
    "both-dormant",
]


class Sum:
    """What many runs came to together."""

    def __init__(self) -> None:
        self.counted: dict[str, Counter[str]] = {
            name: Counter() for name in ("checked", "installed", "refused", "waited", "faults", "deeds", "thieves")
        }
        self.runs = self.till_hours = 0
        self.worst: Counter[str] = Counter()
        self.broken: list[Result] = []
        self.last: Result | None = None

    def add(self, result: Result) -> None:
        self.runs, self.last = self.runs + 1, result
        self.till_hours += result.till_hours
        for name in ("checked", "installed", "refused", "waited", "faults", "deeds"):
            self.counted[name].update(getattr(result, name))
        self.counted["thieves"][result.reach] += 1
        stores = len(result.reached["poison"])
        self.worst[result.reach] = max(self.worst[result.reach], stores)
        if result.broken:
            self.broken.append(result)

    def told(self) -> dict[str, Any]:
        """For `--json` and for people alike."""
        told: dict[str, Any] = {"runs": self.runs, "till_hours": self.till_hours}
        told |= {name: dict(sorted(counter.items())) for name, counter in self.counted.items()}
        told["most_stores_poisoned_where_the_thief_may_reach"] = dict(self.worst)
        told["broken"] = [
            {"seed": one.seed, "thief": list(one.thief), "law": one.broken[0].law, "what": one.broken[0].what}
            for one in self.broken
        ]
        if self.runs == 1 and self.last is not None:
            told["reached_at_hours"] = self.last.reached  # what scripts/rollout_picture.py draws
        return told


def rollout(
    *,
    seeds: int = 20,
    seed: int = 1,
    stores: int = 800,
    tills: int = 4,
    hours: int = 120,
    thief: Column = "any",
    processes: int = 0,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Let releases go out to a simulated chain with every fault and a thief, and hold law 5 at every step; exit code 1 if it broke.

    Parameters
    ----------
    seeds
        How many runs.
    seed
        The first run's.
    stores
        Of the chain.
    tills
        In each store.
    hours
        Of virtual time in each run.
    thief
        Which keys are stolen: a column of the table of attacks, any combination, or nobody's.
    processes
        Runs side by side; 0 takes every processor.
    as_json
        Print one JSON object.
    """
    scale = Scale(stores, tills, hours)
    loot = None if thief == "any" else COLUMNS.get(thief.removesuffix("-dormant"), frozenset())
    dormant = None if thief == "any" else thief.endswith("-dormant")
    one = partial(run, scale=scale, loot=loot, dormant=dormant)
    total, console = Sum(), Console(stderr=True)
    began = told_at = time.monotonic()
    side_by_side = min(seeds, processes or os.cpu_count() or 1)
    again = f"--stores {stores} --tills {tills} --hours {hours} --thief {thief}"
    for result in _results(seed, seeds, side_by_side, one):
        total.add(result)
        if result.broken:
            console.print(f"seed {result.seed}: {result.broken[0].law}: {result.broken[0].what}")
            console.print(f"oppet rollout --seed {result.seed} --seeds 1 {again}", soft_wrap=True)
        if time.monotonic() - told_at >= TOLD_EVERY_S:
            told_at = time.monotonic()
            console.print(f"{total.runs} of {seeds} runs, {total.till_hours} till-hours, {len(total.broken)} failed")
    took = {"seconds_taken": round(time.monotonic() - began, 1), "processes": side_by_side}
    told = {"stores": stores, "tills": tills, "hours": hours, "thief": thief} | total.told() | took
    if as_json:
        print(json.dumps(told, ensure_ascii=False))
    else:
        _print(told)
    return 1 if total.broken else 0


def _results(first: int, runs: int, processes: int, one: Callable[[int], Result]) -> Iterator[Result]:
    seeds = islice(count(first), runs)
    failed = 0
    if processes <= 1:
        for seed in seeds:
            result = one(seed)
            yield result
            failed += bool(result.broken)
            if failed >= MOST_FAILURES:
                return
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: set[Future[Result]] = {pool.submit(one, seed) for seed in islice(seeds, 2 * processes)}
        while waiting and failed < MOST_FAILURES:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for result in (future.result() for future in done):
                failed += bool(result.broken)
                yield result
            waiting |= {pool.submit(one, seed) for seed in islice(seeds, len(done))}
        pool.shutdown(wait=False, cancel_futures=True)


def _print(told: dict[str, Any]) -> None:
    table = Table(title="oppet rollout", show_header=False)
    for name, value in told.items():
        if name == "reached_at_hours":
            table.add_row("stores reached", ", ".join(f"{key} {len(hours)}" for key, hours in value.items()))
        elif isinstance(value, dict):
            table.add_section()
            for key, number in value.items():
                table.add_row(f"{name}: {key}".replace("_", " "), str(number))
            table.add_section()
        elif name == "broken":
            for one in value:
                table.add_row(f"LAW {one['law']} BROKE", f"seed {one['seed']}: {one['what']}")
        else:
            table.add_row(name.replace("_", " "), str(value))
    Console().print(table)
