"""The receipt: lines = total = tenders − rounding, VAT adds up, and cash alone is rounded, once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oppet.base.money import LARGEST_ORE, NotAnAmountError, round_half_up
from oppet.fiscal.series import wrong_sums
from oppet.journal.kinds import Receipt, TenderTaken
from oppet.payments.means import MEANS, NotWholeKronorError, TooMuchError, UnknownMeansError
from oppet.sale import basket as baskets
from oppet.sale.basket import Basket
from oppet.sale.errors import NotEnoughPaidError, TooManyTendersError
from oppet.sale.price import price
from oppet.sale.settle import MOST_TENDERS, decide_tender, left_to_pay, settle, vat_of
from tests.sale.baskets import IDENTITY, NO_OFFERS, OFFERS, TIME, WHEN, a_basket, a_line, many

CARDS = [name for name in MEANS if name != "cash"]


def paid(basket: Basket, *tenders: tuple[str, int]) -> Receipt:
    """Pay as the till does and settle."""
    complete = False
    for name, given_ore in tenders:
        decided = decide_tender(basket, price(basket, OFFERS, WHEN), name, given_ore)
        baskets.apply(basket, TIME, decided.tender)
        complete = decided.complete
    assert complete
    return settle(basket, price(basket, NO_OFFERS, WHEN), IDENTITY, 1, "FAKE0001", "CODE")


@given(many(), st.data())
def test_s8_lines_total_tenders_and_vat_agree_on_any_receipt(basket: Basket, data: st.DataObject) -> None:
    left = price(basket, OFFERS, WHEN).total_ore
    parts: list[tuple[str, int]] = []
    for _ in range(data.draw(st.integers(0, 3))):
        name = data.draw(st.sampled_from(["cash", *CARDS]))
        most = (left - 50) // 100 * 100 if name == "cash" else left - 1
        if most >= 100:
            some = 100 * data.draw(st.integers(1, most // 100))
            parts.append((name, some))
            left -= some
    name = data.draw(st.sampled_from(["cash", *CARDS]))
    parts.append((name, (left + 199) // 100 * 100 if name == "cash" else left))
    receipt = paid(basket, *parts)
    assert wrong_sums(receipt) == ""
    assert sum(line.net_ore for line in receipt.lines) == receipt.total_ore
    assert sum(t.amount_ore for t in receipt.tenders) == receipt.total_ore + receipt.rounding_ore
    assert -50 < receipt.rounding_ore <= 50 if name == "cash" else receipt.rounding_ore == 0
    assert all(line.net_ore >= 0 and line.vat_ore >= 0 for line in receipt.lines)
    assert receipt.saved_ore == sum(line.amount_ore - line.net_ore for line in receipt.lines)
    for part in receipt.vat:
        at_rate = [line for line in receipt.lines if line.vat_rate == part.rate]
        assert part.gross_ore == sum(line.net_ore for line in at_rate)
        assert part.vat_ore == sum(line.vat_ore for line in at_rate)
        assert part.vat_ore == round_half_up(part.gross_ore * part.rate, 10_000 + part.rate)
    assert [part.rate for part in receipt.vat] == sorted({line.vat_rate for line in receipt.lines}, reverse=True)


@pytest.mark.parametrize(
    ("gross", "rate", "vat"),
    [
        (100_00, 2500, 20_00),
        (100_00, 600, 5_66),
        (100_00, 1200, 10_71),
        (1, 2500, 0),
        (3, 2500, 1),
        (0, 600, 0),
        (500, 0, 0),
    ],
)
def test_s8_vat_is_taken_out_of_the_gross_half_up(gross: int, rate: int, vat: int) -> None:
    basket = a_basket(a_line(1, gross, vat_rate=rate))
    (amount,) = vat_of(price(basket, NO_OFFERS, WHEN))
    assert (amount.rate, amount.gross_ore, amount.vat_ore) == (rate, gross, vat)


def test_s8_vat_is_rounded_once_a_rate_and_spread_over_the_lines() -> None:
    receipt = paid(a_basket(*(a_line(n, 33, vat_rate=2500, article="B") for n in range(1, 5))), ("card", 132))
    assert [part.vat_ore for part in receipt.vat] == [26]
    assert [line.vat_ore for line in receipt.lines] == [7, 7, 6, 6], "four times 6.6 is 26.4"


@pytest.mark.parametrize(
    ("total", "tenders", "rounding", "change"),
    [
        (1_049, [("cash", 1_000)], -49, 0),
        (1_050, [("cash", 1_100)], 50, 0),
        (1_099, [("cash", 1_100)], 1, 0),
        (1_001, [("cash", 2_000)], -1, 1_000),
        (49, [("cash", 0)], -49, 0),
        (50, [("cash", 100)], 50, 0),
        (1_049, [("card", 1_049)], 0, 0),
        (1_049, [("swish", 1_049)], 0, 0),
        (1_049, [("card", 500), ("cash", 500)], -49, 0),
        (1_049, [("card", 499), ("cash", 600)], 50, 0),
        (1_049, [("cash", 500), ("card", 549)], 0, 0),
        (1_049, [("cash", 500), ("cash", 500)], -49, 0),
        (1_049, [("cash", 100), ("card", 900), ("cash", 0)], -49, 0),
        (1_049, [("gift_card", 500), ("coupon", 100), ("cash", 1_000)], -49, 600),
        (0, [("cash", 0)], 0, 0),
        (0, [("card", 0)], 0, 0),
        (0, [("cash", 2_000)], 0, 2_000),
    ],
)
def test_pay1_the_cash_part_alone_is_rounded_and_once(
    total: int, tenders: list[tuple[str, int]], rounding: int, change: int
) -> None:
    receipt = paid(a_basket(a_line(1, total)), *tenders)
    assert (receipt.total_ore, receipt.rounding_ore, sum(t.change_ore for t in receipt.tenders)) == (
        total,
        rounding,
        change,
    )
    assert wrong_sums(receipt) == ""


def given_for(total: int, name: str, ore: int, mode: str = "sale") -> TenderTaken:
    return decide_tender(
        priced := a_basket(a_line(1, total), mode=mode), price(priced, NO_OFFERS, WHEN), name, ore
    ).tender


@pytest.mark.parametrize("name", CARDS)
@pytest.mark.parametrize("ore", [1_691, 2_000, LARGEST_ORE])
def test_pay2_nothing_but_cash_pays_more_than_is_owed(name: str, ore: int) -> None:
    with pytest.raises(TooMuchError):
        given_for(1_690, name, ore)
    assert given_for(1_690, "cash", 2_000).change_ore == 300


@pytest.mark.parametrize("name", ["cash", "card"])
@pytest.mark.parametrize("total", [0, 1_690])
@pytest.mark.parametrize(
    "ore", [-1, -100, -1_700, LARGEST_ORE + 1, LARGEST_ORE + 100, 10**30, -(10**30), 731086500470300]
)
def test_s9_money_of_nonsense_is_refused(name: str, total: int, ore: int) -> None:
    with pytest.raises(NotAnAmountError):
        given_for(total, name, ore)


@pytest.mark.parametrize(
    ("total", "name", "ore", "error"),
    [
        (1_690, "cash", 0, NotEnoughPaidError),
        (1_690, "card", 0, NotEnoughPaidError),
        (1_690, "cash", 1_650, NotWholeKronorError),
        (1_690, "cash", 1, NotWholeKronorError),
        (1_690, "bitcoin", 1_690, UnknownMeansError),
        (0, "card", 1, TooMuchError),
    ],
)
def test_pay2_what_pays_nothing_is_refused(total: int, name: str, ore: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        given_for(total, name, ore)


@pytest.mark.parametrize(("total", "cash"), [(1_049, 1_000), (1_050, 1_100), (49, 0), (50, 100), (0, 0)])
def test_s6_pay1_a_return_gives_cash_back_in_full_and_rounded(total: int, cash: int) -> None:
    for typed in (0, 100, 5_000):
        tender = given_for(total, "cash", typed, "return")
        assert (tender.amount_ore, tender.change_ore) == (cash, 0)
    assert given_for(total, "card", total, "return").amount_ore == total


def test_pay2_a_sale_is_paid_in_a_bounded_number_of_parts() -> None:
    basket = a_basket(a_line(1, 100_000))
    for _ in range(MOST_TENDERS):
        baskets.apply(basket, TIME, decide_tender(basket, price(basket, NO_OFFERS, WHEN), "card", 1).tender)
    with pytest.raises(TooManyTendersError):
        decide_tender(basket, price(basket, NO_OFFERS, WHEN), "card", 1)
    assert left_to_pay(basket, price(basket, NO_OFFERS, WHEN)) == 100_000 - MOST_TENDERS
