"""Health: a canary till's own signed word that a release works, and what a heap of such words proves (RL4).

The statement is signed with the key of the till's journal, which the chain's root pins beside the till's name: nobody between
can mint one, and one for other bytes proves nothing here. One ill canary outweighs all well ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from oppet.base import canonical
from oppet.base.signing import Signer, Verifier
from oppet.release.terms import Canary, Digest, Name, Pace, Release

__all__ = ["DOMAIN", "Evidence", "Signed", "Statement", "Statements", "evidence_of", "newest", "sign"]

DOMAIN = b"oppet.health.1\n"  # what is signed is never also an entry, a paper or an acknowledgement
MOST_STATEMENTS = 1000

Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]


class Statement(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a canary says of the release it runs."""

    store: Name
    till: Name
    epoch: Annotated[int, Meta(ge=1)]
    release: Release
    image: Digest
    running_min: Count
    sales: Count  # made on this release
    faults: Count = 0  # starts that failed, returns to the old slot, sales that could not be finished


class Signed(msgspec.Struct, frozen=True):
    statement: str  # canonical bytes as text: what was signed is never encoded again
    signature: Annotated[str, Meta(pattern=r"^[0-9a-f]{128}\Z")]


class Statements(msgspec.Struct, frozen=True):
    """The content of a health target."""

    said: Annotated[tuple[Signed, ...], Meta(max_length=MOST_STATEMENTS)]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What pinned canaries said of one image: each till counts once, with the best of its sound statements."""

    tills: int = 0
    stores: int = 0
    ill: str = ""  # the first canary that says it does not work
    strangers: int = 0  # statements of nobody pinned, of other bytes, or not signed: they count nothing


def sign(statement: Statement, signer: Signer) -> Signed:
    """Give the statement as it is published."""
    said = canonical.encode(statement)
    return Signed(said.decode(), signer.sign(DOMAIN + said).hex())


def evidence_of(signed: Iterable[Signed], image: str, pace: Pace) -> Evidence:
    """Count who of the pinned canaries vouches for these bytes."""
    pinned = {(canary.till, canary.epoch): canary for canary in pace.canaries}
    well: dict[str, str] = {}
    ill, strangers = "", 0
    for one in signed:
        statement = _believed(one, pinned)
        if statement is None or statement.image != image:
            strangers += 1
        elif statement.faults:
            ill = ill or statement.till
        elif statement.sales >= pace.evidence_sales and statement.running_min >= pace.evidence_min:
            well[statement.till] = statement.store
    return Evidence(len(well), len(set(well.values())), ill, strangers)


def newest(known: Iterable[Signed], image: str, pace: Pace) -> tuple[Signed, ...]:
    """Of what was said, each pinned till's newest sound word about these bytes: what is published as evidence."""
    pinned = {(canary.till, canary.epoch): canary for canary in pace.canaries}
    best: dict[tuple[str, int], tuple[int, Signed]] = {}
    for one in known:
        statement = _believed(one, pinned)
        if statement is None or statement.image != image:
            continue
        place = statement.till, statement.epoch
        if place not in best or best[place][0] <= statement.running_min:
            best[place] = statement.running_min, one
    return tuple(one for _, (_, one) in sorted(best.items()))


def _believed(one: Signed, pinned: dict[tuple[str, int], Canary]) -> Statement | None:
    try:
        statement = canonical.decode(one.statement.encode(), Statement)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
    canary = pinned.get((statement.till, statement.epoch))
    if canary is None or canary.store != statement.store:
        return None
    try:
        verifier = Verifier(bytes.fromhex(canary.key))
    except ValueError:
        return None
    good = verifier.good(bytes.fromhex(one.signature), DOMAIN + one.statement.encode())
    return statement if good else None
