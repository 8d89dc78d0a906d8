"""The reserve routine: when it applies, its numbered slips, the note and the drafted report."""

from __future__ import annotations

import pytest

from oppet.fiscal.reserve import (
    MOST_SLIPS,
    NotASlipCaseError,
    Outage,
    SlipCase,
    SlipNotPrintedError,
    SlipUsedError,
    applies,
    outage_note,
    outages,
    report_to_agency,
    settle,
    slips,
)
from oppet.fiscal.unit import UnitStatus
from oppet.journal.kinds import CaseOpened, OutageBegan, OutageEnded
from oppet.paper.sheet import COLUMNS, Paper, lines
from tests.fiscal.journals import ALVA, BO, EPOCH, UNIT, Shop, a_line

READY = UnitStatus(UNIT, True, "ok", "ok", "")
DEAD = UnitStatus("ANOTHER", False, "unreachable", "", "")
OVER = Outage("2026-11-22T08:00:00.000Z", "no_unit", 0, "2026-11-22T09:30:00.000Z", BO, 12, 184_550)
GOING_ON = Outage("2026-11-22T08:00:00.000Z", "no_unit", 0)


def said(paper: Paper) -> str:
    return "\n".join(f"{row.left} {row.right}" for row in paper.rows)


@pytest.mark.parametrize(("statuses", "wanted"), [([], True), ([DEAD], True), ([READY], False), ([DEAD, READY], False)])
def test_f12_the_routine_applies_when_no_unit_is_ready(statuses: list[UnitStatus], wanted: bool) -> None:
    assert applies(statuses) is wanted


def test_f12_an_outage_has_one_beginning_and_one_end() -> None:
    shop = Shop()
    shop.write(OutageEnded(BO, 0, 0), OutageBegan("no_unit", 0), OutageBegan("no_unit", ALVA))
    shop.write(OutageEnded(BO, 12, 184_550), OutageEnded(BO, 1, 100))
    shop.sell([a_line(1)])
    shop.write(OutageBegan("full", ALVA))
    entries = shop.entries()
    first, second = outages(entries)
    assert (first.began, first.ended) == (entries[2].time, entries[4].time)
    assert (first.begun_by, first.ended_by, first.slips, first.slips_ore) == (0, BO, 12, 184_550)
    assert (second.reason, second.ended) == ("full", "")


def test_f13_slips_are_numbered_and_say_what_the_law_wants() -> None:
    papers = slips(7, 3, EPOCH)
    assert [paper.name for paper in papers] == [f"reservkvitto-K3-1-0000{number}" for number in (7, 8, 9)]
    for word in ("RESERVKVITTO", "K3-1-00007", EPOCH.company, "556677-8899", EPOCH.address, "Datum", "Klockslag",
                 "Vara, antal, pris", "Summa", "moms 25 %", "moms 12 %", "moms 6 %", "Betalt med"):  # fmt: skip
        assert word in said(papers[0])


def test_f13_a_slip_fits_every_paper() -> None:
    for columns in COLUMNS:
        assert all(line.text for line in lines(slips(1, 1, EPOCH)[0], columns) if line.style == "write")


@pytest.mark.parametrize(("first", "count"), [(0, 1), (1, 0), (1, MOST_SLIPS + 1)])
def test_f13_a_printing_of_slips_is_bounded(first: int, count: int) -> None:
    with pytest.raises(AssertionError):
        slips(first, count, EPOCH)


def test_f13_a_case_of_money_without_a_receipt_is_settled_by_one_slip() -> None:
    case = CaseOpened(4, "tender_without_sale", 17, 9500)
    assert settle(case, 8, 1, 10, {7}) == SlipCase(4, 8, 9500)
    with pytest.raises(SlipUsedError):
        settle(case, 7, 1, 10, {7})
    with pytest.raises(SlipNotPrintedError):
        settle(case, 11, 1, 10, set())
    with pytest.raises(NotASlipCaseError):
        settle(CaseOpened(5, "clock", 0, 0), 8, 1, 10, set())


def test_f14_the_note_and_the_report_say_what_is_known() -> None:
    for text in (said(outage_note(OVER, EPOCH)), report_to_agency(OVER, EPOCH, "2026-11-22")):
        for fact in ("2026-11-22 09:00", "2026-11-22 10:30", "no_unit", "1 845,50", "12", UNIT, "K3-1", "556677-8899"):
            assert fact in text


def test_f14_what_is_not_known_is_left_to_a_person() -> None:
    report = report_to_agency(GOING_ON, EPOCH, "2026-11-22")
    assert "pågår ännu 2026-11-22" in report
    assert "Orsak enligt oss: ____" in report
    assert "Reservkvitton, antal: ____" in report
    assert "strömavbrott behöver det inte anmälas" in report
    assert [row.style for row in outage_note(GOING_ON, EPOCH).rows if row.left == "Upphörde"] == ["write"]
