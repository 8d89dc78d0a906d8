"""The control unit: one receipt, one code, from one unit, or an honest "we do not know".

A registration is a small state machine over an ordered list of units. The till writes the intent to the journal
before every send and the answer after it; this file only says what comes next, so that a crash at any point is just
one more event. It leaves frames and XML to `frames.py`, wires to `drivers/`, and waiting on a busy unit to the driver.
Keeps R23: never registered twice, never a code that was not given for that receipt.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from enum import StrEnum, unique
from typing import TYPE_CHECKING, Protocol

import msgspec

from oppet.journal.kinds import UnitRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CODED_TYPES",
    "NEXT",
    "ControlUnit",
    "Done",
    "Event",
    "GiveUp",
    "GivenCodes",
    "Interrupted",
    "ReceiptType",
    "Registration",
    "Send",
    "State",
    "UnitAnswer",
    "UnitCode",
    "UnitRefused",
    "UnitRequest",
    "UnitSilent",
    "UnitStatus",
    "begin",
    "event_of",
    "next_action",
    "step",
]


@unique
class ReceiptType(StrEnum):
    """What a unit is told about; only NORMAL and COPY are given a code."""

    NORMAL = "normal"
    COPY = "kopia"
    TRAINING = "ovning"
    PRO_FORMA = "profo"


CODED_TYPES = frozenset({ReceiptType.NORMAL, ReceiptType.COPY})


class UnitCode(msgspec.Struct, frozen=True, tag="code"):
    """Registered. The code is empty for training and pro forma, which are registered without one."""

    unit: str
    code: str
    storage: str  # "ok", "high" or "full"


class UnitRefused(msgspec.Struct, frozen=True, tag="refused"):
    """An explicit no, or no byte sent: certainly not registered by this attempt, so the other unit may be asked."""

    unit: str
    reason: str  # our word: busy, full, invalid, not_operational, licence, sequence, unreachable, protocol, …
    raw: str


class UnitSilent(msgspec.Struct, frozen=True, tag="silent"):
    """A byte may have left and nothing believable came back: it may or may not be registered."""

    unit: str
    raw: str


class UnitStatus(msgspec.Struct, frozen=True):
    """What a probe saw. A dead unit is a status too: ready is False."""

    unit: str
    ready: bool
    main: str
    storage: str
    raw: str


UnitAnswer = UnitCode | UnitRefused | UnitSilent


class ControlUnit(Protocol):
    """The port. A driver never raises for a dead unit, and never answers UnitCode for another unit or receipt."""

    unit: str  # the manufacturing number configured
    repeat_keeps_serial: bool  # a repeat after silence: same serial (Skattedosan) or a new one (XCCSP)

    def probe(self, register: str, org_no: str) -> UnitStatus: ...

    def register(self, request: UnitRequest) -> UnitCode | UnitRefused | UnitSilent: ...

    def close(self) -> None: ...


class Interrupted(msgspec.Struct, frozen=True, tag="interrupted"):
    """After a restart: an intent is on disk and its result is not. It may have been sent, so it counts as silence."""

    unit: str


@unique
class State(StrEnum):
    """Where one receipt's registration stands."""

    ASKING = "asking"  # first attempt at the current unit
    REPEATING = "repeating"  # silence once: the same receipt id, once more, at the same unit
    CODED = "coded"
    NO_UNIT = "no_unit"  # every unit said no explicitly: nothing is registered anywhere
    CODE_UNKNOWN = "code_unknown"  # may be registered: no receipt, a case is opened, the unit is closed


@unique
class Event(StrEnum):
    """What one attempt came to."""

    CODE = "code"
    REFUSED = "refused"  # and another unit is left to ask
    REFUSED_LAST = "refused_last"  # and no other unit is left
    SILENT = "silent"
    INTERRUPTED = "interrupted"


# R23. A refusal of the repeat says nothing about the first attempt, so it never opens the way to another unit.
NEXT: dict[tuple[State, Event], State] = {
    (State.ASKING, Event.CODE): State.CODED,
    (State.ASKING, Event.REFUSED): State.ASKING,
    (State.ASKING, Event.REFUSED_LAST): State.NO_UNIT,
    (State.ASKING, Event.SILENT): State.REPEATING,
    (State.ASKING, Event.INTERRUPTED): State.REPEATING,
    (State.REPEATING, Event.CODE): State.CODED,
    (State.REPEATING, Event.REFUSED): State.CODE_UNKNOWN,
    (State.REPEATING, Event.REFUSED_LAST): State.CODE_UNKNOWN,
    (State.REPEATING, Event.SILENT): State.CODE_UNKNOWN,
    (State.REPEATING, Event.INTERRUPTED): State.CODE_UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Registration:
    """One receipt's way through the configured units, in order."""

    units: tuple[str, ...]
    index: int
    state: State
    answer: UnitCode | None = None

    @property
    def unit(self) -> str:
        """The unit being asked, or the one that settled the matter."""
        return self.units[self.index]


@dataclass(frozen=True, slots=True)
class Send:
    """Journal the intent, then send. Attempt 2 repeats attempt 1 with the same receipt id."""

    unit: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Done:
    """Journal the code, then print."""

    code: UnitCode


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No normal receipt. NO_UNIT: reverse the tender. CODE_UNKNOWN: open a case and close this unit."""

    kind: State
    unit: str


def begin(units: Sequence[str]) -> Registration:
    """Start one receipt's registration; the caller has probed, and lists ready units in the order to ask."""
    assert len(set(units)) == len(units), "a unit asked twice could register twice"
    if not units:
        return Registration(("",), 0, State.NO_UNIT)
    return Registration(tuple(units), 0, State.ASKING)


def step(registration: Registration, answer: UnitAnswer | Interrupted) -> Registration:
    """What one attempt's answer, or a restart without one, does to the registration."""
    assert answer.unit == registration.unit, "an answer from a unit that was not asked"
    event = event_of(registration, answer)
    assert (registration.state, event) in NEXT, f"{event} cannot happen in {registration.state}"
    state = NEXT[registration.state, event]
    if event is Event.REFUSED and state is State.ASKING:
        return replace(registration, index=registration.index + 1)
    return replace(registration, state=state, answer=answer if isinstance(answer, UnitCode) else None)


def event_of(registration: Registration, answer: UnitAnswer | Interrupted) -> Event:
    """The answer's word in the table."""
    match answer:
        case UnitCode():
            return Event.CODE
        case UnitRefused():
            last = registration.index + 1 == len(registration.units)
            return Event.REFUSED_LAST if last else Event.REFUSED
        case UnitSilent():
            return Event.SILENT
        case Interrupted():
            return Event.INTERRUPTED


def next_action(registration: Registration) -> Send | Done | GiveUp:
    """What the till does now."""
    match registration.state:
        case State.ASKING:
            return Send(registration.unit, 1)
        case State.REPEATING:
            return Send(registration.unit, 2)
        case State.CODED:
            assert registration.answer is not None
            return Done(registration.answer)
        case State.NO_UNIT | State.CODE_UNKNOWN:
            return GiveUp(registration.state, registration.unit)


class GivenCodes:
    """The last codes one unit gave, so that an answer meant for another receipt is recognised (R23).

    Answers carry no receipt number. A late one is a code that was already given, or is kept off by the driver's
    fresh connection; this is the second lock, bounded so that a year of sales does not grow it.
    """

    __slots__ = ("_bound", "_codes")

    def __init__(self, bound: int = 4096) -> None:
        self._bound = bound
        self._codes: OrderedDict[str, tuple[str, int, str]] = OrderedDict()

    def belongs(self, code: str, request: UnitRequest) -> bool:
        """Remember a code for its receipt; False when it was given for another."""
        receipt = (request.register, request.receipt_id, request.receipt_type)
        if self._codes.setdefault(code, receipt) != receipt:
            return False
        if len(self._codes) > self._bound:
            self._codes.popitem(last=False)
        return True
