"""The cash-register law: reports, control unit, export, reserve routine."""

from typing import Final

FISCAL: Final = "1"  # version of the regulated functions: it moves only when they do, and the authority is told before
