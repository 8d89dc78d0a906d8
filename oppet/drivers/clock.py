"""The machine's clock, read in one place.

It says what the machine believes; whether that is to be believed is judged by the till, against its last entry (R18).
"""

from __future__ import annotations

import time

__all__ = ["SystemClock"]


class SystemClock:
    """A `base.clock.Clock`: the machine's time in milliseconds since 1970 UTC."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def counter(self) -> int:
        """Milliseconds on a counter that nobody can set and that runs through a suspended night too."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
