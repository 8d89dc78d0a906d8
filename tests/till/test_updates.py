"""A till over two real repositories in a folder: what its settings name is looked at, judged and written down while it sells."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from oppet.base.errors import SettingsError
from oppet.drivers.clock import SystemClock
from oppet.journal.kinds import AlarmRaised, Body
from oppet.journal.kinds_published import Attested, PaceHeld, PublicationRefused, ReleaseSeen, TrustMoved
from oppet.release.errors import PublicationMalformedError
from oppet.release.terms import CHAIN, VENDOR
from oppet.till.epochs import newest
from oppet.till.main import Opened
from oppet.till.settings import read_settings
from tests.drivers.test_upload import until
from tests.release.chain import a_canary, a_pace, a_word
from tests.release.signed import World, a_world
from tests.till.test_epochs import bodies, running, settings_in
from tests.till.test_settings import GOOD


def a_till(tmp_path: Path, world: World, **more: object) -> Path:
    """Settings of a till that looks into the folder of `world`."""
    for name, root in world.roots.items():
        (tmp_path / f"{name}.root.json").write_bytes(root)
    publications = {
        "vendor_root": str(tmp_path / "vendor.root.json"), "chain_root": str(tmp_path / "chain.root.json"),
        "sources": [{"folder": str(world.base)}], "look_s": 1, "hours": {"install": ["00:00-24:00"]},
    }  # fmt: skip
    return settings_in(tmp_path / "till", publications=publications | more)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = a_world(tmp_path_factory.mktemp("world"), now=SystemClock().now(), pace=a_pace())
    software = made.release(2)
    made.choose(2)
    made.vouch(software.image, [a_word(canary, software.image) for canary in a_pace().canaries[:2]])
    made.release(3, b"nobody else's", by=(VENDOR,))
    return made


def look(opened: Opened) -> None:
    """Tick until a look has been heard."""
    assert opened.updates is not None
    updates, before = opened.updates, opened.updates.intake.found
    updates.takers.look()

    def ticked() -> bool:
        updates.tick()
        return updates.intake.found is not before

    until(ticked)


def of(kind: type[Body], settings: Path) -> list[Body]:
    return [body for body in bodies(newest(settings.parent / "var")) if isinstance(body, kind)]


def test_rl1_rl10_rl14_what_the_settings_name_is_looked_at_judged_and_written_down(
    tmp_path: Path, world: World
) -> None:
    settings, before = a_till(tmp_path, world), set(threading.enumerate())
    with running(settings) as opened:
        look(opened)
        assert opened.updates is not None
        opened.updates.tick()
        candidate = opened.updates.intake.candidate
        assert candidate is not None
        assert (candidate.agreed.software.release, candidate.verdict.why) == (2, "no_evidence")
        assert (candidate.evidence.tills, candidate.evidence.strangers) == (2, 0)
    assert set(threading.enumerate()) - before == set()
    seen, refused = of(ReleaseSeen, settings), of(PublicationRefused, settings)
    assert [(body.release, body.why) for body in seen if isinstance(body, ReleaseSeen)] == [(2, "no_evidence")]
    assert [(body.release, body.why) for body in refused if isinstance(body, PublicationRefused)] == [(3, "one_party")]
    assert len(of(PaceHeld, settings)) == len(of(TrustMoved, settings)) == len(of(AlarmRaised, settings)) == 1
    assert [body.why for body in of(Attested, settings) if isinstance(body, Attested)] == ["start"]

    with running(settings) as opened:  # the next run knows all of it, and says nothing twice
        look(opened)
    assert len(of(PublicationRefused, settings)) == len(of(PaceHeld, settings)) == len(of(TrustMoved, settings)) == 1


def test_rl10_a_folder_of_trust_that_was_wiped_and_old_lists_move_nothing(tmp_path: Path) -> None:
    made = a_world(tmp_path / "w", now=SystemClock().now(), pace=a_pace())
    old = {file: file.read_bytes() for file in made.base.rglob("*") if file.is_file()}
    made.release(2)
    settings = a_till(tmp_path, made)
    with running(settings) as opened:
        look(opened)
    trust = newest(settings.parent / "var").journal.parent / "publications"
    for file in [*made.base.rglob("*"), *trust.rglob("*")]:
        if file.is_file():
            file.unlink()
    for file, data in old.items():
        file.write_bytes(data)
    with running(settings) as opened:
        updates = opened.updates
        assert updates is not None

        def refused() -> bool:
            updates.tick()
            return bool(updates.intake.ledger.told)

        until(refused)
        assert updates.intake.candidate is None
    said = [(body.what, body.why) for body in of(PublicationRefused, settings) if isinstance(body, PublicationRefused)]
    assert said[0] == ("metadata", "rollback")
    assert len(of(TrustMoved, settings)) == 1


def test_rl2_a_till_wants_both_roots_and_a_pace(tmp_path: Path, world: World) -> None:
    settings = a_till(tmp_path, world)
    (tmp_path / "chain.root.json").write_bytes(world.roots[VENDOR])
    before = set(threading.enumerate())
    with pytest.raises(PublicationMalformedError), running(settings):
        pass
    assert set(threading.enumerate()) - before == set()
    assert world.roots.keys() == {VENDOR, CHAIN}


def test_rl5_the_pace_of_the_first_root_is_the_one_that_counts(tmp_path: Path, world: World) -> None:
    settings = a_till(tmp_path, world)
    with running(settings):
        pass
    other = a_world(tmp_path / "o", now=SystemClock().now(), pace=a_pace(canaries=(a_canary("S01", "S01-K3"),) * 1))
    (tmp_path / "chain.root.json").write_bytes(other.roots[CHAIN])
    with running(settings) as opened:
        assert opened.updates is not None
        assert opened.updates.intake.ledger.pace_of()[0] == a_pace()


BAD = [
    ({"vendor_root": "v.json"}, "chain_root"),
    ({"vendor_root": "v", "chain_root": "c", "sources": []}, "sources"),
    ({"vendor_root": "v", "chain_root": "c", "sources": [{"url": "https://n/pub", "folder": "x"}]}, "source 1"),
    ({"vendor_root": "v", "chain_root": "c", "sources": [{}]}, "source 1"),
    ({"vendor_root": "v", "chain_root": "c", "sources": [{"url": "file:///etc/passwd"}]}, "url"),
    ({"vendor_root": "v", "chain_root": "c", "hours": {"install": ["25:00-07:00"]}}, "install"),
    ({"vendor_root": "v", "chain_root": "c", "look_s": 0}, "look_s"),
    ({"vendor_root": "v", "chain_root": "c", "need_both": False}, "need_both"),
]


@pytest.mark.parametrize(("said", "named"), BAD, ids=[named for _, named in BAD])
def test_rl2_t8_a_mistake_in_the_settings_is_named_and_none_of_them_weakens_both(
    said: dict[str, object], named: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings(json.dumps(GOOD | {"publications": said}).encode(), "till.json")
    assert named in str(refused.value)
