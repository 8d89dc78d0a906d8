"""Freshness: what must not be sold today, and what is marked down because its date is near (R24).

Guards the customer: goods past their use-by date and recalled goods are stopped at the scan (G10, G11), with no
network, from what the code on the pack says. Guards the shop: a date that anyone could have stuck over the original
may stop a sale but never lowers a price (G12). Leaves the clock to the till: in doubt about it, the till does not ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from oppet.goods.article import Article, ArticleNumber, Gtin14, Moment, Ore, ShownText
from oppet.goods.codes import Scanned
from oppet.goods.errors import ExpiredError, RecalledError

__all__ = ["MarkDown", "MarkDownRule", "Recall", "StoreMarkDown", "StoreMarkDowns", "judge"]

# Symbols that packers print. QR codes and typed dates are left out: a sticker or a finger makes them.
TRUSTED_CARRIERS: Final = frozenset({"gs1_128", "databar", "composite", "datamatrix"})


class MarkDown(Struct, frozen=True):
    """`percent` off because of `reason`; 0 percent is a warning only.

    `reason` is "near_date" or "best_before_passed"; `date` is the pack's. `recall` holds the text of a recall that the
    code could neither confirm nor rule out: the cashier compares the pack with it.
    """

    percent: int
    reason: Literal["near_date", "best_before_passed", "check_recall"]
    date: str = ""
    recall: str = ""


class MarkDownRule(Struct, frozen=True, omit_defaults=True):
    """With `days_left` days or fewer to the date, `percent` off; for one group, or for all with group ""."""

    days_left: Annotated[int, Meta(ge=-365, le=365)]
    percent: Annotated[int, Meta(ge=1, le=100)]
    group: str = ""
    dates: Literal["", "use_by", "best_before"] = ""


class StoreMarkDown(Struct, frozen=True, omit_defaults=True):
    """One article that one store sells cheaper until a minute: to a price, or by so many per cent. It is told why."""

    until: Moment
    reason: ShownText  # stands on the receipt
    article: Annotated[str, Meta(pattern=r"^[0-9A-Za-z-]{0,20}\Z")] = ""  # or its code
    gtin: Annotated[str, Meta(pattern=r"^([0-9]{14})?\Z")] = ""
    price_ore: Ore = 0  # per piece or kilo; 0 where per cent is given
    percent: Annotated[int, Meta(ge=0, le=100)] = 0

    def __post_init__(self) -> None:
        if (self.article == "") == (self.gtin == ""):
            raise ValueError("a mark-down names an article or a code")
        if (self.price_ore == 0) == (self.percent == 0):
            raise ValueError("a mark-down has a price or per cent")


class StoreMarkDowns(Struct, frozen=True):
    """All that one store marks down; the next document replaces it whole."""

    store: Annotated[str, Meta(min_length=1, max_length=16)]
    markdowns: Annotated[tuple[StoreMarkDown, ...], Meta(max_length=1000)] = ()


class Recall(Struct, frozen=True, omit_defaults=True):
    """What is recalled: GTINs or article numbers, narrowed by lots or by the date on the pack where those are given."""

    id: Annotated[str, Meta(pattern=r"^[0-9A-Za-z-]{1,40}\Z")]
    text: ShownText
    gtins: tuple[Gtin14, ...] = ()
    articles: tuple[ArticleNumber, ...] = ()
    lots: tuple[str, ...] = ()
    date_from: Moment | None = None
    date_to: Moment | None = None


def judge(
    article: Article,
    scanned: Scanned | None,
    when: str,
    recalls: Sequence[Recall] = (),
    markdowns: Sequence[MarkDownRule] = (),
) -> MarkDown | None:
    """Say whether goods may be sold at local `when`, and at what mark-down; None is "sell as usual".

    `when` is a day or a minute; `scanned` is None when the article was picked by hand. A best-before date that has
    passed is not a stop: it gets the last rule's mark-down, or a warning of 0 percent.
    Raises RecalledError (G11) and ExpiredError (G10).
    """
    doubt = _recalled(article, scanned, recalls)
    if scanned is not None and scanned.use_by is not None and _past(scanned.use_by, when):
        raise ExpiredError(name=article.name, date=scanned.use_by)
    found = _near_date(article, scanned, when, markdowns) if scanned is not None else None
    if doubt is None:
        return found
    if found is None:
        return MarkDown(0, "check_recall", recall=doubt)
    return MarkDown(found.percent, found.reason, found.date, doubt)


def _past(use_by: str, when: str) -> bool:
    """A day lasts until its midnight; an hour on the pack counts only against an hour on the clock."""
    return when > use_by if "T" in use_by and "T" in when else when[:10] > use_by[:10]


def _recalled(article: Article, scanned: Scanned | None, recalls: Sequence[Recall]) -> str | None:
    """Raise where the code proves the recall; give its text where the code is too poor to tell."""
    doubt = None
    gtin = scanned.gtin if scanned is not None else None
    for recall in recalls:
        if article.number not in recall.articles and gtin not in recall.gtins:
            if gtin is None and any(g in recall.gtins for g in article.gtins):
                doubt = doubt or recall.text  # picked by hand: this pack may be one of them
            continue
        verdict = _matches(recall, scanned)
        if verdict is True:
            raise RecalledError(name=article.name, text=recall.text)
        if verdict is None:
            doubt = doubt or recall.text
    return doubt


def _matches(recall: Recall, scanned: Scanned | None) -> bool | None:
    """Whether the narrowing by lot and by date fits the pack; None where the pack does not say."""
    lot = scanned.lot if scanned is not None else None
    on_pack = (scanned.use_by or scanned.best_before) if scanned is not None else None
    verdicts: list[bool | None] = []
    if recall.lots:
        verdicts.append(None if lot is None else lot in recall.lots)
    if recall.date_from is not None or recall.date_to is not None:
        first, last = recall.date_from or "", recall.date_to or "9999-12-31"
        verdicts.append(None if on_pack is None else first[:10] <= on_pack[:10] <= last[:10])
    if False in verdicts:
        return False
    return None if None in verdicts else True


def _near_date(article: Article, scanned: Scanned, when: str, markdowns: Sequence[MarkDownRule]) -> MarkDown | None:
    """The rule for the fewest days that still covers the pack; a group's own rule goes before one for all."""
    which: Literal["use_by", "best_before"] = "use_by" if scanned.use_by is not None else "best_before"
    on_pack = scanned.use_by or scanned.best_before
    if on_pack is None:
        return None
    left = (date.fromisoformat(on_pack[:10]) - date.fromisoformat(when[:10])).days
    percent = 0
    if article.discountable and scanned.kind in TRUSTED_CARRIERS:
        fitting = [
            rule
            for rule in markdowns
            if rule.days_left >= left and rule.group in ("", article.group) and rule.dates in ("", which)
        ]
        if fitting:
            percent = min(fitting, key=lambda rule: (rule.group == "", rule.days_left, -rule.percent)).percent
    if which == "best_before" and left < 0:
        return MarkDown(percent, "best_before_passed", on_pack)
    return MarkDown(percent, "near_date", on_pack) if percent else None
