"""What head office reads back proves itself, without believing the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from oppet.base.signing import Verifier
from oppet.drivers.hq_read import HqRead, NoEntryError
from oppet.drivers.pg import Pool
from oppet.journal.entry import signed_bytes
from tests.hq.sold import NOW, Office, a_day, chained, changed, clear, envelopes
from tests.sync.chain import History


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> History:
    return a_day(tmp_path_factory.mktemp("till"), sales=8)


@pytest.fixture(scope="module")
def office(dsn: str, day: History) -> Iterator[Office]:
    clear(dsn)
    office = Office(dsn)
    office.take(day, [1, 40, 90])
    yield office
    office.close()


@pytest.fixture
def read(dsn: str) -> Iterator[HqRead]:
    pool = Pool(dsn)
    yield HqRead(pool)
    pool.close()


def test_j3_every_entry_comes_back_as_its_exact_bytes_with_its_proof(
    office: Office, read: HqRead, day: History
) -> None:
    verifier = Verifier(day.signer.public)
    for seq in range(1, day.head.seq + 1):
        entry = read.entry("S01", day.till, 1, "", seq)
        assert entry.data == day.entries[seq - 1]
        assert (entry.before, entry.digest) == (day.heads[seq - 1].digest, day.heads[seq].digest)
        assert entry.holds
        assert verifier.good(entry.signature, signed_bytes(day.till, 1, entry.signed)), "J4"
        assert entry.last_seq == day.head.seq
    for seq in (0, day.head.seq + 1):
        with pytest.raises(NoEntryError):
            read.entry("S01", day.till, 1, "", seq)
    with pytest.raises(NoEntryError):
        read.entry("S01", "S01-K9", 1, "", 1)


def test_j9_an_entry_changed_in_the_database_does_not_hold(office: Office, read: HqRead, day: History) -> None:
    entry = read.entry("S01", day.till, 1, "", 50)
    assert entry.links, "there is a way to the signed place"
    changed_links = (entry.links[0].replace(b"1", b"2"), *entry.links[1:])
    assert not type(entry)(
        **{name: getattr(entry, name) for name in entry.__struct_fields__} | {"links": changed_links}
    ).holds
    assert not type(entry)(
        **{name: getattr(entry, name) for name in entry.__struct_fields__} | {"digest": "0" * 64}
    ).holds


def test_k5_a_fork_is_read_along_its_own_history(office: Office, read: HqRead, day: History) -> None:
    said = envelopes(day)
    fork = chained([*said[:60], *({**e, "time": "2026-11-22T22:00:00.000Z"} for e in said[60:70])], day.till)
    office.take(fork)
    again = chained([*envelopes(fork)[:65], {**said[0], "time": "2026-11-22T23:00:00.000Z"}], day.till)
    office.take(again)
    name = again.heads[66].digest
    assert {s.branch for s in read.streams("S01")} == {"", fork.heads[61].digest, name}
    for seq in range(1, 67):
        entry = read.entry("S01", day.till, 1, name, seq)
        assert entry.data == again.entries[seq - 1]
        assert entry.branch == ("" if seq <= 60 else fork.heads[61].digest if seq <= 65 else name)


def test_r20_each_history_says_where_it_ends_and_up_to_when_it_is_whole(
    office: Office, read: HqRead, day: History
) -> None:
    office.keeper.receive(day.batch(day.head.seq, day.head.seq, as_of=day.as_of()))
    (state,) = [state for state in read.streams() if not state.branch]
    assert (state.store, state.till, state.epoch, state.head_seq, state.as_of_seq) == (
        "S01",
        day.till,
        1,
        day.head.seq,
        day.head.seq,
    )
    assert state.as_of == datetime.fromtimestamp(NOW / 1000, UTC)
    assert read.streams("S02") == []


def test_r02_a_history_is_read_whole_and_in_order(office: Office, read: HqRead, day: History) -> None:
    (state,) = [state for state in read.streams() if not state.branch]
    entries = [raw for chunk in read.chunks("S01", state.stream_id) for raw in chunk.entries]
    assert entries == day.entries


def test_r21_what_waits_for_a_person_is_listed(office: Office, read: HqRead, day: History) -> None:
    bad = changed(day, lambda _, e: e["body"].pop("number", None) if e["body"].get("kind") == "sale" else None)
    office.take(chained(envelopes(bad), "S02-K1"))
    found = read.quarantine("S02")
    assert {(q.store, q.till, q.kind, q.reason, q.counted) for q in found} == {
        ("S02", "S02-K1", "receipt", "unreadable", "total")
    }
    assert read.quarantine("S01") == []
    opened = {"v": 1, "time": "2026-11-22T10:00:00.000Z", "kind": "case_opened",
              "body": {"case": 1, "about": "code_unknown", "sale": 4, "amount_ore": 1250}}  # fmt: skip
    settled = {**opened, "kind": "case_settled", "body": {"case": 1, "slip": 3, "amount_ore": 1250, "by": 201}}
    other = {**opened, "body": {"case": 2, "about": "clock", "sale": 0, "amount_ore": 0}}
    office.take(chained([opened], "S03-K1"))
    assert [(c.till, c.number, c.about, c.amount_ore) for c in read.open_cases("S03")] == [
        ("S03-K1", 1, "code_unknown", 1250)
    ]
    office.take(chained([opened, other, settled], "S03-K1"))
    assert [(c.till, c.number, c.about) for c in read.open_cases("S03")] == [("S03-K1", 2, "clock")]
    assert read.clashing_numbers("S03") == []
    assert read.double_returns("S03") == []
