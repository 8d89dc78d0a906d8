"""The published tree over HTTP: what may be read, by whom, how slowly, and that the keeper beside it is not held up."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from oppet.drivers import serving
from oppet.drivers.obtaining import obtain_image
from oppet.drivers.publication_http import Publications, Readers, beside
from oppet.drivers.publication_sources import HttpSource
from tests.drivers.trees import Tree, a_tree

BIG = 6_000_000
TARGET = f"chain/targets/goods/{'a1' * 32}.assortment-1.json"


async def keeper(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
        await send({"type": "http.response.body", "body": b"keeper"})


@dataclass
class Served:
    tree: Tree
    port: int
    app: Publications

    def ask(self, path: str, method: str = "GET", body: str = "") -> tuple[int, bytes]:
        with socket.create_connection(("127.0.0.1", self.port), 5) as line:
            line.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{body}\r\n".encode())
            came = b""
            while part := line.recv(65536):
                came += part
        head, _, rest = came.partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), rest


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    base = tmp_path_factory.mktemp("pub")
    tree = a_tree(base)
    (base / "secret").write_bytes(b"secret")
    (base / TARGET).parent.mkdir(parents=True)
    (base / TARGET).write_bytes(bytes(BIG))
    (base / "chain/metadata").mkdir()
    (base / "chain/metadata/timestamp.json").write_bytes(b"{}")
    (base / "chain/metadata/half.json.new").write_bytes(b"half")
    (base / "chain/metadata/link.json").symlink_to(base / "secret")
    (base / "chain/staged").mkdir()
    (base / "chain/staged/targets.json").write_bytes(b"draft")
    (base / "vendor").symlink_to(base / "chain")
    app = Publications(base, Readers(most=40, of_one_peer=30, grace_s=0.5, slowest_bytes_s=50_000_000))
    listener = serving.listen(0)
    stop = threading.Event()
    services = [serving.Service(beside(keeper, app), listener, None, serving.Guard())]
    thread = threading.Thread(target=serving.serve_all, args=(services, lambda: None, None, stop))
    thread.start()
    try:
        yield Served(tree, listener.getsockname()[1], app)
    finally:
        stop.set()
        thread.join(10)
        app.close()
        listener.close()


def test_rl13_plain_files_of_the_tree_are_read_and_the_keeper_answers_beside_them(served: Served) -> None:
    assert served.ask("/pub/chain/metadata/timestamp.json") == (200, b"{}")
    assert served.ask("/pub/chain/metadata/timestamp.json", "HEAD") == (200, b"")
    status, data = served.ask(f"/pub/{TARGET}")
    assert (status, len(data)) == (200, BIG)
    assert served.ask("/v1/who") == (200, b"keeper")
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        assert served.ask("/pub/chain/metadata/timestamp.json", method)[0] == 405


@pytest.mark.parametrize(
    "path",
    [
        "", "secret", "../secret", "chain/../secret", "chain/metadata/../../secret", "chain/metadata/..%2f..%2fsecret",
        "%2e%2e/secret", "chain/metadata/link.json", "vendor/metadata/timestamp.json", "chain/staged/targets.json",
        "chain/metadata/half.json.new", "chain/metadata", "chain/metadata/", "chain//metadata/timestamp.json", "chunks/zz/x",
        "chain/metadata/.hidden.json", "chain/targets/" + "x" * 3000, "chain/metadata/timestamp.json%00", "/chain/metadata/x.json",
        "chunks/ab/" + "0" * 64, "patches/../secret", "chain/targets/goods", "store/S01/../../secret",
    ],
)  # fmt: skip
def test_rl13_nothing_else_can_be_named(served: Served, path: str) -> None:
    assert served.ask(f"/pub/{path}") == (404, b"")


def test_rl13_ten_tills_fetch_an_image_at_once_over_connections_that_stay_open(served: Served, tmp_path: Path) -> None:
    made: list[bytes] = []

    def till(number: int) -> None:
        source = HttpSource("node", f"http://127.0.0.1:{served.port}/pub")
        try:
            into = tmp_path / str(number) / "image.tar"
            done = obtain_image(served.tree.index, served.tree.software, (), [source], into)
            made.append(done.path.read_bytes())
        finally:
            source.close()

    ten = [threading.Thread(target=till, args=(number,)) for number in range(10)]
    for one in ten:
        one.start()
    for one in ten:
        one.join(30)
    assert made == [served.tree.image] * 10


def test_rl13_slow_readers_are_few_are_cut_off_and_hold_up_nobody(served: Served) -> None:
    slow = []
    try:
        for _ in range(35):
            line = socket.create_connection(("127.0.0.1", served.port), 5)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.sendall(f"GET /pub/{TARGET} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            slow.append(line)
        assert served.ask("/v1/who") == (200, b"keeper")
        statuses = [line.recv(12)[9:] for line in slow]
        assert statuses.count(b"503") >= 5  # one address reads thirty at once, no more
        deadline = time.monotonic() + 10
        while (status := served.ask("/pub/chain/metadata/timestamp.json")[0]) != 200 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert status == 200
    finally:
        for line in slow:
            line.close()
