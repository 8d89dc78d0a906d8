"""What stands around a till in the simulated shop: its clock, control units, printer and goods.

What these remember is what the world remembers: a receipt that came out is out, a registration that was made is made,
whatever the till's disk says afterwards. The laws are held against them.
"""

from __future__ import annotations

from collections.abc import Callable

from oppet.fiscal.unit import UnitCode, UnitRefused, UnitSilent, UnitStatus
from oppet.goods.article import Article, Price
from oppet.goods.catalogue import Catalogue
from oppet.goods.promotions import Promotion
from oppet.journal.kinds import UnitRequest
from oppet.paper.paths import PathKind, PathState, PrinterAwayError
from oppet.paper.sheet import Paper

__all__ = ["BEER", "GOODS", "WORDS", "SimPrinter", "SimUnit", "a_catalogue"]

BEER = "1004"
GOODS = ("1001", "1002", "1003", BEER, "1005", "1006")
WORDS = ("busy", "silent registered", "silent unregistered")
Said = tuple[int, int, tuple[tuple[int, int], ...]]


class SimUnit:
    """A control unit with a memory of its own: one code for each receipt, and told to fail as real ones do."""

    repeat_keeps_serial = False

    def __init__(self, unit: str, wrong: Callable[[str, str], None], count: Callable[[str], None]) -> None:
        self.unit = unit
        self.plan: list[str] = []
        self.dead = False
        self.doubtful: set[str] = set()  # registers that run twice or from an old disk: their numbers may clash
        self.registered: dict[tuple[str, str, int], Said] = {}
        self._wrong = wrong
        self._count = count

    def probe(self, register: str, org_no: str) -> UnitStatus:  # noqa: ARG002 - the port's words
        return UnitStatus(self.unit, not self.dead, "unreachable" if self.dead else "ok", "ok", "")

    def register(self, request: UnitRequest) -> UnitCode | UnitRefused | UnitSilent:
        if self.dead:
            self._count("unit dead")
            return UnitRefused(self.unit, "unreachable", "")
        word = self.plan.pop(0) if self.plan else ""
        if word:
            self._count(f"unit {word}")
        if word == "busy":
            return UnitRefused(self.unit, "busy", "")
        key = (request.register, request.receipt_type, request.receipt_id)
        if word != "silent unregistered":
            said = (request.total_ore, request.negative_ore, request.vat)
            if self.registered.setdefault(key, said) != said and request.register not in self.doubtful:
                self._wrong("2", f"register {key[0]}: {key[1]} number {key[2]} was used for two receipts")
        if word.startswith("silent"):
            return UnitSilent(self.unit, "")
        coded = request.receipt_type in ("normal", "kopia")
        return UnitCode(self.unit, f"{self.unit}-{key[0]}-{key[1]}-{key[2]}" if coded else "", "ok")

    def close(self) -> None:
        """Nothing is open."""


class SimPrinter:
    """A printer whose paper somebody reads: every sheet is shown to the laws before it counts as out."""

    kind: PathKind = "paper"

    def __init__(self, name: str, out: Callable[[Paper], None], count: Callable[[str], None]) -> None:
        self.name = name
        self.away = False
        self._out = out
        self._count = count

    def ready(self) -> PathState:
        return PathState(not self.away, "away" if self.away else "ready")

    def print(self, paper: Paper) -> None:
        if self.away:
            self._count("printer away")
            raise PrinterAwayError(name=self.name, why="away")
        self._out(paper)

    def open_drawer(self) -> None:
        if self.away:
            raise PrinterAwayError(name=self.name, why="away")


def _article(number: str, name: str, ore: int, group: str, vat: str = "food", **more: object) -> Article:
    prices = (Price("2026-01-01", ore, None, more.pop("member_ore", None)),)  # type: ignore[arg-type]
    return Article(number=number, name=name, group=group, vat=vat, unit="st", prices=prices, **more)  # type: ignore[arg-type]


def a_catalogue() -> Catalogue:
    """Goods of every sort that the sums depend on: two VAT rates and none, deposit, age, member price, an offer."""
    articles = (
        _article("1001", "Mellanmjölk 1 l", 1_690, "Mejeri", member_ore=1_490),
        _article("1002", "Rågbröd", 3_253, "Bröd"),
        _article("1003", "Cola 33 cl", 1_251, "Dryck", pant="P200"),
        _article(BEER, "Folköl 50 cl", 1_599, "Dryck", "general", age=18, pant="P200"),
        _article("1005", "Bärkasse", 707, "Övrigt", "general"),
        _article("1006", "Chips", 2_549, "Snacks", mixes=("chips",)),
        _article("P200", "Pant 2 kr", 200, "Pant", "none", discountable=False),
    )
    offer = Promotion("P1", "3 för 2 Chips", "2026-01-01", "n_for_m", mix="chips", buy=3, pay=2)
    return Catalogue("sim-1", "2026-11-01", articles, (offer,))
