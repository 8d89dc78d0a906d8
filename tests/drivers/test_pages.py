"""The office's frame: who is let in, what is written down, and what a refusal looks like."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar, Response, get, post
from litestar.testing import TestClient

from oppet.base.errors import UnavailableError
from oppet.drivers.page_form import Fields, Form
from oppet.drivers.page_guard import (
    ANYONE,
    IDLE_MS,
    LONGEST_MS,
    SIGNED_IN,
    Asked,
    Door,
    MemorySessions,
    only,
    session_of,
)
from oppet.drivers.pages import Banner, Desk, NavItem, Office, create_app
from oppet.journal.kinds import ActDone, ActRefused, Body, PageRead, PersonSignedIn, PersonSignedOut
from tests.sync.chain import FakeClock

HOST = "office.test:1"
ORIGIN = {"origin": f"http://{HOST}"}


class FakePost:
    """A journal in a list; `away` is a failed disk."""

    def __init__(self) -> None:
        self.said: list[Body] = []
        self.away = False

    def write(self, *bodies: Body) -> None:
        if self.away:
            raise UnavailableError
        self.said += bodies


@get("/", opt=SIGNED_IN)
async def front(request: Asked, desk: Desk) -> Response[str]:
    return desk.page(request, "trial.html")


@get("/open", opt=ANYONE)
async def open_page(request: Asked, desk: Desk) -> Response[str]:
    return desk.page(request, "trial.html")


@get("/money", opt=only("finance"))
async def money(request: Asked, desk: Desk) -> Response[str]:
    return desk.page(request, "trial.html")


@get("/forgotten")
async def forgotten() -> str:
    return "secret"


@get("/broken", opt=ANYONE)
async def broken() -> str:
    raise ZeroDivisionError("a secret trace")


@post("/act", opt=SIGNED_IN)
async def act(request: Asked, desk: Desk, data: Fields) -> Response[Any]:
    text = Form(data).some_text("word", 20)
    desk.door.done(session_of(request), "said", text)
    return desk.go(request, "/", "done", "Something was refused.")


class World:
    def __init__(self, folder: Path) -> None:
        templates = folder / "templates"
        templates.mkdir()
        (templates / "trial.html").write_text(
            '{% extends "office.html" %}{% block name %}Trial{% endblock %}{% block main %}<h1>Trial</h1>{% endblock %}'
        )
        self.post, self.clock, self.sessions = FakePost(), FakeClock(), MemorySessions()
        self.door = Door("trial", self.sessions, self.post.write, self.clock, [HOST])
        nav = [NavItem("/", "Sales"), NavItem("/money", "Cash", ("finance",))]
        self.office = Office(
            self.door,
            "Store",
            templates,
            folder / "static",
            nav,
            banners=lambda _: [Banner("demo", "Sign in first.")],
        )
        self.app: Litestar = create_app(self.office, [front, open_page, money, forgotten, broken, act], schema="Trial")

    def sign_in(self, *roles: str, who: int = 301) -> dict[str, str]:
        return {self.door.cookie: self.door.signed_in(who, "Bo", roles or ("manager",), "pin")}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def client(world: World) -> Iterator[TestClient[Litestar]]:
    with TestClient(world.app, base_url=f"http://{HOST}") as client:
        client.follow_redirects = False
        yield client


def test_o7_a_strange_host_or_origin_changes_nothing(world: World, client: TestClient[Litestar]) -> None:
    client.cookies.update(world.sign_in())
    assert client.get("/", headers={"host": "evil.test"}).status_code == 403
    for headers in ({}, {"origin": "http://evil.test"}, {"origin": "null"}):
        assert client.post("/act", data={"word": "x"}, headers=headers).status_code == 403
    assert not [said for said in world.post.said if isinstance(said, ActDone)]
    assert client.post("/act", data={"word": "x"}, headers={"sec-fetch-site": "same-origin"}).status_code == 303


def test_o3_who_is_not_signed_in_is_shown_the_door(client: TestClient[Litestar]) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert client.get("/", headers={"accept": "application/json"}).status_code == 401
    assert client.get("/schema/openapi.json").status_code == 401
    assert client.get("/open").status_code == 200


def test_o3_a_route_that_says_nothing_lets_nobody_in(world: World, client: TestClient[Litestar]) -> None:
    client.cookies.update(world.sign_in("manager", "finance"))
    answer = client.get("/forgotten")
    assert answer.status_code == 403
    assert "secret" not in answer.text


def test_o3_a_role_that_is_not_mine_is_refused_and_written_down(world: World, client: TestClient[Litestar]) -> None:
    client.cookies.update(world.sign_in("viewer"))
    assert client.get("/money").status_code == 403
    assert isinstance(world.post.said[-1], ActRefused)
    assert "/money" not in client.get("/").text
    client.cookies.update(world.sign_in("finance"))
    assert client.get("/money").status_code == 200
    assert 'href="/money"' in client.get("/").text


def test_o1_reads_are_written_once_a_minute_and_before_they_are_shown(
    world: World, client: TestClient[Litestar]
) -> None:
    client.cookies.update(world.sign_in())
    assert isinstance(world.post.said[-1], PersonSignedIn)
    for _ in range(3):
        assert client.get("/?day=1").status_code == 200
    assert [said.page for said in world.post.said if isinstance(said, PageRead)] == ["/?day=1"]
    world.clock.at += 60_000
    client.get("/?day=1")
    assert len([said for said in world.post.said if isinstance(said, PageRead)]) == 2
    world.post.away = True
    answer = client.get("/?day=2")
    assert answer.status_code == 503
    assert "<h1>Trial" not in answer.text


def test_o2_a_session_ends_when_idle_and_after_eight_hours(world: World, client: TestClient[Litestar]) -> None:
    client.cookies.update(world.sign_in())
    world.clock.at += IDLE_MS - 1
    assert client.get("/").status_code == 200
    world.clock.at += IDLE_MS - 1
    assert client.get("/", headers={"x-live": "1"}).status_code == 200
    world.clock.at += 1
    assert client.get("/").status_code == 303  # what renews itself kept nobody signed in
    assert world.post.said[-1] == PersonSignedOut(301, world.post.said[-1].session, "idle")  # type: ignore[attr-defined]
    client.cookies.update(world.sign_in())
    for _ in range(LONGEST_MS // (IDLE_MS - 1)):
        world.clock.at += IDLE_MS - 1
        assert client.get("/").status_code == 200
    world.clock.at += IDLE_MS - 1
    assert client.get("/").status_code == 303
    assert world.post.said[-1].reason == "ended"


def test_o2_a_session_is_kept_as_a_digest_and_ends_with_its_person(world: World, client: TestClient[Litestar]) -> None:
    cookies = world.sign_in()
    token = cookies[world.door.cookie]
    assert len(token) >= 43
    assert token not in str(world.sessions.__dict__)
    client.cookies.update(cookies)
    assert client.get("/").status_code == 200
    assert world.sessions.end_of(301) == 1
    assert client.get("/").status_code == 303


def test_w2_a_mistake_of_ours_is_said_in_words(client: TestClient[Litestar]) -> None:
    answer = client.get("/broken")
    assert answer.status_code == 500
    assert "secret trace" not in answer.text
    assert "Traceback" not in answer.text
    assert client.get("/nowhere").status_code == 404


def test_w4_what_a_form_says_is_bounded_and_shown_as_text(world: World, client: TestClient[Litestar]) -> None:
    client.cookies.update(world.sign_in())
    assert client.post("/act", data={"word": "x" * 21}, headers=ORIGIN).status_code == 400
    hostile = client.post("/act", data={"word": "<b>" * 100}, headers=ORIGIN)
    assert "<b><b>" not in hostile.text
    assert client.post("/act", data={"word": "x" * 100_000}, headers=ORIGIN).status_code == 413
    assert client.post("/act", data={}, headers=ORIGIN).status_code == 400
    assert client.post("/act", content=b"\xff\xfe=%zz&&&=", headers=ORIGIN).status_code == 400
    done = client.post("/act", data={"word": "brygga"}, headers=ORIGIN)
    assert done.status_code == 303
    assert 'class="message done"' in client.get("/").text
    assert 'class="message done"' not in client.get("/").text


def test_o7_every_page_carries_the_headers(client: TestClient[Litestar]) -> None:
    for path in ("/open", "/nowhere", "/static/office.css"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff"


def test_the_language_is_a_choice_of_the_browser(client: TestClient[Litestar]) -> None:
    assert '<html lang="sv">' in client.get("/open").text
    answer = client.post("/language", data={"language": "en"}, headers={**ORIGIN, "referer": f"http://{HOST}/open"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"http://{HOST}/open")
    assert client.cookies.get("language-trial") == "en"
    assert '<html lang="en">' in client.get("/open").text
    away = client.post("/language", data={"language": "xx"}, headers={**ORIGIN, "referer": "http://evil.test/"})
    assert away.headers["location"] == "/"
