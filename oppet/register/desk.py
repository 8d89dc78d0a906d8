"""The desk every part of the till works at: ask, decide, write down, act.

Holds the ports and the state. `write` is the only way anything happens: entries go to disk first, the state follows,
and the caller acts last (J1). After a disk that failed nothing is known until the journal has been read again: `mend`
does what a restart does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from oppet.base.clock import local_minute, parse_utc, utc_text
from oppet.base.errors import UnavailableError
from oppet.base.words import N_
from oppet.goods.catalogue import Catalogue
from oppet.goods.promotions import Promotion, PromotionBook
from oppet.journal.entry import body_of
from oppet.journal.kinds import (
    Body,
    CaseOpened,
    ClockDoubted,
    CopyMade,
    DiscountGiven,
    DiscountWithdrawn,
    EpochOpened,
    Fact,
    LineAdded,
    LineChanged,
    LineVoided,
    MemberShown,
    Receipt,
    TenderHeard,
    TenderReversed,
    TimeConfirmed,
)
from oppet.paper.paths import ReceiptPath, first_ready
from oppet.payments.risk import RiskLimits
from oppet.payments.tender import ABORTING, ASKED, REVERSAL_FAILED, REVERSAL_UNKNOWN, REVERSING, Attempt
from oppet.payments.vouchers import VoucherRules
from oppet.register.errors import (
    ClockInDoubtError,
    DiskNearlyFullError,
    FloatMissingError,
    NotPossibleNowError,
    NotSignedInError,
    OutageOpenError,
    TenderOpenError,
)
from oppet.register.ports import Ports
from oppet.register.state import COPY, NORMAL, TRAINING, State
from oppet.register.timekeeping import STEP_MS, Timekeeper
from oppet.release.goods_intake import GoodsState
from oppet.sale.basket import Basket
from oppet.sale.errors import NoSuchSaleError
from oppet.sale.price import Priced, price
from oppet.sale.rights import Limits, Staff, approver

__all__ = ["VIEW", "Desk", "Filed", "Rules", "settled", "shown", "unsettled"]

VIEW = "state-9"  # the name of the snapshot; a new shape of State takes a new name, and the old one is replayed


EARLIEST_MS = parse_utc("2026-01-01T00:00:00.000Z")  # no till of ours is older
LATEST_MS = parse_utc("2100-01-01T00:00:00.000Z")
SUMMER_MS = 2 * 3_600_000  # a Swedish day begins at most two hours before a UTC one


Megabytes = Annotated[int, Meta(ge=0, le=1_000_000_000)]


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a chain sets for its tills. Disk in megabytes; the rest is in the rooms that use it."""

    limits: Limits = Limits()
    risk: RiskLimits = RiskLimits()
    vouchers: VoucherRules = VoucherRules()
    disk_warn_mb: Megabytes = 2000
    disk_least_mb: Megabytes = 200
    electronic: bool = True  # customers may be given electronic receipts
    views_every: Annotated[int, Meta(ge=100, le=10_000_000)] = 20_000  # entries between two snapshots of the state


# What changes a basket's price; between two of these it is reckoned once.
REPRICED = frozenset(
    {
        LineAdded,
        LineChanged,
        LineVoided,
        DiscountGiven,
        DiscountWithdrawn,
        MemberShown,
        TenderHeard,
        TenderReversed,
        Receipt,
    }
)


@dataclass(frozen=True, slots=True)
class Filed:
    """A receipt or copy as the journal holds it."""

    seq: int
    time: str
    body: Receipt | CopyMade

    def is_called(self, series: str, number: int) -> bool:
        """Whether this is number `number` of `series`."""
        if isinstance(self.body, CopyMade):
            return (series, number) == (COPY, self.body.copy)
        return (series, number) == (TRAINING if self.body.kind == TRAINING else NORMAL, self.body.number)


class Desk:
    def __init__(self, ports: Ports, rules: Rules) -> None:
        self.ports = ports
        self.rules = rules
        self.offers = PromotionBook(ports.catalogue.promotions)
        self.state = State()
        self._viewed = 0
        self._priced: tuple[int, str, Priced] | None = None
        self._fresh: Filed | None = None  # the last receipt written, about to be printed
        self._last = 0  # the moment of the last entry
        self._doubt_told = False
        self._cut_off = False
        self.settle: Callable[[], object] = lambda: None  # what checkout does with a registration that was cut off
        self._load()
        made = _day_began(ports.catalogue.made)
        # The price file's day is only a lower bound: a till's first start may be long after it.
        self.time = Timekeeper(max(self._last, made)) if self._last else Timekeeper(made or EARLIEST_MS, LATEST_MS)

    # --- the journal and the state that follows it

    def _load(self) -> None:
        """Fold the journal into a state: from the last snapshot if it belongs to this very journal, else from the
        start.
        """
        journal = self.ports.journal
        view = journal.load_view(VIEW)
        self.state = State()
        if view is not None:
            try:
                self.state = msgspec.json.decode(view[2], type=State)
            except msgspec.DecodeError:
                self.state = State()  # a snapshot of another version: replay from the first entry
        self._viewed = self.state.seq
        for entry in journal.read(self.state.seq + 1):
            self.state.apply(entry.seq, entry.time, body_of(entry))
        self._last = parse_utc(self.state.time) if self.state.time else 0
        self._priced = self._fresh = None

    def mend(self) -> None:
        """After a write that failed: read the journal again and start from what it says. Raises UnavailableError."""
        self.ports.journal.recover()
        self._load()

    def write(self, *bodies: Body, sign: bool = True) -> None:
        """Put entries on disk in one durable group, then follow them. Raises UnavailableError with nothing acted on."""
        ports = self.ports
        instant = self.now()
        if instant < self._last <= instant + STEP_MS:
            instant = self._last  # a clock that is set back a little: two entries at one moment, never a step back
        written = ports.journal.append(instant, bodies, ports.signer if sign else None)
        self._last, time = instant, utc_text(instant)
        for seq, body in written:
            self.state.apply(seq, time, body)
            if type(body) is Receipt or type(body) is CopyMade:
                self._fresh = Filed(seq, time, body)
        if any(type(body) in REPRICED for body in bodies):
            self._priced = None
        if self.state.seq - self._viewed >= self.rules.views_every:
            self.save()

    def ready(self) -> None:
        """Called at the door of every action: after a failed write, does what a restart does.

        A sale that was cut off between two writes is settled before anything else happens. Raises UnavailableError.
        """
        if self.ports.journal.broken:
            self._cut_off = True
            self.mend()
        if self._cut_off:
            self._cut_off = False
            try:
                self.settle()
            except UnavailableError:
                self._cut_off = True
                raise

    @property
    def identity(self) -> EpochOpened:
        assert self.state.identity is not None, "a journal begins with its epoch"
        return self.state.identity

    # --- time

    def now(self) -> int:
        """The clock's reading with what a supervisor has added to it; while that is in doubt, the believed moment.

        Entries and receipts bear it too: a clock that jumps dates no receipt, and no entry lies in a future that
        never comes.
        """
        counter = self.ports.clock.counter()
        reading = self.ports.clock.now() + self.state.offset_ms
        if self.time.judge(reading, counter) is None:
            self._doubt_told = False
            return reading
        return self.time.believed(counter)

    def when(self) -> str:
        """Local minute to take prices by: the believed one, which a doubtful clock does not move (R18)."""
        return local_minute(self.now())

    def sure_of_time(self) -> None:
        """Raises ClockInDoubtError, journalled once for each doubt."""
        self.now()
        doubt = self.time.doubt
        if doubt is None:
            return
        bounds = utc_text(doubt.reading), utc_text(doubt.earliest), utc_text(doubt.latest)
        if not self._doubt_told:
            self.write(ClockDoubted(*bounds))
            self._doubt_told = True
        reading, earliest, latest = map(shown, bounds)
        raise ClockInDoubtError(reading=reading, earliest=earliest, latest=latest)

    def confirm_time(self, instant: int | None, approval: Staff | None) -> None:
        """A supervisor says what time it is; None confirms the clock's own reading. Raises NotPossibleNowError for
        nonsense.
        """
        self.ready()
        by = approver("time", self.staff(), approval)
        reading = self.ports.clock.now()
        offset = self.state.offset_ms if instant is None else instant - reading
        if not EARLIEST_MS <= reading + offset < LATEST_MS:
            raise NotPossibleNowError(action=N_("This date"), why=N_("it is long past or far ahead"))
        self.write(TimeConfirmed(utc_text(reading), offset, by))
        self.time.believe(reading + offset, self.ports.clock.counter())
        self._last = 0  # the confirmed time may lie before entries of a clock that was ahead

    # --- prices that come down

    @property
    def goods(self) -> GoodsState:
        return self.state.goods

    @property
    def catalogue(self) -> Catalogue:
        return self.ports.catalogue

    def in_doubt(self) -> bool:
        """Whether the clock is: then no price changes (design §2 Time)."""
        self.now()
        return self.time.doubt is not None

    def between(self) -> bool:
        """Between two customers: nothing lies in front of the cashier, nothing is being registered. Parked baskets wait."""
        return not self.state.current and self.state.flight is None and not self.ports.journal.broken

    def charge(self, catalogue: Catalogue, own: Sequence[Promotion] = ()) -> None:
        """From now on goods are sold at these prices, with the store's own mark-downs beside the offers that came with them.

        The caller has written it down. A parked basket keeps the prices that it was scanned with.
        """
        self.ports.catalogue = catalogue
        self.offers = PromotionBook((*catalogue.promotions, *own))
        self._priced = None

    # --- who, and whether a sale may begin

    def staff(self) -> Staff:
        """Whoever is signed in. Raises NotSignedInError."""
        if not self.state.staff:
            raise NotSignedInError
        return Staff(self.state.staff, self.state.role)

    def free_mb(self) -> int:
        """What the disk has left; a disk that cannot even be asked has nothing."""
        try:
            return self.ports.journal.free_bytes() // 1_000_000
        except OSError:
            return 0

    def may_begin(self) -> None:
        """Everything the next sale needs before it starts (R05, design §4 law 6): refuse now rather than lose it later.

        In the order in which a person must act: who, then what the journal needs, then the clock that dates the day's
        float.
        """
        state = self.state
        self.staff()
        if (refusal := self.ports.copies.refusal()) is not None:
            raise refusal
        if (free := self.free_mb()) < self.rules.disk_least_mb:
            raise DiskNearlyFullError(free=free, least=self.rules.disk_least_mb)
        if state.flight is not None:
            raise NotPossibleNowError(action=N_("A new sale"), why=N_("the last registration is not settled"))
        self.sure_of_time()
        if state.outage:
            raise OutageOpenError(since=shown(state.outage))
        if not state.float_set:
            raise FloatMissingError
        self.open_path()

    def open_path(self) -> ReceiptPath:
        """The receipt path to use now. Raises NoReceiptPathError."""
        return first_ready(self.ports.paths)

    # --- the basket in front of the cashier

    def basket(self) -> Basket:
        """Raises NoSuchSaleError when there is none."""
        self.staff()
        found = self.state.baskets.get(self.state.current)
        if found is None:
            raise NoSuchSaleError(sale=self.state.current)
        return found

    def priced(self, basket: Basket) -> Priced:
        """What the basket costs now; kept until the next entry or the next minute."""
        when = "" if basket.offers is not None else self.when()  # once money is taken the hour no longer matters
        kept = self._priced
        if kept is None or kept[0] != basket.sale or (when and kept[1] != when):
            self._priced = kept = (basket.sale, when, price(basket, self.offers, when))
        return kept[2]

    def today(self) -> str:
        return self.when()[:10]

    def case(self, about: str, sale: int, amount_ore: int, **facts: str) -> CaseOpened:
        """The next case, to be written with what caused it."""
        number = self.state.numbers.get("case", 0) + 1
        return CaseOpened(number, about, sale, amount_ore, tuple(Fact(name, value) for name, value in facts.items()))

    def tender_case(self, about: str, attempt: Attempt, amount_ore: int, after: int = 0) -> CaseOpened:
        """A case about one tender that somebody outside decides; `after` so many others of the same durable group."""
        case = self.case(
            about, attempt.sale, amount_ore, means=attempt.means, path=attempt.path, request=attempt.request,
            tender=str(attempt.tender),
        )  # fmt: skip
        return msgspec.structs.replace(case, case=case.case + after)

    def kept(self, basket: Basket, after: int = 0) -> list[CaseOpened]:
        """What to write where a basket goes without a receipt: its service refused to give this money back while the sale
        still counted it, and asks no more. Now nothing counts it, so a person must know (PT4).
        """
        refused = [
            one for one in basket.asked.values() if one.state == REVERSAL_FAILED and one.tender in basket.tenders
        ]
        return [
            self.tender_case("reversal_failed", one, one.approved_ore, after + number)
            for number, one in enumerate(refused)
        ]

    def filed(self, series: str, number: int) -> Filed | None:
        """Where a receipt or copy of this till stands in the journal, or None."""
        if self._fresh is not None and self._fresh.is_called(series, number):
            return self._fresh
        seq = self.ports.journal.find_receipt(series, number)
        entry = next(iter(self.ports.journal.read(seq, seq)), None) if seq is not None else None
        body = body_of(entry) if entry is not None else None
        if entry is None or not isinstance(body, Receipt | CopyMade):
            return None
        return Filed(entry.seq, entry.time, body)

    def save(self) -> None:
        """Keep a snapshot of the state so that the next start is quick. A failure costs time, never a sale."""
        head = self.ports.journal.head
        try:
            self.ports.journal.save_view(VIEW, head.seq, head.digest, msgspec.json.encode(self.state))
        except UnavailableError:
            return
        self._viewed = head.seq


def unsettled(basket: Basket) -> Attempt | None:
    """A tender whose exchange must end first: being asked for, stopped or given back. One that is unknown waits for nobody."""
    busy = (ASKED, ABORTING, REVERSING, REVERSAL_UNKNOWN)
    return next((one for one in basket.asked.values() if one.state in busy), None)


def settled(basket: Basket) -> None:
    """Raises TenderOpenError while a tender of this basket is under way."""
    if (one := unsettled(basket)) is not None:
        raise TenderOpenError(tender=one.tender, state=one.state)


def shown(utc: str) -> str:
    """An entry's time on a Swedish wall clock, for a sentence."""
    return local_minute(parse_utc(utc)).replace("T", " ")


def _day_began(made: str) -> int:
    """When the local day began on which a price file was made; a date that is none says nothing."""
    try:
        return parse_utc(f"{made[:10]}T00:00:00.000Z") - SUMMER_MS
    except ValueError:
        return 0
