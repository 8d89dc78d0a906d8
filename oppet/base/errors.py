"""Errors say who must act.

A leaf carries facts (keyword arguments) and names the sentence that explains them; the place that shows it
translates the sentence and fills the facts in. The three families are the command's exit codes.
Our own mistakes are assertions, not one of these.
"""

from __future__ import annotations

from typing import ClassVar

from oppet.base.words import N_

__all__ = ["OppetError", "RefusedError", "SettingsError", "UnavailableError", "UntrustedError", "clip", "place_first"]

LONGEST_FACT = 80


def clip(text: str, longest: int = LONGEST_FACT) -> str:
    """Make hostile text safe to show: printable, one line, at most `longest` characters."""
    shown = "".join(c if c.isprintable() else "·" for c in text[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def place_first(said: str) -> str:
    """A decoder's complaint with the place first: what is wrong there may be long, and is cut."""
    wrong, _, place = said.removeprefix("JSON is malformed: ").partition(" - at ")
    where = place.strip("`").removeprefix("$").removeprefix(".")
    return clip(f"{where}: {wrong}" if where else wrong)


class OppetError(Exception):
    """An error for a person, with the facts that person needs. `exit_code` is the command's."""

    sentence: ClassVar[str] = N_("Something was refused.")
    exit_code: ClassVar[int] = 1

    def __init__(self, **facts: object) -> None:
        self.facts = {name: clip(fact) if isinstance(fact, str) else fact for name, fact in facts.items()}
        super().__init__(self.sentence.format(**self.facts))


class RefusedError(OppetError):
    """A rule says no: the reader learns why and goes on."""

    exit_code = 1


class SettingsError(RefusedError):
    """A place's own files cannot be used as they are."""

    sentence = N_("The settings in {file} cannot be used: {reason}.")


class UntrustedError(OppetError):
    """Bytes failed to prove their sender: keep them, raise the alarm, never retry."""

    exit_code = 2


class UnavailableError(OppetError):
    """Disk, cable or device is away: what can wait is queued and selling goes on by what is left."""

    exit_code = 3
