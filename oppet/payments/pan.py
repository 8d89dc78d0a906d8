"""Card numbers in text: found by the shape of the schemes' ranges and Luhn's check, so that none is ever written (PT7).

Strict on purpose: a number counts only where a scheme gives cards such a number and such a length, standing alone or in a card's own
groups. GTINs, receipt numbers, times and members' tokens are left alone; a scan that cries at every receipt is one that nobody reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["card_numbers", "mask_cards"]

# Digits in a row, or in the groups that are printed on a card: 4-4-4-4(-3), 4-6-5, 4-6-4. Nothing of a longer word or number. The first
# digit comes before what is asked about its left side: so a text without digits is passed over in no time.
_ALONE = r"\d(?<![0-9A-Za-z_].)(?<!\d\..)"
_GROUPED = r"\d{3}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?|\d{3}([ -])\d{6}\2\d{4,5}"
_SHAPE = re.compile(rf"{_ALONE}(?:\d{{13,18}}|{_GROUPED})(?![0-9A-Za-z_])", re.DOTALL)

# (first and last of the leading digits, lengths): what the schemes issue.
_RANGES: tuple[tuple[str, str, frozenset[int]], ...] = (
    ("4", "4", frozenset({16, 19})),  # Visa
    ("51", "55", frozenset({16})),  # Mastercard
    ("2221", "2720", frozenset({16})),
    ("34", "34", frozenset({15})),  # American Express
    ("37", "37", frozenset({15})),
    ("36", "36", frozenset({14})),  # Diners Club
    ("38", "39", frozenset({14, 16})),
    ("300", "305", frozenset({14, 16})),
    ("3528", "3589", frozenset({16, 19})),  # JCB
    ("50", "50", frozenset({16, 18, 19})),  # Maestro
    ("56", "58", frozenset({16, 18, 19})),
    ("60", "60", frozenset({16, 19})),  # Discover, RuPay
    ("62", "62", frozenset({16, 17, 18, 19})),  # UnionPay
    ("63", "69", frozenset({16, 18, 19})),
)


def card_numbers(text: str) -> Iterator[tuple[int, int]]:
    """Where whole card numbers stand in a text: start and end."""
    for found in _SHAPE.finditer(text):
        digits = re.sub("[ -]", "", found[0])
        if _issued(digits) and _luhn(digits) and not _gtin(digits):
            yield found.span()


def mask_cards(text: str) -> str:
    """The same text with every whole card number cut to its last four digits."""
    for start, end in reversed(list(card_numbers(text))):
        text = f"{text[:start]}**** {text[end - 4 : end]}{text[end:]}"
    return text


def _issued(digits: str) -> bool:
    return any(len(digits) in lengths and first <= digits[: len(first)] <= last for first, last, lengths in _RANGES)


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0 and len(set(digits)) > 1  # one digit in a row is somebody's counter


def _gtin(digits: str) -> bool:
    """A trade item of 14 digits that also passes Luhn's check: goods, in a shop."""
    if len(digits) != 14:
        return False
    return sum(int(digit) * (3 - 2 * (place % 2)) for place, digit in enumerate(digits)) % 10 == 0
