"""Quality on matured labels: accuracy by hand, its interval, calibration, coverage, latency, and what it rests on."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from judging import Desk

from ism.domain.retraining import Deployment, LedgerEntry, ModelVersion
from ism.feedback.evidence import matured_labels
from ism.feedback.limits import FeedbackRules
from ism.monitoring.metrics import points
from ism.monitoring.quality import FUSION, QualityMeter, model_quality
from ism.monitoring.requests import EngineTimes
from ism.storage import open_sqlite

NOW = datetime.now(UTC)
SECOND = 1 / np.log2(3)  # nDCG of a right receiver in the second place


@pytest.fixture
def desk(tmp_path):
    with open_sqlite(tmp_path) as store:
        opened = Desk(store)
        opened.now = NOW - timedelta(days=1)
        yield opened


def judged(desk, number, second=0):
    """Lists of three whose first receiver took the offer and whose second failed; in some it is the other way round."""
    for request in range(number):
        desk.show(f"q{request}", scores=None if request % 2 else {"matching": 0.6})
        good, bad = (2, 1) if request < second else (1, 2)
        desk.send(
            desk.outcome(f"q{request}/{good}", "delivered", source="system"),
            desk.outcome(f"q{request}/{bad}", "failed", source="system"),
        )
    desk.judge.judge()
    return matured_labels(desk.store, desk.rules, as_of=desk.now)


def test_accuracy_interval_and_calibration_are_those_by_hand(desk):
    found = model_quality(judged(desk, 40, second=10), FUSION)
    values = np.asarray([SECOND] * 10 + [1.0] * 30)
    half = 1.959964 * values.std(ddof=1) / np.sqrt(40)
    assert found.n == 40
    assert found.accuracy == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half))
    assert found.coverage == 1.0


def test_the_calibration_error_is_that_by_hand(desk):
    # Every first place (score 1/2) is good and every second (1/3) bad; one bin of fifteen mixes both.
    found = model_quality(judged(desk, 40), FUSION)
    assert found.calibration == pytest.approx((1 / 2 + 1 / 3) / 2, abs=0.5 / 15)


def test_an_engine_is_judged_where_it_took_part(desk):
    labels = judged(desk, 40)
    assert model_quality(labels, "knowledge_graph").coverage == 0.5
    assert model_quality(labels, "matching").coverage == 1.0
    absent = model_quality(labels, "gnn")
    assert (absent.accuracy, absent.coverage, absent.calibration) == (None, 0.0, None)


def test_too_few_requests_say_so(desk):
    found = model_quality(judged(desk, 19), FUSION)
    assert found.accuracy is None
    assert found.missing.startswith("19 requests")
    assert model_quality(judged(desk, 0).take(np.zeros(0, np.intp)), FUSION).coverage is None


def test_an_hour_is_measured_with_its_estimate_and_latency(desk):
    judged(desk, 40)
    desk.now = NOW - timedelta(minutes=30)
    for request in range(25):
        desk.show(f"fresh{request}")
    times = EngineTimes()
    meter = QualityMeter(desk.store, FeedbackRules(), ["matching", "gnn"], times.totals)
    times.add({"matching": 0.010})
    found = {point.name: point.mean for point in meter.measure(NOW)}
    assert found["model.accuracy:fusion"] == 1.0
    assert found["model.throughput:matching"] == 25 / 3600
    assert found["model.confidence:fusion"] == 0.5
    assert 0.010 <= found["model.latency:matching"] <= 0.0119
    assert 0.5 <= found["model.estimate:fusion"] <= 1.0
    assert "model.latency:gnn" not in found
    assert "model.accuracy:gnn" not in found
    times.add({"matching": 1.0})
    again = {point.name: point.mean for point in meter.measure(NOW)}
    assert again["model.latency:matching"] >= 1.0  # only what came since


def test_it_is_measured_once_an_hour(desk):
    meter = QualityMeter(desk.store, FeedbackRules(), ["matching"])
    for minutes in (0, 59, 61):
        meter.turn(NOW - timedelta(hours=2) + timedelta(minutes=minutes))
    since = NOW - timedelta(hours=3)
    assert len(desk.store.monitoring.metrics(["model.n:matching"], since, NOW, 60)) == 2


def add_version(store, number, at):
    values = (f"v{number}", "matching", number, "0" * 64, {}, "0" * 64, "1", {}, 0, None, None, "PASS", {}, at)
    return store.retraining.add_version(ModelVersion(*values)).version_id


def deploy(store, generation, action, before, after, at):
    entry = LedgerEntry("matching", generation, action, before, after, "somebody", "better", at)
    store.retraining.deploy(entry, Deployment("matching", generation, after, before))


def test_quality_is_told_as_a_share_of_that_at_promotion(desk):
    labels = judged(desk, 40, second=40)
    store, at = desk.store, NOW - timedelta(days=3)
    deploy(store, 1, "promote", None, add_version(store, 1, at), at)
    assert model_quality(labels, "matching").accuracy is not None
    meter = QualityMeter(store, FeedbackRules(), ["matching"])
    assert "model.relative_quality:matching" not in {point.name for point in meter.measure(NOW)}
    store.monitoring.add_metrics(points({"model.accuracy:matching": 0.9}, at), at + timedelta(hours=2))
    found = {point.name: point.mean for point in meter.measure(NOW)}
    assert found["model.relative_quality:matching"] == pytest.approx(found["model.accuracy:matching"] / 0.9)


def test_after_a_rollback_quality_is_told_against_the_version_that_answers_again(desk):
    judged(desk, 40, second=40)
    store, days = desk.store, timedelta(days=1)
    for number, (ago, accuracy) in enumerate([(20, 0.9), (10, 0.5)], 1):
        at = NOW - ago * days
        deploy(store, number, "promote", f"v{number - 1}" if number > 1 else None, add_version(store, number, at), at)
        store.monitoring.add_metrics(points({"model.accuracy:matching": accuracy}, at), at + timedelta(hours=2))

    def against():
        found = {point.name: point.mean for point in QualityMeter(store, FeedbackRules(), ["matching"]).measure(NOW)}
        return found["model.accuracy:matching"] / found["model.relative_quality:matching"]

    assert against() == pytest.approx(0.5)
    deploy(store, 3, "rollback", "v2", "v1", NOW - days)
    assert against() == pytest.approx(0.9)
