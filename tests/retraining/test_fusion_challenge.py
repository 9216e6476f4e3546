"""A fusion model that was learnt from outcomes passes the gate where it is better, and only there."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ism.domain.errors import ConflictError
from ism.domain.judgement import Label
from ism.domain.market import Recommendation
from ism.feedback.evidence import matured_labels
from ism.feedback.limits import FeedbackRules
from ism.fusion.layer import OUTCOME_MODEL
from ism.fusion.methods import DEFAULT_MODEL
from ism.fusion.registry import FusionRegistry
from ism.retraining.comparison import GatePolicy
from ism.retraining.fusion_challenge import NAME, challenge

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
QUICK = GatePolicy(draws=300)
LATER = NOW + timedelta(days=300)


@pytest.fixture
def lived(store):
    """Sixteen weeks of lists, of whose engines one knows the truth as well as is said and the others guess."""

    def live(knowing, requests=240, seed=0):
        rng = np.random.default_rng(seed)
        labels, shown = [], []
        for number in range(requests):
            at = NOW + timedelta(hours=12 * number)
            for rank in range(1, 7):
                good = float(rng.random() < 0.4)
                said = {name: float(rng.uniform(0.05, 0.95)) for name in ("matching", "knowledge_graph", "federated")}
                said["gnn"] = float(np.clip(knowing * good + (1 - knowing) * rng.random(), 0.02, 0.98))
                name, offer = f"q{number}/{rank}", {"company_id": f"c{number % 40}", "ewc": "10 01 02"}
                shown.append(
                    Recommendation(name, f"q{number}", rank, "company", f"k{rank}", 0.5, 0.5, 1.0, said, {}, offer, at)
                )
                known = at + timedelta(hours=6)
                who, of = f"a{number % 40}", f"c{number % 40}"
                about = {"bloc": of}
                labels.append(Label(name, known, "matured", "delivered", good, 1.0, at, known, who, of, about))
        store.log_recommendations(shown)
        with store.judging() as tables:
            tables.labels.append_labels(labels)
        return matured_labels(store, FeedbackRules(), as_of=LATER)

    return live


def test_a_better_fusion_answers_and_can_be_taken_back(store, lived):
    model, look = challenge(store, lived(knowing=0.7), QUICK, "asked", lambda: LATER)
    assert (look.verdict, look.evidence["reasons"]) == ("PASS", [])
    registry = FusionRegistry(store)
    assert registry.active().model_id == model.model_id == OUTCOME_MODEL
    better = next(check for check in look.evidence["checks"] if check["name"] == "better")
    assert better["numbers"]["challenger_mean"] > 0.7
    assert [found.report for found in store.retraining.looks(NAME)] == [look.report]
    registry.revert()
    assert registry.active().model_id == DEFAULT_MODEL


def test_the_same_request_twice_is_one_look(store, lived):
    labels = lived(knowing=0.7)
    first = challenge(store, labels, QUICK, "asked", lambda: LATER)[1]
    assert challenge(store, labels, QUICK, "asked", lambda: LATER)[1] == first
    assert len(store.retraining.looks(NAME)) == 1


def test_a_process_that_died_before_what_passed_answered_is_made_up_for(store, lived, monkeypatch):
    labels = lived(knowing=0.7)
    with monkeypatch.context() as dying:
        dying.setattr(FusionRegistry, "use", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            challenge(store, labels, QUICK, "asked", lambda: LATER)
    assert FusionRegistry(store).active().model_id == DEFAULT_MODEL
    model, look = challenge(store, labels, QUICK, "asked", lambda: LATER)
    assert (FusionRegistry(store).active().model_id, look.number) == (OUTCOME_MODEL, 1)
    FusionRegistry(store).revert(actor="somebody", reason="not now")
    challenge(store, labels, QUICK, "asked", lambda: LATER)
    assert FusionRegistry(store).active().model_id == DEFAULT_MODEL  # what was taken back stays taken back
    assert len(store.retraining.looks(NAME)) == 1
    assert model.model_id == OUTCOME_MODEL


def test_engines_that_guess_teach_nothing_that_may_answer(store, lived):
    look = challenge(store, lived(knowing=0.0), QUICK, clock=lambda: LATER)[1]
    assert look.verdict != "PASS"
    assert FusionRegistry(store).active().model_id == DEFAULT_MODEL


def test_too_few_outcomes_are_a_clear_refusal(store, lived):
    with pytest.raises(ConflictError, match=r"outcomes are older than what the gate needs; 30 are needed"):
        challenge(store, lived(knowing=0.7, requests=4), QUICK)
    assert store.retraining.looks(NAME) == []
