"""A till whose power or disk fails at a chosen write: before a byte is on the disk, or right after all of them are.

Leaves torn writes inside the file to `oppet/drivers/faulty_disk.py`; here a write is whole or nothing, so that every
place between two writes can be tried, one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from oppet.base.signing import Signer
from oppet.drivers.journal_file import JournalFile
from oppet.journal.errors import DiskFailedError
from oppet.journal.kinds import Body
from oppet.register.till import Till
from tests.register.world import ALVA, World, code_of

__all__ = ["FailingWorld", "PowerCutError", "a_failing_till"]


class PowerCutError(BaseException):
    """Nothing of ours catches it, as nothing catches a power cut."""


class CuttingJournal(JournalFile):
    """Fails at the append that `left` counts down to; None never."""

    left: int | None = None
    after = False  # fail when the entries are on the disk, instead of before
    power = True  # else the disk fails and the program goes on

    def append(self, instant: int, bodies: Sequence[Body], signer: Signer | None) -> list[tuple[int, Body]]:
        if self.left is None:
            return super().append(instant, bodies, signer)
        self.left -= 1
        if self.left >= 0:
            return super().append(instant, bodies, signer)
        self.left = None
        if self.after:
            super().append(instant, bodies, signer)
        if self.power:
            raise PowerCutError
        self.broken = True
        raise DiskFailedError(till=self.till, epoch=self.epoch, seq=self.head.seq, why="a test says so")


@dataclass
class FailingWorld(World):
    def start(self) -> Till:
        if self.journal is not None:
            self.journal.close()
        if self.path.exists():
            self.journal = CuttingJournal.open(self.path)
        else:
            self.journal = CuttingJournal.create(self.path, "K3", self.epoch)
        till = Till(self.ports(), self.rules, str, code_of, self.find)
        till.start(self.opening())
        return till

    def fail_at(self, write: int, *, after: bool, power: bool) -> None:
        """The `write`-th append from now fails; 0 is the next."""
        journal = cast(CuttingJournal, self.journal)
        journal.left, journal.after, journal.power = write, after, power

    @property
    def failed(self) -> bool:
        """Whether the failure that was asked for has happened."""
        return cast(CuttingJournal, self.journal).left is None


def a_failing_till(folder: Path, **more: object) -> tuple[Till, FailingWorld]:
    world = FailingWorld(folder, **more)  # type: ignore[arg-type]
    till = world.start()
    till.sign_in(ALVA)
    till.drawer.set_float(50_000)
    return till, world
