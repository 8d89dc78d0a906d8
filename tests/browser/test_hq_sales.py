"""Head office's pages of sales in a real browser: usable by everybody, nothing wider than a phone, and renewed by themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from scripts.screenshots_hq import paths, served
from tests.browser.test_access import found_by_axe, small_targets, wider_than_window
from tests.hq.demo_sales import DemoChain, Place

pytestmark = pytest.mark.browser
Shown = tuple[str, Place, DemoChain]


@pytest.fixture(scope="module")
def office() -> Iterator[Shown]:
    with served(6) as shown:
        yield shown


def a_page(browser: Browser, office: Shown, language: str, width: int, height: int) -> Page:
    url, place, _ = office
    context = browser.new_context(viewport={"width": width, "height": height})
    said = place.cookie("viewer", "operations", "finance", "publisher") | {"language": language}
    context.add_cookies([{"name": name, "value": value, "url": url} for name, value in said.items()])
    return context.new_page()


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
@pytest.mark.parametrize("language", ["sv", "en"])
def test_q4_w5_axe_finds_nothing_serious_and_nothing_runs_out_of_the_window(
    browser: Browser, office: Shown, language: str, width: int, height: int
) -> None:
    page = a_page(browser, office, language, width, height)
    for path in paths(office[2], office[1]).values():
        page.goto(office[0] + path)
        assert found_by_axe(page) == [], path
        assert small_targets(page) == [], path
        assert [wide for wide in wider_than_window(page) if "<table" not in wide and "<t" not in wide[:4]] == [], path
    page.context.close()


def test_q4_the_page_renews_itself_and_says_when_the_store_is_back(browser: Browser, office: Shown) -> None:
    page = a_page(browser, office, "sv", 1280, 800)
    url, place, _ = office
    page.goto(url + "/sales")
    expect(page.locator("#h-lag")).to_contain_text("3 butiker är inte kompletta")
    with place.pool.transaction() as asked:
        asked.do(
            "UPDATE stream SET as_of = now() + interval '1 year', heard = now() + interval '1 year' WHERE store_id = 'S01'"
        )
    place.clock.at += 9_000
    expect(page.locator("#h-lag")).to_contain_text("2 butiker är inte kompletta", timeout=25_000)
    page.context.close()
