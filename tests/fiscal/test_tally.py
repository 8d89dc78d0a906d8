"""X and Z reports: functions of entries, each entry in one Z, nothing in sales that is no sale."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oppet.fiscal.tally import Tally, follow, report_of
from oppet.journal.entry import body_of
from oppet.journal.kinds import (
    Body,
    CashCounted,
    CashMoved,
    CodeUnknown,
    CopyMade,
    DrawerOpened,
    FloatSet,
    LineChanged,
    LineVoided,
    Receipt,
    Report,
    ReportMade,
    SaleAbandoned,
    TenderReversed,
    TenderTaken,
)
from tests.fiscal.journals import ALVA, BO, GOODS, IDENTITY, PANT, Shop, a_line, a_shop, happenings, unhurried

MILK, BREAD, CHEESE, SOAP, _, LUNCH = GOODS
ADDITIVE = [
    "total_ore", "sales_ore", "goods_milli", "services_milli", "receipts", "drawer_openings", "copies", "copies_ore",
    "training", "training_ore", "returns", "returns_ore", "discounts", "discounts_ore", "reductions", "reductions_ore",
    "rounding_ore", "unknown_codes", "unknown_codes_ore", "cash_difference_ore",
]  # fmt: skip


def tallied(bodies: list[Body]) -> Tally:
    tally = Tally()
    for seq, body in enumerate(bodies, 1):
        tally.count(seq, body)
    return tally


def test_f1_a_report_is_what_its_entries_say() -> None:
    """R08: the same entries give the same report to anybody who reads the journal."""
    shop = Shop()
    shop.write(FloatSet(200_000, BO))
    shop.sell([a_line(1, MILK, 2000), a_line(2, SOAP, discount_ore=450), a_line(3, PANT, 2000, pant_of=1)])
    shop.sell([a_line(1, CHEESE, 345), a_line(2, LUNCH)], means=[("card", 10_000)])
    shop.sell([a_line(1, MILK)], "return")
    shop.write(DrawerOpened("change", ALVA, BO))
    report = report_of(shop.entries())
    assert report == shop.fold().report(IDENTITY)
    assert (report.company, report.org_no, report.register) == (IDENTITY.company, IDENTITY.org_no, "K3-1")
    assert report.sales_ore == 3380 + 2000 + 400 + 4482 + 9500
    assert report.returns_ore == 1690
    assert report.total_ore == report.sales_ore - report.returns_ore
    assert report.groups == (("Kemi", 2000), ("Mejeri", 3380 + 4482 - 1690), ("Pant", 400), ("Servering", 9500))
    assert [(part.rate, part.gross_ore, part.vat_ore) for part in report.vat] == [
        (2500, 2000, 400),
        (1200, 9500, 1018),
        (600, 6172, 191 + 254 - 96),
        (0, 400, 0),
    ]
    assert [(total.means, total.ore) for total in report.means] == [("card", 10_000), ("cash", 5800 + 4000 - 1700)]
    assert report.rounding_ore == 20 + 18 - 10
    assert (report.goods_milli, report.services_milli) == (4000, 1000)  # pant is no goods; a weighed bag is one
    assert (report.receipts, report.returns, report.discounts, report.discounts_ore) == (2, 1, 1, 450)
    assert (report.float_ore, report.drawer_openings) == (200_000, 1)
    assert (report.first_seq, report.last_seq) == (1, len(shop.bodies))


@unhurried
@given(happenings())
def test_f1_a_report_adds_up_in_every_direction(actions: list[tuple[str, int]]) -> None:
    """R08, law 8: groups, VAT and means each add up to the total; there is no line that balances them."""
    report = tallied(a_shop(actions).bodies).report(IDENTITY)
    assert report.total_ore == report.sales_ore - report.returns_ore
    assert sum(ore for _, ore in report.groups) == report.total_ore
    assert sum(part.gross_ore for part in report.vat) == report.total_ore
    assert sum(total.ore for total in report.means) == report.total_ore + report.rounding_ore


@unhurried
@given(happenings())
def test_f1_every_report_in_a_journal_is_what_its_entries_say(actions: list[tuple[str, int]]) -> None:
    shop = a_shop(actions)
    tally = Tally()
    for entry in shop.entries():
        body = body_of(entry)
        if isinstance(body, ReportMade):
            assert body.report == tally.report(IDENTITY)
        tally = follow(tally, entry.seq, body)


@unhurried
@given(happenings(without="z"), st.sets(st.integers(1, 300), max_size=8))
def test_f2_the_z_reports_add_up_to_the_journal_however_it_is_split(
    actions: list[tuple[str, int]], splits: set[int]
) -> None:
    """R08, R09: Sum(Z) = Sum(journal), öre by öre."""
    bodies = a_shop(actions).bodies
    tally, reports = Tally(), []
    for seq, body in enumerate(bodies, 1):
        tally.count(seq, body)
        if seq in splits or seq == len(bodies):
            reports.append(tally.report(IDENTITY))
            tally = tally.close()
    whole = tallied(bodies).report(IDENTITY)
    for name in ADDITIVE:
        assert sum(getattr(report, name) for report in reports) == getattr(whole, name), name
    added: Counter[tuple[str, str | int]] = Counter()
    for report in reports:
        added.update(parts(report))
    assert added == parts(whole)
    assert reports[-1].grand == whole.grand
    assert [report.first_seq for report in reports[1:]] == [report.last_seq + 1 for report in reports[:-1]]


def parts(report: Report) -> Counter[tuple[str, str | int]]:
    """Every figure that is split up, under its own name; Counter compares a missing one as zero."""
    found: Counter[tuple[str, str | int]] = Counter()
    for group, ore in report.groups:
        found["group", group] += ore
    for total in report.means:
        found["means", total.means] += total.ore
    for part in report.vat:
        found["gross", part.rate] += part.gross_ore
        found["vat", part.rate] += part.vat_ore
    return found


@unhurried
@given(happenings())
def test_f2_the_journal_itself_is_counted_by_hand(actions: list[tuple[str, int]]) -> None:
    """R08: the same figures by another way: plain sums over the bodies."""
    bodies = a_shop(actions).bodies
    report = tallied(bodies).report(IDENTITY)
    receipts = [body for body in bodies if isinstance(body, Receipt)]
    sales = [receipt for receipt in receipts if receipt.kind == "sale"]
    copies = [body.total_ore for body in bodies if isinstance(body, CopyMade)]
    unknown = [body.total_ore for body in bodies if isinstance(body, CodeUnknown)]
    assert report.sales_ore == sum(receipt.total_ore for receipt in sales)
    assert report.receipts == len(sales)
    assert report.returns == sum(receipt.kind == "return" for receipt in receipts)
    assert report.training == sum(receipt.kind == "training" for receipt in receipts)
    assert report.discounts_ore == sum(d.ore for receipt in sales for line in receipt.lines for d in line.discounts)
    assert (report.copies, report.copies_ore) == (len(copies), sum(copies))
    assert (report.unknown_codes, report.unknown_codes_ore) == (len(unknown), sum(unknown))
    assert report.grand.sales_ore == report.sales_ore
    assert report.grand.returns_ore == report.returns_ore


@unhurried
@given(happenings(), st.integers(1, 200))
def test_f2_a_snapshot_goes_on_as_if_nothing_happened(actions: list[tuple[str, int]], place: int) -> None:
    bodies = a_shop(actions).bodies
    tally = Tally()
    for seq, body in enumerate(bodies, 1):
        if seq == place:
            tally = msgspec.json.decode(msgspec.json.encode(tally), type=Tally)
        tally = follow(tally, seq, body)
    through = Tally()
    for seq, body in enumerate(bodies, 1):
        through = follow(through, seq, body)
    assert tally == through


def test_f3_training_copies_and_unknown_codes_are_no_sales() -> None:
    shop = Shop()
    receipt = shop.sell([a_line(1)])
    shop.copy_of(receipt)
    shop.sell([a_line(1, SOAP)], "training")
    shop.code_unknown([a_line(1, BREAD)])
    report = shop.fold().report(IDENTITY)
    assert (report.sales_ore, report.receipts) == (1690, 1)
    assert (report.copies, report.copies_ore, report.training, report.training_ore) == (1, 1690, 1, 2450)
    assert (report.unknown_codes, report.unknown_codes_ore) == (1, 3295)
    assert report.unfinished == 0


def test_f3_a_void_and_a_smaller_quantity_reduce_sales_but_not_in_a_return_or_training() -> None:
    shop = Shop()
    lines = [a_line(1, MILK, 3000), a_line(2, BREAD)]
    shop.open(lines=lines)
    shop.write(LineChanged(shop.sale, 1, 1000, 1690), LineChanged(shop.sale, 1, 2000, 3380))
    shop.write(LineVoided(shop.sale, 2, 3295, ALVA, 0))
    shop.finish([a_line(1, MILK, 2000)])
    for mode in ("return", "training"):
        shop.open(mode, lines)
        shop.write(LineChanged(shop.sale, 1, 1000, 1690), LineVoided(shop.sale, 2, 3295, ALVA, 0))
        shop.write(SaleAbandoned(shop.sale, 1690, "gave up", ALVA))
    report = shop.fold().report(IDENTITY)
    assert (report.reductions, report.reductions_ore) == (2, 3380 + 3295)
    assert (report.unfinished, report.unfinished_ore) == (0, 0)


def test_f3_an_open_or_parked_sale_is_unfinished_in_one_z_only() -> None:
    shop = Shop()
    shop.open(lines=[a_line(1)])
    parked = shop.sale
    shop.open()  # nothing in it: not begun
    shop.open(lines=[a_line(1, SOAP)])
    shop.write(SaleAbandoned(shop.sale, 2450, "customer left", ALVA))
    for _ in range(2):
        x = shop.report("x").report
        assert (x.unfinished, x.unfinished_ore) == (2, 1690 + 2450)
    z = shop.report("z").report
    assert (z.unfinished, z.unfinished_ore) == (2, 1690 + 2450)
    assert shop.report("z").report.unfinished == 0
    shop.write(SaleAbandoned(parked, 1690, "customer left", ALVA))
    assert shop.report("z").report.unfinished == 0


@pytest.mark.parametrize(
    ("happens", "expected_ore"),
    [
        ([FloatSet(100_000, BO)], 100_000),
        ([FloatSet(100_000, BO), CashMoved(-30_000, "safe", BO)], 70_000),
        ([FloatSet(100_000, BO), CashMoved(20_000, "change", BO)], 120_000),
        ([FloatSet(100_000, BO), CashCounted((), 99_500, 100_000, -500, BO)], 99_500),
        ([FloatSet(100_000, BO), TenderTaken(1, 1, "cash", 5000, 10_000, 5000)], 105_000),
        ([FloatSet(100_000, BO), TenderTaken(1, 1, "card", 5000, 5000, 0)], 100_000),
        ([TenderTaken(1, 1, "cash", 5000, 10_000, 5000), TenderReversed(1, 1, "cash", 5000, "no unit")], 0),
        ([FloatSet(100_000, BO), FloatSet(150_000, BO)], 150_000),
        ([CashMoved(-30_000, "safe", BO), FloatSet(100_000, BO)], 100_000),  # yesterday's takings to the safe first
        ([CashCounted((), 99_500, 0, 99_500, BO), FloatSet(100_000, BO)], 100_000),
        ([TenderTaken(1, 1, "cash", 5000, 10_000, 5000), FloatSet(100_000, BO)], 105_000),  # the float was forgotten
    ],
)
def test_f4_the_drawer_should_hold_what_went_in_less_what_went_out(happens: list[Body], expected_ore: int) -> None:
    assert tallied(happens).cash_expected_ore() == expected_ore


def test_f4_money_without_a_receipt_is_in_the_drawer_and_not_in_sales() -> None:
    shop = Shop()
    shop.write(FloatSet(100_000, BO))
    shop.code_unknown([a_line(1)], "cash")
    tally = shop.fold()
    assert tally.cash_expected_ore() == 101_690
    assert tally.pending_ore() == {"cash": 1690}
    assert tally.report(IDENTITY).sales_ore == 0


def test_f4_cash_is_counted_once_when_the_receipt_follows_after_a_z() -> None:
    shop = Shop()
    shop.write(FloatSet(100_000, BO))
    receipt = shop.sell([a_line(1, MILK)], "return")
    shop.open("return", [a_line(1, MILK)])
    shop.write(TenderTaken(shop.sale, 1, "cash", 1700, 1700, 0))
    assert shop.fold().cash_expected_ore() == 100_000 - 2 * 1700
    shop.report("z")
    assert shop.fold().cash_expected_ore() == 100_000 - 2 * 1700
    shop.write(msgspec.structs.replace(receipt, sale=shop.sale, number=2))
    assert shop.fold().cash_expected_ore() == 100_000 - 2 * 1700
    assert shop.fold().pending_ore() == {}


@unhurried
@given(happenings())
def test_f5_grand_totals_never_fall(actions: list[tuple[str, int]]) -> None:
    tally, sales, returns = Tally(), 0, 0
    for seq, body in enumerate(a_shop(actions).bodies, 1):
        tally = follow(tally, seq, body)
        grand = tally.report(IDENTITY).grand
        assert grand.sales_ore >= sales
        assert grand.returns_ore >= returns
        assert grand.net_ore == grand.sales_ore - grand.returns_ore
        sales, returns = grand.sales_ore, grand.returns_ore


def test_f2_closing_asks_nobody() -> None:
    """R09: a Z needs the tally alone, with cases open, sales parked and money in suspense."""
    shop = Shop()
    shop.code_unknown([a_line(1)], "cash")
    shop.open(lines=[a_line(1)])
    shop.report("z")
    after = shop.fold()
    assert after.report(IDENTITY).total_ore == 0
    assert after.open_lines == {2: {1: 1690}}
    assert after.pending_ore() == {"cash": 1690}
