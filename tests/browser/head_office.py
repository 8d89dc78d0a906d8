"""Head office served for a browser: a real database and real pages, with a chain that has a bad day."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from oppet.base.signing import Signer
from oppet.drivers import serving
from oppet.drivers.hq_schema import migrate
from oppet.drivers.postgres import EmbeddedPostgres
from oppet.hq.main import Opened, Ports, Settings, open_hq, prepare
from oppet.hq.web import ask_for
from oppet.journal.kinds import AlarmRaised, Fact, TillStarted
from oppet.people.roles import FINANCE, INCIDENT_LEAD, OPERATIONS, PUBLISHER, VIEWER
from oppet.sync.messages import decode_batch, encode_batch
from tests.hq.office import enrolled, introduced
from tests.sync.chain import History

__all__ = ["BO", "HeadOffice", "a_bad_day", "served_office"]

ALVA, BO = 101, 301
PEOPLE = (
    (ALVA, "Alva", (OPERATIONS,)),
    (BO, "Bo", (INCIDENT_LEAD, OPERATIONS)),
    (302, "Nattvakt", (OPERATIONS, FINANCE)),
    (303, "Prislapp", (PUBLISHER, VIEWER)),
)
STORES = (("S01", "Storgatan", "Nära"), ("S02", "Hamnen", "Stormarket"), ("S03", "Torget", "Torget"))
HOUR = 3_600_000


@dataclass
class HeadOffice:
    url: str
    hq: Opened

    def sign_in(self, who: int) -> dict[str, str]:
        """A session of one of the people, as a cookie for the browser."""
        with self.hq.context.tables.change() as t:
            person = t.person(who)
        assert person is not None
        token = self.hq.context.door.signed_in(who, person.handle, person.roles, "passkey")
        return {"name": self.hq.context.door.cookie, "value": token, "url": self.url}


@contextmanager
def served_office(*, demo: bool = False) -> Iterator[HeadOffice]:
    with tempfile.TemporaryDirectory(prefix="oppet-hq-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        database = EmbeddedPostgres(folder / "pg")
        listener = serving.listen(0)
        try:
            dsn = database.start()
            migrate(dsn)
            settings = Settings("hq", dsn=dsn, tls=False, demo=demo)
            prepare(settings, folder)
            port = listener.getsockname()[1]
            opened = open_hq(settings, folder, dsn, "1", Ports(8500, port))
            stop, up = threading.Event(), threading.Event()
            services = [serving.Service(opened.page_app, listener)]
            thread = threading.Thread(
                target=serving.serve_all, args=(services, lambda: None, up.set, stop), daemon=True
            )
            thread.start()
            assert up.wait(30)
            try:
                yield HeadOffice(f"http://localhost:{port}/", opened)
            finally:
                stop.set()
                thread.join(10)
                opened.close()
        finally:
            listener.close()
            database.stop()


def a_bad_day(office: HeadOffice) -> None:
    """S02 has been silent for an hour and S01's second till is behind; a clone, and somebody waits for a second pair of eyes."""
    hq = office.hq
    now = hq.context.clock.now()
    with hq.context.tables.change() as t:
        for number, handle, roles in PEOPLE:
            t.add_person(number, handle, roles, now, 0)
    for place, (store, name, banner) in enumerate(STORES):
        manager = Signer(bytes([40 + place]) * 32)
        with hq.directory.change() as t:
            pass
        enrolled(hq, store, name, manager=manager)
        with hq.directory.change() as t:
            hq.directory.change_store(t, store, banner=banner)
        for register in (1, 2):
            key = Signer(bytes([60 + 4 * place + register]) * 32)
            till = f"{store}-K{register}"
            introduced(hq, till, key, manager=manager)
            with hq.directory.change() as t:
                if till != "S03-K2":
                    hq.directory.countersign(t, till, 1)
            lag = {"S01-K2": 25 * 60_000}.get(till, 0)
            history = History(till, 1, key, now=now - lag)
            history.write(1, TillStarted("0.1.0", "2026-11-22", "m", unclean=False))
            history.write(40 * register)
            hq.keeper.receive(decode_batch(encode_batch(history.batch(0, history.head.seq, as_of=history.as_of()))))
    with hq.context.tables.change() as t:  # S02 went silent an hour ago
        t._t.do(
            "UPDATE stream SET heard = heard - interval '67 minutes', as_of = as_of - interval '67 minutes' WHERE store_id = 'S02'"
        )
    hq.post.write(
        AlarmRaised(
            "fork", (Fact("till", "S01-K1"), Fact("epoch", "1"), Fact("seq", "23"), Fact("branch", "4f1c" * 16))
        ),
        AlarmRaised("ForgedBatchError", (Fact("till", "S03-K2"), Fact("peer", "192.0.2.17"))),
    )
    hq.send_audit()
    sessions = hq.context.door.sessions
    _, alva = sessions.begin(ALVA, "Alva", (OPERATIONS,), "passkey", now)
    _, lead = sessions.begin(302, "Nattvakt", (INCIDENT_LEAD,), "passkey", now)
    ask_for(hq.context, alva, "countersign_till", "S03-K2, epoch 1", {"till": "S03-K2", "epoch": 1, "key": "1f" * 8})
    ask_for(hq.context, lead, "change_roles", "303", {"number": 303, "roles": "publisher,viewer,finance"})
