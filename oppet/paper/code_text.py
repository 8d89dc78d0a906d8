"""The text of a receipt's code: base45 (RFC 9285), what a QR code holds, and one receipt over several codes.

Base45 is the alphabet of QR's alphanumeric mode, so 32 bytes of receipt cost 49 characters and no byte mode.
Leaves what the bytes say to `electronic.py`.
Keeps P13 (60 lines fit in one code; above that there are several, and nothing is left out).
"""

from __future__ import annotations

import re
import struct
import zlib
from bisect import bisect_left
from collections.abc import Sequence
from functools import cache

from oppet.base.errors import RefusedError
from oppet.base.words import N_

__all__ = [
    "LARGEST_PRINTED",
    "LARGEST_SHOWN",
    "PREFIX",
    "NotAReceiptCodeError",
    "b45decode",
    "b45encode",
    "join",
    "modules",
    "parts",
]

PREFIX = "OPPET1:"
MOST_PARTS = 30
_PART = re.compile(
    r"OPPET1\.(?P<part>[1-9][0-9]?)/(?P<of>[1-9][0-9]?)\.(?P<tag>[0-9A-Z $%*+./:-]{6}):(?P<piece>[0-9A-Z $%*+./:-]+)"
)


class NotAReceiptCodeError(RefusedError):
    sentence = N_("This is no receipt code of ours, or not all of it was read. Scan it again.")


_B45 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_PAIRS = [_B45[n % 45] + _B45[n // 45] for n in range(2025)]
_VALUES = {c: n for n, c in enumerate(_B45)}


@cache
def _triples() -> tuple[str, ...]:
    """Every two bytes' three characters: made once, at the first receipt, so that each receipt after it costs a third."""
    return tuple(pair + last for last in _B45 for pair in _PAIRS)[: 1 << 16]


def b45encode(data: bytes) -> str:
    """Base45 (RFC 9285): two bytes are three characters, least significant first."""
    count = len(data) // 2
    words = struct.unpack(f">{count}H", data[: 2 * count])
    text = "".join(map(_triples().__getitem__, words))
    return text + _PAIRS[data[-1]] if len(data) % 2 else text


def b45decode(text: str) -> bytes:
    """Read base45; there is exactly one text for any bytes. Raises NotAReceiptCodeError."""
    values = [_VALUES.get(c, -1) for c in text]
    if len(values) % 3 == 1 or -1 in values:
        raise NotAReceiptCodeError
    whole = len(values) // 3 * 3
    words = [values[i] + 45 * values[i + 1] + 2025 * values[i + 2] for i in range(0, whole, 3)]
    last = [values[whole] + 45 * values[whole + 1]] if whole < len(values) else []
    if max(words, default=0) > 0xFFFF or max(last, default=0) > 0xFF:
        raise NotAReceiptCodeError
    return struct.pack(f">{len(words)}H", *words) + bytes(last)


# Characters a QR code of version 1, 2 … 40 holds in alphanumeric mode at level L (ISO/IEC 18004).
_CAPACITY = (
    25, 47, 77, 114, 154, 195, 224, 279, 335, 395, 468, 535, 619, 667, 758, 854, 938, 1046, 1153, 1249,
    1352, 1460, 1588, 1704, 1853, 1990, 2132, 2223, 2369, 2520, 2677, 2840, 3009, 3183, 3351, 3537, 3729, 3927, 4087,
    4296,
)  # fmt: skip
LARGEST_SHOWN = _CAPACITY[39]  # on a screen: version 40
LARGEST_PRINTED = _CAPACITY[24]  # on an 80 mm roll: version 25, modules of half a millimetre


def modules(length: int) -> int:
    """How many modules wide the code of that many characters is, without its quiet zone. At most LARGEST_SHOWN."""
    return 21 + 4 * bisect_left(_CAPACITY, length)


def parts(text: str, largest: int = LARGEST_SHOWN) -> tuple[str, ...]:
    """The same text as one code, or as several that say "OPPET1.2/3" and which receipt they are part of."""
    if len(text) <= largest:
        return (text,)
    tag = b45encode(zlib.crc32(text.encode()).to_bytes(4, "big"))
    room = largest - len(f"OPPET1.{MOST_PARTS}/{MOST_PARTS}.{tag}:")
    bare = text[len(PREFIX) :]
    pieces = [bare[i : i + room] for i in range(0, len(bare), room)]
    assert len(pieces) <= MOST_PARTS, "a receipt has a bound"
    return tuple(f"OPPET1.{i}/{len(pieces)}.{tag}:{piece}" for i, piece in enumerate(pieces, 1))


def join(scanned: Sequence[str]) -> str:
    """Put several codes of one receipt together, in whatever order they were read.

    Raises NotAReceiptCodeError if one is missing or of another receipt.
    """
    if len(scanned) == 1 and scanned[0].startswith(PREFIX):
        return scanned[0]
    pieces: dict[int, str] = {}
    heads = set()
    for text in scanned[: 2 * MOST_PARTS]:
        found = _PART.fullmatch(text.strip("\r\n"))
        if found is None:
            raise NotAReceiptCodeError
        pieces[int(found["part"])] = found["piece"]
        heads.add((int(found["of"]), found["tag"]))
    if len(heads) != 1:
        raise NotAReceiptCodeError
    count, tag = heads.pop()
    text = PREFIX + "".join(pieces[i] for i in sorted(pieces))
    if sorted(pieces) != list(range(1, count + 1)) or b45encode(zlib.crc32(text.encode()).to_bytes(4, "big")) != tag:
        raise NotAReceiptCodeError
    return text
