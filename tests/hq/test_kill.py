"""SIGKILL of head office's processes and of PostgreSQL under load: what was acknowledged is there, and each entry counts once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from oppet.base.errors import UnavailableError
from oppet.drivers.hq_schema import migrate
from oppet.drivers.postgres import EmbeddedPostgres
from oppet.sync.messages import encode_batch
from tests.hq.sold import Office, a_day, clear, dump, one, renamed
from tests.sync.chain import History

TILLS = 3


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[History]:
    day = a_day(tmp_path_factory.mktemp("till"), sales=30)
    return [renamed(day.entries, f"S05-K{number}", 1) for number in range(TILLS)]


def batches(days: list[History], seed: int) -> list[bytes]:
    """Every till's history from the start, in pieces of any size, the tills in turn."""
    rng = Random(seed)
    places = dict.fromkeys(range(len(days)), 0)
    found = []
    while any(place < days[number].head.seq for number, place in places.items()):
        for number, day in enumerate(days):
            first = places[number]
            last = places[number] = min(day.head.seq, first + rng.randrange(1, 30))
            if last > first:
                found.append(encode_batch(day.batch(first, last)))
    return found


def as_file(path: Path, found: list[bytes]) -> Path:
    path.write_bytes(b"".join(len(data).to_bytes(4, "big") + data for data in found))
    return path


def child(dsn: str, path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.hq.ingest_child", dsn, str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def acknowledged(process: subprocess.Popen[str], kept: dict[str, int], enough: int) -> None:
    """Read acknowledgements until there are enough, or it has ended."""
    assert process.stdout is not None
    for count, line in enumerate(process.stdout, 1):
        till, seq = line.split()
        kept[till] = max(kept.get(till, 0), int(seq))
        if count >= enough:
            return


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def what_is_right(dsn: str, days: list[History]) -> dict[str, list[tuple[object, ...]]]:
    clear(dsn)
    office = Office(dsn)
    for day in days:
        office.take(day)
    office.close()
    return dump(dsn)


def heads(dsn: str) -> dict[str, int]:
    listed = one(dsn, "SELECT coalesce(json_object_agg(till, head_seq), '{}'::json) FROM stream")
    return dict(listed)


def test_r01_processes_killed_in_the_middle_of_batches_lose_nothing_acknowledged(
    dsn: str, days: list[History], tmp_path: Path
) -> None:
    truth = what_is_right(dsn, days)
    clear(dsn)
    kept: dict[str, int] = {}
    rng = Random(5)
    for kill in range(6):
        path = as_file(tmp_path / "batches", batches(days, kill))
        first, second = child(dsn, path), child(dsn, path)
        try:
            acknowledged(first, kept, rng.randrange(1, 40))
            time.sleep(rng.random() * 0.02)
        finally:
            end(first)
            end(second)
        here = heads(dsn)
        assert all(here[till] >= seq for till, seq in kept.items()), "K1: acknowledged is on disk"
    office = Office(dsn)
    for day in days:
        office.take(day)
    office.close()
    assert dump(dsn) == truth


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    folder = tmp_path_factory.mktemp("pg")
    for parent in (folder, *folder.parents[:3]):
        if parent.owner() == folder.owner():
            parent.chmod(0o755)
    server = EmbeddedPostgres(folder / "d")
    yield server
    server.stop()


def send_until(office: Office, day: History, stop: threading.Event, kept: dict[str, int]) -> None:
    """As a sender does: what was not acknowledged is sent again."""
    rng = Random(day.till)
    place = 0
    while not stop.is_set():
        last = min(day.head.seq, place + rng.randrange(1, 10))
        try:
            answer = office.keeper.receive(day.batch(place, last))
        except UnavailableError:
            time.sleep(0.05)
            continue
        assert answer.ack is not None
        kept[day.till] = max(kept.get(day.till, 0), answer.ack.seq)
        place = answer.ack.seq if answer.ack.seq < day.head.seq else max(0, place - 40)


def test_r01_postgresql_killed_under_load_has_every_acknowledged_entry_once(
    own_server: EmbeddedPostgres, days: list[History]
) -> None:
    dsn = own_server.start()
    migrate(dsn)
    truth = what_is_right(dsn, days)
    clear(dsn)
    office = Office(dsn)
    stop, kept = threading.Event(), dict[str, int]()
    works = [threading.Thread(target=send_until, args=(office, day, stop, kept)) for day in days]
    for work in works:
        work.start()
    rng = Random(6)
    try:
        for _ in range(3):
            time.sleep(0.2 + rng.random() * 0.3)
            pid = own_server.pid
            os.kill(pid, signal.SIGKILL)
            own_server.start()
            here = heads(dsn)
            assert own_server.pid != pid
            assert all(here.get(till, 0) > 0 for till in kept)
    finally:
        stop.set()
        for work in works:
            work.join()
    before = dict(kept)
    assert len(before) == TILLS
    own_server.start()
    assert all(heads(dsn)[till] >= seq for till, seq in before.items()), "K1: acknowledged is on disk"
    for day in days:
        office.take(day)
    office.close()
    assert dump(dsn) == truth
