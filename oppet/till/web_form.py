"""What a browser sent, read with suspicion: short text, whole numbers, amounts and quantities, each with its bound."""

from __future__ import annotations

import re
from collections.abc import Mapping

from oppet.base.errors import RefusedError
from oppet.base.money import parse_kronor, parse_milli
from oppet.base.words import N_

__all__ = ["Form", "NotAWholeNumberError", "StalePageError"]

LONGEST_TEXT = 2_000  # a web address in a code is the longest thing anybody scans
WHOLE = re.compile(r"[0-9]{1,9}")


class NotAWholeNumberError(RefusedError):
    sentence = N_("“{text}” is not a whole number. Write it with digits only.")


class StalePageError(RefusedError):
    sentence = N_("This window showed an older basket, so nothing was done. It has been brought up to date: try again.")


class Form:
    """Fields by name; one that is missing is empty."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields

    def text(self, name: str, longest: int = LONGEST_TEXT) -> str:
        """At most one character more than `longest`, so that whoever reads it refuses what is too long."""
        return self._fields.get(name, "")[: longest + 1]

    def whole(self, name: str, otherwise: int = 0) -> int:
        """Raises NotAWholeNumberError; an empty field is `otherwise`."""
        text = self.text(name, 40).strip()
        if not text:
            return otherwise
        if not WHOLE.fullmatch(text):
            raise NotAWholeNumberError(text=text)
        return int(text)

    def ore(self, name: str) -> int:
        """Raises NotAnAmountError, for an empty field too."""
        return parse_kronor(self.text(name, 40))

    def milli(self, name: str) -> int:
        """Raises NotAnAmountError, for an empty field too."""
        return parse_milli(self.text(name, 40))

    def has(self, name: str) -> bool:
        return bool(self._fields.get(name, "").strip())

    def fields(self) -> dict[str, str]:
        """Everything but who approves: what an approval dialog sends once more."""
        return {
            n: v[:LONGEST_TEXT]
            for n, v in self._fields.items()
            if n not in {"approver", "approver_pin", "seen", "sale"}
        }
