"""The two repositories of a simulated chain, and what a till's client makes of them: thresholds, versions, expiry, roots.

Signatures are names of keys here: whoever holds a key may put its name under a list, and nobody else can. What a client believes
follows The Update Framework's own order. The framework itself, with real keys and files, is attacked in `tests/release/attacks.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace

from oppet.journal.kinds_published import RepositoryVersions
from oppet.release.agree import Listed, agree
from oppet.release.found import Found, Refused
from oppet.release.health import Signed
from oppet.release.terms import CHAIN, VENDOR, Pace, Plan, emergency_name

__all__ = ["DAY_MS", "Lists", "Page", "Root", "Threshold", "Trusted", "View", "look"]

DAY_MS = 86_400_000
ONLINE_DAYS = 7  # a snapshot and a timestamp are signed anew every day
PEOPLE_DAYS = 365


@dataclass(frozen=True, slots=True)
class Threshold:
    """Which keys, and how many of them."""

    keys: frozenset[str]
    need: int

    def met(self, by: Set[str]) -> bool:
        return len(self.keys & by) >= self.need


@dataclass(frozen=True, slots=True, eq=False)
class Root:
    version: int
    root: Threshold
    targets: Threshold
    online: Threshold
    by: frozenset[str]
    pace: Pace | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """One signed list: targets, a delegated role, snapshot or timestamp."""

    version: int
    by: frozenset[str]
    expires_ms: int
    listed: Mapping[str, Listed] = field(default_factory=dict)
    roles: Mapping[str, Threshold] = field(default_factory=dict)  # delegated by targets
    versions: Mapping[str, int] = field(default_factory=dict)  # of a snapshot; of a timestamp {"snapshot": n}
    plan: Plan | None = None
    said: tuple[tuple[str, tuple[Signed, ...]], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """All that one repository serves."""

    roots: tuple[Root, ...]
    timestamp: Page
    snapshot: Page
    pages: Mapping[str, Page]  # "targets" and the delegated roles

    def publish(self, pages: Mapping[str, Page], by: frozenset[str], now_ms: int) -> Lists:
        """The same with these pages, under a new snapshot and timestamp signed `by`."""
        return self.republish(replace_pages(self.pages, pages), by, now_ms)

    def republish(self, pages: Mapping[str, Page], by: frozenset[str], now_ms: int, ahead: int = 1) -> Lists:
        until = now_ms + ONLINE_DAYS * DAY_MS
        versions = {name: page.version for name, page in pages.items()}
        snapshot = Page(self.snapshot.version + ahead, by, until, versions=versions)
        stamp = Page(self.timestamp.version + ahead, by, until, versions={"snapshot": snapshot.version})
        return Lists(self.roots, stamp, snapshot, pages)

    def rooted(self, root: Root) -> Lists:
        return replace(self, roots=(*self.roots, root))


def replace_pages(before: Mapping[str, Page], new: Mapping[str, Page]) -> Mapping[str, Page]:
    return {**before, **new}


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What somebody serves as both repositories at one moment."""

    vendor: Lists
    chain: Lists
    source: str = "head office"


@dataclass(frozen=True, slots=True)
class Trusted:
    """What a till's client remembers of one repository."""

    root: Root
    timestamp: int = 0
    snapshot: int = 0
    pages: tuple[tuple[str, int], ...] = ()

    def versions(self, repository: str) -> RepositoryVersions:
        return RepositoryVersions(
            repository, self.root.version, self.timestamp, self.snapshot, dict(self.pages).get("targets", 0)
        )


Believed = tuple[Trusted, Mapping[str, Page]]


def look(view: View, vendor: Trusted, chain: Trusted, wall_ms: int) -> tuple[Found, Trusted, Trusted]:
    """One look: what `drivers/publications.py` would find, and what is remembered after it. On a refusal nothing is."""
    after: dict[str, Trusted] = {VENDOR: vendor, CHAIN: chain}
    pages: dict[str, Mapping[str, Page]] = {}
    refused, expired = [], []
    for name, lists, trusted in ((VENDOR, view.vendor, vendor), (CHAIN, view.chain, chain)):
        judged = _believe(lists, trusted, wall_ms)
        if isinstance(judged, str):
            if judged == "expired":
                expired.append(name)
            else:
                refused.append(Refused("metadata", judged, name, source=view.source))
            continue
        after[name], pages[name] = judged
    root = after[CHAIN].root
    found = Found(
        source=view.source,
        versions=tuple(after[name].versions(name) for name in (VENDOR, CHAIN) if name in pages),
        root=root.version,
        pace=root.pace,
        refused=tuple(refused),
        expired=tuple(expired),
    )
    if len(pages) == 2:
        found = _filled(found, pages[VENDOR], pages[CHAIN])
    return found, after[VENDOR], after[CHAIN]


def _filled(found: Found, vendor: Mapping[str, Page], chain: Mapping[str, Page]) -> Found:
    urgent = chain["emergency"].listed if "emergency" in chain else {}
    theirs = {name: replace(one, emergency=_urgent(one, urgent)) for name, one in chain["targets"].listed.items()}
    agreed, disagreed = agree(vendor["targets"].listed, theirs)
    plan = chain["rollout"].plan if "rollout" in chain else None
    health = chain["health"].said if "health" in chain else ()
    return replace(found, agreed=agreed, disagreed=disagreed, plan=plan, health=health)


def _urgent(one: Listed, urgent: Mapping[str, Listed]) -> bool:
    same = urgent.get(emergency_name(one.custom.role, one.custom.release))
    return same is not None and (same.length, same.hashes, same.custom) == (one.length, one.hashes, one.custom)


def _believe(lists: Lists, trusted: Trusted, wall_ms: int) -> Believed | str:
    """The Update Framework's order: roots one by one, timestamp, snapshot, targets, delegated roles."""
    root = trusted.root
    for new in lists.roots:
        if new.version != root.version + 1:
            continue
        if not (root.root.met(new.by) and new.root.met(new.by)):
            return "threshold"
        root = new
    stamp, shot = lists.timestamp, lists.snapshot
    if not root.online.met(stamp.by) or not root.online.met(shot.by):
        return "threshold"
    renewed = root.online != trusted.root.online  # a rotated key begins its versions anew
    if not renewed and (stamp.version < trusted.timestamp or stamp.versions["snapshot"] < trusted.snapshot):
        return "rollback"
    if shot.version != stamp.versions["snapshot"]:
        return "mix"
    if stamp.expires_ms <= wall_ms or shot.expires_ms <= wall_ms:
        return "expired"
    before = {} if renewed else dict(trusted.pages)
    if any(shot.versions.get(name, 0) < version for name, version in before.items()):
        return "rollback"
    believed: dict[str, Page] = {}
    for name, page in lists.pages.items():
        if (why := _page_refused(name, page, root, believed, shot, wall_ms)) is not None:
            return why
        believed[name] = page
    versions = tuple(sorted((name, page.version) for name, page in believed.items()))
    return Trusted(root, stamp.version, shot.version, versions), believed


def _page_refused(
    name: str, page: Page, root: Root, believed: Mapping[str, Page], shot: Page, wall_ms: int
) -> str | None:
    asked = root.targets if name == "targets" else believed["targets"].roles.get(name)
    if asked is None or not asked.met(page.by):
        return "threshold"
    if page.version != shot.versions.get(name):
        return "mix"
    return "expired" if page.expires_ms <= wall_ms else None
