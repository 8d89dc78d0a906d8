"""The bytes that are signed: JSON with sorted keys, no spaces, UTF-8, whole numbers only (rule J3).

A journal entry is stored as these bytes and never encoded again. An auditor reads them in any SQLite browser.
"""

from __future__ import annotations

import hashlib
from typing import TypeVar

import msgspec

__all__ = ["decode", "digest", "encode"]

T = TypeVar("T")


def _no_floats(value: object) -> object:
    raise TypeError(f"{type(value).__name__} has no canonical bytes: {value!r}")


_encoder = msgspec.json.Encoder(order="sorted", enc_hook=_no_floats, decimal_format="string")


def encode(value: object) -> bytes:
    """Give the canonical bytes of a struct, dict, list, str, int, bool or None. A float is a programming error."""
    return _encoder.encode(value)


def decode(data: bytes, kind: type[T]) -> T:
    """Read bytes from outside as `kind`; unknown fields are left alone. Raises msgspec.DecodeError."""
    return msgspec.json.decode(data, type=kind)


def digest(data: bytes) -> str:
    """SHA-256 as 64 lower-case hex characters."""
    return hashlib.sha256(data).hexdigest()
