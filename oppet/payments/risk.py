"""The risk budget: how much a till and a store take on nobody's word but the terminal's or the customer's phone's.

Offline card payments under the Swedish agreement (reference card-terminal §8: at least 4 000 kr a card and week; the chain sets
ceilings) and Swish that nothing confirms (swish §8). The merchant bears it all, so it is bounded by sale, till and store. Beside it
what a customer may buy on an invoice: a token with a limit, never a name. Keeps PT6 and PT12.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from oppet.base.errors import RefusedError
from oppet.base.money import kronor
from oppet.base.words import N_

__all__ = [
    "InvoiceCustomer", "NoInvoiceCustomerError", "Risk", "RiskLimits", "RiskTooHighError", "allow", "invoice_left_ore", "left_ore",
]  # fmt: skip

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


# --- on an invoice


class InvoiceCustomer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one invoice customer may buy with nobody's approval, in öre. Who it is stands at head office."""

    day_ore: Ore
    sale_ore: Ore


class NoInvoiceCustomerError(RefusedError):
    sentence = N_(
        "No invoice customer has this number. Read it again from the customer's card, or take another payment."
    )


def invoice_left_ore(customers: Mapping[str, InvoiceCustomer], token: str, day: str, bought: Risk) -> int:
    """How much more this customer may buy now before a supervisor is asked. Raises NoInvoiceCustomerError."""
    customer = customers.get(token)
    if customer is None:
        raise NoInvoiceCustomerError
    return max(0, min(customer.sale_ore, customer.day_ore - (bought.ore if bought.day == day else 0)))
