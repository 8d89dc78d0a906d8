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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar

from tuf.api.exceptions import DownloadLengthMismatchError, LengthOrHashMismatchError, SlowRetrievalError
from tuf.api.metadata import TargetFile, Targets

from oppet.base.errors import OppetError, clip
from oppet.drivers import files
from oppet.drivers.publication_sources import Source, SourceAwayError
from oppet.drivers.trusted_lists import FOREIGN, TrustedLists
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
LARGEST_CONTENT: Final = 1 << 20  # of a plan, a heap of health statements, a store's root
MOST_HEALTH: Final = 8  # releases whose evidence is fetched, the newest first
MOST_STORE_ROLES: Final = 4
KEEP_TIME_MS: Final = 600_000  # how far the last verified time moves before it is written down again
MOST_CONTENTS: Final = 64
PEER_S: Final = 5.0  # what a neighbour is given to show how far it has come

T = TypeVar("T")
Listing = Mapping[str, TargetFile]


@dataclass(slots=True)
class _Look:
    """What one look gathers, and how much patience each source has left."""

    sources: tuple[Source, ...]
    now_ms: int
    peers: tuple[Source, ...]
    total_s: float
    left: dict[int, float] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    away: list[str] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def turn(self, source: Source) -> Iterator[None]:
        """Some of a source's time: however slow it is, the next one has its own."""
        began = time.monotonic()
        try:
            with source.within(max(self.left.get(id(source), self.total_s), 0.0)):
                yield
        finally:
            self.left[id(source)] = self.left.get(id(source), self.total_s) - (time.monotonic() - began)

    def willing(self) -> Iterator[Source]:
        return (source for source in self.sources if self.left.get(id(source), self.total_s) > 0)

    def first(self, source: Source) -> None:
        """Ask this one first from now on: it has what its own lists name."""
        self.sources = (source, *(other for other in self.sources if other is not source))

    def give_up(self, source: Source) -> None:
        self.left[id(source)] = 0.0

    def failed(self, source: Source, word: str, error: BaseException, repository: str, name: str = "") -> None:
        """Write down that a source was away, or what it lied about."""
        if isinstance(error, SourceAwayError | SlowRetrievalError):
            self.give_up(source)
        if not word:
            if source.name not in self.away:
                self.away.append(source.name)
            return
        self.refuse("metadata", word, repository, name, source.name, error)

    def refuse(
        self, what: str, why: str, repository: str, name: str = "", source: str = "", error: BaseException | str = ""
    ) -> None:
        said = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        refused = Refused(what, why, repository, clip(name, 120), source, clip(said, 200))
        if refused not in self.refused:
            self.refused.append(refused)


class Publications:
    """One machine's trust, in a folder of its own. `roots` are the ones it was installed with."""

    def __init__(
        self, folder: Path, roots: Mapping[str, bytes], store: str, role: str = "till", *, total_s: float = TOTAL_S
    ) -> None:
        self.folder, self.store, self.role = folder, store, role
        self._roots = {VENDOR: roots[VENDOR], CHAIN: roots[CHAIN]}
        self._total_s = total_s
        self._guard = threading.Lock()
        self._contents: dict[str, bytes] = {}
        self._held: dict[
            str, TrustedLists
        ] = {}  # as last verified: a look that finds nothing new verifies nothing again
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
        path, lie = _path(self._base(repository), name, sha256), None
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
        look = _Look(tuple(sources[:MOST_SOURCES]), now_ms, tuple(peers[:MOST_SOURCES]), self._total_s)
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

    def _judged(self, look: _Look, *, moves_time: bool) -> Found:
        vendor, _ = self._lists(look, VENDOR, VENDOR, self._roots[VENDOR])
        chain, source = self._lists(look, CHAIN, CHAIN, self._roots[CHAIN])
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

    def _lists(
        self, look: _Look, repository: str, folder: str, root: bytes
    ) -> tuple[TrustedLists | None, Source | None]:
        """The first source's lists that verify as a whole; what the others did wrong is written down."""
        place = files.folder(self.folder / folder)
        held, expired = self._held.get(folder), False
        for source in look.willing():
            lists = held
            try:
                with contextlib.ExitStack() as patience:
                    for peer in look.peers:
                        patience.enter_context(peer.within(PEER_S))
                    patience.enter_context(look.turn(source))
                    if held is None or look.peers or not held.unchanged(source, look.now_ms):
                        lists = None
                        lists = TrustedLists(place, self._base(repository), root, source, look.now_ms, peers=look.peers)
                        lists.refresh()
            except FOREIGN as error:
                word = "malformed" if lists is None else lists.word(error)
                if word == "expired":
                    expired = True
                else:
                    look.failed(source, word, error, repository)
                continue
            assert lists is not None
            lists.keep()
            self._held[folder] = lists
            look.first(source)
            return lists, source
        if expired:
            look.expired.append(repository)
        return None, None

    def _role(self, look: _Look, lists: TrustedLists, repository: str, role: str, least: int = 1) -> Listing:
        """A delegated role's verified list without names it may not list. A role that fewer than `least` keys sign is refused."""
        delegated = lists.delegated(role)
        if delegated is None:
            return {}
        if delegated.threshold < least:
            look.refuse("metadata", "threshold", repository, role, "", f"{delegated.threshold} of at least {least}")
            return {}
        for source in look.willing():
            try:
                with look.turn(source):
                    listed = lists.role(role, source)
            except FOREIGN as error:
                word = lists.word(error)
                if word == "expired":
                    look.expired.append(f"{repository}/{role}")
                    return {}
                look.failed(source, word, error, repository, role)
                continue
            for name in listed.targets:
                if not delegated.is_delegated_path(name):
                    look.refuse("metadata", "threshold", repository, name, source.name, f"{role} may not list it")
            return {name: target for name, target in listed.targets.items() if delegated.is_delegated_path(name)}
        return {}

    def _content(self, look: _Look, repository: str, name: str, target: TargetFile) -> bytes | None:
        """A small target's bytes, from here or from the first source that has them."""
        sha256 = target.hashes.get("sha256", "")
        if (held := self._contents.get(sha256)) is not None:
            return held
        if target.length > LARGEST_CONTENT or not sha256:
            look.refuse("metadata", "endless" if sha256 else "malformed", repository, name)
            return None
        for source in look.willing():
            try:
                with look.turn(source):
                    data = source.download_bytes(_path(self._base(repository), name, sha256), target.length)
                target.verify_length_and_hashes(data)
            except FOREIGN as error:
                look.failed(source, _content_word(error), error, repository, name)
                continue
            if len(self._contents) >= MOST_CONTENTS:
                self._contents.pop(next(iter(self._contents)))
            self._contents[sha256] = data
            return data
        return None

    # ------------------------------------------------------------ what the lists say

    def _software(
        self, look: _Look, lists: TrustedLists, repository: str, urgent: Listing | None = None
    ) -> dict[str, Listed]:
        """Software in a repository's own top list: no delegated role can name any."""
        said: dict[str, Listed] = {}
        for name, target in lists.top.targets.items():
            if terms.is_software(name) and (custom := _custom(look, repository, name, target, Software)) is not None:
                twin = (urgent or {}).get(name.replace("software/", "emergency/", 1))
                same = twin is not None and (twin.length, twin.hashes) == (target.length, target.hashes)
                said[name] = Listed(name, target.length, tuple(sorted(target.hashes.items())), custom, same)
        return said

    def _emergencies(self, look: _Look, chain: TrustedLists) -> Listing:
        """What the role with the higher threshold lists; one whose threshold is no higher is none."""
        return self._role(look, chain, CHAIN, "emergency", chain.root.roles[Targets.type].threshold + 1)

    def _goods(self, look: _Look, chain: TrustedLists) -> Iterator[GoodsFound]:
        for role, least in (("goods", 1), ("wide", 2)):
            listed = self._role(look, chain, CHAIN, role, least)
            for name, target in listed.items():
                goods = _custom(look, CHAIN, name, target, Goods, "goods") if terms.is_goods(name) else None
                if goods is not None and goods.store in ("", self.store):
                    yield GoodsFound(name, target.length, target.hashes.get("sha256", ""), goods, role == "wide")

    def _plan(self, look: _Look, chain: TrustedLists) -> Plan | None:
        listed = self._role(look, chain, CHAIN, terms.ROLLOUT)
        target = listed.get(terms.PLAN)
        data = None if target is None else self._content(look, CHAIN, terms.PLAN, target)
        return None if data is None else _read(look, CHAIN, terms.PLAN, data, Plan)

    def _health(
        self, look: _Look, chain: TrustedLists, agreed: Sequence[Agreed]
    ) -> tuple[tuple[str, tuple[Signed, ...]], ...]:
        listed = self._role(look, chain, CHAIN, "health") if agreed else {}
        said = []
        for image in dict.fromkeys(one.software.image for one in agreed[:MOST_HEALTH]):
            name = terms.health_name(image)
            target = listed.get(name)
            data = None if target is None else self._content(look, CHAIN, name, target)
            statements = None if data is None else _read(look, CHAIN, name, data, Statements)
            if statements is not None:
                said.append((image, statements.said))
        return tuple(said)

    def _store(self, look: _Look, chain: TrustedLists) -> TrustedLists | None:
        """The store's own repository, whose root is a target of the chain's. Another root starts another trust state."""
        name = terms.store_root_name(self.store)
        target = chain.top.targets.get(name) if self.store else None
        root = None if target is None else self._content(look, CHAIN, name, target)
        if root is None:
            return None
        return self._lists(look, STORE, f"{STORE}-{hashlib.sha256(root).hexdigest()[:16]}", root)[0]

    def _markdowns(self, look: _Look, store: TrustedLists | None) -> Iterator[GoodsFound]:
        """What the store's node signed: for this store, and nothing else."""
        for role in () if store is None else store.delegates()[:MOST_STORE_ROLES]:
            assert store is not None
            listed = self._role(look, store, STORE, role)
            for name, target in listed.items():
                goods = _custom(look, STORE, name, target, Goods, "markdown")
                if goods is None:
                    continue
                if terms.is_store(name, self.store) and goods.store in ("", self.store):
                    yield GoodsFound(name, target.length, target.hashes.get("sha256", ""), goods)
                else:
                    look.refuse("markdown", "other_store", STORE, name, "", goods.store)

    # ------------------------------------------------------------ small things

    def _base(self, repository: str) -> str:
        return f"{STORE}/{self.store}/" if repository == STORE else f"{repository}/"

    def _keep_time(self, now_ms: int) -> None:
        before = self.last_verified_ms
        if now_ms >= before + KEEP_TIME_MS:
            files.write(self.folder / "verified", str(now_ms).encode())
            self._verified = now_ms


def _pace(look: _Look, chain: TrustedLists) -> Pace | None:
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
    look: _Look, repository: str, name: str, target: TargetFile, kind: type[T], what: str = "metadata"
) -> T | None:
    return _read(look, repository, name, target.custom or {}, kind, what)


def _read(look: _Look, repository: str, name: str, said: object, kind: type[T], what: str = "metadata") -> T | None:
    """What people signed, as ours; what cannot be read is refused by name and hinders nothing else."""
    try:
        return terms.read(said, kind, name)
    except PublicationMalformedError as error:
        look.refuse(what, "malformed", repository, name, "", error)
        return None


def _path(base: str, name: str, sha256: str) -> str:
    """Where a target stands in the published tree: consistent snapshots name it by its digest."""
    folder, slash, last = name.rpartition("/")
    return f"{base}targets/{folder}{slash}{sha256}.{last}"


def _content_word(error: BaseException) -> str:
    if isinstance(error, LengthOrHashMismatchError):
        return "bytes"
    if isinstance(error, DownloadLengthMismatchError):
        return "endless"
    return "slow" if isinstance(error, SlowRetrievalError) else ""
