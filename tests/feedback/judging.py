"""A market of requests and events on a real store, with a clock that stands still until it is moved."""

import json
from datetime import UTC, datetime, timedelta

from ism.domain.market import Recommendation
from ism.feedback.judge import Judge
from ism.feedback.limits import FeedbackRules
from ism.feedback.review import Review
from ism.feedback.triggering import Triggering
from ism.storage import NewEvent

START = datetime(2026, 6, 3, 12, tzinfo=UTC)  # a Wednesday
DAY = timedelta(days=1)


class Desk:
    """Everything that judges, on one store and one clock."""

    def __init__(self, store, rules=None, reader=None, models=("matching",)):
        self.store, self.now, self.count = store, START, 0
        self.rules = rules = rules or FeedbackRules()
        self.judge = Judge(store, rules, lambda: self.now, reader)
        self.triggering = Triggering(store, rules, lambda: self.now, models)
        self.review = Review(store, rules, lambda: self.now)

    def show(self, request, receivers=("r0", "r1", "r2"), **more):
        self.store.log_recommendations(self.answer(request, receivers, **more))

    def answer(self, request, receivers, ewc="10 01 02", at=None, scores=None):
        return [
            Recommendation(
                recommendation_id=f"{request}/{rank}",
                request_id=request,
                rank=rank,
                receiver_kind="company",
                receiver_id=receiver,
                final_score=1.0 / (rank + 1),
                confidence=0.5,
                propensity=1.0,
                engine_scores=scores or {"matching": 0.9 / rank, "knowledge_graph": 0.1 * rank},
                offer={"material": "ash", "ewc": ewc},
                created_at=at or self.now,
            )
            for rank, receiver in enumerate(receivers, 1)
        ]  # fmt: skip

    def event(self, kind, recommendation=None, actor=None, source="user", at=None, model=None, **data):
        self.count += 1
        return NewEvent(
            event_id=f"e{self.count:06}",
            idempotency_key=None,
            digest=f"d{self.count}",
            event_type=kind,
            source=source,
            data=json.dumps({**data, **({"actor_id": actor} if actor else {})}),
            metadata="{}",
            priority=3,
            event_time=at or self.now,
            recommendation_id=recommendation,
            actor_id=actor,
            model_name=model,
        )

    def outcome(self, recommendation, outcome, actor=None, **more):
        return self.event("match_outcome", recommendation, actor, outcome=outcome, **more)

    def rating(self, rating, recommendation=None, actor=None, model="matching", **more):
        return self.event("user_feedback", recommendation, actor, model=model, rating=rating, **more)

    def send(self, *events):
        assert set(self.store.feedback.append(list(events), [], self.now)) <= {"stored"}
        return [item.event_id for item in events]

    def label(self, recommendation):
        history = self.review.label_history(recommendation)
        return history[-1] if history else None
