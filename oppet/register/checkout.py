"""From paid to printed, in the order of design §2, each step durable before the next is taken.

Unit probed → tender final and intent durable → control unit → code and receipt durable → print → *printed* durable. A
crash between any two is settled by `resume`, which runs at every start. Keeps R23 (never registered twice, never
another receipt's code), F7 and S8. Leaves the registration's table to `fiscal/unit.py` and paper to `printing.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from oppet.base.clock import local_minute
from oppet.base.errors import OppetError
from oppet.base.money import LARGEST_ORE, kronor
from oppet.base.words import N_
from oppet.fiscal.unit import (
    ControlUnit,
    Done,
    GiveUp,
    Interrupted,
    ReceiptType,
    Registration,
    Send,
    State,
    UnitCode,
    UnitRefused,
    UnitStatus,
    begin,
    next_action,
    step,
)
from oppet.journal.kinds import (
    Body,
    CodeUnknown,
    CopyMade,
    OutageBegan,
    OutageEnded,
    Receipt,
    RegistrationGivenUp,
    RegistrationRefused,
    RegistrationSent,
    RegistrationSilent,
    ReversalFailed,
    SaleAbandoned,
    TenderReversed,
    TenderTaken,
    UnitAnswered,
    UnitClosed,
    UnitOpened,
    UnitProbed,
    UnitRequest,
)
from oppet.payments import risk
from oppet.payments.means import CASH, KRONA, means
from oppet.register.desk import Desk, settled, shown
from oppet.register.errors import (
    NoControlUnitError,
    NoReceiptError,
    NotPossibleNowError,
    OutageOpenError,
)
from oppet.register.printing import Printing
from oppet.register.state import COPY, NORMAL, SERIES
from oppet.sale import basket as baskets
from oppet.sale.basket import Basket
from oppet.sale.errors import (
    AgeNotCheckedError,
    AlreadyCopiedError,
    BasketEmptyError,
    NotEnoughPaidError,
    TooManyDiscountsError,
    TooYoungError,
)
from oppet.sale.price import Priced
from oppet.sale.rights import Staff, approver
from oppet.sale.settle import Decided, decide_tender, left_to_pay, settle, vat_of
from oppet.sale.tokens import payment_reference

__all__ = ["Checkout", "Outcome"]

MOST_DISCOUNTS = 1_500  # on one receipt: with the most lines it is still one journal entry
MOST_NUMBER = 1_000_000_000
MOST_SLIPS = 10_000
TYPES = {"sale": ReceiptType.NORMAL, "return": ReceiptType.NORMAL, "training": ReceiptType.TRAINING}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What paying came to: "more" is left to pay, "done", "code_unknown", "no_unit" or "refused" (`why` says it), and what the
    cashier gives back.
    """

    kind: str
    left_ore: int = 0
    change_ore: int = 0
    number: int = 0
    why: OppetError | None = None


@dataclass(frozen=True, slots=True)
class _Subject:
    """What one registration is of: a basket with the price it was paid at, or the copy of a receipt.

    The price is the one that the tender was decided on: a minute that turns while the unit is probed does not change
    it.
    """

    kind: ReceiptType
    number: int
    basket: Basket | None = None
    priced: Priced | None = None
    copied: Receipt | None = None

    @property
    def sale(self) -> int:
        return self.basket.sale if self.basket is not None else 0

    @property
    def back(self) -> bool:
        """Whether money goes back to the customer."""
        if self.basket is not None:
            return self.basket.mode == "return"
        return self.copied is not None and self.copied.kind == "return"


class Checkout:
    def __init__(self, desk: Desk, printing: Printing, coin_ore: int = KRONA) -> None:
        self._coin_ore = coin_ore
        self._desk = desk
        self._printing = printing
        self._units: dict[str, ControlUnit] = {unit.unit: unit for unit in desk.ports.units}
        desk.settle = self.settle

    # --- paying

    def pay(
        self,
        name: str,
        given_ore: int,
        reference: str = "",
        *,
        electronic: bool = False,
        approval: Staff | None = None,
        lone: bool = False,
    ) -> Outcome:
        """Take a tender; the one that pays what is left also registers the sale and gives the receipt.

        `approval`: of an invoice above the customer's limit; `lone`: a slip that no store node was asked about.
        Raises leaves of sale, payments and printing with nothing taken, and NoControlUnitError before any tender is
        asked.
        """
        desk = self._desk
        desk.ready()
        basket = desk.basket()
        baskets.allow(basket, TenderTaken, N_("paying"))
        if not basket.standing():
            raise BasketEmptyError
        if limit := basket.age_needed():
            raise TooYoungError(limit=limit) if basket.too_young() else AgeNotCheckedError(limit=limit)
        if not payment_reference(reference):
            why = N_("it is letters, digits and hyphens, at most 40, and nobody's own number")
            raise NotPossibleNowError(action=N_("This payment reference"), why=why)
        priced = desk.priced(basket)
        if sum(len(line.discounts) for line in priced.lines) > MOST_DISCOUNTS:
            raise TooManyDiscountsError(most=MOST_DISCOUNTS)
        settled(basket)
        decided = decide_tender(basket, priced, name, given_ore, reference, self._coin_ore)
        by = self._invoice(basket, given_ore, reference, approval) if name == "invoice" else 0
        decided = Decided(msgspec.structs.replace(decided.tender, approved_by=by, lone=lone), decided.complete)
        units, probes = self._probe()
        if not decided.complete:
            desk.write(*probes, decided.tender)
            return Outcome("more", left_to_pay(basket, desk.priced(basket)))
        self._printing.wish(electronic=electronic)
        return self._register(basket, priced, units, (*probes, decided.tender))

    def _invoice(self, basket: Basket, amount_ore: int, token: str, approval: Staff | None) -> int:
        """Who answers for this much on this customer's invoice: nobody (0) within the limit, else a supervisor (PT12).

        Raises NoInvoiceCustomerError, NeedsApprovalError.
        """
        desk = self._desk
        customers, today = desk.ports.invoices, desk.today()
        if customers is None or basket.mode == "training":
            return 0
        left = risk.invoice_left_ore(customers, token, today, desk.state.invoiced.get(token, risk.Risk()))
        if basket.mode == "return" or amount_ore <= left:
            return 0
        return approver("invoice", desk.staff(), approval)

    def may_pay(self) -> None:
        """Everything that could still forbid the sale, asked before the cashier asks for money.

        Raises AgeNotCheckedError, BasketEmptyError, BasketStateError, and NoControlUnitError, which begins the outage.
        """
        desk = self._desk
        desk.ready()
        basket = desk.basket()
        baskets.allow(basket, TenderTaken, N_("paying"))
        if not basket.standing():
            raise BasketEmptyError
        if limit := basket.age_needed():
            raise AgeNotCheckedError(limit=limit)
        self._probe()

    def finish(self) -> Outcome:
        """Register a basket that is paid in full but was left before its registration began, as after a crash or a
        free basket.
        """
        desk = self._desk
        desk.ready()
        basket = desk.basket()
        priced = desk.priced(basket)
        left = left_to_pay(basket, priced)
        if basket.state == baskets.OPEN and not left:
            return self.pay(CASH, 0)
        if basket.state != baskets.PAYING or left:
            raise NotEnoughPaidError(left=kronor(left))
        settled(basket)
        units, probes = self._probe()
        return self._register(basket, priced, units, probes)

    def take_back(self, tender: int) -> None:
        """Give a tender back before the sale is registered: the customer pays another way. Card and Swish are
        confirmed by hand.
        """
        desk = self._desk
        desk.ready()
        basket = desk.basket()
        baskets.allow(basket, TenderReversed, N_("taking a payment back"))
        taken = basket.tenders.get(tender)
        if taken is None or tender in basket.asked:
            raise NotPossibleNowError(action=N_("Taking a payment back"), why=N_("there is no such payment"))
        desk.write(TenderReversed(basket.sale, tender, taken.means, taken.amount_ore, "customer"))

    # --- the control unit

    def _probe(self) -> tuple[list[str], tuple[UnitProbed, ...]]:
        """Ask units in order until one is ready: (units to try, what to journal). Raises NoControlUnitError before
        any tender.
        """
        desk = self._desk
        if desk.state.outage:  # nothing is registered before a supervisor has ended the routine
            raise OutageOpenError(since=shown(desk.state.outage))
        identity, closed = desk.identity, desk.state.closed_units
        whys, said = [], []
        usable = [unit for unit in desk.ports.units if unit.unit not in closed]
        for place, unit in enumerate(usable):
            status = unit.probe(identity.register, identity.org_no)
            said.append(UnitProbed(unit.unit, status.ready, status.main, status.storage))
            if status.ready:
                return [u.unit for u in usable[place:]], tuple(said)
            whys.append(f"{unit.unit}: {status.main}")
        whys += [f"{unit}: {reason}" for unit, reason in closed.items()]
        why = ", ".join(whys) or "–"
        desk.write(*said, OutageBegan(why[:200], desk.state.staff))
        raise NoControlUnitError(why=why)

    def _request(self, unit: str, what: _Subject) -> UnitRequest:
        desk = self._desk
        if what.priced is not None:
            total, vat = what.priced.total_ore, vat_of(what.priced)
        else:
            assert what.copied is not None, "a registration is of a basket or of a copy"
            total, vat = what.copied.total_ore, what.copied.vat
        back, number = what.back, what.number
        sign = -1 if back else 1
        keeps = self._units[unit].repeat_keeps_serial
        return UnitRequest(
            unit=unit,
            serial=number if keeps else desk.state.serials.get(unit, 0) + 1,
            receipt_id=number,
            receipt_type=what.kind,
            minute=local_minute(desk.now()).translate({45: None, 58: None, 84: None}),
            org_no=desk.identity.org_no,
            register=desk.identity.register,
            total_ore=0 if back else total,
            negative_ore=total if back else 0,
            vat=tuple((amount.rate, sign * amount.vat_ore) for amount in vat),
        )

    def _register(self, basket: Basket, priced: Priced, units: list[str], before: tuple[Body, ...]) -> Outcome:
        kind = TYPES[basket.mode]
        number = self._desk.state.numbers.get(SERIES[kind], 0) + 1
        return self._drive(begin(units), _Subject(kind, number, basket, priced), before)

    def _drive(self, registration: Registration, what: _Subject, before: tuple[Body, ...] = ()) -> Outcome:
        """Send, write down, step, until the table says done or give up. `before` goes into the intent's durable
        group.
        """
        desk = self._desk
        sale, kind, number = what.sale, what.kind, what.number
        while True:
            match next_action(registration):
                case Send(unit=unit, attempt=attempt):
                    request = self._next_request(unit, attempt, what)
                    copied = what.copied.number if what.copied is not None else 0
                    desk.write(*before, RegistrationSent(sale, attempt, request, copied))
                    answer = self._units[unit].register(request)
                    if isinstance(answer, UnitCode):
                        before = (UnitAnswered(sale, kind, number, unit, answer.code, answer.storage),)
                    elif isinstance(answer, UnitRefused):
                        before = (RegistrationRefused(sale, kind, number, unit, answer.reason, answer.raw[:200]),)
                    else:
                        before = (RegistrationSilent(sale, kind, number, unit, answer.raw[:200]),)
                    registration = step(registration, answer)
                case Done(code=code):
                    return self._done(what, code, before)
                case GiveUp(kind=State.CODE_UNKNOWN, unit=unit):
                    return self._unknown(what, unit, before)
                case GiveUp():
                    return self._no_unit(what, before)

    def _next_request(self, unit: str, attempt: int, what: _Subject) -> UnitRequest:
        """A repeat says word for word what was sent before; only XCCSP's message serial is new (reference §8)."""
        flight = self._desk.state.flight
        if attempt == 1 or flight is None:
            return self._request(unit, what)
        sent = flight.request
        if self._units[unit].repeat_keeps_serial:
            return sent
        return msgspec.structs.replace(sent, serial=self._desk.state.serials.get(unit, 0) + 1)

    def _done(self, what: _Subject, code: UnitCode, before: tuple[Body, ...]) -> Outcome:
        desk, number = self._desk, what.number
        if what.basket is None or what.priced is None:
            copied = what.copied
            assert copied is not None, "a code for a copy"
            by = desk.state.staff
            made = CopyMade(number, copied.number, copied.kind, copied.total_ore, code.unit, code.code, by)
            desk.write(*before, made)
            self._printing.print_all()
            return Outcome("done", number=number)
        receipt = settle(what.basket, what.priced, desk.identity, number, code.unit, code.code)
        desk.write(*before, receipt)
        self._printing.print_all()
        if receipt.kind != "training" and any(tender.means == CASH for tender in receipt.tenders):
            self._printing.drawer()
        return Outcome("done", 0, desk.state.last_change_ore, number)

    def _unknown(self, what: _Subject, unit: str, before: tuple[Body, ...]) -> Outcome:
        """May be registered, may be not: no normal receipt ever, a case, and this unit is closed."""
        desk = self._desk
        flight = desk.state.flight
        assert flight is not None, "an unknown code of nothing"
        request, sale, number, kind = flight.request, what.sale, what.number, what.kind
        amount = request.total_ore or request.negative_ore
        desk.write(
            *before,
            CodeUnknown(sale, kind, number, unit, request.total_ore, request.negative_ore),
            UnitClosed(unit, "code_unknown"),
            desk.case("code_unknown", sale, amount, unit=unit, receipt=str(number), type=str(kind)),
        )
        return Outcome("code_unknown", 0, desk.state.last_change_ore if sale else 0, number)

    def _no_unit(self, what: _Subject, before: tuple[Body, ...]) -> Outcome:
        """Every unit said no: nothing is registered. Cash goes back; what cannot be taken back becomes a case
        (reserve slip).
        """
        desk, sale, basket = self._desk, what.sale, what.basket
        bodies: list[Body] = [*before, RegistrationGivenUp(sale, what.kind, what.number)]
        stuck: list[TenderTaken] = []
        for tender in list(basket.tenders.values()) if basket is not None else []:
            if basket is not None and tender.tender in basket.asked:
                continue  # its service gives it back (tenders.py), and a case says where that fails
            if means(tender.means).reversible or what.kind is ReceiptType.TRAINING or not tender.amount_ore:
                bodies.append(TenderReversed(sale, tender.tender, tender.means, tender.amount_ore, "no_unit"))
            else:
                bodies.append(ReversalFailed(sale, tender.tender, tender.means, tender.amount_ore, "no_unit"))
                stuck.append(tender)
        if stuck and basket is not None and what.priced is not None:
            amount = sum(tender.amount_ore for tender in stuck)
            named = ", ".join(f"{tender.means} {kronor(tender.amount_ore)}" for tender in stuck)
            bodies.append(desk.case("tender_without_sale", sale, amount, tenders=named))
            bodies.extend(desk.kept(basket, after=1))
            bodies.append(SaleAbandoned(sale, what.priced.total_ore, "no_unit", desk.state.staff))
        if not desk.state.outage:
            bodies.append(OutageBegan("no_unit", desk.state.staff))
        desk.write(*bodies)
        return Outcome("no_unit", number=what.number)

    # --- one copy

    def copy(self, number: int, *, electronic: bool = False) -> Outcome:
        """Make the one copy the law allows of a receipt. Raises NoReceiptError, AlreadyCopiedError,
        NoControlUnitError.
        """
        desk = self._desk
        desk.ready()
        desk.staff()
        filed = desk.filed(NORMAL, number) if 0 < number < MOST_NUMBER else None
        receipt = filed.body if filed is not None else None
        if not isinstance(receipt, Receipt):
            raise NoReceiptError(number=number)
        if number in desk.state.copied:
            raise AlreadyCopiedError(number=number)
        if desk.state.flight is not None:
            raise NotPossibleNowError(action=N_("A copy"), why=N_("the last registration is not settled"))
        desk.open_path()
        units, probes = self._probe()
        self._printing.wish(electronic=electronic)
        copy = desk.state.numbers.get(COPY, 0) + 1
        return self._drive(begin(units), _Subject(ReceiptType.COPY, copy, copied=receipt), probes)

    # --- after a crash

    def resume(self) -> Outcome | None:
        """Settle what the last run left between two steps; None when there was nothing. Runs at every start, before
        any sale.
        """
        self._desk.ready()
        return self.settle()

    def settle(self) -> Outcome | None:
        """The same after a disk that failed while the till ran: `Desk.ready` asks for it once the journal has been
        read again.
        """
        desk = self._desk
        flight = desk.state.flight
        outcome = None
        if flight is not None:
            outcome = self._resume_flight()
        if desk.state.unprinted:
            self._printing.print_all(again=True)
        return outcome

    def _resume_flight(self) -> Outcome:
        desk = self._desk
        flight = desk.state.flight
        assert flight is not None, "nothing to resume"
        request = flight.request
        kind, number, unit = ReceiptType(request.receipt_type), request.receipt_id, request.unit
        basket = desk.state.baskets.get(flight.sale) if flight.sale else None
        if basket is not None:
            what = _Subject(kind, number, basket, desk.priced(basket))
        else:
            what = _Subject(kind, number, copied=self._copy_in_flight(flight.copied))
        registration = begin([unit, *(u for u in self._units if u != unit and u not in desk.state.closed_units)])
        if unit not in self._units:  # the unit was taken out of the settings: nobody can be asked
            return self._unknown(what, unit, ())
        for _ in range(flight.attempt):
            registration = step(registration, Interrupted(unit))
        return self._drive(registration, what)

    def _copy_in_flight(self, copied: int) -> Receipt:
        filed = self._desk.filed(NORMAL, copied)
        receipt = filed.body if filed is not None else None
        assert isinstance(receipt, Receipt), "a copy of a receipt that is not there"
        return receipt

    # --- opening again

    def probe_all(self) -> list[UnitStatus]:
        """Ask every unit of the settings how it is; for pages and for ending an outage."""
        identity = self._desk.identity
        return [unit.probe(identity.register, identity.org_no) for unit in self._desk.ports.units]

    def open_unit(self, unit: str, approval: Staff | None = None) -> None:
        """A supervisor puts a closed unit back to work, once somebody has looked at it."""
        desk = self._desk
        desk.ready()
        by = approver("unit", desk.staff(), approval)
        if unit not in desk.state.closed_units:
            raise NotPossibleNowError(action=N_("Opening the control unit"), why=N_("it is not closed"))
        desk.write(UnitOpened(unit, by))

    def end_outage(self, slips: int, slips_ore: int, approval: Staff | None = None) -> None:
        """Back from the reserve routine: a unit answers again, and the slips used are counted, never registered
        afterwards.
        """
        desk = self._desk
        desk.ready()
        by = approver("outage", desk.staff(), approval)
        if not desk.state.outage:
            raise NotPossibleNowError(action=N_("Ending the outage"), why=N_("there is none"))
        if (
            not 0 <= slips <= MOST_SLIPS
            or not 0 <= slips_ore <= MOST_SLIPS * LARGEST_ORE
            or (slips == 0) != (slips_ore == 0)
        ):
            raise NotPossibleNowError(
                action=N_("Ending the outage"), why=N_("enter how many reserve receipts and their sum")
            )
        closed, units = desk.state.closed_units, self.probe_all()
        if not any(status.ready and status.unit not in closed for status in units):
            raise NoControlUnitError(why=", ".join(f"{s.unit}: {closed.get(s.unit, s.main)}" for s in units) or "–")
        desk.write(OutageEnded(by, slips, slips_ore))
