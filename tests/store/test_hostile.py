"""A store node as a process of its own, and everything a hostile network can put through its door (K2)."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import zstandard

from oppet.base.signing import Signer
from oppet.drivers.keeper_http import Limits
from oppet.drivers.processes import Helper
from oppet.sync.messages import BATCH_PATH, INTRODUCE_PATH, Batch, KeeperInfo, encode_batch, pack
from tests.store.stores import Office, a_node, a_store, a_till, send
from tests.sync.chain import History

STRANGER = Signer(bytes([77]) * 32)
HOSTILE = ("127.0.0.2", 0)  # another address than the tills'
ENOUGH_MB = 150  # what a node may grow by, whatever comes in: half of 64 MB of bodies, four threads unpacking


@dataclass
class Besieged:
    """A running node, two tills of its store, and how large it was before."""

    process: Helper
    info: KeeperInfo
    tills: list[History]
    port: int
    page_port: int
    folder: Path

    def post(
        self, data: bytes, path: str = BATCH_PATH, method: str = "POST", **headers: str
    ) -> tuple[int, dict[str, object]]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20, source_address=HOSTILE)
        try:
            line.request(method, path, data, headers)
            answer = line.getresponse()
            said = json.loads(answer.read())
            return answer.status, said if isinstance(said, dict) else {"said": said}
        finally:
            line.close()

    def raw(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20, source_address=HOSTILE)

    def health(self) -> dict[str, object]:
        line = http.client.HTTPConnection("127.0.0.1", self.page_port, timeout=20)
        try:
            line.request("GET", "/health", headers={"Host": f"127.0.0.1:{self.page_port}"})
            said: dict[str, object] = json.loads(line.getresponse().read())
            return said
        finally:
            line.close()

    def counted(self, what: str) -> int:
        requests = self.health()["requests"]
        assert isinstance(requests, dict)
        return int(requests.get(what, 0))

    def memory_mb(self, what: str = "VmRSS") -> int:
        found = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text())
        assert found is not None
        return int(found[1]) // 1024

    def sells(self, till: int = 0) -> None:
        """An honest till is served within its patience."""
        history = self.tills[till]
        history.write(2)
        assert send(history, self.info).kept == history.head


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    folder = tmp_path_factory.mktemp("besieged")
    office = Office(folder)
    with office.open():
        file = a_store(folder / "s", office, tls=False)
    with a_node(file) as (inside, info):
        tills = [a_till(inside, info, f"K{number}", 50 + number)[0] for number in (1, 2)]
    with Helper("oppet", ["store", "run", str(file), "--announce"], 20) as process:
        said = process.said
        there = KeeperInfo(info.name, "store", said["url"], info.public_key)
        besieged = Besieged(process, there, tills, said["port"], said["page_port"], folder)
        for till in tills:
            till.write(20)
            assert send(till, there).kept == till.head
        yield besieged
        assert besieged.health()["well"] is True


def hostile(history: History, other: History) -> dict[str, tuple[bytes, int, str]]:
    """Name → what is sent, the status it meets, and the leaf."""
    whole = history.batch(5, 15)
    octets = encode_batch(whole)
    swapped = msgspec.structs.replace(whole, packed=pack([*history.entries[6:15], history.entries[5]]))
    changed = msgspec.structs.replace(
        whole, packed=pack([entry.replace(b'"by":101', b'"by":301') for entry in history.entries[5:15]])
    )
    stranger = History(history.till, history.epoch, STRANGER, list(history.entries), list(history.heads))
    stranger.write(3)
    last = stranger.head.seq
    bomb = zstandard.ZstdCompressor(level=3).compress(bytes(64 << 20))
    return {
        "truncated": (octets[:-10], 400, "BatchMalformedError"),
        "header cut": (octets[:30], 400, "BatchMalformedError"),
        "no batch": (b"GET / HTTP/1.1", 400, "BatchMalformedError"),
        "empty": (b"", 400, "BatchMalformedError"),
        "reordered": (encode_batch(swapped), 403, "ForgedBatchError"),
        "changed": (encode_batch(changed), 403, "ForgedBatchError"),
        "wrong key": (encode_batch(stranger.batch(last - 3, last)), 403, "ForgedBatchError"),
        "wrong till": (
            encode_batch(msgspec.structs.replace(whole, till=other.till)), 403, "ForgedBatchError",
        ),
        "zip bomb": (encode_batch(msgspec.structs.replace(whole, packed=bomb)), 403, "PackedBombError"),
        "half a frame": (
            encode_batch(msgspec.structs.replace(whole, packed=whole.packed[: len(whole.packed) // 2])), 400,
            "BatchMalformedError",
        ),
        "too many announced": (
            encode_batch(msgspec.structs.replace(whole, last=(25_000, whole.last[1]))), 400, "BatchMalformedError",
        ),
    }  # fmt: skip


NAMES = (
    "truncated", "header cut", "no batch", "empty", "reordered", "changed", "wrong key", "wrong till", "zip bomb",
    "half a frame", "too many announced",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_k2_k6_what_no_till_sends_is_refused_in_words_and_nothing_of_it_is_kept(node: Besieged, name: str) -> None:
    octets, status, leaf = hostile(*node.tills)[name]
    heads = [one["head"] for one in node.health()["tills"]]  # type: ignore[attr-defined]
    before = node.counted("alarms")
    got, said = node.post(octets)
    assert (got, said["error"]) == (status, leaf), said
    assert "Traceback" not in json.dumps(said)
    assert [one["head"] for one in node.health()["tills"]] == heads  # type: ignore[attr-defined]
    assert (node.counted("alarms") > before) == (status == 403)  # an attack, or a bad cable
    node.sells()


def test_k4_a_replay_and_a_gap_and_a_stranger_are_answered_and_no_alarm(node: Besieged) -> None:
    history = node.tills[1]
    before = node.counted("alarms")
    repeated = node.counted("repeated")
    assert node.post(encode_batch(history.batch(3, 9)))[1]["status"] == "kept"
    assert node.counted("repeated") == repeated + 1
    ahead = history.branch_off(history.head.seq)
    ahead.write(5)
    gap = ahead.batch(ahead.head.seq - 1, ahead.head.seq)
    assert node.post(encode_batch(gap))[1]["status"] == "behind"
    unknown = History("S01-K9", 1, STRANGER)
    unknown.write(1)
    assert node.post(encode_batch(unknown.batch(0, 1)))[1]["status"] == "stranger"
    assert node.counted("alarms") == before


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "GET", 404), ("/keep/1/batch", "GET", 405), ("/keep/1/who", "POST", 405), ("/keep/1/batch/", "POST", 404),
        ("/%2e%2e/%2e%2e/etc/passwd", "GET", 404), ("/keep/2/batch", "POST", 404), ("/keep/1/batch", "PUT", 405),
        ("/" + "a" * 8000, "GET", 404),
    ],
)  # fmt: skip
def test_k2_garbage_paths_and_methods_are_said_no_to(node: Besieged, path: str, method: str, status: int) -> None:
    got, said = node.post(b"", path, method)
    assert got == status
    assert said["sentence"]


@pytest.mark.parametrize("data", [b"", b"[", b"{}", b"[" * 100_000, b'[{"kind":1}]', b'[{"kind":"x","text":"{}"}]'])
def test_k2_papers_of_nonsense_are_refused_without_an_alarm(node: Besieged, data: bytes) -> None:
    before = node.counted("alarms")
    status, said = node.post(data, INTRODUCE_PATH)
    assert status == 400, said
    assert node.counted("alarms") == before


def test_k2_a_body_too_large_is_refused_by_its_length_before_it_comes(node: Besieged) -> None:
    with node.raw() as line:
        line.sendall(b"POST /keep/1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n")
        assert b"413" in line.recv(4096)


def test_k2_chunks_without_a_length_are_refused(node: Besieged) -> None:
    with node.raw() as line:
        line.sendall(b"POST /keep/1/batch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        assert b"400" in line.recv(4096)


def test_k2_a_head_without_end_is_cut_off(node: Besieged) -> None:
    before = node.memory_mb()
    with node.raw() as line, contextlib.suppress(ConnectionError):
        line.sendall(b"GET /keep/1/who HTTP/1.1\r\n")
        for number in range(4_000):
            line.sendall(b"X-%d: " % number + b"a" * 1000 + b"\r\n")
        assert line.recv(4096) == b""
    assert node.memory_mb() - before < 20
    node.sells()


def test_k2_bodies_that_drip_are_cut_off_and_hold_up_nobody(node: Besieged) -> None:
    lines = [node.raw() for _ in range(30)]
    for line in lines:
        line.sendall(b"POST /keep/1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nOPB1")
    began = time.monotonic()
    said: list[bytes] = []
    while len(said) < len(lines) and time.monotonic() - began < 15:
        for line in lines:
            with contextlib.suppress(OSError):
                line.sendall(b"x")
        node.sells()
        time.sleep(0.5)
        if time.monotonic() - began > 6:
            said = [line.recv(4096) for line in lines]
    for line in lines:
        line.close()
    assert all(b"408" in answer for answer in said)
    assert len(said) == 30


def test_k2_many_large_bodies_that_never_end_are_bounded_in_memory(node: Besieged) -> None:
    before, lines = node.memory_mb(), []
    try:
        for _ in range(60):
            line = node.raw()
            lines.append(line)
            line.sendall(b"POST /keep/1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                line.sendall(bytes(1_900_000))
        node.sells()
        assert node.memory_mb() - before < ENOUGH_MB
    finally:
        for line in lines:
            line.close()
    node.sells()


def test_k2_five_thousand_tiny_batches_are_slowed_down_and_a_till_is_served_meanwhile(node: Besieged) -> None:
    before, history, statuses = node.memory_mb(), node.tills[1], list[int]()
    octets = encode_batch(history.batch(4, 5))

    def flood() -> None:
        line = http.client.HTTPConnection("127.0.0.1", node.port, timeout=20, source_address=HOSTILE)
        for _ in range(2_500):
            line.request("POST", BATCH_PATH, octets)
            answer = line.getresponse()
            answer.read()
            statuses.append(answer.status)
            if answer.status == 429:
                assert int(answer.headers["Retry-After"]) >= 1
        line.close()

    began = time.monotonic()
    threads = [threading.Thread(target=flood) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        node.sells()
        time.sleep(0.2)
    for thread in threads:
        thread.join()
    assert len(statuses) == 5_000
    assert set(statuses) <= {200, 429}
    limits = Limits()  # what one sender may do, however fast this machine is
    assert statuses.count(200) <= limits.stream_burst + limits.stream_rate * (time.monotonic() - began) + 1
    assert node.memory_mb() - before < 50


def test_k2_bombs_by_the_dozen_cost_a_bounded_memory_and_one_alarm_a_minute(node: Besieged) -> None:
    before = node.memory_mb()
    octets = hostile(*node.tills)["zip bomb"][0]
    alarms = node.health()["alarms"]
    for _ in range(40):
        assert node.post(octets)[0] == 403
    assert node.memory_mb() - before < ENOUGH_MB
    assert isinstance(alarms, int)
    assert node.health()["alarms"] in (alarms, alarms + 1)


def test_k2_batches_of_a_lying_size_are_refused(node: Besieged) -> None:
    history = node.tills[0]
    whole = history.batch(5, 15)
    for packed in (b"\0" * 100, b"\x28\xb5\x2f\xfd" + b"\xff" * 60, pack([bytes(15 << 20)])):
        batch: Batch = msgspec.structs.replace(whole, packed=packed)
        status, said = node.post(encode_batch(batch))
        assert status in (400, 403), said
    node.sells()
