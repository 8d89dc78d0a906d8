"""The ways money can come: what the register needs of a card terminal, of Swish, of anything that is asked over a wire.

A path is asked with `send` and tells later by `heard`; neither waits and neither raises, so no till ever queues on a slow acquirer.
`drivers/` does them, tests and the rehearsal fake them. A path never answers `approved` without proof: the right peer, the right
request, the right amount and currency; all else is `silent` (PT5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from oppet.journal.kinds import Evidence

__all__ = [
    "ALONE",
    "DOWN",
    "SLOW",
    "UNSEEN",
    "WORKING",
    "Answer",
    "PathNow",
    "PathWarning",
    "PayPath",
    "Progress",
    "Rings",
    "Slip",
    "Slips",
    "Warns",
    "Work",
]

WORKING, SLOW, DOWN, UNSEEN = "working", "slow", "down", "unknown"
ALONE = "alone"  # on a board: down, and its terminal may still approve by itself


class Work(msgspec.Struct, frozen=True):
    """One exchange to have. The register has it on disk before the path sees it."""

    what: str  # tender.py: payment, refund, abort, status, reversal
    sale: int
    tender: int
    request: str  # our reference for this exchange
    amount_ore: int
    asked: int  # when the payment it is about was asked for, ms UTC
    about: str = ""  # the request that a status query, abort or reversal is about
    reverses: bool = False  # a status query about a reversal
    back: bool = False  # money to the customer: a refund, or a query about one
    original: Evidence | None = None  # what is reversed, refunded or asked about
    offline: bool = False
    repeat: bool = False
    witness: str = (
        ""  # an earlier request of ours that this path answered: a terminal that still knows it has forgotten nothing
    )
    counted: bool = False  # of a reversal: the sale counts the payment, and a person takes it back
    account: str = ""  # whose money it is: a gift card's token


class Answer(msgspec.Struct, frozen=True):
    """What one exchange came to: `outcome` is one of tender.py's table."""

    sale: int
    tender: int
    what: str
    request: str
    outcome: str
    amount_ore: int = 0
    why: str = ""
    evidence: Evidence | None = None


class Progress(msgspec.Struct, frozen=True):
    """What the page shows meanwhile. Never a reason to book anything."""

    stage: str  # sending | present_card | pin | online | scan_qr | waiting | asking | reversing
    qr: str = ""  # what the customer's phone is to read
    since: int = 0  # ms UTC


class PathNow(msgspec.Struct, frozen=True):
    """How a path stands, by its own probes and its last outcomes."""

    state: str  # working | slow | down | unknown
    why: str = ""
    offline: bool = False  # it can approve with no line to the outside


@runtime_checkable
class Rings(Protocol):
    """A path that says when there is something to hear: whoever ticks sets `bell`, and waits no longer than it must."""

    bell: Callable[[], None]


class Slip(msgspec.Struct, frozen=True):
    """A receipt of the terminal's own: what the customer or the shop is to have on paper."""

    whose: str  # CustomerReceipt, CashierReceipt …
    signature: bool
    lines: tuple[tuple[str, str], ...]  # left and right


@runtime_checkable
class Slips(Protocol):
    """A path whose terminal makes receipts of its own, beside ours."""

    def slips(self, request: str) -> Sequence[Slip]:
        """Those of a payment, while they are remembered."""
        ...


class PathWarning(msgspec.Struct, frozen=True):
    """Something that a bad cable does not explain: journalled as AlarmRaised."""

    about: str  # terminal_card_data | terminal_forged | terminal_certificate
    path: str
    why: str


@runtime_checkable
class Warns(Protocol):
    """A path that may have seen what a person must know of. Bounded, and the same thing once an hour."""

    def warnings(self) -> Sequence[PathWarning]:
        """What was seen since last asked."""
        ...


class PayPath(Protocol):
    name: str  # as in the settings: "card-1", "swish"
    means: str  # payments/means.py
    idempotent: bool  # its protocol defines the same request twice as one (Swish PUT)
    exclusive: bool  # one payment at a time: a terminal
    by_hand: bool  # no wire: the cashier's word, within the risk budget (a stand-alone Swish)

    def name_request(self, till: str, epoch: int, number: int) -> str:
        """Our reference for an exchange; a function of its arguments, and never the same for two."""
        ...

    def send(self, work: Work) -> None: ...

    def heard(self) -> Sequence[Answer]:
        """What was answered since last asked."""
        ...

    def progress(self, request: str) -> Progress | None: ...

    def now(self) -> PathNow: ...
