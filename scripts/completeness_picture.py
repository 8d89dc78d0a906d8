#!/usr/bin/env python3
"""Makes docs/completeness.svg from what `oppet bench completeness --json` printed.

Run from the checkout: .venv/bin/oppet bench completeness --json > var/completeness.json, then
.venv/bin/python scripts/completeness_picture.py var/completeness.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

OUT = Path(__file__).parents[1] / "docs" / "completeness.svg"
NAMES = {
    "freshretail": "freshretail: 299 × timmar · hours",
    "rossmann": "rossmann: 744 × dagar · days",
    "favorita": "favorita: 36 × dagar · days",
}
MARKS = {"freshretail": "M-6-6h12v12h-12z", "rossmann": "M0-8l8 14h-16z", "favorita": "M0-7a7 7 0 1 0 .1 0z"}
WIDE, HIGH, LEFT, TOP = 900, 560, 80, 60


def picture(figures: dict[str, Any]) -> str:
    shares = list(next(iter(figures.values()))["chain"])
    step = (WIDE - LEFT - 40) / len(shares)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" font-family="system-ui, sans-serif" font-size="15" '
            'role="img" aria-labelledby="t"><title id="t">Hur ofta intervallet höll, och hur brett det var. '
            "How often the interval held, and how wide it was.</title>"
        ),
        f'<rect width="{WIDE}" height="{HIGH}" fill="#fff"/>',
        f'<text x="{LEFT}" y="28" font-weight="700">Andel intervall som höll (mål 90 %) · Share of intervals that held (aim 90 %)</text>',
    ]

    def y(coverage: float) -> float:
        return TOP + (1.0 - coverage) / 0.3 * 210

    parts.append(
        f'<rect x="{LEFT}" y="{y(0.93):.1f}" width="{WIDE - LEFT - 20}" height="{y(0.87) - y(0.93):.1f}" fill="#e0efea"/>'
        f'<path d="M{LEFT} {y(0.9):.1f}H{WIDE - 20}" stroke="#0b5d4b" stroke-width="2"/>'
    )
    for mark in (0.7, 0.8, 0.9, 1.0):
        parts.append(f'<text x="{LEFT - 8}" y="{y(mark) + 5:.1f}" text-anchor="end">{mark:.0%}</text>')
    base = 500
    parts.append(
        f'<text x="{LEFT}" y="320" font-weight="700">Intervallets bredd, andel av hela summan · '
        "Width of the interval, share of the whole sum</text>"
    )

    def width_y(width: float) -> float:
        return base - width / 0.1 * 150

    for mark in (0.0, 0.05, 0.1):
        parts.append(
            f'<path d="M{LEFT} {width_y(mark):.1f}H{WIDE - 20}" stroke="#d5d3cc"/>'
            f'<text x="{LEFT - 8}" y="{width_y(mark) + 5:.1f}" text-anchor="end">{mark:.0%}</text>'
        )
    for place, share in enumerate(shares):
        for offset, (name, by) in enumerate(figures.items()):
            row = by["chain"][share]
            x = LEFT + step * (place + 0.5) + (offset - 1) * 34
            at, spread = row["coverage"], 2 * row["error"]
            top, bottom = y(min(at + spread, 1.0)), y(max(at - spread, 0.7))
            parts.append(
                f'<path d="M{x:.1f} {top:.1f}V{bottom:.1f}" stroke="#16191b" stroke-width="1.5"/>'
                f'<path transform="translate({x:.1f} {y(at):.1f})" d="{MARKS[name]}" fill="#16191b"/>'
                f'<path d="M{x:.1f} {base}V{width_y(row["width"]):.1f}" stroke="#0b5d4b" stroke-width="10"/>'
                f'<path transform="translate({x:.1f} {width_y(row["width"]) - 12:.1f}) scale(.8)" d="{MARKS[name]}" fill="#16191b"/>'
            )
        parts.append(f'<text x="{LEFT + step * (place + 0.5):.1f}" y="{base + 22}" text-anchor="middle">{share}</text>')
    parts.append(
        f'<text x="{WIDE / 2}" y="{base + 44}" text-anchor="middle">andel butiker som saknas · share of stores missing</text>'
    )
    for offset, name in enumerate(figures):
        x = LEFT + offset * 275
        parts.append(
            f'<path transform="translate({x + 8} 288)" d="{MARKS[name]}" fill="#16191b"/>'
            f'<text x="{x + 22}" y="293" font-size="12">{NAMES[name]}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    OUT.write_text(picture(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["figures"]), encoding="utf-8")
    print(OUT)
