"""The article: what it is called, what it costs when, and what the law wants to know about it.

Guards that a price is chosen by date alone (G4): the till's own clock is handed in as local text, and the newest
price that has begun and has not ended is the price. Says which single article is unsound and in
what field (G8). Leaves what articles have in common to catalogue.py, offers to promotions.py and VAT rates to vat.py.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from oppet.base.money import LARGEST_ORE, round_half_up
from oppet.goods.elements import only_digits
from oppet.goods.errors import NoPriceError
from oppet.goods.vat import CLASSES

__all__ = [
    "Article",
    "ArticleNumber",
    "Gtin14",
    "Moment",
    "Ore",
    "Price",
    "ShownText",
    "Soundness",
    "good_gtin",
    "price_at",
    "price_or_none",
    "unit_price_ore",
]

Ore = Annotated[int, Meta(ge=0, le=LARGEST_ORE)]
Moment = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2})?\Z")]
Gtin14 = Annotated[str, Meta(pattern=r"^[0-9]{14}\Z")]
ArticleNumber = Annotated[str, Meta(pattern=r"^[0-9A-Za-z-]{1,20}\Z")]
# 72 characters is what the journal export's schema lets an article name have; control characters drive printers.
ShownText = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,72}\Z")]
LONGEST_SHOWN: Final = 72  # what the journal export's schema lets an article name have
LONGEST_NUMBER: Final = 20
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2})?")


class Price(Struct, frozen=True, omit_defaults=True, gc=False):  # no cycles: 100 000 of them load twice as fast
    """A price from `valid_from` up to but not including `valid_to`, local time compared as text."""

    valid_from: str
    ore: Ore
    valid_to: str | None = None
    member_ore: Ore | None = None


class Article(Struct, frozen=True, omit_defaults=True, gc=False):
    """One thing the shop sells. `unit` "kg" means weighed: quantities are grams and prices are per kilo.

    What the texts may hold is checked by Soundness: patterns here would double the time that loading takes.
    """

    number: str
    name: str
    group: str
    vat: str
    unit: Literal["st", "kg"]
    prices: Annotated[tuple[Price, ...], Meta(min_length=1, max_length=50)]
    gtins: Annotated[tuple[str, ...], Meta(max_length=50)] = ()
    pant: str | None = None
    age: Annotated[int, Meta(ge=0, le=25)] = 0
    content_milli: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    content_unit: Literal["", "kg", "l", "st"] = ""
    kind: Literal["vara", "tjanst"] = "vara"
    mixes: Annotated[tuple[str, ...], Meta(max_length=20)] = ()
    discountable: bool = True
    scale_code: str | None = None
    max_weight_g: Annotated[int, Meta(ge=1, le=1_000_000)] = 25_000
    tare_g: Annotated[int, Meta(ge=0, le=100_000)] = 0
    quick: Annotated[int, Meta(ge=0, le=10_000)] = 0


def price_at(article: Article, when: str) -> Price:
    """The newest price that has begun at `when` and has not ended (G4). Raises NoPriceError.

    Among prices that begin together the one written last counts.
    """
    chosen = price_or_none(article, when)
    if chosen is None:
        raise NoPriceError(name=article.name, when=when)
    return chosen


def price_or_none(article: Article, when: str) -> Price | None:
    """As `price_at`, for whoever compares assortments: an article may have no price at a moment."""
    chosen: Price | None = None
    for price in article.prices:
        if (
            price.valid_from <= when
            and (price.valid_to is None or when < price.valid_to)
            and (chosen is None or price.valid_from >= chosen.valid_from)
        ):
            chosen = price
    return chosen


def unit_price_ore(article: Article, ore: int) -> int | None:
    """The comparison price per kilo, litre or piece in öre; None where the content is not known (G5)."""
    if article.unit == "kg":
        return ore
    if not article.content_milli:
        return None
    return round_half_up(ore * 1000, article.content_milli)


class Soundness:
    """Judges articles one by one: the checks that a JSON type cannot say cheaply, each with the field it names (G8).

    Remembers the groups and moments that it has found good; it is asked 100 000 times before a till can open (R19).
    """

    def __init__(self) -> None:
        self._groups: set[str] = set()
        self._moments: set[str] = set()

    def flaw(self, article: Article) -> tuple[str, str] | None:
        """The first field that is wrong, and why; None for a sound article."""
        if not _is_number(article.number):
            return "number", "not 1-20 letters, digits and hyphens"
        if not _is_shown(article.name):
            return "name", "not 1-72 printable characters"
        if article.group not in self._groups:
            if not _is_shown(article.group):
                return "group", "not 1-72 printable characters"
            self._groups.add(article.group)
        if article.vat not in CLASSES:
            return "vat", f"no VAT class {article.vat[:40]!r}"
        code = article.scale_code
        if code is not None and not (len(code) == 6 and only_digits(code)):
            return "scale_code", "not 6 digits"
        return self._price_flaw(article) or _gtin_flaw(article)

    def _price_flaw(self, article: Article) -> tuple[str, str] | None:
        for place, price in enumerate(article.prices):
            for moment, name in ((price.valid_from, "valid_from"), (price.valid_to, "valid_to")):
                if moment is not None and moment not in self._moments:
                    if not _MOMENT.fullmatch(moment):
                        return f"prices[{place}].{name}", "not a day or a minute"
                    self._moments.add(moment)
        return None


def good_gtin(digits: str) -> bool:
    """Whether the check digit of at most 14 digits is right."""
    codes = digits.zfill(14).encode()
    return not (3 * sum(codes[::2]) + sum(codes[1::2]) - 1344) % 10  # 1344 is what the ASCII codes of "0" add


def _gtin_flaw(article: Article) -> tuple[str, str] | None:
    for place, gtin in enumerate(article.gtins):
        if len(gtin) != 14 or not only_digits(gtin):
            return f"gtins[{place}]", "not 14 digits"
        if not good_gtin(gtin):
            return f"gtins[{place}]", f"the check digit of {gtin} is wrong"
    return None


def _is_shown(text: str) -> bool:
    return 0 < len(text) <= LONGEST_SHOWN and text.isprintable()


def _is_number(number: str) -> bool:
    return 0 < len(number) <= LONGEST_NUMBER and number.isascii() and number.replace("-", "0").isalnum()
