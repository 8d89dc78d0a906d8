"""One till of the simulated chain: the machine around the real rules, its journal, its slots, and a clock that may be wrong.

What is journalled survives a restart; what is not is gone. The machine's running time is the world's; the rules see only what they
would see in a real till.
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Final

from oppet.base.signing import Signer
from oppet.release.agree import Agreed, Listed
from oppet.release.found import Found
from oppet.release.health import Evidence, Signed, Statement, evidence_of, sign
from oppet.release.held import Held, counting
from oppet.release.rings import INSTALL, REFUSE, Here, enough, judge
from oppet.release.terms import Pace
from oppet.rollout.laws import Laws, Till
from oppet.rollout.lists import Root, Trusted, View, look

__all__ = ["Looks", "SimTill", "Store"]

MOST_LOOKS: Final = 20_000
KEEP_MS: Final = 900_000  # so much running time at most is lost with a restart

_evidence = lru_cache(4096)(evidence_of)  # a pure function of what it is given: thousands of tills are given the same


class Looks:
    """What a client would find: reckoned once for all tills that trust the same and are shown the same."""

    def __init__(self) -> None:
        self._known: dict[tuple[View, Trusted, Trusted, int], tuple[Found, Trusted, Trusted]] = {}

    def look(self, view: View, vendor: Trusted, chain: Trusted, wall_ms: int) -> tuple[Found, Trusted, Trusted]:
        ends = sorted(
            page.expires_ms
            for lists in (view.vendor, view.chain)
            for page in (lists.timestamp, lists.snapshot, *lists.pages.values())
        )
        key = (view, vendor, chain, bisect(ends, wall_ms))
        if key not in self._known:
            if len(self._known) >= MOST_LOOKS:
                self._known.clear()
            self._known[key] = look(view, vendor, chain, wall_ms)
        return self._known[key]


class Store:
    """What stands between head office and the tills of one store."""

    def __init__(self, name: str, chance: Random, view: View) -> None:
        self.name = name
        self.view = view
        self.cut_until = self.withheld_until = self.asleep_until = 0
        self.opens, self.shuts = chance.choice((7, 8, 9)), chance.choice((19, 20, 21, 22))
        self.night = chance.random() < 0.3  # its tills run through the night
        self.lies = False
        self.older: list[View] = [view]


@dataclass(slots=True)
class Kept:
    """What a till's journal would give back after a restart."""

    installed: int
    image: str
    first: Pace
    vendor: Trusted
    chain: Trusted
    held: dict[int, tuple[Pace, int]] = field(default_factory=dict)  # root → its pace and how long it was held
    dwelt: dict[str, int] = field(default_factory=dict)
    frozen: bool = False
    sales: int = 0
    ran_ms: int = 0


class SimTill:
    def __init__(self, who: Till, store: Store, signer: Signer | None, view: View, looks: Looks, laws: Laws) -> None:
        self.who, self.store, self.signer, self.laws = who, store, signer, laws
        self.looks = looks
        first = view.chain.roots[0]
        assert first.pace is not None
        self.runs = next(iter(view.vendor.pages["targets"].listed.values()))
        self.disk = Kept(
            self.runs.custom.release, self.runs.custom.image, first.pace, Trusted(view.vendor.roots[0]), Trusted(first)
        )
        laws.runs(who, self.runs.custom.release)
        self.wall_ms = self.skew_ms = self.running_ms = 0
        self.refused: Counter[str] = Counter()
        self.waited: Counter[str] = Counter()
        self._dwelt: dict[str, int] = {}
        self._held: dict[int, tuple[Pace, int]] = {}
        self._kept_at = 0
        self._alarmed: set[tuple[str, str]] = set()
        self._faults = 0
        self._told = 0

    @property
    def frozen(self) -> bool:
        return self.disk.frozen

    def freeze(self, *, on: bool) -> None:
        self.disk.frozen = on

    def restart(self) -> None:
        """Power goes and comes back."""
        self._dwelt, self._held = dict(self.disk.dwelt), dict(self.disk.held)
        self._kept_at = self.running_ms
        self._alarmed = set()

    def step(self, now_ms: int, ms: int, *, quiet: bool, sales: int, sick: bool) -> None:
        """Run for so long, then look, judge, and perhaps install."""
        self.running_ms += ms
        self.laws.ran(self.who, ms)
        self.disk.sales += sales
        self.disk.ran_ms += ms
        self._faults = 1 if sick else 0
        for image in self._dwelt:
            self._dwelt[image] += ms
        for root, (pace, held) in self._held.items():
            self._held[root] = (pace, held + ms)
        wall_ms = now_ms + self.skew_ms
        found, vendor, chain = self.looks.look(self.store.view, self.disk.vendor, self.disk.chain, wall_ms)
        self.disk.vendor, self.disk.chain = vendor, chain
        urgent = [one.software.image for one in found.agreed if one.emergency]
        self.laws.shown(now_ms, self.who, self._roots(chain.root), found.health, urgent)
        self._refuse(found)
        self._judge(now_ms, found, quiet=quiet)
        if self.running_ms - self._kept_at >= KEEP_MS:
            self.disk.dwelt, self.disk.held = dict(self._dwelt), dict(self._held)
            self._kept_at = self.running_ms

    def _roots(self, newest: Root) -> list[Root]:
        return [newest]

    def _refuse(self, found: Found) -> None:
        for one in found.refused:
            self._alarm("metadata", one.why)
        for bad in found.disagreed:
            self._alarm(bad.name, bad.why)
        for name in found.expired:
            self._alarm(name, "expired")

    def _alarm(self, what: str, why: str) -> None:
        if (what, why) not in self._alarmed:
            self._alarmed.add((what, why))
            self.refused[why] += 1

    def _pace(self, found: Found) -> Pace:
        if found.pace is not None and found.root > 1 and found.root not in self._held:
            self._held[found.root] = (found.pace, 0)
        return counting(self.disk.first, [Held(root, pace, ms) for root, (pace, ms) in self._held.items()])

    def _judge(self, now_ms: int, found: Found, *, quiet: bool) -> None:
        pace = self._pace(found)
        health = dict(found.health)
        chosen = found.plan.releases.get("till") if found.plan else None
        here = Here(
            self.who.store, self.who.name, 1, self.who.key, hw=self.who.hw, installed=self.disk.installed,
            image=self.disk.image, frozen=self.disk.frozen, quiet=quiet,
        )  # fmt: skip
        for one in found.agreed:
            evidence = self._evidence(health.get(one.software.image, ()), one.software.image, pace)
            asked = pace.emergency if one.emergency else pace
            if enough(evidence, asked):
                self._dwelt.setdefault(one.software.image, 0)
            dwelt = self._dwelt.get(one.software.image, 0)
            verdict = judge(one.software, here, pace, chosen, evidence, dwelt, emergency=one.emergency)
            if verdict.do == INSTALL:
                self._install(now_ms, one)
                return
            if verdict.do == REFUSE and one.software.release != self.disk.installed - 1:
                self._alarm(one.name, verdict.why)
            elif verdict.why:
                self.waited[verdict.why] += 1

    @staticmethod
    def _evidence(said: tuple[Signed, ...], image: str, pace: Pace) -> Evidence:
        return _evidence(said, image, pace)

    def _install(self, now_ms: int, one: Agreed) -> None:
        listed = Listed(one.name, one.length, (("sha256", one.sha256),), one.software)
        self.laws.began(now_ms, self.who, listed)
        self.runs = listed
        self.disk.installed, self.disk.image = one.software.release, one.software.image
        self.disk.sales = self.disk.ran_ms = 0
        self._told = 0

    def said(self) -> Iterator[tuple[str, Signed]]:
        """A canary's word on what it runs, every two hours of running and at the first fault."""
        ran_min = self.disk.ran_ms // 60_000
        if self.signer is None or self.disk.installed == 1 or (ran_min < self._told + 120 and not self._faults):
            return
        self._told = ran_min
        custom = self.runs.custom
        word = Statement(
            self.who.store, self.who.name, 1, custom.release, custom.image, ran_min, self.disk.sales, self._faults
        )
        yield custom.image, sign(word, self.signer)
