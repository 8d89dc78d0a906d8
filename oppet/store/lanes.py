"""Rulings between a store's tills: who may take a parked basket (R27), what of a receipt came back (R17), who paid a voucher (PT11).

Everything is a fold of the journals kept here and of what was granted, which is in the node's own journal before a till
hears of it. A grant is exclusive, and for the same epoch of the same till it is the same grant. It ends with its epoch:
closed, revoked, or replaced by one certified after the grant; a basket given to a till that never went on with it may be
released by the manager before that. A till that the node cannot reach sells by its own rules; two rulings that
contradict each other are found when the journals meet, and become cases.
"""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from oppet.base.clock import Clock, local_day, parse_utc, utc_text
from oppet.base.errors import OppetError, RefusedError, UntrustedError
from oppet.base.signing import Signer
from oppet.base.words import N_
from oppet.drivers.gift_book import GiftKeeper
from oppet.drivers.post import Post
from oppet.drivers.shelf_files import FileShelf
from oppet.drivers.swish_desk import SwishDesk
from oppet.journal.chain import UNREADABLE
from oppet.journal.entry import Entry, body_of, parse
from oppet.journal.kinds import (
    ActDone,
    Body,
    EpochClosed,
    Fact,
    LineAdded,
    LineChanged,
    LineVoided,
    Original,
    Receipt,
    SaleAbandoned,
    SaleMoved,
    SaleOpened,
    SaleParked,
    SaleResumed,
    TenderHeard,
    TenderReversed,
    TenderTaken,
    kind_of,
)
from oppet.payments.giftcard import GiftQuestion, GiftVerdict
from oppet.payments.risk import Risk
from oppet.payments.tender import AT_RISK
from oppet.payments.vouchers import is_voucher
from oppet.sale.basket import NEXT
from oppet.sync.keeper import Known
from oppet.sync.lanes import (
    OLDEST_MS,
    AskGift,
    AskHold,
    AskParked,
    AskResume,
    AskRisk,
    AskSpend,
    AskSwish,
    AskTake,
    Came,
    Gone,
    Lane,
    ParkedBasket,
    Refused,
    Signed,
    Told,
    check,
    sign,
)
from oppet.sync.sender import Source

__all__ = [
    "HOLD_MS",
    "Basket",
    "DoubleReturn",
    "DoubleVoucher",
    "GivenBasket",
    "Hold",
    "LaneFold",
    "NotGivenError",
    "Place",
    "Return",
    "Rulings",
    "came_back",
    "double_returns",
    "double_vouchers",
]

HOLD_MS = 15 * 60_000
RESUME_MS = 60_000  # until the till's own entry says what it did with the word it got
MOST_BASKETS = 500
MOST_PIECES = 5_000  # entries of one basket
MOST_RETURNS = 200_000  # of one history: a till's life
MOST_VOUCHERS = 200_000
LARGEST_ORE = 10**10
KINDS = frozenset({kind_of(SaleOpened), kind_of(EpochClosed)} | {kind_of(body) for _, body in NEXT})
Place = tuple[str, int, int]  # a sale or a receipt: till, epoch, number


class Basket(msgspec.Struct):
    """An unfinished sale of one history."""

    sale: int
    mode: str
    since: str
    by: int
    parked: str = ""  # when, or ""
    original: Place | None = None
    lines: dict[int, int] = {}  # line → öre before discounts
    seqs: list[int] = []  # its entries


class Return(msgspec.Struct, frozen=True):
    """A finished return: what came back of which receipt."""

    original: Place
    number: int
    lines: tuple[Came, ...]


class Spent(msgspec.Struct, frozen=True):
    """A pant voucher was taken in a sale."""

    seq: int
    sale: int
    tender: int
    ore: int


class LaneFold(msgspec.Struct):
    """What rulings need of one history; kept as a view, so that a restart does not read years."""

    seq: int = 0
    baskets: dict[int, Basket] = {}
    finished: list[int] = []  # sales that ended lately: "finished" is not "unknown"
    taken: dict[str, int] = {}  # another's basket that went on here → the entry that says so
    returns: list[Return] = []
    vouchers: dict[str, Spent] = {}  # by reference
    unspent: dict[str, int] = {}  # given back to the customer → the entry that says so
    ended: dict[str, int] = {}  # an original → the entry with which a return on it ended here last
    closed: bool = False  # the epoch ended in order: nothing follows
    risk: Risk = msgspec.field(default_factory=Risk)  # taken at risk on its last day that had any

    def read(self, entries: Iterable[Entry]) -> None:
        """Go on with the next entries. One whose content is wrong changes nothing (R21)."""
        for entry in entries:
            self.seq = entry.seq
            if entry.kind not in KINDS:
                continue
            body = _body(entry)
            if isinstance(body, SaleOpened):
                self._opened(body, entry)
            elif isinstance(body, Receipt | SaleAbandoned | SaleMoved):
                self._ended(body, entry.seq)
            elif isinstance(body, EpochClosed):
                self.closed = True
            elif body is not None:
                self._heard(body, entry)
                self._voucher(body, entry.seq)
                self._piece(body, entry)

    def _opened(self, body: SaleOpened, entry: Entry) -> None:
        while len(self.baskets) >= MOST_BASKETS:
            self.baskets.pop(next(iter(self.baskets)))
        source, original = body.moved_from, body.original
        back = _place(original) if original is not None else None
        self.baskets[body.sale] = Basket(body.sale, body.mode, entry.time, body.cashier, "", back, {}, [entry.seq])
        if source is not None:
            self.taken[_text((source.till, source.epoch, source.sale))] = entry.seq

    def _heard(self, body: Body, entry: Entry) -> None:
        """As the till counts it against its own budget (PT6)."""
        if isinstance(body, TenderHeard) and body.outcome == AT_RISK and 0 < body.amount_ore < LARGEST_ORE:
            with contextlib.suppress(ValueError, OverflowError):
                self.risk = self.risk.add(local_day(parse_utc(entry.time)), body.amount_ore)

    def _voucher(self, body: Body, seq: int) -> None:
        if isinstance(body, TenderTaken) and is_voucher(body.means, body.reference):
            basket = self.baskets.get(body.sale)
            if basket is None or basket.mode == "sale":
                self.vouchers[body.reference] = Spent(seq, body.sale, body.tender, body.amount_ore)
                _shorten(self.vouchers, MOST_VOUCHERS)
        elif isinstance(body, TenderReversed) and body.means == "pant_voucher":
            place = body.sale, body.tender
            for reference in [ref for ref, spent in self.vouchers.items() if (spent.sale, spent.tender) == place]:
                del self.vouchers[reference]
                self.unspent[reference] = seq
                _shorten(self.unspent, MOST_BASKETS)

    def _piece(self, body: Body, entry: Entry) -> None:
        basket = self.baskets.get(getattr(body, "sale", 0))
        if basket is None or len(basket.seqs) >= MOST_PIECES:
            return
        basket.seqs.append(entry.seq)
        if isinstance(body, LineAdded | LineChanged):
            basket.lines[body.line] = body.amount_ore
        elif isinstance(body, LineVoided):
            basket.lines.pop(body.line, None)
        elif isinstance(body, SaleParked):
            basket.parked = entry.time
        elif isinstance(body, SaleResumed):
            basket.parked = ""

    def _ended(self, body: Receipt | SaleAbandoned | SaleMoved, seq: int) -> None:
        basket = self.baskets.pop(body.sale, None)
        self.finished.append(body.sale)
        del self.finished[:-MOST_BASKETS]
        original = basket.original if basket is not None else None
        if isinstance(body, Receipt) and body.kind == "return" and body.original is not None:
            original = _place(body.original)
            if len(self.returns) < MOST_RETURNS:
                self.returns.append(Return(original, body.number, tuple(_came(body))))
        if original is not None:
            self.ended[_text(original)] = seq
            while len(self.ended) > MOST_BASKETS:
                self.ended.pop(next(iter(self.ended)))


def _shorten(known: dict[str, Any], most: int) -> None:
    while len(known) > most:
        known.pop(next(iter(known)))


Folds = Mapping[tuple[str, int, str], LaneFold]  # by till, epoch, branch


def came_back(folds: Folds, original: Place, but: tuple[str, int]) -> tuple[Came, ...]:
    """What came back of a receipt's lines in every history but those of one till's epoch (R17)."""
    sums: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    for (till, epoch, _), fold in folds.items():
        for made in fold.returns if (till, epoch) != but else ():
            for line in made.lines if made.original == original else ():
                for place, amount in enumerate((line.quantity_milli, line.amount_ore, line.net_ore)):
                    sums[line.line][place] += amount
    return tuple(Came(line, *sums[line]) for line in sorted(sums))


class DoubleReturn(msgspec.Struct, frozen=True):
    """More came back of one line than was bought, at several tills or epochs: a case."""

    original: Place
    line: int
    bought_milli: int
    returned_milli: int
    at: tuple[Place, ...]  # the return receipts


def double_returns(folds: Folds, bought: Callable[[Place], Receipt | None]) -> Iterator[DoubleReturn]:
    """Receipts of which several histories together took back more than was on them."""
    found: dict[Place, list[tuple[Place, Return]]] = defaultdict(list)
    for (till, epoch, _), fold in folds.items():
        for made in fold.returns:
            found[made.original].append(((till, epoch, made.number), made))
    for original, made_at in sorted(found.items(), key=lambda pair: pair[0]):
        at = tuple(place for place, _ in made_at)
        receipt = bought(original) if len({place[:2] for place in at}) > 1 else None  # one till checked its own
        for line in receipt.lines if receipt is not None else ():
            back = sum(came.quantity_milli for _, made in made_at for came in made.lines if came.line == line.line)
            if back > line.quantity_milli:
                yield DoubleReturn(original, line.line, line.quantity_milli, back, at)


class DoubleVoucher(msgspec.Struct, frozen=True):
    """The same pant voucher was paid at several tills or epochs: a case."""

    voucher: str
    ore: int
    at: tuple[Place, ...]  # the sales


def double_vouchers(folds: Folds) -> Iterator[DoubleVoucher]:
    """Vouchers that more than one history took, each while it could not ask."""
    found: dict[str, list[tuple[Place, int]]] = defaultdict(list)
    for (till, epoch, _), fold in folds.items():
        for reference, spent in fold.vouchers.items():
            found[reference].append(((till, epoch, spent.sale), spent.ore))
    for reference, taken in sorted(found.items()):
        places = tuple(sorted({place for place, _ in taken}))
        if len(places) > 1:
            yield DoubleVoucher(reference, max(ore for _, ore in taken), places)


class Given(msgspec.Struct, frozen=True):
    """A basket was given to one epoch of a till."""

    till: str
    epoch: int
    since: int  # instant


class Hold(msgspec.Struct, frozen=True):
    """One till returns on one receipt."""

    till: str
    epoch: int
    since: int  # instant
    mark: int  # the holder's last entry that ended a return on it before


Over = Callable[[str, int, str], bool]  # whether what this epoch of a till was given at that moment (UTC) ended with it


class Rulings:
    """What was granted. It only judges; the caller writes each new grant down before it is told, then notes it here."""

    def __init__(self, over: Over) -> None:
        self._over = over
        self.granted: dict[Place, Given] = {}  # who goes on with a basket
        self.holds: dict[Place, Hold] = {}
        self.spends: dict[str, Hold] = {}  # vouchers that a till was told it may take
        self._resuming: dict[Place, int] = {}

    def parked(self, folds: Folds, asking: tuple[str, int]) -> tuple[ParkedBasket, ...]:
        """Sales parked at other tills, or at this one before it was rebuilt; those parked last come first."""
        found = [
            ParkedBasket(
                till, epoch, basket.sale, basket.parked, len(basket.lines), sum(basket.lines.values()), basket.by
            )
            for (till, epoch, _), fold in folds.items()
            for basket in (fold.baskets.values() if (till, epoch) != asking else ())
            if basket.parked and basket.mode == "sale" and self.holder(folds, (till, epoch, basket.sale)) is None
        ]
        return tuple(sorted(found, key=lambda one: (one.since, one.till, one.sale), reverse=True)[:MOST_BASKETS])

    def gone(self, folds: Folds, asking: tuple[str, int]) -> tuple[Gone, ...]:
        """Baskets of the asking till that went on elsewhere and that its journal still calls parked."""
        found = []
        for sale in sorted({sale for key, fold in folds.items() if key[:2] == asking for sale in fold.baskets}):
            holder = self.holder(folds, (*asking, sale))
            if holder is not None and holder != asking:
                found.append(Gone(sale, *holder))
        return tuple(found)

    def take(
        self, folds: Folds, place: Place, asking: tuple[str, int], now: int
    ) -> tuple[str, tuple[str, int], tuple[str, int, str] | None]:
        """May `asking` have this basket? Gives why not, who has it, and the history it is in. Same epoch, same answer."""
        holder = self.holder(folds, place)
        if holder is not None and holder != asking:
            return "taken", holder, None
        key = next((key for key, fold in folds.items() if key[:2] == place[:2] and place[2] in fold.baskets), None)
        if key is None:
            ended = any(place[2] in fold.finished for known, fold in folds.items() if known[:2] == place[:2])
            return "finished" if ended else "unknown", ("", 0), None
        basket = folds[key].baskets[place[2]]
        if not basket.parked or basket.mode != "sale" or now - self._resuming.get(place, now - RESUME_MS) < RESUME_MS:
            return "taken", place[:2], None
        return "", ("", 0), key

    def resume(self, folds: Folds, place: Place, now: int) -> tuple[str, int] | None:
        """Who else has this basket of the asking till's own; None lets it go on there."""
        holder = self.holder(folds, place)
        if holder is not None and holder != place[:2]:
            return holder
        self._resuming = {known: at for known, at in self._resuming.items() if 0 <= now - at < RESUME_MS}
        self._resuming[place] = now
        return None

    def held_by(self, folds: Folds, place: Place, asking: tuple[str, int], now: int, earliest: str) -> str:
        """Which other epoch's till returns on this receipt now; "" for none. `earliest` is HOLD_MS ago, as entries say it."""
        held = self.holds.get(place)
        if held is not None and self._still_held(folds, place, held, asking, now):
            return held.till
        for (till, epoch, _), fold in folds.items():
            for basket in fold.baskets.values() if (till, epoch) != asking else ():
                returning = basket.original == place and basket.since > earliest
                if returning and not fold.closed and not self._is_succeeded(till, epoch, asking, basket.since):
                    return till  # it began while the node was away
        return ""

    def spent_by(self, folds: Folds, voucher: str, asking: tuple[str, int], now: int) -> str:
        """Which other epoch's till has taken this voucher, by its journal or by our grant; "" for none."""
        for (till, epoch, _), fold in folds.items():
            if (till, epoch) != asking and voucher in fold.vouchers:
                return till
        held = self.spends.get(voucher)
        if held is None or (held.till, held.epoch) == asking or not 0 <= now - held.since < HOLD_MS:
            return ""
        theirs = [fold.unspent.get(voucher, 0) for key, fold in folds.items() if key[:2] == (held.till, held.epoch)]
        return "" if max(theirs, default=0) > held.mark else held.till

    def _still_held(self, folds: Folds, place: Place, held: Hold, asking: tuple[str, int], now: int) -> bool:
        fresh = (held.till, held.epoch) != asking and 0 <= now - held.since < HOLD_MS
        ended = fresh and ended_at(folds, place, held.till, held.epoch) > held.mark
        succeeded = self._is_succeeded(held.till, held.epoch, asking, utc_text(held.since))
        return fresh and not ended and not succeeded and not _is_closed(folds, held)

    def _is_succeeded(self, till: str, epoch: int, asking: tuple[str, int], since: str) -> bool:
        """Whether it is the till's own next epoch that asks: the machine that held it was replaced by this one."""
        return asking[0] == till and asking[1] > epoch and self._over(till, epoch, since)

    def _is_over(self, folds: Folds, given: Given) -> bool:
        return _is_closed(folds, given) or self._over(given.till, given.epoch, utc_text(given.since))

    def waiting(self, folds: Folds) -> list[tuple[Place, Given]]:
        """Baskets that were given to a till whose journal does not say that it went on with them."""
        found = []
        for place, given in self.granted.items():
            parked = any(key[:2] == place[:2] and place[2] in fold.baskets for key, fold in folds.items())
            if parked and self.taker(folds, place) is None and not self._is_over(folds, given):
                found.append((place, given))
        return found

    def taker(self, folds: Folds, place: Place) -> tuple[str, int] | None:
        """Who goes on with a basket by its own entry."""
        text = _text(place)
        return next(((till, epoch) for (till, epoch, _), fold in folds.items() if text in fold.taken), None)

    def holder(self, folds: Folds, place: Place) -> tuple[str, int] | None:
        """Who goes on with a basket: by that till's own entry, or by our grant while its epoch lasts."""
        taker, given = self.taker(folds, place), self.granted.get(place)
        if taker is not None or given is None or self._is_over(folds, given):
            return taker
        return given.till, given.epoch


def _is_closed(folds: Folds, given: Given | Hold) -> bool:
    """Whether the epoch has said its last word. One that was only revoked or replaced may still end what it began:
    a receipt it holds is given to nobody else before the hold's time is out.
    """
    return any(fold.closed for key, fold in folds.items() if key[:2] == (given.till, given.epoch))


def ended_at(folds: Folds, original: Place, till: str, epoch: int) -> int:
    """The last entry with which a return on this receipt ended at a till; 0 for none."""
    return max(
        (fold.ended.get(_text(original), 0) for key, fold in folds.items() if key[:2] == (till, epoch)), default=0
    )


def _body(entry: Entry) -> Body | None:
    """What it says; nothing where its content is wrong (R21)."""
    try:
        return body_of(entry)
    except UNREADABLE:
        return None


def _came(receipt: Receipt) -> Iterator[Came]:
    for line in receipt.lines:
        yield Came(line.original_line, line.quantity_milli, line.amount_ore, line.net_ore)


def _place(original: Original) -> Place:
    return original.till, original.epoch, original.number


def _text(place: Place) -> str:
    return "/".join(map(str, place))


# --- the desk at which tills ask ----------------------------------------------------------------------------------


class LaneNotBelievedError(UntrustedError):
    sentence = N_("A question in the name of till {till}, epoch {epoch} is not believed: {why}.")


class LaneOldError(RefusedError):
    sentence = N_("This question is from {time}, and it is {now} here. Check the clocks.")


class LaneMalformedError(RefusedError):
    sentence = N_("This question cannot be read: {why}.")


TAKEN, HELD, RELEASED, SPENT = "basket taken", "receipt held", "basket released", "voucher taken"
VIEW = "lanes-4"  # the number is raised when a fold means something else
SAVE_AFTER = 5_000  # entries that a restart may have to fold again
MOST_ACTS = 20_000  # of the node's own journal are read again for grants


class NotGivenError(RefusedError):
    sentence = N_("Till {till} went on with this basket, or it was released already. Look at the list again.")


class GivenBasket(msgspec.Struct, frozen=True):
    """A basket that a till was given and has not gone on with."""

    place: Place
    to: str
    epoch: int
    since: str


class LaneDesk:
    """Answers tills from what is kept. Any thread may ask; one answer is made at a time, so a grant is exclusive."""

    def __init__(
        self, shelf: FileShelf, post: Post, signer: Signer, known: Known, store: str, clock: Clock,
        replaced: Callable[[str, int], str] = lambda *_: "", gifts: GiftKeeper | None = None,
        swish: SwishDesk | None = None,
    ) -> None:  # fmt: skip
        """`replaced` says when a newer epoch of a till was last certified; "" for never. `gifts` keeps the store's gift cards, and
        `swish` calls Swish, where this node does either."""
        self._gifts, self._swish = gifts, swish
        self._shelf, self._post, self._signer, self._known = shelf, post, signer, known
        self._store, self._clock = store, clock
        self._folds: dict[tuple[str, int, str], LaneFold] = {}
        self._saved: dict[tuple[str, int, str], int] = {}
        self._replaced = replaced
        self._rulings = Rulings(self._over)
        self._reckoned, self._cases = 0, list[DoubleReturn]()  # for so many returns
        self._vouchers, self._twice = 0, list[DoubleVoucher]()  # for so many vouchers
        self._guard = threading.Lock()
        self._recall()

    def answer(self, signed: Signed) -> Signed:
        """One question of one till. Raises LaneMalformedError, LaneOldError, LaneNotBelievedError, UnavailableError."""
        try:
            lane = msgspec.json.decode(signed.text, type=Lane)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise LaneMalformedError(why=str(error)) from None
        self._believe(lane, signed)
        if isinstance(lane.ask, AskSwish):  # no ruling: nothing is read for it, and no other question waits
            told = Told("", refused=Refused("unknown"))
            if self._swish is not None:
                told = Told("", swish=self._swish.ask(lane.till, lane.epoch, lane.ask))
        else:
            with self._guard:
                self._catch_up()
                asking = (lane.till, lane.epoch)
                told = msgspec.structs.replace(self._told(lane, asking), at_risk_ore=self._at_risk_ore(asking))
        return sign(msgspec.structs.replace(told, nonce=lane.nonce), self._signer)

    def look(self) -> tuple[ParkedBasket, ...]:
        """Every parked basket of the store, for pages."""
        with self._guard:
            self._catch_up()
            return self._rulings.parked(self._folds, ("", 0))

    def cases(self) -> list[DoubleReturn]:
        """Receipts of which more came back than was bought, once the journals met."""
        with self._guard:
            self._catch_up()
            returns = sum(len(fold.returns) for fold in self._folds.values())
            if returns != self._reckoned:
                self._reckoned, self._cases = returns, list(double_returns(self._folds, self._bought))
            return self._cases

    def voucher_cases(self) -> list[DoubleVoucher]:
        """Vouchers that were paid at several tills, once the journals met."""
        with self._guard:
            self._catch_up()
            vouchers = sum(len(fold.vouchers) for fold in self._folds.values())
            if vouchers != self._vouchers:
                self._vouchers, self._twice = vouchers, list(double_vouchers(self._folds))
            return self._twice

    def save(self) -> None:
        """Keep the folds beside their journals."""
        with self._guard:
            for key, fold in self._folds.items():
                if fold.seq > self._saved.get(key, 0):
                    self._save(key, fold)

    def given(self) -> list[GivenBasket]:
        """Baskets given to a till that has not gone on with them by its journal, for the manager."""
        with self._guard:
            self._catch_up()
            return [_given(place, given) for place, given in self._rulings.waiting(self._folds)]

    def release(self, given: GivenBasket, by: int) -> None:
        """Let another till have it after all. Raises NotGivenError where that till went on with it meanwhile."""
        with self._guard:
            self._catch_up()
            if given not in [_given(*pair) for pair in self._rulings.waiting(self._folds)]:
                raise NotGivenError(till=given.to)
            self._post.write(
                ActDone(by, RELEASED, _text(given.place), facts=(Fact("from", f"{given.to}/{given.epoch}"),))
            )
            del self._rulings.granted[given.place]

    # --- behind the calls -----------------------------------------------------------------------------------------

    def _believe(self, lane: Lane, signed: Signed) -> None:
        standing = self._known(lane.till, lane.epoch)
        why = ""
        if standing is None or standing.store != self._store:
            why = "it is no till of this store"
        elif standing.revoked:
            why = "it is revoked"
        elif not check(signed, standing.public_key):
            why = "its key did not sign it"
        if why:
            raise LaneNotBelievedError(till=lane.till, epoch=lane.epoch, why=why)
        now = self._clock.now()
        with contextlib.suppress(ValueError):
            if abs(now - parse_utc(lane.time)) <= OLDEST_MS:
                return
        raise LaneOldError(time=lane.time, now=utc_text(now))

    def _over(self, till: str, epoch: int, since: str) -> bool:
        """What this epoch was given then is over: it is revoked, or a newer one of its till was certified after that."""
        standing = self._known(till, epoch)
        return (standing is not None and bool(standing.revoked)) or self._replaced(till, epoch) >= since

    def _told(self, lane: Lane, asking: tuple[str, int]) -> Told:
        match lane.ask:
            case AskParked():
                rulings, folds = self._rulings, self._folds
                return Told("", parked=rulings.parked(folds, asking), gone=rulings.gone(folds, asking))
            case AskTake(till=till, epoch=epoch, sale=sale):
                return self._take((till, epoch, sale), asking)
            case AskResume(sale=sale):
                holder = self._rulings.resume(self._folds, (*asking, sale), self._clock.now())
                return Told("", granted=True) if holder is None else Told("", refused=Refused("taken", *holder))
            case AskHold(till=till, epoch=epoch, number=number):
                return self._hold((till, epoch, number), asking)
            case AskSpend(voucher=voucher):
                return self._spend(voucher, asking)
            case AskGift() as ask:
                return self._gift(ask, lane.till)
            case AskRisk():
                return Told("", granted=True)
            case _:
                return Told("", refused=Refused("unknown"))

    def _at_risk_ore(self, asking: tuple[str, int]) -> int:
        """What every till's journal but the asking one's says of today (PT6)."""
        today = local_day(self._clock.now())
        return sum(fold.risk.ore for key, fold in self._folds.items() if key[:2] != asking and fold.risk.day == today)

    def _spend(self, voucher: str, asking: tuple[str, int]) -> Told:
        now, rulings = self._clock.now(), self._rulings
        other = rulings.spent_by(self._folds, voucher, asking, now)
        if other:
            return Told("", refused=Refused("spent", other))
        held = rulings.spends.get(voucher)
        if held is None or (held.till, held.epoch) != asking or not 0 <= now - held.since < HOLD_MS:
            heads = [fold.seq for key, fold in self._folds.items() if key[:2] == asking]
            hold = Hold(*asking, now, max(heads, default=0))
            facts = (Fact("by", f"{asking[0]}/{asking[1]}"), Fact("mark", str(hold.mark)))
            self._post.write(ActDone(0, SPENT, voucher, facts=facts))
            rulings.spends = {known: one for known, one in rulings.spends.items() if now - one.since < HOLD_MS}
            rulings.spends[voucher] = hold
        return Told("", granted=True)

    def _gift(self, ask: AskGift, till: str) -> Told:
        if self._gifts is None:
            return Told("", refused=Refused("unknown"))
        if ask.what == "probe":
            return Told("", gift=GiftVerdict("alive"))
        asked = GiftQuestion(till, ask.what, ask.request, ask.card, ask.amount_ore, ask.about, ask.reverses)
        return Told("", gift=self._gifts.answer(asked))

    def _take(self, place: Place, asking: tuple[str, int]) -> Told:
        rulings = self._rulings
        why, by, key = rulings.take(self._folds, place, asking, self._clock.now())
        if key is None:
            return Told("", refused=Refused(why, *by))
        source = self._shelf.source(*key)
        entries = tuple(source.pieces(seq, 1, 1)[0].decode() for seq in self._folds[key].baskets[place[2]].seqs)
        if rulings.holder(self._folds, place) != asking:
            now = self._clock.now()
            self._post.write(ActDone(0, TAKEN, _text(place), facts=(Fact("by", f"{asking[0]}/{asking[1]}"),)))
            rulings.granted[place] = Given(*asking, now)
        return Told("", entries=entries, granted=True)

    def _hold(self, place: Place, asking: tuple[str, int]) -> Told:
        bought = self._bought(place)
        if bought is None:
            return Told("", refused=Refused("unknown"))
        now, rulings = self._clock.now(), self._rulings
        other = rulings.held_by(self._folds, place, asking, now, utc_text(max(0, now - HOLD_MS)))
        if other:
            return Told("", refused=Refused("held", other))
        hold = Hold(*asking, now, ended_at(self._folds, place, *asking))
        facts = (Fact("by", f"{asking[0]}/{asking[1]}"), Fact("mark", str(hold.mark)))
        self._post.write(ActDone(0, HELD, _text(place), facts=facts))
        rulings.holds = {known: held for known, held in rulings.holds.items() if now - held.since < HOLD_MS}
        rulings.holds[place] = hold
        return Told("", came=came_back(self._folds, place, asking), paid=bought.tenders, granted=True)

    def _catch_up(self) -> None:
        for one in self._shelf.streams():
            standing = self._known(one.till, one.epoch)
            if standing is None or standing.store != self._store:
                continue
            key = (one.till, one.epoch, one.branch)
            fold = self._folds.get(key)
            if fold is None or fold.seq > one.head.seq:  # new here, or the disk lost entries: begin again
                fold = self._folds[key] = self._taken_up(key, one.base.seq)
                self._saved[key] = fold.seq
            if fold.seq < one.head.seq:
                fold.read(self._shelf.read(*key, fold.seq + 1, one.head.seq))
            if fold.seq - self._saved[key] >= SAVE_AFTER:
                self._save(key, fold)

    def _taken_up(self, key: tuple[str, int, str], base: int) -> LaneFold:
        with contextlib.suppress(OppetError, msgspec.MsgspecError, ValueError):
            found = self._shelf.load_view(*key, VIEW)
            if found is not None:
                fold = msgspec.json.decode(found[1], type=LaneFold)
                if fold.seq == found[0]:
                    return fold
        return LaneFold(seq=base)

    def _save(self, key: tuple[str, int, str], fold: LaneFold) -> None:
        with contextlib.suppress(OppetError):  # it only saves time
            self._shelf.save_view(*key, VIEW, fold.seq, msgspec.json.encode(fold))
            self._saved[key] = fold.seq

    def _bought(self, place: Place) -> Receipt | None:
        """The receipt of this number, found by halves: numbers rise along a journal."""
        for branch in self._shelf.branches(*place[:2]):
            source = self._shelf.source(*place[:2], branch)
            low, high = 1, source.head.seq + 1
            while low < high:
                middle = (low + high) // 2
                seq, receipt = self._next_receipt(source, middle, high)
                if receipt is None or receipt.number > place[2]:
                    high = middle
                elif receipt.number < place[2]:
                    low = seq + 1
                else:
                    return receipt
        return None

    @staticmethod
    def _next_receipt(source: Source, first: int, end: int) -> tuple[int, Receipt | None]:
        """The first numbered sale or return at or behind `first`."""
        while first < end:
            for data in source.pieces(first, min(200, end - first), 1 << 20):
                entry = parse(data)
                body = _body(entry) if entry.kind == "receipt" else None
                if isinstance(body, Receipt) and body.kind in ("sale", "return"):
                    return entry.seq, body
                first += 1
        return end, None

    def _recall(self) -> None:
        """What was granted before this process began."""
        journal = self._post.journal
        for entry in journal.read(max(1, journal.head.seq - MOST_ACTS + 1)):
            body = body_of(entry) if entry.kind == "act_done" else None
            if not isinstance(body, ActDone) or body.act not in (TAKEN, HELD, RELEASED, SPENT):
                continue
            facts = {fact.name: fact.value for fact in body.facts}
            since = parse_utc(entry.time)
            till, _, epoch = facts.get("by", "").partition("/")
            if body.act == SPENT:
                self._rulings.spends[body.about] = Hold(till, int(epoch), since, int(facts.get("mark", "0")))
                continue
            parts = body.about.split("/")
            place = (parts[0], int(parts[1]), int(parts[2]))
            if body.act == TAKEN:
                self._rulings.granted[place] = Given(till, int(epoch), since)
            elif body.act == RELEASED:
                self._rulings.granted.pop(place, None)
            else:
                self._rulings.holds[place] = Hold(till, int(epoch), since, int(facts.get("mark", "0")))


def _given(place: Place, given: Given) -> GivenBasket:
    return GivenBasket(place, given.till, given.epoch, utc_text(given.since))
