"""Time as values: an instant is whole milliseconds since 1970 UTC; the law reads it in Swedish local time.

Nothing here knows what time it is: a clock is handed in. `Clock` is that port.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

__all__ = ["SWEDEN", "Clock", "day_bounds", "local", "local_day", "local_minute", "parse_utc", "utc_text"]

SWEDEN = ZoneInfo("Europe/Stockholm")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


class Clock(Protocol):
    """Says what the machine believes the time is, in milliseconds since 1970 UTC."""

    def now(self) -> int: ...


@lru_cache(maxsize=16)
def _utc_minute(minute: int) -> str:
    return (_EPOCH + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:")


@lru_cache(maxsize=4)  # one moment is written several times: in each entry of a group and in the state that follows
def utc_text(instant: int) -> str:
    """Write an instant as "2026-11-22T13:32:05.123Z", always 24 characters."""
    minute, ms = divmod(instant, 60_000)
    return f"{_utc_minute(minute)}{ms // 1000:02d}.{ms % 1000:03d}Z"


def parse_utc(text: str) -> int:
    """Read what `utc_text` wrote. Raises ValueError."""
    if len(text) != 24 or not text.endswith("Z"):
        raise ValueError(text)
    return (datetime.fromisoformat(text) - _EPOCH) // _MS


def local(instant: int) -> datetime:
    """The same instant on a Swedish wall clock."""
    return (_EPOCH + instant * _MS).astimezone(SWEDEN)


@lru_cache(maxsize=64)
def _local_minute(minute: int) -> str:
    return local(minute * 60_000).strftime("%Y-%m-%dT%H:%M")


def local_minute(instant: int) -> str:
    """Local "2026-11-22T14:32": prices and promotions compare against this text."""
    return _local_minute(instant // 60_000)


def day_bounds(first: str, last: str) -> tuple[str, str]:
    """The first and last millisecond of a stretch of local days "2026-11-22", as UTC text. Raises ValueError."""
    start = datetime.strptime(first, "%Y-%m-%d").replace(tzinfo=SWEDEN)
    end = datetime.strptime(last, "%Y-%m-%d").replace(tzinfo=SWEDEN) + timedelta(days=1)  # a local day, however long
    return utc_text((start - _EPOCH) // _MS), utc_text((end - _EPOCH) // _MS - 1)


def local_day(instant: int) -> str:
    """Local "2026-11-22": VAT classes and dates on goods compare against this text."""
    return _local_minute(instant // 60_000)[:10]
