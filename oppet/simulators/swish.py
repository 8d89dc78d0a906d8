"""A Swish server: `python -m oppet.simulators.swish --folder FOLDER`.

Speaks Handel API v2 (reference swish) over mutual TLS with an authority of its own; its book and decisions are `swish_bank.py`, which
the folder keeps. Imports nothing of ours but this room. One JSON line on standard output says where everything is.

**In the folder**: `ca.pem` (whom to believe), `client-1.pem` and `client-2.pem` (certificate and key of the merchant, the second is
valid longer), `client-expired.pem`, `client-stranger.pem` (of another authority), `client-other.pem` (of another merchant), `book.jsonl`.

**API**: under any path that ends in `/api`: PUT v2/paymentrequests/ID, GET and PATCH v1/paymentrequests/ID, PUT v2/refunds/ID,
GET v1/refunds/ID. A message that is an error code is refused with it or ends with it, as Swish's own simulator does. A request is paid
after --paid-ms, or waits for somebody (--by-hand) and is over after --life-ms.

**Customer's app**: the page on the control port (`/`, Swedish; `/?lang=en`), or POST /control/scan {"qr": "D…" or "C…", "approve": true}:
a code of a request pays it, a plain code (`C…;amount;message;0`) is a payment nobody requested.

**Control** (POST /control):
  {"fault": NAME, "on": CALL, "count": 1, …}   CALL: create, retrieve, cancel, refund, retrieve_refund, any; count 0 until cleared
     delay (seconds; done, answered late) · lost (done, no answer) · dropped (not done, no answer) · silent (done, the line stays mute)
     twice · cut · html · huge (bytes) · status (code; not done) · done_status (code; done) · refused (code of a 422; not done)
     wrong_id · wrong_amount · wrong_currency · wrong_payee (done, the answer lies)
  {"fault": "clear"}
  {"mode": "ok" | "away" | "plain" | "expired" | "stranger"}   nothing listens; no TLS; a certificate that ended; one that nobody knows
  {"paid_ms": 500 or null, "refund_ms": 0, "life_ms": 180000, "late_ms": 9000 or null}   late_ms: then what said DS24 turns out paid
  {"fate": "DS24"}                          how the next request or refund will end
  {"decide": ID, "status": "PAID" | "DECLINED" | "ERROR", "code": "…"}
  {"report": true}                          write the next Swish report to the folder of reports now
GET /control/state says what is in the book and how often each call came, POST /control/reset forgets all.

**Swish report**: `swish-report-YYYYMMDD-NNNN.csv` in --reports, written under another name and then renamed. UTF-8, comma, a header line;
one row per movement that was in no earlier file:
  time                as Swish writes it: 2026-11-22T10:00:00.000+0000
  type                payment (requested) | refund | plain (to the shop's number, nobody requested it)
  sign, amount_ore    + to the shop, - from it; whole öre
  currency            SEK
  reference           paymentReference: what the till has as its evidence
  instruction         the request's id; empty for a plain payment
  merchant_reference  the shop's own reference in the request
  original            of a refund: the reference of the payment
  payee, message      the shop's number, and the message: of a plain payment the code the till showed
  payer, payer_name   who paid, as real reports say it: a reader leaves both
  report              the file's number
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import html
import ipaddress
import json
import ssl
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from oppet.simulators.swish_bank import Bank, Deal, Refused, when
from oppet.simulators.web import Reply, Request, Server, json_reply

__all__ = ["Swish", "main", "make_papers"]

PAYEE = "1231181189"
FAULTS = (
    "delay", "lost", "dropped", "silent", "twice", "cut", "html", "huge", "status", "done_status", "refused", "wrong_id", "wrong_amount",
    "wrong_currency", "wrong_payee",
)  # fmt: skip
CALLS = ("create", "retrieve", "cancel", "refund", "retrieve_refund", "any")
MODES = ("ok", "away", "plain", "expired", "stranger")
PORTAL = b"<!doctype html><title>Guest network</title><p>Sign in to go on.</p>"
DAY = timedelta(days=1)


# --- certificates -------------------------------------------------------------------------------------------------


def make_papers(folder: Path, payee: str) -> None:
    """An authority, a stranger's, and everything they certify. What is there already stays, so a restart changes nothing."""
    if (folder / "ca.pem").exists():
        return
    for authority in ("ca", "stranger"):
        key = ec.generate_private_key(ec.SECP256R1())
        root = _certificate(f"Simulated Swish {authority}", key, None, key, (-30, 3650))
        _write(folder / f"{authority}.pem", root)
        if authority == "ca":
            names = {"server": ("localhost", 3650), "server-expired": ("localhost", -1), "client-1": (payee, 60),
                     "client-2": (payee, 730), "client-expired": (payee, -1), "client-other": ("1239999999", 730)}  # fmt: skip
        else:
            names = {"server-stranger": ("localhost", 730), "client-stranger": (payee, 730)}
        for name, (whose, days) in names.items():
            own = ec.generate_private_key(ec.SECP256R1())
            _write(folder / f"{name}.pem", _certificate(whose, own, root, key, (-30, days)), own)


def _certificate(
    whose: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Certificate | None, signer: ec.EllipticCurvePrivateKey, days: tuple[int, int]
) -> x509.Certificate:  # fmt: skip
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, whose)]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.subject if issuer is not None else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * DAY)
        .not_valid_after(now + days[1] * DAY)
        .add_extension(
            x509.BasicConstraints(ca=issuer is None, path_length=0 if issuer is None else None), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    here = [
        x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "127.0.0.2")
    ]  # the second behind a relay
    usage = [x509.DNSName("localhost"), *here]
    if whose == "localhost":
        made = made.add_extension(x509.SubjectAlternativeName(usage), critical=False)
    if issuer is None:
        bits = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        made = made.add_extension(bits, critical=True)
    return made.sign(signer, hashes.SHA256())


def _write(path: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey | None = None) -> None:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) if key is not None else b""
    path.touch(mode=0o600)
    path.write_bytes(private + certificate.public_bytes(Encoding.PEM))


def server_context(folder: Path, name: str) -> ssl.SSLContext:
    """TLS that asks for a certificate of our authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder / f"{name}.pem")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


# --- the API ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Fault:
    """Something to do wrong with the next calls of one sort."""

    fault: str
    on: str = "any"
    count: int = 1
    seconds: float = 1.0
    bytes: int = 100_000_000
    code: str | int = 500


class Swish:
    """The API over the book, and the control port beside it."""

    def __init__(self, bank: Bank, folder: Path, reports: Path) -> None:
        self.bank, self.folder, self.reports = bank, folder, reports
        self.faults: list[Fault] = []
        self.calls: Counter[str] = Counter()
        self.mode = "ok"
        self.api = Server(self._api, server_context(folder, "server"))

    # --- what a shop calls

    async def _api(self, request: Request) -> Reply | None:
        call, key = _call_of(request)
        if not call:
            return Reply(404)
        self.calls[call] += 1
        fault = self._take(call)
        name = fault.fault
        if name == "dropped":
            return None
        if name == "html":
            return Reply(200, PORTAL, "text/html")
        if name == "status":
            return Reply(int(fault.code))
        if name == "refused":
            return _refusal((str(fault.code),))
        return self._spoilt(fault, self._done(call, key, request))

    def _take(self, call: str) -> Fault:
        for fault in self.faults:
            if fault.on in (call, "any"):
                if fault.count == 1:
                    self.faults.remove(fault)
                elif fault.count:
                    fault.count -= 1
                return fault
        return Fault("")

    def _done(self, call: str, key: str, request: Request) -> Reply:
        """Do what was asked, as Swish would."""
        now = _now()
        kind = request.headers.get("content-type", "").partition(";")[0]
        if call in ("create", "refund"):
            if kind != "application/json":
                return Reply(415)
            return self._make(call, key, request, now)
        if call == "cancel":
            if kind != "application/json-patch+json":
                return Reply(415)
            with contextlib.suppress(ValueError, TypeError, KeyError, IndexError):
                if json.loads(request.body)[0] == {"op": "replace", "path": "/status", "value": "cancelled"}:
                    return self._cancel(key, request.peer, now)
            return Reply(400)
        deal = self.bank.look(key, now)
        if (
            deal is None
            or deal.kind != ("refund" if call == "retrieve_refund" else "payment")
            or deal.payee != request.peer
        ):
            return Reply(404)
        return json_reply(_told(deal))

    def _make(self, call: str, key: str, request: Request, now: int) -> Reply:
        try:
            body = json.loads(request.body)
        except (ValueError, RecursionError):
            return Reply(400)
        if not isinstance(body, dict):
            return Reply(400)
        shop = body.get("payeeAlias" if call == "create" else "payerAlias")
        if shop and shop != request.peer:
            return Reply(403)
        try:
            deal = self.bank.create(key, body, now) if call == "create" else self.bank.refund(key, body, now)
        except Refused as refused:
            return _refusal(refused.codes)
        word = "paymentrequests" if call == "create" else "refunds"
        token = (("PaymentRequestToken", deal.token),) if deal.token else ()
        return Reply(
            201, headers=(("Location", f"https://localhost:{self.api.port}/swish-cpcapi/api/v1/{word}/{key}"), *token)
        )

    def _cancel(self, key: str, peer: str, now: int) -> Reply:
        try:
            deal = self.bank.look(key, now)
            done = self.bank.cancel(key, now) if deal is not None and deal.payee == peer else None
        except Refused as refused:
            return _refusal(refused.codes)
        return json_reply(_told(done)) if done is not None else Reply(404)

    @staticmethod
    def _spoilt(fault: Fault, good: Reply) -> Reply | None:
        """What arrives of a good answer."""
        lies: dict[str, dict[str, object]] = {
            "wrong_id": {"id": "F" * 32}, "wrong_currency": {"currency": "EUR"},
            "wrong_payee": {"payeeAlias": "1239999999", "payerAlias": "1239999999"}, "wrong_amount": {"amount": 0.01},
        }  # fmt: skip
        if fault.fault == "wrong_id" and good.headers:
            lie = tuple((name, value[:-32] + "F" * 32 if name == "Location" else value) for name, value in good.headers)
            return replace(good, headers=lie)
        if fault.fault in lies and good.body:
            body = json.loads(good.body)
            return replace(
                good, body=json.dumps(body | lies[fault.fault]).encode() if isinstance(body, dict) else good.body
            )
        made: dict[str, Reply | None] = {
            "lost": None,
            "delay": replace(good, after_s=fault.seconds),
            "silent": replace(good, silent=True),
            "twice": replace(good, twice=True),
            "cut": replace(good, cut=(len(good.head()) + len(good.body)) * 2 // 3),
            "huge": replace(good, flood=fault.bytes),
        }
        if fault.fault == "done_status":
            return Reply(int(fault.code))
        return made.get(fault.fault, good)

    # --- the control port

    async def control(self, request: Request) -> Reply:
        """Orders, the page and what is known. Never tears the line: a wrong order is told in words."""
        try:
            return await self._ordered(request)
        except (ValueError, TypeError, KeyError) as error:
            return json_reply({"error": str(error)}, 400)

    async def _ordered(self, request: Request) -> Reply:
        now = _now()
        match request.method, request.path:
            case "GET", "/":
                return Reply(200, self._page(request.query, now).encode(), "text/html; charset=utf-8")
            case "POST", "/":
                return self._pressed(request, now)
            case "GET", "/control/state":
                return json_reply(self._state(now))
            case "POST", "/control/scan":
                wish = json.loads(request.body)
                return json_reply(asdict(self.bank.scan(str(wish["qr"]), now, approve=bool(wish.get("approve", True)))))
            case "POST", "/control/reset":
                self.bank.deals.clear()
                self.bank.fates.clear()
                self.faults.clear()
                self.calls.clear()
                return json_reply({})
            case "POST", "/control":
                return json_reply(await self._order(json.loads(request.body), now))
        return json_reply({"error": f"{request.method} {request.path}"}, 404)

    async def _order(self, wish: dict[str, Any], now: int) -> dict[str, object]:
        if "fault" in wish:
            self._order_fault(wish)
        if "fate" in wish:
            self.bank.fates.append(str(wish["fate"]))
        if "decide" in wish:
            self.bank.decide(str(wish["decide"]), str(wish["status"]), now, str(wish.get("code", "")))
        if "mode" in wish:
            await self._stand(str(wish["mode"]))
        for name in ("paid_ms", "refund_ms", "life_ms", "late_ms"):
            if name in wish:
                setattr(self.bank, name, int(wish[name]) if wish[name] is not None else None)
        if wish.get("report"):
            return {"report": str(self._report(now))}
        return {"faults": [asdict(fault) for fault in self.faults], "mode": self.mode}

    def _order_fault(self, wish: dict[str, Any]) -> None:
        fault = Fault(**wish)
        if fault.fault == "clear":
            self.faults.clear()
        elif fault.fault not in FAULTS or fault.on not in CALLS:
            raise ValueError(f"faults: {', '.join(FAULTS)}; on: {', '.join(CALLS)}")
        else:
            self.faults.append(fault)

    async def _stand(self, mode: str) -> None:
        if mode not in MODES:
            raise ValueError(f"modes: {', '.join(MODES)}")
        self.mode = mode
        self.api.close()
        names = {"ok": "server", "expired": "server-expired", "stranger": "server-stranger"}
        self.api.tls = server_context(self.folder, names[mode]) if mode in names else None
        if mode != "away":
            await self.api.open()

    def _state(self, now: int) -> dict[str, object]:
        deals = [self.bank.look(key, now) for key in self.bank.deals]
        return {
            "mode": self.mode, "calls": dict(self.calls), "net_ore": self.bank.net_ore(now), "open": len(self.bank.open(now)),
            "faults": [asdict(fault) for fault in self.faults], "deals": [asdict(deal) for deal in deals if deal is not None],
        }  # fmt: skip

    def report_what_moved(self) -> None:
        """Write a report if it would have a line."""
        now = _now()
        if self.bank.moved(now):
            self._report(now)

    def _report(self, now: int) -> Path:
        self.reports.mkdir(parents=True, exist_ok=True)
        text = self.bank.report_csv(now)
        path = self.reports / f"swish-report-{datetime.now(UTC):%Y%m%d}-{self.bank.report:04d}.csv"
        fresh = path.with_name(path.name + ".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
        return path

    # --- the customer's app, as a page

    def _pressed(self, request: Request, now: int) -> Reply:
        said = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        words, wrong = _WORDS["en" if said.get("lang") == "en" else "sv"], ""
        try:
            if said.get("qr"):
                self.bank.scan(said["qr"].strip(), now)
            else:
                self.bank.decide(said.get("id", ""), said.get("status", ""), now)
        except (ValueError, Refused) as error:
            wrong = f"{words['wrong']} ({error})"
        return Reply(200, self._page(f"lang={said.get('lang', 'sv')}", now, wrong).encode(), "text/html; charset=utf-8")

    def _page(self, query: str, now: int, wrong: str = "") -> str:
        lang = "en" if "lang=en" in query else "sv"
        words = _WORDS[lang]
        rows = "".join(
            f"<li><b>{_kronor(deal.amount_ore)} kr</b> {html.escape(deal.message)}"
            + "".join(
                f'<form method="post"><input type="hidden" name="lang" value="{lang}"><input type="hidden" name="id" value="{deal.id}">'
                f'<button name="status" value="{status}">{words[status]}</button></form>'
                for status in ("PAID", "DECLINED")
            )
            for deal in self.bank.open(now)[:50]
        )
        done = [deal for deal in self.bank.deals.values() if deal.status != "CREATED"][-10:]
        lately = "".join(
            f"<li>{_kronor(deal.amount_ore)} kr {html.escape(deal.message)} – {words.get(deal.status, deal.status)} "
            f"{html.escape(deal.code)}"
            for deal in reversed(done)
        )
        return _PAGE.format(
            lang=lang, rows=rows or f"<li>{words['none']}", lately=lately, wrong=f"<p role=alert>{html.escape(wrong)}</p>" if wrong else "",
            **{name: words[name] for name in ("title", "open", "done", "scan", "pay", "other")}, to="sv" if lang == "en" else "en",
        )  # fmt: skip


_WORDS = {
    "sv": {
        "title": "Kundens Swish-app (simulerad)", "open": "Väntar på kunden", "done": "Nyss", "none": "Inget väntar.", "PAID": "Betala",
        "DECLINED": "Neka", "ERROR": "fel", "CANCELLED": "avbruten", "scan": "QR-kodens text (C… eller D…)", "pay": "Skanna och betala",
        "wrong": "Det gick inte", "other": "In English",
    },
    "en": {
        "title": "The customer’s Swish app (simulated)", "open": "Waiting for the customer", "done": "Lately", "none": "Nothing waits.",
        "PAID": "Pay", "DECLINED": "Decline", "ERROR": "error", "CANCELLED": "cancelled", "scan": "The code’s text (C… or D…)",
        "pay": "Scan and pay", "wrong": "That did not work", "other": "På svenska",
    },
}  # fmt: skip
_PAGE = """<!doctype html><html lang="{lang}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="3"><title>{title}</title>
<style>body{{font:18px system-ui;max-width:30rem;margin:1rem auto;padding:0 1rem}}li{{margin:.6rem 0}}
form{{display:inline;margin-left:.5rem}}button{{font:inherit;padding:.6rem 1rem;min-height:44px}}
input[name=qr]{{font:inherit;width:100%;padding:.6rem;margin:.3rem 0;box-sizing:border-box}}
ul{{list-style:none;padding:0}}[role=alert]{{background:#fdd;padding:.6rem}}</style>
<h1>{title}</h1>{wrong}<h2>{open}</h2><ul>{rows}</ul>
<form method="post" style="display:block;margin:0"><input type="hidden" name="lang" value="{lang}">
<label>{scan}<input name="qr" autocomplete="off"></label><button>{pay}</button></form>
<h2>{done}</h2><ul>{lately}</ul><p><a href="/?lang={to}">{other}</a></p></html>"""


def _call_of(request: Request) -> tuple[str, str]:
    """Which call it is, and about which id."""
    base, _, rest = request.path.partition("/api/")
    version, _, tail = rest.partition("/")
    word, _, key = tail.partition("/")
    if not base.startswith("/") and base:
        return "", ""
    calls = {
        ("PUT", "v2", "paymentrequests"): "create", ("GET", "v1", "paymentrequests"): "retrieve",
        ("PATCH", "v1", "paymentrequests"): "cancel", ("PUT", "v2", "refunds"): "refund", ("GET", "v1", "refunds"): "retrieve_refund",
    }  # fmt: skip
    return calls.get((request.method, version, word), ""), key


def _refusal(codes: tuple[str, ...]) -> Reply:
    return json_reply([{"errorCode": code, "errorMessage": "", "additionalInformation": None} for code in codes], 422)


def _told(deal: Deal) -> dict[str, object]:
    """The object of a payment or refund. Who paid is in it, as in the real one."""
    kronor = deal.amount_ore / 100
    common = {
        "id": deal.id, "callbackUrl": deal.callback, "amount": kronor, "currency": "SEK", "message": deal.message, "status": deal.status,
        "dateCreated": when(deal.created), "datePaid": when(deal.paid) if deal.paid else None, "errorCode": deal.code or None,
        "errorMessage": None, "additionalInformation": None,
    }  # fmt: skip
    if deal.kind == "refund":
        return common | {
            "originalPaymentReference": deal.original, "payerPaymentReference": deal.merchant_reference, "payerAlias": deal.payee,
            "payeeAlias": deal.payer or None, "paymentReference": deal.reference or None,
        }  # fmt: skip
    return common | {
        "payeePaymentReference": deal.merchant_reference, "paymentReference": deal.reference or None, "payeeAlias": deal.payee,
        "payerAlias": deal.payer or None,
    }  # fmt: skip


def _kronor(amount_ore: int) -> str:
    return f"{amount_ore // 100},{amount_ore % 100:02d}"


def _now() -> int:
    return time.time_ns() // 1_000_000


async def run(options: argparse.Namespace) -> None:
    """Open everything, say so, and answer until killed."""
    options.folder.mkdir(parents=True, exist_ok=True)
    make_papers(options.folder, options.payee)
    paid_ms = None if options.by_hand else options.paid_ms
    bank = Bank(options.folder / "book.jsonl", paid_ms, options.refund_ms, options.life_ms)
    swish = Swish(bank, options.folder, options.reports or options.folder / "reports")
    control = Server(swish.control)
    port, control_port = await swish.api.open(options.port), await control.open(options.control_port)
    papers = {
        name: str(options.folder / f"{name}.pem")
        for name in ("ca", "client-1", "client-2", "client-expired", "client-stranger", "client-other")
    }
    said = {
        "ready": True, "port": port, "control_port": control_port, "base": f"https://localhost:{port}/swish-cpcapi/api/",
        "page": f"http://127.0.0.1:{control_port}/", "payee": options.payee, "reports": str(swish.reports), "papers": papers,
    }  # fmt: skip
    print(json.dumps(said), flush=True)
    while options.report_every_s:
        await asyncio.sleep(options.report_every_s)
        swish.report_what_moved()
    await asyncio.Event().wait()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m oppet.simulators.swish",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--folder", type=Path, required=True, help="certificates and book; made when missing")
    parser.add_argument("--reports", type=Path, help="the folder for Swish reports; `reports` in the folder")
    parser.add_argument("--report-every-s", type=float, default=0.0, help="write a report so often; 0 only when told")
    parser.add_argument("--payee", default=PAYEE, help="the merchant's Swish number")
    parser.add_argument("--port", type=int, default=0, help="of the API; 0 chooses one, and the ready line says which")
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--paid-ms", type=int, default=4_000, help="a request is paid so long after it was made")
    parser.add_argument("--refund-ms", type=int, default=500)
    parser.add_argument("--life-ms", type=int, default=180_000, help="a request that nobody pays is over")
    parser.add_argument("--by-hand", action="store_true", help="requests wait for the page or the control port")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
