"""Caches of publications: what upstream has is here, whole, bounded and in an order that a reader may come in the middle of."""

from __future__ import annotations

import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from tuf.api.metadata import Metadata, MetaFile, Snapshot, Targets, Timestamp

from oppet.drivers.chunking import make_index, make_patches
from oppet.drivers.obtaining import StoppedError
from oppet.drivers.publication_cache import Beat, Bounds, Mirror, Pulled, as_list, names_in
from oppet.drivers.publication_judge import ListJudge
from oppet.release.found import Refused
from oppet.release.terms import Goods, Software
from tests.drivers.trees import FolderReader, an_image
from tests.release.signed import World, a_world

DAY = "2026-11-23T05:00:00.000Z"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return a_world(tmp_path, stores=("S01", "S02"))


def released(world: World, number: int, image: bytes) -> Software:
    return world.release(number, image, index=make_index(image, world.base, average=4096))


def a_mirror(world: World, *sources: FolderReader, told: list[Refused] | None = None, bounds: Bounds | None = None,
             stores: Sequence[str] | None = None, free: int = 1 << 40) -> Mirror:  # fmt: skip
    lines = [sources or (FolderReader(world.base, "hq"),), [FolderReader(world.base, "hq")]]
    return Mirror(
        world.base.parent / "cache", lambda: lines, stores, bounds, tell=None if told is None else told.append,
        free=lambda _: free,
    )  # fmt: skip


def files_in(tree: Path) -> dict[str, bytes]:
    return {
        path.relative_to(tree).as_posix(): path.read_bytes()
        for path in sorted(tree.rglob("*"))
        if path.is_file() and "staged" not in path.parts and path.name != "lock"
    }


def pieces(tree: Path) -> set[str]:
    return {path.name for path in (tree / "chunks").rglob("*") if path.is_file()}


def test_rl13_a_cache_has_what_upstream_has_and_asks_little_when_nothing_is_new(world: World) -> None:
    released(world, 2, an_image())
    world.choose(2)
    mirror = a_mirror(world)
    pulled = mirror.pull()
    assert (pulled.waiting, pulled.releases) == ("", ["till-2"])
    theirs, ours = files_in(world.base), files_in(mirror.tree)
    assert all(theirs[name] == data for name, data in ours.items())
    old = {
        name for name in theirs if "/metadata/" in name and "root" not in name and "timestamp" not in name
    } - ours.keys()
    assert set(theirs) - set(ours) == old  # everything but lists that newer ones replaced
    source = FolderReader(world.base, "hq")
    again = Mirror(mirror.tree, lambda: [[source]], (), free=lambda _: 1 << 40).pull()
    assert (again.changed, again.files, again.waiting) == (False, 0, "")
    assert [path for path in source.asked if "root" not in path] == [
        "vendor/metadata/timestamp.json",
        "chain/metadata/timestamp.json",
    ]


def test_rl13_two_releases_are_kept_and_the_chosen_one_and_pieces_of_older_ones_go(world: World) -> None:
    image = an_image()
    mirror = a_mirror(world)
    for number in (2, 3, 4, 5):
        released(world, number, image + b"fix %d" % number * 2000)
        if number == 2:
            world.choose(2)
        mirror.pull()
    assert mirror.pull().releases == ["till-5", "till-4", "till-2"]
    world.choose(5)
    assert mirror.pull().releases == ["till-5", "till-4"]
    indexes = [name for name in files_in(mirror.tree) if name.endswith(".index")]
    assert len(indexes) == 4  # of two releases in two repositories
    assert pieces(mirror.tree) < pieces(world.base)


def test_rl13_damaged_pieces_are_fetched_again_and_wrong_ones_never_stored(world: World) -> None:
    image = an_image()
    released(world, 2, image)
    told: list[Refused] = []
    liar = FolderReader(world.base, "cleo", lambda path, data: data[:-1] + b"x" if path.startswith("chunks/") else data)
    mirror = a_mirror(world, liar, FolderReader(world.base, "hq"), told=told)
    assert mirror.pull().waiting == ""
    assert {said.source for said in told} == {"cleo"}
    before = files_in(mirror.tree)
    victim = next((mirror.tree / "chunks").rglob("?" * 64))
    victim.write_bytes(b"half")
    again = a_mirror(world)
    assert again.pull().files == 1
    assert files_in(again.tree) == before


def test_rl13_what_is_named_is_here_before_the_list_that_shows_it(world: World) -> None:
    mirror = a_mirror(world)
    mirror.pull()
    stamp = (mirror.tree / "chain/metadata/timestamp.json").read_bytes()
    name = world.goods(b"prices" * 100, Goods("assortment", 1, DAY))
    cut = FolderReader(world.base, "hq", lambda path, data: b"no" if "assortment" in path else data)
    broken = Mirror(mirror.tree, lambda: [[cut]], free=lambda _: 1 << 40)
    assert broken.pull().waiting
    assert (mirror.tree / "chain/metadata/timestamp.json").read_bytes() == stamp
    assert a_mirror(world).pull().waiting == ""
    assert (mirror.tree / "chain/metadata/timestamp.json").read_bytes() != stamp
    assert any(path.endswith(name.rpartition("/")[2]) for path in files_in(mirror.tree))


def test_rl13_prices_come_as_a_patch_and_the_patch_is_passed_on(world: World) -> None:
    old = b'{"articles":[' + b",".join(b'{"n":%d,"ore":%d}' % (n, 1000 + n) for n in range(3000)) + b"]}"
    new = old.replace(b'"ore":1070}', b'"ore":1990}')
    make_patches([], old, world.base)
    world.goods(old, Goods("assortment", 1, DAY))
    a_mirror(world).pull()
    make_patches([old], new, world.base)
    world.goods(new, Goods("assortment", 2, DAY))
    source = FolderReader(world.base, "hq")
    pulled = a_mirror(world, source).pull()
    assert pulled.waiting == ""
    patch = next(path for path in source.asked if path.startswith("patches/"))
    assert patch == f"patches/{sha256(old).hexdigest()[:16]}-{sha256(new).hexdigest()[:16]}.zst"
    assert not any("assortment-2" in path for path in source.asked)
    tree = world.base.parent / "cache"
    assert (tree / patch).read_bytes() == (world.base / patch).read_bytes()
    assert any(data == new for data in files_in(tree).values())


def test_rl13_a_store_keeps_its_own_root_and_a_neighbour_its_stores_mark_downs(world: World) -> None:
    world.markdowns("S01", b"{}", Goods("markdowns", 1, DAY, store="S01"))
    neighbour = a_mirror(world, stores=("S01",))
    assert neighbour.pull().waiting == ""
    ours = files_in(neighbour.tree)
    assert any(name.startswith("store/S01/targets/") for name in ours)
    assert not any(name.startswith("store/S02/") or "S02.root" in name for name in ours)
    whole = Mirror(world.base.parent / "whole", lambda: [[FolderReader(world.base)]], None, free=lambda _: 1 << 40)
    assert whole.pull().waiting == ""
    assert any(name.startswith("store/S01/targets/") for name in files_in(whole.tree))


def test_rl13_a_cache_stops_before_the_disk_is_full_or_its_own_bound_is_reached(world: World) -> None:
    image = an_image()
    released(world, 2, image)
    poor = a_mirror(world, free=(1 << 30) + 100)
    assert "no room" in poor.pull().waiting
    bounded = a_mirror(world, bounds=Bounds(most_bytes=10_000))
    assert "may hold" in bounded.pull().waiting
    # the newest release goes before an older one
    fits_one = a_mirror(world, bounds=Bounds(most_bytes=len(image) + 1000))
    released(world, 3, an_image(7))
    assert fits_one.pull().releases == ["till-3"]


@pytest.mark.parametrize(
    "lie",
    [b"", b"[]", b"[" * 100_000, b'{"signed":{"version":1,"meta":{"snapshot.json":{"version":-4}}}}',
     b'{"signed":{"version":1,"meta":{}}}', b'{"signed":{"version":7,"meta":{"../../x.json":{"version":3}}}}', b"x" * 100_000],
)  # fmt: skip
def test_rl13_lists_that_cannot_be_read_leave_the_cache_as_it_was(world: World, lie: bytes) -> None:
    mirror = a_mirror(world)
    mirror.pull()
    before = files_in(world.base.parent)
    liar = FolderReader(
        world.base, "cleo", lambda path, data: lie if "timestamp" in path or "snapshot" in path else data
    )
    assert Mirror(mirror.tree, lambda: [[liar]], free=lambda _: 1 << 40).pull().waiting
    assert files_in(world.base.parent) == before


def test_rl13_names_that_lead_out_of_the_tree_are_never_looked_at() -> None:
    names = (
        "../../out.json", "goods/../../x", "/etc/x", ".hidden", "goods/.x", "goods/x..json", "a/b/c/d/e/f", "x" * 500, "goods/å",
        "goods//x", "goods/x/", "", "goods/x\n", "goods/x\0", "goods\\x", "chunks/%2e%2e/x", "goods/x.new ",
    )  # fmt: skip
    target = {"length": 1, "hashes": {"sha256": "a1" * 32}, "custom": {}}
    said = {"signed": {"version": 1, "targets": dict.fromkeys((*names, "goods/assortment-7.json"), target)}}
    _, read = as_list(msgspec.json.encode(said))
    assert [one.name for one in names_in("chain", {"goods": read})] == ["goods/assortment-7.json"]


def test_a_beat_pulls_by_itself_and_ends_when_told(world: World) -> None:
    heard: list[Pulled] = []
    beat = Beat(a_mirror(world), 30.0, heard.append)
    for _ in range(500):
        if heard:
            break
        time.sleep(0.01)
    beat.close()
    beat.close()
    assert heard[0].waiting == ""
    with pytest.raises(StoppedError):
        a_mirror(world).pull(lambda: True)


def test_rl13_with_roots_at_hand_nobody_who_holds_online_keys_alone_empties_a_cache(world: World) -> None:
    released(world, 2, an_image())
    told: list[Refused] = []
    source = FolderReader(world.base, "hq")
    tree = world.base.parent / "cache"
    judge = ListJudge(world.base.parent / "judged", world.roots)
    mirror = Mirror(tree, lambda: [[source]], tell=told.append, free=lambda _: 1 << 40, judge=judge)
    assert mirror.pull().releases == ["till-2"]
    before = files_in(tree)
    # head office is owned: a list without any release, shown by its online key; the people who sign releases did not sign it
    world.chain.remove("targets", "software/till-2.index", now=world.now)
    thief = Metadata[Targets].from_bytes((world.base / "chain/staged/targets.json").read_bytes())
    metadata = world.base / "chain/metadata"
    stamp = Metadata[Timestamp].from_file(str(metadata / "timestamp.json"))
    snapshot = Metadata[Snapshot].from_file(str(metadata / f"{stamp.signed.snapshot_meta.version}.snapshot.json"))
    snapshot.signed.version += 1
    snapshot.signed.meta["targets.json"] = MetaFile(thief.signed.version)
    stamp.signed.version += 1
    stamp.signed.snapshot_meta = MetaFile(snapshot.signed.version)
    thief.to_file(str(metadata / f"{thief.signed.version}.targets.json"))
    snapshot.sign(world.online)
    snapshot.to_file(str(metadata / f"{snapshot.signed.version}.snapshot.json"))
    stamp.sign(world.online)
    stamp.to_file(str(metadata / "timestamp.json"))
    assert "refused" in mirror.pull().waiting
    assert files_in(tree) == before
    assert [(one.what, one.why, one.repository, one.source) for one in told] == [("cache", "threshold", "chain", "hq")]
