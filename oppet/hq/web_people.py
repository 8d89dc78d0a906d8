"""Head office's pages about people: signing in with a passkey, making one, who may do what, and what waits for a second person.

Adding a person, giving a code and changing roles each take two; shutting somebody out takes one and works at once. Handlers read
what came, ask `people.py` or four eyes, and say what came of it.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping

from litestar import Response, get, post
from litestar.params import FromPath

from oppet.base.words import N_
from oppet.drivers.office_pg import Change
from oppet.drivers.page_form import Fields, Form
from oppet.drivers.page_guard import ANYONE, SIGNED_IN, Asked, SignInFirstError, only, session_of
from oppet.drivers.pages import Desk, NavItem, NothingFoundError
from oppet.drivers.passkeys import PasskeyRefusedError
from oppet.hq.web import LEADS, Act, Context, Done, Hq, ask_for, settle_request
from oppet.people.approvals import STATE_WORDS, Request, state_now
from oppet.people.roles import LARGEST_NUMBER, ROLES, check_handle, check_roles

__all__ = ["ACTS", "NAV", "ROUTES"]

LONGEST_ANSWER = 16_384
FACT_WORDS = {
    "number": N_("Number"), "handle": N_("Handle"), "roles": N_("Roles"), "till": N_("Till"), "epoch": N_("Epoch"),
    "key": N_("Its key begins"), "reason": N_("Reason"), "case": N_("Case"), "day": N_("Day"), "amount": N_("Amount, kr"),
    "tender": N_("Tender"), "theirs": N_("Their reference"), "how": N_("How it is closed"), "note": N_("Note"),
}  # fmt: skip


# --- the door -----------------------------------------------------------------------------------------------------


@get("/sign-in", opt=ANYONE, include_in_schema=False, sync_to_thread=True)
def sign_in_page(request: Asked, desk: Desk, hq: Hq) -> Response[str]:
    return desk.page(request, "sign_in.html", options=hq.people.question(), demo=hq.demo)


@post("/sign-in/passkey", opt=ANYONE, include_in_schema=False, sync_to_thread=True, status_code=303)
def sign_in(request: Asked, desk: Desk, hq: Hq, data: Fields) -> Response[str]:
    token = hq.people.sign_in(Form(data).text("credential", LONGEST_ANSWER))
    answer = desk.go(request, desk.home)
    desk.remember(answer, token)
    return answer


@post("/sign-in/demo", opt=ANYONE, include_in_schema=False, sync_to_thread=True, status_code=303)
def sign_in_demo(request: Asked, desk: Desk, hq: Hq) -> Response[str]:
    if not hq.demo:
        raise NothingFoundError
    answer = desk.go(request, desk.home)
    desk.remember(answer, hq.people.sign_in_demo())
    return answer


@post("/sign-out", opt=ANYONE, include_in_schema=False, sync_to_thread=True, status_code=303)
def sign_out(request: Asked, desk: Desk, hq: Hq) -> Response[str]:
    answer = desk.go(request, desk.sign_in)
    try:
        hq.door.signed_out(session_of(request))
    except SignInFirstError:
        return answer  # was over already
    desk.forget(answer)
    return answer


@get("/register", opt=ANYONE, include_in_schema=False, sync_to_thread=True)
def register_page(request: Asked, desk: Desk) -> Response[str]:
    return desk.page(request, "register.html", made=None)


@post("/register/code", opt=ANYONE, include_in_schema=False, sync_to_thread=True, status_code=200)
def register(request: Asked, desk: Desk, hq: Hq, data: Fields) -> Response[str]:
    form = Form(data)
    begun = hq.people.begin(form.whole("number", 1, LARGEST_NUMBER), form.text("code", 40))
    return desk.page(request, "register.html", made=begun)


@post("/register/finish", opt=ANYONE, include_in_schema=False, sync_to_thread=True, status_code=303)
def register_finish(request: Asked, desk: Desk, hq: Hq, data: Fields) -> Response[str]:
    form = Form(data)
    number, code = form.whole("number", 1, LARGEST_NUMBER), form.text("code", 40)
    token = hq.people.register(number, code, form.some_text("name", 40), form.text("credential", LONGEST_ANSWER))
    answer = desk.go(request, "/me", "done", N_("The passkey is yours. Next time you sign in with it alone."))
    desk.remember(answer, token)
    return answer


# --- oneself ------------------------------------------------------------------------------------------------------


@get("/me", opt=SIGNED_IN, include_in_schema=False, sync_to_thread=True)
def me(request: Asked, desk: Desk, hq: Hq) -> Response[str]:
    with hq.tables.change() as t:
        keys = t.passkeys(session_of(request).who)
    return desk.page(request, "me.html", keys=keys)


@post("/me/handle", opt=SIGNED_IN, include_in_schema=False, sync_to_thread=True, status_code=303)
def handle(request: Asked, desk: Desk, hq: Hq, data: Fields) -> Response[str]:
    hq.people.set_handle(session_of(request), Form(data).text("handle", 64))
    return desk.go(request, "/me", "done", N_("You are called that from now on."))


@post("/me/remove-key", opt=SIGNED_IN, include_in_schema=False, sync_to_thread=True, status_code=303)
def remove_key(request: Asked, desk: Desk, hq: Hq, data: Fields) -> Response[str]:
    try:
        credential = bytes.fromhex(Form(data).text("credential", 2048))
    except (ValueError, binascii.Error):
        raise PasskeyRefusedError(why="it is not yours") from None
    hq.people.remove_key(session_of(request), credential)
    return desk.go(request, "/me", "done", N_("That passkey no longer opens anything."))


# --- the others ---------------------------------------------------------------------------------------------------


@get("/people", opt=only(*LEADS), include_in_schema=False, sync_to_thread=True)
def people(request: Asked, desk: Desk, hq: Hq) -> Response[str]:
    with hq.tables.change() as t:
        persons = t.persons()
    return desk.page(request, "people.html", persons=persons, roles=ROLES, now=hq.clock.now())


@post("/people/add", opt=only(*LEADS), include_in_schema=False, sync_to_thread=True, status_code=303)
def add(request: Asked, desk: Desk, hq: Hq, data: Fields) -> Response[str]:
    form = Form(data)
    number, name = form.whole("number", 1, LARGEST_NUMBER), check_handle(form.text("handle", 64))
    facts = {"number": number, "handle": name, "roles": ",".join(_roles(data))}
    asked = ask_for(hq, session_of(request), "add_person", str(number), facts)
    return _waits(request, desk, "/people", asked)


@post("/people/code", opt=only(*LEADS), include_in_schema=False, sync_to_thread=True, status_code=303)
def code(request: Asked, desk: Desk, hq: Hq, data: Fields) -> Response[str]:
    number = Form(data).whole("number", 1, LARGEST_NUMBER)
    asked = ask_for(hq, session_of(request), "give_code", str(number), {"number": number})
    return _waits(request, desk, "/people", asked)


@post("/people/roles", opt=only(*LEADS), include_in_schema=False, sync_to_thread=True, status_code=303)
def roles(request: Asked, desk: Desk, hq: Hq, data: Fields) -> Response[str]:
    number = Form(data).whole("number", 1, LARGEST_NUMBER)
    facts = {"number": number, "roles": ",".join(_roles(data))}
    asked = ask_for(hq, session_of(request), "change_roles", str(number), facts)
    return _waits(request, desk, "/people", asked)


@post("/people/end", opt=only(*LEADS), include_in_schema=False, sync_to_thread=True, status_code=303)
def end(request: Asked, desk: Desk, hq: Hq, data: Fields) -> Response[str]:
    number = Form(data).whole("number", 1, LARGEST_NUMBER)
    hq.people.end(number, session_of(request).who)
    return desk.go(request, "/people", "done", N_("Person {number} is shut out, at once and for good."), number=number)


def _roles(data: Mapping[str, str]) -> tuple[str, ...]:
    return check_roles(role for role in ROLES if data.get(f"role_{role}"))


def _waits(request: Asked, desk: Desk, path: str, number: int) -> Response[str]:
    sentence = N_("Request {number} waits for somebody else to approve it.")
    return desk.go(request, path, "done", sentence, number=number)


# --- what waits for a second person -------------------------------------------------------------------------------


@get("/approvals", opt=SIGNED_IN, include_in_schema=False, sync_to_thread=True)
def approvals(request: Asked, desk: Desk, hq: Hq) -> Response[str]:
    now, mine = hq.clock.now(), session_of(request)
    with hq.tables.change() as t:
        found = [(asked, state_now(asked, now), hq.acts.get(asked.act)) for asked in t.requests()]
    rows = [
        (asked, state, act, bool(act and set(act.approves) & set(mine.roles)) and asked.asked_by != mine.who)
        for asked, state, act in found
    ]
    return desk.page(request, "approvals.html", rows=rows, state_words=STATE_WORDS, fact_words=FACT_WORDS, now=now)


@post("/approvals/{deed:str}", opt=SIGNED_IN, include_in_schema=False, sync_to_thread=True, status_code=303)
def settle(request: Asked, desk: Desk, hq: Hq, deed: FromPath[str], data: Fields) -> Response[str]:
    if deed not in ("approve", "refuse", "withdraw"):
        raise NothingFoundError
    form = Form(data)
    number, shown = form.whole("request", 1), form.text("shown", 64)
    done = settle_request(hq, session_of(request), number, deed, shown, form.text("reason", 120))
    return desk.go(request, "/approvals", "done", done.sentence, **done.facts)


# --- what is done when it is approved ------------------------------------------------------------------------------


def _add_person(hq: Context, t: Change, request: Request) -> Done:
    number = int(request.fact("number"))
    given = hq.people.put(t, number, request.fact("handle"), request.fact("roles").split(","), request.asked_by)
    return Done(CODE_SAID, {"number": number, "code": given})


def _give_code(hq: Context, t: Change, request: Request) -> Done:
    number = int(request.fact("number"))
    return Done(CODE_SAID, {"number": number, "code": hq.people.put_code(t, number)})


def _change_roles(hq: Context, t: Change, request: Request) -> Done:
    number = int(request.fact("number"))
    hq.people.set_roles(t, number, request.fact("roles").split(","))
    return Done(N_("The roles of person {number} are changed, and their sessions have ended."), {"number": number})


CODE_SAID = N_(
    "The code for person {number} is {code}. It is shown once, works once, and for an hour: read it out now."
)
ACTS = {
    "add_person": Act(N_("Add a person"), LEADS, LEADS, _add_person),
    "give_code": Act(N_("Give a person a new code"), LEADS, LEADS, _give_code),
    "change_roles": Act(N_("Change a person’s roles"), LEADS, LEADS, _change_roles),
}
NAV = [
    NavItem("/approvals", N_("Approvals")),
    NavItem("/people", N_("People"), LEADS),
    NavItem("/me", N_("My keys")),
]
ROUTES = [
    sign_in_page, sign_in, sign_in_demo, sign_out, register_page, register, register_finish, me, handle, remove_key, people,
    add, code, roles, end, approvals, settle,
]  # fmt: skip
