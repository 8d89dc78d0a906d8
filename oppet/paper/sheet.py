"""A sheet of paper as a value: rows of text that any printer, page or PDF can set.

`Paper` knows nothing of widths, fonts or bytes. It is the one gate that all text on paper passes: whatever a row was
given, what it holds afterwards is printable, so no article name speaks to a printer. Leaves what a receipt says to
`paper.py`, what a report says to `report_paper.py`, and bytes to the drivers.
Keeps P1 (no control character on paper) and P2 (amounts are never shortened or broken; columns add up in every script).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Literal

import msgspec

from oppet.base.clock import local_minute, parse_utc
from oppet.base.errors import clip

__all__ = [
    "BLANK",
    "COLUMNS",
    "CUT",
    "RULE",
    "Line",
    "Paper",
    "Row",
    "Say",
    "Style",
    "amount",
    "cells",
    "clean",
    "joined",
    "lines",
    "shortened",
    "when",
]

Say = Callable[[str], str]  # gives an English sentence in the reader's language
Style = Literal[
    "normal",  # left … right
    "bold",
    "centre",
    "title",  # centred and bold
    "total",  # bold and wide, no taller than an amount
    "mark",  # centred, twice as wide and twice as tall as an amount
    "rule",  # a line across
    "write",  # a label and a line to write on by hand
    "qr",  # `left` is the text of a QR code
    "blank",
    "cut",  # end of a sheet
]

COLUMNS = (42, 48)  # what 80 mm printers set
LONGEST_TEXT = 160  # of one cell; longer is clipped with "…"
_maybe_odd = re.compile(
    "[^\0-\u02ff]"
).search  # below the first combining mark every printable character fills one column


class Row(msgspec.Struct, frozen=True, gc=False):
    """One row: `left`, cells in the `middle` of a table, `right`."""

    left: str = ""
    right: str = ""
    style: Style = "normal"
    middle: tuple[str, ...] = ()


class Line(msgspec.Struct, frozen=True, gc=False):
    """One row set in columns: text that is padded and ready, or a QR code's text, a blank or a cut."""

    text: str
    style: Style


RULE = Row(style="rule")
BLANK = Row(style="blank")
CUT = Row(style="cut")


def clean(text: str) -> str:
    """The same text, composed and printable: control and format characters are gone, odd spaces are spaces (P1)."""
    if _is_clean(text):
        return text
    composed = unicodedata.normalize("NFC", text)
    return "".join(c if c.isprintable() else " " if c.isspace() else "" for c in composed)


def _is_clean(text: str) -> bool:
    return text.isprintable() and unicodedata.is_normalized("NFC", text)


class Paper(msgspec.Struct, frozen=True):
    """A sheet: a name for files and lists, and its rows. Every row is cleaned here, whoever wrote it (P1)."""

    name: str
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        texts = [row.left + row.right for row in self.rows]
        texts += [cell for row in self.rows if row.middle for cell in row.middle]
        if not _is_clean("".join((self.name, *texts))):
            rows = (
                Row(clean(row.left), clean(row.right), row.style, tuple(map(clean, row.middle))) for row in self.rows
            )
            msgspec.structs.force_setattr(self, "rows", tuple(rows))
            msgspec.structs.force_setattr(self, "name", clean(self.name))


@lru_cache(maxsize=4096)
def amount(ore: int) -> str:
    """Öre as people read them: "1 234,50", "-5,00"."""
    whole, rest = divmod(abs(ore), 100)
    grouped = f"{whole:,}".replace(",", " ") if whole > 999 else str(whole)
    return f"{'-' if ore < 0 else ''}{grouped},{rest:02d}"


def when(instant_utc_text: str) -> str:
    """A journalled instant on a Swedish wall clock: "2026-11-22 14:32:05"."""
    return f"{local_minute(parse_utc(instant_utc_text)).replace('T', ' ')}:{instant_utc_text[17:19]}"


@lru_cache(maxsize=1024)
def shortened(text: str) -> str:
    """Data-born text, cleaned and bounded: a name may fill some lines of paper, never a roll of it."""
    return clip(clean(text[: 2 * LONGEST_TEXT]), LONGEST_TEXT) if len(text) > LONGEST_TEXT else clean(text)


# --- columns -------------------------------------------------------------------------------------------------------


def cells(text: str) -> int:
    """How many columns the text takes: wide East Asian characters two, combining marks none."""
    return len(text) if text.isascii() or not _maybe_odd(text) else sum(map(_cells_of, text))


@lru_cache(maxsize=1024)
def _cells_of(c: str) -> int:
    if unicodedata.category(c) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(c) in {"W", "F"} else 1


def lines(paper: Paper, columns: int) -> Iterator[Line]:
    """Set a sheet in `columns` columns; every line of text is exactly as wide as its style says (P2)."""
    for row in paper.rows:
        if row.style == "normal" and not row.middle:
            left, right = row.left, row.right
            gap = columns - len(left) - len(right)
            if gap > 0 and not _maybe_odd(left + right):  # nearly every row: one line, one column a character
                yield Line(left + " " * gap + right, "normal")
                continue
        yield from _set(row, columns)


@lru_cache(maxsize=512)  # heads and feet are the same on every receipt
def _set(row: Row, columns: int) -> tuple[Line, ...]:
    style = row.style
    if style in {"qr", "blank", "cut"}:
        return (Line(row.left, style),)
    if style == "rule":
        return (Line("-" * columns, style),)
    if style in {"centre", "title", "mark"}:
        room = columns // 2 if style == "mark" else columns
        parts = _wrapped(row.left, room)
        return tuple(Line(_padded(" " * ((room - cells(part)) // 2) + part, room), style) for part in parts)
    if style == "write":
        label = row.left + " " if row.left else ""
        return (Line(label + "_" * max(0, columns - cells(label)), style),)
    if row.middle:
        return tuple(_table(row, columns))
    return tuple(_pair(row.left, row.right, columns // 2 if style == "total" else columns, style))


def _padded(text: str, room: int) -> str:
    return text + " " * (room - cells(text))


def _pair(left: str, right: str, columns: int, style: Style) -> Iterator[Line]:
    room = columns - cells(right) - 1 if right else columns
    if cells(left) <= room:
        yield Line(left + " " * (columns - cells(left) - cells(right)) + right, style)
        return
    indent = " " * min(8, len(left) - len(left.lstrip(" ")) + 2)
    *above, last = _wrapped(left, columns, indent)
    if cells(last) > room:
        above, last = [*above, last], ""
    for part in above:
        yield Line(_padded(part, columns), style)
    *over, right = _broken(right, columns)
    for part in over:
        yield Line(_padded(part, columns), style)
    yield Line(last + " " * (columns - cells(last) - cells(right)) + right, style)


def _table(row: Row, columns: int) -> Iterator[Line]:
    """Cells right-aligned in columns of equal width; a row too wide for that becomes one line a cell."""
    figures = (*row.middle, row.right)
    each = columns * 3 // (4 * len(figures))
    first = columns - each * len(figures)
    if cells(row.left) <= first and all(cells(figure) < each for figure in figures):
        text = _padded(row.left, first) + "".join([" " * (each - cells(figure)) + figure for figure in figures])
        yield Line(text, row.style)
        return
    yield from _pair(row.left, figures[0], columns, row.style)
    for figure in figures[1:]:
        yield from _pair("", figure, columns, row.style)


def _broken(text: str, room: int) -> list[str]:
    """Cut text that has no better place to break. Gives at least one part."""
    parts, part, used = [], "", 0
    for c in text:
        size = _cells_of(c)
        if used + size > room:
            parts.append(part)
            part, used = "", 0
        part += c
        used += size
    return [*parts, part]


def _wrapped(text: str, room: int, indent: str = "") -> list[str]:
    """Break between words, and inside a word only where it is wider than the room."""
    if cells(text) <= room:
        return [text]
    lead = text[: len(text) - len(text.lstrip(" "))]
    found: list[str] = []
    line = lead
    for word in text.split():
        joined = line + word if line in {lead, indent} else f"{line} {word}"
        if cells(joined) <= room:
            line = joined
            continue
        if line not in {lead, indent}:
            found.append(line)
        *full, rest = _broken(word, room - cells(indent))
        found.extend(indent + part for part in full)
        line = indent + rest
    return [*found, line]


def joined(parts: Iterable[str]) -> str:
    """Parts that are there, with a dot between."""
    return " · ".join(part for part in parts if part)
