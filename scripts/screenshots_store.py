#!/usr/bin/env python3
"""Makes docs/screenshots/store-*.png: the manager's pages, Swedish and English, on a till, a phone and a desktop.

Run from the checkout after `make setup`: .venv/bin/python scripts/screenshots_store.py [word …] (only pictures that hold a word).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from scripts.screenshots import FOLDER, SIZES, keep
from tests.browser.conftest import FLAGS
from tests.browser.store_pages import ServedStore, served_store
from tests.conftest import find_chromium
from tests.store.test_web_tills import with_a_terminal

PAGES = {
    "now": "",
    "till": "till/S01-K2",
    "baskets": "baskets",
    "payments": "payments",
    "mark-downs": "mark-downs",
    "z": "z",
    "new": "new",
    "alarms": "alarms",
}


def opened(browser: Browser, shop: ServedStore, size: str, language: str, door: bool) -> Page:
    """Bo, signed in; on the way there, a picture of the door."""
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, has_touch=size == "phone")
    context.add_cookies([{"name": "language", "value": language, "url": shop.url}])
    page = context.new_page()
    page.goto(shop.url)
    if door:
        keep(page, f"store-{size}-{language}-door")
    page.fill("#f-who", "301")
    page.fill("#f-pin", "4321")
    page.click("main button.main")
    page.wait_for_selector("#live")
    return page


def wanted(picture: str) -> bool:
    words = sys.argv[1:]
    return not words or any(word in picture for word in words)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, served_store(Path(folder)) as shop, sync_playwright() as playwright:
        with_a_terminal(shop.node, Path(folder), "S01-K7")
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        for size in SIZES:
            for language in ("sv", "en"):
                page = opened(browser, shop, size, language, wanted(f"store-{size}-{language}-door"))
                for name, path in PAGES.items():
                    picture = f"store-{size}-{language}-{name}"
                    if wanted(picture):
                        page.goto(shop.url + path)
                        keep(page, picture)
                        print(picture, flush=True)
                page.context.close()
        browser.close()
    print(f"in {FOLDER}")


if __name__ == "__main__":
    main()
