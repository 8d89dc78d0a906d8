"""Law 5 of the design, held against what really runs, by books of its own: who signed what, who said what, how long a till ran.

Nothing here reads a till's journal or asks a rule of `release/`: bounds of a root, the counting of pace, of evidence and of waves are
worked out anew. What a till was shown is compared by what the world knows of it, not by signatures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from math import sqrt

import msgspec

from oppet.release.agree import Listed
from oppet.release.health import Signed, Statement
from oppet.release.terms import Pace
from oppet.rollout.lists import Root
from oppet.rollout.thieves import CANARIES, NONE

__all__ = ["Broken", "Installed", "Laws", "Till"]

MINUTE, HOUR = 60_000, 3_600_000
Thresholds = Mapping[str, tuple[frozenset[str], int]]


class Broken(msgspec.Struct, frozen=True):
    law: str
    what: str


@dataclass(frozen=True, slots=True)
class Till:
    """Who a till is, as the world knows."""

    store: str
    name: str
    key: str
    hw: str = "x86_64"


@dataclass(frozen=True, slots=True)
class Installed:
    """One release that began to run on one till."""

    at_ms: int
    till: Till
    release: int
    image: str
    canary: bool


@dataclass(slots=True)
class _Known:
    """What a till has been shown, in its own running time."""

    running_ms: int = 0
    release: int = 0
    roots: list[tuple[Root, int]] = field(default_factory=list)
    good: dict[tuple[str, bool], int] = field(
        default_factory=dict
    )  # image, urgent → when enough canaries first vouched
    urgent: set[str] = field(default_factory=set)
    ill: dict[str, int] = field(default_factory=dict)  # image that a pinned canary says does not work → since when
    chosen: dict[int, int] = field(default_factory=dict)  # release → when a plan that chose it was last shown
    seen: object = None


class Laws:
    """The judge of one run."""

    def __init__(self, first: Root, trusted: Thresholds, poisoners: str, stores: int) -> None:
        self.broken: list[Broken] = []
        self.checked: Counter[str] = Counter()
        self.installed: list[Installed] = []
        self._first = first
        self._trusted = trusted
        self._poisoners = poisoners
        self._stores = stores
        self._signed: dict[tuple[str, Listed], set[str]] = {}
        self._poison: set[str] = set()
        self._spoken: dict[str, Statement] = {}
        self._tills: dict[str, _Known] = {}
        self._shown: dict[str, int] = {}  # image → when anybody could first see enough evidence
        self._reached: dict[str, dict[str, int]] = {}  # image → store → when
        self._turns: dict[str, dict[str, int]] = {}

    def wrong(self, law: str, what: str) -> None:
        self.broken.append(Broken(law, what))

    # --- the books

    def signed(self, party: str, listed: Listed, by: Iterable[str], *, poison: bool = False) -> None:
        """Somebody put these keys under this target."""
        self._signed.setdefault((party, listed), set()).update(by)
        if poison:
            self._poison.add(listed.custom.image)

    def rooted(self, party: str, keys: frozenset[str], need: int) -> None:
        """A threshold of a root's own keys appointed others: whoever holds them signs for the party."""
        self._trusted = {**self._trusted, party: (self._trusted[party][0] | keys, min(need, self._trusted[party][1]))}

    def spoke(self, said: Signed, statement: Statement) -> None:
        """The holder of a till's journal key said so."""
        self._spoken[said.signature] = statement

    def ran(self, till: Till, ms: int) -> None:
        self._known(till).running_ms += ms

    def runs(self, till: Till, release: int) -> None:
        """What it was delivered with."""
        self._known(till).release = release

    # --- what a till was shown

    def shown(
        self, at_ms: int, till: Till, roots: Iterable[Root], health: Iterable[tuple[str, tuple[Signed, ...]]],
        urgent: Iterable[str], chosen: int | None,
    ) -> None:  # fmt: skip
        """A till believed these lists: from now on it may know what they say."""
        known = self._known(till)
        if chosen is not None:
            known.chosen[chosen] = known.running_ms
        for root in roots:
            if root.version > (known.roots[-1][0].version if known.roots else self._first.version):
                known.roots.append((root, known.running_ms))
        known.urgent.update(urgent)
        pace = self._pace(known)
        if health is known.seen:
            return
        known.seen = health
        ill = {image for image, said in health if any(self._is_ill(one, image, pace) for one in said)}
        known.ill = {image: known.ill.get(image, known.running_ms) for image in ill}
        for image, said in health:
            for quick in (False, True):
                key = (image, quick)
                if self._enough(image, said, pace, quick=quick):
                    known.good.setdefault(key, known.running_ms)
                    self._shown.setdefault(image, at_ms)

    def _is_ill(self, one: Signed, image: str, pace: Pace) -> bool:
        said = self._spoken.get(one.signature)
        if said is None or said.image != image or not said.faults or one.statement != _text(said):
            return False
        return any((c.store, c.till, c.epoch) == (said.store, said.till, said.epoch) for c in pace.canaries)

    def _enough(self, image: str, said: Iterable[Signed], pace: Pace, *, quick: bool) -> bool:
        pinned = {(one.till, one.epoch): one.store for one in pace.canaries}
        vouch: dict[str, str] = {}
        for one in said:
            statement = self._spoken.get(one.signature)
            if statement is None or statement.image != image or one.statement != _text(statement):
                continue
            if pinned.get((statement.till, statement.epoch)) != statement.store or statement.faults:
                continue
            if statement.sales >= pace.evidence_sales and statement.running_min >= pace.evidence_min:
                vouch[statement.till] = statement.store
        asked = pace.emergency if quick else pace
        return len(vouch) >= asked.evidence_tills and len(set(vouch.values())) >= asked.evidence_stores

    def _pace(self, known: _Known) -> Pace:
        """The pace that counts for this till now: each later one only after the hold of the one before."""
        assert self._first.pace is not None
        now = self._first.pace
        for root, since in known.roots:
            new = root.pace
            if new is not None and _bounded(new) and known.running_ms - since >= now.hold_min * MINUTE:
                now = new
        return now

    # --- what ran

    def asked(self, till: Till, listed: Listed, *, frozen: bool) -> None:
        """A till asks for the switch to a release: what must hold at that moment, and not only when it runs."""
        known = self._known(till)
        self.checked["5 chosen, well and not frozen"] += 1
        if frozen:
            self.wrong("5 frozen", f"{till.name} installs while its store has stopped installs")
        now = known.running_ms  # a till acts on a look for an hour at most
        if known.chosen.get(listed.custom.release, -HOUR - 1) < now - HOUR:
            self.wrong("5 chosen", f"{till.name} installs release {listed.custom.release} that nobody has chosen")
        if known.ill.get(listed.custom.image, now) < now - HOUR:
            self.wrong(
                "5 ill", f"{till.name} installs release {listed.custom.release} that a canary says does not work"
            )

    def began(self, at_ms: int, till: Till, listed: Listed) -> None:
        """A release began to run. Everything law 5 says of it is held now."""
        known, custom = self._known(till), listed.custom
        self.checked["5 both signed"] += 1
        for party in ("vendor", "chain"):
            keys, need = self._trusted[party]
            if len(self._signed.get((party, listed), set()) & keys) < need:
                self.wrong("5 both", f"{till.name} runs release {custom.release}, and {party} never signed it")
        self.checked["5 never older"] += 1
        if custom.release <= known.release:
            self.wrong("5 older", f"{till.name} went from release {known.release} to {custom.release}")
        if custom.hw not in ("any", till.hw) or custom.role != "till":
            self.wrong("5 wrong machine", f"{till.name} runs what was made for {custom.role} on {custom.hw}")
        pace = self._pace(known)
        canary = any((one.store, one.till, one.key) == (till.store, till.name, till.key) for one in pace.canaries)
        if custom.image in self._poison:
            self._reach(till, custom.release, canary=canary)
        if not canary:
            self._paced(at_ms, till, listed, pace, known)
        known.release = custom.release
        self.installed.append(Installed(at_ms, till, custom.release, custom.image, canary))

    def returned(self, till: Till, release: int) -> None:
        """The launcher went back to what ran before."""
        self._known(till).release = release

    def _reach(self, till: Till, release: int, *, canary: bool) -> None:
        self.checked["5 a thief's reach"] += 1
        if self._poisoners == NONE or (self._poisoners == CANARIES and not canary):
            self.wrong("5 thief", f"{till.name} runs release {release} of a thief who may reach {self._poisoners}")

    def _paced(self, at_ms: int, till: Till, listed: Listed, pace: Pace, known: _Known) -> None:
        self.checked["5 its turn"] += 1
        image = listed.custom.image
        turns = [self._turn(till.store, image, pace, known, quick=False)]
        if image in known.urgent:
            turns.append(self._turn(till.store, image, pace, known, quick=True))
        due = [turn for turn in turns if turn is not None]
        if not due:
            self.wrong(
                "5 evidence",
                f"{till.name} is no canary and runs release {listed.custom.release} that nobody vouched for",
            )
            return
        if known.running_ms < min(due):
            early = (min(due) - known.running_ms) / MINUTE
            self.wrong(
                "5 pace", f"{till.name} runs release {listed.custom.release} {early:.0f} minutes before its turn"
            )
        self._reached.setdefault(image, {}).setdefault(till.store, at_ms)
        self._turns.setdefault(image, {}).setdefault(till.store, min(due))
        self._share(at_ms, image, pace, urgent=image in known.urgent)

    @staticmethod
    def _turn(store: str, image: str, pace: Pace, known: _Known, *, quick: bool) -> int | None:
        good = known.good.get((image, quick))
        if good is None:
            return None
        asked = pace.emergency if quick else pace
        drawn = int.from_bytes(sha256(f"oppet.wave.1\n{image}\n{store}".encode()).digest()[:8]) % 1000 + 1
        return good + asked.dwell_min * MINUTE + drawn * HOUR // asked.stores_permille_per_hour

    def _share(self, at_ms: int, image: str, pace: Pace, *, urgent: bool) -> None:
        """From the first evidence anywhere on, never more stores than so many hours let go, whatever any till's clock said."""
        self.checked["5 share of the chain"] += 1
        asked = pace.emergency if urgent else pace
        hours = (at_ms - self._shown[image]) / HOUR - asked.dwell_min / 60
        share = min(1.0, max(0.0, hours) * asked.stores_permille_per_hour / 1000)
        most = self._stores * share + 5 * sqrt(self._stores * share * (1 - share)) + 1  # waves are drawn by a digest
        if len(self._reached[image]) > most:
            self.wrong("5 share", f"{len(self._reached[image])} stores run {image[:8]} where {most:.0f} may")

    def _known(self, till: Till) -> _Known:
        return self._tills.setdefault(till.name, _Known())


def _text(statement: Statement) -> str:
    return msgspec.json.encode(statement).decode()


def _bounded(pace: Pace) -> bool:
    """From fifty stores on: at most two in a hundred go first, an eighth an hour, an hour's dwell, a day's hold."""
    stores = len({one.store for one in pace.canaries})
    if len({(one.till, one.epoch) for one in pace.canaries}) < len(pace.canaries):
        return False
    if pace.stores < 50:
        return pace.stores == 1 or stores < pace.stores
    urgent = pace.emergency
    return (
        stores <= max(1, pace.stores // 50)
        and pace.dwell_min >= 60
        and urgent.dwell_min >= 15
        and pace.hold_min >= 1440
        and pace.stores_permille_per_hour <= 125
        and urgent.stores_permille_per_hour <= 125
        and min(pace.evidence_stores, urgent.evidence_stores) >= 2
    )
