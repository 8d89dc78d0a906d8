"""Head office's pages as one program: what every page is given, how pages join it, and four eyes.

A module of pages names its `ROUTES`, its `NAV` and, where something takes two people, its `ACTS`; `create_app` makes one program
of them, with one OpenAPI. Every route says who may enter it. What is asked for and approved is written down before it is done.
Keeps O1, O3, O5 and O6.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from litestar import Litestar, get
from litestar.di import NamedDependency
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from oppet.base.clock import Clock
from oppet.base.errors import RefusedError, UnavailableError
from oppet.base.words import N_
from oppet.drivers.metrics import Counters
from oppet.drivers.office_pg import Change, OfficeTables
from oppet.drivers.page_guard import SIGNED_IN, Door, NotForYouError, Session
from oppet.drivers.pages import Banner, NavItem, Office, create_app
from oppet.hq.directory import HqDirectory
from oppet.hq.people import People
from oppet.journal.kinds import ActAsked, ActDone, ActRefused, Fact
from oppet.people.approvals import APPROVED, AskedAlreadyError, NoRequestError, Request, SettledError, ask, settle
from oppet.people.roles import INCIDENT_LEAD, OPERATIONS, ROLE_WORDS

__all__ = [
    "LEADS",
    "OPERATORS",
    "Act",
    "Context",
    "Done",
    "Hq",
    "Pages",
    "ask_for",
    "office_of",
    "program",
    "settle_request",
]

HERE = Path(__file__).parent
LOG = logging.getLogger("oppet.hq")
BANNER_MS = 2_000
SCHEMA = "Öppet, head office"


@dataclass(frozen=True, slots=True)
class Done:
    """What a person is told of an act that was done: a sentence and its facts."""

    sentence: str
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Act:
    """Something that takes two: who may ask, who may approve, and what is done then, inside one transaction."""

    words: str
    asks: tuple[str, ...]
    approves: tuple[str, ...]
    do: Callable[[Context, Change, Request], Done]


class Pages(Protocol):
    """A module of pages."""

    ROUTES: Sequence[ControllerRouterHandler]
    NAV: Sequence[NavItem]


@dataclass
class Context:
    """What head office's pages stand on; `hq: Hq` in a handler."""

    tables: OfficeTables
    people: People
    directory: HqDirectory
    door: Door
    clock: Clock
    dsn: str
    demo: bool = False
    counters: Counters = field(default_factory=Counters)
    unsent: Callable[[], tuple[int, int]] = lambda: (0, 0)  # audit entries not in the tables yet, and since when
    keeper_counts: Callable[[], Mapping[str, int]] = dict
    acts: dict[str, Act] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)  # what other pages need: a place of their own for each
    _banner: tuple[int, int, bool] = (-BANNER_MS, 0, True)

    def look_again(self) -> None:
        """The next page counts the alarms anew: somebody has just looked at one, or written one."""
        self._banner = (-BANNER_MS, 0, True)

    def banners(self, session: Session | None) -> list[Banner]:
        """What every page says at its top."""
        said = []
        if self.demo:
            said.append(
                Banner("demo", N_("Demo: an account without a key may do everything here. Never like this in earnest."))
            )
        now = self.clock.now()
        asked, alarms, well = self._banner
        if not 0 <= now - asked < BANNER_MS:
            try:
                with self.tables.change() as t:
                    alarms, well = t.alarms_new(), True
            except UnavailableError:
                alarms, well = 0, False
            self._banner = now, alarms, well
        if not well:
            said.append(Banner("alarm", N_("The database does not answer. Stores keep everything and send it again.")))
        if session is None:
            return said  # alarms are not for strangers
        if alarms == 1:
            said.append(Banner("alarm", N_("1 alarm that nobody has looked at."), {}, "/alarms"))
        elif alarms:
            said.append(Banner("alarm", N_("{count} alarms that nobody has looked at."), {"count": alarms}, "/alarms"))
        return said


Hq = NamedDependency[Context]


def office_of(door: Door, context: Context, pages: Sequence[Pages]) -> Office:
    """How head office's pages look; the first page of the first module is home."""
    nav = [item for module in pages for item in module.NAV]
    return Office(
        door,
        N_("Head office"),
        HERE / "templates",
        HERE / "static",
        nav,
        banners=context.banners,
        role_words=ROLE_WORDS,
        home=nav[0].path,
    )


def program(context: Context, pages: Sequence[Pages]) -> Litestar:
    """The program to serve at head office's page port."""
    for module in pages:
        context.acts |= getattr(module, "ACTS", {})
    office = office_of(context.door, context, pages)

    @get("/", opt=SIGNED_IN, include_in_schema=False, sync_to_thread=False)
    def front() -> Redirect:
        return Redirect(office.home, status_code=303)

    routes = [front, *(route for module in pages for route in module.ROUTES)]
    return create_app(office, routes, {"hq": context}, schema=SCHEMA)


# --- four eyes ----------------------------------------------------------------------------------------------------


def ask_for(hq: Context, session: Session, act: str, about: str, facts: Mapping[str, object]) -> int:
    """Ask for something that takes two; give the request's number. Raises NotForYouError, AskedAlreadyError."""
    _may(session, hq.acts[act].asks)
    now = hq.clock.now()
    frozen = [Fact(name, str(value)) for name, value in facts.items()]
    request = ask(act, about, frozen, session.who, now)
    with hq.tables.change() as t:
        already = t.asked_already(request.digest, now)
        if already:
            raise AskedAlreadyError(request=already)
        number = t.ask(request)
        hq.door.write(ActAsked(session.who, number, act, about, request.facts))
    return number


def settle_request(hq: Context, session: Session, number: int, deed: str, shown: str, reason: str = "") -> Done:
    """Approve (and do), refuse or withdraw. A refusal by the rules is written down too.

    Raises NoRequestError, NotForYouError and what `people/approvals.py` and the act itself raise: then nothing was done.
    """
    try:
        with hq.directory.change() as t:
            request = t.request(number)
            act = hq.acts.get(request.act) if request is not None else None
            if request is None or act is None:
                raise NoRequestError(request=number)
            if deed != "withdraw":
                _may(session, act.approves)
            after = settle(request, deed, session.who, shown, hq.clock.now(), reason)
            if not t.settle(after):
                raise SettledError(request=number, state=request.state)
            if after.state != APPROVED:
                hq.door.write(ActRefused(session.who, request.act, request.about, reason or after.state, number))
                return Done(N_("Request {request} is settled: nothing is done."), {"request": number})
            done = act.do(hq, t, request)
            hq.door.write(ActDone(request.asked_by, request.act, request.about, session.who, request.facts))
            return done
    except (RefusedError, NotForYouError) as error:
        hq.door.refused(session, f"settle:{deed}"[:40], str(number), type(error).__name__, number)
        raise


def _may(session: Session, roles: Sequence[str]) -> None:
    if not set(roles) & set(session.roles):
        raise NotForYouError(roles=", ".join(roles), yours=", ".join(session.roles))


LEADS = (INCIDENT_LEAD,)
OPERATORS = (OPERATIONS, INCIDENT_LEAD)
