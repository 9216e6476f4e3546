"""What feedback says of a canary and of a promoted version, on a real store."""

from datetime import UTC, datetime, timedelta

import pytest

from ism.domain.feedback import RetrainingTrigger
from ism.domain.judgement import Label
from ism.domain.market import Company, Recommendation
from ism.engines.evidence import StoreEvidence
from ism.retraining.observed import CanaryOutcomes, LiveAlarm

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
WEEK = timedelta(days=7)


@pytest.fixture
def show(store):
    """Logs a request of a company that a version answered, with two receivers."""

    def log(request, company, version, at, kind="company"):
        offer = {"material": "fly ash", "ewc": "10 01 02"} | ({"company_id": company} if company else {})
        store.log_recommendations(
            [
                Recommendation(
                    f"{request}/{rank}",
                    request,
                    rank,
                    kind,
                    f"taker-{rank}",
                    0.5,
                    0.5,
                    1.0,
                    {},
                    {"matching": version},
                    offer,
                    at,
                )
                for rank in (1, 2)
            ]
        )

    return log


@pytest.fixture
def label(store):
    """Writes what was believed of a recommendation from a moment on."""

    def write(name, outcome, at, value=None, weight=1.0):
        state = "censored" if value is None else "matured"
        matured = None if value is None else at
        made = Label(name, at, state, outcome, value, weight if matured else 0.0, NOW, matured, "ann")
        with store.judging() as tables:
            tables.labels.append_labels([made])

    return write


def arms(store, registry, now, name="matching", version=""):
    return [
        (item.company, item.arm, item.value)
        for item in CanaryOutcomes(store, registry, WEEK, lambda: now)(name, version)
    ]


def test_each_visit_has_one_value_a_fixed_time_after_it(store, registry, make_version, show, label):
    made = make_version(1)
    registry.shadow(made, "me", "to see")
    registry.canary(made, 0.5, "me", "to see")
    began = registry.ledger("matching")[-1].at
    day = began + timedelta(days=1)
    show("q1", "ada", made.artifact[:12], day)
    show("q2", "bob", "older", day + timedelta(hours=1))
    show("q3", None, "older", day + timedelta(hours=2))  # nobody whose arm could be told
    label("q1/2", "delivered", day + timedelta(days=2), 1.0, 0.8)
    label("q2/1", "contacted", day + timedelta(days=2))
    assert arms(store, registry, day + timedelta(days=6), version=made.version_id) == []
    over = day + WEEK + timedelta(hours=3)
    expected = [("ada", "challenger", 0.8), ("bob", "champion", 0.5)]
    assert arms(store, registry, over, version=made.version_id) == expected
    label("q2/1", "delivered", day + timedelta(days=20), 1.0)  # later than its time: the value stands
    assert arms(store, registry, day + timedelta(days=30), version=made.version_id) == expected


def test_what_was_shown_before_the_canary_says_nothing_of_it(store, registry, make_version, show):
    made = make_version(1)
    assert arms(store, registry, NOW, version=made.version_id) == []
    registry.shadow(made, "me", "to see")
    registry.canary(made, 0.5, "me", "to see")
    began = registry.ledger("matching")[-1].at
    show("q1", "ada", "older", began - timedelta(hours=1))
    assert arms(store, registry, began + 4 * WEEK, version=made.version_id) == []


def test_feedback_that_turns_bad_after_a_promotion_is_an_alarm(store, registry, make_version):
    made = make_version(1)
    alarm = LiveAlarm(store, registry)
    assert alarm("matching", made.version_id) is None
    registry.promote(made, "me", "it is good")
    promoted = registry.ledger("matching")[-1].at

    def decide(name, cause, after):
        at = promoted + timedelta(hours=after)
        return RetrainingTrigger(name, "matching", "performance", cause, "fired", f"{name}.", name, decided_at=at)

    with store.judging() as tables:
        tables.triggers.add_decisions([decide("before", "trend", -1), decide("volume", "volume", 1)])
    assert alarm("matching", made.version_id) is None
    with store.judging() as tables:
        tables.triggers.add_decisions([decide("fell", "live_quality", 2), decide("again", "trend", 3)])
    assert alarm("matching", made.version_id) == "fell."


def test_matches_that_were_taken_are_learnt_from(store, show, label):
    store.bulk_upsert([Company("ada", "Ada"), Company("taker-1", "One")])
    show("q1", "ada", "1", NOW)
    show("q2", "ada", "1", NOW)
    show("q3", None, "1", NOW)
    show("q4", "ada", "1", NOW, kind="sector")
    label("q1/2", "rejected", NOW + timedelta(days=2), 0.0)
    label("q2/1", "accepted", NOW + timedelta(days=3), 1.0, 0.2)  # hardly believed
    label("q3/1", "delivered", NOW + timedelta(days=3), 1.0)  # of nobody we know
    label("q4/1", "delivered", NOW + timedelta(days=3), 1.0)  # to no company
    label("q1/1", "delivered", NOW + timedelta(days=30), 1.0)
    found = list(StoreEvidence(store, timedelta(days=90), lambda: NOW + timedelta(days=60)).evidence())
    assert [row.exchange.exchange_id for row in found] == ["match:q1/1"]
    assert (found[0].exchange.from_company, found[0].exchange.to_company) == ("ada", "taker-1")
    assert (found[0].happened_at, found[0].recorded_at, found[0].rater) == (NOW, NOW, "ann")
    assert found[0].known_at == NOW + timedelta(days=30)
    assert list(StoreEvidence(store, timedelta(days=90), lambda: NOW + timedelta(days=20)).evidence()) == []
