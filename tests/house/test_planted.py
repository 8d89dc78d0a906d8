"""Planted bugs go stale in silence: each must still stand exactly once in the source it is planted into, the slow ones too."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal import planted as rehearsed
from tests.rollout import planted as rolled_out
from tests.sim import planted as simulated

ALL: Mapping[str, Mapping[str, Any]] = {
    "sim": simulated.BUGS,
    "rehearsal": rehearsed.BUGS,
    "rollout": rolled_out.BUGS,
}


@pytest.mark.parametrize("where", ALL)
def test_h1_every_planted_bug_fits_the_source_it_is_planted_into(where: str) -> None:
    wrong = []
    for name, bug in ALL[where].items():
        spec = find_spec(bug.module)
        assert spec is not None, bug.module
        assert spec.origin is not None
        text = Path(spec.origin).read_text(encoding="utf-8")
        wrong += [f"{name}: {old[:60]!r}" for old, _ in bug.changes if text.count(old) != 1]
    assert wrong == []
