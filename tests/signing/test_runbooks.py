"""The runbooks are true: every command they print is typed as it stands, in their order, and works (RL15)."""

import re
import shutil
from pathlib import Path

import msgspec
import pytest

from oppet.cli import command, run
from oppet.drivers.repositories import Repository
from oppet.release.terms import Software, read
from tests.conftest import ROOT
from tests.release.chain import a_pace, a_word, key_of
from tests.signing.people import quick

PAGES = ROOT / "docs" / "runbooks"
APP = command()
BLOCK = re.compile(r"```(sh|json)\n(.*?)```", re.DOTALL)
SAID = ("S01-K1", "S01-K2", "S02-K1", "S02-K2")
KEY = re.compile(r"(S0[12]-K[12]):1:[0-9a-f]{64}")


class Desk:
    """A reader of runbooks whose sticks are folders."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.words: dict[str, str] = {}
        (root / "media/work").mkdir(parents=True)

    def follow(self, page: str) -> int:
        """Type every block of a page; give how many commands there were."""
        typed = 0
        for kind, block in BLOCK.findall((PAGES / page).read_text(encoding="utf-8")):
            if kind == "json":
                (self.root / "media/work/base.json").write_text(block)
                continue
            for line in re.split(r"\n| && ", block.replace("\\\n", " ").strip()):
                typed += self._type(line.split())
        return typed

    def _type(self, words: list[str]) -> int:
        words = [self._said(word) for word in words]
        match words:
            case ["export", *rest]:
                self.words.update(dict(word.split("=", 1) for word in rest))
            case ["cp", *files, into]:
                for file in files:
                    shutil.copy(file, into)
            case ["oppet", "release", "build", *_]:
                self._built(Path(words[3]), int(words[-1]))
            case ["oppet", *rest]:
                if "--statements" in rest:
                    self._statements(Path(rest[-1]))
                more = ["--yes"] if "sign-as" in rest[1] else []
                assert run([*rest, *more], APP) == 0, words
            case _:
                pytest.fail(f"a runbook prints what nobody types: {words}")
        return 1

    def _said(self, word: str) -> str:
        """What the shell makes of a word, and our own trial tills' keys instead of the page's."""
        word = re.sub(r"\$(\w+)", lambda found: self.words[found[1]], word)
        word = KEY.sub(lambda found: f"{found[1]}:1:{key_of(found[1]).public.hex()}", word)
        return word.replace("=/media/", f"={self.root}/media/")

    def _built(self, into: Path, number: int) -> None:
        """What `oppet release build` writes; that it writes the same for both is tests/signing/test_build.py's."""
        into.mkdir(exist_ok=True)
        image = b"image %d " % number * 3000
        (into / f"till-{number}.tar").write_bytes(image)
        software = {"release": number, "version": f"0.{number}.0", "role": "till", "hw": "any"}
        (into / f"till-{number}.software.json").write_bytes(msgspec.json.encode(software))

    def _statements(self, file: Path) -> None:
        listed = Repository(self.root / "media/work/pub/chain").target("targets", "software/till-7.index")
        image = read(listed.custom, Software, listed.path).image
        file.write_bytes(b"\n".join(msgspec.json.encode(a_word(one, image)) for one in a_pace().canaries[:3]))


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        desk = Desk(tmp_path_factory.mktemp("runbooks"))
        assert desk.follow("key-ceremony.md") == 8
        assert desk.follow("publish-a-release.md") > 10
    return desk


@pytest.mark.parametrize("page", ["key-lost.md", "emergency-release.md", "key-stolen.md"])
def test_rl15_every_runbook_works_as_it_is_printed(
    held: Desk, page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    desk = Desk(tmp_path / "here")
    shutil.copytree(held.root / "media", desk.root / "media", dirs_exist_ok=True)
    assert desk.follow(page) > 10
    assert Repository(desk.root / "media/work/pub/chain").drafts() == ()


def test_every_runbook_is_followed_here() -> None:
    signing = {"key-ceremony.md", "publish-a-release.md", "key-lost.md", "key-stolen.md", "emergency-release.md"}
    assert signing <= {page.name for page in PAGES.glob("*.md")}
