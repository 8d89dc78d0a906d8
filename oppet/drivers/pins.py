"""PINs as argon2 digests. A PIN is short, so what protects it is that the list stays in the store and that tries cost time."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

__all__ = ["ArgonPins", "digest_of"]

_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)  # OWASP's second choice: some 30 ms on a till


class ArgonPins:
    """The till's port `Pins`."""

    def good(self, digest: str, pin: str) -> bool:
        try:
            return _HASHER.verify(digest, pin)
        except (VerificationError, InvalidHashError):
            return False


def digest_of(pin: str) -> str:
    """A fresh digest, with a salt of its own."""
    return _HASHER.hash(pin)
