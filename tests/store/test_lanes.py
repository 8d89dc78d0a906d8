"""Rulings between tills: one basket goes on at one till, and no receipt is returned twice while the node is asked."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from oppet.base.clock import utc_text
from oppet.base.signing import Signer
from oppet.drivers.post import Post
from oppet.drivers.shelf_files import FileShelf
from oppet.journal.kinds import (
    Body,
    Elsewhere,
    EpochClosed,
    Evidence,
    LineAdded,
    Original,
    Receipt,
    ReceiptLine,
    ReceiptTender,
    SaleAbandoned,
    SaleMoved,
    SaleOpened,
    SaleParked,
    SaleResumed,
    TenderHeard,
    TenderReversed,
    TenderTaken,
)
from oppet.store.lanes import HOLD_MS, LaneDesk, LaneNotBelievedError, LaneOldError, NotGivenError
from oppet.sync.certificates import Revocation, TillCertificate, make_paper
from oppet.sync.keeper import Keeper
from oppet.sync.lanes import (
    Ask,
    AskHold,
    AskParked,
    AskResume,
    AskRisk,
    AskSpend,
    AskTake,
    Lane,
    Refused,
    Signed,
    Told,
    check,
    sign,
)
from oppet.sync.sender import Sender
from tests.sync.chain import MANAGER, NODE, OTHER, TILL, FakeClock, History, a_directory

NEWER = Signer(b"\x06" * 32)
NONCE = "0" * 32


class Shop:
    """A node's shelf and desk, and two tills of the store."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.directory = folder, FakeClock(), a_directory()
        self.tills = {"S01-K1": History(), "S01-K2": History("S01-K2", 1, OTHER)}
        self.keys = {"S01-K1": TILL, "S01-K2": OTHER}
        self.open()

    def open(self) -> None:
        self.shelf = FileShelf(self.folder / "kept", self.directory.standing, self.clock)
        self.keeper = Keeper("S01-node", NODE, self.shelf, self.directory.standing, self.clock, lambda *_, **__: None)
        self.post = Post.open(self.folder / "post", "S01-node", "store", "S01", self.clock, "machine-1")
        known, replaced = self.directory.standing, self.directory.replaced
        self.desk = LaneDesk(self.shelf, self.post, NODE, known, "S01", self.clock, replaced)

    def close(self) -> None:
        self.desk.save()
        self.shelf.close()
        self.post.close()

    def again(self) -> None:
        """The node restarts."""
        self.close()
        self.open()

    def write(self, till: str, *bodies: Body) -> None:
        history = self.tills[till]
        history.now = self.clock.at
        for body in bodies:
            history.write(1, body)
        sender, now = Sender(history, "S01-node", NODE.public), 0
        while (batch := sender.ask(now := now + 1)) is not None:
            sender.answered(self.keeper.receive(batch), now)

    def enrol_again(self, till: str) -> None:
        """A second epoch of the till, with a key of its own."""
        self.clock.at += 1_000
        certificate = TillCertificate(till, 2, "S01", till[-2:], NEWER.public.hex(), utc_text(self.clock.at))
        self.directory.add(make_paper(certificate, MANAGER))
        self.clock.at += 1_000

    def ask(self, till: str, ask: Ask, *, key: Signer | None = None, epoch: int = 1) -> Told:
        lane = Lane(till, epoch, utc_text(self.clock.at), NONCE, ask)
        answer = self.desk.answer(sign(lane, key or self.keys[till]))
        assert check(answer, NODE.public)
        told = msgspec.json.decode(answer.text, type=Told)
        assert told.nonce == NONCE
        return told


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def a_line(sale: int, line: int = 1, pieces: int = 2) -> LineAdded:
    return LineAdded(sale, line, "a", "Kaffe", "10", "vara", pieces * 1000, "st", 5000, pieces * 5000, 1200)


def a_basket(sale: int) -> list[Body]:
    return [SaleOpened(sale, "sale", 101), a_line(sale), a_line(sale, 2, 1), SaleParked(sale, 101)]


def a_receipt(sale: int, number: int, kind: str = "sale", original: Original | None = None, pieces: int = 2) -> Receipt:
    line = ReceiptLine(
        1, "a", "Kaffe", "10", "vara", pieces * 1000, "st", 5000, pieces * 5000, (), pieces * 5000, 1200, 0, "t",
        original_line=1 if original is not None else 0,
    )  # fmt: skip
    return Receipt(
        sale, kind, number, "X", "5560000000", "Y", "K1-1", 101, (line,), pieces * 5000, 0, (), (), "U", "C",
        original=original,
    )  # fmt: skip


def a_return(sale: int, number: int, original: Original, pieces: int = 2) -> list[Body]:
    return [SaleOpened(sale, "return", 101, original), a_receipt(sale, number, "return", original, pieces)]


def test_r27_a_parked_basket_is_listed_taken_once_and_comes_as_it_was_journalled(shop: Shop) -> None:
    shop.write("S01-K1", *a_basket(7))
    (parked,) = shop.ask("S01-K2", AskParked()).parked or ()
    assert (parked.till, parked.sale, parked.lines, parked.total_ore, parked.by) == ("S01-K1", 7, 2, 15_000, 101)
    assert shop.ask("S01-K1", AskParked()).parked == ()
    told = shop.ask("S01-K2", AskTake("S01-K1", 1, 7))
    assert told.granted
    assert [entry.encode() for entry in told.entries or ()] == shop.tills["S01-K1"].entries
    assert shop.ask("S01-K2", AskTake("S01-K1", 1, 7)).entries == told.entries  # the same till, the same grant
    assert shop.ask("S01-K1", AskResume(7)).refused == Refused("taken", "S01-K2", 1)
    assert [(gone.sale, gone.till) for gone in shop.ask("S01-K1", AskParked()).gone] == [(7, "S01-K2")]
    assert shop.ask("S01-K2", AskParked()).parked == ()
    shop.close()


def test_r27_a_grant_outlives_the_node(shop: Shop) -> None:
    shop.write("S01-K1", *a_basket(7))
    shop.ask("S01-K2", AskTake("S01-K1", 1, 7))
    shop.again()
    assert shop.ask("S01-K1", AskResume(7)).refused == Refused("taken", "S01-K2", 1)
    shop.write("S01-K2", SaleOpened(1, "sale", 101, moved_from=Elsewhere("S01-K1", 1, 7)), a_line(1))
    shop.write("S01-K1", SaleMoved(7, "S01-K2", 1))
    assert shop.ask("S01-K1", AskParked()).gone == ()
    assert shop.ask("S01-K1", AskTake("S01-K1", 1, 7)).refused == Refused("taken", "S01-K2", 1)
    shop.close()


def test_r27_what_its_own_till_goes_on_with_is_given_to_nobody(shop: Shop) -> None:
    shop.write("S01-K1", *a_basket(7))
    assert shop.ask("S01-K1", AskResume(7)).granted
    assert shop.ask("S01-K2", AskTake("S01-K1", 1, 7)).refused == Refused("taken", "S01-K1", 1)
    shop.write("S01-K1", SaleResumed(7, 101))
    shop.clock.at += 120_000
    assert shop.ask("S01-K2", AskTake("S01-K1", 1, 7)).refused == Refused("taken", "S01-K1", 1)
    shop.write("S01-K1", SaleAbandoned(7, 15_000, "left", 101))
    assert shop.ask("S01-K2", AskTake("S01-K1", 1, 7)).refused == Refused("finished")
    assert shop.ask("S01-K2", AskTake("S01-K1", 1, 99)).refused == Refused("unknown")
    shop.close()


def test_r17_a_receipt_is_returned_at_one_till_at_a_time_and_what_came_back_is_told(shop: Shop) -> None:
    original = Original("S01-K1", 1, 3)
    shop.write("S01-K1", *[a_receipt(number, number) for number in range(1, 6)])
    held = AskHold("S01-K1", 1, 3)
    assert shop.ask("S01-K1", held).came == ()
    assert shop.ask("S01-K2", held).refused == Refused("held", "S01-K1")
    shop.again()  # a hold outlives the node
    assert shop.ask("S01-K2", held).refused == Refused("held", "S01-K1")
    shop.write("S01-K1", *a_return(6, 6, original, 1))
    (came,) = shop.ask("S01-K2", held).came or ()
    assert (came.line, came.quantity_milli, came.amount_ore, came.net_ore) == (1, 1000, 5000, 5000)
    shop.close()


def test_r17_a_hold_ends_when_the_return_is_given_up_or_after_a_quarter(shop: Shop) -> None:
    shop.write("S01-K1", a_receipt(1, 1))
    held = AskHold("S01-K1", 1, 1)
    assert shop.ask("S01-K1", held).granted
    shop.write("S01-K1", SaleOpened(2, "return", 101, Original("S01-K1", 1, 1)))
    assert shop.ask("S01-K2", held).refused == Refused("held", "S01-K1")
    shop.write("S01-K1", SaleAbandoned(2, 0, "left", 101))
    assert shop.ask("S01-K2", held).granted
    assert shop.ask("S01-K1", held).refused == Refused("held", "S01-K2")
    shop.clock.at += HOLD_MS
    assert shop.ask("S01-K1", held).granted
    shop.close()


def test_r17_two_epochs_of_one_till_do_not_hold_one_receipt_and_the_newer_ends_what_the_older_held(shop: Shop) -> None:
    shop.write("S01-K1", a_receipt(1, 1))
    held = AskHold("S01-K1", 1, 1)
    assert shop.ask("S01-K2", held).granted
    shop.enrol_again("S01-K2")
    assert shop.ask("S01-K2", held, key=NEWER, epoch=2).granted  # what the old machine held ended with it
    assert shop.ask("S01-K2", held).refused == Refused("held", "S01-K2")  # the old machine still runs
    shop.again()
    assert shop.ask("S01-K2", held).refused == Refused("held", "S01-K2")
    shop.clock.at += HOLD_MS
    assert shop.ask("S01-K2", held).granted  # it was certified before this
    assert shop.ask("S01-K2", held, key=NEWER, epoch=2).refused == Refused("held", "S01-K2")
    shop.close()


def test_r17_a_return_begun_at_a_machine_that_was_replaced_ends_for_its_successor_alone(shop: Shop) -> None:
    """The old machine may still run and end what it began: nobody else is given the receipt before the time is out."""
    shop.write("S01-K1", a_receipt(1, 1))
    shop.write("S01-K2", SaleOpened(2, "return", 101, Original("S01-K1", 1, 1)))
    held = AskHold("S01-K1", 1, 1)
    assert shop.ask("S01-K1", held).refused == Refused("held", "S01-K2")
    shop.enrol_again("S01-K2")
    assert shop.ask("S01-K1", held).refused == Refused("held", "S01-K2")
    assert shop.ask("S01-K2", held, key=NEWER, epoch=2).granted
    shop.close()


@pytest.mark.parametrize("how", ["closed", "revoked", "replaced"])
def test_r27_a_basket_given_to_a_till_whose_epoch_ended_is_given_again(shop: Shop, how: str) -> None:
    shop.write("S01-K1", *a_basket(7), a_receipt(8, 1))
    taking, held = AskTake("S01-K1", 1, 7), AskHold("S01-K1", 1, 1)
    assert shop.ask("S01-K2", taking).granted
    assert shop.ask("S01-K2", held).granted
    assert shop.ask("S01-K1", AskResume(7)).refused == Refused("taken", "S01-K2", 1)
    if how == "closed":
        shop.write("S01-K2", EpochClosed("retired", 301))
    elif how == "revoked":
        shop.directory.add(make_paper(Revocation("S01-K2", 1, "stolen", utc_text(shop.clock.at)), MANAGER))
    else:
        shop.enrol_again("S01-K2")
        assert shop.ask("S01-K2", taking, key=NEWER, epoch=2).granted
        shop.again()
        assert shop.ask("S01-K2", taking).refused == Refused("taken", "S01-K2", 2)
        assert shop.ask("S01-K1", held).refused == Refused("held", "S01-K2")
        shop.close()
        return
    assert shop.desk.given() == []
    assert shop.ask("S01-K1", AskParked()).gone == ()
    assert shop.ask("S01-K1", AskResume(7)).granted
    if how == "revoked":  # it may still end the return it began
        assert shop.ask("S01-K1", held).refused == Refused("held", "S01-K2")
        shop.clock.at += HOLD_MS
    assert shop.ask("S01-K1", held).granted
    shop.close()


def test_r27_the_manager_releases_a_basket_that_a_dead_till_was_given(shop: Shop) -> None:
    shop.write("S01-K1", *a_basket(7))
    shop.ask("S01-K2", AskTake("S01-K1", 1, 7))
    (given,) = shop.desk.given()
    assert (given.place, given.to, given.epoch) == (("S01-K1", 1, 7), "S01-K2", 1)
    shop.desk.release(given, 301)
    assert shop.desk.given() == []
    with pytest.raises(NotGivenError):
        shop.desk.release(given, 301)
    shop.again()  # written down
    assert [basket.sale for basket in shop.desk.look()] == [7]
    assert shop.ask("S01-K1", AskResume(7)).granted
    shop.close()


def test_r27_a_basket_that_went_on_at_another_till_is_not_released(shop: Shop) -> None:
    shop.write("S01-K1", *a_basket(7))
    shop.ask("S01-K2", AskTake("S01-K1", 1, 7))
    (given,) = shop.desk.given()
    shop.write("S01-K2", SaleOpened(1, "sale", 101, moved_from=Elsewhere("S01-K1", 1, 7)), a_line(1))
    assert shop.desk.given() == []
    with pytest.raises(NotGivenError):
        shop.desk.release(given, 301)
    shop.enrol_again("S01-K2")
    assert shop.ask("S01-K1", AskResume(7)).refused == Refused("taken", "S01-K2", 1)  # it may be paid there
    shop.close()


def test_r17_a_receipt_nobody_here_knows_is_not_vouched_for(shop: Shop) -> None:
    told = shop.ask("S01-K1", AskHold("S01-K1", 1, 77))
    assert (told.came, told.refused) == (None, Refused("unknown"))
    shop.close()


def test_r17_what_came_back_twice_while_the_node_was_away_is_a_case_when_the_journals_meet(shop: Shop) -> None:
    original = Original("S01-K1", 1, 3)
    shop.write("S01-K1", *[a_receipt(number, number) for number in range(1, 6)], *a_return(6, 6, original))
    assert shop.desk.cases() == []
    shop.write("S01-K2", *a_return(1, 1, original, 1))
    (case,) = shop.desk.cases()
    assert (case.original, case.line, case.bought_milli, case.returned_milli) == (("S01-K1", 1, 3), 1, 2000, 3000)
    assert case.at == (("S01-K1", 1, 6), ("S01-K2", 1, 1))
    shop.again()
    assert shop.desk.cases() == [case]
    shop.close()


def test_r27_only_a_till_of_the_store_with_its_own_key_and_a_good_clock_is_answered(shop: Shop) -> None:
    with pytest.raises(LaneNotBelievedError):
        shop.ask("S01-K2", AskParked(), key=TILL)
    lane = sign(Lane("S01-K1", 1, utc_text(shop.clock.at - 600_000), NONCE, AskParked()), TILL)
    with pytest.raises(LaneOldError):
        shop.desk.answer(lane)
    with pytest.raises(LaneNotBelievedError):
        shop.desk.answer(Signed(lane.text.replace("S01-K1", "S01-K9"), lane.signature))
    shop.close()


def test_r02_folds_saved_and_read_again_rule_the_same(shop: Shop) -> None:
    shop.write("S01-K1", *a_basket(7), a_receipt(8, 1), *a_return(9, 2, Original("S01-K1", 1, 1), 1))
    before = shop.desk.look()
    shop.again()
    assert shop.desk.look() == before
    shop.write("S01-K1", *a_basket(10))
    assert [basket.sale for basket in shop.desk.look()] == [10, 7]
    shop.close()


def test_pt9_the_node_tells_how_the_original_was_paid(shop: Shop) -> None:
    card = ReceiptTender("card", 10_000, 10_000, 0, "T1", Evidence("T1", "2026-11-22T10:00:00Z", "A1"))
    shop.write("S01-K1", SaleOpened(1, "sale", 101), msgspec.structs.replace(a_receipt(1, 1), tenders=(card,)))
    assert shop.ask("S01-K2", AskHold("S01-K1", 1, 1)).paid == (card,)
    shop.close()


SLIP = "PV9900012300477"


def paid_by_slip(sale: int) -> list[Body]:
    return [SaleOpened(sale, "sale", 101), a_line(sale), TenderTaken(sale, 1, "pant_voucher", 4_700, 4_700, 0, SLIP)]


def test_pt11_a_voucher_is_granted_to_one_till_and_the_grant_outlives_the_node(shop: Shop) -> None:
    assert shop.ask("S01-K1", AskSpend(SLIP)).granted
    assert shop.ask("S01-K1", AskSpend(SLIP)).granted, "the same till, the same grant"
    assert shop.ask("S01-K2", AskSpend(SLIP)).refused == Refused("spent", "S01-K1")
    shop.again()
    assert shop.ask("S01-K2", AskSpend(SLIP)).refused == Refused("spent", "S01-K1")
    shop.clock.at += HOLD_MS
    assert shop.ask("S01-K2", AskSpend(SLIP)).granted, "the first till never took it"
    shop.close()


def test_pt11_a_voucher_that_a_journal_says_was_taken_is_never_granted_again(shop: Shop) -> None:
    shop.ask("S01-K1", AskSpend(SLIP))
    shop.write("S01-K1", *paid_by_slip(1))
    shop.clock.at += 10 * HOLD_MS
    assert shop.ask("S01-K2", AskSpend(SLIP)).refused == Refused("spent", "S01-K1")
    shop.enrol_again("S01-K1")
    assert shop.ask("S01-K1", AskSpend(SLIP), key=NEWER, epoch=2).refused == Refused("spent", "S01-K1")
    shop.again()
    assert shop.ask("S01-K2", AskSpend(SLIP)).refused == Refused("spent", "S01-K1")
    shop.close()


def test_pt11_a_voucher_that_was_given_back_may_be_paid_at_another_till(shop: Shop) -> None:
    shop.ask("S01-K1", AskSpend(SLIP))
    shop.write("S01-K1", *paid_by_slip(1), TenderReversed(1, 1, "pant_voucher", 4_700, "customer"))
    assert shop.ask("S01-K2", AskSpend(SLIP)).granted
    assert shop.desk.voucher_cases() == []
    shop.close()


def test_pt11_r17_a_voucher_that_two_tills_took_alone_is_found_when_their_journals_meet(shop: Shop) -> None:
    shop.write("S01-K1", *paid_by_slip(1))
    assert shop.desk.voucher_cases() == []
    shop.write("S01-K2", *paid_by_slip(8))
    [case] = shop.desk.voucher_cases()
    assert (case.voucher, case.ore, case.at) == (SLIP, 4_700, (("S01-K1", 1, 1), ("S01-K2", 1, 8)))
    shop.again()
    assert shop.desk.voucher_cases() == [case]
    shop.close()


def test_pt11_a_training_sale_spends_no_voucher(shop: Shop) -> None:
    opened, *rest = paid_by_slip(1)
    assert isinstance(opened, SaleOpened)
    shop.write("S01-K1", msgspec.structs.replace(opened, mode="training"), *rest)
    assert shop.ask("S01-K2", AskSpend(SLIP)).granted
    shop.close()


def at_risk(sale: int, ore: int) -> Body:
    return TenderHeard(sale, 1, "payment", f"R{sale}", "accepted_at_risk", ore)


def test_pt6_every_answer_says_what_the_other_tills_took_at_risk_today(shop: Shop) -> None:
    shop.write("S01-K1", *a_basket(1), at_risk(1, 5_000))
    shop.write("S01-K2", *a_basket(2), at_risk(2, 700), at_risk(2, 1))
    assert shop.ask("S01-K1", AskRisk()).at_risk_ore == 701
    assert shop.ask("S01-K2", AskParked()).at_risk_ore == 5_000
    shop.again()
    assert shop.ask("S01-K1", AskRisk()).at_risk_ore == 701, "it is a fold of the journals"
    shop.clock.at += 24 * 3_600_000
    assert shop.ask("S01-K1", AskRisk()).at_risk_ore == 0, "yesterday's budget is yesterday's"
    shop.write("S01-K2", *a_basket(3), at_risk(3, 40))
    assert shop.ask("S01-K1", AskRisk()).at_risk_ore == 40
