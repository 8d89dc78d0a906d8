"""An entry held against everything that should prove it, at the moment it is shown: nothing the database says is believed.

Its bytes give its digest; links lead to the place the till signed; the signature is checked with the key of the till's
certificate; the certificate with the key of the store's manager, and that with head office's own. Keeps Q5.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from oppet.base.signing import Verifier
from oppet.base.words import N_
from oppet.drivers.hq_read import KeptEntry
from oppet.journal.chain import UNREADABLE
from oppet.journal.entry import Entry, parse, signed_bytes
from oppet.sync.certificates import Directory, Standing
from oppet.sync.errors import BadCertificateError
from oppet.sync.messages import Paper

__all__ = ["Check", "Proof", "prove"]

PLACE = N_("The entry says of itself that it is this till’s, in this place, behind that digest")
LINKS = N_("Its digest leads, entry by entry, to the place that the till signed")
SIGNATURE = N_("The till’s signature over that place is good")
CERTIFICATE = N_("The till’s key is certified by its store’s manager, whom head office certified")
WITNESS = N_("Head office or another till of the store has countersigned the certificate")


class Check(msgspec.Struct, frozen=True):
    """One thing that was checked just now."""

    about: str
    good: bool
    detail: str = ""


class Proof(msgspec.Struct, frozen=True):
    """An entry and what its checks gave."""

    store: str
    till: str
    epoch: int
    branch: str
    seq: int
    kind: str
    time: str
    text: str  # the exact bytes, as text where they are UTF-8
    digest: str
    before: str
    signed_seq: int
    signed_digest: str
    signature: str
    public_key: str
    received: str
    last_seq: int
    provisional: bool
    papers: tuple[Paper, ...]
    checks: tuple[Check, ...]

    @property
    def good(self) -> bool:
        """Everything but the countersignature, whose lack makes it provisional and no less true."""
        return all(check.good for check in self.checks if check.about != WITNESS)


def prove(kept: KeptEntry, papers: Iterable[Paper], hq_key: bytes) -> Proof:
    """Check an entry from its bytes up. Raises nothing: what is wrong is in the checks."""
    shown = tuple(papers)
    standing, why = _standing(kept, shown, hq_key)
    entry = _read(kept.data)
    placed = entry is not None and (entry.till, entry.epoch, entry.seq, entry.prev) == (
        kept.till, kept.epoch, kept.seq, kept.before,
    )  # fmt: skip
    checks = [
        Check(PLACE, placed),
        Check(LINKS, kept.holds, f"{kept.seq} → {kept.signed.seq}"),
        Check(SIGNATURE, standing is not None and _signed(kept, standing), kept.signature.hex()[:16]),
        Check(
            CERTIFICATE, standing is not None and not standing.revoked, why or (standing.revoked if standing else "")
        ),
        Check(WITNESS, standing is not None and not standing.provisional),
    ]
    return Proof(
        kept.store, kept.till, kept.epoch, kept.branch, kept.seq,
        entry.kind if entry is not None else "", entry.time if entry is not None else "",
        kept.data.decode("utf-8", "backslashreplace"), kept.digest, kept.before, kept.signed.seq, kept.signed.digest,
        kept.signature.hex(), standing.public_key.hex() if standing is not None else "",
        kept.received.isoformat(timespec="milliseconds"), kept.last_seq,
        standing is None or standing.provisional, shown, tuple(checks),
    )  # fmt: skip


def _standing(kept: KeptEntry, papers: tuple[Paper, ...], hq_key: bytes) -> tuple[Standing | None, str]:
    """What these papers prove by themselves, believed afresh."""
    directory = Directory(hq_key)
    try:
        for paper in papers:
            directory.add(paper)
    except BadCertificateError as error:
        return None, str(error)
    return directory.standing(kept.till, kept.epoch), ""


def _signed(kept: KeptEntry, standing: Standing) -> bool:
    said = signed_bytes(kept.till, kept.epoch, kept.signed)
    return Verifier(standing.public_key).good(kept.signature, said)


def _read(data: bytes) -> Entry | None:
    try:
        return parse(data)
    except UNREADABLE:
        return None
