"""Verbs that draft a change and write a request for it: `prepare`, `pace`, `revoke`, `refresh`, `store-root` (RL15).

A draft changes nothing that anybody sees: it waits in the repository's `staged/` until enough people have signed the request and
`oppet release publish` has judged it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from oppet.base import canonical
from oppet.base.errors import RefusedError, UntrustedError
from oppet.base.words import N_
from oppet.drivers import files
from oppet.drivers.chunking import make_index
from oppet.drivers.repositories import Keys, NothingStagedError, Repository, Role
from oppet.drivers.signing_keys import public_key
from oppet.release import terms
from oppet.release.rings import sound_pace
from oppet.release.terms import CHAIN, REASONS, STORE, Canary, Pace, Software
from oppet.signing.ceremony import PaceUnfitError, read_pace
from oppet.signing.desk import Desk, Json, Yes, answer, confirm, days_left, desk_at, note, now
from oppet.signing.requests import take, write_request
from oppet.signing.telling import changes

__all__ = ["asked_for", "chain_only", "draft_release", "drop", "pace", "prepare", "refresh", "revoke", "store_root"]

NODE_KEY_BYTES: Final = 32


class ReleaseUnfitError(RefusedError):
    sentence = N_("This cannot be a release: {reason}")


class ImageOtherError(UntrustedError):
    sentence = N_("{file} is not the image that its description was made for. Take both from the same build.")


class ReleaseOldError(RefusedError):
    sentence = N_("Release {number} for {role} is not newer than {newest}, which is listed already. Numbers count up.")


class OtherPartyDiffersError(UntrustedError):
    sentence = N_(
        "The other party lists other bytes or says other things of {name}. No till would install it: sign nothing, and ask."
    )


class ReleaseMissingError(RefusedError):
    sentence = N_("Release {number} for {role} is not listed in {repository}.")


class FloorUnfitError(RefusedError):
    sentence = N_(
        "The floor {floor} is above the newest release that stays, {newest}: no till could be rebuilt. Publish a newer release first."
    )


class ChainOnlyError(RefusedError):
    sentence = N_("Only the chain’s repository has this. Give the folder called chain.")


class NothingToDraftError(RefusedError):
    sentence = N_("Nothing of {repository} runs out within {days} days. Nothing needs to be signed.")


class NodeKeyUnfitError(RefusedError):
    sentence = N_("The node’s public key is 64 characters of hex, or a file that holds them.")


class RequestUnnamedError(RefusedError):
    sentence = N_("Say with --request where the request is to be written.")


class StoreUnsignedError(RefusedError):
    sentence = N_(
        "The root of store {store} is not signed yet: have the first request signed, and take it with --signed."
    )


def prepare(
    repository: Path,
    image: Path,
    *,
    request: Path,
    number: int = 0,
    version: str = "",
    role: str = "till",
    hw: str = "any",
    min_release: int = 0,
    schema: int = 1,
    fiscal: str = "1",
    fiscal_from: str = "",
    software: Path | None = None,
    emergency: bool = False,
    as_json: Json = False,
) -> int:
    """Draft a release: cut the image into pieces, list it, and write the request that its people sign.

    Parameters
    ----------
    repository
        The vendor's or the chain's folder. Each party prepares and signs for itself.
    image
        The image that `oppet release build` made. The chain gives the one it has built itself.
    request
        The request's file to write.
    number
        The release: one that counts up.
    version
        What people call it, such as 0.7.0.
    role
        till or node.
    hw
        any, or the hardware it is for.
    min_release
        No rebuild goes below this release.
    schema
        The newest declarations of the journal that it knows.
    fiscal
        The version of the regulated functions.
    fiscal_from
        The version they replace, where the authority was told.
    software
        A JSON file that says all of these (`oppet release build` writes one); the image's digest is taken from the image.
    emergency
        List it under the chain's role with the higher threshold too: quicker, never at once.
    as_json
        Print one JSON object.
    """
    desk = desk_at(repository)
    data = files.read(image, 4 << 30)
    said: dict[str, object] = {
        "release": number, "version": version, "role": role, "hw": hw, "min_release": min_release, "schema": schema,
        "fiscal": fiscal, "fiscal_from": fiscal_from,
    }  # fmt: skip
    if software is not None:
        said = terms.read(files.read(software, 1 << 20), dict[str, object], str(software))
    release = _software(said, data)
    if said.get("image", release.image) != release.image:
        raise ImageOtherError(file=str(image))
    index = make_index(data, desk.base)
    with desk.repository.whole():
        draft_release(desk, release, index, emergency=emergency)
    what = f"{'emergency ' if emergency else ''}release {release.release} for {release.role}"
    return asked_for(desk, what, request, as_json=as_json)


def draft_release(desk: Desk, release: Software, index: bytes, *, emergency: bool = False) -> None:
    """Draft a release in one party's lists. Raises ReleaseOldError, OtherPartyDiffersError, ChainOnlyError."""
    repository, name = desk.repository, terms.software_name(release.role, release.release)
    listed = repository.targets.targets
    if emergency:
        chain_only(desk)
    newest = max((one.release for one in _releases(repository, release.role)), default=0)
    if name not in listed and release.release <= newest:
        raise ReleaseOldError(number=release.release, role=release.role, newest=newest)
    _like_the_other(desk, name, release, index)
    if name not in listed:
        repository.add("targets", name, index, release, now=now())
    elif repository.content("targets", name) != index or listed[name].custom != msgspec.to_builtins(release):
        raise ReleaseOldError(number=release.release, role=release.role, newest=newest)
    if emergency:
        repository.add("emergency", terms.emergency_name(release.role, release.release), index, release, now=now())


def pace(
    repository: Path,
    *,
    base: Path,
    canary: tuple[str, ...] = (),
    request: Path | None = None,
    write: Path | None = None,
    as_json: Json = False,
) -> int:
    """Draft a root with other trial tills and another pace, or write such a pace to a file for a ceremony.

    Parameters
    ----------
    repository
        The chain's folder; it need not be there yet when a file is written.
    base
        A JSON file with the pace; trial tills in it are kept, unless others are given.
    canary
        STORE:TILL:EPOCH:KEY of a trial till, the key being the public one of its journal in hex; as often as needed.
    request
        The request's file to write.
    write
        Write the pace to this file instead of drafting it.
    as_json
        Print one JSON object.
    """
    said = terms.read(files.read(base, 1 << 20), Pace, str(base))
    if canary:
        said = msgspec.structs.replace(said, canaries=tuple(_canary(word) for word in canary))
    if why := sound_pace(said):
        raise PaceUnfitError(reason=REASONS[why])
    if write is not None:
        files.write(write, msgspec.json.format(msgspec.json.encode(said), indent=2) + b"\n")
        read_pace(write)
        answer([f"Pace written to {write}."], {"file": str(write)}, as_json=as_json)
        return 0
    desk = desk_at(repository)
    chain_only(desk)
    desk.repository.set_pace(said, now())
    return asked_for(desk, "pace and trial tills", _file(request), as_json=as_json)


def revoke(
    repository: Path, *, number: int, request: Path, role: str = "till", floor: int = 0, as_json: Json = False
) -> int:
    """Draft lists without a release, and raise the floor below which no till is rebuilt. Both parties do it.

    Parameters
    ----------
    repository
        The vendor's or the chain's folder.
    number
        The release that goes.
    request
        The request's file to write.
    role
        till or node.
    floor
        The newest release that stays says from now on that no rebuild goes below this one.
    as_json
        Print one JSON object.
    """
    desk = desk_at(repository)
    name = terms.software_name(role, number)
    if name not in desk.repository.targets.targets:
        raise ReleaseMissingError(number=number, role=role, repository=desk.name)
    emergency = terms.emergency_name(role, number)
    with desk.repository.whole():
        desk.repository.remove("targets", name, now=now())
        if "emergency" in desk.repository.roles() and emergency in desk.repository.lists("emergency").targets:
            desk.repository.remove("emergency", emergency, now=now())
        if floor:
            _raise_floor(desk, role, floor)
    return asked_for(desk, f"release {number} for {role} goes", request, as_json=as_json)


def refresh(
    repository: Path, *, request: Path, days: int = 60, role: tuple[str, ...] = (), as_json: Json = False
) -> int:
    """Draft lists that run out soon as they are, with a new date, for their people to sign.

    The lists that the service signs by itself are made new by every `oppet release publish`.

    Parameters
    ----------
    repository
        The vendor's or the chain's folder.
    request
        The request's file to write.
    days
        What runs out within so many days.
    role
        These lists whatever their date; as often as needed.
    as_json
        Print one JSON object.
    """
    desk = desk_at(repository)
    by_people = ("root", *(one for one in desk.repository.roles() if one in ("targets", "emergency")))
    due = [one for one in by_people if days_left(desk, one) < days] if not role else list(role)
    if not due:
        raise NothingToDraftError(repository=desk.name, days=days)
    for one in due:
        desk.repository.refresh(one, now())
    return asked_for(desk, f"new dates for {', '.join(due)}", request, as_json=as_json)


def drop(repository: Path, *, yes: Yes = False, as_json: Json = False) -> int:
    """Throw away what was drafted and not published; requests for it are worth nothing then.

    Parameters
    ----------
    repository
        The vendor's, the chain's or a store's folder.
    yes
        Do it without asking.
    as_json
        Print one JSON object.
    """
    desk = desk_at(repository)
    drafts = desk.repository.drafts()
    if not drafts:
        raise NothingStagedError(role=", ".join(desk.repository.roles()), folder=desk.name)
    confirm(f"Throw away the drafts of {', '.join(drafts)} in {desk.name}?", yes=yes)
    desk.repository.drop()
    note(desk, "dropped", {"lists": drafts})
    answer([f"{desk.name}: the drafts of {', '.join(drafts)} are gone."], {"dropped": drafts}, as_json=as_json)
    return 0


def store_root(
    repository: Path, store: str, *, request: Path, key: str = "", signed: tuple[Path, ...] = (), as_json: Json = False
) -> int:
    """Give a store a small repository of its own, for mark-downs without head office; in two requests.

    The first (with --key) is the store's root and top list, signed by the chain's people. The second (with --signed) lists
    both in the chain's, where the store's node and tills find them.

    Parameters
    ----------
    repository
        The chain's folder.
    store
        The store, such as S01.
    request
        The request's file to write.
    key
        The public key that the store's node signs mark-downs with: 64 characters of hex, or a file with them.
    signed
        The first request, signed; several where people signed copies.
    as_json
        Print one JSON object.
    """
    desk = desk_at(repository)
    chain_only(desk)
    place = desk.base / STORE / store
    if key:
        own = Desk(f"{STORE}/{store}", _begun(desk, place, store, key))
        return asked_for(own, f"own repository of store {store}", request, as_json=as_json)
    own = desk_at(place)
    take(own, signed)
    if any(one.role in ("root", "targets") for one in own.repository.missing()):
        raise StoreUnsignedError(store=store)
    for part, name in (("root", terms.store_root_name(store)), ("targets", f"stores/{store}.targets.json")):
        desk.repository.add("targets", name, own.repository.read(part).to_bytes(), now=now())
    return asked_for(desk, f"root of store {store}", request, as_json=as_json)


# ---------------------------------------------------------------- what they share


def asked_for(desk: Desk, what: str, file: Path, *, as_json: bool) -> int:
    """Write the request for what is drafted, and say what it says."""
    made = write_request(desk, what, file)
    repository = desk.repository
    lines = [f"{desk.name}: {what}. Nothing is published yet."]
    for role in made.drafts:
        before = repository.seen(role).signed if repository.version(role) else None
        lines += changes(role, before, repository.read(role).signed)
    party = "vendor" if desk.name == "vendor" else "chain"
    lines.append(
        f"Next: carry {file} to {repository_need(desk)} people; each runs oppet release sign-as-{party} {file.name}."
    )
    note(desk, "drafted", {"what": what, "request": str(file), "lists": list(made.drafts)})
    answer(lines, {"repository": desk.name, "what": what, "request": str(file), "told": lines}, as_json=as_json)
    return 0


def repository_need(desk: Desk) -> int:
    """The most signatures that any draft wants."""
    return max((one.need for role in desk.repository.drafts() for one in desk.repository.signatures(role)), default=0)


def chain_only(desk: Desk) -> None:
    """Raises ChainOnlyError."""
    if desk.name != CHAIN:
        raise ChainOnlyError


def _software(said: dict[str, object], image: bytes) -> Software:
    said = {key: value for key, value in said.items() if key not in ("image", "image_bytes")}
    try:
        return msgspec.convert({**said, "image": canonical.digest(image), "image_bytes": len(image)}, Software)
    except msgspec.ValidationError as error:
        raise ReleaseUnfitError(reason=str(error)) from None


def _releases(repository: Repository, role: str) -> list[Software]:
    found = [
        terms.read(one.custom, Software, name)
        for name, one in repository.targets.targets.items()
        if terms.is_software(name)
    ]
    return sorted((one for one in found if one.role == role), key=lambda one: one.release)


def _like_the_other(desk: Desk, name: str, release: Software, index: bytes) -> None:
    other = desk.other
    listed = None if other is None else other.targets.targets.get(name)
    if other is None or listed is None:
        return
    if listed.custom != msgspec.to_builtins(release) or other.content("targets", name) != index:
        raise OtherPartyDiffersError(name=name)


def _raise_floor(desk: Desk, role: str, floor: int) -> None:
    """The newest release that stays says the floor, under the higher threshold too where it is listed there."""
    stays = _releases(desk.repository, role)
    newest = stays[-1].release if stays else 0
    if floor > newest:
        raise FloorUnfitError(floor=floor, newest=newest)
    content = desk.repository.content("targets", terms.software_name(role, newest))
    software = msgspec.structs.replace(stays[-1], min_release=floor)
    desk.repository.add("targets", terms.software_name(role, newest), content, software, now=now())
    again = terms.emergency_name(role, newest)
    if "emergency" in desk.repository.roles() and again in desk.repository.lists("emergency").targets:
        desk.repository.add("emergency", again, content, software, now=now())


def _canary(word: str) -> Canary:
    parts = word.split(":")
    try:
        store, till, epoch, key = parts
        return msgspec.convert({"store": store, "till": till, "epoch": int(epoch), "key": key}, Canary)
    except ValueError as error:
        raise ReleaseUnfitError(reason=f"{word}: {error}") from None


def _begun(desk: Desk, place: Path, store: str, said: str) -> Repository:
    text = said if len(said) == 2 * NODE_KEY_BYTES else files.read(Path(said), 4096).decode(errors="replace").strip()
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raise NodeKeyUnfitError from None
    if len(raw) != NODE_KEY_BYTES:
        raise NodeKeyUnfitError
    node, root = public_key(raw), desk.repository.root
    people = {
        role: Keys([root.keys[keyid] for keyid in root.roles[role].keyids], root.roles[role].threshold)
        for role in ("root", "targets")
    }
    mine = Role("markdowns", Keys([node], 1), [f"{STORE}/{store}/*"])
    return Repository.begin(
        files.folder(place), root=people["root"], targets=people["targets"], online=node, now=now(), roles=[mine]
    )


def _file(request: Path | None) -> Path:
    if request is None:
        raise RequestUnnamedError
    return request
