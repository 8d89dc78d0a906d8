"""Which pace counts: the newest root's only after the till has held it as long as the pace before it demands (RL5).

So nobody who gains the root's keys can make everybody a canary today: every till has rung about the new root for days by then.
Holding is counted in the till's own running time, from entries of its own journal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from oppet.base import canonical
from oppet.release.rings import MINUTE_MS, sound_pace
from oppet.release.terms import Pace

__all__ = ["Held", "counting", "pace_digest"]


@dataclass(frozen=True, slots=True)
class Held:
    """A root's pace and how long this till has held it."""

    root: int
    pace: Pace
    ms: int


def counting(first: Pace, held: Iterable[Held]) -> Pace:
    """Give the pace that counts. `first` is what the till was installed with; `held` are later roots' in any order."""
    now = first
    for one in sorted(held, key=lambda one: one.root):
        if not sound_pace(one.pace) and one.ms >= now.hold_min * MINUTE_MS:
            now = one.pace
    return now


def pace_digest(pace: Pace) -> str:
    """What names a pace in the journal."""
    return canonical.digest(canonical.encode(pace))
