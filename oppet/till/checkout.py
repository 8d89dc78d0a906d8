"""From paid to printed, in the order of design §2, each step durable before the next is taken.

Unit probed → tender final and intent durable → control unit → code and receipt durable → print → *printed* durable. A crash between
any two is settled by `resume`, which runs at every start. Keeps R23 (never registered twice, never another receipt's code), F and
S8. Leaves the registration's table to `fiscal/unit.py` and paper to `printing.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from oppet.base.clock import local_minute
from oppet.base.money import kronor
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
from oppet.journal.entry import body_of
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
from oppet.payments.means import KRONA, means
from oppet.sale import basket as baskets
from oppet.sale.basket import Basket
from oppet.sale.errors import AgeNotCheckedError, AlreadyCopiedError, BasketEmptyError, NotEnoughPaidError
from oppet.sale.rights import Staff, approver
from oppet.sale.settle import decide_tender, left_to_pay, settle, vat_of
from oppet.till.desk import Desk
from oppet.till.errors import NoControlUnitError, NoReceiptError, NotPossibleNowError
from oppet.till.printing import Printing
from oppet.till.state import COPY, NORMAL, SERIES

__all__ = ["Checkout", "Outcome"]

TYPES = {"sale": ReceiptType.NORMAL, "return": ReceiptType.NORMAL, "training": ReceiptType.TRAINING}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What paying came to: "more" is left to pay, "done", "code_unknown" or "no_unit", and what the cashier gives back."""

    kind: str
    left_ore: int = 0
    change_ore: int = 0
    number: int = 0


class Checkout:
    def __init__(self, desk: Desk, printing: Printing, coin_ore: int = KRONA) -> None:
        self._coin_ore = coin_ore
        self._desk = desk
        self._printing = printing
        self._units: dict[str, ControlUnit] = {unit.unit: unit for unit in desk.ports.units}

    # --- paying

    def pay(self, name: str, given_ore: int, reference: str = "", *, electronic: bool = False) -> Outcome:
        """Take a tender; the one that pays what is left also registers the sale and gives the receipt.

        Raises leaves of sale, payments and printing with nothing taken, and NoControlUnitError before any tender is asked.
        """
        desk = self._desk
        desk.ready()
        basket = desk.basket()
        baskets.allow(basket, TenderTaken, N_("paying"))
        if not basket.standing():
            raise BasketEmptyError
        if limit := basket.age_needed():
            raise AgeNotCheckedError(limit=limit)
        decided = decide_tender(basket, desk.priced(basket), name, given_ore, reference[:40], self._coin_ore)
        units, probes = self._probe()
        if not decided.complete:
            desk.write(*probes, decided.tender)
            return Outcome("more", left_to_pay(basket, desk.priced(basket)))
        self._printing.wish(electronic=electronic)
        return self._register(basket, units, (*probes, decided.tender))

    def finish(self) -> Outcome:
        """Register a basket that is paid in full but was left before its registration began, as after a crash or a free basket."""
        desk = self._desk
        desk.ready()
        basket = desk.basket()
        left = left_to_pay(basket, desk.priced(basket))
        if basket.state != baskets.PAYING or left:
            raise NotEnoughPaidError(left=kronor(left))
        units, probes = self._probe()
        return self._register(basket, units, probes)

    def take_back(self, tender: int) -> None:
        """Give a tender back before the sale is registered: the customer pays another way. Card and Swish are confirmed by hand."""
        desk = self._desk
        desk.ready()
        basket = desk.basket()
        baskets.allow(basket, TenderReversed, N_("taking a payment back"))
        taken = basket.tenders.get(tender)
        if taken is None:
            raise NotPossibleNowError(action=N_("Taking a payment back"), why=N_("there is no such payment"))
        desk.write(TenderReversed(basket.sale, tender, taken.means, taken.amount_ore, "customer"))

    # --- the control unit

    def _probe(self) -> tuple[list[str], tuple[UnitProbed, ...]]:
        """Ask units in order until one is ready: (units to try, what to journal). Raises NoControlUnitError before any tender."""
        desk = self._desk
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
        if not desk.state.outage:
            desk.write(*said, OutageBegan(why[:200], desk.state.staff))
        raise NoControlUnitError(why=why)

    def _request(self, unit: str, kind: ReceiptType, number: int, basket: Basket | None, copied: Receipt | None) -> UnitRequest:
        desk = self._desk
        if basket is not None:
            priced = desk.priced(basket)
            total, back, vat = priced.total_ore, basket.mode == "return", vat_of(priced)
        else:
            assert copied is not None, "a registration is of a basket or of a copy"
            total, back, vat = copied.total_ore, copied.kind == "return", copied.vat
        sign = -1 if back else 1
        keeps = self._units[unit].repeat_keeps_serial
        return UnitRequest(
            unit=unit,
            serial=number if keeps else desk.state.serials.get(unit, 0) + 1,
            receipt_id=number,
            receipt_type=kind,
            minute=local_minute(desk.now()).translate({45: None, 58: None, 84: None}),
            org_no=desk.identity.org_no,
            register=desk.identity.register,
            total_ore=0 if back else total,
            negative_ore=total if back else 0,
            vat=tuple((amount.rate, sign * amount.vat_ore) for amount in vat),
        )

    def _register(self, basket: Basket, units: list[str], before: tuple[Body, ...]) -> Outcome:
        kind = TYPES[basket.mode]
        number = self._desk.state.numbers.get(SERIES[kind], 0) + 1
        return self._drive(begin(units), kind, number, basket, None, before)

    def _drive(
        self,
        registration: Registration,
        kind: ReceiptType,
        number: int,
        basket: Basket | None,
        copied: Receipt | None,
        before: tuple[Body, ...] = (),
    ) -> Outcome:
        """Send, write down, step, until the table says done or give up. `before` goes into the intent's durable group."""
        desk = self._desk
        sale = basket.sale if basket is not None else 0
        while True:
            match next_action(registration):
                case Send(unit=unit, attempt=attempt):
                    request = self._next_request(unit, attempt, kind, number, basket, copied)
                    desk.write(*before, RegistrationSent(sale, attempt, request, copied.number if copied is not None else 0))
                    before = ()
                    answer = self._units[unit].register(request)
                    if isinstance(answer, UnitCode):
                        before = (UnitAnswered(sale, kind, number, unit, answer.code, answer.storage),)
                    elif isinstance(answer, UnitRefused):
                        before = (RegistrationRefused(sale, kind, number, unit, answer.reason, answer.raw[:200]),)
                    else:
                        before = (RegistrationSilent(sale, kind, number, unit, answer.raw[:200]),)
                    registration = step(registration, answer)
                case Done(code=code):
                    return self._done(kind, number, basket, copied, code, before)
                case GiveUp(kind=State.CODE_UNKNOWN, unit=unit):
                    return self._unknown(kind, number, basket, copied, unit, before)
                case GiveUp():
                    return self._no_unit(kind, number, basket, before)

    def _next_request(
        self, unit: str, attempt: int, kind: ReceiptType, number: int, basket: Basket | None, copied: Receipt | None
    ) -> UnitRequest:
        """A repeat says word for word what was sent before; only XCCSP's message serial is new (reference §8)."""
        flight = self._desk.state.flight
        if attempt == 1 or flight is None:
            return self._request(unit, kind, number, basket, copied)
        sent = flight.request
        if self._units[unit].repeat_keeps_serial:
            return sent
        return UnitRequest(
            unit, self._desk.state.serials.get(unit, 0) + 1, sent.receipt_id, sent.receipt_type, sent.minute, sent.org_no,
            sent.register, sent.total_ore, sent.negative_ore, sent.vat,
        )  # fmt: skip

    def _done(
        self,
        kind: ReceiptType,
        number: int,
        basket: Basket | None,
        copied: Receipt | None,
        code: UnitCode,
        before: tuple[Body, ...],
    ) -> Outcome:
        desk = self._desk
        if basket is None:
            assert copied is not None, "a code for a copy"
            made = CopyMade(number, copied.number, copied.kind, copied.total_ore, code.unit, code.code, desk.state.staff)
            desk.write(*before, made)
            self._printing.print_all()
            return Outcome("done", number=number)
        receipt = settle(basket, desk.priced(basket), desk.identity, number, code.unit, code.code)
        desk.write(*before, receipt)
        self._printing.print_all(drawer=any(tender.means == "cash" for tender in receipt.tenders))
        return Outcome("done", 0, desk.state.last_change_ore, number)

    def _unknown(
        self,
        kind: ReceiptType,
        number: int,
        basket: Basket | None,
        copied: Receipt | None,
        unit: str,
        before: tuple[Body, ...],
    ) -> Outcome:
        """May be registered, may be not: no normal receipt ever, a case, and this unit is closed."""
        desk = self._desk
        flight = desk.state.flight
        assert flight is not None, "an unknown code of nothing"
        request = flight.request
        sale = basket.sale if basket is not None else 0
        amount = request.total_ore or request.negative_ore
        desk.write(
            *before,
            CodeUnknown(sale, kind, number, unit, request.total_ore, request.negative_ore),
            UnitClosed(unit, "code_unknown"),
            desk.case("code_unknown", sale, amount, unit=unit, receipt=str(number), type=str(kind)),
        )
        return Outcome("code_unknown", number=number)

    def _no_unit(
        self, kind: ReceiptType, number: int, basket: Basket | None, before: tuple[Body, ...]
    ) -> Outcome:
        """Every unit said no: nothing is registered. Cash goes back; what cannot be taken back becomes a case (reserve slip)."""
        desk = self._desk
        sale = basket.sale if basket is not None else 0
        bodies: list[Body] = [*before, RegistrationGivenUp(sale, kind, number)]
        stuck: list[TenderTaken] = []
        for tender in list(basket.tenders.values()) if basket is not None else []:
            if basket is not None and (means(tender.means).reversible or basket.mode == "training"):
                bodies.append(TenderReversed(sale, tender.tender, tender.means, tender.amount_ore, "no_unit"))
            else:
                bodies.append(ReversalFailed(sale, tender.tender, tender.means, tender.amount_ore, "no_unit"))
                stuck.append(tender)
        if stuck and basket is not None:
            amount = sum(tender.amount_ore for tender in stuck)
            named = ", ".join(f"{tender.means} {kronor(tender.amount_ore)}" for tender in stuck)
            bodies.append(desk.case("tender_without_sale", sale, amount, tenders=named))
            bodies.append(SaleAbandoned(sale, desk.priced(basket).total_ore, "no_unit", desk.state.staff))
        bodies.append(OutageBegan("no_unit", desk.state.staff))
        desk.write(*bodies)
        return Outcome("no_unit", number=number)

    # --- one copy

    def copy(self, number: int, *, electronic: bool = False) -> Outcome:
        """Make the one copy the law allows of a receipt. Raises NoReceiptError, AlreadyCopiedError, NoControlUnitError."""
        desk = self._desk
        desk.ready()
        desk.staff()
        entry = desk.receipt_entry(NORMAL, number)
        receipt = body_of(entry) if entry is not None else None
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
        return self._drive(begin(units), ReceiptType.COPY, copy, None, receipt, probes)

    # --- after a crash

    def resume(self) -> Outcome | None:
        """Settle what the last run left between two steps; None when there was nothing. Runs at every start, before any sale."""
        desk = self._desk
        desk.ready()
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
        copied = None if basket is not None else self._copy_in_flight(flight.copied)
        registration = begin([unit, *(u for u in self._units if u != unit and u not in desk.state.closed_units)])
        if unit not in self._units:  # the unit was taken out of the settings: nobody can be asked
            return self._unknown(kind, number, basket, copied, unit, ())
        for _ in range(flight.attempt):
            registration = step(registration, Interrupted(unit))
        return self._drive(registration, kind, number, basket, copied)

    def _copy_in_flight(self, copied: int) -> Receipt:
        entry = self._desk.receipt_entry(NORMAL, copied)
        receipt = body_of(entry) if entry is not None else None
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
        """Back from the reserve routine: a unit answers again, and the slips used are counted, never registered afterwards."""
        desk = self._desk
        desk.ready()
        by = approver("outage", desk.staff(), approval)
        if not desk.state.outage:
            raise NotPossibleNowError(action=N_("Ending the outage"), why=N_("there is none"))
        if slips < 0 or slips_ore < 0 or (slips == 0) != (slips_ore == 0):
            raise NotPossibleNowError(action=N_("Ending the outage"), why=N_("enter how many reserve receipts and their sum"))
        closed = desk.state.closed_units
        if not any(status.ready and status.unit not in closed for status in self.probe_all()):
            raise NoControlUnitError(why=", ".join(f"{s.unit}: {closed.get(s.unit, s.main)}" for s in self.probe_all()) or "–")
        desk.write(OutageEnded(by, slips, slips_ore))
