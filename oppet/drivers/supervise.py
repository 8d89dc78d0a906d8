"""Worker processes that share their parent's sockets, and the parent that starts again what dies.

The parent takes the ports once; a worker gets them as open files, so a port is never closed while a worker is replaced. A worker
that dies again and again is started ever more seldom. When the parent goes, however that comes about, Linux ends the workers.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from oppet.drivers.serving import Listener

__all__ = ["Supervised", "Worker", "adopt", "say_ready", "supervise"]

PROGRAM = (
    "import sys; from importlib import import_module; module, _, name = sys.argv[1].partition(':'); "
    "sys.exit(getattr(import_module(module), name)(*sys.argv[2:]))"
)
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
WELL_AFTER_S = 60.0  # a worker that ran so long begins anew with the first pause
END_S = 10.0
LOOK_S = 0.2
Tell = Callable[..., object]


def adopt(handle: int) -> Listener:
    """The listening socket that the parent left open under this number."""
    return socket.socket(fileno=handle)


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Worker:
    """One process that runs `module:function` with text arguments; its first line on standard output says it is ready."""

    def __init__(self, name: str, target: str, arguments: Sequence[str], sockets: Sequence[Listener]) -> None:
        self.name = name
        self._command = [sys.executable, "-c", PROGRAM, target, *arguments]
        self._handles = [listener.fileno() for listener in sockets]
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._not_before = 0.0
        self._pause = FIRST_PAUSE_S
        self.ready = False
        self.said: dict[str, Any] = {}

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    def look(self, tell: Tell) -> None:
        """Start it when it is due, notice when it is ready or dead. Call it now and then."""
        now = time.monotonic()
        if self._process is None:
            if now >= self._not_before:
                self._start(now)
            return
        code = self._process.poll()
        if code is not None:
            self._close()
            self._pause = FIRST_PAUSE_S if now - self._began > WELL_AFTER_S else min(self._pause * 2, LONGEST_PAUSE_S)
            self._not_before = now + self._pause
            tell("worker died", worker=self.name, code=code, again_in_s=self._pause)
        elif not self.ready:
            self._hear(tell)

    def _start(self, now: float) -> None:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            pass_fds=self._handles,
            start_new_session=True,  # Ctrl-C in a terminal is for the parent
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - the parent has one thread that starts processes
        )
        self._began, self.ready = now, False

    def _hear(self, tell: Tell) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], 0)[0]:
            return
        with contextlib.suppress(ValueError):
            said = json.loads(self._process.stdout.readline() or b"null")
            if isinstance(said, dict):
                self.said, self.ready = said, True
                tell("worker ready", worker=self.name, pid=self.pid)

    def end(self) -> None:
        """Tell it to end; `wait` afterwards."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait(self, until: float) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close()

    def _close(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        self._process, self.ready = None, False


@dataclass
class Supervised:
    """What `supervise` looks after: workers, and one thing beside them that `mend` keeps alive."""

    workers: Sequence[Worker]
    mend: Callable[[], None] = lambda: None
    ready: Callable[[], None] = lambda: None
    tell: Tell = lambda *_, **__: None
    told: threading.Event = field(default_factory=threading.Event)


def supervise(them: Supervised) -> None:
    """Run until SIGTERM or SIGINT (or `told` is set); then end the workers. Only in the main thread are signals heard."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: them.told.set())
    announced = False
    try:
        while not them.told.is_set():
            them.mend()
            for worker in them.workers:
                worker.look(them.tell)
            if not announced and all(worker.ready for worker in them.workers):
                announced = True
                them.ready()
            them.told.wait(LOOK_S)
    finally:
        for worker in them.workers:
            worker.end()
        until = time.monotonic() + END_S
        for worker in them.workers:
            worker.wait(until)


def say_ready(**facts: object) -> None:
    """A worker's first line: it serves."""
    os.write(1, json.dumps({"ready": True, **facts}).encode() + b"\n")
