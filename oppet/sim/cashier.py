"""What people do at a till, lawfully and at random: sales of several lines, voids, returns, parked baskets, Z, restarts.

Every deed is made from one small number, so that a schedule replays and a part of it does too. A refusal is part of the
day; whether it was allowed to come is law 6: the till sells by what is left, and says no only for the law's reasons.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from oppet.base.errors import OppetError, RefusedError
from oppet.sale import basket as baskets
from oppet.sale.rights import Staff
from oppet.sim.devices import BEER, GOODS
from oppet.sim.laws import CANARIES
from oppet.sim.tills import TillMachine
from oppet.sync.copies import may_wipe

__all__ = ["ALVA", "BO", "DEEDS", "deed", "sell"]

ALVA, BO = Staff(101, "cashier"), Staff(301, "manager")
RICH = 1_000_000  # öre handed over


def deed(machine: TillMachine, salt: int) -> None:
    """Do one thing at this till; refusals are judged by law 6."""
    chance = Random(salt)
    name = chance.choices(_NAMES, _WEIGHTS)[0]
    try:
        if _ready(machine):
            DEEDS[name][1](machine, chance)
    except OppetError as error:
        machine.world.refused(machine, name, error)


def sell(machine: TillMachine, salt: int) -> bool:
    """A plain sale, as proof that the till sells; says whether it ended with a receipt or an honest case."""
    try:
        if not _ready(machine):
            return False
        _sale(machine, Random(salt))
    except OppetError as error:
        machine.world.refused(machine, "sale", error)
        return False
    return True


def _ready(machine: TillMachine) -> bool:
    """What a person does before the next customer: sign in, count the change, end an outage, confirm the time."""
    till = machine.register
    if till is not None and machine.refusal is not None and till.desk.state.current == 0:
        machine.down(0)
        machine.boot()  # the manager enrols it again
        till = machine.register
    if till is None:
        return False  # its disk took nothing
    till.desk.ready()
    state = till.desk.state
    if not state.staff:
        till.sign_in(ALVA)
    if state.closed_units:
        for unit in sorted(state.closed_units):
            till.checkout.open_unit(unit, BO)
    if state.outage and not all(unit.dead for unit in machine.units):
        till.checkout.end_outage(2, 12_300, BO)
    machine.world.network.now = machine.world.now
    till.desk.now()
    if till.desk.time.doubt is not None:
        till.desk.confirm_time(machine.world.now, BO)
    if not state.float_set:
        till.drawer.set_float(50_000)
    basket = state.baskets.get(state.current)
    if basket is not None:
        _go_on(machine, basket)
    return not till.desk.state.current


def _go_on(machine: TillMachine, basket: baskets.Basket) -> None:
    """A basket that was left open: finish it, take the money back, or give it up."""
    till = machine.register
    assert till is not None
    if basket.state == baskets.PAYING:
        if basket.tenders and till.desk.priced(basket).total_ore > basket.paid_ore():
            for tender in list(basket.tenders):
                till.checkout.take_back(tender)
            till.selling.abandon("", BO)
        else:
            till.checkout.finish()
    elif basket.state == baskets.OPEN:
        if not basket.standing() or (basket.mode == "return" and basket.sale % 4 == 0):
            till.selling.abandon("", BO)
        elif basket.mode == "return":
            till.checkout.pay("cash", 0) if till.desk.priced(basket).total_ore else till.checkout.finish()
        else:
            _pay(machine, Random(basket.sale))


def _fill(machine: TillMachine, chance: Random) -> None:
    till = machine.register
    assert till is not None
    for _ in range(chance.randint(1, 3)):
        till.selling.pick(chance.choice(GOODS), 1000 * chance.randint(1, 4))
    if chance.random() < 0.15:
        till.selling.member("M4711")
    if chance.random() < 0.15:
        standing = [line for line in till.desk.basket().standing() if not line.added.pant_of]
        line = chance.choice(standing).added.line
        what = chance.randrange(4)
        if what == 0:
            till.selling.void(line, BO)
        elif what == 1:
            till.selling.change(line, 1000 * chance.randint(1, 5), BO)
        elif what == 2:
            given = till.selling.discount(line, 5, 0, "skadad", BO)
            if chance.random() < 0.4:
                till.selling.withdraw_discount(given.discount)
        else:
            till.selling.discount(0, 0, 100, "trogen", BO)
    if not any(not line.added.pant_of for line in till.desk.basket().standing()):
        till.selling.pick(GOODS[0], 1000)
    if till.desk.basket().age_needed():
        till.selling.check_age(passed=True)


def _pay(machine: TillMachine, chance: Random) -> None:
    till = machine.register
    assert till is not None
    if till.desk.basket().age_needed():
        till.selling.check_age(passed=True)
    way = chance.random()
    if way < 0.08:  # somebody types what must never be journalled
        try:
            till.checkout.pay("swish", 100, chance.choice(CANARIES).decode())
        except RefusedError:
            machine.world.cover("law 7", "a person's number is refused")
    left = till.desk.priced(till.desk.basket()).total_ore
    if way < 0.35 and left:
        till.checkout.pay("card", left, "K-4711")
    elif way < 0.45 and left > 1_000:
        till.checkout.pay("card", 500, "K-4712")
        if chance.random() < 0.3:
            till.checkout.take_back(till.desk.basket().last_tender)
        till.checkout.pay("cash", RICH)
    elif left:
        till.checkout.pay("cash", RICH)
    else:
        till.checkout.finish()


def _sale(machine: TillMachine, chance: Random) -> None:
    _fill(machine, chance)
    _pay(machine, chance)


def _leave(machine: TillMachine, chance: Random) -> None:
    """A basket is left as it is: the next deed finds it."""
    _fill(machine, chance)
    till = machine.register
    assert till is not None
    if chance.random() < 0.3:
        till.sign_out()
    elif chance.random() < 0.4:
        till.checkout.pay("card", 100, "K-4713")


def _abandon(machine: TillMachine, chance: Random) -> None:
    _fill(machine, chance)
    till = machine.register
    assert till is not None
    till.selling.abandon("ångrade sig", BO)


def _park(machine: TillMachine, chance: Random) -> None:
    till = machine.register
    assert till is not None
    _fill(machine, chance)
    till.selling.park()


def _resume(machine: TillMachine, chance: Random) -> None:
    """Take up a parked basket: this till's own, or another's of the store."""
    till = machine.register
    assert till is not None
    there = machine.world.parked_elsewhere(machine) if chance.random() < 0.6 else []  # not everybody looks at the list
    own = sorted(sale for sale, basket in till.desk.state.baskets.items() if basket.state == baskets.PARKED)
    if there and (not own or chance.random() < 0.6):
        machine.world.take_over(machine, chance.choice(there))
    elif own and chance.random() < 0.1:
        till.selling.resume(own[0])
        till.selling.park()  # the customer is not back yet
        return
    elif own:
        till.selling.resume(chance.choice(own))
    else:
        return
    if till.desk.state.current:
        _pay(machine, chance)


def _give_back(machine: TillMachine, chance: Random) -> None:
    """Goods come back against a receipt of this till, or another of the store."""
    till = machine.register
    assert till is not None
    receipts = machine.world.receipts_of(machine.store, chance)
    if not receipts:
        return
    origin = receipts[0]
    text = str(origin[2]) if origin[:2] == (machine.till, machine.epoch) else "/".join(map(str, origin))
    till.returns.begin(text, BO)
    took = False
    for item in till.returns.lines():
        if not item.line.pant_of and item.left_milli >= 1000 and chance.random() < 0.7:
            till.returns.take(item.line.line, item.left_milli if chance.random() < 0.7 else 1000)
            took = True
    if not took:
        till.selling.abandon("inget kvar", BO)
        return
    if chance.random() < 0.3:
        return  # it goes on with the next deed
    left = till.desk.priced(till.desk.basket()).total_ore
    if chance.random() < 0.3 and left:
        till.checkout.pay("card", left, "K-4714")
    else:
        till.checkout.pay("cash", 0) if left else till.checkout.finish()


def _train(machine: TillMachine, chance: Random) -> None:
    till = machine.register
    assert till is not None
    till.selling.begin("training")
    _sale(machine, chance)


def _copy(machine: TillMachine, chance: Random) -> None:
    till = machine.register
    assert till is not None
    last = till.desk.state.numbers.get("normal", 0)
    if last:
        till.checkout.copy(chance.randint(1, last))


def _report(machine: TillMachine, chance: Random) -> None:
    till = machine.register
    assert till is not None
    if chance.random() < 0.5:
        till.drawer.x()
    else:
        till.drawer.z(BO)


def _drawer(machine: TillMachine, chance: Random) -> None:
    till = machine.register
    assert till is not None
    what = chance.randrange(4)
    if what == 0:
        till.drawer.open("växel", BO)
    elif what == 1:
        till.drawer.move(100_000, "växel", BO)
    elif what == 2:
        till.drawer.count({10_000: chance.randint(0, 9), 100: 3})
    else:
        till.selling.pick(BEER, 1000)
        till.selling.check_age(passed=False)
        till.selling.abandon("för ung", BO)


def _restart(machine: TillMachine, chance: Random) -> None:
    """An orderly end and a new start."""
    till = machine.register
    assert till is not None
    if chance.random() < 0.7:
        till.stop()
    machine.down(0)
    machine.boot()


def _settle(machine: TillMachine, chance: Random) -> None:  # noqa: ARG001 - every deed takes the same
    """A case of money without a receipt gets its reserve slip."""
    till = machine.register
    assert till is not None
    state = till.desk.state
    for case in sorted(state.cases):
        first = state.numbers.get("slip", 0) + 1
        till.reserve.print_slips(1)
        till.reserve.settle(case, first, BO)


def _wipe(machine: TillMachine, chance: Random) -> None:  # noqa: ARG001
    """Somebody wants to take the till away: only what is kept may go (law 9)."""
    journal = machine.journal
    assert journal is not None
    try:
        may_wipe(machine.till, machine.epoch, journal.head.seq, machine.holdings())
    except RefusedError:
        machine.world.cover("law 9", "a wipe is refused")
        return
    machine.world.cover("law 9", "a wipe is allowed")
    machine.world.wiped(machine)


DEEDS: dict[str, tuple[int, Callable[[TillMachine, Random], None]]] = {
    "sale": (60, _sale),
    "leave": (4, _leave),
    "abandon": (2, _abandon),
    "park": (6, _park),
    "resume": (7, _resume),
    "return": (7, _give_back),
    "training": (1, _train),
    "copy": (2, _copy),
    "report": (3, _report),
    "drawer": (3, _drawer),
    "restart": (2, _restart),
    "settle": (2, _settle),
    "wipe": (1, _wipe),
}
_NAMES = list(DEEDS)
_WEIGHTS = [weight for weight, _ in DEEDS.values()]
