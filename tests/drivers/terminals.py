"""A card terminal and its acquirer as processes, and our driver at them with a clock that can be pushed on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from oppet.drivers.terminal_nexo import NexoTerminal
from oppet.payments.board import Tempo
from oppet.payments.nexo_crypto import derive
from oppet.payments.paths import Answer, Work
from tests.simulators.nexo_till import PASSPHRASE, Running

__all__ = ["KEY", "SALE_ID", "SHORT_S", "Stand", "TestClock", "a_stand", "until"]

SALE_ID = "S01-K3"
KEY = derive("oppet-key", 1, PASSPHRASE)
SHORT_S = 0.5
QUICK = {"entry": "insert", "card": "visa", "pin": "right", "after_ms": 0}
LIMITS = {"limit_s": 120.0, "host_wait_s": 5.0, "floor_ore": 150_000, "offline_count": 20}
NUMBERS = count(1)  # no request is named twice at one terminal


@dataclass
class TestClock:
    """Real time, pushed on by what it is told."""

    __test__ = False
    ahead_ms: int = 0

    def now(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms

    def counter(self) -> int:
        return time.monotonic_ns() // 1_000_000 + self.ahead_ms


def until(what: Any, seconds: float = 20.0) -> Any:
    """What it gives, once it gives something."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)
    return found


@dataclass
class Stand:
    """A terminal at its acquirer, with one till."""

    terminal: Running
    acquirer: Running
    clock: TestClock = field(default_factory=TestClock)

    def reset(self) -> None:
        """A terminal at rest, with a customer who puts the card in and knows the PIN."""
        self.terminal.tell(
            auto=QUICK,
            plan=[],
            fault="clear",
            plug=None,
            host="ok",
            limits=LIMITS,
            login=False,
            certificate="own",
            power="on",
        )
        self.acquirer.tell(mode="ok", limit_ore=2_000_000)

    def net_ore(self) -> int:
        """What customers were charged and not given back, by the acquirer's own book."""
        found: int = self.acquirer.state()["net_ore"]
        return found

    def path(self, **more: Any) -> NexoTerminal:
        ready = self.terminal.ready
        wishes: dict[str, Any] = {
            "name": "card-1", "till": SALE_ID, "host": "127.0.0.1", "port": ready["port"], "poi": ready["poi"], "key": KEY,
            "pin": ready["certificate_sha256"], "environment": "test", "payment_timeout_s": 2 * SHORT_S, "timeout_s": SHORT_S,
            "connect_s": 2.0, "probe": False, "clock": self.clock,
        }  # fmt: skip
        return NexoTerminal(**wishes | more)


@contextmanager
def a_stand(folder: Path) -> Iterator[Stand]:
    """Both processes; they end with it, and have complained of nothing."""
    acquirer = Running("acquirer", folder / "book", "--settlements", str(folder / "settlements"))
    url = f"http://127.0.0.1:{acquirer.ready['port']}"
    terminal = Running(
        "terminal", folder / "memory", "--passphrase", PASSPHRASE, "--acquirer", url, "--forward-s", "0.05"
    )
    try:
        yield Stand(terminal, acquirer)
    finally:
        said = terminal.kill() + acquirer.kill()
    assert said == ""


def pay(amount_ore: int = 1_690, **more: Any) -> Work:
    """A payment of Alva's, with a request nobody has used."""
    work = Work("payment", 1, 1, f"T{next(NUMBERS):09d}", amount_ore, time.time_ns() // 1_000_000)
    return msgspec.structs.replace(work, **more)


def about(work: Work, what: str, **more: Any) -> Work:
    """A status query, an abort or a reversal about an earlier work."""
    return msgspec.structs.replace(
        work, **{"what": what, "request": f"T{next(NUMBERS):09d}", "about": work.request} | more
    )


def had(path: NexoTerminal, work: Work) -> Answer:
    """One exchange from sending to hearing."""
    path.send(work)
    [answer] = until(path.heard)
    assert (answer.what, answer.request) == (work.what, work.request)
    found: Answer = answer
    return found


FAST = Tempo(every_ms=50, slow_every_ms=100, confirm_ms=20, doubt_ms=100, try_ms=1_000)
