"""Small files: read whole with a bound, written so that a power cut leaves the old or the new one, never half."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from oppet.base.errors import RefusedError, UnavailableError
from oppet.base.words import N_
from oppet.drivers.disk import make_durable

__all__ = ["FileMissingError", "FileTroubleError", "folder", "installation", "read", "write", "write_pieces"]

LARGEST = 256 << 20


class FileMissingError(RefusedError):
    sentence = N_("There is no file {file}. Check the path.")


class FileTroubleError(UnavailableError):
    sentence = N_("The file {file} cannot be used: {reason}.")


def read(path: Path, largest: int = LARGEST) -> bytes:
    """Give a file's bytes. Raises FileMissingError, FileTroubleError (also when it is larger than `largest`)."""
    try:
        if path.stat().st_size > largest:
            raise FileTroubleError(file=str(path), reason=f"larger than {largest} bytes")
        return path.read_bytes()
    except FileNotFoundError:
        raise FileMissingError(file=str(path)) from None
    except OSError as error:
        raise FileTroubleError(file=str(path), reason=error.strerror or "unreadable") from error


def folder(path: Path) -> Path:
    """Make a folder, with those above it, if it is not there. Raises FileTroubleError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileTroubleError(file=str(path), reason=error.strerror or "no folder") from error
    return path


def write(path: Path, data: bytes) -> None:
    """Replace a file durably. Raises FileTroubleError."""
    write_pieces(path, (data,))


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """Replace a file durably by pieces as they come, however long it gets. Raises FileTroubleError."""
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        make_durable(path.parent)
    except OSError as error:
        raise FileTroubleError(file=str(path), reason=error.strerror or "unwritable") from error


def installation(key: Path) -> str:
    """A digest that differs between machines and between copies of a journal: the machine's id and where its key lives.

    A journal that was copied to another machine shows two of them. It proves nothing against somebody who wants to deceive;
    the keepers' comparison of heads does.
    """
    machine = Path("/etc/machine-id")
    try:
        said = machine.read_bytes().strip()
        inode = os.stat(key).st_ino  # noqa: PTH116 - beside the read above, the same kind of question
    except OSError:
        return "unknown"
    return hashlib.sha256(said + str(inode).encode()).hexdigest()[:32]
