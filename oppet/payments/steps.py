"""What the till sends next about a tender, and when: the timetable behind the state machine of `tender.py`.

Only queries are tried again, further and further apart and each till at its own moment, so that a service that comes back meets a
bounded, decaying number of them (the 23 December rehearsal). Keeps PT3 (queries only), PT4 (what nobody wants goes back by itself).
"""

from __future__ import annotations

import hashlib

from oppet.payments.tender import PAYMENT, REFUND, REVERSAL, REVERSAL_UNKNOWN, STATUS, UNKNOWN, Attempt

__all__ = ["MEMORY_MS", "OVERDUE_MS", "QUERY_MS", "next_exchange", "wait_ms"]

# Reference card-terminal §7: at 2, 5, 10, 20, 30 s; then on, ever more slowly, for as long as it takes.
QUERY_MS = (2_000, 3_000, 5_000, 10_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000)
OVERDUE_MS = (
    200_000  # an exchange its driver has said nothing of: longer than a terminal's 150 s and a Swish request's 190 s
)
MEMORY_MS = (
    120_000  # a terminal works on a payment for at most so long: before, "not found" proves nothing (reference §7)
)


def wait_ms(attempt: Attempt) -> int:
    """How long after the last exchange the next query goes out."""
    base = QUERY_MS[min(attempt.queries, len(QUERY_MS) - 1)]
    digest = hashlib.sha256(f"{attempt.request}/{attempt.queries}".encode()).digest()
    return base + base * digest[0] // 510  # up to half as long again, each request by its own digest


def next_exchange(attempt: Attempt, *, idempotent: bool) -> str | None:
    """The exchange that is due once `wait_ms` has passed, or None: nothing to ask, or something is under way."""
    if attempt.live:
        return None
    if attempt.state == UNKNOWN:
        never_came = attempt.why == "not_found" and not attempt.aborted
        if idempotent and never_came:
            return REFUND if attempt.back else PAYMENT  # the very same request, word for word
        return STATUS
    if attempt.state == REVERSAL_UNKNOWN:
        return REVERSAL if idempotent and attempt.why == "not_found" else STATUS
    if attempt.unwanted and not attempt.back:
        return REVERSAL
    return None
