"""A code lets one machine in, once, for minutes."""

from __future__ import annotations

import msgspec
import pytest

from oppet.sync.enrolment import (
    MINUTES,
    Enrolled,
    Invitation,
    check_answer,
    check_request,
    code_from,
    make_request,
    seal_answer,
    tried,
)
from oppet.sync.errors import BadCodeError, CodeSpentError
from tests.sync.chain import HQ, NOW, OTHER, TILL

CODE = code_from(bytes(range(16)))
DOOR = Invitation("i1", "till", "S01", "S01-K3", "K3", CODE, NOW, 301)


def test_k10_the_right_code_opens_once() -> None:
    request = make_request("i1", CODE.lower(), TILL.public, b"", "m", "0" * 32)
    used = check_request(DOOR, request, NOW + 1)
    assert used.used
    with pytest.raises(CodeSpentError):
        check_request(used, request, NOW + 2)


def test_k10_a_code_is_over_after_minutes_and_after_wrong_tries() -> None:
    request = make_request("i1", CODE, TILL.public, b"", "m", "0" * 32)
    for when in (NOW - 1, NOW + MINUTES * 60_000):
        with pytest.raises(CodeSpentError):
            check_request(DOOR, request, when)
    door = DOOR
    for _ in range(5):
        with pytest.raises(BadCodeError):
            check_request(door, make_request("i1", "AAAAAAAA", TILL.public, b"", "m", "0" * 32), NOW)
        door = tried(door)
    with pytest.raises(CodeSpentError):
        check_request(door, request, NOW)


def test_k10_nobody_between_swaps_a_key() -> None:
    request = make_request("i1", CODE, TILL.public, b"", "m", "0" * 32)
    with pytest.raises(BadCodeError):
        check_request(DOOR, msgspec.structs.replace(request, public_key=OTHER.public.hex()), NOW)
    answer = seal_answer(Enrolled("S01-K3", 1, "S01", "K3", HQ.public.hex(), (), ()), CODE, request)
    assert check_answer(answer, CODE, request)
    assert not check_answer(msgspec.structs.replace(answer, hq_key=OTHER.public.hex()), CODE, request)
    assert CODE not in str(request)
