"""A machine's own TLS certificate: made once, believed by its digest, never by a name or an authority.

TLS only hides the traffic; what travels proves itself (design §2). So one self-signed P-256 certificate for many years is enough:
whoever is told of a keeper is told the SHA-256 of its certificate (`KeeperInfo.tls`) and accepts no other. Certificate and key
are in one file that only its owner reads.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import os
import secrets
import socket
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from oppet.base.errors import UntrustedError
from oppet.base.words import N_
from oppet.drivers.disk import make_durable

__all__ = ["CertificateUnfitError", "digest_of", "load_or_make", "server_context", "wrapped"]

_DAYS = 20 * 365  # longer than any machine: a certificate that ends on a Saturday closes a store
_BACK = datetime.timedelta(days=2 * 365)  # a machine whose clock stands in the past still accepts it


class CertificateUnfitError(UntrustedError):
    sentence = N_("The TLS certificate {path} cannot be used: {why}. Remove it and a new one is made.")


def load_or_make(path: Path, host: str = "127.0.0.1") -> str:
    """Give the certificate's SHA-256 in hex, making certificate and key where there are none.

    Raises CertificateUnfitError for a file that holds something else or that others may read.
    """
    if not path.exists():
        _make(path, host)
    if path.stat().st_mode & 0o077:
        raise CertificateUnfitError(path=str(path), why="others than its owner may read it (it wants mode 0600)")
    return digest_of(path)


def digest_of(path: Path) -> str:
    """The SHA-256 of the certificate in a file. Raises CertificateUnfitError."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CertificateUnfitError(path=str(path), why=str(error) or type(error).__name__) from None
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def server_context(path: Path) -> ssl.SSLContext:
    """What a server needs to answer with this certificate. Raises CertificateUnfitError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3  # every end of ours speaks it
    try:
        context.load_cert_chain(path)
    except (OSError, ssl.SSLError) as error:
        raise CertificateUnfitError(path=str(path), why=str(error) or type(error).__name__) from None
    return context


def wrapped(context: ssl.SSLContext, plain: socket.socket, name: str | None = None) -> ssl.SSLSocket:
    """A client's handshake. Raises OSError, ValueError: `plain` is the caller's to close then.

    A peer that has gone already is seen first: wrapping would take the handle over and leave it open.
    """
    plain.getpeername()
    return context.wrap_socket(plain, server_hostname=name)


def _make(path: Path, host: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "oppet")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACK)
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.draft")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(private + certificate.public_bytes(Encoding.PEM))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    make_durable(path.parent)


def _names(host: str) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return [*names, x509.DNSName(host)] if host != "localhost" else names
    return names if address.is_loopback or address.is_unspecified else [*names, x509.IPAddress(address)]
