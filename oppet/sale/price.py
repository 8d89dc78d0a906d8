"""What the basket costs now: every öre off explained on its line.

The order is fixed: near-date mark-down, then the best combination of promotions and member prices, then discounts
given on a line, then those on the basket. Keeps S3 (no line ever below zero), S4 (lines add up to the total) and S5
(pant and what is not discountable give no discount). Returns keep the original's prices and take nothing new (S6).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from oppet.base.money import round_half_up, spread
from oppet.goods.promotions import Offer, OfferLine
from oppet.journal.kinds import DiscountGiven, LineDiscount, LineOffer
from oppet.sale.basket import Basket, Line

__all__ = ["Offers", "Priced", "PricedLine", "beyond", "discount_of", "offers_in", "price"]

BY_HAND = ("line", "basket")  # kinds of discounts that a person gave


class Offers(Protocol):
    """The promotions that run: `goods/promotions.py` holds them."""

    def best(self, lines: Sequence[OfferLine], when: str, member: bool) -> tuple[Offer, ...]: ...


@dataclass(frozen=True, slots=True)
class PricedLine:
    line: Line
    discounts: tuple[LineDiscount, ...]
    net_ore: int
    alone_ore: int = 0  # of the discounts by hand, what nobody but the cashier answers for


@dataclass(frozen=True, slots=True)
class Priced:
    lines: tuple[PricedLine, ...]
    total_ore: int
    saved_ore: int


def price(basket: Basket, offers: Offers, when: str) -> Priced:
    """Price the standing lines at local time `when`. Pure: the same basket, offers and time give the same öre."""
    lines = basket.standing()
    found: dict[int, list[LineDiscount]] = {line.added.line: list(line.added.discounts) for line in lines}
    if basket.mode != "return":
        _near_date(lines, found)
        for offer in _best(basket, lines, offers, when) if basket.offers is None else basket.offers:
            found[offer.line].append(offer.discount)
    net = {n: lines[i].amount_ore - sum(d.ore for d in found[n]) for i, n in enumerate(found)}
    alone: dict[int, int] = {}
    if basket.discounts:
        by_number = {line.added.line: line for line in lines}
        for given in sorted(basket.discounts.values(), key=lambda d: (d.line == 0, d.discount)):
            meant = [n for n in net if given.line in (0, n) and by_number[n].added.discountable]
            _by_hand(given, [n for n in meant if net[n] > 0], found, net, alone)
    priced = tuple(
        PricedLine(line, tuple(found[line.added.line]), net[line.added.line], alone.get(line.added.line, 0))
        for line in lines
    )
    assert all(line.net_ore >= 0 for line in priced), "a line below zero"
    total = sum(net.values())
    return Priced(priced, total, sum(line.amount_ore for line in lines) - total)


def _near_date(lines: Sequence[Line], found: dict[int, list[LineDiscount]]) -> None:
    for line in lines:
        percent = line.added.markdown_percent
        if percent and line.added.discountable:
            ore = round_half_up(line.amount_ore * percent, 100)
            found[line.added.line].append(LineDiscount("markdown", f"{percent} %", ore, "", line.quantity_milli))


def _best(basket: Basket, lines: Sequence[Line], offers: Offers, when: str) -> Iterator[LineOffer]:
    offered = [
        OfferLine(
            line.added.line,
            line.added.article,
            line.added.mixes,
            line.quantity_milli,
            line.added.unit_ore,
            line.amount_ore,
            line.added.member_unit_ore,
            line.added.unit == "kg",
        )
        for line in lines
        if line.added.discountable and not line.added.markdown_percent
    ]
    together: dict[tuple[int, str, str], tuple[int, int]] = {}  # bundles of one promotion are one discount of a line
    for offer in offers.best(offered, when, bool(basket.member)):
        key = (offer.line, offer.promotion, offer.text)
        ore, quantity = together.get(key, (0, 0))
        together[key] = (ore + offer.discount_ore, quantity + offer.quantity_milli)
    for (line, promotion, text), (ore, quantity) in together.items():
        kind = "member" if promotion == "member" else "promotion"
        yield LineOffer(line, LineDiscount(kind, text, ore, promotion, quantity))


def offers_in(priced: Priced) -> tuple[LineOffer, ...]:
    """The promotions and member prices of a priced basket, to be journalled with its first tender."""
    return tuple(
        LineOffer(line.line.added.line, discount)
        for line in priced.lines
        for discount in line.discounts
        if discount.kind in ("promotion", "member")
    )


def beyond(basket: Basket, priced: Priced, percent: int) -> bool:
    """Whether a cashier alone has given more than `percent` off any line, all their discounts taken together (S7).

    Shares of a basket's discount are rounded, so each discount may be an öre above its share.
    """
    slack = sum(1 for given in basket.discounts.values() if not given.approved_by)
    for line in priced.lines:
        if line.alone_ore:
            by_hand = sum(d.ore for d in line.discounts if d.kind in BY_HAND)
            if line.alone_ore > (line.net_ore + by_hand) * percent // 100 + slack:
                return True
    return False


def discount_of(given_percent: int, given_ore: int, base_ore: int) -> int:
    """What a hand-given discount takes from `base_ore`: the percent of it, or the amount, never more than there is."""
    return min(round_half_up(base_ore * given_percent, 100) if given_percent else given_ore, base_ore)


def _by_hand(
    given: DiscountGiven,
    targets: Sequence[int],
    found: dict[int, list[LineDiscount]],
    net: dict[int, int],
    alone: dict[int, int],
) -> None:
    if not targets:
        return
    kind = "line" if given.line else "basket"
    whole = discount_of(given.percent, given.amount_ore, sum(net[n] for n in targets))
    for n, ore in zip(targets, spread(whole, [net[n] for n in targets]), strict=True):
        if ore:
            found[n].append(LineDiscount(kind, given.reason, ore, str(given.by)))
            net[n] -= ore
            if not given.approved_by:
                alone[n] = alone.get(n, 0) + ore
