"""Every operation of head office's OpenAPI, fed with whatever schemathesis thinks of: never a mistake of ours, never a trace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from litestar import Litestar
from litestar.testing import TestClient
from schemathesis.core.result import Ok

from oppet.hq.main import Opened
from oppet.people.roles import ROLES
from tests.hq.office import HOST, ORIGIN, a_client, an_office, signed_in

EXAMPLES = 15
BASE = f"http://{HOST}"


@pytest.fixture(scope="module")
def hq(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    with an_office(dsn, tmp_path_factory.mktemp("office")) as opened:
        yield opened


@pytest.fixture
def client(hq: Opened) -> Iterator[TestClient[Litestar]]:
    with a_client(hq) as client:
        yield signed_in(hq, client, 500, *ROLES)


def test_w2_no_operation_of_the_api_makes_a_mistake_of_ours(client: TestClient[Litestar]) -> None:
    schema = schemathesis.openapi.from_dict(client.get("/schema/openapi.json").json())
    tried: list[str] = []
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def one(case: Any) -> None:
            said = case.as_transport_kwargs(base_url=BASE)
            said["headers"] = {**said["headers"], **ORIGIN}
            said.pop("cookies", None)  # our own session stays
            try:
                answer = client.request(**said)
            except (UnicodeEncodeError, httpx.InvalidURL):  # no client sends that
                return
            tried.append(case.operation.label)
            assert answer.status_code < 500, (case.operation.label, said, answer.text[:300])
            assert "Traceback" not in answer.text

        one()
    assert len(set(tried)) >= 3
