"""Updates in a real browser: one calm line, a pane that everybody can use, and a page that outlives the switch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from oppet.release.agree import Disagreed
from oppet.release.found import Refused
from tests.browser.cashier import Cashier
from tests.browser.conftest import signed_in
from tests.browser.serving import ServedTill, served
from tests.browser.test_access import found_by_axe, small_targets, wider_than_window
from tests.release.taking import a_look
from tests.till.web.updating import HandedOver, an_updates

pytestmark = pytest.mark.browser

REFUSED = a_look(
    chosen=None,
    disagreed=(Disagreed("software/till-3.index", "one_party", "vendor", 3),),
    refused=(Refused("metadata", "mix", "chain", "timestamp", "stick", "BadVersionNumberError: 3 < 4"),),
)


@dataclass
class Counter:
    cashier: Cashier
    shop: ServedTill
    looker: HandedOver


@pytest.fixture
def counter(page: Page, tmp_path: Path) -> Iterator[Counter]:
    """Alva at a trial till to which nothing has come down yet."""
    looker = HandedOver()
    with served(tmp_path, updates=lambda till: an_updates(till, looker=looker, canary=True)) as shop:
        yield Counter(signed_in(page, shop), shop, looker)
        page.goto("about:blank")  # it asks for the next run as long as it is open


def test_w5_rl10_a_refusal_is_one_calm_line_and_the_pane_is_for_everybody(counter: Counter, page: Page) -> None:
    counter.looker.looks.append(REFUSED)
    news = page.locator(".news")
    expect(news).to_contain_text("Något som kom ner avvisades")
    assert found_by_axe(page) == []
    counter.cashier.scan("10001")
    expect(page.locator("#lines li")).to_have_count(1)
    counter.cashier.press("Mer", "#news")
    expect(page.locator("#pane")).to_contain_text("Bara leverantören har signerat")
    assert found_by_axe(page) == []
    assert small_targets(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert wider_than_window(page) == []
    assert small_targets(page) == []
    counter.cashier.press("Sett", "#news")
    expect(news).to_have_count(0)


def test_w9_rl12_the_page_says_what_comes_waits_in_the_dark_and_begins_anew(counter: Counter, page: Page) -> None:
    counter.cashier.scan("10001")
    counter.looker.looks.append(a_look(health=()))
    expect(page.locator(".news")).to_contain_text("Efter den här kunden")
    dark: list[str] = []

    def nobody(route: Route) -> None:
        dark.append(route.request.url)
        route.fulfill(status=200, body="no answer of a till")

    page.route("**/health", nobody)
    counter.cashier.pay_cash("500")
    expect(page.locator("[data-switching]")).to_contain_text("Kassan är tillbaka om några sekunder")
    expect(page.locator(".message.refused")).to_have_count(0)
    page.wait_for_timeout(700)
    assert dark, "the page asks for the next run"
    with counter.shop.quiet():
        assert counter.shop.updates is not None
        intake = counter.shop.updates.intake
        counter.looker.looks.clear()
        intake.leaving, intake.found = False, None
        counter.shop.till.desk.state.runs += 1
    page.unroute("**/health")
    expect(page.locator("[data-switching]")).to_have_count(0)
    expect(page.locator("#scan")).to_be_visible()
