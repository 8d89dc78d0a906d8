from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tuf.api.exceptions import DownloadHTTPError

from oppet.base.errors import OppetError
from oppet.drivers.publication_sources import FolderSource, HttpSource, Limits, Source
from oppet.release.errors import PublicationAwayError, TargetRefusedError
from tests.drivers.pub_http import Tree, chunked, cut, drip, flood, redirect, says, serving

HASTY = Limits(answer_s=0.3, window_s=0.2, least_rate=2_000, file_s=1.0)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    base = tmp_path_factory.mktemp("tree")
    (base / "chain").mkdir()
    (base / "chain" / "a.json").write_bytes(b"what was published")
    (base / "chain" / "long.json").write_bytes(bytes(300_000))
    with serving(base) as tree:
        yield tree


@pytest.fixture
def source(tree: Tree) -> Iterator[HttpSource]:
    tree.twists.clear()
    tree.asked.clear()
    source = HttpSource("node", tree.url, limits=HASTY)
    yield source
    source.close()


def refused(source: Source, path: str, most: int = 1000) -> str:
    with pytest.raises(TargetRefusedError) as caught:
        source.read(path, most)
    return str(caught.value.facts["why"])


def away(source: Source, path: str, most: int = 1000) -> str:
    with pytest.raises(PublicationAwayError) as caught:
        source.read(path, most)
    return str(caught.value.facts["reason"])


def test_a_file_comes_whole_and_is_counted(source: HttpSource) -> None:
    assert source.read("chain/a.json", 18) == b"what was published"
    assert source.read("chain/long.json", 300_000) == bytes(300_000)
    assert source.bytes == 300_018


def test_one_connection_is_enough_also_after_a_file_that_is_not_there(source: HttpSource) -> None:
    source.read("chain/a.json", 18)
    line = source._line
    with pytest.raises(DownloadHTTPError) as caught:
        source.download_bytes("chain/nothing.json", 18)
    assert caught.value.status_code == 404
    source.read("chain/a.json", 18)
    assert line is not None
    assert source._line is line


def test_a_connection_that_the_other_end_let_go_is_opened_anew(source: HttpSource, tree: Tree) -> None:
    tree.twists["a.json"] = cut(b"once", 4)
    assert source.read("chain/a.json", 18) == b"once"
    tree.twists.clear()
    time.sleep(0.05)
    assert source.read("chain/a.json", 18) == b"what was published"


def test_rl7_more_bytes_than_asked_for_are_not_read(source: HttpSource, tree: Tree) -> None:
    assert refused(source, "chain/long.json", 299_999) == "endless"
    tree.twists["a.json"] = flood()
    assert refused(source, "chain/a.json", 100_000) == "endless"
    assert source.bytes < 300_000
    tree.twists.clear()
    assert source.read("chain/a.json", 18) == b"what was published"


def test_rl7_a_drip_is_given_up_long_before_its_end(source: HttpSource, tree: Tree) -> None:
    tree.twists["a.json"] = drip(0.02)
    began = time.monotonic()
    assert refused(source, "chain/a.json") == "slow"
    assert time.monotonic() - began < 0.9


def test_rl7_bytes_that_keep_the_pace_still_have_one_deadline(source: HttpSource, tree: Tree) -> None:
    tree.twists["a.json"] = drip(0.02, b"x" * 200, 1_000)
    with source.within(0.3):
        assert refused(source, "chain/a.json", 1 << 20) == "slow"


def test_rl7_a_server_that_says_nothing_is_away(source: HttpSource, tree: Tree) -> None:
    tree.twists["a.json"] = lambda handler: time.sleep(0.5)
    assert away(source, "chain/a.json") == "node: no answer in time"


def test_a_slow_reader_makes_nobody_slow(source: HttpSource, tree: Tree) -> None:
    tree.twists["a.json"] = chunked(b"x" * 65536, 8)
    came = 0
    for piece in source.stream("chain/a.json", 1 << 20):
        came += len(piece)
        time.sleep(0.02)
    assert came == 8 * 65536


def test_rl7_nobody_is_sent_on_to_somewhere_else(source: HttpSource, tree: Tree) -> None:
    tree.twists["a.json"] = redirect("/pub/chain/long.json")
    assert away(source, "chain/a.json") == "chain/a.json: HTTP 302"
    assert tree.asked == ["chain/a.json"]


def test_a_line_that_dies_is_no_attack(source: HttpSource, tree: Tree) -> None:
    tree.twists["a.json"] = cut(b"what was published", 7)
    assert away(source, "chain/a.json") == "node: cut after 7 of 18 bytes"
    tree.twists["a.json"] = says(b"trouble", 500)
    assert away(source, "chain/a.json") == "chain/a.json: HTTP 500"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/pub", "gopher://x/", "http://[", "http://127.0.0.1:99999/"])
def test_nobody_there_is_away(url: str) -> None:
    assert away(HttpSource("node", url, limits=HASTY), "chain/a.json")


def test_proxies_of_the_environment_are_not_asked(source: HttpSource, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert source.read("chain/a.json", 18) == b"what was published"


def test_another_certificate_is_asked_nothing(tree: Tree, tmp_path: Path) -> None:
    with serving(tree.base, tmp_path / "tls.pem") as secure:
        known = HttpSource("node", secure.url, secure.pin, HASTY)
        assert known.read("chain/a.json", 18) == b"what was published"
        known.close()
        secure.asked.clear()
        between = HttpSource("node", secure.url, "00" * 32, HASTY)
        assert "another certificate" in away(between, "chain/a.json")
        assert secure.asked == []


# ---------------------------------------------------------------- a stick


def test_a_stick_is_read_like_any_other(tree: Tree) -> None:
    stick = FolderSource("stick", tree.base)
    assert stick.read("chain/a.json", 18) == b"what was published"
    assert stick.bytes == 18
    assert refused(stick, "chain/long.json", 299_999) == "endless"
    assert away(FolderSource("stick", tree.base / "out"), "chain/a.json")


@pytest.mark.parametrize(
    "path", ["../secret", "chain/../../secret", "/etc/passwd", "chain//a.json", "chain/.", "", "chain/\0a", "chain",
             "link.json", "linked/secret", "pipe", "none.json"],
)  # fmt: skip
def test_rl7_only_plain_files_of_the_stick_are_read(tmp_path: Path, path: str) -> None:
    base = tmp_path / "stick"
    (base / "chain").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"the till's own")
    (base / "link.json").symlink_to(tmp_path / "secret")
    (base / "linked").symlink_to(tmp_path)
    os.mkfifo(base / "pipe")
    stick = FolderSource("stick", base)
    with pytest.raises(DownloadHTTPError):
        stick.download_bytes(path, 1000)
    with pytest.raises(OppetError):
        stick.read(path, 1000)
