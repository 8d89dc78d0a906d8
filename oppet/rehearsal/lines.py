"""What a driver is in the rehearsal: the wire to a service, its timeouts, and what may be read out of an answer.

A line loses, delays, repeats and reorders, and answers of earlier exchanges come back; what a driver may call `not_found` is the
reference's (card-terminal §7: 120 s after it was asked and only from a terminal that has forgotten nothing; Swish: 190 s). It promises
the register nothing that `payments/paths.py` does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from oppet.journal.kinds import Evidence
from oppet.payments.paths import Answer, PathNow, Progress, Work
from oppet.rehearsal.ledger import Days, Ledger
from oppet.rehearsal.services import PAID, Said, Swish, Terminal

__all__ = ["CardLine", "HandLine", "Line", "SwishLine", "Weather"]

SHORT_MS = 20_000  # how long a driver waits for what needs no customer
CARD_MS, SWISH_MS = 150_000, 190_000
CONCLUSIVE_MS, CONCLUSIVE_SWISH_MS = 120_000, 190_000
MOST_OLD = 8


@dataclass
class Weather:
    """How bad a line is now: the share of messages that something happens to."""

    bad: float = 0.0
    cut: bool = False
    mute: float = 0.0  # the share of exchanges of which the driver never says anything


class Line:
    """A path that asks a service over a line."""

    idempotent = False
    exclusive = False
    by_hand = False
    wait_ms = CARD_MS

    def __init__(
        self, name: str, means: str, days: Days, ledger: Ledger, chance: Random, sent: Callable[[Work], None]
    ) -> None:
        self.name, self.means = name, means
        self.weather = Weather()
        self.faults = 0
        self._days, self._ledger, self._chance, self._sent = days, ledger, chance, sent
        self._run = 0
        self._inbox: list[Answer] = []
        self._old: list[Answer] = []

    def name_request(self, till: str, epoch: int, number: int) -> str:  # noqa: ARG002 - one till, one epoch
        return f"{self.name[0]}{epoch}{number:06d}"

    def restart(self) -> None:
        """The till was killed: whatever was on its way to this process is gone."""
        self._run += 1
        self._inbox.clear()
        self._old.clear()

    def send(self, work: Work) -> None:
        self._sent(work)
        exchange = _Exchange(self, work, self._run)
        limit = self.wait_ms if work.what in ("payment", "refund") else SHORT_MS
        if self._struck(self.weather.mute):  # the driver's thread has died: the service acts, and nobody ever says so
            exchange.run = -1
            return self._depart(work, exchange, 50)
        self._days.later(limit, exchange.give_up)
        if self.weather.cut or self._struck(self.weather.bad * 0.3):
            self._days.later(30, exchange.give_up)  # nobody answers the door
            return None
        if self._struck(self.weather.bad * 0.5):
            return None  # lost on the way
        late = self._chance.randrange(5_000, 110_000) if self._struck(self.weather.bad * 0.3) else 40
        return self._depart(work, exchange, late)

    def _depart(self, work: Work, exchange: _Exchange, after_ms: int) -> None:
        self._ledger.flying[work.request] += 1

        def arrive() -> None:
            self._ledger.flying[work.request] -= 1
            self._receive(work, exchange.reply)

        self._days.later(after_ms, arrive)

    def _receive(self, work: Work, reply: Callable[[Said], None]) -> None:
        raise NotImplementedError

    def working(self, request: str) -> bool:
        """Whether the service may still act on this."""
        raise NotImplementedError

    def decided(self, request: str) -> bool:  # noqa: ARG002 - a terminal's request is sent once, and may still arrive
        """Whether a copy that is still on its way can move nothing any more."""
        return False

    def returns(self, exchange: _Exchange, said: Said) -> None:
        """An answer travels back."""
        if self.weather.cut or self._struck(self.weather.bad * 0.6):
            self.faults += 1
            return
        times = 2 if self._struck(self.weather.bad * 0.3) else 1
        for _ in range(times):
            late = self._chance.randrange(1_000, 200_000) if self._struck(self.weather.bad * 0.3) else 30
            self._days.later(late, lambda: exchange.heard(said))

    def answer(self, run: int, work: Work, said: Said) -> None:
        if run != self._run:
            return
        outcome, why = self._read(work, said)
        paid = outcome in PAID and work.what != "abort"
        evidence = Evidence(f"T{work.about or work.request}", "10:00", "A1", offline=outcome == "accepted_at_risk")
        amount = said.amount_ore
        found = Answer(
            work.sale, work.tender, work.what, work.request, outcome, amount, why, evidence if paid else None
        )
        self._inbox.append(found)
        if len(self._old) < MOST_OLD:
            self._old.append(found)
        if self._struck(self.weather.bad * 0.1):
            self._inbox.append(self._chance.choice(self._old))

    def _read(self, work: Work, said: Said) -> tuple[str, str]:
        """What may be believed of an answer, and the service's word for it."""
        if said.outcome != "not_found":
            return said.outcome, ""
        return ("not_found" if self._conclusive(work, said) else "in_progress"), "not_found"

    def _conclusive(self, work: Work, said: Said) -> bool:
        raise NotImplementedError

    def heard(self) -> Sequence[Answer]:
        found, self._inbox = self._inbox, []
        if len(found) > 1 and self._struck(self.weather.bad):
            self._chance.shuffle(found)
        return found

    def waiting(self) -> bool:
        return bool(self._inbox)

    def progress(self, request: str) -> Progress | None:  # noqa: ARG002 - the port's word
        return None

    def now(self) -> PathNow:
        return PathNow("down" if self.weather.cut else "working")

    def _struck(self, share: float) -> bool:
        struck = share > 0 and self._chance.random() < share
        self.faults += struck
        return struck


class _Exchange:
    """One request of the driver's and whatever comes back for it."""

    __slots__ = ("done", "line", "run", "work")

    def __init__(self, line: Line, work: Work, run: int) -> None:
        self.line, self.work, self.run, self.done = line, work, run, False

    def reply(self, said: Said) -> None:
        self.line.returns(self, said)

    def heard(self, said: Said) -> None:
        self.done = (
            True  # one that comes after the driver gave up is passed on all the same: the register must not mind
        )
        self.line.answer(self.run, self.work, said)

    def give_up(self) -> None:
        if not self.done:
            self.done = True
            self.line.answer(self.run, self.work, Said("silent"))


class CardLine(Line):
    exclusive = True

    def __init__(
        self, terminal: Terminal, days: Days, ledger: Ledger, chance: Random, sent: Callable[[Work], None]
    ) -> None:
        super().__init__(terminal.name, "card", days, ledger, chance, sent)
        self.terminal = terminal
        self._seen: dict[int, int] = {}  # when a run of the terminal was first seen by this driver

    def restart(self) -> None:
        super().restart()
        self._seen.clear()

    def _receive(self, work: Work, reply: Callable[[Said], None]) -> None:
        self.terminal.receive(work, reply)

    def working(self, request: str) -> bool:
        return self.terminal.working(request)

    def answer(self, run: int, work: Work, said: Said) -> None:
        if said.boot and run == self._run:
            self._seen.setdefault(said.boot, self._days.now)
        super().answer(run, work, said)

    def _conclusive(self, work: Work, said: Said) -> bool:
        if self._days.now - work.asked < CONCLUSIVE_MS:
            return False
        return said.witness or self._seen[said.boot] <= work.asked


class SwishLine(Line):
    idempotent = True
    wait_ms = SWISH_MS

    def __init__(
        self, service: Swish, days: Days, ledger: Ledger, chance: Random, sent: Callable[[Work], None]
    ) -> None:
        super().__init__("swish", "swish", days, ledger, chance, sent)
        self.service = service

    def _receive(self, work: Work, reply: Callable[[Said], None]) -> None:
        self.service.receive(work, reply)

    def working(self, request: str) -> bool:
        return self.service.working(request)

    def decided(self, request: str) -> bool:
        return self.service.decided(request)

    def _conclusive(self, work: Work, said: Said) -> bool:  # noqa: ARG002 - it forgets nothing
        return self._days.now - work.asked >= CONCLUSIVE_SWISH_MS


class HandLine(Line):
    """A Swish that nothing confirms: the customer's telephone, and the cashier's eyes."""

    by_hand = True

    def send(self, work: Work) -> None:
        self._sent(work)

    def working(self, request: str) -> bool:  # noqa: ARG002 - nobody ever knows
        return False
