"""Swish in the shop's words: what is asked, what an answer proves, and what the cashier does next (Handel API v2, reference swish).

Pure: a request to Swish as bytes, an answer as a `Seen` or nothing. Of what Swish tells only the fields of `Seen` are read, so a
payer's number and name have no place to go (law 7, PT7). Money has moved when Swish says PAID about our own id, with our amount,
currency and number, and never otherwise (PT5); DS24 says that nobody knows (PT2). The wire is `drivers/swish_client.py`'s.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from oppet.base import canonical
from oppet.base.words import N_
from oppet.payments.tender import APPROVED, DECLINED, IN_PROGRESS, NOT_NOW, SILENT

__all__ = [
    "CANCEL", "EDIT_AMOUNT", "EDIT_MESSAGE", "EDIT_PAYEE", "LARGEST_ANSWER", "LIFE_MS", "NOT_FOUND_MS", "PAYEE", "REQUEST_MS",
    "VERDICTS", "Expected", "Seen", "Verdict", "advice", "alone_code", "choose_certificate", "clean_message", "error_codes",
    "instruction", "judge", "look_after_ms", "outcome_of", "payment_body", "plain_qr", "read_payment", "read_refund", "reference",
    "refund_body", "refused_outcome", "token_qr",
]  # fmt: skip

PAYEE = r"^123[0-9]{7}\Z"  # a merchant's Swish number
REQUEST_MS = 180_000  # a request lives for three minutes
LIFE_MS = 190_000  # and is looked at for a little longer
NOT_FOUND_MS = LIFE_MS  # only so long after it was asked does "unknown" mean that it never came
LARGEST_ANSWER = 64 << 10
LONGEST_MESSAGE = 50
CANCEL = b'[{"op":"replace","path":"/status","value":"cancelled"}]'
EDIT_PAYEE, EDIT_AMOUNT, EDIT_MESSAGE = 1, 2, 4

_NAMESPACE = hashlib.sha256(b"oppet swish instruction 1").digest()[:16]
_NOT_IN_MESSAGE = re.compile(r'[^0-9a-zA-ZåäöÅÄÖ :;.,?!()"]')
_AMOUNT = re.compile(rb'"?(\d{1,12})(?:\.(\d{1,2}))?"?\Z')
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")  # RFC 3986: never escaped


# --- what we ask --------------------------------------------------------------------------------------------------


def instruction(key: str, till: str, epoch: int, number: int) -> str:
    """The instruction UUID of a till's exchange: version 5's form, 32 hex digits in capitals.

    `key` is the public key of the till's epoch: another installation under the same name asks under other ids.
    """
    name = f"{key}/{till}/{epoch}/{number}".encode()
    made = bytearray(hashlib.sha1(_NAMESPACE + name, usedforsecurity=False).digest()[:16])
    made[6] = made[6] & 0x0F | 0x50
    made[8] = made[8] & 0x3F | 0x80
    return made.hex().upper()


def reference(place: str, sale: int, tender: int) -> str:
    """Our own reference, which the Swish report repeats for people: at most 35 capitals and digits. `place`: the till's name."""
    return f"{re.sub('[^0-9A-Za-z]', '', place).upper()[:12]}S{sale}T{tender}"[:35]


def alone_code(till: str, epoch: int, number: int) -> str:
    """What stands in the message of a payment that nothing confirms, and is found again in the Swish report by.

    Till, epoch and number with full stops between, of which a till's name has none: no two are the same, and nobody is named.
    """
    return f"{till.replace('-', '.')}.{epoch}.{number:04d}"


def clean_message(text: str) -> str:
    """Only what Swish allows, at most 50 characters; anything else becomes a space, and spaces never pile up."""
    return " ".join(_NOT_IN_MESSAGE.sub(" ", text).split())[:LONGEST_MESSAGE].rstrip()


def payment_body(payee: str, amount_ore: int, our_reference: str, message: str, callback_url: str) -> bytes:
    """A request without a payer: Swish answers with a token, and whoever reads its code pays."""
    assert amount_ore > 0, "nothing is never asked for"
    return canonical.encode({
        "payeePaymentReference": our_reference, "callbackUrl": callback_url, "payeeAlias": payee,
        "amount": _amount_text(amount_ore), "currency": "SEK", "message": clean_message(message),
    })  # fmt: skip


def refund_body(
    payee: str, amount_ore: int, original: str, our_reference: str, message: str, callback_url: str
) -> bytes:
    """Money back for the payment `original` (its paymentReference). The payer of a refund is the shop."""
    assert amount_ore > 0, "nothing is never given back"
    return canonical.encode({
        "originalPaymentReference": original, "payerPaymentReference": our_reference, "callbackUrl": callback_url,
        "payerAlias": payee, "amount": _amount_text(amount_ore), "currency": "SEK", "message": clean_message(message),
    })  # fmt: skip


def _amount_text(ore: int) -> str:
    return f"{ore // 100}.{ore % 100:02d}"


# --- codes to read with a phone ------------------------------------------------------------------------------------


def token_qr(token: str) -> str:
    """What the customer display shows of a request."""
    return f"D{token}"


def plain_qr(payee: str, amount_ore: int | None = None, message: str = "", *, editable: int = 0) -> str:
    """The code that works while no line does (C-format, reference §8): number, amount, message, and what the payer may change."""
    amount = f"{amount_ore // 100},{amount_ore % 100:02d}" if amount_ore is not None else ""
    return f"C{payee};{amount};{_escaped(message)};{editable}"


def _escaped(text: str) -> str:
    return "".join(c if c in _PLAIN else "".join(f"%{octet:02X}" for octet in c.encode()) for c in text)


# --- what Swish says ----------------------------------------------------------------------------------------------


class Seen(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that is read of a payment or refund. Whoever paid, and what they are called, is not among it."""

    id: str
    status: str
    amount_ore: int
    currency: str
    payee: str  # the shop's number
    reference: str = ""  # paymentReference: what a refund refers to and the report names
    original: str = ""  # of a refund: the payment it gives back
    paid: str = ""  # when, in Swish's own words
    code: str = ""  # errorCode


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the store node says to a till's question about Swish. `what` is one of `VERDICTS`."""

    what: str
    why: str = ""
    token: str = ""  # of an open request, for the code on the customer display
    seen: Seen | None = None
    path: str = "unknown"  # how Swish stands, as the node sees it (paths.py)
    path_why: str = ""


# working: asked, no answer yet; board: only how it stands; away: nothing was sent; silent: sent, and nothing believable came back;
# created: taken; refused: not taken, `why` is the code; missing: Swish does not know the id; wrong: an answer about something else
VERDICTS = frozenset({"working", "board", "away", "silent", "created", "refused", "seen", "missing", "wrong"})


class Expected(msgspec.Struct, frozen=True):
    """What an answer must be about to be one."""

    id: str
    amount_ore: int  # 0 where only its being known counts
    payee: str = ""  # "" where only the node knows it
    original: str = ""


Word = Annotated[str, Meta(max_length=64, pattern=r"^[0-9A-Za-z_.:+-]*\Z")]


class _Said(msgspec.Struct, rename="camel"):
    """The white list, as JSON names it."""

    id: Word
    status: Word
    amount: msgspec.Raw
    currency: Word
    payee_alias: msgspec.Raw = msgspec.Raw()
    payer_alias: msgspec.Raw = msgspec.Raw()
    payment_reference: Word | None = None
    original_payment_reference: Word | None = None
    date_paid: Word | None = None
    error_code: Word | None = None


class _Wrong(msgspec.Struct, rename="camel"):
    error_code: Word = ""


def read_payment(data: bytes) -> Seen | None:
    """A payment as Swish tells it, or None for anything that is none. Raises nothing."""
    said = _read(data)
    if said is None or (said.status == "PAID" and not said.payment_reference):
        return None  # a payment that nobody can refer to proves nothing yet
    return _seen(said, said.payee_alias)


def read_refund(data: bytes) -> Seen | None:
    """A refund as Swish tells it: its payer is the shop; any other payer there is not read."""
    said = _read(data)
    return _seen(said, said.payer_alias) if said is not None else None


def _read(data: bytes) -> _Said | None:
    if len(data) > LARGEST_ANSWER:
        return None
    try:
        return msgspec.json.decode(data, type=_Said)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _seen(said: _Said, shop: msgspec.Raw) -> Seen | None:
    amount_ore = _ore(bytes(said.amount))
    payee = bytes(shop).strip(b'"').decode("ascii", "replace")
    if amount_ore is None:
        return None
    return Seen(
        said.id.upper(), said.status, amount_ore, said.currency, payee if re.match(PAYEE, payee) else "",
        said.payment_reference or "", said.original_payment_reference or "", said.date_paid or "", said.error_code or "",
    )  # fmt: skip


def _ore(text: bytes) -> int | None:
    found = _AMOUNT.match(text)
    return int(found[1]) * 100 + int((found[2] or b"").ljust(2, b"0")) if found else None


def error_codes(data: bytes) -> tuple[str, ...]:
    """The codes of a refusal (HTTP 422); none where it is no list of them."""
    if len(data) > LARGEST_ANSWER:
        return ()
    try:
        said = msgspec.json.decode(data, type=Annotated[list[_Wrong], Meta(max_length=20)])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ()
    return tuple(one.error_code for one in said if one.error_code)


# --- what it means ------------------------------------------------------------------------------------------------


def judge(seen: Seen, expected: Expected) -> str:
    """What is wrong about an answer: "" for nothing, else the field that makes it no answer and an alarm (PT5)."""
    if seen.id != expected.id:
        return "id"
    if expected.amount_ore and seen.amount_ore != expected.amount_ore:
        return "amount"
    if seen.currency != "SEK":
        return "currency"
    if expected.payee and seen.payee != expected.payee:
        return "payee"
    if expected.original and seen.original and seen.original != expected.original:
        return "original"
    return ""


# (status, whether it is a refund) → outcome. What is not here says nothing. DEBITED has left us and is not with the customer yet: only
# PAID and ERROR are final (reference §4).
STATUS: dict[tuple[str, bool], str] = {
    ("CREATED", False): IN_PROGRESS,
    ("PAID", False): APPROVED,
    ("DECLINED", False): DECLINED,
    ("ERROR", False): DECLINED,
    ("CANCELLED", False): DECLINED,
    ("CREATED", True): IN_PROGRESS,
    ("VALIDATED", True): IN_PROGRESS,
    ("INITIATED", True): IN_PROGRESS,
    ("DEBITED", True): IN_PROGRESS,
    ("PAID", True): APPROVED,
    ("ERROR", True): DECLINED,
}


def outcome_of(seen: Seen, *, back: bool) -> tuple[str, str]:
    """What the status of a payment, or of a refund (`back`), comes to, and why: one of tender.py's outcomes."""
    outcome = STATUS.get((seen.status, back), SILENT)
    if outcome == DECLINED and seen.code == "DS24":
        return SILENT, "DS24"  # the banks did not answer Swish: nobody knows, until the status says otherwise
    if outcome == DECLINED:
        return (NOT_NOW if back and seen.code in _LATER else DECLINED), seen.code or seen.status.lower()
    return outcome, "" if outcome == APPROVED else seen.code or seen.status.lower()


def refused_outcome(codes: Sequence[str], *, back: bool) -> tuple[str, str]:
    """What a request that Swish refused to take (HTTP 422) comes to.

    RP09, our id is used: we asked before, and only its status says more. A refund that cannot be taken now is asked for again
    under the same id, so nobody knows yet.
    """
    if "RP09" in codes:
        return SILENT, "RP09"
    first = next((code for code in codes if code in ADVICE), codes[0] if codes else "refused")
    return (SILENT if back and first in _LATER else DECLINED), first


_LATER = frozenset({"RF09"})  # another refund of the same payment is under way


def look_after_ms(elapsed_ms: int, part: int = 0) -> int | None:
    """How long until a request is looked at next, so long after it was made; None when the last look has been.

    2 s after creation, every 2–3 s to 30 s, every 5 s to 190 s, and once more (reference §5). `part` of 0–1000 sets tills apart.
    """
    if elapsed_ms >= LIFE_MS:
        return None
    wait = 2_000 if elapsed_ms < 1_000 else 2_000 + part if elapsed_ms < 30_000 else 5_000
    return min(wait, LIFE_MS - elapsed_ms)


def choose_certificate(now: int, spans: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Which of our certificates to show, the best first: those valid now, the one that is valid longest before.

    Two lie side by side while one is exchanged for the next. Instants in milliseconds.
    """
    good = [place for place, (begins, ends) in enumerate(spans) if begins <= now <= ends]
    return tuple(sorted(good, key=lambda place: (-spans[place][1], place)))


# What the cashier does next, by the code of the refusal (reference §6) or by ours.
ADVICE: dict[str, str] = {
    "FF08": N_("Swish refuses our reference. Take another payment, and tell head office."),
    "RP01": N_("The shop’s Swish number is missing. Take another payment, and tell head office."),
    "RP02": N_("Swish refuses our message. Take another payment, and tell head office."),
    "RP03": N_("Swish refuses our settings. Take another payment, and tell head office."),
    "RP04": N_("The code is no longer valid. Ask for the payment again."),
    "RP06": N_("The customer already has an open Swish request. Let them end it in the app, then ask again."),
    "RP09": N_("The request was sent before. Wait: Swish is asked what became of it."),
    "PA01": N_("Swish refuses our request. Take another payment, and tell head office."),
    "PA02": N_("Swish refuses the amount. Take another payment."),
    "AM02": N_("The amount is too large for Swish. Take part of it another way."),
    "AM03": N_("Swish refuses the currency. Take another payment, and tell head office."),
    "AM04": N_("There is not enough money on the account. Take another payment."),
    "AM06": N_("The amount is below what Swish takes here. Take another payment."),
    "BE18": N_("Swish does not know this number. Let the customer read the code instead."),
    "ACMT01": N_("Swish is not active for one of the two. Take another payment."),
    "ACMT03": N_("The customer has no Swish. Take another payment."),
    "ACMT07": N_("The shop’s number has no Swish agreement. Take another payment, and tell head office."),
    "VR01": N_("The customer is below the age limit. Do not sell the article."),
    "VR02": N_("The customer is not who the request was for. Take another payment."),
    "RF02": N_("The payment cannot be found, or is older than 13 months. Give the money back another way."),
    "RF03": N_("The customer’s number has changed. Give the money back another way."),
    "RF04": N_("The shop’s organisation number has changed. Give the money back another way."),
    "RF06": N_("The customer’s number belongs to somebody else now. Give the money back another way."),
    "RF07": N_("The customer’s bank said no. Take another payment."),
    "RF08": N_("More than is left of the payment cannot be given back. Give the rest back another way."),
    "RF09": N_("Another refund of this payment is under way. It is tried again by itself."),
    "BANKIDCL": N_("The customer stopped in BankID. Ask again, or take another payment."),
    "BANKIDONGOING": N_("BankID is busy with something else. Let the customer end that, then ask again."),
    "BANKIDUNKN": N_("BankID could not identify the customer. Ask again, or take another payment."),
    "TM01": N_("The customer did not pay in time. Ask again, or take another payment."),
    "DS24": N_("The banks did not answer Swish, so nobody knows whether the customer paid. Do not take the amount again in Swish: "
               "take another payment, and if this one turns out paid it goes back by itself."),
    "FF10": N_("The bank has a fault. Ask again, or take another payment."),
    "declined": N_("The customer said no. Take another payment."),
    "cancelled": N_("The request was stopped, and nothing was paid."),
    "no_code": N_("Swish’s answer with the code was lost, so the request was stopped and nothing was paid. Ask again."),
    "not_found": N_("Swish knows nothing of the request. It is asked about until that is certain."),
    "never_came": N_("The request never reached Swish, and nothing was paid. Ask again, or take another payment."),
    "no_original": N_("This till does not have the payment that is to be given back. Give the money back another way."),
    "away": N_("Swish does not answer now. Take another payment."),
    "node_away": N_("The store node does not answer, and Swish goes through it. Take another payment."),
    "certificate": N_("The shop’s Swish certificate is not accepted. Take another payment, and tell head office."),
    "wrong": N_("An answer did not fit what was asked and is not believed. Take another payment; the alarm is raised."),
}  # fmt: skip


def advice(why: str) -> str:
    """The sentence for a code, to be translated where it is shown; "" for one that says nothing to a cashier."""
    return ADVICE.get(why, "")
