"""The reserve routine at the till (F12, F13, reference §6): slips beforehand, an outage noted, a case settled by a slip."""

from __future__ import annotations

from pathlib import Path

import pytest

from oppet.fiscal.reserve import NotASlipCaseError, SlipNotPrintedError, SlipUsedError
from oppet.journal.kinds import CaseOpened, OutageBegan, OutageEnded
from oppet.register.errors import NoControlUnitError, NotPossibleNowError, OutageOpenError
from oppet.sale.errors import NeedsApprovalError
from tests.register.world import BO, MILK, a_till


def test_f12_no_unit_begins_the_routine_and_a_unit_that_answers_lets_a_supervisor_end_it(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    assert till.reserve.last() is None
    till.selling.pick(MILK)
    world.units[0].dead = True
    with pytest.raises(NoControlUnitError):
        till.checkout.pay("cash", 2_000)
    assert till.desk.basket().tenders == {}
    till.selling.abandon("avbrott")
    with pytest.raises(OutageOpenError):
        till.selling.pick(MILK)
    with pytest.raises(NoControlUnitError):
        till.checkout.end_outage(2, 5_000, BO)
    world.units[0].dead = False
    with pytest.raises(NeedsApprovalError):
        till.checkout.end_outage(2, 5_000)
    till.checkout.end_outage(2, 5_000, BO)
    till.selling.pick(MILK)
    outage = till.reserve.last()
    assert outage is not None
    assert (outage.slips, outage.slips_ore, outage.ended_by) == (2, 5_000, BO.number)
    assert len(world.bodies(OutageBegan)) == len(world.bodies(OutageEnded)) == 1
    papers = till.reserve.papers()
    assert papers is not None
    assert "Skatteverket" in papers[1]


def test_f13_slips_are_numbered_once_and_survive_a_restart(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    assert len(till.reserve.print_slips(3)) == 3
    till = world.start()
    till.sign_in(BO)
    with pytest.raises(NotPossibleNowError):
        till.reserve.print_slips(0)
    till.reserve.print_slips(2)
    assert till.desk.state.numbers["slip"] == 5


def test_f13_a_card_payment_without_a_sale_is_settled_by_a_slip_once(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.reserve.print_slips(2)
    for _ in range(2):
        till.selling.pick(MILK)
        world.units[0].plan = ["busy"]
        assert till.checkout.pay("card", 1_690).kind == "no_unit"
        till.checkout.end_outage(0, 0, BO)
    first, second = (body for body in world.bodies(CaseOpened) if isinstance(body, CaseOpened))
    assert (first.about, first.amount_ore) == ("tender_without_sale", 1_690)
    with pytest.raises(SlipNotPrintedError):
        till.reserve.settle(first.case, 3, BO)
    till.reserve.settle(first.case, 1, BO)
    with pytest.raises(SlipUsedError):
        till.reserve.settle(second.case, 1, BO)
    with pytest.raises(NotPossibleNowError):
        till.reserve.settle(first.case, 2, BO)
    assert list(till.desk.state.cases) == [second.case]
    assert list(world.start().desk.state.cases) == [second.case]


def test_f13_only_money_without_a_receipt_is_settled_by_a_slip(tmp_path: Path) -> None:
    till, _ = a_till(tmp_path)
    till.reserve.print_slips(1)
    till.desk.write(till.desk.case("journal", 0, 0))
    with pytest.raises(NotASlipCaseError):
        till.reserve.settle(1, 1, BO)
