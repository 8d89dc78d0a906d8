"""A keeper takes what is signed and joins, once; a second history is kept beside the first."""

from __future__ import annotations

import random
from contextlib import suppress
from itertools import count

import msgspec
import pytest
import zstandard

from oppet.base.signing import Verifier
from oppet.journal.entry import Head
from oppet.sync.errors import BatchMalformedError, ForgedBatchError, PackedBombError
from oppet.sync.keeper import Keeper
from oppet.sync.messages import LARGEST_PLAIN, Batch, Proof, ack_bytes, decode_batch, encode_batch
from oppet.sync.sender import News, Sender
from tests.sync.chain import NODE, OTHER, Bench, History

COUNTER = count(60_000, 60_000)  # a minute a round


def test_k1_an_acknowledgement_is_signed_over_what_is_kept() -> None:
    bench, till = Bench(), History()
    till.write(5)
    answer = bench.receive(till.batch(0, 5))
    assert answer.status == "kept"
    ack = answer.ack
    assert ack is not None
    assert (ack.seq, ack.digest, ack.branch) == (5, till.head.digest, "")
    assert Verifier(NODE.public).good(bytes.fromhex(ack.signature), ack_bytes(ack))
    assert bench.shelf.entries("S01-K1") == till.entries


def test_k3_what_does_not_join_waits_at_its_sender() -> None:
    bench, till = Bench(), History()
    till.write(9)
    bench.receive(till.batch(0, 3))
    answer = bench.receive(till.batch(5, 9, marks=((4, till.digest_at(4)), (2, till.digest_at(2)))))
    assert answer.status == "behind"
    assert answer.ack is not None
    assert answer.ack.seq == 2
    assert bench.alarms == []
    assert bench.shelf.entries("S01-K1") == till.entries[:3]


def test_k4_r01_the_same_batch_twice_or_overlapping_is_kept_once() -> None:
    bench, till = Bench(), History()
    till.write(9)
    for first, last in ((0, 3), (0, 3), (1, 5), (0, 9), (4, 6)):
        answer = bench.receive(till.batch(first, last))
        assert answer.status == "kept"
        assert answer.ack is not None
        assert answer.ack.seq == last
    assert bench.shelf.entries("S01-K1") == till.entries
    assert bench.alarms == []


def test_k5_r11_a_cloned_disk_is_a_branch_of_its_own_and_nothing_waits() -> None:
    bench, till = Bench(), History()
    till.write(4)
    clone = till.branch_off(4)
    till.write(3)
    clone.write(2)
    bench.receive(till.batch(0, 7))
    first = clone.digest_at(5)
    answer = bench.receive(clone.batch(4, 6))
    assert answer.ack is not None
    assert (answer.status, answer.ack.branch, answer.ack.seq) == ("kept", first, 6)
    assert bench.alarms == [("fork", {"till": "S01-K1", "epoch": 1, "seq": 5, "branch": first})]
    clone.write(2)
    till.write(1)
    assert bench.receive(clone.batch(0, 8)).ack.branch == first
    assert bench.receive(till.batch(7, 8)).ack.branch == ""
    assert bench.shelf.entries("S01-K1") == till.entries
    assert bench.shelf.entries("S01-K1", branch=first) == clone.entries[4:]
    assert len(bench.alarms) == 1


@pytest.mark.parametrize("harm", ["key", "byte", "order", "till", "cut", "last"])
def test_k6_nothing_unsigned_is_kept(harm: str) -> None:
    bench, till = Bench(), History()
    till.write(6)
    if harm == "key":
        till.signer = OTHER
    if harm == "byte":
        till.entries[2] = till.entries[2].replace(b'"2"', b'"3"')
    if harm == "order":
        till.entries[2:4] = till.entries[3:1:-1]
    if harm == "till":
        till.till = "S01-K2"
    if harm == "cut":
        till.entries[5] = till.entries[5][:-1]
    batch = till.batch(0, 6)
    if harm == "last":
        batch = msgspec.structs.replace(batch, last=(6, "0" * 64))
    with pytest.raises(ForgedBatchError):
        bench.receive(batch)
    assert bench.shelf.kept == {}


def test_k2_a_packed_bomb_is_not_unpacked() -> None:
    bench, till = Bench(), History()
    till.write(1)
    bomb = zstandard.ZstdCompressor().compress(b"0" * (LARGEST_PLAIN + 1))
    with pytest.raises(PackedBombError):
        bench.receive(msgspec.structs.replace(till.batch(0, 1), packed=bomb))


def test_k2_a_torn_batch_is_refused_without_an_alarm() -> None:
    till = History()
    till.write(50)
    data = encode_batch(till.batch(0, 50))
    bench = Bench()
    for cut in range(0, len(data), 7):
        with pytest.raises(BatchMalformedError):
            bench.keeper.receive(decode_batch(data[:cut]))
    chance = random.Random(7)
    for _ in range(300):
        torn = bytearray(data)
        torn[chance.randrange(len(torn))] ^= 1 << chance.randrange(8)
        with suppress(BatchMalformedError, ForgedBatchError, PackedBombError):
            bench.keeper.receive(decode_batch(bytes(torn)))
    assert bench.alarms == []


def test_a_stranger_is_asked_for_its_certificate() -> None:
    bench, till = Bench(), History(till="S09-K1")
    till.write(1)
    assert bench.receive(till.batch(0, 1)).status == "stranger"


def drive(sender: Sender, keeper: Keeper, chance: random.Random, loss: float) -> list[News]:
    """Ask until nothing is left; batches and answers get lost."""
    news = []
    for _ in range(10_000):
        now = next(COUNTER)
        batch: Batch | None = sender.ask(now)
        if batch is None or (not batch.count and sender.kept == sender.source.head):
            break
        if chance.random() < loss:
            sender.failed(now, chance.randrange(1000))
            continue
        answer = keeper.receive(decode_batch(encode_batch(batch)))
        if chance.random() < loss:
            sender.failed(now, chance.randrange(1000), smaller=True)
            continue
        news.append(sender.answered(answer, now))
    return news


@pytest.mark.parametrize("seed", range(20))
def test_k4_k12_two_senders_lost_replies_and_a_rebuilt_keeper_end_with_the_same_history(seed: int) -> None:
    chance = random.Random(seed)
    bench, till = Bench(), History()
    senders = [Sender(till, "S01-node", NODE.public), Sender(till, "S01-node", NODE.public)]
    for _ in range(8):
        till.write(chance.randrange(1, 40))
        if chance.random() < 0.2:
            bench.shelf.kept.clear()  # a rebuilt keeper knows nothing, or what an old copy of its disk knew
        for sender in senders:
            drive(sender, bench.keeper, chance, 0.4)
            assert sender.kept == till.head
    assert bench.shelf.entries("S01-K1") == till.entries
    assert bench.alarms == []


@pytest.mark.parametrize("seed", range(20))
def test_k5_a_tree_of_clones_is_kept_whole(seed: int) -> None:
    chance = random.Random(seed)
    bench, first = Bench(), History()
    first.write(5)
    histories = [first]
    for _ in range(5):
        history = chance.choice(histories)
        clone = history.branch_off(chance.randrange(len(history.entries) + 1))
        clone.now += len(histories)
        clone.write(chance.randrange(1, 6))
        histories.append(clone)
    for history in histories * 2:
        history.write(chance.randrange(3))
        sender = Sender(history, "S01-node", NODE.public)
        drive(sender, bench.keeper, chance, 0.3)
        assert sender.kept == history.head
    kept = bench.shelf.kept["S01-K1", 1]
    stored = [entry for _, entries, _ in kept.values() for entry in entries]
    assert sorted(stored) == sorted({entry for history in histories for entry in history.entries})


def test_k12_a_keeper_that_lost_entries_is_news() -> None:
    bench, till = Bench(), History()
    till.write(30)
    sender = Sender(till, "S01-node", NODE.public)
    drive(sender, bench.keeper, random.Random(1), 0)
    bench.shelf.kept.clear()
    till.write(1)
    news = drive(sender, bench.keeper, random.Random(1), 0)
    assert "lost" in {item.about for item in news}
    assert sender.kept == till.head == Head(31, till.digest_at(31))


def test_r11_a_restored_disk_hears_that_the_keeper_is_ahead() -> None:
    bench, till = Bench(), History()
    till.write(10)
    old = till.branch_off(6)
    drive(Sender(till, "S01-node", NODE.public), bench.keeper, random.Random(1), 0)
    news = drive(Sender(old, "S01-node", NODE.public), bench.keeper, random.Random(1), 0)
    assert [(item.about, item.seq) for item in news] == [("ahead", 10)]


def test_k18_a_keeper_that_was_taken_over_cannot_close_a_till_by_saying_its_disk_is_old() -> None:
    bench, till = Bench(), History()
    till.write(10)
    old = till.branch_off(6)
    drive(Sender(till, "S01-node", NODE.public), bench.keeper, random.Random(1), 0)
    sender = Sender(old, "S01-node", NODE.public)
    asked = sender.ask(next(COUNTER))
    assert asked is not None
    honest = bench.receive(asked)
    assert honest.proof is not None
    forged = [
        None,
        msgspec.structs.replace(honest.proof, seq=20),
        msgspec.structs.replace(honest.proof, signature=OTHER.sign(b"").hex()),
        Proof(6, old.digest_at(6), old.signature(6, 6)[1].hex()),  # type: ignore[index]
    ]
    for proof in forged:
        lie = msgspec.structs.replace(honest, proof=proof)
        assert sender.answered(lie, next(COUNTER)).about == "claim"
    assert sender.answered(honest, next(COUNTER)).about == "ahead"


def test_k18_a_clone_whose_marks_lie_around_what_is_kept_is_shown_the_other_history() -> None:
    bench, till = Bench(), History()
    till.write(4)
    clone = till.branch_off(4)
    till.write(3)
    clone.write(16)
    bench.receive(till.batch(0, 7))
    bench.receive(clone.batch(4, 14))
    sender = Sender(clone, "S01-node", NODE.public)
    asked = sender.ask(next(COUNTER))
    assert asked is not None
    answer = bench.receive(asked)  # the marks are 20, 19, 17, 13: this branch seems to be ahead of the last of them
    assert answer.ahead == 14
    assert sender.answered(answer, next(COUNTER)).about == "forked"


def test_k18_a_clone_is_shown_the_other_history() -> None:
    bench, till = Bench(), History()
    till.write(4)
    clone = till.branch_off(3)
    clone.write(3)
    drive(Sender(till, "S01-node", NODE.public), bench.keeper, random.Random(1), 0)
    news = drive(Sender(clone, "S01-node", NODE.public), bench.keeper, random.Random(1), 0)
    assert [item.about for item in news] == ["kept", "forked"]


def test_k12_a_keeper_that_lost_nothing_never_seems_to_have_lost_something() -> None:
    """After a lost answer our history has grown: the place acknowledged before is asked for by name."""
    bench, till = Bench(), History()
    sender, now = Sender(till, "S01-node", NODE.public), 0
    for more in (1, 5, 11, 2, 23, 4):
        till.write(more)
        for _ in range(4):
            now += 60_000
            batch = sender.ask(now)
            if batch is None:
                break
            assert sender.answered(bench.receive(batch), now).about == "kept"
        now += 60_000
        till.write(6)
        batch = sender.ask(now)
        assert batch is not None
        bench.receive(batch)
        sender.failed(now, 0)  # its answer was lost
        till.write(9)


class Relayed(History):
    """A kept history: it is signed where its batches ended, and nowhere else."""

    def signature(self, first: int, last: int) -> tuple[int, bytes] | None:
        places = [seq for seq in range(first, last + 1) if seq % 50 == 0]
        return super().signature(first, places[-1]) if places else None


def test_k13_a_relay_that_was_asked_for_smaller_pieces_goes_on_to_the_next_signed_place() -> None:
    bench, till = Bench(), Relayed()
    till.write(200)
    sender = Sender(till, "S01-node", NODE.public)
    drive(sender, bench.keeper, random.Random(3), 0.2)
    till.write(100)
    for _ in range(20):
        sender.failed(next(COUNTER), 0, smaller=True)
    drive(sender, bench.keeper, random.Random(3), 0)
    assert sender.kept == till.head
