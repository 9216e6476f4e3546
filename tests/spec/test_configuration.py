"""The `.env` that the specification prints, and what it says about keys."""

from pathlib import Path

import pytest

from ism.settings import Settings

PRINTED = """\
# Database
SUPABASE_URL=https://example.supabase.co
SUPABASE_SERVICE_ROLE_KEY=a-key-that-nobody-may-read

# AI Services
GNN_API_KEY=another-key-that-nobody-may-read
DEEPSEEK_API_KEY=a-third-key-that-nobody-may-read

# Monitoring
MONITORING_PORT=5001
LOG_LEVEL=INFO
"""


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    for line in PRINTED.splitlines():
        monkeypatch.delenv(line.partition("=")[0] or "NOTHING", raising=False)
    Path(".env").write_text(PRINTED, encoding="utf-8")  # each test works in a folder of its own
    return Settings()


def test_each_line_of_the_file_is_read(settings: Settings):
    assert settings.supabase_url == "https://example.supabase.co"
    assert settings.supabase_service_role_key.get_secret_value() == "a-key-that-nobody-may-read"
    assert settings.gnn_api_key.get_secret_value() == "another-key-that-nobody-may-read"
    assert settings.deepseek_api_key.get_secret_value() == "a-third-key-that-nobody-may-read"
    assert (settings.port, settings.log_level) == (5001, "INFO")


def test_keys_are_not_told(settings: Settings):
    assert "nobody-may-read" not in repr(settings)
    assert "nobody-may-read" not in settings.model_dump_json()


def test_a_line_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch):
    Path(".env").write_text("MONITORING_PORT=everywhere\n", encoding="utf-8")
    monkeypatch.delenv("MONITORING_PORT", raising=False)
    with pytest.raises(ValueError, match="MONITORING_PORT"):
        Settings()
