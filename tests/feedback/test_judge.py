"""Labels, trust and quarantine on real databases."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from judging import DAY, START, Desk

from ism.domain.errors import ConfigurationError, InvalidInputError, NotFoundError
from ism.feedback.judge import CONSUMER
from ism.feedback.limits import FeedbackRules
from ism.feedback.quarantine import QuarantineRules

ALL = FeedbackRules(quarantine=QuarantineRules(burst=10_000))


@pytest.fixture
def desk(store):
    return Desk(store)


def test_an_outcome_becomes_a_label(desk):
    desk.show("q1")
    desk.now += DAY
    desk.send(desk.outcome("q1/1", "opened", "ann"), desk.outcome("q1/2", "delivered", source="system"))
    done = desk.judge.judge()
    assert (done.events, done.labels, done.held) == (2, 2, 0)
    opened, delivered = desk.label("q1/1"), desk.label("q1/2")
    assert (opened.state, opened.outcome, opened.value, opened.weight) == ("censored", "opened", None, 0.0)
    assert (delivered.state, delivered.outcome, delivered.value, delivered.weight) == ("matured", "delivered", 1.0, 1.0)
    assert (delivered.shown_at, delivered.matured_at, delivered.as_of) == (START, desk.now, desk.now)
    assert desk.label("q1/3") is None


def test_nothing_new_changes_nothing(desk):
    desk.show("q1")
    desk.send(desk.outcome("q1/1", "rejected", "ann"))
    desk.judge.judge()
    before = desk.review.label_history("q1/1"), desk.review.actors()
    desk.now += timedelta(minutes=1)
    assert desk.judge.judge().events == 0
    assert (desk.review.label_history("q1/1"), desk.review.actors()) == before


def test_a_new_actor_counts_little_and_a_system_fully(desk):
    desk.show("q1")
    desk.send(desk.outcome("q1/1", "accepted", "ann"), desk.outcome("q1/2", "accepted", source="external"))
    desk.judge.judge()
    assert desk.label("q1/1").weight == pytest.approx(0.2 * 0.6)
    assert desk.label("q1/2").weight == pytest.approx(0.6)


def test_an_old_snapshot_never_changes(desk):
    desk.show("q1")
    desk.now += DAY
    desk.send(desk.outcome("q1/1", "accepted", "ann"))
    desk.judge.judge()
    then = desk.now
    desk.now += 90 * DAY
    desk.send(desk.outcome("q1/1", "failed", source="system"))  # late: it joins, and makes a new label
    desk.judge.judge()
    assert [(item.outcome, item.value, item.as_of) for item in desk.review.label_history("q1/1")] == [
        ("accepted", 1.0, then),
        ("failed", 0.0, desk.now),
    ]
    with desk.store.judging(write=False) as tables:
        old = tables.labels.labels_up_to(tables.labels.last_version(then))
    assert [(item.recommendation_id, item.value) for item in old] == [("q1/1", 1.0)]


def test_silence_after_opening_comes_of_age(desk):
    desk.show("q1")
    desk.send(desk.outcome("q1/1", "opened", "ann"))
    desk.judge.judge()
    desk.now = START + desk.rules.horizon - timedelta(seconds=1)
    assert desk.judge.judge().labels == 0
    desk.now = START + desk.rules.horizon
    assert desk.judge.judge().labels == 1
    label = desk.label("q1/1")
    assert (label.state, label.value, label.actor_id, label.detail["silence"]) == ("matured", 0.0, None, True)
    desk.send(desk.outcome("q1/1", "delivered", source="system"))
    desk.judge.judge()
    assert desk.label("q1/1").value == 1.0


def story(desk, seed=0):
    """Events about twenty requests, in a random order."""
    random = Random(seed)
    events = []
    for number in range(20):
        for rank in (1, 2, 3):
            steps = ["opened", "contacted", random.choice(["accepted", "rejected"])][: random.randint(0, 3)]
            events += [desk.outcome(f"q{number}/{rank}", step, f"a{random.randint(0, 5)}") for step in steps]
        if random.random() < 0.4:
            seen = random.choice(["delivered", "failed"])
            events.append(desk.outcome(f"q{number}/{random.randint(1, 3)}", seen, source="system"))
    return events


def believed(desk):
    with desk.store.judging(write=False) as tables:
        labels = tables.labels.labels_up_to(tables.labels.last_version(desk.now))
    plain = {item.recommendation_id: (item.state, item.outcome, item.value) for item in labels}
    return plain, {item.actor_id: item.trust for item in desk.review.actors()}


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_order_and_batches_do_not_matter(open_again, tmp_path, batch):
    from ism.storage import open_sqlite

    with open_sqlite(tmp_path / "reference") as plain, open_again() as other:
        first, second = Desk(plain, ALL), Desk(other, ALL)
        for desk in (first, second):
            for number in range(20):
                desk.show(f"q{number}")
        events = story(first)
        first.send(*events)
        Random(1).shuffle(events)
        second.count = first.count
        second.send(*events)
        first.judge.judge()
        while second.judge.judge_batch(batch).events:
            pass
        for desk in (first, second):  # trust is estimated again once there is something new and an hour has passed
            desk.now += timedelta(hours=2)
            desk.send(desk.event("system_metric", metric_name="m", value=1.0))
            desk.judge.judge()
        (labels, trust), (others, theirs) = believed(first), believed(second)
        assert labels == others
        assert trust == pytest.approx(theirs, abs=0.02)  # moves below 0.01 are not written


def test_what_fails_in_the_middle_has_no_effect(desk, monkeypatch):
    desk.show("q1")
    desk.send(desk.outcome("q1/1", "accepted", "ann"))
    monkeypatch.setattr("ism.feedback.judge.relabel", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        desk.judge.judge()
    with desk.store.judging(write=False) as tables:
        assert tables.labels.statements_on(["q1/1"]) == []
    assert desk.store.feedback.cursor(CONSUMER) == 0
    monkeypatch.undo()
    assert desk.judge.judge().events == 1


def test_two_judges_at_once_do_everything_once(store):
    desk = Desk(store, ALL)
    for number in range(20):
        desk.show(f"q{number}")
    events = story(desk)
    desk.send(*events)
    others = [Desk(store, ALL) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda other: other.judge.judge_batch(40), others))
        done += list(pool.map(lambda other: other.judge.judge_batch(40), others))
    total = sum(item.events for item in done)
    while more := desk.judge.judge_batch().events:
        total += more
    assert total == len(events)


def test_a_burst_goes_to_quarantine_and_can_be_released(store):
    desk = Desk(store, FeedbackRules(quarantine=QuarantineRules(burst=3, burst_window=600.0)))
    desk.show("q1", receivers=[f"r{n}" for n in range(6)])
    sent = desk.send(*(desk.outcome(f"q1/{rank}", "rejected", "eve") for rank in range(1, 6)))
    assert desk.judge.judge().held == 2
    entries = desk.review.quarantined("held")
    assert [item.event_id for item in entries] == sent[3:]
    assert entries[0].reason == "eve made 4 statements within 10 minutes; 3 count."
    assert desk.label("q1/4") is None or desk.label("q1/4").state == "censored"
    desk.now += DAY
    released = desk.review.decide(sent[3], "released", "olga", "She read them out over the phone.")
    assert (released.state, released.decided_by) == ("released", "olga")
    assert (desk.label("q1/4").state, desk.label("q1/4").value) == ("matured", 0.0)
    desk.review.decide(sent[3], "held", "olga", "On second thoughts.")
    assert desk.label("q1/4").state == "censored"
    with pytest.raises(NotFoundError):
        desk.review.decide("e999", "released", "olga", "")
    with pytest.raises(InvalidInputError, match="limit"):
        desk.review.quarantined(limit=0)


def test_the_same_text_again_and_again_goes_to_quarantine(desk):
    text = "Never work with this company, everything about their ash is a lie from start to end."
    sent = desk.send(*(desk.rating(1, actor=f"a{n}", feedback=text.upper() if n % 2 else text) for n in range(4)))
    short = desk.send(*(desk.rating(5, actor=f"a{n}", feedback="Great match quality") for n in range(9)))
    nameless = desk.send(*(desk.rating(1, feedback=text) for n in range(9)))
    assert desk.judge.judge().held == 2
    held = desk.review.quarantined()
    assert [item.event_id for item in held] == sent[2:]
    assert {item.cause for item in held} == {"duplicate_text"}
    assert short
    assert nameless


def test_quarantine_does_not_depend_on_batches(store):
    desk = Desk(store, FeedbackRules(quarantine=QuarantineRules(burst=3)))
    for _ in range(8):
        desk.send(desk.rating(5, actor="eve"))
        desk.judge.judge()
    assert len(desk.review.quarantined()) == 5


def test_outcomes_make_and_unmake_trust(store):
    desk = Desk(store, ALL)
    for number in range(12):
        desk.show(f"q{number}", receivers=[f"r{number}"])
        desk.send(
            desk.outcome(f"q{number}/1", "accepted", "honest"),
            desk.outcome(f"q{number}/1", "rejected", "liar"),
            desk.outcome(f"q{number}/1", "delivered", source="system"),
        )
    desk.judge.judge()
    actors = {item.actor_id: item for item in desk.review.actors()}
    assert actors["honest"].trust > 0.7
    assert actors["liar"].trust == 0.0
    assert "contradicted 12.0" in " ".join(actors["liar"].reasons)


def test_an_operators_word_goes_first_and_can_be_taken_back(desk):
    desk.show("q1")
    desk.send(desk.outcome("q1/1", "accepted", "ann"))
    desk.judge.judge()
    assert desk.label("q1/1").weight == pytest.approx(0.12)
    changed = desk.review.set_trust("ann", 1.0, "olga", "Known for years.")
    assert (changed.influence, changed.override_by) == (1.0, "olga")
    assert desk.label("q1/1").weight == pytest.approx(0.6)
    desk.now += DAY
    desk.send(desk.outcome("q1/2", "accepted", "ann"))
    desk.judge.judge()
    assert desk.label("q1/2").weight == pytest.approx(0.6)  # outlives another estimate
    assert desk.review.set_trust("ann", None, "olga", "").override_reason is None
    assert desk.label("q1/1").weight == pytest.approx(0.12, abs=0.05)
    with pytest.raises(InvalidInputError, match="trust"):
        desk.review.set_trust("ann", 1.5, "olga", "")
    with pytest.raises(NotFoundError):
        desk.review.set_trust("nobody", 0.5, "olga", "")


def test_clocks_that_go_back_do_not_change_the_past(desk):
    desk.show("q1")
    desk.send(desk.outcome("q1/1", "accepted", "ann"))
    desk.judge.judge()
    then, desk.now = desk.now, desk.now - DAY
    desk.send(desk.outcome("q1/1", "failed", source="system"))
    desk.judge.judge()
    assert desk.label("q1/1").as_of == then


def test_rules_come_from_the_settings(monkeypatch, tmp_path):
    from ism.feedback.limits import rules_from
    from ism.settings import Settings

    monkeypatch.chdir(tmp_path)
    rules = rules_from(Settings(_env_file=None))
    weekly = replace(rules.triggers, weekly=FeedbackRules().triggers.weekly)
    assert replace(rules, triggers=weekly) == FeedbackRules()
    changed = rules_from(Settings(_env_file=None, label_horizon_days=30, trigger_volume_events=7))
    assert (changed.horizon, changed.triggers.volume) == (30 * DAY, 7)
    with pytest.raises(ConfigurationError, match="trigger_fall_leave"):
        rules_from(Settings(_env_file=None, trigger_fall=0.1, trigger_fall_leave=0.2))
