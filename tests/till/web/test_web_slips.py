"""Pant vouchers, gift cards and invoices at the till's page: read a code, see what it came to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from litestar.testing import TestClient

from oppet.journal.kinds import Receipt, TenderSent, TenderTaken
from oppet.payments.giftcard import card_code, card_token
from oppet.payments.risk import InvoiceCustomer
from oppet.sale.staff import Member, StaffList
from oppet.till.web import create_app
from tests.payments.test_vouchers import slip
from tests.register.services import FakeService
from tests.register.test_vouchers import Slips
from tests.register.world import BEER, BREAD, World
from tests.till.web.windows import HOST, PlainPins, Window

PRICE = 3_250
Opens = Callable[..., Window]


@pytest.fixture
def opens(tmp_path: Path) -> Iterator[Opens]:
    """A till with Alva signed in, the float registered and a loaf in the basket."""
    with ExitStack() as stack:

        def opened(*services: FakeService, goods: str = BREAD, **more: object) -> Window:
            world = World(tmp_path, payments=list(services), **more)  # type: ignore[arg-type]
            till = world.start()
            staff = StaffList((Member(7, "cashier", "1234"), Member(3, "manager", "4321")), PlainPins())
            client = stack.enter_context(
                TestClient(create_app(till, staff, {HOST}, ticking=False), base_url=f"http://{HOST}")
            )
            window = Window(client, world, till)
            window.sign_in()
            window.load()
            window.do("float", amount="500")
            window.do("scan", text=goods)
            return window

        yield opened


def taken(window: Window) -> list[TenderTaken]:
    return [body for body in window.world.bodies(TenderTaken) if isinstance(body, TenderTaken)]


def test_pt11_a_slip_is_scanned_like_goods_or_typed_in_the_pane(opens: Opens) -> None:
    window = opens(neighbours=Slips())
    shown = window.do("scan", text=slip(1, 12))
    assert "20,50" in shown
    assert 'name="code"' in window.do("go", pane="pay", means="pant_voucher")
    window.do("pay", means="pant_voucher", code=slip(2, 10))
    window.do("pay", means="cash", given="11")
    assert [(one.means, one.amount_ore) for one in taken(window)] == [
        ("pant_voucher", 1_200), ("pant_voucher", 1_000), ("cash", 1_100),
    ]  # fmt: skip
    assert len(window.world.bodies(Receipt)) == 1


def test_pt11_a_slip_that_was_paid_is_refused_in_words(opens: Opens) -> None:
    window = opens(neighbours=Slips(spent={f"PV{slip(1, 12)}": "K4"}))
    assert "redan inlöst, i kassa K4" in window.do("scan", text=slip(1, 12))
    assert "inget pantkvitto" in window.do("pay", means="pant_voucher", code="7310865004703")
    assert taken(window) == []


def test_pt11_a_slip_without_a_code_is_entered_by_hand_as_before(opens: Opens) -> None:
    window = opens()
    window.do("pay", means="pant_voucher", given="5", reference="4711")
    assert [(one.amount_ore, one.reference, one.evidence) for one in taken(window)] == [(500, "4711", None)]


def test_pt11_with_no_basket_a_slip_is_no_goods(opens: Opens) -> None:
    window = opens()
    window.do("pay", means="cash", given="100")
    window.do("scan", text=slip(1, 12))
    assert window.till.desk.state.current == 0
    assert len(taken(window)) == 1


def test_pt10_a_gift_cards_code_is_scanned_and_only_its_token_is_sent(opens: Opens) -> None:
    code = card_code(bytes(10))
    window = opens(FakeService("gift", "gift_card", exclusive=False, plan=["partial"]))
    shown = window.do("go", pane="pay", means="gift_card")
    assert 'name="code"' in shown
    window.do("scan", text=code.lower())
    window.client.app.state.ticker.tick()
    shown = window.do("go", pane="pay")
    assert "16,25" in shown
    [sent] = window.world.bodies(TenderSent)
    assert isinstance(sent, TenderSent)
    assert (sent.account, sent.amount_ore) == (card_token(code), PRICE)
    assert [(one.means, one.amount_ore) for one in taken(window)] == [("gift_card", PRICE // 2)]


def test_pt10_what_is_no_card_is_refused_and_a_till_without_cards_asks_no_code(opens: Opens) -> None:
    window = opens()
    assert 'name="code"' not in window.do("go", pane="pay", means="gift_card")
    assert taken(window) == []


def test_pt11_an_age_limit_is_asked_before_a_slip_is_taken(opens: Opens) -> None:
    window = opens(goods=BEER)
    window.do("pay", means="pant_voucher", code=slip(1, 12))
    assert taken(window) == []
    window.do("age", passed="yes", means="pant_voucher", code=slip(1, 12), given="12")
    assert [one.amount_ore for one in taken(window)] == [1_200]


def test_pt12_an_invoice_above_the_limit_asks_for_a_supervisor(opens: Opens) -> None:
    window = opens()
    window.till.desk.ports.invoices = {"F1042": InvoiceCustomer(1_000, 1_000)}
    assert "fakturakund" in window.do("pay", means="invoice", reference="F7")
    shown = window.do("pay", means="invoice", reference="F1042")
    assert "sälja på faktura" in shown
    assert taken(window) == []
    window.do("pay", means="invoice", reference="F1042", approver="3", approver_pin="4321")
    assert [one.approved_by for one in taken(window)] == [3]
