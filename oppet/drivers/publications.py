"""What comes down, verified: two repositories with roots of their own, and the store's small third one under the chain's word.

`look` is for installing: lists must be current (RL6). `verify_for_rebuild` is for a till without a memory or a store without the
world: the time is the last at which lists were verified here, and no release goes below a floor. Neither believes a source:
several are asked in order, one that lies is named and the next one is asked, and what is believed moves only by what verified.
That vendor and chain must both speak is not a setting: there are two roots, and `release/agree.py` (RL1, RL2).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from tuf.api.metadata import TargetFile, Targets

from oppet.base.errors import OppetError, clip
from oppet.drivers import files
from oppet.drivers.publication_look import Listing, Look, Memory, base_of, path_of
from oppet.drivers.publication_sources import Source
from oppet.drivers.trusted_lists import TrustedLists
from oppet.release import terms
from oppet.release.agree import Agreed, Listed, agree
from oppet.release.errors import PublicationAwayError, PublicationMalformedError, TargetRefusedError
from oppet.release.found import Found, GoodsFound, Refused
from oppet.release.health import Signed, Statements
from oppet.release.terms import CHAIN, STORE, VENDOR, Goods, Pace, Plan, Software

__all__ = ["Publications"]

TOTAL_S: Final = 30.0  # what one source is given in one look, for all of its lists
MOST_SOURCES: Final = 16
LARGEST_TARGET: Final = 64 << 20
MOST_HEALTH: Final = 8  # releases whose evidence is fetched, the newest first
MOST_STORE_ROLES: Final = 4
KEEP_TIME_MS: Final = 600_000  # how far the last verified time moves before it is written down again

T = TypeVar("T")


class Publications:
    """One machine's trust, in a folder of its own. `roots` are the ones it was installed with."""

    def __init__(
        self, folder: Path, roots: Mapping[str, bytes], store: str, role: str = "till", *, total_s: float = TOTAL_S
    ) -> None:
        self.folder, self.store, self.role = folder, store, role
        self._roots = {VENDOR: roots[VENDOR], CHAIN: roots[CHAIN]}
        self._total_s = total_s
        self._guard = threading.Lock()
        self._memory = Memory(folder)
        self._verified: int | None = None

    @property
    def last_verified_ms(self) -> int:
        """The latest time at which lists of both repositories were verified here; 0 for never."""
        if self._verified is None:
            with contextlib.suppress(OppetError, ValueError):
                self._verified = int(files.read(self.folder / "verified", 32))
        return self._verified or 0

    def look(self, sources: Sequence[Source], now_ms: int, peers: Sequence[Source] = ()) -> Found:
        """Verify what the sources offer, for installing: what has expired is not offered. Never raises.

        The time cannot go back behind what was verified before. `peers` are other tills' trees whose lists are shown first.
        """
        return self._found(sources, max(now_ms, self.last_verified_ms), peers, moves_time=True)

    def verify_for_rebuild(
        self, sources: Sequence[Source], built_ms: int, floor: int, peers: Sequence[Source] = ()
    ) -> Found:
        """Verify what may be installed on a blank machine, or in a store cut off from the world. Never raises.

        `built_ms` and `floor` are the signed installer's. Releases below the floor, or below what the newest one still allows, are
        refused by name.
        """
        found = self._found(sources, max(self.last_verified_ms, built_ms), peers, moves_time=False)
        mine = [one for one in found.agreed if one.software.role == self.role]
        lowest = max(floor, mine[0].software.min_release if mine else 0)
        below = tuple(
            Refused("release", "below_floor", CHAIN, one.name, found.source, f"{one.software.release} < {lowest}")
            for one in mine
            if one.software.release < lowest
        )
        kept = tuple(one for one in mine if one.software.release >= lowest)
        return replace(found, agreed=kept, refused=found.refused + below)

    def target(
        self, name: str, length: int, sha256: str, repository: str, sources: Sequence[Source],
        heard: Callable[[Refused], None] | None = None,
    ) -> bytes:  # fmt: skip
        """Give a verified target's bytes from the first source that has them; `heard` is told of every source that lied.

        Raises TargetRefusedError when all that answered lied, PublicationAwayError when nobody has them.
        """
        if length > LARGEST_TARGET:
            raise TargetRefusedError(name=name, why="endless", reason=f"{length} bytes")
        path, lie = path_of(base_of(repository, self.store), name, sha256), None
        for source in sources[:MOST_SOURCES]:
            try:
                with source.within(self._total_s + length / source.limits.least_rate):
                    data = source.read(path, length)
                if len(data) == length and hashlib.sha256(data).hexdigest() == sha256:
                    return data
                lie = TargetRefusedError(name=name, why="bytes", reason=f"from {source.name}")
            except TargetRefusedError as error:
                lie = error
            except PublicationAwayError:
                continue
            if heard is not None:
                heard(Refused("goods", str(lie.facts["why"]), repository, name, source.name, clip(str(lie), 200)))
        if lie is not None:
            raise lie
        raise PublicationAwayError(source=", ".join(source.name for source in sources) or "-", reason=name)

    # ------------------------------------------------------------ one look

    def _found(self, sources: Sequence[Source], now_ms: int, peers: Sequence[Source], *, moves_time: bool) -> Found:
        began = time.monotonic()
        look = Look(
            self._memory, self.store, tuple(sources[:MOST_SOURCES]), now_ms, tuple(peers[:MOST_SOURCES]), self._total_s
        )
        came = sum(source.bytes for source in {*look.sources, *look.peers})
        try:
            with self._alone():
                found = self._judged(look, moves_time=moves_time)
        except (OppetError, OSError) as error:  # this machine's own disk, or another process in the folder
            look.away.append(clip(f"{self.folder.name}: {error}"))
            found = Found()
        return replace(
            found,
            refused=tuple(look.refused),
            away=tuple(look.away),
            expired=tuple(look.expired),
            took_ms=int((time.monotonic() - began) * 1000),
            bytes=sum(source.bytes for source in {*look.sources, *look.peers}) - came,
        )

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One look at a time, also of two processes. Raises OSError where another has the folder."""
        with self._guard:
            files.folder(self.folder)
            handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield
            finally:
                os.close(handle)

    def _judged(self, look: Look, *, moves_time: bool) -> Found:
        vendor, _ = look.lists(VENDOR, VENDOR, self._roots[VENDOR])
        chain, source = look.lists(CHAIN, CHAIN, self._roots[CHAIN])
        held = [(VENDOR, vendor), (CHAIN, chain)]
        found = Found(source=source.name if source is not None else "")
        if chain is not None:
            store = self._store(look, chain)
            held.append((STORE, store))
            found = replace(found, root=chain.root.version, pace=_pace(look, chain), plan=self._plan(look, chain))
            found = replace(found, goods=(*self._goods(look, chain), *self._markdowns(look, store)))
        if vendor is not None and chain is not None:
            if moves_time:
                self._keep_time(look.now_ms)
            if _share_a_key(vendor, chain):
                look.refuse("metadata", "threshold", CHAIN, "root", "", "vendor and chain trust the same key")
            else:
                agreed, disagreed = agree(
                    self._software(look, vendor, VENDOR),
                    self._software(look, chain, CHAIN, self._emergencies(look, chain)),
                )
                found = replace(found, agreed=agreed, disagreed=disagreed, health=self._health(look, chain, agreed))
        for _, lists in held:
            if lists is not None:
                lists.keep()
        return replace(found, versions=tuple(lists.versions(name) for name, lists in held if lists is not None))

    # ------------------------------------------------------------ what the lists say

    def _software(
        self, look: Look, lists: TrustedLists, repository: str, urgent: Listing | None = None
    ) -> dict[str, Listed]:
        """Software in a repository's own top list: no delegated role can name any."""
        said: dict[str, Listed] = {}
        for name, target in lists.top.targets.items():
            if terms.is_software(name) and (custom := _custom(look, repository, name, target, Software)) is not None:
                twin = (urgent or {}).get(name.replace("software/", "emergency/", 1))
                same = twin is not None and (twin.length, twin.hashes) == (target.length, target.hashes)
                said[name] = Listed(name, target.length, tuple(sorted(target.hashes.items())), custom, same)
        return said

    def _emergencies(self, look: Look, chain: TrustedLists) -> Listing:
        """What the role with the higher threshold lists; one whose threshold is no higher is none."""
        return look.role(chain, CHAIN, "emergency", chain.root.roles[Targets.type].threshold + 1)

    def _goods(self, look: Look, chain: TrustedLists) -> Iterator[GoodsFound]:
        for role, least in (("goods", 1), ("wide", 2)):
            listed = look.role(chain, CHAIN, role, least)
            for name, target in listed.items():
                goods = _custom(look, CHAIN, name, target, Goods, "goods") if terms.is_goods(name) else None
                if goods is not None and goods.store in ("", self.store):
                    yield GoodsFound(name, target.length, target.hashes.get("sha256", ""), goods, role == "wide")

    def _plan(self, look: Look, chain: TrustedLists) -> Plan | None:
        listed = look.role(chain, CHAIN, terms.ROLLOUT)
        target = listed.get(terms.PLAN)
        data = None if target is None else look.content(CHAIN, terms.PLAN, target)
        return None if data is None else _read(look, CHAIN, terms.PLAN, data, Plan)

    def _health(
        self, look: Look, chain: TrustedLists, agreed: Sequence[Agreed]
    ) -> tuple[tuple[str, tuple[Signed, ...]], ...]:
        listed = look.role(chain, CHAIN, "health") if agreed else {}
        said = []
        for image in dict.fromkeys(one.software.image for one in agreed[:MOST_HEALTH]):
            name = terms.health_name(image)
            target = listed.get(name)
            data = None if target is None else look.content(CHAIN, name, target)
            statements = None if data is None else _read(look, CHAIN, name, data, Statements)
            if statements is not None:
                said.append((image, statements.said))
        return tuple(said)

    def _store(self, look: Look, chain: TrustedLists) -> TrustedLists | None:
        """The store's own repository, whose root is a target of the chain's. Another root starts another trust state."""
        name = terms.store_root_name(self.store)
        target = chain.top.targets.get(name) if self.store else None
        root = None if target is None else look.content(CHAIN, name, target)
        if root is None:
            return None
        return look.lists(STORE, f"{STORE}-{hashlib.sha256(root).hexdigest()[:16]}", root)[0]

    def _markdowns(self, look: Look, store: TrustedLists | None) -> Iterator[GoodsFound]:
        """What the store's node signed: for this store, and nothing else."""
        for role in () if store is None else store.delegates()[:MOST_STORE_ROLES]:
            assert store is not None
            listed = look.role(store, STORE, role)
            for name, target in listed.items():
                goods = _custom(look, STORE, name, target, Goods, "markdown")
                if goods is None:
                    continue
                if terms.is_store(name, self.store) and goods.store in ("", self.store):
                    yield GoodsFound(name, target.length, target.hashes.get("sha256", ""), goods)
                else:
                    look.refuse("markdown", "other_store", STORE, name, "", goods.store)

    # ------------------------------------------------------------ small things

    def _keep_time(self, now_ms: int) -> None:
        before = self.last_verified_ms
        if now_ms >= before + KEEP_TIME_MS:
            files.write(self.folder / "verified", str(now_ms).encode())
            self._verified = now_ms


def _pace(look: Look, chain: TrustedLists) -> Pace | None:
    """The chain's own rules for who goes first, as its root says; malformed ones change nothing."""
    said = chain.root.unrecognized_fields.get(terms.PACE_FIELD)
    return None if said is None else _read(look, CHAIN, "root", said, Pace)


def _share_a_key(vendor: TrustedLists, chain: TrustedLists) -> bool:
    """Whether somebody stands on both sides: then the two are one party, whoever configured them (RL2)."""
    return bool(_people(vendor) & _people(chain))


def _people(lists: TrustedLists) -> set[str]:
    root = lists.root
    keys = {keyid for role in ("root", "targets") for keyid in root.roles[role].keyids}
    return {str(root.keys[keyid].keyval.get("public")) for keyid in keys if keyid in root.keys}


def _custom(
    look: Look, repository: str, name: str, target: TargetFile, kind: type[T], what: str = "metadata"
) -> T | None:
    return _read(look, repository, name, target.custom or {}, kind, what)


def _read(look: Look, repository: str, name: str, said: object, kind: type[T], what: str = "metadata") -> T | None:
    """What people signed, as ours; what cannot be read is refused by name and hinders nothing else."""
    try:
        return terms.read(said, kind, name)
    except PublicationMalformedError as error:
        look.refuse(what, "malformed", repository, name, "", error)
        return None
