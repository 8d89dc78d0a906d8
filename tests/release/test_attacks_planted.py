"""The proof that the table can fail: with a hole in the till's real client the attack comes out otherwise than the table says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from tuf.api.metadata import Signed, TargetFile, VerificationResult

from oppet.drivers import publications
from oppet.drivers.publications import Publications
from oppet.release.agree import Agreed, Disagreed, Listed, agree
from tests.release import attacks
from tests.release.attacks import ROWS, Scene

Patch = pytest.MonkeyPatch
DAYS_MS = 9 * 86_400_000


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return attacks.a_scene(tmp_path_factory.mktemp("attacks"))


def _one_repository(patch: Patch) -> None:
    def chain_alone(
        _: Mapping[str, Listed], chain: Mapping[str, Listed]
    ) -> tuple[tuple[Agreed, ...], tuple[Disagreed, ...]]:
        return agree(chain, chain)

    patch.setattr(publications, "agree", chain_alone)


def _expired_is_fine(patch: Patch) -> None:
    patch.setattr(Signed, "is_expired", lambda *_: False)


def _the_caches_clock(patch: Patch) -> None:
    """The time is what a list says that it is of: whoever keeps old lists keeps an old time with them."""
    look = Publications.look

    def looked(self: Publications, sources: Any, now_ms: int, **more: Any) -> Any:
        return look(self, sources, now_ms - DAYS_MS if now_ms > DAYS_MS else now_ms, **more)

    patch.setattr(Publications, "look", looked)


def _one_signature(patch: Patch) -> None:
    patch.setattr(VerificationResult, "verified", property(lambda self: bool(self.signed)))


def _bytes_unread(patch: Patch) -> None:
    patch.setattr(TargetFile, "verify_length_and_hashes", lambda *_: None)


PLANTED: list[tuple[str, Callable[[Patch], None], str, str]] = [
    ("one repository is skipped", _one_repository, "arbitrary install", "chain"),
    ("expired lists are accepted for installing", _expired_is_fine, "freeze", "vendor"),
    ("the cache's clock is trusted", _the_caches_clock, "freeze", "node"),
    ("one signature is enough", _one_signature, "one key of every threshold", "both"),
    ("a target's digest is not compared", _bytes_unread, "swapped bytes of a target", "node"),
]


@pytest.mark.parametrize(("plant", "row", "column"), [each[1:] for each in PLANTED], ids=[each[0] for each in PLANTED])
def test_rl1_rl6_rl13_a_hole_in_the_client_is_found_by_the_table(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, plant: Callable[[Patch], None], row: str, column: str
) -> None:
    found = next(one for one in ROWS if one.name == row)
    assert attacks.ran(scene, found, column) == found.cells[column], "well without the hole"
    plant(monkeypatch)
    try:
        came = attacks.ran(scene, found, column)
    except AssertionError as caught:
        came = f"caught: {caught}"
    assert came != found.cells[column]
