"""Card and Swish in a real browser: keys alone, what the page says meanwhile, and that it learns by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from oppet.journal.kinds import Receipt
from tests.browser.cashier import Cashier
from tests.browser.conftest import signed_in
from tests.browser.serving import ServedTill, served
from tests.browser.test_access import found_by_axe, small_targets, wider_than_window
from tests.register.services import FakeService

pytestmark = pytest.mark.browser

GOODS = "10001"


@dataclass
class Counter:
    """Alva at a till with a terminal, Swish, and a Swish that nothing confirms."""

    cashier: Cashier
    shop: ServedTill
    card: FakeService
    swish: FakeService
    alone: FakeService

    def answer(self, service: FakeService, word: str = "approve") -> None:
        with self.shop.quiet():
            service.book.clear()
            service.settle_held(service.works[0], word)

    def receipts(self) -> int:
        return len(self.shop.world.bodies(Receipt))


@pytest.fixture
def counter(page: Page, tmp_path: Path) -> Iterator[Counter]:
    card = FakeService(hold=True, stage="present_card")
    swish = FakeService("swish", "swish", idempotent=True, exclusive=False, hold=True, stage="scan_qr", qr="Dabc123")
    alone = FakeService(
        "swish-alone", "swish", exclusive=False, by_hand=True, hold=True, stage="scan_qr", qr="C1231181189;16,90;K3;0"
    )
    with served(tmp_path, payments=[card, swish, alone]) as shop:
        cashier = signed_in(page, shop)
        cashier.scan(GOODS)
        yield Counter(cashier, shop, card, swish, alone)


def test_pt1_f7_asks_the_card_and_the_page_finishes_by_itself(counter: Counter, page: Page) -> None:
    counter.cashier.key("F7")
    stage = page.locator(".tender .stage")
    expect(stage).to_contain_text("Blippa, sätt i eller dra kortet")
    expect(page.locator("[data-since]")).not_to_have_text("0")
    with counter.shop.quiet():
        counter.card.stage = "pin"
    expect(stage).to_contain_text("PIN")
    counter.answer(counter.card)
    expect(page.locator("#pane")).to_contain_text("Kvitto 1")
    counter.cashier.scan(GOODS)
    expect(page.locator("#lines li")).to_have_count(1)


def test_pt1_a_declined_card_leaves_the_keys_for_the_next_try(counter: Counter, page: Page) -> None:
    counter.cashier.key("F7")
    counter.answer(counter.card, "decline")
    expect(page.locator("#message")).to_contain_text("inte betalt")
    counter.cashier.pay_cash("100")
    expect(page.locator("#pane")).to_contain_text("Kvitto 1")


def test_pt2_r12_unknown_and_then_cash(counter: Counter, page: Page) -> None:
    counter.cashier.key("F7")
    with counter.shop.quiet():
        counter.card.hold, counter.card.away = False, True
        counter.card.say(counter.card.works[0], "silent")
    expect(page.locator("#pane")).to_contain_text("Ingen vet ännu om kortet har debiterats")
    counter.cashier.key("F6")
    counter.cashier.enter("100")
    expect(page.locator("#pane")).to_contain_text("Kvitto 1")
    expect(page.locator("#status")).to_contain_text("Oklara betalningar")
    with counter.shop.quiet():
        counter.card.away = False
        counter.card.book[counter.card.works[0].request] = ("declined", 0)
    expect(page.locator("#status")).not_to_contain_text("Oklara betalningar", timeout=15_000)


def test_pt2_escape_stops_and_the_race_is_lost(counter: Counter, page: Page) -> None:
    counter.cashier.key("F7")
    counter.cashier.key("Escape")
    expect(page.locator("#pane")).to_contain_text("Det kan redan ha gått igenom")
    counter.answer(counter.card)
    expect(page.locator("#pane")).to_contain_text("kunden har betalat")
    assert counter.receipts() == 0
    counter.cashier.key("F6")
    expect(page.locator("#pane")).to_contain_text("Kvitto 1")


def test_pt1_f8_shows_the_code_to_cashier_and_customer(counter: Counter, page: Page) -> None:
    counter.cashier.key("F8")
    code = page.locator(".tender .qr")
    expect(code).to_be_visible()
    customer = page.context.new_page()
    customer.goto(counter.shop.url + "display")
    expect(customer.locator("figure img")).to_be_visible()
    assert customer.locator("figure img").evaluate("image => image.naturalWidth") > 0
    counter.answer(counter.swish)
    expect(page.locator("#pane")).to_contain_text("Kvitto 1")
    expect(customer.locator("h1")).to_contain_text("Tack")
    customer.close()


def test_pt6_a_swish_by_hand_is_asked_about_and_answered_by_keys(counter: Counter, page: Page) -> None:
    with counter.shop.quiet():
        counter.swish.away = True
    expect(page.locator("#status")).to_contain_text("svarar inte")
    counter.cashier.key("F8")
    expect(page.locator("#pane")).to_contain_text("Har du sett den gröna bekräftelsen")
    counter.cashier.key("F9")
    expect(page.locator("#pane")).to_contain_text("Kvitto 1")
    assert counter.receipts() == 1


def test_pt8_what_is_being_typed_stays_when_a_path_falls(counter: Counter, page: Page) -> None:
    counter.cashier.key("F6")
    counter.cashier.type("12")
    with counter.shop.quiet():
        counter.card.away = True
    expect(page.locator(".ways")).to_contain_text("svarar inte")
    expect(page.locator("#given")).to_have_value("12")
    expect(page.locator("#given")).to_be_focused()


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)], ids=["till", "phone"])
def test_w5_every_pane_of_a_payment_is_for_everybody(counter: Counter, page: Page, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})

    def judged(pane: str) -> None:
        expect(page.locator("#pane")).to_contain_text(pane)
        assert found_by_axe(page) == []
        assert small_targets(page) == []
        assert wider_than_window(page) == []

    cashier = counter.cashier
    cashier.key("F9")
    judged("Swish, inte bekräftad")
    cashier.press("Swish F8", "#pane")
    judged("Kunden läser koden med Swish")
    cashier.key("Escape")
    judged("Det kan redan ha gått igenom")
    counter.answer(counter.swish)
    judged("kunden har betalat")
    cashier.key("F9")
    judged("Swish")
    with counter.shop.quiet():
        counter.card.away = counter.swish.away = True
    expect(page.locator("#status")).to_contain_text("svarar inte")
    cashier.key("F8")
    judged("Har du sett den gröna bekräftelsen")
    cashier.key("Escape")
    with counter.shop.quiet():
        counter.card.away = False
    expect(page.locator(".ways [data-key=F7]")).to_be_visible()
    cashier.key("F7")
    with counter.shop.quiet():
        counter.card.hold, counter.card.away = False, True
        counter.card.say(counter.card.works[0], "silent")
    judged("Ingen vet ännu")
    cashier.press("Parkera korgen", "#pane")
    cashier.press("Oklara betalningar", "#actions")
    judged("ingen vet ännu")
