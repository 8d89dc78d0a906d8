"""Goods coming back: only against an original receipt, at its price and VAT, and never more than was bought (R17).

The original is this till's own, by number, or any receipt whose signed code is shown. Taking goods back needs a
supervisor (S7). Whether another till of the store has already taken them is the store's question: its node is asked,
and while it is silent a till alone returns only so much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from oppet.base.clock import local_day
from oppet.base.errors import UnavailableError
from oppet.base.money import kronor, thousandths
from oppet.base.words import N_
from oppet.journal.kinds import LineAdded, Original, Receipt, ReceiptLine, ReceiptTender, SaleOpened
from oppet.register.desk import Desk
from oppet.register.errors import LoneReturnError, NoReceiptError
from oppet.register.state import NORMAL, came_back, return_key
from oppet.sale import basket as baskets
from oppet.sale.basket import MOST_LINES, Basket
from oppet.sale.errors import AlreadyReturnedError, MixedReceiptError, NotReturnableError, TooManyLinesError
from oppet.sale.lines import Came, returned_line
from oppet.sale.rights import Staff, approver

__all__ = ["FindReceipt", "Returnable", "Returns"]


class FindReceipt(Protocol):
    """Reads a receipt's signed code: whose it is and what it says; a short code says only whose.

    Raises UntrustedError or RefusedError leaves.
    """

    def __call__(self, code: str) -> tuple[Original, Receipt | None]: ...


class Returnable:
    """A line of the original and how much of it may still come back."""

    __slots__ = ("came", "left_milli", "line", "taken_milli")

    def __init__(self, line: ReceiptLine, came: Came) -> None:
        self.line = line
        self.came = came
        self.taken_milli = came.quantity_milli
        self.left_milli = line.quantity_milli - came.quantity_milli


class Returns:
    def __init__(self, desk: Desk, by_code: FindReceipt) -> None:
        self._desk = desk
        self._by_code = by_code
        self._shown: dict[int, Receipt] = {}  # originals of other tills, by the sale that returns them
        self._elsewhere: dict[int, Mapping[int, Came]] = {}  # what came back at other tills, by the sale that asked

    def begin(self, number_or_code: str, approval: Staff | None = None) -> Receipt:
        """Open a return against this till's receipt number, or against the signed code on any receipt of the store.

        A return that is open already goes on when its own receipt is shown again: after a restart another till's code
        must be.
        Raises NoReceiptError, NotReturnableError, MixedReceiptError, NeedsApprovalError, HeldElsewhereError,
        LoneReturnError, and what reading the code raises.
        """
        desk = self._desk
        desk.ready()
        staff = desk.staff()
        if desk.state.current:
            return self._show_again(desk.basket(), number_or_code.strip())
        approved = approver("return", staff, approval)
        original, receipt = self._find(number_or_code.strip())
        if receipt.kind != "sale":
            raise NotReturnableError(line=0, number=receipt.number, why=N_("it is not a sale"))
        desk.may_begin()
        sale = desk.state.last_sale + 1
        elsewhere = self._ask(original)
        if elsewhere is None and self._left_alone_ore() <= 0:
            raise LoneReturnError(left=kronor(0))
        desk.write(SaleOpened(sale, "return", staff.number, original, approved, lone=elsewhere is None))
        self._keep(sale, receipt, elsewhere)
        return receipt

    def _ask(self, original: Original) -> Mapping[int, Came] | None:
        """What came back at other tills; None when the store node is silent. Raises HeldElsewhereError."""
        try:
            return self._desk.ports.neighbours.hold(original)
        except UnavailableError:
            return None

    def _came_elsewhere(self, basket: Basket) -> Mapping[int, Came] | None:
        """As `_ask`, remembered while the return is open: asked again after a restart and after silence."""
        known = self._elsewhere.get(basket.sale)
        if known is None and basket.original is not None:
            known = self._ask(basket.original)
            if known is not None:
                self._elsewhere[basket.sale] = known
        return known

    def _left_alone_ore(self) -> int:
        """What may still be given back today without the store node's word (R17)."""
        desk = self._desk
        today = local_day(desk.now())
        given = desk.state.lone_ore if desk.state.lone_day == today else 0
        return min(desk.rules.limits.lone_return_ore, desk.rules.limits.lone_day_ore - given)

    def _may_alone(self, basket: Basket, more_ore: int) -> None:
        """Raises LoneReturnError where nobody can say what came back elsewhere and it would be too much."""
        back = sum(line.amount_ore - sum(less.ore for less in line.added.discounts) for line in basket.standing())
        left = self._left_alone_ore() - back
        if more_ore > left and self._came_elsewhere(basket) is None:
            raise LoneReturnError(left=kronor(max(left, 0)))

    def _show_again(self, basket: Basket, text: str) -> Receipt:
        if basket.mode != "return":
            raise MixedReceiptError
        original, receipt = self._find(text)
        if original != basket.original:
            raise MixedReceiptError
        self._keep(basket.sale, receipt, self._came_elsewhere(basket))
        return receipt

    def _keep(self, sale: int, receipt: Receipt, elsewhere: Mapping[int, Came] | None) -> None:
        """Remember the receipt, and what came back elsewhere, while its return is open, and no longer."""
        standing = self._desk.state.baskets
        self._shown = {known: shown for known, shown in self._shown.items() if known in standing}
        self._elsewhere = {known: came for known, came in self._elsewhere.items() if known in standing}
        self._shown[sale] = receipt
        if elsewhere is not None:
            self._elsewhere[sale] = elsewhere

    def _find(self, text: str) -> tuple[Original, Receipt]:
        journal = self._desk.ports.journal
        if text.isascii() and text.isdigit() and len(text) <= 9:
            return Original(journal.till, journal.epoch, int(text)), self._own(int(text))
        original, receipt = self._by_code(text)
        if (original.till, original.epoch) == (journal.till, journal.epoch):
            receipt = self._own(original.number)  # the journal is better than any code
        if receipt is None:
            raise NoReceiptError(number=original.number)
        return original, receipt

    def _own(self, number: int) -> Receipt:
        filed = self._desk.filed(NORMAL, number)
        receipt = filed.body if filed is not None else None
        if not isinstance(receipt, Receipt):
            raise NoReceiptError(number=number)
        return receipt

    def original(self) -> Receipt:
        """The receipt that the open return is against. Raises NoReceiptError when another till's code must be shown
        again.
        """
        basket = self._desk.basket()
        ours = (self._desk.ports.journal.till, self._desk.ports.journal.epoch)
        if basket.original is None:
            raise NoReceiptError(number=0)
        if (basket.original.till, basket.original.epoch) == ours:
            return self._own(basket.original.number)
        if basket.sale not in self._shown:
            raise NoReceiptError(number=basket.original.number)
        return self._shown[basket.sale]

    def paid(self, basket: Basket) -> Sequence[ReceiptTender]:
        """How the original was paid, for money that goes back the same way. Nothing until another till's code is shown again.

        This till's journal knows; for every other till the signed code says which payments, and the store node what more is
        known of those: a node that was taken over sends nobody's money to another card.
        """
        original, journal = basket.original, self._desk.ports.journal
        if original is None:
            return ()
        if (original.till, original.epoch) == (journal.till, journal.epoch):
            filed = self._desk.filed(NORMAL, original.number)
            return filed.body.tenders if filed is not None and isinstance(filed.body, Receipt) else ()
        shown = self._shown.get(basket.sale)
        if shown is None:
            return ()
        self._came_elsewhere(basket)  # the node is asked once, and tells this too
        more = {_same(tender): tender for tender in self._desk.ports.neighbours.paid(original)}
        return tuple(more.get(_same(tender), tender) for tender in shown.tenders)

    def lines(self) -> list[Returnable]:
        """What may still come back of the original: less what came back before and what open and parked returns
        hold.
        """
        basket = self._desk.basket()
        receipt = self.original()
        assert basket.original is not None, "a return has an original"
        origin = basket.original
        before = self._desk.state.returned
        came = {line.line: before.get(return_key(origin, line.line), Came()) for line in receipt.lines}
        for number, there in (self._elsewhere.get(basket.sale) or {}).items():
            if number in came:
                came[number] = came[number].and_also(there.quantity_milli, there.amount_ore, there.net_ore)
        for other in self._desk.state.baskets.values():
            if other.mode == "return" and other.original == origin:
                for line in other.standing():
                    came[line.added.original_line] = came_back(came[line.added.original_line], line)
        return [Returnable(line, came[line.line]) for line in receipt.lines]

    def take(self, line: int, quantity_milli: int) -> LineAdded:
        """Take back some of a line, its deposit with it. Raises AlreadyReturnedError, NotReturnableError."""
        desk = self._desk
        desk.ready()
        basket = desk.basket()
        baskets.allow(basket, LineAdded, N_("taking goods back"))
        if basket.mode != "return":
            raise MixedReceiptError
        receipt = self.original()
        self._came_elsewhere(basket)
        found = {item.line.line: item for item in self.lines()}
        item = found.get(line)
        if item is None or item.line.pant_of:
            why = N_("a deposit follows its goods") if item is not None else N_("it is not on the receipt")
            raise NotReturnableError(line=line, number=receipt.number, why=why)
        if not 0 < quantity_milli <= item.left_milli:
            raise AlreadyReturnedError(left=thousandths(item.left_milli), line=line, number=receipt.number)
        if basket.last_line >= MOST_LINES:
            raise TooManyLinesError(most=MOST_LINES)
        number = basket.last_line + 1
        bodies = [returned_line(basket.sale, number, receipt, item.line, quantity_milli, item.came)]
        for pant in (other for other in found.values() if other.line.pant_of == line):
            bodies.append(
                returned_line(basket.sale, number + len(bodies), receipt, pant.line, quantity_milli, pant.came, number)
            )
        if basket.sale not in self._elsewhere:
            self._may_alone(basket, sum(body.amount_ore - sum(less.ore for less in body.discounts) for body in bodies))
        desk.write(*bodies, sign=False)
        return bodies[0]


def _same(tender: ReceiptTender) -> tuple[str, int, str]:
    return tender.means, tender.amount_ore, tender.reference
