"""The drawer and the day: float, cash drops, openings, the count, X and Z, and the reserve receipts that lie in it.

Closing is local and nothing can block it: no network, no printer, no open basket (R09). Figures are
`fiscal/tally.py`'s, a fold of the entries; nothing is ever balanced by a line of its own (R08). The reserve routine's
rules and papers are `fiscal/reserve.py`'s; nothing here ever registers a sale afterwards (F13).
"""

from __future__ import annotations

from collections.abc import Mapping

from oppet.base.errors import clip
from oppet.base.money import LARGEST_ORE, kronor
from oppet.base.words import N_
from oppet.fiscal.reserve import Outage, outage_note, outages, report_to_agency, settle, slips
from oppet.fiscal.tally import Identity
from oppet.journal.kinds import (
    CaseSettled,
    CashCounted,
    CashMoved,
    DrawerOpened,
    FloatSet,
    ReportMade,
    SaleParked,
    SlipsPrinted,
)
from oppet.paper.sheet import Paper
from oppet.payments.means import DENOMINATIONS
from oppet.register.desk import Desk, unsettled
from oppet.register.errors import NotPossibleNowError
from oppet.register.printing import Printing
from oppet.sale import basket as baskets
from oppet.sale.rights import Staff, approver

__all__ = ["DENOMINATIONS", "MOST_SLIPS", "Drawer", "Reserve"]

MOST_PIECES = 10_000
MOST_SLIPS = 200


class Drawer:
    def __init__(self, desk: Desk, printing: Printing) -> None:
        self._desk = desk
        self._printing = printing

    def set_float(self, amount_ore: int, approval: Staff | None = None) -> None:
        """Register the change in the drawer before the day's first sale. To change it later in the day moves what
        the drawer
        should hold, so a supervisor approves (S7), and both are in the journal."""
        desk = self._desk
        desk.ready()
        staff = desk.staff()
        if not 0 <= amount_ore <= LARGEST_ORE // 10 or amount_ore % 100:
            raise NotPossibleNowError(action=N_("This float"), why=N_("it is whole kronor, at most 100 000"))
        by = approver("cash", staff, approval) if desk.state.float_set else staff.number
        desk.write(FloatSet(amount_ore, by))

    def move(self, amount_ore: int, reason: str, approval: Staff | None = None) -> None:
        """Cash to the safe (negative) or change brought in (positive)."""
        desk = self._desk
        desk.ready()
        staff = desk.staff()
        by = approver("cash", staff, approval)
        why = clip(" ".join(reason.split()), 60)
        if not why:
            raise NotPossibleNowError(action=N_("Moving cash"), why=N_("it needs a reason"))
        expected = desk.state.tally.cash_expected_ore()
        if amount_ore == 0 or abs(amount_ore) > LARGEST_ORE or amount_ore % 100:
            raise NotPossibleNowError(action=N_("Moving cash"), why=N_("enter whole kronor"))
        if -amount_ore > expected:
            shown = N_("only {amount} kr should be in the drawer").format(amount=kronor(expected))
            raise NotPossibleNowError(action=N_("Moving cash"), why=shown)
        # The drawer opens with no sale, so the law counts it as an opening too.
        desk.write(CashMoved(amount_ore, why, by), DrawerOpened(why, staff.number, by))
        self._printing.drawer()

    def open(self, reason: str, approval: Staff | None = None) -> bool:
        """Open the drawer with no sale: journalled, counted and listed before it opens. False if no drawer answered."""
        desk = self._desk
        desk.ready()
        staff = desk.staff()
        by = approver("drawer", staff, approval)
        why = clip(" ".join(reason.split()), 60)
        if not why:
            raise NotPossibleNowError(action=N_("Opening the drawer"), why=N_("it needs a reason"))
        desk.write(DrawerOpened(why, staff.number, by))
        return self._printing.drawer()

    def count(self, pieces: Mapping[int, int]) -> CashCounted:
        """Count the drawer: {denomination in öre: pieces}. The difference is stated, never corrected away."""
        desk = self._desk
        desk.ready()
        staff = desk.staff()
        for denomination, number in pieces.items():
            if denomination not in DENOMINATIONS or not 0 <= number <= MOST_PIECES:
                raise NotPossibleNowError(action=N_("This count"), why=N_("enter whole numbers of notes and coins"))
        counted = sum(denomination * number for denomination, number in pieces.items())
        expected = desk.state.tally.cash_expected_ore()
        told = tuple((d, pieces[d]) for d in DENOMINATIONS if pieces.get(d))
        body = CashCounted(told, counted, expected, counted - expected, staff.number)
        desk.write(body)
        return body

    def x(self) -> ReportMade:
        """The day so far; resets nothing."""
        desk = self._desk
        desk.ready()
        return self._make("x", 0, desk.staff().number)

    def z(self, approval: Staff | None = None) -> ReportMade:
        """Close the day. Refused only while money is taken for a sale that is not finished; an open basket is parked
        by itself.
        """
        desk = self._desk
        desk.ready()
        by = approver("z", desk.staff(), approval)
        basket = desk.state.baskets.get(desk.state.current)
        unknown = basket is not None and basket.pending() and not basket.tenders and unsettled(basket) is None
        if (
            basket is not None and basket.state != baskets.OPEN and not unknown
        ):  # an unknown tender is listed, and blocks nothing
            raise NotPossibleNowError(
                action=N_("A Z report"), why=N_("a sale is being paid; finish it or take the payment back")
            )
        if basket is not None:
            desk.write(SaleParked(basket.sale, by))
        made = self._make("z", desk.state.numbers.get("z", 0) + 1, by)
        desk.save()
        return made

    def _make(self, kind: str, number: int, by: int) -> ReportMade:
        desk = self._desk
        identity = desk.identity
        report = desk.state.tally.report(Identity(identity.company, identity.org_no, identity.register))
        made = ReportMade(kind, number, report, by)
        desk.write(made)
        self._printing.report(made, desk.state.time)
        return made


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
