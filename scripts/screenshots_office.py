#!/usr/bin/env python3
"""Makes docs/screenshots/hq-*: head office's pages about people and its fleet, Swedish and English, in three sizes.

Run from the checkout after `make setup`: .venv/bin/python scripts/screenshots_office.py [word …] (only pictures whose name holds a word).
"""

from __future__ import annotations

import io
import sys

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.browser.conftest import FLAGS
from tests.browser.head_office import BO, HeadOffice, a_bad_day, served_office
from tests.conftest import ROOT, find_chromium

SIZES = {"desktop": (1440, 900), "till": (1280, 800), "phone": (390, 844)}
FOLDER = ROOT / "docs" / "screenshots"
PAGES = {"signin": "sign-in", "people": "people", "fleet": "fleet", "approvals": "approvals", "alarms": "alarms"}


def keep(browser: Browser, office: HeadOffice, size: str, language: str, name: str) -> None:
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, has_touch=size == "phone")
    context.add_cookies([{"name": "language", "value": language, "url": office.url}])
    if name != "signin":
        context.add_cookies([office.sign_in(BO)])  # type: ignore[list-item]
    page = context.new_page()
    page.goto(office.url + PAGES[name])
    page.wait_for_timeout(200)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    small = picture.quantize(64, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    small.save(FOLDER / f"hq-{size}-{language}-{name}.png", optimize=True)
    context.close()


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = [(size, language, name) for size in SIZES for language in ("sv", "en") for name in PAGES]
    words = sys.argv[1:]
    with served_office() as office, sync_playwright() as playwright:
        a_bad_day(office)
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        for size, language, name in wanted:
            if not words or any(word in f"hq-{size}-{language}-{name}" for word in words):
                keep(browser, office, size, language, name)
                print(f"hq-{size}-{language}-{name}", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
