"""Simulators as the separate processes they are: started, told what to do wrong, asked what they remember, killed."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from oppet.drivers.control_unit_skattedosan import SkattedosanUnit
from oppet.drivers.control_unit_xccsp import XccspUnit
from oppet.fiscal.unit import UnitRequest

if TYPE_CHECKING:
    from pathlib import Path

ORG_NO = "5566778899"
ANSWER_S = 0.4


class Simulator:
    """One running simulator."""

    def __init__(self, name: str, state: Path, *options: str) -> None:
        self.name = name
        self.state_file = state
        command = [sys.executable, "-m", f"oppet.simulators.{name}", "--state", str(state), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        self.ready: dict[str, Any] = json.loads(line)
        self.unit: str = self.ready["unit"]

    def kill(self) -> None:
        """SIGKILL, as a torn-out cable would."""
        self.process.kill()
        self.process.communicate()

    def order(self, fault: str, **more: object) -> None:
        """Order a fault."""
        status, answer = self.ask("POST", "/control", {"fault": fault, **more})
        assert status == 200, answer

    def state(self, tail: int = 100) -> Any:
        """What the unit remembers."""
        return self.ask("GET", f"/control/state?tail={tail}")[1]

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """One question to the control port."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ready["control_port"], timeout=10)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def driver(self, unit: str = "", answer_s: float = ANSWER_S) -> SkattedosanUnit | XccspUnit:
        """A driver that has never spoken to it."""
        if self.name == "skattedosan":
            return SkattedosanUnit(unit or self.unit, self.ready["device"], answer_timeout_s=answer_s)
        return XccspUnit(
            unit or self.unit, "127.0.0.1", self.ready["port"], answer_timeout_s=answer_s, probe_timeout_s=answer_s,
            busy_wait_s=0.01, busy_tries=2,
        )  # fmt: skip


def a_request(number: int = 1, *, register: str = "K3", serial: int = 0, **more: Any) -> UnitRequest:
    """A sale of 100 kronor, 25 % VAT; anything else by name."""
    values: dict[str, Any] = {
        "unit": "",
        "serial": serial or number,
        "receipt_id": number,
        "receipt_type": "normal",
        "minute": "202611221200",
        "org_no": ORG_NO,
        "register": register,
        "total_ore": 10_000,
        "negative_ore": 0,
        "vat": ((2500, 2000),),
    }
    return UnitRequest(**values | more)
