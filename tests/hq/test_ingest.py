"""What goes wrong between till and head office, and the counts at head office all the same: to the öre, each entry once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

import psycopg
import pytest

from oppet.base.errors import UnavailableError
from oppet.drivers.hq_schema import DatabaseAwayError
from oppet.drivers.shelf_pg import stream_id_of
from oppet.sync.certificates import Directory, StoreCertificate, TillCertificate, make_paper
from oppet.sync.messages import Answer, decode_batch, encode_batch
from tests.hq.sold import Office, a_day, clear, dump, one, renamed
from tests.sync.chain import HQ, MANAGER, NODE, History


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> History:
    return a_day(tmp_path_factory.mktemp("till"), sales=40)


@pytest.fixture(scope="module")
def truth(dsn: str, day: History) -> dict[str, list[tuple[object, ...]]]:
    """What head office says when nothing goes wrong."""
    clear(dsn)
    office = Office(dsn)
    office.take(day)
    office.close()
    return dump(dsn)


class Line:
    """One sender: it knows only what was answered, and now and then it is not."""

    def __init__(self, office: Office, day: History, seed: int) -> None:
        self.office, self.day, self.rng = office, day, Random(seed)
        self.kept = self.rounds = self.lost = 0

    def round(self) -> None:
        self.rounds += 1
        day, rng = self.day, self.rng
        first = rng.randrange(max(0, self.kept - 30), self.kept + 1)  # it may believe less than is there
        last = min(day.head.seq, first + rng.randrange(1, 40))
        batch = decode_batch(
            encode_batch(day.batch(first, last, marks=((first, day.digest_at(first)),) if first else ()))
        )
        try:
            answer = self.office.keeper.receive(batch)
        except UnavailableError:
            return
        if rng.random() < 0.4:
            self.lost += 1  # the reply is lost behind the commit
            return
        self.heard(answer)

    def heard(self, answer: Answer) -> None:
        assert answer.ack is not None
        if answer.ack.branch == "":
            assert answer.ack.digest == self.day.digest_at(answer.ack.seq)
            self.kept = answer.ack.seq


def many_rounds(dsn: str, day: History, rounds: int, disturb: Callable[[int], None] = lambda _: None) -> None:
    """Two senders of the same till at once, until it is all there; then again from the start."""
    offices = [Office(dsn), Office(dsn)]
    lines = [Line(office, day, seed) for seed, office in enumerate(offices)]
    troubles: list[BaseException] = []

    def work(line: Line) -> None:
        try:
            while line.rounds < rounds // 2:
                line.round()
                if line.kept == day.head.seq:
                    line.kept = 0  # it was told to ask again from the start
        except BaseException as error:  # noqa: BLE001 - told to the test
            troubles.append(error)

    works = [threading.Thread(target=work, args=(line,)) for line in lines]
    for thread in works:
        thread.start()
    turn = 0
    while any(thread.is_alive() for thread in works):
        works[0].join(0.05)
        disturb(turn)
        turn += 1
    for thread in works:
        thread.join()
    assert troubles == []
    assert sum(line.lost for line in lines) > rounds // 10
    assert all(office.alarms == [] for office in offices), "a repeat is no fork"
    for office in offices:
        office.close()
    last = Office(dsn)  # its connection was never cut
    last.take(day)
    last.close()


def test_r01_two_senders_and_lost_replies_count_each_entry_once(
    dsn: str, day: History, truth: dict[str, list[tuple[object, ...]]]
) -> None:
    clear(dsn)
    many_rounds(dsn, day, 300)
    assert dump(dsn) == truth
    assert one(dsn, "SELECT sum(last_seq - first_seq + 1), max(last_seq) FROM chunk") == (day.head.seq, day.head.seq)


def test_r01_connections_cut_in_the_middle_cost_nothing_but_another_try(
    dsn: str, day: History, truth: dict[str, list[tuple[object, ...]]]
) -> None:
    clear(dsn)

    def cut(_: int) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'oppet ingest'"
            )

    many_rounds(dsn, day, 200, cut)
    assert dump(dsn) == truth


@pytest.mark.long
def test_r01_ten_thousand_rounds_of_two_senders_and_lost_replies(
    dsn: str, day: History, truth: dict[str, list[tuple[object, ...]]]
) -> None:
    clear(dsn)
    many_rounds(dsn, day, 10_000)
    assert dump(dsn) == truth


def test_r10_many_tills_at_once_never_wait_for_each_other(dsn: str, day: History) -> None:
    clear(dsn)
    office = Office(dsn)
    tills = [renamed(day.entries, f"S07-K{number}", 1) for number in range(6)]
    cuts = list(range(25, day.head.seq, 25))
    with psycopg.connect(dsn) as other:
        office.keeper.receive(tills[0].batch(0, 10))
        other.execute(
            "SELECT FROM stream WHERE till = 'S07-K0' FOR UPDATE"
        )  # a till that hangs in the middle of its batch
        works = [threading.Thread(target=office.take, args=(till, cuts)) for till in tills[1:]]
        for work in works:
            work.start()
        for work in works:
            work.join(60)
        assert not any(work.is_alive() for work in works)
    office.take(tills[0], cuts)
    totals = "SELECT sum(total_ore) AS total FROM receipt GROUP BY stream_id"
    assert one(dsn, f"SELECT count(*), count(DISTINCT total) FROM ({totals}) AS t") == (6, 1)
    office.close()


def test_r20_a_database_that_is_away_is_said_and_comes_back_by_itself(dsn: str, day: History) -> None:
    clear(dsn)
    nowhere = Office("host=/nowhere/at/all dbname=none connect_timeout=1")
    with pytest.raises(DatabaseAwayError):
        nowhere.keeper.receive(day.batch(0, 20))
    nowhere.close()


def test_k9_a_store_renamed_or_closed_keeps_its_number_and_what_comes_late_counts(dsn: str, day: History) -> None:
    clear(dsn)
    directory = Directory(HQ.public)
    keys = MANAGER.public.hex(), NODE.public.hex()
    when = [f"2026-11-{day_of:02d}T06:00:00.000Z" for day_of in (1, 20, 22)]
    directory.add(make_paper(StoreCertificate("S01", "Storgatan", "Nära", *keys, when[0]), HQ))
    directory.add(
        make_paper(TillCertificate(day.till, 1, "S01", "K3-1", day.signer.public.hex(), when[0]), MANAGER, HQ)
    )
    office = Office(dsn)
    office.knows = directory.standing  # type: ignore[method-assign]
    office.keeper._known = directory.standing
    office.keeper.receive(day.batch(0, 50))
    directory.add(make_paper(StoreCertificate("S01", "Torget 1", "Torget", *keys, when[1]), HQ))
    office.keeper.receive(day.batch(50, 100))
    directory.add(make_paper(StoreCertificate("S01", "Torget 1", "Torget", *keys, when[2], closed=True), HQ))
    office.keeper.receive(day.batch(100, day.head.seq))
    assert one(dsn, "SELECT count(*), max(head_seq), max(store_id) FROM stream") == (1, day.head.seq, "S01")
    office.close()


def test_k5_the_number_of_a_history_is_worked_out_and_never_handed_out() -> None:
    assert stream_id_of("S01-K1", 1, "") == stream_id_of("S01-K1", 1, "")
    assert len({stream_id_of(f"S{store:03d}-K{till}", 1, "") for store in range(400) for till in range(10)}) == 4_000
    assert -(1 << 63) <= stream_id_of("S01-K1", 1, "") < 1 << 63


def test_k4_a_batch_of_nothing_changes_nothing_and_says_where_to_go_on(dsn: str, day: History, tmp_path: Path) -> None:
    clear(dsn)
    office = Office(dsn)
    assert office.keeper.receive(day.batch(0, 0)).ack.seq == 0  # type: ignore[union-attr]
    office.keeper.receive(day.batch(0, 30))
    before = dump(dsn)
    answer = office.keeper.receive(day.batch(200, 220, marks=((200, day.digest_at(200)), (10, day.digest_at(10)))))
    assert (answer.status, answer.ack.seq) == ("behind", 10)  # type: ignore[union-attr]
    assert dump(dsn) == before
    office.close()
