"""A store node's settings file, and what it learnt when it was enrolled: bytes in, values out, mistakes named by place.

The settings are written by people; `enrolled.json` in the node's folder is written by `oppet store enrol` and says whom to
believe. The same file runs a neighbour keeper: a till's machine that only keeps copies (`place` is "till").
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from oppet.base.errors import RefusedError, SettingsError, place_first
from oppet.base.words import N_
from oppet.drivers.publication_cache import CacheSettings
from oppet.drivers.swish_desk import SwishSettings
from oppet.payments.risk import RiskLimits
from oppet.sync.messages import KeeperInfo, Key, Name

__all__ = ["Enrolment", "NotEnrolledError", "Settings", "read_enrolment", "read_settings"]

Text = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
Port = Annotated[int, Meta(ge=0, le=65535)]
LARGEST = 1 << 20


class NotEnrolledError(RefusedError):
    sentence = N_("This machine is not enrolled yet. Ask for a code and run: oppet store enrol {file}")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    store: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,16}\Z")]
    folder: Annotated[
        str, Meta(min_length=1, max_length=4096, pattern=r"^[^\x00-\x1f\x7f]*\Z")
    ]  # relative to this file
    place: Annotated[str, Meta(pattern=r"^(store|till)\Z")] = "store"
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{0,40}\Z")] = ""  # of the keeper; store S01's is S01-node
    host: Text = "127.0.0.1"  # where the keeper's port listens
    port: Port = 8400
    address: Annotated[str, Meta(max_length=200)] = ""  # what tills are told, where it is not `host`
    page_host: Text = "127.0.0.1"
    page_port: Port = 8401
    staff: Annotated[str, Meta(max_length=4096)] = ""  # the staff list; without it nobody signs in
    tls: bool = True  # off only on loopback, for tests
    announce: bool = False  # zeroconf on the store's network
    interfaces: tuple[str, ...] = ()  # where it is announced; empty for all
    language: Annotated[str, Meta(pattern=r"^(sv|en)\Z")] = "sv"
    swish: SwishSettings | None = None  # this node calls Swish for its tills
    publications: CacheSettings = CacheSettings()  # this keeper's cache of what comes down
    risk: RiskLimits = (
        RiskLimits()
    )  # what the manager's page measures against; the tills' own limits stand in their settings

    @property
    def keeper(self) -> str:
        return self.name or (f"{self.store}-node" if self.place == "store" else f"{self.store}-keeper")


class Enrolment(msgspec.Struct, frozen=True):
    """Whom this keeper believes and where it sends on; written when it was enrolled."""

    store: Name
    hq_key: Key
    keepers: tuple[KeeperInfo, ...]

    @property
    def hq(self) -> KeeperInfo | None:
        return next((keeper for keeper in self.keepers if keeper.place == "hq"), None)


def read_settings(data: bytes, file: str) -> Settings:
    """Read a settings file. Raises SettingsError with the place and what is wrong there."""
    try:
        settings = msgspec.json.decode(data, type=Settings)
    except msgspec.DecodeError as error:
        raise SettingsError(file=file, reason=place_first(str(error))) from None
    if not settings.tls and settings.host not in ("127.0.0.1", "localhost", "::1"):
        raise SettingsError(file=file, reason="tls: may be off on this machine's own address only")
    return settings


def read_enrolment(data: bytes, file: str) -> Enrolment:
    """Read what enrolling wrote. Raises SettingsError."""
    try:
        return msgspec.json.decode(data, type=Enrolment)
    except msgspec.DecodeError as error:
        raise SettingsError(file=file, reason=place_first(str(error))) from None
