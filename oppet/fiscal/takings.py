"""What a till's tenders outside add up to today, way by way: the figure that a terminal's own total and Swish's report are held against.

A fold of `TenderSent`, `TenderHeard`, `TenderTaken` and `PathSeen` by the table of `payments/tender.py`: it counts what services said
moved, whether a sale counts it or not, so that it agrees with the terminal's printed total, and lists what nobody knows yet (PT2), what
was taken at risk (PT6) and how each way works (PT8). Bounded: one day, and what is open.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from oppet.base.clock import local_day, parse_utc
from oppet.base.errors import clip
from oppet.journal.kinds import (
    Body,
    PathSeen,
    Receipt,
    SaleAbandoned,
    TenderHeard,
    TenderSent,
    TenderTaken,
)
from oppet.payments.paths import ALONE, DOWN
from oppet.payments.tender import (
    APPROVED,
    AT_RISK,
    CLOSED,
    PARTIAL,
    PAYMENT,
    REFUND,
    REVERSED,
    Attempt,
    advance,
)

__all__ = ["PathLine", "Risky", "Takings", "Way"]

PAID = frozenset({APPROVED, PARTIAL, AT_RISK})
MOST_ATTEMPTS = 300
MOST_RISKY = 300
MOST_WAYS = 40


class PathLine(msgspec.Struct):
    """How a way of paying last said it works."""

    path: str
    means: str
    state: str
    why: str
    since: str  # UTC


class Risky(msgspec.Struct, frozen=True):
    """One payment that nobody but a terminal or a telephone has confirmed."""

    sale: int
    tender: int
    means: str
    path: str
    ore: int
    time: str
    reference: str


class Way(msgspec.Struct):
    """One way of paying on one day, as its service counts it."""

    path: str
    means: str
    paid: int = 0
    paid_ore: int = 0
    back: int = 0  # refunds
    back_ore: int = 0
    reversed: int = 0
    reversed_ore: int = 0
    risk: int = 0  # of what was paid
    risk_ore: int = 0

    @property
    def net_ore(self) -> int:
        return self.paid_ore - self.back_ore - self.reversed_ore


class Takings(msgspec.Struct):
    day: str = ""  # local: of the latest thing counted
    ways: dict[str, Way] = {}  # of that day, by path
    risky: list[Risky] = []  # of that day
    attempts: dict[str, Attempt] = {}  # "sale/tender", while its sale or anything about it is open
    paths: dict[str, PathLine] = {}

    def read(self, time: str, body: Body) -> None:
        """Go on with the next entry. Raises ValueError, OverflowError for a time that is none."""
        if isinstance(body, PathSeen):
            name = clip(body.path, 40)
            state = ALONE if (body.state, body.alone) == (DOWN, True) else clip(body.state, 20)
            if name in self.paths or len(self.paths) < MOST_WAYS:
                self.paths[name] = PathLine(name, clip(body.means, 20), state, clip(body.why), time)
        elif isinstance(body, TenderSent | TenderHeard | TenderTaken):
            self._tender(time, body)
        elif isinstance(body, Receipt | SaleAbandoned):
            for key in [key for key, one in self.attempts.items() if one.sale == body.sale and one.over]:
                del self.attempts[key]

    def open(self) -> Iterable[Attempt]:
        """What nobody knows yet, and what is on its way back."""
        return [one for one in self.attempts.values() if one.state not in CLOSED and not (one.held and one.taken)]

    def on(self, day: str) -> list[Way]:
        return list(self.ways.values()) if self.day == day else []

    def risk_ore(self, day: str) -> int:
        return sum(way.risk_ore for way in self.on(day))

    def risky_on(self, day: str) -> list[Risky]:
        return self.risky if self.day == day else []

    def _tender(self, time: str, body: TenderSent | TenderHeard | TenderTaken) -> None:
        key = f"{body.sale}/{body.tender}"
        before = self.attempts.get(key)
        if before is None and not (isinstance(body, TenderSent) and body.what in (PAYMENT, REFUND)):
            return
        was = before.state if before is not None else ""
        pending = before is not None and before.pending
        after = advance(before, time, body)
        if after is None:
            return
        self.attempts[key] = after
        self._shorten()
        if isinstance(body, TenderHeard) and pending and after.state in PAID:
            self._paid(time, after)
        elif after.state == REVERSED and was != REVERSED:
            way = self._way(time, after)
            way.reversed, way.reversed_ore = way.reversed + 1, way.reversed_ore + after.approved_ore

    def _paid(self, time: str, one: Attempt) -> None:
        way = self._way(time, one)
        if one.back:
            way.back, way.back_ore = way.back + 1, way.back_ore + one.approved_ore
            return
        way.paid, way.paid_ore = way.paid + 1, way.paid_ore + one.approved_ore
        if one.risky:
            way.risk, way.risk_ore = way.risk + 1, way.risk_ore + one.approved_ore
            reference = clip(one.evidence.reference) if one.evidence is not None else ""
            risky = Risky(one.sale, one.tender, way.means, way.path, one.approved_ore, time, reference)
            self.risky = [*self.risky[1 - MOST_RISKY :], risky]

    def _way(self, time: str, one: Attempt) -> Way:
        day = local_day(parse_utc(time))
        if day != self.day:
            self.day, self.ways, self.risky = day, {}, []
        name = clip(one.path, 40)
        if name not in self.ways and len(self.ways) >= MOST_WAYS:
            name = "…"
        return self.ways.setdefault(name, Way(name, clip(one.means, 20)))

    def _shorten(self) -> None:
        """Far more than a till that is well ever has open: what is settled goes first."""
        while len(self.attempts) > MOST_ATTEMPTS:
            settled = next((key for key, one in self.attempts.items() if one.over), next(iter(self.attempts)))
            del self.attempts[settled]
