"""The electronic receipt: what is packed comes back, nothing forged is believed, sixty lines fit in one code."""

from __future__ import annotations

import random
import zlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oppet.base.signing import Verifier
from oppet.journal.kinds import LineDiscount, Original, Receipt, ReceiptLine, ReceiptTender, VatAmount
from oppet.paper import electronic
from oppet.paper.code_text import (
    LARGEST_PRINTED,
    LARGEST_SHOWN,
    PREFIX,
    NotAReceiptCodeError,
    b45decode,
    b45encode,
    join,
    modules,
    parts,
)
from oppet.paper.electronic import (
    ElectronicReceipt,
    ForgedReceiptError,
    UnknownTillError,
    as_given,
    pack,
    pack_short,
    pack_to_print,
    unpack,
)
from tests.paper.papers import (
    A_RETURN,
    A_SALE,
    A_TRAINING,
    CLEO,
    DIGEST,
    LINES,
    NOON,
    SIGNER,
    VERIFIER,
    a_line,
    a_receipt,
)

REFUSALS = (NotAReceiptCodeError, UnknownTillError, ForgedReceiptError)
CODE = pack(A_SALE, "K3", 2, 4711, NOON, DIGEST, SIGNER)
RETURN_CODE = pack(A_RETURN, "K3", 2, 4712, NOON, DIGEST, SIGNER)


def the_key(till: str, epoch: int) -> Verifier | None:
    return VERIFIER if (till, epoch) == ("K3", 2) else None


def any_key(_till: str, _epoch: int) -> Verifier:
    """The kindest reader there is: whatever the code says it is, the signature decides."""
    return VERIFIER


# --- P11 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("receipt", [A_SALE, A_RETURN], ids=["sale", "return"])
def test_p11_what_is_packed_comes_back(receipt: Receipt) -> None:
    read = unpack(pack(receipt, "K3", 2, 4711, NOON, DIGEST, SIGNER), the_key)
    assert read == ElectronicReceipt(
        "K3", 2, 4711, NOON, DIGEST[:32], receipt.kind, receipt.number, receipt.total_ore, as_given(receipt)
    )


def test_p11_what_is_left_out_is_the_member_the_scan_times_and_the_control_code() -> None:
    receipt = msgspec.structs.replace(A_SALE, member="m-7f3a")
    given_ = as_given(receipt)
    assert (given_.member, given_.code, {line.time for line in given_.lines}) == ("", "", {""})
    back = {name: getattr(receipt, name) for name in ("member", "code")}
    lines = tuple(msgspec.structs.replace(line, time=NOON) for line in given_.lines)
    assert msgspec.structs.replace(given_, lines=lines, **back) == receipt


def test_p11_a_short_code_points_at_the_entry_and_sums_up() -> None:
    code = pack_short(A_SALE, "K3", 2, 4711, NOON, DIGEST, SIGNER)
    assert unpack(code, the_key) == ElectronicReceipt(
        "K3", 2, 4711, NOON, DIGEST[:32], "sale", 1234, A_SALE.total_ore, None
    )
    assert len(code) < 200


def test_p11_a_training_receipt_is_never_packed() -> None:
    with pytest.raises(AssertionError):
        pack(A_TRAINING, "K3", 2, 4711, NOON, DIGEST, SIGNER)


words = st.text(max_size=30)
numbers = st.integers(0, 2**32 - 1)
signed = st.integers(-(2**30), 2**30)  # ten times what a till takes in one amount
some_discounts = st.lists(st.builds(LineDiscount, words, words, signed, words, signed), max_size=3).map(tuple)
some_lines = st.builds(
    ReceiptLine,
    line=st.integers(1, 500),
    article=words | st.from_regex(r"\A\d{1,20}\Z", fullmatch=True),
    name=words,
    group=words,
    kind=words,
    quantity_milli=signed,
    unit=words,
    unit_ore=signed,
    amount_ore=signed,
    discounts=some_discounts,
    net_ore=signed,
    vat_rate=numbers,
    vat_ore=signed,
    time=st.just(""),
    code=words,
    lot=words,
    pant_of=numbers,
    original_line=numbers,
)
some_receipts = st.builds(
    Receipt,
    sale=numbers,
    kind=st.sampled_from(["sale", "return"]),
    number=numbers,
    company=words,
    org_no=words,
    address=words,
    register=words,
    cashier=numbers,
    lines=st.lists(some_lines, max_size=5).map(tuple),
    total_ore=numbers,
    rounding_ore=signed,
    vat=st.lists(st.builds(VatAmount, numbers, signed, signed), max_size=4).map(tuple),
    tenders=st.lists(st.builds(ReceiptTender, words, signed, signed, signed, words), max_size=3).map(tuple),
    unit=words,
    code=st.just(""),
    original=st.none() | st.builds(Original, words, numbers, numbers),
    saved_ore=signed,
)


@given(some_receipts)
def test_p11_any_receipt_at_all_comes_back(receipt: Receipt) -> None:
    """Not only lawful ones: what a till signed is what is read, whatever it was."""
    assert unpack(pack(receipt, "K3", 2, 4711, NOON, DIGEST, SIGNER), the_key).receipt == receipt


# --- P12 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code", [RETURN_CODE, pack_short(A_SALE, "K3", 2, 4711, NOON, DIGEST, SIGNER)], ids=["full", "short"]
)
def test_p12_every_flipped_bit_is_refused(code: str) -> None:
    data = b45decode(code[len(PREFIX) :])
    for bit in range(8 * len(data)):
        forged = bytearray(data)
        forged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(REFUSALS):
            unpack(PREFIX + b45encode(bytes(forged)), any_key)


@given(st.integers(0, len(CODE) - 1), st.characters(min_codepoint=32, max_codepoint=0x2FF))
@settings(max_examples=300)
def test_p12_every_changed_character_is_refused(place: int, character: str) -> None:
    changed = CODE[:place] + character + CODE[place + 1 :]
    if changed != CODE:
        with pytest.raises(REFUSALS):
            unpack(changed, any_key)


def test_p12_a_code_cut_short_or_lengthened_is_refused() -> None:
    for changed in [*(CODE[:n] for n in range(len(CODE))), CODE + "0", CODE + "000", CODE + CODE, " " + CODE]:
        with pytest.raises(REFUSALS):
            unpack(changed, any_key)


def test_p12_cleos_signature_opens_nothing() -> None:
    with pytest.raises(ForgedReceiptError) as refused:
        unpack(pack(A_SALE, "K3", 2, 4711, NOON, DIGEST, CLEO), the_key)
    assert refused.value.facts == {"till": "K3", "epoch": 2}


def test_p12_a_till_nobody_here_knows_proves_nothing() -> None:
    for till, epoch in (("K9", 2), ("K3", 3)):
        with pytest.raises(UnknownTillError):
            unpack(pack(A_SALE, till, epoch, 4711, NOON, DIGEST, SIGNER), the_key)


def test_p12_a_signature_over_something_else_is_no_receipt() -> None:
    """The head of a full code on the body of none: a full receipt cannot be shortened into a reference."""
    data = b45decode(CODE[len(PREFIX) :])
    short = b45decode(pack_short(A_SALE, "K3", 2, 4711, NOON, DIGEST, SIGNER)[len(PREFIX) :])
    with pytest.raises(ForgedReceiptError):
        unpack(PREFIX + b45encode(data[: len(short)]), the_key)
    with pytest.raises(ForgedReceiptError):
        unpack(PREFIX + b45encode(short + data[len(short) :]), the_key)


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda data: PREFIX + b45encode(data)))
def test_p12_any_text_at_all_is_refused_in_words(text: str) -> None:
    with pytest.raises(REFUSALS):
        unpack(text, any_key)


def test_p12_a_megabyte_is_refused_before_it_is_read() -> None:
    asked = []
    with pytest.raises(NotAReceiptCodeError):
        unpack(PREFIX + "0" * 3_000_000, lambda till, epoch: asked.append(till))
    assert asked == []


def test_p12_a_bomb_signed_with_a_stolen_key_is_bounded() -> None:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -12, 5, zlib.Z_DEFAULT_STRATEGY, electronic.WORDS)
    bomb = squeeze.compress(b"\x00" * 50_000_000) + squeeze.flush()
    head = electronic._head(A_SALE, "K3", 2, 4711, NOON, DIGEST)
    with pytest.raises(NotAReceiptCodeError):
        unpack(electronic._sealed(head, bomb[:60_000], SIGNER), the_key)


# --- P13 -----------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200))
def test_p13_base45_comes_back(data: bytes) -> None:
    assert b45decode(b45encode(data)) == data


@pytest.mark.parametrize(
    ("data", "text"), [(b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"base-45", "UJCLQE7W581"), (b"ietf!", "QED8WEX0")]
)
def test_p13_base45_is_that_of_the_standard(data: bytes, text: str) -> None:
    assert b45encode(data) == text
    assert b45decode(text) == data


@pytest.mark.parametrize("text", ["GGW", "::", "A", "abc", "ÅÄÖ", "A" * 4])
def test_p13_what_is_no_base45_is_refused(text: str) -> None:
    with pytest.raises(NotAReceiptCodeError):
        b45decode(text)


def many_lines(count: int, seed: int) -> Receipt:
    """Goods named as a shop names them, one in five reduced."""
    chance = random.Random(seed)
    first = (
        "Mellanmjölk Bananer Kycklingfilé Bryggkaffe Knäckebröd Prästost Vispgrädde Falukorv Tomater Makaroner".split()
    )
    brand = "Norrlands Åhléns Kronfågel Zoéga Leksands Skånemejerier Polarbröd Scan Kungsörnen Risenta".split()
    size = [
        "1,5 l",
        "450 g",
        "ca 900 g",
        "6-pack",
        "33 cl",
        "500 g ekologisk",
        "färsk Sverige",
        "klass 1",
        "250 g",
        "2 kg",
    ]
    lines = []
    for place in range(1, count + 1):
        name = f"{chance.choice(first)} {chance.choice(brand)} {chance.choice(size)}"
        ore = chance.randint(500, 25_000)
        off = (
            (LineDiscount("promotion", "3 för 2", chance.randint(1, 400), f"P{place}", 3000),) if place % 5 == 0 else ()
        )
        article = str(7_300_000_000_000 + chance.randint(0, 99_999_999_999))
        lines.append(a_line(place, name, ore, article=article, code="0" + article, discounts=off))
    return a_receipt(tuple(lines))


def test_p13_sixty_lines_fit_in_one_code_and_twelve_on_paper() -> None:
    for seed in range(20):
        assert len(pack(many_lines(60, seed), "K3-2", 2, 4711, NOON, DIGEST, SIGNER)) <= LARGEST_SHOWN
        assert len(pack(many_lines(12, seed), "K3-2", 2, 4711, NOON, DIGEST, SIGNER)) <= LARGEST_PRINTED


def test_p13_paper_takes_the_full_code_while_it_is_legible_and_else_the_short_one() -> None:
    for count in (1, 12, 24, 30, 60, 200):
        receipt = many_lines(count, count)
        full = pack(receipt, "K3", 2, 4711, NOON, DIGEST, SIGNER)
        short = pack_short(receipt, "K3", 2, 4711, NOON, DIGEST, SIGNER)
        printed = pack_to_print(receipt, "K3", 2, 4711, NOON, DIGEST, SIGNER)
        assert printed == (full if len(full) <= LARGEST_PRINTED else short)
        assert unpack(printed, the_key).number == receipt.number


def test_p13_a_weeks_shopping_goes_in_several_codes_and_nothing_is_left_out() -> None:
    receipt = many_lines(200, 1)
    code = pack(receipt, "K3", 2, 4711, NOON, DIGEST, SIGNER)
    pieces = parts(code)
    assert len(pieces) > 1
    assert all(len(piece) <= LARGEST_SHOWN for piece in pieces)
    assert unpack(join([*reversed(pieces), pieces[0]]), the_key).receipt == as_given(receipt)
    for missing in range(len(pieces)):
        with pytest.raises(NotAReceiptCodeError):
            join([piece for place, piece in enumerate(pieces) if place != missing])


def test_p13_codes_of_two_receipts_are_never_put_together() -> None:
    one = parts(pack(many_lines(200, 1), "K3", 2, 1, NOON, DIGEST, SIGNER))
    other = parts(pack(many_lines(200, 2), "K3", 2, 2, NOON, DIGEST, SIGNER))
    for mixed in ([one[0], *other[1:]], [*one, *other], [], ["x"], ["OPPET1.1/1.AAAAAA:00"], [CODE, CODE]):
        with pytest.raises(NotAReceiptCodeError):
            join(mixed)


def test_p13_one_code_is_its_own_only_part() -> None:
    assert parts(CODE) == (CODE,)
    assert join([CODE]) == CODE


@pytest.mark.parametrize(("length", "side"), [(1, 21), (25, 21), (26, 25), (1853, 117), (1854, 121), (4296, 177)])
def test_p13_a_code_has_the_size_the_standard_gives_it(length: int, side: int) -> None:
    assert modules(length) == side


def test_p11_lines_that_were_voided_leave_their_numbers_behind() -> None:
    receipt = a_receipt((LINES[0], LINES[4], LINES[7]))
    read = unpack(pack(receipt, "K3", 2, 4711, NOON, DIGEST, SIGNER), the_key).receipt
    assert read is not None
    assert [line.line for line in read.lines] == [1, 5, 8]
