"""What a store promises to the configuration; part of `ism.storage.Store`."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ism.domain.production import ConfigVersion


class ConfigStore(ABC):
    """Versions of the production configuration, appended only; the promises of `Store` hold here too."""

    @abstractmethod
    def add_config_version(self, version: ConfigVersion) -> None:
        """Append a version.

        ConflictError when its number is not the next one: another process was faster; read again.
        """

    @abstractmethod
    def config_versions(self, limit: int = 100) -> list[ConfigVersion]:
        """The last versions, newest first."""
