"""The log of a server: one line of JSON for each record in ``production_ai_system.log``, rotated, without secrets."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from typing import Any

from pydantic import SecretStr

from ism.domain.errors import StorageError
from ism.settings import Settings

FILE = "production_ai_system.log"
HIDDEN = "[hidden]"
_LEAST_SECRET = 6  # characters; shorter ones would hide parts of words
_SECRETS = re.compile(
    r"""(?P<kept>
        ://[^\s:/@]*: (?=[^\s@/]+@)                # the password of an address
      | \bism_[A-Za-z0-9]+_                        # the secret half of an API key
      | [?&]token=                                 # of a sign-in link
      | \b(?:authorization|x-api-key|apikey|api_key|password|passwd|secret|token)["']?\s*[=:]\s*["']?
        (?:bearer\s+|basic\s+)?
    ) [^\s"'&,;)}\]@]+""",
    re.VERBOSE | re.IGNORECASE,
)
_JWT = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+")
_STANDARD = frozenset({*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName", "color_message"})
_QUIET = ("httpx", "httpcore", "multipart", "python_multipart", "alembic")


class Redactor:
    """Takes secrets out of texts: those it is told, and whatever looks like one.

    Args:
        known: secrets.

    >>> Redactor(["hunter22"])("key ism_ab12_Zz9 of postgresql://ism:pw@host/db with hunter22")
    'key ism_ab12_[hidden] of postgresql://ism:[hidden]@host/db with [hidden]'
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = sorted({secret for secret in known if len(secret) >= _LEAST_SECRET}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._known:
            text = text.replace(secret, HIDDEN)
        return _JWT.sub(HIDDEN, _SECRETS.sub(rf"\g<kept>{HIDDEN}", text))


class PlainFormatter(logging.Formatter):
    """One line for people.

    Args:
        redact: takes secrets out.
    """

    def __init__(self, redact: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        return self._redact(super().format(record))


class JsonFormatter(logging.Formatter):
    """One line of JSON: ``at`` (ISO 8601, UTC), ``level``, ``logger``, ``message``, ``process``, ``thread``.

    Where there is one, ``exception``, and what the record carries beside (``extra``).

    Args:
        redact: takes secrets out.
    """

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        told: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
            "thread": record.threadName,
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        told |= {name: value for name, value in record.__dict__.items() if name not in _STANDARD | told.keys()}
        return json.dumps(_redacted(told, self._redact), ensure_ascii=False, default=str)


def log_to_console(settings: Settings) -> None:
    """Tell people on standard error; the root logger then passes on everything from ``log_level``."""
    handler = logging.StreamHandler()
    handler.setFormatter(PlainFormatter(Redactor(secrets_of(settings))))
    logging.basicConfig(level=settings.log_level, handlers=[handler])
    logging.getLogger("ism").setLevel(settings.log_level)
    for library in _QUIET:
        logging.getLogger(library).setLevel(logging.WARNING)


def log_to_file(settings: Settings, more_secrets: Iterable[str] = ()) -> logging.Handler:
    """Also write to ``production_ai_system.log`` in the data folder, from now on.

    Args:
        settings: name folder, size and number of files.
        more_secrets: that must never be written down, beside those of the settings.

    Returns:
        the handler, which ``logging.getLogger().removeHandler`` takes away again.

    Raises:
        StorageError: the file cannot be written.
    """
    path = settings.data_dir / FILE
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        handler = _PrivateFile(
            path, maxBytes=settings.log_file_bytes, backupCount=settings.log_files, encoding="utf-8", delay=False
        )
    except OSError as error:
        remedy = "Make file and folder writable."
        raise StorageError(f"data_dir: {path} cannot be written ({error.strerror}). {remedy}") from error
    handler.setFormatter(JsonFormatter(Redactor([*secrets_of(settings), *more_secrets])))
    logging.getLogger().addHandler(handler)
    return handler


def secrets_of(settings: Settings) -> Iterator[str]:
    """The values of all secret settings."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr) and value.get_secret_value():
            yield value.get_secret_value()


class _PrivateFile(RotatingFileHandler):
    """A rotated file that only its owner may read."""

    def _open(self) -> Any:
        os.close(os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        return super()._open()


def _redacted(value: Any, redact: Redactor) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {str(key): _redacted(each, redact) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(each, redact) for each in value]
    return value if isinstance(value, int | float | bool | None) else redact(str(value))
