"""A whole day at the till in Chromium, every amount held against the journal."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from oppet.journal.kinds import (
    AgeChecked,
    CashCounted,
    FloatSet,
    Receipt,
    ReportMade,
    SaleParked,
    SaleResumed,
)
from oppet.paper.sheet import amount
from tests.browser.cashier import Cashier
from tests.browser.serving import BADGE, ServedTill

pytestmark = pytest.mark.browser

PLAIN = ["10001", "10002", "10003", "10005", "10006", "10008", "10009", "10010", "10011", "10012"]
BEER_18 = "10007"


def receipts(shop: ServedTill) -> list[Receipt]:
    return [body for body in shop.world.bodies(Receipt) if isinstance(body, Receipt)]


def gtin_of(shop: ServedTill, mix: str) -> list[str]:
    """The barcodes of some articles that are in a promotion together."""
    articles = shop.till.desk.ports.catalogue.search(mix, 50)
    return [a.gtins[0].lstrip("0") for a in articles if mix in a.mixes and a.gtins][:4]


def with_deposit(shop: ServedTill) -> str:
    articles = shop.till.desk.ports.catalogue.search("cola", 50)
    return next(a.number for a in articles if a.pant and not a.age)


def sold(shop: ServedTill, cashier: Cashier, given: str) -> Receipt:
    """Pay cash; the change on the page is the journal's."""
    cashier.pay_cash(given)
    expect(cashier.page.locator(".change output")).to_be_visible()
    last = receipts(shop)[-1]
    assert cashier.change() == amount(sum(tender.change_ore for tender in last.tenders))
    return last


def twenty_plain_sales(cashier: Cashier, shop: ServedTill) -> None:
    # Twenty plain sales: as many lines as the number says, paid with large notes.
    for number in range(20):
        for code in PLAIN[: 1 + number % 4]:
            cashier.scan(code)
        shown = cashier.to_pay()
        receipt = sold(shop, cashier, "500")
        assert shown == amount(receipt.total_ore)
        assert len(receipt.lines) == 1 + number % 4
    assert len(receipts(shop)) == 20


def goods_of_every_sort(cashier: Cashier, shop: ServedTill) -> None:
    page = cashier.page
    # Goods by weight: the dialog asks, and the amount is price × weight.
    cashier.scan("4011")
    expect(page.locator("dialog[data-name=weight]")).to_be_visible()
    cashier.enter("0,754")
    assert sold(shop, cashier, "100").lines[0].quantity_milli == 754

    # A promotion: three in the mix, the discount is explained under a line.
    for code in gtin_of(shop, "chips")[:3]:
        cashier.scan(code)
    expect(page.locator("#lines .less").first).to_be_visible()
    receipt = sold(shop, cashier, "500")
    assert receipt.saved_ore > 0
    assert any(discount.kind == "promotion" for line in receipt.lines for discount in line.discounts)

    # Three of one, and pant as a line of its own.
    cola = with_deposit(shop)
    cashier.scan(f"3*{cola}")
    receipt = sold(shop, cashier, "500")
    assert [line.quantity_milli for line in receipt.lines] == [3000, 3000]
    assert receipt.lines[1].pant_of == 1

    # An age limit is asked about before the customer is asked for money.
    cashier.scan(BEER_18)
    cashier.key("F6")
    expect(page.locator("dialog[data-name=age]")).to_be_visible()
    cashier.press("Ja, 18", "dialog")
    cashier.enter("100")
    expect(page.locator(".change output")).to_be_visible()
    assert receipts(shop)[-1].lines[0].article == BEER_18
    checks = [body for body in shop.world.bodies(AgeChecked) if isinstance(body, AgeChecked)]
    assert [(check.limit, check.passed) for check in checks] == [(18, True)]


def parked_and_split(cashier: Cashier, shop: ServedTill) -> None:
    page = cashier.page
    # Parked, another customer, resumed.
    cashier.scan(PLAIN[0])
    cashier.key("F4")
    cashier.scan(PLAIN[1])
    sold(shop, cashier, "200")
    cashier.press("Parkerade", "#actions")
    cashier.press("Återuppta", "#pane")
    assert sold(shop, cashier, "200").lines[0].article == PLAIN[0]
    assert len(shop.world.bodies(SaleParked)) == len(shop.world.bodies(SaleResumed)) == 1

    # Split: a part by card, the rest in cash.
    cashier.scan(PLAIN[0])
    cashier.scan(PLAIN[1])
    cashier.key("F7")
    page.locator("#given").fill("50")
    cashier.press("Bekräfta", "#pane")
    expect(page.locator(".tenders li")).to_have_count(1)
    page.locator("#pane").get_by_role("button", name="Kontant").click()
    receipt = sold(shop, cashier, "200")
    assert [tender.means for tender in receipt.tenders] == ["card", "cash"]
    assert sum(tender.amount_ore for tender in receipt.tenders) == receipt.total_ore + receipt.rounding_ore


def approved_and_voided(cashier: Cashier, shop: ServedTill) -> None:
    page = cashier.page
    # A discount above the limit: Bo approves with badge and PIN, and the same discount is given.
    cashier.scan(PLAIN[0])
    cashier.press("Rabatt", "#actions")
    page.locator("#percent").fill("50")
    page.locator("#reason").fill("Skadad förpackning")
    cashier.press("Ge rabatten", "dialog")
    cashier.approve(BADGE)
    receipt = sold(shop, cashier, "100")
    assert receipt.lines[0].discounts[0].text == "Skadad förpackning"
    assert receipt.total_ore * 2 == receipt.lines[0].amount_ore

    # A line voided, and a sale by Swish with an electronic receipt.
    cashier.scan(PLAIN[2])
    cashier.scan(PLAIN[3])
    page.locator("button.goods").first.click()
    cashier.press("Ta bort raden", "dialog")
    cashier.key("F8")
    page.get_by_label("Elektroniskt").check()
    cashier.press("Bekräfta", "#pane")
    assert receipts(shop)[-1].tenders[0].means == "swish"
    assert [line.article for line in receipts(shop)[-1].lines] == [PLAIN[3]]


def a_return(cashier: Cashier, shop: ServedTill) -> Receipt:
    # A return against the first receipt, with its own approval.
    cashier.press("Retur", "#actions")
    cashier.enter("1")
    cashier.approve()
    cashier.press("Ta tillbaka", "#pane")
    cashier.key("F6")
    cashier.key("Enter")
    back = receipts(shop)[-1]
    assert back.kind == "return"
    assert back.original is not None
    assert back.original.number == 1
    assert cashier.change() == amount(back.total_ore + back.rounding_ore)
    assert len(receipts(shop)) >= 29
    return back


def training(cashier: Cashier, shop: ServedTill) -> None:
    page = cashier.page
    # Training: unmistakable, and no sale.
    cashier.key("F10")
    cashier.press("Börja övning", "#pane")
    expect(page.locator(".training")).to_contain_text("ÖVNING")
    cashier.scan(PLAIN[0])
    training = sold(shop, cashier, "100")
    assert training.kind == "training"
    cashier.key("F10")
    cashier.press("Avsluta övning", "#pane")
    expect(page.locator(".training")).to_have_count(0)


def the_day_is_closed(cashier: Cashier, shop: ServedTill, back: Receipt) -> None:
    page = cashier.page
    # X, count, Z: the page shows the journal's figures.
    cashier.key("F10")
    cashier.press("X-dagrapport", "#pane")
    made = [body for body in shop.world.bodies(ReportMade) if isinstance(body, ReportMade)][-1]
    sales = [receipt for receipt in receipts(shop) if receipt.kind == "sale"]
    assert made.report.sales_ore == sum(receipt.total_ore for receipt in sales)
    assert made.report.returns_ore == back.total_ore
    expect(page.locator(".paper")).to_contain_text(amount(made.report.total_ore))

    cashier.key("F10")
    cashier.press("Räkna kassan", "#pane")
    expected = shop.till.desk.state.tally.cash_expected_ore()
    for ore in (100_000, 50_000, 20_000, 10_000, 5_000, 2_000, 1_000, 500, 200, 100):
        page.locator(f"[name=pieces_{ore}]").fill(str(expected // ore))
        expected %= ore
    cashier.press("Skriv upp", "#pane")
    counted = [body for body in shop.world.bodies(CashCounted) if isinstance(body, CashCounted)][-1]
    assert counted.difference_ore == 0
    expect(page.locator(".counted")).to_contain_text("Ingen differens")
    cashier.press("Stäng dagen", "#pane")
    cashier.press("Stäng dagen", "dialog")
    cashier.approve()
    made = [body for body in shop.world.bodies(ReportMade) if isinstance(body, ReportMade)][-1]
    assert (made.kind, made.number) == ("z", 1)
    assert made.report.total_ore == sum(r.total_ore for r in sales) - back.total_ore
    expect(page.locator(".paper")).to_contain_text("Z-dagrapport 1")
    assert shop.printer.papers[-1].name == "Z-dagrapport 1"


def test_a_whole_day(cashier: Cashier, shop: ServedTill) -> None:
    assert [body.amount_ore for body in shop.world.bodies(FloatSet) if isinstance(body, FloatSet)] == [150_000]
    twenty_plain_sales(cashier, shop)
    goods_of_every_sort(cashier, shop)
    parked_and_split(cashier, shop)
    approved_and_voided(cashier, shop)
    back = a_return(cashier, shop)
    training(cashier, shop)
    the_day_is_closed(cashier, shop, back)
    # The next day begins with its float.
    cashier.key("Escape")
    expect(cashier.page.locator("#float")).to_be_visible()
