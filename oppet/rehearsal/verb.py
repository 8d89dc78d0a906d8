"""`oppet rehearse`: tenders by the thousand from seeds, side by side in processes; the exit code is 1 when law 3 broke.

Every run is one seed and some dozens of tenders, so that a failure is small and is run again by its seed alone.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import count, islice
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from oppet.rehearsal.world import TENDERS, Result, run

__all__ = ["Sum", "rehearse", "rehearsed"]

BATCH = 20  # runs handed to a process at once
MOST_FAILURES = 10
TOLD_EVERY_S = 20.0


class Sum:
    """What many runs came to together."""

    def __init__(self) -> None:
        self.checked: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.runs = self.tenders = self.open = self.cases = self.ms = 0
        self.broken: list[Result] = []

    def add(self, result: Result) -> None:
        self.runs += 1
        self.tenders += result.tenders
        self.open += result.open
        self.cases += result.cases
        self.ms += result.at_ms
        self.checked.update(result.checked)
        self.outcomes.update(result.outcomes)
        self.faults.update(result.faults)
        if result.broken:
            self.broken.append(result)

    def told(self) -> dict[str, Any]:
        """For `--json` and for people alike."""
        refused = {name: number for name, number in self.faults.items() if name.startswith("refused ")}
        return {
            "tenders": self.tenders,
            "runs": self.runs,
            "simulated_hours": self.ms // 3_600_000,
            "outcomes": dict(sorted(self.outcomes.items())),
            "faults": self.faults.total() - sum(refused.values()),
            "faults_by_kind": {name: number for name, number in sorted(self.faults.items()) if name not in refused},
            "refused": {name.removeprefix("refused "): number for name, number in sorted(refused.items())},
            "checked": dict(sorted(self.checked.items())),
            "stay_unknown_as_they_must": self.open,
            "cases": self.cases,
            "broken": [{"seed": one.seed, "law": one.broken[0].law, "what": one.broken[0].what} for one in self.broken],
        }


def batch(seeds: Iterable[int]) -> list[Result]:
    """Some seeds; a function of its own so that a process can be given it."""
    return [run(seed) for seed in seeds]


def rehearsed(first: int, tenders: int, processes: int) -> Iterator[Result]:
    """Runs from `first` on until so many tenders were asked for. Stops when too many of them have failed."""
    seeds = count(first)
    asked = failed = 0
    if processes == 1:
        for seed in seeds:
            result = run(seed)
            asked += result.tenders
            failed += bool(result.broken)
            yield result
            if asked >= tenders or failed >= MOST_FAILURES:
                return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: set[Future[list[Result]]] = set()
        while asked < tenders and failed < MOST_FAILURES:
            while len(waiting) < 2 * processes and len(waiting) * BATCH * TENDERS < tenders - asked + BATCH * TENDERS:
                waiting.add(pool.submit(batch, list(islice(seeds, BATCH))))
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for result in (result for future in done for result in future.result()):
                asked += result.tenders
                failed += bool(result.broken)
                yield result
        pool.shutdown(wait=False, cancel_futures=True)


def rehearse(
    *,
    tenders: int = 10_000,
    seed: int = 1,
    processes: int = 0,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Rehearse card and Swish with every fault from a seed and hold law 3 after every step; exit code 1 if it broke.

    Parameters
    ----------
    tenders
        How many are asked for; a run is some dozens, and 1 is one run.
    seed
        The first run's.
    processes
        Runs side by side; 0 takes every processor.
    as_json
        Print one JSON object.
    """
    total, console = Sum(), Console(stderr=True)
    began = told_at = time.monotonic()
    side_by_side = processes or min(os.cpu_count() or 1, max(1, tenders // (TENDERS * BATCH)))
    for result in rehearsed(seed, tenders, side_by_side):
        total.add(result)
        if result.broken:
            console.print(f"seed {result.seed}: {result.broken[0].law}: {result.broken[0].what}")
            console.print(f"oppet rehearse --seed {result.seed} --tenders 1")
        if time.monotonic() - told_at >= TOLD_EVERY_S:
            told_at = time.monotonic()
            rate = total.tenders / (told_at - began)
            console.print(
                f"{total.tenders} tenders, {total.runs} runs, {rate:.0f} a second, {len(total.broken)} failed"
            )
    told = total.told() | {"seconds_taken": round(time.monotonic() - began, 1), "processes": side_by_side}
    if as_json:
        print(json.dumps(told, ensure_ascii=False))
    else:
        _print(told)
    return 1 if total.broken else 0


def _print(told: dict[str, Any]) -> None:
    table = Table(title="oppet rehearse", show_header=False)
    for name, value in told.items():
        if isinstance(value, dict):
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
