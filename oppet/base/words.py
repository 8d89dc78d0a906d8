"""A mark for sentences that the catalogues translate.

The rooms say *which* sentence; a place says it in the reader's language (`drivers/words.py`).
"""

from __future__ import annotations

__all__ = ["N_"]


def N_(sentence: str) -> str:  # noqa: N802 - the field's name for it, known to the extraction tool
    """Mark an English sentence for the catalogues of words and give it back unchanged."""
    return sentence
