"""The electronic receipt: the receipt itself, packed and signed by the till, as the text of a QR code.

Whoever holds it can prove what was bought with the till's public key alone: lines, prices, discounts, VAT and payment
are inside, so a return is checked by the same code (R17). It also carries its journal entry's place and digest, so a
receipt in a customer's hand is an anchor: a till whose journal lost that entry is found out. It leaves out what no
receipt says: the member's token, when each article was scanned, and the control code.

    text   = "OPPET1:" + base45(head · signature · body)             RFC 9285; QR alphanumeric mode
    head   = version, kind, till, epoch, seq, time, digest prefix, receipt number, total
    body   = deflate(msgpack(columns)) with a fixed dictionary; empty in a *short* code, which only points and sums up
    signed = "oppet receipt 1\n" · head · body

Leaves the code's text to `code_text.py`, drawing to `drivers/qr.py`, and whether goods may come back to the sale room.
Keeps P11 (what is packed comes back, to the öre) and P12 (nothing is believed before its signature, whatever was
flipped, cut or added).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import msgspec

from oppet.base.clock import parse_utc, utc_text
from oppet.base.errors import RefusedError, UntrustedError
from oppet.base.signing import Signer, Verifier
from oppet.base.words import N_
from oppet.journal.kinds import LineDiscount, Original, Receipt, ReceiptLine, ReceiptTender, VatAmount
from oppet.paper.code_text import LARGEST_PRINTED, PREFIX, NotAReceiptCodeError, b45decode, b45encode

__all__ = [
    "PREFIX",
    "ElectronicReceipt",
    "FindKey",
    "ForgedReceiptError",
    "UnknownTillError",
    "as_given",
    "pack",
    "pack_short",
    "pack_to_print",
    "unpack",
]

FindKey = Callable[[str, int], Verifier | None]  # (till, epoch) → its key

CONTEXT = b"oppet receipt 1\n"
SIGNATURE = 64
DIGEST_PREFIX = 16  # bytes: nobody, the till's owner included, finds another entry with this beginning
LARGEST_BODY = 262_144  # unpacked
LARGEST_TEXT = 100_000  # characters of one receipt, all its codes together

# What goods are called here, for the packing alone. Part of version 1: a changed word is a new version.
WORDS = (
    "Krisprolls Pepparkakor Tortilla Crackers Original Snabbnudlar Mjölkchoklad Choklad Chokladboll Kakor Bullar "
    "Glass Vanilj Jordgubb Hallon Blåbär Citron Apelsin juice Saft Läsk Cola Zero 33 cl 50 cl 1,5 l Pant Kaffe "
    "mellanrost Te Socker Mjöl Havregryn Müsli Granola Flingor Knäckebröd Rågbröd Bröd Pasta Spaghetti Ris Bönor "
    "Linser Krossade tomater Tomatsås Ketchup Senap Majonnäs Dressing Soppa Buljong Kryddor Vitlök Lök gul Potatis "
    "fast Morötter Gurka Tomat kvist Paprika röd Sallad Broccoli Banan Äpple Päron Vindruvor Avokado Kyckling filé "
    "färsk Sverige Kycklingfilé Nötfärs Blandfärs Fläsk Köttbullar Falukorv Korv Skinka Bacon Lax Torsk Räkor Makrill "
    "Pizza Lasagne Fryst Tvättmedel Diskmedel Toalettpapper Hushållspapper Chips Grillchips Jordnötter Nötter Dill "
    "Gräslök Naturell Laktosfri Glutenfri Ekologisk ekologiska Eko KRAV Kvarg Yoghurt Filmjölk Keso Cottage Cheese "
    "Grädde Vispgrädde Crème fraiche Gräddfil Smör normalsaltat Margarin Ost Hushållsost Prästost Herrgård Ägg "
    "frigående inomhus 12-pack 6-pack Mellanmjölk Lättmjölk Standardmjölk Mjölk 3 % 1,5 % 1 l 500 g 400 g 1 kg med "
    "och i av Medlemspris 3 för 2 rabatt Mejeri Kolonial Frukt & grönt Chark Kött Fisk Djupfryst Dryck promotion "
    "member markdown line basket gift_card pant_voucher coupon swish card cash tjanst vara kg st "
).encode()


class UnknownTillError(RefusedError):
    sentence = N_("The code says till {till}, epoch {epoch}, and that till is not known here. It cannot be checked.")


class ForgedReceiptError(UntrustedError):
    sentence = N_("The receipt code was not signed by till {till}, epoch {epoch}. Keep it and call a manager.")


class ElectronicReceipt(msgspec.Struct, frozen=True):
    """What a code proves. `receipt` is None for a short code: the journal at (till, epoch, seq) has the lines."""

    till: str
    epoch: int
    seq: int  # the journal entry
    time: str
    digest_prefix: str  # hex; the beginning of that entry's digest
    kind: str  # sale | return
    number: int
    total_ore: int
    receipt: Receipt | None


def as_given(receipt: Receipt) -> Receipt:
    """The receipt as the customer gets it: without member's token, control code and scan times."""
    lines = tuple(msgspec.structs.replace(line, time="") for line in receipt.lines)
    return msgspec.structs.replace(receipt, lines=lines, member="", code="")


# --- packing -------------------------------------------------------------------------------------------------------


def pack(receipt: Receipt, till: str, epoch: int, seq: int, time: str, head_digest: str, signer: Signer) -> str:
    """The full signed code of a sale or a return. `head_digest` is the digest of the receipt's journal entry."""
    return _sealed(_head(receipt, till, epoch, seq, time, head_digest), _packed(receipt), signer)


def pack_short(receipt: Receipt, till: str, epoch: int, seq: int, time: str, head_digest: str, signer: Signer) -> str:
    """A signed reference of some 170 characters: which receipt, when, how much, and the entry's digest."""
    return _sealed(_head(receipt, till, epoch, seq, time, head_digest), b"", signer)


def pack_to_print(
    receipt: Receipt, till: str, epoch: int, seq: int, time: str, head_digest: str, signer: Signer
) -> str:
    """The full code where it fits on an 80 mm roll at a size phones read, else the short one."""
    head, body = _head(receipt, till, epoch, seq, time, head_digest), _packed(receipt)
    largest = (LARGEST_PRINTED - len(PREFIX)) // 3 * 2 - len(head) - SIGNATURE
    return _sealed(head, body if len(body) <= largest else b"", signer)


def _sealed(head: bytes, body: bytes, signer: Signer) -> str:
    return PREFIX + b45encode(head + signer.sign(CONTEXT + head + body) + body)


_KINDS = ("sale", "return")
_NUMBERS = struct.Struct(">IIHI16sII")  # epoch, seq, time (high, low), digest prefix, number, total


def _head(receipt: Receipt, till: str, epoch: int, seq: int, time: str, head_digest: str) -> bytes:
    assert receipt.kind in _KINDS, "a training receipt proves nothing"
    name = till.encode()
    instant = parse_utc(time)
    prefix = bytes.fromhex(head_digest)[:DIGEST_PREFIX]
    numbers = (epoch, seq, instant >> 32, instant & 0xFFFF_FFFF, prefix, receipt.number, receipt.total_ore)
    return bytes((1, _KINDS.index(receipt.kind), len(name))) + name + _NUMBERS.pack(*numbers)


class _Line(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A line as it travels: what can be reckoned from its neighbours is a difference, and nearly always 0."""

    sort: int  # place in the receipt's table of sorts
    name: str
    article: int | str
    quantity_milli: int
    unit_ore: int
    vat_ore: int
    amount_off: int  # amount less quantity × unit price, rounded down
    net_off: int  # net less (amount − discounts)
    line_off: int  # line number less its place: not 0 after a void
    code: int | str  # 0 as the article, 1 as the article with 14 digits
    lot: str
    pant_of: int
    original_line: int


_DEFAULTS = (0, "", 0, 0, 0, 0, 0, 0, 0, 0, "", 0, 0)


class _Body(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    company: str
    org_no: str
    address: str
    register: str
    cashier: int
    sale: int
    unit: str
    rounding_ore: int
    saved_ore: int
    original: tuple[str, int, int] | None
    vat: tuple[tuple[int, int, int], ...]
    tenders: tuple[tuple[str, int, int, int, str], ...]
    sorts: tuple[tuple[str, str, str, int], ...]  # group, kind, unit, VAT rate
    count: int  # of lines
    columns: tuple[tuple[int | str, ...], ...]  # the fields of `_Line` side by side; a column of defaults is empty
    discounts: tuple[tuple[int, str, str, int, str, int], ...]  # place of the line, then LineDiscount


def _packed(receipt: Receipt) -> bytes:
    sorts: dict[tuple[str, str, str, int], int] = {}
    rows = [
        (
            sorts.setdefault((line.group, line.kind, line.unit, line.vat_rate), len(sorts)),
            line.name,
            _number(line.article),
            line.quantity_milli,
            line.unit_ore,
            line.vat_ore,
            line.amount_ore - line.quantity_milli * line.unit_ore // 1000,
            line.net_ore - line.amount_ore + sum([discount.ore for discount in line.discounts]),
            line.line - place,
            0 if line.code == line.article else 1 if line.code == line.article.zfill(14) else line.code,
            line.lot,
            line.pant_of,
            line.original_line,
        )
        for place, line in enumerate(receipt.lines, 1)
    ]
    original = receipt.original
    columns = zip(*rows, strict=True)  # none at all when there are no lines
    body = _Body(
        receipt.company,
        receipt.org_no,
        receipt.address,
        receipt.register,
        receipt.cashier,
        receipt.sale,
        receipt.unit,
        receipt.rounding_ore,
        receipt.saved_ore,
        None if original is None else (original.till, original.epoch, original.number),
        tuple([(v.rate, v.gross_ore, v.vat_ore) for v in receipt.vat]),
        tuple([(t.means, t.amount_ore, t.given_ore, t.change_ore, t.reference) for t in receipt.tenders]),
        tuple(sorts),
        len(rows),
        tuple([() if set(column) == {usual} else column for usual, column in zip(_DEFAULTS, columns, strict=False)]),
        tuple(
            [
                (place, d.kind, d.text, d.ore, d.source, d.quantity_milli)
                for place, line in enumerate(receipt.lines)
                for d in line.discounts
            ]
        ),
    )
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -12, 5, zlib.Z_DEFAULT_STRATEGY, WORDS)
    return squeeze.compress(_encode(body)) + squeeze.flush()


_encode = msgspec.msgpack.Encoder().encode


def _number(article: str) -> int | str:
    """Digits as a number, where they come back as they were."""
    if article.isascii() and article.isdigit() and len(article) < 19 and (article[0] != "0" or article == "0"):
        return int(article)
    return article


# --- unpacking -----------------------------------------------------------------------------------------------------


def unpack(text: str, find_key: FindKey) -> ElectronicReceipt:
    """Read a code. Raises NotAReceiptCodeError, UnknownTillError or ForgedReceiptError; no trust moves before that."""
    text = text.strip("\r\n")
    if not text.startswith(PREFIX) or len(text) > LARGEST_TEXT:
        raise NotAReceiptCodeError
    data = b45decode(text[len(PREFIX) :])
    size = 3 + data[2] + _NUMBERS.size if len(data) > 2 else 0
    if len(data) < size + SIGNATURE or not size or data[0] != 1 or data[1] >= len(_KINDS):
        raise NotAReceiptCodeError
    head, signature, body = data[:size], data[size : size + SIGNATURE], data[size + SIGNATURE :]
    epoch, seq, high, low, prefix, number, total = _NUMBERS.unpack(head[-_NUMBERS.size :])
    till = head[3 : -_NUMBERS.size].decode("utf-8", "replace")
    key = find_key(till, epoch)
    if key is None:
        raise UnknownTillError(till=till, epoch=epoch)
    if not key.good(signature, CONTEXT + head + body):
        raise ForgedReceiptError(till=till, epoch=epoch)
    kind, time = _KINDS[data[1]], utc_text(high << 32 | low)
    receipt = _unpacked(body, kind, number, total) if body else None
    return ElectronicReceipt(till, epoch, seq, time, prefix.hex(), kind, number, total, receipt)


def _unpacked(body: bytes, kind: str, number: int, total: int) -> Receipt:
    """Read what a till signed; bounded all the same, for a key may be stolen."""
    try:
        stretch = zlib.decompressobj(-12, WORDS)
        plain = stretch.decompress(body, LARGEST_BODY)
        if not stretch.eof or stretch.unused_data:
            raise NotAReceiptCodeError
        return _receipt(_decode(plain), kind, number, total)
    except (zlib.error, msgspec.MsgspecError, IndexError, ValueError) as error:
        raise NotAReceiptCodeError from error


_decode = msgspec.msgpack.Decoder(_Body).decode


def _receipt(body: _Body, kind: str, number: int, total: int) -> Receipt:
    if body.count > LARGEST_BODY or (body.count and len(body.columns) != len(_DEFAULTS)):
        raise ValueError(body.count)
    filled = [column or (default,) * body.count for column, default in zip(body.columns, _DEFAULTS, strict=False)]
    rows = [msgspec.convert(row, _Line) for row in zip(*filled, strict=True)]
    discounts: list[list[LineDiscount]] = [[] for _ in rows]
    for place, why, text, ore, source, milli in body.discounts:
        discounts[place].append(LineDiscount(why, text, ore, source, milli))
    return Receipt(
        sale=body.sale,
        kind=kind,
        number=number,
        company=body.company,
        org_no=body.org_no,
        address=body.address,
        register=body.register,
        cashier=body.cashier,
        lines=tuple(_line(body, place, row, tuple(discounts[place])) for place, row in enumerate(rows)),
        total_ore=total,
        rounding_ore=body.rounding_ore,
        vat=tuple(VatAmount(*part) for part in body.vat),
        tenders=tuple(ReceiptTender(*tender) for tender in body.tenders),
        unit=body.unit,
        code="",
        original=None if body.original is None else Original(*body.original),
        saved_ore=body.saved_ore,
    )


def _line(body: _Body, place: int, row: _Line, discounts: tuple[LineDiscount, ...]) -> ReceiptLine:
    group, kind, unit, rate = body.sorts[row.sort]
    article = str(row.article)
    amount_ore = row.quantity_milli * row.unit_ore // 1000 + row.amount_off
    return ReceiptLine(
        line=place + 1 + row.line_off,
        article=article,
        name=row.name,
        group=group,
        kind=kind,
        quantity_milli=row.quantity_milli,
        unit=unit,
        unit_ore=row.unit_ore,
        amount_ore=amount_ore,
        discounts=discounts,
        net_ore=amount_ore - sum(discount.ore for discount in discounts) + row.net_off,
        vat_rate=rate,
        vat_ore=row.vat_ore,
        time="",
        code=article if row.code == 0 else article.zfill(14) if row.code == 1 else str(row.code),
        lot=row.lot,
        pant_of=row.pant_of,
        original_line=row.original_line,
    )
