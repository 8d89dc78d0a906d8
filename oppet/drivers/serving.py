"""Services of one process: each socket is ours before the first line of the program runs.

A port that is taken is said in words, not in a trace. A till listens on 127.0.0.1 alone and has no door to the outside; a keeper's
port may be bound to another address, and is then guarded: headers are bounded in bytes and time, connections in number.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import socket
import threading
from asyncio.events import TimerHandle
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from oppet.base.errors import UnavailableError
from oppet.base.words import N_
from oppet.drivers.tls import server_context

__all__ = ["Guard", "Listener", "PortTakenError", "Service", "listen", "serve", "serve_all"]

Listener = socket.socket
_OWN_FILES = 1024  # journals, their logs and locks, libraries


class PortTakenError(UnavailableError):
    sentence = N_("Port {port} on this machine is taken ({why}). Is a till running already? Else choose another port.")


@dataclass(frozen=True, slots=True)
class Guard:
    """What a port open to other machines allows before a request is known."""

    connections: int = 2000  # in all; above it a request is answered 503
    peer_connections: int = 1000  # from one address; above it a connection is closed at once
    head_bytes: int = 32 << 10
    head_s: float = 10.0
    idle_s: int = 75  # a sender's connection lives from one beat to the next


@dataclass(frozen=True, slots=True)
class Service:
    """One program behind one socket, with TLS where a certificate file is named."""

    app: Any
    listener: Listener
    certificate: Path | None = None
    guard: Guard | None = None


def listen(port: int, host: str = "127.0.0.1") -> Listener:
    """Take the port on the loopback address, or on `host`; 0 takes any. Raises PortTakenError."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024 if host != "127.0.0.1" else 128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise PortTakenError(port=port, why=getattr(error, "strerror", None) or "0–65535") from None
    return listener


def serve(app: Any, listener: Listener, leave: Callable[[], None]) -> None:
    """Serve until told to stop (SIGINT, SIGTERM); `leave` is called first. Returns; never raises for being stopped."""
    serve_all([Service(app, listener)], leave)


def serve_all(
    services: Sequence[Service],
    leave: Callable[[], None],
    ready: Callable[[], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Serve all of them in one loop until SIGINT or SIGTERM (or, in another thread than the main one, until `stop` is set).

    `ready` is called when every one of them answers, `leave` before the lines they keep open are let go. Returns; never
    raises for being stopped.
    """
    _make_room(sum(service.guard.connections for service in services if service.guard is not None))
    configs = [_config(service) for service in services]
    servers = [_Server(config) for config in configs]

    def end(*_: object) -> None:
        leave()
        for server in servers:
            server.force_exit = server.should_exit  # told a second time: nothing is waited for
            server.should_exit = True

    async def all_of_them() -> None:
        pairs = zip(servers, services, strict=True)
        tasks = [asyncio.create_task(server.serve([service.listener])) for server, service in pairs]
        watching = asyncio.create_task(_watch(servers, ready, stop, end))
        try:
            await asyncio.gather(*tasks)
        finally:
            watching.cancel()

    with _told(end), asyncio.Runner(loop_factory=configs[0].get_loop_factory()) as runner:
        runner.run(all_of_them())


def _make_room(connections: int) -> None:
    """Allow ourselves as many open files as connections may take, so that strangers never take a journal's place."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OWN_FILES if connections else 0
    if soft != resource.RLIM_INFINITY and wanted > soft:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


async def _watch(
    servers: Sequence[_Server],
    ready: Callable[[], None] | None,
    stop: threading.Event | None,
    end: Callable[[], None],
) -> None:
    for server in servers:
        await server.up.wait()
    if ready is not None:
        ready()
    if stop is not None:
        while not stop.is_set():  # noqa: ASYNC110 - it is set in another thread
            await asyncio.sleep(0.05)
        end()


class _Server(uvicorn.Server):
    """Leaves signals to `serve_all`: several servers share them, and the program ends in order afterwards."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@contextlib.contextmanager
def _told(end: Callable[..., None]) -> Generator[None, None, None]:
    """Call `end` for SIGINT and SIGTERM; in another thread than the main one there are none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _config(service: Service) -> uvicorn.Config:
    certificate, guard = service.certificate, service.guard
    return uvicorn.Config(
        service.app,
        log_level="warning" if guard is None else "critical",  # what strangers send is counted, not logged line by line
        access_log=False,
        timeout_graceful_shutdown=2,
        http="auto" if guard is None else guarded(guard),
        ws="auto" if guard is None else "none",
        limit_concurrency=None if guard is None else guard.connections,
        timeout_keep_alive=5 if guard is None else guard.idle_s,
        proxy_headers=guard is None,  # a keeper's peer is who connected, whatever it writes in a header
        server_header=guard is None,
        ssl_context_factory=None if certificate is None else lambda *_: server_context(certificate),
    )


def guarded(guard: Guard) -> type[HttpToolsProtocol]:
    """The HTTP protocol with these bounds on what comes before a request is known, counted for one service."""
    return type("GuardedHere", (_Guarded,), {"guard": guard, "peers": Counter()})


class _Guarded(HttpToolsProtocol):
    guard: ClassVar[Guard]
    peers: ClassVar[Counter[str]]
    _head = 0  # bytes of the request's head so far; -1 behind it
    _timer: TimerHandle | None = None
    _peer = ""
    _over = False  # nothing more is read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._peer = self.client[0] if self.client else "?"
        self.peers[self._peer] += 1
        if self.peers[self._peer] > self.guard.peer_connections:
            transport.abort()
            return
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self.peers[self._peer] -= 1
        if not self.peers[self._peer]:
            del self.peers[self._peer]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        if self._head >= 0:
            self._head += len(data)
        super().data_received(data)
        if self._head > self.guard.head_bytes:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["oppet.abort"] = self.transport.abort  # type: ignore[typeddict-unknown-key]
        self._head = 0
        self._start_timer()

    def on_headers_complete(self) -> None:
        self._head = -1
        self._stop_timer()
        if any(name == b"transfer-encoding" for name, _ in self.headers):  # its trailers know no bound
            self._over = True
            self.send_400_response("Say how long it is.")
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._over:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._over:
            super().on_message_complete()

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.guard.head_s, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        self.transport.abort()
