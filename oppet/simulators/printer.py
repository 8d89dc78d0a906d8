"""A simulated receipt printer: raw TCP like port 9100, and a control port to take its paper away.

Reads ESC/POS well enough to give back what would stand on the paper, line by line with height, and every code, cut and
drawer pulse. Built from the commands' own descriptions; imports nothing of ours, so a byte our driver writes wrongly is
not read wrongly in the same way here. An unknown command is kept and reported, never skipped in silence.

Control (HTTP, loopback): POST /control {"paper": "ok|low|out", "cover": "closed|open", "online": true, "error": false,
"silent": false, "slow_s": 0, "cut_after": bytes|null, "paper_lasts": lines|null}; GET /state.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Paper", "Printer", "State", "serve"]

MOST_SHEETS = 200
LONGEST_BUFFER = 65_536
NEED_MORE = -1

# Commands without data of variable length: the two bytes, and how many bytes of parameters follow.
FIXED = {
    b"\x1b@": 0, b"\x1bE": 1, b"\x1bG": 1, b"\x1ba": 1, b"\x1bt": 1, b"\x1bR": 1, b"\x1b!": 1, b"\x1bd": 1, b"\x1bJ": 1,
    b"\x1bM": 1, b"\x1b-": 1, b"\x1b2": 0, b"\x1b3": 1, b"\x1bp": 3, b"\x1d!": 1, b"\x1dB": 1, b"\x1dr": 1, b"\x1dI": 1,
}  # fmt: skip
PAGES = {0: "cp437", 2: "cp850", 5: "cp865", 16: "cp1252", 19: "cp858"}


@dataclass(slots=True)
class State:
    """What the printer is told to be."""

    paper: str = "ok"
    cover: str = "closed"
    online: bool = True
    error: bool = False
    silent: bool = False
    slow_s: float = 0.0
    cut_after: int | None = None  # bytes of the next connection, then the cable is cut
    paper_lasts: int | None = None  # lines until the roll ends

    def tell(self, wish: dict[str, Any]) -> None:
        """Change some of it. Raises ValueError for what it cannot be told."""
        for name, value in wish.items():
            if name not in self.__slots__:
                raise ValueError(f"this printer cannot be told {name!r}; it knows {', '.join(self.__slots__)}")
            kinds = {"paper": ("ok", "low", "out"), "cover": ("closed", "open")}
            if name in kinds and value not in kinds[name]:
                raise ValueError(f"{name} is one of {', '.join(kinds[name])}")
            setattr(self, name, value)

    def stopped(self) -> bool:
        return not self.online or self.paper == "out" or self.cover == "open" or self.error

    def real_time(self, which: int) -> int:
        """The answer to DLE EOT n; bits 1 and 4 are always set, 0 and 7 never."""
        bits = {
            1: 0x08 * self.stopped(),
            2: 0x04 * (self.cover == "open") + 0x20 * (self.paper == "out") + 0x40 * self.error,
            3: 0x20 * self.error,
            4: {"ok": 0, "low": 0x0C, "out": 0x6C}[self.paper],
        }
        return 0x12 | bits[which]


@dataclass(slots=True)
class Paper:
    """One sheet: from after the last cut to the next one, or to now."""

    lines: list[str] = field(default_factory=list)
    heights: list[int] = field(default_factory=list)  # 1 or 2 … of each line
    codes: list[str] = field(default_factory=list)  # text of each QR code
    cut: bool = False


class Printer:
    """Bytes in, sheets out. Knows nothing of sockets."""

    def __init__(self) -> None:
        self.state = State()
        self.sheets: list[Paper] = [Paper()]
        self.drawer_pulses = 0
        self.unknown: list[str] = []
        self.bytes = 0
        self._reset()

    def _reset(self) -> None:
        self._line = b""
        self._page = "cp437"
        self._height = 1
        self._code = b""

    def lost_line(self) -> None:
        """A connection ended: what had not been fed to the paper stays in the buffer of a real one; here it is gone."""
        self._line = b""

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Work through `data`; gives what to answer and what was left: half a command, or all of it if stopped."""
        answers = b""
        while data:
            if self.state.stopped():
                return answers, data
            size, answer = self._one(data)
            if size == NEED_MORE:
                break
            answers += answer
            data = data[size:]
        return answers, data

    def _one(self, data: bytes) -> tuple[int, bytes]:
        first = data[:1]
        if first == b"\n":
            self._feed()
            return 1, b""
        if first not in b"\x10\x1b\x1d":
            if first[0] < 0x20 or first == b"\x7f":
                self.unknown.append(first.hex())
            else:
                self._line += first
            return 1, b""
        if len(data) < 2:
            return NEED_MORE, b""
        if data[:3] == b"\x1d(k":
            return self._qr(data)
        if data[:2] == b"\x1dV":
            return self._knife(data)
        if data[:2] == b"\x10\x04":  # answered on arrival, see `serve`
            return (3, b"") if len(data) > 2 else (NEED_MORE, b"")
        count = FIXED.get(data[:2])
        if count is None:
            self.unknown.append(data[:2].hex())
            return 2, b""
        if len(data) < 2 + count:
            return NEED_MORE, b""
        return 2 + count, self._command(data[:2], data[2 : 2 + count])

    def _command(self, command: bytes, given: bytes) -> bytes:
        if command == b"\x1b@":
            self._reset()
        elif command == b"\x1bt":
            self._page = PAGES.get(given[0], "cp437")
        elif command == b"\x1d!":
            self._height = (given[0] & 0x07) + 1
        elif command == b"\x1bp":
            self.drawer_pulses += 1
        elif command == b"\x1dr":
            return bytes([0x0C if self.state.paper == "out" else 0x03 if self.state.paper == "low" else 0])
        return b""

    def _knife(self, data: bytes) -> tuple[int, bytes]:
        if len(data) < 3:
            return NEED_MORE, b""
        size = 4 if data[2] in {65, 66} else 3
        if len(data) < size:
            return NEED_MORE, b""
        if self._line:
            self._feed()
        self.sheets[-1].cut = True
        self.sheets.append(Paper())
        del self.sheets[:-MOST_SHEETS]
        return size, b""

    def _qr(self, data: bytes) -> tuple[int, bytes]:
        if len(data) < 5:
            return NEED_MORE, b""
        size = 5 + int.from_bytes(data[3:5], "little")
        if len(data) < size:
            return NEED_MORE, b""
        said = data[5:size]
        if said[:3] == b"1P0":
            self._code = said[3:]
        elif said[:3] == b"1Q0":
            self.sheets[-1].codes.append(self._code.decode("ascii", "replace"))
        elif said[:2] not in {b"1A", b"1C", b"1E"}:
            self.unknown.append(said[:3].hex())
        return size, b""

    def _feed(self) -> None:
        self.sheets[-1].lines.append(self._line.decode(self._page, "replace"))
        self.sheets[-1].heights.append(self._height)
        self._line = b""
        if self.state.paper_lasts is not None:
            self.state.paper_lasts -= 1
            if self.state.paper_lasts <= 0:
                self.state.paper, self.state.paper_lasts = "out", None

    def report(self) -> dict[str, object]:
        """What a test looks at."""
        return {
            "state": asdict(self.state),
            "sheets": [asdict(sheet) for sheet in self.sheets if sheet.cut or sheet.lines or sheet.codes],
            "drawer_pulses": self.drawer_pulses,
            "unknown": self.unknown,
            "bytes": self.bytes,
        }


def real_time_questions(data: bytes) -> list[int]:
    """The DLE EOT questions in what arrived; a real printer sees them before anything that waits in its buffer."""
    return [data[i + 2] for i in range(len(data) - 2) if data[i : i + 2] == b"\x10\x04" and 1 <= data[i + 2] <= 4]


async def serve(printer: Printer, port: int) -> int:
    """Listen on loopback; one connection at a time, as the cheap ones do. Gives the port."""
    busy = asyncio.Lock()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            async with busy:
                await _serve_one(printer, reader, writer)
        printer.lost_line()
        writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", port)
    chosen: int = server.sockets[0].getsockname()[1]
    return chosen


async def _serve_one(printer: Printer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    waiting = b""
    came = 0
    while True:
        try:
            data = await asyncio.wait_for(reader.read(4096), 0.02 if waiting else None)
        except TimeoutError:
            data = None
        if data == b"":
            return
        if data:
            printer.bytes += len(data)
            limit = printer.state.cut_after
            if limit is not None and came + len(data) >= limit:
                printer.state.cut_after = None
                printer.take(waiting + data[: limit - came])
                writer.transport.abort()
                return
            came += len(data)
            if not printer.state.silent:
                writer.write(bytes(printer.state.real_time(n) for n in real_time_questions(data)))
            if printer.state.slow_s:
                await asyncio.sleep(printer.state.slow_s)
            waiting = (waiting + data)[:LONGEST_BUFFER]
        answers, waiting = printer.take(waiting)
        if answers and not printer.state.silent:
            writer.write(answers)
        await writer.drain()


async def serve_control(printer: Printer, port: int) -> int:
    """Listen for POST /control and GET /state on loopback; gives the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, path, *_ = head.split(" ", 2)
            length = next((int(h[15:]) for h in head.lower().split("\r\n") if h.startswith("content-length:")), 0)
            body = await reader.readexactly(min(length, 65_536))
            status, said = 200, printer.report()
            if (method, path) == ("POST", "/control"):
                printer.state.tell(json.loads(body))
                said = printer.report()
            elif (method, path) != ("GET", "/state"):
                status, said = 404, {"error": f"{method} {path}"}
        except (ValueError, TypeError, AttributeError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            status, said = 400, {"error": str(error)}
        text = json.dumps(said).encode()
        first = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n"
        writer.write(f"{first}Connection: close\r\n\r\n".encode() + text)
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    chosen: int = server.sockets[0].getsockname()[1]
    return chosen


async def run(options: argparse.Namespace) -> None:
    """Open both ports, say so, and print until killed."""
    printer = Printer()
    port = await serve(printer, options.port)
    control = await serve_control(printer, options.control_port)
    print(json.dumps({"ready": True, "port": port, "control_port": control}), flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="A simulated ESC/POS receipt printer.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--control-port", type=int, default=0)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
