"""The time that an address asks for."""

from datetime import UTC, datetime, timedelta

import pytest

from ism.app.web.period import CHOICES, read_period
from ism.domain.errors import InvalidInputError

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize("name", CHOICES)
def test_every_choice_can_be_read_and_is_told(name: str) -> None:
    period = read_period({"range": name}, NOW)
    assert period.end == NOW
    assert period.label == f"last {CHOICES[name]}"
    assert period.length / period.bucket() <= 90


def test_bounds_are_read_with_and_without_a_zone() -> None:
    period = read_period({"from": "2026-03-01", "to": "2026-03-02T01:00:00+01:00"}, NOW)
    assert (period.start, period.end) == (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
    assert period.hours == 24
    assert period.name == ""


def test_without_a_range_it_is_a_month() -> None:
    assert read_period({}, NOW).length == timedelta(days=30)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"range": "abc"}, "range"),
        ({"range": "-1d"}, "range"),
        ({"range": "0h"}, "range"),
        ({"range": "401d"}, "range"),
        ({"from": "yesterday"}, "from"),
        ({"to": "soon"}, "to"),
        ({"from": "2026-04-02", "to": "2026-04-01"}, "from"),
        ({"from": "2020-01-01"}, "from"),
    ],
)
def test_what_cannot_be_read_is_named(given: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_period(given, NOW)
    assert caught.value.field == field
