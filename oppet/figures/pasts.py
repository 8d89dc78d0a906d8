"""What lagging stores sold before today, as the estimator wants it: read store by store, kept a while, bounded.

A store all of whose tills fell silent together lacks one thing, not four: it is one unit, with the store's own history.
Where only some of its tills lag, or at quite different times, those that fell silent together are one. In an outage of
a whole chain that is one unit a store, and each store's history is read once, in pieces, and not again for every picture.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import add
from typing import NamedTuple, Protocol, TypeVar

from oppet.base.clock import Clock
from oppet.drivers.hq_sales import Days
from oppet.figures.complete import Held, Till, hour_of_day
from oppet.figures.estimate import HISTORY_DAYS, HOURS, Hours, KindOf, Past

__all__ = ["PastReader", "Pasts", "Unit", "units_of"]

PAST_MS = 600_000  # what was sold before today is read again after this
MOST_KEPT = 4_096
PIECE = 50  # stores in one question
TOGETHER_H = (1 / 6, 1.0, 24.0)  # tills whose silence began within so many hours of each other are one unit
MOST_UNITS = 1_000  # where there would be more, tills further apart are taken together; never more than one a store
T = TypeVar("T")


class PastReader(Protocol):
    def stores_past(self, stores: Sequence[str], first: int, last: int) -> dict[str, Days]: ...
    def parts_past(self, parts: Sequence[tuple[str, str, str]], first: int, last: int) -> dict[str, Days]: ...


class Unit(NamedTuple):
    """Tills of one store that are filled as one."""

    name: str
    store: str
    tills: tuple[str, ...]
    until: float  # hour of the day: each one's own, in the mean
    whole: bool  # all the store's tills


def units_of(
    held: Mapping[str, Held], tills: Mapping[str, Sequence[Till]], day: str, most: int = MOST_UNITS
) -> dict[str, list[Unit]]:
    """What is filled as one, by store."""
    found: dict[str, list[Unit]] = {}
    for apart in TOGETHER_H:
        found = {store: _units(why, tills.get(store, ()), day, apart) for store, why in held.items()}
        if sum(map(len, found.values())) <= most:
            break
    return found


def _units(held: Held, tills: Sequence[Till], day: str, apart: float) -> list[Unit]:
    until = {till.till: hour_of_day(till.until, day) if till.until else 0.0 for till in tills}
    groups: list[list[str]] = []
    for till in sorted(held.tills, key=lambda till: (until[till], till)):
        if groups and until[till] - until[groups[-1][0]] <= apart:
            groups[-1].append(till)
        else:
            groups.append([till])
    counting = {till.till for till in tills if till.counts}
    return [
        Unit(
            held.store if (whole := counting <= set(group)) else "+".join(group), held.store, tuple(group),
            sum(until[till] for till in group) / len(group), whole,
        )
        for group in groups
    ] or [Unit(held.store, held.store, (), 0.0, whole=True)]  # fmt: skip


class Pasts:
    """Histories of stores and parts of stores, and of many stores as one."""

    def __init__(self, reader: PastReader, clock: Clock, kind_of: KindOf) -> None:
        self._reader, self._clock, self._kind_of = reader, clock, kind_of
        self._guard = threading.Lock()  # held for a look, never while anything is read
        self._kept: dict[tuple[int, str], tuple[int, Past]] = {}

    def stores(self, stores: Sequence[str], day: int) -> dict[str, Past]:
        """Each of these by itself, all its tills together."""
        return self._of(stores, day, lambda some: self._reader.stores_past(some, day - HISTORY_DAYS, day - 1))

    def together(self, stores: Sequence[str], day: int) -> Past:
        """These as one."""
        sums: dict[int, Hours] = {}
        for past in self.stores(stores, day).values():
            for on, hours in past.days.items():
                before = sums.get(on)
                sums[on] = hours if before is None else list(map(add, before, hours))
        return Past(sums, self._kind_of)

    def units(self, units: Sequence[Unit], day: int) -> dict[str, Past]:
        """Each unit by itself; a part of a store has its zeros on days that its store sold."""
        whole = self.stores([unit.store for unit in units], day)
        parts = {unit.name: unit for unit in units if not unit.whole}
        rows = {name: _parts(unit) for name, unit in parts.items()}

        def read(names: Sequence[str]) -> dict[str, Days]:
            asked = [row for name in names for row in rows[name]]
            found = self._reader.parts_past(asked, day - HISTORY_DAYS, day - 1)
            for name, days in found.items():
                began = min(days)
                for on in whole[parts[name].store].days:
                    if on > began:
                        days.setdefault(on, [0.0] * HOURS)
            return found

        return {unit.name: whole[unit.store] for unit in units if unit.whole} | self._of(list(parts), day, read)

    def today(self, units: Collection[Unit], day: int) -> dict[str, Sequence[float]]:
        """What parts of stores sold on the day itself, read anew."""
        found: dict[str, Sequence[float]] = {}
        rows = [row for unit in units for row in _parts(unit)]
        for some in _pieces(rows):
            for name, days in self._reader.parts_past(some, day, day).items():
                found[name] = list(map(add, found.get(name, [0.0] * HOURS), days[day]))
        return found

    def _of(
        self, names: Sequence[str], day: int, read: Callable[[Sequence[str]], Mapping[str, Days]]
    ) -> dict[str, Past]:
        now = self._clock.now()
        with self._guard:
            found = {
                name: kept[1]
                for name in names
                if (kept := self._kept.get((day, name))) is not None and 0 <= now - kept[0] < PAST_MS
            }
        for some in _pieces([name for name in dict.fromkeys(names) if name not in found]):
            made = read(some)
            new = {name: Past(made.get(name, {}), self._kind_of) for name in some}
            found |= new
            with self._guard:
                for name, past in new.items():
                    self._kept.pop((day, name), None)
                    self._kept[day, name] = now, past
                while len(self._kept) > MOST_KEPT:
                    self._kept.pop(next(iter(self._kept)))
        return found


def _parts(unit: Unit) -> list[tuple[str, str, str]]:
    return [(unit.store, till, unit.name) for till in unit.tills]


def _pieces(rows: Sequence[T]) -> Iterable[Sequence[T]]:
    return (rows[at : at + PIECE] for at in range(0, len(rows), PIECE))
