"""Swish: what is asked, what an answer proves, and what is never read of one."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oppet.payments import swish
from oppet.payments.swish import Expected, Seen
from oppet.payments.tender import APPROVED, DECLINED, IN_PROGRESS, NOT_NOW, SILENT

PAYEE = "1231181189"
ID = "0123456789ABCDEF0123456789ABCDEF"
NUMBER, NAME = "46712345678", "Cleo"
PAID = {
    "id": ID, "payeePaymentReference": "S01K3E1S7T1", "paymentReference": "6D6CD7406ECE4542A80152D909EF9F6B",
    "callbackUrl": "https://swish.invalid/callback", "payerAlias": NUMBER, "payerName": NAME, "payeeAlias": PAYEE, "amount": 123.50,
    "currency": "SEK", "message": "Kvitto 42", "status": "PAID", "dateCreated": "2026-11-22T09:00:00.000+0000",
    "datePaid": "2026-11-22T09:00:04.561+0000", "errorCode": None, "errorMessage": None,
}  # fmt: skip
REFUND = {
    "id": ID, "originalPaymentReference": "6D6CD7406ECE4542A80152D909EF9F6B", "payerAlias": PAYEE, "payeeAlias": NUMBER,
    "amount": "12.50", "currency": "SEK", "status": "PAID", "datePaid": "2026-11-22T09:00:04.561+0000",
}  # fmt: skip


def told(base: Mapping[str, object] = PAID, /, **changes: object) -> bytes:
    return json.dumps({**base, **changes}).encode()


def seen(**changes: object) -> Seen:
    found = swish.read_payment(told(**changes))
    assert found is not None
    return found


def test_pt3_an_instruction_is_a_version_5_uuid_and_a_function_of_who_asks() -> None:
    made = swish.instruction("ab", "S01-K3", 1, 42)
    assert re.fullmatch("[0-9A-F]{32}", made)
    parsed = uuid.UUID(made)
    assert (parsed.version, parsed.variant) == (5, uuid.RFC_4122)
    space = uuid.UUID(bytes=hashlib.sha256(b"oppet swish instruction 1").digest()[:16])
    assert parsed == uuid.uuid5(space, "ab/S01-K3/1/42")
    assert made == swish.instruction("ab", "S01-K3", 1, 42)
    others = {
        swish.instruction(*who) for who in (("ab", "S01-K3", 2, 42), ("ab", "S01-K3", 1, 43), ("cd", "S01-K3", 1, 42))
    }
    assert len(others | {made}) == 4


def test_pt1_a_request_says_what_the_reference_says_and_nobodys_number() -> None:
    body = json.loads(
        swish.payment_body(PAYEE, 12_350, "S01K3E1S7T1", "Nära – Storgatan & 42", "https://swish.invalid/")
    )
    assert body == {
        "payeePaymentReference": "S01K3E1S7T1", "callbackUrl": "https://swish.invalid/", "payeeAlias": PAYEE, "amount": "123.50",
        "currency": "SEK", "message": "Nära Storgatan 42",
    }  # fmt: skip
    back = json.loads(swish.refund_body(PAYEE, 5, "6D6C", "S01K3E1S7T1", "", "https://swish.invalid/"))
    assert (back["originalPaymentReference"], back["payerAlias"], back["amount"]) == ("6D6C", PAYEE, "0.05")
    assert "payeeAlias" not in back


@given(st.text(max_size=200))
def test_pt1_a_message_holds_only_what_swish_allows(text: str) -> None:
    assert re.fullmatch(r'[0-9a-zA-ZåäöÅÄÖ :;.,?!()"]{0,50}', swish.clean_message(text))


@given(st.text("ABCdef-019", min_size=1, max_size=16), st.integers(1, 10**9), st.integers(1, 999))
def test_pt1_references_have_the_form_that_swish_allows(till: str, sale: int, tender: int) -> None:
    assert re.fullmatch(r"[0-9A-Z]{1,35}", swish.reference(till, sale, tender))


def test_pt6_a_code_for_a_payment_that_nothing_confirms_is_nobodys_but_its_own() -> None:
    assert swish.alone_code("S01-K3", 2, 42) == "S01.K3.2.0042"
    assert swish.clean_message("S01.K3.2.0042") == "S01.K3.2.0042"
    tills = ("S01-K3", "S01-K3-2", "S01-K32")
    made = {swish.alone_code(till, epoch, number) for till in tills for epoch in (1, 2, 12) for number in (1, 12, 21)}
    assert len(made) == 27


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (swish.plain_qr("1237856901", 10_000, "12229445"), "C1237856901;100,00;12229445;0"),
        (swish.plain_qr(PAYEE, 12_350, "Kvitto 42"), "C1231181189;123,50;Kvitto%2042;0"),
        (swish.plain_qr(PAYEE, editable=swish.EDIT_AMOUNT | swish.EDIT_MESSAGE), "C1231181189;;;6"),
        (swish.plain_qr(PAYEE, 5, "Nära; 1"), "C1231181189;0,05;N%C3%A4ra%3B%201;0"),
        (swish.token_qr("abc"), "Dabc"),
    ],
)
def test_pt6_codes_for_phones_are_the_published_ones(made: str, text: str) -> None:
    assert made == text


def test_s11_a_payers_number_and_name_are_read_nowhere() -> None:
    for found in (swish.read_payment(told()), swish.read_refund(told(REFUND))):
        assert NUMBER not in repr(found)
        assert NAME not in repr(found)
    crossed = swish.read_refund(told(REFUND, payerAlias=NUMBER))
    assert crossed is not None
    assert crossed.payee == ""


def test_pt5_a_payment_is_read_field_by_field() -> None:
    assert seen() == Seen(ID, "PAID", 12_350, "SEK", PAYEE, PAID["paymentReference"], "", PAID["datePaid"], "")  # type: ignore[arg-type]
    assert seen(id=ID.lower()).id == ID
    assert seen(amount="100").amount_ore == 10_000
    assert seen(amount=0.1).amount_ore == 10


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"null", b"[]", b"<html>Sign in to the guest network</html>", told()[:-20], told() + b"x", b"[" * 30_000,
        told(amount="1e5"), told(amount=-1), told(amount=None), told(amount="1.234"), told(amount=True), told(status="PAID\x1b[2J"),
        told(id=5), told(paymentReference=None), told(paymentReference=""), told(message="x" * 70_000), b"\xff\xfe", b"9" * 5_000,
    ],
)  # fmt: skip
def test_pt5_what_is_no_payment_is_nothing(data: bytes) -> None:
    assert swish.read_payment(data) is None


@given(st.binary(max_size=300))
def test_pt5_no_bytes_are_too_odd_to_be_refused(data: bytes) -> None:
    assert swish.read_payment(data) is None
    assert swish.read_refund(data) is None
    swish.error_codes(data)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, ""),
        ({"id": "F" * 32}, "id"),
        ({"amount": 123.51}, "amount"),
        ({"amount": 1235}, "amount"),
        ({"currency": "EUR"}, "currency"),
        ({"payeeAlias": "1239999999"}, "payee"),
        ({"payeeAlias": NUMBER}, "payee"),
    ],
)
def test_pt5_an_answer_counts_only_about_our_own_id_amount_currency_and_number(
    changes: dict[str, object], wrong: str
) -> None:
    assert swish.judge(seen(**changes), Expected(ID, 12_350, PAYEE)) == wrong


def test_pt5_a_refund_is_about_the_payment_it_gives_back() -> None:
    found = swish.read_refund(told(REFUND))
    assert found is not None
    assert swish.judge(found, Expected(ID, 1_250, PAYEE, "6D6CD7406ECE4542A80152D909EF9F6B")) == ""
    assert swish.judge(found, Expected(ID, 1_250, PAYEE, "another")) == "original"


@pytest.mark.parametrize(
    ("status", "code", "back", "outcome", "why"),
    [
        ("CREATED", None, False, IN_PROGRESS, "created"),
        ("PAID", None, False, APPROVED, ""),
        ("DECLINED", "RF07", False, DECLINED, "RF07"),
        ("DECLINED", None, False, DECLINED, "declined"),
        ("ERROR", "TM01", False, DECLINED, "TM01"),
        ("ERROR", "DS24", False, SILENT, "DS24"),
        ("CANCELLED", None, False, DECLINED, "cancelled"),
        ("DEBITED", None, False, SILENT, "debited"),
        ("REFUNDED", None, False, SILENT, "refunded"),
        ("CREATED", None, True, IN_PROGRESS, "created"),
        ("VALIDATED", None, True, IN_PROGRESS, "validated"),
        ("INITIATED", None, True, IN_PROGRESS, "initiated"),
        ("DEBITED", None, True, IN_PROGRESS, "debited"),
        ("PAID", None, True, APPROVED, ""),
        ("ERROR", "AM04", True, DECLINED, "AM04"),
        ("ERROR", "RF09", True, NOT_NOW, "RF09"),
        ("ERROR", "DS24", True, SILENT, "DS24"),
        ("CANCELLED", None, True, SILENT, "cancelled"),
    ],
)
def test_pt2_every_status_has_one_meaning(status: str, code: str | None, back: bool, outcome: str, why: str) -> None:
    assert swish.outcome_of(seen(status=status, errorCode=code), back=back) == (outcome, why)


def test_pt3_a_refusal_is_final_but_not_for_an_id_that_is_used() -> None:
    body = b'[{"errorCode":"ZZ99","errorMessage":"x"},{"errorCode":"AM06"}]'
    assert swish.error_codes(body) == ("ZZ99", "AM06")
    assert swish.refused_outcome(("ZZ99", "AM06"), back=False) == (DECLINED, "AM06")
    assert swish.refused_outcome(("RP09",), back=False) == (SILENT, "RP09")
    assert swish.refused_outcome((), back=False) == (DECLINED, "refused")
    assert swish.refused_outcome(("RF09",), back=True) == (SILENT, "RF09")
    assert swish.refused_outcome(("RF08",), back=True) == (DECLINED, "RF08")


def test_pt3_every_code_of_the_reference_tells_the_cashier_what_to_do() -> None:
    codes = (
        "FF08 RP01 RP02 RP03 RP04 RP06 RP09 PA01 PA02 AM02 AM03 AM04 AM06 BE18 ACMT01 ACMT03 ACMT07 VR01 VR02 RF02 RF03 RF04 RF06 "
        "RF07 RF08 RF09 BANKIDCL BANKIDONGOING BANKIDUNKN TM01 DS24 FF10"
    ).split()
    assert all(swish.advice(code) for code in codes)
    assert swish.advice("nonsense") == ""


def test_pt3_a_request_is_looked_at_as_often_as_swish_asks_and_no_longer() -> None:
    looks, elapsed = [], 0
    while (wait := swish.look_after_ms(elapsed, 500)) is not None:
        elapsed += wait
        looks.append(elapsed)
    assert looks[0] == 2_000
    assert looks[-1] == swish.LIFE_MS
    assert all(2_000 <= after - before <= 3_000 for before, after in pairwise(looks) if after < 30_000)
    assert all(after - before == 5_000 for before, after in pairwise(looks[:-1]) if before > 31_000)
    assert len(looks) < 50


def test_pt8_two_certificates_lie_side_by_side_while_one_is_exchanged() -> None:
    assert swish.choose_certificate(5, [(0, 10), (3, 30)]) == (1, 0)
    assert swish.choose_certificate(2, [(0, 10), (3, 30)]) == (0,)
    assert swish.choose_certificate(50, [(0, 10), (3, 30)]) == ()
