"""Values as people read them."""

from datetime import UTC, datetime, timedelta

import pytest

from ism.app.http.routes.pages.rendering import sparkline
from ism.app.web.panel import Column
from ism.app.web.words import NOTHING, cell, duration, large, share, size, tone


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        (None, "number", NOTHING),
        (float("nan"), "number", NOTHING),
        (-1234.5, "number", "−1,234"),
        (0.123, "share", "12 %"),
        (0.012, "share", "1.2 %"),
        (1.0, "share", "100 %"),
        (90.0, "seconds", "1.5 min"),
        (2048, "bytes", "2.0 KiB"),
        (datetime(2026, 3, 1, 12, 30, tzinfo=UTC), "time", "2026-03-01 12:30"),
        ("2026-03-01T13:30:00+01:00", "time", "2026-03-01 12:30"),
        ("ROLLED_BACK", "state", "rolled back"),
        ("<b>", "text", "<b>"),
    ],
)
def test_a_cell(value: object, kind: str, shown: str) -> None:
    assert cell(value, Column("it", "It", kind)) == shown  # type: ignore[arg-type]  # the kinds are listed above


def test_lengths_of_time_sizes_and_large_numbers() -> None:
    assert [duration(seconds) for seconds in (0.01, 59, 61, 7200, 200_000)] == [
        "10 ms",
        "59 s",
        "1.0 min",
        "2.0 h",
        "2.3 d",
    ]
    assert size(5 * 2**40) == "5120 GiB"
    assert [large(value) for value in (12, 1200, 2.09e6, -3e9)] == ["12", "1.2 thousand", "2.09 million", "-3 billion"]
    assert share(0.0) == "0 %"


def test_an_age_is_told_from_now_on() -> None:
    assert cell(datetime.now(UTC) - timedelta(minutes=20), Column("it", "It", "age")) == "20 min ago"


def test_tones_come_with_a_word() -> None:
    assert [tone(word) for word in ("ok", "FAILED", "HOLD", "operating")] == ["good", "bad", "warn", ""]


def test_a_small_line_leaves_gaps_out_and_needs_two_points() -> None:
    assert sparkline([1.0]) is None
    assert sparkline([None, None]) is None
    drawn = sparkline([0.0, None, 2.0])
    assert drawn is not None
    assert drawn["line"] == "M0.00 24.00L100.00 4.00"
    assert sparkline([5.0, 5.0]) == {
        "line": "M0.00 14.00L100.00 14.00",
        "fill": "M0.00 14.00L100.00 14.00L100.00 28L0.00 28Z",
    }
