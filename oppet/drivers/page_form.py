"""What a browser sent to an office page, read with suspicion: short text, whole numbers, one of a list, each with its bound.

Keeps O7 (a form beyond its bounds changes nothing) of docs/rules-office.md.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Annotated

from litestar.enums import RequestEncodingType
from litestar.params import Body

from oppet.base.errors import RefusedError
from oppet.base.money import parse_kronor
from oppet.base.words import N_

__all__ = ["Fields", "Form", "NotAChoiceError", "NumberNeededError", "TextUnfitError"]

Fields = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]
LONGEST_TEXT = 200
WHOLE = re.compile(r"[0-9]{1,9}")
DAY = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")


class NumberNeededError(RefusedError):
    sentence = N_("“{text}” is not a number here. Write digits only, from {least} to {most}.")


class TextUnfitError(RefusedError):
    sentence = N_("“{text}” cannot be used as {what}. Write 1 to {longest} ordinary characters.")


class NotAChoiceError(RefusedError):
    sentence = N_("“{text}” is not one of the choices for {what}.")


class Form:
    """Fields by name; one that is missing is empty."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields

    def has(self, name: str) -> bool:
        return bool(self._fields.get(name, "").strip())

    def text(self, name: str, longest: int = LONGEST_TEXT) -> str:
        """Printable text of at most `longest` characters; empty when it is missing. Raises TextUnfitError."""
        text = self._fields.get(name, "").strip()
        if len(text) > longest or not text.isprintable():
            raise TextUnfitError(text=text, what=name, longest=longest)
        return text

    def some_text(self, name: str, longest: int = LONGEST_TEXT) -> str:
        """The same, and not empty. Raises TextUnfitError."""
        text = self.text(name, longest)
        if not text:
            raise TextUnfitError(text=text, what=name, longest=longest)
        return text

    def whole(self, name: str, least: int = 0, most: int = 999_999_999) -> int:
        """Raises NumberNeededError, for an empty field too."""
        text = self._fields.get(name, "").strip()
        if not (text.isascii() and WHOLE.fullmatch(text)) or not least <= int(text) <= most:
            raise NumberNeededError(text=text, least=least, most=most)
        return int(text)

    def ore(self, name: str) -> int:
        """Raises NotAnAmountError, for an empty field too."""
        return parse_kronor(self._fields.get(name, "")[:40])

    def one_of(self, name: str, choices: Collection[str]) -> str:
        """Raises NotAChoiceError."""
        text = self._fields.get(name, "")
        if text not in choices:
            raise NotAChoiceError(text=text, what=name)
        return text

    def day(self, name: str) -> str:
        """A local day "2026-11-22"; empty when it is missing. Raises NotAChoiceError."""
        text = self._fields.get(name, "").strip()
        if text and not DAY.fullmatch(text):
            raise NotAChoiceError(text=text, what=name)
        return text
