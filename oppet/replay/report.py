"""What became of every receipt: equal, explained by a named class, or unexplained; counts, amounts, examples.

The file that `--report` names holds every receipt that differs with its reasons, figure by figure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from oppet.base.money import kronor
from oppet.replay.plan import Case

__all__ = ["Tally", "as_table", "every_difference"]

EXAMPLES: Final = 3


@dataclass(slots=True)
class _Class:
    receipts: int = 0
    total: int = 0  # of the source's receipts in it, without sign
    moved: int = 0  # by which the totals differ
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Tally:
    """Counts as the replay goes; `differing` keeps what is told in full."""

    receipts: int = 0
    rows: int = 0
    equal: int = 0
    explained: int = 0
    unexplained: int = 0
    classes: dict[str, _Class] = field(default_factory=dict)
    differing: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def add(self, case: Case, wrong: str) -> None:
        """Count one case; `wrong` is what neither equals nor is explained."""
        self.receipts += 1
        self.rows += case.rows
        if not wrong and not case.reasons:
            self.equal += 1
            return
        if wrong:
            self.unexplained += 1
            self.wrong.append(f"{case.receipt}: {wrong}")
        else:
            self.explained += 1
        for reason in case.reasons:
            one = self.classes.setdefault(reason.name, _Class())
            one.receipts += 1
            one.total += abs(case.source.get("total", 0))
            one.moved += reason.covers.get("total", 0)
            if len(one.examples) < EXAMPLES:
                one.examples.append(case.receipt)
        told: dict[str, Any] = {"receipt": case.receipt, "source": case.source, "ours": case.ours}
        told["reasons"] = {r.name: {f: c for f, c in r.covers.items() if c} for r in case.reasons}
        if wrong:
            told["unexplained"] = wrong
        self.differing.append(told)

    def as_figures(self) -> dict[str, Any]:
        """The counts and classes as one object."""
        return {
            "receipts": self.receipts,
            "lines": self.rows,
            "equal": self.equal,
            "explained": self.explained,
            "unexplained": self.unexplained,
            "classes": {
                name: {
                    "receipts": one.receipts,
                    "total": kronor(one.total, "."),
                    "difference": kronor(one.moved, "."),
                    "examples": one.examples,
                }
                for name, one in sorted(self.classes.items(), key=lambda item: -item[1].receipts)
            },
        }


def every_difference(tally: Tally, why: Mapping[str, str], told: Mapping[str, Any]) -> str:
    """The report file: what was run, why each class is one, and each receipt that differs."""
    whole = {**told, "why": {name: why[name] for name in tally.classes if name in why}, "differing": tally.differing}
    return json.dumps(whole, ensure_ascii=False, indent=1)


def as_table(told: Mapping[str, Any], why: Mapping[str, str], wrong: Sequence[str], console: Console) -> None:
    """For a person: the classes, then the sums, then what is wrong if anything is."""
    found, figures = told["result"], told["figures"]
    table = Table(title=told["bench"])
    table.add_column("class of difference")
    for name in ("receipts", "their total", "difference"):
        table.add_column(name, justify="right")
    table.add_column("for example", no_wrap=True)
    for name, one in found["classes"].items():
        table.add_row(name, str(one["receipts"]), one["total"], one["difference"], one["examples"][0])
    console.print(table)
    for name in found["classes"]:
        console.print(f"[bold]{name}[/bold]: {why.get(name, '')}")
    counts = ", ".join(f"{found[name]} {name}" for name in ("receipts", "equal", "explained", "unexplained"))
    console.print(counts)
    console.print(", ".join(f"{name} {value}" for name, value in figures.items()))
    for line in wrong[:20]:
        console.print(f"unexplained: {line}")
