"""The simulated terminal keeps the protocol's promises, and breaks them when told to (R12, R25)."""

from __future__ import annotations

import base64
import http.client
import json
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from oppet.simulators.nexo import CARDS, BadSealError, Key
from tests.simulators.nexo_till import PASSPHRASE, NexoTill, Running, payment, result

if TYPE_CHECKING:
    from collections.abc import Iterator

QUICK = {"after_ms": 1}
LOST = (OSError, http.client.HTTPException, ValueError)


class Stand:
    """A terminal and its acquirer."""

    def __init__(self, terminal: Running, acquirer: Running) -> None:
        self.terminal, self.acquirer = terminal, acquirer
        self.tills = 0

    def till(self) -> NexoTill:
        self.tills += 1
        return NexoTill(self.terminal, f"S01-K{self.tills}")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("terminal")
    acquirer = Running("acquirer", folder / "book", "--settlements", str(folder / "settlements"))
    url = f"http://127.0.0.1:{acquirer.ready['port']}"
    options = ("--passphrase", PASSPHRASE, "--acquirer", url, "--forward-s", "0.05", "--offline-count", "2")
    terminal = Running("terminal", folder / "memory", *options)
    yield Stand(terminal, acquirer)
    assert terminal.kill() + acquirer.kill() == ""


@pytest.fixture
def stand(both: Stand) -> Stand:
    limits = {"limit_s": 120.0, "host_wait_s": 5.0, "floor_ore": 150_000}
    both.terminal.tell(
        auto=QUICK, plan=[], fault="clear", plug=None, host="ok", limits=limits, login=False, certificate="own"
    )
    both.acquirer.tell(mode="ok", limit_ore=2_000_000)
    return both


def wait_for(terminal: Running, what: Any, seconds: float = 5.0) -> Any:
    """The state once it is so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        state = terminal.state()
        if what(state):
            return state
        time.sleep(0.01)
    raise AssertionError(terminal.state())


def additional(body: Any) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(body["Response"]["AdditionalResponse"]).items()}


# --- sealing


def test_the_published_vectors_are_what_the_terminal_derives() -> None:
    key = Key("p@ssw0rd123456", "k", 1)
    blob = "bCSdA/21eXKqHofUI2X2/BYxBp1gGkxpZMLgaqPoWEI1VKZGtoZ5kqylVKhAfqdh"
    mac = "bkw0wSq34TdKIJoFgyI2zEa3NKxdmlTtAFeQVaeO/0g="
    trailer = {"KeyIdentifier": "k", "KeyVersion": 1, "Nonce": "AAECAwQFBgcICQoLDA0ODw==", "Hmac": mac}
    assert key.open({"NexoBlob": blob, "SecurityTrailer": trailer}) == b'{"SaleToPOIRequest":{"MessageHeader":{}}}'


@pytest.mark.parametrize("broken", ["NexoBlob", "Nonce", "Hmac", "KeyVersion", "KeyIdentifier"])
def test_what_is_not_sealed_with_the_terminals_key_is_refused(broken: str) -> None:
    key = Key(PASSPHRASE, "k", 1)
    sealed = key.seal("top", {}, b"{}")["top"]
    part = sealed if broken == "NexoBlob" else sealed["SecurityTrailer"]
    part[broken] = 2 if broken == "KeyVersion" else base64.b64encode(bytes(16)).decode()
    with pytest.raises(BadSealError):
        key.open(sealed)


def test_a_message_under_another_key_or_in_clear_or_for_another_terminal_is_rejected(stand: Stand) -> None:
    till = stand.till()
    for broken in ("key", "clear", "poi", "header"):
        header = till.header("Payment", **({"POIID": "P400Plus-000000001"} if broken == "poi" else {}))
        clear = {"SaleToPOIRequest": {"MessageHeader": header, "PaymentRequest": payment(10)}}
        key = Key("another passphrase", "oppet-key", 1) if broken == "key" else till.key
        outer = header | {"SaleID": "other"} if broken == "header" else header
        said = clear if broken == "clear" else key.seal("SaleToPOIRequest", outer, json.dumps(clear).encode())
        answer = json.loads(till.post(json.dumps(said).encode())[1])["SaleToPOIRequest"]
        assert answer["EventNotification"]["EventToNotify"] == "Reject"
    assert till.outcome("0000000001") == "NotFound"


# --- payments


def test_a_payment_is_approved_and_says_what_a_till_may_keep(stand: Stand) -> None:
    paid = stand.till().pay(123.45)
    assert paid["Response"]["Result"] == "Success"
    assert paid["PaymentResult"]["AmountsResp"] == {"Currency": "SEK", "AuthorizedAmount": 123.45}
    assert paid["PaymentResult"]["OnlineFlag"]
    assert paid["SaleData"]["SaleTransactionID"]["TransactionID"] == "S01-K1-42"
    assert {one["DocumentQualifier"] for one in paid["PaymentReceipt"]} == {"CashierReceipt", "CustomerReceipt"}
    text = json.dumps(paid)
    assert all(card.number not in text for card in CARDS.values())


@pytest.mark.parametrize(
    ("gesture", "kronor", "outcome"),
    [
        ({"card": "declined"}, 50, "Refusal"),
        ({"card": "unknown"}, 50, "InvalidCard"),
        ({"card": "low"}, 250, "Partial"),
        ({"card": "visa", "pin": "wrong"}, 50, "WrongPIN"),
        ({"card": "visa", "wrong_pins": 2}, 50, "Success"),
        ({"card": "visa", "pin": "cancel"}, 50, "Cancel"),
        ({"card": "visa", "pull": "card"}, 50, "Cancel"),
        ({"card": "visa", "entry": "tap"}, 399, "Success"),
        ({"card": "signature"}, 50, "Success"),
        ({"card": "visa"}, 20_001, "Refusal"),
    ],
)
def test_each_card_and_each_hand_has_its_outcome(
    stand: Stand, gesture: dict[str, Any], kronor: int, outcome: str
) -> None:
    till = stand.till()
    stand.terminal.tell(plan=[gesture | QUICK])
    paid = till.pay(kronor, "0000000001")
    assert result(paid) == outcome == till.outcome("0000000001")
    if outcome == "Partial":
        assert paid["PaymentResult"]["AmountsResp"]["AuthorizedAmount"] == 100
    if gesture["card"] == "signature":
        assert paid["PaymentReceipt"][0]["RequiredSignatureFlag"]


@pytest.mark.parametrize(
    "change",
    [
        {"AmountsReq": {"Currency": "SEK", "RequestedAmount": 0}},
        {"AmountsReq": {"Currency": "SEK", "RequestedAmount": -1}},
        {"AmountsReq": {"Currency": "SEK", "RequestedAmount": 1.005}},
        {"AmountsReq": {"Currency": "SEK", "RequestedAmount": "10"}},
        {"AmountsReq": {"RequestedAmount": 10}},
        {"AmountsReq": 10},
    ],
)
def test_a_message_that_is_wrongly_made_moves_no_money(stand: Stand, change: dict[str, Any]) -> None:
    till, before = stand.till(), stand.acquirer.state()["count"]
    assert result(till.ask(till.header("Payment"), payment(10) | {"PaymentTransaction": change})) == "MessageFormat"
    assert stand.acquirer.state()["count"] == before


def test_r12_a_service_id_is_used_once(stand: Stand) -> None:
    till = stand.till()
    assert result(till.pay(10, "0000000001")) == "Success"
    before = stand.acquirer.state()["net_ore"]
    assert result(till.pay(10, "0000000001")) == "NotAllowed"
    assert stand.acquirer.state()["net_ore"] == before
    assert "came twice" in stand.terminal.state()["violations"][-1]


def test_r25_a_second_payment_meanwhile_is_refused_and_the_first_goes_on(stand: Stand) -> None:
    till = stand.till()
    stand.terminal.tell(auto=None)
    answers: list[Any] = []
    paying = threading.Thread(target=lambda: answers.append(till.pay(10, "0000000001")))
    paying.start()
    wait_for(stand.terminal, lambda state: state["screen"]["show"] == "present_card")
    busy = till.pay(20, "0000000002")
    assert result(busy) == "Busy"
    assert additional(busy)["serviceId"] == "0000000001"
    assert till.outcome("0000000001") == "InProgress"
    stand.terminal.tell(do="tap", card="visa")
    paying.join(10)
    assert result(answers[0]) == "Success"
    assert till.outcome("0000000002") == "NotFound"


def test_an_abort_stops_a_payment_that_waits_for_a_card_and_loses_against_the_bank(stand: Stand) -> None:
    till = stand.till()
    for number, act, outcome in (("0000000011", None, "Aborted"), ("0000000012", "tap", "Success")):
        stand.terminal.tell(auto=None)
        stand.acquirer.tell(mode="slow", seconds=0.3)
        answers: list[Any] = []
        paying = threading.Thread(target=lambda: answers.append(till.pay(10, number)))  # noqa: B023 - joined below
        paying.start()
        wait_for(stand.terminal, lambda state: state["screen"]["show"] == "present_card")
        if act:
            stand.terminal.tell(do=act, card="visa")
            wait_for(stand.terminal, lambda state: (state["dialogue"] or {}).get("at_host"))
        reference = {"MessageCategory": "Payment", "SaleID": till.sale_id, "ServiceID": number}
        assert till.send(till.header("Abort"), {"AbortReason": "MerchantAbort", "MessageReference": reference}) == b""
        paying.join(10)
        assert result(answers[0]) == outcome == till.outcome(number)


def test_nobody_presents_a_card_and_the_terminal_gives_up(stand: Stand) -> None:
    stand.terminal.tell(auto={"entry": "nothing"}, limits={"limit_s": 0.1})
    paid = stand.till().pay(10)
    assert result(paid) == "Cancel"
    assert additional(paid)["message"].startswith("126")


def test_a_reversal_gives_the_money_back_once(stand: Stand) -> None:
    till, before = stand.till(), stand.acquirer.state()["net_ore"]
    paid = till.pay(10)
    assert stand.acquirer.state()["net_ore"] == before + 1000
    back = till.reverse(paid, "0000000091")
    assert (result(back), back["ReversedAmount"]) == ("Success", 10)
    assert till.outcome("0000000091", "Reversal") == "Success"
    assert result(till.reverse(paid)) == "Success"  # the same again: no more money moves
    assert stand.acquirer.state()["net_ore"] == before
    paid["POIData"]["POITransactionID"]["TransactionID"] = "T0.NEVER"
    assert result(till.reverse(paid)) == "NotFound"


def test_a_refund_pays_the_card_that_is_presented(stand: Stand) -> None:
    before = stand.acquirer.state()["net_ore"]
    refunded = stand.till().pay(25, refund=True)
    assert (result(refunded), refunded["PaymentResult"]["PaymentType"]) == ("Success", "Refund")
    assert stand.acquirer.state()["net_ore"] == before - 2500


# --- offline


def test_with_no_line_a_chip_and_its_pin_are_enough_within_the_limits(stand: Stand) -> None:
    till, before = stand.till(), stand.acquirer.state()["net_ore"]
    stand.acquirer.tell(mode="ok")
    stand.terminal.tell(host="cut", plan=[{"entry": entry, "card": card, **QUICK} for entry, card in (
        ("tap", "visa"), ("insert", "maestro"), ("insert", "visa"), ("insert", "visa"), ("insert", "visa"), ("insert", "mastercard"),
        ("insert", "visa"),
    )])  # fmt: skip
    assert result(till.pay(10)) == "UnreachableHost"  # a tapped card
    assert result(till.pay(10)) == "UnreachableHost"  # one that must go online
    assert result(till.pay(10, online=True)) == "UnreachableHost"  # the till wants it online
    assert result(till.pay(1500.01)) == "UnreachableHost"  # more than the floor limit
    first, second, third = till.pay(1500), till.pay(20), till.pay(10)
    assert [result(one) for one in (first, second, third)] == [
        "Success",
        "Success",
        "UnreachableHost",
    ]  # two are stored
    assert additional(second) | {"offline": "true", "unconfirmedBatchCount": "2"} == additional(second)
    assert not second["PaymentResult"]["OnlineFlag"]
    assert result(till.reverse(second)) == "Success"  # it never leaves the terminal
    stand.terminal.tell(host="ok")
    wait_for(stand.terminal, lambda state: not state["stored"])
    assert stand.acquirer.state()["net_ore"] == before + 150_000
    assert result(till.reverse(first)) == "Success"
    assert stand.acquirer.state()["net_ore"] == before


def test_a_host_that_falls_silent_is_told_to_forget_what_it_may_have_approved(stand: Stand) -> None:
    till, before = stand.till(), stand.acquirer.state()["net_ore"]
    stand.acquirer.tell(mode="slow", seconds=0.3)
    stand.terminal.tell(limits={"host_wait_s": 0.1})
    assert result(till.pay(10)) == "UnreachableHost"
    stand.acquirer.tell(mode="ok")
    wait_for(stand.terminal, lambda state: not state["undo"])
    assert stand.acquirer.state()["net_ore"] == before


def test_diagnosis_says_whether_the_host_is_reached(stand: Stand) -> None:
    till = stand.till()
    for host, reached in (("ok", True), ("cut", False)):
        stand.terminal.tell(host=host)
        said = till.ask(till.header("Diagnosis"), {"HostDiagnosisFlag": True})
        assert said["HostStatus"] == [{"AcquirerID": "SIMULATED", "IsReachableFlag": reached}]
        assert said["POIStatus"]["GlobalStatus"] == "OK"
    assert till.ask(till.header("Diagnosis"), {})["HostStatus"] == []


def test_a_terminal_that_wants_a_login_refuses_until_there_is_one(stand: Stand) -> None:
    till = stand.till()
    stand.terminal.tell(login=True)
    assert result(till.pay(10)) == "LoggedOut"
    assert result(till.ask(till.header("Login"), {})) == "Success"
    assert result(till.pay(10)) == "Success"
    assert result(till.ask(till.header("Logout"), {})) == "Success"
    assert result(till.pay(10)) == "LoggedOut"


# --- the plug


@pytest.mark.parametrize(
    ("at", "forget", "outcome", "charged"),
    [
        ("request", "", "NotFound", 0),
        ("card", "", "Aborted", 0),
        ("pin", "", "Aborted", 0),
        ("host", "", "Aborted", 0),
        ("approved", "", "Aborted", 0),  # the terminal takes it back itself
        ("remembered", "", "Success", 1000),
        ("answer", "", "Success", 1000),
        ("answer", "transactions", "NotFound", 1000),  # the dangerous one: it has forgotten, and the card was charged
    ],
)
def test_r12_the_plug_is_pulled_and_the_status_afterwards_is_the_truth(
    stand: Stand, at: str, forget: str, outcome: str, charged: int
) -> None:
    till, before = stand.till(), stand.acquirer.state()["net_ore"]
    stand.terminal.tell(plug={"at": at, "on": "Payment", "back_s": 0.05, "forget": forget})
    with pytest.raises(LOST):
        till.pay(10, "0000000001")
    wait_for(stand.terminal, lambda state: state["power"] == "on" and not state["plug"] and not state["undo"])
    assert till.outcome("0000000001") == outcome
    assert stand.acquirer.state()["net_ore"] == before + charged


def test_a_terminal_without_power_is_not_there(stand: Stand) -> None:
    till = stand.till()
    stand.terminal.tell(power="off")
    with pytest.raises(ConnectionRefusedError):
        till.pay(10)
    stand.terminal.tell(power="on")
    assert result(till.pay(10)) == "Success"


# --- faults


@pytest.mark.parametrize(
    "fault",
    [
        "drop_request", "drop", "truncate", "wrong_reference", "wrong_sale", "wrong_terminal", "wrong_mac", "wrong_key", "wrong_header",
        "unencrypted", "html", "garbage", "empty", "status_500",
    ],
)  # fmt: skip
def test_r12_an_answer_that_proves_nothing_leaves_the_truth_to_the_status(stand: Stand, fault: str) -> None:
    till = stand.till()
    stand.terminal.tell(fault=fault, on="Payment")
    with pytest.raises((*LOST, KeyError, BadSealError, AssertionError)):
        till.pay(10, "0000000001")
    assert till.outcome("0000000001") == ("NotFound" if fault == "drop_request" else "Success")


def test_lies_that_are_sealed_as_they_should_be_come_when_ordered(stand: Stand) -> None:
    till = stand.till()
    paid = {}
    for fault in ("wrong_amount", "wrong_currency", "wrong_transaction", "pan", "duplicate", "delay"):
        stand.terminal.tell(fault=fault, on="Payment", seconds=0.05)
        paid[fault] = till.pay(10)
    assert paid["wrong_amount"]["PaymentResult"]["AmountsResp"]["AuthorizedAmount"] == 11
    assert paid["wrong_currency"]["PaymentResult"]["AmountsResp"]["Currency"] == "EUR"
    assert paid["wrong_transaction"]["SaleData"]["SaleTransactionID"]["TransactionID"] != "S01-K1-42"
    assert CARDS["visa"].number in json.dumps(paid["pan"])
    assert result(paid["duplicate"]) == result(paid["delay"]) == "Success"


def test_a_flood_and_a_silence_come_when_ordered(stand: Stand) -> None:
    till = stand.till()
    stand.terminal.tell(fault="huge", on="Diagnosis", bytes=1_000_000)
    assert len(till.send(till.header("Diagnosis"), {})) > 1_000_000
    stand.terminal.tell(fault="silent", on="Diagnosis")
    with pytest.raises(TimeoutError):
        till.send(till.header("Diagnosis"), {}, wait_s=0.2)


def test_another_terminals_certificate_is_shown_when_ordered(stand: Stand) -> None:
    till = stand.till()
    stand.terminal.tell(certificate="other")
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        till.pay(10)


# --- the control


@pytest.mark.parametrize(
    "wish",
    [
        {"fault": "kindness"},
        {"plug": {"at": "lunch"}},
        {"auto": {"card": "library"}},
        {"do": "dance"},
        {"nothing": 1},
        {"host": "?"},
    ],
)
def test_an_order_it_does_not_know_is_refused(stand: Stand, wish: dict[str, Any]) -> None:
    assert stand.terminal.ask("POST", "/control", wish)[0] == 400


def test_the_page_and_its_words_are_there_in_both_languages(stand: Stand) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", stand.terminal.ready["control_port"], timeout=10)
    connection.request("GET", "/")
    page = connection.getresponse().read().decode()
    connection.close()
    assert "Sätt in kortet" in page
    assert "Insert card" in page


def test_help_says_what_it_can_do(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from oppet.simulators import terminal  # noqa: PLC0415 - its command line is the subject

    monkeypatch.setattr("sys.argv", ["terminal", "--help"])
    with pytest.raises(SystemExit):
        terminal.main()
    said = capsys.readouterr().out
    assert all(fault in said for fault in terminal.FAULTS)
