"""Sales as head office knows them: each figure with the moment it is complete to, and what is missing as an interval.

One picture of a day holds it all: the chain, its hours, banners and stores against the same weekday a week before. It is
made from one transaction, a few times a minute at most, whoever looks, and nobody waits for it while there is one to show
(`lately.py`). Leaves the estimate to `estimate.py`, who is complete to `complete.py`, what was sold before to `pasts.py`,
drawing to `web_sales.py`. Keeps Q4, Q7, Q8 and Q9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple, Protocol

import msgspec

from oppet.base.clock import Clock, day_bounds, local_day, parse_utc, utc_text
from oppet.base.errors import RefusedError
from oppet.base.words import N_
from oppet.drivers.hq_sales import Days, GroupRow, HourRow, Kept, MeansRow, RateRow, StoreRow, StreamRow
from oppet.figures.complete import Held, Till, hour_of_day, store_held, tills_of
from oppet.figures.estimate import AT_REST, COVERAGE, HOLIDAY, HOURS, Guess, Hole, Lagging, Part, Past, Reference, fill
from oppet.figures.lately import PATIENCE_S, Lately
from oppet.figures.pasts import PastReader, Pasts, Unit, units_of

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
REFERENCE_STORES = 200  # so many complete stores tell today's level well enough
GROUP_STORES = 24  # and for article groups, whose history is larger
GROUP_DAYS = 70
GROUP_PAST_MS = 600_000  # what was sold by article group before today is read again after this
MOST_KEPT = 4  # pictures, and answers by article group
DARK_SHARE = 0.05  # of a usual day: less than this is no reason to think that a stopped store sells
FIRST_DAY = "2024-01-01"
ByGroup = Mapping[int, Mapping[str, Days]]  # by class of stores and article group


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
    hours: tuple[Hour, ...]  # of a store that is asked for alone
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


class Reader(PastReader, Protocol):
    def stores(self) -> list[StoreRow]: ...
    def day(self, stores: Sequence[str], day: int) -> Kept: ...
    def last_kinds(self, streams: Sequence[StreamRow]) -> dict[int, str]: ...
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


@lru_cache(maxsize=4_096)
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
    units: dict[str, list[Unit]]
    hole: Hole

    @property
    def upto(self) -> float:
        return hour_of_day(self.moment, self.day)


class Sales:
    """Answers what was sold. Many may ask at once; one makes the picture, the others get the same."""

    def __init__(self, reader: Reader, clock: Clock, patience_s: float = PATIENCE_S) -> None:
        self._reader = reader
        self._clock = clock
        self._pictures: Lately[str, tuple[_Known, Picture]] = Lately(clock, FRESH_MS, MOST_KEPT, patience_s)
        self._groups: Lately[tuple[str, tuple[str, ...]], GroupPicture] = Lately(
            clock, 2 * FRESH_MS, MOST_KEPT, patience_s
        )
        self._group_pasts: Lately[object, tuple[ByGroup, ByGroup]] = Lately(clock, GROUP_PAST_MS, MOST_KEPT, patience_s)
        self._pasts = Pasts(reader, clock, kind_of)

    def today(self) -> str:
        return local_day(self._clock.now())

    def picture(self, day: str = "") -> Picture:
        """The day so far, or a whole day gone by. Raises BadDayError, DatabaseAwayError."""
        return self._picture(day)[1]

    def store(self, store: str, day: str = "") -> StoreFigure:
        """One store with its hours. Raises NoSuchStoreError, BadDayError."""
        known, picture = self._picture(day)
        for figure in picture.stores:
            if figure.store == store:
                today, before = (
                    [row for row in of if row.store == store] for of in (known.kept.hours, known.kept.before)
                )
                hours = _hours(known, today, before, known.hole.part(_names(known, [store])))
                return msgspec.structs.replace(figure, hours=hours)
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

        def make(now: int) -> tuple[_Known, Picture]:
            known = self._known(asked, now)
            return known, _drawn(known)

        return self._pictures.get(asked, make)

    def _known(self, day: str, now: int) -> _Known:
        ordinal = date.fromisoformat(day).toordinal()
        ends = parse_utc(day_bounds(day, day)[1]) + 1
        moment = min((now - GRACE_MS) // 60_000 * 60_000, ends)
        stores = self._reader.stores()
        kept = self._reader.day([row.store for row in stores], ordinal)
        latest: dict[str, int] = {}
        for row in kept.streams:
            latest[row.till] = max(latest.get(row.till, 0), row.epoch)
        late = [r for r in kept.streams if max(r.as_of or 0, r.head_at or 0) < moment and r.epoch == latest[r.till]]
        tills: dict[str, list[Till]] = {}
        for till in tills_of(kept.streams, self._reader.last_kinds(late)):
            tills.setdefault(till.store, []).append(till)
        held = self._held(stores, tills, moment, now, (day, ordinal))
        units = units_of(held, tills, day)
        hole = self._hole(stores, tills, kept, (held, units), (day, ordinal, moment))
        return _Known(day, ordinal, moment, now, stores, kept, tills, held, units, hole)

    def _held(
        self, stores: Sequence[StoreRow], tills: Mapping[str, list[Till]], moment: int, now: int, on: tuple[str, int]
    ) -> dict[str, Held]:
        day, ordinal = on
        quiet = [
            row.store
            for row in stores
            if not row.closed and not any(till.state == "running" for till in tills.get(row.store, ()) if till.counts)
            and all(till.until < moment for till in tills.get(row.store, ()))
        ]  # fmt: skip
        usual = self._pasts.stores(quiet, ordinal)

        def sells(store: str) -> Callable[[int], bool]:
            def between(since: int) -> bool:
                profile = usual[store].profile(ordinal) if store in usual else None
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
        lacking: tuple[Mapping[str, Held], Mapping[str, list[Unit]]],
        on: tuple[str, int, int],
    ) -> Hole:
        (held, by_store), (day, ordinal, moment) = lacking, on
        upto = hour_of_day(moment, day)
        if not held:
            return fill(ordinal, upto, Reference(0, [0.0] * HOURS, Past({}, kind_of)), [])
        complete = [row.store for row in stores if row.store not in held and not row.closed and tills.get(row.store)]
        sample = sorted(complete, key=_shuffled)[:REFERENCE_STORES]
        sold: dict[str, list[float]] = {}
        for row in kept.hours:
            sold.setdefault(row.store, [0.0] * HOURS)[row.hour] += row.gross_ore
        nothing = [0.0] * HOURS
        today = [sum(hours) for hours in zip(nothing, *(sold.get(store, nothing) for store in sample), strict=True)]
        reference = Reference(len(sample), today, self._pasts.together(sample, ordinal))
        units = [unit for of in by_store.values() for unit in of]
        pasts = self._pasts.units(units, ordinal)
        parts = self._pasts.today([unit for unit in units if not unit.whole], ordinal)
        lagging = [
            Lagging(
                unit.name,
                unit.until,
                (sold.get(unit.store) if unit.whole else parts.get(unit.name)) or nothing,
                pasts[unit.name],
            )
            for unit in units
        ]
        return fill(ordinal, upto, reference, lagging)

    # --- article groups

    def groups(self, stores: Sequence[str] = (), day: str = "") -> GroupPicture:
        """By article group, VAT rate and means of payment, of these stores or all. Raises NoSuchStoreError, BadDayError."""
        asked, chosen = day_of(day, self.today()), tuple(self.chosen(stores))
        known, picture = self._picture(asked)
        return self._groups.get((asked, chosen), lambda _: self._grouped(known, picture, chosen))

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
        number = {name: at for at, name in enumerate(names, 1)}
        every = {store: number[name] for store, name in of.items()}
        sample = sorted(complete, key=_shuffled)[:GROUP_STORES]
        some = dict.fromkeys(sample, 0) | _some(every)
        week = known.ordinal - 7

        def read(_: int) -> tuple[ByGroup, ByGroup]:
            made = self._reader.groups_together(some, known.ordinal - GROUP_DAYS, known.ordinal)
            return made, made if set(every) <= set(some) else self._reader.groups_together(every, week, week)

        made, all_of_them = self._group_pasts.get((known.day, tuple(sorted(every.items())), tuple(sample)), read)
        holes = {}
        for group in {group for groups in made.values() for group in groups}:
            today, past = _split(made.get(0, {}).get(group, {}), known.ordinal)
            lagging = []
            for at, name in enumerate(names, 1):
                days = made.get(at, {}).get(group, {})
                scale = _scale(days.get(week, ()), all_of_them.get(at, {}).get(group, {}).get(week, ()))
                sold, series = _split(days, known.ordinal, scale)
                lagging.append(Lagging(name, float(name), sold, series))
            holes[group] = fill(known.ordinal, known.upto, Reference(len(sample), today, past), lagging)
        return holes


def _split(days: Days, today: int, scale: float = 1.0) -> tuple[Sequence[float], Past]:
    if scale != 1.0:
        days = {day: [value * scale for value in hours] for day, hours in days.items()}
    past = Past({day: hours for day, hours in days.items() if day < today}, kind_of)
    return days.get(today, [0.0] * HOURS), past


def _some(classes: Mapping[str, int]) -> dict[str, int]:
    """Of each class of stores at most so many, the same ones every time: what they sold by article group is much to read."""
    by_class: dict[int, list[str]] = {}
    for store in sorted(classes, key=_shuffled):
        by_class.setdefault(classes[store], []).append(store)
    return {store: number for number, stores in by_class.items() for store in stores[:GROUP_STORES]}


def _scale(some: Iterable[float], every: Iterable[float]) -> float:
    """How many times more a whole class sold of a group than those of it that were read, a week ago."""
    part, whole = sum(some), sum(every)
    return whole / part if part > 0 and whole > 0 else 1.0


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


def _names(known: _Known, stores: Iterable[str]) -> list[str]:
    return [unit.name for store in stores for unit in known.units.get(store, ())]


def _drawn(known: _Known) -> Picture:
    today, before = _by_store(known.kept.hours), _by_store(known.kept.before)
    figures = [_store(row, known, today.get(row.store, []), before.get(row.store, [])) for row in known.stores]
    figures.sort(key=_most_missing)
    by_banner: dict[str, list[StoreFigure]] = {}
    for figure in figures:
        by_banner.setdefault(figure.banner, []).append(figure)
    banners = [
        BannerFigure(banner, len(of), sum(one.held is None for one in of), _summed(of, _part(known, of)))
        for banner, of in by_banner.items()
    ]
    open_stores = [row for row in known.stores if not row.closed]
    held = tuple(figure.held for figure in figures if figure.held is not None)
    completeness = Completeness(utc_text(known.moment), len(open_stores) - len(held), len(open_stores), COVERAGE, held)
    on = date.fromordinal(known.ordinal)
    whole = _part(known, figures)
    return Picture(
        known.day, _iso(known.ordinal - 7), holiday(on), holiday(on - timedelta(days=7)), utc_text(known.now),
        _summed(figures, whole), completeness, _hours(known, known.kept.hours, known.kept.before, whole),
        tuple(sorted(banners, key=lambda row: -row.figure.known_ore)), tuple(figures),
    )  # fmt: skip


def _part(known: _Known, figures: Iterable[StoreFigure]) -> Part:
    return known.hole.part(_names(known, [figure.store for figure in figures]))


def _most_missing(figure: StoreFigure) -> tuple[bool, int, int]:
    missing = figure.figure.missing
    return figure.held is None, -(missing.high_ore if missing else 0), -figure.figure.known_ore


def _by_store(rows: Iterable[HourRow]) -> dict[str, list[HourRow]]:
    found: dict[str, list[HourRow]] = {}
    for row in rows:
        found.setdefault(row.store, []).append(row)
    return found


def _store(row: StoreRow, known: _Known, today: Sequence[HourRow], before: Sequence[HourRow]) -> StoreFigure:
    held, units = known.held.get(row.store), known.units.get(row.store, ())
    strange = [unit for unit in units if unit.name in known.hole.strangers]
    missing = known.hole.missing([unit.name for unit in units]) if units else AT_REST
    figure = Figure(
        sum(hour.gross_ore for hour in today), sum(hour.receipts for hour in today),
        _to(_dense(before), known.upto), sum(hour.provisional_ore for hour in today),
        missing if not units or len(strange) < len(units) else None, sum(len(unit.tills) for unit in strange),
    )  # fmt: skip
    return StoreFigure(
        row.store, row.name, row.banner, row.closed, figure, held, (), tuple(known.tills.get(row.store, ()))
    )


def _summed(figures: Sequence[StoreFigure], part: Part) -> Figure:
    return Figure(
        sum(one.figure.known_ore for one in figures), sum(one.figure.receipts for one in figures),
        sum(one.figure.last_week_ore for one in figures), sum(one.figure.provisional_ore for one in figures),
        part.missing(), sum(one.figure.without_estimate for one in figures),
    )  # fmt: skip


def _dense(rows: Iterable[HourRow]) -> list[float]:
    found = [0.0] * HOURS
    for row in rows:
        found[row.hour] += row.gross_ore
    return found


def _hours(known: _Known, today: Iterable[HourRow], before: Iterable[HourRow], part: Part) -> tuple[Hour, ...]:
    """The hours that have something in them; a week before whole, so that the rest of the day can be seen coming."""
    now, then = _dense(today), _dense(before)
    found = []
    for hour in range(HOURS):
        missing = part.missing([hour]) if hour < known.upto else AT_REST
        if now[hour] or then[hour] or (missing is not None and missing.high_ore):
            found.append(Hour(hour, int(now[hour]), int(then[hour]), missing))
    return tuple(found)
