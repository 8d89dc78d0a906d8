"""Four eyes: never alone, never twice, never late, never something else than was asked."""

from __future__ import annotations

from itertools import product

import msgspec
import pytest

from oppet.people.approvals import (
    APPROVED,
    ASKED,
    EXPIRED,
    LIFE_MS,
    NEXT,
    STATES,
    ChangedError,
    Fact,
    NotByYouError,
    OwnRequestError,
    Request,
    SettledError,
    TooOldError,
    ask,
    settle,
    state_now,
)

ALVA, BO, NOW = 101, 301, 1_000_000


def a_request() -> Request:
    return msgspec.structs.replace(ask("revoke_till", "S01-K3, epoch 1", [Fact("reason", "stolen")], ALVA, NOW), id=7)


def test_o5_somebody_else_approves_exactly_what_was_asked() -> None:
    request = a_request()
    done = settle(request, "approve", BO, request.digest, NOW + 1)
    assert (done.state, done.settled_by, done.fact("reason")) == (APPROVED, BO, "stolen")


@pytest.mark.parametrize("deed", ["approve", "refuse"])
def test_o5_who_asked_cannot_settle_it(deed: str) -> None:
    request = a_request()
    with pytest.raises(OwnRequestError):
        settle(request, deed, ALVA, request.digest, NOW)


def test_o5_only_who_asked_withdraws() -> None:
    request = a_request()
    with pytest.raises(NotByYouError):
        settle(request, "withdraw", BO, request.digest, NOW)
    assert settle(request, "withdraw", ALVA, request.digest, NOW).state == "withdrawn"


@pytest.mark.parametrize("changed", [{"act": "countersign"}, {"about": "S01-K4"}, {"facts": (Fact("reason", "x"),)}])
def test_o5_what_was_changed_after_it_was_asked_is_not_done(changed: dict[str, object]) -> None:
    request = msgspec.structs.replace(a_request(), **changed)
    with pytest.raises(ChangedError):
        settle(request, "approve", BO, request.digest, NOW)


def test_o5_an_approval_names_what_was_shown() -> None:
    with pytest.raises(ChangedError):
        settle(a_request(), "approve", BO, "0" * 64, NOW)


def test_o6_nothing_leaves_a_settled_state() -> None:
    for state, deed in product(STATES, ("approve", "refuse", "withdraw", "nonsense")):
        request = msgspec.structs.replace(a_request(), state=state)
        who = ALVA if deed == "withdraw" else BO
        if (state, deed) in NEXT:
            assert settle(request, deed, who, request.digest, NOW).state == NEXT[state, deed]
        else:
            with pytest.raises(SettledError):
                settle(request, deed, who, request.digest, NOW)


@pytest.mark.parametrize("late", [LIFE_MS, -1])
def test_o6_a_request_that_waited_too_long_changes_nothing(late: int) -> None:
    request = a_request()
    assert state_now(request, NOW + late) == EXPIRED
    assert state_now(request, NOW + LIFE_MS - 1) == ASKED
    with pytest.raises(TooOldError):
        settle(request, "approve", BO, request.digest, NOW + late)
