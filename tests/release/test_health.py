"""What canaries say, and what it proves."""

import msgspec

from oppet.release.health import Evidence, evidence_of, newest
from tests.release.chain import IMAGE, a_canary, a_pace, a_word, key_of

ONE, TWO, THREE, FOUR = (a_canary(store, f"{store}-K{number}") for store in ("S01", "S02") for number in (1, 2))


def test_rl4_pinned_canaries_count_once_each_and_so_do_their_stores() -> None:
    said = [a_word(ONE), a_word(ONE), a_word(TWO), a_word(THREE)]
    assert evidence_of(said, IMAGE, a_pace()) == Evidence(tills=3, stores=2)


def test_rl4_a_stranger_another_image_a_wrong_key_and_a_changed_word_count_nothing() -> None:
    stranger = a_canary("S07", "S07-K1")
    changed = msgspec.structs.replace(a_word(TWO), statement=a_word(TWO).statement.replace("300", "301"))
    said = [
        a_word(stranger), a_word(ONE, "ff" * 32), a_word(TWO, signer=key_of("S07-K1")), changed,
        a_word(msgspec.structs.replace(THREE, store="S09")), a_word(msgspec.structs.replace(FOUR, epoch=2)),
        msgspec.structs.replace(a_word(FOUR), statement="{"),
    ]  # fmt: skip
    assert evidence_of(said, IMAGE, a_pace()) == Evidence(strangers=7)


def test_rl4_too_short_a_run_or_too_few_sales_prove_nothing() -> None:
    assert evidence_of([a_word(ONE, running_min=119), a_word(TWO, sales=49)], IMAGE, a_pace()) == Evidence()


def test_rl4_one_ill_canary_outweighs_all_well_ones() -> None:
    said = [a_word(ONE), a_word(TWO), a_word(THREE), a_word(FOUR, faults=1)]
    assert evidence_of(said, IMAGE, a_pace()) == Evidence(tills=3, stores=2, ill="S02-K2")


def test_rl4_what_is_published_is_each_pinned_tills_newest_word_and_nobody_elses() -> None:
    later = a_word(ONE, running_min=900)
    said = [a_word(ONE), later, a_word(THREE), a_word(a_canary("S07", "S07-K1")), a_word(TWO, "ff" * 32)]
    assert newest(said, IMAGE, a_pace()) == (later, a_word(THREE))
