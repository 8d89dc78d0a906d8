"""The demo's assortment is two files: whose articles they are, and what we say about them. This makes one of them.

`off` holds names and barcodes from Open Food Facts and stays a database of its own under its own licence; `ours` holds
prices, VAT classes, offers and goods that we invented. Leaves every check to catalogue.decode, which sets aside what is
wrong: an article that one file prices and the other does not name has no name, and is set aside for that.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from oppet.goods.errors import BrokenAssortmentError

__all__ = ["HEADING", "content", "merge"]

HEADING: Final = "gtin\tname\tdepartment\tcontent"
_CONTENT: Final = re.compile(r"([0-9]{1,5})(?:[.,]([0-9]{1,3}))? ?(kg|g|l|dl|cl|ml|st)")
# What one of the unit is in thousandths of the unit that the comparison price is per.
_UNITS: Final = {
    "kg": (1000, "kg"),
    "g": (1, "kg"),
    "l": (1000, "l"),
    "dl": (100, "l"),
    "cl": (10, "l"),
    "ml": (1, "l"),
    "st": (1000, "st"),
}


def content(text: str) -> tuple[int, str] | None:
    """Read "500 g" as (500, "kg"): thousandths of the unit of the comparison price."""
    found = _CONTENT.fullmatch(text)
    if found is None:
        return None
    per, unit = _UNITS[found[3]]
    return int(found[1]) * per + int((found[2] or "").ljust(3, "0")) * per // 1000, unit


def merge(off: bytes, ours: bytes) -> bytes:
    """One assortment document out of both files. Raises BrokenAssortmentError."""
    try:
        lines = off.decode().splitlines()
        document: dict[str, Any] = msgspec.json.decode(ours, type=dict[str, Any])
        terms: list[dict[str, Any]] = msgspec.convert(document.pop("terms"), list[dict[str, Any]])
        in_house: list[dict[str, Any]] = msgspec.convert(document.pop("articles"), list[dict[str, Any]])
    except (UnicodeDecodeError, msgspec.DecodeError, KeyError) as broken:
        raise BrokenAssortmentError(reason=str(broken)) from None
    if not lines or lines[0] != HEADING:
        raise BrokenAssortmentError(reason="the first line is not " + HEADING.replace("\t", ", "))
    named: dict[str, tuple[str, str]] = {}
    for line in lines[1:]:
        gtin, name, _, amount = (line.split("\t") + [""] * 4)[:4]
        named[gtin] = name, amount
    articles = [*in_house, *(_with_name(term, named) for term in terms)]
    return msgspec.json.encode({**document, "articles": articles})


def _with_name(term: dict[str, Any], named: dict[str, tuple[str, str]]) -> dict[str, Any]:
    gtins = term.get("gtins")
    first = gtins[0] if isinstance(gtins, list) and gtins and isinstance(gtins[0], str) else ""
    if first not in named:
        return term
    name, amount = named[first]
    read = content(amount) if "content_milli" not in term else None
    article = {**term, "name": name}
    if read is not None:
        article["content_milli"], article["content_unit"] = read
    return article
