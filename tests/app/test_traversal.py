"""Paths that want to lead out of where they belong: 500 and more tries, none of which gets anywhere."""

from itertools import product
from pathlib import Path

from starlette.testclient import TestClient

from ism.app.wiring import Application

UP = [
    "..",
    "%2e%2e",
    "..%2f",
    "%2e%2e%2f",
    "..%5c",
    "..\\",
    "%252e%252e%252f",
    "....//",
    "..;",
    "%c0%ae%c0%ae",
    "..%00",
    ".",
]
GOALS = ["etc/passwd", "ism.sqlite3", "server.json", "backups", "app.css/../../wiring.py"]
PLACES = [
    "/static", "/panels/overview", "/panels", "/api/models", "/api/retraining-jobs", "/api/optimizations",
    "/api/companies", "/api/listings", "/api/feedback/dead-letters", "/api/dashboard/ai-metrics", "/api/backups",
]  # fmt: skip
MARK = "a text that no answer may hold"


def test_no_path_leads_out(client: TestClient, application: Application) -> None:
    folder: Path = application.settings.data_dir
    (folder / "server.json").write_text(MARK)
    tried = [f"{place}/{'/'.join([up] * 4)}/{goal}" for place, up, goal in product(PLACES, UP, GOALS)]
    tried += [f"{place}/{folder}/server.json" for place in PLACES]
    assert len(tried) > 500
    for path in tried:
        answer = client.get(path)
        assert answer.status_code < 500, path
        assert MARK not in answer.text, path
        assert "root:x:" not in answer.text, path
        assert "SQLite format" not in answer.text, path
        assert "The only place where parts meet" not in answer.text, path


def test_an_honest_path_finds_its_file(client: TestClient) -> None:
    assert client.get("/static/app.css").status_code == 200
