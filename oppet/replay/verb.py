"""`oppet replay PATH`: real baskets of other tills through ours at full speed, every difference with its reason.

Reads a set, plans it, sells it at a till with a journal of its own in a folder that is thrown away, and reports. The
exit code is 1 as soon as one receipt is unexplained.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, cast

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from oppet.replay import foreign, plain, reasons
from oppet.replay.drive import Lane, Profile
from oppet.replay.errors import NotWritableError
from oppet.replay.lanes import by_number, parts
from oppet.replay.plan import Case
from oppet.replay.report import Tally, as_table, every_difference
from oppet.replay.source import INVOICES, JOURNEY, Bought, Found, Invoiced, LogLine, departments, find, read
from oppet.yardstick.measure import conditions, result
from oppet.yardstick.store import scratch

__all__ = ["replay", "run"]


def replay(
    path: Path,
    *,
    limit: int = 0,
    report: Path | None = None,
    keep: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Sell a set of real baskets again and explain every difference.

    Parameters
    ----------
    path
        The folder of a set: core-pos-till-log, complete-journey or online-retail.
    limit
        Only so many of its receipts, the earliest.
    report
        Write every receipt that differs, with its reasons, into this file (JSON).
    keep
        Keep the journal in this folder instead of throwing it away.
    as_json
        Print one JSON object.
    """
    with _folder(keep) as folder:
        told, tally, why = run(path, folder, limit=limit, hidden=as_json)
    if report is not None:
        try:
            report.write_text(every_difference(tally, why, told), encoding="utf-8")
        except OSError as broken:
            raise NotWritableError(path=str(report), why=broken.strerror or str(broken)) from None
    if as_json:
        print(json.dumps(told, ensure_ascii=False))
    else:
        as_table(told, why, tally.wrong, Console())
    return 1 if tally.wrong else 0


def run(
    path: Path, folder: Path, *, limit: int = 0, hidden: bool = True
) -> tuple[dict[str, Any], Tally, Mapping[str, str]]:
    """Replay `path` with a journal in `folder`: (the object to print, the counts, why each class is one)."""
    found = find(path)
    began = time.perf_counter()
    cases, profile, why, more = _planned(found, limit)
    planned = time.perf_counter() - began
    tally = Tally()
    lane = Lane(folder, cases[0].time, profile)
    began, cpu = time.perf_counter(), time.process_time()
    with _progress(hidden) as progress:
        for case in progress.track(cases, description="receipts"):
            tally.add(case, lane.sell(case))
        lane.finish()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    tally.wrong += lane.sums.troubles
    told = result(
        f"replay {found.name}",
        {
            "receipts_per_s": round(lane.sums.receipts / seconds, 1),
            "lines_per_s": round(lane.sums.lines / seconds, 1),
            "cpu_ms_per_receipt": round(cpu / max(1, lane.sums.receipts) * 1e3, 3),
            "seconds": round(seconds, 1),
            "reading_and_planning_s": round(planned, 1),
        },
        {},
        conditions(
            our_receipts=lane.sums.receipts,
            our_lines=lane.sums.lines,
            given_up=lane.sums.abandoned,
            journal_entries=lane.journal.head.seq,
            journal="every step on disk as in a shop",
            control_unit="in process, answers at once",
            paper="made in full, kept nowhere",
            articles=len(profile.articles),
        ),
    )
    told["result"] = {**tally.as_figures(), **more}
    return told, tally, why


def _planned(found: Found, limit: int) -> tuple[list[Case], Profile, Mapping[str, str], dict[str, Any]]:
    rows = read(found)
    if found.name == JOURNEY:
        journey = plain.Journey()
        cases = [journey.plan(basket) for basket in _first(plain.gathered(cast("list[Bought]", rows)), limit)]
        return cases, Profile(foreign.COIN, journey.book.articles, journey.book.rates), plain.CLASSES, {}
    if found.name == INVOICES:
        invoices = plain.Invoices()
        cases = [invoices.plan(basket) for basket in _first(plain.gathered(cast("list[Invoiced]", rows)), limit)]
        return cases, Profile(foreign.COIN, invoices.book.articles, invoices.book.rates), plain.CLASSES, {}
    law = foreign.Foreign(departments(found.folder))
    numbers = by_number(cast("list[LogLine]", rows))
    lanes = [(number, parts(numbers[number])) for number in list(numbers)[: limit if limit > 0 else None]]
    cases = [
        law.plan(number if len(found_parts) == 1 else f"{number}/{place}", part)
        for number, found_parts in lanes
        for place, part in enumerate(found_parts, 1)
    ]
    cases.sort(key=lambda case: (case.time, case.receipt))
    more = {"numbers": len(lanes), "numbers_of_several_lanes": sum(len(found_parts) > 1 for _, found_parts in lanes)}
    return cases, law.profile(), reasons.CLASSES, more


def _first(baskets: Sequence[Any], limit: int) -> Sequence[Any]:
    return baskets[:limit] if limit > 0 else baskets


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with scratch() as folder:
            yield folder
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
    except OSError as broken:
        raise NotWritableError(path=str(keep), why=broken.strerror or str(broken)) from None
    yield keep


def _progress(hidden: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=hidden,
    )
