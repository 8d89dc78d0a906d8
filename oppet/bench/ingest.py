"""`oppet bench ingest`: head office takes in sales over HTTP, beside a bare COPY of the very same rows.

Real keeper processes (uvicorn, TLS off, loopback) before an embedded PostgreSQL with fsync on; each batch's chain and
signature are checked and its views written in the transaction that keeps it. The sales are a real till's, sealed again
in the names of many. The ceiling: two connections COPY the same rows, one commit a batch, into the same empty tables.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from oppet.base.signing import Signer
from oppet.drivers.clock import SystemClock
from oppet.drivers.hq_schema import migrate
from oppet.drivers.keeper_http import KeeperApp, Limits
from oppet.drivers.postgres import EmbeddedPostgres
from oppet.drivers.processes import Helper
from oppet.drivers.serving import Service, listen, serve_all
from oppet.drivers.shelf_pg import PgShelf
from oppet.figures.views import Views
from oppet.goods.catalogue import Catalogue, decode
from oppet.journal.entry import NOTHING, Head, parse, signed_bytes
from oppet.register.till import Till
from oppet.sync.certificates import Directory, StoreCertificate, TillCertificate, make_paper
from oppet.sync.enrolment import Enrolled, Request
from oppet.sync.keeper import Keeper
from oppet.sync.lanes import Signed
from oppet.sync.messages import BATCH_PATH, Batch, KeeperInfo, Paper, encode_batch, pack
from oppet.yardstick.measure import conditions, result
from oppet.yardstick.store import SECRET, demo_assortment, open_for_bench, scratch

__all__ = ["numbered", "run", "sealed", "sold"]

LINES = 12
WORKERS = 2
SENDERS = 8  # connections of the load, each with tills of its own
TILLS_A_STORE = 10
SALES = 240  # different ones; every till sells them in an order of its own
HQ, MANAGER = Signer(bytes([1]) * 32), Signer(bytes([2]) * 32)
TILL = Signer(SECRET)  # a benchmark's journal proves nothing
WHEN = "2026-11-22T06:00:00.000Z"
ROWS = ("chunk", "receipt", "line", "tender", "hour_sale", "hour_group")


def till_name(number: int) -> str:
    return f"S{number // TILLS_A_STORE:03d}-K{number % TILLS_A_STORE}"


# --- the process that is measured ------------------------------------------------------------------------------------


class _NoDoors:
    """The other things a head office does behind the same port: none of them here."""

    def introduce(self, papers: tuple[Paper, ...]) -> int:
        raise AssertionError(f"nobody here sends {papers!r}")

    def enrol(self, request: Request) -> Enrolled:
        raise AssertionError(f"nobody here sends {request!r}")

    def lane(self, signed: Signed) -> Signed:
        raise AssertionError(f"nobody here sends {signed!r}")

    def who(self) -> KeeperInfo:
        return KeeperInfo("hq", "hq", "", HQ.public.hex())

    def papers_down(self, till: str, epoch: int) -> tuple[Paper, ...]:  # noqa: ARG002 - the port's words
        return ()


def directory(tills: int) -> Directory:
    """Every store and till certified and countersigned, as in a chain."""
    found = Directory(HQ.public)
    for number in range(tills):
        name = till_name(number)
        store = name.partition("-")[0]
        if number % TILLS_A_STORE == 0:
            keys = MANAGER.public.hex(), TILL.public.hex()
            found.add(make_paper(StoreCertificate(store, store, "Nära", *keys, WHEN), HQ))
        found.add(make_paper(TillCertificate(name, 1, store, name, TILL.public.hex(), WHEN), MANAGER, HQ))
    return found


def serve_worker(dsn: str, tills: int) -> None:
    """One keeper process of head office."""
    clock = SystemClock()
    shelf = PgShelf(dsn, Views().see, clock)
    known = directory(tills)

    def alarm(about: str, **facts: object) -> None:
        print(about, facts, file=sys.stderr)

    keeper = Keeper("hq", HQ, shelf, known.standing, clock, alarm)
    app = KeeperApp(keeper, _NoDoors(), alarm, Limits(peer_rate=1e9, peer_burst=1e9, stream_rate=1e9, stream_burst=1e9))
    listener = listen(0)
    port = listener.getsockname()[1]
    gc.collect()
    gc.set_threshold(50_000, 20, 100)
    gc.freeze()
    serve_all([Service(app, listener)], lambda: None, lambda: print(json.dumps({"port": port}), flush=True))
    app.close()
    shelf.close()


# --- what is sent ----------------------------------------------------------------------------------------------------


def _sell(till: Till, catalogue: Catalogue, sales: int) -> None:
    rng = random.Random(12)
    articles = [catalogue.article(number) for number in sorted(catalogue.numbers())]
    codes = [a.gtins[0][1:] for a in articles if a.unit == "st" and not a.pant and not a.age and a.gtins]
    for _ in range(sales):
        for code in rng.sample(codes, LINES):
            till.selling.scan(code)
        outcome = till.checkout.pay("cash", 10_000_000)
        assert outcome.kind == "done", outcome


def sold(folder: Path, sales: int = SALES) -> list[list[tuple[str, str, bytes]]]:
    """Sales of a real till: of each its entries as time, kind and body."""
    catalogue = decode(demo_assortment())
    till, journal = open_for_bench(folder, catalogue)
    first = journal.head.seq + 1
    _sell(till, catalogue, sales)
    found: list[list[tuple[str, str, bytes]]] = []
    for seq in range(first, journal.head.seq + 1):
        entry = parse(journal.raw(seq))
        if entry.kind == "sale_opened":
            found.append([])
        found[-1].append((entry.time, entry.kind, bytes(entry.body)))
    journal.close()
    return found


@dataclass(frozen=True)
class Load:
    """Batches ready to be sent: of each sender a list in the order of sending."""

    senders: list[list[bytes]]
    receipts: int
    entries: int
    bytes: int
    batch: int


def load(sales: Sequence[list[tuple[str, str, bytes]]], tills: int, receipts: int, batch: int) -> Load:
    """`receipts` sales spread over `tills`, `batch` of them in a batch, each till's sealed into a chain of its own."""
    rounds = max(1, receipts // tills // batch)
    senders: list[list[list[bytes]]] = [[[] for _ in range(rounds)] for _ in range(SENDERS)]
    entries = size = 0
    for number in range(tills):
        name, head = till_name(number), Head(0, NOTHING)
        for turn in range(rounds):
            after, raws = head, []
            for receipt in range(turn * batch, (turn + 1) * batch):
                for time_said, kind, body in sales[(number * 7 + receipt) % len(sales)]:
                    raw, head = sealed(name, head, time_said, kind, numbered(kind, body, receipt + 1))
                    raws.append(raw)
            signature = TILL.sign(signed_bytes(name, 1, head)).hex()
            places = (after.seq, after.digest), (head.seq, head.digest)
            data = encode_batch(Batch(name, 1, *places, signature, packed=pack(raws)))
            senders[number % SENDERS][turn].append(_request(data))
            entries, size = entries + len(raws), size + len(data)
    sent = [[request for turn in one for request in turn] for one in senders]
    return Load(sent, rounds * batch * tills, entries, size, batch)


def numbered(kind: str, body: bytes, number: int) -> bytes:
    """A receipt's number runs within its till."""
    if kind != "receipt":
        return body
    before, mark, after = body.partition(b'"number":')
    return before + mark + str(number).encode() + after[after.index(b",") :]


def sealed(till: str, head: Head, time_said: str, kind: str, body: bytes) -> tuple[bytes, Head]:
    seq = head.seq + 1
    envelope = f'{{"v":1,"till":"{till}","epoch":1,"seq":{seq},"time":"{time_said}","kind":"{kind}","prev":"{head.digest}","body":'
    raw = envelope.encode() + body + b"}"
    return raw, Head(seq, sha256(raw).hexdigest())


def _request(data: bytes) -> bytes:
    return f"POST {BATCH_PATH} HTTP/1.1\r\nHost: hq\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


def _send(port: int, requests: Sequence[bytes], troubles: list[str]) -> None:
    with socket.create_connection(("127.0.0.1", port)) as line:
        for request in requests:
            line.sendall(request)
            answer = b""
            while not answer.endswith(b"}"):
                part = line.recv(65_536)
                if not part:
                    break
                answer += part
            if b'"status":"kept"' not in answer:
                troubles.append(answer[:300].decode(errors="replace"))
                return


# --- measuring -------------------------------------------------------------------------------------------------------


def _all_at_once(works: Sequence[threading.Thread]) -> float:
    began = time.perf_counter()
    for work in works:
        work.start()
    for work in works:
        work.join()
    return time.perf_counter() - began


def _take_in(ports: Sequence[int], sent: Load) -> float:
    """Seconds until everything is acknowledged."""
    troubles: list[str] = []
    works = [
        threading.Thread(target=_send, args=(ports[number % len(ports)], requests, troubles))
        for number, requests in enumerate(sent.senders)
    ]
    seconds = _all_at_once(works)
    assert not troubles, troubles
    return seconds


def _rows_as_sent(dsn: str, batch: int) -> tuple[list[dict[str, bytes]], int]:
    """What is in the tables now, in pieces of one batch, as COPY reads them; and how many rows."""
    pieces: list[dict[str, bytes]] = []
    count = 0
    with psycopg.connect(dsn) as connection:
        streams = connection.execute("SELECT store_id, stream_id FROM stream ORDER BY 1, 2").fetchall()
        for store, stream_id in streams:
            rows = {table: _copied(connection, table, store, stream_id) for table in ROWS}
            count += sum(map(len, rows.values()))
            turns = len(rows["chunk"])
            share = {"chunk": 1, "receipt": batch, "line": batch * LINES, "tender": batch}
            for turn in range(turns):
                of_turn = {t: rows[t][n * turn : n * (turn + 1)] for t, n in share.items()}
                if turn == turns - 1:
                    of_turn |= {t: rows[t] for t in ("hour_sale", "hour_group")}
                pieces.append({table: b"".join(lines) for table, lines in of_turn.items()})
    return pieces, count


def _copied(connection: psycopg.Connection[Any], table: str, store: str, stream_id: int) -> list[bytes]:
    order = {"chunk": "first_seq", "receipt": "seq", "line": "seq, line", "tender": "seq, tender"}.get(
        table, "day, hour"
    )
    rows = f"SELECT * FROM {table} WHERE store_id = %s AND stream_id = %s ORDER BY {order}"  # noqa: S608 - names of ours
    question = f"COPY ({rows}) TO STDOUT"
    with connection.cursor() as cursor, cursor.copy(question.encode(), (store, stream_id)) as copy:
        return b"".join(bytes(part) for part in copy).splitlines(keepends=True)


def _bare(dsn: str, pieces: Sequence[dict[str, bytes]]) -> float:
    """Seconds of a bare COPY of the same rows by two connections, a commit for each batch."""

    def work(mine: Sequence[dict[str, bytes]], connection: psycopg.Connection[Any]) -> None:
        for piece in mine:
            with connection.cursor() as cursor:
                for table, data in piece.items():
                    with cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
                        copy.write(data)
            connection.commit()

    with psycopg.connect(dsn) as one, psycopg.connect(dsn) as other:
        halves = (pieces[::2], one), (pieces[1::2], other)
        return _all_at_once([threading.Thread(target=work, args=half) for half in halves])


def _empty(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"TRUNCATE stream, {', '.join(ROWS)}".encode())
        connection.execute("CHECKPOINT")


def _sizes(dsn: str) -> dict[str, int]:
    """Bytes on disk of each table, its months, indexes and large values together."""
    question = "SELECT coalesce(sum(pg_total_relation_size(relid)), 0)::bigint FROM pg_partition_tree(%s)"
    with psycopg.connect(dsn) as connection:
        return {table: connection.execute(question, (table,)).fetchone()[0] for table in ROWS}  # type: ignore[index]


def _cpu_s(pids: Sequence[int]) -> float:
    """CPU of processes and of the children they have waited for."""
    ticks = 0
    for pid in pids:
        with suppress(OSError):
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(word) for word in words[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@contextmanager
def _saying(quiet: bool) -> Iterator[Any]:
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, transient=True, disable=quiet) as progress:
        task = progress.add_task("")
        yield lambda text: progress.update(task, description=text)


@dataclass(slots=True)
class _Meter:
    """CPU of head office's processes, of PostgreSQL's and of our own, from one reading to the next."""

    workers: Sequence[int]
    postgres: int
    spent: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def _read(self) -> tuple[float, float, float]:
        database = _cpu_s([self.postgres, *_children(self.postgres)])
        return _cpu_s(self.workers), database, time.process_time()

    def around(self, work: Callable[[], float]) -> float:
        """Seconds of the work; what it cost is in `spent`."""
        before = self._read()
        seconds = work()
        after = self._read()
        self.spent = after[0] - before[0], after[1] - before[1], after[2] - before[2]
        return seconds


@dataclass(slots=True)
class _Sum:
    """Rates and costs over the rounds."""

    receipts: int = 0
    seconds: float = 0.0
    cpu: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def add(self, receipts: int, seconds: float, spent: tuple[float, float, float]) -> None:
        self.receipts += receipts
        self.seconds += seconds
        self.cpu = self.cpu[0] + spent[0], self.cpu[1] + spent[1], self.cpu[2] + spent[2]

    @property
    def rate(self) -> float:
        return self.receipts / self.seconds

    def us(self, which: int) -> float:
        return round(self.cpu[which] / self.receipts * 1e6, 1)


def run(
    receipts: int = 40_000, tills: int = 200, batch: int = 100, rounds: int = 3, many: int = 4_000, live: int = 4_000
) -> dict[str, Any]:
    """Measure. Figures: receipts a second in batches of `batch` and one at a time, CPU and bytes a receipt; ratio to COPY.

    `many`: tills of the second run for linearity, 0 for none. `live`: receipts sent one a batch.
    """
    with ExitStack() as stack:
        say = stack.enter_context(_saying(not sys.stderr.isatty()))
        folder = stack.enter_context(scratch())
        folder.chmod(0o755)
        say("selling")
        sales = sold(folder, min(SALES, max(20, receipts // 20)))
        postgres = stack.enter_context(EmbeddedPostgres(folder / "pg"))
        migrate(postgres.dsn)
        options = ["--dsn", postgres.dsn, "--tills", str(max(tills, many))]
        workers = [stack.enter_context(Helper("oppet.bench.ingest", options, 60.0)) for _ in range(WORKERS)]
        ports = [worker.said["port"] for worker in workers]
        meter = _Meter([worker.pid for worker in workers], postgres.pid)
        say("sealing")
        sent = load(sales, tills, receipts, batch)
        told = conditions()
        ours, bare = _Sum(), _Sum()
        pieces: list[dict[str, bytes]] = []
        sizes: dict[str, int] = {}
        rows = 0
        for turn in range(rounds):
            say(f"taking in, {turn + 1} of {rounds}")
            _empty(postgres.dsn)
            ours.add(sent.receipts, meter.around(partial(_take_in, ports, sent)), meter.spent)
            if not pieces:
                sizes = _sizes(postgres.dsn)
                pieces, rows = _rows_as_sent(postgres.dsn, batch)
            say(f"bare COPY, {turn + 1} of {rounds}")
            _empty(postgres.dsn)
            bare.add(sent.receipts, meter.around(partial(_bare, postgres.dsn, pieces)), meter.spent)
        say("one receipt a batch")
        _empty(postgres.dsn)
        trickle, alone = load(sales, tills, live, 1), _Sum()
        alone.add(trickle.receipts, meter.around(partial(_take_in, ports, trickle)), meter.spent)
        live_bytes = trickle.bytes / trickle.receipts, _sizes(postgres.dsn)["chunk"] / trickle.receipts
        linear = _linear(postgres.dsn, ports, sales, tills, many, receipts, say) if many else {}
    return result(
        "ingest",
        {
            "receipts_per_s": round(ours.rate),
            "bare_copy_receipts_per_s": round(bare.rate),
            "one_receipt_a_batch_per_s": round(alone.rate),
            "cpu_us_a_receipt": {"python": ours.us(0), "postgres": ours.us(1)},
            "cpu_us_a_receipt_bare_copy": {"client": bare.us(2), "postgres": bare.us(1)},
            "cpu_us_a_receipt_one_a_batch": {"python": alone.us(0), "postgres": alone.us(1)},
            "entries_a_receipt": round(sent.entries / sent.receipts, 2),
            "rows_a_receipt": round(rows / sent.receipts, 2),
            "wire_bytes_a_receipt": round(sent.bytes / sent.receipts),
            "wire_bytes_a_receipt_one_a_batch": round(live_bytes[0]),
            "disk_bytes_a_receipt": {table: round(size / sent.receipts) for table, size in sizes.items()},
            "disk_bytes_a_receipt_one_a_batch": {"chunk": round(live_bytes[1])},
            **{name: round(value) for name, value in linear.items() if name != "ratio"},
        },
        {
            "copy": round(ours.rate / bare.rate, 3),
            "copy_cpu": round((bare.us(1) + bare.us(2)) / (ours.us(0) + ours.us(1)), 3),
            **({"linear": round(linear["ratio"], 3)} if linear else {}),
        },
        told
        | {
            "receipts": sent.receipts,
            "tills": tills,
            "lines": LINES,
            "receipts_a_batch": batch,
            "workers": WORKERS,
            "senders": SENDERS,
            "rounds": rounds,
            "tls": "off",
            "postgres": "embedded, fsync on",
            "load_1_min_after": round(os.getloadavg()[0], 2),
        },
    )


def _linear(
    dsn: str, ports: Sequence[int], sales: Sequence[Any], tills: int, many: int, receipts: int, say: Any
) -> dict[str, float]:
    """As many receipts from many tills as from a few, in batches of the same size: a till more costs nobody anything."""
    batch = max(1, receipts // many)
    rates = {}
    for number in (tills, many):
        say(f"{number} tills")
        sent = load(sales, number, batch * many, batch)
        _empty(dsn)
        rates[number] = sent.receipts / _take_in(ports, sent)
    few, most = f"receipts_per_s_{tills}_tills_by_{batch}", f"receipts_per_s_{many}_tills_by_{batch}"
    return {few: rates[tills], most: rates[many], "ratio": rates[many] / rates[tills]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--tills", type=int, required=True)
    asked = parser.parse_args()
    serve_worker(asked.dsn, asked.tills)
