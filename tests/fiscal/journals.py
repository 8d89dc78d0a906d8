"""Journals made up for the fiscal tests: a small till that writes consistent entries, by hand or from a seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from hypothesis import settings
from hypothesis import strategies as st

from oppet.base.clock import parse_utc, utc_text
from oppet.base.money import round_half_up, spread
from oppet.fiscal.tally import Identity, Tally, follow
from oppet.journal.entry import NOTHING, Entry, Head, parse, seal
from oppet.journal.kinds import (
    Body,
    CashCounted,
    CashMoved,
    CodeUnknown,
    CopyMade,
    DrawerOpened,
    EpochOpened,
    FloatSet,
    LineAdded,
    LineChanged,
    LineDiscount,
    LineVoided,
    PriceAsked,
    Receipt,
    ReceiptLine,
    ReceiptTender,
    RegistrationSent,
    ReportMade,
    SaleAbandoned,
    SaleOpened,
    SaleParked,
    SaleResumed,
    SignedIn,
    SignedOut,
    TenderReversed,
    TenderTaken,
    UnitAnswered,
    UnitRequest,
    VatAmount,
)

unhurried = settings(deadline=None)  # a busy machine is no finding
ALVA, BO = 7, 3  # Alva sells, Bo manages
MORNING = parse_utc("2026-11-22T07:00:00.000Z")
UNIT = "RIHTT131550010466"
TILL = "K3"
IDENTITY = Identity("Bygdens Konsum ek. för.", "5566778899", "K3-1")
EPOCH = EpochOpened(
    store="Ljusdal",
    company=IDENTITY.company,
    org_no=IDENTITY.org_no,
    address="Storgatan 1, 827 30 Ljusdal",
    register=IDENTITY.register,
    manufacturing_no="OPPET-000317",
    model="Oppet SE",
    software="1.0.0",
    public_key="ab" * 32,
    units=(UNIT,),
    installation="cd" * 32,
)
GOODS = [  # article, name, group, kind, unit, unit price in öre, VAT rate
    ("1001", "Mjölk 1 l", "Mejeri", "vara", "st", 1690, 600),
    ("1002", "Rågbröd", "Bröd", "vara", "st", 3295, 600),
    ("1003", "Ost, herrgård", "Mejeri", "vara", "kg", 12990, 600),
    ("2001", "Diskmedel", "Kemi", "vara", "st", 2450, 2500),
    ("3001", "Tidning & korsord", "Tidningar", "vara", "st", 4900, 600),
    ("4001", "Lunch på plats", "Servering", "tjanst", "st", 9500, 1200),
]
PANT = ("9001", "Pant 2 kr", "Pant", "vara", "st", 200, 0)


def vat_ore(gross_ore: int, rate: int) -> int:
    return round_half_up(gross_ore * rate, 10_000 + rate)


def vat_of(lines: Iterable[ReceiptLine]) -> tuple[VatAmount, ...]:
    gross: dict[int, int] = {}
    for line in lines:
        gross[line.vat_rate] = gross.get(line.vat_rate, 0) + line.net_ore
    return tuple(VatAmount(rate, gross[rate], vat_ore(gross[rate], rate)) for rate in sorted(gross, reverse=True))


def a_line(
    number: int,
    goods: tuple[str, str, str, str, str, int, int] = GOODS[0],
    quantity_milli: int = 1000,
    discount_ore: int = 0,
    pant_of: int = 0,
    time: str = "2026-11-22T07:00:00.000Z",
) -> ReceiptLine:
    article, name, group, kind, unit, unit_ore, rate = goods
    amount = round_half_up(unit_ore * quantity_milli, 1000)
    net = amount - discount_ore
    off = (LineDiscount("promotion", "Kampanj", discount_ore, "P1"),) if discount_ore else ()
    return ReceiptLine(
        number, article, name, group, kind, quantity_milli, unit, unit_ore, amount, off, net, rate, vat_ore(net, rate),
        time, article, "", pant_of,
    )  # fmt: skip


@dataclass
class Shop:
    """One till's epoch: writes bodies in the order a till would."""

    bodies: list[Body] = field(default_factory=lambda: [EPOCH])
    step_ms: int = 1500
    sale: int = 0
    number: int = 0
    training: int = 0
    copy: int = 0
    z: int = 0
    serial: int = 0
    tally: Tally = field(default_factory=Tally)
    seen: int = 0

    def write(self, *bodies: Body) -> None:
        self.bodies.extend(bodies)

    def time(self) -> str:
        return utc_text(MORNING + len(self.bodies) * self.step_ms)

    def entries(self) -> list[Entry]:
        head, entries = Head(0, NOTHING), []
        for place, body in enumerate(self.bodies):
            data, head = seal(head, TILL, 1, MORNING + place * self.step_ms, body)
            entries.append(parse(data))
        return entries

    def open(self, mode: str = "sale", lines: Iterable[ReceiptLine] = ()) -> int:
        self.sale += 1
        self.write(SaleOpened(self.sale, mode, ALVA))
        for line in lines:
            self.write(self.added(line))
        return self.sale

    def added(self, line: ReceiptLine) -> LineAdded:
        return LineAdded(
            self.sale, line.line, line.article, line.name, line.group, line.kind, line.quantity_milli, line.unit,
            line.unit_ore, line.amount_ore, line.vat_rate, pant_of=line.pant_of, discounts=line.discounts,
        )  # fmt: skip

    def register(self, kind: str, receipt_type: str, number: int, total_ore: int, *, answered: bool = True) -> str:
        """Write what passes between till and unit; gives the code."""
        self.serial += 1
        back = kind == "return"
        request = UnitRequest(
            UNIT, self.serial, number, receipt_type, "202611220800", EPOCH.org_no, EPOCH.register,
            0 if back else total_ore, total_ore if back else 0, (),
        )  # fmt: skip
        code = "" if receipt_type == "ovning" else f"CODE{self.serial:028d};{number:026d}"
        self.write(RegistrationSent(self.sale, 1, request))
        if answered:
            self.write(UnitAnswered(self.sale, receipt_type, number, UNIT, code, "ok"))
        return code

    def finish(
        self, lines: Iterable[ReceiptLine], kind: str = "sale", means: Iterable[tuple[str, int]] = ()
    ) -> Receipt:
        """Pay with `means` (name, öre) and the rest in cash, register, and write the receipt."""
        lines = tuple(lines)
        total = sum(line.net_ore for line in lines)
        paid = [ReceiptTender(name, ore, ore, 0, "REF1") for name, ore in means]
        left = total - sum(tender.amount_ore for tender in paid)
        rounding = 0
        if left or not paid:
            due = (left + 50) // 100 * 100
            rounding = due - left
            paid.append(ReceiptTender("cash", due, due + 10_000, 10_000))
        for place, tender in enumerate(paid, 1):
            self.write(
                TenderTaken(
                    self.sale,
                    place,
                    tender.means,
                    tender.amount_ore,
                    tender.given_ore,
                    tender.change_ore,
                    tender.reference,
                )
            )
        if kind == "training":
            self.training += 1
            number = self.training
            code = self.register(kind, "ovning", number, total)
        else:
            self.number += 1
            number = self.number
            code = self.register(kind, "normal", number, total)
        vat = vat_of(lines)
        receipt = Receipt(
            self.sale, kind, number, EPOCH.company, EPOCH.org_no, EPOCH.address, EPOCH.register, ALVA,
            with_vat(lines, vat), total, rounding, vat, tuple(paid), UNIT, code,
        )  # fmt: skip
        self.write(receipt)
        return receipt

    def sell(self, lines: Iterable[ReceiptLine], kind: str = "sale", means: Iterable[tuple[str, int]] = ()) -> Receipt:
        lines = tuple(lines)
        self.open(kind, lines)
        return self.finish(lines, kind, means)

    def copy_of(self, receipt: Receipt) -> None:
        self.copy += 1
        code = self.register(receipt.kind, "kopia", self.copy, receipt.total_ore)
        self.write(CopyMade(self.copy, receipt.number, receipt.kind, receipt.total_ore, UNIT, code, ALVA))

    def code_unknown(self, lines: Iterable[ReceiptLine], means: str = "card") -> None:
        lines = tuple(lines)
        total = sum(line.net_ore for line in lines)
        self.open("sale", lines)
        self.write(TenderTaken(self.sale, 1, means, total, total, 0, "REF2"))
        self.number += 1
        self.register("sale", "normal", self.number, total, answered=False)
        self.write(CodeUnknown(self.sale, "normal", self.number, UNIT, total, 0))

    def fold(self) -> Tally:
        while self.seen < len(self.bodies):
            self.tally = follow(self.tally, self.seen + 1, self.bodies[self.seen])
            self.seen += 1
        return self.tally

    def report(self, kind: str = "x") -> ReportMade:
        if kind == "z":
            self.z += 1
        made = ReportMade(kind, self.z if kind == "z" else 0, self.fold().report(IDENTITY), BO)
        self.write(made)
        return made


def with_vat(lines: tuple[ReceiptLine, ...], vat: tuple[VatAmount, ...]) -> tuple[ReceiptLine, ...]:
    """The lines with the receipt's VAT shared out, as the sale room does it."""
    parts: dict[int, int] = {}
    for amount in vat:
        at_rate = [line for line in lines if line.vat_rate == amount.rate]
        shares = spread(amount.vat_ore, [line.net_ore for line in at_rate])
        parts.update({line.line: share for line, share in zip(at_rate, shares, strict=True)})
    return tuple(
        ReceiptLine(**{name: getattr(line, name) for name in line.__struct_fields__} | {"vat_ore": parts[line.line]})
        for line in lines
    )


def some_lines(chance: Random) -> tuple[ReceiptLine, ...]:
    lines: list[ReceiptLine] = []
    for _ in range(chance.randint(1, 5)):
        goods = chance.choice(GOODS)
        quantity = chance.randint(20, 3000) if goods[4] == "kg" else chance.randint(1, 4) * 1000
        amount = round_half_up(goods[5] * quantity, 1000)
        off = chance.randint(1, amount) if chance.random() < 0.3 else 0
        lines.append(a_line(len(lines) + 1, goods, quantity, off))
        if chance.random() < 0.2:
            lines.append(a_line(len(lines) + 1, PANT, quantity // 1000 * 1000 or 1000, pant_of=len(lines)))
    return tuple(lines)


def some_means(chance: Random, total_ore: int) -> tuple[tuple[str, int], ...]:
    kind = chance.random()
    if kind < 0.4 or not total_ore:
        return ()
    if kind < 0.8:
        return ((chance.choice(["card", "swish"]), total_ore),)
    return (("gift_card", chance.randint(1, total_ore)),)


def act(shop: Shop, action: str, chance: Random) -> None:
    """Do one thing that happens in a shop, as `chance` wills."""
    lines = some_lines(chance)
    total = sum(line.net_ore for line in lines)
    match action:
        case "sale" | "return" | "training":
            shop.sell(lines, action, some_means(chance, total))
        case "copy":
            shop.copy_of(shop.sell(lines, chance.choice(["sale", "return"])))
        case "unknown":
            shop.code_unknown(lines, chance.choice(["cash", "card"]))
        case "x" | "z":
            shop.report(action)
        case "drawer" | "cash" | "count" | "float":
            at_the_drawer(shop, action, chance)
        case _:
            mode = "training" if action == "void a training line" else "sale"
            shop.open(mode, lines)
            in_a_basket(shop, action, lines, chance)


def at_the_drawer(shop: Shop, action: str, chance: Random) -> None:
    match action:
        case "drawer":
            shop.write(DrawerOpened("change", ALVA, BO), PriceAsked("1001", 1690, ALVA))
        case "cash":
            shop.write(CashMoved(chance.randint(-500, 500) * 100, "safe", BO))
        case "count":
            expected = shop.fold().cash_expected_ore()
            off = chance.randint(-20, 20) * 100
            shop.write(CashCounted((), expected + off, expected, off, BO))
        case _:
            shop.write(SignedIn(ALVA, "cashier"), FloatSet(chance.randint(0, 30) * 10_000, BO), SignedOut(ALVA))


def in_a_basket(shop: Shop, action: str, lines: tuple[ReceiptLine, ...], chance: Random) -> None:
    total, sale = sum(line.net_ore for line in lines), shop.sale
    match action:
        case "leave open":
            pass
        case "change":
            shop.write(LineChanged(sale, 1, chance.randint(1, 9) * 1000, chance.randint(1, 20_000)))
            shop.write(*(LineVoided(sale, line.line, line.amount_ore, ALVA, 0) for line in lines[1:]))
            shop.finish(lines[:1])
        case "void a training line":
            shop.write(LineVoided(sale, 1, lines[0].amount_ore, ALVA, 0), SaleAbandoned(sale, 0, "training", ALVA))
        case "abandon":
            shop.write(SaleAbandoned(sale, total, "customer left", ALVA))
        case "park":
            shop.write(SaleParked(sale, ALVA), SaleResumed(sale, ALVA))
            shop.finish(lines)
        case "reverse":
            shop.write(TenderTaken(sale, 1, "cash", 10_000, 10_000, 0))
            shop.write(TenderReversed(sale, 1, "cash", 10_000, "no unit"), SaleAbandoned(sale, total, "no unit", ALVA))
        case "tender without sale":
            shop.write(TenderTaken(sale, 1, chance.choice(["cash", "card"]), 12_300, 12_300, 0, "REF3"))
        case _:
            raise AssertionError(action)


ACTIONS = [
    "sale", "sale", "sale", "return", "training", "copy", "change", "void a training line", "abandon", "leave open",
    "park", "reverse", "tender without sale", "unknown", "drawer", "cash", "count", "float", "x", "z",
]  # fmt: skip


def a_shop(actions: Iterable[tuple[str, int]]) -> Shop:
    shop = Shop()
    for action, seed in actions:
        act(shop, action, Random(seed))
    return shop


def happenings(*, without: str = "") -> st.SearchStrategy[list[tuple[str, int]]]:
    """What happens in a shop, as hypothesis wills."""
    names = [action for action in ACTIONS if action != without]
    return st.lists(st.tuples(st.sampled_from(names), st.integers(0, 2**20)), max_size=25)
