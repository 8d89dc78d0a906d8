"""Bugs planted into the production source, one at a time, and the process that looks for each.

A bug is a list of replacements in one module's source; each must fit exactly once, so a bug that no longer applies is
an error and never a pass. `python -m tests.sim.planted NAME FIRST COUNT SECONDS TILLS` compiles the mutated module under
its own name before anything imports it, then runs seeds until a law breaks, and prints what it found as JSON.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["BUGS", "NO_BUG", "Bug", "plant"]

NO_FIT = 65


@dataclass(frozen=True)
class Bug:
    """What is planted where, which laws may say so, and where it was first found."""

    module: str
    changes: tuple[tuple[str, str], ...]
    laws: str  # the numbers of the laws that name it; "0" is a crash of ours
    seed: int = 1  # the first seed that finds it
    tills: int = 2
    seconds: int = 3_600
    calm: bool = False  # deeds alone find it soonest
    real_files: bool = False  # only SQLite on a faulty disk shows it
    quick: bool = True  # found in a second or two at `seed`: looked for with every test


NO_BUG = Bug("oppet.sync.keeper", (), "")
KEEPER, SENDER, CERTIFICATES = "oppet.sync.keeper", "oppet.sync.sender", "oppet.sync.certificates"

BUGS: dict[str, Bug] = {
    "acknowledged before it is on the disk": Bug(
        KEEPER,
        (("with self._shelf.stream(standing) as stream:", "with suppress(Exception), self._shelf.stream(standing) as stream:"),),
        "1",
    ),
    "a commit is not synced": Bug(
        "oppet.drivers.journal_sqlite",
        (('connection.pragma("synchronous", "full")', 'connection.pragma("synchronous", "normal")'),),
        "1",
        seconds=1_200,
        real_files=True,
    ),
    "a gap is kept": Bug(
        KEEPER,
        (
            (
                "branch = _holding(stream, branches, believed.after)\n",
                'branch = _holding(stream, branches, believed.after) or branches.get("")\n',
            ),
        ),
        "0124",
    ),
    "a fork is dropped": Bug(KEEPER, (("            stream.extend(first.digest, place, rest)\n", ""),), "1"),
    "a repeated batch is counted twice": Bug(KEEPER, (("rest = believed.beyond(place.seq)", "rest = believed"),), "0124"),
    "the signature is ignored": Bug(
        KEEPER, (("if not Verifier(public_key).good(signature, signed_bytes(", "if False and (signature, signed_bytes("),), "4"
    ),
    "another till's entries are taken": Bug(
        KEEPER, (("if entry.till != till or entry.epoch != epoch:", "if entry.v < 0:"),), "4"
    ),
    "an unsigned acknowledgement is believed": Bug(
        SENDER, (("elif not self._verifier.good(", "elif False and not self._verifier.good("),), "1"
    ),
    "sent is taken for kept": Bug(
        SENDER,
        (
            ("        packed = pack(", "        self.kept = Head(*last)\n        packed = pack("),
            ("        self._asking = True  # what was lost may have arrived\n", ""),
        ),
        "019",
    ),
    "a keeper that was rebuilt is not sent again": Bug(
        SENDER,
        (
            (
                "        self._asking = False\n        self.kept, self.ack = Head(ack.seq, ack.digest), ack\n",
                ("        self._asking = False\n        if before is None or ack.seq > before.seq:\n"
                "            self.kept, self.ack = Head(ack.seq, ack.digest), ack\n"),
            ),
        ),
        "01",
        quick=False,
    ),
    "a revoked till's countersignature counts": Bug(
        CERTIFICATES, ((" or (till, epoch) in self._revoked:", ":"),), "4", tills=3, quick=False
    ),
    "anybody revokes": Bug(CERTIFICATES, (("if not allowed & set(_signers(paper)):", "if not allowed:"),), "4"),
    "anybody certifies a till": Bug(
        CERTIFICATES, (("bytes.fromhex(store.manager_key) not in _signers(paper)", "not _signers(paper)"),), "4"
    ),
    "a number is used again after a code that is unknown": Bug(
        "oppet.register.state",
        (
            (
                "    def _unknown(self, _: CodeUnknown) -> None:\n        self.flight = None\n",
                ("    def _unknown(self, body: CodeUnknown) -> None:\n        self.flight = None\n"
                "        self.numbers[SERIES[body.receipt_type]] = body.receipt_id - 1\n"),
            ),
        ),
        "02",
    ),
    "printed before it is durable": Bug(
        "oppet.register.checkout",
        (
            (
                "        desk.write(*before, receipt)\n",
                ("        from oppet.paper.receipts import receipt_paper\n"
                "        desk.ports.paths[0].print(receipt_paper(receipt, '2026-11-22T06:00:00.000Z', str))\n"
                "        desk.write(*before, receipt)\n"),
            ),
        ),
        "1",
    ),
    "printed again without a word": Bug(
        "oppet.register.printing", (("printed_again(paper, self._say) if again else paper", "paper"),), "1"
    ),
    "the till waits for a keeper": Bug(
        "oppet.register.desk",
        (
            (
                "        if (refusal := self.ports.copies.refusal()) is not None:\n",
                ("        if not self.ports.copies.second(self.ports.journal.head):\n            raise NotSignedInError\n"
                "        if (refusal := self.ports.copies.refusal()) is not None:\n"),
            ),
        ),
        "6",
    ),
    "what is not kept may be wiped": Bug("oppet.sync.copies", (("if kept < head:", "if kept < 0:"),), "9"),
    "one receipt is returned at two tills": Bug(
        "oppet.store.lanes",
        (
            (
                '        if other:\n            return Told("", refused=Refused("held"',
                '        if other == "?":\n            return Told("", refused=Refused("held"',
            ),
        ),
        "2",
        calm=True,
        quick=False,
    ),
    "a moved basket is sold twice": Bug(
        "oppet.store.lanes",
        ((" and holder != place[:2]:\n            return holder\n", " and holder != place[:2]:\n            pass\n"),),
        "2",
        calm=True,
        quick=False,
    ),
    "a Z counts the day before again": Bug(
        "oppet.fiscal.tally",
        (("            drawer_ore=self.drawer_ore,\n", "            drawer_ore=self.drawer_ore, sales_ore=self.sales_ore,\n"),),
        "08",
        seed=2,
    ),
    "the rounding is lost": Bug("oppet.sale.settle", (("        rounding_ore=rounding,\n", "        rounding_ore=0,\n"),), "8"),
    "VAT is cut off": Bug(
        "oppet.sale.settle",
        (("return round_half_up(gross_ore * rate, 10_000 + rate)", "return gross_ore * rate // (10_000 + rate)"),),
        "8",
    ),
    "a payer's number is journalled": Bug(
        "oppet.sale.tokens",
        (("_REFERENCE.fullmatch(text) is not None and not _names_a_person(text)", "_REFERENCE.fullmatch(text) is not None"),),
        "7",
    ),
}  # fmt: skip


class _Planter(importlib.abc.MetaPathFinder):
    """Finds one module and compiles it with the bug in it."""

    def __init__(self, bug: Bug) -> None:
        self._bug = bug

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._bug.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = _Mutated(fullname, spec.origin, self._bug)
        return spec


class _Mutated(importlib.machinery.SourceFileLoader):
    def __init__(self, fullname: str, origin: str, bug: Bug) -> None:
        super().__init__(fullname, origin)
        self._bug = bug

    def get_code(self, fullname: str) -> Any:
        text = Path(self.path).read_text(encoding="utf-8")
        for old, new in self._bug.changes:
            if text.count(old) != 1:
                print(
                    f"the planted bug does not fit {fullname}: {old!r} stands there {text.count(old)} times",
                    file=sys.stderr,
                )
                raise SystemExit(NO_FIT)
            text = text.replace(old, new)
        return compile(text, self.path, "exec")


def plant(bug: Bug) -> None:
    """From here on, whoever imports its module gets the bug with it."""
    sys.meta_path.insert(0, _Planter(bug))


def look(first: int, count: int, seconds: int, tills: int, *, calm: bool, real_files: bool) -> dict[str, object]:
    """Run seeds until a law breaks."""
    schedule, world = import_module("oppet.sim.schedule"), import_module("oppet.sim.world")
    began = time.process_time()
    for seed in range(first, first + count):
        steps = schedule.make(seed, schedule.Size(1, tills, seconds, real_files))
        if calm:
            steps = schedule.with_steps(steps, [step for step in steps.steps if step.what == "deed"])
        result = world.run(steps)
        if result.broken:
            law = result.broken[0]
            spent = round(time.process_time() - began, 2)
            return {
                "seed": seed,
                "step": result.steps,
                "law": law.law,
                "what": law.what,
                "cpu_s": spent,
                "runs": seed - first + 1,
            }
    return {"seed": None, "cpu_s": round(time.process_time() - began, 2), "runs": count}


def main() -> None:
    """Plant one bug, then look for it."""
    name, first, count, seconds, tills = sys.argv[1], *map(int, sys.argv[2:6])
    bug = BUGS.get(name, NO_BUG)
    plant(bug)
    print(json.dumps(look(first, count, seconds, tills, calm=bug.calm, real_files=bug.real_files)))


if __name__ == "__main__":
    main()
