"""The ways a receipt leaves the till: paper or electronic, asked before the sale begins.

With no way open the next sale does not start (design §4, law 6): the law wants a receipt offered at every sale.
Leaves speaking to printers to `drivers/printer.py`. Keeps P8 (a path is asked before the sale, and says why not).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from oppet.base.errors import UnavailableError
from oppet.base.words import N_
from oppet.paper.sheet import Paper

__all__ = [
    "NoReceiptPathError",
    "PaperOutError",
    "PathKind",
    "PathState",
    "PrinterAwayError",
    "ReceiptPath",
    "first_ready",
]

PathKind = Literal["paper", "electronic"]


class PrinterAwayError(UnavailableError):
    sentence = N_("The printer {name} does not answer ({why}). Check its cable and power.")


class PaperOutError(UnavailableError):
    sentence = N_("The printer {name} has no paper, or its cover is open. Put in a new roll.")


class NoReceiptPathError(UnavailableError):
    sentence = N_("No receipt can be given: {why}. The next sale waits for a printer or an electronic receipt.")


class PathState(msgspec.Struct, frozen=True):
    """`why` is our word: ready, paper_out, cover_open, offline, error, away. `low`: the roll is near its end."""

    ready: bool
    why: str = "ready"
    low: bool = False


class ReceiptPath(Protocol):
    """A printer or a screen. None of its calls takes longer than the time its driver states."""

    name: str
    kind: PathKind

    def ready(self) -> PathState:
        """Ask now; never raises."""
        ...

    def print(self, paper: Paper) -> None:
        """Put the sheet out. Raises PrinterAwayError or PaperOutError; what came out before that is not known."""
        ...

    def open_drawer(self) -> None:
        """Pulse the cash drawer; a path without one does nothing. Raises PrinterAwayError."""
        ...


def first_ready(paths: Sequence[ReceiptPath]) -> ReceiptPath:
    """The first path that is ready, in the order configured. Raises NoReceiptPathError."""
    whys = []
    for path in paths:
        state = path.ready()
        if state.ready:
            return path
        whys.append(f"{path.name}: {state.why}")
    raise NoReceiptPathError(why=", ".join(whys) or "–")
