"""The embedded PostgreSQL of head office's tests, for the figures made in it."""

from tests.hq.conftest import dsn, server

__all__ = ["dsn", "server"]
