"""The manager's pages served for a browser: a store that sold last week and today, one till cut off, one fork behind it."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from oppet.base.clock import parse_utc, utc_text
from oppet.base.signing import Signer
from oppet.goods.catalogue import Catalogue
from oppet.goods.freshness import StoreMarkDown
from oppet.journal.entry import parse
from oppet.journal.kinds import LineAdded, SaleOpened
from oppet.register.till import Till
from oppet.store.web import create_app
from oppet.store.web_node import Contact, Upward
from oppet.sync.certificates import Revocation, make_paper
from oppet.sync.enrolment import Invitation
from oppet.sync.errors import KeeperAwayError
from tests.browser.serving import demo_goods
from tests.register.world import FakeClock
from tests.store.backroom import FakeBackroom, a_post, a_staff_list
from tests.store.shop import ALVA, BO, SoManyCopies, StoreTill, a_store_till
from tests.sync.chain import MANAGER

__all__ = ["ServedStore", "a_real_store", "served_store"]

TODAY = parse_utc("2026-11-22T07:02:00.000Z")  # a Sunday; 08:02 in Sweden
WEEK_MS = 7 * 24 * 3_600_000
MINUTE_MS = 60_000
NOW = parse_utc("2026-11-22T13:46:20.000Z")  # 14:46
CUT_OFF = parse_utc("2026-11-22T12:05:00.000Z")  # 13:05
PACE_MIN = 9  # between two sales at noon


@dataclass
class ServedStore:
    url: str
    node: FakeBackroom


@dataclass
class RunningClock(FakeClock):
    began: float = 0.0

    def now(self) -> int:
        return self.instant + self.counter()

    def counter(self) -> int:
        self.began = self.began or time.monotonic()
        return int((time.monotonic() - self.began) * 1000)


def a_morning(till: Till, world: StoreTill, goods: Catalogue, until: int, chance: random.Random) -> None:
    """Customers come one after the other, most of them around noon, until the clock says so."""
    plain = [
        article.number
        for article in goods.search("mjölk", 30) + goods.search("bröd", 30)
        if article.unit == "st" and not article.age
    ]
    clock = world.clock
    while clock.now() < until:
        for _ in range(chance.randint(1, 6)):
            till.selling.pick(chance.choice(plain))
        total = till.desk.priced(till.desk.basket()).total_ore
        if chance.random() < 0.6:
            till.checkout.pay("card", total, "1234")
        else:
            till.checkout.pay("cash", -(-total // 10_000) * 10_000)
        minute = (clock.now() // MINUTE_MS) % (24 * 60)
        hurry = abs(minute - 11 * 60 - 30) // 60  # hours from half past twelve
        pause = MINUTE_MS * chance.randint(PACE_MIN // 2, PACE_MIN + 4 * hurry)
        clock.pass_ms(min(pause, max(until - clock.now(), 1)))


def a_till_of_a_week(folder: Path, name: str, until: int, seed: int, **more: object) -> StoreTill:
    """Last Sunday from eight to six, closed with a Z; today until the clock says so, one basket parked and one open."""
    chance, goods = random.Random(seed), demo_goods()
    clock = FakeClock(TODAY - WEEK_MS)
    till, world = a_store_till(folder, name, clock=clock, catalogue=goods, keepers=SoManyCopies(2), **more)
    a_morning(till, world, goods, TODAY - WEEK_MS + 10 * 3_600_000, chance)
    expected = till.desk.state.tally.cash_expected_ore() // 100 * 100
    till.drawer.count({100: expected // 100 - (seed % 3) * 5})
    till.drawer.z(BO)
    clock.pass_ms(TODAY - clock.now())
    till.sign_in(BO)
    till.drawer.set_float(150_000)
    till.sign_in(ALVA)
    a_morning(till, world, goods, until, chance)
    till.selling.pick("10001")
    till.selling.pick("10002")
    till.selling.park()
    till.selling.pick("10003")
    return world


def a_real_store(folder: Path, clock: FakeClock) -> FakeBackroom:
    """S01-K1 is well. S01-K2 was forked and revoked at ten, enrolled again, and is cut off since 13:05."""
    node = FakeBackroom(clock)
    first = a_till_of_a_week(folder / "K1", "S01-K1", NOW - 2 * MINUTE_MS, 1)
    old = a_till_of_a_week(folder / "K2", "S01-K2", TODAY + 2 * 3_600_000, 2)
    second, world = a_store_till(
        folder / "K2b", "S01-K2", clock=FakeClock(TODAY + 2 * 3_600_000 + 20 * MINUTE_MS), catalogue=demo_goods(), epoch=2,
        keepers=SoManyCopies(1),
    )  # fmt: skip
    a_morning(second, world, demo_goods(), CUT_OFF - MINUTE_MS, random.Random(5))
    for article in ("10003", "10005", "10006"):
        second.selling.pick(article)
    second.selling.park()
    for made in (first, old, world):
        node.certify(
            made.name,
            made.epoch,
            Signer(made.secret).public if made.epoch == 1 else bytes(range(32)),
            countersigned=True,
        )
        node.take(made)
        assert made.journal is not None
        made.journal.close()
    entries = node.kept["S01-K2", 1, ""][1]
    at = len(entries) - 12
    clock.instant, now = parse_utc(parse(entries[at]).time) + 4 * MINUTE_MS, clock.instant
    line = LineAdded(900, 1, "10001", "Mellanmjölk 1 l", "Mejeri", "vara", 1000, "st", 1_690, 1_690, 600)
    node.fork("S01-K2", at, [SaleOpened(900, "sale", 101), line])
    clock.instant = now
    reason = "Två journaler: gammal diskavbild"
    node.directory.add(make_paper(Revocation("S01-K2", 1, reason, utc_text(now)), MANAGER))
    node.heard = {"S01-K1": Contact(heard=NOW - 3_000), "S01-K2": Contact(heard=CUT_OFF + 21_000)}
    node.up = Upward(
        waiting=212,
        since="2026-11-22T13:31:00.000Z",
        why=str(KeeperAwayError(keeper="HQ", why="no answer in time")),
        heard=NOW - 15 * MINUTE_MS,
    )
    for key, (base, kept) in node.kept.items():
        node.above[key] = (
            base.seq + len(kept) - (150 if key == ("S01-K1", 1, "") else 62 if key == ("S01-K2", 2, "") else 0)
        )
    opened = NOW - 3 * MINUTE_MS
    node.doors = [
        Invitation("I-3", "till", "S01", "S01-K3", "K3", "K7QM4TXP", opened, 301),
        Invitation("I-2", "till", "S01", "S01-K2", "K2", "", NOW - 200 * MINUTE_MS, 301, used=True),
    ]
    return node


@contextmanager
def served_store(folder: Path) -> Iterator[ServedStore]:
    """Serve the pages of that store on a port of their own until the block ends."""
    node = a_real_store(folder, RunningClock(NOW))
    node.mark_down(StoreMarkDown("2026-11-24", "Kort datum", gtin="07310865004703", percent=30), 301)
    node.mark_down(StoreMarkDown("2026-11-30", "Utgår ur sortimentet", article="204711", price_ore=1250), 301)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with a_post(folder / "post", node.clock) as post:
        app = create_app(node, post, a_staff_list(), [f"127.0.0.1:{port}"])
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield ServedStore(f"http://127.0.0.1:{port}/", node)
        finally:
            server.should_exit = True
            thread.join(10)
