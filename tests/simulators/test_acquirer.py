"""The simulated acquirer answers each question once, and its settlement files say what moved (R12, R20)."""

from __future__ import annotations

import csv
import http.client
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from oppet.simulators.acquirer import COLUMNS, Bank
from oppet.simulators.nexo import CARDS
from tests.simulators.nexo_till import Running

if TYPE_CHECKING:
    from collections.abc import Iterator

POI = "P400Plus-275102806"
Row = dict[str, str]


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path / "book", fast=True)


def pay(
    bank: Bank, number: str = "T1", ore: int = 1000, card: str = "visa", path: str = "/authorise"
) -> dict[str, Any]:
    question = {
        "terminal": POI,
        "transaction": number,
        "amount_ore": ore,
        "number": CARDS[card].number,
        "entry": "insert",
    }
    return bank.answer(path, question)


def hand_in(bank: Bank, *numbers: str, card: str = "visa") -> None:
    approvals = [
        {
            "transaction": number, "poi_transaction": number, "amount_ore": 500, "number": CARDS[card].number, "approval": "123456",
            "time": "2026-11-22T10:00:00.000Z",
        }
        for number in numbers
    ]  # fmt: skip
    assert bank.answer("/batch", {"terminal": POI, "approvals": approvals}) == {"result": "taken"}


def reverse(bank: Bank, poi: str, number: str = "R1", ore: int = 1000) -> dict[str, Any]:
    return bank.answer("/reverse", {"terminal": POI, "transaction": number, "poi_transaction": poi, "amount_ore": ore})


def rows(bank: Bank) -> list[Row]:
    _, data = bank.settle()
    head, *lines = csv.reader(data.decode().splitlines())
    assert tuple(head) == COLUMNS
    return [dict(zip(COLUMNS, line, strict=True)) for line in lines]


def test_r12_the_same_transaction_again_is_the_first_answer_again(bank: Bank) -> None:
    first = pay(bank)
    assert pay(bank) == first
    assert pay(bank, ore=999_999) == first
    assert bank.state()["net_ore"] == 1000


@pytest.mark.parametrize(
    ("card", "ore", "outcome", "amount"),
    [
        ("visa", 1000, "approved", 1000),
        ("visa", 2_000_001, "declined", 0),
        ("declined", 1000, "declined", 0),
        ("unknown", 1000, "invalid", 0),
        ("low", 25_000, "partial", 10_000),
        ("low", 9_000, "approved", 9_000),
    ],
)
def test_each_card_has_its_verdict(bank: Bank, card: str, ore: int, outcome: str, amount: int) -> None:
    answer = pay(bank, card=card, ore=ore)
    assert (answer["result"], answer["amount_ore"]) == (outcome, amount)
    assert bank.state()["net_ore"] == amount


@pytest.mark.parametrize("ore", [0, -1, 1.5, "10", True, None, 10**12])
def test_an_amount_that_is_none_is_refused(bank: Bank, ore: object) -> None:
    with pytest.raises(ValueError, match="öre"):
        pay(bank, ore=ore)  # type: ignore[arg-type]


def test_what_is_undone_never_was_not_even_if_it_comes_late(bank: Bank) -> None:
    pay(bank)
    for number in ("T1", "T2"):
        bank.answer("/undo", {"terminal": POI, "transaction": number})
        assert pay(bank, number)["result"] == "declined"
    assert bank.state()["net_ore"] == 0
    assert rows(bank) == []


def test_a_payment_reversed_before_its_file_is_in_none_and_one_after_it_has_its_reversal(bank: Bank) -> None:
    early, late = pay(bank, "T1"), pay(bank, "T2")
    assert reverse(bank, early["poi_transaction"], "R1")["result"] == "reversed"
    assert [row["poi_transaction"] for row in rows(bank)] == [late["poi_transaction"]]
    first, again = (reverse(bank, late["poi_transaction"], number) for number in ("R2", "R3"))
    assert first["acquirer"] == again["acquirer"]
    (row,) = rows(bank)
    assert (row["type"], row["sign"], row["original"]) == ("reversal", "-", late["poi_transaction"])
    assert bank.state()["net_ore"] == 0
    assert rows(bank) == []


def test_a_reversal_of_nothing_or_of_another_amount_is_refused(bank: Bank) -> None:
    paid = pay(bank)
    assert reverse(bank, "T9.X", "R1")["result"] == "not_found"
    assert reverse(bank, paid["poi_transaction"], "R2", ore=999)["result"] == "declined"
    assert bank.state()["net_ore"] == 1000


def test_a_file_has_one_row_for_each_movement_and_no_whole_card_number(bank: Bank) -> None:
    paid = pay(bank)
    pay(bank, "T2", path="/refund", card="mastercard")
    hand_in(bank, "T3")
    hand_in(bank, "T3")
    name, data = bank.settle()
    assert name.startswith("settlement-")
    assert not any(card.number in data.decode() for card in CARDS.values())
    lines = [dict(zip(COLUMNS, line, strict=True)) for line in csv.reader(data.decode().splitlines()[1:])]
    assert [(one["type"], one["sign"], one["amount_ore"], one["offline"], one["status"]) for one in lines] == [
        ("payment", "+", "1000", "0", "settled"), ("refund", "-", "1000", "0", "settled"), ("payment", "+", "500", "1", "settled"),
    ]  # fmt: skip
    assert lines[0]["poi_transaction"] == paid["poi_transaction"]
    assert lines[0]["acquirer_transaction"] == paid["acquirer"]
    assert lines[0]["card_last4"] == CARDS["visa"].number[-4:]


def test_offline_approvals_may_be_refused_one_charge_left_out_and_one_invented(bank: Bank) -> None:
    bank.wishes["refuse_offline"] = 1
    hand_in(bank, "T1", "T2")
    paid = pay(bank, "T3")
    bank.wishes["leave_out"] = paid["poi_transaction"]
    bank.extra.append({"amount_ore": 12_300, "card_last4": "0010", "terminal": POI})
    found = rows(bank)
    assert [(row["amount_ore"], row["status"]) for row in found] == [
        ("500", "refused"), ("500", "settled"), ("12300", "settled"),
    ]  # fmt: skip
    assert rows(bank) == []


# --- as a process


@pytest.fixture
def acquirer(tmp_path: Path) -> Iterator[Running]:
    running = Running("acquirer", tmp_path / "book", "--settlements", str(tmp_path / "files"))
    yield running
    assert running.kill() == ""


def ask(running: Running, path: str, body: object, wait_s: float = 10) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", running.ready["port"], timeout=wait_s)
    try:
        connection.request("POST", path, json.dumps(body))
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def test_killed_at_any_moment_its_book_is_whole(acquirer: Running, tmp_path: Path) -> None:
    question = {
        "terminal": POI,
        "transaction": "T1",
        "amount_ore": 1000,
        "number": CARDS["visa"].number,
        "entry": "tap",
    }
    first = ask(acquirer, "/authorise", question)
    file = acquirer.tell(settle=True)["file"]
    assert first["poi_transaction"] in Path(file).read_text(encoding="utf-8")
    acquirer.kill()
    with (tmp_path / "book").open("ab") as book:
        book.write(b'{"terminal": "half a li')
    other = Running("acquirer", tmp_path / "book", "--settlements", str(tmp_path / "files"), "--settle-every-s", "0.05")
    try:
        assert ask(other, "/authorise", question) == first
        assert other.state()["batch"] == 1
        ask(other, "/authorise", question | {"transaction": "T2"})
        end = time.monotonic() + 10
        while other.state()["batch"] == 1:  # by its own clock
            assert time.monotonic() < end
            time.sleep(0.02)
        assert len(list((tmp_path / "files").glob("settlement-*.csv"))) == 2
    finally:
        assert other.kill() == ""


def test_it_may_be_slow_away_or_told_nonsense(acquirer: Running) -> None:
    acquirer.tell(mode="slow", seconds=0.3)
    with pytest.raises(TimeoutError):
        ask(acquirer, "/health", {"terminal": POI}, wait_s=0.1)
    acquirer.tell(mode="away")
    with pytest.raises(http.client.RemoteDisconnected):
        ask(acquirer, "/health", {"terminal": POI})
    acquirer.tell(mode="ok")
    assert ask(acquirer, "/health", {"terminal": POI}) == {"result": "ok"}
    assert "error" in ask(acquirer, "/dance", {"terminal": POI, "transaction": "T1"})
    for wish in ({"mode": "tired"}, {"nothing": 1}, {"extra": {"amount_ore": -1}}, [1]):
        assert acquirer.ask("POST", "/control", wish)[0] == 400
