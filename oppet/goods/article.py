"""The article: what it is called, what it costs when, and what the law wants to know about it.

Guards that a price is chosen by date alone (G4): the till's own clock is handed in as local text, and the newest
price that has begun and has not ended is the price. Leaves checking of whole assortments to catalogue.py,
offers to promotions.py and VAT rates to vat.py.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from oppet.base.money import LARGEST_ORE, round_half_up
from oppet.goods.errors import NoPriceError

__all__ = ["Article", "ArticleNumber", "Gtin14", "Moment", "Ore", "Price", "ShownText", "price_at", "unit_price_ore"]

Ore = Annotated[int, Meta(ge=0, le=LARGEST_ORE)]
Moment = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2})?\Z")]
Gtin14 = Annotated[str, Meta(pattern=r"^[0-9]{14}\Z")]
ArticleNumber = Annotated[str, Meta(pattern=r"^[0-9A-Za-z-]{1,20}\Z")]
# 72 characters is what the journal export's schema lets an article name have; control characters drive printers.
ShownText = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,72}\Z")]


class Price(Struct, frozen=True, omit_defaults=True, gc=False):  # no cycles: 100 000 of them load twice as fast
    """A price from `valid_from` up to but not including `valid_to`, local time compared as text."""

    valid_from: Moment
    ore: Ore
    valid_to: Moment | None = None
    member_ore: Ore | None = None


class Article(Struct, frozen=True, omit_defaults=True, gc=False):
    """One thing the shop sells. `unit` "kg" means weighed: quantities are grams and prices are per kilo."""

    number: ArticleNumber
    name: ShownText
    group: ShownText
    vat: str
    unit: Literal["st", "kg"]
    prices: Annotated[tuple[Price, ...], Meta(min_length=1, max_length=50)]
    gtins: Annotated[tuple[Gtin14, ...], Meta(max_length=50)] = ()
    pant: ArticleNumber | None = None
    age: Annotated[int, Meta(ge=0, le=25)] = 0
    content_milli: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    content_unit: Literal["", "kg", "l", "st"] = ""
    kind: Literal["vara", "tjanst"] = "vara"
    mixes: Annotated[tuple[str, ...], Meta(max_length=20)] = ()
    discountable: bool = True
    scale_code: Annotated[str, Meta(pattern=r"^[0-9]{6}\Z")] | None = None
    max_weight_g: Annotated[int, Meta(ge=1, le=1_000_000)] = 25_000
    tare_g: Annotated[int, Meta(ge=0, le=100_000)] = 0
    quick: Annotated[int, Meta(ge=0, le=10_000)] = 0


def price_at(article: Article, when: str) -> Price:
    """The newest price that has begun at `when` and has not ended (G4). Raises NoPriceError.

    Among prices that begin together the one written last counts.
    """
    chosen: Price | None = None
    for price in article.prices:
        if (
            price.valid_from <= when
            and (price.valid_to is None or when < price.valid_to)
            and (chosen is None or price.valid_from >= chosen.valid_from)
        ):
            chosen = price
    if chosen is None:
        raise NoPriceError(name=article.name, when=when)
    return chosen


def unit_price_ore(article: Article, ore: int) -> int | None:
    """The comparison price per kilo, litre or piece in öre; None where the content is not known (G5)."""
    if article.unit == "kg":
        return ore
    if not article.content_milli:
        return None
    return round_half_up(ore * 1000, article.content_milli)
