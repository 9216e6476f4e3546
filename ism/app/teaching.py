"""From labels to the fusion: adaptive weights that follow each recommendation once, and models learnt in batch."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import numpy as np

from ism.domain.errors import ConflictError
from ism.domain.fusion import MaturedOutcomes
from ism.fusion.layer import LEAST_OUTCOMES
from ism.fusion.weighted_sum import DEFAULT_WEIGHTS

if TYPE_CHECKING:
    from ism.domain.engine import FusionModel
    from ism.feedback.evidence import MaturedLabels
    from ism.feedback.loop import FeedbackLoop
    from ism.fusion.layer import AIFusionLayer
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


def outcomes_of(labels: MaturedLabels) -> MaturedOutcomes:
    """Labels as the fusion takes them: without those that weigh nothing or that no weighed engine spoke about."""
    scores = {name: values for name, values in labels.engine_scores.items() if name in DEFAULT_WEIGHTS}
    spoken = np.zeros(len(labels), bool)
    for values in scores.values():
        spoken |= ~np.isnan(values)
    rows = np.flatnonzero(spoken & (labels.weight > 0))
    return MaturedOutcomes(
        recommendation_id=[str(name) for name in labels.recommendation_id[rows]],
        scores={name: values[rows] for name, values in scores.items()},
        label=labels.label[rows],
        weight=np.minimum(labels.weight[rows], 1.0),
        matured_at=[moment.replace(tzinfo=UTC) for moment in labels.matured_at[rows].tolist()],
    )
