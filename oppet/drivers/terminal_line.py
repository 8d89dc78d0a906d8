"""The cable to a card terminal: HTTPS to one pinned certificate, one exchange at a time, bounded in bytes and in time.

A line that has not sent a byte says so (`NotSentError`): then nothing can have happened at the other end. After the first byte everything
but a whole answer is `NoAnswerError`, and the connection is torn so that nothing of it is delivered later. Knows nothing of what is said.
Keeps PT5 (the right peer) and K2's spirit: 100 MB, a byte a minute or a page of the guest network hold and fill nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import ssl
import struct
import time
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from oppet.base.errors import SettingsError, UnavailableError
from oppet.base.words import N_
from oppet.drivers.tls import wrapped

__all__ = ["LARGEST_ANSWER", "NoAnswerError", "NotSentError", "Pin", "TerminalLine"]

LARGEST_ANSWER = 1 << 20
LARGEST_HEAD = 16 << 10
_NAME = re.compile(
    r"(?:([a-zA-Z0-9]{3,}-[a-zA-Z0-9]{9,15})|legacy-terminal-certificate)\.(test|live)\.terminal\.adyen\.com"
)
_TORN = struct.pack("ii", 1, 0)  # SO_LINGER: closing throws away what has not left yet


class NotSentError(UnavailableError):
    sentence = N_("The card terminal is not reached ({why}). Nothing was sent.")


class NoAnswerError(UnavailableError):
    sentence = N_("The card terminal gave no answer that counts ({why}).")


class Pin:
    """Which certificate is believed: one of this digest, or one that a known root signed; and, for Adyen's, of this terminal's name."""

    def __init__(self, poi: str, *, digest: str = "", root: Path | None = None, environment: str = "") -> None:
        """`digest`: SHA-256 in hex of the terminal's certificate, or of the root where `root` names its PEM file.
        `environment`: test or live, for certificates named as Adyen's are; a root alone does not say which terminal, so it needs one.
        Raises SettingsError.
        """
        self._poi, self._environment = poi, environment
        self._leaf = "" if root is not None else digest.replace(":", "").lower()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False  # a terminal has no name in any directory
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        if root is None:
            self.context.verify_mode = ssl.CERT_NONE  # the digest says who it is, not an authority
            if not re.fullmatch(r"[0-9a-f]{64}", self._leaf):
                raise SettingsError(file="tls_pin", reason=N_("it is no SHA-256 digest in hex"))
        else:
            if environment not in ("test", "live"):
                raise SettingsError(file=str(root), reason=N_("a root needs an environment, test or live"))
            self._trust(root, digest.replace(":", "").lower())

    def _trust(self, root: Path, digest: str) -> None:
        try:
            pem = root.read_text(encoding="ascii")
            shown = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.strip() + "\n")).hexdigest()
            self.context.load_verify_locations(cadata=pem)
        except (OSError, ValueError, ssl.SSLError) as error:
            raise SettingsError(file=str(root), reason=str(error) or type(error).__name__) from None
        if digest and shown != digest:
            raise SettingsError(file=str(root), reason=N_("it is another root than tls_pin says"))

    def holds(self, certificate: bytes) -> bool:
        """Whether a peer with this certificate, whose signature chain TLS has checked where there is a root, is our terminal."""
        if self._leaf and hashlib.sha256(certificate).hexdigest() != self._leaf:
            return False
        if not self._environment:
            return True
        try:
            [name] = x509.load_der_x509_certificate(certificate).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        except ValueError:
            return False
        found = _NAME.fullmatch(str(name.value))
        return found is not None and found[2] == self._environment and found[1] in (None, self._poi)


class TerminalLine:
    """One connection. `interrupt` may come from any thread; all else from one at a time."""

    def __init__(self, host: str, port: int, pin: Pin, connect_s: float) -> None:
        """Connect and compare the certificate. Raises NotSentError."""
        self._left = b""
        self.well = True  # whether another exchange may follow
        try:
            plain = socket.create_connection((host, port), timeout=connect_s)
        except TimeoutError:
            raise NotSentError(why="unreachable") from None
        except OSError as error:
            raise NotSentError(why=error.strerror or "unreachable") from None
        try:
            _watch(plain)
            self._socket = wrapped(pin.context, plain)
        except (OSError, ValueError) as error:
            plain.close()
            why = "certificate" if isinstance(error, ssl.SSLCertVerificationError) else "tls"
            raise NotSentError(why=why) from None
        if not pin.holds(self._socket.getpeercert(binary_form=True) or b""):
            self.close(torn=True)
            raise NotSentError(why="certificate")

    def exchange(self, path: str, body: bytes, timeout_s: float) -> tuple[int, bytes]:
        """Post and read one whole answer. Raises NoAnswerError; the connection is torn then."""
        deadline = time.monotonic() + timeout_s
        head = f"POST {path} HTTP/1.1\r\nHost: terminal\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            self._send(head.encode() + body, deadline)
            return self._answer(deadline)
        except TimeoutError:
            self.close(torn=True)
            raise NoAnswerError(why="no_answer") from None
        except NoAnswerError:
            self.close(torn=True)
            raise
        except (OSError, ValueError) as error:
            self.close(torn=True)
            raise NoAnswerError(why="hung_up" if isinstance(error, OSError) else "unreadable") from None

    def close(self, *, torn: bool = False) -> None:
        self.well = False
        with contextlib.suppress(OSError, AttributeError):
            if torn:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _TORN)
            self._socket.close()

    def interrupt(self) -> None:
        """End an exchange that is under way in another thread."""
        self.well = False
        with contextlib.suppress(OSError, AttributeError):
            self._socket.shutdown(socket.SHUT_RDWR)

    # --- HTTP, as much as this needs

    def _send(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            self._wait(deadline)
            view = view[self._socket.send(view) :]

    def _answer(self, deadline: float) -> tuple[int, bytes]:
        head = self._until(b"\r\n\r\n", LARGEST_HEAD, deadline).decode("latin-1").lower()
        status = re.match(r"http/1\.[01] ([0-9]{3})[ \r]", head)
        if status is None:
            raise NoAnswerError(why="unreadable")
        if "\r\nconnection: close" in head:
            self.well = False
        length = re.search(r"\r\ncontent-length: *([0-9]{1,12}) *\r\n", head)
        if "\r\ntransfer-encoding:" in head:
            body = self._chunks(deadline)
        elif length is not None:
            body = self._exactly(int(length[1]), deadline)
        elif status[1] == "204":
            body = b""
        else:
            raise NoAnswerError(why="unreadable")
        if self._left:
            self.well = False  # somebody says more than was asked for
        return int(status[1]), body

    def _until(self, end: bytes, longest: int, deadline: float) -> bytes:
        while (found := self._left.find(end)) < 0:
            if len(self._left) > longest:
                raise NoAnswerError(why="too_large")
            self._more(deadline)
        return self._exactly(found + len(end), deadline)

    def _exactly(self, length: int, deadline: float) -> bytes:
        if length > LARGEST_ANSWER:
            raise NoAnswerError(why="too_large")
        while len(self._left) < length:
            self._more(deadline)
        taken, self._left = self._left[:length], self._left[length:]
        return taken

    def _chunks(self, deadline: float) -> bytes:
        body = b""
        while True:
            size = self._until(b"\r\n", 100, deadline)
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,6}(;.*)?\r\n", size):
                raise NoAnswerError(why="unreadable")
            chunk = self._exactly(int(size.split(b";")[0], 16), deadline)
            if self._exactly(2, deadline) != b"\r\n":
                raise NoAnswerError(why="unreadable")
            if not chunk:
                return body
            body += chunk
            if len(body) > LARGEST_ANSWER:
                raise NoAnswerError(why="too_large")

    def _more(self, deadline: float) -> None:
        self._wait(deadline)
        received = self._socket.recv(1 << 16)
        if not received:
            raise ConnectionResetError("hung up")
        self._left += received

    def _wait(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)


def _watch(plain: socket.socket) -> None:
    """Notice a plug that was pulled within half a minute, and deliver nothing that was given up."""
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 15_000)):
        option = getattr(socket, name, None)
        if option is not None:
            plain.setsockopt(socket.IPPROTO_TCP, option, value)
