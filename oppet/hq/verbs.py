"""`oppet hq store`, `till`, `person`, `settle`: what is done at the machine that holds head office's key.

Whoever runs these holds that key already, so nothing here proves who they are: what they do is written into the audit journal with
the numbers they give. Countersigning and revoking name two people even here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from oppet.base.errors import RefusedError
from oppet.base.words import N_
from oppet.hq.directory import HQ_STORE, NoStoreError, NoTillError
from oppet.hq.main import Opened, Ports, database_of, open_hq, prepare, read_settings
from oppet.hq.web_fleet import fleet_of
from oppet.hq.web_payments import settle_file
from oppet.journal.kinds import ActDone, Fact
from oppet.people.roles import VIEWER
from oppet.sync.certificates import StoreCertificate
from oppet.sync.enrolment import MINUTES
from oppet.sync.messages import KeeperInfo

__all__ = ["person", "settle", "store", "till"]

Json = Annotated[bool, Parameter(name="--json")]
AT_THE_MACHINE = 0


class TwoPeopleError(RefusedError):
    sentence = N_("This takes two people: give --by and --approved-by with different numbers of people on the list.")


class NumberMissingError(RefusedError):
    sentence = N_("Say which one: a number or a name after the word {action}.")


@contextmanager
def _office(path: Path) -> Iterator[Opened]:
    """Head office in this process for a moment: its tables, its key, an audit journal of its own."""
    path = path.resolve()
    settings = read_settings(path)
    prepare(settings, path.parent)
    with database_of(settings, path.parent) as dsn:
        opened = open_hq(settings, path.parent, dsn, "verbs", Ports(settings.port, settings.page_port))
        try:
            yield opened
            opened.send_audit()
        finally:
            opened.close()


def store(
    action: Literal["add", "change", "close", "list"],
    name: str = "",
    *,
    settings: Path,
    called: str = "",
    banner: str = "",
    by: int = AT_THE_MACHINE,
    as_json: Json = False,
) -> int:
    """Add a store (or give a known one's new node a code), rename or move it, close it, or list them all.

    Parameters
    ----------
    action
        add gives a code for `oppet store enrol`; change and close issue a newer certificate; list shows all.
    name
        The store's id, such as S01.
    settings
        Head office's settings file.
    called
        What the store is called, such as Storgatan.
    banner
        The banner it trades under.
    by
        The number of whoever does this, for the audit journal.
    as_json
        Print what came of it as JSON.
    """
    with _office(settings) as hq:
        if action == "list":
            known_ones = hq.directory.stores()
            lines = [f"{s.store}  {s.name}  {s.banner}{'  closed' if s.closed else ''}" for s in known_ones]
            _say(as_json, {"stores": [_facts(s) for s in known_ones]}, "\n".join(lines))
            return 0
        if not name or name == HQ_STORE:
            raise NumberMissingError(action=action) if not name else NoStoreError(store=name)
        facts = tuple(Fact(word, value) for word, value in (("name", called), ("banner", banner)) if value)
        with hq.directory.change() as t:
            known = hq.directory.store(name)
            if action == "add":
                invited = hq.directory.invite(
                    t, name, called or (known.name if known else name), banner or (known.banner if known else ""), by
                )
                hq.post.write(ActDone(by, "invite_store", name, facts=facts))
                info: KeeperInfo = hq.info
                text = f"Store {name}: invitation {invited.name}, code {invited.code}, for {MINUTES} minutes."
                answer = {"store": name, "invitation": invited.name, "code": invited.code, "minutes": MINUTES}
                answer |= {"url": info.url, "tls": info.tls}
                _say(as_json, answer, f"{text}\nHead office: {info.url}  TLS {info.tls}")
                return 0
            changes: dict[str, object] = {"closed": True} if action == "close" else {}
            changes |= {word: value for word, value in (("name", called), ("banner", banner)) if value}
            after = hq.directory.change_store(t, name, **changes)
            hq.post.write(ActDone(by, f"{action}_store", name, facts=facts))
        _say(as_json, _facts(after), f"Store {name}: {after.name}, {after.banner}{', closed' if after.closed else ''}.")
    return 0


def till(
    action: Literal["countersign", "revoke", "list"],
    name: str = "",
    *,
    settings: Path,
    epoch: int = 0,
    reason: str = "",
    by: int = AT_THE_MACHINE,
    approved_by: int = AT_THE_MACHINE,
    as_json: Json = False,
) -> int:
    """Countersign a till's certificate, revoke an epoch, or list tills with how they stand.

    Parameters
    ----------
    action
        countersign makes its sales count in full; revoke ends an epoch for good; list shows all.
    name
        The till, such as S01-K3.
    settings
        Head office's settings file.
    epoch
        Which epoch; 0 for the newest.
    reason
        Why it is revoked.
    by
        The number of who asks.
    approved_by
        The number of somebody else, who approves.
    as_json
        Print what came of it as JSON.
    """
    with _office(settings) as hq:
        if action == "list":
            found = fleet_of(hq.context)
            rows = [
                {
                    "till": t.till,
                    "epoch": t.epoch,
                    "trust": t.trust,
                    "state": t.state,
                    "complete_to": t.complete_to,
                    "why": t.why,
                }
                for s in found.stores
                for t in s.tills
            ]
            _say(as_json, {"tills": rows}, "\n".join("  ".join(str(value) for value in row.values()) for row in rows))
            return 0
        epoch = epoch or max((c.epoch for c, _ in hq.directory.tills() if c.till == name), default=0)
        if not name or not epoch:
            raise NumberMissingError(action=action) if not name else NoTillError(till=name, epoch=epoch)
        with hq.directory.change() as t:
            if by == approved_by or t.person(by) is None or t.person(approved_by) is None:
                raise TwoPeopleError
            if action == "countersign":
                hq.directory.countersign(t, name, epoch)
            else:
                hq.directory.revoke(t, name, epoch, reason or "revoked at the machine")
            facts = (Fact("till", name), Fact("epoch", str(epoch)), Fact("reason", reason))
            hq.post.write(ActDone(by, f"{action}_till", f"{name}, epoch {epoch}", approved_by, facts))
        said = {"countersign": "countersigned", "revoke": "revoked"}[action]
        _say(as_json, {"till": name, "epoch": epoch, "became": said}, f"Till {name}, epoch {epoch}, is {said}.")
    return 0


def person(
    action: Literal["add", "code", "end", "list"],
    number: int = 0,
    *,
    settings: Path,
    handle: str = "",
    roles: str = VIEWER,
    as_json: Json = False,
) -> int:
    """Put a person on head office's list, give them a code for a passkey, shut them out, or list everybody.

    Parameters
    ----------
    action
        add and code print a one-time code for the page /register; end shuts out at once; list shows all.
    number
        The person's number: all that the rest of the product sees of them.
    settings
        Head office's settings file.
    handle
        What they are called at head office: their own choice, not their name.
    roles
        Roles with commas between: viewer, operations, finance, incident_lead, publisher.
    as_json
        Print what came of it as JSON.
    """
    with _office(settings) as hq:
        people = hq.context.people
        if action == "list":
            with hq.context.tables.change() as t:
                persons = t.persons()
            rows = [
                {"number": p.number, "handle": p.handle, "roles": list(p.roles), "keys": p.keys, "ended": bool(p.ended)}
                for p in persons
            ]
            lines = [f"{p.number}  {p.handle}  {', '.join(p.roles)}{'  shut out' if p.ended else ''}" for p in persons]
            _say(as_json, {"people": rows}, "\n".join(lines))
            return 0
        if not number:
            raise NumberMissingError(action=action)
        if action == "end":
            people.end(number, AT_THE_MACHINE)
            _say(as_json, {"number": number, "ended": True}, f"Person {number} is shut out.")
            return 0
        given = [role.strip() for role in roles.split(",") if role.strip()]
        code = (
            people.add(number, handle or str(number), given, AT_THE_MACHINE)
            if action == "add"
            else people.fresh_code(number, AT_THE_MACHINE)
        )
        _say(
            as_json,
            {"number": number, "code": code},
            f"Person {number}: code {code}, for an hour, at the page /register.",
        )
    return 0


def settle(
    file: Path,
    *,
    settings: Path,
    service: str = "",
    by: int = AT_THE_MACHINE,
    as_json: Json = False,
) -> int:
    """Take in an acquirer's settlement file or a Swish report: whole or not at all, and the same one twice changes nothing.

    Parameters
    ----------
    file
        The file, CSV as its service writes it.
    settings
        Head office's settings file.
    service
        Whose it is, where a chain has several acquirers; otherwise card or swish.
    by
        The number of whoever does this, for the audit journal.
    as_json
        Print what came of it as JSON.
    """
    with _office(settings) as hq:
        told = settle_file(hq.context, file, service)
        hq.settled(told, by)
    text = f"{told.file}: {told.lines} movements, {told.new} new."
    if told.known:
        text = f"{told.file} was read before, as {told.known}. Nothing is changed."
    _say(as_json, msgspec.to_builtins(told), text)
    return 0


def _facts(store: StoreCertificate) -> dict[str, Any]:
    return {"store": store.store, "name": store.name, "banner": store.banner, "closed": store.closed}


def _say(as_json: bool, facts: dict[str, Any], text: str) -> None:
    print(json.dumps(facts, ensure_ascii=False) if as_json else text)
