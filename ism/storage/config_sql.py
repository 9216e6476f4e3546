"""Versions of the configuration in the database."""
# ruff: noqa: D102 - the contract, `ConfigStore`, documents every method

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import func, insert, select

from ism.domain.errors import ConflictError
from ism.domain.production import ConfigVersion
from ism.storage.config_base import ConfigStore
from ism.storage.config_schema import config_version
from ism.storage.database import Database
from ism.storage.rows import check_identifier, check_text

_VERSION = tuple(ConfigVersion.__dataclass_fields__)


class SqlConfigStore(ConfigStore):
    """Keeps what `ConfigStore` promises in the table of `ism.storage.config_schema`.

    Args:
        database: whose schema is up to date.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_config_version(self, version: ConfigVersion) -> None:
        check_identifier("actor", version.actor)
        check_text("reason", version.reason)
        with self._database.write() as connection:
            last = connection.scalar(select(func.max(config_version.c.number))) or 0
            if version.number != last + 1:
                raise ConflictError(f"The configuration was changed meanwhile, to version {last}. Read it and retry.")
            connection.execute(insert(config_version).values(**asdict(version)))

    def config_versions(self, limit: int = 100) -> list[ConfigVersion]:
        newest = select(*(config_version.c[name] for name in _VERSION)).order_by(config_version.c.number.desc())
        with self._database.read() as connection:
            return [_version(ConfigVersion(*row)) for row in connection.execute(newest.limit(limit))]


def _version(stored: ConfigVersion) -> ConfigVersion:
    """With pairs in place of JSON's lists."""
    changes = {name: (before, after) for name, (before, after) in stored.changes.items()}
    return ConfigVersion(**{**{name: getattr(stored, name) for name in _VERSION}, "changes": changes})
