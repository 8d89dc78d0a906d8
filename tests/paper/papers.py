"""Receipts and reports to print in tests: Alva sells, a shop in Luleå, lawful to the öre."""

from __future__ import annotations

import msgspec

from oppet.base.signing import Signer, Verifier
from oppet.journal.kinds import (
    CopyMade,
    GrandTotals,
    LineDiscount,
    MeansTotal,
    Original,
    Receipt,
    ReceiptLine,
    ReceiptTender,
    Report,
    ReportMade,
    VatAmount,
)

NOON = "2026-11-22T11:00:05.123Z"  # 12.00 on a Swedish wall clock
LATER = "2026-11-22T20:15:00.000Z"
DIGEST = "5e" * 32
SIGNER = Signer(bytes(range(32)))
VERIFIER = Verifier(SIGNER.public)
CLEO = Signer(bytes(32))  # must get in nowhere
UNIT = "RIHTT131550010466"


def a_line(place: int, name: str, amount_ore: int, **more: object) -> ReceiptLine:
    """One piece at 6 % VAT, unless `more` says otherwise; net and VAT follow."""
    discounts = more.get("discounts", ())
    assert isinstance(discounts, tuple)
    rate = more.get("vat_rate", 600)
    assert isinstance(rate, int)
    net = amount_ore - sum(discount.ore for discount in discounts)
    fields: dict[str, object] = {
        "line": place,
        "article": str(7310070000000 + place),
        "name": name,
        "group": "Kolonial",
        "kind": "vara",
        "quantity_milli": 1000,
        "unit": "st",
        "unit_ore": amount_ore,
        "amount_ore": amount_ore,
        "discounts": (),
        "net_ore": net,
        "vat_rate": rate,
        "vat_ore": (net * rate * 2 + 10000 + rate) // (2 * (10000 + rate)),
        "time": NOON,
        "code": f"0{7310070000000 + place}",
    }
    return msgspec.convert(fields | more, ReceiptLine)


def a_receipt(lines: tuple[ReceiptLine, ...], **more: object) -> Receipt:
    """A receipt whose sums follow from its lines; paid by card unless `more` says otherwise."""
    total = sum(line.net_ore for line in lines)
    rates = sorted({line.vat_rate for line in lines})
    vat = tuple(
        VatAmount(
            rate,
            sum(line.net_ore for line in lines if line.vat_rate == rate),
            sum(line.vat_ore for line in lines if line.vat_rate == rate),
        )
        for rate in rates
    )
    fields: dict[str, object] = {
        "sale": 7,
        "kind": "sale",
        "number": 1234,
        "company": "Konsum Norr ekonomisk förening",
        "org_no": "5566778899",
        "address": "Storgatan 1, 972 31 Luleå",
        "register": "K3-2",
        "cashier": 12,
        "lines": lines,
        "total_ore": total,
        "rounding_ore": 0,
        "vat": vat,
        "tenders": (ReceiptTender("card", total, total, 0),),
        "unit": UNIT,
        "code": "WKZQUH56H7X3DVQEJPHOYNWDV7HS223N;BA7WNV7ODW6RCY4ZLNLF4J66IM",
        "saved_ore": sum(discount.ore for line in lines for discount in line.discounts),
    }
    return msgspec.convert(fields | more, Receipt)


THREE_FOR_25 = LineDiscount("promotion", "3 för 25,00", 485, "P17", 3000)
MEMBER = LineDiscount("member", "", 500, "M2", 1000)
LINES = (
    a_line(1, "Mellanmjölk 1,5 % 1,5 l", 2190, group="Mejeri"),
    a_line(2, "Bananer ekologiska", 2993, quantity_milli=750, unit="kg", unit_ore=3990, group="Frukt & grönt"),
    a_line(3, "Läsk Citron 33 cl", 2985, quantity_milli=3000, unit_ore=995, discounts=(THREE_FOR_25,), group="Dryck"),
    a_line(4, "Pant burk", 600, quantity_milli=3000, unit_ore=200, vat_rate=0, pant_of=3, group="Pant"),
    a_line(5, "Bryggkaffe mellanrost 450 g", 7495, discounts=(MEMBER,)),
    a_line(6, "Diskmedel 500 ml", 2490, vat_rate=2500, group="Hem"),
    a_line(7, "Knäckebröd råg, extra tunt, bakat på surdeg i vedugn 520 g", 3450),
    a_line(8, "Kycklingfilé färsk Sverige", 9890, discounts=(LineDiscount("markdown", "-30 %", 2967),), group="Kött"),
)
_CARD = ReceiptTender("card", 10000, 10000, 0, "****4242")
_DUE = sum(line.net_ore for line in LINES) - 10000
_ROUNDED = (_DUE + 50) // 100 * 100
A_SALE = a_receipt(
    LINES, rounding_ore=_ROUNDED - _DUE, tenders=(_CARD, ReceiptTender("cash", _ROUNDED, 50000, 50000 - _ROUNDED))
)
A_RETURN = a_receipt(
    (msgspec.structs.replace(LINES[4], line=1, original_line=5),),
    kind="return",
    number=1240,
    original=Original("K3", 2, 1234),
    saved_ore=0,
)
A_TRAINING = a_receipt(LINES[:2], kind="training", number=3, code="")
A_COPY = CopyMade(1, 1234, "sale", A_SALE.total_ore, UNIT, A_SALE.code, 12)
A_REPORT = Report(
    company=A_SALE.company,
    org_no=A_SALE.org_no,
    register="K3-2",
    total_ore=4512345,
    sales_ore=4621845,
    groups=(("Kolonial", 2010011), ("Mejeri", 1502334), ("Pant", 1000000)),
    vat=(VatAmount(0, 1000000, 0), VatAmount(600, 2512345, 142208), VatAmount(2500, 1000000, 200000)),
    float_ore=150007,
    goods_milli=1201500,
    services_milli=2000,
    receipts=311,
    drawer_openings=4,
    copies=5,
    copies_ore=123406,
    training=6,
    training_ore=77708,
    means=(MeansTotal("cash", 1012309), MeansTotal("card", 3000010), MeansTotal("swish", 500026)),
    returns=8,
    returns_ore=109500,
    discounts_ore=301209,
    reductions=9,
    reductions_ore=45610,
    unfinished=10,
    unfinished_ore=67811,
    rounding_ore=-312,
    grand=GrandTotals(912345613, 1234514, 911111099),
    first_seq=40115,
    last_seq=52116,
    discounts=117,
    unknown_codes=18,
    unknown_codes_ore=5519,
    cash_difference_ore=-2520,
)
A_Z = ReportMade("z", 21, A_REPORT, 22)
AN_X = ReportMade("x", 0, A_REPORT, 22)
