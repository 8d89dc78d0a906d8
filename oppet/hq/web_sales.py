"""Head office's pages of sales: now, by store, by article group; down to a receipt's exact bytes; what waits for a person; files.

The first page answers two questions before any other: how much, and which store is missing and why. Every figure says how
complete it is. The same values go out as JSON; files leave as they are made. Keeps Q4, Q5, Q8 and Q9.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.params import PathParameter, QueryParameter
from litestar.response import Stream

from oppet.base.clock import local, local_day, parse_utc, utc_text
from oppet.base.errors import RefusedError, clip
from oppet.base.words import N_
from oppet.drivers.hq_read import ClashingNumber, DoubleReturn, HqRead, OpenCase, Quarantined
from oppet.drivers.hq_sales import HqSales, ReceiptRow
from oppet.drivers.page_guard import SIGNED_IN, Asked, only
from oppet.drivers.pages import Desk, NavItem, language_of
from oppet.drivers.words import say
from oppet.figures.complete import Held, local_moment
from oppet.figures.estimate import Guess
from oppet.figures.exports import FORMATS, KINDS, Exports
from oppet.figures.proof import Proof, prove
from oppet.figures.quarantine import REASONS
from oppet.figures.sales import Completeness, GroupPicture, Hour, Picture, Sales, StoreFigure
from oppet.hq.web import Context, Hq
from oppet.journal.chain import UNREADABLE
from oppet.journal.entry import body_of, parse
from oppet.journal.kinds import Receipt
from oppet.payments.means import MEANS
from oppet.people.roles import FINANCE, OPERATIONS, VIEWER

__all__ = ["NAV", "ROUTES", "Counter", "Receipts", "Waiting", "counter_of"]

MORE = "sales"
OLD_S = 20  # a picture older than this says its age: the next is being made
PAGE = 50
MOST_PAGES = 2_000
FILES = only(VIEWER, OPERATIONS, FINANCE)
BOOKS = only(FINANCE)
MEDIA = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
COUNTED = {
    "all": N_("counted in full"),
    "lines": N_("counted, but not how it was paid"),
    "total": N_("its total alone is counted"),
    "nothing": N_("not counted"),
}
_guard = Lock()

Day = Annotated[str, QueryParameter(max_length=10, description="A local day, 2026-11-22; today when left out.")]
ToDay = Annotated[str, QueryParameter(min_length=10, max_length=10, description="A local day, 2026-11-22.")]
Store = Annotated[str, PathParameter(pattern=r"^[A-Za-z0-9-]{1,40}\Z", description="A store's id, such as S01.")]
OneStore = Annotated[
    str, QueryParameter(pattern=r"^[A-Za-z0-9-]{0,40}\Z", description="A store's id; all when left out.")
]
Stores = Annotated[
    list[str] | None, QueryParameter(name="store", max_items=2000, description="Stores; all when left out.")
]
Till = Annotated[str, PathParameter(pattern=r"^[A-Za-z0-9-]{1,40}\Z", description="A till's name, such as S01-K1.")]
OneTill = Annotated[
    str, QueryParameter(pattern=r"^[A-Za-z0-9-]{0,40}\Z", description="A till's name; all when left out.")
]
AtHour = Annotated[str, QueryParameter(max_length=2, description="An hour of the day, 0 to 23; all when left out.")]
Branch = Annotated[
    str, QueryParameter(pattern=r"^([0-9a-f]{64})?\Z", description="A fork's branch; the first history when left out.")
]
Epoch = Annotated[int, PathParameter(ge=1, le=999_999_999)]
Seq = Annotated[int, PathParameter(ge=1, lt=1 << 53, description="The entry's number.")]
PageNo = Annotated[int, QueryParameter(ge=1, le=MOST_PAGES)]
Word = Annotated[str, QueryParameter(max_length=20)]
What = Annotated[str, PathParameter(max_length=20, description="receipts, lines, tenders or hours.")]
Ending = Annotated[str, PathParameter(max_length=20, description="csv or parquet.")]


class BadFilterError(RefusedError):
    sentence = N_("“{text}” is not an hour of the day. Write 0 to 23.")


@dataclass(frozen=True, slots=True)
class Counter:
    """What these pages stand on."""

    sales: Sales
    reader: HqSales
    read: HqRead
    exports: Exports


def counter_of(hq: Context) -> Counter:
    """Made once for a process."""
    with _guard:
        found = hq.more.get(MORE)
        if found is None:
            reader, read = HqSales(hq.tables.pool), HqRead(hq.tables.pool)
            sales = Sales(reader, hq.clock)
            found = hq.more[MORE] = Counter(sales, reader, read, Exports(reader, read, sales, hq.clock))
        assert isinstance(found, Counter)
        return found


class Receipts(msgspec.Struct, frozen=True):
    """Some of a store's receipts of a day, the latest first."""

    day: str
    store: str
    page: int
    more: bool
    receipts: tuple[ReceiptRow, ...]


class Waiting(msgspec.Struct, frozen=True):
    """What a person must look at."""

    quarantined: tuple[Quarantined, ...]
    cases: tuple[OpenCase, ...]
    clashing_numbers: tuple[ClashingNumber, ...]
    double_returns: tuple[DoubleReturn, ...]


# --- words and drawings ----------------------------------------------------------------------------------------------

THIN = "\u202f"


def whole_kr(ore: int) -> str:
    """Whole kronor, grouped: "1 234 567"."""
    return f"{round(ore / 100):,}".replace(",", THIN).replace("-", "−")


def span(guess: Guess, language: str) -> str:
    """An interval as people say it, its ends rounded outwards: "41–52 tkr"."""
    low, high = guess.low_ore, guess.high_ore
    for least, unit, sentence in (
        (1_000_000_000, 10_000_000, N_("{low}–{high} million kr")), (1_000_000, 100_000, N_("{low}–{high} thousand kr")),
        (0, 1_000, N_("{low}–{high} kr")),
    ):  # fmt: skip
        if high >= least:
            ends = low // unit, -(-high // unit)
            words = [_ends(end, unit) for end in ends]
            return say(sentence, language).format(low=words[0], high=words[1])
    raise AssertionError("an interval is never below nothing")


def _ends(end: int, unit: int) -> str:
    if unit == 10_000_000:  # tenths of a million
        return f"{end // 10},{end % 10}"
    return f"{end * (10 if unit == 1_000 else 1):,}".replace(",", THIN)


def change(now: int, before: int) -> str:
    """ "+4 %" against a week before; "" where there is nothing to compare with."""
    if before <= 0:
        return ""
    part = round(100 * (now - before) / before)
    return f"{'+' if part > 0 else '−' if part < 0 else '±'}{abs(part)}\u00a0%"


def moment_words(instant: int, day: str) -> str:
    """The time of day, with its day where that is another."""
    if not instant:
        return ""
    on = local_day(instant)
    return local_moment(instant) if on == day else f"{on} {local_moment(instant)}"


HELD = {
    "silent": N_("Silent since {time}: nobody in the store answers."),
    "till": N_("{tills} silent since {time}; the store’s other tills report."),
    "behind": N_("Catching up: complete to {time}."),
    "dark": N_("No till has been started since {time}, though the store usually sells now."),
    "never": N_("No till has ever reported."),
}


def held_words(held: Held, day: str, language: str) -> str:
    """Why a store is not complete, as one sentence."""
    since = moment_words(held.since, day)
    word = held.why if since else "never"
    return say(HELD[word], language).format(time=since, tills=", ".join(held.tills[:6]))


class Bar(msgspec.Struct, frozen=True):
    """One hour of the chart, in its own units."""

    hour: int
    x: float
    known_y: float
    known_height: float
    before_y: float
    before_height: float
    low_y: float
    low_height: float
    high_y: float
    high_height: float
    sure: bool  # nothing missing


class Chart(msgspec.Struct, frozen=True):
    width: int
    height: int
    step: float
    bar: float
    bars: tuple[Bar, ...]
    lines: tuple[tuple[float, str], ...]  # where, and how much


WIDTH, HEIGHT, LEFT = 960, 260, 92


def chart(hours: Sequence[Hour]) -> Chart:
    """Bars by the hour: known, a week before behind it, and the part not reported as an interval on top."""
    tops = [max(h.known_ore + (h.missing.high_ore if h.missing else 0), h.last_week_ore) for h in hours]
    most = max([100, *tops])
    unit = _unit(most)
    most = -(-most // unit) * unit
    step = (WIDTH - LEFT) / max(len(hours), 1)
    wide = step * 0.62

    def y(ore: float) -> float:
        return round(HEIGHT - max(ore, 0) / most * HEIGHT, 1)

    bars = []
    for place, hour in enumerate(hours):
        known, guess = max(hour.known_ore, 0), hour.missing or Guess(0, 0, 0, 0)
        low, high = known + guess.low_ore, known + guess.high_ore
        bars.append(
            Bar(
                hour.hour, round(LEFT + place * step + (step - wide) / 2, 1), y(known), round(HEIGHT - y(known), 1),
                y(hour.last_week_ore), round(HEIGHT - y(hour.last_week_ore), 1), y(low), round(y(known) - y(low), 1),
                y(high), round(y(low) - y(high), 1), not guess.high_ore,
            )
        )  # fmt: skip
    lines = tuple((y(mark), whole_kr(mark)) for mark in range(0, most + 1, unit))
    return Chart(WIDTH, HEIGHT, round(step, 1), round(wide, 1), tuple(bars), lines)


def _unit(most: int) -> int:
    """A round amount that fits two to five times."""
    unit = 100
    while most / unit > 5:
        unit *= 5 if str(unit).startswith(("2", "1")) and most / (unit * 5) >= 2 else 2
    return unit


def _talk(request: Asked, day: str) -> dict[str, Any]:
    """What every page of these is given to say its figures with."""
    language = language_of(request)
    return {
        "whole_kr": whole_kr, "span": lambda guess: span(guess, language), "change": change, "chart": chart,
        "held_words": lambda held: held_words(held, day, language), "moment": lambda ms: moment_words(ms, day),
        "means_words": lambda means: say(MEANS[means].sentence, language) if means in MEANS else clip(means),
        "clock": lambda text: local_moment(parse_utc(text)), "stamp": lambda ms: utc_text(ms) if ms else "",
    }  # fmt: skip


# --- pages -----------------------------------------------------------------------------------------------------------


def _neighbours(day: str, today: str) -> tuple[str, str]:
    at = parse_utc(f"{day}T12:00:00.000Z")
    after = local_day(at + 86_400_000)
    return local_day(at - 86_400_000), after if after <= today else ""


def _sales_facts(request: Asked, hq: Context, day: str) -> dict[str, Any]:
    counter = counter_of(hq)
    picture = counter.sales.picture(day)
    today = counter.sales.today()
    before, after = _neighbours(picture.day, today)
    age_s = (hq.clock.now() - parse_utc(picture.made)) // 1_000
    facts = {
        "picture": picture,
        "today": today,
        "before": before,
        "after": after,
        "age_s": age_s,
        "old": age_s >= OLD_S,
    }
    return facts | _talk(request, picture.day)


@get("/sales", opt=SIGNED_IN, include_in_schema=False, sync_to_thread=True)
def sales_page(request: Asked, desk: Desk, hq: Hq, day: Day = "") -> Response[str]:
    return desk.page(request, "sales.html", **_sales_facts(request, hq, day))


@get("/sales/live", opt=SIGNED_IN, include_in_schema=False, sync_to_thread=True)
def sales_live(request: Asked, desk: Desk, hq: Hq, day: Day = "") -> Response[str]:
    """The part of the page that renews itself."""
    text = desk.render(language_of(request), "sales_live.html", **_sales_facts(request, hq, day))
    return Response(text, media_type="text/html", headers={"Cache-Control": "no-store"})


@get("/sales/stores/{store:str}", opt=SIGNED_IN, include_in_schema=False, sync_to_thread=True)
def store_page(
    request: Asked,
    desk: Desk,
    hq: Hq,
    store: Store,
    day: Day = "",
    till: OneTill = "",
    hour: AtHour = "",
    page: PageNo = 1,
) -> Response[str]:
    counter = counter_of(hq)
    picture = counter.sales.picture(day)
    found = counter.sales.store(store, picture.day)
    shown = _receipts(counter, store, picture.day, till, hour, page)
    today = counter.sales.today()
    before, after = _neighbours(picture.day, today)
    return desk.page(
        request, "sales_store.html", store=found, picture=picture, shown=shown, till=till, hour=hour, today=today,
        before=before, after=after, reports=counter.reader.z_reports(store, _ordinal(picture.day)), **_talk(request, picture.day),
    )  # fmt: skip


def _receipts(counter: Counter, store: str, day: str, till: str, hour: str, page: int) -> Receipts:
    """Raises BadFilterError."""
    if hour and not (hour.isascii() and hour.isdigit() and int(hour) < 24 and len(hour) <= 2):
        raise BadFilterError(text=hour)
    at = int(hour) if hour else -1
    rows = counter.reader.receipts(store, _ordinal(day), till, at, (page - 1) * PAGE, PAGE + 1)
    return Receipts(day, store, page, len(rows) > PAGE, tuple(rows[:PAGE]))


def _ordinal(day: str) -> int:
    return local(parse_utc(f"{day}T12:00:00.000Z")).toordinal()


@get("/groups", opt=SIGNED_IN, include_in_schema=False, sync_to_thread=True)
def groups_page(request: Asked, desk: Desk, hq: Hq, day: Day = "", store: OneStore = "") -> Response[str]:
    counter = counter_of(hq)
    groups = counter.sales.groups([store] if store else [], day)
    today = counter.sales.today()
    before, after = _neighbours(groups.day, today)
    stores = [(row.store, f"{row.store} {row.name}") for row in counter.reader.stores()]
    return desk.page(
        request, "sales_groups.html", groups=groups, store=store, stores=stores, today=today, before=before, after=after,
        **_talk(request, groups.day),
    )  # fmt: skip


@get(
    "/sales/entries/{store:str}/{till:str}/{epoch:int}/{seq:int}", opt=SIGNED_IN, include_in_schema=False, sync_to_thread=True
)  # fmt: skip
def entry_page(
    request: Asked, desk: Desk, hq: Hq, store: Store, till: Till, epoch: Epoch, seq: Seq, branch: Branch = ""
) -> Response[str]:
    proof = _proof(hq, store, till, epoch, branch, seq)
    receipt = _receipt(proof)
    day = local_day(_instant(proof.time, hq))
    return desk.page(request, "sales_entry.html", proof=proof, receipt=receipt, day=day, **_talk(request, day))


def _instant(time: str, hq: Context) -> int:
    try:
        return parse_utc(time)
    except (ValueError, OverflowError):
        return hq.clock.now()


def _proof(hq: Context, store: str, till: str, epoch: int, branch: str, seq: int) -> Proof:
    """Raises NoEntryError."""
    kept = counter_of(hq).read.entry(store, till, epoch, branch, seq)
    return prove(kept, hq.directory.papers_of(till, epoch), hq.directory.root)


def _receipt(proof: Proof) -> Receipt | None:
    """What the entry says, where it is a receipt that can be read."""
    try:
        body = body_of(parse(proof.text.encode()))
    except UNREADABLE:
        return None
    return body if isinstance(body, Receipt) else None


@get("/waiting", opt=SIGNED_IN, include_in_schema=False, sync_to_thread=True)
def waiting_page(request: Asked, desk: Desk, hq: Hq) -> Response[str]:
    waiting = _waiting(counter_of(hq).read, "")
    return desk.page(
        request, "sales_waiting.html", waiting=waiting, reasons=REASONS, counted=COUNTED, **_talk(request, "")
    )


def _waiting(read: HqRead, store: str) -> Waiting:
    return Waiting(
        tuple(read.quarantine(store)), tuple(read.open_cases(store)), tuple(read.clashing_numbers(store)),
        tuple(read.double_returns(store)),
    )  # fmt: skip


@get("/files", opt=SIGNED_IN, include_in_schema=False, sync_to_thread=True)
def files_page(request: Asked, desk: Desk, hq: Hq) -> Response[str]:
    counter = counter_of(hq)
    stores = [(row.store, f"{row.store} {row.name}") for row in counter.reader.stores()]
    return desk.page(
        request, "sales_files.html", stores=stores, today=counter.sales.today(), kinds=list(KINDS), formats=FORMATS,
        **_talk(request, ""),
    )  # fmt: skip


@get("/files/get", opt=FILES, include_in_schema=False, sync_to_thread=True)
def files_get(
    hq: Hq, what: Word, first: ToDay, last: ToDay, store: OneStore = "", ending: Word = "csv"
) -> Response[Any]:
    """The form's answer: a file."""
    return _file(hq, what, ending, first, last, [store] if store else [])


@get("/files/books", opt=BOOKS, include_in_schema=False, sync_to_thread=True)
def books_get(hq: Hq, first: ToDay, last: ToDay, store: OneStore = "") -> Response[bytes]:
    return _books(hq, first, last, [store] if store else [])


# --- for machines ----------------------------------------------------------------------------------------------------


@get(
    "/api/sales",
    opt=SIGNED_IN,
    sync_to_thread=True,
    tags=["sales"],
    summary="A day by hour, banner and store, and how complete it is",
)
def api_sales(hq: Hq, day: Day = "") -> Picture:
    return counter_of(hq).sales.picture(day)


@get("/api/sales/stores/{store:str}", opt=SIGNED_IN, sync_to_thread=True, tags=["sales"], summary="A store's day")
def api_store(hq: Hq, store: Store, day: Day = "") -> StoreFigure:
    return counter_of(hq).sales.store(store, day)


@get(
    "/api/sales/completeness",
    opt=SIGNED_IN,
    sync_to_thread=True,
    tags=["sales"],
    summary="Who is complete to when, and who is not and why",
)
def api_completeness(hq: Hq, day: Day = "") -> Completeness:
    return counter_of(hq).sales.picture(day).completeness


@get(
    "/api/sales/groups",
    opt=SIGNED_IN,
    sync_to_thread=True,
    tags=["sales"],
    summary="A day by article group, VAT rate and means of payment",
)
def api_groups(hq: Hq, day: Day = "", stores: Stores = None) -> GroupPicture:
    return counter_of(hq).sales.groups(stores or [], day)


@get(
    "/api/sales/stores/{store:str}/receipts",
    opt=SIGNED_IN,
    sync_to_thread=True,
    tags=["sales"],
    summary="A store's receipts of a day, the latest first",
)
def api_receipts(
    hq: Hq, store: Store, day: Day = "", till: OneTill = "", hour: AtHour = "", page: PageNo = 1
) -> Receipts:
    counter = counter_of(hq)
    figure = counter.sales.store(store, day)
    return _receipts(counter, figure.store, counter.sales.picture(day).day, till, hour, page)


@get(
    "/api/entries/{store:str}/{till:str}/{epoch:int}/{seq:int}",
    opt=SIGNED_IN,
    sync_to_thread=True,
    tags=["entries"],
    summary="One entry's exact bytes, and what proves them, checked now",
)
def api_entry(hq: Hq, store: Store, till: Till, epoch: Epoch, seq: Seq, branch: Branch = "") -> Proof:
    return _proof(hq, store, till, epoch, branch, seq)


@get(
    "/api/waiting",
    opt=SIGNED_IN,
    sync_to_thread=True,
    tags=["entries"],
    summary="Quarantine and cases: what a person must look at",
)
def api_waiting(hq: Hq, store: OneStore = "") -> Waiting:
    return _waiting(counter_of(hq).read, store)


@get(
    "/api/files/{what:str}/{ending:str}",
    opt=FILES,
    sync_to_thread=True,
    tags=["files"],
    summary="Receipts, lines, tenders or hours of a period as CSV or Parquet",
    media_type="application/octet-stream",
)
def api_file(hq: Hq, what: What, ending: Ending, first: ToDay, last: ToDay, stores: Stores = None) -> Stream:
    return _file(hq, what, ending, first, last, stores or [])


@get(
    "/api/books",
    opt=BOOKS,
    sync_to_thread=True,
    tags=["files"],
    summary="A SIE 4I file: one voucher for each Z report",
    media_type="application/octet-stream",
)
def api_books(hq: Hq, first: ToDay, last: ToDay, stores: Stores = None) -> Response[bytes]:
    return _books(hq, first, last, stores or [])


def _file(hq: Context, what: str, ending: str, first: str, last: str, stores: Sequence[str]) -> Stream:
    exports = counter_of(hq).exports
    start, end = exports.period(first, last)
    pieces = exports.file(what, ending, start, end, stores)
    name = f"{what}-{start}-{end}.{ending}"
    return Stream(pieces, media_type=MEDIA[ending], headers=_attached(name))


def _books(hq: Context, first: str, last: str, stores: Sequence[str]) -> Response[bytes]:
    exports = counter_of(hq).exports
    start, end = exports.period(first, last)
    books = exports.books(start, end, stores)
    headers = _attached(f"books-{start}-{end}.si") | {
        "X-Open-Tills": str(len(books.open_tills)),
        "X-Not-Booked": str(len(books.not_booked)),
    }
    return Response(books.data, media_type="application/octet-stream", headers=headers)


def _attached(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}


NAV = [
    NavItem("/sales", N_("Sales")), NavItem("/groups", N_("Article groups")),
    NavItem("/waiting", N_("Cases")), NavItem("/files", N_("Files")),
]  # fmt: skip
ROUTES: list[Callable[..., Any] | Any] = [
    sales_page, sales_live, store_page, groups_page, entry_page, waiting_page, files_page, files_get, books_get, api_sales,
    api_store, api_completeness, api_groups, api_receipts, api_entry, api_waiting, api_file, api_books,
]  # fmt: skip
