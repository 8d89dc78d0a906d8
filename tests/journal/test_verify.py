"""`oppet journal verify` and `show`: on any copy of any file, in words, with nothing written."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from oppet.audit.journal_verbs import NotAKeyError, NotAnAnchorError, show, verify
from oppet.base.errors import OppetError
from oppet.drivers import journal_reader
from oppet.drivers.journal_file import JournalFile
from oppet.drivers.journal_reader import JournalReader, verify_file
from oppet.journal.entry import Entry
from oppet.journal.errors import (
    JournalFromFutureError,
    JournalInUseError,
    JournalMissingError,
    NotAJournalError,
)
from tests.journal.chains import NOON, SIGNER, THIEF, opened, scanned, started


def write(path: Path, entries: int = 30, name: str = "Mellanmjölk 1,5 l", till: str = "K3") -> Path:
    """A journal at rest: signed at 1 and then at every fifth entry but the last."""
    with JournalFile.create(path, till, 1) as journal:
        journal.append(NOON, [opened()], SIGNER)
        journal.append(NOON, [started()], None)
        for line in range(3, entries + 1):
            signed = line % 5 == 0 and line != entries
            journal.append(NOON + line, [scanned(line, name)], SIGNER if signed else None)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "made").mkdir()
    return Path(shutil.copy(write(tmp_path / "made" / "k3.journal"), tmp_path / "copy.journal"))


def spoil(path: Path, *deeds: str) -> None:
    db = sqlite3.connect(path)
    for deed in deeds:
        db.execute(deed)
    db.commit()
    db.close()


def named(path: Path) -> tuple[str, int] | None:
    finding = verify_file(path).finding
    if finding is None:
        return None
    assert (finding.till, finding.epoch) == ("K3", 1)
    return finding.kind, finding.seq


def without_key(path: Path) -> None:
    """Take the primary key off, as who wants two entries in one place must."""
    spoil(
        path,
        "CREATE TABLE more(seq, entry)",
        "INSERT INTO more SELECT * FROM entries",
        "DROP TABLE entries",
        "ALTER TABLE more RENAME TO entries",
    )


DEEDS = {
    "nothing": ([], None),
    "changed": (["UPDATE entries SET entry = replace(entry, '1890', '1790') WHERE seq = 12"], ("changed", 12)),
    "missing": (["DELETE FROM entries WHERE seq = 12"], ("missing", 12)),
    "first missing": (["DELETE FROM entries WHERE seq = 1"], ("missing", 1)),
    "reordered": (
        [
            "UPDATE entries SET seq = 99 WHERE seq = 12",
            "UPDATE entries SET seq = 12 WHERE seq = 17",
            "UPDATE entries SET seq = 17 WHERE seq = 99",
        ],
        ("reordered", 12),
    ),
    "truncated": (["DELETE FROM entries WHERE seq > 22"], ("truncated", 23)),
    "signature": (["UPDATE signatures SET signature = zeroblob(64) WHERE seq = 10"], ("signature", 10)),
    "short signature": (["UPDATE signatures SET signature = x'00' WHERE seq = 10"], ("signature", 10)),
    "signature of text": (["UPDATE signatures SET signature = 'mine' WHERE seq = 10"], ("signature", 10)),
    "future": (["UPDATE entries SET entry = replace(entry, '\"v\":1', '\"v\":7') WHERE seq = 12"], ("future", 12)),
    "unreadable": (["UPDATE entries SET entry = x'ff00' WHERE seq = 12"], ("unreadable", 12)),
    "a number": (["UPDATE entries SET entry = 5 WHERE seq = 12"], ("unreadable", 12)),
    "too large": (["UPDATE entries SET entry = zeroblob(1048577) WHERE seq = 12"], ("unreadable", 12)),
    "huge": (["UPDATE entries SET entry = zeroblob(40000000) WHERE seq = 12"], ("unreadable", 12)),
    "place zero": (["INSERT INTO entries SELECT 0, entry FROM entries WHERE seq = 3"], ("number", 1)),
    "far away": ([f"UPDATE entries SET seq = {2**62} WHERE seq = 30"], ("reordered", 30)),
}


@pytest.mark.parametrize("name", DEEDS)
def test_j9_what_was_done_to_a_file_is_named(path: Path, name: str) -> None:
    deeds, expected = DEEDS[name]
    spoil(path, *deeds)
    assert named(path) == expected


def test_j9_two_entries_in_one_place_are_named_in_a_file_without_its_primary_key(path: Path) -> None:
    without_key(path)
    assert named(path) is None
    spoil(path, "INSERT INTO entries SELECT 12, replace(entry, '1890', '1790') FROM entries WHERE seq = 12")
    assert named(path) == ("forked", 12)


def test_j9_a_place_that_is_no_number_is_named_in_a_file_without_its_primary_key(path: Path) -> None:
    without_key(path)
    spoil(path, "INSERT INTO entries SELECT 'twelve', entry FROM entries WHERE seq = 12")
    assert named(path) == ("number", 31)


def test_j9_every_range_size_and_process_count_names_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nothing", "changed", "missing", "reordered", "truncated", "signature"):
        copy = Path(shutil.copy(path, path.with_name(name)))
        deeds, expected = DEEDS[name]
        spoil(copy, *deeds)
        for size in (1, 2, 7, 11, 12):
            monkeypatch.setattr(journal_reader, "RANGE", size)
            assert named(copy) == expected


class Lines:
    """An extra check, as another room may bring one."""

    def __init__(self) -> None:
        self.count = 0

    def see(self, entry: Entry) -> None:
        self.count += entry.kind == "line_added"

    def report(self) -> object:
        return self.count


def test_j9_processes_side_by_side_see_every_entry(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_reader, "RANGE", 8)
    monkeypatch.setattr(journal_reader, "ALONE", 0)
    told: list[tuple[int, int]] = []
    verdict = verify_file(path, extra=Lines, processes=2, progress=lambda done, total: told.append((done, total)))
    assert verdict.finding is None
    assert (verdict.entries, verdict.signatures, verdict.signed_seq) == (30, 6, 25)
    assert verdict.extras == (6, 8, 8, 6)
    assert told == [(8, 30), (16, 30), (24, 30), (30, 30)]
    spoil(path, "DELETE FROM entries WHERE seq = 12")
    assert named(path) == ("missing", 12)


def test_j9_an_empty_journal_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    JournalFile.create(tmp_path / "j", "K3", 1).close()
    assert verify(tmp_path / "j") == 0
    assert "empty journal" in capsys.readouterr().out


# ---------------------------------------------------------------- nothing is written, and any copy will do


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {found.name: (found.stat().st_mtime_ns, found.read_bytes()) for found in folder.iterdir()}


@pytest.mark.parametrize("with_log", [False, True])
def test_j10_a_copy_in_a_read_only_folder_is_verified_and_left_as_it_was(tmp_path: Path, *, with_log: bool) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    with JournalFile.create(tmp_path / "j", "K3", 1) as journal:
        journal.append(NOON, [opened()], SIGNER)
        journal.checkpoint()
        journal.append(NOON, [scanned(2), scanned(3)], SIGNER)
        shutil.copy(tmp_path / "j", folder / "j")
        if with_log:
            shutil.copy(tmp_path / "j-wal", folder / "j-wal")
    before = state(folder)
    folder.chmod(0o555)
    verdict = verify_file(folder / "j")
    assert verdict.finding is None
    assert verdict.entries == (3 if with_log else 1)
    with JournalReader(folder / "j") as reader:
        assert len(list(reader.rows())) == verdict.entries
    folder.chmod(0o755)
    assert state(folder) == before


def test_j10_a_running_tills_own_file_is_not_read_under_its_hands(tmp_path: Path) -> None:
    with JournalFile.create(tmp_path / "j", "K3", 1), pytest.raises(JournalInUseError):
        verify_file(tmp_path / "j")
    assert verify_file(tmp_path / "j").finding is None


@pytest.mark.parametrize("name", ["a?b#c%41 d.journal", "åäö.journal", "file:x"])
def test_j10_a_file_of_any_name_is_that_file(path: Path, name: str) -> None:
    assert named(path.rename(path.with_name(name))) is None


# ---------------------------------------------------------------- files that are no journals

NO_JOURNALS: dict[str, tuple[bytes, type[OppetError]]] = {
    "zero bytes": (b"", NotAJournalError),
    "text": (b"a till once was " * 999, NotAJournalError),
    "a header alone": (b"SQLite format 3\0" + bytes(84), NotAJournalError),
    "noise": (bytes(range(256)) * 64, NotAJournalError),
}


@pytest.mark.parametrize("name", NO_JOURNALS)
def test_j7_a_file_that_is_no_journal_is_refused_in_words(tmp_path: Path, name: str) -> None:
    data, error = NO_JOURNALS[name]
    (tmp_path / "j").write_bytes(data)
    for verb in (verify, show):
        with pytest.raises(error):
            verb(tmp_path / "j")


def test_j7_a_missing_file_and_a_folder_are_refused_in_words(tmp_path: Path) -> None:
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(JournalMissingError):
            verify(missing)


def test_j7_tables_that_only_look_like_a_journals_are_refused(path: Path) -> None:
    spoil(path, "ALTER TABLE entries RENAME TO real", "CREATE VIEW entries AS SELECT * FROM real")
    with pytest.raises(NotAJournalError):
        verify_file(path)


def test_j7_a_journal_of_a_later_format_is_refused(path: Path) -> None:
    spoil(path, "PRAGMA user_version = 9")
    with pytest.raises(JournalFromFutureError):
        verify_file(path)


@pytest.mark.parametrize("tenths", range(1, 10))
def test_j9_half_a_file_is_refused_or_read_as_far_as_it_goes(tmp_path: Path, tenths: int) -> None:
    whole = write(tmp_path / "whole", entries=200)
    data = whole.read_bytes()
    half = tmp_path / "half"
    half.write_bytes(data[: len(data) * tenths // 10])
    try:
        finding = verify_file(half).finding
    except NotAJournalError:
        return
    assert finding is not None
    assert finding.kind in {"unreadable", "truncated", "missing"}


@pytest.mark.parametrize("seed", range(40))
def test_j9_a_damaged_file_never_ends_in_a_traceback(tmp_path: Path, seed: int) -> None:
    """Whole pages of noise and zeros, anywhere: a finding or a refusal, and never a whole chain of other entries."""
    path = write(tmp_path / "j", entries=120)
    data = bytearray(path.read_bytes())
    at = (seed * 2711) % len(data)
    data[at : at + 64] = os.urandom(64) if seed % 2 else bytes(64)
    path.write_bytes(data)
    before = path.read_bytes()
    try:
        verdict = verify_file(path)
        show(path)
    except OppetError:
        return
    assert verdict.finding is not None or verdict.entries == 120
    assert path.read_bytes() == before


# ---------------------------------------------------------------- what the auditor sees


def answer(capsys: pytest.CaptureFixture[str], code: int, expected: int) -> dict[str, object]:
    assert code == expected
    said = json.loads(capsys.readouterr().out)
    assert isinstance(said, dict)
    return said


def test_j9_the_verdict_is_said_in_words_and_as_json(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(path) == 0
    said = capsys.readouterr().out
    assert "whole, till K3, epoch 1" in said
    assert "agrees with itself, not whose it is" in said
    assert "26 to 30 are chained and not signed yet" in said
    found = answer(capsys, verify(path, key=SIGNER.public.hex(), as_json=True), 0)
    assert (found["till"], found["entries"], found["finding"]) == ("K3", 30, None)
    assert "itself" not in str(found["notes"])
    spoil(path, "DELETE FROM entries WHERE seq = 12")
    assert verify(path) == 2
    assert "Till K3, epoch 1, entry 12: it is not there." in capsys.readouterr().out
    found = answer(capsys, verify(path, as_json=True), 2)
    assert found["finding"] == {
        "kind": "missing",
        "till": "K3",
        "epoch": 1,
        "seq": 12,
        "why": "it is not there",
        "sure": 10,
    }


def test_j4_a_key_is_given_as_hex_or_as_a_file(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = path.with_name("till.pub")
    file.write_text(SIGNER.public.hex() + "\n", encoding="ascii")
    assert verify(path, key=str(file)) == 0
    assert verify(path, key=THIEF.public.hex()) == 2
    assert "entry 1" in capsys.readouterr().out
    file.write_bytes(b"\xff" * 64)
    for bad in ("", "x" * 64, "ab" * 31, str(file), str(path.parent), str(path.with_name("none"))):
        if bad:
            with pytest.raises(NotAKeyError):
                verify(path, key=bad)


def test_j9_an_anchor_finds_a_tail_cut_off(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = verify_file(path)
    anchor = f"{verdict.head.seq}:{verdict.head.digest}"
    assert verify(path, anchor=(anchor,)) == 0
    spoil(path, "DELETE FROM entries WHERE seq > 27")
    assert verify(path) == 0
    capsys.readouterr()
    found = answer(capsys, verify(path, anchor=(anchor,), as_json=True), 2)["finding"]
    assert isinstance(found, dict)
    assert (found["kind"], found["seq"]) == ("truncated", 28)
    for bad in ("", "30", "30:ab", f"-1:{'ab' * 32}", f"{'9' * 30}:{'ab' * 32}", f"3:{'xy' * 32}"):
        with pytest.raises(NotAnAnchorError):
            verify(path, anchor=(bad,))


def test_j9_two_copies_that_part_are_a_fork(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shorter = Path(shutil.copy(path, tmp_path / "shorter"))
    spoil(shorter, "DELETE FROM entries WHERE seq > 27")
    assert verify(path, other=shorter) == 0
    assert "The first file goes on for 3 entries more." in capsys.readouterr().out
    restored = Path(shutil.copy(shorter, tmp_path / "restored"))
    with JournalFile.open(restored) as journal:
        journal.append(NOON, [scanned(99)], SIGNER)
    found = answer(capsys, verify(path, other=restored, as_json=True), 2)["finding"]
    assert isinstance(found, dict)
    assert (found["kind"], found["seq"]) == ("forked", 28)
    stranger = write(tmp_path / "stranger", till="K4")
    found = answer(capsys, verify(path, other=stranger, as_json=True), 2)["finding"]
    assert isinstance(found, dict)
    assert found["kind"] == "cloned"


def test_j3_show_prints_the_exact_bytes(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(path, first=3, last=4, as_json=True) == 0
    with JournalReader(path) as reader:
        expected = [reader.raw(3), reader.raw(4)]
    assert capsys.readouterr().out.encode().splitlines() == expected


def test_j9_show_prints_a_damaged_journal_too(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(
        path,
        "UPDATE entries SET entry = x'1b5b324a' WHERE seq = 3",
        "UPDATE entries SET entry = replace(entry, 'Mellan', char(8238, 27)) WHERE seq = 4",
        "UPDATE entries SET seq = 99 WHERE seq = 30",
    )
    assert show(path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 30
    assert "its bytes are no entry" in lines[2]
    assert "another number than its place: 30" in lines[-1]
    assert not any("\x1b" in line or "\u202e" in line for line in lines)
    assert show(path, kind="till_started") == 0
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines() if "!" not in line] == ["till_started"]
    assert show(path, as_json=True) == 0
    assert all(json.loads(line) for line in capsys.readouterr().out.splitlines()[:3])
