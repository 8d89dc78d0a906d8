"""The demo's assortment is two files: whose articles they are, and what we say about them. This makes one of them.

`off` holds names and barcodes from Open Food Facts and stays a database of its own under its own licence; `ours` holds
prices, VAT classes, offers and goods that we invented. Leaves every check to catalogue.decode, which sets aside what is
wrong: an article that one file prices and the other does not name has no name, and is set aside for that.

Also changes one: prices and offers of some articles in a document that stays otherwise as it is, to the field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from oppet.goods.errors import BrokenAssortmentError, UnknownArticleError

__all__ = ["HEADING", "PriceChange", "changed", "content", "merge"]

MOST_PRICES: Final = 50  # of one article (article.py)

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


class PriceChange(msgspec.Struct, frozen=True):
    """What an article shall cost; without a member price of its own it keeps the one it has, if that is lower."""

    number: str
    ore: int
    member_ore: int | None = None
    valid_to: str | None = None  # then the price before counts again


def changed(
    document: bytes, version: str, since: str, prices: Sequence[PriceChange] = (),
    offers: Sequence[Mapping[str, Any]] = (), without: Sequence[str] = (),
) -> bytes:  # fmt: skip
    """The document with these prices from local day `since`, these offers in the place of those with their ids, and some gone.

    Whether what came out is sound is asked of catalogue.decode. Raises BrokenAssortmentError, UnknownArticleError.
    """
    try:
        whole: dict[str, Any] = msgspec.json.decode(document, type=dict[str, Any])
        articles = msgspec.convert(whole.get("articles", []), list[dict[str, Any]])
        standing = msgspec.convert(whole.get("promotions", []), list[dict[str, Any]])
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as broken:
        raise BrokenAssortmentError(reason=str(broken)) from None
    by_number = {article.get("number"): article for article in articles}
    for change in prices:
        article = by_number.get(change.number)
        if article is None:
            raise UnknownArticleError(number=change.number[:40])
        article["prices"] = _priced(article.get("prices", []), change, since)
    gone = {offer["id"] for offer in offers} | set(without)
    if offers or without:
        whole["promotions"] = [one for one in standing if one.get("id") not in gone] + [dict(offer) for offer in offers]
    return msgspec.json.encode({**whole, "version": version, "made": since, "articles": articles})


def _priced(prices: list[dict[str, Any]], change: PriceChange, since: str) -> list[dict[str, Any]]:
    """A price that is newer than any that has begun, so that it is the one that counts; the oldest go where there are too many."""
    begun = [price for price in prices if str(price.get("valid_from", "")) <= since]
    now = max(begun, key=lambda price: str(price.get("valid_from", "")), default={})
    member = change.member_ore
    if member is None and isinstance(now.get("member_ore"), int) and now["member_ore"] < change.ore:
        member = now["member_ore"]
    made: dict[str, Any] = {"valid_from": since, "ore": change.ore}
    if change.valid_to is not None:
        made["valid_to"] = change.valid_to
    if member is not None:
        made["member_ore"] = member
    before = [price for price in prices if price.get("valid_from") != since or change.valid_to is not None]
    return [*before[-(MOST_PRICES - 1) :], made]
