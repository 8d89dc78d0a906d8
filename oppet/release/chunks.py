"""The index of an image: which pieces it is made of, in order, and what the whole must be.

The index is the signed target; the pieces lie in caches that are believed nothing. It reads as one line of JSON and then 36 bytes
a piece: an index of two thousand pieces is 72 kB, and half of a small fix is its index. Leaves fetching and writing to
`drivers/obtaining.py`, cutting to `drivers/chunking.py`. Keeps RL13 (every piece and the whole are checked by what was signed).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from oppet.base import canonical
from oppet.base.errors import place_first
from oppet.release.errors import PublicationMalformedError, TargetRefusedError
from oppet.release.terms import Digest, Software

__all__ = [
    "FROM_NOTHING", "LARGEST_CHUNK", "LARGEST_INDEX", "Chunk", "Index", "Placed", "chunk_path", "encode", "fits", "missing",
    "most_packed", "patch_path", "placed", "read_index",
]  # fmt: skip

LARGEST_CHUNK: Final = 1 << 20
MOST_CHUNKS: Final = 1 << 17
LARGEST_HEAD: Final = 4096
ROW: Final = 36  # a SHA-256 and four bytes of length
LARGEST_INDEX: Final = LARGEST_HEAD + ROW * MOST_CHUNKS
FROM_NOTHING: Final = "0" * 64  # the digest that a patch from nothing names: the whole, packed


class _Head(msgspec.Struct, frozen=True):
    version: Annotated[int, Meta(ge=1, le=1)]
    image: Digest
    bytes: Annotated[int, Meta(ge=1, le=4 << 30)]
    chunks: Annotated[int, Meta(ge=1, le=MOST_CHUNKS)]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece, by what is in it."""

    sha256: str
    length: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A piece where it stands in the image."""

    offset: int
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Index:
    """The image `image` of so many bytes is these pieces one after the other."""

    image: str
    bytes: int
    chunks: tuple[Chunk, ...]


def encode(index: Index) -> bytes:
    """The bytes that are signed."""
    head = canonical.encode(_Head(1, index.image, index.bytes, len(index.chunks)))
    rows = b"".join(bytes.fromhex(chunk.sha256) + chunk.length.to_bytes(4) for chunk in index.chunks)
    return head + b"\n" + rows


def read_index(data: bytes, name: str) -> Index:
    """Read an index. Raises PublicationMalformedError, also where its lengths do not add up or one piece has two lengths."""
    line, found, rows = data.partition(b"\n")
    if not found or len(line) > LARGEST_HEAD:
        raise PublicationMalformedError(name=name, reason="no heading")
    try:
        head = canonical.decode(line, _Head)
    except (msgspec.DecodeError, RecursionError) as error:
        raise PublicationMalformedError(name=name, reason=place_first(str(error))) from None
    if len(rows) != head.chunks * ROW:
        raise PublicationMalformedError(name=name, reason="not as many pieces as the heading says")
    chunks = tuple(
        Chunk(rows[at : at + 32].hex(), int.from_bytes(rows[at + 32 : at + ROW])) for at in range(0, len(rows), ROW)
    )
    lengths: dict[str, int] = {}
    for chunk in chunks:
        if not 0 < chunk.length <= LARGEST_CHUNK or lengths.setdefault(chunk.sha256, chunk.length) != chunk.length:
            raise PublicationMalformedError(name=name, reason="a piece with a length that it cannot have")
    if sum(chunk.length for chunk in chunks) != head.bytes:
        raise PublicationMalformedError(name=name, reason="the pieces do not add up to the image")
    return Index(head.image, head.bytes, chunks)


def fits(index: Index, software: Software, name: str) -> None:
    """Refuse an index that is of another image than what was signed of it. Raises TargetRefusedError."""
    if (index.image, index.bytes) != (software.image, software.image_bytes):
        raise TargetRefusedError(
            name=name, why="disagree", reason="the index is of another image than the release says"
        )


def placed(index: Index) -> Iterator[Placed]:
    """Every piece with its place, in order."""
    offset = 0
    for chunk in index.chunks:
        yield Placed(offset, chunk)
        offset += chunk.length


def missing(chunks: Iterable[Chunk], have: Container[str]) -> tuple[Chunk, ...]:
    """What is not here yet, each piece once, in the order of the image."""
    return tuple(chunk for chunk in dict.fromkeys(chunks) if chunk.sha256 not in have)


def most_packed(length: int) -> int:
    """The most bytes a frame of so much content takes when nothing in it can be packed."""
    return length + (length >> 8) + 128


def chunk_path(sha256: str) -> str:
    """Where a piece lies in the published tree."""
    return f"chunks/{sha256[:2]}/{sha256}"


def patch_path(before: str, after: str) -> str:
    """Where the way from one document to another lies in the published tree; `FROM_NOTHING` for a whole one, packed."""
    return f"patches/{before[:16]}-{after[:16]}.zst"
