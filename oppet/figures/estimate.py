"""What is not reported yet: an expectation for it, and an interval that has been held against the past.

A store that lags leaves a hole of known shape: its hours from the moment to which it is complete up to the moment asked
about. Each hour of the hole is expected to be the store's own hour (same kind of day, recent weeks, extremes left out)
× today's level of the stores that did report × the store's own level today, which counts the more the more it has
reported. Where only some of a store's tills lag, each of these is such a hole; sums replay them together.
How wrong that may be is not assumed: the same hole is cut into each past day, filled in the same way, and the ratios
of what was sold to what was expected give the interval (conformal replay: stores, hours and stretch are today's own).
Too few past days give no interval at all, never a made-up one.
Values in, values out; floats inside, whole öre at the edge. Measured in docs/completeness.md. Keeps Q1, Q2 and Q3.
"""

from __future__ import annotations

from array import array
from bisect import insort
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil, sqrt
from operator import add, mul
from statistics import median

import msgspec

__all__ = [
    "AT_REST",
    "COVERAGE",
    "HISTORY_DAYS",
    "HOURS",
    "Guess",
    "Hole",
    "Hours",
    "Lagging",
    "Part",
    "Past",
    "Reference",
    "fill",
    "least_days",
]

HOURS = 24
Hours = Sequence[float]  # one value for each local hour of a day
KindOf = Callable[[int], int]  # what kind of day an ordinal is: its weekday 0 to 6, or HOLIDAY
HOLIDAY = 7
SUNDAY = 6

COVERAGE = 0.9
WEEKS = 6  # days of the same kind that a profile is made of, at most
LEAST_SAME = 2  # and at least
FAR = 70  # how far back a day of the same kind is looked for
REPLAYED = 84  # past days that are replayed, at most
HISTORY_DAYS = REPLAYED + 7 * WEEKS  # what a caller fetches
STORE_WEIGHT = 0.35  # a store's own level counts by half once it has reported so much of a usual day
DAY_STORES = 1.0  # the others' level counts by half with so many of them
HOUR_STORES = 8.0  # and their level in one hour
WHOLE = 0.8  # a past day counts where the stores it knows carry so much of what is expected today
ALIKE = 3.0  # days that expected so many times more or less are another sort, left out where the others are enough
PACE = 0.04  # how fast the ends follow what the replayed days teach
LEAST_TAIL = 0.01
SHUT = 0.2  # a day with less than so much of its like was no day of trade


class Guess(msgspec.Struct, frozen=True):
    """What is missing from a sum, in whole öre: `low` to `high` hold it in `COVERAGE` of days like this."""

    likely_ore: int
    low_ore: int
    high_ore: int
    days: int  # past days behind the interval


AT_REST = Guess(0, 0, 0, 0)


class Past:
    """Days of one series by the hour, and what a day of it should have been from the days before it.

    A day of trade has its row, of zeros too where this till stood idle; a day that the store was closed has none.
    """

    def __init__(self, days: Mapping[int, Hours], kind_of: KindOf) -> None:
        self.days = days
        self.first = min(days, default=0)
        self._kind_of = kind_of
        self._shut: Hours = (0.0,) * len(next(iter(days.values()), ()))
        self._profiles: dict[int, Hours | None] = {}

    def profile(self, day: int) -> Hours | None:
        """The usual day of this kind, as known the evening before; None where too few are known."""
        if day not in self._profiles:
            self._profiles[day] = self._made(day)
        return self._profiles[day]

    def _made(self, day: int) -> Hours | None:
        if not self.days:
            return None
        like = [before for before in _like(self._kind_of, day) if before >= self.first][:WEEKS]
        if len(like) < LEAST_SAME:
            return None
        known = [self.days.get(before, self._shut) for before in like]
        sums = [sum(hours) for hours in known]
        least = SHUT * median(sums)
        # A day shut by chance says nothing about a usual one.
        known = [hours for hours, whole in zip(known, sums, strict=True) if whole >= least]
        return array("d", _middles(known))

    def holiday(self, day: int) -> bool:
        return self._kind_of(day) == HOLIDAY


@lru_cache(maxsize=4_096)
def _like(kind_of: KindOf, day: int) -> tuple[int, ...]:
    """The days before this one that are of its kind, the latest first."""
    kind = kind_of(day)
    like = (SUNDAY, HOLIDAY) if kind == HOLIDAY else (kind,)
    return tuple(before for before in range(day - 1, day - FAR - 1, -1) if kind_of(before) in like)


def _middles(days: Sequence[Hours]) -> Iterable[float]:
    """Of each hour the mean without the lowest and the highest."""
    count = len(days)
    hours = list(zip(*days, strict=True))
    if count < 4:
        low, high = (count - 1) // 2, count // 2
        return [(ordered[low] + ordered[high]) / 2 for ordered in map(sorted, hours)]
    return [
        (whole - low - high) / (count - 2)
        for whole, low, high in zip(map(sum, hours), map(min, hours), map(max, hours), strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Reference:
    """The stores that are complete to the moment asked about, taken together as one."""

    stores: int
    today: Hours
    past: Past


@dataclass(frozen=True, slots=True)
class Lagging:
    """A till (or a whole store) that is not: `until` is the hour of the day, 13.25 for 13:15, to which its own word goes."""

    name: str
    until: float
    today: Hours
    past: Past
    shut: frozenset[int] = frozenset()  # hours that it is known to be closed today


@dataclass(slots=True)
class _Filled:
    """One unit's hole: from hour `first` on, today's expectation, and of each past day the expectation and what it was."""

    first: int
    today: Sequence[float]
    days: dict[int, array[float]] = field(default_factory=dict)


class Hole:
    """All that is missing on one day, by unit and hour, with its replays: any part of it can be summed."""

    def __init__(self, filled: Mapping[str, _Filled], strangers: Collection[str], coverage: float) -> None:
        self._filled = filled
        self.strangers = frozenset(strangers)  # too new for a profile: nothing is expected of them, and it is said
        self._coverage = coverage

    def part(self, names: Iterable[str]) -> Part:
        """What these lack, summed once, to be asked by the hour. Who is not in the hole lacks nothing."""
        alike: dict[tuple[int, tuple[int, ...]], _Sum] = {}
        for name in dict.fromkeys(names):
            filled = self._filled.get(name)
            if filled is None:
                continue
            key = filled.first, tuple(filled.days)
            found = alike.get(key)
            if found is None:
                alike[key] = _Sum(filled.first, filled.today, list(filled.days), list(filled.days.values()))
            else:
                found.today = list(map(add, found.today, filled.today))
                found.rows = [
                    list(map(add, one, other)) for one, other in zip(found.rows, filled.days.values(), strict=True)
                ]
        return Part(list(alike.values()), self._coverage)

    def missing(self, names: Iterable[str], hours: Iterable[int] | None = None) -> Guess | None:
        """What these lack in these hours; None where there is too little history to say."""
        return self.part(names).missing(hours)


@dataclass(slots=True)
class _Sum:
    """Units whose holes begin in the same hour and know the same past days, as one."""

    first: int
    today: Sequence[float]
    days: list[int]
    rows: list[Sequence[float]]  # of each day: expected by the hour, and after it what it was


class Part:
    """A part of a hole: a till, a store, a banner, the chain."""

    def __init__(self, sums: Sequence[_Sum], coverage: float) -> None:
        self._sums = sums
        self._coverage = coverage

    def missing(self, hours: Iterable[int] | None = None) -> Guess | None:
        """What it lacks in these hours; None where there is too little history to say."""
        asked = None if hours is None else frozenset(hours)
        chosen = [
            (one, [at for at in range(len(one.today)) if asked is None or at + one.first in asked])
            for one in self._sums
        ]
        parts = [(one, places, sum(one.today[at] for at in places)) for one, places in chosen]
        today = sum(part for _, _, part in parts)
        if today <= 0:
            return AT_REST
        enough = least_days(self._coverage)
        ratios = _ratios(parts, today, enough)
        if len(ratios) < enough:
            return None
        tail = _tail(ratios, self._coverage)
        ordered = sorted(ratios)
        likely, low, high = (round(today * max(quantile(ordered, at), 0.0)) for at in (0.5, tail, 1 - tail))
        return Guess(likely, low, high, len(ratios))


def _ratios(parts: Sequence[tuple[_Sum, Sequence[int], float]], today: float, enough: int) -> list[float]:
    """What was sold for each krona expected, on each past day that knows enough of these stores, in order."""
    sums: dict[int, list[float]] = {}
    for one, places, weight in parts:
        wide = len(one.today)
        whole = len(places) == wide
        for day, values in zip(one.days, one.rows, strict=True):
            row = sums.setdefault(day, [0.0, 0.0, 0.0])
            row[0] += sum(values[:wide] if whole else [values[at] for at in places])
            row[1] += sum(values[wide:] if whole else [values[wide + at] for at in places])
            row[2] += weight
    days = [(said, was) for _, (said, was, weight) in sorted(sums.items()) if said > 0 and weight >= WHOLE * today]
    alike = [(said, was) for said, was in days if today <= ALIKE * said and said <= ALIKE * today]
    return [was / said for said, was in (alike if len(alike) >= enough else days)]


def _tail(ratios: Sequence[float], coverage: float) -> float:
    """How much to leave out at each end. Each replayed day is held against the days before it: where they missed more
    often than they should, times are changing and the ends go further out; where less, further in (adaptive conformal inference)."""
    tail = aim = (1 - coverage) / 2
    seen: list[float] = []
    for ratio in ratios:
        if len(seen) >= least_days(coverage):
            missed = not quantile(seen, tail) <= ratio <= quantile(seen, 1 - tail)
            tail = min(max(tail + PACE * (2 * aim - missed) / 2, LEAST_TAIL), 2 * aim)
        insort(seen, ratio)
    return tail


def least_days(coverage: float) -> int:
    """So many past days an interval of this coverage takes: with fewer its ends would be beyond all that was seen."""
    return round(2 / (1 - coverage)) - 1


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that a new one is under with this probability, if it is like those seen (interpolated)."""
    place = share * (len(ordered) + 1) - 1
    low = min(max(int(place), 0), len(ordered) - 1)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * min(max(place - low, 0.0), 1.0)


def fill(day: int, moment: float, reference: Reference, lagging: Sequence[Lagging], coverage: float = COVERAGE) -> Hole:
    """Expect what those lagging sold on `day` up to `moment` (hours of the day), and replay it on the days before."""
    hours = len(reference.today)
    asked = _covered(hours, 0.0, moment)
    levels: dict[int, tuple[float, Hours]] = {}

    def level(on: int) -> tuple[float, Hours]:
        if on not in levels:
            if on == day:
                sold = reference.today
            else:
                sold = [value * part for value, part in zip(reference.past.days.get(on, asked), asked, strict=True)]
            levels[on] = _level(sold, reference.past.profile(on), asked, reference.stores)
        return levels[on]

    filled, strangers = {}, []
    for one in lagging:
        usual = one.past.profile(day)
        if usual is None:
            strangers.append(one.name)
            continue
        cut = _Cut(min(one.until, moment), moment, hours)
        open_today = [0.0 if hour in one.shut else value for hour, value in enumerate(usual)]
        made = _Filled(cut.first, cut.expected(open_today, level(day), sum(one.today)))
        for before in range(day - REPLAYED, day):
            usual, was = one.past.profile(before), one.past.days.get(before)
            if usual is None or was is None or (before not in reference.past.days and reference.stores):
                continue
            if one.past.holiday(before) and not one.past.holiday(day):
                continue
            expected = cut.expected(usual, level(before), cut.sold(was))
            made.days[before] = array("d", expected + cut.replayed(expected, was))
        filled[one.name] = made
    return Hole(filled, strangers, coverage)


def _covered(hours: int, start: float, end: float) -> Hours:
    """How much of each hour lies between two moments of the day."""
    return tuple(max(0.0, min(end, hour + 1) - max(start, hour)) for hour in range(hours))


def _level(sold: Hours, usual: Hours | None, asked: Hours, stores: int) -> tuple[float, Hours]:
    """A day's level of the complete stores, over the day so far and hour by hour, each held back where it says little."""
    if usual is None or not stores:
        return 1.0, (1.0,) * len(asked)
    due = [value * share for value, share in zip(usual, asked, strict=True)]
    if sum(due) <= 0:
        return 1.0, (1.0,) * len(asked)
    whole = 1.0 + stores / (stores + DAY_STORES) * (sum(sold) / sum(due) - 1.0)
    hours = []
    for got, should, share in zip(sold, due, asked, strict=True):
        heard = stores * share
        hours.append(whole + heard / (heard + HOUR_STORES) * (got / should - whole) if should > 0 else whole)
    return max(whole, 0.0), [max(here, 0.0) for here in hours]


class _Cut:
    """Where one hole begins and ends, and what a day with it looks like. The hours before it and after it are left out."""

    __slots__ = ("_end", "_known", "_lacking", "_roots", "first")

    def __init__(self, until: float, moment: float, hours: int) -> None:
        self.first = min(int(until), hours)
        self._end = max(min(ceil(moment), hours), self.first)
        self._known = _covered(hours, 0.0, until)[: ceil(until)]
        self._lacking = _covered(hours, until, moment)[self.first : self._end]
        self._roots = [sqrt(part) for part in self._lacking]

    def sold(self, was: Hours) -> float:
        return float(sum(map(mul, was, self._known)))

    def expected(self, usual: Hours, level: tuple[float, Hours], sold: float) -> list[float]:
        """The hole, hour by hour: usual × the others' level × the store's own so far."""
        whole, hours = level
        due = sum(map(mul, map(mul, usual, hours), self._known))
        own = 1.0
        if due > 0:
            held = STORE_WEIGHT * whole * sum(usual)
            own = (max(sold, 0.0) + held) / (due + held) if due + held > 0 else 1.0
        between = slice(self.first, self._end)
        return [
            value * here * part * own
            for value, here, part in zip(usual[between], hours[between], self._lacking, strict=True)
        ]

    def replayed(self, expected: Sequence[float], was: Hours) -> list[float]:
        """What the hole held that day. Part of an hour varies more than that part of the hour's error: 1/√part of it."""
        return [
            said + (value * part - said) / root if root else 0.0
            for said, value, part, root in zip(
                expected, was[self.first : self._end], self._lacking, self._roots, strict=True
            )
        ]
