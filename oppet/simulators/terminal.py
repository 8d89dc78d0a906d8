"""A card terminal that speaks nexo: `python -m oppet.simulators.terminal --state FILE --passphrase WORDS`.

For whoever writes a till: a terminal with a screen in the browser, real protocol on the wire, and every fault on order. It speaks the nexo
Retailer Protocol as JSON (version 3.0) on `POST https://127.0.0.1:PORT/nexo`, sealed with the vendor's SecuredMessage encryption, and knows
Payment (Normal, Refund), Reversal, TransactionStatus, Abort, Diagnosis, Login, Logout and Display. Imports nothing of ours but this room.

Ready line (JSON on stdout): {"ready", "port" (nexo), "control_port" (page and control), "poi", "certificate_sha256", "root_sha256",
"chain" (PEM file: key, certificate, root), "root" (PEM file of the root), "common_name"}.

What it does with a request:
  - sealed with another key, unreadable, or meant for another POIID: an Event notification "Reject", in clear, with the original in base64.
  - Abort that found a payment to stop: HTTP 204 and no body; the payment's own answer says what became of it (it may have been approved).
    Abort that found none: a sealed AbortResponse with Failure NotFound.
  - a second Payment or Reversal meanwhile: Failure Busy, naming the ServiceID of the one in progress, and a line in `violations`.
  - a ServiceID that this till has used: Failure NotAllowed, and a line in `violations`.
  - no card, no PIN for --limit-s: Failure Cancel ("126 No card presented"). A host that does not answer: Failure UnreachableHost, and the
    terminal takes back at the acquirer what that may have approved.
  - offline: only with no line to the acquirer, a chip that permits it and the right PIN, at most --floor-ore, at most --offline-count
    stored, and no ForceOnlineFlag. AdditionalResponse then has `offline=true` and `unconfirmedBatchCount`; what is stored is handed in
    when there is a line again.

Acquirer: --acquirer URL of `oppet.simulators.acquirer`; without one the terminal has a bank of its own that agrees with the cards' names.
Cards: visa, mastercard, maestro (never offline), declined, low (100 kr left: partial approval), unknown, signature.

Control: GET / is the terminal's page; GET /control/state says everything; POST /control takes an object with any of:
  {"do": "insert" | "tap" | "swipe", "card": "visa"}   {"do": "pin", "right": true}   {"do": "pull"}   {"do": "cancel"}
  {"auto": {"entry", "card", "pin", "wrong_pins", "pull", "after_ms"}}   every payment by itself; null: a person at the page
      entry insert|tap|swipe|nothing, pin right|wrong|cancel|nothing, pull card: takes the card out instead of a PIN
  {"plan": [{…as auto…}, …]}                           the next payments, one each, before `auto`
  {"fault": NAME, "on": "Payment", "count": 1, "seconds": 3, "bytes": 100000000}   the next answers to such messages; count 0: until cleared
      drop_request (torn before it is processed), drop, delay, duplicate, truncate, silent, wrong_reference, wrong_sale, wrong_terminal,
      wrong_transaction, wrong_amount, wrong_currency, wrong_mac, wrong_key, wrong_header (inner differs from outer), unencrypted, html,
      huge, garbage, empty, status_500, pan (the answer carries the whole card number and track)
  {"fault": "clear"}
  {"plug": {"at": POINT, "on": "Payment", "back_s": 2, "forget": ""}}   pull the plug when it comes to that point
      POINT: request, card, pin, host, approved (the host has, the terminal does not know yet), remembered (nobody was told),
      answer (half of it)
  {"power": "off" | "on", "forget": "" | "transactions" | "all"}   all: stored offline approvals too
  {"host": "cut" | "ok"}                               its own line to the acquirer
  {"limits": {"limit_s", "host_wait_s", "floor_ore", "offline_count"}}
  {"certificate": "own" | "other"}                     another terminal's certificate, for new connections
  {"login": true}                                      refuses with LoggedOut until somebody logs in
  {"printer": "OK" | "PaperLow" | "NoPaper" | "PaperJam" | "OutOfOrder"}
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from oppet.simulators.nexo import CARDS, BadSealError, Key, form, loads, make_certificates
from oppet.simulators.terminal_device import PLUG_POINTS, Device, Gesture, PowerCutError, now, progress_reference
from oppet.simulators.web import NoAnswer, Reply, Request, Server, ask, json_reply

__all__ = ["FAULTS", "main"]

FAULTS = (
    "drop_request", "drop", "delay", "duplicate", "truncate", "silent", "wrong_reference", "wrong_sale", "wrong_terminal",
    "wrong_transaction", "wrong_amount", "wrong_currency", "wrong_mac", "wrong_key", "wrong_header", "unencrypted", "html", "huge",
    "garbage", "empty", "status_500", "pan",
)  # fmt: skip
PRINTER = ("OK", "PaperLow", "NoPaper", "PaperJam", "OutOfOrder")
HTML = b"<!doctype html><title>Welcome</title><h1>Accept our terms to use the network</h1><form><button>Accept</button></form>"
PAGE = Path(__file__).parent / "static" / "terminal.html"
OTHER_SERIAL = "999999999"


@dataclass(slots=True)
class Fault:
    """Something to do wrong with the next answers to such messages."""

    fault: str
    on: str = ""  # a category; "" for any
    count: int = 1
    seconds: float = 3.0
    bytes: int = 100_000_000


class Terminal:
    """A device with its plug, its sealed port and its page."""

    def __init__(self, device: Device, key: Key, folder: Path, *, sealed: bool, notify: str) -> None:
        self.device = device
        self.key = key
        self.sealed = sealed
        self.notify = notify
        self.faults: list[Fault] = []
        self.rejected = 0
        self.powered = True
        self.common_name = f"{device.poi}.test.terminal.adyen.com"
        self.chain, self.leaf_sum, self.root_sum = make_certificates(folder, self.common_name)
        model = device.poi.partition("-")[0]
        self._other, _, _ = make_certificates(folder, f"{model}-{OTHER_SERIAL}.test.terminal.adyen.com")
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(self.chain)
        self.server = Server(self._nexo, self._tls)
        self.control = Server(self._page)
        self._tasks: set[asyncio.Task[None]] = set()

    # --- the sealed port

    async def _nexo(self, request: Request) -> Reply | None:
        if request.path.rstrip("/") != "/nexo":
            return Reply(404)
        if request.method != "POST":
            return Reply(405)
        try:
            header, body = self._open(request.body)
        except (BadSealError, ValueError, KeyError, TypeError) as wrong:
            return self._reject(request.body, str(wrong) or "Not sealed with this terminal's key")
        category = str(header["MessageCategory"])
        fault = self._fault(category)
        if fault.fault == "drop_request":
            return None
        try:
            said = await self.device.answer(header, body)
            if (
                self.device.plug
                and self.device.plug["at"] == "answer"
                and self.device.plug.get("on", category) == category
            ):
                reply = self._seal(header, said or {}, Fault(""))
                self._soon(self._cut(0.05))
                return replace(reply, cut=len(reply.body) // 2)
        except PowerCutError:
            self._soon(self._cut(0.0))
            return None
        return self._seal(header, said, fault)

    def _open(self, data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
        """Header and clear body of a request. Raises BadSealError, ValueError, KeyError, TypeError."""
        outer = loads(data)["SaleToPOIRequest"]
        if "NexoBlob" in outer:
            clear = loads(self.key.open(outer))["SaleToPOIRequest"]
            if clear["MessageHeader"] != outer["MessageHeader"]:
                raise BadSealError("The header is not the sealed one")
        elif self.sealed:
            raise BadSealError("Not sealed")
        else:
            clear = outer
        header = clear["MessageHeader"]
        if (header["MessageClass"], header["MessageType"]) != ("Service", "Request"):
            raise ValueError("Not a service request")
        for name, most in (("ServiceID", 10), ("SaleID", 80), ("POIID", 80), ("MessageCategory", 40)):
            if not isinstance(header[name], str) or not 0 < len(header[name]) <= most:
                raise ValueError(f"{name} is missing or too long")
        if header["POIID"] != self.device.poi:
            raise ValueError("POIID is another terminal's")
        return header, clear

    def _reject(self, data: bytes, why: str) -> Reply:
        self.rejected += 1
        header = {
            "ProtocolVersion": "3.0", "MessageClass": "Event", "MessageCategory": "Event", "MessageType": "Notification",
            "DeviceID": "1", "SaleID": "null", "POIID": self.device.poi,
        }  # fmt: skip
        event = {
            "TimeStamp": now(), "EventToNotify": "Reject", "EventDetails": form(message=why[:120]),
            "RejectedMessage": base64.b64encode(data[:20_000]).decode(),
        }  # fmt: skip
        return json_reply({"SaleToPOIRequest": {"MessageHeader": header, "EventNotification": event}})

    def _fault(self, category: str) -> Fault:
        for fault in self.faults:
            if fault.on in ("", category):
                if fault.count == 1:
                    self.faults.remove(fault)
                elif fault.count > 1:
                    fault.count -= 1
                return fault
        return Fault("")

    def _seal(self, asked: dict[str, Any], said: dict[str, Any] | None, fault: Fault) -> Reply:
        """The answer as it leaves, with what was ordered to be wrong with it."""
        broken = _without_words(fault)
        if broken is not None:
            return broken
        if said is None:
            return Reply(204)
        header = asked | {"MessageType": "Response"}
        said = json.loads(json.dumps(said, default=str))
        _lie(fault.fault, header, said)
        plain = json.dumps({"SaleToPOIResponse": {"MessageHeader": header, **said}}).encode()
        if not self.sealed or fault.fault == "unencrypted":
            return Reply(body=plain)
        outer = header | {"ServiceID": "0OTHER"} if fault.fault == "wrong_header" else header
        sealed = self.key.seal("SaleToPOIResponse", outer, plain)
        trailer = sealed["SaleToPOIResponse"]["SecurityTrailer"]
        if fault.fault == "wrong_mac":
            trailer["Hmac"] = base64.b64encode(bytes(32)).decode()
        elif fault.fault == "wrong_key":
            trailer["KeyVersion"] += 1
        body = json.dumps(sealed).encode()
        return Reply(
            body=body,
            after_s=fault.seconds if fault.fault == "delay" else 0.0,
            twice=fault.fault == "duplicate",
            cut=len(body) // 2 if fault.fault == "truncate" else None,
        )

    # --- the plug

    async def _cut(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        plug, self.device.plug = self.device.plug or {}, None
        self.power_off(str(plug.get("forget", "")))
        if plug.get("back_s") is not None:
            await asyncio.sleep(float(plug["back_s"]))
            await self.power_on()

    def power_off(self, forget: str = "") -> None:
        """Everything under way is gone; nothing listens."""
        self.powered = False
        self.server.close()
        self.device.show("off")
        if forget:
            self.device.forget(everything=forget == "all")

    async def power_on(self) -> None:
        if not self.powered:
            self.device.power_up()
            await self.server.open()
            self.powered = True

    def _soon(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- the page and the control

    async def _page(self, request: Request) -> Reply | None:
        try:
            if (request.method, request.path) == ("GET", "/"):
                return Reply(body=PAGE.read_bytes(), kind="text/html; charset=utf-8")
            if (request.method, request.path) == ("GET", "/control/state"):
                return json_reply(self.state())
            if (request.method, request.path) == ("POST", "/control"):
                await self._control(json.loads(request.body))
                return json_reply(self.state())
        except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
            return json_reply({"error": repr(error)[:300]}, 400)
        return Reply(404)

    async def _control(self, wish: dict[str, Any]) -> None:
        """Do what is wished, in this order. Raises ValueError or TypeError for what cannot be."""
        device = self.device
        known = {
            "do", "card", "right", "auto", "plan", "fault", "on", "count", "seconds", "bytes", "plug", "power", "forget", "host",
            "limits", "certificate", "login", "printer",
        }  # fmt: skip
        if unknown := set(wish) - known:
            raise ValueError(f"this terminal cannot be told {sorted(unknown)}")
        self._set(wish)
        if "fault" in wish:
            self._order({name: wish[name] for name in ("fault", "on", "count", "seconds", "bytes") if name in wish})
        if "plug" in wish:
            if wish["plug"] and wish["plug"]["at"] not in PLUG_POINTS:
                raise ValueError(f"the plug is pulled at one of {', '.join(PLUG_POINTS)}")
            device.plug = wish["plug"]
        if "do" in wish:
            self._act(wish)
        if wish.get("power") == "off":
            self.power_off(str(wish.get("forget", "")))
        elif wish.get("power") == "on":
            await self.power_on()

    def _set(self, wish: dict[str, Any]) -> None:
        device = self.device
        if "auto" in wish:
            device.auto = _gesture(wish["auto"]) if wish["auto"] else None
        if "plan" in wish:
            device.plan = [_gesture(one) for one in wish["plan"]]
        if "limits" in wish:
            device.limits = replace(device.limits, **wish["limits"])
        if "certificate" in wish:
            self._tls.load_cert_chain({"own": self.chain, "other": self._other}[wish["certificate"]])
        if "host" in wish:
            device.host_cut = {"cut": True, "ok": False}[wish["host"]]
        if "login" in wish:
            device.needs_login = bool(wish["login"])
        if "printer" in wish:
            device.printer = PRINTER[PRINTER.index(wish["printer"])]

    def _order(self, wish: dict[str, Any]) -> None:
        fault = Fault(**wish)
        if fault.fault == "clear":
            self.faults.clear()
        elif fault.fault not in FAULTS:
            raise ValueError(f"this terminal cannot be told {fault.fault!r}; it knows {', '.join(FAULTS)}")
        else:
            self.faults.append(fault)

    def _act(self, wish: dict[str, Any]) -> None:
        if (
            wish["do"] not in ("insert", "tap", "swipe", "pin", "pull", "cancel")
            or wish.get("card", "visa") not in CARDS
        ):
            raise ValueError("do is insert, tap or swipe with a card, pin, pull or cancel")
        self.device.act({name: wish[name] for name in ("do", "card", "right") if name in wish})

    def state(self) -> dict[str, Any]:
        faults = [{"fault": one.fault, "on": one.on, "count": one.count} for one in self.faults]
        more = {
            "power": "on" if self.powered else "off",
            "faults": faults,
            "rejected": self.rejected,
            "cards": list(CARDS),
        }
        return self.device.state() | more

    # --- in the background

    async def run(self, forward_s: float) -> None:
        """Hand in, notify, forever."""
        self._soon(self._notify())
        while True:
            await asyncio.sleep(forward_s)
            if self.powered:
                await self.device.forward()

    async def _notify(self) -> None:
        """How far a payment is, for a till that listens: sealed, and nobody minds if it is lost."""
        number = 0
        while True:
            event, transaction = await self.device.notify.get()
            if not self.notify:
                continue
            number += 1
            header = {
                "ProtocolVersion": "3.0", "MessageClass": "Device", "MessageCategory": "Display", "MessageType": "Notification",
                "DeviceID": str(number % 10**10), "SaleID": "null", "POIID": self.device.poi,
            }  # fmt: skip
            content = {
                "OutputFormat": "MessageRef",
                "PredefinedContent": {"ReferenceID": progress_reference(event, transaction)},
            }
            output = [
                {
                    "Device": "CashierDisplay",
                    "InfoQualify": "Status",
                    "OutputContent": content,
                    "ResponseRequiredFlag": False,
                }
            ]
            said = {"SaleToPOIRequest": {"MessageHeader": header, "DisplayRequest": {"DisplayOutput": output}}}
            sealed = self.key.seal("SaleToPOIRequest", header, json.dumps(said).encode()) if self.sealed else said
            with contextlib.suppress(NoAnswer):
                await ask(self.notify, sealed, 2.0)


def _gesture(wish: dict[str, Any]) -> Gesture:
    made = Gesture(**wish)
    if made.card not in CARDS or made.entry not in ("insert", "tap", "swipe", "nothing"):
        raise ValueError(f"entry is insert, tap, swipe or nothing; card one of {', '.join(CARDS)}")
    if made.pin not in ("right", "wrong", "cancel", "nothing") or made.pull not in ("", "card"):
        raise ValueError("pin is right, wrong, cancel or nothing; pull is card or empty")
    return made


def _without_words(fault: Fault) -> Reply | None:
    """What comes instead of an answer."""
    match fault.fault:
        case "drop":
            return Reply(cut=0)
        case "silent":
            return Reply(silent=True)
        case "html":
            return Reply(body=HTML, kind="text/html")
        case "huge":
            return Reply(body=b'{"SaleToPOIResponse": "', flood=fault.bytes)
        case "garbage":
            return Reply(body=os.urandom(300))
        case "empty":
            return Reply()
        case "status_500":
            return Reply(500, b'{"error": "internal"}')
    return None


def _lie(fault: str, header: dict[str, Any], said: dict[str, Any]) -> None:
    """Change an answer that is then sealed as it should be: only its words are wrong."""
    if fault == "wrong_reference":
        header["ServiceID"] = "0OTHER"
    elif fault == "wrong_sale":
        header["SaleID"] += "-other"
    elif fault == "wrong_terminal":
        header["POIID"] = f"{header['POIID'].partition('-')[0]}-{OTHER_SERIAL}"
    for body in _bodies(said):
        if fault == "wrong_transaction" and "SaleData" in body:
            body["SaleData"]["SaleTransactionID"]["TransactionID"] += "X"
        if fault == "wrong_amount" and "ReversedAmount" in body:
            body["ReversedAmount"] = round(body["ReversedAmount"] + 1, 2)
        result = body.get("PaymentResult")
        if result is None:
            continue
        if fault == "wrong_amount":
            result["AmountsResp"]["AuthorizedAmount"] = round(result["AmountsResp"]["AuthorizedAmount"] + 1, 2)
        elif fault == "wrong_currency":
            result["AmountsResp"]["Currency"] = "EUR"
        elif fault == "pan":
            card = result["PaymentInstrumentData"]["CardData"]
            front, end = card["MaskedPan"][:6], card["MaskedPan"][-4:]
            number = next(one.number for one in CARDS.values() if (one.number[:6], one.number[-4:]) == (front, end))
            card["SensitiveCardData"] = {
                "PAN": number,
                "ExpiryDate": "3012",
                "TrackData": [{"TrackValue": f"{number}=30122010000"}],
            }


def _bodies(said: dict[str, Any]) -> list[dict[str, Any]]:
    """The answer's own body, and the one that a status answer repeats."""
    found = [body for body in said.values() if isinstance(body, dict)]
    for body in list(found):
        repeated = body.get("RepeatedMessageResponse", {}).get("RepeatedResponseMessageBody", {})
        found += [inner for inner in repeated.values() if isinstance(inner, dict)]
    return found


async def run(options: argparse.Namespace) -> None:
    """Open everything, say so, and answer until killed."""
    passphrase = options.passphrase
    if options.passphrase_file:
        passphrase = options.passphrase_file.read_text(encoding="utf-8").strip()
    device = Device(options.poi, options.state, acquirer=options.acquirer.rstrip("/"), fast=options.fast)
    device.limits = replace(
        device.limits, limit_s=options.limit_s, host_wait_s=options.host_wait_s, floor_ore=options.floor_ore,
        offline_count=options.offline_count,
    )  # fmt: skip
    device.needs_login = options.login
    if options.auto_ms >= 0:
        device.auto = Gesture(entry=options.auto_entry, card=options.auto_card, after_ms=options.auto_ms)
    folder = options.certificates or options.state.parent / f"{options.state.name}.certificates"
    key = Key(passphrase, options.key_id, options.key_version)
    terminal = Terminal(device, key, folder, sealed=not options.clear, notify=options.notify)
    device.power_up()
    port = await terminal.server.open(options.port)
    control = await terminal.control.open(options.control_port)
    said = {
        "ready": True, "port": port, "control_port": control, "poi": device.poi, "common_name": terminal.common_name,
        "certificate_sha256": terminal.leaf_sum, "root_sha256": terminal.root_sum, "chain": str(terminal.chain),
        "root": str(folder / f"{terminal.common_name}.root.pem"),
    }  # fmt: skip
    print(json.dumps(said), flush=True)
    await terminal.run(options.forward_s)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m oppet.simulators.terminal",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--state", type=Path, required=True, help="the terminal's memory; made when missing")
    parser.add_argument("--poi", default="P400Plus-275102806", help="POIID, as MODEL-SERIAL")
    parser.add_argument("--port", type=int, default=0, help="nexo over HTTPS; 0 chooses one")
    parser.add_argument("--control-port", type=int, default=0, help="page and control over HTTP; 0 chooses one")
    parser.add_argument("--acquirer", default="", help="URL of an acquirer; none: a bank of its own")
    parser.add_argument("--passphrase", default="p@ssw0rd123456", help="of the shared key")
    parser.add_argument("--passphrase-file", type=Path, help="instead, a file with it")
    parser.add_argument("--key-id", default="oppet-key")
    parser.add_argument("--key-version", type=int, default=1)
    parser.add_argument(
        "--certificates", type=Path, help="folder for the certificates; made beside --state when missing"
    )
    parser.add_argument("--clear", action="store_true", help="takes and gives messages that are not sealed")
    parser.add_argument("--login", action="store_true", help="refuses to work before a Login")
    parser.add_argument("--notify", default="", help="URL to tell how far a payment is (Display notifications)")
    parser.add_argument(
        "--auto-ms", type=int, default=-1, help="pays by itself, so long before each step; -1: somebody taps"
    )
    parser.add_argument("--auto-card", default="visa", choices=list(CARDS))
    parser.add_argument("--auto-entry", default="insert", choices=["insert", "tap", "swipe"])
    parser.add_argument("--limit-s", type=float, default=120.0, help="gives up a payment after so long")
    parser.add_argument("--host-wait-s", type=float, default=45.0, help="waits so long for the acquirer")
    parser.add_argument("--floor-ore", type=int, default=150_000, help="the most it approves alone; 0: nothing")
    parser.add_argument("--offline-count", type=int, default=20, help="so many offline approvals at most")
    parser.add_argument("--forward-s", type=float, default=1.0, help="offers what it stored to the acquirer so often")
    parser.add_argument("--fast", action="store_true", help="do not wait for the disk")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
