"""What learners read, on a real database."""

from datetime import timedelta
from random import Random

import numpy as np
import pytest
from judging import DAY, START, Desk

from ism.feedback.evidence import matured_labels
from ism.feedback.limits import FeedbackRules
from ism.feedback.quarantine import QuarantineRules
from ism.storage import open_sqlite

ALL = FeedbackRules(quarantine=QuarantineRules(burst=10_000))


@pytest.fixture
def desk(store):
    return Desk(store, ALL)


def test_columns_of_a_small_market(desk):
    desk.show("q1", scores={"matching": 0.8, "gnn": 0.3})
    desk.show("q2", scores={"matching": 0.6})
    desk.now += DAY
    desk.send(
        desk.outcome("q1/2", "delivered", source="system"),
        desk.outcome("q2/1", "rejected", "ann", company_id="acme"),
        desk.outcome("q2/3", "opened", "ann"),
    )
    desk.judge.judge()
    found = matured_labels(desk.store, ALL, as_of=desk.now)
    by_name = dict(zip(found.recommendation_id, range(len(found)), strict=True))
    assert set(by_name) == {"q1/2", "q2/1"}
    seen, said = by_name["q1/2"], by_name["q2/1"]
    assert found.label[[seen, said]].tolist() == [1.0, 0.0]
    assert found.request_id[[seen, said]].tolist() == ["q1", "q2"]
    assert found.rank[[seen, said]].tolist() == [2, 1]
    assert found.engine_scores["matching"][[seen, said]].tolist() == [0.8, 0.6]
    assert found.engine_scores["gnn"][seen] == 0.3
    assert np.isnan(found.engine_scores["gnn"][said])
    assert found.actor[[seen, said]].tolist() == ["system", "ann"]
    assert found.company[said] == "acme"
    assert found.trust_weight[[seen, said]] == pytest.approx([1.0, 0.12])
    assert found.exposure_weight[[seen, said]] == pytest.approx([2.0, 1.0])
    assert found.weight == pytest.approx(found.trust_weight * found.censoring_weight * found.exposure_weight)
    assert found.matured_at.dtype == np.dtype("datetime64[us]")


def test_since_and_as_of(desk):
    desk.show("q1")
    desk.send(desk.outcome("q1/1", "accepted", source="external"))
    desk.judge.judge()
    first = matured_labels(desk.store, ALL, as_of=desk.now)
    then, desk.now = desk.now, desk.now + DAY
    desk.send(desk.outcome("q1/1", "failed", source="external"), desk.outcome("q1/2", "delivered", source="external"))
    desk.judge.judge()
    newer = matured_labels(desk.store, ALL, as_of=desk.now, since=int(first.version.max()))
    assert dict(zip(newer.recommendation_id, newer.label, strict=True)) == {"q1/1": 0.0, "q1/2": 1.0}
    again = matured_labels(desk.store, ALL, as_of=then)
    for name in ("version", "label", "weight", "recommendation_id"):
        assert getattr(again, name).tolist() == getattr(first, name).tolist()
    assert len(matured_labels(desk.store, ALL, as_of=desk.now, since=10**9)) == 0
    assert len(matured_labels(desk.store, ALL, as_of=START - DAY)) == 0


def test_nobody_holds_more_than_a_share(desk):
    for number in range(40):
        desk.show(f"q{number}", receivers=[f"r{number}"])
        actor = "loud" if number < 20 else f"a{number}"
        desk.send(desk.outcome(f"q{number}/1", "accepted", actor, company_id=f"c-{actor}"))
    desk.judge.judge()
    found = matured_labels(desk.store, ALL, as_of=desk.now)
    loud = found.actor == "loud"
    assert found.weight[loud].sum() <= 2 / 21 * found.weight.sum() * (1 + 1e-6)
    assert (found.weight[~loud] == found.trust_weight[~loud]).all()


def test_weights_make_up_for_slow_yeses(tmp_path):
    """A market whose yeses take longer than its noes, watched while most are still open (simulated)."""
    random = Random(3)
    with open_sqlite(tmp_path / "data") as store:
        desk = Desk(store, FeedbackRules(horizon=timedelta(days=40), quarantine=QuarantineRules(burst=10**6)))
        due, answers = [], []
        for number in range(1500):
            shown = START + timedelta(days=60 * random.random())
            good = random.random() < 0.4
            days = random.expovariate(1 / 15) if good else random.expovariate(1 / 4)
            answers += desk.answer(f"q{number}", ["r"], at=shown)
            due.append((shown + timedelta(days=days), number, "delivered" if good and days <= 40 else "failed"))
            due.append((shown + timedelta(minutes=1), number, "opened"))
        store.log_recommendations(answers)
        end = START + timedelta(days=60)
        due.sort()
        for day in range(1, 61):
            desk.now = START + timedelta(days=day)
            now_due = [item for item in due if desk.now - DAY < item[0] <= desk.now]
            desk.send(*(desk.outcome(f"q{number}/1", what, source="system") for _, number, what in now_due))
            desk.judge.judge()
        found = matured_labels(store, desk.rules, as_of=end)
        truth = np.mean([what == "delivered" for _, _, what in due if what != "opened"])
        plain = found.label.mean()
        weight = found.censoring_weight
        assert abs((weight * found.label).sum() / weight.sum() - truth) < abs(plain - truth) / 2
        assert plain < truth - 0.02
