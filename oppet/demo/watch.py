"""The demo's process keeper: starts what belongs to the chain, says when one has died, and starts it again after a while.

Only so that a person may kill any process by hand and watch the pages meanwhile. A real chain's machines have their
own (systemd); nothing here is ever installed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from oppet.base.errors import UnavailableError
from oppet.drivers.processes import Helper

__all__ = ["AWAY_S", "Watched", "watch"]

AWAY_S = 90.0  # how long a process that was killed stays away: the pages need a minute to be sure
LOOK_S = 0.5


class Watched:
    """One process of the demo, started from the thread that made it."""

    def __init__(self, name: str, start: Callable[[], Helper]) -> None:
        self.name = name
        self._start = start
        self._away_since: float | None = None
        self.helper = start()

    def look(self, now: float) -> str:
        """Say what has changed; "" for nothing."""
        if self._away_since is None:
            if self.helper.alive:
                return ""
            self.helper.end()
            self._away_since = now
            return f"{self.name} is gone; it comes back in {AWAY_S:.0f} s"
        if now - self._away_since < AWAY_S:
            return ""
        try:
            self.helper = self._start()
        except UnavailableError as error:
            self._away_since = now
            return f"{self.name} does not come back ({error}); once more in {AWAY_S:.0f} s"
        self._away_since = None
        return f"{self.name} is back (process {self.helper.pid})"

    def end(self) -> None:
        """End it, if it is there."""
        self.helper.end()


def watch(processes: list[Watched]) -> None:
    """Look after them until we are interrupted."""
    while True:
        for process in processes:
            said = process.look(time.monotonic())
            if said:
                print(f"  {time.strftime('%H:%M:%S')}  {said}", flush=True)
        time.sleep(LOOK_S)
