"""The receipt: a basket that is paid becomes what the law wants on paper (SKVFS 2014:9 7:1).

Decides only; the control unit's code is handed in. Keeps S8: lines = total = tenders − rounding, VAT adds up per
rate, all whole öre (law 8 of the design), and PAY1: cash alone is rounded, once.
"""

from __future__ import annotations

from dataclasses import dataclass

from oppet.base.money import LARGEST_ORE, NotAnAmountError, kronor, round_half_up, spread
from oppet.journal.kinds import EpochOpened, Receipt, ReceiptLine, ReceiptTender, TenderTaken, VatAmount
from oppet.payments.means import CASH, KRONA, NotWholeKronorError, TooMuchError, cash_due, means
from oppet.sale.basket import Basket
from oppet.sale.errors import NotEnoughPaidError, TooManyTendersError
from oppet.sale.price import Priced, offers_in

__all__ = ["Decided", "decide_tender", "left_to_pay", "settle", "vat_of"]

MOST_TENDERS = 20


@dataclass(frozen=True, slots=True)
class Decided:
    """A tender as it will be journalled, and whether it pays what is left."""

    tender: TenderTaken
    complete: bool


def left_to_pay(basket: Basket, priced: Priced) -> int:
    """What is left of the total, in öre, before any cash rounding. Money taken for more than there is now is not
    left.
    """
    return max(0, priced.total_ore - basket.paid_ore())


def decide_tender(
    basket: Basket, priced: Priced, name: str, given_ore: int, reference: str = "", coin_ore: int = KRONA
) -> Decided:
    """Say what a tender pays. Cash closes the sale rounded and gives change; nothing else pays more than is left.

    In a return the same tender is what the customer is given back, always in full for cash.
    Raises UnknownMeansError, NotAnAmountError, NotWholeKronorError, TooMuchError, NotEnoughPaidError,
    TooManyTendersError.
    """
    means(name)
    if not 0 <= given_ore <= LARGEST_ORE:
        raise NotAnAmountError(text=kronor(given_ore), largest=kronor(LARGEST_ORE))
    if len(basket.tenders) >= MOST_TENDERS:
        raise TooManyTendersError(most=MOST_TENDERS)
    left = left_to_pay(basket, priced)
    number = basket.last_tender + 1
    offers = None if basket.tenders else offers_in(priced)
    if name != CASH:
        if given_ore > left:
            raise TooMuchError(amount=kronor(given_ore), due=kronor(left))
        if given_ore == 0 < left:
            raise NotEnoughPaidError(left=kronor(left))
        tender = TenderTaken(basket.sale, number, name, given_ore, given_ore, 0, reference, offers)
        return Decided(tender, given_ore == left)
    if given_ore % coin_ore:
        raise NotWholeKronorError(amount=kronor(given_ore))
    due = cash_due(left, coin_ore)
    if basket.mode == "return":
        return Decided(TenderTaken(basket.sale, number, name, due, due, 0, reference, offers), True)
    if given_ore < due:
        if given_ore == 0:
            raise NotEnoughPaidError(left=kronor(due))
        return Decided(TenderTaken(basket.sale, number, name, given_ore, given_ore, 0, reference, offers), False)
    return Decided(TenderTaken(basket.sale, number, name, due, given_ore, given_ore - due, reference, offers), True)


def vat_of(priced: Priced) -> tuple[VatAmount, ...]:
    """VAT per rate: of the receipt's gross at that rate, rounded half up once (reference §9); highest rate first."""
    gross: dict[int, int] = {}
    for line in priced.lines:
        rate = line.line.added.vat_rate
        gross[rate] = gross.get(rate, 0) + line.net_ore
    return tuple(VatAmount(rate, gross[rate], _vat(gross[rate], rate)) for rate in sorted(gross, reverse=True))


def _vat(gross_ore: int, rate: int) -> int:
    return round_half_up(gross_ore * rate, 10_000 + rate)


def settle(basket: Basket, priced: Priced, identity: EpochOpened, number: int, unit: str, code: str) -> Receipt:
    """Make the receipt. The caller owes a fully paid basket and a code that this unit gave for this very number."""
    vat = vat_of(priced)
    parts = {line.line.added.line: 0 for line in priced.lines}
    for amount in vat:
        at_rate = [line for line in priced.lines if line.line.added.vat_rate == amount.rate]
        shares = spread(amount.vat_ore, [line.net_ore for line in at_rate])
        for line, share in zip(at_rate, shares, strict=True):
            parts[line.line.added.line] = share
    tenders = tuple(
        ReceiptTender(t.means, t.amount_ore, t.given_ore, t.change_ore, t.reference, t.evidence, t.at_risk)
        for t in basket.tenders.values()
    )
    paid = sum(t.amount_ore for t in tenders)
    rounding = paid - priced.total_ore
    assert abs(rounding) <= 50, "rounded by more than half a krona"
    assert rounding == 0 or any(t.means == CASH for t in tenders), "only cash is rounded"
    return Receipt(
        sale=basket.sale,
        kind=basket.mode,
        number=number,
        company=identity.company,
        org_no=identity.org_no,
        address=identity.address,
        register=identity.register,
        cashier=basket.cashier,
        lines=tuple(
            ReceiptLine(
                line=p.line.added.line,
                article=p.line.added.article,
                name=p.line.added.name,
                group=p.line.added.group,
                kind=p.line.added.kind,
                quantity_milli=p.line.quantity_milli,
                unit=p.line.added.unit,
                unit_ore=p.line.added.unit_ore,
                amount_ore=p.line.amount_ore,
                discounts=p.discounts,
                net_ore=p.net_ore,
                vat_rate=p.line.added.vat_rate,
                vat_ore=parts[p.line.added.line],
                time=p.line.time,
                code=p.line.added.code,
                lot=p.line.added.lot,
                pant_of=p.line.added.pant_of,
                original_line=p.line.added.original_line,
            )
            for p in priced.lines
        ),
        total_ore=priced.total_ore,
        rounding_ore=rounding,
        vat=vat,
        tenders=tenders,
        unit=unit,
        code=code,
        member=basket.member,
        original=basket.original,
        saved_ore=priced.saved_ore,
    )
