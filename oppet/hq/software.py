"""What the fleet runs and charges, put together from the tills' own last words (RL14): who runs what since when, who refuses and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from oppet.base.clock import utc_text
from oppet.drivers.hq_obeyed import HqObeyed, TillWords
from oppet.journal.body import Fact
from oppet.journal.kinds_published import (
    Attested,
    GoodsActivated,
    GoodsHeld,
    InstallsFrozen,
    PublicationRefused,
    ReleaseInstalled,
    ReleaseSeen,
    RepositoryVersions,
    SlotSeen,
)
from oppet.release.terms import PARTIES, REASONS

__all__ = ["Picture", "picture_of"]

DAY_MS = 86_400_000
Say = Callable[[str], str]


class ReleaseCount(msgspec.Struct, frozen=True):
    release: int
    tills: int
    stores: int


class Candidate(msgspec.Struct, frozen=True):
    """A release that some till waits for, and who vouches for it."""

    release: int
    image: str
    vouched: int
    ill: str = ""


class TillPicture(msgspec.Struct, frozen=True):
    """One till's last words; times are UTC, "" where it never said."""

    store: str
    till: str
    epoch: int
    release: int
    since: str
    sound: bool
    slots: tuple[SlotSeen, ...]
    frozen: bool
    frozen_by: int
    goods: int
    goods_since: str
    goods_next: int
    goods_from: str
    waits: str
    waits_release: int
    refused: str
    refused_name: str
    refused_at: str
    refused_today: bool
    refused_facts: tuple[Fact, ...]
    attested: str
    repositories: tuple[RepositoryVersions, ...]


class Picture(msgspec.Struct, frozen=True):
    time: str
    tills: tuple[TillPicture, ...]
    releases: tuple[ReleaseCount, ...]  # the newest first
    candidates: tuple[Candidate, ...]
    refusing: int  # tills that refused something in the last day
    frozen: int


def picture_of(obeyed: HqObeyed, now: int, say: Say, store: str = "") -> Picture:
    """Put it together; those that need a look come first. Raises DatabaseAwayError."""
    words = obeyed.tills(store)
    tills = sorted((_till(one, now, say) for one in words), key=_urgency)
    running: dict[int, list[TillPicture]] = {}
    for one in tills:
        if one.release:
            running.setdefault(one.release, []).append(one)
    counts = [
        ReleaseCount(number, len(on), len({one.store for one in on}))
        for number, on in sorted(running.items(), reverse=True)
    ]
    return Picture(
        utc_text(now), tuple(tills), tuple(counts[:4]), tuple(_candidates(obeyed, words)),
        sum(one.refused_today for one in tills), sum(one.frozen for one in tills),
    )  # fmt: skip


def _urgency(one: TillPicture) -> tuple[object, ...]:
    """Who needs a look comes first."""
    return not one.refused_today, one.sound, not one.frozen, one.store, one.till


def _candidates(obeyed: HqObeyed, words: Sequence[TillWords]) -> list[Candidate]:
    """Releases on their way. Head office counts words; what they prove, each till judges by the keys that its root pins."""
    found = []
    waiting = {
        (seen.release, seen.image) for one in words if (seen := one.word(ReleaseSeen)) is not None and _ahead(one, seen)
    }
    for release, image in sorted(waiting, reverse=True)[:3]:
        said = [msgspec.json.decode(one.statement) for one in obeyed.statements(image)]
        ill = next((one["till"] for one in said if one.get("faults")), "")
        found.append(Candidate(release, image, len({one["till"] for one in said if not one.get("faults")}), ill))
    return found


def _ahead(one: TillWords, seen: ReleaseSeen) -> bool:
    """Whether what was seen is not what runs by now."""
    installed = one.word(ReleaseInstalled)
    return installed is None or (installed.image != seen.image and installed.release < seen.release)


def _till(one: TillWords, now: int, say: Say) -> TillPicture:
    attested, installed, activated = one.word(Attested), one.word(ReleaseInstalled), one.word(GoodsActivated)
    seen, refused, frozen, held = (
        one.word(ReleaseSeen),
        one.word(PublicationRefused),
        one.word(InstallsFrozen),
        one.word(GoodsHeld),
    )
    waits = seen is not None and seen.why and _ahead(one, seen)
    later = one.seq(ReleaseInstalled) > one.seq(Attested)
    release = installed.release if installed is not None and later else attested.running if attested is not None else 0
    ahead = held is not None and (activated is None or held.number > activated.number)
    return TillPicture(
        store=one.store, till=one.till, epoch=one.epoch, release=release,
        since=_utc(one.at(ReleaseInstalled)) if installed is not None else "",
        sound=attested is None or all(slot.sound for slot in attested.slots),
        slots=attested.slots if attested is not None else (),
        frozen=frozen is not None and frozen.on, frozen_by=frozen.by if frozen is not None else 0,
        goods=activated.number if activated is not None else 0, goods_since=_utc(one.at(GoodsActivated)),
        goods_next=held.number if ahead else 0, goods_from=held.valid_from if ahead else "",
        waits=_reason(seen.why, seen.facts, say) if waits else "", waits_release=seen.release if waits else 0,
        refused=_reason(refused.why, refused.facts, say) if refused is not None else "",
        refused_name=refused.name if refused is not None else "", refused_at=_utc(one.at(PublicationRefused)),
        refused_today=refused is not None and now - one.at(PublicationRefused) < DAY_MS,
        refused_facts=_told(refused) if refused is not None else (),
        attested=_utc(one.at(Attested)), repositories=attested.repositories if attested is not None else (),
    )  # fmt: skip


def _told(refused: PublicationRefused) -> tuple[Fact, ...]:
    where = (
        ("what", refused.what),
        ("why", refused.why),
        ("repository", refused.repository),
        ("source", refused.source),
    )
    return (*(Fact(name, value) for name, value in where if value), *refused.facts)


def _reason(why: str, facts: Sequence[Fact], say: Say) -> str:
    """The sentence a person reads; the bare word where a newer till uses one that is not known here."""
    sentence = REASONS.get(why)
    if sentence is None:
        return why
    try:
        named = {fact.name: fact.value for fact in facts}
        if (party := PARTIES.get(named.get("party", ""))) is not None:
            named["party"] = say(party)
        return say(sentence).format(**named)
    except (KeyError, IndexError, ValueError):
        return why


def _utc(instant: int) -> str:
    return utc_text(instant) if instant else ""
