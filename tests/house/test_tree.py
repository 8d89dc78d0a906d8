"""What is committed would mean the same on any machine: no registry, no path of one computer, no private key."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

# Written in two pieces, so that this file does not find itself.
PIECES = [
    (r"(?<![\w.-])/(wor", "k|tm", "p|roo", "t|hom", "e)/"),
    (r"(?<![\w.-])/opt/", r"(pypi|wheels)"),
    (r"regis", r"try\.[a-z]+js"),
    (r"\bpy", r"pi\.org"),
    (r"python", r"hosted"),
    (r"--(extra-)?index", r"-url\b"),
    (r'"resol', r'ved":'),
    (r"(?m)^\s*regis", r"try\s*="),
    (r"-----BEGIN [A-Z ]*PRI", r"VATE KEY"),
]
BANNED = [re.compile("".join(pieces)) for pieces in PIECES]
LARGEST_READ = 20_000_000


def tracked() -> Iterator[tuple[Path, str]]:
    """Give every text file that is committed or about to be."""
    words = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        path = ROOT / name
        if path.is_file() and path.stat().st_size < LARGEST_READ:
            data = path.read_bytes()
            if b"\0" not in data[:4096]:
                yield path.relative_to(ROOT), data.decode("utf-8", errors="replace")


def test_h6_no_registry_no_path_of_one_machine_and_no_private_key() -> None:
    found = [
        f"{path}: {match[0]!r}" for path, text in tracked() for pattern in BANNED for match in pattern.finditer(text)
    ]
    assert found[:20] == []


def test_h6_the_check_would_see_one() -> None:
    bad = [
        "".join(pieces)
        for pieces in (
            ("/wor", "k/main"),
            ("https://regis", "try.npmjs.example/x"),
            ('"resol', 'ved": "x"'),
            ("-----BEGIN EC PRI", "VATE KEY-----"),
        )
    ]
    assert all(any(pattern.search(text) for pattern in BANNED) for text in bad)
