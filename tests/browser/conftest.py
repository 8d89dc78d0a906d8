"""Chromium once a session, a page and a till for each test; whatever a page logs as an error fails the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.cashier import Cashier
from tests.browser.serving import ServedTill, served

FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


# What a page may say: that it was refused on purpose, and that its till, which ends with its test, is gone before it.
EXPECTED = ("413", "403", "ERR_CONNECTION_REFUSED", "htmx:afterRequest", "htmx:sendError")


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[ServedTill]:
    with served(tmp_path) as till:
        yield till


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(10_000)
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda said: trouble.append(said.text) if said.type == "error" else None)
    yield page
    context.close()
    assert [text for text in trouble if not any(word in text for word in EXPECTED)] == []


@pytest.fixture
def cashier(page: Page, shop: ServedTill) -> Cashier:
    return signed_in(page, shop)


def signed_in(page: Page, shop: ServedTill) -> Cashier:
    """Alva, signed in, with the float registered."""
    cashier = Cashier(page, shop.url, shop.till)
    page.goto(shop.url)
    page.fill("#who", "7")
    page.fill("#pin", "1234")
    page.click("#sign-in .main")
    page.fill("#float", "1500")
    cashier.press("Registrera", "#pane")
    return cashier
