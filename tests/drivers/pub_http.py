"""A published tree over real HTTP on loopback, and what a machine in between may do with it: drip, flood, cut, redirect, replay."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from oppet.drivers import tls

__all__ = ["Tree", "Twist", "chunked", "cut", "drip", "flood", "redirect", "says", "serving"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        tree = self.server.tree  # type: ignore[attr-defined]
        path = unquote(self.path).removeprefix("/pub/")
        tree.asked.append(path)
        twist = next((twist for end, twist in tree.twists.items() if path.endswith(end)), None)
        if twist is not None:
            with contextlib.suppress(OSError):
                twist(self)
            return
        place = tree.base / path
        if place.is_file():
            self.give(place.read_bytes())
        else:
            self.give(b"no such file", 404)

    def give(self, data: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


Twist = Callable[[Handler], None]


class Tree:
    """What is served, what is done to paths with an ending, and what was asked for."""

    def __init__(self, url: str, base: Path) -> None:
        self.url, self.base = url, base
        self.twists: dict[str, Twist] = {}
        self.asked: list[str] = []
        self.pin = ""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    tree: Tree

    def handle_error(self, *_: object) -> None:
        """A client that has gone is its own affair."""


@contextlib.contextmanager
def serving(base: Path, certificate: Path | None = None) -> Iterator[Tree]:
    """Serve a tree at `/pub/` until the end of the block."""
    server = _Server(("127.0.0.1", 0), Handler)
    scheme, pin = "http", ""
    if certificate is not None:
        scheme, pin = "https", tls.load_or_make(certificate)
        server.socket = tls.server_context(certificate).wrap_socket(server.socket, server_side=True)
    server.tree = Tree(f"{scheme}://127.0.0.1:{server.server_port}/pub", base)
    server.tree.pin = pin
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.tree
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def says(data: bytes, status: int = 200) -> Twist:
    return lambda handler: handler.give(data, status)


def redirect(to: str) -> Twist:
    return lambda handler: handler.give(b"", 302, Location=to)


def drip(pause_s: float, piece: bytes = b"{", pieces: int = 1000) -> Twist:
    """Byte by byte, with the promise of more."""

    def twist(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(piece) * pieces))
        handler.end_headers()
        for _ in range(pieces):
            handler.wfile.write(piece)
            handler.wfile.flush()
            time.sleep(pause_s)

    return twist


def flood(size: int = 10 << 20) -> Twist:
    """More than anybody signed for, without saying how much: in pieces, until the reader goes."""
    return chunked(b"x" * 65536, size // 65536)


def chunked(piece: bytes, pieces: int) -> Twist:
    def twist(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for _ in range(pieces):
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")

    return twist


def cut(data: bytes, after: int) -> Twist:
    """The line dies in the middle of an answer."""

    def twist(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:after])
        handler.close_connection = True

    return twist
