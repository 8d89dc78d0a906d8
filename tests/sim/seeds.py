"""Seeds that once broke a law, in the shop or in the simulation itself: they are run again with every test."""

from __future__ import annotations

from oppet.sim.schedule import Size

__all__ = ["SEEDS"]

# seed, chain, and what it showed then
SEEDS: tuple[tuple[int, Size, str], ...] = (
    (105, Size(1, 2, 3_600), "a clone was shown its own branch as the other history: a claim where there was a proof"),
    (217, Size(1, 2, 3_600), "a receipt that may have been out already was put out by a later sale without saying so"),
    (219, Size(1, 2, 3_600), "two machines enrolled as one till held the same receipt for a return"),
    (117, Size(1, 2, 3_600), "a clone's last entries never reached head office because it was switched off in the end"),
    (20246, Size(1, 2, 3_600), "a till was wiped on the word of a head office whose disk lied"),
    (1, Size(1, 3, 3_600), "a thief's old acknowledgement on a branch was taken for a keeper's claim"),
)
