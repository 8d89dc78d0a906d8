"""`oppet bench hq-page`: head office's picture of the day, a chain's weeks of hours behind it, with 0, 8 and all stores silent.

A real embedded PostgreSQL whose view tables were filled by COPY; the reader, the rules and the page's own picture, no
browser. *First* is a process that was just started and has read nothing; *again* is what the page asks for every fifteen
seconds; nobody waits for it longer than a second. CPU is this process's, without PostgreSQL's. The ceiling is one bare
round trip, and the plainest sum of the day's hours, in the same run.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from math import exp
from random import Random
from typing import Any

import psycopg

from oppet.base.clock import SWEDEN, parse_utc, utc_text
from oppet.bench.ingest import sealed
from oppet.drivers.hq_sales import HqSales
from oppet.drivers.hq_schema import migrate
from oppet.drivers.pg import Pool
from oppet.drivers.postgres import EmbeddedPostgres
from oppet.drivers.shelf_pg import stream_id_of
from oppet.figures.sales import Sales
from oppet.journal.entry import NOTHING, Head
from oppet.sync.messages import pack
from oppet.yardstick.measure import conditions, result
from oppet.yardstick.store import scratch

__all__ = ["run"]

NOW = parse_utc("2026-11-20T16:33:40.000Z")  # a Friday, 17:33
TODAY = date(2026, 11, 20)
SILENT_MS = 95 * 60_000
SHAPE = (0, 0, 0, 0, 0, 0, 0, 13, 23, 38, 53, 71, 76, 81, 79, 90, 96, 101, 86, 72, 50, 28, 0, 0)
WEEK = (0.95, 0.89, 0.87, 0.88, 1.12, 1.16, 1.05)
BANNERS = ("Nära", "Stormarket", "Torget")
SUM = "SELECT sum(gross_ore) FROM hour_sale WHERE day = %s"
CHUNK = "store_id, day, stream_id, first_seq, last_seq, after_digest, last_digest, signature, first_time, last_time, received, bytes, data"
WAIT_S = 600.0
ROUNDS = 3


class _At:
    """The chain's time stands still; only what is measured passes."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> int:
        return self.at


def run(stores: int = 800, tills: int = 3, weeks: int = 5, silent: Sequence[int] = (0, 8, 800)) -> dict[str, Any]:
    """Measure. Figures: seconds of the first picture and of one made again, by how many stores lag."""
    figures: dict[str, Any] = {}
    with scratch() as folder:
        folder.chmod(0o755)
        with EmbeddedPostgres(folder / "pg") as postgres:
            migrate(postgres.dsn)
            began = time.perf_counter()
            figures["rows"] = _fill(postgres.dsn, stores, tills, weeks)
            told = conditions(fill_s=round(time.perf_counter() - began, 1))
            trip, plain = _bare(postgres.dsn)
            figures |= {"round_trip_ms": round(trip * 1e3, 3), "plain_sum_ms": round(plain * 1e3, 3)}
            for many in dict.fromkeys(min(many, stores) for many in silent):
                _silence(postgres.dsn, many)
                figures[f"silent_{many}"] = _pictures(postgres.dsn, many)
    several = {f"silent_{min(many, stores)}_again_over_plain_sum": 0.0 for many in silent}
    for name in several:
        several[name] = round(figures[name.removesuffix("_again_over_plain_sum")]["again_s"] / plain, 1)
    return result(
        "hq-page",
        figures | {"peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024},
        several,
        told
        | {"stores": stores, "tills_a_store": tills, "weeks": weeks, "load_1_min_after": round(os.getloadavg()[0], 2)},
    )


def _pictures(dsn: str, silent: int) -> dict[str, float]:
    """A process's first picture, and one made again."""
    clock = _At()
    pool = Pool(dsn)
    try:
        sales = Sales(HqSales(pool), clock, patience_s=WAIT_S)
        spent = time.process_time()
        first = _seconds(sales.picture)
        first_cpu = time.process_time() - spent
        picture = sales.picture()
        assert len(picture.completeness.held) == silent, len(picture.completeness.held)
        missing = picture.chain.missing
        assert missing is not None, "too little history"
        assert bool(silent) == bool(missing.high_ore), missing
        store = min(_seconds(lambda: sales.store("S0001")) for _ in range(5))
        again, spent = [], time.process_time()
        for _ in range(ROUNDS):
            clock.at += 15_000
            again.append(_seconds(sales.picture))
        return {
            "first_s": round(first, 3),
            "first_cpu_s": round(first_cpu, 3),
            "again_s": round(min(again), 3),
            "again_cpu_s": round((time.process_time() - spent) / ROUNDS, 3),
            "store_ms": round(store * 1e3, 2),
        }
    finally:
        pool.close()


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _bare(dsn: str) -> tuple[float, float]:
    """Seconds of the emptiest question, and of one plain sum of the day, the best of many and of some."""
    with psycopg.connect(dsn, autocommit=True) as connection:

        def asked(question: bytes, *values: object) -> None:
            connection.execute(question, values).fetchall()

        trip = min(_seconds(lambda: asked(b"SELECT 1")) for _ in range(50))
        plain = min(_seconds(lambda: asked(SUM.encode(), TODAY)) for _ in range(5))
    return trip, plain


# --- a chain's weeks -------------------------------------------------------------------------------------------------


def _fill(dsn: str, stores: int, tills: int, weeks: int) -> int:
    """Rows straight into the view tables. Gives how many of them are hours."""
    rng = Random(4711)
    names = [f"S{number:04d}" for number in range(1, stores + 1)]
    sizes = [exp(rng.gauss(0, 0.5)) * 40 for _ in names]
    count = 0
    with psycopg.connect(dsn) as connection:
        connection.execute("SELECT make_partitions(%s, %s)", (TODAY - timedelta(days=7 * weeks), TODAY))
        with connection.cursor() as cursor:
            with cursor.copy("COPY store (store_id, name, banner) FROM STDIN") as copy:
                for number, store in enumerate(names):
                    copy.write_row((store, store, BANNERS[number % 3]))
            kept = "store_id, stream_id, till, epoch, base_seq, base_digest, head_seq, head_digest"
            with cursor.copy(f"COPY stream ({kept}) FROM STDIN".encode()) as copy:
                for store in names:
                    for till in _tills(store, tills):
                        copy.write_row((store, stream_id_of(till, 1, ""), till, 1, 0, b"", 9_000, b""))
            with cursor.copy(f"COPY chunk ({CHUNK}) FROM STDIN".encode()) as copy:
                for store in names:
                    for till in _tills(store, tills):
                        places = stream_id_of(till, 1, ""), 9_000, 9_000
                        copy.write_row(
                            (store, TODAY, *places, b"", b"", b"", "", "", utc_text(NOW), 0, _last_entry(till))
                        )
            with cursor.copy("COPY hour_sale FROM STDIN") as copy:
                for back in range(7 * weeks, -1, -1):
                    lines = _day(TODAY - timedelta(days=back), names, sizes, tills, rng)
                    count += len(lines)
                    copy.write("".join(lines))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE hour_sale")
        connection.execute("ANALYZE stream")
    return count


def _last_entry(till: str) -> bytes:
    """A packed chunk of one entry: a till that went on selling."""
    return pack([sealed(till, Head(8_999, NOTHING), utc_text(NOW), "receipt_printed", b"{}")[0]])


def _tills(store: str, tills: int) -> list[str]:
    return [f"{store}-K{number}" for number in range(1, tills + 1)]


def _day(day: date, names: Sequence[str], sizes: Sequence[float], tills: int, rng: Random) -> list[str]:
    everybody = exp(rng.gauss(0.0, 0.06)) * WEEK[day.weekday()]
    hours = [
        (datetime(day.year, day.month, day.day, hour, tzinfo=SWEDEN).astimezone(UTC), shape)
        for hour, shape in enumerate(SHAPE)
        if shape
    ]
    if day == TODAY:
        hours = [(began, shape) for began, shape in hours if began.timestamp() * 1_000 < NOW - SILENT_MS]
    lines = []
    for store, size in zip(names, sizes, strict=True):
        own = everybody * size * exp(rng.gauss(0.0, 0.08)) * 1_000 / tills
        for till in _tills(store, tills):
            stream = stream_id_of(till, 1, "")
            for began, shape in hours:
                ore = int(own * shape * (0.85 + 0.3 * rng.random()))
                numbers = f"{ore // 24_000 + 1}\t0\t{ore}\t0\t{ore // 9}\t0\t0\t9"
                lines.append(f"{store}\t{day}\t{began:%Y-%m-%d %H:%M:%S}+00\t{stream}\t{numbers}\n")
    return lines


def _silence(dsn: str, many: int) -> None:
    """The first so many stores fell silent together, the last word of each till a few seconds from its neighbour's."""
    question = (
        "UPDATE stream SET head_time = %s, as_of = %s::timestamptz - (stream_id %% 15) * interval '1 second', heard = %s "
        "WHERE (store_id <= %s) = %s"
    )
    last = f"S{many:04d}"
    with psycopg.connect(dsn) as connection:
        for silent in (True, False):
            upto = NOW - SILENT_MS if silent else NOW + 120_000
            connection.execute(
                question, (utc_text(upto - 40_000), utc_text(upto), utc_text(upto + 2_000), last, silent)
            )
