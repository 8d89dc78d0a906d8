"""Everybody can use it: axe-core finds nothing serious on any pane, the keyboard is enough, and nothing is told by colour or size alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.cashier import Cashier
from tests.browser.serving import ServedTill
from tests.conftest import ROOT
from tests.till.web.test_web import FakeKeepers, a_keeper

pytestmark = pytest.mark.browser

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def found_by_axe(page: Page) -> list[str]:
    """What axe-core finds, serious and critical, as one line each. (It is evaluated past the page's own policy.)"""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate("rules => axe.run(document, rules)", RULES)
    return [
        f"{violation['id']}: {node['html'][:160]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def small_targets(page: Page) -> list[str]:
    """Buttons and fields less than 48 px high or wide that can be seen."""
    small: list[str] = page.evaluate(
        """() => [...document.querySelectorAll('button, a.button, input:not([type=hidden]):not([type=radio])')]
        .filter(e => e.checkVisibility() && !e.closest('.skip'))
        .map(e => [e.getBoundingClientRect(), e])
        .filter(([box]) => box.height < 47.5 || box.width < 47.5)
        .map(([box, e]) => `${Math.round(box.width)}×${Math.round(box.height)} ${e.outerHTML.slice(0, 90)}`)"""
    )
    return small


def wider_than_window(page: Page) -> list[str]:
    """What runs out of the window to the right, outside boxes that scroll by themselves."""
    wide: list[str] = page.evaluate(
        """() => [...document.querySelectorAll('body *')]
        .filter(e => e.checkVisibility() && !e.closest('.strip, .paper, .unseen, .skip, svg, .top nav ul > *, .table > *')
            && e.getBoundingClientRect().right > innerWidth + 1)
        .map(e => e.outerHTML.slice(0, 90))"""
    )
    return wide


def basket(cashier: Cashier) -> None:
    for code in ("10001", "2*10002", "10007"):
        cashier.scan(code)


def pane(name: str) -> Callable[[Cashier], None]:
    def open_it(cashier: Cashier) -> None:
        cashier.key("F10")
        cashier.press(name, "#pane")

    return open_it


def asking(name: str) -> Callable[[Cashier], None]:
    def ask(cashier: Cashier) -> None:
        basket(cashier)
        cashier.press(name, "#actions")

    return ask


def with_key(key: str) -> Callable[[Cashier], None]:
    def press(cashier: Cashier) -> None:
        basket(cashier)
        cashier.key(key)

    return press


def paid(cashier: Cashier) -> None:
    cashier.scan("10001")
    cashier.pay_cash("500")


def searched(cashier: Cashier) -> None:
    cashier.enter("chips")


def weighed(cashier: Cashier) -> None:
    cashier.scan("4011")


def aged(cashier: Cashier) -> None:
    basket(cashier)
    cashier.key("F6")


def refused(cashier: Cashier) -> None:
    cashier.scan("7310865004704")


def returned(cashier: Cashier) -> None:
    paid(cashier)
    cashier.press("Retur", "#actions")
    cashier.enter("1")
    cashier.approve()


def out_of_units(cashier: Cashier) -> None:
    pane("Kontrollenheter")(cashier)
    cashier.press("Fråga dem", "#pane")


def parked(cashier: Cashier) -> None:
    basket(cashier)
    cashier.key("F4")
    cashier.press("Parkerade", "#actions")


def alone(cashier: Cashier) -> None:
    """An enrolled till that nobody answers: the strip and the day's pane say so."""
    node, till = (a_keeper(*words, 1, silent=True, behind=40) for words in (("S01-node", "store"), ("S01-K4", "till")))
    cashier.keepers(FakeKeepers(node, till))
    paid(cashier)
    cashier.key("F10")


def elsewhere(cashier: Cashier) -> None:
    cashier.keepers(FakeKeepers(a_keeper("S01-node", "store", 9_999), a_keeper("hq", "hq", 9_999)))
    paid(cashier)
    cashier.press("Parkerade", "#actions")


STATES: dict[str, Callable[[Cashier], None]] = {
    "empty": lambda cashier: None,
    "basket": basket,
    "cash": with_key("F6"),
    "card": with_key("F7"),
    "done": paid,
    "search": searched,
    "weight": weighed,
    "age": aged,
    "refused": refused,
    "line": with_key("F3"),
    "discount": asking("Rabatt"),
    "member": asking("Medlem"),
    "price": asking("Pris"),
    "abandon": asking("Avbryt"),
    "parked": parked,
    "alone": alone,
    "elsewhere": elsewhere,
    "return": returned,
    "day": lambda cashier: cashier.key("F10"),
    "count": pane("Räkna kassan"),
    "safe": pane("Kontanter"),
    "receipts": pane("Kvitton"),
    "time": pane("Datum"),
    "units": out_of_units,
    "x": pane("X-dagrapport"),
    "training": pane("Börja övning"),
}


@pytest.mark.parametrize("state", STATES)
def test_w5_axe_finds_nothing_serious(cashier: Cashier, state: str) -> None:
    STATES[state](cashier)
    cashier.page.wait_for_timeout(50)
    assert found_by_axe(cashier.page) == []
    assert small_targets(cashier.page) == []
    assert wider_than_window(cashier.page) == []


@pytest.mark.parametrize("state", ["empty", "basket", "cash", "done", "weight", "day", "count", "return", "alone"])
def test_w5_a_phone_holds_every_pane(cashier: Cashier, state: str) -> None:
    cashier.page.set_viewport_size({"width": 390, "height": 844})
    STATES[state](cashier)
    cashier.page.wait_for_timeout(50)
    assert wider_than_window(cashier.page) == []
    assert found_by_axe(cashier.page) == []


@pytest.mark.parametrize("language", ["sv", "en"])
def test_w5_the_doors_are_for_everybody_in_both_languages(page: Page, shop: ServedTill, language: str) -> None:
    for path in ("", "display"):
        page.goto(shop.url + path)
        if language == "en" and not path:
            page.get_by_role("button", name="English").click()
            expect(page.locator("html")).to_have_attribute("lang", "en")
        assert found_by_axe(page) == []
    page.goto("about:blank")  # the customer's window hangs on the till, and the till ends first


def test_w5_a_sale_by_keyboard_alone(cashier: Cashier) -> None:
    page = cashier.page
    cashier.enter("10001")
    cashier.enter("3*10002")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#line-2 button")).to_be_focused()
    page.wait_for_timeout(45)
    before = cashier.seen()
    page.keyboard.press("Enter")
    cashier.answered(before)
    expect(page.locator("#quantity")).to_be_focused()
    cashier.enter("2")
    expect(page.locator("#line-2")).to_contain_text("2 st")
    cashier.key("F3")
    page.wait_for_timeout(45)
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.locator("#scan")).to_be_focused()
    cashier.pay_cash("1000")
    expect(page.locator(".change output")).to_be_visible()
    expect(page.locator("#scan")).to_be_focused()


def test_w5_the_page_speaks_english_a_click_away(cashier: Cashier) -> None:
    page = cashier.page
    basket(cashier)
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator(".huge")).to_contain_text("To pay")
    cashier.scan("7310865004704")
    assert "check digit" in cashier.message()
    page.get_by_role("button", name="Svenska").click()
    expect(page.locator(".huge")).to_contain_text("Att betala")
