"""Why a receipt of the source cannot come out of our till to the cent: each class with its own test of the source.

Every test here looks at the source's lines and at nothing else, least of all at what our till made of them; so a class
can never swallow a mistake of ours. Also here: what the source's own arithmetic should have been.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Final

from oppet.replay.lanes import sum_cents
from oppet.replay.plan import half_up
from oppet.replay.source import LogLine

__all__ = ["ALONGSIDE", "CLASSES", "NEVER_SOLD"]

Rows = Sequence[LogLine]

CANCELLED = "cancelled"
TEST = "till test"
HEADLESS = "the beginning is missing in the source"
TORN = "a line is missing in the source"
UNPAID = "never paid in the source"
STRAY_VOID = "a void of what was not sold"
CHEQUE_CASHED = "a cheque changed into cash, nothing sold"
NOTHING = "nothing was sold"
TWICE = "closing lines written twice"
HALF = "half a cent rounded down in the source"
MIXED = "sale and refund on one receipt"
REFUND = "refund without its original receipt"
DEPOSIT = "a deposit given back is a voucher here"
PAID_OUT = "more given back than bought"
VOUCHER = "a reduction that no goods can carry is a voucher here"
CASH_BACK = "cash given back on a cheque or card"
TENDER_VOIDED = "a tender was voided"
BENEFITS = "tax lowered by a benefits card, taken as printed"
BELOW_ZERO = "a tax below zero"
PARTS = "a quantity in parts of a piece"
BELOW_CENT = "a price below a cent"
FINE = "a weight finer than a thousandth"
TOO_MANY = "a quantity that our till refuses"

CLASSES: Final[Mapping[str, str]] = {
    TEST: "Rung up by a lane in test mode and not counted there; given up here.",
    HEADLESS: "The number of its first line is not 1: a cut of the source. Nothing can be sold.",
    TORN: "Its line numbers have a gap: the source left a broken line out. The goods that are there are given up.",
    UNPAID: "Goods and no tender, booked by the office at night. A Swedish till registers nothing unpaid: given up here.",
    STRAY_VOID: "More of an article was voided than sold. Here a void takes off a line that is there; given up.",
    CHEQUE_CASHED: "A tender and the same amount in change, no goods. A till here gives no money for money.",
    NOTHING: "No goods on it: a drawer opened, a log-in, a receipt begun and left. There is nothing to register.",
    TWICE: "Discount and tax were written a second time after the receipt was paid. The first are replayed.",
    HALF: "Price × weight, discount or tax ends in exactly half a cent and the source, in floats, went down; we go up.",
    MIXED: "A receipt is a sale or a return here, never both (SKVFS 2014:9): two receipts, each rounded by itself.",
    REFUND: "The source does not say of what. A return needs its original here: one like it is sold just before.",
    DEPOSIT: "A negative line of goods is impossible here: deposits come back as a voucher that pays.",
    PAID_OUT: "Deposits or credits above what was bought were paid out; here a voucher pays no more than is owed.",
    VOUCHER: "A credit with no goods of its tax class to take it off: it pays instead of lowering total and tax.",
    CASH_BACK: "More was paid by cheque or card than was owed, and cash came back. Here only cash gives change.",
    TENDER_VOIDED: "Taken and voided before the end; both are left out here.",
    BENEFITS: "Benefits money frees goods from tax by a rule of its own; the profile takes the tax as it was printed.",
    BELOW_ZERO: "The benefits card's rule left a tax of less than nothing, paid out as change; here there is none.",
    PARTS: "Pieces are whole here (S9): sold once, at the amount that was paid.",
    BELOW_CENT: "The price was keyed with fractions of a cent: sold once, at the amount that was paid.",
    FINE: "The quantity is a thousandth here; the amount is the same.",
    TOO_MANY: "A slip of the finger, voided by the cashier there; here the till refuses it at once (S9).",
}  # fmt: skip

RATES: Final[Mapping[int, Fraction]] = {0: Fraction(0), 1: Fraction(7875, 100_000), 2: Fraction(10_125, 100_000)}
MOST_PIECES: Final = 999
_KEYED: Final = re.compile(r"\d*\.(\d+)DP\d+")


# --- reading a line


def counts(row: LogLine) -> bool:
    """Is it goods, a void, a refund or a reduction? Notices, totals and lines of nothing are not."""
    return row.kind in ("I", "D") and row.status != "D" and row.code != "DISCOUNT" and bool(row.milli or row.cents)


def turned(row: LogLine) -> LogLine:
    """A refunded line as it was sold."""
    return replace(row, status="", milli=abs(row.milli), cents=abs(row.cents), unit_cents=abs(row.unit_cents))


def exact_cents(row: LogLine) -> Fraction:
    return Fraction(row.unit_cents * row.milli, 1000)


def half_down(exact: Fraction, cents: int) -> bool:
    """Exactly half a cent, and the source went towards zero."""
    return (2 * exact).denominator == 1 and exact.denominator == 2 and abs(cents) == abs(half_up(exact)) - 1


def below_cent(row: LogLine) -> bool:
    keyed = _KEYED.match(row.code)
    return row.kind == "D" and keyed is not None and len(keyed[1].rstrip("0")) > 2


def keyed_whole(row: LogLine) -> bool:
    """Sold once at its amount: not whole pieces, or a price that no cent can say."""
    return not row.weighed and (row.milli % 1000 != 0 or below_cent(row))


def deposit_back(row: LogLine) -> bool:
    return row.cents < 0 and not row.tax and not row.discountable and row.name.rstrip().endswith(" RETURN")


def on_goods(row: LogLine) -> bool:
    """A reduction of certain goods: it lowers what tax or the basket's percent is taken from."""
    return row.discountable or row.tax != 0


def voided(lines: Sequence[tuple[LogLine, int]], row: LogLine) -> int | None:
    """The place of the line that a void is of: the last of the same goods and quantity, else one with more of it."""
    same = [
        (place, left)
        for place, (line, left) in enumerate(lines)
        if left and (line.code, line.unit_cents, line.department) == (row.code, row.unit_cents, row.department)
    ]
    exact = [place for place, left in same if left == -row.milli]
    more = [place for place, left in same if left > -row.milli]
    return next(reversed(exact or more), None)


def stands(lines: Sequence[tuple[LogLine, int]], row: LogLine) -> bool:
    return voided(lines, row) is not None


def without_voided_refunds(rows: Rows) -> list[LogLine]:
    """The rows without refunds that were voided, and their voids."""
    kept: list[LogLine] = []
    for row in rows:
        if row.status == "V" and row.milli > 0 and row.unit_cents > 0:
            of = next((k for k in kept if k.status == "R" and (k.code, k.milli) == (row.code, -row.milli)), None)
            if of is not None:
                kept.remove(of)
                continue
        kept.append(row)
    return kept


def refunded(row: LogLine) -> bool:
    """Goods coming back; a deposit that is taken back again is sold."""
    return row.status == "R" and row.cents < 0


# --- the source's own sums


def closed_once(rows: Rows) -> Rows:
    """The rows without a second set of closing lines."""
    ends = [place for place, row in enumerate(rows) if row.kind == "A"]
    return rows[: ends[0] + 1] if len(ends) > 1 else rows


def percent(rows: Rows) -> int:
    """The basket's discount in whole percent."""
    return max(row.percent for row in rows)


def less_cents(rows: Rows) -> int:
    return -sum(row.cents for row in rows if row.code == "DISCOUNT" and row.status != "X")


def tax_cents(rows: Rows) -> int:
    return sum(row.cents for row in rows if row.kind == "A")


def change_cents(rows: Rows) -> int:
    return sum(row.cents for row in rows if row.kind == "T" and row.name == "Change")


def tenders(rows: Rows) -> list[LogLine]:
    """What was paid with, or paid out by, without change and without lines of nothing."""
    return [row for row in rows if row.kind == "T" and row.name != "Change" and row.cents]


def exact_less(rows: Rows) -> Fraction:
    """The percent of all that is discountable."""
    return Fraction(percent(rows) * sum(row.cents for row in rows if counts(row) and row.discountable), 100)


def exact_tax(rows: Rows) -> Fraction:
    """One sum over the receipt, each class at its rate, after the basket's percent."""
    share = percent(rows)
    taxed = (row for row in rows if counts(row) and row.tax in RATES)
    return sum(
        (RATES[row.tax] * row.cents * (100 - share * row.discountable) / 100 for row in taxed), start=Fraction(0)
    )


def exempt(rows: Rows) -> bool:
    return any("Tax Exempt" in row.name for row in rows)


def source_figures(rows: Rows) -> dict[str, int]:
    """What the source says of itself; cancelled and tested lines say nothing."""
    told = [row for row in rows if row.status not in ("X", "Z")]
    goods = sum(row.cents for row in told if counts(row))
    less, tax = less_cents(told), tax_cents(told)
    total = goods - less + tax
    paid = -sum(row.cents for row in told if row.kind == "T")
    change = change_cents(told) if total >= 0 else 0  # of a refund it is the refund
    return {"goods": goods, "less": less, "tax": tax, "total": total, "paid": paid, "change": change}


def halves(rows: Rows) -> int:
    """How many of its roundings went down from exactly half a cent."""
    once = closed_once(rows)
    lines = sum(
        half_down(exact_cents(row), row.cents)
        for row in once
        if counts(row) and row.cents and not keyed_whole(row) and row.status != "R"
    )
    return lines + half_down(exact_less(once), less_cents(once)) + half_down(exact_tax(once), tax_cents(once))


def roundings(rows: Rows) -> int:
    """The most cents by which roundings of the source and ours may part: one each, and one where halves add up."""
    once = closed_once(rows)
    below = sum(counts(row) and below_cent(row) for row in once)
    events = halves(once) + below
    return (events + 1 if events else 0) + _mixed(once)


# --- the classes


def _cancelled(rows: Rows) -> bool:
    return all(row.status == "X" for row in rows)


def _test(rows: Rows) -> bool:
    return all(row.status == "Z" for row in rows)


def _headless(rows: Rows) -> bool:
    return rows[0].line != 1


def _torn(rows: Rows) -> bool:
    return rows[0].line == 1 and rows[-1].line != len(rows)


def _unpaid(rows: Rows) -> bool:
    return any(map(counts, rows)) and not tenders(rows) and sum_cents(rows) > 0


def _stray_void(rows: Rows) -> bool:
    left: dict[str, int] = defaultdict(int)
    for row in rows:
        if counts(row) and row.status in ("", "V") and row.cents * row.milli > 0:
            left[row.code] += row.milli
    return any(milli < 0 for milli in left.values()) and any(row.status == "V" for row in rows)


def _cheque_cashed(rows: Rows) -> bool:
    return not any(map(counts, rows)) and bool(tenders(rows)) and sum_cents(rows) == 0


def nothing(rows: Rows) -> bool:
    """No goods, or every line of them voided."""
    left: dict[str, int] = defaultdict(int)
    for row in rows:
        if counts(row):
            left[row.code] += row.cents
    return not any(left.values())


def _twice(rows: Rows) -> bool:
    return sum(row.kind == "A" for row in rows) > 1


def _refund(rows: Rows) -> bool:
    return any(map(refunded, without_voided_refunds(rows)))


def _mixed(rows: Rows) -> bool:
    return _refund(rows) and any(counts(row) and not refunded(row) for row in without_voided_refunds(rows))


def unplaced(rows: Rows) -> int:
    """What of the reductions no goods can carry, in cents: more off a tax class, or off the basket, than is in it."""
    sold = [row for row in without_voided_refunds(rows) if counts(row) and not refunded(row) and not deposit_back(row)]
    of_class: dict[int, int] = defaultdict(int)
    for row in sold:
        if row.discountable:
            of_class[row.tax] += row.cents
    short = sum(-cents for cents in of_class.values() if cents < 0)
    base = sum(cents for cents in of_class.values() if cents > 0)
    room = base - half_up(Fraction(base * percent(rows), 100))
    for row in sold:
        if row.cents < 0 and not on_goods(row) and not _voids(row):
            short, room = (short, room + row.cents) if -row.cents <= room else (short - row.cents, room)
    return short


def _voids(row: LogLine) -> bool:
    return row.status == "V" or row.milli < 0


def _voucher(rows: Rows) -> bool:
    return unplaced(rows) > 0


def _deposit(rows: Rows) -> bool:
    return any(counts(row) and deposit_back(row) for row in rows)


def _cash_back(rows: Rows) -> bool:
    if not any(map(counts, rows)) or source_figures(rows)["total"] < 0:
        return False
    cash = -sum(row.cents for row in tenders(rows) if row.sub == "CA")
    return change_cents(rows) > cash and change_cents(rows) > 0


def _tender_voided(rows: Rows) -> bool:
    return any(row.kind == "T" and row.status == "V" for row in rows)


def _benefits(rows: Rows) -> bool:
    paid = any(row.kind == "T" and row.sub in ("EF", "EC") and row.cents for row in rows)
    return paid and tax_cents(rows) != half_up(exact_tax(rows))


def _below_zero(rows: Rows) -> bool:
    return tax_cents(rows) < 0 and not _refund(rows)


def _parts(rows: Rows) -> bool:
    return any(counts(row) and not row.weighed and row.milli % 1000 for row in rows)


def _below_cent(rows: Rows) -> bool:
    return any(counts(row) and below_cent(row) for row in rows)


def _fine(rows: Rows) -> bool:
    return any(counts(row) and row.fine and row.weighed for row in rows)


def _too_many(rows: Rows) -> bool:
    return any(counts(row) and not row.weighed and row.milli > MOST_PIECES * 1000 for row in rows)


Test = Callable[[Rows], bool]
# The receipt as a whole is not sold here: the first that holds.
NEVER_SOLD: Final[tuple[tuple[str, Test], ...]] = (
    (CANCELLED, _cancelled),
    (TEST, _test),
    (HEADLESS, _headless),
    (TORN, _torn),
    (UNPAID, _unpaid),
    (STRAY_VOID, _stray_void),
    (CHEQUE_CASHED, _cheque_cashed),
)
# It is sold, and these are told with it; the figures they cover are worked out where the receipt is planned.
ALONGSIDE: Final[tuple[tuple[str, Test], ...]] = (
    (TWICE, _twice),
    (MIXED, _mixed),
    (REFUND, _refund),
    (DEPOSIT, _deposit),
    (VOUCHER, _voucher),
    (CASH_BACK, _cash_back),
    (TENDER_VOIDED, _tender_voided),
    (BENEFITS, _benefits),
    (BELOW_ZERO, _below_zero),
    (PARTS, _parts),
    (BELOW_CENT, _below_cent),
    (FINE, _fine),
    (TOO_MANY, _too_many),
)
