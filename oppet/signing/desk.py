"""The desk: what every verb of `oppet release` does alike: open a repository's folder, note what was done, answer, and ask once.

A repository's folder is called what it is: `vendor`, `chain`, or `store/S01`, all in one published tree, so that the verbs find the
other party's beside it. `desk.jsonl` in the folder is the desk's own diary: it proves nothing; lists and signatures do.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from oppet.base.clock import parse_utc, utc_text
from oppet.base.errors import RefusedError
from oppet.base.words import N_
from oppet.drivers import files
from oppet.drivers.clock import SystemClock
from oppet.drivers.repositories import DAY_MS, Repository
from oppet.drivers.signing_keys import holder_of
from oppet.release.terms import CHAIN, STORE, VENDOR

__all__ = [
    "DAY_MS", "DIARY", "Desk", "Json", "NotConfirmedError", "RepositoryUnnamedError", "Yes", "answer", "confirm", "days_left", "desk_at",
    "diary",
    "name_of", "note", "now",
]  # fmt: skip

Json = Annotated[bool, Parameter(name="--json", negative="")]
Yes = Annotated[bool, Parameter(name="--yes", negative="")]
DIARY: Final = "desk.jsonl"
LARGEST: Final = 64 << 20


class RepositoryUnnamedError(RefusedError):
    sentence = N_(
        "The folder {folder} does not say whose repository it is: it must be called vendor or chain, or lie in a folder called store."
    )


class NotConfirmedError(RefusedError):
    sentence = N_("Nothing was done: it was not confirmed. Answer yes, or give --yes.")


@dataclass(frozen=True, slots=True)
class Desk:
    """A repository and its name; `base` is the published tree."""

    name: str
    repository: Repository

    @property
    def base(self) -> Path:
        folder = self.repository.folder
        return folder.parent.parent if self.name.startswith(f"{STORE}/") else folder.parent

    @property
    def other(self) -> Repository | None:
        """The other party's repository, where it lies in the same tree."""
        folder = self.base / (VENDOR if self.name == CHAIN else CHAIN)
        return Repository(folder) if (folder / "metadata" / "1.root.json").exists() else None

    def holders(self, role: str) -> dict[str, str]:
        """Key and holder of everybody who may sign a role."""
        above = (
            self.repository.root if role in ("root", "targets", "snapshot", "timestamp") else self.repository.targets
        )
        return {keyid: holder_of(above.get_key(keyid)) for keyid in above.get_delegated_role(role).keyids}


def name_of(folder: Path) -> str:
    """Whose repository a folder holds, by its name. Raises RepositoryUnnamedError."""
    place = folder.absolute()
    if place.name in (VENDOR, CHAIN):
        return place.name
    if place.parent.name == STORE:
        return f"{STORE}/{place.name}"
    raise RepositoryUnnamedError(folder=str(folder))


def desk_at(folder: Path) -> Desk:
    """Open a repository's folder. Raises RepositoryUnnamedError, RepositoryMissingError."""
    name = name_of(folder)
    return Desk(name, Repository(folder.absolute()))


def days_left(desk: Desk, role: str) -> int:
    """Whole days until a role's newest list runs out; negative once it has."""
    until = desk.repository.read(role).signed.expires
    return (parse_utc(f"{until:%Y-%m-%dT%H:%M:%S}.000Z") - now()) // DAY_MS


def now() -> int:
    return SystemClock().now()


def note(desk: Desk, did: str, facts: Mapping[str, object]) -> None:
    """Write a line into the diary."""
    path = desk.repository.folder / DIARY
    before = files.read(path, LARGEST) if path.exists() else b""
    line = json.dumps({"at": utc_text(now()), "did": did, **facts}, ensure_ascii=False, default=str)
    files.write(path, before + line.encode() + b"\n")


def diary(desk: Desk) -> list[dict[str, object]]:
    """What was noted; a line that cannot be read is left out."""
    path = desk.repository.folder / DIARY
    found: list[dict[str, object]] = []
    for line in files.read(path, LARGEST).splitlines() if path.exists() else ():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict):
            found.append(said)
    return found


def answer(lines: Sequence[str], facts: Mapping[str, object], *, as_json: bool) -> None:
    """Say what came of it, to a person or to a program."""
    print(json.dumps(facts, ensure_ascii=False, default=str) if as_json else "\n".join(lines), flush=True)


def confirm(question: str, *, yes: bool) -> None:
    """Ask once. Raises NotConfirmedError."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotConfirmedError
    print(f"{question} Type yes: ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in ("yes", "ja"):
        raise NotConfirmedError
