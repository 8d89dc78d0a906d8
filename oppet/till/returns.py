"""Goods coming back: only against an original receipt, at its price and VAT, and never more than was bought (R17).

The original is this till's own, by number, or any receipt whose signed code is shown. Taking goods back needs a supervisor (S7). Whether
another till of the store has already taken them is the store's question, asked when there is a store.
"""

from __future__ import annotations

from typing import Protocol

from oppet.base.money import thousandths
from oppet.base.words import N_
from oppet.journal.entry import body_of
from oppet.journal.kinds import LineAdded, Original, Receipt, ReceiptLine, SaleOpened
from oppet.sale import basket as baskets
from oppet.sale.errors import AlreadyReturnedError, MixedReceiptError, NotReturnableError
from oppet.sale.lines import returned_line
from oppet.sale.rights import Staff, approver
from oppet.till.desk import Desk
from oppet.till.errors import NoReceiptError
from oppet.till.state import NORMAL, return_key

__all__ = ["FindReceipt", "Returnable", "Returns"]


class FindReceipt(Protocol):
    """Reads a receipt's signed code: whose it is and what it says. Raises UntrustedError or RefusedError leaves."""

    def __call__(self, code: str) -> tuple[Original, Receipt]: ...


class Returnable:
    """A line of the original and how much of it may still come back."""

    __slots__ = ("left_milli", "line", "taken_milli")

    def __init__(self, line: ReceiptLine, taken_milli: int) -> None:
        self.line = line
        self.taken_milli = taken_milli
        self.left_milli = line.quantity_milli - taken_milli


class Returns:
    def __init__(self, desk: Desk, by_code: FindReceipt) -> None:
        self._desk = desk
        self._by_code = by_code
        self._shown: dict[int, Receipt] = {}  # originals of other tills, by the sale that returns them

    def begin(self, number_or_code: str, approval: Staff | None = None) -> Receipt:
        """Open a return against this till's receipt number, or against the signed code on any receipt of the store.

        Raises NoReceiptError, NotReturnableError, MixedReceiptError, NeedsApprovalError, and what reading the code raises.
        """
        desk = self._desk
        desk.ready()
        if desk.state.current:
            raise MixedReceiptError
        staff = desk.staff()
        approved = approver("return", staff, approval)
        original, receipt = self._find(number_or_code.strip())
        if receipt.kind != "sale":
            raise NotReturnableError(line=0, number=receipt.number, why=N_("it is not a sale"))
        desk.may_begin()
        sale = desk.state.last_sale + 1
        self._shown[sale] = receipt
        desk.write(SaleOpened(sale, "return", staff.number, original, approved))
        return receipt

    def _find(self, text: str) -> tuple[Original, Receipt]:
        journal = self._desk.ports.journal
        if text.isascii() and text.isdigit() and len(text) <= 9:
            return Original(journal.till, journal.epoch, int(text)), self._own(int(text))
        original, receipt = self._by_code(text)
        if (original.till, original.epoch) == (journal.till, journal.epoch):
            receipt = self._own(original.number)  # the journal is better than any code
        return original, receipt

    def _own(self, number: int) -> Receipt:
        entry = self._desk.receipt_entry(NORMAL, number)
        receipt = body_of(entry) if entry is not None else None
        if not isinstance(receipt, Receipt):
            raise NoReceiptError(number=number)
        return receipt

    def original(self) -> Receipt:
        """The receipt that the open return is against. Raises NoReceiptError when another till's code must be shown again."""
        basket = self._desk.basket()
        ours = (self._desk.ports.journal.till, self._desk.ports.journal.epoch)
        if basket.original is None:
            raise NoReceiptError(number=0)
        if (basket.original.till, basket.original.epoch) == ours:
            return self._own(basket.original.number)
        if basket.sale not in self._shown:
            raise NoReceiptError(number=basket.original.number)
        return self._shown[basket.sale]

    def lines(self) -> list[Returnable]:
        """What may still come back of the original, the open return's own lines counted."""
        basket = self._desk.basket()
        receipt = self.original()
        assert basket.original is not None, "a return has an original"
        origin = basket.original
        now: dict[int, int] = {}
        for line in basket.standing():
            now[line.added.original_line] = now.get(line.added.original_line, 0) + line.quantity_milli
        before = self._desk.state.returned
        return [
            Returnable(
                line, before.get(return_key(origin.till, origin.epoch, origin.number, line.line), 0) + now.get(line.line, 0)
            )
            for line in receipt.lines
        ]

    def take(self, line: int, quantity_milli: int) -> LineAdded:
        """Take back some of a line, its deposit with it. Raises AlreadyReturnedError, NotReturnableError."""
        desk = self._desk
        desk.ready()
        basket = desk.basket()
        baskets.allow(basket, LineAdded, N_("taking goods back"))
        if basket.mode != "return":
            raise MixedReceiptError
        receipt = self.original()
        found = {item.line.line: item for item in self.lines()}
        item = found.get(line)
        if item is None or item.line.pant_of:
            why = N_("a deposit follows its goods") if item is not None else N_("it is not on the receipt")
            raise NotReturnableError(line=line, number=receipt.number, why=why)
        if not 0 < quantity_milli <= item.left_milli:
            raise AlreadyReturnedError(left=thousandths(item.left_milli), line=line, number=receipt.number)
        number = basket.last_line + 1
        bodies = [returned_line(basket.sale, number, receipt, item.line, quantity_milli, item.taken_milli)]
        for pant in (other for other in found.values() if other.line.pant_of == line):
            bodies.append(
                returned_line(basket.sale, number + 1, receipt, pant.line, quantity_milli, pant.taken_milli, number)
            )
        desk.write(*bodies, sign=False)
        return bodies[0]
