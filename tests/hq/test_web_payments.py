"""Head office's page of payments over a real database: the board, what nobody knows, both sides, and two people for a difference."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from oppet.base.clock import parse_utc
from oppet.hq import web_payments, web_people
from oppet.hq.web import program
from oppet.hq.web_payments import payments_of, settle_file
from oppet.journal.kinds import ActDone
from oppet.sync.certificates import StoreCertificate, make_paper
from tests.hq.demo_sales import Place, a_place
from tests.hq.paid import PLAN, PRICE, a_paid_day
from tests.hq.sold import Office
from tests.hq.test_payments import a_line, data, their_file
from tests.sync.chain import HQ, MANAGER, NODE

HOST = "testserver.local"
NOW = parse_utc("2026-11-22T22:00:00.000Z")
ORIGIN = {"origin": f"http://{HOST}"}


@pytest.fixture(scope="module")
def place(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    office = Office(dsn)
    office.take(a_paid_day(tmp_path_factory.mktemp("till")))
    office.close()
    with a_place(dsn, (HOST,), NOW) as made:
        paper = StoreCertificate(
            "S01", "Storgatan", "Nära", MANAGER.public.hex(), NODE.public.hex(), "2026-01-02T08:00:00.000Z"
        )
        made.context.directory.introduce([make_paper(paper, HQ)])
        yield made


@pytest.fixture(scope="module")
def app(place: Place) -> Litestar:
    return program(place.context, [web_payments, web_people])  # type: ignore[list-item]


@pytest.fixture
def client(app: Litestar, place: Place) -> Iterator[TestClient[Litestar]]:
    with psycopg.connect(place.dsn) as connection:
        for table in ("settlement_file", "settlement_line", "money_case_closed", "request"):
            connection.execute(f"DELETE FROM {table}")
    place.clock.at += 60_000
    with TestClient(app, cookies=place.cookie(), base_url=f"http://{HOST}") as made:
        made.follow_redirects = False
        yield made


def settled(place: Place, folder: Path, lines: list[str], name: str = "settlement-1.csv") -> None:
    (folder / name).write_bytes(data(lines))
    settle_file(place.context, folder / name)
    place.clock.at += 60_000


def page(client: TestClient[Litestar], path: str, language: str = "en") -> str:
    client.cookies.set("language", language)
    answer = client.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 200, answer.text[:600]
    return answer.text


def asked(client: TestClient[Litestar], path: str, **params: Any) -> Any:
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text[:600]
    return answer.json()


def test_pt8_the_page_says_how_every_way_of_paying_works(client: TestClient[Litestar]) -> None:
    said = asked(client, "/api/payments")
    [banner] = said["board"]["banners"]
    assert (banner["banner"], banner["stores"], banner["troubled"]) == ("Nära", 1, 1)
    assert {m["means"]: (m["working"], m["down"]) for m in banner["means"]} == {"card": (0, 1), "swish": (1, 0)}
    text = page(client, "/payments")
    assert "Ways of paying now" in text
    assert "Storgatan" in text
    assert page(client, "/payments/live", "sv") != page(client, "/payments/live", "en")


def test_pt2_what_nobody_knows_is_listed_with_its_till(client: TestClient[Litestar]) -> None:
    [one] = asked(client, "/api/payments")["open"]
    assert (one["state"], one["amount_ore"], one["till"]) == ("unknown", PRICE, "S01-K3")
    assert "nobody knows" in page(client, "/payments")


def test_pt6_what_is_at_risk_today_stands_against_what_is_allowed(client: TestClient[Litestar]) -> None:
    [store] = asked(client, "/api/payments")["risk"]
    assert (store["ore"], store["limit_ore"]) == (PRICE, 20_000_000)


def test_r13_an_honest_file_closes_everything_and_a_false_one_opens_cases(
    client: TestClient[Litestar], place: Place, tmp_path: Path
) -> None:
    lines = their_file(place.dsn)
    settled(place, tmp_path, lines)
    said = asked(client, "/api/payments")
    assert (said["differences"], said["matched"], said["settled"]) == ([], len(lines), 1)
    [day] = said["days"]
    assert day["ours_ore"] == day["theirs"][0]["ore"]
    settled(place, tmp_path, [a_line(800, "T-nobody", PRICE, time="2026-11-22T10:30:00.000Z")], "settlement-2.csv")
    [extra] = asked(client, "/api/payments")["differences"]
    assert (extra["about"], extra["ore"]) == ("extra", PRICE)
    text = page(client, f"/payments/cases/{extra['day']}/{extra['key']}")
    assert "T-nobody" in text
    assert "settlement-2.csv, line 2" in text
    assert "Ask to close it" in text


def test_o5_r13_a_difference_in_money_is_closed_by_two_people(
    client: TestClient[Litestar], place: Place, tmp_path: Path
) -> None:
    settled(place, tmp_path, [a_line(801, "T-nobody", 12_300)])
    [extra] = asked(client, "/api/payments")["differences"]
    form = {"case": extra["key"], "day": extra["day"], "how": "given_back", "note": "Case 7 of theirs"}
    assert client.post("/payments/close", data=form, headers=ORIGIN).status_code == 303
    assert client.post("/payments/close", data=form, headers=ORIGIN).status_code == 400, "it waits already"
    text = page(client, "/approvals")
    assert "The customer got the money back" in text
    assert client.post("/approvals/approve", data=shown(text), headers=ORIGIN).status_code == 400
    assert len(asked(client, "/api/payments")["differences"]) == 1, "nobody approves what they asked for"
    door = place.context.door
    client.cookies[door.cookie] = door.signed_in(302, "Alva", ("finance",), "passkey")
    assert client.post("/approvals/approve", data=shown(page(client, "/approvals")), headers=ORIGIN).status_code == 303
    place.clock.at += 60_000
    said = asked(client, "/api/payments")
    assert said["differences"] == []
    [closed] = said["closed"]
    assert (closed["how"], closed["asked_by"], closed["approved_by"], closed["amount_ore"]) == (
        "given_back",
        301,
        302,
        12_300,
    )
    assert any(isinstance(body, ActDone) and body.act == "close_money_case" for body in place.post.said)
    assert client.post("/payments/close", data=form, headers=ORIGIN).status_code == 400


def shown(text: str) -> dict[str, str]:
    """What stands on the page of approvals."""
    request = re.search(r'name="request" value="(\d+)"', text)
    whole = re.search(r'name="shown" value="([0-9a-f]{64})"', text)
    assert request is not None
    assert whole is not None
    return {"request": request[1], "shown": whole[1]}


def test_o3_who_may_not_close_a_difference(client: TestClient[Litestar], place: Place) -> None:
    form = {"case": "0" * 20, "day": "2026-11-22", "how": "given_back", "note": ""}
    assert client.post("/payments/close", data=form, headers=ORIGIN).status_code == 400
    assert client.get("/payments/cases/2026-11-22/" + "0" * 20).status_code == 400
    client.cookies.update(place.cookie("viewer"))
    assert client.post("/payments/close", data=form, headers=ORIGIN).status_code == 403
    for bad in ("2026-02-30", "'", "2999-01-01", "<b>"):
        assert client.get("/api/payments", params={"day": bad}).status_code == 400


def test_q8_tenders_leave_as_a_file(client: TestClient[Litestar]) -> None:
    answer = client.get("/api/payments/tenders/csv", params={"first": "2026-11-21", "last": "2026-11-22"})
    assert answer.status_code == 200
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == len(PLAN) + 2
    assert {row["store"] for row in rows} == {"S01"}
    assert sum(int(row["approved_ore"]) for row in rows if row["counted"] == "true") > 0
    assert (
        client.get("/api/payments/tenders/xls", params={"first": "2026-11-21", "last": "2026-11-22"}).status_code == 400
    )
    assert (
        client.get("/api/payments/tenders/csv", params={"first": "2024-11-21", "last": "2026-11-22"}).status_code == 400
    )


def test_pages_are_made_once_for_many(client: TestClient[Litestar], place: Place) -> None:
    payments = payments_of(place.context)
    assert payments.picture("") is payments.picture("")
