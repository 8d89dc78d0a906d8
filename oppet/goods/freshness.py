"""Freshness: what must not be sold today, and what is marked down because its date is near."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["MarkDown"]


class MarkDown(Struct, frozen=True):
    """`percent` off because of `reason`; 0 percent is a warning only."""

    percent: int
    reason: str
    date: str = ""
    recall: str = ""
