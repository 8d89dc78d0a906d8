"""A foreign receipt as what a cashier does at our till, and the figures that must come out of it.

The figures are worked out from the source's lines alone, before the till is asked anything. A reason says which figure
of the source they depart from and by how much: what no reason covers, to the cent, stays unexplained.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from typing import Final

from oppet.base.errors import RefusedError
from oppet.goods.article import Article, Price
from oppet.goods.codes import read as read_code

__all__ = [
    "ABANDONED",
    "ALWAYS",
    "FIGURES",
    "ORIGINAL",
    "RETURN",
    "SALE",
    "Act",
    "Book",
    "Case",
    "Change",
    "Cut",
    "Figures",
    "NotPlannedError",
    "Paid",
    "Percent",
    "Reason",
    "Refuse",
    "Sell",
    "Slip",
    "Tax",
    "Void",
    "half_up",
    "uncovered",
]

SALE, RETURN, ORIGINAL, ABANDONED = "sale", "return", "original", "abandoned"
FIGURES: Final = ("goods", "less", "tax", "total", "paid", "change")
ALWAYS: Final = "2000-01-01"
DAY: Final = "2013-07-01"  # any day: plain codes read the same on all
MOST_TEXT: Final = 72


class NotPlannedError(Exception):
    """Nothing says how this receipt is sold at our till: it will stand as unexplained, with this as the fact."""


# --- what a cashier does


@dataclass(frozen=True, slots=True)
class Sell:
    article: str
    milli: int
    text: str = ""  # what is scanned or typed; without it the article is picked


@dataclass(frozen=True, slots=True)
class Refuse:
    """Try to sell this: the till must say no (S9)."""

    article: str
    milli: int


@dataclass(frozen=True, slots=True)
class Void:
    place: int  # among the lines sold, from 0


@dataclass(frozen=True, slots=True)
class Change:
    place: int
    milli: int


@dataclass(frozen=True, slots=True)
class Cut:
    """So much off one line, or off the basket (place -1), with a reason."""

    place: int
    cents: int
    why: str


@dataclass(frozen=True, slots=True)
class Percent:
    percent: int


@dataclass(frozen=True, slots=True)
class Tax:
    """Add the foreign tax as a line of its own: worked out from the till's lines, or as the source printed it."""

    percent: int
    printed: int | None = None


Act = Sell | Refuse | Void | Change | Cut | Percent | Tax


@dataclass(frozen=True, slots=True)
class Paid:
    """One tender: what is handed over, what of it pays, and what comes back."""

    means: str
    reference: str
    given: int
    amount: int
    change: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """What must stand on our receipt: each standing line's quantity and amount before discounts, and the sums."""

    lines: tuple[tuple[int, int], ...]
    off: int  # all discounts
    tax: int
    total: int
    paid: tuple[Paid, ...] = ()


@dataclass(frozen=True, slots=True)
class Slip:
    """One receipt of ours. A return takes back the whole of the slip before it, which is the original."""

    kind: str
    acts: tuple[Act, ...]
    expect: Figures


@dataclass(frozen=True, slots=True)
class Reason:
    """A named class of difference and, figure by figure, source less ours in cents."""

    name: str
    covers: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Case:
    """One receipt of the source, planned: `source` and `ours` hold the figures of FIGURES."""

    receipt: str
    time: int
    rows: int
    slips: list[Slip]
    source: dict[str, int]
    ours: dict[str, int]
    reasons: list[Reason] = field(default_factory=list)
    trouble: str = ""  # why it could not be planned


def uncovered(case: Case) -> dict[str, int]:
    """The figures in which source and plan differ by more or less than the reasons say."""
    left = {}
    for name in FIGURES:
        said = sum(reason.covers.get(name, 0) for reason in case.reasons)
        if off := case.source.get(name, 0) - case.ours.get(name, 0) - said:
            left[name] = off
    return left


def half_up(exact: Fraction) -> int:
    """Whole cents, halves away from zero."""
    return floor(exact + Fraction(1, 2)) if exact >= 0 else -floor(-exact + Fraction(1, 2))


# --- the articles that the source's lines name


class Book:
    """Gathers an article for each thing sold at each price; its code scans to the price that was met first."""

    def __init__(self) -> None:
        self.articles: list[Article] = []
        self.rates: dict[str, tuple[int, bool]] = {}  # number -> (tax class, discountable)
        self._numbers: dict[tuple[object, ...], str] = {}
        self._texts: dict[str, str] = {}
        self._taken: set[str] = set()

    def article(
        self,
        key: Sequence[object],
        name: str,
        group: str,
        ore: int,
        *,
        weighed: bool = False,
        discountable: bool = True,
        tax: int = 0,
        kind: str = "vara",
        ean13: str = "",
        plu: str = "",
    ) -> tuple[str, str]:
        """The number of the article and what is scanned or typed for it ("" = it is picked)."""
        whole = (*key, ore, weighed, discountable, tax)
        number = self._numbers.get(whole)
        if number is None:
            code = self._code(ean13, plu)
            number = code if code and code == plu else f"A{len(self.articles) + 1}"
            self._numbers[whole] = number
            self.rates[number] = (tax, discountable)
            self.articles.append(
                Article(
                    number=number,
                    name=_shown(name) or number,
                    group=_shown(group) or "–",
                    vat="none",
                    unit="kg" if weighed else "st",
                    prices=(Price(ALWAYS, ore),),
                    gtins=("0" + code,) if code and code == ean13 else (),
                    kind="tjanst" if kind == "tjanst" else "vara",
                    discountable=discountable,
                    max_weight_g=1_000_000,
                )
            )
            self._texts[number] = code
        return number, self._texts[number]

    def _code(self, ean13: str, plu: str) -> str:
        """The code that will name this article: its EAN-13 if our till reads it as one, or its short number."""
        for code in (ean13, plu):
            if not code or code in self._taken:
                continue
            try:
                said = read_code(code, DAY)
            except RefusedError:
                continue
            plain = said.price_ore is None and said.weight_g is None
            if plain and (said.gtin == "0" + ean13 if code == ean13 else said.plu == plu):
                self._taken.add(code)
                return code
        return ""


def _shown(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text).strip()[:MOST_TEXT]
