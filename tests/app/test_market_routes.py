"""Companies, listings, exchanges and imports over HTTP."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from ism.app.wiring import Application
from ism.data.imports.export import write_template
from ism.domain.market import Company, Exchange

WORKS = {"company_id": "w/1", "name": " Works ", "nace": "C2351", "country": "de", "latitude": 1.5, "longitude": 2.5}


def test_a_company_lives(client: TestClient) -> None:
    made = client.post("/api/companies", json=WORKS)
    assert made.status_code == 201
    expected = WORKS | {"name": "Works", "nace": "23.51", "country": "DE", "description": "", "source": ""}
    assert made.json() == expected
    assert client.get("/api/companies/w/1").json() == expected
    assert client.post("/api/companies", json=WORKS).status_code == 409
    changed = client.patch("/api/companies/w/1", json={"name": "Mill", "nace": None})
    assert (changed.json()["name"], changed.json()["nace"], changed.json()["country"]) == ("Mill", None, "DE")
    assert client.patch("/api/companies/w/1", json={"company_id": "z"}).status_code == 422
    assert client.patch("/api/companies/w/1", json={"name": None}).status_code == 422
    half = client.patch("/api/companies/w/1", json={"latitude": None})
    assert half.json()["errors"][0]["field"] == "latitude"
    assert client.patch("/api/companies/w/1", json={"latitude": None, "longitude": None}).status_code == 200
    assert client.delete("/api/companies/w/1").status_code == 204
    assert client.get("/api/companies/w/1").status_code == 404


def test_companies_without_identifier_get_one(client: TestClient) -> None:
    made = [client.post("/api/companies", json={"name": "Same"}).json()["company_id"] for _ in range(2)]
    assert len(set(made)) == 2


def test_a_listing_lives(client: TestClient) -> None:
    client.post("/api/companies", json=WORKS)
    listing = {"listing_id": "l", "company_id": "w/1", "kind": "offer", "material": "dust", "ewc": "101306"}
    assert client.post("/api/listings", json=listing).json()["ewc"] == "10 13 06"
    orphan = client.post("/api/listings", json={**listing, "listing_id": "m", "company_id": "none"})
    assert orphan.status_code == 422
    assert client.patch("/api/listings/l", json={"quantity_t_per_year": 5}).json()["quantity_t_per_year"] == 5
    assert client.get("/api/listings?kind=offer").json()["total"] == 1
    assert client.get("/api/listings?kind=need").json() == {"items": [], "after": None, "total": 0}
    assert client.delete("/api/listings/l").status_code == 204
    assert client.delete("/api/listings/l").status_code == 404


def test_pages_follow_each_other(client: TestClient, application: Application) -> None:
    application.store.bulk_upsert([Company(f"c{n:02}", "C", country="DE" if n % 2 else "FR") for n in range(7)])
    seen, after = [], None
    while True:
        page = client.get("/api/companies", params={"limit": 3, **({"after": after} if after else {})}).json()
        assert page["total"] == 7
        seen += [item["company_id"] for item in page["items"]]
        after = page["after"]
        if after is None:
            break
    assert seen == [f"c{n:02}" for n in range(7)]
    assert client.get("/api/companies?country=de").json()["total"] == 3


def test_exchanges_are_listed_and_protect_their_companies(client: TestClient, application: Application) -> None:
    application.store.bulk_upsert([Company("a", "A"), Company("b", "B"), Exchange("x", "a", "b", "ash")], "demo")
    assert client.get("/api/exchanges?company_id=b").json()["items"][0]["material"] == "ash"
    assert client.get("/api/exchanges?dataset=other").json()["total"] == 0
    assert client.delete("/api/companies/a").status_code == 409


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_template_is_imported(client: TestClient, application: Application, form: str) -> None:
    file = {"file": (f"companies.{form}", write_template("companies", form))}
    dry = client.post("/api/import?dry_run=true", files=file)
    assert dry.json() == {"companies": 1, "listings": 0, "exchanges": 0, "stored": False, "source": ""}
    assert application.store.count(Company) == 0
    assert client.post("/api/import?kind=companies", files=file).json()["stored"] is True
    assert application.store.count(Company) == 1


def test_a_bad_table_is_refused_as_a_whole(client: TestClient, application: Application) -> None:
    table = b"company_id,name,nace\na,A,23.51\nb,B,99.99\nc,,1\n"
    body = client.post("/api/import", files={"file": ("x.csv", table)})
    assert body.status_code == 422
    problems = {entry["field"]: entry["value"] for entry in body.json()["errors"]}
    assert problems["row 3, column nace"] == "'99.99'"
    assert "row 4, column name" in problems
    assert application.store.count(Company) == 0
    listing = b"listing_id,company_id,kind,material\nl,nobody,offer,ash\n"
    orphan = client.post("/api/import", files={"file": ("x.csv", listing)}).json()
    assert orphan["errors"][0]["field"] == "row 2, column company_id"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\xfd", b"\x00" * 100, b"PK\x03\x04broken", b"just text"])
def test_files_that_are_no_tables(client: TestClient, content: bytes) -> None:
    assert client.post("/api/import", files={"file": ("x.csv", content)}).status_code == 422


def test_uploads_without_a_file(client: TestClient) -> None:
    assert client.post("/api/import").status_code == 422
    assert client.post("/api/import", data={"file": "text"}).status_code == 422
    broken = client.post("/api/import", content=b"--x", headers={"content-type": "multipart/form-data"})
    assert broken.status_code == 400


def test_large_uploads_are_refused_while_they_arrive(
    client: TestClient, application: Application, tmp_path: Path
) -> None:
    application.settings.max_upload_bytes = 1_000_000
    from ism.app.http.app import create_app

    sent = 0

    def stream() -> Iterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        for _ in range(40):
            sent += 1
            yield b"a" * 100_000
        yield b"\r\n--b--\r\n"

    small = TestClient(create_app(application), headers=client.headers)
    response = small.post("/api/import", content=stream(), headers={"content-type": "multipart/form-data; boundary=b"})
    assert response.status_code == 413
    assert "1,000,000" in response.json()["detail"]
    assert application.store.count(Company) == 0
    file = io.BytesIO(b"company_id,name\n" + b"a,A\n")
    assert small.post("/api/import", files={"file": ("a.csv", file)}).status_code == 200
