"""A made-up chain for pages and pictures: twelve stores in three banners, weeks of hours, one store silent, others lagging.

The day's shape, the departments' shares and the week's are those of the complete-journey set (CC0); everything else is
chance from a seed. One till is a real one: its journal came through the keeper, so its receipts lead to their bytes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from math import exp
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from oppet.base.clock import SWEDEN, parse_utc, utc_text
from oppet.base.signing import Signer
from oppet.drivers.office_pg import OfficeTables
from oppet.drivers.page_guard import Door, MemorySessions
from oppet.drivers.passkeys import Challenges, Passkeys
from oppet.drivers.pg import Pool
from oppet.drivers.shelf_pg import PgShelf, stream_id_of
from oppet.figures.views import Views
from oppet.hq.directory import HqDirectory
from oppet.hq.people import People
from oppet.hq.web import Context
from oppet.journal.kinds import Body
from oppet.sync.certificates import StoreCertificate, TillCertificate, make_paper
from oppet.sync.keeper import Keeper
from oppet.sync.messages import KeeperInfo
from oppet.sync.sender import as_of
from tests.hq.sold import a_day, chained, envelopes
from tests.register.world import SECRET
from tests.sync.chain import HQ, MANAGER, NODE, FakeClock, History

__all__ = ["CLEAN", "NOW", "SELLER", "STORES", "TODAY", "DemoChain", "Place", "a_place", "make_chain"]

NOW = parse_utc("2026-11-20T13:33:40.000Z")  # 14:33:40 on a Friday
TODAY = "2026-11-20"
SHAPE = (0, 0, 0, 0, 0, 0, 0, 13, 23, 38, 53, 71, 76, 81, 79, 90, 96, 101, 86, 72, 50, 28, 0, 0)
WEEK = (0.95, 0.89, 0.87, 0.88, 1.12, 1.16, 1.05)
GROUPS = (
    ("Skafferi", 1200, 290), ("Mejeri", 1200, 145), ("Kött och chark", 1200, 150), ("Frukt och grönt", 1200, 115),
    ("Kemtekniskt", 2500, 95), ("Dryck", 1200, 70), ("Bröd", 1200, 60), ("Fryst", 1200, 55), ("Blommor", 2500, 12), ("Tidningar", 600, 8),
)  # fmt: skip
STORES = (
    ("S01", "Storgatan", "Nära", 2, 30), ("S02", "Hamnen", "Nära", 2, 24), ("S03", "Kvarnen", "Nära", 2, 21),
    ("S04", "Stationen", "Nära", 3, 36), ("S05", "Backen", "Nära", 2, 18), ("S06", "Ringvägen", "Stormarket", 5, 160),
    ("S07", "Industrivägen", "Stormarket", 6, 190), ("S08", "Sjöstaden", "Stormarket", 5, 140), ("S09", "Torget", "Torget", 4, 88),
    ("S10", "Kyrkbyn", "Torget", 3, 64), ("S11", "Norra Torget", "Torget", 4, 92), ("S12", "Brukstorget", "Torget", 3, 57),
)  # fmt: skip
SILENT, ONE_TILL, BEHIND, SELLER, CLEAN = "S01", "S09-K2", "S11", "S04-K9", "S10-K9"


class NoPost:
    """An audit journal that remembers."""

    def __init__(self) -> None:
        self.said: list[Body] = []

    def write(self, *bodies: Body) -> None:
        self.said += bodies


@dataclass
class Place:
    """What head office's pages stand on, over a real database."""

    dsn: str
    context: Context
    post: NoPost
    clock: FakeClock
    pool: Pool
    alarms: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def cookie(self, *roles: str) -> dict[str, str]:
        """Bo signed in."""
        door = self.context.door
        return {door.cookie: door.signed_in(301, "Bo", roles or ("viewer", "operations", "finance"), "passkey")}


@contextmanager
def a_place(dsn: str, hosts: Sequence[str] = ("office.test:1",), now: int = NOW) -> Iterator[Place]:
    clock, post, pool = FakeClock(), NoPost(), Pool(dsn)
    clock.at = now
    tables = OfficeTables(pool)
    info = KeeperInfo("hq", "hq", "https://127.0.0.1:1", HQ.public.hex())
    directory = HqDirectory(tables, HQ, clock, lambda: info)
    door = Door("hq", MemorySessions(), post.write, clock, hosts)
    people = People(tables, Passkeys("localhost", [f"http://{host}" for host in hosts]), Challenges(HQ), door)
    context = Context(tables, people, directory, door, clock, dsn)
    try:
        yield Place(dsn, context, post, clock, pool)
    finally:
        pool.close()


@dataclass
class DemoChain:
    """What was made, to hold pages against."""

    seller: History  # two of its entries are in quarantine
    clean: History


def make_chain(place: Place, weeks: int = 5, groups: int = len(GROUPS), seed: int = 4711) -> DemoChain:
    """Fill an empty, migrated database."""
    issued = "2026-01-02T08:00:00.000Z"
    papers = [
        make_paper(StoreCertificate(store, name, banner, MANAGER.public.hex(), NODE.public.hex(), issued), HQ)
        for store, name, banner, _, _ in STORES
    ]
    key = Signer(SECRET).public.hex()
    papers += [
        make_paper(TillCertificate(till, 1, till[:3], "K9-1", key, issued), MANAGER, HQ) for till in (SELLER, CLEAN)
    ]
    place.context.directory.introduce(papers)
    with psycopg.connect(place.dsn) as connection:
        first = date.fromisoformat(TODAY) - timedelta(days=7 * weeks)
        connection.execute("SELECT make_partitions(%s, %s)", (first, date.fromisoformat(TODAY)))
        _hours(connection, weeks, groups, Random(seed))
        _streams(connection)
    return DemoChain(_seller(place, SELLER, spoilt=True), _seller(place, CLEAN, spoilt=False))


def _until(store: str, till: str) -> tuple[int, int]:
    """Complete to, and heard."""
    if store == SILENT:
        return NOW - 88 * 60_000, NOW - 88 * 60_000 + 2_000  # 13:05
    if till == ONE_TILL:
        return NOW - 166 * 60_000, NOW - 166 * 60_000 + 2_000  # 11:47
    if store == BEHIND:
        return NOW - 24 * 60_000, NOW - 15_000
    return NOW - 14_000, NOW - 12_000


def _streams(connection: psycopg.Connection[Any]) -> None:
    for store, _, _, tills, _ in STORES:
        for number in range(1, tills + 1):
            till = f"{store}-K{number}"
            upto, heard = _until(store, till)
            connection.execute(
                "INSERT INTO stream (store_id, stream_id, till, epoch, base_seq, base_digest, head_seq, head_digest, head_time, "
                "as_of, as_of_seq, heard, provisional) VALUES (%s, %s, %s, 1, 0, ''::bytea, 9000, ''::bytea, %s, %s, 9000, %s, %s)",
                (store, stream_id_of(till, 1, ""), till, utc_text(upto - 40_000), utc_text(upto), utc_text(heard), till == "S12-K3"),
            )  # fmt: skip


def _hours(connection: psycopg.Connection[Any], weeks: int, groups: int, rng: Random) -> None:
    chosen = GROUPS[:groups]
    whole = sum(share for _, _, share in chosen)
    hours: list[tuple[Any, ...]] = []
    parts: list[tuple[Any, ...]] = []
    tenders: list[tuple[Any, ...]] = []
    last = date.fromisoformat(TODAY)
    for back in range(7 * weeks, -1, -1):
        day = last - timedelta(days=back)
        everybody = exp(rng.gauss(0.0, 0.06)) * WEEK[day.weekday()]
        for store, _, _, tills, size in STORES:
            own = exp(rng.gauss(0.0, 0.05)) * everybody
            for number in range(1, tills + 1):
                till = f"{store}-K{number}"
                stream = stream_id_of(till, 1, "")
                upto = _until(store, till)[0]
                paid = 0
                for hour, shape in enumerate(SHAPE):
                    began = datetime(day.year, day.month, day.day, hour, tzinfo=SWEDEN).astimezone(UTC)
                    share = 1.0 if back else min(max((upto - began.timestamp() * 1000) / 3_600_000, 0.0), 1.0)
                    ore = int(own * size * 100_000 * shape / 1000 / tills * 10 * exp(rng.gauss(0, 0.12)) * share)
                    if ore <= 0:
                        continue
                    paid += ore
                    receipts = max(1, ore // 24_000)
                    hours.append(
                        (store, day, began, stream, receipts, 0, ore, 0, ore * 12 // 112, 0, ore // 30, 9 * receipts)
                    )
                    left = ore
                    for place, (group, rate, part) in enumerate(chosen):
                        of = (
                            left
                            if place == len(chosen) - 1
                            else min(left, int(ore * part / whole * exp(rng.gauss(0, 0.1))))
                        )
                        left -= of
                        parts.append(
                            (store, day, began, stream, group, rate, of, of * rate // (10_000 + rate), 1000, receipts)
                        )
                if not back:
                    for tender, (means, share_of) in enumerate((("card", 78), ("cash", 9), ("swish", 13)), 1):
                        tenders.append((store, day, stream, 1, tender, means, paid * share_of // 100))
    for table, rows in (("hour_sale", hours), ("hour_group", parts), ("tender", tenders)):
        with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def _seller(place: Place, till: str, *, spoilt: bool) -> History:
    """A real till's day moved to this morning; spoilt: two receipts have bad content and a good signature."""
    with tempfile.TemporaryDirectory() as folder:
        said = envelopes(a_day(Path(folder), 14, till))
    began = parse_utc(said[0]["time"])
    start = parse_utc("2026-11-20T07:05:00.000Z")
    receipts = 0
    for envelope in said:
        envelope["time"] = utc_text(start + (parse_utc(envelope["time"]) - began))
        if spoilt and envelope["kind"] == "receipt" and envelope["body"]["kind"] == "sale":
            receipts += 1
            if receipts == 3:
                envelope["body"]["vat"] = []
            if receipts == 5:
                envelope["body"]["total_ore"] = "<b>99</b>"
    history = chained(said, till)
    shelf = PgShelf(place.dsn, Views().see, place.clock)
    standing = place.context.directory.standing
    keeper = Keeper("hq", HQ, shelf, standing, place.clock, lambda about, **facts: place.alarms.append((about, facts)))
    word = as_of(Signer(SECRET), till, 1, history.head, NOW - 14_000)
    answer = keeper.receive(history.batch(0, history.head.seq, as_of=word))
    shelf.close()
    assert answer.status == "kept", answer
    return history
