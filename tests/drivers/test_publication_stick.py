"""A stick for stores: everything a store needs, read back, and of use to a till without any line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oppet.drivers.chunking import make_index
from oppet.drivers.obtaining import obtain_image
from oppet.drivers.publication_sources import FolderSource
from oppet.drivers.publication_stick import (
    NotOnStickError,
    NoTreeError,
    SameFolderError,
    StickDamagedError,
    StoreNameError,
    stick,
    write_stick,
)
from oppet.release.chunks import chunk_path, read_index
from tests.drivers.trees import an_image
from tests.release.signed import World, a_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = a_world(tmp_path, stores=("S01", "S02"))
    for number in (2, 3, 4):
        image = an_image(number, 60_000)
        made.release(number, image, index=make_index(image, made.base, average=4096))
    return made


def test_rl13_a_till_installs_from_a_stick_alone(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "stick"
    assert stick(world.base, to, store="S01", as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["releases"] == ["till-4", "till-3"]
    assert not any("S02" in path.name or "staged" in path.parts for path in to.rglob("*"))
    image = an_image(4, 60_000)
    index = make_index(image, tmp_path / "else", average=4096)
    software = world.release(5, image, index=index, publish=False)
    done = obtain_image(index, software, (), [FolderSource("stick", to)], tmp_path / "image.tar")
    assert done.path.read_bytes() == image
    assert write_stick(world.base, to, "S01").written == 0  # nothing is written twice
    whole = write_stick(world.base, tmp_path / "whole")
    assert whole.releases == ("till-4", "till-3", "till-2")
    assert whole.bytes > said["bytes"]


def test_rl13_a_stick_that_is_not_whole_is_not_taken_along(world: World, tmp_path: Path) -> None:
    victim = read_index(make_index(an_image(4, 60_000), tmp_path / "else", average=4096), "").chunks[2]
    (world.base / chunk_path(victim.sha256)).write_bytes(b"Cleo was here")
    with pytest.raises(NotOnStickError):
        write_stick(world.base, tmp_path / "stick")


def test_rl13_what_the_medium_changed_is_found_when_it_is_read_back(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = tmp_path / "stick"

    def bad_medium(folder: Path) -> list[int]:
        next((folder / "chunks").rglob("?" * 64)).write_bytes(b"worn out")
        return []

    monkeypatch.setattr("oppet.drivers.publication_stick._forget", bad_medium)
    with pytest.raises(StickDamagedError):
        write_stick(world.base, to)


def test_a_stick_is_written_from_a_tree_to_somewhere_else(world: World, tmp_path: Path) -> None:
    for wrong, tree, to, store in (
        (NoTreeError, tmp_path / "nothing", tmp_path / "stick", ""),
        (SameFolderError, world.base, world.base, ""),
        (SameFolderError, world.base, world.base / "stick", ""),
        (StoreNameError, world.base, tmp_path / "stick", "../S01"),
    ):
        with pytest.raises(wrong):
            write_stick(tree, to, store)
