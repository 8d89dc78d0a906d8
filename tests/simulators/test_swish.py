"""The simulated Swish is as strict as the reference, and fails in every way it is told to (PT5)."""

from __future__ import annotations

import csv
import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simulators.swishes import SwishProcess

ID = "AB23D7406ECE1542A80152D909EF9F6B"
OTHER = "CB23D7406ECE1542A80152D909EF9F6B"
CANCEL = [{"op": "replace", "path": "/status", "value": "cancelled"}]
PATCH = "application/json-patch+json"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwishProcess]:
    running = SwishProcess(tmp_path_factory.mktemp("swish"))
    yield running
    running.kill()


@pytest.fixture
def swish(process: SwishProcess) -> SwishProcess:
    process.reset()
    return process


def asking(swish: SwishProcess, **changes: object) -> dict[str, object]:
    body = {
        "payeeAlias": swish.payee,
        "amount": "100.00",
        "currency": "SEK",
        "callbackUrl": "https://swish.invalid/",
        "message": "Kassa",
    }
    return {name: value for name, value in (body | changes).items() if value is not None}


def create(swish: SwishProcess, key: str = ID, **changes: object) -> tuple[int, dict[str, str], Any]:
    return swish.call("PUT", f"v2/paymentrequests/{key}", asking(swish, **changes))


def see(swish: SwishProcess, key: str = ID) -> Any:
    status, _, body = swish.call("GET", f"v1/paymentrequests/{key}")
    return body if status == 200 else status


def test_pt1_a_request_gives_a_token_and_is_paid_by_whoever_reads_it(swish: SwishProcess) -> None:
    swish.order(paid_ms=None)
    status, headers, body = create(swish)
    assert (status, body) == (201, None)
    assert headers["Location"].endswith(f"/v1/paymentrequests/{ID}")
    assert see(swish)["status"] == "CREATED"
    swish.scan(f"D{headers['PaymentRequestToken']}")
    paid = see(swish)
    assert (paid["status"], paid["amount"], paid["currency"], paid["payeeAlias"]) == ("PAID", 100.0, "SEK", swish.payee)
    assert len(paid["paymentReference"]) == 32
    assert paid["payerAlias"].startswith("467"), "real answers name who paid, so this one does"
    assert swish.state()["net_ore"] == 10_000


def test_pt1_without_anybody_it_is_paid_or_over_by_the_clock(swish: SwishProcess) -> None:
    create(swish)
    assert see(swish)["status"] == "PAID"
    swish.order(paid_ms=None, life_ms=0)
    create(swish, OTHER)
    assert (see(swish, OTHER)["status"], see(swish, OTHER)["errorCode"]) == ("ERROR", "TM01")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount": "1e3"}, "PA02"), ({"amount": None}, "PA02"), ({"amount": "0.00"}, "AM06"), ({"currency": "EUR"}, "AM03"),
        ({"message": "K3-1"}, "RP02"), ({"message": "x" * 51}, "RP02"), ({"callbackUrl": "http://x"}, "RP03"),
        ({"payeeAlias": None}, "RP01"),
        ({"payeePaymentReference": "a b"}, "FF08"), ({"payerAlias": "0701234567"}, "BE18"), ({"message": "ACMT03"}, "ACMT03"),
    ],
)  # fmt: skip
def test_pt3_what_is_wrong_about_a_request_is_refused_with_its_code(
    swish: SwishProcess, changes: dict[str, Any], code: str
) -> None:
    status, _, body = create(swish, **changes)
    assert (status, body[0]["errorCode"]) == (422, code)
    assert see(swish) == 404


@pytest.mark.parametrize(
    ("message", "status"), [("RF07", "DECLINED"), ("TM01", "ERROR"), ("DS24", "ERROR"), ("BANKIDCL", "ERROR")]
)
def test_pt2_the_published_messages_end_as_they_should(swish: SwishProcess, message: str, status: str) -> None:
    assert create(swish, message=message)[0] == 201
    assert (see(swish)["status"], see(swish)["errorCode"]) == (status, message)


def test_pt3_an_id_is_used_once_and_has_a_uuids_form(swish: SwishProcess) -> None:
    create(swish)
    assert create(swish)[2][0]["errorCode"] == "RP09"
    assert create(swish, ID.lower())[2][0]["errorCode"] == "PA01"
    assert create(swish, "AB23D7406ECE9542A80152D909EF9F6B")[2][0]["errorCode"] == "PA01"


def test_pt5_only_the_shop_that_the_certificate_names_is_served(swish: SwishProcess) -> None:
    status, _, _ = swish.call("PUT", f"v2/paymentrequests/{ID}", asking(swish), paper="client-other")
    assert status == 403
    assert swish.call("PUT", f"v2/paymentrequests/{ID}", "{", kind="application/json")[0] == 400
    assert swish.call("PUT", f"v2/paymentrequests/{ID}", "{}", kind="text/plain")[0] == 415
    for paper in ("client-expired", "client-stranger"):
        with pytest.raises((ssl.SSLError, OSError)):
            swish.call("GET", f"v1/paymentrequests/{ID}", paper=paper)
    create(swish)
    assert swish.call("GET", f"v1/paymentrequests/{ID}", paper="client-2")[0] == 200
    assert swish.call("GET", f"v1/paymentrequests/{ID}", paper="client-other")[0] == 404


def test_pt2_a_request_is_stopped_while_it_is_open_and_not_after(swish: SwishProcess) -> None:
    swish.order(paid_ms=None)
    create(swish)
    status, _, body = swish.call("PATCH", f"v1/paymentrequests/{ID}", CANCEL, kind=PATCH)
    assert (status, body["status"]) == (200, "CANCELLED")
    swish.order(paid_ms=0)
    create(swish, OTHER)
    assert swish.call("PATCH", f"v1/paymentrequests/{OTHER}", CANCEL, kind=PATCH)[0] == 422
    assert see(swish, OTHER)["status"] == "PAID"


def test_pt4_money_goes_back_once_and_never_more_than_came(swish: SwishProcess) -> None:
    create(swish)
    reference = see(swish)["paymentReference"]
    body = {"originalPaymentReference": reference, "callbackUrl": "https://swish.invalid/", "payerAlias": swish.payee, "amount": "60.00",
            "currency": "SEK"}  # fmt: skip
    first, second, third = (f"{letter}B23D7406ECE1542A80152D909EF9F6B" for letter in "DEF")
    assert swish.call("PUT", f"v2/refunds/{first}", body)[0] == 201
    assert swish.call("PUT", f"v2/refunds/{first}", body)[2][0]["errorCode"] == "RP09"
    assert swish.call("PUT", f"v2/refunds/{second}", body)[2][0]["errorCode"] == "RF08"
    assert (
        swish.call("PUT", f"v2/refunds/{third}", body | {"originalPaymentReference": "0"})[2][0]["errorCode"] == "RF02"
    )
    assert swish.call("GET", f"v1/refunds/{first}")[2]["status"] == "PAID"
    assert swish.state()["net_ore"] == 4_000
    swish.order(refund_ms=100_000)
    assert swish.call("PUT", f"v2/refunds/{second}", body | {"amount": "1"})[0] == 201
    assert swish.call("GET", f"v1/refunds/{second}")[2]["status"] in ("VALIDATED", "DEBITED")


def test_pt2_what_nobody_knew_may_turn_out_paid(swish: SwishProcess) -> None:
    swish.order(fate="DS24")
    create(swish)
    assert see(swish)["errorCode"] == "DS24"
    swish.order(late_ms=0)
    assert see(swish)["status"] == "PAID"


@pytest.mark.parametrize("fault", ["lost", "dropped"])
def test_pt5_an_answer_gets_lost_when_ordered(swish: SwishProcess, fault: str) -> None:
    swish.order(fault=fault, on="create")
    with pytest.raises((http.client.HTTPException, OSError)):
        create(swish)
    assert see(swish) == 404 if fault == "dropped" else see(swish)["status"] == "PAID"


@pytest.mark.parametrize(
    ("fault", "field", "lie"),
    [
        ("wrong_id", "id", "F" * 32), ("wrong_amount", "amount", 0.01), ("wrong_currency", "currency", "EUR"),
        ("wrong_payee", "payeeAlias", "1239999999"),
    ],
)  # fmt: skip
def test_pt5_an_answer_lies_when_ordered(swish: SwishProcess, fault: str, field: str, lie: object) -> None:
    create(swish)
    swish.order(fault=fault, on="retrieve")
    assert see(swish)[field] == lie
    assert see(swish)["id"] == ID


def test_pt5_other_things_go_wrong_when_ordered(swish: SwishProcess) -> None:
    create(swish)
    swish.order(fault="status", code=429)
    assert see(swish) == 429
    swish.order(fault="html")
    with pytest.raises(json.JSONDecodeError):
        see(swish)
    swish.order(fault="delay", seconds=0.05)
    assert see(swish)["status"] == "PAID"
    for mode in ("away", "expired", "stranger"):
        swish.order(mode=mode)
        with pytest.raises((OSError, http.client.HTTPException)):
            see(swish)
    swish.order(mode="plain")
    line = http.client.HTTPConnection("127.0.0.1", swish.ready["port"], timeout=5)
    line.request("GET", "/swish-cpcapi/api/v1/refunds/1")
    assert line.getresponse().status == 404, "it answers without TLS"
    line.close()
    swish.order(mode="ok")
    assert see(swish)["status"] == "PAID"
    assert swish.control("POST", "/control", {"fault": "no such"})[0] == 400
    assert swish.control("POST", "/control", {"mode": "no such"})[0] == 400


def test_pt6_a_plain_code_is_a_payment_nobody_requested(swish: SwishProcess) -> None:
    create(swish, payeePaymentReference="S01K3E1S7T1")
    see(swish)
    swish.scan(f"C{swish.payee};123,50;S01.K3.1.0042;0")
    path = Path(swish.order(report=True)["report"])
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [(row["type"], row["amount_ore"], row["message"]) for row in rows] == [
        ("payment", "10000", "Kassa"), ("plain", "12350", "S01.K3.1.0042"),
    ]  # fmt: skip
    assert rows[0]["instruction"] == ID
    assert rows[1]["instruction"] == ""
    again = Path(swish.order(report=True)["report"])
    assert again != path
    assert list(csv.DictReader(again.read_text().splitlines())) == []


def test_pt6_the_customers_app_is_a_page_in_two_languages(swish: SwishProcess) -> None:
    swish.order(paid_ms=None)
    create(swish)
    assert "Väntar på kunden" in swish.page()
    assert "100,00 kr" in swish.page(query="?lang=en")
    assert "Pay" in swish.page(query="?lang=en")
    shown = swish.page(f"lang=en&id={ID}&status=DECLINED")
    assert "Nothing waits" in shown
    assert see(swish)["status"] == "DECLINED"
    assert "did not work" in swish.page("lang=en&qr=<script>")
    assert "<script>" not in swish.page("lang=en&qr=<script>")


def test_pt2_the_book_outlives_the_process(tmp_path: Path) -> None:
    running = SwishProcess(tmp_path, "--paid-ms", "0")
    try:
        create(running)
        paid = see(running)
        authority = running.paper("ca").read_bytes()
    finally:
        running.kill()
    running = SwishProcess(tmp_path, "--paid-ms", "0")
    try:
        assert see(running) == paid
        assert running.paper("ca").read_bytes() == authority
    finally:
        running.kill()
