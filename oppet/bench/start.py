"""`oppet bench start`: a till's process from nothing to ready to sell, with 100 000 articles and a day's journal behind it.

The process is a real one (`python -m oppet.bench.start FOLDER`): interpreter, imports, assortment, journal, first page.
The peer measured in the same run is the interpreter with the same libraries imported and nothing else done.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from oppet.till.main import open_till
from oppet.till.web import create_app
from oppet.yardstick.measure import conditions, result
from oppet.yardstick.store import prepare_till, scratch

__all__ = ["main", "run"]

IMPORTS = "import oppet.till.main, oppet.till.web"


def _seconds(words: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def run(runs: int = 5, articles: int = 100_000) -> dict[str, Any]:
    """Measure whole processes, after one warm-up. `ready_s` is the median until the first page has been made."""
    with scratch() as folder:
        path = prepare_till(folder, articles)
        words = ["-m", "oppet.bench.start", str(path)]
        _seconds(words)
        ready = [_seconds(words) for _ in range(runs)]
        bare = [_seconds(["-c", IMPORTS]) for _ in range(runs)]
        size = (folder / "assortment.json").stat().st_size
    return result(
        "start",
        {"ready_s": round(statistics.median(ready), 3), "slowest_s": round(max(ready), 3), "articles": articles},
        {"over_imports_alone": round(statistics.median(ready) / statistics.median(bare), 2)},
        conditions(runs=runs, imports_alone_s=round(statistics.median(bare), 3), assortment_bytes=size),
    )


def main() -> None:
    """The measured process: open the till, make the page, end."""
    opened = open_till(Path(sys.argv[1]))
    assert create_app(opened.till, opened.staff) is not None
    opened.close()


if __name__ == "__main__":
    main()
