"""Small words that tests of the till share."""

from collections.abc import Callable

import pytest

__all__ = ["refused"]


def refused(error: type[Exception] | tuple[type[Exception], ...], *acts: Callable[[], object]) -> None:
    """Each of these is refused, and with this error."""
    for act in acts:
        with pytest.raises(error):
            act()
