"""A disk as bad as real ones may be, under any journal: an SQLite VFS with a model of what is really on the platter.

Programs see the operating system's cache (a real file); only a sync makes it durable. When the power is cut, each
512-byte sector written since the last sync is there in any of its versions or in none, in any order. A failing sync
drops what was dirty and later claims all is well, as Linux does. Disks fill up, turn read-only, read short and lie about
a sync. For tests and the simulated chain alone: no place opens a file through it.

    disk = FaultyDisk(seed=4711)
    disk.cut_at(57)                          # operation 57 and all after it raise PowerCutError
    journal = JournalFile.create(path, "K3", 1, vfs=disk.vfs_name)
    ...
    path = disk.survivors(path, fresh_folder)  # what the next boot finds
"""

from __future__ import annotations

import errno
import itertools
import random
from collections import defaultdict
from pathlib import Path
from typing import ClassVar

import apsw

__all__ = ["FaultyDisk", "PowerCutError"]

SECTOR = 512


class PowerCutError(BaseException):
    """This machine has no power from here on. Nothing of ours catches it, as nothing catches a power cut."""

    def __init__(self, machine: str = "") -> None:
        super().__init__(machine)
        self.machine = machine


class _Platter:
    """One file: what the cache shows, what is durable, and every sector's versions since the last sync."""

    def __init__(self, data: bytes) -> None:
        self.cache, self.durable = bytearray(data), bytearray(data)
        self.dirty: dict[int, list[bytes]] = defaultdict(list)
        self.sizes: list[int] = []
        self.named = bool(data)  # a new file's name is durable with its first sync

    def write(self, data: bytes, offset: int) -> None:
        end = offset + len(data)
        if end > len(self.cache):
            self.cache.extend(bytes(end - len(self.cache)))
            self.sizes.append(end)
        self.cache[offset:end] = data
        for sector in range(offset // SECTOR, (end + SECTOR - 1) // SECTOR):
            self.dirty[sector].append(bytes(self.cache[sector * SECTOR : (sector + 1) * SECTOR]))

    def truncate(self, size: int) -> None:
        del self.cache[size:]
        self.cache.extend(bytes(size - len(self.cache)))
        self.sizes.append(size)

    def sync(self) -> None:
        self._settle(len(self.cache), {sector: versions[-1] for sector, versions in self.dirty.items()})
        self.named = True

    def lose(self, chance: random.Random) -> None:
        """Settle for some of what was dirty, each sector by itself."""
        size = chance.choice([len(self.durable), *self.sizes])
        mode = chance.choice(["none", "all", "some", "some", "few missing"])
        odds = {"none": 0.0, "all": 1.0, "some": 0.5, "few missing": 0.95}[mode]
        kept = {
            sector: versions[-1] if mode == "all" else chance.choice(versions)
            for sector, versions in self.dirty.items()
            if chance.random() < odds
        }
        if mode == "all" and self.sizes:
            size = self.sizes[-1]
        self._settle(size, kept)

    def _settle(self, size: int, sectors: dict[int, bytes]) -> None:
        del self.durable[size:]
        self.durable.extend(bytes(size - len(self.durable)))
        for sector, data in sectors.items():
            start = sector * SECTOR
            room = max(0, min(len(data), size - start))
            self.durable[start : start + room] = data[:room]
        self.dirty.clear()
        self.sizes.clear()


class _File(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        # Positional, because APSW reads a VFSFile's arguments in its own __init__.
        super().__init__("", name, flags)
        self._disk = disk
        self._life = disk.life
        self._platter: _Platter | None = None
        text = name.filename() if isinstance(name, apsw.URIFilename) else name
        if text is not None:
            path = Path(text)
            if text not in disk.platters:
                disk.platters[text] = _Platter(path.read_bytes())
            self._platter = disk.platters[text]

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._disk.reads += 1
        if self._disk.frozen:
            raise PowerCutError(self._disk.machine)
        data = super().xRead(amount, offset)
        return data[: amount // 2] if self._disk.reads == self._disk.short_read_at else data

    def xWrite(self, data: bytes | memoryview, offset: int) -> None:  # noqa: N802
        if self._life != self._disk.life:
            return  # a machine that is long gone tidies up
        raw = bytes(data)
        cut = self._disk.operation()
        self._disk.write_fails()
        if self._platter is not None:
            self._disk.room(raw, offset, len(self._platter.cache))
            part = raw[: self._disk.chance.randrange(len(raw) + 1)] if cut and raw else raw
            self._platter.write(part, offset)
        if cut:
            raise PowerCutError(self._disk.machine)
        super().xWrite(raw, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        if self._life != self._disk.life:
            return
        cut = self._disk.operation()
        if self._platter is not None and (not cut or self._disk.chance.random() < 0.5):
            self._platter.truncate(newsize)
        if cut:
            raise PowerCutError(self._disk.machine)
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802
        if self._life != self._disk.life:
            return
        cut = self._disk.operation()
        self._disk.syncs += 1
        if cut:
            raise PowerCutError(self._disk.machine)
        if self._platter is not None:
            if self._disk.syncs in self._disk.failing_syncs:
                self._platter.lose(self._disk.chance)
                self._disk.fail(apsw.SQLITE_IOERR_FSYNC, errno.EIO)
            if self._disk.lying:
                self._disk.lied = True
            else:
                self._platter.sync()


class FaultyDisk(apsw.VFS):
    """Counts operations (writes, truncations, syncs, deletions) from 1, so that a bad moment is a number."""

    _names: ClassVar[itertools.count[int]] = itertools.count()

    def __init__(self, seed: int, machine: str = "") -> None:
        self.machine = machine
        self.vfs_name = f"faulty-{next(self._names)}"
        super().__init__(self.vfs_name, "")
        self.chance = random.Random(seed)  # noqa: S311
        self.platters: dict[str, _Platter] = {}
        self._deleted: set[str] = set()
        self.operations = self.syncs = self.reads = 0
        self.failing_syncs: set[int] = set()
        self.failing_writes = 0  # so many writes from now on fail
        self.lying = False  # syncs keep nothing and say they did
        self.lied = False  # and one did, since the last start
        self.failed = False  # something did, since somebody set this back
        self.life = 0  # how often the machine was started again
        self.short_read_at = 0
        self.free: int | None = None
        self.read_only = False
        self.frozen = False
        self._cut_at = 0
        self._errno = 0

    # --- what may go wrong ------------------------------------------------------------------------------------------

    def cut_at(self, operation: int) -> None:
        """Cut the power at this operation; 0 means never."""
        self._cut_at = operation

    def cut(self) -> None:
        """Cut the power now: nothing works any more."""
        self.frozen = True

    def fail_sync_at(self, *syncs: int) -> None:
        """Let these syncs fail, counted from 1, and lose some of what they should have kept."""
        self.failing_syncs.update(syncs)

    def full_after(self, free: int | None) -> None:
        """Let files grow by so many bytes more; None makes room again."""
        self.free = free

    def calm(self) -> None:
        """Nothing that was planned goes wrong any more."""
        self._cut_at = self.failing_writes = 0
        self.failing_syncs.clear()

    def honest(self) -> None:
        """What lying syncs left in the cache reaches the platter after all."""
        self.lying = self.lied = False
        for platter in self.platters.values():
            platter.sync()

    def end_life(self) -> None:
        """The machine is off: what its files are still told, when they are closed, reaches nothing."""
        self.life += 1
        self.frozen = False

    def restart(self) -> None:
        """Leave in the files what the power cut left; fresh files, for an old one's locks may outlive it in this process."""
        for name in self._deleted - set(self.platters):
            Path(name).unlink(missing_ok=True)
        for name in sorted(self.platters):
            platter = self.platters[name]
            platter.lose(self.chance)
            Path(name).unlink(missing_ok=True)
            if platter.named or self.chance.random() < 0.5:
                Path(name).write_bytes(platter.durable)
        self.platters.clear()
        self._deleted.clear()
        self.lied = False
        self.calm()

    def shown(self) -> dict[str, bytes]:
        """What a copy of the open files holds that is made now."""
        return {name: bytes(platter.cache) for name, platter in self.platters.items()}

    def survivors(self, path: Path, folder: Path) -> Path:
        """Write what the next boot finds of `path`'s files into a fresh folder; give the new path."""
        self.frozen = True
        folder.mkdir(parents=True)
        for name in sorted(self.platters):
            platter = self.platters[name]
            if not name.startswith(str(path)):
                continue
            platter.lose(self.chance)
            if platter.named or self.chance.random() < 0.5:
                (folder / Path(name).name).write_bytes(platter.durable)
        return folder / path.name

    # --- what SQLite calls ------------------------------------------------------------------------------------------

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> _File:  # noqa: N802
        if self.frozen:
            raise PowerCutError(self.machine)
        return _File(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        cut = self.operation()
        if not cut or self.chance.random() < 0.5:
            self.platters.pop(filename, None)
            self._deleted.add(filename)
        if cut:
            raise PowerCutError(self.machine)
        super().xDelete(filename, syncdir)

    def xGetLastError(self) -> tuple[int, str | None]:  # noqa: N802
        return self._errno, None

    # --- behind them ------------------------------------------------------------------------------------------------

    def operation(self) -> bool:
        """Count one; say whether the power goes in the middle of it."""
        if self.frozen:
            raise PowerCutError(self.machine)
        self.operations += 1
        self.frozen = self.operations == self._cut_at
        return self.frozen

    def write_fails(self) -> None:
        if self.failing_writes:
            self.failing_writes -= 1
            self.fail(apsw.SQLITE_IOERR_WRITE, errno.EIO)

    def room(self, data: bytes, offset: int, size: int) -> None:
        if self.read_only:
            self.fail(apsw.SQLITE_IOERR_WRITE, errno.EROFS)
        more = max(0, offset + len(data) - size)
        if self.free is not None and more:
            if more > self.free:
                self.fail(apsw.SQLITE_FULL, errno.ENOSPC)
            self.free -= more

    def fail(self, code: int, number: int) -> None:
        self._errno = number
        self.failed = True
        raise apsw.exception_for(code)
