"""A cashier at the page: scans as a scanner does, types as a person does, and waits for the answer."""

from __future__ import annotations

import time

from playwright.sync_api import Page, expect

from oppet.register.ports import Alone
from oppet.register.till import Till

__all__ = ["Cashier"]

PERSON_MS = 45  # between two keys: slower than any scanner
SCANNER_S = 0.005


class Cashier:
    def __init__(self, page: Page, url: str, till: Till | None = None) -> None:
        self.page = page
        self.url = url
        self.till = till  # behind the page, for what only its surroundings do

    def keepers(self, copies: Alone) -> None:
        """The till has these keepers and neighbours from now on."""
        assert self.till is not None, "this page's till is at hand"
        self.till.desk.ports.copies = self.till.desk.ports.neighbours = copies

    def seen(self) -> str:
        return self.page.locator("#stamp [name=seen]").input_value()

    def answered(self, before: str) -> None:
        """Wait until the page has been brought up to date since `before`."""
        expect(self.page.locator("#stamp [name=seen]")).not_to_have_value(before)
        expect(self.page.locator("#dialog dialog:not([open])")).to_have_count(0)

    def sign_in(self, number: str = "7", pin: str = "1234") -> None:
        self.page.goto(self.url)
        self.type(number)
        self.page.keyboard.press("Enter")
        self.type(pin)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector("#scan")

    def type(self, text: str) -> None:
        self.page.keyboard.type(text, delay=PERSON_MS)

    def scan(self, code: str) -> None:
        """Characters a few milliseconds apart, then Enter, wherever the focus is."""
        before = self.seen()
        self.burst(code)
        self.answered(before)

    def burst(self, code: str, end: str = "Enter") -> None:
        """What a scanner types, with the times a scanner keeps: however slow this machine is, the page sees 5 ms."""
        wire = self.page.context.new_cdp_session(self.page)
        at = time.time()
        for place, key in enumerate((*code, end)):
            text = "\r" if key == "Enter" else "" if len(key) > 1 else key
            said = {
                "key": key,
                "timestamp": at + place * SCANNER_S,
                "windowsVirtualKeyCode": {"Enter": 13, "Tab": 9}.get(key, 0),
            }
            wire.send("Input.dispatchKeyEvent", {"type": "keyDown", "text": text, **said})
            wire.send("Input.dispatchKeyEvent", {"type": "keyUp", **said})
        wire.detach()

    def enter(self, text: str) -> None:
        """Type as a person and press Enter."""
        before = self.seen()
        self.type(text)
        self.page.wait_for_timeout(PERSON_MS)
        self.page.keyboard.press("Enter")
        self.answered(before)

    def key(self, key: str) -> None:
        before = self.seen()
        self.page.wait_for_timeout(PERSON_MS)
        self.page.keyboard.press(key)
        self.answered(before)

    def press(self, name: str, within: str = "body") -> None:
        before = self.seen()
        self.page.locator(within).get_by_role("button", name=name, exact=False).first.click()
        self.answered(before)

    def approve(self, number: str = "3", pin: str = "4321") -> None:
        dialog = self.page.locator("dialog[data-name=approve]")
        expect(dialog).to_be_visible()
        dialog.locator("#approver").fill(number)
        dialog.locator("#approver-pin").fill(pin)
        self.page.wait_for_timeout(PERSON_MS)
        self.key("Enter")

    def pay_cash(self, kronor: str) -> None:
        self.key("F6")
        self.enter(kronor)

    def to_pay(self) -> str:
        return self.page.locator("#to-pay").inner_text()

    def message(self) -> str:
        return self.page.locator("#message").inner_text()

    def change(self) -> str:
        return self.page.locator(".change output").inner_text()
