"""What a till holds, by its own journal: which pace counts, how long a release has dwelt, what was refused and told.

The newest root's pace counts only after the till has held it as long as the pace before it demands (RL5): nobody who gains the root's
keys can make everybody a canary today, because every till has rung about the new root for days by then. Holding and dwelling are
counted in the till's own running time, from entries of its own journal, so a clock that is set and a folder that is wiped change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from oppet.base import canonical
from oppet.journal.body import Body
from oppet.journal.kinds_published import (
    Attested,
    HealthSaid,
    InstallsFrozen,
    PaceCounted,
    PaceHeld,
    PublicationRefused,
    ReleaseDwelt,
    ReleaseInstalled,
    ReleaseReturned,
    ReleaseSeen,
    ReleaseStaged,
    RepositoryVersions,
    TrustMoved,
)
from oppet.release.health import Statement
from oppet.release.rings import MINUTE_MS, sound_pace
from oppet.release.terms import Pace

__all__ = ["FOLLOWED", "Held", "Ledger", "PaceOf", "Told", "counting", "pace_digest", "refusal_key"]

T = TypeVar("T")
MOST_TOLD: Final = 200  # refusals remembered
MOST_SHOWN: Final = 20
MOST_KEPT: Final = 8  # paces, images, nonces


@dataclass(frozen=True, slots=True)
class Held:
    """A root's pace and how long this till has held it."""

    root: int
    pace: Pace
    ms: int


def counting(first: Pace, held: Iterable[Held]) -> Pace:
    """Give the pace that counts. `first` is what the till was installed with; `held` are later roots' in any order."""
    now = first
    for one in sorted(held, key=lambda one: one.root):
        if not sound_pace(one.pace) and one.ms >= now.hold_min * MINUTE_MS:
            now = one.pace
    return now


def pace_digest(pace: Pace) -> str:
    """What names a pace in the journal."""
    return canonical.digest(canonical.encode(pace))


# --- the fold -------------------------------------------------------------------------------------------------------


class PaceOf(msgspec.Struct):
    """A root's pace and how long this till has held it, ms of its own running."""

    root: int
    pace: Pace
    ms: int = 0


class Told(msgspec.Struct, frozen=True):
    """A refusal as it was written down."""

    time: str
    refused: PublicationRefused


class Ledger(msgspec.Struct):
    """What a till knows of the second pipe by its own journal. `apply` is the only way anything gets in."""

    release: int = 0
    image: str = ""
    slot: str = ""
    since: str = ""
    sales: int = 0  # receipts made on this release
    first: PaceOf | None = None  # what the till was installed with
    paces: list[PaceOf] = []  # later roots', oldest first
    dwelt: dict[str, int] = {}  # image → ms with good evidence
    seen: ReleaseSeen | None = None
    staged: str = ""
    gone_back: dict[str, str] = {}  # image → why this till went back from it
    frozen: bool = False
    frozen_by: int = 0
    repositories: tuple[RepositoryVersions, ...] = ()
    source: str = ""
    told: dict[str, str] = {}  # refusal → when it was last told
    refused: list[Told] = []
    health_image: str = ""
    running_min: int = 0  # of `health_image`, as said last
    said_sales: int = 0
    attested: str = ""
    nonces: list[str] = []

    def apply(self, time: str, body: Body) -> None:
        if (follow := _FOLLOW.get(type(body))) is not None:
            follow(self, time, body)

    def sold(self) -> None:
        """A receipt was made on the release that runs."""
        self.sales += 1

    def pace_of(self) -> tuple[Pace | None, PaceOf | None]:
        """The pace that counts, and the newest one while it is still being held."""
        if self.first is None:
            return None, None
        held = [Held(one.root, one.pace, one.ms) for one in self.paces]
        now = counting(self.first.pace, held)
        last = self.paces[-1] if self.paces else None
        if last is None or sound_pace(last.pace) or last.pace == now:
            return now, None
        return now, last

    # --- one function a kind

    def _moved(self, _: str, body: TrustMoved) -> None:
        self.repositories, self.source = body.repositories, body.source

    def _held(self, _: str, body: PaceHeld) -> None:
        pace = _read(body.pace, Pace)
        if pace is None:
            return
        if self.first is None and not body.counts_after_ms:
            self.first = PaceOf(body.root, pace)
            return
        self.paces.append(PaceOf(body.root, pace))
        while len(self.paces) > MOST_KEPT and self.first is not None:
            # What counts is never forgotten: the oldest joins what the till began with, if it counted.
            oldest = self.paces.pop(0)
            now = counting(self.first.pace, [Held(oldest.root, oldest.pace, oldest.ms)])
            self.first = PaceOf(self.first.root, now)

    def _counted(self, _: str, body: PaceCounted) -> None:
        for one in self.paces:
            if one.root == body.root:
                one.ms += body.ms

    def _saw(self, _: str, body: ReleaseSeen) -> None:
        self.seen = body

    def _dwelt(self, _: str, body: ReleaseDwelt) -> None:
        total = self.dwelt.pop(body.image, 0) + body.ms
        self.dwelt[body.image] = total
        while len(self.dwelt) > MOST_KEPT:
            del self.dwelt[next(iter(self.dwelt))]

    def _staged(self, _: str, body: ReleaseStaged) -> None:
        self.staged = body.image

    def _installed(self, time: str, body: ReleaseInstalled) -> None:
        self.release, self.image, self.slot, self.since = body.release, body.image, body.slot, time
        self.sales, self.staged, self.seen = 0, "", None
        self.dwelt.pop(body.image, None)
        if self.health_image != body.image:
            self.health_image, self.running_min, self.said_sales = body.image, 0, 0

    def _returned(self, _: str, body: ReleaseReturned) -> None:
        self.gone_back[body.image] = body.why
        while len(self.gone_back) > MOST_KEPT:
            del self.gone_back[next(iter(self.gone_back))]
        self.staged = ""

    def _refused(self, time: str, body: PublicationRefused) -> None:
        key = refusal_key(body)
        self.told.pop(key, None)
        self.told[key] = time
        while len(self.told) > MOST_TOLD:
            del self.told[next(iter(self.told))]
        self.refused = [*self.refused, Told(time, body)][-MOST_SHOWN:]

    def _froze(self, _: str, body: InstallsFrozen) -> None:
        self.frozen, self.frozen_by = body.on, body.by

    def _said(self, _: str, body: HealthSaid) -> None:
        statement = _read(body.statement, Statement)
        if statement is not None and statement.image == self.image:
            self.health_image, self.running_min = statement.image, statement.running_min
            self.said_sales = statement.sales

    def _attested(self, time: str, body: Attested) -> None:
        self.attested = time
        if body.nonce:
            self.nonces = [*self.nonces, body.nonce][-MOST_KEPT:]


def _read(text: str, kind: type[T]) -> T | None:
    """None for what another version of this program wrote and this one cannot read."""
    try:
        return canonical.decode(text.encode(), kind)
    except msgspec.DecodeError:
        return None


_FOLLOW: dict[type[Body], Callable[[Ledger, str, Any], None]] = {
    TrustMoved: Ledger._moved,
    PaceHeld: Ledger._held,
    PaceCounted: Ledger._counted,
    ReleaseSeen: Ledger._saw,
    ReleaseDwelt: Ledger._dwelt,
    ReleaseStaged: Ledger._staged,
    ReleaseInstalled: Ledger._installed,
    ReleaseReturned: Ledger._returned,
    PublicationRefused: Ledger._refused,
    InstallsFrozen: Ledger._froze,
    HealthSaid: Ledger._said,
    Attested: Ledger._attested,
}

FOLLOWED: Final = frozenset(_FOLLOW)


def refusal_key(refused: PublicationRefused) -> str:
    """What makes two refusals the same one."""
    parts = (refused.what, refused.why, refused.repository, refused.name, str(refused.release))
    return "|".join(part[:60] for part in parts)
