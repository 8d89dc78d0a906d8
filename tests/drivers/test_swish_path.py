"""Swish at a till: paid when Swish says so about our request, and at nobody's other word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from oppet.drivers.swish_path import SwishAlone
from oppet.journal.kinds import CaseOpened, Receipt, TenderHeard, TenderSent, TenderTaken
from oppet.payments import board
from oppet.register.errors import NotPossibleNowError
from tests.drivers.swish_shop import PRICE, SwishShop
from tests.register.world import ALVA, MILK, a_till
from tests.simulators.swishes import SwishProcess


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwishProcess]:
    running = SwishProcess(tmp_path_factory.mktemp("swish"))
    yield running
    running.kill()


@pytest.fixture
def shop(process: SwishProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SwishShop]:
    monkeypatch.setattr(board, "PAUSE_MS", (200,))
    process.reset()
    made = SwishShop(tmp_path, process)
    yield made
    made.close()


def test_pt1_a_customer_reads_the_code_and_the_sale_is_done(shop: SwishShop) -> None:
    shop.swish.order(paid_ms=None)
    shop.till.tenders.ask("swish", PRICE)
    shop.until(lambda: bool(shop.qr()))
    progress = shop.till.tenders.waiting()[0].progress
    assert progress is not None
    assert progress.stage == "scan_qr"
    shop.swish.scan(progress.qr)
    shop.over()
    [receipt] = shop.world.bodies(Receipt)
    assert isinstance(receipt, Receipt)
    [tender] = receipt.tenders
    [deal] = shop.swish.state()["deals"]
    assert tender.evidence is not None
    assert (tender.means, tender.amount_ore, tender.evidence.how) == ("swish", PRICE, "qr")
    assert tender.evidence.reference == deal["reference"]
    assert deal["message"] == "Nära Storgatan S01 K3 1"
    assert deal["merchant_reference"] == "S01K3S1T1"


def test_s11_who_paid_is_nowhere_in_the_journal(shop: SwishShop) -> None:
    shop.till.tenders.ask("swish", PRICE)
    shop.over()
    [deal] = shop.swish.state()["deals"]
    assert deal["payer"].startswith("467")
    assert shop.world.journal is not None
    entries = b"".join(shop.world.journal.raw(entry.seq) for entry in shop.world.journal.read())
    assert deal["payer"].encode() not in entries
    assert deal["token"].encode() not in entries


@pytest.mark.parametrize("code", ["RF07", "BANKIDCL", "TM01"])
def test_pt1_a_customer_who_does_not_pay_is_told_why(shop: SwishShop, code: str) -> None:
    shop.swish.order(fate=code)
    shop.till.tenders.ask("swish", PRICE)
    shop.over()
    heard = shop.world.bodies(TenderHeard)[-1]
    assert isinstance(heard, TenderHeard)
    assert (heard.outcome, heard.why) == ("declined", code)
    assert shop.till.desk.basket().state == "open"


def test_pt2_the_cashier_stops_a_request_and_only_its_end_says_so(shop: SwishShop) -> None:
    shop.swish.order(paid_ms=None)
    tender = shop.till.tenders.ask("swish", PRICE)
    shop.until(lambda: shop.swish.state()["open"] == 1)
    shop.till.tenders.abort(tender)
    shop.over()
    assert [deal["status"] for deal in shop.swish.state()["deals"]] == ["CANCELLED"]
    assert (shop.till.desk.basket().state, shop.net_ore) == ("open", 0)


def test_pt2_a_stop_that_loses_against_the_customer_leaves_the_choice_to_a_person(shop: SwishShop) -> None:
    shop.swish.order(paid_ms=None)
    tender = shop.till.tenders.ask("swish", PRICE)
    shop.until(lambda: shop.swish.state()["open"] == 1)
    shop.swish.order(decide=shop.swish.state()["deals"][0]["id"], status="PAID")
    shop.till.tenders.abort(tender)
    shop.over()
    assert shop.till.desk.basket().paid_ore() == PRICE
    assert shop.till.tenders.outcome is None, "nobody finished it"
    shop.till.tenders.give_back(tender)
    shop.over()
    assert (shop.till.desk.basket().state, shop.net_ore) == ("open", 0)


def test_pt2_what_the_banks_did_not_answer_stays_unknown_until_swish_says_otherwise(shop: SwishShop) -> None:
    shop.swish.order(fate="DS24")
    shop.till.tenders.ask("swish", PRICE)
    shop.until(lambda: [one.state for one in shop.till.tenders.waiting()] == ["unknown"])
    for _ in range(4):
        shop.world.clock.pass_ms(400_000)
        shop.till.tenders.tick()
        shop.until(shop.idle)
    assert [(one.state, one.why) for one in shop.till.tenders.waiting()] == [("unknown", "DS24")]
    shop.till.checkout.pay("cash", 10_000)
    shop.swish.order(late_ms=0)
    shop.over()
    assert shop.net_ore == 0, "it turned out paid, no sale counts it, and it went back by itself"
    assert shop.world.bodies(CaseOpened) == []


def test_pt3_a_lost_answer_never_makes_a_second_request(shop: SwishShop) -> None:
    shop.swish.order(fault="lost", on="create")
    shop.till.tenders.ask("swish", PRICE)
    shop.over()
    assert [deal["kind"] for deal in shop.swish.state()["deals"]] == ["payment"]
    assert (shop.net_ore, len(shop.world.bodies(Receipt))) == (PRICE, 1)


def test_pt3_a_request_whose_code_nobody_has_is_stopped_and_asked_anew(shop: SwishShop) -> None:
    shop.swish.order(paid_ms=None)
    shop.swish.order(fault="lost", on="create")
    shop.till.tenders.ask("swish", PRICE)
    shop.over()
    heard = shop.world.bodies(TenderHeard)[-1]
    assert isinstance(heard, TenderHeard)
    assert (heard.outcome, heard.why) == ("declined", "no_code")
    shop.swish.order(paid_ms=0)
    shop.till.tenders.ask("swish", PRICE)
    shop.over()
    assert shop.net_ore == PRICE


def test_pt3_a_request_that_never_came_is_sent_again_under_its_id(shop: SwishShop) -> None:
    shop.swish.order(fault="dropped", on="create")
    shop.till.tenders.ask("swish", PRICE)
    shop.over()
    sent = [body for body in shop.world.bodies(TenderSent) if isinstance(body, TenderSent) and body.what == "payment"]
    assert [(one.request == sent[0].request, one.repeat) for one in sent] == [(True, False), (True, True)]
    assert (shop.net_ore, len(shop.swish.state()["deals"])) == (PRICE, 1)


def test_pt2_a_request_that_never_came_is_not_paid_once_that_is_certain(shop: SwishShop) -> None:
    shop.swish.order(fault="dropped", on="create", count=0)
    tender = shop.till.tenders.ask("swish", PRICE)
    shop.until(lambda: [one.state for one in shop.till.tenders.waiting()] == ["unknown"])
    shop.till.tenders.abort(tender)
    for _ in range(3):
        shop.world.clock.pass_ms(30_000)
        shop.till.tenders.tick()
        shop.until(shop.idle)
    assert [one.state for one in shop.till.tenders.waiting()] == ["unknown"], "too early to know"
    shop.over()
    heard = shop.world.bodies(TenderHeard)[-1]
    assert isinstance(heard, TenderHeard)
    assert (heard.outcome, heard.why) == ("not_found", "never_came")
    assert shop.net_ore == 0


def test_pt8_with_the_node_away_the_path_is_down_and_nothing_is_asked(shop: SwishShop) -> None:
    shop.node_away = True
    shop.until(lambda: shop.path.now().state == "down")
    assert shop.path.now().why == "node_away"
    shop.till.tenders.ask("swish", PRICE)
    shop.over()
    heard = shop.world.bodies(TenderHeard)[-1]
    assert isinstance(heard, TenderHeard)
    assert (heard.outcome, heard.why) == ("not_now", "node_away")
    assert shop.till.desk.basket().state == "open"
    assert shop.swish.state()["deals"] == []
    shop.node_away = False
    shop.until(lambda: shop.path.now().state == "working")


def test_pt8_with_swish_away_the_path_is_down_and_comes_back(shop: SwishShop) -> None:
    shop.swish.order(mode="away")
    shop.till.tenders.ask("swish", PRICE)
    shop.over()
    shop.until(lambda: shop.path.now().state == "down")
    assert shop.till.desk.basket().state == "open"
    shop.swish.order(mode="ok")
    shop.until(lambda: shop.path.now().state == "working")
    shop.till.tenders.ask("swish", PRICE)
    shop.over()
    assert (shop.net_ore, len(shop.world.bodies(Receipt))) == (PRICE, 1)


def test_pt8_a_line_that_goes_while_the_customer_pays_leaves_the_cashier_free(shop: SwishShop) -> None:
    shop.swish.order(paid_ms=None)
    shop.till.tenders.ask("swish", PRICE)
    shop.until(lambda: shop.swish.state()["open"] == 1)
    identity = shop.swish.state()["deals"][0]["id"]
    shop.swish.order(mode="away")
    shop.until(lambda: [one.state for one in shop.till.tenders.waiting()] == ["unknown"])
    shop.till.checkout.pay("cash", 10_000)
    shop.swish.order(mode="ok", decide=identity, status="PAID")
    shop.over()
    assert (shop.net_ore, shop.world.bodies(CaseOpened)) == (0, [])


def test_pt1_a_restart_asks_what_became_of_it_and_shows_its_code_again(shop: SwishShop) -> None:
    shop.swish.order(paid_ms=None)
    shop.till.tenders.ask("swish", PRICE)
    shop.until(lambda: shop.swish.state()["open"] == 1)
    shop.path._tokens.clear()  # the power goes
    shop.path._shown.clear()
    shop.till = shop.world.start()
    assert [one.state for one in shop.till.tenders.waiting()] == ["unknown"]
    shop.world.clock.pass_ms(4_000)

    shop.until(lambda: bool(shop.qr()))
    shop.swish.scan(shop.qr())
    shop.over()
    assert (shop.net_ore, shop.till.desk.state.baskets[1].paid_ore()) == (PRICE, PRICE)


def test_pt6_without_a_line_the_code_carries_the_amount_and_the_cashier_vouches(tmp_path: Path) -> None:
    alone = SwishAlone(name="swish-alone", payee="1231181189")
    till, world = a_till(tmp_path, payments=[alone])
    till.selling.pick(MILK)
    tender = till.tenders.ask("swish-alone", PRICE)
    [waiting] = till.tenders.waiting()
    assert waiting.progress is not None
    assert waiting.progress.qr == "C1231181189;16,90;K3.1.0001;0"
    assert alone.now().offline
    till.tenders.vouch(tender, paid=True)
    [taken] = world.bodies(TenderTaken)
    assert isinstance(taken, TenderTaken)
    assert taken.at_risk
    assert taken.evidence is not None
    assert (taken.evidence.reference, taken.reference) == ("K3.1.0001", "K3.1.0001")
    till.tenders.give_back(tender)
    till.tenders.tick()
    assert till.desk.basket().paid_ore() == 0, "the cashier gave it back by hand, and says so"


def test_pt6_after_a_restart_the_cashier_still_has_the_code_and_the_last_word(tmp_path: Path) -> None:
    alone = SwishAlone(name="swish-alone", payee="1231181189")
    till, world = a_till(tmp_path, payments=[alone])
    till.selling.pick(MILK)
    tender = till.tenders.ask("swish-alone", PRICE)
    world.payments = [SwishAlone(name="swish-alone", payee="1231181189")]
    again = world.start()
    again.sign_in(ALVA)
    [waiting] = again.tenders.waiting()
    assert waiting.progress is not None
    assert waiting.progress.qr == "C1231181189;16,90;K3.1.0001;0"
    again.tenders.vouch(tender, paid=True)
    again.checkout.finish()
    assert len(world.bodies(Receipt)) == 1


def test_pt6_a_terminal_service_is_not_vouched_for(shop: SwishShop) -> None:
    shop.swish.order(paid_ms=None)
    tender = shop.till.tenders.ask("swish", PRICE)
    with pytest.raises(NotPossibleNowError):
        shop.till.tenders.vouch(tender, paid=True)
