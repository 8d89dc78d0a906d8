"""The envelope of local card messages, against every published vector, and wrong in every way."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from hypothesis import given, settings
from hypothesis import strategies as st

from oppet.payments.nexo_crypto import BadSecuredError, NexoKey, decrypt, derive, encrypt, header_of, is_secured

KEY = derive("ourkey", 1, "p@ssw0rd123456")
NONCE = bytes(range(16))
EMPTY = b'{"SaleToPOIRequest":{"MessageHeader":{}}}'
ANSWER = b'{"SaleToPOIResponse":{"MessageHeader":{"ServiceID":"1"},"PaymentResponse":{}}}'

# Published vectors (reference card-terminal §6): passphrase, HMAC key, AES key, derived IV.
DERIVED = [
    (
        "ncrpass",
        "60260ad7da67b1c1d9540cab36a32e008e60800b25a1e8d57643ad09ca9b9fdb",
        "a3100784b2bba8e6216f10bd4f7c1e0ef26ec2838f598b7c0283891234758ecc",
        "1bcea45bf5450517f70d73726a65f6d5",
    ),
    (
        "p@ssw0rd123456",
        "733636253b5b98f9a483b1a678d73a58dab2accafbc029ecbe12d60eaa909e32",
        "cf2c822761b9f5305bf69970bfa7b659a6724a119db21f8b0e949779f2ea022c",
        "bb9ba8092e6027c735398dc65977c051",
    ),
    (
        "mysupersecretpassphrase",
        "633651f2a778f91ef37ca2eae92d2f8e58073b766d26899967dc1202c1444742",
        "89b3399a5c77fc0c38762ba1529488d19b4daf8360a2ef3f7a0b06d23c89b12a",
        "17be85c2e52ba327bdce1910f4c2c7de",
    ),
]
VECTOR_1 = (
    "x2DY8J2M9ZCyjOZ8Gt7JdLBA/6bT/KXvvAbJf9kzguqO8dWp1I1pPLQpLstpdIiAVqSwG3PR0PrP/lF82UmhmCnUJGCuEXilqvBNF1tF/yEgnFOklNc1myR2IPW/"
    "+2oZOWKFXlTo/gX89EbODXOOGUqaJfSdpDhlqjyMz7mGczobTPvPGqCVx2BDHU8VTxI9nicwQv+QV48GqVZzxnP8ZOdQOQ5cac+bcS0Y3l7SmWpIoQsoicnjahTY"
    "9ICosLJmN4DvDHsN4Kh2DAetFO5b9I9Lqgm/dvnXUVhb9tPbM7Pn+ratjYpaNbonbO5M+Tm8rDEIyKoUUuFXPWISymrCXtCDVKEb2B5S5pilUmokrXVa9Ldtsv3B"
    "KG7rbrglYEuql4WVs6kzr6ybgAKh1Q0LsAXEve3pydt72ay4U3FOJSBxJ3gNqmnG8mVW2HCXQVo1RgVaZmP5TBWYuksCKXYypnMulu1PlRI++oeW/J2qjQU="
)


@pytest.mark.parametrize(("passphrase", "mac", "cipher", "iv"), DERIVED)
def test_pt5_the_published_keys_are_derived(passphrase: str, mac: str, cipher: str, iv: str) -> None:
    key = derive("k", 1, passphrase)
    assert (key.mac.hex(), key.cipher.hex(), key.iv.hex()) == (mac, cipher, iv)


def test_pt5_published_vector_1_opens() -> None:
    """A terminal's own message: the plaintext's length, digest and content as published."""
    header = {
        "ProtocolVersion": "3.0", "MessageClass": "Event", "MessageCategory": "Event", "MessageType": "Notification",
        "DeviceID": "5", "SaleID": "null", "POIID": "P400Plus-275102806",
    }  # fmt: skip
    trailer = {
        "AdyenCryptoVersion": 1, "KeyIdentifier": "ncrkey", "KeyVersion": 1, "Nonce": "Be6rAx+vRju2aCHwPh6lrg==",
        "Hmac": "LG8A9Re1M8xLMr7rDUk0NwsnvAOX+VLjHv9sPHWTl34=",
    }  # fmt: skip
    sealed = {"MessageHeader": header, "NexoBlob": VECTOR_1, "SecurityTrailer": trailer}
    plaintext = decrypt(msgspec.json.encode({"SaleToPOIRequest": sealed}), derive("ncrkey", 1, "ncrpass"))
    assert len(plaintext) == 357
    assert hashlib.sha256(plaintext).hexdigest() == "70d06bda4ffc093084d4907714119f3cf7a8cb6ce11503dd184769520bff427e"
    event = msgspec.json.decode(plaintext)["SaleToPOIRequest"]["EventNotification"]
    assert (event["EventToNotify"], event["EventDetails"]) == ("SaleWakeUp", "reference_id=9876")


def test_pt5_published_vector_2_seals_byte_for_byte() -> None:
    sealed = msgspec.json.decode(encrypt(EMPTY, KEY, NONCE))["SaleToPOIRequest"]
    assert sealed["NexoBlob"] == "bCSdA/21eXKqHofUI2X2/BYxBp1gGkxpZMLgaqPoWEI1VKZGtoZ5kqylVKhAfqdh"
    assert sealed["SecurityTrailer"]["Hmac"] == "bkw0wSq34TdKIJoFgyI2zEa3NKxdmlTtAFeQVaeO/0g="
    assert sealed["SecurityTrailer"]["Nonce"] == "AAECAwQFBgcICQoLDA0ODw=="
    assert decrypt(encrypt(EMPTY, KEY, NONCE), KEY) == EMPTY


def changed(**trailer: Any) -> bytes:
    """A good answer with something in its trailer put otherwise; `blob` and `header` too."""
    whole = msgspec.json.decode(encrypt(ANSWER, KEY, NONCE))
    sealed = whole["SaleToPOIResponse"]
    for name, value in trailer.items():
        if name in ("NexoBlob", "MessageHeader"):
            sealed[name] = value
        else:
            sealed["SecurityTrailer"][name] = value
    return msgspec.json.encode(whole)


def flipped(text: str, place: int) -> str:
    octets = bytearray(base64.b64decode(text))
    octets[place] ^= 1
    return base64.b64encode(octets).decode()


GOOD = msgspec.json.decode(encrypt(ANSWER, KEY, NONCE))["SaleToPOIResponse"]
WRONG = {
    "a byte of the blob": changed(NexoBlob=flipped(GOOD["NexoBlob"], 5)),
    "the last byte of the blob, its padding": changed(NexoBlob=flipped(GOOD["NexoBlob"], -1)),
    "a byte of the MAC": changed(Hmac=flipped(GOOD["SecurityTrailer"]["Hmac"], 3)),
    "a nonce of 15 bytes": changed(Nonce=base64.b64encode(NONCE[:15]).decode()),
    "a nonce of 17 bytes": changed(Nonce=base64.b64encode(NONCE + b"x").decode()),
    "another nonce": changed(Nonce=base64.b64encode(NONCE[::-1]).decode()),
    "a MAC of 31 bytes": changed(
        Hmac=base64.b64encode(base64.b64decode(GOOD["SecurityTrailer"]["Hmac"])[:31]).decode()
    ),
    "a MAC of 33 bytes": changed(
        Hmac=base64.b64encode(base64.b64decode(GOOD["SecurityTrailer"]["Hmac"]) + b"\0").decode()
    ),
    "no MAC": changed(Hmac=""),
    "another key's version": changed(KeyVersion=2),
    "another key's name": changed(KeyIdentifier="other"),
    "another crypto version": changed(AdyenCryptoVersion=2),
    "another header outside": changed(MessageHeader={"ServiceID": "2"}),
    "half a block": changed(NexoBlob=base64.b64encode(b"half").decode()),
    "no blob": changed(NexoBlob=""),
    "letters that are no base64": changed(NexoBlob="å" * 16),
    "a number for a blob": changed(NexoBlob=5),
    "in the clear": ANSWER,
    "nothing": b"",
    "a page": b"<html><body>Log in to the guest network</body></html>",
    "very deep": b"[" * 5_000,
    "another wrapper": encrypt(ANSWER, KEY, NONCE).replace(b"SaleToPOIResponse", b"SaleToPOIRequest"),
    "sealed with another key": encrypt(ANSWER, derive("ourkey", 1, "another passphrase"), NONCE),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_pt5_whatever_is_wrong_with_an_envelope_is_one_and_the_same_refusal(wrong: bytes) -> None:
    with pytest.raises(BadSecuredError) as raised:
        decrypt(wrong, KEY)
    assert (raised.value.facts, str(raised.value)) == ({}, BadSecuredError.sentence)


def test_pt5_a_whole_envelope_within_is_no_message_of_its_own() -> None:
    """A plaintext that is no nexo message is refused, though its MAC is right."""
    whole = msgspec.json.decode(encrypt(ANSWER, KEY, NONCE))
    for plaintext in (b"[]", b"{}", b'{"Other":{"MessageHeader":{}}}', ANSWER + b"x"):
        sealed = msgspec.json.decode(_sealed_raw(plaintext))
        whole["SaleToPOIResponse"] |= sealed
        with pytest.raises(BadSecuredError):
            decrypt(msgspec.json.encode(whole), KEY)


def _sealed_raw(plaintext: bytes) -> bytes:
    """Seal bytes that `encrypt` itself would refuse: the header is taken from a good message of the same length."""
    iv = bytes(a ^ b for a, b in zip(KEY.iv, NONCE, strict=True))
    pad = 16 - len(plaintext) % 16
    sealing = Cipher(AES(KEY.cipher), CBC(iv)).encryptor()
    blob = sealing.update(plaintext + bytes([pad]) * pad) + sealing.finalize()
    trailer = GOOD["SecurityTrailer"] | {
        "Hmac": base64.b64encode(hmac.digest(KEY.mac, plaintext, "sha256")).decode(),
    }
    return msgspec.json.encode({"NexoBlob": base64.b64encode(blob).decode(), "SecurityTrailer": trailer})


def test_pt5_a_fault_in_the_clear_is_seen_to_be_in_the_clear() -> None:
    assert is_secured(encrypt(ANSWER, KEY, NONCE))
    assert not any(is_secured(data) for data in (ANSWER, b"", b"<html>", b"[" * 5_000, b'{"SaleToPOIResponse":1}'))


def test_pt5_a_key_is_never_shown() -> None:
    shown = repr(KEY) + str(KEY)
    assert KEY.mac.hex() not in shown
    assert repr(KEY.mac) not in shown
    assert isinstance(KEY, NexoKey)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.binary(min_size=16, max_size=16))
def test_pt5_what_was_sealed_opens_and_anything_else_is_refused(noise: bytes, nonce: bytes) -> None:
    text = noise.hex().encode()
    message = b'{"SaleToPOIRequest":{"MessageHeader":{"ServiceID":"A"},"Text":"' + text + b'"}}'
    assert decrypt(encrypt(message, KEY, nonce), KEY) == message
    assert header_of(message) == ("SaleToPOIRequest", {"ServiceID": "A"})
    with pytest.raises(BadSecuredError):
        decrypt(noise, KEY)
