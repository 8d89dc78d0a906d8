"""The foreign law of the till log as data: an American grocery's receipt planned for a Swedish till.

Sales tax comes on top as a service line of its own, taken once from the whole receipt; cents are cash; weights are
pounds. Negative lines become discounts with a reason, deposits given back a voucher, coupons tenders, refunds a return
of their own against an original. None of it is a switch in the till: it sells articles and takes tenders as ever, and
only the smallest coin is handed to it. Which figures depart from the source, and why, is told by `reasons.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from oppet.goods.article import Article, Price
from oppet.replay import reasons as why
from oppet.replay.basket import Basket, Filler, figures
from oppet.replay.drive import Profile
from oppet.replay.plan import ABANDONED, ALWAYS, Book, Case, NotPlannedError, Reason, Slip
from oppet.replay.settling import Settling, tax_of
from oppet.replay.source import LogLine

__all__ = ["COIN", "TAX", "Foreign"]

COIN: Final = 1  # cents are coins there
TAX: Final = "TAX"  # the article that is sold by the dollar: a thousandth is a tenth of a cent


class Foreign:
    """Plans receipts; the articles they need gather in `book`."""

    def __init__(self, departments: Mapping[int, str]) -> None:
        self.book = Book()
        self._filler = Filler(self.book, departments)

    def profile(self) -> Profile:
        """What the till is given, once everything is planned."""
        tax = Article(TAX, "Sales tax", "Tax", "none", "kg", (Price(ALWAYS, 100),), kind="tjanst", discountable=False,
                      max_weight_g=1_000_000)  # fmt: skip
        rates = self.book.rates | {TAX: (0, False)}
        return Profile(COIN, (*self.book.articles, tax), rates, TAX, tax_of)

    def plan(self, name: str, rows: Sequence[LogLine]) -> Case:
        """One receipt of one lane. What cannot be planned is a case with a trouble, which counts as unexplained."""
        case = Case(name, rows[0].time, len(rows), [], why.source_figures(rows), {})
        try:
            self._plan(case, rows)
        except NotPlannedError as trouble:
            case.trouble = str(trouble)
        return case

    def _plan(self, case: Case, rows: Sequence[LogLine]) -> None:
        ending = next((name for name, holds in why.NEVER_SOLD if holds(rows)), "")
        told = why.closed_once(rows)
        case.reasons += [Reason(name) for name, holds in why.ALONGSIDE if holds(rows)]
        kept = why.without_voided_refunds(told)
        sold = self._filler.fill([row for row in kept if not why.refunded(row)], whole=not ending)
        if ending or (not sold.standing() and not any(map(why.refunded, kept))):
            self._never_sold(case, ending or (why.PAID_OUT if sold.voucher() else why.NOTHING), sold)
            if not ending and not sold.voucher() and not why.nothing(kept):
                raise NotPlannedError("goods, and none of them stands")
            return
        back = self._filler.fill([why.turned(row) for row in kept if why.refunded(row)])
        Settling(case, told, sold, back).settle()

    def _never_sold(self, case: Case, name: str, basket: Basket) -> None:
        """The goods as far as they go, then given up: an unfinished sale."""
        if basket.acts:
            total = sum(good.net for good in basket.standing())
            case.slips.append(Slip(ABANDONED, tuple(basket.acts), figures(basket, 0, 0, total, ())))
        if name != why.CANCELLED:
            case.reasons.append(Reason(name, dict(case.source)))
