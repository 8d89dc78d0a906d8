"""Why goods are refused: each leaf carries facts and names its sentence; the till translates it.

Facts from a scanner are clipped to 40 printable characters: a hostile code never fills the screen or the journal.
"""

from __future__ import annotations

from oppet.base.errors import RefusedError, clip
from oppet.base.words import N_

__all__ = [
    "BrokenAssortmentError",
    "CodeTooLongError",
    "ContradictoryCodeError",
    "EmptyMeasureError",
    "ExpiredError",
    "NoArticleInCodeError",
    "NoPriceError",
    "RecalledError",
    "UnknownArticleError",
    "UnknownCodeError",
    "UnknownVatClassError",
    "UnreadableCodeError",
    "WrongCheckDigitError",
]

LONGEST_CODE_SHOWN = 40


class _CodeError(RefusedError):
    """A refusal that shows the code it is about, clipped."""

    def __init__(self, **facts: object) -> None:
        code = facts.get("code")
        if isinstance(code, str):
            facts["code"] = clip(code, LONGEST_CODE_SHOWN)
        super().__init__(**facts)


class UnreadableCodeError(_CodeError):
    sentence = N_("The code {code} cannot be read. Scan again or search by name.")


class WrongCheckDigitError(_CodeError):
    sentence = N_("The check digit of {code} is wrong. Scan again or type the number once more.")


class CodeTooLongError(_CodeError):
    sentence = N_("The code is {length} characters long; at most {longest} are read. Scan one code at a time.")


class ContradictoryCodeError(_CodeError):
    sentence = N_("The code {code} contradicts itself in field {field}. Set the pack aside and call a supervisor.")


class NoArticleInCodeError(_CodeError):
    sentence = N_("The code {code} names no article. Scan the pack's own code.")


class EmptyMeasureError(_CodeError):
    sentence = N_("The code {code} says weight or price zero. Weigh the goods again.")


class UnknownCodeError(_CodeError):
    sentence = N_("No article has the code {code}. Search by name or call a supervisor.")


class UnknownArticleError(RefusedError):
    sentence = N_("There is no article number {number}.")


class NoPriceError(RefusedError):
    sentence = N_("{name} has no price on {when}. Call a supervisor.")


class UnknownVatClassError(RefusedError):
    sentence = N_("There is no VAT class “{vat}” on {day}.")


class ExpiredError(RefusedError):
    sentence = N_("{name} must not be sold after {date}. Take it off the shelf.")


class RecalledError(RefusedError):
    sentence = N_("{name} is recalled: {text} Take it off the shelf.")


class BrokenAssortmentError(RefusedError):
    sentence = N_("The assortment cannot be read: {reason}.")
