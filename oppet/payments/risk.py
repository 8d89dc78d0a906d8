"""The risk budget: how much a till and a store take on nobody's word but the terminal's or the customer's phone's.

Offline card payments under the Swedish agreement (reference card-terminal §8: at least 4 000 kr a card and week; the chain sets
ceilings) and Swish that nothing confirms (swish §8). The merchant bears it all, so it is bounded by sale, till and store. Keeps PT6.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from oppet.base.errors import RefusedError
from oppet.base.money import kronor
from oppet.base.words import N_

__all__ = ["Risk", "RiskLimits", "RiskTooHighError", "allow", "left_ore"]

Ore = Annotated[int, Meta(ge=0, le=10_000_000_000)]


class RiskLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a chain allows, in öre; 0 allows nothing."""

    card_ore: Ore = 150_000  # one offline card payment
    swish_ore: Ore = 50_000  # one Swish that is not confirmed
    till_day_ore: Ore = 4_000_000
    store_day_ore: Ore = 20_000_000


class Risk(msgspec.Struct):
    """What was accepted at risk on one local day."""

    day: str = ""
    ore: int = 0
    count: int = 0

    def add(self, day: str, ore: int) -> Risk:
        if day != self.day:
            return Risk(day, ore, 1)
        return Risk(day, self.ore + ore, self.count + 1)


class RiskTooHighError(RefusedError):
    sentence = N_(
        "{amount} kr is more than may be taken unconfirmed now ({left} kr left). Take cash, or part of it in cash."
    )


def left_ore(limits: RiskLimits, means: str, day: str, till: Risk, store_ore: int) -> int:
    """How much one more payment at risk may come to. `store_ore`: what the store's other tills took today, as last heard."""
    one = limits.card_ore if means == "card" else limits.swish_ore
    mine = till.ore if till.day == day else 0
    return max(0, min(one, limits.till_day_ore - mine, limits.store_day_ore - mine - store_ore))


def allow(limits: RiskLimits, means: str, day: str, till: Risk, store_ore: int, amount_ore: int) -> None:
    """Raises RiskTooHighError with nothing asked."""
    left = left_ore(limits, means, day, till, store_ore)
    if amount_ore > left:
        raise RiskTooHighError(amount=kronor(amount_ore), left=kronor(left))
