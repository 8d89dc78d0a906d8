"""Every message of the Swish dialogue times every fault: what became of the tender, and never twice, never a guess (PT1–PT5, law 3).

Real rules, real driver, real node desk and client, and the simulated Swish. What each cell came to is the table in docs/payments.md:
a cell that comes out otherwise fails here. `OPPET_WRITE=1 pytest -n 0 tests/drivers/test_swish_matrix.py` writes the table anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from oppet.journal.entry import body_of
from oppet.journal.kinds import CaseOpened, Receipt, ReversalFailed, TenderReversed, TenderSent, TenderTaken
from oppet.payments import board
from tests.conftest import ROOT
from tests.drivers.swish_shop import PRICE, SwishShop
from tests.register.world import MILK
from tests.simulators.swishes import SwishProcess

PAGE = ROOT / "docs" / "payments.md"
BEGIN, END = "<!-- swish matrix -->", "<!-- end -->"
MESSAGES = {
    "create": "ask for payment (PUT)",
    "retrieve": "look (GET)",
    "cancel": "stop (PATCH)",
    "refund": "give back (PUT)",
    "retrieve_refund": "look at it (GET)",
}
FAULTS: dict[str, tuple[str, dict[str, object]]] = {
    "never arrives": ("dropped", {}),
    "answer lost": ("lost", {}),
    "answer too late": ("delay", {"seconds": 1.0}),
    "answered twice": ("twice", {}),
    "cut off": ("cut", {}),
    "other request": ("wrong_id", {}),
    "other amount": ("wrong_amount", {}),
    "other currency": ("wrong_currency", {}),
    "other shop": ("wrong_payee", {}),
    "HTML": ("html", {}),
    "100 MB": ("huge", {}),
    "429": ("status", {"code": 429}),
    "500": ("status", {"code": 500}),
    "500, done": ("done_status", {"code": 500}),
    "refused": ("refused", {"code": "RF08"}),
    "no TLS": ("plain", {}),
    "another's certificate": ("stranger", {}),
    "ended certificate": ("expired", {}),
    "nobody there": ("away", {}),
}
MODES = ("plain", "stranger", "expired", "away")
NO_BODY = ("wrong_amount", "wrong_currency", "wrong_payee")  # a creation's answer says none of these
CELLS = [
    (message, name)
    for message in MESSAGES
    for name, (fault, _) in FAULTS.items()
    if not (message in ("create", "refund") and fault in NO_BODY)
    and not (fault == "refused" and message.startswith("retrieve"))
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwishShop]:
    process = SwishProcess(tmp_path_factory.mktemp("swish"))
    pauses, board.PAUSE_MS = board.PAUSE_MS, (150,) * 5
    process.reset()
    made = SwishShop(tmp_path_factory.mktemp("till"), process, timeout_s=0.5)
    made.till.checkout.pay("cash", 10_000)
    yield made
    made.close()
    process.kill()
    board.PAUSE_MS = pauses


@pytest.mark.parametrize(("message", "name"), CELLS)
def test_pt5_whatever_happens_to_a_message_money_moves_once_or_not_at_all(
    shop: SwishShop, message: str, name: str
) -> None:
    fault, more = FAULTS[name]
    shop.swish.reset()
    shop.alarms.clear()
    shop.well_again()
    before = Before(shop)
    shop.till.selling.pick(MILK)
    if message in ("create", "retrieve"):
        asked(shop, message, fault, more)
    elif message == "cancel":
        stopped(shop, fault, more)
    else:
        given_back(shop, message, fault, more)
    shop.over()
    said = before.since(lies=fault.startswith("wrong_"))
    if os.environ.get("OPPET_WRITE"):
        write(message, name, said)
    assert cells().get((MESSAGES[message], name)) == said


# --- the roads to each message ------------------------------------------------------------------------------------


def fail(shop: SwishShop, message: str, fault: str, more: dict[str, object], count: int = 1) -> None:
    if fault in MODES:
        shop.swish.order(mode=fault)
    else:
        shop.swish.order(fault=fault, on=message, count=count, **more)


def well(shop: SwishShop) -> None:
    """The line comes back once the till has seen that it is gone."""
    if shop.swish.state()["mode"] != "ok":
        shop.until(lambda: all("unknown" in one.state for one in shop.till.tenders.waiting()))
        shop.swish.order(mode="ok")


def asked(shop: SwishShop, message: str, fault: str, more: dict[str, object]) -> None:
    if message == "create":
        fail(shop, message, fault, more)
        shop.till.tenders.ask("swish", PRICE)
    else:
        shop.swish.order(paid_ms=None)
        shop.till.tenders.ask("swish", PRICE)
        shop.until(lambda: bool(shop.qr()))
        fail(shop, message, fault, more)
        shop.swish.scan(shop.qr())
    well(shop)


def stopped(shop: SwishShop, fault: str, more: dict[str, object]) -> None:
    shop.swish.order(paid_ms=None)
    tender = shop.till.tenders.ask("swish", PRICE)
    shop.until(lambda: bool(shop.qr()))
    fail(shop, "cancel", fault, more, count=2)  # it goes out for the cashier's press, and with the next look
    shop.till.tenders.abort(tender)
    well(shop)


def given_back(shop: SwishShop, message: str, fault: str, more: dict[str, object]) -> None:
    tender = shop.till.tenders.ask("swish", PRICE // 2)
    shop.over()
    if fault in MODES and message == "retrieve_refund":
        shop.swish.order(refund_ms=60_000)
        shop.till.tenders.give_back(tender)
        shop.until(lambda: shop.swish.state()["calls"].get("retrieve_refund", 0) > 0)
        fail(shop, message, fault, more)
        shop.swish.order(refund_ms=0)
    else:
        fail(shop, message, fault, more)
        shop.till.tenders.give_back(tender)
    well(shop)


# --- what came of it ----------------------------------------------------------------------------------------------


class Before:
    """What was in the journal before; `since` judges what came and says it in the table's words."""

    def __init__(self, shop: SwishShop) -> None:
        self.shop = shop
        assert shop.world.journal is not None
        self.seq = shop.world.journal.head.seq

    def since(self, *, lies: bool) -> str:
        shop = self.shop
        assert shop.world.journal is not None
        bodies = [body_of(entry) for entry in shop.world.journal.read(self.seq + 1)]
        taken = sum(body.amount_ore for body in bodies if isinstance(body, TenderTaken))
        reversed_ore = sum(body.amount_ore for body in bodies if isinstance(body, TenderReversed))
        assert shop.net_ore == taken - reversed_ore, "what the customer paid is what the sale counts"
        deals = shop.swish.state()["deals"]
        sent = [body for body in bodies if isinstance(body, TenderSent)]
        assert len([deal for deal in deals if deal["kind"] == "payment"]) <= 1, "one tender, one request"
        assert len([deal for deal in deals if deal["kind"] == "refund"]) <= 1, "and one refund"
        assert not [body for body in bodies if isinstance(body, CaseOpened)]
        assert [about for about, _ in shop.alarms] == (["SwishAnswerWrong"] if lies else [])
        written = b"".join(shop.world.journal.raw(seq) for seq in range(self.seq + 1, shop.world.journal.head.seq + 1))
        assert not [deal for deal in deals if deal["payer"] and deal["payer"].encode() in written], "nobody is named"
        failed = any(isinstance(body, ReversalFailed) for body in bodies)
        gave_back = any(body.what == "reversal" for body in sent)
        word = "not given back" if failed else "given back" if gave_back else "paid" if taken else "not paid"
        self._finish(taken - reversed_ore)
        return word + (", alarm" if lies else "")

    def _finish(self, paid_ore: int) -> None:
        """The next sale begins with nothing left of this one."""
        shop = self.shop
        if shop.till.desk.state.current:
            assert paid_ore < PRICE, "a sale that is paid is finished by itself"
            shop.till.checkout.pay("cash", 10_000)
        assert shop.world.journal is not None
        last = [body_of(entry) for entry in shop.world.journal.read(self.seq + 1)]
        assert len([body for body in last if isinstance(body, Receipt)]) == 1, "one sale, one receipt"


def block(text: str) -> tuple[int, int]:
    """Where the table stands on the page."""
    begin = text.index(BEGIN) + len(BEGIN)
    return begin, text.index(END, begin)


def cells() -> dict[tuple[str, str], str]:
    """The table as the page has it, by message and fault."""
    text = PAGE.read_text(encoding="utf-8")
    begin, end = block(text)
    rows = [[word.strip() for word in line.strip("|").split("|")] for line in text[begin:end].strip().splitlines()]
    if not rows:
        return {}
    return {(row[0], name): word for row in rows[2:] for name, word in zip(rows[0][1:], row[1:], strict=True)}


def write(message: str, name: str, said: str) -> None:
    known = cells() | {(MESSAGES[message], name): said}
    lines = [f"| message | {' | '.join(FAULTS)} |", f"|---{'|---' * len(FAULTS)}|"]
    lines += [
        f"| {row} | {' | '.join(known.get((row, fault), '–') for fault in FAULTS)} |" for row in MESSAGES.values()
    ]
    text = PAGE.read_text(encoding="utf-8")
    begin, end = block(text)
    PAGE.write_text("\n".join([text[:begin], *lines, text[end:]]), encoding="utf-8")


def test_pt5_the_table_has_every_message_and_every_fault() -> None:
    table = cells()
    assert set(table) == {(row, name) for row in MESSAGES.values() for name in FAULTS}
    assert {key for key, word in table.items() if word == "–"} == {
        (row, name) for message, row in MESSAGES.items() for name in FAULTS if (message, name) not in CELLS
    }
