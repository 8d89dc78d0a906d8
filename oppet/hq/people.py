"""People at head office: added by number, let in by a passkey they made with a one-time code, shut out at once.

Asks the rules (`people/`), writes the audit journal, then changes the tables, in one transaction: what cannot be written down
is not done (O1). Holds O4 (a copied key stops opening, and an alarm goes) and O10 (the demo account is a setting).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oppet.drivers.office_pg import Change, OfficeTables, Passkey
from oppet.drivers.page_guard import Door, Session
from oppet.drivers.passkeys import (
    Challenges,
    PasskeyClonedError,
    PasskeyRefusedError,
    Passkeys,
    challenge_of,
    credential_of,
    new_code,
)
from oppet.drivers.pins import ArgonPins, digest_of
from oppet.journal.kinds import ActDone, ActRefused, AlarmRaised, Body, Fact
from oppet.people.roles import (
    CODE_MINUTES,
    DEMO_NUMBER,
    LARGEST_NUMBER,
    ROLES,
    CodeWrongError,
    NoPersonError,
    Person,
    PersonExistsError,
    check_code_life,
    check_handle,
    check_roles,
)

__all__ = ["People", "Registration"]

NO_DIGEST = digest_of("nobody")  # checked where there is no code, so that the time says nothing
DEMO_HANDLE = "Demo"
MOST_KEYS = 10
SIGN_IN = "sign in"


@dataclass(frozen=True, slots=True)
class Registration:
    """What the page needs to have a browser make a passkey."""

    number: int
    code: str
    handle: str
    options: str  # JSON


class People:
    def __init__(self, tables: OfficeTables, passkeys: Passkeys, challenges: Challenges, door: Door) -> None:
        self.tables = tables
        self._passkeys = passkeys
        self._challenges = challenges
        self._door = door

    # --- the list

    def add(self, number: int, handle: str, roles: Sequence[str], by: int) -> str:
        """Put a person on the list; give the code they register their first passkey with.

        Raises PersonExistsError, RolesUnfitError, HandleUnfitError.
        """
        with self.tables.change() as t:
            code = self.put(t, number, handle, roles, by)
            self._write(ActDone(by, "add_person", str(number), facts=(Fact("roles", ",".join(roles)),)))
        return code

    def put(self, t: Change, number: int, handle: str, roles: Sequence[str], by: int) -> str:
        """The same inside a transaction of whoever writes it down."""
        handle, given = check_handle(handle), check_roles(roles)
        if not 1 <= number <= LARGEST_NUMBER:
            raise NoPersonError(number=number)
        if not t.add_person(number, handle, given, self._door.clock.now(), by):
            raise PersonExistsError(number=number)
        return self.put_code(t, number)

    def fresh_code(self, number: int, by: int) -> str:
        """A new code, for another passkey. Raises NoPersonError."""
        with self.tables.change() as t:
            code = self.put_code(t, number)
            self._write(ActDone(by, "give_code", str(number)))
        return code

    def put_code(self, t: Change, number: int) -> str:
        """The same inside a transaction of whoever writes it down."""
        self._there(t, number)
        code = new_code()
        t.put_code(number, digest_of(code), self._door.clock.now())
        return code

    def end(self, number: int, by: int) -> None:
        """Shut a person out, at once and for good; their number is not used again. Raises NoPersonError."""
        with self.tables.change() as t:
            self._there(t, number)
            t.end_person(number, self._door.clock.now())
            self._write(ActDone(by, "end_person", str(number)))

    def set_roles(self, t: Change, number: int, roles: Sequence[str]) -> None:
        """Inside the transaction of who approved it; ends the person's sessions. Raises NoPersonError."""
        self._there(t, number)
        t.set_roles(number, check_roles(roles))

    def set_handle(self, session: Session, handle: str) -> None:
        with self.tables.change() as t:
            t.set_handle(session.who, check_handle(handle))
            self._write(ActDone(session.who, "handle_chosen", str(session.who)))

    # --- passkeys

    def begin(self, number: int, code: str) -> Registration:
        """Raises CodeWrongError, the same for a wrong number as for a wrong code; a wrong try is counted."""
        person = self._proved(number, code)
        with self.tables.change() as t:
            known = [key.credential for key in t.passkeys(number) if not key.stopped]
        challenge = self._challenges.make(f"register {number}", self._door.clock.now())
        options = self._passkeys.registration(number, person.handle, known, challenge)
        return Registration(number, code, person.handle, options)

    def register(self, number: int, code: str, name: str, answer: str) -> str:
        """Keep the passkey a browser made; the code is spent and the person signed in. Gives the session's secret.

        Raises CodeWrongError, PasskeyRefusedError.
        """
        person = self._proved(number, code)
        now, challenge = self._door.clock.now(), challenge_of(answer)
        self._challenges.check(challenge, f"register {number}", now)
        made = self._passkeys.made(answer, challenge)
        with self.tables.change() as t:
            if not t.spend_challenge(challenge, now):
                raise PasskeyRefusedError(why="it was used before")
            if sum(not key.stopped for key in t.passkeys(number)) >= MOST_KEYS:
                raise PasskeyRefusedError(why=f"{MOST_KEYS} keys are enough")
            key = Passkey(made.credential, number, made.public_key, made.sign_count, name, now, 0, "")
            if not t.add_passkey(key):
                raise PasskeyRefusedError(why="this key is known already")
            t.spend_code(number)
            self._write(ActDone(number, "passkey_added", str(number), facts=(Fact("name", name),)))
        return self._door.signed_in(number, person.handle, person.roles, "passkey")

    def question(self) -> str:
        """The options for showing a passkey, as JSON."""
        return self._passkeys.sign_in(self._challenges.make(SIGN_IN, self._door.clock.now()))

    def sign_in(self, answer: str) -> str:
        """Gives the session's secret. Raises PasskeyRefusedError, PasskeyClonedError."""
        now, challenge, credential = self._door.clock.now(), challenge_of(answer), credential_of(answer)
        self._challenges.check(challenge, SIGN_IN, now)
        cloned = None
        with self.tables.change() as t:
            key = t.passkey(credential)
            if key is None or key.stopped:
                raise PasskeyRefusedError(why="it is not known here")
            person = self._there(t, key.who)
            try:
                count = self._passkeys.shown(answer, challenge, key.public_key, key.sign_count)
            except PasskeyClonedError as error:
                t.stop_passkey(credential, key.who, "cloned")
                facts = Fact("person", str(key.who)), Fact("key", key.name)
                self._write(AlarmRaised("passkey_cloned", facts), ActRefused(key.who, "sign_in", key.name, "cloned"))
                cloned = error
            else:
                if not t.spend_challenge(challenge, now):
                    raise PasskeyRefusedError(why="it was used before")
                t.passkey_used(credential, count, now)
        if cloned is not None:  # that it stopped stands, whatever becomes of this request
            raise cloned
        return self._door.signed_in(person.number, person.handle, person.roles, "passkey")

    def remove_key(self, session: Session, credential: bytes) -> None:
        """Raises PasskeyRefusedError for a key that is not theirs, or the last one."""
        with self.tables.change() as t:
            keys = [key for key in t.passkeys(session.who) if not key.stopped]
            if len(keys) < 2:
                raise PasskeyRefusedError(why="it is the only one: add another first")
            if not t.stop_passkey(credential, session.who, "removed"):
                raise PasskeyRefusedError(why="it is not yours")
            self._write(ActDone(session.who, "passkey_removed", str(session.who)))

    # --- the demo

    def sign_in_demo(self) -> str:
        """The demo account: every role, no key. Only called where the settings allow it (O10)."""
        now = self._door.clock.now()
        with self.tables.change() as t:
            t.add_person(DEMO_NUMBER, DEMO_HANDLE, ROLES, now, 0)
        return self._door.signed_in(DEMO_NUMBER, DEMO_HANDLE, ROLES, "demo")

    # --- behind the calls

    def _proved(self, number: int, code: str) -> Person:
        """Who has this number and this code. Raises CodeWrongError."""
        now, right = self._door.clock.now(), False
        plain = "".join(c for c in code.upper() if c.isalnum())[:40] or "-"
        with self.tables.change() as t:
            person, said = t.person(number), t.code(number)
            right = ArgonPins().good(NO_DIGEST if said is None else said[0], plain) and said is not None
            if said is not None and not right:
                t.code_tried(number)
        if not right or person is None or person.ended or said is None:
            self._write(ActRefused(number if person is not None else 0, "register", str(number), "code"))
            raise CodeWrongError(minutes=CODE_MINUTES)
        check_code_life(said[1], said[2], now)
        return person

    def _there(self, t: Change, number: int) -> Person:
        person = t.person(number)
        if person is None or person.ended:
            raise NoPersonError(number=number)
        return person

    def _write(self, *bodies: Body) -> None:
        self._door.write(*bodies)
