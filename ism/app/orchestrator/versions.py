"""Changes of the configuration while the system runs: kept for good, told who made them, taken back one by one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from ism.app.orchestrator.config import ProductionConfig
from ism.domain.errors import ConflictError
from ism.domain.production import ConfigValue, ConfigVersion
from ism.feedback.arrival import utc_now
from ism.storage.config_base import ConfigStore

_MOST = 10_000  # versions that are looked through to take one back


class ConfigVersions:
    """The configuration of a store: what settings say, under what was changed since.

    Args:
        store: keeps the versions.
        given: as settings and options say.
        explicit: fields that an option of this start names; for them, earlier changes do not count.
    """

    def __init__(self, store: ConfigStore, given: ProductionConfig, explicit: Collection[str] = ()) -> None:
        self._store, self._given = store, given
        self._kept = {field.name for field in fields(given)} - set(explicit)

    def latest(self) -> tuple[int, ProductionConfig]:
        """Number of the last version, 0 where there is none, and the configuration that is in force."""
        last = next(iter(self._store.config_versions(1)), None)
        if last is None:
            return 0, self._given
        return last.number, self._under(last.overrides)

    def update(self, changes: Mapping[str, Any], actor: str, reason: str, now: datetime | None = None) -> int:
        """Store a change; the number of its version, or of the last one where nothing differs.

        Raises:
            InvalidInputError: a name is unknown, or a value cannot be used.
            ConflictError: another process was faster.
        """
        number, before = self.latest()
        after = before.changed(changes)
        if before == after:
            return number
        last = next(iter(self._store.config_versions(1)), None)
        overrides = {**(last.overrides if last else {}), **changes}
        self._kept |= set(changes)  # said later than the options of the start
        made = ConfigVersion(number + 1, now or utc_now(), actor, reason, "update", _changes(before, after), overrides)
        self._store.add_config_version(made)
        return made.number

    def undo(self, actor: str, reason: str, now: datetime | None = None) -> int:
        """Take back the last change that was not taken back yet; the number of the version that does so.

        Raises:
            ConflictError: there is none left, or another process was faster.
        """
        every = self._store.config_versions(_MOST)
        undone = {version.undoes for version in every}
        target = next((each for each in every if each.action == "update" and each.number not in undone), None)
        if target is None:
            raise ConflictError("No change of the configuration is left to be undone.")
        earlier = next((each.overrides for each in every if each.number == target.number - 1), {})
        _, before = self.latest()
        made = ConfigVersion(
            every[0].number + 1,
            now or utc_now(),
            actor,
            reason,
            "undo",
            _changes(before, self._under(earlier)),
            dict(earlier),
            target.number,
        )
        self._store.add_config_version(made)
        return made.number

    def history(self, limit: int = 100) -> list[ConfigVersion]:
        """The last versions, newest first."""
        return self._store.config_versions(limit)

    def _under(self, overrides: Mapping[str, ConfigValue]) -> ProductionConfig:
        return self._given.changed({name: value for name, value in overrides.items() if name in self._kept})


def _changes(before: ProductionConfig, after: ProductionConfig) -> dict[str, tuple[ConfigValue, ConfigValue]]:
    old, new = before.as_dict(), after.as_dict()
    return {name: (old[name], new[name]) for name in old if old[name] != new[name]}
