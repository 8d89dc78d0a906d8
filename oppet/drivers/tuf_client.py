"""`oppet release tuf-client`: our updater with one repository, so that an outside suite of tests for TUF clients can drive it.

It is the client a till uses (`trusted_lists.py` over `publication_sources.py`) with two differences that such a suite asks for: the
wall clock decides what has expired, and of a refresh that fails, what had verified until then is kept.
Exit code 0 when everything asked for was done and 1 for anything else, whoever would have to act.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from cyclopts import Parameter
from tuf.api.metadata import Root

from oppet.base.errors import OppetError, clip
from oppet.drivers import files
from oppet.drivers.clock import SystemClock
from oppet.drivers.publication_sources import HttpSource, Source
from oppet.drivers.trusted_lists import FOREIGN, TrustedLists

__all__ = ["tuf_client"]

LARGEST_ROOT = 512_000


class _TwoPlaces(Source):
    """Lists from one address, targets from another."""

    def __init__(self, metadata_url: str, target_base_url: str) -> None:
        super().__init__("repository")
        self._places = {
            "metadata": HttpSource("lists", metadata_url),
            "targets": HttpSource("targets", target_base_url),
        }

    def _pieces(self, path: str, most: int) -> Generator[bytes, None, None]:
        place, _, name = path.partition("/")
        yield from self._places[place]._pieces(name, most)

    def close(self) -> None:
        for place in self._places.values():
            place.close()


def tuf_client(
    command: str, root: Path | None = None, /, *, metadata_dir: Path, metadata_url: str = "",
    target_name: Annotated[list[str] | None, Parameter(negative="")] = None, target_base_url: str = "",
    target_dir: Path = Path(),
) -> int:  # fmt: skip
    """Drive the client that tills verify publications with, for tests from outside: init, refresh or download.

    Parameters
    ----------
    command
        init: begin with a trusted root. refresh: bring the lists up to date. download: refresh, then fetch targets.
    root
        For init: the file with the first root.
    metadata_dir
        Where the verified lists are kept, under names without versions.
    metadata_url
        Where the repository's lists are.
    target_name
        For download: a target's name; may be given several times.
    target_base_url
        For download: where the repository's targets are.
    target_dir
        For download: where targets are written.
    """
    try:
        if command == "init" and root is not None:
            files.write(files.folder(metadata_dir) / "root.json", files.read(root, LARGEST_ROOT))
        elif command == "refresh":
            _refreshed(metadata_dir, metadata_url, target_base_url, (), target_dir)
        elif command == "download" and target_name:
            _refreshed(metadata_dir, metadata_url, target_base_url, tuple(target_name), files.folder(target_dir))
        else:
            raise ValueError("init ROOT, refresh, or download with --target-name")
    except (OppetError, OSError, *FOREIGN) as error:
        print(f"{type(error).__name__}: {clip(str(error), 300)}", file=sys.stderr)
        return 1
    return 0


def _refreshed(folder: Path, metadata_url: str, target_base_url: str, names: tuple[str, ...], into: Path) -> None:
    source = _TwoPlaces(metadata_url, target_base_url)
    first = files.read(folder / f"{Root.type}.json", LARGEST_ROOT)
    lists = TrustedLists(folder, "", first, source, SystemClock().now())
    try:
        lists.refresh()
        for name in names:
            target = lists.get_targetinfo(name)
            if target is None:
                raise ValueError(f"no target {name}")
            place = str(into / quote(name, ""))  # one file name, wherever the target's own name points
            if lists.find_cached_target(target, place) is None:
                lists.download_target(target, place)
    finally:
        lists.keep()
        source.close()
