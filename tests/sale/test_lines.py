"""Lines of goods: what is sold at what amount, what is nonsense, and parts of a return that add up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oppet.base.money import LARGEST_ORE
from oppet.goods.article import Article, Price
from oppet.goods.codes import Scanned
from oppet.journal.kinds import LineAdded, LineDiscount, Receipt, ReceiptLine
from oppet.sale.basket import Line
from oppet.sale.errors import NotReturnableError, OddQuantityError
from oppet.sale.lines import MOST_PIECES, Came, changed, goods_line, pant_line, returned_line
from tests.sale.baskets import TIME, a_line

PIECE = Article("1", "Mjölk", "Mejeri", "food", "st", (Price("2026-01-01", 1_690),))
WEIGHED = Article("2", "Bananer", "Frukt", "food", "kg", (Price("2026-01-01", 2_790),), max_weight_g=10_000)
PANT = Article("3", "Pant", "Pant", "none", "st", (Price("2026-01-01", 200),), discountable=False)


def sold(
    article: Article,
    quantity: int,
    scanned: Scanned | None = None,
    ore: int | None = None,
    member_ore: int | None = None,
) -> LineAdded:
    terms = Price("2026-01-01", article.prices[0].ore if ore is None else ore, None, member_ore)
    return goods_line(1, 1, article, terms, 600, quantity, scanned)


def label(ore: int) -> Scanned:
    return Scanned(raw="2000000000000", kind="price", scale_code="456789", price_ore=ore)


BAD_PIECES = [0, -1, -1000, 1, 999, 1001, 1500, (MOST_PIECES + 1) * 1000, 10**30, -(10**30)]
BAD_WEIGHTS = [0, -1, -755, 10_001, 10**30]


@pytest.mark.parametrize("quantity", BAD_PIECES)
def test_s9_pieces_of_nonsense_are_refused(quantity: int) -> None:
    with pytest.raises(OddQuantityError):
        sold(PIECE, quantity)
    with pytest.raises(OddQuantityError):
        sold(PIECE, quantity, label(2_500))
    with pytest.raises(OddQuantityError):
        changed(Line(a_line(1, 1_690), TIME, 1000, 1_690), quantity, 10_000)


@pytest.mark.parametrize("quantity", BAD_WEIGHTS)
def test_s9_weights_of_nonsense_are_refused(quantity: int) -> None:
    with pytest.raises(OddQuantityError):
        sold(WEIGHED, quantity)
    with pytest.raises(OddQuantityError):
        changed(Line(a_line(1, 2_790, unit="kg"), TIME, 1000, 2_790), quantity, 10_000)


@pytest.mark.parametrize(("quantity", "ore"), [(1000, 1_690), (3000, 5_070), (MOST_PIECES * 1000, 1_688_310)])
def test_s4_pieces_cost_their_number_of_times(quantity: int, ore: int) -> None:
    assert sold(PIECE, quantity).amount_ore == ore


@pytest.mark.parametrize(
    ("grams", "ore"), [(1, 3), (755, 2_106), (1000, 2_790), (10_000, 27_900), (179, 499), (180, 502)]
)
def test_s4_weights_cost_half_up_to_the_ore(grams: int, ore: int) -> None:
    assert sold(WEIGHED, grams).amount_ore == ore


@pytest.mark.parametrize("unit", ["st", "kg"])
def test_s9_a_line_of_a_million_is_a_typing_error(unit: str) -> None:
    article = PIECE if unit == "st" else WEIGHED
    with pytest.raises(OddQuantityError):
        sold(article, 2000, ore=LARGEST_ORE)
    with pytest.raises(OddQuantityError):
        sold(article, 1000, label(LARGEST_ORE + 1))


def test_s10_the_price_in_the_code_is_charged_and_its_weight_only_derived() -> None:
    line = sold(WEIGHED, 1000, label(3_456))
    assert (line.amount_ore, line.unit_ore, line.quantity_milli, line.priced_by_label) == (3_456, 2_790, 1_239, True)
    free = sold(WEIGHED, 1000, label(3_456), ore=0)
    assert (free.amount_ore, free.quantity_milli) == (3_456, 1000)
    with pytest.raises(OddQuantityError):
        sold(WEIGHED, 2000, label(3_456))
    with pytest.raises(OddQuantityError):
        changed(Line(line, TIME, line.quantity_milli, line.amount_ore), 2000, 10_000)


def test_s10_a_labelled_piece_can_be_many_of_its_own_price() -> None:
    line = sold(PIECE, 2000, label(2_500))
    assert (line.amount_ore, line.unit_ore) == (5_000, 2_500)
    assert changed(Line(line, TIME, 2000, 5_000), 3000, 0).amount_ore == 7_500


@given(st.integers(1, 100_000), st.integers(1, 20_000), st.integers(0, 20_000))
def test_s10_a_members_price_on_a_label_is_in_proportion(label_ore: int, ordinary: int, member: int) -> None:
    line = sold(PIECE, 1000, label(label_ore), ore=ordinary, member_ore=member)
    assert line.member_unit_ore is not None
    assert abs(line.member_unit_ore * ordinary - label_ore * member) <= ordinary / 2
    if member <= ordinary:
        assert line.member_unit_ore <= label_ore


def test_s5_the_deposit_follows_its_goods_and_gives_no_discount() -> None:
    of = sold(PIECE, 3000)
    pant = pant_line(1, 2, PANT, PANT.prices[0], 0, of)
    assert (pant.amount_ore, pant.pant_of, pant.quantity_milli, pant.discountable) == (600, 1, 3000, False)


# --- parts of a return ----------------------------------------------------------------------------------------------


def an_original(quantity: int, amount: int, net: int, unit: str) -> tuple[Receipt, ReceiptLine]:
    less = (LineDiscount("promotion", "3 för 2", amount - net, "P1"),) if amount != net else ()
    line = ReceiptLine(1, "A1", "Vara", "Mejeri", "vara", quantity, unit, 0, amount, less, net, 600, 0, TIME)
    receipt = Receipt(
        sale=1, kind="sale", number=7, company="", org_no="", address="", register="", cashier=7, lines=(line,), total_ore=net,
        rounding_ore=0, vat=(), tenders=(), unit="", code="",
    )  # fmt: skip
    return receipt, line


@given(
    st.booleans(),
    st.integers(1, 9),
    st.integers(0, 2_000),
    st.data(),
)
def test_r17_parts_add_up_to_the_original_and_never_to_more(
    weighed: bool, pieces: int, amount: int, data: st.DataObject
) -> None:
    """Whatever parts are taken, voided and taken again: never more than was paid, and all of it when all is back."""
    quantity, step = (pieces * 137, 1) if weighed else (pieces * 1000, 1000)
    net = data.draw(st.integers(0, amount))
    receipt, line = an_original(quantity, amount, net, "kg" if weighed else "st")
    standing: list[tuple[int, int, int]] = []

    def came() -> Came:
        return Came(*(sum(part[i] for part in standing) for i in range(3)))

    def take(milli: int) -> None:
        added = returned_line(2, 1, receipt, line, milli, came())
        part_net = added.amount_ore - sum(d.ore for d in added.discounts)
        assert 0 <= part_net <= added.amount_ore
        assert all(d.ore > 0 for d in added.discounts)
        standing.append((milli, added.amount_ore, part_net))
        assert came().net_ore <= net
        assert came().amount_ore <= amount

    for _ in range(data.draw(st.integers(0, 8))):
        left = (quantity - came().quantity_milli) // step
        voids: bool = data.draw(st.booleans())
        if standing and voids:
            standing.pop(data.draw(st.integers(0, len(standing) - 1)))
        elif left:
            take(step * data.draw(st.integers(1, left)))
    if left := quantity - came().quantity_milli:
        take(left)
    assert came() == Came(quantity, amount, net)


def test_r17_a_third_is_taken_voided_and_taken_again() -> None:
    receipt, line = an_original(3000, 100, 100, "st")
    second = returned_line(2, 2, receipt, line, 1000, Came(1000, 33, 33))
    assert second.amount_ore == 34
    again = returned_line(2, 3, receipt, line, 1000, Came(1000, second.amount_ore, second.amount_ore))
    assert again.amount_ore == 33, "the first third was voided: its öre are not given twice"


@pytest.mark.parametrize("quantity", [1, 500, 1500])
def test_s6_pieces_come_back_whole(quantity: int) -> None:
    receipt, line = an_original(3000, 100, 100, "st")
    with pytest.raises(NotReturnableError):
        returned_line(2, 1, receipt, line, quantity, Came())


def test_s6_a_part_names_its_original_and_keeps_its_vat() -> None:
    receipt, line = an_original(3000, 300, 200, "st")
    part = returned_line(2, 5, receipt, line, 1000, Came(), pant_of=4)
    assert (part.line, part.original_line, part.vat_rate, part.pant_of, part.discountable) == (5, 1, 600, 4, False)
    assert [(d.kind, d.ore, d.source) for d in part.discounts] == [("original", 33, "7")]
