"""The wiring of a till's ways of paying: settings to drivers, ended with the till, and secrets that others may read refused."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from oppet.base.errors import SettingsError
from oppet.drivers.keys import KeyMissingError, KeyUnfitError
from oppet.payments.paths import DOWN
from oppet.till.main import open_till
from tests.conftest import ROOT
from tests.till.test_settings import ALONE, NEXO, SWISH

PHRASE = "Long enough, 1 time"


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    data = ROOT / "data"
    said: dict[str, Any] = {
        "till": "K3",
        "store": "S01",
        "company": "Testköp ekonomisk förening",
        "org_no": "5566778899",
        "address": "Storgatan 1, 652 24 Karlstad",
        "register": "K3",
        "manufacturing_no": "OPPET-K3",
        "folder": "till",
        "assortment": [str(data / "assortment-off" / "articles.tsv"), str(data / "assortment-ours" / "terms.json")],
        "staff": "staff.json",
        "units": [{"protocol": "xccsp", "unit": "CC1", "host": "127.0.0.1", "port": 1}],
        "printers": [{"kind": "screen", "name": "screen"}],
        "payments": [NEXO | {"host": "127.0.0.1", "port": 1}, SWISH, ALONE, {"kind": "gift_card", "name": "gift"}],
        "rules": {"disk_least_mb": 0},
    }
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(said), encoding="utf-8")
    (tmp_path / "staff.json").write_text("[]", encoding="utf-8")
    phrase = tmp_path / "terminal.passphrase"
    phrase.write_text(PHRASE + "\n", encoding="utf-8")
    phrase.chmod(0o600)
    return path


def test_t8_the_settings_ways_of_paying_are_asked_in_their_order_and_end_with_the_till(settings: Path) -> None:
    before = set(threading.enumerate())
    opened = open_till(settings)
    try:
        paths = opened.till.tenders.paths()
        assert [(path.name, path.means) for path, _ in paths] == [
            ("card-1", "card"), ("swish", "swish"), ("swish-alone", "swish"), ("gift", "gift_card"),
        ]  # fmt: skip
        waiting = threading.Event()
        for _ in range(100):  # nobody listens at the terminal's port, and there is no node: seen, and the till is open
            if [now.state for _, now in opened.till.tenders.paths()].count(DOWN) == 3:
                break
            waiting.wait(0.1)
        opened.till.tenders.tick()
        assert {name for name, seen in opened.till.desk.state.paths.items() if seen.state == DOWN} == {
            "card-1",
            "swish",
            "gift",
        }
        assert opened.till.desk.state.settings["payment_paths"] == "card-1, swish, swish-alone, gift"
    finally:
        opened.close()
    assert set(threading.enumerate()) - before == set()


@pytest.mark.parametrize(
    ("mode", "text"), [(0o644, PHRASE), (0o600, "short"), (0o600, "two\nlines that are long"), (0o600, "")]
)
def test_j8_a_passphrase_that_others_may_read_or_that_is_none_is_refused(settings: Path, mode: int, text: str) -> None:
    phrase = settings.parent / "terminal.passphrase"
    phrase.write_text(text, encoding="utf-8")
    phrase.chmod(mode)
    before = set(threading.enumerate())
    with pytest.raises(KeyUnfitError) as refused:
        open_till(settings)
    assert PHRASE not in str(refused.value)
    assert set(threading.enumerate()) - before == set()


def test_j8_a_passphrase_that_is_not_there_is_named(settings: Path) -> None:
    (settings.parent / "terminal.passphrase").unlink()
    with pytest.raises(KeyMissingError) as refused:
        open_till(settings)
    path = str(settings.parent / "terminal.passphrase")
    assert path.startswith(str(refused.value.facts["path"]).removesuffix("…"))  # a long one is cut short


def test_pt12_t8_the_list_of_invoice_customers_is_read_at_the_start_and_holds_nobodys_number(settings: Path) -> None:
    said = json.loads(settings.read_text(encoding="utf-8"))
    settings.write_text(json.dumps(said | {"payments": [], "invoice_customers": "invoices.json"}), encoding="utf-8")
    listed = settings.parent / "invoices.json"
    listed.write_text('{"198112189876": {"day_ore": 1, "sale_ore": 1}}', encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        open_till(settings)
    assert "198112189876" not in str(refused.value)
    listed.write_text('{"F1042": {"day_ore": 5000, "sale_ore": 5000}}', encoding="utf-8")
    opened = open_till(settings)
    try:
        assert list(opened.till.desk.ports.invoices or ()) == ["F1042"]
    finally:
        opened.close()
