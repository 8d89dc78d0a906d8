"""What one promotion gives: its terms, the units it is applied to, and the discount it makes of them (G13, G14).

A unit is one piece, or one weighed line as a whole. Leaves the choice between promotions to bundling.py and the
basket to promotions.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from oppet.base.money import round_half_up
from oppet.base.words import N_
from oppet.goods.article import ArticleNumber, Moment, Ore, ShownText

__all__ = ["MEMBER", "MEMBER_PRICE", "Offer", "OfferLine", "Promotion", "Unit", "is_bundle", "is_single", "saving"]

MEMBER: Final = "member"  # stands in Offer.promotion where the article's own member price was used
MEMBER_PRICE: Final = N_("Member price")


class Promotion(Struct, frozen=True, omit_defaults=True):
    """One campaign. It touches its `articles` and every article with its `mix`.

    n_for_m: of `buy` units the cheapest are free, `pay` are paid. n_for_price: `buy` units for `price_ore`.
    percent: `percent` off each unit. amount: `price_ore` off each unit or kilo. member: a unit or kilo at `price_ore`.
    `limit` counts bundles, or units where there are none, per sale; 0 is no limit. `min_quantity_milli` must be
    reached by the units together before percent, amount or member applies to any of them.
    """

    id: Annotated[str, Meta(pattern=r"^[0-9A-Za-z-]{1,40}\Z")]
    text: ShownText
    valid_from: Moment
    kind: Literal["n_for_m", "n_for_price", "percent", "amount", "member"]
    valid_to: Moment | None = None
    member: bool = False
    articles: tuple[ArticleNumber, ...] = ()
    mix: str = ""
    buy: Annotated[int, Meta(ge=1, le=100)] = 1
    pay: Annotated[int, Meta(ge=0, le=100)] = 0
    price_ore: Ore = 0
    percent: Annotated[int, Meta(ge=0, le=100)] = 0
    limit: Annotated[int, Meta(ge=0, le=1000)] = 0
    min_quantity_milli: Annotated[int, Meta(ge=0, le=1_000_000)] = 0

    def __post_init__(self) -> None:
        if self.kind == "n_for_m" and self.pay >= self.buy:
            raise ValueError("an n_for_m promotion pays for fewer than it buys")
        if self.kind == "n_for_price" and not self.price_ore:
            raise ValueError("an n_for_price promotion names its price")
        if not self.articles and not self.mix:
            raise ValueError("a promotion touches articles or a mix")

    def holds(self, when: str, member: bool) -> bool:
        """Whether the campaign has begun, has not ended, and is for this customer (G4)."""
        begun = self.valid_from <= when and (self.valid_to is None or when < self.valid_to)
        return begun and (member or not (self.member or self.kind == "member"))


class OfferLine(Struct, frozen=True):
    """A line of the basket as promotions see it; `amount_ore` is what it costs without any."""

    line: int
    article: str
    mixes: tuple[str, ...]
    quantity_milli: int
    unit_ore: int
    amount_ore: int
    member_unit_ore: int | None
    weighed: bool


class Offer(Struct, frozen=True):
    """Why a line is cheaper: `discount_ore` off `quantity_milli` of it.

    Offers with the same `promotion` and `bundle` were earned together; bundle 0 was earned by the line alone.
    """

    line: int
    promotion: str
    text: str
    discount_ore: int
    quantity_milli: int
    bundle: int


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece, or one weighed line. `alone` is the best it can get by itself, by promotion `alone_by` (-1: none)."""

    line: OfferLine
    price_ore: int
    milli: int
    lump: bool
    alone: int
    alone_by: int
    choices: tuple[int, ...]


def is_bundle(promotion: Promotion) -> bool:
    """Whether units earn it together, several at a time."""
    return promotion.kind in ("n_for_m", "n_for_price")


def is_single(promotion: Promotion) -> bool:
    """Whether each unit earns it whatever the other units do: then it needs no search."""
    return not promotion.limit and (
        (promotion.kind == "n_for_price" and promotion.buy == 1)
        or (not is_bundle(promotion) and not promotion.min_quantity_milli)
    )


def saving(promotion: Promotion, line: OfferLine, price_ore: int, lump: bool) -> int:
    """What one unit saves by a promotion it earns alone; never more than it costs, never less than nothing."""
    if promotion.kind == "percent":
        return round_half_up(price_ore * promotion.percent, 100)
    if promotion.kind == "amount":
        off = round_half_up(promotion.price_ore * line.quantity_milli, 1000) if lump else promotion.price_ore
        return min(price_ore, off)
    if promotion.kind == "member":
        return saving_at(promotion.price_ore, line, price_ore, lump)
    if promotion.kind == "n_for_price" and promotion.buy == 1 and not lump:
        return max(0, price_ore - promotion.price_ore)
    return 0


def saving_at(unit_ore: int, line: OfferLine, price_ore: int, lump: bool) -> int:
    """What one unit saves when it is sold at another unit price.

    A weighed line whose amount was not computed here, because its label states a price, is lowered in proportion.
    """
    if not lump:
        return max(0, price_ore - unit_ore)
    if round_half_up(line.unit_ore * line.quantity_milli, 1000) == line.amount_ore:
        return max(0, price_ore - round_half_up(unit_ore * line.quantity_milli, 1000))
    if line.unit_ore <= 0:
        return 0
    return max(0, price_ore - round_half_up(price_ore * unit_ore, line.unit_ore))


def bundle_saving(promotion: Promotion, prices: Sequence[int]) -> int:
    """What one full bundle saves, its prices in falling order."""
    if promotion.kind == "n_for_m":
        return sum(prices[promotion.pay :])
    return sum(prices) - promotion.price_ore
