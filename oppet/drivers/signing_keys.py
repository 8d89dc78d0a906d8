"""Keys that sign publications, as the framework wants them: sealed under a passphrase, on a token, or a service's own file.

A key's holder stands beside its public half (`HOLDER`), inside what the root signs: so any machine can say who signed, and that
no two signatures are one person's (RL15). The holder is a word of the chain's own choosing, never a name that a till must keep.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.exceptions import UnsupportedLibraryError
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import HSMSigner, Key, SecretsHandler, Signature, Signer, SSlibKey

from oppet.base.errors import RefusedError, UnavailableError, UntrustedError
from oppet.base.signing import Signer as Ed25519Signer
from oppet.base.words import N_
from oppet.drivers.keys import load_key, make_key
from oppet.drivers.sealed_key import make_sealed, unseal

__all__ = [
    "HOLDER",
    "HeldSigner",
    "PublicKeyUnfitError",
    "TokenAwayError",
    "TokenLibraryMissingError",
    "holder_of",
    "key_from_text",
    "key_name",
    "key_to_text",
    "make_sealed_signer",
    "public_key",
    "sealed_signer",
    "service_signer",
    "token_key",
    "token_signer",
]

HOLDER: Final = "x-oppet-holder"


class TokenLibraryMissingError(RefusedError):
    sentence = N_("This machine cannot speak to tokens: install the Python package python-pkcs11, or use a stick.")


class TokenAwayError(UnavailableError):
    sentence = N_("The token does not answer: {reason}. Plug it in, and say in PYKCS11LIB where its library is.")


class PublicKeyUnfitError(UntrustedError):
    sentence = N_("This is no public key: {reason}.")


class HeldSigner(Signer):
    """A key of 32 private bytes that is at hand for a moment."""

    def __init__(self, held: Ed25519Signer, holder: str = "") -> None:
        self._held = held
        self._key = public_key(held.public, holder)

    @property
    def public_key(self) -> Key:
        return self._key

    def sign(self, payload: bytes) -> Signature:
        return Signature(self._key.keyid, self._held.sign(payload).hex())

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> Signer:
        raise NotImplementedError("a key is opened by what it lies in, never by an address")


def public_key(raw: bytes, holder: str = "") -> Key:
    """An Ed25519 key as the framework lists it. Raises PublicKeyUnfitError."""
    try:
        key = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(raw))
    except ValueError as error:
        raise PublicKeyUnfitError(reason=str(error)) from None
    if holder:
        key.unrecognized_fields[HOLDER] = holder
    return key


def holder_of(key: Key) -> str:
    """Who holds the secret half; the beginning of the key's name where nobody was named."""
    said = key.unrecognized_fields.get(HOLDER)
    return said if isinstance(said, str) and said else key.keyid[:16]


def key_name(key: Key) -> str:
    """What a key is called by its content: whoever compares names compares keys."""
    content = {"keytype": key.keytype, "scheme": key.scheme, "keyval": key.keyval}
    said = encode_canonical(content)
    assert said is not None, "it was given nowhere to write"
    return sha256(said.encode()).hexdigest()


def make_sealed_signer(path: Path, passphrase: str, holder: str) -> HeldSigner:
    """Make a person's key under their passphrase. Raises PassphraseShortError, KeyExistsError."""
    return HeldSigner(make_sealed(path, passphrase), holder)


def sealed_signer(path: Path, passphrase: str, holder: str) -> HeldSigner:
    """Open a person's key. Raises PassphraseWrongError, SealedKeyUnfitError, FileMissingError."""
    return HeldSigner(unseal(path, passphrase), holder)


def service_signer(path: Path, *, make: bool = False) -> HeldSigner:
    """A key that a machine signs with by itself: nobody's. Raises KeyMissingError, KeyUnfitError."""
    return HeldSigner(make_key(path) if make and not path.exists() else load_key(path))


def token_key(address: str, holder: str, pin: str) -> Key:
    """The public half of a key on a token, `address` being hsm:2?label=… Raises TokenLibraryMissingError, TokenAwayError."""
    number, _, query = address.removeprefix("hsm:").partition("?")
    label = query.removeprefix("label=") or None
    try:
        _, key = HSMSigner.import_(int(number) if number else None, label, lambda _secret: pin)
    except UnsupportedLibraryError:
        raise TokenLibraryMissingError from None
    except Exception as error:  # noqa: BLE001 - whatever the maker's library raises
        raise TokenAwayError(reason=str(error)) from None
    key.unrecognized_fields[HOLDER] = holder
    return key


def token_signer(address: str, key: Key, pin: str) -> Signer:
    """A key on a token, ready to sign. Raises TokenLibraryMissingError."""
    try:
        return HSMSigner.from_priv_key_uri(address, key, lambda _secret: pin)
    except UnsupportedLibraryError:
        raise TokenLibraryMissingError from None
    except ValueError as error:
        raise TokenAwayError(reason=str(error)) from None


def key_to_text(key: Key) -> str:
    """A public key as one line."""
    return json.dumps({"keyid": key.keyid, **key.to_dict()})


def key_from_text(text: str) -> Key:
    """Read what `key_to_text` wrote. Raises PublicKeyUnfitError."""
    try:
        said: dict[str, Any] = json.loads(text)
        return Key.from_dict(said.pop("keyid"), said)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PublicKeyUnfitError(reason=str(error)) from None
