"""Goods in the till: which assortment, guidance and mark-downs it fetches, believes, holds, and from when it acts on them.

A taker (`intake.Taker`): nothing here waits. `tick` is given what a look found and decides: an errand is carried out in
a thread (`drivers/goods_hands.py` fetches, keeps on disk by digest, and drives `weigh` a slice at a time), its outcome is heard at
a later tick, written down, and acted on between two customers, when its time has come by a clock that the till believes.

One signature is held against the bounds of one person (RL8): against what is charged now and what was charged when the window
began, both known from the journal. Mark-downs are the store's own, of this store, downward only, not too far, and end (RL9): they
enter a sale as offers, which can only lower a price and say why on the receipt. What is refused is told once and not fetched again.
What was charged before stays charged: nothing that comes down, or does not come, stops a sale (RL6).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final, Protocol

import msgspec
from msgspec import Meta

from oppet.base.clock import local_minute, parse_utc
from oppet.base.errors import clip
from oppet.goods.article import Article, Moment
from oppet.goods.catalogue import Catalogue, in_slices
from oppet.goods.codes import Scanned
from oppet.goods.errors import BrokenAssortmentError, UnknownArticleError, UnknownCodeError
from oppet.goods.freshness import StoreMarkDown, StoreMarkDowns
from oppet.goods.promotions import Promotion
from oppet.journal.body import Body, Fact
from oppet.journal.kinds import AlarmRaised
from oppet.journal.kinds_published import GoodsActivated, GoodsHeld, PublicationRefused
from oppet.release.bounds import Activation, judge, window_base
from oppet.release.errors import PublicationMalformedError
from oppet.release.found import Found, GoodsFound
from oppet.release.terms import CHAIN, STORE, Goods, goods_name, markdown_name, read

__all__ = [
    "ASSORTMENT", "FACTORY", "GUIDANCE", "MARKDOWNS", "MARKDOWN_TERMS", "Charged", "Counter", "Errand", "GoodsIntake", "GoodsState",
    "Guidance", "GuidanceText", "Hands", "MarkDownTerms", "Outcome", "Waits", "Weighed", "offers_of", "weigh",
]  # fmt: skip

ASSORTMENT: Final = "assortment"
GUIDANCE: Final = "guidance"
MARKDOWNS: Final = "markdowns"
KINDS: Final = (MARKDOWNS, GUIDANCE, ASSORTMENT)  # what is quick to do comes first
FACTORY: Final = ""  # stands for the digest of the assortment that the settings name

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
MOST_WAITING: Final = 20  # of one kind: the newest numbers
MOST_REFUSED: Final = 200
MOST_ACTIVATIONS: Final = 64  # of one window: of more, those in the middle are forgotten, and the window's start stays
ABSURD_PERMILLE: Final = 10  # of an assortment's records may be set aside (G8); more is no assortment
FEW: Final = 10
LARGEST_SMALL: Final = 1 << 20  # bytes of guidance or mark-downs
MOST_FACTS: Final = 8
MOST_NEW: Final = 20  # refusals told in an hour


@dataclass(frozen=True, slots=True)
class MarkDownTerms:
    """What a store may do to its own prices without anybody else. Compiled in: nothing that is published widens it."""

    least_permille: int = 100  # of the ordinary price must be left
    most_permille: int = 100  # of the assortment's articles
    few: int = 50  # so many articles are never too many
    longest_days: int = 14


MARKDOWN_TERMS: Final = MarkDownTerms()


class GuidanceText(msgspec.Struct, frozen=True, omit_defaults=True):
    """A short text on every till's page while its time is."""

    text: Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,240}\Z")]
    valid_from: Moment
    valid_to: Moment | None = None
    important: bool = False


class Guidance(msgspec.Struct, frozen=True):
    """All that is said to the tills; the next document replaces it whole."""

    texts: Annotated[tuple[GuidanceText, ...], Meta(max_length=20)] = ()

    def now(self, when: str) -> tuple[GuidanceText, ...]:
        """What is shown at local `when`, the important first."""
        found = [one for one in self.texts if one.valid_from <= when and (one.valid_to is None or when < one.valid_to)]
        return tuple(sorted(found, key=lambda one: not one.important))


# --- what the journal says of it


class Charged(msgspec.Struct, frozen=True):
    """What is acted on of one kind."""

    name: str
    digest: str
    number: int


class Waits(msgspec.Struct, frozen=True):
    """What is on this till's disk, was believed, and waits for its time."""

    name: str
    digest: str
    number: int
    valid_from: str
    withdraws: int = 0


class Since(msgspec.Struct, frozen=True):
    """An assortment that was charged from then on."""

    digest: str
    at_ms: int
    wide: bool


class GoodsState(msgspec.Struct):
    """A fold of the till's journal: it makes this file's memory, and a restart does not lose it."""

    charged: dict[str, Charged] = {}
    before: str = FACTORY  # the assortment that was charged before this one
    waits: list[Waits] = []
    window: list[Since] = []  # from the window's start on
    refused: list[str] = []

    def apply(self, time: str, body: Body) -> None:
        """Follow one entry; one that is about something else changes nothing."""
        if isinstance(body, GoodsHeld):
            what = kind_of_name(body.name)
            gone = {body.number, body.withdraws}
            self.waits = [one for one in self.waits if kind_of_name(one.name) != what or one.number not in gone]
            self.waits.append(Waits(body.name, body.digest, body.number, body.valid_from, body.withdraws))
        elif isinstance(body, GoodsActivated):
            self._activated(time, body)
        elif isinstance(body, PublicationRefused) and body.what in ("goods", "markdown") and body.why != "clock":
            digest = next((fact.value for fact in body.facts if fact.name == "digest"), "")
            self.waits = [one for one in self.waits if one.digest != digest]
            self.refused = [*self.refused, _key(body.name, digest)][-MOST_REFUSED:]

    def _activated(self, time: str, body: GoodsActivated) -> None:
        what = kind_of_name(body.name)
        self.charged[what] = Charged(body.name, body.digest, body.number)
        self.waits = [one for one in self.waits if kind_of_name(one.name) != what or one.number > body.number]
        if what != ASSORTMENT or body.digest == body.before:
            return
        self.before = body.before
        now = parse_utc(time)
        window = self.window or [Since(body.before, 0, False)]
        window = [*window, Since(body.digest, now, body.wide)]
        base = window_base([Activation(one.digest, one.at_ms, one.wide) for one in window], now)
        first = next(at for at, one in enumerate(window) if base is not None and one.at_ms == base.at_ms)
        del window[:first]
        if len(window) > MOST_ACTIVATIONS:
            del window[1]
        self.window = window

    def base(self, now: int, charged: str) -> str:
        """The digest of what the window is measured from."""
        found = window_base([Activation(one.digest, one.at_ms, one.wide) for one in self.window], now)
        return found.digest if found is not None else charged

    def digests(self) -> frozenset[str]:
        """What must stay on the disk."""
        known = {one.digest for one in self.charged.values()} | {one.digest for one in self.waits} | {self.before}
        return frozenset(known | {one.digest for one in self.window} - {FACTORY})


def kind_of_name(name: str) -> str:
    """ "assortment" for goods/assortment-7.json."""
    return name.rpartition("/")[2].partition("-")[0]


def _key(name: str, digest: str) -> str:
    return f"{name} {digest}"


# --- what it needs of the world


class Counter(Protocol):
    """The till (`register/desk.py`)."""

    @property
    def goods(self) -> GoodsState: ...

    @property
    def catalogue(self) -> Catalogue: ...

    def now(self) -> int:
        """The believed moment."""
        ...

    def in_doubt(self) -> bool:
        """Whether the clock is."""
        ...

    def between(self) -> bool:
        """Whether no basket lies in front of the cashier."""
        ...

    def write(self, *bodies: Body, sign: bool = True) -> None: ...

    def charge(self, catalogue: Catalogue, own: Sequence[Promotion]) -> None:
        """From now on this is sold at these prices, and the store's own mark-downs are these."""
        ...


@dataclass(frozen=True, slots=True)
class Errand:
    """Something to fetch if it is not on the disk, keep there, read and weigh."""

    found: GoodsFound
    charged: Catalogue  # now
    digest: str  # and its digest
    base: str  # the digest of what was charged when the window began
    store: str
    when: str  # local minute from which it would be charged
    now: int
    again: bool = False  # it was charged before this start: weighed then
    back: bool = False  # it takes back what is charged, by what was charged before

    @property
    def repository(self) -> str:
        return STORE if self.found.goods.what == MARKDOWNS else CHAIN


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a document came to; `why` is "" or a word of `terms.REASONS`."""

    why: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    catalogue: Catalogue | None = None
    guidance: Guidance | None = None
    markdowns: StoreMarkDowns | None = None
    offers: tuple[Promotion, ...] = ()
    articles: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """An errand that is over. `weighed.why` may be "away": no source had it; it is tried again after the next look."""

    errand: Errand
    weighed: Weighed


class Hands(Protocol):
    """A thread that carries out one errand at a time."""

    def begin(self, errand: Errand) -> None: ...

    def heard(self) -> Outcome | None:
        """What the last errand came to, once; None while it is under way."""
        ...

    def settled(self, charged: Mapping[str, Charged], keep: frozenset[str], gone: Catalogue | None) -> None:
        """The next start begins with `charged`; files of other digests than `keep` may go; `gone` is asked by nobody any more."""
        ...


# --- weighing, a slice at a time


def weigh(
    errand: Errand, data: bytes, base: Callable[[], Generator[None, None, Catalogue]]
) -> Generator[None, None, Weighed]:
    """Read and judge a document whose bytes are what was signed, pausing between slices. `base` reads the window's start."""
    what = errand.found.goods.what
    if what == ASSORTMENT:
        return (yield from _assortment(errand, data, base))
    yield
    try:
        if len(data) > LARGEST_SMALL:
            return Weighed("endless", (("bytes", str(len(data))),))
        if what == GUIDANCE:
            said = read(data, Guidance, errand.found.name)
            return Weighed(guidance=said, articles=len(said.texts), changed=len(said.texts))
        return _markdowns(errand, read(data, StoreMarkDowns, errand.found.name))
    except PublicationMalformedError as error:
        return Weighed("malformed", (("reason", str(error.facts.get("reason", ""))),))


def _assortment(
    errand: Errand, data: bytes, base: Callable[[], Generator[None, None, Catalogue]]
) -> Generator[None, None, Weighed]:
    try:
        catalogue = yield from in_slices(data)
    except BrokenAssortmentError as error:
        return Weighed("malformed", (("reason", str(error.facts.get("reason", ""))),))
    good = Weighed(catalogue=catalogue, articles=len(catalogue))
    if errand.again:
        return good
    records = len(catalogue) + len(catalogue.rejected)
    aside = len(catalogue.rejected)
    if not len(catalogue) or aside > max(FEW, records * ABSURD_PERMILLE // 1000):
        first = catalogue.rejected[0] if aside else None
        example = f"{first.what} {first.number}: {first.field}" if first is not None else ""
        why = (("set_aside", str(aside)), ("records", str(records)), ("example", clip(example)))
        return Weighed("malformed", why, catalogue)
    if catalogue.made[:10] > local_minute(errand.now + DAY_MS)[:10]:
        # A document from the future would make every later start doubt its clock.
        return Weighed("malformed", (("made", clip(catalogue.made, 40)),), catalogue)
    start = errand.charged
    if not (errand.back or errand.found.wide) and errand.base != errand.digest:
        start = yield from base()
    judged = judge(errand.charged, catalogue, start, errand.when)
    yield
    if start is not errand.charged:
        yield from start.taken_apart()
    if judged.need > 1 and not errand.found.wide and not errand.back:
        facts = tuple(
            (reason.why, f"{reason.found} of {reason.articles}, limit {reason.limit}, {reason.example}")
            for reason in judged.reasons
        )
        return Weighed("bounds", facts[:MOST_FACTS], catalogue)
    return replace(good, changed=judged.changed)


def _markdowns(errand: Errand, said: StoreMarkDowns) -> Weighed:
    if said.store != errand.store:
        return Weighed("other_store", (("store", clip(said.store, 16)),))
    offers, wrong = offers_of(said, errand.charged, errand.when, errand.found.goods.number)
    if wrong and not errand.again:
        return Weighed("no_markdown", wrong)
    return Weighed(markdowns=said, offers=offers, articles=len(said.markdowns), changed=len(offers))


def offers_of(
    said: StoreMarkDowns, catalogue: Catalogue, when: str, number: int, terms: MarkDownTerms = MARKDOWN_TERMS
) -> tuple[tuple[Promotion, ...], tuple[tuple[str, str], ...]]:
    """A store's mark-downs as offers from local `when` on, and what makes them none: facts, empty where all is well (RL9).

    An article that is not in the assortment, or gives no discount, is left out: it cannot be sold cheaper here.
    """
    last = local_minute(parse_utc(f"{when[:10]}T12:00:00.000Z") + terms.longest_days * DAY_MS)[:10]
    if len(said.markdowns) > max(terms.few, len(catalogue) * terms.most_permille // 1000):
        return (), (("markdowns", str(len(said.markdowns))), ("articles", str(len(catalogue))))
    offers: list[Promotion] = []
    for place, one in enumerate(said.markdowns, 1):
        article = _article(one, catalogue)
        if one.until[:10] > last:
            return (), (("article", one.article or one.gtin), ("until", one.until))
        if article is None or not article.discountable or one.until <= when:
            continue
        prices = [
            price.ore
            for price in article.prices
            if price.valid_from < one.until and (price.valid_to is None or when < price.valid_to)
        ]
        if not prices:
            continue
        left = one.price_ore * 1000 if one.price_ore else min(prices) * 10 * (100 - one.percent)
        if left < (max(prices) if one.price_ore else min(prices)) * terms.least_permille or one.price_ore > min(prices):
            return (), (
                ("article", article.number),
                ("price", str(min(prices))),
                ("asked", str(one.price_ore or f"-{one.percent} %")),
            )
        offers.append(_offer(f"S-{number}-{place}", one, article.number, when, min(prices)))
    return tuple(offers), ()


def _offer(name: str, one: StoreMarkDown, article: str, when: str, ore: int) -> Promotion:
    """So many per cent off, or what is left to the price: a kilo has no price of its own among offers, but an amount off."""
    if one.percent:
        return Promotion(name, one.reason, when, "percent", one.until, articles=(article,), percent=one.percent)
    return Promotion(name, one.reason, when, "amount", one.until, articles=(article,), price_ore=ore - one.price_ore)


def _article(one: StoreMarkDown, catalogue: Catalogue) -> Article | None:
    try:
        if one.article:
            return catalogue.article(one.article)
        return catalogue.find(Scanned(one.gtin, "markdown", gtin=one.gtin))
    except (UnknownArticleError, UnknownCodeError):
        return None


# --- deciding


class GoodsIntake:
    """What to fetch, hold, act on and refuse. `store` is this till's; `kept` what the last run acted on, as its disk says."""

    def __init__(self, counter: Counter, hands: Hands, store: str, kept: Mapping[str, Charged]) -> None:
        self._counter, self._hands, self._store = counter, hands, store
        self._listed: dict[tuple[str, int], GoodsFound] = {}
        self._errand: Errand | None = None
        self._ready: Outcome | None = None
        self._kept = dict(kept)
        # What this run really acts on: the assortment it was started with; small things are read again first.
        self._acting: dict[str, str] = {ASSORTMENT: kept[ASSORTMENT].digest if ASSORTMENT in kept else FACTORY}
        self._away: set[str] = set()
        self._doubted: set[str] = set()
        self._told: set[str] = set()
        self._lately: list[int] = []  # when something was refused
        self._markdowns: StoreMarkDowns | None = None
        self._offers: tuple[Promotion, ...] = ()
        self.guidance = Guidance()
        self.activations = 0  # in this run: a page that shows prices makes itself anew when it changes

    @property
    def digest(self) -> str:
        """Of the assortment that is charged: for attestation; FACTORY for the settings' own."""
        return self._acting[ASSORTMENT]

    def waiting(self) -> tuple[Waits, ...]:
        """What is here and waits for its time, for the page."""
        return tuple(sorted(self._counter.goods.waits, key=lambda one: one.valid_from))

    def start(self) -> None:
        """After the till's own start. A new epoch writes down what its disk already charges."""
        for what, charged in self._kept.items():
            if what not in self._counter.goods.charged:
                self._counter.write(GoodsActivated(charged.name, charged.digest, charged.number, 0, 0, charged.digest))

    def stop(self) -> None:
        """The run ends: everything is written down already."""

    def _take(self, found: Found) -> None:
        """Hear what a look found, and tell of what in it did not verify."""
        for said in found.refused:
            if said.what in ("goods", "markdown") and (key := _key(said.name, said.why)) not in self._told:
                if len(self._told) >= MOST_REFUSED:
                    self._told.clear()
                self._told.add(key)
                facts = (("reason", said.reason),)
                self._write_refusal(said.what, said.why, said.name, said.repository, said.source, facts)
        self._away.clear()
        listed: dict[tuple[str, int], GoodsFound] = {}
        for one in sorted(found.goods, key=lambda one: one.wide):  # what two signed goes before the same signed by one
            if one.goods.what not in KINDS or (
                one.goods.what != MARKDOWNS and one.goods.store not in ("", self._store)
            ):
                continue  # another store's assortment is none of ours
            if (why := self._flaw(one)) is not None:
                self._refuse(one, why)
                continue
            listed[one.goods.what, one.goods.number] = one
        for what in KINDS:
            of_kind = [one for (kind, _), one in listed.items() if kind == what]
            charged = self._counter.goods.charged.get(what)
            newest = max(of_kind, key=lambda one: one.goods.number, default=None)
            if newest is not None and charged is not None and _is_older(newest, charged):
                self._refuse(newest, "older")
            for one in sorted(of_kind, key=lambda one: -one.goods.number)[MOST_WAITING:]:
                del listed[what, one.goods.number]
        if found.goods or found.versions:
            self._listed = listed

    def _flaw(self, one: GoodsFound) -> str | None:
        goods = one.goods
        try:
            parse_utc(goods.valid_from)
        except ValueError:
            return "malformed"
        if goods.what == MARKDOWNS:
            if goods.store not in ("", self._store):
                return "other_store"
            return None if one.name == markdown_name(self._store, goods.number) else "other_store"
        return None if one.name == goods_name(goods.what, goods.number, wide=one.wide) else "malformed"

    def tick(self, found: Found | None) -> bool:
        """Between two things a cashier does; whether prices or guidance are others than before.

        Raises UnavailableError for a disk that fails; nothing is acted on then.
        """
        before = self.activations
        if found is not None:
            self._take(found)
        if self._errand is not None and (outcome := self._hands.heard()) is not None:
            self._errand = None
            self._heard(outcome)
        if self._ready is not None and self._counter.between():
            self._activate(self._ready)
        if self._errand is None and self._ready is None and (errand := self._next()) is not None:
            self._errand = errand
            self._hands.begin(errand)
        return self.activations != before

    # --- what next

    def _next(self) -> Errand | None:
        now = self._counter.now()
        for what in KINDS:
            charged = self._counter.goods.charged.get(what) or self._kept.get(what)
            if charged is not None and self._acting.get(what) != charged.digest and charged.digest not in self._away:
                return self._asked(self._found(what, charged), now, again=True)
            waits = {one.digest for one in self._counter.goods.waits}
            wanted = self._wanted(what, charged)
            due = [one for one in wanted if self._due(one, now)]
            if due:
                return self._asked(due[0], now)
            missing = [one for one in wanted if one.sha256 not in waits]
            if missing:
                return self._asked(missing[0], now)
        return None

    def _wanted(self, what: str, charged: Charged | None) -> list[GoodsFound]:
        """What may be taken of a kind, the highest number first: newer than what is acted on, not refused, not taken back."""
        state = self._counter.goods
        known = {one.goods.number: one for one in map(_waiting, state.waits) if one.goods.what == what}
        known |= {number: one for (kind, number), one in self._listed.items() if kind == what}
        back = {one.goods.withdraws for one in known.values()}
        refused = set(state.refused)
        return [
            one
            for number, one in sorted(known.items(), reverse=True)
            if number > (charged.number if charged is not None else 0)
            and number not in back
            and _key(one.name, one.sha256) not in refused
            and one.sha256 not in self._away
        ]

    def _found(self, what: str, charged: Charged) -> GoodsFound:
        listed = self._listed.get((what, charged.number))
        if listed is not None and listed.sha256 == charged.digest:
            return listed
        return _waiting(Waits(charged.name, charged.digest, charged.number, "1970-01-01T00:00:00.000Z"))

    def _due(self, one: GoodsFound, now: int) -> bool:
        """Whether its time has come, by a clock that is believed."""
        if parse_utc(one.goods.valid_from) > now:
            return False
        if self._counter.in_doubt():
            if one.sha256 not in self._doubted:
                self._doubted.add(one.sha256)
                self._tell(one, "clock")
            return False
        return True

    def _asked(self, one: GoodsFound, now: int, *, again: bool = False) -> Errand:
        state, goods = self._counter.goods, one.goods
        charged = state.charged.get(ASSORTMENT)
        back = (
            goods.what == ASSORTMENT
            and charged is not None
            and goods.withdraws == charged.number
            and one.sha256 == state.before
        )
        when = local_minute(max(now, parse_utc(goods.valid_from)))
        base = state.base(now, self.digest)
        return Errand(one, self._counter.catalogue, self.digest, base, self._store, when, now, again, back)

    # --- what came of it

    def _heard(self, outcome: Outcome) -> None:
        one, weighed = outcome.errand.found, outcome.weighed
        if weighed.why:
            if weighed.why == "away" or outcome.errand.again:
                self._away.add(one.sha256)  # until the next look
            if weighed.why != "away":
                self._refuse(one, weighed.why, weighed.facts)
            self._let_go(weighed.catalogue)
            return
        if not outcome.errand.again and one.sha256 not in {waits.digest for waits in self._counter.goods.waits}:
            goods = one.goods
            self._counter.write(GoodsHeld(one.name, one.sha256, goods.number, goods.valid_from, goods.withdraws))
        if outcome.errand.again or self._due(one, self._counter.now()):
            self._ready = outcome
        else:
            self._let_go(weighed.catalogue)

    def _activate(self, outcome: Outcome) -> None:
        """Act on it. What is written first is what a restart goes on with."""
        counter, errand, weighed = self._counter, outcome.errand, outcome.weighed
        one, what = errand.found, errand.found.goods.what
        self._ready = None
        if not errand.again:
            if errand.digest != self.digest or not self._due(one, counter.now()):
                self._let_go(weighed.catalogue)
                return  # something else is charged by now: it is weighed anew
            before = self._acting.get(what, FACTORY)
            counter.write(
                GoodsActivated(
                    one.name, one.sha256, one.goods.number, weighed.articles, weighed.changed, before, one.wide
                )
            )
        gone = None
        if weighed.catalogue is not None:
            gone = counter.catalogue
            self._offers = self._offers_on(weighed.catalogue)
            counter.charge(weighed.catalogue, self._offers)
        elif weighed.markdowns is not None:
            self._markdowns, self._offers = weighed.markdowns, weighed.offers
            counter.charge(counter.catalogue, self._offers)
        elif weighed.guidance is not None:
            self.guidance = weighed.guidance
        self._acting[what] = one.sha256
        self._kept[what] = Charged(one.name, one.sha256, one.goods.number)
        self.activations += 1
        self._hands.settled(dict(self._kept), counter.goods.digests(), gone)

    def _offers_on(self, catalogue: Catalogue) -> tuple[Promotion, ...]:
        """The store's mark-downs on another assortment; where they no longer fit it, none of them stands."""
        if self._markdowns is None:
            return ()
        return offers_of(self._markdowns, catalogue, local_minute(self._counter.now()), 0)[0]

    def _let_go(self, catalogue: Catalogue | None) -> None:
        self._hands.settled(dict(self._kept), self._counter.goods.digests(), catalogue)

    def _refuse(self, one: GoodsFound, why: str, facts: Iterable[tuple[str, str]] = ()) -> None:
        if _key(one.name, one.sha256) not in self._counter.goods.refused:
            self._tell(one, why, facts)

    def _tell(self, one: GoodsFound, why: str, facts: Iterable[tuple[str, str]] = ()) -> None:
        mine = one.goods.what == MARKDOWNS
        said = (("digest", one.sha256), *facts)
        self._write_refusal("markdown" if mine else "goods", why, one.name, STORE if mine else CHAIN, "", said)

    def _write_refusal(
        self, what: str, why: str, name: str, repository: str, source: str, facts: Iterable[tuple[str, str]]
    ) -> None:
        """In the journal, with an alarm; no flood of names fills it (RL10)."""
        now = self._counter.now()
        self._lately = [at for at in self._lately if now - HOUR_MS < at <= now]
        if len(self._lately) >= MOST_NEW:
            return
        self._lately.append(now)
        said = tuple(Fact(fact, clip(value)) for fact, value in facts)
        about = Fact("what", what), Fact("why", why), Fact("name", clip(name))
        self._counter.write(
            PublicationRefused(what, why, 0, clip(name), clip(repository, 16), clip(source), said),
            AlarmRaised("publication_refused", about),
        )


def _waiting(waits: Waits) -> GoodsFound:
    """What the journal knows of something held: its length is not needed, its bytes are on the disk by digest."""
    what = kind_of_name(waits.name)
    goods = Goods(what, waits.number, waits.valid_from, waits.withdraws)
    return GoodsFound(waits.name, 0, waits.digest, goods, waits.name.startswith("wide/"))


def _is_older(newest: GoodsFound, charged: Charged) -> bool:
    """Whether the best on offer is older than what is charged, or another document under its number."""
    number = newest.goods.number
    return number < charged.number or (number == charged.number and newest.sha256 != charged.digest)
