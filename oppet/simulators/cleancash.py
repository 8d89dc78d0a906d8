"""A CleanCash multi-user control unit, XCCSP over HTTP: `python -m oppet.simulators.cleancash --state FILE`.

Prints one JSON line with its port and the control port, then answers `POST /xccsp` until it is killed.
Memory, codes and faults are `control_unit.py`. HTTP is by hand: keep-alive, Content-Length and nothing more, because a
unit that costs a millisecond would be all that a benchmark of the till measures.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import re
import secrets
import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from oppet.simulators.control_unit import TYPES, Fault, Faults, Memory, Receipt, RefusedReceipt, serve_control

__all__ = ["CleanCashUnit", "main"]

FAULTS = (
    "busy", "server_busy", "full", "not_operational", "no_unit", "error", "silent_registered", "silent_unregistered",
    "slow", "wrong", "garbage", "half", "huge", "hostile", "drop",
)  # fmt: skip
NS = "{http://www.retailinnovation.se/xccsp}"
NAMES = {
    2: "UNKNOWN_MESSAGE", 3: "INVALID_DATA", 5: "UNIT_BUSY", 6: "NOT_OPERATIONAL", 7: "INVALID_POS",
    8: "INTERNAL_ERROR", 9: "LICENSE_EXCEEDED", 10: "MEMORY_FULL", 97: "SERVER_BUSY", 98: "SERVER_INTERNAL_ERROR",
    99: "NO_UNIT",
}  # fmt: skip
EXPLICIT = {"busy": 5, "server_busy": 97, "full": 10, "not_operational": 6, "no_unit": 99}
RATES = {"1": "25,00", "2": "12,00", "3": "6,00", "4": "0,00"}
AMOUNT = r"\d{1,11},\d\d"
LONGEST = 65_536
BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    b"<response><type>RegisterReceiptResponse</type><data><RegisterResult><Code>&b;</Code></RegisterResult></data></response>"
)


class InvalidMessage(Exception):  # noqa: N818 - a fault we answer with
    """Carries the XCCSP fault code and what was wrong."""

    def __init__(self, code: int, what: str) -> None:
        super().__init__(what)
        self.code = code


@dataclass(frozen=True, slots=True)
class Answer:
    """Bytes to write after some seconds, then perhaps the end of the connection."""

    data: bytes
    seconds: float = 0
    close: bool = False


def http(status: int, body: bytes) -> bytes:
    """A whole HTTP answer."""
    kind = b"text/xml; charset=iso-8859-1"
    return b"HTTP/1.1 %d -\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (status, kind, len(body), body)


def message(kind: str, inner: str) -> bytes:
    """A whole XCCSP answer in HTTP."""
    return http(
        200,
        f'<?xml version="1.0" encoding="iso-8859-1"?>\n<response xmlns="{NS[1:-1]}"><type>{kind}</type>'
        f"<data>{inner}</data></response>".encode("latin-1"),
    )


def fault_message(code: int, what: str = "") -> bytes:
    """An XCCSP fault."""
    name = NAMES.get(code, "ERROR")
    short = f"<Code>{code}</Code><ShortMessage>{name}</ShortMessage>"
    return message("Fault", f"<Fault>{short}<Message>{escape(what or name)}</Message></Fault>")


def spoil(good: bytes, fault: str) -> bytes:
    """What arrives instead of a good answer."""
    match fault:
        case "silent_registered":
            return b""
        case "garbage":
            return http(200, secrets.token_bytes(200))
        case "half":
            return good[: len(good) - 60]
        case "huge":
            return http(200, b"<response>" + b"A" * 1_000_000 + b"</response>")
        case "hostile":
            return http(200, BOMB)
        case _:
            return good


def child(element: ET.Element, name: str) -> ET.Element:
    """The one child of that name."""
    found = element.findall(NS + name)
    if len(found) != 1:
        raise InvalidMessage(3, f"{len(found)} {name}")
    return found[0]


def text(element: ET.Element, name: str, pattern: str, code: int = 3) -> str:
    """The text of the one child of that name."""
    value = child(element, name).text or ""
    if not re.fullmatch(pattern, value):
        raise InvalidMessage(code, name)
    return value


class CleanCashUnit:
    """Reads XML bodies and gives answers; knows nothing of sockets."""

    def __init__(self, memory: Memory, faults: Faults, registers: frozenset[str], licences: int) -> None:
        self._memory = memory
        self._faults = faults
        self._registers = registers
        self._licences = licences
        self._serials: dict[str, int] = {}

    def answer(self, body: bytes) -> Answer:
        """What to send for one request."""
        try:
            kind, data = self._open(body)
            if kind == "RequestStatus":
                return Answer(self._status(child(data, "StatusRequest")))
            if kind == "RegisterReceipt":
                return self._register(child(data, "Receipt"))
            raise InvalidMessage(2, kind)
        except InvalidMessage as invalid:
            return Answer(fault_message(invalid.code, str(invalid)))

    @staticmethod
    def _open(body: bytes) -> tuple[str, ET.Element]:
        if b"<!" in body:
            raise InvalidMessage(3, "DTD")
        try:
            root = ET.fromstring(body)  # noqa: S314 - a simulator, on loopback, and DTDs were refused
        except (ET.ParseError, ValueError, LookupError) as error:
            raise InvalidMessage(3, str(error)) from None
        if root.tag != NS + "request":
            raise InvalidMessage(2, root.tag)
        return text(root, "type", r"\w+", 2), child(root, "data")

    def _who(self, element: ET.Element) -> tuple[str, str]:
        register, org_no = text(element, "PosId", r"[!-~]{1,64}", 7), text(element, "OrgNo", r"\d{10}")
        if self._registers and register not in self._registers:
            raise InvalidMessage(7, register)
        if register not in self._memory.companies and len(self._memory.companies) >= self._licences:
            raise InvalidMessage(9, register)
        if self._memory.companies.get(register, org_no) != org_no:
            raise InvalidMessage(7, "another company's register")
        return register, org_no

    def _status(self, element: ET.Element) -> bytes:
        self._who(element)
        if self._faults.next_is("no_unit"):
            return fault_message(99)
        main = "4" if self._faults.next_is("not_operational") else "0"
        storage = "2" if self._faults.next_is("full") else self._memory.storage
        return message(
            "StatusResponse",
            f"<Status><Id>{self._memory.unit}</Id><Firmware>SIM-1.0</Firmware><MainStatus>{main}</MainStatus>"
            f"<StorageStatus>{storage}</StorageStatus></Status>",
        )

    def _register(self, element: ET.Element) -> Answer:
        fault = self._faults.take()
        if fault.fault == "silent_unregistered":
            return Answer(b"")
        if fault.fault == "drop":
            return Answer(b"", close=True)
        receipt = self._read(element)
        if fault.kind == "registered":
            self._memory.register(receipt)  # and then says no all the same
        if fault.fault == "error" or fault.fault in EXPLICIT:
            raise InvalidMessage(EXPLICIT.get(fault.fault, fault.code), f"told to: {fault.fault}")
        try:
            code = self._memory.register(receipt)
        except RefusedReceipt as refused:
            raise InvalidMessage(10 if refused.why == "full" else 3, refused.why) from None
        return self._answer(receipt, code, fault)

    def _answer(self, receipt: Receipt, code: str, fault: Fault) -> Answer:
        unit = self._memory.unit
        if fault.fault == "wrong":
            code = self._memory.other_code(receipt)
            unit = unit if fault.kind == "receipt" else "SIMCC999999999999"
        good = message(
            "RegisterReceiptResponse",
            f"<RegisterResult><Code>{code}</Code><UnitId>{unit}</UnitId><UnitMainStatus>0</UnitMainStatus>"
            f"<UnitStorageStatus>{self._memory.storage}</UnitStorageStatus></RegisterResult>",
        )
        seconds = fault.seconds if fault.fault == "slow" else 0
        return Answer(spoil(good, fault.fault), seconds)

    def _read(self, element: ET.Element) -> Receipt:
        register, org_no = self._who(element)
        serial = int(text(element, "SerialNo", r"\d{1,10}"))
        new_session = text(element, "IsNewSession", "[01]") == "1"
        if not new_session and serial <= self._serials.get(register, 0):
            raise InvalidMessage(3, "SerialNo does not rise")
        self._serials[register] = serial  # even when refused below: each attempt brings a new one
        minute = text(element, "Date", r"\d{12}")
        try:
            datetime.strptime(minute, "%Y%m%d%H%M")  # noqa: DTZ007 - the law's local time, only checked
        except ValueError:
            raise InvalidMessage(3, "Date") from None
        total, negative = (
            int(text(element, name, AMOUNT).replace(",", "")) for name in ("ReceiptTotal", "NegativeTotal")
        )
        vat = {}
        for one in child(element, "VatList"):
            number = text(one, "Class", "[1-4]")
            if one.tag != NS + "Vat" or number in vat or text(one, "Percentage", ".+") != RATES[number]:
                raise InvalidMessage(3, "Vat")
            vat[number] = text(one, "Amount", "-?" + AMOUNT)
        kind = text(element, "ReceiptType", "|".join(TYPES))
        receipt_id = int(text(element, "ReceiptId", r"[1-9]\d{0,9}"))
        return Receipt(register, receipt_id, kind, minute, org_no, total, negative, json.dumps(sorted(vat.items())))


class Connection(asyncio.Protocol):
    """One kept-alive HTTP connection."""

    def __init__(self, unit: CleanCashUnit, authorization: bytes) -> None:
        self._unit = unit
        self._authorization = authorization
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        request, *lines = head.split(b"\r\n")
        headers = dict(line.lower().split(b":", 1) for line in lines if b":" in line)
        length = headers.get(b"content-length", b"").strip()
        if not found and len(head) > LONGEST:
            self._refuse(431)
        elif found and not length.isdigit():
            self._refuse(411)
        elif found and int(length) > LONGEST:
            self._refuse(413)
        elif found and len(rest) >= int(length):
            body, self._received = rest[: int(length)], rest[int(length) :]
            self._serve(request.split(b" ")[:2], headers.get(b"authorization", b"").strip(), body)

    def _serve(self, request: list[bytes], authorization: bytes, body: bytes) -> None:
        if request[1:] != [b"/xccsp"]:
            self._refuse(404)
        elif request[0] != b"POST":
            self._refuse(405)
        elif self._authorization and authorization != self._authorization.lower():
            self._refuse(401)  # compared in lower case, as the headers were read: good enough for a simulator
        else:
            self._send(self._unit.answer(body))

    def _refuse(self, status: int) -> None:
        self._send(Answer(http(status, b""), close=True))

    def _send(self, answer: Answer) -> None:
        if answer.seconds:
            loop = asyncio.get_running_loop()
            loop.call_later(answer.seconds, self._send, Answer(answer.data, close=answer.close))
            return
        self._transport.write(answer.data)
        if answer.close:
            self._transport.close()


async def run(options: argparse.Namespace) -> None:
    """Open everything, say so, and answer until killed."""
    memory = Memory(options.state, options.unit, fast=options.fast, capacity=options.capacity)
    faults = Faults(FAULTS)
    registers = frozenset(filter(None, options.registers.split(",")))
    unit = CleanCashUnit(memory, faults, registers, options.licences)
    login = f"{options.user}:{options.password}"
    authorization = b"Basic " + base64.b64encode(login.encode()) if options.user else b""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(unit, authorization), "127.0.0.1", options.port)
    port = server.sockets[0].getsockname()[1]
    control = await serve_control(memory, faults, options.control_port)
    print(json.dumps({"ready": True, "port": port, "control_port": control, "unit": options.unit}), flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="A simulated CleanCash control unit. Its codes are worth nothing.")
    parser.add_argument("--unit", default="SIMCC000000000001", help="the unit's manufacturing number")
    parser.add_argument("--state", type=Path, required=True, help="the unit's memory; made when missing")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--capacity", type=int, default=10_000_000, help="registrations until the memory is full")
    parser.add_argument("--registers", default="", help="the only registers it serves, by comma; any when empty")
    parser.add_argument("--licences", type=int, default=1000, help="how many registers it serves")
    parser.add_argument("--user", default="", help="asks for HTTP Basic with this name")
    parser.add_argument("--password", default="")
    parser.add_argument("--fast", action="store_true", help="do not wait for the disk")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
