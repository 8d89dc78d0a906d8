"""What control units say, byte for byte: Skattedosan's lines, XCCSP's XML and CleanCash's serial frames.

Written from published descriptions; the check values in the tests are theirs. Nothing here waits, retries or believes
a code: drivers do that. Bytes from a unit are bounded, printable and free of DTDs before a word of them is used.
CCSP has frames and no driver: the order of fields inside RR and RH is only in the vendor's manual.
Keeps R23's half: an answer that is not exactly well-formed is no answer.
"""

from __future__ import annotations

import re
from binascii import crc_hqx
from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import TYPE_CHECKING, ClassVar
from xml.etree import ElementTree as ET

from oppet.base.errors import UntrustedError
from oppet.base.words import N_

if TYPE_CHECKING:
    from oppet.fiscal.unit import UnitRequest

__all__ = [
    "LONGEST_BODY",
    "LONGEST_LINE",
    "FrameError",
    "SerialAnswer",
    "XmlAnswer",
    "amount",
    "ccsp_fields",
    "ccsp_frame",
    "crc16",
    "is_code",
    "skattedosan_answer",
    "skattedosan_command",
    "skattedosan_receipt",
    "xccsp_answer",
    "xccsp_receipt",
    "xccsp_status",
]

LONGEST_LINE = 1024  # a Skattedosan line is about 200 bytes, a CCSP frame at most 0xFFF
LONGEST_BODY = 65_536
VAT_CLASSES = {2500: 1, 1200: 2, 600: 3, 0: 4}  # Skattedosan's A to D are the same four, in this order
_CODE = re.compile(r"[!-~]{1,128}")  # opaque, but it is printed: no spaces, no printer commands
_WORD = re.compile(r"[!-~]{1,64}")
_NAMESPACE = "http://www.retailinnovation.se/xccsp"
_DEEPEST = 8


class FrameError(UntrustedError):
    """Bytes that are not a well-formed frame, or values that no frame can hold."""

    sentence: ClassVar[str] = N_("The control unit's answer cannot be read: {found}.")


def is_code(text: str) -> bool:
    """Say whether a text may be a control code; what it means is the tax agency's business."""
    return _CODE.fullmatch(text) is not None


def amount(ore: int) -> str:
    """Write öre or basis points as units expect: 1 to 11 digits, a comma and two digits. Raises FrameError."""
    whole, hundredths = divmod(abs(ore), 100)
    if whole >= 10**11:
        raise FrameError(found=f"amount {ore}")
    return f"{'-' if ore < 0 else ''}{whole},{hundredths:02d}"


# ---------------------------------------------------------------- Skattedosan: ASCII lines, each with its CRC


@dataclass(frozen=True, slots=True)
class SerialAnswer:
    """A Skattedosan answer whose CRC held: 0 is yes, anything else one of its error codes."""

    result: int
    words: tuple[str, ...]


def crc16(data: bytes) -> int:
    """CRC-16 with polynomial 0x1021 from 0 (XMODEM)."""
    return crc_hqx(data, 0)


def skattedosan_command(*words: str) -> bytes:
    """Join words to a command line. Raises FrameError where a word would break the line."""
    if not all(_WORD.fullmatch(word) for word in words):
        raise FrameError(found="a word the line cannot carry")
    message = (" ".join(words) + " ").encode("ascii")
    return b"%s0x%04X\r\n" % (message, crc16(message))


def skattedosan_receipt(request: UnitRequest) -> bytes:
    """The `kd` command. The protocol has one number, so the serial must be the receipt's."""
    _check(request)
    if request.serial != request.receipt_id:
        raise FrameError(found=f"serial {request.serial} of receipt {request.receipt_id}")
    vat = dict(request.vat)
    return skattedosan_command(
        "kd",
        request.minute,
        request.org_no,
        request.register,
        str(request.receipt_id),
        request.receipt_type,
        amount(request.negative_ore),
        amount(request.total_ore),
        *(f"{amount(rate)};{amount(vat.get(rate, 0))}" for rate in VAT_CLASSES),
    )


def skattedosan_answer(line: bytes) -> SerialAnswer:
    """Read one answer, without its CR. Raises FrameError."""
    try:
        words = line.decode("ascii").split(" ")
    except UnicodeDecodeError:
        raise FrameError(found=repr(line[:40])) from None
    expected = f"0x{crc16(line[: len(line) - len(words[-1])]):04X}"
    if len(words) < 2 or words[-1] != expected or not re.fullmatch("-?[0-9]{1,3}", words[0]):
        raise FrameError(found=repr(line[:40]))
    return SerialAnswer(int(words[0]), tuple(words[1:-1]))


# ---------------------------------------------------------------- XCCSP: XML over HTTP, ISO-8859-1


@dataclass(frozen=True, slots=True)
class XmlAnswer:
    """An XCCSP answer: its type and the texts of its leaves, each name once."""

    type: str
    texts: dict[str, str]


def xccsp_receipt(request: UnitRequest, serial: int, *, new_session: bool) -> bytes:
    """The RegisterReceipt message. Raises FrameError where it cannot be said in ISO-8859-1."""
    _check(request)
    vat = "".join(
        f"<Vat><Class>{VAT_CLASSES[rate]}</Class><Percentage>{amount(rate)}</Percentage>"
        f"<Amount>{amount(ore)}</Amount></Vat>"
        for rate, ore in request.vat
    )
    return _xml(
        "RegisterReceipt",
        f"<Receipt><IsNewSession>{int(new_session)}</IsNewSession><SerialNo>{serial}</SerialNo>"
        f"<PosId>{_text(request.register)}</PosId><OrgNo>{request.org_no}</OrgNo><Date>{request.minute}</Date>"
        f"<ReceiptId>{request.receipt_id}</ReceiptId><ReceiptType>{request.receipt_type}</ReceiptType>"
        f"<ReceiptTotal>{amount(request.total_ore)}</ReceiptTotal>"
        f"<NegativeTotal>{amount(request.negative_ore)}</NegativeTotal><VatList>{vat}</VatList></Receipt>",
    )


def xccsp_status(register: str, org_no: str) -> bytes:
    """The question whether the unit is well. Raises FrameError."""
    return _xml(
        "RequestStatus",
        f"<StatusRequest><PosId>{_text(register)}</PosId><OrgNo>{_text(org_no)}</OrgNo></StatusRequest>",
    )


def xccsp_answer(body: bytes) -> XmlAnswer:
    """Read an answer's leaves. Raises FrameError for anything but small, flat, DTD-free XML."""
    if len(body) > LONGEST_BODY:
        raise FrameError(found=f"{len(body)} bytes")
    text = body.decode("latin-1")
    # Decoded here, so the parser sees the very characters that were checked, whatever encoding the prolog claims.
    # "<!" opens every DTD, entity, comment and CDATA section; a control unit has no use for any of them.
    if "<!" in text:
        raise FrameError(found="a document type, comment or CDATA")
    try:
        root = ET.fromstring(text)  # noqa: S314 - bounded, and without the declarations that make it dangerous
    except (ET.ParseError, ValueError) as error:
        raise FrameError(found=str(error)) from None
    if _local(root) != "response":
        raise FrameError(found=f"<{_local(root)}>")
    texts: dict[str, str] = {}
    _gather(root, texts, 1)
    return XmlAnswer(texts.pop("type", ""), texts)


def _gather(element: ET.Element, texts: dict[str, str], depth: int) -> None:
    if depth > _DEEPEST:
        raise FrameError(found="too deep")
    for child in element:
        if len(child):
            _gather(child, texts, depth + 1)
            continue
        name = _local(child)
        if name in texts:
            raise FrameError(found=f"two <{name}>")  # two codes in one answer are no code
        texts[name] = (child.text or "").strip()


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _xml(kind: str, data: str) -> bytes:
    text = (
        f'<?xml version="1.0" encoding="ISO-8859-1"?>\n<request xmlns="{_NAMESPACE}">'
        f"<type>{kind}</type><data>{data}</data></request>"
    )
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise FrameError(found=str(error)) from None


def _text(text: str) -> str:
    if not text.isprintable() or not 0 < len(text) <= 64:
        raise FrameError(found=text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _check(request: UnitRequest) -> None:
    """Refuse what no unit would take, before a byte is sent and the answer becomes a question."""
    sound = (
        re.fullmatch(r"[0-9]{12}", request.minute)
        and re.fullmatch(r"[0-9]{10}", request.org_no)
        and _WORD.fullmatch(request.receipt_type)
        and request.receipt_type.isalpha()
        and request.receipt_id > 0
        and request.serial > 0
        and request.total_ore >= 0
        and request.negative_ore >= 0
        and all(rate in VAT_CLASSES for rate, _ in request.vat)
        and len({rate for rate, _ in request.vat}) == len(request.vat)
    )
    if not sound:
        raise FrameError(found=repr(request))


# ---------------------------------------------------------------- CCSP: CleanCash on a serial line


def ccsp_frame(payload: str) -> bytes:
    """Wrap a payload: length over the whole frame but its CR, then every byte so far XORed. Raises FrameError."""
    if not payload.isascii() or not payload.isprintable() or len(payload) + 11 > 0xFFF:
        raise FrameError(found=payload)
    message = f"#!#{len(payload) + 11:03X}#{payload}#".encode("ascii")
    return b"%s%02X\r" % (message, reduce(xor, message))


def ccsp_fields(frame: bytes) -> tuple[str, ...]:
    """The payload's fields of a frame with or without its CR, the type first. Raises FrameError."""
    message = frame.removesuffix(b"\r")
    payload = message[7:-3]
    try:
        if ccsp_frame(payload.decode("ascii")) != message + b"\r":
            raise FrameError(found=repr(frame[:40]))
    except UnicodeDecodeError:
        raise FrameError(found=repr(frame[:40])) from None
    return tuple(payload.decode("ascii").split("#"))
