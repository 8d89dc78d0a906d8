"""Deeds of a sale: what each button, key and scan of the page asks the till to do.

A deed reads the form, asks the till, and says which pane comes next; refusals are raised and shown by whoever called. The table at the
end is the whole list. Leaves the drawer, the day and returns to `web_day.py`, and what somebody outside decides to `web_tenders.py`.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable

from oppet.base.errors import OppetError, UnavailableError
from oppet.base.money import kronor, parse_milli, thousandths
from oppet.base.words import N_
from oppet.goods.errors import UnreadableCodeError
from oppet.journal.kinds import Elsewhere, LineAdded
from oppet.paper.electronic import PREFIX
from oppet.paper.sheet import amount
from oppet.payments.giftcard import NotAGiftCardError, card_token
from oppet.payments.means import means
from oppet.payments.vouchers import NotAVoucherError, read_voucher
from oppet.register.checkout import Outcome
from oppet.register.errors import NeedsQuantityError, NotPossibleNowError, TakenElsewhereError
from oppet.sale import basket as baskets
from oppet.sale.errors import AgeNotCheckedError
from oppet.sale.rights import Staff
from oppet.till.views_tenders import open_attempt
from oppet.till.web_counter import Counter, Desktop, Dialog, Form, Message, Unknown

__all__ = ["DEEDS", "Deed", "after", "go", "pay", "unexpected"]

Deed = Callable[[Counter, Form, Staff | None], None]
TIMES = re.compile(r"\s*([0-9]{1,4}(?:[.,][0-9]{1,3})?)\s*[*x×]\s*(.+)", re.DOTALL)
MOST_FOUND = 24
CODED = ("gift_card", "pant_voucher")  # means whose slip or card has a code to read
LOG = logging.getLogger("oppet.till.web")


# --- goods in -----------------------------------------------------------------------------------------------------


def scan(counter: Counter, form: Form, _: Staff | None) -> None:
    """A code, "3*" and a code, the code of a receipt (a return), or words to search for."""
    text = form.text("text")
    quantity = form.milli("quantity") if form.has("quantity") else None
    if (times := TIMES.fullmatch(text)) is not None:
        quantity, text = parse_milli(times[1]), times[2]
    basket = counter.basket()
    if text.startswith(PREFIX) and (basket is None or basket.mode == "return"):  # shown again, as after a restart
        counter.desktop.pane = "return"
        counter.till.returns.begin(text.strip())
        counter.desktop.pane = "back"
        return
    if basket is not None and basket.mode == "sale" and (name := _money_in(counter, text)):
        _by_code(counter, name, text, counter.desktop.electronic)
        return
    try:
        _ready_for_goods(counter)
        _added(counter, counter.till.selling.scan(text, quantity))
    except NeedsQuantityError as weighed:
        _ask_weight(counter, str(weighed.facts["name"]), {"text": text}, "scan")
    except UnreadableCodeError:
        if not _looks_like_words(text):
            raise
        _search(counter, text)


def pick(counter: Counter, form: Form, _: Staff | None) -> None:
    """An article chosen by quick key or from a search."""
    number = form.text("article", 40)
    try:
        _ready_for_goods(counter)
        _added(counter, counter.till.selling.pick(number, form.milli("quantity") if form.has("quantity") else None))
    except NeedsQuantityError as weighed:
        _ask_weight(counter, str(weighed.facts["name"]), {"article": number}, "pick")


def _ready_for_goods(counter: Counter) -> None:
    if counter.desktop.unknown is not None:
        raise NotPossibleNowError(
            action=N_("Adding goods"), why=N_("the last customer's reserve receipt is not written")
        )
    if counter.desktop.training and not counter.till.desk.state.current:
        counter.till.selling.begin("training")


def _added(counter: Counter, line: LineAdded) -> None:
    desktop = counter.desktop
    if desktop.pane not in ("sell", "pay"):
        desktop.pane = "sell"
    desktop.words, desktop.found, desktop.shown = "", (), None
    notice = counter.till.selling.notice
    if notice is not None and notice.recall:
        text = N_("{name}: compare the pack with this recall before you sell it: {recall}")
        desktop.message = Message("trouble", counter.say(text, name=line.name, recall=notice.recall))
    elif notice is not None and notice.reason == "best_before_passed" and not line.markdown_percent:
        text = N_("{name}: best before {date} has passed. Show the customer, or set it aside.")
        desktop.message = Message("trouble", counter.say(text, name=line.name, date=notice.date))
    elif line.age:
        counter.done(N_("{name}: age limit {limit} years, checked before payment."), name=line.name, limit=line.age)
    elif line.markdown_percent:
        counter.done(N_("{name}: short date, less {percent} %."), name=line.name, percent=line.markdown_percent)


def _ask_weight(counter: Counter, name: str, about: dict[str, str], deed: str) -> None:
    counter.desktop.dialog = Dialog("weight", {"name": name, "fields": about, "deed": deed})


def _looks_like_words(text: str) -> bool:
    return len(text) <= 100 and text.isprintable() and any(c.isalpha() for c in text)


def search(counter: Counter, form: Form, _: Staff | None) -> None:
    _search(counter, form.text("words", 100))


def _search(counter: Counter, words: str) -> None:
    desktop = counter.desktop
    desktop.pane = "sell"
    desktop.words = words.strip()[:100]
    desktop.found = tuple(counter.till.desk.ports.catalogue.search(words, MOST_FOUND))
    if not desktop.found and desktop.words:
        desktop.message = Message("refused", counter.say(N_("Nothing is called “{words}”."), words=desktop.words))
        desktop.words = ""


def ask_price(counter: Counter, form: Form, _: Staff | None) -> None:
    """What something costs, without selling it."""
    article, ore = counter.till.selling.ask_price(form.text("text"))
    per = counter.say(N_("kr/kg")) if article.unit == "kg" else counter.say(N_("kr"))
    counter.done(N_("{name} costs {price} {per}."), name=article.name, price=amount(ore), per=per)


# --- lines --------------------------------------------------------------------------------------------------------


def change(counter: Counter, form: Form, approval: Staff | None) -> None:
    counter.till.selling.change(form.whole("line"), form.milli("quantity"), approval)


def void(counter: Counter, form: Form, approval: Staff | None) -> None:
    line = form.whole("line")
    basket = counter.till.desk.basket()
    found = basket.lines.get(line)
    counter.till.selling.void(line, approval)
    if found is not None:
        counter.done(N_("{name} is taken off."), name=found.added.name)


def discount(counter: Counter, form: Form, approval: Staff | None) -> None:
    """A percentage or an amount, on a line or (line 0) on the whole basket, with its reason."""
    percent = form.whole("percent")
    ore = form.ore("amount") if form.has("amount") else 0
    given = counter.till.selling.discount(form.whole("line"), percent, ore, form.text("reason", 60), approval)
    counter.done(N_("Discount given: {reason}."), reason=given.reason)


def withdraw(counter: Counter, form: Form, _: Staff | None) -> None:
    counter.till.selling.withdraw_discount(form.whole("discount"))


def member(counter: Counter, form: Form, _: Staff | None) -> None:
    token = form.text("token", 100).strip()
    counter.till.selling.member(token)
    counter.done(N_("Membership is shown: member prices apply.") if token else N_("Membership is taken off the sale."))


# --- whole baskets ------------------------------------------------------------------------------------------------


def park(counter: Counter, _: Form, __: Staff | None) -> None:
    sale = counter.till.selling.park()
    counter.desktop.pane = "sell"
    counter.done(N_("Basket {sale} is parked."), sale=sale)


def resume(counter: Counter, form: Form, _: Staff | None) -> None:
    counter.till.selling.resume(form.whole("number"))
    counter.desktop.pane = "back" if counter.till.desk.basket().mode == "return" else "sell"
    if counter.till.desk.basket().state != baskets.OPEN:
        go(counter, Form({"pane": "sell"}), None)


def take_over(counter: Counter, form: Form, approval: Staff | None) -> None:
    """A basket parked at another till goes on here."""
    at = Elsewhere(form.text("till", 40), form.whole("epoch"), form.whole("number"))
    try:
        counter.till.selling.take_over(at, approval)
    except TakenElsewhereError:
        _look_elsewhere(counter)
        raise
    counter.desktop.elsewhere = tuple(one for one in counter.desktop.elsewhere if one.at != at)
    counter.desktop.pane = "sell"
    counter.done(N_("The basket from till {till} goes on here."), till=at.till)


def _look_elsewhere(counter: Counter) -> None:
    """Ask what is parked at the other tills; a node that is silent is said so, and the till's own list stands."""
    desktop = counter.desktop
    try:
        desktop.elsewhere, desktop.asked_elsewhere = tuple(counter.till.selling.parked_elsewhere()), True
    except UnavailableError:
        desktop.elsewhere, desktop.asked_elsewhere = (), False


def abandon(counter: Counter, form: Form, approval: Staff | None) -> None:
    counter.till.selling.abandon(
        form.text("reason", 60).strip() or counter.say(N_("The customer changed their mind")), approval
    )
    counter.desktop.pane = "sell"
    counter.done(N_("The basket is abandoned. Nothing was sold."))


# --- payment ------------------------------------------------------------------------------------------------------


def _money_in(counter: Counter, text: str) -> str:
    """The means of payment that a code is: a pant voucher, or a gift card where a till takes them; "" for goods."""
    with contextlib.suppress(NotAGiftCardError):
        if any(path.means == "gift_card" for path in counter.till.desk.ports.payments) and card_token(text):
            return "gift_card"
    with contextlib.suppress(NotAVoucherError):
        read_voucher(text, counter.till.desk.rules.vouchers)
        return "pant_voucher"
    return ""


def _by_code(counter: Counter, name: str, code: str, electronic: bool, given_ore: int = 0) -> None:
    """Take a pant voucher whose code was read, or ask for money from a gift card."""
    desktop, tenders = counter.desktop, counter.till.tenders
    desktop.electronic = electronic
    if name != "gift_card":
        goods = counter.slip_lines()
        after(counter, tenders.voucher(code, electronic=electronic), goods)
        return
    tenders.gift_card(code, given_ore)
    counter.till.printing.wish(electronic=electronic)
    desktop.pane = "tender"


def pay(counter: Counter, form: Form, approval: Staff | None) -> None:
    """Take a tender; the one that pays what is left gives the receipt. An age limit asks its question first."""
    name = form.text("means", 20)
    means(name)
    given = form.ore("given") if form.has("given") else counter.left_ore(name)
    electronic = form.text("receipt", 20) == "electronic"
    back = counter.till.desk.basket().mode == "return"
    goods = counter.slip_lines()
    code = form.text("code", 64).strip()
    reference = form.text("reference", 40)
    try:
        if code and name in CODED and not back:
            _by_code(counter, name, code, electronic, given)
            return
        outcome = counter.till.checkout.pay(name, given, reference, electronic=electronic, approval=approval)
    except AgeNotCheckedError as unchecked:
        fields = {"means": name, "given": kronor(given), "receipt": form.text("receipt", 20)}
        fields |= {"reference": reference, "code": code}
        counter.desktop.dialog = Dialog("age", {"limit": unchecked.facts["limit"], "fields": fields})
        return
    counter.desktop.electronic = electronic
    after(counter, outcome, goods)
    counter.desktop.back_ore = counter.till.desk.state.last_total_ore if back and outcome.kind == "done" else 0


def finish(counter: Counter, _: Form, __: Staff | None) -> None:
    after(counter, counter.till.checkout.finish())


def after(counter: Counter, outcome: Outcome, goods: tuple[str, ...] = ()) -> None:
    """What the cashier sees of an outcome."""
    desktop = counter.desktop
    if outcome.kind == "more":
        desktop.pane = "pay"
    elif outcome.kind == "done":
        desktop.pane, desktop.shown = "done", counter.till.desk.state.last_receipt
        desktop.words, desktop.found = "", ()
        if counter.till.printing.trouble:
            desktop.message = Message("trouble", counter.till.printing.trouble)
    elif outcome.kind == "code_unknown":
        desktop.pane = "unknown"
        state = counter.till.desk.state
        case = max((case.case for case in state.cases.values() if case.about == "code_unknown"), default=0)
        desktop.unknown = Unknown(case, state.last_total_ore, outcome.change_ore, goods)
    else:
        desktop.pane = "outage"
        text = N_("No control unit registered the sale. Cash goes back to the customer; the reserve routine applies.")
        desktop.message = Message("trouble", counter.say(text))


def slip_written(counter: Counter, _: Form, __: Staff | None) -> None:
    """The reserve receipt is written and the change given: the next customer."""
    counter.desktop.unknown, counter.desktop.pane = None, "sell"


def copy(counter: Counter, form: Form, _: Staff | None) -> None:
    """The one copy the law allows."""
    after(
        counter, counter.till.checkout.copy(form.whole("number"), electronic=form.text("receipt", 20) == "electronic")
    )


def show_receipt(counter: Counter, form: Form, _: Staff | None) -> None:
    """An older receipt on screen, by its number."""
    filed = counter.till.desk.filed("normal", form.whole("number"))
    last = counter.till.desk.state.last_receipt
    if filed is None or last is None:
        counter.desktop.message = Message("refused", counter.say(N_("There is no such receipt at this till.")))
        return
    counter.desktop.shown = type(last)("normal", form.whole("number"))
    counter.desktop.pane = "receipt"


def print_waiting(counter: Counter, _: Form, __: Staff | None) -> None:
    """Receipts that wait for paper are tried again."""
    counter.till.printing.print_all()
    if counter.till.printing.trouble:
        counter.desktop.message = Message("trouble", counter.till.printing.trouble)
    else:
        counter.done(N_("Everything is printed."))


# --- which pane, which dialog -------------------------------------------------------------------------------------

PANES = {
    "sell",
    "pay",
    "tender",
    "tenders",
    "parked",
    "day",
    "count",
    "cash",
    "return",
    "back",
    "outage",
    "done",
    "receipt",
    "sheet",
    "time",
    "updates",
}
DIALOGS = {"line", "discount", "member", "price", "abandon", "more", "z"}


def go(counter: Counter, form: Form, _: Staff | None) -> None:
    """Open a pane: nothing happens at the till."""
    desktop, pane, basket = counter.desktop, form.text("pane", 20), counter.basket()
    if pane == "sell" and basket is not None:
        pane = "back" if basket.mode == "return" else "sell"
        if basket.state != baskets.OPEN:
            pane = "pay" if open_attempt(counter.till, basket) is None else "tender"
    if pane in PANES:
        desktop.pane = pane
    if pane == "pay" and basket is not None and basket.state == baskets.OPEN:
        _before_money(counter, form)
    if pane == "count":
        desktop.counted = None
    if pane == "parked":
        _look_elsewhere(counter)
    if form.has("means"):
        desktop.means = means(form.text("means", 20)).name
    if form.has("tab"):
        desktop.tab = "kg" if form.text("tab", 2) == "kg" else "st"
    desktop.words, desktop.found = "", ()


def _before_money(counter: Counter, form: Form) -> None:
    """Age and control unit are asked about before the cashier asks for a card."""
    try:
        counter.till.checkout.may_pay()
    except AgeNotCheckedError as unchecked:
        fields = {"pane": "pay"}
        counter.desktop.pane = "sell"
        if form.has("means"):
            counter.desktop.means = means(form.text("means", 20)).name
        counter.desktop.dialog = Dialog("age", {"limit": unchecked.facts["limit"], "fields": fields})
    except OppetError:
        counter.desktop.pane = "outage" if counter.till.desk.state.outage else "sell"
        raise


def ask(counter: Counter, form: Form, _: Staff | None) -> None:
    """Open a dialog."""
    name = form.text("dialog_name", 20)
    if name not in DIALOGS:
        return
    number = form.whole("line")
    if name == "line" and not number:  # the key for it means the newest goods
        number = max(
            (n for n, at in counter.till.desk.basket().lines.items() if not (at.voided or at.added.pant_of)), default=0
        )
    about: dict[str, object] = {"line": number}
    if name in ("line", "discount") and number:
        line = counter.till.desk.basket().lines.get(number)
        if line is None or line.voided or line.added.pant_of:
            return
        about |= {"name": line.added.name, "unit": line.added.unit, "quantity": thousandths(line.quantity_milli)}
    counter.desktop.dialog = Dialog(name, about)


def close(counter: Counter, _: Form, __: Staff | None) -> None:
    """Close whatever question stood in front."""


def training(counter: Counter, _: Form, __: Staff | None) -> None:
    """Training on or off; an empty training basket goes with it."""
    basket = counter.basket()
    desktop = counter.desktop
    if basket is not None and basket.mode == "training" and not basket.standing():
        counter.till.selling.abandon(counter.say(N_("Training ended")))
    counter.desktop = Desktop(training=not desktop.training)
    counter.done(
        N_("Training: nothing here is a sale.")
        if counter.desktop.training
        else N_("Training is over: sales count again.")
    )


def unexpected(counter: Counter) -> str:
    """Our own mistake: the trace goes to the log, what we know is read from the journal again, and the page says what to do."""
    LOG.error("a deed failed", exc_info=True)  # noqa: LOG014 - called by handlers only
    try:
        counter.till.desk.mend()
    except OppetError:
        LOG.exception("the journal could not be read again")
    return counter.say(
        N_(
            "Something went wrong in the till. Nothing written is lost. Look at the basket, try once more, then call operations."
        )
    )


DEEDS: dict[str, Deed] = {
    deed.__name__.replace("_", "-"): deed
    for deed in (
        scan, pick, search, ask_price, change, void, discount, withdraw, member, park, resume, abandon, pay, finish,
        take_over, copy, show_receipt, print_waiting, go, ask, close, training, slip_written,
    )
}  # fmt: skip
