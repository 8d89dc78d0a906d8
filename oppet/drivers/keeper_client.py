"""A keeper over HTTP: one connection kept open, its certificate pinned, every answer bounded in size and in time.

The pin is compared before a byte of ours is sent: a keeper is believed for the key it was enrolled with, never for a
name or an authority. A total deadline covers each call, so that an answer that comes drop by drop holds nobody.
Foreign exceptions become leaves of `sync/errors.py` here. Keeps K2 (what comes over a wire is bounded) and K16 (nothing
is sent to a keeper that shows another certificate).
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import secrets
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from oppet.base import canonical
from oppet.base.errors import OppetError, UnavailableError, UntrustedError
from oppet.base.words import N_
from oppet.drivers.tls import wrapped
from oppet.drivers.wire import Line, Wire, why
from oppet.sync.enrolment import ENROL_PATH, Enrolled, Request, check_answer, make_request
from oppet.sync.errors import (
    BadCertificateError,
    BadCodeError,
    BatchMalformedError,
    BatchTooLargeError,
    CodeSpentError,
    EpochRevokedError,
    ForgedBatchError,
    KeeperAwayError,
    KeeperRefusedError,
    PackedBombError,
    TooFastError,
    UnknownTillError,
    WrongKeeperError,
)
from oppet.sync.lanes import LANE_PATH, Signed
from oppet.sync.messages import (
    BATCH_PATH,
    INTRODUCE_PATH,
    LARGEST_BATCH,
    WHO_PATH,
    Answer,
    Batch,
    KeeperInfo,
    Paper,
    encode_batch,
)

__all__ = ["TIMEOUT_S", "KeeperClient", "enrol_first"]

T = TypeVar("T")

TIMEOUT_S = 10.0  # a whole call: connecting, sending, waiting and reading
LARGEST_ANSWER = 8 << 20  # papers of a chain's stores come in one answer
LARGEST_REFUSAL = 64 << 10
MOST_PAUSE_S = 3_600  # a keeper may ask for a pause, not for silence
_LEAVES: dict[str, type[OppetError]] = {
    leaf.__name__: leaf
    for leaf in (
        BadCertificateError,
        BadCodeError,
        BatchMalformedError,
        BatchTooLargeError,
        CodeSpentError,
        EpochRevokedError,
        ForgedBatchError,
        PackedBombError,
        UnknownTillError,
    )
}


class _Refusal(msgspec.Struct):
    """What a keeper says instead of an answer."""

    error: str = ""
    sentence: str = ""
    facts: dict[str, str | int | float | bool | None] = {}


class _Info(msgspec.Struct):
    new: int


class KeeperClient:
    """One keeper, one connection, one caller at a time; `close` may come from any thread and ends a call under way."""

    def __init__(self, info: KeeperInfo, timeout_s: float = TIMEOUT_S, *, unpinned: bool = False) -> None:
        """`unpinned` is for the first contact of a machine that has no papers: it notes the certificate in `seen`."""
        self.info = info
        self.seen = ""  # SHA-256 of the certificate shown last
        self._timeout_s = timeout_s
        self._unpinned = unpinned
        self._line: Line | None = None
        self._closed = False

    # --- what may be asked

    def batch(self, batch: Batch) -> Answer:
        """Send a batch and read the keeper's answer; its signature is the sender's to check."""
        octets = encode_batch(batch)
        if len(octets) > LARGEST_BATCH:
            raise BatchTooLargeError(bytes=len(octets), largest=LARGEST_BATCH)
        return self._ask("POST", BATCH_PATH, octets, Answer, "application/octet-stream")

    def introduce(self, papers: Sequence[Paper]) -> int:
        """Show certificates and revocations; gives how many were news."""
        return self._ask("POST", INTRODUCE_PATH, canonical.encode(list(papers)), _Info).new

    def who(self) -> KeeperInfo:
        """What the keeper says of itself."""
        return self._ask("GET", WHO_PATH, b"", KeeperInfo)

    def enrol(self, request: Request) -> Enrolled:
        """Ask for a name and papers; the caller checks the answer's proof."""
        return self._ask("POST", ENROL_PATH, canonical.encode(request), Enrolled, again=False)

    def lane(self, signed: Signed, timeout_s: float | None = None) -> Signed:
        """Ask the store node about the other tills; the caller checks its signature."""
        return self._ask("POST", LANE_PATH, canonical.encode(signed), Signed, timeout_s=timeout_s)

    def close(self) -> None:
        """Let the connection go, also under a call in another thread, which then ends as KeeperAwayError."""
        self._closed = True
        line = self._line
        if line is not None:
            line.wire.interrupt()
            line.close()

    # --- behind the calls

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes,
        kind: type[T],
        media: str = "application/json",
        *,
        timeout_s: float | None = None,
        again: bool = True,
    ) -> T:
        deadline = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        status, headers, data = self._call(method, path, body, media, deadline, again=again)
        if status != 200:
            raise self._refusal(status, headers, data)
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise self._away(N_("its answer cannot be read")) from None

    def _call(
        self, method: str, path: str, body: bytes, media: str, deadline: float, *, again: bool
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One exchange. A connection that was kept open and has gone stale is opened anew, once: nothing asked here
        does harm when it is asked twice."""
        line = self._line
        if line is not None:
            try:
                return self._exchange(line, method, path, body, media, deadline)
            except KeeperAwayError:
                self._drop()
                if not again or self._closed or time.monotonic() >= deadline or not line.stale:
                    raise
        self._line = line = self._open(deadline)
        try:
            return self._exchange(line, method, path, body, media, deadline)
        except BaseException:
            self._drop()
            raise

    def _exchange(
        self, line: Line, method: str, path: str, body: bytes, media: str, deadline: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        line.wire.deadline = deadline
        line.stale = True  # until the keeper has begun to answer
        try:
            line.request(method, line.prefix + path, body, {"Content-Type": media, "Accept": "application/json"})
            answer = line.getresponse()
            line.stale = False
            largest = LARGEST_ANSWER if answer.status == 200 else LARGEST_REFUSAL
            data = answer.read(largest + 1)
            if len(data) > largest:
                raise self._away(N_("its answer is too large"))
            headers = {name.lower(): value for name, value in answer.getheaders()}
            if answer.will_close:
                self._drop()
        except TimeoutError:
            line.stale = False
            raise self._away(N_("no answer in time")) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._away(why(error)) from None
        except AttributeError:
            if not self._closed:
                raise
            raise self._away(N_("the connection was let go")) from None  # by another thread, in the middle of reading
        return answer.status, headers, data

    def _open(self, deadline: float) -> Line:
        """Connect, and compare the certificate before anything is sent. Raises KeeperAwayError, WrongKeeperError."""
        if self._closed:
            raise self._away(N_("the connection was let go"))
        host, port, secure, prefix = self._address()
        try:
            left = max(deadline - time.monotonic(), 0.001)
            plain = socket.create_connection((host, port), timeout=left)
            try:
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                wire = Wire(self._pinned(plain, deadline) if secure else plain, deadline)
            except BaseException:
                plain.close()
                raise
        except TimeoutError:
            raise self._away(N_("no answer in time")) from None
        except (OSError, ValueError) as error:
            raise self._away(why(error)) from None
        line = Line(host, port, wire, prefix)
        if self._closing():
            line.close()
            raise self._away(N_("the connection was let go"))
        return line

    def _closing(self) -> bool:
        return self._closed

    def _address(self) -> tuple[str, int, bool, str]:
        """Host, port, whether TLS, and what stands before every path."""
        with contextlib.suppress(ValueError):
            parts = urlsplit(self.info.url)
            secure = parts.scheme == "https"
            if parts.hostname and parts.scheme in ("http", "https"):
                return parts.hostname, parts.port or (443 if secure else 80), secure, parts.path.rstrip("/")
        raise self._away(N_("its address cannot be read"))

    def _pinned(self, plain: socket.socket, deadline: float) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the pin says who it is, not an authority
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        plain.settimeout(max(deadline - time.monotonic(), 0.001))
        secured = wrapped(context, plain, urlsplit(self.info.url).hostname)
        try:  # `plain` has given its handle away; a peer that died in between leaves a socket without a certificate
            shown = secured.getpeercert(binary_form=True) or b""
            self.seen = hashlib.sha256(shown).hexdigest()
            if not self._unpinned and self.seen != self.info.tls:
                raise WrongKeeperError(keeper=self.info.name)
        except BaseException:
            secured.close()
            raise
        return secured

    def _drop(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _away(self, why: str) -> KeeperAwayError:
        return KeeperAwayError(keeper=self.info.name, why=why)

    def _refusal(self, status: int, headers: Mapping[str, str], data: bytes) -> OppetError:
        """The keeper's own words as the leaf they name, where its facts fill the leaf's sentence."""
        try:
            said = msgspec.json.decode(data, type=_Refusal)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            said = _Refusal(sentence=f"HTTP {status}")
        if status == 429:
            return TooFastError(retry_after_s=_pause_s(said.facts.get("retry_after_s"), headers.get("retry-after")))
        leaf = _LEAVES.get(said.error)
        if leaf is not None:
            with contextlib.suppress(KeyError, IndexError, ValueError):
                return leaf(**said.facts)
        if status == 413:
            return BatchTooLargeError(bytes=LARGEST_BATCH, largest=LARGEST_BATCH)
        if status >= 500 or status == 408:
            return self._away(said.sentence or f"HTTP {status}")
        return KeeperRefusedError(keeper=self.info.name, why=said.sentence or f"HTTP {status}")


def enrol_first(
    url: str, invitation: str, code: str, public_key: bytes, second_key: bytes, machine: str, timeout_s: float = 30.0
) -> Enrolled:
    """Enrol a machine that has no papers and so no pin: the answer's proof is what makes the keeper believed.

    Raises KeeperAwayError, BadCodeError, CodeSpentError, KeeperRefusedError; BadCertificateError for an answer that does
    not know the code, and WrongKeeperError when somebody's own certificate stands between.
    """
    client = KeeperClient(KeeperInfo("unknown", "store", url, "0" * 64), timeout_s, unpinned=True)
    try:
        who = client.who()
        request = make_request(invitation, code, public_key, second_key, machine, secrets.token_hex(16))
        enrolled = client.enrol(request)
        if not check_answer(enrolled, code, request):
            raise BadCertificateError(whose=url, why=N_("its answer does not prove that it knows the code"))
        for keeper in enrolled.keepers:
            if keeper.name == who.name and keeper.url.startswith("https:") and client.seen not in ("", keeper.tls):
                raise WrongKeeperError(keeper=keeper.name)
    finally:
        client.close()
    return enrolled


def _pause_s(said: object, header: str | None) -> int:
    if isinstance(said, int) and 0 < said <= MOST_PAUSE_S:
        return said
    if header is not None and header.isascii() and header.isdigit() and len(header) < 6:
        return min(max(int(header), 1), MOST_PAUSE_S)
    return 1


assert issubclass(KeeperAwayError, UnavailableError), "away means queue and sell on"
assert issubclass(WrongKeeperError, UntrustedError), "another certificate is never retried as if it were a cable"
