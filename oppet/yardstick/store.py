"""A till for benchmarks: the real one on a real disk, with a control unit that answers at once and paper that goes nowhere."""

from __future__ import annotations

import gc
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from oppet.base.signing import Signer
from oppet.drivers import files
from oppet.drivers.clock import SystemClock
from oppet.drivers.journal_file import JournalFile
from oppet.drivers.pins import digest_of
from oppet.goods.assortment import merge
from oppet.goods.catalogue import Catalogue
from oppet.journal.kinds import EpochOpened, Original, Receipt
from oppet.paper.electronic import pack, pack_to_print
from oppet.payments.paths import PayPath
from oppet.register.desk import Rules
from oppet.register.errors import NoReceiptError
from oppet.register.ports import Ports
from oppet.register.till import Till
from oppet.sale.rights import Staff
from oppet.yardstick.assortment import ARTICLES, PROMOTIONS, filled_up
from oppet.yardstick.in_process import InstantUnit, NoPaper

__all__ = ["BENCHES", "big_assortment", "demo_assortment", "open_for_bench", "prepare_till", "scratch"]

DATA = Path(__file__).resolve().parents[2] / "data"
SECRET = bytes(range(32))  # a benchmark's journal proves nothing
BENCHES = Path("var/bench")


def demo_assortment() -> bytes:
    """The demo's goods as one document."""
    return merge(
        files.read(DATA / "assortment-off" / "articles.tsv"), files.read(DATA / "assortment-ours" / "terms.json")
    )


def big_assortment(articles: int = ARTICLES, promotions: int = PROMOTIONS) -> bytes:
    """The demo's goods filled up to a full store's."""
    return filled_up(demo_assortment(), articles, promotions)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the checkout's own disk, gone afterwards: /tmp may be memory, and memory has no fsync."""
    BENCHES.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=BENCHES))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def prepare_till(folder: Path, articles: int) -> Path:
    """A till's files with so many articles; gives its settings."""
    files.write(folder / "assortment.json", big_assortment(articles))
    files.write(
        folder / "staff.json", msgspec.json.encode([{"number": 1, "role": "manager", "pin": digest_of("1111")}])
    )
    settings = {
        "till": "B1", "store": "B", "company": "Mätköp", "org_no": "5566778899", "address": "Provvägen 1", "register": "B1",
        "manufacturing_no": "BENCH-1", "folder": "till", "assortment": ["assortment.json"], "staff": "staff.json",
        "units": [{"protocol": "xccsp", "unit": "NOBODY1", "host": "127.0.0.1", "port": 1}],
        "printers": [{"kind": "screen", "name": "screen"}],
    }  # fmt: skip
    path = folder / "settings.json"
    files.write(path, msgspec.json.encode(settings))
    return path


def no_codes(code: str) -> tuple[Original, Receipt]:  # noqa: ARG001 - the port's word
    raise NoReceiptError(number=0)


def open_for_bench(
    folder: Path,
    catalogue: Catalogue,
    unit: InstantUnit | None = None,
    name: str = "B1",
    payments: Sequence[PayPath] = (),
) -> tuple[Till, JournalFile]:
    """A started till, a cashier signed in, the float registered."""
    signer = Signer(SECRET)
    journal = JournalFile.create(folder / "bench.journal", name, 1)
    unit = unit or InstantUnit("BENCH0001")

    def code(receipt: Receipt, seq: int, time: str, *, electronic: bool) -> str:
        make = pack if electronic else pack_to_print
        return make(receipt, journal.till, journal.epoch, seq, time, journal.digest_at(seq), signer)

    ports = Ports(journal, signer, SystemClock(), [unit], [NoPaper()], catalogue, "bench", payments=payments)
    till = Till(ports, Rules(disk_least_mb=0), str, code, no_codes)
    till.start(
        EpochOpened(
            store="B",
            company="Mätköp",
            org_no="5566778899",
            address="Provvägen 1",
            register="B1-1",
            manufacturing_no="BENCH-1",
            model="Öppet SE",
            software="bench",
            public_key=signer.public.hex(),
            units=(unit.unit,),
            installation="bench",
        )
    )
    gc.collect()
    gc.set_threshold(50_000, 20, 100)
    gc.freeze()  # as `oppet till run` does
    till.sign_in(Staff(1, "manager"))
    till.drawer.set_float(100_000)
    return till, journal
