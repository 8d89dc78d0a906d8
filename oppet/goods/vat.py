"""VAT classes: which rate a class has on which day, written as the law's table (G6).

An article names a class, never a rate. A return keeps the rate of the original sale, so this is asked at the sale
and never again. Food is 6 % from 2026-04-01 to 2027-12-31 and 12 % on either side; what is eaten on the premises
stays at 12 %; the drinks act's beverages and tobacco are never food.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from oppet.goods.errors import UnknownVatClassError

__all__ = ["CLASSES", "rate"]

# class: (first day, basis points), oldest first. 1996-01-01 is the day food became 12 %; nothing older is sold here.
CLASSES: Final[Mapping[str, tuple[tuple[str, int], ...]]] = {
    "food": (("1996-01-01", 1200), ("2026-04-01", 600), ("2028-01-01", 1200)),
    "restaurant": (("2012-01-01", 1200),),
    "books": (("2002-01-01", 600),),
    "transport": (("2001-01-01", 600),),
    "general": (("1990-07-01", 2500),),
    "alcohol": (("1990-07-01", 2500),),
    "tobacco": (("1990-07-01", 2500),),
    "none": (("1990-07-01", 0),),  # pant: a deposit is not a supply
}


def rate(vat_class: str, day: str) -> int:
    """The rate in basis points of a class on a local day "YYYY-MM-DD". Raises UnknownVatClassError."""
    for first_day, basis_points in reversed(CLASSES.get(vat_class, ())):
        if first_day <= day:
            return basis_points
    raise UnknownVatClassError(vat=vat_class, day=day)
