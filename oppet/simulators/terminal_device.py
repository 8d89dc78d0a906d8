"""The inside of a simulated card terminal: one dialogue at a time, a memory, a line to its acquirer, and a plug to pull.

`Device.answer` takes one clear nexo request and gives the clear answer (None: nothing is answered). What a person does to the terminal
comes in by `act`. Each payment goes present card → PIN → host → remembered → answered; the plug may be pulled at each of those points.
What the acquirer approved and the terminal had not yet remembered when it lost power is taken back by the terminal itself when it is up
again (an "undo"), as real ones do. Knows nothing of sockets, sealing or pages: that is `terminal.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from oppet.simulators.acquirer import Bank
from oppet.simulators.nexo import CARDS, Card, form, number_ore, receipts
from oppet.simulators.web import NoAnswer, ask

__all__ = ["PLUG_POINTS", "Device", "Gesture", "Limits", "PowerCutError"]

PLUG_POINTS = ("request", "card", "pin", "host", "approved", "remembered", "answer")
REMEMBERED = 2_000  # transactions
CONTACTLESS_ORE = 40_000  # above it a tapped card wants its PIN
PIN_TRIES = 3
FORWARD_S = 1.0  # how often what is stored is offered to the acquirer
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class PowerCutError(Exception):
    """The plug was pulled here."""


class RefusedError(Exception):
    """The request ends as Failure with this condition."""

    def __init__(self, condition: str, message: str = "", **more: object) -> None:
        super().__init__(condition)
        self.condition, self.message, self.more = condition, message, more


@dataclass(slots=True)
class Limits:
    """What the terminal may do alone, and how long it works on anything."""

    limit_s: float = 120.0  # reference: a local terminal gives up a payment after so long
    host_wait_s: float = 45.0
    floor_ore: int = 150_000  # the most it approves alone; 0: nothing
    offline_count: int = 20
    remove_s: float = 0.0  # how long the card stays in after the answer


@dataclass(frozen=True, slots=True)
class Gesture:
    """What a customer does by himself with one payment, in automatic mode."""

    entry: str = "insert"  # insert | tap | swipe | nothing
    card: str = "visa"
    pin: str = "right"  # right | wrong | cancel | nothing
    wrong_pins: int = 0  # so many before the right one
    pull: str = ""  # card: pulls the card out instead of entering the PIN
    after_ms: int = 300  # before each step


@dataclass(slots=True)
class Dialogue:
    """The payment that is being worked on."""

    sale_id: str
    service_id: str
    category: str
    amount_ore: int
    refund: bool
    events: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    at_host: bool = False


class Memory:
    """What survives a pulled plug: transactions by (SaleID, ServiceID), offline approvals not yet handed in, undos not yet done."""

    def __init__(self, path: Path | None, *, fast: bool) -> None:
        self.transactions: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self.stored: dict[str, dict[str, Any]] = {}
        self.undo: dict[str, dict[str, Any]] = {}
        self.counter = 0
        self._path, self._fast, self._file = path, fast, -1
        if path is not None:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            whole, newline, _torn = path.read_bytes().rpartition(b"\n")
            os.ftruncate(self._file, len(whole) + len(newline))
            for line in filter(None, whole.split(b"\n")):
                self._fold(json.loads(line))

    def note(self, what: str, **values: Any) -> None:
        """Remember one thing, on disk before anything else happens."""
        line = {"what": what, **values}
        self._fold(line)
        if self._file >= 0:
            os.write(self._file, json.dumps(line, default=str).encode() + b"\n")
            if not self._fast:
                os.fdatasync(self._file)

    def _fold(self, line: dict[str, Any]) -> None:
        what, key = line["what"], line.get("key", "")
        if what == "began":
            self.transactions[key] = {"header": line["header"], "category": line["category"], "body": None, "host": ""}
            while len(self.transactions) > REMEMBERED:
                self.transactions.popitem(last=False)
        elif what == "host" and key in self.transactions:
            self.transactions[key]["host"] = line["transaction"]
        elif what == "done" and key in self.transactions:
            self.transactions[key]["body"] = line["body"]
        elif what in ("stored", "undo"):
            {"stored": self.stored, "undo": self.undo}[what][line["transaction"]] = line["value"]
        elif what in ("handed_in", "undone"):
            {"handed_in": self.stored, "undone": self.undo}[what].pop(line["transaction"], None)
        elif what == "forget":
            self.transactions.clear()
            if line["all"]:
                self.stored.clear()
                self.undo.clear()
        self.counter = max(self.counter, line.get("counter", 0))

    def next_transaction(self) -> str:
        """A tender reference that this terminal never gives twice, not even after it has forgotten."""
        self.counter += 1
        self.note("counter", counter=self.counter)
        number, text = self.counter + int(time.time()) * 1000, ""
        while number:
            number, digit = divmod(number, 36)
            text = LETTERS[digit] + text
        return f"T{text}"

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class Device:
    """One terminal that has power."""

    def __init__(self, poi: str, memory: Path | None, *, acquirer: str = "", fast: bool = False) -> None:
        self.poi = poi
        self.acquirer = acquirer
        self.limits = Limits()
        self.memory = Memory(memory, fast=fast)
        self.auto: Gesture | None = None
        self.plan: list[Gesture] = []
        self.plug: dict[str, Any] | None = None  # {"at", "on", "back_s", "forget"}: ordered, not yet pulled
        self.host_cut = False  # its own line to the acquirer
        self.needs_login = False
        self.logged_in = False
        self.printer = "OK"
        self.screen: dict[str, Any] = {"show": "idle", "since": time.time()}
        self.dialogue: Dialogue | None = None
        self.violations: list[str] = []  # what a till does that no till should
        self.counts: dict[str, int] = {}
        self.notify: asyncio.Queue[tuple[str, str]] = asyncio.Queue(100)
        self._own_bank = Bank() if not acquirer else None
        self._handing_in = asyncio.Lock()

    # --- power

    def power_up(self) -> None:
        """What was under way when the power went is over: nobody was told, so it shall not have been."""
        self.dialogue = None
        self.logged_in = False
        for key, one in list(self.memory.transactions.items()):
            if one["body"] is not None:
                continue
            if one["host"]:
                self.memory.note("undo", transaction=one["host"], value={"transaction": one["host"]})
            name = f"{one['category']}Response"
            self.memory.note("done", key=key, body={name: {"Response": failure("Aborted", "Power was lost")}})
        self.show("idle")

    def forget(self, *, everything: bool) -> None:
        self.memory.note("forget", all=everything)

    def _point(self, at: str, category: str) -> None:
        """Raises PowerCutError where the plug is to be pulled at this point of such a message."""
        if self.plug and self.plug["at"] == at and self.plug.get("on", category) == category:
            raise PowerCutError

    # --- what a person does

    def act(self, what: dict[str, Any]) -> bool:
        """A gesture at the terminal: {"do": "insert" | "tap" | "swipe", "card"}, {"do": "pin", "right"}, {"do": "pull" | "cancel"}."""
        if self.dialogue is None:
            return False
        self.dialogue.events.put_nowait(what)
        return True

    def show(self, what: str, **more: object) -> None:
        self.screen = {"show": what, "since": time.time(), **more}

    def _progress(self, event: str, transaction: str) -> None:
        if not self.notify.full():
            self.notify.put_nowait((event, transaction))

    # --- messages

    async def answer(self, header: dict[str, Any], body: dict[str, Any]) -> dict[str, Any] | None:
        """The answer's body, by name; None: nothing to say. Raises PowerCutError."""
        category = str(header["MessageCategory"])
        self.counts[category] = self.counts.get(category, 0) + 1
        self._point("request", category)
        does = {
            "Payment": self._money, "Reversal": self._money, "TransactionStatus": self._status, "Abort": self._abort,
            "Diagnosis": self._diagnosis, "Login": self._login, "Logout": self._logout, "Display": self._display,
        }.get(category)  # fmt: skip
        name = f"{category}Response"
        try:
            if does is None:
                raise RefusedError("NotAllowed", f"{category} is not supported")
            if self.needs_login and not self.logged_in and category not in ("Login", "TransactionStatus", "Diagnosis"):
                raise RefusedError("LoggedOut", "Login first")
            said = await does(header, body.get(f"{category}Request") or {})
        except RefusedError as refused:
            said = {name: {"Response": failure(refused.condition, refused.message, **refused.more)}}
        except (KeyError, TypeError, ValueError, AttributeError) as wrong:
            self.violations.append(f"{category} {header.get('ServiceID')}: {wrong!r}"[:200])
            said = {name: {"Response": failure("MessageFormat", str(wrong)[:80])}}
        self._point("remembered", category)
        return said

    # --- payment, refund, reversal

    async def _money(self, header: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        category, sale_id, service_id = header["MessageCategory"], header["SaleID"], header["ServiceID"]
        key = f"{sale_id}/{service_id}"
        if (running := self.dialogue) is not None:
            self.violations.append(f"{category} {service_id} while {running.service_id} is in progress")
            message = f"Forbidden Request, Service Dialogue {running.service_id} is in Progress"
            raise RefusedError("Busy", message, serviceId=running.service_id)
        if key in self.memory.transactions:
            self.violations.append(f"ServiceID {service_id} of {sale_id} came twice")
            raise RefusedError("NotAllowed", "ServiceID was used")
        amount, refund = self._amount(category, body)
        self.dialogue = dialogue = Dialogue(sale_id, service_id, category, amount, refund)
        self.memory.note("began", key=key, header=header, category=category)
        name = f"{category}Response"
        try:
            try:
                async with asyncio.timeout(self.limits.limit_s):
                    work = self._reversal(key, body) if category == "Reversal" else self._payment(key, dialogue, body)
                    made = await work
            except TimeoutError:
                made = self._too_late(key, dialogue)
            except RefusedError as refused:
                self.show("declined", why=refused.condition, amount_ore=amount)
                made = {"Response": failure(refused.condition, refused.message, **refused.more)}
            made = {"Response": made.pop("Response"), **_echo(body), **made}
            self.memory.note("done", key=key, body={name: made})
            return {name: made}
        finally:
            if self.dialogue is dialogue:
                self.dialogue = None

    @staticmethod
    def _amount(category: str, body: dict[str, Any]) -> tuple[int, bool]:
        if category == "Reversal":
            return number_ore(body["ReversedAmount"]) if "ReversedAmount" in body else 0, False
        kind = body.get("PaymentData", {}).get("PaymentType", "Normal")
        if kind not in ("Normal", "Refund"):
            raise RefusedError("NotAllowed", f"PaymentType {kind} is not supported")
        asked = body["PaymentTransaction"]["AmountsReq"]
        if asked["Currency"] != "SEK":
            raise RefusedError("PaymentRestriction", "Currency not accepted")
        _ = body["SaleData"]["SaleTransactionID"]["TransactionID"]  # required
        return number_ore(asked["RequestedAmount"]), kind == "Refund"

    def _too_late(self, key: str, dialogue: Dialogue) -> dict[str, Any]:
        """The terminal's own limit: it cancels, and takes back what the host may have approved."""
        transaction = self.memory.transactions[key]["host"]
        if transaction:
            self.memory.note("undo", transaction=transaction, value={"transaction": transaction})
        self.show("declined", why="timeout", amount_ore=dialogue.amount_ore)
        condition = "UnreachableHost" if dialogue.at_host else "Cancel"
        message = "Communication timeout" if dialogue.at_host else "126 No card presented"
        return {"Response": failure(condition, message)}

    async def _payment(self, key: str, dialogue: Dialogue, body: dict[str, Any]) -> dict[str, Any]:
        conditions = body["PaymentTransaction"].get("TransactionConditions", {})
        transaction = self.memory.next_transaction()
        self._progress("TENDER_CREATED", transaction)
        gesture = self.plan.pop(0) if self.plan else self.auto
        hands = asyncio.create_task(_play(gesture, dialogue)) if gesture else None
        try:
            chip_only = [list(one) for one in conditions.get("ForceEntryMode", [])] == [["ICC"]]
            card, entry = await self._card(dialogue, transaction, chip_only=chip_only)
            brands = conditions.get("AllowedPaymentBrand")
            if brands and card.brand not in brands:
                raise RefusedError("PaymentRestriction", "Card not accepted")
            how = await self._pin(dialogue, card, entry, transaction)
        finally:
            if hands is not None:
                hands.cancel()
        dialogue.at_host = True
        self.show("online", amount_ore=dialogue.amount_ore, card=card.name)
        verdict = await self._authorise(key, dialogue, card, entry, how, transaction, conditions)
        self._point("approved", dialogue.category)
        return self._outcome(dialogue, card, entry, how, transaction, verdict)

    async def _next(self, dialogue: Dialogue) -> dict[str, Any]:
        event = await dialogue.events.get()
        if event["do"] == "abort":
            raise RefusedError("Aborted", "104 Merchant cancelled")
        if event["do"] == "cancel":
            raise RefusedError("Cancel", "108 Shopper cancelled tx")
        return event

    async def _card(self, dialogue: Dialogue, transaction: str, *, chip_only: bool) -> tuple[Card, str]:
        show = "insert_card" if chip_only else "present_card"
        self.show(show, amount_ore=dialogue.amount_ore, refund=dialogue.refund)
        while True:
            event = await self._next(dialogue)
            if event["do"] not in ("insert", "tap", "swipe"):
                continue
            if chip_only and event["do"] != "insert":
                self.show("insert_card", amount_ore=dialogue.amount_ore, why="chip_only")
                continue
            names = {"insert": "CARD_INSERTED", "tap": "CARD_PRESENTED", "swipe": "CARD_SWIPED"}
            self._progress(names[event["do"]], transaction)
            self._point("card", dialogue.category)
            return CARDS[event.get("card", "visa")], event["do"]

    async def _pin(self, dialogue: Dialogue, card: Card, entry: str, transaction: str) -> str:
        """How the holder proved to be it. Raises RefusedError: three wrong, pulled, cancelled, stopped."""
        if card.signature or entry == "swipe":
            return "PaperSignature"
        if dialogue.refund or (entry == "tap" and dialogue.amount_ore <= CONTACTLESS_ORE):
            return "Bypass"
        self._progress("WAIT_FOR_PIN", transaction)
        for tries in range(PIN_TRIES):
            self.show("wrong_pin" if tries else "pin", amount_ore=dialogue.amount_ore, left=PIN_TRIES - tries)
            event = await self._next(dialogue)
            while event["do"] not in ("pin", "pull"):
                event = await self._next(dialogue)
            if event["do"] == "pull":
                raise RefusedError("Cancel", "108 Card was removed")
            if event.get("right", True):
                self._progress("PIN_ENTERED", transaction)
                self._point("pin", dialogue.category)
                return "OfflinePIN" if entry == "insert" else "OnlinePIN"
        raise RefusedError("WrongPIN", "Wrong PIN too often")

    async def _authorise(
        self,
        key: str,
        dialogue: Dialogue,
        card: Card,
        entry: str,
        how: str,
        transaction: str,
        conditions: dict[str, Any],
    ) -> dict[str, Any]:
        """The host's verdict, or the terminal's own where there is no line at all and it may decide alone."""
        self._point("host", dialogue.category)
        self.memory.note("host", key=key, transaction=transaction)
        path = "/refund" if dialogue.refund else "/authorise"
        question = {
            "terminal": self.poi, "transaction": transaction, "amount_ore": dialogue.amount_ore, "number": card.number, "entry": entry,
        }  # fmt: skip
        try:
            return await self._ask(path, question)
        except NoAnswer as nothing:
            if nothing.sent:  # it may have approved: nobody will be told, so it is taken back
                self.memory.note("undo", transaction=transaction, value={"transaction": transaction})
                raise RefusedError("UnreachableHost", "No answer from host") from None
        alone = not conditions.get("ForceOnlineFlag") and not dialogue.refund and card.offline
        enough = dialogue.amount_ore <= self.limits.floor_ore and len(self.memory.stored) < self.limits.offline_count
        if not (alone and enough and entry == "insert" and how == "OfflinePIN"):
            raise RefusedError("UnreachableHost", "Host not reachable")
        approval = f"{secrets.randbelow(1_000_000):06d}"
        made = {
            "transaction": transaction, "poi_transaction": transaction, "amount_ore": dialogue.amount_ore, "number": card.number,
            "approval": approval, "time": now(),
        }  # fmt: skip
        self.memory.note("stored", transaction=transaction, value=made)
        return {"result": "offline", "amount_ore": dialogue.amount_ore, "approval": approval, "acquirer": ""}

    def _outcome(
        self, dialogue: Dialogue, card: Card, entry: str, how: str, transaction: str, verdict: dict[str, Any]
    ) -> dict[str, Any]:
        result, offline = verdict["result"], verdict["result"] == "offline"
        self._progress("TENDER_FINAL", transaction)
        if result not in ("approved", "partial", "offline"):
            raise RefusedError(
                "InvalidCard" if result == "invalid" else "Refusal",
                "Declined by the bank",
                pspReference=verdict["acquirer"],
            )
        amount = int(verdict["amount_ore"])
        poi = transaction if offline else f"{transaction}.{verdict['acquirer']}"
        self.show("approved_offline" if offline else "approved", amount_ore=amount, asked_ore=dialogue.amount_ore)
        waiting = len(self.memory.stored)
        lines = [
            ("txdate", "Datum", now()[:16].replace("T", " ")), ("cardType", "Kort", f"{card.brand} **** {card.number[-4:]}"),
            ("txRef", "Referens", poi[:24]), ("authCode", "Kontrollkod", str(verdict["approval"])),
            ("totalAmount", "RETUR" if dialogue.refund else "KÖP", f"{amount // 100},{amount % 100:02d} SEK"),
            *([("offline", "OFFLINE", "skickas senare")] if offline else []),
        ]  # fmt: skip
        return {
            "Response": {
                "Result": "Partial" if amount < dialogue.amount_ore else "Success",
                "AdditionalResponse": form(
                    authCode=verdict["approval"], pspReference=verdict["acquirer"],
                    transactionType="CREDIT" if dialogue.refund else "GOODS_SERVICES",
                    offline="true" if offline else "", offlineAuthCode="Offline approved" if offline else "",
                    unconfirmedBatchCount=str(waiting) if waiting else "",
                ),
            },
            "POIData": {"POITransactionID": {"TransactionID": poi, "TimeStamp": now()}, "POIReconciliationID": "1000"},
            "PaymentResult": {
                "OnlineFlag": not offline,
                "PaymentType": "Refund" if dialogue.refund else "Normal",
                "AmountsResp": {"Currency": "SEK", "AuthorizedAmount": amount / 100},
                "AuthenticationMethod": [how],
                "PaymentAcquirerData": {
                    "AcquirerPOIID": self.poi,
                    "AcquirerTransactionID": {"TransactionID": verdict["acquirer"], "TimeStamp": now()},
                    "ApprovalCode": verdict["approval"],
                    "MerchantID": "SIMULATED",
                },
                "PaymentInstrumentData": {
                    "PaymentInstrumentType": "Card",
                    "CardData": {
                        "EntryMode": [{"insert": "ICC", "tap": "Tapped", "swipe": "MagStripe"}[entry]],
                        "PaymentBrand": card.brand, "MaskedPan": card.masked, "CardCountryCode": "752",
                    },
                },
            },
            "PaymentReceipt": receipts(lines, signature=how == "PaperSignature"),
        }  # fmt: skip

    async def _reversal(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        original = body["OriginalPOITransaction"]["POITransactionID"]
        poi, _ = str(original["TransactionID"]), original["TimeStamp"]  # both are required
        wanted = number_ore(body["ReversedAmount"]) if "ReversedAmount" in body else None
        transaction = self.memory.next_transaction()
        async with self._handing_in:
            stored = self.memory.stored.get(poi)
            if stored is not None:
                if wanted not in (None, stored["amount_ore"]):
                    raise RefusedError("NotAllowed", "Only the whole amount")
                self.memory.note("handed_in", transaction=poi)  # it never reaches the acquirer
                return self._reversed(f"{transaction}.C", stored["amount_ore"])
        self.memory.note("host", key=key, transaction=transaction)
        question = {"terminal": self.poi, "transaction": transaction, "poi_transaction": poi, "amount_ore": wanted}
        try:
            verdict = await self._ask("/reverse", question)
        except NoAnswer:
            # asked for again under the same transaction until it is known: a reversal may be repeated, and harms nobody
            raise RefusedError("UnreachableHost", "Host not reachable") from None
        if verdict["result"] == "not_found":
            raise RefusedError("NotFound", "No such transaction")
        if verdict["result"] != "reversed":
            raise RefusedError("NotAllowed", "Not reversible")
        return self._reversed(str(verdict["poi_transaction"]), int(verdict["amount_ore"]))

    def _reversed(self, poi: str, amount_ore: int) -> dict[str, Any]:
        self.show("reversed", amount_ore=amount_ore)
        lines = [
            ("txRef", "Referens", poi[:24]),
            ("totalAmount", "ÅTERFÖRT", f"{amount_ore // 100},{amount_ore % 100:02d} SEK"),
        ]
        return {
            "Response": {"Result": "Success", "AdditionalResponse": form(message="Reversed")},
            "POIData": {"POITransactionID": {"TransactionID": poi, "TimeStamp": now()}},
            "ReversedAmount": amount_ore / 100,
            "PaymentReceipt": receipts(lines, signature=False),
        }

    # --- questions about the terminal and its memory

    async def _status(self, header: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        about = body.get("MessageReference") or {}
        category, service_id = about.get("MessageCategory"), about.get("ServiceID")
        if service_id is None:  # the last one of this till's
            of_till = [key for key in self.memory.transactions if key.startswith(f"{header['SaleID']}/")]
            key = of_till[-1] if of_till else ""
        else:
            key = f"{about.get('SaleID', header['SaleID'])}/{service_id}"
        found = self.memory.transactions.get(key)
        if found is None or (category and found["category"] != category):
            raise RefusedError("NotFound", "Transaction not found")
        if found["body"] is None:
            raise RefusedError("InProgress", "Transaction in progress", serviceId=found["header"]["ServiceID"])
        answered = found["header"] | {"MessageType": "Response"}
        return {
            "TransactionStatusResponse": {
                "Response": {"Result": "Success"},
                "MessageReference": {
                    name: answered[name]
                    for name in ("MessageCategory", "SaleID", "ServiceID", "POIID")
                    if name in answered
                },
                "RepeatedMessageResponse": {"MessageHeader": answered, "RepeatedResponseMessageBody": found["body"]},
            }
        }

    async def _abort(self, _header: dict[str, Any], body: dict[str, Any]) -> dict[str, Any] | None:
        """Nothing is answered where there was something to stop: the payment's own answer says what became of it."""
        about = body["MessageReference"]
        running = self.dialogue
        if running is None or about.get("ServiceID") != running.service_id or running.category != "Payment":
            raise RefusedError("NotFound", "Nothing to abort")
        if not running.at_host:  # else it is too late, and the race is lost
            running.events.put_nowait({"do": "abort"})
        return None

    async def _diagnosis(self, header: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        hosts = []
        reached = True
        if body.get("HostDiagnosisFlag"):
            try:
                await self._ask("/health", None, wait_s=3.0)
            except NoAnswer:
                reached = False
            hosts = [{"AcquirerID": "SIMULATED", "IsReachableFlag": reached}]
        return {
            "DiagnosisResponse": {
                "Response": {"Result": "Success", "AdditionalResponse": form(unconfirmedBatchCount=str(len(self.memory.stored)))},
                "LoggedSaleID": [header["SaleID"]] if self.logged_in else [],
                "HostStatus": hosts,
                "POIStatus": {
                    "GlobalStatus": "Busy" if self.dialogue else "OK",
                    "CommunicationOKFlag": reached, "CardReaderOKFlag": True, "PEDOKFlag": True, "SecurityOKFlag": True,
                    "FraudPreventionFlag": False, "PrinterStatus": self.printer,
                },
            }
        }  # fmt: skip

    async def _login(self, _header: dict[str, Any], _body: dict[str, Any]) -> dict[str, Any]:
        self.logged_in = True
        software = {
            "ManufacturerID": "Simulated",
            "ApplicationName": "nexo",
            "SoftwareVersion": "1.0",
            "CertificationCode": "NONE",
        }
        system = {"DateTime": now(), "POISoftware": software}
        return {"LoginResponse": {"Response": {"Result": "Success"}, "POISystemData": system}}

    async def _logout(self, _header: dict[str, Any], _body: dict[str, Any]) -> dict[str, Any]:
        self.logged_in = False
        return {"LogoutResponse": {"Response": {"Result": "Success"}}}

    async def _display(self, _header: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        outputs = body["DisplayOutput"]
        results = [
            {"Device": one["Device"], "InfoQualify": one["InfoQualify"], "Response": {"Result": "Success"}}
            for one in (outputs if isinstance(outputs, list) else [outputs])
        ]
        return {"DisplayResponse": {"OutputResult": results}}

    # --- the acquirer

    async def _ask(self, path: str, value: dict[str, Any] | None, wait_s: float = 0.0) -> dict[str, Any]:
        """Raises NoAnswer."""
        if self.host_cut:
            raise NoAnswer(sent=False)
        if self._own_bank is not None:
            return self._own_bank.answer(path, value or {"terminal": self.poi})
        asked = value if value is not None or path != "/health" else {"terminal": self.poi}
        return await ask(self.acquirer + path, asked, wait_s or self.limits.host_wait_s)

    async def forward(self) -> None:
        """One round: undo what must be, hand in what was approved alone. Nothing is let go before the acquirer has said so."""
        try:
            for transaction in list(self.memory.undo):
                await self._ask("/undo", {"terminal": self.poi, "transaction": transaction}, 10.0)
                self.memory.note("undone", transaction=transaction)
            async with self._handing_in:
                if self.memory.stored:
                    batch = list(self.memory.stored.values())[:100]
                    await self._ask("/batch", {"terminal": self.poi, "approvals": batch}, 10.0)
                    for one in batch:
                        self.memory.note("handed_in", transaction=one["transaction"])
        except NoAnswer:
            return

    def state(self) -> dict[str, Any]:
        """What a test, or the page, wants to know."""
        tail = list(self.memory.transactions.items())[-20:]
        return {
            "poi": self.poi,
            "screen": self.screen,
            "dialogue": {"service_id": self.dialogue.service_id, "at_host": self.dialogue.at_host}
            if self.dialogue
            else None,
            "auto": asdict(self.auto) if self.auto else None,
            "plan": [asdict(one) for one in self.plan],
            "plug": self.plug,
            "host": "cut" if self.host_cut else "ok",
            "limits": asdict(self.limits),
            "stored": [
                {"transaction": one["transaction"], "amount_ore": one["amount_ore"]}
                for one in self.memory.stored.values()
            ],
            "undo": list(self.memory.undo),
            "counts": self.counts,
            "violations": self.violations[-50:],
            "logged_in": self.logged_in,
            "transactions": [{"key": key, "category": one["category"], "result": _result(one)} for key, one in tail],
        }


async def _play(gesture: Gesture, dialogue: Dialogue) -> None:
    """A customer's hands."""

    async def do(**what: object) -> None:
        await asyncio.sleep(gesture.after_ms / 1000)
        dialogue.events.put_nowait(what)

    if gesture.entry == "nothing":
        return
    await do(do=gesture.entry, card=gesture.card)
    if gesture.pull or gesture.pin == "cancel":
        await do(do="pull" if gesture.pull else "cancel")
    elif gesture.pin != "nothing":
        for _ in range(gesture.wrong_pins):
            await do(do="pin", right=False)
        for _ in range(PIN_TRIES if gesture.pin == "wrong" else 1):
            await do(do="pin", right=gesture.pin == "right")


def failure(condition: str, message: str = "", **more: object) -> dict[str, Any]:
    """A Response that says no."""
    return {"Result": "Failure", "ErrorCondition": condition, "AdditionalResponse": form(message=message, **more)}


def progress_reference(event: str, transaction: str) -> str:
    """What a display notification says of how far a payment is."""
    return urlencode({"TransactionID": transaction, "TimeStamp": now(), "event": event})


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _echo(body: dict[str, Any]) -> dict[str, Any]:
    sale = body.get("SaleData")
    if not isinstance(sale, dict) or "SaleTransactionID" not in sale:
        return {}
    return {"SaleData": {"SaleTransactionID": sale["SaleTransactionID"]}}


def _result(one: dict[str, Any]) -> str:
    if one["body"] is None:
        return "in progress"
    said = one["body"][f"{one['category']}Response"]["Response"]
    return str(said.get("ErrorCondition") or said["Result"])
