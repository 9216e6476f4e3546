"""A market with one company more, for a question about a buyer who is not listed.

Engines prepare a market once and keep that as long as it lives. So candidates come from the market itself, and the
buyer is compared with them in a small one beside it: the candidates, everybody who ever took something, and one
receiver of each sector. Nobody else bears on a score: what engines prepare follows from precedents and from the sectors
that there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ism.data.build import BuiltMarket, need_terms
from ism.data.codes import nace
from ism.data.market import Market, Receivers, Rows, column, nace_levels
from ism.data.text import TextEncoder
from ism.domain.market import Company, Listing


def with_company(built: BuiltMarket, company: Company, needs: Sequence[Listing], encoder: TextEncoder) -> BuiltMarket:
    """The market with ``company`` as its last receiver; the market itself where it is listed already."""
    if company.company_id in built.row_of:
        return built
    home, row = built.market.receivers, len(built.market.receivers)
    texts = [f"{need.material}. {need.description}" if need.description else need.material for need in needs]
    terms = column([term for need in needs for term in need_terms(need)]).reshape(-1, 3)
    if not texts and company.nace:
        texts, terms = [nace.title(company.nace)], column([None] * 3).reshape(1, 3)
    receivers = replace(
        home,
        ids=[*home.ids, company.company_id],
        names=[*home.names, company.name],
        kinds=[*home.kinds, "company"],
        nace=np.concatenate([home.nace, nace_levels([company.nace])]),
        latitude=np.concatenate([home.latitude, column([company.latitude])]),
        longitude=np.concatenate([home.longitude, column([company.longitude])]),
        countries=[*home.countries, company.country or ""],
        needs=np.concatenate([home.needs, encoder.encode(texts)]),
        need_owner=np.concatenate([home.need_owner, np.full(len(texts), row, dtype=np.intp)]),
        need_texts=[*home.need_texts, *texts],
        need_terms=np.concatenate([home.need_terms, terms]),
    )
    return replace(
        built,
        market=replace(built.market, receivers=receivers),
        companies=[*built.companies, company],
        row_of={**built.row_of, company.company_id: row},
    )


def around(built: BuiltMarket, candidates: Rows) -> tuple[BuiltMarket, Rows]:
    """The part of a market that bears on the scores of some candidates.

    Args:
        built: the market.
        candidates: rows of receivers, ascending.

    Returns:
        the part, with receivers in the same order, and the candidates' rows in it; the market itself where leaving the
        rest out would hardly make it smaller.
    """
    market = built.market
    home, past = market.receivers, market.precedents
    _, one_each = np.unique(home.nace, axis=0, return_index=True)
    kept = np.unique(np.concatenate([candidates, past.receiver, one_each, home.by_kind[1]])).astype(np.intp)
    if len(kept) > len(home) // 2:
        return built, candidates
    place = np.full(len(home), -1, dtype=np.intp)
    place[kept] = np.arange(len(kept))
    part = Market(_taken(home, kept, place), replace(past, receiver=place[past.receiver]), market.generation)
    small = replace(
        built,
        market=part,
        companies=[built.companies[row] for row in kept.tolist()],
        row_of={home.ids[row]: number for number, row in enumerate(kept.tolist())},
    )
    return small, place[candidates]


def _taken(home: Receivers, kept: Rows, place: Rows) -> Receivers:
    """The receivers at ``kept``; ``place`` is their new row, -1 for the others."""
    needs = np.flatnonzero(place[home.need_owner] >= 0)
    rows = kept.tolist()
    return Receivers(
        ids=[home.ids[row] for row in rows],
        names=[home.names[row] for row in rows],
        kinds=[home.kinds[row] for row in rows],
        nace=home.nace[kept],
        latitude=home.latitude[kept],
        longitude=home.longitude[kept],
        countries=[home.countries[row] for row in rows],
        needs=home.needs[needs],
        need_owner=place[home.need_owner[needs]],
        need_texts=[home.need_texts[need] for need in needs.tolist()],
        need_terms=home.need_terms[needs],
    )
