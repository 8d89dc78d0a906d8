"""The bytes that are signed: JSON, no spaces, UTF-8, fields in the order `journal/kinds.py` declares them (rule J3).

A journal entry is stored as these bytes and never encoded again. An auditor reads them in any SQLite browser.
Money, quantities and times are whole numbers or text: the declarations hold no float, and a house test says so.
"""

from __future__ import annotations

import hashlib
from typing import TypeVar

import msgspec

__all__ = ["decode", "digest", "encode"]

T = TypeVar("T")


_encoder = msgspec.json.Encoder()


def encode(value: object) -> bytes:
    """Give the canonical bytes of a declared struct."""
    return _encoder.encode(value)


def decode(data: bytes, kind: type[T]) -> T:
    """Read bytes from outside as `kind`; unknown fields are left alone. Raises msgspec.DecodeError."""
    return msgspec.json.decode(data, type=kind)


def digest(data: bytes) -> str:
    """SHA-256 as 64 lower-case hex characters."""
    return hashlib.sha256(data).hexdigest()
