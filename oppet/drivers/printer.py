"""Receipt printers that speak ESC/POS: over the network (TCP 9100), a serial line or a device file; and a screen.

Bytes are made here in one pass: text from a `Paper` is printable already and can only ever be text, so every command
on the wire is one of the constants below (P1). Every call has a deadline, counted from its start: a dead, silent or
jammed printer costs the till that long and no longer (P10). A network or serial printer says itself, behind the last
byte of the sheet, that it has taken it; without that answer the sheet counts as not printed.
Leaves what is printed to the fiscal room, and which printer to `main.py`.
Keeps P8 (asked before the sale: paper, cover, error, power) and P10. Why python-escpos does not write these bytes:
docs/decisions/0020.
"""

from __future__ import annotations

import codecs
import os
import select
import socket
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import serial

from oppet.paper.code_text import modules
from oppet.paper.paths import PaperOutError, PathKind, PathState, PrinterAwayError
from oppet.paper.sheet import Paper, Style, cells, lines

__all__ = ["CodePage", "FilePrinter", "NetworkPrinter", "ScreenPrinter", "SerialPrinter", "render", "state_of"]

INIT = b"\x1b@"
BOLD, LIGHT = b"\x1bE\x01", b"\x1bE\x00"
PLAIN, WIDE, TALL = b"\x1d!\x00", b"\x1d!\x10", b"\x1d!\x11"  # TALL: twice as wide and twice as tall
CENTRE, LEFT = b"\x1ba\x01", b"\x1ba\x00"
CUT = b"\x1dVB\x00"  # feed to the knife, then cut
DRAWER = b"\x1bp\x00\x19\xfa"
TAKEN = b"\x1dr\x01"  # answered in its turn, when everything before it has been taken
ASK_STATE = (
    b"\x10\x04\x01\x10\x04\x02\x10\x04\x03\x10\x04\x04"  # answered at once: printer, offline cause, error, paper
)
_PLAIN = frozenset({"normal", "centre", "rule", "blank"})
_STYLES: dict[Style, tuple[bytes, bytes]] = {
    "write": (b"\n", b"\n"),
    "bold": (BOLD, b"\n" + LIGHT),
    "title": (BOLD, b"\n" + LIGHT),
    "total": (BOLD + WIDE, b"\n" + PLAIN + LIGHT),
    "mark": (BOLD + TALL, b"\n" + PLAIN + LIGHT),
}
DOTS = {42: 512, 48: 576}  # printable width of a line

_LIKE = str.maketrans("–—−\u2018’“”…", "---''\"\".")


def _in_columns(error: UnicodeError) -> tuple[str, int]:
    """What a code page lacks becomes as many question marks as it had columns."""
    assert isinstance(error, UnicodeEncodeError)
    lost = error.object[error.start : error.end].translate(_LIKE)
    return "".join(c if c.isascii() else "\x80" if c == "€" else "?" * cells(c) for c in lost), error.end


codecs.register_error("oppet.columns", _in_columns)


class CodePage:
    """A printer's page of characters: the number it goes by and Python's name for it. 19 is PC858 at most makers."""

    def __init__(self, number: int = 19, codec: str = "cp858") -> None:
        self.select = b"\x1bt" + bytes((number,))
        latin = [chr(byte) if byte != 0x80 else "€" for byte in range(256)]
        self._table = b"".join(c.encode(codec, "replace") for c in latin)

    def encode(self, text: str) -> bytes:
        return text.encode("latin-1", "oppet.columns").translate(self._table)


def render(paper: Paper, columns: int, page: CodePage) -> bytes:
    """The bytes of a sheet for a printer of that many columns."""
    out = [INIT, page.select]
    plain: list[str] = []  # lines that need no command, encoded together: nearly all of a receipt

    def flush() -> None:
        if plain:
            plain.append("")
            out.append(page.encode("\n".join(plain)))
            plain.clear()

    for line in lines(paper, columns):
        style = line.style
        if style in _PLAIN:
            plain.append(line.text)
            continue
        flush()
        if style == "qr":
            out.append(_qr(line.text, DOTS.get(columns, columns * 12)))
        elif style == "cut":
            out.append(CUT)
        else:
            before, after = _STYLES[style]
            out += (before, page.encode(line.text), after)
    flush()
    return b"".join(out)


def _qr(text: str, dots: int) -> bytes:
    """The printer draws the code itself: model 2, level L, modules as large as fit, at most half a millimetre."""
    size = min(4, dots // (modules(len(text)) + 8))
    data = b"1P0" + text.encode("ascii", "replace")
    parts = (b"1A2\x00", b"1C" + bytes((size,)), b"1E0", data, b"1Q0")
    return CENTRE + b"".join(b"\x1d(k" + len(part).to_bytes(2, "little") + part for part in parts) + b"\n" + LEFT


def state_of(answer: bytes) -> PathState:
    """Read the four answers to ASK_STATE; anything that cannot be one is a printer we do not understand."""
    if len(answer) != 4 or any(byte & 0x93 != 0x12 for byte in answer):
        return PathState(ready=False, why="error")
    printer, cause, error, paper = answer
    low = bool(paper & 0x0C)
    if paper & 0x60 or cause & 0x20:
        return PathState(ready=False, why="paper_out", low=low)
    if cause & 0x04:
        return PathState(ready=False, why="cover_open", low=low)
    if error & 0x68 or cause & 0x40:
        return PathState(ready=False, why="error", low=low)
    if printer & 0x08:
        return PathState(ready=False, why="offline", low=low)
    return PathState(ready=True, low=low)


# --- wires ---------------------------------------------------------------------------------------------------------


class Wire(Protocol):
    """An open connection. Every call ends by `deadline`, in time.monotonic seconds. Raises OSError."""

    def send(self, data: bytes, deadline: float) -> None: ...
    def receive(self, count: int, deadline: float) -> bytes: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Socket:
    def __init__(self, host: str, port: int, deadline: float) -> None:
        self._socket = socket.create_connection((host, port), _left(deadline))

    def send(self, data: bytes, deadline: float) -> None:
        self._socket.settimeout(_left(deadline))
        self._socket.sendall(data)

    def receive(self, count: int, deadline: float) -> bytes:
        got = b""
        while len(got) < count:
            self._socket.settimeout(_left(deadline))
            part = self._socket.recv(count - len(got))
            if not part:
                raise ConnectionError
            got += part
        return got

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()


class _SerialLine:
    def __init__(self, device: str, baud: int, deadline: float) -> None:
        left = _left(deadline)
        self._line = serial.Serial(device, baud, timeout=left, write_timeout=left)

    def send(self, data: bytes, deadline: float) -> None:
        self._line.write_timeout = _left(deadline)
        self._line.write(data)

    def receive(self, count: int, deadline: float) -> bytes:
        self._line.timeout = _left(deadline)
        got = bytes(self._line.read(count))
        if len(got) < count:
            raise TimeoutError
        return got

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._line.close()


class _AnsweringPrinter:
    """What network and serial printers share: they can be asked."""

    kind: PathKind = "paper"

    def __init__(self, name: str, columns: int, page: CodePage, ask_s: float, print_s: float) -> None:
        self.name = name
        self._columns = columns
        self._page = page
        self._ask_s = ask_s
        self._print_s = print_s

    def _open(self, deadline: float) -> Wire:
        raise NotImplementedError

    def ready(self) -> PathState:
        """Ask the printer itself; a dead one costs `ask_s` seconds."""
        try:
            deadline = time.monotonic() + self._ask_s
            with self._open(deadline) as wire:
                return _asked(wire, deadline)
        except OSError:
            return PathState(ready=False, why="away")

    def print(self, paper: Paper) -> None:
        """Print and wait until the printer has taken it all: at most `print_s` seconds, and `ask_s` to say why not."""
        data = render(paper, self._columns, self._page) + TAKEN
        state = PathState(ready=False, why="away")
        try:
            deadline = time.monotonic() + self._print_s
            with self._open(deadline) as wire:
                try:
                    wire.send(data, deadline)
                    answer = wire.receive(1, deadline)[0]
                    if not answer & 0x9C:  # bits 4 and 7 are fixed, 2 and 3 say that the roll has ended
                        return
                    state = PathState(ready=False, why="paper_out" if not answer & 0x90 and answer & 0x0C else "error")
                except TimeoutError:
                    state = _asked(wire, time.monotonic() + self._ask_s)
        except OSError:
            pass
        if state.why in {"paper_out", "cover_open"}:
            raise PaperOutError(name=self.name)
        raise PrinterAwayError(name=self.name, why="silent" if state.ready else state.why)

    def open_drawer(self) -> None:
        """Send the pulse. Raises PrinterAwayError."""
        try:
            deadline = time.monotonic() + self._ask_s
            with self._open(deadline) as wire:
                wire.send(DRAWER + TAKEN, deadline)
                wire.receive(1, deadline)
        except OSError as error:
            raise PrinterAwayError(name=self.name, why="away") from error


def _asked(wire: Wire, deadline: float) -> PathState:
    wire.send(ASK_STATE, deadline)
    return state_of(wire.receive(4, deadline))


class NetworkPrinter(_AnsweringPrinter):
    """A printer on the till's own network segment. It knows no passwords: the segment is its lock."""

    def __init__(
        self,
        name: str,
        host: str,
        port: int = 9100,
        columns: int = 42,
        page: CodePage | None = None,
        ask_s: float = 0.5,
        print_s: float = 6.0,
    ) -> None:
        super().__init__(name, columns, page or CodePage(), ask_s, print_s)
        self._address = (host, port)

    def _open(self, deadline: float) -> Wire:
        return _Socket(*self._address, deadline)


class SerialPrinter(_AnsweringPrinter):
    """A printer on a serial line; slow lines need a longer `print_s` (4 kB take 4 s at 9600 baud)."""

    def __init__(
        self,
        name: str,
        device: str,
        baud: int = 38400,
        columns: int = 42,
        page: CodePage | None = None,
        ask_s: float = 0.5,
        print_s: float = 10.0,
    ) -> None:
        super().__init__(name, columns, page or CodePage(), ask_s, print_s)
        self._device = device
        self._baud = baud

    def _open(self, deadline: float) -> Wire:
        return _SerialLine(self._device, self._baud, deadline)


class FilePrinter:
    """A device file (/dev/usb/lp0), or a plain file that takes the bytes. It answers nothing: ready means it opens."""

    kind: PathKind = "paper"

    def __init__(
        self, name: str, path: Path, columns: int = 42, page: CodePage | None = None, print_s: float = 6.0
    ) -> None:
        self.name = name
        self._path = path
        self._columns = columns
        self._page = page or CodePage()
        self._print_s = print_s

    def ready(self) -> PathState:
        """Open it and close it again."""
        try:
            os.close(self._open())
        except OSError:
            return PathState(ready=False, why="away")
        return PathState(ready=True)

    def print(self, paper: Paper) -> None:
        """Write the sheet. Raises PrinterAwayError when the device does not take it within `print_s` seconds."""
        self._write(render(paper, self._columns, self._page))

    def open_drawer(self) -> None:
        """Write the pulse. Raises PrinterAwayError."""
        self._write(DRAWER)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)

    def _write(self, data: bytes) -> None:
        try:
            deadline = time.monotonic() + self._print_s
            device = self._open()
            try:
                while data:
                    try:
                        data = data[os.write(device, data) :]
                    except BlockingIOError:
                        select.select((), (device,), (), _left(deadline))
            finally:
                os.close(device)
        except OSError as error:
            raise PrinterAwayError(name=self.name, why="away") from error


class ScreenPrinter:
    """Paper on a screen, and the electronic receipt's path: keeps the last sheets as values, and as text in a spool.

    `kind` says which of the two it stands for. The spool holds the last `keep` sheets, oldest removed.
    """

    def __init__(self, name: str, kind: PathKind, spool: Path | None = None, keep: int = 50, columns: int = 42) -> None:
        self.name = name
        self.kind: PathKind = kind
        self.papers: deque[Paper] = deque(maxlen=keep)
        self.drawer_openings = 0
        self.printed = 0  # since it was made; names the spool's files
        self._spool = spool
        self._keep = keep
        self._columns = columns

    def ready(self) -> PathState:
        """A screen is always there; a spool that cannot be written is said."""
        if self._spool is not None and not os.access(self._spool, os.W_OK):
            return PathState(ready=False, why="away")
        return PathState(ready=True)

    def print(self, paper: Paper) -> None:
        """Keep the sheet. Raises PrinterAwayError when the spool cannot be written."""
        if self._spool is not None:
            try:
                number = self.printed + 1
                (self._spool / f"{number:06d}.txt").write_text(as_text(paper, self._columns), encoding="utf-8")
                (self._spool / f"{number - self._keep:06d}.txt").unlink(missing_ok=True)
            except OSError as error:
                raise PrinterAwayError(name=self.name, why="away") from error
        self.printed += 1
        self.papers.append(paper)

    def open_drawer(self) -> None:
        """Count it: there is no drawer."""
        self.drawer_openings += 1


def as_text(paper: Paper, columns: int) -> str:
    """A sheet as plain text; a QR code is its text, a cut a row of dashes with scissors."""
    return "".join(
        f"{'- ' * (columns // 2)}✂\n" if line.style == "cut" else f"{line.text}\n" for line in lines(paper, columns)
    )
