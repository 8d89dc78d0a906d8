"""Every sentence a person reads is in the catalogues, and the Swedish one is complete."""

import re
import tomllib
from io import BytesIO

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from tests.conftest import ROOT

LOCALE = ROOT / "oppet" / "drivers" / "locale"
FACT = re.compile(r"%\(\w+\)[sd]|\{\w*[^{}]*\}")


def catalogue(language: str) -> Catalog:
    data = (LOCALE / language / "LC_MESSAGES" / "oppet.po").read_bytes()
    return read_po(BytesIO(data), locale=language, abort_invalid=True)


def sentences_in_the_code() -> set[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    methods = [(mapping["pattern"], mapping["method"]) for mapping in settings["tool"]["babel"]["mappings"]]
    found: set[str] = set()
    for _file, _line, message, _comments, _context in extract_from_dir(ROOT, methods):
        found.update([message] if isinstance(message, str) else message[:1])
    return found


def translations(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string or [])


@pytest.mark.parametrize("language", ["sv", "en"])
def test_h8_every_sentence_in_the_code_is_in_the_catalogue(language: str) -> None:
    known = {message.id if isinstance(message.id, str) else message.id[0] for message in catalogue(language)}
    assert sorted(sentences_in_the_code() - known) == [], "run `make words`"


def test_h8_the_swedish_catalogue_is_complete() -> None:
    missing = [m.id for m in catalogue("sv") if m.id and (m.fuzzy or not all(translations(m)))]
    assert missing == []


@pytest.mark.parametrize("language", ["sv", "en"])
def test_h8_a_translation_keeps_the_facts_of_its_sentence(language: str) -> None:
    changed = []
    for message in catalogue(language):
        if message.id:
            ids = [message.id] if isinstance(message.id, str) else list(message.id)
            facts = {fact for text in ids for fact in FACT.findall(text)}
            changed += [text for text in translations(message) if text and not set(FACT.findall(text)) <= facts]
            if isinstance(message.id, str) and message.string and set(FACT.findall(str(message.string))) != facts:
                changed.append(message.id)
    assert changed == []


def test_no_sentence_is_kept_that_nobody_says() -> None:
    said = sentences_in_the_code()
    stale = [m.id for m in catalogue("sv") if m.id and (m.id if isinstance(m.id, str) else m.id[0]) not in said]
    assert stale == [], "run `make words`"
