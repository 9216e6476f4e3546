import numpy as np
import pytest

from ism.domain.errors import InvalidInputError
from ism.fusion.shapley import shapley


def test_the_glove_game_by_hand():
    """Two left gloves, one right: a pair is worth 1. Shapley 1/6, 1/6, 4/6."""

    def pairs(owners):
        return np.asarray(float("r" in owners and len(owners) > 1))

    found = shapley(pairs, ["l1", "l2", "r"])
    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        {"l1": 1 / 6, "l2": 1 / 6, "r": 4 / 6}
    )


def test_an_additive_game_gives_each_its_own_and_values_each_set_once():
    worth = {"a": np.asarray([1.0, 2.0]), "b": np.asarray([3.0, -1.0]), "c": np.asarray([0.0, 5.0])}
    asked = []

    def value(chosen):
        asked.append(chosen)
        return np.sum([worth[name] for name in chosen], axis=0)

    found = shapley(value, list(worth))
    for name, own in worth.items():
        np.testing.assert_allclose(found[name], own)
    assert len(asked) == len(set(asked)) == 7


def test_too_many_or_none_are_refused():
    for count in (0, 9):
        with pytest.raises(InvalidInputError, match="1 to 8"):
            shapley(lambda chosen: np.zeros(1), [str(number) for number in range(count)])
