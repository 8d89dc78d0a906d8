"""Processes that the demo starts and ends with itself: simulators that say in one JSON line when they are ready."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from oppet.base.errors import UnavailableError
from oppet.base.words import N_

__all__ = ["Helper", "HelperDeadError"]


class HelperDeadError(UnavailableError):
    sentence = N_("The helper process {name} did not start: {reason}.")


def _die_with_parent() -> None:
    """Ask Linux to end this process when its parent is gone, however that came about (prctl PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Helper:
    """A Python module run as a process of its own; ended when the `with` block ends, or when we die."""

    def __init__(self, module: str, options: Sequence[str], wait_s: float = 10.0, *, later: bool = False) -> None:
        """`later`: go on at once; whoever first asks what it said waits for it. Raises HelperDeadError, then or now."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in a terminal is for us; we end what we started
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - before any thread of ours
        )
        self.pid = self._process.pid
        self._module, self._wait_s = module, wait_s
        self._said: dict[str, Any] | None = None
        if not later:
            self._said = self._first_line(module, wait_s)

    @property
    def said(self) -> dict[str, Any]:
        """Its first line. Raises HelperDeadError."""
        if self._said is None:
            self._said = self._first_line(self._module, self._wait_s)
        return self._said

    def _first_line(self, module: str, wait_s: float) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None
        deadline, text = time.monotonic() + wait_s, b""
        while not text.endswith(b"\n"):
            ready, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
            part = os.read(stdout.fileno(), 4096) if ready else b""
            if not part:
                code = self._ended() if ready else None
                self.end()
                reason = f"it ended with code {code}" if code is not None else f"silent for {wait_s:.0f} s"
                raise HelperDeadError(name=module, reason=reason)
            text += part
        try:
            said: dict[str, Any] = json.loads(text)
        except ValueError:
            self.end()
            raise HelperDeadError(name=module, reason="it said nothing we understand") from None
        return said

    def _ended(self) -> int | None:
        """The exit code of a process that has closed its output and is about to be gone."""
        try:
            return self._process.wait(5)
        except subprocess.TimeoutExpired:
            return None

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def finish(self, wait_s: float = 30.0) -> int:
        """Wait until it ends by itself, and give its exit code. Raises HelperDeadError when it does not."""
        try:
            return self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            raise HelperDeadError(name=str(self._process.args), reason=f"it did not end in {wait_s:.0f} s") from None

    def end(self) -> None:
        """End the process we started; kill it when it does not listen."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()
