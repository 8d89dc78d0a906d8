"""`oppet rollout`: what it prints, and what it exits with."""

from __future__ import annotations

import json

import pytest

from oppet.rollout import verb
from oppet.rollout.laws import Broken
from oppet.rollout.world import Result


def a_result(*broken: Broken) -> Result:
    return Result(4, ("nodes",), False, "none", broken, {}, {}, {}, {}, {}, {}, 8, 100, {"honest": [], "poison": []})


def test_it_tells_what_was_tried(capsys: pytest.CaptureFixture[str]) -> None:
    assert verb.rollout(seeds=1, seed=3, stores=8, tills=2, hours=12, processes=1, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["runs"], told["stores"], told["broken"]) == (1, 8, [])
    assert told["till_hours"] > 50


def test_a_broken_law_is_an_exit_code_and_says_how_to_run_it_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "run", lambda seed, **_: a_result(Broken("5 pace", "before its turn")))
    assert verb.rollout(seeds=1, seed=4, stores=8, tills=2, thief="nodes", processes=1) == 1
    said = capsys.readouterr()
    assert "oppet rollout --seed 4 --seeds 1 --stores 8 --tills 2 --hours 120 --thief nodes" in said.err
    assert "before its turn" in said.out
