"""`oppet bench refresh`: what a till does when it looks at both repositories and nothing is new.

Real repositories with real thresholds, a release history, goods, plan and the roots of a hundred stores; served by the store node's
own `/pub/` from another process, and read from a folder as from a stick. `warm` is the look a till makes all day; `anew` the first
after a restart, with every signature checked again from disk; `cold` that of a blank machine. Measured in the same run: the same
small files asked for bare, over one kept connection and from the folder.
"""

from __future__ import annotations

import contextlib
import http.client
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from oppet.base import canonical
from oppet.drivers.clock import SystemClock
from oppet.drivers.publication_http import Publications as Served
from oppet.drivers.publication_sources import FolderSource, HttpSource, Source
from oppet.drivers.publications import Publications
from oppet.drivers.repositories import Repository, Role, Threshold, make_signer
from oppet.drivers.serving import listen, serve
from oppet.release import terms
from oppet.release.found import Found
from oppet.release.terms import CHAIN, VENDOR, Canary, EmergencyPace, Goods, Pace, Plan, Software
from oppet.yardstick.measure import conditions, result
from oppet.yardstick.store import scratch

__all__ = ["main", "run"]

IMAGE = "a1" * 32
SINCE = "2026-11-22T12:00:00.000Z"


def run(runs: int = 200, releases: int = 6, goods: int = 30, stores: int = 100) -> dict[str, Any]:
    """Measure a look with nothing new, over HTTP and from a folder. `warm_ms` is the median over HTTP."""
    with scratch() as folder:
        tree = folder / "pub"
        roots, now = _published(tree, releases, goods, stores), SystemClock().now()

        def client(name: str) -> Publications:
            return Publications(folder / name, roots, "S001")

        with _node(tree) as url:
            node, stick = HttpSource("node", url), FolderSource("stick", tree)
            measured = {
                kind: _measured(client, kind, source, now, runs) for kind, source in (("http", node), ("folder", stick))
            }
            bare_http, bare_folder = _bare_http(url, runs), _bare_folder(tree, runs)
            node.close()
        sizes = {
            one: sum(path.stat().st_size for path in (tree / one / "metadata").iterdir()) for one in (VENDOR, CHAIN)
        }
    http_, folder_ = measured["http"], measured["folder"]
    return result(
        "refresh",
        {
            "warm_ms": http_["warm"], "warm_p99_ms": http_["warm_p99"], "warm_folder_ms": folder_["warm"],
            "anew_ms": http_["anew"], "anew_folder_ms": folder_["anew"], "cold_ms": http_["cold"],
            "cold_folder_ms": folder_["cold"], "warm_bytes": http_["warm_bytes"], "cold_bytes": http_["cold_bytes"],
        },
        {
            "warm_over_bare_requests": round(http_["warm"] / bare_http, 2),
            "warm_folder_over_bare_reads": round(folder_["warm"] / bare_folder, 2),
        },
        conditions(
            runs=runs, releases=releases, goods=goods, stores=stores, bare_requests_ms=round(bare_http, 3),
            bare_reads_ms=round(bare_folder, 3), metadata_bytes=sizes,
        ),
    )  # fmt: skip


def _measured(
    client: Callable[[str], Publications], kind: str, source: Source, now: int, runs: int
) -> dict[str, float]:
    cold = [_look(client(f"{kind}-cold-{number}"), source, now) for number in range(5)]
    kept = client(f"{kind}-kept")
    _look(kept, source, now)
    anew = [_look(client(f"{kind}-kept"), source, now) for _ in range(max(runs // 10, 3))]
    warm = [_look(kept, source, now) for _ in range(runs)]
    times = sorted(seconds for seconds, _ in warm)
    return {
        "cold": _ms(seconds for seconds, _ in cold),
        "anew": _ms(seconds for seconds, _ in anew),
        "warm": _ms(times),
        "warm_p99": round(times[int(len(times) * 0.99)] * 1000, 3),
        "cold_bytes": cold[0][1].bytes,
        "warm_bytes": warm[0][1].bytes,
    }


def _look(client: Publications, source: Source, now: int) -> tuple[float, Found]:
    began = time.perf_counter()
    found = client.look([source], now)
    took = time.perf_counter() - began
    assert found.agreed, "what is measured is a look that verified"
    assert not found.refused, "what is measured is a look that verified"
    return took, found


def _ms(seconds: Sequence[float] | Iterator[float]) -> float:
    return round(statistics.median(seconds) * 1000, 3)


# ---------------------------------------------------------------- what is looked at


def _published(tree: Path, releases: int, goods: int, stores: int) -> dict[str, bytes]:
    """Both repositories as a chain would have them; give the roots a till is installed with."""
    now = SystemClock().now()
    keys = [make_signer() for _ in range(18)]
    vendor_root, vendor, chain_root, chain, publishers, urgent = (keys[at : at + 3] for at in range(0, 18, 3))
    online, rollout, health = (make_signer() for _ in range(3))
    roles = [
        Role("emergency", Threshold(urgent, 3), ["emergency/*"]),
        Role("goods", Threshold(publishers, 1), ["goods/*"]),
        Role("wide", Threshold(publishers, 2), ["wide/*"]),
        Role("rollout", Threshold([rollout], 1), ["rollout/*"]),
        Role("health", Threshold([health], 1), ["health/*"]),
    ]
    canary = Canary("S001", "S001-K1", 1, "b2" * 32)
    pace = Pace(800, (canary,), 1, 1, 1, 60, 600, 125, 4320, EmergencyPace(30, 125, 1, 1))
    ours = Repository.make(
        tree / VENDOR, root=Threshold(vendor_root, 2), targets=Threshold(vendor, 2), online=online, now=now
    )
    service = make_signer()
    theirs = Repository.make(
        tree / CHAIN, root=Threshold(chain_root, 2), targets=Threshold(chain, 2), online=service, now=now, pace=pace,
        roles=roles,
    )  # fmt: skip
    for number in range(1, releases + 1):
        software = Software(number, f"0.{number}.0", "till", "any", IMAGE, 3_000_000)
        for repository in (ours, theirs):
            repository.add("targets", terms.software_name("till", number), b"an index", software)
    for store in range(2, stores + 2):
        theirs.add("targets", terms.store_root_name(f"S{store:03d}"), b"a root")
    for number in range(1, goods + 1):
        name = terms.goods_name("assortment", number, wide=False)
        theirs.add("goods", name, b"goods", Goods("assortment", number, SINCE))
    theirs.add("rollout", terms.PLAN, canonical.encode(Plan(1, {"till": releases})))
    ours.sign("targets", vendor[:2])
    theirs.sign("targets", chain[:2])
    theirs.sign("goods", publishers[:1])
    theirs.sign("rollout", [rollout])
    ours.publish(online, now)
    theirs.publish(service, now)
    return {VENDOR: ours.root_bytes(1), CHAIN: theirs.root_bytes(1)}


@contextlib.contextmanager
def _node(tree: Path) -> Iterator[str]:
    """The node's `/pub/` in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "oppet.rollout.refresh_bench", str(tree)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/pub"
    finally:
        process.terminate()
        process.communicate(timeout=30)


def main() -> None:
    """The serving process: says its port, and serves until it is told to stop."""
    served, listener = Served(Path(sys.argv[1])), listen(0)
    print(listener.getsockname()[1], flush=True)
    serve(served, listener, served.close)
    listener.close()


# ---------------------------------------------------------------- ceilings

_SMALL = tuple(f"{one}/metadata/{name}" for one in (VENDOR, CHAIN) for name in ("2.root.json", "timestamp.json"))


def _bare_http(url: str, runs: int) -> float:
    """The same questions over one kept connection, with nothing made of the answers: milliseconds."""
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.hostname or "", parts.port)
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        for name in _SMALL:
            line.request("GET", f"{parts.path}/{name}")
            line.getresponse().read()
        took.append(time.perf_counter() - began)
    line.close()
    return statistics.median(took) * 1000


def _bare_folder(tree: Path, runs: int) -> float:
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        for name in _SMALL:
            with contextlib.suppress(FileNotFoundError):
                (tree / name).read_bytes()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


if __name__ == "__main__":
    main()
