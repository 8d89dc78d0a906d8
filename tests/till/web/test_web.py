"""The till's page over HTTP: who is answered, what a refusal looks like, and that only what changed is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from litestar.testing import TestClient

from oppet.base.errors import OppetError
from oppet.journal.kinds import (
    CashMoved,
    Elsewhere,
    LineAdded,
    LineVoided,
    OutageBegan,
    Receipt,
    SignedIn,
    SlipsPrinted,
)
from oppet.register.errors import NeighboursAwayError
from oppet.register.ports import Alone, KeeperState, Parked
from oppet.sale.staff import Member, StaffList
from oppet.sync.errors import OldImageError
from oppet.till.web import create_app
from tests.register.world import MILK, World
from tests.till.web.windows import HOST, PlainPins, Window


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Window]:
    world = World(tmp_path)
    till = world.start()
    staff = StaffList((Member(7, "cashier", "1234"), Member(3, "manager", "4321")), PlainPins())
    with TestClient(create_app(till, staff, {HOST}), base_url=f"http://{HOST}") as client:
        yield Window(client, world, till)


@pytest.fixture
def open_till(window: Window) -> Window:
    """Alva signed in, the float registered."""
    window.sign_in()
    window.load()
    window.do("float", amount="500")
    return window


# --- who is answered ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example:8080", "127.0.0.1:9999", "localhost.evil.example", ""])
def test_w1_a_strange_name_is_not_answered(window: Window, host: str) -> None:
    for path in ("/", "/health", "/display", "/static/till.css"):
        assert window.client.get(path, headers={"Host": host}).status_code == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:8080", f"http://{HOST}.evil.example"]
)
def test_w1_another_page_changes_nothing(open_till: Window, origin: str) -> None:
    for headers in ({"Origin": origin}, {"Origin": origin, "Sec-Fetch-Site": "same-origin"}):
        answer = open_till.client.post("/do/scan", data={"text": MILK, "sale": "0"}, headers=headers)
        assert answer.status_code == 403
    assert open_till.client.post("/do/scan", data={"text": MILK, "sale": "0"}).status_code == 403
    assert open_till.world.bodies(LineAdded) == []


def test_w1_a_browser_that_nobody_signed_in_from_does_nothing(open_till: Window) -> None:
    open_till.client.cookies.clear()
    assert open_till.do("scan", text=MILK) == ""
    assert open_till.world.bodies(LineAdded) == []
    assert "PIN" in open_till.load()
    assert open_till.client.get("/receipt/normal/1.pdf").status_code == 403
    answer = open_till.client.post("/reserve/slips", data={"count": "5"}, headers={"Origin": f"http://{HOST}"})
    assert answer.status_code == 403
    assert open_till.world.bodies(SlipsPrinted) == []


def test_w1_the_newest_sign_in_takes_the_session(open_till: Window) -> None:
    old = dict(open_till.client.cookies)
    open_till.sign_in("3", "4321")
    new = dict(open_till.client.cookies)
    (name,) = old  # the cookie is this till's own: another till on this machine signs nobody out here
    assert name == "session-K3"
    assert old[name] != new[name]
    open_till.client.cookies.clear()
    open_till.client.cookies.set(name, old[name])
    assert open_till.do("scan", text=MILK) == ""
    assert [body.staff for body in open_till.world.bodies(SignedIn) if isinstance(body, SignedIn)] == [7, 3]


def test_w1_the_cookie_and_the_page_are_locked_down(window: Window) -> None:
    answer = window.client.post("/sign-in", data={"who": "7", "pin": "1234"}, headers={"Origin": f"http://{HOST}"})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    page = window.client.get("/")
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=|https?://", page.text)


def test_w1_a_wrong_pin_opens_nothing(window: Window) -> None:
    assert "hör inte ihop" in window.sign_in(pin="9999")
    assert dict(window.client.cookies) == {}
    assert window.world.bodies(SignedIn) == []


# --- refusals -----------------------------------------------------------------------------------------------------


def test_w2_a_refusal_is_a_sentence_in_the_pages_language(open_till: Window) -> None:
    assert "Kontrollsiffran" in open_till.do("scan", text="7310865004704")
    open_till.client.cookies.set("language-K3", "en")
    assert "The check digit" in open_till.do("scan", text="7310865004704")


def test_w2_a_half_sentence_from_a_rule_is_swedish_too(open_till: Window) -> None:
    """What the room has already filled in is found again and said in the language."""
    open_till.do("scan", text=MILK)
    assert "ett helt antal från 1 till 999" in open_till.do("change", line="1", quantity="2,5")


def test_w2_our_own_mistake_says_what_to_do_and_the_till_sells_on(
    open_till: Window, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise AssertionError("a mistake of ours")

    with monkeypatch.context() as patch:
        patch.setattr(open_till.till.selling, "scan", broken)
        answer = open_till.do("scan", text=MILK)
    assert "Något gick fel i kassan" in answer
    assert "Traceback" not in answer
    assert "a mistake of ours" in caplog.text
    open_till.do("scan", text=MILK)
    assert len(open_till.world.bodies(LineAdded)) == 1


def test_w2_what_needs_approval_is_asked_for_and_done_again(open_till: Window) -> None:
    asked = open_till.do("cash", amount="100", direction="out", reason="Till skåpet")
    assert 'name="approver_pin"' in asked
    assert 'name="amount" value="100"' in asked
    assert open_till.world.bodies(CashMoved) == []
    wrong = open_till.do("cash", amount="100", direction="out", reason="Till skåpet", approver="3", approver_pin="0")
    assert 'name="approver_pin"' in wrong
    open_till.do("cash", amount="100", direction="out", reason="Till skåpet", approver="3", approver_pin="4321")
    moved = [body for body in open_till.world.bodies(CashMoved) if isinstance(body, CashMoved)]
    assert [(body.amount_ore, body.by) for body in moved] == [(-10_000, 3)]


def test_w2_no_unit_shows_the_reserve_routine(open_till: Window) -> None:
    open_till.do("scan", text=MILK)
    open_till.world.units[0].dead = True
    shown = open_till.do("pay", means="cash", given="20")
    assert "Reservrutinen gäller sedan" in shown
    assert len(open_till.world.bodies(OutageBegan)) == 1
    open_till.world.units[0].dead = False
    shown = open_till.do("end-outage", slips="0", slips_amount="0", approver="3", approver_pin="4321")
    assert "Reservrutinen är slut" in shown
    open_till.do("pay", means="cash", given="20")
    assert len(open_till.world.bodies(Receipt)) == 1


@pytest.mark.parametrize("path", ["/do/nothing", "/receipt/normal/99.pdf", "/receipt/../etc/1.pdf", "/nowhere"])
def test_w2_what_is_not_there_is_said(open_till: Window, path: str) -> None:
    call = open_till.client.post if path.startswith("/do") else open_till.client.get
    answer = call(path, headers={"Origin": f"http://{HOST}"})
    assert answer.status_code in (400, 404)
    assert "Traceback" not in answer.text


def test_w4_a_megabyte_is_not_read(open_till: Window) -> None:
    answer = open_till.client.post(
        "/do/scan", data={"text": "7" * 1_000_000, "sale": "0"}, headers={"Origin": f"http://{HOST}"}
    )
    assert answer.status_code == 413
    assert "alldeles för långt" in answer.text


# --- what is sent -------------------------------------------------------------------------------------------------


def test_w6_an_older_basket_changes_nothing(open_till: Window) -> None:
    open_till.do("scan", text=MILK)
    answer = open_till.do("void", line="1", sale="0")
    assert "äldre korg" in answer
    assert open_till.world.bodies(LineVoided) == []


def test_w7_only_what_changed_is_sent(open_till: Window) -> None:
    answer = ""
    for _ in range(10):
        answer = open_till.do("scan", text=MILK)
    assert answer.count("<li ") == 1
    assert 'id="line-10"' in answer
    assert 'id="pane"' not in answer
    assert 'id="status"' not in answer
    assert len(answer) < 2_500
    gone = open_till.do("void", line="3")
    assert '<li id="line-3" hx-swap-oob="delete">' in gone
    late = open_till.do("scan", text=MILK, seen="1")
    assert late.count("<li ") == 10


def test_w7_an_offer_changes_the_lines_it_touches(open_till: Window) -> None:
    open_till.do("scan", text=MILK)
    answer = open_till.do("member", token="M4711")
    assert '<li hx-swap-oob="true" id="line-1"' in answer
    assert "Medlemspris" in answer


def test_w8_the_customers_window_and_health_name_nobody(open_till: Window) -> None:
    open_till.do("member", token="M4711")
    open_till.do("scan", text=MILK)
    window = open_till.client.get("/display").text
    health = open_till.client.get("/health")
    assert "Mellanmjölk" in window
    for text in (window, health.text):
        assert "M4711" not in text
        assert "Nr 7" not in text
    assert health.json()["ready"] is True


def test_a_receipt_is_a_pdf_and_slips_are_numbered_before_they_are_printed(open_till: Window) -> None:
    open_till.do("scan", text=MILK)
    open_till.do("pay", means="cash", given="20")
    assert open_till.client.get("/receipt/normal/1.pdf").content.startswith(b"%PDF")
    assert b"<svg" in open_till.client.get("/receipt/normal/1.svg").content
    slips = open_till.client.post("/reserve/slips", data={"count": "2"}, headers={"Origin": f"http://{HOST}"})
    assert slips.content.startswith(b"%PDF")
    assert [(b.first, b.last) for b in open_till.world.bodies(SlipsPrinted) if isinstance(b, SlipsPrinted)] == [(1, 2)]


class FakeKeepers(Alone):
    """Two keepers in the store and HQ, as a test sets them."""

    def __init__(self, *states: KeeperState, refused: OppetError | None = None) -> None:
        self.states, self.refused = states, refused

    def keepers(self) -> Sequence[KeeperState]:
        return self.states

    def refusal(self) -> OppetError | None:
        return self.refused

    def parked(self) -> Sequence[Parked]:
        return [Parked(Elsewhere("S01-<K4>", 2, 17), "2026-11-22T08:10:00.000Z", 3, 12_345, 8)]


def a_keeper(name: str, place: str, kept: int, *, silent: bool = False, behind: int = 0) -> KeeperState:
    return KeeperState(name, place, kept, behind, "2026-11-22T08:00:00.000Z", silent)


def sold_with(window: Window, keepers: Alone) -> str:
    window.sign_in()
    window.till.drawer.set_float(50_000)
    window.till.selling.pick(MILK)
    window.till.checkout.pay("cash", 2_000)
    window.till.desk.ports.copies = window.till.desk.ports.neighbours = keepers
    return window.load()


def test_r15_the_strip_says_where_the_last_sale_is(window: Window) -> None:
    alone = sold_with(window, Alone())
    assert "1 kopia: bara denna kassa" in alone
    window.till.desk.ports.copies = FakeKeepers(
        a_keeper("S01-node", "store", 99), a_keeper("S01-K4", "till", 99), a_keeper("hq", "hq", 99)
    )
    text = window.load()
    assert "här + 2 i butiken + HK" in text
    assert "Ensam" not in text


def test_r15_a_till_alone_says_how_long_and_how_many_days_are_left(window: Window) -> None:
    silent = FakeKeepers(
        a_keeper("S01-node", "store", 3, silent=True, behind=9), a_keeper("hq", "hq", 2, silent=True, behind=10)
    )
    sold_with(window, silent)
    window.world.clock.pass_ms(5 * 86_400_000)
    text = window.load()
    assert "Ensam" in text
    assert re.search(r"5 dagar, \d+ poster, 9 dagar kvar", text)
    window.do("go", pane="day")
    page = window.load()
    assert "S01-node" in page
    assert "tyst sedan 2026-11-22 09:00" in page
    assert "9 poster efter" in page
    health = window.client.get("/health").json()["copies"]
    assert (health["days_left"], health["last_sale_in_store"]) == (9, 0)
    assert [keeper["silent"] for keeper in health["keepers"]] == [True, True]


def test_k18_a_disk_that_may_sell_no_more_says_so_and_what_to_do(window: Window) -> None:
    wrong = OldImageError(keeper="S01-node", till="S01-K3", epoch=1, theirs=900, ours=5)
    sold_with(window, FakeKeepers(a_keeper("S01-node", "store", 3), refused=wrong))
    said = window.do("scan", text=MILK)
    assert "chefens kod" in said
    assert "säljer inte mer" in window.load()
    window.do("go", pane="day")
    assert "chefens kod" in window.load()
    assert window.client.get("/health").json()["copies"]["refusal"] == "OldImageError"


def test_r27_w4_baskets_at_other_tills_are_listed_as_text(window: Window) -> None:
    sold_with(window, FakeKeepers(a_keeper("S01-node", "store", 99)))
    text = window.do("go", pane="parked")
    assert "S01-&lt;K4&gt;" in text
    assert "123,45" in text
    assert "Ta över" in text
    said = window.do("take-over", till="S01-K4", epoch="2", number="17")
    assert "svarar inte" in said


def test_r27_a_silent_node_is_said_and_the_tills_own_list_stands(window: Window) -> None:
    class Silent(FakeKeepers):
        def parked(self) -> Sequence[Parked]:
            raise NeighboursAwayError

    sold_with(window, Silent(a_keeper("S01-node", "store", 99)))
    assert "Butiksnoden svarar inte" in window.do("go", pane="parked")
