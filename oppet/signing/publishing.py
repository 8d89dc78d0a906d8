"""Verbs that show something to the world: `publish`, and the online roles' `rollout` and `health`.

`publish` takes signatures from requests, judges the whole, and only then writes; it names the people who are missing. The keys here
are the service's: whoever steals them may withhold and delay, and adds no byte (RL1, RL15).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from oppet.base import canonical
from oppet.base.errors import RefusedError
from oppet.base.words import N_
from oppet.drivers import files
from oppet.drivers.repositories import Repository, Signatures
from oppet.drivers.signing_keys import service_signer
from oppet.release import terms
from oppet.release.agree import Listed, agree
from oppet.release.health import Evidence, Signed, Statements, evidence_of, newest
from oppet.release.terms import PLAN, Plan, Software
from oppet.signing.desk import Desk, Json, answer, desk_at, note, now
from oppet.signing.drafting import chain_only
from oppet.signing.requests import BY_MACHINE, take

__all__ = ["choose", "gather", "health", "publish", "rollout", "show_all", "show_one"]


Dates = Annotated[bool, Parameter(negative="")]


class SignaturesMissingError(RefusedError):
    sentence = N_(
        "Nothing was published. {role} of {repository} has {have} of {need} signatures. Still to sign: {holders}."
    )


class NotAgreedError(RefusedError):
    sentence = N_("Release {number} for {role} is not signed alike by vendor and chain. It cannot be chosen.")


class StatementsUnfitError(RefusedError):
    sentence = N_("Of {count} statements none is a pinned trial till’s word about this image. Nothing was published.")


def publish(
    repository: Path, *, online: Path, request: tuple[Path, ...] = (), dates: Dates = False, as_json: Json = False
) -> int:
    """Take signatures, judge everything, and show it to the world; with nothing new it renews what the service signs.

    Parameters
    ----------
    repository
        The vendor's, the chain's or a store's folder.
    online
        The folder with the keys that the service signs with by itself.
    request
        A signed request; several where people signed copies.
    dates
        Only renew what the service signs by itself, while drafts go on waiting: run it daily.
    as_json
        Print one JSON object.
    """
    desk = desk_at(repository)
    taken = take(desk, request)
    drafts = () if dates else desk.repository.drafts()
    if dates:
        desk.repository.publish(service_signer(online / "online.key"), now(), ["timestamp"])
    else:
        show_all(desk, online)
    roles = ("root", *desk.repository.roles(), "snapshot", "timestamp")
    versions = {role: desk.repository.version(role) for role in roles}
    lines = [
        f"{desk.name}: {', '.join(drafts)} published."
        if drafts
        else f"{desk.name}: nothing new; its dates were renewed.",
        ", ".join(f"{role} {version}" for role, version in versions.items()),
    ]
    facts = {"repository": desk.name, "published": drafts, "signatures": taken, "versions": versions}
    answer(lines, facts, as_json=as_json)
    return 0


def show_all(desk: Desk, online: Path) -> None:
    """Publish all that is staged; what services sign is signed here. Raises SignaturesMissingError before anything is written."""
    for role in desk.repository.drafts():
        if role in BY_MACHINE and (online / f"{role}.key").exists():
            desk.repository.sign(role, [service_signer(online / f"{role}.key")])
    missing = desk.repository.missing()
    if missing:
        _tell_missing(desk, missing[0])
    drafts = desk.repository.drafts()
    desk.repository.publish(service_signer(online / "online.key"), now())
    note(desk, "published", {"versions": {role: desk.repository.version(role) for role in drafts}})


def show_one(desk: Desk, online: Path, role: str) -> None:
    """Publish what a service drafted and signed by itself; drafts that wait for people go on waiting."""
    desk.repository.sign(role, [service_signer(online / f"{role}.key")])
    desk.repository.publish(service_signer(online / "online.key"), now(), [role])
    note(desk, "published", {"versions": {role: desk.repository.version(role)}})


def rollout(
    repository: Path,
    *,
    online: Path,
    release: int,
    role: str = "till",
    as_json: Json = False,
) -> int:
    """Let a release that both parties signed go out; tills take it at their own pace.

    Parameters
    ----------
    repository
        The chain's folder; the vendor's lies beside it.
    online
        The folder with the keys that the service signs with by itself.
    release
        The release.
    role
        till or node.
    as_json
        Print one JSON object.
    """
    desk = desk_at(repository)
    plan = choose(desk, role, release)
    desk.repository.add("rollout", PLAN, canonical.encode(plan), now=now())
    show_one(desk, online, "rollout")
    chosen = ", ".join(f"{word}: release {number}" for word, number in sorted(plan.releases.items()))
    answer([f"Plan {plan.number}: {chosen}."], {"number": plan.number, "releases": plan.releases}, as_json=as_json)
    return 0


def choose(desk: Desk, role: str, release: int) -> Plan:
    """The next plan. Raises NotAgreedError, ChainOnlyError."""
    chain_only(desk)
    vendor = desk.other
    agreed = () if vendor is None else agree(listed_in(vendor), listed_in(desk.repository))[0]
    if not any((one.software.role, one.software.release) == (role, release) for one in agreed):
        raise NotAgreedError(number=release, role=role)
    before = Plan(1)
    number = 1
    if PLAN in desk.repository.lists("rollout").targets:
        before = terms.read(desk.repository.content("rollout", PLAN), Plan, PLAN)
        number = before.number + 1
    return Plan(number, {**before.releases, role: release})


def listed_in(repository: Repository) -> dict[str, Listed]:
    """What a repository has published of software. Raises PublicationMalformedError."""
    return {
        name: Listed(name, one.length, tuple(sorted(one.hashes.items())), terms.read(one.custom, Software, name))
        for name, one in repository.seen("targets").signed.targets.items()
        if terms.is_software(name)
    }


def health(
    repository: Path,
    *,
    online: Path,
    release: int,
    statements: Annotated[tuple[Path, ...], Parameter(negative="")],
    role: str = "till",
    as_json: Json = False,
) -> int:
    """Gather what trial tills said of a release, and publish it as the evidence that the other tills ask for.

    Parameters
    ----------
    repository
        The chain's folder.
    online
        The folder with the keys that the service signs with by itself.
    release
        The release.
    statements
        Files with statements as JSON lines: each with statement and signature, as the tills' journals have them.
    role
        till or node.
    as_json
        Print one JSON object.
    """
    desk = desk_at(repository)
    chain_only(desk)
    name = terms.software_name(role, release)
    image = terms.read(desk.repository.target("targets", name).custom, Software, name).image
    said = [one for file in statements for one in _read_statements(file)]
    evidence, count = gather(desk, image, said)
    show_one(desk, online, "health")
    ill = f" {evidence.ill} SAYS THAT IT DOES NOT WORK." if evidence.ill else ""
    lines = [
        f"{count} statements; {evidence.tills} trial tills in {evidence.stores} stores vouch for release {release}.{ill}"
    ]
    facts = {"statements": count, "tills": evidence.tills, "stores": evidence.stores, "ill": evidence.ill}
    answer(lines, facts, as_json=as_json)
    return 0


def gather(desk: Desk, image: str, said: Sequence[Signed]) -> tuple[Evidence, int]:
    """Draft an image's evidence: what is published and `said` together, each pinned till's newest word. Raises StatementsUnfitError."""
    pace = desk.repository.pace
    assert pace is not None, "the chain's root has a pace"
    name = terms.health_name(image)
    known: list[Signed] = []
    if name in desk.repository.lists("health").targets:
        known = list(terms.read(desk.repository.content("health", name), Statements, name).said)
    fresh = [one for one in said if not evidence_of([one], image, pace).strangers]
    if not fresh:
        raise StatementsUnfitError(count=len(said))
    whole = newest((*known, *fresh), image, pace)
    desk.repository.add("health", name, canonical.encode(Statements(whole)), now=now())
    return evidence_of(whole, image, pace), len(whole)


def _read_statements(file: Path) -> list[Signed]:
    lines = files.read(file, 16 << 20).splitlines()
    try:
        return [msgspec.json.decode(line, type=Signed) for line in lines if line.strip()]
    except msgspec.MsgspecError:
        raise StatementsUnfitError(count=len(lines)) from None


def _tell_missing(desk: Desk, lacking: Signatures) -> None:
    holders = desk.holders(lacking.role)
    names = dict.fromkeys(holders.get(keyid, keyid[:16]) for keyid in lacking.unsigned)
    raise SignaturesMissingError(
        role=lacking.role, repository=desk.name, have=len(lacking.signed), need=lacking.need, holders=", ".join(names)
    )
