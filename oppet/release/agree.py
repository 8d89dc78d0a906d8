"""Both or nothing: software that vendor and chain name alike, under thresholds of their own roots (RL1).

There is no setting here, no list of repositories and no number of votes: two arguments, and both must say the same. Whether a
list is what its repository's people signed was judged before (`drivers/publications.py`, by The Update Framework).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from oppet.release.terms import CHAIN, VENDOR, Software

__all__ = ["Agreed", "Disagreed", "Listed", "agree"]


@dataclass(frozen=True, slots=True)
class Listed:
    """What one repository says of a software target."""

    name: str
    length: int
    hashes: tuple[tuple[str, str], ...]  # algorithm and hex digest, sorted
    custom: Software
    emergency: bool = False  # also listed under the chain's role with the higher threshold


@dataclass(frozen=True, slots=True)
class Agreed:
    """A release that may be judged by its pace: both name these bytes."""

    name: str
    length: int
    sha256: str
    software: Software
    emergency: bool = False


@dataclass(frozen=True, slots=True)
class Disagreed:
    """A release that will never be installed as it is; `why` is a word of `terms.REASONS`."""

    name: str
    why: str  # one_party | disagree
    party: str = ""
    release: int = 0


def agree(
    vendor: Mapping[str, Listed], chain: Mapping[str, Listed]
) -> tuple[tuple[Agreed, ...], tuple[Disagreed, ...]]:
    """Give the releases both name alike, the newest first, and those they do not."""
    agreed, not_agreed = [], []
    for name in sorted(vendor.keys() | chain.keys()):
        ours, theirs = vendor.get(name), chain.get(name)
        if ours is None or theirs is None:
            said = ours or theirs
            assert said is not None
            not_agreed.append(Disagreed(name, "one_party", CHAIN if ours is None else VENDOR, said.custom.release))
            continue
        sha256 = dict(ours.hashes).get("sha256", "")
        same = (ours.name, ours.length, ours.hashes, ours.custom) == (
            theirs.name,
            theirs.length,
            theirs.hashes,
            theirs.custom,
        )
        if same and sha256 and ours.name == name:
            agreed.append(Agreed(name, ours.length, sha256, ours.custom, theirs.emergency))
        else:
            not_agreed.append(Disagreed(name, "disagree", "", max(ours.custom.release, theirs.custom.release)))
    agreed.sort(key=lambda one: -one.software.release)
    return tuple(agreed), tuple(not_agreed)
