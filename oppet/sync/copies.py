"""How many machines have the last sale, and what may be wiped: reckoned from acknowledgements alone.

A copy counts for the receipt when a keeper in the store has it (design §2: HQ does not count). *Kept* means HQ, or two
keepers of which one stands outside the store. Keeps K14 (a copy is a signed acknowledgement, nothing less) and K15
(nothing unkept is wiped: R06).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from oppet.sync.errors import UnkeptError

__all__ = ["BUDGET_MS", "Holding", "copies_of", "kept_up_to", "may_wipe"]

BUDGET_MS = 80  # over all in-store keepers, asked in parallel


class Holding(msgspec.Struct, frozen=True):
    """One keeper's last signed word on our history."""

    keeper: str
    place: str  # store | till | hq
    seq: int


def copies_of(seq: int, holdings: Iterable[Holding]) -> tuple[int, int]:
    """How many keepers (in the store, outside it) have entry `seq`."""
    having = [holding for holding in holdings if holding.seq >= seq]
    outside = sum(holding.place == "hq" for holding in having)
    return len(having) - outside, outside


def kept_up_to(holdings: Iterable[Holding]) -> int:
    """The last entry that is kept: at HQ. (A second keeper outside the store does not exist yet.)"""
    return max((holding.seq for holding in holdings if holding.place == "hq"), default=0)


def may_wipe(till: str, epoch: int, head: int, holdings: Iterable[Holding]) -> None:
    """Raises UnkeptError naming what only this disk has (law 9 of the design, R06)."""
    kept = kept_up_to(holdings)
    if kept < head:
        raise UnkeptError(till=till, epoch=epoch, first=kept + 1, last=head)
