"""Replay from Parquet to report: equal is equal to the cent, a class explains, and nothing else gets by."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oppet.base.errors import RefusedError
from oppet.drivers.journal_file import JournalFile
from oppet.journal.entry import body_of
from oppet.journal.kinds import Receipt, ReportMade
from oppet.payments.means import KRONA
from oppet.replay import drive, plain, reasons, verb
from oppet.replay.errors import NotWritableError
from oppet.replay.plan import Figures
from oppet.replay.source import LogLine
from tests.conftest import ROOT
from tests.replay.rows import ending, line, ordinary, tender, write_invoices, write_journey, write_log
from tests.replay.test_reasons import OF_ITS_OWN

DAY = 86_400_000


def numbered(*receipts: list[LogLine]) -> list[LogLine]:
    """Each under a number of its own, a day apart."""
    return [
        replace(row, receipt=f"{day:02}-9-1-1", time=row.time + day * DAY)
        for day, rows in enumerate(receipts, 1)
        for row in rows
    ]


def replayed(tmp_path: Path, *receipts: list[LogLine]) -> dict[str, Any]:
    """What `oppet replay` says of a log of these receipts."""
    told, tally, _ = verb.run(write_log(tmp_path / "log", numbered(*receipts)), tmp_path)
    return {**told["result"], "wrong": tally.wrong, "differing": tally.differing}


def written(folder: Path) -> list[Receipt]:
    with JournalFile.open(folder / "replay.journal") as journal:
        return [body for entry in journal.read() if isinstance(body := body_of(entry), Receipt)]


# --- the till log


def test_an_ordinary_receipt_is_equal_to_the_cent(tmp_path: Path) -> None:
    found = replayed(tmp_path, ordinary())
    assert (found["receipts"], found["equal"], found["unexplained"]) == (1, 1, 0)
    (receipt,) = written(tmp_path)
    assert [part.net_ore for part in receipt.lines] == [500, 149, 400, 32]
    assert (receipt.total_ore, receipt.rounding_ore) == (1081, 0)
    assert [(t.means, t.given_ore, t.change_ore) for t in receipt.tenders] == [("cash", 2000, 919)]


def test_voids_specials_credits_percent_coupons_and_mixed_tenders_are_equal(tmp_path: Path) -> None:
    """10 % of 4.00 + 2.50 − 0.50 is 0.60; tax 7.875 % of 90 % of 4.00 is 0.28; a bag credit comes off last."""
    rows = [
        line(1, code="0000000000777", name="SOAP", unit_cents=400, tax=1, percent=10),
        line(2, percent=10),
        line(3, milli=3000, percent=10),
        line(4, status="V", milli=-2000, percent=10),
        line(5, status="V", milli=-1000, percent=10),
        line(6, status="M", special=20, unit_cents=-50, name="OAT FLAKES"),
        line(7, code="0000000005005", name="BAG REFUND", unit_cents=-3, discountable=False),
        tender(8, 100, "CP", status="C", name=" * Manufacturers Coupon"),
        tender(9, 200, "CC"),
        tender(10, 300),
        *ending(11, tax=28, less=60, change=35),
    ]
    found = replayed(tmp_path, rows)
    assert found["wrong"] == []
    assert (found["equal"], found["classes"]) == (1, {})
    (receipt,) = written(tmp_path)
    assert [t.means for t in receipt.tenders] == ["coupon", "card", "cash"]
    assert receipt.total_ore == 565


def test_a_cancelled_receipt_is_given_up_and_equal(tmp_path: Path) -> None:
    found = replayed(tmp_path, OF_ITS_OWN[reasons.CANCELLED])
    assert (found["equal"], found["classes"], written(tmp_path)) == (1, {}, [])


@pytest.mark.parametrize("name", sorted(set(OF_ITS_OWN) - {reasons.CANCELLED}))
def test_a_receipt_of_each_class_is_explained_by_it(tmp_path: Path, name: str) -> None:
    found = replayed(tmp_path, OF_ITS_OWN[name])
    assert found["wrong"] == []
    assert (found["equal"], found["explained"]) == (0, 1)
    assert name in found["classes"]


def test_half_a_cent_that_the_source_rounded_down_is_explained(tmp_path: Path) -> None:
    """0.70 lb at 2.75 is 1.925."""
    rows = [line(1, milli=700, weighed=True, unit_cents=275, cents=192), tender(2, 192, "CC"), *ending(3)]
    found = replayed(tmp_path, rows)
    assert (found["wrong"], list(found["classes"])) == ([], [reasons.HALF])
    assert found["differing"][0]["reasons"][reasons.HALF] == {"goods": -1, "total": -1, "paid": -1}
    assert written(tmp_path)[0].total_ore == 193


def test_s6_a_mixed_receipt_becomes_a_sale_and_a_return_that_nets_to_it(tmp_path: Path) -> None:
    found = replayed(tmp_path, OF_ITS_OWN[reasons.MIXED])
    assert found["unexplained"] == 0
    kinds = [(receipt.kind, receipt.total_ore) for receipt in written(tmp_path)]
    assert kinds == [("sale", 100), ("return", 100), ("sale", 250)]


def test_two_days_are_closed_by_two_z_reports_of_what_was_sold(tmp_path: Path) -> None:
    replayed(tmp_path, ordinary(), ordinary())
    with JournalFile.open(tmp_path / "replay.journal") as journal:
        reports = [body.report for e in journal.read() if isinstance(body := body_of(e), ReportMade)]
    assert [report.sales_ore for report in reports] == [1081, 1081]


# --- nothing else gets by


@pytest.mark.parametrize(("place", "cents"), [(0, 501), (1, 150), (2, 399), (4, -1999), (5, 918), (7, 33)])
def test_a_source_that_is_off_by_a_cent_anywhere_is_unexplained(tmp_path: Path, place: int, cents: int) -> None:
    rows = ordinary()
    rows[place] = replace(rows[place], cents=cents)
    found = replayed(tmp_path, rows)
    assert (found["equal"], found["explained"], found["unexplained"]) == (0, 0, 1)


@pytest.mark.parametrize("name", ["lines", "off", "tax", "total", "paid"])
def test_a_till_that_is_off_anywhere_is_unexplained(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever our till wrote is compared, in receipts that are equal and in explained ones."""
    read = drive.Lane._read

    def off(self: drive.Lane, receipt: Receipt) -> Figures:
        figures = read(self, receipt)
        value = getattr(figures, name)
        wrong: Any = value + 1 if isinstance(value, int) else value[:-1]
        return replace(figures, **{name: wrong})

    monkeypatch.setattr(drive.Lane, "_read", off)
    found = replayed(tmp_path, ordinary(), OF_ITS_OWN[reasons.REFUND], OF_ITS_OWN[reasons.CASH_BACK])
    assert (found["equal"], found["explained"], found["unexplained"]) == (0, 0, 3)


def test_a_till_that_refuses_is_unexplained_and_the_next_receipt_is_sold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oppet.register.selling.MOST_LINES", 2)
    small = [line(1), tender(2, 250), *ending(3)]
    found = replayed(tmp_path, ordinary(), small)
    assert (found["equal"], found["unexplained"]) == (1, 1)
    assert "the till refused" in found["wrong"][0]


def test_r23_a_control_unit_that_counted_otherwise_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = drive.Lane.__init__

    def forgetful(self: drive.Lane, *words: Any) -> None:
        begin(self, *words)
        self.unit.receipts += 1

    monkeypatch.setattr(drive.Lane, "__init__", forgetful)
    assert any("control unit" in wrong for wrong in replayed(tmp_path, ordinary())["wrong"])


def test_a_void_that_fits_nothing_is_unexplained(tmp_path: Path) -> None:
    rows = [line(1), line(2), line(3, status="V", milli=-1000, unit_cents=240), tender(4, 260), *ending(5)]
    assert replayed(tmp_path, rows)["unexplained"] == 1


# --- the other two sets


def test_baskets_are_equal_or_in_their_class(tmp_path: Path) -> None:
    path = write_journey(
        tmp_path / "set",
        [
            ("1", "a", 2.0, 5.0, 0.58, 0.5, 0.42),
            ("1", "b", 1.0, 1.0, 0.0, 0.0, 0.0),
            ("2", "a", 2.0, 5.01, 0.0, 0.0, 0.0),
            ("3", "fuel", 8776.0, 23.25, 0.88, 0.0, 0.0),
            ("4", "c", 0.0, 0.0, 0.0, 1.0, 0.0),
            ("5", "c", 0.0, 0.0, 0.0, 0.0, 0.0),
            ("5", "b", 1.0, 1.0, 0.0, 2.0, 0.0),
        ],
    )
    told, tally, _ = verb.run(path, tmp_path)
    assert tally.wrong == []
    assert told["result"]["equal"] == 1
    named = {plain.DIVIDED, plain.MEASURED, plain.NOTHING, plain.EMPTY_LINE, plain.COUPON_OVER}
    assert set(told["result"]["classes"]) == named
    receipt = written(tmp_path)[0]
    assert (receipt.total_ore, receipt.saved_ore) == (600, 100)
    assert [(t.means, t.amount_ore) for t in receipt.tenders] == [("coupon", 50), ("card", 550)]


def test_invoices_and_credit_notes_are_equal_or_in_their_class(tmp_path: Path) -> None:
    long = [("536600", f"i{place}", 1, 1.0) for place in range(401)]
    path = write_invoices(
        tmp_path / "set",
        [
            ("536365", "a", 6, 2.55),
            ("536366", "a", 1000, 2.55),
            ("536367", "p", 3, 0.001),
            ("C536368", "a", -2, 2.55),
            ("536369", "a", -4, 0.0),
            ("A536370", "B", 1, -110.62),
            *long,
        ],
    )
    told, tally, _ = verb.run(path, tmp_path)
    assert tally.wrong == []
    assert told["result"]["equal"] == 1
    named = {plain.MANY, plain.BELOW_PENNY, plain.CREDIT, plain.STOCK, plain.OFFICE, plain.LONG}
    assert set(told["result"]["classes"]) == named
    assert sum(len(receipt.lines) for receipt in written(tmp_path)) == 1 + 2 + 1 + 2 + 401


def test_pieces_of_both_signs_on_one_invoice_are_unexplained(tmp_path: Path) -> None:
    path = write_invoices(tmp_path / "set", [("1", "a", 6, 2.55), ("1", "b", -1, 2.55)])
    _, tally, _ = verb.run(path, tmp_path)
    assert tally.unexplained == 1


# --- the verb


def test_h5_the_verb_reports_and_its_code_says_whether_all_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    good = write_log(tmp_path / "good", numbered(ordinary(), OF_ITS_OWN[reasons.CASH_BACK]))
    assert verb.replay(good, as_json=True, report=tmp_path / "report.json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["bench"], told["result"]["explained"]) == ("replay core-pos-till-log", 1)
    assert told["figures"]["receipts_per_s"] > 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["differing"][0]["reasons"] == {reasons.CASH_BACK: {"change": 750}}
    assert list(report["why"]) == [reasons.CASH_BACK]
    rows = ordinary()
    bad = write_log(tmp_path / "bad", numbered([*rows[:7], replace(rows[7], cents=33)]))
    assert verb.replay(bad) == 1
    assert "1 unexplained" in capsys.readouterr().out
    assert verb.replay(good, limit=1, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["result"]["receipts"] == 1


def test_the_journal_is_thrown_away_unless_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_log(tmp_path / "log", numbered(ordinary()))
    verb.replay(path, as_json=True)
    assert list(tmp_path.rglob("*.journal")) == []
    verb.replay(path, as_json=True, keep=tmp_path / "kept")
    assert len(written(tmp_path / "kept")) == 1
    with pytest.raises(RefusedError):
        verb.replay(path, as_json=True, keep=tmp_path / "kept")


def test_a_report_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_log(tmp_path / "log", numbered(ordinary()))
    with pytest.raises(NotWritableError):
        verb.replay(path, as_json=True, report=tmp_path / "nowhere" / "report.json")


# --- the law stays Sweden's


def test_pay1_no_coin_but_the_krona_can_be_set_outside_a_replay() -> None:
    assert KRONA == 100
    named = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "oppet").rglob("*.py"))
        if "coin_ore" in path.read_text(encoding="utf-8")
    ]
    allowed = {
        "oppet/payments/means.py",
        "oppet/sale/settle.py",
        "oppet/register/checkout.py",
        "oppet/register/till.py",
    }
    assert {path for path in named if not path.startswith("oppet/replay/")} <= allowed


# --- the real sets, where they lie beside the checkout


@pytest.mark.shared
@pytest.mark.parametrize("name", ["core-pos-till-log", "complete-journey"])
def test_the_first_receipts_of_a_real_set_are_equal_or_explained(shared_data: Path, tmp_path: Path, name: str) -> None:
    told, tally, _ = verb.run(shared_data / name, tmp_path, limit=80)
    assert tally.wrong == []
    assert told["result"]["equal"] > 60


@pytest.mark.shared
@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "receipts", "equal"),
    [("core-pos-till-log", 6612, 5705), ("complete-journey", 42316, 40391), ("online-retail", 16459, 12872)],
)
def test_all_of_a_real_set_is_equal_or_explained(
    shared_data: Path, tmp_path: Path, name: str, receipts: int, equal: int
) -> None:
    told, tally, _ = verb.run(shared_data / name, tmp_path)
    assert tally.wrong == []
    assert (told["result"]["receipts"], told["result"]["equal"]) == (receipts, equal)
