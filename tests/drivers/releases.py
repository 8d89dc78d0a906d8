"""Small releases for tests of slots: a package of one file that behaves as told, in a real image, and tars that no builder writes."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sys
import tarfile
import tempfile
from functools import cache
from pathlib import Path

from oppet.drivers import images, launcher, slots
from oppet.drivers.images import ReleaseNote, write_image
from oppet.release.terms import Software

__all__ = ["LOCK", "a_note", "a_slot_folder", "image_of", "raw", "software_of", "staged"]

LOCK = "cc" * 32

# What a release of these tests does: it says what it is in a file beside the slots, takes its turn, and waits to be told to leave.
CLI = """
import json, os, pathlib, sys, time
from oppet import MODE, RELEASE
def main():
    if "self-test" in sys.argv:
        print(json.dumps({"good": MODE != "bad-test", "facts": {"step": "sale" if MODE == "bad-test" else "none"}}))
        sys.exit(1 if MODE == "bad-test" else 0)
    told = json.loads(os.environ["OPPET_LAUNCHED"])
    log = pathlib.Path(told["folder"]) / "log"
    def say(word):
        with log.open("a") as file:
            file.write(f"{RELEASE} {word}\\n")
    if MODE == "import":
        import oppet.more
    os.write(told["said"], b"waiting\\n")
    if MODE == "dead-waiting":
        sys.exit(9)
    os.read(told["go"], 8)
    say("went")
    if MODE == "dead":
        sys.exit(9)
    os.write(told["said"], b"open\\n")
    leave = log.with_name("leave")
    if MODE == "proven":
        held = json.loads(log.with_name("state.json").read_text())["held"]
        log.with_name("proven.json").write_text(json.dumps({"image": held[told["slot"]]["image"]}))
    import signal
    def end(*_):
        say("told")
        sys.exit(0)
    signal.signal(signal.SIGTERM, end)
    say("open")
    while not leave.exists():
        time.sleep(0.01)
    leave.unlink()
    say("left")
    sys.exit(75)
"""


def a_note(release: int = 2, **changes: object) -> ReleaseNote:
    said: dict[str, object] = {
        "release": release, "version": f"0.{release}.0", "role": "till", "hw": "any", "built": 0, "tree": "aa" * 32,
        "lock": LOCK, "contents": "bb" * 32, "regulated": "dd" * 32,
    }  # fmt: skip
    return ReleaseNote(**(said | changes))  # type: ignore[arg-type]


def content_of(release: int, mode: str = "well") -> dict[str, bytes]:
    return {
        "lib/oppet/__init__.py": f"RELEASE = {release}\nMODE = {mode!r}\n".encode(),
        "lib/oppet/cli.py": CLI.encode(),
        "lib/oppet/more.py": b"MORE = 1\n",
    }


def software_of(path: Path, note: ReleaseNote, **changes: object) -> Software:
    """What people would sign of an image."""
    digest, size = images.image_digest(path)
    said: dict[str, object] = {"release": note.release, "version": note.version, "role": note.role, "hw": note.hw}
    return Software(**(said | {"image": digest, "image_bytes": size} | changes))  # type: ignore[arg-type]


def image_of(folder: Path, release: int, mode: str = "well", **changes: object) -> tuple[Path, Software]:
    """A release's image, and what people would sign of it."""
    path = folder / f"till-{release}-{mode}.tar"
    note = a_note(release, **changes)
    write_image(path, note, content_of(release, mode).items())
    return path, software_of(path, note)


@cache
def _made() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()  # gone with this process


@cache
def _stock(release: int, mode: str) -> tuple[Path, Software, str]:
    """A folder with this release unpacked and compiled in `next/`, made once for all tests of a process."""
    folder = Path(_made().name) / f"{release}-{mode}"
    folder.mkdir()
    image, software = image_of(folder, release, mode)
    launcher.write(folder / slots.BASE, {"lock": LOCK})
    return folder, software, slots.prepare(folder, image, software)


def a_slot_folder(folder: Path, release: int = 1, mode: str = "well") -> Path:
    """Slots as the installer leaves them: `release` in slot a."""
    stock, software, manifest = _stock(release, mode)
    place = folder / "slots"
    shutil.copytree(stock / launcher.NEXT, place / "a")
    launcher.write(place / slots.BASE, {"lock": LOCK})
    held = {"image": software.image, "manifest": manifest, "release": release, "proven": True}
    launcher.write(place / launcher.STATE, {"active": "a", "trying": "", "tries": 0, "held": {"a": held}})
    return place


def staged(place: Path, release: int, mode: str = "well") -> dict[str, object]:
    """Put a release beside the slots as the till does, and give the order that asks for it."""
    stock, software, manifest = _stock(release, mode)
    launcher.remove(place / launcher.NEXT)
    shutil.copytree(stock / launcher.NEXT, place / launcher.NEXT)
    return {"image": software.image, "manifest": manifest, "release": release, "at": 0}


def raw(*members: tuple[str, bytes] | tarfile.TarInfo, end: bytes | None = None) -> bytes:
    """A tar of anything: (name, content) as an image has it, or a member as somebody would make one."""
    out = io.BytesIO()
    for member in members:
        if isinstance(member, tarfile.TarInfo):
            out.write(member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict") + b"\0" * (-(-member.size // 512) * 512))
        else:
            name, data = member
            out.write(launcher.header(name, len(data), 0) + data + b"\0" * (-len(data) % 512))
    return out.getvalue() + (launcher.tail(out.tell()) if end is None else end)


def run_launcher(place: Path, **limits: float) -> list[str]:
    """The command that runs a launcher over these slots, with shorter limits than a shop's."""
    set_them = "".join(f"l.{name} = {value}; " for name, value in limits.items())
    program = f"import sys; from oppet.drivers import launcher as l; from pathlib import Path; {set_them}"
    return [sys.executable, "-c", program + f"sys.exit(l.Launcher(Path({str(place)!r}), ['till', 'run']).run())"]


def log_of(place: Path) -> list[str]:
    log = place / "log"
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def returned_of(place: Path) -> dict[str, object]:
    said: dict[str, object] = json.loads((place / launcher.RETURNED).read_text(encoding="utf-8"))
    return said


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
