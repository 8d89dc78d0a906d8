"""Payments that somebody outside decides, as pages show them: how each path works, what is under way, what nobody knows yet.

Every state and every reason is in a cashier's words here and nowhere else; a word that is not known is said to be none. Leaves asking,
stopping and ticking to `web_tenders.py`, and what a state means to `payments/tender.py`. Shows nobody who pays (law 7).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from oppet.base.clock import parse_utc
from oppet.base.words import N_
from oppet.paper.sheet import Say, amount
from oppet.paper.sheet import when as wall_clock
from oppet.payments import board, risk, swish
from oppet.payments.means import MEANS
from oppet.payments.paths import DOWN, SLOW, UNSEEN, WORKING, PathNow, PayPath
from oppet.payments.tender import (
    ABORTING,
    APPROVED,
    ASKED,
    AT_RISK,
    PARTIAL,
    REVERSAL_UNKNOWN,
    REVERSING,
    UNKNOWN,
    Attempt,
)
from oppet.register.till import Till
from oppet.sale import basket as baskets
from oppet.sale.basket import Basket
from oppet.sale.settle import left_to_pay
from oppet.till.views import Light

__all__ = [
    "STAGES", "OpenTender", "PathView", "WaitingView", "asks_outside", "offered", "open_attempt", "open_qr", "open_tender", "path_lights",
    "path_views", "pulse", "reason", "refusal", "waiting_views",
]  # fmt: skip

STAGES = {
    "sending": N_("Calling"),
    "present_card": N_("Tap, insert or swipe the card"),
    "pin": N_("The customer types the PIN"),
    "online": N_("The bank is asked"),
    "scan_qr": N_("The customer reads the code with Swish"),
    "waiting": N_("Waiting for the customer"),
    "asking": N_("Asking what became of it"),
    "reversing": N_("Giving the money back"),
}
FOR_CUSTOMERS = {
    "present_card": STAGES["present_card"],
    "pin": N_("Type your PIN on the terminal"),
    "online": STAGES["online"],
    "reversing": N_("Your money is being given back"),
}  # what the customer's window says; else one moment
MOMENT = N_("One moment, please")
STATES = {WORKING: N_("works"), SLOW: N_("slow"), DOWN: N_("does not answer"), UNSEEN: N_("not known yet")}
SIGNS = {WORKING: "ok", SLOW: "warn", DOWN: "off", UNSEEN: "hand"}
REASONS: Mapping[str, str] = {
    "refusal": N_("the bank said no"),
    "invalidcard": N_("this card cannot be used here"),
    "wrongpin": N_("wrong PIN"),
    "paymentrestriction": N_("this card does not pay for these goods"),
    "insertedcard": N_("a card was in the terminal at the wrong moment"),
    "notallowed": N_("the terminal does not allow it now"),
    "cancel": N_("stopped at the terminal"),
    "aborted": N_("stopped"),
    "busy": N_("the terminal was busy with something else"),
    "unreachablehost": N_("the terminal does not reach the bank"),
    "unavailableservice": N_("the bank's service is away"),
    "unavailabledevice": N_("the terminal is not ready"),
    "deviceout": N_("the terminal is not ready"),
    "loggedout": N_("the terminal is logged out"),
    "messageformat": N_("the terminal did not understand the till; call operations"),
    "unreachable": N_("the terminal does not answer"),
    "no_answer": N_("no answer came in time"),
    "hung_up": N_("the line broke"),
    "certificate": N_("another machine answered in the terminal’s place; call operations"),
    "forged": N_("the answer was not the terminal’s; call operations"),
    "not_found": N_("it never arrived"),
    "by_hand": N_("it was not seen on the customer's phone"),
    "restarted": N_("the till was restarted meanwhile"),
    "overdue": N_("no answer came in time"),
    "unknown_card": N_("no gift card here has this code"),
    "empty": N_("there is nothing left on the card"),
    "shut": N_("it was given up before it came"),
    "too_much": N_("more than was paid with it"),
    "no_such_charge": N_("the store node does not know that payment"),
    "another_tills": N_("another till took it"),
}  # fmt: skip
NOBODY = N_("no reason was given")
CODE = re.compile(r"[A-Za-z0-9_]{2,24}")
UNDER_WAY = (ASKED, ABORTING, REVERSING, REVERSAL_UNKNOWN)


def reason(means: str, why: str, say: Say) -> str:
    """Why, in a shop's words; "" where nobody has words for it."""
    told = swish.advice(why) if means == "swish" else ""
    return say(told or REASONS.get(why.casefold(), "")) if told or why.casefold() in REASONS else ""


def refusal(attempt: Attempt, say: Say) -> str:
    """That nothing was paid, and why; a code that nobody has words for is shown as it is."""
    named, why = say(MEANS[attempt.means].sentence), reason(attempt.means, attempt.why, say)
    if attempt.means == "swish" and swish.advice(attempt.why):
        return say(N_("{means}: not paid. {advice}")).format(means=named, advice=why)
    if not why:
        why = f"{say(NOBODY)} ({attempt.why})" if CODE.fullmatch(attempt.why) else say(NOBODY)
    return say(N_("{means}: not paid ({why}). Nothing was charged.")).format(means=named, why=why)


# --- the paths ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PathView:
    name: str
    means: str
    label: str
    word: str
    sign: str  # as of a Light
    by_hand: bool
    busy: bool  # a payment is open there: it takes no other
    first: bool  # the one that its key asks: the best of its means that is free
    alone: bool  # the terminal may approve with no line, within `room`
    room: str  # what may be taken on nobody's word now, "" where it does not matter


def asks_outside(till: Till, basket: Basket | None) -> bool:
    """Whether this basket's card and Swish are asked for by the till; else they are confirmed by hand."""
    return bool(till.desk.ports.payments) and (basket is None or basket.mode != "training")


def offered(till: Till, basket: Basket | None) -> list[tuple[PayPath, PathNow]]:
    """The paths to offer, best first; in a return those of the original receipt's means first, and none that gives nothing back."""
    if not asks_outside(till, basket):
        return []
    found = board.order(till.tenders.paths())
    if basket is None or basket.mode != "return":
        return [one for one in found if one[0].means != "gift_card"]  # that one is asked by the card's code
    used = {tender.means for tender in till.tenders.originals()}
    return sorted((one for one in found if not one[0].by_hand), key=lambda one: one[0].means not in used)


def busy(till: Till, path: PayPath) -> Attempt | None:
    """The payment that keeps an exclusive path from taking another."""
    if not path.exclusive:
        return None
    return next((one for one in till.desk.state.attempts() if one.path == path.name), None)


def path_views(till: Till, basket: Basket | None, say: Say) -> list[PathView]:
    views, led = [], set()
    for path, now in offered(till, basket):
        free = path.means not in led and busy(till, path) is None and not (now.state == DOWN and not path.by_hand)
        views.append(_path_view(till, path, now, say, first=free))
        if free:
            led.add(path.means)
    return views


def _path_view(till: Till, path: PayPath, now: PathNow, say: Say, *, first: bool = False) -> PathView:
    same = sum(1 for other in till.desk.ports.payments if other.means == path.means and other.by_hand == path.by_hand)
    label = say(MEANS[path.means].sentence)
    if path.by_hand:
        label = say(N_("{means}, not confirmed")).format(means=label)
    if same > 1:
        label = f"{label} {path.name}"
    word, sign = say(STATES[now.state]), SIGNS[now.state]
    alone = now.state == DOWN and now.offline and not path.by_hand
    room = str(room_ore(till, path.means) // 100) if alone or path.by_hand else ""
    if path.by_hand:
        word, sign = say(N_("up to {room} kr")).format(room=room), "hand"
    elif alone:
        word, sign = say(N_("offline, up to {room} kr")).format(room=room), "warn"
    holder = busy(till, path)
    if holder is not None:
        text = N_("busy") if holder.state in UNDER_WAY else N_("unclear payment")
        word, sign = say(text), "warn"
    return PathView(path.name, path.means, label, word, sign, path.by_hand, holder is not None, first, alone, room)


def room_ore(till: Till, means: str) -> int:
    """How much may be taken on nobody's word now."""
    desk = till.desk
    others = desk.ports.neighbours.at_risk_ore()
    return risk.left_ore(desk.rules.risk, means, desk.today(), desk.state.risk, others)


def path_lights(till: Till, say: Say) -> Iterator[Light]:
    """Which ways of paying work now: the strip's first lights. Every word is also a shape in the template."""
    if till.desk.state.outage:
        yield Light(say(N_("Payment")), say(N_("stopped: reserve routine")), "off")
        return
    if not till.desk.ports.payments:
        yield Light(say(N_("Payment")), say(N_("cash works")), "ok")
        yield Light(say(N_("Card, Swish")), say(N_("by hand")), "hand")
        return
    yield Light(say(MEANS["cash"].sentence), say(STATES[WORKING]), "ok")
    paths = [(path, path.now()) for path in till.desk.ports.payments]
    asked = {path.means for path, now in paths if not path.by_hand and now.state in (WORKING, SLOW)}
    for path, now in paths:
        if path.by_hand and path.means in asked:
            continue  # nobody needs it now
        view = _path_view(till, path, now, say)
        yield Light(view.label, view.word, view.sign)
    loose = sum(1 for one in till.desk.state.attempts() if one.sale != till.desk.state.current)
    if loose:
        yield Light(say(N_("Unclear payments")), say(N_("{count} being asked about")).format(count=loose), "warn")


# --- the one under way in front of the cashier ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenTender:
    """What stands between the customer and the receipt."""

    tender: int
    label: str
    path: str
    amount: str
    kind: str  # under_way | stopping | unknown | giving_back | vouch | decide
    stage: str
    customer: str  # the stage in words to the customer
    since: int  # ms UTC
    back: bool
    by_hand: bool
    why: str
    qr: str  # a name for the code to read, "" for none
    room: str  # by hand: what may still be taken on nobody's word, this one not counted


def open_attempt(till: Till, basket: Basket | None) -> Attempt | None:
    """The tender that the page speaks of: under way, else unknown, else one that went through although somebody stopped it."""
    if basket is None:
        return None
    asked = [basket.asked[number] for number in sorted(basket.asked, reverse=True)]
    for states in (UNDER_WAY, (UNKNOWN,)):
        if (found := next((one for one in asked if one.state in states), None)) is not None:
            return found
    if basket.state == baskets.PAYING and not left_to_pay(basket, till.desk.priced(basket)):
        return next((one for one in asked if one.aborted and one.held and one.taken), None)
    return None


def open_tender(till: Till, basket: Basket | None, say: Say) -> OpenTender | None:
    attempt = open_attempt(till, basket)
    if attempt is None:
        return None
    path = next((one for one in till.desk.ports.payments if one.name == attempt.path), None)
    by_hand = path is not None and path.by_hand
    progress = path.progress(attempt.live or attempt.request) if path is not None else None
    name = progress.stage if progress is not None else "sending"
    return OpenTender(
        tender=attempt.tender,
        label=say(MEANS[attempt.means].sentence),
        path=attempt.path,
        amount=amount(attempt.approved_ore or attempt.amount_ore),
        kind=_kind(attempt, by_hand=by_hand),
        stage=say(STAGES.get(name, STAGES["waiting"])),
        customer=say(FOR_CUSTOMERS.get(name, MOMENT)),
        since=parse_utc(attempt.time),
        back=attempt.back,
        by_hand=by_hand,
        why=reason(attempt.means, attempt.why, say),
        qr=attempt.request if progress is not None and progress.qr else "",
        room=amount(max(0, room_ore(till, attempt.means) - attempt.amount_ore)) if by_hand else "",
    )


def _kind(attempt: Attempt, *, by_hand: bool) -> str:
    if by_hand and attempt.pending:
        return "vouch"
    kinds = {
        ASKED: "under_way", ABORTING: "stopping", UNKNOWN: "unknown", REVERSING: "giving_back", REVERSAL_UNKNOWN: "giving_back",
    }  # fmt: skip
    return kinds.get(attempt.state, "decide")


def open_qr(till: Till, basket: Basket | None) -> str:
    """What the customer's phone is to read now, "" for nothing."""
    attempt = open_attempt(till, basket)
    if attempt is None or attempt.state not in (ASKED, UNKNOWN):
        return ""
    path = next((one for one in till.desk.ports.payments if one.name == attempt.path), None)
    progress = path.progress(attempt.live or attempt.request) if path is not None else None
    return progress.qr if progress is not None else ""


# --- all that are not over ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WaitingView:
    sale: int
    label: str
    amount: str
    asked: str
    state: str
    then: str  # what happens to it
    tender: int = 0  # of one that a supervisor may set aside, else 0


def waiting_views(till: Till, say: Say) -> list[WaitingView]:
    """Every tender that is not over, and what happens to it."""
    views = []
    for one in till.tenders.waiting():
        basket = till.desk.state.baskets.get(one.sale)
        state, then = _told(one.state, parked=basket is not None, here=one.here)
        label = f"{say(MEANS[one.means].sentence)} · {one.path}"
        asked = wall_clock(one.asked)[:16]
        if one.aside:
            then = N_("Set aside: head office settles it against the service's own list. The till goes on asking.")
        free = one.tender if one.state == UNKNOWN and not one.aside else 0
        views.append(WaitingView(one.sale, label, amount(one.amount_ore), asked, say(state), say(then), free))
    return views


def _told(state: str, *, parked: bool, here: bool) -> tuple[str, str]:
    if state in (ASKED, ABORTING):
        return N_("under way"), N_("Its answer is waited for.")
    if state == UNKNOWN:
        if here or parked:
            return N_("nobody knows yet"), N_("The till goes on asking. What is found belongs to this basket.")
        return N_("nobody knows yet"), N_(
            "The till goes on asking. If it turns out to be taken, it is given back by itself."
        )
    if state in (APPROVED, PARTIAL, AT_RISK):
        return N_("taken, and not wanted"), N_("It is given back by itself.")
    return N_("being given back"), N_("If that fails there is a case for head office.")


def pulse(till: Till) -> tuple[object, ...]:
    """What a page shows that no entry tells of: if it differs, pages are told."""
    waiting = till.tenders.waiting()
    paths = tuple(path.now() for path in till.desk.ports.payments)
    return (tuple((one.sale, one.tender, one.state, one.why, one.progress) for one in waiting), paths)
