"""An uploader brings every history to its keeper, whatever fails on the way, and knows after a restart what is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from oppet.base.errors import OppetError
from oppet.drivers.upload import Uploader
from oppet.sync.certificates import Directory
from oppet.sync.errors import ForgedAckError
from oppet.sync.messages import Ack, KeeperInfo, Paper
from oppet.sync.sender import News, Source
from tests.drivers.keepers import hanging, served
from tests.sync.chain import HQ, NODE, OTHER, TILL, History, a_directory


class Heard:
    """A listener that remembers."""

    def __init__(self, directory: Directory | None = None) -> None:
        self.directory = directory or a_directory()
        self.news: list[News] = []
        self.alarms: list[OppetError] = []
        self.papers: list[Paper] = []
        self.shown = 0

    def papers_of(self, till: str, epoch: int) -> Sequence[Paper]:
        self.shown += 1
        return self.directory.papers_of(till, epoch)

    def papers_came(self, keeper: KeeperInfo, papers: Sequence[Paper]) -> None:
        self.papers += papers

    def heard(self, keeper: KeeperInfo, source: Source, news: News, ack: Ack | None, took_ms: int) -> None:
        self.news.append(news)

    def alarm(self, keeper: KeeperInfo, source: Source, error: OppetError) -> None:
        self.alarms.append(error)


def until(holds: Callable[[], bool], wait_s: float = 60.0) -> None:
    deadline = time.monotonic() + wait_s
    while not holds():
        assert time.monotonic() < deadline, "it came to nothing"
        time.sleep(0.01)


@contextmanager
def uploading(info: KeeperInfo, heard: Heard, *tills: History, **more: object) -> Iterator[Uploader]:
    up = Uploader(info, heard, **more)  # type: ignore[arg-type]
    try:
        for till in tills:
            up.add(till)
        yield up
    finally:
        up.close()


def test_k4_many_histories_go_over_a_bounded_number_of_threads(tmp_path: Path) -> None:
    first, second = History(), History("S01-K2", signer=OTHER)
    first.write(30)
    second.write(7)
    with served(tmp_path) as keeper, uploading(keeper.info, Heard(), first, second, threads=2) as up:
        until(lambda: (up.kept("S01-K1", 1), up.kept("S01-K2", 1)) == (30, 7))
        first.write(3)
        up.nudge("S01-K1", 1)
        until(lambda: up.kept("S01-K1", 1) == 33)
        assert keeper.shelf.entries("S01-K1") == first.entries
        assert keeper.shelf.entries("S01-K2") == second.entries
        assert all(lag.behind == 0 and lag.spoke and not lag.failures for lag in up.lags())


def test_k7_a_keeper_that_does_not_know_the_till_is_shown_its_papers(tmp_path: Path) -> None:
    till, heard = History(), Heard()
    till.write(4)
    with (
        served(tmp_path, directory=Directory(HQ.public)) as keeper,
        uploading(keeper.info, heard, till, threads=1) as up,
    ):
        until(lambda: up.kept("S01-K1", 1) == 4)
        assert heard.shown == 1
        assert heard.news[0].about == "stranger"


def test_k13_a_till_nobody_can_vouch_for_asks_seldom(tmp_path: Path) -> None:
    till, heard = History("S01-K9"), Heard()
    till.write(1)
    with served(tmp_path, directory=Directory(HQ.public)) as keeper, uploading(keeper.info, heard, till) as up:
        until(lambda: any(lag.why == "stranger" for lag in up.lags()))
        time.sleep(0.3)
        assert len(heard.news) == 1


def test_k13_r03_a_keeper_that_was_away_gets_everything_when_it_is_back(tmp_path: Path) -> None:
    till, heard = History(), Heard()
    till.write(10)
    with served(tmp_path, secure=False) as keeper:
        port = int(keeper.info.url.rpartition(":")[2])
    with uploading(keeper.info, heard, till) as up:
        until(up.away)
        assert up.kept("S01-K1", 1) is None
        till.write(5)
        with served(tmp_path, secure=False, shelf=keeper.shelf, port=port):
            up.retry()
            until(lambda: up.kept("S01-K1", 1) == 15)
        assert heard.alarms == []


def test_k12_a_keeper_that_lost_entries_gets_them_again_with_an_alarm(tmp_path: Path) -> None:
    till, heard, file = History(), Heard(), tmp_path / "kept.json"
    till.write(10)
    with served(tmp_path) as keeper, uploading(keeper.info, heard, till, remember=file) as up:
        until(lambda: up.kept("S01-K1", 1) == 10)
        keeper.shelf.kept.clear()
        till.write(1)
        up.nudge("S01-K1", 1)
        until(lambda: up.kept("S01-K1", 1) == 11)
        assert "lost" in [news.about for news in heard.news]
        assert keeper.shelf.entries("S01-K1") == till.entries


def test_k14_what_is_kept_is_known_after_a_restart_by_its_signature(tmp_path: Path) -> None:
    till, heard, file = History(), Heard(), tmp_path / "kept.json"
    till.write(6)
    with served(tmp_path) as keeper, uploading(keeper.info, heard, till, remember=file) as up:
        until(lambda: up.kept("S01-K1", 1) == 6)
    with uploading(keeper.info, heard, till, remember=file) as up:
        ack = up.ack("S01-K1", 1)
        assert ack is not None
        assert ack.seq == 6
        assert up.kept("S01-K1", 1) is None  # but the keeper has not said so in this run
    file.write_bytes(file.read_bytes().replace(ack.signature[:8].encode(), b"00000000"))
    with uploading(keeper.info, heard, till, remember=file) as up:
        assert up.lags()[0].kept == 0
    file.write_bytes(b"{")
    with uploading(keeper.info, heard, till, remember=file) as up:
        assert up.lags()[0].kept == 0


def test_k11_a_forged_acknowledgement_counts_for_nothing_and_is_alarmed(tmp_path: Path) -> None:
    till, heard = History(), Heard()
    till.write(3)
    with served(tmp_path, signer=TILL) as keeper:  # it answers in the node's name with another key
        info = KeeperInfo("S01-node", "store", keeper.info.url, NODE.public.hex(), keeper.info.tls)
        with uploading(info, heard, till) as up:
            until(lambda: bool(heard.alarms))
            assert isinstance(heard.alarms[0], ForgedAckError)
            assert up.kept("S01-K1", 1) is None
            assert up.lags()[0].kept == 0


def test_k13_a_hanging_keeper_ends_with_us(tmp_path: Path) -> None:
    till = History()
    till.write(1)
    with hanging() as info:
        up = Uploader(info, Heard(), threads=2)
        up.add(till)
        time.sleep(0.1)
        began = time.monotonic()
        up.close()
        assert time.monotonic() - began < 3
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("upload-")]


def test_r20_one_history_that_cannot_be_read_holds_up_no_other(tmp_path: Path) -> None:
    class Broken(History):
        def pieces(self, first: int, most: int, most_bytes: int) -> Sequence[bytes]:
            raise ZeroDivisionError

    broken, well = Broken(), History("S01-K2", signer=OTHER)
    broken.write(2)
    well.write(2)
    with served(tmp_path) as keeper, uploading(keeper.info, Heard(), broken, well) as up:
        until(lambda: up.kept("S01-K2", 1) == 2)
        well.write(2)
        up.nudge("S01-K2", 1)
        until(lambda: up.kept("S01-K2", 1) == 4)
        assert [lag.why for lag in up.lags() if lag.till == "S01-K1"] == ["ZeroDivisionError"]


def test_k13_while_another_way_brings_the_entries_a_keeper_is_only_asked(tmp_path: Path) -> None:
    till, lazy = History(), [True]
    till.write(5)
    with served(tmp_path) as keeper, uploading(keeper.info, Heard(), till, lazy=lambda: lazy[0]) as up:
        until(lambda: up.kept("S01-K1", 1) == 0)
        assert keeper.shelf.kept.get(("S01-K1", 1), {}) == {}
        lazy[0] = False
        until(lambda: up.kept("S01-K1", 1) == 5)


@pytest.mark.parametrize("piece", [1, 7])
def test_k3_a_long_backlog_goes_in_pieces(tmp_path: Path, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oppet.sync.sender.PIECE", piece)
    till = History()
    till.write(40)
    with served(tmp_path) as keeper, uploading(keeper.info, Heard(), till) as up:
        until(lambda: up.kept("S01-K1", 1) == 40)
        assert keeper.shelf.entries("S01-K1") == till.entries
