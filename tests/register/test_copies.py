"""Keepers and the checkout: a second copy before paper, heads compared before the first entry, no sale on a doubtful disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from oppet.base.errors import OppetError
from oppet.fiscal.unit import UnitCode, UnitRefused, UnitSilent
from oppet.journal.entry import Head, body_of
from oppet.journal.kinds import (
    EpochClosed,
    Receipt,
    ReceiptPrinted,
    RegistrationSent,
    TenderTaken,
    TillStarted,
    UnitAnswered,
    UnitRequest,
)
from oppet.paper.sheet import Paper
from oppet.register.errors import EpochOverError
from oppet.register.ports import Alone
from oppet.sync.errors import EpochRevokedError, OldImageError
from tests.register.world import ALVA, MILK, FakePath, FakeUnit, World, a_till

OLD = OldImageError(keeper="S01-node", till="K3", epoch=1, theirs=900, ours=5)


@dataclass
class Recorder(Alone):
    """Keepers that remember what they were asked and what was on the disk then."""

    steps: list[str] = field(default_factory=list)
    having: int = 1
    answers: bool = True
    wrong: OppetError | None = None
    world: World | None = None
    heads: list[Head] = field(default_factory=list)

    def second(self, head: Head) -> int:
        assert self.world is not None
        assert self.world.journal is not None
        assert head == self.world.journal.head
        last = [body_of(entry) for entry in self.world.journal.read(head.seq - 1)]
        assert any(isinstance(body, Receipt) for body in last), "the receipt is durable before it is copied"
        self.steps.append("second copy")
        return self.having

    def confirm(self, head: Head) -> bool:
        self.heads.append(head)
        if self.wrong is not None:
            raise self.wrong
        return self.answers

    def refusal(self) -> OppetError | None:
        return self.wrong


class RecordingUnit(FakeUnit):
    steps: list[str]

    def register(self, request: UnitRequest) -> UnitCode | UnitRefused | UnitSilent:
        self.steps.append("control unit")
        return super().register(request)


class RecordingPath(FakePath):
    steps: list[str]

    def print(self, paper: Paper) -> None:
        self.steps.append("paper")
        super().print(paper)


def test_k17_the_order_inside_a_sale_is_the_designs(tmp_path: Path) -> None:
    """Tender and intent durable, control unit, receipt durable, second copy, paper, *printed* durable."""
    copies, unit, path = Recorder(having=2), RecordingUnit(), RecordingPath()
    unit.steps = path.steps = copies.steps
    till, world = a_till(tmp_path, copies=copies, units=[unit], paths=[path])
    copies.world = world
    till.selling.pick(MILK)
    till.checkout.pay("cash", 2_000)
    assert copies.steps == ["control unit", "second copy", "paper"]
    told = [type(body) for _, body in world.entries()]
    order = [told.index(kind) for kind in (TenderTaken, RegistrationSent, UnitAnswered, Receipt, ReceiptPrinted)]
    assert order == sorted(order)
    printed = world.bodies(ReceiptPrinted)[0]
    assert isinstance(printed, ReceiptPrinted)
    assert printed.copies == 2


def test_k17_a_sale_without_a_second_copy_is_printed_all_the_same(tmp_path: Path) -> None:
    copies = Recorder(having=0)
    till, world = a_till(tmp_path, copies=copies)
    copies.world = world
    till.selling.pick(MILK)
    assert till.checkout.pay("cash", 2_000).kind == "done"
    printed = world.bodies(ReceiptPrinted)[0]
    assert isinstance(printed, ReceiptPrinted)
    assert (printed.copies, len(world.paths[0].printed)) == (0, 1)


def test_k18_heads_are_compared_before_the_first_entry_after_boot(tmp_path: Path) -> None:
    copies = Recorder(answers=False)
    world = World(tmp_path, copies=copies)
    world.start().stop()
    assert world.journal is not None
    last = world.journal.head
    world.start().stop()
    assert copies.heads == [Head(0, "0" * 64), last]
    copies.answers = True
    world.start()
    started = [body for body in world.bodies(TillStarted) if isinstance(body, TillStarted)]
    assert [body.unconfirmed for body in started] == [False, True, False]


def test_k18_an_old_disk_writes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, copies=Recorder())
    world.start().stop()
    assert world.journal is not None
    before = world.journal.head
    for wrong in (OLD, EpochRevokedError(till="K3", epoch=1, reason="lost")):
        world.copies = Recorder(wrong=wrong)
        with pytest.raises(type(wrong)):
            world.start()
        assert world.journal.head == before


def test_k18_what_a_keeper_shows_later_ends_selling_but_not_the_sale(tmp_path: Path) -> None:
    copies = Recorder()
    till, world = a_till(tmp_path, copies=copies)
    copies.world = world
    till.selling.pick(MILK)
    copies.wrong = OLD
    till.selling.pick(MILK)
    assert till.checkout.pay("cash", 5_000).kind == "done"
    with pytest.raises(OldImageError, match="manager's code"):
        till.selling.pick(MILK)
    copies.wrong = None
    till.selling.pick(MILK)


def test_t10_a_retired_epoch_sells_nothing(tmp_path: Path) -> None:
    till, world = a_till(tmp_path)
    till.stop()
    assert world.journal is not None
    world.journal.append(world.clock.now(), [EpochClosed("retired", 3)], till.desk.ports.signer)
    with pytest.raises(EpochOverError):
        world.start()
    assert type(world.entries()[-1][1]) is EpochClosed


def test_k17_a_till_without_keepers_has_no_copies_and_waits_for_none(tmp_path: Path) -> None:
    alone = Alone()
    assert (alone.second(Head(1, "ab" * 32)), alone.confirm(Head(1, "ab" * 32))) == (0, False)
    assert (alone.refusal(), alone.keepers()) == (None, ())
    till, world = a_till(tmp_path)
    assert till.desk.ports.copies.keepers() == ()
    assert world.bodies(TillStarted) == [TillStarted("0.1.0", "test-1", "here", False)]
    assert till.desk.staff() == ALVA
