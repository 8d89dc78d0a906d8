"""The power goes at every write of a tender's way, before a byte is on the disk and right after: law 3 holds after the restart.

The journal is the real file. Outside, the service has charged whom it has charged; what it was about to answer is lost with the till.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from oppet.journal.kinds import CaseOpened, Receipt, TenderReversed, TenderTaken
from oppet.register.till import Till
from oppet.sale import basket as baskets
from oppet.sale.settle import left_to_pay
from tests.register.failing import FailingWorld, PowerCutError
from tests.register.services import FakeService
from tests.register.world import BO, MILK

PRICE = 1_690
RICH = 10_000
MOST_WRITES = 60


def tick(till: Till, world: FailingWorld, *seconds: int) -> None:
    for passing in seconds:
        world.clock.pass_ms(passing * 1_000)
        till.tenders.tick()


def approved(till: Till, world: FailingWorld, card: FakeService) -> None:
    till.tenders.ask("card-1", PRICE)
    tick(till, world, 1)


def declined(till: Till, world: FailingWorld, card: FakeService) -> None:
    card.plan = ["decline"]
    till.tenders.ask("card-1", PRICE)
    tick(till, world, 1)
    till.checkout.pay("cash", RICH)


def unknown_then_approved(till: Till, world: FailingWorld, card: FakeService) -> None:
    card.plan = ["silent_charged"]
    till.tenders.ask("card-1", PRICE)
    tick(till, world, 1, 3, 1)


def unknown_then_cash(till: Till, world: FailingWorld, card: FakeService) -> None:
    card.plan = ["silent_charged"]
    till.tenders.ask("card-1", PRICE)
    tick(till, world, 1)
    till.checkout.pay("cash", RICH)
    tick(till, world, 3, 1, 1)


def aborted_too_late(till: Till, world: FailingWorld, card: FakeService) -> None:
    card.hold = True
    tender = till.tenders.ask("card-1", PRICE)
    till.tenders.abort(tender)
    card.book.clear()
    card.settle_held(card.works[0])
    tick(till, world, 1)
    till.tenders.give_back(tender)
    tick(till, world, 1)
    till.checkout.pay("cash", RICH)


def partly(till: Till, world: FailingWorld, card: FakeService) -> None:
    card.plan = ["partial"]
    till.tenders.ask("card-1", PRICE)
    tick(till, world, 1)
    till.checkout.pay("cash", RICH)


def refunded(till: Till, world: FailingWorld, card: FakeService) -> None:
    till.tenders.ask("card-1", PRICE)
    tick(till, world, 1)
    till.sign_in(BO)
    till.returns.begin("1")
    till.returns.take(1, 1_000)
    card.plan = ["silent_charged"]
    till.tenders.ask("card-1", PRICE)
    tick(till, world, 1, 3, 1)


SCENES: tuple[Callable[[Till, FailingWorld, FakeService], None], ...] = (
    approved, declined, unknown_then_approved, unknown_then_cash, aborted_too_late, partly, refunded,
)  # fmt: skip


def end(till: Till, world: FailingWorld) -> None:
    """What people do after the lights are on again, until nothing is left to do."""
    till.sign_in(BO)
    tick(till, world, 5, 5, 30, 700, 1_000, 1_000)
    state = till.desk.state
    for sale in [sale for sale, basket in state.baskets.items() if basket.state == baskets.PARKED]:
        till.selling.resume(sale)
    basket = state.baskets.get(state.current)
    if basket is not None and not basket.standing():
        till.selling.abandon("left")
    elif basket is not None and basket.state == baskets.PAYING and not left_to_pay(basket, till.desk.priced(basket)):
        till.checkout.finish()
    elif basket is not None:
        till.checkout.pay("cash", RICH)
    tick(till, world, 700, 1_000, 1_000)


def judge(till: Till, world: FailingWorld, card: FakeService, where: str) -> None:
    """Law 3, from the service's own book."""
    assert till.tenders.waiting() == [], where
    receipts = {body.sale for body in world.bodies(Receipt) if isinstance(body, Receipt)}
    cases = {body.sale for body in world.bodies(CaseOpened) if isinstance(body, CaseOpened)}
    counted: dict[tuple[int, int], int] = {}
    for _, body in world.entries():
        if isinstance(body, TenderTaken):
            counted[body.sale, body.tender] = body.amount_ore
        elif isinstance(body, TenderReversed):
            counted.pop((body.sale, body.tender))
    asked = {work.request: (work.sale, work.tender) for work in card.works if work.what in ("payment", "refund")}
    assert len(set(asked.values())) == len(asked), f"{where}: one tender, two payments"
    for request, key in asked.items():
        kept = card.charged.get(request, 0) - card.reversed.get(request, 0)
        expected = counted.get(key, 0) if key[0] in receipts else 0
        assert kept == expected or key[0] in cases, f"{where}: {key} was charged {kept}, the receipt counts {expected}"


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_pt1_pt2_pt4_r12_the_power_goes_at_every_write_and_nobody_is_charged_for_nothing(
    tmp_path: Path, scene: Callable[[Till, FailingWorld, FakeService], None], after: bool
) -> None:
    for write in range(MOST_WRITES):
        card = FakeService()
        (tmp_path / str(write)).mkdir()
        world = FailingWorld(tmp_path / str(write), payments=[card])
        till = world.start()
        till.sign_in(BO)
        till.drawer.set_float(50_000)
        till.selling.pick(MILK)
        world.fail_at(write, after=after, power=True)
        with suppress(PowerCutError):
            scene(till, world, card)
        cut = world.failed
        card.answers.clear()
        card.plan, card.hold = [], False
        till = world.start()
        end(till, world)
        judge(till, world, card, f"{scene.__name__}, write {write}")
        assert world.journal is not None
        world.journal.close()
        if not cut:
            assert write > 5, "nothing was cut"
            return
    pytest.fail("more writes than were tried")
