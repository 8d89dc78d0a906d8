"""Every form of code that the reference names, with its vectors, and everything that is not a code."""

from __future__ import annotations

from random import Random

import biip
import pytest
from biip.checksums import gs1_standard_check_digit
from biip.rcn import Rcn
from hypothesis import given, settings
from hypothesis import strategies as st

from oppet.base.errors import RefusedError
from oppet.goods.codes import SWEDISH_MEASURES, Measure, Scanned, read
from oppet.goods.elements import checked
from oppet.goods.errors import (
    CodeTooLongError,
    ContradictoryCodeError,
    EmptyMeasureError,
    NoArticleInCodeError,
    UnreadableCodeError,
    WrongCheckDigitError,
)

TODAY = "2026-11-22"
GS = "\x1d"


@pytest.mark.parametrize(
    ("text", "kind", "gtin"),
    [
        ("4006381333931", "ean13", "04006381333931"),
        ("7310865004703", "ean13", "07310865004703"),
        ("7312345678909", "ean13", "07312345678909"),
        ("5012345678900", "ean13", "05012345678900"),
        ("73513537", "ean8", "00000073513537"),
        ("20005931", "ean8", "00000020005931"),
        ("036000291452", "upca", "00036000291452"),
        ("042100005264", "upca", "00042100005264"),
        ("04252614", "upce", "00042100005264"),
        ("01234505", "upce", "00012000003455"),
        ("00123457", "upce", "00001234000057"),
        ("07312345678909", "gtin14", "07312345678909"),
        ("17312345678906", "gtin14", "17312345678906"),
        ("]E04006381333931", "ean13", "04006381333931"),
        ("]E00416000336108", "upca", "00416000336108"),
        ("]E473513537", "ean8", "00000073513537"),
        ("]E3977123456789803", "ean13", "09771234567898"),
        ("]I107312345678909", "gtin14", "07312345678909"),
        ("]I007312345678909", "gtin14", "07312345678909"),
        (" 4006381333931\r\n", "ean13", "04006381333931"),
        (f"4006381333931{GS}", "ean13", "04006381333931"),
    ],
)
def test_g1_a_right_check_digit_names_one_article(text: str, kind: str, gtin: str) -> None:
    scanned = read(text, TODAY)
    assert (scanned.kind, scanned.gtin) == (kind, gtin)


@pytest.mark.parametrize(
    "text",
    [
        "4006381333932",
        "2112345678901",
        "]E02112345678901",
        "73513538",
        "036000291453",
        "07312345678900",
        "]I117312345678909",
        "0104006381333932",
        "]d20104006381333932",
        "(01)04006381333932",
        "https://a/01/04006381333932",
    ],
)
def test_g1_a_wrong_check_digit_names_none(text: str) -> None:
    with pytest.raises(WrongCheckDigitError):
        read(text, TODAY)


@pytest.mark.parametrize("text", ["1", "4011", "94011", "1234567"])
def test_g1_a_short_number_is_an_article_number(text: str) -> None:
    assert read(text, TODAY) == Scanned(raw=text, kind="plu", plu=text)


@pytest.mark.parametrize(
    ("text", "kind", "code", "price_ore", "weight_g"),
    [
        ("2345678907502", "weight", "456789", None, 750),
        ("2445678910752", "weight", "456789", None, 10_750),
        ("2545678901238", "weight", "456789", None, 12_300),
        ("2045678912345", "price", "456789", 1234, None),
        ("2145678912342", "price", "456789", 12_340, None),
        ("2245678912349", "price", "456789", 123_400, None),
        ("]E02112345678900", "price", "123456", 78_900, None),
    ],
)
def test_g3_a_swedish_variable_measure_code_holds_weight_or_price(
    text: str, kind: str, code: str, price_ore: int | None, weight_g: int | None
) -> None:
    scanned = read(text, TODAY)
    assert (scanned.kind, scanned.scale_code, scanned.price_ore, scanned.weight_g) == (kind, code, price_ore, weight_g)
    assert scanned.gtin is None  # it changes with every pack


def test_g3_biip_reads_the_swedish_measures_as_we_do() -> None:
    for text in ("2345678907502", "2445678910752", "2545678901238", "2045678912345", "2145678912342", "2245678912349"):
        theirs = biip.parse(text, config=biip.ParseConfig(rcn_region="se")).gtin
        assert isinstance(theirs, Rcn)
        ours = read(text, TODAY)
        assert theirs.price is None or ours.price_ore == theirs.price * 100
        assert theirs.weight is None or ours.weight_g == theirs.weight * 1000


def test_g3_the_table_of_in_store_prefixes_is_configuration() -> None:
    scanned = read("2845678907507", TODAY, {**SWEDISH_MEASURES, "28": Measure("weight", 1)})
    assert (scanned.scale_code, scanned.weight_g) == ("456789", 750)
    assert read("2845678907507", TODAY).gtin == "02845678907507"


@pytest.mark.parametrize(
    "text", ["2345678900008", "2045678900007", "]d201073123456789093103000000", "]d2010731234567890931030007503922000"]
)
def test_g3_a_measure_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(EmptyMeasureError):
        read(text, TODAY)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("]C1011231231231233310ABC123\x1d99TESTING", "gs1_128"),
        ("]e0011231231231233310ABC123\x1d99TESTING", "databar"),
        ("]d2011231231231233310ABC123\x1d99TESTING", "datamatrix"),
        ("]Q3011231231231233310ABC123\x1d99TESTING", "gs1_qr"),
        ("]J1011231231231233310ABC123\x1d99TESTING", "dotcode"),
        ("011231231231233310ABC123\x1d99TESTING", "elements"),
        ("\x1d011231231231233310ABC123\x1d99TESTING", "elements"),
        ("(01)12312312312333(10)ABC123(99)TESTING", "elements"),
        ("(01) 12312312312333 (10) ABC123", "elements"),
        ("]d2\x1d\x1d0112312312312333\x1d10ABC123\x1d\x1d99TESTING\x1d", "datamatrix"),
    ],
)
def test_g3_every_carrier_of_element_strings_says_the_same(text: str, kind: str) -> None:
    scanned = read(text, TODAY)
    assert (scanned.kind, scanned.gtin, scanned.lot, scanned.partly) == (kind, "12312312312333", "ABC123", False)


def test_g3_fresh_meat_says_weight_price_date_and_lot() -> None:
    scanned = read(f"]e001973123456789023103000750392203995{GS}1726113010L42", TODAY)
    assert (scanned.gtin, scanned.weight_g, scanned.price_ore) == ("97312345678902", 750, 3995)
    assert (scanned.use_by, scanned.lot) == ("2026-11-30", "L42")


def test_g3_a_composite_adds_dates_to_the_bars_and_may_not_contradict_them() -> None:
    scanned = read("]E07312345678909|]e01726113010L42", TODAY)
    assert (scanned.kind, scanned.gtin, scanned.use_by, scanned.lot) == (
        "composite",
        "07312345678909",
        "2026-11-30",
        "L42",
    )
    assert read("]E07312345678909|]e0010731234567890910L42", TODAY).lot == "L42"
    with pytest.raises(ContradictoryCodeError):
        read("]E07312345678909|]e0010400638133393110L42", TODAY)
    for text in ("]E07312345678909|", "]E07312345678909|10L42", "]E02345678907502|]e01726113010L42"):
        with pytest.raises(UnreadableCodeError):
            read(text, TODAY)


@pytest.mark.parametrize(
    "text", ["]C110ABC", "]d2" + "00006141411234567890", "(00)006141411234567890", "(3100)123456(10)12345"]
)
def test_g1_a_code_without_an_article_is_not_goods(text: str) -> None:
    with pytest.raises(NoArticleInCodeError):
        read(text, TODAY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "]",
        "]E",
        "]E0",
        "]e0",
        "]d2",
        "]zz",
        "]C04006381333931",
        "]E0400638133393",
        "]d1hello",
        "]Q1hello",
        "]Q1",
        "]d14006381333931",
        "Mjölk",
        "123456789",
        "12345678901",
        "123456789012345",
        "4006381333931x",
        "٤٠٠٦٣٨١٣٣٣٩٣١",
        "".join(chr(0xFF10 + int(d)) for d in "4006381333931"),
        "400638133393²",
        "4006381333931\x00",
        "\x1b[2J",
        "4006\x1d381333931",
        "4006381333931\x7f",
        "4006381333931\u2028",
        "-4006381333931",
        "(01)",
        "(01)07312345678909(",
        "()07312345678909",
        "(1)07312345678909",
        "(01)07312345678909 x",
        "javascript:alert(1)",
        "ftp://a/01/07312345678909",
        "=1+1",
        "null",
        "NaN",
        "1e7",
    ],
)
def test_g2_what_is_not_a_code_is_refused_in_words(text: str) -> None:
    with pytest.raises(UnreadableCodeError) as refused:
        read(text, TODAY)
    assert str(refused.value).isprintable()


def test_g2_a_megabyte_is_refused_at_once_and_not_repeated() -> None:
    for text in ("9" * 1_000_000, "https://a/01/" + "0" * 1_000_000, "]d201" + "\x1d" * 1_000_000):
        with pytest.raises(CodeTooLongError) as refused:
            read(text, TODAY)
        assert len(str(refused.value)) < 200
    with pytest.raises(CodeTooLongError):
        read("]d20107312345678909" + "10A\x1d" * 100, TODAY)


def test_g2_a_hostile_code_is_clipped_where_it_is_shown() -> None:
    with pytest.raises(UnreadableCodeError) as refused:
        read("\x1b]0;owned\x07" + "A" * 300, TODAY)
    shown = str(refused.value.facts["code"])
    assert len(shown) <= 40
    assert shown.isprintable()


ALPHABET = "0123456789" * 4 + "]()|%/?&=+-.:_ \x1d\x1dEeCdQIJ01173103392\x00\x1b\n\t٣åÅ💥\u202e" + "https://a"
SEEDS = (
    "4006381333931",
    "]E04006381333931",
    "]d20107312345678909172611301",
    f"]C10107312345678909392203995{GS}10L",
    "2345678907502",
    "https://a/01/12312312312333/22/TEST/10/ABC/21/XYZ?99=ABC&17=261130",
    "(01)07312345678909(17)261130",
    "]E07312345678909|]e010A",
)


def fuzzed(count: int, seed: int) -> list[str]:
    """Random strings, and real codes with something wrong in them."""
    chance = Random(seed)
    texts = []
    for number in range(count):
        if number % 2:
            texts.append("".join(chance.choice(ALPHABET) for _ in range(chance.randrange(0, 60))))
            continue
        letters = list(chance.choice(SEEDS))
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(letters))
            letters[at : at + chance.randrange(0, 3)] = [chance.choice(ALPHABET) for _ in range(chance.randrange(0, 3))]
        texts.append("".join(letters))
    return texts


def _reads_or_refuses(text: str) -> None:
    try:
        scanned = read(text, TODAY)
    except RefusedError as refused:
        shown = str(refused)
    else:
        shown = ""
        _is_whole(scanned)
    assert shown.isprintable()


def _is_whole(scanned: Scanned) -> None:
    assert scanned.gtin is None or (len(scanned.gtin) == 14 and scanned.gtin.isascii() and scanned.gtin.isdigit())
    assert sum(part is not None for part in (scanned.gtin, scanned.scale_code, scanned.plu)) == 1
    assert scanned.weight_g is None or scanned.weight_g > 0
    assert scanned.price_ore is None or scanned.price_ore > 0


def test_g2_ten_thousand_fuzzed_codes_are_read_or_refused_and_nothing_else() -> None:
    for text in fuzzed(10_000, seed=4711):
        _reads_or_refuses(text)


@settings(max_examples=400, deadline=None)
@given(
    st.text(max_size=80)
    | st.text(alphabet=ALPHABET, max_size=80)
    | st.sampled_from(SEEDS).flatmap(
        lambda code: st.tuples(st.just(code), st.integers(0, len(code)), st.text(alphabet=ALPHABET, max_size=6)).map(
            lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :]
        )
    )
)
def test_g2_no_text_at_all_gets_past_the_reader(text: str) -> None:
    _reads_or_refuses(text)


@given(st.integers(8, 14), st.data())
def test_g1_our_check_digit_is_biips(length: int, data: st.DataObject) -> None:
    """Reckoned over bytes for speed, held against the library that knows the standard."""
    digits = data.draw(st.text("0123456789", min_size=length, max_size=length))
    right = gs1_standard_check_digit(digits[:-1]) == int(digits[-1])
    if right:
        assert checked(digits, digits) == digits.zfill(14)
    else:
        with pytest.raises(WrongCheckDigitError):
            checked(digits, digits)
