"""What the pages show: journal, basket and devices as plain values, so that templates only lay out.

Text from goods is clipped and printable before it comes here or is made so; Jinja escapes it. Leaves words to `words.py` and HTML to
`templates/`. No view decides anything: a button that shows and must not work is refused by the room that knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from oppet.base.clock import local_minute, parse_utc
from oppet.base.words import N_
from oppet.fiscal.unit import UnitStatus
from oppet.goods.article import Article, price_at, unit_price_ore
from oppet.goods.errors import NoPriceError
from oppet.journal.kinds import TenderTaken
from oppet.paper import sheet
from oppet.paper.paths import PathState, ReceiptPath
from oppet.paper.receipts import quantity
from oppet.paper.sheet import Line, Paper, Say, amount
from oppet.paper.sheet import when as wall_clock
from oppet.payments.means import MEANS, cash_due
from oppet.register.ports import KeeperState
from oppet.register.till import Till
from oppet.sale.basket import Basket
from oppet.sale.price import Priced, PricedLine
from oppet.sale.settle import left_to_pay
from oppet.sync.copies import Holding, copies_of, kept_up_to

__all__ = [
    "ALONE_DAYS",
    "ArticleView",
    "Devices",
    "KeeperView",
    "Light",
    "LineView",
    "Standing",
    "SumView",
    "TenderView",
    "article_view",
    "clock_text",
    "keeper_views",
    "lights",
    "line_view",
    "paper_lines",
    "standing",
    "sum_view",
]

_DISCOUNTS = {
    "promotion": N_("Offer"),
    "member": N_("Member price"),
    "markdown": N_("Short date"),
    "line": N_("Discount"),
    "basket": N_("Discount on all"),
    "original": N_("As on the original receipt"),
}


@dataclass(frozen=True, slots=True)
class LineView:
    line: int
    name: str
    quantity: str  # "2 st × 16,90", "" for one piece
    amount: str  # before discounts
    net: str
    notes: tuple[tuple[str, str], ...]  # why less, and how much
    deposit: bool
    age: int


def line_view(priced: PricedLine, say: Say) -> LineView:
    line, added = priced.line, priced.line.added
    many = line.quantity_milli != 1000 or added.unit == "kg"
    notes = []
    for discount in priced.discounts:
        kind = say(_DISCOUNTS.get(discount.kind, N_("Discount")))
        text = discount.text if say(discount.text) != kind and discount.kind != "original" else ""
        notes.append((f"{kind}: {text}" if text else kind, amount(-discount.ore)))
    return LineView(
        line=added.line,
        name=added.name,
        quantity=f"{quantity(line.quantity_milli, added.unit)} × {amount(added.unit_ore)}" if many else "",
        amount=amount(line.amount_ore),
        net=amount(priced.net_ore),
        notes=tuple(notes),
        deposit=bool(added.pant_of),
        age=added.age,
    )


@dataclass(frozen=True, slots=True)
class TenderView:
    tender: int
    means: str
    amount: str
    reference: str
    at_risk: bool


@dataclass(frozen=True, slots=True)
class SumView:
    """What is to be paid: the huge figure of the page, and how it came about."""

    total_ore: int
    left_ore: int
    cash_ore: int  # what is left, as cash
    saved_ore: int
    lines: int
    tenders: tuple[TenderView, ...]

    @property
    def paid_ore(self) -> int:
        return self.total_ore - self.left_ore


NO_SUM = SumView(0, 0, 0, 0, 0, ())


def _reference(tender: TenderTaken) -> str:
    """What tells this tender from another: the card's last digits, or what was entered by hand."""
    evidence = tender.evidence
    if evidence is None:
        return tender.reference
    return f"{evidence.brand} **** {evidence.card}".strip() if evidence.card else ""


def sum_view(basket: Basket, priced: Priced, say: Say) -> SumView:
    left = left_to_pay(basket, priced)
    tenders = tuple(
        TenderView(t.tender, say(MEANS[t.means].sentence), amount(t.amount_ore), _reference(t), t.at_risk)
        for t in basket.tenders.values()
    )
    return SumView(priced.total_ore, left, cash_due(left), priced.saved_ore, len(priced.lines), tenders)


# --- goods to choose from -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ArticleView:
    number: str
    name: str
    price: str  # "27,90/kg"
    compared: str  # "33,80/kg", "" where it is not known
    weighed: bool
    group: str


def article_view(article: Article, when: str) -> ArticleView:
    try:
        ore = price_at(article, when).ore
    except NoPriceError:
        return ArticleView(article.number, article.name, "–", "", article.unit == "kg", article.group)
    compared = unit_price_ore(article, ore)
    weighed = article.unit == "kg"
    return ArticleView(
        article.number,
        article.name,
        f"{amount(ore)}/kg" if weighed else amount(ore),
        f"{amount(compared)}/{article.content_unit}" if compared is not None and not weighed else "",
        weighed,
        article.group,
    )


# --- the strip ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Light:
    """One thing of the strip: `sign` is ok, hand, warn or off, told by words and shape."""

    label: str
    word: str
    sign: str


@dataclass(slots=True)
class Devices:
    """What was last heard from control units and receipt paths; asked while no sale is open."""

    units: Sequence[UnitStatus] = ()
    paths: Sequence[tuple[ReceiptPath, PathState]] = ()


def lights(till: Till, devices: Devices, say: Say) -> Iterator[Light]:
    """The strip, left to right, after the ways of paying. Every word is also a shape in the template."""
    rules = till.desk.rules
    yield _units_light(till, devices, say)
    yield _paper_light(till, devices, say)
    yield from _copies_lights(till, say)
    free = till.desk.free_mb()
    sign = "off" if free < rules.disk_least_mb else "warn" if free < rules.disk_warn_mb else "ok"
    yield Light(say(N_("Disk")), f"{free // 1000} GB" if free >= 10_000 else f"{free} MB", sign)


def _units_light(till: Till, devices: Devices, say: Say) -> Light:
    closed, storage = till.desk.state.closed_units, till.desk.state.storage
    ready = {status.unit: status.ready for status in devices.units}
    units = [unit.unit for unit in till.desk.ports.units]
    good = [unit for unit in units if unit not in closed and ready.get(unit, True)]
    label = say(N_("Control unit"))
    if not good:
        return Light(label, say(N_("none answers")), "off")
    if len(good) < len(units):
        return Light(label, say(N_("{good} of {all} ready")).format(good=len(good), all=len(units)), "warn")
    if any(storage.get(unit) in {"high", "full"} for unit in units):
        return Light(label, say(N_("memory nearly full")), "warn")
    return Light(
        label, say(N_("ready")) if len(units) == 1 else say(N_("{count} ready")).format(count=len(units)), "ok"
    )


def _paper_light(till: Till, devices: Devices, say: Say) -> Light:
    waiting = len(till.desk.state.unprinted)
    if waiting:
        return Light(say(N_("Receipts")), say(N_("{count} waiting for paper")).format(count=waiting), "warn")
    if not devices.paths:
        return Light(say(N_("Printer")), say(N_("not asked yet")), "hand")
    good = [(path, state) for path, state in devices.paths if state.ready]
    if not good:
        return Light(say(N_("Printer")), say(devices.paths[0][1].why), "off")
    if good[0][0] is not devices.paths[0][0]:
        return Light(say(N_("Receipts")), good[0][0].name, "warn")
    low = good[0][1].low
    return Light(say(N_("Printer")), say(N_("paper is low")) if low else say(N_("ready")), "warn" if low else "ok")


# --- who has what was sold ------------------------------------------------------------------------------------------

ALONE_DAYS = 14  # what a till must manage alone (R15)
FEW_DAYS = 3
DAY_MS, HOUR_MS, MINUTE_MS = 86_400_000, 3_600_000, 60_000
PLACES = {"store": N_("store node"), "till": N_("another till"), "hq": N_("head office")}


@dataclass(frozen=True, slots=True)
class Standing:
    """How the till stands with its keepers."""

    keepers: int  # it knows; 0 for a till that was never enrolled
    inside: int  # in the store that have the last sale
    outside: int  # at HQ
    unkept: int  # entries that are not known to be at HQ
    alone_ms: int  # since when no keeper answered, 0 while one does
    left_days: int  # of the fourteen


def standing(till: Till) -> Standing:
    """Reckoned from signed acknowledgements alone (K14)."""
    desk = till.desk
    keepers = desk.ports.copies.keepers()
    holdings = [Holding(keeper.name, keeper.place, keeper.kept) for keeper in keepers]
    inside, outside = copies_of(max(desk.state.last_receipt_seq, 1), holdings)
    alone_ms = 0
    if keepers and all(keeper.silent for keeper in keepers):
        heard = max((keeper.heard for keeper in keepers), default="") or desk.state.began
        alone_ms = max(desk.now() - (parse_utc(heard) if heard else desk.now()), 1)
    left = max(ALONE_DAYS - alone_ms // DAY_MS, 0)
    return Standing(len(keepers), inside, outside, max(desk.state.seq - kept_up_to(holdings), 0), alone_ms, left)


def _copies_lights(till: Till, say: Say) -> Iterator[Light]:
    stands = standing(till)
    words = [say(N_("here"))]
    if stands.inside:
        words.append(say(N_("{count} in the store")).format(count=stands.inside))
    if stands.outside:
        words.append(say(N_("HQ")))
    if till.desk.state.last_receipt_seq and not stands.alone_ms:
        alone = len(words) == 1
        word = say(N_("1 copy: this till only")) if alone else " + ".join(words)
        yield Light(say(N_("Last sale")), word, ("warn" if stands.keepers else "hand") if alone else "ok")
    if till.desk.ports.copies.refusal() is not None:
        yield Light(say(N_("This disk")), say(N_("sells no more: see Drawer and day")), "off")
    elif stands.alone_ms:
        word = say(N_("{since}, {count} entries, {days} days left"))
        said = word.format(since=lasted(stands.alone_ms, say), count=stands.unkept, days=stands.left_days)
        yield Light(say(N_("Alone, 1 copy")), said, "off" if stands.left_days < FEW_DAYS else "warn")


def lasted(ms: int, say: Say) -> str:
    """How long, as people say it: minutes, hours, days."""
    if ms >= 2 * DAY_MS:
        return say(N_("{count} days")).format(count=ms // DAY_MS)
    if ms >= 2 * HOUR_MS:
        return say(N_("{count} hours")).format(count=ms // HOUR_MS)
    return say(N_("{count} min")).format(count=ms // MINUTE_MS)


@dataclass(frozen=True, slots=True)
class KeeperView:
    name: str
    place: str
    sign: str
    word: str  # "has everything", "12 entries behind", "silent for 3 hours"


def keeper_views(till: Till, say: Say) -> list[KeeperView]:
    """Every keeper of the till, for the day's pane."""
    return [_keeper_view(keeper, till.desk.now(), say) for keeper in till.desk.ports.copies.keepers()]


def _keeper_view(keeper: KeeperState, now: int, say: Say) -> KeeperView:
    place = say(PLACES[keeper.place])
    behind = say(N_("{count} entries behind")).format(count=keeper.behind)
    if keeper.silent:
        since = wall_clock(keeper.heard)[:16] if keeper.heard else ""
        word = say(N_("silent since {since}")).format(since=since) if since else say(N_("has not answered yet"))
        if since:
            word += f" ({lasted(max(now - parse_utc(keeper.heard), 0), say)})"
        return KeeperView(keeper.name, place, "warn", f"{word}, {behind}")
    return KeeperView(keeper.name, place, "ok", behind if keeper.behind > FEW_BEHIND else say(N_("has everything")))


FEW_BEHIND = 100  # of the sale that is going on


def clock_text(till: Till) -> str:
    return local_minute(till.desk.now())[11:]


# --- paper --------------------------------------------------------------------------------------------------------


def paper_lines(paper: Paper, columns: int = 42) -> list[Line]:
    """A sheet as the screen shows it: the very lines a printer of 42 columns sets."""
    return list(sheet.lines(paper, columns))
