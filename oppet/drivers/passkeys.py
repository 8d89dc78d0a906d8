"""Passkeys, as the `webauthn` package checks them: a key on the person's own device, the person verified, this office's address.

A challenge proves by itself that we made it, for what and when, so that nobody fills a table by asking; what was answered is spent
(the tables see to that). Public keys and counters are the tables' to keep. Keeps O4 (user verified; a counter that runs
backwards is a copied key).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
import webauthn
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from oppet.base.errors import RefusedError, UntrustedError
from oppet.base.signing import Signer
from oppet.base.words import N_
from oppet.sync.enrolment import code_from

__all__ = [
    "Challenges",
    "Made",
    "PasskeyClonedError",
    "PasskeyRefusedError",
    "Passkeys",
    "challenge_of",
    "credential_of",
    "new_code",
    "new_name",
]

LARGEST = 16_384  # characters of what a browser sends
CHALLENGE_MS = 5 * 60_000
STAMP, NONCE, SEAL = 8, 16, 24
UNFIT = (WebAuthnException, ValueError, KeyError, TypeError, AttributeError, RecursionError)


class PasskeyRefusedError(RefusedError):
    sentence = N_("The passkey was not accepted ({why}). Load the page and try again.")


class PasskeyClonedError(UntrustedError):
    sentence = N_("This passkey’s counter ran backwards: it has been copied. It no longer opens anything.")


class Made(msgspec.Struct, frozen=True):
    """A passkey just made."""

    credential: bytes
    public_key: bytes
    sign_count: int


class Challenges:
    """Challenges that any process with the same secret recognises."""

    def __init__(self, signer: Signer) -> None:
        self._secret = hashlib.sha256(signer.sign(b"oppet challenges 1\n")).digest()

    def make(self, purpose: str, now: int) -> bytes:
        body = now.to_bytes(STAMP, "big") + secrets.token_bytes(NONCE)
        return body + self._seal(purpose, body)

    def check(self, challenge: bytes, purpose: str, now: int) -> None:
        """Raises PasskeyRefusedError for one that is not ours, not for this, or old."""
        body, seal = challenge[: STAMP + NONCE], challenge[STAMP + NONCE :]
        if not hmac.compare_digest(seal, self._seal(purpose, body)):
            raise PasskeyRefusedError(why="it answers another question")
        if not 0 <= now - int.from_bytes(body[:STAMP], "big") < CHALLENGE_MS:
            raise PasskeyRefusedError(why="it came too late")

    def _seal(self, purpose: str, body: bytes) -> bytes:
        return hmac.new(self._secret, purpose.encode() + b"\n" + body, hashlib.sha256).digest()[:SEAL]


class Passkeys:
    """What to ask a browser, and whether to believe its answer. `origins` are the whole addresses of our pages."""

    def __init__(self, rp_id: str, origins: Sequence[str]) -> None:
        self.rp_id = rp_id
        self.origins = list(origins)

    def registration(self, number: int, handle: str, known: Sequence[bytes], challenge: bytes) -> str:
        """The options for making a passkey, as JSON."""
        options = webauthn.generate_registration_options(
            rp_id=self.rp_id,
            rp_name="Öppet",
            user_id=f"oppet-{number}".encode(),
            user_name=str(number),
            user_display_name=handle,
            challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=credential) for credential in known],
        )
        return webauthn.options_to_json(options)

    def sign_in(self, challenge: bytes) -> str:
        """The options for showing a passkey, as JSON: any of ours."""
        options = webauthn.generate_authentication_options(
            rp_id=self.rp_id, challenge=challenge, user_verification=UserVerificationRequirement.REQUIRED
        )
        return webauthn.options_to_json(options)

    def made(self, answer: str, challenge: bytes) -> Made:
        """Raises PasskeyRefusedError."""
        try:
            found = webauthn.verify_registration_response(
                credential=_read(answer),
                expected_challenge=challenge,
                expected_rp_id=self.rp_id,
                expected_origin=self.origins,
                require_user_verification=True,
            )
        except UNFIT as error:
            raise PasskeyRefusedError(why=str(error)) from None
        return Made(found.credential_id, found.credential_public_key, found.sign_count)

    def shown(self, answer: str, challenge: bytes, public_key: bytes, sign_count: int) -> int:
        """The key's counter now. Raises PasskeyRefusedError, PasskeyClonedError."""
        try:
            found = webauthn.verify_authentication_response(
                credential=_read(answer),
                expected_challenge=challenge,
                expected_rp_id=self.rp_id,
                expected_origin=self.origins,
                credential_public_key=public_key,
                credential_current_sign_count=0,  # judged below, where a copied key is told from a wrong one
                require_user_verification=True,
            )
        except UNFIT as error:
            raise PasskeyRefusedError(why=str(error)) from None
        if (sign_count or found.new_sign_count) and found.new_sign_count <= sign_count:
            raise PasskeyClonedError
        return found.new_sign_count


def credential_of(answer: str) -> bytes:
    """Which passkey an answer names. Raises PasskeyRefusedError."""
    try:
        return webauthn.base64url_to_bytes(str(_read(answer)["rawId"]))[:1024]
    except UNFIT as error:
        raise PasskeyRefusedError(why=str(error)) from None


def challenge_of(answer: str) -> bytes:
    """Which challenge an answer is to. Raises PasskeyRefusedError."""
    try:
        client = json.loads(webauthn.base64url_to_bytes(_read(answer)["response"]["clientDataJSON"]))
        return webauthn.base64url_to_bytes(str(client["challenge"]))[:256]
    except UNFIT as error:
        raise PasskeyRefusedError(why=str(error)) from None


def new_code() -> str:
    """A code to read out: eight letters and digits that are not read two ways."""
    return code_from(secrets.token_bytes(16))


def new_name() -> str:
    """A name that nobody guesses twice."""
    return secrets.token_hex(4)


def _read(answer: str) -> dict[str, Any]:
    if len(answer) > LARGEST:
        raise PasskeyRefusedError(why="far too long")
    found: dict[str, Any] = json.loads(answer)
    if not isinstance(found, dict):
        raise PasskeyRefusedError(why="it is no answer")
    return found
