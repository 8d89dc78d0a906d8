"""The commands that work on the entries head office keeps: views made again, every history proved whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from oppet.cli import command, run
from oppet.drivers.keys import load_or_make_key
from oppet.drivers.office_pg import OfficeTables
from oppet.drivers.pg import Pool
from oppet.sync.certificates import StoreCertificate, TillCertificate, make_paper
from tests.hq.sold import VIEWS, Office, a_day, clear, dump, one, renamed
from tests.sync.chain import MANAGER, NODE, History

WHEN = "2026-11-20T06:00:00.000Z"


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> History:
    return a_day(tmp_path_factory.mktemp("till"), sales=5)


@pytest.fixture
def settings(dsn: str, day: History, tmp_path: Path) -> Iterator[Path]:
    """A head office with two certified tills of store S01, one of them forked."""
    clear(dsn)
    (tmp_path / "hq").mkdir(mode=0o700)
    hq = load_or_make_key(tmp_path / "hq" / "hq.key")
    pool = Pool(dsn)
    store = StoreCertificate("S01", "Storgatan", "Nära", MANAGER.public.hex(), NODE.public.hex(), WHEN)
    with OfficeTables(pool).change() as t:
        t.lock_papers()
        t.put_paper(make_paper(store, hq), "S01", 0)
        for till in ("S01-K3", "S01-K4"):
            certificate = TillCertificate(till, 1, "S01", till, day.signer.public.hex(), WHEN)
            t.put_paper(make_paper(certificate, MANAGER, hq), till, 1)
    pool.close()
    office = Office(dsn)
    office.take(day, [30, 60])
    other = renamed(day.entries, "S01-K4", 1)
    office.take(other)
    fork = other.branch_off(other.head.seq - 8)
    fork.write(6)
    office.take(fork)
    office.close()
    path = tmp_path / "hq.json"
    path.write_text(json.dumps({"folder": "hq", "dsn": dsn}))
    yield path
    with psycopg.connect(dsn) as connection:
        connection.execute("DELETE FROM paper")


def test_j9_what_head_office_keeps_is_proved_by_its_own_papers(
    settings: Path, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["hq", "verify", str(settings), "--json"], command()) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["histories"], told["wrong"]) == (3, [])
    assert told["entries"] == one(dsn, "SELECT sum(last_seq - first_seq + 1) FROM chunk")
    assert run(["hq", "verify", str(settings)], command()) == 0
    assert "0 wrong" in capsys.readouterr().out


def test_j9_a_history_changed_cut_or_badly_signed_in_the_database_is_named(
    settings: Path, dsn: str, day: History, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE chunk SET signature = decode(repeat('00', 64), 'hex') WHERE first_seq = 31")
        connection.execute("UPDATE stream SET head_seq = head_seq + 5 WHERE branch <> ''")
    assert run(["hq", "verify", str(settings), "--store", "S01", "--json"], command()) == 2
    wrong = json.loads(capsys.readouterr().out)["wrong"]
    assert [(found["till"], found["kind"], bool(found["branch"])) for found in wrong] == [
        ("S01-K3", "signature", False), ("S01-K4", "truncated", True),
    ]  # fmt: skip
    assert run(["hq", "verify", str(settings)], command()) == 2
    assert "S01-K3" in capsys.readouterr().out
    with psycopg.connect(dsn) as connection:
        connection.execute("DELETE FROM paper WHERE name = 'S01-K3'")
    run(["hq", "verify", str(settings), "--json"], command())
    assert json.loads(capsys.readouterr().out)["wrong"][0]["till"] == "S01-K3", "without its paper no key is believed"


def test_r02_hq_rebuild_makes_the_views_again_and_says_from_how_much(
    settings: Path, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = dump(dsn)
    with psycopg.connect(dsn) as connection:
        for view in VIEWS:
            connection.execute(f"DELETE FROM {view}".encode())
    assert run(["hq", "rebuild", str(settings), "--json"], command()) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["entries"] == one(dsn, "SELECT sum(last_seq - first_seq + 1) FROM chunk")
    assert dump(dsn) == before
    assert run(["hq", "rebuild", str(settings), "--views", "line"], command()) == 0
    assert dump(dsn) == before
    assert run(["hq", "rebuild", str(settings), "--views", "sums"], command()) == 1
