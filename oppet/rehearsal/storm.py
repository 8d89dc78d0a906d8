"""`oppet bench storm`: an acquirer that answers in 30 s, then not at all, then again, and 610 tills that ask it (23 December).

What the acquirer sees is counted under a virtual clock: 610 real registers on journals in memory, each paying by card as on a busy day,
their cashiers turning to cash where nobody knows. Whether a till is slowed is measured on the real clock: two tills on real journals, one
with forty open tenders and the ticking thread of the page at work, one calm, scanning and selling for cash by turns.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from oppet.base.clock import parse_utc
from oppet.base.errors import OppetError
from oppet.goods.catalogue import decode
from oppet.journal.kinds import EpochOpened, Evidence
from oppet.payments.paths import Answer, PathNow, Progress, Work
from oppet.register.desk import Rules
from oppet.register.ports import Ports
from oppet.register.till import Till
from oppet.rehearsal.ledger import Days
from oppet.rehearsal.world import SIGNER
from oppet.sale import basket as baskets
from oppet.sale.rights import Staff
from oppet.sale.settle import left_to_pay
from oppet.sim.devices import a_catalogue
from oppet.sim.disks import Disk
from oppet.yardstick.in_process import InstantUnit, NoPaper
from oppet.yardstick.measure import conditions, percentiles, result
from oppet.yardstick.store import demo_assortment, no_codes, open_for_bench, scratch

__all__ = ["Acquirer", "run"]

BEGIN = parse_utc("2026-12-23T15:00:00.000Z")
CALM_S, SLOW_S, AWAY_S, AFTER_S = 120, 300, 300, 1_500
SLOW_MS, WAIT_MS = 30_000, 45_000  # its answer while it is slow; what a terminal waits for one
BEAT_MS = 1_000
BUSY_S = 40  # between two card customers at one till
LOST_OF = 3  # of the payments asked while it is away, one in so many is charged all the same
LOOSE = 40  # tenders that nobody knows of at the till that is measured
TICK_S = 0.25  # as the till's page


class Acquirer:
    """What every till of the chain asks in the end: counts who asks, and answers as the day goes."""

    def __init__(self, days: Days) -> None:
        self.days = days
        self.delay_ms = 800
        self.away = False
        self.asked: dict[str, Counter[int]] = {"payment": Counter(), "query": Counter()}  # by the second
        self.charged: dict[str, int] = {}
        self.credited: set[str] = set()
        self.lost: list[str] = []  # what was asked while nobody was answered

    def take(self, work: Work, reply: Callable[[str, int], None]) -> None:
        kind = "payment" if work.what == "payment" else "query"
        self.asked[kind][(self.days.now - BEGIN) // 1_000] += 1
        if self.away:
            if kind == "payment" and len(self.lost) % LOST_OF == 0:
                self._decide(work)  # it was charged, and nobody was told
            self.lost.append(work.request)
            self.days.later(WAIT_MS, lambda: reply("silent", 0))
            return
        outcome, amount = self._decide(work)
        self.days.later(self.delay_ms, lambda: reply(outcome, amount))

    def _decide(self, work: Work) -> tuple[str, int]:
        if work.what == "payment":
            self.charged[work.request] = work.amount_ore
            return "approved", work.amount_ore
        if work.what == "reversal":
            assert work.about not in self.credited, "one payment given back twice"
            self.credited.add(work.about)
            return "reversed", work.amount_ore
        if work.what == "abort":
            return "approved", 0
        paid = self.charged.get(work.about)
        return ("approved", paid) if paid is not None else ("not_found", 0)


class _Wire:
    """A till's way to the acquirer."""

    means, idempotent, by_hand = "card", False, False

    def __init__(self, name: str, acquirer: Acquirer, *, exclusive: bool = True) -> None:
        self.name, self.exclusive = name, exclusive
        self._acquirer = acquirer
        self._inbox: list[Answer] = []
        self.state = "working"

    def name_request(self, till: str, epoch: int, number: int) -> str:
        return f"{till}-{epoch}-{number}"

    def send(self, work: Work) -> None:
        def reply(outcome: str, amount_ore: int) -> None:
            self.state = "down" if outcome == "silent" else "working"
            paid = outcome == "approved" and work.what != "abort"
            evidence = Evidence(work.about or work.request, "15:00", "A1") if paid else None
            self._inbox.append(
                Answer(work.sale, work.tender, work.what, work.request, outcome, amount_ore, "", evidence)
            )

        self._acquirer.take(work, reply)

    def heard(self) -> Sequence[Answer]:
        found, self._inbox = self._inbox, []
        return found

    def progress(self, request: str) -> Progress | None:  # noqa: ARG002 - the port's word
        return None

    def now(self) -> PathNow:
        return PathNow(self.state)


class _Shop:
    """One till of the chain under the virtual clock, and who stands at it."""

    def __init__(self, name: str, days: Days, acquirer: Acquirer, chance: Random) -> None:
        self.days, self.chance = days, chance
        self.path = _Wire("card-1", acquirer)
        unit = InstantUnit(f"U{name}")
        journal = Disk(name, lambda *_: None).journal(name, 1, SIGNER)
        ports = Ports(journal, SIGNER, self, [unit], [NoPaper()], CATALOGUE, "storm", payments=[self.path])
        self.till = Till(ports, Rules(disk_least_mb=0), str, lambda *_, **__: "", no_codes)
        self.till.start(_opening(name, unit.unit))
        self.till.sign_in(Staff(101, "manager"))
        self.till.drawer.set_float(50_000)
        self.next_at = days.now + chance.randrange(BUSY_S * 1_000)
        self.cash = 0

    def now(self) -> int:
        return self.days.now

    def counter(self) -> int:
        return self.days.now

    def beat(self, *, open_shop: bool) -> None:
        """What happens at this till in a second."""
        state = self.till.desk.state
        if state.attempts():
            self.till.tenders.tick()
        basket = state.baskets.get(state.current)
        if basket is None:
            if open_shop and self.days.now >= self.next_at:
                self.next_at = self.days.now + self.chance.randrange(BUSY_S * 500, BUSY_S * 1_500)
                self._customer()
            return
        if basket.state == baskets.PAYING and all(one.state == "unknown" for one in basket.pending()):
            self.till.checkout.pay("cash", 1_000_000)  # nobody knows: the customer pays cash and goes
            self.cash += 1

    def _customer(self) -> None:
        self.till.selling.pick("1001")
        basket = self.till.desk.basket()
        try:
            self.till.tenders.ask("card-1", left_to_pay(basket, self.till.desk.priced(basket)))
        except OppetError:  # the terminal waits for an earlier customer's answer
            self.till.checkout.pay("cash", 1_000_000)
            self.cash += 1


def run(tills: int = 610, scans: int = 1_500, sales: int = 250) -> dict[str, Any]:
    """Measure both halves."""
    seen = _chain(tills)
    with scratch() as folder:
        slowed = _slowed(folder, scans, sales)
    figures, ratios = slowed
    return result(
        "storm",
        figures | seen,
        ratios,
        conditions(
            tills=tills,
            calm_s=CALM_S, slow_s=SLOW_S, slow_answer_s=SLOW_MS // 1_000, away_s=AWAY_S, watched_after_s=AFTER_S,
            virtual="the acquirer's view: registers on journals in memory, a virtual clock",
            real="scan and cash: two tills on real journals by turns, one with open tenders and the page's ticking thread",
            open_tenders=LOOSE,
            limit_ratio=1.2,
        ),
    )  # fmt: skip


def _chain(tills: int) -> dict[str, Any]:
    """The day at every till; what the acquirer saw."""
    days = Days(BEGIN)
    acquirer, chance = Acquirer(days), Random(1223)
    shops = [_Shop(f"K{number}", days, acquirer, chance) for number in range(tills)]
    slow, away = CALM_S, CALM_S + SLOW_S
    back = away + AWAY_S
    end = back + AFTER_S
    still_open = 0
    for second in range(end):
        acquirer.delay_ms = SLOW_MS if slow <= second < away else 800
        acquirer.away = away <= second < back
        days.pass_to(BEGIN + second * BEAT_MS)
        for shop in shops:
            shop.beat(open_shop=second < end - 60)
        if second == back:
            still_open = sum(len(shop.till.desk.state.attempts()) for shop in shops)
    left = sum(len(shop.till.desk.state.attempts()) for shop in shops)
    queries = acquirer.asked["query"]
    first, last = _per_s(queries, away + 50, away + 110), _per_s(queries, back - 60, back)
    return {
        "queries_per_s_first_minute_away": first,
        "queries_per_s_last_minute_away": last,
        "queries_per_s_worst": max((queries[second] for second in range(end)), default=0),
        "queries_per_s_first_minute_back": _per_s(queries, back, back + 60),
        "queries_per_s_ten_minutes_back": _per_s(queries, back + 600, back + 660),
        "payments_per_s_calm": _per_s(acquirer.asked["payment"], 0, CALM_S),
        "payments_per_s_first_minute_back": _per_s(acquirer.asked["payment"], back, back + 60),
        "open_when_back": still_open,
        "open_at_the_end": left,
        "paid_in_cash_instead": sum(shop.cash for shop in shops),
        "given_back": len(acquirer.credited),
    }


def _per_s(counts: Counter[int], first: int, last: int) -> float:
    return round(sum(counts[second] for second in range(first, last)) / (last - first), 2)


# --- is a till slowed?


def _slowed(folder: Path, scans: int, sales: int) -> tuple[dict[str, Any], dict[str, Any]]:
    catalogue = decode(demo_assortment())
    codes = [
        article.gtins[0][1:]
        for article in map(catalogue.article, sorted(catalogue.numbers()))
        if article.unit == "st" and article.gtins and not article.age
    ][:60]
    silent = Acquirer(Days(BEGIN))
    silent.away = True
    tills = {}
    for name in ("calm", "storm"):
        (folder / name).mkdir()
        path = _Wire("card-1", silent, exclusive=False)
        till, journal = open_for_bench(folder / name, catalogue, name=name.upper(), payments=(path,))
        tills[name] = till, journal, path
    _leave_open(tills["storm"][0], silent.days, codes[0])
    times: dict[str, dict[str, list[float]]] = {name: {"scan": [], "cash": []} for name in tills}
    with _ticking([(till, name == "storm") for name, (till, _, _) in tills.items()], silent.days) as locks:
        for turn in range(max(2, sales)):
            for name, (till, _, _) in tills.items() if turn % 2 else reversed(tills.items()):
                _sell(till, locks[id(till)], codes, times[name], max(2, scans // max(2, sales)), turn)
    for _, journal, _ in tills.values():
        journal.close()
    figures: dict[str, Any] = {}
    ratios: dict[str, Any] = {}
    for what in ("scan", "cash"):
        calm, storm = (percentiles("", times[name][what]) for name in ("calm", "storm"))
        figures |= {f"{what}_p99_calm_ms": calm["p99_ms"], f"{what}_p99_storm_ms": storm["p99_ms"]}
        figures |= {f"{what}_p50_calm_ms": calm["p50_ms"], f"{what}_p50_storm_ms": storm["p50_ms"]}
        ratios[f"{what}_p99_storm_to_calm"] = round(storm["p99_ms"] / calm["p99_ms"], 3)
        ratios[f"{what}_p50_storm_to_calm"] = round(storm["p50_ms"] / calm["p50_ms"], 3)
    return figures, ratios


def _leave_open(till: Till, days: Days, code: str) -> None:
    """Customers who paid cash because nobody knew what became of their card."""
    for _ in range(LOOSE):
        till.selling.scan(code)
        basket = till.desk.basket()
        till.tenders.ask("card-1", left_to_pay(basket, till.desk.priced(basket)))
        days.pass_to(days.now + WAIT_MS)
        till.tenders.tick()
        till.checkout.pay("cash", 1_000_000)


@contextmanager
def _ticking(tills: Sequence[tuple[Till, bool]], days: Days) -> Iterator[dict[int, threading.Lock]]:
    """The page's thread at each till, as often as the page has it; the acquirer's silence runs on the real clock."""
    locks = {id(till): threading.Lock() for till, _ in tills}
    over, began, start = threading.Event(), time.monotonic(), days.now

    def tick(till: Till, *, often: bool) -> None:
        while not over.wait(TICK_S if often else 4 * TICK_S):
            with locks[id(till)]:
                if often:
                    days.pass_to(start + round((time.monotonic() - began) * 1_000))
                till.tenders.tick()

    threads = [threading.Thread(target=tick, args=(till,), kwargs={"often": often}) for till, often in tills]
    for thread in threads:
        thread.start()
    try:
        yield locks
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _sell(
    till: Till, lock: threading.Lock, codes: Sequence[str], times: dict[str, list[float]], lines: int, turn: int
) -> None:
    """One customer: some scans, then cash; each under the counter's lock, as a page's request is."""
    for line in range(lines):
        began = time.perf_counter()
        with lock:
            till.selling.scan(codes[(turn + line) % len(codes)])
            till.desk.priced(till.desk.basket())
        times["scan"].append(time.perf_counter() - began)
    began = time.perf_counter()
    with lock:
        till.checkout.pay("cash", 5_000_000)
    times["cash"].append(time.perf_counter() - began)


def _opening(name: str, unit: str) -> EpochOpened:
    return EpochOpened(
        store="S01",
        company="Stormarket ekonomisk förening",
        org_no="5566778899",
        address="Torget 1",
        register=f"{name}-1",
        manufacturing_no=f"OPPET-{name}",
        model="Öppet SE",
        software="storm",
        public_key=SIGNER.public.hex(),
        units=(unit,),
        installation="storm",
    )


CATALOGUE = a_catalogue()
