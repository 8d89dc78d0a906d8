"""Every öre off is explained, and none goes below zero."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oppet.journal.kinds import LineAdded, LineDiscount, MemberShown, TenderTaken
from oppet.sale.basket import Basket
from oppet.sale.price import beyond, discount_of, offers_in, price
from tests.sale.baskets import NO_OFFERS, OFFERS, WHEN, a_basket, a_discount, a_line, many


@given(many())
def test_s3_s4_lines_add_up_and_none_is_below_zero(basket: Basket) -> None:
    priced = price(basket, OFFERS, WHEN)
    assert priced.total_ore == sum(line.net_ore for line in priced.lines)
    assert priced.saved_ore == sum(line.line.amount_ore for line in priced.lines) - priced.total_ore
    for line in priced.lines:
        assert line.net_ore == line.line.amount_ore - sum(d.ore for d in line.discounts)
        assert 0 <= line.net_ore <= line.line.amount_ore
        assert all(d.ore > 0 or d.kind == "markdown" for d in line.discounts)
        assert 0 <= line.alone_ore <= sum(d.ore for d in line.discounts if d.kind in ("line", "basket"))
        together = [(d.source, d.text) for d in line.discounts if d.kind in ("promotion", "member")]
        assert len(together) == len(set(together)), "one promotion is one discount of a line"


@given(many())
def test_s5_pant_and_what_is_not_discountable_costs_what_it_costs(basket: Basket) -> None:
    for line in price(basket, OFFERS, WHEN).lines:
        if not line.line.added.discountable:
            assert [d.kind for d in line.discounts] in ([], ["markdown"])


@given(many(), st.sampled_from([WHEN, "2026-11-22T10:01", "2027-06-01T10:00"]))
def test_s4_the_promise_stands_once_money_is_taken(basket: Basket, later: str) -> None:
    """A promotion that ends, or a catalogue that changes, between two payments does not change what is owed."""
    before = price(basket, OFFERS, WHEN)
    paid = a_basket(*(line.added for line in basket.lines.values()), *basket.discounts.values())
    paid.member = basket.member
    paid.offers = offers_in(before)
    after = price(paid, NO_OFFERS, later)
    assert [(line.net_ore, line.discounts) for line in after.lines] == [
        (line.net_ore, line.discounts) for line in before.lines
    ]


def kinds(line: LineAdded, *more: object, member: bool = False) -> list[tuple[str, int]]:
    basket = a_basket(line, *more, *([MemberShown(1, "M1")] if member else []))  # type: ignore[arg-type]
    return [(d.kind, d.ore) for d in price(basket, OFFERS, WHEN).lines[0].discounts]


@pytest.mark.parametrize(
    ("line", "member", "off"),
    [
        (a_line(1, 2_000, member_unit_ore=1_500), False, []),
        (a_line(1, 2_000, member_unit_ore=1_500), True, [("member", 500)]),
        (a_line(1, 2_000, member_unit_ore=2_500), True, []),
        (a_line(1, 2_000, markdown_percent=30), False, [("markdown", 600)]),
        (a_line(1, 2_000, markdown_percent=30, member_unit_ore=100), True, [("markdown", 600)]),
        (a_line(1, 2_000, quantity=3000, mixes=("chips",)), False, [("promotion", 2_000)]),
        (a_line(1, 2_000, quantity=7000, mixes=("chips",)), False, [("promotion", 4_000)]),
        (a_line(1, 2_000, quantity=2000, mixes=("dip",)), False, [("promotion", 1_000)]),
        (a_line(1, 2_000, quantity=2000, mixes=("dip",), discountable=False), False, []),
        (a_line(3, 2_000), False, [("promotion", 300)]),
        (a_line(1, 2_790, quantity=755, unit="kg", member_unit_ore=1_990), True, [("member", 604)]),
        # a label of 30.00 for 0.755 kg: the member's price in proportion, not by the weight
        (a_line(1, 2_790, quantity=1075, unit="kg", amount_ore=3_001, priced_by_label=True, member_unit_ore=1_395),
         True, [("member", 1_500)]),
    ],
)  # fmt: skip
def test_s4_s10_what_is_taken_off_by_itself(line: LineAdded, member: bool, off: list[tuple[str, int]]) -> None:
    assert kinds(line, member=member) == off


def test_s3_discounts_by_hand_follow_those_that_come_by_themselves() -> None:
    line = a_line(1, 2_000, member_unit_ore=1_500)
    basket = a_basket(line, a_discount(1, percent=10), a_discount(2, line=1, ore=300), MemberShown(1, "M1"))
    priced = price(basket, OFFERS, WHEN)
    assert [(d.kind, d.ore, d.text) for d in priced.lines[0].discounts] == [
        ("member", 500, "Member price"),
        ("line", 300, "skadad"),
        ("basket", 120, "skadad"),
    ]
    assert priced.total_ore == 1_080


def test_s5_a_baskets_discount_is_spread_over_what_may_be_discounted() -> None:
    basket = a_basket(
        a_line(1, 1_000),
        a_line(2, 200, pant_of=1, discountable=False, vat_rate=0),
        a_line(3, 2_000),
        a_discount(1, ore=100),
    )
    assert [line.net_ore for line in price(basket, NO_OFFERS, WHEN).lines] == [967, 200, 1_933]


def test_s4_a_promotion_ends_with_its_minute_while_nothing_is_paid() -> None:
    basket = a_basket(a_line(4, 1_000))
    assert price(basket, OFFERS, WHEN).total_ore == 500
    assert price(basket, OFFERS, "2026-11-22T10:01").total_ore == 1_000


def test_s6_a_return_takes_no_new_offer() -> None:
    off = (LineDiscount("original", "As on the original receipt", 100, "1"),)
    line = a_line(1, 2_000, quantity=3000, mixes=("chips",), discounts=off, discountable=False, original_line=1)
    priced = price(a_basket(line, mode="return"), OFFERS, WHEN)
    assert (priced.lines[0].discounts, priced.total_ore) == (off, 5_900)


@pytest.mark.parametrize(
    ("percent", "ore", "base", "taken"),
    [(10, 0, 555, 56), (100, 0, 555, 555), (1, 0, 1, 0), (0, 100, 555, 100), (0, 600, 555, 555), (50, 0, 1, 1)],
)
def test_s3_a_discount_is_never_more_than_there_is(percent: int, ore: int, base: int, taken: int) -> None:
    assert discount_of(percent, ore, base) == taken


@pytest.mark.parametrize(
    ("discounts", "too_much"),
    [
        ([a_discount(1, percent=10)], False),
        ([a_discount(1, percent=11)], True),
        ([a_discount(1, percent=10), a_discount(2, percent=10)], True),
        ([a_discount(1, percent=10), a_discount(2, line=1, percent=10)], True),
        ([a_discount(1, percent=50, approved_by=3), a_discount(2, percent=5)], False),
        ([a_discount(1, ore=100)], False),
        ([a_discount(1, ore=110)], True),
        ([a_discount(1, line=2, ore=100)], True),  # a tenth of the basket, but most of one line
    ],
)
def test_s7_what_a_cashier_gives_alone_is_added_up(discounts: list[object], too_much: bool) -> None:
    basket = a_basket(a_line(1, 855), a_line(2, 150), *discounts)  # type: ignore[arg-type]
    assert beyond(basket, price(basket, NO_OFFERS, WHEN), 10) is too_much


@given(many(), st.integers(1, 10))
def test_s7_rounding_alone_never_asks_for_a_supervisor(basket: Basket, percent: int) -> None:
    basket.discounts = {1: a_discount(1, percent=percent)}
    assert not beyond(basket, price(basket, OFFERS, WHEN), 10)


def test_s4_the_first_tender_carries_the_offers() -> None:
    basket = a_basket(a_line(3, 2_000), a_discount(1, ore=10))
    offers = offers_in(price(basket, OFFERS, WHEN))
    assert [(o.line, o.discount.ore, o.discount.source) for o in offers] == [(3, 300, "P3")]
    assert TenderTaken(1, 1, "card", 1, 1, 0, "", offers).offers == offers
