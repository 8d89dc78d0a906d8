"""A page served on this machine alone: the socket is ours before the first line of the program runs.

A port that is taken is said in words, not in a trace. Nothing here listens beyond 127.0.0.1: the till has no door to the outside.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from oppet.base.errors import UnavailableError
from oppet.base.words import N_

__all__ = ["Listener", "PortTakenError", "listen", "serve"]

Listener = socket.socket


class PortTakenError(UnavailableError):
    sentence = N_("Port {port} on this machine is taken ({why}). Is a till running already? Else choose another port.")


def listen(port: int) -> Listener:
    """Take the port on the loopback address; 0 takes any. Raises PortTakenError."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise PortTakenError(port=port, why=getattr(error, "strerror", None) or "0–65535") from None
    return listener


class _Server(uvicorn.Server):
    """Tells the program that it is about to end, so that lines it keeps open are let go before anybody waits for them."""

    def __init__(self, config: uvicorn.Config, leave: Callable[[], None]) -> None:
        super().__init__(config)
        self._leave = leave

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._leave()
        super().handle_exit(sig, frame)


def serve(app: Any, listener: Listener, leave: Callable[[], None]) -> None:
    """Serve until told to stop (SIGINT, SIGTERM); `leave` is called first. Returns; never raises for being stopped."""
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    with contextlib.suppress(KeyboardInterrupt):
        _Server(config, leave).run(sockets=[listener])
