"""What every simulated control unit has inside: a durable memory, codes, a list of faults to commit, a control port.

Its protocols are in `skattedosan.py` and `cleancash.py`. The codes are made up: an HMAC in the real ones' shape.
Imports nothing of ours but this room, so that a mistake in the till's rules is not repeated here and thereby hidden.
The memory is an append-only file, flushed to disk before the unit answers (unless --fast), so that a test may kill
the process at any moment and still compare the unit's counter with the till's journal (R23).
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import hmac
import json
import os
import sys
from base64 import b32encode
from collections import Counter
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

__all__ = ["CODED", "TYPES", "Fault", "Faults", "Memory", "Receipt", "RefusedReceipt", "control_code", "serve_control"]

TYPES = ("normal", "kopia", "ovning", "profo")
CODED = ("normal", "kopia")
TAIL = 100  # registrations listed by GET /control/state unless ?tail= says otherwise


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a register asks for; two requests are the same when all of it is the same."""

    register: str
    receipt_id: int
    receipt_type: str
    minute: str
    org_no: str
    total: int
    negative: int
    vat: str

    def values(self) -> tuple[str | int, ...]:
        """The fields in order, for the memory's file and the code."""
        return (
            self.register, self.receipt_id, self.receipt_type, self.minute, self.org_no, self.total, self.negative,
            self.vat,
        )  # fmt: skip


class RefusedReceipt(Exception):  # noqa: N818 - a unit's answer, not a fault of ours
    """`why`: "changed" (same id, other contents), "not_rising", "full" or "register" (another company's)."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def control_code(unit: str, receipt: Receipt) -> str:
    """Make a code in the shape of the real ones: 32 base-32 characters, a semicolon and 26 more."""
    said = json.dumps([unit, *receipt.values()]).encode()
    digest = hmac.digest(b"simulated control unit " + unit.encode(), said, hashlib.sha512)
    return f"{b32encode(digest[:20]).decode()};{b32encode(digest[20:36]).decode()[:26]}"


class Memory:
    """The registrations, one JSON line each, in the order they were made."""

    def __init__(self, path: Path, unit: str, *, fast: bool = False, capacity: int = 10_000_000) -> None:
        self.unit = unit
        self.capacity = capacity
        self.receipts: list[tuple[Receipt, str]] = []
        self.last: dict[tuple[str, str], tuple[Receipt, str]] = {}  # by register and type
        self.companies: dict[str, str] = {}  # register to organisation number, as first seen
        self.counters: Counter[str] = Counter()
        self.sales: Counter[str] = Counter()  # öre per register, normal receipts only
        self.returns: Counter[str] = Counter()
        self._fast = fast
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit(f"{path}: another simulator uses this memory")
        self._load(path)

    def _load(self, path: Path) -> None:
        whole, newline, torn = path.read_bytes().rpartition(b"\n")
        if torn:  # killed while writing: never answered, so never registered
            os.ftruncate(self._file, len(whole) + len(newline))
        head, *lines = whole.split(b"\n")
        if not head:
            self._write({"unit": self.unit})
        elif json.loads(head) != {"unit": self.unit}:
            sys.exit(f"{path}: memory of another unit: {head.decode(errors='replace')[:80]}")
        for line in lines:
            *values, code = json.loads(line)
            self._remember(Receipt(*values), code)

    def register(self, receipt: Receipt) -> str:
        """Register a receipt and give its code; the same one again gives the same code and counts nothing."""
        key = (receipt.register, receipt.receipt_type)
        if self.companies.get(receipt.register, receipt.org_no) != receipt.org_no:
            raise RefusedReceipt("register")
        if key in self.last:
            last, code = self.last[key]
            if last == receipt:
                return code
            if receipt.receipt_id == last.receipt_id:
                raise RefusedReceipt("changed")
            if receipt.receipt_type == "normal" and receipt.receipt_id < last.receipt_id:
                raise RefusedReceipt("not_rising")
        if len(self.receipts) >= self.capacity:
            raise RefusedReceipt("full")
        code = control_code(self.unit, receipt) if receipt.receipt_type in CODED else ""
        self._write([*receipt.values(), code])
        self._remember(receipt, code)
        return code

    def other_code(self, receipt: Receipt) -> str:
        """The last code that belongs to another receipt, or one that belongs to none."""
        for other, code in reversed(self.receipts):
            if code and other != receipt:
                return code
        return control_code(self.unit + "?", receipt)

    @property
    def storage(self) -> str:
        """0 well, 1 nearly full, 2 full: the digits of the real units."""
        count = len(self.receipts)
        return "2" if count >= self.capacity else "1" if count >= self.capacity * 0.9 else "0"

    def state(self, tail: int) -> dict[str, object]:
        """What a test compares with the journal."""
        names = [field.name for field in fields(Receipt)]
        return {
            "unit": self.unit,
            "counter": len(self.receipts),
            "counters": {kind: self.counters[kind] for kind in TYPES},
            "sales_ore": self.sales.total(),
            "returns_ore": self.returns.total(),
            "net_ore": self.sales.total() - self.returns.total(),
            "registers": {
                register: {"sales_ore": self.sales[register], "returns_ore": self.returns[register]}
                for register in self.companies
            },
            "storage": self.storage,
            "last_request": [asdict(receipt) for receipt, _ in self.last.values()],
            "registrations": [
                dict(zip(names, receipt.values(), strict=True)) | {"code": code}
                for receipt, code in self.receipts[len(self.receipts) - min(tail, len(self.receipts)) :]
            ],
        }

    def _write(self, value: object) -> None:
        os.write(self._file, json.dumps(value, separators=(",", ":")).encode() + b"\n")
        if not self._fast:
            os.fdatasync(self._file)

    def _remember(self, receipt: Receipt, code: str) -> None:
        self.receipts.append((receipt, code))
        self.last[receipt.register, receipt.receipt_type] = (receipt, code)
        self.companies.setdefault(receipt.register, receipt.org_no)
        self.counters[receipt.receipt_type] += 1
        if receipt.receipt_type == "normal":
            self.sales[receipt.register] += receipt.total
            self.returns[receipt.register] += receipt.negative


@dataclass(slots=True)
class Fault:
    """Something to do wrong with the next registrations; count 0 means until cleared."""

    fault: str
    count: int = 1
    seconds: float = 1.0
    kind: str = ""
    code: int = 0


class Faults:
    """The faults ordered and not yet committed; each registration takes one."""

    def __init__(self, supported: tuple[str, ...]) -> None:
        self.supported = supported
        self.waiting: list[Fault] = []

    def order(self, wish: dict[str, Any]) -> None:
        """Order a fault, or "clear" them all. Raises ValueError."""
        fault = Fault(**wish)
        if fault.fault == "clear":
            self.waiting.clear()
        elif fault.fault not in self.supported:
            raise ValueError(f"this unit cannot be told {fault.fault!r}; it knows {', '.join(self.supported)}")
        else:
            self.waiting.append(fault)

    def take(self) -> Fault:
        """The fault for this registration; one named "" does nothing wrong."""
        if not self.waiting:
            return Fault("")
        first = self.waiting[0]
        if first.count == 1:
            self.waiting.pop(0)
        elif first.count > 1:
            first.count -= 1
        return first

    def next_is(self, name: str) -> bool:
        """What a status question may see without using the fault up."""
        return bool(self.waiting) and self.waiting[0].fault == name


async def serve_control(memory: Memory, faults: Faults, port: int) -> int:
    """Listen for `POST /control` and `GET /control/state?tail=n` on loopback; gives the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, target, *_ = head.split(" ", 2)
            length = next((int(h[15:]) for h in head.lower().split("\r\n") if h.startswith("content-length:")), 0)
            status, body = _control(memory, faults, method, target, await reader.readexactly(min(length, 65_536)))
        except (ValueError, TypeError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            status, body = 400, {"error": str(error)}
        text = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + text)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    chosen: int = server.sockets[0].getsockname()[1]
    return chosen


def _control(memory: Memory, faults: Faults, method: str, target: str, body: bytes) -> tuple[int, dict[str, object]]:
    path, _, query = target.partition("?")
    if (method, path) == ("POST", "/control"):
        faults.order(json.loads(body))
        return 200, {"waiting": [asdict(fault) for fault in faults.waiting]}
    if (method, path) == ("GET", "/control/state"):
        tail = int(query.removeprefix("tail=") or TAIL)
        return 200, memory.state(tail) | {
            "faults": [asdict(fault) for fault in faults.waiting],
            "supported": list(faults.supported),
        }
    return 404, {"error": f"{method} {path}"}
