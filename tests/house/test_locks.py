"""The locks: what a till carries is a list somebody read, every byte of it named by a hash."""

import re
import tomllib

import pytest

from tests.conftest import ROOT

PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*)(?:\[[a-z,]+\])?==(\S+)", re.MULTILINE)

# The till's whole closure. A new name here is a new way into every till: say in the commit why it is worth it.
TILL_CLOSURE = set(
    """
    anyio apsw argon2-cffi argon2-cffi-bindings attrs babel biip certifi cffi click colorama cryptography
    cyclopts docstring-parser faker h11 httpcore httptools httpx idna jinja2 litestar litestar-htmx
    markdown-it-py markupsafe mdurl msgspec multidict multipart polyfactory pycparser pygments pyserial pyyaml
    rich rich-click rich-rst securesystemslib segno sniffio tuf typing-extensions typst tzdata urllib3 uvicorn uvloop zstandard
    """.split()
)


def pins(lock: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / "requirements" / lock).read_text(encoding="utf-8")))


def asked(*extras: str) -> set[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = [line for extra in extras for line in settings["project"]["optional-dependencies"][extra]]
    return {re.split(r"[<>=!~;\[ ]", line, maxsplit=1)[0] for line in lines}


def test_h7_a_till_carries_exactly_what_this_list_names() -> None:
    assert set(pins("till.txt")) == TILL_CLOSURE


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("till.txt", ["till"]),
        ("store.txt", ["till", "store"]),
        ("hq.txt", ["till", "hq"]),
        ("dev.txt", ["till", "store", "hq", "dev"]),
    ],
)
def test_h7_a_lock_holds_everything_asked_for(lock: str, extras: list[str]) -> None:
    assert sorted(asked(*extras) - set(pins(lock))) == []


@pytest.mark.parametrize("lock", ["till.txt", "store.txt", "hq.txt", "dev.txt"])
def test_h7_every_locked_package_has_a_hash(lock: str) -> None:
    blocks = re.split(r"(?m)^(?=[a-z0-9])", (ROOT / "requirements" / lock).read_text(encoding="utf-8"))
    bare = [block.splitlines()[0] for block in blocks if block.strip() and "--hash=sha256:" not in block]
    assert bare == []


def test_h7_tests_run_on_the_versions_a_till_gets() -> None:
    dev = pins("dev.txt")
    for place in ("till.txt", "store.txt", "hq.txt"):
        assert {name: version for name, version in pins(place).items() if dev.get(name) != version} == {}
