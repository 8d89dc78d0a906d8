"""Codes: what a scanner or a finger sent, read as an article and what the pack says about itself."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Scanned", "read"]


class Scanned(Struct, frozen=True):
    """What one code says. `gtin` has 14 digits; dates are "YYYY-MM-DD", a use-by from AI 7003 adds "THH:MM"."""

    raw: str
    kind: str
    gtin: str | None = None
    scale_code: str | None = None
    price_ore: int | None = None
    weight_g: int | None = None
    lot: str | None = None
    best_before: str | None = None
    use_by: str | None = None
    plu: str | None = None


def read(text: str, today: str) -> Scanned:
    raise NotImplementedError
