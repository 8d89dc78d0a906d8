"""The demo's way out of the stores, with a switch: `python -m oppet.demo.wan --page PORT --links FILE PORT…`.

Head office, the acquirer and Swish listen on 127.0.0.1; stores and terminals are told that they live on 127.0.0.2, the same ports, and
what stands between is this process. The switch off: nothing listens there any more and every connection is torn, as when a router has
lost its line. The page shows the switch and where everything in the demo is; POST /control {"wan": "on" | "off"} does the same.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from oppet.simulators.web import Reply, Request, Server, json_reply

__all__ = ["OUTSIDE", "main"]

OUTSIDE = "127.0.0.2"  # where stores look for what is beyond their line
INSIDE = "127.0.0.1"  # where it is
PAGE = Path(__file__).parent / "static" / "wan.html"
PIECE = 65_536

Carrier = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Wan:
    """The line: one listener for each service beyond it."""

    def __init__(self, ports: list[int], links: Path | None) -> None:
        self._ports = ports
        self._links = links
        self._servers: list[asyncio.Server] = []
        self._torn: set[asyncio.StreamWriter] = set()
        self.on = False

    async def switch(self, *, on: bool) -> None:
        if on and not self.on:
            self._servers = [
                await asyncio.start_server(self._carrier(port), OUTSIDE, port, reuse_address=True)
                for port in self._ports
            ]
        elif not on:
            for server in self._servers:
                server.close()
            self._servers = []
            for writer in list(self._torn):
                writer.transport.abort()
        self.on = on

    def _carrier(self, port: int) -> Carrier:
        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                there, back = await asyncio.open_connection(INSIDE, port)
            except OSError:
                writer.transport.abort()
                return
            both = {writer, back}
            self._torn |= both
            try:
                await asyncio.gather(_pump(reader, back), _pump(there, writer))
            finally:
                self._torn -= both
                for one in both:
                    one.close()

        return carry

    async def serve(self, request: Request) -> Reply | None:
        """The page, and its control."""
        if (request.method, request.path) == ("GET", "/"):
            return Reply(body=PAGE.read_bytes(), kind="text/html; charset=utf-8")
        if (request.method, request.path) == ("POST", "/control"):
            try:
                wish = {"on": True, "off": False}[json.loads(request.body)["wan"]]
            except (ValueError, KeyError, TypeError):
                return json_reply({"error": 'say {"wan": "on"} or {"wan": "off"}'}, 400)
            await self.switch(on=wish)
        elif request.path != "/state":
            return Reply(404)
        links = json.loads(self._links.read_bytes()) if self._links and self._links.exists() else []
        return json_reply({"wan": "on" if self.on else "off", "links": links})


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction, until its end."""
    with contextlib.suppress(OSError):
        while data := await reader.read(PIECE):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def run(options: argparse.Namespace) -> None:
    """Open the line and the page, say so, and carry until killed."""
    wan = Wan(options.ports, options.links)
    await wan.switch(on=True)
    server = Server(wan.serve)
    port = await server.open(options.page)
    print(json.dumps({"ready": True, "control_port": port}), flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m oppet.demo.wan", description="The demo's way out of the stores, with a switch."
    )
    parser.add_argument("ports", type=int, nargs="+", help=f"what {OUTSIDE} gives and {INSIDE} has")
    parser.add_argument("--page", type=int, default=0, help="the page with the switch; 0 chooses a port")
    parser.add_argument("--links", type=Path, help="a JSON list of {name, role, url} for the page")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
