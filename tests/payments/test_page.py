"""docs/payments.md shows the state machine as it is."""

from __future__ import annotations

from oppet.payments.tender import ABORT, NEXT, PAYMENT, REFUND, REVERSAL, STATUS
from tests.payments.page import keep_table

EXCHANGES = {
    "asked": PAYMENT,
    "abort": ABORT,
    "status query": STATUS,
    "reversal": REVERSAL,
    "the service's list": "settlement",
}


def test_pt1_the_page_shows_the_whole_table() -> None:
    states = list(dict.fromkeys(state for state, _, _ in NEXT))
    lines = [f"| where it stands | {' | '.join(EXCHANGES)} |", "|" + "---|" * (len(EXCHANGES) + 1)]
    shown = 0
    for state in states:
        cells = []
        for what in EXCHANGES.values():
            found = {
                outcome: after for (at, exchange, outcome), after in NEXT.items() if (at, exchange) == (state, what)
            }
            shown += len(found)
            cells.append("; ".join(f"{outcome} → *{after}*" for outcome, after in found.items()))
        lines.append(f"| **{state}** | {' | '.join(cells)} |")
    refunds = [key for key in NEXT if key[1] == REFUND]
    assert shown + len(refunds) == len(NEXT)
    assert all(NEXT[state, REFUND, outcome] == NEXT[state, PAYMENT, outcome] for state, _, outcome in refunds)
    lines.append("")
    lines.append("A refund goes through the column *asked* like a payment, the other way, and is never reversed.")
    keep_table("states", "\n".join(lines))
