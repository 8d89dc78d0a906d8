"""Whether the till believes its clock (design §2 Time).

A reading is held against what is certain: the last entry it wrote, the day its price file was made, and, while it
runs, the seconds that have passed on a counter nobody can set. A doubtful clock stops prices from changing, never a
sale that a supervisor lets go on. Across a power cut only the outer bounds are known: a clock that is a day ahead
after a night's rest looks like a till that rested for two.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DAY_MS", "Doubt", "Timekeeper"]

DAY_MS = 86_400_000
STEP_MS = 5 * 60_000  # how far the clock may move against the counter, or back before the last entry
REST_MS = 31 * DAY_MS  # the longest rest between two entries that needs no word from a person: twice the 14 days alone


@dataclass(frozen=True, slots=True)
class Doubt:
    """A reading and the bounds it fell out of, in milliseconds since 1970 UTC."""

    reading: int
    earliest: int
    latest: int


class Timekeeper:
    """Remembers the last believed moment on both the clock and the counter."""

    def __init__(self, earliest: int, latest: int | None = None) -> None:
        self._clock = earliest
        self._counter: int | None = None
        self._first_latest = latest if latest is not None else earliest + REST_MS
        self.doubt: Doubt | None = None

    def judge(self, reading: int, counter: int) -> Doubt | None:
        """Hold a reading of clock and counter (both ms) against the last believed moment. A doubt lasts until the
        clock is
        right again or `believe` is called."""
        if self._counter is None:
            earliest, latest = self._clock - STEP_MS, self._first_latest
        else:
            expected = self._clock + counter - self._counter
            earliest, latest = expected - STEP_MS, expected + STEP_MS
        if earliest <= reading <= latest:
            self._clock, self._counter, self.doubt = reading, counter, None
        else:
            self.doubt = Doubt(reading, earliest, latest)
        return self.doubt

    def believe(self, reading: int, counter: int) -> None:
        """A supervisor has confirmed this reading."""
        self._clock, self._counter, self.doubt = reading, counter, None

    @property
    def judged(self) -> bool:
        """Whether any reading has been held against the bounds since the start."""
        return self._counter is not None or self.doubt is not None

    def believed(self, counter: int) -> int:
        """The moment to take prices by: the clock's while it is believed, else the counter's since it was."""
        return self._clock if self._counter is None else self._clock + counter - self._counter
