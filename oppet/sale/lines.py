"""A line of goods: how many, at what price, and what is nonsense.

Takes an article, what the scanner read and the price of the hour; gives the entry body. Keeps S9 (pieces are whole, weights
between 1 g and the article's most, an amount below a million kronor) and S10 (a price in the code is promised: charged as it stands).
"""

from __future__ import annotations

from oppet.base.money import LARGEST_ORE, kronor, round_half_up, thousandths
from oppet.base.words import N_
from oppet.goods.article import Article, Price
from oppet.goods.codes import Scanned
from oppet.journal.kinds import LineAdded, LineChanged, LineDiscount, Receipt, ReceiptLine
from oppet.sale.basket import Line
from oppet.sale.errors import NotReturnableError, OddQuantityError

__all__ = ["MOST_PIECES", "changed", "goods_line", "pant_line", "returned_line"]

MOST_PIECES = 999


def _checked(article: str, unit: str, quantity_milli: int, most_g: int) -> None:
    if unit == "kg":
        if not 0 < quantity_milli <= most_g:
            rule = N_("a weight from 0,001 to {most} kg").format(most=thousandths(most_g))
            raise OddQuantityError(quantity=thousandths(quantity_milli), unit=unit, name=article, rule=rule)
    elif quantity_milli % 1000 or not 1000 <= quantity_milli <= MOST_PIECES * 1000:
        rule = N_("a whole number from 1 to {most}").format(most=MOST_PIECES)
        raise OddQuantityError(quantity=thousandths(quantity_milli), unit=unit, name=article, rule=rule)


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
    """Make the line. A price in the code fixes the amount; its weight is then only derived, for stock. Raises OddQuantityError."""
    label_ore = scanned.price_ore if scanned is not None else None
    member = price.member_ore
    if label_ore is not None:
        quantity = quantity_milli
        if article.unit == "kg" and price.ore:
            quantity = max(1, round_half_up(label_ore * 1000, price.ore))
        amount = label_ore * (quantity_milli // 1000) if article.unit == "st" else label_ore
        unit_ore = price.ore if article.unit == "kg" else label_ore
        if article.unit != "kg":
            member = None
    else:
        quantity = quantity_milli
        _checked(article.name, article.unit, quantity, article.max_weight_g)
        unit_ore = price.ore
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
    """The same line with another quantity. Raises OddQuantityError; a price in the code cannot be multiplied by weight."""
    added = line.added
    if added.priced_by_label and added.unit == "kg":
        rule = N_("the label's own amount: scan each pack")
        raise OddQuantityError(
            quantity=thousandths(quantity_milli), unit=added.unit, name=added.name, rule=rule
        )
    _checked(added.name, added.unit, quantity_milli, most_g)
    amount = _amount(added.unit_ore, quantity_milli, added.name, added.unit)
    return LineChanged(added.sale, added.line, quantity_milli, amount)


def returned_line(
    sale: int, line: int, receipt: Receipt, original: ReceiptLine, quantity_milli: int, returned_milli: int, pant_of: int = 0
) -> LineAdded:
    """Take back `quantity_milli` of a line of which `returned_milli` came back before, at what was paid for it.

    Amounts are differences of the running share, so that all parts returned add up to the original to the öre and
    never to more (R17). The caller has checked that so much is left. Raises NotReturnableError for parts of a piece.
    """
    if original.unit != "kg" and quantity_milli % 1000:
        raise NotReturnableError(line=original.line, number=receipt.number, why=N_("pieces are returned whole"))

    def part(ore: int) -> int:
        before = round_half_up(ore * returned_milli, original.quantity_milli)
        return round_half_up(ore * (returned_milli + quantity_milli), original.quantity_milli) - before

    net, amount = part(original.net_ore), part(original.amount_ore)
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
