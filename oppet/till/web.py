"""The till's page as a program: what comes over HTTP, who may ask, and what is never let in.

The till is synchronous and does one deed at a time: handlers run in a worker thread and take the counter's lock. Guards against other
pages and other programs on the machine: only our own Host and Origin are answered, a session belongs to the browser that signed in,
bodies are small, no script but ours runs. Leaves what a deed is to `web_sale.py` and `web_day.py`.
Keeps W1 (strangers change nothing) and W2 (no traceback, ever).
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency, Provide
from litestar.enums import RequestEncodingType
from litestar.exceptions import HTTPException, NotFoundException, PermissionDeniedException
from litestar.params import Body, FromPath
from litestar.response import ServerSentEvent
from litestar.static_files import create_static_files_router
from litestar.types import Message as Message_
from litestar.types import Scope

from oppet import __version__
from oppet.base.errors import OppetError
from oppet.base.words import N_
from oppet.drivers import pdf, qr
from oppet.drivers.words import LANGUAGES, explain, say
from oppet.register.state import COPY, NORMAL, TRAINING, Unprinted
from oppet.register.till import Till
from oppet.sale.errors import NeedsApprovalError, ReservedError, WrongBadgeError, WrongPinError
from oppet.sale.rights import Staff
from oppet.sale.staff import StaffList
from oppet.till import views, views_tenders, web_day, web_sale, web_tenders
from oppet.till.views_updates import Updates
from oppet.till.web_counter import Counter, Dialog, Form, Message, StalePageError
from oppet.till.web_display import Bell, display_about, display_events, page_events
from oppet.till.web_tenders import Ticker

__all__ = ["create_app"]

STATIC = Path(__file__).parent / "static"
DEEDS = {**web_sale.DEEDS, **web_day.DEEDS, **web_tenders.DEEDS}
ANY_BASKET = {
    "go",
    "ask",
    "close",
    "devices",
    "search",
    "ask-price",
    "seen",
    "freeze",
    "attest",
    "look-now",
}  # deeds that a window with an older basket may ask for
LARGEST_BODY = 16_384
LOOK_AGAIN_MS = 5_000  # after a broken line a page comes back so much later
ASK_DEVICES_EVERY_MS = 60_000
LOG = logging.getLogger("oppet.till.web")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
Fields = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]
Desk = NamedDependency[Counter]
Asked = Request[Any, Any, Any]


# --- who may ask --------------------------------------------------------------------------------------------------


def refuse_strangers(hosts: frozenset[str]) -> Any:
    """Refuse names that are not ours (DNS rebinding) and requests that another page made (forgery)."""

    def check(request: Asked) -> None:
        if request.headers.get("host", "") not in hosts:
            raise PermissionDeniedException("this till answers to its own address only")
        if request.method in ("GET", "HEAD"):
            return
        origin = request.headers.get("origin")
        if origin is not None and origin.removeprefix("http://") not in hosts:
            raise PermissionDeniedException("another page asked for this")
        if origin is None and request.headers.get("sec-fetch-site") != "same-origin":
            raise PermissionDeniedException("no page of this till asked for this")

    return check


def language_of(request: Asked) -> str:
    """What was chosen at this till; a browser tells no ports apart, so a cookie that names no till comes after."""
    chosen = request.cookies.get(request.app.state.language_cookie) or request.cookies.get("language", "")
    return chosen if chosen in LANGUAGES else next(iter(LANGUAGES))


def session_name(counter: Counter) -> str:
    """A cookie of this till's own: a browser does not tell two ports of one machine apart."""
    return f"session-{counter.till.desk.ports.journal.till}"


def is_mine(request: Asked, counter: Counter) -> bool:
    return bool(counter.token) and hmac.compare_digest(
        request.cookies.get(session_name(counter), "").encode(), counter.token.encode()
    )


def html(text: str, **headers: str) -> Response[str]:
    return Response(text, media_type="text/html", status_code=200, headers={"Cache-Control": "no-store", **headers})


def cookie(name: str, value: str, age_s: int | None) -> Cookie:
    return Cookie(name, value=value, httponly=True, samesite="strict", path="/", max_age=age_s)


# --- pages and deeds ----------------------------------------------------------------------------------------------


@get("/", sync_to_thread=True)
def page(request: Asked, counter: Desk) -> Response[str]:
    """The till, or the sign-in page for a browser that nobody has signed in from."""
    with counter.lock:
        counter.language = language_of(request)
        if counter.updates is not None:
            counter.updates.intake.shown()
        if not is_mine(request, counter):
            return html(counter.door())
        counter.ask_devices_if_idle(ASK_DEVICES_EVERY_MS)
        return html(counter.page())


@post("/sign-in", sync_to_thread=True, status_code=200)
def sign_in(request: Asked, counter: Desk, data: Fields) -> Response[str]:
    form = Form(data)
    with counter.lock:
        counter.language = language_of(request)
        try:
            counter.sign_in(form.text("who", 200), form.text("pin", 64))
        except OppetError as refused:
            return html(counter.door(explain(refused, counter.language), piece=True))
        except Exception:  # noqa: BLE001 - our own mistake: logged, and said in words
            return html(counter.door(web_sale.unexpected(counter), piece=True))
        answer = html("", **{"HX-Redirect": "/"})
        answer.set_cookie(cookie(session_name(counter), counter.token, None))
    counter.tell()
    return answer


@post("/sign-out", sync_to_thread=True, status_code=200)
def sign_out(request: Asked, counter: Desk) -> Response[str]:
    with counter.lock:
        counter.language = language_of(request)
        if not is_mine(request, counter):
            return html("", **{"HX-Redirect": "/"})
        try:
            counter.sign_out()
        except OppetError as refused:
            counter.desktop.message = Message("refused", explain(refused, counter.language))
            return html(counter.changes(0))
    return html("", **{"HX-Redirect": "/"})


@post("/language", sync_to_thread=False, status_code=200)
def choose_language(request: Asked, data: Fields) -> Response[str]:
    chosen = data.get("language", "")
    answer = html("", **{"HX-Refresh": "true"})
    if chosen in LANGUAGES:
        answer.set_cookie(cookie(request.app.state.language_cookie, chosen, 31_536_000))
    return answer


@get("/status", sync_to_thread=True)
def status(request: Asked, counter: Desk) -> Response[str]:
    """What the page asks every few seconds: has anything changed on the strip?"""
    with counter.lock:
        counter.language = language_of(request)
        if not is_mine(request, counter):
            return html("", **{"HX-Redirect": "/"})
        counter.ask_devices_if_idle(ASK_DEVICES_EVERY_MS)
        return html(counter.changes(_seen(request.query_params.get("seen", ""))))


@post("/do/{deed:str}", sync_to_thread=True, status_code=200)
def do(request: Asked, counter: Desk, deed: FromPath[str], data: Fields) -> Response[str]:
    """One deed, and what has changed on the page. A refusal is an answer like any other."""
    if deed not in DEEDS:
        raise NotFoundException
    with counter.lock:
        counter.language = language_of(request)
        if not is_mine(request, counter):
            return html("", **{"HX-Redirect": "/"})
        _act(counter, deed, Form(data))
        answer = counter.changes(_seen(data.get("seen", "")))
    counter.tell()
    return html(answer)


def _seen(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _act(counter: Counter, deed: str, form: Form) -> None:
    desktop = counter.desktop
    stood, desktop.dialog, desktop.message = desktop.dialog, None, None
    try:
        if deed not in ANY_BASKET and form.text("sale", 10) != str(counter.till.desk.state.current):
            raise StalePageError
        approval = _approval(counter, form)
        DEEDS[deed](counter, form, approval)
    except NeedsApprovalError as needed:
        _ask_approval(counter, deed, form, explain(needed, counter.language))
    except (WrongPinError, WrongBadgeError, ReservedError) as wrong:
        counter.desktop.message = Message("refused", explain(wrong, counter.language))
        _ask_approval(counter, deed, form, counter.say(N_("A supervisor must approve this with their own PIN.")))
    except OppetError as error:
        counter.desktop.message = Message(
            "refused" if error.exit_code == 1 else "trouble", explain(error, counter.language)
        )
        counter.desktop.dialog = stood if form.has("dialog") else None
        if counter.till.desk.state.outage:
            counter.desktop.pane = "outage"
    except Exception:  # noqa: BLE001 - our own mistake: logged, and said in words
        counter.desktop.message = Message("trouble", web_sale.unexpected(counter))


def _approval(counter: Counter, form: Form) -> Staff | None:
    return counter.prove(form.text("approver", 200), form.text("approver_pin", 64)) if form.has("approver") else None


def _ask_approval(counter: Counter, deed: str, form: Form, sentence: str) -> None:
    counter.desktop.dialog = Dialog("approve", {"deed": deed, "fields": form.fields(), "sentence": sentence})


# --- beside the page ----------------------------------------------------------------------------------------------


@get("/receipt/{series:str}/{name:str}", sync_to_thread=True)
def receipt(request: Asked, counter: Desk, series: FromPath[str], name: FromPath[str]) -> Response[bytes]:
    """A receipt as PDF, or its code as a drawing: /receipt/normal/12.pdf, /receipt/normal/12.svg."""
    number, _, form = name.partition(".")
    if (
        series not in (NORMAL, COPY, TRAINING)
        or form not in ("pdf", "svg")
        or not (number.isdigit() and len(number) < 10)
    ):
        raise NotFoundException
    with counter.lock:
        if not is_mine(request, counter):
            raise PermissionDeniedException("sign in first")
        if counter.till.desk.filed(series, int(number)) is None:
            raise NotFoundException
        which, printing = Unprinted(series, int(number)), counter.till.printing
        on_screen = form == "svg" and which == counter.till.desk.state.last_receipt and counter.desktop.pane == "done"
        paper = printing.paper(which) if on_screen else printing.to_see(which)
    if form == "pdf":
        return Response(pdf.strips_pdf([paper]), media_type="application/pdf", headers={"Cache-Control": "no-store"})
    codes = [row.left for row in paper.rows if row.style == "qr"]
    if not codes:
        raise NotFoundException
    return Response(qr.svg(codes[0]).encode(), media_type="image/svg+xml", headers={"Cache-Control": "no-store"})


@post("/reserve/slips", sync_to_thread=True, status_code=200)
def slips(request: Asked, counter: Desk, data: Fields) -> Response[Any]:
    """Numbered reserve receipts to print beforehand: their numbers are journalled, so this is asked for by a form."""
    with counter.lock:
        counter.language = language_of(request)
        if not is_mine(request, counter):
            raise PermissionDeniedException("sign in first")
        try:
            papers = counter.till.reserve.print_slips(Form(data).whole("count"))
        except OppetError as refused:
            return html(counter.notice(explain(refused, counter.language)))
    return Response(pdf.slips_pdf(papers), media_type="application/pdf", headers={"Cache-Control": "no-store"})


@get("/display", sync_to_thread=True)
def display(counter: Desk) -> Response[str]:
    """The customer's window: what is in the basket, what to pay, what comes back. It can ask for nothing."""
    with counter.lock:
        counter.language = next(iter(LANGUAGES))
        return html(counter.fragment("display.html", **display_about(counter)))


@get("/display/events", sync_to_thread=False)
def events(counter: Desk, bell: NamedDependency[Bell]) -> ServerSentEvent:
    stream: AsyncIterator[str] = display_events(counter, bell)
    return ServerSentEvent(stream, event_type="basket")


@get("/events", sync_to_thread=False)
def changes(request: Asked, counter: Desk) -> ServerSentEvent:
    """Tells the till's own page that something has changed that nobody there did; what it is, it asks for itself."""
    if not is_mine(request, counter):
        raise PermissionDeniedException("sign in first")
    stream: AsyncIterator[str] = page_events(request.app.state.pages)
    return ServerSentEvent(stream, event_type="changed", retry_duration=LOOK_AGAIN_MS)


@get("/display/pay.svg", sync_to_thread=True)
def pay_code(counter: Desk) -> Response[bytes]:
    """What the customer's phone is to read to pay now."""
    with counter.lock:
        code = views_tenders.open_qr(counter.till, counter.basket())
    if not code:
        raise NotFoundException
    return Response(qr.svg(code).encode(), media_type="image/svg+xml", headers={"Cache-Control": "no-store"})


@get("/display/code.svg", sync_to_thread=True)
def display_code(counter: Desk) -> Response[bytes]:
    """The electronic receipt of the sale just finished, for the customer's phone."""
    with counter.lock:
        last, wanted = counter.desktop.shown, counter.desktop.electronic and counter.desktop.pane == "done"
        if last is None or not wanted or last.series != NORMAL:
            raise NotFoundException
        paper = counter.till.printing.paper(last)
    codes = [row.left for row in paper.rows if row.style == "qr"]
    if not codes:
        raise NotFoundException
    return Response(qr.svg(codes[0]).encode(), media_type="image/svg+xml", headers={"Cache-Control": "no-store"})


@get("/health", sync_to_thread=True)
def health(counter: Desk) -> dict[str, Any]:
    """For whoever watches the machine: no person, no goods."""
    with counter.lock:
        desk = counter.till.desk
        return {
            "ready": not desk.ports.journal.broken and not desk.state.outage,
            "software": __version__,
            "register": desk.identity.register,
            "entries": desk.state.seq,
            "outage": desk.state.outage,
            "waiting_for_paper": len(desk.state.unprinted),
            "cases": len(desk.state.cases),
            "open_payments": len(desk.state.attempts()),
            "payment_paths": {path.name: path.now().state for path in desk.ports.payments},
            "closed_units": sorted(desk.state.closed_units),
            "disk_free_mb": desk.free_mb(),
            "copies": copies_health(counter.till),
            "prices": desk.catalogue.version,
            "runs": desk.state.runs,
            "release": desk.state.releases.release,
            "updates": updates_health(counter),
        }


def updates_health(counter: Counter) -> dict[str, Any]:
    """What waits, and whether anything was refused."""
    if counter.updates is None:
        return {}
    intake = counter.updates.intake
    verdict = intake.candidate.verdict if intake.candidate is not None else None
    return {
        "fresh": intake.fresh,
        "frozen": intake.ledger.frozen,
        "waiting": intake.candidate.agreed.software.release if intake.candidate is not None else 0,
        "why": verdict.why if verdict is not None else "",
        "stage": intake.slots.progress().stage,
        "refused": len(intake.ledger.told),
    }


def copies_health(till: Till) -> dict[str, Any]:
    """Who has what was sold, how long the till has been alone, and what stands still since when (R15, R20)."""
    stands = views.standing(till)
    refusal = till.desk.ports.copies.refusal()
    return {
        "last_sale_in_store": stands.inside,
        "last_sale_at_hq": stands.outside,
        "unkept_entries": stands.unkept,
        "alone_s": stands.alone_ms // 1000,
        "days_left": stands.left_days,
        "refusal": type(refusal).__name__ if refusal is not None else "",
        "keepers": [
            {
                "name": keeper.name,
                "place": keeper.place,
                "behind": keeper.behind,
                "silent": keeper.silent,
                "heard": keeper.heard,
                "why": keeper.why,
            }
            for keeper in till.desk.ports.copies.keepers()
        ],
    }


# --- what went wrong before a deed --------------------------------------------------------------------------------

SENTENCES = {
    403: N_("This request did not come from the till's own page, so it was refused."),
    404: N_("There is no such page at the till."),
    413: N_("That was far too long, so nothing of it was read."),
}
OTHERWISE = N_("The till could not read what the page sent. Load the page again.")


def explain_http(request: Asked, error: Exception) -> Response[str]:
    """A short page in words for whatever was refused before it reached a deed."""
    code = error.status_code if isinstance(error, HTTPException) else 500
    if code >= 500:
        LOG.error("a request failed", exc_info=error)
    text = say(SENTENCES.get(code, OTHERWISE), language_of(request))
    piece = f'<div id="message" hx-swap-oob="innerHTML"><p class="message refused">{text}</p></div>'
    return Response(piece, media_type="text/html", status_code=code, headers={"Cache-Control": "no-store"})


async def harden(message: Message_, _: Scope) -> None:
    """Put the headers on every answer, refusals too."""
    if message["type"] == "http.response.start":
        message["headers"] = [*message["headers"], *RAW_HEADERS]


def create_app(
    till: Till,
    staff: StaffList,
    hosts: Iterable[str] = ("127.0.0.1:8080", "localhost:8080"),
    *,
    ticking: bool = True,
    updates: Updates | None = None,
    restart: Callable[[], None] = lambda: None,
) -> Litestar:
    """The program to serve at 127.0.0.1; `hosts` are the names and ports it answers to.

    `ticking`: payments are heard of by a thread of the app's own; a test that wants to say when uses `app.state.ticker`. `restart` ends
    the program because a new release is to start.
    """
    bell, pages = Bell(), Bell()
    counter = Counter(till, staff, bell.ring)
    counter.updates = updates
    if updates is not None:
        updates.hands.idle = counter.idle
    ticker = Ticker(counter, pages.ring, restart)
    static = create_static_files_router("/static", [STATIC], include_in_schema=False)
    app = Litestar(
        [
            page,
            sign_in,
            sign_out,
            choose_language,
            status,
            do,
            receipt,
            slips,
            display,
            events,
            changes,
            pay_code,
            display_code,
            health,
            static,
        ],
        dependencies={
            "counter": Provide(lambda: counter, sync_to_thread=False),
            "bell": Provide(lambda: bell, sync_to_thread=False),
        },
        before_request=refuse_strangers(frozenset(hosts)),
        exception_handlers={HTTPException: explain_http, Exception: explain_http},
        request_max_body_size=LARGEST_BODY,
        before_send=[harden],
        openapi_config=None,
        logging_config=None,
        on_startup=[bell.begin, pages.begin, *([ticker.begin] if ticking else [])],
        on_shutdown=[ticker.end, bell.end, pages.end],
    )

    def leave() -> None:
        bell.close()
        pages.close()

    app.state.leave, app.state.pages, app.state.ticker = leave, pages, ticker
    app.state.language_cookie = f"language-{till.desk.ports.journal.till}"
    return app
