"""A line of goods: how many, at what price, and what is nonsense.

Takes an article, what the scanner read and the price of the hour; gives the entry body. Keeps S9 (pieces are whole,
weights between 1 g and the article's most, an amount below a million kronor) and S10 (a price in the code is
promised: charged as it stands).
"""

from __future__ import annotations

import msgspec

from oppet.base.money import LARGEST_ORE, kronor, round_half_up, thousandths
from oppet.base.words import N_
from oppet.goods.article import Article, Price
from oppet.goods.codes import Scanned
from oppet.journal.kinds import LineAdded, LineChanged, LineDiscount, Receipt, ReceiptLine
from oppet.sale.basket import Line
from oppet.sale.errors import NotReturnableError, OddQuantityError

__all__ = ["MOST_PIECES", "Came", "changed", "goods_line", "pant_line", "returned_line"]

MOST_PIECES = 999


def _checked(article: str, unit: str, quantity_milli: int, most_g: int) -> None:
    if unit == "kg":
        if not 0 < quantity_milli <= most_g:
            rule = N_("a weight from 0,001 to {most} kg").format(most=thousandths(most_g))
            raise OddQuantityError(quantity=thousandths(quantity_milli), unit=unit, name=article, rule=rule)
    elif quantity_milli % 1000 or not 1000 <= quantity_milli <= MOST_PIECES * 1000:
        rule = N_("a whole number from 1 to {most}").format(most=MOST_PIECES)
        raise OddQuantityError(quantity=thousandths(quantity_milli), unit=unit, name=article, rule=rule)


def _one_by_one(name: str, unit: str, quantity_milli: int) -> OddQuantityError:
    rule = N_("the label's own amount: scan each pack")
    return OddQuantityError(quantity=thousandths(quantity_milli), unit=unit, name=name, rule=rule)


def _amount(unit_ore: int, quantity_milli: int, name: str, unit: str) -> int:
    amount = round_half_up(unit_ore * quantity_milli, 1000)
    if amount > LARGEST_ORE:
        rule = N_("less: the line would cost {amount} kr").format(amount=kronor(amount))
        raise OddQuantityError(quantity=thousandths(quantity_milli), unit=unit, name=name, rule=rule)
    return amount


def goods_line(
    sale: int,
    line: int,
    article: Article,
    price: Price,
    vat_rate: int,
    quantity_milli: int,
    scanned: Scanned | None = None,
    markdown_percent: int = 0,
) -> LineAdded:
    """Make the line. A price in the code fixes the amount; its weight is then only derived, for stock. Raises
    OddQuantityError.
    """
    label_ore = scanned.price_ore if scanned is not None else None
    quantity, unit_ore, member = quantity_milli, price.ore, price.member_ore
    if label_ore is not None and article.unit == "kg":
        if quantity != 1000:
            raise _one_by_one(article.name, article.unit, quantity)
        quantity = max(1, round_half_up(label_ore * 1000, price.ore)) if price.ore else 1000
        amount = _amount(label_ore, 1000, article.name, article.unit)
    else:
        _checked(article.name, article.unit, quantity, article.max_weight_g)
        if label_ore is not None:  # a member gets the label's price in the proportion of the article's two prices
            member = round_half_up(label_ore * member, price.ore) if member is not None and price.ore else None
            unit_ore = label_ore
        amount = _amount(unit_ore, quantity, article.name, article.unit)
    return LineAdded(
        sale=sale,
        line=line,
        article=article.number,
        name=article.name,
        group=article.group,
        kind=article.kind,
        quantity_milli=quantity,
        unit=article.unit,
        unit_ore=unit_ore,
        amount_ore=amount,
        vat_rate=vat_rate,
        member_unit_ore=member,
        code=_code(scanned, article),
        lot=(scanned.lot or "") if scanned is not None else "",
        expiry=(scanned.use_by or scanned.best_before or "") if scanned is not None else "",
        age=article.age,
        priced_by_label=label_ore is not None,
        discountable=article.discountable,
        mixes=article.mixes,
        markdown_percent=markdown_percent,
    )


def _code(scanned: Scanned | None, article: Article) -> str:
    if scanned is None:
        return article.number
    return scanned.gtin or scanned.scale_code or scanned.plu or article.number


def pant_line(sale: int, line: int, pant: Article, price: Price, vat_rate: int, of: LineAdded) -> LineAdded:
    """The deposit on line `of`: its own line, as many as the goods, never discounted."""
    return LineAdded(
        sale=sale,
        line=line,
        article=pant.number,
        name=pant.name,
        group=pant.group,
        kind=pant.kind,
        quantity_milli=of.quantity_milli,
        unit=pant.unit,
        unit_ore=price.ore,
        amount_ore=_amount(price.ore, of.quantity_milli, pant.name, pant.unit),
        vat_rate=vat_rate,
        code=pant.number,
        pant_of=of.line,
        discountable=False,
    )


def changed(line: Line, quantity_milli: int, most_g: int) -> LineChanged:
    """The same line with another quantity. Raises OddQuantityError; a price in the code cannot be multiplied by
    weight.
    """
    added = line.added
    if added.priced_by_label and added.unit == "kg":
        raise _one_by_one(added.name, added.unit, quantity_milli)
    _checked(added.name, added.unit, quantity_milli, most_g)
    amount = _amount(added.unit_ore, quantity_milli, added.name, added.unit)
    return LineChanged(added.sale, added.line, quantity_milli, amount)


class Came(msgspec.Struct, frozen=True):
    """What has come back of one line of an original so far: how much, and what was counted for it."""

    quantity_milli: int = 0
    amount_ore: int = 0
    net_ore: int = 0

    def and_also(self, quantity_milli: int, amount_ore: int, net_ore: int) -> Came:
        return Came(self.quantity_milli + quantity_milli, self.amount_ore + amount_ore, self.net_ore + net_ore)


def returned_line(
    sale: int, line: int, receipt: Receipt, original: ReceiptLine, quantity_milli: int, came: Came, pant_of: int = 0
) -> LineAdded:
    """Take back `quantity_milli` of a line of which `came` came back before, at what was paid for it.

    Each part is the share of all that is then back, less what was counted before, so that all parts add up to the
    original to the öre and never to more, whatever was taken and voided between (R17). The caller has checked that so
    much is left. Raises NotReturnableError for parts of a piece.
    """
    if original.unit != "kg" and quantity_milli % 1000:
        raise NotReturnableError(line=original.line, number=receipt.number, why=N_("pieces are returned whole"))
    back = came.quantity_milli + quantity_milli

    def part(ore: int, before_ore: int) -> int:
        return max(0, round_half_up(ore * back, original.quantity_milli) - before_ore)

    amount = part(original.amount_ore, came.amount_ore)
    net = min(part(original.net_ore, came.net_ore), amount)
    less = (LineDiscount("original", N_("As on the original receipt"), amount - net, str(receipt.number)),)
    return LineAdded(
        sale=sale,
        line=line,
        article=original.article,
        name=original.name,
        group=original.group,
        kind=original.kind,
        quantity_milli=quantity_milli,
        unit=original.unit,
        unit_ore=original.unit_ore,
        amount_ore=amount,
        vat_rate=original.vat_rate,
        code=original.code,
        lot=original.lot,
        pant_of=pant_of,
        discountable=False,
        original_line=original.line,
        discounts=less if amount != net else (),
    )
