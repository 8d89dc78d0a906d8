"""To which moment each till, store and the chain are complete, and who holds a figure back and why.

A till's own signed word says until when its journal is all here; nothing is concluded from silence. A till that said it
stopped, an epoch that was closed or revoked and one that a later epoch replaced hold nothing back, unless a whole store
that should be selling has no till running: then nobody knows that it is not selling in the dark.
Values in, values out. Keeps Q4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from oppet.base.clock import local, local_day
from oppet.drivers.hq_sales import StoreRow, StreamRow

__all__ = ["WHY", "Held", "Till", "hour_of_day", "local_moment", "store_held", "tills_of"]

HEARD_LATELY_MS = 150_000  # a till that has nothing to say says so every 20 s, by way of a relay
CLOSED_KINDS = {"epoch_closed"}

# Why a store is not complete: nobody in it answers; one till does not; it is catching up; no till was started though it usually
# sells now.
WHY = ("silent", "till", "behind", "dark")


class Till(msgspec.Struct, frozen=True):
    """One till as head office knows it: its latest epoch speaks for it."""

    store: str
    till: str
    epoch: int
    until: int  # complete to, ms since 1970; 0 for a till that never said
    heard: int  # our clock
    state: str  # running | stopped | closed | revoked
    provisional: bool
    epochs: int
    branches: int

    @property
    def counts(self) -> bool:
        """Whether it can hold anything back."""
        return self.state in {"running", "stopped"}


class Held(msgspec.Struct, frozen=True):
    """A store that is not complete, in facts: the tills that hold it back and why."""

    store: str
    tills: tuple[str, ...]
    of: int  # tills that it has
    since: int  # ms since 1970: complete to; 0 for never
    why: str  # a word of WHY
    heard: int


def tills_of(streams: Sequence[StreamRow], kinds: Mapping[int, str]) -> list[Till]:
    """The tills behind these histories. `kinds` are of the last entries, where they were asked for."""
    by_till: dict[tuple[str, str], list[StreamRow]] = {}
    for stream in streams:
        by_till.setdefault((stream.store, stream.till), []).append(stream)
    found = []
    for (store, till), histories in by_till.items():
        epoch = max(row.epoch for row in histories)
        latest = [row for row in histories if row.epoch == epoch]
        speaks = max(latest, key=_until)
        kind = kinds.get(speaks.stream, "")
        state = "running"
        if any(row.revoked for row in latest):
            state = "revoked"
        elif kind in CLOSED_KINDS:
            state = "closed"
        elif kind == "till_stopped":
            state = "stopped"
        heard = max(row.heard or 0 for row in latest)
        provisional = any(row.provisional for row in latest)
        branches = sum(bool(row.branch) for row in histories)
        epochs = len({row.epoch for row in histories})
        found.append(Till(store, till, epoch, _until(speaks), heard, state, provisional, epochs, branches))
    return found


def _until(stream: StreamRow) -> int:
    """Everything up to here has come; a clock ahead of ours proves nothing about what is still to be."""
    said = max(stream.as_of or 0, stream.head_at or 0)
    return min(said, stream.heard) if stream.heard else said


def store_held(
    store: StoreRow, tills: Sequence[Till], moment: int, now: int, usually_sells: Callable[[int], bool]
) -> Held | None:
    """Why this store is not complete to `moment`, or None where it is. `usually_sells` is asked only when every till stands
    still: whether the store as a rule sells between a moment and the one asked about."""
    if store.closed:
        return None
    mine = [till for till in tills if till.counts]
    running = [till for till in mine if till.state == "running"]
    behind = [till for till in running if till.until < moment]
    heard = max((till.heard for till in mine), default=0)
    if behind:
        since = min(till.until for till in behind)
        why = "till" if len(behind) < len(running) else "silent"
        if all(now - till.heard <= HEARD_LATELY_MS for till in behind):
            why = "behind"
        return Held(store.store, tuple(sorted(till.till for till in behind)), len(mine), since, why, heard)
    if running or any(till.until >= moment for till in mine):
        return None
    since = max((till.until for till in mine), default=0)
    if not mine or not usually_sells(since):
        return None
    return Held(store.store, tuple(sorted(till.till for till in mine)), len(mine), since, "dark", heard)


def hour_of_day(instant: int, day: str) -> float:
    """Where a moment stands on a local day's clock: 13.25 for 13:15, 0 for before that day and 24 for after it."""
    on = local_day(instant)
    if on != day:
        return 0.0 if on < day else 24.0
    at = local(instant)
    return at.hour + at.minute / 60 + at.second / 3600


def local_moment(instant: int) -> str:
    """ "14:32" on a Swedish wall clock."""
    return local(instant).strftime("%H:%M")


def counted(tills: Iterable[Till]) -> int:
    return sum(till.counts for till in tills)
