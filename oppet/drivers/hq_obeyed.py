"""What head office knows of what tills run, charge and refuse; and trial tills' words made into the evidence others ask for.

Statements are in sql/hq_obeyed.sql. Evidence is published by the service's own key, which may withhold and never mint: each word is
signed by its till (RL4). Every method raises DatabaseAwayError.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from oppet.drivers.journal_sqlite import statements
from oppet.drivers.pg import Pool
from oppet.journal.body import Body, kind_of
from oppet.journal.kinds import KINDS
from oppet.journal.kinds_published import HealthSaid
from oppet.release.health import Signed

__all__ = ["HqObeyed", "TillWords"]

MOST_STATEMENTS: Final = 1000
_NEVER: Final = (None, 0, 0)
_sql = statements("hq_obeyed")


class TillWords(msgspec.Struct):
    """A till's last words: subject → the body, when it was said (ms since 1970), and in which entry."""

    store: str
    till: str
    epoch: int
    heard: int  # our clock, when the till last came; 0 for never
    words: dict[str, tuple[Any, int, int]]

    def word(self, kind: type[Body]) -> Any:
        """The last of a kind; None where it never said any."""
        return self.words.get(kind_of(kind), _NEVER)[0]

    def at(self, kind: type[Body]) -> int:
        return self.words.get(kind_of(kind), _NEVER)[1]

    def seq(self, kind: type[Body]) -> int:
        return self.words.get(kind_of(kind), _NEVER)[2]


class HqObeyed:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def tills(self, store: str = "") -> list[TillWords]:
        """Every till that ever said anything of the kind, by store and name."""
        with self._pool.transaction() as t:
            rows = t.connection.execute(_sql["words"], {"store": store}).fetchall()
        found: dict[tuple[str, str], TillWords] = {}
        for store_id, till, epoch, subject, said, at, seq, heard in rows:
            one = found.setdefault((store_id, till), TillWords(store_id, till, epoch, heard or 0, {}))
            one.words[subject] = msgspec.json.decode(said, type=KINDS[subject]), at, seq
        return list(found.values())

    def statements(self, image: str) -> list[Signed]:
        """What trial tills said of an image; believed by whoever has their keys."""
        with self._pool.transaction() as t:
            asked = {"subject": f"health:{image[:32]}", "most": MOST_STATEMENTS}
            rows = t.connection.execute(_sql["statements"], asked).fetchall()
        said = [msgspec.json.decode(text, type=HealthSaid) for (text,) in rows]
        return [Signed(one.statement, one.signature) for one in said]
