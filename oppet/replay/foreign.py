"""The foreign law of the till log as data: an American grocery's receipt planned for a Swedish till.

Sales tax comes on top as a service line of its own, taken once from the whole receipt; cents are cash; weights are
pounds. Negative lines become discounts with a reason, deposits given back a voucher, coupons tenders, refunds a return
of their own against an original. None of it is a switch in the till: it sells articles and takes tenders as ever, and
only the smallest coin is handed to it. Which figures depart from the source, and why, is told by `reasons.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final

from oppet.goods.article import Article, Price
from oppet.replay import reasons as why
from oppet.replay.drive import Profile
from oppet.replay.plan import (
    ABANDONED,
    ALWAYS,
    FIGURES,
    ORIGINAL,
    RETURN,
    SALE,
    Act,
    Book,
    Case,
    Change,
    Cut,
    Figures,
    NotPlannedError,
    Paid,
    Percent,
    Reason,
    Refuse,
    Sell,
    Slip,
    Tax,
    Void,
    half_up,
    uncovered,
)
from oppet.replay.reasons import exact_cents
from oppet.replay.source import LogLine

__all__ = ["COIN", "MEANS", "TAX", "Foreign", "tax_of"]

COIN: Final = 1  # cents are coins there
TAX: Final = "TAX"  # the article that is sold by the dollar: a thousandth is a tenth of a cent
RATES: Final[Mapping[int, Fraction]] = {0: Fraction(0), 1: Fraction(7875, 100_000), 2: Fraction(10_125, 100_000)}

# What each tender of the source is at our till; its own word goes with it as reference. A cheque is a claim, like an
# invoice: no Swedish till knows cheques.
MEANS: Final[Mapping[str, str]] = {
    "CA": "cash", "CC": "card", "EF": "card", "EC": "card", "CK": "invoice", "MI": "invoice", "CP": "coupon",
    "GD": "gift_card", "SC": "gift_card", "TC": "gift_card",
}  # fmt: skip
REFUND, DEPOSIT, VOUCHER = ("gift_card", "REFUND"), ("pant_voucher", "DEPOSIT"), ("coupon", "VOUCHER")
MOST_PIECES: Final = 999


def tax_of(lines: Sequence[tuple[int, bool, int]], percent: int) -> int:
    """The sales tax on (class, discountable, cents before the basket's percent): one sum, rounded once."""
    exact = Fraction(0)
    for kind, discountable, cents in lines:
        exact += RATES[kind] * cents * (100 - percent * discountable) / 100
    return half_up(exact)


@dataclass(slots=True)
class _Good:
    """A standing line of a basket being planned."""

    row: LogLine
    milli: int
    cents: int
    off: int = 0
    gone: bool = False

    @property
    def net(self) -> int:
        return self.cents - self.off


@dataclass(slots=True)
class _Basket:
    goods: list[_Good] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    less: list[LogLine] = field(default_factory=list)  # negative lines, to be placed when all goods are known
    after: list[tuple[int, str]] = field(default_factory=list)  # off the whole basket, after percent and tax
    deposit: int = 0
    off_basket: int = 0  # what of `after` the basket could carry
    unplaced: int = 0  # reductions that no goods can carry

    def voucher(self) -> int:
        return self.deposit + self.unplaced

    def standing(self) -> list[_Good]:
        return [good for good in self.goods if not good.gone]

    def base(self) -> int:
        """What the basket's percent is taken from."""
        return sum(good.net for good in self.standing() if good.row.discountable)

    def taxed(self) -> list[tuple[int, bool, int]]:
        return [(good.row.tax, good.row.discountable, good.net) for good in self.standing()]


class Foreign:
    """Plans receipts; the articles they need gather in `book`."""

    def __init__(self, departments: Mapping[int, str]) -> None:
        self.book = Book()
        self._departments = departments

    def profile(self) -> Profile:
        """What the till is given, once everything is planned."""
        tax = Article(TAX, "Sales tax", "Tax", "none", "kg", (Price(ALWAYS, 100),), kind="tjanst", discountable=False,
                      max_weight_g=1_000_000)  # fmt: skip
        rates = self.book.rates | {TAX: (0, False)}
        return Profile(COIN, (*self.book.articles, tax), rates, TAX, tax_of)

    def plan(self, name: str, rows: Sequence[LogLine]) -> Case:
        """One receipt of one lane. What cannot be planned is a case with a trouble, which counts as unexplained."""
        case = Case(name, rows[0].time, len(rows), [], why.source_figures(rows), {})
        try:
            self._plan(case, rows)
        except NotPlannedError as trouble:
            case.trouble = str(trouble)
        return case

    def _plan(self, case: Case, rows: Sequence[LogLine]) -> None:
        ending = next((name for name, holds in why.NEVER_SOLD if holds(rows)), "")
        told = why.closed_once(rows)
        case.reasons += [Reason(name) for name, holds in why.ALONGSIDE if holds(rows)]
        kept = why.without_voided_refunds(told)
        sold = self._basket([row for row in kept if not why.refunded(row)], whole=not ending)
        if ending or (not sold.standing() and not any(map(why.refunded, kept))):
            self._never_sold(case, ending or (why.PAID_OUT if sold.voucher() else why.NOTHING), sold)
            if not ending and not sold.voucher() and not why.nothing(kept):
                raise NotPlannedError("goods, and none of them stands")
            return
        back = self._basket([why.turned(row) for row in kept if why.refunded(row)])
        _Planner(case, told, sold, back).settle()

    def _never_sold(self, case: Case, name: str, basket: _Basket) -> None:
        """The goods as far as they go, then given up: an unfinished sale."""
        if basket.acts:
            total = sum(good.net for good in basket.standing())
            case.slips.append(Slip(ABANDONED, tuple(basket.acts), _figures(basket, 0, 0, total, ())))
        if name != why.CANCELLED:
            case.reasons.append(Reason(name, dict(case.source)))

    # --- goods

    def _basket(self, rows: Sequence[LogLine], *, whole: bool = True) -> _Basket:
        """The goods with voids and reductions; of a receipt that is never sold, as much as fits together."""
        basket = _Basket()
        for row in rows:
            if not why.counts(row):
                continue
            if row.status == "V" or (row.milli < 0 and row.unit_cents >= 0 and why.stands(_left(basket), row)):
                if not self._void(basket, row) and whole:
                    raise NotPlannedError(f"line {row.line} voids what is not there")
            elif row.status == "R":
                self._sell(basket, why.turned(row))  # a deposit taken back again
            elif row.cents < 0:
                basket.less.append(row)
            else:
                self._sell(basket, row)
        for row in basket.less:
            _place(basket, row)
        return basket

    def _sell(self, basket: _Basket, row: LogLine) -> None:
        number, text, milli, cents = self._article(row)
        if row.milli > MOST_PIECES * 1000 and not row.weighed:
            basket.acts.append(Refuse(number, milli))
            return
        basket.acts.append(Sell(number, milli, text))
        basket.goods.append(_Good(row, milli, cents))

    def _article(self, row: LogLine) -> tuple[str, str, int, int]:
        """(number, text to scan, quantity, cents): by the piece, by the pound, or once at the amount that was keyed."""
        exact = exact_cents(row)
        cents, ore, milli = half_up(exact), row.unit_cents, row.milli
        if why.keyed_whole(row):
            cents, ore, milli = row.cents, row.cents, 1000
        elif cents != row.cents and not why.half_down(exact, row.cents):
            raise NotPlannedError(f"line {row.line}: {row.unit_cents} × {row.milli}/1000 is not {row.cents}")
        number, text = self.book.article(
            (row.kind, row.code if row.kind == "I" else row.department),
            row.name,
            self._departments.get(row.department, str(row.department)),
            ore,
            weighed=row.weighed,
            discountable=row.discountable,
            tax=row.tax if row.tax in RATES else 0,
            ean13=row.ean13,
            plu=row.code.lstrip("0") if row.kind == "I" and len(row.code.lstrip("0")) <= 7 else "",
        )
        return number, text, milli, cents

    def _void(self, basket: _Basket, row: LogLine) -> bool:
        """Take a line off, or some pieces of one; a reduction that is voided was never given. False: nothing fits."""
        if row.cents > 0:
            given = next((less for less in basket.less if (less.code, less.cents) == (row.code, -row.cents)), None)
            if given is not None:
                basket.less.remove(given)
            return given is not None
        if row.milli < -MOST_PIECES * 1000 and not row.weighed:
            return True  # what was refused need not be voided
        place = why.voided(_left(basket), row)
        if place is None:
            return self._void_with_special(basket, row)
        good = basket.goods[place]
        if why.keyed_whole(good.row) or good.milli == -row.milli:
            good.gone = True
            basket.acts.append(Void(place))
            return True
        good.milli += row.milli
        good.cents = half_up(Fraction(good.row.unit_cents * good.milli, 1000))
        basket.acts.append(Change(place, good.milli))
        return True

    def _void_with_special(self, basket: _Basket, row: LogLine) -> bool:
        """A void at the price after a member special: the goods and their special go together."""
        for place, good in enumerate(basket.goods):
            for less in basket.less:
                same = good.row.code == less.code == row.code and not good.gone and good.milli == -row.milli
                if same and good.cents + less.cents == -row.cents:
                    good.gone = True
                    basket.less.remove(less)
                    basket.acts.append(Void(place))
                    return True
        return False


def _left(basket: _Basket) -> list[tuple[LogLine, int]]:
    """The lines as a void sees them: each with what is left of it, nothing where it is gone."""
    return [
        (good.row, 0 if good.gone else good.row.milli if why.keyed_whole(good.row) else good.milli)
        for good in basket.goods
    ]


def _place(basket: _Basket, row: LogLine) -> None:
    """A negative line becomes a discount: on goods of its own kind, or on the basket, or a voucher for a deposit."""
    left = -row.cents
    if why.deposit_back(row):
        basket.deposit += left
        return
    if not why.on_goods(row):
        basket.after.append((left, row.name))
        return
    same = [good for good in basket.standing() if (good.row.tax, good.row.discountable) == (row.tax, True)]
    same.sort(key=lambda good: (good.row.code != row.code, good.row.department != row.department, -good.row.line))
    for good in same:
        part = min(left, good.net)
        if part > 0:
            good.off += part
            left -= part
            basket.acts.append(Cut(basket.goods.index(good), part, row.name or "reduction"))
    basket.unplaced += left


def _figures(basket: _Basket, less: int, tax: int, total: int, paid: tuple[Paid, ...]) -> Figures:
    standing = basket.standing()
    lines = tuple((good.milli, good.cents) for good in standing)
    return Figures(lines, sum(good.off for good in standing) + less + basket.off_basket, tax, total, paid)


class _Planner:
    """Discount, tax and tenders of one receipt: its sale, and its return against an original sold just before."""

    def __init__(self, case: Case, rows: Sequence[LogLine], sold: _Basket, back: _Basket) -> None:
        self._case, self._rows, self._sold, self._back = case, rows, sold, back
        self._share = why.percent(rows)
        self._printed = why.tax_cents(rows) if any(r.name == why.BENEFITS for r in case.reasons) else None
        self._front: list[tuple[tuple[str, str], int]] = []  # what pays before the source's own tenders
        self._covers: dict[str, dict[str, int]] = {}
        self._slack = why.roundings(rows)
        if short := why.unplaced(rows):  # percent and tax that the source took off with a credit
            self._slack += 1 + short * (self._share + 11) // 100

    def settle(self) -> None:
        """Fill the case: slips, our figures, and what each reason covers."""
        self._check_source()
        back_total, back_less, back_tax, back_acts = self._refund()
        total, less, tax, after, sale_acts = self._sale(back_tax)
        bought = min(total, back_total)
        if bought:
            self._front.insert(0, (REFUND, bought))
        paid, over = self._pay(total)
        change = sum(one.change for one in paid)
        own = sum(one.amount for one in paid if (one.means, one.reference) not in (REFUND, DEPOSIT, VOUCHER))
        repaid = back_total - bought
        goods = sum(good.net for good in self._sold.standing()) - sum(good.net for good in self._back.standing())
        self._case.ours = {
            "goods": goods - after,
            "less": less - back_less,
            "tax": tax - back_tax,
            "total": total - back_total,
            "paid": own - repaid,
            "change": change,
        }
        self._return(back_total, back_less, back_tax, back_acts, bought)
        if self._sold.standing():
            expect = _figures(self._sold, less, tax, total, paid)
            self._case.slips.append(Slip(SALE, sale_acts, expect))
        if over:
            self._cover(why.CASH_BACK, change=over)
        self._told()

    # --- sums

    def _check_source(self) -> None:
        """The source must agree with itself, or be half a cent low: then its differences from us are known."""
        for exact, said in (
            (why.exact_less(self._rows), why.less_cents(self._rows)),
            (self._exact_tax(), why.tax_cents(self._rows)),
        ):
            if said != half_up(exact) and not why.half_down(exact, said):
                raise NotPlannedError(f"the source says {said} where its lines give {float(exact):.3f}")

    def _exact_tax(self) -> Fraction:
        if self._printed is not None:
            return Fraction(self._printed)
        return Fraction(0) if self._exempt() else why.exact_tax(self._rows)

    def _exempt(self) -> bool:
        """Free of tax by the cashier's key; a benefits card's own rule is the printed tax."""
        return why.exempt(self._rows) and why.tax_cents(self._rows) == 0

    def _sums(self, basket: _Basket) -> tuple[int, int]:
        """(percent taken, tax) of one of the two baskets."""
        less = half_up(Fraction(basket.base() * self._share, 100))
        tax = 0 if self._exempt() else tax_of(basket.taxed(), self._share)
        return less, tax

    def _acts(self, basket: _Basket, less: int, tax: int, printed: int | None) -> list[Act]:
        acts = list(basket.acts)
        if less:
            acts.append(Percent(self._share))
        if tax:
            acts.append(Tax(self._share, printed))
        return acts

    def _sale(self, back_tax: int) -> tuple[int, int, int, int, tuple[Act, ...]]:
        basket = self._sold
        less, tax = self._sums(basket)
        if self._printed is not None:
            tax = self._printed + back_tax
        if tax < 0:  # a line cannot be below nothing
            self._cover(why.BELOW_ZERO, tax=tax, total=tax, paid=tax, change=-tax)
            tax = 0
        acts = self._acts(basket, less, tax, None if self._printed is None else tax)
        room, cuts = basket.base() - less, dict[str, int]()
        for cents, name in basket.after:
            if cents <= room:
                cuts[name or "reduction"] = cuts.get(name or "reduction", 0) + cents
                room -= cents
            else:
                basket.unplaced += cents
        acts += [Cut(-1, cents, name) for name, cents in cuts.items()]  # many of a kind are one discount
        after = basket.off_basket = sum(cuts.values())
        total = sum(good.net for good in basket.standing()) - less + tax - after
        for kind, cents, reason in ((DEPOSIT, basket.deposit, why.DEPOSIT), (VOUCHER, basket.unplaced, why.VOUCHER)):
            if cents:
                self._front.append((kind, cents))
                self._cover(reason, goods=-cents, total=-cents)
        return total, less, tax, after, tuple(acts)

    def _refund(self) -> tuple[int, int, int, tuple[Act, ...]]:
        basket = self._back
        if not basket.standing():
            return 0, 0, 0, ()
        less, tax = self._sums(basket)
        total = sum(good.net for good in basket.standing()) - less + tax
        return total, less, tax, tuple(self._acts(basket, less, tax, None))

    def _return(self, total: int, less: int, tax: int, acts: tuple[Act, ...], bought: int) -> None:
        if not self._back.standing():
            return
        cash = (Paid("cash", "", total, total),)
        self._case.slips.append(Slip(ORIGINAL, acts, _figures(self._back, less, tax, total, cash)))
        left = total - bought
        paid = [Paid(*REFUND, bought, bought)] if bought else []
        for row in why.tenders(self._rows):
            if row.cents > 0 and row.status != "V" and row.sub != "CA" and (part := min(left, row.cents)):
                paid.append(Paid(MEANS[row.sub], row.sub, part, part))
                left -= part
        if left:
            paid.append(Paid("cash", "CA", left, left))
        self._case.slips.append(Slip(RETURN, (), _figures(self._back, less, tax, total, tuple(paid))))

    # --- tenders

    def _pay(self, total: int) -> tuple[tuple[Paid, ...], int]:
        """(tenders, what was paid by other means than cash and came back in cash)."""
        left, over, paid = total, 0, []
        if not self._sold.standing():
            if front := sum(cents for _, cents in self._front):
                self._cover(why.PAID_OUT, paid=-front)
            return (), 0
        given = [(*kind, cents) for kind, cents in self._front]
        given += [(MEANS[row.sub], row.sub, -row.cents) for row in self._kept_tenders()]
        for place, (means, reference, cents) in enumerate(given):
            own = place >= len(self._front)
            last = own and place == len(given) - 1
            worth = left if last and 0 < left - cents <= self._slack else cents  # a rounding of ours upwards
            part = min(left, worth)
            if part and means == "cash":
                paid.append(Paid(means, reference, worth, part, worth - part))
            elif part:
                paid.append(Paid(means, reference, part, part))
            if own and (means != "cash" or not part):
                over += worth - part
            elif not own and worth > part:
                self._cover(why.PAID_OUT, paid=part - worth)
            left -= part
        if left or not paid:
            paid.append(Paid("cash", "CA", left, left))
        return tuple(paid), over if over > self._slack else 0

    def _kept_tenders(self) -> list[LogLine]:
        """What was paid with and stood: a voided tender goes with its void."""
        stood = [row for row in why.tenders(self._rows) if row.cents < 0 and row.status != "V"]
        for row in why.tenders(self._rows):
            if row.status == "V":
                match = next((one for one in stood if (one.sub, one.cents) == (row.sub, -row.cents)), None)
                if match is None:
                    raise NotPlannedError(f"line {row.line} voids a tender that is not there")
                stood.remove(match)
        return stood

    # --- reasons

    def _cover(self, reason: str, **cents: int) -> None:
        covered = self._covers.setdefault(reason, {})
        for name, amount in cents.items():
            covered[name] = covered.get(name, 0) + amount

    def _told(self) -> None:
        """Give the reasons what they cover. Roundings cover at most a cent each, and only where the source shows one."""
        names = [reason.name for reason in self._case.reasons]
        if why.TWICE in names:
            extra = why.source_figures(self._rows)
            self._cover(why.TWICE, **{name: self._case.source[name] - extra[name] for name in extra})
        for name in self._covers:
            if name not in names and name not in (why.PAID_OUT, why.VOUCHER):
                raise NotPlannedError(f"{name}: not so in the source")
        if why.CASH_BACK in names and why.CASH_BACK not in self._covers:
            names.remove(why.CASH_BACK)  # told otherwise
        names += [name for name in self._covers if name not in names]
        self._case.reasons = [Reason(name, self._covers.get(name, {})) for name in names]
        self._cover_rounding(names)

    def _cover_rounding(self, names: Sequence[str]) -> None:
        """What is left must be roundings that the source shows, or what follows for tax from a credit that pays."""
        left = uncovered(self._case)
        if not left:
            return
        if any(abs(cents) > self._slack for cents in left.values()):
            return
        for name in (why.VOUCHER, why.BELOW_CENT, why.MIXED):
            if name in names and not why.halves(self._rows):
                self._case.reasons = [
                    replace(reason, covers={f: reason.covers.get(f, 0) + left.get(f, 0) for f in FIGURES})
                    if reason.name == name
                    else reason
                    for reason in self._case.reasons
                ]
                return
        if why.halves(self._rows):
            self._case.reasons.append(Reason(why.HALF, left))
