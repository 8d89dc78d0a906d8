"""What the till needs of the world, as small protocols; `drivers/` does them, tests and the simulator fake them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from oppet.base.signing import Signer
from oppet.fiscal.unit import ControlUnit
from oppet.goods.catalogue import Catalogue
from oppet.journal.entry import Entry, Head
from oppet.journal.kinds import Body
from oppet.paper.paths import ReceiptPath

__all__ = ["Clock", "Journal", "Ports"]


class Clock(Protocol):
    def now(self) -> int:
        """Milliseconds since 1970 UTC, as the machine believes."""
        ...

    def counter(self) -> int:
        """Milliseconds on a counter that only runs forward and that nobody sets."""
        ...


class Journal(Protocol):
    till: str
    epoch: int
    head: Head
    broken: bool

    def append(
        self,
        instant: int,
        bodies: Sequence[Body],
        signer: Signer | None,
    ) -> list[tuple[int, Body]]: ...

    def recover(self) -> Head: ...

    def read(self, first: int = 1, last: int | None = None) -> Iterator[Entry]: ...

    def load_view(self, name: str) -> tuple[int, str, bytes] | None: ...

    def save_view(self, name: str, seq: int, digest: str, data: bytes) -> None: ...

    def find_receipt(self, series: str, number: int) -> int | None: ...

    def free_bytes(self) -> int: ...


@dataclass
class Ports:
    journal: Journal
    signer: Signer
    clock: Clock
    units: Sequence[ControlUnit]  # in the order they are asked
    paths: Sequence[ReceiptPath]  # in the order they are tried
    catalogue: Catalogue
    installation: str  # a digest that differs between machines
    others: dict[tuple[str, int], bytes] = field(default_factory=dict)  # public keys of the store's other tills
