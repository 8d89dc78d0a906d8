"""Every rule of docs/rules*.md has a test, and every rule that anybody cites exists."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

ROW = re.compile(r"^\| ([A-Z]{1,3}\d{1,2}) \|", re.MULTILINE)
TEST_NAME = re.compile(r"^test_((?:[a-z]{1,3}\d{1,2}_)+)")
PERCENTILES = {"P50", "P95", "P99"}


def rules() -> list[str]:
    pages = sorted((ROOT / "docs").glob("rules*.md"))
    return [rule for page in pages for rule in ROW.findall(page.read_text(encoding="utf-8"))]


def citation() -> re.Pattern[str]:
    """Match a rule's number as people write it; "key F2" and "GTIN-14" are none."""
    prefixes = "|".join(sorted({rule.rstrip("0123456789") for rule in rules()}, key=len, reverse=True))
    # Only R counts from 01: S01 is a store.
    return re.compile(rf"(?<![\w#-])(?<!key )(R\d\d|(?:{prefixes})[1-9]\d?)(?![\w-]|:\d)")


def named(test: str) -> set[str]:
    """Give the rules that lead a test's name; `test_gs1_…` and `test_p99_…` are led by none."""
    match = TEST_NAME.match(test)
    words = {word.upper() for word in match[1].split("_") if word} if match else set()
    return {word for word in words - PERCENTILES if citation().fullmatch(word)}


def prose(source: str) -> Iterator[str]:
    """Give the comments and docstrings of a file: where people cite rules."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def python_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def rules_with_a_test() -> set[str]:
    found: set[str] = set()
    for path in python_files("tests"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found.update(named(node.name))
                found.update(citation().findall(ast.get_docstring(node) or ""))
    return found


def test_h1_every_rule_has_a_test() -> None:
    assert sorted(set(rules()) - rules_with_a_test()) == []


def test_h1_every_cited_rule_exists() -> None:
    known = set(rules())
    pattern = citation()
    unknown = []
    for path in python_files("oppet") + python_files("tests"):
        source = path.read_text(encoding="utf-8")
        cited = {rule for text in prose(source) for rule in pattern.findall(text)}
        if path.is_relative_to(ROOT / "tests"):
            cited |= {rule for test in re.findall(r"def (test_\w+)", source) for rule in named(test)}
        unknown += [f"{path.relative_to(ROOT)} cites {rule}" for rule in sorted(cited - known)]
    assert unknown == []


def test_no_rule_is_numbered_twice() -> None:
    assert sorted(rules()) == sorted(set(rules()))
