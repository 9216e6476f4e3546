"""Schemathesis sends what the OpenAPI document allows, and what it does not: no answer may be a 5xx."""

from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from app_fakes import ADMIN_KEY
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import FlakyStrategyDefinition
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.generation import GenerationMode

from ism.app.http.app import create_app
from ism.app.wiring import Application

KEY = {"X-API-Key": ADMIN_KEY}


@pytest.mark.parametrize("examples", [12, pytest.param(100, marks=pytest.mark.slow)])  # for each operation
def test_no_input_makes_the_server_fail(real_application: Application, examples: int) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(real_application), headers=KEY)
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) >= 19
    statuses: set[int] = set()
    for operation in operations:
        good = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        bad = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

        @settings(
            max_examples=examples,
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


@pytest.mark.parametrize("walks", [25, pytest.param(150, marks=pytest.mark.slow)])
def test_no_walk_from_answer_to_answer_makes_the_server_fail(real_application: Application, walks: int) -> None:
    """What an answer names is asked for, changed and removed, along the links that Schemathesis finds.

    The store remembers earlier walks, so one that begins alike may go on differently. Where Hypothesis notices, it
    stops; the rest is walked with another seed. Hence nothing is raised within a walk.
    """
    schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(real_application), headers=KEY)
    statuses, begun, failed = list[int](), list[int](), list[str]()

    class Walk(schema.as_state_machine()):
        def setup(self) -> None:
            begun.append(len(statuses))

        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
            return {"headers": KEY}

        def validate_response(self, response: schemathesis.Response, case: schemathesis.Case, **_: object) -> None:
            statuses.append(response.status_code)
            if response.status_code >= 500:
                failed.append(f"{case.as_curl_command()}\n{response.text}")

    for number in range(walks):
        if len(begun) >= walks:
            break
        wanted = settings(
            max_examples=walks - len(begun),
            stateful_step_count=10,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        with suppress(FlakyStrategyDefinition):
            run_state_machine_as_test(seed(number)(Walk), settings=wanted)
    assert not failed
    assert len(begun) >= walks
    assert len(statuses) >= walks
