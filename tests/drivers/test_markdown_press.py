"""A node's own key, listed by the chain's people, publishes mark-downs that its store's tills verify, with the WAN cut."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from oppet.base.clock import utc_text
from oppet.drivers.markdown_press import MarkDownPress, NotListedError
from oppet.drivers.publication_sources import FolderSource
from oppet.drivers.publications import Publications
from oppet.drivers.repositories import Keys, Repository, Role
from oppet.drivers.signing_keys import public_key
from oppet.goods.freshness import StoreMarkDown
from oppet.release.terms import store_root_name
from tests.release.signed import World, a_world

SHORT = StoreMarkDown("2026-11-24", "Kort datum", article="1002", percent=50)
DAY = 86_400_000


def list_key(world: World, press: MarkDownPress, store: str = "S01") -> None:
    """What `oppet release store-root` does in its two requests."""
    node = public_key(bytes.fromhex(press.key))
    own = Repository.begin(
        world.base.parent / "desk" / store, root=Keys([one.public_key for one in world.chain_root_keys], 2),
        targets=Keys([one.public_key for one in world.chain_keys], 2), online=node, now=world.now,
        roles=[Role("markdowns", Keys([node], 1), [f"store/{store}/*"])],
    )  # fmt: skip
    own.sign("root", world.chain_root_keys[:2])
    own.sign("targets", world.chain_keys[:2])
    for part, name in (("root", store_root_name(store)), ("targets", f"stores/{store}.targets.json")):
        world.chain.add("targets", name, own.read(part).to_bytes(), now=world.now)
    world.chain.sign("targets", world.chain_keys[:2])
    world.chain.publish(world.online, world.now)


def test_rl9_a_node_publishes_for_its_own_store_when_its_key_is_listed(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    press = MarkDownPress(tmp_path / "node", tmp_path / "tree", "S01")
    assert not press.ready()
    with pytest.raises(NotListedError, match=press.key):
        press.publish((SHORT,), world.now)
    list_key(world, press)
    shutil.copytree(world.base, tmp_path / "tree")  # what the cache pulls
    assert MarkDownPress(tmp_path / "node", tmp_path / "tree", "S01").key == press.key
    assert press.ready()
    first = press.publish((SHORT,), world.now)
    assert press.publish((SHORT, SHORT), world.now) == first + 1
    assert press.listed() == (first + 1, (SHORT, SHORT))

    till = Publications(tmp_path / "trust", world.roots, "S01")
    found = till.look([FolderSource("node", tmp_path / "tree")], world.now)
    assert [(one.name, one.goods.number) for one in found.goods] == [
        (f"store/S01/markdowns-{first + 1}.json", first + 1)
    ]
    assert found.goods[0].goods.valid_from == utc_text(world.now)
    other = Publications(tmp_path / "other", world.roots, "S02")
    assert other.look([FolderSource("node", tmp_path / "tree")], world.now).goods == ()

    third = press.publish((), world.later(DAY))
    assert third > first + 1
    assert press.listed() == (third, ())
    assert len(list((tmp_path / "tree" / "store" / "S01" / "targets").rglob("*.json"))) == 1

    # The disk is lost, the key with it: listed anew, the tills take the new node's next mark-downs.
    shutil.rmtree(tmp_path / "tree")
    rebuilt = MarkDownPress(tmp_path / "again", tmp_path / "tree", "S01")
    shutil.rmtree(world.base.parent / "desk")
    list_key(world, rebuilt)
    shutil.copytree(world.base, tmp_path / "tree")
    assert rebuilt.publish((SHORT,), world.later(DAY)) > third
    found = till.look([FolderSource("node", tmp_path / "tree")], world.now)
    assert [one.goods.number > third for one in found.goods] == [True]


def test_rl9_lists_are_dated_anew_once_a_day_and_another_nodes_root_is_not_taken(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    press = MarkDownPress(tmp_path / "node", tmp_path / "tree", "S01")
    list_key(world, press)
    shutil.copytree(world.base, tmp_path / "tree")
    thief = MarkDownPress(tmp_path / "thief", tmp_path / "tree", "S01")
    assert not thief.ready()
    press.publish((SHORT,), world.now)
    repository = Repository(tmp_path / "tree" / "store" / "S01")
    before = repository.version("timestamp")
    press.refresh(world.now + 1000)
    press.refresh(world.now + 2000)
    assert repository.version("timestamp") == before
    press.refresh(world.now + 2 * DAY)
    assert repository.version("timestamp") == before + 1
