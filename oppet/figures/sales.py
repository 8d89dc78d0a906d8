"""Sales as head office knows them: each figure with the moment it is complete to, and what is missing as an interval.

One picture of a day holds it all: the chain, its hours, banners and stores against the same weekday a week before. It is
made from one transaction, a few times a minute at most, whoever looks. Leaves the estimate to `estimate.py`, who is
complete to `complete.py`, drawing to `web_sales.py`. Keeps Q4, Q7 and Q8.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from hashlib import sha256
from typing import NamedTuple, Protocol, TypeVar, cast

import msgspec

from oppet.base.clock import Clock, day_bounds, local_day, parse_utc, utc_text
from oppet.base.errors import RefusedError
from oppet.base.words import N_
from oppet.drivers.hq_sales import Days, GroupRow, HourRow, Kept, MeansRow, RateRow, StoreRow, StreamRow
from oppet.figures.complete import Held, Till, hour_of_day, store_held, tills_of
from oppet.figures.estimate import COVERAGE, HISTORY_DAYS, HOLIDAY, HOURS, Guess, Hole, Lagging, Past, Reference, fill

__all__ = [
    "BadDayError",
    "Completeness",
    "Figure",
    "GroupFigure",
    "GroupPicture",
    "Hour",
    "NoSuchStoreError",
    "Picture",
    "Sales",
    "StoreFigure",
    "day_of",
    "holiday",
]

GRACE_MS = 90_000  # a till speaks every 20 s and its word passes a relay: only what is older can be lagging
FRESH_MS = 8_000  # a picture is made again after this
PAST_MS = 600_000  # and what was sold before today is read again after this
REFERENCE_STORES = 200  # so many complete stores tell today's level well enough
GROUP_STORES = 24  # and for article groups, whose history is larger
GROUP_DAYS = 70
DARK_SHARE = 0.05  # of a usual day: less than this is no reason to think that a stopped store sells
FIRST_DAY = "2024-01-01"
AT_REST = Guess(0, 0, 0, 0)
T = TypeVar("T")


class BadDayError(RefusedError):
    sentence = N_("“{text}” is not a day with sales. Write it as 2026-11-22, from {first} to {last}.")


class NoSuchStoreError(RefusedError):
    sentence = N_("No store is called “{text}”.")


class Figure(msgspec.Struct, frozen=True):
    """A sum of sales less returns, VAT included, in öre: what is known, what it was a week before, what is missing."""

    known_ore: int
    receipts: int
    last_week_ore: int
    provisional_ore: int  # of what is known
    missing: Guess | None  # None: too little history for an interval
    without_estimate: int  # tills that lag and are too new to estimate


class Completeness(msgspec.Struct, frozen=True):
    """ "Complete to 14:32 for 797 of 800 stores"."""

    moment: str  # UTC
    complete: int
    of: int
    coverage: float
    held: tuple[Held, ...]  # who holds it back, the largest gap first


class Hour(msgspec.Struct, frozen=True):
    hour: int
    known_ore: int
    last_week_ore: int
    missing: Guess | None


class StoreFigure(msgspec.Struct, frozen=True):
    store: str
    name: str
    banner: str
    closed: bool
    figure: Figure
    held: Held | None
    hours: tuple[Hour, ...]
    tills: tuple[Till, ...]


class BannerFigure(msgspec.Struct, frozen=True):
    banner: str
    stores: int
    complete: int
    figure: Figure


class Picture(msgspec.Struct, frozen=True):
    """A day as it stands."""

    day: str
    last_week: str
    holiday: str  # its name, and last week's: a comparison across one says so
    last_week_holiday: str
    made: str  # UTC
    chain: Figure
    completeness: Completeness
    hours: tuple[Hour, ...]
    banners: tuple[BannerFigure, ...]
    stores: tuple[StoreFigure, ...]  # those that lack most first


class GroupFigure(msgspec.Struct, frozen=True):
    group: str
    figure: Figure
    vat_ore: int


class GroupPicture(msgspec.Struct, frozen=True):
    day: str
    last_week: str
    made: str
    completeness: Completeness
    groups: tuple[GroupFigure, ...]
    rates: tuple[RateRow, ...]
    means: tuple[MeansRow, ...]


class Reader(Protocol):
    def stores(self) -> list[StoreRow]: ...
    def day(self, stores: Sequence[str], day: int) -> Kept: ...
    def last_kinds(self, streams: Sequence[StreamRow]) -> dict[int, str]: ...
    def tills(self, stores: Sequence[str], first: int, last: int) -> dict[str, dict[str, Days]]: ...
    def together(self, stores: Sequence[str], first: int, last: int) -> Days: ...
    def groups(self, stores: Sequence[str], day: int) -> list[GroupRow]: ...
    def groups_together(self, classes: Mapping[str, int], first: int, last: int) -> dict[int, dict[str, Days]]: ...
    def means(self, stores: Sequence[str], day: int) -> list[MeansRow]: ...
    def rates(self, stores: Sequence[str], day: int) -> list[RateRow]: ...


# --- the calendar ----------------------------------------------------------------------------------------------------

_FIXED = {
    (1, 1): N_("New Year’s Day"), (1, 6): N_("Epiphany"), (5, 1): N_("First of May"), (6, 6): N_("National Day"),
    (12, 24): N_("Christmas Eve"), (12, 25): N_("Christmas Day"), (12, 26): N_("Second Day of Christmas"),
    (12, 31): N_("New Year’s Eve"),
}  # fmt: skip
_EASTER = {
    -2: N_("Good Friday"), 0: N_("Easter Day"), 1: N_("Easter Monday"), 39: N_("Ascension Day"), 49: N_("Whit Sunday"),
}  # fmt: skip


def holiday(day: date) -> str:
    """The Swedish public holiday of a day, or ""; Midsummer Eve, Christmas Eve and New Year's Eve are kept as such."""
    if (fixed := _FIXED.get((day.month, day.day))) is not None:
        return fixed
    if (named := _EASTER.get((day - _easter(day.year)).days)) is not None:
        return named
    if day.month == 6 and 19 <= day.day <= 26 and day.weekday() in {4, 5}:
        eve = day if day.weekday() == 4 else day - timedelta(days=1)
        if 19 <= eve.day <= 25:
            return N_("Midsummer Eve") if day == eve else N_("Midsummer Day")
    if day.weekday() == 5 and date(day.year, 10, 31) <= day <= date(day.year, 11, 6):
        return N_("All Saints’ Day")
    return ""


def _easter(year: int) -> date:
    """Easter Day, by the Gregorian reckoning."""
    golden, century = year % 19, year // 100
    moon = (century - century // 4 - (8 * century + 13) // 25 + 19 * golden + 15) % 30
    moon -= (moon // 28) * (1 - (moon // 28) * (29 // (moon + 1)) * ((21 - golden) // 11))
    weekday = (year + year // 4 + moon + 2 - century + century // 4) % 7
    back = moon - weekday
    month = 3 + (back + 40) // 44
    return date(year, month, back + 28 - 31 * (month // 4))


def kind_of(day: int) -> int:
    on = date.fromordinal(day)
    return HOLIDAY if holiday(on) else on.weekday()


def day_of(text: str, today: str) -> str:
    """A day somebody asked for, today for none. Raises BadDayError."""
    if not text:
        return today
    try:
        asked = date.fromisoformat(text).isoformat() if len(text) == 10 else ""
    except ValueError:
        asked = ""
    if asked != text or not FIRST_DAY <= asked <= today:
        raise BadDayError(text=text, first=FIRST_DAY, last=today)
    return asked


# --- the picture -----------------------------------------------------------------------------------------------------


class _Known(NamedTuple):
    """What one picture is made of, read once."""

    day: str
    ordinal: int
    moment: int
    now: int
    stores: list[StoreRow]
    kept: Kept
    tills: dict[str, list[Till]]
    held: dict[str, Held]
    hole: Hole

    @property
    def upto(self) -> float:
        return hour_of_day(self.moment, self.day)


class Sales:
    """Answers what was sold. Many may ask at once; one makes the picture, the others get the same."""

    def __init__(self, reader: Reader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock
        self._guard = threading.Lock()
        self._pictures: dict[str, tuple[int, _Known, Picture]] = {}
        self._groups: dict[tuple[str, tuple[str, ...]], tuple[int, GroupPicture]] = {}
        self._pasts = _Remembered(clock)

    def today(self) -> str:
        return local_day(self._clock.now())

    def picture(self, day: str = "") -> Picture:
        """The day so far, or a whole day gone by. Raises BadDayError, DatabaseAwayError."""
        return self._picture(day)[1]

    def store(self, store: str, day: str = "") -> StoreFigure:
        """Raises NoSuchStoreError, BadDayError."""
        for figure in self._picture(day)[1].stores:
            if figure.store == store:
                return figure
        raise NoSuchStoreError(text=store)

    def chosen(self, stores: Sequence[str]) -> list[str]:
        """The stores asked for, all for none. Raises NoSuchStoreError."""
        known = [row.store for row in self._reader.stores()]
        for store in stores:
            if store not in known:
                raise NoSuchStoreError(text=store)
        return sorted(set(stores)) or known

    def _picture(self, day: str) -> tuple[_Known, Picture]:
        asked = day_of(day, self.today())
        with self._guard:
            now = self._clock.now()
            found = self._pictures.get(asked)
            if found is None or not 0 <= now - found[0] < FRESH_MS:
                known = self._known(asked, now)
                found = self._pictures[asked] = now, known, _drawn(known)
                while len(self._pictures) > 8:
                    self._pictures.pop(next(iter(self._pictures)))
            return found[1], found[2]

    def _known(self, day: str, now: int) -> _Known:
        ordinal = date.fromisoformat(day).toordinal()
        ends = parse_utc(day_bounds(day, day)[1]) + 1
        moment = min((now - GRACE_MS) // 60_000 * 60_000, ends)
        stores = self._reader.stores()
        kept = self._reader.day([row.store for row in stores], ordinal)
        late = [row for row in kept.streams if max(row.as_of or 0, row.head_at or 0) < moment]
        tills: dict[str, list[Till]] = {}
        for till in tills_of(kept.streams, self._reader.last_kinds(late)):
            tills.setdefault(till.store, []).append(till)
        past = _Pasts(self._reader, self._pasts, ordinal)
        held = self._held(stores, tills, moment, now, (day, past))
        hole = self._hole(stores, tills, kept, held, (day, ordinal, moment, past))
        return _Known(day, ordinal, moment, now, stores, kept, tills, held, hole)

    def _held(
        self, stores: Sequence[StoreRow], tills: Mapping[str, list[Till]], moment: int, now: int, on: tuple[str, _Pasts]
    ) -> dict[str, Held]:
        day, past = on
        quiet = [
            row.store
            for row in stores
            if not row.closed and not any(till.state == "running" for till in tills.get(row.store, ()) if till.counts)
            and all(till.until < moment for till in tills.get(row.store, ()))
        ]  # fmt: skip
        usual = past.stores(quiet)

        def sells(store: str) -> Callable[[int], bool]:
            def between(since: int) -> bool:
                profile = usual[store].profile(past.day) if store in usual else None
                if profile is None:
                    return False
                start, end = hour_of_day(since, day), hour_of_day(moment, day)
                due = sum(value * max(0.0, min(end, at + 1) - max(start, at)) for at, value in enumerate(profile))
                return due > DARK_SHARE * sum(profile)

            return between

        found = {}
        for row in stores:
            why = store_held(row, tills.get(row.store, ()), moment, now, sells(row.store))
            if why is not None:
                found[row.store] = why
        return found

    def _hole(
        self,
        stores: Sequence[StoreRow],
        tills: Mapping[str, list[Till]],
        kept: Kept,
        held: Mapping[str, Held],
        on: tuple[str, int, int, _Pasts],
    ) -> Hole:
        day, ordinal, moment, past = on
        complete = [row.store for row in stores if row.store not in held and not row.closed and tills.get(row.store)]
        sample = sorted(complete, key=_shuffled)[:REFERENCE_STORES]
        today = [0.0] * HOURS
        chosen = set(sample)
        for row in kept.hours:
            if row.store in chosen:
                today[row.hour] += row.gross_ore
        if not held:
            return fill(ordinal, hour_of_day(moment, day), Reference(0, today, Past({}, kind_of)), [])
        reference = Reference(len(sample), today, past.together(sample))
        sold = self._reader.tills(list(held), ordinal, ordinal)
        lagging = []
        for store, why in held.items():
            until = {till.till: hour_of_day(till.until, day) if till.until else 0.0 for till in tills[store]}
            history, mine = past.tills(store, held), sold.get(store, {})
            for till in why.tills:
                series = history.get(till, Past({}, kind_of))
                lagging.append(Lagging(till, until[till], mine.get(till, {}).get(ordinal, [0.0] * HOURS), series))
        return fill(ordinal, hour_of_day(moment, day), reference, lagging)

    # --- article groups

    def groups(self, stores: Sequence[str] = (), day: str = "") -> GroupPicture:
        """By article group, VAT rate and means of payment, of these stores or all. Raises NoSuchStoreError, BadDayError."""
        asked, chosen = day_of(day, self.today()), tuple(self.chosen(stores))
        known, picture = self._picture(asked)
        with self._guard:
            now = self._clock.now()
            found = self._groups.get((asked, chosen))
            if found is None or not 0 <= now - found[0] < 2 * FRESH_MS:
                found = self._groups[asked, chosen] = now, self._grouped(known, picture, chosen)
                while len(self._groups) > 8:
                    self._groups.pop(next(iter(self._groups)))
            return found[1]

    def _grouped(self, known: _Known, picture: Picture, chosen: Sequence[str]) -> GroupPicture:
        held = {store: why for store, why in known.held.items() if store in set(chosen)}
        today = self._reader.groups(chosen, known.ordinal)
        before = _by_group(self._reader.groups(chosen, known.ordinal - 7))
        sums, vats, lines = _by_group(today), dict[str, int](), dict[str, int]()
        for row in today:
            vats[row.group] = vats.get(row.group, 0) + row.vat_ore
            lines[row.group] = lines.get(row.group, 0) + row.lines
        holes = self._group_holes(known, held) if held else {}
        names = _classes(held, known)[1]
        figures = []
        for group in sorted({*sums, *before}, key=lambda name: -sum(sums.get(name, ()))):
            hole = holes.get(group)
            missing = AT_REST if not held else None
            if hole is not None and not hole.strangers.issuperset(names):
                missing = hole.missing(names)
            known_ore, last_week = int(sum(sums.get(group, ()))), _to(before.get(group, ()), known.upto)
            figure = Figure(known_ore, lines.get(group, 0), last_week, 0, missing, 0)
            figures.append(GroupFigure(group, figure, vats.get(group, 0)))
        complete = msgspec.structs.replace(
            picture.completeness, held=tuple(held.values()), of=len(chosen), complete=len(chosen) - len(held)
        )
        means, rates = self._reader.means(chosen, known.ordinal), self._reader.rates(chosen, known.ordinal)
        return GroupPicture(
            known.day, _iso(known.ordinal - 7), picture.made, complete, tuple(figures), tuple(rates), tuple(means)
        )

    def _group_holes(self, known: _Known, held: Mapping[str, Held]) -> dict[str, Hole]:
        """One hole for each article group: stores that lag alike are taken together."""
        of, names = _classes(held, known)
        complete = [row.store for row in known.stores if row.store not in known.held and known.tills.get(row.store)]
        sample = sorted(complete, key=_shuffled)[:GROUP_STORES]
        classes = dict.fromkeys(sample, 0) | {store: 1 + names.index(name) for store, name in of.items()}
        first = known.ordinal - GROUP_DAYS
        made = self._pasts.get(
            ("groups", known.day, tuple(sorted(classes.items()))),
            lambda: self._reader.groups_together(classes, first, known.ordinal),
        )
        holes = {}
        for group in {group for groups in made.values() for group in groups}:
            today, past = _split(made.get(0, {}).get(group, {}), known.ordinal)
            lagging = []
            for number, name in enumerate(names, 1):
                sold, series = _split(made.get(number, {}).get(group, {}), known.ordinal)
                lagging.append(Lagging(name, float(name), sold, series))
            holes[group] = fill(known.ordinal, known.upto, Reference(len(sample), today, past), lagging)
        return holes


class _Remembered:
    """What was sold on days gone by, kept for a while: it hardly changes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[object, tuple[int, object]] = {}

    def get(self, key: object, make: Callable[[], T]) -> T:
        now = self._clock.now()
        found = self._kept.get(key)
        if found is None or not 0 <= now - found[0] < PAST_MS:
            found = self._kept[key] = now, make()
            while len(self._kept) > 64:
                self._kept.pop(next(iter(self._kept)))
        return cast("T", found[1])


class _Pasts:
    """The past of stores and tills, as the estimator wants it on one day."""

    def __init__(self, reader: Reader, remembered: _Remembered, day: int) -> None:
        self._reader, self._remembered, self.day = reader, remembered, day
        self._first = day - HISTORY_DAYS

    def together(self, stores: Sequence[str]) -> Past:
        def make() -> Past:
            return Past(self._reader.together(stores, self._first, self.day - 1), kind_of)

        return self._remembered.get(("together", self.day, tuple(sorted(stores))), make)

    def stores(self, stores: Sequence[str]) -> dict[str, Past]:
        """Each of these by itself, all its tills together."""
        return {store: _whole(tills) for store, tills in self._tills(stores).items()}

    def tills(self, store: str, stores: Iterable[str]) -> dict[str, Past]:
        return self._tills(stores).get(store, {})

    def _tills(self, stores: Iterable[str]) -> dict[str, dict[str, Past]]:
        asked = tuple(sorted(stores))
        if not asked:
            return {}

        def make() -> dict[str, dict[str, Past]]:
            found = self._reader.tills(asked, self._first, self.day - 1)
            return {
                store: {till: Past(days, kind_of) for till, days in tills.items()} for store, tills in found.items()
            }

        return self._remembered.get(("tills", self.day, asked), make)


def _whole(tills: Mapping[str, Past]) -> Past:
    days: Days = {}
    for past in tills.values():
        for day, hours in past.days.items():
            row = days.setdefault(day, [0.0] * HOURS)
            for hour, value in enumerate(hours):
                row[hour] += value
    return Past(days, kind_of)


def _split(days: Days, today: int) -> tuple[list[float], Past]:
    past = Past({day: hours for day, hours in days.items() if day < today}, kind_of)
    return days.get(today, [0.0] * HOURS), past


def _classes(held: Mapping[str, Held], known: _Known) -> tuple[dict[str, str], list[str]]:
    """Stores by the quarter of an hour to which they are complete; that is their class's name."""
    of = {
        store: f"{int(4 * (hour_of_day(why.since, known.day) if why.since else 0.0)) / 4:g}"
        for store, why in held.items()
    }
    return of, sorted(set(of.values()))


def _by_group(rows: Iterable[GroupRow]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row.group, [0.0] * HOURS)[row.hour] += row.gross_ore
    return found


def _to(hours: Iterable[float], upto: float) -> int:
    """What of a day's hours lies before a moment, the hour under way in proportion."""
    return round(sum(value * min(max(upto - hour, 0.0), 1.0) for hour, value in enumerate(hours)))


def _iso(day: int) -> str:
    return date.fromordinal(day).isoformat()


def _shuffled(store: str) -> bytes:
    """The same stores every time, and no banner or number favoured."""
    return sha256(store.encode()).digest()


def _drawn(known: _Known) -> Picture:
    today, before = _by_store(known.kept.hours), _by_store(known.kept.before)
    figures = [_store(row, known, today.get(row.store, []), before.get(row.store, [])) for row in known.stores]
    figures.sort(key=_most_missing)
    by_banner: dict[str, list[StoreFigure]] = {}
    for figure in figures:
        by_banner.setdefault(figure.banner, []).append(figure)
    banners = [
        BannerFigure(banner, len(of), sum(one.held is None for one in of), _summed(of, known))
        for banner, of in by_banner.items()
    ]
    open_stores = [row for row in known.stores if not row.closed]
    held = tuple(figure.held for figure in figures if figure.held is not None)
    completeness = Completeness(utc_text(known.moment), len(open_stores) - len(held), len(open_stores), COVERAGE, held)
    on = date.fromordinal(known.ordinal)
    return Picture(
        known.day, _iso(known.ordinal - 7), holiday(on), holiday(on - timedelta(days=7)), utc_text(known.now),
        _summed(figures, known), completeness,
        _hours(known, known.kept.hours, known.kept.before, [till for why in held for till in why.tills]),
        tuple(sorted(banners, key=lambda row: -row.figure.known_ore)), tuple(figures),
    )  # fmt: skip


def _most_missing(figure: StoreFigure) -> tuple[bool, int, int]:
    missing = figure.figure.missing
    return figure.held is None, -(missing.high_ore if missing else 0), -figure.figure.known_ore


def _by_store(rows: Iterable[HourRow]) -> dict[str, list[HourRow]]:
    found: dict[str, list[HourRow]] = {}
    for row in rows:
        found.setdefault(row.store, []).append(row)
    return found


def _store(row: StoreRow, known: _Known, today: Sequence[HourRow], before: Sequence[HourRow]) -> StoreFigure:
    held = known.held.get(row.store)
    lagging = held.tills if held is not None else ()
    hours = _hours(known, today, before, lagging)
    missing = known.hole.missing(lagging)
    figure = Figure(
        sum(hour.gross_ore for hour in today), sum(hour.receipts for hour in today),
        _to(_dense(before), known.upto), sum(hour.provisional_ore for hour in today),
        missing if not (lagging and set(lagging) <= known.hole.strangers) else None,
        len(known.hole.strangers.intersection(lagging)),
    )  # fmt: skip
    return StoreFigure(
        row.store, row.name, row.banner, row.closed, figure, held, hours, tuple(known.tills.get(row.store, ()))
    )


def _summed(figures: Sequence[StoreFigure], known: _Known) -> Figure:
    lagging = [till for figure in figures if figure.held is not None for till in figure.held.tills]
    return Figure(
        sum(one.figure.known_ore for one in figures), sum(one.figure.receipts for one in figures),
        sum(one.figure.last_week_ore for one in figures), sum(one.figure.provisional_ore for one in figures),
        known.hole.missing(lagging), len(known.hole.strangers.intersection(lagging)),
    )  # fmt: skip


def _dense(rows: Iterable[HourRow]) -> list[float]:
    found = [0.0] * HOURS
    for row in rows:
        found[row.hour] += row.gross_ore
    return found


def _hours(
    known: _Known, today: Iterable[HourRow], before: Iterable[HourRow], lagging: Sequence[str]
) -> tuple[Hour, ...]:
    """The hours that have something in them; a week before whole, so that the rest of the day can be seen coming."""
    now, then = _dense(today), _dense(before)
    found = []
    for hour in range(HOURS):
        missing = known.hole.missing(lagging, [hour]) if hour < known.upto else AT_REST
        if now[hour] or then[hour] or (missing is not None and missing.high_ore):
            found.append(Hour(hour, int(now[hour]), int(then[hour]), missing))
    return tuple(found)
