"""Why a keeper takes no batch, and why a sender stops believing a keeper.

Bytes that a bad cable explains are `RefusedError`: no alarm. Bytes that prove somebody's hand are `UntrustedError`:
kept as evidence where that is bounded, never retried, and an alarm goes. A keeper that is away is `UnavailableError`.
"""

from __future__ import annotations

from oppet.base.errors import RefusedError, UnavailableError, UntrustedError
from oppet.base.words import N_

__all__ = [
    "BadCertificateError",
    "BadCodeError",
    "BatchMalformedError",
    "BatchTooLargeError",
    "CodeSpentError",
    "EpochRevokedError",
    "ForgedAckError",
    "ForgedBatchError",
    "ForkedError",
    "KeeperAwayError",
    "KeeperRefusedError",
    "OldImageError",
    "PackedBombError",
    "PaperUnfitError",
    "TooFastError",
    "UnkeptError",
    "UnknownTillError",
    "UnshownClaimError",
    "WrongKeeperError",
]


class BatchMalformedError(RefusedError):
    sentence = N_("This is no batch of journal entries: {why}. Nothing of it was kept; send it again.")


class BatchTooLargeError(RefusedError):
    sentence = N_("A batch of {bytes} bytes is more than the {largest} a keeper takes. Send it in smaller pieces.")


class TooFastError(UnavailableError):
    sentence = N_("Too many batches at once. Send the next one in {retry_after_s} seconds.")


class UnknownTillError(RefusedError):
    sentence = N_("This keeper has no certificate for till {till}, epoch {epoch}. Show its certificate first.")


class PackedBombError(UntrustedError):
    sentence = N_(
        "A batch in the name of till {till}, epoch {epoch} unpacks to more than {largest} bytes: no till sends that."
    )


class ForgedBatchError(UntrustedError):
    sentence = N_(
        "Entry {seq} in a batch in the name of till {till}, epoch {epoch} is not what that till signed: {why}."
    )


class ForgedAckError(UntrustedError):
    sentence = N_(
        "An acknowledgement in the name of keeper {keeper} is not believed: {why}. What it says it keeps does not count."
    )


class PaperUnfitError(RefusedError):
    sentence = N_("This paper says nothing here: {why}.")


class BadCertificateError(UntrustedError):
    sentence = N_("The certificate of {whose} is not believed: {why}.")


class BadCodeError(RefusedError):
    sentence = N_("The code is wrong. Tries left before it is spent: {left}.")


class CodeSpentError(RefusedError):
    sentence = N_("This code is used, spent or older than {minutes} minutes. Ask for a new one.")


class EpochRevokedError(UntrustedError):
    sentence = N_("Till {till}, epoch {epoch} is revoked ({reason}). It must be enrolled again before it sells.")


class OldImageError(UntrustedError):
    sentence = N_(
        "Keeper {keeper} has entry {theirs} of till {till}, epoch {epoch}; this disk ends at {ours}. "
        "It is an old copy: enrol the till again with the manager's code."
    )


class ForkedError(UntrustedError):
    sentence = N_(
        "Keeper {keeper} has another history of till {till}, epoch {epoch}: a copy of this disk has sold as well. "
        "Both are kept. Enrol the till again with the manager's code."
    )


class UnkeptError(RefusedError):
    sentence = N_(
        "Till {till}, epoch {epoch} holds entries {first} to {last} that are kept nowhere else. Connect a keeper first."
    )


class KeeperAwayError(UnavailableError):
    sentence = N_("Keeper {keeper} does not answer ({why}).")


class WrongKeeperError(UntrustedError):
    sentence = N_(
        "Keeper {keeper} shows another certificate than the one it was enrolled with. Nothing was sent to it. "
        "Ask who has changed the machine or the network."
    )


class KeeperRefusedError(RefusedError):
    sentence = N_("Keeper {keeper} refused: {why}")


class UnshownClaimError(UntrustedError):
    sentence = N_(
        "Keeper {keeper} says that till {till}, epoch {epoch} goes on elsewhere, and shows nothing that this till signed. "
        "It is not believed; the till sells on. Have the keeper looked at."
    )
