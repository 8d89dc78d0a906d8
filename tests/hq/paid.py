"""A real till's journal in which somebody outside decides: every way a tender can go, for the tests of head office."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oppet.register.till import Till
from tests.hq.sold import renamed
from tests.register.services import FakeService
from tests.register.world import MILK, World, a_till
from tests.sync.chain import History

PRICE = 1_690
PLAN = (
    "approve",
    "decline",
    "silent_charged",
    "silent_not",
    "offline",
    "partial",
    "approve",
    "more",
    "not_now",
    "approve",
)


def pay_a_day(till: Till, world: World, card: FakeService, plan: Sequence[str]) -> None:
    """One customer a word; whoever is not paid for by card pays in cash."""
    for word in plan:
        till.selling.pick(MILK)
        card.plan = [word]
        offline = word == "offline"
        till.tenders.ask(card.name, PRICE, offline=offline)
        for _ in range(6):
            world.clock.pass_ms(4_000)
            till.tenders.tick()
        if till.desk.state.current:
            till.checkout.pay("cash", 10_000)


def a_paid_day(folder: Path, plan: Sequence[str] = PLAN, till: str = "S01-K3", epoch: int = 1) -> History:
    """The day with every word of the plan, one given back before its receipt, and one at the end that nobody knows of."""
    card, other = FakeService(), FakeService("swish", "swish", idempotent=True, exclusive=False)
    selling, world = a_till(folder, payments=[card, other])
    pay_a_day(selling, world, card, plan)
    selling.selling.pick(MILK)
    selling.selling.pick(MILK)
    back = selling.tenders.ask("swish", PRICE)
    selling.tenders.tick()
    selling.tenders.give_back(back)
    selling.tenders.tick()
    selling.checkout.pay("cash", 10_000)
    card.away = True
    selling.selling.pick(MILK)
    selling.tenders.ask("card-1", PRICE)
    for _ in range(3):
        world.clock.pass_ms(4_000)
        selling.tenders.tick()  # nobody knows, and nobody will
    selling.selling.park()
    assert world.journal is not None
    raws = [world.journal.raw(seq) for seq in range(1, world.journal.head.seq + 1)]
    world.journal.close()
    return renamed(raws, till, epoch)


__all__ = ["PLAN", "PRICE", "a_paid_day", "pay_a_day"]
