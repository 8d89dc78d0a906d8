"""A thief's hands on a published tree: any list, signed with whatever keys were stolen and with keys of its own where none were.

Nothing here judges what it writes, as `drivers/repositories.py` does for honest people: it is what a till's client must survive.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Snapshot, TargetFile, Timestamp
from tuf.api.serialization.json import JSONSerializer

from oppet.base import canonical
from oppet.drivers.repositories import make_signer
from oppet.release.health import Signed, Statements
from oppet.release.terms import (
    CHAIN,
    PACE_FIELD,
    PLAN,
    VENDOR,
    Pace,
    Plan,
    Software,
    emergency_name,
    health_name,
    software_name,
)
from tests.release.signed import World

__all__ = ["COLUMNS", "Forger"]

COLUMNS: Final = ("vendor", "chain", "both", "hq", "node", "mitm")
STRANGER: Final = make_signer()
Change = Callable[[Any], None]


def _stolen(world: World, column: str) -> Mapping[tuple[str, str], Sequence[CryptoSigner]]:
    """Which keys a column holds. Thresholds of vendor and chain are whole; head office's are the online ones and one publisher's."""
    vendor = {
        (VENDOR, "root"): world.vendor_root_keys[:2],
        (VENDOR, "targets"): world.vendor_keys[:2],
        (VENDOR, "online"): [world.vendor_online],
    }
    office = {
        (CHAIN, "online"): [world.online],
        (CHAIN, "rollout"): [world.rollout_key],
        (CHAIN, "health"): [world.health_key],
        (CHAIN, "goods"): world.publishers[:1],
        (CHAIN, "wide"): world.publishers[:1],
    }
    chain = office | {
        (CHAIN, "root"): world.chain_root_keys[:2],
        (CHAIN, "targets"): world.chain_keys[:2],
        (CHAIN, "emergency"): world.emergency_keys[:2],  # its third is nobody's yet
    }
    node = (
        {("store/S09", role): [world.store_keys["S09"]] for role in ("markdowns", "online")} if world.store_keys else {}
    )
    return {"vendor": vendor, "chain": chain, "both": vendor | chain, "hq": office, "node": node, "mitm": {}}[column]


class Forger:
    """A thief of one column, working on its own copy of what the world published."""

    def __init__(self, world: World, column: str, into: Path) -> None:
        self.world, self.column, self.base = world, column, into
        self.held = dict(_stolen(world, column))
        if not into.exists():
            shutil.copytree(world.base, into)

    def holds(self, repository: str, role: str) -> bool:
        return (repository, role) in self.held

    def keys(self, repository: str, role: str) -> Sequence[CryptoSigner]:
        return self.held.get((repository, role), [STRANGER])

    # --- lists

    def read(self, repository: str, role: str) -> Metadata[Any]:
        return Metadata.from_bytes(self._path(repository, role, self.version(repository, role)).read_bytes())

    def version(self, repository: str, role: str) -> int:
        folder = self.base / repository / "metadata"
        if role == "timestamp":
            return int(Metadata.from_bytes((folder / "timestamp.json").read_bytes()).signed.version)
        return max(int(path.name.split(".")[0]) for path in folder.glob(f"*.{role}.json"))

    def relist(
        self, repository: str, role: str, change: Change, *, signers: Sequence[CryptoSigner] | None = None, by: int = 1,
    ) -> None:  # fmt: skip
        """Write a new version of a list, changed, signed by whoever can."""
        whole = self.read(repository, role)
        change(whole.signed)
        whole.signed.version += by
        self.write(repository, role, whole, self.keys(repository, role) if signers is None else signers)

    def write(self, repository: str, role: str, whole: Metadata[Any], signers: Sequence[CryptoSigner]) -> None:
        whole.signatures.clear()
        for signer in signers:
            whole.sign(signer, append=True)
        self._path(repository, role, whole.signed.version).write_bytes(whole.to_bytes(JSONSerializer()))

    def show(self, repository: str, *, by: int = 1, versions: Mapping[str, int] | None = None) -> None:
        """Write snapshot and timestamp over the newest lists, or those versions of them, with the online key if it is held."""
        online = self.keys(repository, "online")
        before: Metadata[Snapshot] = self.read(repository, "snapshot")
        snapshot = Snapshot(before.signed.version + by, expires=before.signed.expires, meta={})
        for name in before.signed.meta:
            role = name.removesuffix(".json")
            version = (versions or {}).get(role) or self.version(repository, role)
            data = self._path(repository, role, version).read_bytes()
            snapshot.meta[name] = MetaFile(version, len(data), {"sha256": sha256(data).hexdigest()})
        self.write(repository, "snapshot", Metadata(snapshot), online)
        data = self._path(repository, "snapshot", snapshot.version).read_bytes()
        stamp: Metadata[Timestamp] = self.read(repository, "timestamp")
        stamp.signed.version += by
        stamp.signed.snapshot_meta = MetaFile(snapshot.version, len(data), {"sha256": sha256(data).hexdigest()})
        self.write(repository, "timestamp", stamp, online)

    def root(
        self, repository: str, change: Change, *, signers: Sequence[CryptoSigner] | None = None, by: int = 1
    ) -> None:
        self.relist(repository, "root", change, signers=signers, by=by)

    # --- what thieves want

    def put(self, repository: str, role: str, name: str, data: bytes, custom: msgspec.Struct | None = None) -> None:
        """List a target under a role, in a list that is not shown yet."""
        said = {} if custom is None else {"custom": msgspec.to_builtins(custom)}
        target = TargetFile(len(data), {"sha256": sha256(data).hexdigest()}, name, said)
        place = self.base / repository / "targets" / target.get_prefixed_paths()[0]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        self.relist(repository, role, lambda signed: signed.targets.__setitem__(name, target))

    def release(
        self, number: int, image: bytes, *, parties: Sequence[str] | None = None, urgent: bool = False, show: bool = True,
        index: bytes | None = None, **custom: object,
    ) -> Software:  # fmt: skip
        """List software where its people's keys are held (everywhere, where none are), choose it, and show all that."""
        if parties is None:
            parties = [party for party in (VENDOR, CHAIN) if self.holds(party, "targets")] or (VENDOR, CHAIN)
        software = Software(number, f"0.{number}.0", "till", "any", sha256(image).hexdigest(), len(image))
        software = msgspec.structs.replace(software, **custom)
        data = canonical.encode({"index of": software.image}) if index is None else index
        for party in parties:
            self.put(party, "targets", software_name("till", number), data, software)
        if urgent:
            self.put(CHAIN, "emergency", emergency_name("till", number), data, software)
        if CHAIN in parties:
            self.choose(number, show=False)
        for party in parties if show else ():
            self.show(party)
        return software

    def choose(self, number: int, *, show: bool = True) -> None:
        self.put(CHAIN, "rollout", PLAN, canonical.encode(Plan(900, {"till": number})))
        if show:
            self.show(CHAIN)

    def pace(self, pace: Pace) -> None:
        """A root of the chain with other canaries or another pace."""
        self.root(CHAIN, lambda root: root.unrecognized_fields.__setitem__(PACE_FIELD, msgspec.to_builtins(pace)))

    def said(self, images: set[str], words: Sequence[Signed]) -> set[str]:
        """Publish words of health under each image, and show everything."""
        for image in images:
            self.put(CHAIN, "health", health_name(image), canonical.encode(Statements(tuple(words))))
        for party in (VENDOR, CHAIN):
            if self.holds(party, "online") or self.column in ("node", "mitm"):
                self.show(party)
        return images

    def appoint(self, repository: str, *, by: int = 1) -> None:
        """A root under which a key of the thief's own, alone, signs targets."""
        mine = make_signer()

        def change(root: Any) -> None:
            for keyid in list(root.roles["targets"].keyids):
                root.revoke_key(keyid, "targets")
            root.add_key(mine.public_key, "targets")
            root.roles["targets"].threshold = 1

        self.root(repository, change, by=by)
        self.held[repository, "targets"] = [mine]

    def renew(self, repository: str, days: int) -> None:
        """Sign what is there anew, good for longer."""
        for role in ("snapshot", "timestamp"):
            whole = self.read(repository, role)
            whole.signed.expires += timedelta(days=days)
            self.write(repository, role, whole, self.keys(repository, "online"))
        self.show(repository)

    def damage(self, path: str, data: bytes) -> None:
        """Put other bytes at a place of the tree."""
        place = self.base / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)

    def _path(self, repository: str, role: str, version: int) -> Path:
        name = "timestamp.json" if role == "timestamp" else f"{version}.{role}.json"
        return self.base / repository / "metadata" / name
