"""The self-test sells once with this till's own settings and goods, and touches nothing of this till's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oppet.base.signing import Signer
from oppet.cli import command, run
from oppet.drivers.journal_file import JournalFile
from oppet.drivers.pins import digest_of
from oppet.rehearsal import dry_sale as rehearsed
from oppet.rehearsal.dry_sale import SelfTestFailedError, dry_sale
from oppet.sale.rights import Staff
from oppet.till.main import catalogue_of
from oppet.till.settings import read_settings
from oppet.yardstick.in_process import InstantUnit, NoPaper
from tests.conftest import ROOT

Change = Callable[[dict[str, Any]], object]


def settings_in(folder: Path, **changes: object) -> Path:
    data = ROOT / "data"
    said: dict[str, object] = {
        "till": "K3", "store": "S01", "company": "Testköp ekonomisk förening", "org_no": "5566778899",
        "address": "Storgatan 1, 652 24 Karlstad", "register": "K3", "manufacturing_no": "OPPET-K3", "folder": "till",
        "assortment": [str(data / "assortment-off" / "articles.tsv"), str(data / "assortment-ours" / "terms.json")],
        "staff": "staff.json", "units": [{"protocol": "skattedosan", "unit": "SD1", "device": "nowhere"}],
        "printers": [{"kind": "screen", "name": "screen"}],
    }  # fmt: skip
    path = folder / "settings.json"
    path.write_text(json.dumps(said | changes), encoding="utf-8")
    members = [{"number": 101, "role": "cashier", "pin": digest_of("2580")}]
    (folder / "staff.json").write_text(json.dumps(members), encoding="utf-8")
    return path


def test_rl11_a_dry_sale_goes_through_and_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = settings_in(tmp_path)
    before = {one: one.read_bytes() for one in tmp_path.rglob("*")}
    assert run(["till", "self-test", str(path), "--json"], command()) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["good"] is True
    assert int(said["facts"]["sold_ore"]) > 0
    assert (said["facts"]["page"], said["facts"]["SD1"]) == ("200", "on a line in use")
    assert {one: one.read_bytes() for one in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"till": "not a till's name!"}, "settings"),
        ({"staff": "nobody.json"}, "staff"),
        ({"assortment": ["settings.json"]}, "assortment"),
        ({"units": [{"protocol": "xccsp", "unit": "CC1", "host": "127.0.0.1", "port": 1}]}, "control unit"),
    ],
)
def test_rl11_what_does_not_work_is_said_with_its_step(tmp_path: Path, changes: dict[str, object], step: str) -> None:
    with pytest.raises(SelfTestFailedError) as failed:
        dry_sale(settings_in(tmp_path, **changes))
    assert failed.value.facts["step"] == step


def test_rl11_a_release_that_cannot_sell_fails_whatever_it_dies_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(rehearsed, "create_app", broken)
    assert run(["till", "self-test", str(settings_in(tmp_path)), "--json"], command()) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["good"], said["facts"]["step"]) == (False, "sale")
    assert "ZeroDivisionError" in said["facts"]["reason"]


def test_rl11_the_running_tills_own_journal_is_read_while_it_goes_on_selling(tmp_path: Path) -> None:
    path = settings_in(tmp_path)
    said = read_settings(path.read_bytes(), str(path))
    (tmp_path / "till").mkdir()
    journal = JournalFile.create(tmp_path / "till" / "epoch-0001.journal", "K3", 1)
    try:
        till = rehearsed._till(
            said, catalogue_of(tmp_path, said.assortment), journal, Signer(b"\x07" * 32), InstantUnit("SD1"), NoPaper()
        )
        till.sign_in(Staff(101, "cashier"))
        assert int(dry_sale(path)["entries"]) == journal.head.seq > 3
        till.stop()
    finally:
        journal.close()
