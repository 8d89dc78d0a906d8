"""The export's elements: which names, in which order, written how (SKVFS 2021:16, schema of 2021-12-08).

Text at most 72 characters, amounts with at most two decimals and a point, times local to the second. Leaves which
entry becomes which element to `export.py`. Keeps F9 (order and form of every element).

Verified against an exporter in use: all but the names in UNVERIFIED, which the regulation's chapters give in Swedish
words only. Check those, and a Z's register block, against the tax agency's XSD before a declaration is signed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from xml.sax.saxutils import escape

from oppet.base.clock import local_minute, parse_utc
from oppet.base.money import kronor, round_half_up
from oppet.journal.kinds import EpochOpened, MeansTotal, Receipt, ReceiptLine, ReceiptTender, Report, VatAmount

__all__ = [
    "LONGEST_TEXT",
    "NAMESPACE",
    "UNVERIFIED",
    "article",
    "copy",
    "el",
    "money",
    "quantity",
    "receipt",
    "report",
    "seconds",
    "text",
]

LONGEST_TEXT = 72
NAMESPACE = "http://xmls.skatteverket.se/se/skatteverket/td/{}/utredningsstod/1.0"
MEANS_IN_SWEDISH = {  # an auditor reads Swedish; a means not named here keeps its own name
    "cash": "Kontant",
    "card": "Kort",
    "swish": "Swish",
    "gift_card": "Presentkort",
    "pant_voucher": "Pantkvitto",
    "coupon": "Rabattkupong",
    "invoice": "Faktura",
}
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# The journal's word → the export's element. Ours where the reference gives the regulation's words and no name.
UNVERIFIED = {
    "register": "RegistreraArtikel",
    "change": "AndraRegistreradArtikel",
    "delete": "RaderaRegistreradArtikel",
    "open parked": "OppnaParkeradArtikel",
    "delete parked": "RaderaParkeradArtikel",
    "move parked": "FlyttaParkeradArtikel",
    "close parking": "AvslutaParkering",
    "open drawer": "OppnaKassaladaVidNollforsaljning",
    "clear": "AnvandaRensa",
    "price query": "Prisforfragan",
}


def el(name: str, inner: str) -> str:
    """One element; `inner` is XML already."""
    return f"<{name}>{inner}</{name}>"


@lru_cache(maxsize=16_384)
def text(name: str, value: str) -> str:
    """One element of text, cut at 72 characters; what XML cannot carry becomes a question mark."""
    return f"<{name}>{escape(_NOT_XML.sub('?', value[:LONGEST_TEXT]))}</{name}>"


def money(name: str, ore: int) -> str:
    return f"<{name}>{kronor(ore, '.')}</{name}>"


def number(name: str, value: int) -> str:
    return f"<{name}>{value}</{name}>"


def quantity(name: str, milli: int) -> str:
    """A quantity with the two decimals the format has: 0.345 kg is written 0.35. The line's price is the exact one."""
    return f"<{name}>{milli // 1000 if milli % 1000 == 0 else kronor(round_half_up(milli, 10), '.')}</{name}>"


def seconds(name: str, utc: str) -> str:
    """Local time to the second; Sweden is whole hours from UTC, so the seconds are the entry's own."""
    return f"<{name}>{local_minute(parse_utc(utc))}{utc[16:19]}</{name}>"


def company(name: str, org_no: str, address: str = "") -> str:
    where = text("DenAdressDarForsaljningSker", address) if address else ""
    return text("ForetagetsNamn", name) + text("OrganisationsnummerEllerPersonnummer", org_no) + where


def register_block(epoch: EpochOpened) -> str:
    return (
        text("TillverkningsnummerForKassaregistret", epoch.manufacturing_no)
        + text("ModellbeteckningForKassaregistret", epoch.model)
        + text("ModellEllerProgramForKassaregistret", epoch.model)
        + text("VersionsnummerForKassaregistret", epoch.software)
    )


def article(line: ReceiptLine, after: str = "") -> str:
    """What was registered, changed, deleted or parked: the contents of ParkeraRegistreradArtikel."""
    off = line.amount_ore - line.net_ore
    discount = el("RabattPaRegistreradArtikel", money("RabattensBelopp", off)) if off else ""
    return (
        text("TypAvArtikel", "TJANST" if line.kind == "tjanst" else "VARA")
        + text("Artikelnummer", line.article)
        + text("Artikelnamn", line.name)
        + quantity("AntalAvRegistreradArtikel", line.quantity_milli)
        + (text("EnhetForViktLangdTidEllerVolym", line.unit) if line.unit != "st" else "")
        + money("PrisPerEnhet", line.unit_ore)
        + money("PrisPaRegistreradArtikel", line.net_ore)
        + (el("RabatterPaRegistreradArtikelLISTA", discount) if discount else "")
        + money("MervardesskattesatsForRegistreradArtikel", line.vat_rate)
        + money("MervardesskattPaRegistreradArtikel", line.vat_ore)
        + after
    )


def sold(line: ReceiptLine) -> str:
    """One line of a receipt. The price is what was paid; discounts are listed beside it."""
    discounts = "".join(el("RabattPaSaldArtikel", money("RabattensBelopp", d.ore)) for d in line.discounts)
    return el(
        "SaldArtikel",
        text("TypAvArtikel", "TJANST" if line.kind == "tjanst" else "VARA")
        + text("Artikelnummer", line.article)
        + text("Artikelnamn", line.name)
        + quantity("AntalAvSaldArtikel", line.quantity_milli)
        + (text("EnhetForViktLangdTidEllerVolym", line.unit) if line.unit != "st" else "")
        + money("PrisPerEnhet", line.unit_ore)
        + money("PrisPaSaldArtikel", line.net_ore)
        + (el("RabatterPaSaldArtikelLISTA", discounts) if discounts else "")
        + money("MervardesskattesatsForSaldArtikel", line.vat_rate)  # basis points are written as öre are
        + money("MervardesskattPaSaldArtikel", line.vat_ore)
        + seconds("ArtikelnsRegistreringstidpunkt", line.time),
    )


def vat_list(parts: tuple[VatAmount, ...]) -> str:
    return el(
        "MervardesskattPaOlikaSkattesatserLISTA",
        "".join(
            el(
                "MervardesskattPerSkattesats",
                money("Mervardesskattesats", part.rate)
                + money("TotaltMervardesskattebeloppPerSkattesats", part.vat_ore),
            )
            for part in parts or (VatAmount(0, 0, 0),)  # the schema wants at least one
        ),
    )


def means_list(parts: tuple[ReceiptTender, ...] | tuple[MeansTotal, ...]) -> str:
    totals = [(part.means, part.amount_ore if isinstance(part, ReceiptTender) else part.ore) for part in parts]
    return el(
        "TotalaForsaljningssummorPerBetalningsmedelLISTA",
        "".join(
            el(
                "TotalForsaljningssummaPerBetalningsmedel",
                text("Betalningsmedel", MEANS_IN_SWEDISH.get(means, means))
                + money("ForsaljningssummaPerBetalningsmedel", ore),
            )
            for means, ore in totals or [("cash", 0)]  # the schema wants at least one
        ),
    )


_WHEN_AND_NUMBER = {  # kind of receipt → element, its time, its number
    "sale": ("Kassakvitto", "DatumOchKlockslagNarKvittoFramstalls", "LopnummerForKassakvitto"),
    "return": ("Returkvitto", "DatumOchKlockslagNarReturkvittoFramstalls", "LopnummerForKassakvitto"),
    "training": ("Ovningskvitto", "DatumOchKlockslagNarKvittoFramstalls", "LopnummerForOvningskvitto"),
}


def receipt(body: Receipt, when: str, z_number: int, register_unit: str) -> str:
    """Kassakvitto, Returkvitto or Ovningskvitto; `z_number` is 0 while its day is open.

    A training receipt that no unit saw names the register's own unit.
    """
    name, time, serial = _WHEN_AND_NUMBER[body.kind]
    head = seconds(time, when) + number(serial, body.number)
    code = text("Kontrollkod", body.code) if body.kind != "training" else ""
    return el(name, _receipt(body, head, "", z_number, body.unit or register_unit) + code)


def copy(original: Receipt, made: str, when: str, number_of_copy: int, z_number: int, unit: str, code: str) -> str:
    """KopiaAvKassakvitto: the original's contents, made again at `when`; `code` is the copy's own."""
    head = (
        seconds("DatumOchKlockslagNarKvittoFramstalls", when)
        + seconds("DatumOchKlockslagNarOriginalkvittoFramstalldes", made)
        + number("LopnummerForKvittokopia", number_of_copy)
        + number("LopnummerPaOriginalkvitto", original.number)
    )
    own = text("KontrollkodPaKopiaAvKassakvitto", code) if code else ""
    last = text("KontrollkodForKvittotSomKopianAvser", original.code)
    return el("KopiaAvKassakvitto", _receipt(original, head, own, z_number, unit) + last)


def _receipt(body: Receipt, head: str, before_z: str, z_number: int, unit: str) -> str:
    return (
        company(body.company, body.org_no, body.address)
        + head
        + text("Kassabeteckning", body.register)
        + el("SaldaArtiklarLISTA", "".join(map(sold, body.lines)))
        + money("TotaltForsaljningsbeloppISvenskaKronor", body.total_ore)
        + money("MervardesskattPaForsaljningsbeloppet", sum(part.vat_ore for part in body.vat))
        + means_list(body.tenders)
        + vat_list(body.vat)
        + before_z
        + number("LopnummerForZDagrapportPaKvitto", z_number)
        + text("TillverkningsnummerForKontrollenheten", unit)
    )


def report(body: Report, when: str, z_number: int, epoch: EpochOpened) -> str:
    """XDagrapport, or ZDagrapport when it has a number."""
    less = "TotaltBeloppAvOvrigaRegistreringarSomMinskatDagensForsaljningsbelopp"
    return el(
        "ZDagrapport" if z_number else "XDagrapport",
        company(body.company, body.org_no)
        + seconds("DatumOchKlockslagNarRapportFramstalls", when)
        + (number("LopnummerForZDagrapport", z_number) if z_number else "")
        + text("Kassabeteckning", body.register)
        + (register_block(epoch) if z_number else "")
        + money("TotalForsaljningssumma", body.total_ore)
        + vat_list(body.vat)
        + money("VaxelkassansBeloppISvenskaKronor", body.float_ore)
        + number("AntalKassakvitton", body.receipts)
        + number("AntalKassaladoppningar", body.drawer_openings)
        + number("AntalKvittokopior", body.copies)
        + money("TotaltBeloppPaKvittokopior", body.copies_ore)
        + number("AntalKvittonSomTagitsFramIOvningslage", body.training)
        + means_list(body.means)
        + number("AntalReturer", body.returns)
        + money("ReturernasBelopp", body.returns_ore)
        + money("RabatternasBelopp", body.discounts_ore)
        + number("AntalOvrigaRegistreringarSomMinskatDagensForsaljningsbelopp", body.reductions)
        + money(less, body.reductions_ore)
        + number("AntalOavslutadeForsaljningar", body.unfinished)
        + money("TotaltBeloppAvOavslutadeForsaljningar", body.unfinished_ore)
        + money("GrandTotalForsaljning", body.grand.sales_ore)
        + money("GrandTotalRetur", body.grand.returns_ore)
        + money("GrandTotalNetto", body.grand.net_ore),
    )
