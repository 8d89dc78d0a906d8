"""How a machine gets its name, epoch and certificate with a short code, and how nobody between can swap a key.

The manager asks for a code and reads it out; it works once and for minutes. The code itself never travels: each side
shows that it knows it by a keyed digest over what it sends, stretched so that a listener cannot try all codes. The
answer is proven the same way, so the machine's trust in HQ's key and the keepers' starts with the code too.
Keeps K10 (a code is spent by use, by time and by wrong tries).
"""

from __future__ import annotations

import hashlib
import hmac

import msgspec

from oppet.base import canonical
from oppet.sync.errors import BadCodeError, CodeSpentError
from oppet.sync.messages import Digest, KeeperInfo, Key, Name, Paper

__all__ = [
    "ENROL_PATH",
    "Enrolled",
    "Invitation",
    "Request",
    "check_answer",
    "check_request",
    "code_from",
    "seal_answer",
]

ENROL_PATH = "/keep/1/enrol"
ALPHABET = "ABCDEFGHJKMNPQRSTVWXYZ23456789"  # nothing that is read two ways
LENGTH = 8  # 39 bits
MINUTES = 15
TRIES = 5
_COST = {"n": 1 << 14, "r": 8, "p": 1}  # 50 ms and 16 MB a guess


class Request(msgspec.Struct, frozen=True):
    """What a new till (or store node) sends: its own key, and that it knows the code. `salt` is 32 random hex digits."""

    invitation: Name
    public_key: Key
    second_key: str  # a store's manager key; "" for a till
    machine: str  # the installation's digest, for people to compare
    salt: str
    proof: Digest


class Enrolled(msgspec.Struct, frozen=True):
    """What comes back: papers, whom to believe, where the keepers are; `proof` as the request's."""

    till: str  # "" for a store node
    epoch: int
    store: str
    register: str
    hq_key: Key
    papers: tuple[Paper, ...]
    keepers: tuple[KeeperInfo, ...]
    proof: str = ""


class Invitation(msgspec.Struct, frozen=True):
    """An open door for one machine. Kept where it was made; the code in it is why that file is secret."""

    name: str
    what: str  # till | store
    store: str
    till: str
    register: str
    code: str
    made: int  # instant
    by: int  # staff number
    tries: int = 0
    used: bool = False


def code_from(chance: bytes) -> str:
    """A code from at least 16 random bytes."""
    number = int.from_bytes(chance, "big")
    letters = ""
    for _ in range(LENGTH):
        number, place = divmod(number, len(ALPHABET))
        letters += ALPHABET[place]
    return letters


def prove(code: str, salt: str, what: bytes) -> str:
    """The keyed digest over `what` that only somebody who knows the code can make."""
    plain = "".join(c for c in code.upper() if c.isalnum())
    key = hashlib.scrypt(plain.encode(), salt=salt.encode(), maxmem=64 << 20, dklen=32, **_COST)
    return hmac.new(key, what, hashlib.sha256).hexdigest()


def make_request(invitation: str, code: str, public_key: bytes, second_key: bytes, machine: str, salt: str) -> Request:
    """What the new machine sends."""
    second = second_key.hex()
    proof = prove(code, salt, _asked(invitation, public_key.hex(), second, machine))
    return Request(invitation, public_key.hex(), second, machine, salt, proof)


def check_request(invitation: Invitation, request: Request, now: int) -> Invitation:
    """The invitation as it stands after this try; used up when the code was right.

    Raises CodeSpentError for one that is over; BadCodeError carries the invitation with one try less, to be kept.
    """
    age = now - invitation.made
    if invitation.used or invitation.tries >= TRIES or not 0 <= age < MINUTES * 60_000:
        raise CodeSpentError(minutes=MINUTES)
    what = _asked(request.invitation, request.public_key, request.second_key, request.machine)
    if not hmac.compare_digest(prove(invitation.code, request.salt, what), request.proof):
        raise BadCodeError(left=TRIES - invitation.tries - 1)
    return msgspec.structs.replace(invitation, used=True)


def tried(invitation: Invitation) -> Invitation:
    """One wrong try more."""
    return msgspec.structs.replace(invitation, tries=invitation.tries + 1)


def seal_answer(answer: Enrolled, code: str, request: Request) -> Enrolled:
    """Prove that whoever answers knows the code, for this very request."""
    return msgspec.structs.replace(answer, proof=prove(code, request.salt, _answered(answer, request)))


def check_answer(answer: Enrolled, code: str, request: Request) -> bool:
    """Whether the answer comes from where the code was made."""
    return hmac.compare_digest(answer.proof, prove(code, request.salt, _answered(answer, request)))


def _asked(invitation: str, public_key: str, second_key: str, machine: str) -> bytes:
    return f"oppet enrol 1\n{invitation}\n{public_key}\n{second_key}\n{machine}\n".encode()


def _answered(answer: Enrolled, request: Request) -> bytes:
    return (
        b"oppet enrolled 1\n"
        + request.proof.encode()
        + b"\n"
        + canonical.encode(msgspec.structs.replace(answer, proof=""))
    )
