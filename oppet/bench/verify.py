"""`oppet bench verify` and `verify-year`: checking a busy till's journal, every link and every group's signature.

The journal is made here, of real kinds in a real sale's order and sizes, without waiting for the disk. The ceiling is
the bare work nobody can avoid: SHA-256 of the same bytes and one Ed25519 check for each signature.
"""

from __future__ import annotations

import hashlib
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oppet.base.signing import Signer, Verifier
from oppet.drivers.journal_reader import JournalReader, verify_file
from oppet.drivers.journal_sqlite import begin_file, connect, statements
from oppet.journal.entry import NOTHING, Head, seal, signed_bytes
from oppet.journal.kinds import (
    Body,
    EpochOpened,
    LineAdded,
    Receipt,
    ReceiptLine,
    ReceiptPrinted,
    ReceiptTender,
    RegistrationSent,
    TenderTaken,
    UnitAnswered,
    UnitRequest,
    VatAmount,
)
from oppet.yardstick.measure import conditions, result
from oppet.yardstick.store import scratch

__all__ = ["run"]

SECRET = bytes(range(32))  # a benchmark's journal proves nothing
MORNING = 1_767_254_400_000  # 2026-01-01 08:00 UTC
LINES = 12
SAMPLE = 20_000  # entries of the ceiling
LONG = 50_000  # sales from which all cores work


def run(sales: int = 4000) -> dict[str, Any]:
    """Make a journal of so many sales, verify it and hold the rate against the bare work, taken before and after."""
    with scratch() as folder:
        path = folder / "k3.journal"
        made = time.perf_counter()
        _make(path, sales)
        made = time.perf_counter() - made
        processes = (os.cpu_count() or 1) if sales >= LONG else 1
        before = _ceiling(path)
        cpu, wall = _cpu(), time.perf_counter()
        verdict = verify_file(path, processes=processes)
        seconds, cpu = time.perf_counter() - wall, _cpu() - cpu
        after = _ceiling(path)
        size = path.stat().st_size
    assert verdict.finding is None, verdict.finding
    a_core = verdict.entries / cpu
    figures = {
        "entries_per_s": round(a_core),  # a core: a second of its CPU
        "entries_per_wall_s": round(verdict.entries / seconds),
        "seconds": round(seconds, 2),
        "sales": sales,
        "entries": verdict.entries,
        "signatures": verdict.signatures,
        "megabytes": round(size / 1e6),
        "processes": processes,
        "making_s": round(made, 1),
    }
    ratios = {"bare": round(a_core / ((before + after) / 2), 3)}
    told = conditions(ceiling_before_per_s=round(before), ceiling_after_per_s=round(after))
    return result("verify", figures, ratios, told)


def _cpu() -> float:
    """CPU seconds of this process and of the children it has waited for."""
    used = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(part.ru_utime + part.ru_stime for part in used)


def _ceiling(path: Path) -> float:
    """Entries a CPU second of SHA-256 and Ed25519 alone: the first entries of the same journal."""
    with JournalReader(path) as reader:
        assert reader.owner is not None
        assert reader.owner.public_key is not None
        rows = [data for _, data in zip(range(SAMPLE), (data for _, data in reader.rows()), strict=False) if data]
        marks = [(seq, signature) for seq, signature in reader.signatures(0) if seq <= len(rows)]
        verifier = Verifier(reader.owner.public_key)
        owner = reader.owner
    digests = [_digest(data) for data in rows]
    messages = [
        (signature, signed_bytes(owner.till, owner.epoch, Head(seq, digests[seq - 1]))) for seq, signature in marks
    ]
    began = time.process_time()
    for data in rows:
        _digest(data)
    good = [verifier.good(signature, message) for signature, message in messages]
    seconds = time.process_time() - began
    assert all(good)
    return len(rows) / seconds


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _make(path: Path, sales: int) -> None:
    """Write the journal as a till would, but for the syncs: nothing here has to survive."""
    signer, head = Signer(SECRET), Head(0, NOTHING)
    db = connect(path, None, create=True)
    begin_file(db, "K3", 1)
    db.pragma("synchronous", "off")
    sql = statements("journal")
    for first in range(0, sales, 1000):
        entries: list[tuple[int, str]] = []
        marks: list[tuple[int, bytes]] = []
        groups = [([_epoch(signer)], True)] if not first else []
        for sale in range(first, min(first + 1000, sales)):
            groups += _sale(sale + 1)
        for bodies, signed in groups:
            for body in bodies:
                data, head = seal(head, "K3", 1, MORNING + head.seq * 1800, body)
                entries.append((head.seq, data.decode()))
            if signed:
                marks.append((head.seq, signer.sign(signed_bytes("K3", 1, head))))
        with db:
            db.executemany(sql["add_entry"], entries)
            db.executemany(sql["add_signature"], marks)
    db.close()


def _epoch(signer: Signer) -> Body:
    key = signer.public.hex()
    return EpochOpened(
        "0413",
        "Demobutiken",
        "5560000000",
        "Storgatan 1",
        "K3",
        "OPPET-0001",
        "Öppet SE",
        "bench",
        key,
        ("SKD00001",),
        "b",
    )


def _sale(sale: int) -> Iterator[tuple[list[Body], bool]]:
    """Twelve scans, each durable by itself; two signed groups; and *printed*, signed with the next."""
    for line in range(1, LINES + 1):
        yield [_line(sale, line)], False
    total = sum(_ore(sale, line) for line in range(1, LINES + 1))
    tender = TenderTaken(sale, 1, "cash", total, total + 5000, 5000)
    request = UnitRequest(
        "SKD00001", sale, sale, "normal", "202601010800", "5560000000", "K3", total, 0, ((600, total * 6 // 106),)
    )
    yield [tender, RegistrationSent(sale, 1, request)], True
    yield [UnitAnswered(sale, "normal", sale, "SKD00001", "A" * 59, "B" * 16), _receipt(sale, total)], True
    yield [ReceiptPrinted("normal", sale, "paper")], False


def _ore(sale: int, line: int) -> int:
    return 990 + (sale * 37 + line * 113) % 9000


def _line(sale: int, line: int) -> Body:
    ore = _ore(sale, line)
    article = f"{7_310_865_000_000 + ore}"
    return LineAdded(
        sale,
        line,
        article,
        f"Vara nummer {ore} 500 g",
        "Skafferi",
        "vara",
        1000,
        "st",
        ore,
        ore,
        600,
        code=f"0{article}",
    )


def _receipt(sale: int, total: int) -> Body:
    lines = []
    for line in range(1, LINES + 1):
        ore = _ore(sale, line)
        article = f"{7_310_865_000_000 + ore}"
        lines.append(
            ReceiptLine(
                line,
                article,
                f"Vara nummer {ore} 500 g",
                "Skafferi",
                "vara",
                1000,
                "st",
                ore,
                ore,
                (),
                ore,
                600,
                ore * 6 // 106,
                "2026-01-01T08:00:00.000Z",
                code=f"0{article}",
            )
        )
    return Receipt(
        sale, "sale", sale, "Demobutiken", "5560000000", "Storgatan 1", "K3", 7, tuple(lines), total, 0,
        (VatAmount(600, total, total * 6 // 106),), (ReceiptTender("cash", total, total + 5000, 5000),), "SKD00001",
        "A" * 59,
    )  # fmt: skip
