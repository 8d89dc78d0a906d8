"""The manager's pages over HTTP: who gets in, what each page says, and that no data and no query breaks one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from litestar.testing import TestClient

from oppet.drivers.post import Post
from oppet.goods.freshness import StoreMarkDown
from oppet.journal.entry import NOTHING, Head, body_of, parse
from oppet.journal.kinds import (
    ActAsked,
    ActRefused,
    Body,
    CaseOpened,
    EpochOpened,
    OutageBegan,
    PageRead,
    PersonSignedIn,
    PersonSignedOut,
    Receipt,
    ReceiptLine,
    ReceiptTender,
    SaleOpened,
    SaleParked,
    TillStarted,
    UnitClosed,
    VatAmount,
)
from oppet.store.lanes import GivenBasket
from oppet.store.web import create_app
from oppet.store.web_node import Alarm, Contact, MarkedDown, Upward
from tests.store.backroom import HOST, PASSPHRASE, FakeBackroom, a_backroom, a_post, a_staff_list
from tests.store.shop import BO, a_store_till, sell
from tests.sync.chain import OTHER, History

ORIGIN = {"Origin": f"http://{HOST}"}
PAGES = (
    "/",
    "/till/S01-K1",
    "/till/S01-K2",
    "/baskets",
    "/payments",
    "/z",
    "/new",
    "/gift-cards",
    "/mark-downs",
    "/alarms",
)


class Window:
    """A browser's window."""

    def __init__(self, client: TestClient, node: FakeBackroom, post: Post) -> None:  # type: ignore[type-arg]
        self.client, self.node, self.post_journal = client, node, post

    def sign_in(self, who: str = "301", pin: str = "4321") -> int:
        return int(self.post("/sign-in/pin", who=who, pin=pin).status_code)

    def post(self, path: str, **fields: str):  # type: ignore[no-untyped-def]
        return self.client.post(path, data=fields, headers=ORIGIN, follow_redirects=False)

    def get(self, path: str) -> str:
        answer = self.client.get(path, follow_redirects=False)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:400])
        return answer.text

    def written(self, kind: type[Body]) -> list[Body]:
        bodies = [body_of(entry) for entry in self.post_journal.journal.read()]
        return [body for body in bodies if type(body) is kind]


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Window]:
    node = a_backroom(tmp_path)
    with (
        a_post(tmp_path / "post", node.clock) as post,
        TestClient(create_app(node, post, a_staff_list(), [HOST]), base_url=f"http://{HOST}") as client,
    ):
        yield Window(client, node, post)


@pytest.fixture
def bo(outside: Window) -> Window:
    """Bo, signed in as store manager."""
    assert outside.sign_in() == 303
    return outside


def seen(page: str) -> str:
    """What stands on a page, without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


# --- who gets in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_o3_nobody_sees_a_page_before_signing_in(outside: Window, page: str) -> None:
    answer = outside.client.get(page, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in"
    assert "S01-K1" not in answer.text


@pytest.mark.parametrize(
    ("who", "pin"),
    [("301", "0000"), ("999", "4321"), ("", ""), ("Cleo", "4321"), ("301", ""), ("301", "4321 "), ("-301", "4321"),
     ("301' OR 1=1", "4321"), ("x" * 5_000, "4321"), ("301", "x" * 5_000), ("\ud800", "4321"), ("\uff13\uff10\uff11", "4321")],
)  # fmt: skip
def test_t6_cleo_gets_in_nowhere(outside: Window, who: str, pin: str) -> None:
    who = who.encode(errors="replace").decode()
    answer = outside.post("/sign-in/pin", who=who, pin=pin)
    assert answer.status_code == 200
    assert "session-S01-node" not in answer.headers.get("set-cookie", "")
    assert outside.client.get("/", follow_redirects=False).status_code == 303
    assert outside.written(PersonSignedIn) == []


def test_o3_a_cashier_does_not_get_in_and_it_is_written_down(outside: Window) -> None:
    assert "butikschefen" in outside.post("/sign-in/pin", who="101", pin="1234").text
    assert outside.client.get("/", follow_redirects=False).status_code == 303
    assert outside.written(ActRefused) == [ActRefused(101, "sign-in", "", "role")]


def test_t6_wrong_pins_lock_the_number_for_a_while(outside: Window) -> None:
    for _ in range(5):
        outside.sign_in("301", "0000")
    assert outside.sign_in() == 200  # the right PIN, too soon
    assert outside.written(ActRefused) == [ActRefused(301, "sign-in", "guesses: 1", "pin")]
    outside.node.clock.pass_ms(31_000)
    assert outside.sign_in() == 303


def test_j7_whoever_guesses_does_not_fill_the_journal(outside: Window) -> None:
    for number in range(400, 440):
        for _ in range(5):
            outside.sign_in(str(number), "0000")
    assert len(outside.written(ActRefused)) == 1
    outside.node.clock.pass_ms(10_000)
    for _ in range(5):
        outside.sign_in("500", "0000")
    assert outside.written(ActRefused)[-1] == ActRefused(500, "sign-in", "guesses: 41", "pin")


def test_o3_a_supervisor_reads_and_certifies_nobody(outside: Window) -> None:
    assert outside.sign_in("201", "2345") == 303
    assert "S01-K1" in outside.get("/")
    assert 'href="/new"' not in outside.get("/")
    assert outside.client.get("/new").status_code == 403
    assert outside.post("/new/invite", register="K9", passphrase=PASSPHRASE).status_code == 403
    assert outside.node.doors == []


def test_o2_a_session_ends_when_idle_after_eight_hours_and_when_asked(bo: Window) -> None:
    clock = bo.node.clock
    for _ in range(33):
        clock.pass_ms(14 * 60_000)
        bo.get("/")
    clock.pass_ms(14 * 60_000)
    bo.client.get("/", headers={"X-Live": "1"})
    clock.pass_ms(14 * 60_000)
    assert bo.client.get("/", follow_redirects=False).status_code == 303
    bo.sign_in()
    clock.pass_ms(15 * 60_000)
    assert bo.client.get("/", follow_redirects=False).status_code == 303
    bo.sign_in()
    assert bo.post("/sign-out").status_code == 303
    assert bo.client.get("/", follow_redirects=False).status_code == 303
    assert [body.reason for body in bo.written(PersonSignedOut) if isinstance(body, PersonSignedOut)] == [
        "ended", "idle", "asked",
    ]  # fmt: skip


def test_o2_a_page_that_renews_itself_keeps_nobody_signed_in(bo: Window) -> None:
    for _ in range(14):
        bo.node.clock.pass_ms(60_000)
        assert bo.client.get("/", headers={"X-Live": "1"}, follow_redirects=False).status_code == 200
    bo.node.clock.pass_ms(60_000)
    answer = bo.client.get("/", headers={"X-Live": "1", "HX-Request": "true"}, follow_redirects=False)
    assert answer.headers["hx-redirect"] == "/sign-in"


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Host": "127.0.0.1:9"}, {"Host": ""}])
def test_o7_a_strange_name_is_not_answered(bo: Window, headers: dict[str, str]) -> None:
    for page in (*PAGES, "/sign-in", "/static/store.css"):
        assert bo.client.get(page, headers=headers, follow_redirects=False).status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", f"http://{HOST}.evil.example", None])
def test_o7_another_page_changes_nothing(bo: Window, origin: str | None) -> None:
    headers = {} if origin is None else {"Origin": origin}
    for path in ("/new/invite", "/new/revoke", "/sign-out", "/sign-in/pin", "/language"):
        fields = {"register": "K9", "passphrase": PASSPHRASE, "till": "S01-K1", "epoch": "1", "reason": "x"}
        assert bo.client.post(path, data=fields, headers=headers, follow_redirects=False).status_code == 403
    assert bo.node.doors == []
    assert "S01-K1" in bo.get("/")


def test_o2_the_cookie_is_locked_down(outside: Window) -> None:
    cookie = outside.post("/sign-in/pin", who="301", pin="4321").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


# --- what is written down -----------------------------------------------------------------------------------------


def test_o1_every_page_read_is_in_the_nodes_journal(bo: Window) -> None:
    for page in PAGES:
        bo.get(page)
    read = [body for body in bo.written(PageRead) if isinstance(body, PageRead)]
    assert [body.page for body in read] == list(PAGES)
    assert {body.who for body in read} == {301}


def test_k10_an_invitation_shows_its_code_while_it_lasts_and_is_written_down(bo: Window) -> None:
    assert bo.post("/new/invite", register="K9", passphrase=PASSPHRASE).status_code == 303
    page = bo.get("/new")
    assert "K7QM 4TXP" in page
    assert "S01-K9" in page
    assert bo.written(ActAsked) == [ActAsked(301, 0, "invite till", "S01-K9")]
    made = bo.node.doors[0]
    for change, words in (({"used": True}, "Använd"), ({"tries": 5}, "Förbrukad"), ({"made": 0}, "För gammal")):
        bo.node.doors = [msgspec.structs.replace(made, **change)]
        page = bo.get("/new")
        assert "K7QM" not in page
        assert words in page
    assert not any(PASSPHRASE.encode() in bo.post_journal.journal.raw(e.seq) for e in bo.post_journal.journal.read())


def test_k10_the_page_says_what_to_type_at_the_till_while_the_code_lasts(bo: Window) -> None:
    bo.post("/new/invite", register="K9", passphrase=PASSPHRASE)
    command = "oppet till enrol SETTINGS --store https://192.0.2.10:8443 --invitation I-7 --code K7QM4TXP"
    assert command in bo.get("/new")
    bo.node.doors = [msgspec.structs.replace(bo.node.doors[0], used=True)]
    assert "till enrol" not in bo.get("/new")


def test_r27_a_basket_at_a_dead_till_is_released_by_the_manager_alone_and_it_is_written_down(outside: Window) -> None:
    given = GivenBasket(("S01-K1", 1, 7), "S01-K2", 1, "2026-11-22T06:00:00.000Z")
    outside.node.lent = [given]
    fields = {"till": "S01-K1", "epoch": "1", "sale": "7", "to": "S01-K2", "to_epoch": "1", "since": given.since}
    assert outside.post("/baskets/release", **fields).status_code in (303, 401, 403)
    outside.sign_in("201", "2345")
    assert "/baskets/release" not in outside.get("/baskets")
    assert outside.post("/baskets/release", **fields).status_code == 403
    assert outside.node.lent == [given]
    outside.post("/sign-out")
    outside.sign_in()
    assert "/baskets/release" in outside.get("/baskets")
    assert outside.post("/baskets/release", **{**fields, "to": "S01-K3"}).status_code == 303
    assert outside.node.lent == [given]
    assert outside.post("/baskets/release", **fields).status_code == 303
    assert outside.node.lent == []
    asked = [body for body in outside.written(ActAsked) if isinstance(body, ActAsked)]
    assert [(body.who, body.act, body.about) for body in asked] == [(301, "release basket", "S01-K1/1/7")] * 2
    assert outside.written(ActRefused)[-1] == ActRefused(301, "release basket", "S01-K1/1/7", "NotGivenError")


def test_pt10_a_gift_card_is_issued_by_the_manager_its_code_shown_once_and_written_nowhere(outside: Window) -> None:
    outside.sign_in("201", "2345")
    assert outside.client.get("/gift-cards", follow_redirects=False).status_code == 403
    outside.post("/sign-out")
    outside.sign_in()
    assert 'name="issued" value="0"' in outside.get("/gift-cards")
    shown = outside.post("/gift-cards/issue", amount="250", issued="0")
    assert shown.status_code == 200
    assert "GK-7QM4-TXPA-BCDE-FGHJ-K" in shown.text
    assert outside.node.cards == [25_000]
    assert "GK-7QM4" not in outside.get("/gift-cards")
    again = outside.post("/gift-cards/issue", amount="250", issued="0")  # the page is sent again
    assert (again.status_code, outside.node.cards) == (303, [25_000])
    for amount in ("", "x", "-5", "5", "1e9", "99999999"):
        assert outside.post("/gift-cards/issue", amount=amount, issued="1").status_code in (303, 400)
    assert outside.node.cards == [25_000]
    written = b"".join(entry for entry in outside.post_journal.journal.pieces(1, 1_000, 1 << 24))
    assert b"issue gift card" in written
    assert b"GK-7QM4" not in written


def test_o1_a_wrong_passphrase_is_refused_and_written_down(bo: Window) -> None:
    assert bo.post("/new/invite", register="K9", passphrase="fel").status_code == 303
    assert "lösenfras" in bo.get("/new").lower()
    assert bo.node.doors == []
    assert bo.written(ActRefused) == [ActRefused(301, "invite till", "S01-K9", "WrongPassphraseError")]


def test_k9_a_revocation_is_made_with_the_managers_key_and_its_reason(bo: Window) -> None:
    answer = bo.post("/new/revoke", till="S01-K2", epoch="1", reason="Kopierad disk", passphrase=PASSPHRASE)
    assert answer.status_code == 303
    standing = bo.node.directory.standing("S01-K2", 1)
    assert standing is not None
    assert standing.revoked == "Kopierad disk"
    assert "Kopierad disk" in bo.get("/new")
    assert "Kopierad disk" in bo.get("/")


@pytest.mark.parametrize(
    "fields",
    [{}, {"register": ""}, {"register": "K" * 15}, {"register": "K\n9"}, {"till": "S01-K2"}, {"till": "x", "epoch": "-1", "reason": "r"},
     {"till": "S01-K2", "epoch": "9" * 40, "reason": "r"}, {"till": "S01-K2", "epoch": "1", "reason": ""}],
)  # fmt: skip
def test_o7_forms_beyond_their_bounds_change_nothing(bo: Window, fields: dict[str, str]) -> None:
    for path in ("/new/invite", "/new/revoke"):
        if path == "/new/invite" and fields.get("register", "K" * 15) == "K9":
            continue
        answer = bo.post(path, passphrase=PASSPHRASE, **fields)
        assert answer.status_code == 400, answer.text[:200]
        assert "Traceback" not in answer.text
    assert bo.node.doors == []


# --- what stands on the pages -------------------------------------------------------------------------------------


def test_r20_the_first_page_names_the_lagging_till_and_why(bo: Window) -> None:
    text = seen(bo.get("/"))
    assert "Kassor att se till: 1 av 2" in text
    bo.node.kept = {key: kept for key, kept in bo.node.kept.items() if not key[2]}
    bo.node.rung = []
    text = seen(bo.get("/"))
    assert "S01-K2: Ingen kontakt sedan 12:00" in text
    assert "avstängd" in text
    assert "140 poster väntar på huvudkontoret sedan 13:00" in text
    assert "Huvudkontoret svarar inte" in text


def test_r20_when_all_is_well_the_page_says_so(bo: Window) -> None:
    node = bo.node
    node.kept = {key: kept for key, kept in node.kept.items() if not key[2]}
    node.heard["S01-K2"] = node.heard["S01-K1"]
    node.up = Upward(heard=node.clock.now())
    node.rung = []
    text = seen(bo.get("/"))
    assert "Alla kassor som är på kan sälja" in text
    assert "Huvudkontoret har allt" in text


def test_k5_a_fork_is_an_alarm_with_what_to_do(bo: Window) -> None:
    text = seen(bo.get("/alarms"))
    assert "S01-K2" in text
    assert "gren" in text.lower()
    assert "Larm det senaste dygnet: 1. Någon" in text
    assert "gren från post 21" in seen(bo.get("/till/S01-K2"))


def test_k8_provisional_sales_are_said_to_be(bo: Window) -> None:
    assert "Preliminärt" in seen(bo.get("/"))
    assert "preliminär" in seen(bo.get("/till/S01-K2"))


def test_r02_the_pages_sums_are_the_journals(bo: Window) -> None:
    receipts = []
    for _, entries in bo.node.kept.values():
        receipts += [body for data in entries if isinstance(body := body_of(parse(data)), Receipt)]
    total = sum(receipt.total_ore for receipt in receipts)
    whole, rest = divmod(total, 100)
    assert f"{whole:,}".replace(",", " ") + f",{rest:02d} kr" in seen(bo.get("/")).replace("\N{NO-BREAK SPACE}", " ")


def test_f1_a_z_opens_as_it_was_printed(outside: Window, tmp_path: Path) -> None:
    till, world = a_store_till(tmp_path / "z", "S01-K1")
    sell(till)
    till.drawer.z(BO)
    outside.node.kept["S01-K1", 1, ""] = Head(0, NOTHING), world.exact()
    outside.sign_in()
    found = re.search(r'href="(/z/S01-K1/1/0/\d+)"', outside.get("/z"))
    assert found is not None
    page = outside.get(found[1])
    assert "Z-dagrapport 1" in page
    assert "Grand total" in page
    for wrong in ("/z/S01-K1/1/0/1", "/z/S01-K1/1/0/99999", "/z/S01-K1/2/0/5", "/z/S01-K1/x/0/y", "/z/S01-K9/1/0/5",
                  "/z/S01-K1/1/ffff/5", "/z/S01-K1/1/0/" + "9" * 60):  # fmt: skip
        assert outside.client.get(wrong).status_code == 404


def test_r20_after_a_restart_the_page_says_how_much_is_still_to_be_counted(outside: Window) -> None:
    history = History("S01-K1", 1, OTHER)
    history.write(90_000)
    outside.node.kept["S01-K1", 1, ""] = Head(0, NOTHING), history.entries
    outside.sign_in()
    assert "räknas" in seen(outside.get("/"))
    for _ in range(3):
        outside.get("/")
    assert "räknas" not in seen(outside.get("/"))
    assert outside.node.views  # and the next restart goes on from here


# --- hostile data and bad queries ---------------------------------------------------------------------------------

EVIL = "</table><script>alert(1)</script>\u202e{{7*7}}%s{0}"


def a_hostile_store(node: FakeBackroom) -> None:
    line = ReceiptLine(1, EVIL, EVIL, EVIL, "vara", 1000, "st", 100, 100, (), 100, 600, 6, "")
    receipt = Receipt(
        1,
        "sale",
        1,
        EVIL,
        "",
        "",
        EVIL,
        101,
        (line,),
        100,
        0,
        (VatAmount(600, 100, 6),),
        (ReceiptTender(EVIL, 100, 100, 0),),
        EVIL,
        EVIL,
    )
    history = History("S01-K1", 1, OTHER, now=node.clock.now() - 1_000)
    opening = EpochOpened("S01", EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, "00" * 32, (EVIL,), EVIL)
    for body in (
        opening, TillStarted(EVIL, EVIL, EVIL, unclean=False), SaleOpened(1, "sale", 101), receipt, SaleOpened(2, EVIL, 101),
        SaleParked(2, 101), CaseOpened(1, EVIL, 1, 5), UnitClosed(EVIL, EVIL), OutageBegan(EVIL, 1), CaseOpened(10**300, EVIL, 0, 0),
    ):  # fmt: skip
        history.write(body=body)
    node.kept["S01-K1", 1, ""] = Head(0, NOTHING), history.entries
    node.kept["S01-K2", 1, ""] = Head(0, NOTHING), [b"no entry at all", *history.entries[1:]]
    node.rung = [Alarm("yesterday", EVIL, ((EVIL, EVIL), ("till", EVIL))), Alarm(EVIL, "fork", ())]
    node.up = Upward(5, EVIL, EVIL, 0)
    node.heard = {"S01-K1": Contact(node.clock.now(), 3, EVIL, EVIL), "S01-K2": Contact(1, 0, "", EVIL)}


@pytest.mark.parametrize("language", ["sv", "en"])
def test_w4_hostile_names_are_shown_as_text_on_every_page(outside: Window, language: str) -> None:
    a_hostile_store(outside.node)
    outside.client.cookies.set("language", language)
    outside.sign_in()
    outside.post("/new/invite", register="K9", passphrase=PASSPHRASE)
    for page in (*PAGES, "/sign-in"):
        text = outside.get(page)
        assert "<script>alert" not in text
        assert "\u202e" not in text
        assert "Traceback" not in text
        assert f'<html lang="{language}">' in text
    assert "&lt;script&gt;alert(1)" in outside.get("/till/S01-K1")


@pytest.mark.parametrize(
    "path",
    ["/?x=" + "y" * 3_000, "/?a=%ff%fe", "/till/", "/till/S01-K9", "/till/%2e%2e%2f", "/till/" + "x" * 500, "/till/S01-K1?x=<script>",
     "/z/1", "/z/a/b/c/d", "/baskets/1", "/none", "/new/invite", "/static/../web.py", "/static/%2e%2e/web.py", "/alarms?%00"],
)  # fmt: skip
def test_w2_no_bad_address_shows_a_trace(bo: Window, path: str) -> None:
    answer = bo.client.get(path, follow_redirects=False)
    assert answer.status_code in (200, 307, 404, 405), answer.status_code
    assert "Traceback" not in answer.text
    assert "<script>" not in answer.text


def test_w2_our_own_mistake_is_a_sentence(bo: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(bo.node, "upward", broken)
    answer = bo.client.get("/")
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert "message trouble" in answer.text


@pytest.mark.parametrize("language", ["sv", "en"])
def test_every_page_is_whole_in_both_languages(bo: Window, language: str) -> None:
    """W5: and no sentence is left in the other language's words."""
    bo.client.cookies.set("language", language)
    for page in PAGES:
        text = bo.get(page)
        assert text.rstrip().endswith("</html>")


def test_rl9_a_supervisor_marks_down_within_bounds_and_ends_it(outside: Window) -> None:
    outside.sign_in("201", "2345")
    assert "har inte satt ned något pris" in outside.get("/mark-downs")
    fields = {"goods": "7310865004703", "percent": "30", "price": "", "last": "2026-11-23", "reason": "Kort datum"}
    for wrong in (
        {"percent": "95"}, {"percent": "0"}, {"percent": ""}, {"price": "x"}, {"last": ""}, {"last": "2026-11-01"},
        {"last": "2027-11-01"}, {"goods": "a/b"}, {"goods": ""}, {"reason": ""}, {"reason": "x" * 60},
    ):  # fmt: skip
        assert outside.post("/mark-downs/add", **{**fields, **wrong}).status_code in (303, 400), wrong
    assert not outside.node.cheaper.number
    assert outside.post("/mark-downs/add", **fields).status_code == 303
    outside.post("/mark-downs/add", **{**fields, "goods": "1002", "percent": "", "price": "12,50"})
    assert list(outside.node.cheaper.markdowns) == [
        StoreMarkDown("2026-11-24", "Kort datum", gtin="07310865004703", percent=30),
        StoreMarkDown("2026-11-24", "Kort datum", article="1002", price_ore=1250),
    ]
    shown = outside.get("/mark-downs")
    assert "07310865004703" in shown
    assert "30 procents rabatt" in shown
    outside.post("/mark-downs/end", goods="1002")
    assert [one.gtin for one in outside.node.cheaper.markdowns] == ["07310865004703"]
    asked = [body for body in outside.written(ActAsked) if isinstance(body, ActAsked)]
    assert (asked[-1].who, asked[-1].act, asked[-1].about) == (201, "end mark-down", "1002")


def test_rl9_a_node_whose_key_nobody_listed_says_so_with_the_key(outside: Window) -> None:
    outside.node.cheaper = MarkedDown("cd" * 32, ready=False)
    outside.sign_in()
    shown = outside.get("/mark-downs")
    assert "cd" * 32 in shown
    assert "/mark-downs/add" not in shown
