"""Tenders that somebody outside decides, as head office has them: entries in, one row a tender and one a path out.

A piece of a history moves a tender on from wherever it stood; pieces are put one behind the other, so the rows do not depend on how
the entries were cut into batches (R02). The table of `payments/tender.py` says where each exchange leads. Only what the views need is
read, and of a card never more than its last four digits.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from oppet.drivers.hq_rows import AskedTender, PathState, Rows, safe_text
from oppet.payments.paths import ALONE, DOWN
from oppet.payments.tender import (
    ABORTING,
    APPROVED,
    ASKED,
    AT_RISK,
    DECLINED,
    LOST,
    PARTIAL,
    REFUND,
    REVERSAL_FAILED,
    REVERSAL_UNKNOWN,
    REVERSED,
    REVERSING,
    SETTLED,
    UNKNOWN,
    moved,
)

__all__ = ["STATES", "read"]

STATES: Final = (
    ASKED, ABORTING, UNKNOWN, APPROVED, PARTIAL, DECLINED, AT_RISK, REVERSING, REVERSAL_UNKNOWN, REVERSED, REVERSAL_FAILED,
    SETTLED, LOST,
)  # fmt: skip
PAID: Final = frozenset({APPROVED, PARTIAL, AT_RISK})
LARGEST_ORE = 10**12
LAST_DIGITS = 4
Ore = Annotated[int, Meta(ge=-LARGEST_ORE, le=LARGEST_ORE)]
Small = Annotated[int, Meta(ge=0, lt=1 << 31)]
Count = Annotated[int, Meta(ge=0, lt=1 << 53)]


class _Evidence(msgspec.Struct):
    reference: str = ""
    time: str = ""
    approval: str = ""
    acquirer: str = ""
    brand: str = ""
    card: str = ""
    how: str = ""


class _Sent(msgspec.Struct):
    sale: Count
    tender: Small
    what: str
    path: str
    means: str
    amount_ore: Ore
    request: str
    offline: bool = False


class _Heard(msgspec.Struct):
    sale: Count
    tender: Small
    what: str
    outcome: str
    amount_ore: Ore = 0
    why: str = ""
    evidence: _Evidence | None = None


class _Taken(msgspec.Struct):
    sale: Count
    tender: Small
    evidence: _Evidence | None = None
    at_risk: bool = False


class _Reversed(msgspec.Struct):
    sale: Count
    tender: Small


class _Seen(msgspec.Struct):
    path: str
    means: str
    state: str
    why: str = ""
    alone: bool = False


_sent = msgspec.json.Decoder(_Sent)
_heard = msgspec.json.Decoder(_Heard)
_taken = msgspec.json.Decoder(_Taken)
_reversed = msgspec.json.Decoder(_Reversed)
_seen = msgspec.json.Decoder(_Seen)


def read(rows: Rows, kind: str, body: msgspec.Raw, seq: int, day: str, time: str) -> None:
    """Put one entry into the rows. Raises what the decoder raises, with nothing put."""
    if kind == "path_seen":
        seen = _seen.decode(body)
        name = safe_text(seen.path)
        state = ALONE if (seen.state, seen.alone) == (DOWN, True) else safe_text(seen.state)
        rows.path_state[name] = PathState(name, safe_text(seen.means), state, safe_text(seen.why), time, seq)
    elif kind == "tender_sent":
        _put(rows, _of_sent(_sent.decode(body), seq, day, time))
    elif kind == "tender_heard":
        _put(rows, _of_heard(_heard.decode(body), seq, day, time))
    elif kind == "tender_taken":
        taken = _taken.decode(body)
        if taken.evidence is not None or taken.at_risk or (taken.sale, taken.tender) in rows.asked_tender:
            _put(rows, _counted(taken.sale, taken.tender, seq, day, time, counted=True))
    else:
        back = _reversed.decode(body)
        _put(rows, _counted(back.sale, back.tender, seq, day, time, counted=False))


def _put(rows: Rows, said: AskedTender) -> None:
    begun = rows.asked_tender.setdefault((said.sale, said.tender), said)
    if begun is not said:
        begun.add(said)


def _of_sent(sent: _Sent, seq: int, day: str, time: str) -> AskedTender:
    moves = _moves(sent.what, "")
    return AskedTender(
        sent.sale, sent.tender, True, day, time, seq, safe_text(sent.means), safe_text(sent.path), safe_text(sent.request),
        sent.amount_ore, sent.what == REFUND, sent.offline, moves[ASKED], moves, time, seq,
    )  # fmt: skip


def _of_heard(heard: _Heard, seq: int, day: str, time: str) -> AskedTender:
    moves = _moves(heard.what, heard.outcome)
    said = AskedTender(
        heard.sale, heard.tender, True, day, time, seq, "", "", "", 0, False, False, moves[ASKED], moves, time, seq,
        safe_text(heard.why),
    )  # fmt: skip
    if heard.outcome in PAID and heard.what != "abort":
        said.approved_ore, said.risky = heard.amount_ore, heard.outcome == AT_RISK
        evidence = heard.evidence or _Evidence()
        said.reference, said.service_time = safe_text(evidence.reference), safe_text(evidence.time)
        said.approval, said.acquirer = safe_text(evidence.approval), safe_text(evidence.acquirer)
        said.brand, said.card = safe_text(evidence.brand), safe_text(evidence.card[-LAST_DIGITS:])
        said.how = safe_text(evidence.how)
    return said


def _counted(sale: int, tender: int, seq: int, day: str, time: str, *, counted: bool) -> AskedTender:
    return AskedTender(
        sale, tender, False, day, time, seq, "", "", "", 0, False, False, ASKED, _moves("", ""), time, seq, counted=counted
    )  # fmt: skip


@lru_cache(maxsize=512)
def _table(what: str, outcome: str) -> tuple[tuple[str, str], ...]:
    return tuple((state, moved(state, what, outcome)) for state in STATES)


def _moves(what: str, outcome: str) -> dict[str, str]:
    return dict(_table(what[:20], outcome[:20]))
