"""Means of payment, as a table: what each is called, whether it gives change, and where the books put it.

Card and Swish here are confirmed by the cashier from a stand-alone terminal's slip or the shop's own Swish phone;
paths that the till itself speaks to come with their own state machine. Keeps PAY1 (cash alone is rounded, once),
PAY2 (nothing pays more than is owed but cash, which gives change) and PAY3 (suggested sums pay, change is counted out in the fewest
pieces).
"""

from __future__ import annotations

from dataclasses import dataclass

from oppet.base.errors import RefusedError
from oppet.base.words import N_

__all__ = [
    "CASH", "DENOMINATIONS", "KRONA", "MEANS", "Means", "NotWholeKronorError", "TooMuchError", "UnknownMeansError", "cash_due",
    "likely_cash", "means", "pieces",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Means:
    name: str
    sentence: str  # what pages and receipts call it, for the catalogues
    account: int  # BAS account (reference §12)
    reversible: bool  # the till can take it back by itself: only cash, out of its own drawer


CASH = "cash"
DENOMINATIONS = (100_000, 50_000, 20_000, 10_000, 5_000, 2_000, 1_000, 500, 200, 100)  # öre, reference §10
ROUND_SUMS = (1_000, 5_000, 10_000, 20_000, 50_000, 100_000)  # öre: people pay up to the next of these
MOST_SUGGESTED = 6
KRONA = 100  # öre: the smallest coin (lag 1970:1029); only a replay under foreign law hands in another
MEANS: dict[str, Means] = {
    m.name: m
    for m in (
        Means(CASH, N_("Cash"), 1910, True),
        Means("card", N_("Card"), 1581, False),
        Means("swish", N_("Swish"), 1582, False),
        Means("gift_card", N_("Gift card"), 2421, False),
        Means("pant_voucher", N_("Pant voucher"), 1689, False),
        Means("coupon", N_("Coupon"), 1583, False),
        Means("invoice", N_("Invoice"), 1510, False),
    )
}


class UnknownMeansError(RefusedError):
    sentence = N_("“{means}” is no means of payment at this till. Choose one of those shown.")


class NotWholeKronorError(RefusedError):
    sentence = N_("Cash is whole kronor: {amount} kr cannot be paid with coins. Enter what the customer hands over.")


class TooMuchError(RefusedError):
    sentence = N_("{amount} kr is more than the {due} kr left to pay, and only cash gives change.")


def means(name: str) -> Means:
    """Look a means up by name. Raises UnknownMeansError."""
    found = MEANS.get(name)
    if found is None:
        raise UnknownMeansError(means=name)
    return found


def cash_due(due_ore: int, coin_ore: int = KRONA) -> int:
    """Round what is left to pay in cash to a whole krona: 1–49 öre down, 50–99 up (lag 1970:1029, reference §10)."""
    return (due_ore + coin_ore // 2) // coin_ore * coin_ore


def likely_cash(due_ore: int) -> tuple[int, ...]:
    """What a customer who owes this is likely to hand over, in öre, least first: the exact sum, then round ones.

    Nothing for what rounds to nothing.
    """
    due = cash_due(due_ore)
    if due <= 0:
        return ()
    sums = {due} | {-(-due // step) * step for step in ROUND_SUMS}
    return tuple(sorted(sums)[:MOST_SUGGESTED])


def pieces(amount_ore: int) -> tuple[tuple[int, int], ...]:
    """A sum in as few notes and coins as can be, largest first: (denomination in öre, how many). Öre below a krona are left out.

    Taking the largest first is always the fewest for the Swedish denominations.
    """
    left, found = max(0, amount_ore), []
    for denomination in DENOMINATIONS:
        count, left = divmod(left, denomination)
        if count:
            found.append((denomination, count))
    return tuple(found)
