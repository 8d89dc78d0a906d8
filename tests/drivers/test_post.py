"""A post's journal: signed at every write, in one piece after a bad disk, and never begun again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from oppet.base.signing import Verifier
from oppet.drivers.journal_reader import verify_file
from oppet.drivers.post import Post
from oppet.journal.entry import body_of, signed_bytes
from oppet.journal.errors import JournalInUseError
from oppet.journal.kinds import AlarmRaised, PageRead, PostOpened
from oppet.sync.certificates import TillCertificate, make_paper
from oppet.sync.sender import Sender
from tests.sync.chain import HQ, MANAGER, NODE, WHEN, Bench, FakeClock


def a_post(folder: Path) -> Post:
    return Post.open(folder, "S01-node", "store", "S01", FakeClock(), "machine-1")


def read(number: int) -> PageRead:
    return PageRead(301, "5e55", f"/day?n={number}")


def test_o1_what_write_returned_from_is_signed_and_on_the_disk(tmp_path: Path) -> None:
    with a_post(tmp_path) as post:
        assert post.write(read(1), read(2)) == 3
        assert post.journal.signed_seq == 3
        assert (post.name, post.epoch) == ("S01-node", 1)
        opened = body_of(next(post.journal.read()))
        assert isinstance(opened, PostOpened)
        assert (opened.place, opened.store, opened.public_key) == ("store", "S01", post.signer.public.hex())
    assert verify_file(tmp_path / "S01-node-0001.journal").finding is None
    with a_post(tmp_path) as post:
        assert (post.epoch, post.journal.head.seq) == (1, 3)


def test_j5_a_second_process_is_refused(tmp_path: Path) -> None:
    with a_post(tmp_path), pytest.raises(JournalInUseError):
        a_post(tmp_path)


def test_j1_threads_write_one_chain(tmp_path: Path) -> None:
    with a_post(tmp_path) as post:
        with ThreadPoolExecutor(8) as pool:
            seqs = list(pool.map(lambda number: post.write(read(number)), range(60)))
        assert post.journal.head.seq == 61
        assert len(seqs) == 60
    assert verify_file(tmp_path / "S01-node-0001.journal").finding is None


@pytest.mark.parametrize("gone", ["key", "journal"])
def test_o9_a_lost_key_or_journal_begins_a_new_epoch_and_says_so(tmp_path: Path, gone: str) -> None:
    a_post(tmp_path).close()
    (tmp_path / f"S01-node-0001.{gone}").unlink()
    with a_post(tmp_path) as post:
        assert post.epoch == 2
        said = [body_of(entry) for entry in post.journal.read()]
        assert isinstance(said[0], PostOpened)
        assert isinstance(said[1], AlarmRaised)
        assert said[1].about == "audit_journal_lost"


def test_o9_a_damaged_journal_is_left_as_evidence(tmp_path: Path) -> None:
    a_post(tmp_path).close()
    old = tmp_path / "S01-node-0001.journal"
    old.write_bytes(b"not a journal" * 100)
    with a_post(tmp_path) as post:
        assert post.epoch == 2
    assert old.read_bytes().startswith(b"not a journal")


def test_o1_after_a_failed_disk_the_next_write_reads_the_disk_again(tmp_path: Path) -> None:
    with a_post(tmp_path) as post:
        post.write(read(1))
        post.journal.broken = True  # as a failed fsync leaves it
        assert post.write(read(2)) == 3
        assert post.well()
    assert verify_file(tmp_path / "S01-node-0001.journal").finding is None


def test_k11_a_post_is_kept_by_an_ordinary_keeper(tmp_path: Path) -> None:
    bench = Bench()
    with a_post(tmp_path) as post:
        bench.directory.add(
            make_paper(TillCertificate("S01-node", 1, "S01", "node", post.signer.public.hex(), WHEN), MANAGER, HQ)
        )
        post.write(read(1))
        sender = Sender(post.source(), "S01-node", NODE.public)
        for now in (1, 2):
            batch = sender.ask(now)
            assert batch is not None
            sender.answered(bench.receive(batch), now)
        assert sender.kept == post.journal.head
        assert len(bench.shelf.entries("S01-node")) == 2
        last, signature = post.source().signature(1, 2) or (0, b"")
        assert Verifier(post.signer.public).good(signature, signed_bytes("S01-node", 1, post.journal.head))
        assert last == 2
