"""From a snapshot to sites: whose exchange is whose, and what a site prepares from its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ism.data.market import Floats, Ints, Market, Rows
from ism.engines.base import Snapshot
from ism.engines.federated.columns import offer_columns, pair_columns
from ism.engines.federated.model import Bins, Examples
from ism.engines.rules import RuleBook
from ism.engines.training import folds, queries

SiteRule = Callable[[Snapshot], Ints]

_MOST_RECEIVERS = 1024  # companies that compete in a site's training, a sample beyond
_MOST_CELLS = 1_000_000  # offers times receivers of a site; a sample of its offers beyond


@dataclass(frozen=True)
class Site:
    """A participant: its name and the exchanges that stay with it."""

    name: str
    snapshot: Snapshot


def split(snapshot: Snapshot, site_of: Ints, names: dict[int, str] | None = None) -> list[Site]:
    """One site for each value of ``site_of`` (``[p]``, one a precedent), in ascending order.

    Args:
        snapshot: everything.
        site_of: the site of each precedent.
        names: of the sites; ``site N`` by default.
    """
    sites = []
    for number in np.unique(site_of).tolist():
        rows = np.flatnonzero(site_of == number)
        name = (names or {}).get(number, f"site {number}")
        sites.append(Site(name, Snapshot(snapshot.market.keeping(rows), snapshot.groups[rows])))
    return sites


def by_donor(snapshot: Snapshot, count: int) -> Ints:
    """``[p]`` site of each precedent: whole donors (the snapshot's groups), spread evenly over ``count`` sites."""
    return folds(snapshot.groups, count, seed=0)


def prepared(
    snapshot: Snapshot, bins: Bins, *, private: bool, seed: int = 0, rules: RuleBook | None = None
) -> Examples:
    """A site's exchanges as examples.

    Args:
        snapshot: the site's own precedents, and the public profile of all receivers.
        bins: of the model.
        private: whether who competes must not depend on the site's data: with noise, an example may then influence
            nothing but its own gradient. Else those who took something always compete.
        seed: of the samples in large markets.
        rules: the curated rules, where the federation uses them.
    """
    market, asked = snapshot.market, queries(snapshot)
    rng = np.random.default_rng(seed)
    companies, sectors = _competing(market, rng)
    budget = max(1, _MOST_CELLS // max(len(companies) + len(sectors), 1))
    chosen = np.sort(rng.permutation(len(asked.takers))[:budget])
    takers = [asked.takers[query] for query in chosen]
    if takers and not private:
        took = np.unique(np.concatenate(takers))
        companies = np.union1d(companies, took[~market.receivers.sector[took]]).astype(np.intp)
    rows = np.concatenate([companies, sectors])
    offers = asked.offers.take(chosen)
    share = np.zeros((len(chosen), len(rows)), dtype=np.float32)
    for query, mine in enumerate(takers):
        _ask(share[query, : len(companies)], np.isin(companies, mine))
        _ask(share[query, len(companies) :], _right_sectors(market, sectors, mine))
    told = np.flatnonzero(share.any(axis=1))
    offers = offers.take(told)
    pairs = pair_columns(market, offers, rows, rules)
    used = np.flatnonzero(pairs.any(axis=(0, 1)))
    return Examples(
        offers=offer_columns(offers),
        pairs=np.ascontiguousarray(pairs[:, :, used]),
        used=used,
        places=bins.of(market.receivers, rows),
        bins=len(bins.names),
        share=share[told],
        companies=len(companies),
    )


def _competing(market: Market, rng: np.random.Generator) -> tuple[Rows, Rows]:
    sector = market.receivers.sector
    companies, sectors = np.flatnonzero(~sector), np.flatnonzero(sector)
    if len(companies) > _MOST_RECEIVERS:
        companies = np.sort(rng.choice(companies, _MOST_RECEIVERS, replace=False))
    return companies.astype(np.intp), sectors.astype(np.intp)


def _right_sectors(market: Market, sectors: Rows, takers: Rows) -> Floats:
    home = market.receivers
    classes = home.nace[takers, 2][~home.sector[takers]]
    return np.asarray(
        np.isin(sectors, takers) | np.isin(home.nace[sectors, 2], classes[classes >= 0]), dtype=np.float32
    )


def _ask(share: Floats, right: np.ndarray[tuple[int], np.dtype[np.generic]]) -> None:
    """Fill one question's shares in place; a question without an answer stays empty."""
    if right.any():
        share[:] = right / right.sum()
