"""Which promotion each unit goes to, so that the customer pays least (G13, G15).

Exact: units are taken in falling price, and for every combination of started bundles the best saving so far is kept.
That is enough because a bundle of "n for m" is best cut from neighbours in price: its free units are then as dear as
they can be. The work is bounded; a basket beyond the bound is solved promotion by promotion, and that is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from oppet.goods.offers import Promotion, Unit, bundle_saving, is_bundle, saving

__all__ = ["MOST_STEPS", "Choice", "assign"]

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
