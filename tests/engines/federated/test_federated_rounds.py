"""Rounds with Flower's own apps and strategies: good sites, bad ones, late ones, dead ones. Nothing may hang."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from flwr.app import Context, Message, RecordDict

from ism.domain.errors import EngineError, InvalidInputError
from ism.engines.base import Snapshot
from ism.engines.federated import training
from ism.engines.federated.client import Participant, client_app, reply_content
from ism.engines.federated.columns import PAIR_PRIOR
from ism.engines.federated.engine import FederatedEngine
from ism.engines.federated.grid import LocalGrid
from ism.engines.federated.model import Parameters, bins_of_market
from ism.engines.federated.plan import STRATEGIES, Plan
from ism.engines.federated.server import Trained, train
from ism.engines.federated.sites import Site, by_donor, prepared, split
from ism.testing.sample import WordEncoder, sample

CASE = sample(WordEncoder())
BINS = bins_of_market(CASE.built.market)
SITES = split(CASE.snapshot, by_donor(CASE.snapshot, 4), dict(enumerate(("North", "East", "South", "West"))))
FEW = {"rounds": 3, "deadline": 30.0}


def members() -> list[Participant]:
    return [training.participant(site, BINS, number, 0) for number, site in enumerate(SITES)]


def grid_with(last_app=None) -> LocalGrid:
    """Four sites; the last one runs another app where one is given."""
    everyone = members()
    honest = client_app(lambda context: everyone[context.node_id - 1])
    apps = {number: (honest, Context(1, number, {}, RecordDict(), {})) for number in range(1, 5)}
    if last_app is not None:
        apps[4] = (last_app, apps[4][1])
    return LocalGrid(apps, at_once=True)


def rank_of_best(trained: Trained) -> int:
    engine, market = FederatedEngine.of(trained), CASE.built.market
    firms = np.flatnonzero(~market.receivers.sector)
    scores = engine.score(market, CASE.obvious, firms)[0]
    return 1 + int((scores > scores[firms == CASE.best]).sum())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_learns_the_evident_receiver(strategy):
    steps = {"local_steps": 3} if strategy != "fedadam" else {}
    trained = training.train_in_process(SITES, BINS, Plan.of({"strategy": strategy, "rounds": 10, **steps}))
    assert rank_of_best(trained) == 1
    assert [each.used for each in trained.rounds] == [["East", "North", "South", "West"]] * 10
    assert all(each.bytes_up == each.bytes_down > 4 * 4 * trained.parameters.size for each in trained.rounds)


def test_one_step_of_all_sites_is_one_step_of_one_site_with_everything():
    plan = Plan.of({"rounds": 3})
    apart = training.train_in_process(SITES, BINS, plan)
    together = training.train_in_process([Site("all", CASE.snapshot)], BINS, plan)
    assert np.allclose(apart.parameters.factors, together.parameters.factors, atol=2e-3)
    assert np.allclose(apart.parameters.pair, together.parameters.pair, atol=2e-3)


def test_what_leaves_a_site_is_parameters_a_count_and_its_name():
    content = reply_content("North", Parameters.initial(BINS), 7)
    assert {name: set(record) for name, record in content.items()} == {
        "arrays": {"factors", "pair"},
        "metrics": {"num-examples"},
        "about": {"site"},
    }


def test_the_noise_of_a_seed_is_repeatable_and_differs_from_round_to_round():
    plan = Plan.of({"rounds": 2, "epsilon": 8.0})
    first, again, other = (training.train_in_process(SITES, BINS, plan, seed) for seed in (0, 0, 1))
    assert np.array_equal(first.parameters.factors, again.parameters.factors)
    assert not np.array_equal(first.parameters.factors, other.parameters.factors)
    assert first.ledger.epsilon == pytest.approx(8.0, rel=0.01)
    one, two = (SITES[0].snapshot, training.participant(SITES[0], BINS, 0, 0))
    assert len(one.groups) > 0
    assert two.noise(1).normal() != two.noise(2).normal()


def dies(_message: Message, _context: Context) -> Message:
    raise ConnectionResetError("power cut")


def says(arrays_of, examples=10):
    def app(message: Message, _context: Context) -> Message:
        start = Parameters.of({name: a.numpy() for name, a in message.content.array_records["arrays"].items()})
        return Message(reply_content("West", arrays_of(start), examples), reply_to=message)

    return app


def nan(start: Parameters) -> Parameters:
    return Parameters(start.factors * np.float32("nan"), start.pair)


def huge(start: Parameters) -> Parameters:
    return Parameters(start.factors + np.float32(1e6), start.pair)


def cut(start: Parameters) -> Parameters:
    return Parameters(start.factors[:3], start.pair)


@pytest.mark.parametrize(
    ("app", "name", "reason"),
    [
        (dies, "node 4", "dropped out: ConnectionResetError: power cut"),
        (says(nan), "West", "not finite"),
        (says(huge), "West", "huge update"),
        (says(cut), "West", "shapes"),
        (says(lambda start: start, examples=0), "West", "no exchange"),
    ],
    ids=["dies", "nan", "huge", "cut", "empty"],
)
def test_a_bad_site_is_named_and_the_others_go_on(app, name, reason):
    trained = train(grid_with(app), BINS, Plan.of(FEW))
    for each in trained.rounds:
        assert each.used == ["East", "North", "South"]
        assert reason in each.left_out[name]
    assert np.isfinite(trained.parameters.factors).all()
    three = training.run_apps(members()[:3], BINS, Plan.of(FEW))
    assert np.array_equal(trained.parameters.factors, three.parameters.factors)


def test_a_site_that_dies_in_the_second_round_keeps_its_name():
    everyone, calls = members(), []

    def app(message: Message, context: Context) -> Message:
        calls.append(1)
        if len(calls) > 1:
            raise MemoryError("out of memory")
        return client_app(lambda _: everyone[3])(message, context)

    trained = train(grid_with(app), BINS, Plan.of(FEW))
    assert [sorted(each.left_out) for each in trained.rounds] == [[], ["West"], ["West"]]


def test_a_straggler_costs_one_deadline_a_round_and_no_more():
    freed = threading.Event()

    def app(message: Message, _context: Context) -> Message:
        freed.wait(60)
        return Message(RecordDict(), reply_to=message)

    begun = time.monotonic()
    try:
        trained = train(grid_with(app), BINS, Plan.of({"rounds": 2, "deadline": 2.0}))
    finally:
        freed.set()
    assert time.monotonic() - begun < 30
    assert [each.left_out for each in trained.rounds] == [{"node 4": "no answer within the round's 2 s"}] * 2


def test_clocks_that_differ_do_not_matter():
    everyone = members()

    def app(message: Message, context: Context) -> Message:
        reply = client_app(lambda _: everyone[3])(message, context)
        reply.metadata.created_at += 400 * 86_400  # a clock more than a year ahead
        return reply

    told, honest = (train(grid, BINS, Plan.of(FEW)) for grid in (grid_with(app), grid_with()))
    assert np.array_equal(told.parameters.factors, honest.parameters.factors)
    assert all(0 <= each.seconds < 60 for each in told.rounds)


def test_flipped_labels_are_found_and_do_less_harm_than_with_plain_averaging():
    names = ("North", "East", "South", "West", "Centre")
    one = prepared(CASE.snapshot, BINS, private=False)
    rows = np.tile(np.arange(len(one)), 10)
    many = replace(one, offers=one.offers[rows], pairs=one.pairs[rows], share=one.share[rows])
    wrong = np.zeros_like(many.share)
    wrong[np.arange(len(many)), many.pairs[:, : many.companies].sum(axis=2).argmin(axis=1)] = 1.0
    flipped = replace(many, share=wrong)  # all went to whoever is far away and asks for something else
    everyone = [
        replace(members()[0], name=name, examples=lambda _, own=flipped if name == "North" else many: own)
        for name in names
    ]
    screened, averaged, without = (
        training.run_apps(sites, BINS, Plan.of({"rounds": 4, "aggregation": how}))
        for sites, how in ((everyone, "screened"), (everyone, "mean"), (everyone[1:], "mean"))
    )
    assert [set(each.left_out) for each in screened.rounds] == [{"North"}] * 4
    assert "pulls the shared weights against the other sites" in screened.rounds[-1].left_out["North"]
    assert np.array_equal(screened.parameters.factors, without.parameters.factors)
    assert not np.allclose(averaged.parameters.factors, without.parameters.factors, atol=0.05)


def test_a_site_without_any_exchange_takes_no_part():
    empty = Site("Empty", Snapshot(CASE.built.market.keeping(np.zeros(0, np.intp)), np.zeros(0, np.int32)))
    with_empty = training.train_in_process([*SITES, empty], BINS, Plan.of(FEW))
    assert with_empty.rounds[0].left_out == {"Empty": "has no exchange to learn from"}
    assert np.array_equal(
        with_empty.parameters.factors, training.train_in_process(SITES, BINS, Plan.of(FEW)).parameters.factors
    )


def test_only_sites_without_exchanges_leave_the_parameters_as_they_are():
    empty = Site("Empty", Snapshot(CASE.built.market.keeping(np.zeros(0, np.intp)), np.zeros(0, np.int32)))
    trained = training.train_in_process([empty], BINS, Plan.of(FEW))
    assert np.array_equal(trained.parameters.pair, PAIR_PRIOR)
    assert trained.rounds[0].kept == "0 usable updates; at least 1 are needed"


def test_one_site_only_is_an_ordinary_case():
    trained = training.train_in_process([Site("only", CASE.snapshot)], BINS, Plan.of({"rounds": 10}))
    assert rank_of_best(trained) == 1


def test_too_few_sites_are_an_error_with_a_remedy():
    with pytest.raises(EngineError, match="least_sites"):
        train(grid_with(), BINS, Plan.of({"least_sites": 5, "deadline": 1.0}))


def test_too_few_usable_updates_leave_the_parameters_as_they_are():
    trained = train(grid_with(says(nan)), BINS, Plan.of({**FEW, "least_sites": 4}))
    assert {each.kept for each in trained.rounds} == {"3 usable updates; at least 4 are needed"}
    assert not trained.parameters.factors.any()


def test_a_site_refuses_a_plan_that_would_spend_too_much():
    careful = [replace(member, most_epsilon=2.0) for member in members()]
    trained = training.run_apps(careful, BINS, Plan.of({**FEW, "epsilon": 8.0}))
    assert all("max-epsilon" in reason for reason in trained.rounds[0].left_out.values())
    agreed = training.run_apps(careful, BINS, Plan.of({**FEW, "epsilon": 2.0}))
    assert len(agreed.rounds[0].used) == 4


def test_another_market_profile_is_refused():
    stale = [replace(members()[0], bins="other"), *members()[1:]]
    trained = training.run_apps(stale, BINS, Plan.of(FEW))
    assert "market profile" in trained.rounds[0].left_out["node 1"]


def test_unknown_and_impossible_plans_are_refused():
    for given in ({"no_such": 1}, {"epsilon": -1.0}, {"strategy": "fedsgd"}, {"rounds": 2.5}):
        with pytest.raises(InvalidInputError):
            Plan.of(given)
