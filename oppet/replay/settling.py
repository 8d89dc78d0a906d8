"""Money of a foreign receipt: discount, tax and tenders of its sale, and of its return against an original.

Works out what must stand on our receipts and what each reason covers, from the source alone. A rounding may cover a
cent only where the source itself shows one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Final

from oppet.replay import reasons as why
from oppet.replay.basket import Basket, figures
from oppet.replay.plan import (
    FIGURES,
    ORIGINAL,
    RETURN,
    SALE,
    Act,
    Case,
    Cut,
    NotPlannedError,
    Paid,
    Percent,
    Reason,
    Slip,
    Tax,
    half_up,
    uncovered,
)
from oppet.replay.source import LogLine

__all__ = ["MEANS", "Settling", "tax_of"]

# What each tender of the source is at our till; its own word goes with it as reference. A cheque is a claim, like an
# invoice: no Swedish till knows cheques.
MEANS: Final[Mapping[str, str]] = {
    "CA": "cash", "CC": "card", "EF": "card", "EC": "card", "CK": "invoice", "MI": "invoice", "CP": "coupon",
    "GD": "gift_card", "SC": "gift_card", "TC": "gift_card",
}  # fmt: skip
REFUND, DEPOSIT, VOUCHER = ("gift_card", "REFUND"), ("pant_voucher", "DEPOSIT"), ("coupon", "VOUCHER")


def tax_of(lines: Sequence[tuple[int, bool, int]], percent: int) -> int:
    """The sales tax on (class, discountable, cents before the basket's percent): one sum, rounded once."""
    exact = Fraction(0)
    for kind, discountable, cents in lines:
        exact += why.RATES[kind] * cents * (100 - percent * discountable) / 100
    return half_up(exact)


class Settling:
    """Discount, tax and tenders of one receipt: its sale, and its return against an original sold just before."""

    def __init__(self, case: Case, rows: Sequence[LogLine], sold: Basket, back: Basket) -> None:
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
            expect = figures(self._sold, less, tax, total, paid)
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

    def _sums(self, basket: Basket) -> tuple[int, int]:
        """(percent taken, tax) of one of the two baskets."""
        less = half_up(Fraction(basket.base() * self._share, 100))
        tax = 0 if self._exempt() else tax_of(basket.taxed(), self._share)
        return less, tax

    def _acts(self, basket: Basket, less: int, tax: int, printed: int | None) -> list[Act]:
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
        self._case.slips.append(Slip(ORIGINAL, acts, figures(self._back, less, tax, total, cash)))
        left = total - bought
        paid = [Paid(*REFUND, bought, bought)] if bought else []
        for row in why.tenders(self._rows):
            if row.cents > 0 and row.status != "V" and row.sub != "CA" and (part := min(left, row.cents)):
                paid.append(Paid(MEANS[row.sub], row.sub, part, part))
                left -= part
        if left:
            paid.append(Paid("cash", "CA", left, left))
        self._case.slips.append(Slip(RETURN, (), figures(self._back, less, tax, total, tuple(paid))))

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
