"""The estimate before labels mature: it follows weaker lists, does not see changed people, and says so by its error."""

import numpy as np
import pytest

from ism.engines.metrics import ndcg
from ism.monitoring.live_quality import Lists, estimate, expected_accuracy, labelled_shares, lists_of

PLACES = 12
SHARES = np.linspace(0.9, 0.3, PLACES)  # of places that get a label: those on top are looked at


def shown(random, number, parting):
    """Lists whose probabilities part the better from the worse by so much."""
    chance = 1.0 / (1.0 + np.exp(-parting * random.normal(size=(number, PLACES))))
    chance = -np.sort(-chance, axis=1)
    return Lists(chance, chance)


def matured(random, lists, truth=None):
    """Accuracy of each list and the ranks of its labels, where each is right as ``truth`` says."""
    truth = lists.probability if truth is None else truth
    seen = random.random(truth.shape) < SHARES
    good = random.random(truth.shape) < truth
    values = [
        ndcg(scores[mask], np.flatnonzero(right[mask])) if 0 < right[mask].sum() < mask.sum() else np.nan
        for scores, mask, right in zip(lists.score, seen, good, strict=True)
    ]
    return np.asarray(values), np.nonzero(seen)[1] + 1


def told(random, fresh_parting, truth=None):
    reference, fresh = shown(random, 400, 2.0), shown(random, 400, fresh_parting)
    accuracies, ranks = matured(random, reference)
    found = estimate(reference, accuracies, fresh, labelled_shares(reference, ranks))
    later, _ = matured(random, fresh, None if truth is None else truth(fresh.probability))
    return found, float(np.nanmean(later)), float(np.nanmean(accuracies))


def test_weaker_lists_are_noticed_before_their_labels_mature():
    random = np.random.default_rng(1)
    found, truth, before = told(random, fresh_parting=0.5)
    assert before - truth > 0.05
    assert found.low - 0.02 <= truth <= found.high + 0.02
    assert found.error < 0.05


def test_it_covers_what_is_measured_later_nineteen_times_in_twenty():
    random = np.random.default_rng(2)
    hits = 0
    for _ in range(20):
        found, truth, _ = told(random, fresh_parting=random.uniform(0.5, 3.0))
        hits += found.low - 0.02 <= truth <= found.high + 0.02  # the later measurement has chance of its own
    assert hits >= 18


def test_people_who_want_something_else_are_not_seen():
    random = np.random.default_rng(3)
    found, truth, before = told(random, fresh_parting=2.0, truth=lambda chance: 1.0 - chance)
    assert truth < before - 0.1
    assert found.value == pytest.approx(before, abs=0.03)


def test_an_error_of_the_calibration_that_stays_cancels():
    random = np.random.default_rng(4)
    reference, fresh = shown(random, 600, 2.0), shown(random, 600, 2.0)
    halved = matured(random, reference, reference.probability / 2)
    accuracies, ranks = halved
    found = estimate(reference, accuracies, fresh, labelled_shares(reference, ranks))
    later, _ = matured(random, fresh, fresh.probability / 2)
    assert found.value == pytest.approx(np.nanmean(later), abs=0.04)


def test_the_expectation_of_two_places_is_the_one_by_hand():
    both = Lists(np.asarray([[0.9, 0.1]]), np.asarray([[0.5, 0.5]]))
    mean, _ = expected_accuracy(both.take(np.zeros(400, np.intp)), np.ones(2))
    # Right is either the first place, 1, or the second, 1 / log2(3), with equal chance.
    assert mean == pytest.approx((1 + 1 / np.log2(3)) / 2, abs=0.01)


def test_too_few_lists_say_so():
    random = np.random.default_rng(5)
    few = shown(random, 5, 2.0)
    accuracies, ranks = matured(random, few)
    found = estimate(few, accuracies, few, labelled_shares(few, ranks))
    assert found.value is None
    assert "20 are needed" in found.missing


def test_lists_that_nobody_could_label_say_so():
    random = np.random.default_rng(6)
    reference = shown(random, 100, 2.0)
    accuracies, ranks = matured(random, reference)
    hopeless = Lists(np.full((50, PLACES), 0.1), np.zeros((50, PLACES)))
    assert "no fresh list" in estimate(reference, accuracies, hopeless, labelled_shares(reference, ranks)).missing


def test_lists_are_made_of_what_was_shown_and_an_absent_engine_has_no_place():
    rows = [("a", 0.9, 1.0, {"gnn": 0.2}), ("a", 0.5, 1.0, {}), ("b", 0.4, 1.0, {"gnn": 0.7})]
    requests, lists = lists_of(rows, "gnn")
    assert requests == ["a", "b"]
    np.testing.assert_array_equal(lists.score, [[0.2, np.nan], [0.7, np.nan]])
    np.testing.assert_array_equal(lists.probability, [[0.9, np.nan], [0.4, np.nan]])
    assert lists_of(rows, None)[1].score[0, 1] == 0.5
