"""A till in a test: real journal, real rules, and fakes for what is outside: clock, control unit, receipt path.

Fakes, not mocks: each can be told to fail as the real thing does, and remembers what reached it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from oppet.base.clock import parse_utc
from oppet.base.errors import UnavailableError
from oppet.base.signing import Signer
from oppet.drivers.journal_file import JournalFile
from oppet.fiscal.unit import UnitCode, UnitRefused, UnitSilent, UnitStatus
from oppet.goods.article import Article, Price
from oppet.goods.catalogue import Catalogue
from oppet.goods.freshness import MarkDownRule, Recall
from oppet.goods.promotions import Promotion
from oppet.journal.entry import Entry, body_of
from oppet.journal.kinds import Body, EpochOpened, Original, Receipt, UnitRequest
from oppet.paper.paths import PathKind, PathState, PrinterAwayError
from oppet.paper.sheet import Paper
from oppet.payments.paths import PayPath
from oppet.register.desk import Rules
from oppet.register.errors import NoReceiptError
from oppet.register.ports import Alone, Copies, Neighbours, Ports
from oppet.register.till import Till
from oppet.sale.rights import Staff

SUNDAY = parse_utc("2026-11-22T09:00:00.000Z")
NO_LEAST = Rules(disk_least_mb=0)  # a test's disk may be small
SECRET = bytes(range(32))
ALVA = Staff(7, "cashier")  # Alva sells
BO = Staff(3, "manager")  # Bo manages
MILK, BREAD, BANANA, COLA, BEER, BAG, PANT, CRISPS = "1001", "1002", "4011", "1003", "1004", "1005", "P200", "1006"


@dataclass
class FakeClock:
    """Says what it is told; the counter runs with it unless only the clock is set."""

    instant: int = SUNDAY
    ticks: int = 1_000

    def now(self) -> int:
        return self.instant

    def counter(self) -> int:
        return self.ticks

    def pass_ms(self, ms: int) -> None:
        self.instant += ms
        self.ticks += ms


@dataclass
class FakeUnit:
    """A control unit with a memory of its own: registers once for each receipt, and can be told to fail as real ones do.

    `plan` holds a word for each coming request: ok, busy, silent_registered, silent_unregistered. Empty means ok.
    """

    unit: str = "FAKE0001"
    repeat_keeps_serial: bool = False
    plan: list[str] = field(default_factory=list)
    dead: bool = False
    storage: str = "ok"
    requests: list[UnitRequest] = field(default_factory=list)
    registered: dict[tuple[str, int], str] = field(default_factory=dict)
    totals: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)

    def probe(self, register: str, org_no: str) -> UnitStatus:
        return UnitStatus(self.unit, not self.dead, "unreachable" if self.dead else "ok", self.storage, "")

    def register(self, request: UnitRequest) -> UnitCode | UnitRefused | UnitSilent:
        if self.dead:
            return UnitRefused(self.unit, "unreachable", "")
        self.requests.append(request)
        word = self.plan.pop(0) if self.plan else "ok"
        if word == "busy":
            return UnitRefused(self.unit, "busy", "")
        key = (request.receipt_type, request.receipt_id)
        if word != "silent_unregistered":
            said = (request.total_ore, request.negative_ore)
            assert self.totals.setdefault(key, said) == said, "one receipt number, two contents"
            code = f"{self.unit}-{request.receipt_type}-{request.receipt_id}"
            self.registered[key] = code if request.receipt_type in ("normal", "kopia") else ""
        if word.startswith("silent"):
            return UnitSilent(self.unit, "")
        return UnitCode(self.unit, self.registered[key], self.storage)

    def close(self) -> None:
        pass


@dataclass
class FakePath:
    """A printer that keeps its papers; `away` makes it fail as one whose cable is out."""

    name: str = "printer"
    kind: PathKind = "paper"
    away: bool = False
    printed: list[Paper] = field(default_factory=list)
    drawer: int = 0

    def ready(self) -> PathState:
        return PathState(not self.away, "away" if self.away else "ready")

    def print(self, paper: Paper) -> None:
        if self.away:
            raise PrinterAwayError(name=self.name, why="away")
        self.printed.append(paper)

    def open_drawer(self) -> None:
        if self.away:
            raise PrinterAwayError(name=self.name, why="away")
        self.drawer += 1


def an_article(number: str, name: str, ore: int, **more: object) -> Article:
    fields: dict[str, object] = {"group": "Mejeri", "vat": "food", "unit": "st"} | more
    member = fields.pop("member_ore", None)
    prices = fields.pop("prices", (Price("2026-01-01", ore, None, member),))  # type: ignore[arg-type]
    return Article(number=number, name=name, prices=prices, **fields)  # type: ignore[arg-type]


def goods(**more: Sequence[object]) -> Catalogue:
    """Eight articles of every sort the rules know."""
    articles = (
        an_article(MILK, "Mellanmjölk 1 l", 1_690, gtins=("07310865004703",), member_ore=1_490),
        an_article(BREAD, "Rågbröd", 3_250, group="Bröd", gtins=("07312345678909",)),
        an_article(BANANA, "Bananer", 2_790, group="Frukt", unit="kg", scale_code="456789", quick=1),
        an_article(COLA, "Cola 33 cl", 1_250, group="Dryck", gtins=("00036000291452",), pant=PANT),
        an_article(BEER, "Folköl 50 cl", 1_590, group="Dryck", vat="general", age=18, pant=PANT),
        an_article(BAG, "Bärkasse", 700, group="Övrigt", vat="general", quick=2),
        an_article(PANT, "Pant 2 kr", 200, group="Pant", vat="none", discountable=False),
        an_article(CRISPS, "Chips", 2_500, group="Snacks", mixes=("chips",)),
    )
    promotions = (Promotion("P1", "3 för 2 Chips", "2026-01-01", "n_for_m", mix="chips", buy=3, pay=2),)
    return Catalogue(
        "test-1",
        "2026-11-01",
        articles,
        promotions,
        more.get("recalls", (Recall("R1", "Glas i brödet", articles=(BREAD,), lots=("L13",)),)),  # type: ignore[arg-type]
        more.get("markdowns", (MarkDownRule(1, 50), MarkDownRule(2, 30))),  # type: ignore[arg-type]
    )


@dataclass
class World:
    """Everything around a till that outlives it: the disk, the units, the printer, the clock."""

    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    units: list[FakeUnit] = field(default_factory=lambda: [FakeUnit()])
    paths: list[FakePath] = field(default_factory=lambda: [FakePath()])
    catalogue: Catalogue = field(default_factory=goods)
    rules: Rules = NO_LEAST
    epoch: int = 1
    org_no: str = "5566778899"
    vfs: str | None = None
    copies: Copies = field(default_factory=Alone)
    neighbours: Neighbours = field(default_factory=Alone)
    payments: list[PayPath] = field(default_factory=list)
    journal: JournalFile | None = None

    @property
    def path(self) -> Path:
        return self.folder / f"K3-{self.epoch}.journal"

    def start(self) -> Till:
        """Start the till as after a power cut: whatever was open before is gone."""
        if self.journal is not None:
            self.journal.close()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.journal = JournalFile.open_or_create(self.path, "K3", self.epoch, vfs=self.vfs)
        till = Till(self.ports(), self.rules, str, code_of, self.find)
        till.start(self.opening())
        return till

    def ports(self) -> Ports:
        assert self.journal is not None
        return Ports(
            self.journal,
            Signer(SECRET),
            self.clock,
            self.units,
            self.paths,
            self.catalogue,
            "here",
            copies=self.copies,
            neighbours=self.neighbours,
            payments=self.payments,
        )

    def opening(self) -> EpochOpened:
        return EpochOpened(
            store="S01",
            company="Testköp ekonomisk förening",
            org_no=self.org_no,
            address="Storgatan 1, 652 24 Karlstad",
            register="K3-1",
            manufacturing_no="OPPET-K3-1",
            model="Öppet SE",
            software="0.1.0",
            public_key=Signer(SECRET).public.hex(),
            units=tuple(unit.unit for unit in self.units),
            installation="here",
        )

    def find(self, code: str) -> tuple[Original, Receipt]:
        raise NoReceiptError(number=0)

    def entries(self) -> list[tuple[Entry, Body | None]]:
        assert self.journal is not None
        return [(entry, body_of(entry)) for entry in self.journal.read()]

    def bodies(self, kind: type[Body]) -> list[Body]:
        return [body for _, body in self.entries() if type(body) is kind]


def code_of(receipt: Receipt, seq: int, time: str, *, electronic: bool) -> str:
    return f"OPPET:K3:{receipt.number}"


def a_till(folder: Path, **more: object) -> tuple[Till, World]:
    """A till with Alva signed in and the float registered, ready to sell."""
    world = World(folder, **more)  # type: ignore[arg-type]
    till = world.start()
    till.sign_in(ALVA)
    till.drawer.set_float(50_000)
    return till, world


__all__ = [
    "ALVA", "BAG", "BANANA", "BEER", "BO", "BREAD", "COLA", "CRISPS", "MILK", "PANT", "SUNDAY",
    "FakeClock", "FakePath", "FakeUnit", "UnavailableError", "World", "a_till", "an_article", "goods",
]  # fmt: skip
