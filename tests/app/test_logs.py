"""The log: JSON lines without secrets, private and rotated."""

import json
import logging
import stat

import pytest

from ism.app.logs import FILE, HIDDEN, JsonFormatter, Redactor, log_to_file
from ism.domain.errors import StorageError
from ism.settings import Settings

SECRET = "correct-horse-battery"


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ism:{}@db.example.org:5432/ism",
        "redis://:{}@cache/0",
        "GET /sign-in?token={} 200",
        "X-API-Key: {}",
        "Authorization: Bearer {}",
        '{{"password": "{}"}}',
        "api_key={}&x=1",
        "ism_k3y1d_{}",
    ],
)
def test_what_looks_like_a_secret_is_hidden(text):
    hidden = Redactor()(text.format(SECRET))
    assert SECRET not in hidden
    assert HIDDEN in hidden


def test_tokens_of_others_and_known_secrets_are_hidden():
    assert Redactor(["abc123"])("it is abc123") == f"it is {HIDDEN}"
    assert Redactor()("jwt eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl end") == f"jwt {HIDDEN} end"


@pytest.mark.parametrize(
    "text", ["the token bucket is full", "model gnn, version 3: https://example.org/a:b", "a@b.example"]
)
def test_other_texts_stay_as_they_are(text):
    assert Redactor()(text) == text


def test_a_record_is_a_line_of_json_with_what_it_carries():
    record = logging.LogRecord("ism.x", logging.WARNING, "f", 1, "%s of\n%s", ("3", "4"), None)
    record.component, record.detail = "gnn", {"password=x": ["password=hunter22"], "n": 3}
    line = JsonFormatter(Redactor()).format(record)
    assert "\n" not in line
    told = json.loads(line)
    assert (told["level"], told["logger"], told["message"]) == ("WARNING", "ism.x", "3 of\n4")
    assert told["at"].endswith("+00:00")
    assert (told["component"], told["detail"]) == ("gnn", {"password=x": [f"password={HIDDEN}"], "n": 3})


def test_an_exception_is_kept_without_its_secrets():
    try:
        raise RuntimeError(f"postgresql://u:{SECRET}@h/d")
    except RuntimeError:
        import sys

        record = logging.LogRecord("ism", logging.ERROR, "f", 1, "failed", (), sys.exc_info())
    told = json.loads(JsonFormatter(Redactor()).format(record))
    assert "RuntimeError" in told["exception"]
    assert SECRET not in told["exception"]


def test_the_file_is_private_and_rotated(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(data_dir=tmp_path / "data", log_file_bytes=65_536, log_files=2, admin_key=SECRET)
    handler = log_to_file(settings, ["sign-in-token"])
    try:
        for number in range(400):
            record = logging.LogRecord(
                "ism", logging.INFO, "f", 1, f"{number} {SECRET} sign-in-token " + "x" * 1000, (), None
            )
            handler.handle(record)
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
    files = sorted((tmp_path / "data").iterdir())
    assert [file.name for file in files] == [FILE, f"{FILE}.1", f"{FILE}.2"]
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.stat().st_size <= 65_536
        assert SECRET not in file.read_text()
        assert "sign-in-token" not in file.read_text()
    assert json.loads(files[0].read_text().splitlines()[-1])["message"].startswith("399 ")


def test_a_file_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / FILE).mkdir(parents=True)
    with pytest.raises(StorageError, match=FILE):
        log_to_file(Settings(data_dir=tmp_path / "data"))
