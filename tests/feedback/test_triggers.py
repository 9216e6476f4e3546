from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ism.feedback.schedule import Weekly
from ism.feedback.triggers import (
    WEEK,
    Signals,
    TriggerRules,
    TriggerState,
    decide,
    finished,
    manual,
    new_decisions,
    propose,
)

START = datetime(2026, 6, 3, 12, tzinfo=UTC)  # a Wednesday
RULES = TriggerRules(weekly=Weekly(zone="UTC"))


class Model:
    """One model whose triggers are evaluated at given times."""

    def __init__(self, rules=RULES):
        self.rules, self.state, self.decided = rules, TriggerState(), []

    def see(self, now, **signals):
        seen = Signals(**{"sequence": 0, **signals})
        state, proposals = propose(self.state, seen, now, self.rules)
        return self._decide(state, proposals, seen, now)

    def ask(self, now, by="ann"):
        return self._decide(self.state, [manual(now, "new codes", by)], Signals(0), now)

    def end(self):
        self.state = finished(self.state, self.state.running.request_id)

    def _decide(self, state, proposals, signals, now):
        known, made = self.state, []
        for proposal in proposals:
            state, decision = decide("matching", state, proposal, signals, now, self.rules)
            made.append(decision)
        self.state = state
        told = new_decisions(known, made)
        self.decided += told
        return [(item.proposal.cause, item.decision) for item in told]


def test_the_defaults_are_those_of_the_contract():
    rules = TriggerRules()
    assert (rules.volume, rules.negative_share, rules.ratings, rules.fall) == (100, 0.30, 50, 0.10)
    assert (rules.weekly.weekday, rules.weekly.at.hour, rules.weekly.at.minute) == (0, 2, 0)


def test_each_cause_asks_above_its_threshold_and_not_at_it():
    for name, cause, limit in (
        ("matured", "volume", 100),
        ("negative_share", "negative_share", 0.30),
        ("trend_fall", "trend", 0.10),
        ("quality_fall", "live_quality", 0.10),
    ):
        assert Model().see(START, **{name: limit}) == []
        assert Model().see(START, **{name: limit * 1.01 + (name == "matured")}) == [(cause, "fired")]


def test_a_decision_carries_its_numbers():
    model = Model()
    model.see(START, matured=101, numbers={"ratings": 12})
    numbers = model.decided[0].numbers
    assert (numbers["value"], numbers["threshold"], numbers["ratings"]) == (101, 100, 12)
    assert (numbers["requests_in_seven_days"], numbers["weekly_budget"]) == (0, 3)
    assert "101 exceeds 100" in model.decided[0].reason


def test_one_request_at_a_time_and_then_the_cool_down():
    model = Model()
    assert model.see(START, matured=150, negative_share=0.5) == [("volume", "fired"), ("negative_share", "coalesced")]
    assert model.decided[1].request_id == model.decided[0].request_id
    assert model.see(START + timedelta(hours=1), negative_share=0.5) == []  # has asked; waits
    model.end()
    soon = START + timedelta(hours=2)
    assert model.see(soon, negative_share=0.5) == [("negative_share", "deferred")]
    assert model.see(soon, negative_share=0.5) == []  # the same deferral is on record
    assert model.see(START + timedelta(hours=25), negative_share=0.5) == [("negative_share", "fired")]


def test_hysteresis():
    model = Model(replace(RULES, cool_down=timedelta(0)))
    now = START
    asked = []
    for share in (0.31, 0.29, 0.31, 0.29, 0.31, 0.26, 0.31, 0.24, 0.31):
        now += timedelta(minutes=1)
        asked += model.see(now, negative_share=share)
        if model.state.running:
            model.end()
    assert asked == [("negative_share", "fired")] * 2  # at first, and after it had been below 0.25


def test_a_manual_one_skips_the_cool_down_and_not_the_budget():
    model = Model()
    model.see(START, matured=101)
    model.end()
    for hour in (1, 2):
        assert model.ask(START + timedelta(hours=hour)) == [("manual", "fired")]
        model.end()
    assert model.ask(START + timedelta(hours=3)) == [("manual", "refused")]
    assert "trigger_weekly_budget" in model.decided[-1].reason
    assert model.ask(START + WEEK + timedelta(minutes=1)) == [("manual", "fired")]


def test_the_weekly_moment_comes_once_and_a_missed_one_is_made_up_for():
    model = Model()
    assert model.see(START) == []
    assert model.see(datetime(2026, 6, 8, 1, 59, tzinfo=UTC)) == []
    assert model.see(datetime(2026, 6, 8, 9, tzinfo=UTC)) == [("schedule", "fired")]  # was down at two
    assert model.see(datetime(2026, 6, 8, 9, 1, tzinfo=UTC)) == []
    assert model.see(datetime(2026, 6, 15, 2, tzinfo=UTC)) == [("schedule", "fired")]


def test_a_request_whose_end_nobody_tells_does_not_block_for_ever():
    model = Model()
    model.see(START, matured=101)
    assert model.ask(START + timedelta(hours=23)) == [("manual", "coalesced")]
    assert model.ask(START + timedelta(hours=24)) == [("manual", "fired")]


def test_ten_thousand_triggers_in_a_minute_make_one_run():
    model = Model()
    for number in range(10_000):
        model.ask(START + timedelta(milliseconds=6 * number), by=f"script {number}")
    said = [item.decision for item in model.decided]
    assert (said[0], set(said[1:]), len(said)) == ("fired", {"coalesced"}, 10_000)


def test_even_when_every_run_ends_at_once_the_budget_holds():
    model = Model()
    for number in range(10_000):
        now = START + timedelta(milliseconds=6 * number)
        model.ask(now, by=f"script {number}")
        model.see(now, matured=500, negative_share=number % 2, trend_fall=0.2)
        if model.state.running:
            model.end()
    assert sum(item.decision == "fired" for item in model.decided) == RULES.weekly_budget


steps = st.lists(
    st.tuples(
        st.integers(1, 20_000),
        st.sampled_from(["see", "ask", "end"]),
        st.integers(0, 300),
        st.floats(0, 1),
        st.floats(-1, 1),
    ),
    max_size=40,
)


@given(steps)
def test_no_sequence_of_events_breaks_budget_or_cool_down(given_steps):
    model, now = Model(), START
    for seconds, what, matured, share, fall in given_steps:
        now += timedelta(seconds=seconds)
        if what == "see":
            model.see(now, matured=matured, negative_share=share, trend_fall=fall)
        elif what == "ask":
            model.ask(now)
        elif model.state.running:
            model.end()
    fired = model.state.fired
    assert all(sum(a.at <= b.at < a.at + WEEK for b in fired) <= RULES.weekly_budget for a in fired)
    assert len({item.fingerprint for item in fired}) == len(fired)
    automatic = [item for item in model.decided if item.decision == "fired" and item.proposal.cause != "manual"]
    times = {item.request_id: item.at for item in fired}
    for item in automatic:
        at = times[item.request_id]
        assert all(other.at >= at or at - other.at >= RULES.cool_down for other in fired)
