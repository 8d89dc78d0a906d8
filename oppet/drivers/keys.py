"""A till's own key: made by chance on the machine, kept in one file that nobody else may read.

The file holds the 32 private bytes as one line of hex. It is written whole or not at all, with mode 0600. What the key
signs is decided elsewhere (`base/signing.py`, `journal/entry.py`). Keeps J8 (the key never leaves the till).
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from oppet.base.errors import RefusedError, UntrustedError
from oppet.base.signing import Signer
from oppet.base.words import N_
from oppet.drivers.disk import make_durable

__all__ = [
    "KeyExistsError",
    "KeyMissingError",
    "KeyUnfitError",
    "load_key",
    "load_or_make_key",
    "load_passphrase",
    "make_key",
    "rename_key",
]

KEY_BYTES = 32
FILE_BYTES = 2 * KEY_BYTES + 1  # hex and a newline
SHORTEST_PHRASE = 12  # what terminals' own management asks for
LONGEST_PHRASE = 512


class KeyExistsError(RefusedError):
    sentence = N_("The key file {path} is there already. A key is never written over.")


class KeyMissingError(RefusedError):
    sentence = N_("There is no key file {path}.")


class KeyUnfitError(UntrustedError):
    sentence = N_("The key file {path} cannot be used: {why}.")


def make_key(path: Path) -> Signer:
    """Make a new key and its file. Raises KeyExistsError; never writes over a key."""
    private = secrets.token_bytes(KEY_BYTES)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.draft")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(private.hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # fails if the name is taken; a rename would replace
    except FileExistsError:
        raise KeyExistsError(path=str(path)) from None
    finally:
        draft.unlink(missing_ok=True)
    make_durable(path.parent)
    return Signer(private)


def load_key(path: Path) -> Signer:
    """Read a key file. Raises KeyMissingError, or KeyUnfitError if others may read it or it holds no key."""
    data = _secret(path, FILE_BYTES)
    try:
        private = bytes.fromhex(data.decode("ascii"))
    except ValueError:
        private = b""
    if len(private) != KEY_BYTES:
        raise KeyUnfitError(path=str(path), why="it holds no key")
    return Signer(private)


def load_passphrase(path: Path) -> str:
    """Read what a service and we share: one line of text. Raises KeyMissingError, KeyUnfitError."""
    data = _secret(path, LONGEST_PHRASE)
    try:
        phrase = data.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        phrase = ""
    if not phrase.isprintable() or not SHORTEST_PHRASE <= len(phrase) <= LONGEST_PHRASE:
        raise KeyUnfitError(path=str(path), why=f"it holds no passphrase of one line and {SHORTEST_PHRASE} characters")
    return phrase


def _secret(path: Path, most: int) -> bytes:
    """A small file that only its owner may read; at most one byte more than `most`. Raises KeyMissingError, KeyUnfitError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise KeyMissingError(path=str(path)) from None
    except OSError as error:
        raise KeyUnfitError(path=str(path), why=error.strerror or "unreadable") from None
    try:
        state = os.fstat(handle)
        data = os.read(handle, most + 1) if stat.S_ISREG(state.st_mode) else b""
    finally:
        os.close(handle)
    if stat.S_IMODE(state.st_mode) & 0o077:
        raise KeyUnfitError(path=str(path), why="others than its owner may read it (it wants mode 0600)")
    return data


def rename_key(draft: Path, path: Path) -> None:
    """Give a key its place for good. Raises KeyExistsError; never writes over a key."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise KeyExistsError(path=str(path)) from None
    draft.unlink()
    make_durable(path.parent)


def load_or_make_key(path: Path) -> Signer:
    """Read the key file, or make it where there is none."""
    return load_key(path) if path.exists() else make_key(path)
