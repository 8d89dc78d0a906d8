"""Two enrolled tills of one store, a real store node and a head office: what one till did, the other knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from oppet.fiscal.unit import ControlUnit
from oppet.journal.entry import body_of
from oppet.journal.kinds import Receipt, ReceiptPrinted, SaleMoved
from oppet.register.errors import TakenElsewhereError
from oppet.register.till import Till
from oppet.sale.errors import AlreadyReturnedError
from oppet.sale.rights import Staff
from oppet.store.node import Node
from oppet.sync.messages import KeeperInfo
from oppet.till import main
from oppet.till.epochs import enrol
from oppet.till.main import Opened, open_till
from oppet.till.settings import UnitSettings
from tests.drivers.test_upload import until
from tests.register.world import FakeUnit
from tests.store.stores import PASSPHRASE, Office, a_node, a_store
from tests.till.test_epochs import settings_in

BO = Staff(301, "manager")


def fake_unit(unit: UnitSettings, _: Path) -> ControlUnit:
    return FakeUnit(unit.unit)


@contextmanager
def two_tills(folder: Path, node: Node, info: KeeperInfo) -> Iterator[tuple[Till, Till]]:
    with ExitStack() as stack:
        tills = []
        for name in ("K1", "K2"):
            settings = settings_in(folder / name, till=f"S01-{name}", register=name)
            made = node.invite(name, "", PASSPHRASE, 301)
            assert enrol(settings, store=info.url, invitation=made.name, code=made.code) == 0
            opened: Opened = open_till(settings)
            stack.callback(opened.close)
            opened.till.sign_in(BO)
            opened.till.drawer.set_float(50_000)
            tills.append(opened.till)
        yield tills[0], tills[1]


def told(till: Till) -> None:
    """Until the node has all of this till's journal."""
    until(lambda: till.desk.ports.copies.second(till.desk.ports.journal.head) == 1)


@pytest.fixture
def tills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Till, Till, Office]]:
    monkeypatch.setattr(main, "_unit", fake_unit)
    (tmp_path / "hq").mkdir()
    with (
        Office(tmp_path / "hq").open() as office,
        a_node(a_store(tmp_path / "store", office)) as (node, info),
        two_tills(tmp_path, node, info) as (first, second),
    ):
        yield first, second, office


def test_r27_a_basket_goes_on_at_the_next_till_and_is_sold_once(tills: tuple[Till, Till, Office]) -> None:
    first, second, _ = tills
    first.selling.pick("1001", 2000)
    sale = first.selling.park()
    told(first)
    (parked,) = second.selling.parked_elsewhere()
    assert (parked.at.till, parked.at.sale, parked.total_ore) == ("S01-K1", sale, 3_380)
    second.selling.take_over(parked.at)
    told(second)
    with pytest.raises(TakenElsewhereError, match="S01-K2"):
        first.selling.resume(sale)
    assert SaleMoved(sale, "S01-K2", 1) in bodies(first)
    assert second.checkout.pay("cash", 5_000).kind == "done"
    assert second.selling.parked_elsewhere() == []
    assert first.desk.state.tally.unfinished() == (0, 0)
    assert first.desk.state.tally.sales_ore + second.desk.state.tally.sales_ore == 3_380


def test_r17_a_receipt_is_not_returned_twice_at_two_tills(tills: tuple[Till, Till, Office]) -> None:
    first, second, _ = tills
    first.selling.pick("1001", 3000)
    first.checkout.pay("cash", 10_000)
    number = first.desk.state.numbers["normal"]
    filed = first.desk.filed("normal", number)
    assert filed is not None
    assert isinstance(filed.body, Receipt)
    code = first.printing._code(filed.body, filed.seq, filed.time, electronic=True)
    until(lambda: ("S01-K1", 1) in second.desk.ports.others)
    second.returns.begin(code, BO)
    second.returns.take(1, 2000)
    assert second.checkout.pay("cash", 0).kind == "done"
    told(second)
    first.returns.begin(str(number), BO)
    with pytest.raises(AlreadyReturnedError):
        first.returns.take(1, 2000)
    first.returns.take(1, 1000)


def test_k17_every_printed_sale_was_on_two_machines_and_all_of_it_reaches_head_office(
    tills: tuple[Till, Till, Office],
) -> None:
    first, second, office = tills
    for till in (first, second):
        told(till)
        for _ in range(3):
            till.selling.pick("1001")
            till.checkout.pay("cash", 2_000)
    for till in (first, second):
        printed = [body for body in bodies(till) if isinstance(body, ReceiptPrinted)]
        assert [body.copies for body in printed][-1] == 1
        name, head = till.desk.ports.journal.till, till.desk.ports.journal.head
        until(lambda name=name, head=head: reached(office, name) >= head.seq, 60)  # type: ignore[misc]


def reached(office: Office, till: str) -> int:
    kept = office.shelf.kept.get((till, 1), {}).get("")
    return kept[2][-1].seq if kept is not None else 0


def bodies(till: Till) -> list[object]:
    return [body_of(entry) for entry in till.desk.ports.journal.read()]
