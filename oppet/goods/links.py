"""GS1 Digital Link: a web address that names an article, read as text and never opened (G2).

Any domain will do: the article is what counts, and nobody asks the domain. biip is not used for the walk: it takes the
leftmost key where the standard takes the rightmost, lets unknown numeric and empty fields pass, and its URL parser
raises on hostile hosts. Leaves the meaning of the fields to elements.py.
"""

from __future__ import annotations

import re
from typing import Final

from oppet.goods.elements import Elements, field, only_digits
from oppet.goods.errors import UnreadableCodeError

__all__ = ["from_link", "is_link"]

KEYS: Final = frozenset(
    "00 01 253 255 401 402 414 415 417 8003 8004 8006 8010 8013 8017 8018".split()
)  # what a link may be about; only 01 is an article
QUALIFIERS: Final = (("22", "10", "21"), ("235",))  # of 01, in this order
SHORT_GTINS: Final = (8, 12, 13)  # older links wrote them without zeros
_START = re.compile(r"(?:https?|HTTPS?)://[^/?#\s]+/")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")


def is_link(text: str) -> bool:
    """Whether the text begins as a web address does; mixed-case schemes are not Digital Links."""
    return text.startswith(("http://", "https://", "HTTP://", "HTTPS://"))


def from_link(text: str, code: str) -> Elements:
    """Split a Digital Link into fields. Raises UnreadableCodeError."""
    start = _START.match(text)
    if start is None:
        raise UnreadableCodeError(code=code)
    path, _, query = text[start.end() :].partition("#")[0].partition("?")
    return (*_of_path(path.split("/"), code), *_of_query(query, code))


def _plain(escaped: str, code: str) -> str:
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), escaped)
    if not plain or not all("!" <= c <= "~" for c in plain):
        raise UnreadableCodeError(code=code)
    return plain


def _of_path(segments: list[str], code: str) -> list[tuple[str, str]]:
    """The rightmost key and its qualifiers; what stands before it is the owner's business."""
    for at in range(len(segments) - 2, -1, -2):
        if segments[at] in KEYS:
            break
    else:
        raise UnreadableCodeError(code=code)
    key, value = segments[at], _plain(segments[at + 1], code)
    if key == "01" and only_digits(value) and len(value) in SHORT_GTINS:
        value = value.zfill(14)
    found = [(key, value)]
    found += [(ai, _plain(value, code)) for ai, value in zip(segments[at + 2 :: 2], segments[at + 3 :: 2], strict=True)]
    if not all(field(*element) for element in found) or (key == "01" and not _in_order([ai for ai, _ in found[1:]])):
        raise UnreadableCodeError(code=code)
    return found


def _in_order(ais: list[str]) -> bool:
    return any([ai for ai in allowed if ai in ais] == ais for allowed in QUALIFIERS)


def _of_query(query: str, code: str) -> list[tuple[str, str]]:
    found = []
    for pair in query.replace(";", "&").split("&"):
        ai, _, value = pair.partition("=")
        if not only_digits(ai):
            continue  # the owner's own parameters
        value = _plain(value.replace("+", " "), code)
        if not field(ai, value):
            raise UnreadableCodeError(code=code)
        found.append((ai, value))
    return found
