"""Every verb has help, loads, and answers with the exit code of its error's family."""

import subprocess
import sys
from importlib import import_module

import pytest

from oppet import __version__
from oppet.base.errors import RefusedError, UnavailableError, UntrustedError
from oppet.cli import MISTYPED, ROOMS, VERBS, Verb, command, explain, run

HERE = __name__


def refuse(*, json: bool = False) -> None:
    """Refuse."""
    raise RefusedError(till="till-1")


def distrust() -> None:
    """Distrust."""
    raise UntrustedError


def be_away() -> None:
    """Be away."""
    raise UnavailableError


def go(path: str, *, times: int = 1) -> int:
    """Go somewhere.

    Parameters
    ----------
    path
        Where to.
    times
        How often.
    """
    return 40 + times + len(path)


TRIAL = {
    "refuse": Verb("tests.house.test_command:refuse", "Refuse."),
    "journal distrust": Verb("tests.house.test_command:distrust", "Distrust."),
    "away": Verb("tests.house.test_command:be_away", "Be away."),
    "go": Verb("tests.house.test_command:go", "Go somewhere."),
}


def test_h5_every_verb_of_the_table_has_help() -> None:
    for name, verb in VERBS.items():
        module, _, function = verb.target.partition(":")
        target = getattr(import_module(module), function)
        assert target.__doc__, f"oppet {name}: its function has no docstring"
        assert verb.help.endswith("."), f"oppet {name}: its line in the table is no sentence"
        assert name.count(" ") <= 1, f"oppet {name}: at most a room and a verb"


@pytest.mark.parametrize("verbs", [VERBS, TRIAL], ids=["ours", "trial"])
def test_h5_help_is_given_for_every_verb(verbs: dict[str, Verb], capsys: pytest.CaptureFixture[str]) -> None:
    app = command(ROOMS, verbs)
    for name, verb in verbs.items():
        assert run([*name.split(), "--help"], app) == 0
        assert verb.help.split(maxsplit=1)[0] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("refuse", 1),
        ("journal distrust", 2),
        ("away", 3),
        ("go", MISTYPED),
        ("go there --times 2", 47),
        ("nowhere", MISTYPED),
    ],
)
def test_h5_the_exit_code_says_who_must_act(words: str, code: int) -> None:
    assert run(words.split(), command(ROOMS, TRIAL)) == code


def test_a_program_gets_the_facts_as_json() -> None:
    assert '"facts": {"till": "till-1"}' in explain(RefusedError(till="till-1"), as_json=True)


def test_the_command_starts_without_loading_a_place() -> None:
    probe = (
        "import sys, oppet.cli; oppet.cli.command();"
        "print(sorted(m for m in sys.modules if m.startswith(('oppet.till', 'oppet.drivers', 'litestar', 'apsw'))))"
    )
    answer = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_the_module_is_the_same_command() -> None:
    answer = subprocess.run([sys.executable, "-m", "oppet", "--version"], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == __version__
