"""The journal on disk: what append promised is there, in its exact bytes, and one process writes it."""

from __future__ import annotations

import multiprocessing
import shutil
import sqlite3
from pathlib import Path

import pytest

from oppet.base.canonical import digest
from oppet.base.errors import UnavailableError
from oppet.drivers.journal_file import JournalFile
from oppet.drivers.journal_reader import verify_file
from oppet.journal.entry import NOTHING, Head, body_of, seal
from oppet.journal.errors import (
    EntryTooLargeError,
    JournalBrokenError,
    JournalDamagedError,
    JournalExistsError,
    JournalFromFutureError,
    JournalInUseError,
    JournalMissingError,
    NotAJournalError,
)
from oppet.journal.kinds import CopyMade, Receipt
from tests.journal.chains import NOON, SIGNER, THIEF, opened, scanned, started


def receipt(number: int, kind: str = "sale") -> Receipt:
    return Receipt(1, kind, number, "C", "5560000000", "A", "K3", 7, (), 0, 0, (), (), "SKD00001", "CODE")


def a_journal(path: Path) -> JournalFile:
    """A journal of ten entries: opened and signed, started, then scans, the last three of them unsigned."""
    journal = JournalFile.create(path, "K3", 1)
    journal.append(NOON, [opened()], SIGNER)
    journal.append(NOON, [started(), scanned(1)], None)
    journal.append(NOON, [scanned(2), scanned(3), scanned(4), scanned(5)], SIGNER)
    for line in (6, 7, 8):
        journal.append(NOON + line, [scanned(line)], None)
    return journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A whole journal at rest."""
    a_journal(tmp_path / "k3.journal").close()
    return tmp_path / "k3.journal"


def spoil(path: Path, *statements: str) -> None:
    """Change the file as a thief with any SQLite program would."""
    with sqlite3.connect(path) as db:
        for statement in statements:
            db.execute(statement)
    db.close()


def test_j1_j3_what_is_appended_is_stored_as_its_exact_bytes(tmp_path: Path) -> None:
    with JournalFile.create(tmp_path / "j", "K3", 1) as journal:
        data, head = seal(Head(0, NOTHING), "K3", 1, NOON, opened())
        assert journal.append(NOON, [opened()], SIGNER) == [(1, opened())]
        assert (journal.head, journal.signed_seq, journal.raw(1)) == (head, 1, data)
        assert journal.append(NOON, [scanned(1), scanned(2)], None) == [(2, scanned(1)), (3, scanned(2))]
        assert (journal.head.seq, journal.signed_seq) == (3, 1)
        assert [body_of(entry) for entry in journal.read(2)] == [scanned(1), scanned(2)]
    with sqlite3.connect(tmp_path / "j") as db:
        row = db.execute("SELECT entry, typeof(entry) FROM entries WHERE seq = 1").fetchone()
    db.close()
    assert row == (data.decode(), "text")


def test_j6_a_closed_journal_opens_where_it_ended(path: Path) -> None:
    with JournalFile.open(path) as journal:
        assert (journal.till, journal.epoch, journal.head.seq, journal.signed_seq) == ("K3", 1, 10, 7)
        assert journal.head.digest == digest(journal.raw(10))
        assert journal.public_key == SIGNER.public
        assert [entry.seq for entry in journal.read()] == list(range(1, 11))
        assert [entry.seq for entry in journal.read(4, 6)] == [4, 5, 6]
        assert [seq for seq, _ in journal.append(NOON, [scanned(9)], SIGNER)] == [11]
        with pytest.raises(KeyError):
            journal.raw(12)


def test_j4_a_signature_without_new_entries_covers_what_was_unsigned(path: Path) -> None:
    with JournalFile.open(path) as journal:
        assert journal.append(NOON, [], SIGNER) == []
        assert (journal.head.seq, journal.signed_seq) == (10, 10)
    with JournalFile.open(path) as journal:
        assert journal.signed_seq == 10


def test_j4_only_the_epochs_own_key_signs(path: Path) -> None:
    with JournalFile.open(path) as journal:
        with pytest.raises(AssertionError):
            journal.append(NOON, [scanned(9)], THIEF)
        assert journal.head.seq == 10
        journal.append(NOON, [scanned(9)], SIGNER)


def test_j2_entries_may_be_read_while_others_are_appended(path: Path) -> None:
    with JournalFile.open(path) as journal:
        seen = []
        for entry in journal.read(9, 14):
            seen.append(entry.seq)
            journal.append(NOON, [scanned(entry.seq)], None)
        assert seen[:2] == [9, 10]
        assert journal.head.seq == 10 + len(seen)


def test_a_new_journal_never_replaces_one(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(JournalExistsError):
        JournalFile.create(path, "K3", 2)
    assert path.read_bytes() == before
    other = path.with_name("notes.txt")
    other.write_text("no journal", encoding="utf-8")
    with pytest.raises(JournalExistsError):
        JournalFile.create(other, "K3", 1)
    assert other.read_text(encoding="utf-8") == "no journal"


def test_r04_a_journal_that_was_never_finished_making_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "j").touch()
    with JournalFile.create(tmp_path / "j", "K3", 1) as journal:
        assert journal.head == Head(0, NOTHING)


def _try_to_open(path: Path) -> str:
    try:
        JournalFile.open(path).close()
    except JournalInUseError:
        return "in use"
    return "opened"


def test_j5_a_second_process_is_refused_at_once(path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        with JournalFile.open(path) as journal:
            assert pool.apply(_try_to_open, (path,)) == "in use"
            with pytest.raises(JournalInUseError):
                JournalFile.open(path)
            journal.append(NOON, [scanned(9)], None)
        assert pool.apply(_try_to_open, (path,)) == "opened"


def _try_to_open_under_another_name(path: Path) -> str:
    (path.parent / "link").hardlink_to(path)
    (path.parent / "link-wal").hardlink_to(f"{path}-wal")
    return _try_to_open(path.parent / "link")


def test_j5_the_file_itself_is_locked_whatever_it_is_called(path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool, JournalFile.open(path):
        assert pool.apply(_try_to_open_under_another_name, (path,)) == "in use"


def test_j7_an_entry_too_large_is_refused_and_nothing_else_happens(path: Path) -> None:
    with JournalFile.open(path) as journal:
        with pytest.raises(EntryTooLargeError):
            journal.append(NOON, [scanned(9), scanned(10, "x" * (1 << 20))], SIGNER)
        assert journal.head.seq == 10
        assert journal.append(NOON, [scanned(9)], None)[0][0] == 11


def test_j11_a_receipt_is_found_by_its_series_and_number(path: Path) -> None:
    with JournalFile.open(path) as journal:
        copy = CopyMade(1, 7, "sale", 0, "SKD00001", "CODE", 7)
        journal.append(NOON, [receipt(7), receipt(7, "training"), copy], SIGNER)
        journal.append(NOON, [receipt(8, "return")], SIGNER)
        assert [journal.find_receipt(*asked) for asked in (("normal", 7), ("training", 7), ("copy", 1))] == [11, 12, 13]
        assert journal.find_receipt("normal", 8) == 14
        assert journal.find_receipt("normal", 9) is None


def test_j11_a_view_is_ignored_if_it_is_another_chains(path: Path) -> None:
    with JournalFile.open(path) as journal:
        assert journal.load_view("day") is None
        journal.append(NOON, [scanned(9)], SIGNER)
        journal.save_view("day", 11, journal.head.digest, b"totals")
        assert journal.load_view("day") == (11, journal.head.digest, b"totals")
        journal.save_view("day", 4, digest(journal.raw(4)), b"older")
        assert journal.load_view("day") == (4, digest(journal.raw(4)), b"older")
        for seq, said in ((4, "ab" * 32), (12, journal.head.digest), (0, "ab" * 32), (-1, NOTHING)):
            journal.save_view("day", seq, said, b"false")
            assert journal.load_view("day") is None
        journal.save_view("day", 0, NOTHING, b"nothing yet")
        assert journal.load_view("day") == (0, NOTHING, b"nothing yet")


def test_r05_free_bytes_are_known_even_when_the_journal_is_broken(path: Path) -> None:
    journal = JournalFile.open(path)
    assert journal.free_bytes() > 0
    journal.close()
    assert journal.free_bytes() > 0


def test_j6_a_closed_journal_does_nothing_until_it_recovers(path: Path) -> None:
    journal = JournalFile.open(path)
    journal.close()
    journal.close()
    with pytest.raises(JournalBrokenError):
        journal.append(NOON, [scanned(9)], None)
    with pytest.raises(JournalBrokenError):
        list(journal.read())
    assert journal.recover().seq == 10
    journal.append(NOON, [scanned(9)], None)
    journal.checkpoint()
    journal.close()


def test_r04_a_copy_taken_of_a_running_till_opens_with_its_log(tmp_path: Path) -> None:
    with a_journal(tmp_path / "j") as journal:
        (tmp_path / "copy").mkdir()
        shutil.copy(tmp_path / "j", tmp_path / "copy" / "j")
        shutil.copy(tmp_path / "j-wal", tmp_path / "copy" / "j-wal")
        with JournalFile.open(tmp_path / "copy" / "j") as copy:
            assert copy.head == journal.head


def test_j10_a_running_till_hands_out_a_whole_copy(tmp_path: Path) -> None:
    with a_journal(tmp_path / "j") as journal:
        journal.copy(tmp_path / "copy")
        with pytest.raises(JournalExistsError):
            journal.copy(tmp_path / "copy")
        with pytest.raises(UnavailableError):
            journal.copy(tmp_path / "nowhere" / "copy")
        journal.append(NOON, [scanned(9)], SIGNER)
    verdict = verify_file(tmp_path / "copy", SIGNER.public)
    assert (verdict.finding, verdict.entries, verdict.signed_seq) == (None, 10, 7)


# ---------------------------------------------------------------- files that are no journal, or no longer whole

NO_JOURNALS = {
    "zero bytes": b"",
    "text": b"Once upon a time there was a till." * 200,
    "half a header": b"SQLite format 3\0" + b"\x10\0\x01\x01",
    "noise": bytes(range(256)) * 40,
}


@pytest.mark.parametrize("name", NO_JOURNALS)
def test_j7_a_file_that_is_no_journal_is_refused_in_words(tmp_path: Path, name: str) -> None:
    path = tmp_path / "j"
    path.write_bytes(NO_JOURNALS[name])
    with pytest.raises(NotAJournalError):
        JournalFile.open(path)
    assert path.read_bytes() == NO_JOURNALS[name]


def test_j7_another_programs_database_is_refused(tmp_path: Path) -> None:
    spoil(tmp_path / "j", "CREATE TABLE entries(seq INTEGER PRIMARY KEY, entry TEXT)")
    with pytest.raises(NotAJournalError):
        JournalFile.open(tmp_path / "j")


def test_a_missing_journal_is_missing(tmp_path: Path) -> None:
    with pytest.raises(JournalMissingError):
        JournalFile.open(tmp_path / "j")
    with pytest.raises(JournalMissingError):
        JournalFile.open(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_journal_from_the_future_is_refused_untouched(path: Path) -> None:
    spoil(path, "PRAGMA user_version = 2")
    with pytest.raises(JournalFromFutureError):
        JournalFile.open(path)


@pytest.mark.parametrize(
    "deed",
    [
        "CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM entries WHERE seq = 3; END",
        "CREATE VIEW v AS SELECT 1",
        "CREATE INDEX i ON entries(entry)",
        "ALTER TABLE entries ADD COLUMN more TEXT",
        "DROP TABLE receipts",
        "DELETE FROM meta WHERE name = 'till'",
        "UPDATE meta SET value = '-3' WHERE name = 'epoch'",
    ],
)
def test_j7_tables_that_are_not_exactly_a_journals_are_refused(path: Path, deed: str) -> None:
    spoil(path, deed)
    with pytest.raises(NotAJournalError):
        JournalFile.open(path)


DAMAGE = {
    "UPDATE entries SET entry = replace(entry, '1890', '1790') WHERE seq = 9": 9,
    "UPDATE entries SET entry = replace(entry, '1890', '1790') WHERE seq = 7": 7,
    "UPDATE entries SET entry = 'no entry' WHERE seq = 9": 9,
    "UPDATE entries SET entry = replace(entry, '\"v\":1', '\"v\":2') WHERE seq = 10": 10,
    "DELETE FROM entries WHERE seq = 9": 9,
    "DELETE FROM entries WHERE seq = 7": 7,
    "DELETE FROM entries WHERE seq > 6": 7,
    "UPDATE signatures SET signature = zeroblob(64) WHERE seq = 7": 7,
    "UPDATE meta SET value = 'K4' WHERE name = 'till'": 7,
}


@pytest.mark.parametrize("deed", DAMAGE)
def test_r11_a_journal_damaged_behind_its_last_signature_does_not_open(path: Path, deed: str) -> None:
    spoil(path, deed)
    with pytest.raises(JournalDamagedError) as caught:
        JournalFile.open(path)
    assert caught.value.facts["seq"] == DAMAGE[deed]
    assert caught.value.facts["epoch"] == 1


def test_r11_a_journal_whose_key_was_exchanged_does_not_open_with_the_right_one(path: Path) -> None:
    with pytest.raises(JournalDamagedError):
        JournalFile.open(path, public_key=THIEF.public)
    JournalFile.open(path, public_key=SIGNER.public).close()


@pytest.mark.parametrize("size", [100, 4096, 8192, 12288])
def test_r04_half_a_file_is_refused_in_words(path: Path, size: int) -> None:
    path.with_name(path.name + "-wal").unlink(missing_ok=True)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises((NotAJournalError, JournalDamagedError)):
        JournalFile.open(path)
