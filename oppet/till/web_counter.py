"""The counter: what one cashier has in front of them, and the pieces of the page that follow it.

Holds the till, who may act in this browser, and which pane is open. After each deed every region of the page is laid out, and only
those that differ from what the browser has are sent; lines of the basket one by one. Leaves what a deed is to `web_sale.py` and
`web_day.py`, HTTP to `web.py`. One lock: one deed at a time (W6). Keeps W7 (only what changed is sent).

What a browser sent is read with suspicion, as a `Form`: short text, whole numbers, amounts and quantities, each with its bound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from oppet.base.errors import RefusedError
from oppet.base.money import parse_kronor, parse_milli, thousandths
from oppet.base.words import N_
from oppet.drivers.words import LANGUAGES, explain, role_words, say, sayer, translations
from oppet.goods.article import Article
from oppet.journal.kinds import CashCounted
from oppet.paper.receipts import percent, quantity
from oppet.paper.sheet import Paper, amount
from oppet.paper.sheet import when as wall_clock
from oppet.payments.means import CASH, DENOMINATIONS, MEANS, cash_due, likely_cash, pieces
from oppet.register.ports import Parked
from oppet.register.state import NORMAL, Unprinted
from oppet.register.till import Till
from oppet.sale.basket import Basket
from oppet.sale.price import PricedLine
from oppet.sale.rights import Staff
from oppet.sale.settle import left_to_pay
from oppet.sale.staff import StaffList
from oppet.till import views, views_tenders, views_updates

__all__ = [
    "REGIONS",
    "Counter",
    "Desktop",
    "Dialog",
    "Form",
    "Message",
    "NotAWholeNumberError",
    "StalePageError",
    "Unknown",
]

TEMPLATES = Path(__file__).parent / "templates"
REGIONS = ("news", "status", "head", "total", "actions", "pane", "pay_bar", "message", "dialog")
SESSION = b"oppet session 1\n"
CLOSED = frozenset({"sell", "done", "day", "updates", "parked", "receipt", "sheet"})  # panes nobody pays at


# --- what a browser sent

LONGEST_TEXT = 2_000  # a web address in a code is the longest thing anybody scans
WHOLE = re.compile(r"[0-9]{1,9}")


class NotAWholeNumberError(RefusedError):
    sentence = N_("“{text}” is not a whole number. Write it with digits only.")


class StalePageError(RefusedError):
    sentence = N_("This window showed an older basket, so nothing was done. It has been brought up to date: try again.")


class Form:
    """Fields by name; one that is missing is empty."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields

    def text(self, name: str, longest: int = LONGEST_TEXT) -> str:
        """At most one character more than `longest`, so that whoever reads it refuses what is too long."""
        return self._fields.get(name, "")[: longest + 1]

    def whole(self, name: str, otherwise: int = 0) -> int:
        """Raises NotAWholeNumberError; an empty field is `otherwise`."""
        text = self.text(name, 40).strip()
        if not text:
            return otherwise
        if not WHOLE.fullmatch(text):
            raise NotAWholeNumberError(text=text)
        return int(text)

    def ore(self, name: str) -> int:
        """Raises NotAnAmountError, for an empty field too."""
        return parse_kronor(self.text(name, 40))

    def milli(self, name: str) -> int:
        """Raises NotAnAmountError, for an empty field too."""
        return parse_milli(self.text(name, 40))

    def has(self, name: str) -> bool:
        return bool(self._fields.get(name, "").strip())

    def fields(self) -> dict[str, str]:
        """Everything but who approves: what an approval dialog sends once more."""
        return {
            n: v[:LONGEST_TEXT]
            for n, v in self._fields.items()
            if n not in {"approver", "approver_pin", "seen", "sale"}
        }


# --- what it is shown


@dataclass(frozen=True, slots=True)
class Message:
    kind: str  # done | refused | trouble: each has its own sign
    text: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """What the cashier needs to finish by hand what no control unit answered for."""

    case: int
    total_ore: int
    change_ore: int
    goods: tuple[str, ...]  # the lines of the reserve receipt


@dataclass(frozen=True, slots=True)
class Dialog:
    """A question in front of everything: its template's name, and what the template asks about."""

    name: str
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Desktop:
    """Which pane is open and what it shows. Not journalled: nothing that matters is only here."""

    pane: str = "sell"
    means: str = "cash"
    tab: str = "st"
    training: bool = False
    electronic: bool = False
    words: str = ""
    found: tuple[Article, ...] = ()
    shown: Unprinted | None = None  # the receipt on screen
    counted: CashCounted | None = None
    back_ore: int = 0  # what the return just finished gives the customer
    sheet: Paper | None = None  # a report on screen
    letter: str = ""  # and the draft that belongs to it
    message: Message | None = None
    disk: Message | None = None  # the message of a disk that failed while nobody did anything, as long as it does
    pulse: tuple[object, ...] = ()  # how tenders and paths stood when they were last looked at
    dialog: Dialog | None = None
    elsewhere: tuple[Parked, ...] = ()  # baskets parked at other tills, when the pane was opened
    asked_elsewhere: bool = False  # and whether the store node answered
    unknown: Unknown | None = (
        None  # a sale that no control unit answered for; stays until the cashier says it is dealt with
    )


@dataclass(slots=True)
class Sent:
    """What the browser was sent last: version, language, regions and lines by their number."""

    version: int = 0
    language: str = ""
    regions: dict[str, str] = field(default_factory=dict)
    lines: dict[int, str] = field(default_factory=dict)


def environment(language: str) -> Environment:
    env = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, extensions=["jinja2.ext.i18n"], undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    env.install_gettext_translations(translations(language))  # type: ignore[attr-defined]
    env.filters |= {"kr": amount, "milli": thousandths, "quantity": quantity, "percent": percent, "clock": wall_clock}
    env.globals |= {"language": language, "languages": LANGUAGES, "say": sayer(language), "MEANS": MEANS}
    return env


class Counter:
    def __init__(self, till: Till, staff: StaffList, tell: Callable[[], None] = lambda: None) -> None:
        self.till = till
        self.staff = staff
        self.lock = Lock()
        self.desktop = Desktop()
        self.devices = views.Devices()
        self.language = next(iter(LANGUAGES))
        self.token = ""  # of the browser that signed in; "" while nobody is
        self.tell = tell  # rings the customer display
        self.updates: views_updates.Updates | None = None
        self._sent = Sent()
        self._environments = {language: environment(language) for language in LANGUAGES}
        self._lines: dict[tuple[str, int], tuple[PricedLine, str]] = {}  # a line as it was laid out last
        self._keys: tuple[tuple[str, str, str], str] | None = None  # the quick keys as they were laid out last
        self._asked = -1_000_000_000

    # --- words

    def say(self, sentence: str, **facts: object) -> str:
        return say(sentence, self.language).format(**facts)

    def done(self, sentence: str, **facts: object) -> None:
        """Tell the cashier that something has happened."""
        self.desktop.message = Message("done", self.say(sentence, **facts))

    # --- who

    def sign_in(self, who: str, pin: str) -> None:
        """Raises WrongPinError, WrongBadgeError, ReservedError. The session belongs to the browser that asked."""
        member = self.prove(who, pin)
        self.till.sign_in(member)
        # Nobody without the till's key can guess it, and the head it is made from holds this very sign-in.
        signer, head = self.till.desk.ports.signer, self.till.desk.ports.journal.head
        self.token = sha256(signer.sign(SESSION + head.digest.encode())).hexdigest()
        self.desktop = Desktop(training=False)

    def prove(self, who: str, pin: str) -> Staff:
        return self.staff.prove(who, pin, self.till.desk.ports.clock.counter())

    def sign_out(self) -> None:
        self.till.sign_out()
        self.token = ""
        self.desktop = Desktop()

    # --- devices

    def ask_devices(self) -> None:
        """Hear from control units and receipt paths. Only while no sale is open: a dead one takes its time to say nothing."""
        self.devices.units = self.till.checkout.probe_all()
        self.devices.paths = [(path, path.ready()) for path in self.till.desk.ports.paths]
        self._asked = self.till.desk.ports.clock.counter()

    def ask_devices_if_idle(self, every_ms: int) -> None:
        counter = self.till.desk.ports.clock.counter()
        if not self.till.desk.state.current and counter - self._asked >= every_ms:
            self.ask_devices()

    # --- the page

    def basket(self) -> Basket | None:
        return self.till.desk.state.baskets.get(self.till.desk.state.current)

    def door(self, refusal: str = "", *, piece: bool = False) -> str:
        """The sign-in page, or with `piece` only why it was refused. What the signed-in browser has is left alone."""
        message = Message("refused", refusal) if refusal else None
        about = {**self._about(), "desktop": Desktop(message=message)}
        if piece:
            return f'<div id="message" hx-swap-oob="innerHTML">{self._render("message.html", **about)}</div>'
        return self._render("sign_in.html", **about)

    def notice(self, text: str) -> str:
        """A page that says one thing, for a window of its own."""
        return self._render("notice.html", text=text, **self._about())

    def page(self) -> str:
        """The whole page; whatever any browser has from before is forgotten."""
        self._sent = Sent(self._sent.version + 1, self.language, *self._laid_out())
        regions = {name: Markup(html) for name, html in self._sent.regions.items()}  # noqa: S704 - laid out by our templates
        lines = Markup("").join(Markup(html) for html in self._sent.lines.values())  # noqa: S704 - the same
        return self._render("till.html", regions=regions, lines=lines, stamp=self._stamp(), **self._about())

    def changes(self, seen: int) -> str:
        """What differs from version `seen`, as pieces that find their own place."""
        before = self._sent
        if seen != before.version or self.language != before.language:
            before = Sent(before.version, self.language, {}, {})
            parts = ['<ol id="lines" hx-swap-oob="innerHTML"></ol>']
        else:
            parts = []
        regions, lines = self._laid_out()
        for number in before.lines.keys() - lines.keys():
            parts.append(f'<li id="line-{number}" hx-swap-oob="delete"></li>')
        for number, html in lines.items():
            if number not in before.lines:
                parts.append(f'<ol hx-swap-oob="beforeend:#lines">{html}</ol>')
            elif before.lines[number] != html:
                parts.append(html.replace("<li ", '<li hx-swap-oob="true" ', 1))
        for name, html in regions.items():
            if before.regions.get(name) != html:
                parts.append(f'<div id="{name}" hx-swap-oob="innerHTML">{html}</div>')
        self._sent = Sent(before.version + 1, self.language, regions, lines)
        parts.append(f'<div id="stamp" hx-swap-oob="innerHTML">{self._stamp()}</div>')
        return "".join(parts)

    def _stamp(self) -> Markup:
        sale = self.till.desk.state.current
        return Markup(
            '<input type="hidden" name="seen" value="{}"><input type="hidden" name="sale" value="{}">'
            '<data id="now" value="{}"></data>'
        ).format(self._sent.version, sale, self.till.desk.now())

    def _render(self, name: str, **values: Any) -> str:
        return self._environments[self.language].get_template(name).render(**values)

    def fragment(self, name: str, **values: Any) -> str:
        """One template on its own, for pages beside the till's."""
        return self._render(name, **self._about(), **values)

    # --- laying out

    def _laid_out(self) -> tuple[dict[str, str], dict[int, str]]:
        lines = self._line_pieces()
        about = self._about()
        return {
            name: self._pane(about) if name == "pane" else self._render(f"{name}.html", **about) for name in REGIONS
        }, lines

    def _pane(self, about: dict[str, Any]) -> str:
        """The pane; quick keys, which are there at nearly every scan and change with the minute at most, are kept."""
        desktop, state = self.desktop, self.till.desk.state
        if desktop.pane != "sell" or desktop.words or state.outage or not state.float_set:
            return self._render("pane.html", **about)
        key = (self.language, desktop.tab, self.till.desk.when())
        if self._keys is None or self._keys[0] != key:
            self._keys = (key, self._render("pane.html", **about))
        return self._keys[1]

    def _line_pieces(self) -> dict[int, str]:
        basket = self.basket()
        if basket is None:
            self._lines.clear()
            return {}
        pieces: dict[int, str] = {}
        for priced in self.till.desk.priced(basket).lines:
            number = priced.line.added.line
            kept = self._lines.get((self.language, number))
            if kept is None or kept[0] != priced:
                html = self._render("line.html", line=views.line_view(priced, sayer(self.language)))
                kept = (replace(priced, line=_copy(priced)), html)
                self._lines[self.language, number] = kept
            pieces[number] = kept[1]
        return pieces

    def _about(self) -> dict[str, Any]:
        """What every template may speak of."""
        state, desktop, words = self.till.desk.state, self.desktop, sayer(self.language)
        basket = self.basket()
        total = views.sum_view(basket, self.till.desk.priced(basket), words) if basket is not None else views.NO_SUM
        return {
            "state": state,
            "identity": state.identity,
            "desktop": desktop,
            "basket": basket,
            "sum": total,
            "role": role_words(state.role, self.language) if state.role else "",
            "lights": (
                *views_tenders.path_lights(self.till, words),
                *views.lights(self.till, self.devices, words),
            ),
            "asks": views_tenders.asks_outside(self.till, basket),
            "news": views_updates.news(self.till, self.updates, words),
            "guidance": views_updates.guidance(self.till, self.updates),
            "clock_text": views.clock_text(self.till),
            "counter": self,
        }

    # --- what panes ask for

    def left_ore(self, means: str = "") -> int:
        """What is left to pay of the open basket, as that means pays it."""
        desk = self.till.desk
        basket = desk.basket()
        left = left_to_pay(basket, desk.priced(basket))
        return cash_due(left) if means == CASH else left

    def ways(self) -> list[views_tenders.PathView]:
        """The paths that can be asked now, best first."""
        return views_tenders.path_views(self.till, self.basket(), sayer(self.language))

    def open_tender(self) -> views_tenders.OpenTender | None:
        return views_tenders.open_tender(self.till, self.basket(), sayer(self.language))

    def unclear(self) -> list[views_tenders.WaitingView]:
        return views_tenders.waiting_views(self.till, sayer(self.language))

    def quick_keys(self) -> list[views.ArticleView]:
        when, unit = self.till.desk.when(), self.desktop.tab
        return [views.article_view(a, when) for a in self.till.desk.ports.catalogue.quick_keys() if a.unit == unit]

    def found(self) -> list[views.ArticleView]:
        when = self.till.desk.when()
        return [views.article_view(article, when) for article in self.desktop.found]

    def suggestions(self, due_ore: int) -> tuple[int, ...]:
        return likely_cash(due_ore)

    def pieces(self, ore: int) -> str:
        """Change as the notes and coins to give: "1 × 50 + 2 × 10"."""
        return " + ".join(f"{count} × {denomination // 100}" for denomination, count in pieces(ore))

    def coded(self) -> tuple[str, ...]:
        """The means whose card or slip has a code to read, for the basket that is being paid."""
        basket = self.basket()
        if basket is None or basket.mode != "sale":
            return ()
        cards = any(path.means == "gift_card" for path in self.till.desk.ports.payments)
        return ("pant_voucher", "gift_card") if cards else ("pant_voucher",)

    def slip_lines(self) -> tuple[str, ...]:
        """The open basket as a reserve receipt lists it: quantity, name, amount."""
        basket = self.basket()
        if basket is None:
            return ()
        return tuple(
            f"{quantity(p.line.quantity_milli, p.line.added.unit)} {p.line.added.name}  {amount(p.net_ore)}"
            for p in self.till.desk.priced(basket).lines
        )

    def paper(self) -> list[Any]:
        """The lines of the receipt on screen."""
        shown = self.desktop.shown
        if shown is None:
            return []
        if self.desktop.pane != "done":
            return views.paper_lines(self.till.printing.to_see(shown))
        return views.paper_lines(self.till.printing.paper(shown, electronic=self.desktop.electronic))

    def sheet(self) -> list[Any]:
        """The lines of the report on screen."""
        return views.paper_lines(self.desktop.sheet) if self.desktop.sheet is not None else []

    def parked(self) -> list[tuple[int, str, int, str]]:
        """(sale, when it was opened, lines, total) of every parked basket; prices are those of now."""
        baskets = [b for b in self.till.desk.state.baskets.values() if b.state == "parked"]
        return [
            (
                b.sale,
                wall_clock(b.opened)[:16],
                len(b.standing()),
                amount(sum(line.amount_ore for line in b.standing())),
            )
            for b in baskets
        ]

    def keepers(self) -> list[views.KeeperView]:
        """Who keeps what this till wrote."""
        return views.keeper_views(self.till, sayer(self.language))

    def refusal(self) -> str:
        """Why no new sale begins, "" while one may."""
        refusal = self.till.desk.ports.copies.refusal()
        return explain(refusal, self.language) if refusal is not None else ""

    def updates_view(self) -> views_updates.UpdatesView | None:
        """What runs and what waits; None at a till that takes no updates."""
        return views_updates.updates_view(self.updates, sayer(self.language)) if self.updates is not None else None

    def idle(self) -> bool:
        """No question is open and no pane that a customer waits at."""
        desktop = self.desktop
        return desktop.dialog is None and desktop.unknown is None and desktop.pane in CLOSED

    def standing(self) -> views.Standing:
        return views.standing(self.till)

    def elsewhere(self) -> list[tuple[Parked, str, str]]:
        """Baskets at other tills as they were last heard of: (basket, when it was parked, total)."""
        return [(one, wall_clock(one.since)[:16], amount(one.total_ore)) for one in self.desktop.elsewhere]

    @property
    def denominations(self) -> tuple[int, ...]:
        return DENOMINATIONS

    def copied(self) -> bool:
        shown = self.desktop.shown
        return shown is None or shown.series != NORMAL or shown.number in self.till.desk.state.copied


def _copy(priced: PricedLine) -> Any:
    """The line as it is now: the basket changes it in place."""
    line = priced.line
    return type(line)(line.added, line.time, line.quantity_milli, line.amount_ore, line.voided)
