"""The process that `test_kill.py` kills: a till with its real wiring, selling as fast as it can until it dies.

`python -m tests.register.kill_child SETTINGS SEED`. It says nothing: see its journal, its printer's file and the control unit.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

from oppet.register.till import Till
from oppet.sale.errors import NeedsApprovalError
from oppet.sale.rights import Staff
from oppet.till.main import open_till

MOST_PARKED = 5
GOODS = ("1001", "1002", "1003", "1004", "1005", "1006")


def sell(till: Till, chance: Random) -> None:
    """One of the things a busy till does."""
    state = till.desk.state
    if not state.current and len(state.baskets) > MOST_PARKED:
        till.selling.resume(min(state.baskets))
    if state.current:  # the last run left a basket: it is sold on
        basket = state.baskets[state.current]
        if basket.mode == "return" and not basket.standing():
            till.selling.abandon("left")
            return
    for _ in range(chance.randint(1, 6)):
        if state.current and state.baskets[state.current].mode == "return":
            break
        till.selling.pick(chance.choice(GOODS), 1000 * chance.randint(1, 3))
    what = chance.random()
    if what < 0.1 and state.baskets[state.current].mode == "sale":
        till.selling.park()
        return
    till.checkout.pay("cash", 1_000_000)
    number = state.numbers["normal"]
    if what > 0.9 and number not in state.copied:
        till.checkout.copy(number)
    if what > 0.95:
        receipt = till.returns.begin(str(number))
        if receipt.lines and not till.returns.lines()[0].taken_milli:
            till.returns.take(1, 1000)
            till.checkout.pay("cash", 0)
        else:
            till.selling.abandon("taken")
    if what > 0.98:
        till.drawer.z()
        till.drawer.set_float(100_000)


def main() -> None:
    opened = open_till(Path(sys.argv[1]))
    till, chance = opened.till, Random(sys.argv[2])
    till.sign_in(Staff(1, "manager"))
    if not till.desk.state.float_set:
        till.drawer.set_float(100_000)
    print("selling", flush=True)
    while True:
        try:
            sell(till, chance)
        except NeedsApprovalError as error:  # a manager needs nobody's word
            raise AssertionError from error


if __name__ == "__main__":
    main()
