"""The simulated printer against the commands' own bytes, with none of our drivers between."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.drivers.printers import SimulatedPrinter


@pytest.fixture
def simulated() -> Iterator[SimulatedPrinter]:
    printer = SimulatedPrinter()
    yield printer
    printer.kill()


def say(printer: SimulatedPrinter, data: bytes, answer: int = 0) -> bytes:
    """Send bytes, read that many back, and wait until the printer has seen the end."""
    got = b""
    with socket.create_connection(("127.0.0.1", printer.port), 2) as wire:
        wire.sendall(data)
        while len(got) < answer:
            got += wire.recv(answer - len(got))
        wire.shutdown(socket.SHUT_WR)
        if not answer:
            while wire.recv(100):
                pass
    return got


def test_h4_text_is_given_back_by_code_page_height_and_sheet(simulated: SimulatedPrinter) -> None:
    say(simulated, b"\x1b@\x1bt\x13R\x84k\n\x1d!\x11K\n\x1d!\x00x\x1dVB\x00y\n")
    first, second = simulated.sheets
    assert (first["lines"], first["heights"], first["cut"]) == (["Räk", "K", "x"], [1, 2, 1], True)
    assert (second["lines"], second["cut"]) == (["y"], False)


def test_h4_a_code_is_given_back_once_for_each_time_it_is_printed(simulated: SimulatedPrinter) -> None:
    say(simulated, b"\x1d(k\x05\x001P0AB\x1d(k\x03\x001Q0\x1d(k\x03\x001Q0\x1dV\x00")
    assert simulated.sheets[0]["codes"] == ["AB", "AB"]


def test_h4_a_drawer_pulse_is_counted_and_an_unknown_command_is_told(simulated: SimulatedPrinter) -> None:
    say(simulated, b"\x1bp\x00\x19\xfa\x1b~\x07")
    assert simulated.state["drawer_pulses"] == 1
    assert simulated.state["unknown"] == ["1b7e", "07"]


@pytest.mark.parametrize(
    ("told", "answer"),
    [
        ({}, "12121212"),
        ({"paper": "low"}, "1212121e"),
        ({"paper": "out"}, "1a32127e"),
        ({"cover": "open"}, "1a161212"),
        ({"online": False}, "1a121212"),
        ({"error": True}, "1a523212"),
    ],
)
def test_h4_status_bits_stand_where_the_manual_puts_them(
    simulated: SimulatedPrinter, told: dict[str, object], answer: str
) -> None:
    simulated.tell(**told)
    assert say(simulated, b"\x10\x04\x01\x10\x04\x02\x10\x04\x03\x10\x04\x04", 4).hex() == answer


def test_h4_a_status_in_its_turn_waits_for_the_paper_and_one_in_real_time_does_not(simulated: SimulatedPrinter) -> None:
    simulated.tell(paper_lasts=1)
    assert say(simulated, b"a\nb\n\x1dr\x01\x10\x04\x04", 1).hex() == "12"  # asked while the roll was whole
    assert simulated.sheets[0]["lines"] == ["a"]
    assert say(simulated, b"\x10\x04\x04", 1).hex() == "7e"


@pytest.mark.parametrize("wish", ['{"paper": "gone"}', '{"colour": "red"}', "[]", "{", '"x"'])
def test_h4_it_says_no_to_what_it_cannot_be_told(simulated: SimulatedPrinter, wish: str) -> None:
    before = simulated.state["state"]
    status, said = simulated.ask("POST", "/control", wish)
    assert (status, list(said)) == (400, ["error"])
    assert simulated.state["state"] == before
    assert simulated.ask("GET", "/nowhere")[0] == 404
