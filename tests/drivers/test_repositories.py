"""Repositories on disk: nothing is shown before enough have signed, and the framework's own client believes what is shown."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import Root
from tuf.ngclient import FetcherInterface, Updater

from oppet.drivers.files import FileTroubleError
from oppet.drivers.repositories import (
    DAY_MS,
    KeySignedAlreadyError,
    KeyStrangeError,
    ListExpiredError,
    NothingStagedError,
    Repository,
    RepositoryBrokenError,
    RepositoryMissingError,
    RepositoryThereError,
    RoleMissingError,
    TargetMissingError,
    Threshold,
    ThresholdMissingError,
    make_signer,
)
from oppet.release.terms import Goods, Software, read, software_name
from tests.release.chain import a_pace, a_word
from tests.release.signed import NOW, World, a_world


class Folder(FetcherInterface):
    """Reads a published tree as a client would over a wire."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = Path(url)
        if not path.is_file():
            raise DownloadHTTPError("not there", 404)
        yield path.read_bytes()


def client(world: World, repository: str, tmp_path: Path, root: bytes | None = None) -> Updater:
    mine = tmp_path / f"client-{repository.replace('/', '-')}"
    mine.mkdir(exist_ok=True)
    base = world.base / repository
    updater = Updater(
        str(mine), f"{base}/metadata", str(mine), f"{base}/targets", fetcher=Folder(), bootstrap=root or world.roots[repository]
    )  # fmt: skip
    updater._trusted_set.reference_time = datetime.fromtimestamp(world.now / 1000, UTC)
    return updater


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def shown(world: World) -> dict[str, bytes]:
    return {name: data for name, data in snapshot(world.base).items() if "/staged/" not in name}


def test_a_client_of_the_framework_reads_what_was_signed(tmp_path: Path) -> None:
    world = a_world(tmp_path, stores=["S01"])
    software = world.release(2, b"image", emergency=True)
    world.choose(2)
    world.vouch(software.image, [a_word(a_pace().canaries[0], software.image)])
    world.goods(b"{}", Goods("assortment", 1, "2026-11-23T00:00:00.000Z"))
    world.goods(b"{}", Goods("assortment", 2, "2026-11-23T00:00:00.000Z"), wide=True)
    chain = client(world, "chain", tmp_path)
    for updater in (client(world, "vendor", tmp_path), chain):
        info = updater.get_targetinfo(software_name("till", 2))
        assert info is not None
        assert read(info.custom, Software, info.path) == software
        assert b"index of" in Path(updater.download_target(info)).read_bytes()
    names = ("emergency/till-2.index", "rollout/plan.json", f"health/{software.image[:32]}.json",
             "goods/assortment-1.json", "wide/assortment-2.json", "stores/S01.root.json")  # fmt: skip
    assert all(chain.get_targetinfo(name) for name in names)
    world.markdowns("S01", b"{}", Goods("markdowns", 1, "2026-11-22T12:00:00.000Z", store="S01"))
    own = client(world, "store/S01", tmp_path, world.stores["S01"].root_bytes(1))
    assert own.get_targetinfo("store/S01/markdowns-1.json")


def test_the_chains_root_carries_the_pace_and_the_vendors_none(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    assert (world.chain.pace, world.vendor.pace) == (a_pace(), None)


def test_nothing_is_shown_before_publish_and_nothing_while_a_signature_is_missing(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    before = shown(world)
    world.release(2, publish=False)
    assert shown(world) == before
    world.chain.add("targets", "software/till-3.index", b"more")  # takes both signatures away
    world.chain.sign("targets", world.chain_keys[:1])
    with pytest.raises(ThresholdMissingError) as refused:
        world.chain.publish(world.online, NOW)
    assert (refused.value.facts["have"], refused.value.facts["need"]) == (1, 2)
    assert world.chain_keys[1].public_key.keyid[:16] in str(refused.value)
    assert shown(world) == before


def test_a_root_needs_the_old_and_the_new_threshold(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    fresh = [make_signer() for _ in range(3)]
    old = world.chain_root_keys
    world.chain.rotate(
        "root", add=[key.public_key for key in fresh], remove=[key.public_key.keyid for key in old], now=NOW
    )
    world.chain.sign("root", fresh)
    assert [(one.why, one.enough) for one in world.chain.signatures("root")] == [("old", False), ("", True)]
    with pytest.raises(ThresholdMissingError):
        world.chain.publish(world.online, NOW)
    world.chain.sign("root", old[:2])
    world.chain.publish(world.online, NOW)
    updater = client(world, "chain", tmp_path)
    updater.refresh()
    assert updater._trusted_set.root.version == 2


def test_a_targets_key_that_goes_takes_its_signature_with_it(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    world.release(2)
    gone, fresh = world.chain_keys[0], make_signer()
    world.chain.rotate("targets", add=[fresh.public_key], remove=[gone.public_key.keyid], now=NOW)
    assert world.chain.drafts() == ("root", "targets")
    world.chain.sign("root", world.chain_root_keys[:2])
    with pytest.raises(KeyStrangeError):
        world.chain.sign("targets", [gone])
    world.chain.sign("targets", [world.chain_keys[1], fresh])
    world.chain.publish(world.online, NOW)
    client(world, "chain", tmp_path).refresh()


def test_online_and_delegated_keys_are_rotated_too(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    online, publisher = make_signer(), make_signer()
    for role in ("snapshot", "timestamp"):
        world.chain.rotate(role, add=[online.public_key], remove=[world.online.public_key.keyid], now=NOW)
    world.chain.rotate("rollout", add=[publisher.public_key], remove=[world.rollout_key.public_key.keyid], now=NOW)
    world.chain.sign("root", world.chain_root_keys[:2])
    world.chain.sign("targets", world.chain_keys[:2])
    world.chain.sign("rollout", [publisher])
    with pytest.raises(KeyStrangeError):
        world.chain.publish(world.online, NOW)
    world.chain.publish(online, NOW)
    client(world, "chain", tmp_path).refresh()


def test_a_disk_that_fills_up_while_publishing_leaves_what_was_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = a_world(tmp_path)
    world.release(2, publish=False)
    real = Path.replace

    def full(self: Path, target: Path) -> Path:
        if target.name == "timestamp.json":
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(FileTroubleError):
        world.publish()
    assert client(world, "vendor", tmp_path).get_targetinfo("software/till-2.index") is None
    monkeypatch.undo()
    world.publish()
    assert client(world, "vendor", tmp_path).get_targetinfo("software/till-2.index")


def test_lists_that_ran_out_are_not_published_and_can_be_drafted_anew(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    world.later(401 * DAY_MS)
    with pytest.raises(ListExpiredError):
        world.vendor.publish(world.vendor_online, world.now)
    world.vendor.refresh("targets", world.now)
    world.vendor.sign("targets", world.vendor_keys[:2])
    world.vendor.publish(world.vendor_online, world.now)


def test_what_is_wrong_with_a_folder_or_a_name_is_said(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    with pytest.raises(RepositoryMissingError):
        Repository(tmp_path / "elsewhere")
    with pytest.raises(RepositoryThereError):
        a_world(tmp_path)
    with pytest.raises(NothingStagedError):
        world.chain.sign("targets", world.chain_keys)
    with pytest.raises(RoleMissingError):
        world.chain.lists("nobody")
    with pytest.raises(TargetMissingError):
        world.chain.remove("targets", "software/till-9.index")
    world.chain.add("goods", "goods/a.json", b"x")
    world.chain.sign("goods", world.publishers[:1])
    with pytest.raises(KeySignedAlreadyError):
        world.chain.sign("goods", world.publishers[:1], again=False)
    (world.base / "chain/metadata/timestamp.json").write_text("{")
    with pytest.raises(RepositoryBrokenError):
        world.chain.publish(world.online, NOW)


def test_a_repository_begins_with_public_keys_alone(tmp_path: Path) -> None:
    root, targets, online = Threshold([make_signer()], 1), Threshold([make_signer()], 1), make_signer()
    made = Repository.begin(tmp_path / "r", root=root.public, targets=targets.public, online=online.public_key, now=NOW)
    assert [one.role for one in made.missing()] == ["root", "targets"]
    made.sign("root", root.signers)
    made.sign("targets", targets.signers)
    made.publish(online, NOW)
    assert isinstance(Repository(tmp_path / "r").root, Root)


def test_a_draft_that_waits_for_people_stops_no_other_list(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    world.release(2, publish=False)
    world.chain.set_pace(a_pace(dwell_min=900), NOW)
    world.choose(1, publish=False)
    world.chain.publish(world.online, NOW, ["rollout"])
    world.chain.publish(world.online, NOW, ["timestamp"])  # only new dates
    chain = client(world, "chain", tmp_path)
    assert chain.get_targetinfo("rollout/plan.json")
    assert chain.get_targetinfo(software_name("till", 2)) is None
    assert world.chain.drafts() == ("root", "targets")
    assert not list((world.base / "chain/targets/software").glob("*"))
    world.chain.sign("root", world.chain_root_keys[:2])
    world.chain.publish(world.online, NOW)
    assert client(world, "chain", tmp_path).get_targetinfo(software_name("till", 2))


def test_what_is_refused_half_way_leaves_the_drafts_as_they_were(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    world.release(2, publish=False)
    before = snapshot(world.base / "chain/staged")

    def half() -> None:
        with world.chain.whole():
            world.chain.set_pace(a_pace(dwell_min=900), NOW)
            world.chain.remove("targets", software_name("till", 2))
            world.chain.remove("targets", software_name("till", 9))

    with pytest.raises(TargetMissingError):
        half()
    assert snapshot(world.base / "chain/staged") == before
    world.chain.drop()
    assert world.chain.drafts() == ()
