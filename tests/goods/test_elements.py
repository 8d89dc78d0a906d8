"""GS1 element strings, field by field; where biip is looser or asks a clock, and what we do instead."""

from __future__ import annotations

import biip
import pytest
from biip.gs1_messages import GS1Message

from oppet.goods.codes import read
from oppet.goods.elements import facts, from_brackets, from_message
from oppet.goods.errors import ContradictoryCodeError, UnreadableCodeError

TODAY = "2026-11-22"
GS = "\x1d"
ARTICLE = "0107312345678909"


@pytest.mark.parametrize(
    ("hri", "message"),
    [
        ("(01)12345678901231(10)12345", "^01123456789012311012345"),
        ("(10)12345(11)991225", "^1012345^11991225"),
        ("(3100)123456(10)12345", "^31001234561012345"),
        ("(3900)12345(11)991225", "^390012345^11991225"),
        ("(01)12312312312333(7003)2611301200(21)A", "^011231231231233370032611301200^21A"),
    ],
)
def test_g3_message_and_brackets_are_two_spellings_of_the_same(hri: str, message: str) -> None:
    elements, partly = from_message(message.replace("^", GS), message)
    assert elements == from_brackets(hri, hri)
    assert not partly


@pytest.mark.parametrize(
    ("yymmdd", "today", "day"),
    [
        ("261130", TODAY, "2026-11-30"),
        ("260200", TODAY, "2026-02-28"),
        ("280200", TODAY, "2028-02-29"),
        ("261100", TODAY, "2026-11-30"),
        ("760101", TODAY, "2076-01-01"),  # fifty years ahead
        ("770101", TODAY, "1977-01-01"),  # fifty-one: the century before
        ("991225", TODAY, "1999-12-25"),
        ("000101", "2099-06-01", "2100-01-01"),
        ("490101", "2099-06-01", "2149-01-01"),
        ("500101", "2099-06-01", "2050-01-01"),
        ("261131", TODAY, None),
        ("260229", TODAY, None),
        ("261301", TODAY, None),
        ("260001", TODAY, None),
    ],
)
def test_g3_the_century_follows_from_the_day_handed_in_not_from_a_clock(
    yymmdd: str, today: str, day: str | None
) -> None:
    said = facts((("01", "07312345678909"), ("17", yymmdd), ("15", yymmdd)), "code", today)
    assert (said.use_by, said.best_before) == (day, day)


@pytest.mark.parametrize(
    ("elements", "use_by"),
    [
        ("70032611301430", "2026-11-30T14:30"),
        ("70032611309999", "2026-11-30"),
        ("70032611302430", "2026-11-30"),
        (f"70032611301430{GS}17261130", "2026-11-30T14:30"),
        (f"70032612011430{GS}17261130", "2026-11-30"),
    ],
)
def test_g3_the_earliest_of_several_last_days_counts(elements: str, use_by: str) -> None:
    assert read(f"]d2{ARTICLE}{elements}", TODAY).use_by == use_by


def test_g3_a_field_that_needs_a_separator_may_not_run_into_the_next() -> None:
    """Of a longer batch biip takes twenty characters and reads on; a half-read batch would pass a recall."""
    text = f"{ARTICLE}10{'A' * 25}"
    assert GS1Message.parse(f"{ARTICLE}10{'A' * 20}17261130").element_strings[-1].ai.ai == "17"
    scanned = read(f"]d2{text}", TODAY)
    assert (scanned.gtin, scanned.lot, scanned.partly) == ("07312345678909", None, True)
    assert read(f"]d2{ARTICLE}7003261130120017261120", TODAY).partly  # 7003 is of fixed length and needs one too


def test_g3_an_empty_field_is_no_field() -> None:
    """In biip AI 30 may be empty."""
    assert biip.parse(f"]d2{ARTICLE}30").gs1_message is not None
    assert read(f"]d2{ARTICLE}30", TODAY).partly


def test_g3_what_cannot_be_read_after_the_article_leaves_the_article_and_what_was_read() -> None:
    scanned = read(f"]d2{ARTICLE}17261130ZZtop", TODAY)
    assert (scanned.gtin, scanned.use_by, scanned.partly) == ("07312345678909", "2026-11-30", True)
    with pytest.raises(UnreadableCodeError):
        read(f"]d217261130ZZ{ARTICLE}", TODAY)


@pytest.mark.parametrize(
    "rest",
    [
        "0207312345678909",
        "375",
        f"10A{GS}10B",
        f"17261130{GS}17261201",
        "31030007503102000076",
        "255731234567890912",
        f"31030007503922100{GS}3932752100",
    ],
)
def test_g3_a_code_that_contradicts_itself_is_refused(rest: str) -> None:
    with pytest.raises(ContradictoryCodeError):
        read(f"]d2{ARTICLE}{rest}", TODAY)


def test_g3_saying_the_same_twice_is_no_contradiction() -> None:
    assert read(f"]d2{ARTICLE}10A{GS}{ARTICLE}10A", TODAY).lot == "A"


@pytest.mark.parametrize(
    ("weight", "grams"),
    [
        ("3100000002", 2000),
        ("3101000021", 2100),
        ("3102000150", 1500),
        ("3103000750", 750),
        ("3104007505", 751),
        ("3105075049", 750),
    ],
)
def test_g3_the_fourth_digit_places_the_point_of_a_weight(weight: str, grams: int) -> None:
    assert read(f"]d2{ARTICLE}{weight}", TODAY).weight_g == grams


@pytest.mark.parametrize(
    ("price", "ore"),
    [
        ("392239950", 39950),
        ("3920399", 39900),
        ("39213995", 39950),
        ("393275239950", 39950),
        ("393297839950", None),
        ("3924399501", 3995),
    ],
)
def test_g3_a_price_counts_in_kronor_and_beside_a_measure(price: str, ore: int | None) -> None:
    assert read(f"]d2{ARTICLE}3103000750{price}", TODAY).price_ore == ore
    assert read(f"]d2{ARTICLE}{price}", TODAY).price_ore is None


def test_g3_biip_agrees_on_every_vector_that_it_reads() -> None:
    for text in (
        "]Q3011231231231233310ABC123\x1d99TESTING",
        f"]e001973123456789023103000750392203995{GS}1726113010L42",
        "]C101123456789012311012345",
    ):
        theirs = biip.parse(text)
        assert theirs.gtin is not None
        assert read(text, TODAY).gtin == theirs.gtin.as_gtin_14()
