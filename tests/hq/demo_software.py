"""Software of the made-up chain: most tills run release 7, trial tills 8; one store stopped installs, one till went back, two refused."""

from __future__ import annotations

from hashlib import sha256

import psycopg

from oppet.base import canonical
from oppet.base.clock import parse_utc, utc_text
from oppet.drivers.shelf_pg import stream_id_of
from oppet.journal.body import Body, Fact, kind_of
from oppet.journal.kinds_published import (
    Attested,
    GoodsActivated,
    GoodsHeld,
    HealthSaid,
    InstallsFrozen,
    PublicationRefused,
    ReleaseInstalled,
    ReleaseSeen,
    RepositoryVersions,
    SlotSeen,
)
from oppet.release.health import Statement, sign
from tests.hq.demo_sales import STORES, TODAY, Place
from tests.release.chain import key_of

__all__ = ["obey"]

OLD, NEW = sha256(b"7").hexdigest(), sha256(b"8").hexdigest()
TRIAL = ("S01-K1", "S02-K1")
LISTS = (RepositoryVersions("chain", 3, 212, 212, 41), RepositoryVersions("vendor", 2, 97, 97, 19))
MINUTE = 60_000


def obey(place: Place) -> None:
    """Every till's last words of what came down."""
    with psycopg.connect(place.dsn) as connection:
        for store, _, _, tills, _ in STORES:
            for number in range(1, tills + 1):
                till = f"{store}-K{number}"
                for minute, body in enumerate(_said(store, till)):
                    subject = f"health:{NEW[:32]}" if isinstance(body, HealthSaid) else kind_of(type(body))
                    at = utc_text(parse_utc(f"{TODAY}T06:00:00.000Z") + minute * 13 * MINUTE)
                    connection.execute(
                        "INSERT INTO obeyed VALUES (%s, %s, %s, %s, %s, %s)",
                        (store, stream_id_of(till, 1, ""), subject, canonical.encode(body).decode(), at, minute + 1),
                    )


def _said(store: str, till: str) -> list[Body]:
    trial = till in TRIAL
    release, image = (8, NEW) if trial else (7, OLD)
    slots = (SlotSeen("a", 7, OLD, sound=True), SlotSeen("b", 8, NEW, sound=True)) if trial else (
        SlotSeen("a", 7, OLD, sound=True), SlotSeen("b", 6, sha256(b"6").hexdigest(), sound=till != "S06-K2"),
    )  # fmt: skip
    said: list[Body] = [
        ReleaseInstalled(release, image, "b" if trial else "a", release - 1, "1", 1_900),
        Attested("daily", release, slots, LISTS, "aa" * 32, "bb" * 32),
        GoodsActivated("goods/assortment-31.json", "cc" * 32, 31, 8_114, 203),
    ]
    if trial:
        word = sign(Statement(store, till, 1, 8, NEW, 640, 411), key_of(till))
        return [*said, HealthSaid(word.statement, word.signature)]
    why, facts = ("dwell", (Fact("minutes", "212"),)) if store < "S07" else ("wave", (Fact("minutes", "347"),))
    said.append(ReleaseSeen(8, NEW, "0.8.0", why, facts))
    if store == "S03":
        said.append(GoodsHeld("goods/assortment-32.json", "dd" * 32, 32, f"{TODAY}T23:00:00.000Z"))
    if store == "S04":
        said.append(InstallsFrozen(on=True, by=301))
    if till == "S05-K1":
        facts = (Fact("party", "vendor"),)
        said.append(PublicationRefused("release", "one_party", 9, "software/till-9.index", facts=facts))
    if till == "S06-K2":
        facts = (Fact("reason", "LengthOrHashMismatchError: wrong digest of a piece"),)
        said.append(PublicationRefused("image", "bytes", 8, "software/till-8.index", source="S06-node", facts=facts))
    return said
