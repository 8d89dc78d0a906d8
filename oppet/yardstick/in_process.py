"""A control unit that answers at once and a receipt path that keeps nothing: for replay and benchmarks, not for shops.

What a till costs by itself is measured with nothing else in the way. The unit keeps what a real one keeps: the same
receipt gives the same code and counts once, another receipt under a used number is refused (R23). Its codes have the
shape of the real ones and are worth nothing, as its name says.
"""

from __future__ import annotations

from base64 import b32encode
from hashlib import sha512
from typing import Final

from oppet.fiscal.unit import CODED_TYPES, UnitCode, UnitRefused, UnitRequest, UnitSilent, UnitStatus
from oppet.paper.paths import PathKind, PathState
from oppet.paper.sheet import Paper

__all__ = ["InstantUnit", "NoPaper"]

STORAGE: Final = "ok"


class InstantUnit:
    """A `fiscal.unit.ControlUnit` in this process: registers each receipt once and counts what it registered."""

    repeat_keeps_serial: bool = False

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.receipts = 0
        self.total_ore = 0
        self.negative_ore = 0
        self._last: dict[str, UnitRequest] = {}  # the last receipt of each type: numbers only go up
        self._status = UnitStatus(unit, True, "ok", STORAGE, "")

    def probe(self, register: str, org_no: str) -> UnitStatus:  # noqa: ARG002 - the port's words
        return self._status

    def register(self, request: UnitRequest) -> UnitCode | UnitRefused | UnitSilent:
        last = self._last.get(request.receipt_type)
        if last is not None and request.receipt_id <= last.receipt_id:
            if _said(request) != _said(last):
                return UnitRefused(self.unit, "sequence", f"{request.receipt_type} {request.receipt_id}")
        else:
            self._last[request.receipt_type] = request
            self.receipts += 1
            self.total_ore += request.total_ore
            self.negative_ore += request.negative_ore
        return UnitCode(self.unit, self._code(request), STORAGE)

    def close(self) -> None:
        """Nothing is open."""

    def _code(self, request: UnitRequest) -> str:
        """A code in the shape of the real ones: 32 base-32 characters, a semicolon and 26 more; none for training."""
        if request.receipt_type not in CODED_TYPES:
            return ""
        text = b32encode(sha512(f"{self.unit}{_said(request)}".encode()).digest()[:40]).decode()
        return f"{text[:32]};{text[32:58]}"


def _said(request: UnitRequest) -> tuple[object, ...]:
    """What makes a repeat the same receipt: everything but our message number."""
    return (
        request.receipt_type,
        request.receipt_id,
        request.minute,
        request.org_no,
        request.register,
        request.total_ore,
        request.negative_ore,
        request.vat,
    )


class NoPaper:
    """A `fiscal.paths.ReceiptPath` that is always ready: the sheet is made in full and then let go."""

    name: str = "nowhere"
    kind: PathKind = "paper"

    def __init__(self) -> None:
        self.sheets = 0
        self.openings = 0

    def ready(self) -> PathState:
        return READY

    def print(self, paper: Paper) -> None:  # noqa: ARG002 - the port's word; kept nowhere
        self.sheets += 1

    def open_drawer(self) -> None:
        self.openings += 1


READY: Final = PathState(True)
