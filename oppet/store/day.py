"""The store's day: what the journals kept here add up to, one fold for each history (till, epoch, branch).

A fold remembers up to which entry it has read, so that it goes on from there, and it can be written down and taken up
again. It holds what is open now, the receipts of the last day and figures by the hour for two weeks; nothing grows with
the years. An entry of an unknown kind changes nothing; one whose content is wrong is listed as trouble and the fold
goes on (R21). Drawing is the pages' work, reading the shelf `web_node.py`'s.
Keeps R02 (the same entries give the same numbers, at once or in pieces) and R01 (a branch's own entries count once).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from oppet.base.clock import local_minute, parse_utc
from oppet.base.errors import clip
from oppet.base.words import N_
from oppet.fiscal.series import wrong_sums
from oppet.fiscal.takings import Takings
from oppet.fiscal.tally import Tally, follow
from oppet.journal.chain import UNREADABLE
from oppet.journal.entry import Entry, body_of
from oppet.journal.kinds import (
    Body,
    CaseOpened,
    CaseSettled,
    CodeUnknown,
    EpochClosed,
    EpochOpened,
    LineAdded,
    LineChanged,
    LineVoided,
    OutageBegan,
    OutageEnded,
    Receipt,
    ReceiptPrinted,
    ReportMade,
    SaleAbandoned,
    SaleMoved,
    SaleOpened,
    SaleParked,
    SaleResumed,
    SignedIn,
    SignedOut,
    TenderReversed,
    TenderTaken,
    TillStarted,
    TillStopped,
    UnitClosed,
    UnitOpened,
)

__all__ = ["Hour", "Sold", "TillDay", "Trouble", "Waiting", "ZMade", "hours_of"]

MOST_HOURS = 24 * 15  # today, the same day last week, and a clock that once was wrong
MOST_RECEIPTS = 2_000  # of the last day; a busy till makes 700
MOST_Z = 62
MOST_OPEN = 300  # baskets, cases, units: far more than a till that is well ever has
MOST_LINES = 500
MOST_TROUBLE = 50
MOST_GROUPS = 1_000
LARGEST = 1 << 53
SALE, RETURN, TRAINING = "sale", "return", "training"


class Hour(msgspec.Struct):
    """Sales less returns in one hour of a Swedish day, VAT included."""

    net_ore: int = 0
    sales: int = 0
    returns: int = 0


class Sold(msgspec.Struct):
    """A receipt of the last day."""

    seq: int
    time: str
    kind: str
    number: int
    total_ore: int
    means: tuple[str, ...]
    copies: int = -1  # other machines in the store that had it before it was printed; -1 while it is not printed


class Waiting(msgspec.Struct):
    """A basket that is not finished."""

    sale: int
    mode: str
    since: str
    by: int
    parked: str = ""  # since when, "" for one that is open
    moved_from: str = ""  # the till it was parked at before
    lines: dict[int, int] = {}  # line → öre before discounts
    paid: dict[int, int] = {}  # tender → öre

    def total_ore(self) -> int:
        return sum(self.lines.values())


class ZMade(msgspec.Struct, frozen=True):
    seq: int
    time: str
    number: int
    by: int
    total_ore: int
    difference_ore: int


class Trouble(msgspec.Struct, frozen=True):
    """An entry that is kept and whose content is wrong."""

    seq: int
    time: str
    why: str


class TillDay(msgspec.Struct):
    """One history so far; `seq` says up to where. A branch begins on its base and counts its own entries only."""

    seq: int = 0
    time: str = ""  # the till's own, of its last entry
    register: str = ""
    software: str = ""
    prices: str = ""
    unconfirmed: bool = False
    running: bool = False
    closed: str = ""  # why the epoch ended in order
    staff: int = 0
    tally: Tally = msgspec.field(default_factory=Tally)
    hours: dict[str, Hour] = {}  # "2026-11-22T14", local
    receipts: list[Sold] = []
    last_sale: Sold | None = None
    alone_since: str = ""  # the first receipt that no other machine had, since one had
    baskets: dict[int, Waiting] = {}
    z_reports: list[ZMade] = []
    cases: dict[int, CaseOpened] = {}
    case_times: dict[int, str] = {}
    outage: str = ""  # since when the reserve routine applies
    closed_units: dict[str, str] = {}
    trouble: list[Trouble] = []
    troubles: int = 0
    takings: Takings = msgspec.field(default_factory=Takings)  # what services outside decided

    def read(self, entries: Iterable[Entry]) -> None:
        """Go on with the entries behind `seq`; those before are in already."""
        for entry in entries:
            if entry.seq > self.seq:
                assert entry.seq == self.seq + 1, "a kept history has no gap"
                self._entry(entry)

    def _entry(self, entry: Entry) -> None:
        self.seq = entry.seq
        try:
            local_hour = local_minute(parse_utc(entry.time))[:13]
            body = body_of(entry)
        except (*UNREADABLE, OverflowError):
            return self._wrong(entry, N_("its content cannot be read"))
        self.time = entry.time
        if body is None:
            return None
        handler = _HANDLERS.get(type(body))
        why = _odd(body) or self._too_much(body)
        if why:
            return self._wrong(entry, why)
        self.tally = follow(self.tally, entry.seq, body)
        self.takings.read(entry.time, body)
        if handler is not None:
            handler(self, entry, body)
        if type(body) is Receipt:
            self._hour(local_hour, body)
            if wrong_sums(body):
                self._wrong(entry, N_("the receipt does not add up"))
        return None

    def _wrong(self, entry: Entry, why: str) -> None:
        self.troubles += 1
        self.trouble = [*self.trouble[1 - MOST_TROUBLE :], Trouble(entry.seq, clip(entry.time, 24), why)]

    def _too_much(self, body: Body) -> str:
        """What would make this fold grow without end; no till that is well writes it."""
        tally, sale = self.tally, getattr(body, "sale", 0)
        match body:
            case SaleOpened():
                full = max(len(tally.open_lines), len(tally.modes), len(self.baskets)) >= MOST_OPEN
            case LineAdded() | LineChanged():
                basket = self.baskets.get(sale)
                full = basket is not None and len(basket.lines) >= MOST_LINES and body.line not in basket.lines
            case TenderTaken():
                full = len(tally.pending) >= MOST_OPEN or len(tally.pending.get(sale, ())) >= MOST_LINES
            case Receipt():
                full = len(tally.groups) + len(tally.means) + len(tally.vat) >= MOST_GROUPS
            case CaseOpened() | UnitClosed():
                full = len(self.cases) >= MOST_OPEN or len(self.closed_units) >= MOST_OPEN
            case _:
                full = False
        return N_("there is more of it than any till has") if full else ""

    def _hour(self, local_hour: str, receipt: Receipt) -> None:
        if receipt.kind == TRAINING:
            return
        hour = self.hours.setdefault(local_hour, Hour())
        if receipt.kind == SALE:
            hour.net_ore, hour.sales = hour.net_ore + receipt.total_ore, hour.sales + 1
        else:
            hour.net_ore, hour.returns = hour.net_ore - receipt.total_ore, hour.returns + 1
        if len(self.hours) > MOST_HOURS:
            del self.hours[min(self.hours)]

    # --- one function a kind

    def _opened(self, _: Entry, body: EpochOpened) -> None:
        self.register, self.software = clip(body.register), clip(body.software)

    def _started(self, _: Entry, body: TillStarted) -> None:
        self.software, self.prices = clip(body.software), clip(body.prices)
        self.unconfirmed, self.running, self.staff = body.unconfirmed, True, 0

    def _stopped(self, _: Entry, __: TillStopped) -> None:
        self.running, self.staff = False, 0

    def _ended(self, _: Entry, body: EpochClosed) -> None:
        self.closed, self.running = clip(body.reason) or "-", False

    def _signed_in(self, _: Entry, body: SignedIn) -> None:
        self.staff = body.staff

    def _signed_out(self, _: Entry, __: SignedOut) -> None:
        self.staff = 0

    def _sale_opened(self, entry: Entry, body: SaleOpened) -> None:
        came = clip(body.moved_from.till, 40) if body.moved_from is not None else ""
        self.baskets[body.sale] = Waiting(body.sale, clip(body.mode, 20), entry.time, body.cashier, moved_from=came)

    def _line(self, _: Entry, body: LineAdded | LineChanged) -> None:
        if (basket := self.baskets.get(body.sale)) is not None:
            basket.lines[body.line] = body.amount_ore

    def _voided(self, _: Entry, body: LineVoided) -> None:
        if (basket := self.baskets.get(body.sale)) is not None:
            basket.lines.pop(body.line, None)

    def _paid(self, _: Entry, body: TenderTaken) -> None:
        if (basket := self.baskets.get(body.sale)) is not None:
            basket.paid[body.tender] = body.amount_ore

    def _reversed(self, _: Entry, body: TenderReversed) -> None:
        if (basket := self.baskets.get(body.sale)) is not None:
            basket.paid.pop(body.tender, None)

    def _parked(self, entry: Entry, body: SaleParked) -> None:
        if (basket := self.baskets.get(body.sale)) is not None:
            basket.parked = entry.time

    def _resumed(self, _: Entry, body: SaleResumed) -> None:
        if (basket := self.baskets.get(body.sale)) is not None:
            basket.parked = ""

    def _gone(self, _: Entry, body: SaleAbandoned | SaleMoved | CodeUnknown) -> None:
        if not isinstance(body, CodeUnknown) or body.receipt_type == "normal":
            self.baskets.pop(body.sale, None)

    def _receipt(self, entry: Entry, body: Receipt) -> None:
        self.baskets.pop(body.sale, None)
        means = tuple(clip(tender.means, 20) for tender in body.tenders[:10])
        sold = Sold(entry.seq, entry.time, body.kind, body.number, body.total_ore, means)
        if self.receipts and _day(self.receipts[-1].time) != _day(entry.time):
            self.receipts = []
        del self.receipts[: max(0, len(self.receipts) + 1 - MOST_RECEIPTS)]
        self.receipts.append(sold)
        if body.kind != TRAINING:
            self.last_sale = sold

    def _printed(self, entry: Entry, body: ReceiptPrinted) -> None:
        if body.series == "copy":
            return
        for sold in reversed(self.receipts):
            if sold.number == body.number and (sold.kind == TRAINING) == (body.series == TRAINING):
                sold.copies = body.copies
                if self.last_sale is not None and self.last_sale.seq == sold.seq:
                    self.last_sale = sold
                break
        if body.series == "normal":
            self.alone_since = "" if body.copies > 0 else self.alone_since or entry.time

    def _report(self, entry: Entry, body: ReportMade) -> None:
        if body.kind == "z":
            report = body.report
            made = ZMade(entry.seq, entry.time, body.number, body.by, report.total_ore, report.cash_difference_ore)
            self.z_reports = [*self.z_reports[1 - MOST_Z :], made]

    def _case(self, entry: Entry, body: CaseOpened) -> None:
        self.cases[body.case] = msgspec.structs.replace(body, about=clip(body.about), facts=())
        self.case_times[body.case] = entry.time

    def _settled(self, _: Entry, body: CaseSettled) -> None:
        self.cases.pop(body.case, None)
        self.case_times.pop(body.case, None)

    def _outage(self, entry: Entry, _: OutageBegan) -> None:
        self.outage = self.outage or entry.time

    def _outage_over(self, _: Entry, __: OutageEnded) -> None:
        self.outage = ""

    def _unit_closed(self, _: Entry, body: UnitClosed) -> None:
        self.closed_units[clip(body.unit, 40)] = clip(body.reason)

    def _unit_opened(self, _: Entry, body: UnitOpened) -> None:
        self.closed_units.pop(clip(body.unit, 40), None)


def hours_of(days: Iterable[TillDay], day: str) -> list[Hour]:
    """The 24 hours of a Swedish day "2026-11-22" over several histories."""
    found = [Hour() for _ in range(24)]
    for till in days:
        for number, total in enumerate(found):
            if (hour := till.hours.get(f"{day}T{number:02d}")) is not None:
                total.net_ore += hour.net_ore
                total.sales += hour.sales
                total.returns += hour.returns
    return found


def _day(time: str) -> str:
    return local_minute(parse_utc(time))[:10]


def _odd(body: Body) -> str:
    """Why a body that can be read is still not believed; "" when it is."""
    if type(body) is Receipt and body.kind not in (SALE, RETURN, TRAINING):
        return N_("it is a receipt of no kind we know")
    return "" if _bounded(body) else N_("a number in it is beyond anything a till counts")


def _bounded(value: object) -> bool:
    if isinstance(value, int):
        return -LARGEST < value < LARGEST
    if isinstance(value, msgspec.Struct):
        return all(_bounded(getattr(value, name)) for name in value.__struct_fields__)
    return not isinstance(value, tuple) or all(map(_bounded, value))


_HANDLERS: dict[type[Body], Callable[[TillDay, Entry, Any], None]] = {
    EpochOpened: TillDay._opened,
    TillStarted: TillDay._started,
    TillStopped: TillDay._stopped,
    EpochClosed: TillDay._ended,
    SignedIn: TillDay._signed_in,
    SignedOut: TillDay._signed_out,
    SaleOpened: TillDay._sale_opened,
    LineAdded: TillDay._line,
    LineChanged: TillDay._line,
    LineVoided: TillDay._voided,
    TenderTaken: TillDay._paid,
    TenderReversed: TillDay._reversed,
    SaleParked: TillDay._parked,
    SaleResumed: TillDay._resumed,
    SaleAbandoned: TillDay._gone,
    SaleMoved: TillDay._gone,
    CodeUnknown: TillDay._gone,
    Receipt: TillDay._receipt,
    ReceiptPrinted: TillDay._printed,
    ReportMade: TillDay._report,
    CaseOpened: TillDay._case,
    CaseSettled: TillDay._settled,
    OutageBegan: TillDay._outage,
    OutageEnded: TillDay._outage_over,
    UnitClosed: TillDay._unit_closed,
    UnitOpened: TillDay._unit_opened,
}
