"""What a payment service has done with people's money, and the time in which it does so.

The ledger is the service's own: it knows requests and amounts, never how the till stands. The laws hold the till's journal against
it (law 3 of the design).
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from oppet.payments.paths import Work

__all__ = ["Charge", "Days", "Ledger"]


class Days:
    """Virtual time: what is to happen later happens in its order, and nothing reads a real clock."""

    def __init__(self, begin: int) -> None:
        self.now = begin
        self._later: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def later(self, after_ms: int, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._later, (self.now + after_ms, self._count, act))

    def next_at(self) -> int | None:
        return self._later[0][0] if self._later else None

    def pass_to(self, moment: int) -> None:
        """Let everything happen that is due by then."""
        while self._later and self._later[0][0] <= moment:
            at, _, act = heapq.heappop(self._later)
            self.now = max(self.now, at)
            act()
        self.now = max(self.now, moment)


@dataclass(slots=True)
class Charge:
    """Money that moved for one payment request."""

    sale: int
    tender: int
    path: str
    amount_ore: int
    back: bool  # to the customer
    offline: bool  # the terminal's own decision: the acquirer may still refuse it
    credited_ore: int = 0

    @property
    def net_ore(self) -> int:
        return self.amount_ore - self.credited_ore


@dataclass
class Ledger:
    """The book of every service together, by the requests that they were sent."""

    wrong: Callable[[str, str], None]
    charges: dict[str, Charge] = field(default_factory=dict)
    credits: dict[str, str] = field(default_factory=dict)  # reversal request → payment request
    flying: Counter[str] = field(default_factory=Counter)  # requests on their way, each as often as it was sent
    of: dict[tuple[int, int], list[str]] = field(default_factory=dict)  # sale and tender → what was charged for it
    seen: Counter[str] = field(default_factory=Counter)

    def charge(self, request: str, charge: Charge) -> None:
        if request in self.charges:
            self.wrong("3", f"request {request} was charged twice")
            return
        self.charges[request] = charge
        mine = self.of.setdefault((charge.sale, charge.tender), [])
        mine.append(request)
        if sum(self.charges[one].net_ore > 0 for one in mine) > 1:
            self.wrong("3", f"sale {charge.sale} tender {charge.tender} was charged twice: {', '.join(mine)}")

    def credit(self, work: Work, path: str) -> bool:
        """Give money back, once for each reversal request; whether there was anything to give."""
        charge = self.charges.get(work.about)
        if charge is None or charge.path != path or charge.back:
            self.wrong("3", f"reversal {work.request} is of {work.about}, which {path} never charged")
            return False
        self.credits[work.request] = work.about
        charge.credited_ore += work.amount_ore
        if charge.net_ore:
            self.wrong("3", f"payment {work.about} was given back with {charge.net_ore} öre left, or twice")
        return True

    def net(self, sale: int, tender: int) -> int:
        """What the customer of this tender was charged and not given back."""
        return sum(self.charges[one].net_ore for one in self.of.get((sale, tender), ()))
