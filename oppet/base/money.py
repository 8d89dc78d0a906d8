"""Money is an int of whole öre, named `_ore`; never a float (rule M1).

Rates are basis points (25 % = 2500), quantities thousandths (one piece or one kilo = 1000), so that every
product is a whole number and every division says how it rounds.
"""

from __future__ import annotations

from collections.abc import Sequence

from oppet.base.errors import RefusedError
from oppet.base.words import N_

__all__ = [
    "LARGEST_ORE",
    "NotAQuantityError",
    "NotAnAmountError",
    "kronor",
    "parse_kronor",
    "parse_milli",
    "round_half_up",
    "spread",
    "thousandths",
]

LARGEST_ORE = 100_000_000  # A till refuses a million kronor and more in one amount: it is a typing error.


class NotAnAmountError(RefusedError):
    sentence = N_("“{text}” is not an amount here. Write kronor and öre as 12,50, at most {largest}.")


class NotAQuantityError(RefusedError):
    sentence = N_("“{text}” is no quantity here. Write a number such as 3 or 0,750, at most {largest}.")


def round_half_up(numerator: int, denominator: int) -> int:
    """Divide whole numbers, halves away from zero; `denominator` is positive."""
    if numerator >= 0:
        return (2 * numerator + denominator) // (2 * denominator)
    return -((-2 * numerator + denominator) // (2 * denominator))


def spread(amount_ore: int, weights: Sequence[int]) -> list[int]:
    """Share out `amount_ore` in proportion to non-negative `weights`, to the öre, by largest remainder.

    The shares add up to `amount_ore` exactly; equal remainders go to the earlier weight. With no weight at all
    everything falls on the first share.
    """
    total = sum(weights)
    if total == 0:
        return [amount_ore, *([0] * (len(weights) - 1))]
    sign = -1 if amount_ore < 0 else 1
    whole = abs(amount_ore)
    shares = [whole * weight // total for weight in weights]
    left = whole - sum(shares)
    if left:
        by_remainder = sorted(range(len(weights)), key=lambda i: (-(whole * weights[i] % total), i))
        for i in by_remainder[:left]:
            shares[i] += 1
    return [sign * share for share in shares]


def kronor(ore: int, point: str = ",") -> str:
    """Write öre as kronor with two decimals, "-1 234,50" without the space: machines read it too."""
    whole, rest = divmod(abs(ore), 100)
    return f"{'-' if ore < 0 else ''}{whole}{point}{rest:02d}"


def thousandths(milli: int, point: str = ",") -> str:
    """Write a quantity in thousandths: pieces as "3", weights as "0,750"."""
    whole, rest = divmod(abs(milli), 1000)
    sign = "-" if milli < 0 else ""
    return f"{sign}{whole}" if rest == 0 else f"{sign}{whole}{point}{rest:03d}"


def parse_kronor(text: str) -> int:
    """Read "12", "12,5", "12.50" or "1 234,50" as öre. Raises NotAnAmountError for anything else or beyond
    LARGEST_ORE.
    """
    ore = _parse(text, 2)
    if ore is None or ore > LARGEST_ORE:
        raise NotAnAmountError(text=text, largest=kronor(LARGEST_ORE))
    return ore


def parse_milli(text: str) -> int:
    """Read a quantity such as "2", "0,75" or "0.750" as thousandths. Raises NotAQuantityError."""
    milli = _parse(text, 3)
    if milli is None or milli > LARGEST_ORE:
        raise NotAQuantityError(text=text, largest=thousandths(LARGEST_ORE))
    return milli


def _parse(text: str, decimals: int) -> int | None:
    bare = text.strip().replace("\N{NO-BREAK SPACE}", "").replace(" ", "").replace(".", ",")
    whole, _, rest = bare.partition(",")
    digits = whole + rest
    if (
        not digits
        or len(digits) > 12
        or not (digits.isascii() and digits.isdigit())
        or len(rest) > decimals
        or not whole
    ):
        return None
    return int(whole + rest.ljust(decimals, "0"))
