"""Swish over mutual TLS, from the store node: short calls with one deadline each, by whichever way out answers.

A way is a base address, and if need be this machine's address to leave from (a second carrier) or a proxy. A call goes by the first
way that is well; where nothing was sent yet it goes on to the next, and a question goes on in any case. The certificate files are
read again when they change; two lie side by side while one is exchanged, and one that Swish refuses yields to the other.
Every answer is bounded in size and time. What it means is `payments/swish.py`'s and `swish_desk.py`'s. Keeps PT5 (the right peer: the
server's certificate is checked against the authorities named) and law 7 (no answer is logged, and no error quotes one).
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import ssl
import stat
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from oppet.base.errors import UnavailableError, UntrustedError
from oppet.base.words import N_
from oppet.drivers.clock import SystemClock
from oppet.drivers.tls import wrapped
from oppet.payments.swish import CANCEL, LARGEST_ANSWER, choose_certificate

__all__ = ["Reply", "SwishAwayError", "SwishCertificateError", "SwishClient", "SwishSilentError", "Way"]

TIMEOUT_S = 4.0  # a whole call
CONNECT_S = 2.0  # of it, for reaching one way
LARGEST_HEAD = 16 << 10
LARGEST_CERTIFICATE = 64 << 10
IDLE = 6  # connections kept open
IDLE_S = 20.0  # and no longer than this
REST_S = (2.0, 4.0, 8.0, 15.0, 30.0)  # a way that failed is left alone so long, where another is well
RELOAD_S = 30.0
DAY_MS = 86_400_000
JSON, PATCH = "application/json", "application/json-patch+json"
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?\Z")


class SwishAwayError(UnavailableError):
    """Swish was not reached: it has certainly not got the question."""

    sentence = N_("Swish does not answer ({why}).")


class SwishSilentError(UnavailableError):
    sentence = N_("Swish may have got the question and has not answered ({why}).")


class SwishCertificateError(UntrustedError):
    sentence = N_("The Swish certificate {file} cannot be used: {why}.")


@dataclass(frozen=True, slots=True)
class Way:
    """One way out. `source`: the address of this machine to leave from; `proxy`: `host:port` of a proxy that connects through."""

    url: str
    source: str = ""
    proxy: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes = b""
    location: str = ""
    token: str = ""


@dataclass(slots=True)
class _Way:
    way: Way
    host: str
    port: int
    prefix: str
    fails: int = 0
    rests_until: float = 0.0
    address: str = ""  # the host's, as last looked up
    idle: list[tuple[float, _Line]] = field(default_factory=list)


@dataclass(slots=True)
class _Paper:
    """One of our certificates, as its file was when last read."""

    path: Path
    read: tuple[int, int] = (0, 0)  # mtime and size
    begins: int = 0
    ends: int = 0
    context: ssl.SSLContext | None = None
    refused: bool = False  # by Swish, since it was read
    wrong: str = ""


class SwishClient:
    """Any thread may call; each call has a connection of its own."""

    def __init__(
        self,
        *,
        ways: Sequence[Way],
        certificates: Sequence[Path],
        authorities: Path | None = None,
        timeout_s: float = TIMEOUT_S,
        clock: SystemClock | None = None,
    ) -> None:
        """`certificates`: one or two PEM files with certificate and key, mode 0600. `authorities`: whom to believe as Swish; the
        machine's own list where there is none. Raises SwishCertificateError when none of the files can be used at all."""
        self._clock = clock or SystemClock()
        self._timeout_s = timeout_s
        self._authorities = authorities
        self._guard = threading.Lock()
        self._closed = False
        self._papers = [_Paper(path) for path in certificates]
        self._looked = 0.0
        self._ways = [_parsed(way) for way in ways]
        self._load()
        if not any(paper.context is not None for paper in self._papers):
            first = self._papers[0]
            raise SwishCertificateError(file=str(first.path), why=first.wrong)

    # --- what may be asked

    def create(self, request: str, body: bytes) -> Reply:
        return self._call("PUT", f"v2/paymentrequests/{request}", body, JSON)

    def see(self, request: str) -> Reply:
        return self._call("GET", f"v1/paymentrequests/{request}")

    def cancel(self, request: str) -> Reply:
        return self._call("PATCH", f"v1/paymentrequests/{request}", CANCEL, PATCH)

    def refund(self, request: str, body: bytes) -> Reply:
        return self._call("PUT", f"v2/refunds/{request}", body, JSON)

    def see_refund(self, request: str) -> Reply:
        return self._call("GET", f"v1/refunds/{request}")

    def certificate_days(self) -> int:
        """How many whole days the best of our certificates is still valid; negative when all have ended."""
        self._load()
        ends = max((paper.ends for paper in self._papers if paper.context is not None), default=0)
        return (ends - self._clock.now()) // DAY_MS

    def way(self) -> int:
        """Which way the next call takes first; 0 is the first of the settings."""
        with self._guard:
            return self._ways.index(self._in_order()[0])

    def close(self) -> None:
        """Let every connection go; a call under way ends by its own deadline."""
        self._closed = True
        with self._guard:
            lines = [line for way in self._ways for _, line in way.idle]
            for way in self._ways:
                way.idle.clear()
        for line in lines:
            line.close()

    # --- a call

    def _call(self, method: str, path: str, body: bytes = b"", kind: str = "") -> Reply:
        """One exchange, by the ways in order. Raises SwishAwayError, SwishSilentError, SwishCertificateError."""
        deadline = time.monotonic() + self._timeout_s
        self._load()
        with self._guard:
            ways = self._in_order()
        last: SwishAwayError | SwishSilentError = SwishAwayError(why="no way")
        sent = False
        for way in ways:
            if time.monotonic() >= deadline or self._closed:
                break
            try:
                reply = self._by(way, method, path, body, kind, deadline)
            except (SwishAwayError, SwishSilentError) as error:
                self._rest(way)
                last, sent = error, sent or isinstance(error, SwishSilentError)
                if isinstance(error, SwishSilentError) and method != "GET":
                    break  # it may have been done: what became of it is asked, not done again by another way
                continue
            with self._guard:
                way.fails, way.rests_until = 0, 0.0
            return reply
        why = str(last.facts["why"])
        raise SwishSilentError(why=why) if sent else SwishAwayError(why=why)

    def _by(self, way: _Way, method: str, path: str, body: bytes, kind: str, deadline: float) -> Reply:
        """By one way: over a connection that is open, else over a new one. A new one is tried with each certificate that fits."""
        head = f"{method} {way.prefix}{path} HTTP/1.1\r\nHost: {way.host}\r\nAccept: {JSON}\r\n"
        if body:
            head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        data = f"{head}\r\n".encode("latin-1") + body
        line = self._taken(way)
        if line is not None:
            try:
                return self._over(way, line, data, deadline)
            except SwishSilentError:
                if method != "GET" or not line.stale:
                    raise  # a question goes out once more: the connection was closed just when it left
        refused: SwishCertificateError | SwishSilentError | None = None
        for paper in self._fitting():
            line = self._opened(way, paper, deadline)
            try:
                reply = self._over(way, line, data, deadline)
            except SwishCertificateError as error:
                refused = error
            except SwishSilentError as error:
                if method != "GET" or not line.stale:
                    raise
                refused = error  # shut without a word: that is how some servers refuse a certificate
            else:
                paper.refused = False
                return reply
            paper.refused = True
        assert refused is not None
        raise refused

    def _over(self, way: _Way, line: _Line, data: bytes, deadline: float) -> Reply:
        keep = False
        try:
            line.deadline = deadline
            line.stale = True
            line.send(data)
            reply, keep = line.read()
        except TimeoutError:
            line.stale = False
            raise SwishSilentError(why="no answer in time") from None
        except ssl.SSLError as error:
            if "ALERT" in str(error.reason) and line.paper is not None:
                line.paper.refused = True
                raise SwishCertificateError(file=str(line.paper.path), why="Swish refuses it") from None
            raise SwishSilentError(why=_why(error)) from None
        except (OSError, ValueError) as error:
            raise SwishSilentError(why=_why(error)) from None
        finally:
            if keep and not self._closed:
                self._put_back(way, line)
            else:
                line.close()
        return reply

    # --- connections

    def _in_order(self) -> list[_Way]:
        """The ways that are well as the settings name them, then those that rest, the first to wake up first."""
        now = time.monotonic()
        return sorted(self._ways, key=lambda way: (max(way.rests_until - now, 0.0), self._ways.index(way)))

    def _rest(self, way: _Way) -> None:
        with self._guard:
            way.rests_until = time.monotonic() + REST_S[min(way.fails, len(REST_S) - 1)]
            way.fails += 1

    def _taken(self, way: _Way) -> _Line | None:
        """A connection that is open and silent."""
        while True:
            with self._guard:
                if not way.idle:
                    return None
                since, line = way.idle.pop()
            if time.monotonic() - since < IDLE_S and line.quiet() and line.paper is not None and not line.paper.refused:
                return line
            line.close()

    def _put_back(self, way: _Way, line: _Line) -> None:
        with self._guard:
            if len(way.idle) < IDLE and not self._closed:
                way.idle.append((time.monotonic(), line))
                return
        line.close()

    def _opened(self, way: _Way, paper: _Paper, deadline: float) -> _Line:
        """Connect and shake hands. Nothing is sent yet. Raises SwishAwayError, SwishCertificateError."""
        assert paper.context is not None
        until = min(deadline, time.monotonic() + CONNECT_S)
        plain: socket.socket | None = None
        try:
            plain = self._reached(way, until)
            plain.settimeout(max(until - time.monotonic(), 0.001))
            return _Line(wrapped(paper.context, plain, way.host), paper)
        except ssl.SSLCertVerificationError as error:
            raise SwishAwayError(why=f"not Swish: {error.verify_message}") from None
        except ssl.SSLError as error:
            if "ALERT" in str(error.reason):
                paper.refused = True
                raise SwishCertificateError(file=str(paper.path), why="Swish refuses it") from None
            raise SwishAwayError(why=_why(error)) from None
        except (OSError, ValueError) as error:
            raise SwishAwayError(why=_why(error)) from None
        finally:
            if plain is not None and plain.fileno() >= 0:
                plain.close()  # the secured socket has taken the handle over where it was made

    def _reached(self, way: _Way, until: float) -> socket.socket:
        """A connection to Swish, or to the proxy that leads there."""
        left = max(until - time.monotonic(), 0.001)
        source = (way.way.source, 0) if way.way.source else None
        if way.way.proxy:
            host, _, port = way.way.proxy.rpartition(":")
            plain = socket.create_connection((host, int(port)), timeout=left, source_address=source)
            try:
                plain.sendall(
                    f"CONNECT {way.host}:{way.port} HTTP/1.1\r\nHost: {way.host}:{way.port}\r\n\r\n".encode("latin-1")
                )
                said = b""
                while b"\r\n\r\n" not in said and len(said) < LARGEST_HEAD and time.monotonic() < until:
                    part = plain.recv(4096)
                    if not part:
                        break
                    said += part
                if not re.match(rb"HTTP/1\.[01] 200", said):
                    raise OSError("the proxy does not connect")
            except BaseException:
                plain.close()
                raise
            return plain
        made = socket.create_connection((self._address(way), way.port), timeout=left, source_address=source)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    @staticmethod
    def _address(way: _Way) -> str:
        """The host's address. One that was found before does when names are not answered for."""
        try:
            found = socket.getaddrinfo(way.host, way.port, type=socket.SOCK_STREAM)
        except OSError:
            if not way.address:
                raise
            return way.address
        way.address = str(found[0][4][0])
        return way.host

    # --- our certificates

    def _fitting(self) -> list[_Paper]:
        """What to show, the best first. Raises SwishCertificateError when nothing is valid."""
        usable = [paper for paper in self._papers if paper.context is not None]
        order = choose_certificate(self._clock.now(), [(paper.begins, paper.ends) for paper in usable])
        found = sorted((usable[place] for place in order), key=lambda paper: paper.refused)
        if not found:
            raise SwishCertificateError(file=str(self._papers[0].path), why=self._papers[0].wrong or "it has ended")
        return found

    def _load(self) -> None:
        """Read what is new; what is wrong with a file is said and the other one goes on."""
        now = time.monotonic()
        with self._guard:
            if self._looked and now - self._looked < RELOAD_S:
                return
            self._looked = now
            for paper in self._papers:
                self._load_one(paper)

    def _load_one(self, paper: _Paper) -> None:
        try:
            state = paper.path.stat()
            mark = (state.st_mtime_ns, state.st_size)
            if mark == paper.read and paper.context is not None:
                return
            if stat.S_IMODE(state.st_mode) & 0o077:
                raise ValueError("others than its owner may read it (it wants mode 0600)")
            if state.st_size > LARGEST_CERTIFICATE:
                raise ValueError("it is too large")
            certificate = x509.load_pem_x509_certificate(paper.path.read_bytes())
            context = ssl.create_default_context(
                cafile=str(self._authorities) if self._authorities is not None else None
            )
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(paper.path, password=lambda: b"")
        except (OSError, ValueError, ssl.SSLError) as error:
            paper.wrong, paper.context = _why(error), None
            return
        paper.read, paper.context, paper.refused, paper.wrong = mark, context, False, ""
        paper.begins = int(certificate.not_valid_before_utc.timestamp() * 1000)
        paper.ends = int(certificate.not_valid_after_utc.timestamp() * 1000)


class _Line:
    """One connection, and HTTP/1.1 on it by hand: a head that is cut off is no head, and nothing is read beyond its bounds."""

    def __init__(self, secured: ssl.SSLSocket, paper: _Paper | None) -> None:
        self.paper = paper
        self.deadline = 0.0
        self.stale = False  # nothing has come since the last question went out
        self._socket = secured
        self._buffer = b""

    def quiet(self) -> bool:
        """Whether it is open and nobody has said anything unasked."""
        if self._buffer or self._socket.pending():
            return False
        readable, _, _ = select.select([self._socket], [], [], 0)
        return not readable

    def send(self, data: bytes) -> None:
        self._wait()
        self._socket.sendall(data)

    def read(self) -> tuple[Reply, bool]:
        """The answer, and whether the connection can go on. Raises OSError, ValueError."""
        first, *lines = self._until(b"\r\n\r\n", LARGEST_HEAD).split(b"\r\n")
        found = _STATUS.match(first)
        if found is None:
            raise ValueError("its answer cannot be read")
        status = int(found[1])
        if status < 200:
            raise ValueError("its answer cannot be read")
        headers = {name.strip().lower().decode("latin-1"): value.strip().decode("latin-1")
                   for name, _, value in (line.partition(b":") for line in lines[:100])}  # fmt: skip
        body, bounded = self._body(status, headers)
        keep = bounded and not self._buffer and headers.get("connection", "").lower() != "close"
        return Reply(status, body, headers.get("location", ""), headers.get("paymentrequesttoken", "")), keep

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def _body(self, status: int, headers: Mapping[str, str]) -> tuple[bytes, bool]:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._chunks(), True
        said = headers.get("content-length", "")
        if said:
            if not re.fullmatch("[0-9]{1,10}", said) or int(said) > LARGEST_ANSWER:
                raise ValueError("its answer is too large")
            return self._take(int(said)), True
        if status in (204, 304):
            return b"", True
        raise ValueError("its answer has no end")

    def _chunks(self) -> bytes:
        body = b""
        while True:
            said = self._until(b"\r\n", 64).partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,6}", said):
                raise ValueError("its answer cannot be read")
            size = int(said, 16)
            if len(body) + size > LARGEST_ANSWER:
                raise ValueError("its answer is too large")
            body += self._take(size)
            if self._until(b"\r\n", 64 if size else LARGEST_HEAD):
                raise ValueError("its answer cannot be read")
            if not size:
                return body

    def _until(self, mark: bytes, most: int) -> bytes:
        while mark not in self._buffer:
            if len(self._buffer) > most:
                raise ValueError("its answer is too large")
            self._more()
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _more(self) -> None:
        self._wait()
        part = self._socket.recv(16_384)
        if not part:
            raise OSError("the connection ended before the answer did")
        self.stale = False
        self._buffer += part

    def _wait(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)


def _parsed(way: Way) -> _Way:
    parts = urlsplit(way.url)
    prefix = parts.path if parts.path.endswith("/") else f"{parts.path}/"
    return _Way(way, parts.hostname or "", parts.port or 443, prefix)


def _why(error: Exception) -> str:
    """In a few words, and never in the words of an answer."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return str(error.reason or "TLS").replace("_", " ").lower()[:60]
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else "its name is not found"
    return str(error)[:60]
