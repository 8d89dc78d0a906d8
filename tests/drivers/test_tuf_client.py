"""The command that an outside suite drives: its exit codes, the names it keeps lists under, and what it asks the repository."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata

from oppet.cli import command, run
from oppet.drivers.repositories import DAY_MS, Repository, Role, Threshold, make_signer
from oppet.release.terms import CHAIN, VENDOR, software_name
from tests.drivers.pub_http import Tree, flood, says, serving
from tests.release.signed import World, a_world

PLAIN = ("root", "snapshot", "targets", "timestamp")


@dataclass
class Client:
    """The command over one repository, and what it leaves."""

    url: str
    folder: Path
    world: World

    def run(self, *words: str) -> int:
        return run(["release", "tuf-client", "--metadata-dir", str(self.folder / "metadata"), *words], command())

    def init(self, repository: str = CHAIN) -> int:
        root = self.folder / "first.json"
        root.write_bytes(self.world.roots[repository])
        return self.run("init", str(root))

    def refresh(self, repository: str = CHAIN) -> int:
        return self.run("--metadata-url", f"{self.url}/{repository}/metadata/", "refresh")

    def download(self, *names: str, repository: str = CHAIN) -> int:
        wanted = [word for name in names for word in ("--target-name", name)]
        return self.run(
            "--metadata-url", f"{self.url}/{repository}/metadata", *wanted, "--target-base-url",
            f"{self.url}/{repository}/targets", "--target-dir", str(self.folder / "targets"), "download",
        )  # fmt: skip

    def trusted(self) -> dict[str, int]:
        lists = sorted((self.folder / "metadata").glob("*.json"))
        return {path.stem: Metadata.from_file(str(path)).signed.version for path in lists}

    def targets(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted((self.folder / "targets").iterdir())]


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power cut leaves is not asked here."""
    monkeypatch.setattr(os, "fsync", lambda _handle: None)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Signed today: the command has no clock but the machine's."""
    world = a_world(tmp_path_factory.mktemp("world"), now=int(time.time() * 1000))
    world.release(2, index=b"the index of an image", publish=False)
    world.release(3, index=b"another")
    return world


@pytest.fixture
def tree(world: World) -> Iterator[Tree]:
    with serving(world.base) as tree:
        yield tree


@pytest.fixture
def client(world: World, tree: Tree, tmp_path: Path) -> Client:
    return Client(tree.url, tmp_path, world)


def test_init_keeps_the_root_and_asks_nobody(client: Client, tree: Tree) -> None:
    assert client.init() == 0
    assert (client.folder / "metadata" / "root.json").read_bytes() == client.world.roots[CHAIN]
    assert tree.asked == []
    assert client.run("init", str(client.folder / "nowhere.json")) == 1
    assert client.run("dance") == 1


def test_refresh_asks_for_each_list_once_and_keeps_it_without_its_version(client: Client, tree: Tree) -> None:
    assert client.init() == 0
    assert client.refresh() == 0
    assert [name.rpartition("/")[2] for name in tree.asked] == [
        "2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json",
    ]  # fmt: skip
    assert client.trusted() == {"root": 1, "snapshot": 2, "targets": 2, "timestamp": 2}
    for role in ("timestamp", "targets"):
        served = (
            client.world.base / CHAIN / "metadata" / ("timestamp.json" if role == "timestamp" else "2.targets.json")
        )
        assert (client.folder / "metadata" / f"{role}.json").read_bytes() == served.read_bytes()
    tree.asked.clear()
    assert client.refresh() == 0
    assert [name.rpartition("/")[2] for name in tree.asked] == ["2.root.json", "timestamp.json"]


def test_download_gives_the_bytes_once(client: Client, tree: Tree) -> None:
    name = software_name("till", 2)
    assert client.init() == 0
    assert client.download(name, "software/till-3.index") == 0
    assert client.targets() == [b"the index of an image", b"another"]
    tree.asked.clear()
    assert client.download(name) == 0
    assert not any("/targets/" in asked for asked in tree.asked)
    assert client.download("software/till-9.index") == 1
    assert client.download() == 1
    assert client.targets() == [b"the index of an image", b"another"]


@pytest.mark.parametrize(
    "lie", [says(b"the index of no image"), flood(), says(b"", 404)], ids=["bytes", "endless", "none"]
)
def test_bytes_that_were_not_signed_are_not_written(client: Client, tree: Tree, lie: object) -> None:
    tree.twists["till-2.index"] = lie  # type: ignore[assignment]
    assert client.init() == 0
    assert client.download(software_name("till", 2)) == 1
    assert not (client.folder / "targets").exists() or client.targets() == []


@pytest.mark.parametrize(
    ("end", "kept"),
    [
        ("timestamp.json", {"root": 1}),
        ("snapshot.json", {"root": 1, "timestamp": 2}),
        ("targets.json", {"root": 1, "timestamp": 2, "snapshot": 2}),
    ],
)
def test_a_refresh_that_fails_says_so_and_keeps_what_had_verified(
    client: Client, tree: Tree, end: str, kept: dict[str, int]
) -> None:
    assert client.init() == 0
    tree.twists[end] = says(b"{}")
    assert client.refresh() == 1
    assert client.trusted() == kept


def test_a_first_root_that_proves_nothing_asks_nobody(client: Client, tree: Tree) -> None:
    assert client.init() == 0
    root = client.folder / "metadata" / "root.json"
    said = json.loads(root.read_bytes())
    for signature in said["signatures"]:
        signature["sig"] = "00" * 64
    root.write_text(json.dumps(said))
    assert client.refresh() == 1
    assert client.refresh(VENDOR) == 1
    assert tree.asked == []


@pytest.mark.parametrize("role", ["?", "#", "/delegatedrole", "../delegatedrole"])
def test_a_role_of_any_name_is_one_quoted_file(tmp_path: Path, role: str) -> None:
    made = _delegating(tmp_path / "pub", role)
    with serving(tmp_path / "pub") as tree:
        root = tmp_path / "first.json"
        root.write_bytes(made)
        words = ["release", "tuf-client", "--metadata-dir", str(tmp_path / "metadata")]
        assert run([*words, "init", str(root)], command()) == 0
        more = ["--metadata-url", f"{tree.url}/metadata/", "--target-name", "nothing", "--target-base-url", tree.url,
                "--target-dir", str(tmp_path / "targets"), "download"]  # fmt: skip
        assert run([*words, *more], command()) == 1
    assert len(list((tmp_path / "metadata").glob("*.json"))) == 5
    assert not (tmp_path / "delegatedrole.json").exists()


def _delegating(folder: Path, role: str) -> bytes:
    """A repository that delegates everything to a role of an unusual name, as another chain's tools might write it."""
    key, now = make_signer(), int(time.time() * 1000)
    keys = Threshold([key], 1)
    made = Repository.make(folder, root=keys, targets=keys, online=key, now=now, roles=[Role("plain", keys, ["*"])])
    lists = folder / "metadata"
    top: Metadata = Metadata.from_file(str(lists / "1.targets.json"))  # type: ignore[type-arg]
    named = top.signed.delegations.roles.pop("plain")
    named.name, top.signed.delegations.roles[role] = role, named
    snapshot: Metadata = Metadata.from_file(str(lists / "1.snapshot.json"))  # type: ignore[type-arg]
    snapshot.signed.meta[f"{role}.json"] = snapshot.signed.meta.pop("plain.json")
    for listed, meta in ((top, "targets.json"), (snapshot, "")):
        listed.signatures.clear()
        listed.sign(key)
        if meta:
            snapshot.signed.meta[meta].length = snapshot.signed.meta[meta].hashes = None
    timestamp: Metadata = Metadata.from_file(str(lists / "timestamp.json"))  # type: ignore[type-arg]
    timestamp.signed.snapshot_meta.length = timestamp.signed.snapshot_meta.hashes = None
    timestamp.signatures.clear()
    timestamp.sign(key)
    for name, listed in (("1.targets", top), ("1.snapshot", snapshot), ("timestamp", timestamp)):
        (lists / f"{name}.json").write_bytes(listed.to_bytes())
    place = lists / f"1.{role}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.resolve().parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes((lists / "1.plain.json").read_bytes())
    return made.root_bytes(1)


def test_the_machines_clock_decides_what_has_expired(tmp_path: Path) -> None:
    """A suite shifts the whole process's time from outside; nothing in the command may hold another."""
    world = a_world(tmp_path, now=int(time.time() * 1000) - 8 * DAY_MS)
    with serving(world.base) as tree:
        client = Client(tree.url, tmp_path, world)
        assert client.init() == 0
        assert client.refresh() == 1
        assert client.trusted() == {"root": 1}
