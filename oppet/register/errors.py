"""Why the till itself refuses or waits."""

from __future__ import annotations

from oppet.base.errors import RefusedError, SettingsError, UnavailableError
from oppet.base.words import N_
from oppet.sale.errors import ReservedError, WrongBadgeError, WrongPinError

__all__ = [
    "ClockInDoubtError",
    "DiskNearlyFullError",
    "EpochOverError",
    "FloatMissingError",
    "HeldElsewhereError",
    "LoneReturnError",
    "NeedsQuantityError",
    "NeighboursAwayError",
    "NoControlUnitError",
    "NoReceiptError",
    "NotPossibleNowError",
    "NotSignedInError",
    "OutageOpenError",
    "PathBusyError",
    "PathMissingError",
    "ReservedError",
    "SettingsError",
    "TakenElsewhereError",
    "TenderOpenError",
    "WrongBadgeError",
    "WrongPinError",
]


class NotSignedInError(RefusedError):
    sentence = N_("Nobody is signed in at this till. Sign in with number and PIN, or badge and PIN.")


class FloatMissingError(RefusedError):
    sentence = N_("The float is not registered. Count the change in the drawer and register it before the first sale.")


class NotPossibleNowError(RefusedError):
    sentence = N_("{action} is not possible now: {why}.")


class NeedsQuantityError(RefusedError):
    sentence = N_("{name} is sold by weight. Enter the weight the scale shows.")


class NoReceiptError(RefusedError):
    sentence = N_("This till has no receipt number {number}. Scan the code on the receipt or look at the number again.")


class ClockInDoubtError(RefusedError):
    sentence = N_(
        "The clock says {reading}, which cannot be right (expected {earliest} to {latest}). "
        "A supervisor confirms date and time, then the till sells."
    )


class DiskNearlyFullError(UnavailableError):
    sentence = N_("Only {free} MB are left on the disk ({least} MB needed): no new sale begins. Call operations.")


class EpochOverError(RefusedError):
    sentence = N_(
        "Till {till}, epoch {epoch} is closed: it was taken out of use. Enrol the till again before it sells."
    )


class NoControlUnitError(UnavailableError):
    sentence = N_("No control unit answers ({why}). No sale may be registered: the reserve routine applies.")


class OutageOpenError(UnavailableError):
    sentence = N_(
        "The reserve routine applies since {since}. Write reserve receipts until a supervisor ends the outage."
    )


class TakenElsewhereError(RefusedError):
    """`epoch` is the other till's, 0 where nobody said it."""

    sentence = N_("This basket goes on at till {till} (epoch {epoch}); it is no longer here.")


class HeldElsewhereError(RefusedError):
    sentence = N_("Till {till} is taking goods back on this receipt now. Wait until that return is finished.")


class LoneReturnError(RefusedError):
    sentence = N_(
        "The store node does not answer, so nobody knows whether this receipt was returned at another till: "
        "{left} kr more may be returned here until it does. Ask the customer to wait or to come back."
    )


class NeighboursAwayError(UnavailableError):
    sentence = N_("The store node does not answer: what other tills have is not known here.")


class PathMissingError(RefusedError):
    sentence = N_("This till has no payment path “{path}”. It has: {paths}.")


class PathBusyError(RefusedError):
    sentence = N_(
        "{path} still has a payment of {amount} kr open ({state}): it takes no other until that one is known. Take cash, Swish or "
        "another terminal."
    )


class TenderOpenError(RefusedError):
    sentence = N_("Payment {tender} is under way ({state}). Wait for its answer or stop it.")
