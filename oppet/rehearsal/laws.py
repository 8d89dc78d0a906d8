"""Law 3 of the design, held against a till that takes tenders: never charged twice, never guessed, nothing kept that no sale counts.

The journal is read here by rules of its own, apart from `payments/tender.py` and the register's state, and held against the services'
own books after every durable write, every message and at the end.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence

import msgspec

from oppet.journal.kinds import (
    Body,
    CaseOpened,
    Receipt,
    SaleAbandoned,
    SaleMoved,
    TenderHeard,
    TenderReversed,
    TenderSent,
    TenderTaken,
)
from oppet.payments.paths import Work
from oppet.register.till import Till
from oppet.rehearsal.ledger import Ledger
from oppet.rehearsal.lines import CardLine, Line

__all__ = ["Broken", "Laws"]

PAID = frozenset({"approved", "partial", "accepted_at_risk"})
UNPAID = frozenset({"declined", "not_found", "not_now"})
MINUTES_10, HOUR = 600_000, 3_600_000
MOST_IN_10_MINUTES, MOST_IN_AN_HOUR = 24, 36  # exchanges about one tender, beside those that restarts cause
Key = tuple[int, int]


class Broken(msgspec.Struct, frozen=True):
    law: str
    what: str


class _Asked(msgspec.Struct):
    """One tender as the journal tells it."""

    request: str
    path: str
    amount_ore: int
    back: bool
    offline: bool
    unknown: bool = False
    final: str = ""
    unpaid: bool = False  # believed so, of a service that has a book


class Laws:
    def __init__(self, budget_ore: int) -> None:
        self.broken: list[Broken] = []
        self.checked: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.ledger = Ledger(self.wrong)
        self.lines: dict[str, Line] = {}
        self.asked: dict[Key, _Asked] = {}
        self.taken: dict[Key, TenderTaken] = {}
        self.receipts: dict[int, Receipt] = {}
        self.counted: dict[int, dict[int, int]] = {}  # sale → tender → öre, of receipts
        self.cases: set[int] = set()
        self.now = 0
        self.restarts: deque[int] = deque(maxlen=400)
        self._budget_ore = budget_ore
        self._risk_ore = 0
        self._about: dict[str, str] = {}  # status query → what it asks about
        self._of: dict[str, Key] = {}  # payment request → its tender
        self._reversals: set[str] = set()
        self._last: dict[str, Key] = {}  # path → the last tender asked of it
        self._first: dict[str, TenderSent] = {}  # what moves money, as it was first sent
        self._times: dict[Key, deque[int]] = {}

    def wrong(self, law: str, what: str) -> None:
        self.broken.append(Broken(law, what))

    # --- what leaves the till

    def sent(self, work: Work) -> None:
        """A message is about to leave."""
        key = (work.sale, work.tender)
        asked = self.asked.get(key)
        self.checked["durable before it leaves"] += 1
        if asked is None or (work.what in ("payment", "refund") and asked.request != work.request):
            self.wrong("3 durable", f"{work.what} {work.request} left before it was written down")
            return
        if work.what in ("payment", "refund") and work.sale in self.receipts:
            self.wrong("3 repeat", f"request {work.request} was sent again for a sale that is over")
        if work.what in ("payment", "refund") and not work.repeat:
            return
        if work.what != "abort":
            self._paced(key)

    def _paced(self, key: Key) -> None:
        times = self._times.setdefault(key, deque(maxlen=400))
        times.append(self.now)
        for span, most in ((MINUTES_10, MOST_IN_10_MINUTES), (HOUR, MOST_IN_AN_HOUR)):
            began = self.now - span
            restarts = sum(1 for moment in self.restarts if moment >= began)
            if sum(1 for moment in times if moment >= began) > most + 3 * restarts:
                self.wrong("3 pace", f"sale {key[0]} tender {key[1]}: {len(times)} exchanges, not ever more slowly")
        self.checked["ever more slowly"] += 1

    # --- what is durable

    def written(self, bodies: Iterable[Body]) -> None:
        for body in bodies:
            match body:
                case TenderSent():
                    self._sent(body)
                case TenderHeard():
                    self._heard(body)
                case TenderTaken():
                    self._taken(body)
                case TenderReversed():
                    self._reversed(body)
                case Receipt():
                    self._receipt(body)
                case CaseOpened():
                    self.cases.add(body.sale)
                case SaleAbandoned() | SaleMoved():
                    for key in [key for key in self.taken if key[0] == body.sale]:
                        del self.taken[key]
                case _:
                    pass

    def _sent(self, body: TenderSent) -> None:
        key = (body.sale, body.tender)
        if body.what in ("payment", "refund", "reversal"):
            first = self._first.setdefault(body.request, body)
            same = msgspec.structs.replace(body, repeat=first.repeat, by=first.by, offers=first.offers)
            if same != first or body.repeat != (first is not body):
                self.wrong("3 repeat", f"{body.what} {body.request} was sent again, and is not the same")
        if body.what == "status":
            self._about[body.request] = body.about
        elif body.what == "reversal":
            self._reversals.add(body.request)
        elif body.what in ("payment", "refund") and not body.repeat:
            if key in self.asked:
                self.wrong("3", f"sale {key[0]} tender {key[1]} was asked for twice, the second time as {body.request}")
            self._exclusive(body)
            back = body.what == "refund"
            self.asked[key] = _Asked(body.request, body.path, body.amount_ore, back, body.offline)
            self._of[body.request] = key
            self._last[body.path] = key

    def _exclusive(self, body: TenderSent) -> None:
        before = self._last.get(body.path)
        if before is not None and self.lines[body.path].exclusive:
            self.checked["one payment at a terminal"] += 1
            if not self.asked[before].final:
                self.wrong(
                    "3 R25", f"{body.request} was asked of {body.path} while {self.asked[before].request} was open"
                )

    def _heard(self, body: TenderHeard) -> None:
        key = (body.sale, body.tender)
        asked = self.asked[key]
        about = self._about.get(body.request, "") if body.what == "status" else body.request
        if body.what == "abort":
            return None
        if about in self._reversals:
            return self._heard_of_reversal(body, about)
        if body.outcome == "silent":
            asked.unknown = True
            return None
        line = self.lines[asked.path]
        if body.outcome not in PAID | UNPAID:
            return None
        if asked.unknown and body.what in ("payment", "refund") and not (line.idempotent or line.by_hand):
            self.wrong("3 R12", f"{asked.request} left unknown without a status query")
        if asked.final:
            self.wrong("3 R12", f"{asked.request} was decided twice")
        asked.final = body.outcome
        self.outcomes[body.outcome] += 1
        if not line.by_hand:
            self._true(asked, body)
        return None

    def _true(self, asked: _Asked, body: TenderHeard) -> None:
        """What the till believed, against what the service did."""
        self.checked["believed is true"] += 1
        charge = self.ledger.charges.get(asked.request)
        if body.outcome in PAID:
            if charge is None or charge.amount_ore != body.amount_ore:
                self.wrong("3", f"{asked.request} was believed paid with {body.amount_ore} öre, and was not")
            return
        if body.what == "status" and body.outcome == "not_now":
            return
        if charge is not None:
            self.wrong("3 guess", f"{asked.request} was believed unpaid, and was paid")
            return
        asked.unpaid = True  # and must stay so: see `settled`
        line = self.lines[asked.path]
        # The very same Swish request goes out again (PT3), so its first copy may still be on its way when the second is
        # declined. Swish decides each request once: what it has decided no late copy can pay (seed 2250). Where it has
        # not decided, or knows nothing of it, or at a terminal, any copy on its way still may.
        if line.working(asked.request) or (self.ledger.flying[asked.request] and not line.decided(asked.request)):
            self.wrong("3 guess", f"{asked.request} was believed unpaid, and may still be paid")

    def _heard_of_reversal(self, body: TenderHeard, about: str) -> None:
        self.checked["believed is true"] += 1
        if self.lines[self.asked[body.sale, body.tender].path].by_hand:
            return
        if body.outcome == "reversed" and about not in self.ledger.credits:
            self.wrong("3", f"reversal {about} was believed, and was not made")
        if body.outcome in ("not_found", "declined") and about in self.ledger.credits:
            self.wrong("3 guess", f"reversal {about} was believed not made, and was")
        if body.outcome == "not_found" and self.ledger.flying[about]:
            self.wrong("3 guess", f"reversal {about} was believed lost, and was on its way")

    def _taken(self, body: TenderTaken) -> None:
        key = (body.sale, body.tender)
        if key in self.taken or body.sale in self.receipts:
            self.wrong("3", f"sale {key[0]} tender {key[1]} was taken twice")
        self.taken[key] = body
        asked = self.asked.get(key)
        if asked is None:
            return
        self.checked["taken by evidence"] += 1
        if asked.final not in PAID:
            self.wrong("3", f"sale {key[0]} tender {key[1]} was taken while it was {asked.final or 'unknown'}")
        if body.amount_ore > asked.amount_ore:
            self.wrong("3", f"sale {key[0]} tender {key[1]} took {body.amount_ore} öre of {asked.amount_ore} asked for")
        if (asked.final == "accepted_at_risk") != body.at_risk:
            self.wrong("3 risk", f"sale {key[0]} tender {key[1]} was taken at risk, and is not marked so")
        if body.at_risk:
            self._risk_ore += body.amount_ore
            if self._risk_ore > self._budget_ore:
                self.wrong("3 risk", f"{self._risk_ore} öre were taken at risk of {self._budget_ore} allowed")

    def _reversed(self, body: TenderReversed) -> None:
        key = (body.sale, body.tender)
        self.taken.pop(key, None)
        if key in self.asked and self.ledger.net(*key):
            self.wrong("3", f"sale {key[0]} tender {key[1]} counts as given back, and was not")

    def _receipt(self, body: Receipt) -> None:
        mine = {key[1]: taken for key, taken in self.taken.items() if key[0] == body.sale}
        for key in [key for key in self.taken if key[0] == body.sale]:
            del self.taken[key]
        self.receipts[body.sale] = body
        self.counted[body.sale] = {tender: taken.amount_ore for tender, taken in mine.items()}
        self.checked["a receipt counts what was paid"] += 1
        if _sums(mine.values()) != _sums(body.tenders):
            self.wrong("3", f"receipt {body.number} counts otherwise than was taken")
        for tender, taken in mine.items():
            asked = self.asked.get((body.sale, tender))
            if asked is None or self.lines[asked.path].by_hand:
                continue
            if self.ledger.net(body.sale, tender) != taken.amount_ore:
                self.wrong(
                    "3", f"receipt {body.number} counts {taken.amount_ore} öre of a tender that was not charged so"
                )

    # --- at the end

    def settled(self, till: Till) -> None:
        """Everything has healed and time has passed."""
        state = till.desk.state
        open_now = {one.key: one for one in state.attempts()}
        for key, one in open_now.items():
            line = self.lines[one.path]
            self.checked["nothing stays open"] += 1
            if line.by_hand and one.sale == state.current and one.state == "asked":
                continue  # it waits for the cashier's word
            about = one.reversal if one.state == "reversal_unknown" else one.request
            if not (isinstance(line, CardLine) and self._forgotten(line, about, state.witness.get(one.path, ""))):
                self.wrong("3 open", f"sale {key[0]} tender {key[1]} stays {one.state} {one.why}")
        for asked in self.asked.values():
            if asked.unpaid and asked.request in self.ledger.charges:
                self.wrong("3 guess", f"{asked.request} was believed unpaid, and was paid later")
        for key in self.ledger.of:
            self._explained(key, till, key in open_now)

    @staticmethod
    def _forgotten(line: CardLine, request: str, witness: str) -> bool:
        """A terminal that cannot say: what the reference leaves unknown for good."""
        return request not in line.terminal.memory and witness not in line.terminal.memory

    def _explained(self, key: Key, till: Till, is_open: bool) -> None:
        self.checked["charged is counted, given back or a case"] += 1
        net = self.ledger.net(*key)
        basket = till.desk.state.baskets.get(key[0])
        counted = self.counted.get(key[0], {}).get(key[1], 0)
        if basket is not None and key[1] in basket.tenders:
            counted = basket.tenders[key[1]].amount_ore
        if net != counted and not is_open and key[0] not in self.cases:
            self.wrong("3", f"sale {key[0]} tender {key[1]}: charged {net} öre, counted {counted}, and nobody knows")


def _sums(tenders: Iterable[TenderTaken] | Sequence[object]) -> Counter[tuple[str, bool]]:
    found: Counter[tuple[str, bool]] = Counter()
    for tender in tenders:
        found[getattr(tender, "means", ""), getattr(tender, "at_risk", False)] += getattr(tender, "amount_ore", 0)
    return found
