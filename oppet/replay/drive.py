"""A planned receipt at the till: every act as a cashier does it, then what stands in the journal beside what should.

The till is the real one with its real journal; only clock, control unit and paper are of this process. The clock is
the source's, so that prices, days and Z reports fall where they fell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from oppet.base.clock import local_day
from oppet.base.errors import OppetError
from oppet.base.signing import Signer
from oppet.drivers.journal_file import JournalFile
from oppet.goods.article import Article
from oppet.goods.catalogue import Catalogue
from oppet.journal.entry import body_of
from oppet.journal.kinds import EpochOpened, Original, Receipt, SaleAbandoned
from oppet.paper.electronic import pack, pack_to_print
from oppet.register.desk import Rules
from oppet.register.errors import NoReceiptError
from oppet.register.ports import Ports
from oppet.register.state import NORMAL
from oppet.register.till import Till
from oppet.replay.plan import (
    ABANDONED,
    ORIGINAL,
    RETURN,
    Case,
    Change,
    Cut,
    Figures,
    Paid,
    Percent,
    Refuse,
    Sell,
    Slip,
    Tax,
    Void,
    uncovered,
)
from oppet.sale.errors import OddQuantityError
from oppet.sale.rights import Limits, Staff
from oppet.yardstick.in_process import InstantUnit, NoPaper

__all__ = ["Lane", "LogClock", "Profile", "Sums"]

SECRET: Final = bytes(range(32))  # a replay's journal proves nothing
SELLER, MANAGER = Staff(7, "cashier"), Staff(3, "manager")
FLOAT_ORE: Final = 1_000_000
DAY_MS: Final = 86_400_000
LIMITS: Final = Limits(void_ore=0, discount_percent=0, abandon_ore=0)  # the replay's manager approves everything

TaxRule = Callable[[Sequence[tuple[int, bool, int]], int], int]


class LogClock:
    """Shows the time of the source's line; never goes back, for the lanes of the source are many and ours is one."""

    def __init__(self, instant: int) -> None:
        self.instant = instant

    def now(self) -> int:
        return self.instant

    def counter(self) -> int:
        return self.instant

    def turn(self, instant: int) -> None:
        self.instant = max(self.instant, instant)


@dataclass(frozen=True, slots=True)
class Profile:
    """A foreign law as the till and this file need it; Swedish law is the till's own."""

    coin_ore: int
    articles: Sequence[Article]
    rates: Mapping[str, tuple[int, bool]]  # article -> (tax class, discountable)
    tax_article: str = ""
    tax: TaxRule = lambda _lines, _percent: 0


@dataclass(slots=True)
class Sums:
    """What must have been registered: counted here, held against control unit and Z reports."""

    receipts: int = 0
    sold: int = 0
    returned: int = 0
    lines: int = 0
    abandoned: int = 0
    troubles: list[str] = field(default_factory=list)


class Lane:
    """One till that takes case after case."""

    def __init__(self, folder: Path, began: int, profile: Profile) -> None:
        self._profile = profile
        self.clock = LogClock(began)
        self.unit = InstantUnit("REPLAY0001")
        self.paper = NoPaper()
        signer = Signer(SECRET)
        self.journal = JournalFile.create(folder / "replay.journal", "R1", 1)
        made = local_day(began)
        catalogue = Catalogue("replay", made, profile.articles)
        if catalogue.rejected:
            raise AssertionError(catalogue.rejected[:3])

        def code(receipt: Receipt, seq: int, time: str, *, electronic: bool) -> str:
            make = pack if electronic else pack_to_print
            return make(receipt, self.journal.till, self.journal.epoch, seq, time, self.journal.digest_at(seq), signer)

        ports = Ports(self.journal, signer, self.clock, [self.unit], [self.paper], catalogue, "replay")
        rules = Rules(LIMITS, disk_least_mb=0)
        self.till = Till(ports, rules, str, code, _no_codes, profile.coin_ore)
        self.till.start(_opening(signer, self.unit.unit))
        self.till.sign_in(SELLER)
        self.till.drawer.set_float(FLOAT_ORE)
        self.sums = Sums()
        self._day = began // DAY_MS
        self._closed = Sums()

    def sell(self, case: Case) -> str:
        """Run one case; give what is wrong with it, or nothing. A till that says no unexpectedly is wrong too."""
        self.clock.turn(case.time)
        if case.time // DAY_MS > self._day:
            self.close_day()
            self._day = case.time // DAY_MS
            self.till.drawer.set_float(FLOAT_ORE)
        if case.trouble:
            return case.trouble
        if left := uncovered(case):
            return f"not covered by any reason: {left}"
        wrong = []
        for slip in case.slips:
            try:
                wrong.append(self._slip(slip))
            except OppetError as refused:
                wrong.append(f"the till refused: {refused}")
                self._clear()
        return "; ".join(filter(None, wrong))

    def close_day(self) -> None:
        """A Z report: what it says of sales and returns must be what this file counted since the last."""
        made = self.till.drawer.z(MANAGER)
        report, since = made.report, self._closed
        said = (report.sales_ore, report.returns_ore, report.receipts + report.returns)
        counted = (
            self.sums.sold - since.sold,
            self.sums.returned - since.returned,
            self.sums.receipts - since.receipts,
        )
        if said != counted:
            self.sums.troubles.append(f"Z {made.number} says {said}, the receipts {counted}")
        self._closed = Sums(self.sums.receipts, self.sums.sold, self.sums.returned)

    def finish(self) -> None:
        """Close the last day and hold the control unit's counts against ours."""
        self.close_day()
        told = (self.unit.receipts, self.unit.total_ore, self.unit.negative_ore)
        counted = (self.sums.receipts, self.sums.sold, self.sums.returned)
        if told != counted:
            self.sums.troubles.append(f"the control unit registered {told}, the receipts are {counted}")
        self.till.stop()
        self.journal.close()

    # --- one slip

    def _slip(self, slip: Slip) -> str:
        lines = self._return(slip) if slip.kind == RETURN else self._acts(slip)
        if slip.kind == ABANDONED:
            return self._abandon(slip, lines)
        outcomes = [self.till.checkout.pay(paid.means, paid.given, paid.reference) for paid in slip.expect.paid]
        if not outcomes or outcomes[-1].kind != "done":
            self._clear()
            return f"paying ended with {outcomes[-1:]}"
        receipt = self._written(outcomes[-1].number)
        self.sums.receipts += 1
        self.sums.lines += len(receipt.lines)
        if slip.kind == RETURN:
            self.sums.returned += receipt.total_ore
        else:
            self.sums.sold += receipt.total_ore
        return _difference(slip, self._read(receipt))

    def _written(self, number: int) -> Receipt:
        """The receipt as the journal has it on disk, not as the till remembers it."""
        seq = self.journal.find_receipt(NORMAL, number)
        assert seq is not None, "a receipt's number is nowhere in the journal"
        receipt = body_of(next(self.journal.read(seq, seq)))
        assert isinstance(receipt, Receipt), "a receipt's number holds no receipt"
        return receipt

    def _acts(self, slip: Slip) -> list[int]:
        """Do what the plan says; the till's line numbers of what was sold."""
        selling = self.till.selling
        lines: list[int] = []
        for act in slip.acts:
            match act:
                case Sell(article, milli, text):
                    added = selling.scan(text, milli) if text else selling.pick(article, milli)
                    assert added.article == article, f"{text} scanned to {added.article}, not {article}"
                    lines.append(added.line)
                case Refuse(article, milli):
                    try:
                        selling.pick(article, milli)
                    except OddQuantityError:
                        continue
                    raise AssertionError(f"the till sold {milli} thousandths of {article}")
                case Void(place):
                    selling.void(lines[place], MANAGER)
                case Change(place, milli):
                    selling.change(lines[place], milli, MANAGER)
                case Cut(place, cents, why):
                    selling.discount(lines[place] if place >= 0 else 0, 0, cents, why, MANAGER)
                case Percent(percent):
                    selling.discount(0, percent, 0, f"{percent} %", MANAGER)
                case Tax(percent, printed):
                    self._tax(percent, printed)
        return lines

    def _tax(self, percent: int, printed: int | None) -> None:
        """The foreign tax on what the till itself says the lines cost, before the basket's percent."""
        desk, rates = self.till.desk, self._profile.rates
        taxed = [
            (
                *rates[line.line.added.article],
                line.line.amount_ore - sum(d.ore for d in line.discounts if d.kind == "line"),
            )
            for line in desk.priced(desk.basket()).lines
        ]
        cents = self._profile.tax(taxed, percent) if printed is None else printed
        if cents:
            self.till.selling.pick(self._profile.tax_article, cents * 10)

    def _return(self, slip: Slip) -> list[int]:
        """Take back all of the receipt before: nothing may be left of it afterwards (R17)."""
        last = self.till.desk.state.last_receipt
        assert last is not None, "a return follows its original"
        returns = self.till.returns
        returns.begin(str(last.number), MANAGER)
        lines = [returns.take(line.line.line, line.left_milli).line for line in returns.lines()]
        assert not any(line.left_milli for line in returns.lines()), f"{slip.kind}: something is left of the original"
        return lines

    def _abandon(self, slip: Slip, lines: list[int]) -> str:
        if not lines and not self.till.desk.state.current:
            return ""  # everything on it was refused
        desk = self.till.desk
        total = desk.priced(desk.basket()).total_ore
        found = tuple((line.quantity_milli, line.amount_ore) for line in desk.basket().standing())
        self.till.selling.abandon("replay", MANAGER)
        self.sums.abandoned += 1
        said = (found, total)
        wanted = (slip.expect.lines, slip.expect.total)
        entry = next(self.journal.read(self.journal.head.seq))
        body = body_of(entry)
        if not isinstance(body, SaleAbandoned) or body.amount_ore != total:
            return "the journal does not say that it was given up"
        return "" if said == wanted else f"given up at {said}, not {wanted}"

    def _read(self, receipt: Receipt) -> Figures:
        """Our receipt in the plan's words."""
        tax = self._profile.tax_article
        goods = [line for line in receipt.lines if not tax or line.article != tax]
        off = sum(discount.ore for line in goods for discount in line.discounts)
        return Figures(
            tuple((line.quantity_milli, line.amount_ore) for line in goods),
            off,
            sum(line.net_ore for line in receipt.lines if tax and line.article == tax),
            receipt.total_ore,
            tuple(Paid(t.means, t.reference, t.given_ore, t.amount_ore, t.change_ore) for t in receipt.tenders),
        )

    def _clear(self) -> None:
        """After a failure: give tenders back and the basket up, so that the next receipt meets a free till."""
        desk = self.till.desk
        basket = desk.state.baskets.get(desk.state.current)
        if basket is None:
            return
        for tender in list(basket.tenders):
            self.till.checkout.take_back(tender)
        self.till.selling.abandon("replay", MANAGER)


def _difference(slip: Slip, found: Figures) -> str:
    """In words, the first figure that is not as it should be."""
    wanted = slip.expect
    names = ("lines", "off", "tax", "total", "paid")
    for name in names:
        if getattr(found, name) != getattr(wanted, name):
            what = "the original's " if slip.kind == ORIGINAL else ""
            return f"{what}{name}: {getattr(found, name)}, not {getattr(wanted, name)}"
    return ""


def _no_codes(code: str) -> tuple[Original, Receipt]:  # noqa: ARG001 - the port's word
    raise NoReceiptError(number=0)


def _opening(signer: Signer, unit: str) -> EpochOpened:
    return EpochOpened(
        store="R",
        company="Replay",
        org_no="5566778899",
        address="–",
        register="R1-1",
        manufacturing_no="REPLAY-1",
        model="Öppet SE",
        software="replay",
        public_key=signer.public.hex(),
        units=(unit,),
        installation="replay",
    )
