"""`oppet bench switch`: how long the page is dark while a till goes from one release to the next.

Two images of this tree, a till with a full store's goods, its launcher, and somebody who asks for the page all the time: dark is the
longest they waited. The till sells on until the next release is loaded and waits for the journal. Measured in the same run:
the same till started bare from the checkout, from nothing to its first page.
"""

from __future__ import annotations

import http.client
import os
import signal
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from oppet.base import canonical
from oppet.drivers import files, launcher, serving, slots
from oppet.signing.build import Plan, build_release
from oppet.yardstick.measure import conditions, result
from oppet.yardstick.store import prepare_till, scratch

__all__ = ["run"]

TREE = Path(__file__).resolve().parents[2]
OPEN_S = 120.0
ASK_S = 0.01


def page(port: int, longest_s: float = OPEN_S) -> bool:
    """Ask for the page once; whether it came."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=longest_s)
    try:
        line.request("GET", "/")
        answer = line.getresponse()
        answer.read()
        return answer.status == 200
    except OSError:
        return False
    finally:
        line.close()


def _until_open(port: int) -> float:
    began = time.perf_counter()
    while not page(port):
        if time.perf_counter() - began > OPEN_S:
            raise TimeoutError(f"nobody answers at {port}")
        time.sleep(ASK_S)
    return time.perf_counter() - began


def _bare(settings: Path, port: int) -> float:
    """Seconds from nothing to the first page, without slots."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "oppet", "till", "run", str(settings)], stdout=subprocess.DEVNULL)
    try:
        _until_open(port)
        return time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()


def running_till(launcher_pid: int) -> int:
    """The process that the launcher has running: its oldest child."""
    said = Path(f"/proc/{launcher_pid}/task/{launcher_pid}/children").read_text(encoding="ascii").split()
    return int(said[0])


def _switched(folder: Path, plan: Plan, place: Path, pid: int, port: int) -> float:
    """Order release `plan`, end what runs, and ask for the page all the time: the longest wait, in seconds."""
    built = build_release(TREE, folder, plan)
    manifest = slots.prepare(place, built.image, built.software)
    till = running_till(pid)
    asked = [time.perf_counter()]
    for _ in range(20):
        assert page(port)
        asked.append(time.perf_counter())
        time.sleep(ASK_S)
    order = {"image": built.software.image, "manifest": manifest, "release": plan.release, "at": 0}
    launcher.write(place / launcher.ORDER, order)
    until = time.perf_counter() + OPEN_S
    while not (place / launcher.FOLLOWER).exists() and time.perf_counter() < until:
        assert page(port)  # it sells on while the next one loads
        asked.append(time.perf_counter())
        time.sleep(ASK_S)
    os.kill(till, signal.SIGTERM)
    until = time.perf_counter() + OPEN_S
    while time.perf_counter() < until:
        if page(port):
            asked.append(time.perf_counter())
        if till != running_till(pid) and asked[-1] - asked[-2] < 0.5 and len(asked) > 60:
            break
        time.sleep(ASK_S)
    launcher.write(place / launcher.PROVEN, {"image": built.software.image})
    time.sleep(launcher.LOOK_S * 4)
    return max(after - before for before, after in pairwise(asked))


def run(switches: int = 3, articles: int = 100_000) -> dict[str, Any]:
    """Measure. `dark_ms` is the median of `switches`, `slowest_ms` the worst; the ratio is to a bare start."""
    with scratch() as made:
        folder = made.resolve()
        with serving.listen(0) as free:
            port = free.getsockname()[1]
        settings = prepare_till(folder, articles)
        said = msgspec.json.decode(files.read(settings))
        files.write(settings, msgspec.json.encode(said | {"port": port}))
        bare = [_bare(settings, port) for _ in range(3)]
        place = launcher.place_of(settings)
        first = build_release(TREE, folder, Plan(1))
        lock = canonical.digest(files.read(TREE / "requirements" / "till.txt"))
        slots.install_image(files.folder(place), first.image, first.software, lock)
        command = [sys.executable, "-I", str(place / "launcher.py"), str(settings)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            began = time.perf_counter()
            _until_open(port)
            launched = time.perf_counter() - began
            dark = [_switched(folder, Plan(2 + n), place, process.pid, port) for n in range(switches)]
        finally:
            process.terminate()
            process.wait()
        size = first.software.image_bytes
    figures = {
        "dark_ms": round(statistics.median(dark) * 1e3), "slowest_ms": round(max(dark) * 1e3), "limit_ms": 5000,
        "launched_start_ms": round(launched * 1e3), "image_bytes": size,
    }  # fmt: skip
    ratios = {"over_bare_start": round(statistics.median(dark) / statistics.median(bare), 2)}
    told = conditions(switches=switches, articles=articles, bare_start_ms=round(statistics.median(bare) * 1e3))
    return result("switch", figures, ratios, told)
