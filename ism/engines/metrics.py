"""How well scores rank the receivers that really took an offer.

Candidates with the same score share the places they tie for, so that an engine which cannot tell them apart gains
nothing by the order of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ism.data.market import Floats, Rows
from ism.domain.errors import EngineError, InvalidInputError

Values = npt.NDArray[np.float64]
DEPTH = 10  # places that nDCG looks at


def best_rank(scores: Values | Floats, takers: Rows, hidden: Rows) -> float:
    """Rank, counted from 1, of the best true receiver; infinite where no true receiver is a candidate.

    Two that tie for places 1 and 2 are both at 1.5, not a hit at 1.

    Args:
        scores: ``[n]`` of every candidate, larger is better.
        takers: candidates that are right.
        hidden: candidates that do not compete; a taker among them still counts as right.

    Raises:
        EngineError: a score is not a number, which would otherwise rank like nothing else.
    """
    _finite(scores)
    if not len(takers):
        return np.inf
    best = scores[takers].max()
    competes = np.ones(len(scores), dtype=bool)
    competes[hidden] = False
    competes[takers] = False
    rivals = scores[competes]
    return 1.0 + float((rivals > best).sum()) + 0.5 * float((rivals == best).sum())


def best_ranks(scores: Values | Floats, takers: Sequence[Rows], hidden: Sequence[Rows]) -> Values:
    """`best_rank` of each row of ``[q, n]`` scores."""
    return np.asarray([best_rank(*case) for case in zip(scores, takers, hidden, strict=True)], dtype=np.float64)


def ndcg(scores: Values | Floats, takers: Rows, depth: int = DEPTH) -> float:
    """Normalised discounted cumulative gain of the first ``depth`` places, in 0..1; 0 where nothing is right.

    Equal scores share the mean discount of the places they tie for, which is the expected value over their orders
    (McSherry and Najork 2008, "Computing information retrieval performance measures efficiently in the presence of
    tied scores").

    Args:
        scores: ``[n]`` of every candidate, larger is better.
        takers: distinct candidates that are right; all others are wrong.
        depth: places that count.

    Raises:
        EngineError: a score is not a number.
    """
    _finite(scores)
    if not len(takers):
        return 0.0
    above = np.cumsum(np.concatenate([[0.0], _discounts(depth)]))  # [k] total discount of the first k places
    gain = 0.0
    for score in scores[takers]:
        first, size = int((scores > score).sum()), int((scores == score).sum())
        gain += (above[min(first + size, depth)] - above[min(first, depth)]) / size
    return float(gain / above[min(len(takers), depth)])


def _discounts(depth: int) -> Values:
    return np.asarray(1.0 / np.log2(np.arange(2, depth + 2)), dtype=np.float64)


def _finite(scores: Values | Floats) -> None:
    if not np.isfinite(scores).all():
        raise EngineError(f"A candidate has the score {scores[~np.isfinite(scores)][0]}. Scores must be finite.")


def _reciprocal_rank(scores: Values | Floats, takers: Rows) -> float:
    return 1.0 / best_rank(scores, takers, takers[:0])


def _hit(scores: Values | Floats, takers: Rows) -> float:
    return float(best_rank(scores, takers, takers[:0]) <= DEPTH)


METRICS: dict[str, Callable[[Values | Floats, Rows], float]] = {
    "accuracy": ndcg,  # what "accuracy" of a ranking model means everywhere
    "ndcg@10": ndcg,
    "mrr": _reciprocal_rank,
    "recall@10": _hit,
}


def metric(name: str) -> Callable[[Values | Floats, Rows], float]:
    """The metric of a question by name: ``[n]`` scores and the right rows -> 0..1, larger is better.

    Raises:
        InvalidInputError: there is no such metric.
    """
    if name not in METRICS:
        raise InvalidInputError("metric", name, f"Choose one of {', '.join(METRICS)}.")
    return METRICS[name]
