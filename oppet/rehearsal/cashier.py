"""What people do at a till that waits for money: everything the page allows, and what it must refuse.

Each act looks at the basket and throws a die, so that every state of a tender meets every act. A refusal is part of the day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from oppet.payments.tender import ABORTING, ASKED, REVERSAL_UNKNOWN, REVERSING
from oppet.register.till import Till
from oppet.rehearsal.lines import Line
from oppet.rehearsal.services import Terminal
from oppet.sale import basket as baskets
from oppet.sale.basket import Basket
from oppet.sale.rights import Staff
from oppet.sale.settle import left_to_pay

__all__ = ["BO", "Counter", "act"]

BO = Staff(301, "manager")
GOODS = ("1001", "1002", "1003", "1005", "1006")
RICH = 1_000_000  # öre handed over


@dataclass
class Counter:
    """What stands before the cashier: the till, and the ways to pay."""

    till: Till
    lines: Mapping[str, Line]
    terminals: Sequence[Terminal]


def act(counter: Counter, chance: Random) -> None:
    """Do one thing. Raises what the register refuses with."""
    till = counter.till
    till.desk.ready()
    state = till.desk.state
    if not state.staff:
        till.sign_in(BO)
    if not state.float_set:
        till.drawer.set_float(50_000)
    for unit in list(state.closed_units):
        till.checkout.open_unit(unit)
    if state.outage:
        till.checkout.end_outage(0, 0)
    basket = state.baskets.get(state.current)
    if basket is None:
        _begin(counter, chance)
    elif basket.state == baskets.OPEN:
        _open(counter, chance, basket)
    elif basket.state == baskets.PAYING:
        _paying(counter, chance, basket)


def _begin(counter: Counter, chance: Random) -> None:
    till, throw = counter.till, chance.random()
    state = till.desk.state
    parked = [sale for sale, basket in state.baskets.items() if basket.state == baskets.PARKED]
    if parked and throw < 0.25:
        till.selling.resume(chance.choice(parked))
    elif throw < 0.30 and state.numbers.get("normal"):
        till.returns.begin(str(chance.randint(1, state.numbers["normal"])))
        lines = [one for one in till.returns.lines() if one.left_milli > 0 and not one.line.pant_of]
        if not lines:
            till.selling.abandon("nothing left")
            return
        till.returns.take(lines[0].line.line, min(1_000, lines[0].left_milli))
    elif throw < 0.32:
        till.drawer.z()
    elif throw < 0.40:
        till.selling.parked_elsewhere()
    else:
        for _ in range(chance.randint(1, 3)):
            till.selling.pick(chance.choice(GOODS))


def _open(counter: Counter, chance: Random, basket: Basket) -> None:
    till, throw = counter.till, chance.random()
    if not basket.standing():
        till.selling.abandon("empty")
    elif throw < 0.80:
        _ask(counter, chance, basket)
    elif throw < 0.88:
        till.checkout.pay("cash", RICH)
    elif throw < 0.92:
        till.selling.park()
    elif basket.mode == "sale":
        till.selling.pick(chance.choice(GOODS))
    else:
        till.selling.abandon("changed their mind")


def _ask(counter: Counter, chance: Random, basket: Basket) -> None:
    """Ask some path for all or a part."""
    till = counter.till
    left = left_to_pay(basket, till.desk.priced(basket))
    amount = left if chance.random() < 0.75 else max(1, left // 2)
    back = basket.mode == "return"
    ways = [line for line in counter.lines.values() if not (back and line.by_hand)]
    line = chance.choice(ways)
    offline = not back and line.exclusive and not counter.terminals[0].host and chance.random() < 0.7
    till.tenders.ask(line.name, amount, offline=offline)


def _paying(counter: Counter, chance: Random, basket: Basket) -> None:
    till, throw = counter.till, chance.random()
    pending = basket.pending()
    hand = next((one for one in pending if counter.lines[one.path].by_hand), None)
    if hand is not None and throw < 0.9:
        till.tenders.vouch(hand.tender, paid=throw < 0.75)
        return
    busy = (ASKED, ABORTING, REVERSING, REVERSAL_UNKNOWN)
    if any(one.state in busy for one in basket.asked.values()):
        _while_busy(counter, chance, basket)
    elif pending:
        _while_unknown(counter, chance, basket)
    else:
        _partly(counter, chance, basket)


def _while_busy(counter: Counter, chance: Random, basket: Basket) -> None:
    """Mostly wait; stop it; try what must be refused."""
    till, throw = counter.till, chance.random()
    pending = basket.pending()
    if pending and throw < 0.12:
        till.tenders.abort(chance.choice(pending).tender)
    elif throw < 0.15:
        _ask(counter, chance, basket)
    elif throw < 0.18:
        till.checkout.pay("cash", RICH)
    elif throw < 0.20:
        till.selling.park()
    elif throw < 0.22:
        till.drawer.z()
    elif throw < 0.24:
        till.checkout.finish()
    elif throw < 0.26 and basket.tenders:
        till.tenders.give_back(chance.choice(list(basket.tenders)))


def _while_unknown(counter: Counter, chance: Random, basket: Basket) -> None:
    till, throw = counter.till, chance.random()
    if throw < 0.16:
        till.checkout.pay("cash", RICH)
    elif throw < 0.24:
        _ask(counter, chance, basket)
    elif throw < 0.32:
        till.selling.park()
    elif throw < 0.35:
        till.drawer.z()
    elif throw < 0.40:
        till.tenders.abort(chance.choice(basket.pending()).tender)
    elif throw < 0.44:
        till.checkout.finish()
    elif throw < 0.46:
        till.selling.abandon("the customer left")
    elif throw < 0.48 and basket.tenders:
        till.tenders.give_back(chance.choice(list(basket.tenders)))


def _partly(counter: Counter, chance: Random, basket: Basket) -> None:
    """Some of it is paid, or all of it and nobody has finished."""
    till, throw = counter.till, chance.random()
    left = left_to_pay(basket, till.desk.priced(basket))
    if throw < 0.3 and basket.tenders:
        till.tenders.give_back(chance.choice(list(basket.tenders)))
    elif not left:
        till.checkout.finish()
    elif throw < 0.5:
        till.checkout.pay("cash", RICH)
    elif throw < 0.6:
        till.checkout.pay("gift_card", max(1, left // 2))
    else:
        _ask(counter, chance, basket)
