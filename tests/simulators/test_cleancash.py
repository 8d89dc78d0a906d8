"""The simulated CleanCash says no with every fault its protocol has (R23)."""

from __future__ import annotations

import base64
import http.client
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.simulators.conftest import Start
    from tests.simulators.running import Simulator

GOOD = (
    '<?xml version="1.0" encoding="ISO-8859-1"?>\n<request xmlns="http://www.retailinnovation.se/xccsp">'
    "<type>RegisterReceipt</type><data><Receipt><IsNewSession>0</IsNewSession><SerialNo>500</SerialNo>"
    "<PosId>K3</PosId><OrgNo>5555551111</OrgNo><Date>201607111029</Date><ReceiptId>3</ReceiptId>"
    "<ReceiptType>normal</ReceiptType><ReceiptTotal>10,00</ReceiptTotal><NegativeTotal>0,00</NegativeTotal>"
    "<VatList><Vat><Class>1</Class><Percentage>25,00</Percentage><Amount>2,00</Amount></Vat></VatList>"
    "</Receipt></data></request>"
)
STATUS = re.sub(
    "<type>.*</data>",
    "<type>RequestStatus</type><data><StatusRequest><PosId>K3</PosId><OrgNo>5555551111</OrgNo></StatusRequest></data>",
    GOOD,
)


def post(simulator: Simulator, body: str | bytes, path: str = "/xccsp", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", simulator.ready["port"], timeout=10)
    try:
        connection.request("POST", path, body.encode("latin-1") if isinstance(body, str) else body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("latin-1")
    finally:
        connection.close()


def fault_code(answer: tuple[int, str]) -> int:
    found = re.search(r"<type>Fault</type>.*<Code>([0-9]+)</Code>", answer[1])
    return int(found[1]) if found else 0


def test_r23_the_published_message_is_registered_once(start: Start) -> None:
    simulator = start("cleancash")
    first, again = post(simulator, GOOD), post(simulator, GOOD.replace("500", "501"))
    assert first == again
    assert "<UnitId>SIMCC000000000001</UnitId>" in first[1]
    assert simulator.state()["counter"] == 1


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("RegisterReceipt", "RegisterEverything", 2),
        ("<request", "<question", 3),
        ("<type>", "<type>Register</type><type>", 3),
        ('xmlns="http://www.retailinnovation.se/xccsp"', "", 2),
        ("<PosId>K3</PosId>", "<PosId></PosId>", 7),
        ("<PosId>K3</PosId>", "", 3),
        ("5555551111", "555555-1111", 3),
        ("201607111029", "201613111029", 3),
        ("201607111029", "2016", 3),
        (">normal<", ">NORMAL<", 3),
        ("10,00", "10.00", 3),
        ("<NegativeTotal>0,00", "<NegativeTotal>-1,00", 3),
        ("<Class>1", "<Class>5", 3),
        ("<Class>1", "<Class>2", 3),
        ("</VatList>", "<Vat><Class>1</Class><Percentage>25,00</Percentage><Amount>0,00</Amount></Vat></VatList>", 3),
        ("<Amount>2,00", "<Amount>2", 3),
        ("<ReceiptId>3", "<ReceiptId>0", 3),
        ("<SerialNo>500", "<SerialNo>0", 3),
        ("<IsNewSession>0", "<IsNewSession>2", 3),
        ("<request", "<!DOCTYPE x><request", 3),
        ("</request>", "", 3),
    ],
)
def test_r23_every_wrong_message_has_its_fault_and_registers_nothing(
    start: Start, old: str, new: str, code: int
) -> None:
    simulator = start("cleancash", "--fast")
    assert old in GOOD
    assert fault_code(post(simulator, GOOD.replace(old, new))) == code
    assert simulator.state()["counter"] == 0


@pytest.mark.parametrize(
    ("fault", "code"), [("busy", 5), ("not_operational", 6), ("full", 10), ("server_busy", 97), ("no_unit", 99)]
)
def test_r23_explicit_refusals_come_when_ordered(start: Start, fault: str, code: int) -> None:
    simulator = start("cleancash", "--fast")
    simulator.order(fault)
    assert fault_code(post(simulator, GOOD)) == code
    assert simulator.state()["counter"] == 0
    assert fault_code(post(simulator, GOOD.replace("500", "501"))) == 0


@pytest.mark.parametrize("code", [2, 3, 5, 6, 7, 8, 9, 10, 97, 98, 99])
def test_r23_any_fault_comes_when_ordered_even_after_registering(start: Start, code: int) -> None:
    simulator = start("cleancash", "--fast")
    simulator.order("error", code=code, kind="registered")
    assert fault_code(post(simulator, GOOD)) == code
    assert simulator.state()["counter"] == 1


def test_r23_registers_licences_and_companies_are_checked(start: Start) -> None:
    known = start("cleancash", "--fast", "--registers", "K3,K4", "--licences", "1", "--unit", "U1")
    assert fault_code(post(known, GOOD.replace("K3", "K9"))) == 7
    assert fault_code(post(known, GOOD)) == 0
    assert fault_code(post(known, GOOD.replace("K3", "K4"))) == 9
    assert fault_code(post(known, STATUS.replace("5555551111", "1234567890"))) == 7
    assert fault_code(post(known, STATUS)) == 0


def test_r23_serials_and_receipt_numbers_rise_and_a_number_has_one_receipt(start: Start) -> None:
    simulator = start("cleancash", "--fast")
    assert fault_code(post(simulator, GOOD)) == 0
    assert fault_code(post(simulator, GOOD)) == 3  # the serial did not rise
    assert fault_code(post(simulator, GOOD.replace("Session>0", "Session>1"))) == 0  # a new session counts anew
    assert fault_code(post(simulator, GOOD.replace("500", "502").replace("10,00", "11,00"))) == 3
    assert fault_code(post(simulator, GOOD.replace("500", "503").replace("Id>3<", "Id>2<"))) == 3
    assert fault_code(post(simulator, GOOD.replace("500", "504").replace("Id>3<", "Id>4<"))) == 0
    assert simulator.state()["counter"] == 2


@pytest.mark.parametrize(
    ("fault", "main", "storage"),
    [("", "0", "0"), ("not_operational", "4", "0"), ("full", "0", "2"), ("busy", "0", "0")],
)
def test_r23_a_status_question_sees_what_will_happen_and_uses_nothing_up(
    start: Start, fault: str, main: str, storage: str
) -> None:
    simulator = start("cleancash", "--fast")
    if fault:
        simulator.order(fault)
    for _ in range(2):
        status = post(simulator, STATUS)[1]
        assert f"<MainStatus>{main}</MainStatus><StorageStatus>{storage}</StorageStatus>" in status


def test_r23_http_is_refused_in_its_own_words(start: Start) -> None:
    simulator = start("cleancash", "--user", "pos", "--password", "Hemligt")
    basic = {"Authorization": "Basic " + base64.b64encode(b"pos:Hemligt").decode()}
    assert post(simulator, STATUS)[0] == 401
    assert post(simulator, STATUS, **basic)[0] == 200
    assert post(simulator, STATUS, path="/elsewhere", **basic)[0] == 404
    assert post(simulator, b"x" * 70_000, **basic)[0] == 413
    connection = http.client.HTTPConnection("127.0.0.1", simulator.ready["port"], timeout=10)
    connection.request("GET", "/xccsp", headers={"Content-Length": "0"})
    assert connection.getresponse().status == 405
    connection.close()
