"""The choice model: its gradient is that of its likelihood, and no example can add more than the clip."""

from dataclasses import replace

import numpy as np
import pytest

from ism.data.market import Market
from ism.engines.federated.columns import OFFER_COLUMNS, PAIR_COLUMNS, offer_columns, pair_columns, projection
from ism.engines.federated.model import Bins, Parameters, bins_of_market
from ism.engines.federated.sites import by_donor, prepared, split
from ism.testing.sample import WordEncoder, sample

CASE = sample(WordEncoder())
BINS = bins_of_market(CASE.built.market)
EXAMPLES = prepared(CASE.snapshot, BINS, private=False)


def log_likelihood(parameters: Parameters) -> float:
    """Of the sample's choices, written down from the definition, question by question."""
    factors = parameters.of_receivers(EXAMPLES.places).astype(np.float64)
    total = 0.0
    for query in range(len(EXAMPLES)):
        utility = factors @ EXAMPLES.offers[query] + EXAMPLES.pairs[query] @ parameters.pair[EXAMPLES.used]
        for question in (slice(0, EXAMPLES.companies), slice(EXAMPLES.companies, None)):
            share, u = EXAMPLES.share[query, question], utility[question]
            if share.any():
                total += float(share @ u - np.log(np.exp(u).sum()))
    return total


def test_the_gradient_is_the_slope_of_the_log_likelihood():
    rng = np.random.default_rng(0)
    here = Parameters(
        rng.normal(0, 0.1, (len(BINS.names), OFFER_COLUMNS)).astype(np.float32),
        rng.normal(0, 0.5, PAIR_COLUMNS).astype(np.float32),
    )
    slope = EXAMPLES.gradient(here, clip=1e9)
    for _ in range(3):
        way = Parameters(
            rng.normal(size=here.factors.shape).astype(np.float32), rng.normal(size=PAIR_COLUMNS).astype(np.float32)
        )
        step = 1e-3
        rise = (log_likelihood(here.plus(way, step)) - log_likelihood(here.plus(way, -step))) / (2 * step)
        told = float((slope.factors * way.factors).sum() + (slope.pair * way.pair).sum())
        assert told == pytest.approx(rise, rel=0.02, abs=0.02)


@pytest.mark.parametrize("clip", [0.05, 0.7])
def test_no_example_adds_more_than_the_clip(clip):
    start = Parameters.initial(BINS)
    whole = EXAMPLES.gradient(start, clip)
    for query in range(0, len(EXAMPLES), 7):
        one = replace(
            EXAMPLES,
            offers=EXAMPLES.offers[query : query + 1],
            pairs=EXAMPLES.pairs[query : query + 1],
            share=EXAMPLES.share[query : query + 1],
        )
        free, clipped = one.gradient(start, 1e9), one.gradient(start, clip)
        assert clipped.norm <= clip * 1.0001
        assert clipped.norm == pytest.approx(min(clip, free.norm), rel=1e-3)
        rest = replace(
            EXAMPLES,
            offers=np.delete(EXAMPLES.offers, query, axis=0),
            pairs=np.delete(EXAMPLES.pairs, query, axis=0),
            share=np.delete(EXAMPLES.share, query, axis=0),
        )
        assert whole.plus(rest.gradient(start, clip), -1.0).norm <= clip * 1.001  # the sensitivity that noise is for


def test_with_noise_who_competes_does_not_depend_on_the_site():
    north, south = split(CASE.snapshot, by_donor(CASE.snapshot, 2))
    places = [prepared(site.snapshot, BINS, private=True).places for site in (north, south)]
    assert np.array_equal(*places)


def test_bins_are_companies_classes_and_divisions():
    home = CASE.built.market.receivers
    row = CASE.built.row_of["taker-0-0"]
    assert [BINS.names[place] for place in BINS.of(home, np.asarray([row]))[0]] == [
        "company:taker-0-0",
        "class:2351",
        "division:23",
    ]
    sector = home.ids.index("nace:23.51")
    own, code, _ = BINS.of(home, np.asarray([sector]))[0]
    assert own == len(BINS.names)
    assert BINS.names[code] == "class:2351"  # what companies of the class teach, their sector knows, and the reverse
    assert Bins(BINS.names).digest == BINS.digest != Bins(BINS.names[1:]).digest


def test_columns_look_at_no_precedent():
    market = CASE.built.market
    empty = Market(market.receivers, market.precedents.take(np.zeros(0, np.intp)))
    rows = np.arange(len(market.receivers))
    assert np.array_equal(pair_columns(market, CASE.offers, rows), pair_columns(empty, CASE.offers, rows))
    assert np.isfinite(pair_columns(market, CASE.offers, rows)).all()
    assert offer_columns(CASE.offers).shape == (len(CASE.offers), OFFER_COLUMNS)


def test_the_projection_keeps_lengths_on_average():
    vectors = np.random.default_rng(0).normal(size=(500, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.square(vectors @ projection(384)).sum(axis=1).mean() == pytest.approx(1.0, abs=0.05)
