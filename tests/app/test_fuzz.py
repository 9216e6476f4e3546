"""Schemathesis sends what the OpenAPI document allows, and what it does not: no answer may be a 5xx."""

import schemathesis
from app_fakes import ADMIN_KEY
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from ism.app.http.app import create_app
from ism.app.wiring import Application

EXAMPLES = 50  # for each operation
KEY = {"X-API-Key": ADMIN_KEY}


def test_no_input_makes_the_server_fail(real_application: Application) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(real_application), headers=KEY)
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) >= 19
    statuses: set[int] = set()
    for operation in operations:
        good = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        bad = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=good if operation.path == "/healthz" else st.one_of(good, bad))
        def send(case: schemathesis.Case) -> None:
            response = case.call(headers=KEY)
            statuses.add(response.status_code)
            assert response.status_code < 500, f"{case.as_curl_command()}\n{response.text}"

        send()
    assert {200, 201, 404, 422} <= statuses
