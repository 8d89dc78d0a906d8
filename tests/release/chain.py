"""A chain for tests of releases: stores, canaries with keys of their own, a pace, and what its people would sign."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import msgspec

from oppet.base.signing import Signer
from oppet.release.agree import Listed
from oppet.release.health import Signed, Statement, sign
from oppet.release.rings import Here
from oppet.release.terms import Canary, EmergencyPace, Pace, Software

IMAGE = "a1" * 32


def key_of(till: str) -> Signer:
    """A till's journal key."""
    return Signer(sha256(till.encode()).digest())


def a_canary(store: str, till: str, epoch: int = 1) -> Canary:
    return Canary(store, till, epoch, key_of(till).public.hex())


def a_pace(stores: int = 800, **changes: object) -> Pace:
    """Four canaries in two stores; ten hours of dwell, then an eighth of the stores an hour."""
    canaries = tuple(a_canary(store, f"{store}-K{number}") for store in ("S01", "S02") for number in (1, 2))
    pace = Pace(
        stores=stores, canaries=canaries, evidence_tills=3, evidence_stores=2, evidence_sales=50, evidence_min=120,
        dwell_min=600, stores_permille_per_hour=125, hold_min=4320, emergency=EmergencyPace(30, 125, 4, 2),
    )  # fmt: skip
    return msgspec.structs.replace(pace, **changes)


def a_release(release: int = 2, **changes: object) -> Software:
    software = Software(
        release=release, version=f"0.{release}.0", role="till", hw="any", image=IMAGE, image_bytes=3_000_000
    )
    return msgspec.structs.replace(software, **changes)


def a_till(store: str = "S09", number: int = 1, **changes: object) -> Here:
    """An ordinary till on release 1."""
    till = f"{store}-K{number}"
    here = Here(
        store=store, till=till, epoch=1, key=key_of(till).public.hex(), hw="x86_64", installed=1, image="00" * 32
    )
    return replace(here, **changes)  # type: ignore[arg-type]


def a_word(canary: Canary, image: str = IMAGE, *, signer: Signer | None = None, **changes: object) -> Signed:
    """What a canary says after a good day."""
    said = Statement(canary.store, canary.till, canary.epoch, 2, image, running_min=600, sales=300)
    return sign(msgspec.structs.replace(said, **changes), signer or key_of(canary.till))


def listed(software: Software | None = None, **changes: object) -> Listed:
    software = software or a_release()
    said = Listed(f"software/till-{software.release}.index", 900, (("sha256", "b2" * 32),), software)
    return replace(said, **changes)  # type: ignore[arg-type]
