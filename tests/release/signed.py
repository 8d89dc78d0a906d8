"""Two real repositories in one published tree, with every key at hand: what an honest chain signs, and what its thieves would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from securesystemslib.signer import CryptoSigner

from oppet.base import canonical
from oppet.base.clock import parse_utc
from oppet.drivers.repositories import Expires, Repository, Role, Threshold, make_signer
from oppet.release import terms
from oppet.release.health import Signed, Statements
from oppet.release.terms import CHAIN, VENDOR, Goods, Pace, Plan, Software
from tests.release.chain import a_pace

NOW: Final = parse_utc("2026-11-22T12:00:00.000Z")


def signers(count: int) -> list[CryptoSigner]:
    return [make_signer() for _ in range(count)]


@dataclass(slots=True)
class World:
    """The tree `base` as head office, node or stick would serve it. Lists `…_keys` are targets keys, `…_root_keys` roots'."""

    base: Path
    vendor: Repository
    chain: Repository
    vendor_root_keys: list[CryptoSigner]
    vendor_keys: list[CryptoSigner]
    vendor_online: CryptoSigner
    chain_root_keys: list[CryptoSigner]
    chain_keys: list[CryptoSigner]
    online: CryptoSigner  # the chain's, for snapshot and timestamp
    emergency_keys: list[CryptoSigner]
    publishers: list[CryptoSigner]
    rollout_key: CryptoSigner
    health_key: CryptoSigner
    now: int = NOW
    stores: dict[str, Repository] = field(default_factory=dict)
    store_keys: dict[str, CryptoSigner] = field(default_factory=dict)
    plan: dict[str, int] = field(default_factory=dict)
    plans: int = 0

    @property
    def roots(self) -> dict[str, bytes]:
        """What a till is installed with: the first root of each."""
        return {VENDOR: self.vendor.root_bytes(1), CHAIN: self.chain.root_bytes(1)}

    def release(
        self, number: int, image: bytes = b"an image", *, index: bytes | None = None, role: str = "till",
        by: Sequence[str] = (VENDOR, CHAIN), emergency: bool = False, publish: bool = True, **custom: object,
    ) -> Software:  # fmt: skip
        """Sign a release as the parties named; `index` is the target's content, where chunks matter."""
        software = Software(
            release=number, version=f"0.{number}.0", role=role, hw="any", image=sha256(image).hexdigest(),
            image_bytes=len(image),
        )  # fmt: skip
        software = msgspec.structs.replace(software, **custom)
        data = canonical.encode({"index of": software.image}) if index is None else index
        if VENDOR in by:
            self.vendor.add("targets", terms.software_name(role, number), data, software, now=self.now)
            self.vendor.sign("targets", self.vendor_keys[:2])
        if CHAIN in by:
            self.chain.add("targets", terms.software_name(role, number), data, software, now=self.now)
            self.chain.sign("targets", self.chain_keys[:2])
        if emergency:
            self.chain.add("emergency", terms.emergency_name(role, number), data, software, now=self.now)
            self.chain.sign("emergency", self.emergency_keys)
        if publish:
            self.publish()
        return software

    def publish(self) -> None:
        """Show what both have staged."""
        self.vendor.publish(self.vendor_online, self.now)
        self.chain.publish(self.online, self.now)

    def choose(self, release: int, role: str = "till", *, publish: bool = True) -> Plan:
        """Let the rollout role choose a release."""
        self.plan[role], self.plans = release, self.plans + 1
        plan = Plan(self.plans, dict(self.plan))
        self.chain.add("rollout", terms.PLAN, canonical.encode(plan), now=self.now)
        self.chain.sign("rollout", [self.rollout_key])
        if publish:
            self.chain.publish(self.online, self.now)
        return plan

    def vouch(self, image: str, said: Sequence[Signed], *, publish: bool = True) -> None:
        """Publish what canaries said of an image."""
        self.chain.add("health", terms.health_name(image), canonical.encode(Statements(tuple(said))), now=self.now)
        self.chain.sign("health", [self.health_key])
        if publish:
            self.chain.publish(self.online, self.now)

    def goods(self, data: bytes, goods: Goods, *, wide: bool = False, publish: bool = True) -> str:
        """Publish an assortment or guidance: by one publisher, or by two under `wide`."""
        name = terms.goods_name(goods.what, goods.number, wide=wide)
        role = "wide" if wide else "goods"
        self.chain.add(role, name, data, goods, now=self.now)
        self.chain.sign(role, self.publishers[: 2 if wide else 1])
        if publish:
            self.chain.publish(self.online, self.now)
        return name

    def store(self, store: str) -> Repository:
        """Make a store its own small repository and its root a target of the chain's; the node holds one key."""
        key = self.store_keys[store] = make_signer()
        mine = Role("markdowns", Threshold([key], 1), [f"store/{store}/*"])
        made = self.stores[store] = Repository.make(
            self.base / terms.STORE / store, root=Threshold(self.chain_root_keys, 2), targets=Threshold(self.chain_keys, 2),
            online=key, now=self.now, roles=[mine],
        )  # fmt: skip
        self.chain.add("targets", terms.store_root_name(store), made.root_bytes(1), now=self.now)
        self.chain.sign("targets", self.chain_keys[:2])
        self.chain.publish(self.online, self.now)
        return made

    def markdowns(self, store: str, data: bytes, goods: Goods, *, publish: bool = True) -> str:
        """Publish a store's mark-downs with its node's key."""
        name = terms.markdown_name(store, goods.number)
        self.stores[store].add("markdowns", name, data, goods, now=self.now)
        self.stores[store].sign("markdowns", [self.store_keys[store]])
        if publish:
            self.stores[store].publish(self.store_keys[store], self.now)
        return name

    def later(self, ms: int) -> int:
        """Let time pass for the signers; give the new time."""
        self.now += ms
        return self.now


def a_world(
    tmp_path: Path, *, pace: Pace | None = None, now: int = NOW, stores: Sequence[str] = (), expires: Expires = Expires()  # noqa: B008
) -> World:  # fmt: skip
    """Make both repositories under `tmp_path / "pub"`: roots and targets 2 of 3, the chain's delegated roles as designed."""
    base = tmp_path / "pub"
    vendor_root, vendor, chain_root, chain, publishers = signers(3), signers(3), signers(3), signers(3), signers(3)
    vendor_online, online, rollout, health = signers(4)
    emergency = signers(3)
    roles = [
        Role("emergency", Threshold(emergency, 3), ["emergency/*"]),
        Role("goods", Threshold(publishers, 1), ["goods/*"]),
        Role("wide", Threshold(publishers, 2), ["wide/*"]),
        Role("rollout", Threshold([rollout], 1), ["rollout/*"]),
        Role("health", Threshold([health], 1), ["health/*"]),
    ]
    ours = Repository.make(
        base / VENDOR, root=Threshold(vendor_root, 2), targets=Threshold(vendor, 2), online=vendor_online, now=now,
        expires=expires,
    )  # fmt: skip
    theirs = Repository.make(
        base / CHAIN, root=Threshold(chain_root, 2), targets=Threshold(chain, 2), online=online, now=now,
        pace=pace or a_pace(), roles=roles, expires=expires,
    )  # fmt: skip
    world = World(
        base, ours, theirs, vendor_root, vendor, vendor_online, chain_root, chain, online, emergency, publishers, rollout,
        health, now,
    )  # fmt: skip
    for store in stores:
        world.store(store)
    return world
