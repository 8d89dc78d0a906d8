"""Thieves: what each holds, what it publishes with it, and how far that may reach.

A thief is a set of what it has stolen; every combination is one. It is given more than it could hope for: it knows the whole chain,
signs at once with every key it has, and serves what it likes wherever it sits. What it may reach at most stands in `reach`, from the
loot alone; the laws hold it against what really ran.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from random import Random
from typing import Final

import msgspec

from oppet.base.signing import Signer
from oppet.release.agree import Listed
from oppet.release.health import Signed, Statement, sign
from oppet.release.terms import Canary, EmergencyPace, Pace, Plan, Software, emergency_name, software_name
from oppet.rollout.lists import DAY_MS, PEOPLE_DAYS, Lists, Page, Root, Threshold, View, replace_pages

__all__ = ["CANARIES", "COLUMNS", "LOOT", "NOBODY", "NONE", "PACE", "Thief", "listing", "reach", "thief_of"]

LOOT: Final = (
    "vendor-one", "vendor-targets", "vendor-online", "vendor-root", "chain-one", "chain-targets", "chain-online", "chain-root",
    "emergency", "canaries", "nodes",
)  # fmt: skip
_VENDOR: Final = frozenset({"vendor-targets", "vendor-online"})
_CHAIN: Final = frozenset({"chain-targets", "chain-online"})
COLUMNS: Final[Mapping[str, frozenset[str]]] = {
    "vendor": _VENDOR | {"vendor-root"},
    "chain": _CHAIN | {"chain-root", "emergency"},
    "both": _VENDOR | _CHAIN | {"emergency"},
    "head-office": frozenset({"chain-online"}),
    "nodes": frozenset({"nodes"}),
    "both-and-canaries": _VENDOR | _CHAIN | {"canaries"},
    "both-and-roots": _VENDOR | _CHAIN | {"vendor-root", "chain-root"},
}
NOBODY: Final = frozenset[str]()
NONE, CANARIES, PACE = "none", "canaries", "pace"
POISON: Final = "poison"
FAR: Final = 1_000_000  # a version far ahead


def reach(loot: frozenset[str], *, dormant: bool) -> str:
    """How far software of such a thief may come: nowhere, to the pinned canaries, or to the others at the pace and not faster.

    What shows itself on the canaries ends there. What lies still, until it is everywhere, canaries vouch for in good faith: then, and
    where their keys speak for the thief, or where it has held the chain's root long enough to name canaries, only the pace is left.
    """
    vendor = "vendor-root" in loot or loot >= _VENDOR
    chain = "chain-root" in loot or loot >= _CHAIN
    if not (vendor and chain):
        return NONE
    return PACE if dormant or loot & {"chain-root", "canaries"} else CANARIES


def keys_of(loot: frozenset[str]) -> frozenset[str]:
    """The names of keys that such a thief can put under a list."""
    held: set[str] = {"thief"}
    for party in ("vendor", "chain"):
        held |= {f"{party}-targets-1"} if f"{party}-one" in loot else set()
        held |= {f"{party}-targets-{n}" for n in (1, 2)} if f"{party}-targets" in loot else set()
        held |= {f"{party}-root-{n}" for n in (1, 2)} if f"{party}-root" in loot else set()
        held |= {f"{party}-online"} if f"{party}-online" in loot else set()
    held |= {"chain-rollout", "chain-health"} if "chain-online" in loot else set()
    held |= {f"chain-emergency-{n}" for n in (1, 2, 3)} if "emergency" in loot else set()
    return frozenset(held)


def listing(release: int, image: str, **custom: object) -> Listed:
    """A software target as its people would list it."""
    software = Software(release, f"0.{release}.0", "till", "any", image, 3_000_000)
    software = msgspec.structs.replace(software, **custom)
    index = sha256(f"index of {image}".encode()).hexdigest()
    return Listed(software_name("till", release), 900, (("sha256", index),), software)


@dataclass
class Thief:
    """One thief in one run. `images` are what it wants to see running."""

    loot: frozenset[str]
    chance: Random
    canaries: Mapping[str, tuple[Canary, Signer]]  # all of the chain; it uses their keys only if it has them
    keys: frozenset[str] = NOBODY
    dormant: bool = False  # its software does the honest one's work until it is everywhere
    images: list[str] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)  # those of them that are numbered by their order
    said: dict[str, tuple[Signed, ...]] = field(default_factory=dict)
    signed: list[tuple[str, Listed]] = field(default_factory=list)  # in whose list, with or without enough keys
    spoke: list[tuple[Signed, Statement]] = field(default_factory=list)  # by a key that is really that till's
    deeds: dict[str, int] = field(default_factory=dict)

    def did(self, deed: str) -> None:
        self.deeds[deed] = self.deeds.get(deed, 0) + 1

    # --- what it publishes

    def view(self, honest: View, older: list[View], now_ms: int) -> View:
        """What it serves now, made of all it could see and sign."""
        deed = self._deed()
        self.did(deed)
        match deed:
            case "old lists":
                return self.chance.choice(older)
            case "mixed lists":
                return View(self.chance.choice(older).vendor, self.chance.choice(older).chain, "thief")
            case "mixed within":
                chain, other = honest.chain, self.chance.choice(older).chain
                return replace(
                    honest,
                    chain=replace(chain, pages={**chain.pages, "targets": other.pages["targets"]}),
                    source="thief",
                )
            case "old release":
                return self._release(honest, now_ms, self._older_listing())
            case "other bytes":
                return self._release(honest, now_ms, self._poison(number=self.chance.choice((2, 3))))
            case "two meanings":
                return self._release(honest, now_ms, self._poison(), chain=self._poison())
            case "canaries minted":
                return self._rooted(self._release(honest, now_ms, self._poison()), self._minted(honest.chain))
            case "everyone is canary":
                return self._rooted(self._release(honest, now_ms, self._poison()), self._everyone(honest.chain))
            case "quick pace":
                return self._rooted(self._release(honest, now_ms, self._poison()), self._quick(honest.chain))
            case "versions far ahead":
                return self._release(honest, now_ms, self._poison(), ahead=FAR)
            case "older release chosen":
                return self._chosen(honest, now_ms, self.chance.choice((0, 1)))
        return self._release(honest, now_ms, self._poison())

    def _deed(self) -> str:
        deed = self.chance.choices(_DEEDS, _WEIGHTS)[0]
        return POISON if self.dormant and self.chance.random() < 0.9 else deed  # who lies still is patient

    def _poison(self, number: int = 0) -> Listed:
        """The same bytes for as long as they live, so that waiting for them could pay; now and then other ones."""
        if number:  # an image says which release it is: these bytes have no other number
            image = sha256(f"{POISON} {number}".encode()).hexdigest()
            if image not in self.images:
                self.images.append(image)
                self.said[image] = self._vouched(image)
            return listing(number, image)
        if not self.fresh or (not self.dormant and self.chance.random() < 0.15):
            image = sha256(f"{POISON} {len(self.images)} {self.chance.random()}".encode()).hexdigest()
            self.images.append(image)
            self.said[image] = self._vouched(image)
            self.fresh.append(image)
        at = self.chance.randrange(max(0, len(self.fresh) - 2), len(self.fresh))
        return listing(900 + at, self.fresh[at])

    def _older_listing(self) -> Listed:
        """Bytes of its own under an old number, or the number that everybody runs."""
        image = sha256(f"{POISON} old {self.chance.random()}".encode()).hexdigest()
        self.images.append(image)
        self.said[image] = self._vouched(image)
        return listing(self.chance.choice((1, 1, 2)), image)

    def _release(
        self, honest: View, now_ms: int, vendor: Listed, *, chain: Listed | None = None, ahead: int = 1
    ) -> View:
        theirs = chain or vendor
        self.signed += [("vendor", vendor), ("chain", theirs)]
        lists = {"vendor": honest.vendor, "chain": honest.chain}
        can = [
            party
            for party in lists
            if f"{party}-root" in self.loot or self.loot >= {f"{party}-targets", f"{party}-online"}
        ]
        for party in can or lists:  # a list it cannot sign it leaves as it is, if there is one that it can
            listed = vendor if party == "vendor" else theirs
            lists[party] = self._party(lists[party], party, listed, now_ms, ahead, choose=theirs.custom.release)
        return View(lists["vendor"], lists["chain"], "thief")

    def _chosen(self, honest: View, now_ms: int, release: int) -> View:
        chain = honest.chain
        plan = Plan(5_000, {"till": max(1, release)})
        page = self._page(chain.pages["rollout"], now_ms, plan=plan)
        return replace(honest, chain=chain.publish({"rollout": page}, self.keys, now_ms), source="thief")

    def _party(self, lists: Lists, party: str, listed: Listed, now_ms: int, ahead: int, choose: int = 0) -> Lists:
        if f"{party}-root" in self.loot:  # appoints its own keys, the online one too
            lists = lists.rooted(self._appointed(lists))
        targets = lists.pages["targets"]
        both = {**targets.listed, listed.name: listed}
        pages = {"targets": replace(self._page(targets, now_ms), listed=both)}
        if party == "chain":
            pages |= self._chain_roles(lists, listed, now_ms, choose)
        return lists.republish(replace_pages(lists.pages, pages), self.keys, now_ms, ahead)

    def _chain_roles(self, lists: Lists, listed: Listed, now_ms: int, choose: int) -> dict[str, Page]:
        pages = lists.pages
        honest = dict(pages["health"].said)
        replayed = tuple(one for words in honest.values() for one in words)[-60:]
        said = honest | {image: replayed + words for image, words in self.said.items()}
        roles: dict[str, Page] = {
            "rollout": self._page(pages["rollout"], now_ms, plan=Plan(5_000, {"till": choose})),
            "health": replace(self._page(pages["health"], now_ms), said=tuple(said.items())),
        }
        if "emergency" in self.loot and self.chance.random() < 0.5:
            name = emergency_name("till", listed.custom.release)
            roles["emergency"] = replace(
                self._page(pages["emergency"], now_ms), listed={name: replace(listed, name=name)}
            )
        return roles

    def _page(self, page: Page, now_ms: int, plan: Plan | None = None) -> Page:
        until = now_ms + PEOPLE_DAYS * DAY_MS
        return replace(page, version=page.version + 1, by=self.keys, expires_ms=until, plan=plan or page.plan)

    # --- roots

    def _appointed(self, lists: Lists) -> Root:
        last = lists.roots[-1]
        mine = Threshold(last.targets.keys | self.keys, 1)
        online = Threshold(last.online.keys | {"thief"}, 1)
        return Root(last.version + 1, last.root, mine, online, self.keys, last.pace)

    def _rooted(self, view: View, pace: Pace) -> View:
        root = replace(view.chain.roots[-1], version=view.chain.roots[-1].version + 1, by=self.keys, pace=pace)
        return replace(view, chain=view.chain.rooted(root))

    def _minted(self, chain: Lists) -> Pace:
        pace = _pace(chain)
        minted = []
        for number, old in enumerate(pace.canaries):
            signer = Signer(sha256(f"minted {number}".encode()).digest())
            minted.append(Canary(old.store, f"{old.store}-K9{number}", 1, signer.public.hex()))
            for image in self.images:
                self._speak(image, minted[-1], signer)
        return msgspec.structs.replace(pace, canaries=tuple(minted))

    def _everyone(self, chain: Lists) -> Pace:
        pace = _pace(chain)
        everyone = tuple(
            Canary(f"S{number:03d}", f"S{number:03d}-K1", 1, canary.key)
            for number, canary in enumerate((pace.canaries * 12)[: max(30, pace.stores // 10)], 1)
        )
        return msgspec.structs.replace(pace, canaries=everyone[:200])

    @staticmethod
    def _quick(chain: Lists) -> Pace:
        at_once = EmergencyPace(0, 1000, 1, 1)
        return msgspec.structs.replace(
            _pace(chain),
            dwell_min=0,
            stores_permille_per_hour=1000,
            evidence_tills=1,
            evidence_stores=1,
            hold_min=0,
            emergency=at_once,
        )

    # --- what it says of health

    def _vouched(self, image: str) -> tuple[Signed, ...]:
        """With the canaries' keys if it has them, else with its own: under their names, under strangers', twice."""
        for canary, signer in self.canaries.values():
            self._speak(image, canary, signer if "canaries" in self.loot else Signer(sha256(b"thief").digest()))
        for number in range(12):
            signer = Signer(sha256(f"stranger {number}".encode()).digest())
            self._speak(image, Canary(f"S{500 + number}", f"S{500 + number}-K1", 1, signer.public.hex()), signer)
        return self.said.get(image, ())

    def _speak(self, image: str, canary: Canary, signer: Signer) -> None:
        statement = Statement(canary.store, canary.till, canary.epoch, 900, image, running_min=100_000, sales=100_000)
        said = sign(statement, signer)
        self.said[image] = (*self.said.get(image, ())[-400:], said)
        if signer.public.hex() == canary.key:
            self.spoke.append((said, statement))


def _pace(chain: Lists) -> Pace:
    pace = chain.roots[0].pace
    assert pace is not None
    return pace


def thief_of(chance: Random) -> frozenset[str]:
    """A column half of the time, else any combination."""
    if chance.random() < 0.5:
        return chance.choice(list(COLUMNS.values()))
    return frozenset(one for one in LOOT if chance.random() < 0.5)


_DEEDS: Final = (
    "poison", "old lists", "mixed lists", "mixed within", "old release", "two meanings", "other bytes", "canaries minted",
    "everyone is canary", "quick pace", "versions far ahead", "older release chosen",
)  # fmt: skip
_WEIGHTS: Final = (12, 3, 2, 2, 2, 1, 3, 2, 2, 2, 1, 3)
