"""Whether offers and scores are distributed as they were: fixed windows, effect size, false-discovery rate.

A window of `WINDOW_DAYS` days is compared once, when it has ended, with the `REFERENCE_DAYS` days before it: one value
per request, since those of one request depend on each other. Numbers are compared by the two-sample Kolmogorov-Smirnov
test, kinds (a waste chapter, a country) by Pearson's chi-squared test with the total variation as distance: of two
kinds both distances are the same. The p-values of a window are judged together (Benjamini and Hochberg 1995) at a level
at which a month without drift raises a false alarm with probability `_DESIGN_RATE`: with no drift at all that procedure
bounds the chance of any alarm. That lies below the stated `MONTHLY_RATE`, so that a run of 500 months stays within it
too, but for one run in a hundred.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ism.data.codes import nace

if TYPE_CHECKING:
    from ism.storage import Store

SETTING = "drift"

WINDOW_DAYS = 7
REFERENCE_DAYS = 28
MONTHLY_RATE = 0.05
_DESIGN_RATE = 0.03
LEVEL = _DESIGN_RATE / math.ceil(30 / WINDOW_DAYS)  # a month touches the ends of at most five windows
LEAST_EFFECT = 0.10  # distance below which a difference is no matter for people
LEAST_REQUESTS = 50
_LEAST_EXPECTED = 5.0  # requests of a kind in the smaller sample; rarer kinds are counted as one (Cochran 1954)

Values = npt.NDArray[np.float64]
Kinds = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Drift:
    """Of one feature or score.

    Attributes:
        distance: of the two distributions, 0..1: the largest of their functions, or the total variation of kinds; None
            where ``missing`` says why.
        p_value: chance of so large a distance without drift.
        drifted: whether it is significant among all that were tested, and large enough to matter.
        n: requests in the window.
        n_reference: requests before it.
    """

    name: str
    n: int
    n_reference: int
    distance: float | None
    p_value: float | None
    drifted: bool
    missing: str | None


def find_drift(
    reference: Mapping[str, Values | Kinds], window: Mapping[str, Values | Kinds], level: float = LEVEL
) -> list[Drift]:
    """Compare every feature that both have; see the module.

    Args:
        reference: name -> ``[n]`` numbers, one per request, NaN where it is unknown; or ``[n]`` texts, which are kinds.
        window: the same, later.
        level: false-discovery rate of the window.
    """
    tested = [_compare(name, reference[name], window[name]) for name in sorted(set(reference) & set(window))]
    p_values = np.sort([each.p_value for each in tested if each.p_value is not None])
    passes = np.flatnonzero(p_values <= level * np.arange(1, len(p_values) + 1) / max(1, len(p_values)))
    limit = float(p_values[passes[-1]]) if len(passes) else -1.0
    return [_judged(each, limit) for each in tested]


def _compare(name: str, before: Values | Kinds, after: Values | Kinds) -> Drift:
    from scipy.stats import chi2_contingency, ks_2samp  # noqa: PLC0415 - 0.5 s, only where drift is looked for

    kinds = before.dtype.kind == "U"
    if not kinds:
        before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    if min(len(before), len(after)) < LEAST_REQUESTS:
        why = f"{len(after)} requests in the window and {len(before)} before it; {LEAST_REQUESTS} are needed in each."
        return Drift(name, len(after), len(before), None, None, False, why)
    if kinds:
        table = _counted(before, after)
        shares = table / table.sum(axis=1, keepdims=True)
        distance, p_value = np.abs(shares[0] - shares[1]).sum() / 2, chi2_contingency(table).pvalue
    else:
        found = ks_2samp(before, after, method="asymp")
        distance, p_value = found.statistic, found.pvalue
    return Drift(name, len(after), len(before), float(distance), float(p_value), False, None)


def _counted(before: Values | Kinds, after: Values | Kinds) -> npt.NDArray[np.intp]:
    """``[2, k]`` requests of each kind before and after; the rarest are one kind, so that each can be expected."""
    names, kind = np.unique(np.concatenate([before, after]), return_inverse=True)
    table = np.stack([np.bincount(part, minlength=len(names)) for part in np.split(kind, [len(before)])])
    table = table[:, np.argsort(table.sum(axis=0), kind="stable")]
    smaller = min(len(before), len(after)) / len(kind)
    rare = int(np.searchsorted(smaller * np.cumsum(table.sum(axis=0)), _LEAST_EXPECTED))
    return np.column_stack([table[:, : rare + 1].sum(axis=1), table[:, rare + 1 :]])


def _judged(found: Drift, limit: float) -> Drift:
    if found.p_value is None or found.distance is None:
        return found
    drifted = found.p_value <= limit and found.distance >= LEAST_EFFECT
    return Drift(found.name, found.n, found.n_reference, found.distance, found.p_value, drifted, None)


def window_end(now: datetime) -> datetime:
    """End of the last whole window: windows lie fixed on the calendar, so that no one is looked at twice."""
    step = WINDOW_DAYS * 86_400
    return datetime.fromtimestamp(int(now.timestamp()) // step * step, UTC)


class DriftWatch:
    """Compares each window once, and keeps what was found.

    Args:
        store: holds what was shown.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def turn(self, now: datetime) -> None:
        """Compare the last whole window where that is still to be done."""
        end = window_end(now)
        if self.latest().get("until") == end.isoformat():
            return
        start = end - timedelta(days=WINDOW_DAYS)
        found = find_drift(self._requests(start - timedelta(days=REFERENCE_DAYS), start), self._requests(start, end))
        told = {"since": start.isoformat(), "until": end.isoformat(), "level": LEVEL, "monthly_rate": MONTHLY_RATE}
        self._store.set_setting(SETTING, {**told, "features": [asdict(each) for each in found]})

    def _requests(self, since: datetime, until: datetime) -> dict[str, Values | Kinds]:
        """What was offered and what was answered: name -> one value per request."""
        store = self._store.monitoring
        return {**_offered(store.offers(since, until)), **_by_request(store.shown(since, until))}

    def latest(self) -> dict[str, Any]:
        """The last comparison: ``since``, ``until``, ``level``, ``monthly_rate`` and ``features``; empty before it."""
        found = self._store.get_setting(SETTING, {})
        return dict(found) if isinstance(found, dict) else {}


_NUMBERS = {
    "quantity_t_per_year": "quantity_t_per_year",
    "price_eur_per_t": "price_eur_per_t",
    "donor_latitude": "latitude",
    "donor_longitude": "longitude",
}


def _offered(offers: Sequence[Mapping[str, Any]]) -> dict[str, Values | Kinds]:
    """What the offers that are asked about state; "not stated" is a kind of its own."""
    found: dict[str, Values | Kinds] = {
        name: np.asarray([offer.get(field, math.nan) for offer in offers], np.float64)
        for name, field in _NUMBERS.items()
    }
    texts = [f"{offer.get('material') or ''}{offer.get('description') or ''}" for offer in offers]
    stated = [sum(value not in (None, "") for value in offer.values()) for offer in offers]
    return {
        **found,
        "characters_of_text": np.asarray([len(text) for text in texts], np.float64),
        "fields_stated": np.asarray(stated, np.float64),
        "waste_chapter": np.asarray([(offer.get("ewc") or "")[:2] for offer in offers], np.str_),
        "donor_sector": np.asarray([_section(offer.get("nace") or "") for offer in offers], np.str_),
        "donor_country": np.asarray([offer.get("country") or "" for offer in offers], np.str_),
        "hazardous": np.asarray([str(offer.get("hazardous")) for offer in offers], np.str_),
    }


def _section(code: str) -> str:
    return (code, *nace.parents(code))[-1] if nace.is_nace(code) else ""


def _by_request(rows: Sequence[tuple[str, float, float, Mapping[str, float]]]) -> dict[str, Values | Kinds]:
    """Mean of each score over the recommendations of a request, and how many there were."""
    requests: dict[str, dict[str, list[float]]] = {}
    for request, score, confidence, engines in rows:
        kept = requests.setdefault(request, {})
        named = {"final_score": score, "confidence": confidence, **{f"engine:{k}": v for k, v in engines.items()}}
        for name, value in named.items():
            kept.setdefault(name, []).append(value)
    names = {name for kept in requests.values() for name in kept}
    found = {
        name: np.asarray([np.mean(kept[name]) if name in kept else math.nan for kept in requests.values()], np.float64)
        for name in names
    }
    sizes = [len(kept["final_score"]) for kept in requests.values()]
    return {**found, "recommendations_per_request": np.asarray(sizes, np.float64)}
