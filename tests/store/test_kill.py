"""A store node killed under load, again and again: what it acknowledged is there, and nothing is there twice (K1)."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from oppet.base.errors import OppetError
from oppet.drivers.journal_reader import verify_file
from oppet.drivers.keeper_client import KeeperClient
from oppet.drivers.processes import Helper
from oppet.journal.kinds import EpochOpened
from oppet.sync.messages import KeeperInfo
from oppet.sync.sender import Sender
from tests.store.stores import Office, a_node, a_store, a_till
from tests.sync.chain import History


class Selling:
    """A till that sells and sends until it is told to stop; what was acknowledged is remembered across kills."""

    def __init__(self, history: History, info: KeeperInfo, seed: int) -> None:
        self.history, self.acked = history, 0
        self._sender = Sender(history, info.name, bytes.fromhex(info.public_key))
        self._now = 0
        self.lost: list[str] = []
        public = history.signer.public.hex()
        opened = EpochOpened("S01", "X", "5560000000", "Y", "K1-1", "SE1", "SE", "0", public, ("U1",), "machine-1")
        history.write(1, opened)
        self._chance = random.Random(seed)

    def sell(self, info: KeeperInfo, stop: threading.Event) -> None:
        sender, client = self._sender, KeeperClient(info, 3)
        try:
            while not stop.is_set():
                self._now += 60_000
                now = self._now
                if self._chance.random() < 0.7:
                    self.history.write(self._chance.randrange(1, 30))
                batch = sender.ask(now)
                if batch is None:
                    continue
                try:
                    news = sender.answered(client.batch(batch), now)
                except OppetError:
                    sender.failed(now, 0)
                    continue
                if news.about == "lost" or news.seq < self.acked:
                    self.lost.append(f"{self.history.till}: had {self.acked}, has {news.seq}")
                self.acked = max(self.acked, news.seq)
        finally:
            client.close()


def kill_many(folder: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    office = Office(folder)
    with office.open():
        file = a_store(folder / "s", office)
    with a_node(file) as (inside, info):
        tills = [
            Selling(a_till(inside, info, f"K{number}", 50 + number)[0], info, seed + number) for number in (1, 2, 3)
        ]
    for _ in range(kills):
        with Helper("oppet", ["store", "run", str(file), "--announce"], 30) as process:
            said = process.said
            there = KeeperInfo(info.name, "store", said["url"], info.public_key, said["tls"])
            stop = threading.Event()
            threads = [threading.Thread(target=till.sell, args=(there, stop)) for till in tills]
            for thread in threads:
                thread.start()
            time.sleep(chance.uniform(0.05, 0.6))
            os.kill(process.pid, signal.SIGKILL)
            stop.set()
            for thread in threads:
                thread.join(20)
    assert [till.lost for till in tills] == [[], [], []]
    assert all(till.acked > 0 for till in tills), "nothing was acknowledged: this test would prove nothing"
    with a_node(file) as (inside, _):
        assert inside.shelf.damaged == []
        for till in tills:
            source = inside.shelf.source(till.history.till, 1)
            assert source.head.seq >= till.acked
            kept = list(source.pieces(1, 1_000_000, 1 << 30))
            assert kept == till.history.entries[: len(kept)]
        assert [one.branch for one in inside.shelf.streams()] == ["", "", ""]
    for path in (folder / "s" / "node" / "kept").glob("*.journal"):
        assert verify_file(path).finding is None


def test_k1_ten_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    kill_many(tmp_path, 10, 4711)


@pytest.mark.long
@pytest.mark.kill
def test_k1_a_hundred_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    kill_many(tmp_path, 100, 815)


def test_a_node_told_to_stop_ends_in_order_and_says_when_it_answers(tmp_path: Path) -> None:
    office = Office(tmp_path)
    with office.open():
        file = a_store(tmp_path / "s", office)
    words = [sys.executable, "-m", "oppet", "store", "run", str(file), "--announce"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert said["ready"] == "S01-node"
        client = KeeperClient(KeeperInfo("S01-node", "store", said["url"], "0" * 64, said["tls"]), 10)
        assert client.who().tls == said["tls"]
        client.close()
        process.send_signal(signal.SIGTERM)
        rest, trouble = process.communicate(timeout=20)
        assert (process.returncode, rest, trouble) == (0, b"", b"")
    finally:
        process.kill()
        process.wait()
