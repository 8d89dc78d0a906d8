"""What is said to a card terminal, and that only the right answer counts."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oppet.journal.kinds import Evidence
from oppet.payments import nexo
from oppet.payments.nexo import Ends, NotOurAnswerError, Reading, open_answer
from oppet.payments.paths import Work

ENDS = Ends("K3", "P400Plus-275102806")
ASKED = 1_795_338_000_000
PAY = Work("payment", 1, 2, "A1K3000001", 1_690, ASKED)
BACK = msgspec.structs.replace(PAY, what="refund", back=True)
ASK = Work("status", 1, 2, "A1K3000002", 1_690, ASKED, about=PAY.request)
TAKE_BACK = Work(
    "reversal", 1, 2, "A1K3000003", 1_690, ASKED, about=PAY.request,
    original=Evidence("T1.P1", "2026-11-22T10:00:00+00:00"),
)  # fmt: skip


def said(message: bytes) -> dict[str, Any]:
    whole: dict[str, Any] = msgspec.json.Decoder(float_hook=Decimal).decode(message)
    return whole["SaleToPOIRequest"]  # type: ignore[no-any-return]


def answer(service: str, category: str, body: dict[str, Any], **header: object) -> bytes:
    head = {
        "ProtocolVersion": "3.0", "MessageClass": "Service", "MessageCategory": category, "MessageType": "Response",
        "ServiceID": service, "SaleID": ENDS.sale, "POIID": ENDS.poi,
    } | header  # fmt: skip
    whole = {"SaleToPOIResponse": {"MessageHeader": head, f"{category}Response": body}}
    return msgspec.json.Encoder(decimal_format="number").encode(whole)


def approval(amount: str = "16.90", result: str = "Success", **more: Any) -> dict[str, Any]:
    return {
        "Response": {"Result": result, "AdditionalResponse": more.pop("additional", "tid=1&authCode=123456")},
        "SaleData": {"SaleTransactionID": {"TransactionID": "K3-A1K3000001", "TimeStamp": "2026-11-22T09:00:00.000Z"}},
        "POIData": {"POITransactionID": {"TransactionID": "T1.P1", "TimeStamp": "2026-11-22T10:00:00+00:00"}},
        "PaymentResult": {
            "OnlineFlag": True,
            "PaymentType": "Normal",
            "AmountsResp": {"AuthorizedAmount": Decimal(amount), "Currency": "SEK"},
            "AuthenticationMethod": ["OnlinePIN"],
            "PaymentAcquirerData": {"ApprovalCode": "123456", "AcquirerTransactionID": {"TransactionID": "8515"}},
            "PaymentInstrumentData": {
                "CardData": {"EntryMode": ["ICC"], "PaymentBrand": "mc", "MaskedPan": "541333 **** 0010"}
            },
        }
        | more,
    }


def failure(condition: str, **more: Any) -> dict[str, Any]:
    return {"Response": {"Result": "Failure", "ErrorCondition": condition}} | more


def paid(body: dict[str, Any], work: Work = PAY, *, card_seen: bool = False) -> Reading:
    return nexo.read_payment(
        open_answer(answer(work.request, "Payment", body), ENDS, work.request, "Payment"),
        ENDS,
        work,
        card_seen=card_seen,
    )


def found(
    inner: dict[str, Any] | None, *, host_up: bool = True, outer: dict[str, Any] | None = None, **header: Any
) -> Reading:
    body: dict[str, Any] = outer or {"Response": {"Result": "Success"}}
    if inner is not None:
        head = {
            "MessageCategory": "Payment", "ServiceID": PAY.request, "SaleID": ENDS.sale, "POIID": ENDS.poi,
        } | header  # fmt: skip
        body["RepeatedMessageResponse"] = {
            "MessageHeader": head, "RepeatedResponseMessageBody": {"PaymentResponse": inner},
        }  # fmt: skip
    opened = open_answer(answer(ASK.request, "TransactionStatus", body), ENDS, ASK.request, "TransactionStatus")
    return nexo.read_status(opened, ENDS, ASK, host_up=host_up, card_seen=False)


# --- requests


def test_pt1_a_payment_says_kronor_as_a_decimal_number_and_must_be_online() -> None:
    message = nexo.payment(ENDS, PAY)
    assert b'"RequestedAmount":16.90' in message
    body = said(message)["PaymentRequest"]
    assert body["PaymentTransaction"]["AmountsReq"]["Currency"] == "SEK"
    assert body["PaymentTransaction"]["TransactionConditions"] == {"ForceOnlineFlag": True}
    assert body["PaymentData"] == {"PaymentType": "Normal"}
    assert said(message)["MessageHeader"]["ServiceID"] == PAY.request
    assert body["SaleData"]["SaleTransactionID"]["TimeStamp"].startswith("2026-11-22T")


def test_pt6_an_offline_payment_wants_the_chip() -> None:
    body = said(nexo.payment(ENDS, msgspec.structs.replace(PAY, offline=True)))["PaymentRequest"]
    assert body["PaymentTransaction"]["TransactionConditions"] == {"ForceEntryMode": [["ICC"]]}


def test_pt1_a_refund_is_a_payment_the_other_way() -> None:
    assert said(nexo.payment(ENDS, BACK))["PaymentRequest"]["PaymentData"] == {"PaymentType": "Refund"}


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 100_000_000))
def test_m1_every_amount_is_written_to_the_ore(ore: int) -> None:
    body = said(nexo.payment(ENDS, msgspec.structs.replace(PAY, amount_ore=ore)))["PaymentRequest"]
    assert body["PaymentTransaction"]["AmountsReq"]["RequestedAmount"] * 100 == ore


def test_pt2_a_status_query_an_abort_and_a_reversal_name_what_they_are_about() -> None:
    reference = said(nexo.status(ENDS, ASK.request, ASK.about))["TransactionStatusRequest"]["MessageReference"]
    assert reference == {"MessageCategory": "Payment", "SaleID": "K3", "ServiceID": PAY.request, "POIID": ENDS.poi}
    of_reversal = nexo.status(ENDS, ASK.request, ASK.about, reverses=True)
    assert said(of_reversal)["TransactionStatusRequest"]["MessageReference"]["MessageCategory"] == "Reversal"
    stop = said(nexo.abort(ENDS, msgspec.structs.replace(ASK, what="abort")))["AbortRequest"]
    assert stop["MessageReference"] == reference
    back = said(nexo.reversal(ENDS, TAKE_BACK))["ReversalRequest"]
    assert back["OriginalPOITransaction"]["POITransactionID"] == {
        "TransactionID": "T1.P1", "TimeStamp": "2026-11-22T10:00:00+00:00",
    }  # fmt: skip
    assert back["ReversalReason"] == "Malfunction"
    assert "ReversedAmount" not in back, "all of it"
    counted = msgspec.structs.replace(TAKE_BACK, counted=True)
    assert said(nexo.reversal(ENDS, counted))["ReversalRequest"]["ReversalReason"] == "MerchantCancel"


# --- names


@settings(max_examples=80, deadline=None)
@given(
    st.tuples(st.integers(0, 40_000), st.integers(0, 1_000_000)),
    st.tuples(st.integers(0, 40_000), st.integers(0, 1_000_000)),
    st.integers(0, 4 * 10**12),
)
def test_pt1_no_two_exchanges_of_a_till_have_one_name(one: tuple[int, int], other: tuple[int, int], now: int) -> None:
    names = nexo.service_of("K3", *one), nexo.service_of("K3", *other)
    assert (names[0] == names[1]) == (one == other)
    assert all(len(name) == 10 and name.isalnum() for name in names)
    assert nexo.own_service(now) not in names
    assert len(nexo.own_service(now)) == 10


def test_pt1_the_largest_epoch_has_names_too() -> None:
    assert len({nexo.service_of("K3", 999_999_999, number) for number in range(36)}) == 36
    assert nexo.service_of("K3", 1, 5) != nexo.service_of("K4", 1, 5)


# --- payments


def test_pt5_an_approval_carries_its_amount_and_its_evidence() -> None:
    assert paid(approval()) == Reading(
        "approved", 1_690, "",
        Evidence("T1.P1", "2026-11-22T10:00:00+00:00", "123456", "8515", "mc", "0010", "chip_pin"),
    )  # fmt: skip
    assert paid(approval(PaymentType="Refund"), BACK).outcome == "approved"


NOT_COUNTED = {
    "another currency": approval(AmountsResp={"AuthorizedAmount": Decimal("16.90"), "Currency": "EUR"}),
    "no currency": approval(AmountsResp={"AuthorizedAmount": Decimal("16.90")}),
    "no amount": approval(AmountsResp={"Currency": "SEK"}),
    "an amount in words": approval(AmountsResp={"AuthorizedAmount": "16.90", "Currency": "SEK"}),
    "yes for an amount": approval(AmountsResp={"AuthorizedAmount": True, "Currency": "SEK"}),
    "parts of an öre": approval("16.901"),
    "nothing": approval("0"),
    "less than nothing": approval("-16.90"),
    "as much as there is": approval("1E+400"),
    "many digits": approval("16.9000000000000000000000001"),
    "less, and called all": approval("10"),
    "all, and called a part": approval("16.90", "Partial"),
    "a refund": approval(PaymentType="Refund"),
    "no result": {"Response": {}},
    "an empty body": {},
    "another word": approval(result="Approved"),
    "failure without a reason": {"Response": {"Result": "Failure"}},
    "a reason that nobody knows": failure("Mood"),
    "still at work": failure("InProgress"),
    "another sale": approval() | {"SaleData": {"SaleTransactionID": {"TransactionID": "K3-other"}}},
    "lists for objects": {"Response": [], "PaymentResult": 5},
}


@pytest.mark.parametrize("body", NOT_COUNTED.values(), ids=NOT_COUNTED.keys())
def test_pt5_an_answer_that_does_not_fit_is_silence(body: dict[str, Any]) -> None:
    reading = paid(body)
    assert (reading.outcome, reading.amount_ore, reading.evidence) == ("silent", 0, None)


def test_pt4_an_amount_that_does_not_fit_is_asked_about_and_then_passed_on_so_that_it_is_given_back() -> None:
    assert paid(approval("1690")).outcome == "silent"
    assert found(approval("1690")) == msgspec.structs.replace(paid(approval()), amount_ore=169_000)
    assert found(approval("10")).outcome == "partial"
    assert found(approval("0")).outcome == "silent"


def test_pt2_a_terminal_that_still_shows_an_old_payment_has_forgotten_nothing() -> None:
    head = {"MessageCategory": "Payment", "ServiceID": "A1OLD", "SaleID": ENDS.sale, "POIID": ENDS.poi}
    remembered = {"Response": {"Result": "Success"}, "RepeatedMessageResponse": {"MessageHeader": head}}
    for body, knows in ((remembered, True), (failure("NotFound"), False), ({"Response": {"Result": "Success"}}, False)):
        opened = open_answer(answer("Z1", "TransactionStatus", body), ENDS, "Z1", "TransactionStatus")
        assert nexo.knows(opened, ENDS, "A1OLD") is knows
        assert not nexo.knows(opened, ENDS, "A1NEW")


def test_pt1_a_part_is_a_part() -> None:
    reading = paid(approval("10", "Partial"))
    assert (reading.outcome, reading.amount_ore) == ("partial", 1_000)


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        ("Refusal", "declined"), ("InvalidCard", "declined"), ("WrongPIN", "declined"), ("PaymentRestriction", "declined"),
        ("InsertedCard", "declined"), ("NotAllowed", "declined"), ("Cancel", "declined"), ("Aborted", "declined"),
        ("Busy", "not_now"), ("LoggedOut", "not_now"), ("MessageFormat", "not_now"), ("UnreachableHost", "declined"),
        ("UnavailableService", "declined"), ("DeviceOut", "declined"), ("UnavailableDevice", "declined"),
        ("InProgress", "silent"), ("NotFound", "silent"),
    ],
)  # fmt: skip
def test_pt5_every_condition_of_the_protocol_has_its_outcome(condition: str, outcome: str) -> None:
    reading = paid(failure(condition))
    assert (reading.outcome, reading.why) == (outcome, condition)


def test_pt2_a_line_that_went_after_the_card_was_in_leaves_nobody_knowing() -> None:
    card = {"PaymentResult": {"PaymentInstrumentData": {"CardData": {"EntryMode": ["ICC"]}}}}
    assert paid(failure("UnreachableHost", **card)).outcome == "silent"
    assert paid(failure("UnreachableHost"), card_seen=True).outcome == "silent"
    assert paid(failure("Refusal", **card)).outcome == "declined"
    assert found(failure("UnreachableHost", **card), host_up=False).outcome == "in_progress"
    assert found(failure("UnreachableHost", **card), host_up=True).outcome == "declined"


@pytest.mark.parametrize(
    ("more", "offline", "waiting"),
    [
        ({"additional": "offline=true&offlineAuthCode=Offline+approved&unconfirmedBatchCount=3"}, True, 3),
        ({"OnlineFlag": False}, True, 0),
        ({"additional": base64.b64encode(b'{"additionalData":{"offline":"true","unconfirmedBatchCount":"2"}}').decode()}, True, 2),
        ({"additional": "unconfirmedBatchCount=many"}, False, 0),
        ({"additional": "%%%"}, False, 0),
    ],
)  # fmt: skip
def test_pt6_what_the_terminal_approved_alone_is_at_risk(more: dict[str, Any], offline: bool, waiting: int) -> None:
    reading = paid(approval(**more))
    assert reading.outcome == ("accepted_at_risk" if offline else "approved")
    assert reading.evidence is not None
    assert (reading.evidence.offline, reading.evidence.waiting) == (offline, waiting)


@pytest.mark.parametrize(
    ("entry", "proof", "how"),
    [
        (["ICC"], ["OfflinePIN"], "chip_pin"), (["ICC"], [], "chip"), (["Contactless"], None, "tap"), (["Tapped"], [], "tap"),
        (["MagStripe"], [], "swipe"), ([5], [], ""), (None, None, ""),
    ],
)  # fmt: skip
def test_pt1_how_the_card_was_held_out_is_kept(entry: object, proof: object, how: str) -> None:
    instrument = {"CardData": {"EntryMode": entry}}
    evidence = paid(approval(PaymentInstrumentData=instrument, AuthenticationMethod=proof)).evidence
    assert evidence is not None
    assert evidence.how == how


# --- whose answer


@pytest.mark.parametrize(
    "header",
    [
        {"ServiceID": "A1K3000009"}, {"SaleID": "K4"}, {"POIID": "P400Plus-999999999"}, {"MessageCategory": "Reversal"},
        {"MessageType": "Request"}, {"MessageClass": "Event"}, {"ServiceID": None},
    ],
)  # fmt: skip
def test_pt5_an_answer_to_another_request_till_or_terminal_is_none(header: dict[str, Any]) -> None:
    message = answer(PAY.request, "Payment", approval(), **header)
    with pytest.raises(NotOurAnswerError):
        open_answer(message, ENDS, PAY.request, "Payment")


@pytest.mark.parametrize(
    "message", [b"", b"<html>", b"[" * 9_000, b'{"SaleToPOIResponse":7}', b'{"a":1e999999999999}', b"{}"]
)
def test_pt5_what_is_no_message_is_no_answer(message: bytes) -> None:
    with pytest.raises(NotOurAnswerError):
        open_answer(message, ENDS, PAY.request, "Payment")


def test_pt5_an_answer_without_its_body_is_none() -> None:
    message = answer(PAY.request, "Payment", approval()).replace(b"PaymentResponse", b"PaymentAnswers")
    with pytest.raises(NotOurAnswerError):
        open_answer(message, ENDS, PAY.request, "Payment")


# --- status


def test_pt2_found_only_means_found_and_the_inner_answer_decides() -> None:
    assert found(approval()).outcome == "approved"
    assert found(failure("Refusal")).outcome == "declined"
    assert found(failure("Busy")).outcome == "declined"
    assert found(None).outcome == "silent"
    assert found({}).outcome == "silent"


@pytest.mark.parametrize(
    ("outer", "outcome"),
    [("InProgress", "in_progress"), ("Busy", "in_progress"), ("NotFound", "not_found"), ("LoggedOut", "silent")],
)
def test_pt2_what_a_terminal_says_of_a_request_it_cannot_show(outer: str, outcome: str) -> None:
    assert found(None, outer=failure(outer)).outcome == outcome


@pytest.mark.parametrize(
    "header", [{"ServiceID": "A1K3000009"}, {"SaleID": "K4"}, {"POIID": "other"}, {"MessageCategory": "Reversal"}]
)
def test_pt5_a_repeated_answer_to_another_request_is_silence(header: dict[str, Any]) -> None:
    assert found(approval(), **header).outcome == "silent"
    assert (
        found(approval(), outer={"Response": {"Result": "Success"}, "MessageReference": {"ServiceID": "x"}}).outcome
        == "silent"
    )


# --- reversals


def reversed_(body: dict[str, Any]) -> Reading:
    opened = open_answer(answer(TAKE_BACK.request, "Reversal", body), ENDS, TAKE_BACK.request, "Reversal")
    return nexo.read_reversal(opened, TAKE_BACK)


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"Response": {"Result": "Success"}}, "reversed"),
        ({"Response": {"Result": "Success"}, "ReversedAmount": Decimal("16.90")}, "reversed"),
        ({"Response": {"Result": "Success"}, "ReversedAmount": Decimal("6.90")}, "silent"),
        (failure("NotAllowed"), "declined"),
        (failure("NotFound"), "declined"),
        (failure("Busy"), "not_now"),
        (failure("UnreachableHost"), "silent"),
        ({}, "silent"),
    ],
)
def test_pt4_a_reversal_is_done_refused_put_off_or_unknown(body: dict[str, Any], outcome: str) -> None:
    assert reversed_(body).outcome == outcome


@pytest.mark.parametrize(
    ("inner", "host_up", "outcome"),
    [
        ({"Response": {"Result": "Success"}}, True, "reversed"),
        ({"Response": {"Result": "Success"}, "ReversedAmount": Decimal("6.90")}, True, "declined"),
        (failure("NotAllowed"), True, "declined"),
        (failure("Busy"), True, "not_found"),
        (failure("UnreachableHost"), True, "not_found"),
        (failure("UnreachableHost"), False, "in_progress"),
    ],
)
def test_pt4_what_a_terminal_remembers_of_a_reversal(inner: dict[str, Any], host_up: bool, outcome: str) -> None:
    work = msgspec.structs.replace(ASK, about=TAKE_BACK.request, reverses=True)
    head = {"MessageCategory": "Reversal", "ServiceID": work.about, "SaleID": ENDS.sale, "POIID": ENDS.poi}
    repeated = {"MessageHeader": head, "RepeatedResponseMessageBody": {"ReversalResponse": inner}}
    body = {"Response": {"Result": "Success"}, "RepeatedMessageResponse": repeated}
    opened = open_answer(answer(work.request, "TransactionStatus", body), ENDS, work.request, "TransactionStatus")
    assert nexo.read_status(opened, ENDS, work, host_up=host_up, card_seen=False).outcome == outcome


# --- what must not be seen

PAN = "5413330089000013"


@pytest.mark.parametrize(
    ("place", "what"),
    [
        ({"PaymentInstrumentData": {"CardData": {"MaskedPan": PAN, "EntryMode": ["ICC"]}}}, "number"),
        ({"PaymentInstrumentData": {"CardData": {"SensitiveCardData": {"PAN": PAN}}}}, "PAN"),
        ({"PaymentInstrumentData": {"CardData": {"SensitiveCardData": {"TrackData": [{"TrackValue": PAN}]}}}}, "TrackData"),
        ({"CardholderPIN": {"EncrPINBlock": "0011"}}, "CardholderPIN"),
        ({"PaymentAcquirerData": {"ApprovalCode": PAN}}, "number"),
        ({"Somewhere": [{"deep": int(PAN)}]}, "number"),
        ({"Somewhere": "card%3D5413+3300+8900+0013"}, "number"),
    ],
)  # fmt: skip
def test_pt7_a_card_number_is_taken_out_the_outcome_is_kept_and_the_alarm_goes(
    place: dict[str, Any], what: str
) -> None:
    opened = open_answer(answer(PAY.request, "Payment", approval(**place)), ENDS, PAY.request, "Payment")
    assert what in opened.found
    reading = nexo.read_payment(opened, ENDS, PAY, card_seen=False)
    assert (reading.outcome, reading.amount_ore) == ("approved", 1_690)
    assert PAN not in repr(reading)
    assert PAN not in repr(opened)
    assert PAN not in str(msgspec.json.encode(reading))


def test_pt7_an_expiry_date_goes_without_a_sound() -> None:
    card = {
        "CardData": {"MaskedPan": "541333 **** 0010", "SensitiveCardData": {"ExpiryDate": "0230", "CardSeqNumb": "00"}}
    }
    message = answer(PAY.request, "Payment", approval(PaymentInstrumentData=card))
    opened = open_answer(message, ENDS, PAY.request, "Payment")
    assert opened.found == ()
    assert "0230" not in repr(opened)


# --- receipts and progress


def test_pt1_the_terminals_receipts_are_read_known_lines_or_not() -> None:
    texts = [
        {"Text": "name=TOTAL&value=%e2%82%ac%c2%a010.99&key=totalAmount"}, {"Text": "key=filler"}, {"Text": "as it is"},
        {"Text": "name=CARD&value=5413330089000013"}, {"Text": "name=A%0AB&value=%zz%"}, {"Text": 5},
    ]  # fmt: skip
    receipt = {
        "DocumentQualifier": "CashierReceipt", "RequiredSignatureFlag": True, "OutputContent": {"OutputText": texts},
    }  # fmt: skip
    [slip] = paid(approval() | {"PaymentReceipt": [receipt]}).slips
    assert (slip.whose, slip.signature) == ("CashierReceipt", True)
    assert slip.lines == (("TOTAL", "€ 10.99"), ("as it is", ""), ("CARD", "**** 0013"), ("A B", "%zz%"))


def test_pt1_receipts_are_bounded() -> None:
    texts = [{"Text": f"name={'x' * 250}"}] * 130
    slips = paid(approval() | {"PaymentReceipt": [{"OutputContent": {"OutputText": texts}}] * 500}).slips
    assert (len(slips), len(slips[0].lines)) == (nexo.MOST_SLIPS, nexo.MOST_LINES)
    assert all(len(left) <= nexo.LONGEST_LINE for left, _ in slips[0].lines)


def notice(event: str, **header: str) -> bytes:
    head = {"MessageCategory": "Display", "SaleID": ENDS.sale, "POIID": ENDS.poi, "DeviceID": "1"} | header
    reference = f"TransactionID=oLkO.1&TimeStamp=2026-11-22T10%3A00%3A00&event={event}"
    output = {"OutputContent": {"PredefinedContent": {"ReferenceID": reference}}}
    return msgspec.json.encode(
        {"SaleToPOIRequest": {"MessageHeader": head, "DisplayRequest": {"DisplayOutput": [output]}}}
    )


@pytest.mark.parametrize(
    ("event", "stage", "card"),
    [
        ("TENDER_CREATED", "present_card", False), ("CARD_INSERTED", "waiting", True), ("WAIT_FOR_PIN", "pin", True),
        ("PIN_ENTERED", "online", True), ("TENDER_FINAL", "waiting", True),
    ],
)  # fmt: skip
def test_pt1_a_display_notification_is_progress(event: str, stage: str, card: bool) -> None:
    assert nexo.open_notice(notice(event), ENDS) == nexo.Notice(event, stage, card)


def test_pt5_another_terminals_notification_is_refused() -> None:
    assert nexo.open_notice(notice("LOAD_STARTED"), ENDS) is None
    assert nexo.open_notice(notice("TENDER_CREATED", SaleID="null"), ENDS) is not None
    for header in ({"POIID": "other"}, {"SaleID": "K4"}):
        with pytest.raises(NotOurAnswerError):
            nexo.open_notice(notice("TENDER_CREATED", **header), ENDS)


@pytest.mark.parametrize(
    ("body", "ok", "host", "busy"),
    [
        ({"HostStatus": [{"IsReachableFlag": True}], "POIStatus": {"GlobalStatus": "OK"}}, True, True, False),
        ({"HostStatus": [{"IsReachableFlag": False}], "POIStatus": {"GlobalStatus": "OK"}}, True, False, False),
        ({"POIStatus": {"GlobalStatus": "Busy"}}, True, True, True),
        ({"POIStatus": {"GlobalStatus": "OK", "CommunicationOKFlag": False}}, True, False, False),
        ({"POIStatus": {"GlobalStatus": "Maintenance"}}, False, False, False),
        ({}, True, True, False),
    ],
)
def test_pt8_a_diagnosis_says_whether_the_terminal_and_its_host_answer(
    body: dict[str, Any], ok: bool, host: bool, busy: bool
) -> None:
    whole = {"Response": {"Result": "Success"}} | body
    opened = open_answer(answer("Z1", "Diagnosis", whole), ENDS, "Z1", "Diagnosis")
    standing = nexo.read_diagnosis(opened)
    assert (standing.ok, standing.host, standing.busy) == (ok, host, busy)


def test_pt8_a_diagnosis_that_fails_says_why() -> None:
    for body, why in ((failure("UnavailableDevice"), "UnavailableDevice"), (failure(""), "result"), ({}, "terminal")):
        standing = nexo.read_diagnosis(open_answer(answer("Z1", "Diagnosis", body), ENDS, "Z1", "Diagnosis"))
        assert (standing.ok, standing.why) == (False, why)


def test_pt1_a_login_is_said_and_heard() -> None:
    assert said(nexo.login(ENDS, "Z1", ASKED))["LoginRequest"]["TrainingModeFlag"] is False
    opened = open_answer(answer("Z1", "Login", {"Response": {"Result": "Success"}}), ENDS, "Z1", "Login")
    assert nexo.read_login(opened)


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["Response", "Result", "POIStatus", "HostStatus", "PaymentResult", "PaymentReceipt"]),
                inner,
            )
        ),
        max_leaves=12,
    )
)
def test_pt5_no_shape_of_an_answer_is_ever_taken_for_money(body: Any) -> None:
    shape = body if isinstance(body, dict) else {"PaymentResult": body}
    assert paid(shape).outcome == "silent"
    assert found(shape).outcome == "silent"
    assert reversed_(shape).outcome in (
        "silent",
        "reversed" if shape == {"Response": {"Result": "Success"}} else "silent",
    )
    nexo.read_diagnosis(open_answer(answer("Z1", "Diagnosis", shape), ENDS, "Z1", "Diagnosis"))
