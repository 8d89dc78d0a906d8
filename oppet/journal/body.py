"""What every entry body is: a declared, frozen struct whose kind is its class name (`kinds.py` has the version rule)."""

from __future__ import annotations

import msgspec

__all__ = ["Body", "Fact", "kind_of"]


class Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an entry says. A body's kind is its class name in snake_case."""


class Fact(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    value: str


def kind_of(body: type[Body]) -> str:
    """The kind's name: `LineAdded` is "line_added"."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in body.__name__).lstrip("_")
