"""What learners read: matured labels with their weights and what each engine had said, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ism.domain.judgement import Exposure, Label
from ism.feedback.assess import Numbering
from ism.feedback.censoring import censoring_weights
from ism.feedback.exposure import exposure_weights, fit_examination, power_law
from ism.feedback.influence import capped_influence
from ism.feedback.ladder import RUNG, Floats, Ints
from ism.feedback.limits import FeedbackRules
from ism.storage import Store

if TYPE_CHECKING:
    from ism.storage.judgement import Judgements

Names = npt.NDArray[np.object_]
Times = npt.NDArray[np.datetime64]

_LEAST_OPENED = 200  # openings below which the examination model stays the power law
_RANKS = 100


@dataclass(frozen=True)
class MaturedLabels:
    """``n`` labels, in order of version.

    Attributes:
        version: ``[n]`` of the label; the largest one is where the next reader starts.
        recommendation_id: ``[n]``.
        request_id: ``[n]`` labels of one request were shown together.
        rank: ``[n]`` where it was shown, from 1 on.
        engine_scores: engine -> ``[n]`` its calibrated score as it was logged; NaN where it took no part.
        final_score: ``[n]`` the fused score that ordered the list.
        label: ``[n]`` 1 good, 0 bad.
        weight: ``[n]`` what a learner should weigh it with: the product of the next three, with the influence of each
            actor and company capped.
        trust_weight: ``[n]`` of the evidence, 0..1.
        censoring_weight: ``[n]`` inverse probability of not being censored, 1 or more.
        exposure_weight: ``[n]`` inverse of propensity times examination, 1 or more.
        matured_at: ``[n]`` UTC, microseconds.
        actor: ``[n]`` whose word weighed most; None where silence decided.
        company: ``[n]`` its company; None as above.
    """

    version: Ints
    recommendation_id: Names
    request_id: Names
    rank: Ints
    engine_scores: dict[str, Floats]
    final_score: Floats
    label: Floats
    weight: Floats
    trust_weight: Floats
    censoring_weight: Floats
    exposure_weight: Floats
    matured_at: Times
    actor: Names
    company: Names

    def __len__(self) -> int:
        return len(self.version)

    def take(self, chosen: npt.NDArray[np.bool_] | Ints) -> MaturedLabels:
        """Some of them."""
        parts: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self)}
        scores = {name: column[chosen] for name, column in parts.pop("engine_scores").items()}
        return MaturedLabels(engine_scores=scores, **{name: column[chosen] for name, column in parts.items()})


def matured_labels(store: Store, rules: FeedbackRules, *, as_of: datetime, since: int = 0) -> MaturedLabels:
    """The labels that were known at a moment, with weights that make them stand for all that was shown.

    Whatever is written later, the answer for a moment in the past stays the same.

    Args:
        store: holds labels and what was shown.
        rules: horizon and caps.
        as_of: the moment; a recommendation that was unresolved then is censored, whatever became of it.
        since: only labels with a greater version; weights are those among all labels all the same.
    """
    with store.judging(write=False) as tables:
        labels = tables.labels.labels_up_to(tables.labels.last_version(as_of))
        matured = [item for item in labels if item.state == "matured"]
        shown = tables.labels.exposures(item.recommendation_id for item in matured)
        examined = _examination(tables, labels, as_of, rules.window)
    weights = _censoring(labels, as_of, rules.horizon)
    found = _columns(matured, [shown[item.recommendation_id] for item in matured], weights, examined)
    return _weighted(found, matured, rules).take(found.version > since)


def _censoring(labels: Sequence[Label], as_of: datetime, horizon: timedelta) -> Floats:
    """Weights of the matured ones among all labels: a censored one has been watched until ``as_of``."""
    watched = [((item.matured_at or as_of) - item.shown_at).total_seconds() for item in labels]
    resolved = np.asarray([item.state == "matured" for item in labels], np.bool_)
    weights = censoring_weights(np.asarray(watched, np.float64), resolved, horizon.total_seconds())
    return weights[resolved]


def _examination(tables: Judgements, labels: Sequence[Label], as_of: datetime, window: timedelta) -> Floats:
    """How likely each rank was examined, from all that was shown lately; the power law while little was opened."""
    opened = {item.recommendation_id for item in labels if RUNG[item.outcome] >= RUNG["opened"]}
    usual = power_law(np.arange(1, _RANKS + 1))
    if len(opened) < _LEAST_OPENED:
        return usual
    views = tables.labels.views(as_of - window, as_of)
    rank = np.asarray([view[1] for view in views], np.intp)
    was = np.asarray([view[0] in opened for view in views], np.float64)
    fitted = fit_examination(rank, was, np.asarray([view[2] for view in views], np.float64))
    return fitted if len(fitted) else usual


def _columns(labels: Sequence[Label], shown: Sequence[Exposure], censoring: Floats, examined: Floats) -> MaturedLabels:
    engines = sorted({name for item in shown for name in item.engine_scores})
    rank = np.asarray([item.rank for item in shown], np.intp)
    trust = np.asarray([item.weight for item in labels], np.float64)
    propensity = np.asarray([item.propensity for item in shown], np.float64)
    exposure = exposure_weights(rank, propensity, examined)
    times = [(item.matured_at or item.as_of).astimezone(UTC).replace(tzinfo=None) for item in labels]
    return MaturedLabels(
        version=np.asarray([item.version for item in labels], np.intp),
        recommendation_id=_names(item.recommendation_id for item in labels),
        request_id=_names(item.request_id for item in shown),
        rank=rank,
        engine_scores={
            name: np.asarray([item.engine_scores.get(name, np.nan) for item in shown], np.float64) for name in engines
        },
        final_score=np.asarray([item.final_score for item in shown], np.float64),
        label=np.asarray([item.value for item in labels], np.float64),
        weight=trust * censoring * exposure,
        trust_weight=trust,
        censoring_weight=censoring,
        exposure_weight=exposure,
        matured_at=np.asarray(times, "datetime64[us]"),
        actor=_names(item.actor_id for item in labels),
        company=_names(item.company_id for item in labels),
    )


def _weighted(found: MaturedLabels, labels: Sequence[Label], rules: FeedbackRules) -> MaturedLabels:
    """With the influence of actors and companies capped; silence and what systems saw is nobody's influence."""
    actors, companies = Numbering(), Numbering()
    actor, company = np.empty(len(labels), np.intp), np.empty(len(labels), np.intp)
    for place, item in enumerate(labels):
        alone = item.actor_id is None or item.detail.get("verified", False)
        name = f"\0{place}" if alone else str(item.actor_id)
        actor[place] = actors[name]
        company[place] = companies[name if alone else str(item.detail["bloc"])]
    capped = capped_influence(found.weight, actor, company, rules.actor_share, rules.company_share)
    values = {item.name: getattr(found, item.name) for item in fields(found)}
    return MaturedLabels(**{**values, "weight": capped})


def _names(values: Any) -> Names:
    found = list(values)
    out = np.empty(len(found), object)
    out[:] = found
    return out
