"""Sticks: a folder that one person carries, with that person's keys under that person's passphrase, and nobody else's (RL15).

`stick.json` says whose it is and what its keys are for, and holds the newest root of each repository that its person has seen:
what a request says changed is measured against that, not against what the request says. A key may lie on a token instead; then
the stick only says which.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from securesystemslib.signer import Key, Signer

from oppet.base.errors import RefusedError, UntrustedError
from oppet.base.words import N_
from oppet.drivers import files
from oppet.drivers.sealed_key import PassphraseWrongError
from oppet.drivers.signing_keys import (
    key_from_text,
    key_to_text,
    make_sealed_signer,
    sealed_signer,
    token_key,
    token_signer,
)

__all__ = [
    "HolderUnfitError",
    "PassphraseMissingError",
    "Stick",
    "StickKey",
    "StickMissingError",
    "StickPassphraseWrongError",
    "StickUnfitError",
    "ask_passphrase",
    "named_folders",
    "read_passphrase",
]

NOTES: Final = "stick.json"
LARGEST: Final = 4 << 20


class StickMissingError(RefusedError):
    sentence = N_(
        "{folder} is no stick: it has no stick.json. Plug in the right one, or make one with “oppet release key”."
    )


class StickUnfitError(UntrustedError):
    sentence = N_("The stick {folder} cannot be read: {reason}. Use another, and have this person’s keys replaced.")


class StickPassphraseWrongError(RefusedError):
    sentence = N_("The passphrase of {holder}’s stick is wrong. Nothing was signed.")


class StickOtherHolderError(RefusedError):
    sentence = N_("{folder} is {theirs}’s stick, not {holder}’s.")


class StickFullError(RefusedError):
    sentence = N_("The stick {folder} has a key for {role} of {repository} already. A new key goes on a new stick.")


class HolderUnfitError(RefusedError):
    sentence = N_("Say whose stick it is and where: HOLDER=FOLDER, such as A=/media/a. Each person once. Got: {said}")


class PassphraseMissingError(RefusedError):
    sentence = N_(
        "There is nobody to ask for {holder}’s passphrase: give --passphrase-file, or run this where somebody can type it."
    )


class PassphraseDiffersError(RefusedError):
    sentence = N_("The two passphrases were not the same. Nothing was made.")


class StickKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key of the stick's person; `role` is root, targets or publisher."""

    repository: str
    role: str
    public: str  # as `key_to_text` writes it
    file: str = ""
    token: str = ""

    @property
    def key(self) -> Key:
        return key_from_text(self.public)


class Notes(msgspec.Struct, frozen=True):
    """The stick's own page: no secret on it."""

    v: int
    holder: Annotated[str, Meta(pattern=r"^[A-Za-zÅÄÖåäö0-9._-]{1,24}\Z")]
    keys: tuple[StickKey, ...] = ()
    roots: dict[str, str] = {}  # repository → the newest root its person has seen, as text


class Stick:
    """One person's stick. Raises StickMissingError, StickUnfitError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / NOTES).is_file():
            raise StickMissingError(folder=str(folder))
        try:
            self.notes = msgspec.json.decode(files.read(folder / NOTES, LARGEST), type=Notes)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise StickUnfitError(folder=str(folder), reason=str(error)) from None

    @classmethod
    def make(cls, folder: Path, holder: str) -> Stick:
        """Make a stick's page, or open the one that is there. Raises StickOtherHolderError, HolderUnfitError."""
        if (folder / NOTES).exists():
            there = cls(folder)
            if there.holder != holder:
                raise StickOtherHolderError(folder=str(folder), theirs=there.holder, holder=holder)
            return there
        try:
            notes = msgspec.convert({"v": 1, "holder": holder}, Notes)
        except msgspec.ValidationError:
            raise HolderUnfitError(said=holder) from None
        files.folder(folder)
        files.write(folder / NOTES, msgspec.json.encode(notes))
        return cls(folder)

    @property
    def holder(self) -> str:
        return self.notes.holder

    def held(self, repository: str, role: str) -> StickKey | None:
        """The key for a role, if the stick has one."""
        return next((key for key in self.notes.keys if (key.repository, key.role) == (repository, role)), None)

    def make_key(self, repository: str, role: str, passphrase: str, *, token: str = "") -> Signer:
        """Make a key on the stick, or note the one that a token holds. Raises StickFullError."""
        if self.held(repository, role) is not None:
            raise StickFullError(folder=str(self.folder), role=role, repository=repository)
        if token:
            public = token_key(token, self.holder, passphrase)
            made = token_signer(token, public, passphrase)
            noted = StickKey(repository, role, key_to_text(public), token=token)
        else:
            name = f"{repository}-{role}.key"
            made = make_sealed_signer(self.folder / name, passphrase, self.holder)
            noted = StickKey(repository, role, key_to_text(made.public_key), file=name)
        self._keep(msgspec.structs.replace(self.notes, keys=(*self.notes.keys, noted)))
        return made

    def signer(self, key: StickKey, passphrase: str) -> Signer:
        """Open one of the stick's keys. Raises StickPassphraseWrongError, StickUnfitError."""
        if key.token:
            return token_signer(key.token, key.key, passphrase)
        path = self.folder / Path(key.file).name
        try:
            opened = sealed_signer(path, passphrase, self.holder)
        except PassphraseWrongError:
            raise StickPassphraseWrongError(holder=self.holder) from None
        if opened.public_key.keyid != key.key.keyid:
            raise StickUnfitError(folder=str(self.folder), reason=f"{key.file} is another key than stick.json says")
        return opened

    def remember(self, repository: str, root: bytes) -> None:
        """Note the newest root that this person has seen."""
        if self.notes.roots.get(repository) != root.decode():
            self._keep(msgspec.structs.replace(self.notes, roots={**self.notes.roots, repository: root.decode()}))

    def _keep(self, notes: Notes) -> None:
        files.write(self.folder / NOTES, msgspec.json.encode(notes))
        self.notes = notes


def named_folders(said: Sequence[str]) -> dict[str, Path]:
    """Read HOLDER=FOLDER words. Raises HolderUnfitError, also for a person or a folder that is named twice."""
    found: dict[str, Path] = {}
    for word in said:
        holder, equals, folder = word.partition("=")
        place = Path(folder).absolute()
        if not equals or not holder or not folder or holder in found or place in found.values():
            raise HolderUnfitError(said=word)
        found[holder] = place
    return found


def ask_passphrase(holder: str, *, file: Path | None = None, twice: bool = False) -> str:
    """A person's passphrase: the first line of a file, OPPET_PASSPHRASE, or asked for. Raises PassphraseMissingError."""
    if file is not None:
        return read_passphrase(file)
    if (said := os.environ.get("OPPET_PASSPHRASE")) is not None:
        return said
    if not sys.stdin.isatty():
        raise PassphraseMissingError(holder=holder)
    phrase = getpass.getpass(f"{holder}, your passphrase: ")
    if twice and getpass.getpass(f"{holder}, once more: ") != phrase:
        raise PassphraseDiffersError
    return phrase


def read_passphrase(file: Path) -> str:
    """The first line of a file."""
    return files.read(file, 4096).decode(errors="replace").partition("\n")[0].rstrip("\r")
