"""The bundled market: it is documented, its codes exist, and its listings say no more than its exchanges."""

import csv
from collections import Counter
from importlib.resources import files

import pytest

from ism.data.codes.country import CODES
from ism.data.codes.ewc import is_ewc
from ism.data.codes.nace import is_nace
from ism.data.demo import load, sources
from ism.data.market import distance_km


def _rows(name: str) -> list[dict[str, str]]:
    with files("ism.data.demo").joinpath(name).open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


COMPANIES, LISTINGS, EXCHANGES = load()
BY_ID = {company.company_id: company for company in COMPANIES}


def test_there_is_enough_of_it():
    parks = Counter(row["park"] for row in _rows("exchanges.csv"))
    assert len(parks) >= 8
    assert sum(1 for count in parks.values() if count >= 4) >= 8
    assert len(EXCHANGES) >= 80


def test_identifiers_are_unique_and_resolve():
    assert len(BY_ID) == len(COMPANIES)
    assert len({exchange.exchange_id for exchange in EXCHANGES}) == len(EXCHANGES)
    assert len({listing.listing_id for listing in LISTINGS}) == len(LISTINGS)
    assert {listing.company_id for listing in LISTINGS} <= BY_ID.keys()
    for exchange in EXCHANGES:
        assert exchange.from_company in BY_ID, exchange
        assert exchange.to_company in BY_ID, exchange
        assert exchange.from_company != exchange.to_company, exchange
    taking_part = {exchange.from_company for exchange in EXCHANGES} | {exchange.to_company for exchange in EXCHANGES}
    assert taking_part == BY_ID.keys()


@pytest.mark.parametrize("company", COMPANIES, ids=lambda company: company.company_id)
def test_a_company_has_real_codes_a_place_and_a_source(company):
    assert company.name
    assert company.description
    assert company.source
    assert company.nace is None or is_nace(company.nace)
    assert company.country in CODES
    assert (company.latitude is None) == (company.longitude is None)
    if company.latitude is not None:
        assert -90 <= company.latitude <= 90
        assert -180 <= company.longitude <= 180
        assert (company.latitude, company.longitude) != (0, 0)


def test_only_few_companies_lack_a_sector():
    assert sum(company.nace is None for company in COMPANIES) <= 4


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.exchange_id)
def test_an_exchange_has_real_codes_and_a_source(exchange):
    assert exchange.material
    assert exchange.source
    assert exchange.ewc is None or is_ewc(exchange.ewc)
    assert exchange.status in {"operating", "discontinued", "planned", "unknown"}
    assert exchange.quantity_t_per_year is None or exchange.quantity_t_per_year > 0
    assert exchange.year_start is None or 1900 <= exchange.year_start <= 2025


def test_partners_of_one_park_are_neighbours():
    """A slip in one coordinate would put a partner on another continent."""
    for exchange in EXCHANGES:
        donor, receiver = BY_ID[exchange.from_company], BY_ID[exchange.to_company]
        if donor.latitude is None or receiver.latitude is None:
            continue
        apart = distance_km(donor.latitude, donor.longitude, receiver.latitude, receiver.longitude)
        assert apart < 500, exchange.exchange_id


def test_fly_ash_goes_to_cement():
    found = [
        exchange
        for exchange in EXCHANGES
        if "fly ash" in exchange.material.lower() and (BY_ID[exchange.to_company].nace or "").startswith("23.5")
    ]
    assert found
    assert any(exchange.ewc == "10 01 02" for exchange in found)


def test_checked_rows_tell_against_what():
    rows = {row["exchange_id"]: row for row in _rows("exchanges.csv")}
    assert {row["checked"] for row in rows.values()} == {"yes", "no"}
    for exchange in EXCHANGES:
        assert bool(exchange.checked_against) == (rows[exchange.exchange_id]["checked"] == "yes"), exchange.exchange_id
    assert sum(bool(exchange.checked_against) for exchange in EXCHANGES) >= 80


def test_every_source_is_used_and_cited_in_full():
    used = {
        one for name in ("companies.csv", "exchanges.csv") for row in _rows(name) for one in row["source"].split(";")
    }
    assert used == sources().keys()
    for row in _rows("sources.csv"):
        citation = sources()[row["source_id"]]
        assert all(row[part] in citation for part in ("authors", "year", "title", "publisher_or_journal")), row
        assert citation.strip(" ,") == citation


def test_a_citation_reads_authors_year_title_publisher():
    assert sources()["chertow2007"] == (
        'Chertow, M. R. (2007), "Uncovering" Industrial Symbiosis, Journal of Industrial Ecology 11(1), 11-30'
    )
    ash = next(exchange for exchange in EXCHANGES if exchange.exchange_id == "kalundborg-02")
    assert "Jacobsen, N. B. (2006), " in ash.source
    assert "; " in ash.source


def test_listings_follow_from_running_or_planned_exchanges_only():
    listed = {exchange.exchange_id for exchange in EXCHANGES if exchange.status in {"operating", "planned"}}
    assert 0 < len(listed) < len(EXCHANGES)
    by_id = {listing.listing_id: listing for listing in LISTINGS}
    assert by_id.keys() == {f"{kind}-{one}" for kind in ("offer", "need") for one in listed}
    for exchange in EXCHANGES:
        if exchange.exchange_id in listed:
            offer, need = (by_id[f"{kind}-{exchange.exchange_id}"] for kind in ("offer", "need"))
            assert (offer.kind, offer.company_id) == ("offer", exchange.from_company)
            assert (need.kind, need.company_id) == ("need", exchange.to_company)
            assert {offer.material, need.material} == {exchange.material}
            assert {offer.ewc, need.ewc} == {exchange.ewc}
            assert {offer.quantity_t_per_year, need.quantity_t_per_year} == {exchange.quantity_t_per_year}


def test_an_offer_does_not_tell_who_took_it():
    assert not any(listing.description for listing in LISTINGS if listing.kind == "offer")


def test_loading_twice_gives_lists_of_ones_own():
    first, second = load(), load()
    assert first == second
    first[0].clear()
    assert second[0]
