"""The manager's pages in Chromium: everybody can use them, they renew themselves and lose nothing by it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from oppet.store.web_node import Contact, Upward
from tests.browser.store_pages import ServedStore, served_store
from tests.browser.test_access import found_by_axe, small_targets, wider_than_window

pytestmark = pytest.mark.browser

PAGES = ("", "till/S01-K1", "till/S01-K2", "baskets", "payments", "mark-downs", "z", "new", "alarms")
SIZES = {"phone": (390, 844), "till": (1280, 800), "desktop": (1440, 900)}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedStore]:
    with served_store(tmp_path_factory.mktemp("store")) as served:
        yield served


def signed_in(page: Page, store: ServedStore, language: str = "sv") -> Page:
    """Bo at the first page; the till that is well has just been heard."""
    store.node.heard["S01-K1"] = Contact(heard=store.node.clock.now())
    page.context.add_cookies([{"name": "language", "value": language, "url": store.url}])
    page.goto(store.url)
    page.fill("#f-who", "301")
    page.fill("#f-pin", "4321")
    page.keyboard.press("Enter")
    page.wait_for_selector("#live")
    return page


@pytest.mark.parametrize("language", ["sv", "en"])
@pytest.mark.parametrize("size", SIZES)
def test_w5_axe_finds_nothing_serious_on_the_managers_pages(
    page: Page, store: ServedStore, size: str, language: str
) -> None:
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    page.context.add_cookies([{"name": "language", "value": language, "url": store.url}])
    page.goto(store.url)
    assert found_by_axe(page) == []
    assert small_targets(page) == []
    signed_in(page, store, language)
    found = []
    for path in PAGES:
        page.goto(store.url + path)
        expect(page.locator("html")).to_have_attribute("lang", language)
        found += [f"/{path}: {line}" for line in (*found_by_axe(page), *small_targets(page), *wider_than_window(page))]
    assert found == []


def test_w5_a_z_report_opens_and_can_be_read_by_everybody(page: Page, store: ServedStore) -> None:
    signed_in(page, store).goto(f"{store.url}z")
    page.get_by_role("link", name="Z 1").first.click()
    expect(page.locator(".paper")).to_contain_text("Z-dagrapport 1")
    assert found_by_axe(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert wider_than_window(page) == []


def test_r20_the_page_renews_itself_without_losing_the_focus(page: Page, store: ServedStore) -> None:
    signed_in(page, store)
    link = page.locator("#look-S01-K2")
    link.focus()
    page.locator("summary").click()
    expect(page.locator("#hours-table")).to_be_visible()
    link.focus()
    before, up = page.locator(".as-of").inner_text(), store.node.up
    store.node.up = Upward(7, "2026-11-22T13:31:00.000Z", "", up.heard)
    try:
        expect(page.locator(".troubles")).to_contain_text("7 poster väntar", timeout=10_000)
    finally:
        store.node.up = up
    assert page.locator(".as-of").inner_text() != before
    expect(link).to_be_focused()
    expect(page.locator("#hours-table")).to_be_visible()


def test_r20_a_till_that_comes_back_is_well_again(page: Page, store: ServedStore) -> None:
    signed_in(page, store)
    expect(page.locator("#verdict")).to_contain_text("1 av 2")
    heard = store.node.heard["S01-K2"]
    store.node.heard["S01-K2"] = Contact(heard=store.node.clock.now())
    try:
        expect(page.locator("#verdict")).to_contain_text("Alla kassor som är på kan sälja", timeout=10_000)
    finally:
        store.node.heard["S01-K2"] = heard


def test_r20_the_page_says_when_it_is_not_being_renewed(browser: Browser, store: ServedStore) -> None:
    page = browser.new_context().new_page()  # its console says that the network is away
    signed_in(page, store)
    expect(page.locator("#stale")).to_be_hidden()
    page.context.set_offline(True)
    expect(page.locator("#stale")).to_be_visible(timeout=10_000)
    page.context.set_offline(False)
    expect(page.locator("#stale")).to_be_hidden(timeout=10_000)
    page.context.close()


def test_w5_the_pages_are_read_without_a_script(browser: Browser, store: ServedStore) -> None:
    store.node.heard["S01-K1"] = Contact(heard=store.node.clock.now())
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(store.url)
    page.fill("#f-who", "201")
    page.fill("#f-pin", "2345")
    page.click("main button.main")
    expect(page.locator("#verdict")).to_contain_text("1 av 2")
    page.click("summary")
    expect(page.locator("#hours-table")).to_be_visible()
    page.click("#look-S01-K2")
    expect(page.locator("h1")).to_contain_text("S01-K2")
    context.close()
