"""The two slots of a till, from inside the till: a `release.ports.Slots`, and what the launcher told this process (RL11).

What takes time goes on in a thread that gives way to selling, and in processes of low rank: pieces are fetched, the image is
unpacked beside the slots (`next/`), its code is compiled, every byte is checked, and the release tests itself as a process of its own
before anybody may ask for the switch. Which slot starts is the launcher's to decide (`launcher.py`); which release, and when, is
`release/intake.py`'s.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from oppet.base import canonical
from oppet.base.errors import OppetError, RefusedError, UntrustedError, clip
from oppet.base.words import N_
from oppet.drivers import files, images, launcher, serving
from oppet.drivers.obtaining import Rate, Source, obtain_image
from oppet.drivers.supervise import adopt
from oppet.journal.kinds_published import SlotSeen
from oppet.release.agree import Agreed
from oppet.release.errors import PublicationAwayError, TargetRefusedError
from oppet.release.found import Refused
from oppet.release.ports import FAILED, FETCHING, READY, TESTING, Began, Progress, Returned, Standing
from oppet.release.terms import VENDOR, Software

__all__ = [
    "FileSlots",
    "Launched",
    "SlotsThereError",
    "Targets",
    "install",
    "install_image",
    "launch",
    "launched",
    "listen",
    "prepare",
    "say_open",
    "self_test_words",
    "wait_for_turn",
]  # fmt: skip

PAUSE_S: Final = 0.001  # after each unpacked file
NICE: Final = 15
COMPILE_S: Final = 300.0
SELF_TEST_S: Final = 120.0
LONGEST_DARK_MS: Final = 600_000
LARGEST_ANSWER: Final = 64 << 10
BASE: Final = "base.json"  # what the machine itself carries: the digest of its lock
IMAGES: Final = "images"
LEFT: Final = "left.json"  # when the page of the release before was gone


class SlotsThereError(RefusedError):
    sentence = N_("{folder} has slots already. A release comes into them by being published.")


class Targets(Protocol):
    """Where a verified target's bytes come from (`drivers/publications.py`)."""

    def target(self, name: str, length: int, sha256: str, repository: str, sources: Sequence[Any]) -> bytes: ...


# --- what the launcher told this process -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Launched:
    """A process that the launcher started from a slot."""

    folder: Path
    slot: str
    go: int
    said: int
    listener: int
    trial: bool = False  # it has still to prove itself
    before: int = 0
    at: int = 0  # on the counter, when the switch was asked for


def _told() -> Launched | None:
    """What stands in our surroundings; whoever we start shall not inherit it."""
    said = os.environ.pop(launcher.LAUNCHED, "")
    if not said:
        return None
    told = json.loads(said)
    for handle in (told["go"], told["said"], told["listener"]):
        if handle >= 0:
            os.set_inheritable(handle, False)
    return Launched(**(told | {"folder": Path(told["folder"])}))


_LAUNCHED: Final = _told()


def launched() -> Launched | None:
    """What the launcher told us; None for a till that no launcher started."""
    return _LAUNCHED


def listen(port: int) -> serving.Listener:
    """The till's port: the one the launcher holds open from slot to slot, or our own. Raises PortTakenError."""
    ours = launched()
    return serving.listen(port) if ours is None or ours.listener < 0 else adopt(ours.listener)


def wait_for_turn() -> None:
    """Wait until the release before has let the journal go; whoever is not launched need not wait."""
    ours = launched()
    if ours is None:
        return
    os.write(ours.said, b"waiting\n")
    if not os.read(ours.go, 8):
        raise SystemExit(1)  # the launcher is gone


def say_open() -> None:
    """Tell the launcher that the page is there."""
    ours = launched()
    if ours is not None:
        os.write(ours.said, b"open\n")


# --- the port --------------------------------------------------------------------------------------------------------


class FileSlots:
    """A `release.ports.Slots` over the folder of the slots.

    `sources` gives sources of our own (they are asked from this thread alone); `settings` is what the self-test reads.
    """

    def __init__(
        self, ours: Launched, settings: Path, targets: Targets, sources: Callable[[], Sequence[Source]], *,
        rate: Rate | None = None, tell: Callable[[Refused], None] | None = None,
    ) -> None:  # fmt: skip
        self._ours, self._settings, self._targets, self._sources = ours, settings, targets, sources
        self._rate, self._tell = rate, tell
        self._guard = threading.Lock()
        self._progress = Progress()
        self._manifest = self._ordered = ""
        self._work: threading.Thread | None = None
        self._checking: threading.Thread | None = None
        self._stop = threading.Event()
        self._standing = self._first()

    # -- what runs

    def now(self) -> Standing:
        return self._standing

    def check(self) -> None:
        with self._guard:
            if self._checking is None or not self._checking.is_alive():
                self._checking = threading.Thread(target=self._check, name="slots-check", daemon=True)
                self._checking.start()

    def proven(self) -> None:
        if not self._ours.trial:
            return
        running = self._standing.running
        launcher.write(self._ours.folder / launcher.PROVEN, {"image": running.image if running is not None else ""})

    def acknowledge(self) -> None:
        launcher.remove(self._ours.folder / launcher.RETURNED)
        with self._guard:
            self._standing = replace(self._standing, returned=None)

    def _first(self) -> Standing:
        folder, slot = self._ours.folder, self._ours.slot
        running = _software(folder / slot)
        left = launcher.read(folder / LEFT)
        at = int(left["at"]) if running is not None and left.get("image") == running.image else self._ours.at
        dark = max(0, _counter() - at) if at else 0
        began = Began(self._ours.before, dark if dark <= LONGEST_DARK_MS else 0) if self._ours.trial else None
        seen = tuple(
            SlotSeen(name, said.release, said.image, True) for name in ("a", "b") if (said := _software(folder / name))
        )
        return Standing(slot, running, seen, 0, began, _returned(folder))

    def _check(self) -> None:
        folder = self._ours.folder
        held = launcher.read(folder / launcher.STATE).get("held", {})
        seen = []
        for slot in ("a", "b"):
            one = held.get(slot)
            if not one:
                continue
            try:
                launcher.verify(folder / slot, one["image"], one["manifest"], PAUSE_S)
                sound = True
            except launcher.SlotChangedError:
                sound = False
            seen.append(SlotSeen(slot, int(one["release"]), str(one["image"]), sound))
        with self._guard:
            self._standing = replace(self._standing, slots=tuple(seen), checked=self._standing.checked + 1)

    # -- what comes

    def fetch(self, agreed: Agreed) -> None:
        with self._guard:
            progress = self._progress
            if progress.image == agreed.software.image and progress.stage in (FETCHING, TESTING, READY):
                return
            self._end_work()
            self._manifest = ""
            software = agreed.software
            slot = "b" if self._ours.slot == "a" else "a"
            self._progress = Progress(FETCHING, software.release, software.image, slot, 0, software.image_bytes)
            self._stop = threading.Event()
            self._work = threading.Thread(
                target=self._bring, args=(agreed, self._stop, self._work), name="slots-fetch", daemon=True
            )
            self._work.start()

    def progress(self) -> Progress:
        return self._progress

    def drop(self) -> None:
        with self._guard:
            if self._progress.stage != READY:
                self._end_work()
                self._progress, self._manifest = Progress(), ""

    def switch(self, image: str) -> None:
        """Order the switch, durably; the caller ends the process. Raises TargetRefusedError (slot_changed), FileTroubleError."""
        folder, progress = self._ours.folder, self._progress
        place = folder / launcher.NEXT / launcher.MANIFEST
        ready = progress.stage == READY and progress.image == image and bool(self._manifest)
        if not ready or not place.is_file() or canonical.digest(files.read(place)) != self._manifest:
            raise TargetRefusedError(name=f"slot {progress.slot}", why="slot_changed", reason="not what was tested")
        order = {"image": image, "manifest": self._manifest, "release": progress.release, "at": _counter()}
        try:
            launcher.remove(folder / LEFT)
            launcher.write(folder / launcher.ORDER, order)
        except OSError as error:
            raise files.FileTroubleError(file=str(folder), reason=error.strerror or "unwritable") from error
        self._ordered = image

    def followed(self) -> bool:
        """After `switch`: whether the next release is loaded and waits for the journal. Who ends before that is dark for longer."""
        return (self._ours.folder / launcher.FOLLOWER).exists()

    def close(self) -> None:
        if self._ordered:
            with contextlib.suppress(OSError):  # only the next one's word for how long it was dark hangs on it
                launcher.write(self._ours.folder / LEFT, {"image": self._ordered, "at": _counter()})
        with self._guard:
            self._end_work()
        for thread in (self._work, self._checking):
            if thread is not None:
                thread.join(10.0)

    def _end_work(self) -> None:
        self._stop.set()

    def _bring(self, agreed: Agreed, stop: threading.Event, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()  # one at a time beside the slots
        began, software = time.monotonic(), agreed.software
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)  # Linux ranks threads one by one
        try:
            fetched = self._fetched(agreed, stop)
            self._on(stop, stage=TESTING, done=software.image_bytes, fetched=fetched)
            manifest = prepare(self._ours.folder, _image(self._ours.folder, software), software, stop)
            why, facts = self._self_test(software, manifest, stop)
        except PublicationAwayError as error:
            why, facts, manifest = "away", _facts(error), ""
        except OppetError as error:
            why, facts, manifest = str(error.facts.get("why", "away")), _facts(error), ""
            if isinstance(error, UntrustedError) and why not in _WORDS:
                why = "bytes"
        except OSError as error:
            why, facts, manifest = "away", (("reason", clip(error.strerror or "disk")),), ""
        except launcher.SlotChangedError as changed:
            why, facts, manifest = "slot_changed", (("where", clip(str(changed))),), ""
        took = int((time.monotonic() - began) * 1000)
        if why:
            self._on(stop, stage=FAILED, why=why, facts=facts, took_ms=took)
            return
        with self._guard:
            if not stop.is_set():
                self._manifest = manifest
                self._progress = replace(self._progress, stage=READY, facts=facts, took_ms=took)

    def _fetched(self, agreed: Agreed, stop: threading.Event) -> int:
        """Bring the image next to the slots; give the bytes that came over a wire or stick."""
        folder, software = self._ours.folder, agreed.software
        while self._trying() and not stop.wait(1.0):
            pass  # the slot that does not run is the only way back until this one has proven itself
        files.folder(folder / IMAGES)
        image = _image(folder, software)
        running = self._standing.running
        keep = {image} | ({_image(folder, running)} if running is not None else set())
        for old in (folder / IMAGES).iterdir():
            if not any(old.name.startswith(one.name) for one in keep):
                launcher.remove(old)
        sources = self._sources()
        index = self._targets.target(agreed.name, agreed.length, agreed.sha256, VENDOR, sources)
        have = [one for one in keep if one != image and one.exists()]
        got = obtain_image(
            index, software, have, sources, image, progress=lambda done, _: self._on(stop, done=done), tell=self._tell,
            stop=stop.is_set, rate=self._rate, name=agreed.name,
        )  # fmt: skip
        return got.fetched

    def _trying(self) -> bool:
        return bool(launcher.read(self._ours.folder / launcher.STATE).get("trying"))

    def _self_test(
        self, software: Software, manifest: str, stop: threading.Event
    ) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Let the release test itself, as a process of its own from its own files. Gives ("", …) when it is well."""
        place = self._ours.folder / launcher.NEXT
        digests = launcher.verify(place, software.image, manifest, PAUSE_S)
        handle = launcher.hand_over(digests)
        try:
            code, said = _run(
                launcher.command(handle, place / "lib", self_test_words(self._settings)), SELF_TEST_S, stop, (handle,)
            )
        finally:
            os.close(handle)
        with contextlib.suppress(ValueError):
            answer = json.loads(said)
            facts = tuple((str(name)[:40], clip(str(fact))) for name, fact in answer.get("facts", {}).items())[:12]
            if code == 0 and answer.get("good") is True:
                return "", facts
            return "self_test", facts or (("exit", str(code)), ("said", clip(str(answer.get("sentence", "")))))
        return "self_test", (("exit", str(code)), ("said", clip(said.decode(errors="replace").strip()[-80:])))

    def _on(self, stop: threading.Event, **changes: Any) -> None:
        with self._guard:
            if not stop.is_set():
                self._progress = replace(self._progress, **changes)


def self_test_words(settings: Path) -> list[str]:
    return ["till", "self-test", str(settings), "--json"]


# --- making a slot ---------------------------------------------------------------------------------------------------


def prepare(folder: Path, image: Path, software: Software, stop: threading.Event | None = None) -> str:
    """Unpack a signed image into `next/`, compile it, and close it for writing; give its manifest's digest.

    Raises TargetRefusedError (path, bytes, malformed, base), NoImageError, FileTroubleError.
    """
    stop = stop or threading.Event()
    place = folder / launcher.NEXT
    note = images.unpack(image, software, place, pause_s=PAUSE_S, stop=stop.is_set)
    name = f"{software.role}-{software.release}"
    base = launcher.read(folder / BASE)
    if note.carries and note.python != ".".join(platform.python_version_tuple()[:2]):
        raise TargetRefusedError(name=name, why="base", reason=f"its packages are for Python {note.python}")
    if not note.carries and base.get("lock") != note.lock:
        raise TargetRefusedError(name=name, why="base", reason="this machine carries other packages")
    # Compiled once, here, from checked source: what runs later is looked up by digest and never compiled again.
    words = ["-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(place / "lib")]
    _run([sys.executable, *words], COMPILE_S, stop)
    return images.note_compiled(place)


def install_image(folder: Path, image: Path, software: Software, lock: str) -> None:
    """The factory's way: put a first release into slot a, and the launcher beside the slots. `lock` is the machine's own.

    Raises SlotsThereError, and what `prepare` raises.
    """
    if (folder / launcher.STATE).exists():
        raise SlotsThereError(folder=str(folder))
    files.folder(folder / IMAGES)
    files.write(folder / BASE, json.dumps({"lock": lock}).encode())
    manifest = prepare(folder, image, software)
    launcher.remove(folder / "a")
    (folder / launcher.NEXT).replace(folder / "a")
    if (kept := _image(folder, software)) != image:
        shutil.copyfile(image, kept)
    files.write(folder / "launcher.py", files.read(Path(launcher.__file__)))
    held = {"image": software.image, "manifest": manifest, "release": software.release, "proven": True}
    launcher.write(folder / launcher.STATE, {"active": "a", "trying": "", "tries": 0, "held": {"a": held}})


def install(settings: Path, image: Path, *, software: Path, lock: Path) -> int:
    """Put a first release into a till's slots: what the installer does on a new machine.

    Parameters
    ----------
    settings
        The till's settings file; its slots lie in its folder.
    image
        The image that `oppet release build` made.
    software
        What was signed of it (software.json beside it).
    lock
        The lock this machine was set up by, such as requirements/till.txt.
    """
    folder = launcher.place_of(settings)
    said = msgspec.json.decode(files.read(software, 1 << 20), type=Software)
    install_image(files.folder(folder), image, said, canonical.digest(files.read(lock)))
    print(f"{folder}: release {said.release} in slot a; start it with: {folder / 'launcher.py'} {settings}")
    return 0


def launch(settings: Path) -> int:
    """Run a till from its slots: the launcher, in this process. A till in a shop runs the copy beside its slots.

    Parameters
    ----------
    settings
        The till's settings file.
    """
    return launcher.main([str(settings)])


_WORDS: Final = frozenset({"bytes", "endless", "slow", "malformed", "path", "base", "slot_changed"})


def _image(folder: Path, software: Software) -> Path:
    return folder / IMAGES / f"{software.role}-{software.release}-{software.image[:16]}.tar"


def _software(slot: Path) -> Software | None:
    try:
        return msgspec.convert(launcher.read(slot / launcher.MANIFEST).get("software"), Software)
    except msgspec.ValidationError:
        return None


def _returned(folder: Path) -> Returned | None:
    said = launcher.read(folder / launcher.RETURNED)
    if not said:
        return None
    facts = tuple((str(name)[:40], clip(str(fact))) for name, fact in dict(said.get("facts", {})).items())
    return Returned(int(said.get("release", 0)), str(said.get("image", "")), str(said.get("why", "")), facts)


def _facts(error: OppetError) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(fact)) for name, fact in error.facts.items() if name != "why")


def _counter() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def _run(
    words: Sequence[str], longest_s: float, stop: threading.Event, handles: Sequence[int] = ()
) -> tuple[int, bytes]:
    """Run a process of low rank to its end; give its code and the end of what it said. One that is not wanted any more is ended."""
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=tuple(handles)
    )
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
    said, until = b"", time.monotonic() + longest_s
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    while True:
        part = process.stdout.read(65536)
        said = (said + (part or b""))[-LARGEST_ANSWER:]
        if part == b"" or (process.poll() is not None and not part):
            break
        if stop.is_set() or time.monotonic() > until:
            process.kill()
        time.sleep(0.02)
    process.stdout.close()
    return process.wait(), said
