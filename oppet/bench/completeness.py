"""`oppet bench completeness`: do the intervals for what is not reported hold what they say? On real stores, days held out.

Whole stores are hidden from a moment on (an hour, some hours, the whole day), 1 to 60 % of them at random; the estimator
of `figures/estimate.py` sees what head office would see and is held against what was sold. The held-out days come after
every day on which its constants were chosen. A store known to be closed is not hidden: head office knows its hours.
"""

from __future__ import annotations

import csv
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow.parquet as pq

from oppet.base.errors import UnavailableError
from oppet.base.words import N_
from oppet.figures.estimate import COVERAGE, HISTORY_DAYS, HOLIDAY, HOURS, Hole, Lagging, Past, Reference, fill
from oppet.yardstick.measure import conditions, result

__all__ = ["SHARES", "NoDataError", "run"]

SHARED = Path(__file__).parents[3] / "shared" / "data"
SHARES = (0.01, 0.03, 0.1, 0.3, 0.6)
LAGS = (1, 3, 6, HOURS)  # hours; the last is the whole day
SCALE = 10_000  # small units are counted in whole parts


class NoDataError(UnavailableError):
    sentence = N_("There is no {file}: this measure needs the real sales that are not part of the product.")


@dataclass(frozen=True)
class Chain:
    """Real stores: day → hours of each, and which days are held out."""

    name: str
    stores: Mapping[str, Mapping[int, Sequence[float]]]
    held_out: Sequence[int]
    hours: int  # values in a day
    lags: Sequence[int]
    moments: Sequence[int]
    holidays: frozenset[int] = frozenset()

    def kind_of(self, day: int) -> int:
        return HOLIDAY if day in self.holidays else date.fromordinal(day).weekday()


@dataclass
class Tally:
    """What came of all the sums of one sort."""

    held: int = 0
    asked: int = 0
    refused: int = 0
    widths: list[float] = field(default_factory=list)  # of the whole sum
    shares: list[float] = field(default_factory=list)  # of the whole sum that was hidden
    of_missing: list[float] = field(default_factory=list)  # of what was hidden
    days: dict[int, list[int]] = field(default_factory=dict)

    def add(self, hole: Hole, stores: Sequence[str], hidden: float, whole: float, day: int) -> None:
        guess = hole.missing(stores)
        if guess is None:
            self.refused += 1
            return
        if not guess.days or hidden <= 0:
            return  # closed: nothing was to be said
        self.asked += 1
        held = guess.low_ore <= hidden <= guess.high_ore
        self.held += held
        self.days.setdefault(day, []).append(held)
        self.widths.append((guess.high_ore - guess.low_ore) / whole)
        self.shares.append(hidden / whole)
        self.of_missing.append((guess.high_ore - guess.low_ore) / hidden)

    def figures(self) -> dict[str, Any]:
        if not self.asked:
            return {"sums": 0, "refused": self.refused}
        daily = [sum(held) / len(held) for held in self.days.values()]
        mean = sum(daily) / len(daily)
        spread = (sum((one - mean) ** 2 for one in daily) / max(len(daily) - 1, 1) / len(daily)) ** 0.5
        return {
            "sums": self.asked,
            "coverage": round(self.held / self.asked, 3),
            "error": round(spread, 3),  # of the coverage: sums of one day are not strangers to each other
            "hidden": round(median(self.shares), 4),
            "width": round(median(self.widths), 4),
            "width_of_hidden": round(median(self.of_missing), 3),
            "refused": self.refused,
        }


def run(
    patterns: int = 6, chains: Sequence[str] = ("freshretail", "rossmann", "favorita"), tuning: bool = False
) -> dict[str, Any]:
    """Hide, estimate, compare. `patterns` a day and share; `tuning` takes the days before those held out."""
    figures: dict[str, Any] = {}
    began = time.perf_counter()
    for name in chains:
        figures[name] = _measured(SOURCES[name](tuning), patterns)
    worst = max(
        abs(row["coverage"] - COVERAGE) for by in figures.values() for row in by["chain"].values() if row["sums"]
    )
    told = conditions(nominal=COVERAGE, patterns=patterns, seconds=round(time.perf_counter() - began))
    return result("completeness", figures, {"worst_chain_coverage_off": round(worst, 3)}, told)


def _measured(chain: Chain, patterns: int) -> dict[str, Any]:
    chance = random.Random(f"{chain.name} held out")
    pasts = {store: Past(days, chain.kind_of) for store, days in chain.stores.items()}
    whole = {share: Tally() for share in SHARES}
    single = {lag: Tally() for lag in chain.lags}
    for day in chain.held_out:
        selling = [store for store, days in chain.stores.items() if any(days.get(day, ()))]
        if len(selling) < 10:
            continue
        sums = _together(chain, selling, day)  # a store known to be closed today is no measure of today
        for share in SHARES:
            for _ in range(patterns):
                _one(chain, pasts, sums, (day, share), selling, chance, whole[share], single)
    return {
        "stores": len(chain.stores),
        "held_out_days": len(chain.held_out),
        "chain": {f"{share:.0%}": tally.figures() for share, tally in whole.items()},
        "store": {("day" if lag == chain.hours else f"{lag} h"): tally.figures() for lag, tally in single.items()},
    }


def _one(
    chain: Chain,
    pasts: Mapping[str, Past],
    sums: Mapping[int, Sequence[float]],
    asked: tuple[int, float],
    selling: Sequence[str],
    chance: random.Random,
    whole: Tally,
    single: Mapping[int, Tally],
) -> None:
    """One pattern: hide, fill, and hold the chain's sum and one store's against what was sold."""
    day, share = asked
    hidden = chance.sample(sorted(selling), max(1, round(share * len(selling))))
    moment = chance.choice(chain.moments)
    lags = {store: chance.choice(chain.lags) for store in hidden}
    left = _without(chain, sums, hidden)
    today = [*left[day][:moment], *[0.0] * (chain.hours - moment)]
    reference = Reference(len(selling) - len(hidden), today, Past(left, chain.kind_of))
    lagging, lost = [], {}
    for store in hidden:
        until = max(moment - lags[store], 0)
        hours = chain.stores[store][day]
        lagging.append(Lagging(store, until, [*hours[:until], *[0.0] * (chain.hours - until)], pasts[store]))
        lost[store] = float(sum(hours[until:moment]))
    hole = fill(day, moment, reference, lagging)  # which looks at no day of a store's past from this one on
    everything = sum(sums[day][:moment])
    if everything <= 0:
        return
    whole.add(hole, hidden, sum(lost.values()), everything, day)
    one = hidden[0]
    of_store = sum(chain.stores[one][day][:moment])
    if of_store > 0:
        single[lags[one]].add(hole, [one], lost[one], of_store, day)


def _together(chain: Chain, selling: Sequence[str], day: int) -> dict[int, list[float]]:
    """These stores as one, as far back as the estimator looks."""
    sums: dict[int, list[float]] = {}
    for before in range(day - HISTORY_DAYS, day + 1):
        known = [chain.stores[store][before] for store in selling if before in chain.stores[store]]
        if known:
            sums[before] = [sum(hour) for hour in zip(*known, strict=True)]
    return sums


def _without(chain: Chain, sums: Mapping[int, Sequence[float]], hidden: Sequence[str]) -> dict[int, Sequence[float]]:
    """The others together."""
    left: dict[int, Sequence[float]] = {}
    for before, whole in sums.items():
        known = [chain.stores[store][before] for store in hidden if before in chain.stores[store]]
        gone = [sum(hour) for hour in zip(*known, strict=True)] if known else [0.0] * chain.hours
        left[before] = [max(value - less, 0.0) for value, less in zip(whole, gone, strict=True)]
    return left


# --- the real sales --------------------------------------------------------------------------------------------------


def _columns(file: str, *names: str) -> Iterator[tuple[Any, ...]]:
    path = SHARED / file
    if not path.exists():
        raise NoDataError(file=f"../shared/data/{file}")
    table = pq.read_table(path, columns=list(names))
    columns = [
        table.column(name) if name != "date" else table.column(name).cast("date32").cast("int32") for name in names
    ]
    return zip(*(column.to_pylist() for column in columns), strict=True)


def _ordinal(days_since_1970: int) -> int:
    return days_since_1970 + 719_163


def _freshretail(tuning: bool) -> Chain:
    """Hourly; closed at night. Whole weeks at the end are held out."""
    stores: dict[str, dict[int, list[float]]] = {}
    for store, day, hour, sales in _columns("freshretail/store_hourly.parquet", "store_id", "date", "hour", "sales"):
        row = stores.setdefault(str(store), {}).setdefault(_ordinal(day), [0.0] * HOURS)
        row[hour] = round(sales * SCALE)
    last = date(2024, 6, 25).toordinal()
    held = range(last - 27, last + 1) if not tuning else range(last - 55, last - 27)
    return Chain("freshretail", stores, held, HOURS, LAGS, range(9, 23))


def _daily(name: str, rows: Iterator[tuple[Any, ...]], held: Sequence[int], holidays: frozenset[int]) -> Chain:
    """Daily sales only: whole days are hidden, and a day is one value."""
    stores: dict[str, dict[int, list[float]]] = {}
    for store, day, sales in rows:
        if not sales:
            continue  # closed
        stores.setdefault(str(store), {})[_ordinal(day)] = [float(sales * 100)]
    return Chain(name, stores, held, 1, (1,), (1,), holidays)


def _rossmann(tuning: bool) -> Chain:
    first, last = (date(2015, 1, 1), date(2015, 4, 30)) if not tuning else (date(2014, 3, 1), date(2014, 6, 30))
    held = range(first.toordinal(), last.toordinal() + 1)
    seen: dict[int, list[bool]] = {}
    for day, holiday in _columns("rossmann/daily.parquet", "date", "state_holiday"):
        seen.setdefault(_ordinal(day), []).append(holiday != "0")
    holidays = frozenset(day for day, said in seen.items() if sum(said) > len(said) / 2)
    return _daily("rossmann", _columns("rossmann/daily.parquet", "store", "date", "sales"), held, holidays)


def _favorita(tuning: bool) -> Chain:
    first, last = (date(2016, 11, 1), date(2017, 4, 30)) if not tuning else (date(2015, 9, 1), date(2016, 3, 31))
    held = range(first.toordinal(), last.toordinal() + 1)
    with (SHARED / "favorita-receipts" / "holidays.csv").open(encoding="utf-8") as lines:
        holidays = frozenset(
            date.fromisoformat(row["date"]).toordinal()
            for row in csv.DictReader(lines)
            if row["locale"] == "National" and row["type"] != "Work Day" and row["transferred"] != "True"
        )
    rows = _columns("favorita-receipts/daily.parquet", "store", "date", "transactions")
    return _daily("favorita", rows, held, holidays)


SOURCES: dict[str, Callable[[bool], Chain]] = {
    "freshretail": _freshretail,
    "rossmann": _rossmann,
    "favorita": _favorita,
}
