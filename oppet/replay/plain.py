"""Baskets without tenders or tax: quantity × price − discounts is what was paid, line by line.

`complete-journey` is a sample of lines of households' baskets, `online-retail` a wholesaler's invoices and credit
notes. Every class of difference has its test of the source's lines; a credit note is a return against an original.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Final, TypeVar

from oppet.replay.plan import (
    ORIGINAL,
    RETURN,
    SALE,
    Act,
    Book,
    Case,
    Cut,
    Figures,
    NotPlannedError,
    Paid,
    Reason,
    Sell,
    Slip,
    half_up,
)
from oppet.replay.source import Bought, Invoiced

__all__ = ["CLASSES", "Invoices", "Journey", "gathered"]

MOST_PIECES: Final = 999
MOST_LINES: Final = 400

NOTHING = "nothing was bought"
EMPTY_LINE = "a line of nothing"
DIVIDED = "a price that does not divide into cents"
MEASURED = "a quantity in thousandths"
COUPON_OVER = "a coupon above what is owed"
CREDIT = "a credit note without its invoice"
STOCK = "a stock adjustment, no sale"
OFFICE = "a booking of the office below zero"
LONG = "more lines than a receipt holds"
MANY = "more pieces than a line holds"
BELOW_PENNY = "a price below a penny"

CLASSES: Final[Mapping[str, str]] = {
    NOTHING: "Every line has quantity and amount nothing.",
    EMPTY_LINE: "A line with quantity and amount nothing, a coupon's at most: it is left out, the coupon pays.",
    DIVIDED: "Several for an amount that does not divide into whole cents a piece: two lines, a cent apart.",
    MEASURED: "Fuel, counted in thousandths of a gallon: sold once, at its amount. Pieces are at most 999 here (S9).",
    COUPON_OVER: "A manufacturer's coupon is worth more than the goods: it pays no more than is owed (PAY2).",
    CREDIT: "It does not say of which invoice. A return needs its original here: one like it is sold just before.",
    STOCK: "Minus so many at no price: goods lost or found. That is a journal of stock's, not a sale's.",
    OFFICE: "A bad debt written off as a line below zero: a booking, not a sale.",
    LONG: "At most 400 lines stand on one receipt here: it goes on on the next.",
    MANY: "At most 999 pieces stand on one line here: it goes on on the next.",
    BELOW_PENNY: "Sold once, at its amount rounded to a penny.",
}

Row = TypeVar("Row", Bought, Invoiced)


def gathered(rows: Iterable[Row]) -> list[tuple[Row, ...]]:
    """The rows of each basket, the earliest basket first."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.receipt].append(row)
    return sorted((tuple(basket) for basket in found.values()), key=lambda basket: (basket[0].time, basket[0].receipt))


def _case(rows: Sequence[Bought] | Sequence[Invoiced], total: int) -> Case:
    figures = {"goods": total, "total": total, "paid": total}
    return Case(rows[0].receipt, rows[0].time, len(rows), [], dict(figures), dict(figures))


def _paid(total: int) -> tuple[Paid, ...]:
    """A card; nothing is paid with nothing."""
    return (Paid("card", "", total, total),) if total else (Paid("cash", "", 0, 0),)


# --- complete-journey


def _nothing(rows: Sequence[Bought]) -> bool:
    return not any(row.milli or row.cents for row in rows)


def _empty_line(rows: Sequence[Bought]) -> bool:
    return any(not row.milli and not row.cents for row in rows)


def _full_cents(row: Bought) -> int:
    return row.cents + row.shelf_cents + row.match_cents


def _measured(rows: Sequence[Bought]) -> bool:
    return any(row.milli > MOST_PIECES * 1000 for row in rows)


def _divided(rows: Sequence[Bought]) -> bool:
    return any(1000 < row.milli <= MOST_PIECES * 1000 and _full_cents(row) % (row.milli // 1000) for row in rows)


def _coupon_over(rows: Sequence[Bought]) -> bool:
    return sum(row.coupon_cents for row in rows) > sum(row.cents for row in rows)


JOURNEY_TESTS: Final[tuple[tuple[str, Callable[[Sequence[Bought]], bool]], ...]] = (
    (EMPTY_LINE, _empty_line),
    (MEASURED, _measured),
    (DIVIDED, _divided),
    (COUPON_OVER, _coupon_over),
)


class Journey:
    """Plans households' baskets."""

    def __init__(self) -> None:
        self.book = Book()

    def plan(self, rows: Sequence[Bought]) -> Case:
        case = _case(rows, sum(row.cents for row in rows))
        if _nothing(rows):
            case.reasons.append(Reason(NOTHING))
            case.ours = {}
            return case
        case.reasons += [Reason(name) for name, holds in JOURNEY_TESTS if holds(rows)]
        try:
            case.slips.append(self._slip(rows))
        except NotPlannedError as trouble:
            case.trouble = str(trouble)
        return case

    def _slip(self, rows: Sequence[Bought]) -> Slip:
        acts: list[Act] = []
        lines: list[tuple[int, int]] = []
        off = 0
        for row in rows:
            if not row.milli and not row.cents:
                continue
            if row.milli <= 0 or (row.milli % 1000 and row.milli <= MOST_PIECES * 1000):
                raise NotPlannedError(f"{row.article}: quantity {row.milli}/1000")
            left = [("shelf offer", row.shelf_cents), ("coupon match", row.match_cents)]
            for pieces, unit in _pieces(row):
                number, _ = self.book.article((row.article,), row.article, "Groceries", unit)
                acts.append(Sell(number, pieces * 1000))
                lines.append((pieces * 1000, pieces * unit))
                room = pieces * unit
                for place, (why, cents) in enumerate(left):
                    if part := min(cents, room):
                        acts.append(Cut(len(lines) - 1, part, why))
                        left[place] = (why, cents - part)
                        room -= part
                        off += part
            if any(cents for _, cents in left):
                raise NotPlannedError(f"{row.article}: more off than it costs")
        total = sum(amount for _, amount in lines) - off
        coupon = min(total, sum(row.coupon_cents for row in rows))
        paid = ((Paid("coupon", "", coupon, coupon),) if coupon else ()) + (
            _paid(total - coupon) if total > coupon else ()
        )
        return Slip(SALE, tuple(acts), Figures(tuple(lines), off, 0, total, paid or _paid(0)))


def _pieces(row: Bought) -> Iterator[tuple[int, int]]:
    """(pieces, cents a piece), so that they cost what the line cost before discounts."""
    full = _full_cents(row)
    if row.milli > MOST_PIECES * 1000:
        yield 1, full
        return
    count = row.milli // 1000
    unit, dearer = divmod(full, count)
    if count > dearer:
        yield count - dearer, unit
    if dearer:
        yield dearer, unit + 1


# --- online-retail


def _credit(rows: Sequence[Invoiced]) -> bool:
    return rows[0].receipt.startswith("C")


def _stock(rows: Sequence[Invoiced]) -> bool:
    return not _credit(rows) and any(row.pieces < 0 for row in rows) and not any(row.unit_tenths for row in rows)


def _office(rows: Sequence[Invoiced]) -> bool:
    return any(row.unit_tenths < 0 for row in rows)


def _below_penny(rows: Sequence[Invoiced]) -> bool:
    return any(row.unit_tenths % 10 for row in rows)


def _many(rows: Sequence[Invoiced]) -> bool:
    return any(abs(row.pieces) > MOST_PIECES for row in rows)


def _lines_of(row: Invoiced) -> int:
    return 1 if row.unit_tenths % 10 else -(-abs(row.pieces) // MOST_PIECES)


def _long(rows: Sequence[Invoiced]) -> bool:
    return sum(map(_lines_of, rows)) > MOST_LINES


NOT_SOLD: Final = ((STOCK, _stock), (OFFICE, _office))
INVOICE_TESTS: Final = ((CREDIT, _credit), (LONG, _long), (MANY, _many), (BELOW_PENNY, _below_penny))


def _cents(row: Invoiced) -> int:
    return half_up(Fraction(abs(row.pieces) * row.unit_tenths, 10))


class Invoices:
    """Plans invoices and credit notes."""

    def __init__(self) -> None:
        self.book = Book()

    def plan(self, rows: Sequence[Invoiced]) -> Case:
        total = sum(_cents(row) if row.pieces > 0 else -_cents(row) for row in rows)
        case = _case(rows, total)
        for name, holds in NOT_SOLD:
            if holds(rows):
                case.ours = {}
                case.reasons.append(Reason(name, dict(case.source)))
                return case
        case.reasons += [Reason(name) for name, holds in INVOICE_TESTS if holds(rows)]
        if any((row.pieces < 0) != _credit(rows) or not row.pieces for row in rows):
            case.trouble = "pieces of both signs on one invoice"
            return case
        sold = [piece for row in rows for piece in self._lines(row)]
        for first in range(0, len(sold), MOST_LINES):
            self._slips(case, sold[first : first + MOST_LINES], back=_credit(rows))
        return case

    def _slips(self, case: Case, sold: Sequence[tuple[Sell, int]], *, back: bool) -> None:
        total = sum(cents for _, cents in sold)
        expect = Figures(tuple((act.milli, cents) for act, cents in sold), 0, 0, total, _paid(total))
        case.slips.append(Slip(ORIGINAL if back else SALE, tuple(act for act, _ in sold), expect))
        if back:
            case.slips.append(Slip(RETURN, (), expect))

    def _lines(self, row: Invoiced) -> Iterator[tuple[Sell, int]]:
        if row.unit_tenths % 10:
            yield self._sell(row, 1, _cents(row)), _cents(row)
            return
        unit, left = row.unit_tenths // 10, abs(row.pieces)
        while left:
            pieces = min(left, MOST_PIECES)
            yield self._sell(row, pieces, unit), pieces * unit
            left -= pieces

    def _sell(self, row: Invoiced, pieces: int, unit: int) -> Sell:
        number, _ = self.book.article((row.article,), row.name or row.article, "Gifts", unit)
        return Sell(number, pieces * 1000)
