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

from bisect import insort
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import median

import msgspec

__all__ = [
    "COVERAGE",
    "HISTORY_DAYS",
    "HOURS",
    "Guess",
    "Hole",
    "Hours",
    "Lagging",
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
        kind = self._kind_of(day)
        like = (SUNDAY, HOLIDAY) if kind == HOLIDAY else (kind,)
        known: list[Hours] = []
        for before in range(day - 1, max(day - FAR, self.first) - 1, -1):
            if self._kind_of(before) in like:
                known.append(self.days.get(before, self._shut))
                if len(known) == WEEKS:
                    break
        if len(known) < LEAST_SAME:
            return None
        least = SHUT * median(map(sum, known))
        known = [hours for hours in known if sum(hours) >= least]  # a day shut by chance says nothing about a usual one
        return tuple(_middle(hours) for hours in zip(*known, strict=True))

    def holiday(self, day: int) -> bool:
        return self._kind_of(day) == HOLIDAY


def _middle(values: Sequence[float]) -> float:
    """The mean without the lowest and the highest."""
    count = len(values)
    if count < 4:
        return median(values)
    return (sum(values) - min(values) - max(values)) / (count - 2)


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
    today: Hours
    days: dict[int, tuple[Hours, Hours]] = field(default_factory=dict)  # past day → expected, what it was


class Hole:
    """All that is missing on one day, by till and hour, with its replays: any part of it can be summed."""

    def __init__(self, filled: Mapping[str, _Filled], strangers: Collection[str], coverage: float, hours: int) -> None:
        self._hours = hours
        self._filled = filled
        self.strangers = frozenset(strangers)  # too new for a profile: nothing is expected of them, and it is said
        self._coverage = coverage

    def missing(self, names: Iterable[str], hours: Iterable[int] | None = None) -> Guess | None:
        """What these lack in these hours; None where there is too little history to say. Who is not in the hole lacks nothing."""
        chosen = tuple(range(self._hours) if hours is None else hours)
        known = [self._filled[name] for name in dict.fromkeys(names) if name in self._filled]
        parts = [(filled, sum(filled.today[hour] for hour in chosen)) for filled in known]
        today = sum(part for _, part in parts)
        if today <= 0:
            return Guess(0, 0, 0, 0)
        ratios = _ratios(parts, chosen, today, least_days(self._coverage))
        if len(ratios) < least_days(self._coverage):
            return None
        tail = _tail(ratios, self._coverage)
        ordered = sorted(ratios)
        likely, low, high = (round(today * max(quantile(ordered, at), 0.0)) for at in (0.5, tail, 1 - tail))
        return Guess(likely, low, high, len(ratios))


def _ratios(parts: Sequence[tuple[_Filled, float]], hours: Sequence[int], today: float, enough: int) -> list[float]:
    """What was sold for each krona expected, on each past day that knows enough of these stores, in order."""
    sums: dict[int, list[float]] = {}
    for filled, weight in parts:
        for day, (expected, actual) in filled.days.items():
            row = sums.setdefault(day, [0.0, 0.0, 0.0])
            row[0] += sum(expected[hour] for hour in hours)
            row[1] += sum(actual[hour] for hour in hours)
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
        until = min(one.until, moment)
        known, lacking = _covered(hours, 0.0, until), _covered(hours, until, moment)
        usual = one.past.profile(day)
        if usual is None:
            strangers.append(one.name)
            continue
        open_today = [0.0 if hour in one.shut else value for hour, value in enumerate(usual)]
        made = _Filled(_expected(open_today, level(day), sum(one.today), known, lacking))
        for before in range(day - REPLAYED, day):
            usual, was = one.past.profile(before), one.past.days.get(before)
            if usual is None or was is None or (before not in reference.past.days and reference.stores):
                continue
            if one.past.holiday(before) and not one.past.holiday(day):
                continue
            sold = sum(value * part for value, part in zip(was, known, strict=True))
            expected = _expected(usual, level(before), sold, known, lacking)
            made.days[before] = expected, _replayed(expected, was, lacking)
        filled[one.name] = made
    return Hole(filled, strangers, coverage, hours)


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


def _expected(usual: Hours, level: tuple[float, Hours], sold: float, known: Hours, lacking: Hours) -> Hours:
    """The hole, hour by hour: usual × the others' level × the store's own so far."""
    whole, hours = level
    at_level = [value * here for value, here in zip(usual, hours, strict=True)]
    due = sum(value * part for value, part in zip(at_level, known, strict=True))
    held = STORE_WEIGHT * whole * sum(usual)
    own = (max(sold, 0.0) + held) / (due + held) if due + held > 0 and due > 0 else 1.0
    return [value * part * own for value, part in zip(at_level, lacking, strict=True)]


def _replayed(expected: Hours, was: Hours, lacking: Hours) -> Hours:
    """What the hole held that day. Part of an hour varies more than that part of the hour's error: 1/√part of it."""
    return [
        said + (value * part - said) / sqrt(part) if part > 0 else 0.0
        for said, value, part in zip(expected, was, lacking, strict=True)
    ]
