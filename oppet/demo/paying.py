"""How a customer of the demo's robot pays: by card, Swish, cash or two of them, by whatever path works now.

The robot does what a cashier does: it asks the path that the board puts first, alone (offline) where the terminal has no line, by the
customer's own phone where Swish cannot be asked, and it takes cash when nothing else comes to anything. `scan` is the customer's phone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from random import Random

from oppet.base.errors import RefusedError
from oppet.payments import board
from oppet.payments.paths import DOWN, PathNow, PayPath
from oppet.payments.tender import PENDING
from oppet.register.till import Till
from oppet.sale.settle import left_to_pay

__all__ = ["Scan", "pay", "phone"]

Scan = Callable[[str], None]
PATIENCE_S = 100.0  # with one payment, before the cashier stops it
BEAT_S = 0.1
WAYS = (("card", 9), ("swish", 5), ("cash", 4), ("mixed", 2))


def phone(port: int) -> Scan:
    """The customer's phone, which has its own way to Swish: the simulator's control port."""

    def scan(code: str) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        with suppress(OSError, HTTPException):
            connection.request("POST", "/control/scan", json.dumps({"qr": code, "approve": True}))
            connection.getresponse().read()
        connection.close()

    return scan


def pay(till: Till, chance: Random, scan: Scan) -> None:
    """Pay what the open basket comes to. Raises what a cashier would be shown where not even cash is taken."""
    (way,) = chance.choices([name for name, _ in WAYS], [weight for _, weight in WAYS])
    sale, left = till.desk.state.current, _left(till)
    if way == "mixed":
        till.checkout.pay("cash", max(100, left // 200 * 100))
        way = "card"
    if (
        way != "cash"
        and till.desk.state.current == sale
        and not _asked(till, way, scan)
        and till.desk.state.current == sale
    ):
        way = "cash"
    if till.desk.state.current == sale and (left := _left(till)):
        till.checkout.pay("cash", -(-left // 100) * 100 + 100 * chance.randint(0, 200) * (way == "cash"))


def _left(till: Till) -> int:
    basket = till.desk.basket()
    return left_to_pay(basket, till.desk.priced(basket))


def _best(till: Till, means: str) -> tuple[PayPath, PathNow] | None:
    """The first path that works, else a terminal that may approve alone."""
    found = board.order(till.tenders.paths(), means)
    return next((one for one in found if one[1].state != DOWN or one[1].offline), None)


def _asked(till: Till, means: str, scan: Scan) -> bool:
    """Whether the path said anything final. A payment that is still unknown then stays so, and is given back if it turns out paid."""
    best = _best(till, means)
    if best is None:
        return False
    path, now = best
    sale = till.desk.state.current
    try:
        tender = till.tenders.ask(path.name, _left(till), offline=now.state == DOWN and not path.by_hand)
    except RefusedError:  # more than may be taken at risk, or an earlier payment is still open there
        return False
    if path.by_hand:
        _show(till, sale, tender, scan)
        till.tenders.vouch(tender, paid=True)
    deadline = time.monotonic() + PATIENCE_S
    stopped = False
    while True:
        till.tenders.tick()
        attempt = till.desk.state.attempt(sale, tender)
        if till.desk.state.current != sale or attempt is None or attempt.state not in PENDING:
            return True
        if attempt.state == "unknown":
            return False
        if time.monotonic() > deadline and not stopped:
            till.tenders.abort(tender)
            stopped = True
        time.sleep(BEAT_S)


def _show(till: Till, sale: int, tender: int, scan: Scan) -> None:
    """The customer's phone reads the code that the display shows."""
    for one in till.tenders.waiting():
        if (one.sale, one.tender) == (sale, tender) and one.progress is not None and one.progress.qr:
            scan(one.progress.qr)
