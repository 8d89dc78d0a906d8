"""Goods into the basket and out of it again: scan, weigh, change, void, discount, park.

Every scan is durable before the page shows it (unsigned until the next signed group). Leaves money to `checkout.py`,
goods coming back to `returns.py`. Keeps T3 (nothing is sold that must not be: expired, recalled, without a price) and
S7 (approvals).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from msgspec import structs

from oppet.base.errors import RefusedError, UnavailableError, clip
from oppet.base.money import kronor
from oppet.base.words import N_
from oppet.goods import codes, freshness, vat
from oppet.goods.article import Article, price_at
from oppet.goods.codes import Scanned
from oppet.goods.errors import ExpiredError, NoPriceError, RecalledError, UnknownArticleError
from oppet.goods.freshness import MarkDown
from oppet.journal.kinds import (
    AgeChecked,
    Body,
    DiscountGiven,
    DiscountWithdrawn,
    Elsewhere,
    LineAdded,
    LineChanged,
    LineVoided,
    MemberShown,
    PriceAsked,
    SaleAbandoned,
    SaleMoved,
    SaleOpened,
    SaleParked,
    SaleResumed,
    ScanRefused,
)
from oppet.payments.tender import UNKNOWN
from oppet.register.desk import Desk, settled
from oppet.register.errors import NeedsQuantityError, NotPossibleNowError, TakenElsewhereError
from oppet.register.ports import Parked
from oppet.sale import basket as baskets
from oppet.sale.basket import MOST_LINES, Basket, Line
from oppet.sale.errors import (
    BasketEmptyError,
    BasketStateError,
    DiscountTooLargeError,
    NoSuchLineError,
    NoSuchSaleError,
    TooManyDiscountsError,
    TooManyLinesError,
)
from oppet.sale.lines import changed, goods_line, pant_line
from oppet.sale.moving import folded, moved_here
from oppet.sale.price import beyond, discount_of, price
from oppet.sale.rights import Staff, approver
from oppet.sale.tokens import members_token

__all__ = ["Selling"]

MOST_CODES = 2_000  # read codes that are remembered; the longest is 2 000 characters
MOST_REASON = 60
MOST_DISCOUNTS = 20  # standing in one basket
MOST_PARKED = 50


class Selling:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._read = lru_cache(MOST_CODES)(codes.read)  # a shop sells the same goods again and again
        self.notice: MarkDown | None = (
            None  # what the cashier must know about the last goods: a date, a recall to compare with
        )

    # --- goods in

    def scan(self, text: str, quantity_milli: int | None = None) -> LineAdded:
        """Read a code and add what it names; begins a sale if there is none. `quantity_milli`: pieces or weight by
        hand.

        Raises a goods leaf for codes and goods that are refused, NeedsQuantityError for weighed goods without a weight.
        """
        desk = self._desk
        desk.ready()
        when = desk.when()
        scanned = self._read(text, when[:10])
        return self._add(desk.ports.catalogue.find(scanned), scanned, quantity_milli, when)

    def pick(self, number: str, quantity_milli: int | None = None) -> LineAdded:
        """Add an article chosen by quick key or search. Raises UnknownArticleError and what `scan` raises."""
        self._desk.ready()
        article = self._desk.ports.catalogue.article(number)
        return self._add(article, None, quantity_milli, self._desk.when())

    def _add(self, article: Article, scanned: Scanned | None, quantity_milli: int | None, when: str) -> LineAdded:
        desk = self._desk
        basket = desk.state.baskets.get(desk.state.current)
        if basket is None:
            desk.may_begin()
        else:
            desk.staff()
            baskets.allow(basket, LineAdded, N_("adding goods"))
            if basket.mode == "return":
                raise NotPossibleNowError(action=N_("Adding goods"), why=N_("this is a return"))
            if basket.last_line >= MOST_LINES:
                raise TooManyLinesError(most=MOST_LINES)
        sale = basket.sale if basket is not None else desk.state.last_sale + 1
        number = basket.last_line + 1 if basket is not None else 1
        self.notice = None
        try:
            bodies = self._lines(article, scanned, quantity_milli, sale, number, when)
        except (ExpiredError, RecalledError, NoPriceError) as refused:
            code = clip(scanned.raw if scanned is not None else article.number)
            desk.write(ScanRefused(basket.sale if basket is not None else 0, code, type(refused).__name__), sign=False)
            raise
        first: list[Body] = [] if basket is not None else [SaleOpened(sale, "sale", desk.state.staff)]
        desk.write(*first, *bodies, sign=False)
        return bodies[0]

    def _lines(
        self, article: Article, scanned: Scanned | None, quantity_milli: int | None, sale: int, number: int, when: str
    ) -> list[LineAdded]:
        desk = self._desk
        mark_down = self.notice = self._judge(article, scanned, when)
        price = price_at(article, when)
        quantity = _quantity(article, scanned, quantity_milli)
        percent = mark_down.percent if mark_down is not None else 0
        rate = vat.rate(article.vat, when[:10])
        line = goods_line(sale, number, article, price, rate, quantity, scanned, percent)
        if article.pant is None:
            return [line]
        pant = desk.ports.catalogue.article(article.pant)
        return [line, pant_line(sale, number + 1, pant, price_at(pant, when), vat.rate(pant.vat, when[:10]), line)]

    def _judge(self, article: Article, scanned: Scanned | None, when: str) -> MarkDown | None:
        catalogue = self._desk.ports.catalogue
        return freshness.judge(article, scanned, when, catalogue.recalls, catalogue.markdowns)

    def ask_price(self, text: str) -> tuple[Article, int]:
        """What an article costs now, without selling it: (article, öre a unit)."""
        desk = self._desk
        desk.ready()
        staff = desk.staff()
        article = desk.ports.catalogue.find(codes.read(text, desk.today()))
        ore = price_at(article, desk.when()).ore
        desk.write(PriceAsked(article.number, ore, staff.number), sign=False)
        return article, ore

    # --- changes

    def change(self, line: int, quantity_milli: int, approval: Staff | None = None) -> None:
        """Set a line's quantity; its deposit follows. Less counts like a void. Raises OddQuantityError,
        NeedsApprovalError.
        """
        desk, basket, found = self._found(line)
        baskets.allow(basket, LineChanged, N_("changing a line"))
        if basket.mode == "return":
            raise NotPossibleNowError(
                action=N_("Changing a line"), why=N_("take the line off and the right quantity back")
            )
        staff = desk.staff()
        most = self._most_g(found)
        first = changed(found, quantity_milli, most)
        approved = 0
        if found.amount_ore - first.amount_ore > desk.rules.limits.void_ore:
            approved = approver("void", staff, approval)
        after = structs.replace(found, quantity_milli=quantity_milli, amount_ore=first.amount_ore)
        approved = self._discounts_still_fit(basket, {line: after}, approval) or approved
        bodies = [first, *(changed(pant, quantity_milli, most) for pant in self._deposits(basket, line))]
        desk.write(*(structs.replace(body, by=staff.number, approved_by=approved) for body in bodies), sign=False)

    def void(self, line: int, approval: Staff | None = None) -> None:
        """Take a line off, its deposit with it. Above the limit a supervisor approves (S7)."""
        desk, basket, found = self._found(line)
        baskets.allow(basket, LineVoided, N_("voiding a line"))
        staff = desk.staff()
        gone = [found, *self._deposits(basket, line)]
        approved = 0
        if sum(item.amount_ore for item in gone) > desk.rules.limits.void_ore:
            approved = approver("void", staff, approval)
        after = {item.added.line: structs.replace(item, voided=True) for item in gone}
        approved = self._discounts_still_fit(basket, after, approval) or approved
        desk.write(
            *(LineVoided(basket.sale, item.added.line, item.amount_ore, staff.number, approved) for item in gone),
            sign=False,
        )

    def _discounts_still_fit(self, basket: Basket, after: Mapping[int, Line], approval: Staff | None) -> int:
        """An amount off a full basket is more of a smaller one: what the cashier gave alone stays within the limit
        (S7).
        """
        desk = self._desk
        if not any(given.amount_ore and not given.approved_by for given in basket.discounts.values()):
            return 0
        gone = {number for number, line in after.items() if line.voided}
        left = {n: given for n, given in basket.discounts.items() if given.line not in gone}
        smaller = structs.replace(basket, lines={**basket.lines, **after}, discounts=left)
        if not beyond(smaller, price(smaller, desk.offers, desk.when()), desk.rules.limits.discount_percent):
            return 0
        return approver("discount", desk.staff(), approval)

    def _most_g(self, line: Line) -> int:
        """The most this line may weigh; goods that left the assortment while the basket was open keep what they
        weigh now.
        """
        try:
            return self._desk.ports.catalogue.article(line.added.article).max_weight_g
        except UnknownArticleError:
            return line.quantity_milli

    def _found(self, line: int) -> tuple[Desk, Basket, Line]:
        desk = self._desk
        desk.ready()
        basket = desk.basket()
        found = basket.lines.get(line)
        if found is None or found.voided:
            raise NoSuchLineError(line=line)
        if found.added.pant_of:
            raise NotPossibleNowError(action=N_("Changing a deposit"), why=N_("it follows its goods"))
        return desk, basket, found

    @staticmethod
    def _deposits(basket: Basket, line: int) -> list[Line]:
        return [other for other in basket.standing() if other.added.pant_of == line]

    def discount(
        self, line: int, percent: int, amount_ore: int, reason: str, approval: Staff | None = None
    ) -> DiscountGiven:
        """Give a discount on a line (or on the basket, line 0), whole percent or öre, with a reason that is printed.

        Raises DiscountTooLargeError, NeedsApprovalError above the cashier's limit, RefusedError leaves for nonsense.
        """
        desk = self._desk
        desk.ready()
        basket = desk.basket()
        baskets.allow(basket, DiscountGiven, N_("a discount"))
        if basket.mode == "return":
            raise NotPossibleNowError(action=N_("A discount"), why=N_("a return repeats the original's prices"))
        why = clip(" ".join(reason.split()), MOST_REASON)
        if not why:
            raise NotPossibleNowError(action=N_("A discount"), why=N_("it needs a reason"))
        if not 0 <= percent <= 100 or amount_ore < 0 or (percent == 0) == (amount_ore == 0):
            raise NotPossibleNowError(action=N_("A discount"), why=N_("enter either 1–100 percent or an amount"))
        if line:
            self._found(line)
        priced = desk.priced(basket)
        targets = [p for p in priced.lines if p.line.added.discountable and line in (0, p.line.added.line)]
        base = sum(p.net_ore for p in targets)
        if base <= 0 or amount_ore > base:
            raise DiscountTooLargeError(discount=kronor(discount_of(percent, amount_ore, base)), most=kronor(base))
        if len(basket.discounts) >= MOST_DISCOUNTS:
            raise TooManyDiscountsError(most=MOST_DISCOUNTS)
        staff = desk.staff()
        given = DiscountGiven(basket.sale, basket.last_discount + 1, line, percent, amount_ore, why, staff.number, 0)
        if self._beyond_limit(basket, given):
            given = structs.replace(given, approved_by=approver("discount", staff, approval))
        desk.write(given, sign=False)
        return given

    def _beyond_limit(self, basket: Basket, given: DiscountGiven) -> bool:
        """Whether this and what the cashier gave alone before are more than one cashier gives (S7): ten times ten
        percent is.
        """
        desk = self._desk
        limit = desk.rules.limits.discount_percent
        with_it = structs.replace(basket, discounts={**basket.discounts, given.discount: given})
        return given.percent > limit or beyond(with_it, price(with_it, desk.offers, desk.when()), limit)

    def withdraw_discount(self, discount: int) -> None:
        desk = self._desk
        desk.ready()
        basket = desk.basket()
        baskets.allow(basket, DiscountWithdrawn, N_("withdrawing a discount"))
        if discount not in basket.discounts:
            raise NoSuchLineError(line=discount)
        desk.write(DiscountWithdrawn(basket.sale, discount, desk.staff().number), sign=False)

    def member(self, token: str) -> None:
        """The customer shows a membership: a pseudonymous token, or "" to take it off again."""
        desk = self._desk
        desk.ready()
        if token and (not members_token(token) or self._names_goods(token)):
            raise NotPossibleNowError(action=N_("Membership"), why=N_("this is no member's code"))
        if self._desk.state.current == 0:
            self.begin("sale")
        basket = desk.basket()
        baskets.allow(basket, MemberShown, N_("showing a membership"))
        if basket.mode == "return":
            raise NotPossibleNowError(action=N_("Membership"), why=N_("a return repeats the original's prices"))
        desk.write(MemberShown(basket.sale, token), sign=False)

    def _names_goods(self, token: str) -> bool:
        """A pack scanned where a membership was asked for."""
        try:
            return self._desk.ports.catalogue.find(self._read(token, self._desk.today())) is not None
        except RefusedError:
            return False

    def check_age(self, *, passed: bool) -> None:
        """The cashier has looked at the customer's identity card; only the limit and the answer are kept."""
        desk = self._desk
        desk.ready()
        basket = desk.basket()
        baskets.allow(basket, AgeChecked, N_("an age check"))
        limit = basket.age_needed()
        if not limit:
            raise NotPossibleNowError(action=N_("An age check"), why=N_("nothing here has an age limit"))
        desk.write(AgeChecked(basket.sale, limit, passed, desk.staff().number), sign=False)

    # --- whole baskets

    def begin(self, mode: str) -> None:
        """Open an empty basket: "sale" or "training"."""
        desk = self._desk
        assert mode in ("sale", "training"), "a return begins with its receipt"
        desk.ready()
        if desk.state.current:
            raise NotPossibleNowError(action=N_("A new basket"), why=N_("another one is open; park or finish it"))
        desk.may_begin()
        desk.write(SaleOpened(desk.state.last_sale + 1, mode, desk.state.staff), sign=False)

    def park(self) -> int:
        desk = self._desk
        desk.ready()
        basket = desk.basket()
        baskets.allow(basket, SaleParked, N_("parking"))
        if basket.state != baskets.OPEN and not any(one.state == UNKNOWN for one in basket.pending()):
            raise BasketStateError(state=basket.state, action=N_("parking"))
        settled(basket)
        if not basket.standing():
            raise BasketEmptyError
        if sum(1 for other in desk.state.baskets.values() if other.state == baskets.PARKED) >= MOST_PARKED:
            raise NotPossibleNowError(
                action=N_("Parking"), why=N_("too many baskets are parked; finish or abandon one")
            )
        desk.write(SaleParked(basket.sale, desk.staff().number))
        return basket.sale

    def resume(self, sale: int) -> None:
        """Take a parked basket up again; the till asks for the same as before a new sale (law 6 of the design).

        The store node is asked whether it went on at another till; one that is silent changes nothing. Raises
        TakenElsewhereError, with the basket gone from here.
        """
        desk = self._desk
        desk.ready()
        staff = desk.staff()
        basket = desk.state.baskets.get(sale)
        if basket is None:
            raise NoSuchSaleError(sale=sale)
        baskets.allow(basket, SaleResumed, N_("resuming"))
        if desk.state.current:
            raise NotPossibleNowError(action=N_("Resuming"), why=N_("another basket is open; park or finish it"))
        desk.may_begin()
        self._still_here(basket)
        desk.write(SaleResumed(sale, staff.number))

    def _still_here(self, basket: Basket) -> None:
        """Raises TakenElsewhereError for a basket that went on at another till, after writing that it did (R27)."""
        if basket.mode != "sale":
            return  # returns and training never move
        desk = self._desk
        try:
            desk.ports.neighbours.resume(basket.sale)
        except TakenElsewhereError as taken:
            till, epoch = taken.facts.get("till", ""), taken.facts.get("epoch", 0)
            assert isinstance(till, str), "a till's name"
            assert isinstance(epoch, int), "an epoch is a number"
            desk.write(SaleMoved(basket.sale, till, epoch), *desk.kept(basket))
            raise
        except UnavailableError:
            return

    def parked_elsewhere(self) -> Sequence[Parked]:
        """Baskets that wait at the store's other tills; one of ours that went on there is let go of.

        Raises UnavailableError when nobody can be asked.
        """
        desk = self._desk
        desk.ready()
        neighbours = desk.ports.neighbours
        found = neighbours.parked()[:MOST_PARKED]
        for sale, there in neighbours.gone():
            basket = desk.state.baskets.get(sale)
            if basket is not None and basket.state == baskets.PARKED and basket.mode == "sale":
                desk.write(SaleMoved(sale, there.till, there.epoch), *desk.kept(basket))
        return found

    def take_over(self, at: Elsewhere, approval: Staff | None = None) -> int:
        """A basket parked at another till goes on here, under a number of ours; gives it (R27).

        What was given off it there is approved again here when it is more than a cashier gives alone. Raises
        NeighboursAwayError, TakenElsewhereError, NotMovableError, NeedsApprovalError.
        """
        desk = self._desk
        desk.ready()
        staff = desk.staff()
        if desk.state.current:
            raise NotPossibleNowError(action=N_("Taking over"), why=N_("another basket is open; park or finish it"))
        desk.may_begin()
        bodies = desk.ports.neighbours.take(at)
        basket = folded(bodies)
        alone = {number: structs.replace(given, approved_by=0) for number, given in basket.discounts.items()}
        priced = price(structs.replace(basket, discounts=alone), desk.offers, desk.when())
        approved = 0
        if beyond(structs.replace(basket, discounts=alone), priced, desk.rules.limits.discount_percent):
            approved = approver("discount", staff, approval)
        sale = desk.state.last_sale + 1
        here = moved_here(bodies, at, sale, staff.number, desk.ports.catalogue.article, desk.today())
        desk.write(
            *(structs.replace(body, approved_by=approved) if type(body) is DiscountGiven else body for body in here)
        )
        return sale

    def abandon(self, reason: str, approval: Staff | None = None) -> None:
        """Give the open basket up: an unfinished sale that X and Z list. Refused once money has been taken."""
        desk = self._desk
        desk.ready()
        basket = desk.basket()
        if basket.state != baskets.OPEN:
            raise BasketStateError(state=basket.state, action=N_("abandoning"))
        staff = desk.staff()
        total = desk.priced(basket).total_ore
        approved = approver("abandon", staff, approval) if total > desk.rules.limits.abandon_ore else 0
        why = clip(" ".join(reason.split()), MOST_REASON)
        desk.write(SaleAbandoned(basket.sale, total, why, staff.number, approved))


def _quantity(article: Article, scanned: Scanned | None, by_hand: int | None) -> int:
    """Pieces or weight: the pack's own where its code says so, which no finger changes (S10), else what was entered,
    else one.
    """
    if article.unit != "kg":  # a weight on a pack that is sold by the piece is only information
        return 1000 if by_hand is None else by_hand
    if scanned is not None and (scanned.weight_g is not None or scanned.price_ore is not None):
        if by_hand is not None:
            raise NotPossibleNowError(
                action=N_("Another quantity"), why=N_("the code on the pack says it; scan each pack")
            )
        return 1000 if scanned.price_ore is not None or scanned.weight_g is None else scanned.weight_g
    if by_hand is None:
        raise NeedsQuantityError(name=article.name)
    return by_hand
