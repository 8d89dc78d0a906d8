"""GS1 element strings: what a 2D code or a GS1-128 says, field by field (G2, G3).

The table of application identifiers, their patterns and their separators is biip's. The walk is ours, because
biip lets a field that needs a separator run into the next one, and because biip asks the wall clock which century a
date is in, and a rule room has no clock. Leaves symbology identifiers and plain numbers to codes.py, URIs to links.py.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from biip import ParseError
from biip.gs1_application_identifiers import GS1ApplicationIdentifier
from msgspec import Struct

from oppet.base.money import LARGEST_ORE, round_half_up
from oppet.goods.errors import (
    ContradictoryCodeError,
    EmptyMeasureError,
    NoArticleInCodeError,
    UnreadableCodeError,
    WrongCheckDigitError,
)

__all__ = ["GS", "Elements", "Facts", "checked", "facts", "field", "from_brackets", "from_message", "only_digits"]

GS: Final = "\x1d"  # what scanners send for an inner FNC1
SWEDISH_KRONOR: Final = "752"
LONGEST_WEIGHT_G: Final = 10_000_000
_BRACKETS = re.compile(r"\(([0-9]{2,4})\)([^()]+)")

Elements = tuple[tuple[str, str], ...]


class Facts(Struct, frozen=True):
    """What the fields of one code mean at a till. `partly` says that the end of the code could not be read."""

    gtin: str
    weight_g: int | None = None
    price_ore: int | None = None
    lot: str | None = None
    best_before: str | None = None
    use_by: str | None = None
    partly: bool = False


def only_digits(text: str) -> bool:
    """ASCII digits and nothing else: a scanner sends no others, and int() reads Arabic ones."""
    return text.isascii() and text.isdigit()


def checked(digits: str, code: str) -> str:
    """Give a GTIN as 14 digits if its check digit is right. Raises WrongCheckDigitError."""
    # biip's own, reckoned over bytes: it is asked at every scan, and a test holds the two against each other.
    values = digits.encode()
    if (
        3 * sum(values[-2::-2]) + sum(values[-1::-2]) - ord("0") * (3 * (len(values) // 2) + (len(values) + 1) // 2)
    ) % 10:
        raise WrongCheckDigitError(code=code)
    return digits.zfill(14)


@lru_cache(maxsize=1024)
def _identifier(start: str) -> GS1ApplicationIdentifier | None:
    try:
        return GS1ApplicationIdentifier.extract(start)
    except ParseError:
        return None


@lru_cache(maxsize=1024)
def _pattern(identifier: GS1ApplicationIdentifier) -> re.Pattern[str]:
    return re.compile(identifier.pattern, re.ASCII)


def _length(identifier: GS1ApplicationIdentifier) -> int:
    """Length of a field without separator: its format reads "N2+N14", the identifier first."""
    return sum(int(part.lstrip("N")) for part in identifier.format.split("+"))


def field(ai: str, value: str) -> bool:
    """Whether `value` is what GS1 lets the identifier `ai` hold."""
    identifier = _identifier(ai)
    return bool(value and identifier is not None and identifier.ai == ai and _pattern(identifier).fullmatch(ai + value))


def from_message(body: str, code: str) -> tuple[Elements, bool]:
    """Split what a scanner sent, without its symbology identifier; also say whether the end was left unread.

    A trailing or superfluous separator is tolerated. A field that cannot be read spoils the whole string, unless
    the article was already known: then it is sold by that. Raises UnreadableCodeError.
    """
    elements: list[tuple[str, str]] = []
    rest = body.lstrip(GS)
    while rest:
        identifier = _identifier(rest[:4])
        if identifier is None:
            break
        end = rest.find(GS) if identifier.separator_required else _length(identifier)
        chunk = rest if end < 0 else rest[:end]
        value = chunk[len(identifier.ai) :]
        if not field(identifier.ai, value):
            break
        elements.append((identifier.ai, value))
        rest = rest[len(chunk) :].lstrip(GS)
    if not elements or (rest and elements[0][0] != "01"):
        raise UnreadableCodeError(code=code)
    return tuple(elements), bool(rest)


def from_brackets(text: str, code: str) -> Elements:
    """Split what stands under the bars and was typed, "(01)07312345678909(17)261130". Raises UnreadableCodeError."""
    bare = "".join(text.split(" "))
    elements = tuple((found[1], found[2]) for found in _BRACKETS.finditer(bare))
    if "".join(f"({ai}){value}" for ai, value in elements) != bare or not all(field(*element) for element in elements):
        raise UnreadableCodeError(code=code)
    return elements


def facts(elements: Elements, code: str, today: str, *, partly: bool = False) -> Facts:
    """Say what the fields mean; `today` decides the century (G3).

    Raises ContradictoryCodeError, WrongCheckDigitError, NoArticleInCodeError, EmptyMeasureError, UnreadableCodeError.
    """
    by_ai: dict[str, str] = {}
    for ai, value in elements:
        if by_ai.setdefault(ai, value) != value:
            raise ContradictoryCodeError(code=code, field=ai)
    if "01" not in by_ai:
        raise NoArticleInCodeError(code=code)
    for other in ("02", "37", "255"):  # a case's content, or a coupon, beside an article
        if other in by_ai:
            raise ContradictoryCodeError(code=code, field=other)
    return Facts(
        gtin=checked(by_ai["01"], code),
        weight_g=_weight_g(by_ai, code),
        price_ore=_price_ore(by_ai, code),
        lot=by_ai.get("10"),
        best_before=_day(by_ai["15"], today) if "15" in by_ai else None,
        use_by=_use_by(by_ai, today),
        partly=partly,
    )


def _weight_g(by_ai: Mapping[str, str], code: str) -> int | None:
    weights = {
        round_half_up(int(value) * 1000, 10 ** int(ai[3])) for ai, value in by_ai.items() if ai.startswith("310")
    }
    if len(weights) > 1:
        raise ContradictoryCodeError(code=code, field="310")
    for grams in weights:
        if grams == 0:
            raise EmptyMeasureError(code=code)
        if grams > LONGEST_WEIGHT_G:
            raise UnreadableCodeError(code=code)
        return grams
    return None


def _price_ore(by_ai: Mapping[str, str], code: str) -> int | None:
    """A price counts only beside the measure it is the price of, and only in kronor."""
    prices = {ai: value for ai, value in by_ai.items() if ai[:3] in ("392", "393") and len(ai) == 4}
    if len(prices) > 1:
        raise ContradictoryCodeError(code=code, field="392")
    if not any(ai == "30" or ai[:2] in ("31", "32", "35", "36") for ai in by_ai):
        return None
    for ai, value in prices.items():
        if ai.startswith("393"):
            if not value.startswith(SWEDISH_KRONOR):
                return None
            amount = int(value[3:])
        else:
            amount = int(value)
        ore = round_half_up(amount * 100, 10 ** int(ai[3]))
        if ore == 0:
            raise EmptyMeasureError(code=code)
        if ore > LARGEST_ORE:
            raise UnreadableCodeError(code=code)
        return ore
    return None


def _use_by(by_ai: Mapping[str, str], today: str) -> str | None:
    """The earliest last day of use; AI 7003 adds the hour, "9999" in its place says that only the day counts."""
    found = [_day(by_ai["17"], today)] if "17" in by_ai else []
    if "7003" in by_ai:
        day, hour, minute = _day(by_ai["7003"][:6], today), by_ai["7003"][6:8], by_ai["7003"][8:]
        if day is not None and hour <= "23" and minute <= "59":
            day = f"{day}T{hour}:{minute}"
        found.append(day)
    known = [day for day in found if day is not None]
    return min(known, key=lambda day: day if "T" in day else f"{day}T24:00") if known else None


def _day(yymmdd: str, today: str) -> str | None:
    """Read YYMMDD within the 49 years before and 50 after today; DD 00 is the month's last day. None if no such day."""
    year, month, day = int(yymmdd[:2]), int(yymmdd[2:4]), int(yymmdd[4:6])
    this_year = int(today[:4])
    ahead = year - this_year % 100
    year += this_year - this_year % 100 + (-100 if ahead >= 51 else 100 if ahead <= -50 else 0)
    if not (1 <= month <= 12 and 1 <= year <= 9999):
        return None
    last = monthrange(year, month)[1]
    if day > last:
        return None
    return f"{year:04d}-{month:02d}-{day or last:02d}"
