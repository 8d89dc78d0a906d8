"""Receipts out of the till: whatever is durable and not known to have left it, by the first path that works.

A receipt is an entry first. If every path fails the sale stands and the receipt waits; the next sale does not start
(law 6 of the design). Keeps P (one original, one copy) and R04 (nothing on paper that is not on disk).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from oppet.base.errors import UnavailableError
from oppet.journal.kinds import CopyMade, Receipt, ReceiptPrinted, ReportMade
from oppet.paper.paths import ReceiptPath
from oppet.paper.receipts import (
    copy_paper,
    electronic_paper,
    merchant_papers,
    only_to_see,
    printed_again,
    receipt_paper,
    signature_paper,
)
from oppet.paper.reports import report_paper
from oppet.paper.sheet import Paper, Say
from oppet.payments.paths import Slip
from oppet.register.desk import Desk
from oppet.register.state import COPY, NORMAL, TRAINING, Unprinted

__all__ = ["Coder", "Printing"]

SHOPS: Final = "CashierReceipt"  # the terminal's word for the shop's copy


class Coder(Protocol):
    """Makes the signed code of the receipt in entry `seq`: what its QR holds (`paper/electronic.py`).

    On a screen it always is the whole receipt; on paper only where it fits.
    """

    def __call__(self, receipt: Receipt, seq: int, time: str, *, electronic: bool) -> str: ...


class Printing:
    def __init__(self, desk: Desk, say: Say, code: Coder) -> None:
        self._desk = desk
        self._say = say
        self._code = code
        self._electronic = False
        self._left: set[Unprinted] = set()  # found unprinted after a cut: any of them may be out already
        self.trouble = ""  # why the last receipt did not come out, for the page

    def wish(self, *, electronic: bool) -> None:
        """How the customer wants the next receipt."""
        self._electronic = electronic and self._desk.rules.electronic

    def _paths(self) -> list[ReceiptPath]:
        first = "electronic" if self._electronic else "paper"
        return sorted(self._desk.ports.paths, key=lambda path: path.kind != first)

    def print_all(self, *, again: bool = False) -> None:
        """Put out everything that waits, oldest first. What no path takes goes on waiting, and `trouble` says why.

        Keepers in the store get it first, within their one budget (design §2): paper is what cannot be taken back.
        """
        self.trouble = ""
        ports = self._desk.ports
        if again:
            self._left.update(self._desk.state.unprinted)
        copies = ports.copies.second(ports.journal.head) if self._desk.state.unprinted else 0
        for waiting in list(self._desk.state.unprinted):
            left = waiting in self._left  # also when a later sale puts it out, because no path was open at once
            path = self._print(waiting, again=left)
            if path is None:
                return
            name = "electronic" if path.kind == "electronic" else path.name
            # Durable, and signed with the next group: the receipt itself was signed before it was printed.
            self._desk.write(ReceiptPrinted(waiting.series, waiting.number, name, left, copies), sign=False)
            self._left.discard(waiting)
            self._merchant_copies(waiting)
        self._electronic = False

    def _print(self, waiting: Unprinted, *, again: bool) -> ReceiptPath | None:
        whys = []
        for path in self._paths():
            try:
                paper = self.paper(waiting, electronic=path.kind == "electronic")
                path.print(printed_again(paper, self._say) if again else paper)
            except UnavailableError as away:
                whys.append(away)
                continue
            return path
        self.trouble = "; ".join(self._say(away.sentence).format(**away.facts) for away in whys)
        return None

    def paper(self, which: Unprinted, *, electronic: bool = False) -> Paper:
        """The sheet of a receipt or copy of this till. The caller owes a number that is in the journal."""
        filed = self._desk.filed(which.series, which.number)
        assert filed is not None, f"no {which.series} {which.number} in the journal"
        body = filed.body
        if isinstance(body, CopyMade):
            original = self._desk.filed(NORMAL, body.number)
            assert original is not None, "a copy of nothing"
            assert isinstance(original.body, Receipt), "a copy of no receipt"
            return copy_paper(original.body, original.time, body, filed.time, self._say)
        code = self._code(body, filed.seq, filed.time, electronic=electronic) if which.series == NORMAL else ""
        make = electronic_paper if electronic else receipt_paper
        return make(body, filed.time, self._say, code)

    def to_see(self, which: Unprinted) -> Paper:
        """A receipt looked up: the original only while it is the last and was given electronically, else marked as none."""
        state = self._desk.state
        if which == state.last_receipt and state.last_path == "electronic":
            return self.paper(which, electronic=True)
        return only_to_see(self.paper(which))

    def report(self, made: ReportMade, time: str) -> None:
        """Print an X or Z if a printer is there: the journal holds it all the same, so nothing waits for paper
        (R09).
        """
        paper = report_paper(made, time, self._say)
        self.trouble = ""
        for path in self._desk.ports.paths:
            try:
                path.print(paper)
            except UnavailableError as away:
                self.trouble = self._say(away.sentence).format(**away.facts)
                continue
            return

    def _merchant_copies(self, which: Unprinted) -> None:
        """The shop's slips of cards approved offline. Nothing waits for them: the journal holds what they say."""
        filed = self._desk.filed(which.series, which.number)
        if filed is None or not isinstance(filed.body, Receipt):
            return
        papers = merchant_papers(filed.body, filed.time, self._say)
        self._on_paper(papers)

    def to_sign(self, slips: Sequence[Slip]) -> None:
        """What the terminal wants the customer to sign for the shop: printed at once, before the goods leave (reference §6)."""
        self._on_paper([signature_paper(slip, self._say) for slip in slips if slip.signature and slip.whose == SHOPS])

    def _on_paper(self, papers: Sequence[Paper]) -> None:
        """By the first printer that works; nothing waits for it."""
        for path in (path for path in self._desk.ports.paths if papers and path.kind == "paper"):
            try:
                for paper in papers:
                    path.print(paper)
            except UnavailableError:
                continue
            return

    def drawer(self) -> bool:
        """Pulse the drawer, which hangs on a printer; False if no path could. A receipt never waits for it."""
        for path in sorted(self._desk.ports.paths, key=lambda path: path.kind != "paper"):
            try:
                path.open_drawer()
            except UnavailableError:
                continue
            return True
        return False


assert {COPY, NORMAL, TRAINING} == {"copy", "normal", "training"}, "the journal's words for the series"
