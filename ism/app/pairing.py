"""A market with one company more, for a question about a buyer who is not listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ism.data.build import BuiltMarket, need_terms
from ism.data.codes import nace
from ism.data.market import column, nace_levels
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
