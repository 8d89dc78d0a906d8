"""Which queue stands still, since when, and what is the likeliest reason: judged from what a keeper heard.

A history is *complete to* the till's own last signed word; a till that is well says that word every twenty seconds, also when
it has nothing new. What is told apart: a line that is quiet, a store that is quiet, a till that sends but is behind, a clock
that runs ahead, an epoch that is over. Keeps O8 (a queue that stands still is named with its hop, since when and why).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from oppet.base.words import N_
from oppet.sync.sender import BEAT_MS

__all__ = [
    "AHEAD",
    "BEHIND",
    "ENDED",
    "FINE",
    "NEVER",
    "QUIET_MS",
    "SILENT",
    "WORST_FIRST",
    "Heard",
    "Queue",
    "judge",
    "store_is_silent",
]

FINE, BEHIND, SILENT, NEVER, AHEAD, ENDED = "fine", "behind", "silent", "never", "ahead", "ended"
WORST_FIRST = (SILENT, NEVER, BEHIND, AHEAD, FINE, ENDED)
QUIET_MS = 4 * BEAT_MS + 10_000  # four beats missed, and a relay's own pause
AHEAD_MS = 5 * 60_000

WHY = {
    FINE: N_("complete"),
    BEHIND: N_("sends, and is catching up"),
    SILENT: N_("this machine alone is silent: it is off, or its cable is out"),
    NEVER: N_("certified, and nothing has come yet"),
    AHEAD: N_("its clock runs ahead of head office’s"),
    ENDED: N_("this epoch is over"),
}
STORE_SILENT = N_("nothing comes from the whole store: its line, its power or its node is away")
NODE_SILENT = N_("the store’s node is silent; the tills send by themselves")


class Heard(msgspec.Struct, frozen=True):
    """What is known of one history. Moments are milliseconds since 1970 UTC, 0 for never."""

    store: str
    till: str
    epoch: int
    branch: str
    entries: int
    heard: int  # our clock, when it last sent anything
    as_of: int  # the till's word: up to here everything is kept
    over: bool = False  # revoked, or another epoch followed


class Queue(msgspec.Struct, frozen=True):
    """One history's way to us, judged."""

    of: Heard
    state: str
    since: int  # when it stopped being complete; 0 where it is
    why: str  # a sentence

    @property
    def stuck(self) -> bool:
        return self.state in (SILENT, BEHIND, AHEAD)


def store_is_silent(histories: Sequence[Heard], now: int) -> bool:
    """Whether nothing has come from any machine of these (one store's) for too long."""
    living = [known for known in histories if not known.over]
    return bool(living) and all(now - known.heard > QUIET_MS for known in living) and any(k.heard for k in living)


def judge(histories: Sequence[Heard], now: int) -> list[Queue]:
    """One store's histories, each with its state, since when and why."""
    silent = store_is_silent(histories, now)
    others = any(not known.over and now - known.heard <= QUIET_MS for known in histories)
    return [_one(known, now, store_silent=silent, others=others) for known in histories]


def _one(known: Heard, now: int, *, store_silent: bool, others: bool) -> Queue:
    if known.over:
        return Queue(known, ENDED, 0, WHY[ENDED])
    if not known.heard:
        return Queue(known, NEVER, 0, WHY[NEVER])
    if now - known.heard > QUIET_MS:
        why = STORE_SILENT if store_silent else WHY[SILENT]
        if others and known.till == f"{known.store}-node":
            why = NODE_SILENT
        return Queue(known, SILENT, known.as_of or known.heard, why)
    if known.as_of > now + AHEAD_MS:
        return Queue(known, AHEAD, known.heard, WHY[AHEAD])
    if now - known.as_of > QUIET_MS:
        return Queue(known, BEHIND, known.as_of or known.heard, WHY[BEHIND])
    return Queue(known, FINE, 0, WHY[FINE])
