"""The drawer and the day: float, cash drops, openings, the count, X and Z.

Closing is local and nothing can block it: no network, no printer, no open basket (R09). Figures are
`fiscal/tally.py`'s, a fold of the entries; nothing is ever balanced by a line of its own (R08).
"""

from __future__ import annotations

from collections.abc import Mapping

from oppet.base.errors import clip
from oppet.base.money import LARGEST_ORE, kronor
from oppet.base.words import N_
from oppet.fiscal.tally import Identity
from oppet.journal.kinds import CashCounted, CashMoved, DrawerOpened, FloatSet, ReportMade, SaleParked
from oppet.register.desk import Desk
from oppet.register.errors import NotPossibleNowError
from oppet.register.printing import Printing
from oppet.sale import basket as baskets
from oppet.sale.rights import Staff, approver

__all__ = ["DENOMINATIONS", "Drawer"]

DENOMINATIONS = (100_000, 50_000, 20_000, 10_000, 5_000, 2_000, 1_000, 500, 200, 100)  # öre, reference §10
MOST_PIECES = 10_000


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
        if basket is not None and basket.state != baskets.OPEN:
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
