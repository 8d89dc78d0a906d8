"""Where the demo's goods are: real Swedish articles, invented prices."""

from __future__ import annotations

from pathlib import Path

from oppet.base.errors import RefusedError
from oppet.base.words import N_

__all__ = ["DATA", "NoDemoGoodsError"]

DATA = Path(__file__).resolve().parents[2] / "data"


class NoDemoGoodsError(RefusedError):
    sentence = N_("The demo's goods are not in {folder}. Run the demo from a checkout of Öppet.")
