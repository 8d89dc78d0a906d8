"""The demo's signing desk and its thieves, with a page: `python -m oppet.demo.desk --folder DEMO --page PORT --links FILE`.

One button signs and publishes a release as a vendor's and a chain's people would; the others are thieves, each with the keys or the
machine that the name says. What comes of it is seen at the tills and on head office's page of software. POST /do {"what": …} does the same.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import threading
import time
from pathlib import Path
from typing import Any

from oppet.base.errors import OppetError
from oppet.demo.signers import THIEVES, Signers
from oppet.simulators.web import Reply, Request, Server, json_reply

__all__ = ["main"]

PAGE = Path(__file__).parent / "static" / "desk.html"
MOST_TOLD = 20


class SigningDesk:
    """One act at a time; what was done is told, the newest first."""

    def __init__(self, folder: Path, links: Path | None) -> None:
        self._signers = Signers(folder)
        self._folder, self._links = folder, links
        self._told: list[dict[str, Any]] = []
        self._busy = threading.Lock()

    async def serve(self, request: Request) -> Reply | None:
        if (request.method, request.path) == ("GET", "/"):
            return Reply(body=PAGE.read_bytes(), kind="text/html; charset=utf-8")
        if (request.method, request.path) == ("POST", "/do"):
            try:
                what = str(json.loads(request.body)["what"])
            except (ValueError, KeyError, TypeError):
                what = ""
            if what not in ("release", "put_right", *THIEVES):
                return json_reply({"error": f"say what: release, put_right, {', '.join(THIEVES)}"}, 400)
            if not self._busy.acquire(blocking=False):
                return json_reply({"error": "busy"}, 409)
            try:
                await asyncio.to_thread(self._act, what)
            finally:
                self._busy.release()
        elif request.path != "/state":
            return Reply(404)
        return json_reply(self.state())

    def state(self) -> dict[str, Any]:
        links = json.loads(self._links.read_bytes()) if self._links and self._links.exists() else []
        return {"releases": self._signers.releases(), "told": self._told, "links": links}

    def _act(self, what: str) -> None:
        told = {"at": time.strftime("%H:%M:%S"), "what": what, "about": "", "error": ""}
        try:
            if what == "release":
                told["about"] = f"release {self._signers.release()}"
            elif what == "put_right":
                self._signers.put_right()
            elif what == "store_node":
                told["about"] = self._signers.store_node(self._folder / "S01" / "node")
            elif what == "in_the_middle":
                told["about"] = self._signers.in_the_middle(self._folder / "S02" / "node")
            else:
                told["about"] = getattr(self._signers, what)()
        except OppetError as error:
            told["error"] = str(error)
        self._told = [told, *self._told][:MOST_TOLD]


async def run(options: argparse.Namespace) -> None:
    """Open the page, say so, and serve until killed."""
    desk = SigningDesk(options.folder, options.links)
    server = Server(desk.serve)
    port = await server.open(options.page)
    print(json.dumps({"ready": True, "control_port": port}), flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m oppet.demo.desk", description="The demo's signing desk and its thieves."
    )
    parser.add_argument("--folder", type=Path, required=True, help="the demo's folder")
    parser.add_argument("--page", type=int, default=0, help="the page's port; 0 chooses one")
    parser.add_argument("--links", type=Path, help="a JSON list of {name, role, url} for the page")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
