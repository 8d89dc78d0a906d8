"""Price files as people make them in a spreadsheet: read with suspicion, every row that is wrong named, and nothing taken of a bad one.

CSV with `;`, `,` or tab between, in UTF-8, UTF-16 or what Windows writes; the first row names the columns, in English or Swedish.
Keeps O7 (beyond its bounds nothing is taken) and G8 in its strict form: here a bad row holds up its file, because a person looks.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from oppet.base.errors import RefusedError, clip
from oppet.base.money import NotAnAmountError, parse_kronor
from oppet.base.words import N_
from oppet.goods.assortment import PriceChange

__all__ = ["Flaw", "PriceFile", "PriceFileUnfitError", "read_prices"]

LARGEST: Final = 16 << 20
MOST_ROWS: Final = 100_000
MOST_FLAWS: Final = 50  # that are named
LONGEST_FIELD: Final = 200
LARGEST_ORE: Final = 10_000_000
FORMULA: Final = ("=", "+", "-", "@", "\t")
COLUMNS: Final = {
    "article": ("article", "artikel", "artikelnummer", "number", "nummer", "gtin", "ean"),
    "price": ("price", "pris"),
    "member": ("member", "member price", "medlem", "medlemspris"),
    "until": ("until", "till", "till och med", "t.o.m."),
}


class PriceFileUnfitError(RefusedError):
    sentence = N_("The file cannot be read as prices: {reason}. Nothing of it was taken in.")


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with a row."""

    row: int  # as a spreadsheet counts them
    sentence: str
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class PriceFile:
    """Either every row, or what is wrong; `more` counts flaws that are not named."""

    changes: tuple[PriceChange, ...]
    flaws: tuple[Flaw, ...] = ()
    more: int = 0


def read_prices(data: bytes, known: Callable[[str], str | None]) -> PriceFile:
    """Read a file; `known` gives the number of the article that a number or code names. Raises PriceFileUnfitError."""
    if len(data) > LARGEST:
        raise PriceFileUnfitError(reason=N_("it is larger than 16 MB"))
    lines = _text(data).splitlines()
    if len(lines) > MOST_ROWS + 1:
        raise PriceFileUnfitError(reason=N_("it has more than 100,000 rows"))
    head = lines[0] if lines else ""
    between = max(";\t,", key=head.count)
    try:
        rows = list(csv.reader(lines, delimiter=between, strict=True))
    except csv.Error as error:
        raise PriceFileUnfitError(reason=str(error)) from None
    places = _places(rows[0] if rows else [])
    changes: dict[str, PriceChange] = {}
    flaws: list[Flaw] = []
    for at, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        try:
            change = _change([cell.strip() for cell in row], places, known)
            if change.number in changes:
                raise _RowError(N_("article {article} stands in an earlier row"), article=change.number)
            changes[change.number] = change
        except _RowError as error:
            flaws.append(Flaw(at, error.words, error.said))
    if flaws:
        return PriceFile((), tuple(flaws[:MOST_FLAWS]), max(0, len(flaws) - MOST_FLAWS))
    if not changes:
        raise PriceFileUnfitError(reason=N_("it has no rows"))
    return PriceFile(tuple(changes.values()))


class _RowError(Exception):
    def __init__(self, words: str, **said: object) -> None:
        super().__init__(words)
        self.words, self.said = words, said


def _text(data: bytes) -> str:
    try:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return data.decode("utf-16")
        if b"\0" in data:
            raise PriceFileUnfitError(reason=N_("it is no text; save the sheet as CSV"))
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        if data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise PriceFileUnfitError(reason=N_("it says that it is Unicode and is not")) from None
        return data.decode("cp1252", "replace")


def _places(heads: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for at, head in enumerate(heads):
        for column, names in COLUMNS.items():
            if head.strip().lower() in names:
                if column in found:
                    raise PriceFileUnfitError(reason=N_("two of its columns say the same"))
                found[column] = at
    if "article" not in found or "price" not in found:
        raise PriceFileUnfitError(reason=N_("the first row must name the columns article and price"))
    return found


def _change(row: Sequence[str], places: Mapping[str, int], known: Callable[[str], str | None]) -> PriceChange:
    cells = {column: row[at] if at < len(row) else "" for column, at in places.items()}
    for cell in cells.values():
        if cell.startswith(FORMULA) or len(cell) > LONGEST_FIELD:
            raise _RowError(N_("“{text}” is a formula or no value"), text=clip(cell, 40))
    number = known(cells["article"])
    if number is None:
        raise _RowError(N_("there is no article “{text}”"), text=clip(cells["article"], 40))
    price = _ore(cells["price"])
    member = _ore(cells["member"]) if cells.get("member") else None
    if member is not None and member >= price:
        raise _RowError(N_("the member price is not lower than the price"))
    return PriceChange(number, price, member, _day_after(cells["until"]) if cells.get("until") else None)


def _ore(text: str) -> int:
    try:
        ore = parse_kronor(text.removesuffix("kr").strip())
    except NotAnAmountError:
        raise _RowError(N_("“{text}” is no price in kronor"), text=clip(text, 40)) from None
    if not 0 <= ore <= LARGEST_ORE:
        raise _RowError(N_("“{text}” is no price in kronor"), text=clip(text, 40))
    return ore


def _day_after(text: str) -> str:
    """A file says the last day, a price when it is over."""
    try:
        return (date.fromisoformat(text) + timedelta(days=1)).isoformat()
    except (ValueError, OverflowError):
        raise _RowError(N_("“{text}” is no day; write 2026-11-30"), text=clip(text, 40)) from None
