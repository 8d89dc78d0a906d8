"""Both or nothing."""

import pytest

from oppet.release.agree import Listed, agree
from tests.release.chain import a_release, listed


def both(vendor: list[Listed], chain: list[Listed]) -> tuple[list[int], list[tuple[str, str]]]:
    agreed, not_agreed = agree({one.name: one for one in vendor}, {one.name: one for one in chain})
    return [one.software.release for one in agreed], [(one.why, one.party) for one in not_agreed]


def test_rl1_what_both_name_alike_is_agreed_and_the_newest_comes_first() -> None:
    old, new = listed(), listed(a_release(3))
    assert both([old, new], [new, old]) == ([3, 2], [])


@pytest.mark.parametrize(
    "other",
    [
        listed(length=901),
        listed(hashes=(("sha256", "b3" * 32),)),
        listed(hashes=(("sha256", "b2" * 32), ("sha512", "c2" * 64))),
        listed(a_release(image="a2" * 32)),
        listed(a_release(hw="arm64")),
        listed(a_release(min_release=2)),
        listed(a_release(fiscal="2")),
    ],
)
def test_rl1_any_difference_is_no_agreement(other: Listed) -> None:
    assert both([listed()], [other]) == ([], [("disagree", "")])


def test_rl1_a_digest_that_is_not_sha_256_is_no_agreement() -> None:
    bare = listed(hashes=(("sha512", "c2" * 64),))
    assert both([bare], [bare]) == ([], [("disagree", "")])


def test_rl1_one_party_alone_is_named_and_blocks_nothing() -> None:
    other = listed(a_release(3))
    assert both([listed(), other], [listed()]) == ([2], [("one_party", "vendor")])
    assert both([listed()], [listed(), other]) == ([2], [("one_party", "chain")])
    assert both([], []) == ([], [])
