"""A fresh default data folder for each test."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `AIFusionLayer()` and the others work."""
    monkeypatch.chdir(tmp_path)  # a developer's .env has no place here
    monkeypatch.setenv("ISM_DATA_DIR", str(tmp_path / "default"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return tmp_path / "default"
