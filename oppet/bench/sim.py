"""`oppet bench sim`: how many till-hours a simulated chain lives through in one second of one processor.

The ceiling is what the same second would hold if a run were nothing but its signatures and their checks: real Ed25519,
as many as the entries, batches and acknowledgements of the run need at least.
"""

from __future__ import annotations

import time
from typing import Any

from oppet.base.signing import Signer, Verifier
from oppet.sim.schedule import Size, make
from oppet.sim.world import run as live
from oppet.yardstick.measure import conditions, result, signature_us

__all__ = ["run"]

FIRST = 1


def run(runs: int = 4, seconds: int = 3_600) -> dict[str, Any]:
    """Measure. Figures: till-hours, faults and sales a CPU second; ratio: the share of it that signatures alone would take."""
    size = Size(1, 2, seconds)
    signing = signature_us()
    till_ms = faults = sales = acks = 0
    began = time.process_time()
    for seed in range(FIRST, FIRST + runs):
        found = live(make(seed, size))
        assert not found.broken, found.broken[0]
        till_ms += found.till_ms
        faults += sum(found.faults.values())
        sales += found.sales
        acks += found.laws.get("1 acknowledged is on the disk", 0)
    spent = time.process_time() - began
    # A sale signs twice at least; an acknowledgement is signed once and checked once, the batch before it as well.
    least = (sales * 2 + acks * 2) * signing / 1e6 + acks * 2 * _check_us() / 1e6
    return result(
        "sim",
        {
            "till_hours_per_cpu_s": round(till_ms / 3_600_000 / spent, 2),
            "faults_per_cpu_s": round(faults / spent),
            "sales_per_cpu_s": round(sales / spent, 1),
            "cpu_s": round(spent, 2),
        },
        {"signatures": round(least / spent, 3)},
        conditions(
            runs=runs, simulated_s=seconds, stores=1, tills=2, faults=faults, sales=sales, acknowledgements=acks
        ),
    )


def _check_us(rounds: int = 400) -> float:
    """CPU of one check of a signature, in microseconds."""
    signer, said = Signer(bytes(range(32))), bytes(120)
    verifier, signature = Verifier(signer.public), signer.sign(said)
    began = time.process_time()
    for _ in range(rounds):
        verifier.good(signature, said)
    return (time.process_time() - began) / rounds * 1e6
