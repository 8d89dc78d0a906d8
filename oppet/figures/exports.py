"""What leaves head office as files: receipts, lines, tenders and hours of a period, and the books, each saying how complete it is.

Every row begins with the moment its store is complete to and whether its day is; Parquet says it in its metadata too.
Files are made as they are read, so a year needs no more memory than an hour. The books come from the journals' own
entries by the same rules as `oppet books`. Keeps Q6 and Q8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any, Protocol

import msgspec

from oppet import __version__
from oppet.base.clock import Clock, day_bounds, local_day, parse_utc, utc_text
from oppet.base.errors import RefusedError, UntrustedError
from oppet.base.words import N_
from oppet.drivers.hq_files import csv_pieces, parquet_pieces
from oppet.drivers.hq_read import Chunk
from oppet.drivers.hq_sales import BranchRow, HqSales
from oppet.figures.complete import Till
from oppet.figures.sales import Sales, day_of
from oppet.fiscal.books import ReportDiffersError, Voucher, sie, vouchers
from oppet.journal.chain import UNREADABLE
from oppet.journal.entry import Entry, body_of, parse
from oppet.journal.kinds import EpochOpened

__all__ = [
    "FORMATS", "KINDS", "BadExportError", "Books", "Exports", "LongPeriodError", "NoFiguresToBookError", "TornHistoryError",
    "TwoCompaniesError",
]  # fmt: skip

MOST_DAYS = 366
FORMATS = ("csv", "parquet")
_WHERE = (("store", "text"), ("day", "date"), ("till", "text"), ("epoch", "int"), ("branch", "text"))
_HOURLY = (("store", "text"), ("day", "date"), ("hour", "text"), ("till", "text"), ("epoch", "int"), ("branch", "text"))
_LEADING = (("complete_to", "text"), ("day_complete", "bool"))


def _ints(words: str) -> tuple[tuple[str, str], ...]:
    return tuple((word, "int") for word in words.split())


# What can be had, and its columns in the order the statements give them.
KINDS: dict[str, tuple[tuple[str, str], ...]] = {
    "receipts": (
        *_WHERE, *_ints("seq number"), ("time", "text"), ("kind", "text"),
        *_ints("cashier lines total_ore vat_ore rounding_ore saved_ore"), ("original_till", "text"),
        *_ints("original_epoch original_number"), ("provisional", "bool"),
    ),
    "lines": (
        *_WHERE, *_ints("seq line"), ("article", "text"), ("article_group", "text"), ("quantity_milli", "int"), ("unit", "text"),
        *_ints("amount_ore net_ore vat_rate vat_ore original_line"), ("provisional", "bool"),
    ),
    "tenders": (*_WHERE, *_ints("seq tender"), ("means", "text"), ("amount_ore", "int"), ("provisional", "bool")),
    "hours": (
        *_HOURLY, *_ints("receipts returns gross_ore returns_ore vat_ore rounding_ore saved_ore lines"), ("provisional", "bool"),
    ),
}  # fmt: skip


class BadExportError(RefusedError):
    sentence = N_("There is no file of “{text}”. There are: {known}.")


class LongPeriodError(RefusedError):
    sentence = N_("From {first} to {last} is no period of 1 to {most} days.")


class NoFiguresToBookError(RefusedError):
    sentence = N_(
        "No till of {stores} has a closed day from {first} to {last} that can be booked. Cannot be read: {left}."
    )


class TwoCompaniesError(RefusedError):
    sentence = N_("The stores belong to two companies ({first} and {second}). Make one file for each.")


class TornHistoryError(UntrustedError):
    sentence = N_(
        "What head office has of till {till}, epoch {epoch} does not hang together at {seq}: nothing is booked from it."
    )


class Books(msgspec.Struct, frozen=True):
    """A SIE file and what it holds. What it lacks stands in its own text (#PROSA) too."""

    data: bytes
    vouchers: int
    open_tills: tuple[str, ...]  # whose word does not reach to the end of the period: more may come
    not_booked: tuple[str, ...]  # histories that hold an entry that cannot be read or a Z that its entries do not give


class Chunks(Protocol):
    def chunks(self, store: str, stream_id: int, first: int = 1) -> Iterator[Chunk]: ...


class Exports:
    def __init__(self, reader: HqSales, chunks: Chunks, sales: Sales, clock: Clock) -> None:
        self._reader = reader
        self._chunks = chunks
        self._sales = sales
        self._clock = clock

    def period(self, first: str, last: str) -> tuple[str, str]:
        """Raises BadDayError, LongPeriodError."""
        today = self._sales.today()
        start, end = day_of(first, today), day_of(last, today)
        days = date.fromisoformat(end).toordinal() - date.fromisoformat(start).toordinal()
        if not 0 <= days < MOST_DAYS:
            raise LongPeriodError(first=start, last=end, most=MOST_DAYS)
        return start, end

    def file(self, what: str, format_: str, first: str, last: str, stores: Sequence[str] = ()) -> Iterator[bytes]:
        """A file in pieces; everything is checked before the first. Raises RefusedError's leaves."""
        if what not in KINDS or format_ not in FORMATS:
            known = ", ".join(f"{kind}.{ending}" for kind in KINDS for ending in FORMATS)
            raise BadExportError(text=f"{what}.{format_}", known=known)
        start, end = self.period(first, last)
        chosen = self._sales.chosen(stores)
        complete = self.complete_to(chosen)
        columns = (*_LEADING, *KINDS[what])
        rows = self._rows(what, chosen, start, end, complete)
        if format_ == "csv":
            return csv_pieces(columns, rows)
        told = {
            "oppet": __version__, "made": utc_text(self._clock.now()), "first_day": start, "last_day": end,
            "complete_to": msgspec.json.encode(complete).decode(),
        }  # fmt: skip
        return parquet_pieces(columns, rows, told)

    def complete_to(self, stores: Iterable[str]) -> dict[str, str]:
        """The moment each store is complete to, in UTC; "" for one that never said."""
        known = {figure.store: figure for figure in self._sales.picture().stores}
        moment = self._sales.picture().completeness.moment
        found = {}
        for store in stores:
            held = known[store].held if store in known else None
            found[store] = moment if held is None else utc_text(held.since) if held.since else ""
        return found

    def _rows(
        self, what: str, stores: Sequence[str], first: str, last: str, complete: dict[str, str]
    ) -> Iterator[list[tuple[Any, ...]]]:
        start, end = date.fromisoformat(first).toordinal(), date.fromisoformat(last).toordinal()
        ends = {
            on: day_bounds(iso, iso)[1] for on in range(start, end + 1) for iso in (date.fromordinal(on).isoformat(),)
        }
        for piece in self._reader.export(what, stores, range(start, end + 1)):
            yield [(upto := complete[row[0]], upto >= ends[row[1].toordinal()], *row) for row in piece]

    # --- the books

    def books(self, first: str, last: str, stores: Sequence[str] = ()) -> Books:
        """One voucher for each Z of a day in the period, as a SIE 4I file. Raises RefusedError's and UntrustedError's leaves."""
        start, end = self.period(first, last)
        chosen = self._sales.chosen(stores)
        made: list[Voucher] = []
        not_booked: list[str] = []
        owner: EpochOpened | None = None
        for store in chosen:
            histories = self._reader.histories(store)
            for history in histories:
                try:
                    found, opened = self._booked(store, history, histories)
                except (
                    *UNREADABLE,
                    ReportDiffersError,
                    TornHistoryError,
                ):  # it waits for a person, and no other till does
                    not_booked.append(f"{history.till} {history.epoch}")
                    continue
                within = [voucher for voucher in found if start <= voucher.day <= end]
                if not within or opened is None:
                    continue
                if owner is not None and owner.org_no != opened.org_no:
                    raise TwoCompaniesError(first=owner.org_no, second=opened.org_no)
                owner = owner or opened
                made += within
        if owner is None:
            raise NoFiguresToBookError(
                stores=", ".join(chosen), first=start, last=end, left=", ".join(not_booked) or "–"
            )
        made.sort(key=lambda voucher: (voucher.day, voucher.register))
        today = local_day(self._clock.now())
        data = sie(made, owner.company, owner.org_no, today, __version__)
        still_open = self._open(chosen, end)
        return Books(_told(data, still_open, not_booked), len(made), still_open, tuple(not_booked))

    def _open(self, stores: Sequence[str], last: str) -> tuple[str, ...]:
        end = parse_utc(day_bounds(last, last)[1])
        tills: list[Till] = [till for store in stores for till in self._sales.store(store).tills]
        return tuple(sorted(till.till for till in tills if till.state == "running" and till.until < end))

    def _booked(
        self, store: str, history: BranchRow, histories: Sequence[BranchRow]
    ) -> tuple[list[Voucher], EpochOpened | None]:
        """The vouchers of one history: of a fork, those made after it left the other."""
        opened: list[EpochOpened] = []

        def seen(entries: Iterable[Entry]) -> Iterator[Entry]:
            for entry in entries:
                if not opened and isinstance(body := body_of(entry), EpochOpened):
                    opened.append(body)
                yield entry

        found = vouchers(seen(self._entries(store, history, histories, history.head)))
        before = 0
        if history.base:
            before = len(vouchers(self._entries(store, history, histories, history.base)))
        return found[before:], opened[0] if opened else None

    def _entries(self, store: str, history: BranchRow, histories: Sequence[BranchRow], last: int) -> Iterator[Entry]:
        """A history's entries from its epoch's first, those it shares with the one it left included."""
        if history.base:
            yield from self._entries(store, self._left(store, history, histories), histories, min(history.base, last))
        if last <= history.base:
            return
        for chunk in self._chunks.chunks(store, history.stream):
            for raw in chunk.entries:
                entry = parse(raw)
                if entry.seq > last:
                    return
                yield entry

    def _left(self, store: str, history: BranchRow, histories: Sequence[BranchRow]) -> BranchRow:
        """The history a fork left: the one whose entry it follows on. Raises TornHistoryError."""
        for other in histories:
            same = (other.till, other.epoch) == (history.till, history.epoch) and other.stream != history.stream
            if not same or not other.base < history.base <= other.head:
                continue
            if self._prev_of(store, history) == self._digest(store, other, history.base):
                return other
        raise TornHistoryError(till=history.till, epoch=history.epoch, seq=history.base)

    def _prev_of(self, store: str, history: BranchRow) -> str:
        return next((chunk.after for chunk in self._chunks.chunks(store, history.stream)), history.base_digest)

    def _digest(self, store: str, history: BranchRow, seq: int) -> str:
        for chunk in self._chunks.chunks(store, history.stream):
            if chunk.first_seq <= seq < chunk.last_seq:
                return parse(chunk.entries[seq - chunk.first_seq + 1]).prev
            if chunk.last_seq == seq:
                return chunk.digest
        return ""


def _told(data: bytes, still_open: Sequence[str], not_booked: Sequence[str]) -> bytes:
    """The file says itself what it lacks, in the words of who reads it: a bookkeeper in Sweden."""
    said = [("Kassor som inte rapporterat till periodens slut", still_open), ("Ej bokförda, utreds", not_booked)]
    prose = (
        "; ".join(f"{words}: {', '.join(tills)}" for words, tills in said if tills) or "Komplett till periodens slut"
    )
    mark = b"#SIETYP 4\r\n"
    assert mark in data, "sie writes it"
    return data.replace(mark, mark + f'#PROSA "{prose}"\r\n'.encode("cp437"), 1)
