"""A fusion model that was learnt from outcomes, held against the one that answers by the gate that engines pass, too.

Time is cut as it is for engines: the challenger learns from labels that had matured at the cutoff, and both are scored
on requests that were shown after it. Of a request only the receivers with a matured label are ranked; both models rank
the same ones from the same logged opinions of the engines, so what differs is the fusion alone.

A switch of the fusion trains nothing and is taken back by one call, so there is no shadow and no canary.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from ism.domain.engine import FusionModel
from ism.domain.errors import ConflictError
from ism.domain.fusion import MaturedOutcomes
from ism.domain.judgement import Exposure
from ism.domain.retraining import GateLook
from ism.engines.metrics import DEPTH, Values, ndcg
from ism.feedback.evidence import MaturedLabels
from ism.fusion.layer import LEAST_OUTCOMES, OUTCOME_MODEL
from ism.fusion.learn_outcomes import stacked_model
from ism.fusion.method import FusionMethod
from ism.fusion.methods import method_of
from ism.fusion.registry import FusionRegistry, as_rows
from ism.fusion.weighted_sum import DEFAULT_WEIGHTS
from ism.retraining import alpha_spending
from ism.retraining.comparison import Comparison, GatePolicy, Measured
from ism.retraining.gate import decide
from ism.retraining.parts import ACTOR
from ism.retraining.report import gate_report
from ism.retraining.slices import Mask
from ism.storage import Store

NAME = "fusion"  # of which looks and requests speak
_MOST_SWITCHES = 10_000  # that are looked through
_FRESH = 0.25  # of the requests with a label, the youngest: what only the gate sees
_HELD_OUT = 0.2  # of the outcomes that are learnt from: measures the model on its page


@dataclass(frozen=True)
class _Case:
    """One fresh request: ``[n]`` opinions by engine, labels, receivers; and whose it is."""

    opinions: Mapping[str, Values]
    label: Values
    receivers: list[str]
    group: str
    rater: str
    chapter: str


def challenge(
    store: Store,
    labels: MaturedLabels,
    policy: GatePolicy,
    job_id: str | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> tuple[FusionModel, GateLook]:
    """Learn a model from older outcomes; it answers from now on if it passes the gate on newer ones.

    Args:
        store: holds models, looks and what was shown.
        labels: all that are known.
        policy: limits of the gate.
        job_id: names the challenge, where it may be asked for twice: the second one gets the look of the first.
        clock: tells the time, UTC.

    Returns:
        the model as it was stored, and the gate's look at it.

    Raises:
        ConflictError: there are too few outcomes to learn from.
    """
    registry, looks = FusionRegistry(store), store.retraining.looks(NAME)
    done = next((look for look in looks if look.job_id == job_id), None)
    if done is not None:
        return _serve(registry, done), done
    with store.judging(write=False) as tables:
        shown = tables.labels.exposures(str(name) for name in labels.recommendation_id)
    older, cases = _split(labels, shown)
    outcomes = sorted(as_rows(older), key=lambda row: (row.matured_at, row.recommendation_id))
    if len(outcomes) < LEAST_OUTCOMES:
        raise ConflictError(
            f"fusion: {len(outcomes)} outcomes are older than what the gate needs; {LEAST_OUTCOMES} are needed to "
            "learn from. Tell more, then try again."
        )
    learnt, champion = stacked_model(OUTCOME_MODEL, outcomes, _HELD_OUT), registry.active()
    level = alpha_spending.level([look.verdict == "PASS" for look in looks], policy.alpha)
    decision = decide(_compare(cases, method_of(learnt), method_of(champion)), policy, level)
    stored = registry.add(learnt)
    about = {
        "model": f"{stored.model_id} {stored.version}",
        "champion": f"{champion.model_id} {champion.version}",
        "learnt from": f"{len(outcomes)} outcomes",
        "judged on": f"{len(cases)} requests that were shown later",
        "look": len(looks) + 1,
    }
    evidence = {**decision.as_dict(), "about": about}
    name = job_id or uuid.uuid4().hex
    report = gate_report(evidence, about)
    look = GateLook(NAME, len(looks) + 1, name, decision.verdict, level, evidence, report, clock())
    store.retraining.add_look(look)
    return _serve(registry, look), look


def _serve(registry: FusionRegistry, look: GateLook) -> FusionModel:
    """Let what passed answer, once, unless its champion was replaced since; a process may have died before it did."""
    about, active = look.evidence["about"], registry.active()
    name, _, version = str(about["model"]).rpartition(" ")
    answered = any((each.model_id, each.version) == (name, int(version)) for each in registry.switches(_MOST_SWITCHES))
    if look.verdict == "PASS" and not answered and about["champion"] == f"{active.model_id} {active.version}":
        reason = f"Look {look.number} of the gate passed it."
        registry.use(name, int(version), actor=ACTOR, reason=reason)
    return registry.get(name, int(version))


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


def _split(labels: MaturedLabels, shown: Mapping[str, Exposure]) -> tuple[MaturedOutcomes, list[_Case]]:
    """What had matured at the cutoff, and the requests that were shown after it."""
    at = np.asarray([shown[str(name)].shown_at.timestamp() for name in labels.recommendation_id])
    if not len(at):
        return outcomes_of(labels), []
    requests, first = np.unique(labels.request_id.astype(str), return_index=True)
    cutoff = float(np.sort(at[first])[int(len(requests) * (1 - _FRESH)) - 1])
    matured = labels.matured_at.astype("datetime64[us]").astype(np.int64) / 1e6
    newer = labels.take(at > cutoff)
    names = np.unique(newer.request_id.astype(str))
    cases = [_case(newer.take(newer.request_id == name), shown) for name in names]
    return outcomes_of(labels.take(matured <= cutoff)), [case for case in cases if case is not None]


def _case(rows: MaturedLabels, shown: Mapping[str, Exposure]) -> _Case | None:
    """A request with something right and something wrong in it; None for another one, which ranks nothing."""
    rows = rows.take(rows.weight > 0)
    opinions = {
        name: values
        for name, values in rows.engine_scores.items()
        if name in DEFAULT_WEIGHTS and not np.isnan(values).any()
    }
    if not opinions or not 0 < rows.label.sum() < len(rows):
        return None
    items = [shown[str(name)] for name in rows.recommendation_id]
    offer = items[0].offer
    return _Case(
        opinions,
        rows.label,
        [item.receiver_id for item in items],
        str(offer.get("company_id") or items[0].request_id),
        str(rows.actor[0] or "silence"),
        f"waste chapter {offer['ewc'][:2]}" if offer.get("ewc") else "waste code unknown",
    )


def _compare(cases: list[_Case], challenger: FusionMethod, champion: FusionMethod) -> Comparison:
    names = sorted({case.chapter for case in cases})
    slices: dict[str, Mask] = {name: np.asarray([case.chapter == name for case in cases]) for name in names}
    happened = np.concatenate([case.label for case in cases]) if cases else np.zeros(0)
    return Comparison(
        challenger=_measure(cases, challenger),
        champion=_measure(cases, champion),
        references={},
        happened=happened,
        groups=np.asarray([case.group for case in cases], dtype=object),
        raters=np.asarray([case.rater for case in cases], dtype=object),
        slices=slices,
        off_policy="both models rank what was shown; nothing else has a label.",
    )


def _measure(cases: list[_Case], method: FusionMethod) -> Measured:
    gains, said, seconds, receivers = [], [], [], set[str]()
    for case in cases:
        started = time.perf_counter()
        fused = np.asarray(method.value(case.opinions), np.float64)
        seconds.append(time.perf_counter() - started)
        gains.append(ndcg(fused, np.flatnonzero(case.label)))
        said.append(fused)
        receivers.update(case.receivers[place] for place in np.argsort(-fused, kind="stable")[:DEPTH].tolist())
    return Measured(
        np.asarray(gains, np.float64),
        np.concatenate(said) if said else np.zeros(0),
        np.asarray(seconds),
        len(receivers),
    )
