"""What head office reads from its views about sales: rows as values, with bounds on how many.

Statements are in sql/hq_sales.sql. Moments come and go as milliseconds since 1970, days as ordinals or "2026-11-22".
What the rows mean is `figures/sales.py`'s. One call is one transaction, so what it gives belongs together.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, MutableSequence, Sequence
from datetime import date
from struct import Struct
from typing import Any, NamedTuple

import msgspec

from oppet.base.clock import local, parse_utc
from oppet.drivers.journal_sqlite import statements
from oppet.drivers.pg import Pool
from oppet.drivers.shelf_pg import chunk_entries
from oppet.journal.chain import UNREADABLE
from oppet.journal.entry import parse

__all__ = [
    "BranchRow",
    "GroupRow",
    "HourRow",
    "HqSales",
    "Kept",
    "MeansRow",
    "RateRow",
    "ReceiptRow",
    "StoreRow",
    "StreamRow",
    "ZRow",
]

HOURS = 24
MOST_KINDS = 16_384
CHUNKS = 100  # read at a time, for their last entries
EXPORT_ROWS = 2_000  # read at a time
PAIR = Struct(">qq")  # when an hour began, in µs since 2000 as PostgreSQL counts; öre
SINCE_MS = parse_utc("2000-01-01T00:00:00.000Z")
Days = dict[int, MutableSequence[float]]  # ordinal of a local day → öre by local hour
_sql = statements("hq_sales")


class StoreRow(NamedTuple):
    store: str
    name: str
    banner: str
    closed: bool


class StreamRow(NamedTuple):
    store: str
    stream: int
    till: str
    epoch: int
    branch: str
    head: int
    head_at: int | None
    as_of: int | None
    heard: int | None
    provisional: bool
    revoked: str


class HourRow(NamedTuple):
    store: str
    hour: int
    receipts: int
    returns: int
    gross_ore: int
    vat_ore: int
    provisional_ore: int


class GroupRow(NamedTuple):
    group: str
    rate: int
    hour: int
    gross_ore: int
    vat_ore: int
    lines: int


class MeansRow(msgspec.Struct, frozen=True):
    means: str
    ore: int
    times: int


class RateRow(msgspec.Struct, frozen=True):
    rate: int
    gross_ore: int
    vat_ore: int


class ReceiptRow(msgspec.Struct, frozen=True):
    till: str
    epoch: int
    branch: str
    seq: int
    number: int
    at: int
    kind: str
    cashier: int
    lines: int
    total_ore: int
    provisional: bool


class ZRow(msgspec.Struct, frozen=True):
    till: str
    epoch: int
    branch: str
    seq: int
    number: int
    at: int
    receipts: int
    returns: int
    total_ore: int
    cash_difference_ore: int


class BranchRow(NamedTuple):
    stream: int
    till: str
    epoch: int
    branch: str
    base: int
    base_digest: str
    head: int


class Kept(NamedTuple):
    """Everything that one picture of a day is made of."""

    streams: list[StreamRow]
    hours: list[HourRow]
    before: list[HourRow]  # the same weekday a week earlier


class HqSales:
    """Reads for pages and files. Raises DatabaseAwayError."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._kinds: dict[tuple[int, int], str] = {}

    def _rows(self, word: str, **names: Any) -> list[tuple[Any, ...]]:
        with self._pool.transaction() as asked:
            return asked.connection.execute(_sql[word], names).fetchall()

    def stores(self) -> list[StoreRow]:
        return [StoreRow(*row) for row in self._rows("stores")]

    def day(self, stores: Sequence[str], day: int) -> Kept:
        names = {"stores": list(stores)}
        with self._pool.transaction() as asked:
            connection = asked.connection
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            streams = [StreamRow(*row) for row in connection.execute(_sql["streams"], names)]
            hours, before = (
                [HourRow(*row) for row in connection.execute(_sql["hours"], names | {"day": date.fromordinal(on)})]
                for on in (day, day - 7)
            )
        return Kept(streams, hours, before)

    def last_kinds(self, streams: Sequence[StreamRow]) -> dict[int, str]:
        """The kind of each history's last entry; "" where it cannot be read."""
        found: dict[int, str] = {}
        missing = []
        for stream in streams:
            known = self._kinds.get((stream.stream, stream.head))
            if known is None:
                missing.append(stream)
            else:
                found[stream.stream] = known
        if missing:
            self._read_kinds(missing)
            found |= {stream.stream: self._kinds.get((stream.stream, stream.head), "") for stream in missing}
        while len(self._kinds) > MOST_KINDS:
            self._kinds.pop(next(iter(self._kinds)))
        return found

    def _read_kinds(self, streams: Sequence[StreamRow]) -> None:
        for at in range(0, len(streams), CHUNKS):
            some = streams[at : at + CHUNKS]
            heads = {stream.stream: stream.head for stream in some}
            rows = self._rows("last_chunks", stores=[row.store for row in some], streams=list(heads))
            kinds = dict.fromkeys(heads, "") | {stream: _last(data) for stream, data in rows}
            self._kinds |= {(stream, heads[stream]): kind for stream, kind in kinds.items()}

    def stores_past(self, stores: Sequence[str], first: int, last: int) -> dict[str, Days]:
        """By store, the days that it sold."""
        return self._past("stores_past", first, last, stores=list(stores))

    def parts_past(self, parts: Sequence[tuple[str, str, str]], first: int, last: int) -> dict[str, Days]:
        """The same for parts of stores: each till with its store and what its part is called."""
        stores, tills, names = ([row[at] for row in parts] for at in range(3))
        return self._past("parts_past", first, last, stores=stores, tills=tills, parts=names) if parts else {}

    def _past(self, word: str, first: int, last: int, **names: Any) -> dict[str, Days]:
        found: dict[str, Days] = {}
        local_hours: dict[int, int] = {}
        values = names | {"first": date.fromordinal(first), "last": date.fromordinal(last)}
        with self._pool.transaction() as asked, asked.connection.cursor(binary=True) as cursor:
            for name, day, packed in cursor.execute(_sql[word], values):
                row = array("d", bytes(8 * HOURS))
                for began, ore in PAIR.iter_unpack(packed):
                    hour = local_hours.get(began)
                    if hour is None:
                        hour = local_hours[began] = local(SINCE_MS + began // 1_000).hour
                    row[hour] += ore
                found.setdefault(name, {})[day.toordinal()] = row
        return found

    def groups(self, stores: Sequence[str], day: int) -> list[GroupRow]:
        return [GroupRow(*row) for row in self._rows("groups", stores=list(stores), day=date.fromordinal(day))]

    def groups_together(self, classes: Mapping[str, int], first: int, last: int) -> dict[int, dict[str, Days]]:
        """By class of stores and article group."""
        found: dict[int, dict[str, Days]] = {}
        rows = self._rows(
            "groups_together",
            stores=list(classes),
            classes=list(classes.values()),
            first=date.fromordinal(first),
            last=date.fromordinal(last),
        )
        for number, group, day, hour, ore in rows:
            days = found.setdefault(number, {}).setdefault(group, {})
            days.setdefault(day.toordinal(), [0.0] * HOURS)[hour] = float(ore)
        return found

    def means(self, stores: Sequence[str], day: int) -> list[MeansRow]:
        return [MeansRow(*row) for row in self._rows("means", stores=list(stores), day=date.fromordinal(day))]

    def rates(self, stores: Sequence[str], day: int) -> list[RateRow]:
        return [RateRow(*row) for row in self._rows("rates", stores=list(stores), day=date.fromordinal(day))]

    def receipts(self, store: str, day: int, till: str, hour: int, skip: int, most: int) -> list[ReceiptRow]:
        rows = self._rows(
            "receipts", store=store, day=date.fromordinal(day), till=till, hour=hour, skip=skip, most=most
        )
        return [ReceiptRow(*row) for row in rows]

    def z_reports(self, store: str, day: int) -> list[ZRow]:
        return [ZRow(*row) for row in self._rows("z_reports", store=store, day=date.fromordinal(day))]

    # --- files -------------------------------------------------------------------------------------------------------

    def export(self, what: str, stores: Sequence[str], days: Sequence[int]) -> Iterator[list[tuple[Any, ...]]]:
        """Rows of receipts, lines, tenders or hours, in pieces, one store and day after the other."""
        for store in stores:
            for day in days:
                with self._pool.transaction() as asked, asked.connection.cursor(name="export") as cursor:
                    cursor.execute(_sql[f"export_{what}"], {"store": store, "day": date.fromordinal(day)})
                    while rows := cursor.fetchmany(EXPORT_ROWS):
                        yield rows

    def histories(self, store: str) -> list[BranchRow]:
        return [BranchRow(*row) for row in self._rows("histories", store=store)]


def _last(data: bytes) -> str:
    try:
        return parse(chunk_entries(data)[-1]).kind
    except UNREADABLE:
        return ""
