"""`oppet bench NAME`: one benchmark, one JSON object. Figures are absolute, ratios travel.

A benchmark's module is loaded when it is asked for; each has `run(...) -> dict`.
"""

from __future__ import annotations

import json
from importlib import import_module
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from oppet.base.errors import RefusedError
from oppet.base.words import N_

__all__ = ["BENCHES", "NoSuchBenchError", "bench"]

# Each name has its module and what `run` is given.
BENCHES: dict[str, tuple[str, dict[str, Any]]] = {
    "scan": ("oppet.bench.scan", {}),
    "scan-page": ("oppet.bench.scan_page", {}),
    "sale": ("oppet.bench.sale", {}),
    "start": ("oppet.bench.start", {}),
    "ingest": ("oppet.bench.ingest", {}),
    "backlog": ("oppet.bench.backlog", {}),
    "second-copy": ("oppet.bench.second_copy", {}),
    "verify": ("oppet.bench.verify", {}),
    "verify-year": ("oppet.bench.verify", {"sales": 250_000}),
    "sim": ("oppet.bench.sim", {}),
    "hq-page": ("oppet.bench.hq_page", {}),
    "tender": ("oppet.rehearsal.tender_bench", {}),
    "storm": ("oppet.rehearsal.storm", {}),
    "refresh": ("oppet.rollout.refresh_bench", {}),
    "delta": ("oppet.rollout.delta_bench", {}),
    "switch": ("oppet.rollout.switch_bench", {}),
    "publish": ("oppet.rollout.publish_bench", {}),
    "completeness": ("oppet.bench.completeness", {}),
}


class NoSuchBenchError(RefusedError):
    sentence = N_("There is no benchmark “{name}”. See: oppet bench --help")


def bench(name: str, *, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> int:
    """Measure, with ceilings taken in the same run.

    Till: scan, scan-page, sale, tender, second-copy, start. Journal: verify, verify-year. Chain: ingest, backlog, hq-page, sim,
    storm, completeness. Second pipe: delta, publish, refresh, switch.

    Parameters
    ----------
    name
        Which benchmark.
    as_json
        Print one JSON object instead of a table.
    """
    if name not in BENCHES:
        raise NoSuchBenchError(name=name)
    module, arguments = BENCHES[name]
    found: dict[str, Any] = import_module(module).run(**arguments)
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return 0
    table = Table(title=f"bench {name}", show_header=False)
    for part in ("figures", "ratios", "conditions"):
        table.add_section()
        for key, value in found[part].items():
            table.add_row(part, key, str(value))
    Console().print(table)
    return 0
