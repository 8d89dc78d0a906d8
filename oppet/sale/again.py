"""What would it have cost? Receipts that were made, reckoned once more with two assortments, so that people see what new prices do.

Both sides are reckoned by the rules of a sale (goods, deposits, offers, member prices) at the same hour of the same day, so that
nothing but the assortment differs. Discounts that a person gave and mark-downs by date are left out on both sides. A line that
one of the assortments cannot sell stays on both at what was paid for it, and is counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import nlargest
from typing import Final

from oppet.base.clock import local_minute, parse_utc
from oppet.base.errors import RefusedError
from oppet.goods.article import price_at
from oppet.goods.catalogue import Catalogue
from oppet.goods.promotions import PromotionBook
from oppet.journal.kinds import Receipt, ReceiptLine
from oppet.sale.basket import Basket, Line
from oppet.sale.lines import goods_line, pant_line
from oppet.sale.price import Priced, price

__all__ = ["Again", "BasketAgain", "GroupAgain", "LineAgain", "again"]

MOST_LARGEST: Final = 10


@dataclass(frozen=True, slots=True)
class LineAgain:
    name: str
    quantity_milli: int
    unit: str
    before_ore: int
    after_ore: int


@dataclass(frozen=True, slots=True)
class BasketAgain:
    """One receipt, reckoned twice."""

    time: str
    before_ore: int
    after_ore: int
    lines: tuple[LineAgain, ...]  # those that differ

    @property
    def change_ore(self) -> int:
        return self.after_ore - self.before_ore


@dataclass(frozen=True, slots=True)
class GroupAgain:
    group: str
    before_ore: int
    after_ore: int


@dataclass(frozen=True, slots=True)
class Again:
    """All receipts together; `largest` are those that change most."""

    receipts: int
    changed: int
    left_out: int  # lines that one of the two cannot sell
    before_ore: int
    after_ore: int
    groups: tuple[GroupAgain, ...]  # that change, the largest change first
    largest: tuple[BasketAgain, ...]


@dataclass(slots=True)
class _Sums:
    receipts: int = 0
    changed: int = 0
    left_out: int = 0
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)


def again(receipts: Iterable[Receipt], before: Catalogue, after: Catalogue, since: str) -> Again:
    """Reckon receipts of a day as if they were made on the day of `since` (local), not before its hour."""
    books = PromotionBook(before.promotions), PromotionBook(after.promotions)
    sums, found = _Sums(), []
    for receipt in receipts:
        basket = _twice(receipt, (before, after), books, since, sums)
        sums.receipts += 1
        if basket.change_ore or basket.lines:
            sums.changed += 1
            found.append(basket)
            if len(found) > 20 * MOST_LARGEST:
                found = _largest(found)
    groups = [GroupAgain(group, ore, sums.after.get(group, 0)) for group, ore in sums.before.items()]
    groups += [GroupAgain(group, 0, ore) for group, ore in sums.after.items() if group not in sums.before]
    groups = [one for one in groups if one.before_ore != one.after_ore]
    groups.sort(key=lambda one: (-abs(one.after_ore - one.before_ore), one.group))
    return Again(
        sums.receipts, sums.changed, sums.left_out, sum(sums.before.values()), sum(sums.after.values()), tuple(groups),
        tuple(_largest(found)),
    )  # fmt: skip


def _largest(found: list[BasketAgain]) -> list[BasketAgain]:
    return nlargest(MOST_LARGEST, found, key=lambda one: (abs(one.change_ore), one.before_ore))


def _twice(
    receipt: Receipt, sides: tuple[Catalogue, Catalogue], books: tuple[PromotionBook, PromotionBook], since: str, sums: _Sums
) -> BasketAgain:  # fmt: skip
    goods = [line for line in receipt.lines if not line.pant_of and not line.original_line]
    when = _moment(receipt, since)
    kept = [line for line in goods if all(_sells(side, line, when) for side in sides)]
    sums.left_out += len(goods) - len(kept)
    for line in goods:
        if line not in kept:
            for groups in (sums.before, sums.after):
                groups[line.group] = groups.get(line.group, 0) + line.net_ore
    old, new = (_priced(kept, side, book, when, receipt.member) for side, book in zip(sides, books, strict=True))
    for priced, groups in ((old, sums.before), (new, sums.after)):
        for one in priced.lines:
            groups[one.line.added.group] = groups.get(one.line.added.group, 0) + one.net_ore
    return BasketAgain(receipt.lines[0].time if receipt.lines else "", old.total_ore, new.total_ore, _differ(old, new))


def _moment(receipt: Receipt, since: str) -> str:
    """The receipt's hour on the day that is tried."""
    clock = local_minute(parse_utc(receipt.lines[0].time))[10:] if receipt.lines else ""
    return max(since, since[:10] + clock)


def _sells(side: Catalogue, line: ReceiptLine, when: str) -> bool:
    try:
        article = side.article(line.article)
        goods_line(1, 1, article, price_at(article, when), 0, line.quantity_milli)
        if article.pant is not None:
            price_at(side.article(article.pant), when)
    except RefusedError:
        return False
    return True


def _priced(lines: list[ReceiptLine], side: Catalogue, book: PromotionBook, when: str, member: str) -> Priced:
    basket = Basket(1, "sale", 0, "", member=member)
    for line in lines:
        article = side.article(line.article)
        added = goods_line(1, basket.last_line + 1, article, price_at(article, when), 0, line.quantity_milli)
        basket.lines[added.line] = Line(added, line.time, added.quantity_milli, added.amount_ore)
        basket.last_line = added.line
        if article.pant is not None:
            pant = side.article(article.pant)
            deposit = pant_line(1, basket.last_line + 1, pant, price_at(pant, when), 0, added)
            basket.lines[deposit.line] = Line(deposit, line.time, deposit.quantity_milli, deposit.amount_ore)
            basket.last_line = deposit.line
    return price(basket, book, when)


def _differ(old: Priced, new: Priced) -> tuple[LineAgain, ...]:
    """Lines by what they are: a deposit that came or went would shift their numbers."""
    before, after = _by_article(old), _by_article(new)
    found = []
    for key in sorted(before.keys() | after.keys()):
        was, now = before.get(key), after.get(key)
        known = now or was
        assert known is not None, "it is in one of them"
        ores = was[3] if was else 0, now[3] if now else 0
        if ores[0] != ores[1]:
            found.append(LineAgain(known[0], known[1], known[2], *ores))
    return tuple(sorted(found, key=lambda one: -abs(one.after_ore - one.before_ore)))


def _by_article(priced: Priced) -> dict[str, tuple[str, int, str, int]]:
    found: dict[str, tuple[str, int, str, int]] = {}
    for one in priced.lines:
        added = one.line.added
        name, quantity, unit, ore = found.get(added.article, (added.name, 0, added.unit, 0))
        found[added.article] = name, quantity + one.line.quantity_milli, unit, ore + one.net_ore
    return found
