"""Tenders that somebody outside decides: every one ends as paid or not paid by evidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from oppet.journal.kinds import (
    CaseOpened,
    Elsewhere,
    Evidence,
    PathSeen,
    Receipt,
    ReportMade,
    SaleAbandoned,
    SaleMoved,
    TenderHeard,
    TenderSent,
    TenderTaken,
)
from oppet.payments.paths import Slip, Work
from oppet.payments.risk import RiskLimits, RiskTooHighError
from oppet.register.desk import Rules
from oppet.register.errors import (
    NotPossibleNowError,
    PathBusyError,
    PathMissingError,
    TakenElsewhereError,
    TenderOpenError,
)
from oppet.register.ports import Alone
from oppet.register.till import Till
from oppet.sale.errors import BasketStateError, NeedsApprovalError
from oppet.sale.rights import Staff
from tests.register.services import FakeService
from tests.register.world import BO, MILK, World, a_till

PRICE = 1_690


def shop(folder: Path, *services: FakeService) -> tuple[Till, World, FakeService]:
    till, world = a_till(folder, payments=list(services) or [FakeService()])
    first = world.payments[0]
    assert isinstance(first, FakeService)
    till.selling.pick(MILK)
    return till, world, first


def later(till: Till, world: World, seconds: int = 3, times: int = 1) -> None:
    for _ in range(times):
        world.clock.pass_ms(seconds * 1_000)
        till.tenders.tick()


def test_pt1_an_approved_card_finishes_the_sale_with_its_evidence(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    till.tenders.ask("card-1", PRICE)
    assert till.tenders.tick()
    assert till.tenders.outcome is not None
    assert till.tenders.outcome.kind == "done"
    [receipt] = world.bodies(Receipt)
    assert isinstance(receipt, Receipt)
    [tender] = receipt.tenders
    assert (tender.means, tender.amount_ore) == ("card", PRICE)
    assert tender.evidence is not None
    assert tender.evidence.approval == "A1"
    assert card.net() == PRICE
    assert till.tenders.waiting() == []


def test_pt1_the_intent_is_on_disk_before_the_first_byte_leaves(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    seen: list[int] = []
    send = card.send

    def looking(work: object) -> None:
        seen.append(len(world.bodies(TenderSent)))
        send(work)  # type: ignore[arg-type]

    card.send = looking  # type: ignore[method-assign]
    till.tenders.ask("card-1", PRICE)
    assert seen == [1]


def test_pt1_a_declined_card_opens_the_basket_again(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.plan = ["decline"]
    till.tenders.ask("card-1", PRICE)
    till.tenders.tick()
    assert till.desk.basket().state == "open"
    till.selling.pick(MILK)
    till.checkout.pay("cash", 10_000)
    assert len(world.bodies(Receipt)) == 1
    assert card.net() == 0


def test_pt2_r12_unknown_is_left_only_by_a_status_query_about_the_same_request(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.plan = ["silent_charged"]
    till.tenders.ask("card-1", PRICE)
    till.tenders.tick()
    [waiting] = till.tenders.waiting()
    assert waiting.state == "unknown"
    later(till, world)
    assert [work.what for work in card.works] == ["payment", "status"]
    assert card.works[1].about == card.works[0].request != card.works[1].request
    till.tenders.tick()
    assert len(world.bodies(Receipt)) == 1
    assert card.net() == PRICE


def test_pt2_an_unknown_that_was_not_charged_ends_as_not_paid(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.plan = ["silent_not"]
    till.tenders.ask("card-1", PRICE)
    later(till, world, times=3)
    assert till.tenders.waiting() == []
    assert till.desk.basket().state == "open"
    assert (card.net(), len(world.bodies(Receipt))) == (0, 0)


def test_pt2_r12_nothing_is_asked_twice_while_nobody_knows(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.hold = True
    till.tenders.ask("card-1", PRICE)
    with pytest.raises(PathBusyError):
        till.tenders.ask("card-1", PRICE)
    with pytest.raises(TenderOpenError):
        till.checkout.pay("cash", 10_000)
    with pytest.raises(BasketStateError):
        till.selling.park()
    with pytest.raises(BasketStateError):
        till.selling.pick(MILK)
    with pytest.raises(PathMissingError):
        till.tenders.ask("card-2", PRICE)
    assert len(world.bodies(TenderSent)) == 1


def test_pt4_r25_an_unknown_card_closes_its_terminal_only_and_goes_back_when_it_was_charged(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path, FakeService(), FakeService("swish", "swish", idempotent=True, exclusive=False))
    card.plan = ["silent_charged"]
    card.away = False
    till.tenders.ask("card-1", PRICE)
    till.tenders.tick()
    card.away = True
    till.checkout.pay("cash", 10_000)  # another tender
    till.selling.pick(MILK)
    with pytest.raises(PathBusyError):  # the next customer is not charged with the last one's amount
        till.tenders.ask("card-1", PRICE)
    till.tenders.ask("swish", PRICE)
    till.tenders.tick()
    assert len(world.bodies(Receipt)) == 2
    later(till, world, 60, 3)
    assert [one.state for one in till.tenders.waiting()] == ["unknown"]
    card.away = False
    later(till, world, 700, 4)
    assert till.tenders.waiting() == []
    assert (card.net(), list(card.reversed.values())) == (0, [PRICE])
    assert world.bodies(CaseOpened) == []


def test_pt4_a_reversal_that_is_refused_becomes_a_case(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.plan, card.refuses_reversals = ["silent_charged"], True
    till.tenders.ask("card-1", PRICE)
    till.tenders.tick()
    till.checkout.pay("cash", 10_000)
    later(till, world, 700, 5)
    [case] = world.bodies(CaseOpened)
    assert isinstance(case, CaseOpened)
    assert (case.about, case.amount_ore) == ("reversal_failed", PRICE)
    assert till.tenders.waiting() == []


def test_pt4_an_approval_of_more_than_was_asked_is_never_taken(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.plan = ["more"]
    till.tenders.ask("card-1", PRICE)
    later(till, world, times=3)
    assert (card.net(), world.bodies(TenderTaken)) == (0, [])


def test_pt1_a_partial_approval_leaves_the_rest_to_pay(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.plan = ["partial"]
    till.tenders.ask("card-1", PRICE)
    till.tenders.tick()
    assert till.desk.basket().paid_ore() == PRICE // 2
    till.checkout.pay("cash", 10_000)
    [receipt] = world.bodies(Receipt)
    assert isinstance(receipt, Receipt)
    assert [tender.means for tender in receipt.tenders] == ["card", "cash"]


def test_pt2_an_abort_that_loses_the_race_leaves_the_choice_to_a_person(tmp_path: Path) -> None:
    till, _, card = shop(tmp_path)
    card.hold = True
    tender = till.tenders.ask("card-1", PRICE)
    till.tenders.abort(tender)
    till.tenders.tick()
    assert [one.state for one in till.tenders.waiting()] == ["aborting"]
    card.book.clear()
    card.settle_held(card.works[0])
    till.tenders.tick()
    assert till.tenders.outcome is None, "nobody finished it"
    assert till.desk.basket().paid_ore() == PRICE
    till.tenders.give_back(tender)
    till.tenders.tick()
    assert (card.net(), till.desk.basket().state) == (0, "open")


def test_pt1_a_restart_between_sending_and_hearing_knows_nothing_and_asks(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.plan = ["silent_charged"]
    till.tenders.ask("card-1", PRICE)
    card.answers.clear()  # the power goes before anything is heard
    again = world.start()
    assert [one.state for one in again.tenders.waiting()] == ["unknown"]
    later(again, world, times=3)
    assert [work.what for work in card.works] == ["payment", "status"]
    again.sign_in(Staff(7, "cashier"))
    assert again.desk.basket().paid_ore() == PRICE
    again.checkout.finish()
    assert (card.net(), len(world.bodies(Receipt))) == (PRICE, 1)


def test_pt2_a_parked_basket_takes_its_money_when_it_is_known(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.plan = ["silent_charged"]
    till.tenders.ask("card-1", PRICE)
    till.tenders.tick()
    sale = till.selling.park()
    till.selling.pick(MILK)
    till.checkout.pay("cash", 10_000)
    later(till, world, times=3)
    assert till.desk.state.baskets[sale].paid_ore() == PRICE
    till.selling.resume(sale)
    till.checkout.finish()
    assert (card.net(), len(world.bodies(Receipt)), len(card.reversed)) == (PRICE, 2, 0)


def test_pt2_a_z_lists_what_nobody_knows_and_is_not_blocked(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.plan = ["silent_charged"]
    till.tenders.ask("card-1", PRICE)
    till.tenders.tick()
    made = till.drawer.z(BO)
    assert (made.report.open_tenders, made.report.open_tenders_ore, made.report.receipts) == (1, PRICE, 0)
    assert len(world.bodies(ReportMade)) == 1


def test_pt3_only_queries_are_sent_again_and_ever_more_slowly(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.plan = ["silent_charged"]
    till.tenders.ask("card-1", PRICE)
    till.tenders.tick()
    card.away = True
    for _ in range(3_600):
        later(till, world, 1)
    whats = [work.what for work in card.works]
    assert set(whats[1:]) == {"status"}
    assert 8 <= len(whats) <= 20


def test_pt3_a_service_that_defines_it_gets_the_very_same_request_again(tmp_path: Path) -> None:
    swish = FakeService("swish", "swish", idempotent=True, exclusive=False)
    till, world, _ = shop(tmp_path, swish)
    swish.plan = ["silent_not"]
    till.tenders.ask("swish", PRICE)
    swish.book.clear()  # the request never arrived
    tell = swish.say

    def not_found_yet(work: object, outcome: str, amount: int = 0) -> None:
        tell(work, "in_progress" if outcome == "not_found" else outcome, amount)  # type: ignore[arg-type]
        if outcome == "not_found":
            swish.answers[-1] = msgspec.structs.replace(swish.answers[-1], why="not_found")

    swish.say = not_found_yet  # type: ignore[method-assign]
    later(till, world, 10, 4)
    payments = [work for work in swish.works if work.what == "payment"]
    assert len({work.request for work in payments}) == 1
    assert (len(payments), payments[1].repeat) == (2, True)
    assert swish.net() == PRICE


def test_pt6_what_nobody_confirms_is_bounded(tmp_path: Path) -> None:
    by_hand = FakeService("swish-alone", "swish", by_hand=True, exclusive=False)
    till, world, _ = shop(tmp_path, by_hand)
    tender = till.tenders.ask("swish-alone", PRICE)
    by_hand.answers.clear()
    till.tenders.vouch(tender, paid=True)
    assert till.desk.state.risk.ore == PRICE
    [taken] = world.bodies(TenderTaken)
    assert isinstance(taken, TenderTaken)
    assert taken.at_risk
    till.checkout.finish()
    for _ in range(40):
        till.selling.pick(MILK)
    with pytest.raises(RiskTooHighError):
        till.tenders.ask("swish-alone", 40 * PRICE)


def test_pt6_a_terminal_that_approves_alone_is_asked_within_the_budget(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.plan = ["offline"]
    till.tenders.ask("card-1", PRICE, offline=True)
    till.tenders.tick()
    assert card.works[0].offline
    assert (till.desk.state.risk.ore, len(world.bodies(Receipt))) == (PRICE, 1)


def test_pt6_the_shops_slip_of_an_offline_card_follows_the_receipt_and_nothing_waits_for_it(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    say = card.say

    def alone(work: Work, outcome: str, amount: int = 0) -> None:
        say(work, outcome, amount)
        evidence = Evidence("T1", "2026-11-22T10:00:00Z", "A1", card="0010", how="chip_pin", offline=True, waiting=2)
        card.answers[-1] = msgspec.structs.replace(card.answers[-1], evidence=evidence)

    card.say = alone  # type: ignore[method-assign]
    for away in (False, True):
        card.plan = ["offline"]
        if till.desk.state.current == 0:
            till.selling.pick(MILK)
        till.tenders.ask("card-1", PRICE, offline=True)
        world.paths[0].away = away
        till.tenders.tick()
    assert [paper.name.split()[0] for paper in world.paths[0].printed] == ["Kassakvitto", "The"]
    assert len(world.bodies(Receipt)) == 2


def test_pt1_what_the_terminal_wants_signed_is_printed_at_once_and_the_customers_copy_is_not(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.receipts = [
        Slip("CustomerReceipt", signature=False, lines=(("TOTAL", "16,90"),)),
        Slip("CashierReceipt", signature=True, lines=(("TOTAL", "16,90"), ("AID", "A0000000031010"))),
    ]
    till.tenders.ask("card-1", PRICE)
    till.tenders.tick()
    names = [paper.name for paper in world.paths[0].printed]
    assert names[0] == "The shop's copy: to be signed"
    assert len(names) == 2
    rows = [row.left for row in world.paths[0].printed[0].rows]
    assert "AID" in rows


def test_pt8_the_board_says_that_a_terminal_without_its_line_still_decides_alone(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    later(till, world)
    card.away = card.alone = True
    later(till, world)
    card.alone = False
    later(till, world)
    seen = [body for body in world.bodies(PathSeen) if isinstance(body, PathSeen)]
    assert [(body.state, body.alone) for body in seen] == [("working", False), ("down", True), ("down", False)]


def test_pt5_an_answer_to_another_request_is_dropped(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.hold = True
    till.tenders.ask("card-1", PRICE)
    work = card.works[0]
    card.say(msgspec.structs.replace(work, request="another"), "approved", PRICE)
    card.say(work, "approved", 0)
    till.tenders.tick()
    assert world.bodies(TenderHeard) == []
    assert [one.state for one in till.tenders.waiting()] == ["asked"]


def test_pt2_a_driver_that_says_nothing_at_all_is_overdue(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.hold = True
    till.tenders.ask("card-1", PRICE)
    later(till, world, 199)
    assert [one.state for one in till.tenders.waiting()] == ["asked"]
    later(till, world, 2)
    assert [one.state for one in till.tenders.waiting()] == ["unknown"]


def test_pt2_what_a_terminal_never_processed_is_no_witness_to_its_memory(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.plan = ["decline", "not_now", "silent_not"]
    till.tenders.ask("card-1", PRICE)
    till.tenders.tick()
    till.tenders.ask("card-1", PRICE)
    till.tenders.tick()
    till.tenders.ask("card-1", PRICE)
    later(till, world, times=2)
    assert [work.what for work in card.works] == ["payment", "payment", "payment", "status"]
    assert [work.witness for work in card.works[1:]] == [card.works[0].request] * 3


def test_pt1_training_never_reaches_a_terminal(tmp_path: Path) -> None:
    till, world = a_till(tmp_path, payments=[FakeService()])
    till.selling.begin("training")
    till.selling.pick(MILK)
    with pytest.raises(NotPossibleNowError):
        till.tenders.ask("card-1", PRICE)
    assert world.bodies(TenderSent) == []


def test_pt2_a_refund_that_comes_too_late_is_a_case_and_leaves_its_terminal_free(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    till.checkout.pay("cash", 10_000)
    till.sign_in(BO)
    till.returns.begin("1")
    till.returns.take(1, 1_000)
    card.plan = ["silent_charged"]
    till.tenders.ask("card-1", PRICE)
    till.tenders.tick()
    till.checkout.pay("cash", 0)  # the customer takes cash instead
    later(till, world, times=3)
    [case] = world.bodies(CaseOpened)
    assert isinstance(case, CaseOpened)
    assert (case.about, till.tenders.waiting()) == ("refund_without_return", [])
    till.selling.pick(MILK)
    till.tenders.ask("card-1", PRICE)


def test_pt6_a_payment_by_the_cashiers_word_still_waits_for_it_after_a_restart(tmp_path: Path) -> None:
    by_hand = FakeService("swish-alone", "swish", by_hand=True, exclusive=False)
    till, world, _ = shop(tmp_path, by_hand)
    tender = till.tenders.ask("swish-alone", PRICE)
    by_hand.answers.clear()
    again = world.start()
    again.sign_in(Staff(7, "cashier"))
    again.tenders.vouch(tender, paid=True)
    again.checkout.finish()
    assert len(world.bodies(Receipt)) == 1


def test_pt6_a_payment_by_the_cashiers_word_goes_back_by_it(tmp_path: Path) -> None:
    by_hand = FakeService("swish-alone", "swish", by_hand=True, exclusive=False)
    till, _, _ = shop(tmp_path, by_hand)
    tender = till.tenders.ask("swish-alone", PRICE - 1_000)
    by_hand.answers.clear()
    till.tenders.vouch(tender, paid=True)
    till.tenders.give_back(tender)
    assert (till.tenders.waiting(), till.desk.basket().state) == ([], "open")
    till.checkout.pay("cash", 10_000)
    assert [work.what for work in by_hand.works] == ["payment"]


def test_pt6_what_may_yet_be_taken_at_risk_counts_against_the_budget(tmp_path: Path) -> None:
    limits = RiskLimits(till_day_ore=PRICE + 100)
    services = [FakeService(), FakeService("card-2")]
    till, world = a_till(tmp_path, payments=services, rules=Rules(disk_least_mb=0, risk=limits))
    till.selling.pick(MILK)
    services[0].hold = True
    till.tenders.ask("card-1", PRICE, offline=True)
    later(till, world, 201)  # nobody knows; it may have been approved
    with pytest.raises(RiskTooHighError):
        till.tenders.ask("card-2", PRICE, offline=True)


def test_pt3_nobody_is_asked_again_for_a_sale_that_is_paid(tmp_path: Path) -> None:
    swish = FakeService("swish", "swish", idempotent=True, exclusive=False)
    till, world, _ = shop(tmp_path, swish)
    swish.plan = ["silent_not"]
    till.tenders.ask("swish", PRICE)
    till.tenders.tick()
    till.checkout.pay("cash", 10_000)
    tell = swish.say

    def not_found_yet(work: object, outcome: str, amount: int = 0) -> None:
        tell(work, "in_progress", amount)  # type: ignore[arg-type]
        swish.answers[-1] = msgspec.structs.replace(swish.answers[-1], why="not_found")

    swish.say = not_found_yet  # type: ignore[method-assign]
    later(till, world, 30, 8)
    assert [work.what for work in swish.works if work.what == "payment"] == ["payment"]
    assert len(swish.works) > 2


def test_pt3_a_reversal_that_is_refused_for_now_is_sent_ever_more_slowly(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.plan = ["silent_charged"]
    till.tenders.ask("card-1", PRICE)
    till.tenders.tick()
    till.checkout.pay("cash", 10_000)
    card.reverse = lambda work: card.say(work, "not_now")  # type: ignore[method-assign]
    for _ in range(3_600):
        later(till, world, 1)
    reversals = [work for work in card.works if work.what == "reversal"]
    assert 8 <= len(reversals) <= 20


def test_pt3_a_query_counts_its_time_from_what_was_last_sent(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.plan = ["silent_charged"]
    till.tenders.ask("card-1", PRICE)
    till.tenders.tick()
    till.checkout.pay("cash", 10_000)
    asked = card.works[0].asked
    card.reverse = lambda work: card.say(work, "silent")  # type: ignore[method-assign]
    later(till, world, 300, 5)
    reversal = next(work for work in card.works if work.what == "reversal")
    query = next(work for work in card.works if work.reverses)
    assert (reversal.about, query.about) == (card.works[0].request, reversal.request)
    assert query.asked == reversal.asked > asked


def test_pt3_a_reversal_that_never_arrived_goes_out_again_word_for_word(tmp_path: Path) -> None:
    swish = FakeService("swish", "swish", idempotent=True, exclusive=False)
    till, world, _ = shop(tmp_path, swish)
    tender = till.tenders.ask("swish", PRICE - 1_000)
    till.tenders.tick()
    swish.away = True
    till.tenders.give_back(tender)
    till.tenders.tick()
    swish.away, tell = False, swish.tell

    def not_yet(work: object) -> None:
        tell(work)  # type: ignore[arg-type]
        swish.answers[-1] = msgspec.structs.replace(swish.answers[-1], outcome="in_progress", why="not_found")

    swish.tell = not_yet  # type: ignore[method-assign]
    later(till, world, 30, 4)
    first, again = (work for work in swish.works if work.what == "reversal")
    assert (first.request, first.about, first.amount_ore) == (again.request, again.about, again.amount_ore)
    assert (again.repeat, swish.net()) == (True, 0)


def test_pt4_money_in_a_basket_that_is_given_up_goes_back(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    till.checkout.pay("gift_card", 500)
    world.units[0].plan = ["busy"] * 9
    till.tenders.ask("card-1", PRICE - 500)
    later(till, world, times=3)
    assert [type(body).__name__ for body in (*world.bodies(SaleAbandoned), *world.bodies(Receipt))] == ["SaleAbandoned"]
    assert (card.net(), list(card.reversed.values())) == (0, [PRICE - 500])


def test_pt4_money_in_a_basket_that_another_till_took_goes_back(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.plan = ["silent_charged"]
    till.tenders.ask("card-1", PRICE)
    till.tenders.tick()
    sale = till.selling.park()
    later(till, world, times=2)
    assert till.desk.state.baskets[sale].paid_ore() == PRICE
    till.desk.write(SaleMoved(sale, "K4", 1))
    later(till, world, times=2)
    assert (card.net(), till.tenders.waiting()) == (0, [])


@pytest.mark.parametrize("by_resuming", [False, True])
def test_pt4_money_that_was_refused_back_and_whose_basket_another_till_took_is_a_case(
    tmp_path: Path, by_resuming: bool
) -> None:
    till, world, card = shop(tmp_path)
    card.refuses_reversals, card.plan = True, ["approve", "approve", "silent_not"]
    world.neighbours = neighbours = _TookOver()
    taken = []
    for part in (500, 300):
        taken.append(till.tenders.ask("card-1", part))
        till.tenders.tick()
        till.tenders.give_back(taken[-1])
        till.tenders.tick()
    till.tenders.ask("card-1", PRICE - 800)
    till.tenders.tick()
    sale = till.selling.park()
    assert (till.desk.state.baskets[sale].paid_ore(), world.bodies(CaseOpened)) == (800, []), "the sale counts it"
    till = world.start()
    till.sign_in(BO)
    neighbours.sale = sale
    if by_resuming:
        with pytest.raises(TakenElsewhereError):
            till.selling.resume(sale)
    else:
        till.selling.parked_elsewhere()
    later(till, world, 200, 4)
    found = [body for body in world.bodies(CaseOpened) if isinstance(body, CaseOpened)]
    assert [(case.case, case.about, case.sale, case.amount_ore) for case in found] == [
        (1, "reversal_failed", sale, 500),
        (2, "reversal_failed", sale, 300),
    ]
    assert [fact.value for case in found for fact in case.facts if fact.name == "tender"] == [str(n) for n in taken]
    assert (card.net(), till.tenders.waiting(), sorted(till.desk.state.cases)) == (800, [], [1, 2])


def test_pt4_money_that_was_refused_back_in_a_basket_that_is_given_up_is_a_case(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.refuses_reversals = True
    tender = till.tenders.ask("card-1", 500)
    till.tenders.tick()
    till.tenders.give_back(tender)
    till.tenders.tick()
    world.units[0].plan = ["busy"] * 9
    till.checkout.pay("gift_card", PRICE - 500)
    cases = [body for body in world.bodies(CaseOpened) if isinstance(body, CaseOpened)]
    assert [(case.case, case.about, case.amount_ore) for case in cases] == [
        (1, "tender_without_sale", PRICE - 500),
        (2, "reversal_failed", 500),
    ]
    assert len(world.bodies(SaleAbandoned)) == 1


class _TookOver(Alone):
    """A store node at which another till has taken the basket over."""

    sale = 0

    def gone(self) -> Sequence[tuple[int, Elsewhere]]:
        return [(self.sale, Elsewhere("K4", 1, self.sale))] if self.sale else []

    def resume(self, sale: int) -> None:
        if sale == self.sale:
            raise TakenElsewhereError(till="K4", epoch=1)


def test_pt1_another_baskets_money_finishes_nothing(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path, FakeService(), FakeService("card-2"))
    card.plan = ["silent_charged"]
    till.tenders.ask("card-1", PRICE)
    till.tenders.tick()
    till.selling.park()
    till.selling.pick(MILK)
    second = world.payments[1]
    assert isinstance(second, FakeService)
    second.hold = True
    tender = till.tenders.ask("card-2", PRICE)
    till.tenders.abort(tender)
    second.book.clear()
    second.settle_held(second.works[0])
    till.tenders.tick()
    later(till, world, times=3)
    assert [one.state for one in till.tenders.waiting()] == []
    assert world.bodies(Receipt) == [], "a person says whether a sale goes on that was to be stopped"


def test_pt1_nobody_is_asked_for_nothing(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.hold = True
    tender = till.tenders.ask("card-1", PRICE)
    till.tenders.abort(tender)
    card.book.clear()
    card.settle_held(card.works[0])
    till.tenders.tick()  # paid in full, and a person says whether the sale goes on
    with pytest.raises(NotPossibleNowError):
        till.tenders.ask("card-1", 0)
    assert len(world.bodies(TenderSent)) == 2


def test_pt4_money_on_its_way_back_does_not_mind_that_the_basket_is_open_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    till, world, swish = shop(tmp_path, FakeService("swish", "swish", idempotent=True, exclusive=False))
    swish.plan = ["silent_charged"]
    first = till.tenders.ask("swish", PRICE)
    till.tenders.tick()
    till.tenders.ask("swish", PRICE - 500)
    till.tenders.tick()
    reverse = swish.reverse
    held: list[Work] = []
    monkeypatch.setattr(swish, "reverse", held.append)
    later(till, world, times=3)  # the first was charged too, and there is no room for it: it goes back
    till.tenders.give_back(first + 1)
    unwanted, counted = held
    reverse(counted)
    till.tenders.tick()
    assert till.desk.basket().state == "open"
    reverse(unwanted)
    till.tenders.tick()
    assert (swish.net(), till.tenders.waiting()) == (0, [])
    assert world.start().desk.state.baskets[1].state == "open"


def test_pt2_r25_a_supervisor_frees_a_terminal_whose_tender_nobody_can_clear_up(tmp_path: Path) -> None:
    till, world, card = shop(tmp_path)
    card.plan = ["silent_charged"]
    tender = till.tenders.ask("card-1", PRICE)
    till.tenders.tick()
    sale = till.desk.basket().sale
    till.checkout.pay("cash", 10_000)
    card.away = True
    later(till, world, 60, 3)
    till.selling.pick(MILK)
    with pytest.raises(PathBusyError):
        till.tenders.ask("card-1", PRICE)
    with pytest.raises(NeedsApprovalError):
        till.tenders.set_aside(sale, tender)
    till.tenders.set_aside(sale, tender, BO)
    with pytest.raises(NotPossibleNowError):
        till.tenders.set_aside(sale, tender, BO)
    [case] = world.bodies(CaseOpened)
    assert isinstance(case, CaseOpened)
    assert (case.about, case.amount_ore) == ("tender_unknown", PRICE)
    card.away = False
    till.tenders.ask("card-1", PRICE)
    later(till, world, 700, 4)
    assert (card.net(), list(card.reversed.values())) == (PRICE, [PRICE]), (
        "it is asked about all the same, and given back"
    )
