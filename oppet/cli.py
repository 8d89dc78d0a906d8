"""One command: `oppet <room> <verb>`, and the few plain verbs.

This file only knows where each verb lives. A verb's module is loaded when the verb is used, so a till starts without
head office's libraries. Exit codes say who must act: 1 refused, 2 untrusted, 3 unavailable, 64 mistyped.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple, NoReturn

from cyclopts import App, CycloptsError

from oppet import __version__
from oppet.base.errors import OppetError

MISTYPED = 64
INTERRUPTED = 130
READER_LEFT = 141


class Verb(NamedTuple):
    """Where a verb lives (`module:function`), and the line that lists it."""

    target: str
    help: str


ROOMS: Mapping[str, str] = {
    "hq": "Run head office and look after its people, stores and tills.",
    "journal": "Read, verify and export a till's journal.",
    "release": "Build, sign and publish what comes down to tills; look after its keys.",
    "store": "Run the back room and let its tills in.",
    "till": "Run a till and look after its staff.",
}

VERBS: Mapping[str, Verb] = {
    "demo": Verb("oppet.demo.main:demo", "Open a chain on this machine: head office, two stores, four tills."),
    "till run": Verb("oppet.till.main:run", "Run a till from its settings file."),
    "till staff": Verb("oppet.till.main:staff", "Add somebody to the staff list, or give them a new PIN."),
    "till enrol": Verb("oppet.till.epochs:enrol", "Give a till its name and papers with the manager's code."),
    "till retire": Verb("oppet.till.epochs:retire", "Take a till out of use, once all it wrote is kept."),
    "till self-test": Verb(
        "oppet.rehearsal.dry_sale:self_test", "Sell once into a throw-away journal, and say what works."
    ),
    "till install": Verb(
        "oppet.drivers.slots:install", "Put a first release into a till's slots, as an installer does."
    ),
    "till slots": Verb("oppet.drivers.slots:launch", "Run a till from its slots, by the launcher."),
    "store run": Verb("oppet.store.main:run", "Run the store node: keeper, relay and the manager's pages."),
    "store keep": Verb("oppet.store.main:keep", "Run a neighbour keeper on a till's machine."),
    "store find": Verb("oppet.store.main:find", "List the keepers that announce themselves on the network."),
    "store enrol": Verb("oppet.store.enrolment:enrol", "Make a store's keys and have head office certify them."),
    "store invite": Verb("oppet.store.enrolment:invite", "Open a door for one till and sign its certificate."),
    "hq run": Verb("oppet.hq.main:run", "Run head office: keeper, pages and its database."),
    "hq migrate": Verb("oppet.hq.main:migrate", "Bring head office's database to this version."),
    "hq rebuild": Verb("oppet.hq.entry_verbs:rebuild", "Make head office's views again from the entries it keeps."),
    "hq verify": Verb("oppet.hq.entry_verbs:verify", "Check every entry head office keeps, by its own papers."),
    "hq export": Verb("oppet.hq.entry_verbs:export", "Write sales of a period, or the books, to a file."),
    "hq settle": Verb("oppet.hq.verbs:settle", "Take in an acquirer's settlement file or a Swish report."),
    "hq store": Verb("oppet.hq.verbs:store", "Add, change, close or list stores."),
    "hq till": Verb("oppet.hq.verbs:till", "Countersign, revoke or list tills."),
    "hq person": Verb("oppet.hq.verbs:person", "Add people, give them codes, shut them out, or list them."),
    "release ceremony": Verb(
        "oppet.signing.ceremony:ceremony", "Make a repository's keys with its people, and publish it empty."
    ),
    "release key": Verb("oppet.signing.ceremony:key", "Make one person's new keys on a stick."),
    "release build": Verb(
        "oppet.signing.build:build", "Build a release: image, SBOM and provenance, the same for all."
    ),
    "release prepare": Verb("oppet.signing.drafting:prepare", "Draft a release and write the request to sign it."),
    "release sign-as-vendor": Verb("oppet.signing.by_hand:sign_as_vendor", "Read and sign a request of the vendor's."),
    "release sign-as-chain": Verb("oppet.signing.by_hand:sign_as_chain", "Read and sign a request of the chain's."),
    "release publish": Verb("oppet.signing.publishing:publish", "Judge what was signed and show it to the world."),
    "release rollout": Verb("oppet.signing.publishing:rollout", "Let a release that both parties signed go out."),
    "release health": Verb("oppet.signing.publishing:health", "Publish what trial tills said of a release."),
    "release pace": Verb("oppet.signing.drafting:pace", "Draft who goes first and how fast the others follow."),
    "release revoke": Verb("oppet.signing.drafting:revoke", "Draft lists without a release, and raise the floor."),
    "release drop": Verb("oppet.signing.drafting:drop", "Throw away what was drafted and not published."),
    "release refresh": Verb("oppet.signing.drafting:refresh", "Draft lists that run out soon with new dates."),
    "release store-root": Verb(
        "oppet.signing.drafting:store_root", "Give a store a repository for its own mark-downs."
    ),
    "release rotate": Verb("oppet.signing.rotation:rotate", "Draft other people's or the service's keys."),
    "release recover": Verb("oppet.signing.rotation:recover", "Draft a repository without a lost or stolen key."),
    "release show": Verb("oppet.signing.showing:show", "Show who signs, what is published, and what waits."),
    "release list": Verb("oppet.signing.showing:list_targets", "List what a repository publishes."),
    "release stick": Verb("oppet.drivers.publication_stick:stick", "Write a stick for stores, and read it back."),
    "release tuf-client": Verb(
        "oppet.drivers.tuf_client:tuf_client", "Drive the client that tills verify with, for tests from outside."
    ),
    "journal verify": Verb(
        "oppet.audit.journal_verbs:verify", "Say whether a journal is whole, or the first thing wrong with it."
    ),
    "journal show": Verb("oppet.audit.journal_verbs:show", "Print a journal's entries."),
    "journal export": Verb("oppet.audit.export_verbs:export", "Write a journal as the XML of SKVFS 2021:16."),
    "books": Verb("oppet.audit.export_verbs:books", "Write a SIE 4I file, one verification for each Z report."),
    "replay": Verb(
        "oppet.replay.verb:replay", "Sell real baskets again through the till and explain every difference."
    ),
    "sim": Verb("oppet.sim.verb:sim", "Run a simulated chain with every fault from a seed and hold the laws."),
    "rehearse": Verb("oppet.rehearsal.verb:rehearse", "Rehearse card and Swish with every fault and hold law 3."),
    "rollout": Verb(
        "oppet.rollout.verb:rollout", "Let releases go out to a simulated chain with thieves and hold law 5."
    ),
    "bench": Verb("oppet.bench.verbs:bench", "Measure, against a ceiling taken in the same run."),
}


def command(rooms: Mapping[str, str] = ROOMS, verbs: Mapping[str, Verb] = VERBS) -> App:
    """Build the command from the tables; nothing behind a verb is loaded yet."""
    app = App(name="oppet", version=__version__, help="A checkout that stays open. Nothing here needs the internet.")
    doors = {room: App(name=room, help=line) for room, line in rooms.items()}
    for name, verb in verbs.items():
        room, _, word = name.rpartition(" ")
        (doors[room] if room else app).command(verb.target, name=word, help=verb.help)
    for room, door in doors.items():
        if any(name.startswith(f"{room} ") for name in verbs):
            app.command(door)
    return app


def explain(error: OppetError, as_json: bool) -> str:
    """Say what happened: a sentence for a person, or its facts for a program."""
    if not as_json:
        return f"oppet: {error}"
    answer = {"error": type(error).__name__, "sentence": str(error), "facts": error.facts, "exit": error.exit_code}
    return json.dumps(answer, ensure_ascii=False, default=str)


def run(words: Sequence[str], app: App) -> int:
    """Run one command line and return its exit code; our own mistakes pass through as they are."""
    try:
        answer = app(words, exit_on_error=False, result_action="return_value")
    except CycloptsError:
        return MISTYPED  # already explained on standard error
    except OppetError as error:
        print(explain(error, as_json="--json" in words), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    return answer if isinstance(answer, int) else 0


def main() -> NoReturn:
    """Be the `oppet` command."""
    try:
        code = run(sys.argv[1:], command())
        sys.stdout.flush()
    except BrokenPipeError:  # as in `oppet journal show FILE | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = READER_LEFT
    sys.exit(code)
