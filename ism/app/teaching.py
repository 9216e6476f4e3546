"""From labels to the fusion: adaptive weights that follow each recommendation once, and models learnt in batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ism.domain.errors import ConflictError
from ism.fusion.layer import LEAST_OUTCOMES
from ism.retraining import fusion_challenge
from ism.retraining.fusion_challenge import outcomes_of
from ism.retraining.opening import config_of

if TYPE_CHECKING:
    from ism.domain.engine import FusionModel
    from ism.domain.retraining import GateLook
    from ism.feedback.loop import FeedbackLoop
    from ism.fusion.layer import AIFusionLayer
    from ism.settings import Settings
    from ism.storage import Store

_TAUGHT = "fusion.taught_version"


def teach(store: Store, fusion: AIFusionLayer, loop: FeedbackLoop) -> int:
    """Move the adaptive weights by labels that matured since the last time; how many recommendations were new.

    The place in the labels is noted after the weights were stored: a crash in between repeats labels, which the fusion
    knows again by their recommendation. So each counts once, with the weight that it had when it matured.
    """
    noted = store.get_setting(_TAUGHT)
    labels = loop.labels(since=noted if isinstance(noted, int) else 0)
    if not len(labels):
        return 0
    count = fusion.observe(outcomes_of(labels))
    store.set_setting(_TAUGHT, int(labels.version.max()))
    return count


def learn(fusion: AIFusionLayer, loop: FeedbackLoop) -> FusionModel:
    """Learn a stacking of the engines from all labels that are known now; it is stored and does not become active.

    Raises:
        ConflictError: there are too few labels yet.
    """
    model = fusion.learn_stacking(outcomes_of(loop.labels()))
    if model is None:
        raise ConflictError(f"fusion: fewer than {LEAST_OUTCOMES} outcomes are known. Tell more, then try again.")
    return model


def challenge(
    store: Store, settings: Settings, loop: FeedbackLoop, job_id: str | None = None
) -> tuple[FusionModel, GateLook]:
    """Learn a model from older outcomes; it answers from now on if it passes the gate on newer ones.

    Errors as in `ism.retraining.fusion_challenge.challenge`.
    """
    return fusion_challenge.challenge(store, loop.labels(), config_of(settings).gate, job_id)
