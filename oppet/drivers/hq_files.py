"""Tables as files, written as they are read: CSV for people's programs, Parquet for analysts'. Nothing is gathered in memory.

A text from a till that a spreadsheet would take for a formula gets an apostrophe before it in CSV; Parquet has no formulas.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["csv_pieces", "parquet_pieces"]

FORMULA = ("=", "+", "-", "@", "\t", "\r")
TYPES = {"text": pa.string(), "int": pa.int64(), "bool": pa.bool_(), "date": pa.date32()}
GROUP_ROWS = 20_000  # of a Parquet row group, which is what memory must hold
Row = tuple[Any, ...]


def csv_pieces(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Row]]) -> Iterator[bytes]:
    """RFC 4180 in UTF-8, a head row first."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([name for name, _ in columns])
    for piece in rows:
        writer.writerows([[_cell(value) for value in row] for row in piece])
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


class _Sink(io.RawIOBase):
    """Takes what the writer writes and gives it away."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._at += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._at

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def parquet_pieces(
    columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Row]], told: Mapping[str, str]
) -> Iterator[bytes]:
    """One Parquet file; `told` is kept in its metadata."""
    schema = pa.schema([pa.field(name, TYPES[kind]) for name, kind in columns], metadata=dict(told))
    sink = _Sink()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        waiting: list[Row] = []
        for piece in rows:
            waiting.extend(piece)
            if len(waiting) >= GROUP_ROWS:
                writer.write_table(_table(schema, waiting))
                waiting = []
                yield sink.taken()
        if waiting:
            writer.write_table(_table(schema, waiting))
    yield sink.taken()


def _table(schema: Any, rows: Sequence[Row]) -> Any:
    columns = list(zip(*rows, strict=True))
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )
