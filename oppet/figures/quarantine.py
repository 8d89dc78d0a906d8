"""Bad content: what is wrong with an entry whose signature is good, in a word, a place and how far it still counts.

Such an entry is kept like any other, counted as far as it can be, and waits for a person; nothing behind it waits (R21).
Nobody mends an entry: what is right is said by a later one. A fault is judged from the entry alone, from what HQ knows
of rates and goods, and from the moment it came.
"""

from __future__ import annotations

import re

import msgspec

from oppet.base.words import N_
from oppet.goods.vat import CLASSES

__all__ = ["EARLIEST", "EARLY_MS", "RATES", "REASONS", "Fault", "Goods", "unreadable"]

EARLIEST = "2024-01-01T00:00:00.000Z"  # before any till of ours was made
EARLY_MS = 36 * 3_600_000  # a till's clock may be ahead of ours by a day and a half before anybody is asked
RATES = frozenset(rate for steps in CLASSES.values() for _, rate in steps)
NO_NAMES: frozenset[str] = frozenset()
LONGEST = 160

REASONS = {
    "unreadable": N_("Its content cannot be read."),
    "amounts": N_("Its lines do not add up to its total."),
    "vat": N_("Its VAT does not add up."),
    "tenders": N_("What was paid does not add up to the total and its rounding."),
    "lines": N_("A line stands there twice."),
    "rate": N_("It has a VAT rate that Swedish law does not know."),
    "group": N_("It names an article group nobody knows."),
    "article": N_("It names an article nobody knows."),
    "number": N_("Its receipt number was used before."),
    "kind": N_("It is neither a sale, a return nor training."),
    "time": N_("Its time is no time."),
    "past": N_("Its time is before the first till was made."),
    "future": N_("Its time is more than a day ahead."),
    "views": N_("Head office could not write its figures: that is a mistake of ours."),
}


class Fault(msgspec.Struct, frozen=True):
    """One thing wrong. `counted`: all | lines (not how it was paid) | total | nothing."""

    reason: str
    place: str
    detail: str
    counted: str = "all"


class Goods(msgspec.Struct, frozen=True):
    """What HQ knows of goods; an empty set knows nothing and refuses nothing."""

    articles: frozenset[str] = NO_NAMES
    groups: frozenset[str] = NO_NAMES


_WHERE = re.compile(r"(.*?)(?: - at `\$\.?(.*)`)?").fullmatch


def unreadable(error: Exception, counted: str) -> Fault:
    """What a decoder said, as a place and a sentence of its own."""
    said = _WHERE(str(error).replace("\n", " ")[:LONGEST])
    assert said is not None, "every text of one line is one"
    return Fault("unreadable", said[2] or "", said[1], counted)
