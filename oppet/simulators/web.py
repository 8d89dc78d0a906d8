"""HTTP by hand for the simulators that pay: a server that can also misbehave, a client that knows whether anything was sent.

Keep-alive, Content-Length and nothing more. A `Reply` may be late, cut off, said twice, endless or never come at all; a real library
would not let us do that. Knows nothing of payments and imports nothing of ours.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

__all__ = ["NoAnswer", "Reply", "Request", "Server", "ask", "json_reply"]

LONGEST = 262_144  # bytes of a request
PIECE = b"A" * 65_536


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)  # names in small letters
    peer: str = ""  # the common name of the certificate the client showed


@dataclass(frozen=True, slots=True)
class Reply:
    """What to send, and how badly."""

    status: int = 200
    body: bytes = b""
    kind: str = "application/json"
    after_s: float = 0.0
    twice: bool = False
    cut: int | None = None  # bytes of the whole answer, then the connection is torn
    flood: int = 0  # so many bytes of rubbish after the body, and the header says so
    silent: bool = False  # the connection stays, and nothing comes
    headers: tuple[tuple[str, str], ...] = ()

    def head(self) -> bytes:
        length = len(self.body) + self.flood
        more = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        words = f"HTTP/1.1 {self.status} -\r\nContent-Type: {self.kind}\r\n{more}Content-Length: {length}\r\n\r\n"
        return words.encode("latin-1")


def json_reply(value: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value).encode())


Handler = Callable[[Request], Awaitable[Reply | None]]


class Server:
    """Listens on loopback; may be closed with all its connections and opened again on the same port, as a plug is pulled."""

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None = None) -> None:
        self._handler = handler
        self.tls = tls  # changed, it counts from the next `open`
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0

    async def open(self, port: int = 0) -> int:
        self._server = await asyncio.start_server(
            self._connection, "127.0.0.1", port or self.port, ssl=self.tls, limit=LONGEST
        )
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self.port

    def close(self) -> None:
        """Nothing listens any more, and every connection is torn; whoever calls from inside one loses that too."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._connections):
            if task is not asyncio.current_task():
                task.cancel()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = _common_name(writer.get_extra_info("peercert"))
            while (request := await _read(reader, peer)) is not None:
                if not await _send(writer, await self._handler(request)):
                    break
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # torn or unreadable: the connection ends, and nothing is said
        except asyncio.CancelledError:
            writer.transport.abort()  # unplugged: not even what was about to leave
        finally:
            self._connections.discard(task)
            writer.close()


def _common_name(certificate: Any) -> str:
    parts = (certificate or {}).get("subject", ())
    return next((str(value) for part in parts for name, value in part if name == "commonName"), "")


async def _read(reader: asyncio.StreamReader, peer: str = "") -> Request | None:
    """One request; None at the connection's end. Raises ValueError for what we do not speak."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length") or 0)
    if not 0 <= length <= LONGEST or "transfer-encoding" in headers:
        raise ValueError("too long, or in chunks")
    path, _, query = target.partition("?")
    return Request(method, path, query, await reader.readexactly(length), headers, peer)


async def _send(writer: asyncio.StreamWriter, reply: Reply | None) -> bool:
    """Whether the connection goes on; None for a reply tears it."""
    if reply is None:
        return False
    if reply.after_s:
        await asyncio.sleep(reply.after_s)
    if reply.silent:
        await asyncio.Event().wait()
    whole = (reply.head() + reply.body) * (2 if reply.twice else 1)
    if reply.cut is not None:
        whole = whole[: reply.cut]
    writer.write(whole)
    await writer.drain()
    for _ in range(-(-reply.flood // len(PIECE))):
        writer.write(PIECE)
        await asyncio.sleep(0)  # or we never hear that nobody takes it any more
        await writer.drain()
    return reply.cut is None and not reply.flood


class NoAnswer(Exception):  # noqa: N818 - what a device sees, not a fault of ours
    """`sent`: the question may have arrived."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__("no answer" if sent else "no connection")
        self.sent = sent


async def ask(url: str, value: object = None, wait_s: float = 5.0) -> dict[str, Any]:
    """POST a JSON value (or GET, for None) and give the JSON that is answered. Raises NoAnswer, and nothing else."""
    to = urlsplit(url)
    tls = _unchecked() if to.scheme == "https" else None
    sent = False
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(wait_s):
            reader, writer = await asyncio.open_connection(to.hostname, to.port or 80, ssl=tls)
            body = b"" if value is None else json.dumps(value).encode()
            head = f"{'GET' if value is None else 'POST'} {to.path or '/'} HTTP/1.1\r\nHost: {to.netloc}\r\n"
            writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            sent = True
            return await _answer(reader)
    except (OSError, ValueError, TimeoutError, EOFError, asyncio.LimitOverrunError):
        raise NoAnswer(sent=sent) from None
    finally:
        if writer is not None:
            writer.transport.abort()


async def _answer(reader: asyncio.StreamReader) -> dict[str, Any]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    lengths = [int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:")]
    body = await reader.readexactly(min([*lengths, LONGEST]) if lengths else 0)
    if first.split(" ")[1] != "200":
        raise ValueError(first)
    found = json.loads(body) if body else {}
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def _unchecked() -> ssl.SSLContext:
    """For a listener of the till's on the same machine: what is said there is sealed, and only progress."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
