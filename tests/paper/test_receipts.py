"""What stands on paper: the law's letters a–m, the marks, every öre explained, and no word from outside obeyed."""

from __future__ import annotations

import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oppet.journal.kinds import Evidence, LineDiscount, ReceiptTender, Report
from oppet.paper.code_text import LARGEST_SHOWN
from oppet.paper.receipts import (
    copy_paper,
    electronic_paper,
    merchant_papers,
    notice_paper,
    printed_again,
    receipt_paper,
    with_code,
)
from oppet.paper.reports import report_paper
from oppet.paper.sheet import COLUMNS, CUT, Paper, Row, Say, amount, cells, lines, when
from tests.paper.papers import (
    A_COPY,
    A_REPORT,
    A_RETURN,
    A_SALE,
    A_TRAINING,
    A_Z,
    AN_X,
    LATER,
    LINES,
    NOON,
    a_line,
    a_receipt,
)
from tests.paper.swedish import in_english, in_swedish

HOSTILE = "\x1bp\x00\x19\xfa\x1d!\x11\x07\x10\x04\x01 R\u202eetaP\u200b\x85\n\r\t\u2028 x"


def shouting(sentence: str) -> str:
    """A catalogue that tries to say something else."""
    return f"«{sentence}»!"


def text(paper: Paper, columns: int = 42) -> str:
    return "\n".join(line.text for line in lines(paper, columns) if line.style != "qr")


def every_paper(say: Say) -> list[Paper]:
    return [
        receipt_paper(A_SALE, NOON, say),
        receipt_paper(A_RETURN, NOON, say),
        receipt_paper(A_TRAINING, NOON, say),
        electronic_paper(A_SALE, NOON, say),
        copy_paper(A_SALE, NOON, A_COPY, LATER, say),
        report_paper(A_Z, LATER, say),
        report_paper(AN_X, LATER, say),
    ]


# --- P1 ------------------------------------------------------------------------------------------------------------


def test_p1_a_row_holds_no_control_character_whoever_wrote_it() -> None:
    paper = Paper(HOSTILE, (Row(HOSTILE, HOSTILE, middle=(HOSTILE,)), Row(HOSTILE, style="title")))
    for row in paper.rows:
        for cell in (row.left, row.right, *row.middle):
            assert cell.isprintable()
    assert paper.name.isprintable()


def test_p1_a_sheet_read_from_a_file_is_cleaned_as_well() -> None:
    data = msgspec.json.encode({"name": "x", "rows": [{"left": HOSTILE}]})
    assert msgspec.json.decode(data, type=Paper).rows[0].left.isprintable()


@given(st.text(max_size=60), st.text(max_size=30))
def test_p1_no_text_whatever_leaves_a_control_character_on_paper(left: str, right: str) -> None:
    for line in lines(Paper("x", (Row(left, right),)), 42):
        assert all(unicodedata.category(c)[0] != "C" and c not in "\u2028\u2029" for c in line.text)


def test_p1_hostile_words_everywhere_in_a_receipt_stay_words() -> None:
    line = a_line(1, HOSTILE, 1000, discounts=(LineDiscount("promotion", HOSTILE, 10, HOSTILE),), unit=HOSTILE)
    receipt = a_receipt((line,), company=HOSTILE, address=HOSTILE, org_no=HOSTILE, register=HOSTILE, unit=HOSTILE)
    for paper in (receipt_paper(receipt, NOON, in_swedish), copy_paper(receipt, NOON, A_COPY, LATER, in_swedish)):
        assert all(c.isprintable() or c == "\n" for c in text(paper))


def test_p1_a_name_of_a_megabyte_takes_some_lines_and_no_more() -> None:
    paper = receipt_paper(a_receipt((a_line(1, "Z\u0351" * 500_000, 1000),)), NOON, in_swedish)
    assert len(list(lines(paper, 42))) < 30


# --- P2 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("say", [in_swedish, in_english])
def test_p2_every_line_is_as_wide_as_the_paper(say: Say, columns: int) -> None:
    for paper in every_paper(say):
        for line in lines(paper, columns):
            if line.style not in {"blank", "cut", "qr"}:
                assert cells(line.text) == (columns // 2 if line.style in {"mark", "total"} else columns), line


@given(st.text(max_size=80), st.integers(-(10**10), 10**10), st.sampled_from(COLUMNS))
def test_p2_an_amount_is_never_shortened_broken_or_moved(name: str, ore: int, columns: int) -> None:
    set_lines = list(lines(Paper("x", (Row(name, amount(ore)),)), columns))
    assert set_lines[-1].text.endswith(amount(ore))
    assert all(cells(line.text) == columns for line in set_lines)


@pytest.mark.parametrize(
    ("name", "width"),
    [("寿司セット", 10), ("e\u0301clair", 6), ("Ελιές", 5), ("สับปะรด", 6), ("🍌🍌", 4), ("ﾊﾝｶｸ", 4)],
)
def test_p2_wide_and_combining_letters_fill_the_columns_they_fill(name: str, width: int) -> None:
    [line] = lines(Paper("x", (Row(name, "12,50"),)), 42)
    composed = unicodedata.normalize("NFC", name)
    assert line.text == composed + " " * (42 - width - 5) + "12,50"


def test_p2_a_long_name_breaks_between_words_and_keeps_its_price() -> None:
    shown = text(Paper("x", (Row("Knäckebröd råg, extra tunt, bakat på surdeg i vedugn", "34,50"),)))
    assert shown.split("\n") == [
        "Knäckebröd råg, extra tunt, bakat på      ",
        "  surdeg i vedugn                    34,50",
    ]


@pytest.mark.parametrize(
    ("ore", "shown"),
    [
        (0, "0,00"),
        (5, "0,05"),
        (-5, "-0,05"),
        (99_999, "999,99"),
        (100_000, "1 000,00"),
        (-123_456_789, "-1 234 567,89"),
    ],
)
def test_p2_amounts_read_as_people_write_them(ore: int, shown: str) -> None:
    assert amount(ore) == shown


# --- P3 ------------------------------------------------------------------------------------------------------------

LETTERS = {
    "a company and organisation number": ["Konsum Norr ekonomisk förening", "556677-8899"],
    "b address of sale": ["Storgatan 1, 972 31 Luleå"],
    "c date and time": ["2026-11-22 12:00:05"],
    "d serial number": ["Kvitto 1234"],
    "e register": ["Kassa K3-2"],
    "f g names and quantities": ["Mellanmjölk 1,5 % 1,5 l", "0,750 kg × 39,90", "3 st × 9,95", "1 st om inget annat"],
    "h amounts and total": ["21,90", "29,93", "29,85", "98,90", "281,41"],
    "i j VAT": ["6 %              14,18    236,33    250,51", "Summa            19,16    262,25    281,41"],
    "k payment": ["Kort · ****4242", "Kontant", "500,00", "Växel", "-319,00", "Öresavrundning", "-0,41"],
    "l control unit": ["RIHTT131550010466"],
}


@pytest.mark.parametrize("letter", LETTERS)
def test_p3_a_receipt_carries_each_letter_of_the_law(letter: str) -> None:
    shown = text(receipt_paper(A_SALE, NOON, in_swedish))
    for words in LETTERS[letter]:
        assert words in shown


def test_p3_an_electronic_receipt_says_so_in_the_laws_words_in_every_language() -> None:
    for say in (in_swedish, in_english, shouting):
        shown = text(electronic_paper(A_SALE, NOON, say))
        assert "elektroniskt kassakvitto" in shown.casefold()
        assert "elektroniskt kassakvitto" not in text(receipt_paper(A_SALE, NOON, say)).casefold()


def test_p3_an_english_receipt_keeps_the_swedish_words_of_the_law_beside() -> None:
    shown = text(receipt_paper(A_SALE, NOON, in_english))
    for word in ("(kvitto)", "(kassa)", "(org.nr)", "(moms)", "(öresavrundning)"):
        assert word in shown


@pytest.mark.parametrize(
    ("instant", "shown"),
    [("2026-03-29T00:59:59.999Z", "2026-03-29 01:59:59"), ("2026-03-29T01:00:00.000Z", "2026-03-29 03:00:00")],
)
def test_p3_the_time_is_the_swedish_wall_clocks(instant: str, shown: str) -> None:
    assert when(instant) == shown


# --- P4 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("say", [in_swedish, in_english, shouting])
def test_p4_marks_are_the_laws_words_whatever_the_catalogue_says(say: Say) -> None:
    marks = {
        "KOPIA": copy_paper(A_SALE, NOON, A_COPY, LATER, say),
        "ÖVNING": receipt_paper(A_TRAINING, NOON, say),
        "EJ KVITTO": notice_paper("Betalning återtagen", ("Change",), say),
    }
    for word, paper in marks.items():
        assert [row.left for row in paper.rows if row.style == "mark"] == [word, word]


@pytest.mark.parametrize("say", [in_swedish, in_english])
def test_p4_no_amount_is_taller_than_half_a_mark(say: Say) -> None:
    for paper in every_paper(say):
        assert all(not row.right for row in paper.rows if row.style == "mark")
        assert {row.style for row in paper.rows if row.right} <= {"normal", "bold", "total"}  # all of single height


def test_p4_a_sale_carries_no_mark_and_no_name_makes_one() -> None:
    paper = receipt_paper(a_receipt((a_line(1, "KOPIA", 1000),)), NOON, in_swedish)
    assert all(row.style != "mark" for row in paper.rows)


# --- P5, P6, P7 ----------------------------------------------------------------------------------------------------


def test_p5_each_reduction_stands_under_its_line_with_its_reason() -> None:
    rows = receipt_paper(A_SALE, NOON, in_swedish).rows
    at = next(i for i, row in enumerate(rows) if row.left == "Läsk Citron 33 cl")
    assert [(row.left, row.right) for row in rows[at : at + 5]] == [
        ("Läsk Citron 33 cl", "29,85"),
        ("  3 st × 9,95", ""),
        ("  Erbjudande: 3 för 25,00", "-4,85"),
        ("  Pant burk", "6,00"),
        ("    3 st × 2,00", ""),
    ]


def test_p5_the_rows_of_goods_add_up_to_the_total() -> None:
    rows = receipt_paper(A_SALE, NOON, in_swedish).rows
    first = next(i for i, row in enumerate(rows) if row.right == "SEK") + 1
    last = next(i for i, row in enumerate(rows) if row.style == "total") - 1
    shown = sum(int(row.right.replace(",", "").replace(" ", "")) for row in rows[first:last] if row.right)
    assert shown == A_SALE.total_ore == sum(line.net_ore for line in LINES)


def test_p5_what_was_saved_is_said_once() -> None:
    assert "Du sparade 39,52 kr" in text(receipt_paper(A_SALE, NOON, in_swedish))
    assert "sparade" not in text(receipt_paper(A_RETURN, NOON, in_swedish))


@pytest.mark.parametrize("say", [in_swedish, in_english, shouting])
def test_p6_a_return_is_named_negative_and_says_what_it_returns(say: Say) -> None:
    paper = receipt_paper(A_RETURN, NOON, say)
    shown = text(paper)
    assert paper.rows[0] == Row("RETURKVITTO", style="title")
    assert "1234" in shown
    assert "-69,95" in shown
    assert " 69,95" not in shown
    assert "-3,96" in shown  # its VAT


def test_p7_no_members_token_is_on_any_paper() -> None:
    receipt = msgspec.structs.replace(A_SALE, member="m-7f3a")
    for paper in (receipt_paper(receipt, NOON, in_swedish), copy_paper(receipt, NOON, A_COPY, LATER, in_swedish)):
        assert "7f3a" not in text(paper)


# --- copies, codes, reports ----------------------------------------------------------------------------------------


def test_p3_a_copy_says_which_receipt_it_copies_and_both_times() -> None:
    shown = text(copy_paper(A_SALE, NOON, A_COPY, LATER, in_swedish))
    for words in ("Kopia nr 1 av kvitto 1234", "2026-11-22 21:15:00", "2026-11-22 12:00:05"):
        assert words in shown


def test_p3_an_original_printed_again_says_so_and_stays_one_sheet() -> None:
    paper = printed_again(receipt_paper(A_SALE, NOON, in_swedish), in_swedish)
    assert "Utskrivet igen efter avbrott" in text(paper)
    assert [row for row in paper.rows if row == CUT] == [paper.rows[-1]]


def test_p13_a_code_too_long_for_one_symbol_is_printed_as_several_and_numbered() -> None:
    plain = receipt_paper(A_SALE, NOON, in_swedish)
    assert with_code(plain, "", in_swedish) == plain
    codes = [row for row in with_code(plain, "OPPET1:" + "A" * 9000, in_swedish).rows if row.style == "qr"]
    assert [row.right for row in codes] == ["1/3", "2/3", "3/3"]
    assert all(len(row.left) <= LARGEST_SHOWN for row in codes)


@pytest.mark.parametrize("field", Report.__struct_fields__)
def test_p9_a_report_shows_every_figure_of_the_law(field: str) -> None:
    """Change one field at a time: if the paper stays the same, that field is not on it."""
    value = getattr(A_REPORT, field)
    if isinstance(value, int):
        other: object = value + 1000
    elif isinstance(value, str):
        other = value + "9"
    elif isinstance(value, tuple):
        other = value[1:]
    else:
        other = msgspec.structs.replace(value, **dict.fromkeys(value.__struct_fields__, 1))
    changed = msgspec.structs.replace(A_Z, report=msgspec.structs.replace(A_REPORT, **{field: other}))
    assert text(report_paper(changed, LATER, in_swedish)) != text(report_paper(A_Z, LATER, in_swedish))


def test_p9_a_z_has_its_number_and_an_x_has_none() -> None:
    assert report_paper(A_Z, LATER, in_swedish).rows[0].left == "Z-dagrapport 21"
    assert report_paper(AN_X, LATER, in_swedish).rows[0].left == "X-dagrapport"


# --- payments that somebody outside decided ---------------------------------------------------------------------------

OFFLINE = Evidence(
    "BV0q.7", "2026-11-22T11:00:00Z", "123456", "A9", "Visa", "0010", "chip_pin", offline=True, waiting=3
)


def paid_by(*tenders: ReceiptTender) -> str:
    return text(receipt_paper(msgspec.structs.replace(A_SALE, tenders=tenders), NOON, str))


def test_pt7_a_card_is_on_the_receipt_by_brand_last_four_and_approval_alone() -> None:
    total = A_SALE.total_ore
    said = paid_by(ReceiptTender("card", total, total, 0, "BV0q.7", msgspec.structs.replace(OFFLINE, offline=False)))
    for words in ("Visa **** 0010 · chip and PIN", "Approval code 123456", "Ref. BV0q.7"):
        assert words in said
    assert "offline" not in said
    assert said.count("BV0q.7") == 1


def test_pt6_what_is_taken_at_risk_says_so_on_the_receipt() -> None:
    total = A_SALE.total_ore
    assert "Approved offline" in paid_by(ReceiptTender("card", total, total, 0, "", OFFLINE, at_risk=True))
    swish = Evidence(reference="K3-7", how="qr", offline=True)
    said = paid_by(ReceiptTender("swish", total, total, 0, "K3-7", swish, at_risk=True))
    assert "Not confirmed when this receipt was made" in said
    assert "terminal" not in said


def test_pt6_the_shop_keeps_a_slip_of_each_card_approved_offline_that_is_no_receipt() -> None:
    total = A_SALE.total_ore
    sold = msgspec.structs.replace(
        A_SALE,
        tenders=(
            ReceiptTender("card", 1_000, 1_000, 0, "", OFFLINE, at_risk=True),
            ReceiptTender("card", total - 1_000, total - 1_000, 0, "", msgspec.structs.replace(OFFLINE, offline=False)),
        ),
    )
    [paper] = merchant_papers(sold, NOON, str)
    said = text(paper)
    for words in ("EJ KVITTO", "10,00", "123456", "**** 0010", "1234", "still holds", "3"):
        assert words in said
    assert merchant_papers(A_SALE, NOON, str) == ()
