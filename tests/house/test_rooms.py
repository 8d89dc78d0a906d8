"""The house keeps its shape: three levels, small rooms, no hands in a rule room, libraries only where let in."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

HOUSE = ROOT / "oppet"
MOST_FILES = 12

# A rule room and the libraries let into it; anything else is asked for here first.
LIBRARIES = {
    "base": {"cryptography", "msgspec"},
    "journal": {"msgspec"},
    "goods": {"biip", "msgspec"},
    "payments": {"cryptography", "msgspec"},
    "sale": {"msgspec"},
    "paper": {"msgspec"},
    "fiscal": {"msgspec"},
    "register": {"msgspec"},
    "sync": {"msgspec", "zstandard"},
    "people": {"msgspec"},
    "release": {"msgspec"},
}
PLACES = {"till", "audit", "store", "hq", "signing", "figures", "site"}
OTHERS = {"drivers", "simulators", "bench", "replay", "sim", "rehearsal", "rollout", "demo", "yardstick"}
# The part of the standard library that only thinks. (zoneinfo reads the time zone tables, and nothing else.)
PURE = set(
    "__future__ abc base64 binascii bisect calendar collections contextlib copy dataclasses datetime decimal enum "
    "fractions functools graphlib hashlib heapq hmac itertools json math operator re string struct textwrap types "
    "typing unicodedata xml zlib zoneinfo".split()
)
HANDS = {"open", "print", "input", "eval", "exec", "compile", "breakpoint", "__import__"}
DUMPS = {"util", "utils", "common", "helper", "helpers", "core", "misc", "shared", "stuff", "manager"}
BESIDE = {"templates", "static", "locale", "sql"}


def rooms() -> list[Path]:
    return sorted(path.parent for path in HOUSE.glob("*/__init__.py"))


def trees(room: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((HOUSE / room).rglob("*.py")):
        yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> set[str]:
    """Give the top names of everything a file imports."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


def rooms_under_contract(key: str = "source_modules") -> dict[str, set[str]]:
    """Give each contract's name and the rooms it speaks for, or with "forbidden_modules" what it forbids them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {
        contract["name"]: {room.removeprefix("oppet.") for room in contract.get(key, [])}
        for contract in settings["tool"]["importlinter"]["contracts"]
    }


def test_h2_a_rule_room_uses_only_the_libraries_let_into_it() -> None:
    strangers = []
    for room, libraries in LIBRARIES.items():
        for path, tree in trees(room):
            strangers += [f"{path}: {name}" for name in sorted(imported(tree) - libraries - PURE - {"oppet"})]
    assert strangers == []


def test_h2_every_rule_room_is_under_contract_and_has_its_list_of_libraries() -> None:
    rule_rooms = {room.name for room in rooms()} - PLACES - OTHERS
    assert rooms_under_contract()["Rule rooms have no hands"] == rule_rooms
    assert set(LIBRARIES) == rule_rooms


def test_h4_every_place_and_simulator_is_under_contract() -> None:
    there = {room.name for room in rooms()}
    assert rooms_under_contract()["Places reach the world through drivers"] == there & PLACES
    forbidden = rooms_under_contract("forbidden_modules")["Simulators import nothing of ours"]
    assert forbidden == (there - {"simulators"}) | {"cli"}


def test_h2_a_rule_room_never_opens_prints_or_evaluates() -> None:
    hands = []
    for room in LIBRARIES:
        for path, tree in trees(room):
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in HANDS:
                    hands.append(f"{path}:{node.lineno}: {node.func.id}(")
    assert hands == []


def test_m1_no_rule_room_speaks_of_floats() -> None:
    floats = []
    for room in LIBRARIES:
        for path, tree in trees(room):
            for node in ast.walk(tree):
                named = isinstance(node, ast.Name) and node.id == "float"
                if named or (isinstance(node, ast.Constant) and isinstance(node.value, float)):
                    floats.append(f"{path}:{getattr(node, 'lineno', 0)}")
    assert floats == []


def test_h3_a_room_stays_small_and_three_levels_deep() -> None:
    for room in rooms():
        files = [path for path in room.glob("*.py") if path.name != "__init__.py"]
        if room.name != "drivers":  # there is one room with hands, so that they can be watched
            assert len(files) <= MOST_FILES, f"{room.name} has {len(files)} files: it is two rooms"
        assert list(room.glob("*/**/*.py")) == [], f"{room.name}: no fourth level"
        below = {path.name for path in room.iterdir() if path.is_dir() and path.name != "__pycache__"}
        assert below <= BESIDE, f"{room.name}: {sorted(below - BESIDE)}"


def test_h3_every_folder_of_the_house_is_a_room() -> None:
    folders = {path for path in HOUSE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert sorted(folders - set(rooms())) == []


def test_h3_no_file_is_a_dump() -> None:
    named = [path for folder in ("oppet", "tests") for path in (ROOT / folder).rglob("*.py") if path.stem in DUMPS]
    assert named == []


def test_h3_every_file_says_what_it_guards() -> None:
    mute = [
        str(path)
        for room in rooms()
        for path, tree in trees(room.name)
        if path.name != "__init__.py" and not ast.get_docstring(tree)
    ]
    assert mute == []


# ---------------------------------------------------------------- the contracts themselves

BREAKS = {
    "a rule room below leans on one above": ("goods/bad.py", "import oppet.sale", "stands on the floors"),
    "strangers meet": ("payments/bad.py", "import oppet.goods", "stands on the floors"),
    "a room without a floor": ("attic/__init__.py", "", "stands on the floors"),
    "base leans on the journal": ("base/bad.py", "import oppet.journal", "stands on the floors"),
    "a rule room looks at the clock": ("sale/bad.py", "import time", "no hands"),
    "a rule room reads a file by a submodule": ("journal/bad.py", "import os.path", "no hands"),
    "a rule room has a database": ("fiscal/bad.py", "import apsw", "no hands"),
    "a place opens a socket itself": ("till/bad.py", "import socket", "through drivers"),
    "a simulator borrows our code": ("simulators/bad.py", "import oppet.base", "Simulators import nothing"),
    "a room walks in a circle": ("sale/room.py", "import oppet.sale.bad", "circles"),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    words = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as c; c()",
        "--no-cache",
        "--no-logo",
    ]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """Build a house of empty rooms under our contracts; the till reaches a database through a driver."""
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    house = tmp_path / "oppet"
    names = {room.name for room in rooms()}
    for name in names:
        (house / name).mkdir(parents=True, exist_ok=True)
        (house / name / "__init__.py").touch()
        (house / name / "room.py").touch()
        (house / name / "bad.py").touch()
    (house / "__init__.py").touch()
    (house / "cli.py").touch()
    (house / "drivers" / "room.py").write_text("import apsw\n", encoding="utf-8")
    (house / "till" / "room.py").write_text("import oppet.drivers.room\n", encoding="utf-8")
    (house / "sale" / "bad.py").write_text("import oppet.sale.room\n", encoding="utf-8")
    return tmp_path


def test_h4_a_house_of_empty_rooms_keeps_every_contract(skeleton: Path) -> None:
    answer = lint(skeleton)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("name", BREAKS)
def test_h4_a_contract_fails_when_broken(skeleton: Path, name: str) -> None:
    file, line, contract = BREAKS[name]
    path = skeleton / "oppet" / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(line + "\n", encoding="utf-8")
    answer = lint(skeleton)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    broken = [row for row in answer.stdout.splitlines() if row.endswith("BROKEN")]
    assert any(contract in row for row in broken), answer.stdout


def test_rl13_nothing_a_till_or_a_store_loads_can_cut_a_release() -> None:
    """What cuts images into pieces is where releases are made, and on no till."""
    words = "import sys, oppet.till.main, oppet.store.main, oppet.drivers.obtaining; print('fastcdc' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
    importers = [path for room in rooms() for path, tree in trees(room.name) if "fastcdc" in imported(tree)]
    assert [path.name for path in importers] == ["chunking.py"]
