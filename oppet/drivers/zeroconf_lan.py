"""Found on the store's network: the node says its name, store and certificate by zeroconf; a till or a verb listens for it.

What is heard is a hint where to ask and never a reason to believe: a keeper is believed by its key and its certificate's digest, which
came with enrolment. Only where the settings say so; an address typed in works without it.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import msgspec
from zeroconf import EventLoopBlocked, InterfaceChoice, ServiceBrowser, ServiceInfo, ServiceListener, Zeroconf

from oppet.base.errors import UnavailableError
from oppet.base.words import N_
from oppet.sync.messages import KeeperInfo

__all__ = ["TYPE", "Announcement", "LanSilentError", "find"]

TYPE = "_oppet._tcp.local."
MOST = 100  # answers looked at: a hostile network may give any number


class LanSilentError(UnavailableError):
    sentence = N_("This machine’s network takes no announcement ({why}). Type the address instead.")


class Announcement:
    """Says where a keeper is until it is closed. Raises LanSilentError."""

    def __init__(self, info: KeeperInfo, store: str, port: int, interfaces: Sequence[str] = ()) -> None:
        host = urlsplit(info.url).hostname or "127.0.0.1"
        try:
            self._zeroconf: Zeroconf | None = _opened(interfaces)
            said = {"name": info.name, "store": store, "tls": info.tls, "key": info.public_key, "url": info.url}
            service = ServiceInfo(
                TYPE, f"{info.name}.{TYPE}", port=port, addresses=_addresses(host, interfaces), properties=said
            )
            self._zeroconf.register_service(service)
        except (OSError, EventLoopBlocked) as error:
            raise LanSilentError(why=getattr(error, "strerror", None) or "no network") from None

    def close(self) -> None:
        """Take it back. Twice does no harm."""
        zeroconf, self._zeroconf = self._zeroconf, None
        if zeroconf is not None:
            zeroconf.unregister_all_services()
            zeroconf.close()


def _opened(interfaces: Sequence[str]) -> Zeroconf:
    """With a loop and a thread of its own: opened where a loop runs it would borrow that one, and wait for itself. Raises OSError."""
    with ThreadPoolExecutor(1) as elsewhere:
        return elsewhere.submit(Zeroconf, list(interfaces) or InterfaceChoice.All).result()


def find(store: str = "", seconds: float = 2.0, interfaces: Sequence[str] = ()) -> list[KeeperInfo]:
    """Keepers that announce themselves within some seconds, of one store or of all. Raises LanSilentError."""
    try:
        zeroconf = _opened(interfaces)
    except (OSError, EventLoopBlocked) as error:
        raise LanSilentError(why=getattr(error, "strerror", None) or "no network") from None
    heard = _Heard(store)
    try:
        browser = ServiceBrowser(zeroconf, TYPE, heard)
        heard.enough.wait(seconds)
        browser.cancel()
    finally:
        zeroconf.close()
    return sorted(heard.found.values(), key=lambda info: info.name)


class _Heard(ServiceListener):
    def __init__(self, store: str) -> None:
        self.found: dict[str, KeeperInfo] = {}
        self.enough = threading.Event()
        self._store = store

    def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        if len(self.found) >= MOST:
            return
        service = zc.get_service_info(type_, name, timeout=1000)
        said = {key.decode(errors="replace"): (value or b"").decode(errors="replace")
                for key, value in (service.properties if service is not None else {}).items()}  # fmt: skip
        if self._store and said.get("store") != self._store:
            return
        try:
            info = msgspec.convert(
                {
                    "name": said["name"],
                    "place": "store",
                    "url": said["url"],
                    "public_key": said["key"],
                    "tls": said["tls"],
                },
                KeeperInfo,
            )
        except (KeyError, msgspec.ValidationError):
            return  # somebody else's, or nonsense
        self.found[info.name] = info
        if self._store:
            self.enough.set()

    def update_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        self.add_service(zc, type_, name)

    def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        """What was heard once may still answer."""


def _addresses(host: str, interfaces: Sequence[str]) -> list[bytes]:
    for said in (*interfaces, host):
        try:
            address = ipaddress.ip_address(said)
        except ValueError:
            continue
        return [address.packed]
    try:
        return [socket.inet_aton(socket.gethostbyname(host))]
    except OSError:
        return [socket.inet_aton("127.0.0.1")]
