"""A queue that stands still is named, with since when and the likeliest reason."""

from __future__ import annotations

import pytest

from oppet.sync.queues import (
    AHEAD,
    BEHIND,
    ENDED,
    FINE,
    NEVER,
    NODE_SILENT,
    QUIET_MS,
    SILENT,
    STORE_SILENT,
    WHY,
    Heard,
    judge,
    store_is_silent,
)

NOW = 1_795_327_200_000
LATE = NOW - QUIET_MS - 1


def heard(till: str, heard: int = NOW, as_of: int = NOW, *, over: bool = False) -> Heard:
    return Heard("S01", till, 1, "", 10, heard, as_of, over)


@pytest.mark.parametrize(
    ("known", "state", "since"),
    [
        (heard("S01-K1"), FINE, 0),
        (heard("S01-K1", NOW - QUIET_MS, NOW - QUIET_MS), FINE, 0),
        (heard("S01-K1", NOW, LATE), BEHIND, LATE),
        (heard("S01-K1", LATE, LATE - 5), SILENT, LATE - 5),
        (heard("S01-K1", 0, 0), NEVER, 0),
        (heard("S01-K1", NOW, NOW + 600_000), AHEAD, NOW),
        (heard("S01-K1", LATE, LATE, over=True), ENDED, 0),
    ],
)
def test_o8_a_history_is_judged_by_what_was_heard(known: Heard, state: str, since: int) -> None:
    queue = judge([known, heard("S01-K2")], NOW)[0]
    assert (queue.state, queue.since) == (state, since)
    assert queue.stuck == (state in (BEHIND, SILENT, AHEAD))


def test_o8_a_silent_store_is_told_from_a_silent_till_and_a_silent_node() -> None:
    till, node = heard("S01-K1", LATE, LATE), heard("S01-node", LATE, LATE)
    assert [queue.why for queue in judge([till, node], NOW)] == [STORE_SILENT, STORE_SILENT]
    assert store_is_silent([till, node], NOW)
    assert [queue.why for queue in judge([till, heard("S01-K2")], NOW)] == [WHY[SILENT], WHY[FINE]]
    assert judge([node, heard("S01-K2")], NOW)[0].why == NODE_SILENT
    assert not store_is_silent([heard("S01-K1", 0, 0)], NOW)
    assert judge([], NOW) == []
