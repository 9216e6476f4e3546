"""Drift: without any, false alarms stay within the stated rate; a planted shift is found in its window."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.stats import chisquare

from ism.domain.market import Recommendation
from ism.monitoring.drift import MONTHLY_RATE, DriftWatch, find_drift, window_end
from ism.storage import open_sqlite

FEATURES, PER_DAY = 6, 20
CHAPTERS = ("10", "03", "02", "19", "07", "16", "01")  # of the List of Waste, from the commonest to the rarest
USUAL = np.asarray([0.4, 0.25, 0.15, 0.1, 0.06, 0.03, 0.01])


def window(random, days, shift=0.0):
    common = random.normal(size=(days * PER_DAY, 1))
    values = 0.5 * common + random.normal(size=(days * PER_DAY, FEATURES))
    values[:, 0] += shift
    kinds = random.choice(CHAPTERS, days * PER_DAY, p=USUAL)
    return {**{f"feature{number}": values[:, number] for number in range(FEATURES)}, "kind": kinds}


def joined(windows):
    return {name: np.concatenate([each[name] for each in windows]) for name in windows[0]}


def alarm_in_month(random):
    """Five windows of seven days, each against the four before it."""
    weeks = [window(random, 7) for _ in range(9)]
    return any(each.drifted for end in range(4, 9) for each in find_drift(joined(weeks[end - 4 : end]), weeks[end]))


def most_alarms(months):
    """More happen by chance in one of a thousand such runs at the stated rate."""
    from scipy.stats import binom

    return binom.ppf(0.999, months, MONTHLY_RATE)


def test_no_drift_raises_few_alarms():
    random = np.random.default_rng(11)
    assert sum(alarm_in_month(random) for _ in range(40)) <= most_alarms(40)


@pytest.mark.slow
def test_no_drift_raises_at_most_the_stated_rate_over_500_months():
    random = np.random.default_rng(12)
    assert sum(alarm_in_month(random) for _ in range(500)) / 500 <= MONTHLY_RATE


def test_a_planted_shift_is_found_in_its_window_and_named():
    random = np.random.default_rng(13)
    hits = 0
    for _ in range(20):
        found = find_drift(joined([window(random, 7) for _ in range(4)]), window(random, 7, shift=1.0))
        hits += [each.name for each in found if each.drifted] == ["feature0"]
    assert hits >= 19


def test_too_few_requests_say_so():
    random = np.random.default_rng(14)
    (found,) = find_drift({"score": random.normal(size=500)}, {"score": random.normal(size=5)})
    assert found.p_value is None
    assert "50 are needed" in found.missing


def test_a_shift_of_kinds_is_found_with_its_total_variation_and_rare_kinds_are_one():
    before, after = np.repeat(["a", "b", "c", "d"], [50, 45, 4, 1]), np.repeat(["a", "b", "c", "e"], [30, 65, 4, 1])
    (found,) = find_drift({"kind": before}, {"kind": after})
    assert found.distance == pytest.approx(0.2)  # 20 of 100 went from a to b; c, d and e are 5 and 5
    assert found.p_value == pytest.approx(chisquare([30, 65, 5, 50, 45, 5], [40, 55, 5, 40, 55, 5], 3).pvalue)
    assert not find_drift({"kind": before}, {"kind": before})[0].drifted
    assert find_drift({"kind": np.repeat("a", 60)}, {"kind": np.repeat("a", 60)})[0].p_value == 1.0


NOW = datetime.now(UTC)
END = window_end(NOW)
WEEKS = range(5)  # the last one is compared with the four before it


@pytest.fixture
def store(tmp_path):
    with open_sqlite(tmp_path) as opened:
        yield opened


def offered(random, chapters=USUAL, quantity=500.0, section="24.10"):
    offer = {
        "material": "slag" if random.random() < 0.5 else "mixed ashes",
        "ewc": f"{random.choice(CHAPTERS, p=chapters)} 01 01",
        "quantity_t_per_year": float(quantity * random.lognormal()),
        "nace": section if random.random() < 0.7 else "C",
        "country": str(random.choice(["DE", "FR"])),
        "latitude": float(random.uniform(45, 55)),
    }
    return {name: value for name, value in offer.items() if name == "material" or random.random() < 0.9}


def ask(store, random, week, **shift):
    for request in range(7 * PER_DAY):
        at = END - timedelta(days=7 * (len(WEEKS) - week)) + timedelta(days=7 * random.random())
        score, offer, name = random.uniform(0.2, 0.8), offered(random, **shift), f"{week}-{request}"
        store.log_recommendations(
            [
                Recommendation(f"{name}-{rank}", name, rank, "company", f"r{rank}", score / rank, 0.5, 1.0,
                               {"matching": score}, offer=offer, created_at=at)
                for rank in (1, 2)
            ]
        )  # fmt: skip


def compared(store, seed, **shift):
    """What a turn finds after four weeks as usual and a last one with a shift."""
    random = np.random.default_rng(seed)
    for week in WEEKS:
        ask(store, random, week, **(shift if week == WEEKS[-1] else {}))
    DriftWatch(store).turn(NOW)
    return DriftWatch(store).latest()


def drifted(found):
    return {each["name"] for each in found["features"] if each["drifted"]}


def test_a_turn_without_a_shift_compares_every_feature_and_finds_none(store):
    found = compared(store, 21)
    assert drifted(found) == set()
    assert (found["since"], found["until"]) == ((END - timedelta(days=7)).isoformat(), END.isoformat())
    of = {each["name"]: each for each in found["features"]}
    assert set(of) == {
        "characters_of_text", "confidence", "donor_country", "donor_latitude", "donor_longitude", "donor_sector",
        "engine:matching", "fields_stated", "final_score", "hazardous", "price_eur_per_t", "quantity_t_per_year",
        "recommendations_per_request", "waste_chapter",
    }  # fmt: skip
    assert {(of[name]["n"], of[name]["n_reference"]) for name in ("waste_chapter", "final_score")} == {(140, 560)}
    assert "0 requests in the window" in of["price_eur_per_t"]["missing"]


@pytest.mark.parametrize(
    ("shift", "named"),
    [
        ({"chapters": USUAL[::-1]}, {"waste_chapter"}),
        ({"quantity": 5000.0}, {"quantity_t_per_year"}),
        ({"section": "01.11"}, {"donor_sector"}),
    ],
)
def test_a_turn_names_what_of_the_offers_has_shifted(store, shift, named):
    assert drifted(compared(store, 22, **shift)) == named


def test_a_window_is_compared_once_and_the_next_one_anew(store):
    before = compared(store, 23)
    ask(store, np.random.default_rng(24), WEEKS[-1] + 1, quantity=5000.0)
    watch = DriftWatch(store)
    watch.turn(END + timedelta(days=6))
    assert watch.latest() == before
    watch.turn(END + timedelta(days=7))
    assert watch.latest()["since"] == before["until"]
    assert drifted(watch.latest()) == {"quantity_t_per_year"}
