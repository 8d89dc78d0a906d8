"""The launcher: starts the till from one of two slots, and goes back by itself when a new one does not prove itself (RL11).

It stands outside the slots, needs nothing but Python's own library, and is copied beside them as one file, so that no release
can break what would undo it. Before every start it reads every file of the slot, puts the signed image together again from them
and compares its digest; the started process then loads only code whose bytes have these very digests (the check is the use).
What is written here is written whole or not at all: after a power cut at any step exactly one whole slot starts.

In the folder of the slots: `a/`, `b/` (what runs, and what ran before), `next/` (the till puts a release there), `state.json` (this
file's own), `order.json` (the till asks for a switch), `follower.json` (the next release is loaded and waits for the journal),
`proven.json` (the till says that the release works here), `returned.json` (why the launcher went back; the till takes it away
once it is in its journal).
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, Final

__all__ = [
    "FOLLOWER",
    "LAUNCHED",
    "NO_SLOT",
    "ORDER",
    "PROVEN",
    "RETURNED",
    "SLOT_CHANGED",
    "STATE",
    "SWITCH_EXIT",
    "Child",
    "Launcher",
    "SlotChangedError",
    "command",
    "hand_over",
    "header",
    "place_of",
    "read",
    "remove",
    "tail",
    "verify",
    "write",
]  # fmt: skip

TRIES: Final = 2  # starts that a new slot has to prove itself
OPEN_S: Final = 60.0  # from a new slot's start until it is open
PROVE_S: Final = 900.0  # from then until it says that it works here
END_S: Final = 15.0  # a till that was told to end
LOOK_S: Final = 0.05

SWITCH_EXIT: Final = 75  # the till's: start the other slot (release/ports.py)
SLOT_CHANGED: Final = 76  # the started process met bytes that were not checked
NO_SLOT: Final = 70  # no slot is whole
STATE, ORDER, PROVEN, RETURNED = "state.json", "order.json", "proven.json", "returned.json"
FOLLOWER, COPY, NEXT = "follower.json", "state.copy.json", "next"
MANIFEST: Final = "slot.json"
LAUNCHED: Final = "OPPET_LAUNCHED"  # what a started process is told, as JSON
MOST_FILES: Final = 20_000
LARGEST: Final = 1 << 30
LARGEST_NOTE: Final = 8 << 20
BLOCK: Final = 512
PIECE: Final = 1 << 20

Digests = dict[str, str]


class SlotChangedError(Exception):
    """The slot is not what was checked when it was made: its first argument says where."""


# --- files ---------------------------------------------------------------------------------------------------------


def read(path: Path) -> dict[str, Any]:
    """Give a note's content; nothing for one that is not there or cannot be read."""
    try:
        if path.stat().st_size > LARGEST_NOTE:
            return {}
        said = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def write(path: Path, said: Mapping[str, Any]) -> None:
    """Replace a note durably: after a power cut it is the old or the new one."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(json.dumps(said).encode())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _make_durable(path.parent)


def remove(path: Path) -> None:
    """Take a note or a whole slot away, read-only folders too."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        for folder, _, _ in os.walk(path):
            Path(folder).chmod(0o700)
        shutil.rmtree(path)


def _make_durable(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# --- a slot against its signed image ---------------------------------------------------------------------------------


def header(name: str, size: int, built: int) -> bytes:
    """The one header a file of an image may have: nobody's, not writable by others, of the release's own time."""
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode, member.uid, member.gid = size, built, 0o644, 0, 0
    return member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def tail(written: int) -> bytes:
    """What ends an image after so many bytes."""
    ended = written + 2 * BLOCK
    return b"\0" * (2 * BLOCK + -ended % tarfile.RECORDSIZE)


def verify(slot: Path, image: str, manifest: str, pause_s: float = 0.0) -> Digests:
    """Read every file of a slot; give each path's digest. Raises SlotChangedError unless the files are the signed image's, and no more.

    `pause_s` is what is left to others after each file: nobody waits for a till that already sells.
    """
    try:
        noted = _bytes_of(slot / MANIFEST, LARGEST_NOTE)
        if hashlib.sha256(noted).hexdigest() != manifest:
            raise SlotChangedError(MANIFEST)
        said = json.loads(noted)
        files, compiled, built = said["files"], said["compiled"], int(said["built"])
        there = _tree(slot)
        if there != {MANIFEST, *files, *compiled}:
            raise SlotChangedError(min(there ^ {MANIFEST, *files, *compiled}))
        whole, written, digests = hashlib.sha256(), 0, {}
        for name in sorted(files, key=lambda name: (name != "release.json", name)):
            data = _bytes_of(slot / name, LARGEST)
            digests[str(slot / name)] = digest = hashlib.sha256(data).hexdigest()
            if pause_s:
                time.sleep(pause_s)
            if digest != files[name]:
                raise SlotChangedError(name)
            for piece in (header(name, len(data), built), data, b"\0" * (-len(data) % BLOCK)):
                whole.update(piece)
                written += len(piece)
        whole.update(tail(written))
        if whole.hexdigest() != image:
            raise SlotChangedError("image")
        for name, expected in compiled.items():
            if hashlib.sha256(_bytes_of(slot / name, LARGEST)).hexdigest() != expected:
                raise SlotChangedError(name)
            digests[str(slot / name)] = expected
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SlotChangedError(getattr(error, "filename", None) or type(error).__name__) from None
    return digests


def _tree(slot: Path) -> set[str]:
    """Every file's name. Raises SlotChangedError for a link, a device, another owner's file or one that others may write."""
    found: set[str] = set()
    ours = {0, os.geteuid()}
    folders = [slot]
    while folders:
        folder = folders.pop()
        for path in (folder, *folder.iterdir()):
            seen = path.lstat()
            name = path.relative_to(slot).as_posix()
            if seen.st_uid not in ours or seen.st_mode & 0o022 or len(found) > MOST_FILES * 2:
                raise SlotChangedError(name)
            if stat.S_ISREG(seen.st_mode) and seen.st_nlink == 1:
                found.add(name)
            elif not stat.S_ISDIR(seen.st_mode):
                raise SlotChangedError(name)
            elif path is not folder:
                folders.append(path)
    return found


def _bytes_of(path: Path, most: int) -> bytes:
    """A file's bytes, never through a link."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise SlotChangedError(path.name)
    return data


# --- the started process: only checked code --------------------------------------------------------------------------


class _Source(SourceFileLoader):
    """Loads what was checked: the bytes that are hashed are the bytes that are executed."""

    digests: Digests

    def get_data(self, path: str | os.PathLike[str]) -> bytes:
        expected = self.digests.get(str(path))
        if expected is None:
            raise OSError(f"{path} is not in the slot")  # what Python compiled elsewhere is not looked at
        data = super().get_data(str(path))
        if hashlib.sha256(data).hexdigest() != expected:
            raise SlotChangedError(str(path))
        return data


class _Library(ExtensionFileLoader):
    """A compiled library is checked just before the system loads it by name."""

    digests: Digests

    def create_module(self, spec: Any) -> ModuleType:
        path = str(self.path)
        if hashlib.sha256(Path(path).read_bytes()).hexdigest() != self.digests.get(path):
            raise SlotChangedError(path)
        return super().create_module(spec)


def command(handle: int, lib: Path, words: Sequence[str], python: str = sys.executable) -> list[str]:
    """The command that runs `oppet` from a slot: nothing of the surroundings is looked at, and nothing is written."""
    return [python, "-I", "-B", __file__, "--boot", str(handle), str(lib), str(os.getpid()), *words]


def hand_over(digests: Digests) -> int:
    """Put the digests where a started process reads them: an open file without a name. The caller closes it."""
    with tempfile.TemporaryFile() as file:
        file.write(json.dumps(digests).encode())
        file.flush()
        return os.dup(file.fileno())


def _boot(handle: int, lib: str, parent: int, words: Sequence[str]) -> int:
    if ctypes.CDLL(None).prctl(1, signal.SIGTERM) or os.getppid() != parent:  # never a till without its launcher
        return 1
    digests = json.loads(os.pread(handle, LARGEST_NOTE, 0))
    os.close(handle)
    checked = [(type("Library", (_Library,), {"digests": digests}), EXTENSION_SUFFIXES)]
    checked.append((type("Source", (_Source,), {"digests": digests}), SOURCE_SUFFIXES))
    finder = FileFinder.path_hook(*checked)

    def only_the_slot(path: str) -> FileFinder:
        if path != lib and not path.startswith(lib + "/"):
            raise ImportError(path)
        return finder(path)  # type: ignore[return-value]  # its stub promises less

    sys.path_hooks.insert(0, only_the_slot)
    sys.path.insert(0, lib)
    sys.dont_write_bytecode = True
    sys.argv = ["oppet", *words]
    try:
        cli = __import__("oppet.cli", fromlist=["main"])
        if not str(cli.__file__).startswith(lib + "/"):
            raise SlotChangedError(str(cli.__file__))
        cli.main()
    except SlotChangedError as changed:
        print(f"oppet: a file of the slot was changed: {changed}", file=sys.stderr)
        return SLOT_CHANGED
    return 0


# --- the launcher itself ---------------------------------------------------------------------------------------------


class Child:
    """A till's process, started and perhaps still waiting for leave to open its journal."""

    def __init__(self, slot: str, process: subprocess.Popen[bytes], go: int, said: int, before: int) -> None:
        self.slot, self.process, self.go, self.said, self.before = slot, process, go, said, before
        self.waiting = self.open = False
        self.went = 0.0
        self.opened = 0.0

    def let_go(self) -> None:
        """The journal is free: go on."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self.go, b"go\n")
        self.went = time.monotonic()

    def look(self) -> int | None:
        """Notice that it waits or is open; give its exit code once it has ended."""
        with contextlib.suppress(BlockingIOError):
            said = b"" if self.open else os.read(self.said, 64)
            self.waiting = self.waiting or b"waiting" in said
            if b"open" in said:
                self.open, self.opened = True, time.monotonic()
        return self.process.poll()

    def end(self) -> int:
        """Tell it to end; kill it when it does not listen. Gives its code."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(END_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        code = self.process.wait()
        self.close()
        return code

    def close(self) -> None:
        for handle in (self.go, self.said):
            with contextlib.suppress(OSError):
                os.close(handle)
        self.go = self.said = -1


class Launcher:
    """One till's launcher. `words` are what is run from the slot; `listener` is handed to whoever runs."""

    def __init__(self, folder: Path, words: Sequence[str], listener: socket.socket | None = None) -> None:
        self.folder, self.words, self.listener = folder, words, listener
        self.told = threading.Event()
        self.state: dict[str, Any] = {}
        self._why: tuple[str, str] = ("did_not_start", "")

    # -- which slot

    def settle(self) -> None:
        """Read the state; take in what the till left: that a release works, that another is to start."""
        self.state = read(self.folder / STATE) or read(self.folder / COPY)  # a rotten sector shall not cost a till
        remove(self.folder / FOLLOWER)
        proven = read(self.folder / PROVEN)
        trying = self.state.get("trying", "")
        if trying and proven.get("image") == self.state["held"][trying]["image"]:
            self._save(active=trying, trying="", tries=0, why=[])
        if proven:
            remove(self.folder / PROVEN)
        order = read(self.folder / ORDER)
        if order:
            self._take(order)
            remove(self.folder / ORDER)
            _make_durable(self.folder)

    def choose(self) -> tuple[str, Digests] | None:
        """The slot that is to start, every file of it checked; None where none is whole. Counts a new one's tries, durably."""
        held, trying = self.state.get("held", {}), self.state.get("trying", "")
        if trying:
            if self.state["tries"] < TRIES:
                try:
                    digests = self._verified(trying)
                    self._save(tries=self.state["tries"] + 1)
                    return trying, digests
                except SlotChangedError as changed:
                    self._why = ("slot_changed", str(changed))
            self._go_back(trying)
        active = self.state.get("active", "a")
        for slot in (active, "b" if active == "a" else "a"):
            if slot != active and not held.get(slot, {}).get("proven"):
                continue
            try:
                digests = self._verified(slot)
            except SlotChangedError as changed:
                self._note(slot, "slot_changed", str(changed))
                continue
            if slot != active:
                self._save(active=slot)
            return slot, digests
        return None

    def _verified(self, slot: str) -> Digests:
        held = self.state.get("held", {}).get(slot)
        if not held:
            raise SlotChangedError(slot)
        return verify(self.folder / slot, held["image"], held["manifest"])

    def _take(self, order: Mapping[str, Any]) -> None:
        """Put the release that waits in `next/` into the slot that does not run; from now on it is tried."""
        image, manifest = str(order.get("image", "")), str(order.get("manifest", ""))
        if self.state.get("trying") or not manifest or image in ("", self._held(self.state.get("active", "a"))):
            return  # one at a time; and what runs need not be tried
        slot = "b" if self.state.get("active", "a") == "a" else "a"
        fresh, place = self.folder / NEXT, self.folder / slot
        if _manifest_of(fresh) == manifest:
            remove(place)
            fresh.replace(place)
            _make_durable(self.folder)
        if _manifest_of(place) != manifest:
            self._note(slot, "slot_changed", NEXT, order)
            return
        fresh_one = {key: order.get(key) for key in ("image", "manifest", "release")} | {"proven": False}
        before = self.state.get("held", {}).get(self.state.get("active", "a"), {}).get("release", 0)
        held = self.state.get("held", {}) | {slot: fresh_one}
        self._save(held=held, trying=slot, tries=0, before=before, at=order.get("at", 0), why=[])

    def _held(self, slot: str) -> str:
        return str(self.state.get("held", {}).get(slot, {}).get("image", ""))

    def _go_back(self, slot: str) -> None:
        self._note(slot, *self._why)
        self._save(trying="", tries=0)

    def _note(self, slot: str, why: str, where: str, about: Mapping[str, Any] | None = None) -> None:
        """Leave word for the till: what was given up, and why. The first word stands until the till has taken it."""
        about = about or self.state.get("held", {}).get(slot, {})
        if not (self.folder / RETURNED).exists():
            facts = {"slot": slot, "where": where[-200:]}
            said = {"release": about.get("release", 0), "image": about.get("image", ""), "why": why, "facts": facts}
            write(self.folder / RETURNED, said)

    def _save(self, **changes: Any) -> None:
        self.state = {**self.state, **changes}
        active = self.state.get("active", "a")
        held = self.state.get("held", {})
        if not self.state.get("trying") and active in held:
            self.state["held"] = held | {active: held[active] | {"proven": True}}
        write(self.folder / STATE, self.state)
        write(self.folder / COPY, self.state)

    # -- running

    def run(self) -> int:
        """Start what is to run until it ends by itself or we are told to end; give its exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        self.settle()
        waiting: Child | None = None
        changed = 0
        while not self.told.is_set():
            child = waiting or self._start()
            if child is None:
                print("oppet: no slot is whole. Install this till again from the stick.", file=sys.stderr)
                return NO_SLOT
            child.let_go()
            code, waiting = self._watch(child)
            if self.told.is_set():
                if waiting is not None:
                    waiting.end()
                if self.state.get("trying") and code == 0:
                    self._save(
                        tries=self.state["tries"] - 1
                    )  # switched off before it could say that it works: no fault
                return code
            changed += code == SLOT_CHANGED
            if (code not in (SWITCH_EXIT, SLOT_CHANGED) and not self.state.get("trying")) or changed > TRIES:
                return code  # whoever looks after us starts us again
            self.settle()
        return 0

    def _end(self, *_: object) -> None:
        self.told.set()

    def _start(self) -> Child | None:
        chosen = self.choose()
        return None if chosen is None else self._child(*chosen)

    def _child(self, slot: str, digests: Digests) -> Child:
        on_trial = slot == self.state.get("trying", "")
        go_read, go_write = os.pipe()
        said_read, said_write = os.pipe()
        os.set_blocking(said_read, False)
        listener = -1 if self.listener is None else self.listener.fileno()
        told = {
            "folder": str(self.folder), "slot": slot, "go": go_read, "said": said_write, "listener": listener,
            "trial": on_trial, "before": self.state.get("before", 0) if on_trial else 0, "at": self.state.get("at", 0),
        }  # fmt: skip
        handle = hand_over(digests)
        process = subprocess.Popen(
            command(handle, self.folder / slot / "lib", self.words),
            pass_fds=[n for n in (handle, go_read, said_write, listener) if n >= 0],
            env={**os.environ, LAUNCHED: json.dumps(told)},
        )
        for ours in (handle, go_read, said_write):
            os.close(ours)
        return Child(slot, process, go_write, said_read, int(self.state.get("before", 0)))

    def _watch(self, child: Child) -> tuple[int, Child | None]:
        """Wait for its end; give its code, and the process that was started meanwhile to follow it."""
        following: Child | None = None
        on_trial = child.slot == self.state.get("trying", "")
        while (code := child.look()) is None:
            if self.told.is_set():
                return child.end(), following
            if on_trial and (self.folder / PROVEN).exists():
                self.settle()
                on_trial = child.slot == self.state.get("trying", "")
            if on_trial and self._too_late(child):
                child.end()
                return 1, None
            if not on_trial:
                following = self._follower(following)
            time.sleep(LOOK_S if following is None else LOOK_S / 10)
        child.close()
        if on_trial:
            self._why = ("did_not_start", f"exit {code}" if not child.open else f"exit {code} after it was open")
        if following is not None and following.look() is not None:
            following.close()  # it died waiting: that was one of its tries
            following = None
        if following is not None and following.slot == child.slot:
            following.end()
            following = None
        return code, following

    def _follower(self, following: Child | None) -> Child | None:
        """Start what is to follow while the other one still sells: it loads all it needs and waits for the journal."""
        if following is None:
            if not (self.folder / ORDER).exists():
                return None
            self.settle()
        elif following.look() is None:
            if following.waiting and not (self.folder / FOLLOWER).exists():
                write(self.folder / FOLLOWER, {"slot": following.slot})
            return following
        else:
            self._why = ("did_not_start", f"exit {following.end()}")
        trying = self.state.get("trying")
        if trying and self.state["tries"] >= TRIES:
            self._go_back(trying)
        return self._start() if self.state.get("trying") else None

    def _too_late(self, child: Child) -> bool:
        now = time.monotonic()
        if child.open and now - child.opened > PROVE_S:
            self._why = ("did_not_start", "it never said that it works")
            return True
        if not child.open and now - child.went > OPEN_S:
            self._why = ("did_not_start", "it did not open in time")
            return True
        return False


def _manifest_of(slot: Path) -> str:
    try:
        return hashlib.sha256(_bytes_of(slot / MANIFEST, LARGEST_NOTE)).hexdigest()
    except (OSError, SlotChangedError):
        return ""


@contextlib.contextmanager
def _listening(settings: Path) -> Iterator[socket.socket]:
    """The till's port, taken once: it never closes between two slots, and what is asked meanwhile waits."""
    port = int(read(settings).get("port", 8300))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        yield listener


def place_of(settings: Path) -> Path:
    """Where a till's slots are: in its own folder."""
    return settings.absolute().parent / str(read(settings).get("folder", ".")) / "slots"


def main(words: Sequence[str]) -> int:
    """`launcher.py SETTINGS [--slots FOLDER] [more words for the till]`."""
    if words[:1] == ["--boot"]:
        return _boot(int(words[1]), words[2], int(words[3]), words[4:])
    settings = Path(words[0]).absolute()
    folder = place_of(settings)
    with _listening(settings) as listener:
        return Launcher(folder, ["till", "run", str(settings), *words[1:]], listener).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
