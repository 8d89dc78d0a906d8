"""Goods coming back: against an original, at its price, and never more than was bought."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from oppet.base.signing import Signer, Verifier
from oppet.fiscal.series import believe_series, wrong_sums
from oppet.journal.kinds import Evidence, LineAdded, Original, Receipt, ReceiptTender, SaleOpened, TenderSent
from oppet.paper.electronic import ForgedReceiptError, UnknownTillError, pack, unpack
from oppet.register.errors import NoReceiptError, NotPossibleNowError
from oppet.register.till import Till
from oppet.sale.errors import (
    AlreadyReturnedError,
    BasketStateError,
    MixedReceiptError,
    NeedsApprovalError,
    NoSuchSaleError,
    NotReturnableError,
    TooManyLinesError,
)
from tests.register.acts import refused
from tests.register.services import FakeService
from tests.register.test_neighbours import FakeNode
from tests.register.world import ALVA, BANANA, BO, BREAD, COLA, CRISPS, MILK, SECRET, World, a_till

OTHER = Signer(bytes(31) + b"\x07")


@dataclass
class Store(World):
    """A store where till K4's key is known: its signed codes are believed here."""

    known: dict[tuple[str, int], bytes] = field(
        default_factory=lambda: {("K4", 1): OTHER.public, ("K3", 1): Signer(SECRET).public}
    )

    def find(self, code: str) -> tuple[Original, Receipt]:
        def key(till: str, epoch: int) -> Verifier | None:
            public = self.known.get((till, epoch))
            return Verifier(public) if public is not None else None

        found = unpack(code, key)
        assert found.receipt is not None
        return Original(found.till, found.epoch, found.number), found.receipt


def a_store(folder: Path) -> tuple[Till, Store]:
    store = Store(folder)
    till = store.start()
    till.sign_in(ALVA)
    till.drawer.set_float(50_000)
    return till, store


def sell(till: Till, *goods: tuple[str, int]) -> int:
    for article, quantity in goods:
        till.selling.pick(article, quantity)
    return till.checkout.pay("card", till.desk.priced(till.desk.basket()).total_ore).number


def receipts(world: World) -> list[Receipt]:
    return [body for body in world.bodies(Receipt) if isinstance(body, Receipt)]


def code_from(till: str, receipt: Receipt, signer: Signer) -> str:
    return pack(receipt, till, 1, 40, "2026-11-22T09:00:00.000Z", "0" * 64, signer)


def test_s6_r17_a_return_repeats_price_vat_discount_and_pant(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    number = sell(till, (CRISPS, 3000), (COLA, 2000))
    till.returns.begin(str(number), BO)
    assert [(item.line.article, item.left_milli) for item in till.returns.lines()] == [
        (CRISPS, 3000), (COLA, 2000), ("P200", 2000),
    ]  # fmt: skip
    till.returns.take(1, 1000)
    till.returns.take(2, 2000)
    assert till.checkout.pay("card", 1_667 + 2_500 + 400).kind == "done"
    back = receipts(world)[1]
    assert (back.kind, back.number, back.original) == ("return", 2, Original("K3", 1, number))
    assert [(line.net_ore, line.vat_rate, line.original_line) for line in back.lines] == [
        (1_667, 600, 1), (2_500, 600, 2), (400, 0, 3),
    ]  # fmt: skip
    assert wrong_sums(back) == ""
    request = world.units[0].requests[-1]
    assert (request.total_ore, request.negative_ore) == (0, 4_567)
    assert all(ore <= 0 for _, ore in request.vat)
    report = till.drawer.z(BO).report
    assert (report.returns, report.returns_ore, report.sales_ore, report.total_ore) == (1, 4_567, 7_900, 3_333)


def test_r17_never_more_than_was_bought(tmp_path: Path) -> None:
    till, _ = a_till(tmp_path)
    sell(till, (CRISPS, 3000), (BANANA, 755))
    till.returns.begin("1", BO)
    for quantity in (0, -1000, 4000, 10**30, -(10**30)):
        refused(AlreadyReturnedError, lambda quantity=quantity: till.returns.take(1, quantity))  # type: ignore[misc]
    refused(NotReturnableError, lambda: till.returns.take(1, 1500), lambda: till.returns.take(9, 1000))
    till.returns.take(1, 2000)
    refused(AlreadyReturnedError, lambda: till.returns.take(1, 2000))
    till.returns.take(2, 300)
    till.checkout.pay("cash", 0)
    till.returns.begin("1", BO)
    refused(AlreadyReturnedError, lambda: till.returns.take(1, 2000), lambda: till.returns.take(2, 456))
    till.returns.take(1, 1000)
    till.returns.take(2, 455)
    till.checkout.pay("cash", 0)
    till.returns.begin("1", BO)
    refused(AlreadyReturnedError, lambda: till.returns.take(1, 1000), lambda: till.returns.take(2, 1))


def test_r17_a_line_of_a_return_is_not_changed_to_more(tmp_path: Path) -> None:
    till, _ = a_till(tmp_path)
    sell(till, (MILK, 1000))
    till.returns.begin("1", BO)
    till.returns.take(1, 1000)
    refused(
        NotPossibleNowError,
        lambda: till.selling.change(1, 50_000),
        lambda: till.selling.discount(0, 10, 0, "x", BO),
        lambda: till.selling.member("M1"),
        lambda: till.selling.pick(MILK),
    )
    till.selling.void(1)
    till.returns.take(1, 1000)
    assert till.desk.priced(till.desk.basket()).total_ore == 1_690


def test_r17_a_parked_return_holds_its_goods(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    sell(till, (CRISPS, 3000))
    till.returns.begin("1", BO)
    till.returns.take(1, 2000)
    parked = till.selling.park()
    till.returns.begin("1", BO)
    refused(AlreadyReturnedError, lambda: till.returns.take(1, 2000))
    till.returns.take(1, 1000)
    till.checkout.pay("card", 1_667)
    again = world.start()
    again.sign_in(ALVA)
    again.selling.resume(parked)
    refused(AlreadyReturnedError, lambda: again.returns.take(1, 1000))
    again.checkout.pay("card", again.desk.priced(again.desk.basket()).total_ore)
    assert sum(receipt.total_ore for receipt in receipts(world) if receipt.kind == "return") == 5_000


@pytest.mark.parametrize("seed", range(12))
def test_r17_whatever_parts_come_back_they_add_up_to_the_ore(tmp_path: Path, seed: int) -> None:
    """Across several return receipts, with pant, promotions and a discount: all back is what was paid, never more."""
    chance = Random(seed)
    bought = [(MILK, 1000), (CRISPS, 3000), (CRISPS, 4000), (COLA, 2000), (BANANA, 755)]
    till, world = a_till(tmp_path)
    for article, quantity in chance.choices(bought, k=chance.randint(1, 4)):
        till.selling.pick(article, quantity)
    if percent := chance.choice([0, 7, 33]):
        till.selling.discount(0, percent, 0, "skadad", BO)
    paid = till.desk.priced(till.desk.basket()).total_ore
    till.checkout.pay("card", paid)
    (sold,) = receipts(world)
    while True:
        till.returns.begin("1", BO)
        open_items = [item for item in till.returns.lines() if item.left_milli and not item.line.pant_of]
        if not open_items:
            till.selling.abandon("allt är tillbaka", BO)
            break
        for item in chance.sample(open_items, chance.randint(1, len(open_items))):
            step = 1 if item.line.unit == "kg" else 1000
            part = step * chance.randint(1, item.left_milli // step)
            till.returns.take(item.line.line, part)
            if chance.random() < 0.25:
                till.selling.void(till.desk.basket().standing()[-1].added.pant_of or till.desk.basket().last_line, BO)
        back = till.desk.priced(till.desk.basket()).total_ore
        if not till.desk.basket().standing():
            till.selling.abandon("ångrade sig", BO)
            continue
        assert till.checkout.pay("card", back).kind == "done"
        assert sum(receipt.total_ore for receipt in receipts(world)[1:]) <= sold.total_ore
    returned = receipts(world)[1:]
    assert sum(receipt.total_ore for receipt in returned) == sold.total_ore == paid
    for line in sold.lines:
        parts = [part for receipt in returned for part in receipt.lines if part.original_line == line.line]
        assert sum(part.quantity_milli for part in parts) == line.quantity_milli
        assert sum(part.amount_ore for part in parts) == line.amount_ore
        assert sum(part.net_ore for part in parts) == line.net_ore
        assert {part.vat_rate for part in parts} == {line.vat_rate}
    assert all(wrong_sums(receipt) == "" for receipt in returned)
    assert believe_series(entry for entry, _ in world.entries()) == []


def test_s6_a_return_is_against_a_sale(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    sell(till, (MILK, 1000))
    till.returns.begin("1", BO)
    till.returns.take(1, 1000)
    till.checkout.pay("card", 1_690)
    refused(NotReturnableError, lambda: till.returns.begin("2", BO))
    for wrong in ("0", "3", "999999999"):
        refused(NoReceiptError, lambda wrong=wrong: till.returns.begin(wrong, BO))  # type: ignore[misc]
    assert len(world.bodies(SaleOpened)) == 2


@pytest.mark.parametrize("text", ["", " ", "1" * 10, "-1", "1.0", "OPPET", "\ud800", "x" * 10_000, "\uff11"])
def test_g2_what_is_no_number_and_no_code_is_refused(tmp_path: Path, text: str) -> None:
    till, world = a_till(tmp_path)
    refused(NoReceiptError, lambda: till.returns.begin(text, BO))
    assert world.bodies(SaleOpened) == []


def test_s6_a_return_never_mixes_with_a_sale(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    sell(till, (MILK, 1000), (BREAD, 1000))
    till.selling.pick(MILK)
    refused(MixedReceiptError, lambda: till.returns.begin("1", BO), lambda: till.returns.take(1, 1000))
    refused(NoReceiptError, till.returns.original)
    till.selling.park()
    till.returns.begin("1", BO)
    refused(NotPossibleNowError, lambda: till.selling.pick(MILK), lambda: till.selling.begin("sale"))
    till.returns.take(1, 1000)
    till.checkout.pay("card", 1_690)
    for receipt in receipts(world):
        assert all(bool(line.original_line) is (receipt.kind == "return") for line in receipt.lines)


def test_s7_taking_goods_back_needs_a_supervisor(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    sell(till, (MILK, 1000))
    refused(NeedsApprovalError, lambda: till.returns.begin("1"), lambda: till.returns.begin("1", ALVA))
    till.returns.begin("1", BO)
    opened = world.bodies(SaleOpened)[-1]
    assert isinstance(opened, SaleOpened)
    assert (opened.mode, opened.cashier, opened.approved_by) == ("return", 7, 3)


def test_r17_another_tills_signed_code_opens_a_return_and_the_code_is_shown_again_after_a_restart(
    tmp_path: Path,
) -> None:
    till, store = a_store(tmp_path)
    sell(till, (MILK, 3000))
    theirs = code_from("K4", receipts(store)[0], OTHER)
    till.returns.begin(theirs, BO)
    till.returns.take(1, 1000)
    again = store.start()
    again.sign_in(ALVA)
    refused(NoReceiptError, again.returns.lines, lambda: again.returns.take(1, 1000))
    refused(MixedReceiptError, lambda: again.returns.begin("1", BO))
    again.returns.begin(theirs)
    assert again.returns.lines()[0].left_milli == 2000
    again.returns.take(1, 2000)
    assert again.checkout.pay("card", 5_070).kind == "done"
    again.returns.begin(theirs, BO)
    refused(AlreadyReturnedError, lambda: again.returns.take(1, 1000))
    again.selling.abandon("redan tillbaka")
    again.returns.begin("1", BO)
    again.returns.take(1, 1000)


def test_r17_a_return_can_be_paid_after_a_restart_without_the_code(tmp_path: Path) -> None:
    till, store = a_store(tmp_path)
    sell(till, (MILK, 1000))
    till.returns.begin(code_from("K4", receipts(store)[0], OTHER), BO)
    till.returns.take(1, 1000)
    again = store.start()
    again.sign_in(ALVA)
    assert again.checkout.pay("cash", 0).kind == "done"


def test_r17_p12_a_forged_code_opens_nothing(tmp_path: Path) -> None:
    till, store = a_store(tmp_path)
    sell(till, (MILK, 1000))
    receipt = receipts(store)[0]
    refused(ForgedReceiptError, lambda: till.returns.begin(code_from("K4", receipt, Signer(bytes(32))), BO))
    refused(UnknownTillError, lambda: till.returns.begin(code_from("K9", receipt, OTHER), BO))
    assert [body.mode for body in store.bodies(SaleOpened) if isinstance(body, SaleOpened)] == ["sale"]


def test_r17_the_journal_is_better_than_a_code_of_its_own_till(tmp_path: Path) -> None:
    """A code this till signed names a receipt that is looked up: what the code says of the lines is not asked."""
    till, store = a_store(tmp_path)
    sell(till, (MILK, 1000))
    assert till.returns.begin(code_from("K3", receipts(store)[0], Signer(SECRET)), BO) == receipts(store)[0]


def test_r17_money_given_back_without_a_receipt_is_not_given_twice(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    sell(till, (MILK, 3000))
    till.returns.begin("1", BO)
    till.returns.take(1, 1000)
    world.units[0].plan = ["silent_registered"] * 2
    assert till.checkout.pay("card", 1_690).kind == "code_unknown"
    till.checkout.open_unit("FAKE0001", BO)
    till.returns.begin("1", BO)
    till.returns.take(1, 1000)
    world.units[0].plan = ["busy"]
    assert till.checkout.pay("card", 1_690).kind == "no_unit"
    till.checkout.end_outage(0, 0, BO)
    till.returns.begin("1", BO)
    refused(AlreadyReturnedError, lambda: till.returns.take(1, 2000))
    till.returns.take(1, 1000)


def test_s2_a_return_is_bounded_and_ends(tmp_path: Path) -> None:
    till, _ = a_till(tmp_path)
    sell(till, (BANANA, 755))
    till.returns.begin("1", BO)
    for _ in range(400):
        till.returns.take(1, 1)
    refused(TooManyLinesError, lambda: till.returns.take(1, 1))
    till.checkout.pay("cash", 0)
    refused(NoSuchSaleError, lambda: till.returns.take(1, 1))


def test_s2_nothing_is_taken_once_money_is_given_back(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    sell(till, (MILK, 2000))
    till.returns.begin("1", BO)
    till.returns.take(1, 1000)
    assert till.checkout.pay("card", 500).kind == "more"
    refused(BasketStateError, lambda: till.returns.take(1, 1000))
    assert till.checkout.pay("cash", 0).kind == "done"
    assert [(t.means, t.amount_ore) for t in receipts(world)[1].tenders] == [("card", 500), ("cash", 1_200)]
    assert till.desk.state.tally.cash_expected_ore() == 50_000 - 1_200
    assert len(world.bodies(LineAdded)) == 2


# --- money goes back the way it came


def asked_back(world: World) -> list[tuple[int, str]]:
    """What each refund asked for, and which payment it named."""
    sent = [body for body in world.bodies(TenderSent) if isinstance(body, TenderSent) and body.what == "refund"]
    return [(body.amount_ore, body.original.reference if body.original is not None else "") for body in sent]


def by_card(ore: int, reference: str) -> ReceiptTender:
    return ReceiptTender("card", ore, ore, 0, reference, Evidence(reference, "2026-11-21T15:00:00Z", "A1"))


def test_pt9_a_refund_names_the_payment_that_this_till_took(tmp_path: Path) -> None:
    till, world = a_till(tmp_path, payments=[FakeService()])
    till.selling.pick(MILK, 3000)
    till.tenders.ask("card-1", 5_070)
    till.tenders.tick()
    till.returns.begin("1", BO)
    till.returns.take(1, 1000)
    assert [tender.means for tender in till.tenders.originals()] == ["card"]
    till.tenders.ask("card-1", 1_690)
    till.tenders.tick()
    assert asked_back(world) == [(1_690, "T100001")]
    assert [receipt.kind for receipt in receipts(world)] == ["sale", "return"]


def sold_by_card(folder: Path, *amounts: int, node: FakeNode) -> tuple[Till, Store, str]:
    """A till and the code of another till's receipt, paid by card in these parts; the node knows each with its time."""
    store = Store(folder, neighbours=node, payments=[FakeService()])
    till = store.start()
    till.sign_in(ALVA)
    till.drawer.set_float(50_000)
    till.selling.pick(MILK, 3000)
    for amount in amounts:
        till.tenders.ask("card-1", amount)
        till.tenders.tick()
    [receipt] = receipts(store)
    node.tenders = receipt.tenders
    return till, store, code_from("K4", receipt, OTHER)


def test_pt9_a_refund_names_the_payment_that_another_till_took_by_code_and_the_nodes_word(tmp_path: Path) -> None:
    node = FakeNode()
    till, store, theirs = sold_by_card(tmp_path, 5_070, node=node)
    till.returns.begin(theirs, BO)
    till.returns.take(1, 1000)
    again = store.start()
    again.sign_in(ALVA)
    assert again.tenders.originals() == [], "the code must be shown again"
    again.returns.begin(theirs)
    assert again.tenders.originals() == list(node.tenders)
    again.tenders.ask("card-1", 1_690)
    assert asked_back(store) == [(1_690, "T100001")]


def test_pt9_a_node_that_was_taken_over_sends_no_money_to_another_card(tmp_path: Path) -> None:
    node = FakeNode()
    till, store, theirs = sold_by_card(tmp_path, 5_070, node=node)
    node.tenders = (by_card(5_070, "CLEO"),)
    till.returns.begin(theirs, BO)
    till.returns.take(1, 3000)
    till.tenders.ask("card-1", 5_070)
    assert asked_back(store) == [(5_070, "")]


def test_pt9_with_no_node_a_shown_code_names_a_swish_payment_and_no_card_payment(tmp_path: Path) -> None:
    swish = FakeService("swish", "swish", exclusive=False, idempotent=True)
    store = Store(tmp_path, neighbours=FakeNode(silent=True), payments=[FakeService(), swish])
    till = store.start()
    till.sign_in(ALVA)
    till.drawer.set_float(50_000)
    for article, path in ((MILK, "card-1"), (BREAD, "swish")):
        till.selling.pick(article)
        till.tenders.ask(path, till.desk.priced(till.desk.basket()).total_ore)
        till.tenders.tick()
    for receipt, path in zip(receipts(store), ("card-1", "swish"), strict=True):
        till.returns.begin(code_from("K4", receipt, OTHER), BO)
        till.returns.take(1, 1000)
        till.tenders.ask(path, receipt.total_ore)
        till.tenders.tick()
    assert asked_back(store) == [(1_690, ""), (3_250, "T100002")]


def test_pt9_of_several_card_payments_each_is_named_once_and_the_smallest_that_covers(tmp_path: Path) -> None:
    till, store, theirs = sold_by_card(tmp_path, 1_000, 3_000, 1_070, node=FakeNode())
    till.returns.begin(theirs, BO)
    till.returns.take(1, 3000)
    for amount in (1_050, 2_990, 1_030):
        till.tenders.ask("card-1", amount)
        till.tenders.tick()
    assert asked_back(store) == [(1_050, "T100003"), (2_990, "T100002"), (1_030, "T100001")]
