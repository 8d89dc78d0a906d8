"""A browser's window on a till, over HTTP without a browser."""

from __future__ import annotations

import re

from litestar.testing import TestClient

from oppet.register.till import Till
from tests.register.world import World

__all__ = ["HOST", "PlainPins", "Window"]

HOST = "127.0.0.1:8080"


class PlainPins:
    def good(self, digest: str, pin: str) -> bool:
        return digest == pin


class Window:
    """A browser's window: keeps cookies, sends its Origin, follows the stamp of the page."""

    def __init__(self, client: TestClient, world: World, till: Till) -> None:  # type: ignore[type-arg]
        self.client, self.world, self.till = client, world, till
        self.seen, self.sale = "0", "0"

    def post(self, path: str, /, **fields: str) -> str:
        answer = self.client.post(path, data=fields, headers={"Origin": f"http://{HOST}"})
        assert answer.status_code == 200, answer.text
        self._stamp(answer.text)
        return answer.text

    def do(self, deed: str, /, **fields: str) -> str:
        return self.post(f"/do/{deed}", **{"seen": self.seen, "sale": self.sale, **fields})

    def load(self) -> str:
        text = self.client.get("/").text
        self._stamp(text)
        return text

    def _stamp(self, text: str) -> None:
        if found := re.search(r'name="seen" value="(\d+)"><input type="hidden" name="sale" value="(\d+)"', text):
            self.seen, self.sale = found[1], found[2]

    def sign_in(self, who: str = "7", pin: str = "1234") -> str:
        return self.post("/sign-in", who=who, pin=pin)
