"""The goods of a foreign receipt as a basket of ours: articles, voids, quantities, and where negative lines go.

A negative line is impossible at our till. It becomes a discount on goods of its own tax class, or on the basket, or
pays as a voucher where it is a deposit or no goods can carry it. What is left for `settling.py` is money.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from oppet.replay import reasons as why
from oppet.replay.plan import Act, Book, Change, Cut, Figures, NotPlannedError, Paid, Refuse, Sell, Void, half_up
from oppet.replay.reasons import exact_cents
from oppet.replay.source import LogLine

__all__ = ["Basket", "Filler", "Good", "figures"]

MOST_PIECES: Final = 999


@dataclass(slots=True)
class Good:
    """A standing line of a basket being planned."""

    row: LogLine
    milli: int
    cents: int
    off: int = 0
    gone: bool = False

    @property
    def net(self) -> int:
        return self.cents - self.off


@dataclass(slots=True)
class Basket:
    goods: list[Good] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    less: list[LogLine] = field(default_factory=list)  # negative lines, to be placed when all goods are known
    after: list[tuple[int, str]] = field(default_factory=list)  # off the whole basket, after percent and tax
    deposit: int = 0
    off_basket: int = 0  # what of `after` the basket could carry
    unplaced: int = 0  # reductions that no goods can carry

    def voucher(self) -> int:
        return self.deposit + self.unplaced

    def standing(self) -> list[Good]:
        return [good for good in self.goods if not good.gone]

    def base(self) -> int:
        """What the basket's percent is taken from."""
        return sum(good.net for good in self.standing() if good.row.discountable)

    def taxed(self) -> list[tuple[int, bool, int]]:
        return [(good.row.tax, good.row.discountable, good.net) for good in self.standing()]


class Filler:
    """Fills baskets; the articles they need gather in `book`."""

    def __init__(self, book: Book, departments: Mapping[int, str]) -> None:
        self.book = book
        self._departments = departments

    def fill(self, rows: Sequence[LogLine], *, whole: bool = True) -> Basket:
        """The goods with voids and reductions; of a receipt that is never sold, as much as fits together."""
        basket = Basket()
        for row in rows:
            if not why.counts(row):
                continue
            if row.status == "V" or (row.milli < 0 and row.unit_cents >= 0 and why.stands(_left(basket), row)):
                if not self._void(basket, row) and whole:
                    raise NotPlannedError(f"line {row.line} voids what is not there")
            elif row.status == "R":
                self._sell(basket, why.turned(row))  # a deposit taken back again
            elif row.cents < 0:
                basket.less.append(row)
            else:
                self._sell(basket, row)
        for row in basket.less:
            _place(basket, row)
        return basket

    def _sell(self, basket: Basket, row: LogLine) -> None:
        number, text, milli, cents = self._article(row)
        if row.milli > MOST_PIECES * 1000 and not row.weighed:
            basket.acts.append(Refuse(number, milli))
            return
        basket.acts.append(Sell(number, milli, text))
        basket.goods.append(Good(row, milli, cents))

    def _article(self, row: LogLine) -> tuple[str, str, int, int]:
        """(number, text to scan, quantity, cents): by the piece, by the pound, or once at the amount that was keyed."""
        exact = exact_cents(row)
        cents, ore, milli = half_up(exact), row.unit_cents, row.milli
        if why.keyed_whole(row):
            cents, ore, milli = row.cents, row.cents, 1000
        elif cents != row.cents and not why.half_down(exact, row.cents):
            raise NotPlannedError(f"line {row.line}: {row.unit_cents} × {row.milli}/1000 is not {row.cents}")
        number, text = self.book.article(
            (row.kind, row.code if row.kind == "I" else row.department),
            row.name,
            self._departments.get(row.department, str(row.department)),
            ore,
            weighed=row.weighed,
            discountable=row.discountable,
            tax=row.tax if row.tax in why.RATES else 0,
            ean13=row.ean13,
            plu=row.code.lstrip("0") if row.kind == "I" and len(row.code.lstrip("0")) <= 7 else "",
        )
        return number, text, milli, cents

    def _void(self, basket: Basket, row: LogLine) -> bool:
        """Take a line off, or some pieces of one; a reduction that is voided was never given. False: nothing fits."""
        if row.cents > 0:
            given = next((less for less in basket.less if (less.code, less.cents) == (row.code, -row.cents)), None)
            if given is not None:
                basket.less.remove(given)
            return given is not None
        if row.milli < -MOST_PIECES * 1000 and not row.weighed:
            return True  # what was refused need not be voided
        place = why.voided(_left(basket), row)
        if place is None:
            return self._void_with_special(basket, row)
        good = basket.goods[place]
        if why.keyed_whole(good.row) or good.milli == -row.milli:
            good.gone = True
            basket.acts.append(Void(place))
            return True
        good.milli += row.milli
        good.cents = half_up(Fraction(good.row.unit_cents * good.milli, 1000))
        basket.acts.append(Change(place, good.milli))
        return True

    def _void_with_special(self, basket: Basket, row: LogLine) -> bool:
        """A void at the price after a member special: the goods and their special go together."""
        for place, good in enumerate(basket.goods):
            for less in basket.less:
                same = good.row.code == less.code == row.code and not good.gone and good.milli == -row.milli
                if same and good.cents + less.cents == -row.cents:
                    good.gone = True
                    basket.less.remove(less)
                    basket.acts.append(Void(place))
                    return True
        return False


def _left(basket: Basket) -> list[tuple[LogLine, int]]:
    """The lines as a void sees them: each with what is left of it, nothing where it is gone."""
    return [
        (good.row, 0 if good.gone else good.row.milli if why.keyed_whole(good.row) else good.milli)
        for good in basket.goods
    ]


def _place(basket: Basket, row: LogLine) -> None:
    """A negative line becomes a discount: on goods of its own kind, or on the basket, or a voucher for a deposit."""
    left = -row.cents
    if why.deposit_back(row):
        basket.deposit += left
        return
    if not why.on_goods(row):
        basket.after.append((left, row.name))
        return
    same = [good for good in basket.standing() if (good.row.tax, good.row.discountable) == (row.tax, True)]
    same.sort(key=lambda good: (good.row.code != row.code, good.row.department != row.department, -good.row.line))
    for good in same:
        part = min(left, good.net)
        if part > 0:
            good.off += part
            left -= part
            basket.acts.append(Cut(basket.goods.index(good), part, row.name or "reduction"))
    basket.unplaced += left


def figures(basket: Basket, less: int, tax: int, total: int, paid: tuple[Paid, ...]) -> Figures:
    standing = basket.standing()
    lines = tuple((good.milli, good.cents) for good in standing)
    return Figures(lines, sum(good.off for good in standing) + less + basket.off_basket, tax, total, paid)
