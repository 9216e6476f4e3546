"""Quantity, price and hazard of an offer against a receiver's closest need."""

import math

import numpy as np
import pytest

from ism.data.market import Market, OfferArrays, Precedents, Receivers, nace_levels
from ism.data.terms import term_fit

NAN = math.nan
EAST, NORTH = [1.0, 0.0], [0.0, 1.0]


def market(needs: list[tuple[int, list[float], list[float]]], count: int = 2) -> Market:
    """``count`` receivers with needs ``(owner, vector, [quantity, price, hazard])``, ordered by owner."""
    unknown = np.full(count, np.nan, dtype=np.float32)
    receivers = Receivers(
        ids=[str(row) for row in range(count)],
        names=[str(row) for row in range(count)],
        kinds=["company"] * count,
        nace=nace_levels([None] * count),
        latitude=unknown,
        longitude=unknown,
        countries=[""] * count,
        needs=np.asarray([need[1] for need in needs], dtype=np.float32).reshape(-1, 2),
        need_owner=np.asarray([need[0] for need in needs], dtype=np.intp),
        need_texts=["" for _ in needs],
        need_terms=np.asarray([need[2] for need in needs], dtype=np.float32).reshape(-1, 3),
    )
    none = np.zeros(0, dtype=np.float32)
    levels = nace_levels([])
    past = Precedents(
        np.zeros(0, np.intp),
        none.reshape(0, 2),
        levels,
        levels,
        levels,
        none,
        none,
        texts=[],
        references=[],
        sources=[],
    )
    return Market(receivers, past)


def offer(quantity: float = NAN, price: float = NAN, hazard: float = NAN) -> OfferArrays:
    place = np.asarray([NAN], dtype=np.float32)
    levels = nace_levels([None])
    terms = [np.asarray([value], dtype=np.float32) for value in (quantity, price, hazard)]
    return OfferArrays(np.asarray([EAST], np.float32), levels, levels, place, place, *terms)


@pytest.mark.parametrize(
    ("asked", "offered", "expected"),
    [
        ([100.0, NAN, NAN], offer(quantity=25.0), [0.75, 1.0, 1.0]),  # 0.5 + 0.5 * sqrt(1/4)
        ([100.0, NAN, NAN], offer(quantity=400.0), [0.75, 1.0, 1.0]),  # too much fits as badly as too little
        ([NAN, 20.0, NAN], offer(price=40.0), [1.0, math.exp(-1.0), 1.0]),
        ([NAN, 20.0, NAN], offer(price=5.0), [1.0, 1.0, 1.0]),  # cheaper than asked for is no fault
        ([NAN, 0.0, NAN], offer(price=1000.0), [1.0, 0.05, 1.0]),  # never ruled out for good
        ([NAN, NAN, 0.0], offer(hazard=1.0), [1.0, 1.0, 0.05]),
        ([NAN, NAN, 1.0], offer(hazard=1.0), [1.0, 1.0, 1.0]),
        ([NAN, NAN, 0.0], offer(), [1.0, 1.0, 1.0]),  # what is not known does not count
    ],
)
def test_each_term_by_hand(asked: list[float], offered: OfferArrays, expected: list[float]) -> None:
    fit = term_fit(market([(0, EAST, asked)]), offered)
    assert fit[0, 0] == pytest.approx(expected, rel=1e-6)
    assert fit[0, 1].tolist() == [1.0, 1.0, 1.0]


def test_only_the_closest_need_counts() -> None:
    needs = [(0, EAST, [NAN, NAN, 1.0]), (0, NORTH, [NAN, NAN, 0.0]), (1, NORTH, [NAN, NAN, 0.0])]
    fit = term_fit(market(needs), offer(hazard=1.0))
    assert fit[0, :, 2].tolist() == [1.0, 1.0]  # receiver 0 takes this; receiver 1 asks for something else


def test_rows_say_the_same_as_all() -> None:
    built = market([(0, EAST, [NAN, NAN, 0.0]), (2, EAST, [10.0, NAN, NAN])], count=3)
    rows = np.asarray([2, 0], dtype=np.intp)
    some, everyone = term_fit(built, offer(10.0, NAN, 1.0), rows), term_fit(built, offer(10.0, NAN, 1.0))
    np.testing.assert_array_equal(some, everyone[:, rows])
