"""A till for the terminal's own tests: seals, sends, opens. Written for the tests; the real one is a driver."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
import sys
from itertools import count
from typing import TYPE_CHECKING, Any

from oppet.simulators.nexo import Key

if TYPE_CHECKING:
    from pathlib import Path

PASSPHRASE = "Vector-2 is not for shops"


class Running:
    """A simulator with a control port, as the process it is."""

    def __init__(self, name: str, state: Path, *options: str) -> None:
        command = [sys.executable, "-m", f"oppet.simulators.{name}", "--state", str(state), "--fast", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        self.ready: dict[str, Any] = json.loads(line)

    def kill(self) -> str:
        """SIGKILL; gives what it had complained of."""
        self.process.kill()
        return self.process.communicate()[1]

    def tell(self, **wish: object) -> Any:
        """POST /control; gives what it answers, which is no error."""
        status, answer = self.ask("POST", "/control", wish)
        assert status == 200, answer
        return answer

    def state(self) -> Any:
        return self.ask("GET", "/control/state")[1]

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.ready["control_port"], timeout=10)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


class NexoTill:
    """One till at one terminal."""

    def __init__(self, terminal: Running, sale_id: str = "S01-K1") -> None:
        self.terminal = terminal
        self.sale_id = sale_id
        self.key = Key(PASSPHRASE, "oppet-key", 1)
        self.numbers = count(1)

    def header(self, category: str, service_id: str = "", **more: str) -> dict[str, Any]:
        made = {
            "ProtocolVersion": "3.0", "MessageClass": "Service", "MessageCategory": category, "MessageType": "Request",
            "ServiceID": service_id or f"{next(self.numbers):010d}", "SaleID": self.sale_id, "POIID": self.terminal.ready["poi"],
        }  # fmt: skip
        return made | more

    def post(self, data: bytes, wait_s: float = 10) -> tuple[int, bytes]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.terminal.ready["root"])
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.terminal.ready["port"], timeout=wait_s, context=context
        )
        try:
            connection.request("POST", "/nexo", data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def send(self, header: dict[str, Any], body: dict[str, Any] | None, wait_s: float = 10) -> bytes:
        clear = {"SaleToPOIRequest": {"MessageHeader": header, f"{header['MessageCategory']}Request": body}}
        sealed = self.key.seal("SaleToPOIRequest", header, json.dumps(clear).encode())
        return self.post(json.dumps(sealed).encode(), wait_s)[1]

    def ask(self, header: dict[str, Any], body: dict[str, Any] | None, wait_s: float = 10) -> Any:
        """The body of the answer, opened."""
        sealed = json.loads(self.send(header, body, wait_s))["SaleToPOIResponse"]
        clear = json.loads(self.key.open(sealed))["SaleToPOIResponse"]
        assert clear["MessageHeader"] == sealed["MessageHeader"] == header | {"MessageType": "Response"}
        return clear[f"{header['MessageCategory']}Response"]

    def pay(
        self, kronor: float, service_id: str = "", *, online: bool = False, refund: bool = False, **conditions: object
    ) -> Any:
        return self.ask(self.header("Payment", service_id), payment(kronor, online=online, refund=refund, **conditions))

    def status(self, about: str, category: str = "Payment") -> Any:
        reference = {"MessageCategory": category, "SaleID": self.sale_id, "ServiceID": about}
        return self.ask(self.header("TransactionStatus"), {"MessageReference": reference})

    def outcome(self, about: str, category: str = "Payment") -> str:
        """The truth about an earlier request, in a word."""
        said = self.status(about, category)
        if said["Response"]["Result"] != "Success":
            return str(said["Response"]["ErrorCondition"])
        return result(said["RepeatedMessageResponse"]["RepeatedResponseMessageBody"][f"{category}Response"])

    def reverse(self, paid: Any, service_id: str = "") -> Any:
        original = {"POITransactionID": paid["POIData"]["POITransactionID"]}
        amount = paid["PaymentResult"]["AmountsResp"]["AuthorizedAmount"]
        body = {"OriginalPOITransaction": original, "ReversalReason": "MerchantCancel", "ReversedAmount": amount}
        return self.ask(self.header("Reversal", service_id), body)


def payment(kronor: float, *, online: bool = False, refund: bool = False, **conditions: object) -> dict[str, Any]:
    if online:
        conditions["ForceOnlineFlag"] = True
    return {
        "SaleData": {"SaleTransactionID": {"TransactionID": "S01-K1-42", "TimeStamp": "2026-11-22T10:00:00.000Z"}},
        "PaymentTransaction": {
            "AmountsReq": {"Currency": "SEK", "RequestedAmount": kronor},
            **({"TransactionConditions": conditions} if conditions else {}),
        },
        **({"PaymentData": {"PaymentType": "Refund"}} if refund else {}),
    }


def result(body: Any) -> str:
    said = body["Response"]
    return str(said.get("ErrorCondition") or said["Result"])
