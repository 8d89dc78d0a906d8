"""A chain to which releases go out, from a seed: tills that sleep, cables that are cut, caches that lie, people, and one thief.

One run is some days of virtual time. Head office's people sign an honest release, choose it, gather what canaries say and publish
that; somewhere in between a thief appears with any combination of stolen keys. Real: every rule of `release/` that a till obeys.
Simulated: signatures of lists (names of keys, `lists.py`), slots, clocks, cables. The laws (`laws.py`) are held at every step.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from random import Random
from typing import Final

import msgspec

from oppet.base.clock import parse_utc
from oppet.base.signing import Signer
from oppet.release import intake
from oppet.release.agree import Listed
from oppet.release.health import Signed, Statement
from oppet.release.terms import Canary, EmergencyPace, Pace, Plan, emergency_name
from oppet.rollout.laws import Broken, Installed, Laws, Till
from oppet.rollout.lists import DAY_MS, PEOPLE_DAYS, Lists, Page, Root, Threshold, View, replace_pages
from oppet.rollout.thieves import Thief, keys_of, listing, reach, thief_of
from oppet.rollout.tills import Looks, SimTill, Store

__all__ = ["STEP_MS", "Result", "Scale", "World", "run"]

BEGIN: Final = parse_utc("2026-11-22T06:00:00.000Z")
HOUR_MS: Final = 3_600_000
STEP_MS: Final = 1_800_000


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a chain, and for how long."""

    stores: int = 60
    tills: int = 2
    hours: int = 120
    faults: bool = True


class Result(msgspec.Struct, frozen=True):
    """What one run came to."""

    seed: int
    thief: tuple[str, ...]
    dormant: bool
    reach: str
    broken: tuple[Broken, ...]
    checked: dict[str, int]
    installed: dict[str, int]  # honest, poison
    refused: dict[str, int]
    waited: dict[str, int]
    faults: dict[str, int]
    deeds: dict[str, int]
    stores: int
    till_hours: int
    reached: dict[str, list[float]]  # honest, poison, each release → hours at which another store was reached


class People:
    """Those who sign for vendor and chain, and the online roles that follow them."""

    def __init__(self, laws: Laws, view: View) -> None:
        self.laws = laws
        self.view = view
        self.older: list[View] = [view]
        self.health: dict[str, dict[str, list[Signed]]] = {}

    def release(self, listed: Listed, now_ms: int, *, urgent: bool = False) -> None:
        """Both parties sign; nobody has chosen it yet."""
        vendor = self._listed(self.view.vendor, "vendor", listed, now_ms)
        chain = self._listed(self.view.chain, "chain", listed, now_ms)
        if urgent:
            page = chain.pages["emergency"]
            name = emergency_name("till", listed.custom.release)
            by = frozenset(f"chain-emergency-{n}" for n in (1, 2, 3))
            page = replace(page, version=page.version + 1, by=by, listed={name: replace(listed, name=name)})
            chain = chain.publish({"emergency": page}, ONLINE["chain"], now_ms)
        self._show(View(vendor, chain))

    def choose(self, release: int, now_ms: int) -> None:
        page = self.view.chain.pages["rollout"]
        page = replace(page, version=page.version + 1, plan=Plan(page.version + 1, {"till": release}))
        self._show(replace(self.view, chain=self.view.chain.publish({"rollout": page}, ONLINE["chain"], now_ms)))

    def heard(self, image: str, till: str, said: Signed) -> None:
        words = self.health.setdefault(image, {}).setdefault(till, [])
        words.append(said)
        del words[:-3]

    def daily(self, now_ms: int) -> None:
        """What came from canaries is published, and the online lists are signed anew."""
        page = self.view.chain.pages["health"]
        said = tuple(
            (image, tuple(said for words in tills.values() for said in words))
            for image, tills in sorted(self.health.items())
        )
        page = replace(page, version=page.version + 1, said=said)
        chain = self.view.chain.publish({"health": page}, ONLINE["chain"], now_ms)
        self._show(View(self.view.vendor.republish(self.view.vendor.pages, ONLINE["vendor"], now_ms), chain))

    def _listed(self, lists: Lists, party: str, listed: Listed, now_ms: int) -> Lists:
        by = frozenset(f"{party}-targets-{n}" for n in (1, 2))
        page = lists.pages["targets"]
        page = replace(page, version=page.version + 1, by=by, listed={**page.listed, listed.name: listed})
        self.laws.signed(party, listed, by)
        return lists.publish({"targets": page}, ONLINE[party], now_ms)

    def _show(self, view: View) -> None:
        self.older = [*self.older[-30:], view]
        self.view = view


class World:
    """Everything, and its clock."""

    def __init__(
        self, seed: int, scale: Scale, loot: frozenset[str] | None = None, *, dormant: bool | None = None
    ) -> None:
        self.chance = Random(seed)
        self.scale = scale
        self.now = BEGIN
        self.faults: Counter[str] = Counter()
        names = [f"S{number:03d}" for number in range(1, scale.stores + 1)]
        self.canaries = _canaries(names, scale)
        view = _founded(_pace(self.canaries, scale))
        loot = thief_of(self.chance) if loot is None else loot
        dormant = self.chance.random() < 0.5 if dormant is None else dormant
        self.reach = reach(loot, dormant=dormant)
        self.laws = Laws(view.chain.roots[0], _targets_of(view), self.reach, scale.stores)
        self.thief = Thief(loot, Random(seed + 1), self.canaries, keys_of(loot), dormant)
        self.people = People(self.laws, view)
        for party, (keys, _) in _targets_of(view).items():
            self.laws.signed(party, next(iter(view.vendor.pages["targets"].listed.values())), keys)
        self.served = view
        self.stores = [Store(name, self.chance, view) for name in names]
        self.looks = Looks()
        self.tills = [self._till(store, number, view) for store in self.stores for number in range(1, scale.tills + 1)]
        self.first = listing(2, sha256(b"release 2").hexdigest())
        self.second = listing(3, sha256(b"release 3").hexdigest())
        self.ill = self.chance.random() < 0.4 and scale.faults
        self.urgent = self.chance.random() < 0.3
        self.strikes_at = BEGIN + self.chance.randint(1, max(2, scale.hours * 2 // 3)) * HOUR_MS
        self._spoken = 0
        self._booked = 0

    def _till(self, store: Store, number: int, view: View) -> SimTill:
        name = f"{store.name}-K{number}"
        signer = self.canaries[name][1] if name in self.canaries else Signer(sha256(name.encode()).digest())
        who = Till(store.name, name, signer.public.hex())
        first = view.chain.roots[0].pace
        assert first is not None
        whole = name in self.canaries or number == 1
        return SimTill(who, store, signer, first, view, self.looks, self.laws, BEGIN, whole=whole)

    # --- a run

    def live(self) -> None:
        """Step until the time is up or a law broke."""
        steps = self.scale.hours * HOUR_MS // STEP_MS
        for step in range(steps):
            self._people(step)
            if self.scale.faults and self.chance.random() < 0.5:
                self._fault()
            self._strike(step)
            for store in self.stores:
                self._carry(store)
            hour = (self.now - BEGIN) // HOUR_MS
            day_hour = (hour + 6) % 24
            for till in self.tills:
                if till.taken or till.store.asleep_until > self.now:
                    continue
                is_open = till.store.opens <= day_hour < till.store.shuts
                if is_open or till.store.night or day_hour == till.store.shuts:
                    self._step(till, is_open=is_open)
            if self.laws.broken:
                return
            self.now += STEP_MS

    def _step(self, till: SimTill, *, is_open: bool) -> None:
        chance = self.chance
        between = not is_open or chance.random() < 0.7
        sales = chance.randrange(2, 12) if is_open else 0
        till.step(self.now, STEP_MS, is_open=is_open, between=between, sales=sales)
        if till.intake.leaving and till.slots.agreed is not None:
            image = till.slots.agreed.software.image
            sick = self.ill and image == self.second.custom.image and chance.random() < 0.4
            till.leave(self.now, works=not sick, poison=image in self.thief.images and not self.thief.dormant)
        for _, said in till.said():
            statement = msgspec.json.decode(said.statement, type=Statement)
            self.laws.spoke(said, statement)
            if till.store.cut_until <= self.now:
                self.people.heard(statement.image, till.who.name, said)

    def _people(self, step: int) -> None:
        hour, rest = divmod(step * STEP_MS, HOUR_MS)
        if rest:
            return
        people, now = self.people, self.now
        match hour:
            case 1:
                people.release(self.first, now)
            case 2:
                people.choose(2, now)
            case 30:
                people.release(self.second, now, urgent=self.urgent)
            case 31:
                people.choose(3, now)
        people.daily(now)
        self.served = self.people.view

    def _strike(self, step: int) -> None:
        """The thief serves head office's lists if it holds head office's online keys, else what passes through its nodes."""
        thief = self.thief
        if self.now < self.strikes_at or not thief.loot or step % 2:
            return
        view = thief.view(self.people.view, self.people.older, self.now)
        self._book(view)
        if thief.loot & {"chain-online", "chain-root"} or (
            thief.loot & {"vendor-online", "vendor-root"} and self.chance.random() < 0.5
        ):
            self.served = view
        if "nodes" in thief.loot:
            for store in self.stores:
                if store.lies or self.chance.random() < 0.2:
                    store.lies, store.view = True, view

    def _book(self, view: View) -> None:
        """What the thief signed and said becomes known to the laws."""
        thief = self.thief
        for party, listed in thief.signed[self._booked :]:
            self.laws.signed(party, listed, thief.keys, poison=True)
        self._booked = len(thief.signed)
        for party, lists in (("vendor", view.vendor), ("chain", view.chain)):
            before = _SIGNED_BY[party]
            for root in lists.roots[1:]:
                if before.met(root.by):
                    self.laws.rooted(party, root.targets.keys, root.targets.need)
        for said, statement in thief.spoke[self._spoken :]:
            self.laws.spoke(said, statement)
        self._spoken = len(thief.spoke)

    def _carry(self, store: Store) -> None:
        """The node's cache fetches what is served, if it can and wants to."""
        if store.lies or store.cut_until > self.now or store.withheld_until > self.now:
            return
        store.view = self.served

    # --- faults

    def _fault(self) -> None:
        chance = self.chance
        store = chance.choice(self.stores)
        till = chance.choice(self.tills)
        name = chance.choice(_FAULTS)
        self.faults[name] += 1
        hours = chance.choice((1, 4, 20, 200)) * HOUR_MS
        match name:
            case "cable cut":
                store.cut_until = self.now + hours
            case "cache withholds":
                store.withheld_until = self.now + hours
            case "cache gives old lists":
                store.view, store.withheld_until = chance.choice(self.people.older), self.now + hours
            case "asleep":
                store.asleep_until = self.now + hours
            case "clock changed":
                till.skew_ms += chance.choice((-400, -1, 1, 30, 400)) * DAY_MS
            case "clock put right":
                till.skew_ms = 0
            case "restarted":
                till.restart()
            case "frozen":
                till.freeze(on=not till.frozen)

    # --- what came of it

    def told(self, seed: int) -> Result:
        honest = {self.first.custom.image: "release 2", self.second.custom.image: "release 3"}
        reached: dict[str, dict[str, float]] = {"honest": {}, "poison": {}, "release 2": {}, "release 3": {}}
        sorts: Counter[str] = Counter()
        for one in self.laws.installed:
            sort = "honest" if one.image in honest else "poison"
            sorts[sort] += 1
            for name in {sort, honest.get(one.image, sort)}:
                reached[name].setdefault(one.till.store, _hours(one))
        refused: Counter[str] = Counter()
        waited: Counter[str] = Counter()
        for till in self.tills:
            refused.update(till.refused)
            waited.update(till.waited)
        return Result(
            seed, tuple(sorted(self.thief.loot)), self.thief.dormant, self.reach, tuple(self.laws.broken), dict(self.laws.checked),
            dict(sorts), dict(refused), dict(waited), dict(self.faults), self.thief.deeds, self.scale.stores,
            sum(till.running_ms for till in self.tills) // HOUR_MS,
            {name: sorted(stores.values()) for name, stores in reached.items()},
        )  # fmt: skip


def run(
    seed: int, scale: Scale | None = None, loot: frozenset[str] | None = None, *, dormant: bool | None = None
) -> Result:
    """One run; the same arguments give the same one.

    The intake counts a step here as it counts the minute between two of its ticks, and what thousands of tills reckon alike is
    reckoned once: nothing else of the code under test is changed.
    """
    code = vars(intake)
    kept = {name: code[name] for name in ("GAP_MS", "evidence_of")}
    code |= {"GAP_MS": STEP_MS, "evidence_of": lru_cache(4096)(kept["evidence_of"])}
    world = World(seed, scale or Scale(), loot, dormant=dormant)
    try:
        world.live()
    except Exception as error:  # noqa: BLE001 - a mistake of ours is a finding like any other
        where = traceback.extract_tb(error.__traceback__)[-1]
        world.laws.wrong("0", f"{type(error).__name__} {error} at {where.name}:{where.lineno}")
    finally:
        code |= kept
    return world.told(seed)


def _hours(one: Installed) -> float:
    return round((one.at_ms - BEGIN) / HOUR_MS, 2)


def _canaries(names: list[str], scale: Scale) -> Mapping[str, tuple[Canary, Signer]]:
    """As many stores as a root may name, all of their tills but the last."""
    found = {}
    for store in names[: max(3, scale.stores // 50)]:
        for number in range(1, max(2, scale.tills)):
            till = f"{store}-K{number}"
            signer = Signer(sha256(till.encode()).digest())
            found[till] = (Canary(store, till, 1, signer.public.hex()), signer)
    return found


def _pace(canaries: Mapping[str, tuple[Canary, Signer]], scale: Scale) -> Pace:
    stores = len({canary.store for canary, _ in canaries.values()})
    return Pace(
        stores=max(scale.stores, 50 * stores), canaries=tuple(canary for canary, _ in canaries.values()),
        evidence_tills=max(3, len(canaries) // 2), evidence_stores=max(2, stores // 2),
        evidence_sales=50, evidence_min=120, dwell_min=360, stores_permille_per_hour=125, hold_min=1440,
        emergency=EmergencyPace(30, 125, max(3, len(canaries) // 2), 2),
    )  # fmt: skip


ONLINE: Final = {
    "vendor": frozenset({"vendor-online"}),
    "chain": frozenset({"chain-online", "chain-rollout", "chain-health"}),
}
_SIGNED_BY: Final = {
    party: Threshold(frozenset(f"{party}-root-{n}" for n in (1, 2, 3)), 2) for party in ("vendor", "chain")
}


def _founded(pace: Pace) -> View:
    """Both repositories on their first day: release 1 is what every till was delivered with."""
    first = listing(1, sha256(b"release 1").hexdigest())

    def party(name: str, *, chain: bool) -> Lists:
        threshold = {
            role: Threshold(frozenset(f"{name}-{role}-{n}" for n in (1, 2, 3)), 2) for role in ("root", "targets")
        }
        by = frozenset(f"{name}-{role}-{n}" for role in ("root", "targets") for n in (1, 2))
        online = Threshold(frozenset({f"{name}-online"}), 1)
        root = Root(1, threshold["root"], threshold["targets"], online, by, pace if chain else None)
        roles = {
            "emergency": Threshold(frozenset(f"chain-emergency-{n}" for n in (1, 2, 3)), 3),
            "rollout": Threshold(frozenset({"chain-rollout"}), 1),
            "health": Threshold(frozenset({"chain-health"}), 1),
        }
        until = BEGIN + PEOPLE_DAYS * DAY_MS
        pages = {"targets": Page(1, by, until, {first.name: first}, roles if chain else {})}
        if chain:
            urgent = frozenset(f"chain-emergency-{n}" for n in (1, 2, 3))
            pages["emergency"] = Page(1, urgent, until)
            pages["rollout"] = Page(1, ONLINE["chain"], until, plan=Plan(1, {"till": 1}))
            pages["health"] = Page(1, ONLINE["chain"], until)
        nothing = Page(0, ONLINE[name], 0)
        return Lists((root,), nothing, nothing, {}).publish(replace_pages({}, pages), ONLINE[name], BEGIN)

    return View(party("vendor", chain=False), party("chain", chain=True))


def _targets_of(view: View) -> Mapping[str, tuple[frozenset[str], int]]:
    return {
        name: (lists.roots[0].targets.keys, lists.roots[0].targets.need)
        for name, lists in (("vendor", view.vendor), ("chain", view.chain))
    }


_FAULTS: Final = (
    "cable cut", "cache withholds", "cache gives old lists", "asleep", "clock changed", "clock put right", "restarted", "restarted",
    "frozen",
)  # fmt: skip
