"""Entry bodies of the second pipe: what a till was told to run and to charge, what it did, and what it refused.

Version rule as in `kinds.py`. Written by tills; nobody else's word about a till is believed.
"""

from __future__ import annotations

import msgspec

from oppet.journal.body import Body, Fact

__all__ = [
    "Attested",
    "GoodsActivated",
    "GoodsHeld",
    "HealthSaid",
    "InstallsFrozen",
    "PaceCounted",
    "PaceHeld",
    "PublicationRefused",
    "ReleaseDwelt",
    "ReleaseInstalled",
    "ReleaseReturned",
    "ReleaseSeen",
    "ReleaseStaged",
    "RepositoryVersions",
    "SlotSeen",
    "TrustMoved",
]


class RepositoryVersions(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which metadata of one repository is believed."""

    repository: str  # vendor | chain | store
    root: int
    timestamp: int
    snapshot: int
    targets: int


class TrustMoved(Body, frozen=True):
    """A look at the repositories ended with newer metadata than was believed before."""

    repositories: tuple[RepositoryVersions, ...]
    source: str  # where the bytes came from; it proves nothing


class PaceHeld(Body, frozen=True):
    """The canaries and pace of one root are seen for the first time: they count after the hold of the ones before (RL5)."""

    root: int
    digest: str  # of the pace's canonical bytes
    canaries: int
    counts_after_ms: int  # of this till's own running time; 0 for the root it was installed with
    pace: str = ""  # its canonical bytes as text: a later root does not carry it any more, and it may still be the one that counts


class PaceCounted(Body, frozen=True):
    """This much more of the till's own running time has passed since it first saw this root's pace (RL5)."""

    root: int
    ms: int


class ReleaseSeen(Body, frozen=True):
    """A release that both repositories name is known; what keeps it from being installed is in `why`, "" for nothing."""

    release: int
    image: str
    version: str
    why: str = ""
    facts: tuple[Fact, ...] = ()


class ReleaseDwelt(Body, frozen=True):
    """This much more of the till's own running time has passed since evidence for the image was first good (RL4)."""

    release: int
    image: str
    ms: int


class ReleaseStaged(Body, frozen=True):
    """The whole image is in the other slot, every byte checked, and the self-test passed."""

    release: int
    image: str
    slot: str  # a | b
    fetched: int  # bytes that came over a wire or stick
    whole: int  # bytes of the image
    took_ms: int = 0


class ReleaseInstalled(Body, frozen=True):
    """The first start on a slot's release."""

    release: int
    image: str
    slot: str
    before: int  # the release that ran until now
    fiscal: str  # version of the fiscal core: the same as before in an ordinary release
    dark_ms: int = 0  # from the last page of the old to the first of the new


class ReleaseReturned(Body, frozen=True):
    """The new slot did not prove itself: the old one runs again."""

    release: int
    image: str
    why: str
    facts: tuple[Fact, ...] = ()


class PublicationRefused(Body, frozen=True):
    """Something came down the pipe and was refused; trust did not move and the till sells on."""

    what: str  # metadata | release | goods | markdown | image | cache
    why: str  # one of the words of release/terms.py
    release: int = 0
    name: str = ""  # the target's
    repository: str = ""
    source: str = ""
    facts: tuple[Fact, ...] = ()


class InstallsFrozen(Body, frozen=True):
    """The store's switch: no installs while it is on."""

    on: bool
    by: int


class HealthSaid(Body, frozen=True):
    """A canary's signed word that a release works here; head office gathers them as evidence (release/health.py)."""

    statement: str  # canonical bytes as text
    signature: str  # hex


class GoodsHeld(Body, frozen=True):
    """An assortment is here, whole and believed, and waits for its time."""

    name: str
    digest: str
    number: int
    valid_from: str
    withdraws: int = 0  # the number it takes back


class GoodsActivated(Body, frozen=True):
    """From this entry on these prices are charged."""

    name: str
    digest: str
    number: int
    articles: int
    changed: int
    before: str = ""  # the digest of what was charged until now
    wide: bool = False  # two people signed it


class SlotSeen(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is in one slot, as read from its files just now."""

    slot: str
    release: int
    image: str
    sound: bool


class Attested(Body, frozen=True):
    """What this till runs and believes, signed like every entry: at start, daily, and when asked with a nonce."""

    why: str  # start | daily | asked
    running: int
    slots: tuple[SlotSeen, ...]
    repositories: tuple[RepositoryVersions, ...]
    settings: str  # digest of the settings file
    goods: str  # digest of the assortment that is charged
    python: str = ""
    frozen: bool = False
    nonce: str = ""
