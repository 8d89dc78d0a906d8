"""A release is built to the same bytes by whoever builds it, and says what it was made from."""

from __future__ import annotations

import json
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder

from oppet.base import canonical
from oppet.cli import command, run
from oppet.drivers import files
from oppet.drivers.images import head_of, image_digest
from oppet.release.terms import Software
from oppet.signing import build as building
from oppet.signing.build import Built, LockUnlikeError, NoSourceError, Plan, build_release, locked_in
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that nobody changes meanwhile."""
    made = tmp_path_factory.mktemp("tree")
    shutil.copytree(ROOT / "oppet", made / "oppet", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "requirements", made / "requirements")
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, made / name)
    return made


@pytest.fixture(scope="module")
def built(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build_release(tree, tmp_path_factory.mktemp("built"), Plan(2))


def names(image: Path) -> list[str]:
    with tarfile.open(image) as tar:
        return tar.getnames()


def test_rl11_two_builds_of_one_tree_are_the_same_bytes(tree: Path, built: Built, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    shutil.copytree(tree, other, copy_function=shutil.copy)  # other times, other inodes
    (other / "oppet" / "__pycache__").mkdir()
    (other / "oppet" / "__pycache__" / "cli.cpython-311.pyc").write_bytes(b"left over")
    for path in other.rglob("*.py"):
        path.chmod(0o600)
    again = build_release(other, tmp_path, Plan(2))
    assert again.software == built.software
    for one, two in ((built.image, again.image), (built.sbom, again.sbom), (built.provenance, again.provenance)):
        assert one.read_bytes() == two.read_bytes()
    (other / "oppet" / "cli.py").write_bytes(b"# changed\n")
    assert build_release(other, tmp_path, Plan(2)).software.image != built.software.image


def test_rl11_an_image_holds_what_the_wheel_holds(tree: Path, built: Built, tmp_path: Path) -> None:
    wheel = next(iter(WheelBuilder(str(tree)).build(directory=str(tmp_path), versions=["standard"])))
    inside = [name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("oppet/")]
    assert names(built.image) == ["release.json", *sorted(f"lib/{name}" for name in inside)]
    assert "lib/oppet/drivers/locale/sv/LC_MESSAGES/oppet.mo" in names(built.image)


def test_rl11_what_is_signed_is_written_beside_the_image(built: Built) -> None:
    said = canonical.decode(files.read(built.image.with_name("till-2.software.json")), Software)
    assert said == built.software
    assert (said.image, said.image_bytes) == image_digest(built.image)
    note = head_of(built.image)
    assert (note.release, note.version, note.fiscal, note.schema) == (2, said.version, said.fiscal, said.schema)
    assert note.lock == canonical.digest(files.read(ROOT / "requirements" / "till.txt"))


def test_rl11_the_sbom_names_every_package_of_the_lock_and_is_under_the_images_digest(tree: Path, built: Built) -> None:
    sbom: dict[str, Any] = json.loads(built.sbom.read_bytes())
    lock = locked_in((tree / "requirements" / "till.txt").read_text(encoding="utf-8"))
    assert (sbom["bomFormat"], sbom["specVersion"], sbom["version"]) == ("CycloneDX", "1.6", 1)
    assert [one["name"] for one in sbom["components"]] == [one.name for one in lock]
    assert {"litestar", "tuf", "cryptography"} <= {one.name for one in lock}
    for one in sbom["components"]:
        assert one["purl"] == f"pkg:pypi/{one['name']}@{one['version']}"
        assert one["hashes"], one
        assert all(hash_["alg"] == "SHA-256" and len(hash_["content"]) == 64 for hash_ in one["hashes"])
    assert len(sbom["dependencies"][0]["dependsOn"]) == len(lock)
    assert head_of(built.image).contents == canonical.digest(built.sbom.read_bytes()) == built.digests["sbom"]


def test_rl11_the_provenance_names_the_image_and_what_it_was_made_from(built: Built) -> None:
    said: dict[str, Any] = json.loads(built.provenance.read_bytes())
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["predicateType"] == "https://slsa.dev/provenance/v1"
    assert said["subject"] == [{"name": "till-2.tar", "digest": {"sha256": built.software.image}}]
    materials = {
        one["name"]: one["digest"]["sha256"] for one in said["predicate"]["buildDefinition"]["resolvedDependencies"]
    }
    note = head_of(built.image)
    assert materials == {"source tree": note.tree, "requirements/till.txt": note.lock}


def test_rl11_no_machine_and_no_registry_stands_in_what_is_built(built: Built) -> None:
    for path in (built.sbom, built.provenance, built.image.with_name("till-2.software.json")):
        text = path.read_text(encoding="utf-8")
        assert str(ROOT) not in text
        assert not [word for word in ("http://", "index-url", str(Path.home())) if word in text]


def test_rl11_regulated_functions_do_not_change_under_the_same_version(
    tree: Path, built: Built, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["release", "build", str(tmp_path), "--release", "3", "--before", str(built.image), "--json"]
    assert run([*words, "--tree", str(tree)], command()) == 0
    assert json.loads(capsys.readouterr().out)["sha256"] != built.software.image
    other = tmp_path / "other"
    shutil.copytree(tree, other)
    with (other / "oppet" / "fiscal" / "tally.py").open("a", encoding="utf-8") as file:
        file.write("# another sum\n")
    assert run([*words, "--tree", str(other)], command()) == 1
    assert "RegulatedChangedError" in capsys.readouterr().err
    place = other / "oppet" / "fiscal" / "__init__.py"
    place.write_text(place.read_text(encoding="utf-8").replace('FISCAL: Final = "1"', 'FISCAL: Final = "2"'), "utf-8")
    assert run([*words, "--tree", str(other)], command()) == 0


def test_rl11_locked_packages_go_in_by_their_own_record_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = [one for one in locked_in((ROOT / "requirements" / "till.txt").read_text("utf-8")) if one.name == "segno"]
    files_in = dict(building._installed(small[0]))
    assert "lib/segno/__init__.py" in files_in
    assert not [name for name in files_in if name.endswith((".pyc", "RECORD")) or ".." in name]
    with pytest.raises(LockUnlikeError):
        dict(building._installed(building.Locked("segno", "0.0.1", ())))
    monkeypatch.setattr(building, "_record", lambda _: "another")
    with pytest.raises(LockUnlikeError, match=r"changed in"):
        dict(building._installed(small[0]))


def test_rl11_a_checkout_that_is_not_set_up_is_refused(tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tree, other, ignore=shutil.ignore_patterns("*.mo"))
    with pytest.raises(NoSourceError, match=r"oppet\.mo"):
        build_release(other, tmp_path, Plan(2))


def test_rl11_a_folder_that_is_no_checkout_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(NoSourceError):
        build_release(tmp_path, tmp_path, Plan(2))
    assert list(tmp_path.iterdir()) == []
