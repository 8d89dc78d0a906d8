"""SQL lives in .sql files: this reads one and gives its named statements.

A statement begins with a line `-- name: word` and runs to the next; other comment lines stay in it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["script", "statements"]

FOLDER = Path(__file__).parent / "sql"
MARK = "-- name: "


@cache
def script(name: str) -> str:
    """The whole of `sql/<name>.sql`."""
    return (FOLDER / f"{name}.sql").read_text(encoding="utf-8")


@cache
def statements(name: str) -> dict[str, str]:
    """The named statements of `sql/<name>.sql`, without comments."""
    found: dict[str, str] = {}
    for part in script(name).split(MARK)[1:]:
        word, _, text = part.partition("\n")
        found[word.strip()] = "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip()
    return found
