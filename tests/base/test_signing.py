"""The keys that sign: what is good, and what is not."""

import pytest

from oppet.base.canonical import decode, digest, encode
from oppet.base.signing import Signer, Verifier
from oppet.journal.kinds import FloatSet

SIGNER = Signer(bytes(range(32)))


def test_j4_a_signature_covers_every_byte() -> None:
    data = b"oppet journal head"
    good, verifier = SIGNER.sign(data), Verifier(SIGNER.public)
    assert verifier.good(good, data)
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        assert not verifier.good(good, changed)
    for place in range(len(good)):
        assert not verifier.good(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :], data)


@pytest.mark.parametrize("signature", [b"", b"\0" * 64, b"\xff" * 64, b"\0" * 63, b"\0" * 65, b"\0" * 10_000])
def test_j4_what_is_no_signature_is_not_good_and_raises_nothing(signature: bytes) -> None:
    assert not Verifier(SIGNER.public).good(signature, b"data")


def test_j4_another_key_is_another_signer() -> None:
    assert not Verifier(Signer(bytes(32)).public).good(SIGNER.sign(b"data"), b"data")


@pytest.mark.parametrize("public", [b"", b"\0" * 31, b"\0" * 33])
def test_j4_bytes_of_another_length_are_no_key(public: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Verifier(public)


def test_j3_bytes_are_the_same_every_time_and_unknown_fields_are_left_alone() -> None:
    body = FloatSet(50_000, 7)
    assert encode(body) == b'{"amount_ore":50000,"by":7}'
    assert decode(b'{"amount_ore":50000,"by":7,"from_the_future":[1]}', FloatSet) == body
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
