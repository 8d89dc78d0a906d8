"""Asking the store node about other tills: what it signed counts, anything else is silence."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from oppet.base.signing import Signer
from oppet.drivers.neighbours import LaneNeighbours
from oppet.journal.entry import NOTHING, Head, seal
from oppet.journal.kinds import Elsewhere, Evidence, Original, ReceiptTender, SaleOpened, SaleParked
from oppet.payments.vouchers import VoucherUsedError
from oppet.register.errors import HeldElsewhereError, NeighboursAwayError, TakenElsewhereError
from oppet.sale.errors import NotMovableError
from oppet.sale.lines import Came
from oppet.sync import lanes
from oppet.sync.lanes import (
    AskHold,
    AskParked,
    AskResume,
    AskRisk,
    AskSpend,
    AskTake,
    Gone,
    Lane,
    ParkedBasket,
    Refused,
    Signed,
    Told,
)
from oppet.sync.messages import KeeperInfo
from tests.drivers.keepers import FakeDoors, Served, hanging, served
from tests.sync.chain import NODE, NOW, OTHER, TILL


class Telling(FakeDoors):
    """A node that answers the next question with this."""

    next: Told = Told("")
    signer: Signer = NODE
    heard: list[Lane]

    def lane(self, signed: Signed) -> Signed:
        assert lanes.check(signed, TILL.public)
        lane = msgspec.json.decode(signed.text, type=Lane)
        self.heard = [*getattr(self, "heard", []), lane]
        nonce = self.next.nonce or lane.nonce
        return lanes.sign(msgspec.structs.replace(self.next, nonce=nonce), self.signer)


def asking(keeper: Served, told: Told, signer: Signer = NODE) -> tuple[LaneNeighbours, Telling]:
    doors = keeper.doors
    telling = Telling(doors.info, doors.directory)
    telling.next, telling.signer = told, signer
    keeper.app._doors = telling
    return LaneNeighbours(keeper.info, "S01-K1", 1, TILL, deadline_s=5.0), telling


def test_r27_baskets_at_other_tills_oldest_first_and_what_became_of_ours(tmp_path: Path) -> None:
    told = Told(
        "",
        parked=(
            ParkedBasket("S01-K2", 1, 9, "2026-11-22T09:00:00.000Z", 2, 500, 101),
            ParkedBasket("S01-K3", 4, 7, "2026-11-22T08:00:00.000Z", 1, 300, 101),
            ParkedBasket("S01-K1", 1, 3, "2026-11-22T07:00:00.000Z", 1, 300, 101),
        ),
        gone=(Gone(5, "S01-K3", 4),),
    )
    with served(tmp_path) as keeper:
        neighbours, node = asking(keeper, told)
        assert [parked.at for parked in neighbours.parked()] == [Elsewhere("S01-K3", 4, 7), Elsewhere("S01-K2", 1, 9)]
        assert neighbours.gone() == [(5, Elsewhere("S01-K3", 4, 0))]
        assert node.heard[0].ask == AskParked()
        neighbours.close()


def test_r27_a_basket_comes_as_it_was_journalled(tmp_path: Path) -> None:
    opened, parked = SaleOpened(7, "sale", 101), SaleParked(7, 101)
    first, head = seal(Head(0, NOTHING), "S01-K3", 4, NOW, opened)
    second, _ = seal(head, "S01-K3", 4, NOW, parked)
    with served(tmp_path) as keeper:
        neighbours, node = asking(keeper, Told("", entries=(first.decode(), second.decode())))
        assert neighbours.take(Elsewhere("S01-K3", 4, 7)) == [opened, parked]
        assert node.heard[0].ask == AskTake("S01-K3", 4, 7)
        node.next = Told("", entries=("{", "[]"))
        with pytest.raises(NotMovableError):
            neighbours.take(Elsewhere("S01-K3", 4, 7))
        node.next = Told("", refused=Refused("taken", "S01-K2", 3))
        with pytest.raises(TakenElsewhereError) as taken:
            neighbours.take(Elsewhere("S01-K3", 4, 7))
        assert taken.value.facts == {"till": "S01-K2", "epoch": 3}
        neighbours.close()


def test_r27_our_own_basket_goes_on_unless_another_till_has_it(tmp_path: Path) -> None:
    with served(tmp_path) as keeper:
        neighbours, node = asking(keeper, Told("", granted=True))
        neighbours.resume(3)
        assert node.heard[0].ask == AskResume(3)
        node.next = Told("", refused=Refused("unknown"))
        neighbours.resume(3)  # the node has not heard of it yet: it is here
        node.next = Told("", refused=Refused("taken", "S01-K2", 1))
        with pytest.raises(TakenElsewhereError):
            neighbours.resume(3)
        neighbours.close()


def test_r17_what_came_back_elsewhere_and_who_holds_it(tmp_path: Path) -> None:
    original = Original("S01-K2", 1, 44)
    with served(tmp_path) as keeper:
        card = ReceiptTender("card", 500, 500, 0, "T1", Evidence("T1", "2026-11-22T10:00:00Z"))
        neighbours, node = asking(keeper, Told("", came=(lanes.Came(2, 1000, 500, 450),), paid=(card,)))
        assert neighbours.paid(original) == ()
        assert neighbours.hold(original) == {2: Came(1000, 500, 450)}
        assert neighbours.paid(original) == (card,)
        assert neighbours.paid(Original("S01-K2", 1, 45)) == ()
        assert node.heard[0].ask == AskHold("S01-K2", 1, 44)
        node.next = Told("", refused=Refused("held", "S01-K2"))
        with pytest.raises(HeldElsewhereError):
            neighbours.hold(original)
        node.next = Told("", refused=Refused("unknown"))
        with pytest.raises(NeighboursAwayError):
            neighbours.hold(original)
        neighbours.close()


def test_pt11_a_voucher_is_this_tills_or_another_took_it(tmp_path: Path) -> None:
    with served(tmp_path) as keeper:
        neighbours, node = asking(keeper, Told("", granted=True))
        neighbours.spend("PV9900012300477")
        assert node.heard[0].ask == AskSpend("PV9900012300477")
        node.next = Told("", refused=Refused("spent", "S01-K2"))
        with pytest.raises(VoucherUsedError) as used:
            neighbours.spend("PV9900012300477")
        assert used.value.facts == {"till": "S01-K2"}
        node.next = Told("", refused=Refused("unknown"))
        with pytest.raises(NeighboursAwayError):
            neighbours.spend("PV9900012300477")
        neighbours.close()


@pytest.mark.parametrize(("told", "signer"), [(Told("", parked=()), OTHER), (Told("ab" * 16, parked=()), NODE)])
def test_k19_what_the_node_did_not_sign_or_said_to_another_question_is_silence(
    tmp_path: Path, told: Told, signer: Signer
) -> None:
    with served(tmp_path) as keeper:
        neighbours, _ = asking(keeper, told, signer)
        with pytest.raises(NeighboursAwayError):
            neighbours.parked()
        neighbours.close()


def test_k19_a_silent_node_costs_a_moment_and_one_known_to_be_away_none() -> None:
    with hanging("S01-node", "store") as info:
        neighbours = LaneNeighbours(info, "S01-K1", 1, TILL, deadline_s=0.2)
        began = time.monotonic()
        with pytest.raises(NeighboursAwayError):
            neighbours.parked()
        assert time.monotonic() - began < 2
        neighbours.close()
    gone = KeeperInfo("S01-node", "store", "http://192.0.2.1:9", NODE.public.hex())
    away = LaneNeighbours(gone, "S01-K1", 1, TILL, away=lambda: True)
    with pytest.raises(NeighboursAwayError):
        away.resume(1)
    away.close()


def test_pt6_what_is_at_risk_elsewhere_is_asked_behind_and_nothing_waits(tmp_path: Path) -> None:
    with served(tmp_path) as keeper:
        neighbours, node = asking(keeper, Told("", granted=True, at_risk_ore=12_300))
        assert neighbours.at_risk_ore() == 0, "nobody has said yet"
        assert neighbours._asking is not None
        neighbours._asking.join(10)
        assert neighbours.at_risk_ore() == 12_300
        assert [lane.ask for lane in node.heard] == [AskRisk()], "not asked again at once"
        node.next = Told("", parked=(), at_risk_ore=-5)
        neighbours.parked()
        assert neighbours.at_risk_ore() == 0
        neighbours.close()
