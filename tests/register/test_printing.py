"""Receipts looked up later: the law knows one original and one copy, and looking is neither (P4, S of SKVFS 2014:9 6 kap.)."""

from __future__ import annotations

from pathlib import Path

from oppet.paper.receipts import NO_RECEIPT
from oppet.register.state import Unprinted
from tests.register.world import MILK, FakePath, a_till


def said(paper: object) -> list[str]:
    return [row.left for row in paper.rows]  # type: ignore[attr-defined]


def test_p4_a_receipt_that_came_out_on_paper_is_looked_up_as_no_receipt(tmp_path: Path) -> None:
    till, _ = a_till(tmp_path)
    till.selling.pick(MILK)
    till.checkout.pay("cash", 2_000)
    seen = till.printing.to_see(Unprinted("normal", 1))
    assert said(seen).count(NO_RECEIPT) == 2
    assert all(row.style != "qr" for row in seen.rows)


def test_p4_the_last_electronic_receipt_is_the_original_until_the_next(tmp_path: Path) -> None:
    till, world = a_till(tmp_path, paths=[FakePath(), FakePath("screen", "electronic")])
    till.selling.pick(MILK)
    till.checkout.pay("cash", 2_000, electronic=True)
    assert NO_RECEIPT not in said(till.printing.to_see(Unprinted("normal", 1)))
    till.selling.pick(MILK)
    till.checkout.pay("cash", 2_000)
    assert NO_RECEIPT in said(till.printing.to_see(Unprinted("normal", 1)))
    assert [len(path.printed) for path in world.paths] == [1, 1]
