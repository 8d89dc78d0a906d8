"""A thousand bad moments: what append promised is there after each of them, and no number is used twice.

Every seed is one till's short life on a faulty disk: made, opened, scanning, signing, checkpointing, now and then
closed, with failing syncs and full disks on the way, until the power is cut at one counted operation. Then the disk's
survivors are opened by a healthy machine. A seed that ever failed is kept in SEEN.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from oppet.base.errors import UnavailableError, UntrustedError
from oppet.drivers import journal_sqlite
from oppet.drivers.faulty_disk import FaultyDisk, PowerCutError
from oppet.drivers.journal_file import JournalFile
from oppet.drivers.journal_reader import verify_file
from oppet.journal.entry import Head, seal
from oppet.journal.errors import (
    DiskFailedError,
    DiskFullError,
    DiskReadOnlyError,
    JournalBrokenError,
    JournalExistsError,
    NotAJournalError,
)
from oppet.journal.kinds import Body
from tests.journal.chains import NOON, SIGNER, opened, scanned, started

SHORT = 150
LONG = 1000
SEEN = [68]  # the log, not on the disk after a failed fsync, was copied into the database


class Life:
    """One till's life on one disk, and what it was promised."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.chance = random.Random(seed)
        self.disk = FaultyDisk(seed)
        self.path = folder / "before" / "k3.journal"
        self.path.parent.mkdir(parents=True)
        self.promised: dict[int, bytes] = {}
        self.attempted: dict[int, bytes] = {}  # of the one append whose end nobody knows
        self.made = False
        self.line = 0
        self.journal: JournalFile | None = None

    def live(self, steps: int) -> None:
        """Until the power goes, or for so many steps."""
        try:
            self.make()
            for _ in range(steps):
                self.step()
        except PowerCutError:
            pass
        finally:
            self.end()

    def end(self) -> None:
        self.disk.cut()
        if self.journal is not None:
            with contextlib.suppress(PowerCutError):
                self.journal.close()

    def make(self) -> None:
        while self.journal is None:
            try:
                self.journal = self.first_boot()
            except UnavailableError:
                self.disk.full_after(None)
        self.made = True
        while not self.promised:
            self.append([opened()], sign=True)
        self.append([started()], sign=False)

    def first_boot(self) -> JournalFile:
        """Make the journal, or find that an earlier try did."""
        try:
            return JournalFile.create(self.path, "K3", 1, vfs=self.disk.vfs_name)
        except JournalExistsError:
            return JournalFile.open(self.path, vfs=self.disk.vfs_name)

    def step(self) -> None:
        journal = self.journal
        assert journal is not None
        deed = self.chance.random()
        if deed < 0.05:
            journal.close()
            self.recover(journal)
        elif deed < 0.12:
            self.bravely(journal.checkpoint)
        else:
            group = self.chance.choice([1, 1, 1, 2, 5])
            self.append([self.scan() for _ in range(group)], sign=self.chance.random() < 0.4)

    def scan(self) -> Body:
        self.line += 1
        return scanned(self.line, "x" * self.chance.choice([5, 50, 3000]))

    def append(self, bodies: list[Body], *, sign: bool) -> None:
        journal = self.journal
        assert journal is not None
        head, rows = journal.head, {}
        for body in bodies:
            data, head = seal(head, "K3", 1, NOON, body)
            rows[head.seq] = data
        self.attempted = rows
        if self.bravely(lambda: journal.append(NOON, bodies, SIGNER if sign else None)):
            self.promised |= rows
            assert journal.head == head
        self.attempted = {}

    def bravely(self, deed: Callable[[], object]) -> bool:
        """Do it; where the disk fails, recover and hold the disk to what it says then."""
        assert self.journal is not None
        try:
            deed()
        except UnavailableError:
            with pytest.raises(JournalBrokenError):
                self.journal.append(NOON, [started()], None)
            self.recover(self.journal)
            return False
        return True

    def recover(self, journal: JournalFile) -> None:
        for _ in range(10):
            try:
                head = journal.recover()
            except UnavailableError:
                self.disk.full_after(None)
                continue
            break
        else:
            raise AssertionError("never well again")
        known = self.promised | self.attempted
        assert head.seq in {len(self.promised), len(known)}
        self.promised = {seq: data for seq, data in known.items() if seq <= head.seq}
        self.attempted = {}
        self.check_promises(journal)

    def check_promises(self, journal: JournalFile) -> None:
        assert {seq: journal.raw(seq) for seq in self.promised} == self.promised


def look_after(life: Life, folder: Path) -> None:
    """Open what survived on a healthy machine: all that was promised, nothing halved, and it sells on."""
    path = life.disk.survivors(life.path, folder / "after")
    if not life.made:  # whatever is left of a journal nobody was told of: made again, or there after all
        with contextlib.suppress(JournalExistsError):
            JournalFile.create(path, "K3", 1).close()
    with JournalFile.open(path) as journal:
        life.check_promises(journal)
        known = life.promised | life.attempted
        assert journal.head.seq in {len(life.promised), len(known)}
        assert [journal.raw(seq) for seq in range(1, journal.head.seq + 1)] == [
            known[seq] for seq in range(1, journal.head.seq + 1)
        ]
        if not journal.head.seq:
            journal.append(NOON, [opened()], SIGNER)
        before = journal.head.seq
        assert journal.append(NOON, [scanned(1)], SIGNER)[0][0] == before + 1
    verdict = verify_file(path, SIGNER.public)
    assert verdict.finding is None
    assert verdict.entries == before + 1


def bad_day(seed: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed * 7 + 1)
    monkeypatch.setattr(journal_sqlite, "_WAL_PAGES", chance.choice([3, 10, 1000]))
    life = Life(seed, folder)
    life.disk.cut_at(chance.choice([chance.randint(1, 60), chance.randint(40, 200), chance.randint(60, 700)]))
    if chance.random() < 0.4:
        life.disk.fail_sync_at(*chance.sample(range(1, 120), chance.randint(1, 6)))
    if chance.random() < 0.2:
        life.disk.full_after(chance.randint(30_000, 200_000))
    try:
        life.live(40)
    except (JournalExistsError, NotAJournalError) as error:
        raise AssertionError(seed) from error
    look_after(life, folder)


@pytest.mark.faults
@pytest.mark.parametrize("block", range(10))
def test_r04_r11_nothing_promised_is_lost_at_any_moment(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in [*(SEEN if block == 0 else []), *range(block, SHORT, 10)]:
        bad_day(seed, tmp_path / str(seed), monkeypatch)


@pytest.mark.faults
@pytest.mark.long
@pytest.mark.parametrize("block", range(20))
def test_r04_r11_nothing_promised_is_lost_in_a_thousand_bad_days(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(SHORT + block, LONG, 20):
        bad_day(seed, tmp_path / str(seed), monkeypatch)


# ---------------------------------------------------------------- one fault at a time


@pytest.fixture
def life(tmp_path: Path) -> Life:
    """A till that has opened its epoch and scanned one article on a disk that is still well."""
    life = Life(1, tmp_path)
    life.make()
    life.append([scanned(1)], sign=False)
    return life


def sell_on(life: Life, journal: JournalFile) -> None:
    for line in range(2, 100):
        journal.append(NOON, [scanned(line)], None)
        life.promised[journal.head.seq] = journal.raw(journal.head.seq)


def end(life: Life, folder: Path) -> None:
    life.end()
    look_after(life, folder)


def test_j6_a_failed_sync_breaks_the_journal_until_the_disk_was_read_again(life: Life, tmp_path: Path) -> None:
    journal = life.journal
    assert journal is not None
    life.disk.fail_sync_at(life.disk.syncs + 1)
    with pytest.raises(DiskFailedError):
        journal.append(NOON, [scanned(2)], SIGNER)
    for deed in (lambda: journal.append(NOON, [scanned(3)], None), lambda: journal.raw(1), journal.checkpoint):
        with pytest.raises(JournalBrokenError):
            deed()
    data, _ = seal(Head(3, journal.head.digest), "K3", 1, NOON, scanned(2))
    life.attempted = {4: data}
    life.recover(journal)
    life.append([scanned(3)], sign=True)
    end(life, tmp_path)


def test_r05_a_full_disk_refuses_and_sells_on_when_there_is_room(life: Life, tmp_path: Path) -> None:
    journal = life.journal
    assert journal is not None
    life.disk.full_after(20_000)
    with pytest.raises(DiskFullError) as caught:
        sell_on(life, journal)
    assert caught.value.facts["till"] == "K3"
    assert caught.value.facts["seq"] == len(life.promised)
    life.disk.full_after(None)
    assert journal.recover().seq == len(life.promised)
    life.append([scanned(2)], sign=True)
    end(life, tmp_path)


def test_r05_a_disk_that_turned_read_only_is_named(life: Life, tmp_path: Path) -> None:
    journal = life.journal
    assert journal is not None
    life.disk.read_only = True
    with pytest.raises(DiskReadOnlyError):
        journal.append(NOON, [scanned(2)], None)
    with pytest.raises(UnavailableError):
        journal.recover()
    with pytest.raises(JournalBrokenError):
        journal.append(NOON, [scanned(2)], None)
    life.disk.read_only = False
    life.recover(journal)
    life.append([scanned(2)], sign=True)
    end(life, tmp_path)


def test_j6_a_short_read_is_a_failed_disk_and_no_other_entry(life: Life, tmp_path: Path) -> None:
    journal = life.journal
    assert journal is not None
    journal.close()
    for later in range(1, 20):
        life.disk.short_read_at = life.disk.reads + later
        with contextlib.suppress(UnavailableError, UntrustedError):
            assert journal.recover().seq == len(life.promised)
        journal.close()
    life.disk.short_read_at = 0
    life.recover(journal)
    end(life, tmp_path)


def test_the_faulty_disk_loses_what_was_never_synced(tmp_path: Path) -> None:
    """The model has teeth: without a sync at each commit, promises are broken."""
    broken = 0
    for seed in range(30):
        life = Life(seed, tmp_path / str(seed))
        life.make()
        assert life.journal is not None
        assert life.journal._db is not None
        life.journal._db.pragma("synchronous", "off")
        for line in range(8):
            life.append([scanned(line)], sign=False)
        try:
            end(life, tmp_path / str(seed))
        except (AssertionError, KeyError, UntrustedError):
            broken += 1
    assert broken > 10
