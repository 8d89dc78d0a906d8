"""A till's key file: made once, read by its owner alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from oppet.base.signing import Verifier
from oppet.drivers.clock import SystemClock
from oppet.drivers.keys import KeyExistsError, KeyMissingError, KeyUnfitError, load_key, load_or_make_key, make_key


def test_j8_a_key_is_read_back_as_it_was_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "till.key"
    made = make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["till.key"]
    assert load_or_make_key(path).public == made.public
    assert Verifier(made.public).good(load_key(path).sign(b"x"), b"x")


def test_j8_a_key_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "till.key"
    made = load_or_make_key(path)
    with pytest.raises(KeyExistsError):
        make_key(path)
    assert load_key(path).public == made.public
    assert [found.name for found in tmp_path.iterdir()] == ["till.key"]


def test_j8_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "till.key"
    make_key(path)
    path.chmod(0o640)
    with pytest.raises(KeyUnfitError, match="0600"):
        load_key(path)


@pytest.mark.parametrize("data", [b"", b"ab", b"x" * 65, b"ab" * 33, b"\xff" * 65])
def test_j8_a_file_that_holds_no_key_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "till.key"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(KeyUnfitError):
        load_key(path)


def test_j8_a_missing_key_a_folder_and_a_link_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyMissingError):
        load_key(tmp_path / "till.key")
    with pytest.raises(KeyUnfitError):
        load_key(tmp_path)
    make_key(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(KeyUnfitError):
        load_key(tmp_path / "link")


def test_the_clock_gives_milliseconds() -> None:
    first = SystemClock().now()
    assert first > 1_700_000_000_000
    assert SystemClock().now() >= first
