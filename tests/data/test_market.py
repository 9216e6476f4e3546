import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ism.data.market import distance_km, ewc_levels, nace_levels, offer_arrays, top_rows
from ism.domain.market import Offer
from ism.testing.sample import WordEncoder, sample

CITIES = {
    "London": (51.5074, -0.1278),
    "Paris": (48.8566, 2.3522),
    "New York": (40.7128, -74.0060),
    "Sydney": (-33.8688, 151.2093),
    "Auckland": (-36.8485, 174.7633),
    "Honolulu": (21.3069, -157.8583),
}


@pytest.mark.parametrize(
    ("start", "end", "km"),
    [
        ("London", "Paris", 344),
        ("London", "New York", 5570),
        ("Sydney", "Auckland", 2156),
        ("Auckland", "Honolulu", 7085),
    ],
)
def test_distances_between_cities(start, end, km):
    """Published great-circle distances, one pair across the date line; the ellipsoid differs by up to 0.5 %."""
    (latitude, longitude), (there, away) = CITIES[start], CITIES[end]
    found = distance_km(latitude, longitude, np.float32([there]), np.float32([away]))
    assert found.dtype == np.float32
    assert found[0] == pytest.approx(km, rel=0.006)
    back = distance_km(there, away, np.float32([latitude]), np.float32([longitude]))
    assert back[0] == pytest.approx(found[0], rel=1e-5)


def test_distances_at_the_edges():
    quarter = np.pi / 2 * 6371.0088
    latitudes = np.float32([0, 90, -90, 0, 0, np.nan, 0])
    longitudes = np.float32([0, 123, 5, 180, 360, 0, np.nan])
    expected = [0, quarter, quarter, 2 * quarter, 0, np.nan, np.nan]
    np.testing.assert_allclose(distance_km(0.0, 0.0, latitudes, longitudes), expected, rtol=1e-6, atol=0.01)
    assert np.isnan(distance_km(np.nan, 0.0, latitudes, longitudes)).all()


@pytest.mark.parametrize(
    ("code", "levels"),
    [
        ("23.51", [23, 235, 2351]),
        ("01.11", [1, 11, 111]),
        ("23.5", [23, 235, -1]),
        ("23", [23, -1, -1]),
        (None, [-1, -1, -1]),
        ("", [-1, -1, -1]),
        ("C", [-1, -1, -1]),
    ],
)
def test_nace_levels(code, levels):
    found = nace_levels([code])
    assert found.tolist() == [levels]
    assert found.dtype == np.int32


@pytest.mark.parametrize(
    ("code", "levels"),
    [
        ("10 01 02", [10, 1001, 100102]),
        ("01 03 09", [1, 103, 10309]),
        ("10 01", [10, 1001, -1]),
        ("10", [10, -1, -1]),
        (None, [-1, -1, -1]),
    ],
)
def test_ewc_levels(code, levels):
    assert ewc_levels([code]).tolist() == [levels]


def test_no_codes_keep_their_columns():
    assert nace_levels([]).shape == ewc_levels([]).shape == (0, 3)


FLOATS = st.floats(-1, 1, width=32).map(lambda value: round(value, 1))  # rounded, so that there are many ties


@settings(max_examples=200, deadline=None)
@given(arrays.arrays(np.float32, st.integers(0, 60), elements=FLOATS), st.integers(-1, 70))
@example(np.zeros(5, dtype=np.float32), 0)
def test_top_rows_are_the_largest(values, count):
    _expect_largest(values, count)


@pytest.mark.parametrize("count", [1, 120, 5_000, 19_999, 20_000, 20_001])
@pytest.mark.parametrize("kind", ["spread", "ties", "equal", "ascending", "few"])
def test_top_rows_of_long_arrays(kind, count):
    """Long arrays go another way: by a bound that a sample tells."""
    rng = np.random.default_rng(4)
    values = {
        "spread": rng.normal(size=20_000),
        "ties": rng.integers(0, 3, 20_000),
        "equal": np.ones(20_000),
        "ascending": np.arange(20_000),
        "few": np.where(np.arange(20_000) % 9_001 == 9_000, 1.0, 0.0),
    }[kind].astype(np.float32)
    _expect_largest(values, count)


def _expect_largest(values, count):
    rows = top_rows(values, count)
    assert rows.dtype == np.intp
    assert len(np.unique(rows)) == len(rows) == min(max(count, 0), len(values))
    assert sorted(values[rows], reverse=True) == sorted(values, reverse=True)[: len(rows)]


def test_keeping_precedents_keeps_their_columns_together():
    market = sample(WordEncoder()).built.market
    rows = np.asarray([0, 3, 4, 20], dtype=np.intp)
    kept = market.keeping(rows)
    assert kept.receivers is market.receivers
    assert kept.generation == market.generation
    for name in market.precedents.__slots__:
        before, now = getattr(market.precedents, name), getattr(kept.precedents, name)
        assert type(now) is type(before)
        np.testing.assert_array_equal(np.asarray(now), np.asarray(before)[rows])
    assert len(market.keeping(rows[:0]).precedents) == 0


def test_offers_as_columns():
    known = Offer("slag", "dry", "10 02 01", 5.0, -1.0, True, "24.10", "DE", 51.5, 7.0)
    columns = offer_arrays([known, Offer("ash")], encoder := WordEncoder())
    assert len(columns) == 2
    np.testing.assert_array_equal(columns.vectors, encoder.encode(["slag. dry", "ash"]))
    assert columns.ewc.tolist() == [[10, 1002, 100201], [-1] * 3]
    assert columns.nace.tolist() == [[24, 241, 2410], [-1] * 3]
    np.testing.assert_array_equal(columns.latitude, np.float32([51.5, np.nan]))
    np.testing.assert_array_equal(columns.quantity, np.float32([5.0, np.nan]))
    swapped = columns.take(np.asarray([1, 0]))
    np.testing.assert_array_equal(swapped.vectors, columns.vectors[::-1])
    np.testing.assert_array_equal(swapped.longitude, np.float32([np.nan, 7.0]))
