"""What was said over time, as both databases count it."""

from datetime import UTC, datetime, timedelta

from ism.domain.judgement import Statement
from ism.storage import Store

NOON = datetime(2026, 3, 1, 12, 10, tzinfo=UTC)


def statement(number: int, at: datetime, **about: object) -> Statement:
    return Statement(number, f"e{number}", "ann", "works", at, **about)  # type: ignore[arg-type]  # fields of the value


def fill(store: Store) -> None:
    with store.judging() as tables:
        tables.labels.add_statements(
            [
                statement(1, NOON, rating=5.0, sentiment="positive", topic="price"),
                statement(2, NOON + timedelta(minutes=20), rating=2.0, sentiment="negative", topic="price"),
                statement(3, NOON + timedelta(hours=11, minutes=49), outcome="accepted"),
                statement(4, NOON + timedelta(hours=11, minutes=51), rating=1.0, topic="permits"),
                statement(5, NOON, rating=1.0, topic="permits", counted=False),
                statement(6, NOON + timedelta(days=9), rating=1.0),
            ]
        )


def test_statements_by_hour_and_by_day(store: Store) -> None:
    fill(store)
    until = NOON + timedelta(days=2)
    with store.judging(write=False) as tables:
        hours = tables.said_over_time(NOON, until, by_hour=True)
        days = tables.said_over_time(NOON, until, by_hour=False)
    assert [(each.at, each.statements, each.ratings) for each in hours] == [
        (datetime(2026, 3, 1, 12, tzinfo=UTC), 2, 2),
        (datetime(2026, 3, 1, 23, tzinfo=UTC), 1, 0),
        (datetime(2026, 3, 2, 0, tzinfo=UTC), 1, 1),
    ]
    first, second = days
    assert (first.at, first.statements, first.held) == (datetime(2026, 3, 1, tzinfo=UTC), 3, 1)
    assert (first.ratings, first.positive, first.negative, first.mean) == (2, 1, 1, 3.5)
    assert (first.kinder, first.harsher) == (1, 1)
    assert (second.ratings, second.mean) == (1, 1.0)


def test_statements_by_topic_leave_quarantine_and_silence_out(store: Store) -> None:
    fill(store)
    with store.judging(write=False) as tables:
        found = tables.said_by_topic(NOON, NOON + timedelta(days=2))
    assert [(each.name, each.statements, each.mean) for each in found] == [("price", 2, 3.5), ("permits", 1, 1.0)]


def test_statements_by_the_model_they_name(store: Store) -> None:
    named = [
        statement(7, NOON, rating=4.0, model_name="gnn"),
        statement(8, NOON + timedelta(minutes=1), rating=1.0, model_name="gnn"),
        statement(9, NOON - timedelta(minutes=1), rating=1.0, model_name="gnn"),
    ]
    fill(store)
    with store.judging() as tables:
        tables.labels.add_statements(named)
    with store.judging(write=False) as tables:
        found = tables.said_by_model(NOON, NOON + timedelta(days=2))
    assert {name: (each.statements, each.ratings, each.mean) for name, each in found.items()} == {
        "gnn": (2, 2, 2.5),
        None: (4, 3, 8 / 3),
    }


def test_nothing_said_is_an_empty_list(store: Store) -> None:
    with store.judging(write=False) as tables:
        assert tables.said_over_time(NOON, NOON + timedelta(days=1), by_hour=True) == []
    assert store.feedback.last_sequence() == 0
