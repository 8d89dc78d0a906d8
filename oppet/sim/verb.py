"""`oppet sim`: run simulated chains from seeds, hold the laws, and say what was tried; a failure is made small and kept.

Seeds are independent, so they run side by side in processes of their own. The exit code is 1 when a law broke.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import count, islice
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from oppet.base.errors import RefusedError
from oppet.base.words import N_
from oppet.drivers import files
from oppet.sim.schedule import Schedule, Size, make, smaller
from oppet.sim.world import EDGES, Result, run

__all__ = ["NoScheduleError", "Sum", "chains", "sim"]

LONGEST_S = 3_600  # of one run: more of the time is cut into more seeds
TRIES = 400


class NoScheduleError(RefusedError):
    sentence = N_("{path} holds no schedule of a simulated chain: {why}.")


class Sum:
    """What many runs came to together."""

    def __init__(self) -> None:
        self.faults: Counter[str] = Counter()
        self.laws: Counter[str] = Counter()
        self.covered: set[tuple[str, str]] = set()
        self.runs = self.sales = self.entries = self.lost = self.till_ms = 0
        self.file_runs = self.file_faults = self.file_till_ms = 0  # of them, on real files
        self.broken: list[Result] = []

    def add(self, result: Result) -> None:
        self.runs += 1
        self.faults.update(result.faults)
        self.laws.update(result.laws)
        self.covered.update(result.covered)
        self.sales += result.sales
        self.entries += result.entries
        self.lost += result.lost
        self.till_ms += result.till_ms
        if result.real_files:
            self.file_runs += 1
            self.file_faults += sum(result.faults.values())
            self.file_till_ms += result.till_ms
        if result.broken:
            self.broken.append(result)

    def edges(self) -> tuple[int, int, list[str]]:
        """Edges of the state tables: taken, there are, and which were not."""
        missed = [
            f"{table}: {edge}" for table, edges in EDGES.items() for edge in edges if (table, edge) not in self.covered
        ]
        total = sum(len(edges) for edges in EDGES.values())
        return total - len(missed), total, missed

    def told(self) -> dict[str, Any]:
        """For `--json` and for people alike."""
        taken, total, missed = self.edges()
        return {
            "runs": self.runs,
            "till_hours": round(self.till_ms / 3_600_000, 2),
            "runs_on_real_files": self.file_runs,
            "till_hours_on_real_files": round(self.file_till_ms / 3_600_000, 2),
            "faults_on_real_files": self.file_faults,
            "sales": self.sales,
            "entries": self.entries,
            "faults": self.faults.total(),
            "faults_by_kind": dict(sorted(self.faults.items())),
            "laws_checked": dict(sorted(self.laws.items())),
            "edges_taken": taken,
            "edges": total,
            "edges_missed": missed,
            "receipts_whose_every_copy_was_destroyed": self.lost,
            "broken": [
                {"seed": result.seed, "step": result.steps, "law": law.law, "what": law.what}
                for result in self.broken
                for law in result.broken[:1]
            ],
        }


def one(seed: int, size: Size, real_files: int = 0) -> Result:
    """One seed; a function of its own so that a process can be given it."""
    return run(make(seed, sized(seed, size, real_files)))


def sized(seed: int, size: Size, real_files: int) -> Size:
    """The chain of a seed: every so-manieth is on real files, none if 0."""
    return msgspec.structs.replace(size, real_files=bool(real_files) and seed % real_files == 0)


def chains(first: int, size: Size, runs: int, faults: int, processes: int, real_files: int = 0) -> Iterator[Result]:
    """Run seeds from `first` on: `runs` of them, or as many as it takes for so many faults. Stops at the first failure."""
    seeds = iter(range(first, first + runs)) if not faults else count(first)
    injected = 0
    if processes == 1:
        for seed in seeds:
            result = one(seed, size, real_files)
            injected += sum(result.faults.values())
            yield result
            if result.broken or (faults and injected >= faults):
                return
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: set[Future[Result]] = set()
        while True:
            for seed in islice(seeds, 2 * processes - len(waiting)):
                waiting.add(pool.submit(one, seed, size, real_files))
            if not waiting:
                return
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                result = future.result()
                injected += sum(result.faults.values())
                yield result
                if result.broken or (faults and injected >= faults):
                    pool.shutdown(wait=False, cancel_futures=True)
                    return


def sim(
    *,
    seconds: int = 3_600,
    seed: int = 1,
    stores: int = 1,
    tills: int = 2,
    faults: int = 0,
    processes: int = 0,
    real_files: int = 0,
    steps: bool = False,
    replay: Path | None = None,
    keep: Path = Path("var/sim"),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Run a simulated chain with every fault from a seed and hold the laws after every step; exit code 1 if one broke.

    Parameters
    ----------
    seconds
        Simulated seconds; more than an hour is cut into runs of an hour with seeds of their own.
    seed
        The first seed.
    stores
        Stores in the chain.
    tills
        Tills in each store.
    faults
        Go on with further seeds until so many faults were injected; 0 stops after the seconds.
    processes
        Runs side by side; 0 takes every processor.
    real_files
        Every so-manieth seed runs with journals and shelves in SQLite files on a faulty disk; 1: all, 0: none.
    steps
        Print the schedule instead of running it.
    replay
        Run the schedule in this file, as a failure left it.
    keep
        Where the schedule of a failure is written.
    as_json
        Print one JSON object.
    """
    size = Size(max(stores, 1), max(tills, 1), max(1, min(seconds, LONGEST_S)))
    if steps:
        for step in make(seed, size).steps:  # the same on files or not
            print(f"{step.at / 1000:9.1f} s  {step.who:10} {step.what} {step.arg} {step.more}")
        return 0
    total = Sum()
    console = Console(stderr=True)
    began, cpu = time.monotonic(), time.process_time()
    if replay is not None:
        schedule = _read(replay)
        total.add(run(schedule))
    else:
        runs = max(1, -(-seconds // LONGEST_S))
        with console.status("") as status:
            for result in chains(
                seed, size, runs, faults, processes or min(os.cpu_count() or 1, runs if not faults else 64), real_files
            ):
                total.add(result)
                status.update(
                    f"{total.runs} runs, {total.faults.total()} faults, {total.sales} sales, seed {result.seed}"
                )
    told = total.told() | {
        "seconds_taken": round(time.monotonic() - began, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
    }
    kept = ""
    if total.broken and replay is None:
        kept = str(_keep(total.broken[0], sized(total.broken[0].seed, size, real_files), keep, console))
        told["schedule"] = kept
    if as_json:
        print(json.dumps(told, ensure_ascii=False))
    else:
        _print(told, kept)
    return 1 if total.broken else 0


def _keep(result: Result, size: Size, folder: Path, console: Console) -> Path:
    """Make the failing schedule small and write it down."""
    law = result.broken[0].law
    console.print(f"seed {result.seed}, step {result.steps}: law {law} broke; making the schedule smaller")
    schedule = make(result.seed, size)
    short = msgspec.structs.replace(schedule, steps=schedule.steps[: result.steps or None])

    def fails(candidate: Schedule) -> bool:
        return any(broken.law == law for broken in run(candidate).broken)

    found = smaller(short if fails(short) else schedule, fails, TRIES)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"law{law}-seed{result.seed}.json"
    files.write(path, msgspec.json.format(msgspec.json.encode(found), indent=1))
    for step in found.steps:
        console.print(f"{step.at / 1000:9.1f} s  {step.who:10} {step.what} {step.arg} {step.more}")
    return path


def _read(path: Path) -> Schedule:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Schedule)
    except (OSError, msgspec.MsgspecError) as error:
        raise NoScheduleError(path=str(path), why=str(error)) from None


def _print(told: dict[str, Any], kept: str) -> None:
    table = Table(title="oppet sim", show_header=False)
    for name, value in told.items():
        if isinstance(value, dict):
            table.add_section()
            for key, number in value.items():
                table.add_row(key, f"{number:,}".replace(",", " "))
            table.add_section()
        elif name == "broken":
            for broken in value:
                table.add_row(
                    f"LAW {broken['law']} BROKE", f"seed {broken['seed']}, step {broken['step']}: {broken['what']}"
                )
        elif name == "edges_missed":
            table.add_row(name.replace("_", " "), "\n".join(value))
        else:
            table.add_row(name.replace("_", " "), str(value))
    console = Console()
    console.print(table)
    if kept:
        console.print(f"oppet sim --replay {kept}")
