"""A whole application on a temporary folder, with a matcher that answers at once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_fakes import ADMIN_KEY, FakeMatcher
from starlette.testclient import TestClient

from ism.app.http.app import create_app
from ism.app.wiring import Application, open_application
from ism.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)  # a developer's .env has no place here
    # tests judge feedback when they want to
    return Settings(data_dir=tmp_path / "data", admin_key=ADMIN_KEY, demo_market=False, feedback_turn_s=3600)


@pytest.fixture
def application(settings: Settings) -> Iterator[Application]:
    with open_application(settings, make_matcher=FakeMatcher) as opened:
        opened.auth.ensure_admin(ADMIN_KEY)
        yield opened


@pytest.fixture
def anyone(application: Application) -> Iterator[TestClient]:
    """A client that shows no key."""
    with TestClient(create_app(application), raise_server_exceptions=True, follow_redirects=False) as client:
        yield client


@pytest.fixture
def client(anyone: TestClient) -> TestClient:
    """A client with the administrator's key."""
    anyone.headers["X-API-Key"] = ADMIN_KEY
    return anyone


@pytest.fixture(scope="session")
def real_application(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """The application as users start it: demonstration market, sentence model, fitted engines.

    Vectors of texts are kept between runs in pytest's cache; they depend on nothing but the model and the text.
    """
    folder = tmp_path_factory.mktemp("real")
    kept = request.config.cache.mkdir("ism-vectors") / "vectors.sqlite3"
    file = folder / "cache" / kept.name
    if kept.is_file():
        file.parent.mkdir()
        shutil.copyfile(kept, file)
    with open_application(Settings(data_dir=folder, admin_key=ADMIN_KEY, _env_file=None)) as opened:
        opened.auth.ensure_admin(ADMIN_KEY)
        yield opened
    shutil.copyfile(file, kept)
