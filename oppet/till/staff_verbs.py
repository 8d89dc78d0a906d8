"""`oppet till staff`: put somebody on the store's staff list, or give them a new PIN. Numbers and roles, never names."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from oppet.base.canonical import digest
from oppet.base.errors import RefusedError
from oppet.base.words import N_
from oppet.drivers import files
from oppet.drivers.pins import digest_of
from oppet.sale.rights import RANK
from oppet.sale.staff import Member, read_staff

__all__ = ["BadPinError", "BadRoleError", "staff"]

SHORTEST = 4


class BadPinError(RefusedError):
    sentence = N_("A PIN is {shortest} to 12 digits, and not one digit repeated. Choose another.")


class BadRoleError(RefusedError):
    sentence = N_("There is no role “{role}”. There are: {roles}.")


def staff(
    file: Path,
    *,
    number: int,
    role: str = "cashier",
    badge: str = "",
    remove: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Add somebody to the staff list, change their role or PIN, or take them off it. The PIN is asked for, never an argument.

    Parameters
    ----------
    file
        The staff list; made when missing.
    number
        The staff number.
    role
        cashier, supervisor or manager.
    badge
        What the scanner reads from the badge; only its digest is kept.
    remove
        Take the number off the list.
    """
    members = {m.number: m for m in (read_staff(files.read(file), str(file)) if file.exists() else [])}
    if remove:
        members.pop(number, None)
    else:
        if role not in RANK:
            raise BadRoleError(role=role, roles=", ".join(RANK))
        pin = getpass.getpass("PIN: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
        if not (pin.isascii() and pin.isdigit() and SHORTEST <= len(pin) <= 12 and len(set(pin)) > 1):
            raise BadPinError(shortest=SHORTEST)
        said = {"number": number, "role": role, "pin": digest_of(pin), "badge": digest(badge.encode()) if badge else ""}
        members[number] = msgspec.convert(said, Member)
    files.write(file, msgspec.json.format(msgspec.json.encode(sorted(members.values(), key=lambda m: m.number))))
    print(f"{file}: {len(members)} on the list")
    return 0
