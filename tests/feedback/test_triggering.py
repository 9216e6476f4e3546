"""Triggers on real databases: numbers from the log, decisions on record, requests delivered."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from judging import DAY, START, Desk

from ism.domain.errors import InvalidInputError, NotFoundError
from ism.feedback.limits import FeedbackRules
from ism.feedback.quarantine import QuarantineRules
from ism.feedback.schedule import Weekly
from ism.feedback.triggers import TriggerRules

UTC_RULES = FeedbackRules(
    triggers=TriggerRules(weekly=Weekly(zone="UTC")), quarantine=QuarantineRules(burst=10_000, copies=10_000)
)


@pytest.fixture
def desk(store):
    return Desk(store, UTC_RULES)


def evaluated(desk):
    desk.judge.judge()
    return [(item.cause, item.decision) for item in desk.triggering.evaluate()]


def test_more_than_a_hundred_new_events_ask_once(desk):
    desk.send(*(desk.rating(5) for _ in range(100)))
    assert evaluated(desk) == []
    desk.send(desk.rating(5))
    assert evaluated(desk) == [("volume", "fired")]
    assert evaluated(desk) == []
    trigger, request = desk.triggering.decisions("matching")[0], desk.triggering.requests()[0]
    assert (trigger.numbers["value"], trigger.numbers["threshold"], trigger.trigger_type) == (101, 100, "feedback")
    assert (request.request_id, request.model_name, request.state) == (trigger.request_id, "matching", "open")
    assert request.config == {"retraining_type": "feedback_driven"}
    desk.triggering.finish(request.request_id)
    desk.send(*(desk.rating(5) for _ in range(100)))
    desk.now += 2 * DAY
    assert evaluated(desk) == []  # only new ones count
    desk.send(desk.rating(5))
    assert evaluated(desk) == [("volume", "fired")]


def test_ratings_of_other_models_do_not_count(desk):
    desk.send(*(desk.rating(1, model="gnn") for _ in range(200)))
    assert evaluated(desk) == []


def test_outcomes_count_for_every_model(store):
    desk = Desk(store, UTC_RULES, models=("matching", "gnn"))
    for number in range(34):
        desk.show(f"q{number}")
        desk.send(*(desk.outcome(f"q{number}/{rank}", "rejected", source="external") for rank in (1, 2, 3)))
    assert evaluated(desk) == [("volume", "fired")] * 2


def test_the_share_of_negative_ratings(desk):
    desk.send(*(desk.rating(5) for _ in range(35)), *(desk.rating(2) for _ in range(15)))
    assert evaluated(desk) == []  # 0.30 does not exceed 0.30
    desk.send(desk.rating(1))
    assert evaluated(desk) == [("negative_share", "fired")]
    assert desk.triggering.decisions()[0].numbers["value"] == pytest.approx(16 / 50)


def test_one_loud_actor_moves_nothing(desk):
    desk.send(*(desk.rating(5, actor=f"a{n}") for n in range(40)))
    desk.send(*(desk.rating(1, actor="eve") for _ in range(500)))
    assert evaluated(desk) == []


def test_the_trend(desk):
    desk.send(*(desk.rating(5) for _ in range(49)))
    desk.send(*(desk.rating(5) for _ in range(30)), *(desk.rating(4) for _ in range(20)))
    assert evaluated(desk) == []  # fell by 0.4 of 4 stars: by 0.10, not by more
    desk.send(desk.rating(4))
    assert evaluated(desk) == [("trend", "fired")]


def test_live_quality(desk):
    def report(value):
        desk.send(desk.event("system_metric", metric_name="live_quality", component="matching", value=value))

    report(0.62)
    report(0.55)
    assert evaluated(desk) == []
    report(0.50)
    assert evaluated(desk) == [("live_quality", "fired")]
    assert desk.triggering.decisions()[0].numbers["value"] == pytest.approx(0.12)


def test_the_weekly_moment(desk):
    assert evaluated(desk) == []
    desk.now = START + timedelta(days=4, hours=14)  # Monday 02:00
    assert evaluated(desk) == [("schedule", "fired")]
    assert desk.triggering.requests()[0].config == {"retraining_type": "full"}


def test_held_events_count_when_they_are_released(store):
    desk = Desk(store, replace(UTC_RULES, quarantine=QuarantineRules(burst=5)))
    sent = desk.send(*(desk.rating(1, actor=f"a{n % 16}") for n in range(96)), *(desk.rating(1) for _ in range(14)))
    desk.judge.judge()
    assert desk.triggering.status()["matching"]["matured_events"] == 94
    desk.review.decide(sent[95], "released", "olga", "Genuine.")
    assert desk.triggering.status()["matching"]["matured_events"] == 95


def test_a_storm_makes_one_run_on_disk(store):
    desk = Desk(store, UTC_RULES)
    for number in range(100):
        desk.now = START + timedelta(milliseconds=600 * number)
        desk.triggering.ask("matching", "storm", f"script {number}")
    assert len(desk.triggering.requests()) == 1
    said = desk.triggering.decisions(limit=1000)
    assert len(said) == 100
    assert {item.decision for item in said[:-1]} == {"coalesced"}
    assert {item.request_id for item in said} == {desk.triggering.requests()[0].request_id}


def test_many_at_once_make_one_request(store):
    desk = Desk(store, UTC_RULES)
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda n: desk.triggering.ask("matching", "at once", f"p{n}").decision, range(24)))
    assert sorted(said) == ["coalesced"] * 23 + ["fired"]


def test_delivery_hands_each_request_on_until_it_was_taken(desk):
    desk.triggering.ask("matching", "new codes", "olga")
    taken = []

    def refuses(request):
        raise RuntimeError("not now")

    with pytest.raises(RuntimeError):
        desk.triggering.deliver(refuses)
    assert desk.triggering.requests()[0].state == "open"
    assert desk.triggering.deliver(taken.append) == 1
    assert desk.triggering.deliver(taken.append) == 0
    assert [item.model_name for item in taken] == ["matching"]
    assert desk.triggering.requests()[0].state == "delivered"
    assert desk.triggering.finish(taken[0].request_id).finished_at == desk.now
    assert desk.triggering.status()["matching"]["running_request"] is None


def test_what_is_asked_wrongly_is_named(desk):
    with pytest.raises(InvalidInputError, match="model_name"):
        desk.triggering.ask("gnn2", "why not", "olga")
    with pytest.raises(NotFoundError, match="retraining request"):
        desk.triggering.finish("none")


def test_memory_survives_a_restart(open_again):
    with open_again() as store:
        Desk(store, UTC_RULES).triggering.ask("matching", "new codes", "olga")
    with open_again() as store:
        desk = Desk(store, UTC_RULES)
        desk.now += timedelta(hours=1)
        assert desk.triggering.ask("matching", "again", "olga").decision == "coalesced"
