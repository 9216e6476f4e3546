"""How good lists are before anybody could say so: an estimate from their scores, with what it cannot see.

Labels of what was shown lately have not matured. What is known is each receiver's fused score, a calibrated
probability, and how often a place of a list gets a label. Both give the accuracy that is to be expected of lists; its
change from the lists whose labels have matured to the fresh ones is added to the accuracy that was measured there::

    estimate = accuracy + E[accuracy of fresh lists] - E[accuracy of labelled lists]

This is confidence-based performance estimation (Garg et al. 2022, "Leveraging unlabeled data to predict
out-of-distribution performance"; Kivimaki et al. 2025, "Confidence-based estimators for predictive performance in
model monitoring"), centred on a measurement, so that an error of the calibration that stays the same cancels.

Limits: it sees what shows in the scores, such as other offers or weaker receivers. It does not see people who want
something else than before, a calibration that became wrong, or a change in who gives labels; those show only when
labels mature. ``error`` tells how far it erred when the later half of the labelled lists was estimated from the
earlier half.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ism.engines.metrics import DEPTH

Values = npt.NDArray[np.float64]
Shown = tuple[str, float, float, Mapping[str, float]]

LEAST_LISTS = 20
_DRAWS = 64
_Z = 1.959964  # two-sided 95 %


@dataclass(frozen=True)
class Lists:
    """``q`` lists of at most ``n`` places, in the order in which they were shown.

    Attributes:
        score: ``[q, n]`` of the model that orders them; NaN where there is no place, or the model took no part.
        probability: ``[q, n]`` that the receiver is right, 0..1; NaN as above.
    """

    score: Values
    probability: Values

    def __len__(self) -> int:
        return len(self.score)

    def take(self, chosen: npt.NDArray[np.intp]) -> Lists:
        """Some of them."""
        return Lists(self.score[chosen], self.probability[chosen])


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one model.

    Attributes:
        value: accuracy to be expected, 0..1; None where ``missing`` says why.
        low: lower end of its 95 % interval, which covers chance, not the limits.
        high: upper end.
        error: how far it erred on the later half of the labelled lists, 0..1; None where halves are too small.
        n: fresh lists.
    """

    value: float | None
    low: float | None
    high: float | None
    error: float | None
    n: int
    missing: str | None


def lists_of(rows: Sequence[Shown], engine: str | None) -> tuple[list[str], Lists]:
    """Requests in their order, and their lists as an engine, or the fusion (None), ordered them."""
    found: dict[str, list[tuple[float, float]]] = {}
    for request, final, _, engines in rows:
        score = final if engine is None else engines.get(engine, math.nan)
        found.setdefault(request, []).append((score, final if math.isfinite(score) else math.nan))
    most = max((len(places) for places in found.values()), default=0)
    table = np.full((len(found), most, 2), math.nan)
    for row, places in enumerate(found.values()):
        table[row, : len(places)] = places
    return list(found), Lists(table[:, :, 0], table[:, :, 1])


def expected_accuracy(lists: Lists, labelled: Values, seed: int = 0) -> tuple[float, float]:
    """Mean nDCG@10 to be expected over lists that get good and bad labels, and its standard error over lists.

    Args:
        lists: with at least one list.
        labelled: ``[n]`` probability that the receiver at a place gets a label, 0..1.
        seed: of the draws.

    Returns:
        both NaN where no list can be expected to get good and bad labels.
    """
    random = np.random.default_rng(seed)
    order = np.argsort(-lists.score, axis=1, kind="stable")  # NaN comes last
    chance = np.take_along_axis(np.nan_to_num(lists.probability), order, axis=1)
    known = np.take_along_axis(np.isfinite(lists.score), order, axis=1)
    seen_by = np.where(known, np.pad(labelled, (0, max(0, known.shape[1] - len(labelled))))[order], 0.0)
    discount = 1.0 / np.log2(np.arange(2, DEPTH + 2))
    gains = np.concatenate([discount, np.zeros(max(0, known.shape[1] - DEPTH))])
    ideal = np.concatenate([[math.nan], np.cumsum(discount)])
    value, weight = np.zeros(len(lists)), np.zeros(len(lists))
    for _ in range(_DRAWS):
        seen = random.random(known.shape) < seen_by
        good = seen & (random.random(known.shape) < chance)
        place = np.maximum(np.cumsum(seen, axis=1) - 1, 0)
        number = good.sum(axis=1)
        counts = (number > 0) & (number < seen.sum(axis=1))
        found = (gains[place] * good).sum(axis=1) / ideal[np.minimum(number, DEPTH)]
        value += np.where(counts, found, 0.0)
        weight += counts
    if not weight.sum():
        return math.nan, math.nan
    mean = float(value.sum() / weight.sum())
    spread = float(np.sqrt(((value - mean * weight) ** 2).sum()) / weight.sum())
    return mean, spread


def labelled_shares(lists: Lists, ranks: npt.NDArray[np.integer]) -> Values:
    """``[n]`` share of the lists' places that got a label.

    Args:
        lists: those that got one.
        ranks: from 1, of all labels on them.
    """
    there = np.isfinite(lists.score).sum(axis=0)
    given = np.bincount(np.asarray(ranks, np.intp) - 1, minlength=lists.score.shape[1])[: lists.score.shape[1]]
    return np.asarray(np.clip(given / np.maximum(there, 1), 0.0, 1.0), np.float64)


def estimate(reference: Lists, accuracies: Values, fresh: Lists, labelled: Values) -> Estimate:
    """Accuracy of fresh lists before their labels mature; see the module.

    Args:
        reference: ``q`` labelled lists, in order of time.
        accuracies: ``[q]`` measured on each; NaN where its labels are all good or all bad.
        fresh: lists without labels.
        labelled: as `labelled_shares` of all labelled lists gives it.
    """
    measured = np.isfinite(accuracies)
    if min(int(measured.sum()), len(fresh)) < LEAST_LISTS:
        why = f"{len(fresh)} fresh lists and {int(measured.sum())} with good and bad labels; {LEAST_LISTS} are needed."
        return Estimate(None, None, None, None, len(fresh), why)
    value, spread = _moved(reference, accuracies, fresh, labelled)
    if not math.isfinite(value):
        why = "By their scores no fresh list can be expected to get good and bad labels."
        return Estimate(None, None, None, None, len(fresh), why)
    low, high = (float(np.clip(value + sign * _Z * spread, 0.0, 1.0)) for sign in (-1, 1))
    return Estimate(
        float(np.clip(value, 0.0, 1.0)), low, high, _error(reference, accuracies, labelled), len(fresh), None
    )


def _moved(reference: Lists, accuracies: Values, fresh: Lists, labelled: Values) -> tuple[float, float]:
    known = accuracies[np.isfinite(accuracies)]
    (before, before_spread), (now, now_spread) = (expected_accuracy(each, labelled) for each in (reference, fresh))
    chance = float(known.std(ddof=1)) / math.sqrt(len(known))
    return float(known.mean()) + now - before, math.sqrt(chance**2 + before_spread**2 + now_spread**2)


def _error(reference: Lists, accuracies: Values, labelled: Values) -> float | None:
    earlier, later = np.array_split(np.arange(len(reference)), 2)
    if min(int(np.isfinite(accuracies[half]).sum()) for half in (earlier, later)) < LEAST_LISTS:
        return None
    told, _ = _moved(reference.take(earlier), accuracies[earlier], reference.take(later), labelled)
    error = abs(told - float(np.nanmean(accuracies[later])))
    return error if math.isfinite(error) else None
