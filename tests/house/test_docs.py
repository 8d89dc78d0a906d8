"""The docs are true: links lead somewhere, commands exist, every room is described, every decision says itself."""

import re
from collections.abc import Iterator
from pathlib import Path

from oppet import __version__
from oppet.cli import VERBS
from tests.conftest import ROOT

LINK = re.compile(r"\]\(([^)\s]+)\)")
TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)
ROW_OF_WORDS = re.compile(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def pages() -> Iterator[tuple[Path, str]]:
    for path in [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]:
        yield path, path.read_text(encoding="utf-8")


def test_h9_every_link_leads_somewhere() -> None:
    dead = []
    for path, text in pages():
        for link in LINK.findall(text):
            if (
                not link.startswith(("http://", "https://", "mailto:", "#"))
                and not (path.parent / link.partition("#")[0]).exists()
            ):
                dead.append(f"{path.relative_to(ROOT)}: {link}")
    assert dead == []


def test_h9_every_make_target_named_exists() -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    for path, text in pages():
        named = set(re.findall(r"`make ([a-z-]+)[^`]*`", text)) | set(re.findall(r"(?m)^make ([a-z-]+)", text))
        assert sorted(named - targets) == [], path.name


def test_h9_every_command_named_exists() -> None:
    known = {name.split()[0] for name in VERBS} | {name for name in VERBS if " " in name}
    for path, text in pages():
        named = set(re.findall(r"`oppet ([a-z][a-z-]*)", text))
        assert sorted(named - known) == [], path.name


def test_h9_every_room_is_drawn_and_described() -> None:
    rooms = {path.parent.name for path in (ROOT / "oppet").glob("*/__init__.py")}
    for page in ("README.md", "ARCHITECTURE.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert [room for room in sorted(rooms) if f"{room}/" not in text] == [], page


def test_h9_every_decision_is_numbered_once_and_titled_by_itself() -> None:
    paths = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [path.name[:4] for path in paths]
    assert numbers == sorted(set(numbers))
    for path in paths:
        title = path.read_text(encoding="utf-8").splitlines()[0]
        assert re.fullmatch(r"# \S.*[^.]", title), (
            f"{path.name}: its first line is its title, a sentence without a full stop"
        )


def test_h9_every_word_has_one_row() -> None:
    rows = ROW_OF_WORDS.findall((ROOT / "docs" / "words.md").read_text(encoding="utf-8"))
    words = [row[0].strip() for row in rows]
    assert len(words) > 30
    assert sorted(words) == sorted(set(words))


def test_h9_the_changelog_speaks_of_this_version() -> None:
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
