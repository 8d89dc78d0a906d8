"""A control unit on a serial line: Skattedosan, 57600 8N1.

The line has no connection to hang up, so a late answer would be read as the next one's. After every doubt, and when the
port is opened, the line is therefore emptied and brought into step by `ver`, which also names the unit.
What an answer means for the receipt is `fiscal/unit.py`. Not for two threads at once.
Keeps R23: refused only when nothing was sent or the unit said an explicit no; anything else after a byte is silence.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import serial

from oppet.base.errors import clip
from oppet.fiscal.frames import (
    LONGEST_LINE,
    FrameError,
    SerialAnswer,
    is_code,
    skattedosan_answer,
    skattedosan_command,
    skattedosan_receipt,
)
from oppet.fiscal.unit import CODED_TYPES, GivenCodes, UnitCode, UnitRefused, UnitSilent, UnitStatus

if TYPE_CHECKING:
    from oppet.fiscal.unit import UnitAnswer, UnitRequest

__all__ = ["SkattedosanUnit"]

LONGEST_RAW = 300
TICK_S = 0.05  # how late a deadline may be noticed
UNIT_WORD = 4  # where the answer to `ver` names the unit
UNHEARD = {-1, -2}  # wrong length, wrong CRC: noise on the line, and nothing was registered
# Only the codes that say the command was not taken. 15 to 20 and 23 are failures inside the unit, perhaps after it had
# registered, and what we do not know is no refusal either: silence.
REFUSALS = {
    **dict.fromkeys((-3, -2, -1, 1, 22), "protocol"),
    **dict.fromkeys((2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 21), "invalid"),
    4: "register",
    5: "sequence",
    24: "full",
}


class _NotReadyError(Exception):
    """Nothing of the receipt was sent. Carries our word for why."""

    def __init__(self, reason: str, raw: str) -> None:
        super().__init__(raw)
        self.reason = reason


class SkattedosanUnit:
    """One unit on one device path."""

    repeat_keeps_serial = True

    def __init__(self, unit: str, device: str, *, baud: int = 57_600, answer_timeout_s: float = 2.0) -> None:
        self.unit = unit
        self._device = device
        self._baud = baud
        self._answer_timeout_s = answer_timeout_s
        self._port: serial.Serial | None = None
        self._in_step = False
        self._left = b""  # read past the end of the last line
        self._storage = "ok"  # the protocol tells only when it is full
        self._given = GivenCodes()

    def close(self) -> None:
        """Let go of the port; the next question opens it again."""
        self._in_step = False
        if self._port is not None:
            self._port.close()
            self._port = None

    def probe(self, register: str, org_no: str) -> UnitStatus:  # noqa: ARG002 - a unit on a line knows one company
        """Ask the unit's name, which is all it can be asked."""
        try:
            self._get_in_step(ask=True)
        except _NotReadyError as away:
            return UnitStatus(self.unit, ready=False, main=away.reason, storage="", raw=str(away))
        return UnitStatus(self.unit, ready=self._storage != "full", main="0", storage=self._storage, raw="")

    def register(self, request: UnitRequest) -> UnitAnswer:
        """Register a receipt; a command that the unit could not hear is said once more."""
        try:
            command = skattedosan_receipt(request)
            self._get_in_step()
        except FrameError as error:
            return UnitRefused(self.unit, "invalid", clip(str(error), LONGEST_RAW))
        except _NotReadyError as away:
            return UnitRefused(self.unit, away.reason, str(away))
        try:
            said = self._ask(command)
            if said.result in UNHEARD:
                said = self._ask(command)
            return self._judge(request, said)
        except FrameError as error:
            self._in_step = False
            return UnitSilent(self.unit, clip(str(error), LONGEST_RAW))
        except OSError as error:
            self.close()
            return UnitSilent(self.unit, clip(str(error), LONGEST_RAW))

    def _judge(self, request: UnitRequest, said: SerialAnswer) -> UnitAnswer:
        raw = clip(f"{said.result} {' '.join(said.words)}", LONGEST_RAW)
        if said.result in REFUSALS:
            reason = REFUSALS[said.result]
            self._storage = "full" if reason == "full" else self._storage
            return UnitRefused(self.unit, reason, raw)
        if said.result != 0:
            return UnitSilent(self.unit, raw)
        if request.receipt_type not in CODED_TYPES:
            return UnitCode(self.unit, "", self._storage)
        if len(said.words) != 1 or not is_code(said.words[0]):
            raise FrameError(found=raw)
        if not self._given.belongs(said.words[0], request):
            self._in_step = False
            return UnitSilent(self.unit, f"another receipt's code: {raw}")
        return UnitCode(self.unit, said.words[0], self._storage)

    # ------------------------------------------------------------ the line

    def _get_in_step(self, *, ask: bool = False) -> None:
        """Have a port where the next answer is to the next question. Raises _NotReadyError: no receipt was sent."""
        try:
            if self._left or (self._port is not None and self._port.in_waiting):
                self._in_step = False  # bytes that nobody asked for
        except OSError:
            self.close()  # unplugged since
        if self._in_step and not ask:
            return
        try:
            if self._port is None:
                self._port = serial.Serial(
                    self._device, self._baud, timeout=TICK_S, write_timeout=self._answer_timeout_s, exclusive=True
                )
            for quiet in (not self._in_step, True):
                self._in_step = False
                if self._hear_version(quiet=quiet):
                    self._in_step = True
                    return
        except (OSError, ValueError) as error:
            self.close()
            raise _NotReadyError("unreachable", clip(str(error), LONGEST_RAW)) from None
        raise _NotReadyError("unreachable", "no answer to ver")

    def _hear_version(self, *, quiet: bool) -> bool:
        """Ask for the version, perhaps only once the line was quiet for a tick; pass over every other answer."""
        assert self._port is not None
        deadline = time.monotonic() + self._answer_timeout_s
        self._left = b""
        while quiet and time.monotonic() < deadline and self._port.read(self._port.in_waiting or 1):
            pass
        self._port.write(skattedosan_command("ver"))
        while (line := self._line(deadline)) is not None:
            try:
                said = skattedosan_answer(line)
            except FrameError:
                continue
            if said.result == 0 and len(said.words) > UNIT_WORD:
                if said.words[UNIT_WORD] != self.unit:
                    raise _NotReadyError("wrong_unit", clip(" ".join(said.words), LONGEST_RAW))
                return True
            if said.result > 0 and said.result not in REFUSALS:
                raise _NotReadyError("not_operational", str(said.result))
        return False

    def _ask(self, command: bytes) -> SerialAnswer:
        """Send and read one answer. Raises OSError or FrameError; a byte may have been sent."""
        assert self._port is not None
        deadline = time.monotonic() + self._answer_timeout_s
        self._port.write(command)
        line = self._line(deadline)
        if line is None:
            raise FrameError(found="no answer")
        return skattedosan_answer(line)

    def _line(self, deadline: float) -> bytes | None:
        """One line without its CR, or None when the deadline or the bound comes first."""
        assert self._port is not None
        while b"\r" not in self._left:
            if len(self._left) > LONGEST_LINE or time.monotonic() >= deadline:
                return None
            self._left += self._port.read(self._port.in_waiting or 1)
        line, _, self._left = self._left.partition(b"\r")
        return line
