#!/usr/bin/env python3
"""Makes docs/rollout.svg from what `oppet rollout --seeds 1 --json` printed for a chain, once for each thief.

Run from the checkout, for example: .venv/bin/oppet rollout --seeds 1 --tills 1 --thief both --json > var/rollout-both.json, the same for
nobody, both-dormant and vendor, then .venv/bin/python scripts/rollout_picture.py var/rollout-*.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

OUT = Path(__file__).parents[1] / "docs" / "rollout.svg"
WIDE, HIGH, LEFT, RIGHT, TOP, BOTTOM = 900, 470, 70, 880, 60, 390
LINES = (  # thief, what of it, words, colour, dashes
    ("nobody", "release 2", "ärlig release · honest release", "#0b5d4b", ""),
    ("nobody", "release 3", "ärlig nödrelease · honest emergency", "#16191b", "10 4"),
    ("both-dormant", "poison", "båda stulna, ligger stilla · both stolen, lies still", "#a3450b", "4 4"),
    ("both", "poison", "båda stulna, syns genast · both stolen, shows at once", "#8c1d40", "2 3"),
    ("vendor", "poison", "en stulen: ingen butik · one stolen: no store", "#6b6f73", "12 3 2 3"),
)


def picture(runs: dict[str, dict[str, Any]]) -> str:
    stores = int(max(run["stores"] for run in runs.values()))
    drawn = [(words, colour, dash, runs[thief]["reached_at_hours"][what]) for thief, what, words, colour, dash in LINES]
    longest = float(max(12.0, *(hours[-1] - hours[0] for *_, hours in drawn if hours)))

    def x(hour: float) -> float:
        return LEFT + hour / longest * (RIGHT - LEFT)

    def y(reached: float) -> float:
        return BOTTOM - reached / stores * (BOTTOM - TOP)

    title = "Butiker som nåtts, timme för timme, från den första. Stores reached, hour by hour, from the first."
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH + 30}" font-family="system-ui, sans-serif" '
            f'font-size="15" role="img" aria-labelledby="t"><title id="t">{title}</title>'
        ),
        f'<rect width="{WIDE}" height="{HIGH + 30}" fill="#fff"/>',
        f'<text x="{LEFT}" y="30" font-weight="700">Butiker som nåtts, av {stores} · Stores reached, of {stores}</text>',
    ]
    for share in (0, 0.25, 0.5, 0.75, 1):
        at = y(share * stores)
        parts.append(f'<path d="M{LEFT} {at:.1f}H{RIGHT}" stroke="#d5d3cc"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 5:.1f}" text-anchor="end">{share * stores:.0f}</text>')
    for hour in range(0, int(longest) + 1, 12):
        parts.append(f'<text x="{x(hour):.1f}" y="{BOTTOM + 20}" text-anchor="middle">{hour} h</text>')
    for place, (words, colour, dash, hours) in enumerate(drawn):
        steps = "".join(f"H{x(hour - hours[0]):.1f}V{y(count):.1f}" for count, hour in enumerate(hours, 1))
        parts.append(
            f'<path d="M{LEFT} {y(0):.1f}{steps}H{RIGHT}" fill="none" stroke="{colour}" stroke-width="2.5" stroke-dasharray="{dash}"/>'
        )
        left, top = LEFT + (place % 2) * 410, BOTTOM + 46 + (place // 2) * 22
        parts.append(
            f'<path d="M{left} {top - 5}h34" stroke="{colour}" stroke-width="2.5" stroke-dasharray="{dash}"/>'
            f'<text x="{left + 42}" y="{top}">{words}: {len(hours)}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    runs = {run["thief"]: run for run in (json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:])}
    OUT.write_text(picture(runs), encoding="utf-8")
    print(OUT)


if __name__ == "__main__":
    main()
