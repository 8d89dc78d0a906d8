"""Journals of a real till for the tests of head office: entries, heads, and a shelf to put them on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import psycopg

from oppet.base import canonical
from oppet.base.signing import Signer
from oppet.drivers.hq_rows import See
from oppet.drivers.shelf_pg import PgShelf
from oppet.figures.views import Views
from oppet.journal.entry import NOTHING, Head, parse
from oppet.register.till import Till
from oppet.sync.certificates import Standing
from oppet.sync.keeper import Keeper
from tests.register.world import BANANA, BO, BREAD, COLA, CRISPS, MILK, SECRET, World, a_till
from tests.sync.chain import HQ, FakeClock, History

NOW = 1_795_424_400_000  # 2026-11-23T09:00Z: the day after these tills sold
VIEWS = (
    "receipt", "line", "tender", "hour_sale", "hour_group", "z_report", "till_case", "quarantine", "asked_tender", "path_state",
    "obeyed",
)  # fmt: skip


def sell_a_day(till: Till, world: World, sales: int, seed: int = 1) -> None:
    """Sales, now and then a return, a training sale, a void; a Z at the end."""
    rng = Random(seed)
    for count in range(sales):
        world.clock.pass_ms(rng.randrange(20_000, 900_000))
        if count % 7 == 6:
            till.selling.begin("training")
        goods = rng.sample((MILK, BREAD, COLA, CRISPS), rng.randrange(1, 4))
        for article in goods:
            till.selling.pick(article, rng.randrange(1, 4) * 1000)
        if rng.random() < 0.3:
            till.selling.pick(BANANA, rng.randrange(100, 3000))
        total = till.desk.priced(till.desk.basket()).total_ore
        outcome = till.checkout.pay("cash", 100_000) if rng.random() < 0.5 else till.checkout.pay("card", total)
        if count % 5 == 4 and count % 7 != 6:
            till.returns.begin(str(outcome.number), BO)
            till.returns.take(1, till.returns.lines()[0].left_milli)
            till.checkout.pay("cash", 0)
    till.drawer.z(BO)


def a_day(folder: Path, sales: int = 12, till: str = "S01-K3", epoch: int = 1, seed: int = 1) -> History:
    """One day of a real till, as its journal has it, under another name where several are needed."""
    selling, world = a_till(folder)
    sell_a_day(selling, world, sales, seed)
    assert world.journal is not None
    raws = [world.journal.raw(seq) for seq in range(1, world.journal.head.seq + 1)]
    world.journal.close()
    return renamed(raws, till, epoch)


def renamed(raws: list[bytes], till: str, epoch: int) -> History:
    """The same entries chained again in another till's name."""
    return chained([msgspec.json.decode(raw) for raw in raws], till, epoch)


def chained(envelopes: list[dict[str, Any]], till: str = "S01-K3", epoch: int = 1) -> History:
    """Envelopes as somebody wants them, sealed into a chain that holds: bad content with a good signature."""
    history = History(till, epoch, Signer(SECRET), [], [Head(0, NOTHING)], NOW)
    for envelope in envelopes:
        head = history.head
        said = envelope | {"till": till, "epoch": epoch, "seq": head.seq + 1, "prev": head.digest}
        data = msgspec.json.encode(said)
        history.entries.append(data)
        history.heads.append(Head(head.seq + 1, canonical.digest(data)))
    return history


def envelopes(history: History) -> list[dict[str, Any]]:
    return [msgspec.json.decode(raw) for raw in history.entries]


def standing(till: str, epoch: int = 1, store: str = "", **more: Any) -> Standing:
    fields: dict[str, Any] = {"register": till, "public_key": Signer(SECRET).public, "provisional": False} | more
    return Standing(store or till.rpartition("-")[0], till, epoch, **fields)


class Office:
    """Head office's keeper over a real database."""

    def __init__(self, dsn: str, see: See | None = None) -> None:
        self.dsn = dsn
        self.clock = FakeClock()
        self.clock.at = NOW
        self.alarms: list[tuple[str, dict[str, object]]] = []
        self.known: dict[tuple[str, int], Standing] = {}
        self.shelf = PgShelf(dsn, see or Views().see, self.clock)
        self.keeper = Keeper("hq", HQ, self.shelf, self.knows, self.clock, self.alarm)

    def knows(self, till: str, epoch: int) -> Standing | None:
        return self.known.setdefault((till, epoch), standing(till, epoch))

    def alarm(self, about: str, **facts: object) -> None:
        self.alarms.append((about, facts))

    def take(self, history: History, cuts: list[int] | None = None) -> None:
        """A whole history in pieces that end at `cuts`."""
        after = 0
        for last in [*(cuts or []), history.head.seq]:
            if last > after:
                assert self.keeper.receive(history.batch(after, last)).status == "kept"
                after = last

    def close(self) -> None:
        self.shelf.close()


def rows(dsn: str, table: str, *without: str) -> list[tuple[Any, ...]]:
    """A table's rows in the order of its columns."""
    with psycopg.connect(dsn) as connection:
        names = [
            name
            for (name,) in connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY 1",
                (table,),
            )
            if name not in without
        ]
        listed = ", ".join(names)
        return connection.execute(f"SELECT {listed} FROM {table} ORDER BY {listed}").fetchall()


def dump(dsn: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every view that is there, to the row."""
    return {table: rows(dsn, table) for table in VIEWS if one(dsn, f"SELECT to_regclass('{table}') IS NOT NULL")}


def clear(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        for table in ("stream", "chunk", *VIEWS):
            connection.execute(f"DELETE FROM {table}")


def one(dsn: str, question: str) -> Any:
    with psycopg.connect(dsn) as connection:
        found = connection.execute(question).fetchone()
    assert found is not None
    return found[0] if len(found) == 1 else found


def bodies(history: History, kind: str) -> list[dict[str, Any]]:
    return [envelope["body"] for envelope in envelopes(history) if envelope["kind"] == kind]


def kinds(history: History) -> list[str]:
    return [parse(raw).kind for raw in history.entries]


def changed(history: History, change: Callable[[int, dict[str, Any]], None]) -> History:
    """The same history with some entries' content changed, sealed again: bad content, good signature."""
    said = envelopes(history)
    for place, envelope in enumerate(said):
        change(place, envelope)
    return chained(said, history.till, history.epoch)
