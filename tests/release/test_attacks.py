"""The table of attacks, run: each row against real repositories and files, at a real till; docs/security.md is made of what came of it.

`OPPET_WRITE=1 pytest -n 0 tests/release/test_attacks.py` writes the table anew; without it a cell that comes out otherwise fails here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.payments.page import keep_row
from tests.release import attacks
from tests.release.attacks import ROWS, Row, Scene
from tests.release.attacks_beside import BESIDE, Beside
from tests.release.forging import COLUMNS

PAGE = ROOT / "docs" / "security.md"
HEADS = ("attack", "vendor key stolen", "chain key stolen", "both", "HQ owned", "store node owned", "man in the middle")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return attacks.a_scene(tmp_path_factory.mktemp("attacks"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_rl1_rl3_rl4_rl5_rl6_rl7_rl10_an_attack_ends_as_the_table_says(scene: Scene, row: Row) -> None:
    cells: list[str] = []
    for column in COLUMNS:
        said = row.cells[column]
        if column == "mitm":  # a node's key signs none of these lists: what it can do is what anybody on the wire can
            assert said == cells[-1], row.name
        elif not said.startswith("–"):
            assert attacks.ran(scene, row, column) == said, (row.name, column)
        cells.append(said)
    keep_row("attacks", HEADS, row.name, cells, PAGE)


@pytest.mark.parametrize("row", BESIDE, ids=lambda row: row.name)
def test_rl6_rl7_rl8_rl9_rl11_rl13_an_attack_beside_the_lists_ends_as_the_table_says(
    scene: Scene, tmp_path: Path, row: Beside
) -> None:
    for number, (word, run) in enumerate(row.runs.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert run(scene, folder) == word
    cells = [row.cells[column] for column in COLUMNS]
    assert {cell for cell in cells if not cell.startswith("–")} == set(row.runs)
    keep_row("attacks", HEADS, row.name, cells, PAGE)


def test_only_vendor_and_chain_together_bring_software_of_their_own_to_any_till() -> None:
    for row in ROWS:
        for column in COLUMNS:
            if attacks.CANARIES in row.cells[column] and not row.honest:
                assert column == "both", row.name


def test_the_page_explains_every_word_of_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    words = {
        word
        for row in (*ROWS, *BESIDE)
        for cell in row.cells.values()
        if not cell.startswith("–")
        for word in cell.split(", ")
    }
    assert all(f"*{word}*" in page for word in words), words
    assert Path(ROOT / "docs" / "security.md").exists()
