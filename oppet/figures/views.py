"""What entries mean to head office: believed entries in, rows and sums out. No database, no clock, no chance.

Only kinds that are counted are read; the rest is kept unread. A return counts with its sign turned, training not at
all. A history's entries are seen once each and in order, so the figures do not depend on how they were cut into
batches (R02). What cannot be read or does not add up is counted as far as it can be and put in quarantine (R21).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from oppet.base.clock import utc_text
from oppet.drivers.hq_rows import LOST_DAY, LOST_HOUR, NULL, HourGroup, HourSale, Rows, hour_of, safe_text
from oppet.figures import obeyed, tenders
from oppet.figures.quarantine import EARLIEST, EARLY_MS, RATES, Fault, Goods, unreadable
from oppet.journal.chain import UNREADABLE
from oppet.journal.entry import Entry

__all__ = ["Views"]

LARGEST_ORE = 10**12  # ten thousand million kronor: sums of them fit where they are added up
Ore = Annotated[int, Meta(ge=-LARGEST_ORE, le=LARGEST_ORE)]
Milli = Annotated[int, Meta(ge=-(10**12), le=10**12)]
Small = Annotated[int, Meta(ge=0, lt=1 << 31)]
Count = Annotated[int, Meta(ge=0, lt=1 << 53)]


# The fields that are counted, of the bodies that `journal/kinds.py` declares; the others are passed over unread.
class _Line(msgspec.Struct, gc=False):
    line: Small
    article: str
    group: str
    quantity_milli: Milli
    unit: str
    amount_ore: Ore
    net_ore: Ore
    vat_rate: Small
    vat_ore: Ore
    original_line: Small = 0


class _Vat(msgspec.Struct, gc=False):
    rate: int
    gross_ore: Ore
    vat_ore: Ore


class _Tender(msgspec.Struct, gc=False):
    means: str
    amount_ore: Ore


class _Original(msgspec.Struct, gc=False):
    till: str
    epoch: Small
    number: Count


class _Receipt(msgspec.Struct):
    kind: str
    number: Count
    cashier: Small
    lines: list[_Line]
    total_ore: Ore
    rounding_ore: Ore
    vat: list[_Vat]
    tenders: list[_Tender]
    original: _Original | None = None
    saved_ore: Ore = 0


class _Total(msgspec.Struct):
    """What is left to count of a receipt that cannot be read as a whole."""

    kind: str
    total_ore: Ore


class _Grand(msgspec.Struct, gc=False):
    net_ore: Annotated[int, Meta(ge=-(10**18), le=10**18)]


class _Report(msgspec.Struct):
    total_ore: Ore
    sales_ore: Ore
    receipts: Small
    returns: Small
    returns_ore: Ore
    rounding_ore: Ore
    vat: list[_Vat]
    grand: _Grand
    first_seq: Count
    last_seq: Count
    cash_difference_ore: Ore = 0


class _ReportMade(msgspec.Struct):
    kind: str
    number: Count
    report: _Report


class _CaseOpened(msgspec.Struct):
    case: Count
    about: str
    sale: Count
    amount_ore: Ore


class _CaseSettled(msgspec.Struct):
    case: Count
    amount_ore: Ore


_receipts = msgspec.json.Decoder(_Receipt)
_totals = msgspec.json.Decoder(_Total)
_reports = msgspec.json.Decoder(_ReportMade)
_opened = msgspec.json.Decoder(_CaseOpened)
_settled = msgspec.json.Decoder(_CaseSettled)
_SIGN = {"sale": 1, "return": -1}


class Views:
    """Sees entries with what HQ knows of goods. `see` is what a shelf is given."""

    def __init__(self, goods: Goods | None = None) -> None:
        self.goods = goods or Goods()

    def see(self, entries: Sequence[Entry], received: int, last_number: int) -> Rows:
        """Entries of one history in order, our clock when they came, its last receipt number before them."""
        rows = Rows(last_number)
        latest = utc_text(received + EARLY_MS)
        for entry in entries:
            reader = _READERS.get(entry.kind)
            if reader is not None:
                reader(_Place(rows, entry, latest), self.goods)
        return rows


class _Place:
    """One entry on its way into the rows: where and when it counts, and what was found wrong with it."""

    __slots__ = ("day", "entry", "faults", "hour", "rows", "time")

    def __init__(self, rows: Rows, entry: Entry, latest: str) -> None:
        self.rows, self.entry = rows, entry
        self.faults: list[Fault] = []
        time = entry.time
        when = hour_of(time)
        if when is None:
            self.day, self.hour, self.time = LOST_DAY, LOST_HOUR, LOST_HOUR
            self.faults.append(Fault("time", "time", time))
            return
        self.day, self.hour = when
        self.time = time
        if not EARLIEST <= time <= latest:
            self.faults.append(Fault("past" if time < EARLIEST else "future", "time", time))

    def done(self, total_ore: int = 0) -> None:
        """Write down what was found wrong."""
        if not self.faults:
            return
        time = NULL if self.day == LOST_DAY else self.time
        for n, fault in enumerate(self.faults[:MOST_FAULTS], 1):
            self.rows.quarantine.append(
                (self.day, self.entry.seq, n, time, safe_text(self.entry.kind), safe_text(fault.place), fault.reason,
                 safe_text(fault.detail), fault.counted, total_ore)
            )  # fmt: skip

    def hour_sale(self) -> HourSale:
        found = self.rows.hour_sale.get(self.hour)
        if found is None:
            found = self.rows.hour_sale[self.hour] = HourSale(self.day, self.hour)
        return found

    def hour_group(self, group: str, rate: int) -> HourGroup:
        """`group` is safe text already."""
        key = (self.hour, group, rate)
        found = self.rows.hour_group.get(key)
        if found is None:
            found = self.rows.hour_group[key] = HourGroup(self.day, self.hour, group, rate)
        return found


MOST_FAULTS = 20  # of one entry: a person reads them


def _receipt(place: _Place, goods: Goods) -> None:
    body = place.entry.body
    try:
        receipt = _receipts.decode(body)
    except UNREADABLE as error:
        _total_alone(place, error)
        return
    sign = _SIGN.get(receipt.kind)
    if sign is None:
        if receipt.kind != "training":
            place.faults.append(Fault("kind", "kind", receipt.kind, "nothing"))
            place.done()
        return
    counted = _judge(receipt, place.faults, goods)
    if receipt.number <= place.rows.last_number:
        place.faults.append(Fault("number", "number", str(receipt.number), counted))
    else:
        place.rows.last_number = receipt.number
    _count(place, receipt, sign, counted)
    if place.faults:
        place.done(sign * receipt.total_ore)


def _judge(receipt: _Receipt, faults: list[Fault], goods: Goods) -> str:
    """Hold a receipt against law 8 of the design and what HQ knows; say how far it counts."""
    gross: dict[int, int] = {}
    vats: dict[int, int] = {}
    numbers = set()
    for line in receipt.lines:
        rate = line.vat_rate
        numbers.add(line.line)
        gross[rate] = gross.get(rate, 0) + line.net_ore
        vats[rate] = vats.get(rate, 0) + line.vat_ore
    counted = "all"
    total = receipt.total_ore
    if (paid := sum([tender.amount_ore for tender in receipt.tenders])) != total + receipt.rounding_ore:
        counted = "lines"
        faults.append(Fault("tenders", "tenders", f"{paid} − {receipt.rounding_ore} ≠ {total}", counted))
    if len(numbers) != len(receipt.lines):
        counted = "total"
        faults.append(Fault("lines", "lines", f"{len(receipt.lines)} / {len(numbers)}", counted))
    if (lines := sum(gross.values())) != total:
        counted = "total"
        faults.append(Fault("amounts", "lines", f"{lines} ≠ {total}", counted))
    stated = {part.rate: (part.gross_ore, part.vat_ore) for part in receipt.vat}
    if stated != {rate: (gross[rate], vats[rate]) for rate in gross}:
        counted = "total"
        faults.append(Fault("vat", "vat", str(stated), counted))
    if not gross.keys() <= RATES:
        faults.append(Fault("rate", "lines", str(sorted(gross.keys() - RATES)), counted))
    if goods.groups:
        _strangers(receipt, "group", goods.groups, faults, counted)
    if goods.articles:
        _strangers(receipt, "article", goods.articles, faults, counted)
    return counted


def _strangers(receipt: _Receipt, what: str, known: frozenset[str], faults: list[Fault], counted: str) -> None:
    for number, line in enumerate(receipt.lines):
        name: str = getattr(line, what)
        if name not in known:
            faults.append(Fault(what, f"lines[{number}].{what}", name, counted))


def _count(place: _Place, receipt: _Receipt, sign: int, counted: str) -> None:
    rows, seq, day = place.rows, place.entry.seq, place.day
    whole = counted in {"all", "lines"}
    vat = sign * sum([part.vat_ore for part in receipt.vat]) if whole else 0
    total, rounding, saved = sign * receipt.total_ore, sign * receipt.rounding_ore, sign * receipt.saved_ore
    came = receipt.original
    original = (NULL, NULL, NULL) if came is None else (safe_text(came.till), came.epoch, came.number)
    rows.receipt.append(
        (day, seq, receipt.number, place.time, receipt.kind, receipt.cashier, len(receipt.lines), total, vat, rounding, saved,
         *original)
    )  # fmt: skip
    hour = place.hour_sale()
    _add_total(hour, sign, total)
    hour.vat_ore += vat
    hour.rounding_ore += rounding
    hour.saved_ore += saved
    if counted == "all":
        for number, tender in enumerate(receipt.tenders, 1):
            rows.tender.append((day, seq, number, safe_text(tender.means), sign * tender.amount_ore))
    if whole:
        hour.lines += len(receipt.lines)
        _lines(place, receipt.lines, sign)
    else:
        place.hour_group("", -1).gross_ore += total


def _lines(place: _Place, lines: list[_Line], sign: int) -> None:
    seq, day, add = place.entry.seq, place.day, place.rows.line.append
    for line in lines:
        quantity, net, vat = sign * line.quantity_milli, sign * line.net_ore, sign * line.vat_ore
        named = safe_text(line.group)
        add(
            (day, seq, line.line, safe_text(line.article), named, quantity, safe_text(line.unit),
             sign * line.amount_ore, net, line.vat_rate, vat, line.original_line)
        )  # fmt: skip
        group = place.hour_group(named, line.vat_rate)
        group.gross_ore += net
        group.vat_ore += vat
        group.quantity_milli += quantity
        group.lines += 1


def _add_total(hour: HourSale, sign: int, total_ore: int) -> None:
    hour.gross_ore += total_ore
    if sign > 0:
        hour.receipts += 1
    else:
        hour.returns += 1
        hour.returns_ore -= total_ore


def _total_alone(place: _Place, error: Exception) -> None:
    """A receipt that cannot be read: its total counts where that can be, and nothing else of it."""
    try:
        left = _totals.decode(place.entry.body)
    except UNREADABLE:
        left = None
    sign = 0 if left is None else _SIGN.get(left.kind, 0)
    if left is None or not sign:
        place.faults.append(unreadable(error, "nothing"))
        place.done()
        return
    total = sign * left.total_ore
    place.faults.append(unreadable(error, "total"))
    place.rows.receipt.append(
        (place.day, place.entry.seq, 0, place.time, left.kind, 0, 0, total, 0, 0, 0, NULL, NULL, NULL)
    )
    _add_total(place.hour_sale(), sign, total)
    place.hour_group("", -1).gross_ore += total
    place.done(total)


def _report(place: _Place, _goods: Goods) -> None:
    try:
        made = _reports.decode(place.entry.body)
    except UNREADABLE as error:
        place.faults.append(unreadable(error, "nothing"))
        place.done()
        return
    if made.kind != "z":
        return
    report = made.report
    place.rows.z_report.append(
        (place.day, place.entry.seq, made.number, place.time, report.receipts, report.returns, report.total_ore,
         report.sales_ore, report.returns_ore, sum([part.vat_ore for part in report.vat]), report.rounding_ore,
         report.cash_difference_ore, report.grand.net_ore, report.first_seq, report.last_seq)
    )  # fmt: skip
    place.done()


def _case(place: _Place, _goods: Goods) -> None:
    try:
        if place.entry.kind == "case_opened":
            opened = _opened.decode(place.entry.body)
            said: tuple[object, ...] = ("opened", opened.case, safe_text(opened.about), opened.sale, opened.amount_ore)
        else:
            settled = _settled.decode(place.entry.body)
            said = ("settled", settled.case, "", 0, settled.amount_ore)
    except UNREADABLE as error:
        place.faults.append(unreadable(error, "nothing"))
    else:
        place.rows.till_case.append((place.day, place.entry.seq, place.time, *said))
    place.done()


def _tender(place: _Place, _goods: Goods) -> None:
    entry = place.entry
    try:
        tenders.read(place.rows, entry.kind, entry.body, entry.seq, place.day, place.time)
    except UNREADABLE as error:
        place.faults.append(unreadable(error, "nothing"))
    place.done()


def _obeyed(place: _Place, _goods: Goods) -> None:
    entry = place.entry
    try:
        obeyed.read(place.rows, entry.kind, entry.body, entry.seq, place.time)
    except (*UNREADABLE, UnicodeEncodeError) as error:
        place.faults.append(unreadable(error, "nothing"))
    place.done()


_READERS: dict[str, Callable[[_Place, Goods], None]] = {
    "receipt": _receipt,
    "report_made": _report,
    "case_opened": _case,
    "case_settled": _case,
    "tender_sent": _tender,
    "tender_heard": _tender,
    "tender_taken": _tender,
    "tender_reversed": _tender,
    "path_seen": _tender,
    **dict.fromkeys(obeyed.SUBJECTS, _obeyed),
}
