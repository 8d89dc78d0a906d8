"""Cutting an image: the same every time, and a change moves the pieces around it alone."""

from pathlib import Path

from oppet.drivers.chunking import cut, make_index, make_patches, packed_patch
from oppet.drivers.obtaining import unpack
from oppet.release.chunks import chunk_path, read_index
from tests.drivers.trees import an_image


def test_pieces_put_together_are_the_image_and_an_insertion_changes_a_few() -> None:
    image = an_image()
    before = cut(image, 4096)
    assert b"".join(data for _, data in before) == image
    assert [chunk for chunk, _ in before] == [chunk for chunk, _ in cut(image, 4096)]
    after = cut(image[:100_000] + b"a fix" + image[100_000:], 4096)
    assert len({chunk for chunk, _ in after} - {chunk for chunk, _ in before}) <= 3


def test_a_piece_is_packed_under_the_digest_of_what_is_in_it_and_written_once(tmp_path: Path) -> None:
    image = an_image()
    index = read_index(make_index(image, tmp_path, average=4096), "")
    for chunk in index.chunks:
        assert len(unpack((tmp_path / chunk_path(chunk.sha256)).read_bytes(), chunk)) == chunk.length
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    make_index(image, tmp_path, average=4096)
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_a_patch_finds_what_both_share_wherever_it_stands(tmp_path: Path) -> None:
    old = an_image(5, 2_000_000)
    new = old[1_500_000:] + old[:1_500_000]
    assert len(packed_patch(old, new)) < 2_000
    assert len(make_patches([old, new], new, tmp_path)) == 2  # from the old one and from nothing; none to itself
