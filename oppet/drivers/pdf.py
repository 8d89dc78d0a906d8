"""Sheets of paper as PDF and PNG, set by typst from its wheel: no network, no system font, no file but the template.

Rows go in as JSON data and are set as strings, so what an article is called can never be markup (P14). The same sheets
give the same bytes: no date is written. Leaves what sheets say to the fiscal room.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import typst

from oppet.drivers import qr
from oppet.paper.code_text import modules
from oppet.paper.sheet import Paper, Row

__all__ = ["MOST_SHEETS", "Form", "pages_pdf", "picture", "slips_pdf", "strips_pdf"]

MOST_SHEETS = 2_000  # in one file
_ROOT = Path(__file__).parent / "templates"
_TEMPLATE = _ROOT / "paper.typ"
Form = Literal["strip", "page", "slips"]


def strips_pdf(papers: Sequence[Paper]) -> bytes:
    """Receipts as 80 mm strips, one page each, as long as they are."""
    return _compiled(papers, "strip")


def pages_pdf(papers: Sequence[Paper]) -> bytes:
    """Reports and documents on A4, each from a new page."""
    return _compiled(papers, "page")


def slips_pdf(papers: Sequence[Paper]) -> bytes:
    """Numbered slips to be cut apart, two beside each other on A4 and as many below each other as fit."""
    return _compiled(papers, "slips")


def picture(paper: Paper, form: Form = "strip", dots_per_inch: int = 150) -> bytes:
    """The first page of a sheet as PNG."""
    found: bytes | list[bytes] = typst.compile(
        _TEMPLATE,
        format="png",
        ppi=dots_per_inch,
        root=_ROOT,
        ignore_system_fonts=True,
        sys_inputs=_inputs((paper,), form),
    )
    return found[0] if isinstance(found, list) else found


def _compiled(papers: Sequence[Paper], form: Form) -> bytes:
    assert 0 < len(papers) <= MOST_SHEETS, "the caller bounds what it prints"
    return typst.compile(
        _TEMPLATE, format="pdf", root=_ROOT, ignore_system_fonts=True, sys_inputs=_inputs(papers, form)
    )


def _inputs(papers: Sequence[Paper], form: Form) -> dict[str, str]:
    sheets = json.dumps([[_row(row) for row in paper.rows] for paper in papers])
    return {"sheets": sheets, "form": form, "title": papers[0].name}


def _row(row: Row) -> dict[str, object]:
    left = row.left.lstrip(" ")
    drawn = qr.svg(row.left) if row.style == "qr" else ""
    quiet_and_modules = modules(len(row.left)) + 8 if drawn else 0
    return {
        "left": "" if drawn else left,
        "indent": len(row.left) - len(left),
        "right": row.right,
        "style": row.style,
        "middle": row.middle,
        "svg": drawn,
        "halves_mm": quiet_and_modules,  # half a millimetre a module, as the receipt printers print it
    }
