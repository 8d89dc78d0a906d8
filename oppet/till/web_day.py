"""Deeds around the sales: the drawer and the day, goods coming back, the clock, control units, the reserve routine, updates.

Each asks the till and says which pane comes next, as in `web_sale.py`. Nothing is decided here.
"""

from __future__ import annotations

import contextlib
from datetime import datetime

from oppet.base.clock import SWEDEN
from oppet.base.errors import RefusedError, UnavailableError
from oppet.base.words import N_
from oppet.drivers.words import sayer
from oppet.journal.kinds import ReportMade
from oppet.paper.reports import report_paper
from oppet.paper.sheet import amount
from oppet.payments.means import DENOMINATIONS
from oppet.sale.rights import Staff, approver
from oppet.till.views_updates import Updates
from oppet.till.web_counter import Counter, Form, Message
from oppet.till.web_sale import Deed

__all__ = ["DEEDS"]


class NotATimeError(RefusedError):
    sentence = N_("“{text}” is not a date and time. Write it as 2026-11-22 14:30.")


class NoUpdatesError(RefusedError):
    sentence = N_("This till takes no updates: its settings name no roots.")


class NotANonceError(RefusedError):
    sentence = N_("“{text}” is not such a word: digits and the letters a–f, at most 64.")


def float_(counter: Counter, form: Form, approval: Staff | None) -> None:
    ore = form.ore("amount")
    counter.till.drawer.set_float(ore, approval)
    counter.desktop.pane = "sell"
    counter.done(N_("The float of {amount} kr is registered. The till is open."), amount=amount(ore))


def cash(counter: Counter, form: Form, approval: Staff | None) -> None:
    """Cash to the safe, or change brought in."""
    ore = form.ore("amount")
    sign = 1 if form.text("direction", 3) == "in" else -1
    counter.till.drawer.move(sign * ore, form.text("reason", 60), approval)
    counter.desktop.pane = "day"
    said = N_("{amount} kr put into the drawer.") if sign > 0 else N_("{amount} kr taken out of the drawer.")
    counter.done(said, amount=amount(ore))


def drawer(counter: Counter, form: Form, approval: Staff | None) -> None:
    opened = counter.till.drawer.open(form.text("reason", 60), approval)
    if opened:
        counter.done(N_("The drawer is open. The opening is in the journal."))
    else:
        counter.desktop.message = Message(
            "trouble", counter.say(N_("No drawer answered. The opening is in the journal."))
        )


def count(counter: Counter, form: Form, _: Staff | None) -> None:
    pieces = {d: form.whole(f"pieces_{d}") for d in DENOMINATIONS if form.has(f"pieces_{d}")}
    counter.desktop.counted = counter.till.drawer.count(pieces)
    counter.desktop.pane = "count"


def x(counter: Counter, _: Form, __: Staff | None) -> None:
    _show(counter, counter.till.drawer.x())


def z(counter: Counter, _: Form, approval: Staff | None) -> None:
    with contextlib.suppress(UnavailableError):
        counter.till.selling.parked_elsewhere()  # what went on at another till is none of this day's unfinished sales
    made = counter.till.drawer.z(approval)
    _show(counter, made)
    counter.desktop.counted = None
    counter.done(N_("The day is closed with Z report {number}."), number=made.number)


def _show(counter: Counter, made: ReportMade) -> None:
    counter.desktop.sheet = report_paper(made, counter.till.desk.state.time, sayer(counter.language))
    counter.desktop.pane, counter.desktop.letter = "sheet", ""
    if counter.till.printing.trouble:
        counter.desktop.message = Message("trouble", counter.till.printing.trouble)


# --- goods coming back --------------------------------------------------------------------------------------------


def return_(counter: Counter, form: Form, approval: Staff | None) -> None:
    receipt = counter.till.returns.begin(form.text("original"), approval)
    counter.desktop.pane = "back"
    counter.done(N_("Return against receipt {number}. Choose what comes back."), number=receipt.number)


def take(counter: Counter, form: Form, _: Staff | None) -> None:
    counter.till.returns.take(form.whole("line"), form.milli("quantity"))
    counter.desktop.pane = "back"


# --- clock, control units, reserve routine ------------------------------------------------------------------------


def time(counter: Counter, form: Form, approval: Staff | None) -> None:
    """A supervisor says what time it is; an empty field confirms the clock."""
    text = form.text("moment", 40).strip().replace("T", " ")
    instant = None
    if text:
        try:
            moment = datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=SWEDEN)
        except ValueError:
            raise NotATimeError(text=text) from None
        instant = int(moment.timestamp()) * 1000
    counter.till.desk.confirm_time(instant, approval)
    counter.desktop.pane = "day"
    counter.done(N_("Date and time are confirmed."))


def open_unit(counter: Counter, form: Form, approval: Staff | None) -> None:
    counter.till.checkout.open_unit(form.text("unit", 40), approval)
    counter.ask_devices()
    counter.done(N_("The control unit is in use again."))


def end_outage(counter: Counter, form: Form, approval: Staff | None) -> None:
    slips_ore = form.ore("slips_amount") if form.has("slips_amount") else 0
    counter.till.checkout.end_outage(form.whole("slips"), slips_ore, approval)
    counter.ask_devices()
    counter.desktop.pane = "sell"
    counter.done(N_("The reserve routine is over. The till sells again."))


def settle(counter: Counter, form: Form, approval: Staff | None) -> None:
    """A case about money without a receipt is settled by the reserve receipt the customer got."""
    counter.till.reserve.settle(form.whole("case"), form.whole("slip"), approval)
    counter.done(N_("The case is settled by reserve receipt {slip}."), slip=form.whole("slip"))


def outage_papers(counter: Counter, _: Form, __: Staff | None) -> None:
    """The note of the last outage, and what Skatteverket is told; a person sends it."""
    found = counter.till.reserve.papers()
    if found is not None:
        counter.desktop.sheet, counter.desktop.letter = found
        counter.desktop.pane = "sheet"


def devices(counter: Counter, _: Form, __: Staff | None) -> None:
    """Ask control units and printers now."""
    counter.ask_devices()


# --- what comes down ----------------------------------------------------------------------------------------------


def _updates(counter: Counter) -> Updates:
    if counter.updates is None:
        raise NoUpdatesError
    return counter.updates


def freeze(counter: Counter, form: Form, approval: Staff | None) -> None:
    """A supervisor stops installs in this till, or allows them again."""
    updates, on = _updates(counter), form.text("on", 3) == "yes"
    by = approver("installs", counter.till.desk.staff(), approval)
    updates.intake.freeze(on=on, by=by)
    counter.done(N_("New releases are stopped at this till.") if on else N_("New releases are allowed again."))


def attest(counter: Counter, form: Form, _: Staff | None) -> None:
    """Somebody who checks this till gives it a word, and finds it in the signed journal with what runs here."""
    nonce = form.text("nonce", 64).strip().lower()
    if not nonce or len(nonce) > 64 or set(nonce) - set("0123456789abcdef"):
        raise NotANonceError(text=nonce)
    _updates(counter).intake.ask(nonce)
    counter.done(N_("The till says in its journal within a minute what it runs, with this word."))


def look_now(counter: Counter, _: Form, __: Staff | None) -> None:
    _updates(counter).takers.look()
    counter.done(N_("The till looks for publications now."))


def seen(counter: Counter, _: Form, __: Staff | None) -> None:
    """The cashier has read it."""
    updates = _updates(counter)
    refused = updates.intake.ledger.refused
    updates.seen = refused[-1].time if refused else ""


DEEDS: dict[str, Deed] = {
    deed.__name__.rstrip("_").replace("_", "-"): deed
    for deed in (
        float_,
        cash,
        drawer,
        count,
        x,
        z,
        return_,
        take,
        time,
        open_unit,
        end_outage,
        settle,
        outage_papers,
        devices,
        freeze,
        attest,
        look_now,
        seen,
    )
}
