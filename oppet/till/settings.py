"""A till's settings file, read and judged: bytes in, values out, and every mistake named with its place.

What the law fixes cannot be set here. Wiring the values to drivers is `main.py`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from oppet.base.errors import SettingsError, clip, place_first
from oppet.payments.swish import PAYEE
from oppet.register.desk import Rules
from oppet.release.intake import Hours

__all__ = [
    "GiftCardSettings", "NexoSettings", "PaymentSettings", "PrinterSettings", "PublicationSettings", "Settings", "SourceSettings",
    "SwishAloneSettings", "SwishSettings", "UnitSettings", "read_settings",
]  # fmt: skip

Text = Annotated[str, Meta(min_length=1, max_length=72, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
Port = Annotated[int, Meta(ge=0, le=65535)]
PathName = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,24}\Z")]  # stands in the journal and on every board
Place = Annotated[str, Meta(min_length=1, max_length=4096, pattern=r"^[^\x00-\x1f\x7f]*\Z")]  # a path on this machine


class UnitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A control unit notified for this register: Skattedosan on a serial device, or XCCSP at host and port."""

    protocol: Annotated[str, Meta(pattern=r"^(skattedosan|xccsp)\Z")]
    unit: Text
    device: str = ""
    host: str = ""
    port: Port = 8081
    user: str = ""
    password: str = ""


class PrinterSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A way for receipts out: network, serial or file printer, or the till's own screen."""

    kind: Annotated[str, Meta(pattern=r"^(network|serial|file|screen)\Z")]
    name: Text
    host: str = ""
    port: Port = 9100
    device: str = ""
    columns: Annotated[int, Meta(ge=32, le=64)] = 42


class NexoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="nexo"):
    """A card terminal in the store. Which certificate is its own is said by `tls_pin` or, with `environment`, by a `root`."""

    name: PathName
    host: Text
    poi: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,32}\Z")]  # model and serial number
    key_id: Text
    key_version: Annotated[int, Meta(ge=0, le=9_999)]
    passphrase_file: Place  # never the passphrase itself
    tls_pin: Annotated[str, Meta(pattern=r"^([0-9A-Fa-f]{2}:?){32}\Z")] = ""
    root: Annotated[str, Meta(max_length=4096, pattern=r"^[^\x00-\x1f\x7f]*\Z")] = ""
    environment: Annotated[str, Meta(pattern=r"^(test|live)?\Z")] = ""
    port: Annotated[int, Meta(ge=1, le=65535)] = 8443
    path: Annotated[str, Meta(pattern=r"^/[A-Za-z0-9/._-]{0,99}\Z")] = "/nexo"
    offline: bool = True  # the chain's agreement lets it approve alone, within `rules.risk`
    login: bool = False  # this vendor's terminals want a Login first
    notices_port: Annotated[int, Meta(ge=1, le=65535)] | None = (
        None  # where its display notifications come to, on this machine
    )


class SwishSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="swish"):
    """Swish by way of the store node, which holds the certificate."""

    name: PathName


class SwishAloneSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="swish_alone"):
    """A code for the customer's phone and the cashier's word: what is left while Swish cannot be asked."""

    name: PathName
    payee: Annotated[str, Meta(pattern=PAYEE)]


class GiftCardSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="gift_card"):
    """Gift cards of the store's own book, which its node keeps."""

    name: PathName


PaymentSettings = NexoSettings | SwishSettings | SwishAloneSettings | GiftCardSettings


class SourceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where publications are looked for; nobody here is believed. One of: the keepers of the papers, an address, a folder."""

    keepers: bool = False  # the store node, neighbours and head office, as the till's papers name them
    url: Annotated[str, Meta(pattern=r"^(https?://[^\x00-\x20\x7f]{1,200})?\Z")] = ""
    tls: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?\Z")] = ""  # SHA-256 of its certificate
    folder: Annotated[str, Meta(max_length=4096, pattern=r"^[^\x00-\x1f\x7f]*\Z")] = ""  # such as a stick's


class PublicationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What comes down. Both roots are needed: nothing that is set here makes one of them enough (RL2)."""

    vendor_root: Place
    chain_root: Place
    sources: Annotated[tuple[SourceSettings, ...], Meta(min_length=1, max_length=8)] = (SourceSettings(keepers=True),)
    hours: Hours = Hours()
    look_s: Annotated[int, Meta(ge=1, le=3600)] = 60
    rate_kb_s: Annotated[int, Meta(ge=16, le=1_000_000)] = 1000  # what a release may take of the line


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    till: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,16}\Z")]
    store: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,16}\Z")]
    company: Text
    org_no: Annotated[str, Meta(pattern=r"^[0-9]{10}\Z")]
    address: Text
    register: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,14}\Z")]  # "-epoch" is added: an epoch is a register
    manufacturing_no: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9]+([ -][A-Za-z0-9]+)*\Z", max_length=48)
    ]  # 2:2, 2021 text
    folder: Place  # where journal, key and receipts are, relative to this file
    assortment: Annotated[
        tuple[Place, ...], Meta(min_length=1, max_length=2)
    ]  # one document, or whose articles and our terms
    staff: Place
    units: Annotated[tuple[UnitSettings, ...], Meta(min_length=1, max_length=4)]
    printers: Annotated[tuple[PrinterSettings, ...], Meta(min_length=1, max_length=4)]
    payments: Annotated[tuple[PaymentSettings, ...], Meta(max_length=8)] = ()  # in the order they are offered
    invoice_customers: Annotated[str, Meta(max_length=4096, pattern=r"^[^\x00-\x1f\x7f]*\Z")] = (
        ""  # a file of tokens and limits
    )
    publications: PublicationSettings | None = None  # None: nothing comes down, as for a till of before
    port: Port = 8300
    language: Annotated[str, Meta(pattern=r"^(sv|en)\Z")] = "sv"
    rules: Rules = Rules()


def read_settings(data: bytes, file: str) -> Settings:
    """Read a settings file. Raises SettingsError with the place and what is wrong there."""
    try:
        settings = msgspec.json.decode(data, type=Settings)
    except msgspec.DecodeError as error:
        raise SettingsError(file=file, reason=place_first(str(error))) from None
    for unit in settings.units:
        if not (unit.device if unit.protocol == "skattedosan" else unit.host):
            need = "device" if unit.protocol == "skattedosan" else "host"
            raise SettingsError(file=file, reason=f"unit {clip(unit.unit, 30)} needs “{need}”")
    if len({unit.unit for unit in settings.units}) < len(settings.units):
        raise SettingsError(file=file, reason="two units have the same number")
    if len({printer.name for printer in settings.printers}) < len(settings.printers):
        raise SettingsError(file=file, reason="two printers have the same name")
    for printer in settings.printers:
        need = {"network": printer.host, "serial": printer.device, "file": printer.device, "screen": "-"}[printer.kind]
        if not need:
            word = "host" if printer.kind == "network" else "device"
            raise SettingsError(file=file, reason=f"printer {clip(printer.name, 30)} needs “{word}”")
    _judge_payments(settings.payments, file)
    _judge_sources(settings.publications, file)
    return settings


def _judge_sources(publications: PublicationSettings | None, file: str) -> None:
    for number, source in enumerate(publications.sources if publications is not None else (), 1):
        if [source.keepers, bool(source.url), bool(source.folder)].count(True) != 1:
            raise SettingsError(file=file, reason=f"source {number} of publications needs one of keepers, url, folder")


def _judge_payments(payments: tuple[PaymentSettings, ...], file: str) -> None:
    if len({path.name for path in payments}) < len(payments):
        raise SettingsError(file=file, reason="two payment paths have the same name")
    for path in payments:
        if not isinstance(path, NexoSettings):
            continue
        if not path.tls_pin and not path.root:
            raise SettingsError(file=file, reason=f"payment path {path.name} needs “tls_pin” or “root”")
        if path.root and not path.environment:
            raise SettingsError(
                file=file, reason=f"payment path {path.name} needs “environment”, test or live, with its root"
            )
    terminals = [(path.host, path.port, path.poi) for path in payments if isinstance(path, NexoSettings)]
    if len(set(terminals)) < len(terminals):
        raise SettingsError(file=file, reason="two payment paths are the same terminal")
    for kind in (SwishSettings, GiftCardSettings):
        if sum(isinstance(path, kind) for path in payments) > 1:
            raise SettingsError(file=file, reason=f"two payment paths are of kind {kind.__struct_config__.tag}")
