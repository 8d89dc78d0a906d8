"""Making a whole image, or a whole document, out of what is here and what caches give, and believing none of them.

Every piece is checked by its SHA-256 and the whole again by the image's: both stand in what people signed (RL13). What came
before a cut stays in the unfinished file and is checked again, not fetched again. A source that gives wrong bytes is named and not asked
again; the next one is. A frame may not unpack to more than it was signed for. Downloads give way to payments (`Rate`).
Whether a target is signed at all was settled before (`drivers/publications.py`).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Final, Protocol, TypeVar

import zstandard

from oppet.base.errors import RefusedError, UnavailableError, UntrustedError
from oppet.base.words import N_
from oppet.drivers.disk import free_bytes, make_durable
from oppet.drivers.files import FileTroubleError
from oppet.release.chunks import (
    FROM_NOTHING,
    LARGEST_CHUNK,
    LARGEST_INDEX,
    Chunk,
    Index,
    chunk_path,
    fits,
    most_packed,
    patch_path,
    placed,
    read_index,
)
from oppet.release.errors import NotPublishedError, PublicationAwayError, PublicationMalformedError, TargetRefusedError
from oppet.release.found import Refused
from oppet.release.terms import Software

__all__ = [
    "Fetching", "NoRoomError", "Obtained", "Rate", "Source", "StoppedError", "image_index", "obtain_goods", "obtain_image",
    "unpack", "unzstd",
]  # fmt: skip

T = TypeVar("T")

BLOCK: Final = 1 << 20
SPARE: Final = 64 << 20  # bytes of disk that stay free whatever is fetched: the journal comes first
AWAY_LIMIT: Final = 3  # times in a row that a source may be away before it is left alone
LARGEST_DOCUMENT: Final = 64 << 20


class NoRoomError(UnavailableError):
    sentence = N_("There is no room on the disk for what was published: {needed} bytes are needed, {free} are free.")


class StoppedError(UnavailableError):
    sentence = N_("The download of {name} was stopped. What is here is kept.")


class Source(Protocol):
    """Somewhere the published tree lies: a server, a folder, a stick (`drivers/publication_sources.py`). One caller at a time."""

    name: str

    def read(self, path: str, most: int) -> bytes:
        """One file of the tree. Raises NotPublishedError, PublicationAwayError, TargetRefusedError (endless, slow)."""
        ...

    def close(self) -> None: ...


class Rate:
    """So many bytes a second and no more, and a pause while something with a customer waiting is on the wire.

    `busy` is asked before each piece. It only delays: a till that is never quiet still gets a piece every `patience_s`.
    """

    def __init__(
        self, bytes_s: int = 0, busy: Callable[[], bool] | None = None, *,
        patience_s: float = 10.0, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = time.sleep,
    ) -> None:  # fmt: skip
        self._bytes_s, self._busy, self._patience_s = bytes_s, busy, patience_s
        self._clock, self._sleep = clock, sleep
        self._guard = threading.Lock()
        self._free_at = 0.0

    def before(self, stop: Callable[[], bool]) -> None:
        """Wait until the next piece may be asked for, or `stop`."""
        began = self._clock()
        while self._busy is not None and self._busy() and self._clock() - began < self._patience_s and not stop():
            self._sleep(0.05)
        while not stop() and (left := self._free_at - self._clock()) > 0:
            self._sleep(min(left, 0.2))

    def after(self, size: int) -> None:
        """So much came."""
        if self._bytes_s:
            with self._guard:
                self._free_at = max(self._free_at, self._clock()) + size / self._bytes_s


@dataclass(frozen=True, slots=True)
class Obtained:
    """The image is whole at `path`, its index beside it (`image_index`)."""

    path: Path
    whole: int  # bytes of the image
    fetched: int  # bytes that came over a wire or stick
    kept: int  # bytes that were in the unfinished file
    copied: int  # bytes out of images that were here
    refused: tuple[Refused, ...] = ()  # sources that gave something else than what was signed


def image_index(image: Path) -> Path:
    """Where an image's index lies: with it, an image here saves the pieces it shares with the next."""
    return image.with_name(f"{image.name}.index")


def unpack(frame: bytes, chunk: Chunk) -> bytes:
    """What is in a frame, or an exception: never more bytes than the piece has. Raises ValueError."""
    if len(frame) > most_packed(chunk.length):
        raise ValueError("longer than its content could be")
    data = unzstd(frame, chunk.length)
    if hashlib.sha256(data).hexdigest() != chunk.sha256:
        raise ValueError("its digest is another")
    return data


def unzstd(frame: bytes, length: int, before: bytes = b"") -> bytes:
    """Raises ValueError. The frame must declare this length; zstd itself then writes no byte beyond it."""
    try:
        if zstandard.frame_content_size(frame) != length:
            raise ValueError("it declares another length")
        known = zstandard.ZstdCompressionDict(before, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if before else None
        window = max(LARGEST_CHUNK, 1 << (length + len(before)).bit_length())
        opener = zstandard.ZstdDecompressor(dict_data=known, max_window_size=window)
        data = opener.decompress(frame, max_output_size=length, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)[:80]) from None
    if len(data) != length:
        raise ValueError("it holds less than it declares")
    return data


@dataclass(slots=True)
class Fetching:
    """What sources are asked for one after the other, with what was learnt of them.

    Each of `lines` is the same sources on connections of its own: so many threads may fetch at once.
    """

    lines: Sequence[Sequence[Source]]
    name: str  # of the target, for what is said of it
    tell: Callable[[Refused], None] | None = None
    rate: Rate = field(default_factory=Rate)
    stop: Callable[[], bool] = lambda: False
    fetched: int = 0
    refused: dict[str, Refused] = field(default_factory=dict)
    _away: dict[str, int] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _idle: SimpleQueue[Sequence[Source]] = field(default_factory=SimpleQueue)

    def __post_init__(self) -> None:
        for line in self.lines:
            self._idle.put(line)

    def chunk(self, chunk: Chunk) -> bytes:
        """A piece, packed, whose content is what was signed. Raises TargetRefusedError, PublicationAwayError, StoppedError."""
        return self.first(chunk_path(chunk.sha256), most_packed(chunk.length), lambda frame: unpack(frame, chunk))

    def first(self, path: str, most_bytes: int, believe: Callable[[bytes], T]) -> T:
        """What `believe` makes of the first source's bytes that it does not refuse with a ValueError."""
        line = self._idle.get()
        try:
            return self._first(line, path, most_bytes, believe)
        finally:
            self._idle.put(line)

    def _first(self, line: Sequence[Source], path: str, most_bytes: int, believe: Callable[[bytes], T]) -> T:
        away: PublicationAwayError | None = None
        liars: list[Refused] = []
        for source in line:
            if source.name in self.refused or self._away.get(source.name, 0) >= AWAY_LIMIT:
                continue
            self.rate.before(self.stop)
            if self.stop():
                raise StoppedError(name=self.name)
            try:
                data = source.read(path, most_bytes)
                self._came(source, len(data))
                believed = believe(data)
            except PublicationAwayError as error:
                away = error
                self._missed(source, error)
            except UntrustedError as error:
                liars.append(self._lie(source, str(error.facts.get("why", "bytes")), str(error)))
            except ValueError as error:
                liars.append(self._lie(source, "bytes", f"{path}: {error}"))
            else:
                self._compare(liars, source)
                return believed
        if liars or (away is None and self.refused):
            raise TargetRefusedError(name=self.name, why="bytes", reason="no source gives what was signed")
        names = ", ".join(source.name for source in line) or "-"
        raise away or PublicationAwayError(source=names, reason="it does not answer")

    def _came(self, source: Source, size: int) -> None:
        self.rate.after(size)
        with self._guard:
            self.fetched += size
            self._away.pop(source.name, None)

    def _missed(self, source: Source, error: PublicationAwayError) -> None:
        with self._guard:
            if isinstance(error, NotPublishedError):
                self._away.pop(source.name, None)
                return
            self._away[source.name] = self._away.get(source.name, 0) + 1

    def _lie(self, source: Source, why: str, reason: str) -> Refused:
        said = Refused(
            "cache", why if why in ("bytes", "endless", "slow") else "bytes", "", self.name, source.name, reason
        )
        self._note(said)
        return said

    def _compare(self, liars: Sequence[Refused], honest: Source) -> None:
        """Another source had the right bytes: the lie was this cache's own."""
        for said in liars:
            if said.why == "bytes":
                reason = f"{honest.name} gives what was signed; {said.reason}"
                self._note(Refused("cache", "caches_differ", "", self.name, said.source, reason), again=True)

    def _note(self, said: Refused, *, again: bool = False) -> None:
        with self._guard:
            known = said.source in self.refused
            self.refused[said.source] = said
        if self.tell is not None and (again or not known):
            self.tell(said)


def obtain_image(
    index: bytes, software: Software, have: Sequence[Path], sources: Sequence[Source], into: Path, *,
    progress: Callable[[int, int], None] | None = None, tell: Callable[[Refused], None] | None = None,
    stop: Callable[[], bool] = lambda: False, rate: Rate | None = None, more: Sequence[Sequence[Source]] = (),
    free: Callable[[Path], int] = free_bytes, name: str = "",
) -> Obtained:  # fmt: skip
    """Make the signed image at `into`, and put its index beside it. `index` is the verified target of the release.

    `have` are images that are here, each with its index beside it: they are read, never believed. `progress` hears of (bytes of the
    image that are right, all of them), `tell` of each source that lied, when it is found out. `more` are the same sources on further
    connections. Raises PublicationMalformedError and TargetRefusedError for what was signed or came; PublicationAwayError,
    NoRoomError, FileTroubleError and StoppedError keep what came for the next time.
    """
    name = name or f"software/{software.role}-{software.release}.index"
    table = read_index(index, name)
    fits(table, software, name)
    fetching = Fetching((sources, *more), name, tell, rate or Rate(), stop)
    part = into.with_name(f"{into.name}.part")
    try:
        with _Unfinished(part, table, free) as work:
            work.progress = progress
            kept = work.already_right()
            copied = sum(work.copy_from(image) for image in have)
            _fetch(work, fetching)
            work.settle(name)
            part.replace(into)
        _write(image_index(into), index)
        make_durable(into.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoRoomError(needed=table.bytes, free=_free(free, into)) from error
        raise FileTroubleError(file=str(part), reason=error.strerror or "unwritable") from error
    return Obtained(into, table.bytes, fetching.fetched, kept, copied, tuple(fetching.refused.values()))


class _Unfinished:
    """The file that grows into an image: each piece at its place, so that what is right needs no list of its own."""

    def __init__(self, path: Path, index: Index, free: Callable[[Path], int]) -> None:
        self.path, self.index = path, index
        self.progress: Callable[[int, int], None] | None = None
        self.left: dict[Chunk, list[int]] = {}
        for at in placed(index):
            self.left.setdefault(at.chunk, []).append(at.offset)
        self.done = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fresh = not path.exists()
        there = 0 if self._fresh else path.stat().st_blocks * 512
        room = free(path.parent)
        if room < max(0, index.bytes - there) + SPARE:
            raise NoRoomError(needed=max(0, index.bytes - there) + SPARE, free=room)
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> _Unfinished:
        try:
            os.ftruncate(self._handle, self.index.bytes)
            os.posix_fallocate(self._handle, 0, self.index.bytes)
        except OSError:
            os.close(self._handle)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    def already_right(self) -> int:
        """Check what an earlier try left."""
        if self._fresh:
            return 0
        kept = 0
        for chunk, offsets in list(self.left.items()):
            wrong = [at for at in offsets if hashlib.sha256(self._read(at, chunk.length)).hexdigest() != chunk.sha256]
            kept += chunk.length * (len(offsets) - len(wrong))
            if wrong and len(wrong) < len(offsets):  # one of its places is right: the others are filled from it
                right = next(at for at in offsets if at not in wrong)
                self._write_all(chunk, wrong, self._read(right, chunk.length))
                wrong = []
            self._set_left(chunk, wrong, offsets)
        return kept

    def copy_from(self, image: Path) -> int:
        """Take over what an image here shares with this one. One that is damaged, or not there, gives less; that is all."""
        copied = 0
        with contextlib.suppress(OSError, PublicationMalformedError, RefusedError):
            told = image_index(image)
            if told.stat().st_size > LARGEST_INDEX:
                return 0
            known = read_index(told.read_bytes(), told.name)
            with image.open("rb") as file:
                for at in placed(known):
                    offsets = self.left.get(at.chunk)
                    if not offsets:
                        continue
                    file.seek(at.offset)
                    data = file.read(at.chunk.length)
                    if hashlib.sha256(data).hexdigest() == at.chunk.sha256:
                        copied += self.put(at.chunk, data)
        return copied

    def put(self, chunk: Chunk, data: bytes) -> int:
        """Write a piece that was checked at each of its places; gives how many bytes of the image that is."""
        offsets = self.left.get(chunk, [])
        self._write_all(chunk, offsets, data)
        self._set_left(chunk, [], offsets)
        return chunk.length * len(offsets)

    def settle(self, name: str) -> None:
        """On the disk, and every byte of it read again. Raises TargetRefusedError, and then nothing is kept."""
        os.fsync(self._handle)
        digest = hashlib.sha256()
        for at in range(0, self.index.bytes, BLOCK):
            digest.update(self._read(at, min(BLOCK, self.index.bytes - at)))
        if digest.hexdigest() != self.index.image:
            self.path.unlink(missing_ok=True)
            raise TargetRefusedError(name=name, why="bytes", reason="the whole is not what was signed")

    def _set_left(self, chunk: Chunk, wrong: list[int], offsets: list[int]) -> None:
        self.done += chunk.length * (len(offsets) - len(wrong))
        if wrong:
            self.left[chunk] = wrong
        else:
            self.left.pop(chunk, None)
        if self.progress is not None:
            self.progress(self.done, self.index.bytes)

    def _write_all(self, chunk: Chunk, offsets: Sequence[int], data: bytes) -> None:
        assert len(data) == chunk.length
        for at in offsets:
            written = 0
            while written < len(data):
                written += os.pwrite(self._handle, data[written:], at + written)

    def _read(self, at: int, length: int) -> bytes:
        return os.pread(self._handle, length, at)


def _fetch(work: _Unfinished, fetching: Fetching) -> None:
    """Ask for what is left, a few pieces at a time; the first trouble ends it, what came is in its place."""
    if not work.left:
        return
    waiting: Iterator[Chunk] = iter(list(work.left))
    running: dict[Future[bytes], Chunk] = {}
    with ThreadPoolExecutor(len(fetching.lines), "obtain") as pool:
        try:
            while True:
                while len(running) < 2 * len(fetching.lines) and (chunk := next(waiting, None)) is not None:
                    running[pool.submit(fetching.chunk, chunk)] = chunk
                if not running:
                    return
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for one in done:
                    work.put(running.pop(one), one.result())
        finally:
            for left in running:
                left.cancel()


def obtain_goods(
    name: str, length: int, sha256: str, have: Sequence[bytes], sources: Sequence[Source], whole: Callable[[], bytes], *,
    tell: Callable[[Refused], None] | None = None, stop: Callable[[], bool] = lambda: False, rate: Rate | None = None,
) -> tuple[bytes, int]:  # fmt: skip
    """The document of this signed length and digest, and how many bytes came for it by a patch (0 where `whole` was asked).

    `have` are documents that are here, the newest first. A patch is a short cut that has to end at what was signed; where none does,
    `whole` fetches the target itself (`Publications.target`). Raises what `whole` raises, and StoppedError.
    """
    if not 0 < length <= LARGEST_DOCUMENT:
        raise TargetRefusedError(name=name, why="endless", reason=f"{length} bytes")
    known = [(hashlib.sha256(document).hexdigest(), document) for document in have]
    for digest, document in known:
        if digest == sha256 and len(document) == length:
            return document, 0
    fetching = Fetching((sources,), name, tell, rate or Rate(), stop)

    def believe(patch: bytes, before: bytes) -> bytes:
        data = unzstd(patch, length, before)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ValueError("it leads to another document")
        return data

    for digest, document in [*known, (FROM_NOTHING, b"")]:
        with contextlib.suppress(PublicationAwayError, TargetRefusedError):
            path = patch_path(digest, sha256)
            data = fetching.first(path, most_packed(length), lambda patch, before=document: believe(patch, before))  # type: ignore[misc]
            return data, fetching.fetched
    return whole(), fetching.fetched


def _write(path: Path, data: bytes) -> None:
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _free(free: Callable[[Path], int], path: Path) -> int:
    try:
        return free(path.parent)
    except OSError:
        return 0
