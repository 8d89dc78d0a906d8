"""What can go wrong between a till and its journal, and who must act: each leaf names till, epoch and number if known.

Full, read-only and failed disks are `UnavailableError`: nothing was lost, the next sale waits (R05). Bytes that are not
what they claim are `UntrustedError`: they are kept as they are.
"""

from __future__ import annotations

from oppet.base.errors import RefusedError, UnavailableError, UntrustedError
from oppet.base.words import N_

__all__ = [
    "DiskFailedError",
    "DiskFullError",
    "DiskReadOnlyError",
    "EntryTooLargeError",
    "JournalBrokenError",
    "JournalDamagedError",
    "JournalExistsError",
    "JournalFromFutureError",
    "JournalInUseError",
    "JournalMissingError",
    "NotAJournalError",
]


class JournalMissingError(RefusedError):
    sentence = N_("There is no journal {path}.")


class JournalExistsError(RefusedError):
    sentence = N_("The journal {path} is there already. A journal is never written over.")


class EntryTooLargeError(RefusedError):
    sentence = N_("Till {till}, epoch {epoch}: an entry of {bytes} bytes is more than the {largest} a journal takes.")


class JournalInUseError(UnavailableError):
    sentence = N_("Another process holds the journal {path}. One till writes one journal; close the other first.")


class JournalBrokenError(UnavailableError):
    sentence = N_("Till {till}, epoch {epoch}: the journal failed after entry {seq} and must be read again first.")


class DiskFullError(UnavailableError):
    sentence = N_("Till {till}, epoch {epoch}: the disk is full after entry {seq}. Make room before the next sale.")


class DiskReadOnlyError(UnavailableError):
    sentence = N_("Till {till}, epoch {epoch}: the disk took nothing after entry {seq}; it is read-only.")


class DiskFailedError(UnavailableError):
    sentence = N_("Till {till}, epoch {epoch}: the disk failed after entry {seq} ({why}).")


class NotAJournalError(UntrustedError):
    sentence = N_("{path} is not a journal: {why}.")


class JournalFromFutureError(UntrustedError):
    sentence = N_("{path} was written by a newer version ({version}) than this one reads ({known}).")


class JournalDamagedError(UntrustedError):
    sentence = N_("Till {till}, epoch {epoch}, entry {seq}: {why}.")
