"""Pant vouchers: the slip from the reverse vending machine, a number that is money once.

The number says what it is worth and which one it is; how it is laid out is the store's own setting, so another store's slip does not fit.
Whether it was paid already the till knows of itself and asks the store node about every other till; alone it takes a few, and a slip
that two tills took while neither could know is found when their journals meet. Keeps R17 for slips, as PT11.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from msgspec import Meta

from oppet.base.errors import RefusedError
from oppet.base.money import LARGEST_ORE, kronor
from oppet.base.words import N_
from oppet.payments.risk import Risk

__all__ = [
    "LoneVoucherError", "NotAVoucherError", "Voucher", "VoucherRules", "VoucherTooLargeError", "VoucherUsedError", "allow_alone",
    "is_voucher", "read_voucher",
]  # fmt: skip

Ore = Annotated[int, Meta(ge=0, le=LARGEST_ORE)]
MARK = "PV"  # what a voucher's reference begins with
_REFERENCE = re.compile(MARK + r"[0-9]{8,32}")


class VoucherRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How this store's slips are read, and what a till takes of them alone.

    `layout`, a letter a digit: N of the number, A of the amount in kronor, C the check digit, a digit stands for itself.
    """

    layout: Annotated[str, Meta(pattern=r"^(?=.*N)(?=.*A)[0-9NA]{7,31}C\Z", max_length=32)] = "99NNNNNNAAAAC"
    largest_ore: Ore = 100_000  # one slip: more, and it is misread or made up
    lone_ore: Ore = 20_000  # one slip while no store node answers
    lone_day_ore: Ore = 100_000  # and all of them in a day


class Voucher(msgspec.Struct, frozen=True):
    reference: str  # what is journalled of it
    amount_ore: int


class NotAVoucherError(RefusedError):
    sentence = N_("This is no pant voucher of this store. Read its code again; a voucher is paid where it was printed.")


class VoucherTooLargeError(RefusedError):
    sentence = N_(
        "This voucher says {amount} kr, and no voucher here is worth more than {largest} kr. Look at the slip."
    )


class VoucherUsedError(RefusedError):
    sentence = N_("This voucher was paid already, at till {till}. It is worth nothing more.")


class LoneVoucherError(RefusedError):
    sentence = N_(
        "The store node does not answer, so nobody can say whether this voucher was paid at another till. "
        "Alone this till takes up to {left} kr in one voucher now. Wait, or let the customer come back with it."
    )


def read_voucher(text: str, rules: VoucherRules) -> Voucher:
    """What a slip is worth. Raises NotAVoucherError, VoucherTooLargeError."""
    layout, code = rules.layout, text.strip()[:64]
    if len(code) != len(layout) or not (code.isascii() and code.isdigit()) or code[-1] != _check(code[:-1]):
        raise NotAVoucherError
    if any(letter.isdigit() and letter != digit for letter, digit in zip(layout, code, strict=True)):
        raise NotAVoucherError
    amount_ore = 100 * int("".join(digit for letter, digit in zip(layout, code, strict=True) if letter == "A"))
    if not amount_ore:
        raise NotAVoucherError
    if amount_ore > rules.largest_ore:
        raise VoucherTooLargeError(amount=kronor(min(amount_ore, LARGEST_ORE)), largest=kronor(rules.largest_ore))
    return Voucher(MARK + code, amount_ore)


def is_voucher(means: str, reference: str) -> bool:
    """Whether a tender was a slip that was read, not one that was entered by hand."""
    return means == "pant_voucher" and _REFERENCE.fullmatch(reference) is not None


def allow_alone(rules: VoucherRules, voucher: Voucher, today: str, taken: Risk) -> None:
    """Whether a till that cannot ask may take it. Raises LoneVoucherError."""
    before = taken.ore if taken.day == today else 0
    left = max(0, min(rules.lone_ore, rules.lone_day_ore - before))
    if voucher.amount_ore > left:
        raise LoneVoucherError(left=kronor(left))


def _check(digits: str) -> str:
    """As in an EAN: the last digit weighs three."""
    total = sum(int(digit) * (1 if place % 2 else 3) for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)
