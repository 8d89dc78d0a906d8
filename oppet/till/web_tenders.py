"""Payments that somebody outside decides, at the page: asked for, stopped, vouched for, given back; and the ticking that hears of them.

One small thread calls `Tenders.tick` under the counter's lock: often while something is open, seldom otherwise. It waits for nobody, and
no scan and no cash sale ever waits for it (PT8). What it finds rings the pages' bell; a disk that failed is told where other deeds tell
it. What is shown is `views_tenders.py`'s, what a state means `payments/tender.py`'s.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from oppet.base.errors import OppetError, RefusedError
from oppet.base.money import kronor
from oppet.base.words import N_
from oppet.drivers.words import explain, sayer
from oppet.payments import board
from oppet.payments.means import CASH, MEANS, means
from oppet.payments.paths import DOWN, Rings
from oppet.payments.tender import APPROVED, AT_RISK, DECLINED, PARTIAL, REVERSAL_FAILED, REVERSED, Attempt
from oppet.register.checkout import Outcome
from oppet.sale.errors import AgeNotCheckedError
from oppet.sale.rights import Staff
from oppet.till import views_tenders
from oppet.till.web_counter import Counter, Dialog, Form, Message
from oppet.till.web_sale import Deed, after, go, pay, unexpected

__all__ = ["DEEDS", "NoPathNowError", "OnlyAloneError", "Ticker", "look"]

OPEN_MS, IDLE_MS = 250, 1_000  # between two ticks
MOST_LEFT = 80  # ticks that the next release is given to load, some twenty seconds
END_S = 5.0
LOG = logging.getLogger("oppet.till.web")


class NoPathNowError(RefusedError):
    sentence = N_("No way of paying by {means} works now. Take cash, or choose another way here.")


class OnlyAloneError(RefusedError):
    sentence = N_(
        "The card terminal does not reach the bank. It may approve alone, within a limit and at the store's risk: choose that here, or "
        "take cash."
    )


# --- asking, stopping, vouching ---------------------------------------------------------------------------------------


def charge(counter: Counter, form: Form, _: Staff | None) -> None:
    """Ask for money, or in a return for giving it back: at the path that is named, else at the best of a means."""
    desktop, till = counter.desktop, counter.till
    if form.has("means"):
        desktop.means = means(form.text("means", 20)).name
    given = form.ore("given") if form.has("given") else counter.left_ore()
    desktop.electronic = form.text("receipt", 20) == "electronic"
    try:
        till.checkout.may_pay()
        name = form.text("path", 40) or _best(counter, desktop.means)
        till.printing.wish(electronic=desktop.electronic)
        till.tenders.ask(name, given, offline=form.text("alone", 3) == "yes")
    except AgeNotCheckedError as unchecked:
        fields = {name: form.text(name, 40) for name in ("means", "path", "alone", "receipt")}
        fields |= {"given": kronor(given), "then": "charge"}
        desktop.dialog = Dialog("age", {"limit": unchecked.facts["limit"], "fields": fields})
        return
    except OppetError:
        if counter.basket() is not None and not till.desk.state.outage:
            _to_pay(counter)
        raise
    desktop.pane = "tender"
    look(counter)


def _best(counter: Counter, name: str) -> str:
    """The path to take by itself: it works, and nothing is open there. Raises NoPathNowError, OnlyAloneError."""
    found = views_tenders.offered(counter.till, counter.basket())
    free = [(path, now) for path, now in found if views_tenders.busy(counter.till, path) is None]
    best = board.choose(free, name)
    if best is None:
        raise NoPathNowError(means=counter.say(MEANS[name].sentence))
    if best.now().state == DOWN and not best.by_hand:
        raise OnlyAloneError
    return best.name


def stop(counter: Counter, form: Form, _: Staff | None) -> None:
    """Ask the outside to stop. It may already have gone through, and the page says so."""
    tender = form.whole("tender")
    look(counter, lambda: counter.till.tenders.abort(tender))


def vouch(counter: Counter, form: Form, _: Staff | None) -> None:
    """The cashier has looked at the customer's phone."""
    tender, paid = form.whole("tender"), form.text("seen_paid", 3) == "yes"
    look(counter, lambda: counter.till.tenders.vouch(tender, paid=paid))


def take_back(counter: Counter, form: Form, _: Staff | None) -> None:
    """A payment goes back before the receipt: by the path that took it, or confirmed by hand where there is none."""
    tender, basket = form.whole("tender"), counter.till.desk.basket()
    if tender in basket.asked:
        counter.desktop.pane = "tender"
        look(counter, lambda: counter.till.tenders.give_back(tender))
        return
    counter.till.tenders.give_back(tender)
    counter.done(N_("The payment is taken back. Card and Swish: check on the terminal that the money is returned."))


def set_aside(counter: Counter, form: Form, approval: Staff | None) -> None:
    """A terminal that is gone or has forgotten: a supervisor frees its path, and head office settles what is unknown."""
    counter.till.tenders.set_aside(form.whole("number"), form.whole("tender"), approval)
    counter.done(N_("The payment is set aside: its terminal takes the next one. Head office settles it."))


def age(counter: Counter, form: Form, approval: Staff | None) -> None:
    """The answer of the age dialog; after a yes the payment that waited for it is taken or asked for."""
    passed = form.text("passed", 3) == "yes"
    counter.till.selling.check_age(passed=passed)
    if not passed:
        counter.desktop.pane = "sell"
        text = counter.say(N_("Not old enough: take the goods with an age limit off before payment."))
        counter.desktop.message = Message("refused", text)
    elif form.text("then", 10) == "charge":
        charge(counter, form, approval)
    elif form.has("means"):
        pay(counter, form, approval)
    else:
        go(counter, form, approval)


DEEDS: Mapping[str, Deed] = {
    "charge": charge,
    "stop": stop,
    "vouch": vouch,
    "take-back": take_back,
    "set-aside": set_aside,
    "age": age,
}


# --- hearing ----------------------------------------------------------------------------------------------------------


def look(counter: Counter, act: Callable[[], object] = lambda: None) -> bool:
    """Do something, take what was answered, and put both on the page; whether anything is to be shown anew.

    What `act` raises is the caller's to show. The caller has the counter's lock.
    """
    till, desktop = counter.till, counter.desktop
    here = till.desk.state.current
    standing = counter.basket()
    mine = standing.asked.values() if standing is not None else ()  # one that is over may still be given back
    before = {one.key: one.state for one in (*mine, *till.desk.state.attempts())}
    act()
    stood = desktop.message
    goods = counter.slip_lines() if any(sale == here for sale, _ in before) else ()
    try:
        till.tenders.tick()
    except OppetError as error:
        _trouble(counter, explain(error, counter.language))
        return desktop.message != stood
    except Exception:  # noqa: BLE001 - our own mistake: logged, and said in words
        _trouble(counter, unexpected(counter))
        return True
    if desktop.disk is not None:  # it is well again
        desktop.message = None if desktop.message is desktop.disk else desktop.message
        desktop.disk = None
    for (sale, tender), state in before.items():
        attempt = till.desk.state.attempt(sale, tender)
        if sale != here:
            _settled(counter, attempt)
        elif attempt is not None and attempt.state != state:
            _moved(counter, attempt)
    if (outcome := till.tenders.outcome) is not None:
        till.tenders.outcome = None
        _finished(counter, outcome, goods)
    pulse, desktop.pulse = desktop.pulse, views_tenders.pulse(till)
    return pulse != desktop.pulse or stood is not desktop.message


def _trouble(counter: Counter, text: str) -> None:
    """What went wrong while nobody did anything; a question that is open is not disturbed by it: the next deed says the same."""
    if counter.desktop.dialog is None:
        counter.desktop.message = counter.desktop.disk = Message("trouble", text)


def _finished(counter: Counter, outcome: Outcome, goods: tuple[str, ...]) -> None:
    """The sale was paid by what was just heard."""
    desktop, state = counter.desktop, counter.till.desk.state
    if outcome.why is not None:
        desktop.pane = "outage" if state.outage else "pay"
        desktop.message = Message("trouble", explain(outcome.why, counter.language))
        return
    after(counter, outcome, goods)
    if outcome.kind == "done":
        filed = counter.till.desk.filed("normal", outcome.number)
        desktop.back_ore = state.last_total_ore if getattr(filed and filed.body, "kind", "") == "return" else 0


def _settled(counter: Counter, attempt: Attempt | None) -> None:
    """A payment of an earlier sale, or of a parked basket, is no longer unclear."""
    if (attempt is None or attempt.over) and counter.desktop.dialog is None:
        counter.done(N_("An earlier payment that was unclear is settled. Nothing is to be done."))


def _moved(counter: Counter, attempt: Attempt) -> None:
    """Say what became of a tender of the basket in front of the cashier, and which pane comes next."""
    desktop, say = counter.desktop, sayer(counter.language)
    facts = {"means": say(MEANS[attempt.means].sentence), "amount": kronor(attempt.approved_ore)}
    kind, text = _TOLD.get(attempt.state, ("", ""))
    if attempt.state == DECLINED:
        desktop.message = Message("refused", views_tenders.refusal(attempt, say))
    elif text and (attempt.state not in PAID or attempt.taken):
        desktop.message = Message(kind, counter.say(text, **facts))
    if desktop.pane == "tender" and views_tenders.open_attempt(counter.till, counter.basket()) is None:
        _to_pay(counter)  # a cashier who has turned to something else stays there


def _to_pay(counter: Counter) -> None:
    """Choose again, with cash in front: no key that is pressed once more confirms by hand what was not paid."""
    counter.desktop.pane, counter.desktop.means = "pay", CASH


PAID = (APPROVED, AT_RISK, PARTIAL)
_TOLD = {
    REVERSED: ("done", N_("{means}: the money is given back.")),
    REVERSAL_FAILED: ("trouble", N_("{means}: it could not be given back. There is a case for head office.")),
    PARTIAL: ("trouble", N_("{means}: only {amount} kr were approved. The rest is left to pay.")),
    APPROVED: ("done", N_("{means}: {amount} kr are paid.")),
    AT_RISK: ("done", N_("{means}: {amount} kr are taken, and not confirmed.")),
}


class Ticker:
    """The one thread that hears of tenders and of what comes down, from the start of the app to its end; none where neither is set."""

    def __init__(self, counter: Counter, ring: Callable[[], None], leave: Callable[[], None] = lambda: None) -> None:
        """`leave` ends the program: a new release is to start."""
        self.counter = counter
        self._ring = ring
        self._leave = leave
        self._left = 0  # ticks since the page says that the till goes over
        self._over = threading.Event()
        self._bell = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        for path in self.counter.till.desk.ports.payments:
            if isinstance(path, Rings):
                path.bell = self._bell.set
        if self.counter.till.desk.ports.payments or self.counter.updates is not None:
            self._thread = threading.Thread(target=self._run, name="tenders", daemon=True)
            self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._bell.set()
        if self._thread is not None:
            self._thread.join(END_S)

    def tick(self) -> int:
        """Look once, tell who must know, and say how many ms until the next."""
        counter = self.counter
        with counter.lock:
            changed = look(counter)
            changed |= self._second_pipe()
            waiting = bool(counter.till.desk.state.attempts())
            leaving = counter.updates is not None and counter.updates.intake.leaving
            leave = leaving and self._follows() and counter.till.desk.between()
            self._left = self._left + 1 if leaving else 0
        if changed:
            counter.tell()
            self._ring()
        if leave:
            self._leave()
        return OPEN_MS if waiting or leaving else IDLE_MS

    def _follows(self) -> bool:
        """Whether the page has said so, and the next release waits for our journal; one that takes too long is not waited for."""
        updates = self.counter.updates
        return updates is not None and self._left > 0 and (updates.intake.slots.followed() or self._left > MOST_LEFT)

    def _second_pipe(self) -> bool:
        """What came down: no trouble there ever stands in the way of a tender."""
        updates = self.counter.updates
        if updates is None:
            return False
        try:
            before = updates.goods.activations if updates.goods is not None else 0
            changed = updates.tick()
            if updates.goods is not None and updates.goods.activations != before:
                self.counter.desktop.found = ()  # what a search found has other prices now
            return changed
        except OppetError as error:
            LOG.warning("%s", error)
        except Exception:
            LOG.exception("what came down could not be taken in")
        return False

    def _run(self) -> None:
        wait_ms = 0
        while True:
            self._bell.wait(wait_ms / 1000)
            self._bell.clear()
            if self._over.is_set():
                return
            try:
                wait_ms = self.tick()
            except Exception:
                LOG.exception("the till could not be looked at")
                wait_ms = IDLE_MS
