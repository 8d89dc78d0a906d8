"""What an auditor types: verify, export and books on a journal that a real till wrote, and on what is no journal."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import apsw
import pytest
from lxml import etree

from oppet.audit.export_verbs import (
    BrokenJournalError,
    NotADayError,
    NothingToBookError,
    SameJournalError,
    TwoCompaniesError,
    books,
    export,
)
from oppet.audit.journal_verbs import verify
from oppet.base.canonical import digest
from oppet.base.errors import OppetError
from oppet.journal.kinds import Receipt
from tests.register.world import BO, MILK, World, a_till


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Three sales, a return, a copy and two Z reports, closed as a till closes."""
    till, world = a_till(tmp_path)
    for _ in range(3):
        till.selling.pick(MILK, 2_000)
        till.checkout.pay("cash", 10_000)
    till.drawer.z(BO)
    till.drawer.set_float(50_000)
    till.returns.begin("1", BO)
    till.returns.take(1, 1_000)
    till.checkout.pay("cash", 0)
    till.checkout.copy(2)
    till.drawer.z(BO)
    till.stop()
    assert world.journal is not None
    world.journal.close()
    return world.path


def test_j9_a_whole_journal_is_called_whole(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(journal, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["finding"], told["numbers"], told["till"]) == (None, [], "K3")


def test_f14_numbers_that_cannot_be_are_named_though_every_signature_is_good(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A till that lies with its own key: the chain is whole, the receipt series is not."""
    till, world = a_till(tmp_path)
    till.selling.pick(MILK)
    till.checkout.pay("cash", 10_000)
    receipt = world.bodies(Receipt)[0]
    assert world.journal is not None
    world.journal.append(world.clock.now(), [receipt], till.desk.ports.signer)
    world.journal.close()
    assert verify(world.path) == 2
    said = capsys.readouterr().out
    assert "whole" in said
    assert "normal" in said
    assert verify(world.path, chain_only=True) == 0


def test_f10_the_export_is_written_whole_and_read_by_another_parser(journal: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.xml"
    assert export(journal, skvfs=out) == 0
    root = etree.parse(str(out)).getroot()
    assert etree.QName(root).localname == "ExportAvDataFranJournalminneEnligtSKVFS2021-16"
    assert len(root.findall(".//{*}Kassakvitto")) == 3
    assert len(root.findall(".//{*}Returkvitto")) == 1
    assert export(journal, skvfs=out, first_day="2026-11-23", last_day="2026-11-24") == 0
    assert etree.parse(str(out)).getroot().findall(".//{*}Kassakvitto") == []


def test_b1_the_books_have_a_voucher_for_each_z_and_balance(journal: Path, tmp_path: Path) -> None:
    out = tmp_path / "books.si"
    assert books((journal,), sie_file=out) == 0
    text = out.read_bytes().decode("cp437")
    assert text.count("#VER") == 2
    assert sum(round(float(line.split()[-1]) * 100) for line in text.splitlines() if "#TRANS" in line) == 0


def test_j9_nothing_is_exported_or_booked_from_a_journal_that_was_changed(journal: Path, tmp_path: Path) -> None:
    db = apsw.Connection(str(journal))
    db.execute("UPDATE entries SET entry = CAST(replace(CAST(entry AS TEXT), '3380', '9380') AS BLOB)")
    assert db.total_changes()
    db.close()
    with pytest.raises(BrokenJournalError) as refused:
        export(journal, skvfs=tmp_path / "x.xml")
    assert refused.value.facts["till"] == "K3"
    with pytest.raises(BrokenJournalError):
        books((journal,), sie_file=tmp_path / "x.si")
    assert not (tmp_path / "x.xml").exists()
    assert not (tmp_path / "x.si").exists()


def test_f10_bad_days_missing_files_and_open_days_are_refused_in_words(journal: Path, tmp_path: Path) -> None:
    with pytest.raises(NotADayError):
        export(journal, skvfs=tmp_path / "x.xml", first_day="igår")
    for bad in (tmp_path / "missing", tmp_path):
        with pytest.raises(OppetError):
            export(bad, skvfs=tmp_path / "x.xml")
    with pytest.raises(OppetError):
        export(journal, skvfs=tmp_path / "no" / "such" / "folder.xml")
    till, world = a_till(tmp_path / "open")
    till.stop()
    assert world.journal is not None
    world.journal.close()
    with pytest.raises(NothingToBookError):
        books((world.path,), sie_file=tmp_path / "x.si")
    with pytest.raises(NothingToBookError):
        books((), sie_file=tmp_path / "x.si")


def test_b1_two_companies_are_two_files(journal: Path, tmp_path: Path) -> None:
    other = World(tmp_path / "other", org_no="5560000001")
    till = other.start()
    till.sign_in(BO)
    till.drawer.z(BO)
    till.stop()
    assert other.journal is not None
    other.journal.close()
    with pytest.raises(TwoCompaniesError):
        books((journal, other.path), sie_file=tmp_path / "x.si")


def test_j3_the_bytes_in_the_file_are_the_bytes_that_were_signed(journal: Path) -> None:
    db = apsw.Connection(str(journal))
    rows = list(db.execute("SELECT entry FROM entries ORDER BY seq"))
    for (before,), (after,) in pairwise(rows):
        data = before if isinstance(before, bytes) else str(before).encode()
        assert json.loads(after)["prev"] == digest(data)


def test_b1_no_day_is_booked_twice(journal: Path, tmp_path: Path) -> None:
    with pytest.raises(SameJournalError):
        books((journal, journal), sie_file=tmp_path / "x.si")
