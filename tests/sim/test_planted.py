"""The proof that the simulation can fail: bugs in the production source, each found within its budget and named.

`make test` looks where each was first found; `make sim-planted` looks from seed 1 on. The source without a bug passes
the same seeds (`test_world.py`, and here in one process of its own).
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.sim.planted import BUGS, NO_FIT

LONG = 40  # seeds
LIMIT_S = 300


def look(name: str, first: int, count: int, seconds: int, tills: int) -> dict[str, Any]:
    """Plant a bug in a process of its own and look for it."""
    words = [sys.executable, "-m", "tests.sim.planted", name, *map(str, (first, count, seconds, tills))]
    answer = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert answer.returncode != NO_FIT, answer.stderr
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


QUICK = [name for name, bug in BUGS.items() if bug.quick]


def test_there_are_enough_bugs_and_most_of_them_are_found_at_once() -> None:
    assert len(BUGS) >= 12
    assert len(QUICK) >= 12


@pytest.mark.parametrize("name", QUICK)
def test_k1_k3_k4_k5_k6_k7_k11_k15_a_planted_bug_is_found(name: str) -> None:
    bug = BUGS[name]
    found = look(name, bug.seed, 1, bug.seconds, bug.tills)
    assert found["seed"] == bug.seed, "not found"
    assert found["law"] in bug.laws, found


def test_the_source_without_a_bug_passes_where_bugs_are_found() -> None:
    assert look("no bug", 1, 1, 3_600, 2)["seed"] is None


@pytest.mark.long
@pytest.mark.planted
@pytest.mark.parametrize("name", BUGS)
def test_k12_a_planted_bug_is_found_from_seed_one_on(name: str) -> None:
    bug = BUGS[name]
    found = look(name, 1, LONG, bug.seconds, bug.tills)
    assert found["seed"] is not None, "not found"
    assert found["law"] in bug.laws, found
