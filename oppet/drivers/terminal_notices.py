"""The ear for a terminal's display notifications: how far the customer is, for the page alone.

A till has no door to the outside, so this listens on the machine itself: for a terminal that is a part of it, or behind a relay of the
chain's own. Who speaks must seal with the terminal's key; what is said never counts for money. One connection at a time, bounded in bytes
and in time: whoever holds it delays a word on a page, and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer

from oppet.drivers.serving import PortTakenError

__all__ = ["LARGEST_NOTICE", "NoticePort"]

LARGEST_NOTICE = 64 << 10


class NoticePort:
    """Hands every notification's bytes to `take`, which says whether it was one."""

    def __init__(self, port: int, take: Callable[[bytes], bool]) -> None:
        """Listen on the loopback address; 0 takes any port. Raises PortTakenError."""
        try:
            self._server = _Server(("127.0.0.1", port), type("_Here", (_Notice,), {"take": staticmethod(take)}))
        except (OSError, OverflowError) as error:
            raise PortTakenError(port=port, why=getattr(error, "strerror", None) or "0–65535") from None
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="notices", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(3.0)


class _Server(HTTPServer):
    def handle_error(self, *_: object) -> None:
        """A stranger that hangs up is nobody's error."""


class _Notice(BaseHTTPRequestHandler):
    timeout = 2.0
    take: Callable[[bytes], bool]

    def do_POST(self) -> None:
        said = self.headers.get("Content-Length", "")
        length = int(said) if said.isascii() and said.isdigit() and len(said) < 9 else 0
        self.close_connection = True
        if not 0 < length <= LARGEST_NOTICE:
            self._answer(413 if length else 411)
            return
        try:
            data = self.rfile.read(length)
        except OSError:
            return
        self._answer(200 if len(data) == length and self.take(data) else 400)

    def _answer(self, status: int) -> None:
        body = b'{"ok":true}' if status == 200 else b"{}"
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing of what a stranger sends is logged."""
