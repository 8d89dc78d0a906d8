"""Where publications are fetched from: another machine's `/pub/`, or a folder such as a stick's. Neither is believed.

A source gives bytes for a path of the published tree, bounded in bytes, in pace and in time: the framework's own fetcher never ends
a slow drip, so both here are fetchers for it (RL7). Redirects are not followed, proxies of the environment are not asked, a
certificate that is pinned is compared before a byte of ours is sent, and on a stick only plain files under its folder are read.
What is fetched proves itself by signatures and digests; that is the caller's to check.

One caller at a time: a thread that fetches has sources of its own.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import os
import socket
import ssl
import stat
import time
from abc import abstractmethod
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    SlowRetrievalError,
)
from tuf.ngclient.fetcher import FetcherInterface

from oppet.base.errors import clip
from oppet.drivers.tls import wrapped
from oppet.drivers.wire import Line, Wire, why
from oppet.release.errors import NotPublishedError, PublicationAwayError, TargetRefusedError

__all__ = ["LIMITS", "FolderSource", "HttpSource", "Limits", "Source", "SourceAwayError", "StrangeCertificateError"]

PIECE: Final = 64 << 10
MISSING: Final = 404


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a source is waited for. A file's own size is bounded by whoever asks for it."""

    answer_s: float = 5.0  # until the first byte of an answer
    window_s: float = 3.0  # each such time of waiting has to bring `least_rate` bytes a second
    least_rate: int = 4_096
    file_s: float = 120.0  # one file in all; the caller's own deadline may be nearer


LIMITS: Final = Limits()


class SourceAwayError(DownloadError):
    """Nobody answers, or the line was cut: no sign of an attack."""


class StrangeCertificateError(SourceAwayError):
    """Somebody else's certificate: nothing was asked."""


class Source(FetcherInterface):
    """A published tree that can be read; `bytes` counts what came."""

    def __init__(self, name: str, limits: Limits = LIMITS) -> None:
        self.name = name
        self.limits = limits
        self.bytes = 0
        self._until: float | None = None

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """One deadline over everything that is fetched inside."""
        before, self._until = self._until, time.monotonic() + seconds
        try:
            yield
        finally:
            self._until = before

    def read(self, path: str, most: int) -> bytes:
        """Give a file of the tree.

        Raises NotPublishedError, PublicationAwayError, TargetRefusedError (more than `most` bytes, or too slowly).
        """
        try:
            return self.download_bytes(path, most)
        except DownloadLengthMismatchError as error:
            raise TargetRefusedError(name=path, why="endless", reason=str(error)) from None
        except SlowRetrievalError as error:
            raise TargetRefusedError(name=path, why="slow", reason=str(error)) from None
        except DownloadError as error:
            if isinstance(error, DownloadHTTPError) and error.status_code == MISSING:
                raise NotPublishedError(source=self.name, name=path) from None
            raise PublicationAwayError(source=self.name, reason=str(error)) from None

    def stream(self, path: str, most: int) -> Iterator[bytes]:
        """Give a file piece by piece. Raises tuf's DownloadError family; DownloadHTTPError with 404 where there is none."""
        came = 0
        with contextlib.closing(self._pieces(path, most)) as pieces:
            for piece in pieces:
                came += len(piece)
                self.bytes += len(piece)
                if came > most:
                    raise DownloadLengthMismatchError(f"{path}: more than {most} bytes")
                yield piece

    def download_bytes(self, url: str, max_length: int) -> bytes:
        return b"".join(self.stream(url, max_length))

    def close(self) -> None:
        """Let go of what is held open; it may be used again."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        return self.stream(url, 1 << 62)  # the framework's `download_file` counts for itself

    @abstractmethod
    def _pieces(self, path: str, most: int) -> Generator[bytes, None, None]: ...

    def _deadline(self) -> float:
        own = time.monotonic() + self.limits.file_s
        return own if self._until is None else min(own, self._until)


class FolderSource(Source):
    """A stick, or a folder of this machine. Whoever wrote it may have put links and devices there."""

    def __init__(self, name: str, folder: Path, limits: Limits = LIMITS) -> None:
        super().__init__(name, limits)
        self._folder = folder

    def _pieces(self, path: str, most: int) -> Generator[bytes, None, None]:
        deadline, began, came = self._deadline(), time.monotonic(), 0
        handle = self._opened(path)
        try:
            if (size := os.fstat(handle).st_size) > most:
                raise DownloadLengthMismatchError(f"{path}: {size} bytes, more than {most}")
            while piece := _read(handle):
                came += len(piece)
                yield piece
                now = time.monotonic()
                least = (now - began - self.limits.window_s) * self.limits.least_rate
                if now > deadline or came < least:
                    raise SlowRetrievalError(f"{path}: {came} bytes in {now - began:.1f} s")
        finally:
            os.close(handle)

    def _opened(self, path: str) -> int:
        """Open a plain file below the folder, whatever links lead elsewhere. Raises DownloadHTTPError, SourceAwayError."""
        parts = path.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise DownloadHTTPError(f"no such path: {clip(path)}", MISSING)
        try:
            handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise SourceAwayError(f"{self.name}: {why(error)}") from None
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe put there must not hold anybody
        try:
            for place, part in enumerate(parts, 1):
                below = os.open(part, flags | (os.O_DIRECTORY if place < len(parts) else 0), dir_fd=handle)
                os.close(handle)
                handle = below
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise DownloadHTTPError(f"no plain file: {clip(path)}", MISSING)
        except OSError as error:
            os.close(handle)
            if error.errno in (errno.EIO, errno.ENODEV, errno.ENXIO, errno.ESTALE):
                raise SourceAwayError(f"{self.name}: {why(error)}") from None
            raise DownloadHTTPError(f"{clip(path)}: {why(error)}", MISSING) from None
        except DownloadHTTPError:
            os.close(handle)
            raise
        return handle


class HttpSource(Source):
    """Another machine's published tree. `tls` is the SHA-256 of its certificate; without one TLS only hides the traffic."""

    def __init__(self, name: str, url: str, tls: str = "", limits: Limits = LIMITS) -> None:
        super().__init__(name, limits)
        self._url, self._tls = url, tls
        self._line: Line | None = None

    def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _pieces(self, path: str, most: int) -> Generator[bytes, None, None]:
        deadline = self._deadline()
        answer = self._answered(path, deadline)
        whole = False
        try:
            if answer.status != http.HTTPStatus.OK:
                whole = _drained(answer)
                raise DownloadHTTPError(f"{clip(path)}: HTTP {answer.status}", answer.status)
            said = answer.length  # None where the answer does not say how long it is
            if said is not None and said > most:
                raise DownloadLengthMismatchError(f"{clip(path)}: {said} bytes, more than {most}")
            came = 0
            while piece := answer.read1(PIECE):
                came += len(piece)
                yield piece
            if said is not None and came < said:
                raise SourceAwayError(f"{self.name}: cut after {came} of {said} bytes")
            whole = not answer.will_close
            answer.close()  # read to its end: the connection is free for the next question
        except TimeoutError:
            raise SlowRetrievalError(f"{clip(path)}: no end in time") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SourceAwayError(f"{self.name}: {why(error)}") from None
        finally:
            if not whole:
                answer.close()  # a line that is to close has let go of its answer, which holds the socket
                self.close()

    def _answered(self, path: str, deadline: float) -> http.client.HTTPResponse:
        """Ask on the connection that is open; one that went stale is opened anew, once."""
        line = self._line
        if line is not None:
            try:
                return self._asked(line, path, deadline)
            except SourceAwayError:
                self.close()
                if not line.stale:
                    raise
        self._line = line = self._open(deadline)
        try:
            return self._asked(line, path, deadline)
        except BaseException:
            self.close()
            raise

    def _asked(self, line: Line, path: str, deadline: float) -> http.client.HTTPResponse:
        wire = line.wire
        assert isinstance(wire, _PacedWire)
        wire.begin(deadline)
        line.stale = True
        try:
            line.request("GET", f"{line.prefix}/{_quoted(path)}", headers={"Accept-Encoding": "identity"})
            answer = line.getresponse()
        except _TooSlowError:
            line.stale = False
            raise SlowRetrievalError(f"{clip(path)}: its headers come too slowly") from None
        except TimeoutError:
            line.stale = False
            raise SourceAwayError(f"{self.name}: no answer in time") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            line.stale = not wire.answered
            raise SourceAwayError(f"{self.name}: {why(error)}") from None
        return answer

    def _open(self, deadline: float) -> Line:
        try:
            parts = urlsplit(self._url)
            host, secure = parts.hostname, parts.scheme == "https"
            port = parts.port or (443 if secure else 80)
        except ValueError:
            host, secure, port, parts = None, False, 0, urlsplit("")
        if not host or parts.scheme not in ("http", "https"):
            raise SourceAwayError(f"{self.name}: its address cannot be read")
        try:
            left = max(min(deadline - time.monotonic(), self.limits.answer_s), 0.001)
            plain = socket.create_connection((host, port), timeout=left)
            try:
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                wire = _PacedWire(self._pinned(plain, host) if secure else plain, deadline, self.limits)
            except BaseException:
                plain.close()
                raise
        except (OSError, ValueError) as error:
            raise SourceAwayError(f"{self.name}: {why(error)}") from None
        return Line(host, port, wire, parts.path.rstrip("/"))

    def _pinned(self, plain: socket.socket, host: str) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the pin says who it is, not an authority
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        secured = wrapped(context, plain, host)
        try:
            shown = hashlib.sha256(secured.getpeercert(binary_form=True) or b"").hexdigest()
            if self._tls and shown != self._tls:
                raise StrangeCertificateError(f"{self.name}: it shows another certificate than the one it is known by")
        except BaseException:
            secured.close()
            raise
        return secured


class _TooSlowError(TimeoutError):
    """Bytes come, but fewer than the least rate."""


class _PacedWire(Wire):
    """A wire that gives up when what comes is too little for the time it was waited for.

    Only waiting counts: a reader that takes its time, as one that leaves room for payments, makes nobody slow.
    """

    def __init__(self, sock: socket.socket, deadline: float, limits: Limits) -> None:
        super().__init__(sock, deadline)
        self._limits = limits
        self.begin(deadline)

    def begin(self, deadline: float) -> None:
        """A new question: until the first byte of its answer, only the time for an answer runs."""
        self.deadline = deadline
        self.answered = False
        self._waited, self._came = 0.0, 0

    def receive(self, buffer: memoryview) -> int:
        limits = self._limits
        while True:
            window = limits.window_s if self.answered else limits.answer_s
            began = time.monotonic()
            left = self.deadline - began
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(max(min(left, window - self._waited), 0.001))
            try:
                came = self._sock.recv_into(buffer)
            except TimeoutError:
                came = -1
            self._waited += time.monotonic() - began
            if came >= 0:
                if came and not self.answered:
                    self.answered, self._waited = True, 0.0
                self._came += came
            if self._waited >= window:
                if not self.answered:
                    raise TimeoutError
                if self._came < limits.least_rate * limits.window_s:
                    raise _TooSlowError
                self._waited, self._came = 0.0, 0
            if came >= 0:
                return came


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, PIECE)
    except OSError as error:
        raise SourceAwayError(why(error)) from None


def _drained(answer: http.client.HTTPResponse) -> bool:
    """Read a short refusal to its end, so that the connection can be used again; a long one is not read."""
    if answer.will_close or answer.length is None or answer.length > PIECE:
        return False
    answer.read()
    return True


def _quoted(path: str) -> str:
    return quote(path, safe="/%:@!$&'()*+,;=~")
