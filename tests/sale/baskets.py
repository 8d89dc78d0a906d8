"""Baskets for tests: lines, discounts and tenders folded as the till folds its entries."""

from __future__ import annotations

from hypothesis import strategies as st

from oppet.goods.promotions import Promotion, PromotionBook
from oppet.journal.kinds import (
    Body,
    DiscountGiven,
    EpochOpened,
    LineAdded,
    MemberShown,
    Original,
    SaleOpened,
)
from oppet.sale import basket as baskets
from oppet.sale.basket import Basket

WHEN = "2026-11-22T10:00"
TIME = "2026-11-22T09:00:00.000Z"
NO_OFFERS = PromotionBook(())
OFFERS = PromotionBook(
    (
        Promotion("P1", "3 för 2 Chips", "2026-01-01", "n_for_m", mix="chips", buy=3, pay=2),
        Promotion("P2", "2 för 30 kr", "2026-01-01", "n_for_price", mix="dip", buy=2, price_ore=3_000),
        Promotion("P3", "15 % på ost", "2026-01-01", "percent", articles=("A3",), percent=15),
        Promotion("P4", "Slut", "2026-01-01", "percent", valid_to="2026-11-22T10:01", articles=("A4",), percent=50),
    )
)
IDENTITY = EpochOpened(
    store="S01",
    company="Testköp",
    org_no="5566778899",
    address="Storgatan 1",
    register="K3-1",
    manufacturing_no="OPPET-K3-1",
    model="Öppet SE",
    software="0.1.0",
    public_key="",
    units=("FAKE0001",),
    installation="here",
)


def a_line(number: int, ore: int, *, quantity: int = 1000, **more: object) -> LineAdded:
    fields: dict[str, object] = {
        "sale": 1,
        "line": number,
        "article": f"A{number}",
        "name": f"Vara {number}",
        "group": "Mejeri",
        "kind": "vara",
        "quantity_milli": quantity,
        "unit": "st",
        "unit_ore": ore,
        "amount_ore": (ore * quantity + 500) // 1000,
        "vat_rate": 600,
    } | more
    return LineAdded(**fields)  # type: ignore[arg-type]


def a_basket(*bodies: Body, mode: str = "sale") -> Basket:
    original = Original("K9", 1, 4711) if mode == "return" else None
    basket = baskets.opened(SaleOpened(1, mode, 7, original), TIME)
    for body in bodies:
        baskets.apply(basket, TIME, body)
    return basket


def a_discount(number: int, *, line: int = 0, percent: int = 0, ore: int = 0, approved_by: int = 0) -> DiscountGiven:
    return DiscountGiven(1, number, line, percent, ore, "skadad", 7, approved_by)


@st.composite
def many(draw: st.DrawFn) -> Basket:
    """Any basket a cashier can make: pieces and weights, offers, pant, mark-downs, member prices, discounts by hand."""
    bodies: list[Body] = []
    number = 0
    for _ in range(draw(st.integers(1, 8))):
        number += 1
        weighed = draw(st.booleans())
        quantity = draw(st.integers(1, 4_000)) if weighed else 1000 * draw(st.integers(1, 7))
        ore = draw(st.sampled_from([0, 1, 5, 99, 100, 1_690, 2_500, 99_999]))
        member = draw(st.sampled_from([None, 0, ore // 2, ore, ore + 100]))
        bodies.append(
            a_line(
                number,
                ore,
                quantity=quantity,
                unit="kg" if weighed else "st",
                vat_rate=draw(st.sampled_from([0, 600, 1200, 2500])),
                member_unit_ore=member,
                mixes=draw(st.sampled_from([(), ("chips",), ("dip",), ("chips", "dip")])),
                markdown_percent=draw(st.sampled_from([0, 0, 0, 1, 33, 50, 100])),
                discountable=draw(st.sampled_from([True, True, True, False])),
            )
        )
        if not weighed and draw(st.integers(0, 3)) == 0:
            pant = a_line(number + 1, 200, quantity=quantity, vat_rate=0, pant_of=number, discountable=False)
            number += 1
            bodies.append(pant)
    for discount in range(draw(st.integers(0, 4))):
        by_percent = draw(st.booleans())
        percent, ore = (draw(st.integers(1, 100)), 0) if by_percent else (0, draw(st.integers(1, 200_000)))
        line = draw(st.integers(0, number))
        bodies.append(a_discount(discount + 1, line=line, percent=percent, ore=ore))
    if draw(st.booleans()):
        bodies.append(MemberShown(1, "M4711"))
    return a_basket(*bodies)
