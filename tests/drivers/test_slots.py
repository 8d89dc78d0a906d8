"""The launcher and the slots: one whole slot always starts, only checked code is loaded, and what does not prove itself gives way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from oppet.drivers import launcher, slots
from oppet.drivers.chunking import make_index
from oppet.drivers.launcher import Launcher
from oppet.drivers.publication_sources import FolderSource
from oppet.release.agree import Agreed
from oppet.release.errors import PublicationAwayError, TargetRefusedError
from oppet.release.ports import FAILED, FETCHING, READY, TESTING, Began, Slots
from tests.drivers.releases import (
    LOCK,
    a_slot_folder,
    digest,
    image_of,
    log_of,
    returned_of,
    run_launcher,
    staged,
)

WAIT_S = 30.0


def soon(true: Callable[[], object], what: str = "") -> None:
    until = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < until, what
        time.sleep(0.01)


@contextmanager
def running(place: Path, **limits: float) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(run_launcher(place, LOOK_S=0.01, **limits))
    try:
        yield process
    finally:
        process.terminate()
        process.wait(WAIT_S)


def order(place: Path, said: dict[str, object]) -> None:
    launcher.write(place / launcher.ORDER, said)


def chosen(place: Path) -> str:
    """What would start now."""
    one = Launcher(place, [])
    one.settle()
    found = one.choose()
    assert found is not None, "some slot is whole"
    return found[0]


def state(place: Path) -> dict[str, object]:
    return launcher.read(place / launcher.STATE)


# --- the launcher, by its own notes ------------------------------------------------------------------------------------


def test_rl11_a_new_release_has_two_starts_and_then_the_one_before_comes_back(tmp_path: Path) -> None:
    place = a_slot_folder(tmp_path)
    assert chosen(place) == "a"
    order(place, staged(place, 2))
    assert [chosen(place) for _ in range(4)] == ["b", "b", "a", "a"]
    said = returned_of(place)
    assert (said["release"], said["why"]) == (2, "did_not_start")


def test_rl11_a_release_that_said_it_works_stays_and_the_one_before_is_kept(tmp_path: Path) -> None:
    place = a_slot_folder(tmp_path)
    said = staged(place, 2)
    order(place, said)
    assert chosen(place) == "b"
    launcher.write(place / launcher.PROVEN, {"image": said["image"]})
    assert [chosen(place) for _ in range(3)] == ["b"] * 3
    assert not (place / launcher.RETURNED).exists()
    order(place, staged(place, 3))
    assert chosen(place) == "a", "the third goes where the first was: the second is what it falls back on"
    assert [chosen(place) for _ in range(2)] == ["a", "b"]


def test_rl11_the_word_that_another_release_works_proves_nothing(tmp_path: Path) -> None:
    place = a_slot_folder(tmp_path)
    order(place, staged(place, 2))
    launcher.write(place / launcher.PROVEN, {"image": "ee" * 32})
    assert [chosen(place) for _ in range(3)] == ["b", "b", "a"]


def test_rl11_an_order_for_something_else_than_was_tested_is_not_followed(tmp_path: Path) -> None:
    place = a_slot_folder(tmp_path)
    said = staged(place, 2)
    order(place, said | {"manifest": "ee" * 32})
    assert chosen(place) == "a"
    assert returned_of(place)["why"] == "slot_changed"
    for torn in (b"{torn", b'{"image": [], "manifest": {}}', b"[]", b'{"image": "x"}'):
        (place / launcher.ORDER).write_bytes(torn)
        assert chosen(place) == "a"


def test_rl11_a_note_that_cannot_be_read_any_more_does_not_stop_the_till(tmp_path: Path) -> None:
    place = a_slot_folder(tmp_path)
    said = staged(place, 2)
    order(place, said)
    assert chosen(place) == "b"
    launcher.write(place / launcher.PROVEN, {"image": said["image"]})
    assert chosen(place) == "b"
    (place / launcher.STATE).write_bytes(b"rotten")
    assert chosen(place) == "b"


def changed(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"RELEASE", b"RELEASE ") or b"#")
    path.chmod(0o444)


def linked(path: Path) -> None:
    path.parent.chmod(0o755)
    data = path.read_bytes()
    path.unlink()
    outside = path.parents[4] / "outside.py"
    outside.write_bytes(data)
    path.symlink_to(outside)
    path.parent.chmod(0o555)


def hard_linked(path: Path) -> None:
    os.link(path, path.parents[4] / "outside.py")


def writable(path: Path) -> None:
    path.chmod(0o466)


def gone(path: Path) -> None:
    path.parent.chmod(0o755)
    path.unlink()
    path.parent.chmod(0o555)


def one_more(path: Path) -> None:
    path.parent.chmod(0o755)
    (path.parent / "cleo.py").write_bytes(b"")
    (path.parent / "cleo.py").chmod(0o444)
    path.parent.chmod(0o555)


def folder_open(path: Path) -> None:
    path.parent.chmod(0o777)


def compiled_elsewhere(path: Path) -> None:
    inside = next((path.parent / "__pycache__").glob("__init__.*.pyc"))
    inside.chmod(0o644)
    inside.write_bytes(inside.read_bytes() + b"\0")
    inside.chmod(0o444)


TRICKS = [changed, linked, hard_linked, writable, gone, one_more, folder_open, compiled_elsewhere]


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.__name__)
def test_rl11_a_changed_slot_does_not_start_and_the_other_whole_one_does(
    tmp_path: Path, trick: Callable[[Path], None]
) -> None:
    place = a_slot_folder(tmp_path)
    said = staged(place, 2)
    order(place, said)
    assert chosen(place) == "b"
    launcher.write(place / launcher.PROVEN, {"image": said["image"]})
    assert chosen(place) == "b"
    trick(place / "b" / "lib" / "oppet" / "__init__.py")
    assert chosen(place) == "a"
    told = returned_of(place)
    assert (told["why"], told["release"]) == ("slot_changed", 2)
    changed(place / "a" / "lib" / "oppet" / "__init__.py")
    assert chosen_none(place), "no slot is whole: nothing starts"


def test_rl11_an_older_genuine_release_put_in_the_slot_by_hand_does_not_start(tmp_path: Path) -> None:
    place = a_slot_folder(tmp_path, release=3)
    staged(place, 2)
    launcher.remove(place / "a")
    (place / launcher.NEXT).replace(place / "a")
    assert chosen_none(place)


class PowerCutError(BaseException):
    pass


class Cutter:
    """Cuts the power before the n-th thing that is done to a file."""

    EVENTS = frozenset({"os.rename", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree"})

    def __init__(self) -> None:
        self.left = -1
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: Sequence[object]) -> None:
        if self.left < 0:
            return
        writes = event == "open" and isinstance(arguments[1], str) and "w" in arguments[1]
        if event in self.EVENTS or writes:
            self.left -= 1
            if self.left < 0:
                raise PowerCutError


CUTTER = Cutter()


@pytest.mark.parametrize("moment", ["ordered", "tried twice", "proven", "changed"])
def test_rl11_a_power_cut_at_any_step_leaves_one_whole_slot_to_start(tmp_path: Path, moment: str) -> None:
    first = a_slot_folder(tmp_path)
    said = staged(first, 2)
    order(first, said)
    if moment != "ordered":
        assert chosen(first) == "b"
    if moment == "tried twice":
        assert chosen(first) == "b"
    if moment in ("proven", "changed"):
        launcher.write(first / launcher.PROVEN, {"image": said["image"]})
    if moment == "changed":
        assert chosen(first) == "b"
        changed(first / "b" / "lib" / "oppet" / "__init__.py")
    right = {"ordered": {"b"}, "tried twice": {"a"}, "proven": {"b"}, "changed": {"a"}}[moment]
    for step in range(200):
        place = tmp_path / f"cut-{step}"
        shutil.copytree(first, place, symlinks=True)
        CUTTER.left = step
        try:
            chosen(place)
            cut = CUTTER.left < 0
        except PowerCutError:
            cut = True
        CUTTER.left = -1
        after = chosen(place)
        assert after in right or (moment == "ordered" and after == "a"), step
        if moment == "ordered":
            assert [chosen(place) for _ in range(3)][-1] == "a", "and it still gives way by itself"
        launcher.remove(place)
        if not cut:
            break
    else:
        pytest.fail("never came to the end")
    assert step >= 3


# --- the launcher with processes ---------------------------------------------------------------------------------------


def test_rl11_the_next_release_is_loaded_while_the_one_before_runs_and_follows_it(tmp_path: Path) -> None:
    place = a_slot_folder(tmp_path)
    with running(place) as process:
        soon(lambda: log_of(place) == ["1 went", "1 open"])
        said = staged(place, 2)
        order(place, said)
        soon((place / launcher.FOLLOWER).exists)
        assert log_of(place) == ["1 went", "1 open"], "it waits"
        (place / "leave").touch()
        soon(lambda: log_of(place)[-1] == "2 open")
        assert log_of(place) == ["1 went", "1 open", "1 left", "2 went", "2 open"]
        launcher.write(place / launcher.PROVEN, {"image": said["image"]})
        soon(lambda: state(place)["active"] == "b")
        process.terminate()
        assert process.wait(WAIT_S) == 0, "to be told to end is no failure"
    assert log_of(place)[-1] == "2 told"


@pytest.mark.parametrize(("mode", "started"), [("dead", 2), ("dead-waiting", 0)])
def test_rl11_a_release_that_dies_gives_way_by_itself_and_says_why(tmp_path: Path, mode: str, started: int) -> None:
    place = a_slot_folder(tmp_path)
    with running(place):
        soon(lambda: "1 open" in log_of(place))
        order(place, staged(place, 2, mode))
        if mode == "dead":
            soon((place / launcher.FOLLOWER).exists)
        else:
            soon((place / launcher.RETURNED).exists)
        (place / "leave").touch()
        soon(lambda: log_of(place).count("1 open") == 2)
    assert log_of(place).count("2 went") == started
    told = returned_of(place)
    assert (told["why"], told["release"]) == ("did_not_start", 2)
    assert "exit 9" in str(told["facts"])
    assert state(place)["active"] == "a"


def test_rl11_a_release_that_opens_and_never_says_that_it_works_gives_way(tmp_path: Path) -> None:
    place = a_slot_folder(tmp_path)
    order(place, staged(place, 2))
    with running(place, PROVE_S=0.05):
        soon(lambda: "1 open" in log_of(place))
    assert log_of(place).count("2 open") == 2
    assert "never said" in str(returned_of(place)["facts"])


def test_rl11_a_launcher_that_is_killed_takes_its_till_along_and_starts_the_same_slot_again(tmp_path: Path) -> None:
    place = a_slot_folder(tmp_path)
    order(place, staged(place, 2))
    with running(place) as process:
        soon(lambda: "2 open" in log_of(place))
        process.send_signal(signal.SIGKILL)
        soon(lambda: log_of(place)[-1] == "2 told")
    with running(place) as process:
        soon(lambda: log_of(place).count("2 open") == 2)
        process.terminate()
        assert process.wait(WAIT_S) == 0
    assert state(place)["tries"] == 1, "told to end in order: that try does not count; the cut one does"


def test_rl11_code_that_was_changed_after_the_check_is_not_loaded(tmp_path: Path) -> None:
    """Time of check, time of use: the digests are handed over, then somebody writes, then the process loads."""
    place = a_slot_folder(tmp_path, mode="import")
    one = Launcher(place, ["till", "run"])
    one.settle()
    found = one.choose()
    assert found is not None
    for name in ("more.py", "__pycache__"):
        path = place / "a" / "lib" / "oppet" / name
        for inside in [path] if path.is_file() else path.glob("more.*"):
            changed(inside)
            inside.chmod(0o644)
            inside.write_bytes(b"import pathlib; pathlib.Path('owned').touch()\n")
    child = one._child(*found)
    child.let_go()
    assert child.process.wait(WAIT_S) == launcher.SLOT_CHANGED
    child.close()
    assert log_of(place) == []
    assert chosen_none(place), "and the next start finds it"


def chosen_none(place: Path) -> bool:
    one = Launcher(place, [])
    one.settle()
    return one.choose() is None


# --- the till's side ---------------------------------------------------------------------------------------------------


class OneTarget:
    """The verified index of one release, or nobody who has it."""

    def __init__(self, data: bytes | None) -> None:
        self.data = data

    def target(self, name: str, length: int, sha256: str, repository: str, sources: Sequence[object]) -> bytes:
        if self.data is None:
            raise PublicationAwayError(source="-", reason="nobody answers")
        assert (len(self.data), digest(self.data)) == (length, sha256)
        return self.data


class Shelf:
    """A published tree in a folder with one release in it, and a till's slots that run release 1."""

    def __init__(self, folder: Path, mode: str = "well", *, lock: str = LOCK, away: bool = False) -> None:
        self.place = a_slot_folder(folder)
        tree = folder / "pub"
        tree.mkdir()
        image, self.software = image_of(folder, 2, mode, lock=lock)
        index = make_index(image, tree)
        self.agreed = Agreed("software/till-2.index", len(index), digest(index), self.software)
        settings = folder / "settings.json"
        settings.write_text("{}", encoding="utf-8")
        told = slots.Launched(self.place, "a", -1, -1, -1)
        self.slots = slots.FileSlots(
            told, settings, OneTarget(None if away else index), lambda: [FolderSource("stick", tree)]
        )

    def ended(self) -> str:
        soon(lambda: self.slots.progress().stage in (READY, FAILED), str(self.slots.progress()))
        return self.slots.progress().stage


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Callable[..., Shelf]]:
    made: list[Shelf] = []

    def make(mode: str = "well", *, lock: str = LOCK, away: bool = False) -> Shelf:
        made.append(Shelf(tmp_path, mode, lock=lock, away=away))
        return made[-1]

    yield make
    for one in made:
        one.slots.close()


def test_rl11_a_release_comes_is_tested_in_its_slot_and_is_ordered(shelf: Callable[..., Shelf]) -> None:
    here = shelf()
    port: Slots = here.slots
    assert (port.now().active, port.now().running) != ("", None)
    port.fetch(here.agreed)
    assert port.progress().stage in (FETCHING, TESTING, READY)
    assert here.ended() == READY, here.slots.progress()
    progress = port.progress()
    assert (progress.slot, progress.release, progress.done) == ("b", 2, here.software.image_bytes)
    assert progress.fetched > 0
    assert chosen(here.place) == "a", "nobody has asked for the switch"
    port.switch(here.software.image)
    port.close()
    assert chosen(here.place) == "b"
    told = slots.Launched(here.place, "b", -1, -1, -1, trial=True, before=1, at=1)
    began = slots.FileSlots(told, here.place / "settings.json", OneTarget(None), list).now().began
    assert began is not None
    assert began.dark_ms < 60_000, "from when the page was gone"


def test_rl11_a_release_that_fails_its_self_test_is_never_ordered(shelf: Callable[..., Shelf]) -> None:
    here = shelf("bad-test")
    here.slots.fetch(here.agreed)
    assert here.ended() == FAILED
    assert here.slots.progress().why == "self_test"
    assert ("step", "sale") in here.slots.progress().facts
    with pytest.raises(TargetRefusedError):
        here.slots.switch(here.software.image)
    assert chosen(here.place) == "a"


def test_rl11_a_release_for_other_packages_is_refused_and_a_source_that_is_away_is_only_away(
    shelf: Callable[..., Shelf], tmp_path: Path
) -> None:
    here = shelf(lock="ee" * 32)
    here.slots.fetch(here.agreed)
    assert (here.ended(), here.slots.progress().why) == (FAILED, "base")
    here.slots._targets = OneTarget(None)
    here.slots.fetch(here.agreed)
    soon(lambda: here.slots.progress().why == "away")


def test_rl11_what_was_changed_between_test_and_switch_is_refused(shelf: Callable[..., Shelf]) -> None:
    here = shelf()
    here.slots.fetch(here.agreed)
    assert here.ended() == READY
    manifest = here.place / launcher.NEXT / launcher.MANIFEST
    manifest.chmod(0o644)
    manifest.write_bytes(manifest.read_bytes() + b" ")
    with pytest.raises(TargetRefusedError) as refused:
        here.slots.switch(here.software.image)
    assert refused.value.facts["why"] == "slot_changed"
    assert chosen(here.place) == "a"


def test_rl11_both_slots_are_read_anew_when_asked_and_what_was_left_is_told(shelf: Callable[..., Shelf]) -> None:
    here = shelf()
    order(here.place, staged(here.place, 2))
    assert [chosen(here.place) for _ in range(3)][-1] == "a"
    told = slots.Launched(here.place, "a", -1, -1, -1)
    again = slots.FileSlots(told, here.place / "settings.json", OneTarget(None), list)
    back = again.now().returned
    assert back is not None
    assert (back.release, back.why) == (2, "did_not_start")
    again.acknowledge()
    assert again.now().returned is None
    assert not (here.place / launcher.RETURNED).exists()
    changed(here.place / "b" / "lib" / "oppet" / "__init__.py")
    again.check()
    soon(lambda: again.now().checked == 1)
    assert [(one.slot, one.release, one.sound) for one in again.now().slots] == [("a", 1, True), ("b", 2, False)]
    again.close()


def test_rl11_a_first_run_knows_what_ran_before_and_proves_itself_once(tmp_path: Path) -> None:
    place = a_slot_folder(tmp_path)
    order(place, staged(place, 2))
    assert chosen(place) == "b"
    at = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000 - 40
    told = slots.Launched(place, "b", -1, -1, -1, trial=True, before=1, at=at)
    mine = slots.FileSlots(told, place / "settings.json", OneTarget(None), list)
    began = mine.now().began
    assert isinstance(began, Began)
    assert began.before == 1
    assert 40 <= began.dark_ms < 60_000, "from the order, where nobody said when the page was gone"
    mine.proven()
    assert chosen(place) == "b"
    assert state(place)["active"] == "b"
    mine.close()


def test_rl11_the_installer_makes_the_first_slot_and_never_again(tmp_path: Path) -> None:
    place = tmp_path / "slots"
    slots.install_image(place, *image_of(tmp_path, 1), LOCK)
    assert chosen(place) == "a"
    assert (place / "launcher.py").read_bytes() == Path(launcher.__file__).read_bytes()
    image, software = image_of(tmp_path, 2)
    with pytest.raises(slots.SlotsThereError):
        slots.install_image(place, image, software, LOCK)
    assert json.loads((place / launcher.STATE).read_text(encoding="utf-8"))["active"] == "a"
