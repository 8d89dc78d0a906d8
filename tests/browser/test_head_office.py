"""Head office in a browser: a passkey made and shown in Chromium, everything on the keyboard, nothing serious for axe-core."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from oppet.people.roles import INCIDENT_LEAD
from tests.browser.head_office import BO, HeadOffice, a_bad_day, served_office
from tests.browser.test_access import found_by_axe, small_targets, wider_than_window

pytestmark = pytest.mark.browser

PAGES = ("fleet", "alarms", "approvals", "people", "me")


@pytest.fixture(scope="module")
def office() -> Iterator[HeadOffice]:
    with served_office() as served:
        a_bad_day(served)
        yield served


def test_o4_a_passkey_is_made_with_a_code_and_opens_head_office(page: Page, office: HeadOffice) -> None:
    code = office.hq.context.people.add(701, "Alva", (INCIDENT_LEAD,), 0)
    wire = page.context.new_cdp_session(page)
    wire.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    wire.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    page.goto(office.url + "register")
    page.fill("#f-number", "701")
    page.fill("#f-code", code)
    page.keyboard.press("Enter")
    page.fill("#f-name", "min telefon")
    page.keyboard.press("Enter")
    expect(page.locator(".message.done")).to_be_visible()
    expect(page.locator("table")).to_contain_text("min telefon")
    page.locator("form[action='/sign-out'] button").click()
    expect(page).to_have_url(office.url + "sign-in")
    page.locator("form[data-passkey] button").click()
    expect(page.locator(".who")).to_contain_text("Alva")
    assert not page.url.endswith("sign-in")


def test_o4_without_a_passkey_the_door_says_so_and_stays_shut(page: Page, office: HeadOffice) -> None:
    wire = page.context.new_cdp_session(page)
    wire.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    wire.send("WebAuthn.addVirtualAuthenticator", {"options": {**options, "isUserVerified": False}})
    page.goto(office.url + "sign-in")
    page.locator("form[data-passkey] button").click()
    expect(page.locator("[data-trouble]")).to_be_visible(timeout=70_000)
    page.goto(office.url + "fleet")
    expect(page).to_have_url(office.url + "sign-in")


@pytest.mark.parametrize("language", ["sv", "en"])
@pytest.mark.parametrize("width", [1440, 390])
def test_w5_head_offices_pages_are_for_everybody(
    browser: Browser, office: HeadOffice, language: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    try:
        context.add_cookies([{"name": "language", "value": language, "url": office.url}])
        page = context.new_page()
        for name in ("sign-in", "register"):
            page.goto(office.url + name)
            assert found_by_axe(page) == [], name
        context.add_cookies([office.sign_in(BO)])  # type: ignore[list-item]
        for name in PAGES:
            page.goto(office.url + name)
            assert page.locator("html").get_attribute("lang") == language
            assert found_by_axe(page) == [], name
            assert [found for found in small_targets(page) if "checkbox" not in found] == [], name
            assert wider_than_window(page) == [], name
    finally:
        context.close()


def test_o8_the_lagging_store_stands_first_with_its_reason(page: Page, office: HeadOffice) -> None:
    page.context.add_cookies([office.sign_in(BO)])  # type: ignore[list-item]
    page.goto(office.url + "fleet")
    first = page.locator("section.store").first
    expect(first).to_contain_text("S02 Hamnen")
    expect(first).to_contain_text("hela butiken")
    expect(first.locator(".state").first).to_contain_text("1 tim")
