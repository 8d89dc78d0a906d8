"""The payment-path board: which way of paying works now, told from probes and from how real exchanges went.

A `PathHealth` belongs to one path of one till; its driver feeds it and answers `now()` from it. Times are whole ms of a clock that never
runs backwards and are handed in; the jitter is a digest of the path's name. It leaves to the driver how a probe is made, and to
`register/tenders.py` to journal what changed. Keeps PT8 (seen, said, left for one that works) and PT3's bound: a path that is down is
tried ever more seldom, by one at a time, each till at its own moment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from oppet.payments.paths import DOWN, SLOW, UNSEEN, WORKING, PathNow, PayPath

__all__ = ["ANSWERED", "CLOSED", "HALF_OPEN", "OPEN", "REFUSED", "SILENT", "PathHealth", "Tempo", "choose", "order"]

# How a real exchange went, whatever it said about the money: a declined card is a path that works.
ANSWERED, SILENT, REFUSED = (
    "answered",
    "silent",
    "refused",
)  # refused: the line said no, as a terminal without its host does

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half_open"  # the circuit breaker

PAUSE_MS = (2_000, 4_000, 8_000, 15_000, 30_000)  # between tries of a path that is down, and up to half as long again
CALM_MS = 60_000  # a path that falls again sooner than this after it came back goes on with the pauses it had
WINDOW = 8  # the last so many probes and exchanges …
UNSTEADY = 3  # … of which so many failed: it works, but nobody should choose it first
STEPS = 2  # two in a row change what is shown: one alone may be chance


class Tempo(msgspec.Struct, frozen=True):
    """How often a path is looked at and how soon it is believed. The defaults show a cut cable within 5 s of the cut."""

    every_ms: int = 2_000  # between two probes of a path that works
    slow_every_ms: int = 10_000  # between two probes of one that is slow: it has enough to do
    confirm_ms: int = 500  # from something new to the probe that confirms it
    doubt_ms: int = 1_500  # a failure that nothing has contradicted for so long is a path that is down
    slow_ms: int = 1_500  # a probe that takes longer is slow
    slow_exchange_ms: int = 45_000  # an exchange has a customer in it, who looks for a card and types a PIN
    fade_ms: int = 90_000  # what was heard longer ago says nothing
    try_ms: int = 30_000  # a try that nothing came of in so long is forgotten


class PathHealth:
    """How one path stands. Bounded, however much it is told."""

    def __init__(self, name: str, tempo: Tempo | None = None) -> None:
        """`name`: of the path, the till and the store, so that no two tills try at the same moment."""
        self._name = name
        self._tempo = tempo or Tempo()
        self._state = UNSEEN
        self._why = ""
        self._offline = False
        self._heard: int | None = None  # when anything was last heard
        self._failing: int | None = None  # when the failures that nothing has contradicted began
        self._fails = 0  # in a row
        self._goods = 0
        self._slows = 0
        self._quicks = 0
        self._window: tuple[bool, ...] = ()  # whether each of the last probes and exchanges failed
        self._falls = 0  # tries in vain since it was last calm
        self._risen: int | None = None  # when it last came back
        self._open_until = 0
        self._trying: int | None = None

    # --- what it is told

    def probed(self, ok: bool, took_ms: int, at: int, why: str = "", offline: bool = False) -> None:
        """A probe's result. `ok`: the path reaches whom it must; `offline`: it could approve without."""
        self._offline = offline
        if ok:
            self._worked(at, took_ms >= self._tempo.slow_ms, proof=False)
        else:
            self._failed(at, why)

    def answered(self, outcome: str, took_ms: int, at: int, why: str = "") -> None:
        """How a real exchange went: `answered`, `silent` or `refused`. A real answer is worth more than a probe."""
        if outcome == ANSWERED:
            self._worked(at, took_ms >= self._tempo.slow_exchange_ms, proof=True)
        else:
            self._failed(at, why or outcome)

    def tried(self, at: int) -> None:
        """Something is sent now, be it a probe: while the path is down, nothing else is until it is known what came of it."""
        self._settle(at)
        if self._state == DOWN:
            self._trying = at

    # --- what it says

    def now(self, at: int) -> PathNow:
        """How the path stands at this moment. Old knowledge is none."""
        self._settle(at)
        if self._faded(at):
            return PathNow(UNSEEN)
        return PathNow(self._state, self._why, self._offline)

    def breaker(self, at: int) -> str:
        self._settle(at)
        if self._state != DOWN or self._faded(at):
            return CLOSED
        return OPEN if at < self._open_until else HALF_OPEN

    def may_try(self, at: int) -> bool:
        """Whether anything may be sent: always while the path is up, one at a time after each pause while it is down."""
        stands = self.breaker(at)
        if stands == HALF_OPEN:
            return self._trying is None or at - self._trying >= self._tempo.try_ms
        return stands == CLOSED

    def next_probe_ms(self, at: int) -> int:
        """How long from now until the next probe is due; 0 for now. What real exchanges say counts as a probe."""
        self._settle(at)
        if self._heard is None or self._faded(at):
            return 0
        tempo = self._tempo
        if self._state == DOWN:
            due = self._heard + tempo.confirm_ms if self._goods else self._open_until
            if self._trying is not None:
                due = max(due, self._trying + tempo.try_ms)
        elif self._fails:
            due = self._heard + tempo.confirm_ms
        else:
            every = tempo.slow_every_ms if self._state == SLOW else tempo.every_ms
            due = self._heard + every - self._jitter(every // 4, self._heard)  # never later: 5 s are promised
        return max(0, due - at)

    # --- inside

    def _faded(self, at: int) -> bool:
        return self._heard is None or at - self._heard > self._tempo.fade_ms

    def _settle(self, at: int) -> None:
        """A failure that nothing contradicted in time is believed without a second."""
        if self._failing is not None and self._state != DOWN and at - self._failing >= self._tempo.doubt_ms:
            self._fall(self._failing + self._tempo.doubt_ms)

    def _hear(self, at: int) -> None:
        self._settle(at)
        if self._faded(at):
            self._state, self._why = UNSEEN, ""
            self._failing = None
            self._fails = self._goods = self._slows = self._quicks = 0
            self._window = ()
        self._heard = at if self._heard is None else max(self._heard, at)

    def _failed(self, at: int, why: str) -> None:
        self._hear(at)
        in_vain = self._state == DOWN and at >= self._open_until
        self._trying = None
        self._window = (*self._window, True)[-WINDOW:]
        self._fails = min(self._fails + 1, STEPS)
        self._goods = 0
        if self._failing is None:
            self._failing = at
        if self._state == DOWN:
            self._why = why[:80] or self._why
            if in_vain:
                self._pause(at)
            return
        if self._state == UNSEEN or self._fails >= STEPS:
            self._why = why[:80]
            self._fall(at)
        else:
            self._why = self._why or why[:80]
            self._unsteady()

    def _worked(self, at: int, slow: bool, *, proof: bool) -> None:
        self._hear(at)
        self._trying = None
        self._failing = None
        self._fails = 0
        self._window = (*self._window, False)[-WINDOW:]
        self._goods = min(self._goods + 1, STEPS)
        self._slows = min(self._slows + 1, STEPS) if slow else 0
        self._quicks = 0 if slow else min(self._quicks + 1, STEPS)
        if self._state == DOWN:
            if not proof and self._goods < STEPS:
                return
            self._risen = at
            self._window = ()
            self._stand(SLOW if slow else WORKING)
        elif self._state == UNSEEN:
            self._stand(SLOW if slow else WORKING)
        elif self._slows >= STEPS:
            self._stand(SLOW)
        elif self._quicks >= STEPS and sum(self._window) < UNSTEADY:
            self._stand(WORKING)
        elif self._state == WORKING:
            self._why = ""

    def _unsteady(self) -> None:
        if self._state == WORKING and sum(self._window) >= UNSTEADY:
            self._state, self._why = SLOW, "unsteady"

    def _stand(self, state: str) -> None:
        if state == WORKING:
            self._why = ""
        elif self._why != "unsteady":
            self._why = "slow"
        self._state = state

    def _fall(self, at: int) -> None:
        self._state, self._trying = DOWN, None
        self._goods = self._slows = self._quicks = 0
        if self._risen is None or at - self._risen > CALM_MS:
            self._falls = 0
        self._pause(at)

    def _pause(self, at: int) -> None:
        pause = PAUSE_MS[min(self._falls, len(PAUSE_MS) - 1)]
        self._falls = min(self._falls + 1, len(PAUSE_MS))
        self._open_until = at + pause + self._jitter(pause // 2, at)

    def _jitter(self, most: int, at: int) -> int:
        digest = hashlib.sha256(f"{self._name}/{at}".encode()).digest()
        return most * int.from_bytes(digest[:2]) // 65_535


# --- which one to take

_RANK = {WORKING: 0, SLOW: 1, UNSEEN: 3, DOWN: 4}
_ALONE = 2  # on nobody's word but the terminal's or the customer's: bounded by the risk budget


def _rank(path: PayPath, now: PathNow) -> int:
    if now.state == DOWN and now.offline:
        return _ALONE
    return max(_ALONE, _RANK[now.state]) if path.by_hand else _RANK[now.state]


def order(paths: Iterable[tuple[PayPath, PathNow]], means: str = "") -> list[tuple[PayPath, PathNow]]:
    """The paths of a means (of all, for ""), the best first: working, slow, alone, unknown, down; then as in the settings."""
    wanted = [(path, now) for path, now in paths if not means or path.means == means]
    return sorted(wanted, key=lambda one: _rank(*one))


def choose(paths: Iterable[tuple[PayPath, PathNow]], means: str) -> PayPath | None:
    """The path to take by itself; None where every path of the means is down."""
    for path, now in order(paths, means):
        if _rank(path, now) < _RANK[DOWN]:
            return path
    return None
