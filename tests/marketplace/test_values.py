"""Rows as values: what is understood, what is left out and noted, and what is refused."""

from collections import Counter
from typing import Any

import pytest

from ism.app.marketplace import values
from ism.app.marketplace.mapping import Companies, Exchanges, Materials
from ism.domain.errors import InvalidInputError

FIRM = {"id": "c", "name": "Firm"}
WASTE = {"id": "m", "company_id": "c", "material_name": "ash", "type": "Waste"}


def listing(notes: Counter[str] | None = None, **row: Any):
    return values.listing({**WASTE, **row}, Materials(), notes if notes is not None else Counter())


def company(notes: Counter[str] | None = None, mapping: Companies | None = None, **row: Any):
    return values.company({**FIRM, **row}, mapping or Companies(), notes if notes is not None else Counter())


@pytest.mark.parametrize(
    ("industry", "code"),
    [("23.51", "23.51"), ("C2351", "23.51"), ("manufacture of CEMENT", "23.51"), ("kiln people", "23.51"), ("x", None),
     (None, None), ("", None)],
)  # fmt: skip
def test_industries(industry: str | None, code: str | None) -> None:
    mapping = Companies.model_validate({"industries": {"Kiln People": "23.51"}})
    assert company(mapping=mapping, industry=industry).nace == code


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ({"latitude": 51.5, "longitude": "7.5"}, (51.5, 7.5)),
        ({"latitude": 51.5}, (None, None)),
        ({"latitude": 95, "longitude": 0}, (None, None)),
        ({"latitude": "NaN", "longitude": 0}, (None, None)),
        ({"latitude": True, "longitude": 0}, (None, None)),
    ],
)
def test_places(row: dict[str, Any], place: tuple[float | None, float | None]) -> None:
    made = company(**row)
    assert (made.latitude, made.longitude) == place


def test_a_country_comes_from_its_own_column_alone() -> None:
    notes: Counter[str] = Counter()
    assert company(country="de").country == "DE"
    assert company(location="Dover, DE").country is None  # Delaware
    assert company(notes, country="Germany").country is None
    assert list(notes) == ["companies.country: 'Germany' is no code of ISO 3166"]


@pytest.mark.parametrize(
    ("row", "tonnes"),
    [
        ({"quantity": 2, "unit": "kg", "frequency": "Daily"}, 0.73),
        ({"quantity": 2, "unit": "T"}, 2.0),
        ({"quantity": "2.5", "unit": "tonnes", "frequency": "yearly"}, 2.5),
        ({"quantity": 2, "unit": "barrels"}, None),
        ({"quantity": 2, "unit": "t", "frequency": "sometimes"}, None),
        ({"quantity": -2, "unit": "t"}, None),
        ({"quantity": 1e13, "unit": "t"}, None),
        ({"quantity": 2}, None),
        ({"unit": "t"}, None),
    ],
)
def test_quantities(row: dict[str, Any], tonnes: float | None) -> None:
    assert listing(**row).quantity_t_per_year == (None if tonnes is None else pytest.approx(tonnes))


@pytest.mark.parametrize(
    ("row", "euros"),
    [
        ({"price_per_unit": 0.05, "unit": "kg", "currency": "eur"}, 50.0),
        ({"price_per_unit": -5, "unit": "t", "currency": "€"}, -5.0),
        ({"price_per_unit": 5, "unit": "t", "currency": "USD"}, None),  # no rate is made up
        ({"price_per_unit": 5, "unit": "m3", "currency": "EUR"}, None),
        ({"price_per_unit": 5, "unit": "t"}, None),
    ],
)
def test_prices(row: dict[str, Any], euros: float | None) -> None:
    assert listing(**row).price_eur_per_t == (None if euros is None else pytest.approx(euros))


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"category": "10 01 02"}, "10 01 02"),
        ({"category": "ash"}, None),
        ({"properties": {"ewc": "100102*"}}, "10 01 02"),
        ({"properties": '{"ewc": "1001"}'}, "10 01"),
        ({"ewc": "10 01 02", "properties": {"ewc": "99 99 99"}}, "10 01 02"),
        ({"properties": {"ewc": "99 99 99"}, "category": "10 01 02"}, "10 01 02"),
        ({"properties": "no JSON"}, None),
        ({"properties": [1]}, None),
    ],
)
def test_waste_codes(row: dict[str, Any], code: str | None) -> None:
    assert listing(**row).ewc == code


def test_texts_hold_nothing_that_the_database_cannot() -> None:
    made = listing(description="a\0b\ud800", quality_grade=["A", None, "B"], material_name=" ash ")
    assert (made.material, made.description) == ("ash", "ab? Quality: A, B.")


@pytest.mark.parametrize("status", ["SOLD", "inactive", " closed "])
def test_what_is_closed_is_no_listing(status: str) -> None:
    assert listing(status=status) is None


@pytest.mark.parametrize(
    "row", [{"id": None}, {"id": ""}, {"id": True}, {"id": "x" * 201}, {"material_name": "  "}, {"type": "gift"},
            {"company_id": None}, {"id": 1.5}],
)  # fmt: skip
def test_a_row_without_what_it_needs_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=r"materials\."):
        listing(**row)


def test_numbers_name_rows_too() -> None:
    assert listing(id=7, company_id=8).listing_id == "7"


def test_an_exchange_is_a_precedent_without_an_amount_of_a_year() -> None:
    row = {"id": 1, "from_company_id": "a", "to_company_id": "b", "material_id": "m", "quantity": 5,
           "status": "Delivered", "delivered_at": "2023-12-31T23:30:00-01:00"}  # fmt: skip
    made = values.exchange(row, {**WASTE, "unit": "kg"}, Exchanges(), Materials())
    assert made is not None
    assert (made.exchange_id, made.status, made.year_start, made.quantity_t_per_year) == ("1", "operating", 2024, None)
    assert values.tonnes(row, {"unit": "kg"}, Materials()) == 0.005
    assert values.tonnes(row, None, Materials()) is None
    assert values.exchange({**row, "status": "cancelled"}, WASTE, Exchanges(), Materials()) is None
    with pytest.raises(InvalidInputError, match="material_id"):
        values.exchange(row, None, Exchanges(), Materials())
