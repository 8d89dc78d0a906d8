"""Proving who stands at the till or sits in the back room: number and PIN, or badge and PIN. A badge alone proves nothing.

The list holds numbers, roles and argon2 digests, never names. Wrong PINs cost time, more each time. Hashing is the
driver's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

from oppet.base import canonical
from oppet.base.errors import SettingsError, place_first
from oppet.sale.errors import ReservedError, WrongBadgeError, WrongPinError
from oppet.sale.rights import Staff

__all__ = ["Member", "Pins", "StaffList", "read_staff"]

TRIES = 5
PAUSE_MS = 30_000
MOST_WRONG = 10_000


class Pins(Protocol):
    """Argon2: says whether a PIN belongs to a digest."""

    def good(self, digest: str, pin: str) -> bool: ...


class Member(msgspec.Struct, frozen=True):
    """One of the staff as the store's list has them."""

    number: Annotated[int, Meta(ge=1, le=999_999)]
    role: Literal["cashier", "supervisor", "manager"]
    pin: Annotated[str, Meta(pattern=r"^\$argon2")]  # digest
    badge: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?\Z")] = ""  # SHA-256 of the badge's code, hex


class StaffList:
    def __init__(self, members: Sequence[Member], pins: Pins) -> None:
        self._by_number = {member.number: member for member in members}
        self._by_badge = {member.badge: member for member in members if member.badge}
        self._pins = pins
        self._wrong: dict[int, tuple[int, int]] = {}  # number → (tries, when the pause ends, on the counter)

    def prove(self, who: str, pin: str, counter: int) -> Staff:
        """`who` is a number or a badge's code; `counter` in ms. Raises WrongPinError, WrongBadgeError,
        ReservedError.
        """
        text = who.strip()
        if text.isascii() and text.isdigit() and len(text) <= 6:
            number = int(text)
            member = self._by_number.get(number)
        else:
            member = self._by_badge.get(canonical.digest(text[:200].encode(errors="replace")))
            if member is None:
                raise WrongBadgeError
            number = member.number
        tries, until = self._wrong.get(number, (0, 0))
        if counter < until:
            raise ReservedError(seconds=(until - counter + 999) // 1000)
        if member is not None and 0 < len(pin) <= 64 and pin.isascii() and self._pins.good(member.pin, pin):
            self._wrong.pop(number, None)
            return Staff(member.number, member.role)
        tries += 1
        pause = PAUSE_MS * 2 ** min(6, tries // TRIES - 1) if tries % TRIES == 0 else 0
        if len(self._wrong) > MOST_WRONG:  # numbers typed at random must not grow the till, nor end anybody's pause
            self._wrong = {known: wrong for known, wrong in self._wrong.items() if known in self._by_number}
        self._wrong[number] = (tries, counter + pause)
        raise WrongPinError(left=TRIES - tries % TRIES if pause == 0 else 0)


def read_staff(data: bytes, file: str) -> list[Member]:
    """Read the staff list. Raises SettingsError."""
    try:
        members = msgspec.json.decode(data, type=list[Member])
    except msgspec.DecodeError as error:
        raise SettingsError(file=file, reason=place_first(str(error))) from None
    if len({member.number for member in members}) < len(members):
        raise SettingsError(file=file, reason="two of the staff have the same number")
    badges = [member.badge for member in members if member.badge]
    if len(set(badges)) < len(badges):
        raise SettingsError(file=file, reason="two of the staff have the same badge")
    return members
