"""PDF and PNG of paper: read back by somebody else's reader, and hostile names stay names."""

from __future__ import annotations

import io

import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oppet.drivers import pdf, qr
from oppet.fiscal.reserve import slips
from oppet.journal.kinds import EpochOpened
from oppet.paper.code_text import LARGEST_SHOWN, modules
from oppet.paper.electronic import pack
from oppet.paper.receipts import copy_paper, electronic_paper, receipt_paper
from oppet.paper.reports import report_paper
from oppet.paper.sheet import CUT, RULE, Paper, Row
from tests.paper.papers import A_COPY, A_SALE, A_Z, DIGEST, LATER, NOON, SIGNER, UNIT, a_line, a_receipt
from tests.paper.swedish import in_swedish

CODE = pack(A_SALE, "K3", 2, 4711, NOON, DIGEST, SIGNER)
MARKUP = (
    '#import "/etc/passwd" #read("paper.typ") $x^2$ *bold* _it_ `raw` = head \\ "quote" </text> @ref // c /* {{}} [x]'
)


def read(data: bytes) -> list[str]:
    return [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(data)).pages]


def slip(number: int) -> Paper:
    rows = (Row("RESERVKVITTO", style="title"), Row(f"nr {number:04d}", style="title"), RULE)
    blanks = (Row("Datum", style="write"), *(Row("", style="write") for _ in range(8)), Row("Summa kr", style="write"))
    return Paper(f"Reservkvitto {number}", (*rows, *blanks, CUT))


def test_p3_a_receipt_as_pdf_reads_back_letter_by_letter() -> None:
    [page] = read(pdf.strips_pdf((electronic_paper(A_SALE, NOON, in_swedish, CODE),)))
    for words in (
        "Elektroniskt kassakvitto",
        "556677-8899",
        "2026-11-22 12:00:05",
        "281,41",
        "14,18",
        UNIT,
    ):
        assert words in page


def test_p3_a_strip_is_eighty_millimetres_wide_and_a_report_is_a4() -> None:
    strips = pypdf.PdfReader(io.BytesIO(pdf.strips_pdf((receipt_paper(A_SALE, NOON, in_swedish), slip(1)))))
    assert len(strips.pages) == 2
    assert round(float(strips.pages[0].mediabox.width) / 72 * 25.4) == 80
    report = pypdf.PdfReader(io.BytesIO(pdf.pages_pdf((report_paper(A_Z, LATER, in_swedish),))))
    assert round(float(report.pages[0].mediabox.width) / 72 * 25.4) == 210
    assert "Z-dagrapport 21" in report.pages[0].extract_text()


def test_p4_a_mark_is_more_than_twice_as_tall_in_pdf_too() -> None:
    sizes: dict[str, float] = {}

    def visit(text: str, cm: list[float], tm: list[float], font: object, size: float) -> None:
        if text.strip():
            sizes[text.strip()] = abs(size * tm[3] * cm[3])

    data = pdf.strips_pdf((copy_paper(A_SALE, NOON, A_COPY, LATER, in_swedish),))
    pypdf.PdfReader(io.BytesIO(data)).pages[0].extract_text(visitor_text=visit)
    mark = next(size for text, size in sizes.items() if "KOPIA" in text)
    amounts = [size for text, size in sizes.items() if text[-1].isdigit()]
    assert amounts
    assert mark >= 2 * max(amounts)


def test_p14_markup_in_a_name_is_only_a_name() -> None:
    receipt = a_receipt((a_line(1, MARKUP, 1000),), company='"]); #panic("x")', address="#sys.inputs", unit="*u*")
    [page] = read(pdf.strips_pdf((receipt_paper(receipt, NOON, in_swedish),)))
    packed = "".join(page.split())
    assert "".join(MARKUP.split())[:100] in packed
    assert '"]);#panic("x")' in packed
    assert "root:" not in packed


@given(st.text(max_size=60))
@settings(max_examples=25, deadline=None)
def test_p14_no_text_whatever_stops_the_setting(name: str) -> None:
    paper = Paper(
        name, (Row(name, name), Row(name, style="title"), Row(name, "1", middle=(name,)), Row(name, style="mark"))
    )
    assert pdf.strips_pdf((paper,)).startswith(b"%PDF")


def test_p14_the_same_sheets_are_the_same_bytes() -> None:
    papers = (receipt_paper(A_SALE, NOON, in_swedish, CODE),)
    assert pdf.strips_pdf(papers) == pdf.strips_pdf(papers)


def test_p3_fifty_numbered_slips_are_each_there_once_and_none_is_torn() -> None:
    pages = read(pdf.slips_pdf([slip(number) for number in range(1, 51)]))
    whole = "\n".join(pages)
    assert [whole.count(f"nr {number:04d}") for number in range(1, 51)] == [1] * 50
    for page in pages:
        assert page.count("RESERVKVITTO") == page.count("Summa kr")


def test_p3_real_reserve_slips_are_four_to_a_page_and_their_lines_wide_enough_for_a_pen() -> None:
    register = EpochOpened(
        store="S1",
        company=A_SALE.company,
        org_no=A_SALE.org_no,
        address=A_SALE.address,
        register="K3-2",
        manufacturing_no="OPPET-K3-2",
        model="Öppet SE",
        software="0.1",
        public_key="00",
        units=(UNIT,),
        installation="x",
    )
    pages = read(pdf.slips_pdf(slips(1, 8, register)))
    assert [page.count("RESERVKVITTO") for page in pages] == [4, 4]
    assert [page.count("Kassaregistret är ur funktion") for page in pages] == [4, 4]


def test_p3_a_picture_is_a_png() -> None:
    assert pdf.picture(slip(1)).startswith(b"\x89PNG")


@pytest.mark.parametrize("code", [CODE, "OPPET1:" + "A" * (LARGEST_SHOWN - 7)], ids=["receipt", "largest"])
def test_p13_a_drawn_code_is_alphanumeric_and_as_large_as_reckoned(code: str) -> None:
    drawn = qr.matrix(code)
    assert len(drawn) == len(drawn[0]) == modules(len(code))
    assert qr.svg(code).startswith("<svg")
    assert qr.png(code).startswith(b"\x89PNG")


def test_p13_more_than_a_code_holds_is_refused() -> None:
    with pytest.raises(qr.TooLongForACodeError):
        qr.svg("A" * (LARGEST_SHOWN + 1))
