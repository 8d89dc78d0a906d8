"""Whatever is done to a journal is found, and the first wrong entry is named."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oppet.base.canonical import digest
from oppet.journal.chain import Checked, Finding, Owner, check, check_anchor, owner_of
from oppet.journal.entry import Entry, Head, parse
from tests.journal.chains import NOON, SIGNER, THIEF, Chain, a_chain, opened, scanned, started


def named(finding: Finding) -> tuple[str, int, int]:
    """Kind, number, and the last number that is sure."""
    assert (finding.till, finding.epoch) == ("K3", 1)
    return finding.kind, finding.seq, finding.sure


def test_j1_a_whole_chain_is_whole() -> None:
    checked = a_chain().checked()
    assert checked.finding is None
    assert (checked.entries, checked.signatures, checked.signed_seq, checked.head.seq) == (30, 5, 25, 30)


def test_an_empty_journal_is_whole() -> None:
    assert check(iter(()), iter(()), Owner("K3", 1)).finding is None


@pytest.mark.parametrize("seq", range(2, 30))
def test_j9_a_changed_entry_is_named(seq: int) -> None:
    before = max(mark for mark in (0, 1, 10, 15, 20, 25) if mark < seq)
    chain = a_chain()
    body = chain.data(seq)
    chain.put(seq, body.replace(b'"body":{', b'"body":{"x":1,'))
    assert named(chain.finding()) == ("changed", seq, before)


@pytest.mark.parametrize("seq", [5, 10, 12, 20, 27])
def test_j9_an_entry_whose_link_was_changed_is_named(seq: int) -> None:
    chain = a_chain()
    chain.edit(seq, b'"prev":"' + parse(chain.data(seq)).prev.encode(), b'"prev":"' + b"ab" * 32)
    assert chain.finding().seq == seq
    assert chain.finding().kind == "changed"


def test_j9_the_last_unsigned_pair_is_one_of_two() -> None:
    chain = a_chain()
    chain.edit(29, b'"unit_ore":1890', b'"unit_ore":1790')
    assert named(chain.finding()) == ("changed", 29, 25)
    assert "or the entry after it" in chain.finding().why


@pytest.mark.parametrize("seq", [1, 2, 9, 10, 24, 29])
def test_j9_a_missing_entry_is_named(seq: int) -> None:
    chain = a_chain()
    owner = chain.owner()
    chain.rows = [row for row in chain.rows if row[0] != seq]
    assert chain.finding(owner).kind == "missing"
    assert chain.finding(owner).seq == seq


def test_j9_a_missing_entry_is_named_when_the_places_were_counted_anew() -> None:
    chain = a_chain()
    rows = [data for place, data in chain.rows if place != 12]
    chain.rows = list(enumerate(rows, 1))
    assert named(chain.finding()) == ("missing", 12, 10)


@pytest.mark.parametrize(("one", "other"), [(4, 5), (9, 10), (12, 23), (28, 29)])
def test_j9_reordered_entries_are_named(one: int, other: int) -> None:
    chain = a_chain()
    first, second = chain.data(one), chain.data(other)
    chain.put(one, second).put(other, first)
    assert chain.finding().kind == "reordered"
    assert chain.finding().seq == one


def test_j9_two_entries_in_one_place_are_a_fork() -> None:
    chain = a_chain()
    fork = a_chain(12)
    fork.add(scanned(99))
    chain.rows.insert(13, (13, fork.data(13)))
    assert named(chain.finding()) == ("forked", 13, 10)


def test_j9_an_entry_that_stands_there_twice_is_named() -> None:
    chain = a_chain()
    chain.rows.insert(13, chain.rows[12])
    assert named(chain.finding()) == ("forked", 13, 10)


def test_j9_two_signed_histories_are_a_fork() -> None:
    chain, other = a_chain(), a_chain(12)
    other.add(scanned(99), scanned(100), scanned(101), sign=True).add(scanned(102), sign=True)
    chain.rows[15:] = other.rows[15:]
    chain.signatures = [*chain.signatures[:3], other.signatures[-1]]
    assert named(chain.finding()) == ("forked", 16, 15)


def test_j9_another_tills_entries_are_cloned() -> None:
    chain = a_chain()
    stranger = Chain(till="K4", head=Head(12, parse(chain.data(13)).prev)).add(*map(scanned, range(13, 31)))
    chain.rows[12:] = stranger.rows
    assert named(chain.finding()) == ("cloned", 13, 10)


def test_j9_a_tills_name_that_was_edited_is_a_change() -> None:
    assert named(a_chain().edit(13, b'"till":"K3"', b'"till":"K4"').finding()) == ("changed", 13, 10)


def test_j9_another_epochs_entries_are_cloned() -> None:
    chain = a_chain(12)
    chain.epoch = 2
    chain.add(scanned(3), scanned(4))
    assert named(chain.finding()) == ("cloned", 13, 10)


def test_j9_a_journal_that_goes_on_on_another_machine_is_cloned() -> None:
    chain = a_chain(12).add(started("machine b"), sign=True)
    assert named(chain.finding()) == ("cloned", 13, 12)


def test_j9_a_second_epoch_inside_a_journal_is_cloned() -> None:
    chain = a_chain(12).add(opened(), sign=True)
    assert named(chain.finding()) == ("cloned", 13, 12)


@pytest.mark.parametrize("kept", [24, 20, 12, 1])
def test_j9_entries_cut_off_the_end_are_truncated(kept: int) -> None:
    chain = a_chain()
    del chain.rows[kept:]
    assert chain.finding().kind == "truncated"
    assert chain.finding().seq == kept + 1


def test_j9_an_unsigned_tail_cut_off_is_seen_only_by_an_anchor() -> None:
    chain = a_chain()
    anchor = chain.head
    del chain.rows[27:]
    checked = chain.checked()
    assert checked.finding is None
    found = check_anchor(chain.owner(), anchor, None, checked.head, checked.signed_seq)
    assert found is not None
    assert named(found) == ("truncated", 28, 25)


def test_j9_an_anchor_that_names_another_entry_is_a_fork() -> None:
    chain = a_chain()
    checked = chain.checked()
    found = check_anchor(chain.owner(), Head(12, "ab" * 32), chain.data(12), checked.head, checked.signed_seq)
    assert found is not None
    assert named(found) == ("forked", 12, 11)
    assert check_anchor(chain.owner(), Head(12, digest(chain.data(12))), chain.data(12), checked.head, 25) is None


def test_j4_a_tail_sealed_again_without_the_key_is_found_by_its_signature() -> None:
    chain = a_chain(12)
    forged = a_chain(11).add(scanned(99, "Oxfilé"))
    forged.add(*map(scanned, range(13, 31)))
    forged.signatures = a_chain().signatures
    assert named(forged.finding()) == ("signature", 15, 10)
    assert chain.checked().finding is None


def test_j4_a_tail_signed_with_another_key_is_found() -> None:
    chain = a_chain(12)
    chain.signer = THIEF
    chain.add(scanned(13), sign=True).add(scanned(14), sign=True)
    assert named(chain.finding()) == ("signature", 13, 10)


def test_j4_a_signature_that_alone_was_changed_leaves_the_entries_whole() -> None:
    chain = a_chain()
    chain.signatures[2] = (15, bytes(64))
    assert named(chain.finding()) == ("signature", 15, 10)
    assert "whole" in chain.finding().why


def test_j4_a_journal_verified_with_the_wrong_key_is_refused_from_its_first_signature() -> None:
    chain = a_chain()
    owner = Owner("K3", 1, "machine a", THIEF.public)
    assert named(chain.finding(owner)) == ("signature", 1, 0)


def test_j2_a_bad_number_in_the_right_place_is_named() -> None:
    chain = a_chain(12)
    chain.head = Head(99, chain.head.digest)
    chain.add(scanned(13))
    chain.rows[-1] = (13, chain.rows[-1][1])
    assert named(chain.finding()) == ("number", 13, 10)


@pytest.mark.parametrize("place", [0, -4, "twelve", None, 2.5])
def test_j2_a_place_that_is_no_number_is_named(place: object) -> None:
    chain = a_chain()
    chain.rows.insert(0, (place, chain.data(12)))
    assert chain.finding(owner_of(chain.data(1))).kind == "number"


def test_j9_an_entry_from_the_future_is_named_even_if_its_envelope_is_new() -> None:
    assert named(a_chain().edit(13, b'{"v":1', b'{"v":2').finding()) == ("future", 13, 10)
    assert named(a_chain().put(13, b'{"v":9,"all":"new"}').finding()) == ("future", 13, 10)


HOSTILE = [
    b"",
    b"\x00\xff",
    b"[]",
    b'{"v":1}',
    b'{"v":1,"till":"\xff"}',
    b"[" * 100_000,
    b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"v":1e400}',
    b'{"v":' + b"9" * 5000 + b"}",
]


@pytest.mark.parametrize("data", HOSTILE)
def test_j7_bytes_that_are_no_entry_are_unreadable(data: bytes) -> None:
    assert named(a_chain().put(13, data).finding()) == ("unreadable", 13, 10)


def test_j7_an_entry_too_large_to_read_is_named() -> None:
    assert named(a_chain().put(13, None).finding()) == ("unreadable", 13, 10)
    large = a_chain().data(13)[:-1] + b" " * (1 << 20) + b"}"
    assert named(a_chain().put(13, large).finding()) == ("unreadable", 13, 10)


def test_j9_a_file_that_cannot_be_read_further_is_named() -> None:
    chain = a_chain()
    chain.rows[12:] = [(None, None)]
    assert named(chain.finding()) == ("unreadable", 13, 10)


def test_j9_a_journal_states_its_key_or_opens_nothing() -> None:
    assert owner_of(a_chain().data(1)) == Owner("K3", 1, "machine a", SIGNER.public)
    assert owner_of(a_chain().data(2)) is None
    assert owner_of(None) is None
    assert owner_of(HOSTILE[5]) is None


def test_j3_unknown_fields_and_unknown_kinds_are_no_fault() -> None:
    chain = Chain().add(opened(), sign=True)
    data = chain.data(1).replace(b'"body":{', b'"body":{"colour":"blue",').replace(b'"kind"', b'"more":1,"kind"')
    stranger = Chain(rows=[(1, data)], head=Head(1, digest(data)))
    stranger.sign()
    stranger.add(started())
    later = stranger.data(2).replace(b"till_started", b"till_sang")
    stranger.put(2, later).head = Head(2, digest(later))
    stranger.add(scanned(1), sign=True)
    assert stranger.checked().finding is None


# ---------------------------------------------------------------- ranges


def in_ranges(chain: Chain, size: int) -> list[Checked]:
    """Judge a chain as the processes do: each range on its own, begun on the entry before it."""
    last = len(chain.rows)
    parts = []
    for first in range(1, last + 1, size):
        start = Head(first - 1, digest(chain.data(first - 1))) if first > 1 else None
        rows = iter([row for row in chain.rows if isinstance(row[0], int) and row[0] >= first])
        rows_from_seam = iter([row for row in chain.rows if isinstance(row[0], int) and row[0] >= first - 1])
        if first > 1:
            next(rows_from_seam)
            rows = rows_from_seam
        marks = iter([mark for mark in chain.signatures if mark[0] >= first])
        signed = max([mark for mark, _ in chain.signatures if mark < first], default=0)
        end = None if first + size > last else first + size - 1
        parts.append(check(rows, marks, chain.owner(), start, end, signed))
        if parts[-1].finding:
            break
    return parts


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_j9_ranges_find_what_one_walk_finds(data: st.DataObject) -> None:
    chain = a_chain()
    seq = data.draw(st.integers(2, 29))
    deed = data.draw(st.sampled_from(["whole", "change", "swap", "repeat", "signature"]))
    if deed == "change":
        chain.put(seq, chain.data(seq).replace(b'"body":{', b'"body":{"x":1,'))
    elif deed == "swap":
        one, other = chain.data(seq), chain.data(seq + 1)
        chain.put(seq, other).put(seq + 1, one)
    elif deed == "repeat":
        chain.rows.insert(seq, chain.rows[seq - 1])
    elif deed == "signature":
        chain.signatures[2] = (15, bytes(64))
    parts = in_ranges(chain, data.draw(st.integers(1, 31)))
    assert parts[-1].finding == chain.checked().finding


@settings(max_examples=300, deadline=None)
@given(seq=st.integers(1, 30), at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_j9_any_flipped_bit_is_found_where_it_is(seq: int, at: int, bit: int) -> None:
    chain = a_chain().add(scanned(31), sign=True)
    owner = chain.owner()
    data = bytearray(chain.data(seq))
    data[at % len(data)] ^= 1 << bit
    chain.put(seq, bytes(data))
    assert chain.finding(owner).seq == seq


class Counting:
    def __init__(self) -> None:
        self.kinds: list[str] = []

    def see(self, entry: Entry) -> None:
        self.kinds.append(entry.kind)

    def report(self) -> object:
        return self.kinds


def test_an_extra_check_sees_every_entry_once() -> None:
    chain = a_chain()
    checked = check(iter(chain.rows), iter(chain.signatures), chain.owner(), extra=Counting())
    assert checked.extra == ["epoch_opened", "till_started", *["line_added"] * 28]
    assert NOON % 1000 == 0
