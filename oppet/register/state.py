"""What the till knows, as a fold of its journal: a restart is a replay.

Nothing here is stored but as a snapshot that can be thrown away. Every change comes in by `apply`, after the entry is
on disk. Keeps T1 (state is a function of entries) and T2 (no number is used twice: R11).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from oppet.base.clock import local_day, parse_utc
from oppet.fiscal.tally import Tally, follow
from oppet.journal.kinds import (
    Body,
    CaseOpened,
    CaseSettled,
    CodeUnknown,
    CopyMade,
    EpochClosed,
    EpochOpened,
    FloatSet,
    Original,
    OutageBegan,
    OutageEnded,
    PathSeen,
    Receipt,
    ReceiptPrinted,
    RegistrationGivenUp,
    RegistrationSent,
    ReportMade,
    SaleAbandoned,
    SaleMoved,
    SaleOpened,
    SaleParked,
    SaleResumed,
    SettingChanged,
    SignedIn,
    SignedOut,
    SlipsPrinted,
    TenderHeard,
    TenderReversed,
    TenderSent,
    TenderTaken,
    TillStarted,
    TillStopped,
    TimeConfirmed,
    UnitAnswered,
    UnitClosed,
    UnitOpened,
    UnitProbed,
)
from oppet.payments.risk import Risk
from oppet.payments.tender import APPROVED, AT_RISK, DECLINED, PARTIAL, Attempt, advance, outcome_fits
from oppet.payments.vouchers import is_voucher
from oppet.release.goods_intake import GoodsState
from oppet.release.held import FOLLOWED, Ledger
from oppet.sale import basket as baskets
from oppet.sale.basket import Basket, Line
from oppet.sale.lines import Came

__all__ = ["State", "Unprinted", "came_back", "return_key"]

MOST_VOUCHERS = 50_000  # of one epoch's are known here; the store node knows the rest
FINAL = frozenset({APPROVED, PARTIAL, AT_RISK, DECLINED})
COPY, NORMAL, TRAINING = "copy", "normal", "training"
SERIES = {"kopia": COPY, "normal": NORMAL, "ovning": TRAINING}


class Unprinted(msgspec.Struct, frozen=True):
    """A receipt that is durable and not known to have left the till."""

    series: str
    number: int


class State(msgspec.Struct):
    identity: EpochOpened | None = None
    began: str = ""  # when this epoch did
    seq: int = 0
    time: str = ""
    prices: str = ""
    settings: dict[str, str] = {}  # behandlingshistorik: what the till was last set to
    baskets: dict[int, Basket] = {}  # open, parked, being paid
    current: int = 0  # the sale in front of the cashier, 0 for none
    last_sale: int = 0
    numbers: dict[str, int] = {}  # the last number taken in each series: normal, copy, training, z, case
    serials: dict[str, int] = {}  # message numbers towards each unit
    tally: Tally = msgspec.field(default_factory=Tally)
    staff: int = 0
    role: str = ""
    float_set: bool = False  # since the last Z (reference §5: register the float before the day starts)
    unprinted: list[Unprinted] = []
    flight: RegistrationSent | None = None  # sent, and no answer on disk: answers are written with what they lead to
    copied: dict[int, int] = {}  # receipt → its one copy
    returned: dict[str, Came] = {}  # original line → what came back of it
    lone_day: str = ""  # the last local day with returns that no store node knew of
    lone_ore: int = 0  # and what they came to
    loose: dict[str, Attempt] = {}  # tenders still open at the outside whose basket is gone: "sale/tender"
    requests: int = 0  # exchanges with payment services so far: each has a reference of its own
    witness: dict[
        str, str
    ] = {}  # path → the last payment request it gave a final answer to: what a terminal that forgot nothing knows
    risk: Risk = msgspec.field(default_factory=Risk)  # taken at risk today
    vouchers: dict[str, int] = {}  # pant vouchers taken in this epoch → the sale
    lone_vouchers: Risk = msgspec.field(default_factory=Risk)  # taken today with nobody to ask
    invoiced: dict[str, Risk] = {}  # what invoice customers bought today, by token
    paths: dict[str, PathSeen] = {}  # how each payment path was last seen
    closed_units: dict[str, str] = {}
    storage: dict[str, str] = {}  # unit → ok | high | full
    cases: dict[int, CaseOpened] = {}
    outage_seq: int = 0  # the entry that began the last outage
    slips_used: list[int] = []  # reserve slips that settled a case
    outage: str = ""  # when the reserve routine began, "" for none
    last_receipt: Unprinted | None = None
    last_receipt_seq: int = 0
    last_path: str = ""  # how it left the till; empty while it waits
    last_total_ore: int = 0
    last_change_ore: int = 0
    offset_ms: int = 0
    goods: GoodsState = msgspec.field(
        default_factory=GoodsState
    )  # which publications of prices it acts on, holds, refused
    runs: int = 0
    stopped: bool = False  # the last run ended by itself
    closed: bool = False  # the epoch is over: nothing follows
    releases: Ledger = msgspec.field(default_factory=Ledger)  # what came down the second pipe, and what became of it

    def apply(self, seq: int, time: str, body: Body | None) -> None:
        """Follow one entry; None is a kind this version does not know, which is kept and changes nothing."""
        self.seq, self.time = seq, time
        self.tally = follow(self.tally, seq, body)
        if body is None:
            return
        self.goods.apply(time, body)
        sale: int = getattr(body, "sale", 0)
        if isinstance(body, TenderSent | TenderHeard):
            self._tender(time, body)
        elif sale and type(body) in _BASKET_KINDS:
            self._basket(sale, time, body)
        if (handler := _HANDLERS.get(type(body))) is not None:
            handler(self, body)
        elif type(body) in FOLLOWED:
            self.releases.apply(time, body)

    def _basket(self, sale: int, time: str, body: Body) -> None:
        basket = self.baskets.get(sale)
        if basket is None:
            assert type(body) is SaleOpened, f"{type(body).__name__} of sale {sale}, which is not open"
            self.baskets[sale] = baskets.opened(body, time)
            self.current = self.last_sale = sale
            return
        self._bounded(basket, time, body)
        if type(body) is Receipt:
            self._finished(body)
            if basket.lone:
                self._lone_return(time, body)
        if type(body) is CodeUnknown:  # the customer gets change all the same
            self.last_total_ore = basket.paid_ore()
            self.last_change_ore = sum(tender.change_ore for tender in basket.tenders.values())
        if type(body) is Receipt or (basket.tenders and type(body) in (CodeUnknown, SaleAbandoned)):
            self._came_back(basket)  # money given back with no receipt is a case, and its goods do not come back twice
        baskets.apply(basket, time, body)
        if type(body) is SaleResumed:
            self.current = sale
        elif type(body) in (Receipt, SaleAbandoned, SaleMoved, CodeUnknown, SaleParked):
            if self.current == sale:
                self.current = 0
            if type(body) is not SaleParked:
                del self.baskets[sale]
                if type(body) in (SaleAbandoned, SaleMoved):
                    for one in basket.asked.values():
                        one.returning = one.taken  # no sale counts it any more (PT4)
                self.loose |= {f"{sale}/{one.tender}": one for one in basket.asked.values() if not one.over}

    def attempts(self) -> list[Attempt]:
        """Every tender that somebody outside decides and that is not over, oldest sale first."""
        standing = [attempt for basket in self.baskets.values() for attempt in basket.asked.values()]
        found = [attempt for attempt in (*standing, *self.loose.values()) if not attempt.over]
        return sorted(found, key=lambda attempt: attempt.key)

    def attempt(self, sale: int, tender: int) -> Attempt | None:
        basket = self.baskets.get(sale)
        found = basket.asked.get(tender) if basket is not None else None
        return found if found is not None else self.loose.get(f"{sale}/{tender}")

    def _tender(self, time: str, body: TenderSent | TenderHeard) -> None:
        if isinstance(body, TenderSent):
            self.requests += not body.repeat
        else:
            self._at_risk(time, body)
        basket = self.baskets.get(body.sale)
        if basket is not None:
            baskets.apply(basket, time, body)
        else:
            advance(self.loose.get(f"{body.sale}/{body.tender}"), time, body)
        attempt = self.attempt(body.sale, body.tender)
        if attempt is None:
            return
        if isinstance(body, TenderHeard) and body.outcome in FINAL and attempt.state in FINAL:
            self.witness[attempt.path] = attempt.request  # not where it was never processed: nobody would know that one
        if attempt.over:
            self.loose.pop(f"{body.sale}/{body.tender}", None)

    def _at_risk(self, time: str, body: TenderHeard) -> None:
        attempt = self.attempt(body.sale, body.tender)
        if body.outcome == AT_RISK and attempt is not None and outcome_fits(attempt, body.what, body.outcome):
            self.risk = self.risk.add(local_day(parse_utc(time)), body.amount_ore)

    def _bounded(self, basket: Basket, time: str, body: Body) -> None:
        """Tenders that are worth something only once, or only so much a day."""
        if basket.mode == "sale" and isinstance(body, TenderTaken | TenderReversed):
            self._voucher(basket, time, body)
            self._invoice(basket, time, body)

    def _invoice(self, basket: Basket, time: str, body: TenderTaken | TenderReversed) -> None:
        if body.means != "invoice":
            return
        day = local_day(parse_utc(time))
        self.invoiced = {token: bought for token, bought in self.invoiced.items() if bought.day == day}
        if isinstance(body, TenderTaken):
            self.invoiced[body.reference] = self.invoiced.get(body.reference, Risk()).add(day, body.amount_ore)
            return
        token = basket.tenders[body.tender].reference
        if (bought := self.invoiced.get(token)) is not None:
            self.invoiced[token] = Risk(day, max(0, bought.ore - body.amount_ore), bought.count)

    def _voucher(self, basket: Basket, time: str, body: TenderTaken | TenderReversed) -> None:
        if isinstance(body, TenderReversed):
            self.vouchers.pop(basket.tenders[body.tender].reference, None)
        elif is_voucher(body.means, body.reference):
            self.vouchers[body.reference] = body.sale
            while len(self.vouchers) > MOST_VOUCHERS:
                self.vouchers.pop(next(iter(self.vouchers)))
            if body.lone:
                self.lone_vouchers = self.lone_vouchers.add(local_day(parse_utc(time)), body.amount_ore)

    def _came_back(self, basket: Basket) -> None:
        if basket.mode == "return" and basket.original is not None:
            for line in basket.standing():
                key = return_key(basket.original, line.added.original_line)
                self.returned[key] = came_back(self.returned.get(key, Came()), line)

    def _lone_return(self, time: str, receipt: Receipt) -> None:
        day = local_day(parse_utc(time))
        self.lone_ore = receipt.total_ore + (self.lone_ore if day == self.lone_day else 0)
        self.lone_day = day

    def _finished(self, receipt: Receipt) -> None:
        if receipt.kind != TRAINING:
            self.releases.sold()
        self._printable(TRAINING if receipt.kind == TRAINING else NORMAL, receipt.number)
        self.last_total_ore = receipt.total_ore + receipt.rounding_ore
        self.last_change_ore = sum(tender.change_ore for tender in receipt.tenders)

    def _printable(self, series: str, number: int) -> None:
        self.flight = None
        self.last_receipt, self.last_path = Unprinted(series, number), ""
        self.last_receipt_seq = self.seq
        self.unprinted.append(self.last_receipt)

    # --- one function a kind

    def _epoch(self, body: EpochOpened) -> None:
        self.identity, self.began = body, self.time

    def _closed(self, _: EpochClosed) -> None:
        self.closed = True

    def _started(self, body: TillStarted) -> None:
        self.prices = body.prices
        self.runs += 1
        self.stopped = False
        self.staff, self.role = 0, ""  # nobody is signed in at a till that has just started

    def _setting(self, body: SettingChanged) -> None:
        self.settings[body.name] = body.after
        if not body.after:
            del self.settings[body.name]

    def _stopped(self, _: TillStopped) -> None:
        self.stopped = True

    def _sent(self, body: RegistrationSent) -> None:
        series = SERIES[body.request.receipt_type]
        self.numbers[series] = body.request.receipt_id
        self.serials[body.request.unit] = max(self.serials.get(body.request.unit, 0), body.request.serial)
        self.flight = body

    def _answered(self, body: UnitAnswered) -> None:
        self.storage[body.unit] = body.storage

    def _given_up(self, body: RegistrationGivenUp) -> None:
        self.numbers[SERIES[body.receipt_type]] = body.receipt_id - 1
        self.flight = None

    def _unknown(self, _: CodeUnknown) -> None:
        self.flight = None

    def _copy(self, body: CopyMade) -> None:
        self.copied[body.number] = body.copy
        self._printable(COPY, body.copy)

    def _printed(self, body: ReceiptPrinted) -> None:
        done = Unprinted(body.series, body.number)
        if done in self.unprinted:
            self.unprinted.remove(done)
        if done == self.last_receipt:
            self.last_path = body.path

    def _report(self, body: ReportMade) -> None:
        if body.kind == "z":
            self.numbers["z"] = body.number
            self.float_set = False

    def _float(self, _: FloatSet) -> None:
        self.float_set = True

    def _signed_in(self, body: SignedIn) -> None:
        self.staff, self.role = body.staff, body.role

    def _signed_out(self, _: SignedOut) -> None:
        self.staff, self.role = 0, ""

    def _case(self, body: CaseOpened) -> None:
        self.cases[body.case] = body
        self.numbers["case"] = body.case
        if body.about == "tender_unknown":
            tender = next((fact.value for fact in body.facts if fact.name == "tender"), "0")
            attempt = self.attempt(body.sale, int(tender) if tender.isdecimal() else 0)
            if attempt is not None:
                attempt.case = True

    def _settled(self, body: CaseSettled) -> None:
        self.cases.pop(body.case, None)
        self.slips_used.append(body.slip)

    def _slips(self, body: SlipsPrinted) -> None:
        self.numbers["slip"] = body.last

    def _unit_closed(self, body: UnitClosed) -> None:
        self.closed_units[body.unit] = body.reason

    def _unit_opened(self, body: UnitOpened) -> None:
        self.closed_units.pop(body.unit, None)

    def _probed(self, body: UnitProbed) -> None:
        self.storage[body.unit] = body.storage

    def _outage(self, _: OutageBegan) -> None:
        if not self.outage:
            self.outage, self.outage_seq = self.time, self.seq

    def _outage_over(self, _: OutageEnded) -> None:
        self.outage = ""

    def _path(self, body: PathSeen) -> None:
        self.paths[body.path] = body

    def _time(self, body: TimeConfirmed) -> None:
        self.offset_ms = body.offset_ms


def return_key(original: Original, line: int) -> str:
    """Names one line of one original receipt."""
    return f"{original.till}/{original.epoch}/{original.number}/{line}"


def came_back(came: Came, line: Line) -> Came:
    """What has come back of an original's line once this line of a return has."""
    net_ore = line.amount_ore - sum(discount.ore for discount in line.added.discounts)
    return came.and_also(line.quantity_milli, line.amount_ore, net_ore)


_BASKET_KINDS: frozenset[type[Body]] = frozenset({SaleOpened, *(kind for _, kind in baskets.NEXT)})
_HANDLERS: dict[type[Body], Callable[[State, Any], None]] = {
    EpochOpened: State._epoch,
    EpochClosed: State._closed,
    TillStarted: State._started,
    TillStopped: State._stopped,
    RegistrationSent: State._sent,
    UnitAnswered: State._answered,
    RegistrationGivenUp: State._given_up,
    CodeUnknown: State._unknown,
    CopyMade: State._copy,
    ReceiptPrinted: State._printed,
    ReportMade: State._report,
    FloatSet: State._float,
    SettingChanged: State._setting,
    SignedIn: State._signed_in,
    SignedOut: State._signed_out,
    CaseOpened: State._case,
    CaseSettled: State._settled,
    SlipsPrinted: State._slips,
    UnitClosed: State._unit_closed,
    UnitOpened: State._unit_opened,
    UnitProbed: State._probed,
    OutageBegan: State._outage,
    OutageEnded: State._outage_over,
    TimeConfirmed: State._time,
    PathSeen: State._path,
}
