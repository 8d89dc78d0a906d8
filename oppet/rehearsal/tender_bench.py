"""`oppet bench tender`: what the till adds to a card payment over the terminal's own time, with twenty tills of a store at it.

Each till is the real register on a journal file of its own, with the real driver at a simulated terminal that is a process of its own:
TLS, the sealed envelope, a customer who takes their time. Measured from asking to the receipt durable, less the time in which the driver
waited for the terminal's bytes. Whoever ticks is woken by the driver's bell, as the till's page is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from oppet.drivers import terminal_nexo
from oppet.drivers.processes import Helper
from oppet.drivers.terminal_line import TerminalLine
from oppet.drivers.terminal_nexo import NexoTerminal
from oppet.goods.catalogue import Catalogue, decode
from oppet.paper.sheet import Paper
from oppet.payments.nexo_crypto import derive
from oppet.register.till import Till
from oppet.sale.settle import left_to_pay
from oppet.yardstick.in_process import NoPaper
from oppet.yardstick.measure import appends_per_s, conditions, percentiles, result
from oppet.yardstick.store import demo_assortment, open_for_bench, scratch

__all__ = ["run"]

PASSPHRASE = "p@ssw0rd123456"  # noqa: S105 - the simulator's own, known to everybody
START_S = 60.0
PAY_S = 60.0
TURN_S = 1.5  # between two customers at a till, at most


class _Timed(TerminalLine):
    """A line that adds up how long the terminal let its till wait, by the thread that waited."""

    def exchange(self, path: str, data: bytes, timeout_s: float) -> tuple[int, bytes]:
        began = time.perf_counter()
        try:
            return super().exchange(path, data, timeout_s)
        finally:
            key = threading.current_thread().name
            WAITED[key] = WAITED.get(key, 0.0) + time.perf_counter() - began


WAITED: dict[str, float] = {}  # a thread's name → seconds spent waiting for a terminal's bytes


class _Paper(NoPaper):
    """Paper comes when the receipt is durable: the moment until which is measured."""

    at = 0.0

    def print(self, paper: Paper) -> None:
        self.at = time.perf_counter()
        super().print(paper)


@dataclass
class _Counter:
    """One till at its terminal."""

    till: Till
    path: NexoTerminal
    code: str
    paper: _Paper
    bell: threading.Event = field(default_factory=threading.Event)
    whole: list[float] = field(default_factory=list)
    over: list[float] = field(default_factory=list)

    def pay(self) -> None:
        """One customer: a scan, a card, a receipt."""
        till, service = self.till, f"{self.path.name}-service"
        till.selling.scan(self.code)
        left = left_to_pay(till.desk.basket(), till.desk.priced(till.desk.basket()))
        before, began = WAITED.get(service, 0.0), time.perf_counter()
        till.tenders.ask(self.path.name, left)
        while till.tenders.outcome is None:
            self.bell.wait(0.25)
            self.bell.clear()
            till.tenders.tick()
            assert time.perf_counter() - began < PAY_S, till.tenders.waiting()
        assert till.tenders.outcome.kind == "done", till.tenders.outcome
        took = self.paper.at - began
        till.tenders.outcome = None
        self.whole.append(took)
        self.over.append(took - (WAITED[service] - before))

    def sell(self, payments: int, chance: Random) -> None:
        self.pay()  # the first one looks whether the terminal is idle, and fills what is filled once
        self.whole.clear()
        self.over.clear()
        for _ in range(payments):
            time.sleep(chance.random() * TURN_S)
            self.pay()


def run(tills: int = 20, payments: int = 30, step_ms: int = 400) -> dict[str, Any]:
    """Measure. Figures: the overhead and the whole payment; ratio: what the till adds, of the whole."""
    catalogue = decode(demo_assortment())
    with scratch() as folder, _timed(), _counters(folder, catalogue, tills, step_ms) as counters:
        before = appends_per_s(folder, [600], 200)
        cpu, began = time.process_time(), time.perf_counter()
        failed: list[BaseException] = []
        threads = [threading.Thread(target=_until(one, payments, seed, failed)) for seed, one in enumerate(counters)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took, spent = time.perf_counter() - began, time.process_time() - cpu
        if failed:
            raise failed[0]
        one_ms = 2e3 / (before + appends_per_s(folder, [600], 200))
        over = [seconds for one in counters for seconds in one.over]
        whole = [seconds for one in counters for seconds in one.whole]
    figures = percentiles("overhead_", over)
    return result(
        "tender",
        {
            **figures,
            **percentiles("whole_", whole),
            "payments": len(over),
            "payments_per_s": round(len(over) / took, 1),
            "cpu_ms_a_payment": round(spent / len(over) * 1e3, 2),
        },
        {
            "overhead_p50_of_whole": round(figures["overhead_p50_ms"] / percentiles("", whole)["p50_ms"], 4),
            "overhead_p50_over_one_fdatasync": round(figures["overhead_p50_ms"] / one_ms, 1),
        },
        conditions(
            tills=tills,
            terminal="the simulated one, a process for each till; nexo over TLS, sealed",
            customer_ms_a_step=step_ms,
            overhead="from asking to the receipt durable, less the wait for the terminal's bytes; no printing",
            one_process="all tills' registers and drivers in one, the terminals beside it on the same processors",
            durable_groups="asked, heard and taken, registration sent, receipt",
            one_fdatasync_ms=round(one_ms, 3),
            limit_ms=10,
        ),
    )


def _until(counter: _Counter, payments: int, seed: int, failed: list[BaseException]) -> Any:
    def selling() -> None:
        try:
            counter.sell(payments, Random(seed))
        except BaseException as error:  # noqa: BLE001 - told by whoever waits for the thread
            failed.append(error)

    return selling


@contextmanager
def _timed() -> Iterator[None]:
    """Every line of the driver is timed meanwhile."""
    vars(terminal_nexo)["TerminalLine"] = _Timed
    try:
        yield
    finally:
        vars(terminal_nexo)["TerminalLine"] = TerminalLine
        WAITED.clear()


@contextmanager
def _counters(folder: Path, catalogue: Catalogue, tills: int, step_ms: int) -> Iterator[Sequence[_Counter]]:
    """Tills, drivers and terminals; ended with the block."""
    key = derive("oppet-key", 1, PASSPHRASE)
    code = next(
        article.gtins[0][1:]
        for article in map(catalogue.article, sorted(catalogue.numbers()))
        if article.unit == "st" and article.gtins and not article.age
    )
    with ExitStack() as stack:
        counters = []
        for number in range(tills):
            words = ["--state", str(folder / f"terminal-{number}"), "--auto-ms", str(step_ms), "--fast"]
            words += ["--poi", f"P400Plus-{275_000_000 + number}", "--passphrase", PASSPHRASE]
            said = stack.enter_context(Helper("oppet.simulators.terminal", words, START_S)).said
            path = NexoTerminal(
                name=f"card-{number}", till=f"B-K{number}", host="127.0.0.1", port=said["port"], poi=said["poi"], key=key,
                pin=said["certificate_sha256"], environment="test", probe=False,
            )  # fmt: skip
            stack.callback(path.close)
            (folder / str(number)).mkdir()
            till, journal = open_for_bench(folder / str(number), catalogue, name=f"B{number}", payments=(path,))
            stack.callback(journal.close)
            paper = _Paper()
            till.desk.ports.paths = [paper]
            counter = _Counter(till, path, code, paper)
            path.bell = counter.bell.set
            counters.append(counter)
        yield counters
