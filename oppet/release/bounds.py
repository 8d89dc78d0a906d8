"""What one person may change of a whole chain's prices, and what takes a second signature (RL8).

Head office asks before it signs, every till asks again before it believes: the same function, integers only, and limits that are
compiled in (`TERMS`). Nothing that is published can widen them. Whatever beyond prices decides what a customer pays or may buy is
judged too: offers, codes that move to another article, tax, ages, deposits, weighing, recalls, mark-down rules, goods that vanish.

An assortment holds prices of the future, so two of them are compared at every moment from `when` on at which either changes.
And it is compared twice: with what is charged now, and with what was charged when the window began. So a file within bounds that
is repeated every minute is added up, and whoever goes back to what was charged at the window's start may do so alone.
Whether two people really signed is the framework's work; costs are judged only where they are known (head office).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from oppet.base.words import N_
from oppet.goods.article import Article, Price, price_or_none
from oppet.goods.catalogue import Catalogue
from oppet.goods.promotions import Promotion

__all__ = ["SENTENCES", "TERMS", "WORDS", "Activation", "Change", "Judged", "Reason", "Terms", "judge", "window_base"]

HOUR_MS: Final = 3_600_000
BEYOND: Final = 1_000_000  # what had no price, or cost nothing, and now costs something: more than any limit
MOST_WORK: Final = 4_000_000  # prices and offers looked at; a document beyond it needs two people unread
MOST_MOMENTS: Final = 200  # of one article


@dataclass(frozen=True, slots=True)
class Terms:
    """What one person may do within the window. Shares are of the articles that were charged before."""

    window_h: int = 168
    few: int = 10  # so many articles are never too large a share
    changed_permille: int = 250  # articles of which anything changes
    moved_by_permille: int = 100  # a price that changes by more than this is counted as moved
    moved_permille: int = 50
    rise_permille: int = 500  # of any single price
    fall_permille: int = 500
    offered_permille: int = 150  # articles that new or changed offers touch
    depth_permille: int = 500  # how far an article's lowest price, offers included, may fall
    new_permille: int = 50
    gone_permille: int = 50
    new_groups: int = 0
    recalled_permille: int = 20
    offers_on_one: int = 50  # more offers on one article are not weighed


TERMS: Final = Terms()

# What is said where a limit is passed. A till puts the facts into its journal, head office reads the sentence.
SENTENCES: Final = {
    "changed": N_("{found} of {articles} articles change; one person may change {limit}."),
    "moved": N_("{found} articles change their price by more than {than} %; one person may change {limit} so much."),
    "rise": N_("{found} prices rise by more than {than} %, the most for article {example}."),
    "fall": N_("{found} prices fall by more than {than} %, the most for article {example}."),
    "zero": N_("{found} articles would cost nothing, article {example} first."),
    "below_cost": N_("{found} articles would be sold below what they cost us, article {example} first."),
    "offered": N_("New or changed offers touch {found} of {articles} articles; one person may touch {limit}."),
    "depth": N_(
        "With offers {found} articles cost less than before by more than {than} %, most of all article {example}."
    ),
    "new": N_("{found} new articles; one person may add {limit}."),
    "gone": N_("{found} articles can no longer be sold; one person may take away {limit}."),
    "new_groups": N_("{found} new article groups."),
    "vat": N_("{found} articles change their VAT class, article {example} first."),
    "age": N_("{found} articles change their age limit, article {example} first."),
    "pant": N_("{found} articles change their deposit, article {example} first."),
    "weighing": N_("{found} articles change how they are weighed, article {example} first."),
    "codes": N_("{found} articles take over another article’s code, article {example} first."),
    "recalled": N_("New recalls stop {found} articles; one person may stop {limit}."),
    "recall_undone": N_("{found} recalls are changed or taken away."),
    "markdowns": N_("{found} new rules for mark-downs by date."),
    "too_many": N_("So much changes at once that it was not looked through to the end."),
}

# What may be different about an article, as a page's table shows it.
WORDS: Final = {
    "price": N_("price"),
    "offer": N_("offer"),
    "new": N_("new"),
    "gone": N_("no longer sold"),
    "vat": N_("VAT class"),
    "age": N_("age limit"),
    "pant": N_("deposit"),
    "weighing": N_("weighing"),
    "codes": N_("another article’s code"),
    "other": N_("name or other facts"),
}

_GUARDED: Final = {
    "vat": "vat", "kind": "vat", "age": "age", "pant": "pant", "unit": "weighing", "tare_g": "weighing", "max_weight_g": "weighing",
}  # fmt: skip
_guarded = attrgetter(*_GUARDED)
_ALONE_NEVER: Final = ("vat", "age", "pant", "weighing", "codes")


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one article: prices at the moment where they differ most, None where it is not sold."""

    number: str
    name: str
    group: str
    words: tuple[str, ...]  # of WORDS
    before_ore: int | None = None
    after_ore: int | None = None
    permille: int = 0  # of the price, with its sign
    lowest_before_ore: int | None = None  # member price and offers included
    lowest_after_ore: int | None = None
    lowest_permille: int = 0
    at: str = ""  # the moment

    @property
    def size(self) -> int:
        """What the largest come first by."""
        return max(abs(self.permille), abs(self.lowest_permille))


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one signature is not enough; `why` is a word of SENTENCES."""

    why: str
    found: int
    limit: int
    articles: int
    window: bool = False  # seen against the window's start, not against what is charged now
    example: str = ""
    than: int = 0  # per cent

    def facts(self) -> dict[str, int | str]:
        """What SENTENCES is filled with."""
        return {
            "found": self.found, "limit": self.limit, "articles": self.articles, "example": self.example, "than": self.than,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Judged:
    """How many must sign, why, and what changes, the largest change first."""

    need: int  # 1 or 2
    reasons: tuple[Reason, ...]
    articles: int  # in force before
    changed: int  # articles that differ from what is charged now
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Activation:
    """An assortment that was charged from `at_ms` on."""

    digest: str
    at_ms: int
    wide: bool = False


def window_base(charged: Sequence[Activation], now_ms: int, terms: Terms = TERMS) -> Activation | None:
    """Give what the window is measured from: what was charged when it began, or later what two people signed within it.

    `charged` is in the order of activation, the first one what was installed. None where nothing ever was.
    """
    chosen: Activation | None = None
    for one in charged:
        if chosen is None or one.wide or one.at_ms <= now_ms - terms.window_h * HOUR_MS:
            chosen = one
    return chosen


def judge(
    before: Catalogue, after: Catalogue, base: Catalogue, when: str, terms: Terms = TERMS, costs: Mapping[str, int] | None = None,
    *, whole: bool = True,
) -> Judged:  # fmt: skip
    """Judge an assortment that would be charged from local `when` on, against what is charged now and the window's start.

    Without `whole` it stops where it is certain that two must sign: for a till, which only wants to know whether.
    """
    now = _Comparison(before, after, when, terms, costs or {}, whole=whole)
    over = now if base is before else _Comparison(base, after, when, terms, costs or {}, whole=whole)
    reasons: list[Reason] = []
    if over.differs and now.differs:
        reasons = list(now.reasons(window=False))
        told = {reason.why for reason in reasons}
        reasons += [reason for reason in over.reasons(window=True) if reason.why not in told]
    changes = tuple(sorted(now.changes, key=lambda change: (-change.size, change.number)))
    return Judged(2 if reasons else 1, tuple(reasons), len(before), len(changes), changes)


@dataclass(slots=True)
class _Count:
    """How many, and the worst of them."""

    found: int = 0
    example: str = ""
    worst: int = -1

    def add(self, number: str, size: int = 0) -> None:
        self.found += 1
        if size > self.worst:
            self.worst, self.example = size, number


@dataclass(slots=True)
class _Offers:
    """Which offers touch an article."""

    by_article: dict[str, list[Promotion]] = field(default_factory=dict)
    by_mix: dict[str, list[Promotion]] = field(default_factory=dict)

    @classmethod
    def of(cls, promotions: Iterable[Promotion]) -> _Offers:
        made = cls()
        for promotion in promotions:
            for number in set(promotion.articles):
                made.by_article.setdefault(number, []).append(promotion)
            if promotion.mix:
                made.by_mix.setdefault(promotion.mix, []).append(promotion)
        return made

    def touches(self, article: Article) -> bool:
        return article.number in self.by_article or any(mix in self.by_mix for mix in article.mixes)

    def touching(self, article: Article, most: int) -> list[Promotion]:
        """At most one more than `most`."""
        if not article.discountable:
            return []
        found = list(self.by_article.get(article.number, ())[: most + 1])
        for mix in article.mixes:
            if mix in self.by_mix and len(found) <= most:
                found += self.by_mix[mix][: most + 1]
        return found[: most + 1]


class _Comparison:
    """One assortment against another: every article once."""

    def __init__(
        self, old: Catalogue, new: Catalogue, when: str, terms: Terms, costs: Mapping[str, int], *, whole: bool
    ) -> None:
        self._whole = whole
        self._when, self._terms, self._costs = when, terms, costs
        self._old, self._new = old, new
        self._old_offers, self._new_offers = _Offers.of(old.promotions), _Offers.of(new.promotions)
        self._owners: dict[str, str] | None = None
        self._work = 0
        self._counts: dict[str, _Count] = {}
        self.articles = len(old)
        self.changes: list[Change] = []
        self._compare_articles()
        self._compare_rules()
        self.differs = any(count.found for count in self._counts.values()) or set(old.promotions) != set(new.promotions)

    def reasons(self, *, window: bool) -> Iterable[Reason]:
        """What passes a limit."""
        for why, count in self._counts.items():
            limit, than = self._limit(why)
            if count.found > limit:
                yield Reason(why, count.found, limit, self.articles, window, count.example, than)

    def _limit(self, why: str) -> tuple[int, int]:
        """How many one person may, and the per cent that the count is of."""
        terms = self._terms
        permille = {
            "changed": terms.changed_permille, "moved": terms.moved_permille, "offered": terms.offered_permille,
            "new": terms.new_permille, "gone": terms.gone_permille, "recalled": terms.recalled_permille,
        }.get(why)  # fmt: skip
        than = {
            "moved": terms.moved_by_permille, "rise": terms.rise_permille, "fall": terms.fall_permille,
            "depth": terms.depth_permille,
        }.get(why, 0)  # fmt: skip
        if permille is not None:
            return max(terms.few, self.articles * permille // 1000), than // 10
        return terms.new_groups if why == "new_groups" else 0, than // 10

    def _count(self, why: str, number: str, size: int = 0) -> None:
        self._counts.setdefault(why, _Count()).add(number, size)

    def _compare_articles(self) -> None:
        old = {article.number: article for article in self._old}
        groups = {article.group for article in self._old}
        # An offer that is new, gone or different; the same on both sides it changes nothing by itself.
        changed = _Offers.of(set(self._old.promotions) ^ set(self._new.promotions))
        fresh = _Offers.of(set(self._new.promotions) - set(self._old.promotions))
        most = self._limit("changed")[0]
        self._counts["changed"] = _Count()
        for article in self._new:
            was = old.pop(article.number, None)
            if article.group not in groups:
                groups.add(article.group)
                self._count("new_groups", article.number)
            if fresh.touches(article):
                self._count("offered", article.number)
            if was != article or changed.touches(article):
                self._changed(was, article)
                if not self._whole and self._counts["changed"].found > most:
                    return
        for was in old.values():
            self._count("changed", was.number)
            self._count("gone", was.number)
            self.changes.append(_change_of(was, {"gone": 0}, _Worst(self._when, _at(was, (), self._when))))

    def _changed(self, was: Article | None, article: Article) -> None:
        words: dict[str, int] = {}  # in the order in which they were found
        if was is None:
            words["new"] = 0
        else:
            if _guarded(was) != _guarded(article):
                words = {word: 0 for name, word in _GUARDED.items() if getattr(was, name) != getattr(article, name)}
        if (was is None or was.gtins != article.gtins or was.scale_code != article.scale_code) and self._takes(article):
            words["codes"] = 0
        worst = self._prices(was, article, words)
        if was != article and not words:
            words["other"] = 0
        if not words:
            return  # an offer was rewritten and costs the same
        self._count("changed", article.number)
        for word in words:
            if word in _ALONE_NEVER or word in ("new", "gone"):
                self._count(word, article.number)
        self.changes.append(_change_of(article, words, worst))

    def _takes(self, article: Article) -> bool:
        """Whether a code that sold something else now sells this."""
        if self._owners is None:
            self._owners = {gtin: one.number for one in self._old for gtin in one.gtins}
            self._owners |= {one.scale_code: one.number for one in self._old if one.scale_code is not None}
        codes = (*article.gtins, *((article.scale_code,) if article.scale_code is not None else ()))
        return any(self._owners.get(code, article.number) != article.number for code in codes)

    def _prices(self, was: Article | None, article: Article, words: dict[str, int]) -> _Worst:
        """Compare at every moment from now on where either side changes; count what passes a limit of its own."""
        most = self._terms.offers_on_one
        old_offers = self._old_offers.touching(was, most) if was is not None else []
        new_offers = self._new_offers.touching(article, most)
        moments = _moments(self._when, (was, article), (*old_offers, *new_offers))
        self._work += len(moments) * (2 + len(old_offers) + len(new_offers))
        if max(len(old_offers), len(new_offers)) > most or len(moments) > MOST_MOMENTS or self._work > MOST_WORK:
            self._count("too_many", article.number)
            words["offer"] = 0
            return _Worst(self._when)
        worst = _Worst(moments[0])
        for moment in moments:
            after = _at(article, new_offers, moment)
            if after is None and not worst.vanished:
                worst.vanished = _at(was, old_offers, moment) is not None
            worst.meet(moment, _at(was, old_offers, moment, ended=True), after)
        self._judge_prices(worst, article, words, appeared=was is None)
        return worst

    def _judge_prices(self, worst: _Worst, article: Article, words: dict[str, int], *, appeared: bool) -> None:
        terms, number = self._terms, article.number
        if worst.vanished:
            words["gone"] = 0
        if worst.rise or worst.fall:
            words["price"] = 0
        if worst.lowest_permille and worst.lowest_permille != worst.permille:
            words["offer"] = 0
        if worst.free:
            self._count("zero", number)
        if worst.least is not None and worst.least < self._costs.get(number, 0):
            self._count("below_cost", number, self._costs[number] - worst.least)
        if appeared:
            return
        if max(worst.rise, worst.fall) > terms.moved_by_permille:
            self._count("moved", number, max(worst.rise, worst.fall))
        if worst.rise > terms.rise_permille:
            self._count("rise", number, worst.rise)
        if worst.fall > terms.fall_permille:
            self._count("fall", number, worst.fall)
        elif worst.depth > terms.depth_permille:
            self._count("depth", number, worst.depth)

    def _compare_rules(self) -> None:
        for recall in set(self._old.recalls) - set(self._new.recalls):
            self._count("recall_undone", recall.id)
        added = set(self._new.recalls) - set(self._old.recalls)
        if added:
            gtins = {gtin for recall in added for gtin in recall.gtins}
            numbers = {number for recall in added for number in recall.articles}
            for article in self._new:
                if article.number in numbers or not gtins.isdisjoint(article.gtins):
                    self._count("recalled", article.number)
        for rule in set(self._new.markdowns) - set(self._old.markdowns):
            self._count("markdowns", rule.group)


@dataclass(frozen=True, slots=True)
class _Charged:
    ore: int
    lowest: int


@dataclass(slots=True)
class _Worst:
    """The largest differences of one article over all moments to come."""

    at: str
    before: _Charged | None = None
    after: _Charged | None = None
    permille: int = 0
    lowest_permille: int = 0
    rise: int = 0
    fall: int = 0
    depth: int = 0
    least: int | None = None
    vanished: bool = False
    free: bool = False
    met: bool = False

    def meet(self, moment: str, before: _Charged | None, after: _Charged | None) -> None:
        """Take one moment into account."""
        price, lowest = _permille(before, after), _lowest_permille(before, after)
        self.rise, self.fall = max(self.rise, price), max(self.fall, -price)
        self.depth = max(self.depth, -lowest)
        if after is not None:
            self.least = after.lowest if self.least is None else min(self.least, after.lowest)
            self.free = self.free or (not after.lowest and (before is None or before.lowest > 0))
        if not self.met or max(abs(price), abs(lowest)) > max(abs(self.permille), abs(self.lowest_permille)):
            self.at, self.before, self.after, self.met = moment, before, after, True
            self.permille, self.lowest_permille = price, lowest


def _change_of(article: Article, words: dict[str, int], worst: _Worst) -> Change:
    before, after = worst.before, worst.after
    return Change(
        article.number, article.name, article.group, tuple(words), before.ore if before else None, after.ore if after else None,
        worst.permille, before.lowest if before else None, after.lowest if after else None, worst.lowest_permille, worst.at,
    )  # fmt: skip


def _moments(when: str, articles: Iterable[Article | None], offers: Sequence[Promotion]) -> Sequence[str]:
    turns: set[str] | None = None  # most articles have one price, which has begun
    ranges: list[Price | Promotion] = [price for article in articles if article is not None for price in article.prices]
    for one in (*ranges, *offers) if offers else ranges:
        for turn in (one.valid_from, one.valid_to):
            if turn is not None and turn > when:
                turns = {when} if turns is None else turns
                turns.add(turn)
    return (when,) if turns is None else sorted(turns)


def _at(article: Article | None, offers: Sequence[Promotion], moment: str, *, ended: bool = False) -> _Charged | None:
    """What is charged; with `ended`, where nothing is, what was last: nobody makes a price out of nothing."""
    if article is None:
        return None
    price = price_or_none(article, moment)
    if price is None:
        if not ended:
            return None
        price = max(article.prices, key=lambda one: (one.valid_from <= moment, one.valid_from))
    lowest = price.ore if price.member_ore is None else min(price.ore, price.member_ore)
    for offer in offers:
        if offer.holds(moment, True):
            lowest = min(lowest, _offered(offer, price.ore, article.unit))
    return _Charged(price.ore, lowest)


def _offered(offer: Promotion, ore: int, unit: str) -> int:
    """The lowest that a piece or kilo can come to. Of a mixed bundle no article falls further than the dearest alone."""
    match offer.kind:
        case "percent":
            return ore * (100 - offer.percent) // 100
        case "amount":
            return max(0, ore - offer.price_ore)
        case "member":
            return offer.price_ore
        case "n_for_m":
            return ore if unit == "kg" else ore * offer.pay // offer.buy
        case "n_for_price":
            return ore if unit == "kg" else offer.price_ore // offer.buy


def _permille(before: _Charged | None, after: _Charged | None) -> int:
    return _change(before.ore, after.ore) if before is not None and after is not None else 0


def _lowest_permille(before: _Charged | None, after: _Charged | None) -> int:
    return _change(before.lowest, after.lowest) if before is not None and after is not None else 0


def _change(before: int, after: int) -> int:
    """In thousandths of what it was, away from nought: what is over a limit by an öre is over it."""
    if after >= before:
        return -(-(after - before) * 1000 // before) if before else (BEYOND if after else 0)
    return (after - before) * 1000 // before
