"""The last one made: nobody waits for a figure that is slow to make while there is one to show.

Many may ask for the same at once; one makes it, the others get what that one made. Who asks for something that is no
longer fresh waits a moment for the new one and is otherwise given the last, which says itself when it was made; the new
one goes on being made. Only who asks for what was never made waits for it. What could not be made is said to those who
waited for it, and the next who asks tries again. Keeps Q9.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from oppet.base.clock import Clock

__all__ = ["PATIENCE_S", "Lately"]

PATIENCE_S = 1.0
K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class _Flight(Generic[T]):
    """One making of one thing."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.made: T | None = None
        self.failed: BaseException | None = None


class Lately(Generic[K, T]):
    def __init__(self, clock: Clock, fresh_ms: int, most: int, patience_s: float = PATIENCE_S) -> None:
        self._clock, self._fresh_ms, self._most, self._patience_s = clock, fresh_ms, most, patience_s
        self._guard = threading.Lock()  # held for a look, never while anything is made
        self._kept: dict[K, tuple[int, T]] = {}
        self._under_way: dict[K, _Flight[T]] = {}

    def get(self, key: K, make: Callable[[int], T]) -> T:
        """The last one of `key`; `make` is given the time. Raises what `make` raises."""
        with self._guard:
            now = self._clock.now()
            found = self._kept.get(key)
            if found is not None and 0 <= now - found[0] < self._fresh_ms:
                return found[1]
            flight, mine = self._under_way.get(key), False
            if flight is None:
                flight, mine = _Flight[T](), True
                self._under_way[key] = flight
        if found is None:
            if mine:
                self._fly(flight, key, make, now)
            flight.done.wait()
        else:
            if mine:
                threading.Thread(target=self._fly, args=(flight, key, make, now), name="lately", daemon=True).start()
            if not flight.done.wait(self._patience_s):
                return found[1]
        if flight.failed is not None:
            raise flight.failed
        assert flight.made is not None
        return flight.made

    def _fly(self, flight: _Flight[T], key: K, make: Callable[[int], T], now: int) -> None:
        try:
            flight.made = make(now)
        except Exception as trouble:  # noqa: BLE001 - of whatever sort, it is raised where it is waited for
            flight.failed = trouble
        with self._guard:
            del self._under_way[key]
            if flight.made is not None:
                self._kept.pop(key, None)
                self._kept[key] = now, flight.made
                while len(self._kept) > self._most:
                    self._kept.pop(next(iter(self._kept)))
        flight.done.set()
