"""Proving who stands at the till."""

from __future__ import annotations

import pytest

from oppet.base.canonical import digest
from oppet.sale import staff as staff_room
from oppet.sale.errors import ReservedError, WrongBadgeError, WrongPinError
from oppet.sale.rights import Staff
from oppet.sale.staff import PAUSE_MS, TRIES, Member, StaffList

ALVA = Member(7, "cashier", "$argon2-1234", digest(b"BADGE-ALVA"))
BO = Member(3, "manager", "$argon2-9999")


class FakePins:
    """A PIN belongs to the digest that ends with it."""

    def __init__(self) -> None:
        self.asked = 0

    def good(self, digest: str, pin: str) -> bool:
        self.asked += 1
        return digest == f"$argon2-{pin}"


def a_list() -> StaffList:
    return StaffList([ALVA, BO], FakePins())


def test_t6_number_or_badge_with_the_pin() -> None:
    staff = a_list()
    assert staff.prove("7", "1234", 0) == Staff(7, "cashier")
    assert staff.prove(" 007 ", "1234", 0) == Staff(7, "cashier")
    assert staff.prove("BADGE-ALVA", "1234", 0) == Staff(7, "cashier")
    assert staff.prove("3", "9999", 0) == Staff(3, "manager")


@pytest.mark.parametrize("pin", ["", "9999", "12345", "1234 ", "x" * 65, "\ud800", "\uff11\uff12\uff13\uff14", "\x00"])
def test_t6_a_badge_or_number_without_its_pin_proves_nothing(pin: str) -> None:
    for who in ("7", "BADGE-ALVA"):
        with pytest.raises(WrongPinError):
            a_list().prove(who, pin, 0)


@pytest.mark.parametrize(
    "who", ["", " ", "Alva", "-7", "7.0", "BADGE", "badge-alva", "\ud800", "x" * 10_000, "1234567", "\uff17"]
)
def test_t6_an_unknown_badge_is_nobodys(who: str) -> None:
    with pytest.raises(WrongBadgeError):
        a_list().prove(who, "1234", 0)


def wrong(staff: StaffList, who: str, times: int, counter: int = 0) -> None:
    for _ in range(times):
        with pytest.raises(WrongPinError):
            staff.prove(who, "0000", counter)


@pytest.mark.parametrize("who", ["7", "BADGE-ALVA", "55"])
def test_t6_wrong_pins_cost_time_and_more_each_time(who: str) -> None:
    staff, counter = a_list(), 0
    for pause in (PAUSE_MS, 2 * PAUSE_MS, 4 * PAUSE_MS):
        wrong(staff, who, TRIES, counter)
        for early in (0, pause - 1):
            with pytest.raises(ReservedError):
                staff.prove(who, "1234", counter + early)
        counter += pause
    if who != "55":
        assert staff.prove(who, "1234", counter) == Staff(7, "cashier")
        wrong(staff, who, TRIES - 1, counter)
        assert staff.prove(who, "1234", counter) == Staff(7, "cashier"), "the right PIN begins the count again"


def test_t6_a_pause_is_one_persons_and_a_pin_is_not_tried_during_it() -> None:
    pins = FakePins()
    staff = StaffList([ALVA, BO], pins)
    wrong(staff, "7", TRIES)
    asked = pins.asked
    with pytest.raises(ReservedError):
        staff.prove("7", "1234", 0)
    with pytest.raises(ReservedError):
        staff.prove("BADGE-ALVA", "1234", 0)
    assert pins.asked == asked
    assert staff.prove("3", "9999", 0) == Staff(3, "manager")


def test_t6_numbers_typed_at_random_end_nobodys_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staff_room, "MOST_WRONG", 50)
    staff = a_list()
    wrong(staff, "7", TRIES)
    for number in range(100, 200):
        wrong(staff, str(number), 1)
    with pytest.raises(ReservedError):
        staff.prove("7", "1234", 0)


def test_t6_the_tries_left_are_told() -> None:
    staff = a_list()
    for left in (4, 3, 2, 1, 0):
        with pytest.raises(WrongPinError) as told:
            staff.prove("7", "0000", 0)
        assert told.value.facts["left"] == left
