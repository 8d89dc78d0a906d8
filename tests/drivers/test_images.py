"""An image has one form: everything else a tar can say is refused before anything is written."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from oppet.base import canonical
from oppet.drivers import images, launcher
from oppet.release.errors import TargetRefusedError
from tests.drivers.releases import a_note, image_of, raw, software_of

HEAD = ("release.json", canonical.encode(a_note()) + b"\n")
GOOD = ("lib/oppet/__init__.py", b"X = 1\n")


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", **fields: int) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = kind, link, 0o644
    for field, value in fields.items():
        setattr(made, field, value)
    return made


HOSTILE = {
    "an absolute path": (HEAD, ("/etc/cron.d/cleo", b"")),
    "a path that climbs": (HEAD, ("lib/../../cleo.py", b"")),
    "a dot": (HEAD, ("lib/./cleo.py", b"")),
    "a backslash": (HEAD, ("lib\\cleo.py", b"")),
    "outside lib": (HEAD, ("cleo.py", b"")),
    "only lib": (HEAD, ("lib", b"")),
    "a second head": (HEAD, HEAD),
    "a manifest of its own": (HEAD, ("slot.json", b"{}")),
    "a hidden file": (HEAD, ("lib/.cleo", b"")),
    "compiled code": (HEAD, ("lib/oppet/__pycache__/cli.cpython-311.pyc", b"")),
    "the same name twice": (HEAD, GOOD, GOOD),
    "a name that differs in case": (HEAD, ("lib/Oppet.py", b""), ("lib/oppet.py", b"")),
    "a file that is a folder": (HEAD, ("lib/oppet", b""), ("lib/oppet/cli.py", b"")),
    "names out of order": (HEAD, ("lib/b.py", b""), ("lib/a.py", b"")),
    "no head": (GOOD,),
    "a symbolic link": (HEAD, member("lib/oppet/cli.py", tarfile.SYMTYPE, "/etc/passwd")),
    "a hard link": (HEAD, GOOD, member("lib/oppet/cli.py", tarfile.LNKTYPE, "lib/oppet/__init__.py")),
    "a device": (HEAD, member("lib/oppet/cli.py", tarfile.CHRTYPE)),
    "a folder": (HEAD, member("lib/oppet", tarfile.DIRTYPE)),
    "a longer name in a header of its own": (HEAD, member("lib/oppet/cli.py", tarfile.GNUTYPE_LONGNAME)),
    "an extended header": (HEAD, member("lib/oppet/cli.py", tarfile.XHDTYPE)),
    "another owner": (HEAD, member("lib/oppet/cli.py", uid=1000)),
    "set-uid": (HEAD, member("lib/oppet/cli.py", mode=0o4755)),
    "another time": (HEAD, member("lib/oppet/cli.py", mtime=7)),
}


def unpacked(tmp_path: Path, data: bytes) -> TargetRefusedError:
    image = tmp_path / "image.tar"
    image.write_bytes(data)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(TargetRefusedError) as refused:
        images.unpack(image, software_of(image, a_note()), tmp_path / "slot")
    assert sorted(tmp_path.rglob("*")) == before, "nothing is left, nowhere"
    return refused.value


@pytest.mark.parametrize("what", HOSTILE)
def test_rl11_an_image_that_wants_to_write_elsewhere_is_refused_though_it_is_signed(tmp_path: Path, what: str) -> None:
    assert unpacked(tmp_path, raw(*HOSTILE[what])).facts["why"] == "path"


@pytest.mark.parametrize(
    "data", [raw(HEAD, GOOD)[:-512], raw(HEAD, GOOD) + b"\0", raw(HEAD, GOOD)[:1100], raw(), b"not a tar"]
)
def test_rl11_an_image_that_is_cut_or_longer_is_refused(tmp_path: Path, data: bytes) -> None:
    assert unpacked(tmp_path, data).facts["why"] == "malformed"


def test_rl11_too_many_files_and_too_many_bytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MOST_FILES", 2)
    assert "many" in str(unpacked(tmp_path, raw(HEAD, ("lib/a.py", b""), ("lib/b.py", b""))))
    monkeypatch.setattr(images, "MOST_BYTES", len(HEAD[1]) + 3)
    assert unpacked(tmp_path, raw(HEAD, ("lib/a.py", b"1234"))).facts["why"] == "path"


def test_rl11_bytes_other_than_the_signed_ones_are_refused(tmp_path: Path) -> None:
    image, software = image_of(tmp_path, 2)
    data = bytearray(image.read_bytes())
    data[1200] ^= 1
    image.write_bytes(data)
    with pytest.raises(TargetRefusedError) as refused:
        images.unpack(image, software, tmp_path / "slot")
    assert refused.value.facts["why"] == "bytes"
    assert not (tmp_path / "slot").exists()


def test_rl11_an_image_that_says_another_release_than_was_signed_is_refused(tmp_path: Path) -> None:
    image, _ = image_of(tmp_path, 2)
    with pytest.raises(TargetRefusedError) as refused:
        images.unpack(image, software_of(image, a_note(3)), tmp_path / "slot")
    assert refused.value.facts["why"] == "malformed"


def test_rl11_the_slot_is_the_image_again_and_nobody_may_write_there(tmp_path: Path) -> None:
    image, software = image_of(tmp_path, 2)
    slot = tmp_path / "slot"
    images.unpack(image, software, slot)
    manifest = images.note_compiled(slot)
    digests = launcher.verify(slot, software.image, manifest)
    assert set(digests) == {str(path) for path in slot.rglob("*") if path.is_file() and path.name != "slot.json"}
    assert {oct(path.stat().st_mode & 0o777) for path in slot.rglob("*")} == {"0o444", "0o555"}
    assert images.head_of(image) == a_note(2)


def test_rl11_the_same_content_gives_the_same_image_in_whatever_order_it_comes(tmp_path: Path) -> None:
    content = [("lib/b.py", b"b"), ("lib/a.py", b"a"), ("lib/a-b/c.py", b"c")]
    one = images.write_image(tmp_path / "one.tar", a_note(), content)
    other = images.write_image(tmp_path / "other.tar", a_note(), reversed(content))
    assert one == other == images.image_digest(tmp_path / "one.tar")
    with tarfile.open(tmp_path / "one.tar") as tar:  # an ordinary tar for whoever looks into it
        assert tar.getnames() == ["release.json", "lib/a-b/c.py", "lib/a.py", "lib/b.py"]
