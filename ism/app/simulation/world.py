"""What is true in the simulated market: which receiver can use which offer.

The companies, their offers and their needs are those of the demonstration market. Who *can use* what is drawn: the
chance grows with the strength of a curated rule that leads from the material to the receiver's sector (`fit`, 0..1),
with the likeness of the receiver's needs to the offer (`need`, 0..1), and with nearness where there is either, times a
log-normal factor for what nobody can know beforehand::

    use    = (fit + 0.3 need + 0.3 near max(fit, need)) * exp(0.35 N(0, 1))
    chance = 0.5 use^2 / (0.25 + use^2)

So engines that know the rules are the better ones here, which the default weights do not know. The engines that score
are the system's own, fitted on the documented exchanges; they never see a fate before somebody reports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ism.data.build import BuiltMarket
from ism.data.knowledge import rules
from ism.data.knowledge.arrays import rule_arrays, rule_support
from ism.data.market import OfferArrays, distance_km, offer_arrays
from ism.data.text import TextEncoder
from ism.domain.market import Offer

Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]

MOST_CHANCE = 0.5
NEED, NEAR, LUCK = 0.3, 0.3, 0.35
NEAR_KM, UNKNOWN_KM = 300.0, 400.0  # length over which nearness falls to 1/e; distance taken where a place is unknown
_TOP = 10


@dataclass(frozen=True)
class Stage:
    """What all worlds on one market share.

    Attributes:
        offers: ``q`` listed offers.
        built: the market with its ``n`` receivers.
        use: ``[q, n]`` how well a receiver could use an offer, before luck.
        own: ``[q, n]`` whether the receiver is the offering company itself.
    """

    offers: tuple[Offer, ...]
    arrays: OfferArrays
    built: BuiltMarket
    use: Doubles
    own: Mask


@dataclass(frozen=True)
class World:
    """One draw: ``useful[q, n]`` says whether a receiver can use an offer."""

    stage: Stage
    useful: Mask

    def ndcg(self, ranking: Rows) -> Doubles:
        """``[q]`` nDCG@10 of ranked receivers; NaN for an offer that nobody can use.

        Args:
            ranking: ``[q, 10]`` rows of receivers, best first; -1 where a list is shorter.
        """
        discount = 1.0 / np.log2(np.arange(2, ranking.shape[1] + 2))
        gain = np.where(ranking >= 0, np.take_along_axis(self.useful, np.maximum(ranking, 0), axis=1), False)
        best = np.arange(ranking.shape[1]) < self.useful.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            return np.asarray((gain @ discount) / (best @ discount), np.float64)

    def quality(self, ranking: Rows) -> float:
        """Mean nDCG@10 over the offers that somebody can use."""
        return float(np.nanmean(self.ndcg(ranking)))


def make_stage(built: BuiltMarket, offers: Sequence[Offer], encoder: TextEncoder) -> Stage:
    """How well each receiver could use each offer."""
    arrays, home = offer_arrays(offers, encoder), built.market.receivers
    fit, need = _fit(arrays, built, encoder), _need(arrays, built)
    away = distance_km(arrays.latitude[:, None], arrays.longitude[:, None], home.latitude[None], home.longitude[None])
    near = np.exp(-np.nan_to_num(away, nan=UNKNOWN_KM) / NEAR_KM)
    own = np.zeros(fit.shape, np.bool_)
    for place, offer in enumerate(offers):
        if offer.company_id in built.row_of:
            own[place, built.row_of[offer.company_id]] = True
    use = fit + NEED * need + NEAR * near * np.maximum(fit, need)
    return Stage(tuple(offers), arrays, built, use, own)


def draw_world(stage: Stage, seed: int) -> World:
    """Luck, and then fate."""
    rng = np.random.default_rng([seed, 1])
    use = np.square(stage.use * np.exp(LUCK * rng.normal(size=stage.use.shape)))
    chance = np.where(stage.own, 0.0, MOST_CHANCE * use / (0.25 + use))
    return World(stage, rng.random(chance.shape) < chance)


def _fit(offers: OfferArrays, built: BuiltMarket, encoder: TextEncoder) -> Doubles:
    """Strength of the strongest curated rule from the material to the receiver's sector, times how well it is met."""
    table, home = rule_arrays(rules(), encoder), built.market.receivers
    support = rule_support(table, offers)
    met = np.maximum(support.ewc, np.clip((support.cosine - 0.5) / 0.4, 0.0, 1.0))
    fit = np.zeros((len(offers), len(home)))
    for place in range(len(table.rules)):
        level = int((table.receiver[place] >= 0).sum()) - 1
        rows = np.flatnonzero(home.nace[:, level] == table.receiver[place, level])
        fit[:, rows] = np.maximum(fit[:, rows], (met[:, table.material[place]] * table.strength[place])[:, None])
    return fit


def _need(offers: OfferArrays, built: BuiltMarket) -> Doubles:
    """Likeness of the closest need, from 0 at a cosine of 0.3 to 1 at 0.8."""
    home = built.market.receivers
    need = np.zeros((len(home), len(offers)))
    np.maximum.at(need, home.need_owner, np.clip((home.needs @ offers.vectors.T - 0.3) / 0.5, 0.0, 1.0))
    return need.T
