import pytest

from ism.feedback.signals import latest_ratings, limited_volume, negative_share, unit_mean


def test_one_loud_actor_has_a_limited_part_in_the_volume():
    assert limited_volume({"loud": 5000, "a": 3, "anonymous": 40, "system": 7}, 100, 0.2) == 20 + 3 + 40 + 7


def test_and_in_the_ratings():
    ratings = [("loud", 1.0)] * 30 + [("a", 5.0), ("anonymous", 4.0), ("anonymous", 2.0)]
    assert latest_ratings(ratings, 10, 0.2) == [1.0, 1.0, 5.0, 4.0, 2.0]
    assert latest_ratings(ratings, 3, 0.5) == [1.0, 1.0, 5.0]


def test_shares_and_means_by_hand():
    assert negative_share([1, 2, 3, 4, 5]) == pytest.approx(0.4)
    assert unit_mean([1, 1]) == 0.0
    assert unit_mean([5]) == 1.0
    assert unit_mean([3, 4]) == pytest.approx(0.625)
