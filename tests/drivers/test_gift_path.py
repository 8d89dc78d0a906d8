"""Paying by gift card from till to store node and back: the real path, the real lane, the real book. Keeps PT10."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from oppet.base.clock import utc_text
from oppet.drivers.gift_book import GiftKeeper, NotIssuedError
from oppet.drivers.gift_path import GiftCardPath
from oppet.drivers.post import Post
from oppet.drivers.shelf_files import FileShelf
from oppet.journal.kinds import Receipt, TenderSent
from oppet.payments.giftcard import GiftQuestion, GiftVerdict, NotAGiftCardError, card_code, card_token
from oppet.register.errors import NeighboursAwayError
from oppet.register.till import Till
from oppet.store.lanes import LaneDesk
from oppet.sync.lanes import AskGift, Lane, Told, check, sign
from tests.register.world import BO, MILK, World, a_till
from tests.sync.chain import NODE, TILL, FakeClock, a_directory

PRICE = 1_690


@dataclass
class Node:
    """A store node with its book of gift cards, asked over its signed lane; it can be away, or lose its answers."""

    folder: Path
    away: bool = False
    loses: int = 0  # answers

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.begin()

    def begin(self) -> None:
        self.post = Post.open(self.folder, "S01-node", "store", "S01", self.clock, "machine-1")
        self.gifts = GiftKeeper(self.post, self.folder / "gift-cards.json")
        known = a_directory().standing
        self.shelf = FileShelf(self.folder / "kept", known, self.clock)
        self.desk = LaneDesk(self.shelf, self.post, NODE, known, "S01", self.clock, gifts=self.gifts)

    def close(self) -> None:
        self.shelf.close()
        self.post.close()

    def again(self, *, save: bool = True) -> None:
        if save:
            self.gifts.save()
        self.close()
        self.begin()

    def ask(self, asked: AskGift) -> Told:
        if self.away:
            raise NeighboursAwayError
        answer = self.desk.answer(sign(Lane("S01-K1", 1, utc_text(self.clock.at), "0" * 32, asked), TILL))
        assert check(answer, NODE.public)
        if self.loses:
            self.loses -= 1
            raise NeighboursAwayError
        return msgspec.json.decode(answer.text, type=Told)


@dataclass
class Shop:
    node: Node
    till: Till
    world: World
    path: GiftCardPath

    def settle(self, done: Callable[[], object]) -> None:
        """Let the path's thread and the till's tick take turns until it is so."""
        until = time.monotonic() + 10
        while not done():
            assert time.monotonic() < until, [one.state for one in self.till.desk.state.attempts()]
            self.world.clock.pass_ms(500)
            self.till.tenders.tick()
            time.sleep(0.005)

    def receipts(self) -> list[Receipt]:
        return [body for body in self.world.bodies(Receipt) if isinstance(body, Receipt)]


class Named(GiftCardPath):
    """The till of these tests is called K3; the node knows S01-K1."""

    def name_request(self, till: str, epoch: int, number: int) -> str:
        return super().name_request("S01-K1", epoch, number)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    node = Node(tmp_path / "node")
    path = Named(name="gift", place="S01/K1", ask=node.ask)
    till, world = a_till(tmp_path / "till", payments=[path])
    yield Shop(node, till, world, path)
    path.close()
    node.close()
    assert world.journal is not None
    world.journal.close()


def test_pt10_a_gift_card_pays_a_sale_and_its_code_is_in_no_journal(shop: Shop, tmp_path: Path) -> None:
    code = shop.node.gifts.issue(50_000, 301)
    shop.settle(lambda: shop.path.now().state == "working")
    shop.till.selling.pick(MILK)
    shop.till.tenders.gift_card(code)
    shop.settle(shop.receipts)
    [tender] = shop.receipts()[0].tenders
    assert (tender.means, tender.amount_ore, tender.reference) == ("gift_card", PRICE, "S01-K1-1-1")
    assert shop.node.gifts.left_ore() == 50_000 - PRICE
    secret = code.replace("-", "")[2:].encode()
    for file in tmp_path.rglob("*.journal*"):
        data = file.read_bytes()
        assert code.encode() not in data
        assert secret not in data


def test_pt10_a_card_with_less_pays_a_part_and_the_rest_is_paid_otherwise(shop: Shop) -> None:
    code = shop.node.gifts.issue(1_000, 301)
    shop.till.selling.pick(MILK)
    shop.till.tenders.gift_card(code)
    shop.settle(lambda: shop.till.desk.basket().tenders)
    assert shop.till.checkout.pay("cash", 700).kind == "done"
    assert [(one.means, one.amount_ore) for one in shop.receipts()[0].tenders] == [("gift_card", 1_000), ("cash", 700)]
    assert shop.node.gifts.left_ore() == 0


def test_pt10_law3_a_lost_answer_is_asked_about_and_charged_once(shop: Shop) -> None:
    code = shop.node.gifts.issue(50_000, 301)
    shop.settle(lambda: shop.path.now().state == "working")
    shop.node.loses = 1_000
    shop.till.selling.pick(MILK)
    shop.till.tenders.gift_card(code)
    shop.settle(lambda: [one.state for one in shop.till.desk.state.attempts()] == ["unknown"])
    shop.node.loses = 0
    shop.settle(shop.receipts)
    assert shop.node.gifts.left_ore() == 50_000 - PRICE


def test_pt8_pt10_a_node_that_is_away_takes_no_gift_card_and_cash_goes_on(shop: Shop) -> None:
    code = shop.node.gifts.issue(50_000, 301)
    shop.settle(lambda: shop.path.now().state == "working")
    shop.node.away = True
    shop.till.selling.pick(MILK)
    shop.till.tenders.gift_card(code)
    shop.settle(lambda: [one.state for one in shop.till.desk.state.attempts()] == ["unknown"])
    assert shop.till.checkout.pay("cash", 1_700).kind == "done"
    shop.node.away = False
    shop.settle(lambda: not shop.till.desk.state.attempts())
    assert shop.node.gifts.left_ore() == 50_000, "it never came, and is shut"


def test_pt4_pt9_a_card_gets_its_money_back_before_and_after_the_receipt(shop: Shop) -> None:
    code = shop.node.gifts.issue(50_000, 301)
    shop.till.selling.pick(MILK)
    tender = shop.till.tenders.gift_card(code, 500)
    shop.settle(lambda: tender in shop.till.desk.basket().tenders)
    shop.till.tenders.give_back(tender)
    shop.settle(lambda: not shop.till.desk.basket().tenders)
    assert shop.node.gifts.left_ore() == 50_000
    shop.till.tenders.gift_card(code)
    shop.settle(shop.receipts)
    shop.till.returns.begin("1", BO)
    shop.till.returns.take(1, 1000)
    shop.till.tenders.ask("gift", PRICE)
    shop.settle(lambda: len(shop.receipts()) == 2)
    assert shop.node.gifts.left_ore() == 50_000


def test_pt10_what_is_no_card_is_refused_before_anything_is_written(shop: Shop) -> None:
    shop.till.selling.pick(MILK)
    for code in ("", "7310865004703", "GK-0000-0000-0000-0000-1"):
        with pytest.raises(NotAGiftCardError):
            shop.till.tenders.gift_card(code)
    with pytest.raises(NotAGiftCardError):
        shop.till.tenders.ask("gift", PRICE)
    assert shop.world.bodies(TenderSent) == []


# --- the keeper of the book


def a_question(request: str, amount: int, card: str, what: str = "payment", about: str = "") -> GiftQuestion:
    return GiftQuestion("S01-K1", what, request, card, amount, about)


@pytest.mark.parametrize("save", [True, False])
def test_pt10_the_book_is_the_same_after_a_restart(tmp_path: Path, save: bool) -> None:
    node = Node(tmp_path)
    card = card_token(node.gifts.issue(50_000, 301))
    node.gifts.answer(a_question("S01-K1-1-1", 20_000, card))
    node.again(save=save)
    assert node.gifts.left_ore() == 30_000
    assert node.gifts.answer(a_question("S01-K1-1-1", 20_000, card)) == GiftVerdict("approved", 20_000, "", 30_000)
    (tmp_path / "gift-cards.json").write_bytes(b"{half")
    node.again(save=False)
    assert node.gifts.left_ore() == 30_000
    node.close()


def test_pt10_a_node_whose_journal_began_anew_still_knows_what_its_cards_are_worth(tmp_path: Path) -> None:
    node = Node(tmp_path)
    card = card_token(node.gifts.issue(50_000, 301))
    node.gifts.save()
    node.close()
    (tmp_path / "S01-node-0001.journal").write_bytes(b"no journal any more")
    node.begin()
    assert node.post.epoch == 2
    assert node.gifts.answer(a_question("S01-K1-1-1", 20_000, card)).left_ore == 30_000
    node.again(save=False)
    assert node.gifts.left_ore() == 30_000
    node.close()


def test_pt10_a_till_asks_only_in_its_own_name(tmp_path: Path) -> None:
    node = Node(tmp_path)
    card = card_token(node.gifts.issue(50_000, 301))
    assert node.gifts.answer(a_question("S01-K2-1-1", 100, card)).why == "not_yours"
    assert node.gifts.answer(a_question("S01-K1-1-1", 0, "", what="status", about="S01-K2-1-1")).why == "not_yours"
    assert node.gifts.left_ore() == 50_000
    node.close()


@pytest.mark.parametrize("amount", [0, -1, 999, 1_000_001])
def test_pt10_a_card_is_issued_within_bounds(tmp_path: Path, amount: int) -> None:
    node = Node(tmp_path)
    with pytest.raises(NotIssuedError):
        node.gifts.issue(amount, 301)
    assert node.gifts.answer(a_question("S01-K1-1-1", 100, card_token(card_code(bytes(10))))).why == "unknown_card"
    node.close()
