"""Verbs for keys that change: `rotate`, and `recover` from a key that is lost or stolen (RL15).

A lost key is replaced. A stolen one is replaced, every list that its person signs is signed anew without it, and what was published
since the theft is told, so that people look at it before they sign. A key goes out of every role at once: nobody has to remember.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter
from securesystemslib.signer import Key
from tuf.api.metadata import Metadata

from oppet.base.clock import parse_utc
from oppet.base.errors import RefusedError
from oppet.base.words import N_
from oppet.drivers import files
from oppet.drivers.repositories import Keys, Role
from oppet.drivers.signing_keys import holder_of, service_signer
from oppet.release.terms import CHAIN
from oppet.signing.ceremony import PublishersUnfitError, one_holder_once
from oppet.signing.desk import Desk, Json, answer, desk_at, diary, now
from oppet.signing.drafting import asked_for, chain_only
from oppet.signing.sticks import Stick
from oppet.signing.telling import changes

__all__ = ["recover", "rotate"]

MACHINE_ROLES: Final = {"online": ("snapshot", "timestamp"), "rollout": ("rollout",), "health": ("health",)}
PUBLISHER_ROLES: Final = ("goods", "wide")
LARGEST_LIST: Final = 16 << 20


class HolderUnknownError(RefusedError):
    sentence = N_("Nobody called {holder} signs in {repository}. There are: {holders}.")


class KeyNotOnStickError(RefusedError):
    sentence = N_("The stick {folder} has no key for {role} of {repository}. Make one with “oppet release key”.")


class TooFewLeftError(RefusedError):
    sentence = N_("{role} would have {have} keys where {need} must sign. Give the new person’s stick with --stick.")


class NothingRotatedError(RefusedError):
    sentence = N_("Say what changes: --out HOLDER, --stick FOLDER, or --machine NAME.")


def rotate(
    repository: Path,
    *,
    request: Path,
    out: str = "",
    stick: tuple[Path, ...] = (),
    machine: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    online: Path | None = None,
    as_json: Json = False,
) -> int:
    """Draft other keys: a person goes, a person comes, or a key that the service signs with is made new.

    Parameters
    ----------
    repository
        The vendor's or the chain's folder.
    request
        The request's file to write.
    out
        The holder whose keys go, out of every role.
    stick
        The new person's stick, made with `oppet release key`; two where root keys lie on one of their own.
    machine
        online, rollout or health: make this key new, in the folder given with --online.
    online
        A new folder for keys that the service signs with by itself.
    as_json
        Print one JSON object.
    """
    desk = desk_at(repository)
    if not (out or stick or machine):
        raise NothingRotatedError
    with desk.repository.whole():
        if out or stick:
            people(desk, out, [Stick(one) for one in stick])
        for one in machine:
            _machine(desk, one, online)
    what = ", ".join(
        [*([f"{out} goes"] if out else []), *(f"{Stick(one).holder} comes" for one in stick), *(f"new key {one}" for one in machine)]
    )  # fmt: skip
    return asked_for(desk, what, request, as_json=as_json)


def recover(
    repository: Path,
    *,
    request: Path,
    stick: tuple[Path, ...],
    lost: str = "",
    stolen: str = "",
    since: str = "",
    as_json: Json = False,
) -> int:
    """Draft a repository without a key that is lost or stolen, with the replacing person's stick.

    Parameters
    ----------
    repository
        The vendor's or the chain's folder.
    request
        The request's file to write.
    stick
        The stick that replaces it, made with `oppet release key`; two where root keys lie on one of their own.
    lost
        The holder whose keys are gone and whom nobody else has.
    stolen
        The holder whose keys somebody else may have: all that its person signs is signed anew, and what was published is told.
    since
        The day of the theft, or of the last day when it was surely there, as 2026-11-22.
    as_json
        Print one JSON object.
    """
    desk = desk_at(repository)
    if bool(lost) == bool(stolen):
        raise NothingRotatedError
    gone = keys_of(desk, lost or stolen)
    told = window(desk, gone, since) if stolen else []
    with desk.repository.whole():
        people(desk, lost or stolen, [Stick(one) for one in stick])
        for role in ("targets", "emergency") if stolen else ():
            if role in desk.repository.roles():
                desk.repository.refresh(role, now())
    if told and not as_json:
        answer(["Signed with the stolen key, to be looked at before anybody signs:", *told], {}, as_json=False)
    what = f"without the lost key of {lost}" if lost else f"without the stolen key of {stolen}"
    return asked_for(desk, what, request, as_json=as_json)


def people(desk: Desk, out: str, sticks: list[Stick]) -> None:
    """Draft roles without a person's keys and with the keys of sticks. Raises HolderUnknownError, TooFewLeftError, OneHolderTwiceError."""
    gone = keys_of(desk, out) if out else {}
    name = CHAIN if desk.name.startswith("store/") else desk.name
    for role in _people_roles(desk):
        above = desk.repository.root if role in ("root", "targets") else desk.repository.targets
        held = above.get_delegated_role(role)
        leave = [keyid for keyid in held.keyids if keyid in gone]
        come = [found.key for stick in sticks if (found := stick.held(name, _kind(role))) is not None]
        come = [key for key in come if key.keyid not in held.keyids]
        if not leave and not come:
            continue
        stay = [above.get_key(keyid) for keyid in held.keyids if keyid not in gone]
        if leave and not come and len(stay) < held.threshold + (role in ("root", "targets")):
            if sticks:
                folders = ", ".join(str(stick.folder) for stick in sticks)
                raise KeyNotOnStickError(folder=folders, role=_kind(role), repository=name)
            raise TooFewLeftError(role=role, have=len(stay), need=held.threshold)
        one_holder_once(role, Keys([*stay, *come], held.threshold))
        need = len(stay) + len(come) if role == "emergency" else None
        desk.repository.rotate(role, add=come, remove=leave, need=need, now=now())
    _publishers(desk, name, sticks)
    if not desk.repository.drafts():
        raise NothingRotatedError


def keys_of(desk: Desk, holder: str) -> dict[str, Key]:
    """Every key of a person. Raises HolderUnknownError."""
    every: dict[str, Key] = {}
    for role in _people_roles(desk):
        above = desk.repository.root if role in ("root", "targets") else desk.repository.targets
        every |= {keyid: above.get_key(keyid) for keyid in above.get_delegated_role(role).keyids}
    found = {keyid: key for keyid, key in every.items() if holder_of(key) == holder}
    if not found:
        names = ", ".join(sorted({holder_of(key) for key in every.values()}))
        raise HolderUnknownError(holder=holder, repository=desk.name, holders=names)
    return found


def window(desk: Desk, gone: dict[str, Key], since: str) -> list[str]:
    """Every published list since a day that these keys signed, with what it changed. Raises NothingRotatedError for no day."""
    start = _day(since) if since else 0
    times = {
        (str(name), int(version)): str(one["at"])
        for one in diary(desk) if one.get("did") == "published"
        for name, version in dict(_mapping(one.get("versions"))).items()
    }  # fmt: skip
    told: list[str] = []
    for role in ("root", *desk.repository.roles()):
        for version in range(1, desk.repository.version(role) + 1):
            path = desk.repository.folder / "metadata" / f"{version}.{role}.json"
            if not path.exists():
                told.append(f"List “{role}”, version {version}: NOT HERE. Look for it in another copy.")
                continue
            at = times.get((role, version), "")
            held: Metadata[Any] = Metadata.from_bytes(files.read(path, LARGEST_LIST))
            if not gone.keys() & held.signatures.keys() or (at and parse_utc(at) < start):
                continue
            before = path.with_name(f"{version - 1}.{role}.json")
            was = Metadata[Any].from_bytes(files.read(before, LARGEST_LIST)).signed if before.exists() else None
            told += [
                f"Published {at[:16].replace('T', ' ') or 'at a time nobody noted'}:",
                *changes(role, was, held.signed),
            ]
    return told


def _mapping(said: object) -> dict[str, int]:
    return said if isinstance(said, dict) else {}


def _day(text: str) -> int:
    try:
        return parse_utc(f"{text}T00:00:00.000Z")
    except ValueError:
        raise DayUnfitError(day=text) from None


class DayUnfitError(RefusedError):
    sentence = N_("“{day}” is no day. Write it as 2026-11-22.")


def _people_roles(desk: Desk) -> list[str]:
    machines = {role for roles in MACHINE_ROLES.values() for role in roles} | {"markdowns"}
    return ["root", *(role for role in desk.repository.roles() if role not in machines)]


def _kind(role: str) -> str:
    """Which of a stick's keys a role takes."""
    return "publisher" if role in PUBLISHER_ROLES else "targets" if role == "emergency" else role


def _publishers(desk: Desk, name: str, sticks: list[Stick]) -> None:
    """The first publishers of prices, where a ceremony had none."""
    keys = [found.key for stick in sticks if (found := stick.held(name, "publisher")) is not None]
    if not keys or PUBLISHER_ROLES[0] in desk.repository.roles():
        return
    chain_only(desk)
    if len(keys) == 1:
        raise PublishersUnfitError
    for need, role in enumerate(PUBLISHER_ROLES, 1):
        desk.repository.delegate(Role(role, Keys(keys, need), [f"{role}/*"]), now())


def _machine(desk: Desk, which: str, folder: Path | None) -> None:
    roles = MACHINE_ROLES.get(which)
    if roles is None or folder is None:
        raise NothingRotatedError
    fresh = service_signer(folder / f"{which}.key", make=True).public_key
    for role in roles:
        above = desk.repository.root if role in ("snapshot", "timestamp") else desk.repository.targets
        old = [keyid for keyid in above.get_delegated_role(role).keyids if keyid != fresh.keyid]
        desk.repository.rotate(role, add=[fresh], remove=old, now=now())
