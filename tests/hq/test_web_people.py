"""Who gets into head office: by a passkey and a role, never otherwise; what takes two is never done by one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from oppet.drivers.page_guard import IDLE_MS, LONGEST_MS
from oppet.hq import web_fleet, web_people
from oppet.hq.main import Opened
from oppet.journal.kinds import ActAsked, ActDone, ActRefused, AlarmRaised, PageRead, PersonSignedIn, PersonSignedOut
from oppet.people.roles import CODE_TRIES, INCIDENT_LEAD, OPERATIONS, ROLES, VIEWER
from tests.hq.office import ORIGIN, a_client, an_authenticator, an_office, options_in, said, signed_in

ALVA, BO, THIRD = 101, 301, 302


@pytest.fixture(scope="module")
def hq(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    with an_office(dsn, tmp_path_factory.mktemp("office")) as opened:
        yield opened


@pytest.fixture
def client(hq: Opened) -> Iterator[TestClient[Litestar]]:
    with a_client(hq) as client:
        yield client


def registered(hq: Opened, client: TestClient[Litestar], number: int, *roles: str):  # type: ignore[no-untyped-def]
    """A person with a passkey, made with their code; and the passkey."""
    code = hq.context.people.add(number, f"Person {number}", roles or (VIEWER,), 0)
    key = an_authenticator()
    page = client.post("/register/code", data={"number": str(number), "code": code.lower()}, headers=ORIGIN)
    assert page.status_code == 200, page.text
    data = {"number": str(number), "code": code, "name": "my phone", "credential": key.make(options_in(page.text))}
    answer = client.post("/register/finish", data=data, headers=ORIGIN)
    assert answer.status_code == 303, answer.text
    return key, code, data


def sign_in(client: TestClient[Litestar], key) -> int:  # type: ignore[no-untyped-def]
    client.cookies.clear()
    options = options_in(client.get("/sign-in").text)
    return client.post("/sign-in/passkey", data={"credential": key.show(options)}, headers=ORIGIN).status_code


def test_o4_a_person_registers_with_a_code_and_signs_in_with_the_passkey(
    hq: Opened, client: TestClient[Litestar]
) -> None:
    key, code, data = registered(hq, client, 401)
    assert client.get("/me").status_code == 200
    assert sign_in(client, key) == 303
    assert client.get("/me").status_code == 200
    assert said(hq, PersonSignedIn)[-1].who == 401
    client.cookies.clear()
    again = client.post("/register/finish", data=data, headers=ORIGIN)  # the code is spent
    assert again.status_code == 400
    assert client.post("/register/code", data={"number": "401", "code": code}, headers=ORIGIN).status_code == 400


def test_o4_an_answer_opens_once_and_only_to_its_own_question(hq: Opened, client: TestClient[Litestar]) -> None:
    key, _, _ = registered(hq, client, 402)
    client.cookies.clear()
    options = options_in(client.get("/sign-in").text)
    answer = {"credential": key.show(options)}
    assert client.post("/sign-in/passkey", data=answer, headers=ORIGIN).status_code == 303
    client.cookies.clear()
    assert client.post("/sign-in/passkey", data=answer, headers=ORIGIN).status_code in (400, 403)
    asked = json.loads(options)
    forged = json.dumps({**asked, "challenge": asked["challenge"][:-4] + "AAAA"})
    fresh, _, _ = registered(hq, client, 403)
    client.cookies.clear()
    assert client.post("/sign-in/passkey", data={"credential": fresh.show(forged)}, headers=ORIGIN).status_code == 400
    assert client.get("/me").status_code == 303


@pytest.mark.parametrize("wrong", ["origin", "site", "unverified", "stranger"])
def test_o4_cleo_gets_in_with_no_key_of_another_place(hq: Opened, client: TestClient[Litestar], wrong: str) -> None:
    number = 410 + ["origin", "site", "unverified", "stranger"].index(wrong)
    key, _, _ = registered(hq, client, number)
    if wrong == "origin":
        key.origin = "http://evil.test"
    elif wrong == "site":
        key.rp_id = "evil.test"
    elif wrong == "unverified":
        key.verifies = False
    else:
        key = an_authenticator()
    assert sign_in(client, key) == 400
    assert client.get("/me").status_code == 303


def test_o4_a_copied_key_stops_opening_and_raises_an_alarm(hq: Opened, client: TestClient[Litestar]) -> None:
    key, _, _ = registered(hq, client, 420)
    assert sign_in(client, key) == 303
    assert sign_in(client, key) == 303
    key.counter = 0  # the copy was made before
    assert sign_in(client, key) == 403
    assert said(hq, AlarmRaised)[-1].about == "passkey_cloned"
    key.counter = 10  # the real one does not open either: nobody knows which is which
    assert sign_in(client, key) == 400


def test_k10_a_code_is_spent_by_wrong_tries_and_a_number_tells_nothing(
    hq: Opened, client: TestClient[Litestar]
) -> None:
    code = hq.context.people.add(430, "Person 430", (VIEWER,), 0)
    answers = [
        client.post("/register/code", data={"number": number, "code": "WRONG234"}, headers=ORIGIN)
        for number in ("430", "99999")
    ]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[0].text == answers[1].text
    for _ in range(CODE_TRIES - 1):
        client.post("/register/code", data={"number": "430", "code": "WRONG234"}, headers=ORIGIN)
    assert client.post("/register/code", data={"number": "430", "code": code}, headers=ORIGIN).status_code == 400
    assert said(hq, ActRefused)[-1].act == "register"


def test_o4_a_person_has_several_keys_and_removes_all_but_the_last(hq: Opened, client: TestClient[Litestar]) -> None:
    key, _, _ = registered(hq, client, 440)
    code, second = hq.context.people.fresh_code(440, 0), an_authenticator()
    page = client.post("/register/code", data={"number": "440", "code": code}, headers=ORIGIN)
    data = {"number": "440", "code": code, "name": "key", "credential": second.make(options_in(page.text))}
    assert client.post("/register/finish", data=data, headers=ORIGIN).status_code == 303
    assert sign_in(client, second) == 303
    remove = {"credential": key.identity.hex()}
    assert client.post("/me/remove-key", data=remove, headers=ORIGIN).status_code == 303
    assert client.post("/me/remove-key", data={"credential": second.identity.hex()}, headers=ORIGIN).status_code == 400
    assert client.post("/me/remove-key", data={"credential": "zz"}, headers=ORIGIN).status_code == 400
    assert sign_in(client, key) == 400
    assert sign_in(client, second) == 303


# --- routes and roles ---------------------------------------------------------------------------------------------

EVERYBODY = set(ROLES)
LEADS = {INCIDENT_LEAD}
OPERATORS = {INCIDENT_LEAD, OPERATIONS}
OPEN = {"/sign-in", "/sign-in/passkey", "/sign-in/demo", "/sign-out", "/register", "/register/code", "/register/finish"}
MACHINES = {"/health", "/metrics"}
# Who may enter what: written by hand, so that a route that changes its mind fails here.
MAY = {
    "/": EVERYBODY,
    "/me": EVERYBODY,
    "/me/handle": EVERYBODY,
    "/me/remove-key": EVERYBODY,
    "/people": LEADS,
    "/people/add": LEADS,
    "/people/code": LEADS,
    "/people/roles": LEADS,
    "/people/end": LEADS,
    "/approvals": EVERYBODY,
    "/approvals/{deed}": EVERYBODY,
    "/fleet": EVERYBODY,
    "/software": EVERYBODY,
    "/api/software": EVERYBODY,
    "/fleet/countersign": OPERATORS,
    "/fleet/revoke": OPERATORS,
    "/alarms": EVERYBODY,
    "/alarms/seen": OPERATORS,
    "/api/fleet": EVERYBODY,
    "/api/alarms": EVERYBODY,
    "/schema/openapi.json": EVERYBODY,
    "/schema/openapi.yaml": EVERYBODY,
}
GETS = {
    path
    for path in MAY
    if path in {"/", "/me", "/people", "/approvals", "/fleet", "/software", "/alarms"} or path[1:4] in ("api", "sch")
}


def test_o3_every_route_says_who_may_enter(hq: Opened) -> None:
    """O3: a route without the option is shut; here none is, so that none was forgotten."""
    silent = [
        route.path
        for route in hq.page_app.routes
        for handler in getattr(route, "route_handlers", [])
        if handler.http_methods != {"OPTIONS"} and not isinstance(handler.opt.get("enter"), tuple)
    ]
    assert silent == []


def test_o3_the_table_of_roles_is_whole() -> None:
    ours = {path for pages in (web_people, web_fleet) for route in pages.ROUTES for path in route.paths}
    known = {path.replace("{deed}", "{deed:str}") for path in {*MAY, *OPEN, *MACHINES}}
    assert sorted(ours - known) == []


def test_o3_without_a_session_cleo_gets_in_nowhere(hq: Opened, client: TestClient[Litestar]) -> None:
    before = hq.post.journal.head.seq
    for path in MAY:
        name = path.replace("{deed}", "approve")
        answer = client.get(name) if path in GETS else client.post(name, data={"number": "1"}, headers=ORIGIN)
        assert answer.status_code in (303, 401), path
        assert answer.headers.get("location", "/sign-in") == "/sign-in"
        client.cookies[hq.context.door.cookie] = "x" * 43
    assert client.post("/sign-in/demo", headers=ORIGIN).status_code == 404
    assert hq.post.journal.head.seq == before


@pytest.mark.parametrize("role", ROLES)
def test_o3_each_route_lets_in_exactly_its_roles(hq: Opened, client: TestClient[Litestar], role: str) -> None:
    signed_in(hq, client, 500 + ROLES.index(role), role)
    for path, roles in MAY.items():
        name = path.replace("{deed}", "approve")
        answer = client.get(name) if path in GETS else client.post(name, data={}, headers=ORIGIN)
        assert (answer.status_code == 403) == (role not in roles), (path, answer.status_code)
        assert answer.status_code < 500, path


def test_o1_every_page_read_is_written_down_once_a_minute(hq: Opened, client: TestClient[Litestar]) -> None:
    signed_in(hq, client, 510, *ROLES)
    for path in sorted(GETS - {"/"}):
        assert client.get(path).status_code == 200, path
        assert said(hq, PageRead)[-1].page == path
        assert said(hq, PageRead)[-1].who == 510


def test_o2_sessions_end_by_signing_out_by_time_and_by_a_change_of_roles(
    hq: Opened, client: TestClient[Litestar]
) -> None:
    signed_in(hq, client, 520, VIEWER)
    token = client.cookies[hq.context.door.cookie]
    now, sessions = hq.context.clock.now(), hq.context.door.sessions
    found = sessions.find(token, now + IDLE_MS - 30_000, touch=True)
    assert found is not None
    assert not found.over
    idle = sessions.find(token, now + 2 * IDLE_MS + 1000, touch=True)
    assert idle is not None
    assert idle.over == "idle"
    assert sessions.find(token, now, touch=True) is None
    signed_in(hq, client, 520, VIEWER)
    ended = sessions.find(client.cookies[hq.context.door.cookie], now + LONGEST_MS + 60_000, touch=False)
    assert ended is not None
    assert ended.over == "ended"
    signed_in(hq, client, 520, VIEWER)
    assert client.post("/sign-out", headers=ORIGIN).status_code == 303
    assert said(hq, PersonSignedOut)[-1].reason == "asked"
    assert client.get("/me").status_code == 303
    signed_in(hq, client, 520, VIEWER)
    with hq.context.tables.change() as t:
        hq.context.people.set_roles(t, 520, (OPERATIONS,))
    assert client.get("/me").status_code == 303


# --- four eyes ----------------------------------------------------------------------------------------------------


def ask_to_add(client: TestClient[Litestar], number: int) -> None:
    data = {"number": str(number), "handle": "Ny", "role_viewer": "1"}
    assert client.post("/people/add", data=data, headers=ORIGIN).status_code == 303


def waiting(hq: Opened):  # type: ignore[no-untyped-def]
    with hq.context.tables.change() as t:
        return next(request for request in t.requests() if request.state == "asked")


def settle(client: TestClient[Litestar], deed: str, request: int, shown: str) -> int:
    data = {"request": str(request), "shown": shown}
    return client.post(f"/approvals/{deed}", data=data, headers=ORIGIN).status_code


def test_o5_adding_a_person_takes_two(hq: Opened, client: TestClient[Litestar]) -> None:
    signed_in(hq, client, BO, INCIDENT_LEAD)
    ask_to_add(client, 601)
    request = waiting(hq)
    assert said(hq, ActAsked)[-1].request == request.id
    assert settle(client, "approve", request.id, request.digest) == 400  # Bo asked
    assert said(hq, ActRefused)[-1].reason == "OwnRequestError"
    signed_in(hq, client, THIRD, VIEWER)
    assert settle(client, "approve", request.id, request.digest) == 403
    signed_in(hq, client, THIRD, INCIDENT_LEAD)
    assert settle(client, "approve", request.id, "0" * 64) == 400
    with hq.context.tables.change() as t:
        assert t.person(601) is None
    assert settle(client, "approve", request.id, request.digest) == 303
    done = said(hq, ActDone)[-1]
    assert (done.who, done.approved_by, done.act) == (BO, THIRD, "add_person")
    with hq.context.tables.change() as t:
        assert t.person(601) is not None
    assert settle(client, "approve", request.id, request.digest) == 400  # settled once
    assert settle(client, "refuse", request.id, request.digest) == 400


def test_o6_a_request_waits_once_and_is_withdrawn_or_refused(hq: Opened, client: TestClient[Litestar]) -> None:
    signed_in(hq, client, BO, INCIDENT_LEAD)
    ask_to_add(client, 602)
    request = waiting(hq)
    again = client.post("/people/add", data={"number": "602", "handle": "Ny", "role_viewer": "1"}, headers=ORIGIN)
    assert again.status_code == 400
    assert settle(client, "withdraw", request.id, request.digest) == 303
    ask_to_add(client, 602)
    request = waiting(hq)
    signed_in(hq, client, THIRD, INCIDENT_LEAD)
    assert settle(client, "withdraw", request.id, request.digest) == 400
    assert settle(client, "refuse", request.id, request.digest) == 303
    assert settle(client, "approve", request.id, request.digest) == 400
    assert settle(client, "approve", 999_999, request.digest) == 400
    with hq.context.tables.change() as t:
        assert t.person(602) is None


def test_o1_shutting_somebody_out_works_at_once_and_is_written_down(hq: Opened, client: TestClient[Litestar]) -> None:
    signed_in(hq, client, 610, VIEWER)
    theirs = client.cookies[hq.context.door.cookie]
    signed_in(hq, client, BO, INCIDENT_LEAD)
    assert client.post("/people/end", data={"number": "610"}, headers=ORIGIN).status_code == 303
    assert said(hq, ActDone)[-1].act == "end_person"
    client.cookies[hq.context.door.cookie] = theirs
    assert client.get("/me").status_code == 303
    signed_in(hq, client, BO, INCIDENT_LEAD)
    assert client.post("/people/end", data={"number": "610"}, headers=ORIGIN).status_code == 400


HOSTILE = [
    "",
    " ",
    "-1",
    "1e9",
    "٣",
    "9" * 40,
    "<script>",
    "'; DROP TABLE person; --",
    "\x00",
    "a\r\nb",
    "å" * 300,
    "%00",
    "../../x",
]


def test_o7_hostile_forms_are_refused_in_words(hq: Opened, client: TestClient[Litestar]) -> None:
    signed_in(hq, client, BO, *ROLES)
    posts = [
        path.replace("{deed}", "approve") for path in {*MAY, *OPEN} - GETS - {"/sign-out", "/sign-in", "/register"}
    ]
    fields = (
        "number",
        "code",
        "handle",
        "name",
        "credential",
        "request",
        "shown",
        "till",
        "epoch",
        "reason",
        "seq",
        "process",
    )
    for path, text in product(sorted(posts), HOSTILE):
        answer = client.post(path, data=dict.fromkeys(fields, text), headers=ORIGIN)
        assert answer.status_code in (303, 400, 403, 404), (path, text)
        assert "Traceback" not in answer.text
        assert "<script>" not in answer.text.replace("<script src=", "")


def test_o10_the_demo_account_says_so_on_every_page(
    dsn: str, hq: Opened, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("demo")
    (folder / "hq").mkdir()
    (folder / "hq" / "hq.key").write_bytes((hq._certificate.parent / "hq.key").read_bytes())
    (folder / "hq" / "hq.key").chmod(0o600)
    with an_office(dsn, folder, demo=True, number="9") as demo, a_client(demo) as client:
        assert "banner-demo" in client.get("/sign-in").text
        assert client.post("/sign-in/demo", headers=ORIGIN).status_code == 303
        for path in ("/fleet", "/people", "/approvals"):
            assert "banner-demo" in client.get(path).text
        assert said(demo, PersonSignedIn)[-1].how == "demo"
