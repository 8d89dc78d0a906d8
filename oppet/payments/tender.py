"""A tender that somebody outside decides: asked, and then paid or not paid by evidence, never by a guess.

`NEXT` is the whole state machine. The till journals `TenderSent` before every exchange with the outside and `TenderHeard` after;
an `Attempt` is the fold of those, so a restart is a replay. Keeps law 3 of the design and PT1–PT6: `unknown` is left only by a
status query for the same request (R12), nothing is ever asked again under a new reference while one is open, and what was approved
without being wanted is reversed. What is sent next, and when, is `steps.py`'s; how it is said on the wire is `nexo.py`'s and
`swish.py`'s.
"""

from __future__ import annotations

import msgspec

from oppet.journal.kinds import Evidence, TenderHeard, TenderSent, TenderTaken

__all__ = [
    "ABORT", "ABORTING", "APPROVED", "ASKED", "AT_RISK", "CLOSED", "DECLINED", "IN_PROGRESS", "LOST", "NEXT", "NOT_FOUND", "NOT_NOW",
    "PARTIAL", "PAYMENT", "PENDING", "REFUND", "REVERSAL", "REVERSAL_FAILED", "REVERSAL_UNKNOWN", "REVERSED", "REVERSING", "SETTLED",
    "SILENT", "STATUS", "UNKNOWN", "Attempt", "advance", "moved", "outcome_fits",
]  # fmt: skip

# What an exchange is about.
PAYMENT, REFUND, ABORT, STATUS, REVERSAL = "payment", "refund", "abort", "status", "reversal"

# Where an attempt stands.
ASKED, ABORTING, UNKNOWN = "asked", "aborting", "unknown"
APPROVED, PARTIAL, DECLINED, AT_RISK = "approved", "partial", "declined", "accepted_at_risk"
REVERSING, REVERSAL_UNKNOWN, REVERSED, REVERSAL_FAILED = "reversing", "reversal_unknown", "reversed", "reversal_failed"
SETTLED, LOST = "settled", "lost"  # of what was accepted at risk: head office's word, from the settlement file

PENDING = frozenset({ASKED, ABORTING, UNKNOWN})  # nobody knows yet whether money moved
CLOSED = frozenset({DECLINED, REVERSED, REVERSAL_FAILED, SETTLED, LOST})  # nothing more will be asked about it

# What an exchange came to, as the driver read it.
SILENT, IN_PROGRESS, NOT_FOUND, NOT_NOW = "silent", "in_progress", "not_found", "not_now"
# `not_found` is only ever said when it is conclusive (reference card-terminal §7): the driver says `in_progress` until then.
# `not_now`: refused without being processed (terminal busy, host away), so a reversal may be asked for again later.

# The table: (state, exchange, outcome) → state. Anything else is unusable and changes nothing.
NEXT: dict[tuple[str, str, str], str] = {
    (ASKED, PAYMENT, APPROVED): APPROVED,
    (ASKED, PAYMENT, PARTIAL): PARTIAL,
    (ASKED, PAYMENT, DECLINED): DECLINED,
    (ASKED, PAYMENT, NOT_NOW): DECLINED,
    (ASKED, PAYMENT, AT_RISK): AT_RISK,
    (ASKED, PAYMENT, SILENT): UNKNOWN,
    (ABORTING, PAYMENT, APPROVED): APPROVED,  # the abort lost the race
    (ABORTING, PAYMENT, PARTIAL): PARTIAL,
    (ABORTING, PAYMENT, DECLINED): DECLINED,
    (ABORTING, PAYMENT, NOT_NOW): DECLINED,
    (ABORTING, PAYMENT, AT_RISK): AT_RISK,
    (ABORTING, PAYMENT, SILENT): UNKNOWN,
    # an answer to the abort itself proves nothing: the payment's own answer does, or a status query
    (ABORTING, ABORT, SILENT): ABORTING,
    (ABORTING, ABORT, NOT_NOW): ABORTING,
    (ABORTING, ABORT, DECLINED): ABORTING,
    (ABORTING, ABORT, APPROVED): ABORTING,
    (UNKNOWN, STATUS, APPROVED): APPROVED,
    (UNKNOWN, STATUS, PARTIAL): PARTIAL,
    (UNKNOWN, STATUS, DECLINED): DECLINED,
    (UNKNOWN, STATUS, AT_RISK): AT_RISK,
    (UNKNOWN, STATUS, NOT_FOUND): DECLINED,
    (UNKNOWN, STATUS, IN_PROGRESS): UNKNOWN,
    (UNKNOWN, STATUS, NOT_NOW): UNKNOWN,
    (UNKNOWN, STATUS, SILENT): UNKNOWN,
    (REVERSING, REVERSAL, REVERSED): REVERSED,
    (REVERSING, REVERSAL, DECLINED): REVERSAL_FAILED,
    (REVERSING, REVERSAL, NOT_NOW): APPROVED,  # not processed: asked for again later
    (REVERSING, REVERSAL, SILENT): REVERSAL_UNKNOWN,
    (REVERSAL_UNKNOWN, STATUS, REVERSED): REVERSED,
    (REVERSAL_UNKNOWN, STATUS, DECLINED): REVERSAL_FAILED,
    (REVERSAL_UNKNOWN, STATUS, NOT_FOUND): APPROVED,  # it never arrived: asked for again
    (REVERSAL_UNKNOWN, STATUS, IN_PROGRESS): REVERSAL_UNKNOWN,
    (REVERSAL_UNKNOWN, STATUS, NOT_NOW): REVERSAL_UNKNOWN,
    (REVERSAL_UNKNOWN, STATUS, SILENT): REVERSAL_UNKNOWN,
    # head office, from the acquirer's settlement file or the Swish report
    (AT_RISK, "settlement", SETTLED): SETTLED,
    (AT_RISK, "settlement", LOST): LOST,
}
# the very same request again, where the protocol defines that as one (Swish PUT): its answer is the first one's
NEXT |= {(UNKNOWN, PAYMENT, outcome): outcome for outcome in (APPROVED, PARTIAL, DECLINED, AT_RISK)}
NEXT |= {(UNKNOWN, PAYMENT, outcome): UNKNOWN for outcome in (SILENT, NOT_NOW)}
NEXT |= {(REVERSAL_UNKNOWN, REVERSAL, REVERSED): REVERSED, (REVERSAL_UNKNOWN, REVERSAL, DECLINED): REVERSAL_FAILED}
NEXT |= {(REVERSAL_UNKNOWN, REVERSAL, outcome): REVERSAL_UNKNOWN for outcome in (SILENT, NOT_NOW)}
# A refund is asked for like a payment and goes the other way; nobody reverses it.
NEXT |= {(state, REFUND, outcome): after for (state, what, outcome), after in list(NEXT.items()) if what == PAYMENT}

_SENT: dict[tuple[str, str], str] = {
    (ASKED, ABORT): ABORTING,
    (ASKED, PAYMENT): ASKED,
    (UNKNOWN, PAYMENT): UNKNOWN,  # the very same request again (Swish PUT)
    (UNKNOWN, REFUND): UNKNOWN,
    (UNKNOWN, STATUS): UNKNOWN,
    (UNKNOWN, ABORT): UNKNOWN,
    (ABORTING, ABORT): ABORTING,
    (APPROVED, REVERSAL): REVERSING,
    (PARTIAL, REVERSAL): REVERSING,
    (AT_RISK, REVERSAL): REVERSING,
    (REVERSAL_UNKNOWN, STATUS): REVERSAL_UNKNOWN,
    (REVERSAL_UNKNOWN, REVERSAL): REVERSAL_UNKNOWN,  # the very same request again (Swish refund PUT)
}


class Attempt(msgspec.Struct):
    """One tender asked of the outside, as its entries tell it."""

    sale: int
    tender: int
    means: str
    path: str
    amount_ore: int
    request: str  # of the payment or refund
    time: str  # when it was asked, UTC
    moving: str = ""  # when what may move money last went out, UTC: before so long after it, "not found" proves nothing
    back: bool = False  # money to the customer
    offline: bool = False
    state: str = ASKED
    why: str = ""
    evidence: Evidence | None = None
    approved_ore: int = 0
    risky: bool = False  # accepted with nobody's word behind it but the terminal's or the customer's
    taken: bool = False  # the sale counts it as paid
    returning: bool = False  # the customer, or a failed registration, wants it back: to be reversed
    aborted: bool = False  # the cashier has asked to stop it
    reversal: str = ""  # the request of the reversal, once there is one
    queries: int = 0  # status queries and reversals sent since it was decided or last became unknown
    live: str = ""  # the request of the exchange that has been sent and not heard of, "" for none
    live_what: str = ""
    case: bool = False  # a supervisor has set it aside: head office settles it, and its path takes the next one

    @property
    def key(self) -> tuple[int, int]:
        return self.sale, self.tender

    @property
    def pending(self) -> bool:
        return self.state in PENDING

    @property
    def held(self) -> bool:
        """Whether money has moved to us, as far as anybody knows, and has not moved back."""
        return self.state in {APPROVED, PARTIAL, AT_RISK}

    @property
    def unwanted(self) -> bool:
        """Money that moved and that no sale counts: to be reversed."""
        return self.held and (not self.taken or self.returning)

    @property
    def over(self) -> bool:
        """Nothing more to send or wait for: it may be forgotten once its sale is. Money that went back stays there."""
        return self.state in CLOSED or (self.held and (self.back or (self.taken and not self.returning)))


def advance(attempt: Attempt | None, time: str, body: TenderSent | TenderHeard | TenderTaken) -> Attempt | None:
    """Fold one entry into the attempt it is about; None where there is none to fold it into (a tender of cash)."""
    if isinstance(body, TenderSent):
        return _sent(attempt, time, body)
    if attempt is None:
        return None
    if isinstance(body, TenderTaken):
        attempt.taken = True
        return attempt
    return _heard(attempt, body)


def _sent(attempt: Attempt | None, time: str, body: TenderSent) -> Attempt:
    if attempt is None:
        back = body.what == REFUND
        return Attempt(
            body.sale, body.tender, body.means, body.path, body.amount_ore, body.request, time, time,
            back=back, offline=body.offline, evidence=body.original, live=body.request, live_what=body.what,
        )  # fmt: skip
    attempt.state = _SENT.get((attempt.state, body.what), attempt.state)
    if body.what in (STATUS, REVERSAL):
        attempt.queries += 1
    if body.what in (PAYMENT, REFUND, REVERSAL):
        attempt.moving = time
    if body.what == REVERSAL:
        attempt.reversal = body.request
    elif body.what == ABORT:
        attempt.aborted = True
    if body.what != ABORT:  # an abort runs beside the exchange that it is about
        attempt.live, attempt.live_what = body.request, body.what
    return attempt


def moved(state: str, what: str, outcome: str = "") -> str:
    """Where a tender stands after an exchange went out (no outcome) or came to this; where it stood if the table knows no such move."""
    return NEXT.get((state, what, outcome), state) if outcome else _SENT.get((state, what), state)


def outcome_fits(attempt: Attempt, what: str, outcome: str) -> bool:
    """Whether the table knows this outcome for where the attempt stands; what does not fit is dropped, never believed."""
    return (attempt.state, what, outcome) in NEXT


def _heard(attempt: Attempt, body: TenderHeard) -> Attempt:
    before = attempt.state
    attempt.state = NEXT.get((before, body.what, body.outcome), before)
    if body.what != ABORT:
        attempt.live = attempt.live_what = ""
    attempt.why = body.why
    if (
        attempt.state != before and before in PENDING
    ):  # a reversal that is refused for now is asked for ever more slowly too
        attempt.queries = 0
    if body.outcome in {APPROVED, PARTIAL, AT_RISK} and before in PENDING:
        attempt.approved_ore, attempt.risky = body.amount_ore, body.outcome == AT_RISK
        attempt.evidence = body.evidence
    return attempt
