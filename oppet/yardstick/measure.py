"""What every benchmark says about where it ran, and the ceilings it is held against, taken in the same run.

Machines here are noisy: ratios travel, seconds do not. A ceiling is measured before and after; both are stated.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oppet import __version__
from oppet.base.signing import Signer

__all__ = ["appends_per_s", "conditions", "percentiles", "result", "signature_us"]


def percentiles(name: str, seconds: Sequence[float]) -> dict[str, float]:
    """p50, p99 and the worst, in milliseconds."""
    order = sorted(seconds)

    def at(share: float) -> float:
        return round(order[min(len(order) - 1, int(share * len(order)))] * 1e3, 4)

    return {f"{name}p50_ms": at(0.5), f"{name}p99_ms": at(0.99), f"{name}worst_ms": round(order[-1] * 1e3, 4)}


def appends_per_s(folder: Path, sizes: Sequence[int], rounds: int) -> float:
    """Bare appends of `sizes` bytes with an fdatasync each, in the same folder: appended groups a second."""
    path = folder / "bare"
    handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    block = bytes(max(sizes))
    try:
        began = time.perf_counter()
        for _ in range(rounds):
            for size in sizes:
                os.write(handle, block[:size])
                os.fdatasync(handle)
        return rounds * len(sizes) / (time.perf_counter() - began)
    finally:
        os.close(handle)
        path.unlink()


def signature_us(rounds: int = 400) -> float:
    """CPU of one Ed25519 signature, in microseconds: how fast this machine is just now."""
    signer, said = Signer(bytes(range(32))), bytes(120)
    began = time.process_time()
    for _ in range(rounds):
        signer.sign(said)
    return (time.process_time() - began) / rounds * 1e6


def conditions(**more: object) -> dict[str, Any]:
    """The machine and how busy it is."""
    return {
        "oppet": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "load_1_min": round(os.getloadavg()[0], 2),
        **more,
    }


def result(bench: str, figures: dict[str, Any], ratios: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """The one object every benchmark prints."""
    return {"bench": bench, "figures": figures, "ratios": ratios, "conditions": told}
