"""What from outside may be journalled about a customer or a payment: tokens and references, never a person (law 7 of
the design).

A scanner or a finger may send a personal number, a telephone number or a whole card number where a token was meant.
What looks like one is refused before it is written, because a journal never forgets. Keeps S11 and PT12.
"""

from __future__ import annotations

import re

import msgspec

from oppet.base.errors import SettingsError, clip
from oppet.payments.risk import InvoiceCustomer

__all__ = ["invoice_customers", "members_token", "payment_reference"]

MOST_CUSTOMERS = 20_000
_TOKEN = re.compile(r"[0-9A-Za-z]{1,64}")
_REFERENCE = re.compile(r"[0-9A-Za-z-]{0,40}")
_PERSON = re.compile(r"(?:19|20)?[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01]|6[1-9]|[78][0-9]|9[01])-?[0-9]{4}")
_TELEPHONE = re.compile(r"(?:0046|46|0)[1-9][0-9]{6,9}")


def members_token(text: str) -> bool:
    """Whether this may be a member's pseudonym: letters and digits, and no personal, telephone or card number."""
    return _TOKEN.fullmatch(text) is not None and not _names_a_person(text)


def payment_reference(text: str) -> bool:
    """Whether this may be a payment's reference, or nothing: letters, digits and hyphens, and nobody's number."""
    return _REFERENCE.fullmatch(text) is not None and not _names_a_person(text)


def invoice_customers(data: bytes, file: str) -> dict[str, InvoiceCustomer]:
    """The store's list of invoice customers: {"token": {"day_ore": …, "sale_ore": …}}. Raises SettingsError."""
    try:
        found = msgspec.json.decode(data, type=dict[str, InvoiceCustomer])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise SettingsError(file=file, reason=clip(str(error), 200)) from None
    if len(found) > MOST_CUSTOMERS:
        raise SettingsError(file=file, reason=f"more than {MOST_CUSTOMERS} customers")
    for place, token in enumerate(found, 1):
        if len(token) > 40 or not members_token(token):  # not repeated: it may be somebody's own number
            raise SettingsError(file=file, reason=f"number {place} is no token, or a person's own number")
    return found


def _names_a_person(text: str) -> bool:
    if _PERSON.fullmatch(text) is not None and _luhn(re.sub(r"[^0-9]", "", text)[-10:]):
        return True
    if _TELEPHONE.fullmatch(text) is not None:
        return True
    return text.isdigit() and 13 <= len(text) <= 19 and text[0] in "23456" and _luhn(text)


def _luhn(digits: str) -> bool:
    """The check digit that personal and card numbers end with."""
    doubled = (int(d) * (2 if place % 2 else 1) for place, d in enumerate(reversed(digits)))
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0
