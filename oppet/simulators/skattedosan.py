"""A Skattedosan control unit on a pseudo-terminal: `python -m oppet.simulators.skattedosan --state FILE`.

Prints one JSON line with the device and the control port, then answers `ver` and `kd` until it is killed.
Memory, codes and faults are `control_unit.py`. The protocol has no word for busy: a unit at work is only slow.
"""

from __future__ import annotations

import argparse
import asyncio
import binascii
import contextlib
import json
import os
import re
import secrets
import tty
from datetime import datetime
from pathlib import Path

from oppet.simulators.control_unit import TYPES, Faults, Memory, Receipt, RefusedReceipt, serve_control

__all__ = ["SkattedosanUnit", "main"]

FAULTS = (
    "full", "not_operational", "error", "silent_registered", "silent_unregistered", "slow", "wrong", "garbage", "half",
    "huge", "hostile",
)  # fmt: skip
LONGEST = 512
VAT = ("25,00", "12,00", "6,00", "0,00")
AMOUNT = r"\d{1,11},\d\d"
FIELDS = (  # the pattern of each argument of kd and the error code of its absence
    (2, r"\d{12}"),
    (3, r"\d{10}"),
    (4, r"[!-~]{1,17}"),
    (5, r"[1-9]\d{0,9}"),
    (6, r"[a-z]+"),
    (8, AMOUNT),
    (9, AMOUNT),
    *((code, rf"{rate};-?{AMOUNT}") for code, rate in enumerate(VAT, 10)),
)


def ore(text: str) -> int:
    """Öre of a decimal comma amount."""
    return int(text.replace(",", ""))


def framed(words: str) -> bytes:
    """An answer with its CRC and CR."""
    message = f"{words} ".encode()
    return b"%s0x%04X\r" % (message, binascii.crc_hqx(message, 0))


def spoil(good: bytes, code: str, fault: str) -> bytes:
    """What arrives instead of a good answer."""
    match fault:
        case "silent_registered":
            return b""
        case "garbage":
            return secrets.token_bytes(40).replace(b"\r", b"?") + b"\r"
        case "half":
            return good[: len(good) // 2]
        case "huge":
            return b"0 " + b"A" * 1_000_000 + b"\r"
        case "hostile":
            return framed(f"0 {code[:20]}\x1b@\x00\x1d(A")  # printer commands under a correct CRC
        case _:
            return good


class SkattedosanUnit:
    """Reads lines and gives answers; knows nothing of the wire."""

    def __init__(self, memory: Memory, faults: Faults) -> None:
        self._memory = memory
        self._faults = faults

    def answer(self, line: bytes) -> tuple[float, bytes]:
        """What to write after how many seconds."""
        result = self._check_line(line)
        if result:
            return 0, framed(str(result))
        command, *arguments = line.decode("ascii").split(" ")[:-1]
        if command == "ver" and not arguments:
            result = 15 if self._faults.next_is("not_operational") else 0
            unit = f" {self._memory.unit}" if result == 0 else ""
            return 0, framed(f"{result} Skattedosan SIM 1.0 2026{unit}" if unit else str(result))
        if command == "kd":
            return self._register(arguments)
        return 0, framed("1" if command == "ver" else "-3")

    @staticmethod
    def _check_line(line: bytes) -> int:
        if len(line) > LONGEST:
            return -1
        if re.search(rb" 0x[0-9A-F]{4} ", line):
            return 22
        message, check = line[:-6], line[-6:]
        if not line.isascii() or not message.endswith(b" ") or check != b"0x%04X" % binascii.crc_hqx(message, 0):
            return -2
        return 0

    def _register(self, arguments: list[str]) -> tuple[float, bytes]:
        fault = self._faults.take()
        result, receipt = self._read(arguments)
        if receipt and fault.kind == "registered":
            self._memory.register(receipt)  # and then says no all the same
        refusal = {"full": 24, "not_operational": 15, "error": fault.code}.get(fault.fault)
        if refusal:
            return 0, framed(str(refusal))
        if fault.fault == "silent_unregistered":
            return 0, b""
        if receipt is None:
            return 0, framed(str(result))
        try:
            code = self._memory.register(receipt)
        except RefusedReceipt as refused:
            return 0, framed({"full": "24", "register": "3"}.get(refused.why, "5"))
        if fault.fault == "wrong":
            code = self._memory.other_code(receipt)
        good = framed(f"0 {code}" if code else "0")
        seconds = fault.seconds if fault.fault == "slow" else 0
        return seconds, spoil(good, code, fault.fault)

    @staticmethod
    def _read(arguments: list[str]) -> tuple[int, Receipt | None]:
        if len(arguments) != len(FIELDS):
            return 1, None
        for text, (code, pattern) in zip(arguments, FIELDS, strict=True):
            if not re.fullmatch(pattern, text):
                return code, None
        minute, org_no, register, serial, kind, negative, total, *vat = arguments
        try:
            datetime.strptime(minute, "%Y%m%d%H%M")  # noqa: DTZ007 - the law's local time, only checked
        except ValueError:
            return 2, None
        if kind not in TYPES:
            return 7, None
        if ore(negative) and ore(total):
            return 21, None  # a receipt is a sale or a return
        return 0, Receipt(register, int(serial), kind, minute, org_no, ore(total), ore(negative), " ".join(vat))


class Wire:
    """The pseudo-terminal: lines in, answers out, never blocking."""

    def __init__(self, unit: SkattedosanUnit) -> None:
        self._unit = unit
        self._master, slave = os.openpty()
        tty.setraw(slave)  # kept open by us, so that a till that hangs up does not end the line
        self.device = os.ttyname(slave)
        self._received = bytearray()
        self._leaving = bytearray()
        self._at_work = False
        os.set_blocking(self._master, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._master, self._read)

    def _read(self) -> None:
        self._received += os.read(self._master, 4096)
        self._work()

    def _work(self) -> None:
        while not self._at_work and (b"\r" in self._received or len(self._received) > LONGEST):
            line, _, self._received = self._received.partition(b"\r")
            delay, answer = self._unit.answer(bytes(line.removeprefix(b"\n")))
            if delay:  # one thing at a time, as on a real line
                self._at_work = True
                self._loop.call_later(delay, self._late, answer)
            else:
                self._write(answer)

    def _late(self, answer: bytes) -> None:
        self._at_work = False
        self._write(answer)
        self._work()

    def _write(self, answer: bytes) -> None:
        self._leaving += answer
        with contextlib.suppress(BlockingIOError):
            del self._leaving[: os.write(self._master, self._leaving)]
        if self._leaving:
            self._loop.add_writer(self._master, self._write, b"")
        else:
            self._loop.remove_writer(self._master)


async def run(options: argparse.Namespace) -> None:
    """Open everything, say so, and answer until killed."""
    memory = Memory(options.state, options.unit, fast=options.fast, capacity=options.capacity)
    faults = Faults(FAULTS)
    wire = Wire(SkattedosanUnit(memory, faults))
    if options.link:
        fresh = options.link.with_name(options.link.name + ".new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(wire.device)
        fresh.replace(options.link)
    port = await serve_control(memory, faults, options.control_port)
    print(json.dumps({"ready": True, "device": wire.device, "control_port": port, "unit": options.unit}), flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="A simulated Skattedosan control unit. Its codes are worth nothing.")
    parser.add_argument("--unit", default="SIMSD000000000001", help="the unit's manufacturing number")
    parser.add_argument("--state", type=Path, required=True, help="the unit's memory; made when missing")
    parser.add_argument("--link", type=Path, help="a symbolic link to keep pointed at the device")
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--capacity", type=int, default=10_000_000, help="registrations until the memory is full")
    parser.add_argument("--fast", action="store_true", help="do not wait for the disk")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
