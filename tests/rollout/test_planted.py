"""The proof that the simulated chain can fail: bugs in the rules that a till obeys, each found and named by law 5.

`make test` looks for those that one run shows, all in one process; `make sim-planted` for every one. The source without a bug passes
(`test_world.py`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.rollout.planted import BUGS

ONE, MANY = 1, 40  # runs
LIMIT_S = 600
QUICK = [name for name, bug in BUGS.items() if bug.quick]


def look(most: int, *names: str) -> dict[str, dict[str, Any]]:
    """Plant each in a fork of a process of its own and look for it."""
    words = [sys.executable, "-m", "tests.rollout.planted", str(most), *names]
    answer = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert answer.returncode == 0, answer.stderr
    found: dict[str, dict[str, Any]] = json.loads(answer.stdout)
    return found


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, Any]]:
    return look(ONE, *QUICK)


def test_there_are_enough_bugs_and_most_of_them_are_found_at_once() -> None:
    assert len(BUGS) >= 20
    assert len(QUICK) >= 12


@pytest.mark.parametrize("name", QUICK)
def test_rl1_rl3_rl4_rl5_a_planted_bug_is_found(name: str, found: dict[str, dict[str, Any]]) -> None:
    assert found[name].get("seed"), found[name]
    assert found[name]["law"].startswith(BUGS[name].law), found[name]


@pytest.mark.long
@pytest.mark.planted
@pytest.mark.parametrize("name", BUGS)
def test_rl1_rl3_rl4_rl5_every_planted_bug_is_found(name: str) -> None:
    what = look(MANY, name)[name]
    assert what.get("seed"), what
    assert what["law"].startswith(BUGS[name].law), what
