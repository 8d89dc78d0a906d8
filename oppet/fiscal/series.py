"""Numbers, codes and sums: does a journal say what a lawful register must say.

Works on any stretch of one epoch's entries; from the epoch's first entry it also folds every X and Z again. It names
what is wrong and where, and never stops at the first: one bad record does not hide the next.
Leaves the chain and its signatures to the journal room.
Keeps F6 (series from 1, step 1, no gap, no repeat), F7 (no receipt without a code given for that very receipt),
F8 (at most one copy of a receipt) and F1 (a report is what its entries say).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from oppet.base.money import kronor
from oppet.base.words import N_
from oppet.fiscal.tally import Identity, Tally
from oppet.journal.entry import Entry, body_of
from oppet.journal.kinds import Body, CodeUnknown, CopyMade, EpochOpened, Receipt, ReportMade, UnitAnswered

__all__ = ["SENTENCES", "Finding", "Series", "believe_series"]

NORMAL, COPY, TRAINING, Z = "normal", "kopia", "ovning", "z"  # the first three as the control unit calls them

SENTENCES = {
    "gap": N_("Entry {seq}: number {number} of the series {series} follows {facts}: numbers are missing."),
    "repeat": N_("Entry {seq}: number {number} of the series {series} follows {facts}: it was used before."),
    "no_code": N_("Entry {seq}: {series} {number} carries a code that no control unit gave for it ({facts})."),
    "code_unused": N_("Entry {seq}: the code given for {series} {number} was never put on a receipt ({facts})."),
    "second_copy": N_("Entry {seq}: a second copy of receipt {number} was made ({facts})."),
    "copy_of_nothing": N_("Entry {seq}: a copy of receipt {number}, which does not exist ({facts})."),
    "sums": N_("Entry {seq}: {series} {number} does not add up: {facts}."),
    "report": N_("Entry {seq}: report {series} {number} is not what its entries say: {facts}."),
}


class Finding(msgspec.Struct, frozen=True):
    """One thing wrong. `what` is a key of SENTENCES, the rest its facts."""

    what: str
    seq: int
    series: str
    number: int
    facts: str


class Series:
    """Follows a stretch of entries in order and gathers what is wrong with them."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._last: dict[str, int] = {}
        self._first: dict[str, int] = {}
        self._answers: dict[str, UnitAnswered] = {}  # one a series: the next is not asked before it is used
        self._copied: set[int] = set()
        self._unknown: set[int] = set()
        self._tally: Tally | None = None  # only when the stretch begins with its epoch
        self._identity = Identity("", "", "")

    def count(self, seq: int, body: Body | None) -> None:
        """Judge one entry after those before it."""
        judge = _JUDGES.get(type(body))
        if judge is not None:
            judge(self, seq, body)
        if self._tally is not None:
            if type(body) is ReportMade and body.kind == "z":
                self._tally = self._tally.close()
            self._tally.count(seq, body)

    def _find(self, what: str, seq: int, series: str, number: int, facts: str) -> None:
        self.findings.append(Finding(what, seq, series, number, facts))

    def _epoch(self, _: int, body: EpochOpened) -> None:
        self._tally = Tally()
        self._identity = Identity(body.company, body.org_no, body.register)
        self._last = dict.fromkeys((NORMAL, COPY, TRAINING, Z), 0)
        self._first = dict.fromkeys((NORMAL, COPY, TRAINING, Z), 1)

    def _number(self, seq: int, series: str, number: int) -> bool:
        """Take the next number of a series; says whether the series has been seen before in this stretch."""
        last = self._last.get(series)
        if last is None:
            self._first[series] = number
        elif number > last + 1:
            self._find("gap", seq, series, number, str(last))
        elif number <= last:
            self._find("repeat", seq, series, number, str(last))
        self._last[series] = max(number, last or 0)
        return last is not None

    def _answered(self, seq: int, body: UnitAnswered) -> None:
        before = self._answers.get(body.receipt_type)
        if before is not None:
            self._find("code_unused", seq, before.receipt_type, before.receipt_id, before.code)
        if body.receipt_type in {NORMAL, COPY}:
            self._answers[body.receipt_type] = body

    def _coded(self, seq: int, series: str, number: int, unit: str, code: str) -> None:
        given = self._answers.pop(series, None)
        if given is None or not code or (given.receipt_id, given.unit, given.code) != (number, unit, code):
            facts = code if given is None else f"{code} / {given.receipt_id}: {given.code}"
            self._find("no_code", seq, series, number, facts)

    def _receipt(self, seq: int, body: Receipt) -> None:
        series = TRAINING if body.kind == "training" else NORMAL
        followed = self._number(seq, series, body.number)
        if series == TRAINING:
            if body.code:
                self._find("no_code", seq, series, body.number, body.code)
        elif followed or NORMAL in self._answers:  # a stretch may begin between the answer and its receipt
            self._coded(seq, series, body.number, body.unit, body.code)
        wrong = wrong_sums(body)
        if wrong:
            self._find("sums", seq, series, body.number, wrong)

    def _code_unknown(self, seq: int, body: CodeUnknown) -> None:
        """The number is spent: it may be in the unit, so it is never given to another receipt."""
        self._number(seq, body.receipt_type, body.receipt_id)
        if body.receipt_type == NORMAL:
            self._unknown.add(body.receipt_id)

    def _copy(self, seq: int, body: CopyMade) -> None:
        followed = self._number(seq, COPY, body.copy)
        if followed or COPY in self._answers:
            self._coded(seq, COPY, body.copy, body.unit, body.code)
        if body.number in self._copied:
            self._find("second_copy", seq, COPY, body.number, str(body.copy))
        if body.number in self._unknown or not 1 <= body.number <= self._last.get(NORMAL, body.number):
            self._find("copy_of_nothing", seq, COPY, body.number, str(body.copy))
        self._copied.add(body.number)

    def _report(self, seq: int, body: ReportMade) -> None:
        if body.kind == "z":
            self._number(seq, Z, body.number)
        if self._tally is None:
            return
        told, true = body.report, self._tally.report(self._identity)
        wrong = [name for name in true.__struct_fields__ if getattr(told, name) != getattr(true, name)]
        if wrong:
            self._find("report", seq, body.kind, body.number, ", ".join(wrong))


_JUDGES: dict[type[Body] | type[None], Callable[[Series, int, Any], None]] = {
    EpochOpened: Series._epoch,
    UnitAnswered: Series._answered,
    Receipt: Series._receipt,
    CodeUnknown: Series._code_unknown,
    CopyMade: Series._copy,
    ReportMade: Series._report,
}


def wrong_sums(receipt: Receipt) -> str:
    """Law 8 of the design: lines = total = tenders − rounding, and VAT adds up per rate. Empty when it holds."""
    lines = sum(line.net_ore for line in receipt.lines)
    paid = sum(tender.amount_ore for tender in receipt.tenders)
    if lines != receipt.total_ore:
        return f"lines {kronor(lines)}, total {kronor(receipt.total_ore)}"
    if paid != receipt.total_ore + receipt.rounding_ore:
        return f"tenders {kronor(paid)}, total and rounding {kronor(receipt.total_ore + receipt.rounding_ore)}"
    told = {part.rate: (part.gross_ore, part.vat_ore) for part in receipt.vat}
    true: dict[int, tuple[int, int]] = {}
    for line in receipt.lines:
        if line.amount_ore - sum(discount.ore for discount in line.discounts) != line.net_ore:
            return f"line {line.line}"
        gross, vat = true.get(line.vat_rate, (0, 0))
        true[line.vat_rate] = (gross + line.net_ore, vat + line.vat_ore)
    return "" if told == true else "VAT"


def believe_series(entries: Iterable[Entry]) -> list[Finding]:
    """Everything wrong with a stretch of one epoch's entries, in their order."""
    series = Series()
    for entry in entries:
        series.count(entry.seq, body_of(entry))
    return series.findings
