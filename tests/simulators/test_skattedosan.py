"""The simulated Skattedosan says no with every code its protocol has (R23)."""

from __future__ import annotations

import binascii
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.simulators.conftest import Start
    from tests.simulators.running import Simulator

GOOD = [
    "kd", "202611211200", "5566778899", "KASSA01", "1", "normal", "0,00", "100,00", "25,00;20,00", "12,00;0,00",
    "6,00;0,00", "0,00;0,00",
]  # fmt: skip


def framed(words: str) -> bytes:
    message = f"{words} ".encode()
    return message + b"0x%04X\r\n" % binascii.crc_hqx(message, 0)


def say(simulator: Simulator, line: bytes) -> str:
    """Say raw bytes and give the answer's words without its CRC, which must be right."""
    device = os.open(simulator.ready["device"], os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(device, line)
        answer = b""
        while not answer.endswith(b"\r"):
            answer += os.read(device, 4096)
    finally:
        os.close(device)
    message, check = answer[:-7], answer[-7:-1]
    assert check == b"0x%04X" % binascii.crc_hqx(message, 0)
    return message.decode().strip()


def with_word(place: int, word: str) -> bytes:
    return framed(" ".join([*GOOD[:place], word, *GOOD[place + 1 :]]))


def test_r23_the_published_line_is_registered(start: Start) -> None:
    simulator = start("skattedosan")
    line = framed(" ".join(GOOD))
    assert line.endswith(b"0xCEBF\r\n")
    answer = say(simulator, line)
    assert answer.startswith("0 ")
    assert say(simulator, line) == answer
    assert simulator.state()["counter"] == 1


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (framed(" ".join(GOOD[:-1])), 1),
        (framed("ver 1"), 1),
        (with_word(1, "202613211200"), 2),
        (with_word(1, "2026-11-21"), 2),
        (with_word(2, "556677-8899"), 3),
        (with_word(3, "K" * 18), 4),
        (with_word(4, "0"), 5),
        (with_word(4, "one"), 5),
        (with_word(5, "NORMAL"), 6),
        (with_word(5, "vanlig"), 7),
        (with_word(6, "0.00"), 8),
        (with_word(7, "-100,00"), 9),
        (with_word(8, "12,00;20,00"), 10),
        (with_word(9, "12,00"), 11),
        (with_word(10, "6;0,00"), 12),
        (with_word(11, "0,00;0"), 13),
        (with_word(6, "1,00"), 21),
        (framed(" ".join(GOOD)).removesuffix(b"\r\n") + b" more\r\n", 22),
        (framed("kd " + "A" * 600), -1),
        (framed(" ".join(GOOD)).replace(b"CEBF", b"CEBE"), -2),
        (b"kd\r\n", -2),
        (b"\xff\xfe\r\n", -2),
        (framed("format c:"), -3),
    ],
)
def test_r23_every_wrong_command_has_its_code_and_registers_nothing(start: Start, line: bytes, code: int) -> None:
    simulator = start("skattedosan", "--fast")
    assert say(simulator, line) == str(code)
    assert simulator.state()["counter"] == 0


@pytest.mark.parametrize("code", [15, 16, 17, 18, 19, 20, 23, 24])
def test_r23_inner_failures_come_when_ordered(start: Start, code: int) -> None:
    simulator = start("skattedosan", "--fast")
    simulator.order("error", code=code)
    assert say(simulator, framed(" ".join(GOOD))) == str(code)
    assert simulator.state()["counter"] == 0


def test_r23_the_number_rises_and_a_number_has_one_receipt(start: Start) -> None:
    simulator = start("skattedosan", "--fast")
    assert say(simulator, with_word(4, "7")).startswith("0 ")
    assert say(simulator, with_word(4, "6")) == "5"
    assert say(simulator, framed(" ".join([*GOOD[:4], "7", *GOOD[5:7], "99,00", *GOOD[8:]]))) == "5"
    assert say(simulator, framed(" ".join([*GOOD[:2], "1122334455", *GOOD[3:4], "8", *GOOD[5:]]))) == "3"
    assert simulator.state()["counter"] == 1


def test_r23_ver_names_the_unit(start: Start) -> None:
    simulator = start("skattedosan", "--unit", "11A2")
    assert say(simulator, framed("ver")).split(" ")[5] == "11A2"
    simulator.order("not_operational")
    assert say(simulator, framed("ver")) == "15"


def test_r23_the_link_follows_the_device(start: Start, tmp_path: Path) -> None:
    link = tmp_path / "unit"
    for _ in range(2):
        simulator = start("skattedosan", "--link", str(link))
        assert os.readlink(link) == simulator.ready["device"]  # noqa: PTH115
        simulator.kill()
