"""Events that do not count until somebody has looked: bursts of one actor, and the same text again and again."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ism.feedback.claims import Mask
from ism.feedback.ladder import Floats, Ints


@dataclass(frozen=True)
class QuarantineRules:
    """Limits.

    Attributes:
        burst: statements that one actor may make within the window.
        burst_window: seconds.
        copies: how often the same text may come within the window, from one actor or several.
        copies_window: seconds.
    """

    burst: int = 30
    burst_window: float = 600.0
    copies: int = 2
    copies_window: float = 7 * 86_400.0


def trailing_counts(group: Ints, time: Floats, window: float) -> Ints:
    """How many members of its group each one follows within a window, itself included.

    Args:
        group: ``[n]`` number of the group, not negative; a negative one is in no group and counts 0.
        time: ``[n]`` seconds; earlier places go first among equal times.
        window: seconds; one exactly a window ago is outside.

    Example:
        >>> import numpy as np
        >>> trailing_counts(np.array([0, 0, 1, 0]), np.array([0.0, 5.0, 6.0, 10.0]), 10.0).tolist()
        [1, 2, 1, 2]
    """
    order = np.lexsort((np.arange(len(group)), time, group))
    found = np.zeros(len(group), np.intp)
    by_group, by_time = group[order], time[order]
    changes = (np.flatnonzero(by_group[1:] != by_group[:-1]) + 1).tolist()
    bounds = [0, *changes, len(group)] if len(group) else []
    for start, end in pairwise(bounds):
        if by_group[start] < 0:
            continue
        times = by_time[start:end]
        found[order[start:end]] = np.arange(end - start) + 1 - np.searchsorted(times, times - window, side="right")
    return found


def suspicious(actor: Ints, text: Ints, time: Floats, rules: QuarantineRules) -> tuple[Mask, Mask, Ints, Ints]:
    """Which statements to hold.

    Args:
        actor: ``[n]`` number of who said it; negative where that is not known: there is nobody to hold it against.
        text: ``[n]`` number of its text (`ism.feedback.text.text_digest`); negative where there is none.
        time: ``[n]`` when it was recorded, seconds.
        rules: limits.

    Returns:
        ``[n]`` whether it is beyond the burst limit, whether its text has come too often, and the two counts. The
        first ones, up to the limits, stay in: the honest author of a copied text is among them.
    """
    pace = trailing_counts(actor, time, rules.burst_window)
    copies = trailing_counts(text, time, rules.copies_window)
    return pace > rules.burst, copies > rules.copies, pace, copies
