"""What the disk has left: asked before a sale begins, so that a full disk refuses the next one and loses none (R05)."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["free_bytes", "make_durable"]


def free_bytes(path: Path) -> int:
    """Bytes this process may still write where `path` is or will be. Raises OSError if the disk is gone."""
    there = path if path.exists() else path.parent
    left = os.statvfs(there)
    return left.f_bavail * left.f_frsize


def make_durable(folder: Path) -> None:
    """Make names just created in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
