"""What the replay refuses before it sells anything, as leaves that carry facts."""

from __future__ import annotations

from oppet.base.errors import RefusedError
from oppet.base.words import N_

__all__ = [
    "BadRowError",
    "NoReaderError",
    "NoSetError",
    "NotReadableError",
    "NotWritableError",
    "NothingInsideError",
    "WrongColumnsError",
]


class NoSetError(RefusedError):
    sentence = N_("{path} holds no set of baskets that can be replayed: {why}.")


class NotReadableError(RefusedError):
    sentence = N_("{path} cannot be read: {why}.")


class NotWritableError(RefusedError):
    sentence = N_("{path} cannot be written: {why}.")


class WrongColumnsError(RefusedError):
    sentence = N_("{path} is not of the expected shape: {why}.")


class NothingInsideError(RefusedError):
    sentence = N_("{path} holds no lines.")


class BadRowError(RefusedError):
    sentence = N_("{path}, row {row}: {column} cannot be {value}.")


class NoReaderError(RefusedError):
    sentence = N_("Parquet files cannot be read here: install the development extra, which has pyarrow.")
