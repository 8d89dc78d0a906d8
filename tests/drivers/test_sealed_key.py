"""The manager's key at rest: it opens to the passphrase and to nothing else."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from oppet.base.signing import Verifier
from oppet.drivers.keys import KeyExistsError
from oppet.drivers.sealed_key import (
    PassphraseShortError,
    PassphraseWrongError,
    SealedKeyUnfitError,
    make_sealed,
    public_of,
    unseal,
)

PHRASE = "several plain words"


def test_j8_a_sealed_key_opens_to_its_passphrase_alone(tmp_path: Path) -> None:
    path = tmp_path / "manager.key"
    signer = make_sealed(path, PHRASE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert public_of(path) == signer.public
    assert Verifier(signer.public).good(unseal(path, PHRASE).sign(b"x"), b"x")
    with pytest.raises(PassphraseWrongError):
        unseal(path, PHRASE + " ")
    assert PHRASE not in path.read_text()


def test_j8_a_key_is_never_written_over_and_a_short_passphrase_is_none(tmp_path: Path) -> None:
    path = tmp_path / "manager.key"
    with pytest.raises(PassphraseShortError):
        make_sealed(path, "short")
    make_sealed(path, PHRASE)
    before = path.read_bytes()
    with pytest.raises(KeyExistsError):
        make_sealed(path, PHRASE)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["manager.key"]


@pytest.mark.parametrize("harm", ["sealed", "public", "salt", "v", "memory_kb"])
def test_j8_a_changed_file_opens_to_nobody(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "manager.key"
    make_sealed(path, PHRASE)
    said = json.loads(path.read_bytes())
    value = said.get(harm)
    said[harm] = f"{value[:-1]}{'0' if value[-1] != '0' else '1'}" if isinstance(value, str) else "x"
    path.write_text(json.dumps(said))
    with pytest.raises((PassphraseWrongError, SealedKeyUnfitError)):
        unseal(path, PHRASE)
