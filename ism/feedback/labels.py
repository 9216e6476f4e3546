"""From statements to one label a recommendation.

What companies say is weighed: strength of the statement times trust. The label is the side with more weight, its own
weight the difference of the two, at most 1, so that a contested label counts little and a tie stays censored. Who
opened a recommendation and then did nothing until the horizon has said a weak no; what nobody opened was not examined
and says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ism.feedback.claims import RATING, Claims, Mask, one_voice_each
from ism.feedback.ladder import RUNG, Floats, Ints

SILENCE = RATING  # opened, and nothing until the horizon: as weak as a rating
_TIE = 1e-9


@dataclass(frozen=True)
class Verdicts:
    """What is to be believed of recommendations 0..k-1.

    Attributes:
        known: ``[k]`` whether there is a label; the others are censored.
        value: ``[k]`` 1 good, 0 bad; meaningless where not known.
        weight: ``[k]`` 0..1; 0 where not known.
        matured_at: ``[k]`` when the side that prevails was first recorded, seconds; infinity where not known.
        speaker: ``[k]`` place of the weightiest statement of that side among the voices; -1 where silence decided or
            nothing is known.
        good: ``[k]`` weight of the statements that call it good.
        bad: ``[k]`` and bad.
        voices: the statements that were weighed.
    """

    known: Mask
    value: Floats
    weight: Floats
    matured_at: Floats
    speaker: Ints
    good: Floats
    bad: Floats
    voices: Claims


def resolve(claims: Claims, influence: Floats, count: int) -> Verdicts:
    """Weigh statements.

    Args:
        claims: about recommendations 0..count-1.
        influence: ``[actors]`` 0..1.
        count: how many recommendations there are.
    """
    voices = one_voice_each(claims)
    weight = voices.strength * np.where(voices.verified, 1.0, influence[voices.actor])
    good = np.bincount(voices.subject, weight * voices.value, count).astype(np.float64)
    bad = np.bincount(voices.subject, weight * (1.0 - voices.value), count).astype(np.float64)
    known = np.abs(good - bad) > _TIE
    value = (good > bad).astype(np.float64)
    side = (voices.value == value[voices.subject]) & known[voices.subject] & (weight > 0)
    matured_at = np.full(count, np.inf)
    np.minimum.at(matured_at, voices.subject[side], voices.time[side])
    speaker = np.full(count, -1, np.intp)
    order = np.flatnonzero(side)
    order = order[np.lexsort((-voices.time[order], weight[order]))]
    speaker[voices.subject[order]] = order  # the last write, the weightiest, stays
    strength = np.where(known, np.minimum(1.0, np.abs(good - bad)), 0.0)
    return Verdicts(known, value, strength, matured_at, speaker, good, bad, voices)


def hear_silence(verdicts: Verdicts, furthest: Ints, shown_at: Floats, now: float, horizon: float) -> Verdicts:
    """Add the weak no of what was opened and led to nothing.

    Args:
        verdicts: of ``resolve``.
        furthest: ``[k]`` place in the ladder of the stage reached.
        shown_at: ``[k]`` seconds.
        now: seconds.
        horizon: seconds from being shown.
    """
    opened = (furthest >= RUNG["opened"]) & (furthest < RUNG["accepted"])
    silent = ~verdicts.known & opened & (verdicts.good + verdicts.bad <= _TIE) & (now >= shown_at + horizon)
    return Verdicts(
        verdicts.known | silent,
        np.where(silent, 0.0, verdicts.value),
        np.where(silent, SILENCE, verdicts.weight),
        np.where(silent, shown_at + horizon, verdicts.matured_at),
        verdicts.speaker,
        verdicts.good,
        verdicts.bad,
        verdicts.voices,
    )
