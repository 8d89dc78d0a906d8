"""The stand-ins for replay and benchmarks keep the ports' promises."""

from __future__ import annotations

import msgspec

from oppet.fiscal.unit import ControlUnit, ReceiptType, UnitCode, UnitRefused
from oppet.journal.kinds import UnitRequest
from oppet.paper.paths import ReceiptPath, first_ready
from oppet.yardstick.in_process import InstantUnit, NoPaper

SALE = UnitRequest("U1", 1, 1, ReceiptType.NORMAL, "202611221432", "5566778899", "K3-1", 1200, 0, ((600, 68),))


def test_r23_a_repeat_of_the_same_receipt_gives_the_same_code_and_counts_once() -> None:
    unit = InstantUnit("U1")
    first = unit.register(SALE)
    again = unit.register(msgspec.structs.replace(SALE, serial=2))
    assert isinstance(first, UnitCode)
    assert first == again
    assert (unit.receipts, unit.total_ore) == (1, 1200)


def test_r23_another_receipt_under_a_used_number_is_refused() -> None:
    unit = InstantUnit("U1")
    unit.register(SALE)
    answer = unit.register(msgspec.structs.replace(SALE, total_ore=1300))
    assert isinstance(answer, UnitRefused)
    assert unit.total_ore == 1200


def test_two_receipts_and_two_units_give_four_codes_of_the_real_ones_shape() -> None:
    codes = set()
    for name in ("U1", "U2"):
        unit = InstantUnit(name)
        for number in (1, 2):
            answer = unit.register(msgspec.structs.replace(SALE, unit=name, receipt_id=number))
            assert isinstance(answer, UnitCode)
            codes.add(answer.code)
    assert len(codes) == 4
    assert {(len(code), code[32]) for code in codes} == {(59, ";")}


def test_training_is_registered_without_a_code() -> None:
    answer = InstantUnit("U1").register(msgspec.structs.replace(SALE, receipt_type=ReceiptType.TRAINING))
    assert isinstance(answer, UnitCode)
    assert answer.code == ""


def test_both_fit_their_ports() -> None:
    unit: ControlUnit = InstantUnit("U1")
    path: ReceiptPath = NoPaper()
    assert unit.probe("K3-1", "5566778899").ready
    assert first_ready([path]) is path
