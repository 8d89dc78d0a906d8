"""The demo's robot cashier: a till with its real wiring that sells by itself, so that head office has something to see.

`python -m oppet.demo.robot SETTINGS SEED [LEAST MOST [PORT]]`: so many seconds between two customers; PORT is the simulated Swish's, for
their phones. It has no page; what it sells is ordinary and lawful. SIGUSR1 sends the customers home while the till goes on sending what
it has. It is the demo's and of no till: nothing here is ever installed.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from pathlib import Path
from random import Random
from types import FrameType

from oppet.base.errors import OppetError, RefusedError
from oppet.demo.paying import Scan, pay, phone
from oppet.goods.article import price_at
from oppet.register.till import Till
from oppet.sale.rights import Staff
from oppet.till.main import open_till

__all__ = ["ROBOT", "main", "sell", "simple_goods"]

ROBOT = 901
FLOAT_ORE = 200_000
MOST_LINES = 14
MOST_GOODS = 1_500
TICK_S = 0.5


def sell(till: Till, chance: Random, numbers: list[str], scan: Scan) -> None:
    """One customer: some goods and a payment; now and then a basket is parked."""
    state = till.desk.state
    if not state.current and state.baskets:
        till.selling.resume(min(state.baskets))
    if not state.current or state.baskets[state.current].mode == "sale":
        for _ in range(chance.randint(1, MOST_LINES)):
            till.selling.pick(chance.choice(numbers), 1000 * chance.choice((1, 1, 1, 2)))
    if chance.random() < 0.05 and state.baskets[state.current].mode == "sale":
        till.selling.park()
        return
    if till.tenders.paths():
        pay(till, chance, scan)
        return
    total = till.desk.priced(till.desk.basket()).total_ore
    if chance.random() < 0.7:
        till.checkout.pay("card", total, f"demo-{state.last_sale}")
    else:
        till.checkout.pay("cash", -(-total // 100) * 100 + 100 * chance.randint(0, 200))


def simple_goods(till: Till) -> list[str]:
    """Numbers of what anybody may buy without a question: by the piece, no age, priced today."""
    when = till.desk.when()
    found = []
    for article in till.desk.ports.catalogue:
        if article.unit == "st" and not article.age and article.kind == "vara":
            with contextlib.suppress(RefusedError):
                price_at(article, when)
                found.append(article.number)
    return found[:MOST_GOODS]


def _between(till: Till, over: threading.Event, seconds: float) -> bool:
    """Nobody at the till: what is still open outside is heard of meanwhile. Whether the day is over."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if over.wait(min(left, TICK_S)):
            return True
        with contextlib.suppress(OppetError):  # a disk that fails is told to the next customer
            till.tenders.tick()
    return over.is_set()


def main() -> None:
    """Sell until told to stop."""
    over, closed = threading.Event(), threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        over.set()

    def close(_number: int, _frame: FrameType | None) -> None:
        closed.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGUSR1, close)
    least, most = (float(word) for word in sys.argv[3:5] or ("3", "12"))
    scan = phone(int(sys.argv[5]) if len(sys.argv) > 5 else 0)
    opened = open_till(Path(sys.argv[1]))
    till, chance = opened.till, Random(sys.argv[2])  # noqa: S311 - customers, not keys
    try:
        till.sign_in(Staff(ROBOT, "cashier"))
        if not till.desk.state.float_set:
            till.drawer.set_float(FLOAT_ORE)
        numbers = simple_goods(till)
        print('{"ready": true}', flush=True)
        while not _between(till, over, chance.uniform(least, most)):
            if closed.is_set():
                continue
            try:
                sell(till, chance, numbers, scan)
            except OppetError as refused:  # a till that may not sell now waits for a person, as any till does
                print(f"robot: {refused}", file=sys.stderr, flush=True)
                over.wait(10)
    finally:
        opened.close()


if __name__ == "__main__":
    main()
