"""Offers: the combination of promotions that is best for the customer, explained line by line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from oppet.goods.article import ArticleNumber, Moment, Ore, ShownText

__all__ = ["Offer", "OfferLine", "Promotion", "PromotionBook"]


class Promotion(Struct, frozen=True, omit_defaults=True):
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


class OfferLine(Struct, frozen=True):
    line: int
    article: str
    mixes: tuple[str, ...]
    quantity_milli: int
    unit_ore: int
    amount_ore: int
    member_unit_ore: int | None
    weighed: bool


class Offer(Struct, frozen=True):
    line: int
    promotion: str
    text: str
    discount_ore: int
    quantity_milli: int
    bundle: int


class PromotionBook:
    def __init__(self, promotions: Iterable[Promotion] = ()) -> None:
        self._promotions = tuple(promotions)

    def best(self, lines: Sequence[OfferLine], when: str, member: bool) -> tuple[Offer, ...]:
        raise NotImplementedError
