"""Swish's own book, simulated: requests, refunds, plain payments, what becomes of them and when, and the report a shop gets.

Knows nothing of sockets and nothing of ours. A request's fate is reckoned when somebody looks: paid after so many ms, decided by a
person, or over after three minutes. Every change is one line of an append-only file, so the process may be killed at any moment.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import re
import secrets
import sys
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

__all__ = ["COLUMNS", "Bank", "Deal", "Refused", "when"]

COLUMNS = (
    "time", "type", "sign", "amount_ore", "currency", "reference", "instruction", "merchant_reference", "original", "payee",
    "message", "payer", "payer_name", "report",
)  # fmt: skip
CREATE = "FF08 RP01 RP02 RP03 RP06 RP09 PA01 PA02 AM02 AM03 AM06 BE18 ACMT03 ACMT07".split()  # refused at once
RESULT = (
    "ACMT01 AM04 VR01 VR02 RF07 BANKIDCL BANKIDONGOING BANKIDUNKN TM01 DS24 FF10".split()
)  # taken, and then not paid
REFUND_CREATE = "FF08 PA01 PA02 RP01 RP02 RP03 RP09 RF02 RF03 RF04 RF06 RF08 RF09 AM02 AM03 AM06 ACMT07".split()
REFUND_RESULT = "AM04 RF07 ACMT01 DS24 FF10".split()
MESSAGE = re.compile(r'[0-9a-zA-ZåäöÅÄÖ :;.,?!()"]{0,50}\Z')
PLAIN = re.compile(r"C([0-9]{8,15});([0-9]{1,10}(?:,[0-9]{2})?);([^;]{0,200});([0-7])?\Z")
AMOUNT = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,2}))?\Z")
OVER = ("PAID", "DECLINED", "ERROR", "CANCELLED")


class Refused(Exception):  # noqa: N818 - an answer of Swish's, not a fault of ours
    """HTTP 422 with these codes."""

    def __init__(self, *codes: str) -> None:
        super().__init__(" ".join(codes))
        self.codes = codes


@dataclass(slots=True)
class Deal:
    """A payment request, a refund, or a plain payment that nobody requested."""

    kind: str  # payment | refund | plain
    id: str
    payee: str
    amount_ore: int
    created: int  # ms
    message: str = ""
    merchant_reference: str = ""
    callback: str = ""
    token: str = ""
    original: str = ""  # of a refund: the payment's reference
    reference: str = ""  # paymentReference, once money moved
    status: str = "CREATED"
    code: str = ""
    paid: int = 0
    payer: str = ""
    fate: str = ""  # the code it will end with; "" for being paid
    report: int = 0  # the report it stands in


def when(ms: int) -> str:
    """Swish's way to write a moment."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}+0000"


def ore(value: object) -> int:
    """Öre of an amount in JSON, text or number. Raises Refused."""
    found = AMOUNT.match(str(value)) if not isinstance(value, bool) else None
    if found is None:
        raise Refused("PA02")
    return int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))


@dataclass
class Bank:
    """What Swish knows. `now` is handed in, in ms."""

    path: Path | None = None
    paid_ms: int | None = 4_000  # None: until somebody decides
    refund_ms: int = 500
    life_ms: int = 180_000
    late_ms: int | None = None  # so long after it said DS24, a payment turns out paid; None for never
    deals: dict[str, Deal] = field(default_factory=dict)
    fates: list[str] = field(default_factory=list)  # how the next requests will end
    report: int = 0
    _file: int = -1

    def __post_init__(self) -> None:
        if self.path is None:
            return
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit(f"{self.path}: another simulator uses this book")
        whole, newline, torn = self.path.read_bytes().rpartition(b"\n")
        if torn:
            os.ftruncate(self._file, len(whole) + len(newline))
        for line in filter(None, whole.split(b"\n")):
            deal = Deal(**json.loads(line))
            self.deals[deal.id] = deal
            self.report = max(self.report, deal.report)

    def _keep(self, deal: Deal) -> Deal:
        self.deals[deal.id] = deal
        if self._file >= 0:
            os.write(self._file, json.dumps(asdict(deal)).encode() + b"\n")
        return deal

    # --- what a shop asks

    def create(self, key: str, body: dict[str, Any], now: int) -> Deal:
        """A payment request. Raises Refused."""
        codes = self._wrong(key, body, "payeeAlias", "payeePaymentReference")
        if "payerAlias" in body and not re.match(r"46[1-9][0-9]{5,12}\Z", str(body["payerAlias"])):
            codes.append("BE18")
        message = str(body.get("message") or "")
        if message in CREATE:
            codes.append(message)
        if codes:
            raise Refused(*codes)
        fate = self.fates.pop(0) if self.fates else message if message in RESULT else ""
        deal = Deal("payment", key, str(body["payeeAlias"]), ore(body["amount"]), now, message,
                    str(body.get("payeePaymentReference") or ""), str(body["callbackUrl"]), secrets.token_hex(16), fate=fate)  # fmt: skip
        return self._keep(deal)

    def refund(self, key: str, body: dict[str, Any], now: int) -> Deal:
        """Money back for a payment. Raises Refused."""
        codes = self._wrong(key, body, "payerAlias", "payerPaymentReference")
        message = str(body.get("message") or "")
        if message in REFUND_CREATE:
            codes.append(message)
        if codes:
            raise Refused(*codes)
        amount_ore, original = ore(body["amount"]), str(body.get("originalPaymentReference") or "")
        found = next(
            (deal for deal in self.deals.values() if deal.kind != "refund" and deal.reference == original), None
        )
        if not original or found is None or found.payee != body["payerAlias"]:
            raise Refused("RF02")
        if amount_ore > found.amount_ore - self._given_back(original, now):
            raise Refused("RF08")
        fate = self.fates.pop(0) if self.fates else message if message in REFUND_RESULT else ""
        deal = Deal("refund", key, str(body["payerAlias"]), amount_ore, now, message,
                    str(body.get("payerPaymentReference") or ""), str(body["callbackUrl"]), original=original, fate=fate)  # fmt: skip
        return self._keep(deal)

    def _wrong(self, key: str, body: dict[str, Any], shop: str, reference: str) -> list[str]:
        codes = []
        if not re.match(r"[0-9A-F]{12}[1345][0-9A-F]{19}\Z", key):
            codes.append("PA01")
        if key in self.deals:
            codes.append("RP09")
        if not re.match(r"123[0-9]{7}\Z", str(body.get(shop) or "")):
            codes.append("RP01")
        if not re.match(r"[0-9A-Za-z]{0,36}\Z", str(body.get(reference) or "")):
            codes.append("FF08")
        if not str(body.get("callbackUrl") or "").startswith("https://"):
            codes.append("RP03")
        if not MESSAGE.match(str(body.get("message") or "")):
            codes.append("RP02")
        if body.get("currency") != "SEK":
            codes.append("AM03")
        try:
            amount_ore = ore(body.get("amount"))
        except Refused as refused:
            return [*codes, *refused.codes]
        if amount_ore < 1:
            codes.append("AM06")
        return codes

    def look(self, key: str, now: int) -> Deal | None:
        """A deal as it stands now."""
        deal = self.deals.get(key)
        return self._settle(deal, now) if deal is not None else None

    def cancel(self, key: str, now: int) -> Deal | None:
        """Stop a request that is open. Raises Refused when it is too late."""
        deal = self.look(key, now)
        if deal is None or deal.kind != "payment":
            return None
        if deal.status == "CREATED":
            deal.status = "CANCELLED"
            return self._keep(deal)
        if deal.status == "CANCELLED":
            return deal
        raise Refused("RP08")

    # --- what a customer does

    def scan(self, text: str, now: int, *, approve: bool = True) -> Deal:
        """A customer's app reads a code: of a request (D…), or of a plain payment (C…), and approves or declines. Raises ValueError."""
        if text.startswith("D"):
            found = next((deal for deal in self.deals.values() if deal.token and f"D{deal.token}" == text), None)
            if found is None:
                raise ValueError("no request has this code")
            return self.decide(found.id, "PAID" if approve else "DECLINED", now)
        plain = PLAIN.match(text)
        if plain is None:
            raise ValueError("this is no code for a payment")
        payee, amount, message, _ = plain.groups()
        deal = Deal("plain", secrets.token_hex(16).upper(), payee, ore(amount.replace(",", ".")), now, unquote(message))
        return self._pay(deal, now) if approve else deal

    def decide(self, key: str, status: str, now: int, code: str = "") -> Deal:
        """End an open request, or what DS24 left open. Raises ValueError."""
        deal = self.look(key, now)
        if deal is None:
            raise ValueError(f"no request {key}")
        if status not in OVER or (deal.status in OVER and deal.code != "DS24"):
            raise ValueError(f"it is {deal.status}")
        if status == "PAID":
            return self._pay(deal, now)
        deal.status, deal.code = status, code or ("RF07" if status == "DECLINED" else "")
        return self._keep(deal)

    def open(self, now: int) -> list[Deal]:
        """Requests that wait for somebody, the newest first."""
        waiting = [
            deal
            for deal in self.deals.values()
            if self._settle(deal, now).status == "CREATED" and deal.kind == "payment"
        ]
        return sorted(waiting, key=lambda deal: -deal.created)

    # --- what becomes of them

    def _settle(self, deal: Deal, now: int) -> Deal:
        age = now - deal.created
        if deal.kind == "refund":
            return self._settle_refund(deal, age, now)
        if deal.status == "CREATED" and self.paid_ms is not None and age >= self.paid_ms:
            self._end(deal, now)
        elif deal.status == "CREATED" and age >= self.life_ms:
            deal.status, deal.code = "ERROR", "TM01"
            self._keep(deal)
        if deal.code == "DS24" and deal.status == "ERROR" and self.late_ms is not None and age >= self.late_ms:
            self._pay(deal, now)
        return deal

    def _settle_refund(self, deal: Deal, age: int, now: int) -> Deal:
        if deal.status in ("PAID", "ERROR"):
            return deal
        if age < self.refund_ms:
            deal.status = "VALIDATED" if age < self.refund_ms // 2 else "DEBITED"
            return deal
        self._end(deal, now)
        return deal

    def _end(self, deal: Deal, now: int) -> None:
        if not deal.fate:
            self._pay(deal, now)
            return
        deal.status, deal.code = "DECLINED" if deal.fate == "RF07" and deal.kind == "payment" else "ERROR", deal.fate
        self._keep(deal)

    def _pay(self, deal: Deal, now: int) -> Deal:
        deal.status, deal.code, deal.paid = "PAID", "", now
        deal.reference = deal.reference or secrets.token_hex(16).upper()
        deal.payer = deal.payer or f"467{secrets.randbelow(10**8):08d}"
        return self._keep(deal)

    def _given_back(self, original: str, now: int) -> int:
        refunds = (deal for deal in self.deals.values() if deal.kind == "refund" and deal.original == original)
        return sum(deal.amount_ore for deal in refunds if self._settle(deal, now).status != "ERROR")

    # --- what a shop reads

    def net_ore(self, now: int) -> int:
        """What customers paid and did not get back."""
        paid = [deal for deal in self.deals.values() if self._settle(deal, now).status == "PAID"]
        return sum(-deal.amount_ore if deal.kind == "refund" else deal.amount_ore for deal in paid)

    def moved(self, now: int) -> list[Deal]:
        """Every movement that was in no report before."""
        return [deal for deal in self.deals.values() if self._settle(deal, now).status == "PAID" and not deal.report]

    def report_csv(self, now: int) -> str:
        """What moved, as CSV with a header line; the next call gives what came since."""
        moved = self.moved(now)
        self.report += 1
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        for deal in sorted(moved, key=lambda deal: deal.paid):
            deal.report = self.report
            self._keep(deal)
            back = deal.kind == "refund"
            writer.writerow((
                when(deal.paid), deal.kind, "-" if back else "+", deal.amount_ore, "SEK", deal.reference,
                "" if deal.kind == "plain" else deal.id, deal.merchant_reference, deal.original, deal.payee, deal.message,
                deal.payer, "Kund", self.report,
            ))  # fmt: skip
        return out.getvalue()
