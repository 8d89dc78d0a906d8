"""Baskets that go on at another till, and receipts returned at several: by way of the store node, and without it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec import structs

from oppet.fiscal.tally import report_of
from oppet.journal.kinds import (
    AgeChecked,
    Body,
    DiscountGiven,
    Elsewhere,
    LineAdded,
    MemberShown,
    Original,
    Receipt,
    ReceiptTender,
    SaleMoved,
    SaleOpened,
    SaleParked,
)
from oppet.register.desk import Rules
from oppet.register.errors import (
    HeldElsewhereError,
    LoneReturnError,
    NeighboursAwayError,
    NotPossibleNowError,
    TakenElsewhereError,
)
from oppet.register.ports import Alone, Parked
from oppet.register.till import Till
from oppet.sale.errors import AlreadyReturnedError, NeedsApprovalError, NoSuchSaleError, NotMovableError
from oppet.sale.lines import Came
from oppet.sale.rights import Limits
from tests.register.acts import refused
from tests.register.world import BANANA, BEER, BO, COLA, MILK, World, a_till


@dataclass
class FakeNode(Alone):
    """What the store node would say; `silent` makes it say nothing."""

    silent: bool = False
    baskets: dict[Elsewhere, Sequence[Body]] = field(default_factory=dict)
    taken: dict[int, Elsewhere] = field(default_factory=dict)  # our baskets that went elsewhere
    told: dict[int, Elsewhere] = field(default_factory=dict)
    came: Mapping[int, Came] = field(default_factory=dict)
    tenders: Sequence[ReceiptTender] = ()  # how every receipt of the other tills was paid
    held_by: str = ""
    asked: list[str] = field(default_factory=list)

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.silent:
            raise NeighboursAwayError

    def parked(self) -> Sequence[Parked]:
        self._ask("parked")
        self.told = self.taken
        return [Parked(at, "2026-11-22T09:00:00.000Z", 1, 1_690, 8) for at in self.baskets]

    def gone(self) -> Sequence[tuple[int, Elsewhere]]:
        return list(self.told.items())

    def take(self, at: Elsewhere) -> Sequence[Body]:
        self._ask("take")
        if at not in self.baskets:
            raise TakenElsewhereError(till="K5", epoch=1)
        return self.baskets[at]

    def resume(self, sale: int) -> None:
        self._ask("resume")
        if sale in self.taken:
            raise TakenElsewhereError(till=self.taken[sale].till, epoch=self.taken[sale].epoch)

    def hold(self, original: Original) -> Mapping[int, Came]:
        self._ask("hold")
        if self.held_by:
            raise HeldElsewhereError(till=self.held_by)
        return self.came

    def paid(self, original: Original) -> Sequence[ReceiptTender]:
        return () if self.silent else self.tenders


THERE = Elsewhere("K4", 2, 17)


def two_tills(tmp_path: Path) -> tuple[Till, World, Till, World, FakeNode]:
    node = FakeNode()
    here, world = a_till(tmp_path / "here", neighbours=node)
    there, other = a_till(tmp_path / "there")
    return here, world, there, other, node


def parked_at(world: World, sale: int) -> list[Body]:
    """What the other till journalled about a basket."""
    return [body for _, body in world.entries() if body is not None and getattr(body, "sale", 0) == sale]


def test_r27_a_basket_parked_at_one_till_is_paid_at_another(tmp_path: Path) -> None:
    here, world, there, other, node = two_tills(tmp_path)
    for goods, quantity in ((MILK, 3000), (BANANA, 1_204), (COLA, None), (BEER, None)):
        there.selling.pick(goods, quantity)
    there.selling.void(3)
    there.selling.member("M4711")
    there.selling.check_age(passed=True)
    there.selling.discount(1, 10, 0, "Skadad", None)
    total = there.desk.priced(there.desk.basket()).total_ore
    sale = there.selling.park()
    node.baskets[THERE] = parked_at(other, sale)
    assert [parked.at for parked in here.selling.parked_elsewhere()] == [THERE]
    mine = here.selling.take_over(THERE)
    basket = here.desk.basket()
    assert (basket.sale, basket.member, basket.state) == (mine, "M4711", "open")
    assert here.desk.priced(basket).total_ore == total
    here.selling.pick(MILK)
    here.checkout.pay("cash", 50_000)
    opened = world.bodies(SaleOpened)[0]
    assert isinstance(opened, SaleOpened)
    assert (opened.moved_from, opened.cashier, opened.sale) == (THERE, 7, mine)
    assert len(world.bodies(Receipt)) == 1
    assert {type(body) for _, body in world.entries()} >= {AgeChecked, MemberShown, DiscountGiven}


def test_r27_s1_a_basket_taken_over_survives_a_restart(tmp_path: Path) -> None:
    here, world, there, other, node = two_tills(tmp_path)
    there.selling.pick(MILK)
    node.baskets[THERE] = parked_at(other, there.selling.park())
    here.selling.take_over(THERE)
    again = world.start()
    again.sign_in(BO)
    assert [line.added.article for line in again.desk.basket().standing()] == [MILK]


def test_r27_the_till_that_lost_a_basket_says_where_it_went_and_counts_no_unfinished_sale(tmp_path: Path) -> None:
    node = FakeNode()
    till, world = a_till(tmp_path, neighbours=node)
    till.selling.pick(MILK)
    sale = till.selling.park()
    assert till.desk.state.tally.unfinished()[0] == 1
    node.taken = {sale: Elsewhere("K4", 2, 0)}
    with pytest.raises(TakenElsewhereError, match="K4"):
        till.selling.resume(sale)
    assert world.bodies(SaleMoved) == [SaleMoved(sale, "K4", 2)]
    assert till.desk.state.baskets == {}
    refused(NoSuchSaleError, lambda: till.selling.resume(sale))
    report = report_of(entry for entry, _ in world.entries())
    assert (report.unfinished, report.unfinished_ore) == (0, 0)
    till.selling.pick(MILK)  # and the next sale begins


def test_r27_a_basket_that_went_is_let_go_of_when_the_list_is_asked_for(tmp_path: Path) -> None:
    node = FakeNode()
    till, world = a_till(tmp_path, neighbours=node)
    till.selling.pick(MILK)
    sale = till.selling.park()
    node.taken = {sale: Elsewhere("K4", 2, 0), 99: Elsewhere("K4", 2, 0)}
    assert till.selling.parked_elsewhere() == []
    assert till.selling.parked_elsewhere() == []
    assert world.bodies(SaleMoved) == [SaleMoved(sale, "K4", 2)]


def test_r27_with_a_silent_node_a_till_goes_on_with_its_own_baskets(tmp_path: Path) -> None:
    node = FakeNode(silent=True)
    till, _ = a_till(tmp_path, neighbours=node)
    till.selling.pick(MILK)
    sale = till.selling.park()
    refused(NeighboursAwayError, till.selling.parked_elsewhere, lambda: till.selling.take_over(THERE))
    till.selling.resume(sale)
    assert till.desk.basket().sale == sale
    assert node.asked == ["parked", "take", "resume"]


def test_r27_returns_and_training_stay_where_they_are(tmp_path: Path) -> None:
    here, _, there, other, node = two_tills(tmp_path)
    there.selling.begin("training")
    there.selling.pick(MILK)
    node.baskets[THERE] = parked_at(other, there.selling.park())
    refused(NotMovableError, lambda: here.selling.take_over(THERE))
    node.asked.clear()
    here.selling.begin("training")
    here.selling.pick(MILK)
    here.selling.resume(here.selling.park())
    assert node.asked == []


def test_r27_what_another_till_took_first_is_refused_in_words(tmp_path: Path) -> None:
    here, world, *_ = two_tills(tmp_path)
    with pytest.raises(TakenElsewhereError, match="K5"):
        here.selling.take_over(THERE)
    assert world.bodies(SaleOpened) == []
    here.selling.pick(MILK)
    refused(NotPossibleNowError, lambda: here.selling.take_over(THERE))


def test_s7_what_was_given_off_at_the_other_till_is_approved_again(tmp_path: Path) -> None:
    """A store node that was taken over could name any supervisor it likes."""
    here, world, there, other, node = two_tills(tmp_path)
    there.selling.pick(MILK)
    there.selling.discount(1, 50, 0, "Bucklig", BO)
    node.baskets[THERE] = parked_at(other, there.selling.park())
    refused(NeedsApprovalError, lambda: here.selling.take_over(THERE))
    here.selling.take_over(THERE, BO)
    given = world.bodies(DiscountGiven)[0]
    assert isinstance(given, DiscountGiven)
    assert (given.percent, given.approved_by) == (50, 3)


def cheaper(bodies: Sequence[Body]) -> list[Body]:
    return [structs.replace(b, unit_ore=100, amount_ore=100) if isinstance(b, LineAdded) else b for b in bodies]


def less_vat(bodies: Sequence[Body]) -> list[Body]:
    return [structs.replace(b, vat_rate=0) if isinstance(b, LineAdded) else b for b in bodies]


def unknown_goods(bodies: Sequence[Body]) -> list[Body]:
    return [structs.replace(b, article="9999") if isinstance(b, LineAdded) else b for b in bodies]


def lower_amount(bodies: Sequence[Body]) -> list[Body]:
    return [structs.replace(b, amount_ore=1) if isinstance(b, LineAdded) else b for b in bodies]


def not_parked(bodies: Sequence[Body]) -> list[Body]:
    return [body for body in bodies if not isinstance(body, SaleParked)]


def another_sales(bodies: Sequence[Body]) -> list[Body]:
    return [structs.replace(b, sale=99) if isinstance(b, LineAdded) else b for b in bodies]


def nothing(_: Sequence[Body]) -> list[Body]:
    return []


def parked_twice(bodies: Sequence[Body]) -> list[Body]:
    return [*bodies, bodies[-1]]


@pytest.mark.parametrize(
    "forge", [cheaper, less_vat, unknown_goods, lower_amount, not_parked, another_sales, nothing, parked_twice]
)
def test_s2_a_store_node_that_was_taken_over_forges_no_price(
    tmp_path: Path, forge: Callable[[Sequence[Body]], list[Body]]
) -> None:
    here, world, there, other, node = two_tills(tmp_path)
    there.selling.pick(MILK)
    node.baskets[THERE] = forge(parked_at(other, there.selling.park()))
    with pytest.raises(NotMovableError):
        here.selling.take_over(THERE)
    assert world.bodies(SaleOpened) == []


# --- returns --------------------------------------------------------------------------------------------------------


def sold(till: Till, *goods: tuple[str, int]) -> int:
    for article, quantity in goods:
        till.selling.pick(article, quantity)
    till.checkout.pay("cash", 500_000)
    return till.desk.state.numbers["normal"]


def test_r17_what_came_back_at_another_till_counts(tmp_path: Path) -> None:
    node = FakeNode(came={1: Came(2000, 3_380, 3_380)})
    till, world = a_till(tmp_path, neighbours=node)
    number = sold(till, (MILK, 3000))
    till.returns.begin(str(number), BO)
    assert [item.left_milli for item in till.returns.lines()] == [1000]
    refused(AlreadyReturnedError, lambda: till.returns.take(1, 2000))
    till.returns.take(1, 1000)
    assert till.desk.priced(till.desk.basket()).total_ore == 1_690
    opened = world.bodies(SaleOpened)[-1]
    assert isinstance(opened, SaleOpened)
    assert not opened.lone


def test_r17_one_receipt_is_not_returned_at_two_tills_at_once(tmp_path: Path) -> None:
    node = FakeNode(held_by="K4")
    till, world = a_till(tmp_path, neighbours=node)
    number = sold(till, (MILK, 1000))
    with pytest.raises(HeldElsewhereError, match="K4"):
        till.returns.begin(str(number), BO)
    assert len(world.bodies(SaleOpened)) == 1


def test_r17_after_a_restart_the_node_is_asked_again(tmp_path: Path) -> None:
    node = FakeNode(came={1: Came(2000, 3_380, 3_380)})
    till, world = a_till(tmp_path, neighbours=node)
    number = sold(till, (MILK, 3000))
    till.returns.begin(str(number), BO)
    again = world.start()
    again.sign_in(BO)
    refused(AlreadyReturnedError, lambda: again.returns.take(1, 2000))
    again.returns.take(1, 1000)
    assert node.asked == ["hold", "hold"]


LONE = Rules(disk_least_mb=0, limits=Limits(lone_return_ore=4_000, lone_day_ore=6_000))


def test_r17_a_till_alone_returns_only_so_much(tmp_path: Path) -> None:
    node = FakeNode(silent=True)
    till, world = a_till(tmp_path, neighbours=node, rules=LONE)
    number = sold(till, (MILK, 9000))
    till.returns.begin(str(number), BO)
    till.returns.take(1, 2000)
    with pytest.raises(LoneReturnError, match="6,20 kr"):
        till.returns.take(1, 1000)
    till.checkout.pay("cash", 0)
    opened = world.bodies(SaleOpened)[-1]
    assert isinstance(opened, SaleOpened)
    assert opened.lone
    till.returns.begin(str(number), BO)
    till.returns.take(1, 1000)  # 33,80 + 16,90 of the day's 60,00
    with pytest.raises(LoneReturnError):
        till.returns.take(1, 1000)
    till.checkout.pay("cash", 0)
    world.clock.pass_ms(24 * 3_600_000)
    till.returns.begin(str(number), BO)
    till.returns.take(1, 2000)  # another day


def test_r17_when_the_node_is_back_the_bound_is_gone(tmp_path: Path) -> None:
    node = FakeNode(silent=True)
    till, _ = a_till(tmp_path, neighbours=node, rules=LONE)
    number = sold(till, (MILK, 9000))
    till.returns.begin(str(number), BO)
    refused(LoneReturnError, lambda: till.returns.take(1, 5000))
    node.silent = False
    till.returns.take(1, 5000)


def test_r17_the_days_bound_holds_over_a_restart(tmp_path: Path) -> None:
    node = FakeNode(silent=True)
    till, world = a_till(
        tmp_path,
        neighbours=node,
        rules=Rules(disk_least_mb=0, limits=Limits(lone_return_ore=9_000, lone_day_ore=1_700)),
    )
    number = sold(till, (MILK, 9000))
    till.returns.begin(str(number), BO)
    till.returns.take(1, 1000)
    till.checkout.pay("cash", 0)
    again = world.start()
    again.sign_in(BO)
    again.returns.begin(str(number), BO)
    refused(LoneReturnError, lambda: again.returns.take(1, 1000))
