import numpy as np
import pytest
from receivers_of_needs import receivers

from ism.data import nearest


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def clustered(count, dimension=48, seed=0):
    """Texts are no white noise: most of their length lies on a few axes."""
    rng = np.random.default_rng(seed)
    return unit(rng.normal(size=(count, dimension)) * 0.8 ** np.arange(dimension))


@pytest.mark.parametrize("needs", [clustered(25_000), unit(np.random.default_rng(1).normal(size=(25_000, 48)))])
def test_exactly_the_closest_are_found_whatever_the_axes_tell(needs):
    home = receivers(needs)
    for vector in (*clustered(20, seed=2), *unit(np.random.default_rng(3).normal(size=(5, 48)))):
        found = nearest.closest_needs(home, vector, 50)
        cosine = needs @ vector
        assert len(set(found.tolist())) == 50
        assert np.sort(cosine[found]) == pytest.approx(np.sort(cosine)[-50:], abs=1e-6)


def test_few_of_the_needs_are_compared_in_full(monkeypatch):
    needs = clustered(25_000)
    home, seen = receivers(needs), []
    whole = nearest.top_rows
    monkeypatch.setattr(nearest, "top_rows", lambda values, count: seen.append(len(values)) or whole(values, count))
    nearest.closest_needs(home, clustered(1, seed=2)[0], 50)
    assert seen[0] == 25_000  # the short product
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] < 25_000 // 20


@pytest.mark.parametrize("count", [0, 1, 10, 200])
def test_small_markets_and_equal_needs(count):
    needs = np.repeat(clustered(10), 10, axis=0)
    found = nearest.closest_needs(receivers(needs), clustered(1, seed=2)[0], count)
    assert len(found) == min(count, 100)


def test_equal_needs_in_a_large_market():
    needs = np.repeat(clustered(25), 1_000, axis=0)
    found = nearest.closest_needs(receivers(needs), needs[0], 80)
    assert len(set(found.tolist())) == 80
    assert (needs[found] @ needs[0]) == pytest.approx(np.ones(80), abs=1e-5)


def test_texts_without_meaning_are_close_to_nothing():
    needs = clustered(25_000)
    assert len(nearest.closest_needs(receivers(needs), np.zeros(48, np.float32), 20)) == 20
    assert len(nearest.closest_needs(receivers(0 * needs), needs[0], 20)) == 20
    assert len(nearest.closest_needs(receivers(needs), needs[0], 0)) == 0
