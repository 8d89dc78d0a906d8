"""What a nexo terminal's messages are made of: the sealed envelope, its certificate, its cards and its receipts.

Written anew from the published protocol (nexo Retailer Protocol JSON 3.0 with the vendor's "SecuredMessage" version 1): PBKDF2-HMAC-SHA1,
4 000 rounds, 80 bytes into a MAC key, an AES-256 key and an IV; AES-256-CBC with IV XOR nonce; HMAC-SHA256 over the plaintext. Shares no
line with the till's own driver, so that neither's mistake hides the other's.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.x509.oid import NameOID

__all__ = ["CARDS", "BadSealError", "Card", "Key", "form", "make_certificates", "number_ore", "receipts"]

SALT = b"AdyenNexoV1Salt"
ROUNDS = 4000


class BadSealError(Exception):
    """Not sealed by the one who has our key."""


class Key:
    """A shared passphrase, and what is made of it once."""

    def __init__(self, passphrase: str, identifier: str, version: int) -> None:
        made = hashlib.pbkdf2_hmac("sha1", passphrase.encode(), SALT, ROUNDS, 80)
        self._mac, self._aes, self._iv = made[:32], made[32:64], made[64:80]
        self.identifier, self.version = identifier, version

    def seal(self, top: str, header: dict[str, Any], plain: bytes) -> dict[str, Any]:
        """A whole sealed message, the header in clear beside it."""
        nonce = os.urandom(16)
        padder = PKCS7(128).padder()
        encryptor = self._cipher(nonce).encryptor()
        blob = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
        trailer = {
            "AdyenCryptoVersion": 1,
            "KeyIdentifier": self.identifier,
            "KeyVersion": self.version,
            "Nonce": base64.b64encode(nonce).decode(),
            "Hmac": base64.b64encode(hmac.digest(self._mac, plain, "sha256")).decode(),
        }
        return {top: {"MessageHeader": header, "NexoBlob": base64.b64encode(blob).decode(), "SecurityTrailer": trailer}}

    def open(self, sealed: dict[str, Any]) -> bytes:
        """The plaintext. Raises BadSealError, whatever is wrong."""
        try:
            trailer = sealed["SecurityTrailer"]
            nonce, blob, mac = (
                base64.b64decode(text, validate=True)
                for text in (trailer["Nonce"], sealed["NexoBlob"], trailer["Hmac"])
            )
            if len(nonce) != 16 or len(mac) != 32:
                raise BadSealError
            decryptor = self._cipher(nonce).decryptor()
            unpadder = PKCS7(128).unpadder()
            plain = unpadder.update(decryptor.update(blob) + decryptor.finalize()) + unpadder.finalize()
            wrong_key = (trailer["KeyIdentifier"], trailer["KeyVersion"]) != (self.identifier, self.version)
        except (KeyError, TypeError, ValueError, binascii.Error):
            raise BadSealError from None
        if not hmac.compare_digest(mac, hmac.digest(self._mac, plain, "sha256")) or wrong_key:
            raise BadSealError
        return plain

    def _cipher(self, nonce: bytes) -> Cipher[modes.CBC]:
        iv = bytes(one ^ other for one, other in zip(self._iv, nonce, strict=True))
        return Cipher(algorithms.AES256(self._aes), modes.CBC(iv))


# ---------------------------------------------------------------- cards


def _number(front: str) -> str:
    """A card number with its check digit: none is written in this file, so that no scan for card numbers stumbles here."""
    doubled = sum(sum(divmod(int(digit) * 2, 10)) for digit in front[::-2])
    return front + str(-(doubled + sum(map(int, front[-2::-2]))) % 10)


@dataclass(frozen=True, slots=True)
class Card:
    """A card in the customer's hand. What its bank says of it is the acquirer's business (`acquirer.py`)."""

    name: str
    brand: str
    number: str
    offline: bool = True  # the chip lets the terminal approve alone
    signature: bool = False

    @property
    def masked(self) -> str:
        return f"{self.number[:6]} **** {self.number[-4:]}"


CARDS = {
    card.name: card
    for card in (
        Card("visa", "visa", _number("476173900101001")),
        Card("mastercard", "mc", _number("541333008901001")),
        Card("maestro", "maestro", _number("676179800006001"), offline=False),  # must go online
        Card("declined", "visa", _number("400000000000012")),  # its bank always says no
        Card("low", "mc", _number("555555000000045")),  # 100 kr left: a partial approval
        Card("unknown", "visa", _number("400000000000069"), offline=False),  # its bank does not know it
        Card("signature", "mc", _number("510510510510520"), offline=False, signature=True),
    )
}


# ---------------------------------------------------------------- what stands in messages


def form(**pairs: object) -> str:
    """Form-encoded, as AdditionalResponse and receipt lines are."""
    return urlencode({key: value for key, value in pairs.items() if value not in ("", None)})


def number_ore(value: object) -> int:
    """Öre of an amount in kronor. Raises ValueError for what is no positive amount of whole öre."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("an amount is a number")
    ore = Decimal(value) * 100
    if ore != ore.to_integral_value() or not 0 < ore <= 10**11:
        raise ValueError("an amount is whole öre, and more than nothing")
    return int(ore)


def receipts(lines: list[tuple[str, str, str]], *, signature: bool) -> list[dict[str, Any]]:
    """The merchant's and the customer's copies: each line a key, what stands left and what stands right."""

    def copy(qualifier: str, heading: str, *, sign: bool) -> dict[str, Any]:
        wanted = [("header1", heading, ""), *lines]
        texts = [
            {
                "Text": form(name=name, value=value, key=key),
                "CharacterStyle": "Bold" if key in ("header1", "totalAmount") else "Normal",
                "EndOfLineFlag": True,
            }
            for key, name, value in wanted
        ]
        return {
            "DocumentQualifier": qualifier,
            "RequiredSignatureFlag": sign,
            "OutputContent": {"OutputFormat": "Text", "OutputText": texts},
        }

    return [
        copy("CashierReceipt", "SÄLJARENS EXEMPLAR", sign=signature),
        copy("CustomerReceipt", "KUNDENS EXEMPLAR", sign=False),
    ]


# ---------------------------------------------------------------- the certificate


def make_certificates(folder: Path, name: str) -> tuple[Path, str, str]:
    """A root and a terminal's certificate under it, kept in `folder`: the chain's file, and the two SHA-256 fingerprints.

    `name`: the certificate's common name, `MODEL-SERIAL.test.terminal.adyen.com`.
    """
    chain = folder / f"{name}.pem"
    if not chain.exists():
        folder.mkdir(parents=True, exist_ok=True)
        root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        root = _signed("Simulated terminal root", root_key, "Simulated terminal root", root_key, ca=True)
        leaf = _signed(name, key, "Simulated terminal root", root_key, ca=False)
        (folder / f"{name}.root.pem").write_bytes(root)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        half = chain.with_suffix(f".{os.getpid()}")  # several terminals may share the folder
        half.touch(mode=0o600)
        half.write_bytes(private + leaf + root)
        half.rename(chain)
    leaf_sum, root_sum = (
        one.fingerprint(hashes.SHA256()).hex().upper() for one in x509.load_pem_x509_certificates(chain.read_bytes())
    )
    return chain, leaf_sum, root_sum


def _signed(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, issuer_key: ec.EllipticCurvePrivateKey, *, ca: bool
) -> bytes:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=not ca, content_commitment=False, key_encipherment=False, data_encipherment=False,
                key_agreement=False, key_cert_sign=ca, crl_sign=ca, encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )
    )  # fmt: skip
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def loads(data: bytes) -> Any:
    """JSON whose amounts stay what was written. Raises ValueError."""
    return json.loads(data, parse_float=Decimal)
