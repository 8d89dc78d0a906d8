"""The drawer and the day: every opening counted, every difference stated, and a Z that nothing can block."""

from __future__ import annotations

from pathlib import Path

import pytest

from oppet.fiscal.tally import report_of
from oppet.journal.kinds import CashCounted, CashMoved, DrawerOpened, FloatSet, ReportMade, SaleParked
from oppet.register.drawer import DENOMINATIONS
from oppet.register.errors import FloatMissingError, NotPossibleNowError, NotSignedInError
from oppet.sale.errors import NeedsApprovalError
from tests.register.acts import refused
from tests.register.world import ALVA, BO, CRISPS, MILK, World, a_till


def reports(world: World) -> list[ReportMade]:
    return [body for body in world.bodies(ReportMade) if isinstance(body, ReportMade)]


def test_f4_the_float_is_registered_before_the_first_sale(tmp_path: Path) -> None:
    world = World(tmp_path)
    till = world.start()
    refused(NotSignedInError, lambda: till.drawer.set_float(50_000))
    till.sign_in(ALVA)
    refused(FloatMissingError, lambda: till.selling.pick(MILK), lambda: till.selling.begin("training"))
    till.drawer.set_float(0)
    till.selling.pick(MILK)
    till.checkout.pay("cash", 1_700)
    till.drawer.z(BO)
    refused(FloatMissingError, lambda: till.selling.pick(MILK))


@pytest.mark.parametrize("ore", [-100, 1, 50, 10_000_100, 10**30, -(10**30)])
def test_s9_a_float_of_nonsense_is_refused(tmp_path: Path, ore: int) -> None:
    till, world = a_till(tmp_path)
    refused(NotPossibleNowError, lambda: till.drawer.set_float(ore, BO))
    assert len(world.bodies(FloatSet)) == 1


def test_s7_a_float_is_not_lowered_by_a_cashier_alone(tmp_path: Path) -> None:
    """It would lower what the drawer should hold, and the difference would be nobody's."""
    till, world = a_till(tmp_path)
    refused(NeedsApprovalError, lambda: till.drawer.set_float(10_000), lambda: till.drawer.set_float(10_000, ALVA))
    till.drawer.set_float(10_000, BO)
    assert [(b.amount_ore, b.by) for b in world.bodies(FloatSet) if isinstance(b, FloatSet)] == [
        (50_000, 7),
        (10_000, 3),
    ]
    till.drawer.z(BO)
    till.drawer.set_float(20_000)


def test_s7_opening_the_drawer_needs_a_supervisor_and_a_reason(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    refused(NeedsApprovalError, lambda: till.drawer.open("växla"))
    refused(NotPossibleNowError, lambda: till.drawer.open(" \n ", BO))
    assert world.paths[0].drawer == 0
    assert till.drawer.open("växla", BO)
    (opened,) = world.bodies(DrawerOpened)
    assert isinstance(opened, DrawerOpened)
    assert (opened.reason, opened.by, opened.approved_by, world.paths[0].drawer) == ("växla", 7, 3, 1)
    world.paths[0].away = True
    assert not till.drawer.open("växla", BO), "no drawer answered, and the opening is in the journal all the same"
    assert till.drawer.z(BO).report.drawer_openings == 2


def test_f4_cash_to_and_from_the_safe(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    refused(NeedsApprovalError, lambda: till.drawer.move(-10_000, "kassaskåp"))
    refused(
        NotPossibleNowError,
        lambda: till.drawer.move(0, "x", BO),
        lambda: till.drawer.move(-50, "x", BO),
        lambda: till.drawer.move(-50_100, "x", BO),
        lambda: till.drawer.move(10**30, "x", BO),
        lambda: till.drawer.move(-(10**30), "x", BO),
        lambda: till.drawer.move(100, "", BO),
    )
    till.drawer.move(-20_000, "kassaskåp", BO)
    till.drawer.move(5_000, "växel", BO)
    assert [b.amount_ore for b in world.bodies(CashMoved) if isinstance(b, CashMoved)] == [-20_000, 5_000]
    assert till.desk.state.tally.cash_expected_ore() == 35_000
    assert till.drawer.z(BO).report.drawer_openings == 2, "a drawer that opens without a sale is an opening (2 kap.)"


def test_f4_a_count_states_the_difference_and_corrects_nothing_away(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    till.checkout.pay("cash", 2_000)
    counted = till.drawer.count({50_000: 1, 1_000: 1, 500: 1})
    assert (counted.counted_ore, counted.expected_ore, counted.difference_ore) == (51_500, 51_700, -200)
    assert counted.counted == ((50_000, 1), (1_000, 1), (500, 1))
    report = till.drawer.z(BO).report
    assert (report.cash_difference_ore, report.sales_ore) == (-200, 1_690)
    assert len(world.bodies(CashCounted)) == 1


@pytest.mark.parametrize("pieces", [{0: 1}, {99: 1}, {-100: 1}, {100: -1}, {100: 10_001}, {100: 10**30}, {25: 4}])
def test_s9_a_count_of_nonsense_is_refused(tmp_path: Path, pieces: dict[int, int]) -> None:
    till, world = a_till(tmp_path)
    refused(NotPossibleNowError, lambda: till.drawer.count(pieces))
    assert world.bodies(CashCounted) == []
    assert sorted(DENOMINATIONS, reverse=True) == list(DENOMINATIONS)


def test_f1_r08_x_resets_nothing_and_z_begins_anew(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    till.checkout.pay("cash", 2_000)
    x, again = till.drawer.x(), till.drawer.x()
    assert (x.kind, x.number, x.report.sales_ore, again.report.sales_ore) == ("x", 0, 1_690, 1_690)
    refused(NeedsApprovalError, till.drawer.z, lambda: till.drawer.z(ALVA))
    first = till.drawer.z(BO)
    till.drawer.set_float(50_000)
    till.selling.pick(CRISPS)
    till.checkout.pay("card", 2_500)
    second = till.drawer.z(BO)
    assert [(made.number, made.report.sales_ore) for made in (first, second)] == [(1, 1_690), (2, 2_500)]
    assert (second.report.grand.sales_ore, second.report.grand.net_ore) == (4_190, 4_190)
    assert second.report.first_seq == first.report.last_seq + 1
    entries = [entry for entry, _ in world.entries()]
    for made in reports(world):
        assert report_of(entry for entry in entries if entry.seq <= made.report.last_seq) == made.report


def test_r09_a_z_is_made_with_everything_away(tmp_path: Path) -> None:
    """No printer, no control unit, an open basket, parked ones, an outage: the day is closed all the same."""
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    till.selling.park()
    till.selling.pick(MILK)
    world.paths[0].away = True
    world.units[0].dead = True
    refused(Exception, lambda: till.checkout.pay("card", 1_690))
    made = till.drawer.z(BO)
    assert (made.number, made.report.unfinished, made.report.unfinished_ore) == (1, 2, 3_380)
    assert (len(world.bodies(SaleParked)), till.desk.state.current) == (2, 0)
    assert till.printing.trouble != ""
    assert till.drawer.z(BO).report.unfinished == 0, "each is listed in one Z"


def test_r09_only_money_taken_for_an_unfinished_sale_holds_a_z_back(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    till.checkout.pay("card", 100)
    refused(NotPossibleNowError, lambda: till.drawer.z(BO))
    world.units[0].dead = True
    till.checkout.take_back(1)
    assert till.drawer.z(BO).number == 1


def test_s7_nobody_closes_a_day_that_is_not_signed_in(tmp_path: Path) -> None:
    till, _ = a_till(tmp_path)
    till.sign_out()
    refused(
        NotSignedInError,
        till.drawer.x,
        lambda: till.drawer.z(BO),
        lambda: till.drawer.count({}),
        lambda: till.drawer.move(100, "x", BO),
        lambda: till.drawer.open("x", BO),
    )
