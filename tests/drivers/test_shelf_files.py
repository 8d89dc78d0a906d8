"""A shelf of journal files: what was acknowledged is there after any restart, forks and failed disks included."""

from __future__ import annotations

from pathlib import Path

import pytest

from oppet.base.errors import UnavailableError
from oppet.base.signing import Signer
from oppet.drivers.faulty_disk import FaultyDisk
from oppet.drivers.journal_file import JournalFile
from oppet.drivers.journal_reader import JournalReader
from oppet.drivers.shelf_files import FileShelf
from oppet.journal.entry import Head
from oppet.sync.certificates import Directory, StoreCertificate, TillCertificate, make_paper
from oppet.sync.keeper import Keeper
from oppet.sync.sender import Sender
from tests.sync.chain import HQ, MANAGER, NODE, WHEN, Bench, FakeClock, History, a_directory


class Desk:
    """A keeper over a folder, and what it alarmed about."""

    def __init__(self, folder: Path, directory: Directory | None = None, **more: object) -> None:
        self.alarms: list[tuple[str, dict[str, object]]] = []
        self.directory = directory or a_directory()

        def alarm(about: str, **facts: object) -> None:
            self.alarms.append((about, facts))

        clock = FakeClock()
        self.shelf = FileShelf(folder, self.directory.standing, clock, alarm, **more)  # type: ignore[arg-type]
        self.keeper = Keeper("S01-node", NODE, self.shelf, self.directory.standing, clock, alarm)

    def send(self, history: History) -> Sender:
        """Everything of a history, as a sender does it."""
        sender = Sender(history, "S01-node", NODE.public)
        pass_on(sender, self.keeper)
        return sender


def pass_on(sender: Sender, keeper: Keeper) -> None:
    for now in range(1, 20):
        batch = sender.ask(now)
        if batch is None:
            return
        sender.answered(keeper.receive(batch), now)


def test_k1_what_was_acknowledged_is_an_ordinary_journal_file(tmp_path: Path) -> None:
    desk, history = Desk(tmp_path), History()
    history.write(5)
    sender = desk.send(history)
    assert sender.kept == history.head
    desk.shelf.close()
    with JournalReader(tmp_path / "S01-K1.1.journal") as reader:
        assert [data for _, data in reader.rows()] == history.entries


def test_k1_a_restart_knows_heads_moments_and_what_the_till_said_last(tmp_path: Path) -> None:
    desk, history = Desk(tmp_path), History()
    history.write(3)
    desk.send(history)
    desk.shelf.close()
    again = Desk(tmp_path)
    (listed,) = again.shelf.streams()
    assert (listed.till, listed.epoch, listed.branch, listed.head) == ("S01-K1", 1, "", history.head)
    assert listed.last_time == WHEN
    assert listed.as_of == history.as_of()
    assert [entry.seq for entry in again.shelf.read("S01-K1", 1, first=2)] == [2, 3]
    assert again.shelf.first_at("S01-K1", 1, "", "2026") == 1
    assert again.shelf.first_at("S01-K1", 1, "", "2027") == 4
    again.shelf.close()


def test_k5_a_fork_has_a_file_of_its_own_and_is_relayed_whole(tmp_path: Path) -> None:
    desk, first = Desk(tmp_path / "node"), History()
    first.write(4)
    clone = first.branch_off(2)
    first.write(3)
    clone.write(3)
    desk.send(first)
    desk.send(clone)
    branch = clone.heads[3].digest
    assert [about for about, _ in desk.alarms] == ["fork"]
    assert (tmp_path / "node" / f"S01-K1.1.{branch[:16]}.journal").exists()
    desk.shelf.close()

    desk = Desk(tmp_path / "node")
    assert [one.head for one in desk.shelf.streams()] == [first.head, clone.head]
    above = Bench()
    for name in ("", branch):
        sender = Sender(desk.shelf.source("S01-K1", 1, name), "S01-node", NODE.public)
        pass_on(sender, above.keeper)
        assert sender.behind == 0
    assert above.shelf.entries("S01-K1") == first.entries
    assert above.shelf.entries("S01-K1", branch=branch) == clone.entries[2:]
    assert [entry.seq for entry in desk.shelf.read("S01-K1", 1, branch)] == [1, 2, 3, 4, 5]
    desk.shelf.close()


def test_k5_a_fork_inside_a_signed_group_is_relayed_too(tmp_path: Path) -> None:
    desk, first = Desk(tmp_path), History()
    first.write(6)  # signed at 6 alone
    clone = first.branch_off(2)
    clone.write(2)
    desk.send(first)
    desk.send(clone)
    sender = Sender(desk.shelf.source("S01-K1", 1, clone.heads[3].digest), "S01-node", NODE.public)
    above = Bench()
    pass_on(sender, above.keeper)
    assert above.shelf.entries("S01-K1") == clone.entries
    desk.shelf.close()


def test_k2_only_so_many_files_are_open_at_once(tmp_path: Path) -> None:
    directory = Directory(HQ.public)
    directory.add(make_paper(StoreCertificate("S01", "x", "y", MANAGER.public.hex(), NODE.public.hex(), WHEN), HQ))
    histories = []
    for number in range(1, 7):
        signer = Signer(bytes([100 + number]) * 32)
        certificate = TillCertificate(f"S01-K{number}", 1, "S01", f"K{number}", signer.public.hex(), WHEN)
        directory.add(make_paper(certificate, MANAGER, HQ))
        histories.append(History(f"S01-K{number}", 1, signer))
    desk = Desk(tmp_path, directory, most_open=2)
    for _ in range(3):
        for history in histories:
            history.write(2)
            assert desk.send(history).kept == history.head
        assert len(desk.shelf._open) <= 2
    assert [one.head.seq for one in desk.shelf.streams()] == [6] * 6
    assert desk.alarms == []
    desk.shelf.close()


def test_k1_a_failed_disk_acknowledges_nothing_and_goes_on_when_it_is_well(tmp_path: Path) -> None:
    disk = FaultyDisk(seed=7)
    desk, history = Desk(tmp_path, vfs=disk.vfs_name), History()
    history.write(3)
    desk.send(history)
    disk.full_after(0)
    history.write(2_000)
    with pytest.raises(UnavailableError):
        desk.keeper.receive(history.batch(3, 2_003))
    disk.full_after(None)
    sender = desk.send(history)
    assert sender.kept == history.head
    assert desk.alarms == []
    desk.shelf.close()


def test_k1_a_failing_sync_is_believed_only_after_reading_again(tmp_path: Path) -> None:
    for sync in range(1, 12):
        disk = FaultyDisk(seed=sync)
        folder = tmp_path / str(sync)
        desk, history = Desk(folder, vfs=disk.vfs_name), History()
        disk.fail_sync_at(sync)
        kept = Head(0, "")
        for _ in range(8):
            history.write(2)
            try:
                kept = desk.send(history).kept or kept
            except UnavailableError:
                continue
        assert kept == history.head
        assert list(desk.shelf.source("S01-K1", 1).pieces(1, 100, 1 << 20)) == history.entries
        desk.shelf.close()


def test_k1_a_shelf_that_cannot_be_read_now_lets_go_of_its_files(tmp_path: Path) -> None:
    """Whoever tries again in the same process must not find the files locked by the attempt before."""
    for till in ("S01-K1", "S01-K2"):
        JournalFile.create(tmp_path / f"{till}.1.journal", till, 1).close()
    in_use = JournalFile.open(tmp_path / "S01-K2.1.journal")
    with pytest.raises(UnavailableError):
        Desk(tmp_path)
    in_use.close()
    Desk(tmp_path).shelf.close()


def test_k12_a_damaged_file_is_set_aside_and_the_till_sends_again(tmp_path: Path) -> None:
    desk, history = Desk(tmp_path), History()
    history.write(50)
    desk.send(history)
    desk.shelf.close()
    for path in tmp_path.glob("S01-K1.1.journal*"):
        data = path.read_bytes()
        path.write_bytes(data.replace(b'"by":101', b'"by":301'))
    desk = Desk(tmp_path)
    assert [about for about, _ in desk.alarms] == ["kept journal damaged"]
    assert desk.shelf.damaged == ["S01-K1.1.journal.damaged1"]
    assert (tmp_path / "S01-K1.1.journal.damaged1").exists()
    assert desk.send(history).kept == history.head
    desk.shelf.close()


def test_k1_what_stands_half_begun_after_a_power_cut_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "S01-K1.1.journal").write_bytes(b"")
    desk, history = Desk(tmp_path), History()
    assert desk.shelf.streams() == []
    history.write(1)
    assert desk.send(history).kept == history.head
    desk.shelf.close()


def test_j11_a_view_of_a_kept_history_is_found_again_until_the_history_is_another(tmp_path: Path) -> None:
    desk, history = Desk(tmp_path), History()
    history.write(4)
    desk.send(history)
    desk.shelf.save_view("S01-K1", 1, "", "lanes", 3, b"three")
    desk.shelf.close()
    desk = Desk(tmp_path)
    assert desk.shelf.load_view("S01-K1", 1, "", "lanes") == (3, b"three")
    assert desk.shelf.load_view("S01-K1", 1, "", "other") is None
    desk.shelf.close()


def test_r20_who_watches_hears_what_grew_after_it_is_durable(tmp_path: Path) -> None:
    desk, history = Desk(tmp_path), History()
    grown: list[tuple[str, int, str]] = []
    desk.shelf.watch(lambda *place: grown.append(place))
    history.write(1)
    desk.send(history)
    desk.send(history)
    assert grown == [("S01-K1", 1, "")]
    desk.shelf.close()
