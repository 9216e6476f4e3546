"""From an engine's score to a probability that means what it says.

Scores of one offer are first compared with each other (the receiver's share in the softmax of the scores' logits,
against an even share), since an engine is asked "who of these?"; then a curve from log lift to log odds is learnt on
folds that the engine did not see, so that 0.7 means 0.7. Three curves compete by log loss on folds of their own:

- ``platt``: a straight line (Platt 1999, "Probabilistic outputs for support vector machines");
- ``beta``: one slope below an even share and another one above it (Kull, Silva Filho and Flach 2017, "Beta calibration:
  a well-founded and easily implemented improvement on logistic calibration for binary classifiers");
- ``isotonic``: steps (Zadrozny and Elkan 2002, "Transforming classifier scores into accurate multiclass probability
  estimates"), joined by lines and mixed with a little of the straight line, since a step would tie receivers.

Every curve is strictly increasing, so that calibration never changes an engine's order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from ism.data.market import Floats, Ints

_EDGE = 1e-6
_LEAST_POSITIVES = 20  # below, two numbers cannot be learnt
_SHRINK = 1e-3  # of the regression, so that separable folds do not give an infinite slope
_LEAST_SLOPE = 0.02  # of a side of the beta curve, in units of the lifts' spread
_BINS = 4096
_LINE = 0.05  # part of the straight line in the isotonic curve
_LEAST_BLOCK = 50  # cases of an isotonic step; smaller ones are noise
_STANDARD_ERRORS = 1.0  # by which another curve must beat the straight line

Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def log_lift(scores: Floats) -> Floats:
    """``[q, n]`` scores in 0..1 -> log of how many times an even share each receiver has among the ``n``.

    An even share is 1/n, so that a lift means the same among 200 receivers as among 2,000.
    """
    if not scores.size:
        return scores
    utility = logit(np.clip(scores.astype(np.float64), _EDGE, 1 - _EDGE))
    utility -= utility.max(axis=-1, keepdims=True)
    share = utility - np.log(np.exp(utility).sum(axis=-1, keepdims=True))
    return np.asarray(share + np.log(scores.shape[-1]), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Calibration:
    """``P = sigmoid(slope * log_lift + intercept)``, and the base of the other curves.

    Attributes:
        cases: pairs with a known answer that it was learnt from; 0 when the share itself is used.
    """

    kind: ClassVar[str] = "platt"

    slope: float = 1.0
    intercept: float = 0.0
    cases: int = 0

    def __call__(self, scores: Floats) -> Floats:
        """Probabilities for ``[q, n]`` scores of an engine, in 0..1, in the same order."""
        lift = log_lift(scores)
        if not self.cases:
            return np.asarray(np.exp(lift) / max(scores.shape[-1], 1), dtype=np.float32)
        return self.of_lift(lift)

    def of_lift(self, lift: Floats) -> Floats:
        """Probabilities for log lifts of any shape."""
        return np.asarray(expit(self.log_odds(lift)), dtype=np.float32)

    def log_odds(self, lift: Floats) -> Floats:
        """The curve, in log odds."""
        return np.asarray(self.slope * lift + self.intercept)

    def checked(self) -> Calibration:
        """Itself.

        Raises:
            ValueError: it does not keep the order of the scores.
        """
        if not np.isfinite([self.slope, self.intercept]).all() or self.slope <= 0 or self.cases < 0:
            raise ValueError(f"{self} does not keep the order of the scores")
        return self


@dataclass(frozen=True, slots=True)
class BetaCalibration(Calibration):
    """Slope ``slope`` far below an even share and ``above`` far above it, bending over ``unit``.

    Attributes:
        unit: spread of the log lifts that it was learnt from.
    """

    kind: ClassVar[str] = "beta"

    above: float = 1.0
    unit: float = 1.0

    def log_odds(self, lift: Floats) -> Floats:
        """The curve, in log odds."""
        low, high = _beta_columns(lift.astype(np.float64) / self.unit)
        odds = self.unit * (self.slope * low + self.above * high) + self.intercept
        return np.asarray(odds, dtype=np.float32)

    def checked(self) -> Calibration:
        """Itself, or ValueError as in `Calibration.checked`."""
        if not np.isfinite([self.above, self.unit]).all() or self.above <= 0 or self.unit <= 0:
            raise ValueError(f"{self} does not keep the order of the scores")
        return Calibration.checked(self)


@dataclass(frozen=True, slots=True)
class IsotonicCalibration(Calibration):
    """Lines through ``(lifts[i], odds[i])``, flat beyond them, mixed with a part `_LINE` of the straight line."""

    kind: ClassVar[str] = "isotonic"

    lifts: tuple[float, ...] = ()
    odds: tuple[float, ...] = ()

    def log_odds(self, lift: Floats) -> Floats:
        """The curve, in log odds."""
        line = self.slope * lift + self.intercept
        return np.asarray((1 - _LINE) * np.interp(lift, self.lifts, self.odds) + _LINE * line, dtype=np.float32)

    def checked(self) -> Calibration:
        """Itself, or ValueError as in `Calibration.checked`."""
        lifts, odds = np.asarray(self.lifts, np.float64), np.asarray(self.odds, np.float64)
        sound = lifts.ndim == 1 and lifts.shape == odds.shape and len(lifts) > 0
        if (
            not sound
            or not np.isfinite([lifts, odds]).all()
            or (np.diff(lifts) <= 0).any()
            or (np.diff(odds) < 0).any()
        ):
            raise ValueError(f"{self} does not keep the order of the scores")
        return Calibration.checked(self)


def fit_calibration(
    lift: Floats, relevant: Floats | Mask, fold: Ints | None = None, group: Ints | None = None
) -> Calibration:
    """Learn a curve; identity where the positives are too few or the scores say nothing.

    Args:
        lift: ``[m]`` log lifts that the engine gave to pairs it had not seen.
        relevant: ``[m]`` 1 where the receiver took the offer.
        fold: ``[m]`` fold of each pair. Another curve than the straight line is taken when its log loss on folds that
            it did not see is lower by more than a standard error over groups; without folds the line is taken.
        group: ``[m]`` group of each pair, one each when not given.
    """
    taken = np.asarray(relevant, dtype=np.float64)
    line = _fit_platt(lift, taken)
    if not line.cases or fold is None:
        return line
    seen = [found for left_out in np.unique(fold) if (found := _out_of_fold(lift, taken, fold, left_out)) is not None]
    best, gain = "platt", 0.0
    for kind in CURVES:
        if kind == line.kind or not seen:
            continue
        rows = np.concatenate([rows for rows, _ in seen])
        saved = np.concatenate([losses["platt"] - losses[kind] for _, losses in seen])
        mean, error = _mean_and_error(saved, rows if group is None else group[rows])
        if mean > max(gain, _STANDARD_ERRORS * error):
            best, gain = kind, mean
    return CURVES[best](lift, taken)


def _out_of_fold(
    lift: Floats, taken: Doubles, fold: Ints, left_out: int
) -> tuple[npt.NDArray[np.intp], dict[str, Doubles]] | None:
    """Rows of a fold and each curve's log loss on them, learnt from the others; None where they are too few."""
    others, rows = fold != left_out, np.flatnonzero(fold == left_out)
    curves = {kind: fit(lift[others], taken[others]) for kind, fit in CURVES.items()}
    if not all(curve.cases for curve in curves.values()):
        return None
    return rows, {kind: log_loss(curve.of_lift(lift[rows]), taken[rows]) for kind, curve in curves.items()}


def log_loss(said: npt.NDArray[np.floating[Any]], taken: Doubles) -> Doubles:
    """``[m]`` minus log of the probability that was given to what happened, in nats."""
    clipped = np.clip(said.astype(np.float64), _EDGE, 1 - _EDGE)
    return np.asarray(-np.log(np.where(taken > 0, clipped, 1 - clipped)))


def _mean_and_error(values: Doubles, group: npt.NDArray[Any]) -> tuple[float, float]:
    """Mean, and its standard error when whole groups are drawn."""
    _, place = np.unique(group, return_inverse=True)
    sums, mean = np.bincount(place, values - values.mean()), float(values.mean())
    return mean, float(np.sqrt((sums**2).sum()) / len(values))


def _fit_platt(lift: Floats, taken: Doubles) -> Calibration:
    positives, spread = int(taken.sum()), float(lift.std()) if len(lift) else 0.0
    if positives < _LEAST_POSITIVES or positives == len(taken) or spread < _EDGE:
        return Calibration()
    few = _condensed(lift, taken)
    # In units of its own spread: the solver stops early on scores that hardly differ, and leaves them without a say.
    slopes, intercept = _logistic(few.lift[:, None] / spread, few, least=-np.inf)
    slope = slopes[0] / spread
    if not np.isfinite([slope, intercept]).all() or slope <= 0:
        return Calibration()
    return Calibration(slope, intercept, len(taken))


def _beta_columns(lift: Doubles) -> tuple[Doubles, Doubles]:
    """``log s`` and ``-log(1 - s)`` of ``s = sigmoid(lift)``."""
    return np.asarray(-np.logaddexp(0, -lift)), np.asarray(np.logaddexp(0, lift))


def _fit_beta(lift: Floats, taken: Doubles) -> Calibration:
    line = _fit_platt(lift, taken)
    if not line.cases:
        return line
    unit, few = float(lift.std()), _condensed(lift, taken)
    slopes, intercept = _logistic(np.stack(_beta_columns(few.lift / unit), axis=1), few, least=_LEAST_SLOPE)
    return BetaCalibration(slopes[0] / unit, intercept, line.cases, slopes[1] / unit, unit)


def _fit_isotonic(lift: Floats, taken: Doubles) -> Calibration:
    line = _fit_platt(lift, taken)
    if not line.cases:
        return line
    from scipy.optimize import isotonic_regression  # noqa: PLC0415 - the optimisers are needed at fit time only

    few = _condensed(lift, taken)
    blocks = isotonic_regression(few.share, weights=few.count).blocks[:-1]
    size, positives = np.add.reduceat(few.count, blocks), np.add.reduceat(few.count * few.share, blocks)
    lifts = np.add.reduceat(few.count * few.lift, blocks) / size
    kept = size >= _LEAST_BLOCK
    if not kept.any():
        return line
    odds = np.log(positives[kept] + 0.5) - np.log(size[kept] - positives[kept] + 0.5)
    rising = np.maximum.accumulate(odds)
    return IsotonicCalibration(
        line.slope, line.intercept, line.cases, tuple(lifts[kept].tolist()), tuple(rising.tolist())
    )


@dataclass(frozen=True)
class _Condensed:
    """Cases whose lifts are nearly the same as one: ``[b]`` mean lift, share of positives, and how many."""

    lift: Doubles
    share: Doubles
    count: Doubles


def _condensed(lift: Floats, taken: Doubles) -> _Condensed:
    """Cases in `_BINS` bins of even width: no curve changes visibly, and each fit takes milliseconds."""
    exact = lift.astype(np.float64)
    width = (exact.max() - exact.min()) / _BINS
    place = np.minimum(((exact - exact.min()) / width).astype(np.intp), _BINS - 1)
    count = np.bincount(place, minlength=_BINS)
    filled = count > 0
    sums, positives = np.bincount(place, exact, _BINS)[filled], np.bincount(place, taken, _BINS)[filled]
    size = count[filled].astype(np.float64)
    return _Condensed(sums / size, positives / size, size)


def _logistic(columns: Doubles, few: _Condensed, least: float) -> tuple[list[float], float]:
    from ism.fusion.nonnegative import fit_logistic  # noqa: PLC0415 - the optimisers are needed at fit time only

    slopes, intercept = fit_logistic(columns, few.share, few.count, least=least, shrink=_SHRINK)
    return slopes.tolist(), intercept


Fit = Callable[[Floats, Doubles], Calibration]
CURVES: dict[str, Fit] = {"platt": _fit_platt, "beta": _fit_beta, "isotonic": _fit_isotonic}
_CLASSES: dict[str, type[Calibration]] = {
    found.kind: found for found in (Calibration, BetaCalibration, IsotonicCalibration)
}


def as_json(calibration: Calibration) -> dict[str, Any]:
    """A calibration as JSON values."""
    return {"kind": calibration.kind, **asdict(calibration)}


def from_json(values: dict[str, Any]) -> Calibration:
    """What `as_json` made; a straight line where no kind is named.

    Raises:
        ValueError, TypeError, KeyError: it is none, or does not keep the order of the scores.
    """
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return _CLASSES[str(given.pop("kind", "platt"))](**given).checked()
