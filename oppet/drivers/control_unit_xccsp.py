"""A control unit on the network: XCCSP over HTTP (CleanCash multi-user, GreenGate).

One kept-alive connection, read against a deadline and a bound; HTTP is spoken by hand because a general client costs
several times the rest of a registration. An answer that comes late dies with its connection, so it can never be
taken for the next receipt's. What an answer means for the receipt is `fiscal/unit.py`. Not for two threads at once.
Keeps R23: refused only when nothing was sent or the unit said an explicit no; anything else after a byte is silence.
"""

from __future__ import annotations

import base64
import re
import select
import socket
import time
from typing import TYPE_CHECKING

from oppet.base.errors import clip
from oppet.fiscal.frames import LONGEST_BODY, FrameError, XmlAnswer, is_code, xccsp_answer, xccsp_receipt, xccsp_status
from oppet.fiscal.unit import CODED_TYPES, GivenCodes, UnitCode, UnitRefused, UnitSilent, UnitStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from oppet.fiscal.unit import UnitAnswer, UnitRequest

__all__ = ["XccspUnit"]

LONGEST_HEAD = 16_384
LONGEST_RAW = 300
TRIES_PER_SERIAL = 8  # each retry needs a new SerialNo, so serial 17 owns 136 to 143 on the wire
STORAGE = {"0": "ok", "1": "high", "2": "full"}
# Only faults that say the receipt was not taken. 8 and 98, the internal errors, may follow a registration: silence.
REFUSALS = {
    "2": "protocol",
    "3": "invalid",
    "5": "busy",
    "6": "not_operational",
    "7": "register",
    "9": "licence",
    "10": "full",
    "97": "busy",
    "99": "no_unit",
}


class XccspUnit:
    """One unit behind one address."""

    repeat_keeps_serial = False

    def __init__(
        self,
        unit: str,
        host: str,
        port: int = 8081,
        *,
        path: str = "/xccsp",
        user: str = "",
        password: str = "",
        connect_timeout_s: float = 1.0,
        probe_timeout_s: float = 1.0,
        answer_timeout_s: float = 5.0,
        busy_wait_s: float = 1.0,
        busy_tries: int = 5,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        assert 0 <= busy_tries < TRIES_PER_SERIAL
        self.unit = unit
        self._address = (host, port)
        self._connect_timeout_s = connect_timeout_s
        self._probe_timeout_s = probe_timeout_s
        self._answer_timeout_s = answer_timeout_s
        self._busy_wait_s = busy_wait_s
        self._busy_tries = busy_tries
        self._sleep = sleep
        head = [
            f"POST {path} HTTP/1.1",
            f"Host: {host}:{port}",
            "Content-Type: text/xml; charset=iso-8859-1",
            "Accept: text/xml",
            "Accept-Charset: iso-8859-1",
        ]
        if user:
            head.append("Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
        self._head = "\r\n".join([*head, "Content-Length: "]).encode("latin-1")
        self._socket: socket.socket | None = None
        self._sessions: set[str] = set()  # registers that this process has been heard for
        self._given = GivenCodes()

    def close(self) -> None:
        """Hang up; the next question connects again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def probe(self, register: str, org_no: str) -> UnitStatus:
        """Ask how the unit is."""
        try:
            body = xccsp_status(register, org_no)
            self._connect()
            _, answer = self._exchange(body, self._probe_timeout_s)
            said = xccsp_answer(answer)
        except (OSError, UnicodeError, FrameError) as error:
            self.close()
            return UnitStatus(self.unit, ready=False, main="unreachable", storage="", raw=_raw(error))
        if said.type != "StatusResponse":
            main = REFUSALS.get(said.texts.get("Code", ""), "fault")
            return UnitStatus(self.unit, ready=False, main=main, storage="", raw=_raw(said))
        main, storage = said.texts.get("MainStatus", ""), STORAGE.get(said.texts.get("StorageStatus", ""), "")
        ready = said.texts.get("Id") == self.unit and main in {"0", "1"} and storage in {"ok", "high"}
        return UnitStatus(self.unit, ready=ready, main=main, storage=storage, raw=_raw(said))

    def register(self, request: UnitRequest) -> UnitAnswer:
        """Register a receipt, waiting politely while the unit says that it is busy."""
        answer = self._attempt(request, 0)
        for number in range(1, self._busy_tries + 1):
            if not (isinstance(answer, UnitRefused) and answer.reason == "busy"):
                break
            self._sleep(self._busy_wait_s)
            answer = self._attempt(request, number)
        return answer

    def _attempt(self, request: UnitRequest, number: int) -> UnitAnswer:
        serial = request.serial * TRIES_PER_SERIAL + number
        try:
            body = xccsp_receipt(request, serial, new_session=request.register not in self._sessions)
        except FrameError as error:
            return UnitRefused(self.unit, "invalid", _raw(error))
        try:
            self._connect()
        except (OSError, UnicodeError) as error:
            return UnitRefused(self.unit, "unreachable", _raw(error))
        try:
            answer = self._judge(request, *self._exchange(body, self._answer_timeout_s))
        except (OSError, FrameError) as error:
            answer = UnitSilent(self.unit, _raw(error))
        if isinstance(answer, UnitSilent):
            self.close()
        else:
            self._sessions.add(request.register)
        return answer

    def _judge(self, request: UnitRequest, status: int, body: bytes) -> UnitAnswer:
        """What a whole answer says about this receipt. Raises FrameError where it says nothing."""
        if status in {401, 403}:
            return UnitRefused(self.unit, "unauthorised", str(status))
        try:
            said = xccsp_answer(body)
        except FrameError:
            if 400 <= status < 500:  # the server took the blame off the unit: the receipt never reached it
                return UnitRefused(self.unit, "protocol", str(status))
            raise
        texts = said.texts
        if said.type == "Fault" and texts.get("Code", "") in REFUSALS:
            return UnitRefused(self.unit, REFUSALS[texts["Code"]], _raw(said))
        if status != 200 or said.type != "RegisterReceiptResponse":
            return UnitSilent(self.unit, _raw(said))
        if texts.get("UnitId") != self.unit:
            return UnitSilent(self.unit, f"another unit answered: {_raw(said)}")
        code = texts.get("Code", "") if request.receipt_type in CODED_TYPES else ""
        if request.receipt_type in CODED_TYPES and not is_code(code):
            return UnitSilent(self.unit, f"no code: {_raw(said)}")
        if code and not self._given.belongs(code, request):
            return UnitSilent(self.unit, f"another receipt's code: {_raw(said)}")
        return UnitCode(self.unit, code, STORAGE.get(texts.get("UnitStorageStatus", ""), "high"))

    # ------------------------------------------------------------ HTTP, as much as this needs

    def _connect(self) -> None:
        """Have a connection with nothing unread on it. Raises OSError; no byte has been sent."""
        if self._socket is not None:
            try:
                self._socket.recv(1, socket.MSG_PEEK)  # closed, or an answer that nobody asked for
                self.close()
            except BlockingIOError:
                return
            except OSError:
                self.close()
        self._socket = socket.create_connection(self._address, self._connect_timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(0)  # for good: every wait is a select against the deadline, and costs one call

    def _exchange(self, body: bytes, timeout_s: float) -> tuple[int, bytes]:
        """Send and read one answer. Raises OSError or FrameError; a byte may have been sent."""
        assert self._socket is not None
        deadline = time.monotonic() + timeout_s
        leaving = b"%s%d\r\n\r\n%s" % (self._head, len(body), body)
        while leaving := leaving[self._socket.send(leaving) :]:
            _wait(deadline, (), (self._socket,))
        answer = _Answer(self._socket, deadline)
        head = answer.until(b"\r\n\r\n", LONGEST_HEAD).decode("latin-1").lower()
        status = re.match(r"http/1\.[01] ([0-9]{3})[ \r]", head)
        if status is None:
            raise FrameError(found=clip(head))
        length = re.search(r"\r\ncontent-length: *([0-9]{1,9})\r\n", head)
        if "\r\ntransfer-encoding:" in head:
            read = answer.chunks()
        elif length:
            read = answer.exactly(int(length[1]))
        else:
            raise FrameError(found="an answer without a length")
        if "\r\nconnection: close" in head or answer.left:
            self.close()
        return int(status[1]), read


class _Answer:
    """The bytes of one answer, never more than its bounds and never after its deadline."""

    def __init__(self, source: socket.socket, deadline: float) -> None:
        self._source = source
        self._deadline = deadline
        self.left = b""

    def until(self, end: bytes, longest: int) -> bytes:
        """Everything up to and including `end`."""
        while (found := self.left.find(end)) < 0:
            if len(self.left) > longest:
                raise FrameError(found=f"{len(self.left)} bytes and no end")
            self._more()
        return self.exactly(found + len(end))

    def exactly(self, length: int) -> bytes:
        """So many bytes."""
        if length > LONGEST_BODY:
            raise FrameError(found=f"{length} bytes")
        while len(self.left) < length:
            self._more()
        taken, self.left = self.left[:length], self.left[length:]
        return taken

    def chunks(self) -> bytes:
        """A chunked body."""
        body = b""
        while size := self.until(b"\r\n", 100):
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,5}(;.*)?\r\n", size):
                raise FrameError(found="a chunk without a size")
            chunk = self.exactly(int(size.split(b";")[0], 16))
            if self.exactly(2) != b"\r\n" or len(body := body + chunk) > LONGEST_BODY:
                raise FrameError(found="a chunk without an end")
            if not chunk:
                break
        return body

    def _more(self) -> None:
        _wait(self._deadline, (self._source,), ())
        received = self._source.recv(LONGEST_BODY)
        if not received:
            raise ConnectionResetError("hung up")
        self.left += received


def _wait(deadline: float, to_read: tuple[socket.socket, ...], to_write: tuple[socket.socket, ...]) -> None:
    left_s = deadline - time.monotonic()
    if left_s <= 0 or not any(select.select(to_read, to_write, (), left_s)):
        raise TimeoutError("no answer in time")


def _raw(said: XmlAnswer | Exception) -> str:
    """What is journalled of an answer that gave no code: bounded and printable."""
    text = str(said) if isinstance(said, Exception) else f"{said.type} {said.texts}"
    return clip(text, LONGEST_RAW)
