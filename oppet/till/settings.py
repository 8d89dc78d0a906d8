"""A till's settings file, read and judged: bytes in, values out, and every mistake named with its place.

What the law fixes cannot be set here. Wiring the values to drivers is `main.py`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from oppet.base.errors import SettingsError, clip, place_first
from oppet.register.desk import Rules

__all__ = ["PrinterSettings", "Settings", "UnitSettings", "read_settings"]

Text = Annotated[str, Meta(min_length=1, max_length=72, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
Port = Annotated[int, Meta(ge=0, le=65535)]
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
    return settings
