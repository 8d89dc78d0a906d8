"""`oppet bench backlog`: a store that was alone for fourteen days is drained, and what its tills feel of it.

Ten tills' journals of fourteen days lie at a real store node that head office has heard nothing of; then head office
answers. An eleventh till, in this process with its real wiring and its second copies at the same node, sells before and
while the node sends everything up. Held at the end: every receipt is at head office once, to the öre (R15, R20).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from oppet.base.clock import utc_text
from oppet.base.errors import OppetError
from oppet.base.signing import Signer
from oppet.bench.ingest import numbered, sealed, sold
from oppet.bench.sale import basket_codes
from oppet.demo.chain import Chain, Store, TillPlan, free_ports, stores
from oppet.drivers.clock import SystemClock
from oppet.drivers.journal_file import JournalFile
from oppet.drivers.keys import load_key
from oppet.drivers.processes import Helper
from oppet.journal.entry import NOTHING, Head, signed_bytes
from oppet.journal.kinds import ReceiptPrinted
from oppet.sale.rights import Staff
from oppet.till.main import Opened, open_till
from oppet.yardstick.measure import conditions, percentiles, result
from oppet.yardstick.store import scratch

__all__ = ["run"]

DAYS, TILLS, RECEIPTS = 14, 10, 700
LINES = 12
DAY_MS = 86_400_000
PIECE = 100  # receipts to a signed place
DRAIN_S = 3_600
Sales = list[list[tuple[str, str, bytes]]]


@dataclass(slots=True)
class Felt:
    """What a cashier felt: seconds of each scan and of each payment, what was refused, how many had a second copy."""

    scans: list[float]
    payments: list[float]
    refused: int = 0
    copied: int = 0


def run(days: int = DAYS, tills: int = TILLS, receipts: int = RECEIPTS, before: int = 60) -> dict[str, Any]:
    """Measure. `before`: sales of the eleventh till while head office is away, to compare with."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with scratch() as folder, ExitStack() as stack, Progress(*columns, transient=True) as progress:
        folder.chmod(0o755)
        chain, store, hq = _enrolled(folder.resolve(), tills + 1, stack)
        there = _fill(chain, store, store.tills[:tills], days * receipts, sold(folder, 240), progress)
        node = _begin(stack, chain.node(store))
        opened = open_till(folder.resolve() / store.id / f"{store.tills[tills].register}.json")
        stack.callback(opened.close)
        opened.till.sign_in(Staff(301, "manager"))
        opened.till.drawer.set_float(200_000)
        codes = [code for some in basket_codes(opened.till.desk.ports.catalogue) for code in some]
        _wait_for_copies(opened)
        alone = Felt([], [])
        for number in range(before):
            _sell(opened, codes, number, alone)
        hq = _begin(stack, chain.hq())
        during = Felt([], [])
        seconds = _drain(str(hq.said["dsn"]), opened, codes, (there, days * receipts * tills), during, progress)
        _ = node
        own = _own(opened)
    quiet, busy = percentiles("", alone.scans), percentiles("", during.scans)
    paid, paid_busy = percentiles("", alone.payments), percentiles("", during.payments)
    count = days * receipts * tills
    return result(
        "backlog",
        {
            "receipts": count,
            "entries": there[1],
            "drained_s": round(seconds, 1),
            "receipts_per_s": round(count / seconds),
            "scan_p99_ms": quiet["p99_ms"],
            "scan_p99_while_draining_ms": busy["p99_ms"],
            "payment_p99_ms": paid["p99_ms"],
            "payment_p99_while_draining_ms": paid_busy["p99_ms"],
            "sales_while_draining": len(during.payments),
            "sales_with_second_copy": during.copied,
            "refused_to_the_cashier": alone.refused + during.refused,
            "own_receipts": own,
        },
        {
            "scan_p99_over_quiet": round(busy["p99_ms"] / quiet["p99_ms"], 2),
            "times_faster_than_sold": round(days * 86_400 / seconds),
        },
        conditions(days=days, tills=tills, receipts_a_day=receipts),
    )


def _begin(stack: ExitStack, start: Callable[[], Helper]) -> Helper:
    helper = start()
    stack.callback(helper.end)
    return helper


def _enrolled(folder: Path, tills: int, stack: ExitStack) -> tuple[Chain, Store, Helper]:
    """A store whose tills are certified; node and head office are stopped again."""
    ports = iter(free_ports(2 + 2 * (4 + tills)))
    page, keeper = next(ports), next(ports)
    chain = Chain(folder, stores(ports, tills, robots=False)[:1])
    store = chain.stores[0]
    chain.write_hq(keeper, page)
    chain.write_store(store)
    hq = _begin(stack, chain.hq())
    chain.enrol_store(store, f"https://127.0.0.1:{keeper}")
    _begin(stack, chain.unit_of_store(store))
    node = _begin(stack, chain.node(store))
    for plan in store.tills:
        chain.write_till(store, plan)
        chain.enrol_till(store, plan)
    _begin(stack, chain.unit_of_till(store, store.tills[-1]))
    node.end()
    hq.end()
    return chain, store, hq


def _fill(
    chain: Chain, store: Store, plans: Sequence[TillPlan], receipts: int, sales: Sales, progress: Progress
) -> tuple[int, int]:
    """Write what the tills sold while nobody listened into the node's shelf; öre and entries in all."""
    task = progress.add_task("fourteen days", total=len(plans) * receipts)
    began = SystemClock().now() - DAYS * DAY_MS
    worth = [_worth(sale) for sale in sales]
    ore = entries = 0
    for place, plan in enumerate(plans):
        signer = load_key(chain.folder / store.id / plan.register / "epoch-0001.key")
        path = chain.folder / store.id / "node" / "kept" / f"{plan.name}.1.journal"
        head = Head(0, NOTHING)
        with JournalFile.create(path, plan.name, 1) as journal:
            for first in range(0, receipts, PIECE):
                raws: list[bytes] = []
                for number in range(first, min(first + PIECE, receipts)):
                    which = (place * 7 + number) % len(sales)
                    when = utc_text(began + number * DAYS * DAY_MS // receipts)
                    for _, kind, body in sales[which]:
                        raw, head = sealed(plan.name, head, when, kind, numbered(kind, body, number + 1))
                        raws.append(raw)
                    ore += worth[which]
                journal.keep(raws, head, _signed(signer, plan.name, head))
                progress.update(task, advance=min(PIECE, receipts - first))
        entries += head.seq
    return ore, entries


def _worth(sale: list[tuple[str, str, bytes]]) -> int:
    return next(int(msgspec.json.decode(body)["total_ore"]) for _, kind, body in sale if kind == "receipt")


def _signed(signer: Signer, till: str, head: Head) -> bytes:
    return signer.sign(signed_bytes(till, 1, head))


def _wait_for_copies(opened: Opened) -> None:
    """Until the node is known to answer: the first sales of a day would not wait for it either."""
    copies, journal = opened.till.desk.ports.copies, opened.till.desk.ports.journal
    for _ in range(100):
        if copies.second(journal.head):
            return
        time.sleep(0.1)


def _sell(opened: Opened, codes: Sequence[str], number: int, felt: Felt) -> None:
    till = opened.till
    try:
        for line in range(LINES):
            began = time.perf_counter()
            till.selling.scan(codes[(number * LINES + line) % len(codes)])
            felt.scans.append(time.perf_counter() - began)
        began = time.perf_counter()
        till.checkout.pay("cash", 10_000_000)
        felt.payments.append(time.perf_counter() - began)
    except OppetError:
        felt.refused += 1
        return
    journal = till.desk.ports.journal
    felt.copied += any(
        printed.copies > 0
        for entry in journal.read(max(1, journal.head.seq - 3))
        if entry.kind == "receipt_printed"
        for printed in (msgspec.json.decode(entry.body, type=ReceiptPrinted),)
    )


def _drain(
    dsn: str, opened: Opened, codes: Sequence[str], there: tuple[tuple[int, int], int], felt: Felt, progress: Progress
) -> float:
    """Sell until head office has everything; seconds from its first answer."""
    (ore, _), count = there
    task = progress.add_task("drained", total=count)
    began, number = time.perf_counter(), 0
    own = f"{opened.settings.till}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        while time.perf_counter() - began < DRAIN_S:
            for _ in range(5):
                _sell(opened, codes, number, felt)
                number += 1
                time.sleep(0.05)  # a cashier is slower
            row = connection.execute(
                "SELECT count(*), coalesce(sum(r.total_ore), 0) FROM receipt r JOIN stream s "
                "ON s.store_id = r.store_id AND s.stream_id = r.stream_id WHERE s.till <> %s",
                (own,),
            ).fetchone()
            assert row is not None
            progress.update(task, completed=int(row[0]))
            if int(row[0]) >= count:
                assert (int(row[0]), int(row[1])) == (count, ore), "to the öre"
                return time.perf_counter() - began
    raise AssertionError(f"not drained in {DRAIN_S} s")


def _own(opened: Opened) -> int:
    return opened.till.desk.state.numbers.get("normal", 0)
