"""The demo's assortment as it lies in data/: sound, complete, and of every kind that a till must meet."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from oppet.goods.article import price_at, unit_price_ore
from oppet.goods.assortment import HEADING, PriceChange, changed, content, merge
from oppet.goods.catalogue import Catalogue, decode
from oppet.goods.errors import BrokenAssortmentError, UnknownArticleError
from oppet.goods.vat import rate

DATA = Path(__file__).parents[2] / "data"
NOW = "2026-11-22T12:00"


@pytest.fixture(scope="module")
def demo() -> Catalogue:
    off = (DATA / "assortment-off" / "articles.tsv").read_bytes()
    return decode(merge(off, (DATA / "assortment-ours" / "terms.json").read_bytes()))


def test_g8_the_demos_assortment_has_nothing_set_aside(demo: Catalogue) -> None:
    assert demo.rejected == ()
    assert len(demo) > 1400


def test_g4_every_article_of_the_demo_has_a_price_a_rate_and_its_pant(demo: Catalogue) -> None:
    for article in demo:
        assert 0 < price_at(article, NOW).ore <= 100_000
        assert rate(article.vat, NOW[:10]) in (0, 600, 1200, 2500)
        if article.pant is not None:
            assert demo.article(article.pant).vat == "none"
            assert not demo.article(article.pant).discountable


def test_g8_the_demo_has_every_kind_of_goods(demo: Catalogue) -> None:
    goods = list(demo)
    assert {demo.article(n).prices[0].ore for n in ("9001", "9002", "9003", "9004")} == {100, 200, 300}
    assert {article.age for article in goods} >= {0, 15, 18}
    assert {article.vat for article in goods} >= {"food", "restaurant", "books", "general", "tobacco", "none"}
    assert {promotion.kind for promotion in demo.promotions} == {
        "n_for_m",
        "n_for_price",
        "percent",
        "amount",
        "member",
    }
    assert len(demo.promotions) == 40
    assert sum(article.prices[0].member_ore is not None for article in goods) > 50
    assert any(len(article.prices) > 1 for article in goods)
    assert len(demo.quick_keys()) > 30
    assert len(demo.recalls) == 2
    assert unit_price_ore(demo.article("4011"), 2790) == 2790


def test_g8_every_promotion_of_the_demo_touches_articles_that_exist(demo: Catalogue) -> None:
    mixes = {
        mix for word in "abcdefghijklmnopqrstuvwxyz0123456789" for a in demo.search(word, 10_000) for mix in a.mixes
    }
    for promotion in demo.promotions:
        assert not promotion.mix or promotion.mix in mixes
        for number in promotion.articles:
            demo.article(number)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("500 g", (500, "kg")),
        ("1,5 l", (1500, "l")),
        ("33 cl", (330, "l")),
        ("12 st", (12_000, "st")),
        ("2 kg", (2000, "kg")),
        ("", None),
        ("500", None),
        ("g", None),
        ("99999999 g", None),
        ("\u0665 g", None),
    ],
)
def test_g5_a_content_is_read_from_its_words(text: str, read: tuple[int, str] | None) -> None:
    assert content(text) == read


def test_g8_a_price_without_a_name_is_set_aside_and_a_broken_file_is_refused() -> None:
    term = {"number": "1", "gtins": ["07310865004703"], "group": "G", "vat": "food", "unit": "st"}
    ours = {
        "format": 1,
        "version": "v",
        "made": "m",
        "articles": [],
        "terms": [{**term, "prices": [{"valid_from": "2026-01-01", "ore": 1}]}],
    }
    (only,) = decode(merge(HEADING.encode(), msgspec.json.encode(ours))).rejected
    assert (only.number, "name" in only.reason) == ("1", True)
    for off, terms in (
        (b"gtin;name", b"{}"),
        (b"\xff", b"{}"),
        (HEADING.encode(), b"[]"),
        (HEADING.encode(), b'{"terms":1}'),
    ):
        with pytest.raises(BrokenAssortmentError):
            merge(off, terms)


def test_prices_and_offers_change_and_everything_else_stays_to_the_field() -> None:
    held = {
        "format": 1, "version": "v", "made": "x", "unknown": {"kept": True},
        "articles": [
            {"number": "1", "odd": [1], "prices": [{"valid_from": "2026-01-01", "ore": 1000, "member_ore": 900}]},
            {"number": "2", "prices": [{"valid_from": "2026-01-01", "ore": 500}]},
        ],
        "promotions": [{"id": "a", "text": "A"}, {"id": "b", "text": "B"}],
    }  # fmt: skip
    made = msgspec.json.decode(
        changed(
            msgspec.json.encode(held), "v2", "2026-11-23", [PriceChange("1", 950), PriceChange("2", 400, 300, "2026-12-01")],
            [{"id": "b", "text": "B2"}, {"id": "c", "text": "C"}], ["a"],
        )
    )  # fmt: skip
    one, two = made["articles"]
    assert one["odd"] == [1]
    assert made["unknown"] == {"kept": True}
    assert one["prices"][-1] == {"valid_from": "2026-11-23", "ore": 950, "member_ore": 900}
    assert two["prices"][-1] == {"valid_from": "2026-11-23", "ore": 400, "valid_to": "2026-12-01", "member_ore": 300}
    assert [offer["text"] for offer in made["promotions"]] == ["B2", "C"]


def test_a_price_changed_twice_the_same_day_counts_as_said_last_and_old_ones_go() -> None:
    document = msgspec.json.encode({"articles": [{"number": "1", "prices": []}]})
    for ore in range(100, 200):
        document = changed(document, "v", f"2026-{1 + ore % 12:02}-01", [PriceChange("1", ore)])
    document = changed(document, "v", "2026-12-24", [PriceChange("1", 777)])
    document = changed(document, "v", "2026-12-24", [PriceChange("1", 778)])
    found = msgspec.json.decode(document)["articles"][0]["prices"]
    assert len(found) <= 50
    assert [price["ore"] for price in found if price["valid_from"] == "2026-12-24"] == [778]


def test_an_article_that_is_not_there_and_bytes_that_are_no_assortment_are_refused() -> None:
    with pytest.raises(UnknownArticleError):
        changed(b'{"articles": []}', "v", "2026-11-23", [PriceChange("1", 1)])
    for data in (b"", b"[]", b'{"articles": 3}', b'{"articles": [3]}', b"\xff"):
        with pytest.raises(BrokenAssortmentError):
            changed(data, "v", "2026-11-23")
