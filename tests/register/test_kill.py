"""SIGKILL of a real till process at random moments under load (R04, R11, R23): nothing printed is lost, nothing registered twice.

The short form kills 12 times; `make kill` 200 times and prints where the kills fell.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from urllib.request import urlopen

import msgspec
import pytest

from oppet.drivers.journal_reader import JournalReader, verify_file
from oppet.drivers.processes import Helper
from oppet.fiscal.series import believe_series
from oppet.journal.entry import Entry, body_of, parse
from oppet.journal.kinds import CopyMade, Receipt, ReceiptPrinted, RegistrationSent
from tests.register.world import goods

UNIT = "SIMCC000000000001"
STEPS = ("sale_opened", "line_added", "registration_sent", "receipt", "receipt_printed")


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Helper]:
    with Helper("oppet.simulators.cleancash", ["--unit", UNIT, "--state", str(tmp_path / "unit.log")]) as helper:
        yield helper


def settings(folder: Path, port: int) -> Path:
    """The settings of a till with a file for a printer."""
    catalogue = goods()
    document = {
        "format": 1, "version": "kill", "made": "2026-11-01",
        "articles": [msgspec.to_builtins(catalogue.article(number)) for number in catalogue.numbers()],
        "promotions": msgspec.to_builtins(catalogue.promotions), "recalls": [], "markdowns": [],
    }  # fmt: skip
    for article in document["articles"]:
        article["age"] = 0
    (folder / "goods.json").write_bytes(msgspec.json.encode(document))
    (folder / "staff.json").write_text("[]")
    said = {
        "till": "K3", "store": "S01", "company": "Testköp", "org_no": "5566778899", "address": "Storgatan 1", "register": "K3",
        "manufacturing_no": "KILL-K3", "folder": "till", "assortment": ["goods.json"], "staff": "staff.json",
        "units": [{"protocol": "xccsp", "unit": UNIT, "host": "127.0.0.1", "port": port}],
        "printers": [{"kind": "file", "name": "file", "device": "printed.bin"}],
        "rules": {"disk_least_mb": 0},
    }  # fmt: skip
    path = folder / "settings.json"
    path.write_bytes(msgspec.json.encode(said))
    return path


def entries(journal: Path) -> list[Entry]:
    with JournalReader(journal) as reader:
        return [parse(data) for _, data in reader.rows() if data is not None]


def run_once(path: Path, seed: int, chance: Random) -> None:
    """Start the till, let it sell for a moment, and kill it: some kills fall into its start."""
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.register.kill_child", str(path), str(seed)],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    if chance.random() < 0.9:
        assert process.stdout.readline() == b"selling\n", process.stderr.read().decode() if process.stderr else ""
        time.sleep(chance.random() * 0.4)
    else:
        time.sleep(chance.random() * 1.2)
    assert process.poll() is None or process.returncode == -signal.SIGKILL, process.stderr and process.stderr.read()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    if process.stderr is not None:
        process.stderr.close()


def state_of(unit: Helper) -> dict[str, int]:
    with urlopen(f"http://127.0.0.1:{unit.said['control_port']}/control/state?tail=1") as answer:
        return dict(json.load(answer)["counters"])


def printed_numbers(paper: bytes) -> list[tuple[str, int]]:
    """(kind, number) of every receipt whose end came out: the file holds what a printer was sent."""
    text = paper.decode("cp858", errors="replace")
    found = []
    for sheet in text.split("\x1dV")[:-1]:  # what was not cut did not come out whole
        kind = "copy" if re.search(r"(?i)\bkopia\b", sheet) else "normal"
        match = (
            re.search(r"(?i)copy no\. (\d+)|kopia nr (\d+)", sheet)
            if kind == "copy"
            else re.search(r"(?i)kvitto\)? (?:nr )?(\d+)", sheet)
        )
        if match:
            found.append((kind, int(next(g for g in match.groups() if g))))
    return found


def kill_many(tmp_path: Path, unit: Helper, kills: int, seed: int) -> Counter[str]:
    path = settings(tmp_path, int(unit.said["port"]))
    chance, where = Random(seed), Counter[str]()
    journal = tmp_path / "till" / "epoch-0001.journal"
    for kill in range(kills):
        run_once(path, seed + kill, chance)
        if journal.exists() and (whole := entries(journal)):
            where[whole[-1].kind] += 1
    run_once(path, seed - 1, Random(1))  # a last start settles what the last kill left
    return where


def judge(tmp_path: Path, unit: Helper) -> None:
    journal = tmp_path / "till" / "epoch-0001.journal"
    verdict = verify_file(journal)
    assert verdict.finding is None, verdict.finding
    whole = entries(journal)
    assert believe_series(whole) == []
    bodies = [body_of(entry) for entry in whole]
    receipts = {body.number for body in bodies if isinstance(body, Receipt)}
    copies = {body.copy for body in bodies if isinstance(body, CopyMade)}
    printed = printed_numbers((tmp_path / "printed.bin").read_bytes())
    assert printed, "nothing was printed: this test would prove nothing"
    assert {number for kind, number in printed if kind == "normal"} <= receipts, (
        "a receipt on paper is not in the journal"
    )
    assert {number for kind, number in printed if kind == "copy"} <= copies
    assert sorted(receipts) == list(range(1, len(receipts) + 1)), "a number was used twice or left out"
    done = {(b.series, b.number) for b in bodies if isinstance(b, ReceiptPrinted)}
    sent = {(b.request.receipt_type, b.request.receipt_id) for b in bodies if isinstance(b, RegistrationSent)}
    counters = state_of(unit)
    in_flight = {("normal", n) for kind, n in sent if kind == "normal" and n not in receipts}
    assert counters["normal"] - len(receipts) in range(len(in_flight) + 1), (
        "the unit's counter and the journal disagree"
    )
    assert len(in_flight) <= 1, "more than the last sale is in flight"
    assert len(done) >= len(receipts) + len(copies) - 2


def test_r04_twelve_kills_lose_nothing_and_register_nothing_twice(tmp_path: Path, unit: Helper) -> None:
    kill_many(tmp_path, unit, 12, 4711)
    judge(tmp_path, unit)


@pytest.mark.long
@pytest.mark.kill
def test_r23_two_hundred_kills_fall_into_every_step_and_nothing_is_lost(tmp_path: Path, unit: Helper) -> None:
    where = kill_many(tmp_path, unit, 200, 815)
    for kind, count in where.most_common():
        print(f"{kind:<22} {count:>4} {'█' * count}")
    judge(tmp_path, unit)
    assert set(STEPS) <= set(where), where
