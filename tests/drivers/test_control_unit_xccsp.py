"""XCCSP against servers that no simulator would dare to be: drips, floods, strangers and late answers (R23)."""

from __future__ import annotations

import socket
import threading
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from oppet.drivers.control_unit_xccsp import XccspUnit
from oppet.fiscal.unit import UnitCode, UnitRefused, UnitSilent
from tests.simulators.conftest import start  # noqa: F401 - a fixture
from tests.simulators.running import ORG_NO, a_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.simulators.conftest import Start

CODE = "A" * 32 + ";" + "B" * 26


def xml(inner: str, kind: str = "RegisterReceiptResponse") -> bytes:
    prolog = '<?xml version="1.0" encoding="iso-8859-1"?>'
    return f"{prolog}<response><type>{kind}</type><data>{inner}</data></response>".encode()


def result(code: str = CODE, unit: str = "UNIT", storage: str = "0") -> bytes:
    return xml(
        f"<RegisterResult><Code>{code}</Code><UnitId>{unit}</UnitId><UnitMainStatus>0</UnitMainStatus>"
        f"<UnitStorageStatus>{storage}</UnitStorageStatus></RegisterResult>"
    )


def http(body: bytes, status: int = 200, *headers: str) -> bytes:
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status} OK", f"Content-Length: {len(body)}", *headers))
    return f"{head}\r\n".encode() + body


class Server:
    """Accepts, reads whole requests and does what the script says with each."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.requests: list[bytes] = []
        self.connections = 0
        self.script: Callable[[socket.socket], None] = lambda _: None
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        data = b""
        try:
            while received := connection.recv(65_536):
                data += received
                if data.endswith(b"</request>"):
                    self.requests.append(data)
                    data = b""
                    self.script(connection)
        except OSError:
            return

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(timeout=10)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def unit(server: Server) -> Iterator[XccspUnit]:
    port = server.listener.getsockname()[1]
    made = XccspUnit("UNIT", "127.0.0.1", port, answer_timeout_s=0.4, probe_timeout_s=0.4, busy_wait_s=0, busy_tries=3)
    yield made
    made.close()


def says(*parts: bytes) -> Callable[[socket.socket], None]:
    def script(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)
            time.sleep(0.01)

    return script


def test_r23_a_plain_answer_is_read_and_the_connection_kept(server: Server, unit: XccspUnit) -> None:
    server.script = lambda connection: connection.sendall(http(result(code=f"CODE{len(server.requests)}")))
    assert [unit.register(a_request(number)) for number in range(1, 6)] == [
        UnitCode("UNIT", f"CODE{number}", "ok") for number in range(1, 6)
    ]
    assert server.connections == 1


CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (result()[:50], result()[50:]))
    + b"0\r\n\r\n"
)


@pytest.mark.parametrize(
    "parts",
    [
        [*(http(result())[place : place + 9] for place in range(0, 270, 9)), http(result())[270:]],
        [CHUNKED],
        [CHUNKED[:60], CHUNKED[60:100], CHUNKED[100:]],
        [http(result(), 200, "Connection: close")],
        [http(result(), 200, "Server: " + "x" * 9_000)],
        [http(result()).replace(b" OK\r\n", b"\r\n")],
    ],
)
def test_r23_an_answer_may_come_in_pieces_or_chunks(server: Server, unit: XccspUnit, parts: list[bytes]) -> None:
    server.script = says(*parts)
    assert unit.register(a_request(1)) == UnitCode("UNIT", CODE, "ok")
    server.script = says(http(result(code="NEXT")))
    assert unit.register(a_request(2)) == UnitCode("UNIT", "NEXT", "ok")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00" * 100,
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n" + b"x" * 70_000,
        b"HTTP/1.1 200 OK\r\nA: " + b"a" * 40_000,
        http(result())[:-1],
        http(b"x" * 60_000),
        http(b"", 503),
        http(b"", 100),
        http(result(), 500),
        http(result(unit="OTHER")),
        http(result(code="")),
        http(result(code="A B")),
        http(result(code="A&#27;@")),
        http(result() + b"<!-- -->"),
        http(result().replace(b"</RegisterResult>", b"<Code>X</Code></RegisterResult>")),
        http(xml("", "StatusResponse")),
        http(xml("", "Fault")),
        http(xml("<Fault><Code>8</Code></Fault>", "Fault")),
        http(xml("<Fault><Code>98</Code></Fault>", "Fault")),
        http(xml("<Fault><Code>12</Code></Fault>", "Fault")),
        CHUNKED[:-5],
        CHUNKED.replace(b"32\r\n", b"zz\r\n", 1),
        CHUNKED.replace(b"32\r\n", b"fffff\r\n", 1),
    ],
)
def test_r23_anything_else_is_silence_in_bounded_time(server: Server, unit: XccspUnit, answer: bytes) -> None:
    server.script = says(answer)
    started = time.monotonic()
    said = unit.register(a_request(1))
    assert isinstance(said, UnitSilent), said
    assert time.monotonic() - started < 1.5
    assert len(said.raw) <= 350
    assert said.raw.isprintable()
    assert len(server.requests) == 1  # and nothing was repeated behind the till's back


def test_r23_a_drip_of_one_byte_at_a_time_ends_at_the_deadline(server: Server, unit: XccspUnit) -> None:
    server.script = says(*(bytes([byte]) for byte in http(result())))
    started = time.monotonic()
    assert isinstance(unit.register(a_request(1)), UnitSilent)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        *((http(xml(f"<Fault><Code>{code}</Code></Fault>", "Fault")), reason) for code, reason in [
            (2, "protocol"), (3, "invalid"), (6, "not_operational"), (7, "register"), (9, "licence"), (10, "full"),
            (99, "no_unit"),
        ]),
        (http(b"", 401), "unauthorised"), (http(b"", 403), "unauthorised"), (http(b"<html>", 404), "protocol"),
        (http(xml("<FaultInfo><Code>10</Code></FaultInfo>", "Fault"), 500), "full"),
    ],
)  # fmt: skip
def test_r23_an_explicit_no_is_a_refusal(server: Server, unit: XccspUnit, answer: bytes, reason: str) -> None:
    server.script = says(answer)
    said = unit.register(a_request(1))
    assert isinstance(said, UnitRefused), said
    assert said.reason == reason


@pytest.mark.parametrize(("digit", "word"), [("0", "ok"), ("1", "high"), ("2", "full"), ("7", "high"), ("", "high")])
def test_r23_storage_has_our_words(server: Server, unit: XccspUnit, digit: str, word: str) -> None:
    server.script = says(http(result(storage=digit)))
    assert unit.register(a_request(1)) == UnitCode("UNIT", CODE, word)


def test_r23_busy_waits_and_each_retry_has_a_new_serial_and_the_same_receipt(server: Server, unit: XccspUnit) -> None:
    server.script = says(http(xml("<Fault><Code>5</Code></Fault>", "Fault")))
    said = unit.register(a_request(1, serial=17))
    assert isinstance(said, UnitRefused)
    assert said.reason == "busy"
    serials = [int(text.split(b"<SerialNo>")[1].split(b"<")[0]) for text in server.requests]
    assert serials == [136, 137, 138, 139]
    assert all(after > before for before, after in pairwise(serials))
    assert all(b"<ReceiptId>1<" in text for text in server.requests)


def test_r23_a_session_is_new_until_the_unit_has_answered(server: Server, unit: XccspUnit) -> None:
    server.script = says(b"HTTP/1.1 503 -\r\nContent-Length: 0\r\n\r\n")
    unit.register(a_request(1, serial=1))
    server.script = says(http(result()))
    unit.register(a_request(1, serial=2))
    unit.register(a_request(1, serial=3))
    assert [b"<IsNewSession>1<" in text for text in server.requests] == [True, True, False]


def test_r23_an_answer_that_nobody_asked_for_dies_with_its_connection(server: Server, unit: XccspUnit) -> None:
    server.script = says(http(result(code="FIRST")), http(result(code="UNASKED")))
    assert unit.register(a_request(1)) == UnitCode("UNIT", "FIRST", "ok")
    time.sleep(0.05)
    server.script = says(http(result(code="SECOND")))
    assert unit.register(a_request(2)) == UnitCode("UNIT", "SECOND", "ok")
    assert server.connections == 2


def test_r23_two_answers_in_one_breath_do_not_shift_the_rest(server: Server, unit: XccspUnit) -> None:
    server.script = says(http(result(code="FIRST")) + http(result(code="UNASKED")))
    assert unit.register(a_request(1)) == UnitCode("UNIT", "FIRST", "ok")
    server.script = says(http(result(code="SECOND")))
    assert unit.register(a_request(2)) == UnitCode("UNIT", "SECOND", "ok")


def test_r23_a_connection_closed_while_idle_is_opened_again(server: Server, unit: XccspUnit) -> None:
    def answer_and_hang_up(connection: socket.socket) -> None:
        connection.sendall(http(result(code=f"CODE{len(server.requests)}")))
        connection.shutdown(socket.SHUT_RDWR)

    server.script = answer_and_hang_up
    for number in range(1, 4):
        assert unit.register(a_request(number)) == UnitCode("UNIT", f"CODE{number}", "ok")
        time.sleep(0.02)
    assert server.connections == 3


def test_r23_a_code_is_ignored_where_none_is_due(server: Server, unit: XccspUnit) -> None:
    server.script = says(http(result()))
    assert unit.register(a_request(1, receipt_type="ovning")) == UnitCode("UNIT", "", "ok")


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        ("<Id>UNIT</Id><MainStatus>0</MainStatus><StorageStatus>0</StorageStatus>", True),
        ("<Id>UNIT</Id><MainStatus>1</MainStatus><StorageStatus>1</StorageStatus>", True),
        ("<Id>OTHER</Id><MainStatus>0</MainStatus><StorageStatus>0</StorageStatus>", False),
        ("<Id>UNIT</Id><MainStatus>4</MainStatus><StorageStatus>0</StorageStatus>", False),
        ("<Id>UNIT</Id><MainStatus>5</MainStatus><StorageStatus>0</StorageStatus>", False),
        ("<Id>UNIT</Id><MainStatus>0</MainStatus><StorageStatus>2</StorageStatus>", False),
        ("<Id>UNIT</Id><MainStatus>0</MainStatus>", False),
        ("", False),
    ],
)
def test_r23_only_a_well_unit_of_the_right_name_is_ready(
    server: Server, unit: XccspUnit, status: str, *, ready: bool
) -> None:
    server.script = says(http(xml(f"<Status>{status}</Status>", "StatusResponse")))
    assert unit.probe("K3", ORG_NO).ready is ready


@pytest.mark.parametrize("answer", [b"", b"junk" * 100, http(b"", 500), http(xml("<Code>6</Code>", "Fault"))])
def test_r23_a_probe_never_raises(server: Server, unit: XccspUnit, answer: bytes) -> None:
    server.script = says(answer)
    assert not unit.probe("K3", ORG_NO).ready
    assert not unit.probe("Kassa 三", ORG_NO).ready


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid", "a" * 300])
def test_r23_where_nobody_listens_nothing_was_sent(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    unit = XccspUnit("UNIT", host, port, connect_timeout_s=0.3)
    said = unit.register(a_request(1))
    assert isinstance(said, UnitRefused)
    assert said.reason == "unreachable"
    assert not unit.probe("K3", ORG_NO).ready


def test_r23_a_name_and_password_are_given_when_asked_for(start: Start) -> None:  # noqa: F811 - the fixture
    simulator = start("cleancash", "--user", "pos", "--password", "Hemligt")
    settings: dict[str, Any] = {"host": "127.0.0.1", "port": simulator.ready["port"]}
    stranger = XccspUnit(simulator.unit, **settings)
    said = stranger.register(a_request(1))
    stranger.close()
    assert isinstance(said, UnitRefused)
    assert said.reason == "unauthorised"
    known = XccspUnit(simulator.unit, **settings, user="pos", password="Hemligt")
    assert isinstance(known.register(a_request(1)), UnitCode)
    known.close()


def test_r23_a_registration_costs_well_under_a_millisecond(start: Start) -> None:  # noqa: F811 - the fixture
    driver = start("cleancash", "--fast").driver()
    for number in range(1, 51):
        driver.register(a_request(number))
    before = time.process_time()
    for number in range(51, 351):
        assert isinstance(driver.register(a_request(number)), UnitCode)
    cpu_ms = (time.process_time() - before) * 1000 / 300
    driver.close()
    assert cpu_ms < 1  # about 0.2 on a slow machine; the whole sale has 1.0
