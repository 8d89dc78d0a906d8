"""Head office's pages and API of sales over a real database: what they say, how complete it is, what they refuse."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from oppet.base.signing import Signer
from oppet.drivers.hq_read import HqRead
from oppet.drivers.hq_sales import HqSales
from oppet.figures.estimate import Guess
from oppet.figures.proof import prove
from oppet.figures.sales import Hour
from oppet.fiscal.books import sie, vouchers
from oppet.hq import web_sales
from oppet.hq.web import program
from oppet.hq.web_sales import chart, span
from oppet.journal.entry import parse
from oppet.journal.kinds import PageRead
from tests.hq.demo_sales import SELLER, STORES, TODAY, DemoChain, Place, a_place, make_chain

HOST = "testserver.local"
LAST_WEEK = "2026-11-13"
HOSTILE = ("' OR 1=1 --", "../../etc/passwd", "<script>", "9" * 400, "2026-02-30", "S99", "\x00", "-1", "NaN", "å")


@pytest.fixture(scope="module")
def place(dsn: str) -> Iterator[Place]:
    with a_place(dsn, (HOST,)) as made:
        yield made


@pytest.fixture(scope="module")
def chain(place: Place) -> DemoChain:
    return make_chain(place, weeks=6, groups=3)


@pytest.fixture(scope="module")
def app(place: Place, chain: DemoChain) -> Litestar:
    return program(place.context, [web_sales])  # type: ignore[list-item]


@pytest.fixture(scope="module")
def client(app: Litestar, place: Place) -> Iterator[TestClient[Litestar]]:
    with TestClient(app, cookies=place.cookie()) as made:
        yield made


def asked(client: TestClient[Litestar], path: str, status: int = 200, **params: Any) -> Any:
    answer = client.get(path, params=params)
    assert answer.status_code == status, answer.text[:600]
    said: Any = answer.json()
    return said


def page(client: TestClient[Litestar], path: str, language: str = "en") -> str:
    client.cookies.set("language", language)
    answer = client.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 200, answer.text[:600]
    return answer.text


def one(place: Place, question: str, *values: object) -> Any:
    with psycopg.connect(place.dsn) as connection:
        found = connection.execute(question, values).fetchone()
    assert found is not None
    return found[0]


# --- figures and their completeness ----------------------------------------------------------------------------------


def test_q4_the_chain_says_to_when_it_is_complete_and_who_holds_it_back(client: TestClient[Litestar]) -> None:
    said = asked(client, "/api/sales")
    complete = said["completeness"]
    assert (complete["complete"], complete["of"], complete["moment"]) == (9, 12, "2026-11-20T13:32:00.000Z")
    held = {held["store"]: held for held in complete["held"]}
    assert {store: why["why"] for store, why in held.items()} == {"S01": "silent", "S09": "till", "S11": "behind"}
    assert held["S09"]["tills"] == ["S09-K2"]


def test_q2_what_is_known_is_what_the_database_holds(client: TestClient[Litestar], place: Place) -> None:
    said = asked(client, "/api/sales")
    known = one(place, "SELECT sum(gross_ore)::bigint FROM hour_sale WHERE day = %s", TODAY)
    assert said["chain"]["known_ore"] == known
    for parts in ("hours", "stores", "banners"):
        figures = [part.get("figure", part) for part in said[parts]]
        assert sum(part["known_ore"] for part in figures) == known
    whole = asked(client, "/api/sales", day=LAST_WEEK)
    assert whole["completeness"]["held"] == []
    assert whole["chain"]["missing"] == {"likely_ore": 0, "low_ore": 0, "high_ore": 0, "days": 0}
    last_week = sum(hour["last_week_ore"] for hour in said["hours"])
    assert last_week == whole["chain"]["known_ore"]


def test_q2_what_was_sold_before_is_read_as_the_database_holds_it(place: Place, chain: DemoChain) -> None:
    """By store, by part of a store, by day and local hour."""
    assert chain.seller.entries
    reader, last = HqSales(place.pool), date.fromisoformat(LAST_WEEK).toordinal()
    stores = reader.stores_past(["S09", "S10"], last - 20, last)
    assert set(stores) == {"S09", "S10"}
    assert sorted(stores["S09"]) == list(range(last - 20, last + 1))
    tills = ["S09-K1", "S09-K3"]
    parts = reader.parts_past([("S09", till, "some") for till in tills], last, last)
    hour = "extract(hour FROM hour AT TIME ZONE 'Europe/Stockholm') = 17"
    sums = "SELECT sum(gross_ore)::bigint FROM hour_sale JOIN stream USING (store_id, stream_id) WHERE store_id = 'S09' AND day = %s"
    assert stores["S09"][last][17] == one(place, f"{sums} AND {hour}", LAST_WEEK)
    assert parts["some"][last][17] == one(place, f"{sums} AND {hour} AND till = ANY(%s)", LAST_WEEK, tills)
    assert sum(parts["some"][last]) < sum(stores["S09"][last]) == one(place, sums, LAST_WEEK)


def test_q1_what_is_missing_is_an_interval_that_the_hidden_sales_lie_in(client: TestClient[Litestar]) -> None:
    """The silent store's tills would have sold about what they sold the week before, within a fifth."""
    said = asked(client, "/api/sales/stores/S01")
    missing = said["figure"]["missing"]
    assert 0 < missing["low_ore"] < missing["likely_ore"] < missing["high_ore"]
    gap = said["figure"]["last_week_ore"] - said["figure"]["known_ore"]
    assert missing["low_ore"] * 0.6 <= gap <= missing["high_ore"] * 1.6
    whole = asked(client, "/api/sales")
    assert whole["chain"]["missing"]["high_ore"] >= missing["low_ore"]


def test_q7_provisional_sales_are_counted_once_and_shown_apart(client: TestClient[Litestar], place: Place) -> None:
    said = asked(client, "/api/sales/stores/S12")
    own = one(
        place, "SELECT sum(gross_ore)::bigint FROM hour_sale JOIN stream USING (store_id, stream_id) WHERE day = %s AND provisional",
        TODAY,
    )  # fmt: skip
    assert 0 < said["figure"]["provisional_ore"] == own < said["figure"]["known_ore"]


def test_q4_article_groups_add_up_to_the_day_and_have_their_own_gaps(
    client: TestClient[Litestar], place: Place
) -> None:
    said = asked(client, "/api/sales/groups")
    known = one(place, "SELECT sum(gross_ore)::bigint FROM hour_sale WHERE day = %s", TODAY)
    assert sum(group["figure"]["known_ore"] for group in said["groups"]) == known
    assert sum(rate["gross_ore"] for rate in said["rates"]) == known
    largest = said["groups"][0]["figure"]["missing"]
    assert largest["low_ore"] > 0
    one_store = asked(client, "/api/sales/groups", store="S02")
    assert (one_store["completeness"]["of"], one_store["completeness"]["complete"]) == (1, 1)
    assert {means["means"] for means in one_store["means"]} == {"card", "cash", "swish"}


# --- pages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("Silent since 13:05: nobody in the store answers.", "Complete to 14:32 for 9 of 12 stores.", "3 stores are not complete")),
        ("sv", ("Tyst sedan 13:05: ingen i butiken svarar.", "Komplett till 14:32 för 9 av 12 butiker.", "3 butiker är inte kompletta")),
    ],
)  # fmt: skip
def test_q4_the_first_page_says_who_lags_and_why_before_any_table(
    client: TestClient[Litestar], language: str, words: tuple[str, ...]
) -> None:
    text = page(client, "/sales", language)
    for sentence in words:
        assert sentence in text
        assert text.index(sentence) < text.index("<table")
    assert "Traceback" not in text


@pytest.mark.parametrize(("language", "words"), [("en", "seconds ago"), ("sv", "sekunder sedan")])
def test_q9_a_picture_that_is_old_says_from_when_it_is(
    client: TestClient[Litestar], monkeypatch: pytest.MonkeyPatch, language: str, words: str
) -> None:
    assert words not in page(client, "/sales/live", language)
    monkeypatch.setattr(web_sales, "OLD_S", 0)
    text = page(client, "/sales/live", language)
    assert words in text
    assert text.index(words) < text.index("<table")


def test_q4_a_page_is_written_down_before_it_is_shown(client: TestClient[Litestar], place: Place) -> None:
    """O1: also what a program reads."""
    page(client, "/sales/stores/S07?till=S07-K1")
    read = [body.page for body in place.post.said if isinstance(body, PageRead)]
    assert "/sales/stores/S07?till=S07-K1" in read


@pytest.mark.parametrize(
    "path", ["/sales", "/sales/live", "/sales/stores/S04", "/groups", "/waiting", "/files", f"/sales?day={LAST_WEEK}"]
)
@pytest.mark.parametrize("language", ["sv", "en"])
def test_q4_every_page_is_made_in_both_languages(client: TestClient[Litestar], path: str, language: str) -> None:
    text = page(client, path, language)
    assert path == "/waiting" or "{" not in text.replace("content='{\"", "").replace("hx-headers='{\"", "")
    if language == "sv" and "live" not in path:
        assert '<html lang="sv">' in text


@contextmanager
def known_as(client: TestClient[Litestar], place: Place, *roles: str) -> Iterator[None]:
    """Somebody else sits at the same browser for a while."""
    before = client.cookies.get(place.context.door.cookie)
    client.cookies.delete(place.context.door.cookie)
    if roles:
        client.cookies.update(place.cookie(*roles))
    yield
    client.cookies.clear()
    client.cookies.set(place.context.door.cookie, before or "")


def test_q4_a_stranger_sees_no_figure(client: TestClient[Litestar], place: Place) -> None:
    with known_as(client, place):
        for path in (
            "/api/sales",
            "/api/sales/groups",
            "/api/waiting",
            f"/api/files/receipts/csv?first={TODAY}&last={TODAY}",
        ):
            assert client.get(path).status_code == 401


def test_q6_a_viewer_gets_no_books(client: TestClient[Litestar], place: Place) -> None:
    with known_as(client, place, "viewer"):
        assert client.get("/api/books", params={"first": TODAY, "last": TODAY}).status_code == 403


# --- down to the bytes -----------------------------------------------------------------------------------------------


def a_receipt(chain: DemoChain) -> int:
    return next(seq for seq, raw in enumerate(chain.seller.entries, 1) if b'"kind":"receipt"' in raw)


def test_q5_a_figure_leads_to_receipts_and_a_receipt_to_its_exact_bytes(
    client: TestClient[Litestar], chain: DemoChain
) -> None:
    rows = asked(client, "/api/sales/stores/S04/receipts", till=SELLER)["receipts"]
    assert len(rows) >= 10
    seq = a_receipt(chain)
    assert seq in {row["seq"] for row in rows}
    proof = asked(client, f"/api/entries/S04/{SELLER}/1/{seq}")
    assert proof["text"].encode() == chain.seller.entries[seq - 1]
    assert all(check["good"] for check in proof["checks"])
    assert "Verified now" in page(client, f"/sales/entries/S04/{SELLER}/1/{seq}")


def test_q5_a_changed_byte_a_strange_key_and_a_missing_paper_are_each_seen(place: Place, chain: DemoChain) -> None:
    kept = HqRead(place.pool).entry("S04", SELLER, 1, "", a_receipt(chain))
    papers, root = place.context.directory.papers_of(SELLER, 1), place.context.directory.root
    assert prove(kept, papers, root).good
    spoilt = type(kept)(
        **{name: getattr(kept, name) for name in kept.__struct_fields__}
        | {"data": kept.data.replace(b"sale", b"sole", 1)}
    )
    assert [check.good for check in prove(kept, (), root).checks] == [True, True, False, False, False]
    assert not prove(kept, papers, Signer(b"\x09" * 32).public).good
    assert prove(spoilt, papers, root).text != prove(kept, papers, root).text
    unsigned = type(kept)(**{name: getattr(kept, name) for name in kept.__struct_fields__} | {"signature": bytes(64)})
    assert not prove(unsigned, papers, root).good


def test_q5_what_is_in_quarantine_is_listed_as_text_and_never_as_markup(client: TestClient[Litestar]) -> None:
    """W4, R21: a receipt whose total is markup, and one whose VAT does not add up."""
    waiting = asked(client, "/api/waiting")
    assert {row["reason"] for row in waiting["quarantined"]} == {"unreadable", "vat"}
    text = page(client, "/waiting")
    assert "Its VAT does not add up." in text
    seq = next(row["seq"] for row in waiting["quarantined"] if row["reason"] == "unreadable")
    entry = page(client, f"/sales/entries/S04/{SELLER}/1/{seq}")
    assert "<b>99</b>" not in entry
    assert "&lt;b&gt;99&lt;/b&gt;" in entry


# --- files -----------------------------------------------------------------------------------------------------------


def test_q6_a_file_says_how_complete_each_row_is(client: TestClient[Litestar], place: Place) -> None:
    answer = client.get("/api/files/hours/csv", params={"first": LAST_WEEK, "last": TODAY})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    silent = [row for row in rows if row["store"] == "S01" and row["day"] == TODAY]
    assert {(row["complete_to"], row["day_complete"]) for row in silent} == {("2026-11-20T12:05:40.000Z", "false")}
    assert {row["day_complete"] for row in rows if row["day"] == LAST_WEEK} == {"true"}
    known = one(place, "SELECT sum(gross_ore)::bigint FROM hour_sale WHERE day BETWEEN %s AND %s", LAST_WEEK, TODAY)
    assert sum(int(row["gross_ore"]) for row in rows) == known


def test_q6_parquet_holds_the_same_and_says_it_in_its_metadata(client: TestClient[Litestar], place: Place) -> None:
    for what, table, column in (
        ("hours", "hour_sale", "gross_ore"),
        ("receipts", "receipt", "total_ore"),
        ("lines", "line", "net_ore"),
        ("tenders", "tender", "amount_ore"),
    ):
        answer = client.get(f"/api/files/{what}/parquet", params={"first": LAST_WEEK, "last": TODAY})
        assert answer.status_code == 200
        file = pq.read_table(io.BytesIO(answer.content))
        wanted = one(
            place,
            f"SELECT coalesce(sum({column}), 0)::bigint FROM {table} WHERE day BETWEEN %s AND %s",
            LAST_WEEK,
            TODAY,
        )
        assert sum(file.column(column).to_pylist()) == wanted
        complete = json.loads(file.schema.metadata[b"complete_to"])
        assert complete["S01"] == "2026-11-20T12:05:40.000Z"


def test_q6_b1_the_books_of_head_office_are_the_journals_own(client: TestClient[Litestar], chain: DemoChain) -> None:
    """The same vouchers as `oppet books` makes from the till's journal; what is open or cannot be booked is said in the file."""
    answer = client.get("/api/books", params={"first": TODAY, "last": TODAY, "store": "S10"})
    assert answer.status_code == 200, answer.text
    made = vouchers(parse(raw) for raw in chain.clean.entries)
    body = json.loads(chain.clean.entries[0])["body"]
    text = sie(made, body["company"], body["org_no"], TODAY, "x")
    _, prose, rest = answer.content.partition(b"#PROSA")
    assert prose
    assert rest.partition(b"\r\n")[2] == text.partition(b"#SIETYP 4\r\n")[2]
    whole = client.get("/api/books", params={"first": TODAY, "last": TODAY})
    assert whole.headers["x-not-booked"] == "1"
    assert b"S04-K9 1" in whole.content


def test_q6_a_till_that_cannot_be_read_is_refused_alone(client: TestClient[Litestar]) -> None:
    answer = client.get("/api/books", params={"first": TODAY, "last": TODAY, "store": "S04"})
    assert answer.status_code == 400
    assert answer.json()["error"] == "NoFiguresToBookError"
    assert "S04-K9 1" in answer.json()["sentence"]


# --- nonsense --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", HOSTILE)
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/sales", "day"), ("/api/sales/groups", "store"), ("/api/sales/groups", "day"), ("/api/sales/stores/S01/receipts", "hour"),
        ("/api/sales/stores/S01/receipts", "page"), ("/api/sales/stores/S01/receipts", "day"), ("/api/sales/completeness", "day"),
    ],
)  # fmt: skip
def test_q8_nonsense_is_refused_in_words(client: TestClient[Litestar], path: str, name: str, word: str) -> None:
    answer = client.get(path, params={name: word})
    assert answer.status_code == 400, answer.text[:300]
    assert answer.json()["sentence"]


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/api/files/receipts/csv", {"first": "2024-01-01", "last": TODAY}),
        ("/api/files/receipts/csv", {"first": TODAY, "last": LAST_WEEK}),
        ("/api/files/people/csv", {"first": TODAY, "last": TODAY}), ("/api/files/receipts/xlsx", {"first": TODAY, "last": TODAY}),
        ("/api/files/receipts/csv", {"first": TODAY}), ("/api/files/receipts/csv", {"first": TODAY, "last": TODAY, "store": "S99"}),
        ("/api/books", {"first": LAST_WEEK, "last": LAST_WEEK, "store": "S02"}), ("/api/entries/S04/S04-K9/1/999999", {}),
        ("/api/entries/S04/S04-K9/0/1", {}), ("/api/entries/S04/S04-K9/1/1", {"branch": "zz"}), ("/api/sales/stores/S99", {}),
    ],
)  # fmt: skip
def test_q8_a_question_beyond_the_bounds_is_refused_before_anything_is_read(
    client: TestClient[Litestar], path: str, params: dict[str, str]
) -> None:
    answer = client.get(path, params=params)
    assert answer.status_code == 400, answer.text[:300]
    assert "Traceback" not in answer.text


def test_q8_everything_stands_in_the_openapi(client: TestClient[Litestar]) -> None:
    paths = set(asked(client, "/schema/openapi.json")["paths"])
    assert {
        "/api/sales", "/api/sales/groups", "/api/sales/completeness", "/api/sales/stores/{store}", "/api/sales/stores/{store}/receipts",
        "/api/entries/{store}/{till}/{epoch}/{seq}", "/api/waiting", "/api/files/{what}/{ending}", "/api/books",
    } <= paths  # fmt: skip


# --- words and drawings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (4_120_000, 5_160_000, "41–52 tkr"),
        (123_456, 345_678, "1\u202f230–3\u202f460 kr"), (0, 90_000, "0–900 kr"), (1_230_000_000, 1_570_000_000, "12,3–15,7 Mkr"),
    ],
)  # fmt: skip
def test_q1_an_interval_is_said_as_people_say_it_rounded_outwards(low: int, high: int, words: str) -> None:
    assert span(Guess((low + high) // 2, low, high, 30), "sv") == words


def test_q4_the_chart_draws_what_is_not_known_apart_from_what_is() -> None:
    drawn = chart(
        [Hour(12, 50_000, 60_000, Guess(0, 0, 0, 0)), Hour(13, 30_000, 60_000, Guess(20_000, 10_000, 30_000, 40))]
    )
    sure, gap = drawn.bars
    assert sure.sure
    assert sure.high_height == 0
    assert gap.low_height > 0
    assert gap.high_height == pytest.approx(2 * gap.low_height, abs=0.2)
    assert chart([]).bars == ()
    assert len(STORES) == 12
