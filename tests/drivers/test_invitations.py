"""Invitations beside the door: single use, minutes, five tries, and a signature by whoever holds the key."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from oppet.drivers.invitations import InvitationFolder, NobodySignsError
from oppet.sync.enrolment import Invitation, Request, make_request
from oppet.sync.errors import BadCodeError, CodeSpentError
from oppet.sync.messages import Paper
from tests.sync.chain import TILL, FakeClock

SALT = "0" * 32


def a_request(made: Invitation, code: str = "") -> Request:
    return make_request(made.name, code or made.code, TILL.public, b"", "machine-1", SALT)


def test_k10_a_code_opens_its_door_for_minutes_and_wrong_tries_are_counted(tmp_path: Path) -> None:
    clock = FakeClock()
    door = InvitationFolder(tmp_path / "door", clock)
    assert stat.S_IMODE((tmp_path / "door").stat().st_mode) == 0o700
    made = door.make("till", "S01", "S01-K1", "K1", 301)
    assert door.check(a_request(made)).used
    for left in (4, 3, 2, 1, 0):
        with pytest.raises(BadCodeError) as refused:
            InvitationFolder(tmp_path / "door", clock).check(a_request(made, "AAAAAAAA"))  # counted across restarts
        assert refused.value.facts["left"] == left
    with pytest.raises(CodeSpentError):
        door.check(a_request(made))
    assert door.open() == []


def test_k10_what_is_over_is_taken_away(tmp_path: Path) -> None:
    clock = FakeClock()
    door = InvitationFolder(tmp_path, clock)
    made = door.make("till", "S01", "S01-K1", "K1", 301)
    clock.at += 15 * 60_000
    assert door.open() == []
    with pytest.raises(CodeSpentError):
        door.check(a_request(made))
    door.sweep()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(CodeSpentError):
        door.check(a_request(made))


def test_k7_a_certificate_waits_for_whoever_holds_the_key_and_not_for_ever(tmp_path: Path) -> None:
    door = InvitationFolder(tmp_path, FakeClock())
    made = door.make("till", "S01", "S01-K1", "K1", 301)
    with pytest.raises(NobodySignsError):
        door.ask(made.name, "text", 0.2)
    assert door.asked(made.name) is None

    def manager() -> None:
        while (text := door.asked(made.name)) is None:
            pass
        door.give(made.name, Paper("till", text))

    thread = threading.Thread(target=manager)
    thread.start()
    assert door.ask(made.name, "text", 5) == Paper("till", "text")
    thread.join()
