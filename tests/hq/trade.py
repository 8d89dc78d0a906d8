"""Made-up trade of our own: stores with a shape of the day, good and bad days for all, and chance; from a seed."""

from __future__ import annotations

from datetime import date
from math import exp
from random import Random

from oppet.figures.estimate import HOURS, Hole, Lagging, Past, Reference, fill

TODAY = date(2026, 11, 20).toordinal()  # a Friday
SHAPE = (0, 0, 0, 0, 0, 0, 0, 2, 4, 5, 6, 7, 8, 7, 6, 7, 9, 10, 8, 5, 3, 1, 0, 0)
WEEK = (0.9, 0.85, 0.9, 1.0, 1.3, 1.2, 0.8)
History = dict[str, dict[int, list[float]]]


def kind_of(day: int) -> int:
    return date.fromordinal(day).weekday()


def trade(stores: int = 30, days: int = 133, seed: int = 4711, chance: float = 0.15, scale: int = 1) -> History:
    """Öre by store, day and hour, up to and with today."""
    rng = Random(seed)
    size = {f"S{number:02d}": 40_000 * scale * exp(rng.gauss(0, 0.5)) for number in range(1, stores + 1)}
    made: History = {store: {} for store in size}
    for day in range(TODAY - days, TODAY + 1):
        all_of_them = exp(rng.gauss(0, 0.1)) * WEEK[kind_of(day)]
        for store, large in size.items():
            own = exp(rng.gauss(0, 0.08)) * all_of_them * large
            made[store][day] = [float(round(own * part * exp(rng.gauss(0, chance)))) for part in SHAPE]
    return made


def hide(history: History, until: dict[str, float], moment: float, day: int = TODAY, **more: float) -> Hole:
    """What head office sees when these stores are complete only so far, filled."""
    others = [store for store in history if store not in until]
    days = sorted({before for days in history.values() for before in days if before <= day})
    together = {
        before: [sum(values) for values in zip(*(history[store][before] for store in others), strict=True)]
        if others
        else [0.0] * HOURS
        for before in days
    }
    today = [value if hour < moment else 0.0 for hour, value in enumerate(together.pop(day))]
    reference = Reference(len(others), today, Past(together, kind_of))
    lagging = [
        Lagging(
            store,
            upto,
            [value if hour < int(upto) else 0.0 for hour, value in enumerate(history[store][day])],
            Past({before: hours for before, hours in history[store].items() if before < day}, kind_of),
        )
        for store, upto in until.items()
    ]
    return fill(day, moment, reference, lagging, **more)


def hidden(history: History, until: dict[str, float], moment: float, day: int = TODAY) -> float:
    return sum(sum(history[store][day][int(upto) : int(moment)]) for store, upto in until.items())
