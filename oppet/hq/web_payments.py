"""Head office's page of payments: which ways of paying work where, what nobody knows yet, what is at risk, and both sides of settlement.

Everything is worked out from entries and from the files of acquirers and Swish; a difference is closed by two people and by nobody
alone. The same values go out as JSON, tenders as CSV or Parquet. Keeps R13, PT8 (seen and said), O5.
"""

from __future__ import annotations

from collections import Counter as Counted
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from threading import Lock
from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.params import PathParameter, QueryParameter
from litestar.response import Stream

from oppet.base.clock import local_day, utc_text
from oppet.base.errors import RefusedError
from oppet.base.money import kronor
from oppet.base.words import N_
from oppet.drivers.hq_files import csv_pieces, parquet_pieces
from oppet.drivers.hq_payments import AtRisk, Closed, FileRow, HqPayments, Ours, PathRow, Sides, TakenIn, TheirSum
from oppet.drivers.hq_sales import HqSales
from oppet.drivers.office_pg import Change
from oppet.drivers.page_form import Fields, Form
from oppet.drivers.page_guard import SIGNED_IN, Asked, only, session_of
from oppet.drivers.pages import Desk, NavItem, language_of
from oppet.drivers.settlement_files import read_settlement
from oppet.drivers.words import say
from oppet.figures.complete import local_moment
from oppet.figures.lately import Lately
from oppet.figures.reconcile import ABOUT, HOW, Difference, Reconciled, reconcile
from oppet.figures.sales import day_of
from oppet.hq.web import Act, Context, Done, Hq, ask_for
from oppet.payments.means import MEANS
from oppet.payments.risk import RiskLimits
from oppet.people.approvals import Request
from oppet.people.roles import FINANCE, INCIDENT_LEAD, OPERATIONS, VIEWER

__all__ = ["ACTS", "NAV", "RISK", "ROUTES", "Board", "PaymentsPicture", "payments_of", "settle_file"]

MORE = "payments"
RISK = "risk"  # limits that the pages measure against, in Context.more
DAYS = 7  # that are reconciled together
FRESH_MS = 2_000
MOST_KEPT = 16
MOST_SHOWN = 200
MOST_PERIOD = 366
FILES = only(VIEWER, OPERATIONS, FINANCE)
MONEY = only(FINANCE)
MEDIA = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
STATES = ("down", "alone", "slow", "unknown", "working")  # the worst first
SIGNS = {"working": "ok", "slow": "late", "alone": "warn", "down": "off", "unknown": "open"}
STATE_WORDS = {
    "working": N_("works"), "slow": N_("slow"), "alone": N_("offline: the terminal decides"), "down": N_("down"),
    "unknown": N_("not known"),
}  # fmt: skip
TENDER_WORDS = {
    "asked": N_("asked"), "aborting": N_("being stopped"), "unknown": N_("nobody knows"), "approved": N_("paid"),
    "partial": N_("paid in part"), "declined": N_("not paid"), "accepted_at_risk": N_("taken at risk"),
    "reversing": N_("being given back"), "reversal_unknown": N_("nobody knows whether it was given back"),
    "reversed": N_("given back"), "reversal_failed": N_("could not be given back"),
}  # fmt: skip
COLUMNS = (
    ("store", "text"), ("day", "date"), ("till", "text"), ("epoch", "int"), ("branch", "text"), ("sale", "int"), ("tender", "int"),
    ("means", "text"), ("path", "text"), ("state", "text"), ("asked", "text"), ("amount_ore", "int"), ("approved_ore", "int"),
    ("back", "bool"), ("at_risk", "bool"), ("counted", "bool"), ("request", "text"), ("reference", "text"), ("approval", "text"),
    ("card", "text"), ("why", "text"),
)  # fmt: skip
_guard = Lock()

Day = Annotated[
    str, QueryParameter(max_length=10, description="The last of seven local days, 2026-11-22; today when left out.")
]
AtDay = Annotated[str, PathParameter(max_length=10, description="The local day that the case is of, 2026-11-22.")]
Key = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{20}\Z", description="What names the case.")]
ToDay = Annotated[str, QueryParameter(min_length=10, max_length=10, description="A local day, 2026-11-22.")]
OneStore = Annotated[
    str, QueryParameter(pattern=r"^[A-Za-z0-9-]{0,40}\Z", description="A store's id; all when left out.")
]
Word = Annotated[str, QueryParameter(max_length=20)]
Ending = Annotated[str, PathParameter(max_length=20, description="csv or parquet.")]


class NoCaseError(RefusedError):
    sentence = N_("There is no such difference any more: the files or the tills have said more since.")


class CaseClosedError(RefusedError):
    sentence = N_("This difference is closed already.")


class LongTimeError(RefusedError):
    sentence = N_("From {first} to {last} is no period, or more than {most} days.")


class UnknownEndingError(RefusedError):
    sentence = N_("“{ending}” is no kind of file that can be had. There are: {known}.")


class MeansBoard(msgspec.Struct, frozen=True):
    """Ways of paying of one means in one place, by how they work."""

    means: str
    working: int
    slow: int
    down: int
    unknown: int

    @property
    def state(self) -> str:
        """Of most: none works, some do not, all do."""
        if not self.working + self.slow:
            return "down" if self.down else "unknown"
        return "slow" if self.slow + self.down else "working"


class StoreBoard(msgspec.Struct, frozen=True):
    store: str
    name: str
    banner: str
    means: tuple[MeansBoard, ...]
    paths: tuple[PathRow, ...]  # the worst first

    @property
    def rank(self) -> int:
        return min((STATES.index(path.state) for path in self.paths if path.state in STATES), default=len(STATES))


class BannerBoard(msgspec.Struct, frozen=True):
    banner: str
    stores: int
    troubled: int  # stores with a path that is slow or down
    means: tuple[MeansBoard, ...]


class Board(msgspec.Struct, frozen=True):
    """How every way of paying last said it works."""

    banners: tuple[BannerBoard, ...]
    stores: tuple[StoreBoard, ...]  # the worst first


class StoreRisk(msgspec.Struct, frozen=True):
    store: str
    ore: int
    limit_ore: int
    tills: tuple[AtRisk, ...]


class DayRow(msgspec.Struct, frozen=True):
    """One day and means, both sides."""

    day: str
    means: str
    ours: int
    ours_ore: int
    theirs: tuple[TheirSum, ...]
    differences: int  # open ones
    difference_ore: int
    closed: int

    @property
    def theirs_ore(self) -> int:
        return sum(one.ore for one in self.theirs)

    @property
    def theirs_count(self) -> int:
        return sum(one.count for one in self.theirs)


class PaymentsPicture(msgspec.Struct, frozen=True):
    made: str
    first: str
    last: str
    board: Board
    open: tuple[Ours, ...]
    risk: tuple[StoreRisk, ...]
    till_limit_ore: int
    days: tuple[DayRow, ...]
    matched: int  # tenders of the days that stand one to one in a file
    matched_ore: int
    waiting: int  # in no file yet
    waiting_ore: int
    settled: int  # of what was taken at risk
    settled_ore: int
    differences: tuple[Difference, ...]  # open
    closed: tuple[Closed, ...]
    files: tuple[FileRow, ...]
    cut: bool  # there are more differences than are looked at one by one


class Case(msgspec.Struct, frozen=True):
    """A difference, and how it was closed if it was."""

    difference: Difference
    closed: Closed | None


class Payments:
    """What these pages stand on; one for a process."""

    def __init__(self, hq: Context) -> None:
        self.reader = HqPayments(hq.tables.pool)
        self._hq = hq
        self._lately: Lately[str, PaymentsPicture] = Lately(hq.clock, FRESH_MS, MOST_KEPT)

    @property
    def limits(self) -> RiskLimits:
        found = self._hq.more.get(RISK)
        return found if isinstance(found, RiskLimits) else RiskLimits()

    def picture(self, day: str) -> PaymentsPicture:
        last = day_of(day, local_day(self._hq.clock.now()))
        return self._lately.get(last, lambda now: self._made(last, now))

    def _made(self, last: str, now: int) -> PaymentsPicture:
        first = (date.fromisoformat(last) - timedelta(days=DAYS - 1)).isoformat()
        sides = self.reader.sides(first, last)
        done = _within(reconcile(sides.ours, sides.theirs, sides.told_until, now), first, last)
        closed = self.reader.closed([one.key for one in done.differences])
        open_ones = tuple(one for one in done.differences if one.key not in closed)
        plain = [(row.plain, row.plain_ore) for row in sides.sums]
        return PaymentsPicture(
            utc_text(now), first, last, board_of(self.reader.paths(), self._names()), tuple(self.reader.open_tenders()),
            self._risk(local_day(now)), self.limits.till_day_ore, tuple(_days(sides, done, closed)),
            done.matched + sum(count for count, _ in plain), done.matched_ore + sum(ore for _, ore in plain), done.waiting,
            done.waiting_ore, done.settled, done.settled_ore, open_ones, tuple(closed.values()), tuple(self.reader.files()), sides.cut,
        )  # fmt: skip

    def case(self, day: str, key: str) -> Case:
        """Worked out anew. Raises NoCaseError, BadDayError."""
        day = day_of(day, local_day(self._hq.clock.now()))
        around = [(date.fromisoformat(day) + timedelta(days=days)).isoformat() for days in (-DAYS + 1, DAYS - 1)]
        sides = self.reader.sides(*around)
        done = reconcile(sides.ours, sides.theirs, sides.told_until, self._hq.clock.now())
        found = next((one for one in done.differences if one.key == key and one.day == day), None)
        if found is None:
            raise NoCaseError
        return Case(found, self.reader.closed([key]).get(key))

    def _names(self) -> dict[str, tuple[str, str]]:
        return {store.store: (store.name, store.banner) for store in self._hq.directory.stores()}

    def _risk(self, today: str) -> tuple[StoreRisk, ...]:
        tills: dict[str, list[AtRisk]] = {}
        for row in self.reader.at_risk(today):
            tills.setdefault(row.store, []).append(row)
        limit = self.limits.store_day_ore
        found = [StoreRisk(store, sum(row.ore for row in rows), limit, tuple(rows)) for store, rows in tills.items()]
        return tuple(sorted(found, key=lambda one: (-one.ore, one.store)))


def payments_of(hq: Context) -> Payments:
    """Made once for a process."""
    with _guard:
        found = hq.more.get(MORE)
        if found is None:
            found = hq.more[MORE] = Payments(hq)
        assert isinstance(found, Payments)
        return found


def settle_file(hq: Context, path: Any, service: str = "") -> TakenIn:
    """Take one file in. Raises FileMissingError, FileTroubleError, NotASettlementError, BadSettlementError, SaidOtherwiseError."""
    return payments_of(hq).reader.take_in(read_settlement(path, service), hq.clock.now())


def board_of(paths: Sequence[PathRow], names: Mapping[str, tuple[str, str]]) -> Board:
    by_store: dict[str, list[PathRow]] = {}
    for path in paths:
        by_store.setdefault(path.store, []).append(path)
    stores = []
    for store, rows in by_store.items():
        name, banner = names.get(store, ("", ""))
        rows.sort(key=lambda row: (STATES.index(row.state) if row.state in STATES else 9, row.till, row.path))
        stores.append(StoreBoard(store, name, banner, _means(rows), tuple(rows)))
    stores.sort(key=lambda one: (one.rank, one.store))
    banners = []
    for banner in sorted({one.banner for one in stores}):
        mine = [one for one in stores if one.banner == banner]
        rows = [path for one in mine for path in one.paths]
        banners.append(
            BannerBoard(banner, len(mine), sum(one.rank < STATES.index("unknown") for one in mine), _means(rows))
        )
    return Board(tuple(banners), tuple(stores))


def _means(rows: Sequence[PathRow]) -> tuple[MeansBoard, ...]:
    found = []
    for means in sorted(
        {row.means for row in rows}, key=lambda word: (list(MEANS).index(word) if word in MEANS else 99, word)
    ):
        count = Counted(row.state for row in rows if row.means == means)
        found.append(
            MeansBoard(means, count["working"], count["slow"] + count["alone"], count["down"], count["unknown"])
        )
    return tuple(found)


def _within(done: Reconciled, first: str, last: str) -> Reconciled:
    """Only the differences of these days: others were read to match these."""
    return msgspec.structs.replace(done, differences=tuple(one for one in done.differences if first <= one.day <= last))


def _days(sides: Sides, done: Reconciled, closed: Mapping[str, Closed]) -> list[DayRow]:
    places = {(row.day, row.means) for row in sides.sums} | {(row.day, row.means) for row in sides.their_sums}
    places |= {(one.day, one.means) for one in done.differences}
    ours = {(row.day, row.means): row for row in sides.sums}
    found = []
    for day, means in sorted(places, key=lambda place: (place[0], place[1]), reverse=True):
        mine = ours.get((day, means))
        here = [one for one in done.differences if (one.day, one.means) == (day, means)]
        left = [one for one in here if one.key not in closed]
        found.append(
            DayRow(
                day, means, mine.count if mine else 0, mine.ore if mine else 0,
                tuple(row for row in sides.their_sums if (row.day, row.means) == (day, means)), len(left),
                sum(one.ore for one in left), len(here) - len(left),
            )
        )  # fmt: skip
    return found


# --- pages -----------------------------------------------------------------------------------------------------------


def _facts(request: Asked, hq: Context, day: str) -> dict[str, Any]:
    language = language_of(request)
    payments = payments_of(hq)
    picture = payments.picture(day)
    today = local_day(hq.clock.now())
    before = (date.fromisoformat(picture.last) - timedelta(days=DAYS)).isoformat()
    after = min((date.fromisoformat(picture.last) + timedelta(days=DAYS)).isoformat(), today)
    return {
        "picture": picture, "today": today, "before": before, "after": after if after > picture.last else "", "now": hq.clock.now(),
        "most": MOST_SHOWN, "may_take": FINANCE in session_of(request).roles,
    } | _talk(language)  # fmt: skip


def _talk(language: str) -> dict[str, Any]:
    return {
        "signs": SIGNS, "state_words": STATE_WORDS, "tender_words": TENDER_WORDS, "about_words": ABOUT, "how_words": HOW,
        "means_words": lambda means: say(MEANS[means].sentence, language) if means in MEANS else means,
        "why_words": lambda why: why.replace("_", " "), "clock": local_moment, "share": lambda part, of: min(100, 100 * part // max(of, 1)),
    }  # fmt: skip


@get("/payments", opt=SIGNED_IN, include_in_schema=False, sync_to_thread=True)
def payments_page(request: Asked, desk: Desk, hq: Hq, day: Day = "") -> Response[str]:
    return desk.page(request, "payments.html", **_facts(request, hq, day))


@get("/payments/live", opt=SIGNED_IN, include_in_schema=False, sync_to_thread=True)
def payments_live(request: Asked, desk: Desk, hq: Hq, day: Day = "") -> Response[str]:
    """The part of the page that renews itself."""
    text = desk.render(language_of(request), "payments_live.html", **_facts(request, hq, day))
    return Response(text, media_type="text/html", headers={"Cache-Control": "no-store"})


@get("/payments/cases/{day:str}/{key:str}", opt=SIGNED_IN, include_in_schema=False, sync_to_thread=True)
def case_page(request: Asked, desk: Desk, hq: Hq, day: AtDay, key: Key) -> Response[str]:
    case = payments_of(hq).case(day, key)
    may = FINANCE in session_of(request).roles and case.closed is None and case.difference.closable
    return desk.page(request, "payments_case.html", case=case, may=may, **_talk(language_of(request)))


@post("/payments/close", opt=MONEY, include_in_schema=False, sync_to_thread=True, status_code=303)
def ask_close(request: Asked, desk: Desk, hq: Hq, data: Fields) -> Response[str]:
    form = Form(data)
    day, key = form.day("day"), form.text("case", 20)
    case = payments_of(hq).case(day, key)
    if case.closed is not None or not case.difference.closable:
        raise CaseClosedError
    found = case.difference
    facts = {
        "case": key, "day": day, "amount": kronor(found.ore), "tender": _named(found.ours), "theirs": _theirs(found),
        "how": HOW[form.one_of("how", HOW)], "note": form.text("note", 200),
    }  # fmt: skip
    number = ask_for(hq, session_of(request), "close_money_case", f"{found.about} {key}", facts)
    return desk.go(
        request, "/approvals", "done", N_("Request {number} waits for somebody else to approve it."), number=number
    )


def _named(one: Ours | None) -> str:
    return "" if one is None else f"{one.till}/{one.epoch}/{one.sale}/{one.tender}"


def _theirs(found: Difference) -> str:
    return ", ".join(line.reference or line.line for line in found.theirs)[:200]


def _close(hq: Context, t: Change, request: Request) -> Done:
    case = payments_of(hq).case(request.fact("day"), request.fact("case"))
    how = next(word for word, sentence in HOW.items() if sentence == request.fact("how"))
    found = case.difference
    settled = t.request(request.id)
    assert settled is not None, "it is being settled"
    closed = t.close_money_case(
        found.key,
        found.about,
        found.ore,
        how,
        request.fact("note"),
        request.asked_by,
        settled.settled_by,
        hq.clock.now(),
    )
    if not closed:
        raise CaseClosedError
    return Done(N_("The difference of {amount} kr is closed."), {"amount": kronor(found.ore)})


@get("/payments/get", opt=FILES, include_in_schema=False, sync_to_thread=True)
def tenders_get(hq: Hq, first: ToDay, last: ToDay, store: OneStore = "", ending: Word = "csv") -> Stream:
    """The form's answer: a file."""
    return _file(hq, ending, first, last, store)


# --- for machines ----------------------------------------------------------------------------------------------------


@get(
    "/api/payments", opt=SIGNED_IN, sync_to_thread=True, tags=["payments"],
    summary="Ways of paying, what nobody knows yet, what is at risk, and both sides of settlement over seven days",
)  # fmt: skip
def api_payments(hq: Hq, day: Day = "") -> PaymentsPicture:
    return payments_of(hq).picture(day)


@get(
    "/api/payments/cases/{day:str}/{key:str}", opt=SIGNED_IN, sync_to_thread=True, tags=["payments"],
    summary="One difference with everything a person needs",
)  # fmt: skip
def api_case(hq: Hq, day: AtDay, key: Key) -> Case:
    return payments_of(hq).case(day, key)


@get(
    "/api/payments/tenders/{ending:str}", opt=FILES, sync_to_thread=True, tags=["payments"],
    summary="Tenders that somebody outside decided, of a period, as CSV or Parquet", media_type="application/octet-stream",
)  # fmt: skip
def api_tenders(hq: Hq, ending: Ending, first: ToDay, last: ToDay, store: OneStore = "") -> Stream:
    return _file(hq, ending, first, last, store)


def _file(hq: Context, ending: str, first: str, last: str, store: str) -> Stream:
    if ending not in MEDIA:
        raise UnknownEndingError(ending=ending, known=", ".join(MEDIA))
    today = local_day(hq.clock.now())
    start, end = day_of(first, today), day_of(last, today)
    count = (date.fromisoformat(end) - date.fromisoformat(start)).days + 1
    if not 1 <= count <= MOST_PERIOD:
        raise LongTimeError(first=start, last=end, most=MOST_PERIOD)
    days = [(date.fromisoformat(start) + timedelta(days=n)).isoformat() for n in range(count)]
    stores = [store] if store else [row.store for row in HqSales(hq.tables.pool).stores()]
    rows = payments_of(hq).reader.export(stores, days)
    pieces = (
        csv_pieces(COLUMNS, rows) if ending == "csv" else parquet_pieces(COLUMNS, rows, {"first": start, "last": end})
    )
    name = f'attachment; filename="payments-{start}-{end}.{ending}"'
    return Stream(pieces, media_type=MEDIA[ending], headers={"Content-Disposition": name, "Cache-Control": "no-store"})


ACTS = {"close_money_case": Act(N_("Close a difference in money"), (FINANCE,), (FINANCE, INCIDENT_LEAD), _close)}
NAV = [NavItem("/payments", N_("Payments"))]
ROUTES = [
    payments_page, payments_live, case_page, ask_close, tenders_get, api_payments, api_case, api_tenders,
]  # fmt: skip
