"""Simulated printers as the separate processes they are."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from typing import Any


class SimulatedPrinter:
    """One running `oppet.simulators.printer`."""

    def __init__(self) -> None:
        words = [sys.executable, "-m", "oppet.simulators.printer"]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        said = json.loads(self.process.stdout.readline())
        self.port: int = said["port"]
        self._control: int = said["control_port"]

    def _ask(self, method: str, path: str, body: str = "") -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self._control, timeout=5)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def tell(self, **wish: object) -> None:
        status, said = self._ask("POST", "/control", json.dumps(wish))
        assert status == 200, said

    def ask(self, method: str, path: str, body: str = "") -> tuple[int, dict[str, Any]]:
        return self._ask(method, path, body)

    @property
    def state(self) -> dict[str, Any]:
        return self._ask("GET", "/state")[1]

    @property
    def sheets(self) -> list[dict[str, Any]]:
        return list(self.state["sheets"])

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()
