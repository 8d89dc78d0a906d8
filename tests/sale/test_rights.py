"""Who may do what, as a table."""

import pytest

from oppet.sale.errors import NeedsApprovalError
from oppet.sale.rights import ACTIONS, CASHIER, MANAGER, RANK, SUPERVISOR, Staff, approver, may

ALVA, SUNE, BO = Staff(7, CASHIER), Staff(5, SUPERVISOR), Staff(3, MANAGER)


@pytest.mark.parametrize("action", sorted(ACTIONS))
@pytest.mark.parametrize("staff", [ALVA, SUNE, BO])
def test_s7_no_cashier_does_alone_what_needs_a_supervisor(action: str, staff: Staff) -> None:
    allowed = staff is BO or (staff is SUNE and action != "settings")
    assert may(staff, action) is allowed
    if allowed:
        assert approver(action, staff, None) == staff.number
        assert approver(action, ALVA, staff) == staff.number
    else:
        with pytest.raises(NeedsApprovalError):
            approver(action, ALVA, staff)
        with pytest.raises(NeedsApprovalError):
            approver(action, staff, None)


def test_s7_two_cashiers_are_no_supervisor() -> None:
    with pytest.raises(NeedsApprovalError):
        approver("return", ALVA, Staff(8, CASHIER))
    assert RANK[CASHIER] < RANK[SUPERVISOR] < RANK[MANAGER]


def test_s7_whoever_approved_answers_for_it() -> None:
    assert approver("return", SUNE, BO) == BO.number
    assert approver("return", SUNE, ALVA) == SUNE.number
