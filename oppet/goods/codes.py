"""Codes: what a scanner or a finger sent, read as an article and what the pack says about itself.

Guards the till against everything that can come through a scanner: only a code with a right check digit names an
article (G1), only ASCII is read, nothing long or hostile gets further than here, and no code is ever a command.
Leaves fields to elements.py, web addresses to links.py, and which article it is to catalogue.py.
Keeps G1, G2 and G3 of the rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from biip import ParseError
from biip.upc import Upc
from msgspec import Struct

from oppet.goods.elements import GS, Facts, checked, facts, from_brackets, from_message, only_digits
from oppet.goods.errors import (
    CodeTooLongError,
    ContradictoryCodeError,
    EmptyMeasureError,
    UnreadableCodeError,
    WrongCheckDigitError,
)
from oppet.goods.links import from_link, is_link

__all__ = ["SWEDISH_MEASURES", "Measure", "Scanned", "read"]

LONGEST_CODE: Final = 400
LONGEST_LINK: Final = 2000
LONGEST_PLU: Final = 7  # eight digits are an EAN-8

# Symbology identifier -> kind, for symbols that hold element strings and for plain ones that may hold a link.
ELEMENT_SYMBOLS: Final[Mapping[str, str]] = {
    "]C1": "gs1_128",
    "]e0": "databar",
    "]e1": "databar",
    "]d2": "datamatrix",
    "]Q3": "gs1_qr",
    "]J1": "dotcode",
}
LINK_SYMBOLS: Final = ("]d1", "]Q1", "]J0")
_SENT = re.compile(r"[ -~\x1d]+")  # what scanners send: printable ASCII and GS


class Measure(Struct, frozen=True):
    """What the four digits of an in-store EAN-13 mean: each is `step` öre or grams."""

    what: Literal["price", "weight"]
    step: int


# First two digits -> measure. Configuration: other chains and countries use these prefixes otherwise.
SWEDISH_MEASURES: Final[Mapping[str, Measure]] = {
    "20": Measure("price", 1),
    "21": Measure("price", 10),
    "22": Measure("price", 100),
    "23": Measure("weight", 1),
    "24": Measure("weight", 10),
    "25": Measure("weight", 100),
}


class Scanned(Struct, frozen=True):
    """What one code says. `gtin` has 14 digits; dates are "YYYY-MM-DD", a use-by from AI 7003 adds "THH:MM".

    `partly` says that the end of the code could not be read, so dates may be missing.
    """

    raw: str
    kind: str
    gtin: str | None = None
    scale_code: str | None = None
    price_ore: int | None = None
    weight_g: int | None = None
    lot: str | None = None
    best_before: str | None = None
    use_by: str | None = None
    plu: str | None = None
    partly: bool = False


def read(text: str, today: str, measures: Mapping[str, Measure] = SWEDISH_MEASURES) -> Scanned:
    """Read one code; `today` is the local day "YYYY-MM-DD".

    Raises CodeTooLongError, UnreadableCodeError, WrongCheckDigitError, ContradictoryCodeError, NoArticleInCodeError or
    EmptyMeasureError, and nothing else whatever the text holds.
    """
    if len(text) > LONGEST_LINK:
        raise CodeTooLongError(length=len(text), longest=LONGEST_CODE)
    code = text.strip(" \t\r\n")  # not strip(): that would eat separators too
    if _SENT.fullmatch(code) is None:
        raise UnreadableCodeError(code=code)
    if is_link(code):
        return _about(code, "link", facts(from_link(code, code), code, today))
    if code.startswith("]") and code[:3] in LINK_SYMBOLS and is_link(code[3:]):
        return _about(code, "link", facts(from_link(code[3:], code), code, today))
    if len(code) > LONGEST_CODE:
        raise CodeTooLongError(length=len(code), longest=LONGEST_CODE)
    if code.startswith("]"):
        return _marked(code, today, measures)
    if code.startswith("("):
        return _about(code, "elements", facts(from_brackets(code, code), code, today))
    bare = code.rstrip(GS)
    if only_digits(bare) and len(bare) <= 14:
        return _number(code, bare, measures)
    if code.startswith((GS, "01")):
        return _elements(code, code, "elements", today)
    raise UnreadableCodeError(code=code)


def _about(code: str, kind: str, said: Facts) -> Scanned:
    return Scanned(
        raw=code,
        kind=kind,
        gtin=said.gtin,
        weight_g=said.weight_g,
        price_ore=said.price_ore,
        lot=said.lot,
        best_before=said.best_before,
        use_by=said.use_by,
        partly=said.partly,
    )


def _elements(code: str, body: str, kind: str, today: str) -> Scanned:
    elements, partly = from_message(body, code)
    return _about(code, kind, facts(elements, code, today, partly=partly))


def _marked(code: str, today: str, measures: Mapping[str, Measure]) -> Scanned:
    """Read a code whose symbology the scanner named; a "|" parts a linear symbol from its 2D companion."""
    linear, bar, companion = code.partition("|")
    symbol, body = linear[:3], linear[3:]
    if symbol in ELEMENT_SYMBOLS:  # "|" is not in GS1's alphabet, so a companion spoils nothing here
        return _elements(code, code[3:], ELEMENT_SYMBOLS[symbol], today)
    body = body.rstrip(GS)
    if not only_digits(body):
        raise UnreadableCodeError(code=code)
    if symbol == "]E0" and len(body) == 13:
        said = _ean13(code, body, measures)
    elif symbol == "]E3" and len(body) in (15, 18):  # a magazine's issue follows its EAN-13
        said = _ean13(code, body[:13], measures)
    elif symbol == "]E4" and len(body) == 8:
        said = Scanned(raw=code, kind="ean8", gtin=checked(body, code))
    elif symbol in ("]I0", "]I1") and len(body) == 14:
        said = Scanned(raw=code, kind="gtin14", gtin=checked(body, code))
    else:
        raise UnreadableCodeError(code=code)
    return _with_companion(said, companion, today) if bar else said


def _with_companion(linear: Scanned, companion: str, today: str) -> Scanned:
    """Add what the 2D part of a composite says; it may repeat the article but not name another."""
    if companion[:3] not in ("]e0", "]e1"):
        raise UnreadableCodeError(code=linear.raw)
    elements, partly = from_message(companion[3:], linear.raw)
    if linear.gtin is None:
        raise UnreadableCodeError(code=linear.raw)
    named = [value for ai, value in elements if ai == "01"]
    if any(value != linear.gtin for value in named):
        raise ContradictoryCodeError(code=linear.raw, field="01")
    said = facts((("01", linear.gtin), *elements), linear.raw, today, partly=partly)
    return _about(linear.raw, "composite", said)


def _number(code: str, digits: str, measures: Mapping[str, Measure]) -> Scanned:
    """Read digits that nobody marked: typed, or from a scanner without symbology identifiers."""
    if len(digits) <= LONGEST_PLU:
        return Scanned(raw=code, kind="plu", plu=digits)
    if len(digits) == 8:
        return _eight(code, digits)
    if len(digits) == 12:
        return Scanned(raw=code, kind="upca", gtin=checked(digits, code))
    if len(digits) == 13:
        return _ean13(code, digits, measures)
    if len(digits) == 14:
        return Scanned(raw=code, kind="gtin14", gtin=checked(digits, code))
    raise UnreadableCodeError(code=code)


def _eight(code: str, digits: str) -> Scanned:
    """Eight bare digits may be EAN-8 or UPC-E, and one in ten of them both.

    A leading 0 is UPC-E's common number system but only a company's own numbers as EAN-8, so there UPC-E goes first.
    """
    readings = (_upce, _ean8) if digits.startswith("0") else (_ean8, _upce)
    for reading in readings:
        gtin = reading(digits)
        if gtin is not None:
            return Scanned(raw=code, kind="upce" if reading is _upce else "ean8", gtin=gtin)
    raise WrongCheckDigitError(code=code)


def _ean8(digits: str) -> str | None:
    try:
        return checked(digits, digits)
    except WrongCheckDigitError:
        return None


def _upce(digits: str) -> str | None:
    try:
        return Upc.parse(digits).as_upc_a().zfill(14)
    except ParseError:
        return None


def _ean13(code: str, digits: str, measures: Mapping[str, Measure]) -> Scanned:
    gtin = checked(digits, code)
    measure = measures.get(digits[:2])
    if measure is None:
        return Scanned(raw=code, kind="upca" if digits.startswith("0") else "ean13", gtin=gtin)
    value = int(digits[8:12]) * measure.step
    if value == 0:
        raise EmptyMeasureError(code=code)
    if measure.what == "price":
        return Scanned(raw=code, kind="price", scale_code=digits[2:8], price_ore=value)
    return Scanned(raw=code, kind="weight", scale_code=digits[2:8], weight_g=value)
