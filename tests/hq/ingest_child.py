"""A head office process that `test_kill.py` kills: takes batches from a file as fast as it can and says what it acknowledged.

`python -m tests.hq.ingest_child DSN FILE`. The file holds batches as they travel, each behind its length in four bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from oppet.base.errors import UnavailableError
from oppet.sync.messages import decode_batch
from tests.hq.sold import Office


def batches(path: Path) -> list[bytes]:
    data, found, place = path.read_bytes(), [], 0
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        found.append(data[place + 4 : place + 4 + size])
        place += 4 + size
    return found


def main(dsn: str, path: str) -> None:
    office = Office(dsn)
    for data in batches(Path(path)):
        try:
            answer = office.keeper.receive(decode_batch(data))
        except UnavailableError:
            break  # the database is gone: so are we
        if answer.status == "kept" and answer.ack is not None:
            print(answer.ack.till, answer.ack.seq, flush=True)
    office.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
