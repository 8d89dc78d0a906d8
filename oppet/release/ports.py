"""What the intake needs of the world, as small protocols: somebody who looks at the repositories, and the two slots a till runs from.

Nothing here waits: what takes time is begun, goes on in a thread of its own, and is heard of at a later tick. Checking, unpacking
and the self-test are `drivers/slots.py`'s; which release, and when, is `intake.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from oppet.journal.kinds_published import SlotSeen
from oppet.release.agree import Agreed
from oppet.release.found import Found
from oppet.release.terms import Software

__all__ = [
    "FAILED", "FETCHING", "IDLE", "READY", "SWITCH_EXIT", "TESTING", "Began", "Looker", "NoSlots", "Progress", "Returned", "Slots",
    "Standing",
]  # fmt: skip

SWITCH_EXIT: Final = 75  # a till that ends with this code asks its launcher to start the other slot

IDLE: Final = "idle"
FETCHING: Final = "fetching"  # pieces come, and are put together
TESTING: Final = "testing"  # every byte is checked; the self-test runs
READY: Final = "ready"  # the whole image is in the other slot, checked and tested
FAILED: Final = "failed"


class Looker(Protocol):
    """Looks at all repositories in a thread of its own."""

    def ask(self, now_ms: int) -> None:
        """Look soon, at this time; nothing happens where a look is under way."""
        ...

    def heard(self) -> Found | None:
        """What the last look gave, each once; None while there is nothing new."""
        ...


@dataclass(frozen=True, slots=True)
class Began:
    """This run is the first on the slot's release: the launcher has just switched."""

    before: int  # release that ran until now
    dark_ms: int = 0  # from the last page of the old to the start of the new


@dataclass(frozen=True, slots=True)
class Returned:
    """The launcher has gone back by itself from a slot that did not prove itself. Told at every start until `acknowledge`."""

    release: int
    image: str
    why: str  # self_test | slot_changed | did_not_start
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What runs and what lies in the slots, as last read; never asks the disk."""

    active: str = ""  # a | b; "" where no launcher started this till
    running: Software | None = None  # of the slot this process was started from; None for one from no slot
    slots: tuple[SlotSeen, ...] = ()
    checked: int = 0  # how often `check` has been through since the start
    began: Began | None = None
    returned: Returned | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the fetching of a release has come."""

    stage: str = IDLE  # idle | fetching | testing | ready | failed
    release: int = 0
    image: str = ""
    slot: str = ""
    done: int = 0  # bytes of the image that are here
    whole: int = 0
    fetched: int = 0  # bytes that came over a wire or stick
    took_ms: int = 0
    why: str = ""  # of failed: a word of `terms.REASONS`, or "away" where no source answered
    facts: tuple[tuple[str, str], ...] = ()


class Slots(Protocol):
    def now(self) -> Standing:
        """Cheap: asked at every tick."""
        ...

    def check(self) -> None:
        """Read every file of both slots anew, in a thread; `Standing.checked` counts when it is through."""
        ...

    def fetch(self, agreed: Agreed) -> None:
        """Begin to bring this release into the slot that does not run, check it and let it test itself.

        What is under way for another image ends; the same one asked for again goes on where it was, and one that failed begins
        anew with what is already here.
        """
        ...

    def progress(self) -> Progress: ...

    def drop(self) -> None:
        """Nobody wants what is being fetched any more. What is whole stays."""
        ...

    def switch(self, image: str) -> None:
        """From the next start on the other slot runs; the caller then ends the process with SWITCH_EXIT, best once `followed`.

        Durable when it returns, and quick: the launcher itself checks every file before it starts what is there.
        Raises TargetRefusedError (why slot_changed) where the slot does not hold this image, UnavailableError for a failed disk.
        """
        ...

    def followed(self) -> bool:
        """After `switch`: the next release is loaded and waits for nothing but the journal. Who ends before that is dark for longer."""
        ...

    def proven(self) -> None:
        """The release that runs works here: the launcher stops counting its tries. Said once a run, after the first page."""
        ...

    def acknowledge(self) -> None:
        """`Standing.returned` is in the journal: it need not be told again."""
        ...

    def close(self) -> None: ...


class NoSlots:
    """A till that no launcher started: it looks, judges and says what it sees, and installs nothing."""

    def now(self) -> Standing:
        return Standing()

    def check(self) -> None:
        pass

    def fetch(self, agreed: Agreed) -> None:
        pass

    def progress(self) -> Progress:
        return Progress()

    def drop(self) -> None:
        pass

    def switch(self, image: str) -> None:
        pass

    def followed(self) -> bool:
        return True

    def proven(self) -> None:
        pass

    def acknowledge(self) -> None:
        pass

    def close(self) -> None:
        pass
