"""The desk every part of the till works at: ask, decide, write down, act.

Holds the ports and the state. `write` is the only way anything happens: entries go to disk first, the state follows, and the caller
acts last (J1). After a disk that failed nothing is known until the journal has been read again: `mend` does what a restart does.
"""

from __future__ import annotations

import msgspec

from oppet.base.clock import local_minute, parse_utc, utc_text
from oppet.base.errors import UnavailableError
from oppet.base.words import N_
from oppet.fiscal.paths import ReceiptPath, first_ready
from oppet.goods.promotions import PromotionBook
from oppet.journal.entry import Entry, body_of
from oppet.journal.kinds import Body, CaseOpened, ClockDoubted, EpochOpened, Fact, TimeConfirmed
from oppet.sale.basket import Basket
from oppet.sale.errors import NoSuchSaleError
from oppet.sale.price import Priced, price
from oppet.sale.rights import Limits, Staff, approver
from oppet.till.errors import (
    ClockInDoubtError,
    DiskNearlyFullError,
    FloatMissingError,
    NotPossibleNowError,
    NotSignedInError,
    OutageOpenError,
)
from oppet.till.ports import Ports
from oppet.till.state import State
from oppet.till.timekeeping import Timekeeper

__all__ = ["VIEW", "Desk", "Rules"]

VIEW = "state-1"  # the name of the snapshot; a new shape of State takes a new name, and the old one is replayed


class Rules(msgspec.Struct, frozen=True):
    """What a chain sets for its tills. Disk in megabytes; the rest is in the rooms that use it."""

    limits: Limits = Limits()
    disk_warn_mb: int = 2000
    disk_least_mb: int = 200
    electronic: bool = True  # customers may be given electronic receipts
    views_every: int = 20_000  # entries between two snapshots of the state


class Desk:
    def __init__(self, ports: Ports, rules: Rules) -> None:
        self.ports = ports
        self.rules = rules
        self.offers = PromotionBook(ports.catalogue.promotions)
        self.state = State()
        self._viewed = 0
        self._priced: tuple[int, str, Priced] | None = None
        self._load()
        last = max(self.state.time, f"{ports.catalogue.made[:10]}T00:00:00.000Z")
        self.time = Timekeeper(parse_utc(last))

    # --- the journal and the state that follows it

    def _load(self) -> None:
        """Fold the journal into a state: from the last snapshot if it belongs to this very journal, else from the start."""
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
        self._priced = None

    def mend(self) -> None:
        """After a write that failed: read the journal again and start from what it says. Raises UnavailableError."""
        self.ports.journal.recover()
        self._load()

    def write(self, *bodies: Body, sign: bool = True) -> None:
        """Put entries on disk in one durable group, then follow them. Raises UnavailableError with nothing acted on."""
        ports = self.ports
        instant = self.now()
        written = ports.journal.append(instant, bodies, ports.signer if sign else None)
        time = utc_text(instant)
        for seq, body in written:
            self.state.apply(seq, time, body)
        self._priced = None
        if self.state.seq - self._viewed >= self.rules.views_every:
            self.save()

    def ready(self) -> None:
        """Called at the door of every action: mends after a failed write."""
        if self.ports.journal.broken:
            self.mend()

    @property
    def identity(self) -> EpochOpened:
        assert self.state.identity is not None, "a journal begins with its epoch"
        return self.state.identity

    # --- time

    def now(self) -> int:
        """The clock's reading with what a supervisor has added to it."""
        return self.ports.clock.now() + self.state.offset_ms

    def when(self) -> str:
        """Local minute to take prices by: the believed one, which a doubtful clock does not move (R18)."""
        counter = self.ports.clock.counter()
        reading = self.now()
        return local_minute(reading if self.time.judge(reading, counter) is None else self.time.believed(counter))

    def sure_of_time(self) -> None:
        """Raises ClockInDoubtError, journalled once for each doubt."""
        before = self.time.doubt
        doubt = self.time.judge(self.now(), self.ports.clock.counter())
        if doubt is None:
            return
        shown = {
            "reading": local_minute(doubt.reading).replace("T", " "),
            "earliest": local_minute(doubt.earliest).replace("T", " "),
            "latest": local_minute(doubt.latest).replace("T", " "),
        }
        if before is None:
            self.write(ClockDoubted(utc_text(doubt.reading), utc_text(doubt.earliest), utc_text(doubt.latest)))
        raise ClockInDoubtError(**shown)

    def confirm_time(self, instant: int | None, approval: Staff | None) -> None:
        """A supervisor says what time it is; None confirms the clock's own reading."""
        self.ready()
        by = approver("time", self.staff(), approval)
        reading = self.ports.clock.now()
        offset = self.state.offset_ms if instant is None else instant - reading
        self.time.believe(reading + offset, self.ports.clock.counter())
        self.write(TimeConfirmed(utc_text(reading), offset, by))

    # --- who, and whether a sale may begin

    def staff(self) -> Staff:
        """Whoever is signed in. Raises NotSignedInError."""
        if not self.state.staff:
            raise NotSignedInError
        return Staff(self.state.staff, self.state.role)

    def free_mb(self) -> int:
        return self.ports.journal.free_bytes() // 1_000_000

    def may_begin(self) -> None:
        """Everything the next sale needs before it starts (R05, design §4 law 6): refuse now rather than lose it later."""
        state = self.state
        self.staff()
        if not state.float_set:
            raise FloatMissingError
        if state.outage:
            raise OutageOpenError(since=local_minute(parse_utc(state.outage)).replace("T", " "))
        if state.flight is not None:
            raise NotPossibleNowError(action=N_("A new sale"), why=N_("the last registration is not settled"))
        if (free := self.free_mb()) < self.rules.disk_least_mb:
            raise DiskNearlyFullError(free=free, least=self.rules.disk_least_mb)
        self.sure_of_time()
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
        when = self.when()
        if self._priced is None or self._priced[:2] != (basket.sale, when):
            self._priced = (basket.sale, when, price(basket, self.offers, when))
        return self._priced[2]

    def today(self) -> str:
        return self.when()[:10]

    def case(self, about: str, sale: int, amount_ore: int, **facts: str) -> CaseOpened:
        """The next case, to be written with what caused it."""
        number = self.state.numbers.get("case", 0) + 1
        return CaseOpened(number, about, sale, amount_ore, tuple(Fact(name, value) for name, value in facts.items()))

    def receipt_entry(self, series: str, number: int) -> Entry | None:
        """The entry that holds a receipt or copy of this till, or None."""
        seq = self.ports.journal.find_receipt(series, number)
        return next(iter(self.ports.journal.read(seq, seq)), None) if seq is not None else None

    def save(self) -> None:
        """Keep a snapshot of the state so that the next start is quick. A failure costs time, never a sale."""
        head = self.ports.journal.head
        try:
            self.ports.journal.save_view(VIEW, head.seq, head.digest, msgspec.json.encode(self.state))
        except UnavailableError:
            return
        self._viewed = head.seq

