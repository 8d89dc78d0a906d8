"""`oppet bench publish`: a change of prices from the moment it is shown to the moment the last till of the chain charges it.

Real: both repositories, the node's cache (`drivers/publication_cache.py`) and the till's client, in some sample stores one after the
other: what a node pulls over the WAN is counted, what a till takes to look, fetch, check, read and weigh is timed. Reckoned, from these
figures and a virtual clock: when each of the chain's nodes and tills next looks, and how the nodes share head office's line. Not there:
the shop's own network, and a basket that a till waits for before it changes prices.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import zstandard

from oppet.base import canonical
from oppet.base.clock import local_minute, utc_text
from oppet.demo.goods import DATA
from oppet.drivers import files
from oppet.drivers.chunking import make_patches
from oppet.drivers.clock import SystemClock
from oppet.drivers.obtaining import obtain_goods
from oppet.drivers.publication_cache import CacheSettings, Mirror
from oppet.drivers.publication_sources import FolderSource
from oppet.drivers.publications import Publications
from oppet.drivers.repositories import Repository, Role, Threshold, make_signer
from oppet.goods.assortment import merge
from oppet.goods.catalogue import Catalogue, decode, in_slices
from oppet.release import terms
from oppet.release.found import GoodsFound
from oppet.release.goods_intake import Errand, Weighed, weigh
from oppet.release.terms import CHAIN, VENDOR, Canary, EmergencyPace, Goods, Pace, Plan
from oppet.yardstick.assortment import filled_up
from oppet.yardstick.measure import conditions, result
from oppet.yardstick.store import scratch

__all__ = ["run"]

CHANGED: Final = 200
LOOK_S: Final = 60  # of a till, as shipped (docs/settings.md)


@dataclass(frozen=True)
class Line:
    """What lies between head office and a store, in Mbit/s."""

    office: float = 1_000.0  # head office's own, shared by all stores that fetch at once
    store: float = 10.0


def run(
    stores: int = 800, tills: int = 4, sample: int = 3, articles: int = 100_000, line: Line = Line()
) -> dict[str, Any]:  # fmt: skip
    """Measure the sample, then reckon the chain. `active_last_s` is when the last till charges the new prices."""
    with scratch() as folder:
        real = merge(
            files.read(DATA / "assortment-off" / "articles.tsv"), files.read(DATA / "assortment-ours" / "terms.json")
        )
        before = filled_up(real, articles)
        after = _changed(before)
        chain = _Chain(folder / "office")
        chain.publish(1, before)
        shops = [_Shop(folder / f"store-{number}", chain) for number in range(sample)]
        first = [shop.pull() for shop in shops]
        for shop in shops:
            shop.charge(before)
        make_patches([before], after, chain.tree)
        chain.publish(2, after)
        then = [shop.pull() for shop in shops]
        timed = [shop.charge(after) for shop in shops]
    wan = statistics.median(came for came, _ in then)
    whole = len(zstandard.ZstdCompressor(level=19).compress(after)) if articles <= 20_000 else _packed(after)
    spent = {name: statistics.median(one[name] for one in timed) for name in timed[0]}
    pull_s = statistics.median(took for _, took in then)
    waits = _reckoned(stores, tills, wan, pull_s, sum(spent.values()), line)
    figures: dict[str, Any] = {
        "active_p50_s": _at(waits, 0.5), "active_p99_s": _at(waits, 0.99), "active_last_s": round(waits[-1], 1),
        "wan_bytes_per_store": int(wan), "wan_bytes_first_time": int(statistics.median(came for came, _ in first)),
        "whole_bytes": len(after), "whole_packed_bytes": whole, "node_pull_ms": round(pull_s * 1e3, 1),
    }  # fmt: skip
    figures |= {f"till_{name}_ms": round(seconds * 1e3, 1) for name, seconds in spent.items()}
    return result(
        "publish",
        figures,
        {"wan_over_whole_packed": round(wan / whole, 5), "wan_over_whole": round(wan / len(after), 6)},
        conditions(
            stores=stores, tills=tills, sample_stores=sample, articles=articles, changed=CHANGED,
            node_every_s=CacheSettings().every_s, till_every_s=LOOK_S, office_mbit_s=line.office, store_mbit_s=line.store,
        ),
    )  # fmt: skip


def _packed(data: bytes) -> int:
    return len(zstandard.ZstdCompressor(level=9).compress(data))


def _at(waits: list[float], share: float) -> float:
    return round(waits[min(len(waits) - 1, int(share * len(waits)))], 1)


def _changed(document: bytes) -> bytes:
    """Other prices for some articles, within what one person may change."""
    said: dict[str, Any] = msgspec.json.decode(document)
    articles = said["articles"]
    for article in Random(4711).sample(articles, min(CHANGED, len(articles) // 40)):
        for price in article["prices"]:
            price["ore"] = price["ore"] * 103 // 100 + 1
    said["version"] = "bench-2"
    return msgspec.json.encode(said)


def _reckoned(stores: int, tills: int, wan: float, pull_s: float, till_s: float, line: Line) -> list[float]:
    """Seconds until each till of the chain charges the new prices, in order."""
    chance, every = Random(4711), float(CacheSettings().every_s)
    asks = sorted(chance.uniform(0, every) for _ in range(stores))
    alone_s = wan * 8 / (line.store * 1e6)
    waits, free_at = [], 0.0
    for asked in asks:
        free_at = max(free_at, asked) + wan * 8 / (line.office * 1e6)  # head office's line, one after the other
        here = max(free_at, asked + alone_s) + pull_s
        for _ in range(tills):
            waits.append(here + chance.uniform(0, LOOK_S) + till_s)
    return sorted(waits)


# ---------------------------------------------------------------- the sample


class _Chain:
    """Head office: both repositories in one tree, one publisher."""

    def __init__(self, tree: Path) -> None:
        self.tree, self.now = tree, SystemClock().now()
        keys = [make_signer() for _ in range(12)]
        self._publisher, self._online = make_signer(), make_signer()
        roles = [
            Role("goods", Threshold([self._publisher], 1), ["goods/*"]),
            Role("rollout", Threshold([self._online], 1), ["rollout/*"]),
        ]
        pace = Pace(
            800, (Canary("S001", "S001-K1", 1, "b2" * 32),), 1, 1, 1, 60, 600, 125, 4320, EmergencyPace(30, 125, 1, 1)
        )
        self._vendor = Repository.make(
            tree / VENDOR,
            root=Threshold(keys[:3], 2),
            targets=Threshold(keys[3:6], 2),
            online=make_signer(),
            now=self.now,
        )
        self._chain = Repository.make(
            tree / CHAIN, root=Threshold(keys[6:9], 2), targets=Threshold(keys[9:], 2), online=self._online, now=self.now,
            pace=pace, roles=roles,
        )  # fmt: skip
        self._chain.add("rollout", terms.PLAN, canonical.encode(Plan(1)))
        self._chain.sign("rollout", [self._online])

    @property
    def roots(self) -> Mapping[str, bytes]:
        return {VENDOR: self._vendor.root_bytes(1), CHAIN: self._chain.root_bytes(1)}

    def publish(self, number: int, document: bytes) -> None:
        said = Goods("assortment", number, utc_text(self.now))
        self._chain.add("goods", terms.goods_name("assortment", number, wide=False), document, said)
        self._chain.sign("goods", [self._publisher])
        self._chain.publish(self._online, self.now)


class _Shop:
    """One store of the sample: a node's cache, and a till that looks at it."""

    def __init__(self, folder: Path, chain: _Chain) -> None:
        self._chain, self._folder = chain, folder
        self._office = FolderSource("head office", chain.tree)
        self._mirror = Mirror(folder / "pub", lambda: [[self._office]], ())
        self._node = FolderSource("node", folder / "pub")
        self._client = Publications(folder / "trust", chain.roots, "S001")
        self._charged = b""

    def pull(self) -> tuple[int, float]:
        """Bytes over the WAN and seconds of one round of the node."""
        came, began = self._office.bytes, time.perf_counter()
        pulled = self._mirror.pull()
        took = time.perf_counter() - began
        assert not pulled.waiting, pulled.waiting
        return self._office.bytes - came, took

    def charge(self, document: bytes) -> dict[str, float]:
        """Look, fetch, check, read and weigh, as a till does; seconds of each."""
        charged = decode(self._charged) if self._charged else None
        began = time.perf_counter()
        found = self._client.look([self._node], self._chain.now)
        looked = time.perf_counter()
        one = max(found.goods, key=lambda goods: goods.goods.number)
        data, _ = obtain_goods(
            one.name, one.length, one.sha256, [self._charged] if self._charged else [], [self._node],
            lambda: self._client.target(one.name, one.length, one.sha256, CHAIN, [self._node]),
        )  # fmt: skip
        fetched = time.perf_counter()
        assert data == document
        if charged is not None:
            self._weigh(one, data, charged)
        weighed = time.perf_counter()
        self._charged = data
        return {"look": looked - began, "fetch": fetched - looked, "read_and_weigh": weighed - fetched}

    def _weigh(self, one: GoodsFound, data: bytes, charged: Catalogue) -> None:
        digest, now = canonical.digest(self._charged), self._chain.now
        errand = Errand(one, charged, digest, digest, "S001", local_minute(now), now)
        weighed = _drained(weigh(errand, data, lambda: in_slices(self._charged)))
        assert not weighed.why, weighed.why


def _drained(slices: Generator[None, None, Weighed]) -> Weighed:
    while True:
        try:
            next(slices)
        except StopIteration as done:
            weighed: Weighed = done.value
            return weighed
