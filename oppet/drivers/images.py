"""Images: what a release is as bytes, and how they become files (RL11).

An image is a plain tar: `release.json` first, then files below `lib/` in the order of their names, each behind the one header
that `launcher.header` gives. So the same content has one image and one digest, and a slot's files can be put together to the
signed image again. Whatever else a tar can say (links, devices, owners, names that climb) is refused before a byte is written.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import msgspec
from msgspec import Meta

from oppet.base import canonical
from oppet.base.errors import UnavailableError
from oppet.base.words import N_
from oppet.drivers import files, launcher
from oppet.drivers.disk import make_durable
from oppet.release.errors import TargetRefusedError
from oppet.release.terms import Digest, Release, Software, Word, read

__all__ = [
    "MANIFEST", "MOST_BYTES", "MOST_FILES", "NoImageError", "ReleaseNote", "head_of", "image_digest", "note_compiled", "unpack",
    "write_image",
]  # fmt: skip

MANIFEST: Final = launcher.MANIFEST
HEAD: Final = "release.json"
MOST_FILES: Final = launcher.MOST_FILES
MOST_BYTES: Final = launcher.LARGEST  # of all files of an image
LARGEST_HEAD: Final = 64 << 10
BLOCK: Final = launcher.BLOCK
PIECE: Final = 1 << 20
_NAME = re.compile(r"lib(/[A-Za-z0-9@+_-][A-Za-z0-9 @+._-]{0,99}){1,16}")
_LONGEST: Final = 240  # of a name: what the old tar's header holds


class NoImageError(UnavailableError):
    sentence = N_("The image {file} cannot be read: {reason}.")


class ReleaseNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """`release.json`: what an image says of itself. The signed `custom` must say the same."""

    release: Release
    version: Word
    role: str
    hw: str
    built: Annotated[int, Meta(ge=0, le=0o77777777777)]  # seconds since 1970: of every file too
    tree: Digest  # of the source files it was made from
    lock: Digest  # of the lock of what such a machine carries
    contents: Digest  # of the SBOM: signed through this file, as all else here
    regulated: Digest  # of the regulated functions' source files
    schema: int = 1
    fiscal: str = "1"
    fiscal_from: str = ""
    min_release: int = 0
    carries: bool = False  # the locked packages are in it; else the machine must have them, by this lock
    python: str = ""  # where it carries compiled packages: for which Python, such as 3.11


# --- making ----------------------------------------------------------------------------------------------------------


def write_image(path: Path, note: ReleaseNote, content: Iterable[tuple[str, bytes]]) -> tuple[str, int]:
    """Write an image durably; give its digest and size. Raises TargetRefusedError for a name no slot would take, FileTroubleError."""
    members = [(HEAD, canonical.encode(note) + b"\n"), *sorted(content)]
    guard = _Names(path.name)
    for name, data in members:
        guard.take(name, len(data))
    whole, written = hashlib.sha256(), 0

    def pieces() -> Iterator[bytes]:
        nonlocal written
        for name, data in members:
            for piece in (launcher.header(name, len(data), note.built), data, b"\0" * (-len(data) % BLOCK)):
                written += len(piece)
                whole.update(piece)
                yield piece
        ending = launcher.tail(written)
        written += len(ending)
        whole.update(ending)
        yield ending

    files.write_pieces(path, pieces())
    return whole.hexdigest(), written


def image_digest(path: Path) -> tuple[str, int]:
    """An image's digest and size. Raises NoImageError."""
    whole, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                whole.update(piece)
                size += len(piece)
    except OSError as error:
        raise NoImageError(file=str(path), reason=error.strerror or "unreadable") from error
    return whole.hexdigest(), size


def head_of(path: Path) -> ReleaseNote:
    """What an image says of itself; nothing about it is verified. Raises TargetRefusedError, NoImageError, PublicationMalformedError."""
    try:
        with path.open("rb") as file:
            return next(_members(file, path.name))[2]
    except OSError as error:
        raise NoImageError(file=str(path), reason=error.strerror or "unreadable") from error


# --- unpacking -------------------------------------------------------------------------------------------------------


def unpack(
    image: Path, software: Software, into: Path, *, pause_s: float = 0.0, stop: Callable[[], bool] = lambda: False
) -> ReleaseNote:
    """Write a signed image's files below `into`, a folder that is not there yet, durably and readable only.

    The digest is taken again from the very bytes that are written. What was begun and not finished is taken away.
    Raises TargetRefusedError (why path, bytes, malformed), NoImageError, FileTroubleError.
    """
    launcher.remove(into)
    try:
        with image.open("rb") as file:
            note, listed = _unpack(image, file, software, into, pause_s, stop)
        files.write(into / MANIFEST, msgspec.json.encode(_manifest(note, software, listed, {})))
        return note
    except OSError as error:
        launcher.remove(into)
        raise NoImageError(file=str(image), reason=error.strerror or "unreadable") from error
    except BaseException:
        launcher.remove(into)
        raise


def note_compiled(slot: Path) -> str:
    """Take in what Python compiled below an unpacked slot, close the slot for writing, and give its manifest's digest.

    Raises FileTroubleError.
    """
    try:
        said = json.loads(files.read(slot / MANIFEST))
        compiled = {
            path.relative_to(slot).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((slot / "lib").rglob("__pycache__/*.pyc"))
        }
        noted = msgspec.json.encode(said | {"compiled": compiled})
        files.write(slot / MANIFEST, noted)
        for folder, _, names in os.walk(slot, topdown=False):
            for name in names:
                place = Path(folder) / name
                place.chmod(0o444)
                _synced(place)
            make_durable(Path(folder))
            Path(folder).chmod(0o555)
    except OSError as error:
        raise files.FileTroubleError(file=str(slot), reason=error.strerror or "unwritable") from error
    return canonical.digest(noted)


def _unpack(
    image: Path, file: BinaryIO, software: Software, into: Path, pause_s: float, stop: Callable[[], bool]
) -> tuple[ReleaseNote, dict[str, str]]:
    name = f"{software.role}-{software.release}"
    if image_digest(image) != (software.image, software.image_bytes):  # before anything of it is believed …
        raise TargetRefusedError(name=name, why="bytes", reason="not the signed digest")
    whole, listed = _Hashed(file), {}
    said: ReleaseNote | None = None
    for member, data, note in _members(whole, name):
        if said is None:
            _same(note, software, name)
        said = note
        if stop():
            raise TargetRefusedError(name=name, why="bytes", reason="stopped")
        place = into / member
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        with place.open("xb") as out:
            out.write(data)
        listed[member] = hashlib.sha256(data).hexdigest()
        if pause_s:
            time.sleep(pause_s)  # whoever sells in this process goes first
    assert said is not None, "an image begins with its head"
    if whole.digest() != software.image:  # … and of what was written, should the file have been changed meanwhile
        raise TargetRefusedError(name=name, why="bytes", reason="changed while it was read")
    return said, listed


def _same(note: ReleaseNote, software: Software, name: str) -> None:
    for field in ("release", "version", "role", "hw", "schema", "fiscal", "fiscal_from", "min_release"):
        if getattr(note, field) != getattr(software, field):
            raise TargetRefusedError(name=name, why="malformed", reason=f"{HEAD} says another {field} than was signed")


def _manifest(
    note: ReleaseNote, software: Software, listed: dict[str, str], compiled: dict[str, str]
) -> dict[str, object]:
    said = {
        "software": software,
        "built": note.built,
        "lock": note.lock,
        "carries": note.carries,
        "python": note.python,
    }
    return said | {"files": listed, "compiled": compiled}


def _synced(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _Hashed:
    """A file that is hashed as it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._whole = file, hashlib.sha256()

    def read(self, count: int) -> bytes:
        data = self._file.read(count)
        self._whole.update(data)
        return data

    def digest(self) -> str:
        return self._whole.hexdigest()


class _Names:
    """What names and sizes an image may have: one after the other, each once, whoever reads them, below `lib/`."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._before = ""
        self._folded: set[str] = set()
        self._folders: set[str] = set()
        self._bytes = 0

    def take(self, name: str, size: int) -> None:
        """Judge the next one. Raises TargetRefusedError (path)."""
        folded = name.lower()
        above = {folded[:place] for place, sign in enumerate(folded) if sign == "/"}
        self._bytes += size
        wrong = (
            ("first", not self._folded and name != HEAD),
            ("place", bool(self._folded) and _NAME.fullmatch(name) is None),
            ("length", len(name) > _LONGEST),
            ("order", bool(self._folded) and name <= self._before and self._before != HEAD),
            ("twice", folded in self._folded or folded in self._folders or bool(above & self._folded)),
            ("compiled", "__pycache__" in folded or folded.endswith(".pyc")),
            ("many", len(self._folded) >= MOST_FILES),
            ("large", self._bytes > MOST_BYTES),
        )
        for what, broken in wrong:
            if broken:
                raise TargetRefusedError(name=self._image, why="path", reason=f"{what}: {name[:60]}")
        self._before = name
        self._folded.add(folded)
        self._folders |= above


def _members(file: BinaryIO | _Hashed, image: str) -> Iterator[tuple[str, bytes, ReleaseNote]]:
    """Each file of an image with the image's note. Raises TargetRefusedError unless every byte is as `write_image` writes it."""
    guard, note, read_bytes = _Names(image), None, 0
    while (block := file.read(BLOCK)) != b"\0" * BLOCK:
        read_bytes += BLOCK
        name, size = _header(block, image)
        guard.take(name, size)
        data, filling = file.read(size), file.read(-size % BLOCK)
        read_bytes += len(data) + len(filling)
        if len(data) != size or filling != b"\0" * (-size % BLOCK):
            raise TargetRefusedError(name=image, why="malformed", reason=f"cut off at {name[:60]}")
        if note is None:
            if size > LARGEST_HEAD:
                raise TargetRefusedError(name=image, why="malformed", reason=f"{HEAD} is too large")
            note = read(data, ReleaseNote, image)
        if launcher.header(name, size, note.built) != block:
            raise TargetRefusedError(name=image, why="path", reason=f"owner, time or kind: {name[:60]}")
        yield name, data, note
    rest = launcher.tail(read_bytes)[BLOCK:]
    if note is None or file.read(len(rest) + 1) != rest:
        raise TargetRefusedError(name=image, why="malformed", reason="it ends otherwise than an image")


def _header(block: bytes, image: str) -> tuple[str, int]:
    """A member's name and size; its other fields are judged by writing the header anew."""
    try:
        member = tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError):
        raise TargetRefusedError(name=image, why="malformed", reason="no header where one must be") from None
    if member.type != tarfile.REGTYPE or member.linkname or not 0 <= member.size <= MOST_BYTES:
        raise TargetRefusedError(name=image, why="path", reason=f"no plain file: {member.name[:60]}")
    return member.name, member.size
