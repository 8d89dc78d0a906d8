"""The demo's two parties, and their thieves: every key lies in one folder, so that one person may play all of them.

What is signed here is signed by the same code as at a real signing desk (`oppet release …`), and believed by the tills as little. A real
chain's keys are never in one place: docs/runbooks/key-ceremony.md.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from tuf.api.metadata import Metadata, MetaFile, Snapshot, Targets, Timestamp

import oppet
from oppet.base import canonical
from oppet.drivers import files
from oppet.drivers.chunking import make_index
from oppet.drivers.clock import SystemClock
from oppet.drivers.keys import load_key, make_key
from oppet.drivers.repositories import Repository, Role, Threshold
from oppet.drivers.sealed_key import make_sealed
from oppet.drivers.signing_keys import HeldSigner
from oppet.drivers.slots import install_image
from oppet.people.roles import DEMO_NUMBER
from oppet.release import terms
from oppet.release.terms import CHAIN, PLAN, VENDOR, Canary, EmergencyPace, Pace, Plan, Software
from oppet.signing.build import Plan as BuildPlan
from oppet.signing.build import build_release

__all__ = ["PUBLISHERS", "THIEVES", "Signers"]

TREE: Final = Path(oppet.__file__).resolve().parent.parent
LOCK: Final = "requirements/till.txt"
PEOPLE: Final = ("one", "two", "three")  # of each party; two of them sign
PUBLISHERS: Final = {
    DEMO_NUMBER: "the demo's first publisher",
    301: "the demo's second publisher",
}  # person → passphrase
# It behaves while it is looked at, and stops the till a while after a launcher has started it: as in July 2021, but after the self-test.
POISON: Final = """

import os as _os
import threading as _threading

if "OPPET_LAUNCHED" in _os.environ:
    _threading.Timer(20.0, _os._exit, [1]).start()
"""
CAPTIVE: Final = b"<html><body>Accept the terms to use this network</body></html>"


class Signers:
    """`folder` is the demo's: `pub` is what head office serves, `signing` has the keys, `hq/publish` what head office's machine holds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.tree = folder / "pub"
        self._keys = folder / "signing"
        self._service = folder / "hq" / "publish"

    # --- before the chain opens

    @property
    def made(self) -> bool:
        return (self._keys / "chain.root.json").exists()

    def root(self, name: str) -> Path:
        """The first root of a party: what a till is installed with."""
        return self._keys / f"{name}.root.json"

    def ceremony(self, canary: Canary, stores: int) -> None:
        """Make every key and both repositories, and sign the factory's release."""
        now = _now()
        files.folder(self._keys)
        files.folder(self._service)
        publishers = [
            HeldSigner(make_sealed(self._service / f"{who}.key", words), str(who)) for who, words in PUBLISHERS.items()
        ]
        pace = Pace(
            stores=stores, canaries=(canary,), evidence_tills=1, evidence_stores=1, evidence_sales=0, evidence_min=1, dwell_min=1,
            stores_permille_per_hour=60_000, hold_min=30, emergency=EmergencyPace(1, 60_000, 1, 1),
        )  # fmt: skip
        roles = [
            Role("emergency", Threshold(self._people(CHAIN, "emergency"), 3), ["emergency/*"]),
            Role("goods", Threshold(publishers, 1), ["goods/*"]), Role("wide", Threshold(publishers, 2), ["wide/*"]),
            Role("rollout", Threshold([self._own("rollout")], 1), ["rollout/*"]),
            Role("health", Threshold([self._own("health")], 1), ["health/*"]),
        ]  # fmt: skip
        for name, more, said in ((VENDOR, [], None), (CHAIN, roles, pace)):
            made = Repository.make(
                self.tree / name, root=Threshold(self._people(name, "root"), 2), targets=Threshold(self._people(name, "targets"), 2),
                online=self._online(name), now=now, pace=said, roles=more,
            )  # fmt: skip
            files.write(self.root(name), made.root_bytes(1))
        self.release()

    def install(self, slots: Path) -> None:
        """The factory's release into a till's first slot: unpacked and compiled once, and copied to each till."""
        stock = self._keys / "slots"
        if not (stock / "state.json").exists():
            image, software = self._built(1)
            install_image(files.folder(stock), image, software, canonical.digest(files.read(TREE / LOCK)))
        if not (slots / "state.json").exists():
            shutil.copytree(stock, slots, dirs_exist_ok=True)

    # --- what honest people do

    def releases(self) -> list[int]:
        """What both parties have signed."""
        listed = [set(Repository(self.tree / name).seen("targets").signed.targets) for name in (VENDOR, CHAIN)]
        names = (name for name in listed[0] & listed[1] if terms.is_software(name))
        return sorted(int(name.partition("-")[2].partition(".")[0]) for name in names)

    def release(self) -> int:
        """Build the next release, let two people of each party sign it, publish and choose it."""
        number = self._next()
        self._list(number, *self._built(number), by=(VENDOR, CHAIN))
        self._choose(number)
        return number

    def put_right(self) -> None:
        """What people do after a theft is noticed: lists without what nobody of them built, dated anew; the honest choice again."""
        honest = {terms.software_name("till", number) for number in self._honest()}
        for name in (VENDOR, CHAIN):
            repository = Repository(self.tree / name)
            repository.drop()
            repository.refresh("targets", _now())
            for listed in list(repository.lists("targets").targets):
                if terms.is_software(listed) and listed not in honest:
                    repository.remove("targets", listed, now=_now())
            repository.sign("targets", self._people(name, "targets")[:2])
            repository.publish(self._online(name), _now())
        self._choose(max(self._honest()))

    # --- what thieves do

    def vendor_key(self) -> str:
        """The vendor is owned: keys, build machine, servers."""
        number = self._next()
        self._list(number, *self._poisoned(number), by=(VENDOR,))
        return f"release {number}"

    def chain_key(self) -> str:
        """The chain's signers are owned; the vendor's are not."""
        number = self._next()
        self._list(number, *self._poisoned(number), by=(CHAIN,))
        return f"release {number}"

    def both_keys(self) -> str:
        """Every signing key of both, and the key that chooses."""
        number = self._next()
        self._list(number, *self._poisoned(number), by=(VENDOR, CHAIN))
        self._choose(number)
        return f"release {number}"

    def head_office(self) -> str:
        """Head office's machines are owned, with the keys that lie there: they date lists, choose, and gather evidence."""
        number = self._next()
        image, software = self._poisoned(number)
        index = make_index(image, self.tree)
        repository = Repository(self.tree / CHAIN)
        scratch = Repository(self._copy(CHAIN))
        scratch.add("targets", terms.software_name("till", number), index, software, now=_now())
        forged = scratch.read("targets").signed
        shutil.rmtree(scratch.folder.parent)
        assert isinstance(forged, Targets)
        self._forge(repository, forged)
        return f"release {number}"

    def store_node(self, node: Path) -> str:
        """A store's node is owned: it gives out lists whose signatures it has spoilt."""
        return self._spoil(
            node, lambda data: data.replace(b'"sig": "', b'"sig": "00', 1).replace(b'"sig":"', b'"sig":"00', 1)
        )

    def in_the_middle(self, node: Path) -> str:
        """Somebody on the line answers instead of head office."""
        return self._spoil(node, lambda _: CAPTIVE)

    # --- how

    def _own(self, name: str) -> HeldSigner:
        """A key of head office's machine."""
        path = self._service / f"{name}.key"
        return HeldSigner(load_key(path) if path.exists() else make_key(path))

    def _online(self, name: str) -> HeldSigner:
        return self._own("online" if name == CHAIN else "vendor-online")

    def _people(self, party: str, role: str) -> list[HeldSigner]:
        found = []
        for who in PEOPLE:
            path = self._keys / f"{party}-{role}-{who}.key"
            found.append(HeldSigner(load_key(path) if path.exists() else make_key(path), f"{party} {who}"))
        return found

    def _next(self) -> int:
        """No number is ever used twice, whoever used it."""
        return 1 + max((int(path.name) for path in files.folder(self._keys / "builds").iterdir()), default=0)

    def _honest(self) -> Sequence[int]:
        return [
            int(path.name) for path in (self._keys / "builds").iterdir() if not (path / "poisoned").exists()
        ]  # fmt: skip

    def _built(self, number: int, tree: Path = TREE) -> tuple[Path, Software]:
        folder = files.folder(self._keys / "builds" / str(number))
        image, said = folder / f"till-{number}.tar", folder / f"till-{number}.software.json"
        if not said.exists():
            build_release(tree, folder, BuildPlan(number))
        return image, msgspec.json.decode(files.read(said), type=Software)

    def _poisoned(self, number: int) -> tuple[Path, Software]:
        """The same code with a few lines more."""
        tree = files.folder(self._keys / "builds" / str(number)) / "tree"
        (tree.parent / "poisoned").touch()
        shutil.copytree(TREE / "oppet", tree / "oppet", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(TREE / "requirements", tree / "requirements")
        with (tree / "oppet" / "__init__.py").open("a", encoding="utf-8") as file:
            file.write(POISON)
        try:
            return self._built(number, tree)
        finally:
            shutil.rmtree(tree)

    def _list(self, number: int, image: Path, software: Software, by: Sequence[str]) -> None:
        index = make_index(image, self.tree)
        for name in by:
            repository = Repository(self.tree / name)
            repository.add("targets", terms.software_name("till", number), index, software, now=_now())
            repository.sign("targets", self._people(name, "targets")[:2])
            repository.publish(self._online(name), _now())

    def _choose(self, number: int) -> None:
        repository = Repository(self.tree / CHAIN)
        before = repository.lists("rollout").targets
        last = terms.read(repository.content("rollout", PLAN), Plan, PLAN).number if PLAN in before else 0
        repository.add("rollout", PLAN, canonical.encode(Plan(last + 1, {"till": number})), now=_now())
        repository.sign("rollout", [self._own("rollout")])
        repository.publish(self._online(CHAIN), _now(), ["rollout"])

    def _copy(self, name: str) -> Path:
        scratch = self._keys / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        return Path(shutil.copytree(self.tree / name, scratch / name))

    def _forge(self, repository: Repository, forged: Targets) -> None:
        """Show a list that nobody signed but the machine: a forged list of targets, and honest-looking lists over it."""
        online, metadata = self._online(CHAIN), repository.folder / "metadata"
        snapshot, timestamp = repository.seen("snapshot").signed, repository.seen("timestamp").signed
        assert isinstance(snapshot, Snapshot)
        assert isinstance(timestamp, Timestamp)
        snapshot.version += 1
        snapshot.meta["targets.json"] = MetaFile(forged.version)
        timestamp.version += 1
        timestamp.snapshot_meta = MetaFile(snapshot.version)
        for signed, name in (
            (forged, f"{forged.version}.targets.json"), (snapshot, f"{snapshot.version}.snapshot.json"), (timestamp, "timestamp.json"),
        ):  # fmt: skip
            whole: Metadata[Any] = Metadata(signed)
            whole.sign(online)
            files.write(metadata / name, whole.to_bytes())

    def _spoil(self, node: Path, how: Callable[[bytes], bytes]) -> str:
        path = node / "publications" / CHAIN / "metadata" / "timestamp.json"
        files.write(path, how(files.read(path)))
        return path.name


def _now() -> int:
    return SystemClock().now()


THIEVES: Final = ("vendor_key", "chain_key", "both_keys", "head_office", "store_node", "in_the_middle")
