"""Lists judged by a cache before they replace others: by the thresholds of the roots it was given, never older than before.

No till relies on it. It keeps whoever owns head office's web server and its online keys from emptying every store's cache, which is what
a store rebuilds its tills from. Age is not judged: a cache passes on what is newest, and tills say when it is too old.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path

from tuf.api.exceptions import DownloadHTTPError

from oppet.base.errors import clip
from oppet.drivers import files
from oppet.drivers.publication_sources import Source
from oppet.drivers.trusted_lists import FOREIGN, TrustedLists
from oppet.release.errors import MetadataRefusedError

__all__ = ["ListJudge"]

LARGEST_LIST: int = 4 << 20
ANY_AGE: int = 0  # the time that expiry is judged by


class ListJudge:
    """`roots` are each repository's first root; `folder` remembers how new its lists were."""

    def __init__(self, folder: Path, roots: Mapping[str, bytes]) -> None:
        self._folder, self._roots = folder, dict(roots)

    def judge(self, repository: str, tree: Path, fresh: Mapping[str, bytes]) -> None:
        """Judge what `tree` would be with `fresh` in it. Raises MetadataRefusedError; one without a root here is not judged."""
        root = self._roots.get(repository)
        if root is None:
            return
        source = _Shown(repository, tree, fresh)
        folder = files.folder(self._folder / repository)
        lists = None
        try:
            lists = TrustedLists(folder, f"{repository}/", root, source, ANY_AGE)
            lists.refresh()
            for role in lists.delegates():
                lists.role(role, source)
            lists.keep()
        except FOREIGN as error:
            why = (lists.word(error) if lists is not None else "") or "malformed"
            raise MetadataRefusedError(repository=repository, why=why, reason=clip(str(error))) from None


class _Shown(Source):
    """What was fetched, and behind it what is in the tree."""

    def __init__(self, name: str, tree: Path, fresh: Mapping[str, bytes]) -> None:
        super().__init__(name)
        self._tree, self._fresh = tree, fresh

    def _pieces(self, path: str, most: int) -> Generator[bytes, None, None]:  # noqa: ARG002
        data = self._fresh.get(path)
        if data is None:
            try:
                data = files.read(self._tree / path, LARGEST_LIST)
            except (files.FileMissingError, files.FileTroubleError):
                raise DownloadHTTPError(f"no {path}", 404) from None
        yield data
