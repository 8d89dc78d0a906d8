"""Every sentence of every error can be said with the facts it is raised with."""

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import oppet
from oppet.base.errors import OppetError, RefusedError, UnavailableError, UntrustedError, clip

ROOMS = ["base", "bench", "drivers", "fiscal", "goods", "journal", "payments", "sale", "till"]
SOURCE = Path(oppet.__file__).parent


def modules() -> Iterator[str]:
    for room in ROOMS:
        if (SOURCE / room / "__init__.py").exists():
            yield from (f"oppet.{room}.{found.name}" for found in pkgutil.iter_modules([str(SOURCE / room)]))


def leaves() -> list[type[OppetError]]:
    for module in modules():
        importlib.import_module(module)
    found, todo = [], [OppetError]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        if kind.__module__.startswith("oppet.") and "sentence" in vars(kind) and kind is not OppetError:
            found.append(kind)
    return sorted(set(found), key=lambda kind: kind.__name__)


LEAVES = leaves()


def holes(kind: type[OppetError]) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(kind.sentence) if name is not None}


@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_h8_a_leaf_says_its_sentence_with_its_facts(kind: type[OppetError]) -> None:
    assert issubclass(kind, RefusedError | UntrustedError | UnavailableError), "it says who must act"
    assert kind.exit_code in (1, 2, 3)
    assert all(hole.isidentifier() for hole in holes(kind)), "facts are named, never numbered"
    said = str(kind(**{hole: f"<{hole}>" for hole in holes(kind)}))
    assert all(f"<{hole}>" in said for hole in holes(kind))


def raised() -> Iterator[tuple[str, type[OppetError], set[str]]]:
    """Every place in the tree that makes a leaf by its name: where, which, and the facts it is given."""
    known = {kind.__name__: kind for kind in LEAVES}
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            where = f"{path.relative_to(SOURCE)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in known:
                if all(word.arg is not None for word in node.keywords):
                    assert not node.args, f"{where}: facts have names"
                    yield where, known[node.func.id], {word.arg for word in node.keywords if word.arg is not None}
            elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name) and node.exc.id in known:
                yield where, known[node.exc.id], set()


def test_h8_nobody_raises_a_leaf_without_the_facts_its_sentence_needs() -> None:
    places = list(raised())
    assert len(places) > 100, "this test looks at nothing"
    wrong = [f"{where} {kind.__name__}: {holes(kind) ^ facts}" for where, kind, facts in places if holes(kind) != facts]
    assert wrong == []


@given(st.text(max_size=300), st.integers(1, 100))
def test_p1_a_fact_is_one_printable_line_of_bounded_length(text: str, longest: int) -> None:
    shown = clip(text, longest)
    assert len(shown) <= max(longest, 1)
    assert shown.isprintable()


def test_h8_braces_in_a_fact_are_only_text() -> None:
    class ShownError(RefusedError):
        sentence = "{name} is refused."

    error = ShownError(name="{evil} {0} {name!r:>999999}")
    assert str(error) == "{evil} {0} {name!r:>999999} is refused."
