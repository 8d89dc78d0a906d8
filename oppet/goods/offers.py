"""Offers: what one promotion gives, and which promotion each unit goes to, so that the customer pays least (G13, G15).

A unit is one piece, or one weighed line as a whole. The choice is exact: units are taken in falling price, and for
every combination of started bundles the best saving so far is kept. That is enough because a bundle of "n for m" is
best cut from neighbours in price: its free units are then as dear as they can be. The work is bounded; a basket beyond
the bound is solved promotion by promotion, and that is said. Leaves the basket and its explanation to promotions.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from oppet.base.money import round_half_up
from oppet.base.words import N_
from oppet.goods.article import ArticleNumber, Moment, Ore, ShownText

__all__ = [
    "MEMBER",
    "MEMBER_PRICE",
    "Offer",
    "OfferLine",
    "Promotion",
    "Unit",
    "assign",
    "bundle_saving",
    "is_bundle",
    "is_single",
    "saving",
    "saving_at",
]

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


# ---------------------------------------------------------------- which promotion each unit goes to

MOST_STEPS: Final = 20_000  # about 20 ms; a usual component takes a few hundred

ALONE: Final = -1
Choice = dict[int, list[int]]  # promotion -> places of the units that go to it, in falling price
_State = tuple[tuple[int, int], ...]  # for each promotion: units taken, thousandths taken (capped)


def assign(units: Sequence[Unit], promotions: Sequence[Promotion]) -> tuple[Choice, bool]:
    """Give every promotion its units; units left out go alone. Also say whether it is certainly the best.

    `units` come in falling price; their `choices` are indexes into `promotions`.
    """
    exact = _search(units, promotions)
    if exact is not None:
        return exact, True
    return _one_by_one(units, promotions), False


def _search(units: Sequence[Unit], promotions: Sequence[Promotion]) -> Choice | None:
    """Dynamic programming over started bundles; None when the bound is reached."""
    used = sorted({p for unit in units for p in unit.choices})
    place = {p: i for i, p in enumerate(used)}
    start: _State = ((0, 0),) * len(used)
    best: dict[_State, int] = {start: 0}
    trail: list[dict[_State, tuple[_State, int]]] = []
    steps = 0
    for unit in units:
        came: dict[_State, tuple[_State, int]] = {}
        after: dict[_State, int] = {}
        steps += len(best) * (len(unit.choices) + 1)
        if steps > MOST_STEPS:
            return None
        for state, saved in best.items():
            total = saved + unit.alone
            known = after.get(state)
            if known is None or total > known:
                after[state] = total
                came[state] = (state, ALONE)
            for p in unit.choices:
                at = place[p]
                step = _take(promotions[p], state[at], unit)
                if step is None:
                    continue
                took, gain = step
                reached = (*state[:at], took, *state[at + 1 :])
                total = saved + gain
                known = after.get(reached)
                if known is None or total > known:
                    after[reached] = total
                    came[reached] = (state, p)
        best = after
        trail.append(came)
    settled = [s for s in best if all(_is_settled(promotions[p], s[i]) for p, i in place.items())]
    state = max(settled, key=lambda s: (best[s], [-taken for taken, _ in s]))
    choice: Choice = {}
    for number in range(len(units) - 1, -1, -1):
        state, p = trail[number][state]
        if p != ALONE:
            choice.setdefault(p, []).append(number)
    for numbers in choice.values():
        numbers.reverse()
    return choice


def _take(promotion: Promotion, state: tuple[int, int], unit: Unit) -> tuple[tuple[int, int], int] | None:
    """Let a promotion take one more unit: its state afterwards and what is saved, or None at its limit."""
    taken, milli = state
    if is_bundle(promotion):
        if promotion.limit and taken == promotion.limit * promotion.buy:
            return None
        nth = taken % promotion.buy
        if promotion.kind == "n_for_m":
            gain = unit.price_ore if nth >= promotion.pay else 0
        else:
            gain = unit.price_ore - (promotion.price_ore if nth == promotion.buy - 1 else 0)
        return (taken + 1 if promotion.limit else (taken + 1) % promotion.buy, 0), gain
    if promotion.limit and taken == promotion.limit:
        return None
    gain = saving(promotion, unit.line, unit.price_ore, unit.lump)
    milli = min(milli + unit.milli, promotion.min_quantity_milli)
    return (taken + 1 if promotion.limit else 0, milli), gain


def _is_settled(promotion: Promotion, state: tuple[int, int]) -> bool:
    """No bundle half full, and a least quantity either reached or not begun."""
    taken, milli = state
    if is_bundle(promotion):
        return taken % promotion.buy == 0
    return milli in (0, promotion.min_quantity_milli)


def _one_by_one(units: Sequence[Unit], promotions: Sequence[Promotion]) -> Choice:
    """The bounded way: the promotion that would save most on the whole basket goes first, the next takes the rest."""
    free = set(range(len(units)))
    used = sorted({p for unit in units for p in unit.choices})
    first = {p: _gained(promotions[p], units, _best_for(p, promotions[p], units, free)) for p in used}
    choice: Choice = {}
    for p in sorted(used, key=lambda p: (-first[p], p)):
        numbers = _best_for(p, promotions[p], units, free)
        if _gained(promotions[p], units, numbers) > 0:
            choice[p] = numbers
            free.difference_update(numbers)
    return choice


def _best_for(p: int, promotion: Promotion, units: Sequence[Unit], free: set[int]) -> list[int]:
    """The free units one promotion would take if it were the only one."""
    numbers = [n for n, unit in enumerate(units) if n in free and p in unit.choices]
    if not is_bundle(promotion):
        extra = {n: _gained(promotion, units, [n]) for n in numbers}
        numbers.sort(key=lambda n: (-extra[n], n))
        worth = [n for n in numbers if extra[n] > 0][: promotion.limit or None]
        if sum(units[n].milli for n in worth) < promotion.min_quantity_milli:
            return []
        return sorted(worth)
    full: list[list[int]] = []
    for at in range(0, len(numbers) - promotion.buy + 1, promotion.buy):
        bundle = numbers[at : at + promotion.buy]
        if _gained(promotion, units, bundle) > 0:
            full.append(bundle)
    full.sort(key=lambda bundle: (-_gained(promotion, units, bundle), bundle))
    return sorted(n for bundle in full[: promotion.limit or None] for n in bundle)


def _gained(promotion: Promotion, units: Sequence[Unit], numbers: Sequence[int]) -> int:
    """What these units save by a promotion, beyond what they would save alone."""
    alone = sum(units[n].alone for n in numbers)
    if not is_bundle(promotion):
        return sum(saving(promotion, units[n].line, units[n].price_ore, units[n].lump) for n in numbers) - alone
    size = promotion.buy
    return (
        sum(
            bundle_saving(promotion, [units[n].price_ore for n in numbers[at : at + size]])
            for at in range(0, len(numbers), size)
        )
        - alone
    )
