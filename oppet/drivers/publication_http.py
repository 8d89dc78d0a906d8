"""The published tree at `/pub/`: read only, plain files only, to anybody who asks.

What is in it is public to every till and proves itself (RL13), so nobody is asked who they are. Only names that the tree can have are
looked for; every step is opened by itself and no link is followed. So many answers at once and no more, each with a least pace,
so that slow readers hold neither memory nor the keeper's port beside it.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["PREFIX", "Publications", "Readers", "beside"]

PREFIX: Final = "/pub/"
PIECE: Final = 64 << 10
LONGEST_PATH: Final = 400
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,159}"
_PATH: Final = re.compile(
    rf"(?:(?:vendor|chain|store/[A-Za-z0-9-]{{1,16}})/(?:metadata/{_NAME}\.json|targets/(?:{_NAME}/){{0,3}}{_NAME})"
    r"|chunks/[0-9a-f]{2}/[0-9a-f]{64}|patches/[0-9a-f]{16}-[0-9a-f]{16}\.zst)"
)
_HALF: Final = re.compile(r"\.new[0-9]*\Z|\.part\Z")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Readers:
    """How many may read at once, and how slowly."""

    most: int = 128
    of_one_peer: int = 24
    grace_s: float = 10.0
    slowest_bytes_s: int = 8_192


class Publications:
    """The ASGI application. `close` when the server has stopped."""

    def __init__(self, tree: Path, readers: Readers | None = None) -> None:
        self._tree, self._readers = tree, readers or Readers()
        self._now: Counter[str] = Counter()
        self._pool = ThreadPoolExecutor(2, "publications")
        self.answered = self.bytes = 0

    def close(self) -> None:
        """Twice does no harm."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        if scope["type"] != "http":
            return
        if scope["method"] not in ("GET", "HEAD"):
            await _say(send, 405, ((b"allow", b"GET, HEAD"),))
            return
        peer, readers = (scope.get("client") or ("?",))[0], self._readers
        if self._now.total() >= readers.most or self._now[peer] >= readers.of_one_peer:
            await _say(send, 503, ((b"retry-after", b"1"),))
            return
        self._now[peer] += 1
        try:
            await self._serve(scope, send)
        finally:
            self._now[peer] -= 1
            if not self._now[peer]:
                del self._now[peer]

    async def _serve(self, scope: Scope, send: Send) -> None:
        loop = asyncio.get_running_loop()
        path = _path_of(scope)
        found = await loop.run_in_executor(self._pool, self._opened, path) if path else None
        if found is None:
            await _say(send, 404)
            return
        handle, size, data = found
        try:
            patience = self._readers.grace_s + size / self._readers.slowest_bytes_s
            async with asyncio.timeout(patience):
                await self._send(send, handle, size, data, whole=scope["method"] == "GET")
        except TimeoutError:
            scope.get("oppet.abort", lambda: None)()  # what lies in its buffer would wait for ever (drivers/serving.py)
        finally:
            os.close(handle)

    async def _send(self, send: Send, handle: int, size: int, data: bytes, *, whole: bool) -> None:
        lasting = b"no-cache" if size == 0 or not whole else b"public, max-age=60"
        headers = [
            (b"content-type", b"application/octet-stream"),
            (b"content-length", b"%d" % size),
            (b"cache-control", lasting),
            (b"x-content-type-options", b"nosniff"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        self.answered += 1
        if not whole:
            await send({"type": "http.response.body", "body": b""})
            return
        sent, loop = 0, asyncio.get_running_loop()
        while True:
            sent += len(data)
            self.bytes += len(data)
            more = sent < size
            await send({"type": "http.response.body", "body": data, "more_body": more})
            if not more:
                return
            data = await loop.run_in_executor(self._pool, os.pread, handle, min(PIECE, size - sent), sent)
            if not data:
                return  # it became shorter: the reader sees that bytes are missing

    def _opened(self, path: str) -> tuple[int, int, bytes] | None:
        """The file with its size and its first piece; None for whatever is not a plain file of the tree."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        handle = -1
        try:
            handle = os.open(self._tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            parts = path.split("/")
            for place, part in enumerate(parts, 1):
                below = os.open(part, flags | (os.O_DIRECTORY if place < len(parts) else 0), dir_fd=handle)
                os.close(handle)
                handle = below
            told = os.fstat(handle)
            if stat.S_ISREG(told.st_mode):
                return handle, told.st_size, os.pread(handle, min(PIECE, told.st_size), 0)
        except OSError:
            pass
        if handle >= 0:
            os.close(handle)
        return None


def _path_of(scope: Scope) -> str:
    """The path inside the tree, or "" for a name that it cannot have. What was escaped in the address is taken as it came."""
    raw = scope.get("raw_path") or scope["path"].encode()
    if len(raw) > LONGEST_PATH or not raw.startswith(PREFIX.encode()):
        return ""
    path = raw[len(PREFIX) :].decode("ascii", errors="replace")
    return path if _PATH.fullmatch(path) and ".." not in path and not _HALF.search(path) else ""


async def _say(send: Send, status: int, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def beside(app: Any, publications: Publications) -> Any:
    """One program of two: `/pub/` is the tree, everything else is `app`'s as it was."""

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            await publications(scope, receive, send)
        else:
            await app(scope, receive, send)

    return both
