"""The Swedish words of paper, for tests that read a receipt as a Swedish customer does."""

from __future__ import annotations

SWEDISH = {
    "Sum": "Summa",
    "Card": "Kort",
    "Cash": "Kontant",
    "Cash counted less expected": "Kassadifferens",
    "Cashier": "Kassör",
    "Change": "Växel",
    "Company no. (org.nr)": "Org.nr",
    "Control code unknown, not in sales": "Okänd kontrollkod, ej med ovan",
    "Control unit": "Kontrollenhet",
    "Copied": "Kopierat",
    "Copies (kopior)": "Kvittokopior",
    "Copy no. {number} of receipt {original}": "Kopia nr {number} av kvitto {original}",
    "Coupon": "Kupong",
    "Discount": "Rabatt",
    "Discount on all": "Rabatt på köpet",
    "Discounts": "Rabatter",
    "Drawer openings": "Lådöppningar",
    "Electronic cash receipt": "Elektroniskt kassakvitto",
    "Entries": "Journalposter",
    "Float (växelkassa)": "Växelkassa",
    "Gift card": "Presentkort",
    "Goods (1 each unless stated)": "Varor (1 st om inget annat står)",
    "Goods sold": "Sålda varor",
    "Gross": "Brutto",
    "Invoice": "Faktura",
    "Member price": "Medlemspris",
    "Net": "Netto",
    "Offer": "Erbjudande",
    "Voided lines and other reductions": "Makulerade rader m.m.",
    "Pant voucher": "Pantkvitto",
    "Payments unclear, not in sales": "Oklara betalningar, ej med ovan",
    "Printed again after an interruption; valid once.": "Utskrivet igen efter avbrott; gäller en gång.",
    "Receipt (kvitto)": "Kvitto",
    "Receipts": "Kassakvitton",
    "Register (kassa)": "Kassa",
    "Return of receipt {number}, till {till}, epoch {epoch}": "Retur av kvitto {number}, kassa {till}, epok {epoch}",
    "Return receipt": "Returkvitto",
    "Returns": "Returer",
    "Rounding (öresavrundning)": "Öresavrundning",
    "Sales": "Försäljning",
    "Services sold": "Sålda tjänster",
    "Short date": "Kort datum",
    "Staff no.": "Anställd",
    "Swish": "Swish",
    "The code is this receipt, signed. Show it for a return.": "Koden är kvittot självt, signerat. Visa den vid retur.",
    "To pay": "Att betala",
    "Total": "Totalt",
    "Training (övning)": "Övning",
    "Unfinished sales": "Oavslutade försäljningar",
    "VAT": "Moms",
    "VAT (moms)": "Momssats",
    "You saved {amount} kr": "Du sparade {amount} kr",
}


def in_swedish(sentence: str) -> str:
    return SWEDISH[sentence]


def in_english(sentence: str) -> str:
    return sentence
