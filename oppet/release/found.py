"""What one look at all repositories gave: values only, every one of them verified, or a word for why not.

`drivers/publications.py` makes it in a thread of its own; `release/intake.py` decides what it means; neither waits for the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from oppet.journal.kinds_published import RepositoryVersions
from oppet.release.agree import Agreed, Disagreed
from oppet.release.health import Signed
from oppet.release.terms import Goods, Pace, Plan

__all__ = ["Found", "GoodsFound", "Refused"]


@dataclass(frozen=True, slots=True)
class GoodsFound:
    """Goods, guidance or mark-downs that their repository's people signed; bounds are judged later."""

    name: str
    length: int
    sha256: str
    goods: Goods
    wide: bool = False  # under the role with two signatures


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that did not verify; trust did not move. `why` is a word of `terms.REASONS`."""

    what: str  # metadata | goods | markdown | image | cache
    why: str
    repository: str = ""
    name: str = ""
    source: str = ""
    reason: str = ""  # for an engineer: the framework's own words, clipped


@dataclass(frozen=True, slots=True)
class Found:
    """One look. Empty fields mean that nothing verified speaks of it."""

    source: str = ""
    versions: tuple[RepositoryVersions, ...] = ()
    agreed: tuple[Agreed, ...] = ()
    disagreed: tuple[Disagreed, ...] = ()
    goods: tuple[GoodsFound, ...] = ()
    plan: Plan | None = None
    root: int = 0  # of the chain: whose pace this is
    pace: Pace | None = None
    health: tuple[tuple[str, tuple[Signed, ...]], ...] = ()  # image → what was said of it
    refused: tuple[Refused, ...] = ()
    away: tuple[str, ...] = ()  # sources that did not answer: no alarm
    expired: tuple[str, ...] = ()  # repositories whose newest lists are too old to install from
    took_ms: int = 0
    bytes: int = 0  # that came over a wire or stick
