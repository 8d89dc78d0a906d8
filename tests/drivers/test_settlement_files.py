"""Settlement files as bytes: whole or not at all, and what is wrong is named by line and column (R13)."""

from __future__ import annotations

from pathlib import Path

import pytest

from oppet.drivers.settlement_files import (
    BadSettlementError,
    NotASettlementError,
    Waiting,
    parse,
    put_aside,
    waiting,
)

CARD = (
    "poi_transaction,acquirer_transaction,original,time,type,sign,amount_ore,card_last4,approval,offline,status,terminal,batch\n"
    "T1,A1,,2026-11-22T10:00:00.000Z,payment,+,16900,0010,123456,0,settled,P400-1,1\n"
    "T2,A2,T1,2026-11-22T22:59:59.000Z,reversal,-,16900,0010,123456,0,settled,P400-1,1\n"
    "T3,A3,,2026-11-22T23:00:00.000Z,payment,+,500,0028,,1,refused,P400-1,1\n"
)
SWISH = (
    "time,type,sign,amount_ore,currency,reference,instruction,merchant_reference,original,payee,message,payer,payer_name,report\n"
    "2026-11-22T11:00:00.000+0100,plain,+,5000,SEK,PR1,,,,1231181189,S01.K1.1.0001,46701234567,Bo Bo,1\n"
    "2026-11-22T10:00:01.000+0000,refund,-,5000,SEK,PR2,II,OUR,PR1,1231181189,,46701234567,Bo Bo,1\n"
)


def test_r13_an_acquirer_s_file_is_read_to_the_ore() -> None:
    said = parse("settlement-1.csv", CARD.encode())
    assert (said.means, said.service, said.sum_ore, said.until) == ("card", "card", 0, "2026-11-22T23:00:00.000Z")
    assert [(line.line, line.kind, line.amount_ore, line.original, line.status) for line in said.lines] == [
        ("A1", "payment", 16_900, "", "settled"),
        ("A2", "reversal", -16_900, "T1", "settled"),
        ("A3", "payment", 500, "", "refused"),
    ]
    assert [line.day for line in said.lines] == ["2026-11-22", "2026-11-22", "2026-11-23"], "a Swedish day"
    assert parse("x.csv", CARD.encode(), "nordic").service == "nordic"


def test_s11_a_payer_s_number_and_name_are_passed_over() -> None:
    said = parse("swish-report.csv", SWISH.encode())
    assert [(line.time, line.request, line.message) for line in said.lines] == [
        ("2026-11-22T10:00:00.000Z", "", "S01.K1.1.0001"),
        ("2026-11-22T10:00:01.000Z", "II", ""),
    ]
    assert "4670" not in repr(said)
    assert "Bo" not in repr(said)


BAD = (
    ("amount_ore", 2, CARD.replace("16900,0010", "16900.5,0010", 1)),
    ("amount_ore", 2, CARD.replace("16900,0010", "-1,0010", 1)),
    ("sign", 2, CARD.replace(",+,16900", ",,16900", 1)),
    ("type", 3, CARD.replace("reversal", "payout")),
    ("original", 3, CARD.replace("A2,T1,", "A2,,")),
    ("time", 4, CARD.replace("2026-11-22T23:00", "2026-13-22T23:00")),
    ("status", 4, CARD.replace("refused", "maybe")),
    ("acquirer_transaction", 3, CARD.replace("A2", "A1")),
    ("acquirer_transaction", 2, CARD.replace("A1", "", 1)),
    ("approval", 2, CARD.replace("123456", "1" * 300, 1)),
    ("batch", 3, CARD.replace("P400-1,1\nT3", "P400-1\nT3")),
    ("currency", 2, SWISH.replace("SEK,PR1", "EUR,PR1")),
    ("reference", 3, SWISH.replace("PR2", "")),
)


@pytest.mark.parametrize(("column", "line", "text"), BAD)
def test_r13_a_bad_line_is_named_with_its_column_and_nothing_is_given(column: str, line: int, text: str) -> None:
    with pytest.raises(BadSettlementError) as refused:
        parse("f.csv", text.encode())
    assert f"line {line}, column “{column}”" in str(refused.value)


def test_pt7_a_whole_card_number_is_refused_and_not_repeated() -> None:
    with pytest.raises(BadSettlementError) as refused:
        parse("f.csv", CARD.replace(",0010,", ",4111111111111111,", 1).encode())
    assert "card_last4" in str(refused.value)
    assert "4111" not in str(refused.value)


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe\x00", b"<html>captive portal</html>", b"a,b\n1,2\n", CARD.encode("utf-16"), b"\0" * 100]
)
def test_r13_what_is_no_settlement_file_is_refused(data: bytes) -> None:
    with pytest.raises((NotASettlementError, BadSettlementError)):
        parse("f.csv", data)


def test_r13_a_file_is_set_aside_and_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "nordic").mkdir()
    for place in (tmp_path / "a.csv", tmp_path / "nordic" / "a.csv", tmp_path / ".hidden.csv", tmp_path / "b.csv.new"):
        place.write_text(CARD)
    assert waiting(tmp_path, 0) == [Waiting(tmp_path / "a.csv", ""), Waiting(tmp_path / "nordic" / "a.csv", "nordic")]
    assert put_aside(waiting(tmp_path, 0)[0]) == tmp_path / "read" / "a.csv"
    (tmp_path / "a.csv").write_text("other")
    assert put_aside(waiting(tmp_path, 0)[0], "line 2 is bad") == tmp_path / "refused" / "a.csv"
    assert (tmp_path / "refused" / "a.csv.why.txt").read_text() == "line 2 is bad\n"
    (tmp_path / "a.csv").write_text("third")
    assert put_aside(waiting(tmp_path, 0)[0], "again") == tmp_path / "refused" / "a-2.csv"
    assert [one.service for one in waiting(tmp_path, 0)] == ["nordic"]
    assert waiting(tmp_path) == [], "it may still be being written"
