"""Payments that somebody outside decides, at the till's page: what a cashier sees, presses and is never led to guess."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from litestar.testing import TestClient

from oppet.journal.kinds import Receipt, TenderSent, TenderTaken
from oppet.register.errors import DiskNearlyFullError
from oppet.sale.staff import Member, StaffList
from oppet.till.web import create_app
from oppet.till.web_counter import Counter
from oppet.till.web_tenders import Ticker
from tests.register.services import FakeService
from tests.register.world import ALVA, BEER, MILK, World
from tests.till.web.windows import HOST, PlainPins, Window

PRICE = 1_690


class PayWindow(Window):
    """A window on a till that asks services; the test says when it hears."""

    services: dict[str, FakeService]

    def tick(self, seconds: int = 0) -> str:
        """Time passes, the till listens, and the page looks."""
        self.world.clock.pass_ms(seconds * 1_000)
        self.client.app.state.ticker.tick()
        text = self.client.get(f"/status?seen={self.seen}").text
        self._stamp(text)
        return text

    def receipts(self) -> list[Receipt]:
        return [body for body in self.world.bodies(Receipt) if isinstance(body, Receipt)]

    def display(self) -> str:
        return self.client.get("/display").text


def card() -> FakeService:
    return FakeService(hold=True, stage="present_card")


def swish() -> FakeService:
    return FakeService("swish", "swish", idempotent=True, exclusive=False, hold=True, stage="scan_qr", qr="Dabc123")


def by_hand() -> FakeService:
    return FakeService(
        "swish-alone", "swish", by_hand=True, exclusive=False, hold=True, stage="scan_qr", qr="C1231181189;16,90;K3;0"
    )


@dataclass
class RingingService(FakeService):
    """One that says when there is something to hear."""

    bell: Callable[[], None] = lambda: None


Opens = Callable[..., PayWindow]


@pytest.fixture
def opens(tmp_path: Path) -> Iterator[Opens]:
    """A till with these services, Alva signed in, the float registered, a litre of milk in the basket."""
    with ExitStack() as stack:

        def opened(*services: FakeService, goods: str = MILK) -> PayWindow:
            world = World(tmp_path, payments=list(services))
            till = world.start()
            staff = StaffList((Member(7, "cashier", "1234"), Member(3, "manager", "4321")), PlainPins())
            app = create_app(till, staff, {HOST}, ticking=False)
            client = stack.enter_context(TestClient(app, base_url=f"http://{HOST}"))
            window = PayWindow(client, world, till)
            window.services = {service.name: service for service in services}
            window.sign_in()
            window.load()
            window.do("float", amount="500")
            if goods:
                window.do("scan", text=goods)
            return window

        yield opened


def test_pt1_card_asks_at_once_for_what_is_left_and_the_sale_finishes_by_itself(opens: Opens) -> None:
    terminal = card()
    window = opens(terminal)
    shown = window.do("charge", means="card")
    assert "Blippa, sätt i eller dra kortet" in shown
    assert "16,90" in shown
    assert "Blippa" in window.display()
    assert [work.amount_ore for work in terminal.works] == [PRICE]
    terminal.settle_held(terminal.works[0])
    assert "Kvitto 1" in window.tick()
    assert [tender.means for receipt in window.receipts() for tender in receipt.tenders] == ["card"]
    assert "Tack" in window.display()


def test_pt1_part_of_it_on_the_card_and_the_rest_in_cash(opens: Opens) -> None:
    terminal = card()
    window = opens(terminal)
    window.do("go", pane="pay", means="cash")
    window.do("charge", path="card-1", given="10")
    terminal.settle_held(terminal.works[0])
    shown = window.tick()
    assert "10,00" in shown
    assert "6,90" in shown
    assert window.receipts() == []
    window.do("pay", means="cash", given="20")
    assert [(tender.means, tender.amount_ore) for tender in window.receipts()[0].tenders] == [
        ("card", 1_000),
        ("cash", 700),
    ]


def test_pt1_a_declined_card_says_why_and_offers_the_rest(opens: Opens) -> None:
    terminal = card()
    window = opens(terminal, swish())
    window.do("charge", means="card")
    terminal.settle_held(terminal.works[0], "decline")
    shown = window.tick()
    assert "Kort: inte betalt" in shown
    assert "Inget drogs" in shown
    assert 'data-key="F7"' in shown
    assert 'data-key="F8"' in shown
    assert 'name="means" value="cash"' in shown, "Enter confirms no card by hand"
    assert "Bekräfta betalningen" not in shown


@pytest.mark.parametrize(("why", "words"), [("Refusal", "banken sa nej"), ("WrongPIN", "fel PIN"), ("Xyz9", "Xyz9")])
def test_pt1_a_reason_is_told_in_shop_words(opens: Opens, why: str, words: str) -> None:
    terminal = card()
    window = opens(terminal)
    window.do("charge", means="card")
    work = terminal.works[0]
    terminal.say(work, "declined")
    terminal.answers[-1] = type(terminal.answers[-1])(
        work.sale, work.tender, work.what, work.request, "declined", 0, why
    )
    assert words in window.tick()


def test_pt2_r12_unknown_says_that_nobody_knows_and_what_one_can_do(opens: Opens) -> None:
    terminal, phone = card(), swish()
    window = opens(terminal, phone)
    window.do("charge", means="card")
    terminal.hold, terminal.away = False, True
    terminal.say(terminal.works[0], "silent")
    shown = window.tick()
    assert "Ingen vet ännu om kortet har debiterats. Kassan frågar. Debitera inte igen." in shown
    assert "Parkera korgen" in shown
    assert "/do/charge" not in shown
    paying = window.do("go", pane="pay", means="cash")
    assert "oklar" in paying
    window.do("pay", means="cash", given="20")
    assert len(window.receipts()) == 1
    listed = window.do("go", pane="tenders")
    assert "ingen vet ännu" in listed
    assert "lämnas de tillbaka av sig själva" in listed
    terminal.away = False
    terminal.book[terminal.works[0].request] = ("approved", PRICE)
    terminal.charged[terminal.works[0].request] = PRICE
    for _ in range(4):
        window.tick(700)
    assert terminal.net() == 0
    assert "Oklara betalningar (" not in window.load()


def test_pt2_a_stop_that_loses_the_race_is_told_and_the_cashier_chooses(opens: Opens) -> None:
    terminal = card()
    window = opens(terminal)
    window.do("charge", means="card")
    shown = window.do("stop", tender="1")
    assert "Det kan redan ha gått igenom" in shown
    terminal.book.clear()
    terminal.settle_held(terminal.works[0])
    shown = window.tick()
    assert "innan stoppet hann fram" in shown
    assert window.receipts() == []
    shown = window.do("take-back", tender="1")
    assert window.till.desk.basket().state == "open"
    assert "Pengarna är återlämnade" in shown
    assert terminal.net() == 0


def test_pt2_a_stop_that_lost_may_finish_the_sale(opens: Opens) -> None:
    terminal = card()
    window = opens(terminal)
    window.do("charge", means="card")
    window.do("stop", tender="1")
    terminal.book.clear()
    terminal.settle_held(terminal.works[0])
    window.tick()
    window.do("finish")
    assert len(window.receipts()) == 1


def test_pt8_the_strip_says_how_each_path_works_and_the_best_is_chosen(opens: Opens) -> None:
    first, second = card(), FakeService("card-2", hold=True)
    first.away = True
    window = opens(first, second, swish())
    assert "svarar inte" in window.load()
    window.do("charge", means="card")
    assert (len(first.works), len(second.works)) == (0, 1)


def test_r25_the_other_terminal_is_chosen_while_one_is_unclear(opens: Opens) -> None:
    first, second = card(), FakeService("card-2", hold=True)
    window = opens(first, second)
    window.do("charge", means="card")
    first.say(first.works[0], "silent")
    window.tick()
    assert re.search(r"card-2.*F7|F7.*card-2", window.do("go", pane="pay", means="cash"))
    window.do("charge", means="card")
    assert [work.what for work in second.works] == ["payment"]
    assert len([work for work in first.works if work.what == "payment"]) == 1


def test_pt8_no_path_at_all_says_so_and_asks_nothing(opens: Opens) -> None:
    terminal = card()
    terminal.away = True
    window = opens(terminal)
    assert "Inget sätt att betala med kort fungerar nu" in window.do("charge", means="card").replace("Kort", "kort")
    assert window.world.bodies(TenderSent) == []
    assert "Kort för hand" in window.load()


def test_pt6_an_offline_card_is_offered_where_the_line_is_down_and_taken_only_when_chosen(opens: Opens) -> None:
    terminal = card()
    terminal.away = terminal.alone = True
    window = opens(terminal)
    shown = window.do("charge", means="card")
    assert window.world.bodies(TenderSent) == []
    assert "utan förbindelse" in shown
    assert "till 1500 kr" in shown
    terminal.away, terminal.hold, terminal.plan = False, False, ["offline"]
    window.do("charge", path="card-1", means="card", alone="yes")
    window.tick()
    assert terminal.works[0].offline
    [taken] = window.world.bodies(TenderTaken)
    assert isinstance(taken, TenderTaken)
    assert taken.at_risk


def test_pt6_a_swish_that_nothing_confirms_is_the_cashiers_word_and_is_marked(opens: Opens) -> None:
    alone = by_hand()
    window = opens(alone)
    shown = window.do("charge", means="swish")
    assert "Har du sett den gröna bekräftelsen" in shown
    assert "483,10" in shown
    assert window.client.get("/display/pay.svg").status_code == 200
    assert "inte bekräftad" in window.display()
    window.do("vouch", tender="1", seen_paid="yes")
    window.tick()
    [receipt] = window.receipts()
    assert receipt.tenders[0].at_risk
    assert "inte bekräftad" in window.load().casefold()


def test_pt6_a_swish_that_nobody_saw_is_not_paid(opens: Opens) -> None:
    window = opens(by_hand())
    window.do("charge", means="swish")
    shown = window.do("vouch", tender="1", seen_paid="no")
    assert "inte betalt" in shown
    assert window.receipts() == []
    assert window.client.get("/display/pay.svg").status_code == 404


def test_pt6_a_cashiers_word_still_counts_after_a_restart(opens: Opens) -> None:
    window = opens(by_hand())
    window.do("charge", means="swish")
    window.world.start()
    again = window.world.start()
    again.sign_in(ALVA)
    again.tenders.vouch(1, paid=True)
    again.tenders.tick()
    assert len(window.receipts()) == 1


def test_w8_the_display_shows_the_code_and_nobodys_number(opens: Opens) -> None:
    phone = swish()
    window = opens(phone)
    window.do("charge", means="swish")
    assert "/display/pay.svg" in window.display()
    assert window.client.get("/display/pay.svg").headers["content-type"].startswith("image/svg")
    phone.settle_held(phone.works[0])
    window.tick()
    assert window.client.get("/display/pay.svg").status_code == 404


def test_pt1_an_age_limit_is_asked_about_before_the_card(opens: Opens) -> None:
    terminal = card()
    window = opens(terminal, goods=BEER)
    assert "legitimation" in window.do("charge", means="card")
    assert terminal.works == []
    window.do("age", passed="yes", means="card", given="17,90", then="charge")
    assert len(terminal.works) == 1


def test_pt9_a_return_offers_the_originals_means_first_and_asks_its_path(opens: Opens) -> None:
    terminal, phone = card(), swish()
    terminal.hold = phone.hold = False
    window = opens(terminal, phone, by_hand())
    window.do("charge", means="swish")
    window.tick()
    window.do("return", original="1", approver="3", approver_pin="4321")
    window.do("take", line="1", quantity="1")
    shown = window.do("go", pane="pay", means="cash")
    assert shown.index("&#34;swish&#34;" if "&#34;swish&#34;" in shown else '"swish"') < shown.index("card-1")
    assert "swish-alone" not in shown
    assert "RETURKVITTO" in window.do("charge", means="swish")
    assert [work.what for work in phone.works] == ["payment", "refund"]
    assert len(window.receipts()) == 2


def test_w7_a_tick_that_changes_nothing_rings_nobody(opens: Opens) -> None:
    terminal = card()
    window = opens(terminal)
    rung: list[int] = []
    window.client.app.state.ticker._ring = lambda: rung.append(1)
    window.do("charge", means="card")
    window.tick()
    window.tick()
    assert rung == []
    terminal.stage = "pin"
    assert "PIN" in window.tick()
    terminal.settle_held(terminal.works[0])
    window.tick()
    assert len(rung) == 2


def test_w2_a_disk_that_fails_while_nobody_does_anything_is_told_and_then_forgotten(
    opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = opens(card())

    def full() -> bool:
        raise DiskNearlyFullError(free=1, least=200)

    with monkeypatch.context() as patch:
        patch.setattr(window.till.tenders, "tick", full)
        assert "Bara 1 MB" in window.tick()
        rung: list[int] = []
        patch.setattr(window.client.app.state.ticker, "_ring", lambda: rung.append(1))
        window.tick()
        assert rung == [], "said once"
    assert "Bara 1 MB" not in window.tick()
    assert "Bara 1 MB" not in window.load()


def test_w2_our_own_mistake_while_nobody_does_anything_ends_no_ticking(
    opens: Opens, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    terminal = card()
    window = opens(terminal)
    window.do("charge", means="card")
    terminal.settle_held(terminal.works[0])

    def broken() -> bool:
        raise AssertionError("a mistake of ours")

    with monkeypatch.context() as patch:
        patch.setattr(window.till.tenders, "tick", broken)
        assert "Något gick fel i kassan" in window.tick()
    assert "a mistake of ours" in caplog.text
    window.tick()
    assert len(window.receipts()) == 1


def test_pt2_a_supervisor_sets_aside_what_nobody_can_clear_up(opens: Opens) -> None:
    terminal = card()
    window = opens(terminal)
    window.do("charge", means="card")
    terminal.settle_held(terminal.works[0], "silent_charged")
    terminal.away = True
    window.tick()
    window.do("go", pane="pay", means="cash")
    window.do("pay", means="cash", given="50")
    assert len(window.receipts()) == 1
    assert "Lägg åt sidan" in window.do("go", pane="tenders")
    [one] = window.till.tenders.waiting()
    window.do("set-aside", number=str(one.sale), tender=str(one.tender))
    assert not window.till.desk.state.cases, "a supervisor is asked for first"
    shown = window.do("set-aside", number=str(one.sale), tender=str(one.tender), approver="3", approver_pin="4321")
    assert [case.about for case in window.till.desk.state.cases.values()] == ["tender_unknown"]
    assert "Huvudkontoret reder ut den" in shown


def test_a_till_that_asks_nobody_confirms_by_hand_as_before(opens: Opens) -> None:
    window = opens()
    assert "för hand" in window.load()
    shown = window.do("go", pane="pay", means="card")
    assert "/do/charge" not in shown
    window.do("pay", means="card", given="16,90", reference="123")
    assert len(window.receipts()) == 1


def test_pt8_an_answer_is_heard_when_it_comes_and_not_a_second_later(tmp_path: Path) -> None:
    service = RingingService()
    world = World(tmp_path, payments=[service])
    ticks = threading.Semaphore(0)

    class Seldom(Ticker):
        def tick(self) -> int:
            ticks.release()
            return 3_600_000

    ticker = Seldom(Counter(world.start(), StaffList((), PlainPins()), lambda: None), lambda: None)
    ticker.begin()
    try:
        assert ticks.acquire(timeout=10)
        service.bell()
        assert ticks.acquire(timeout=10)
    finally:
        ticker.end()
