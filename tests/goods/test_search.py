"""Search by name, number and part of a barcode."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oppet.goods.article import Article, Price
from oppet.goods.search import SearchIndex, fold

NAMES = {
    "1": "Arla Mellanmjölk 1,5 %",
    "2": "Mjölk",
    "3": "Crème Fraîche 34 %",
    "4": "Änglamark Ägg 6-pack",
    "4011": "Bananer",
    "40112": "Ben & Jerry’s Glass",
    "7": "Mjölkchoklad",
    "8": "Mjölk laktosfri 3 %",
    "9": "Ørsted Smørrebrød",
}


def an_index() -> SearchIndex:
    price = (Price("2026-01-01", 1000),)
    gtins = {"2": ("07310865004703",), "7": ("07312345678909",)}
    return SearchIndex(
        tuple(
            Article(number, name, "G", "food", "st", price, gtins=gtins.get(number, ()))
            for number, name in NAMES.items()
        )
    )


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ("mjölk", ["2", "8", "7"]),
        ("mjolk", ["2", "8", "7"]),
        ("MJÖLK lak", ["8"]),
        ("lak mjölk", ["8"]),
        ("creme fraiche", ["3"]),
        ("CRÈME", ["3"]),
        ("agg angla", ["4"]),
        ("äGg", ["4"]),
        ("smorrebrod", ["9"]),
        ("jerry", ["40112"]),
        ("mellanmjölk", ["1"]),
        ("ellanmj", []),
        ("mjölk banan", []),
        ("4011", ["4011", "40112"]),
        ("65004703", ["2"]),
        ("4567", ["7"]),
        ("6", ["4"]),
        ("", []),
        ("   %%% ", []),
        ("💥", []),
    ],
)
def test_g9_words_are_found_by_their_beginnings_without_accents(words: str, numbers: list[str]) -> None:
    assert [article.number for article in an_index().find(words)] == numbers


def test_g9_a_decomposed_accent_is_the_same_letter() -> None:
    assert fold("Cre\u0300me FRAI\u0302CHE a\u0308gg") == "creme fraiche agg"


def test_g9_no_more_than_was_asked_for() -> None:
    assert [article.number for article in an_index().find("mjölk", limit=2)] == ["2", "8"]
    assert an_index().find("m", limit=0) == []
    assert an_index().find("m", limit=-1) == []


def test_g9_ten_thousand_fuzzed_searches_find_something_or_nothing() -> None:
    index, chance = an_index(), Random(4711)
    letters = "mjölkägg 0123456789%_*?[](){}\\'\";\x00\x1b\x1d\n\u202e\u0301٣💥ß\ud7ff"
    for _ in range(10_000):
        assert len(index.find("".join(chance.choice(letters) for _ in range(chance.randrange(30))))) <= 20


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.characters(), max_size=200))
def test_g9_no_text_at_all_harms_a_search(text: str) -> None:
    an_index().find(text)
