"""`oppet bench tender`: what the till adds to a card payment over the terminal's own time, with twenty tills of a store at it.

Each till is a process of its own, as in a store: the real register on a journal file, with the real driver at a simulated terminal that
is a process too: TLS, the sealed envelope, a customer who takes their time. Measured from asking to the receipt durable, less the time in
which the driver waited for the terminal's bytes. Whoever ticks is woken by the driver's bell, as the till's page is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
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
EACH_S = 5.0  # more, for each till: they all start on the same processors
END_S = 10.0
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


@dataclass(frozen=True)
class _Told:
    """What a till's process says at its end: seconds for each payment, and the CPU of all."""

    whole: list[float]
    over: list[float]
    cpu_s: float


def run(tills: int = 20, payments: int = 30, step_ms: int = 400) -> dict[str, Any]:
    """Measure. Figures: the overhead and the whole payment; ratio: what the till adds, of the whole.

    Raises ChildProcessError where a till ended without a word, and what a till raised.
    """
    spawn = get_context("spawn")
    with scratch() as folder, ExitStack() as stack:
        together = spawn.Barrier(tills + 1)
        ends: list[Connection] = []
        for number in range(tills):
            ours, theirs = spawn.Pipe(duplex=False)
            one = spawn.Process(
                target=_one_till, args=(folder, number, payments, step_ms, together, theirs), daemon=True
            )
            one.start()
            theirs.close()
            stack.callback(one.join, END_S)
            stack.callback(ours.close)
            ends.append(ours)
        with suppress(threading.BrokenBarrierError):  # the till that broke it says why
            together.wait(START_S + tills * EACH_S)
        before = appends_per_s(folder, [600], 200)
        began = time.perf_counter()
        with suppress(threading.BrokenBarrierError):
            together.wait(START_S)
        told = _heard(ends)
        took = time.perf_counter() - began
        one_ms = 2e3 / (before + appends_per_s(folder, [600], 200))
    over = [seconds for one in told for seconds in one.over]
    whole = [seconds for one in told for seconds in one.whole]
    figures = percentiles("overhead_", over)
    return result(
        "tender",
        {
            **figures,
            **percentiles("whole_", whole),
            "payments": len(over),
            "payments_per_s": round(len(over) / took, 1),
            "cpu_ms_a_payment": round(sum(one.cpu_s for one in told) / len(over) * 1e3, 2),
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
            processes="one for each till and one for each terminal, all on these processors",
            durable_groups="asked, heard and taken, registration sent, receipt",
            one_fdatasync_ms=round(one_ms, 3),
            limit_ms=10,
        ),
    )


def _heard(ends: Sequence[Connection]) -> list[_Told]:
    told: list[_Told | BaseException] = []
    for end in ends:
        try:
            told.append(end.recv())
        except EOFError:
            told.append(ChildProcessError("a till ended without a word"))
    failed = [one for one in told if isinstance(one, BaseException)]
    for error in sorted(failed, key=lambda one: isinstance(one, threading.BrokenBarrierError)):
        raise error  # the one that broke what all wait at, if it said so
    return [one for one in told if isinstance(one, _Told)]


def _one_till(folder: Path, number: int, payments: int, step_ms: int, together: Barrier, end: Connection) -> None:
    """A till's process: opens, waits for the others twice, sells, says how it went."""
    try:
        with _timed(), _counter(folder, decode(demo_assortment()), number, step_ms) as counter:
            counter.pay()  # the first one looks whether the terminal is idle, and fills what is filled once
            counter.whole.clear()
            counter.over.clear()
            together.wait()
            together.wait()
            cpu, chance = time.process_time(), Random(number)
            for _ in range(payments):
                time.sleep(chance.random() * TURN_S)
                counter.pay()
            end.send(_Told(counter.whole, counter.over, time.process_time() - cpu))
    except BaseException as error:  # noqa: BLE001 - told by whoever waits
        together.abort()
        end.send(error)


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
def _counter(folder: Path, catalogue: Catalogue, number: int, step_ms: int) -> Iterator[_Counter]:
    """A till, its driver and its terminal; ended with the block."""
    code = next(
        article.gtins[0][1:]
        for article in map(catalogue.article, sorted(catalogue.numbers()))
        if article.unit == "st" and article.gtins and not article.age
    )
    with ExitStack() as stack:
        words = ["--state", str(folder / f"terminal-{number}"), "--auto-ms", str(step_ms), "--fast"]
        words += ["--poi", f"P400Plus-{275_000_000 + number}", "--passphrase", PASSPHRASE]
        said = stack.enter_context(Helper("oppet.simulators.terminal", words, START_S)).said
        path = NexoTerminal(
            name=f"card-{number}", till=f"B-K{number}", host="127.0.0.1", port=said["port"], poi=said["poi"],
            key=derive("oppet-key", 1, PASSPHRASE), pin=said["certificate_sha256"], environment="test", probe=False,
        )  # fmt: skip
        stack.callback(path.close)
        (folder / str(number)).mkdir()
        till, journal = open_for_bench(folder / str(number), catalogue, name=f"B{number}", payments=(path,))
        stack.callback(journal.close)
        paper = _Paper()
        till.desk.ports.paths = [paper]
        counter = _Counter(till, path, code, paper)
        path.bell = counter.bell.set
        yield counter
