"""The last one made: who waits, who does not, and what they get."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from oppet.base.errors import UnavailableError
from oppet.figures.lately import Lately
from tests.sync.chain import FakeClock

SOON_S = 20.0


class AwayError(UnavailableError):
    sentence = "Away."


class Slow:
    """Makes what it is told to, when it is let."""

    def __init__(self) -> None:
        self.begun, self.let = threading.Event(), threading.Event()
        self.times = 0

    def make(self, now: int) -> int:
        self.times += 1
        self.begun.set()
        assert self.let.wait(SOON_S)
        return now


def test_q9_who_asks_while_it_is_being_made_again_gets_the_last_one_at_once() -> None:
    clock, slow = FakeClock(), Slow()
    lately: Lately[str, int] = Lately(clock, 8_000, 4, patience_s=0.0)
    first = lately.get("today", lambda now: now)
    clock.at += 20_000
    assert lately.get("today", slow.make) == first
    assert slow.begun.wait(SOON_S)
    assert [lately.get("today", slow.make) for _ in range(5)] == [first] * 5
    assert slow.times == 1, "one makes it"
    made = next(thread for thread in threading.enumerate() if thread.name == "lately")
    slow.let.set()
    made.join(SOON_S)
    assert lately.get("today", slow.make) == clock.at
    assert slow.times == 1


def test_q9_what_is_quick_to_make_is_never_served_stale() -> None:
    clock = FakeClock()
    lately: Lately[str, int] = Lately(clock, 8_000, 4, patience_s=SOON_S)
    for _ in range(3):
        clock.at += 9_000
        assert lately.get("today", lambda now: now) == clock.at


def test_q9_what_was_never_made_is_made_once_for_all_who_ask() -> None:
    slow = Slow()
    lately: Lately[str, int] = Lately(FakeClock(), 8_000, 4, patience_s=0.0)
    with ThreadPoolExecutor(4) as crowd:
        asked = [crowd.submit(lately.get, "today", slow.make) for _ in range(4)]
        assert slow.begun.wait(SOON_S)
        slow.let.set()
        assert len({one.result(SOON_S) for one in asked}) == 1
    assert slow.times == 1


def test_q9_what_could_not_be_made_is_said_and_tried_again() -> None:
    clock = FakeClock()
    lately: Lately[str, int] = Lately(clock, 8_000, 4, patience_s=SOON_S)

    def away(_now: int) -> int:
        raise AwayError

    for _ in range(2):
        with pytest.raises(AwayError):
            lately.get("today", away)
    assert lately.get("today", lambda now: now) == clock.at
    clock.at += 9_000
    with pytest.raises(AwayError):
        lately.get("today", away)
    assert lately.get("today", lambda now: now) == clock.at


def test_q9_only_so_many_are_kept() -> None:
    made: list[int] = []
    lately: Lately[int, int] = Lately(FakeClock(), 8_000, 2)

    def make(now: int) -> int:
        made.append(now)
        return len(made)

    assert [lately.get(key, make) for key in (1, 2, 2, 3, 1)] == [1, 2, 2, 3, 4]
