"""What would it have cost: real receipts reckoned with two assortments, by the rules of a sale and nothing else."""

from __future__ import annotations

import msgspec
import pytest

from oppet.goods.article import Article, Price
from oppet.goods.catalogue import Catalogue
from oppet.goods.promotions import Promotion
from oppet.journal.entry import body_of, parse
from oppet.journal.kinds import Receipt
from oppet.sale.again import again
from tests.register.world import COLA, CRISPS, MILK, PANT, a_till, goods

SINCE = "2026-11-23T06:00"


@pytest.fixture(scope="module")
def receipts(tmp_path_factory: pytest.TempPathFactory) -> list[Receipt]:
    """Milk for a member; two colas with their deposit; three bags of crisps, one of them free."""
    till, world = a_till(tmp_path_factory.mktemp("till"))
    for article, count, member in ((MILK, 1, "M4711"), (COLA, 2, ""), (CRISPS, 3, "")):
        till.selling.pick(article, count * 1000)
        if member:
            till.selling.member(member)
        till.checkout.pay("cash", 100_000)
    assert world.journal is not None
    found = [body_of(parse(world.journal.raw(seq))) for seq in range(1, world.journal.head.seq + 1)]
    world.journal.close()
    return [body for body in found if isinstance(body, Receipt)]


def changed(number: str, ore: int) -> Catalogue:
    """The goods with one at another price from the day that is tried."""
    before = goods()
    articles = [priced(one, ore) if one.number == number else one for one in before]
    return Catalogue("new", "2026-11-23", articles, before.promotions)


def priced(article: Article, ore: int) -> Article:
    return msgspec.structs.replace(article, prices=(*article.prices, Price(SINCE, ore)))


def test_the_same_assortment_gives_what_was_paid(receipts: list[Receipt]) -> None:
    found = again(receipts, goods(), goods(), SINCE)
    assert found.before_ore == found.after_ore == sum(receipt.total_ore for receipt in receipts)
    assert (found.receipts, found.changed, found.groups, found.largest) == (3, 0, (), ())


def test_a_new_price_is_told_by_total_group_and_basket(receipts: list[Receipt]) -> None:
    found = again(receipts, goods(), changed(COLA, 1_500), SINCE)
    assert found.after_ore - found.before_ore == 500
    (group,) = found.groups
    assert (group.group, group.after_ore - group.before_ore) == ("Dryck", 500)
    (basket,) = found.largest
    assert basket.change_ore == 500
    assert [(line.name, line.before_ore, line.after_ore) for line in basket.lines] == [("Cola 33 cl", 2_500, 3_000)]


def test_offers_and_deposits_are_part_of_it(receipts: list[Receipt]) -> None:
    found = again(receipts, goods(), changed(CRISPS, 3_000), SINCE)
    assert found.after_ore - found.before_ore == 1_000  # three, of which two are paid
    found = again(receipts, goods(), changed(PANT, 300), SINCE)
    assert found.after_ore - found.before_ore == 200


def test_a_members_price_counts_for_the_member(receipts: list[Receipt]) -> None:
    before = goods()
    offer = Promotion("M", "Medlem", SINCE, "member", articles=(MILK,), price_ore=900)
    found = again(receipts, before, Catalogue("new", "", tuple(before), (*before.promotions, offer)), SINCE)
    assert found.after_ore - found.before_ore == 900 - 1_490


def test_what_one_side_cannot_sell_stays_at_what_was_paid(receipts: list[Receipt]) -> None:
    before = goods()
    without = Catalogue("new", "", tuple(one for one in before if one.number != CRISPS), before.promotions)
    found = again(receipts, before, without, SINCE)
    assert (found.left_out, found.after_ore - found.before_ore) == (1, 0)


def test_no_receipts_are_no_figures() -> None:
    assert again([], goods(), goods(), SINCE).receipts == 0
