"""Who may enter an office page: strangers are refused, sessions are looked up and end, roles are asked, reads are written down.

A route says who may enter it by its option `enter`; one that says nothing is shut (O3). What a person reads is in the
process's audit journal before the page is made (O1). Sessions are kept by whoever implements `Sessions`; the rules of
their life are here: idle 15 minutes, eight hours at most (O2). Leaves proving who somebody is to the places.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
from litestar import Request, Response
from litestar.exceptions import PermissionDeniedException

from oppet.base.canonical import digest
from oppet.base.clock import Clock
from oppet.base.errors import RefusedError, UntrustedError
from oppet.base.words import N_
from oppet.journal.kinds import ActDone, ActRefused, Body, Fact, PageRead, PersonSignedIn, PersonSignedOut

__all__ = [
    "ANYONE",
    "SIGNED_IN",
    "Asked",
    "Door",
    "MemorySessions",
    "NotForYouError",
    "Session",
    "Sessions",
    "SignInFirstError",
    "new_token",
    "only",
    "over",
    "session_of",
    "token_digest",
]

IDLE_MS = 15 * 60_000
LONGEST_MS = 8 * 3_600_000
MOST_SESSIONS = 10_000
READ_AGAIN_MS = 60_000  # a page that renews itself is written down once a minute for each person
MOST_READS = 20_000
LONGEST_PAGE = 300
LIVE = "x-live"  # the header of a page that renews itself: it keeps nobody signed in
LOG = logging.getLogger("oppet.pages")
Asked = Request[Any, Any, Any]

ANYONE: dict[str, Any] = {"enter": ()}
SIGNED_IN: dict[str, Any] = {"enter": ("*",)}


def only(*roles: str) -> dict[str, Any]:
    """The option of a route for people with one of these roles: `@get("/x", opt=only("operations"))`."""
    assert roles, "ANYONE is for everybody"
    return {"enter": roles}


class SignInFirstError(RefusedError):
    sentence = N_("Sign in first.")


class NotForYouError(UntrustedError):
    sentence = N_("This is for {roles}. Your roles are: {yours}.")


class Session(msgspec.Struct, frozen=True):
    """One person signed in from one browser. `digest` stands for the secret in tables and journals."""

    digest: str
    who: int
    handle: str
    roles: tuple[str, ...]
    how: str  # passkey | pin | demo
    began: int
    seen: int
    over: str = ""  # why it is over: idle | ended; "" while it is not

    @property
    def mark(self) -> str:
        """What ties a person's journal entries together."""
        return self.digest[:16]


class Sessions(Protocol):
    """Where sessions are kept. A secret is never kept, only its digest."""

    def begin(self, who: int, handle: str, roles: Sequence[str], how: str, now: int) -> tuple[str, Session]:
        """A new session and its secret, which is given once."""
        ...

    def find(self, token: str, now: int, *, touch: bool) -> Session | None:
        """The session of this secret; one that is over is given once more, marked, and is then gone."""
        ...

    def end(self, session: Session) -> None:
        """Gone at once; twice does no harm."""
        ...

    def end_of(self, who: int) -> int:
        """End all of a person's sessions; give how many."""
        ...


def new_token() -> str:
    """256 bits of chance."""
    return secrets.token_urlsafe(32)


def token_digest(token: str) -> str:
    return digest(b"oppet session 1\n" + token.encode(errors="replace"))


def over(began: int, seen: int, now: int) -> str:
    """Why a session with these moments is over now, or "" (O2). A clock set back ends it."""
    if now - began >= LONGEST_MS or now < began - READ_AGAIN_MS:
        return "ended"
    return "idle" if now - seen >= IDLE_MS else ""


class MemorySessions:
    """Sessions of one process: they end with it."""

    def __init__(self) -> None:
        self._kept: dict[str, Session] = {}
        self._guard = threading.Lock()

    def begin(self, who: int, handle: str, roles: Sequence[str], how: str, now: int) -> tuple[str, Session]:
        token = new_token()
        session = Session(token_digest(token), who, handle, tuple(roles), how, now, now)
        with self._guard:
            if len(self._kept) >= MOST_SESSIONS:  # the one that was idle longest goes
                self._kept.pop(min(self._kept, key=lambda key: self._kept[key].seen))
            self._kept[session.digest] = session
        return token, session

    def find(self, token: str, now: int, *, touch: bool) -> Session | None:
        key = token_digest(token)
        with self._guard:
            session = self._kept.get(key)
            if session is None:
                return None
            why = over(session.began, session.seen, now)
            if why:
                del self._kept[key]
                return msgspec.structs.replace(session, over=why)
            if touch:
                session = self._kept[key] = msgspec.structs.replace(session, seen=now)
            return session

    def end(self, session: Session) -> None:
        with self._guard:
            self._kept.pop(session.digest, None)

    def end_of(self, who: int) -> int:
        with self._guard:
            gone = [key for key, session in self._kept.items() if session.who == who]
            for key in gone:
                del self._kept[key]
            return len(gone)


class Door:
    """What stands before every route of an office: the program's `before_request`."""

    def __init__(
        self,
        name: str,
        sessions: Sessions,
        write: Callable[..., object],
        clock: Clock,
        hosts: Sequence[str],
        *,
        secure: bool = False,
    ) -> None:
        """`write` puts bodies into the audit journal (`Post.write`); `hosts` are the names and ports answered to."""
        self.name = name
        self.sessions = sessions
        self.clock = clock
        self.hosts = frozenset(hosts)
        self.secure = secure
        self._write = write
        self._reads: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._guard = threading.Lock()

    @property
    def cookie(self) -> str:
        """The session cookie's name; cookies know no ports, so each process has its own."""
        return f"session-{self.name}"

    def enter(self, request: Asked) -> Response[Any] | None:
        """Let the request in, or raise. A person who has not signed in is sent to the sign-in page."""
        self._refuse_strangers(request)
        wanted = request.route_handler.opt.get("enter")
        session = self._session(request)
        request.state.session = session
        if wanted == ():
            return None
        if not isinstance(wanted, tuple):
            LOG.error("the route %s does not say who may enter it", request.url.path)
            raise PermissionDeniedException("nobody may enter here")
        if session is None:
            raise SignInFirstError
        if "*" not in wanted and not set(wanted) & set(session.roles):
            self.refused(session, f"{request.method} {request.url.path[:LONGEST_PAGE]}", "", "role")
            raise NotForYouError(roles=", ".join(wanted), yours=", ".join(session.roles))
        if request.method in ("GET", "HEAD"):
            self._read(session, request)
        return None

    def _refuse_strangers(self, request: Asked) -> None:
        """Names that are not ours (DNS rebinding) and requests that another page made (forgery)."""
        if request.headers.get("host", "") not in self.hosts:
            raise PermissionDeniedException("this office answers to its own address only")
        if request.method in ("GET", "HEAD"):
            return
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] not in self.hosts:
            raise PermissionDeniedException("another page asked for this")
        if origin is None and request.headers.get("sec-fetch-site") != "same-origin":
            raise PermissionDeniedException("no page of this office asked for this")

    def _session(self, request: Asked) -> Session | None:
        token = request.cookies.get(self.cookie, "")
        if not 20 <= len(token) <= 100:
            return None
        session = self.sessions.find(token, self.clock.now(), touch=LIVE not in request.headers)
        if session is not None and session.over:
            self._write(PersonSignedOut(session.who, session.mark, session.over))
            return None
        return session

    def _read(self, session: Session, request: Asked) -> None:
        query = request.url.query
        page = (request.url.path + (f"?{query}" if query else ""))[:LONGEST_PAGE]
        now, key = self.clock.now(), (session.digest, page)
        with self._guard:
            if 0 <= now - self._reads.get(key, -READ_AGAIN_MS) < READ_AGAIN_MS:
                return
        self._write(PageRead(session.who, session.mark, page))
        with self._guard:
            self._reads[key] = now
            self._reads.move_to_end(key)
            while len(self._reads) > MOST_READS:
                self._reads.popitem(last=False)

    # --- what a person does, written before it is done (O1)

    def signed_in(self, who: int, handle: str, roles: Sequence[str], how: str) -> str:
        """Begin a session for somebody who has proved who they are; give its secret."""
        token, session = self.sessions.begin(who, handle, roles, how, self.clock.now())
        try:
            self._write(PersonSignedIn(who, ",".join(session.roles), how, session.mark))
        except BaseException:
            self.sessions.end(session)
            raise
        return token

    def signed_out(self, session: Session, reason: str = "asked") -> None:
        self.sessions.end(session)
        self._write(PersonSignedOut(session.who, session.mark, reason))

    def done(self, session: Session, act: str, about: str, approved_by: int = 0, **facts: object) -> None:
        """Write an act down. Call it inside the transaction that does it, last: what cannot be written is not done."""
        self._write(ActDone(session.who, act, about, approved_by, facts_of(facts)))

    def refused(self, session: Session, act: str, about: str, reason: str, request: int = 0) -> None:
        self._write(ActRefused(session.who, act, about, reason, request))

    def write(self, *bodies: Body) -> None:
        self._write(*bodies)


def facts_of(facts: dict[str, object]) -> tuple[Fact, ...]:
    return tuple(Fact(name, str(value)[:LONGEST_PAGE]) for name, value in facts.items())


def session_of(request: Asked) -> Session:
    """Who asks. Raises SignInFirstError where nobody is signed in."""
    session: Session | None = getattr(request.state, "session", None)
    if session is None:
        raise SignInFirstError
    return session
