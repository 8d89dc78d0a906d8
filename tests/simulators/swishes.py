"""The simulated Swish as the process it is: started once, told what to do wrong, asked what it knows, killed."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["SwishProcess"]


class SwishProcess:
    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "oppet.simulators.swish", "--folder", str(folder), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        self.ready: dict[str, Any] = json.loads(line)
        self.payee: str = self.ready["payee"]
        self.base: str = self.ready["base"]

    def paper(self, name: str) -> Path:
        return Path(self.ready["papers"][name])

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    # --- the control port

    def order(self, **wish: object) -> Any:
        status, answer = self.control("POST", "/control", wish)
        assert status == 200, answer
        return answer

    def scan(self, qr: str, *, approve: bool = True) -> Any:
        status, answer = self.control("POST", "/control/scan", {"qr": qr, "approve": approve})
        assert status == 200, answer
        return answer

    def state(self) -> Any:
        return self.control("GET", "/control/state")[1]

    def reset(self, **more: object) -> None:
        self.control("POST", "/control/reset", {})
        self.order(**{"mode": "ok", "paid_ms": 0, "refund_ms": 0, "life_ms": 180_000, "late_ms": None, **more})

    def control(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.ready["control_port"], timeout=10)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def page(self, form: str = "", query: str = "") -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.ready["control_port"], timeout=10)
        try:
            connection.request("POST" if form else "GET", f"/{query}", form or None)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    # --- the API, by hand: not a line of our driver

    def call(
        self, method: str, path: str, body: object = None, *, paper: str = "client-1", kind: str = "application/json"
    ) -> tuple[int, dict[str, str], Any]:
        context = ssl.create_default_context(cafile=str(self.paper("ca")))
        context.load_cert_chain(self.paper(paper))
        connection = http.client.HTTPSConnection("localhost", self.ready["port"], timeout=5, context=context)
        try:
            data = body if isinstance(body, str) else json.dumps(body) if body is not None else None
            connection.request(method, f"/swish-cpcapi/api/{path}", data, {"Content-Type": kind})
            answer = connection.getresponse()
            read = answer.read()
            return answer.status, dict(answer.getheaders()), json.loads(read) if read else None
        finally:
            connection.close()
