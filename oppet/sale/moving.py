"""A parked basket that goes on at another till of the store (R27): what was journalled there, renumbered for here.

The entries came by way of the store node, which may have been taken over: they are folded before they are believed, a
price must be one this till's own catalogue has or had, and what was given off is approved anew (design §3: a node
forges no price). Keeps S2 and S7 for baskets that come from elsewhere. Returns and training stay where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import structs

from oppet.base.money import LARGEST_ORE, round_half_up
from oppet.base.words import N_
from oppet.goods import vat
from oppet.goods.article import Article
from oppet.goods.errors import UnknownArticleError
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
    SaleOpened,
)
from oppet.sale import basket as baskets
from oppet.sale.basket import MOST_LINES, Basket
from oppet.sale.errors import NotMovableError

__all__ = ["folded", "moved_here"]

MOST_ENTRIES = 5_000
_CARRIED = frozenset(
    {LineAdded, LineChanged, LineVoided, DiscountGiven, DiscountWithdrawn, MemberShown, AgeChecked},
)


def folded(bodies: Sequence[Body]) -> Basket:
    """The basket these entries make. Raises NotMovableError unless they make one that waits, unpaid, with goods in it."""
    first = bodies[0] if bodies else None
    if type(first) is not SaleOpened or first.mode != "sale" or len(bodies) > MOST_ENTRIES:
        raise NotMovableError(why=N_("it is no sale"))
    basket = baskets.opened(first, "")
    for body in bodies[1:]:
        if getattr(body, "sale", 0) != basket.sale or (basket.state, type(body)) not in baskets.NEXT:
            raise NotMovableError(why=N_("its entries do not belong together"))
        if isinstance(body, LineChanged | LineVoided) and body.line not in basket.lines:
            raise NotMovableError(why=N_("its entries do not belong together"))
        if isinstance(body, DiscountWithdrawn) and body.discount not in basket.discounts:
            raise NotMovableError(why=N_("its entries do not belong together"))
        baskets.apply(basket, "", body)
    if basket.state != baskets.PARKED or basket.tenders or basket.pending() or not basket.standing():
        raise NotMovableError(why=N_("it is not parked"))
    if basket.last_line > MOST_LINES:
        raise NotMovableError(why=N_("it holds too many lines"))
    return basket


def moved_here(
    bodies: Sequence[Body], at: Elsewhere, sale: int, cashier: int, article: Callable[[str], Article], today: str
) -> list[Body]:
    """What to write here in one durable group, each discount unapproved. Raises NotMovableError."""
    basket = folded(bodies)
    for line in basket.standing():
        _check_line(line.added, line.quantity_milli, line.amount_ore, article, today)
    carried: list[Body] = [SaleOpened(sale, "sale", cashier, moved_from=at)]
    for body in bodies[1:]:
        if type(body) in _CARRIED:
            renumbered = structs.replace(body, sale=sale)
            carried.append(
                structs.replace(renumbered, approved_by=0) if type(renumbered) is DiscountGiven else renumbered
            )
    return carried


def _check_line(
    line: LineAdded, quantity_milli: int, amount_ore: int, article: Callable[[str], Article], today: str
) -> None:
    try:
        known = article(line.article)
    except UnknownArticleError:
        raise NotMovableError(why=N_("this till does not have all of its goods")) from None
    if line.discounts or line.original_line or quantity_milli <= 0 or not 0 <= amount_ore <= LARGEST_ORE:
        raise NotMovableError(why=N_("its entries do not belong together"))
    if line.vat_rate != vat.rate(known.vat, today) or line.discountable != known.discountable:
        raise NotMovableError(why=N_("this till has other prices"))
    if line.priced_by_label:
        return  # the amount stood in the code on the pack, and is promised (S10)
    prices = {(price.ore, price.member_ore) for price in known.prices}
    if (line.unit_ore, line.member_unit_ore) not in prices:
        raise NotMovableError(why=N_("this till has other prices"))
    if amount_ore != round_half_up(line.unit_ore * quantity_milli, 1000):
        raise NotMovableError(why=N_("this till has other prices"))
