"""The thread that looks at the repositories: asked by a till that never waits, heard of at a later tick.

One thread, one look at a time, with sources of its own. What other threads were told of a cache that lied (`tell`) is handed on with
the next look, so that the till hears of everything in one place. Decides nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root
from tuf.api.serialization import DeserializationError

from oppet.drivers.publication_sources import FolderSource, HttpSource, Source
from oppet.release.errors import PublicationMalformedError
from oppet.release.found import Found, Refused
from oppet.release.terms import PACE_FIELD, Pace, read

__all__ = ["Looking", "first_pace", "make_source"]

MOST_TOLD = 50
END_S = 5.0
LOG = logging.getLogger("oppet.looking")

Look = Callable[[Sequence[Source], int], Found]


class Looking:
    """A `release.ports.Looker`. `look` is `Publications.look`; `heard_of` is called when there is something to hear."""

    def __init__(self, look: Look, sources: Sequence[Source], heard_of: Callable[[], object] = lambda: None) -> None:
        self._look = look
        self._sources = tuple(sources)
        self._heard_of = heard_of
        self._guard = threading.Condition()
        self._asked: int | None = None
        self._found: Found | None = None
        self._told: list[Refused] = []
        self._over = False
        self._thread = threading.Thread(target=self._run, name="looking", daemon=True)
        self._thread.start()

    def ask(self, now_ms: int) -> None:
        with self._guard:
            self._asked = now_ms
            self._guard.notify_all()

    def heard(self) -> Found | None:
        with self._guard:
            found, self._found = self._found, None
        return found

    def tell(self, refused: Refused) -> None:
        """Another thread met this; it is handed on with the next look."""
        with self._guard:
            if refused not in self._told and len(self._told) < MOST_TOLD:
                self._told.append(refused)

    def close(self) -> None:
        with self._guard:
            self._over = True
            self._guard.notify_all()
        self._thread.join(END_S)

    def _run(self) -> None:
        try:
            while True:
                with self._guard:
                    while self._asked is None and not self._over:
                        self._guard.wait()
                    if self._over:
                        return
                    now_ms, self._asked = self._asked, None
                assert now_ms is not None, "somebody asked"
                self._once(now_ms)
        finally:
            for source in self._sources:
                source.close()

    def _once(self, now_ms: int) -> None:
        try:
            found = self._look(self._sources, now_ms)
        except Exception:
            LOG.exception(
                "the repositories could not be looked at"
            )  # our own mistake: the till sells, the next look comes
            return
        with self._guard:
            told, self._told = self._told, []
            self._found = replace(found, refused=(*found.refused, *told)) if told else found
        self._heard_of()


def make_source(name: str, *, url: str = "", tls: str = "", folder: Path | None = None) -> Source:
    """A source of one thread's own."""
    return FolderSource(name, folder) if folder is not None else HttpSource(name, url, tls)


def first_pace(root: bytes, name: str) -> tuple[int, Pace]:
    """The number and pace of the chain's root that a till is installed with. Raises PublicationMalformedError."""
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(root)
        signed = metadata.signed
    except (DeserializationError, RepositoryError) as error:
        raise PublicationMalformedError(name=name, reason=str(error)) from None
    if not isinstance(signed, Root) or PACE_FIELD not in signed.unrecognized_fields:
        raise PublicationMalformedError(name=name, reason="no root of a chain, with its pace")
    return signed.version, read(signed.unrecognized_fields[PACE_FIELD], Pace, name)
