"""The till refuses to be first: what it must have seen, and how long it must have waited, before it installs a release (RL3, RL4, RL5).

Pure: what the till has seen and waited is a fold of its own journal; nothing here asks a clock. Canaries come from the chain's
root; a root counts only after the till has held it as long as the root before it demands, so that new canaries cannot be minted
for a release. Which wave a store is in follows from the image's digest and the store's name: nobody assigns it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from oppet.release.health import Evidence
from oppet.release.terms import EmergencyPace, Pace, Software

__all__ = [
    "INSTALL",
    "NOTHING",
    "REFUSE",
    "WAIT",
    "Here",
    "Verdict",
    "enough",
    "judge",
    "ring_of",
    "sound_pace",
    "wave_ms",
]

NOTHING: Final = "nothing"  # it runs already
INSTALL: Final = "install"
WAIT: Final = "wait"
REFUSE: Final = "refuse"

HOUR_MS: Final = 3_600_000
MINUTE_MS: Final = 60_000
WAVES: Final = 1000

# What no root can say otherwise, from this many stores on. A smaller chain states its own parameters (design §2).
LARGE: Final = 50
MOST_CANARY_PERMILLE: Final = 20
MOST_PERMILLE_PER_HOUR: Final = 125
LEAST_DWELL_MIN: Final = 60
LEAST_EMERGENCY_DWELL_MIN: Final = 15
LEAST_HOLD_MIN: Final = 1440
LEAST_EVIDENCE_STORES: Final = 2


@dataclass(frozen=True, slots=True)
class Here:
    """The till that judges, as its own journal and machine say."""

    store: str
    till: str
    epoch: int
    key: str  # of its journal, hex
    role: str = "till"
    hw: str = "any"
    installed: int = 0  # release that runs; 0 for none that was ever released
    image: str = ""
    floor: int = 0
    schema: int = 1  # the newest declarations that its journal was written with
    fiscal: str = "1"
    frozen: bool = False
    quiet: bool = True  # closed, or nothing stands against an install between two customers
    clock_believed: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with a release now; `why` is a word of `terms.REASONS`."""

    do: str  # install | wait | refuse | nothing
    why: str = ""
    facts: Mapping[str, str | int] = field(default_factory=dict)


def judge(
    software: Software, here: Here, pace: Pace, chosen: int | None, evidence: Evidence, dwelt_ms: int, *, emergency: bool = False
) -> Verdict:  # fmt: skip
    """Judge a release that both repositories name alike, under the pace that counts now.

    `chosen` is what the rollout role has let out for this kind of machine; `dwelt_ms` the till's own running time since the
    evidence was first good; `emergency` whether the chain's higher threshold signed it too: a shorter pace, but a pace.
    What can never be taken is refused first, then comes what must be waited for.
    """
    if (refused := _never(software, here)) is not None:
        return refused
    if software.release == here.installed:
        return Verdict(NOTHING) if software.image == here.image else Verdict(REFUSE, "disagree")
    if here.frozen:
        return Verdict(WAIT, "frozen")
    if software.release != chosen:
        return Verdict(WAIT, "not_chosen")
    if not here.clock_believed:
        return Verdict(WAIT, "clock")
    if evidence.ill:
        return Verdict(WAIT, "canary_ill", {"till": evidence.ill})
    asked = pace.emergency if emergency else pace
    if ring_of(here, pace) != "canary" and (waiting := _others_first(software, here, asked, evidence, dwelt_ms)):
        return waiting
    return Verdict(INSTALL) if here.quiet else Verdict(WAIT, "open_hours")


def ring_of(here: Here, pace: Pace) -> str:
    """ "canary" for a till that the root pins with this very key, else "wave"."""
    mine = (here.store, here.till, here.epoch, here.key)
    return "canary" if any((c.store, c.till, c.epoch, c.key) == mine for c in pace.canaries) else "wave"


def wave_ms(image: str, store: str, stores_permille_per_hour: int) -> int:
    """How much longer than the dwell this store waits: its place among a thousand, at so many a thousand an hour."""
    place = int.from_bytes(hashlib.sha256(f"oppet.wave.1\n{image}\n{store}".encode()).digest()[:8]) % WAVES
    return (place + 1) * HOUR_MS // stores_permille_per_hour


def enough(evidence: Evidence, asked: Pace | EmergencyPace) -> bool:
    """Whether enough canaries in enough stores vouch for the image: from then on the till counts its dwell."""
    return evidence.tills >= asked.evidence_tills and evidence.stores >= asked.evidence_stores and not evidence.ill


def sound_pace(pace: Pace) -> str:
    """ "" for a pace that may count at all, else the word for why it never does, whoever signed it (RL5)."""
    stores = len({canary.store for canary in pace.canaries})
    if len({(c.till, c.epoch) for c in pace.canaries}) < len(pace.canaries):
        return "malformed"
    if stores > max(1, pace.stores * MOST_CANARY_PERMILLE // 1000) and pace.stores >= LARGE:
        return "too_many_canaries"
    if pace.stores > 1 and stores >= pace.stores:
        return "too_many_canaries"
    if pace.stores < LARGE:
        return ""
    slow = (
        pace.dwell_min >= LEAST_DWELL_MIN
        and pace.emergency.dwell_min >= LEAST_EMERGENCY_DWELL_MIN
        and pace.hold_min >= LEAST_HOLD_MIN
        and max(pace.stores_permille_per_hour, pace.emergency.stores_permille_per_hour) <= MOST_PERMILLE_PER_HOUR
        and min(pace.evidence_stores, pace.emergency.evidence_stores) >= LEAST_EVIDENCE_STORES
    )
    return "" if slow else "too_new_pace"


def _never(software: Software, here: Here) -> Verdict | None:
    if software.role != here.role:
        return Verdict(REFUSE, "wrong_role")
    if software.hw not in ("any", here.hw):
        return Verdict(REFUSE, "wrong_hardware")
    if software.release < here.installed:
        return Verdict(REFUSE, "older")
    if software.release < here.floor:
        return Verdict(REFUSE, "below_floor")
    if software.schema < here.schema:
        return Verdict(REFUSE, "schema")
    if software.fiscal != here.fiscal and software.fiscal_from != here.fiscal:
        return Verdict(REFUSE, "fiscal")
    return None


def _others_first(
    software: Software, here: Here, asked: Pace | EmergencyPace, evidence: Evidence, dwelt_ms: int
) -> Verdict | None:
    if not enough(evidence, asked):
        facts = {
            "tills": evidence.tills, "need_tills": asked.evidence_tills,
            "stores": evidence.stores, "need_stores": asked.evidence_stores,
        }  # fmt: skip
        return Verdict(WAIT, "no_evidence", facts)
    dwell = asked.dwell_min * MINUTE_MS
    if dwelt_ms < dwell:
        return Verdict(WAIT, "dwell", {"minutes": -(-(dwell - dwelt_ms) // MINUTE_MS)})
    wave = dwell + wave_ms(software.image, here.store, asked.stores_permille_per_hour)
    if dwelt_ms < wave:
        return Verdict(WAIT, "wave", {"minutes": -(-(wave - dwelt_ms) // MINUTE_MS)})
    return None
