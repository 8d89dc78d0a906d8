"""What the till needs of the world, as small protocols; `drivers/` does them, tests and the simulator fake them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from oppet.base.errors import OppetError
from oppet.base.signing import Signer
from oppet.fiscal.unit import ControlUnit
from oppet.goods.catalogue import Catalogue
from oppet.journal.entry import Entry, Head
from oppet.journal.kinds import Body, Elsewhere, Original, ReceiptTender
from oppet.paper.paths import ReceiptPath
from oppet.payments.paths import PayPath
from oppet.payments.risk import InvoiceCustomer
from oppet.register.errors import NeighboursAwayError
from oppet.sale.lines import Came

__all__ = ["Alone", "Clock", "Copies", "Journal", "KeeperState", "Neighbours", "Parked", "Ports"]


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


class KeeperState(msgspec.Struct, frozen=True):
    """One keeper as the page shows it."""

    name: str
    place: str  # store | till | hq
    kept: int  # the last of our entries it has, by its signed word
    behind: int  # how many of ours it is not known to have
    heard: str  # when it last gave its word, UTC; "" for never
    silent: bool  # it did not answer when it was last asked
    why: str = ""  # what it failed at


class Copies(Protocol):
    """The keepers, as the checkout needs them. A fake begins best as a child of `Alone`."""

    def second(self, head: Head) -> int:
        """Wait, within the 80 ms budget, until keepers in the store have `head`; give how many. Never raises."""
        ...

    def confirm(self, head: Head) -> bool:
        """Before the first entry after boot: compare heads with whatever keeper answers; False when none does.

        Raises OldImageError for a restored disk, ForkedError, EpochRevokedError.
        """
        ...

    def refusal(self) -> OppetError | None:
        """Why no new sale may begin: a keeper that was reached since has shown that this disk is an old copy, that its
        history forked, or that its epoch is revoked. None while all is well; the sale in progress may end."""
        ...

    def keepers(self) -> Sequence[KeeperState]:
        """How every keeper stands, for the page."""
        ...


class Parked(msgspec.Struct, frozen=True):
    """A basket that waits at another till of the store."""

    at: Elsewhere
    since: str  # UTC
    lines: int
    total_ore: int  # before discounts
    by: int


class Neighbours(Protocol):
    """The store's other tills, by way of the store node. Every call raises UnavailableError when it does not answer."""

    def parked(self) -> Sequence[Parked]:
        """Baskets parked at other tills, oldest first."""
        ...

    def gone(self) -> Sequence[tuple[int, Elsewhere]]:
        """Our own parked baskets that went on at another till, (ours, theirs with sale 0), as `parked` last heard."""
        ...

    def take(self, at: Elsewhere) -> Sequence[Body]:
        """Take one over: what was journalled about it, in order, from its SaleOpened on.

        Raises TakenElsewhereError if it is gone, and what else the store refuses."""
        ...

    def resume(self, sale: int) -> None:
        """Our own parked basket goes on here. Raises TakenElsewhereError if another till has taken it."""
        ...

    def at_risk_ore(self) -> int:
        """What the store's other tills took at risk today, as last heard; 0 when nobody has said. Never raises."""
        ...

    def hold(self, original: Original) -> Mapping[int, Came]:
        """Nobody else returns on this receipt while we do; gives what came back of its lines at other tills.

        Raises HeldElsewhereError while another till holds it."""
        ...

    def spend(self, voucher: str) -> None:
        """This till takes this pant voucher, and nobody else does from now on. Raises VoucherUsedError."""
        ...

    def paid(self, original: Original) -> Sequence[ReceiptTender]:
        """How that receipt was paid, as the last `hold` on it heard; nothing when nobody has said. Never raises."""
        ...


class Alone:
    """No keeper and no neighbour: what a till on its own has, and what tests begin with.

    It has no other till either: nobody takes its baskets or returns on its receipts.
    """

    def second(self, head: Head) -> int:  # noqa: ARG002
        return 0

    def confirm(self, head: Head) -> bool:  # noqa: ARG002
        return False

    def refusal(self) -> OppetError | None:
        return None

    def keepers(self) -> Sequence[KeeperState]:
        return ()

    def parked(self) -> Sequence[Parked]:
        return ()

    def gone(self) -> Sequence[tuple[int, Elsewhere]]:
        return ()

    def take(self, at: Elsewhere) -> Sequence[Body]:  # noqa: ARG002
        raise NeighboursAwayError

    def resume(self, sale: int) -> None:
        pass

    def at_risk_ore(self) -> int:
        return 0

    def hold(self, original: Original) -> Mapping[int, Came]:  # noqa: ARG002
        return {}

    def spend(self, voucher: str) -> None:
        pass

    def paid(self, original: Original) -> Sequence[ReceiptTender]:  # noqa: ARG002
        return ()


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
    copies: Copies = field(default_factory=Alone)
    neighbours: Neighbours = field(default_factory=Alone)
    payments: Sequence[PayPath] = ()  # in the order they are offered
    invoices: Mapping[str, InvoiceCustomer] | None = None  # by token; None: invoices are entered with nobody's list
