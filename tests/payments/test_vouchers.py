"""PT11: what a slip from the reverse vending machine is worth, and that another store's, or a made up one, is none."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oppet.payments.risk import Risk
from oppet.payments.vouchers import (
    LoneVoucherError,
    NotAVoucherError,
    Voucher,
    VoucherRules,
    VoucherTooLargeError,
    allow_alone,
    is_voucher,
    read_voucher,
)
from oppet.sale.tokens import payment_reference

RULES = VoucherRules()


def slip(number: int, kronor: int) -> str:
    """A slip as the default layout has it, with its check digit."""
    digits = f"99{number:06d}{kronor:04d}"
    weighed = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return digits + str(-weighed % 10)


def test_pt11_a_slip_says_what_it_is_worth_and_which_it_is() -> None:
    assert read_voucher(slip(123, 47), RULES) == Voucher(f"PV{slip(123, 47)}", 4_700)
    assert read_voucher(f" {slip(123, 47)}\n", RULES).amount_ore == 4_700


@pytest.mark.parametrize(
    "text",
    [
        "",
        "99",
        slip(1, 0),
        slip(1, 47)[:-1] + "x",
        "98" + slip(1, 47)[2:],
        "7310865004703",
        "9" * 500,
        "٩" * 13,
        "\ud800",
    ],
)
def test_pt11_what_is_no_slip_of_this_store_is_refused(text: str) -> None:
    with pytest.raises(NotAVoucherError):
        read_voucher(text, RULES)


@given(st.integers(0, 999_999), st.integers(1, 1_000), st.integers(0, 12), st.integers(1, 9))
def test_pt11_a_misread_digit_is_no_slip(number: int, kronor: int, place: int, more: int) -> None:
    code = slip(number, kronor)
    found = read_voucher(code, RULES)
    assert found.amount_ore == kronor * 100
    assert is_voucher("pant_voucher", found.reference)
    assert payment_reference(found.reference)
    wrong = code[:place] + str((int(code[place]) + more) % 10) + code[place + 1 :]
    with pytest.raises(NotAVoucherError):
        read_voucher(wrong, RULES)


def test_pt11_a_stores_own_digits_stand_for_themselves() -> None:
    ours = VoucherRules(layout="9907NNNNAAAAC")
    assert read_voucher("9907" + slip(71_234, 20)[4:], VoucherRules()).amount_ore == 2_000
    assert read_voucher(slip(71_234, 20), ours).amount_ore == 2_000
    with pytest.raises(NotAVoucherError):
        read_voucher(slip(81_234, 20), ours)


def test_pt11_a_slip_for_a_fortune_is_looked_at() -> None:
    with pytest.raises(VoucherTooLargeError):
        read_voucher(slip(1, 1_001), RULES)


@pytest.mark.parametrize(
    "layout", ["", "99NNNNAAAA", "99NNNNNNNNC", "99AAAAAAAAC", "99NNNNAAAACC", "99nnnnaaaac", "N" * 40]
)
def test_pt11_a_layout_says_number_amount_and_check_digit(layout: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"layout": layout}, VoucherRules)


@pytest.mark.parametrize(
    ("reference", "means", "yes"),
    [("PV990000010047", "pant_voucher", True), ("PV990000010047", "coupon", False), ("", "pant_voucher", False),
     ("4711", "pant_voucher", False), ("PV", "pant_voucher", False)],
)  # fmt: skip
def test_pt11_what_was_entered_by_hand_is_no_slip_that_was_read(reference: str, means: str, yes: bool) -> None:
    assert is_voucher(means, reference) is yes


def test_pt11_a_till_alone_takes_a_few() -> None:
    allow_alone(RULES, Voucher("PV1", 20_000), "2026-11-22", Risk())
    allow_alone(RULES, Voucher("PV1", 20_000), "2026-11-22", Risk("2026-11-22", 80_000, 4))
    allow_alone(RULES, Voucher("PV1", 20_000), "2026-11-23", Risk("2026-11-22", 100_000, 5))
    for ore, taken in ((20_100, 0), (20_000, 80_100), (100, 100_000)):
        with pytest.raises(LoneVoucherError):
            allow_alone(RULES, Voucher("PV1", ore), "2026-11-22", Risk("2026-11-22", taken, 1))
