"""Cutting an image into pieces by its content, and packing what goes down: head office's and a signer's work, never a till's.

The cut follows the content (FastCDC), so that an insertion moves one piece and not all behind it. Nothing a till loads may import
this file: the library that cuts is not on a till (a house test says so). What is made here proves nothing by itself: the index is signed,
the pieces are checked by it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import zstandard
from fastcdc import fastcdc

from oppet.drivers import files
from oppet.release.chunks import FROM_NOTHING, LARGEST_CHUNK, Chunk, Index, chunk_path, encode, patch_path

__all__ = ["AVERAGE", "cut", "make_index", "make_patch", "make_patches", "packed_patch"]

# Bytes of a piece, measured (docs/decisions/0034): small pieces carry less that did not change, and make a longer index.
AVERAGE: Final = 16 << 10
AVERAGE_OF_LARGE: Final = 64 << 10
LARGE: Final = 48 << 20  # an image with its packages
LEVEL: Final = 19  # of a piece
PATCH_LEVEL: Final = 9
PACKED_LEVEL: Final = 12  # of a whole document: 19 takes a hundred times as long for 13 %
LARGEST_PATCHED: Final = 128 << 20


def cut(image: bytes, average: int = AVERAGE) -> list[tuple[Chunk, bytes]]:
    """The pieces of an image in order."""
    assert average * 4 <= LARGEST_CHUNK
    pieces = fastcdc(image, average // 4, average, average * 4, fat=True, hf=hashlib.sha256)
    return [(Chunk(piece.hash, piece.length), bytes(piece.data)) for piece in pieces]


def make_index(image: Path | bytes, tree: Path, *, average: int = 0) -> bytes:
    """Put the pieces of an image into the published tree and give its index: the target that both parties sign.

    `average` is the size of a piece, 0 for what suits the image: releases cut otherwise share nothing. A piece that is there already
    is left as it is. Raises FileMissingError, FileTroubleError.
    """
    data = image if isinstance(image, bytes) else files.read(image, 4 << 30)
    pieces = cut(data, average or (AVERAGE if len(data) <= LARGE else AVERAGE_OF_LARGE))
    packer = zstandard.ZstdCompressor(level=LEVEL, write_content_size=True)
    for chunk, piece in dict(pieces).items():
        path = tree / chunk_path(chunk.sha256)
        if not path.exists():
            _put(path, packer.compress(piece))
    index = Index(hashlib.sha256(data).hexdigest(), len(data), tuple(chunk for chunk, _ in pieces))
    return encode(index)


def make_patch(before: bytes, after: bytes, tree: Path) -> Path:
    """Put the way from one document to the next into the published tree; from `b""` it is the whole one, packed."""
    name = hashlib.sha256(before).hexdigest() if before else FROM_NOTHING
    path = tree / patch_path(name, hashlib.sha256(after).hexdigest())
    _put(path, packed_patch(before, after))
    return path


def make_patches(befores: Iterable[bytes], after: bytes, tree: Path) -> list[Path]:
    """Ways to a document from those that tills may still charge by, and from nothing."""
    befores = [before for before in befores if before != after and len(before) + len(after) <= LARGEST_PATCHED]
    return [make_patch(before, after, tree) for before in dict.fromkeys((*befores, b""))]


def packed_patch(before: bytes, after: bytes) -> bytes:
    """What zstd calls a patch: the new packed with the old as its dictionary.

    The tables are as large as both documents, up to 16 million places, so that a match is found wherever it stands: with the
    level's own a price round takes a hundred times the bytes. The library's long-distance matcher does not see a dictionary.
    """
    assert len(before) + len(after) <= LARGEST_PATCHED
    window = max(17, (len(before) + len(after)).bit_length())
    if before:
        parameters = zstandard.ZstdCompressionParameters.from_level(
            PATCH_LEVEL, source_size=len(after), dict_size=len(before), window_log=window, hash_log=min(window, 24),
            chain_log=min(window, 24), search_log=6,
        )  # fmt: skip
        known = zstandard.ZstdCompressionDict(before, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        return zstandard.ZstdCompressor(compression_params=parameters, dict_data=known).compress(after)
    parameters = zstandard.ZstdCompressionParameters.from_level(PACKED_LEVEL, source_size=len(after), window_log=window)
    return zstandard.ZstdCompressor(compression_params=parameters).compress(after)


def _put(path: Path, data: bytes) -> None:
    """A reader finds the whole file or none; a tree is made whole before it is signed, so only names must not be half."""
    files.folder(path.parent)
    fresh = path.with_name(f"{path.name}.new{os.getpid()}")
    try:
        fresh.write_bytes(data)
        fresh.replace(path)
    except OSError as error:
        raise files.FileTroubleError(file=str(path), reason=error.strerror or "unwritable") from error
