"""The index of an image: read whole or not at all."""

from hashlib import sha256

import pytest

from oppet.release.chunks import (
    LARGEST_CHUNK,
    LARGEST_INDEX,
    Chunk,
    Index,
    chunk_path,
    encode,
    fits,
    missing,
    patch_path,
    placed,
    read_index,
)
from oppet.release.errors import PublicationMalformedError, TargetRefusedError
from tests.release.chain import a_release

ONE, TWO = Chunk(sha256(b"one").hexdigest(), 3), Chunk(sha256(b"two!").hexdigest(), 4)
AN_INDEX = Index(sha256(b"onetwo!one").hexdigest(), 10, (ONE, TWO, ONE))


def test_rl13_an_index_reads_as_what_was_written_in_36_bytes_a_piece() -> None:
    data = encode(AN_INDEX)
    assert read_index(data, "x") == AN_INDEX
    head, _, rows = data.partition(b"\n")
    assert b'"image"' in head
    assert len(rows) == 3 * 36
    assert len(data) < LARGEST_INDEX


def test_rl13_places_follow_each_other_and_a_piece_is_missing_once() -> None:
    assert [(at.offset, at.chunk) for at in placed(AN_INDEX)] == [(0, ONE), (3, TWO), (7, ONE)]
    assert missing(AN_INDEX.chunks, {TWO.sha256}) == (ONE,)
    assert missing(AN_INDEX.chunks, ()) == (ONE, TWO)


def swapped(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"{}\n",
        b"[" * 5000 + b"\n",
        encode(AN_INDEX)[:-1],
        encode(AN_INDEX) + b"\0" * 36,
        swapped(encode(AN_INDEX), b'"version":1', b'"version":2'),
        swapped(encode(AN_INDEX), b'"bytes":10', b'"bytes":11'),
        swapped(encode(AN_INDEX), b'"bytes":10', b'"bytes":-1'),
        swapped(encode(AN_INDEX), b'"image":"', b'"image":"../'),
        encode(Index(AN_INDEX.image, 7, (ONE, Chunk(ONE.sha256, 4)))),
        encode(Index(AN_INDEX.image, 3, (ONE, Chunk(TWO.sha256, 0)))),
        encode(Index(AN_INDEX.image, LARGEST_CHUNK + 1, (Chunk(ONE.sha256, LARGEST_CHUNK + 1),))),
    ],
)
def test_rl13_an_index_that_is_not_whole_and_consistent_is_not_read(data: bytes) -> None:
    with pytest.raises(PublicationMalformedError):
        read_index(data, "software/till-2.index")


def test_rl13_an_index_of_another_image_than_the_release_says_is_refused() -> None:
    fits(AN_INDEX, a_release(image=AN_INDEX.image, image_bytes=10), "x")
    for image, length in (("00" * 32, 10), (AN_INDEX.image, 11)):
        with pytest.raises(TargetRefusedError):
            fits(AN_INDEX, a_release(image=image, image_bytes=length), "x")


def test_names_in_the_published_tree_come_from_digests() -> None:
    assert chunk_path("ab" + "0" * 62) == f"chunks/ab/ab{'0' * 62}"
    assert patch_path("a" * 64, "b" * 64) == f"patches/{'a' * 16}-{'b' * 16}.zst"
