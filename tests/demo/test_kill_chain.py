"""SIGKILL of the store node, a worker of head office, its parent and PostgreSQL, at random, while tills sell.

Everything is a real process: the demo's chain with robot cashiers. When the customers have gone home, head office has
each till's every entry, once, and its receipts and sums are the tills' own to the öre (R01, R03, R20).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random

import msgspec
import psycopg
import pytest

from oppet.base.errors import UnavailableError
from oppet.demo.chain import Chain, Store, TillPlan, free_ports, stores
from oppet.drivers.journal_reader import JournalReader, verify_file
from oppet.drivers.processes import Helper
from oppet.journal.entry import body_of, parse
from oppet.journal.kinds import Receipt, ReceiptPrinted
from oppet.paper.sheet import amount

SETTLE_S = 120
Sum = tuple[int, int]  # receipts, and öre: returns are negative


class Running:
    """The chain under test: processes that are killed, and started again by whoever should."""

    def __init__(self, folder: Path, tills: int, stack: ExitStack) -> None:
        ports = iter(free_ports(2 + 2 * (4 + tills)))
        page, keeper = next(ports), next(ports)
        self.chain = Chain(folder, stores(ports, tills)[:1])
        self.store: Store = self.chain.stores[0]
        self.stack = stack
        self.chain.write_hq(keeper, page)
        self.chain.write_store(self.store)
        self.hq = self._begin(self.chain.hq())
        self.chain.enrol_store(self.store, f"https://127.0.0.1:{keeper}")
        self._begin(self.chain.unit_of_store(self.store))
        self.node = self._begin(self.chain.node(self.store))
        self.tills: dict[TillPlan, Helper] = {}
        for plan in self.store.tills:
            self.chain.write_till(self.store, plan)
            self._begin(self.chain.unit_of_till(self.store, plan))
            self.chain.enrol_till(self.store, plan)
        for plan in self.store.tills:
            self.tills[plan] = self._begin(self.robot(plan))

    def _begin(self, start: Callable[[], Helper]) -> Helper:
        for _ in range(20):
            try:
                helper = start()
            except UnavailableError:  # the ports are held until the last child of what was killed is gone
                time.sleep(1)
                continue
            self.stack.callback(helper.end)
            return helper
        raise AssertionError("it does not start again")

    def robot(self, plan: TillPlan) -> Callable[[], Helper]:
        settings = str(self.chain.folder / self.store.id / f"{plan.register}.json")
        return lambda: Helper("oppet.demo.robot", [settings, plan.name, "0.05", "0.3"], wait_s=180)

    def kill(self, victim: str, chance: Random) -> None:
        if victim == "node":
            os.kill(self.node.pid, signal.SIGKILL)
            self.node.end()
            self.node = self._begin(self.chain.node(self.store))
        elif victim == "head office":
            os.kill(self.hq.pid, signal.SIGKILL)
            self.hq.end()
            self.hq = self._begin(self.chain.hq())
        elif victim == "worker":  # its parent starts another
            with suppress(ProcessLookupError, IndexError):  # or it is dead already, and not yet started again
                os.kill(chance.choice(workers_of(self.hq.pid)), signal.SIGKILL)
        else:  # and the database again
            with suppress(OSError, ValueError):
                os.kill(self.postgres(), signal.SIGKILL)

    def postgres(self) -> int:
        """The embedded server's process as its folder says."""
        return int((self.chain.folder / "hq" / "postgres" / "postmaster.pid").read_text().split()[0])

    @property
    def dsn(self) -> str:
        return str(self.hq.said["dsn"])

    def journal(self, plan: TillPlan) -> Path:
        return self.chain.folder / self.store.id / plan.register / "epoch-0001.journal"


def workers_of(pid: int) -> list[int]:
    words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(word) for word in words if b"worker" in Path(f"/proc/{word}/cmdline").read_bytes()]


def at_till(journal: Path) -> tuple[Sum, int, int]:
    """A till's own receipts and sum, its last entry, and how many receipts had a second copy before they were printed."""
    count = ore = copied = 0
    with JournalReader(journal) as reader:
        for _, data in reader.rows():
            assert data is not None
            body = body_of(parse(data))
            if isinstance(body, Receipt) and body.kind != "training":
                count += 1
                ore += body.total_ore if body.kind == "sale" else -body.total_ore
            if isinstance(body, ReceiptPrinted):
                copied += body.copies > 0
        return (count, ore), reader.ends()[1], copied


def at_hq(dsn: str, till: str) -> tuple[Sum, int]:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT count(r.seq), coalesce(sum(r.total_ore), 0), max(s.head_seq) FROM stream s "
            "LEFT JOIN receipt r ON r.store_id = s.store_id AND r.stream_id = s.stream_id WHERE s.till = %s",
            (till,),
        ).fetchone()
    assert row is not None
    return (int(row[0]), int(row[1])), int(row[2] or 0)


def settle(running: Running) -> None:
    """Customers gone; everything that was written comes to head office."""
    for helper in running.tills.values():
        os.kill(helper.pid, signal.SIGUSR1)
    deadline = time.monotonic() + SETTLE_S
    behind: dict[str, int] = {}
    while time.monotonic() < deadline:
        time.sleep(1)
        with suppress(psycopg.Error, UnavailableError):
            behind = {}
            for plan in running.tills:
                ends = last_entry(running, plan)
                if at_hq(running.dsn, plan.name)[1] != ends:
                    behind[plan.name] = ends
            if not behind:
                return
    raise AssertionError(f"not everything came: {behind}")


def last_entry(running: Running, plan: TillPlan) -> int:
    """How far the store node's copy goes: the till's own file is locked while it runs."""
    kept = running.chain.folder / running.store.id / "node" / "kept" / f"{plan.name}.1.journal"
    copy = kept.with_suffix(".look")
    for name in ("", "-wal"):
        if Path(f"{kept}{name}").exists():
            Path(f"{copy}{name}").write_bytes(Path(f"{kept}{name}").read_bytes())
    with JournalReader(copy) as reader:
        return reader.ends()[1]


def run(folder: Path, kills: int, tills: int, seed: int) -> dict[str, int]:
    chance = Random(seed)
    counts = dict.fromkeys(("node", "worker", "head office", "postgres"), 0)
    with ExitStack() as stack:
        running = Running(folder, tills, stack)
        for _ in range(kills):
            time.sleep(chance.uniform(0.2, 2.0))
            victim = chance.choice(list(counts))
            running.kill(victim, chance)
            counts[victim] += 1
            assert all(helper.alive for helper in running.tills.values()), "a till sells on, whatever dies"
        settle(running)
        for helper in running.tills.values():
            helper.end()
        for plan in running.tills:
            own, last, copied = at_till(running.journal(plan))
            assert verify_file(running.journal(plan)).finding is None
            deadline = time.monotonic() + SETTLE_S
            while (found := at_hq(running.dsn, plan.name))[1] < last - 1 and time.monotonic() < deadline:
                time.sleep(0.5)  # what the till wrote when it stopped
            assert found[0] == own, (plan.name, found, own, last)
            counts[plan.name] = own[0]
            counts[f"{plan.name} copied"] = copied
            print(
                f"{plan.name}: {own[0]} receipts, {amount(own[1])} kr, {copied} on two machines before they were printed"
            )
    return counts


def test_r01_r20_killed_processes_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """The short form: each of the four once or twice."""
    counts = run(tmp_path, 6, 2, 4711)
    assert counts["S01-K1"] > 0
    assert counts["S01-K2"] > 0


@pytest.mark.long
@pytest.mark.kill
def test_r01_r20_a_hundred_kills_and_every_ore_is_there(tmp_path: Path) -> None:
    counts = run(tmp_path, int(os.environ.get("OPPET_KILLS", "100")), 3, int(os.environ.get("OPPET_SEED", "7")))
    print(msgspec.json.encode(counts).decode())
    assert counts["S01-K1 copied"] > 0
