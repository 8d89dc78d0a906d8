"""Real repositories, a real server, and each way known to lie to a till: the word of the refusal, and that trust did not move."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile
from tuf.ngclient import Updater
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet

from oppet.drivers.publication_sources import FolderSource, HttpSource, Limits, Source
from oppet.drivers.publications import Publications
from oppet.drivers.repositories import DAY_MS, Expires, Repository, make_signer
from oppet.release import terms
from oppet.release.agree import Disagreed
from oppet.release.errors import PublicationAwayError, TargetRefusedError
from oppet.release.found import Found
from oppet.release.terms import CHAIN, PACE_FIELD, VENDOR, Goods
from tests.drivers.pub_http import Tree, chunked, drip, flood, redirect, says, serving
from tests.release.chain import a_canary, a_word
from tests.release.signed import NOW, World, a_world

HASTY = Limits(answer_s=0.5, window_s=0.2, least_rate=2_000, file_s=2.0)
GOODS = Goods("assortment", 1, "2026-11-22T12:00:00.000Z")


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power cut leaves is not asked here, and hundreds of flushes are most of a test's time."""
    monkeypatch.setattr(os, "fsync", lambda _handle: None)


@pytest.fixture
def world(tmp_path: Path, first: World) -> World:
    """A copy of the chain, with the same keys."""
    shutil.copytree(first.base, tmp_path / "pub")
    vendor, chain = (Repository(tmp_path / "pub" / one) for one in (VENDOR, CHAIN))
    return dataclasses.replace(
        first,
        base=tmp_path / "pub",
        vendor=vendor,
        chain=chain,
        plan=dict(first.plan),
        chain_keys=list(first.chain_keys),
    )


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Release 2 is out; goods and a plan too."""
    world = a_world(tmp_path_factory.mktemp("first"))
    world.release(2, publish=False)
    world.goods(b'{"goods":1}', GOODS, publish=False)
    world.choose(2, publish=False)
    world.publish()
    return world


@pytest.fixture
def tree(world: World) -> Iterator[Tree]:
    with serving(world.base) as tree:
        yield tree


@pytest.fixture
def node(tree: Tree) -> Iterator[HttpSource]:
    node = HttpSource("node", tree.url, limits=HASTY)
    yield node
    node.close()


def a_client(world: World, tmp_path: Path, store: str = "S09", name: str = "trust") -> Publications:
    return Publications(tmp_path / name, world.roots, store, total_s=3.0)


def trust(client: Publications) -> dict[str, bytes]:
    """Everything that is believed, as it stands on disk."""
    files = (path for path in client.folder.rglob("*") if path.is_file())
    return {str(path.relative_to(client.folder)): path.read_bytes() for path in files}


def releases(found: Found) -> list[int]:
    return [one.software.release for one in found.agreed]


def words(found: Found) -> set[tuple[str, str]]:
    return {(one.repository, one.why) for one in found.refused}


# ---------------------------------------------------------------- thieves' tools


def unjudged(repository: Repository, online: CryptoSigner, now: int = NOW) -> None:
    """Publish whatever is staged: the online key's thief does not count signatures."""
    repository._judge_all = lambda *_: None  # type: ignore[method-assign]
    repository.publish(online, now)


def edited(path: Path, change: Callable[[Any], None], *signers: CryptoSigner, to: Path | None = None) -> None:
    """Change a list and sign it with the keys one has."""
    held: Metadata[Any] = Metadata.from_bytes(path.read_bytes())
    change(held.signed)
    held.signatures.clear()
    for signer in signers:
        held.sign(signer, append=True)
    (to or path).write_bytes(held.to_bytes())


def newest(world: World, repository: str, role: str) -> Path:
    folder = world.base / repository / "metadata"
    return max(folder.glob(f"*.{role}.json"), key=lambda path: int(path.name.partition(".")[0]))


def metadata(world: World, name: str, repository: str = CHAIN) -> Path:
    return world.base / repository / "metadata" / name


def one_of_three(world: World, tree: Tree) -> None:
    world.chain.add("targets", terms.software_name("till", 66), b"evil", world.release(3, publish=False))
    world.chain.sign("targets", world.chain_keys[:1])
    unjudged(world.chain, world.online)


def online_keys_alone(world: World, tree: Tree) -> None:
    for repository, online in ((world.vendor, world.vendor_online), (world.chain, world.online)):
        repository.add("targets", terms.software_name("till", 66), b"evil", a_software(66))
        repository.sign("targets", [], again=True)
        unjudged(repository, online)


def a_software(release: int) -> terms.Software:
    return terms.Software(release, f"0.{release}.0", "till", "any", "66" * 32, 4)


def old_timestamp(world: World, tree: Tree) -> None:
    tree.twists["chain/metadata/timestamp.json"] = says(metadata(world, "timestamp.json").read_bytes())
    world.release(3)


def snapshot_rolled_back(world: World, tree: Tree) -> None:
    """The online key's thief points a new timestamp at the old snapshot."""

    def back(signed: Any) -> None:
        signed.version += 1
        old = metadata(world, f"{signed.snapshot_meta.version - 1}.snapshot.json").read_bytes()
        signed.snapshot_meta = MetaFile(signed.snapshot_meta.version - 1, len(old))

    edited(metadata(world, "timestamp.json"), back, world.online)


def targets_rolled_back(world: World, tree: Tree) -> None:
    """… or a new snapshot at the old targets."""

    def back(signed: Any) -> None:
        signed.version += 1
        signed.meta["targets.json"] = MetaFile(1)

    old = newest(world, CHAIN, "snapshot")
    number = int(old.name.partition(".")[0]) + 1
    edited(old, back, world.online, to=metadata(world, f"{number}.snapshot.json"))

    def on(signed: Any) -> None:
        signed.version, signed.snapshot_meta = signed.version + 1, MetaFile(number)

    edited(metadata(world, "timestamp.json"), on, world.online)


def mixed(world: World, tree: Tree) -> None:
    """A new timestamp, and a snapshot of another time under the name it asks for."""
    before = newest(world, CHAIN, "snapshot").read_bytes()
    world.release(3)
    newest(world, CHAIN, "snapshot").write_bytes(before)


def root_by_one_key(world: World, tree: Tree) -> None:
    def on(signed: Any) -> None:
        signed.version = 2

    edited(metadata(world, "1.root.json"), on, world.chain_root_keys[0], to=metadata(world, "2.root.json"))


def root_by_new_keys_alone(world: World, tree: Tree) -> None:
    mine = [make_signer(), make_signer()]

    def on(signed: Any) -> None:
        signed.version = 2
        for old in list(signed.roles["root"].keyids):
            signed.revoke_key(old, "root")
        for one in mine:
            signed.add_key(one.public_key, "root")

    edited(metadata(world, "1.root.json"), on, *mine, to=metadata(world, "2.root.json"))


def root_that_skips(world: World, tree: Tree) -> None:
    def on(signed: Any) -> None:
        signed.version = 7

    edited(metadata(world, "1.root.json"), on, *world.chain_root_keys, to=metadata(world, "2.root.json"))


def swapped_list(world: World, tree: Tree) -> None:
    world.release(3)
    path = newest(world, CHAIN, "targets")
    path.write_bytes(path.read_bytes().replace(b"0.3.0", b"0.6.6"))


def swapped_timestamp(world: World, tree: Tree) -> None:
    path = metadata(world, "timestamp.json")
    said = json.loads(path.read_bytes())
    said["signed"]["version"] += 5
    path.write_text(json.dumps(said))


def endless_timestamp(world: World, tree: Tree) -> None:
    tree.twists["chain/metadata/timestamp.json"] = flood()


def endless_root(world: World, tree: Tree) -> None:
    tree.twists["chain/metadata/2.root.json"] = chunked(b"{" * 65536, 200)


def signed_for_too_much(world: World, tree: Tree) -> None:
    """The online key's thief signs that the snapshot is enormous."""

    def on(signed: Any) -> None:
        signed.version += 1
        signed.snapshot_meta = MetaFile(signed.snapshot_meta.version + 1, 1 << 40)

    edited(metadata(world, "timestamp.json"), on, world.online)
    tree.twists[".snapshot.json"] = flood()


def slow_drip(world: World, tree: Tree) -> None:
    tree.twists["chain/metadata/timestamp.json"] = drip(0.02)


def garbage(world: World, tree: Tree) -> None:
    tree.twists["chain/metadata/timestamp.json"] = says(b"<html>")


def deep_garbage(world: World, tree: Tree) -> None:
    tree.twists["chain/metadata/timestamp.json"] = says(b"[" * 16_000)


def wrong_list(world: World, tree: Tree) -> None:
    tree.twists["chain/metadata/timestamp.json"] = says(newest(world, CHAIN, "snapshot").read_bytes())


ATTACKS: list[tuple[Callable[[World, Tree], None], str]] = [
    (one_of_three, "threshold"),
    (online_keys_alone, "threshold"),
    (old_timestamp, "rollback"),
    (snapshot_rolled_back, "rollback"),
    (targets_rolled_back, "rollback"),
    (mixed, "mix"),
    (root_by_one_key, "threshold"),
    (root_by_new_keys_alone, "threshold"),
    (root_that_skips, "rollback"),
    (swapped_list, "mix"),
    (swapped_timestamp, "threshold"),
    (endless_timestamp, "endless"),
    (endless_root, "endless"),
    (signed_for_too_much, "endless"),
    (slow_drip, "slow"),
    (garbage, "malformed"),
    (deep_garbage, "malformed"),
    (wrong_list, "malformed"),
]


@pytest.mark.parametrize(("attack", "why"), ATTACKS, ids=[attack.__name__ for attack, _ in ATTACKS])
def test_rl1_rl6_rl7_an_attack_is_refused_by_name_and_moves_nothing(
    world: World, tree: Tree, node: HttpSource, tmp_path: Path, attack: Callable[[World, Tree], None], why: str
) -> None:
    client = a_client(world, tmp_path)
    if attack is old_timestamp:
        world.release(3)
        attack(world, tree)  # what is replayed is what the till saw before last
        held, tree.twists = dict(tree.twists), {}
        assert releases(client.look([node], NOW)) == [3, 2]
        tree.twists = held
    else:
        assert releases(client.look([node], NOW)) == [2]
    honest = tmp_path / "honest"
    shutil.copytree(world.base, honest)
    before = trust(client)
    if attack is not old_timestamp:
        attack(world, tree)
    for again in (client, a_client(world, tmp_path)):  # with what it remembers, and after a restart
        found = again.look([node], NOW)
        assert (CHAIN, why) in words(found)
        assert {one.source for one in found.refused} == {"node"}
        assert found.agreed == ()
        assert found.disagreed == ()
        assert found.goods == ()
        chain = {name: data for name, data in trust(client).items() if name.startswith(CHAIN)}
        assert chain == {name: data for name, data in before.items() if name.startswith(CHAIN)}
    rescued = a_client(world, tmp_path).look([node, FolderSource("stick", honest)], NOW)
    assert releases(rescued)[-1] == 2
    assert rescued.source == "stick"
    assert why in {one.why for one in rescued.refused}


# ---------------------------------------------------------------- both, or nothing


@pytest.mark.parametrize(("by", "party"), [([VENDOR], VENDOR), ([CHAIN], CHAIN)])
def test_rl1_rl2_all_keys_of_one_party_install_nothing(
    world: World, node: HttpSource, tmp_path: Path, by: list[str], party: str
) -> None:
    world.release(3, b"evil", by=by)
    found = a_client(world, tmp_path).look([node], NOW)
    assert releases(found) == [2]
    assert found.disagreed == (Disagreed("software/till-3.index", "one_party", party, 3),)


def test_rl1_other_bytes_under_a_name_that_both_signed_install_nothing(
    world: World, node: HttpSource, tmp_path: Path
) -> None:
    world.release(2, b"evil", by=[VENDOR])
    found = a_client(world, tmp_path).look([node], NOW)
    assert found.agreed == ()
    assert [one.why for one in found.disagreed] == ["disagree"]


def test_rl2_who_stands_on_both_sides_is_one_party(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    world.chain.rotate("targets", add=[world.vendor_keys[0].public_key], now=NOW)
    world.chain.sign("root", world.chain_root_keys[:2])
    world.chain.publish(world.online, NOW)
    world.release(2)
    found = a_client(world, tmp_path).look([FolderSource("node", world.base)], NOW)
    assert found.agreed == ()
    assert (CHAIN, "threshold") in words(found)


@pytest.mark.parametrize("role", ["rollout", "health", "goods"])
def test_rl2_a_delegated_role_names_only_what_is_its_own(
    world: World, node: HttpSource, tmp_path: Path, role: str
) -> None:
    keys = {"rollout": world.rollout_key, "health": world.health_key, "goods": world.publishers[0]}
    world.vendor.add("targets", terms.software_name("till", 66), b"evil", a_software(66))
    world.vendor.sign("targets", world.vendor_keys[:2])
    for name in (terms.software_name("till", 66), terms.emergency_name("till", 2), "wide/assortment-9.json"):
        world.chain.add(role, name, b"evil", a_software(66))
    world.chain.sign(role, [keys[role]])
    world.publish()
    found = a_client(world, tmp_path).look([node], NOW)
    assert releases(found) == [2]
    assert not found.agreed[0].emergency
    assert {one.name for one in found.goods} == {"goods/assortment-1.json"}
    assert words(found) == {(CHAIN, "threshold")}
    assert len(found.refused) == 3


def test_rl2_the_rollout_role_owned_can_only_choose(world: World, node: HttpSource, tmp_path: Path) -> None:
    world.choose(66)
    found = a_client(world, tmp_path).look([node], NOW)
    assert found.plan is not None
    assert found.plan.releases == {"till": 66}
    assert releases(found) == [2]


def test_rl2_wide_and_emergency_need_their_higher_thresholds_whatever_the_list_says(
    world: World, node: HttpSource, tmp_path: Path
) -> None:
    world.goods(b"{}", Goods("assortment", 9, GOODS.valid_from), wide=True)
    world.release(3, emergency=True)
    found = a_client(world, tmp_path).look([node], NOW)
    assert [one.emergency for one in found.agreed] == [True, False]
    assert [one.wide for one in found.goods] == [False, True]
    for role in ("wide", "emergency"):
        world.chain.rotate(role, need=1 if role == "wide" else 2, now=NOW)
    world.chain.sign("targets", world.chain_keys[:2])
    world.chain.publish(world.online, NOW)
    found = a_client(world, tmp_path).look([node], NOW)
    assert [one.emergency for one in found.agreed] == [False, False]
    assert [one.wide for one in found.goods] == [False]
    assert {(one.name, one.why) for one in found.refused} == {("wide", "threshold"), ("emergency", "threshold")}


def test_an_emergency_for_other_bytes_is_none(world: World, node: HttpSource, tmp_path: Path) -> None:
    world.chain.add("emergency", terms.emergency_name("till", 2), b"other", a_software(2))
    world.chain.sign("emergency", world.emergency_keys)
    world.chain.publish(world.online, NOW)
    assert [one.emergency for one in a_client(world, tmp_path).look([node], NOW).agreed] == [False]


# ---------------------------------------------------------------- the honest road


def test_what_is_found_is_everything_that_was_signed(world: World, node: HttpSource, tmp_path: Path) -> None:
    software = world.release(3, b"third", publish=False)
    said = [a_word(a_canary("S01", "S01-K1"), software.image)]
    world.vouch(software.image, said, publish=False)
    world.choose(3, publish=False)
    world.publish()
    found = a_client(world, tmp_path).look([node], NOW)
    assert releases(found) == [3, 2]
    assert found.agreed[0].software == software
    assert found.plan is not None
    assert found.plan.releases == {"till": 3}
    assert found.health == ((software.image, tuple(said)),)
    assert found.pace == world.chain.pace
    assert (found.root, found.source, found.refused, found.away, found.expired) == (1, "node", (), (), ())
    assert [one.goods for one in found.goods] == [GOODS]
    assert [version.repository for version in found.versions] == [VENDOR, CHAIN]
    assert found.bytes > 1000


def test_a_look_with_nothing_new_asks_two_small_files_of_each(
    world: World, tree: Tree, node: HttpSource, tmp_path: Path
) -> None:
    client = a_client(world, tmp_path)
    first = client.look([node], NOW)
    tree.asked.clear()
    second = client.look([node], NOW)
    assert tree.asked == [
        f"{one}/metadata/{name}" for one in (VENDOR, CHAIN) for name in ("2.root.json", "timestamp.json")
    ]
    assert second.bytes < 1600
    assert (second.agreed, second.goods, second.plan, second.versions) == (
        first.agreed, first.goods, first.plan, first.versions,
    )  # fmt: skip
    world.release(3)
    assert releases(client.look([node], NOW)) == [3, 2]


def test_a_stick_alone_is_enough(world: World, tmp_path: Path) -> None:
    client = a_client(world, tmp_path)
    stick = FolderSource("stick", world.base)
    found = client.look([stick], NOW)
    assert releases(found) == [2]
    assert found.source == "stick"
    goods = found.goods[0]
    assert client.target(goods.name, goods.length, goods.sha256, CHAIN, [stick]) == b'{"goods":1}'


def test_a_till_that_slept_through_five_roots_walks_them_all(world: World, node: HttpSource, tmp_path: Path) -> None:
    client = a_client(world, tmp_path)
    client.look([node], NOW)
    for _ in range(5):
        fresh, old = make_signer(), world.chain_keys.pop(0)
        world.chain.rotate("targets", add=[fresh.public_key], remove=[old.public_key.keyid], now=NOW)
        world.chain_keys.append(fresh)
        world.chain.sign("root", world.chain_root_keys[:2])
        if world.chain.staged("targets") is not None:
            world.chain.sign("targets", world.chain_keys[:2])
        world.chain.publish(world.online, NOW)
    world.release(3)
    for again in (client, a_client(world, tmp_path), a_client(world, tmp_path, name="blank")):
        found = again.look([node], NOW)
        assert releases(found) == [3, 2]
        assert found.root == 6
        assert found.refused == ()
    assert (client.folder / CHAIN / "root.json").read_bytes() == world.chain.root_bytes(6)


def test_ten_tills_at_once_from_one_node(world: World, tree: Tree, tmp_path: Path) -> None:
    found: list[Found] = []

    def till(number: int) -> None:
        node = HttpSource("node", tree.url)
        client = a_client(world, tmp_path, name=f"till-{number}")
        found.extend(client.look([node], NOW) for _ in range(2))
        node.close()

    threads = [threading.Thread(target=till, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [releases(one) for one in found] == [[2]] * 20
    assert {one.refused for one in found} == {()}


def test_rl6_a_stolen_online_key_is_got_over_by_a_new_root(world: World, node: HttpSource, tmp_path: Path) -> None:
    """Its thief moves both lists far ahead; once people take the key away, smaller numbers count again."""
    client = a_client(world, tmp_path)
    client.look([node], NOW)
    honest = tmp_path / "honest"
    shutil.copytree(world.base, honest)
    snapshot = newest(world, CHAIN, "snapshot")

    def far(signed: Any) -> None:
        signed.version = 90_000

    edited(snapshot, far, world.online, to=metadata(world, "90000.snapshot.json"))

    def ahead(signed: Any) -> None:
        signed.version, signed.snapshot_meta = 90_000, MetaFile(90_000)

    edited(metadata(world, "timestamp.json"), ahead, world.online)
    assert client.look([node], NOW).versions[1].timestamp == 90_000
    assert words(client.look([FolderSource("stick", honest)], NOW)) == {(CHAIN, "rollback")}
    fresh = make_signer()
    chain = Repository(honest / CHAIN)
    for role in ("snapshot", "timestamp"):
        chain.rotate(role, add=[fresh.public_key], remove=[world.online.public_key.keyid], now=NOW)
    chain.sign("root", world.chain_root_keys[:2])
    chain.publish(fresh, NOW)
    for again in (client, a_client(world, tmp_path)):
        found = again.look([FolderSource("stick", honest)], NOW)
        assert (releases(found), found.refused) == ([2], ())
        assert found.versions[1].timestamp < 100


def test_rl6_whatever_bytes_come_a_look_ends_and_believes_only_what_was_signed(world: World, tmp_path: Path) -> None:
    client = a_client(world, tmp_path)
    client.look([FolderSource("stick", world.base)], NOW)
    world.release(3)
    before, signed = trust(client), {path.read_bytes() for path in world.base.rglob("*.json")}
    chance = random.Random(4711)
    lists = sorted(path for path in world.base.rglob("*.json") if path.parent.name == "metadata")
    for _ in range(60):
        path = chance.choice(lists)
        honest = path.read_bytes()
        path.write_bytes(_damaged(honest, chance))
        found = client.look([FolderSource("stick", world.base)], NOW)
        assert set(releases(found)) <= {2, 3}
        assert {data for name, data in trust(client).items() if name.endswith(".json")} <= signed | set(before.values())
        path.write_bytes(honest)
        client = a_client(world, tmp_path)
    assert releases(client.look([FolderSource("stick", world.base)], NOW)) == [3, 2]


def _damaged(data: bytes, chance: random.Random) -> bytes:
    """What a bad disk, a clumsy or a clever hand makes of a list."""
    at, kind = chance.randrange(len(data)), chance.randrange(6)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
    if kind == 2:
        return data + data
    if kind == 3:
        return data.replace(b'"version":', b'"version":-')
    if kind == 4:
        return data.replace(b'"signatures"', b'"signatures_"', 1)
    said = json.loads(data)
    key = chance.choice(sorted(said["signed"]))
    said["signed"][key] = chance.choice([None, [], {}, "", -1, 10**30, True, {"x": [[]]}])
    return json.dumps(said).encode()


# ---------------------------------------------------------------- time


def test_rl6_expired_lists_offer_nothing_to_install_and_refuse_nothing(
    world: World, node: HttpSource, tmp_path: Path
) -> None:
    client = a_client(world, tmp_path)
    client.look([node], NOW)
    before = trust(client)
    for again in (client, a_client(world, tmp_path)):
        found = again.look([node], NOW + 8 * DAY_MS)
        assert (found.agreed, found.goods, found.plan, found.refused) == ((), (), None, ())
        assert found.expired == (VENDOR, CHAIN)
    assert trust(client) == before
    world.later(8 * DAY_MS)
    world.publish()
    assert releases(client.look([node], NOW + 8 * DAY_MS)) == [2]


def test_rl6_a_clock_that_goes_back_revives_nothing(world: World, node: HttpSource, tmp_path: Path) -> None:
    client = a_client(world, tmp_path)
    client.look([node], NOW)
    world.later(6 * DAY_MS)
    world.publish()
    client.look([node], world.now)
    assert client.last_verified_ms == world.now
    client = a_client(world, tmp_path)
    tree_of_old = a_world(tmp_path / "other", now=NOW - 5 * DAY_MS)
    other = Publications(client.folder, tree_of_old.roots, "S09")
    assert other.look([FolderSource("node", tree_of_old.base)], NOW).expired == (VENDOR, CHAIN)
    for year in (-1, 0, 1 << 60):
        assert isinstance(client.look([node], year), Found)


def test_rl6_a_role_that_expired_is_silent_and_the_others_speak(tmp_path: Path) -> None:
    world = a_world(tmp_path, expires=Expires(roles={"rollout": 2}))
    world.choose(2, publish=False)
    world.release(2)
    node = FolderSource("node", world.base)
    client = a_client(world, tmp_path)
    assert client.look([node], NOW).plan is not None
    found = client.look([node], NOW + 3 * DAY_MS)
    assert found.plan is None
    assert found.expired == ("chain/rollout",)
    assert releases(found) == [2]


# ---------------------------------------------------------------- a till without a memory


def test_rl6_a_rebuild_goes_on_with_lists_that_expired_long_ago(world: World, tmp_path: Path) -> None:
    stick = FolderSource("stick", world.base)
    client = a_client(world, tmp_path)
    client.look([stick], NOW)
    assert client.look([stick], NOW + 300 * DAY_MS).expired == (VENDOR, CHAIN)
    again = a_client(world, tmp_path)
    assert releases(again.verify_for_rebuild([stick], NOW - DAY_MS, 1)) == [2]
    blank = a_client(world, tmp_path, name="blank")
    assert releases(blank.verify_for_rebuild([stick], NOW + DAY_MS, 2)) == [2]
    assert blank.verify_for_rebuild([stick], NOW + 300 * DAY_MS, 2).expired == (VENDOR, CHAIN)


def test_rl6_no_rebuild_below_the_floor(world: World, tmp_path: Path) -> None:
    old = FolderSource("node", world.base)
    found = a_client(world, tmp_path).verify_for_rebuild([old], NOW, 3)
    assert found.agreed == ()
    assert [(one.what, one.why, one.name) for one in found.refused] == [
        ("release", "below_floor", "software/till-2.index")
    ]
    world.release(5, min_release=4)
    world.release(6, role="node")
    found = a_client(world, tmp_path).verify_for_rebuild([old], NOW, 1)
    assert releases(found) == [5]
    assert [one.why for one in found.refused] == ["below_floor"]


def test_rl6_a_blank_till_is_not_taken_back_behind_its_neighbours(world: World, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(world.base, old)
    world.release(3)
    neighbour = FolderSource("K2", world.base)
    replayed, lying = FolderSource("node", old), FolderSource("K3", tmp_path / "nothing")
    alone = a_client(world, tmp_path, name="alone").verify_for_rebuild([replayed], NOW, 1)
    assert releases(alone) == [2]  # nobody told it: why peers, a floor or a counter are asked
    for peers in ([neighbour], [replayed, neighbour, lying]):
        blank = a_client(world, tmp_path, name=f"blank-{len(peers)}")
        found = blank.verify_for_rebuild([replayed], NOW, 1, peers)
        assert found.agreed == ()
        assert words(found) == {(VENDOR, "rollback"), (CHAIN, "rollback")}
        found = blank.verify_for_rebuild([replayed, neighbour], NOW, 1, peers)
        assert releases(found) == [3, 2]
        assert (blank.folder / CHAIN / "timestamp.json").read_bytes() == metadata(world, "timestamp.json").read_bytes()
    assert releases(a_client(world, tmp_path, name="kind").look([neighbour], NOW, [replayed])) == [3, 2]


def test_peers_prove_what_they_show(world: World, tmp_path: Path) -> None:
    forged = tmp_path / "forged"
    shutil.copytree(world.base, forged)

    def on(signed: Any) -> None:
        signed.version = 1_000

    edited(forged / "chain" / "metadata" / "timestamp.json", on, make_signer())
    (forged / "vendor" / "metadata" / "timestamp.json").write_bytes(b"{")
    found = a_client(world, tmp_path).look([FolderSource("node", world.base)], NOW, [FolderSource("K3", forged)])
    assert releases(found) == [2]
    assert found.refused == ()


# ---------------------------------------------------------------- pace, contents, stores


def test_a_pace_that_cannot_be_read_is_named_and_changes_nothing_else(world: World, tmp_path: Path) -> None:
    def on(signed: Any) -> None:
        signed.version = 2
        signed.unrecognized_fields[PACE_FIELD]["stores"] = "many"

    edited(metadata(world, "1.root.json"), on, *world.chain_root_keys, to=metadata(world, "2.root.json"))
    found = a_client(world, tmp_path).look([FolderSource("node", world.base)], NOW)
    assert (found.root, found.pace) == (2, None)
    assert [(one.why, one.name) for one in found.refused] == [("malformed", "root")]
    assert releases(found) == [2]


def test_one_target_that_cannot_be_read_hinders_no_other(world: World, tmp_path: Path) -> None:
    world.chain.add("goods", "goods/assortment-2.json", b"{}", a_software(1))
    world.chain.sign("goods", world.publishers[:1])
    world.chain.add("rollout", terms.PLAN, b"not a plan")
    world.chain.sign("rollout", [world.rollout_key])
    world.chain.publish(world.online, NOW)
    found = a_client(world, tmp_path).look([FolderSource("node", world.base)], NOW)
    assert {(one.what, one.name) for one in found.refused} == {
        ("goods", "goods/assortment-2.json"), ("metadata", terms.PLAN),
    }  # fmt: skip
    assert {one.why for one in found.refused} == {"malformed"}
    assert [one.name for one in found.goods] == ["goods/assortment-1.json"]
    assert found.plan is None
    assert releases(found) == [2]


def test_a_plan_with_other_bytes_is_fetched_from_the_next_source(
    world: World, tree: Tree, node: HttpSource, tmp_path: Path
) -> None:
    tree.twists["plan.json"] = lambda handler: handler.give(b"x" * (handler_length(world)))
    found = a_client(world, tmp_path).look([node, FolderSource("stick", world.base)], NOW)
    assert found.plan is not None
    assert [(one.why, one.name, one.source) for one in found.refused] == [("bytes", terms.PLAN, "node")]


def handler_length(world: World) -> int:
    return world.chain.target("rollout", terms.PLAN).length


def test_rl7_a_target_comes_from_the_first_source_that_tells_the_truth(
    world: World, tree: Tree, node: Source, tmp_path: Path
) -> None:
    client = a_client(world, tmp_path)
    goods = client.look([node], NOW).goods[0]
    stick, nobody = FolderSource("stick", world.base), HttpSource("nobody", "http://127.0.0.1:1/pub")
    heard: list[Any] = []
    for twist, why in ((says(b'{"goods":6}'), "bytes"), (flood(), "endless"), (drip(0.1, pieces=11), "slow")):
        tree.twists["assortment-1.json"] = twist
        ask = (goods.name, goods.length, goods.sha256, CHAIN)
        assert client.target(*ask, [nobody, node, stick], heard.append) == b'{"goods":1}'
        assert (heard[-1].why, heard[-1].source, heard[-1].name) == (why, "node", goods.name)
        with pytest.raises(TargetRefusedError):
            client.target(*ask, [node])
    tree.twists["assortment-1.json"] = redirect("/pub/x")
    with pytest.raises(PublicationAwayError):
        client.target(goods.name, goods.length, goods.sha256, CHAIN, [node, nobody])
    assert len(heard) == 3


def test_a_stores_own_key_reaches_that_store_alone(tmp_path: Path) -> None:
    world = a_world(tmp_path, stores=["S09", "S10"])
    mine = Goods("markdowns", 1, GOODS.valid_from, store="S09")
    world.markdowns("S09", b"{}", mine, publish=False)
    theirs = terms.markdown_name("S10", 1)
    world.stores["S09"].add("markdowns", theirs, b"{}", Goods("markdowns", 1, GOODS.valid_from, store="S10"))
    sly = terms.markdown_name("S09", 2)
    world.stores["S09"].add("markdowns", sly, b"{}", Goods("markdowns", 2, GOODS.valid_from, store="S10"))
    world.stores["S09"].add("markdowns", terms.goods_name("assortment", 9, wide=True), b"{}", GOODS)
    world.stores["S09"].sign("markdowns", [world.store_keys["S09"]])
    world.stores["S09"].publish(world.store_keys["S09"], NOW)
    node = FolderSource("node", world.base)
    client = a_client(world, tmp_path)
    found = client.look([node], NOW)
    assert [one.name for one in found.goods] == ["store/S09/markdowns-1.json"]
    assert client.target(found.goods[0].name, 2, found.goods[0].sha256, "store", [node]) == b"{}"
    assert {(one.name, one.why) for one in found.refused} == {
        (theirs, "threshold"), (sly, "other_store"), ("wide/assortment-9.json", "threshold"),
    }  # fmt: skip
    assert a_client(world, tmp_path, "S10", "K10").look([node], NOW).goods == ()
    assert a_client(world, tmp_path, "S11", "K11").look([node], NOW).refused == ()
    shutil.rmtree(world.base / "store" / "S10")
    shutil.copytree(world.base / "store" / "S09", world.base / "store" / "S10")  # the node of one serves another's
    found = a_client(world, tmp_path, "S10", "K10b").look([node], NOW)
    assert found.goods == ()
    assert ("store", "threshold") in words(found)


# ---------------------------------------------------------------- this machine


def test_two_processes_never_share_the_folder(world: World, node: HttpSource, tmp_path: Path) -> None:
    client = a_client(world, tmp_path)
    assert releases(client.look([node], NOW)) == [2]
    other = os.open(client.folder / "lock", os.O_RDWR)
    try:
        fcntl.flock(other, fcntl.LOCK_EX)
        found = client.look([node], NOW)
    finally:
        os.close(other)
    assert (found.agreed, found.refused) == ((), ())
    assert len(found.away) == 1
    assert releases(client.look([node], NOW)) == [2]


def test_a_folder_that_cannot_be_written_is_told_and_nothing_is_offered(world: World, tmp_path: Path) -> None:
    (tmp_path / "trust").write_bytes(b"a file")
    found = a_client(world, tmp_path).look([FolderSource("node", world.base)], NOW)
    assert (found.agreed, len(found.away)) == ((), 1)


def test_nobody_there_is_no_refusal(world: World, tmp_path: Path) -> None:
    nobody, empty = HttpSource("nobody", "http://127.0.0.1:1/pub"), FolderSource("stick", tmp_path)
    found = a_client(world, tmp_path).look([nobody, empty], NOW)
    assert (found.refused, found.away, found.agreed) == ((), ("nobody", "stick"), ())
    assert a_client(world, tmp_path).look([], NOW).versions == ()


def test_trust_that_was_damaged_on_disk_is_fetched_anew(world: World, node: HttpSource, tmp_path: Path) -> None:
    client = a_client(world, tmp_path)
    client.look([node], NOW)
    for path in client.folder.rglob("*.json"):
        path.write_bytes(b"\0" * 100)
    (client.folder / "verified").write_bytes(b"yesterday")
    found = a_client(world, tmp_path).look([node], NOW)
    assert releases(found) == [2]
    assert found.refused == ()


def test_the_framework_still_names_what_we_touch() -> None:
    """A newer one that does not would be found here, not in a store."""
    ours = ("_load_root", "_load_timestamp", "_load_snapshot", "_load_targets", "_download_metadata", "_persist_metadata",
            "_persist_root", "_update_root_symlink")  # fmt: skip
    assert [name for name in ours if not callable(getattr(Updater, name, None))] == []
    for name in ("update_timestamp", "update_snapshot", "get"):
        assert callable(getattr(TrustedMetadataSet, name))
    assert "reference_time" in TrustedMetadataSet.__init__.__code__.co_names
    assert {"_trusted_set", "_fetcher"} <= set(Updater.__init__.__code__.co_names)
