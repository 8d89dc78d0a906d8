"""Frames to the byte: the published check values, and nothing believed that is not well-formed (R23)."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oppet.fiscal.frames import (
    FrameError,
    SerialAnswer,
    amount,
    ccsp_fields,
    ccsp_frame,
    crc16,
    is_code,
    skattedosan_answer,
    skattedosan_command,
    skattedosan_receipt,
    xccsp_answer,
    xccsp_receipt,
    xccsp_status,
)
from oppet.fiscal.unit import UnitRequest

NS = "{http://www.retailinnovation.se/xccsp}"
A_CODE = "WKZQUH56H7X3DVQEJPHOYNWDV7HS223N;BA7WNV7ODW6RCY4ZLNLF4J66IM"
AN_ANSWER = (
    '<?xml version="1.0" encoding="iso-8859-1"?>\n'
    '<response xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns="http://www.retailinnovation.se/xccsp">\n'
    " <type>RegisterReceiptResponse</type>\n <data>\n  <RegisterResult>\n"
    f"   <Code>{A_CODE}</Code>\n   <UnitId>RIHTT131550010466</UnitId>\n"
    "   <UnitMainStatus>0</UnitMainStatus><UnitStorageStatus>0</UnitStorageStatus>\n"
    "  </RegisterResult>\n </data>\n</response>"
)


def a_request(**more: Any) -> UnitRequest:
    values: dict[str, Any] = {
        "unit": "U", "serial": 1, "receipt_id": 1, "receipt_type": "normal", "minute": "202611211200",
        "org_no": "5566778899", "register": "KASSA01", "total_ore": 10_000, "negative_ore": 0, "vat": ((2500, 2000),),
    }  # fmt: skip
    return UnitRequest(**values | more)


@pytest.mark.parametrize(
    ("ore", "text"),
    [(0, "0,00"), (5, "0,05"), (199, "1,99"), (10_000, "100,00"), (-50, "-0,50"), (10**13 - 1, "99999999999,99")],
)
def test_r23_amounts_have_a_decimal_comma_and_two_digits(ore: int, text: str) -> None:
    assert amount(ore) == text


def test_r23_an_amount_that_no_unit_can_hold_is_refused() -> None:
    with pytest.raises(FrameError):
        amount(10**13)


def test_r23_the_crc_is_xmodem() -> None:
    assert crc16(b"123456789") == 0x31C3


def test_r23_a_skattedosan_receipt_is_the_published_line() -> None:
    assert skattedosan_receipt(a_request()) == (
        b"kd 202611211200 5566778899 KASSA01 1 normal 0,00 100,00 25,00;20,00 12,00;0,00 6,00;0,00 0,00;0,00 0xCEBF\r\n"
    )


@pytest.mark.parametrize(
    ("payload", "frame"),
    [
        ("IQ", b"#!#00D#IQ#7D\r"),
        ("SIQ", b"#!#00E#SIQ#2F\r"),
        ("SQ", b"#!#00D#SQ#67\r"),
        ("ST", b"#!#00D#ST#62\r"),
    ],
)
def test_r23_cleancash_serial_frames_are_the_published_ones(payload: str, frame: bytes) -> None:
    assert ccsp_frame(payload) == frame
    assert ccsp_fields(frame) == ccsp_fields(frame[:-1]) == (payload,)


def test_r23_a_negative_acknowledgement_has_its_error_in_the_second_field() -> None:
    assert ccsp_fields(ccsp_frame("NAK#001")) == ("NAK", "001")


@pytest.mark.parametrize("frame", [b"", b"#", b"#!#00D#IQ#7E\r", b"#!#00E#IQ#7D\r", b"\xff" * 40, b"#!#00D#IQ#7D\r\r"])
def test_r23_a_spoilt_cleancash_frame_is_no_answer(frame: bytes) -> None:
    with pytest.raises(FrameError):
        ccsp_fields(frame)


@pytest.mark.parametrize("payload", ["å", "A\rB", "A" * 5000])
def test_r23_what_a_cleancash_frame_cannot_hold_is_refused(payload: str) -> None:
    with pytest.raises(FrameError):
        ccsp_frame(payload)


def answer_line(words: str) -> bytes:
    message = f"{words} ".encode()
    return message + b"0x%04X" % crc16(message)


def test_r23_a_skattedosan_answer_is_read() -> None:
    assert skattedosan_answer(answer_line(f"0 {A_CODE}")) == SerialAnswer(0, (A_CODE,))
    assert skattedosan_answer(answer_line("-2")) == SerialAnswer(-2, ())


@pytest.mark.parametrize(
    "line",
    [
        b"", b" ", b"0", b"0 ", b"0 CODE", b"0 CODE 0x0000", answer_line("zero CODE"), answer_line("0_0 C"),
        b"\xff\xfe",
        answer_line("00000 C"), b"junk" + answer_line("0 CODE"), answer_line("0 CODE") + b" 0xFFFF", b"0x0000",
    ],
)  # fmt: skip
def test_r23_a_spoilt_skattedosan_answer_is_no_answer(line: bytes) -> None:
    with pytest.raises(FrameError):
        skattedosan_answer(line)


@given(st.binary(max_size=1200))
def test_r23_no_bytes_crash_the_readers(data: bytes) -> None:
    for read in (skattedosan_answer, ccsp_fields, xccsp_answer):
        try:
            read(data)
        except FrameError:
            continue


@given(st.text(max_size=300), st.integers(0, len(AN_ANSWER)))
def test_r23_no_text_inside_an_answer_crashes_the_reader(text: str, place: int) -> None:
    try:
        xccsp_answer((AN_ANSWER[:place] + text + AN_ANSWER[place:]).encode("latin-1", "replace"))
    except FrameError:
        return


@pytest.mark.parametrize("word", ["", "two words", "line\r", "å", "a" * 65])
def test_r23_a_word_that_would_break_the_line_is_refused(word: str) -> None:
    with pytest.raises(FrameError):
        skattedosan_command("kd", word)


def test_r23_skattedosan_has_one_number_so_the_serial_is_the_receipts() -> None:
    with pytest.raises(FrameError):
        skattedosan_receipt(a_request(serial=2))


UNSOUND = [
    {"minute": "2026-11-21"}, {"minute": "\uff1202611211200"}, {"org_no": "556677-8899"}, {"receipt_id": 0},
    {"serial": -1}, {"total_ore": -1}, {"negative_ore": -1}, {"vat": ((700, 1),)}, {"vat": ((600, 1), (600, 2))},
    {"receipt_type": "nor<mal"}, {"total_ore": 10**13}, {"register": ""}, {"register": "K\x00"}, {"register": "K" * 65},
]  # fmt: skip


@pytest.mark.parametrize("unsound", UNSOUND)
def test_r23_what_no_unit_would_take_is_refused_before_it_is_sent(unsound: dict[str, Any]) -> None:
    with pytest.raises(FrameError):
        xccsp_receipt(a_request(**unsound), 1, new_session=False)
    with pytest.raises(FrameError):
        skattedosan_receipt(a_request(**{"serial": unsound.get("receipt_id", 1), **unsound}))


def test_r23_an_xccsp_receipt_has_every_element_in_order() -> None:
    request = a_request(register="Kö<&>1", serial=17, receipt_id=4, negative_ore=150, vat=((2500, 2000), (600, -60)))
    body = xccsp_receipt(request, 136, new_session=True)
    assert body.startswith(b'<?xml version="1.0" encoding="ISO-8859-1"?>')
    root = ET.fromstring(body)  # an independent reader, by the declared encoding
    receipt = root.find(f"{NS}data/{NS}Receipt")
    assert root.findtext(f"{NS}type") == "RegisterReceipt"
    assert receipt is not None
    assert [(child.tag.removeprefix(NS), child.text) for child in receipt][:-1] == [
        ("IsNewSession", "1"), ("SerialNo", "136"), ("PosId", "Kö<&>1"), ("OrgNo", "5566778899"),
        ("Date", "202611211200"), ("ReceiptId", "4"), ("ReceiptType", "normal"), ("ReceiptTotal", "100,00"),
        ("NegativeTotal", "1,50"),
    ]  # fmt: skip
    assert [[part.text for part in vat] for vat in receipt[-1]] == [["1", "25,00", "20,00"], ["3", "6,00", "-0,60"]]


def test_r23_an_xccsp_status_question_names_register_and_company() -> None:
    root = ET.fromstring(xccsp_status("K3", "5566778899"))
    assert root.findtext(f"{NS}type") == "RequestStatus"
    assert root.findtext(f"{NS}data/{NS}StatusRequest/{NS}PosId") == "K3"


def test_r23_what_latin_1_cannot_say_is_refused() -> None:
    with pytest.raises(FrameError):
        xccsp_status("Kassa 三", "5566778899")


def test_r23_the_published_answer_is_read() -> None:
    said = xccsp_answer(AN_ANSWER.encode())
    assert said.type == "RegisterReceiptResponse"
    assert said.texts == {
        "Code": A_CODE,
        "UnitId": "RIHTT131550010466",
        "UnitMainStatus": "0",
        "UnitStorageStatus": "0",
    }


@pytest.mark.parametrize(
    "body",
    [
        b"", b"not xml", AN_ANSWER.encode()[:-5], AN_ANSWER.replace("response", "request").encode(),
        AN_ANSWER.replace("<Code>", "<Code>X</Code><Code>").encode(), AN_ANSWER.encode("utf-16"),
        b"<response>" + b" " * 70_000 + b"</response>",
        b"<response>" + b"<a>" * 9 + b"<b/>" + b"</a>" * 9 + b"</response>",
        b'<!DOCTYPE r [<!ENTITY e "x">]><response><type>&e;</type></response>',
        b"<response><type>&e;</type></response>",
        b"<response><!-- hidden --><type>T</type></response>", b"<response><type><![CDATA[T]]></type></response>",
        '<?xml version="1.0" encoding="utf-7"?><response>+ADw-</response>'.encode("utf-16"),
    ],
)  # fmt: skip
def test_r23_anything_but_small_flat_xml_without_a_dtd_is_no_answer(body: bytes) -> None:
    with pytest.raises(FrameError):
        xccsp_answer(body)


@pytest.mark.parametrize("code", ["", "A B", "A\x1b@", "Å", "A" * 129, "A\n"])
def test_r23_a_code_that_could_command_a_printer_is_no_code(code: str) -> None:
    assert not is_code(code)
