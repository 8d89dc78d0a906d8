"""What is said to a card terminal and what its answers mean: nexo Retailer Protocol, JSON, as reference card-terminal.md gives it.

Pure: bytes out, values in. Encoding is amounts as decimal numbers, never floats. Reading is distrust: an answer counts only with the header
of the very request, our till, our terminal, our currency and an amount that fits its result (PT5); everything else is `silent`. Fields
that carry a card's number, track or PIN are taken out before anything else sees the answer, and that is told as an alarm (PT7). The
envelope is `nexo_crypto.py`'s, the cable the driver's, what follows from an outcome `tender.py`'s.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from oppet.base.clock import utc_text
from oppet.base.errors import UntrustedError
from oppet.base.money import LARGEST_ORE
from oppet.base.words import N_
from oppet.journal.kinds import Evidence
from oppet.payments.pan import card_numbers, mask_cards
from oppet.payments.paths import Slip, Work
from oppet.payments.tender import (
    APPROVED,
    AT_RISK,
    DECLINED,
    IN_PROGRESS,
    NOT_FOUND,
    NOT_NOW,
    PARTIAL,
    REFUND,
    REVERSED,
    SILENT,
)

__all__ = [
    "BUSY", "Ends", "NotOurAnswerError", "Notice", "Opened", "Reading", "Standing", "abort", "diagnosis", "knows", "login",
    "open_answer", "open_notice", "own_service", "payment", "read_diagnosis", "read_login", "read_payment", "read_reversal",
    "read_status", "reversal", "service_of", "status",
]  # fmt: skip

PROTOCOL = "3.0"
CURRENCY = "SEK"
BUSY = "Busy"
LONGEST = 64  # characters of anything a terminal says that we keep
MOST_SLIPS, MOST_LINES, LONGEST_LINE = 6, 120, 200

# What an ErrorCondition means (reference §5).
_NO_MONEY = frozenset(
    {"Refusal", "InvalidCard", "WrongPIN", "PaymentRestriction", "InsertedCard", "NotAllowed", "Cancel", "Aborted"}
)
_NOT_PROCESSED = frozenset({BUSY, "MessageFormat", "LoggedOut"})
_LINE_AWAY = frozenset({"UnreachableHost", "UnavailableService", "DeviceOut", "UnavailableDevice"})

# Names in a message whose values are never looked at, never kept, and ring.
_SECRET = frozenset({"pan", "trackdata", "trackvalue", "cardholderpin", "encrpinblock", "pin", "pinblock"})
# Names whose values nobody here needs; they go without a sound.
_PRIVATE = frozenset({"sensitivecarddata", "protectedcarddata", "capturedsignature", "expirydate", "paymenttoken"})

_STAGES = {
    "TENDER_CREATED": "present_card",
    "WAIT_FOR_PIN": "pin",
    "PIN_ENTERED": "online",
    "CARD_INSERTED": "waiting", "CARD_PRESENTED": "waiting", "CARD_SWIPED": "waiting", "APPLICATION_SELECTED": "waiting",
    "WAIT_FOR_APP_SELECTION": "waiting", "ASK_SIGNATURE": "waiting", "TENDER_FINAL": "waiting", "CARD_REMOVED": "waiting",
}  # fmt: skip
_BEFORE_A_CARD = frozenset({"TENDER_CREATED"})

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(float_hook=Decimal)
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class NotOurAnswerError(UntrustedError):
    sentence = N_("The card terminal answered something that is no answer to what was asked ({why}).")


class Ends(msgspec.Struct, frozen=True):
    """Who speaks with whom: the till's name and the terminal's."""

    sale: str  # SaleID
    poi: str  # POIID: model and serial number


class Reading(msgspec.Struct, frozen=True):
    """What an answer came to."""

    outcome: str
    amount_ore: int = 0
    why: str = ""
    evidence: Evidence | None = None
    slips: tuple[Slip, ...] = ()


class Standing(msgspec.Struct, frozen=True):
    """How a terminal says it stands."""

    ok: bool
    host: bool = False  # it reaches its acquirer
    busy: bool = False
    why: str = ""


class Notice(msgspec.Struct, frozen=True):
    """A display notification: progress for the page, never a reason to book anything."""

    event: str
    stage: str
    card: bool  # a card is or was in it


class Opened(msgspec.Struct, frozen=True):
    """An answer that is ours, without what must not be seen."""

    body: dict[str, Any]
    found: tuple[str, ...] = ()  # which fields held a card's number, track or PIN: an alarm


# --- names


def service_of(till: str, epoch: int, number: int) -> str:
    """The ServiceID of exchange `number` of one epoch of one till: ten characters.

    How long the epoch's part is, the epoch, two characters of the till's digest, then the number: different for every epoch and number
    of a till, whose name stands in SaleID beside it. The digest keeps two tills apart at a terminal that goes by the ServiceID alone.
    """
    part = _base36(epoch)
    digest = int.from_bytes(hashlib.sha256(till.encode()).digest()[:8])
    name = _ALPHABET[9 + len(part)] + part + _base36(digest % 36**2).rjust(2, "0")
    rest = _base36(number)
    assert len(name) + len(rest) <= 10, "more exchanges than an epoch has names for"
    return name + rest.rjust(10 - len(name), "0")


def own_service(instant: int) -> str:
    """The ServiceID of a message that the driver sends by itself (diagnosis, login, its own queries): a range apart.

    The driver hands in the clock's milliseconds, each time at least one more than the last. None of these moves money.
    """
    return "Z" + _base36(instant % 36**9).rjust(9, "0")


def _base36(value: int) -> str:
    text = ""
    while value or not text:
        value, digit = divmod(value, 36)
        text = _ALPHABET[digit] + text
    return text


# --- requests


def payment(ends: Ends, work: Work) -> bytes:
    """A payment or, with nothing to refer to but the card that is held out, a refund."""
    conditions: dict[str, Any] = {"ForceEntryMode": [["ICC"]]} if work.offline else {"ForceOnlineFlag": True}
    return _request(ends, "Payment", work.request, {
        "SaleData": {"SaleTransactionID": _sale_transaction(ends, work.request, work.asked)},
        "PaymentTransaction": {
            "AmountsReq": {"Currency": CURRENCY, "RequestedAmount": _kronor(work.amount_ore)},
            "TransactionConditions": conditions,
        },
        "PaymentData": {"PaymentType": _type(work)},
    })  # fmt: skip


def status(ends: Ends, service: str, about: str, *, reverses: bool = False) -> bytes:
    """What became of an earlier request?"""
    return _request(ends, "TransactionStatus", service, {
        "ReceiptReprintFlag": True,
        "DocumentQualifier": ["CashierReceipt", "CustomerReceipt"],
        "MessageReference": _reference(ends, about, "Reversal" if reverses else "Payment"),
    })  # fmt: skip


def abort(ends: Ends, work: Work) -> bytes:
    return _request(ends, "Abort", work.request, {
        "AbortReason": "MerchantAbort",
        "MessageReference": _reference(ends, work.about, "Payment"),
    })  # fmt: skip


def reversal(ends: Ends, work: Work) -> bytes:
    """Give back all of what one payment took."""
    original = work.original
    assert original is not None, "the driver looks first"
    return _request(ends, "Reversal", work.request, {
        "OriginalPOITransaction": {"POITransactionID": {"TransactionID": original.reference, "TimeStamp": original.time}},
        "ReversalReason": "MerchantCancel" if work.counted else "Malfunction",  # and no amount: all of it
        "SaleData": {"SaleTransactionID": _sale_transaction(ends, work.request, work.asked)},
    })  # fmt: skip


def diagnosis(ends: Ends, service: str, *, host: bool) -> bytes:
    """How does the terminal stand? With `host` it tries its acquirer too."""
    return _request(ends, "Diagnosis", service, {"HostDiagnosisFlag": host})


def login(ends: Ends, service: str, instant: int) -> bytes:
    """For vendors whose terminals want it first; it also lets go a terminal that is stuck."""
    return _request(ends, "Login", service, {
        "DateTime": utc_text(instant),
        "SaleSoftware": {"ProviderIdentification": "Oppet", "ApplicationName": "Oppet", "SoftwareVersion": "1", "CertificationCode": "-"},
        "SaleTerminalData": {"TerminalEnvironment": "Attended", "SaleCapabilities": ["PrinterReceipt"]},
        "TrainingModeFlag": False,
        "OperatorLanguage": "sv",
    })  # fmt: skip


def _request(ends: Ends, category: str, service: str, body: dict[str, Any]) -> bytes:
    header = {
        "ProtocolVersion": PROTOCOL, "MessageClass": "Service", "MessageCategory": category, "MessageType": "Request",
        "ServiceID": service, "SaleID": ends.sale, "POIID": ends.poi,
    }  # fmt: skip
    return _encoder.encode({"SaleToPOIRequest": {"MessageHeader": header, f"{category}Request": body}})


def _type(work: Work) -> str:
    return "Refund" if work.what == REFUND or work.back else "Normal"


def _kronor(ore: int) -> Decimal:
    return Decimal(ore).scaleb(-2)


def _sale_transaction(ends: Ends, request: str, asked: int) -> dict[str, str]:
    return {"TransactionID": _our_reference(ends, request), "TimeStamp": utc_text(asked)}


def _our_reference(ends: Ends, request: str) -> str:
    return f"{ends.sale}-{request}"


def _reference(ends: Ends, about: str, category: str) -> dict[str, str]:
    return {"MessageCategory": category, "SaleID": ends.sale, "ServiceID": about, "POIID": ends.poi}


# --- answers: whose, and without what must not be seen


def open_answer(message: bytes, ends: Ends, service: str, category: str) -> Opened:
    """The body of the answer to this very request. Raises NotOurAnswerError for any other message."""
    inner = _inner(message, "SaleToPOIResponse")
    said = {name: _at(inner, "MessageHeader", name) for name in ("MessageClass", "MessageType")}
    if said != {"MessageClass": "Service", "MessageType": "Response"}:
        raise NotOurAnswerError(why="kind")
    _check_header(_at(inner, "MessageHeader"), ends, service, category)
    body = inner.get(f"{category}Response")
    if not isinstance(body, dict):
        raise NotOurAnswerError(why="body")
    found: list[str] = []
    return Opened(_cleaned(body, found), tuple(sorted(set(found)))[:8])


def open_notice(message: bytes, ends: Ends) -> Notice | None:
    """A display notification of our terminal, or None for one of no interest. Raises NotOurAnswerError."""
    inner = _inner(message, "SaleToPOIRequest")
    header = _at(inner, "MessageHeader")
    if _at(header, "POIID") != ends.poi or _at(header, "SaleID") not in (ends.sale, "null", None):
        raise NotOurAnswerError(why="other_terminal")
    outputs = _at(inner, "DisplayRequest", "DisplayOutput")
    for output in outputs[:4] if isinstance(outputs, list) else [outputs]:
        reference = _at(output, "OutputContent", "PredefinedContent", "ReferenceID")
        event = dict(_form(_text(reference, 400))).get("event", "")
        if event in _STAGES:
            return Notice(event, _STAGES[event], event not in _BEFORE_A_CARD)
    return None


def _inner(message: bytes, wrapper: str) -> dict[str, Any]:
    try:
        whole = _decoder.decode(message)
    except (msgspec.MsgspecError, ArithmeticError, ValueError, RecursionError):
        raise NotOurAnswerError(why="unreadable") from None
    inner = _at(whole, wrapper)
    if not isinstance(inner, dict):
        raise NotOurAnswerError(why="unreadable")
    return inner


def _check_header(header: object, ends: Ends, service: str, category: str) -> None:
    wanted = {"MessageCategory": category, "ServiceID": service, "SaleID": ends.sale, "POIID": ends.poi}
    for name, value in wanted.items():
        if _at(header, name) != value:
            raise NotOurAnswerError(why=name)


def _cleaned(value: Any, found: list[str]) -> Any:
    """The same value without anything that is a card's number, track or PIN; `found` is told what was there."""
    if isinstance(value, dict):
        kept = {}
        for name, part in value.items():
            word = str(name).lower()
            if word in _SECRET:
                found.append(str(name)[:20])
                continue
            clean = _cleaned(part, found)  # a private part is looked through too: what is hidden in it rings
            if word not in _PRIVATE:
                kept[name] = clean
        return kept
    if isinstance(value, list):
        return [_cleaned(part, found) for part in value]
    if isinstance(value, str | int) and not isinstance(value, bool):
        return _cleaned_text(value, found)
    return value


def _cleaned_text(value: str | int, found: list[str]) -> str | int:
    text = str(value)
    shown = _unquoted(text) if isinstance(value, str) and "%" in text else text
    if not any(card_numbers(shown.replace("+", " "))):
        return value
    found.append("number")
    return mask_cards(shown.replace("+", " ")) if isinstance(value, str) else 0


# --- answers: what they mean


def read_payment(opened: Opened, ends: Ends, work: Work, *, card_seen: bool) -> Reading:
    """The payment's own answer: final, where it says anything. `card_seen`: a card had been held out."""
    reading = _payment(opened.body, ends, work, work.request, NOT_NOW)
    if reading.outcome == DECLINED and reading.why in _LINE_AWAY and card_seen:
        return Reading(SILENT, why=reading.why)
    result, _ = _result(opened.body)
    fits = reading.amount_ore == work.amount_ore if result == "Success" else 0 < reading.amount_ore < work.amount_ore
    if reading.evidence is not None and not fits:
        return Reading(SILENT, why="amount")  # the terminal is asked what it remembers, and that is believed
    return reading


def read_status(opened: Opened, ends: Ends, work: Work, *, host_up: bool, card_seen: bool) -> Reading:
    """What the terminal remembers of an earlier request. The outer result only says whether it was found.

    `host_up`: the terminal reached its acquirer before it was asked. `card_seen`: a card had been held out.
    """
    body = opened.body
    result, condition = _result(body)
    about = _at(body, "MessageReference", "ServiceID")
    if about is not None and about != work.about:
        return Reading(SILENT, why="other_request")
    if result == "Failure" and condition in ("InProgress", BUSY):
        return Reading(IN_PROGRESS, why=condition)
    if result == "Failure" and condition == "NotFound":
        return Reading(NOT_FOUND, why="not_found")
    if result != "Success":
        return Reading(SILENT, why=condition or "result")
    category = "Reversal" if work.reverses else "Payment"
    repeated = _at(body, "RepeatedMessageResponse")
    try:
        _check_header(_at(repeated, "MessageHeader"), ends, work.about, category)
    except NotOurAnswerError:
        return Reading(SILENT, why="other_request")
    inner = _at(repeated, "RepeatedResponseMessageBody", f"{category}Response")
    if not isinstance(inner, dict):
        return Reading(SILENT, why="body")
    if work.reverses:
        return _remembered_reversal(inner, work, host_up=host_up)
    reading = _payment(inner, ends, work, work.about, DECLINED)
    if reading.outcome == SILENT and reading.why in _LINE_AWAY:
        # The card was in when the line went: the terminal's word is final once it has its acquirer again.
        return Reading(DECLINED if host_up else IN_PROGRESS, why=reading.why)
    if reading.outcome == DECLINED and reading.why in _LINE_AWAY and card_seen and not host_up:
        return Reading(IN_PROGRESS, why=reading.why)
    return reading


def knows(opened: Opened, ends: Ends, about: str) -> bool:
    """Whether a status answer shows that the terminal still has an earlier payment of ours."""
    if _result(opened.body)[0] != "Success":
        return False
    try:
        _check_header(_at(opened.body, "RepeatedMessageResponse", "MessageHeader"), ends, about, "Payment")
    except NotOurAnswerError:
        return False
    return True


def read_reversal(opened: Opened, work: Work) -> Reading:
    """The reversal's own answer."""
    return _reversal(opened.body, work)


def _remembered_reversal(inner: dict[str, Any], work: Work, *, host_up: bool) -> Reading:
    reading = _reversal(inner, work)
    if reading.outcome == NOT_NOW:
        return Reading(NOT_FOUND, why=reading.why)  # refused unprocessed: it may be asked for again
    if reading.outcome == SILENT and reading.why == "amount":
        return Reading(DECLINED, why="amount")  # it gave back something else, and says so twice: a person must look
    if reading.outcome == SILENT and reading.why in _LINE_AWAY:
        return Reading(NOT_FOUND if host_up else IN_PROGRESS, why=reading.why)
    return reading


def read_diagnosis(opened: Opened) -> Standing:
    body = opened.body
    result, condition = _result(body)
    state = _at(body, "POIStatus", "GlobalStatus")
    busy = state == BUSY or condition == BUSY
    if result == "Failure" and not busy:
        return Standing(False, why=condition or "result")
    hosts = _at(body, "HostStatus")
    reached = [_at(host, "IsReachableFlag") for host in (hosts if isinstance(hosts, list) else [])[:16]]
    ok = busy or state == "OK" or (state is None and result == "Success")
    host = any(flag is True for flag in reached) or (
        not reached and _at(body, "POIStatus", "CommunicationOKFlag") is not False
    )
    return Standing(ok, ok and host, busy, "" if ok and host else "host" if ok else _text(state, LONGEST) or "terminal")


def read_login(opened: Opened) -> bool:
    return _result(opened.body)[0] == "Success"


def _payment(body: dict[str, Any], ends: Ends, work: Work, request: str, unprocessed: str) -> Reading:
    result, condition = _result(body)
    ours = _at(body, "SaleData", "SaleTransactionID", "TransactionID")
    if ours is not None and ours != _our_reference(ends, request):
        return Reading(SILENT, why="other_sale")
    if result == "Failure":
        slips = _slips(body)
        if condition in _NO_MONEY:
            return Reading(DECLINED, why=condition, slips=slips)
        if condition in _NOT_PROCESSED:
            return Reading(unprocessed, why=condition, slips=slips)
        if condition in _LINE_AWAY:
            return Reading(SILENT if _card_was_in(body) else DECLINED, why=condition, slips=slips)
        return Reading(SILENT, why=condition or "result")
    if result not in ("Success", "Partial"):
        return Reading(SILENT, why="result")
    return _approved(body, work)


def _approved(body: dict[str, Any], work: Work) -> Reading:
    paid = _at(body, "PaymentResult")
    amount = _ore(_at(paid, "AmountsResp", "AuthorizedAmount"))
    if _at(paid, "AmountsResp", "Currency") != CURRENCY:
        return Reading(SILENT, why="currency")
    if not amount:
        return Reading(SILENT, why="amount")
    if _at(paid, "PaymentType") not in (None, _type(work)):
        return Reading(SILENT, why="type")
    evidence = _evidence(body, paid)
    outcome = AT_RISK if evidence.offline else PARTIAL if amount < work.amount_ore else APPROVED
    return Reading(outcome, amount, "", evidence, _slips(body))


def _reversal(body: dict[str, Any], work: Work) -> Reading:
    result, condition = _result(body)
    if result == "Success":
        said = _at(body, "ReversedAmount")
        if said is not None and _ore(said) != work.amount_ore:
            return Reading(SILENT, why="amount")
        return Reading(REVERSED, work.amount_ore, slips=_slips(body))
    if result != "Failure":
        return Reading(SILENT, why="result")
    if condition in (BUSY, "LoggedOut", "InProgress"):
        return Reading(NOT_NOW, why=condition)
    if condition in _NO_MONEY or condition in ("MessageFormat", "NotFound"):
        return Reading(DECLINED, why=condition)
    return Reading(SILENT, why=condition or "result")


def _result(body: object) -> tuple[str, str]:
    return _text(_at(body, "Response", "Result"), 20), _text(_at(body, "Response", "ErrorCondition"), 40)


def _card_was_in(body: dict[str, Any]) -> bool:
    card = _at(body, "PaymentResult", "PaymentInstrumentData", "CardData")
    return bool(_at(card, "EntryMode") or _at(card, "MaskedPan"))


def _evidence(body: dict[str, Any], paid: Any) -> Evidence:
    """Field by field: what is not named here has no way into the journal."""
    theirs, card = _at(body, "POIData", "POITransactionID"), _at(paid, "PaymentInstrumentData", "CardData")
    more = _additional(_at(body, "Response", "AdditionalResponse"))
    acquirer = _at(paid, "PaymentAcquirerData")
    waiting = more.get("unconfirmedBatchCount", "")
    return Evidence(
        reference=_text(_at(theirs, "TransactionID"), LONGEST),
        time=_text(_at(theirs, "TimeStamp"), 40),
        approval=_text(_at(acquirer, "ApprovalCode"), 20),
        acquirer=_text(_at(acquirer, "AcquirerTransactionID", "TransactionID"), LONGEST),
        brand=_text(_at(card, "PaymentBrand"), 20),
        card=_last_four(_at(card, "MaskedPan")),
        how=_how(_at(card, "EntryMode"), _at(paid, "AuthenticationMethod")),
        offline=more.get("offline") == "true" or _at(paid, "OnlineFlag") is False,
        waiting=int(waiting) if waiting.isascii() and waiting.isdigit() and len(waiting) < 6 else 0,
    )


def _last_four(masked: object) -> str:
    digits = _text(masked, 30)[-4:]
    return digits if len(digits) == 4 and digits.isascii() and digits.isdigit() else ""


def _how(entry: object, authenticated: object) -> str:
    entered = entry if isinstance(entry, list) else [entry]
    proved = authenticated if isinstance(authenticated, list) else [authenticated]
    if "ICC" in entered or "SynchronousICC" in entered:
        return "chip_pin" if "OnlinePIN" in proved or "OfflinePIN" in proved else "chip"
    if any(way in entered for way in ("Contactless", "Tapped", "RFID")):
        return "tap"
    return "swipe" if "MagStripe" in entered else ""


def _additional(text: object) -> dict[str, str]:
    """AdditionalResponse: a form or, by the vendor's setting, base64 of JSON. Only what is asked for by name is used."""
    said = _text(text, 20_000)
    if "=" in said.rstrip("="):
        return dict(_form(said))
    try:
        whole = _decoder.decode(base64.b64decode(said, validate=True))
    except (msgspec.MsgspecError, ArithmeticError, ValueError, RecursionError):
        return {}
    inside = _at(whole, "additionalData")
    fields = inside if isinstance(inside, dict) else whole if isinstance(whole, dict) else {}
    return {name: str(value) for name, value in fields.items() if isinstance(value, str | int)}


def _slips(body: dict[str, Any]) -> tuple[Slip, ...]:
    """The terminal's receipts, bounded: every line prints, known or not."""
    receipts = _at(body, "PaymentReceipt")
    found = []
    for receipt in (receipts if isinstance(receipts, list) else [])[:MOST_SLIPS]:
        texts = _at(receipt, "OutputContent", "OutputText")
        lines = [_line(_at(text, "Text")) for text in (texts if isinstance(texts, list) else [])[:MOST_LINES]]
        whose, signature = _text(_at(receipt, "DocumentQualifier"), 20), _at(receipt, "RequiredSignatureFlag") is True
        found.append(Slip(whose, signature, tuple(line for line in lines if line != ("", ""))))
    return tuple(found)


def _line(text: object) -> tuple[str, str]:
    said = _text(text, 4 * LONGEST_LINE)
    form = dict(_form(said))
    if "name" in form or "value" in form:
        return _printed(form.get("name", "")), _printed(form.get("value", ""))
    return ("", "") if "key" in form else (_printed(said), "")


def _printed(text: str) -> str:
    shown = mask_cards(text)[:LONGEST_LINE]
    return "".join(letter if letter.isprintable() else " " for letter in shown)


def _form(text: str) -> Iterator[tuple[str, str]]:
    """Read `k=v&k=v`, form-encoded, as much of it as is one."""
    for pair in text.split("&")[:200]:
        name, equals, value = pair.partition("=")
        if equals:
            yield _unquoted(name.replace("+", " ")), _unquoted(value.replace("+", " "))


def _unquoted(text: str) -> str:
    head, *parts = text.split("%")
    octets = head.encode()
    for part in parts:
        try:
            octets += bytes.fromhex(part[:2]) if len(part[:2]) == 2 else b"%" + part[:2].encode()
        except ValueError:
            octets += b"%" + part[:2].encode()
        octets += part[2:].encode()
    return octets.decode("utf-8", "replace")


def _at(value: object, *names: str) -> Any:
    """What stands at these names, one within the other, or None."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(value: object, longest: int) -> str:
    """What a terminal says, safe to keep: text, printable, bounded."""
    if not isinstance(value, str):
        return ""
    said = value[:longest]
    return said if said.isprintable() else "".join(letter for letter in said if letter.isprintable())


def _ore(value: object) -> int | None:
    """An amount in kronor as öre, if it is one: no more than two decimals that count, and no more than a till knows."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    amount = Decimal(value)
    if len(amount.as_tuple().digits) > 15 or amount.adjusted() > 12 or amount < 0:
        return None
    scaled = amount.scaleb(2)
    if scaled != scaled.to_integral_value() or scaled > LARGEST_ORE:
        return None
    return int(scaled)
