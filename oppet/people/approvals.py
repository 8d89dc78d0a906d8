"""Four eyes: one asks, another approves, and what is done is exactly what was asked.

A request freezes its act and facts under a digest; whoever approves names the digest they saw. Nobody approves their own
request, it is settled once, and one that waited too long changes nothing. Pure: keeping requests and doing what was
approved are the place's. Keeps O5 (never alone, never something else) and O6 (settled once).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable

import msgspec

from oppet.base import canonical
from oppet.base.errors import RefusedError
from oppet.base.words import N_
from oppet.journal.kinds import Fact

__all__ = [
    "APPROVED",
    "ASKED",
    "EXPIRED",
    "LIFE_MS",
    "REFUSED",
    "STATES",
    "STATE_WORDS",
    "WITHDRAWN",
    "AskedAlreadyError",
    "ChangedError",
    "Fact",
    "NoRequestError",
    "NotByYouError",
    "OwnRequestError",
    "Request",
    "SettledError",
    "TooOldError",
    "ask",
    "digest_of",
    "settle",
    "state_now",
]

ASKED, APPROVED, REFUSED, EXPIRED, WITHDRAWN = "asked", "approved", "refused", "expired", "withdrawn"
STATES = (ASKED, APPROVED, REFUSED, EXPIRED, WITHDRAWN)
STATE_WORDS = {
    ASKED: N_("waits for somebody else"),
    APPROVED: N_("approved and done"),
    REFUSED: N_("refused"),
    EXPIRED: N_("too old"),
    WITHDRAWN: N_("withdrawn"),
}
LIFE_MS = 24 * 3_600_000
LONGEST_FACT = 400
MOST_FACTS = 20
# Every way a request can go: what somebody does with it, and what it is afterwards (O6). Nothing leaves a settled state.
NEXT = {(ASKED, "approve"): APPROVED, (ASKED, "refuse"): REFUSED, (ASKED, "withdraw"): WITHDRAWN}


class OwnRequestError(RefusedError):
    sentence = N_("You asked for this yourself: somebody else must approve or refuse it.")


class NotByYouError(RefusedError):
    sentence = N_("Only who asked for it may withdraw a request.")


class SettledError(RefusedError):
    sentence = N_("Request {request} is settled already ({state}). Nothing was done.")


class TooOldError(RefusedError):
    sentence = N_("Request {request} waited more than {hours} hours. Ask again.")


class ChangedError(RefusedError):
    sentence = N_("This is not what you were shown of request {request}. Nothing was done: look at it again.")


class NoRequestError(RefusedError):
    sentence = N_("There is no request {request}.")


class AskedAlreadyError(RefusedError):
    sentence = N_("This was asked for already and waits for somebody else (request {request}).")


class Request(msgspec.Struct, frozen=True):
    id: int
    act: str  # a word of the place's table of acts
    about: str  # the thing it is done to: "S01-K3, epoch 1"
    facts: tuple[Fact, ...]
    digest: str  # of all three
    asked_by: int
    asked: int
    state: str = ASKED
    settled_by: int = 0
    settled: int = 0
    reason: str = ""

    def fact(self, name: str) -> str:
        """Raises KeyError."""
        for fact in self.facts:
            if fact.name == name:
                return fact.value
        raise KeyError(name)


def digest_of(act: str, about: str, facts: Iterable[Fact]) -> str:
    """What stands for exactly this act with exactly these facts."""
    return canonical.digest(b"oppet request 1\n" + canonical.encode([act, about, [[f.name, f.value] for f in facts]]))


def ask(act: str, about: str, facts: Iterable[Fact], by: int, now: int) -> Request:
    """A new request, without its number."""
    frozen = tuple(facts)
    assert len(frozen) <= MOST_FACTS, "facts are the program's own"
    assert all(len(fact.value) <= LONGEST_FACT for fact in frozen), "and bounded before"
    return Request(0, act, about, frozen, digest_of(act, about, frozen), by, now)


def state_now(request: Request, now: int) -> str:
    """A request that waited too long is expired, whether anybody wrote that down or not."""
    old = request.state == ASKED and not 0 <= now - request.asked < LIFE_MS
    return EXPIRED if old else request.state


def settle(request: Request, deed: str, by: int, shown: str, now: int, reason: str = "") -> Request:
    """The request after somebody approved, refused or withdrew it; `shown` is the digest on the page they saw.

    Raises SettledError, TooOldError, OwnRequestError, NotByYouError, ChangedError. That `by` has the role the act needs
    is asked before.
    """
    state = state_now(request, now)
    if state == EXPIRED and request.state == ASKED:
        raise TooOldError(request=request.id, hours=LIFE_MS // 3_600_000)
    after = NEXT.get((state, deed))
    if after is None:
        raise SettledError(request=request.id, state=STATE_WORDS[state])
    if deed == "withdraw" and by != request.asked_by:
        raise NotByYouError
    if deed != "withdraw" and by == request.asked_by:
        raise OwnRequestError
    same = digest_of(request.act, request.about, request.facts)
    if not (hmac.compare_digest(request.digest, shown) and hmac.compare_digest(request.digest, same)):
        raise ChangedError(request=request.id)
    return msgspec.structs.replace(request, state=after, settled_by=by, settled=now, reason=reason)
