"""A day with a cut line: card, Swish and mixed payments, then offline card, unconfirmed Swish and cash, and nothing left open at its end.

Everything outside the till is a real process: terminal, acquirer, Swish, the line with its switch, store node and head office; the till
has its real wiring, and the test is its cashier (R12, R13, PT6, PT8).
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from oppet.demo.chain import Chain, free_ports, outside, stores
from oppet.demo.paying import phone
from oppet.demo.robot import simple_goods
from oppet.drivers.processes import Helper
from oppet.journal.kinds import Receipt
from oppet.payments.paths import DOWN, PathNow
from oppet.payments.risk import RiskTooHighError
from oppet.payments.tender import PENDING
from oppet.register.till import Till
from oppet.sale.rights import Staff
from oppet.sale.settle import left_to_pay
from oppet.till.main import open_till

ALVA = 101
BOARD_S = 5.0  # what a cut line may take until the board shows it
WAIT_S = 60.0  # on a machine where much else runs


class Shop:
    """One till at work, and what stands around it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        ports = iter(free_ports(20))
        self.page, keeper = next(ports), next(ports)
        plans = stores(ports, 1, robots=False)[:1]
        self.chain = chain = Chain(folder, plans, outside(ports, plans))
        assert chain.beyond is not None
        (self.store,) = plans
        (plan,) = self.store.tills

        def begin(start: Callable[[], Helper]) -> Helper:
            helper = start()
            stack.callback(helper.end)
            return helper

        self.line = begin(chain.line(keeper))
        self.acquirer = begin(chain.acquirer())
        self.swish = begin(chain.swish("--paid-ms", "200"))
        chain.write_hq(keeper, self.page)
        begin(chain.hq())
        for first in (self.line, self.swish):  # stores come over the one, and their nodes read the other's papers
            assert first.said["ready"]
        chain.write_store(self.store)
        chain.enrol_store(self.store, f"https://127.0.0.2:{keeper}")
        begin(chain.unit_of_store(self.store))
        begin(chain.node(self.store))
        begin(chain.unit_of_till(self.store, plan))
        self.terminal = begin(chain.terminal(plan, "--auto-ms", "1", "--forward-s", "0.2"))
        settings = chain.write_till(self.store, plan)
        chain.enrol_till(self.store, plan)
        opened = stack.enter_context(closing(open_till(settings)))
        self.till: Till = opened.till
        self.till.sign_in(Staff(ALVA, "cashier"))
        self.till.drawer.set_float(100_000)
        self.goods = simple_goods(self.till)
        self.scan = phone(chain.beyond.swish_page)

    # --- the cashier

    def basket(self, least_ore: int = 0) -> int:
        """A customer's goods; gives what is to pay."""
        till = self.till
        for number in self.goods[:2]:
            till.selling.pick(number, 1000)
        while (left := self.left()) <= least_ore:
            till.selling.pick(self.goods[0], 10_000)
        return left

    def left(self) -> int:
        basket = self.till.desk.basket()
        return left_to_pay(basket, self.till.desk.priced(basket))

    def ask(self, path: str, ore: int, *, offline: bool = False) -> str:
        """Ask for money; gives where that ended."""
        till = self.till
        sale = till.desk.state.current
        tender = till.tenders.ask(path, ore, offline=offline)
        if path == "swish-alone":
            (shown,) = [one.progress for one in till.tenders.waiting() if one.tender == tender and one.sale == sale]
            assert shown is not None
            self.scan(shown.qr)
            till.tenders.vouch(tender, paid=True)
        self.until(lambda: (attempt := till.desk.state.attempt(sale, tender)) is None or attempt.state not in PENDING)
        attempt = till.desk.state.attempt(sale, tender)
        return attempt.state if attempt is not None else "over"

    def until(self, done: Callable[[], object], seconds: float = WAIT_S) -> float:
        """Tick until it is so; gives how long that took."""
        began = time.monotonic()
        while not done():
            assert time.monotonic() - began < seconds, self.till.tenders.paths()
            self.till.tenders.tick()
            time.sleep(0.02)
        return time.monotonic() - began

    def sold(self) -> tuple[str, ...]:
        """The last sale is registered: by what it was paid."""
        self.till.tenders.tick()
        assert not self.till.desk.state.current
        filed = self.till.desk.filed("normal", self.till.desk.state.numbers["normal"])
        assert filed is not None
        assert isinstance(filed.body, Receipt)
        return tuple(tender.means for tender in filed.body.tenders)

    def now(self, path: str) -> PathNow:
        return next(now for one, now in self.till.tenders.paths() if one.name == path)

    # --- what stands around

    def tell(self, helper: Helper, wish: object, path: str = "/control") -> Any:
        return ask(helper.said["control_port"], "POST", path, wish)[1]

    def head_office(self) -> Any:
        """What its page of payments stands on, or None while it is not yet there."""
        status, picture, _ = asked(self.page, "GET", "/api/payments", cookie=self.cookie())
        return picture if status == 200 else None

    def cookie(self) -> str:
        _, _, headers = asked(self.page, "POST", "/sign-in/demo", {})
        return headers.get("set-cookie", "").partition(";")[0]


def ask(port: int, method: str, path: str, body: object = None) -> tuple[int, Any]:
    return asked(port, method, path, body)[:2]


def asked(port: int, method: str, path: str, body: object = None, cookie: str = "") -> tuple[int, Any, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}", "Cookie": cookie}
    if method == "POST" and path.startswith("/sign-in"):
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        data = answer.read()
        words = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, json.loads(data) if "json" in words.get("content-type", "") else None, words
    finally:
        connection.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with ExitStack() as stack:
        yield Shop(tmp_path, stack)


def test_r12_r13_a_cut_line_changes_the_board_the_store_sells_on_and_nothing_is_left_open(shop: Shop) -> None:
    till = shop.till
    # the line works: card, Swish, and both
    shop.until(lambda: shop.now("card-1").state == shop.now("swish").state == "working")
    shop.ask("card-1", shop.basket())
    assert shop.sold() == ("card",)
    shop.ask("swish", shop.basket())
    assert shop.sold() == ("swish",)
    half = shop.basket() // 2
    assert shop.ask("card-1", half) == "approved"
    shop.ask("swish", shop.left())
    assert shop.sold() == ("card", "swish")

    # the line is cut: the board shows it, and the store sells on within limits
    shop.tell(shop.line, {"wan": "off"})
    took = shop.until(lambda: shop.now("card-1").state == shop.now("swish").state == DOWN)
    assert took < BOARD_S
    assert shop.now("card-1").offline
    shop.ask("card-1", shop.basket(), offline=True)
    assert shop.sold() == ("card",)
    shop.ask("swish-alone", shop.basket())
    assert shop.sold() == ("swish",)
    left = shop.basket(least_ore=150_000)
    with pytest.raises(RiskTooHighError):
        till.tenders.ask("card-1", left, offline=True)
    till.checkout.pay("cash", -(-left // 100) * 100)
    assert shop.sold() == ("cash",)
    assert till.desk.state.risk.count == 2

    # the line is back: everything finds its other side
    shop.tell(shop.line, {"wan": "on"})
    shop.until(lambda: shop.now("card-1").state == shop.now("swish").state == "working")
    shop.until(lambda: not ask(shop.terminal.said["control_port"], "GET", "/control/state")[1]["stored"])
    shop.tell(shop.acquirer, {"settle": True})
    shop.tell(shop.swish, {"report": True})
    shop.until(lambda: agreed(shop))
    assert till.tenders.waiting() == []


def agreed(shop: Shop) -> bool:
    """Whether every tender stands one to one in a file, and no case is open."""
    time.sleep(0.3)
    picture = shop.head_office()
    if picture is None:
        return False
    whole = (picture["matched"], picture["settled"], picture["waiting"]) == (6, 2, 0)
    return whole and not picture["differences"] and not picture["open"]
