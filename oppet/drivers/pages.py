"""What the pages of a store and of head office share: layout, words, headers, errors in sentences, static files.

A place gives its templates, its navigation and its handlers; here they become one program that answers only its own
address, runs no script but ours, translates every sentence and never shows a trace. Who may enter is `page_guard.py`,
what a form may hold `page_form.py`. Keeps O7, W2 and W4.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from litestar import Litestar, Response, Router, post
from litestar.config.response_cache import ResponseCacheConfig
from litestar.datastructures import Cookie
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin
from litestar.response import Redirect
from litestar.static_files import create_static_files_router
from litestar.types import ControllerRouterHandler, Scope
from litestar.types import Message as Message_

from oppet import __version__
from oppet.base.clock import utc_text
from oppet.base.errors import OppetError, RefusedError, clip
from oppet.base.words import N_
from oppet.drivers.page_form import Fields
from oppet.drivers.page_guard import ANYONE, SIGNED_IN, Asked, Door, Session, SignInFirstError
from oppet.drivers.words import LANGUAGES, explain, say, sayer, translations
from oppet.paper.receipts import percent, quantity
from oppet.paper.sheet import amount
from oppet.paper.sheet import when as wall_clock

__all__ = [
    "Banner",
    "Desk",
    "Message",
    "NavItem",
    "NothingFoundError",
    "Office",
    "create_app",
    "duration",
    "language_of",
]

HERE = Path(__file__).parent
LARGEST_BODY = 65_536
LONGEST_SAID = 600
LOG = logging.getLogger("oppet.pages")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with none at all a form would say that it comes from nowhere
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
MACHINE_PATHS = ("/api/", "/schema", "/health", "/metrics")
AGES = (
    (86_400_000, N_("{count} d")), (3_600_000, N_("{count} h")), (60_000, N_("{count} min")), (1_000, N_("{count} s")),
)  # fmt: skip
REQUEST_WORDS = {
    400: N_("The page sent something that cannot be read. Load it again."),
    401: N_("Sign in first."),
    403: N_("This request did not come from this office’s own pages, so it was refused."),
    404: N_("There is no such page here."),
    405: N_("There is no such page here."),
    413: N_("That was far too long, so nothing of it was read."),
}
OUR_MISTAKE = N_("Something went wrong here. Nothing written is lost. Try once more, then call operations.")


class NothingFoundError(RefusedError):
    sentence = N_("There is no such page here.")


@dataclass(frozen=True, slots=True)
class NavItem:
    """A line of the navigation; shown to people with one of `roles`, or to everybody signed in when it is empty."""

    path: str
    words: str  # marked with N_ where it is born
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Banner:
    """What every page says at its top: an alarm, or that this is a demo."""

    kind: str  # alarm | demo | note
    sentence: str
    facts: Mapping[str, object] = field(default_factory=dict)
    path: str = ""  # where it is dealt with


@dataclass(frozen=True, slots=True)
class Message:
    """What came of the last act, said once."""

    kind: str  # done | refused | trouble
    text: str


Banners = Callable[[Session | None], Sequence[Banner]]


class Office:
    """How one place's pages look and speak."""

    def __init__(
        self,
        door: Door,
        title: str,
        templates: Path,
        static: Path,
        nav: Sequence[NavItem],
        *,
        banners: Banners = lambda _: (),
        role_words: Mapping[str, str] | None = None,
        home: str = "/",
        sign_in: str = "/sign-in",
    ) -> None:
        """`title` names the place ("Head office", "S01 Storgatan"); `templates` and `static` lie beside its code."""
        self.door = door
        self.title = title
        self.nav = tuple(nav)
        self.banners = banners
        self.role_words = dict(role_words or {})
        self.home = home
        self.sign_in = sign_in
        self.folders = [folder for folder in (static, HERE / "static") if folder.is_dir()]
        self._environments = {language: self._environment(language, templates) for language in LANGUAGES}

    def _environment(self, language: str, templates: Path) -> Environment:
        env = Environment(
            loader=ChoiceLoader([FileSystemLoader(templates), FileSystemLoader(HERE / "templates")]), autoescape=True,
            extensions=["jinja2.ext.i18n"], undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False,
        )  # fmt: skip
        env.install_gettext_translations(translations(language))  # type: ignore[attr-defined]
        env.filters |= {
            "kr": amount, "percent": percent, "quantity": quantity, "when": wall_clock, "minute": _minute,
            "minute_only": lambda text: _minute(text)[11:], "moment": lambda ms: _minute(utc_text(ms)) if ms else "",
            "duration": lambda ms: duration(ms, language), "clip": clip,
        }  # fmt: skip
        env.globals |= {
            "language": language, "languages": LANGUAGES, "say": sayer(language), "title": self.title, "version": __version__,
            "role_words": lambda role: say(self.role_words.get(role) or role, language),
        }  # fmt: skip
        return env

    # --- answers

    def render(self, language: str, template: str, **facts: Any) -> str:
        return self._environments[language].get_template(template).render(**facts)

    def page(
        self, request: Asked, template: str, *, status: int = 200, message: Message | None = None, **facts: Any
    ) -> Response[str]:
        """A whole page in the reader's language; what the last act said is shown once."""
        language = language_of(request)
        session: Session | None = getattr(request.state, "session", None)
        said = message or self._said(request)
        text = self.render(
            language, template, session=session, here=request.url.path, message=said, sign_in=self.sign_in,
            nav=[item for item in self.nav if session and (not item.roles or set(item.roles) & set(session.roles))],
            banners=[(b, say(b.sentence, language).format(**b.facts)) for b in self.banners(session)], **facts,
        )  # fmt: skip
        answer = Response(text, media_type="text/html", status_code=status, headers={"Cache-Control": "no-store"})
        if self._flash in request.cookies and message is None:
            answer.set_cookie(self._cookie(self._flash, "", 0))
        return answer

    def go(self, request: Asked, path: str, kind: str = "", sentence: str = "", /, **facts: object) -> Response[Any]:
        """To another page after an act, with a sentence that page says once."""
        answer = Redirect(path, status_code=303, headers={"Cache-Control": "no-store"})
        if sentence:
            self.leave_word(answer, Message(kind, say(sentence, language_of(request)).format(**facts)))
        return answer

    def leave_word(self, answer: Response[Any], message: Message) -> None:
        data = msgspec.json.encode([message.kind, clip(message.text, LONGEST_SAID)])
        answer.set_cookie(self._cookie(self._flash, base64.urlsafe_b64encode(data).decode(), 60))

    def remember(self, answer: Response[Any], token: str) -> None:
        """Give the browser its session."""
        answer.set_cookie(self._cookie(self.door.cookie, token, None))

    def forget(self, answer: Response[Any]) -> None:
        answer.set_cookie(self._cookie(self.door.cookie, "", 0))

    @property
    def language_cookie(self) -> str:
        return f"language-{self.door.name}"

    @property
    def _flash(self) -> str:
        return f"said-{self.door.name}"

    def _said(self, request: Asked) -> Message | None:
        try:
            data = base64.urlsafe_b64decode(request.cookies.get(self._flash, "")[: 4 * LONGEST_SAID])
            kind, text = msgspec.json.decode(data, type=tuple[str, str])
        except (ValueError, msgspec.MsgspecError):
            return None
        return Message(kind if kind in ("done", "refused", "trouble") else "refused", clip(text, LONGEST_SAID))

    def _cookie(self, name: str, value: str, age_s: int | None) -> Cookie:
        return Cookie(
            name, value=value, httponly=True, samesite="strict", path="/", max_age=age_s, secure=self.door.secure
        )

    # --- what went wrong

    def explain(self, request: Asked, error: Exception) -> Response[Any]:
        """Whatever was refused, in words: a page for a person, facts for a program. Never a trace (W2)."""
        status, sentence = _judged(error)
        if status >= 500 and not isinstance(error, OppetError):
            LOG.error("a request failed", exc_info=error)
        language = language_of(request)
        if _for_a_machine(request):
            ours = isinstance(error, OppetError)
            name = type(error).__name__ if ours else "HTTPError"
            facts = error.facts if isinstance(error, OppetError) else {}
            return Response(
                {"error": name, "sentence": str(error) if ours else sentence, "facts": facts},
                media_type="application/json", status_code=status, headers={"Cache-Control": "no-store"},
            )  # fmt: skip
        if isinstance(error, SignInFirstError):
            if "hx-request" in request.headers:
                return Response("", status_code=200, media_type="text/html", headers={"HX-Redirect": self.sign_in})
            return self.go(request, self.sign_in)
        text = explain(error, language) if isinstance(error, OppetError) else say(sentence, language)
        back = request.headers.get("referer", "")
        return self.page(
            request, "office_error.html", status=status, back=back if _ours(back, self.door.hosts) else self.home,
            message=Message("trouble" if status >= 500 else "refused", text),
        )  # fmt: skip


Desk = NamedDependency[Office]  # how a handler asks for it: `desk: Desk`


def duration(ms: int, language: str) -> str:
    """How long, in its largest whole unit: "12 min"."""
    for unit, sentence in AGES:
        if ms >= unit:
            return say(sentence, language).format(count=ms // unit)
    return say(AGES[-1][1], language).format(count=0)


def language_of(request: Asked) -> str:
    """What was chosen at this place; a browser does not tell two ports of one machine apart, so a cookie without a place comes after."""
    chosen = request.cookies.get(request.app.state.language_cookie) or request.cookies.get("language", "")
    return chosen if chosen in LANGUAGES else next(iter(LANGUAGES))


def _minute(instant_utc_text: str) -> str:
    """A moment on a Swedish wall clock without its seconds: "2026-11-22 14:32"; nothing for none."""
    return wall_clock(instant_utc_text)[:16] if instant_utc_text else ""


def _judged(error: Exception) -> tuple[int, str]:
    """The status and, for what is not one of our leaves, the sentence."""
    if isinstance(error, SignInFirstError):
        return 401, error.sentence
    if isinstance(error, NothingFoundError):
        return 404, error.sentence
    if isinstance(error, OppetError):
        return {1: 400, 2: 403}.get(error.exit_code, 503), error.sentence
    status = error.status_code if isinstance(error, HTTPException) else 500
    return status, OUR_MISTAKE if status >= 500 else REQUEST_WORDS.get(status, REQUEST_WORDS[400])


def _for_a_machine(request: Asked) -> bool:
    wants = request.headers.get("accept", "")
    return request.url.path.startswith(MACHINE_PATHS) or ("application/json" in wants and "text/html" not in wants)


def _ours(address: str, hosts: frozenset[str]) -> bool:
    return address.partition("://")[2].partition("/")[0] in hosts


def create_app(
    office: Office,
    handlers: Sequence[ControllerRouterHandler],
    dependencies: Mapping[str, Any] | None = None,
    *,
    schema: str = "",
    **more: Any,
) -> Litestar:
    """The program of an office. `dependencies` are values by name; `schema` is the OpenAPI title, or "" for none."""

    @post("/language", opt=ANYONE, include_in_schema=False, sync_to_thread=False, status_code=303)
    def choose_language(request: Asked, data: Fields) -> Response[Any]:
        back = request.headers.get("referer", "")
        answer = office.go(request, back if _ours(back, office.door.hosts) else office.home)
        if data.get("language", "") in LANGUAGES:
            answer.set_cookie(office._cookie(office.language_cookie, data["language"], 31_536_000))
        return answer

    _no_shared_paths(handlers)
    static = create_static_files_router("/static", [*office.folders], opt=ANYONE, include_in_schema=False)
    openapi = None
    if schema:
        openapi = OpenAPIConfig(
            schema, __version__, openapi_router=Router("/schema", route_handlers=[], opt=SIGNED_IN, include_in_schema=False),
            render_plugins=[JsonRenderPlugin(), YamlRenderPlugin()],
        )  # fmt: skip
    app = Litestar(
        [*handlers, choose_language, static],
        dependencies={name: _given(value) for name, value in {**(dependencies or {}), "desk": office}.items()},
        before_request=office.door.enter,
        exception_handlers={HTTPException: office.explain, OppetError: office.explain, Exception: office.explain},
        request_max_body_size=LARGEST_BODY,
        before_send=[_harden],
        openapi_config=openapi,
        logging_config=None,
        response_cache_config=ResponseCacheConfig(default_expiration=None),
        **more,
    )
    app.state.language_cookie = office.language_cookie
    return app


def _no_shared_paths(handlers: Sequence[ControllerRouterHandler]) -> None:
    """Two handlers of one path are registered twice, and one that runs in a thread does not survive that."""
    paths = [path for handler in handlers for path in getattr(handler, "paths", ())]
    twice = sorted({path for path in paths if paths.count(path) > 1})
    assert not twice, f"give each handler a path of its own: {twice}"


async def _harden(message: Message_, _: Scope) -> None:
    """Put the headers on every answer, whoever made it: pages, refusals, files."""
    if message["type"] == "http.response.start":
        message["headers"] = [*message["headers"], *RAW_HEADERS]


def _given(value: Any) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)
