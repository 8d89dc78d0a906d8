"""`oppet hq export`: sales of a period, or the books, as one file; the file's ending says which form it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from oppet.drivers import files
from oppet.drivers.clock import SystemClock
from oppet.drivers.hq_read import HqRead
from oppet.drivers.hq_sales import HqSales
from oppet.drivers.pg import Pool
from oppet.figures.exports import Exports
from oppet.figures.sales import Sales
from oppet.hq.main import database_of, read_settings

__all__ = ["export"]

BOOKS = "si"


def export(
    settings: Path,
    file: Path,
    *,
    what: str = "receipts",
    first_day: str = "",
    last_day: str = "",
    store: tuple[str, ...] = (),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Write receipts, lines, tenders or hours (.csv, .parquet) or the books (.si) of a period to a file.

    Every row begins with the moment its store is complete to; the books say in their text which tills have not reported
    to the end of the period. A file is whole or not there.

    Parameters
    ----------
    settings
        Head office's settings file.
    file
        The file to write. Its ending says the form: .csv, .parquet, or .si for a SIE 4I file.
    what
        receipts, lines, tenders or hours; the books need none.
    first_day
        The first local day, as 2026-11-22; today if not given.
    last_day
        The last local day; today if not given.
    store
        A store's id; give it several times for several stores. All if not given.
    as_json
        Print one JSON object.
    """
    path = settings.resolve()
    said = read_settings(path)
    clock = SystemClock()
    with database_of(said, path.parent) as dsn:
        pool = Pool(dsn)
        try:
            reader, read = HqSales(pool), HqRead(pool)
            exports = Exports(reader, read, Sales(reader, clock), clock)
            told = _write(exports, file, what, (first_day, last_day), store)
        finally:
            pool.close()
    print(
        json.dumps(told, ensure_ascii=False) if as_json else "\n".join(f"{name}: {word}" for name, word in told.items())
    )
    return 0


def _write(
    exports: Exports, file: Path, what: str, days: tuple[str, str], stores: tuple[str, ...]
) -> dict[str, object]:
    first, last = exports.period(*days)
    ending = file.suffix.removeprefix(".").lower()
    told: dict[str, object] = {"file": str(file), "first_day": first, "last_day": last}
    if ending == BOOKS:
        books = exports.books(first, last, stores)
        files.write(file, books.data)
        return told | {
            "vouchers": books.vouchers, "open_tills": list(books.open_tills), "not_booked": list(books.not_booked),
        }  # fmt: skip
    files.write_pieces(file, exports.file(what, ending, first, last, stores))
    return told | {"what": what}
