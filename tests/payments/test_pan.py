"""Whole card numbers are found wherever they were written, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oppet.payments.pan import card_numbers, mask_cards

# Numbers that the schemes publish for tests; nobody's cards.
PUBLISHED = [
    "4111111111111111",
    "5413330089000013",
    "5555555555554444",
    "2223000048410010",
    "378282246310005",
    "36148900647913",
    "6011111111111117",
    "3530111333300000",
    "6243030000000001",
]


@pytest.mark.parametrize("number", PUBLISHED)
@pytest.mark.parametrize(
    "around", ["{}", '{{"PAN":"{}"}}', "ring {}, please", ";{}=2512", "a={}&b", "[1,{},2]", "\x00{}\x01"]
)
def test_pt7_a_planted_card_number_is_found_whatever_stands_around_it(number: str, around: str) -> None:
    text = around.format(number)
    [(start, end)] = card_numbers(text)
    assert text[start:end] == number
    assert mask_cards(text) == around.format("**** " + number[-4:])


@pytest.mark.parametrize("number", ["4111 1111 1111 1111", "5413-3300-8900-0013", "3782 822463 10005"])
def test_pt7_a_card_number_in_its_groups_is_found(number: str) -> None:
    assert len(list(card_numbers(f"card {number}."))) == 1


@pytest.mark.parametrize(
    "innocent",
    [
        "541333 **** 0010",
        "7310865004703",  # goods
        "07310865004703",
        "2026-11-22T09:00:00.000Z",
        "1790000000000",
        "1790000000000000000",
        "4111111111111112",  # fails the check
        "4000000000000000000004",
        "oLkO001517998574000.8515179985749876",
        "M4111111111111111",  # a token, a part of something longer
        "4111111111111111a",
        "556677889900",
        "0000000000000000",
        "8888888888888888",
    ],
)
def test_pt7_what_is_no_card_number_is_left_alone(innocent: str) -> None:
    assert list(card_numbers(f'"{innocent}"')) == []


def gtin(body: str) -> str:
    total = sum(int(digit) * (3 - 2 * (place % 2)) for place, digit in enumerate(reversed(body)))
    return body + str(-total % 10)


@settings(max_examples=100, deadline=None)
@given(st.from_regex(r"\A[0-9]{12,13}\Z"), st.integers(0, 10**9), st.from_regex(r"\A[0-9a-f]{32,64}\Z"))
def test_pt7_goods_receipt_numbers_and_tokens_never_ring(body: str, number: int, token: str) -> None:
    code = gtin(body[:13])
    text = f'{{"code":"{code}","gtin":"{code.rjust(14, "0")}","number":{number},"member":"{token}x","ms":{1_790_000_000_000 + number}}}'
    assert list(card_numbers(text)) == []
