"""From paid to printed: who is asked, what is written, and what is never done twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from oppet.base.clock import parse_utc
from oppet.base.errors import OppetError
from oppet.base.money import NotAnAmountError
from oppet.fiscal.series import believe_series
from oppet.fiscal.unit import UnitStatus
from oppet.goods.catalogue import Catalogue
from oppet.goods.promotions import Promotion
from oppet.journal.chain import LARGEST_ENTRY
from oppet.journal.kinds import (
    CaseOpened,
    CodeUnknown,
    CopyMade,
    OutageBegan,
    OutageEnded,
    Receipt,
    ReceiptPrinted,
    RegistrationGivenUp,
    RegistrationSent,
    ReversalFailed,
    SaleAbandoned,
    TenderReversed,
    TenderTaken,
    UnitAnswered,
    UnitClosed,
    UnitProbed,
)
from oppet.paper.paths import NoReceiptPathError
from oppet.payments.means import NotWholeKronorError, TooMuchError
from oppet.register.errors import NoControlUnitError, NoReceiptError, NotPossibleNowError, OutageOpenError
from oppet.register.till import Till
from oppet.sale.errors import (
    AgeNotCheckedError,
    AlreadyCopiedError,
    BasketEmptyError,
    NeedsApprovalError,
    NoSuchSaleError,
    NotEnoughPaidError,
    TooManyDiscountsError,
)
from tests.register.acts import refused
from tests.register.failing import PowerCutError, a_failing_till
from tests.register.world import (
    ALVA,
    BAG,
    BANANA,
    BEER,
    BO,
    COLA,
    CRISPS,
    MILK,
    SUNDAY,
    FakePath,
    FakeUnit,
    World,
    a_till,
    an_article,
)

MINUTE = 60_000


def two_units() -> list[FakeUnit]:
    return [FakeUnit("FIRST001"), FakeUnit("SECOND01")]


def receipts(world: World) -> list[Receipt]:
    return [body for body in world.bodies(Receipt) if isinstance(body, Receipt)]


def told(world: World) -> list[str]:
    return [type(body).__name__ for _, body in world.entries()]


def registered(world: World, kind: str = "normal") -> set[int]:
    return {number for unit in world.units for of, number in unit.registered if of == kind}


def cases(world: World) -> list[str]:
    return [body.about for body in world.bodies(CaseOpened) if isinstance(body, CaseOpened)]


def lawful(world: World) -> None:
    """What must hold of any journal and of the world around it."""
    assert believe_series(entry for entry, _ in world.entries()) == []
    made = {receipt.number for receipt in receipts(world) if receipt.kind != "training"}
    unknown = {
        b.receipt_id for b in world.bodies(CodeUnknown) if isinstance(b, CodeUnknown) and b.receipt_type == "normal"
    }
    assert made <= registered(world) <= made | unknown
    for receipt in receipts(world):
        if receipt.kind != "training":
            unit = next(unit for unit in world.units if unit.unit == receipt.unit)
            assert unit.registered[("normal", receipt.number)] == receipt.code
            total = receipt.total_ore
            assert unit.totals[("normal", receipt.number)] == ((total, 0) if receipt.kind == "sale" else (0, total))


# --- the order --------------------------------------------------------------------------------------------------------


def test_f7_j1_each_step_of_a_sale_is_durable_before_the_next(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    before = len(world.entries())
    outcome = till.checkout.pay("cash", 2_000)
    assert (outcome.kind, outcome.number, outcome.change_ore) == ("done", 1, 300)
    assert told(world)[before:] == [
        "UnitProbed",
        "TenderTaken",
        "RegistrationSent",
        "UnitAnswered",
        "Receipt",
        "ReceiptPrinted",
    ]
    (receipt,) = receipts(world)
    assert (receipt.total_ore, receipt.rounding_ore, receipt.code) == (1_690, 10, "FAKE0001-normal-1")
    assert (len(world.paths[0].printed), world.paths[0].drawer) == (1, 1)
    lawful(world)


@pytest.mark.parametrize("place", ["probe", "register", "print"])
def test_j1_what_is_asked_for_is_on_disk_before_it_is_asked(tmp_path: Path, place: str) -> None:
    seen: list[list[str]] = []

    class Looking(FakeUnit):
        def probe(self, register: str, org_no: str) -> UnitStatus:
            if place == "probe":
                seen.append(told(world))
            return super().probe(register, org_no)

        def register(self, request):  # type: ignore[no-untyped-def]
            if place == "register":
                seen.append(told(world))
            return super().register(request)

    class LookingPath(FakePath):
        def print(self, paper) -> None:  # type: ignore[no-untyped-def]
            if place == "print":
                seen.append(told(world))
            super().print(paper)

    till, world = a_till(tmp_path, units=[Looking()], paths=[LookingPath()])
    till.selling.pick(MILK)
    till.checkout.pay("card", 1_690)
    last = {"probe": "LineAdded", "register": "RegistrationSent", "print": "Receipt"}[place]
    assert [names[-1] for names in seen] == [last]
    if place == "probe":
        assert "TenderTaken" not in seen[0], "the unit is probed before any tender is asked"


def test_r18_s8_what_is_registered_is_what_was_paid_though_a_promotion_ends_meanwhile(tmp_path: Path) -> None:
    """The minute turns while the unit is probed: the customer has paid the old price, and that is what is registered."""

    class Slow(FakeUnit):
        def probe(self, register: str, org_no: str) -> UnitStatus:
            world.clock.pass_ms(2 * MINUTE)
            return super().probe(register, org_no)

    ends = Promotion(
        "P9", "Halva priset", "2026-01-01", "percent", valid_to="2026-11-22T10:01", articles=("1",), percent=50
    )
    catalogue = Catalogue("t", "2026-11-01", (an_article("1", "Ost", 10_000),), (ends,))
    till, world = a_till(tmp_path, units=[Slow()], catalogue=catalogue)
    till.selling.pick("1")
    assert till.checkout.pay("card", 5_000).kind == "done"
    assert [receipt.total_ore for receipt in receipts(world)] == [5_000]
    lawful(world)
    till.selling.pick("1")
    with pytest.raises(TooMuchError):
        till.checkout.pay("card", 10_001)
    assert till.checkout.pay("card", 10_000).kind == "done"


def test_r18_s1_the_price_stands_once_money_is_taken_even_over_a_restart_with_another_catalogue(tmp_path: Path) -> None:
    ends = Promotion(
        "P9", "Halva priset", "2026-01-01", "percent", valid_to="2026-11-22T10:05", articles=("1",), percent=50
    )
    till, world = a_till(tmp_path, catalogue=Catalogue("t", "2026-11-01", (an_article("1", "Ost", 10_000),), (ends,)))
    till.selling.pick("1")
    assert till.checkout.pay("card", 2_000).left_ore == 3_000
    taken = [body for body in world.bodies(TenderTaken) if isinstance(body, TenderTaken)]
    assert taken[0].offers is not None
    assert [offer.discount.ore for offer in taken[0].offers] == [5_000]
    world.clock.pass_ms(10 * MINUTE)
    world.catalogue = Catalogue("t2", "2026-11-02", (an_article("2", "Annat", 99_900),))
    again = world.start()
    again.sign_in(ALVA)
    assert again.checkout.pay("cash", 3_000).kind == "done"
    assert receipts(world)[0].total_ore == 5_000
    lawful(world)


# --- paying -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tenders", "rounding"),
    [
        ([("card", 3_140)], 0),
        ([("cash", 3_200)], -40),
        ([("cash", 1_000), ("card", 2_140)], 0),
        ([("card", 1_000), ("cash", 2_100)], -40),
        ([("card", 3_100), ("cash", 0)], -40),
        ([("card", 3_090), ("cash", 100)], 50),
        ([("swish", 40), ("cash", 3_100)], 0),
    ],
)
def test_pay1_cash_then_card_and_card_then_cash(tmp_path: Path, tenders: list[tuple[str, int]], rounding: int) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    till.selling.pick(COLA)
    for name, ore in tenders[:-1]:
        assert till.checkout.pay(name, ore).kind == "more"
    outcome = till.checkout.pay(*tenders[-1])
    assert (outcome.kind, outcome.left_ore) == ("done", 0)
    (receipt,) = receipts(world)
    assert (receipt.total_ore, receipt.rounding_ore) == (3_140, rounding)
    cash = sum(t.amount_ore for t in receipt.tenders if t.means == "cash")
    assert till.desk.state.tally.cash_expected_ore() == 50_000 + cash
    assert world.paths[0].drawer == (1 if any(t.means == "cash" for t in receipt.tenders) else 0)
    lawful(world)


@pytest.mark.parametrize(
    ("name", "ore", "error"),
    [
        ("card", 1_691, TooMuchError),
        ("card", 0, NotEnoughPaidError),
        ("card", -1, NotAnAmountError),
        ("cash", 1_650, NotWholeKronorError),
        ("cash", 0, NotEnoughPaidError),
        ("cash", -100, NotAnAmountError),
        ("cash", 731086500470300, NotAnAmountError),
        ("cash", 10**30, NotAnAmountError),
    ],
)
def test_s9_a_payment_of_nonsense_takes_nothing_and_asks_nobody(
    tmp_path: Path, name: str, ore: int, error: type[Exception]
) -> None:
    till, world = a_till(tmp_path)
    with pytest.raises(NoSuchSaleError):
        till.checkout.pay(name, ore)
    till.selling.pick(MILK)
    before = len(world.entries())
    with pytest.raises(error):
        till.checkout.pay(name, ore)
    assert (len(world.entries()), world.units[0].requests) == (before, [])


@pytest.mark.parametrize(
    "reference", ["8112189876", "46701234567", "4111111111111111", "Åsa", "x" * 41, "\ud800", "a\nb"]
)
def test_s11_no_payers_number_is_journalled(tmp_path: Path, reference: str) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    with pytest.raises(NotPossibleNowError):
        till.checkout.pay("swish", 1_690, reference)
    assert till.checkout.pay("swish", 1_690, "0A1B2C3D").kind == "done"
    assert receipts(world)[0].tenders[0].reference == "0A1B2C3D"
    assert reference.encode(errors="replace") not in world.path.read_bytes()


def test_s2_an_empty_basket_is_not_paid(tmp_path: Path) -> None:
    till, _ = a_till(tmp_path)
    till.selling.begin("sale")
    refused(BasketEmptyError, lambda: till.checkout.pay("cash", 0), till.checkout.finish)


@pytest.mark.parametrize("how", ["cash", "card", "finish"])
def test_s8_what_is_given_away_gets_a_lawful_receipt(tmp_path: Path, how: str) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    till.selling.discount(0, 100, 0, "smakprov", BO)
    outcome = till.checkout.finish() if how == "finish" else till.checkout.pay(how, 0)
    assert outcome.kind == "done"
    (receipt,) = receipts(world)
    assert (receipt.total_ore, receipt.rounding_ore, len(receipt.tenders)) == (0, 0, 1)
    assert receipt.saved_ore == 1_690
    lawful(world)


def test_s2_what_is_not_paid_is_not_finished(tmp_path: Path) -> None:
    till, _ = a_till(tmp_path)
    till.selling.pick(MILK)
    with pytest.raises(NotEnoughPaidError):
        till.checkout.finish()
    till.checkout.pay("card", 1_000)
    with pytest.raises(NotEnoughPaidError):
        till.checkout.finish()


def test_pay2_a_payment_taken_back_is_owed_again(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    till.checkout.pay("card", 1_000)
    till.checkout.pay("cash", 100)
    for wrong in (0, 3, -1, 10**30):
        with pytest.raises(NotPossibleNowError):
            till.checkout.take_back(wrong)
    till.checkout.take_back(1)
    with pytest.raises(NotPossibleNowError):
        till.checkout.take_back(1)
    assert till.checkout.pay("card", 1_590).kind == "done"
    assert [(t.means, t.amount_ore) for t in receipts(world)[0].tenders] == [("cash", 100), ("card", 1_590)]
    lawful(world)


# --- the control unit -------------------------------------------------------------------------------------------------


def test_r23_a_busy_unit_leaves_the_receipt_to_the_other(tmp_path: Path) -> None:
    till, world = a_till(tmp_path, units=two_units())
    world.units[0].plan = ["busy"]
    till.selling.pick(MILK)
    assert till.checkout.pay("card", 1_690).kind == "done"
    assert (receipts(world)[0].unit, world.units[0].registered) == ("SECOND01", {})
    lawful(world)


def test_r23_a_dead_unit_is_passed_by_before_anything_is_sent(tmp_path: Path) -> None:
    till, world = a_till(tmp_path, units=two_units())
    world.units[0].dead = True
    till.selling.pick(MILK)
    assert till.checkout.pay("card", 1_690).kind == "done"
    probed = [(b.unit, b.ready) for b in world.bodies(UnitProbed) if isinstance(b, UnitProbed)]
    assert (receipts(world)[0].unit, probed) == ("SECOND01", [("FIRST001", False), ("SECOND01", True)])
    lawful(world)


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("silence", ["silent_registered", "silent_unregistered"])
def test_r23_silence_is_repeated_once_word_for_word(tmp_path: Path, silence: str, keeps: bool) -> None:
    till, world = a_till(tmp_path, units=[FakeUnit(repeat_keeps_serial=keeps)])
    world.units[0].plan = [silence]
    till.selling.pick(MILK)
    assert till.checkout.pay("card", 1_690).kind == "done"
    first, again = world.units[0].requests
    assert (first.receipt_id, first.minute, first.total_ore, first.vat) == (
        again.receipt_id, again.minute, again.total_ore, again.vat,
    )  # fmt: skip
    assert (again.serial == first.serial) is keeps
    sent = [body.attempt for body in world.bodies(RegistrationSent) if isinstance(body, RegistrationSent)]
    assert sent == [1, 2]
    lawful(world)


@pytest.mark.parametrize(
    "silences", [["silent_registered"] * 2, ["silent_unregistered"] * 2, ["silent_registered", "busy"]]
)
def test_r23_silence_twice_is_an_unknown_code_and_never_a_receipt(tmp_path: Path, silences: list[str]) -> None:
    till, world = a_till(tmp_path, units=two_units())
    world.units[0].plan = list(silences)
    till.selling.pick(MILK)
    outcome = till.checkout.pay("cash", 2_000)
    assert (outcome.kind, outcome.number) == ("code_unknown", 1)
    assert (world.paths[0].printed, world.paths[0].drawer, receipts(world)) == ([], 0, [])
    assert cases(world) == ["code_unknown"]
    closed = [(b.unit, b.reason) for b in world.bodies(UnitClosed) if isinstance(b, UnitClosed)]
    assert closed == [("FIRST001", "code_unknown")]
    assert world.units[1].registered == {}, "the other unit is not asked for the same receipt"
    till.selling.pick(CRISPS)
    assert till.checkout.pay("card", 2_500).kind == "done"
    (receipt,) = receipts(world)
    assert (receipt.number, receipt.unit) == (2, "SECOND01"), "the number is spent, the closed unit is not asked"
    report = till.drawer.z(BO).report
    assert (report.unknown_codes, report.unknown_codes_ore, report.receipts, report.sales_ore) == (1, 1_690, 1, 2_500)
    assert till.desk.state.tally.cash_expected_ore() == 50_000 + 1_700, "the money is in the drawer all the same"
    lawful(world)


def test_r23_a_closed_unit_is_opened_by_a_supervisor_alone(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    with pytest.raises(NotPossibleNowError):
        till.checkout.open_unit("FAKE0001", BO)
    world.units[0].plan = ["silent_registered"] * 2
    till.selling.pick(MILK)
    till.checkout.pay("card", 1_690)
    till.selling.pick(MILK)
    with pytest.raises(NoControlUnitError):
        till.checkout.pay("card", 1_690)
    assert till.checkout.probe_all()[0].ready, "it answers, and is closed all the same"
    with pytest.raises(NoControlUnitError):
        till.checkout.end_outage(0, 0, BO)
    with pytest.raises(NeedsApprovalError):
        till.checkout.open_unit("FAKE0001")
    till.checkout.open_unit("FAKE0001", BO)
    till.checkout.end_outage(0, 0, BO)
    assert till.checkout.pay("card", 1_690).number == 2
    lawful(world)


def test_t4_with_no_unit_nothing_is_taken_and_the_reserve_routine_begins(tmp_path: Path) -> None:
    till, world = a_till(tmp_path, units=two_units())
    till.selling.pick(MILK)
    for unit in world.units:
        unit.dead = True
    with pytest.raises(NoControlUnitError):
        till.checkout.pay("cash", 2_000)
    assert (world.bodies(TenderTaken), len(world.bodies(OutageBegan))) == ([], 1)
    with pytest.raises(OutageOpenError):
        till.checkout.pay("cash", 2_000)
    assert len(world.bodies(OutageBegan)) == 1, "it has begun once"
    till.selling.park()
    refused(
        OutageOpenError,
        lambda: till.selling.pick(MILK),
        lambda: till.selling.begin("training"),
        lambda: till.selling.resume(1),
    )
    with pytest.raises(NeedsApprovalError):
        till.checkout.end_outage(2, 5_000)
    with pytest.raises(NoControlUnitError):
        till.checkout.end_outage(2, 5_000, BO)
    world.units[1].dead = False
    assert till.desk.state.outage, "a unit that answers again ends nothing by itself"
    for slips, ore in ((-1, 0), (1, 0), (0, 1), (1, -1), (10**30, 1), (1, 10**30)):
        with pytest.raises(NotPossibleNowError):
            till.checkout.end_outage(slips, ore, BO)
    till.checkout.end_outage(2, 5_000, BO)
    with pytest.raises(NotPossibleNowError):
        till.checkout.end_outage(0, 0, BO)
    (ended,) = world.bodies(OutageEnded)
    assert isinstance(ended, OutageEnded)
    assert (ended.by, ended.slips, ended.slips_ore) == (3, 2, 5_000)
    till.selling.resume(1)
    assert till.checkout.pay("cash", 2_000).kind == "done"
    assert till.drawer.z(BO).report.sales_ore == 1_690, "slips are booked from paper and never registered"
    lawful(world)


def test_t4_no_copy_and_no_finish_in_the_reserve_routine(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    till.checkout.pay("card", 1_690)
    till.selling.pick(MILK)
    till.checkout.pay("card", 100)
    world.units[0].dead = True
    with pytest.raises(NoControlUnitError):
        till.checkout.pay("card", 1_590)
    world.units[0].dead = False
    with pytest.raises(OutageOpenError):
        till.checkout.copy(1)
    with pytest.raises(OutageOpenError):
        till.checkout.pay("card", 1_590)
    till.checkout.take_back(1)
    assert till.desk.basket().state == "open", "money can always be given back"


def test_r23_all_units_refuse_after_cash_and_the_cash_goes_back_by_itself(tmp_path: Path) -> None:
    till, world = a_till(tmp_path, units=two_units())
    for unit in world.units:
        unit.plan = ["busy"]
    till.selling.pick(MILK)
    outcome = till.checkout.pay("cash", 2_000)
    assert outcome.kind == "no_unit"
    assert told(world)[-4:] == ["RegistrationRefused", "RegistrationGivenUp", "TenderReversed", "OutageBegan"]
    assert (cases(world), till.desk.basket().state) == ([], "open")
    assert till.desk.state.tally.cash_expected_ore() == 50_000
    till.checkout.end_outage(0, 0, BO)
    assert till.checkout.pay("cash", 2_000).number == 1, "nothing was registered, so the number is free"
    lawful(world)


def test_r23_all_units_refuse_after_card_and_a_case_holds_the_money(tmp_path: Path) -> None:
    till, world = a_till(tmp_path, units=two_units())
    for unit in world.units:
        unit.plan = ["busy"]
    till.selling.pick(COLA)
    till.checkout.pay("cash", 400)
    outcome = till.checkout.pay("card", 1_050)
    assert outcome.kind == "no_unit"
    (case,) = world.bodies(CaseOpened)
    assert isinstance(case, CaseOpened)
    assert (case.about, case.amount_ore, case.facts[0].value) == ("tender_without_sale", 1_050, "card 10,50")
    reversed_, failed = world.bodies(TenderReversed), world.bodies(ReversalFailed)
    assert [b.means for b in reversed_ if isinstance(b, TenderReversed)] == ["cash"]
    assert [b.means for b in failed if isinstance(b, ReversalFailed)] == ["card"]
    assert len(world.bodies(SaleAbandoned)) == 1
    with pytest.raises(NoSuchSaleError):
        till.checkout.pay("card", 1)
    till.checkout.end_outage(1, 1_450, BO)
    till.selling.pick(MILK)
    assert till.checkout.pay("card", 1_690).number == 1
    assert till.drawer.z(BO).report.sales_ore == 1_690
    lawful(world)


def test_r23_a_training_sale_that_no_unit_takes_leaves_no_case(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    world.units[0].plan = ["busy"]
    till.selling.begin("training")
    till.selling.pick(MILK)
    assert till.checkout.pay("card", 1_690).kind == "no_unit"
    assert (cases(world), till.desk.basket().state) == ([], "open")


# --- paper ------------------------------------------------------------------------------------------------------------


def test_r04_a_printer_gone_in_the_middle_leaves_the_sale_and_stops_the_next(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    parked = till.selling.park()
    till.selling.pick(MILK)
    world.paths[0].away = True
    assert till.checkout.pay("cash", 2_000).kind == "done"
    assert (till.printing.trouble != "", len(till.desk.state.unprinted)) == (True, 1)
    refused(
        NoReceiptPathError,
        lambda: till.selling.pick(MILK),
        lambda: till.selling.resume(parked),
        lambda: till.selling.begin("training"),
        lambda: till.checkout.copy(1),
        lambda: till.returns.begin("1", BO),
    )
    world.paths[0].away = False
    till.selling.resume(parked)
    till.checkout.pay("card", 1_690)
    till.printing.print_all()
    assert [paper.name.split()[-1] for paper in world.paths[0].printed] == ["1", "2"], (
        "each original once, the oldest first"
    )
    assert till.desk.state.unprinted == []
    assert all(not b.again for b in world.bodies(ReceiptPrinted) if isinstance(b, ReceiptPrinted))


def test_r04_the_second_path_is_tried_and_the_electronic_one_is_asked_for(tmp_path: Path) -> None:
    paths = [FakePath("first"), FakePath("second"), FakePath("screen", kind="electronic")]
    till, world = a_till(tmp_path, paths=paths)
    till.selling.pick(MILK)
    till.checkout.pay("cash", 2_000, electronic=True)
    till.selling.pick(MILK)
    paths[0].away = True
    till.checkout.pay("cash", 2_000)
    till.selling.pick(MILK)
    paths[1].away = True
    till.checkout.pay("cash", 2_000)
    assert [len(path.printed) for path in paths] == [0, 1, 2]
    printed = [b.path for b in world.bodies(ReceiptPrinted) if isinstance(b, ReceiptPrinted)]
    assert printed == ["electronic", "second", "electronic"]
    assert (paths[0].drawer, paths[1].drawer) == (1, 1), "the drawer hangs on a printer, whatever the customer wants"


def test_p8_a_drawer_that_jams_prints_no_second_original(tmp_path: Path) -> None:
    class Jammed(FakePath):
        def open_drawer(self) -> None:
            self.away = True
            super().open_drawer()

    paths: list[FakePath] = [Jammed("first"), FakePath("second")]
    till, _ = a_till(tmp_path, paths=paths)
    till.selling.pick(MILK)
    till.checkout.pay("cash", 2_000)
    assert [len(path.printed) for path in paths] == [1, 0]


def test_r04_a_restart_prints_what_may_not_have_come_out_and_says_so(tmp_path: Path) -> None:
    till, world = a_failing_till(tmp_path)
    till.selling.pick(MILK)
    world.fail_at(2, after=False, power=True)
    with pytest.raises(PowerCutError):
        till.checkout.pay("cash", 2_000)
    assert told(world)[-1] == "Receipt"
    again = world.start()
    printed = [(b.number, b.again) for b in world.bodies(ReceiptPrinted) if isinstance(b, ReceiptPrinted)]
    assert printed == [(1, True)]
    assert again.desk.state.unprinted == []
    first, second = world.paths[0].printed
    assert len(second.rows) > len(first.rows), "it says that it is printed again"
    world.start()
    assert len(world.paths[0].printed) == 2


# --- copies and training -----------------------------------------------------------------------------------------------


def test_f8_one_copy_and_no_more(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    till.checkout.pay("card", 1_690)
    for number in (0, 2, -1, 10**9, 10**30):
        with pytest.raises(NoReceiptError):
            till.checkout.copy(number)
    assert till.checkout.copy(1).number == 1
    for _ in range(2):
        with pytest.raises(AlreadyCopiedError):
            till.checkout.copy(1)
    again = world.start()
    again.sign_in(ALVA)
    with pytest.raises(AlreadyCopiedError):
        again.checkout.copy(1)
    (copy,) = world.bodies(CopyMade)
    assert isinstance(copy, CopyMade)
    assert (copy.copy, copy.number, copy.code) == (1, 1, "FAKE0001-kopia-1")
    report = again.drawer.z(BO).report
    assert (report.copies, report.copies_ore, report.receipts, report.sales_ore) == (1, 1_690, 1, 1_690)
    lawful(world)


def test_f8_a_copy_whose_code_never_came_is_no_copy(tmp_path: Path) -> None:
    till, world = a_till(tmp_path, units=two_units())
    till.selling.pick(MILK)
    till.checkout.pay("card", 1_690)
    world.units[0].plan = ["silent_registered"] * 2
    assert till.checkout.copy(1).kind == "code_unknown"
    assert len(world.paths[0].printed) == 1
    assert till.checkout.copy(1).number == 2
    lawful(world)


def test_f3_t5_training_is_marked_counted_apart_and_opens_nothing(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.begin("training")
    till.selling.pick(MILK)
    till.selling.pick(COLA)
    assert till.checkout.pay("cash", 5_000).kind == "done"
    (receipt,) = receipts(world)
    assert (receipt.kind, receipt.number, receipt.code) == ("training", 1, "")
    assert world.paths[0].drawer == 0, "training is no way into the drawer"
    with pytest.raises(NoReceiptError):
        till.checkout.copy(1)
    with pytest.raises(NoReceiptError):
        till.returns.begin("1", BO)
    till.selling.pick(MILK)
    till.checkout.pay("cash", 2_000)
    report = till.drawer.z(BO).report
    assert (report.training, report.training_ore, report.receipts, report.sales_ore) == (1, 3_140, 1, 1_690)
    assert till.desk.state.tally.cash_expected_ore() == 50_000 + 1_700
    assert [m.means for m in report.means] == ["cash"]
    lawful(world)


# --- crash between any two writes ---------------------------------------------------------------------------------------

PLANS = {
    "quiet": [],
    "busy": ["busy"],
    "lost answer": ["silent_registered"],
    "lost request": ["silent_unregistered"],
    "silent": ["silent_registered", "silent_registered"],
}


def day(till: Till) -> None:
    """A sale in two parts, a copy, and part of it back."""
    till.selling.pick(MILK)
    till.selling.pick(COLA, 2000)
    till.checkout.pay("card", 1_000)
    till.checkout.pay("cash", 5_000)
    till.checkout.copy(1)
    till.returns.begin("1", BO)
    till.returns.take(2, 1000)
    till.checkout.pay("cash", 0)


def after(till: Till, world: World) -> None:
    """What a cashier does when the till is up again: whatever was begun is ended one way or the other."""
    for unit in world.units:
        unit.plan = []
    if not till.desk.state.staff:
        till.sign_in(ALVA)
    if till.desk.state.outage:
        till.checkout.end_outage(0, 0, BO)
    if till.desk.state.current:
        basket = till.desk.basket()
        if basket.state == "being paid":
            for tender in list(basket.tenders):
                till.checkout.take_back(tender)
        till.selling.abandon("efter avbrott", BO)
    till.selling.pick(BAG)
    assert till.checkout.pay("card", 700).kind == "done"
    till.drawer.z(BO)
    lawful(world)
    assert world.journal is not None
    numbers = [receipt.number for receipt in receipts(world)]
    assert len(numbers) == len(set(numbers))
    counts: dict[str, int] = {}
    for paper in world.paths[0].printed:
        counts[paper.name] = counts.get(paper.name, 0) + 1
    again = sum(1 for b in world.bodies(ReceiptPrinted) if isinstance(b, ReceiptPrinted) and b.again)
    assert sum(n - 1 for name, n in counts.items() if not name.startswith("Z")) <= again


@pytest.mark.parametrize("power", [True, False], ids=["power", "disk"])
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("plan", sorted(PLANS))
def test_r04_r11_r23_t7_a_failure_between_any_two_writes(tmp_path: Path, plan: str, late: bool, power: bool) -> None:
    """Every write of the day fails once, before or after it is on disk; the till starts, or goes on, and all agrees."""
    tried = 0
    for write in range(60):
        folder = tmp_path / str(write)
        folder.mkdir()
        till, world = a_failing_till(folder, units=two_units())
        world.units[0].plan = list(PLANS[plan])
        world.fail_at(write, after=late, power=power)
        try:
            day(till)
        except PowerCutError:
            till = world.start()
        except OppetError:
            pass  # a failed disk stops the day in the middle, and what follows from that is refused
        if not world.failed:
            break
        tried += 1
        till.desk.ready()
        after(till, world)
        assert world.journal is not None
        world.journal.close()
    assert tried > (5 if plan == "silent" else 12), "the day is shorter than it was"


def test_t7_a_disk_that_failed_in_mid_registration_does_not_stop_the_till(tmp_path: Path) -> None:
    till, world = a_failing_till(tmp_path)
    till.selling.pick(MILK)
    world.fail_at(1, after=False, power=False)
    with pytest.raises(Exception, match="disk failed"):
        till.checkout.pay("cash", 2_000)
    till.selling.pick(MILK)
    assert [receipt.number for receipt in receipts(world)] == [1], "the registration was settled before the next scan"
    assert world.bodies(UnitAnswered)
    assert till.checkout.pay("card", 1_690).number == 2
    assert len(world.units[0].requests) == 3
    lawful(world)


def test_t7_a_receipt_whose_print_was_not_journalled_is_marked_when_it_is_printed_again(tmp_path: Path) -> None:
    till, world = a_failing_till(tmp_path)
    till.selling.pick(MILK)
    world.fail_at(2, after=False, power=False)
    with pytest.raises(Exception, match="disk failed"):
        till.checkout.pay("cash", 2_000)
    assert len(world.paths[0].printed) == 1
    till.selling.pick(MILK)
    printed = [(b.number, b.again) for b in world.bodies(ReceiptPrinted) if isinstance(b, ReceiptPrinted)]
    assert printed == [(1, True)]


def test_t7_such_a_receipt_is_marked_also_when_a_later_sale_puts_it_out(tmp_path: Path) -> None:
    till, world = a_failing_till(tmp_path)
    till.selling.pick(MILK)
    world.fail_at(2, after=False, power=True)
    with pytest.raises(PowerCutError):
        till.checkout.pay("cash", 2_000)
    world.paths[0].away = True  # at the start nothing can be put out
    again = world.start()
    world.paths[0].away = False
    again.sign_in(ALVA)
    again.selling.pick(MILK)
    again.checkout.pay("cash", 2_000)
    printed = [(b.number, b.again) for b in world.bodies(ReceiptPrinted) if isinstance(b, ReceiptPrinted)]
    assert printed == [(1, True), (2, False)]


def test_r23_a_unit_taken_out_of_the_settings_leaves_an_unknown_code(tmp_path: Path) -> None:
    till, world = a_failing_till(tmp_path, units=two_units())
    till.selling.pick(MILK)
    world.fail_at(1, after=False, power=True)
    with pytest.raises(PowerCutError):
        till.checkout.pay("card", 1_690)
    world.units = world.units[1:]
    again = world.start()
    assert cases(world) == ["code_unknown"]
    again.sign_in(ALVA)
    again.selling.pick(MILK)
    assert again.checkout.pay("card", 1_690).number == 2


@pytest.mark.parametrize("attempt", [1, 2])
def test_r23_a_restart_asks_at_most_once_more(tmp_path: Path, attempt: int) -> None:
    till, world = a_failing_till(tmp_path)
    world.units[0].plan = ["silent_registered"] * 2
    till.selling.pick(MILK)
    world.fail_at(attempt, after=False, power=True)
    with pytest.raises(PowerCutError):
        till.checkout.pay("card", 1_690)
    assert len(world.units[0].requests) == attempt
    world.start()
    assert len(world.units[0].requests) == 2
    assert cases(world) == ["code_unknown"]


def test_f6_a_long_day_leaves_series_without_gap_or_repeat(tmp_path: Path) -> None:
    till, world = a_till(tmp_path, units=two_units())
    for n in range(30):
        world.units[n % 2].plan = [["ok"], ["busy"], ["silent_registered"], ["silent_unregistered"]][n % 4]
        till.selling.pick(MILK)
        till.selling.pick(BANANA, 100 + n)
        total = till.desk.priced(till.desk.basket()).total_ore
        assert till.checkout.pay("card", total, f"REF{n}").kind == "done"
        world.clock.pass_ms(MINUTE)
    till.drawer.z(BO)
    lawful(world)
    assert [receipt.number for receipt in receipts(world)] == list(range(1, 31))
    assert world.clock.instant > parse_utc("2026-11-22T09:00:00.000Z") == SUNDAY


def test_j6_the_largest_basket_there_can_be_is_one_entry(tmp_path: Path) -> None:
    """A receipt that no entry holds would be registered and never written."""
    name = "\N{GREEN APPLE}" * 72
    till, world = a_till(tmp_path, catalogue=Catalogue("t", "2026-11-01", (an_article("1", name, 9_999, group=name),)))
    till.selling.begin("sale")
    for _ in range(400):
        till.selling.pick("1")
    for _ in range(3):
        till.selling.discount(0, 3, 0, "\N{GREEN APPLE}" * 60, BO)
    till.selling.discount(0, 3, 0, "\N{GREEN APPLE}" * 60, BO)
    with pytest.raises(TooManyDiscountsError):
        till.checkout.pay("card", 100)
    till.selling.withdraw_discount(1)
    assert till.checkout.pay("card", till.desk.priced(till.desk.basket()).total_ore).kind == "done"
    largest = max(len(bytes(entry.body)) for entry, _ in world.entries())
    assert LARGEST_ENTRY / 2 < largest < LARGEST_ENTRY * 0.95


def test_s7_nobody_pays_while_nobody_is_signed_in(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    till.sign_out()
    before = len(world.entries())
    for act in (
        lambda: till.checkout.pay("card", 1_690),
        till.checkout.finish,
        lambda: till.checkout.copy(1),
        lambda: till.checkout.take_back(1),
        lambda: till.checkout.end_outage(0, 0, BO),
        lambda: till.checkout.open_unit("FAKE0001", BO),
    ):
        with pytest.raises(Exception, match="signed in"):
            act()
    assert len(world.entries()) == before


def test_j1_given_up_numbers_are_used_by_the_next_receipt_only(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    world.units[0].plan = ["busy"]
    till.selling.pick(MILK)
    till.checkout.pay("cash", 2_000)
    assert len(world.bodies(RegistrationGivenUp)) == 1
    assert till.desk.state.numbers["normal"] == 0


def test_f12_what_could_forbid_the_sale_is_asked_before_the_customer_is_asked_for_money(tmp_path: Path) -> None:
    """A card is charged by hand on its own terminal: age and control unit come first."""
    till, world = a_till(tmp_path)
    till.selling.pick(BEER)
    with pytest.raises(AgeNotCheckedError):
        till.checkout.may_pay()
    till.selling.check_age(passed=True)
    till.checkout.may_pay()
    world.units[0].dead = True
    with pytest.raises(NoControlUnitError):
        till.checkout.may_pay()
    assert till.desk.basket().tenders == {}
    assert till.desk.state.outage


def test_r23_a_sale_without_an_answer_still_gives_the_customer_change(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    world.units[0].plan = ["silent_unregistered", "silent_unregistered"]
    outcome = till.checkout.pay("cash", 10_000)
    assert (outcome.kind, outcome.change_ore) == ("code_unknown", 10_000 - 1_700)
    assert till.desk.state.last_change_ore == outcome.change_ore
