"""How tills of the simulated store ask their node about each other: the real desk and the real questions, on our cables.

The rulings are `store/lanes.py`'s, over what the simulated shelf keeps and what the node's own journal says it granted.
The till's side is `drivers/neighbours.py`'s with the wire exchanged (`tills.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from oppet.base.clock import Clock
from oppet.base.signing import Signer
from oppet.drivers.post import Post
from oppet.drivers.shelf_files import FileShelf, Listed
from oppet.journal.entry import Entry, Head, parse, seal
from oppet.journal.kinds import Body
from oppet.sim.disks import Disk, KeptSource
from oppet.store.lanes import LaneDesk
from oppet.sync.keeper import Known

__all__ = ["a_desk"]


def a_desk(disk: Disk, store: str, signer: Signer, known: Known, clock: Clock) -> LaneDesk:
    """The node's desk, as after a start: what it granted is in its own journal."""
    return LaneDesk(cast(FileShelf, _Shelf(disk)), cast(Post, _Post(disk, clock)), signer, known, store, clock)


class _Shelf:
    """What the desk reads of a shelf."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def streams(self) -> list[Listed]:
        return [
            Listed(*key, name, log.base, log.head, "", None, 0)
            for key, kept in sorted(self._disk.shelf.items())
            for name, log in sorted(kept.branches.items())
            if log.entries
        ]

    def source(self, till: str, epoch: int, branch: str = "") -> KeptSource:
        return KeptSource(self._disk.shelf[till, epoch], till, epoch, branch)

    def read(self, till: str, epoch: int, branch: str, first: int, last: int) -> Iterator[Entry]:
        return map(parse, self.source(till, epoch, branch).pieces(first, last - first + 1, 1 << 30))

    def branches(self, till: str, epoch: int) -> list[str]:
        kept = self._disk.shelf.get((till, epoch))
        return sorted(kept.branches) if kept is not None else []

    def load_view(self, *_: object) -> None:
        return None

    def save_view(self, *_: object) -> None:
        """Folds are made again at every start."""


class _Post:
    """The node's own journal, as far as rulings are in it."""

    def __init__(self, disk: Disk, clock: Clock) -> None:
        self._disk, self._clock = disk, clock
        self.journal = self

    @property
    def head(self) -> Head:
        return self._disk.post.head

    def read(self, first: int) -> Iterator[Entry]:
        return map(parse, self._disk.post.entries[first - 1 :])

    def write(self, body: Body) -> None:
        log = self._disk.post
        data, head = seal(log.head, self._disk.name, 1, self._clock.now(), body)
        self._disk.commit([(log, [data], [head.digest], None)])
