"""The signed, append-only record of everything a till did."""

from typing import Final

SCHEMA: Final = 1  # of the declarations in kinds*.py; additive: an older program keeps what it does not know
