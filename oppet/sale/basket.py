"""The basket: a fold of journal entries, so that it survives logout, crash and power cut (R27).

Every change is an entry first and a basket second; `apply` is the only way a basket changes. What things cost is
`price.py`, what becomes of it `settle.py`. Keeps S1 (a basket is a fold of entries) and S2 (its state only moves as
the table says, R07).
"""

from __future__ import annotations

import msgspec

from oppet.journal.kinds import (
    AgeChecked,
    Body,
    CodeUnknown,
    DiscountGiven,
    DiscountWithdrawn,
    LineAdded,
    LineChanged,
    LineOffer,
    LineVoided,
    MemberShown,
    Original,
    Receipt,
    RegistrationGivenUp,
    RegistrationRefused,
    RegistrationSent,
    SaleAbandoned,
    SaleMoved,
    SaleOpened,
    SaleParked,
    SaleResumed,
    TenderHeard,
    TenderReversed,
    TenderSent,
    TenderTaken,
)
from oppet.payments.tender import Attempt, advance
from oppet.sale.errors import BasketStateError

__all__ = ["MOST_LINES", "NEXT", "Basket", "Line", "allow", "apply", "opened"]

MOST_LINES = 400

OPEN, PARKED, PAYING, REGISTERING, DONE, ABANDONED, MOVED, UNKNOWN = (
    "open",
    "parked",
    "being paid",
    "being registered",
    "done",
    "abandoned",
    "moved to another till",
    "at an unknown code",
)

# S2. What may happen to a basket, and what it is afterwards. Anything else is refused before it is written.
NEXT: dict[tuple[str, type[Body]], str] = {
    (OPEN, LineAdded): OPEN,
    (OPEN, LineChanged): OPEN,
    (OPEN, LineVoided): OPEN,
    (OPEN, DiscountGiven): OPEN,
    (OPEN, DiscountWithdrawn): OPEN,
    (OPEN, MemberShown): OPEN,
    (OPEN, AgeChecked): OPEN,
    (OPEN, SaleParked): PARKED,
    (OPEN, SaleAbandoned): ABANDONED,
    (OPEN, TenderTaken): PAYING,
    (OPEN, TenderSent): PAYING,
    (OPEN, TenderHeard): OPEN,  # money that nobody counts is on its way back, and another tender was given back before
    (PARKED, SaleResumed): OPEN,  # or being paid, see `apply`
    (PARKED, TenderSent): PARKED,  # an unknown tender is asked about wherever its basket is
    (PARKED, TenderHeard): PARKED,
    (PARKED, TenderTaken): PARKED,
    (PARKED, SaleAbandoned): ABANDONED,
    (PARKED, SaleMoved): MOVED,  # it goes on at another till (R27)
    (PAYING, TenderTaken): PAYING,
    (PAYING, TenderSent): PAYING,
    (PAYING, TenderHeard): PAYING,  # the last one declined: open again, see `apply`
    (PAYING, SaleParked): PARKED,  # while nobody knows what became of a tender (law 3)
    (PAYING, TenderReversed): PAYING,  # the last one reversed: open again, see `apply`
    (PAYING, SaleAbandoned): ABANDONED,  # no unit took it and a tender could not be taken back: a case holds it
    (PAYING, RegistrationSent): REGISTERING,
    (REGISTERING, TenderSent): REGISTERING,
    (REGISTERING, TenderHeard): REGISTERING,
    (REGISTERING, RegistrationSent): REGISTERING,
    (REGISTERING, RegistrationRefused): REGISTERING,
    (REGISTERING, RegistrationGivenUp): PAYING,
    (REGISTERING, Receipt): DONE,
    (REGISTERING, CodeUnknown): UNKNOWN,
}


class Line(msgspec.Struct):
    added: LineAdded
    time: str
    quantity_milli: int
    amount_ore: int
    voided: bool = False


class Basket(msgspec.Struct):
    sale: int
    mode: str  # sale | return | training
    cashier: int
    opened: str
    original: Original | None = None
    lone: bool = False  # a return that the store node knows nothing of
    state: str = OPEN
    lines: dict[int, Line] = {}
    discounts: dict[int, DiscountGiven] = {}
    member: str = ""
    ages: dict[int, bool] = {}
    tenders: dict[int, TenderTaken] = {}
    asked: dict[int, Attempt] = {}  # tenders that somebody outside decides, whatever became of them
    offers: tuple[LineOffer, ...] | None = None  # once money is taken, what was promised stands
    last_line: int = 0
    last_discount: int = 0
    last_tender: int = 0

    def standing(self) -> list[Line]:
        """The lines that are not voided, in order."""
        return [line for line in self.lines.values() if not line.voided]

    def paid_ore(self) -> int:
        """What the tenders taken so far pay."""
        return sum(tender.amount_ore for tender in self.tenders.values())

    def pending(self) -> list[Attempt]:
        """Tenders of which nobody knows yet whether they are paid."""
        return [attempt for attempt in self.asked.values() if attempt.pending]

    def too_young(self) -> bool:
        """Whether the last check of the limit that is needed now said no: the goods are taken off, or the card is
        looked at again.
        """
        return self.ages.get(self.age_needed()) is False

    def age_needed(self) -> int:
        """The highest age limit in the basket that nobody has checked yet, or 0."""
        passed = max((limit for limit, good in self.ages.items() if good), default=0)
        limit = max((line.added.age for line in self.standing()), default=0)
        return limit if limit > passed else 0


def opened(body: SaleOpened, time: str) -> Basket:
    """The empty basket that an entry `sale_opened` begins."""
    return Basket(body.sale, body.mode, body.cashier, time, body.original, body.lone)


def allow(basket: Basket, body: type[Body], action: str) -> None:
    """Refuse what the table does not allow now. Raises BasketStateError."""
    if (basket.state, body) not in NEXT:
        raise BasketStateError(state=basket.state, action=action)


def apply(basket: Basket, time: str, body: Body) -> None:
    """Change the basket by one journalled entry."""
    assert (basket.state, type(body)) in NEXT, f"{type(body).__name__} on a basket that is {basket.state}"
    basket.state = NEXT[basket.state, type(body)]
    match body:
        case LineAdded():
            basket.lines[body.line] = Line(body, time, body.quantity_milli, body.amount_ore)
            basket.last_line = body.line
        case LineChanged():
            line = basket.lines[body.line]
            line.quantity_milli, line.amount_ore = body.quantity_milli, body.amount_ore
        case LineVoided():
            basket.lines[body.line].voided = True
            for number in [n for n, d in basket.discounts.items() if d.line == body.line]:
                del basket.discounts[number]
        case DiscountGiven():
            basket.discounts[body.discount] = body
            basket.last_discount = body.discount
        case DiscountWithdrawn():
            basket.discounts.pop(body.discount)
        case MemberShown():
            basket.member = body.token
        case AgeChecked():
            basket.ages[body.limit] = body.passed
        case SaleResumed():
            basket.state = PAYING if basket.tenders or basket.pending() else OPEN
        case TenderTaken() | TenderSent() | TenderHeard() | TenderReversed():
            _tender(basket, time, body)
        case _:
            pass


def _tender(basket: Basket, time: str, body: TenderTaken | TenderSent | TenderHeard | TenderReversed) -> None:
    if isinstance(body, TenderReversed):
        basket.tenders.pop(body.tender)
        return _unpaid(basket)
    after = advance(basket.asked.get(body.tender), time, body)
    if isinstance(body, TenderHeard):
        return _unpaid(basket)
    if isinstance(body, TenderTaken):
        basket.tenders[body.tender] = body
    else:
        assert after is not None, "what is sent begins an attempt"
        basket.asked[body.tender] = after
    basket.offers = basket.offers if body.offers is None else body.offers
    basket.last_tender = max(basket.last_tender, body.tender)
    return None


def _unpaid(basket: Basket) -> None:
    """Nothing taken and nothing asked for any more: the basket is open again, and what was promised is not."""
    if not basket.tenders and not basket.pending():
        basket.offers = None
        if basket.state == PAYING:
            basket.state = OPEN
