"""Tenders that are worth something only once, or only so much a day: pant vouchers (PT11) and invoices (PT12)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from oppet.base.errors import SettingsError
from oppet.journal.kinds import Receipt, SettingChanged, TenderTaken
from oppet.payments.means import TooMuchError
from oppet.payments.risk import InvoiceCustomer, NoInvoiceCustomerError
from oppet.payments.vouchers import LoneVoucherError, NotAVoucherError, VoucherUsedError
from oppet.register.errors import NeighboursAwayError, NotPossibleNowError
from oppet.register.ports import Alone
from oppet.register.till import Till
from oppet.sale.errors import NeedsApprovalError
from oppet.sale.tokens import invoice_customers
from tests.payments.test_vouchers import slip
from tests.register.acts import refused
from tests.register.world import ALVA, BO, BREAD, MILK, World, a_till

DAY_MS = 86_400_000


@dataclass
class Slips(Alone):
    """What the node knows of vouchers; `silent` makes it say nothing."""

    silent: bool = False
    spent: dict[str, str] = field(default_factory=dict)  # at another till
    asked: list[str] = field(default_factory=list)

    def spend(self, voucher: str) -> None:
        self.asked.append(voucher)
        if self.silent:
            raise NeighboursAwayError
        if voucher in self.spent:
            raise VoucherUsedError(till=self.spent[voucher])


def a_shop(folder: Path, node: Slips | None = None, **more: object) -> tuple[Till, World, Slips]:
    node = node or Slips()
    till, world = a_till(folder, neighbours=node, **more)
    return till, world, node


def taken(world: World) -> list[TenderTaken]:
    return [body for body in world.bodies(TenderTaken) if isinstance(body, TenderTaken)]


# --- pant vouchers


def test_pt11_a_slip_pays_its_part_and_is_marked_with_its_number(tmp_path: Path) -> None:
    till, world, node = a_shop(tmp_path)
    till.selling.pick(BREAD)
    assert till.tenders.voucher(slip(1, 12)).left_ore == 3_250 - 1_200
    assert till.checkout.pay("cash", 2_100).kind == "done"
    [receipt] = world.bodies(Receipt)
    assert isinstance(receipt, Receipt)
    tender = receipt.tenders[0]
    assert (tender.means, tender.amount_ore, tender.reference) == ("pant_voucher", 1_200, f"PV{slip(1, 12)}")
    assert [one.lone for one in taken(world)] == [False, False]
    assert node.asked == [f"PV{slip(1, 12)}"]


def test_pt11_a_slip_is_worth_nothing_the_second_time_here_there_and_after_a_restart(tmp_path: Path) -> None:
    node = Slips(spent={f"PV{slip(2, 5)}": "K4"})
    till, world, node = a_shop(tmp_path, node)
    till.selling.pick(BREAD)
    till.tenders.voucher(slip(1, 12))
    refused(VoucherUsedError, lambda: till.tenders.voucher(slip(1, 12)), lambda: till.tenders.voucher(slip(2, 5)))
    again = world.start()
    again.sign_in(ALVA)
    node.silent = True
    refused(VoucherUsedError, lambda: again.tenders.voucher(slip(1, 12)))
    assert len(taken(world)) == 1


def test_pt11_a_slip_that_the_customer_takes_back_is_worth_its_money_again(tmp_path: Path) -> None:
    till, _, _ = a_shop(tmp_path)
    till.selling.pick(BREAD)
    till.tenders.voucher(slip(1, 12))
    till.tenders.give_back(1)
    assert till.tenders.voucher(slip(1, 12)).kind == "more"


def test_pt11_a_till_alone_takes_a_few_and_marks_them(tmp_path: Path) -> None:
    till, world, node = a_shop(tmp_path, Slips(silent=True))
    for number in range(5):
        till.selling.pick(BREAD, 7_000)
        till.tenders.voucher(slip(number, 200))
        till.checkout.pay("card", till.desk.priced(till.desk.basket()).total_ore - 20_000)
    assert all(one.lone for one in taken(world) if one.means == "pant_voucher")
    till.selling.pick(BREAD, 7_000)
    refused(LoneVoucherError, lambda: till.tenders.voucher(slip(9, 1)))
    again = world.start()
    again.sign_in(ALVA)
    refused(LoneVoucherError, lambda: again.tenders.voucher(slip(9, 1)))
    node.silent = False
    assert again.tenders.voucher(slip(9, 1)).kind == "more"
    world.clock.pass_ms(DAY_MS)
    node.silent = True
    assert again.tenders.voucher(slip(10, 1)).kind == "more", "another day"


def test_pt11_pay2_a_slip_for_more_than_is_left_is_not_taken_and_nobody_is_asked(tmp_path: Path) -> None:
    till, world, node = a_shop(tmp_path)
    till.selling.pick(MILK)
    refused(TooMuchError, lambda: till.tenders.voucher(slip(1, 17)))
    refused(NotAVoucherError, lambda: till.tenders.voucher("7310865004703"))
    assert (taken(world), node.asked) == ([], [])


def test_pt11_returns_take_no_slips(tmp_path: Path) -> None:
    till, _, _ = a_shop(tmp_path)
    till.selling.pick(MILK)
    till.checkout.pay("cash", 1_700)
    till.returns.begin("1", BO)
    till.returns.take(1, 1000)
    refused(NotPossibleNowError, lambda: till.tenders.voucher(slip(1, 5)))


# --- invoices

CUSTOMERS = {"F1042": InvoiceCustomer(day_ore=10_000, sale_ore=6_000), "F7": InvoiceCustomer(day_ore=0, sale_ore=0)}


def on_invoice(folder: Path) -> tuple[Till, World]:
    till, world = a_till(folder)
    till.desk.ports.invoices = CUSTOMERS
    return till, world


def buy(till: Till, token: str, breads: int, **more: object) -> str:
    till.selling.pick(BREAD, breads * 1000)
    return till.checkout.pay("invoice", breads * 3_250, token, **more).kind  # type: ignore[arg-type]


def test_pt12_a_customer_buys_within_the_limit_of_a_sale_and_a_day(tmp_path: Path) -> None:
    till, world = on_invoice(tmp_path)
    for _ in range(3):
        assert buy(till, "F1042", 1) == "done"
    refused(NeedsApprovalError, lambda: buy(till, "F1042", 1))
    till.selling.abandon("för dyrt", BO)
    refused(NeedsApprovalError, lambda: buy(till, "F7", 1))
    assert [one.approved_by for one in taken(world)] == [0, 0, 0]


def test_pt12_above_the_limit_a_supervisor_answers_for_it(tmp_path: Path) -> None:
    till, world = on_invoice(tmp_path)
    till.selling.pick(BREAD, 2_000)
    refused(
        NeedsApprovalError,
        lambda: till.checkout.pay("invoice", 6_500, "F1042"),
        lambda: till.checkout.pay("invoice", 6_500, "F1042", approval=ALVA),
    )
    assert till.checkout.pay("invoice", 6_500, "F1042", approval=BO).kind == "done"
    assert [one.approved_by for one in taken(world)] == [BO.number]


def test_pt12_the_days_sum_holds_over_a_restart_and_no_longer_than_the_day(tmp_path: Path) -> None:
    till, world = on_invoice(tmp_path)
    for _ in range(3):
        buy(till, "F1042", 1)
    again = world.start()
    again.desk.ports.invoices = CUSTOMERS
    again.sign_in(ALVA)
    refused(NeedsApprovalError, lambda: buy(again, "F1042", 1))
    again.selling.abandon("för dyrt", BO)
    world.clock.pass_ms(DAY_MS)
    assert buy(again, "F1042", 1) == "done"


def test_pt12_what_is_taken_back_does_not_count(tmp_path: Path) -> None:
    till, _ = on_invoice(tmp_path)
    till.selling.pick(BREAD, 4_000)
    till.checkout.pay("invoice", 5_000, "F1042")
    till.tenders.give_back(1)
    assert till.checkout.pay("invoice", 6_000, "F1042").kind == "more"


def test_pt12_an_unknown_customer_buys_nothing_on_an_invoice(tmp_path: Path) -> None:
    till, world = on_invoice(tmp_path)
    till.selling.pick(BREAD)
    for token in ("", "F9", "x"):
        refused(NoInvoiceCustomerError, lambda token=token: till.checkout.pay("invoice", 3_250, token, approval=BO))  # type: ignore[misc]
    assert taken(world) == []


def test_pt12_a_till_without_a_list_takes_invoices_by_hand_as_before(tmp_path: Path) -> None:
    till, _ = a_till(tmp_path)
    assert buy(till, "", 3) == "done"


def test_t9_pt12_a_changed_list_is_in_the_journal(tmp_path: Path) -> None:
    till, world = on_invoice(tmp_path)
    for day_ore in (10_000, 20_000):
        till.desk.ports.invoices = CUSTOMERS | {"F7": InvoiceCustomer(day_ore, 0)}
        till.start(world.opening())
    said = [body for body in world.bodies(SettingChanged) if isinstance(body, SettingChanged)]
    first, second = (body for body in said if body.name == "invoice_customers")
    assert first.after == second.before != second.after
    assert first.after.startswith("2, ")


def test_s11_pt12_the_list_holds_tokens_and_nobodys_number() -> None:
    assert invoice_customers(b'{"F1042": {"day_ore": 10000, "sale_ore": 6000}}', "list") == {
        "F1042": CUSTOMERS["F1042"]
    }
    for bad in (
        b"",
        b"[]",
        b"{half",
        b'{"F1": {"day_ore": -1, "sale_ore": 0}}',
        b'{"F1": {"name": "x"}}',
        b"[" * 9_000,
    ):
        with pytest.raises(SettingsError):
            invoice_customers(bad, "list")
    for token in ("198112189876", "811218-9876", "0701740605", "Bo 3", "", "x" * 41, "4111111111111111"):
        with pytest.raises(SettingsError) as refused_:
            invoice_customers(msgspec.json.encode({token: CUSTOMERS["F7"]}), "list")
        assert not token or token not in str(refused_.value)
