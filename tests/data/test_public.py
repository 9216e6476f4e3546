"""Readers of the public sets, on the sets themselves."""

import gzip
import shutil

import polars as pl
import pytest

from ism.data import public
from ism.data.codes import ewc, nace
from ism.data.imports.importer import import_file
from ism.data.imports.limits import Limits
from ism.data.public import calrecycle, list_of_waste, maestri, sets, tri
from ism.domain.errors import InvalidInputError

FOLDER = public.folder()
pytestmark = [
    pytest.mark.public_data,
    pytest.mark.skipif(FOLDER is None, reason="the public data sets are absent; set ISM_PUBLIC_DATA to their folder"),
]


@pytest.fixture(scope="module")
def cases():
    return maestri.cases(FOLDER / maestri.FILE)


def test_maestri_units_and_groups(cases):
    assert cases.height == 295
    assert cases["group"].n_unique() == 31
    assert cases.columns == ["group", "unit", "donor_nace", "ewc", "waste_text", "receiver_nace"]
    assert cases["unit"].n_unique() == 295
    assert sum(cases.null_count().row(0)) == 0


def test_maestri_codes_are_real_and_eight_receivers_are_coarse(cases):
    codes = {code for cell in cases["receiver_nace"] for code in cell.split(";")}
    assert all(nace.is_nace(code) for code in codes)
    assert {code for code in codes if len(code) < 5} == {"01", "01.1", "01.2", "01.4", "17.1", "20", "23.1", "24.4"}
    assert all(nace.is_nace(code) for cell in cases["donor_nace"] for code in cell.split(";"))
    assert all(ewc.is_ewc(code) for cell in cases["ewc"] for code in cell.split(";"))


def test_maestri_groups_share_no_paper(cases):
    rows = {str(row["Database-ID"]): row for row in maestri._rows(FOLDER / maestri.FILE)}
    seen: dict[str, int] = {}
    for group, unit in cases.select("group", "unit").iter_rows():
        # by the first forty characters of a paper, found without the reader's own splitting rule
        for paper in (
            part.strip()[:40]
            for part in str(rows[unit]["Reference"]).replace(". &", ".|").replace("). &", ").|").split("|")
        ):
            assert seen.setdefault(paper, group) == group, paper
    assert len(seen) > 31


def test_maestri_text_is_the_waste_and_nothing_else(cases):
    rows = {str(row["Database-ID"]): row for row in maestri._rows(FOLDER / maestri.FILE)}
    for unit, waste in cases.select("unit", "waste_text").iter_rows():
        assert waste == " ".join(str(rows[unit]["Waste description"]).translate(str.maketrans("", "", "*^#")).split())


def test_maestri_import_just_works(tmp_path):
    copy = tmp_path / "exchanges_database_maestri.xlsx"
    shutil.copy(FOLDER / maestri.FILE, copy)
    stored = []
    report = import_file(copy, lambda batches: stored.extend(value for batch in batches for value in batch))
    assert (report.exchanges, report.listings, report.stored) == (305, 0, True)
    assert "MAESTRI" in report.source
    companies = {value.company_id: value for value in stored[: report.companies]}
    assert len(companies) == report.companies
    for exchange in stored[report.companies :]:
        assert {exchange.from_company, exchange.to_company} <= set(companies)
        assert exchange.material
        assert "MAESTRI" in exchange.source
    enipower = companies["maestri:1:enipower-power-station-35-11"]
    assert (enipower.name, enipower.nace, enipower.country) == ("Enipower power station", "35.11", "IT")
    # several codes in one cell: only what they share is claimed
    assert {exchange.ewc for exchange in stored[report.companies :] if len(exchange.ewc or "") < 8} == {
        "20 01",
        "16 02",
        None,
    }


def test_maestri_from_bytes_and_not_every_workbook():
    data = (FOLDER / maestri.FILE).read_bytes()
    assert sets.detect(data, Limits()).name == maestri.ATTRIBUTION
    assert sets.detect(FOLDER / "maestri/standardized_codes.xlsx", Limits()) is None


def test_maestri_is_refused_before_it_is_unpacked():
    with pytest.raises(InvalidInputError, match="unpack"):
        sets.detect(FOLDER / maestri.FILE, Limits(max_unpacked_bytes=100_000))


def test_tri_transfers():
    frame = tri.transfers(FOLDER)
    assert frame.schema == tri.TRANSFERS_SCHEMA
    assert frame.height == 19_840 - 99
    assert frame.filter(pl.col("sender") == pl.col("receiver")).is_empty()
    first = frame.row(0, named=True)
    assert (first["sender"], first["chemical"], first["receiver"]) == ("110000308435", "Formaldehyde", "110000521221")
    assert first["_label_recovery"]
    assert frame["sender_naics"].null_count() < 0.1 * frame.height
    assert frame["sender_naics"].drop_nulls().str.contains("^[0-9]{6}$").all()
    # what tells the outcome is marked as such, and nothing unmarked speaks of it
    assert [name for name in frame.columns if "treat" in name or "kg" in name] == ["_label_treatment", "_label_kg"]
    assert set(frame.filter("_label_recovery")["_label_treatment"]) >= {"Solvents/organics recovery", "Metals recovery"}
    assert "Landfills/disposal surface impoundment" not in set(frame.filter("_label_recovery")["_label_treatment"])


@pytest.mark.parametrize("path", ["tri_1987", "tri_1987/offsite_transfers.csv.gz"])
def test_tri_as_domain_values(path):
    found = sets.detect(FOLDER / path, Limits())
    companies = {company.company_id: company for company in found.companies()}
    exchanges = list(found.exchanges())
    assert len(exchanges) == 19_741
    assert len({exchange.exchange_id for exchange in exchanges}) == len(exchanges)
    assert all(exchange.from_company in companies and exchange.to_company in companies for exchange in exchanges)
    assert exchanges[0].quantity_t_per_year == pytest.approx(1.9958048)
    assert sum(company.description.startswith("NAICS") for company in companies.values()) > 4000


def test_calrecycle_manifests():
    frames = [calrecycle.manifests(FOLDER, year) for year in calrecycle.YEARS]
    assert all(frame.schema == calrecycle.MANIFESTS_SCHEMA for frame in frames)
    assert [frame.height for frame in frames] == [28203, 28909, 28104, 29399]
    joined = pl.concat(frames)
    assert joined.filter(pl.col("generator") == pl.col("receiver")).is_empty()
    assert joined["generator"].null_count() == joined["receiver"].null_count() == 0
    assert joined["receiver_latitude"].drop_nulls().is_between(17, 72).all()
    # pounds become tonnes; gallons stay unknown
    raw = pl.read_csv(FOLDER / "calrecycle/manifests_2008.csv.gz", infer_schema=False)
    line = raw.filter(
        (pl.col("GEN_EPA_ID") == "CAL000172490") & (pl.col("UNITS") == "P") & (pl.col("QUANTITY") == "350")
    )
    assert line.height >= 1
    tonnes = frames[1].filter(pl.col("generator") == "CAL000172490")["_label_tonnes"]
    assert any(value == pytest.approx(350 * 0.45359237 / 1000) for value in tonnes.drop_nulls())
    with pytest.raises(InvalidInputError, match="2007 to 2010"):
        calrecycle.manifests(FOLDER, 2011)


def test_calrecycle_as_domain_values():
    found = sets.detect(FOLDER / "calrecycle" / "manifests_2009.csv.gz", Limits())
    companies = {company.company_id for company in found.companies()}
    exchanges = list(found.exchanges())
    assert {exchange.year_start for exchange in exchanges} == {2009}
    assert len({exchange.exchange_id for exchange in exchanges}) == len(exchanges)
    assert all(exchange.from_company in companies and exchange.to_company in companies for exchange in exchanges)


def test_our_list_of_waste_agrees_with_the_published_one():
    published = list_of_waste.read(FOLDER / list_of_waste.FILE)
    assert len(published) == 842
    assert {entry.code: entry.status for entry in published} == {
        code: ewc.hazard_status(code) for code in ewc.all_codes()
    }
    assert all(entry.hazardous == (entry.status[1] == "H") for entry in published)
    assert all(entry.description and entry.chapter and entry.subchapter for entry in published)
    with pytest.raises(InvalidInputError, match="comes with this package"):
        sets.detect(FOLDER / list_of_waste.FILE, Limits())


def test_absent_and_foreign_files(tmp_path):
    with pytest.raises(InvalidInputError, match="ISM_PUBLIC_DATA"):
        tri.transfers(tmp_path)
    other = tmp_path / "other.csv.gz"
    other.write_bytes(gzip.compress(b"company_id,name\n"))
    assert sets.detect(other, Limits()) is None
    other.write_bytes(b"not gzip")
    assert sets.detect(other, Limits()) is None


def test_folder_follows_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv(public.VARIABLE, str(tmp_path))
    assert public.folder() == tmp_path
    monkeypatch.setenv(public.VARIABLE, str(tmp_path / "absent"))
    assert public.folder() is None
