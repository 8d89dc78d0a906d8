"""The shared-key envelope of nexo's local transport: who wrote a message, and that nobody has touched it.

As published by Adyen as "SecuredMessage": PBKDF2 for the keys, AES-256-CBC over the whole clear message, HMAC-SHA256 over its
plaintext, and a clear copy of the header outside. The nonce is handed in by the driver, fresh for each message. Every way of being wrong
is one and the same `BadSecuredError`: an answer that tells a bad padding from a bad MAC can be asked for the plaintext. Keeps PT5.
What a message means is `nexo.py`'s.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from oppet.base.errors import UntrustedError
from oppet.base.words import N_

__all__ = ["NONCE_BYTES", "BadSecuredError", "NexoKey", "decrypt", "derive", "encrypt", "header_of", "is_secured"]

NONCE_BYTES = 16
VERSION = 1  # AdyenCryptoVersion
_SALT = b"AdyenNexoV1Salt"
_ROUNDS = 4_000
_MAC_BYTES = 32
WRAPPERS = ("SaleToPOIRequest", "SaleToPOIResponse")


class BadSecuredError(UntrustedError):
    sentence = N_("A message of the card terminal does not prove that it comes from it.")


class NexoKey(msgspec.Struct, frozen=True):
    """What a passphrase derives to; made once, because that takes a few thousand hashes."""

    identifier: str
    version: int
    mac: bytes
    cipher: bytes
    iv: bytes

    def __repr__(self) -> str:
        return f"NexoKey({self.identifier!r}, {self.version})"  # never the key itself: it would end in a log


class _Trailer(msgspec.Struct):
    version: int = msgspec.field(name="AdyenCryptoVersion")
    identifier: str = msgspec.field(name="KeyIdentifier")
    key_version: int = msgspec.field(name="KeyVersion")
    nonce: str = msgspec.field(name="Nonce")
    mac: str = msgspec.field(name="Hmac")


class _Secured(msgspec.Struct):
    header: dict[str, Any] = msgspec.field(name="MessageHeader")
    blob: str = msgspec.field(name="NexoBlob")
    trailer: _Trailer = msgspec.field(name="SecurityTrailer")


def derive(identifier: str, version: int, passphrase: str) -> NexoKey:
    """The keys of one shared passphrase."""
    material = hashlib.pbkdf2_hmac("sha1", passphrase.encode(), _SALT, _ROUNDS, 80)
    return NexoKey(identifier, version, material[:32], material[32:64], material[64:])


def encrypt(plaintext: bytes, key: NexoKey, nonce: bytes) -> bytes:
    """Seal a whole clear message, wrapper and all, for the wire. `nonce`: 16 bytes of chance, never the same twice."""
    assert len(nonce) == NONCE_BYTES, "the driver makes nonces"
    wrapper, header = header_of(plaintext)
    pad = 16 - len(plaintext) % 16
    sealing = Cipher(AES(key.cipher), CBC(_mixed(key.iv, nonce))).encryptor()
    blob = sealing.update(plaintext + bytes([pad]) * pad) + sealing.finalize()
    trailer = {
        "AdyenCryptoVersion": VERSION,
        "KeyIdentifier": key.identifier,
        "KeyVersion": key.version,
        "Nonce": _text(nonce),
        "Hmac": _text(hmac.digest(key.mac, plaintext, "sha256")),
    }
    return msgspec.json.encode(
        {wrapper: {"MessageHeader": header, "NexoBlob": _text(blob), "SecurityTrailer": trailer}}
    )


def is_secured(data: bytes) -> bool:
    """Whether this is an envelope at all: some faults come back in the clear, and those prove nothing."""
    try:
        outer = msgspec.json.decode(data, type=dict[str, dict[str, msgspec.Raw]])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return any("NexoBlob" in outer.get(wrapper, {}) for wrapper in WRAPPERS)


def decrypt(data: bytes, key: NexoKey) -> bytes:
    """The clear message, once everything about its envelope is proved. Raises BadSecuredError, whatever is wrong."""
    try:
        outer = msgspec.json.decode(data, type=dict[str, _Secured])
        [(wrapper, secured)] = outer.items()
        nonce, blob, mac = (_bytes(text) for text in (secured.trailer.nonce, secured.blob, secured.trailer.mac))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise BadSecuredError from None
    if len(nonce) != NONCE_BYTES or not blob or len(blob) % 16:
        raise BadSecuredError
    opening = Cipher(AES(key.cipher), CBC(_mixed(key.iv, nonce))).decryptor()
    padded = opening.update(blob) + opening.finalize()
    pad = padded[-1]
    well = 1 <= pad <= 16 and padded.endswith(bytes([pad]) * pad)
    plaintext = padded[:-pad] if well else padded  # a bad padding costs the same time as a bad MAC
    proved = hmac.compare_digest(hmac.digest(key.mac, plaintext, "sha256"), mac.ljust(_MAC_BYTES, b"\0")[:_MAC_BYTES])
    if not (well and proved and len(mac) == _MAC_BYTES):
        raise BadSecuredError
    trailer = secured.trailer
    if (trailer.version, trailer.identifier, trailer.key_version) != (VERSION, key.identifier, key.version):
        raise BadSecuredError
    if header_of(plaintext) != (wrapper, secured.header):
        raise BadSecuredError
    return plaintext


class _Clear(msgspec.Struct):
    header: dict[str, Any] = msgspec.field(name="MessageHeader")


def header_of(message: bytes) -> tuple[str, dict[str, Any]]:
    """The wrapper's name and the header of a clear message. Raises BadSecuredError where it is none."""
    try:
        [(wrapper, inner)] = msgspec.json.decode(message, type=dict[str, _Clear]).items()
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise BadSecuredError from None
    if wrapper not in WRAPPERS:
        raise BadSecuredError
    return wrapper, inner.header


def _mixed(iv: bytes, nonce: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(iv, nonce, strict=True))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    """Strict base64. Raises ValueError."""
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
