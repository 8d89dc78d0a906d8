"""A store's own small repository, as its node keeps it: the node's key, and the list of mark-downs that it signs.

The key is made at first use and never leaves the machine. The chain's people list the repository's root and top list among their own
targets (`oppet release store-root`); they come down with everything else, and the node takes those that name its key. From then on it
publishes into its own tree alone, with the WAN cut, and no till believes more of it than RL9 lets pass. Decides nothing about prices.
"""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Final

import msgspec
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Metadata, Root, Targets
from tuf.api.serialization import DeserializationError

from oppet.base import canonical
from oppet.base.clock import parse_utc, utc_text
from oppet.base.errors import OppetError, RefusedError
from oppet.base.words import N_
from oppet.drivers import files
from oppet.drivers.repositories import DAY_MS, Expires, Repository
from oppet.drivers.signing_keys import service_signer
from oppet.goods.freshness import StoreMarkDown, StoreMarkDowns
from oppet.release.terms import CHAIN, STORE, Goods, markdown_name

__all__ = ["MarkDownPress", "NotListedError"]

ROLE: Final = "markdowns"
KEY: Final = "markdowns.key"
LARGEST_PART: Final = 1 << 20
MOST_PARTS: Final = 200
EXPIRES: Final = Expires(snapshot=30, timestamp=30)  # a node that is off for a month: its mark-downs ended long before
AGAIN_MS: Final = DAY_MS  # lists are dated anew once a day
LOOK_MS: Final = 3_600_000  # and looked at once an hour
FIRST_MS: Final = parse_utc("2026-01-01T00:00:00.000Z")


class NotListedError(RefusedError):
    sentence = N_("Head office has not listed this store’s key for mark-downs yet. Give it this one: {key}")


class MarkDownPress:
    """Of store `store`; `folder` is the node's, `tree` its published tree. Raises KeyUnfitError."""

    def __init__(self, folder: Path, tree: Path, store: str) -> None:
        self._store, self._tree = store, tree
        self._place = tree / STORE / store
        self._signer = service_signer(folder / KEY, make=True)
        self._guard = threading.Lock()
        self._looked = -LOOK_MS

    @property
    def key(self) -> str:
        """The public half, as `oppet release store-root --key` takes it."""
        said: str = self._signer.public_key.keyval["public"]
        return said

    def ready(self) -> bool:
        """Whether the chain's people have listed this key."""
        return self._repository() is not None

    def listed(self) -> tuple[int, tuple[StoreMarkDown, ...]]:
        """The number of what is published, and the mark-downs; 0 and nothing before the first."""
        repository = self._repository()
        if repository is None or not repository.published:
            return 0, ()
        names = {_number(name): name for name in repository.lists(ROLE).targets}
        if not names:
            return 0, ()
        newest = max(names)
        try:
            said = canonical.decode(repository.content(ROLE, names[newest]), StoreMarkDowns)
        except (msgspec.DecodeError, OppetError):
            return newest, ()
        return newest, said.markdowns

    def publish(self, markdowns: tuple[StoreMarkDown, ...], now: int) -> int:
        """Publish these instead of what was published before; give the number. Raises NotListedError, UnavailableError."""
        with self._guard:
            repository = self._repository()
            if repository is None:
                raise NotListedError(key=self.key)
            # Seconds, so that a node that lost its disk does not begin again below what its tills have taken.
            number = max(self.listed()[0] + 1, (now - FIRST_MS) // 1000)
            said = canonical.encode(StoreMarkDowns(self._store, markdowns))
            for name in repository.lists(ROLE).targets:
                repository.remove(ROLE, name)
            goods = Goods(ROLE, number, utc_text(now), store=self._store)
            repository.add(ROLE, markdown_name(self._store, number), said, goods, now=now)
            repository.sign(ROLE, [self._signer])
            repository.publish(self._signer, now)
            self._sweep(repository)
            return number

    def refresh(self, now: int) -> None:
        """Date the lists anew, once a day, so that tills go on believing them."""
        if 0 <= now - self._looked < LOOK_MS:
            return
        self._looked = now
        with self._guard:
            repository = self._repository()
            if repository is None or not repository.published:
                return
            left = repository.read("timestamp").signed.expires.timestamp() * 1000 - now
            if left < EXPIRES.timestamp * DAY_MS - AGAIN_MS:
                repository.publish(self._signer, now)

    def _repository(self) -> Repository | None:
        """Ours as it is; made of the parts that came down where there is none, or where the chain's people made it anew."""
        parts, mine = self._parts(), self._root()
        if mine is not None and (parts is None or parts[0] == mine):
            return Repository(self._place, EXPIRES)
        if parts is None:
            return None
        root, top = parts
        shutil.rmtree(self._place, ignore_errors=True)
        files.folder(self._place / "metadata")
        staged = files.folder(self._place / "staged")
        expires = Metadata[Targets].from_bytes(top).signed.expires
        files.write(staged / f"{ROLE}.json", Metadata(Targets(1, expires=expires)).to_bytes())
        files.write(staged / "targets.json", top)
        files.write(staged / "root.json", root)  # last: it says that the others are there
        return Repository(self._place, EXPIRES)

    def _root(self) -> bytes | None:
        for place in ("metadata/1.root.json", "staged/root.json"):
            if (self._place / place).exists():
                return files.read(self._place / place, LARGEST_PART)
        return None

    def _parts(self) -> tuple[bytes, bytes] | None:
        """The root that names this key, and the top list that it covers, among the chain's targets that came down."""
        roots, tops = self._came("root"), self._came("targets")
        mine = self._signer.public_key.keyid
        for root_bytes, root in roots:
            if not isinstance(root.signed, Root) or mine not in root.signed.roles["timestamp"].keyids:
                continue
            for top_bytes, top in tops:
                delegations = top.signed.delegations if isinstance(top.signed, Targets) else None
                if delegations is None or mine not in delegations.keys:
                    continue
                try:
                    root.verify_delegate("targets", top)
                except UnsignedMetadataError:
                    continue
                return root_bytes, top_bytes
        return None

    def _came(self, part: str) -> list[tuple[bytes, Metadata[Root] | Metadata[Targets]]]:
        found: list[tuple[bytes, Metadata[Root] | Metadata[Targets]]] = []
        folder = self._tree / CHAIN / "targets" / "stores"
        for path in sorted(folder.glob(f"*.{self._store}.{part}.json"))[:MOST_PARTS]:
            try:
                data = files.read(path, LARGEST_PART)
                found.append((data, Metadata.from_bytes(data)))
            except (OppetError, DeserializationError):
                continue
        return sorted(found, key=lambda one: one[1].signed.expires, reverse=True)  # the newest first

    def _sweep(self, repository: Repository) -> None:
        """What no list names any more goes; tills hold what they took."""
        stay = {path for one in repository.lists(ROLE).targets.values() for path in one.get_prefixed_paths()}
        targets = self._place / "targets"
        for path in targets.rglob("*"):
            if path.is_file() and path.relative_to(targets).as_posix() not in stay:
                path.unlink(missing_ok=True)


def _number(name: str) -> int:
    said = name.rpartition("-")[2].removesuffix(".json")
    return int(said) if said.isascii() and said.isdigit() else 0
