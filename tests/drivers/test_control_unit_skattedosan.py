"""Skattedosan against a line that is noisy, flooded, swapped or not there (R23)."""

from __future__ import annotations

import os
import threading
import time
import tty
from binascii import crc_hqx
from typing import TYPE_CHECKING

import pytest

from oppet.drivers.control_unit_skattedosan import SkattedosanUnit
from oppet.fiscal.unit import UnitCode, UnitRefused, UnitSilent
from tests.simulators.running import ORG_NO, a_request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def framed(words: str) -> bytes:
    message = f"{words} ".encode()
    return message + b"0x%04X\r" % crc_hqx(message, 0)


VERSION = framed("0 Skattedosan SIM 1.0 2026 UNIT")


class Line:
    """A pseudo-terminal whose other end answers every command from a list, then as the last of the list."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.device = os.ttyname(self.slave)
        self.heard: list[bytes] = []
        self.version: bytes = VERSION
        self.answers: list[bytes] = []
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        data = b""
        while True:
            data += os.read(self.master, 4096)
            while b"\r\n" in data:
                command, _, data = data.partition(b"\r\n")
                if command == b"stop":
                    return
                self.heard.append(command)
                if command.startswith(b"ver"):
                    os.write(self.master, self.version)
                elif self.answers:
                    os.write(self.master, self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])

    def commands(self) -> list[str]:
        return [command[:3].decode() for command in self.heard]

    def close(self) -> None:
        os.write(self.slave, b"\r\nstop\r\n")
        self.thread.join(timeout=10)
        os.close(self.slave)
        os.close(self.master)


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.close()


@pytest.fixture
def unit(line: Line) -> Iterator[SkattedosanUnit]:
    made = SkattedosanUnit("UNIT", line.device, answer_timeout_s=0.3)
    yield made
    made.close()


def test_r23_the_line_is_brought_into_step_once_and_then_left_alone(line: Line, unit: SkattedosanUnit) -> None:
    line.answers = [framed(f"0 CODE{number}") for number in range(1, 4)]
    assert [unit.register(a_request(number)) for number in (1, 2, 3)] == [
        UnitCode("UNIT", f"CODE{number}", "ok") for number in (1, 2, 3)
    ]
    assert line.commands() == ["ver", "kd ", "kd ", "kd "]


def test_r23_an_answer_left_by_the_last_process_is_thrown_away(line: Line, unit: SkattedosanUnit) -> None:
    os.write(line.master, framed("0 LEFTOVER") + b"half a li")
    line.answers = [framed("0 CODE")]
    assert unit.register(a_request(1)) == UnitCode("UNIT", "CODE", "ok")


@pytest.mark.parametrize("code", [-1, -2])
def test_r23_a_command_that_was_not_heard_is_said_once_more(line: Line, unit: SkattedosanUnit, code: int) -> None:
    line.answers = [framed(str(code)), framed("0 CODE")]
    assert unit.register(a_request(1)) == UnitCode("UNIT", "CODE", "ok")
    first, again = line.heard[1:]
    assert first == again
    line.answers = [framed(str(code))]
    said = unit.register(a_request(2))
    assert isinstance(said, UnitRefused)
    assert said.reason == "protocol"
    assert len(line.heard) == 5


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        *((code, "protocol") for code in (1, 22, -3)),
        *((code, "invalid") for code in (2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 21)),
        (4, "register"),
        (5, "sequence"),
        (24, "full"),
    ],
)
def test_r23_a_refusal_has_our_word(line: Line, unit: SkattedosanUnit, code: int, reason: str) -> None:
    line.answers = [framed(str(code))]
    said = unit.register(a_request(1))
    assert isinstance(said, UnitRefused)
    assert said.reason == reason


@pytest.mark.parametrize("code", [14, 15, 16, 17, 18, 19, 20, 23, 25, 99])
def test_r23_a_failure_inside_the_unit_may_follow_a_registration(line: Line, unit: SkattedosanUnit, code: int) -> None:
    line.answers = [framed(str(code))]
    assert isinstance(unit.register(a_request(1)), UnitSilent)


def test_r23_a_full_unit_is_not_ready_again(line: Line, unit: SkattedosanUnit) -> None:
    assert unit.probe("K3", ORG_NO).ready
    line.answers = [framed("24")]
    unit.register(a_request(1))
    status = unit.probe("K3", ORG_NO)
    assert (status.ready, status.storage) == (False, "full")


@pytest.mark.parametrize(
    "answer",
    [b"", b"\r", b"\x00\xff\r", b"0 CODE\r", b"0 CODE 0x0000\r", framed("0 CODE")[:-1], framed("0"), framed("0 A B"),
     framed("0 A\x1b@"), b"A" * 3000, framed("0 " + "A" * 129)],
)  # fmt: skip
def test_r23_anything_else_is_silence_and_the_line_recovers(line: Line, unit: SkattedosanUnit, answer: bytes) -> None:
    line.answers = [answer, framed("0 CODE")]
    started = time.monotonic()
    said = unit.register(a_request(1))
    assert isinstance(said, UnitSilent)
    assert said.raw.isprintable()
    assert time.monotonic() - started < 1
    assert unit.register(a_request(1)) == UnitCode("UNIT", "CODE", "ok")


def test_r23_an_answer_after_the_answer_is_thrown_away(line: Line, unit: SkattedosanUnit) -> None:
    line.answers = [framed("0 FIRST") + framed("0 UNASKED"), framed("0 SECOND")]
    assert unit.register(a_request(1)) == UnitCode("UNIT", "FIRST", "ok")
    assert unit.register(a_request(2)) == UnitCode("UNIT", "SECOND", "ok")


def test_r23_a_unit_swapped_while_the_till_runs_is_noticed_by_the_probe(line: Line, unit: SkattedosanUnit) -> None:
    line.answers = [framed("0 CODE")]
    assert unit.probe("K3", ORG_NO).ready
    line.version = framed("0 Skattedosan SIM 1.0 2026 STRANGER")
    status = unit.probe("K3", ORG_NO)
    assert (status.ready, status.main) == (False, "wrong_unit")
    said = unit.register(a_request(1))
    assert isinstance(said, UnitRefused)
    assert said.reason == "wrong_unit"
    assert "kd " not in line.commands()


@pytest.mark.parametrize(
    "version", [b"", b"\r", framed("0"), framed("0 A B C D"), b"A" * 3000, framed("15"), framed("-3")]
)
def test_r23_without_a_version_nothing_of_a_receipt_is_sent(line: Line, unit: SkattedosanUnit, version: bytes) -> None:
    line.version = version
    assert not unit.probe("K3", ORG_NO).ready
    assert isinstance(unit.register(a_request(1)), UnitRefused)
    assert "kd " not in line.commands()


def test_r23_a_device_that_is_missing_or_no_line_is_unreachable(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no line")
    for device in (str(tmp_path / "missing"), str(plain), str(tmp_path), "", "/dev/null"):
        unit = SkattedosanUnit("UNIT", device, answer_timeout_s=0.1)
        said = unit.register(a_request(1))
        assert isinstance(said, UnitRefused), device
        assert said.reason == "unreachable"
        assert not unit.probe("K3", ORG_NO).ready
        unit.close()


def test_r23_two_tills_cannot_share_a_line(line: Line, unit: SkattedosanUnit) -> None:
    assert unit.probe("K3", ORG_NO).ready
    second = SkattedosanUnit("UNIT", line.device, answer_timeout_s=0.1)
    assert not second.probe("K3", ORG_NO).ready
    assert unit.probe("K3", ORG_NO).ready
