"""`oppet release build`: from a source tree to the bytes that people sign, the same bytes for whoever builds.

Four files come out: the image, what the repositories are to say of it (`software.json`), what is in it (an SBOM in CycloneDX) and what
it was made from (provenance, an in-toto statement with SLSA's predicate). Nothing is fetched and nothing of this machine goes in,
so the chain builds again from the same tree and signs only a digest that it has seen for itself. How an image is written and what
no image may hold is `drivers/images.py`'s; signing is `sign`'s.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from cyclopts import Parameter

from oppet.base import canonical
from oppet.base.clock import utc_text
from oppet.base.errors import RefusedError
from oppet.base.words import N_
from oppet.drivers import files
from oppet.drivers.images import ReleaseNote, head_of, write_image
from oppet.release.terms import Software

__all__ = [
    "Built", "LockUnlikeError", "Locked", "NoSourceError", "Plan", "RegulatedChangedError", "build", "build_release", "locked_in",
]  # fmt: skip

LARGEST_SOURCE: Final = 256 << 20
EPOCH: Final = "SOURCE_DATE_EPOCH"
# The functions the law regulates: receipts and reports, the control unit, the export. Another release leaves these files as they are.
REGULATED: Final = ("oppet/fiscal/", "oppet/paper/", "oppet/drivers/control_unit_")
_VERSION = re.compile(r'^__version__ = "([^"\n]{1,40})"', re.MULTILINE)
_SCHEMA = re.compile(r"^SCHEMA: Final = (\d{1,4})\b", re.MULTILINE)
_FISCAL = re.compile(r'^FISCAL: Final = "([^"\n]{1,40})"', re.MULTILINE)
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([A-Za-z0-9.!+_-]+)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
# What set-up makes and no source tree has: an image without them would speak no Swedish and have no page.
_MADE = ("oppet/drivers/locale/sv/LC_MESSAGES/oppet.mo", "oppet/till/static/vendor/htmx.min.js")
_LEFT_OUT = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}


class NoSourceError(RefusedError):
    sentence = N_("{tree} is no source tree of Öppet: {reason}. Give the folder of a checkout.")


class LockUnlikeError(RefusedError):
    sentence = N_("{name} is here in version {here}; the lock says {lock}. Set up the checkout again.")


class RegulatedChangedError(RefusedError):
    sentence = N_(
        "Regulated functions differ from the release before, but their version is still {fiscal}. Raise FISCAL in oppet/fiscal and "
        "tell the authority, or leave those files as they were."
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be built."""

    release: int
    role: str = "till"
    hw: str = "any"
    built: int = 0  # seconds since 1970: of every file in it
    min_release: int = 0
    fiscal_from: str = ""
    carries: bool = False  # the locked packages too


@dataclass(frozen=True, slots=True)
class Built:
    """Where the four files are, and what the repositories are to say."""

    image: Path
    software: Software
    sbom: Path
    provenance: Path
    digests: Mapping[str, str]  # of sbom and provenance


@dataclass(frozen=True, slots=True)
class Locked:
    """A package the lock names, with the digests of every file that may be it."""

    name: str
    version: str
    sha256: tuple[str, ...]

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version.replace('+', '%2B')}"


def build(
    into: Path,
    *,
    release: int,
    tree: Path = Path(),
    role: str = "till",
    hw: str = "any",
    min_release: int = 0,
    fiscal_from: str = "",
    before: Path | None = None,
    with_dependencies: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Build a release from a source tree: image, what to sign of it, SBOM and provenance. The same tree gives the same bytes.

    The time of every file is SOURCE_DATE_EPOCH, or 0.

    Parameters
    ----------
    into
        The folder the four files are written to.
    release
        The release's number; it counts up.
    tree
        The checkout it is built from, set up (its word catalogues made).
    role
        till or node.
    hw
        The hardware it is for: any, or what the machine calls itself.
    min_release
        No machine is rebuilt with a release below this one.
    fiscal_from
        Where the regulated functions' version is a new one: the version it replaces.
    before
        The image that runs now: refused if regulated functions differ under the same version.
    with_dependencies
        Put the locked packages in as well; else the machine must have them, by the same lock.
    as_json
        Print one JSON object.
    """
    moment = os.environ.get(EPOCH, "0")
    plan = Plan(
        release, role, hw, int(moment) if moment.isdecimal() else 0, min_release, fiscal_from, with_dependencies
    )
    if before is not None:
        _compare(head_of(before), _note(tree, plan))
    built = build_release(tree, files.folder(into), plan)
    said = {
        "image": str(built.image),
        "sha256": built.software.image,
        "bytes": built.software.image_bytes,
        **built.digests,
    }
    if as_json:
        print(json.dumps(said))
    else:
        print(f"{built.image}  {built.software.image_bytes} bytes\nsha256 {built.software.image}")
    return 0


def build_release(tree: Path, into: Path, plan: Plan) -> Built:
    """Make the four files. Raises NoSourceError, LockUnlikeError, TargetRefusedError, FileTroubleError."""
    note = _note(tree, plan)
    lock = locked_in(_text(tree, _lock_of(plan.role)))
    sbom = json.dumps(_sbom(note, lock), indent=1).encode() + b"\n"
    note = msgspec.structs.replace(note, contents=canonical.digest(sbom))
    content = dict(_package(tree))
    if plan.carries:
        for package in lock:
            content.update(_installed(package))
    name = f"{plan.role}-{plan.release}"
    image = into / f"{name}.tar"
    digest, size = write_image(image, note, content.items())
    software = Software(
        release=note.release, version=note.version, role=note.role, hw=note.hw, image=digest, image_bytes=size,
        min_release=note.min_release, schema=note.schema, fiscal=note.fiscal, fiscal_from=note.fiscal_from,
    )  # fmt: skip
    files.write(into / f"{name}.software.json", canonical.encode(software))
    provenance = json.dumps(_provenance(note, software, image.name), indent=1).encode() + b"\n"
    made = {"sbom": into / f"{name}.sbom.json", "provenance": into / f"{name}.provenance.json"}
    files.write(made["sbom"], sbom)
    files.write(made["provenance"], provenance)
    digests = {"sbom": note.contents, "provenance": canonical.digest(provenance)}
    return Built(image, software, made["sbom"], made["provenance"], digests)


def locked_in(text: str) -> list[Locked]:
    """What a lock in the form of requirements names."""
    parts = _PIN.split(text)[1:]
    trios = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return [
        Locked(name.lower().replace("_", "-"), version, tuple(_HASH.findall(rest))) for name, version, rest in trios
    ]


# --- what goes in ----------------------------------------------------------------------------------------------------


def _package(tree: Path) -> Iterator[tuple[str, bytes]]:
    """The package's files, as a wheel of it holds them."""
    root = tree / "oppet"
    for made in _MADE if root.is_dir() else ():
        if not (tree / made).is_file():
            raise NoSourceError(tree=str(tree), reason=f"{made} is missing: set it up first")
    for path in sorted(root.rglob("*")):
        kept = path.suffix != ".pyc" and "__pycache__" not in path.parts and not path.name.startswith(".")
        if kept and path.is_file() and not path.is_symlink():
            yield f"lib/{path.relative_to(tree).as_posix()}", files.read(path, LARGEST_SOURCE)


def _installed(package: Locked) -> Iterator[tuple[str, bytes]]:
    """A locked package's files as they are installed here, each by its own record. What is for other systems is not here."""
    try:
        here = distribution(package.name)
    except PackageNotFoundError:
        return
    if here.version != package.version:
        raise LockUnlikeError(name=package.name, here=here.version, lock=package.version)
    yield from _recorded(here, package)


def _recorded(here: Distribution, package: Locked) -> Iterator[tuple[str, bytes]]:
    for path in here.files or ():
        inside = (
            ".." not in path.parts and not path.is_absolute() and not any(part.startswith(".") for part in path.parts)
        )
        if not inside or path.suffix == ".pyc" or path.name in _LEFT_OUT:
            continue
        data = files.read(Path(str(path.locate())), LARGEST_SOURCE)
        recorded = path.hash.value if path.hash is not None and path.hash.mode == "sha256" else ""
        if recorded and recorded != _record(data):
            raise LockUnlikeError(
                name=package.name, here=f"{package.version}, changed in {path.name}", lock=package.version
            )
        yield f"lib/{path.as_posix()}", data


def _record(data: bytes) -> str:
    """A digest as a package's record writes it."""
    return urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def _note(tree: Path, plan: Plan) -> ReleaseNote:
    sources = {name: canonical.digest(data) for name, data in _package(tree)}
    return ReleaseNote(
        release=plan.release,
        version=_found(_VERSION, tree, "oppet/__init__.py"),
        role=plan.role,
        hw=plan.hw,
        built=plan.built,
        tree=_digest_of(sources),
        lock=canonical.digest(_text(tree, _lock_of(plan.role)).encode()),
        contents="0" * 64,
        regulated=_digest_of(
            {name: d for name, d in sources.items() if name.removeprefix("lib/").startswith(REGULATED)}
        ),
        schema=int(_found(_SCHEMA, tree, "oppet/journal/__init__.py")),
        fiscal=_found(_FISCAL, tree, "oppet/fiscal/__init__.py"),
        fiscal_from=plan.fiscal_from,
        min_release=plan.min_release,
        carries=plan.carries,
        python=".".join(platform.python_version_tuple()[:2]) if plan.carries else "",
    )


def _compare(before: ReleaseNote, now: ReleaseNote) -> None:
    if before.regulated != now.regulated and before.fiscal == now.fiscal:
        raise RegulatedChangedError(fiscal=now.fiscal)


def _digest_of(digests: Mapping[str, str]) -> str:
    """One digest for many files: of the lines “digest, two spaces, name”, in the order of the names."""
    return canonical.digest("".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode())


def _lock_of(role: str) -> str:
    return f"requirements/{'till' if role == 'till' else 'store'}.txt"


def _text(tree: Path, name: str) -> str:
    place = tree / name
    if not place.is_file():
        raise NoSourceError(tree=str(tree), reason=f"{name} is missing")
    return files.read(place, LARGEST_SOURCE).decode()


def _found(pattern: re.Pattern[str], tree: Path, name: str) -> str:
    found = pattern.search(_text(tree, name))
    if found is None:
        raise NoSourceError(tree=str(tree), reason=f"{name} does not say which")
    return found[1]


# --- what is said of it ----------------------------------------------------------------------------------------------


def _sbom(note: ReleaseNote, lock: list[Locked]) -> dict[str, Any]:
    """CycloneDX 1.6. A package's hashes are those of every file the lock lets it be."""
    own = f"pkg:pypi/oppet@{note.version}"
    serial = hashlib.sha256(f"{note.tree} {note.lock} {note.release}".encode()).hexdigest()
    urn = f"urn:uuid:{serial[:8]}-{serial[8:12]}-5{serial[13:16]}-a{serial[17:20]}-{serial[20:32]}"
    about: dict[str, Any] = {
        "component": {
            "type": "application", "bom-ref": own, "name": "oppet", "version": note.version, "purl": own,
            "properties": [
                {"name": "oppet:release", "value": str(note.release)}, {"name": "oppet:role", "value": note.role},
                {"name": "oppet:tree:sha256", "value": note.tree}, {"name": "oppet:lock:sha256", "value": note.lock},
                {"name": "oppet:carries-packages", "value": "yes" if note.carries else "no"},
            ],
        },
    }  # fmt: skip
    if note.built:
        about["timestamp"] = utc_text(note.built * 1000)
    components = [
        {
            "type": "library", "bom-ref": package.purl, "name": package.name, "version": package.version, "purl": package.purl,
            "hashes": [{"alg": "SHA-256", "content": digest} for digest in package.sha256],
        }
        for package in lock
    ]  # fmt: skip
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": urn, "version": 1, "metadata": about,
        "components": components, "dependencies": [{"ref": own, "dependsOn": [package.purl for package in lock]}],
    }  # fmt: skip


def _provenance(note: ReleaseNote, software: Software, image: str) -> dict[str, Any]:
    """An in-toto statement v1 with SLSA's provenance v1. It is not signed by itself: all it says of materials stands in
    `release.json` too, under the image's digest, which both parties sign; anybody makes the same statement from the image.
    """
    asked = {"release": note.release, "role": note.role, "hw": note.hw, "minRelease": note.min_release}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": image, "digest": {"sha256": software.image}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:oppet:release-build:1",
                "externalParameters": asked | {"withDependencies": note.carries, "sourceDateEpoch": note.built},
                "internalParameters": {"python": note.python},
                "resolvedDependencies": [
                    {"name": "source tree", "digest": {"sha256": note.tree}},
                    {"name": _lock_of(note.role), "digest": {"sha256": note.lock}},
                ],
            },
            "runDetails": {"builder": {"id": "urn:oppet:builder:release-build", "version": {"oppet": note.version}}},
        },
    }
