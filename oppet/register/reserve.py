"""The reserve routine at the till: slips printed beforehand, what an outage was, and cases settled by a slip.

The rules and papers are `fiscal/reserve.py`'s. Nothing here ever registers a sale afterwards: slips go into the books from the paper (F13).
"""

from __future__ import annotations

from oppet.base.words import N_
from oppet.fiscal.reserve import Outage, outage_note, outages, report_to_agency, settle, slips
from oppet.journal.kinds import CaseSettled, SlipsPrinted
from oppet.paper.sheet import Paper
from oppet.register.desk import Desk
from oppet.register.errors import NotPossibleNowError
from oppet.sale.rights import Staff, approver

__all__ = ["MOST_SLIPS", "Reserve"]

MOST_SLIPS = 200


class Reserve:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def print_slips(self, count: int) -> tuple[Paper, ...]:
        """The next numbered reserve receipts. Their numbers are journalled before the paper exists, and never given again."""
        desk = self._desk
        desk.ready()
        staff = desk.staff()
        if not 1 <= count <= MOST_SLIPS:
            raise NotPossibleNowError(action=N_("Printing reserve receipts"), why=N_("enter how many, at most 200"))
        first = desk.state.numbers.get("slip", 0) + 1
        desk.write(SlipsPrinted(first, first + count - 1, staff.number))
        return slips(first, count, desk.identity)

    def settle(self, case: int, slip: int, approval: Staff | None = None) -> None:
        """Close a case about money without a receipt: the slip is the customer's receipt. Raises fiscal/reserve.py's leaves."""
        desk = self._desk
        desk.ready()
        by = approver("case", desk.staff(), approval)
        found = desk.state.cases.get(case)
        if found is None:
            raise NotPossibleNowError(action=N_("Settling a case"), why=N_("there is no open case with this number"))
        done = settle(found, slip, 1, desk.state.numbers.get("slip", 0), desk.state.slips_used)
        desk.write(CaseSettled(done.case, done.slip, done.amount_ore, by))

    def last(self) -> Outage | None:
        """The last outage of this epoch, perhaps still open; None if there has been none."""
        began = self._desk.state.outage_seq
        return outages(self._desk.ports.journal.read(began))[0] if began else None

    def papers(self) -> tuple[Paper, str] | None:
        """The note of the last outage and the drafted report to Skatteverket; None if there has been none."""
        found = self.last()
        if found is None:
            return None
        identity = self._desk.identity
        return outage_note(found, identity), report_to_agency(found, identity, self._desk.today())
