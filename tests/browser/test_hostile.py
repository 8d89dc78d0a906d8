"""What a loud shop and a hostile one do to the page: long pastes, control characters, script in names, scanners in the wrong field."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from oppet.goods.catalogue import Catalogue
from oppet.journal.kinds import LineAdded, SaleOpened
from tests.browser.cashier import Cashier
from tests.browser.serving import ServedTill, served
from tests.register.world import an_article

pytestmark = pytest.mark.browser

EVIL = '<img src=x onerror="document.title=1"><script>document.title=2</script>'


def paste(page: Page, text: str) -> float:
    """Paste as the browser does; give the seconds until the page answered."""
    began = time.monotonic()
    page.evaluate(
        """text => { const data = new DataTransfer(); data.setData('text/plain', text);
        const event = new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true });
        const field = document.getElementById('scan'); field.focus();
        if (field.dispatchEvent(event)) field.value = text; }""",
        text,
    )
    return time.monotonic() - began


def test_w4_a_paste_of_a_megabyte_is_refused_without_freezing(cashier: Cashier, shop: ServedTill) -> None:
    seconds = paste(cashier.page, "7" * 1_000_000)
    assert "alldeles för långt" in cashier.message()
    assert cashier.page.locator("#scan").input_value() == ""
    assert seconds < 2
    cashier.scan("10001")
    assert len(shop.world.bodies(LineAdded)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[2J\x1dx",
        "\u202e10001",
        "\u0000\u0007",
        EVIL,
        "'; DROP TABLE--",
        "9" * 399,
        "(01)1234567890123(17)999999",
        "💥" * 90,
    ],
)
def test_w4_hostile_text_in_the_scan_field_ends_in_words(cashier: Cashier, shop: ServedTill, text: str) -> None:
    before = cashier.seen()
    cashier.page.evaluate("text => { document.getElementById('scan').value = text; }", text)
    cashier.page.locator("#scan").press("Enter")
    cashier.answered(before)
    assert len(cashier.message()) > 10
    assert "Något gick fel" not in cashier.message()
    assert shop.world.bodies(SaleOpened) == []
    assert cashier.page.title().startswith("Kassa")


def test_w4_script_in_a_name_is_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    catalogue = Catalogue("evil-1", "2026-11-01", [an_article("666", EVIL[:72], 1_000, quick=1)])
    with served(tmp_path, catalogue) as shop:
        page = browser.new_page()
        cashier = Cashier(page, shop.url)
        cashier.sign_in()
        cashier.enter("500")
        cashier.scan("666")
        expect(page.locator("#lines .name")).to_contain_text("<img src=x")
        assert page.locator("#lines img").count() == 0
        page.goto(shop.url + "display")
        expect(page.locator(".display-lines .name")).to_contain_text("<img src=x")
        assert page.title() not in ("1", "2")
        page.close()


def test_w3_a_scan_in_the_wrong_field_is_goods_and_leaves_the_field(cashier: Cashier, shop: ServedTill) -> None:
    cashier.scan("10001")
    cashier.key("F6")
    expect(cashier.page.locator("#given")).to_be_focused()
    cashier.scan("10002")
    assert cashier.page.locator("#given").input_value() == ""
    assert [body.article for body in shop.world.bodies(LineAdded) if isinstance(body, LineAdded)] == ["10001", "10002"]


def test_w3_a_scan_never_answers_a_question(cashier: Cashier, shop: ServedTill) -> None:
    """The age question is open and its button has the focus: the scanner's Enter must not press it."""
    cashier.scan("10007")
    cashier.key("F6")
    dialog = cashier.page.locator("dialog[data-name=age]")
    cashier.page.locator("[data-answer=yes]").focus()
    cashier.burst("10001")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("svara på den först")
    assert len(shop.world.bodies(LineAdded)) == 1


def test_w3_a_separator_survives_the_keyboard(cashier: Cashier) -> None:
    """GS arrives as Ctrl+]; without it the fields of a GS1 code run together."""
    page = cashier.page
    page.locator("#scan").focus()
    page.keyboard.type("0107350053850019")
    page.keyboard.press("Control+]")
    page.keyboard.type("10")
    assert page.locator("#scan").input_value() == "0107350053850019\x1d10"


def test_w3_tab_ends_a_scan_too(cashier: Cashier, shop: ServedTill) -> None:
    before = cashier.seen()
    cashier.burst("10001", "Tab")
    cashier.answered(before)
    assert len(shop.world.bodies(LineAdded)) == 1


def test_w3_fast_scans_wait_in_a_queue(cashier: Cashier, shop: ServedTill) -> None:
    page = cashier.page
    for code in ("10001", "10002", "10003", "10005", "10006"):
        cashier.burst(code)
    expect(page.locator("#lines li")).to_have_count(5)
    added = [body.article for body in shop.world.bodies(LineAdded) if isinstance(body, LineAdded)]
    assert added == ["10001", "10002", "10003", "10005", "10006"]


def test_w6_two_windows_do_no_harm(cashier: Cashier, shop: ServedTill) -> None:
    first = cashier.page
    cashier.scan("10001")
    second = first.context.new_page()
    other = Cashier(second, shop.url)
    second.goto(shop.url)
    expect(second.locator("#lines li")).to_have_count(1)
    cashier.pay_cash("500")
    expect(first.locator(".change")).to_be_visible()
    other.scan("10002")  # the second window still shows the paid basket
    assert "äldre korg" in other.message()
    assert len(shop.world.bodies(LineAdded)) == 1
    other.scan("10002")
    assert len(shop.world.bodies(LineAdded)) == 2
    second.close()


def test_w8_the_customer_sees_what_the_till_decided(cashier: Cashier, shop: ServedTill) -> None:
    window = cashier.page.context.new_page()
    window.goto(shop.url + "display")
    expect(window.locator("h1")).to_contain_text("Välkommen")
    cashier.scan("10001")
    expect(window.locator(".display-lines li")).to_have_count(1)
    cashier.scan("2*10002")
    expect(window.locator(".display-sum b")).to_have_text(cashier.to_pay())
    cashier.key("F6")
    cashier.page.get_by_label("Elektroniskt").check()
    cashier.page.fill("#given", "500")
    cashier.press("Ta emot", "#pane")
    expect(window.locator(".two-figures .strong b")).to_have_text(cashier.change())
    expect(window.locator("figure img")).to_be_visible()
    assert window.locator("form, button, input").count() == 0
    window.close()
