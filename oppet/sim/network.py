"""The cables: what happens to one message between two machines, and the thief who sits on the wire.

A message is a call that comes back, comes back late, twice, or never; a lost reply and a lost request look the same to
the sender, and only one of them was carried out. Weather lies on a scope (a machine's cable, a store's network, its way
out) for a while; each message draws its fate from the weather's own chance, so a schedule replays.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Protocol, TypeVar

from oppet.drivers.faulty_disk import PowerCutError
from oppet.sync.errors import KeeperAwayError

__all__ = ["BUDGET_MS", "FATES", "Endpoint", "Network"]

T = TypeVar("T")

BUDGET_MS = 80
FATES = ("lost", "reply lost", "twice", "late", "slow", "cut", "drip")
LATEST_MS = 120_000
TAPPED = 40


class Endpoint(Protocol):
    """A machine on the network."""

    name: str
    store: str  # "" at head office
    up: bool


class _Weather:
    __slots__ = ("chance", "kind", "permille", "until")

    def __init__(self, kind: str, permille: int, until: int, salt: int) -> None:
        self.kind, self.permille, self.until = kind, permille, until
        self.chance = Random(salt)


class Network:
    def __init__(self, count: Callable[[str], None], died: Callable[[str], None]) -> None:
        self.now = 0
        self.took_ms = 0  # of the last call that came back
        self.tapped: deque[tuple[str, bytes]] = deque(maxlen=TAPPED)  # what the thief has heard: to whom, and what
        self._count = count
        self._died = died
        self._weather: dict[str, list[_Weather]] = {}
        self._late: list[tuple[int, int, Endpoint, Callable[[], object]]] = []
        self._order = 0

    def begin(self, scope: str, kind: str, permille: int, until: int, salt: int) -> None:
        """Let weather of this kind lie on a scope until that moment."""
        self._weather.setdefault(scope, []).append(_Weather(kind, permille, until, salt))

    def calm(self) -> None:
        """No weather from here on; what is under way still arrives."""
        self._weather.clear()

    def reachable(self, source: Endpoint, target: Endpoint) -> bool:
        """Whether a message could get through at all just now."""
        return target.up and not any(
            weather.kind == "cut" and weather.until > self.now
            for scope in _scopes(source, target)
            for weather in self._weather.get(scope, ())
        )

    def _fate(self, source: Endpoint, target: Endpoint) -> tuple[str, Random | None]:
        if not self._weather:
            return "", None
        for scope in _scopes(source, target):
            here = self._weather.get(scope)
            if here is None:
                continue
            for weather in list(here):
                if weather.until <= self.now:
                    here.remove(weather)
                elif weather.kind == "cut" or weather.chance.randrange(1000) < weather.permille:
                    return weather.kind, weather.chance
            if not here:
                del self._weather[scope]
        return "", None

    def call(self, source: Endpoint, target: Endpoint, handle: Callable[[], T]) -> T:
        """Let `target` handle a message and give its answer. Raises KeeperAwayError when none came back."""
        self.took_ms = 4
        if not target.up:
            raise KeeperAwayError(keeper=target.name, why="no answer")
        fate, chance = self._fate(source, target)
        if fate and fate != "cut":  # the cut cable is the fault; that it carries nothing is not one more
            self._count(f"message {fate}")
        if fate in ("lost", "cut"):
            raise KeeperAwayError(keeper=target.name, why=fate)
        if fate == "late":
            assert chance is not None
            self._order += 1
            moment = self.now + chance.randrange(1, LATEST_MS)
            heapq.heappush(self._late, (moment, self._order, target, handle))
            raise KeeperAwayError(keeper=target.name, why=fate)
        try:
            answer = handle()
            if fate == "twice":
                answer = handle()
        except PowerCutError as cut:
            if cut.machine == source.name:
                raise
            self._died(cut.machine)
            raise KeeperAwayError(keeper=target.name, why="no answer") from None
        if fate == "reply lost":
            raise KeeperAwayError(keeper=target.name, why=fate)
        if fate in ("slow", "drip"):
            self.took_ms = 300 if fate == "slow" else 9_000
        if fate == "drip":  # the sender's own limit of time ends it
            raise KeeperAwayError(keeper=target.name, why=fate)
        return answer

    def arrive(self) -> None:
        """Deliver what was held up; nobody waits for the answer any more."""
        while self._late and self._late[0][0] <= self.now:
            _, _, target, handle = heapq.heappop(self._late)
            if not target.up:
                continue
            try:
                handle()
            except PowerCutError as cut:
                self._died(cut.machine)
            except Exception as error:
                if isinstance(error, AssertionError):
                    raise

    @property
    def quiet(self) -> bool:
        return not self._late


def _scopes(source: Endpoint, target: Endpoint) -> tuple[str, ...]:
    if source.store == target.store:
        return (source.name, target.name, f"lan {source.store}")
    return (source.name, target.name, f"wan {source.store or target.store}")
