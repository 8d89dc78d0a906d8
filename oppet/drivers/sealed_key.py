"""A key at rest under a passphrase: the store manager's. Whoever takes the machine takes a file that opens to nobody.

The 32 private bytes are sealed with ChaCha20-Poly1305 under a key that argon2id stretches from the passphrase (64 MB, some 0.2 s a
guess). It is opened for the moment of certifying a till and held nowhere else. Keeps J8 for this key too.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated

import msgspec
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from msgspec import Meta

from oppet.base.errors import RefusedError, UntrustedError
from oppet.base.signing import Signer
from oppet.base.words import N_
from oppet.drivers import files
from oppet.drivers.disk import make_durable
from oppet.drivers.keys import KeyExistsError

__all__ = ["PassphraseShortError", "PassphraseWrongError", "SealedKeyUnfitError", "make_sealed", "public_of", "unseal"]

SHORTEST = 10
LARGEST = 4096
_TIME, _MEMORY_KB, _LANES = 3, 65_536, 2
_ABOUT = b"oppet sealed key 1\n"


class PassphraseShortError(RefusedError):
    sentence = N_("A passphrase has at least {shortest} characters. Several words are easier to remember than signs.")


class PassphraseWrongError(RefusedError):
    sentence = N_("The passphrase is wrong.")


class SealedKeyUnfitError(UntrustedError):
    sentence = N_("The sealed key file {path} cannot be used: {why}.")


class _Sealed(msgspec.Struct, frozen=True):
    v: int
    salt: str
    nonce: str
    sealed: str
    public: str
    time: Annotated[int, Meta(ge=1, le=20)] = _TIME
    memory_kb: Annotated[int, Meta(ge=8_192, le=1 << 20)] = _MEMORY_KB
    lanes: Annotated[int, Meta(ge=1, le=16)] = _LANES


def make_sealed(path: Path, passphrase: str) -> Signer:
    """Make a new key and its sealed file. Raises PassphraseShortError, KeyExistsError; never writes over a key."""
    if len(passphrase) < SHORTEST:
        raise PassphraseShortError(shortest=SHORTEST)
    private, salt, nonce = secrets.token_bytes(32), secrets.token_bytes(16), secrets.token_bytes(12)
    signer = Signer(private)
    draft = _Sealed(1, salt.hex(), nonce.hex(), "", signer.public.hex())
    sealed = ChaCha20Poly1305(_stretched(draft, passphrase)).encrypt(nonce, private, _ABOUT + signer.public)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}.draft")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(msgspec.structs.replace(draft, sealed=sealed.hex())) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(fresh, path)
    except FileExistsError:
        raise KeyExistsError(path=str(path)) from None
    finally:
        fresh.unlink(missing_ok=True)
    make_durable(path.parent)
    return signer


def unseal(path: Path, passphrase: str) -> Signer:
    """Open the key. Raises PassphraseWrongError, SealedKeyUnfitError, FileMissingError."""
    sealed = _read(path)
    key = _stretched(sealed, passphrase)
    try:
        nonce, data, public = (bytes.fromhex(part) for part in (sealed.nonce, sealed.sealed, sealed.public))
        return Signer(ChaCha20Poly1305(key).decrypt(nonce, data, _ABOUT + public))
    except InvalidTag:
        raise PassphraseWrongError from None
    except ValueError as error:
        raise SealedKeyUnfitError(path=str(path), why=str(error)) from None


def public_of(path: Path) -> bytes:
    """The public half, which needs no passphrase. Raises SealedKeyUnfitError, FileMissingError."""
    return bytes.fromhex(_read(path).public)


def _read(path: Path) -> _Sealed:
    try:
        return msgspec.json.decode(files.read(path, LARGEST), type=_Sealed)
    except (msgspec.MsgspecError, ValueError) as error:
        raise SealedKeyUnfitError(path=str(path), why=str(error)) from None


def _stretched(sealed: _Sealed, passphrase: str) -> bytes:
    return hash_secret_raw(
        passphrase.encode(),
        bytes.fromhex(sealed.salt),
        sealed.time,
        sealed.memory_kb,
        sealed.lanes,
        32,
        Type.ID,
    )
