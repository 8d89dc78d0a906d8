"""Invented lines in the shape of the three sets: what the real ones look like, and nobody's."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from oppet.replay.source import LogLine

MORNING = 1_372_670_000_000
A_LINE = LogLine(
    "01-9-1-1",
    1,
    MORNING,
    "I",
    "",
    "",
    "0000000000123",
    "",
    "OAT FLAKES",
    7,
    1000,
    False,
    False,
    250,
    250,
    0,
    0,
    0,
    True,
    "55",
)


def line(number: int, **more: Any) -> LogLine:
    """Goods: one piece at 2.50; the amount follows from price and quantity unless it is given."""
    made = replace(A_LINE, line=number, time=MORNING + 1000 * number)
    made = replace(made, **{name: value for name, value in more.items() if name != "cents"})
    cents = more.get("cents", round(made.unit_cents * made.milli / 1000))
    return replace(made, cents=cents)


def other(number: int, kind: str, cents: int, **more: Any) -> LogLine:
    """A line that is no goods: tender, change, tax, notice."""
    plain = {"kind": kind, "code": "0", "name": "", "department": 0, "milli": 0, "unit_cents": 0, "discountable": False}
    return line(number, cents=cents, **(plain | more))


def tender(number: int, cents: int, sub: str = "CA", **more: Any) -> LogLine:
    return other(number, "T", -cents, sub=sub, **({"name": "Cash"} | more))


def ending(number: int, tax: int = 0, less: int = 0, change: int = 0) -> list[LogLine]:
    """Change, discount and tax: the three lines that close a receipt."""
    return [
        other(number, "T", change, sub="CA", name="Change"),
        line(number + 1, code="DISCOUNT", name="Discount", unit_cents=-less, cents=-less, discountable=False),
        other(number + 2, "A", tax, code="TAX", name="Tax"),
    ]


def ordinary() -> list[LogLine]:
    """Two pieces, a weight and taxed soap, paid with a note: nothing about it is special. 7.875 % of 4.00 is 0.315."""
    return [
        line(1, milli=2000),
        line(2, code="0000000004011", name="BANANAS", milli=1500, weighed=True, unit_cents=99, cents=149),
        line(3, code="0000000000777", name="SOAP", unit_cents=400, tax=1),
        other(4, "C", 0, status="D", name="Subtotal 10.49, Tax 0.32"),
        tender(5, 2000),
        *ending(6, tax=32, change=919),
    ]


LOG_NAMES = {
    "kind": "trans_type", "sub": "trans_subtype", "status": "trans_status", "code": "upc", "name": "description",
    "percent": "percent_discount", "special": "discounttype",
}  # fmt: skip


def write_log(folder: Path, rows: list[LogLine]) -> Path:
    """The rows as the till log's Parquet file."""
    columns: dict[str, list[Any]] = {
        LOG_NAMES.get(f.name, f.name): [getattr(r, f.name) for r in rows] for f in fields(LogLine)
    }
    columns["quantity"] = [row.milli / 1000 + 0.0001 * row.fine for row in rows]
    del columns["milli"]
    columns["scale"] = [int(weighed) for weighed in columns.pop("weighed")]
    columns["unit_price_usd"] = [cents / 100 for cents in columns.pop("unit_cents")]
    columns["total_usd"] = [cents / 100 for cents in columns.pop("cents")]
    columns["percent_discount"] = [float(percent) for percent in columns["percent_discount"]]
    columns["discountable"] = [int(yes) for yes in columns["discountable"]]
    columns["time"] = [wall(ms) for ms in columns["time"]]
    columns["ean13"] = [code or None for code in columns["ean13"]]
    del columns["fine"]
    return write(folder / "lines.parquet", columns)


def wall(ms: int) -> datetime:
    """A wall clock's time, as the sets tell it."""
    return datetime.fromtimestamp(ms / 1000, UTC).replace(tzinfo=None)


def write(path: Path, columns: dict[str, list[Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(columns), path)
    return path.parent


def write_journey(folder: Path, rows: list[tuple[str, str, float, float, float, float, float]]) -> Path:
    """(basket, product, quantity, sales, shelf, coupon, match) in dollars."""
    names = ("basket_id", "product_id", "quantity", "sales_value", "retail_disc", "coupon_disc", "coupon_match_disc")
    columns: dict[str, list[Any]] = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    columns["transaction_timestamp"] = [wall(MORNING + 60_000 * n) for n in range(len(rows))]
    return write(folder / "transactions_sample.parquet", columns)


def write_invoices(folder: Path, rows: list[tuple[str, str, int, float]]) -> Path:
    """(receipt, item, pieces, price in pounds)."""
    return write(
        folder / "lines.parquet",
        {
            "receipt": [row[0] for row in rows],
            "item": [row[1] for row in rows],
            "description": [f"THING {row[1]}" for row in rows],
            "quantity": [row[2] for row in rows],
            "time": [wall(MORNING)] * len(rows),
            "unit_price_gbp": [row[3] for row in rows],
        },
    )
