"""Releases N, N−1 and N−2 of this tree, as images unpacked: what runs of one and the same store while a release goes out.

N knows a kind of entry that the others do not, and its robot writes one each time it starts.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from oppet.drivers import images
from oppet.signing.build import Plan, build_release
from tests.conftest import ROOT

__all__ = ["FUTURE", "NEW", "OLD", "OLDER", "lib_of", "robot", "running", "soon"]

NEW, OLD, OLDER = "0.9.0", "0.8.0", "0.7.0"
FUTURE = "from_the_future"
START_S = 60.0
BOOT = (
    "import runpy, sys; lib, module = sys.argv[1:3]; sys.path.insert(0, lib); del sys.argv[:2]; import oppet; "
    "assert oppet.__file__.startswith(lib), oppet.__file__; runpy.run_module(module, run_name='__main__', alter_sys=True)"
)


@cache
def _made() -> TemporaryDirectory[str]:
    return TemporaryDirectory()


@cache
def lib_of(version: str) -> Path:
    """A release of this tree that calls itself `version`, unpacked as in a slot."""
    folder = Path(_made().name) / version
    tree = folder / "tree"
    shutil.copytree(ROOT / "oppet", tree / "oppet", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "requirements", tree / "requirements")
    _edit(tree / "oppet" / "__init__.py", '__version__ = "', f'__version__ = "{version}"  # "')
    if version == NEW:
        kinds = tree / "oppet" / "journal" / "kinds.py"
        later = 'class FromTheFuture(Body, frozen=True):\n    what: str = "nobody knew this before"\n\n\n'
        _edit(kinds, "KINDS: dict[", later + "KINDS: dict[")
        writes = 'till.sign_in(Staff(ROBOT, "cashier"))'
        later = "__import__('oppet.journal.kinds').journal.kinds.FromTheFuture()"
        _edit(tree / "oppet" / "demo" / "robot.py", writes, f"{writes}; till.desk.write({later})")
    built = build_release(tree, folder, Plan(int(version.split(".")[1])))
    images.unpack(built.image, built.software, folder / "slot")
    return folder / "slot" / "lib"


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, path
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@contextmanager
def running(version: str, module: str, *words: str) -> Iterator[dict[str, object]]:
    """A process of that release; gives what its first line said."""
    command = [sys.executable, "-I", "-c", BOOT, str(lib_of(version)), module, *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline() or b"{}")
    finally:
        process.terminate()
        process.wait(START_S)
        process.stdout.close()


def robot(version: str, settings: Path) -> list[str]:
    return [version, "oppet.demo.robot", str(settings), "4711", "0.01", "0.05"]


def soon(true: Callable[[], object], what: Callable[[], str]) -> None:
    until = time.monotonic() + START_S
    while not true():
        assert time.monotonic() < until, what()
        time.sleep(0.05)
