"""`oppet bench second-copy`: what a sale waits for its second copy, on loopback, at a real store node in its own process.

The till sells as in `bench sale`, its keepers' threads and TLS as `oppet till run` has them. The ceiling, in the same run: as
many bytes over one TLS connection to a process that puts them on its disk with one fdatasync and answers as many back.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from oppet.base.clock import utc_text
from oppet.base.signing import Signer
from oppet.bench.sale import basket_codes, sell
from oppet.drivers.clock import SystemClock
from oppet.drivers.keepers import Keepers
from oppet.drivers.keys import make_key
from oppet.drivers.processes import Helper
from oppet.drivers.tls import load_or_make, server_context
from oppet.drivers.upload import JournalSource
from oppet.goods.catalogue import decode
from oppet.journal.entry import Head
from oppet.register.ports import Alone
from oppet.store.enrolment import ENROLLED, NODE_KEY, PAPERS
from oppet.store.settings import Enrolment
from oppet.sync.certificates import StoreCertificate, TillCertificate, make_paper
from oppet.sync.enrolment import Enrolled
from oppet.sync.messages import KeeperInfo
from oppet.yardstick.measure import conditions, percentiles, result
from oppet.yardstick.store import SECRET, demo_assortment, open_for_bench, scratch

__all__ = ["echo", "run"]

HQ, MANAGER = Signer(bytes(31) + b"\x01"), Signer(bytes(31) + b"\x02")  # a benchmark's keys prove nothing
TILL = "B-K1"
ANSWER_BYTES = 700  # an acknowledgement with its headers


def run(sales: int = 400) -> dict[str, Any]:
    """Measure the wait of each sale, with one keeper in the store that answers."""
    with scratch() as folder:
        settings, papers, node_key = _store(folder)
        with Helper("oppet", ["store", "run", str(settings), "--announce"], 30.0) as node:
            info = KeeperInfo("B-node", "store", str(node.said["url"]), node_key.hex(), str(node.said["tls"]))
            enrolled = Enrolled(TILL, 1, "B", "K1-1", HQ.public.hex(), papers, (info,))
            seconds, copied, sent = _sales(folder, enrolled, sales)
        bare = _bare(folder, sent, sales)
    waits, ceiling = percentiles("", seconds), percentiles("", bare)
    return result(
        "second-copy",
        {**waits, "copied": copied, "sales": sales, "bytes_a_sale": sent},
        {
            "p50_over_bare": round(waits["p50_ms"] / ceiling["p50_ms"], 2),
            "p99_over_bare": round(waits["p99_ms"] / ceiling["p99_ms"], 2),
        },
        conditions(
            keeper="oppet store run, a process of its own, TLS, its fsync before it answers",
            ceiling="as many bytes over one TLS connection, one fdatasync, an answer of 700 bytes",
            bare_p50_ms=ceiling["p50_ms"],
            bare_p99_ms=ceiling["p99_ms"],
            budget_ms=80,
        ),
    )


def _store(folder: Path) -> tuple[Path, tuple[Any, ...], bytes]:
    """An enrolled store node's folder: (its settings, the papers, its key)."""
    kept = folder / "node"
    kept.mkdir()
    node, now = make_key(kept / NODE_KEY), utc_text(SystemClock().now())
    store = StoreCertificate("B", "Mätköp", "Torget", MANAGER.public.hex(), node.public.hex(), now)
    till = TillCertificate(TILL, 1, "B", "K1-1", Signer(SECRET).public.hex(), now)
    papers = (make_paper(store, HQ), make_paper(till, MANAGER, HQ))
    (kept / PAPERS).write_bytes(msgspec.json.encode(papers))
    (kept / ENROLLED).write_bytes(msgspec.json.encode(Enrolment("B", HQ.public.hex(), ())))
    settings = folder / "node.json"
    settings.write_bytes(msgspec.json.encode({"store": "B", "folder": "node", "port": 0, "page_port": 0}))
    return settings, papers, node.public


def _sales(folder: Path, enrolled: Enrolled, sales: int) -> tuple[list[float], int, int]:
    """Sell, and time each wait for the second copy: (seconds, sales that had one, bytes of entries a sale)."""
    catalogue = decode(demo_assortment())
    till, journal = open_for_bench(folder, catalogue, name=TILL)
    codes, _ = basket_codes(catalogue)
    clock = SystemClock()
    source = JournalSource(journal, Signer(SECRET), clock.now)
    keepers = Keepers(source, enrolled, folder / "papers.json", {}, clock)
    seconds: list[float] = []
    having: list[int] = []

    def second(head: Head) -> int:
        began = time.perf_counter()
        copies = keepers.second(head)
        seconds.append(time.perf_counter() - began)
        having.append(copies)
        return copies

    till.desk.ports.copies = Timed(second)
    keepers.begin()
    try:
        for _ in range(20):
            sell(till, codes)
        deadline = time.monotonic() + 20
        while keepers.second(journal.head) == 0 and time.monotonic() < deadline:
            time.sleep(0.05)  # the node sees this till for the first time
        seconds.clear()
        having.clear()
        first = journal.head.seq
        for _ in range(sales):
            sell(till, codes)
        size = sum(len(journal.raw(seq)) for seq in range(first + 1, journal.head.seq + 1)) // sales
    finally:
        keepers.close()
        journal.close()
    return seconds, sum(copies > 0 for copies in having), size


class Timed(Alone):
    """Keepers of which the checkout needs one thing."""

    def __init__(self, second: Callable[[Head], int]) -> None:
        self._second = second

    def second(self, head: Head) -> int:
        return self._second(head)


def _bare(folder: Path, size: int, rounds: int) -> list[float]:
    """The ceiling: send, wait for the disk at the other end, read the answer."""
    seconds, block = [], bytes(size)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        Helper("oppet.bench.second_copy", [str(folder), str(size), str(ANSWER_BYTES)]) as echo,
        socket.create_connection(("127.0.0.1", int(echo.said["port"]))) as plain,
    ):
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(plain) as line:
            for _ in range(rounds):
                began = time.perf_counter()
                line.sendall(block)
                left = ANSWER_BYTES
                while left:
                    left -= len(line.recv(left))
                seconds.append(time.perf_counter() - began)
    return seconds


def echo(folder: Path, request: int, answer: int) -> None:
    """The least a second copy can cost: take so many bytes over TLS, put them on the disk, answer; for one connection.

    Run as a process of its own: `python -m oppet.bench.second_copy FOLDER REQUEST_BYTES ANSWER_BYTES`.
    """
    digest = load_or_make(folder / "echo.pem")
    context, said = server_context(folder / "echo.pem"), bytes(answer)
    handle = os.open(folder / "echo", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(json.dumps({"port": listener.getsockname()[1], "tls": digest}), flush=True)
        plain, _ = listener.accept()
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(plain, server_side=True) as line:
            while data := _exactly(line, request):
                os.write(handle, data)
                os.fdatasync(handle)
                line.sendall(said)
    os.close(handle)


def _exactly(line: socket.socket, count: int) -> bytes:
    parts, left = [], count
    while left:
        part = line.recv(left)
        if not part:
            return b""
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


if __name__ == "__main__":
    echo(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
