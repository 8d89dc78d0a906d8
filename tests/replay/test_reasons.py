"""Each class has a test of the source's lines alone, which says no to an ordinary receipt and yes to its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest

from oppet.replay import plain, reasons
from oppet.replay.source import Bought, Invoiced, LogLine
from tests.replay.rows import ending, line, ordinary, other, tender

COUPON = tender(2, 100, "CP", status="C")
NOTHING_TO_ADD = ending(4)
OF_ITS_OWN: dict[str, list[LogLine]] = {
    reasons.CANCELLED: [replace(row, status="X") for row in ordinary()],
    reasons.TEST: [line(1, status="Z")],
    reasons.HEADLESS: [tender(5, 250), *ending(6)],
    reasons.TORN: [row for row in ordinary() if row.line != 2],
    reasons.UNPAID: [line(1)],
    reasons.STRAY_VOID: [line(1), line(2, status="V", milli=-3000), tender(3, 0)],
    reasons.CHEQUE_CASHED: [tender(1, 500, "CK"), *ending(2, change=500)],
    reasons.TWICE: [line(1), tender(2, 250), *ending(3), *ending(6)],
    reasons.MIXED: [line(1), line(2, status="R", milli=-1000, unit_cents=100), tender(3, 150), *ending(4)],
    reasons.REFUND: [line(1, status="R", milli=-1000), tender(2, -250, "CC"), *ending(3)],
    reasons.DEPOSIT: [line(1), line(2, name="JUG RETURN", unit_cents=-100, discountable=False), tender(3, 150), *ending(4)],
    reasons.VOUCHER: [line(1, tax=1), line(2, name="CREDIT", unit_cents=-100), tender(3, 170), *ending(4, tax=20)],
    reasons.CASH_BACK: [line(1), tender(2, 1000, "CK"), *ending(3, change=750)],
    reasons.TENDER_VOIDED: [line(1), tender(2, 100), tender(3, -100, status="V"), tender(4, 250), *ending(5)],
    reasons.BENEFITS: [line(1, tax=1), tender(2, 250, "EF"), *ending(3)],
    reasons.BELOW_ZERO: [line(1), tender(2, 250, "EF"), *ending(3, tax=-1, change=1)],
    reasons.PARTS: [line(1, milli=1500, unit_cents=100), tender(2, 150), *ending(3)],
    reasons.BELOW_CENT: [line(1, kind="D", code="0.0149DP7", milli=2000, unit_cents=1, cents=3), tender(2, 3), *ending(3)],
    reasons.FINE: [line(1, fine=True, weighed=True), tender(2, 250), *ending(3)],
    reasons.TOO_MANY: [line(1, milli=4_070_000), line(2, status="V", milli=-4_070_000), line(3), tender(4, 250), *ending(5)],
}  # fmt: skip
TESTS = dict(reasons.NEVER_SOLD) | dict(reasons.ALONGSIDE)


@pytest.mark.parametrize("name", TESTS)
def test_a_class_says_no_to_an_ordinary_receipt(name: str) -> None:
    assert not TESTS[name](ordinary())


@pytest.mark.parametrize("name", TESTS)
def test_a_class_says_yes_to_its_own(name: str) -> None:
    assert TESTS[name](OF_ITS_OWN[name])


@pytest.mark.parametrize("name", dict(reasons.NEVER_SOLD))
def test_the_first_class_of_what_is_never_sold_is_the_right_one(name: str) -> None:
    assert next(one for one, holds in reasons.NEVER_SOLD if holds(OF_ITS_OWN[name])) == name


@pytest.mark.parametrize("name", dict(reasons.NEVER_SOLD))
def test_what_is_sold_is_not_among_what_is_never_sold(name: str) -> None:
    for own in dict(reasons.ALONGSIDE):
        assert not TESTS[name](OF_ITS_OWN[own]), own


@pytest.mark.parametrize("name", dict(reasons.ALONGSIDE))
def test_a_class_says_no_to_every_receipt_of_a_class_it_is_no_part_of(name: str) -> None:
    """Not wider than it must be: only these are two things at once."""
    together = {
        (reasons.REFUND, reasons.MIXED), (reasons.BENEFITS, reasons.BELOW_ZERO), (reasons.CASH_BACK, reasons.BELOW_ZERO),
        (reasons.DEPOSIT, reasons.VOUCHER),
    }  # fmt: skip
    for own, rows in OF_ITS_OWN.items():
        if own != name and own in dict(reasons.ALONGSIDE) and (name, own) not in together:
            assert not TESTS[name](rows), own


def test_every_class_is_explained_in_words() -> None:
    for name in {*TESTS, reasons.HALF, reasons.PAID_OUT, reasons.NOTHING} - {reasons.CANCELLED}:
        assert reasons.CLASSES[name].endswith(".")


@pytest.mark.parametrize(
    ("exact", "said", "down"),
    [
        (Fraction(1925, 10), 192, True),
        (Fraction(1925, 10), 193, False),
        (Fraction(1925, 10), 191, False),
        (Fraction(1926, 10), 192, False),
        (Fraction(1924, 10), 191, False),
        (Fraction(-1925, 10), -192, True),
        (Fraction(192), 191, False),
    ],
)
def test_half_a_cent_is_exactly_half_and_exactly_one_down(exact: Fraction, said: int, down: bool) -> None:
    assert reasons.half_down(exact, said) is down


def test_an_ordinary_receipt_has_no_roundings_to_hide_behind() -> None:
    assert reasons.halves(ordinary()) == 0
    assert reasons.roundings(ordinary()) == 0
    assert reasons.unplaced(ordinary()) == 0
    assert not reasons.nothing(ordinary())


BOUGHT = Bought("1", 0, "p", 2000, 500, 100, 50, 0)
INVOICED = Invoiced("536365", 0, "i", "THING", 6, 2550)
JOURNEYS: dict[str, Bought] = {
    plain.EMPTY_LINE: replace(BOUGHT, milli=0, cents=0),
    plain.MEASURED: replace(BOUGHT, milli=8_776_000),
    plain.DIVIDED: replace(BOUGHT, cents=501),
    plain.COUPON_OVER: replace(BOUGHT, coupon_cents=600),
}
INVOICES: dict[str, list[Invoiced]] = {
    plain.CREDIT: [replace(INVOICED, receipt="C1", pieces=-6)],
    plain.STOCK: [replace(INVOICED, pieces=-6, unit_tenths=0)],
    plain.OFFICE: [replace(INVOICED, unit_tenths=-2550)],
    plain.LONG: [INVOICED] * 401,
    plain.MANY: [replace(INVOICED, pieces=1000)],
    plain.BELOW_PENNY: [replace(INVOICED, unit_tenths=1)],
}


@pytest.mark.parametrize(("name", "holds"), plain.JOURNEY_TESTS)
def test_a_class_of_baskets_says_yes_to_its_own_and_no_to_the_rest(
    name: str, holds: Callable[[list[Bought]], bool]
) -> None:
    assert not holds([BOUGHT])
    assert [own for own, row in JOURNEYS.items() if holds([row])] in ([name], [plain.EMPTY_LINE, name])


@pytest.mark.parametrize(("name", "holds"), [*plain.NOT_SOLD, *plain.INVOICE_TESTS])
def test_a_class_of_invoices_says_yes_to_its_own_and_no_to_the_rest(
    name: str, holds: Callable[[list[Invoiced]], bool]
) -> None:
    assert not holds([INVOICED] * 400)
    assert [own for own, rows in INVOICES.items() if holds(rows)] == [name]


def test_a_coupon_line_is_an_other_line() -> None:
    assert not reasons.counts(COUPON)
    assert not any(map(reasons.counts, NOTHING_TO_ADD))
    assert not reasons.counts(other(1, "C", 0))
