"""A store's tills that really sell: journals to feed the manager's pages with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from oppet.base.signing import Signer
from oppet.drivers.journal_file import JournalFile
from oppet.journal.entry import Head
from oppet.journal.kinds import EpochOpened
from oppet.register.ports import Alone, Ports
from oppet.register.till import Till
from oppet.sale.rights import Staff
from tests.register.world import BAG, BANANA, COLA, CRISPS, MILK, World, code_of

__all__ = ["ALVA", "BASKETS", "BO", "SoManyCopies", "StoreTill", "a_store_till", "sell"]

ALVA = Staff(101, "cashier")  # Alva sells
BO = Staff(301, "manager")  # Bo manages
BASKETS = ((MILK, BAG), (CRISPS, CRISPS, CRISPS), (COLA,), (MILK, COLA, BAG, MILK), (BAG,), (CRISPS, COLA, MILK))


class SoManyCopies(Alone):
    """As many keepers as the test says."""

    def __init__(self, keepers: int) -> None:
        self.count = keepers

    def second(self, head: Head) -> int:
        return self.count

    def confirm(self, head: Head) -> bool:
        return self.count > 0


@dataclass
class StoreTill(World):
    """A world whose till has a name and a key of its own, and keepers."""

    name: str = "S01-K1"
    secret: bytes = bytes([11]) * 32
    keepers: SoManyCopies = field(default_factory=lambda: SoManyCopies(1))

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}-{self.epoch}.journal"

    def start(self) -> Till:
        if self.journal is not None:
            self.journal.close()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.journal = JournalFile.open_or_create(self.path, self.name, self.epoch, vfs=self.vfs)
        till = Till(self.ports(), self.rules, str, code_of, self.find)
        till.start(self.opening())
        return till

    def ports(self) -> Ports:
        assert self.journal is not None
        signer = Signer(self.secret)
        return Ports(
            self.journal,
            signer,
            self.clock,
            self.units,
            self.paths,
            self.catalogue,
            "here",
            copies=self.keepers,
            payments=self.payments,
        )

    def opening(self) -> EpochOpened:
        return EpochOpened(
            store="S01",
            company="Testköp ekonomisk förening",
            org_no=self.org_no,
            address="Storgatan 1, 652 24 Karlstad",
            register=f"{self.name[-2:]}-{self.epoch}",
            manufacturing_no=f"OPPET-{self.name}-{self.epoch}",
            model="Öppet SE",
            software="0.3.0",
            public_key=Signer(self.secret).public.hex(),
            units=tuple(unit.unit for unit in self.units),
            installation="here",
        )

    def exact(self) -> list[bytes]:
        """The journal's entries, byte for byte."""
        assert self.journal is not None
        return [self.journal.raw(entry.seq) for entry in self.journal.read()]


def a_store_till(folder: Path, name: str = "S01-K1", **more: object) -> tuple[Till, StoreTill]:
    """A till with Alva signed in and the float registered."""
    world = StoreTill(folder, name=name, secret=bytes([10 + int(name[-1])]) * 32, **more)  # type: ignore[arg-type]
    till = world.start()
    till.sign_in(ALVA)
    till.drawer.set_float(50_000)
    return till, world


def sell(till: Till, *goods: str, means: str = "cash", given_ore: int = 100_000) -> None:
    """One sale from the first article to the receipt."""
    for article in goods or BASKETS[0]:
        till.selling.pick(article, 500 if article == BANANA else None)
    if means == "cash":
        till.checkout.pay("cash", given_ore)
    else:
        till.checkout.pay(means, till.desk.priced(till.desk.basket()).total_ore, "ref")
