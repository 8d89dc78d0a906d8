"""Settlement at head office: a file comes once, whole or not at all, and both sides stand beside each other (R13)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from oppet.base.clock import parse_utc
from oppet.drivers.hq_payments import HqPayments, SaidOtherwiseError
from oppet.drivers.pg import Pool
from oppet.drivers.settlement_files import BadSettlementError, parse
from oppet.figures.reconcile import DAY_MS, Reconciled, reconcile
from oppet.hq.main import Ports, Settings, open_hq, prepare
from oppet.hq.verbs import settle
from oppet.journal.kinds import ActDone, AlarmRaised
from tests.figures.test_tenders import asked, folded
from tests.hq.office import said
from tests.hq.paid import PLAN, PRICE, a_paid_day
from tests.hq.sold import NOW, Office, clear, one
from tests.sync.chain import History

HEAD = "poi_transaction,acquirer_transaction,original,time,type,sign,amount_ore,card_last4,approval,offline,status,terminal,batch"
TIME = "2026-11-22T20:00:00.000Z"
LATER = parse_utc(TIME) + 9 * DAY_MS


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> History:
    return a_paid_day(tmp_path_factory.mktemp("till"))


@pytest.fixture
def office(dsn: str, day: History) -> Iterator[Office]:
    clear(dsn)
    with psycopg.connect(dsn) as connection:
        for table in ("settlement_file", "settlement_line", "money_case_closed"):
            connection.execute(f"DELETE FROM {table}")
    office = Office(dsn)
    office.take(day)
    yield office
    office.close()


@pytest.fixture
def payments(dsn: str) -> Iterator[HqPayments]:
    pool = Pool(dsn)
    yield HqPayments(pool)
    pool.close()


def a_line(number: int, reference: str, ore: int, kind: str = "payment", status: str = "settled", **more: Any) -> str:
    sign = "+" if kind == "payment" else "-"
    said = {"time": TIME, "original": ""} | more
    return f"{reference},A{number},{said['original']},{said['time']},{kind},{sign},{ore},0010,A1,0,{status},P400,1"


def their_file(dsn: str) -> list[str]:
    """What an honest acquirer says of this day."""
    return [
        a_line(number, row["reference"], row["approved_ore"])
        for number, row in enumerate(asked(dsn))
        if row["means"] == "card" and row["state"] in ("approved", "partial", "accepted_at_risk")
    ]


def data(lines: list[str]) -> bytes:
    return "\n".join([HEAD, *lines, ""]).encode()


def done(payments: HqPayments, now: int = LATER) -> Reconciled:
    sides = payments.sides("2026-11-20", "2026-11-23")
    return reconcile(sides.ours, sides.theirs, sides.told_until, now)


def test_r13_an_honest_file_leaves_no_difference(office: Office, payments: HqPayments, day: History) -> None:
    lines = their_file(office.dsn)
    told = payments.take_in(parse("settlement-1.csv", data(lines)), NOW)
    assert (told.lines, told.new, told.known) == (len(lines), len(lines), "")
    assert [d.about for d in done(payments, NOW).differences] == []
    assert [d.about for d in done(payments).differences] == ["unknown_not_paid"]
    sides = payments.sides("2026-11-20", "2026-11-23")
    [card] = sides.sums
    assert (card.means, card.count) == ("card", len(lines))
    assert (
        card.ore
        == sides.their_sums[0].ore
        == sum(attempt.approved_ore for attempt in folded(day).values() if attempt.held and attempt.means == "card")
    )
    assert card.plain == card.count - 1, "what is plainly one and one is not put side by side one by one"
    assert [one.state for one in sides.ours if one.expects_ore] == ["accepted_at_risk"]
    assert done(payments, NOW).settled == 1


def test_r13_the_same_file_twice_and_its_lines_in_another_change_nothing(office: Office, payments: HqPayments) -> None:
    lines = their_file(office.dsn)
    payments.take_in(parse("a.csv", data(lines)), NOW)
    before = one(office.dsn, "SELECT count(*), sum(amount_ore) FROM settlement_line")
    again = payments.take_in(parse("b.csv", data(lines)), NOW)
    assert (again.known, again.new) == ("a.csv", 0)
    other = payments.take_in(parse("c.csv", data(lines[:2])), NOW)
    assert (other.known, other.new) == ("", 0)
    assert one(office.dsn, "SELECT count(*), sum(amount_ore) FROM settlement_line") == before


def test_r13_a_file_that_says_otherwise_of_a_movement_is_refused_whole(office: Office, payments: HqPayments) -> None:
    lines = their_file(office.dsn)
    payments.take_in(parse("a.csv", data(lines)), NOW)
    before = one(office.dsn, "SELECT count(*), sum(amount_ore) FROM settlement_line")
    with pytest.raises(SaidOtherwiseError) as refused:
        payments.take_in(parse("b.csv", data([a_line(900, "T-new", 5), lines[0].replace(f",{PRICE},", ",1,")])), NOW)
    assert "line 3" in str(refused.value)
    assert "a.csv" in str(refused.value)
    assert one(office.dsn, "SELECT count(*), sum(amount_ore) FROM settlement_line") == before
    assert one(office.dsn, "SELECT count(*) FROM settlement_file") == 1


def test_r13_missing_extra_and_differing_amounts_are_found_in_the_database(
    office: Office, payments: HqPayments
) -> None:
    lines = their_file(office.dsn)
    changed = [a_line(800, "T-nobody", 12_300), lines[0].replace(f",{PRICE},", ",9999,"), *lines[2:]]
    payments.take_in(parse("a.csv", data(changed)), NOW)
    found = {d.about: d.ore for d in done(payments).differences}
    assert found == {
        "extra": 12_300, "amount": 9_999 - PRICE, "missing": -int(lines[1].split(",")[6]), "unknown_not_paid": 0,
    }  # fmt: skip


def test_pt6_what_was_accepted_at_risk_is_lost_where_the_card_s_bank_does_not_pay(
    office: Office, payments: HqPayments
) -> None:
    [risky] = [row for row in asked(office.dsn) if row["state"] == "accepted_at_risk"]
    lines = [line for line in their_file(office.dsn) if not line.startswith(risky["reference"] + ",")]
    payments.take_in(parse("a.csv", data([*lines, a_line(70, risky["reference"], PRICE, status="refused")])), NOW)
    [lost] = done(payments, NOW).differences
    assert (lost.about, lost.ore) == ("lost", -PRICE)
    assert lost.ours is not None
    assert lost.ours.sale == risky["sale"]


def test_pt8_the_board_is_the_last_word_of_each_till_s_latest_epoch(office: Office, payments: HqPayments) -> None:
    found = {row.path: (row.state, row.means) for row in payments.paths("S01")}
    assert found == {"card-1": ("down", "card"), "swish": ("working", "swish")}
    [waiting] = payments.open_tenders()
    assert (waiting.state, waiting.amount_ore, waiting.path) == ("unknown", PRICE, "card-1")
    [risk] = payments.at_risk("2026-11-22")
    assert (risk.till, risk.count, risk.ore) == ("S01-K3", 1, PRICE)
    assert len(payments.tender("S01", "S01-K3", 1, waiting.sale, waiting.tender)) == 1
    assert sum(map(len, payments.export(["S01"], ["2026-11-22"]))) == len(PLAN) + 2


def test_r13_head_office_watches_a_folder_and_sets_aside_what_it_read_and_what_it_refused(
    office: Office, tmp_path: Path
) -> None:
    settings = Settings("hq", dsn=office.dsn, tls=False, site="hq.test", settlements="in")
    prepare(settings, tmp_path)
    place = tmp_path / "in"
    (place / "nordic").mkdir(parents=True)
    lines = their_file(office.dsn)
    for name, text in {
        "good.csv": data(lines),
        "again.csv": data(lines),
        "nordic/bad.csv": data(["x", *lines]),
    }.items():
        (place / name).write_bytes(text)
        os.utime(place / name, (1, 1))
    hq = open_hq(settings, tmp_path, office.dsn, "1", Ports(8500, 8501))
    try:
        for _ in range(100):
            if (place / "nordic" / "refused" / "bad.csv").exists() and (place / "read" / "good.csv").exists():
                break
            time.sleep(0.1)
        acts = [body.about for body in said(hq, ActDone) if body.act == "settle"]
        alarms = [body.about for body in said(hq, AlarmRaised)]
    finally:
        hq.close()
    assert sorted(path.name for path in (place / "read").iterdir()) == ["again.csv", "good.csv"]
    why = (place / "nordic" / "refused" / "bad.csv.why.txt").read_text()
    assert "line 2" in why
    assert one(office.dsn, "SELECT count(*) FROM settlement_line") == len(lines)
    assert acts == ["again.csv", "good.csv"]
    assert alarms == ["settlement_refused"]


def test_r13_the_command_takes_in_a_file_and_says_what_came_of_it(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings("hq", dsn=office.dsn, tls=False, site="hq.test")
    (tmp_path / "settings.json").write_bytes(msgspec.json.encode(settings))
    lines = their_file(office.dsn)
    (tmp_path / "a.csv").write_bytes(data(lines))
    assert settle(tmp_path / "a.csv", settings=tmp_path / "settings.json", service="nordic", as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["new"] == len(lines)
    assert settle(tmp_path / "a.csv", settings=tmp_path / "settings.json") == 0
    assert "was read before" in capsys.readouterr().out
    (tmp_path / "b.csv").write_bytes(data(["x"]))
    with pytest.raises(BadSettlementError):
        settle(tmp_path / "b.csv", settings=tmp_path / "settings.json")
