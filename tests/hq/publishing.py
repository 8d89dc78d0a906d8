"""Head office's side of a chain's repository for tests: Alva and Bo publish with keys of their own, Cleo's key nobody listed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from oppet.drivers import files, sealed_key
from oppet.drivers.keys import make_key
from oppet.drivers.repositories import Repository, Role, Threshold
from oppet.drivers.sealed_key import make_sealed
from oppet.drivers.signing_keys import HeldSigner
from oppet.release.terms import CHAIN
from tests.release.chain import a_pace
from tests.release.signed import NOW, signers

ALVA, BO, CLEO = 101, 301, 999
WORDS = {ALVA: "four words of Alva", BO: "four words of Bo", CLEO: "four words of Cleo"}


@contextmanager
def cheap_keys() -> Iterator[None]:
    """A guess at these passphrases costs little: tests open them often."""
    dear = sealed_key._Sealed

    def cheap(v: int, salt: str, nonce: str, sealed: str, public: str) -> Any:
        return dear(v, salt, nonce, sealed, public, time=1, memory_kb=8_192, lanes=1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealed_key, "_Sealed", cheap)
        yield


def a_chain(folder: Path, now: int = NOW) -> tuple[Path, Path]:
    """Make the chain's repository in `pub`, and head office's keys in `publish`."""
    tree, keys = folder / "pub", files.folder(folder / "publish")
    with cheap_keys():
        sealed = {who: HeldSigner(make_sealed(keys / f"{who}.key", words), str(who)) for who, words in WORDS.items()}
    publishers = [sealed[ALVA], sealed[BO]]
    vouching = HeldSigner(make_key(keys / "health.key"))
    root, targets = signers(3), signers(3)
    Repository.make(
        tree / CHAIN, root=Threshold(root, 2), targets=Threshold(targets, 2), online=HeldSigner(make_key(keys / "online.key")),
        now=now, pace=a_pace(),
        roles=[
            Role("goods", Threshold(publishers, 1), ["goods/*"]), Role("wide", Threshold(publishers, 2), ["wide/*"]),
            Role("health", Threshold([vouching], 1), ["health/*"]),
        ],
    )  # fmt: skip
    return tree, keys


def copied(template: tuple[Path, Path], folder: Path) -> tuple[Path, Path]:
    """A copy of one's own."""
    for source in template:
        for path in source.rglob("*"):
            if path.is_file():
                place = folder / source.name / path.relative_to(source)
                files.folder(place.parent)
                place.write_bytes(path.read_bytes())
                place.chmod(0o600)
    return folder / template[0].name, folder / template[1].name
