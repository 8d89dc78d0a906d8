"""The customer's window: what is bought, what to pay, what comes back; told by the till, never asking it for anything.

A bell rings after each deed; each open window then gets the basket as one server-sent event. Shows no staff and no member (W8).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from oppet.drivers.words import sayer
from oppet.register.state import NORMAL
from oppet.till import views, views_tenders
from oppet.till.web_counter import Counter

__all__ = ["Bell", "display_about", "display_events", "page_events"]

MOST_SHOWN = 8  # the newest lines; the sum says the rest
MOST_WINDOWS = 8
SILENCE_S = 15.0  # a comment so often keeps a quiet line open


class Bell:
    """Wakes every listening window, from whatever thread a deed ran in."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._windows: set[asyncio.Event] = set()
        self.over = False

    async def begin(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.over = False

    async def end(self) -> None:
        self.over = True
        self._wake()

    def close(self) -> None:
        """The till is about to end: every window's line is let go, so that nobody waits for it."""
        self.over = True
        self.ring()

    def ring(self) -> None:
        if self._loop is not None and self._windows and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for window in self._windows:
            window.set()

    def listen(self) -> asyncio.Event:
        """Raises nothing: one window too many takes the place of another."""
        if len(self._windows) >= MOST_WINDOWS:
            self._windows.pop()
        window = asyncio.Event()
        self._windows.add(window)
        return window

    def leave(self, window: asyncio.Event) -> None:
        self._windows.discard(window)


def display_about(counter: Counter) -> dict[str, Any]:
    """What the customer sees now."""
    desktop, state, basket = counter.desktop, counter.till.desk.state, counter.basket()
    say = sayer(counter.language)
    lines: list[views.LineView] = []
    if basket is not None:
        lines = [views.line_view(priced, say) for priced in counter.till.desk.priced(basket).lines]
    done = basket is None and desktop.pane == "done"
    return {
        "lines": lines[-MOST_SHOWN:],
        "more": max(0, len(lines) - MOST_SHOWN),
        "tender": views_tenders.open_tender(counter.till, basket, say),
        "done": done,
        "change_ore": state.last_change_ore if done else 0,
        "paid_ore": state.last_total_ore if done else 0,
        "code": done and desktop.electronic and desktop.shown is not None and desktop.shown.series == NORMAL,
        "number": desktop.shown.number if desktop.shown is not None else 0,
    }


def _shown(counter: Counter) -> str:
    with counter.lock:
        return counter.fragment("display_basket.html", **display_about(counter))


async def display_events(counter: Counter, bell: Bell) -> AsyncIterator[str]:
    """The basket at once, and again after each deed that changed what the customer sees."""
    window, last = bell.listen(), ""
    try:
        while not bell.over:
            window.clear()
            shown = await asyncio.to_thread(_shown, counter)
            if shown != last:
                yield shown
                last = shown
            try:
                await asyncio.wait_for(window.wait(), SILENCE_S)
            except TimeoutError:
                last = ""  # say it again: it shows that the line is alive
    finally:
        bell.leave(window)


async def page_events(bell: Bell) -> AsyncIterator[str]:
    """A word to the till's own page whenever it should look again: at once, and at every ring."""
    window = bell.listen()
    try:
        while not bell.over:
            window.clear()
            yield "now"
            await window.wait()
    finally:
        bell.leave(window)
