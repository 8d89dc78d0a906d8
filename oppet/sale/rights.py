"""Who may do what: roles and limits as a table.

Leaves proving who somebody is (PIN, badge) to the till. Keeps S7: voids above a limit, returns, discounts above a
limit and an opened drawer need a supervisor's own approval, which is journalled with the act.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from oppet.base.money import LARGEST_ORE
from oppet.base.words import N_
from oppet.sale.errors import NeedsApprovalError

__all__ = ["ACTIONS", "CASHIER", "MANAGER", "RANK", "SUPERVISOR", "Limits", "Staff", "approver", "may"]

CASHIER, SUPERVISOR, MANAGER = "cashier", "supervisor", "manager"
RANK = {CASHIER: 1, SUPERVISOR: 2, MANAGER: 3}
ROLE_WORDS = {CASHIER: N_("cashier"), SUPERVISOR: N_("supervisor"), MANAGER: N_("store manager")}


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a cashier does alone; a chain sets its own. Amounts in öre, discounts in whole percent of what they are
    taken from.
    """

    void_ore: Annotated[int, Meta(ge=0, le=LARGEST_ORE)] = 20_000
    discount_percent: Annotated[int, Meta(ge=0, le=100)] = 10
    abandon_ore: Annotated[int, Meta(ge=0, le=LARGEST_ORE)] = 50_000
    # While no store node can say what came back at other tills (R17): one return, and all of them in a day.
    lone_return_ore: Annotated[int, Meta(ge=0, le=LARGEST_ORE)] = 50_000
    lone_day_ore: Annotated[int, Meta(ge=0, le=LARGEST_ORE)] = 200_000


class Staff(msgspec.Struct, frozen=True):
    """A proven member of staff: a number and a role, never a name."""

    number: int
    role: str


# action → (what it is called, the lowest role that may do it alone)
ACTIONS: dict[str, tuple[str, str]] = {
    "void": (N_("void a line above the limit"), SUPERVISOR),
    "discount": (N_("a discount above the limit"), SUPERVISOR),
    "abandon": (N_("abandon a basket above the limit"), SUPERVISOR),
    "return": (N_("take goods back"), SUPERVISOR),
    "drawer": (N_("open the drawer without a sale"), SUPERVISOR),
    "cash": (N_("move cash to or from the safe"), SUPERVISOR),
    "time": (N_("confirm date and time"), SUPERVISOR),
    "unit": (N_("open a control unit that was closed"), SUPERVISOR),
    "case": (N_("settle a case"), SUPERVISOR),
    "outage": (N_("begin or end the reserve routine"), SUPERVISOR),
    "invoice": (N_("sell on invoice above the customer's limit"), SUPERVISOR),
    "z": (N_("close the day with a Z report"), SUPERVISOR),
    "installs": (N_("stop or allow new releases"), SUPERVISOR),
    "settings": (N_("change a setting"), MANAGER),
}


def may(staff: Staff, action: str) -> bool:
    """Say whether `staff` may do `action` alone."""
    return RANK[staff.role] >= RANK[ACTIONS[action][1]]


def approver(action: str, cashier: Staff, approval: Staff | None) -> int:
    """Give the number of whoever answers for `action`. Raises NeedsApprovalError if neither may."""
    for staff in (approval, cashier):
        if staff is not None and may(staff, action):
            return staff.number
    words, role = ACTIONS[action]
    raise NeedsApprovalError(role=ROLE_WORDS[role], action=words)
