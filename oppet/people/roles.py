"""Who works at head office and as what: a number, a handle they chose, a set of roles. Never a name.

Leaves proving who somebody is (passkeys) and keeping the list to head office. Who may enter a page stands at the page.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from oppet.base.errors import RefusedError
from oppet.base.words import N_

__all__ = [
    "CODE_MINUTES",
    "CODE_TRIES",
    "DEMO_NUMBER",
    "FINANCE",
    "INCIDENT_LEAD",
    "OPERATIONS",
    "PUBLISHER",
    "ROLES",
    "ROLE_WORDS",
    "VIEWER",
    "CodeWrongError",
    "HandleUnfitError",
    "NoPersonError",
    "Person",
    "PersonExistsError",
    "RolesUnfitError",
    "check_code_life",
    "check_handle",
    "check_roles",
]

VIEWER, OPERATIONS, FINANCE = "viewer", "operations", "finance"
INCIDENT_LEAD, PUBLISHER = "incident_lead", "publisher"
ROLES = (VIEWER, OPERATIONS, FINANCE, INCIDENT_LEAD, PUBLISHER)
ROLE_WORDS = {
    VIEWER: N_("viewer"),
    OPERATIONS: N_("operations"),
    FINANCE: N_("finance"),
    INCIDENT_LEAD: N_("incident lead"),
    PUBLISHER: N_("publisher"),
}
DEMO_NUMBER = 999_999  # the demo account: a person like any other, where the settings allow it (O10)
LARGEST_NUMBER = 999_998
LONGEST_HANDLE = 32
CODE_MINUTES = 60  # a person is given a code by another who sits beside or is on the telephone
CODE_TRIES = 5


class RolesUnfitError(RefusedError):
    sentence = N_("“{roles}” are not roles of head office. Choose one or more of {known}.")


class HandleUnfitError(RefusedError):
    sentence = N_("“{handle}” cannot be a handle. Choose 1 to {longest} letters, digits, spaces or hyphens.")


class PersonExistsError(RefusedError):
    sentence = N_("Person {number} is there already.")


class NoPersonError(RefusedError):
    sentence = N_("There is no person {number} who may sign in.")


class CodeWrongError(RefusedError):
    sentence = N_("The number or the code is wrong, or the code is used, spent or older than {minutes} minutes.")


class Person(msgspec.Struct, frozen=True):
    number: int
    handle: str
    roles: tuple[str, ...]
    added: int
    added_by: int
    ended: int = 0
    keys: int = 0  # passkeys that open
    used: int = 0  # when one last did


def check_roles(roles: Iterable[str]) -> tuple[str, ...]:
    """The roles in their order, each once. Raises RolesUnfitError."""
    given = set(roles)
    if not given or not given <= set(ROLES):
        raise RolesUnfitError(roles=", ".join(sorted(given)), known=", ".join(ROLES))
    return tuple(role for role in ROLES if role in given)


def check_handle(handle: str) -> str:
    """Raises HandleUnfitError."""
    text = handle.strip()
    if not 1 <= len(text) <= LONGEST_HANDLE or not all(c.isalnum() or c in " -" for c in text):
        raise HandleUnfitError(handle=text, longest=LONGEST_HANDLE)
    return text


def check_code_life(made: int, tries: int, now: int) -> None:
    """Raises CodeWrongError for a code that is over, whatever was typed."""
    if tries >= CODE_TRIES or not 0 <= now - made < CODE_MINUTES * 60_000:
        raise CodeWrongError(minutes=CODE_MINUTES)
