"""`oppet bench scan-page`: from the scanner's Enter to the new total in pixels, in Chromium, on a basket of 40 lines.

The page measures itself: from the key event's own time stamp to the first task after the frame that was drawn with the new total. The
ceiling is the same frame with nothing asked of the till. 100 000 articles, 200 promotions; the real page, program and journal.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any, Final

import uvicorn
from playwright.sync_api import Page, sync_playwright

from oppet.base.errors import UnavailableError
from oppet.base.words import N_
from oppet.goods.catalogue import Catalogue, decode
from oppet.sale.staff import Member, StaffList
from oppet.till.web import create_app
from oppet.yardstick.measure import conditions, percentiles, result
from oppet.yardstick.store import big_assortment, open_for_bench, scratch

__all__ = ["run"]

LINES: Final = 40
SEED: Final = 4711
PATIENCE: Final = 100  # looks at the page, 60 ms apart, before a scan is given up
FLAGS: Final = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
# Notes each frame's end: for a scan once the total has been swapped, for the Pause key at once.
WATCH: Final = """() => {
  window.took = []; window.bare = [];
  let began = 0;
  const after = (list) => requestAnimationFrame(() => { const c = new MessageChannel();
    c.port1.onmessage = () => list.push(performance.now() - began); c.port2.postMessage(0); });
  window.addEventListener('keydown', (e) => {
    if (e.key === 'Enter') began = e.timeStamp;
    if (e.key === 'Pause') { began = e.timeStamp; document.title = String(began); after(window.bare); } }, true);
  new MutationObserver(() => after(window.took)).observe(document.getElementById('total'), { childList: true, subtree: true });
}"""


class NoChromiumError(UnavailableError):
    sentence = N_("This benchmark needs Chromium: install the package chromium.")


class NoNewTotalError(UnavailableError):
    sentence = N_("The page showed no new total after {code}: {page}")


class _PlainPins:
    def good(self, digest: str, pin: str) -> bool:
        return digest == pin


def run(scans: int = 400) -> dict[str, Any]:
    """Measure scans 30 to 50 of a basket again and again. Raises NoChromiumError."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise NoChromiumError
    with scratch() as folder:
        catalogue = decode(big_assortment())
        with _served(folder) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(url)
            page.fill("#who", "1")
            page.fill("#pin", "1111")
            page.click("#sign-in .main")
            page.wait_for_selector("#scan")
            page.evaluate(WATCH)
            seconds, bare = _scans(page, catalogue, scans)
            version = browser.version
            browser.close()
    figures, floor = percentiles("", seconds), percentiles("frame_", bare)
    return result(
        "scan-page",
        {**figures, **floor, "lines": LINES, "articles": len(catalogue), "promotions": len(catalogue.promotions)},
        {"p50_over_one_frame": round(figures["p50_ms"] / floor["frame_p50_ms"], 2)},
        conditions(scans=len(seconds), chromium=version, window="1280x800"),
    )


def _scans(page: Page, catalogue: Catalogue, scans: int) -> tuple[list[float], list[float]]:
    chance = Random(SEED)
    usable = sorted(n for n in catalogue.numbers() if catalogue.article(n).gtins and catalogue.article(n).unit == "st")
    seconds: list[float] = []
    while len(seconds) < scans:
        for place in range(1, LINES + 11):
            article = catalogue.article(chance.choice(usable))
            shown = page.evaluate("window.took.length")
            page.keyboard.type(article.gtins[0][1:])
            page.keyboard.press("Enter")
            for _ in range(PATIENCE):
                page.wait_for_timeout(60)  # asked seldom: asking takes the page's own time
                if page.evaluate("window.took.length") != shown:
                    break
            else:
                raise NoNewTotalError(code=article.gtins[0], page=page.inner_text(".message") or "–")
            if place >= LINES - 10:
                seconds.append(page.evaluate("window.took.at(-1)") / 1e3)
        page.evaluate(
            "htmx.ajax('POST', '/do/abandon', {source: '#scan-form', swap: 'none', values: {reason: 'bench'}})"
        )
        page.reload()
        page.evaluate(WATCH)
    for _ in range(100):
        page.keyboard.press("Pause")
        page.wait_for_timeout(7)
    return seconds[:scans], [ms / 1e3 for ms in page.evaluate("window.bare")]


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """The till in a process of its own, as in a shop: the one that measures must not share its interpreter."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = get_context("spawn").Process(target=_serve, args=(folder, port), daemon=True)
    process.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            break
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.join(10)


def _serve(folder: Path, port: int) -> None:
    till, _ = open_for_bench(folder, decode(big_assortment()))
    app = create_app(till, StaffList((Member(1, "manager", "1111"),), _PlainPins()), {f"127.0.0.1:{port}"})
    uvicorn.run(app, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
