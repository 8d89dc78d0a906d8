"""A till served for a browser: real goods, real journal, fakes for what is outside, the real program over real HTTP."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import uvicorn

from oppet.base.canonical import digest
from oppet.base.signing import Signer, Verifier
from oppet.drivers.printer import ScreenPrinter
from oppet.drivers.words import sayer
from oppet.goods.assortment import merge
from oppet.goods.catalogue import Catalogue, decode
from oppet.journal.kinds import Original, Receipt
from oppet.paper.electronic import pack, pack_to_print, unpack
from oppet.payments.paths import PayPath
from oppet.register.desk import Rules
from oppet.register.till import Till
from oppet.sale.staff import Member, StaffList
from oppet.till.views_updates import Updates
from oppet.till.web import create_app
from oppet.till.web_tenders import Ticker
from tests.conftest import ROOT
from tests.register.world import SECRET, FakeClock, World

__all__ = ["BADGE", "ServedTill", "demo_goods", "served"]

BADGE = "badge-of-bo"
STAFF = (Member(7, "cashier", "1234"), Member(3, "manager", "4321", digest(BADGE.encode())))


class PlainPins:
    """PINs as they are: argon2 has tests of its own."""

    def good(self, digest: str, pin: str) -> bool:
        return digest == pin


@dataclass
class RunningClock(FakeClock):
    """Begins on the Sunday of the tests and runs from there."""

    began: float = 0.0

    def now(self) -> int:
        return self.instant + self.counter()

    def counter(self) -> int:
        self.began = self.began or time.monotonic()
        return int((time.monotonic() - self.began) * 1000)


@dataclass
class ServedTill:
    url: str
    world: World
    till: Till
    printer: ScreenPrinter
    ticker: Ticker
    updates: Updates | None = None

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Nobody listens to the payment services meanwhile."""
        with self.ticker.counter.lock:
            yield


@cache
def demo_goods() -> Catalogue:
    off = (ROOT / "data" / "assortment-off" / "articles.tsv").read_bytes()
    ours = (ROOT / "data" / "assortment-ours" / "terms.json").read_bytes()
    return decode(merge(off, ours))


@contextmanager
def served(
    folder: Path, catalogue: Catalogue | None = None, payments: Sequence[PayPath] = (),
    updates: Callable[[Till], Updates] | None = None,
) -> Iterator[ServedTill]:  # fmt: skip
    """Serve a till that nobody has signed in to, on a port of its own, until the block ends."""
    printer = ScreenPrinter("kvittoskrivare", "paper")
    world = World(
        folder,
        clock=RunningClock(),
        paths=[printer, ScreenPrinter("electronic", "electronic")],  # type: ignore[list-item]
        catalogue=catalogue or demo_goods(),
        rules=Rules(disk_warn_mb=0, disk_least_mb=0),
        payments=list(payments),
    )
    first = world.start()
    journal, signer = world.journal, Signer(SECRET)
    assert journal is not None

    def code_for(receipt: Receipt, seq: int, time: str, *, electronic: bool) -> str:
        make = pack if electronic else pack_to_print
        return make(receipt, journal.till, journal.epoch, seq, time, journal.digest_at(seq), signer)

    def by_code(code: str) -> tuple[Original, Receipt]:
        found = unpack(code, lambda _till, _epoch: Verifier(signer.public))
        assert found.receipt is not None, "a full code"
        return Original(found.till, found.epoch, found.number), found.receipt

    till = Till(first.desk.ports, world.rules, sayer("sv"), code_for, by_code)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    behind = updates(till) if updates is not None else None
    app = create_app(till, StaffList(STAFF, PlainPins()), {f"127.0.0.1:{port}"}, updates=behind)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield ServedTill(f"http://127.0.0.1:{port}/", world, till, printer, app.state.ticker, behind)
    finally:
        app.state.leave()
        server.should_exit = True
        thread.join(10)
        journal.close()
