"""A cache of publications: pulls the published tree from upstream on its own beat, and keeps as much of it as its bounds allow.

Run by the store node, by a neighbour keeper and, once, for a stick. It holds no trust: tills check everything it gives (RL13). It
checks what it stores only so that a damaged copy is not passed on: each file against the lists that name it, each piece against its
name. What becomes visible is whole: files are renamed into place, and a list is written after everything it names. The disk is the
journals' first: a cache stops before it is full. Serving the tree is `drivers/publication_http.py`'s.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from oppet.base.errors import OppetError, UnavailableError, UntrustedError
from oppet.base.words import N_
from oppet.drivers import files
from oppet.drivers.disk import free_bytes
from oppet.drivers.obtaining import Fetching, NoRoomError, Rate, Source, StoppedError, unpack, unzstd
from oppet.drivers.publication_judge import ListJudge
from oppet.drivers.publication_sources import FolderSource, HttpSource
from oppet.release.chunks import (
    FROM_NOTHING,
    LARGEST_INDEX,
    Chunk,
    Index,
    chunk_path,
    most_packed,
    patch_path,
    read_index,
)
from oppet.release.errors import (
    MetadataRefusedError,
    NotPublishedError,
    PublicationAwayError,
    PublicationMalformedError,
)
from oppet.release.found import Refused
from oppet.release.terms import CHAIN, PLAN, STORE, VENDOR, Digest, Plan, Software, is_goods, is_software
from oppet.sync.messages import KeeperInfo

__all__ = ["Beat", "Bounds", "CacheSettings", "Mirror", "Pulled", "as_list", "lines_to", "names_in", "open_cache"]

LOG = logging.getLogger("oppet.publications")
LARGEST_TIMESTAMP: Final = 16 << 10
LARGEST_LIST: Final = 4 << 20
LARGEST_ROOT: Final = 256 << 10
LARGEST_TARGET: Final = 64 << 20
LARGEST_HEALTH: Final = 1 << 20
MOST_ROOTS: Final = 256
MOST_TARGETS: Final = 20_000
MOST_ROLES: Final = 24
MOST_BEFORE: Final = 3  # documents that a patch is asked from
TOLD_AGAIN_S: Final = 6 * 3600.0
PUB: Final = "/pub"
JUDGED: Final = "publications-judged"  # how new the lists were, beside the tree
KEEP_LISTS: Final = 2  # a reader may be between two lists when they change
_ROLE: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}\Z")
_TARGET: Final = re.compile(r"[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,3}(\.[A-Za-z0-9_-]{1,32}){0,3}\Z")
_LIST: Final = re.compile(r"([1-9][0-9]{0,8})\.([a-z][a-z0-9_-]{0,31})\.json\Z")
_STORE_ROOT: Final = re.compile(r"stores/([A-Za-z0-9-]{1,16})\.root\.json\Z")

Version = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class CacheSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of a store node's or neighbour keeper's settings (docs/settings.md)."""

    folder: Annotated[str, Meta(min_length=1, max_length=200)] = "publications"  # in the keeper's folder
    upstream: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=400)], ...], Meta(max_length=8)] = ()
    every_s: Annotated[int, Meta(ge=1, le=86_400)] = 60
    most_mb: Annotated[int, Meta(ge=1, le=1_000_000)] = 2048
    spare_mb: Annotated[int, Meta(ge=0, le=1_000_000)] = 1024
    rate_kb_s: Annotated[int, Meta(ge=0, le=10_000_000)] = 0  # 0 for as fast as the line is
    connections: Annotated[int, Meta(ge=1, le=16)] = 4
    vendor_root: Annotated[str, Meta(max_length=400)] = ""  # with both, lists are judged before they replace others
    chain_root: Annotated[str, Meta(max_length=400)] = ""


class TooLargeError(UnavailableError):
    sentence = N_("The cache of publications may hold {most} bytes; what is published needs {needed}.")


class _Hashes(msgspec.Struct, frozen=True):
    sha256: Digest | None = None


class _Meta(msgspec.Struct, frozen=True):
    version: Version
    length: int | None = None
    hashes: _Hashes = _Hashes()


class _Target(msgspec.Struct, frozen=True):
    length: Annotated[int, Meta(ge=0, le=LARGEST_TARGET)]
    hashes: _Hashes
    custom: msgspec.Raw = msgspec.Raw(b"null")


class _Said(msgspec.Struct, frozen=True):
    version: Version
    meta: dict[str, _Meta] = {}
    targets: dict[str, _Target] = {}


class _Envelope(msgspec.Struct, frozen=True):
    signed: _Said


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the cache may take."""

    most_bytes: int = 2 << 30
    spare_bytes: int = 1 << 30  # of the disk, which journals need first
    releases: int = 2  # kept of each kind of machine


@dataclass(slots=True)
class Pulled:
    """What one round did."""

    changed: bool = False
    files: int = 0  # that came
    bytes: int = 0  # that came over a wire or stick
    releases: list[str] = field(default_factory=list)  # whole here: "till-7"
    waiting: str = ""  # what could not be had, for a person; "" for nothing
    took_ms: int = 0


@dataclass(frozen=True, slots=True)
class Listed:
    """A file that a list of this repository names, unverified."""

    repository: str
    name: str
    length: int
    sha256: str
    custom: bytes = b"null"

    @property
    def path(self) -> str:
        folder, _, base = self.name.rpartition("/")
        return f"{self.repository}/targets/{folder}{'/' if folder else ''}{self.sha256}.{base}"


def names_in(repository: str, lists: Mapping[str, _Said]) -> list[Listed]:
    """Everything the lists name that may be named at all."""
    found = []
    for said in lists.values():
        for name, target in said.targets.items():
            if target.hashes.sha256 and len(name) <= 200 and _TARGET.match(name):
                found.append(Listed(repository, name, target.length, target.hashes.sha256, bytes(target.custom)))
    return found[:MOST_TARGETS]


class Mirror:
    """The tree at `tree`, made like upstream's by `pull`, one caller at a time.

    `lines` gives the sources on as many connections as may be used at once. `stores` are those whose roots and small repositories are
    pulled, None for all that the chain names; a node `makes_own` of its store's and pulls none.
    """

    def __init__(
        self, tree: Path, lines: Callable[[], Sequence[Sequence[Source]]], stores: Sequence[str] | None = None,
        bounds: Bounds | None = None, *, makes_own: bool = False, judge: ListJudge | None = None,
        tell: Callable[[Refused], None] | None = None, rate: Rate | None = None, free: Callable[[Path], int] = free_bytes,
    ) -> None:  # fmt: skip
        self.tree = files.folder(tree)
        self._open_lines, self._stores, self._bounds = lines, stores, bounds or Bounds()
        self._makes_own, self._judge = makes_own, judge
        self._tell, self._rate, self._free = tell, rate or Rate(), free
        self._lines: Sequence[Sequence[Source]] = ()
        self._stop: Callable[[], bool] = lambda: False
        self._checked: set[str] = set()  # files of this tree that were read and are right
        self.pulled = Pulled()
        self.progress: Callable[[str, int, int], None] = lambda _release, _done, _of: (
            None
        )  # pieces of a release that are right

    def close(self) -> None:
        """Let the connections go."""
        for line in self._lines:
            for source in line:
                source.close()
        self._lines = ()

    def pull(self, stop: Callable[[], bool] = lambda: False) -> Pulled:
        """One round. What could not be had is told in `waiting`; the next round goes on. Raises StoppedError alone."""
        began = time.monotonic()
        self._stop, done = stop, Pulled()
        if not self._lines:
            self._lines = self._open_lines()
        try:
            self._round(done)
        except StoppedError:
            raise
        except OppetError as error:
            done.waiting = done.waiting or str(error)
        done.took_ms = int((time.monotonic() - began) * 1000)
        self.pulled = done
        return done

    # --- lists ------------------------------------------------------------------------------------------------------

    def _round(self, done: Pulled) -> None:
        named: dict[str, list[Listed]] = {}
        for repository in (VENDOR, CHAIN):
            named[repository] = self._repository(repository, done)
        stores = self._stores
        if stores is None:
            found = (_STORE_ROOT.match(one.name) for one in named[CHAIN])
            stores = sorted({match[1] for match in found if match})
        for store in () if self._makes_own else stores:
            repository = f"{STORE}/{store}"
            try:
                named[repository] = self._repository(repository, done)
            except NotPublishedError:
                continue  # a store that never marked anything down
        releases = self._releases(named)
        keep = self._software(releases, done)
        if not done.waiting:
            self._sweep(named, keep)

    def _repository(self, repository: str, done: Pulled) -> list[Listed]:
        """Bring one repository's lists and small files here, the list that shows the rest last."""
        trouble: OppetError | None = None
        for place in range(len(self._lines[0])):
            fetching = Fetching([[self._lines[0][place]]], repository, self._tell, self._rate, self._stop)
            try:
                shown = self._shown(fetching, repository)
                break
            except StoppedError:
                raise
            except (UnavailableError, UntrustedError) as error:
                if isinstance(error, MetadataRefusedError) and self._tell is not None:
                    source = self._lines[0][place].name
                    self._tell(Refused("cache", str(error.facts["why"]), repository, repository, source, str(error)))
                if trouble is None or isinstance(trouble, NotPublishedError):
                    trouble = error
            finally:
                done.bytes += fetching.fetched
        else:
            raise trouble or PublicationAwayError(source="-", reason="no source is known")
        stamp, fresh, named = shown
        fetching = self._fetching(repository)
        try:
            for path, data in fresh.items():
                self._put(path, data, done)
            for one in named:
                if not is_software(one.name) and not one.name.startswith("emergency/"):
                    self._target(fetching, one, done)
            self._put(f"{repository}/metadata/timestamp.json", stamp, done)
        finally:
            done.bytes += fetching.fetched
        return named

    def _shown(self, fetching: Fetching, repository: str) -> tuple[bytes, dict[str, bytes], list[Listed]]:
        """What one source shows of a repository: its timestamp, the lists that are not here, and what they name.

        With roots at hand they are judged as tills do, but for their age; nothing of a refused set is written.
        """
        fresh: dict[str, bytes] = {}
        stamp, said = fetching.first(f"{repository}/metadata/timestamp.json", LARGEST_TIMESTAMP, as_list)
        snapshot = self._list(fetching, repository, "snapshot", said.meta.get("snapshot.json"), fresh)
        roles = [(name.removesuffix(".json"), meta) for name, meta in snapshot.meta.items()]
        lists = {
            role: self._list(fetching, repository, role, meta, fresh)
            for role, meta in roles[:MOST_ROLES]
            if _ROLE.match(role) and role not in ("root", "snapshot", "timestamp")
        }
        self._roots(fetching, repository, fresh)
        stamped = f"{repository}/metadata/timestamp.json"
        if self._judge is not None and (fresh or not self._same(stamped, stamp)):
            self._judge.judge(repository, self.tree, {**fresh, stamped: stamp})
        return stamp, fresh, names_in(repository, lists)

    def _same(self, path: str, data: bytes) -> bool:
        here = self.tree / path
        return here.exists() and files.read(here, LARGEST_LIST) == data

    def _list(
        self, fetching: Fetching, repository: str, role: str, meta: _Meta | None, fresh: dict[str, bytes]
    ) -> _Said:
        if meta is None:
            raise PublicationMalformedError(name=f"{repository}/{role}", reason="it is not named")
        path = f"{repository}/metadata/{meta.version}.{role}.json"

        def believe(data: bytes) -> tuple[bytes, _Said]:
            found = as_list(data)
            if found[1].version != meta.version:
                raise ValueError("another version than it is named by")
            if meta.hashes.sha256 and hashlib.sha256(data).hexdigest() != meta.hashes.sha256:
                raise ValueError("its digest is another")
            return found

        here = self.tree / path
        if here.exists():
            try:
                return believe(files.read(here, LARGEST_LIST))[1]
            except (ValueError, OppetError):
                pass  # it is fetched anew, and replaced if what comes is judged better
        fresh[path], said = fetching.first(path, LARGEST_LIST, believe)
        return said

    def _roots(self, fetching: Fetching, repository: str, fresh: dict[str, bytes]) -> None:
        """Every root from the first on: a till that slept walks all of them.

        A cache that cannot judge asks for the newest it has anew: a false one must not stay when its source is mended.
        """
        number = 1
        while (self.tree / f"{repository}/metadata/{number}.root.json").exists():
            number += 1
        if self._judge is None and number > 1:
            number -= 1
        while number <= MOST_ROOTS:
            path = f"{repository}/metadata/{number}.root.json"
            try:
                data, said = fetching.first(path, LARGEST_ROOT, as_list)
            except NotPublishedError:
                if self._judge is None:
                    (self.tree / path).unlink(missing_ok=True)
                return
            if said.version != number:
                raise PublicationMalformedError(name=path, reason="another version than it is named by")
            if not self._same(path, data):
                fresh[path] = data
            number += 1

    # --- small files ------------------------------------------------------------------------------------------------

    def _target(self, fetching: Fetching, one: Listed, done: Pulled) -> None:
        if self._right(one):
            return
        store = _STORE_ROOT.match(one.name)
        if store and self._stores is not None and store[1] not in self._stores:
            return  # another store's root is nothing to this store's tills
        most = LARGEST_TARGET if is_goods(one.name) or one.name.startswith(f"{STORE}/") else LARGEST_HEALTH
        if one.length > most:
            raise PublicationMalformedError(name=one.name, reason=f"{one.length} bytes")
        self._room(one.length)
        data = self._patched(fetching, one, done) if is_goods(one.name) else None
        if data is None:
            data = fetching.first(one.path, one.length, lambda data: _right(data, one))
        self._put(one.path, data, done)
        self._checked.add(one.path)

    def _patched(self, fetching: Fetching, one: Listed, done: Pulled) -> bytes | None:
        """The document by a patch from one that is here, or packed; the patch is kept for the tills."""
        for digest, before in self._documents(one):
            path = patch_path(digest, one.sha256)

            def believe(patch: bytes, before: bytes = before) -> tuple[bytes, bytes]:
                return patch, _right(unzstd(patch, one.length, before), one)

            try:
                patch, data = fetching.first(path, most_packed(one.length), believe)
            except (NotPublishedError, UntrustedError):
                continue
            self._put(path, patch, done)
            return data
        return None

    def _documents(self, one: Listed) -> Iterator[tuple[str, bytes]]:
        """Documents here that this one may be patched from, the newest first; then nothing at all."""
        kind = one.name.rpartition("-")[0].rpartition("/")[2]
        folder = self.tree / one.repository / "targets"
        here = [path for role in ("goods", "wide") for path in (folder / role).glob(f"*.{kind}-*.json")]
        here.sort(key=lambda path: -path.stat().st_mtime_ns)
        for path in here[:MOST_BEFORE]:
            data = files.read(path, LARGEST_TARGET)
            digest = hashlib.sha256(data).hexdigest()
            if path.name.startswith(digest) and digest != one.sha256:
                yield digest, data
        yield FROM_NOTHING, b""

    # --- releases ---------------------------------------------------------------------------------------------------

    def _releases(self, named: Mapping[str, Sequence[Listed]]) -> list[tuple[Listed, Listed, Software]]:
        """What both repositories name alike, the newest of each kind of machine, and what the plan chose."""
        theirs = {one.name: one for one in named[CHAIN] if is_software(one.name)}
        both = []
        for ours in named[VENDOR]:
            other = theirs.get(ours.name)
            if other and is_software(ours.name) and (ours.length, ours.sha256) == (other.length, other.sha256):
                try:
                    both.append((ours, other, msgspec.json.decode(ours.custom, type=Software)))
                except msgspec.DecodeError:
                    continue
        both.sort(key=lambda found: -found[2].release)
        chosen, kept = self._chosen(named[CHAIN]), list[tuple[Listed, Listed, Software]]()
        seen: dict[tuple[str, str], int] = {}
        for found in both:
            kind = (found[2].role, found[2].hw)
            seen[kind] = seen.get(kind, 0) + 1
            if seen[kind] <= self._bounds.releases or chosen.get(found[2].role) == found[2].release:
                kept.append(found)
        return kept

    def _chosen(self, named: Sequence[Listed]) -> dict[str, int]:
        for one in named:
            if one.name == PLAN:
                try:
                    return msgspec.json.decode(files.read(self.tree / one.path, LARGEST_HEALTH), type=Plan).releases
                except (msgspec.DecodeError, OppetError):
                    return {}
        return {}

    def _software(
        self, releases: Sequence[tuple[Listed, Listed, Software]], done: Pulled
    ) -> dict[str, tuple[str, ...]]:
        """Bring the releases here, the newest first; give the pieces and files to keep, by release."""
        keep: dict[str, tuple[str, ...]] = {}
        pieces: set[str] = set()
        for ours, theirs, software in releases:
            name = f"{software.role}-{software.release}"
            fetching = self._fetching(ours.name)
            try:
                index = self._index(fetching, ours, theirs, done)
                wanted = {chunk.sha256: chunk for chunk in index.chunks}
                size = sum(chunk.length for sha256, chunk in wanted.items() if sha256 not in pieces)
                if keep and self._size(pieces) + size > self._bounds.most_bytes:
                    continue  # an older one goes before a newer one does
                if size > self._bounds.most_bytes:
                    raise TooLargeError(most=self._bounds.most_bytes, needed=size)
                self._chunks(fetching, list(wanted.values()), done)
            except (UnavailableError, UntrustedError) as error:
                if isinstance(error, StoppedError):
                    raise
                done.waiting = done.waiting or str(error)
                continue
            finally:
                done.bytes += fetching.fetched
            pieces |= wanted.keys()
            keep[name] = (ours.path, theirs.path, *map(chunk_path, wanted))
            done.releases.append(name)
        return keep

    def _index(self, fetching: Fetching, ours: Listed, theirs: Listed, done: Pulled) -> Index:
        if ours.length > LARGEST_INDEX:
            raise PublicationMalformedError(name=ours.name, reason=f"{ours.length} bytes")
        if not self._right(ours):
            if self._right(theirs):
                data = files.read(self.tree / theirs.path, LARGEST_INDEX)
            else:
                data = fetching.first(ours.path, ours.length, lambda data: _right(data, ours))
            self._put(ours.path, data, done)
        data = files.read(self.tree / ours.path, LARGEST_INDEX)
        if not self._right(theirs):
            self._put(theirs.path, data, done)
        return read_index(data, ours.name)

    def _chunks(self, fetching: Fetching, chunks: Sequence[Chunk], done: Pulled) -> None:
        """Bring every piece here that is not, over all connections at once."""
        here = 0
        wanted = []
        for chunk in chunks:
            if self._has(chunk):
                here += 1
                self.progress(fetching.name, here, len(chunks))
            else:
                wanted.append(chunk)
        left = iter(wanted)
        came = itertools.count(here + 1)
        guard = threading.Lock()
        trouble: list[BaseException] = []

        def work() -> None:
            while not trouble:
                with guard:
                    chunk = next(left, None)
                if chunk is None:
                    return
                try:
                    frame = fetching.first(
                        chunk_path(chunk.sha256), most_packed(chunk.length), lambda data, of=chunk: _frame(data, of)  # type: ignore[misc]
                    )  # fmt: skip
                    with guard:
                        self._room(len(frame))
                        self._put(chunk_path(chunk.sha256), frame, done, durable=False)
                        self._checked.add(chunk_path(chunk.sha256))
                        self.progress(fetching.name, next(came), len(chunks))
                except Exception as error:  # noqa: BLE001 - raised below, in the caller's thread
                    trouble.append(error)

        threads = [threading.Thread(target=work, name="cache") for _ in range(max(1, len(self._lines)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if trouble:
            raise trouble[0]

    # --- files ------------------------------------------------------------------------------------------------------

    def _has(self, chunk: Chunk) -> bool:
        """Whether a piece is here; what a run before left is read once: a power cut may have halved it."""
        path = chunk_path(chunk.sha256)
        if path in self._checked and (self.tree / path).exists():
            return True
        try:
            unpack(files.read(self.tree / path, most_packed(chunk.length)), chunk)
        except files.FileMissingError:
            return False
        except (ValueError, OppetError):
            (self.tree / path).unlink(missing_ok=True)
            return False
        self._checked.add(path)
        return True

    def _right(self, one: Listed) -> bool:
        """Whether a target is here as it is named."""
        if one.path in self._checked and (self.tree / one.path).exists():
            return True
        try:
            _right(files.read(self.tree / one.path, LARGEST_TARGET), one)
        except files.FileMissingError:
            return False
        except (ValueError, OppetError):
            (self.tree / one.path).unlink(missing_ok=True)
            return False
        self._checked.add(one.path)
        return True

    def _put(self, path: str, data: bytes, done: Pulled, *, durable: bool = True) -> None:
        """Whole or not at all for a reader; `durable` for what nothing reads again before it is served."""
        target = self.tree / path
        if durable and target.exists() and files.read(target, LARGEST_TARGET) == data:
            return
        files.folder(target.parent)
        done.changed, done.files = True, done.files + 1
        if durable:
            files.write(target, data)
            return
        fresh = target.with_name(f"{target.name}.new")
        try:
            fresh.write_bytes(data)
            fresh.replace(target)
        except OSError as error:
            raise files.FileTroubleError(file=str(target), reason=error.strerror or "unwritable") from error

    def _room(self, size: int) -> None:
        free = self._free(self.tree)
        if free < self._bounds.spare_bytes + size:
            raise NoRoomError(needed=self._bounds.spare_bytes + size, free=free)

    def _size(self, pieces: set[str]) -> int:
        total = 0
        for sha256 in pieces:
            path = self.tree / chunk_path(sha256)
            total += path.stat().st_size if path.exists() else 0
        return total

    def _fetching(self, name: str) -> Fetching:
        return Fetching(self._lines, name, self._tell, self._rate, self._stop)

    def _sweep(self, named: Mapping[str, Sequence[Listed]], keep: Mapping[str, Sequence[str]]) -> None:
        """Drop what no list names any more and no kept release needs."""
        stay = {path for paths in keep.values() for path in paths}
        digests = set()
        for listed in named.values():
            for one in listed:
                if not is_software(one.name):
                    stay.add(one.path)
                    digests.add(one.sha256[:16])
        for repository in named:
            self._sweep_lists(self.tree / repository / "metadata")
            self._drop(self.tree / repository / "targets", stay)
        self._drop(self.tree / "chunks", stay)
        for path in (self.tree / "patches").glob("*"):
            if path.name[17:33] not in digests:
                path.unlink(missing_ok=True)

    def _drop(self, folder: Path, stay: set[str]) -> None:
        for path in folder.rglob("*"):
            name = path.relative_to(self.tree).as_posix()
            if path.is_file() and name not in stay:
                path.unlink(missing_ok=True)
                self._checked.discard(name)

    def _sweep_lists(self, folder: Path) -> None:
        """Roots stay for ever; of the rest the last two: a reader may stand between them."""
        versions: dict[str, list[tuple[int, Path]]] = {}
        for path in folder.glob("*.json"):
            match = _LIST.match(path.name)
            if match and match[2] != "root":
                versions.setdefault(match[2], []).append((int(match[1]), path))
        for found in versions.values():
            for _, path in sorted(found)[:-KEEP_LISTS]:
                path.unlink(missing_ok=True)


class Beat:
    """Pulls again and again in a thread of its own. `close` ends it, also in the middle of a download."""

    def __init__(self, mirror: Mirror, every_s: float, heard: Callable[[Pulled], None] | None = None) -> None:
        self.mirror = mirror
        self._every_s, self._heard = every_s, heard
        self._stop = threading.Event()
        self._soon = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publications", daemon=True)
        self._thread.start()

    def ask(self) -> None:
        """Pull soon."""
        self._soon.set()

    def close(self) -> None:
        """Twice does no harm."""
        self._stop.set()
        self._soon.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._soon.clear()
            try:
                pulled = self.mirror.pull(self._stop.is_set)
                if self._heard is not None:
                    self._heard(pulled)
            except StoppedError:
                break
            except Exception:
                LOG.exception("our own mistake in the cache of publications")  # it ends no keeper: the next beat comes
            self._soon.wait(self._every_s)
        self.mirror.close()


def lines_to(settings: CacheSettings, keepers: Sequence[KeeperInfo], base: Path) -> list[list[Source]]:
    """The sources, in the order they are asked, on as many connections as the settings say: what the settings name, then `keepers`."""

    def line() -> list[Source]:
        found: list[Source] = []
        for where in settings.upstream:
            there = where.startswith(("http://", "https://"))
            found.append(HttpSource(where, where) if there else FolderSource(where, base / where))
        return [*found, *(HttpSource(one.name, f"{one.url.rstrip('/')}{PUB}", one.tls) for one in keepers)]

    return [line() for _ in range(settings.connections)]


def open_cache(
    settings: CacheSettings, base: Path, store: str, keepers: Sequence[KeeperInfo], tell: Callable[[Refused], None], *,
    makes_own: bool,
) -> Beat:  # fmt: skip
    """A keeper's cache on its beat, in the keeper's folder `base`. A source that lies is told of once in `TOLD_AGAIN_S`."""
    told: dict[tuple[str, str], float] = {}

    def once(said: Refused) -> None:
        now, what = time.monotonic(), (said.source, said.why)
        if now - told.get(what, -TOLD_AGAIN_S) >= TOLD_AGAIN_S:
            told[what] = now
            tell(said)

    judge = None
    if settings.vendor_root and settings.chain_root:
        paths = {VENDOR: base / settings.vendor_root, CHAIN: base / settings.chain_root}
        judge = ListJudge(base / JUDGED, {name: files.read(path, LARGEST_ROOT) for name, path in paths.items()})
    mirror = Mirror(
        base / settings.folder, lambda: lines_to(settings, keepers, base), (store,),
        Bounds(settings.most_mb << 20, settings.spare_mb << 20), makes_own=makes_own, tell=once, judge=judge,
        rate=Rate(settings.rate_kb_s << 10),
    )  # fmt: skip
    return Beat(mirror, settings.every_s)


def as_list(data: bytes) -> tuple[bytes, _Said]:
    """Raises ValueError: msgspec's errors are among them."""
    try:
        return data, msgspec.json.decode(data, type=_Envelope).signed
    except RecursionError:
        raise ValueError("nested too deep") from None


def _right(data: bytes, one: Listed) -> bytes:
    if len(data) != one.length or hashlib.sha256(data).hexdigest() != one.sha256:
        raise ValueError("its digest is another")
    return data


def _frame(data: bytes, chunk: Chunk) -> bytes:
    unpack(data, chunk)
    return data


assert issubclass(PublicationAwayError, UnavailableError), "a source that is away is waited for, not accused"
