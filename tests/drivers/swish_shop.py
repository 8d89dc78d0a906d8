"""A till, its node's Swish desk and the simulated Swish, in a test: real rules, real driver, real client, a Swish that fails when told.

Only the lane between till and node is short: a question is written down and read again, and signed by nobody.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from oppet.drivers.swish_client import SwishClient, Way
from oppet.drivers.swish_desk import SwishDesk, SwishSettings
from oppet.drivers.swish_path import Pace, SwishPath
from oppet.payments.board import PathHealth, Tempo
from oppet.register.errors import NeighboursAwayError
from oppet.register.till import Till
from oppet.sync.lanes import AskSwish, Told
from tests.register.world import MILK, World, a_till
from tests.simulators.swishes import SwishProcess

__all__ = ["PRICE", "SwishShop"]

PRICE = 1_690
QUICK = Pace(call_ms=3_000, part=80, board_ms=100)
TEMPO = Tempo(every_ms=60_000, slow_every_ms=50, confirm_ms=50, slow_ms=60_000, slow_exchange_ms=60_000)


@dataclass
class SwishShop:
    """`close` ends its threads and lets its files go."""

    folder: Path
    swish: SwishProcess
    timeout_s: float = 1.0
    alarms: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    node_away: bool = False

    def __post_init__(self) -> None:
        papers = [self.swish.paper("client-1"), self.swish.paper("client-2")]
        self.client = SwishClient(
            ways=[Way(self.swish.base)],
            certificates=papers,
            authorities=self.swish.paper("ca"),
            timeout_s=self.timeout_s,
        )
        settings = SwishSettings(self.swish.payee, tuple(map(str, papers)), message="Nära Storgatan")
        self.desk = SwishDesk(client=self.client, settings=settings, name="S01-node", alarm=self._alarm, tempo=TEMPO)
        self.world = World(self.folder)
        self.path = SwishPath(
            name="swish", place="S01-K3", key="ab" * 32, ask=self._ask, clock=self.world.clock, pace=QUICK
        )
        self.until(lambda: self.path.now().state == "working")
        self.till: Till
        self.till, self.world = a_till(self.folder, payments=[self.path], clock=self.world.clock)
        self.till.selling.pick(MILK)

    def close(self) -> None:
        self.path.close()
        self.desk.close()
        if self.world.journal is not None:
            self.world.journal.close()

    def _alarm(self, about: str, **facts: object) -> None:
        self.alarms.append((about, facts))

    def _ask(self, ask: AskSwish) -> Told:
        if self.node_away:
            raise NeighboursAwayError
        read = msgspec.json.decode(msgspec.json.encode(ask), type=AskSwish)
        told = Told("", swish=self.desk.ask("S01-K3", 1, read))
        return msgspec.json.decode(msgspec.json.encode(told), type=Told)

    # --- time

    def until(self, true: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait in real time, ticking the till if there is one."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, "it did not come about"
            if hasattr(self, "till"):
                self.till.tenders.tick()
            time.sleep(0.004)

    def well_again(self) -> None:
        """Nothing that failed before is held against anybody."""
        self.desk._rung.clear()
        self.desk._health = PathHealth("swish S01-node", TEMPO)
        self.until(lambda: self.desk.now().state == "working")
        self.until(lambda: self.path.now().state == "working")

    def idle(self) -> bool:
        """Whether the driver has nothing under way and nothing to tell."""
        return self.path._count == 0 and not self.path._answers

    def over(self, seconds: float = 20.0) -> None:
        """Until every tender is over; while nothing is under way the till's clock runs ahead."""

        def all_over() -> bool:
            if self.idle() and self.till.tenders.waiting():
                self.world.clock.pass_ms(15_000)
            return self.idle() and not self.till.tenders.waiting()

        self.until(all_over, seconds)

    # --- what is known

    def qr(self) -> str:
        """What the customer display shows."""
        waiting = self.till.tenders.waiting()
        return waiting[0].progress.qr if waiting and waiting[0].progress is not None else ""

    @property
    def net_ore(self) -> int:
        """What the customers' banks say."""
        found: int = self.swish.state()["net_ore"]
        return found
