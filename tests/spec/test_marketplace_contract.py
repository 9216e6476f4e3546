"""Lines of the specification about Supabase: local storage by default, the cloud by two variables."""

from pathlib import Path

import pytest

from backend.ai_feedback_orchestrator import AIFeedbackOrchestrator
from ism.settings import Settings


def test_storage_is_local_without_supabase(default_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    with AIFeedbackOrchestrator():
        assert (default_folder / "ism.sqlite3").is_file()
    assert not Settings().connects_marketplace


def test_the_two_variables_of_the_environment_connect_the_marketplace(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(  # in the working folder, as the specification shows it
        "# Database\nSUPABASE_URL=https://project.supabase.co\nSUPABASE_SERVICE_ROLE_KEY=sb_secret_key\n"
    )
    settings = Settings()
    assert settings.connects_marketplace
    assert "sb_secret_key" not in repr(settings)
