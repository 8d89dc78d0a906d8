"""http.client's words on a wire of ours: one deadline over everything that is sent and read, and another thread may end it.

Whoever uses it connects, compares pins and decides what a silence means; nothing here is believed or asked again.
Keeps K2 (what comes over a wire is bounded) in time; in bytes it is the reader's to keep.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import time
from typing import Any

__all__ = ["Line", "Wire", "why"]


class Wire:
    """A socket as http.client wants it, with one deadline over everything that is sent and read."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.deadline = deadline
        self._sock = sock
        self._readers = 0
        self._left = False

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._set_timeout()
            view = view[self._sock.send(view[: 1 << 16]) :]

    def receive(self, buffer: memoryview) -> int:
        self._set_timeout()
        return self._sock.recv_into(buffer)

    def _set_timeout(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)

    def makefile(self, _mode: str) -> io.BufferedReader:
        self._readers += 1
        return io.BufferedReader(_Reader(self))

    def reader_left(self) -> None:
        self._readers -= 1
        if self._left and self._readers <= 0:
            self._sock.close()

    def close(self) -> None:
        self._left = True
        if self._readers <= 0:
            self._sock.close()

    def interrupt(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)


class _Reader(io.RawIOBase):
    def __init__(self, wire: Wire) -> None:
        self._wire: Wire | None = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        return self._wire.receive(memoryview(buffer)) if self._wire is not None else 0

    def close(self) -> None:
        wire, self._wire = self._wire, None
        super().close()
        if wire is not None:
            wire.reader_left()


class Line(http.client.HTTPConnection):
    """http.client's words on our wire; never connects by itself."""

    auto_open = 0

    def __init__(self, host: str, port: int, wire: Wire, prefix: str) -> None:
        super().__init__(host, port)
        self.wire, self.prefix = wire, prefix
        self.stale = False
        self.sock: Any = wire

    def close(self) -> None:
        super().close()
        self.wire.close()


def why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
