import asyncio
import os
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import counting
import pytest
from counting import Seen, arms, parts_on

from ism.domain.errors import ConflictError, InvalidInputError, NotFoundError, StorageUnavailableError
from ism.domain.market import Company, Exchange
from ism.domain.retraining import OPEN, SERVING
from ism.engines import catalog
from ism.engines.process import Limits, Outcome
from ism.retraining.parts import log_of
from ism.retraining.pipeline import AIRetrainingPipeline
from ism.retraining.snapshot import open_snapshot
from ism.retraining.training import fit_calibrate_save, train
from ism.settings import Settings
from ism.testing.history import history
from ism.testing.sample import TRADES

START = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now

    def forward(self, **span):
        self.now += timedelta(**span)


@pytest.fixture(autouse=True)
def engine(monkeypatch):
    monkeypatch.setitem(catalog.ENGINES, "counting", "counting:CountingEngine")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path / "data", _env_file=None)


@pytest.fixture
def make(store, settings, clock):
    """A pipeline on a filled store, that runs when it is told to."""
    counting.fill(store)

    def made(observations=None, **more):
        return AIRetrainingPipeline(parts_on(store, settings, clock, observations, **more), background=False)

    return made


def run(pipeline, trigger="manual", **config):
    job = pipeline.request("counting", trigger, config)
    pipeline.run_due()
    return pipeline.job(job.job_id)


def states(pipeline, job):
    return [move.to_state for move in pipeline.moves(job.job_id)]


def test_a_first_model_goes_all_the_way(make, store, settings):
    pipeline = make()
    job = run(pipeline)
    assert (job.state, job.status, job.error_message) == ("BAKED", "completed", None)
    assert states(pipeline, job) == [
        "REQUESTED", "SNAPSHOTTED", "VALIDATED", "TUNING", "TRAINED", "EVALUATED", "GATE_PASSED", "STAGED", "SHADOW",
        "CANARY", "PROMOTED", "BAKED",
    ]  # fmt: skip
    version = store.retraining.get_version(job.detail["version_id"])
    assert store.retraining.deployment("counting").champion == version.version_id
    assert (version.job_id, version.snapshot, version.gate) == (job.job_id, job.detail["snapshot"], "PASS")
    assert version.parent is None
    [report] = pipeline.reports(job.job_id)
    assert "# Gate: PASS" in report
    assert "beat the plain methods" in report
    look = store.retraining.looks("counting")[0]
    assert set(look.evidence["checks"][1]["numbers"]) == {"challenger_mean", "popularity", "rules"}


def test_the_calls_of_the_documentation(make):
    pipeline = make()

    async def calls():
        return await pipeline.schedule_retraining_job(
            model_name="matching", trigger_type="feedback", config={"retraining_type": "optimization"}
        )

    job_id = asyncio.run(calls())
    status = pipeline.get_job_status(job_id)
    assert (status["job_id"], status["model_name"], status["status"]) == (job_id, "matching", "pending")
    assert pipeline.get_job_status("unknown")["status"] == "not_found"


@pytest.mark.parametrize(
    ("trigger", "config", "named"),
    [
        ("mood", {}, "trigger_type"),
        ("manual", {"retraining_type": "half"}, "config.retraining_type"),
        ("manual", {"n_trials": 0}, "config.n_trials"),
        ("manual", {"n_trials": True}, "config.n_trials"),
        ("manual", {"timeout": -1}, "config.timeout"),
        ("manual", {"trials": 5}, "config.trials"),
        ("manual", {"optimization_id": "o1"}, "config.optimization_id"),
        ("manual", {"optimization_id": 1, "retraining_type": "optimization"}, "config.optimization_id"),
        ("manual", [], "config"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_by_name(make, trigger, config, named):
    pipeline = make()
    with pytest.raises(InvalidInputError) as refused:
        pipeline.request("counting", trigger, config)
    assert refused.value.field == named
    with pytest.raises(NotFoundError):
        pipeline.request("nobody")
    assert pipeline.jobs() == []


def test_an_equal_model_is_held_and_given_up_after_the_last_look(make, clock):
    pipeline = make(most_looks=3)
    run(pipeline)
    job = run(pipeline)
    assert (job.state, job.detail["verdict"], job.status) == ("EVALUATED", "HOLD", "running")
    assert job.not_before == clock.now + timedelta(days=7)
    for _ in range(4):
        clock.forward(days=8)
        pipeline.run_due()
    job = pipeline.job(job.job_id)
    assert job.state == "REJECTED"
    assert states(pipeline, job).count("EVALUATED") == 3
    assert len(pipeline.reports(job.job_id)) == 3


def test_every_look_spends_less(make, clock, store):
    pipeline = make(most_looks=3)
    run(pipeline)
    run(pipeline)
    for _ in range(3):
        clock.forward(days=8)
        pipeline.run_due()
    levels = [look.level for look in store.retraining.looks("counting")]
    assert levels == sorted(levels, reverse=True)
    assert sum(levels) < 0.05


def test_a_worse_model_is_rejected_and_the_champion_stays(make, store):
    searching = make(search=lambda *_: {"noise": 0.95})
    champion = run(make()).detail["version_id"]
    job = run(searching, retraining_type="optimization")
    assert job.state == "REJECTED"
    assert job.detail["params"] == {"noise": 0.95}
    assert store.retraining.deployment("counting").champion == champion
    assert len(store.retraining.versions("counting")) == 1


def test_a_better_tuned_model_goes_through_the_same_gate(make, store):
    """The first champion is poor; a search finds the better parameters, starting from the champion's."""
    started_from = []

    def search(job_id, model_name, snapshot, config, start, pulse):
        started_from.append((snapshot.name, dict(start), config.get("n_trials")))
        return {"noise": 0.02}

    poor = make(search=lambda *_: {"noise": 0.6}, most_looks=1)
    first = run(poor, retraining_type="optimization")
    assert first.state == "BAKED"
    job = run(make(search=search), retraining_type="adaptive")
    assert job.state == "BAKED"
    assert started_from == [("train", {"noise": 0.6}, 10)]  # the fresh part is not handed over
    new = store.retraining.get_version(job.detail["version_id"])
    assert (new.parent, new.number) == (first.detail["version_id"], 2)
    assert [look.verdict for look in store.retraining.looks("counting")] == ["PASS", "PASS"]


def test_a_type_that_searches_fails_where_nothing_can(make):
    job = run(make(), retraining_type="optimization")
    assert job.state == "FAILED"
    assert "no search" in job.error_message


def test_feedback_that_taught_nothing_new_trains_nothing(make, store, clock):
    pipeline = make()
    run(pipeline)
    clock.forward(days=1)
    job = run(pipeline, retraining_type="feedback_driven")
    assert job.state == "FAILED"
    assert "Nothing has matured" in job.error_message
    past = history(30, 0)[1][0]
    store.bulk_upsert([replace(past, exchange_id="new", quantity_t_per_year=77.0)])
    assert run(pipeline, retraining_type="feedback_driven").state != "FAILED"


def test_harm_in_the_canary_rolls_back(make, store):
    observed = Seen(arms=arms(0.3, 0.5))
    pipeline = make(observed)
    champion = run(pipeline).detail["version_id"]
    observed.arms = arms(0.6, 0.2)
    # a challenger that passed the gate: the registry is given it directly, as a gate that erred would
    version = store.retraining.get_version(champion)
    bad = replace(version, version_id="bad", job_id=None)
    store.retraining.add_version(bad)
    parts = pipeline._parts
    held = parts.store.add_job(replace(pipeline.job(store.retraining.jobs()[0].job_id), job_id="j", state="CANARY",
                               detail={"version_id": "bad"}, moves=0, completed_at=None))  # fmt: skip
    parts.registry.canary(store.retraining.get_version("bad"), 0.1, "test", "planted")
    pipeline.run_due()
    job = pipeline.job(held.job_id)
    assert (job.state, job.status) == ("ROLLED_BACK", "failed")
    assert "harm" in job.error_message
    served = store.retraining.deployment("counting")
    assert (served.champion, served.challenger, served.mode) == (champion, None, "none")


def test_what_takes_long_and_what_serves_may_be_two_processes(make):
    parts = make()._parts
    worker = AIRetrainingPipeline(replace(parts, states=OPEN - SERVING), background=False)
    server = AIRetrainingPipeline(replace(parts, states=SERVING), background=False)
    job = server.request("counting")
    assert server.run_due() == 0
    worker.run_due()
    assert worker.job(job.job_id).state == "STAGED"
    assert worker.run_due() == 0
    server.run_due()
    assert server.job(job.job_id).state == "BAKED"


def test_silence_holds(make, store):
    observed = Seen(requests=0)
    pipeline = make(observed)
    job = run(pipeline)
    assert job.state == "SHADOW"
    observed.requests = 50
    pipeline.run_due()
    moves = len(pipeline.moves(job.job_id))
    for _ in range(3):
        pipeline.run_due()
    assert pipeline.job(job.job_id).state == "CANARY"
    assert len(pipeline.moves(job.job_id)) == moves  # waiting writes no rows
    assert store.retraining.deployment("counting").champion is None
    assert store.retraining.deployment("counting").share == 0.1


def test_a_failure_in_shadow_ends_it_before_anybody_sees_it(make, store):
    job = run(make(Seen(requests=80, failures=1)))
    assert job.state == "FAILED"
    assert "shadow" in job.error_message
    assert store.retraining.deployment("counting").challenger is None


def test_an_alarm_after_promotion_returns_to_the_champion_before(make, store, clock):
    pipeline = make(search=lambda *_: {"noise": 0.6}, most_looks=1)
    first = run(pipeline, retraining_type="optimization").detail["version_id"]
    observed = Seen(arms=arms(0.3, 0.5), reason=None)
    pipeline = make(observed, search=lambda *_: {"noise": 0.02}, bake=timedelta(hours=24))
    job = run(pipeline, retraining_type="optimization")
    assert job.state == "PROMOTED"
    observed.reason = "Outcomes fell by a third."
    pipeline.run_due()
    job = pipeline.job(job.job_id)
    assert (job.state, job.error_message) == ("ROLLED_BACK", "Outcomes fell by a third.")
    assert store.retraining.deployment("counting").champion == first


def test_deploying_can_be_left_to_people(make, store):
    pipeline = make(auto_deploy=False)
    job = run(pipeline)
    assert job.state == "STAGED"
    assert store.retraining.deployment("counting").generation == 0


def test_an_alarm_about_the_first_model_returns_to_the_engine_that_served_before(make, store):
    observed = Seen(arms=arms(0.3, 0.5))
    pipeline = make(observed, bake=timedelta(hours=24))
    job = run(pipeline)
    assert job.state == "PROMOTED"
    observed.reason = "Outcomes fell by a third."
    pipeline.run_due()
    job = pipeline.job(job.job_id)
    assert (job.state, job.error_message) == ("ROLLED_BACK", "Outcomes fell by a third.")
    assert store.retraining.deployment("counting").champion is None


def test_what_people_change_while_a_step_looks_is_not_overruled(make, store):
    """An operator withdraws the challenger in the moment in which the canary is found safe."""
    observed = Seen(requests=50)
    pipeline = make(observed)
    job = run(pipeline)
    assert job.state == "CANARY"
    registry, version = pipeline._parts.registry, store.retraining.get_version(job.detail["version_id"])

    def outcomes(model_name, version_id):
        registry.withdraw(version, "operator", "no")
        return arms(0.3, 0.5)

    observed.outcomes = outcomes
    pipeline.run_due()
    assert store.retraining.deployment("counting").champion is None
    pipeline.run_due()
    assert pipeline.job(job.job_id).state == "ROLLED_BACK"


@pytest.mark.parametrize("waits", ["STAGED", "SHADOW", "CANARY"])
def test_a_version_that_people_promote_while_its_job_waits_is_watched_like_any_other(make, store, waits):
    pipeline = make(Seen(requests=50 if waits == "CANARY" else 0), auto_deploy=waits != "STAGED")
    job = run(pipeline)
    assert job.state == waits
    pipeline._parts.registry.promote(store.retraining.get_version(job.detail["version_id"]), "operator", "sure")
    pipeline.run_due()
    assert "PROMOTED" in states(pipeline, job)
    promoted = next(move for move in pipeline.moves(job.job_id) if move.to_state == "PROMOTED")
    assert promoted.reason == "It was promoted by hand."


@pytest.mark.parametrize(("waits", "ends"), [("SHADOW", "FAILED"), ("CANARY", "ROLLED_BACK")])
def test_a_version_that_people_withdraw_ends_its_job(make, store, waits, ends):
    pipeline = make(Seen(requests=50 if waits == "CANARY" else 0))
    job = run(pipeline)
    assert job.state == waits
    pipeline._parts.registry.withdraw(store.retraining.get_version(job.detail["version_id"]), "operator", "no")
    pipeline.run_due()
    job = pipeline.job(job.job_id)
    assert (job.state, "it was withdrawn" in job.error_message) == (ends, True)


def test_a_job_that_runs_is_seen_behind_any_number_of_later_requests(make, store, clock):
    pipeline = make(Seen(requests=50), cool_down=timedelta(0))
    held = run(pipeline)
    assert held.state == "CANARY"
    waiting = replace(store.retraining.jobs()[0], state="REQUESTED", started_at=None, moves=0, detail={})
    for number in range(1001):
        later = clock.now + timedelta(seconds=number)
        store.retraining.add_job(replace(waiting, job_id=f"later-{number}", created_at=later))
    pipeline.run_due()
    waits = pipeline.job("later-0")
    assert waits.state == "DEFERRED"
    assert held.job_id in waits.detail["deferred"]


@pytest.mark.parametrize("triggers", [60, pytest.param(10_000, marks=pytest.mark.slow)])
def test_any_number_of_triggers_makes_one_run(make, store, triggers):
    pipeline = make(weekly_budget=1)
    for _ in range(triggers):
        pipeline.request("counting", "feedback")
    pipeline.run_due()
    for _ in range(triggers):
        pipeline.request("counting", "feedback")
    pipeline.run_due()
    found = [job.state for job in store.retraining.jobs(limit=3 * triggers)]
    assert (found.count("BAKED"), found.count("DEFERRED")) == (1, 1)  # the budget of a week holds
    assert found.count("COALESCED") == 2 * triggers - 2


def test_cool_down_and_budget_hold_and_a_manual_request_skips_only_the_first(make, clock):
    pipeline = make(cool_down=timedelta(hours=24), weekly_budget=2)
    run(pipeline, "feedback")
    waiting = run(pipeline, "feedback")
    assert waiting.state == "DEFERRED"
    assert waiting.not_before == START + timedelta(hours=24)
    clock.forward(hours=25)
    pipeline.run_due()
    assert pipeline.job(waiting.job_id).started_at is not None
    pipeline.cancel(waiting.job_id)
    pipeline.run_due()
    manual = run(pipeline, "manual")
    assert manual.state == "DEFERRED"
    assert "budget" in manual.detail["deferred"]
    assert manual.not_before == START + timedelta(days=7)


def test_a_second_run_waits_for_the_first(make):
    pipeline = make(Seen(requests=0))
    first, second = run(pipeline), run(pipeline)
    assert (first.state, second.state) == ("SHADOW", "DEFERRED")
    pipeline.cancel(first.job_id)
    pipeline.run_due()
    pipeline.run_due()  # the second may have been looked at before the first ended
    assert pipeline.job(first.job_id).status == "cancelled"
    assert pipeline.job(second.job_id).state == "SHADOW"


def test_cancelling_ends_a_training_that_runs(make, store):
    begun = threading.Event()

    def long(arguments, limits, on_report=None, stop=None):
        begun.set()
        for _ in range(2000):
            if stop():
                return Outcome("stopped", None, "It was stopped on request.", 0.0, 0.0)
            threading.Event().wait(0.01)
        raise AssertionError("nobody stopped it")

    pipeline = make(train=long)
    job = pipeline.request("counting")
    thread = threading.Thread(target=pipeline.run_due)
    thread.start()
    assert begun.wait(30)
    pipeline.cancel(job.job_id)
    thread.join(30)
    job = pipeline.job(job.job_id)
    assert (job.state, job.status, job.error_message) == ("FAILED", "cancelled", "Cancelled on request.")
    with pytest.raises(ConflictError):
        pipeline.cancel(job.job_id)


def test_how_far_a_training_is_can_be_seen_while_it_runs(make, store):
    seen = []

    def training(arguments, limits, on_report=None, stop=None):
        assert on_report({"step": "fitting", "progress": 0.1})
        ends = time.monotonic() + 20
        while not seen and time.monotonic() < ends:
            seen.extend(job.detail["progress"] for job in store.retraining.jobs() if "progress" in job.detail)
            time.sleep(0.01)
        return counting.train_here(arguments, limits)

    job = run(make(train=training))
    assert seen == [{"step": "fitting", "progress": 0.1}]
    assert (job.state, "progress" in job.detail) == ("BAKED", False)


@pytest.mark.parametrize("ended", ["out_of_memory", "over_time", "failed"])
def test_a_training_that_ends_badly_fails_with_the_reason(make, store, ended):
    job = run(make(train=lambda *a, **k: Outcome(ended, None, "It used 900 MiB; 500 are allowed.", 1.0, 900.0)))
    assert job.state == "FAILED"
    assert ended in job.error_message
    assert "900 MiB" in job.error_message
    assert store.retraining.deployment("counting").generation == 0


def test_an_error_that_nobody_expected_fails_the_job_and_not_the_loop(make):
    def broken(*_, **__):
        raise ZeroDivisionError

    pipeline = make(train=broken)
    job = run(pipeline)
    assert (job.state, job.error_message) == ("FAILED", "ZeroDivisionError in TUNING; the log says more.")


def test_too_little_is_refused_with_the_reason(store, settings, clock):
    pipeline = AIRetrainingPipeline(parts_on(store, settings, clock), background=False)
    job = run(pipeline)
    assert job.state == "FAILED"
    assert "no exchange to learn from" in job.error_message


def test_what_was_trained_can_be_made_again_from_the_ledger(make, store, settings, tmp_path):
    pipeline = make()
    job = run(pipeline)
    version = store.retraining.get_version(job.detail["version_id"])
    snapshot = open_snapshot(settings.data_dir / "retraining" / "snapshots", version.snapshot)
    told = fit_calibrate_save(
        version.model_name,
        str(snapshot.train),
        str(tmp_path / "again"),
        version.params,
        version.seed,
        None,
        job.detail["training"]["policy"],
        lambda v: None,
    )
    assert told["artifact"] == version.artifact


def test_a_request_that_comes_twice_is_one_job_and_its_end_is_told(store, settings, clock):
    counting.fill(store)
    ended = []
    parts = replace(parts_on(store, settings, clock, search=None), ended=ended.append)
    pipeline = AIRetrainingPipeline(parts, background=False)
    job = pipeline.request("counting", "feedback", job_id="asked-by-feedback")
    assert pipeline.request("counting", "feedback", job_id="asked-by-feedback").job_id == job.job_id
    assert len(pipeline.jobs()) == 1
    joined = pipeline.request("counting", "feedback", job_id="another")
    assert (joined.state, ended) == ("COALESCED", ["another"])
    pipeline.run_due()
    assert pipeline.job(job.job_id).status == "completed"
    assert ended == ["another", "asked-by-feedback"]


def test_what_people_decided_about_an_engine_reaches_its_training(store, settings, clock):
    """Privacy is policy, not a parameter that the champion or a search could bring along."""
    counting.fill(store)
    asked = []

    def told(arguments, limits, on_report=None, stop=None):
        asked.append(arguments)
        return Outcome("failed", None, "Not today.", 0.0, 0.0)

    parts = replace(parts_on(store, settings, clock), train=told, policies={"counting": {"epsilon": 8.0}})
    run(AIRetrainingPipeline(parts, background=False))
    assert [arguments["policy"] for arguments in asked] == [{"epsilon": 8.0}]


def newcomers(year, count=320):
    """Donors that gave to their material's first taker in a year, none of whom was known before."""
    made = []
    for number in range(count):
        kind = number % 8
        donor = Company(f"new-{number}", f"New {number}", TRADES[kind][2], "DE", 44 + number / 40, 3.0)
        taken = Exchange(f"new-{number}", donor.company_id, f"taker-{kind}-0", TRADES[kind][0], ewc=TRADES[kind][1])
        made += [donor, replace(taken, year_start=year, status="operating")]
    return made


def test_a_slow_but_better_model_wins_when_its_outcomes_have_matured(make, store, clock):
    """What began in January has not matured in March: censored, not negative. In April it judges."""
    pipeline = make(search=lambda *_: {"noise": 0.5}, most_looks=1)
    assert run(pipeline, retraining_type="optimization").state == "BAKED"
    store.bulk_upsert(newcomers(clock.now.year))
    pipeline = make(search=lambda *_: {"noise": 0.3})
    job = run(pipeline, retraining_type="optimization")
    assert (job.state, job.detail["verdict"]) == ("EVALUATED", "HOLD")
    assert job.detail["counts"]["gap"] >= 320
    assert job.detail["counts"]["fresh"] < 100
    clock.forward(days=20)  # still before the 90 days are over
    pipeline.run_due()
    assert pipeline.job(job.job_id).state == "EVALUATED"
    clock.forward(days=15)
    pipeline.run_due()
    assert pipeline.job(job.job_id).state == "BAKED"


def test_another_look_refuses_what_must_not_be_judged_on(make, store, clock, monkeypatch):
    pipeline = make(most_looks=3)
    run(pipeline)
    job = run(pipeline)
    assert job.state == "EVALUATED"
    monkeypatch.setattr("ism.retraining.validate.problems", lambda snapshot: ["A column is filled too late."])
    clock.forward(days=8)
    pipeline.run_due()
    job = pipeline.job(job.job_id)
    assert (job.state, "filled too late" in job.error_message) == ("FAILED", True)


def test_files_that_nothing_needs_are_deleted_when_a_job_ends(make, settings, clock):
    home = settings.data_dir / "retraining"
    pipeline = make(most_looks=1)
    kept = run(pipeline).detail["snapshot"]
    clock.forward(days=1)
    rejected = run(pipeline).detail["snapshot"]
    clock.forward(days=8)
    pipeline.run_due()
    assert {kept, rejected} <= {path.name for path in (home / "snapshots").iterdir()}  # a day has not passed
    assert list((home / "trained").iterdir()) == []
    for path in (home / "snapshots").iterdir():
        os.utime(path, (0, 0))
    clock.forward(days=1)
    running = run(pipeline)
    late = run(pipeline)
    assert (running.state, late.state) == ("EVALUATED", "DEFERRED")
    pipeline.cancel(late.job_id)
    pipeline.run_due()
    assert {path.name for path in (home / "snapshots").iterdir()} == {kept, running.detail["snapshot"]}
    assert [path.name for path in (home / "trained").iterdir()] == [running.job_id]


def test_jobs_run_by_themselves_in_the_background(make, store, settings, clock):
    pipeline = AIRetrainingPipeline(make()._parts)
    try:
        job = pipeline.request("counting")
        for _ in range(600):
            if pipeline.job(job.job_id).state == "BAKED":
                break
            threading.Event().wait(0.05)
        assert pipeline.job(job.job_id).state == "BAKED"
    finally:
        pipeline.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limits", "ended"), [(Limits(600.0, 60.0), "out_of_memory"), (Limits(0.5, 8000.0), "over_time")]
)
def test_a_real_training_beyond_its_limits_fails_with_the_reason(store, settings, clock, limits, ended):
    counting.fill(store)
    parts = replace(parts_on(store, settings, clock, training=limits), train=train)
    pipeline = AIRetrainingPipeline(parts, background=False)
    job = pipeline.request("matching")
    pipeline.run_due()
    job = pipeline.job(job.job_id)
    assert (job.state, job.detail["training"]) == ("FAILED", ended)
    assert job.error_message.startswith(f"Training ended as {ended}")
    assert store.retraining.deployment("matching").generation == 0


def test_what_a_training_prints_lies_beside_what_it_makes(tmp_path):
    for name in ("one", "two"):
        out = tmp_path / "trained" / name
        outcome = train({"engine": f"no-{name}", "snapshot": "", "out": str(out)}, Limits(60.0, 2000.0), logged=True)
        assert outcome.status == "failed"
        assert "Traceback" in log_of(out).read_text(encoding="utf-8")


def test_a_job_outlives_a_database_that_is_away(make, store):
    away = [StorageUnavailableError("away")]

    def search(*_):
        if away:
            raise away.pop()
        return {"noise": 0.0}

    pipeline = make(search=search)
    job = pipeline.request("counting", "manual", {"retraining_type": "optimization"})
    with pytest.raises(StorageUnavailableError):
        pipeline.run_due()
    assert pipeline.job(job.job_id).state == "TUNING"
    pipeline.run_due()
    assert pipeline.job(job.job_id).state == "BAKED"


def test_what_a_process_did_that_leads_no_more_counts_for_nothing(make, store):
    class Lead:
        leads = True

        @contextmanager
        def term(self):
            yield self.leads

    lead, began = Lead(), []

    def train(arguments, limits, on_report=None, stop=None):
        began.append(arguments["seed"])
        if len(began) == 1:
            lead.leads = False  # it is noticed by the heartbeat of the lease
            ends = time.monotonic() + 20
            while not stop() and time.monotonic() < ends:
                time.sleep(0.01)
            return Outcome("cancelled", None, "It was stopped.", 0.0, 0.0)
        return counting.train_here(arguments, limits)

    pipeline = make(train=train)
    object.__setattr__(pipeline._parts, "lead", lead)
    job = pipeline.request("counting", "manual", {})
    pipeline.run_due()
    assert pipeline.job(job.job_id).state == "TUNING"
    lead.leads = True
    pipeline.run_due()
    assert pipeline.job(job.job_id).state == "BAKED"
    assert len(began) == 2
