"""Ed25519, as the `cryptography` package does it: we write no signature scheme.

Making a key needs chance, so it is a driver's work (`drivers/keys.py`). Keys and signatures travel as raw bytes.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

__all__ = ["Signer", "Verifier"]


class Signer:
    """Holds a private key of 32 raw bytes and signs with it."""

    def __init__(self, private: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(private)
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """Give the 64 bytes of the signature over `data`."""
        return self._key.sign(data)


class Verifier:
    """Holds a public key of 32 raw bytes. Raises ValueError if they are no key."""

    def __init__(self, public: bytes) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(public)
        self.public = public

    def good(self, signature: bytes, data: bytes) -> bool:
        """Say whether this key signed `data`."""
        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            return False
        return True
