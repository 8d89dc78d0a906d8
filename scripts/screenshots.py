#!/usr/bin/env python3
"""Makes docs/screenshots/: every state of the till's page, Swedish and English, on a till, a phone and a desktop.

Run from the checkout after `make setup`: .venv/bin/python scripts/screenshots.py [word …] (only states that hold a word).
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from oppet.journal.kinds import Evidence
from oppet.register.till import Till
from oppet.release.agree import Disagreed
from oppet.release.found import Found, Refused
from oppet.till.views_updates import Updates
from tests.browser.cashier import Cashier
from tests.browser.conftest import FLAGS
from tests.browser.serving import ServedTill, served
from tests.conftest import ROOT, find_chromium
from tests.register.services import FakeService
from tests.release.taking import a_look
from tests.till.web.updating import HandedOver, an_updates

SIZES = {"till": (1280, 800), "phone": (390, 844), "desktop": (1440, 900)}
FOLDER = ROOT / "docs" / "screenshots"
GOODS = ("10001", "10002", "2*10003", "4061", "10016", "10007", "9010")
Scene = Callable[[Cashier, ServedTill], None]


def do(page: Page, deed: str) -> None:
    """Press the button of a deed, whatever the language."""
    page.locator(f'[hx-post="/do/{deed}"] button').first.click()
    page.wait_for_timeout(200)


def go(page: Page, pane: str) -> None:
    page.locator(f"form:has(input[name=pane][value={pane}]) button").first.click()
    page.wait_for_timeout(200)


def ask(page: Page, name: str) -> None:
    page.locator(f"form:has(input[name=dialog_name][value={name}]) button").first.click()
    page.wait_for_timeout(200)


def basket(cashier: Cashier, shop: ServedTill) -> None:
    chips = [a.gtins[0].lstrip("0") for a in shop.till.desk.ports.catalogue.search("chips", 40) if "chips" in a.mixes]
    for code in (*GOODS, *chips[:3]):
        cashier.scan(code)
    cashier.scan("4011")
    cashier.enter("0,754")


def age(cashier: Cashier, shop: ServedTill) -> None:
    basket(cashier, shop)
    cashier.key("F6")


def cash(cashier: Cashier, shop: ServedTill) -> None:
    age(cashier, shop)
    yes(cashier)


def split(cashier: Cashier, shop: ServedTill) -> None:
    cash(cashier, shop)
    cashier.enter("200")
    cashier.key("F7")


def yes(cashier: Cashier) -> None:
    before = cashier.seen()
    cashier.page.locator("[data-answer=yes]").click()
    cashier.answered(before)


def done(cashier: Cashier, shop: ServedTill) -> None:
    cash(cashier, shop)
    cashier.enter("500")


def unknown(cashier: Cashier, shop: ServedTill) -> None:
    for code in GOODS[:3]:
        cashier.scan(code)
    shop.world.units[0].plan = ["silent_registered", "silent_unregistered"]
    cashier.pay_cash("500")


def returned(cashier: Cashier, shop: ServedTill) -> None:
    done(cashier, shop)
    go(cashier.page, "return")
    cashier.enter("1")
    cashier.approve()
    do(cashier.page, "take")


def weight(cashier: Cashier, _: ServedTill) -> None:
    cashier.scan("4011")


def search(cashier: Cashier, _: ServedTill) -> None:
    cashier.enter("choklad")


def refused(cashier: Cashier, _: ServedTill) -> None:
    for code in GOODS[:3]:
        cashier.scan(code)
    cashier.scan("7310865004704")


def line(cashier: Cashier, shop: ServedTill) -> None:
    basket(cashier, shop)
    cashier.key("F3")


def approval(cashier: Cashier, shop: ServedTill) -> None:
    basket(cashier, shop)
    ask(cashier.page, "discount")
    cashier.page.locator("#percent").fill("30")
    cashier.page.locator("#reason").fill("Skadad förpackning" if language(cashier) == "sv" else "Damaged pack")
    before = cashier.seen()
    cashier.page.locator("dialog .main").click()
    cashier.answered(before)


def language(cashier: Cashier) -> str:
    return cashier.page.locator("html").get_attribute("lang") or ""


def parked(cashier: Cashier, shop: ServedTill) -> None:
    basket(cashier, shop)
    cashier.key("F4")
    cashier.scan("10001")
    cashier.key("F4")
    go(cashier.page, "parked")


def day(cashier: Cashier, _: ServedTill) -> None:
    cashier.key("F10")


def count(cashier: Cashier, shop: ServedTill) -> None:
    done(cashier, shop)
    cashier.key("F10")
    go(cashier.page, "count")
    for ore, pieces in ((50_000, 2), (20_000, 1), (10_000, 5), (5_000, 3), (2_000, 4)):
        cashier.page.locator(f"[name=pieces_{ore}]").fill(str(pieces))


def counted(cashier: Cashier, shop: ServedTill) -> None:
    count(cashier, shop)
    do(cashier.page, "count")


def x_report(cashier: Cashier, shop: ServedTill) -> None:
    done(cashier, shop)
    cashier.key("F10")
    do(cashier.page, "x")


def training(cashier: Cashier, _: ServedTill) -> None:
    cashier.key("F10")
    do(cashier.page, "training")
    for code in GOODS[:3]:
        cashier.scan(code)


def outage(cashier: Cashier, shop: ServedTill) -> None:
    for code in GOODS[:3]:
        cashier.scan(code)
    shop.world.units[0].dead = True
    cashier.key("F6")
    do(cashier.page, "devices")


# --- payments that somebody outside decides


def services(name: str) -> list[FakeService]:
    """What the till of a scene asks; none for those that confirm by hand."""
    if name.removeprefix("display-") not in TENDERS:
        return []
    card = FakeService(hold=True, stage="present_card")
    swish = FakeService(
        "swish", "swish", exclusive=False, hold=True, stage="scan_qr", qr="D7c8f0e1b2a3948d6b5c4a3f2e1d0c9b8"
    )
    code = "C1231181189;114,20;K3-1-1;0"
    alone = FakeService("swish-alone", "swish", exclusive=False, by_hand=True, hold=True, stage="scan_qr", qr=code)
    return [card, FakeService("card-2", hold=True, stage="present_card"), swish, alone]


def some(cashier: Cashier) -> None:
    for code in GOODS[:3]:
        cashier.scan(code)


def service(shop: ServedTill, name: str) -> FakeService:
    found = next(path for path in shop.world.payments if path.name == name)
    assert isinstance(found, FakeService)
    return found


def settle(cashier: Cashier, shop: ServedTill, name: str, word: str = "approve") -> None:
    before = cashier.seen()
    with shop.quiet():
        asked = service(shop, name)
        asked.book.clear()
        asked.settle_held(asked.works[0], word)
    cashier.answered(before)


def ways(cashier: Cashier, _: ServedTill) -> None:
    some(cashier)
    cashier.key("F9")


def card(cashier: Cashier, _: ServedTill) -> None:
    some(cashier)
    cashier.key("F7")


def declined(cashier: Cashier, shop: ServedTill) -> None:
    card(cashier, shop)
    settle(cashier, shop, "card-1", "decline")


def partial(cashier: Cashier, shop: ServedTill) -> None:
    card(cashier, shop)
    settle(cashier, shop, "card-1", "partial")


def stopping(cashier: Cashier, shop: ServedTill) -> None:
    card(cashier, shop)
    cashier.key("Escape")


def stopped_late(cashier: Cashier, shop: ServedTill) -> None:
    stopping(cashier, shop)
    settle(cashier, shop, "card-1")


def card_unknown(cashier: Cashier, shop: ServedTill) -> None:
    card(cashier, shop)
    before = cashier.seen()
    with shop.quiet():
        terminal = service(shop, "card-1")
        terminal.hold, terminal.away = False, True
        terminal.say(terminal.works[0], "silent")
    cashier.answered(before)


def unclear(cashier: Cashier, shop: ServedTill) -> None:
    card_unknown(cashier, shop)
    cashier.key("F6")
    cashier.enter("200")
    cashier.page.locator("#actions form:has(input[value=tenders]) button").click()
    cashier.page.wait_for_timeout(300)


def swish(cashier: Cashier, _: ServedTill) -> None:
    some(cashier)
    cashier.key("F8")


def swish_alone(cashier: Cashier, shop: ServedTill) -> None:
    with shop.quiet():
        service(shop, "swish").away = True
    swish(cashier, shop)


def offline_card(cashier: Cashier, shop: ServedTill) -> None:
    with shop.quiet():
        for name in ("card-1", "card-2"):
            terminal = service(shop, name)
            terminal.away = terminal.alone = True
    card(cashier, shop)


def paid_card(cashier: Cashier, shop: ServedTill) -> None:
    card(cashier, shop)
    with shop.quiet():
        terminal = service(shop, "card-1")
        terminal.settle_held(terminal.works[0])
        said = Evidence("BV0q001643904", "2026-11-22T10:00:00Z", "123456", "", "Visa", "0010", "chip_pin")
        terminal.answers[-1] = msgspec.structs.replace(terminal.answers[-1], evidence=said)
    cashier.page.wait_for_selector(".finished")


TENDERS: dict[str, Scene] = {
    "ways": ways, "card": card, "card-declined": declined, "card-partial": partial, "card-stopping": stopping,
    "card-stopped-late": stopped_late, "card-unknown": card_unknown, "card-offline": offline_card, "card-paid": paid_card,
    "swish": swish, "swish-alone": swish_alone, "unclear": unclear,
}  # fmt: skip


# --- updates


def behind(name: str) -> Callable[[Till], Updates] | None:
    """What takes in what comes down, for the scenes that show it."""
    if name not in UPDATES:
        return None
    looker = HandedOver()

    def made(till: Till) -> Updates:
        updates = an_updates(till, looker=looker, canary=name != "updates-waiting")
        LOOKERS[id(till)] = looker
        return updates

    return made


LOOKERS: dict[int, HandedOver] = {}


def heard(cashier: Cashier, shop: ServedTill, found: Found) -> None:
    LOOKERS[id(shop.till)].looks.append(found)
    cashier.page.wait_for_timeout(2_500)


def in_view(page: Page) -> None:
    """On a phone the pane is below the basket."""
    page.locator("#pane h2").evaluate("heading => heading.scrollIntoView()")


def waiting(cashier: Cashier, shop: ServedTill) -> None:
    heard(cashier, shop, a_look())
    cashier.key("F10")
    go(cashier.page, "updates")
    cashier.page.wait_for_timeout(1_500)
    in_view(cashier.page)


def refused_release(cashier: Cashier, shop: ServedTill) -> None:
    some(cashier)
    lists = Refused("metadata", "mix", "chain", "timestamp", "stick", "BadVersionNumberError: 3 < 4")
    heard(cashier, shop, a_look(chosen=None, agreed=(), refused=(lists,), disagreed=(ONE_PARTY,)))


def refusals(cashier: Cashier, shop: ServedTill) -> None:
    refused_release(cashier, shop)
    cashier.page.locator("#news form:has(input[value=updates]) button").click()
    cashier.page.wait_for_timeout(300)
    in_view(cashier.page)


def soon(cashier: Cashier, shop: ServedTill) -> None:
    some(cashier)
    heard(cashier, shop, a_look(health=()))


def switching(cashier: Cashier, shop: ServedTill) -> None:
    heard(cashier, shop, a_look(health=()))
    cashier.page.wait_for_selector("[data-switching]")


ONE_PARTY = Disagreed("software/till-3.index", "one_party", "vendor", 3)
UPDATES: dict[str, Scene] = {
    "updates-waiting": waiting, "updates-refused": refused_release, "updates-refusals": refusals, "updates-soon": soon,
    "updates-switching": switching,
}  # fmt: skip


def empty(_: Cashier, __: ServedTill) -> None:
    """Signed in, the float registered, nothing scanned."""


SCENES: dict[str, Scene] = {
    "empty": empty, "basket": basket, "search": search, "weight": weight, "refused": refused, "line": line, "approval": approval,
    "cash": cash, "split": split, "age": age, "done": done, "return": returned, "parked": parked, "day": day, "count": count,
    "counted": counted, "x": x_report, "training": training, "outage": outage, "unknown": unknown,
} | TENDERS | UPDATES  # fmt: skip
SMALLER = (
    "empty",
    "basket",
    "cash",
    "done",
    "weight",
    "day",
    "ways",
    "card",
    "card-unknown",
    "swish",
    "swish-alone",
)  # on phone and desktop, Swedish; payments in English too
DISPLAYS = ("display", "display-done", "display-card", "display-swish", "display-swish-alone", "display-card-unknown")


def keep(page: Page, name: str) -> None:
    """Write the picture with as many colours as it needs."""
    page.wait_for_timeout(250)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(64, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        FOLDER / f"{name}.png", optimize=True
    )


def scene(browser: Browser, name: str, size: str, language: str) -> None:
    width, height = SIZES[size]
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder), payments=services(name), updates=behind(name)) as shop,
    ):
        context = browser.new_context(viewport={"width": width, "height": height}, has_touch=size == "phone")
        context.add_cookies([{"name": "language", "value": language, "url": shop.url}])
        page = context.new_page()
        page.goto(shop.url)
        if name == "door":
            keep(page, f"{size}-{language}-door")
        else:
            page.fill("#who", "7")
            page.fill("#pin", "1234")
            page.click("#sign-in .main")
            page.wait_for_selector("#float")
            if name == "float":
                keep(page, f"{size}-{language}-float")
            else:
                inside(page, shop, name, size, language)
        context.close()


def inside(page: Page, shop: ServedTill, name: str, size: str, language: str) -> None:
    cashier = Cashier(page, shop.url)
    before = cashier.seen()
    page.fill("#float", "1500")
    page.click("#pane .main")
    cashier.answered(before)
    if name.startswith("display"):
        seen = name.removeprefix("display").removeprefix("-")
        (done if seen == "done" else TENDERS.get(seen, basket))(cashier, shop)
        page.goto(shop.url + "display")
        page.wait_for_timeout(300)
    else:
        SCENES[name](cashier, shop)
    keep(page, f"{size}-{language}-{name}")


def wanted() -> list[tuple[str, str, str]]:
    names = ("door", "float", *SCENES)
    found = [(name, "till", language) for language in ("sv", "en") for name in names]
    found += [(name, size, "sv") for size in ("phone", "desktop") for name in ("door", *SMALLER)]
    found += [(name, size, "en") for size in ("phone", "desktop") for name in SMALLER if name in TENDERS]
    found += [(name, "phone", language) for language in ("sv", "en") for name in UPDATES]
    found += [(name, "till", "sv") for name in DISPLAYS]  # it speaks the shop's language, whatever the cashier's
    words = sys.argv[1:]
    return [each for each in found if not words or any(word in f"{each[1]}-{each[2]}-{each[0]}" for word in words)]


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        for name, size, language in wanted():
            scene(browser, name, size, language)
            print(f"{size}-{language}-{name}", flush=True)
        browser.close()
    total = sum(path.stat().st_size for path in FOLDER.glob("*.png"))
    print(f"{len(list(FOLDER.glob('*.png')))} pictures, {total // 1024} KiB")


if __name__ == "__main__":
    main()
