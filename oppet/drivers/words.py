"""The words of pages and receipts: an English sentence said in the reader's language, its facts filled in.

The rooms name sentences (`N_`) and hand over facts; here the catalogues say them. A fact may itself be one of our sentences, bare or
already filled in by the room that knew the numbers; it is translated too. Keeps H8 (every sentence is in the catalogues).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from gettext import GNUTranslations, translation
from pathlib import Path
from string import Formatter

from oppet.base.errors import OppetError
from oppet.base.words import N_
from oppet.paper.sheet import Say
from oppet.sale.rights import ROLE_WORDS

__all__ = ["LANGUAGES", "explain", "say", "sayer", "translations"]

LANGUAGES = {"sv": "Svenska", "en": "English"}  # the first is the one a new browser gets
FOLDER = Path(__file__).parent / "locale"
_HOLE = "{"
# What rooms hand over as a fact without marking it: words of `UnitStatus.main`, `PathState.why` and closed units.
DEVICE_WORDS = (
    N_("ready"), N_("paper_out"), N_("cover_open"), N_("offline"), N_("error"), N_("away"), N_("unreachable"), N_("busy"), N_("full"),
    N_("code_unknown"), N_("not_operational"), N_("licence"), N_("protocol"), N_("ok"), N_("high"), N_("no_unit"), N_("open"),
    N_("parked"), N_("being paid"), N_("being registered"), N_("done"), N_("abandoned"), N_("moved to another till"),
    N_("at an unknown code"),
)  # fmt: skip

# Said by papers inside f-strings, where the extraction tool of older Pythons does not look; and what cases are about.
PAPER_WORDS = (
    N_("Receipt (kvitto)"), N_("Register (kassa)"), N_("Cashier"), N_("Company no. (org.nr)"), N_("Sales"), N_("Returns"), N_("Net"),
    N_("tender_without_sale"), N_("reversal_failed"), N_("refund_without_return"), N_("tender_unknown"), N_("clock"), N_("journal"),
)  # fmt: skip


@cache
def translations(language: str) -> GNUTranslations:
    """The catalogue of a language. Raises FileNotFoundError where set-up has not compiled it."""
    found = translation("oppet", FOLDER, [language])
    assert isinstance(found, GNUTranslations), "a compiled catalogue"
    return found


def say(sentence: str, language: str) -> str:
    """The sentence in `language`; one that no catalogue knows is said as it is. Nothing says nothing."""
    return translations(language).gettext(sentence) if sentence else ""


@cache
def sayer(language: str) -> Say:
    """The same as a function of the sentence alone, as papers want it."""
    return lambda sentence: say(sentence, language)


def explain(error: OppetError, language: str) -> str:
    """What happened, for the person at the till."""
    return _filled(say(error.sentence, language), error.facts, language)


def _filled(sentence: str, facts: Mapping[str, object], language: str) -> str:
    said = {name: _fact(fact, language) if isinstance(fact, str) else fact for name, fact in facts.items()}
    return sentence.format(**said)


def _fact(fact: str, language: str) -> str:
    """A fact that is one of our words, or one of our sentences filled in, is said in the language; any other stays."""
    whole = say(fact, language)
    if whole != fact:
        return whole
    for pattern, sentence in _filled_in(language):
        if (found := pattern.fullmatch(fact)) is not None:
            return _filled(sentence, found.groupdict(), language)
    return ", ".join(_reason(part, language) for part in fact.split(", ")) if ": " in fact else fact


def _reason(part: str, language: str) -> str:
    """ "printer: paper_out": the device's name stays, the reason is said."""
    name, colon, why = part.rpartition(": ")
    return f"{name}{colon}{say(why, language)}"


@cache
def _filled_in(language: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """The half sentences with holes: what a filled-in one looks like, and how it is said. Whole sentences are never facts."""
    catalogue: dict[object, str] = getattr(translations(language), "_catalog", {})
    found = []
    for sentence, said in catalogue.items():
        if isinstance(sentence, str) and _HOLE in sentence and not sentence[0].isupper() and sentence[0] != _HOLE:
            parts = Formatter().parse(sentence)
            shape = "".join(re.escape(text) + (f"(?P<{hole}>.+)" if hole else "") for text, hole, _, _ in parts)
            found.append((re.compile(shape), said))
    return tuple(found)


def role_words(role: str, language: str) -> str:
    return say(ROLE_WORDS[role], language)
