"""Head office's people, sessions, requests, papers and alarms in PostgreSQL, one method a statement.

What belongs together is one transaction: `with tables.change() as t`. Who may do what is decided by `people/` and the place;
here it is kept. Sessions are looked up by the digest of their secret. Keeps O2.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec

from oppet.base.clock import utc_text
from oppet.drivers.journal_sqlite import statements
from oppet.drivers.page_guard import LONGEST_MS, Session, new_token, over, token_digest
from oppet.drivers.pg import Pool, Transaction
from oppet.journal.kinds import Fact
from oppet.people.approvals import LIFE_MS, Request
from oppet.people.roles import Person
from oppet.sync.certificates import Standing, StoreCertificate
from oppet.sync.messages import Paper

__all__ = ["Alarm", "Change", "Invited", "OfficeTables", "Passkey", "PgSessions", "StreamRow"]

_sql = statements("office")
TOUCH_MS = 20_000  # a session's last use is written down no more often
MOST_SHOWN = 200


class Passkey(msgspec.Struct, frozen=True):
    credential: bytes
    who: int
    public_key: bytes
    sign_count: int
    name: str
    added: int
    used: int
    stopped: str


class Invited(msgspec.Struct, frozen=True):
    """A store that was given a code."""

    name: str
    store: str
    store_name: str
    banner: str
    code: str
    made: int
    made_by: int
    tries: int
    used: int


class Alarm(msgspec.Struct, frozen=True):
    process: str
    epoch: int
    seq: int
    store: str
    time: str
    about: str
    facts: tuple[Fact, ...]
    seen: int = 0
    seen_by: int = 0


class StreamRow(msgspec.Struct, frozen=True):
    """One history as head office has it; moments as UTC text, "" for never."""

    store: str
    till: str
    epoch: int
    branch: str
    head_seq: int
    head_time: str
    as_of: str
    as_of_seq: int
    heard: str
    provisional: bool
    revoked: str
    began: str


class Change:
    """What may be read and changed inside one transaction."""

    def __init__(self, inside: Transaction) -> None:
        self._t = inside

    # --- people

    def persons(self) -> list[Person]:
        return [_person(row) for row in self._t.rows(_sql["persons"])]

    def person(self, number: int) -> Person | None:
        row = self._t.row(_sql["person"], number)
        return None if row is None else _person(row)

    def add_person(self, number: int, handle: str, roles: Sequence[str], now: int, by: int) -> bool:
        return bool(self._t.do(_sql["add_person"], number, handle, list(roles), now, by))

    def set_roles(self, number: int, roles: Sequence[str]) -> bool:
        """A person's roles, and the end of their sessions (O2)."""
        self._t.do(_sql["end_sessions"], number)
        return bool(self._t.do(_sql["set_roles"], list(roles), number))

    def close_money_case(
        self, key: str, about: str, amount_ore: int, how: str, note: str, asked_by: int, approved_by: int, now: int
    ) -> bool:
        """Write down that two people closed a difference; False where it was closed before."""
        return bool(self._t.do(_sql["close_money_case"], key, about, amount_ore, how, note, asked_by, approved_by, now))

    def set_handle(self, number: int, handle: str) -> None:
        self._t.do(_sql["set_handle"], handle, number)

    def end_person(self, number: int, now: int) -> bool:
        self._t.do(_sql["end_sessions"], number)
        self._t.do(_sql["spend_code"], number)
        return bool(self._t.do(_sql["end_person"], now, number))

    def put_code(self, number: int, digest: str, now: int) -> None:
        self._t.do(_sql["put_code"], number, digest, now)

    def code(self, number: int) -> tuple[str, int, int] | None:
        """Digest, when made, wrong tries."""
        row = self._t.row(_sql["code"], number)
        return None if row is None else (row[0], row[1], row[2])

    def code_tried(self, number: int) -> None:
        self._t.do(_sql["code_tried"], number)

    def spend_code(self, number: int) -> None:
        self._t.do(_sql["spend_code"], number)

    # --- passkeys

    def add_passkey(self, key: Passkey) -> bool:
        values = key.credential, key.who, key.public_key, key.sign_count, key.name, key.added
        return bool(self._t.do(_sql["add_passkey"], *values))

    def passkeys(self, number: int) -> list[Passkey]:
        return [_passkey(row) for row in self._t.rows(_sql["passkeys"], number)]

    def passkey(self, credential: bytes) -> Passkey | None:
        row = self._t.row(_sql["passkey"], credential)
        return None if row is None else _passkey(row)

    def passkey_used(self, credential: bytes, sign_count: int, now: int) -> None:
        self._t.do(_sql["passkey_used"], sign_count, now, credential)

    def stop_passkey(self, credential: bytes, who: int, why: str) -> bool:
        return bool(self._t.do(_sql["stop_passkey"], why, credential, who))

    def spend_challenge(self, challenge: bytes, now: int) -> bool:
        """False for one that was answered before."""
        self._t.do(_sql["sweep_challenges"], now - 3_600_000)
        return bool(self._t.do(_sql["spend_challenge"], challenge, now))

    # --- sessions

    def end_sessions(self, number: int) -> int:
        return self._t.do(_sql["end_sessions"], number)

    # --- requests

    def ask(self, request: Request) -> int:
        facts = json.dumps([[fact.name, fact.value] for fact in request.facts], ensure_ascii=False)
        values = request.act, request.about, facts, request.digest, request.asked_by, request.asked
        row = self._t.row(_sql["ask"], *values)
        assert row is not None
        return int(row[0])

    def asked_already(self, digest: str, now: int) -> int:
        row = self._t.row(_sql["asked_already"], digest, now - LIFE_MS)
        return 0 if row is None else int(row[0])

    def request(self, number: int) -> Request | None:
        row = self._t.row(_sql["request"], number)
        return None if row is None else _request(row)

    def requests(self) -> list[Request]:
        return [_request(row) for row in self._t.rows(_sql["requests"], MOST_SHOWN)]

    def waiting(self, now: int) -> int:
        row = self._t.row(_sql["waiting"], now - LIFE_MS)
        return 0 if row is None else int(row[0])

    def settle(self, request: Request) -> bool:
        """False where somebody else settled it first."""
        values = request.state, request.settled_by, request.settled, request.reason, request.id
        return bool(self._t.do(_sql["settle"], *values))

    # --- papers and stores

    def lock_papers(self) -> None:
        """One changes papers at a time, so that versions grow in the order of commits."""
        self._t.do(_sql["papers_lock"])

    def papers_since(self, version: int) -> list[tuple[Paper, int]]:
        return [
            (Paper(kind, body, msgspec.json.decode(signatures, type=tuple[tuple[str, str], ...])), version)
            for kind, _, _, body, signatures, version in self._t.rows(_sql["papers_since"], version)
        ]

    def put_paper(self, paper: Paper, name: str, epoch: int) -> None:
        signatures = msgspec.json.encode(paper.signatures).decode()
        self._t.do(_sql["put_paper"], paper.kind, name, epoch, paper.text, signatures)

    def put_store(self, store: StoreCertificate) -> None:
        self._t.do(_sql["put_store"], store.store, store.name, store.banner, store.closed, store.issued)

    def stand(self, standing: Standing) -> None:
        """Say beside what an epoch sold how it stands."""
        epoch = standing.store, standing.till, standing.epoch
        self._t.row(_sql["hold"], *epoch)
        self._t.do(_sql["stand"], standing.provisional, standing.revoked, *epoch)

    def put_invitation(self, invited: Invited) -> None:
        self._t.do(_sql["sweep_invitations"], invited.made - 30 * 86_400_000)
        self._t.do(_sql["put_invitation"], *msgspec.structs.astuple(invited)[:7])

    def invitation(self, name: str) -> Invited | None:
        row = self._t.row(_sql["invitation"], name)
        return None if row is None else Invited(*row)

    def invitation_tried(self, name: str) -> None:
        self._t.do(_sql["invitation_tried"], name)

    def invitation_used(self, name: str, now: int) -> None:
        self._t.do(_sql["invitation_used"], now, name)

    def invitations_open(self, since: int) -> list[Invited]:
        return [Invited(*row) for row in self._t.rows(_sql["invitations_open"], since)]

    # --- alarms, histories

    def add_alarm(self, alarm: Alarm) -> None:
        facts = json.dumps([[fact.name, fact.value] for fact in alarm.facts], ensure_ascii=False)
        values = alarm.process, alarm.epoch, alarm.seq, alarm.store, alarm.time, alarm.about, facts
        self._t.do(_sql["add_alarm"], *values)

    def alarms(self) -> list[Alarm]:
        rows = self._t.rows(_sql["alarms"], MOST_SHOWN)
        said = [Alarm(row[0], row[1], row[2], row[3], row[4], row[5], _facts(row[6]), row[7], row[8]) for row in rows]
        return [*self._unsaid_forks(), *said][:MOST_SHOWN]

    def _unsaid_forks(self) -> list[Alarm]:
        """Forks that are kept and of which no alarm came, each under the same name every time."""
        return [
            Alarm(
                f"fork-{branch[:24]}", epoch, seq, store, _text(began), "fork",
                (Fact("till", till), Fact("epoch", str(epoch)), Fact("seq", str(seq)), Fact("branch", branch)),
            )
            for store, till, epoch, branch, seq, began in self._t.rows(_sql["forks_unsaid"], MOST_SHOWN)
        ]  # fmt: skip

    def alarms_new(self) -> int:
        row = self._t.row(_sql["alarms_new"])
        return (0 if row is None else int(row[0])) + len(self._unsaid_forks())

    def alarm_seen(self, process: str, epoch: int, seq: int, now: int, by: int) -> bool:
        for fork in self._unsaid_forks() if process.startswith("fork-") else ():
            if (fork.process, fork.epoch, fork.seq) == (process, epoch, seq):
                self.add_alarm(fork)  # somebody looked at it: from now on it has a row
        return bool(self._t.do(_sql["alarm_seen"], now, by, process, epoch, seq))

    def streams(self) -> list[StreamRow]:
        return [_stream(row) for row in self._t.rows(_sql["streams"])]

    def put_running(self, place: tuple[str, str, int], seq: int, software: str, prices: str, since: str) -> None:
        """What an epoch (store, till, epoch) said it runs."""
        self._t.do(_sql["put_running"], *place, seq, software, prices, since)

    def running(self) -> dict[tuple[str, int], str]:
        return {(till, epoch): software for till, epoch, software in self._t.rows(_sql["running"])}

    def quarantined(self) -> tuple[int, str]:
        """How many entries wait in quarantine, and the day of the oldest."""
        row = self._t.row(_sql["waiting_quarantine"])
        return (0, "") if row is None else (int(row[0]), "" if row[1] is None else row[1].isoformat())


class OfficeTables:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    @contextmanager
    def change(self) -> Iterator[Change]:
        """One transaction; left by an error nothing of it happened. Raises DatabaseAwayError."""
        with self.pool.transaction() as inside:
            yield Change(inside)


class PgSessions:
    """`page_guard.Sessions` for many processes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def begin(self, who: int, handle: str, roles: Sequence[str], how: str, now: int) -> tuple[str, Session]:
        token = new_token()
        session = Session(token_digest(token), who, handle, tuple(roles), how, now, now)
        with self._pool.transaction() as t:
            t.do(_sql["sweep_sessions"], now - 2 * LONGEST_MS)
            t.do(_sql["add_session"], session.digest, who, how, now, now)
        return token, session

    def find(self, token: str, now: int, *, touch: bool) -> Session | None:
        key = token_digest(token)
        with self._pool.transaction() as t:
            row = t.row(_sql["session"], key)
            if row is None:
                return None
            session = Session(row[0], row[1], row[2], tuple(row[3]), row[4], row[5], row[6])
            why = over(session.began, session.seen, now)
            if why:
                t.do(_sql["end_session"], key)
                return msgspec.structs.replace(session, over=why)
            if touch and now - session.seen >= TOUCH_MS:
                t.do(_sql["touch_session"], now, key)
            return session

    def end(self, session: Session) -> None:
        with self._pool.transaction() as t:
            t.do(_sql["end_session"], session.digest)

    def end_of(self, who: int) -> int:
        with self._pool.transaction() as t:
            return t.do(_sql["end_sessions"], who)


def _person(row: tuple[Any, ...]) -> Person:
    return Person(row[0], row[1], tuple(row[2]), *row[3:])


def _passkey(row: tuple[Any, ...]) -> Passkey:
    return Passkey(bytes(row[0]), row[1], bytes(row[2]), *row[3:])


def _request(row: tuple[Any, ...]) -> Request:
    return Request(row[0], row[1], row[2], _facts(row[3]), *row[4:])


def _stream(row: tuple[Any, ...]) -> StreamRow:
    store, till, epoch, branch, head_seq, head_time, as_of, as_of_seq, heard, provisional, revoked, began = row
    times = [_text(moment) for moment in (head_time, as_of, heard, began)]
    return StreamRow(
        store, till, epoch, branch, head_seq, times[0], times[1], as_of_seq, times[2], provisional, revoked, times[3]
    )


def _facts(text: str) -> tuple[Fact, ...]:
    return tuple(Fact(str(name), str(value)) for name, value in json.loads(text))


def _text(moment: datetime | None) -> str:
    return "" if moment is None else utc_text(round(moment.timestamp() * 1000))
