"""What an X or a Z report says on paper: every figure SKVFS 2014:9 7:2–7:3 and the journal export list.

Leaves adding up to `tally.py`. Keeps P9 (a report shows every field of `Report`; a test walks them all).
"""

from __future__ import annotations

from collections.abc import Iterator

from oppet.base.money import thousandths
from oppet.base.words import N_
from oppet.journal.kinds import Report, ReportMade
from oppet.paper.receipts import identity_rows, vat_rows
from oppet.paper.sheet import CUT, RULE, Paper, Row, Say, amount, shortened, when
from oppet.payments.means import MEANS

__all__ = ["report_paper"]


def report_paper(made: ReportMade, instant_utc_text: str, say: Say) -> Paper:
    """An X or Z report on paper. A Z has its number; an X has none."""
    report = made.report
    name = f"Z-dagrapport {made.number}" if made.kind == "z" else "X-dagrapport"
    rows = (
        Row(name, style="title"),
        *identity_rows(report.company, "", report.org_no, say),
        RULE,
        Row(f"{say(N_('Register (kassa)'))} {shortened(report.register)}", when(instant_utc_text)),
        Row(say(N_("Staff no.")), str(made.by)),
        Row(say(N_("Entries")), f"{report.first_seq}–{report.last_seq}"),
        RULE,
        *_sales(report, say),
        RULE,
        *vat_rows(report.vat, 1, say),
        RULE,
        *_drawer(report, say),
        RULE,
        *_counts(report, say),
        RULE,
        *_grand(report, say),
        Row(name, style="title"),
        CUT,
    )
    return Paper(name, rows)


def _sales(report: Report, say: Say) -> Iterator[Row]:
    yield Row(say(N_("Total")), amount(report.total_ore), "total")
    yield Row(say(N_("Sales")), amount(report.sales_ore))
    yield _counted(say(N_("Returns")), report.returns, -report.returns_ore)
    for group, ore in report.groups:
        yield Row(f"  {shortened(group)}", amount(ore))


def _drawer(report: Report, say: Say) -> Iterator[Row]:
    for means in report.means:
        known = MEANS.get(means.means)
        yield Row(say(known.sentence) if known else shortened(means.means), amount(means.ore))
    yield Row(say(N_("Rounding (öresavrundning)")), amount(report.rounding_ore))
    yield Row(say(N_("Float (växelkassa)")), amount(report.float_ore))
    yield Row(say(N_("Cash counted less expected")), amount(report.cash_difference_ore))


def _counted(label: str, count: int, ore: int) -> Row:
    return Row(f"{label}: {count} st", amount(ore))


def _counts(report: Report, say: Say) -> Iterator[Row]:
    yield Row(say(N_("Receipts")), str(report.receipts))
    yield Row(say(N_("Goods sold")), thousandths(report.goods_milli))
    yield Row(say(N_("Services sold")), thousandths(report.services_milli))
    yield Row(say(N_("Drawer openings")), str(report.drawer_openings))
    yield _counted(say(N_("Copies (kopior)")), report.copies, report.copies_ore)
    yield _counted(say(N_("Training (övning)")), report.training, report.training_ore)
    yield _counted(say(N_("Discounts")), report.discounts, report.discounts_ore)
    yield _counted(say(N_("Voided lines and other reductions")), report.reductions, report.reductions_ore)
    yield _counted(say(N_("Unfinished sales")), report.unfinished, report.unfinished_ore)
    if report.unknown_codes:
        yield _counted(say(N_("Control code unknown, not in sales")), report.unknown_codes, report.unknown_codes_ore)
    if report.open_tenders or report.open_tenders_ore:
        yield _counted(say(N_("Payments unclear, not in sales")), report.open_tenders, report.open_tenders_ore)


def _grand(report: Report, say: Say) -> Iterator[Row]:
    yield Row("Grand total", style="bold")
    yield Row(f"  {say(N_('Sales'))}", amount(report.grand.sales_ore))
    yield Row(f"  {say(N_('Returns'))}", amount(report.grand.returns_ore))
    yield Row(f"  {say(N_('Net'))}", amount(report.grand.net_ore))
