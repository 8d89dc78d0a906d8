"""What a receipt says: everything SKVFS 2014:9 7:1 asks for, in the order a customer reads it.

A receipt is laid out from its journal entry alone, so paper, screen and PDF say the same. `KOPIA`, `ÖVNING`,
`EJ KVITTO`, `RETURKVITTO` and `elektroniskt kassakvitto` are the law's words: they are constants, never sent through
the catalogues, and the marks are twice the height of every amount (5:5). An English receipt keeps Swedish legal words
beside the English ones. Leaves setting in columns to `sheet.py` and reports to `report_paper.py`.
Keeps P3 (letters a–m of 7:1), P4 (marks cannot be altered and are twice as tall), P5 (every öre off is explained under
its line), P6 (a return is negative and names its original) and P7 (no member's token on paper).
"""

from __future__ import annotations

from collections.abc import Iterator

from oppet.base.words import N_
from oppet.journal.kinds import CopyMade, Evidence, LineDiscount, Receipt, ReceiptLine, ReceiptTender, VatAmount
from oppet.paper.code_text import parts
from oppet.paper.sheet import BLANK, CUT, RULE, Paper, Row, Say, amount, joined, shortened, when
from oppet.payments.means import MEANS
from oppet.payments.paths import Slip

__all__ = [
    "COPY",
    "ELECTRONIC",
    "NO_RECEIPT",
    "RETURN",
    "TRAINING",
    "Paper",
    "Row",
    "Say",
    "copy_paper",
    "electronic_paper",
    "identity_rows",
    "merchant_papers",
    "notice_paper",
    "only_to_see",
    "org_no_text",
    "percent",
    "printed_again",
    "quantity",
    "receipt_paper",
    "signature_paper",
    "vat_rows",
    "with_code",
]

COPY = "KOPIA"
TRAINING = "ÖVNING"
NO_RECEIPT = "EJ KVITTO"
RETURN = "RETURKVITTO"
ELECTRONIC = "Elektroniskt kassakvitto"

PIECE = 1000
_NAMES = {"sale": "Kassakvitto", "return": RETURN, "training": TRAINING}
CARD = "card"
_HOW = {
    "chip_pin": N_("chip and PIN"), "chip": N_("chip"), "tap": N_("contactless"), "swipe": N_("magnetic stripe"),
}  # fmt: skip
_DISCOUNTS = {
    "promotion": N_("Offer"),
    "member": N_("Member price"),
    "markdown": N_("Short date"),
    "line": N_("Discount"),
    "basket": N_("Discount on all"),
}


def receipt_paper(receipt: Receipt, instant_utc_text: str, say: Say, code: str = "") -> Paper:
    """The original on paper, as sale, return or training. `code` is the text of its QR code, if it carries one."""
    mark = (Row(TRAINING, style="mark"),) if receipt.kind == "training" else ()
    rows = (*mark, *_rows(receipt, instant_utc_text, say), *mark, *_code_rows(code, say), CUT)
    return Paper(_name(receipt), rows)


def electronic_paper(receipt: Receipt, instant_utc_text: str, say: Say, code: str = "") -> Paper:
    """The original as it is shown or sent: the same rows, and the law's words for it (7:1 m)."""
    title = _titled(ELECTRONIC, say(N_("Electronic cash receipt")))
    return Paper(_name(receipt), (*title, *receipt_paper(receipt, instant_utc_text, say, code).rows))


def _name(receipt: Receipt) -> str:
    return f"{_NAMES[receipt.kind]} {receipt.number}"


def copy_paper(receipt: Receipt, original_utc_text: str, copy: CopyMade, copied_utc_text: str, say: Say) -> Paper:
    """The one copy the law allows. It carries no code: a return is checked against the original."""
    mark = Row(COPY, style="mark")
    about = (
        Row(say(N_("Copy no. {number} of receipt {original}")).format(number=copy.copy, original=copy.number)),
        Row(say(N_("Copied")), when(copied_utc_text)),
    )
    rows = (mark, *about, RULE, *_rows(receipt, original_utc_text, say), mark, CUT)
    return Paper(f"{COPY} {copy.copy}", rows)


def notice_paper(name: str, sentences: tuple[str, ...], say: Say) -> Paper:
    """A slip that is no receipt and says so: a payment taken back, a code that never came."""
    mark = Row(NO_RECEIPT, style="mark")
    said = (Row(say(sentence), style="centre") for sentence in sentences)
    return Paper(name, (mark, Row(name, style="title"), BLANK, *said, BLANK, mark, CUT))


def only_to_see(paper: Paper) -> Paper:
    """A receipt looked up later: it says that it is none, and carries no code. The law allows one original and one copy."""
    mark = Row(NO_RECEIPT, style="mark")
    return _above_cut(Paper(paper.name, (mark, *(row for row in paper.rows if row.style != "qr"))), (mark,))


def printed_again(paper: Paper, say: Say) -> Paper:
    """The same original, put out again after a restart that found no sign it had come out; it says so."""
    return _above_cut(paper, (Row(say(N_("Printed again after an interruption; valid once.")), style="centre"),))


def with_code(paper: Paper, code: str, say: Say) -> Paper:
    """The same sheet with a QR code at its end; unchanged when there is no code."""
    return _above_cut(paper, _code_rows(code, say)) if code else paper


def _code_rows(code: str, say: Say) -> tuple[Row, ...]:
    if not code:
        return ()
    hint = say(N_("The code is this receipt, signed. Show it for a return."))
    codes = parts(code)
    rows = [Row(part, f"{place}/{len(codes)}" if len(codes) > 1 else "", "qr") for place, part in enumerate(codes, 1)]
    return (BLANK, *rows, Row(hint, style="centre"))


def _above_cut(paper: Paper, rows: tuple[Row, ...]) -> Paper:
    kept = paper.rows[:-1] if paper.rows and paper.rows[-1] == CUT else paper.rows
    return Paper(paper.name, (*kept, *rows, CUT))


def _titled(legal: str, said: str) -> tuple[Row, ...]:
    """The law's word, and the reader's beside it when they differ."""
    title = Row(legal, style="title")
    return (title,) if said.casefold() == legal.casefold() else (title, Row(said, style="centre"))


# --- the parts, top to bottom --------------------------------------------------------------------------------------


def _rows(receipt: Receipt, instant: str, say: Say) -> Iterator[Row]:
    sign = -1 if receipt.kind == "return" else 1
    if receipt.kind == "return":
        yield from _titled(RETURN, say(N_("Return receipt")))
        yield BLANK
    yield from identity_rows(receipt.company, receipt.address, receipt.org_no, say)  # a, b
    yield BLANK
    yield Row(f"{say(N_('Receipt (kvitto)'))} {receipt.number}", when(instant))  # c, d
    yield Row(f"{say(N_('Register (kassa)'))} {receipt.register}", f"{say(N_('Cashier'))} {receipt.cashier}")  # e
    if receipt.original is not None:
        original = receipt.original
        about = say(N_("Return of receipt {number}, till {till}, epoch {epoch}"))
        yield Row(about.format(number=original.number, till=original.till, epoch=original.epoch))
    yield RULE
    yield Row(say(N_("Goods (1 each unless stated)")), "SEK")
    for line in receipt.lines:  # f, g, h
        yield from _line_rows(line, sign, say)
    yield RULE
    yield Row(say(N_("Total")), f"{amount(sign * receipt.total_ore)}", "total")
    yield from _tender_rows(receipt, sign, say)  # k
    if receipt.saved_ore and receipt.kind != "return":
        yield Row(say(N_("You saved {amount} kr")).format(amount=amount(receipt.saved_ore)), style="centre")
    yield RULE
    yield from vat_rows(receipt.vat, sign, say)  # i, j
    yield RULE
    if receipt.unit:
        yield Row(say(N_("Control unit")), shortened(receipt.unit))  # l


def identity_rows(company: str, address: str, org_no: str, say: Say) -> Iterator[Row]:
    """Who sold: company, address of sale, organisation number."""
    yield Row(shortened(company), style="title")
    if address:
        yield Row(shortened(address), style="centre")
    yield Row(f"{say(N_('Company no. (org.nr)'))} {org_no_text(org_no)}", style="centre")


def _line_rows(line: ReceiptLine, sign: int, say: Say) -> Iterator[Row]:
    indent = "  " if line.pant_of else ""
    yield Row(indent + (shortened(line.name) or shortened(line.article)), amount(sign * line.amount_ore))
    if line.quantity_milli != PIECE or line.unit != "st":
        yield Row(f"{indent}  {quantity(line.quantity_milli, line.unit)} × {amount(line.unit_ore)}")
    for discount in line.discounts:
        yield Row(f"{indent}  {_why(discount, say)}", amount(-sign * discount.ore))


def _why(discount: LineDiscount, say: Say) -> str:
    """Kind and text of a reduction: "Offer: 3 for 25,00"."""
    kind = _DISCOUNTS.get(discount.kind)
    if discount.kind == "member":
        return say(kind) if kind is not None else shortened(discount.text)
    text = say(discount.text) if discount.kind == "original" else shortened(discount.text)
    return text if kind is None else f"{say(kind)}: {text}" if text else say(kind)


def _tender_rows(receipt: Receipt, sign: int, say: Say) -> Iterator[Row]:
    if receipt.rounding_ore:
        yield Row(say(N_("Rounding (öresavrundning)")), amount(sign * receipt.rounding_ore))
        yield Row(say(N_("To pay")), amount(sign * (receipt.total_ore + receipt.rounding_ore)), "bold")
    for tender in receipt.tenders:
        yield Row(_means(tender, say), amount(sign * (tender.given_ore if tender.change_ore else tender.amount_ore)))
        if tender.change_ore:
            yield Row(say(N_("Change")), amount(-sign * tender.change_ore))
        if tender.evidence is not None:
            yield from _evidence_rows(tender.evidence, say)
        if tender.at_risk and tender.means != CARD:
            yield Row(f"  {say(N_('Not confirmed when this receipt was made'))}")


def _means(tender: ReceiptTender, say: Say) -> str:
    means = MEANS.get(tender.means)
    reference = shortened(tender.reference) if tender.evidence is None else ""  # else it has a row of its own
    return joined((say(means.sentence) if means else shortened(tender.means), reference))


def _evidence_rows(evidence: Evidence, say: Say) -> Iterator[Row]:
    """What a payment service said: enough to find the payment again, and of a card its last four digits alone."""
    number = f"**** {shortened(evidence.card)}" if evidence.card else ""
    how = say(_HOW[evidence.how]) if evidence.how in _HOW else ""
    if card := joined((f"{shortened(evidence.brand)} {number}".strip(), how)):
        yield Row(f"  {card}")
    if evidence.approval:
        yield Row(f"  {say(N_('Approval code'))} {shortened(evidence.approval)}")
    if evidence.reference:
        yield Row(f"  {say(N_('Ref.'))} {shortened(evidence.reference)}")
    if evidence.offline and evidence.card:
        yield Row(f"  {say(N_('Approved offline by the terminal'))}")


def merchant_papers(receipt: Receipt, instant: str, say: Say) -> tuple[Paper, ...]:
    """The shop's own slip of each card payment that the terminal approved alone: what is asked for if it is never settled."""
    name = say(N_("The shop's copy: card approved offline"))
    mark = Row(NO_RECEIPT, style="mark")
    return tuple(
        Paper(
            name,
            (
                mark, Row(name, style="title"), *identity_rows(receipt.company, receipt.address, receipt.org_no, say), BLANK,
                Row(f"{say(N_('Receipt (kvitto)'))} {receipt.number}", when(instant)),
                Row(f"{say(N_('Register (kassa)'))} {receipt.register}", f"{say(N_('Cashier'))} {receipt.cashier}"),
                RULE,
                Row(_means(tender, say), amount(tender.amount_ore), "bold"),
                *_evidence_rows(tender.evidence, say),
                Row(f"  {say(N_('The terminal says when'))}", shortened(tender.evidence.time)),
                Row(f"  {say(N_('Approvals the terminal still holds'))}", str(tender.evidence.waiting)),
                RULE,
                Row(say(N_("Keep this slip, and leave the terminal switched on until it has sent what it holds.")), style="centre"),
                mark, CUT,
            ),
        )
        for tender in receipt.tenders
        if tender.means == CARD and tender.evidence is not None and tender.evidence.offline and receipt.kind == "sale"
    )  # fmt: skip


def signature_paper(slip: Slip, say: Say) -> Paper:
    """The terminal's own copy for the shop where it wants a signature: every line it gave, and a place to sign (nexo reference §2)."""
    name = say(N_("The shop's copy: to be signed"))
    mark = Row(NO_RECEIPT, style="mark")
    lines = (Row(left, right) for left, right in slip.lines)
    place = Row("_" * 32, style="centre"), Row(say(N_("The customer's signature")), style="centre")
    return Paper(name, (mark, Row(name, style="title"), BLANK, *lines, RULE, BLANK, BLANK, *place, mark, CUT))


def vat_rows(vat: tuple[VatAmount, ...], sign: int, say: Say) -> Iterator[Row]:
    """The table of VAT per rate, and its sum."""
    yield Row(say(N_("VAT (moms)")), say(N_("Gross")), middle=(say(N_("VAT")), say(N_("Net"))))
    for part in sorted(vat, key=lambda part: part.rate):
        net = part.gross_ore - part.vat_ore
        figures = (amount(sign * part.vat_ore), amount(sign * net))
        yield Row(f"{percent(part.rate)} %", amount(sign * part.gross_ore), middle=figures)
    if len(vat) != 1:
        gross, tax = sum(part.gross_ore for part in vat), sum(part.vat_ore for part in vat)
        middle = (amount(sign * tax), amount(sign * (gross - tax)))
        yield Row(say(N_("Sum")), amount(sign * gross), "bold", middle)


def quantity(milli: int, unit: str) -> str:
    """ "3 st", "0,750 kg"; whole pieces have no decimals, everything else has three."""
    if unit == "st" and milli % PIECE == 0:
        return f"{milli // PIECE} st"
    return f"{'-' if milli < 0 else ''}{abs(milli) // PIECE},{abs(milli) % PIECE:03d} {shortened(unit)}"


def percent(rate: int) -> str:
    """Basis points as percent: "25", "12", "0", "6,5"."""
    whole, rest = divmod(rate, 100)
    return f"{whole},{rest:02d}".rstrip("0") if rest else str(whole)


def org_no_text(org_no: str) -> str:
    """ "5566778899" as people write it: "556677-8899"."""
    return f"{org_no[:6]}-{org_no[6:]}" if len(org_no) == 10 else shortened(org_no)
