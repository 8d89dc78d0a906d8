"""What may be journalled about a customer: tokens and references, never a person."""

import pytest

from oppet.sale.tokens import members_token, payment_reference

PERSONS = [
    "8112189876",
    "198112189876",
    "198112189876"[2:],
    "0701234567",
    "46701234567",
    "0046701234567",
    "4111111111111111",
]
TOKENS = ["A", "M4711", "m" * 64, "7310865004703", "0123456789012", "8112189877", "900000000001", "f" * 32]
HOSTILE = [
    "",
    " ",
    "M 1",
    "Åsa",
    "a@b.se",
    "M\n1",
    "M\x001",
    "x" * 65,
    "\ud800",
    "\uff11\uff12\uff13",
    "<script>",
    "'; DROP",
    "811218-9876",
]


@pytest.mark.parametrize("text", TOKENS)
def test_s11_a_token_is_a_token(text: str) -> None:
    assert members_token(text)


@pytest.mark.parametrize("text", PERSONS + HOSTILE)
def test_s11_a_persons_number_is_no_token(text: str) -> None:
    assert not members_token(text)


@pytest.mark.parametrize("text", ["", "4711", "A1B2-C3", "0123456789ABCDEF0123456789ABCDEF", "632617000123", "x" * 40])
def test_s11_a_reference_is_letters_digits_and_hyphens(text: str) -> None:
    assert payment_reference(text)


@pytest.mark.parametrize(
    "text", [*PERSONS, "811218-9876", "x" * 41, "Åsa", "a b", "+46701234567", "\ud800", "\x00", "a@b.se"]
)
def test_s11_a_payers_number_is_no_reference(text: str) -> None:
    assert not payment_reference(text)
