"""What tills say they run, charge, wait for and refuse: the last word of each till on each subject, from its own entries (RL14).

A fold of the bodies in `journal/kinds_published.py`. Head office believes nothing but the till about the till; a statement of a
trial till is kept whole, with its signature, because it is what other tills ask for.
"""

from __future__ import annotations

from typing import Final

import msgspec

from oppet.base import canonical
from oppet.drivers.hq_rows import Obeyed, Rows
from oppet.journal.kinds import KINDS
from oppet.journal.kinds_published import HealthSaid
from oppet.release.health import Statement

__all__ = ["HEALTH", "SUBJECTS", "read"]

HEALTH: Final = "health:"
LARGEST: Final = 16_000  # bytes of one word; more is no till's
MOST_STATEMENTS: Final = 20  # images in one piece that a till vouches for
SUBJECTS: Final = frozenset(
    {
        "attested", "goods_activated", "goods_held", "health_said", "installs_frozen", "publication_refused", "release_installed",
        "release_returned", "release_seen", "release_staged", "trust_moved",
    }
)  # fmt: skip


def read(rows: Rows, kind: str, body: msgspec.Raw, seq: int, time: str) -> None:
    """Put one entry into the rows. Raises what the decoder raises, and ValueError for a word too long, with nothing put."""
    said = msgspec.json.decode(body, type=KINDS[kind])
    text = canonical.encode(said).decode()
    if len(text) > LARGEST:
        raise ValueError(f"{len(text)} characters")
    subject = kind
    if isinstance(said, HealthSaid):
        statement = canonical.decode(said.statement.encode(), Statement)
        subject = f"{HEALTH}{statement.image[:32]}"
        if subject not in rows.obeyed and sum(known.startswith(HEALTH) for known in rows.obeyed) >= MOST_STATEMENTS:
            raise ValueError("too many images")
    rows.obeyed[subject] = Obeyed(subject, text, time, seq)
