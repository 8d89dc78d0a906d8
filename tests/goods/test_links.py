"""Digital Links: text that names an article. Vectors of the standard's own engine, and where biip differs."""

from __future__ import annotations

import biip
import pytest

from oppet.goods.codes import read
from oppet.goods.errors import ContradictoryCodeError, NoArticleInCodeError, UnreadableCodeError
from oppet.goods.links import from_link

TODAY = "2026-11-22"
GTIN = "12312312312333"


@pytest.mark.parametrize(
    ("link", "elements"),
    [
        (f"https://a/01/{GTIN}/22/TEST/10/ABC/21/XYZ", f"01={GTIN} 22=TEST 10=ABC 21=XYZ"),
        (f"https://a/01/{GTIN}?99=ABC&unknown=666&98=XYZ", f"01={GTIN} 99=ABC 98=XYZ"),
        (f"https://a/01/{GTIN}/22/ABC%2d123?98=XYZ%2f987", f"01={GTIN} 22=ABC-123 98=XYZ/987"),
        (f"https://example.com/01/{GTIN}?99=TEST", f"01={GTIN} 99=TEST"),
        ("https://a/00/faux/00/006141411234567890", "00=006141411234567890"),
        ("https://a/01/416000336108", "01=00416000336108"),
        (f"https://a/stem/01/00000000000000/01/{GTIN}", f"01={GTIN}"),
        (f"http://a/01/{GTIN}#fragment", f"01={GTIN}"),
        (f"HTTPS://A/01/{GTIN}", f"01={GTIN}"),
        (f"https://a:8443/01/{GTIN}/235/TPX", f"01={GTIN} 235=TPX"),
        (f"https://a/01/{GTIN}?17=261130&3103=000750;10=AB", f"01={GTIN} 17=261130 3103=000750 10=AB"),
        (f"https://a/01/{GTIN}?gtin=5&&=x", f"01={GTIN}"),
    ],
)
def test_g3_a_link_is_read_as_the_standards_own_engine_reads_it(link: str, elements: str) -> None:
    assert " ".join(f"{ai}={value}" for ai, value in from_link(link, link)) == elements


@pytest.mark.parametrize(
    "link",
    [
        f"https://a/01/{GTIN}?99=",
        f"https://a/01/{GTIN}?999=faux",
        f"https://a/01/{GTIN}/",
        f"HtTp://a/01/{GTIN}",
        f"https:///01/{GTIN}",
        f"https://a/{GTIN}",
        "https://a",
        "https://",
        "https://a/01/",
        "https://a/01/123",
        f"https://a/01/{GTIN}/10/ABC/22/TEST",
        f"https://a/01/{GTIN}/10/A/10/A",
        f"https://a/01/{GTIN}/10/A/235/B",
        f"https://a/01/{GTIN}/99/A",
        f"https://a/01/{GTIN}/10/%00",
        f"https://a/01/{GTIN}/10/%C3%A5",
        f"https://a/01/{GTIN}/10/",
        f"https://a/01/{GTIN}?10=a+b",
        f"https://a/01/{GTIN}?10",
        f"https://a/gtin/{GTIN}",
        "https://[/01/1",
        f"https://a/01/{GTIN}/x",
    ],
)
def test_g2_a_link_that_breaks_the_standard_is_refused(link: str) -> None:
    with pytest.raises(UnreadableCodeError):
        read(link, TODAY)


def test_g2_biip_is_looser_on_links_and_its_url_parser_raises_on_a_broken_host() -> None:
    assert biip.parse(f"https://a/01/{GTIN}?99=").gs1_digital_link_uri is not None
    assert biip.parse(f"https://a/01/{GTIN}?999=faux").gs1_digital_link_uri is not None
    assert biip.parse("https://a/00/faux/00/006141411234567890").gs1_digital_link_uri is None
    with pytest.raises(ValueError, match="IPv6"):
        biip.parse("https://[/01/1")


@pytest.mark.parametrize("carrier", ["", "]Q1", "]d1", "]J0"])
def test_g2_a_link_says_the_same_whoever_carries_it_and_is_never_opened(carrier: str) -> None:
    scanned = read(f"{carrier}https://evil.example/01/{GTIN}/10/ABC?17=261130", TODAY)
    assert (scanned.kind, scanned.gtin, scanned.lot, scanned.use_by) == ("link", GTIN, "ABC", "2026-11-30")


def test_g3_a_link_may_not_contradict_itself_and_must_name_an_article() -> None:
    with pytest.raises(ContradictoryCodeError):
        read(f"https://a/01/{GTIN}/10/A?10=B", TODAY)
    with pytest.raises(NoArticleInCodeError):
        read("https://a/00/006141411234567890", TODAY)
