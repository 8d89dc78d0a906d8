"""R23 as a table: one receipt is registered once, or we say that we do not know."""

from __future__ import annotations

from itertools import product

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oppet.fiscal.unit import (
    NEXT,
    Done,
    Event,
    GivenCodes,
    GiveUp,
    Interrupted,
    Registration,
    Send,
    State,
    UnitAnswer,
    UnitCode,
    UnitRefused,
    UnitRequest,
    UnitSilent,
    begin,
    event_of,
    next_action,
    step,
)

FINAL = {State.CODED, State.NO_UNIT, State.CODE_UNKNOWN}
A_REQUEST = UnitRequest("A", 7, 7, "normal", "202611221200", "5566778899", "K3", 10_000, 0, ((2500, 2000),))


def an_answer(event: Event, unit: str) -> UnitAnswer | Interrupted:
    match event:
        case Event.CODE:
            return UnitCode(unit, "CODE", "ok")
        case Event.REFUSED | Event.REFUSED_LAST:
            return UnitRefused(unit, "busy", "")
        case Event.SILENT:
            return UnitSilent(unit, "")
        case Event.INTERRUPTED:
            return Interrupted(unit)


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_r23_every_state_and_event_is_in_the_table_or_a_mistake_of_ours(state: State, event: Event) -> None:
    index = 1 if event is Event.REFUSED_LAST else 0
    registration = Registration(("A", "B"), index, state)
    answer = an_answer(event, registration.unit)
    assert event_of(registration, answer) is event
    if state in FINAL:
        assert (state, event) not in NEXT
        with pytest.raises(AssertionError):
            step(registration, answer)
    else:
        assert step(registration, answer).state is NEXT[state, event]


def test_r23_an_answer_from_a_unit_that_was_not_asked_is_a_mistake_of_ours() -> None:
    with pytest.raises(AssertionError):
        step(begin(["A", "B"]), UnitCode("B", "CODE", "ok"))


def test_r23_a_unit_is_listed_once() -> None:
    with pytest.raises(AssertionError):
        begin(["A", "A"])


def test_r23_without_a_unit_nothing_is_sent() -> None:
    assert next_action(begin([])) == GiveUp(State.NO_UNIT, "")


def test_r23_an_explicit_no_opens_the_way_to_the_second_unit() -> None:
    registration = step(begin(["A", "B"]), UnitRefused("A", "full", ""))
    assert next_action(registration) == Send("B", 1)
    assert next_action(step(registration, UnitCode("B", "CODE", "ok"))) == Done(UnitCode("B", "CODE", "ok"))


def test_r23_silence_repeats_once_at_the_same_unit_and_then_gives_up() -> None:
    registration = step(begin(["A", "B"]), UnitSilent("A", ""))
    assert next_action(registration) == Send("A", 2)
    assert next_action(step(registration, UnitSilent("A", ""))) == GiveUp(State.CODE_UNKNOWN, "A")


def test_r23_a_refusal_after_silence_still_does_not_open_the_second_unit() -> None:
    registration = step(step(begin(["A", "B"]), UnitSilent("A", "")), UnitRefused("A", "unreachable", ""))
    assert next_action(registration) == GiveUp(State.CODE_UNKNOWN, "A")


def test_r23_a_crash_after_the_intent_counts_as_silence() -> None:
    registration = step(begin(["A", "B"]), Interrupted("A"))
    assert next_action(registration) == Send("A", 2)
    assert next_action(step(registration, Interrupted("A"))) == GiveUp(State.CODE_UNKNOWN, "A")


class ModelUnit:
    """A unit that may register before it fails us, and gives a repeated receipt the same code."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.registered = False

    def ask(self, outcome: str) -> UnitAnswer:
        if outcome in {"code", "registered_silent"}:
            self.registered = True
        if outcome == "code":
            return UnitCode(self.name, f"code of {self.name}", "ok")
        return UnitRefused(self.name, "busy", "") if outcome == "refused" else UnitSilent(self.name, "")


OUTCOMES = st.sampled_from(["code", "refused", "silent", "registered_silent"])
CRASHES = st.sampled_from(["none", "none", "before_send", "before_result"])


@given(st.integers(0, 3), st.lists(st.tuples(OUTCOMES, CRASHES), min_size=8, max_size=8))
def test_r23_never_two_units_and_never_a_code_of_another_receipt(count: int, story: list[tuple[str, str]]) -> None:
    units = {name: ModelUnit(name) for name in "ABC"[:count]}
    registration = begin(list(units))
    for outcome, crash in story:
        action = next_action(registration)
        if not isinstance(action, Send):
            break
        answer = None if crash == "before_send" else units[action.unit].ask(outcome)
        result = answer if answer is not None and crash == "none" else Interrupted(action.unit)
        registration = step(registration, result)
        assert sum(unit.registered for unit in units.values()) <= 1
    end = next_action(registration)
    assert not isinstance(end, Send), "two sends a unit are the most"
    registered = [name for name, unit in units.items() if unit.registered]
    if isinstance(end, Done):
        assert registered == [end.code.unit]
        assert end.code.code == f"code of {end.code.unit}"
    elif end.kind is State.NO_UNIT:
        assert registered == []
    else:
        assert registered in ([], [end.unit])


def test_r23_a_code_belongs_to_the_receipt_it_was_first_given_for() -> None:
    given_codes = GivenCodes(bound=2)
    assert given_codes.belongs("X", A_REQUEST)
    assert given_codes.belongs("X", A_REQUEST)  # a repeat is answered with the same code
    later = msgspec.structs.replace(A_REQUEST, receipt_id=8)
    assert not given_codes.belongs("X", later)
    assert given_codes.belongs("Y", later)


def test_r23_the_memory_of_codes_is_bounded() -> None:
    given_codes = GivenCodes(bound=2)
    for number in range(1, 5):
        assert given_codes.belongs(f"code {number}", msgspec.structs.replace(A_REQUEST, receipt_id=number))
    assert given_codes.belongs("code 1", msgspec.structs.replace(A_REQUEST, receipt_id=9))  # forgotten


def test_r23_requests_and_answers_survive_the_journal() -> None:
    answers: list[UnitAnswer | Interrupted] = [an_answer(event, "A") for event in Event]
    encoded = msgspec.json.encode(answers)
    assert msgspec.json.decode(encoded, type=list[UnitCode | UnitRefused | UnitSilent | Interrupted]) == answers
    assert msgspec.json.decode(msgspec.json.encode(A_REQUEST), type=UnitRequest) == A_REQUEST
