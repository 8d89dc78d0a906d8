"""`oppet release stick`: the published tree on a stick or in a folder, as a store without a line needs it.

It is written as any cache is, and then read back from the medium, every file of it, before anybody walks away with it. It holds no
secret and is believed by nobody: tills check signatures themselves (RL13).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from oppet.base.errors import RefusedError, UnavailableError, UntrustedError
from oppet.base.words import N_
from oppet.drivers.files import FileTroubleError
from oppet.drivers.publication_cache import Bounds, Mirror, Pulled
from oppet.drivers.publication_sources import FolderSource
from oppet.release.terms import Name

__all__ = ["NotOnStickError", "OnStick", "StickDamagedError", "stick", "write_stick"]

SPARE: Final = 1 << 20
EVERYTHING: Final = 1 << 50
ALL_RELEASES: Final = 1_000_000


class NoTreeError(RefusedError):
    sentence = N_("{folder} is no published tree: it has no vendor/ and chain/ with lists.")


class SameFolderError(RefusedError):
    sentence = N_("The stick cannot be inside the published tree itself: {folder}.")


class StoreNameError(RefusedError):
    sentence = N_("“{store}” is no store’s id.")


class NotOnStickError(UnavailableError):
    sentence = N_("The stick is not complete: {reason} Do not take it along.")


class StickDamagedError(UntrustedError):
    sentence = N_("What was read back from the stick is not what was written: {reason} Throw it away.")


class OnStick(msgspec.Struct, frozen=True):
    """What is on the stick, as it was read back."""

    folder: str
    store: str  # "" for everything
    releases: tuple[str, ...]
    files: int
    bytes: int
    written: int  # files that were not there before


def write_stick(tree: Path, to: Path, store: str = "", bar: Progress | None = None) -> OnStick:
    """Raises NoTreeError, SameFolderError, StoreNameError, NotOnStickError, StickDamagedError, FileTroubleError."""
    if not all((tree / part / "metadata" / "timestamp.json").is_file() for part in ("vendor", "chain")):
        raise NoTreeError(folder=str(tree))
    if to.resolve() == tree.resolve() or tree.resolve() in to.resolve().parents:
        raise SameFolderError(folder=str(to))
    if store:
        try:
            msgspec.convert(store, Name)
        except msgspec.ValidationError:
            raise StoreNameError(store=store) from None
    written = _mirrored(to, tree, store, bar)
    if written.waiting:
        raise NotOnStickError(reason=written.waiting)
    files = _forget(to)
    read = _mirrored(to, to, store, bar)  # its own upstream: what is missing or wrong can come from nowhere
    if read.waiting or read.changed:
        raise StickDamagedError(reason=read.waiting)
    return OnStick(str(to), store, tuple(read.releases), len(files), sum(files), written.files)


def _mirrored(to: Path, source: Path, store: str, bar: Progress | None) -> Pulled:
    stores = (store,) if store else None
    bounds = Bounds(EVERYTHING, SPARE, Bounds().releases if store else ALL_RELEASES)
    mirror = Mirror(to, lambda: [[FolderSource(str(source), source)]], stores, bounds)
    if bar is not None:
        tasks: dict[str, TaskID] = {}
        word = "read back" if source == to else "written"

        def tell(release: str, done: int, of: int) -> None:
            if release not in tasks:
                tasks[release] = bar.add_task(f"{release} {word}", total=of)
            bar.update(tasks[release], completed=done)

        mirror.progress = tell
    try:
        return mirror.pull()
    finally:
        mirror.close()


def _forget(folder: Path) -> list[int]:
    """Every file onto the medium and out of memory, so that what is read next is the medium's; gives their sizes."""
    sizes = []
    try:
        for path in folder.rglob("*"):
            if path.is_file():
                handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
                try:
                    os.fsync(handle)
                    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
                    sizes.append(os.fstat(handle).st_size)
                finally:
                    os.close(handle)
    except OSError as error:
        raise FileTroubleError(file=str(folder), reason=error.strerror or "unreadable") from error
    return sizes


def stick(
    tree: Path, to: Path, *, store: str = "", as_json: Annotated[bool, Parameter(name="--json", negative="")] = False
) -> int:
    """Write a stick with releases and prices, and read every file of it back.

    It holds no secret, and no till believes it: tills check the signatures of vendor and chain themselves.

    Parameters
    ----------
    tree
        The published tree, as head office or a store node serves it.
    to
        The stick's folder. What is there already and right stays; what nobody needs any more is taken away.
    store
        Only what this store needs: the two newest releases, and no other store's mark-downs. Everything when left out.
    as_json
        Print what is on the stick as JSON.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=as_json, transient=True) as bar:
        done = write_stick(tree, to, store, bar)
    if as_json:
        print(msgspec.json.encode(done).decode())
    else:
        releases = ", ".join(done.releases) or "no release"
        print(f"{done.folder}: {releases}; {done.files} files, {done.bytes / 1_000_000:.1f} MB, every one read back.")
    return 0
