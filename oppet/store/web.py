"""The manager's pages as a program: who may enter, which page shows what, and the three acts there are.

Supervisors and the store manager sign in with number and PIN from the store's own staff list; nobody else gets in. Every
sign-in, read and act is in the node's own journal first (O1). The pages read what the node keeps and hold no truth of
their own: closing them, or the node, changes nothing at a till. How they look is `drivers/pages.py`, what they show
`web_views.py`. Keeps O3 (a page that says nothing is shut) and T6 (wrong PINs cost time).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from litestar import Litestar, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from oppet.base.clock import local_day, parse_utc, utc_text
from oppet.base.errors import OppetError, RefusedError
from oppet.base.money import kronor
from oppet.base.words import N_
from oppet.drivers.page_form import Fields, Form, TextUnfitError
from oppet.drivers.page_guard import (
    ANYONE,
    SIGNED_IN,
    Asked,
    Door,
    MemorySessions,
    Session,
    only,
    session_of,
)
from oppet.drivers.pages import Banner, Message, NavItem, NothingFoundError, Office, language_of
from oppet.drivers.pages import create_app as office_app
from oppet.drivers.post import Post
from oppet.drivers.words import explain, sayer
from oppet.goods.article import LONGEST_NUMBER, good_gtin
from oppet.goods.freshness import StoreMarkDown
from oppet.journal.chain import UNREADABLE
from oppet.journal.entry import Entry, body_of, parse
from oppet.journal.kinds import ActAsked, ActDone, ActRefused, ReportMade
from oppet.paper import sheet
from oppet.paper.reports import report_paper
from oppet.payments.means import MEANS
from oppet.payments.risk import RiskLimits
from oppet.release.goods_intake import DAY_MS, MARKDOWN_TERMS
from oppet.sale.errors import WrongPinError
from oppet.sale.rights import MANAGER, ROLE_WORDS, SUPERVISOR
from oppet.sale.staff import StaffList
from oppet.store.lanes import GivenBasket
from oppet.store.web_node import Backroom, DayBook, History, alarm_view
from oppet.store.web_tills import Counted, Place, certified, invited, payments
from oppet.store.web_views import Look, chart, lane, needs_a_look

__all__ = ["Manager", "create_app"]

HERE = Path(__file__).parent
NAV = (
    NavItem("/", N_("Now")),
    NavItem("/baskets", N_("Baskets")),
    NavItem("/payments", N_("Payments")),
    NavItem("/mark-downs", N_("Mark-downs")),
    NavItem("/z", N_("Z reports")),
    NavItem("/new", N_("New till"), (MANAGER,)),
    NavItem("/gift-cards", N_("Gift cards"), (MANAGER,)),
    NavItem("/alarms", N_("Alarms")),
)
LEADS = only(SUPERVISOR, MANAGER)
MOST_ALARMS = 200
MOST_RECEIPTS = 200
ALARM_BANNER = N_("Alarms in the last day: {count}. Somebody must act.")
NO_SUCH = N_("Nothing was done: {why}")
RECENT_MS = 24 * 3_600_000  # an alarm stands at the top of every page for a day
COLUMNS = 42
GTIN_LENGTHS = (8, 12, 13, 14)
TERMINAL_TOTAL = "terminal total"
MOST_ACTS = 5_000  # of the node's own journal that are read again
TENDER_WORDS = {
    "asked": N_("asked"), "aborting": N_("being stopped"), "unknown": N_("nobody knows"), "approved": N_("paid"),
    "partial": N_("paid in part"), "accepted_at_risk": N_("taken at risk"), "reversing": N_("being given back"),
    "reversal_unknown": N_("nobody knows whether it was given back"),
}  # fmt: skip
GUESS_EVERY_MS = 10_000


class NotALeaderError(RefusedError):
    sentence = N_("These pages are for supervisors and the store manager. Ask one of them.")


class Manager:
    """What the handlers share: the node, its folded days, the staff list and how pages look."""

    def __init__(
        self, node: Backroom, post: Post, staff: StaffList, hosts: Sequence[str], limits: RiskLimits, *, secure: bool
    ) -> None:
        self.node = node
        self.limits = limits
        self.counted = _recalled(post)
        self.book = DayBook(node)
        self.door = Door(node.name, MemorySessions(), post.write, node.clock, hosts, secure=secure)
        store = node.directory.stores.get(node.store)
        self.office = Office(
            self.door, f"{node.store} {store.name}" if store is not None else node.store, HERE / "templates",
            HERE / "static", NAV, banners=self._banners, role_words=ROLE_WORDS,
        )  # fmt: skip
        self._staff = staff
        self._guard = threading.Lock()
        self._guesses = self._guessed_at = 0  # numbers that were locked since the process began

    def _banners(self, session: Session | None) -> Sequence[Banner]:
        """That there was an alarm stands on every page for a day, for those who are signed in."""
        if session is None:
            return ()
        since = utc_text(max(0, self.node.clock.now() - RECENT_MS))
        fresh = sum(alarm.time >= since for alarm in self.node.alarms()[:MOST_ALARMS])
        return (Banner("alarm", ALARM_BANNER, {"count": fresh}, "/alarms"),) if fresh else ()

    def prove(self, who: str, pin: str) -> str:
        """Sign somebody in and give the session's secret. Raises the staff list's leaves, NotALeaderError."""
        with self._guard:
            try:
                staff = self._staff.prove(who, pin, self.node.clock.counter())
            except WrongPinError as wrong:
                if not wrong.facts["left"]:  # five in a row: somebody is guessing
                    self._guessed(_whole(who.strip()))
                raise
        if staff.role not in (SUPERVISOR, MANAGER):
            self.door.write(ActRefused(staff.number, "sign-in", "", "role"))
            raise NotALeaderError
        return self.door.signed_in(staff.number, str(staff.number), (staff.role,), "pin")

    def _guessed(self, number: int) -> None:
        """Written down, yet seldom: whoever guesses does not fill the disk."""
        now, self._guesses = self.node.clock.counter(), self._guesses + 1
        if self._guesses == 1 or now - self._guessed_at >= GUESS_EVERY_MS:
            self.door.write(ActRefused(number, "sign-in", f"guesses: {self._guesses}", "pin"))
            self._guessed_at = now

    def look(self, request: Asked) -> Look:
        return Look(self.node, self.book, sayer(language_of(request)))

    def ask(self, session: Session, act: str, about: str) -> None:
        """Written down before it is tried (O1); the node writes down that it was done."""
        self.door.write(ActAsked(session.who, 0, act, about))


Pages = NamedDependency[Manager]


# --- in and out ---------------------------------------------------------------------------------------------------


@get("/sign-in", opt=ANYONE, sync_to_thread=True)
def door(request: Asked, manager: Pages) -> Response[str]:
    return manager.office.page(request, "store_door.html")


@post("/sign-in/pin", opt=ANYONE, sync_to_thread=True, status_code=200)
def sign_in(request: Asked, manager: Pages, data: Fields) -> Response[Any]:
    office = manager.office
    try:
        token = manager.prove(data.get("who", "")[:200], data.get("pin", "")[:100])
    except RefusedError as refused:
        said = Message("refused", explain(refused, language_of(request)))
        return office.page(request, "store_door.html", message=said)
    answer = office.go(request, "/")
    office.remember(answer, token)
    return answer


@post("/sign-out", opt=SIGNED_IN, sync_to_thread=True, status_code=303)
def sign_out(request: Asked, manager: Pages) -> Response[Any]:
    manager.door.signed_out(session_of(request))
    answer = manager.office.go(request, "/sign-in", "done", N_("You are signed out."))
    manager.office.forget(answer)
    return answer


# --- to read ------------------------------------------------------------------------------------------------------


@get("/", opt=LEADS, sync_to_thread=True)
def now(request: Asked, manager: Pages) -> Response[str]:
    look = manager.look(request)
    upward = manager.node.upward()
    return manager.office.page(
        request, "store_now.html", look=look, chart=chart([day for _, day in look.rows], look.now), upward=upward,
        lane=lane(upward, look), worse=needs_a_look(look), doubtful=look.doubtful(),
        selling=sum(till.kind == "ok" for till in look.tills), counted=sum(till.kind != "open" for till in look.tills),
    )  # fmt: skip


@get("/till/{name:str}", opt=LEADS, sync_to_thread=True)
def till(request: Asked, manager: Pages, name: FromPath[str]) -> Response[str]:
    look = manager.look(request)
    found = look.till(name)
    if found is None:
        raise NothingFoundError
    receipts = [sold for sold in reversed(found.day.receipts) if look.is_today(sold.time)]
    return manager.office.page(
        request, "store_till.html", look=look, till=found, receipts=receipts[:MOST_RECEIPTS], receipts_all=len(receipts),
        baskets=[view for view in look.baskets() if view.till == name],
        z_reports=[view for view in look.z_reports() if view.history.till == name],
        above={history.key: manager.node.kept_above(history) for history, _, _ in found.rows},
        means_words={name: means.sentence for name, means in MEANS.items()},
    )  # fmt: skip


@get("/baskets", opt=LEADS, sync_to_thread=True)
def baskets(request: Asked, manager: Pages) -> Response[str]:
    look = manager.look(request)
    return manager.office.page(
        request, "store_baskets.html", look=look, baskets=look.baskets(), given=manager.node.given(),
        may=MANAGER in session_of(request).roles,
    )  # fmt: skip


@get("/payments", opt=LEADS, sync_to_thread=True)
def payments_page(request: Asked, manager: Pages) -> Response[str]:
    look = manager.look(request)
    return manager.office.page(
        request, "store_payments.html", look=look, view=payments(look, manager.limits, manager.counted),
        means_words={name: means.sentence for name, means in MEANS.items()}, tender_words=TENDER_WORDS,
    )  # fmt: skip


@get("/z", opt=LEADS, sync_to_thread=True)
def z_reports(request: Asked, manager: Pages) -> Response[str]:
    look = manager.look(request)
    return manager.office.page(request, "store_z.html", look=look, z_reports=look.z_reports())


@get("/z/{name:str}/{epoch:str}/{branch:str}/{seq:str}", opt=LEADS, sync_to_thread=True)
def z_report(
    request: Asked, manager: Pages, name: FromPath[str], epoch: FromPath[str], branch: FromPath[str], seq: FromPath[str]
) -> Response[str]:
    """One Z as it was printed, from the entry itself."""
    look = manager.look(request)
    history = _history(look, name, epoch, branch)
    number = _whole(seq)
    if history is None or not history.base.seq < number <= history.head.seq:
        raise NothingFoundError
    entry, made = _z_at(manager.node, history, number)
    paper = report_paper(made, entry.time, look.say)
    lines = [line for line in sheet.lines(paper, COLUMNS) if line.style not in ("cut", "qr")]
    return manager.office.page(
        request, "store_z_one.html", look=look, history=history, made=made, entry=entry, lines=lines,
        standing=look.directory.standing(history.till, history.epoch), above=manager.node.kept_above(history) >= number,
    )  # fmt: skip


@get("/alarms", opt=LEADS, sync_to_thread=True)
def alarms(request: Asked, manager: Pages) -> Response[str]:
    look = manager.look(request)
    shown = [alarm_view(alarm, look.say) for alarm in manager.node.alarms()[:MOST_ALARMS]]
    troubled = [(history, day) for history, day in look.rows if day.troubles]
    return manager.office.page(
        request, "store_alarms.html", look=look, alarms=shown, troubled=troubled,
        known={view.name for view in look.tills},
    )  # fmt: skip


# --- to act -------------------------------------------------------------------------------------------------------


@get("/new", opt=only(MANAGER), sync_to_thread=True)
def new_till(request: Asked, manager: Pages) -> Response[str]:
    look = manager.look(request)
    return manager.office.page(
        request,
        "store_new.html",
        look=look,
        invitations=invited(manager.node.invitations(), look),
        certified=certified(look),
    )


@post("/new/invite", opt=only(MANAGER), sync_to_thread=True, status_code=303)
def invite(request: Asked, manager: Pages, data: Fields) -> Response[Any]:
    form, session = Form(data), session_of(request)
    register = form.some_text("register", 14)
    name = f"{manager.node.store}-{register}"
    manager.ask(session, "invite till", name)
    try:
        manager.node.invite(name, register, data.get("passphrase", "")[:200], session.who)
    except OppetError as error:
        return _refused(request, manager, error, "invite till", name)
    return manager.office.go(
        request, "/new", "done", N_("Read the code out at the new till {till}. It works once."), till=name
    )


@post("/new/revoke", opt=only(MANAGER), sync_to_thread=True, status_code=303)
def revoke(request: Asked, manager: Pages, data: Fields) -> Response[Any]:
    form, session = Form(data), session_of(request)
    name, epoch, reason = form.some_text("till", 40), form.whole("epoch", 1), form.some_text("reason", 120)
    about = f"{name}/{epoch}"
    manager.ask(session, "revoke till", about)
    try:
        manager.node.revoke(name, epoch, reason, data.get("passphrase", "")[:200], session.who)
    except OppetError as error:
        return _refused(request, manager, error, "revoke till", about)
    return manager.office.go(
        request, "/new", "done", N_("Till {till}, epoch {epoch} is revoked."), till=name, epoch=epoch
    )


@post("/payments/compare", opt=LEADS, sync_to_thread=True, status_code=303)
def compare(request: Asked, manager: Pages, data: Fields) -> Response[Any]:
    """What a terminal's own total says, held against ours and written down."""
    form, session = Form(data), session_of(request)
    till, path, theirs = form.some_text("till", 40), form.some_text("way", 40), form.ore("theirs")
    look = manager.look(request)
    found = [view for view in payments(look, manager.limits, {}).ways if (view.till, view.way.path) == (till, path)]
    if not found:
        raise NothingFoundError
    ours = found[0].way.net_ore
    manager.door.done(session, TERMINAL_TOTAL, f"{till}/{path}/{look.today}", theirs_ore=theirs, ours_ore=ours)
    manager.counted[till, path, look.today] = Counted(theirs, session.who, utc_text(look.now))
    if theirs == ours:
        return manager.office.go(
            request, "/payments", "done", N_("{path} at {till} agrees to the öre."), path=path, till=till
        )
    words = N_(
        "{path} at {till} differs by {amount} kr. Look at what nobody knows yet, then at the list of head office."
    )
    return manager.office.go(request, "/payments", "refused", words, path=path, till=till, amount=kronor(theirs - ours))


@post("/baskets/release", opt=only(MANAGER), sync_to_thread=True, status_code=303)
def release(request: Asked, manager: Pages, data: Fields) -> Response[Any]:
    form, session = Form(data), session_of(request)
    place = form.some_text("till", 40), form.whole("epoch", 1), form.whole("sale", 1)
    given = GivenBasket(place, form.some_text("to", 40), form.whole("to_epoch", 1), form.some_text("since", 24))
    about = "/".join(map(str, place))
    manager.ask(session, "release basket", about)
    try:
        manager.node.release(given, session.who)
    except OppetError as error:
        return _refused(request, manager, error, "release basket", about, "/baskets")
    return manager.office.go(request, "/baskets", "done", N_("The basket can be taken up at any till again."))


class CardIssuedError(RefusedError):
    sentence = N_("A gift card was issued meanwhile. Look at what it was for, then issue the next one.")


@get("/gift-cards", opt=only(MANAGER), sync_to_thread=True)
def gift_cards(request: Asked, manager: Pages) -> Response[str]:
    return _gift_cards(request, manager)


@post("/gift-cards/issue", opt=only(MANAGER), sync_to_thread=True, status_code=200)
def issue_gift_card(request: Asked, manager: Pages, data: Fields) -> Response[Any]:
    """Make a card and show its code: this once, in this answer, and the same page sent again makes no second one."""
    form, session = Form(data), session_of(request)
    amount_ore, issued = form.ore("amount"), form.whole("issued", 0)
    about = kronor(amount_ore)
    manager.ask(session, "issue gift card", about)
    try:
        if issued != manager.node.gift_cards()[0]:
            raise CardIssuedError
        code = manager.node.issue_gift_card(amount_ore, session.who)
    except OppetError as error:
        return _refused(request, manager, error, "issue gift card", about, "/gift-cards")
    return _gift_cards(request, manager, code, amount_ore)


def _gift_cards(request: Asked, manager: Manager, code: str = "", amount_ore: int = 0) -> Response[str]:
    issued, owed_ore = manager.node.gift_cards()
    return manager.office.page(
        request, "store_gift_cards.html", code=code, amount_ore=amount_ore, issued=issued, owed_ore=owed_ore
    )


@get("/mark-downs", opt=LEADS, sync_to_thread=True)
def mark_downs(request: Asked, manager: Pages) -> Response[str]:
    look = manager.look(request)
    return manager.office.page(
        request, "store_mark_downs.html", look=look, said=manager.node.markdowns(), terms=MARKDOWN_TERMS,
        last=local_day(look.now + (MARKDOWN_TERMS.longest_days - 1) * DAY_MS),
    )  # fmt: skip


@post("/mark-downs/add", opt=LEADS, sync_to_thread=True, status_code=303)
def mark_down(request: Asked, manager: Pages, data: Fields) -> Response[Any]:
    form, session = Form(data), session_of(request)
    goods, reason, last = form.some_text("goods", 20), form.some_text("reason", 40), form.day("last")
    manager.ask(session, "mark down", goods)
    try:
        article, gtin = _goods(goods)
        price_ore, percent = (form.ore("price"), 0) if form.has("price") else (0, form.whole("percent", 1, 100))
        until = local_day(parse_utc(f"{last or '2000-01-01'}T12:00:00.000Z") + DAY_MS)
        manager.node.mark_down(StoreMarkDown(until, reason, article, gtin, price_ore, percent), session.who)
    except OppetError as error:
        return _refused(request, manager, error, "mark down", goods, "/mark-downs")
    words = N_("{goods} is marked down. The tills have it in a minute or two; the receipt says: {reason}")
    return manager.office.go(request, "/mark-downs", "done", words, goods=goods, reason=reason)


@post("/mark-downs/end", opt=LEADS, sync_to_thread=True, status_code=303)
def end_mark_down(request: Asked, manager: Pages, data: Fields) -> Response[Any]:
    form, session = Form(data), session_of(request)
    goods = form.some_text("goods", 20)
    manager.ask(session, "end mark-down", goods)
    try:
        manager.node.end_markdown(goods, session.who)
    except OppetError as error:
        return _refused(request, manager, error, "end mark-down", goods, "/mark-downs")
    return manager.office.go(request, "/mark-downs", "done", N_("{goods} has its ordinary price again."), goods=goods)


def _goods(text: str) -> tuple[str, str]:
    """An article's number, or a code as the pack bears it: by its length and check digit. Raises TextUnfitError."""
    if text.isascii() and text.isdigit() and len(text) in GTIN_LENGTHS and good_gtin(text):
        return "", text.zfill(14)
    if len(text) <= LONGEST_NUMBER and text.isascii() and text.replace("-", "0").isalnum():
        return text, ""
    raise TextUnfitError(text=text, what="goods", longest=LONGEST_NUMBER)


def _refused(
    request: Asked, manager: Manager, error: OppetError, act: str, about: str, page: str = "/new"
) -> Response[Any]:
    """Back to the page with the reason, which is in the node's journal as well."""
    manager.door.refused(session_of(request), act, about, type(error).__name__)
    kind = "trouble" if error.exit_code == 3 else "refused"
    return manager.office.go(request, page, kind, NO_SUCH, why=explain(error, language_of(request)))


def _history(look: Look, name: str, epoch: str, branch: str) -> History | None:
    """The history of an address; a first history is called "0" there."""
    wanted = name, _whole(epoch), "" if branch == "0" else branch
    return next((history for history, _ in look.rows if history.key == wanted), None)


def _z_at(node: Backroom, history: History, seq: int) -> tuple[Entry, ReportMade]:
    """Raises NothingFoundError where no Z stands that can be read."""
    for data in node.pieces(history, seq, 1, 1):
        try:
            entry = parse(data)
            made = body_of(entry)
        except UNREADABLE:
            break
        if isinstance(made, ReportMade) and made.kind == "z":
            return entry, made
    raise NothingFoundError


def _recalled(post: Post) -> dict[Place, Counted]:
    """The totals that were typed in lately, from the node's own journal."""
    found: dict[Place, Counted] = {}
    journal = post.journal
    for entry in journal.read(max(1, journal.head.seq - MOST_ACTS + 1)):
        body = body_of(entry) if entry.kind == "act_done" else None
        if isinstance(body, ActDone) and body.act == TERMINAL_TOTAL and body.about.count("/") == 2:
            till, path, day = body.about.split("/")
            facts = {fact.name: fact.value for fact in body.facts}
            found[till, path, day] = Counted(int(facts.get("theirs_ore", "0")), body.who, entry.time)
    return found


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else 0


def create_app(
    node: Backroom, post: Post, staff: StaffList, hosts: Sequence[str] = ("127.0.0.1:8400", "localhost:8400"), *,
    secure: bool = False, limits: RiskLimits | None = None,
) -> Litestar:  # fmt: skip
    """The program to serve on the page port; `hosts` are the names and ports it answers to, `secure` says it is TLS."""
    manager = Manager(node, post, staff, hosts, limits or RiskLimits(), secure=secure)
    handlers = [
        door, sign_in, sign_out, now, till, baskets, payments_page, compare, z_reports, z_report, alarms, new_till, invite, revoke, release,
        gift_cards, issue_gift_card, mark_downs, mark_down, end_mark_down,
    ]  # fmt: skip
    return office_app(manager.office, handlers, {"manager": manager})
