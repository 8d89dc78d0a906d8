"""Promotions on a basket: the combination that is best for the customer, explained line by line.

Guards that no customer pays more for having asked for less (G13): every unit goes to one promotion at most, to a
member price or to nothing, and the whole costs the least it can. Guards that the receipt explains itself (G14): the
discount of a bundle is spread over its units in proportion to their price, to the öre. Leaves the terms
and the search to offers.py, and what may not be discounted at all to the sale, which does not send it here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from msgspec import Struct

from oppet.base.money import spread
from oppet.goods.offers import (
    MEMBER,
    MEMBER_PRICE,
    Offer,
    OfferLine,
    Promotion,
    Unit,
    assign,
    bundle_saving,
    is_bundle,
    is_single,
    saving,
    saving_at,
)

__all__ = ["MEMBER", "MEMBER_PRICE", "Best", "Offer", "OfferLine", "Promotion", "PromotionBook"]

MOST_PIECES: Final = 400  # of one line that bundles are made of; what is beyond goes alone
MOST_KEPT: Final = 512
NONE: Final = -1
MEMBERS: Final = -2  # the article's own member price, among a unit's ways to go alone


class Best(Struct, frozen=True):
    """The offers, and whether they are certainly the best; False beyond the bound on work (G15)."""

    offers: tuple[Offer, ...]
    exact: bool


class PromotionBook:
    """Promotions, indexed by article and by mix. Results of unchanged parts of a basket are kept between scans."""

    def __init__(self, promotions: Iterable[Promotion] = ()) -> None:
        by_id = {promotion.id: promotion for promotion in promotions}
        self.promotions = tuple(by_id[i] for i in sorted(by_id))
        self._by_article: dict[str, list[int]] = {}
        self._by_mix: dict[str, list[int]] = {}
        for place, promotion in enumerate(self.promotions):
            for article in promotion.articles:
                self._by_article.setdefault(article, []).append(place)
            if promotion.mix:
                self._by_mix.setdefault(promotion.mix, []).append(place)
        self._linking = frozenset(i for i, promotion in enumerate(self.promotions) if not is_single(promotion))
        self._moment: tuple[str, bool] = ("", False)
        self._active: frozenset[int] = frozenset()
        self._kept: dict[tuple[OfferLine, ...], Best] = {}

    def best(self, lines: Sequence[OfferLine], when: str, member: bool) -> tuple[Offer, ...]:
        """The offers of a basket at local `when`, in the order of the lines."""
        return self.weigh(lines, when, member).offers

    def weigh(self, lines: Sequence[OfferLine], when: str, member: bool) -> Best:
        """As `best`, and say whether the basket was small enough for certainty."""
        self._turn_to(when, member)
        offers: list[Offer] = []
        exact = True
        for component in self._components(lines, member):
            found = self._kept.get(component)
            if found is None:
                found = self._solve(component, member)
                if len(self._kept) >= MOST_KEPT:
                    self._kept.clear()
                self._kept[component] = found
            offers += found.offers
            exact = exact and found.exact
        order = {line.line: place for place, line in enumerate(lines)}
        offers.sort(key=lambda offer: (order[offer.line], offer.promotion, offer.bundle))
        return Best(tuple(offers), exact)

    def _turn_to(self, when: str, member: bool) -> None:
        if (when, member) == self._moment:
            return
        active = frozenset(i for i, promotion in enumerate(self.promotions) if promotion.holds(when, member))
        if active != self._active or member != self._moment[1]:
            self._kept.clear()
        self._moment, self._active = (when, member), active

    def _touching(self, line: OfferLine) -> tuple[int, ...]:
        """The promotions in force that a line is part of, in a fixed order."""
        found = set(self._by_article.get(line.article, ()))
        for mix in line.mixes:
            found.update(self._by_mix.get(mix, ()))
        return tuple(sorted(found & self._active)) if found else ()

    def _components(self, lines: Sequence[OfferLine], member: bool) -> Iterator[tuple[OfferLine, ...]]:
        """Groups of lines that share promotions, directly or through others; each is a question of its own."""
        group_of: dict[int, list[OfferLine]] = {}  # promotion -> its group so far
        groups: dict[int, list[OfferLine]] = {}
        for line in lines:
            if line.quantity_milli <= 0 or line.amount_ore <= 0:
                continue
            touching = self._touching(line)
            linking = [p for p in touching if p in self._linking]
            if not linking:
                if touching or (member and line.member_unit_ore is not None):
                    yield (line,)
                continue
            joined = {id(group_of[p]): group_of[p] for p in linking if p in group_of}
            merged = [*(other for group in joined.values() for other in group), line]
            for old in joined:
                del groups[old]
            # Every promotion of a group that was joined now leads to the one group, not only those of this line.
            group_of.update((p, merged) for p, group in list(group_of.items()) if id(group) in joined)
            group_of.update((p, merged) for p in linking)
            groups[id(merged)] = merged
        for group in groups.values():
            yield tuple(group)

    def _solve(self, lines: Sequence[OfferLine], member: bool) -> Best:
        alone: list[Unit] = []
        shared: list[Unit] = []
        exact = True
        for line in lines:
            units = self._units(line, member)
            exact = exact and (not units[0].choices or len(units) <= MOST_PIECES)
            shared += [unit for unit in units[:MOST_PIECES] if unit.choices]
            alone += [unit for place, unit in enumerate(units) if place >= MOST_PIECES or not unit.choices]
        offers: list[Offer] = []
        if shared:
            shared.sort(key=lambda unit: (-unit.price_ore, unit.line.line))
            choice, certain = assign(shared, self.promotions)
            exact = exact and certain
            taken = {number for numbers in choice.values() for number in numbers}
            alone += [unit for number, unit in enumerate(shared) if number not in taken]
            for p, numbers in sorted(choice.items()):
                offers += self._earned(self.promotions[p], [shared[number] for number in numbers])
        return Best((*offers, *self._alone(alone)), exact)

    def _units(self, line: OfferLine, member: bool) -> list[Unit]:
        """Cut a line into pieces that cost what the line costs; a weighed line stays whole."""
        touching = self._touching(line)
        lump = line.weighed or line.quantity_milli % 1000 != 0
        pieces = 1 if lump else line.quantity_milli // 1000
        price, dearer = divmod(line.amount_ore, pieces)
        choices = tuple(p for p in touching if p in self._linking and not (lump and is_bundle(self.promotions[p])))

        def unit(price_ore: int) -> Unit:
            ways = [(0, NONE)]
            if member and line.member_unit_ore is not None:
                ways.append((saving_at(line.member_unit_ore, line, price_ore, lump), MEMBERS))
            for p in touching:
                if is_single(self.promotions[p]):
                    ways.append((saving(self.promotions[p], line, price_ore, lump), p))
            most, by = max(ways, key=lambda way: way[0])
            return Unit(line, price_ore, line.quantity_milli if lump else 1000, lump, most, by, choices)

        common = unit(price)
        return [unit(price + 1)] * dearer + [common] * (pieces - dearer)

    def _earned(self, promotion: Promotion, units: Sequence[Unit]) -> Iterator[Offer]:
        """Explain what units earned by a promotion that was searched for."""
        if not is_bundle(promotion):
            for _, mine in groupby(sorted(units, key=_line), _line):
                own = list(mine)
                saved = sum(saving(promotion, unit.line, unit.price_ore, unit.lump) for unit in own)
                yield from _offer(own, promotion.id, promotion.text, saved, 0)
            return
        for bundle, at in enumerate(range(0, len(units), promotion.buy), start=1):
            members = units[at : at + promotion.buy]
            prices = [unit.price_ore for unit in members]
            shares = spread(bundle_saving(promotion, prices), prices)
            both = sorted(zip(members, shares, strict=True), key=lambda pair: _line(pair[0]))
            for _, own_pairs in groupby(both, lambda pair: _line(pair[0])):
                pairs = list(own_pairs)
                own = [unit for unit, _ in pairs]
                yield from _offer(own, promotion.id, promotion.text, sum(share for _, share in pairs), bundle)

    def _alone(self, units: Sequence[Unit]) -> Iterator[Offer]:
        """Explain what units got by themselves."""
        for (_, by), mine in groupby(sorted(units, key=_line_and_way), _line_and_way):
            if by != NONE:
                own = list(mine)
                name, text = (MEMBER, MEMBER_PRICE) if by == MEMBERS else self._named(by)
                yield from _offer(own, name, text, sum(unit.alone for unit in own), 0)

    def _named(self, place: int) -> tuple[str, str]:
        return self.promotions[place].id, self.promotions[place].text


def _line(unit: Unit) -> int:
    return unit.line.line


def _line_and_way(unit: Unit) -> tuple[int, int]:
    return unit.line.line, unit.alone_by


def _offer(units: Sequence[Unit], promotion: str, text: str, saved: int, bundle: int) -> Iterator[Offer]:
    if saved > 0:
        yield Offer(units[0].line.line, promotion, text, saved, sum(unit.milli for unit in units), bundle)
