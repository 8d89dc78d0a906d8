"""What the sale room refuses, as leaves that carry facts."""

from __future__ import annotations

from oppet.base.errors import RefusedError
from oppet.base.words import N_

__all__ = [
    "AgeNotCheckedError",
    "AlreadyCopiedError",
    "AlreadyReturnedError",
    "BasketEmptyError",
    "BasketStateError",
    "DiscountTooLargeError",
    "MixedReceiptError",
    "NeedsApprovalError",
    "NoSuchLineError",
    "NoSuchSaleError",
    "NotEnoughPaidError",
    "NotMovableError",
    "NotReturnableError",
    "OddQuantityError",
    "ReservedError",
    "TooManyDiscountsError",
    "TooManyLinesError",
    "TooManyTendersError",
    "TooYoungError",
    "WrongBadgeError",
    "WrongPinError",
]


class NoSuchLineError(RefusedError):
    sentence = N_("Line {line} is not in this basket.")


class NoSuchSaleError(RefusedError):
    sentence = N_("No open basket has the number {sale}.")


class BasketStateError(RefusedError):
    sentence = N_("The basket is {state}: {action} is not possible now.")


class BasketEmptyError(RefusedError):
    sentence = N_("The basket is empty. Scan something first.")


class TooManyLinesError(RefusedError):
    sentence = N_("A basket holds at most {most} lines. Finish this sale and begin another.")


class TooManyTendersError(RefusedError):
    sentence = N_("A sale is paid in at most {most} parts. Pay the rest at once, or take a payment back.")


class TooManyDiscountsError(RefusedError):
    sentence = N_("A receipt holds at most {most} discounts. Withdraw one, or divide the goods over two sales.")


class OddQuantityError(RefusedError):
    sentence = N_("{quantity} {unit} of {name} cannot be sold. Enter {rule}.")


class AgeNotCheckedError(RefusedError):
    sentence = N_("The customer's age ({limit} years) has not been checked. Check the identity card first.")


class TooYoungError(AgeNotCheckedError):
    sentence = N_("The customer is not {limit} years old. Take the goods off, or check the identity card again.")


class DiscountTooLargeError(RefusedError):
    sentence = N_("A discount of {discount} is more than the {most} it can be taken from.")


class NeedsApprovalError(RefusedError):
    sentence = N_("A {role} must approve this with their own PIN: {action}.")


class MixedReceiptError(RefusedError):
    sentence = N_("A receipt is either a sale or a return. Finish this one first.")


class NotMovableError(RefusedError):
    sentence = N_("This basket cannot go on here: {why}. Scan the goods again.")


class NotReturnableError(RefusedError):
    sentence = N_("Line {line} of receipt {number} cannot be returned: {why}.")


class AlreadyReturnedError(RefusedError):
    sentence = N_("Only {left} of line {line} on receipt {number} is left to return.")


class AlreadyCopiedError(RefusedError):
    sentence = N_("Receipt {number} already has its one copy (SKVFS 2014:9 6 kap.).")


class NotEnoughPaidError(RefusedError):
    sentence = N_("{left} kr is left to pay.")


class WrongPinError(RefusedError):
    sentence = N_("Number and PIN do not belong together. Tries left before a pause: {left}.")


class WrongBadgeError(RefusedError):
    sentence = N_("This badge belongs to nobody at this store.")


class ReservedError(RefusedError):
    sentence = N_("Too many wrong PINs. Wait {seconds} seconds and try again.")
