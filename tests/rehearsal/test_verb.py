"""`oppet rehearse`: what it prints, and what it exits with."""

from __future__ import annotations

import json

import pytest

from oppet.rehearsal import verb
from oppet.rehearsal.laws import Broken
from oppet.rehearsal.world import Result


def test_it_tells_what_was_tried(capsys: pytest.CaptureFixture[str]) -> None:
    assert verb.rehearse(tenders=1, seed=3, processes=1, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["runs"], told["broken"]) == (1, [])
    assert told["tenders"] > 20
    assert told["checked"]["believed is true"] > 10


def test_a_broken_law_is_an_exit_code_and_says_how_to_run_it_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Result(9, 3, (Broken("3", "charged twice"),), {}, {}, {}, 0, 0, 0)
    monkeypatch.setattr(verb, "run", lambda seed: broken)
    assert verb.rehearse(tenders=1, seed=9, processes=1) == 1
    said = capsys.readouterr()
    assert "oppet rehearse --seed 9 --tenders 1" in said.err
    assert "charged twice" in said.out
