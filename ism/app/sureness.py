"""How sure an answer is, in a sentence: a few sectors that hold a right one with known probability, or "not sure"."""

from __future__ import annotations

import numpy as np

from ism.data.codes import nace
from ism.data.market import Floats, Market, Rows
from ism.fusion.conformal import LEVELS, Conformal, how_sure

_NAMED = 4  # sectors that are spelt out


def sureness(conformal: Conformal | None, market: Market, rows: Rows, final: Floats) -> tuple[str, ...]:
    """One note, or none where nothing can be stated.

    The statement is about sectors, all of them: it falls away where filters or a large market left some out.

    Args:
        conformal: thresholds of the model that fused; None where it has none.
        market: whose receivers were scored.
        rows: ``[n]`` the receivers.
        final: ``[n]`` fused scores.
    """
    sector = market.receivers.sector
    place = np.flatnonzero(sector[rows])
    if conformal is None or not conformal.groups or not len(place) or len(place) < int(sector.sum()):
        return ()
    found = how_sure(conformal, final[place])
    if found.level is None:
        return (
            f"Not sure: for a set of sectors that holds a right one in {LEVELS[0]:.0%} of cases, "
            f"{found.size} of {len(place)} would be needed.",
        )
    codes = [market.receivers.ids[rows[place[number]]].partition(":")[2] for number in found.places]
    named = ", ".join(f"{nace.title(code)} ({code})" for code in codes[:_NAMED])
    more = f" and {len(codes) - _NAMED} more" if len(codes) > _NAMED else ""
    which = "this sector" if len(codes) == 1 else f"one of these {len(codes)} sectors"
    return (f"In {found.level:.0%} of such cases a right receiver is in {which}: {named}{more}.",)
