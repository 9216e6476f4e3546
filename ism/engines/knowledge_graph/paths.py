"""Typed paths from an offer to a receiver, each counted on its own.

An offer reaches a sector through a *rule* (its material, its code, its donor) and a receiver through a *precedent*
(same material, same code, same kind of donor, a material that the same receivers take). Each type of path gives one
non-negative number a pair: the strongest path, or the share of all paths of that type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ism.data.features import FEATURES, pair_features
from ism.data.knowledge.arrays import RuleArrays, RuleSupport, rule_support
from ism.data.market import Floats, Ints, Market, OfferArrays, Rows, distance_km, top_rows
from ism.data.votes import VoteIndex


def _near(cosine: Floats, width: float) -> Floats:
    return np.asarray(np.exp((np.minimum(cosine, 1.0) - 1.0) / width), dtype=np.float32)


# How strongly an offer meets a material, from what they have in common. Each is one type of path through the rules.
MEETINGS: dict[str, Callable[[RuleSupport], Floats]] = {
    "code": lambda s: s.ewc,
    "name": lambda s: _near(s.cosine, 0.1),
    "kin": lambda s: _near(s.cosine, 0.25),
    "donor": lambda s: s.donor,
    "name_code": lambda s: (0.1 + s.ewc) * _near(s.cosine, 0.15),
    "name_code_donor": lambda s: (0.1 + s.ewc) * (0.3 + s.donor) * _near(s.cosine, 0.2),
    "all": lambda s: 0.5 * np.clip((s.cosine - 0.3) / 0.6, 0.0, 1.0) + 0.4 * s.ewc + 0.2 * s.donor,
}
RULE_PATHS = tuple(f"rule_{name}_{how}" for name in MEETINGS for how in ("best", "share"))
PRECEDENT_PATHS = tuple(
    name
    for name in FEATURES
    if "@" in name and not name.startswith("near_") and name.split("@")[1] != "division" and name != "any@class"
)
PLACE_PATHS = {"place_100km": 100.0, "place_1000km": 1000.0}  # weight 1/e at that distance
PATHS = (*RULE_PATHS, "rule_division", "rule_breadth", *PLACE_PATHS, *PRECEDENT_PATHS)
_PRECEDENT_COLUMNS = [FEATURES.index(name) for name in PRECEDENT_PATHS]
_KNOWN, _AWAY = FEATURES.index("distance_known"), FEATURES.index("distance_log_km")
_COARSE = 0.3  # a rule for a whole division speaks this loud for each class in it


@dataclass(frozen=True)
class RuleRoutes:
    """Which rules lead to which receivers of a market.

    Attributes:
        order, starts: rules sorted by bin, and where each bin begins.
        bin_of: ``[n]`` bin of each receiver by its class; ``len(bins)`` for none.
        coarse_of: ``[n]`` bin of the rules for its whole group or division; ``len(bins)`` for none.
        division: ``[bins]`` number of the bin's division; ``division_of`` that of each receiver.
        breadth: ``[n]`` 0..1, how many rules lead to a receiver at all, whatever is offered.
    """

    order: Rows
    starts: Rows
    bin_of: Rows
    coarse_of: Rows
    division: Rows
    division_of: Rows
    divisions: int
    breadth: Floats


def rule_routes(arrays: RuleArrays, market: Market) -> RuleRoutes:
    """Prepare a market for `path_features`."""
    known, target = np.unique(_keys(arrays.receiver), return_inverse=True)
    order = np.argsort(target, kind="stable").astype(np.intp)
    starts = np.searchsorted(target[order], np.arange(len(known))).astype(np.intp)
    nace = market.receivers.nace
    bin_of = _found(known, _keys(nace))
    group, division = (_found(known, np.where(nace[:, k + 1] >= 0, _keys(nace[:, : k + 1]), -1)) for k in (1, 0))
    first = arrays.receiver[order[starts], 0]
    numbers = np.unique(first)
    routes = RuleRoutes(
        order=order,
        starts=starts,
        bin_of=bin_of,
        coarse_of=np.where(group < len(known), group, division),
        division=np.searchsorted(numbers, first).astype(np.intp),
        division_of=_found(numbers, nace[:, 0]),
        divisions=len(numbers),
        breadth=np.zeros(len(nace), dtype=np.float32),
    )
    if not len(known):
        return routes
    total = np.add.reduceat(arrays.strength[order], starts)[None, :]
    breadth = spread(total, routes, np.arange(len(nace), dtype=np.intp))[0]
    return replace(routes, breadth=breadth / max(float(breadth.max(initial=0.0)), 1e-6))


def _keys(levels: Ints) -> Ints:
    """One number for each code that tells its level too: group 16.1 and class 01.61 have the same digits."""
    depth = (levels >= 0).sum(axis=1) - 1
    return np.where(depth >= 0, 10_000 * depth + levels[np.arange(len(levels)), depth], -1).astype(np.int32)


def _found(known: Ints, keys: Ints) -> Rows:
    """Place of each key among the known ones, which ascend; ``len(known)`` where it is not among them."""
    if not len(known):
        return np.zeros(len(keys), dtype=np.intp)
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where((known[place] == keys) & (keys >= 0), place, len(known)).astype(np.intp)


def path_features(
    arrays: RuleArrays,
    routes: RuleRoutes,
    market: Market,
    index: VoteIndex,
    offers: OfferArrays,
    rows: Rows | None = None,
) -> Floats:
    """``[q, n, len(PATHS)]``, non-negative: how strongly each type of path joins each offer and receiver."""
    features = pair_features(market, index, offers, rows)
    rows = np.arange(len(market.receivers), dtype=np.intp) if rows is None else rows
    out = np.zeros((len(offers), len(rows), len(PATHS)), dtype=np.float32)
    if len(arrays.rules):
        _rule_paths(arrays, routes, rule_support(arrays, offers), rows, out)
    out[:, :, len(PATHS) - len(PRECEDENT_PATHS) :] = features[:, :, _PRECEDENT_COLUMNS]
    known, away = features[:, :, _KNOWN], np.expm1(features[:, :, _AWAY])
    for name, width in PLACE_PATHS.items():
        out[:, :, PATHS.index(name)] = known * np.exp(-away / width)
    return out


def _rule_paths(arrays: RuleArrays, routes: RuleRoutes, support: RuleSupport, rows: Rows, out: Floats) -> None:
    strength = arrays.strength[routes.order]
    material = arrays.material[routes.order]
    share = np.zeros(0, dtype=np.float32)
    for column, meet in enumerate(MEETINGS.values()):
        weight = meet(support)[:, material] * strength
        best = spread(np.maximum.reduceat(weight, routes.starts, axis=1), routes, rows)
        out[:, :, 2 * column] = best / (weight.max(axis=1, keepdims=True) + 1e-3)
        share = np.add.reduceat(weight, routes.starts, axis=1)
        share /= np.sqrt(np.square(share).sum(axis=1, keepdims=True)) + 0.02
        out[:, :, 2 * column + 1] = spread(share, routes, rows)
    by_division = np.zeros((len(out), routes.divisions + 1), dtype=np.float32)
    for q in range(len(out)):
        by_division[q, : routes.divisions] = np.bincount(routes.division, share[q], routes.divisions)
    out[:, :, len(RULE_PATHS)] = by_division[:, routes.division_of[rows]]
    out[:, :, len(RULE_PATHS) + 1] = routes.breadth[rows]


def spread(binned: Floats, routes: RuleRoutes, rows: Rows | slice) -> Floats:
    """Values of bins at receivers: the class's own rules, or a part of those for its whole division."""
    padded = np.concatenate([binned, np.zeros((len(binned), 1), np.float32)], axis=1)
    return np.asarray(
        np.maximum(padded[:, routes.bin_of[rows]], _COARSE * padded[:, routes.coarse_of[rows]]), dtype=np.float32
    )


_NEAR_KM = 300.0  # a company this far away is proposed with a weight of 1/e against one next door
_SAMPLE = 8192  # firms


def proposed_rows(arrays: RuleArrays, routes: RuleRoutes, market: Market, offers: OfferArrays, count: int) -> Rows:
    """Receivers that the rules favour for a single offer: up to ``count`` sectors and twice as many companies."""
    weight = (
        MEETINGS["all"](rule_support(arrays, offers))[0, arrays.material[routes.order]] * arrays.strength[routes.order]
    )
    home = market.receivers
    worth = spread(np.add.reduceat(weight, routes.starts)[None, :], routes, slice(None))[0]
    sectors = np.flatnonzero(home.sector)
    chosen = [sectors[top_rows(worth[sectors], count)]]
    firms = np.flatnonzero(~home.sector & (worth > 0))
    if np.isfinite(offers.latitude[0] + offers.longitude[0]):
        firms = _possible(market, offers, worth, firms, 2 * count)
        worth[firms] *= _nearness(market, offers, firms)
    chosen.append(firms[top_rows(worth[firms], 2 * count)])
    rows = np.concatenate(chosen)
    return np.unique(rows[worth[rows] > 0])


def _possible(market: Market, offers: OfferArrays, worth: Floats, firms: Rows, count: int) -> Rows:
    """Firms that can be among the ``count`` best: even next door, the others would be behind those of a sample."""
    sample = firms[:: max(1, len(firms) // _SAMPLE)]
    if len(sample) == len(firms) or len(sample) <= count:
        return firms
    least = np.partition(worth[sample] * _nearness(market, offers, sample), len(sample) - count)[len(sample) - count]
    return np.asarray(firms[worth[firms] >= least], dtype=np.intp)


def _nearness(market: Market, offers: OfferArrays, firms: Rows) -> Floats:
    """``[firms]`` 1 next door, 1/e at `_NEAR_KM`; an unknown distance counts as twice that."""
    home = market.receivers
    away = distance_km(offers.latitude[0], offers.longitude[0], home.latitude[firms], home.longitude[firms])
    return np.asarray(np.exp(-np.nan_to_num(away, nan=2 * _NEAR_KM) / _NEAR_KM), dtype=np.float32)
