"""A published tree with an image in pieces, and sources that serve it honestly or not."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from oppet.drivers.chunking import make_index
from oppet.release.errors import NotPublishedError, PublicationAwayError, TargetRefusedError
from oppet.release.terms import Software
from tests.release.chain import a_release


def an_image(seed: int = 1, size: int = 300_000) -> bytes:
    """Like a program: text that packs, with parts that do not, and one part twice."""
    chance = random.Random(seed)
    words = b" ".join(b"word%d" % chance.randrange(5000) for _ in range(size // 12))
    return words + chance.randbytes(size // 4) + words[: size // 4]


@dataclass
class Tree:
    """One release in the tree at `base`."""

    base: Path
    image: bytes
    index: bytes
    software: Software


def a_tree(base: Path, image: bytes | None = None, release: int = 2) -> Tree:
    image = an_image() if image is None else image
    index = make_index(image, base, average=4096)
    return Tree(base, image, index, a_release(release, image=sha256(image).hexdigest(), image_bytes=len(image)))


@dataclass
class FolderReader:
    """Serves a folder; `spoil` may change what is served, `cut_after` is how many files come before the cable is cut."""

    base: Path
    name: str = "node"
    spoil: Callable[[str, bytes], bytes] = lambda _path, data: data
    cut_after: int = 1_000_000
    asked: list[str] = field(default_factory=list)

    def read(self, path: str, most: int) -> bytes:
        if len(self.asked) >= self.cut_after:
            raise PublicationAwayError(source=self.name, reason="cut")
        self.asked.append(path)
        file = self.base / path
        if not file.exists():
            raise NotPublishedError(source=self.name, name=path)
        data = self.spoil(path, file.read_bytes())
        if len(data) > most:
            raise TargetRefusedError(name=path, why="endless", reason="more")
        return data

    def close(self) -> None:
        pass
