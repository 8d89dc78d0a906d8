"""The tables of docs/payments.md, and rows of other pages, that tests make: compared, or with OPPET_WRITE=1 written.

A table stands between `<!-- name -->` and `<!-- end -->`. Each test keeps one row of it, so rows may be made in any order and process.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import ROOT

__all__ = ["PAGE", "keep_row", "keep_table"]

PAGE = ROOT / "docs" / "payments.md"


def keep_row(table: str, heads: Sequence[str], row: str, cells: Sequence[str], page: Path = PAGE) -> None:
    """Assert that the page's table has this very row; with OPPET_WRITE=1 put it there."""
    line = f"| {row} | {' | '.join(cells)} |"
    top = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    assert len(heads) == len(cells) + 1
    with page.open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        before, lines, after = _split(file.read(), table)
        if os.environ.get("OPPET_WRITE") == "1":
            rows = {one.split(" | ")[0]: one for one in lines[2:]} | {f"| {row}": line}
            file.seek(0)
            file.write("\n".join([*before, *top, *rows.values(), *after]))
            file.truncate()
            return
    assert lines[:2] == top
    assert line in lines, f"{page.name} says otherwise; OPPET_WRITE=1 writes: {line}"


def keep_table(table: str, text: str) -> None:
    """The same for a table made at once."""
    with PAGE.open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        before, lines, after = _split(file.read(), table)
        if os.environ.get("OPPET_WRITE") == "1":
            file.seek(0)
            file.write("\n".join([*before, *text.splitlines(), *after]))
            file.truncate()
            return
    assert lines == text.splitlines(), "docs/payments.md says otherwise; OPPET_WRITE=1 writes it"


def _split(page: str, table: str) -> tuple[list[str], list[str], list[str]]:
    lines = page.split("\n")
    start = lines.index(f"<!-- {table} -->") + 1
    end = lines.index("<!-- end -->", start)
    return lines[:start], lines[start:end], lines[end:]
