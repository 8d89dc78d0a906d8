"""The sets as they lie on disk, read into rows: amounts in whole cents, quantities in thousandths.

Nothing is believed before it is checked: columns and their types, then every number. Leaves what a row means to
`foreign.py` and `plain.py`. Keeps M1 from here on: a float is looked at once, and refused unless it is whole cents.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

try:
    import pyarrow as pa
    from pyarrow import parquet
except ImportError:  # a till carries no Parquet reader
    pa = parquet = None

from oppet.base.money import round_half_up
from oppet.replay.errors import (
    BadRowError,
    NoReaderError,
    NoSetError,
    NothingInsideError,
    NotReadableError,
    WrongColumnsError,
)

__all__ = ["INVOICES", "JOURNEY", "TILL_LOG", "Bought", "Found", "Invoiced", "LogLine", "departments", "find", "read"]

TILL_LOG, JOURNEY, INVOICES = "core-pos-till-log", "complete-journey", "online-retail"
TEXT, WHOLE, NUMBER, TIME = "text", "whole number", "number", "time"
SINGLE: Final = 2.0**-23  # what single precision leaves of a number
LARGEST: Final = 1_000_000  # of any amount or quantity: beyond it is nonsense, not a basket


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a till's transaction log; amounts in cents, quantities in thousandths of a piece or a pound."""

    receipt: str
    line: int
    time: int  # milliseconds since 1970 of the wall clock as it stood
    kind: str  # I item, D department, T tender, A tax, C comment, "" notice
    sub: str
    status: str
    code: str
    ean13: str
    name: str
    department: int
    milli: int
    fine: bool  # the quantity has ten-thousandths, which no scale of ours shows
    weighed: bool
    unit_cents: int
    cents: int
    tax: int
    percent: int
    special: int
    discountable: bool
    member: str


@dataclass(frozen=True, slots=True)
class Bought:
    """One line of a household's basket: what it cost before and after discounts, in cents."""

    receipt: str
    time: int
    article: str
    milli: int
    cents: int
    shelf_cents: int
    coupon_cents: int
    match_cents: int


@dataclass(frozen=True, slots=True)
class Invoiced:
    """One line of an invoice; a unit price may have tenths of a penny."""

    receipt: str
    time: int
    article: str
    name: str
    pieces: int
    unit_tenths: int


Columns = dict[str, str]
LOG_COLUMNS: Columns = {
    "receipt": TEXT, "line": WHOLE, "time": TIME, "trans_type": TEXT, "trans_subtype": TEXT, "trans_status": TEXT,
    "upc": TEXT, "ean13": TEXT, "description": TEXT, "department": WHOLE, "quantity": NUMBER, "scale": WHOLE,
    "unit_price_usd": NUMBER, "total_usd": NUMBER, "tax": WHOLE, "percent_discount": NUMBER, "discounttype": WHOLE,
    "discountable": WHOLE, "member": TEXT,
}  # fmt: skip
JOURNEY_COLUMNS: Columns = {
    "basket_id": TEXT, "product_id": TEXT, "quantity": NUMBER, "sales_value": NUMBER, "retail_disc": NUMBER,
    "coupon_disc": NUMBER, "coupon_match_disc": NUMBER, "transaction_timestamp": TIME,
}  # fmt: skip
INVOICE_COLUMNS: Columns = {
    "receipt": TEXT, "item": TEXT, "description": TEXT, "quantity": NUMBER, "time": TIME, "unit_price_gbp": NUMBER,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """Which set a folder holds, and where its lines are."""

    name: str
    folder: Path
    lines: Path


def find(folder: Path) -> Found:
    """Recognise a set by its files and columns. Raises NoSetError, NotReadableError, NoReaderError."""
    if not folder.exists():
        raise NoSetError(path=str(folder), why="there is no such folder")
    if not folder.is_dir():
        raise NoSetError(path=str(folder), why="it is a file; name the folder")
    journey = folder / "transactions_sample.parquet"
    if journey.is_file():
        return Found(JOURNEY, folder, journey)
    lines = folder / "lines.parquet"
    if not lines.is_file():
        raise NoSetError(path=str(folder), why="neither lines.parquet nor transactions_sample.parquet is in it")
    names = set(_opened(lines).schema_arrow.names)
    return Found(INVOICES if "unit_price_gbp" in names else TILL_LOG, folder, lines)


def read(found: Found) -> list[LogLine] | list[Bought] | list[Invoiced]:
    """Every line of the set. Raises NotReadableError, WrongColumnsError, NothingInsideError, BadRowError."""
    if found.name == JOURNEY:
        return [_bought(row) for row in _rows(found.lines, JOURNEY_COLUMNS)]
    if found.name == INVOICES:
        return [_invoiced(row) for row in _rows(found.lines, INVOICE_COLUMNS)]
    return [_log_line(row) for row in _rows(found.lines, LOG_COLUMNS)]


def departments(folder: Path) -> dict[int, str]:
    """The names of the departments where the set tells them; an absent list is no error."""
    path = folder / "departments.csv"
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            return {int(row["department"]): row["name"] for row in csv.DictReader(lines)}
    except (KeyError, ValueError, TypeError, csv.Error, UnicodeDecodeError) as broken:
        raise NotReadableError(path=str(path), why=f"it is no list of departments ({broken!r})") from None


# --- the file


def _opened(path: Path) -> Any:
    if parquet is None:
        raise NoReaderError
    try:
        return parquet.ParquetFile(path)
    except (pa.ArrowException, OSError) as broken:
        raise NotReadableError(path=str(path), why=_first_line(broken)) from None


class _Row:
    """One row that knows where it stands, so that a bad value can be named."""

    __slots__ = ("number", "path", "values")

    def __init__(self, path: Path, number: int, values: dict[str, Any]) -> None:
        self.path, self.number, self.values = path, number, values

    def text(self, column: str) -> str:
        value = self.values[column]
        return "" if value is None else str(value)

    def whole(self, column: str) -> int:
        return self.number_of(column, 1)

    def number_of(self, column: str, parts: int) -> int:
        """The value as so many whole parts of one; a float of the source may be off by its last digit."""
        value = self.values[column]
        if value is None or value != value or abs(value) > LARGEST:
            raise self.bad(column)
        scaled = value * parts
        whole: int = round(scaled)
        if abs(scaled - whole) > 0.02 + abs(whole) * SINGLE:
            raise self.bad(column)
        return whole

    def time(self, column: str) -> int:
        value = self.values[column]
        if not isinstance(value, datetime):
            raise self.bad(column)
        return int(value.replace(tzinfo=UTC).timestamp() * 1000)

    def bad(self, column: str) -> BadRowError:
        return BadRowError(path=str(self.path), row=self.number, column=column, value=str(self.values[column]))


def _rows(path: Path, columns: Columns) -> Iterator[_Row]:
    file = _opened(path)
    _check(path, file.schema_arrow, columns)
    if file.metadata.num_rows == 0:
        raise NothingInsideError(path=str(path))
    try:
        number = 0
        for batch in file.iter_batches(batch_size=16_384, columns=list(columns)):
            lists: Sequence[list[Any]] = [batch.column(name).to_pylist() for name in columns]
            for values in zip(*lists, strict=True):
                number += 1
                yield _Row(path, number, dict(zip(columns, values, strict=True)))
    except (pa.ArrowException, OSError, ValueError) as broken:
        raise NotReadableError(path=str(path), why=_first_line(broken)) from None


def _check(path: Path, schema: Any, columns: Columns) -> None:
    missing = [name for name in columns if name not in schema.names]
    if missing:
        raise WrongColumnsError(path=str(path), why=f"missing {', '.join(missing)}")
    fits = {
        TEXT: lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind),
        WHOLE: pa.types.is_integer,
        NUMBER: lambda kind: pa.types.is_floating(kind) or pa.types.is_integer(kind),
        TIME: pa.types.is_timestamp,
    }
    for name, kind in columns.items():
        if not fits[kind](schema.field(name).type):
            raise WrongColumnsError(path=str(path), why=f"{name} is {schema.field(name).type}, not a {kind}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


# --- the rows


def _log_line(row: _Row) -> LogLine:
    quantity = row.number_of("quantity", 10_000)
    return LogLine(
        receipt=row.text("receipt"),
        line=row.whole("line"),
        time=row.time("time"),
        kind=row.text("trans_type"),
        sub=row.text("trans_subtype"),
        status=row.text("trans_status"),
        code=row.text("upc"),
        ean13=row.text("ean13"),
        name=row.text("description"),
        department=row.whole("department"),
        milli=round_half_up(quantity, 10),
        fine=quantity % 10 != 0,
        weighed=row.whole("scale") == 1,
        unit_cents=row.number_of("unit_price_usd", 100),
        cents=row.number_of("total_usd", 100),
        tax=row.whole("tax"),
        percent=row.whole("percent_discount"),
        special=row.whole("discounttype"),
        discountable=row.whole("discountable") > 0,
        member=row.text("member"),
    )


def _bought(row: _Row) -> Bought:
    return Bought(
        receipt=row.text("basket_id"),
        time=row.time("transaction_timestamp"),
        article=row.text("product_id"),
        milli=row.number_of("quantity", 1000),
        cents=row.number_of("sales_value", 100),
        shelf_cents=row.number_of("retail_disc", 100),
        coupon_cents=row.number_of("coupon_disc", 100),
        match_cents=row.number_of("coupon_match_disc", 100),
    )


def _invoiced(row: _Row) -> Invoiced:
    name = row.text("description")
    return Invoiced(
        receipt=row.text("receipt"),
        time=row.time("time"),
        article=row.text("item"),
        name="" if name == "nan" else name,
        pieces=row.number_of("quantity", 1),
        unit_tenths=row.number_of("unit_price_gbp", 1000),
    )
