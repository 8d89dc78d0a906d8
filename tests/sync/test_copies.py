"""What counts as a copy, and what may be wiped."""

from __future__ import annotations

import pytest

from oppet.base.signing import Signer
from oppet.sync.copies import Holding, copies_of, may_wipe
from oppet.sync.errors import ForgedAckError, UnkeptError
from oppet.sync.keeper import sign_ack
from oppet.sync.messages import Answer
from oppet.sync.sender import LONGEST_PAUSE_MS, Sender
from tests.sync.chain import NODE, NOW, WHEN, History


def test_k14_hq_is_no_copy_in_the_store() -> None:
    holdings = [Holding("S01-node", "store", 9), Holding("S01-K2", "till", 7), Holding("hq", "hq", 9)]
    assert copies_of(7, holdings) == (2, 1)
    assert copies_of(9, holdings) == (1, 1)
    assert copies_of(10, holdings) == (0, 0)


def test_k15_r06_nothing_unkept_is_wiped() -> None:
    with pytest.raises(UnkeptError) as refused:
        may_wipe("S01-K1", 1, 9, [Holding("S01-node", "store", 9), Holding("hq", "hq", 4)])
    assert (refused.value.facts["first"], refused.value.facts["last"]) == (5, 9)
    may_wipe("S01-K1", 1, 9, [Holding("hq", "hq", 9)])


@pytest.mark.parametrize("harm", ["key", "digest", "till", "keeper", "seq"])
def test_k11_only_a_signed_acknowledgement_of_our_own_digest_counts(harm: str) -> None:
    till = History()
    till.write(3)
    sender = Sender(till, "S01-node", NODE.public)
    batch = sender.ask(NOW)
    assert batch is not None
    head = till.branch_off(2).heads[2] if harm != "digest" else till.heads[1]
    said = History(till="S01-K2").batch(0, 0) if harm == "till" else batch
    signer = Signer(bytes([9]) * 32) if harm == "key" else NODE
    if harm == "digest":
        head = type(head)(2, head.digest)
    if harm == "seq":
        head = type(head)(4, "0" * 64)
    ack = sign_ack(signer, "S01-K9" if harm == "keeper" else "S01-node", said, "", head, WHEN)
    with pytest.raises(ForgedAckError):
        sender.answered(Answer("kept", ack), NOW)
    assert sender.kept is None


def test_k13_a_silent_keeper_is_asked_ever_more_seldom() -> None:
    till = History()
    till.write(1)
    sender, now, pauses = Sender(till, "S01-node", NODE.public), NOW, []
    for _ in range(12):
        before = now
        while sender.ask(now) is None:
            now += 50
        pauses.append(now - before)
        sender.failed(now, 500)
    assert pauses[0] == 0
    assert pauses == sorted(pauses)
    assert LONGEST_PAUSE_MS / 2 <= pauses[-1] <= LONGEST_PAUSE_MS
